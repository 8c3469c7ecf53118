"""The comparison with other libraries: the same work, honestly counted."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Executor, Future
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import bench
import contest
import numpy as np
import numpy_program
import pytest
import rivals
import sections

import metaplastic_np as mp
from metaplastic_np import cli
from metaplastic_np.cli import commands

ROOT = Path(mp.__file__).parents[1]
SMALL = {
    "n_items": 4, "n_train_images": 60, "n_test_images": 20, "n_features": 64, "hidden": (16,)
}  # fmt: skip


def make_presentation(rng, dtype, n_images=50):
    images = rng.random((n_images, 40)) * (rng.random((n_images, 40)) < 0.4)
    return mp.scenarios.Presentation(
        images=images.astype(dtype),
        labels=rng.integers(0, 5, n_images),
        order=np.array([rng.permutation(n_images) for _ in range(3)]),
    )


@pytest.mark.parametrize("program", [name for name in rivals.PROGRAMS if name != "metaplastic_np"])
@pytest.mark.parametrize(("dtype", "error"), [(np.float32, 1e-4), (np.float64, 1e-9)])
def test_every_program_learns_what_the_package_learns(program, dtype, error):
    pytest.importorskip(rivals.MODULES[program], reason="the extra 'bench' is not installed")
    rng = np.random.default_rng(0)
    network = mp.init_network((40, 20, 15, 5), rng=rng, dtype=dtype)
    rule = mp.init_metaplasticity(network, "hybrid", steepness=30.0, rng=rng)
    settings = mp.LearningSettings(learning_rate=0.3, batch_size=16)
    ours = rivals.start_package(network, rule, settings)
    theirs = rivals.PROGRAMS[program](network, rule, settings)
    for _ in range(2):  # in the second, plasticity has fallen
        shown = make_presentation(rng, dtype)
        ours.learn(shown, None)
        theirs.learn(shown, None)
    moved = np.abs(ours.read() - rule.initial_weights).max()
    assert moved > 0.01
    assert np.abs(ours.read() - theirs.read()).max() < error * moved
    np.testing.assert_array_equal(ours.answer(shown.images), theirs.answer(shown.images))
    assert theirs.read().dtype == dtype


@pytest.mark.parametrize("program", rivals.PROGRAMS)
def test_looking_after_every_epoch_changes_nothing_that_is_learned(program):
    pytest.importorskip(rivals.MODULES[program], reason="the extra 'bench' is not installed")
    rng = np.random.default_rng(0)
    network = mp.init_network((40, 20, 5), rng=rng, dtype=np.float64)
    rule = mp.init_metaplasticity(network, "hybrid", steepness=30.0, rng=rng)
    settings = mp.LearningSettings(learning_rate=0.3, batch_size=16)
    alone, watched = (rivals.PROGRAMS[program](network, rule, settings) for _ in range(2))
    seen = []
    for _ in range(2):
        shown = make_presentation(rng, np.float64)
        alone.learn(shown, None)
        watched.learn(shown, lambda: seen.append(watched.read().copy()))
    np.testing.assert_allclose(watched.read(), alone.read(), rtol=0, atol=1e-12)
    assert len(seen) == 2 * len(shown.order)
    assert all((one != other).any() for one, other in pairwise(seen))


def test_a_program_that_learns_something_else_is_refused():
    def worker(program, moved):
        return SimpleNamespace(
            arrangement=sections.Arrangement(program, 1, 1), call=lambda *_: [np.array(moved)]
        )

    same = [worker("metaplastic_np", [1.0, 2.0]), worker("NumPy", [1.0, 2.0])]
    sections.check_same_weights(same, (8,), 64)
    other = [same[0], worker("NumPy", [1.0, 2.1])]
    with pytest.raises(
        mp.DivergenceError, match=r"NumPy and metaplastic_np did not learn the same"
    ):
        sections.check_same_weights(other, (8,), 64)


def test_necessary_operations_are_those_of_the_products():
    """Counted product by product: forward, weight gradient, and back into hidden layers only."""
    n_on, hidden, n_out = 30, 20, 5
    forward = n_on * hidden + hidden * n_out
    weight_gradient = forward
    input_gradient = hidden * n_out
    products = forward + weight_gradient + input_gradient
    assert rivals.count_operations((40, hidden, n_out), n_on) == 2 * products


@pytest.mark.parametrize("program", [name for name in rivals.PROGRAMS if name != "metaplastic_np"])
@pytest.mark.parametrize("by_epoch", [False, True])
def test_a_trial_of_a_rival_is_the_packages_trial(program, by_epoch):
    pytest.importorskip(rivals.MODULES[program], reason="the extra 'bench' is not installed")
    settings = mp.Settings(
        **SMALL, trials=1, steepness=contest.STEEPNESS, dtype="float64", by_epoch=by_epoch
    )
    (ours,) = contest.run_trials("metaplastic_np", settings, [0])
    (theirs,) = contest.run_trials(program, settings, [0])
    assert ("recall_by_epoch" in theirs) == by_epoch
    for name, array in theirs.items():
        np.testing.assert_allclose(array, ours[name], rtol=1e-9, err_msg=name)


def test_where_mnist_is_not_the_digits_are_enlarged_to_its_size(monkeypatch, tmp_path):
    monkeypatch.setenv("METAPLASTIC_NP_DATA", str(tmp_path))
    dataset, name = contest.load_canvas()
    assert name == "the bundled digits, enlarged"
    assert dataset.train_images.shape[1:] == (28, 28)


@pytest.mark.numba
def test_a_table_and_a_file_of_what_was_measured(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sections, "SHAPES", (((8,), 64),))
    monkeypatch.setattr(bench, "find_spec", lambda module: None if module.startswith("no") else 1)
    monkeypatch.setattr(
        bench, "MODULES", {"metaplastic_np": "metaplastic_np", "PyTorch": "notorch"}
    )
    path = tmp_path / "bench.json"
    arguments = ["--sections", "presentation", "--repeats", "1", "--json", str(path)]
    assert bench.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "PyTorch skipped: notorch is not installed (the extra 'bench' brings it)" in printed
    assert "1568-8-10, batch 64" in printed
    found = json.loads(path.read_text("utf-8"))
    assert (
        found["command"] == "metaplastic-np bench --sections presentation --repeats 1 --trials 10"
    )
    for row in found["rows"]:
        assert row["lowest"] <= row["median"] <= row["highest"]
        assert 0 < row["share"] < 5
        assert row["ratio"] >= 1


class Here(Executor):
    """Instead of a worker process: calls at once, in this one."""

    def __init__(self, *_, **__):
        pass

    def submit(self, function, /, *arguments):
        future = Future()
        future.set_result(function(*arguments))
        return future


@pytest.fixture
def small_job(monkeypatch):
    """The job with small trials, and in this process; two cores; no whole programs."""
    monkeypatch.setattr(mp, "Settings", lambda **given: make_settings(**{**given, **SMALL}))
    monkeypatch.setattr(sections, "ProcessPoolExecutor", Here)
    monkeypatch.setattr(sections, "measure_whole", lambda *_: [])
    monkeypatch.setattr(sections.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(contest, "LARGEST", 64)
    monkeypatch.setattr(contest, "_here", {})
    monkeypatch.setattr(contest.signal, "signal", lambda *_: None)


make_settings = mp.Settings


@pytest.mark.usefixtures("small_job")
def test_the_job_is_timed_for_every_arrangement_over_the_same_work():
    said = []
    rows = sections.measure_job(["metaplastic_np", "NumPy"], 2, 3, said.append)
    who = [
        "metaplastic_np, 1 thread",
        "metaplastic_np, 2 processes of 1 thread",
        "NumPy, 2 threads",
        "NumPy, 2 processes of 1 thread",
    ]
    assert [row["who"] for row in rows] == 2 * who
    assert len(said) == 2 * (1 + 2 * len(who))
    once, every = (rows[: len(who)], rows[len(who) :])
    assert all(row["what"].endswith(": recall once per presentation") for row in once)
    assert all(row["what"].endswith(": recall after every epoch") for row in every)
    work = []
    for variant in (once, every):
        assert min(row["ratio"] for row in variant if row["program"] == "metaplastic_np") == 1
        (operations,) = {
            round(row["share"] * row["product_rate"] * row["median"]) for row in variant
        }
        work.append(operations)
        (line,) = bench.describe_best_rival(variant)
        assert line.startswith("best rival / ours: ")
        assert "NumPy" in line
    # 3 trials x (3 networks x 4 presentations, the first one shared) of 5 epochs of 120 images.
    sizes = (64, 16, 4)
    learned = 3 * (3 * 4 - 2)
    assert work[0] > learned * 5 * 120 * rivals.count_operations(sizes, 60)
    forward = sum(2 * a * b for a, b in zip((64, 16), (16, 4), strict=True))
    tested = forward * SMALL["n_items"] * SMALL["n_test_images"]
    assert 0.9 * 4 * learned * tested < work[1] - work[0] <= 4 * learned * tested


@pytest.mark.usefixtures("small_job")
def test_a_job_that_remembers_something_else_is_refused(monkeypatch):
    def run_trials(program, settings, trials):
        found = contest.run_trials(program, settings, trials)
        if program == "NumPy":
            for arrays in found:
                arrays["confusion"] *= 0
        return found

    monkeypatch.setattr(sections, "run_trials", run_trials)
    with pytest.raises(mp.DivergenceError, match=r"NumPy and metaplastic_np .*\(recall\)"):
        sections.measure_job(["metaplastic_np", "NumPy"], 1, 1, print)


def test_a_job_that_is_tested_less_often_is_refused():
    with pytest.raises(mp.DivergenceError, match=r"\(5,\) instead of \(21,\) \(tests\)"):
        sections.check_same_recall("NumPy", np.zeros(5), np.zeros(21))


@pytest.fixture
def two_files(monkeypatch, tmp_path):
    """What a small run of the package and the NumPy program write."""
    settings = mp.Settings(**SMALL, trials=2, by_epoch=True)
    results = mp.run_experiment(mp.load_digits(), settings)
    ours, _ = mp.save_results(results, tmp_path, name="ours")
    monkeypatch.setattr(mp, "Settings", lambda **given: make_settings(**{**given, **SMALL}))
    monkeypatch.setattr(numpy_program, "ProcessPoolExecutor", Here)
    monkeypatch.setattr(numpy_program.os, "environ", {})
    theirs = tmp_path / "theirs.npz"
    numpy_program.main(["--items", "4", "--trials", "2", "--out", str(theirs)])
    return ours, theirs


def test_the_numpy_program_writes_what_a_run_writes(two_files):
    ours, theirs = two_files
    sections.check_same_files(ours, theirs)
    with np.load(ours) as our, np.load(theirs) as their:
        settings = [json.loads(file["header"].item())["settings"] for file in (our, their)]
    assert settings[0] == settings[1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda arrays: arrays.pop("kappa"), r"\(npz\)"),
        (
            lambda arrays: arrays.update(schedule=arrays["schedule"] + 1),
            r"other draws",
        ),
        (lambda arrays: arrays.update(recall_by_epoch=arrays["recall_by_epoch"] + 0.1), "recall"),
    ],
)
def test_whole_processes_that_write_something_else_are_refused(two_files, change, words):
    ours, theirs = two_files
    with np.load(theirs) as file:
        arrays = dict(file)
    change(arrays)
    np.savez(theirs, **arrays)
    with pytest.raises(mp.DivergenceError, match=words):
        sections.check_same_files(ours, theirs)


def test_whole_processes_take_turns_and_the_first_round_does_not_count(monkeypatch):
    ran, compared = [], []
    monkeypatch.setattr(sections, "_time_process", lambda command: ran.append(command) or len(ran))
    monkeypatch.setattr(sections, "check_same_files", lambda *files: compared.append(files))
    rows = sections.measure_whole(2, 10, lambda _: None)
    assert [row["who"] for row in rows] == [
        "metaplastic_np, 2 processes of 1 thread",
        "NumPy, 2 processes of 1 thread",
    ]
    assert [(row["lowest"], row["highest"]) for row in rows] == [(3, 5), (4, 6)]
    assert [Path(command[0]).name for command in ran] == ["-m", "numpy_program.py"] * 3
    assert [command[command.index("--trials") + 1] for command in ran] == ["2"] * 2 + ["10"] * 4
    assert all(command[command.index("--jobs") + 1] == "2" for command in ran)
    assert all("--by-epoch" in command for command in ran[::2])  # as the NumPy program tests
    assert len(compared) == 3


def test_starting_is_timed_with_an_empty_kernel_cache_and_a_filled_one(monkeypatch):
    started = []
    monkeypatch.setattr(
        sections.subprocess, "run", lambda *given, **how: started.append((given, how))
    )
    rows = sections.measure_start(["metaplastic_np", "NumPy"], 2, lambda _: None)
    assert [row["who"] for row in rows][2:] == [
        "metaplastic_np, kernel cache empty",
        "metaplastic_np, kernel cache filled",
    ]
    experiments = [how for (command,), how in started if "serial-position" in command]
    folders = [how["env"]["NUMBA_CACHE_DIR"] for how in experiments]
    assert folders[0] == folders[1] != folders[2] == folders[3]
    assert not any(Path(folder).exists() for folder in folders)
    firsts = [command[-1] for (command,), _ in started if "learn_first" in command]
    assert firsts == ["metaplastic_np", "NumPy"] * 2


def test_a_new_process_can_learn_a_first_presentation():
    command = [sys.executable, sections.CONTEST, "learn_first", "NumPy"]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


has_peak = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="only Linux tells a peak from a moment on"
)


@has_peak
def test_memory_is_that_of_learning(monkeypatch, capsys):
    monkeypatch.setattr(contest, "MEMORY_SIZES", (2048, 512, 512, 10))
    contest.print_memory("NumPy")
    # Weights, birth, flexibility, rates and gradients are 5; the images were there before.
    assert 4 < float(capsys.readouterr().out) < 12


@has_peak
def test_memory_is_a_row_for_each_program(monkeypatch):
    answer = SimpleNamespace(stdout="4.2\n")
    monkeypatch.setattr(sections.subprocess, "run", lambda *_, **__: answer)
    (row,) = sections.measure_memory(["NumPy"], lambda _: None)
    assert (row["who"], row["median"], row["unit"]) == ("NumPy", 4.2, "floats")
    assert "9216-4096-4096-10, batch 1024" in row["what"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--sections", "presentation,speed"], "`sections` must be one of"),
        (["--repeats", "0"], "`repeats` must be a whole number, at least 1"),
        (["--trials", "0"], "`trials` must be a whole number, at least 1"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_a_line(arguments, words, capsys):
    assert bench.main(arguments) == 2
    complaint = capsys.readouterr().err
    assert words in complaint
    assert complaint.count("\n") == 1


# --- the command `metaplastic-np bench` ----------------------------------------------


def test_the_command_hands_its_options_to_the_checkout_and_its_status_back(capfd):
    assert cli.main(["bench", "--sections", "speed", "--repeats", "1", "--trials", "2"]) == 2
    complaint = capfd.readouterr().err
    assert "`sections` must be one of presentation, job, start, memory; got 'speed'" in complaint
    assert complaint.count("\n") == 1


def test_the_command_hands_on_what_was_given_and_nothing_else(monkeypatch):
    ran = []
    monkeypatch.setattr(commands, "_run_script", lambda *given: ran.append(given) or 3)
    assert cli.main(["bench"]) == 3
    given = ["--sections", "job,start", "--repeats", "2", "--trials", "4", "--json", "a b.json"]
    assert cli.main(["bench", *given]) == 3
    script = ROOT / "tests" / "benchmarks" / "bench.py"
    options = ["--sections=job,start", "--repeats=2", "--trials=4", "--json=a b.json"]
    assert ran == [(script, [], ROOT), (script, options, ROOT)]


def test_the_help_of_the_command_names_every_section(capsys):
    assert cli.main(["bench", "--help"]) == 0
    assert ", ".join(bench.SECTIONS) in " ".join(capsys.readouterr().out.split())


def test_without_the_sources_the_command_says_so_in_a_line(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(commands, "__file__", str(tmp_path / "metaplastic_np/cli/commands.py"))
    assert cli.main(["bench"]) == 2
    complaint = capsys.readouterr().err
    assert "the benchmark comes with a source checkout" in complaint
    assert 'is not there: run `pip install -e ".[bench]"` in a clone of the repository' in complaint
    assert complaint.count("\n") == 1


@pytest.mark.parametrize(("end", "status"), [("sys.exit(7)", 7), ("os.abort()", 1)])
def test_a_script_that_ends_ends_the_command(end, status, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(f"import os, sys; assert sys.argv[1:] == ['--a=1'];\n{end}\n")
    assert commands._run_script(script, ["--a=1"], ROOT) == status


@pytest.mark.skipif(sys.platform == "win32", reason="no signals to groups of processes")
def test_ctrl_c_ends_the_benchmark_and_its_workers_without_a_traceback():
    process = subprocess.Popen(
        [sys.executable, "-m", "metaplastic_np", "bench", "--sections", "job"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    while "warming up" not in process.stderr.readline():
        assert process.poll() is None
    time.sleep(3)  # workers import
    os.killpg(process.pid, signal.SIGINT)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 130
    assert complaint.splitlines()[-1] == "metaplastic-np: stopped by Ctrl-C"
    assert "Traceback" not in complaint
    for _ in range(100):  # until nobody of the session is left
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("a process of the benchmark is still there")
