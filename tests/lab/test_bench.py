"""The comparison with other libraries: the same work, honestly counted."""

import json
import subprocess
import sys
from concurrent.futures import Executor, Future
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import metaplastic_np as mp
from metaplastic_np import cli
from metaplastic_np.bench import bench, contest, rivals


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
        ours.learn(shown)
        theirs.learn(shown)
    moved = np.abs(ours.read() - rule.initial_weights).max()
    assert moved > 0.01
    assert np.abs(ours.read() - theirs.read()).max() < error * moved
    np.testing.assert_array_equal(ours.answer(shown.images), theirs.answer(shown.images))
    assert theirs.read().dtype == dtype


def test_a_program_that_learns_something_else_is_refused():
    def worker(program, moved):
        return SimpleNamespace(
            arrangement=bench.Arrangement(program, 1, 1), call=lambda *_: [np.array(moved)]
        )

    same = [worker("metaplastic_np", [1.0, 2.0]), worker("NumPy", [1.0, 2.0])]
    bench._check_same_weights(same, (8,), 64)
    other = [same[0], worker("NumPy", [1.0, 2.1])]
    with pytest.raises(
        mp.DivergenceError, match=r"NumPy and metaplastic_np did not learn the same"
    ):
        bench._check_same_weights(other, (8,), 64)


def test_necessary_operations_are_those_of_the_products():
    """Counted product by product: forward, weight gradient, and back into hidden layers only."""
    n_on, hidden, n_out = 30, 20, 5
    forward = n_on * hidden + hidden * n_out
    weight_gradient = forward
    input_gradient = hidden * n_out
    products = forward + weight_gradient + input_gradient
    assert rivals.count_operations((40, hidden, n_out), n_on) == 2 * products


def test_a_trial_of_a_rival_is_the_packages_trial():
    settings = mp.Settings(
        n_items=4,
        trials=1,
        n_train_images=60,
        n_test_images=20,
        n_features=64,
        hidden=(16,),
        steepness=contest.STEEPNESS,
        dtype="float64",
    )
    (ours,) = contest.run_trials("metaplastic_np", settings, [0])
    (theirs,) = contest.run_trials("NumPy", settings, [0])
    np.testing.assert_array_equal(ours, theirs)


def test_where_mnist_is_not_the_digits_are_enlarged_to_its_size(monkeypatch, tmp_path):
    monkeypatch.setenv("METAPLASTIC_NP_DATA", str(tmp_path))
    dataset, name = contest.load_canvas()
    assert name == "the bundled digits, enlarged"
    assert dataset.train_images.shape[1:] == (28, 28)


@pytest.mark.numba
def test_a_table_and_a_file_of_what_was_measured(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(bench, "SHAPES", (((8,), 64),))
    monkeypatch.setattr(bench, "find_spec", lambda module: None if module.startswith("no") else 1)
    monkeypatch.setattr(
        bench, "MODULES", {"metaplastic_np": "metaplastic_np", "PyTorch": "notorch"}
    )
    path = tmp_path / "bench.json"
    arguments = ["bench", "--sections", "presentation", "--repeats", "1", "--json", str(path)]
    assert cli.main(arguments) == 0
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
    """The job with small trials, and in this process; two cores."""
    small = {"n_items": 4, "n_train_images": 60, "n_test_images": 20, "n_features": 64}
    monkeypatch.setattr(bench, "Settings", partial(mp.Settings, **small, hidden=(16,)))
    monkeypatch.setattr(bench, "ProcessPoolExecutor", Here)
    monkeypatch.setattr(bench.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(contest, "LARGEST", 64)
    monkeypatch.setattr(contest, "_here", {})


@pytest.mark.usefixtures("small_job")
def test_the_job_is_timed_for_every_arrangement_over_the_same_work():
    said = []
    rows = bench._measure_job(["metaplastic_np", "NumPy"], 2, 3, said.append)
    assert [row["who"] for row in rows] == [
        "metaplastic_np, 1 thread",
        "metaplastic_np, 2 processes of 1 thread",
        "NumPy, 2 threads",
        "NumPy, 2 processes of 1 thread",
    ]
    assert len(said) == 1 + 2 * len(rows)
    assert min(row["ratio"] for row in rows if row["who"].startswith("meta")) == 1
    work = {round(row["share"] * row["product_rate"] * row["median"]) for row in rows}
    assert len(work) == 1
    # 3 trials x 3 networks x 4 presentations of 120 images, an epoch at least.
    assert work.pop() > 3 * 3 * 4 * 120 * rivals.count_operations((64, 16, 4), 60)


@pytest.mark.usefixtures("small_job")
def test_a_job_that_remembers_something_else_is_refused(monkeypatch):
    def run_trials(program, settings, trials):
        found = contest.run_trials(program, settings, trials)
        return found if program == "metaplastic_np" else [np.zeros_like(each) for each in found]

    monkeypatch.setattr(bench, "run_trials", run_trials)
    with pytest.raises(mp.DivergenceError, match=r"NumPy and metaplastic_np .*recall"):
        bench._measure_job(["metaplastic_np", "NumPy"], 1, 1, print)


def test_starting_is_timed_with_an_empty_kernel_cache_and_a_filled_one(monkeypatch):
    started = []
    monkeypatch.setattr(bench.subprocess, "run", lambda *given, **how: started.append((given, how)))
    rows = bench._measure_start(["metaplastic_np", "NumPy"], 2, lambda _: None)
    assert [row["who"] for row in rows][2:] == [
        "metaplastic_np, kernel cache empty",
        "metaplastic_np, kernel cache filled",
    ]
    experiments = [how for (command,), how in started if "serial-position" in command]
    folders = [how["env"]["NUMBA_CACHE_DIR"] for how in experiments]
    assert folders[0] == folders[1] != folders[2] == folders[3]
    assert not any(Path(folder).exists() for folder in folders)
    firsts = [command[-1] for (command,), _ in started if "-c" in command]
    assert firsts == ["metaplastic_np", "NumPy"] * 2


def test_a_new_process_can_learn_a_first_presentation():
    code = "import sys; from metaplastic_np.bench import contest; contest.learn_first(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, "NumPy"], check=True)


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
    monkeypatch.setattr(bench.subprocess, "run", lambda *_, **__: answer)
    (row,) = bench._measure_memory(["NumPy"], lambda _: None)
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
    assert cli.main(["bench", *arguments]) == 2
    complaint = capsys.readouterr().err
    assert words in complaint
    assert complaint.count("\n") == 1
