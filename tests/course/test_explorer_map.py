"""The numbers that the explorer page draws: whole, within bounds, and those of the package."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import metaplastic_np as mp

FOLDER = Path(__file__).parents[2] / "docs" / "explorer"
# Recall is a share of 100 test images. In float32 another BLAS, or the other backend, rounds sums
# differently; along a list of 200 updates the rounding grows until images near a boundary get
# another answer. Between our two backends that is 0.014 a recall of this trial in the mean, and at
# most 0.03 in the list's first half; for half or twice the kappa it is 0.05, and 0.17 or more.
ROUNDING, MEAN_ROUNDING = 0.1, 0.03
HALF_A_THOUSANDTH = 0.0005 + 1e-9


@pytest.fixture(scope="module")
def make_map():
    spec = importlib.util.spec_from_file_location("make_map", FOLDER / "make_map.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_strictly(name):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    text = (FOLDER / name).read_text(encoding="utf-8")
    assert len(text) < 500_000
    assert "</" not in text  # it stands inside a script element
    return json.loads(text, parse_constant=refuse)


@pytest.fixture(scope="module")
def stored():
    return read_strictly("map.json")


def cells_of(stored):
    return [cell for cells in stored["cells"].values() for cell in cells]


def test_the_map_has_every_pair_of_levels_and_every_kappa(stored, make_map):
    assert stored["levels"] == list(make_map.LEVELS)
    assert stored["kappas"] == list(make_map.KAPPAS)
    assert list(stored["cells"]) == [make_map.name_cell(*pair) for pair in make_map.grid()]
    for low, high in make_map.grid():
        cells = stored["cells"][make_map.name_cell(low, high)]
        assert len(cells) == len(make_map.kappas_of(low, high))
    assert len(stored["cells"]["0-0"]) == len(stored["cells"]["1-1"]) == 1


def test_the_map_was_made_with_the_settings_of_today(stored, make_map):
    settings = mp.Settings(seed=make_map.SEED, trials=make_map.TRIALS)
    assert mp.Settings(**stored["settings"]) == settings
    assert (stored["seed"], stored["trials"]) == (make_map.SEED, make_map.TRIALS)
    assert (FOLDER.parents[1] / stored["command"].split()[1]).exists()


def test_recall_is_a_share_and_its_last_row_the_mean_over_trials(stored):
    for cell in cells_of(stored):
        recall, trials = np.array(cell["recall"]), np.array(cell["trials"])
        assert recall.shape == (11, 10)
        assert trials.shape == (stored["trials"], 10)
        assert ((recall >= 0) & (recall <= 1)).all()
        assert np.abs(trials.mean(axis=0) - recall[-1]).max() <= HALF_A_THOUSANDTH


def test_the_shares_of_the_weights_add_up_to_1(stored):
    n_bins = len(stored["log10_edges"]) - 1
    for cell in cells_of(stored):
        assert len(cell["spread"]) == n_bins
        assert abs(sum(cell["spread"]) - 1) <= n_bins * 0.00005 + 1e-9


def test_networks_that_the_equation_cannot_tell_apart_have_the_same_map(stored):
    """With one flexibility only kappa (1 - f)/f counts: 0.5 at 14 is 0.8 at 56."""
    one = stored["cells"]["0.5-0.5"][stored["kappas"].index(14)]
    other = stored["cells"]["0.8-0.8"][stored["kappas"].index(56)]
    assert np.abs(np.array(one["recall"]) - np.array(other["recall"])).max() <= ROUNDING


def test_one_trial_of_the_map_is_what_the_package_learns(stored, make_map):
    from threadpoolctl import threadpool_limits

    reference = stored["reference"]
    with threadpool_limits(limits=1):
        draws = make_map.draw_trial(mp.Settings(), 0)
        levels = reference["low"], reference["high"], reference["kappa"]
        recall, spread = make_map.learn_list(draws, mp.Settings(), *levels)
    assert np.abs(recall - reference["recall"][0]).mean() <= MEAN_ROUNDING
    assert np.abs(recall[:6] - reference["recall"][0][:6]).max() <= ROUNDING
    assert reference["recall"][0][-1] == stored["cells"]["0-1"][3]["trials"][0]
    assert spread.sum() == pytest.approx(1)
    assert draws.rms == pytest.approx(stored["rms"][0], rel=1e-3)

    settings = mp.Settings(trials=1, kappa=reference["kappa"], networks=("hybrid",))
    experiment = mp.run_experiment(mp.load_digits(), settings).recall[0, 0]
    assert np.abs(recall - experiment).max() <= ROUNDING


def test_the_player_has_three_networks_of_ten_items():
    memory = read_strictly("memory.json")
    player = (FOLDER / "memory.html").read_text(encoding="utf-8")
    assert (FOLDER / "memory.json").read_text(encoding="utf-8") in player
    assert list(memory["networks"]) == list(mp.Settings().networks)
    assert memory["trials"] == mp.Settings().trials
    for recall in memory["networks"].values():
        assert np.shape(recall) == (11, 10)
        assert np.min(recall) >= 0
        assert np.max(recall) <= 1
