"""The whole paper in one command, small: what it writes, resumes, and leaves out."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from worlds import REPRODUCE

import metaplastic_np as mp
from metaplastic_np import cli
from metaplastic_np.cli import commands, plans, steepness
from metaplastic_np.paper import reproduce
from metaplastic_np.paper.calibrated import BEST, name_networks

RUNS = set(mp.paper.plan_runs(mp.load_digits(), "quick"))


@pytest.fixture
def undrawn(monkeypatch):
    """Figures take longer than all that is tested here."""

    def write(_, stem):
        paths = [stem.with_name(f"{stem.name}.{ending}") for ending in ("png", "svg")]
        for path in paths:
            path.write_bytes(b"<svg/>")
        return paths

    monkeypatch.setattr(commands, "save_figure", write)


def test_it_writes_every_run_claim_figure_and_one_report(made):
    names = {path.name for path in made.iterdir()}
    runs = {f"{run}.{ending}" for run in RUNS for ending in ("npz", "csv")}
    assert names == runs | {"claims.json", "report.html", "figures"}
    figures = {path.name for path in (made / "figures").iterdir()}
    assert figures == {
        f"{name}.{end}" for name in mp.paper.list_pictures() for end in ("png", "svg")
    }
    assert (made / "report.html").stat().st_size < 8e6


def test_claims_json_is_strict_and_complete(made):
    def refuse(constant):
        raise AssertionError(constant)

    judged = json.loads((made / "claims.json").read_text("utf-8"), parse_constant=refuse)
    assert {key: judged[key] for key in ("schema", "seed", "preset", "dataset")} == {
        "schema": 1,
        "seed": 0,
        "preset": "custom",  # options said otherwise than the preset
        "dataset": "digits",
    }
    assert [claim["id"] for claim in judged["claims"]] == list(mp.paper.CLAIMS)
    for claim in judged["claims"]:
        assert claim["verdict"] in {"holds", "fails", "undecided"}
        assert claim["controls"] is None  # two trials are too few
        if claim["id"] in ("C10", "C11"):  # six hidden units: nothing was calibrated for them
            assert "calibrated at hidden" in claim["obstacle"]
        else:
            assert (claim["n"], claim["obstacle"]) == (2, "")
            assert claim["parts"]


def test_report_draws_again_without_learning(made, capsys, monkeypatch):
    before = {path.name: path.read_bytes() for path in (made / "figures").iterdir()}
    page, claims = ((made / name).read_bytes() for name in ("report.html", "claims.json"))
    monkeypatch.setattr(plans, "run_experiments", lambda *_, **__: pytest.fail("learned"))
    assert cli.main(["report", str(made)]) == 0
    assert "C12" in capsys.readouterr().out
    assert (made / "report.html").read_bytes() == page
    assert (made / "claims.json").read_bytes() == claims
    assert {path.name: path.read_bytes() for path in (made / "figures").iterdir()} == before


def test_a_report_on_one_run_says_what_was_not_run(made, tmp_path, capsys):
    (tmp_path / "serial-position.npz").write_bytes((made / "serial-position.npz").read_bytes())
    assert cli.main(["report", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert sum("not run" in line for line in out.splitlines()) == 9
    assert json.loads((tmp_path / "claims.json").read_text("utf-8"))["preset"] == "custom"


def test_a_report_on_nothing_is_refused(tmp_path, capsys):
    assert cli.main(["report", str(tmp_path / "nowhere")]) == 2
    assert "there are no results (*.npz) in" in capsys.readouterr().err


def test_a_stopped_reproduction_resumes_with_the_same_bits(
    made, tmp_path, capsys, monkeypatch, undrawn
):
    real = plans.run_experiments

    def interrupted(*arguments, on_trial, **options):
        def stop(done):
            on_trial(done)
            if sum(done.values()) == 5:
                raise KeyboardInterrupt

        return real(*arguments, on_trial=stop, **options)

    monkeypatch.setattr(plans, "run_experiments", interrupted)
    arguments = [*REPRODUCE, "--out", str(tmp_path)]
    assert cli.main(arguments) == 130
    assert f"5 of 18 trials are kept in {tmp_path}; add --resume" in capsys.readouterr().err
    monkeypatch.setattr(plans, "run_experiments", real)
    assert cli.main([*arguments, "--resume"]) == 0
    for run in RUNS:
        one, other = (mp.load_results(folder / f"{run}.npz") for folder in (made, tmp_path))
        assert one.confusion.tobytes() == other.confusion.tobytes(), run
    ours, theirs = (
        [{**claim, "seconds": 0} for claim in json.loads(path.read_text("utf-8"))["claims"]]
        for path in (made / "claims.json", tmp_path / "claims.json")
    )
    assert ours == theirs


def test_other_settings_in_the_folder_are_refused(made, capsys):
    assert cli.main([*REPRODUCE, "--seed", "5", "--out", str(made)]) == 1
    assert "belongs to a run with other settings (seed 0, now 5)" in capsys.readouterr().err


@pytest.fixture
def own(tmp_path):
    """A file of twelve easy classes."""
    rng = np.random.default_rng(0)
    centers = rng.random((12, 30))
    arrays = {}
    for part, count in (("train", 40), ("test", 15)):
        labels = np.repeat(np.arange(12), count)
        arrays[f"{part}_labels"] = labels
        arrays[f"{part}_images"] = np.clip(
            centers[labels] + rng.normal(0, 0.1, (len(labels), 30)), 0, 1
        )
    path = tmp_path / "own.npz"
    np.savez(path, **arrays)
    return path


def test_runs_that_a_dataset_has_too_few_items_for_are_left_out(own):
    plan = mp.paper.plan_runs(mp.load_npz(own), "quick")
    assert RUNS - set(plan) == {"serial-position-30", "data-poisoning"}


def test_own_data_are_balanced_first_and_a_resume_keeps_what_was_found(
    own, tmp_path, capsys, monkeypatch
):
    asked = []
    monkeypatch.setattr(
        steepness, "balance_steepness", lambda *_, **__: asked.append(1) or 250.0 + len(asked)
    )
    arguments = ["run", "serial-position", "--dataset", str(own), "--trials", "1", "--hidden", "8"]
    assert cli.main([*arguments, "--out", str(tmp_path / "out")]) == 0
    results = mp.load_results(tmp_path / "out" / "serial-position.npz")
    assert results.settings.steepness == 251
    assert results.item_classes.shape == (1, 10, 1)
    assert cli.main([*arguments, "--out", str(tmp_path / "out"), "--resume"]) == 0
    assert asked == [1]
    assert cli.main([*arguments, "--kappa", "5", "--out", str(tmp_path / "other")]) == 0
    assert asked == [1]
    found = (tmp_path / "out" / "steepness.json").read_text()
    for number, text in enumerate((found, found.replace("251", "291"), found[:30], "[]")):
        folder = tmp_path / f"stopped-{number}"
        folder.mkdir()
        (folder / "steepness.json").write_text(text)
        assert cli.main([*arguments, "--out", str(folder), "--resume"]) == 0
        assert len(asked) == 1 + number  # a damaged file is no file


def test_a_steepness_is_for_the_same_images_and_settings_whatever_the_files_name(
    own, tmp_path, monkeypatch, undrawn
):
    asked = []
    monkeypatch.setattr(
        steepness, "balance_steepness", lambda *_, **__: asked.append(1) or 250.0 + len(asked)
    )
    folder = tmp_path / "out"

    def balance(*words, path=own):
        """What a run is balanced to; its results are moved away."""
        arguments = ["run", "serial-position", "--dataset", str(path), "--trials", "1", *words]
        arguments += ["--hidden", "8"] * ("--hidden" not in words)
        assert cli.main([*arguments, "--out", str(folder), "--resume"]) == 0
        found = mp.load_results(folder / "serial-position.npz").settings.steepness
        (folder / "serial-position.npz").unlink()
        return found

    assert balance() == 251
    renamed = tmp_path / "renamed.npz"
    renamed.write_bytes(own.read_bytes())
    assert balance(path=renamed) == 251
    matter = ["--learning-rate 0.02", "--epochs 2", "--batch 64", "--hidden 9", "--items 9"]
    matter += ["--non-target none", "--refresh update"]
    found = [balance(*words.split()) for words in matter]
    assert found == [252 + number for number in range(len(matter))]
    assert balance("--networks", "stable", "--seed", "4", "--by-epoch") == 251
    with np.load(own) as arrays:
        other = {name: arrays[name][::-1] for name in arrays.files}
    (tmp_path / "other").mkdir()
    np.savez(tmp_path / "other" / "own.npz", **other)
    assert balance(path=tmp_path / "other" / "own.npz") == 252 + len(matter)
    assert [balance(*words.split()) for words in matter] == found  # all of them are kept
    monkeypatch.setattr(steepness, "find_version", lambda _: "9.9.9")
    assert balance() == 253 + len(matter)


def test_other_settings_in_the_folder_are_refused_before_a_balance(own, tmp_path, monkeypatch):
    monkeypatch.setattr(steepness, "balance_steepness", lambda *_, **__: 250.0)
    arguments = ["run", "serial-position", "--dataset", str(own), "--trials", "1", "--hidden", "8"]
    arguments += ["--out", str(tmp_path / "out")]
    assert cli.main(arguments) == 0
    monkeypatch.setattr(steepness, "balance_steepness", lambda *_, **__: pytest.fail("balanced"))
    assert cli.main([*arguments, "--epochs", "2"]) == 1


# --- what results say about how they were made ---------------------------------------


TINY = {"hidden": (6,), "epochs": 1, "batch_size": 600, "trials": 2}


@pytest.fixture
def small_preset(monkeypatch, undrawn):
    """Small runs, as if they were a preset's."""
    plan = mp.paper.plan_runs(mp.load_digits(), "quick")
    small = {run: replace(plan[run], **TINY) for run in ("biased-flexibility", "non-target-true")}
    monkeypatch.setattr(commands, "plan_runs", lambda *_, **__: dict(small))
    return small


def look(folder):
    """The preset that is claimed, and whether the report has a command."""
    page = (folder / "report.html").read_text("utf-8")
    preset = json.loads((folder / "claims.json").read_text("utf-8"))["preset"]
    return preset, "metaplastic-np reproduce --preset" in page


def test_a_preset_is_what_all_results_say_and_not_an_old_claims_json(small_preset, tmp_path):
    folder, command = str(tmp_path), ["reproduce", "--backend", "numpy", "--out", str(tmp_path)]
    assert cli.main(command) == 0
    assert look(tmp_path) == ("quick", True)
    assert cli.main(["report", folder]) == 0
    assert look(tmp_path) == ("quick", True)
    first, second = (tmp_path / f"{run}.npz" for run in small_preset)
    kept = second.read_bytes()

    second.unlink()  # a run is missing
    assert cli.main(["report", folder]) == 0
    assert look(tmp_path) == ("custom", False)

    second.write_bytes(kept)  # there is one more
    (tmp_path / "more.npz").write_bytes(kept)
    assert cli.main(["report", folder]) == 0
    assert look(tmp_path) == ("custom", False)
    (tmp_path / "more.npz").unlink()

    results = mp.load_results(first)  # one was made in another way
    header = {name: fact for name, fact in results.header.items() if name != "plan"}
    mp.save_results(replace(results, header=header), tmp_path, name=first.stem)
    assert cli.main(["report", folder]) == 0
    assert look(tmp_path) == ("custom", False)

    assert cli.main([*command, "--resume"]) == 0  # the preset again: all of it is there
    assert look(tmp_path) == ("quick", True)


@pytest.mark.parametrize(
    "words", [["--steepness", "balance"], ["--trials", "1"], ["--epochs", "2"]]
)
def test_a_preset_with_other_settings_is_none(words, small_preset, tmp_path, monkeypatch):
    monkeypatch.setattr(steepness, "balance_steepness", lambda *_, **__: 250.0)
    assert cli.main(["reproduce", "--backend", "numpy", "--out", str(tmp_path), *words]) == 0
    assert look(tmp_path) == ("custom", False)


def test_own_images_called_digits_are_nobody_elses(own, tmp_path, monkeypatch, undrawn):
    """Not the settings, the flexibility, the name or the command of the bundled ones."""
    path = tmp_path / "digits.npz"
    path.write_bytes(own.read_bytes())
    plan = mp.paper.plan_runs(mp.load_npz(path), "quick")
    best, ours = (
        name_networks([BEST], name) for name in ("images that nobody has calibrated", "digits")
    )
    assert set(best) <= set(plan["homogeneous-sweep"].networks)
    assert best != ours
    assert plan == mp.paper.plan_runs(mp.load_npz(own), "quick")
    monkeypatch.setattr(
        commands,
        "plan_runs",
        lambda *_, **__: {"serial-position": replace(plan["serial-position"], **TINY)},
    )
    monkeypatch.setattr(steepness, "balance_steepness", lambda *_, **__: 250.0)
    out = tmp_path / "out"
    assert cli.main(["reproduce", "--dataset", str(path), "--out", str(out)]) == 0
    assert look(out) == ("quick", False)
    judged = json.loads((out / "claims.json").read_text("utf-8"))
    assert judged["dataset"] == "digits (other images)"


def test_seeds_and_images_that_differ_are_not_told_as_one(made):
    run = mp.load_results(made / "serial-position.npz")
    other = replace(run, settings=replace(run.settings, seed=1), header={**run.header})
    other.header["dataset"] = "own"
    judged = mp.paper.judge_run({"one": run, "other": other}, preset="custom")
    assert (judged["seed"], judged["dataset"]) == (None, "digits, own")


def test_a_report_passes_over_files_that_are_no_results(made, tmp_path, capsys, undrawn):
    (tmp_path / "serial-position.npz").write_bytes((made / "serial-position.npz").read_bytes())
    mp.save_network(tmp_path / "net.npz", mp.init_network((4, 2), rng=np.random.default_rng(0)))
    np.savez(tmp_path / "own.npz", train_images=np.zeros((3, 2)))
    (tmp_path / "torn.npz").write_bytes(b"PK")
    (tmp_path / "folder.npz").mkdir()
    assert cli.main(["report", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert "C12" in out
    assert sorted(line.split(f"{tmp_path}/")[1] for line in err.splitlines()) == [
        "folder.npz: Is a directory",
        "net.npz: it holds no experiment",
        "own.npz: it holds no experiment",
        "torn.npz: it is damaged or not an npz file",
    ]
    assert all(
        line.startswith("metaplastic-np: passed over: cannot read") for line in err.splitlines()
    )
    (tmp_path / "serial-position.npz").unlink()
    assert cli.main(["report", str(tmp_path)]) == 2
    assert "there are no results (*.npz)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("experiment", "word"),
    [
        ("hebb-repetition", "recall of the worst item"),
        ("data-poisoning", "answered as taught"),
        ("learning-frequency", "Spearman's rho"),
        ("biased-flexibility", "biased-down"),
    ],
)
def test_every_experiment_runs_alone_with_its_own_table_and_figure(
    experiment, word, tmp_path, capsys
):
    arguments = [*REPRODUCE[1:], "--trials", "1", "--items", "8", "--out", str(tmp_path)]
    assert cli.main(["run", experiment, *arguments]) == 0
    assert word in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{experiment}.{ending}" for ending in ("npz", "csv", "png", "svg")
    }


def test_the_paper_preset_has_the_papers_counts_and_says_how_long_it_takes(
    capsys, monkeypatch, tmp_path
):
    plan = mp.paper.plan_runs(mp.load_digits(), "paper")
    for settings in plan.values():
        assert settings.hidden == (4096, 4096)
        assert (settings.n_train_images, settings.n_test_images) == (2000, 1000)
        assert (settings.batch_size, settings.epochs) == (1024, 5)
    monkeypatch.setattr(commands, "measure_speed", lambda: 1e11)

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(steepness, "balance_steepness", stop)
    assert cli.main(["reproduce", "--preset", "paper", "--out", str(tmp_path)]) == 130
    hours = reproduce.measure_plan(mp.load_digits(), plan) / 1e11 / 3600
    assert f"about {hours:.0f} hours" in capsys.readouterr().err


def test_plans_share_the_seed_and_the_settings_of_their_images():
    plan = mp.paper.plan_runs(mp.load_digits(), "standard", seed=7)
    assert {settings.seed for settings in plan.values()} == {7}
    assert {settings.learning_rate for settings in plan.values()} == {mp.Settings().learning_rate}
    assert plan["serial-position-30"].steepness == mp.experiments.measure_default_steepness(30)
    with pytest.raises(mp.InputError, match="`preset` must be one of quick, standard, paper"):
        mp.paper.plan_runs(mp.load_digits(), "thorough")


def test_data_list_and_check(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("METAPLASTIC_NP_DATA", str(tmp_path))
    assert cli.main(["data", "list"]) == 0
    out = capsys.readouterr().out
    assert "digits   bundled" in out
    assert "mnist    missing" in out
    assert cli.main(["data", "check"]) == 0
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"\x1f\x8bnonsense")
    for name in ("train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        Path(tmp_path, f"{name}.gz").write_bytes(b"\x1f\x8bnonsense")
    capsys.readouterr()
    assert cli.main(["data", "check"]) == 1
    assert "damaged" in capsys.readouterr().out


def test_data_fetch_says_what_it_wrote(capsys, monkeypatch, tmp_path):
    path = tmp_path / "file.gz"
    monkeypatch.setattr(commands, "fetch_mnist", lambda on_file: [on_file(path) or path])
    assert cli.main(["data", "fetch", "mnist"]) == 0
    assert str(path) in capsys.readouterr().out


def test_an_option_does_not_undo_the_ablations(capsys, monkeypatch, tmp_path):
    seen = {}

    def stop(_, plan, __, *, balance_trials, preset):
        assert (balance_trials, preset) == (0, "custom")
        seen.update(plan)
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "learn_plan", stop)
    arguments = ["reproduce", "--non-target", "none", "--epochs", "2", "--out", str(tmp_path)]
    assert cli.main(arguments) == 130
    assert seen["serial-position"].non_target == seen["non-target-none"].non_target == "none"
    assert seen["non-target-true"].non_target == "true"
    assert {settings.epochs for settings in seen.values()} == {2}
