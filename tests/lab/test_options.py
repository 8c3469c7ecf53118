"""No option is a silent no-op: one row for each, or the suite fails.

Libraries have shipped regularizers that did nothing for years, and nothing showed it. So here an
option that is off is plain gradient descent bit for bit, and one that is on changes what its row
says and nothing else. Whoever adds an option is told by a failing test to add its row.
"""

import argparse
import inspect
from contextlib import nullcontext
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from worlds import KINDS, learn, learn_plainly, make_world

import metaplastic_np as mp
from metaplastic_np import cli
from metaplastic_np.cli import commands, parser, plans
from metaplastic_np.experiments import ARRAYS

# --- learning ------------------------------------------------------------------------

# What each argument is set to, beside the default of a world, and must change.
LEARNING = {
    "kind": {"kind": "stable"},
    "steepness": {"steepness": 60.0},
    "modulate_biases": {"modulate_biases": True},
    "learning_rate": {"learning_rate": 0.2},
    "batch_size": {"batch_size": 3},
    "refresh": {"refresh": "update"},
}
WHERE_NOT_WHAT = {
    "network", "rng", "learner", "presentation", "settings", "backend", "after_epoch"
}  # fmt: skip
# What makes no synapse less plastic, in whatever network.
OFF = [
    *({"kind": "conventional", "steepness": steepness} for steepness in (0.1, 1e6)),
    {"kind": "homogeneous:1"},
    *({"kind": kind, "steepness": 1e-30} for kind in KINDS if kind != "conventional"),
]


def learned(backend, **options):
    world = make_world(2, presentations=2, **options)
    learn(world, backend)
    return world.network.parameters


def test_every_argument_of_learning_has_a_row():
    arguments = {field.name for field in fields(mp.LearningSettings)}
    for function in (mp.init_metaplasticity, mp.learn_item):
        arguments |= set(inspect.signature(function).parameters)
    assert arguments - WHERE_NOT_WHAT == set(LEARNING)


@pytest.mark.parametrize("option", LEARNING)
def test_an_option_of_learning_changes_what_is_learned(backend, option):
    assert not np.array_equal(learned(backend, **LEARNING[option]), learned(backend))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("modulate_biases", [False, True])
@pytest.mark.parametrize("refresh", ["presentation", "update"])
@pytest.mark.parametrize("off", OFF, ids=str)
def test_off_is_plain_gradient_descent_bit_for_bit(backend, off, refresh, modulate_biases, dtype):
    options = {"refresh": refresh, "modulate_biases": modulate_biases, "dtype": dtype, **off}
    plain = make_world(2, presentations=2, **options)
    learn_plainly(plain, backend)
    assert learned(backend, **options).tobytes() == plain.network.parameters.tobytes()


@pytest.mark.parametrize("refresh", ["presentation", "update"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "conventional"])
def test_on_every_layer_moves_and_not_as_plain_gradient_descent(backend, kind, refresh):
    plain = make_world(2, presentations=2)
    learn_plainly(plain, backend)
    found = make_world(2, presentations=2, kind=kind, refresh=refresh)
    born = found.twin()
    learn(found, backend)
    for weights, other, birth in zip(
        found.network.weights, plain.network.weights, born.weights, strict=True
    ):
        assert not np.array_equal(weights, other)
        assert not np.array_equal(weights, birth)


# --- settings ------------------------------------------------------------------------

BASE = mp.Settings(
    n_items=4,
    trials=2,
    n_train_images=40,
    n_test_images=10,
    n_features=32,
    hidden=(16,),
    batch_size=32,
    epochs=2,
    learning_rate=0.02,
    steepness=200.0,
)
EVERYTHING = set(ARRAYS)
DRAWN = {"item_classes", "schedule"}
# Settings: what to change, arrays that must differ then, and arrays that must not.
SETTINGS = {
    "n_items": ({"n_items": 5}, DRAWN | {"confusion"}, set()),
    "schedule": ({"schedule": "repetition"}, {"schedule", "confusion"}, {"item_classes", "kappa"}),
    "trials": ({"trials": 3}, DRAWN | {"confusion", "kappa"}, set()),
    "seed": ({"seed": 1}, {"item_classes", "confusion", "kappa"}, {"schedule"}),
    "networks": (
        {"networks": ("conventional", "homogeneous:0.6", "hybrid")},
        {"confusion"},
        DRAWN | {"kappa"},
    ),
    "n_train_images": ({"n_train_images": 50}, {"confusion", "kappa"}, DRAWN),
    "n_test_images": ({"n_test_images": 11}, {"confusion"}, DRAWN | {"kappa"}),
    "n_features": ({"n_features": 33}, {"confusion", "kappa"}, DRAWN),
    "input_scale": ({"input_scale": 4.0}, {"confusion", "kappa"}, DRAWN),
    "hidden": ({"hidden": (16, 16)}, {"confusion", "kappa"}, DRAWN),
    "learning_rate": ({"learning_rate": 0.01}, {"confusion", "kappa"}, DRAWN),
    "batch_size": ({"batch_size": 16}, {"confusion", "kappa"}, DRAWN),
    "epochs": ({"epochs": 3}, {"confusion", "kappa"}, DRAWN),
    "steepness": ({"steepness": 2000.0}, {"confusion", "kappa"}, DRAWN),
    "kappa": ({"steepness": None, "kappa": 3.0}, {"confusion", "kappa"}, DRAWN),
    "non_target": ({"non_target": "true"}, {"confusion", "kappa"}, DRAWN),
    "refresh": ({"refresh": "update"}, {"confusion"}, DRAWN | {"kappa"}),
    "modulate_biases": ({"modulate_biases": True}, {"confusion"}, DRAWN | {"kappa"}),
    # Rounding turns few answers; kappa is a float and shows it.
    "dtype": ({"dtype": "float64"}, {"kappa"}, DRAWN),
    "by_epoch": ({"by_epoch": True}, {"recall_by_epoch"}, EVERYTHING - {"recall_by_epoch"}),
    "by_flexibility": (
        {"by_flexibility": True},
        {"displacement_by_flexibility", "displacement_share"},
        EVERYTHING - {"displacement_by_flexibility", "displacement_share"},
    ),
}


@pytest.fixture(scope="module")
def base():
    return mp.run_experiment(mp.load_digits(), BASE, backend="numpy")


def test_every_setting_has_a_row():
    assert {field.name for field in fields(mp.Settings)} == set(SETTINGS)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_changes_what_it_is_for_and_nothing_else(name, base):
    changes, must, must_not = SETTINGS[name]
    found = mp.run_experiment(mp.load_digits(), replace(BASE, **changes), backend="numpy")

    def differs(array):
        one, other = getattr(found, array), getattr(base, array)
        return one.shape != other.shape or one.tobytes() != other.tobytes()

    different = {array for array in ARRAYS if differs(array)}
    assert must <= different
    assert not different & must_not


@pytest.mark.parametrize("name", mp.scenarios.SCHEDULES)
def test_each_schedule_is_its_own(name):
    drawn = {
        each: tuple(mp.scenarios.draw_schedule(each, 10, rng=np.random.default_rng(0)))
        for each in mp.scenarios.SCHEDULES
    }
    assert list(drawn.values()).count(drawn[name]) == 1


# --- the command line ----------------------------------------------------------------

# Options that become settings: what is written, and the fields that must change.
BECOME_SETTINGS = {
    "--items": ("5", {"n_items", "steepness"}),
    "--trials": ("3", {"trials"}),
    "--networks": ("hybrid,stable", {"networks"}),
    "--seed": ("7", {"seed"}),
    "--learning-rate": ("0.01", {"learning_rate"}),
    "--hidden": ("8,8", {"hidden"}),
    "--epochs": ("4", {"epochs"}),
    "--batch": ("64", {"batch_size"}),
    "--non-target": ("none", {"non_target"}),
    "--refresh": ("update", {"refresh"}),
    "--steepness": ("77", {"steepness"}),
    "--kappa": ("5", {"steepness", "kappa"}),
    "--by-epoch": (None, {"by_epoch"}),
}
# Options about where and how: what is written, and what must be asked for.
ASK_FOR = {
    "--dataset": ("mnist", ("dataset", "mnist")),
    "--jobs": ("3", ("jobs", 3)),
    "--cluster": ("tcp://nowhere:1", ("cluster", "tcp://nowhere:1")),
    "--out": ("elsewhere", ("folder", "elsewhere")),
    "--resume": (None, ("resume", True)),
    "--backend": ("numpy", ("backend", "numpy")),
    "--preset": ("standard", ("preset", "standard")),
}
OF_REPRODUCE = {"--preset"}


class Reached(BaseException):
    """Everything was decided; what follows would learn."""


@pytest.fixture
def ask(monkeypatch, tmp_path):
    """Run a command up to where it would learn; returns the plan, and all that was asked for."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        asked = {}

        def stop(dataset, plan, *, backend, executor, checkpoints, on_trial):
            asked.update(plan=plan, backend=backend)
            asked["folder"] = next(iter(checkpoints.values())).parent.name
            raise Reached

        def note(name, value, result):
            asked[name] = value
            return result

        digits, plan_runs, settle = mp.load_digits(), commands.plan_runs, plans._settle
        monkeypatch.setattr(plans, "run_experiments", stop)
        monkeypatch.setattr(commands, "load_dataset", lambda name: note("dataset", name, digits))
        monkeypatch.setattr(plans, "open_pool", lambda n: note("jobs", n, nullcontext()))
        monkeypatch.setattr(plans, "open_cluster", lambda to: note("cluster", to, nullcontext()))
        monkeypatch.setattr(
            commands,
            "plan_runs",
            lambda data, preset, **of: note("preset", preset, plan_runs(data, preset, **of)),
        )
        monkeypatch.setattr(
            plans,
            "_settle",
            lambda *of, resume: note("resume", resume, settle(*of, resume=resume)),
        )
        with pytest.raises(Reached):
            cli.main(list(words))
        return asked

    return run


def list_options(command):
    (chosen,) = (
        action
        for action in parser._parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    return {
        action.option_strings[-1]
        for action in chosen.choices[command]._actions
        if action.option_strings and action.dest != "help"
    }


def written(option, words):
    """As it is typed; None for an option that takes no value."""
    return [option] if words is None else [option, words]


@pytest.mark.parametrize("experiment", [n for n, row in mp.paper.EXPERIMENTS.items() if row.alone])
def test_a_run_tests_after_every_epoch_only_if_asked_to(experiment, ask):
    for words in ([], ["--by-epoch"]):
        (settings,) = ask("run", experiment, *words)["plan"].values()
        assert settings.by_epoch == (tuple(range(settings.n_items)) if words else ())


@pytest.mark.parametrize("command", ["run", "reproduce", "report", "data", "bench"])
def test_options_are_frozen_and_no_field_is_left_out(command, ask, monkeypatch):
    """Whatever a command can be told is a field of its options, and nothing else is."""
    name = "list_data" if command == "data" else command
    words = {"run": ["serial-position"], "report": ["folder"], "data": ["list"]}
    seen = []
    monkeypatch.setattr(commands, name, lambda options: seen.append(options) or 0)
    assert cli.main([command, *words.get(command, [])]) == 0
    (options,) = seen
    assert options.__dataclass_params__.frozen
    flat = {
        field.name
        for part in (options, *(getattr(options, part, None) for part in parser.PARTS))
        if part is not None
        for field in fields(part)
    } - set(parser.PARTS)
    if command != "data":
        named = {option.removeprefix("--").replace("-", "_") for option in list_options(command)}
        positional = {"run": {"experiment"}, "report": {"folder"}}
        assert flat == named | positional.get(command, set())


def test_nothing_but_the_parser_knows_argparse():
    for path in Path(cli.__file__).parent.glob("*.py"):
        assert ("argparse" in path.read_text("utf-8")) == (path.name == "parser.py"), path


def test_every_option_of_the_command_line_has_a_row():
    rows = set(BECOME_SETTINGS) | set(ASK_FOR)
    assert list_options("run") == rows - OF_REPRODUCE
    assert list_options("reproduce") <= rows


@pytest.mark.parametrize("option", BECOME_SETTINGS)
def test_an_option_becomes_the_settings_that_it_names(option, ask):
    words, changed = BECOME_SETTINGS[option]
    command = "run", "serial-position"
    default = ask(*command)["plan"]["serial-position"]
    found = ask(*command, *written(option, words))["plan"]["serial-position"]
    assert found != default
    different = {
        field.name
        for field in fields(found)
        if getattr(found, field.name) != getattr(default, field.name)
    }
    assert different == changed


@pytest.mark.parametrize("option", ASK_FOR)
def test_an_option_asks_for_what_it_names(option, ask):
    words, (name, value) = ASK_FOR[option]
    command = ["reproduce"] if option in OF_REPRODUCE else ["run", "serial-position"]
    if ask(*command).get(name) == value:  # where "auto" is already NumPy
        assert option == "--backend"
        pytest.importorskip("numba", reason="there is no other backend")
        words = value = "numba"
    assert ask(*command, *written(option, words))[name] == value
    assert ask(*command).get(name) != value


@pytest.mark.parametrize("option", BECOME_SETTINGS)
def test_reproduce_hands_an_option_to_its_runs(option, ask):
    words, changed = BECOME_SETTINGS[option]
    if option not in list_options("reproduce"):
        assert option in ("--items", "--networks", "--by-epoch")  # each run of it has its own
        return
    default, found = ask("reproduce")["plan"], ask("reproduce", *written(option, words))["plan"]
    moved = {name for name in default if found[name] != default[name]}
    # Runs with fewer trials keep theirs; the two ablations keep their non-targets.
    assert len(moved) >= len(default) - 2 if option != "--trials" else moved
    for name in moved:
        different = {
            field.name
            for field in fields(mp.Settings)
            if getattr(found[name], field.name) != getattr(default[name], field.name)
        }
        assert different <= changed
