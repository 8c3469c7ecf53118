"""Trials, workers, checkpoints and results."""

import json
import os
import threading
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

import metaplastic_np as mp
from metaplastic_np._util.blas import one_blas_thread
from metaplastic_np.experiments import balance, trials, workers
from metaplastic_np.experiments import run as experiments
from metaplastic_np.experiments.settings import describe_run
from metaplastic_np.nn import network as networks

SMALL = mp.Settings(
    n_items=4,
    trials=3,
    n_train_images=40,
    n_test_images=10,
    n_features=32,
    hidden=(16,),
    batch_size=32,
    epochs=2,
    steepness=200.0,
    by_epoch=True,
)


@pytest.fixture(scope="module")
def digits():
    return mp.load_digits()


@pytest.fixture(scope="module")
def results(digits):
    return mp.run_experiment(digits, SMALL, backend="numpy")


def same_bits(one, other):
    return all(
        getattr(one, name).tobytes() == getattr(other, name).tobytes()
        for name in mp.experiments.ARRAYS
    )


def test_results_have_the_documented_axes(results):
    assert results.confusion.shape == (3, 3, 5, 4, 4)
    assert results.recall.shape == (3, 3, 5, 4)
    assert results.recall_by_epoch.shape == (3, 3, 9, 4)
    assert results.item_classes.shape == (3, 4, 2)
    assert results.kappa.shape == (3,)
    assert (results.confusion.sum(axis=-1) == SMALL.n_test_images).all()


def test_row_0_is_untrained_and_shared_by_the_networks_of_a_trial(results):
    for network in (1, 2):
        np.testing.assert_array_equal(results.confusion[0, :, 0], results.confusion[network, :, 0])


def test_trials_differ(results):
    assert len({recall.tobytes() for recall in results.confusion[0]}) == SMALL.trials


def test_networks_of_a_trial_learn_the_first_item_alike_and_then_part(results):
    np.testing.assert_array_equal(results.confusion[0, :, 1], results.confusion[2, :, 1])
    assert not np.array_equal(results.confusion[0, :, -1], results.confusion[2, :, -1])


def test_recall_by_epoch_ends_each_presentation_with_its_recall(results):
    np.testing.assert_array_equal(results.recall_by_epoch[:, :, :: SMALL.epochs], results.recall)


def test_measuring_by_epoch_changes_no_bit(digits, results, backend):
    by_epoch = mp.run_experiment(digits, SMALL, backend=backend)
    settings = replace(SMALL, by_epoch=False)
    without = mp.run_experiment(digits, settings, backend=backend)
    assert without.recall_by_epoch.shape[2] == 0
    np.testing.assert_array_equal(without.confusion, by_epoch.confusion)


def test_learning_the_shared_first_presentation_once_changes_no_bit(digits, backend, monkeypatch):
    shared = mp.run_experiment(digits, SMALL, backend=backend)
    monkeypatch.setattr(trials, "is_plain_at_birth", lambda *_: False)
    assert same_bits(mp.run_experiment(digits, SMALL, backend=backend), shared)


def test_a_rigid_network_does_not_share_the_first_presentation(digits):
    settings = replace(SMALL, networks=("conventional", "homogeneous:0"))
    found = mp.run_experiment(digits, settings, backend="numpy")
    assert not np.array_equal(found.confusion[0, :, 1], found.confusion[1, :, 1])


def test_a_network_does_not_depend_on_which_others_run(digits, results):
    alone = replace(SMALL, networks=("hybrid",))
    found = mp.run_experiment(digits, alone, backend="numpy")
    np.testing.assert_array_equal(found.confusion[0], results.confusion[2])


def test_a_trial_does_not_depend_on_how_many_run(digits, results):
    fewer = mp.run_experiment(digits, replace(SMALL, trials=1), backend="numpy")
    np.testing.assert_array_equal(fewer.confusion[:, 0], results.confusion[:, 0])


def test_another_seed_gives_other_bits(digits, results):
    other = mp.run_experiment(digits, replace(SMALL, seed=1), backend="numpy")
    assert not same_bits(other, results)


@pytest.mark.parametrize("jobs", [1, 2])
def test_same_seed_same_bits_for_any_number_of_workers(digits, backend, jobs):
    here = mp.run_experiment(digits, SMALL, backend=backend)
    with mp.open_pool(jobs) as executor:
        there = mp.run_experiment(digits, SMALL, backend=backend, executor=executor)
    assert same_bits(here, there)


def test_networks_that_learn_at_once_in_threads_learn_the_same_bits(digits, backend, monkeypatch):
    def run(threads):
        workers_seen.clear()
        monkeypatch.setattr(experiments, "count_threads", lambda: threads)
        return mp.run_experiment(digits, SMALL, backend=backend), set(workers_seen)

    def note(*arguments, **options):
        workers_seen.append(threading.current_thread())
        return learn_item(*arguments, **options)

    workers_seen, learn_item = [], trials.learn_item
    monkeypatch.setattr(trials, "learn_item", note)
    one, alone = run(1)
    at_once, together = run(3)
    assert alone == {threading.current_thread()}
    assert len(together) > 1
    assert same_bits(one, at_once)


@pytest.mark.parametrize(
    ("platform", "cores", "threads"),
    [("linux", 2, 3), ("darwin", 8, 9), ("linux", 1, 1), ("emscripten", 8, 1)],
)
def test_a_thread_more_than_cores_keeps_all_cores_busy(platform, cores, threads, monkeypatch):
    monkeypatch.setattr(workers.sys, "platform", platform)
    monkeypatch.setattr(workers, "count_cores", lambda: cores)
    assert workers.count_threads() == threads


def test_any_executor_will_do(digits, backend):
    here = mp.run_experiment(digits, SMALL, backend=backend)
    with ThreadPoolExecutor(2) as executor:
        found = mp.run_experiment(digits, SMALL, backend=backend, executor=executor)
    assert same_bits(found, here)


def test_learning_is_limited_to_one_blas_thread(digits, monkeypatch):
    from threadpoolctl import threadpool_info

    seen = []
    learn_item = trials.learn_item

    def spy(*arguments, **options):
        seen.extend(lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas")
        return learn_item(*arguments, **options)

    monkeypatch.setattr(trials, "learn_item", spy)
    mp.run_experiment(digits, replace(SMALL, trials=1), backend="numpy")
    assert set(seen) <= {1}  # no library at all where NumPy uses Apple's


@pytest.mark.parametrize("option", ["non_target", "refresh", "modulate_biases", "dtype"])
def test_each_setting_of_the_protocol_changes_the_result(digits, results, option):
    value = {"non_target": "true", "refresh": "update", "modulate_biases": True}
    changed = replace(SMALL, **{option: value.get(option, "float64")})
    found = mp.run_experiment(digits, changed, backend="numpy")
    # Rounding alone hardly changes answers; kappa is a float and shows float64.
    assert not same_bits(found, results)


def test_kappa_sets_each_trials_steepness(digits):
    settings = replace(SMALL, steepness=None, kappa=7.5)
    found = mp.run_experiment(digits, settings, backend="numpy")
    np.testing.assert_allclose(found.kappa, 7.5, rtol=1e-9)
    fixed = mp.run_experiment(digits, SMALL, backend="numpy")
    assert found.kappa.std() < fixed.kappa.std()
    assert not np.array_equal(found.confusion[2], fixed.confusion[2])


def test_steepness_and_its_kappa_are_the_same_trial(digits):
    fixed = mp.run_experiment(digits, replace(SMALL, trials=1), backend="numpy")
    kappa = replace(SMALL, trials=1, steepness=None, kappa=float(fixed.kappa[0]))
    found = mp.run_experiment(digits, kappa, backend="numpy")
    np.testing.assert_array_equal(found.confusion, fixed.confusion)


# --- balance -------------------------------------------------------------------------


def test_balance_makes_first_and_last_item_alike(digits):
    settings = replace(SMALL, n_train_images=100, learning_rate=0.05, epochs=5)
    steps = []
    steepness = mp.balance_steepness(
        digits, settings, trials=6, backend="numpy", on_step=lambda *step: steps.append(step)
    )
    assert len(steps) == balance.BALANCE_STEPS
    apart = [
        abs(difference) for _, difference in sorted(steps, key=lambda s: abs(s[0] - steepness))
    ]
    assert apart[0] < 0.15 < max(apart)


def test_balance_uses_calibration_seeds_only(digits, monkeypatch):
    seeds = []
    run = balance.run_experiment

    def spy(dataset, settings, **options):
        seeds.append(settings.seed)
        return run(dataset, settings, **options)

    monkeypatch.setattr(balance, "run_experiment", spy)
    settings = replace(SMALL, n_train_images=100, learning_rate=0.05, epochs=5, seed=3)
    mp.balance_steepness(digits, settings, trials=2, backend="numpy")
    assert set(seeds) == {mp.experiments.CALIBRATION_SEED} == {10_000}


def test_balance_says_when_nothing_balances(digits):
    deaf = replace(SMALL, learning_rate=1e-9)
    message = (
        "no steepness between .* balances first and last item: the last item (stays|never gets)"
    )
    with pytest.raises(mp.InputError, match=message):
        mp.balance_steepness(digits, deaf, trials=1, backend="numpy")


# --- interruption --------------------------------------------------------------------


def test_finished_trials_are_on_disk_and_not_run_again(digits, results, tmp_path, monkeypatch):
    def stop(done):
        if done["experiment"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mp.run_experiment(digits, SMALL, backend="numpy", checkpoint=tmp_path, on_trial=stop)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["trial-0000.npz", "trial-0001.npz"]
    ran = []
    run_trial = experiments.run_trial
    monkeypatch.setattr(experiments, "run_trial", lambda *a: ran.append(a[2]) or run_trial(*a))
    resumed = mp.run_experiment(digits, SMALL, backend="numpy", checkpoint=tmp_path)
    assert ran == [2]
    assert same_bits(resumed, results)


def test_a_checkpoint_of_other_settings_is_refused(digits, tmp_path):
    mp.run_experiment(digits, SMALL, backend="numpy", checkpoint=tmp_path)
    for change, message in (
        ({"seed": 5}, r"trial-0000.npz belongs to a run with other settings \(seed 0, now 5\)"),
        ({"hidden": (8,)}, r"\(hidden \[16\], now \[8\]\)"),
    ):
        with pytest.raises(mp.OutputError, match=message):
            mp.run_experiment(
                digits, replace(SMALL, **change), backend="numpy", checkpoint=tmp_path
            )


def test_trials_of_another_machine_are_kept_with_a_warning(digits, results, tmp_path):
    mp.run_experiment(digits, SMALL, backend="numpy", checkpoint=tmp_path)
    path = tmp_path / "trial-0001.npz"
    arrays, header = mp._util.storage.read_arrays(path)
    header["machine"]["numpy"] = "1.0"
    mp._util.storage.write_arrays(path, arrays, header=header)
    with pytest.warns(RuntimeWarning, match="run on another machine, backend or version"):
        found = mp.run_experiment(digits, SMALL, backend="numpy", checkpoint=tmp_path)
    assert same_bits(found, results)


def test_a_resume_with_another_backend_is_told(digits, tmp_path):
    one = replace(SMALL, trials=2)
    mp.run_experiment(digits, one, backend="numpy", checkpoint=str(tmp_path))
    path = tmp_path / "trial-0001.npz"
    arrays, header = mp._util.storage.read_arrays(path)
    mp._util.storage.write_arrays(path, arrays, header={**header, "backend": "numba"})
    with pytest.warns(RuntimeWarning, match="another machine, backend or version"):
        mp.run_experiment(digits, one, backend="numpy", checkpoint=str(tmp_path))


DAMAGES = {  # what is in a file of trial 1, from that of trial 0; and why it cannot be used
    "torn": (lambda path, _: path.write_bytes(b"PK\x03\x04 torn"), "it is damaged or not an npz"),
    "of another trial": (
        lambda path, other: path.write_bytes(other.read_bytes()),
        "it holds trial 0, not 1",
    ),
    "of no number": (
        lambda path, other: change_file(other, path, trial=None),
        "it lacks trial, version",
    ),
    "of another shape": (
        lambda path, other: change_file(other, path, {"confusion": lambda c: c[:, 1:]}, trial=1),
        r"confusion are \(",
    ),
    "of other counts": (
        lambda path, other: change_file(other, path, {"confusion": lambda c: c + 1}, trial=1),
        "its confusion cannot be right",
    ),
    "of a schedule that is not there": (
        lambda path, other: change_file(other, path, {"schedule": lambda s: s + 4}, trial=1),
        "its schedule cannot be right",
    ),
    "of a kappa that is none": (
        lambda path, other: change_file(other, path, {"kappa": lambda k: np.nan * k}, trial=1),
        "its kappa cannot be right",
    ),
    "of no machine": (
        lambda path, other: change_file(other, path, trial=1, machine=None),
        "its machine cannot be right",
    ),
    "of words for seconds": (
        lambda path, other: change_file(other, path, trial=1, seconds="12"),
        "its seconds cannot be right",
    ),
}


def change_file(source, target, changes=None, **facts):
    """A copy of a file in which something is not as it was; a fact that is None is left out."""
    arrays, header = mp._util.storage.read_arrays(source)
    arrays |= {name: change(arrays[name]) for name, change in (changes or {}).items()}
    header = {**header, **facts}
    if facts.get("trial", 0) is None:
        header = {name: header[name] for name in header if name not in ("trial", "version")}
    mp._util.storage.write_arrays(target, arrays, header=header)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_trial_that_cannot_be_used_is_set_aside_and_learned_again(
    damage, digits, results, tmp_path
):
    mp.run_experiment(digits, replace(SMALL, trials=1), backend="numpy", checkpoint=tmp_path)
    make, reason = DAMAGES[damage]
    make(tmp_path / "trial-0001.npz", tmp_path / "trial-0000.npz")
    whole, torn = ((tmp_path / f"trial-000{n}.npz").read_bytes() for n in (0, 1))
    words = rf"trial-0001\.npz: {reason}.*; it is now called trial-0001\.npz\.aside-1, and its"
    with pytest.warns(RuntimeWarning, match=words):
        found = mp.run_experiment(digits, SMALL, backend="numpy", checkpoint=tmp_path)
    assert same_bits(found, results)
    assert (tmp_path / "trial-0001.npz.aside-1").read_bytes() == torn
    assert (tmp_path / "trial-0000.npz").read_bytes() == whole


STATES = {  # what a state cannot be: arrays by what their names begin with, facts
    "of another network": ({"state/0/parameters": lambda a: a[1:]}, {}),
    "of too few rows": ({"rows/1/confusion": lambda a: a[1:]}, {}),
    "of rows of another kind": ({"rows/1/confusion": lambda a: a[..., 1:]}, {}),
    "after no presentation": ({}, {"done": 0}),
    "after more than there are": ({"rows/": lambda a: a[[0] * 31]}, {"done": 30}),
    "that has not moved": ({}, {"rms": 0.0}),
    "that moved without end": ({}, {"rms": float("inf")}),
    "without what is rewound to": ({}, {"arrays": []}),
}


@pytest.mark.parametrize("kind", STATES)
def test_a_state_that_cannot_be_is_set_aside_and_the_trial_begun_again(
    kind, digits, tmp_path, monkeypatch
):
    settings = replace(POISONED, trials=1)
    whole = mp.run_experiment(digits, settings, backend="numpy")
    path = tmp_path / "trial-0000.state.npz"
    monkeypatch.setattr(trials, "STATE_SECONDS", 0.0)
    trials.run_trial(digits, settings, 0, "numpy", path)
    arrays, header = mp._util.storage.read_arrays(path)
    changes, facts = STATES[kind]
    for start, change in changes.items():
        arrays |= {name: change(arrays[name]) for name in arrays if name.startswith(start)}
    if kind == "without what is rewound to":
        arrays = {name: array for name, array in arrays.items() if not name.startswith("kept/")}
    monkeypatch.undo()
    np.savez(path, header=np.array(json.dumps({**header, **facts})), **arrays)
    with pytest.warns(RuntimeWarning, match="it holds no state that this trial can have come to"):
        found = mp.run_experiment(digits, settings, backend="numpy", checkpoint=tmp_path)
    assert same_bits(found, whole)
    assert (tmp_path / "trial-0000.state.npz.aside-1").exists()


def test_nothing_that_was_set_aside_is_overwritten(digits, tmp_path):
    for number in (1, 2):
        (tmp_path / "trial-0000.npz").write_bytes(b"torn %d" % number)
        with pytest.warns(RuntimeWarning, match=f"called trial-0000.npz.aside-{number}"):
            mp.run_experiment(
                digits, replace(SMALL, trials=1), backend="numpy", checkpoint=tmp_path
            )
        assert (tmp_path / f"trial-0000.npz.aside-{number}").read_bytes() == b"torn %d" % number


def test_trials_of_another_version_are_refused_and_kept(digits, tmp_path):
    mp.run_experiment(digits, replace(SMALL, trials=2), backend="numpy", checkpoint=tmp_path)
    path = tmp_path / "trial-0001.npz"
    change_file(path, path, version="0.0.1")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    words = "trial-0001.npz was made by version 0.0.1 of metaplastic_np, and this is .*: go on with"
    with pytest.raises(mp.OutputError, match=words):
        mp.run_experiment(digits, SMALL, backend="numpy", checkpoint=tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_run_is_extended_and_its_first_trials_are_not_run_again(
    digits, results, tmp_path, monkeypatch
):
    mp.run_experiment(digits, replace(SMALL, trials=2), backend="numpy", checkpoint=tmp_path)
    ran, run_trial = [], experiments.run_trial
    monkeypatch.setattr(experiments, "run_trial", lambda *a: ran.append(a[2]) or run_trial(*a))
    found = mp.run_experiment(digits, SMALL, backend="numpy", checkpoint=tmp_path)
    assert ran == [2]
    assert same_bits(found, results)
    assert found.header["settings"]["trials"] == SMALL.trials


def test_a_worker_that_dies_leaves_finished_trials_and_a_clear_line(digits, tmp_path):
    class Dying(ProcessPoolExecutor):
        """Runs one trial, and loses the worker of the others."""

        def __init__(self):
            super().__init__(1)
            self.count = 0

        def submit(self, function, *arguments):
            self.count += 1
            if self.count == 1:
                done = Future()
                done.set_result(function(*arguments))
                return done
            return super().submit(os._exit, 1)

    message = r"a worker process died: killed, or out of memory\? \(fewer workers need less\)"
    with Dying() as executor, pytest.raises(mp.WorkerError, match=message):
        mp.run_experiment(digits, SMALL, backend="numpy", checkpoint=tmp_path, executor=executor)
    assert [path.name for path in tmp_path.iterdir()] == ["trial-0000.npz"]


def test_a_pool_that_is_broken_already_is_told(digits):
    with ProcessPoolExecutor(1) as executor:
        executor.submit(os._exit, 1).exception()
        with pytest.raises(mp.WorkerError, match="a worker process died"):
            mp.run_experiment(digits, SMALL, backend="numpy", executor=executor)


def test_a_short_forward_pass_wakes_no_threads_of_blas(monkeypatch):
    from threadpoolctl import threadpool_info

    def threads():
        return {lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"}

    def limits(n_images):
        seen = []

        def spy(*arguments):
            seen.append(threads())
            return forward(*arguments)

        with monkeypatch.context() as context:
            context.setattr(networks, "network_forward", spy)
            mp.predict(small, np.zeros((n_images, 4), np.float32))
        return seen

    forward = networks.network_forward
    small = mp.init_network((4, 2), rng=np.random.default_rng(0))
    monkeypatch.setattr(networks, "MANY", 20 * small.parameters.size)
    assert limits(19) == [{1}]
    assert limits(20) == [threads()]


def test_the_limit_of_blas_threads_ends_with_the_last_user():
    from threadpoolctl import threadpool_info

    def threads():
        return {lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"}

    before = threads()
    first, second = one_blas_thread(), one_blas_thread()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)  # as overlapping threads do: first in, first out
    assert threads() <= {1}
    second.__exit__(None, None, None)
    assert threads() == before


def test_settings_become_plain_values_that_json_holds():
    settings = replace(
        SMALL,
        n_items=np.int64(5),
        dtype=np.float64,
        learning_rate=np.float32(0.25),
        hidden=list(np.array([8, 8])),
    )
    assert settings == replace(SMALL, n_items=5, dtype="float64", learning_rate=0.25, hidden=(8, 8))
    json.dumps(describe_run(mp.load_digits(), settings))


def test_balance_takes_settings_made_with_kappa(digits):
    settings = replace(
        SMALL, n_train_images=100, learning_rate=0.05, epochs=5, steepness=None, kappa=7.5
    )
    assert mp.balance_steepness(digits, settings, trials=1, backend="numpy") > 0


def test_divergence_is_told_with_its_presentation(digits):
    wild = replace(SMALL, learning_rate=1e20)
    words = r"^experiment, trial 1 of 3, plain gradient descent: .* of presentation 1; "
    with pytest.raises(mp.DivergenceError, match=words):
        mp.run_experiment(digits, wild, backend="numpy")


def test_divergence_is_told_with_its_experiment_trial_and_network(digits, monkeypatch):
    """Here of a network that diverges alone, later than the first presentation."""
    real = trials.learn_item

    def diverge(network, learner, presentation, **options):
        if learner.synapses.hidden and presentation.number == 2:
            mp._util.errors.raise_diverged("the weights", presentation.number)
        return real(network, learner, presentation, **options)

    monkeypatch.setattr(trials, "learn_item", diverge)
    words = "^mine, trial 1 of 3, hybrid: the weights are not finite after presentation 3"
    plan = {"mine": replace(SMALL, networks=("hybrid",))}
    with pytest.raises(mp.DivergenceError, match=words):
        mp.experiments.run_experiments(digits, plan, backend="numpy")


def test_too_many_items_are_refused_before_anything_is_written(digits, tmp_path):
    with pytest.raises(mp.InputError, match="at most 45"):
        mp.run_experiment(
            digits, replace(SMALL, n_items=46), backend="numpy", checkpoint=tmp_path / "new"
        )
    assert not (tmp_path / "new").exists()


# --- results on disk -----------------------------------------------------------------


def test_saved_results_read_back_with_the_same_bits(results, tmp_path):
    npz, table = mp.save_results(results, tmp_path / "made", name="mine")
    again = mp.load_results(npz)
    assert same_bits(again, results)
    assert again.settings == results.settings
    assert again.header == results.header
    lines = table.read_text().splitlines()
    assert lines[0] == "network,trial,presentation,item,recall,false_alarms,memorized,shows"
    assert len(lines) == 1 + results.recall.size
    cells = lines[-1].split(",")
    assert cells[:4] == ["hybrid", "2", "4", "3"]
    assert float(cells[4]) == pytest.approx(results.recall[-1, -1, -1, -1])
    assert float(cells[5]) == pytest.approx(
        mp.metrics.measure_false_alarms(results.confusion)[-1, -1, -1, -1], abs=1e-6
    )


def test_equal_settings_replace_and_other_settings_are_refused(digits, results, tmp_path):
    mp.save_results(results, tmp_path, name="mine")
    mp.save_results(results, tmp_path, name="mine")
    other = mp.run_experiment(digits, replace(SMALL, seed=9), backend="numpy")
    before = (tmp_path / "mine.npz").read_bytes()
    with pytest.raises(mp.OutputError, match=r"other settings \(seed 0, now 9\)"):
        mp.save_results(other, tmp_path, name="mine")
    assert (tmp_path / "mine.npz").read_bytes() == before


def test_the_header_is_json_and_says_what_may_differ(results):
    header = json.loads(json.dumps(results.header, allow_nan=False))
    assert header["networks"] == ["conventional", "stable", "hybrid"]
    assert header["settings"]["seed"] == 0
    assert header["backend"] == "numpy"
    assert len(header["seconds_by_trial"]) == SMALL.trials
    assert {"cpu", "numpy", "blas", "system"} <= set(header["machine"])


def test_a_file_of_another_kind_or_schema_is_refused(results, tmp_path):
    network = mp.init_network((3, 2), rng=np.random.default_rng(0))
    path = tmp_path / "network.npz"
    mp.save_network(path, network)
    with pytest.raises(mp.InputError, match="it holds no experiment"):
        mp.load_results(path)
    mp._util.storage.write_arrays(path, {}, header={"kind": "experiment", "schema": 7})
    with pytest.raises(mp.InputError, match="its schema is 7; this version reads 1 and 2"):
        mp.load_results(path)
    mp._util.storage.write_arrays(
        path, {"recall": np.eye(2)}, header={"kind": "experiment", "schema": 1}
    )
    with pytest.raises(mp.InputError, match="it lacks confusion, new_confusion"):
        mp.load_results(path)


def rewrite(results, path, arrays=None, **facts):
    """Results of which something is not as it was."""
    found = {name: getattr(results, name) for name in mp.experiments.ARRAYS}
    mp._util.storage.write_arrays(path, found | (arrays or {}), header=results.header | facts)


@pytest.mark.parametrize("name", mp.experiments.ARRAYS)
def test_results_whose_arrays_do_not_fit_their_settings_are_refused(name, results, tmp_path):
    array = getattr(results, name)
    for wrong in (array[:1], array[None], array.astype("M8[s]")):
        rewrite(results, tmp_path / "a.npz", {name: wrong})
        with pytest.raises(mp.InputError, match=rf"a\.npz: {name} are \("):
            mp.load_results(tmp_path / "a.npz")


def test_files_of_schema_1_have_new_items_apart_and_are_read(digits, tmp_path):
    settings = replace(POISONED, by_epoch=True)
    results = mp.run_experiment(digits, settings, backend="numpy")
    arrays = {name: getattr(results, name) for name in mp.experiments.ARRAYS}
    arrays["new_confusion"] = results.new_confusion
    arrays["confusion"] = results.confusion[..., :4, :]
    old = {**results.header["settings"], "by_epoch": True}
    header = {**results.header, "schema": 1, "settings": old}
    mp._util.storage.write_arrays(tmp_path / "old.npz", arrays, header=header)
    again = mp.load_results(tmp_path / "old.npz")
    assert again.settings == settings
    assert again.new_confusion.any()
    assert same_bits(again, results)
    saved, _ = mp.save_results(again, tmp_path, name="again")
    assert same_bits(mp.load_results(saved), results)
    arrays["new_confusion"] = arrays["new_confusion"][:, :, 1:]
    mp._util.storage.write_arrays(tmp_path / "old.npz", arrays, header=header)
    with pytest.raises(mp.InputError, match=r"old\.npz: its answers to new items do not fit"):
        mp.load_results(tmp_path / "old.npz")


def test_results_without_their_facts_are_refused(results, tmp_path):
    header = {name: fact for name, fact in results.header.items() if name != "machine"}
    arrays = {name: getattr(results, name) for name in mp.experiments.ARRAYS}
    mp._util.storage.write_arrays(tmp_path / "a.npz", arrays, header=header)
    with pytest.raises(mp.InputError, match="it lacks machine"):
        mp.load_results(tmp_path / "a.npz")


CONTRADICTIONS = {
    "recall": ({"recall": lambda r: r[..., ::-1]}, {}, "its recall contradicts its confusion"),
    "confusion": ({"confusion": lambda c: -c}, {}, "its confusion cannot be right"),
    "counts below 0 that add up": (
        {"confusion": lambda c: c + np.array([200, -200, 0, 0])},
        {},
        "its confusion cannot be right",
    ),
    "counts of halves": ({"confusion": lambda c: c / 2}, {}, "its confusion cannot be right"),
    "recall by epoch": (
        {"recall_by_epoch": lambda r: r + 2},
        {},
        "its recall_by_epoch cannot be right",
    ),
    "classes": ({"item_classes": lambda c: -1 - c}, {}, "its item_classes cannot be right"),
    "schedule": ({"schedule": lambda s: s[..., ::-1] + 3}, {}, "its schedule cannot be right"),
    "kappa": ({"kappa": lambda k: -k}, {}, "its kappa cannot be right"),
    "no machine": ({}, {"machine": None}, "its machine cannot be right"),
    "blas without words": ({}, {"machine": {"blas": [""]}}, "its machine cannot be right"),
    "a dataset without a name": ({}, {"dataset": ["digits"]}, "its dataset cannot be right"),
    "a digest that is none": ({}, {"dataset_sha256": 1}, "its dataset_sha256 cannot be right"),
    "a backend that is none": ({}, {"backend": "torch"}, "its backend cannot be right"),
    "seconds of words": ({}, {"seconds_by_trial": ["1"] * 3}, "its seconds cannot be right"),
    "seconds without end": ({}, {"seconds_by_trial": [1e308] * 3}, "its seconds cannot be right"),
    "seconds of one": ({}, {"seconds_by_trial": [1.0]}, "its seconds_by_trial are not one number"),
    "seconds of none": ({}, {"seconds_by_trial": 3}, "its seconds_by_trial are not one number"),
}


@pytest.mark.parametrize("kind", CONTRADICTIONS)
def test_results_that_cannot_be_right_are_refused(kind, digits, tmp_path):
    results = mp.run_experiment(digits, replace(SMALL, by_epoch=True, epochs=1), backend="numpy")
    arrays, facts, reason = CONTRADICTIONS[kind]
    path, _ = mp.save_results(results, tmp_path, name="mine")
    change_file(path, path, arrays, **facts)
    with pytest.raises(mp.InputError, match=rf"mine\.npz: {reason}"):
        mp.load_results(path)


@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_images_are_known_by_their_digest_whatever_they_are_called(name, digits, tmp_path):
    """Others of the same name get neither its settings nor its name; the digits always do."""
    other = replace(digits, name=name, train_images=digits.train_images * np.float32(0.5))
    assert mp.experiments.find_known(other) is None
    assert mp.experiments.init_settings(other).kappa is not None
    made = mp.run_experiment(other, replace(SMALL, trials=1), backend="numpy")
    assert made.header["dataset"] == f"{name} (other images)"
    path, _ = mp.save_results(made, tmp_path, name="mine")
    change_file(path, path, dataset=name)  # as older versions wrote it
    assert mp.load_results(path).header["dataset"] == f"{name} (other images)"
    renamed = replace(digits, name="mine")
    assert mp.experiments.init_settings(renamed) == mp.Settings()
    assert describe_run(renamed, SMALL)["dataset"] == "digits"


def test_a_file_that_holds_no_results_is_not_replaced(results, tmp_path):
    """A dataset that has an experiment's name, say; and nobody is told to delete it."""
    path = tmp_path / "serial-position.npz"
    for content, reason in (({"train_images": np.eye(2)}, "it holds no experiment"), (None, "")):
        path.write_bytes(b"torn") if content is None else np.savez(path, **content)
        before = path.read_bytes()
        words = rf"{reason}.*; it is not replaced: choose another folder$"
        with pytest.raises(mp.OutputError, match=words):
            mp.save_results(results, tmp_path, name="serial-position")
        assert path.read_bytes() == before


def test_results_are_replaced_by_more_trials_and_not_by_fewer(digits, results, tmp_path):
    fewer = mp.run_experiment(digits, replace(SMALL, trials=2), backend="numpy")
    mp.save_results(fewer, tmp_path, name="mine")
    path, _ = mp.save_results(results, tmp_path, name="mine")
    before = path.read_bytes()
    with pytest.raises(mp.OutputError, match=r"other settings \(trials 3, now 2\)"):
        mp.save_results(fewer, tmp_path, name="mine")
    assert path.read_bytes() == before


def test_settings_that_are_no_settings_are_another_run(results, tmp_path):
    rewrite(results, tmp_path / "mine.npz", settings=[1, 2])
    with pytest.raises(mp.InputError, match="its settings cannot be used"):
        mp.load_results(tmp_path / "mine.npz")
    with pytest.raises(mp.OutputError, match="belongs to a run with other settings"):
        mp.save_results(results, tmp_path, name="mine")


# --- the effect itself ---------------------------------------------------------------


def test_conventional_networks_keep_the_last_item_stable_the_first_hybrid_both(digits):
    """The paper's picture, in means over 6 trials of the defaults, on a calibration seed."""
    settings = mp.Settings(trials=6, seed=mp.experiments.CALIBRATION_SEED, by_epoch=False)
    with mp.open_pool(2) as executor:
        found = mp.run_experiment(digits, settings, executor=executor)
    conventional, stable, hybrid = found.recall[:, :, -1].mean(axis=1)
    middle = slice(3, 7)
    assert conventional[-1] > 0.5 > conventional[:5].mean() + 0.4
    assert stable[0] > 0.5 > stable[-5:].mean() + 0.4
    assert min(hybrid[0], hybrid[-1]) > hybrid[middle].mean() > 0.1
    assert hybrid.mean() > max(conventional.mean(), stable.mean())


def test_the_default_steepness_is_the_calibrated_one_at_10_items_and_falls_with_longer_lists():
    assert mp.experiments.measure_default_steepness(10) == mp.Settings().steepness
    found = [mp.experiments.measure_default_steepness(n_items) for n_items in range(3, 31)]
    assert (np.diff(found) < 0).all()
    assert found[0] == 16_000
    assert found[-1] == 5_700


# --- a trial that takes long ---------------------------------------------------------


POISONED = replace(
    SMALL,
    trials=1,
    schedule=[0, 1, 2, 3, 0, mp.Step(1, label=2), mp.Step(2, label=3, shown=4, after=3), 3],
    networks=("conventional", "hybrid"),
    kappa=8.0,
    steepness=None,
    by_flexibility=True,
)


@pytest.mark.parametrize("learned", [1, 3, 9, 14])
def test_a_trial_stopped_within_goes_on_with_the_same_bits(digits, tmp_path, monkeypatch, learned):
    """Also across a step that rewinds to a state from before the stop."""
    whole = mp.run_experiment(digits, POISONED, backend="numpy")
    monkeypatch.setattr(trials, "STATE_SECONDS", 0.0)
    real, calls = trials.learn_item, []

    def stop(*arguments, **options):
        if len(calls) == learned:
            raise KeyboardInterrupt
        calls.append(1)
        return real(*arguments, **options)

    monkeypatch.setattr(trials, "learn_item", stop)
    with pytest.raises(KeyboardInterrupt):
        mp.run_experiment(digits, POISONED, backend="numpy", checkpoint=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["trial-0000.state.npz"]
    again = []
    monkeypatch.setattr(
        trials, "learn_item", lambda *a, **o: again.append(a[2].number) or real(*a, **o)
    )
    resumed = mp.run_experiment(digits, POISONED, backend="numpy", checkpoint=tmp_path)
    assert same_bits(resumed, whole)
    # The networks share the first presentation; nothing but the one in progress is lost.
    assert min(again) == (learned - 1) // 2 + 1
    assert [path.name for path in tmp_path.iterdir()] == ["trial-0000.npz"]


def test_the_state_of_another_run_is_refused(digits, tmp_path, monkeypatch):
    monkeypatch.setattr(trials, "STATE_SECONDS", 0.0)
    monkeypatch.setattr(trials, "collect", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        mp.run_experiment(digits, POISONED, backend="numpy", checkpoint=tmp_path)
    with pytest.raises(mp.OutputError, match=r"state.npz belongs to a run .* \(seed 0, now 1\)"):
        mp.run_experiment(digits, replace(POISONED, seed=1), backend="numpy", checkpoint=tmp_path)


def test_several_runs_share_workers_and_are_those_of_each_alone(digits):
    runs = {"one": SMALL, "long": replace(SMALL, schedule="repetition", trials=1)}
    seen = []
    with mp.open_pool(2) as executor:
        both = mp.experiments.run_experiments(
            digits, runs, backend="numpy", executor=executor, on_trial=seen.append
        )
    assert seen[-1] == {"one": 3, "long": 1}
    for name, settings in runs.items():
        assert same_bits(both[name], mp.run_experiment(digits, settings, backend="numpy"))


def test_the_longest_trials_are_started_first(digits, monkeypatch):
    order = []
    run_trial = experiments.run_trial
    monkeypatch.setattr(
        experiments, "run_trial", lambda *a: order.append(a[1].schedule) or run_trial(*a)
    )
    runs = {"short": SMALL, "long": replace(SMALL, schedule="repetition", trials=1)}
    mp.experiments.run_experiments(digits, runs, backend="numpy")
    assert order == ["repetition", *3 * ["single-pass"]]


def test_settings_to_begin_with_are_calibrated_or_scaled_to_the_same_length():
    digits = mp.load_digits()
    assert mp.experiments.init_settings(
        digits, n_items=30
    ).steepness == mp.experiments.measure_default_steepness(30)
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 5
    for scale, dtype in ((1, float), (1000, float), (255, np.uint8)):
        images = (scale * rng.random((60, 6, 6))).astype(dtype)
        own = mp.Dataset(
            name="own",
            train_images=images,
            train_labels=labels,
            test_images=images[:10],
            test_labels=labels[:10],
        )
        settings = mp.experiments.init_settings(own, n_items=4)
        shown = images / (255 if dtype == np.uint8 else 1) * settings.input_scale
        length = np.sqrt((shown**2).sum(axis=(1, 2)).mean())
        np.testing.assert_allclose(length, 105, rtol=1e-6)
        assert (settings.n_train_images, settings.n_test_images, settings.n_features) == (12, 2, 0)
        assert settings.kappa == 7.5
