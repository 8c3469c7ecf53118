"""Schedules and steps: who is shown when, under which label, and from which state."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare, spearmanr
from worlds import SEEDS

import metaplastic_np as mp
from metaplastic_np import Step
from metaplastic_np.experiments import run as experiments
from metaplastic_np.experiments import trials
from metaplastic_np.experiments.settings import describe_run
from metaplastic_np.scenarios.schedules import draw_derangement


def draw(schedule, n_items, seed=0):
    return mp.scenarios.draw_schedule(schedule, n_items, rng=np.random.default_rng(seed))


def parts(steps):
    """Arrays of items, labels, images shown, and states to start from."""
    return np.array(steps).T


@pytest.fixture(scope="module")
def digits():
    return mp.load_digits()


# --- the paper's schedules -----------------------------------------------------------


@given(SEEDS, st.integers(2, 30))
def test_a_derangement_leaves_nothing_in_its_place(seed, n_items):
    found = draw_derangement(n_items, np.random.default_rng(seed))
    assert sorted(found) == list(range(n_items))
    assert all(label != item for item, label in enumerate(found))


def test_all_nine_derangements_of_four_items_are_equally_likely():
    rng = np.random.default_rng(0)
    counts = Counter(tuple(draw_derangement(4, rng)) for _ in range(4500))
    assert len(counts) == 9
    assert chisquare(list(counts.values())).pvalue > 0.001


@pytest.mark.parametrize(("name", "passes"), [("single-pass", 1), ("repetition", 9)])
def test_the_list_is_shown_once_or_nine_times_over_as_itself(name, passes):
    item, label, shown, after = parts(draw(name, 5))
    np.testing.assert_array_equal(item, np.tile(np.arange(5), passes))
    for part in (label, shown):
        np.testing.assert_array_equal(part, item)
    np.testing.assert_array_equal(after, np.arange(5 * passes))


@pytest.mark.parametrize(("name", "doses"), [("poisoning", 3), ("poisoning-once", 1)])
@given(SEEDS)
def test_poison_and_new_items_follow_the_same_nine_passes_under_the_same_false_labels(
    name, doses, seed
):
    steps = draw(name, 10, seed)
    assert steps[:90] == draw("repetition", 10)
    assert len(steps) == 90 + 2 * 10 * doses
    poison, new = (parts(half) for half in np.split(np.array(steps[90:]), 2))
    label = poison[1][:10]
    assert set(label) == set(range(10))
    assert not (label == np.arange(10)).any()
    for item, labels, shown, _ in (poison, new):
        np.testing.assert_array_equal(item, np.tile(np.arange(10), doses))
        np.testing.assert_array_equal(labels, np.tile(label, doses))
        np.testing.assert_array_equal(shown % 10, item)
    assert (poison[2] < 10).all()
    assert (new[2] >= 10).all()
    end = 90 + 10 * doses
    np.testing.assert_array_equal(poison[3], np.arange(90, end))  # each goes on from the last
    np.testing.assert_array_equal(new[3], [90, *range(end + 1, end + 10 * doses)])


def test_false_labels_differ_from_trial_to_trial():
    labels = {tuple(parts(draw("poisoning-once", 10, seed))[1][90:100]) for seed in range(5)}
    assert len(labels) == 5


@pytest.mark.parametrize("n_items", [4, 10, 20])
@pytest.mark.parametrize("seed", range(4))
def test_how_often_is_independent_of_first_mean_and_last_position(n_items, seed):
    sequence = parts(draw("frequency", n_items, seed))[0].tolist()
    counts = [sequence.count(item) for item in range(n_items)]
    assert sorted(counts) == list(range(1, n_items + 1))
    places = [[t for t, k in enumerate(sequence) if k == item] for item in range(n_items)]
    for position in (min, np.mean, max):
        rho = spearmanr(counts, [position(place) for place in places]).statistic
        assert abs(rho) <= 0.15


@pytest.mark.parametrize("n_items", [3, 21, 10_000])
def test_lists_too_short_or_long_for_a_balanced_order_are_refused(n_items):
    with pytest.raises(mp.InputError, match=r"`n_items` must be from 4 to 20 for orders in which"):
        draw("frequency", n_items)


@given(st.data(), st.integers(1, 5), st.integers(0, 12))
def test_positions_are_the_first_mean_and_last_place(data, n_items, n_more):
    more = st.lists(st.integers(0, n_items - 1), min_size=n_more, max_size=n_more)
    orders = more.flatmap(lambda extra: st.permutations([*range(n_items), *extra]))
    sequences = np.array([data.draw(orders) for _ in range(2)])
    found = mp.scenarios.measure_positions(sequences, n_items)
    assert found.shape == (3, 2, n_items)
    for trial, sequence in enumerate(sequences.tolist()):
        for item in range(n_items):
            places = [t for t, shown in enumerate(sequence) if shown == item]
            expected = min(places), sum(places) / len(places), max(places)
            np.testing.assert_allclose(found[:, trial, item], expected)


# --- schedules of one's own ----------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ([0, 3], r"`item` must lie in 0\.\.2; got 3 at step 1"),
        ([-1], r"`item` must lie in 0\.\.2; got -1 at step 0"),
        ([1.0], r"`item` must lie in 0\.\.2; got 1.0 at step 0"),
        ([True], r"`item` must lie in 0\.\.2; got True at step 0"),
        (["0"], r"`item` must lie in 0\.\.2; got '0' at step 0"),
        ([Step(0, label=3)], r"`label` must lie in 0\.\.2; got 3 at step 0"),
        ([Step(0, shown=6)], r"`shown` must lie in 0\.\.5; got 6 at step 0"),
        ([0, Step(0, after=2)], r"`after` must lie in 0\.\.1; got 2 at step 1"),
        ([0, (0, 1)], r"`schedule` must hold items or Steps: Step\(item=0, label=1\) .* at step 1"),
        ([[0, 1]], r"`schedule` must hold items or Steps: Step\(.*\) .*; got \[0, 1\] at step 0"),
        ([()], r"`schedule` must hold items or Steps: Step\(.*\) .*; got \(\) at step 0"),
        (np.array([[0, 1], [1, 2]]), r"`schedule` must hold items or Steps: .*; got \[0, 1\] at"),
        ([np.arange(2)], r"`item` must lie in 0\.\.2; got array\(\[0, 1\]\) at step 0"),
        ([], r"`schedule` must be a name, or a list or array of at least one item .*; got \[\]"),
        (5, r"`schedule` must be a name, or a list or array of at least one item or Step; got 5"),
        (np.array(5), r"`schedule` must be a name, or a list or array of .* or Step; got 5"),
        (iter([0]), r"`schedule` must be a name, or a list or array of .* or Step; got <list_iter"),
        ({0: 1}, r"`schedule` must be a name, or a list or array of .* or Step; got \{0: 1\}"),
        ("nonsense", r"`schedule` must be one of single-pass, repetition, .*; got 'nonsense'"),
    ],
)
def test_a_schedule_that_cannot_be_shown_is_refused(schedule, message):
    with pytest.raises(mp.InputError, match=message):
        draw(schedule, 3)
    with pytest.raises(mp.InputError, match=message):
        mp.Settings(n_items=3, schedule=schedule)


def test_a_schedule_needs_a_generator():
    with pytest.raises(mp.InputError, match=r"`rng` must be a numpy\.random\.Generator"):
        mp.scenarios.draw_schedule([0], 3, rng=0)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=9))
def test_numbers_of_items_are_steps(sequence):
    steps = draw(sequence, 5)
    assert steps == draw([Step(item) for item in sequence], 5) == draw(np.array(steps).tolist(), 5)
    assert steps == [Step(k, label=k, shown=k, after=t) for t, k in enumerate(sequence)]
    assert mp.Settings(n_items=5, schedule=sequence) == mp.Settings(n_items=5, schedule=steps)


@pytest.mark.parametrize(
    "schedule", ["poisoning", [0, 2, Step(1, label=2), Step(2, label=0, shown=4, after=1)]]
)
def test_a_schedule_survives_json(digits, schedule):
    settings = mp.Settings(n_items=3, schedule=schedule)
    again = mp.Settings(**describe_run(digits, settings)["settings"])
    assert again == settings
    assert hash(again) == hash(settings)


# --- what a step shows ---------------------------------------------------------------


def make_items(digits, *, n_new, seed=0):
    """Five items; the same and new ones."""
    rng = np.random.default_rng(seed)
    items = mp.draw_items(digits, n_items=5, n_train_images=8, n_test_images=3, rng=rng)
    return items, mp.scenarios.draw_new_items(items, digits, n_new=n_new, rng=rng)


@given(SEEDS, st.integers(0, 4), st.integers(0, 4), st.integers(0, 6))
def test_a_step_shows_the_images_it_names_under_its_label(digits, seed, item, label, shown):
    _, items = make_items(digits, n_new=2, seed=seed)
    rng = np.random.default_rng(seed)
    found = mp.draw_presentation(items, Step(item, label=label, shown=shown), epochs=1, rng=rng)
    np.testing.assert_array_equal(found.images[:8], items.train_images[shown])
    np.testing.assert_array_equal(found.labels[:8], label)
    others = np.repeat([other for other in range(5) if other != item], 2)
    assert len(found.labels) == 8 + len(others)
    for other, image, wrong in zip(others, found.images[8:], found.labels[8:], strict=True):
        assert (items.train_images[other] == image).all(axis=1).any()
        assert wrong in set(range(5)) - {other, item}


def test_a_new_item_must_have_been_drawn_to_be_shown(digits):
    _, items = make_items(digits, n_new=1)
    with pytest.raises(mp.InputError, match=r"`shown` must lie in 0\.\.5; got 6"):
        mp.draw_presentation(items, Step(0, shown=6), epochs=1, rng=np.random.default_rng(0))


@given(SEEDS, st.integers(1, 40))
def test_new_items_are_others_and_leave_the_list_as_it_was(digits, seed, n_new):
    items, more = make_items(digits, n_new=n_new, seed=seed)
    assert len(more) == len(items) == 5
    assert more.classes[:5] == items.classes
    assert len(set(more.classes)) == 5 + n_new
    for name in ("train_images", "test_images"):
        listed, all_of_them = getattr(items, name), getattr(more, name)
        assert all_of_them[:5].tobytes() == listed.tobytes()
        assert all_of_them.dtype == listed.dtype
        assert all_of_them.shape == (5 + n_new, *listed.shape[1:])


def test_more_new_items_than_the_dataset_has_are_refused(digits):
    with pytest.raises(mp.InputError, match=r"must leave 41 of the 45 items .* at most 4 will do"):
        make_items(digits, n_new=41)
    settings = mp.Settings(n_items=23, schedule="poisoning-once", trials=1)
    with pytest.raises(mp.InputError, match="`n_items` must leave 23 of the 45 items"):
        mp.run_experiment(digits, settings, backend="numpy")


# --- what a trial makes of it --------------------------------------------------------

TINY = mp.Settings(
    n_items=4,
    trials=2,
    n_train_images=20,
    n_test_images=5,
    n_features=16,
    hidden=(8,),
    batch_size=32,
    epochs=1,
    kappa=8.0,
    networks=("conventional", "hybrid"),
)
NEW = Step(1, label=3, shown=5, after=2)
REWOUND = replace(
    TINY, trials=1, schedule=[0, 1, 2, Step(0, label=2, after=1), NEW, 3, Step(2, after=0), NEW, 0]
)


def spy_on_learning(digits, settings, monkeypatch):
    """Results, and parameters before and after [presentation, network]."""
    seen, learn_item = [], trials.learn_item

    def spy(network, *arguments, **options):
        before = network.parameters.copy()
        learn_item(network, *arguments, **options)
        seen.append((before, network.parameters.copy()))

    monkeypatch.setattr(experiments, "count_threads", lambda: 1)  # networks in their order
    monkeypatch.setattr(trials, "learn_item", spy)
    monkeypatch.setattr(trials, "is_plain_at_birth", lambda *_: False)  # each learns all
    results = mp.run_experiment(digits, settings, backend="numpy")
    states = np.array(seen[1:])  # the first is the twin that defines kappa
    states = states.reshape(-1, len(settings.networks), *states.shape[1:])
    return results, states[:, :, 0], states[:, :, 1]


def test_every_step_starts_from_exactly_the_state_it_names(digits, monkeypatch):
    _, before, after = spy_on_learning(digits, REWOUND, monkeypatch)
    states = [before[0], *after]  # after 0, 1, ... presentations
    for start, step in zip(before, REWOUND.schedule, strict=True):
        assert start.tobytes() == states[step.after].tobytes()
    assert len({state.tobytes() for state in states}) == len(states)


def test_repetition_is_the_beginning_of_poisoning_bit_by_bit(digits):
    runs = {name: replace(TINY, schedule=name) for name in ("repetition", "poisoning")}
    found = mp.experiments.run_experiments(digits, runs, backend="numpy")
    repeated, poisoned = (found[name].confusion for name in runs)
    assert repeated.shape[2] == 37
    np.testing.assert_array_equal(repeated, poisoned[:, :, :37, :4])
    assert found["poisoning"].schedule.shape == (2, 60, 4)


def test_new_items_are_tested_exactly_after_they_were_shown(digits):
    found = mp.run_experiment(digits, REWOUND, backend="numpy")
    assert found.new_confusion.shape == (2, 1, 10, 2, 4)
    assert found.item_classes.shape == (1, 6, 2)
    is_new = np.array([False, *(step.shown >= 4 for step in REWOUND.schedule)])
    tested = found.new_confusion.sum(axis=-1)
    assert (tested == np.where(is_new[:, None], TINY.n_test_images, 0)).all()


def test_the_shares_of_all_presentations_in_the_displacement_add_up_to_1(digits, monkeypatch):
    settings = replace(TINY, trials=1, schedule="repetition", by_flexibility=True)
    found, before, after = spy_on_learning(digits, settings, monkeypatch)
    total = found.displacement_share.sum(axis=2)
    assert np.isfinite(total[1]).all()  # the hybrid has synapses in each tenth
    np.testing.assert_allclose(total[np.isfinite(total)], 1)
    assert np.flatnonzero(np.isfinite(total[0, 0])).tolist() == [9]  # the conventional in one
    weights = np.r_[:128, 136:168]  # 16 x 8, then 8 biases, then 8 x 4
    steps = (after - before)[:, 0, weights].astype(float)
    rms = np.sqrt((steps**2).mean(axis=-1))
    np.testing.assert_allclose(found.displacement_by_flexibility[0, 0, :, 9], rms, rtol=1e-4)


def test_measuring_which_synapses_moved_changes_no_bit(digits):
    with_it = mp.run_experiment(digits, replace(REWOUND, by_flexibility=True), backend="numpy")
    without = mp.run_experiment(digits, REWOUND, backend="numpy")
    assert without.displacement_share.shape[2] == 0
    for name in ("confusion", "new_confusion", "kappa"):
        assert getattr(with_it, name).tobytes() == getattr(without, name).tobytes()
