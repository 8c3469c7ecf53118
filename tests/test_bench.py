"""The comparison with other libraries: the same work, honestly counted."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

import metaplastic_np as mp
from metaplastic_np import bench, cli, contest, rivals


def make_presentation(rng, dtype, n_images=50):
    images = rng.random((n_images, 40)) * (rng.random((n_images, 40)) < 0.4)
    return mp.Presentation(
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
