"""Measures of memory against slow, obvious definitions."""

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import hypergeom
from worlds import SEEDS

from metaplastic_np import (
    chance_recall,
    init_network,
    measure_confusion,
    measure_recall,
    measure_serial_position_curve,
    predict,
)
from metaplastic_np.metrics import (
    measure_capacity,
    measure_false_alarms,
    measure_fewest_hits,
    measure_forgetting,
    measure_gross_memory,
    measure_interval,
    measure_memorized,
    measure_primacy,
    measure_recency,
    recall,
)

RECALL = arrays(float, (4, 6), elements=st.floats(0, 1))


@st.composite
def confusions(draw):
    """Counts of a network that answers as it likes."""
    n_items, n_test = draw(st.integers(2, 5)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(SEEDS))
    answers = rng.dirichlet(np.full(n_items, 0.4), size=n_items)
    return np.array([rng.multinomial(n_test, shares) for shares in answers])


@given(confusions())
def test_hits_and_false_alarms_count_answers(confusion):
    n_items, n_test = len(confusion), confusion[0].sum()
    for item in range(n_items):
        hits = confusion[item, item] / n_test
        alarms = sum(confusion[other, item] for other in range(n_items) if other != item)
        assert measure_recall(confusion)[item] == pytest.approx(hits)
        assert measure_false_alarms(confusion)[item] == pytest.approx(
            alarms / (n_test * (n_items - 1))
        )


@given(confusions())
def test_memorized_is_the_exact_hypergeometric_tail(confusion):
    n_items, n_test = len(confusion), int(confusion[0].sum())
    total = n_items * n_test
    for item, found in enumerate(measure_memorized(confusion)):
        answered, hits = int(confusion[:, item].sum()), int(confusion[item, item])
        tail = sum(
            comb(n_test, k) * comb(total - n_test, answered - k)
            for k in range(hits, min(n_test, answered) + 1)
        ) / comb(total, answered)
        assert found == (tail < 0.05)


def hits_and_tails(total, answered, belong):
    """All numbers of hits, one more than there can be too, and SciPy's P(X >= hits)."""
    hits = np.arange(belong + 2)
    return hits, hypergeom.sf(hits - 1, total, answered, belong)


@pytest.mark.parametrize(("n_items", "n_test"), [(10, 100), (30, 100), (10, 1000), (5, 7)])
def test_the_fewest_hits_are_those_of_scipys_hypergeometric(n_items, n_test):
    total = n_items * n_test
    for answered in range(0, total + 1, max(1, total // 300)):
        hits, tails = hits_and_tails(total, answered, n_test)
        fewest = recall._find_fewest_hits(total, answered, n_test, 0.05)
        np.testing.assert_array_equal(tails < 0.05, hits >= fewest)


@given(st.integers(2, 8), st.integers(1, 14), st.data(), st.sampled_from([0.01, 0.05, 0.5]))
def test_the_fewest_hits_are_scipys_wherever_scipy_does_not_round(n_items, n_test, data, level):
    total = n_items * n_test
    answered = data.draw(st.integers(0, total))
    hits, tails = hits_and_tails(total, answered, n_test)
    clear = abs(tails - level) > 1e-12
    fewest = recall._find_fewest_hits(total, answered, n_test, level)
    np.testing.assert_array_equal((tails < level)[clear], (hits >= fewest)[clear])


def test_one_in_twenty_is_not_less_than_one_in_twenty():
    """With 3 of 6 images answered as an item, all 3 hits have P = 1 / comb(6, 3), exactly."""
    confusion = np.array([[3, 0], [0, 3]])
    assert measure_fewest_hits(confusion).tolist() == [4, 4]
    assert not measure_memorized(confusion).any()
    assert measure_memorized(confusion, level=0.0500001).all()
    assert not measure_memorized(confusion, level=0.0499999).any()


def test_memorized_agrees_with_a_thousand_shuffles():
    """Hits under shuffled labels, at least as many (>=) as the network's."""
    rng = np.random.default_rng(7)
    compared = 0
    for _ in range(30):
        n_items, n_test = 5, 20
        answers = rng.dirichlet(np.full(n_items, 0.5), size=n_items)
        confusion = np.array([rng.multinomial(n_test, shares) for shares in answers])
        asked = np.repeat(np.arange(n_items), n_test)
        given_answers = np.concatenate([np.repeat(np.arange(n_items), row) for row in confusion])
        shuffled = np.array(
            [
                np.bincount(given_answers[rng.permutation(asked) == given_answers], minlength=5)
                for _ in range(1000)
            ]
        )
        share = (shuffled >= np.diag(confusion)).mean(axis=0)
        clear = np.abs(share - 0.05) > 0.025  # beyond the scatter of 1,000 shuffles
        compared += clear.sum()
        np.testing.assert_array_equal(measure_memorized(confusion)[clear], share[clear] < 0.05)
    assert compared > 100


def test_a_network_that_gives_one_answer_has_memorized_nothing():
    confusion = np.zeros((10, 10), dtype=int)
    confusion[:, 3] = 100
    assert measure_capacity(confusion) == 0
    assert measure_recall(confusion)[3] == 1
    assert measure_false_alarms(confusion)[3] == 1


def test_an_item_that_is_never_answered_is_not_memorized():
    confusion = np.diag([9, 9, 0]) + np.array([[0, 1, 0], [1, 0, 0], [5, 5, 0]])
    assert measure_memorized(confusion).tolist() == [True, True, False]


@given(SEEDS)
def test_confusion_counts_the_networks_answers(seed):
    rng = np.random.default_rng(seed)
    network = init_network((4, 3), rng=rng, dtype=np.float64)
    images = rng.standard_normal((3, 5, 4))
    confusion = measure_confusion(network, images)
    for item in range(3):
        answers = predict(network, images[item])
        np.testing.assert_array_equal(confusion[item], np.bincount(answers, minlength=3))


def test_answers_that_nobody_gives_are_counted_as_none():
    network = init_network((4, 5), rng=np.random.default_rng(0), dtype=np.float64)
    network.biases[0][:] = [9, 0, 0, 0, 0]
    confusion = measure_confusion(network, np.zeros((5, 3, 4)))
    np.testing.assert_array_equal(confusion, np.outer(np.full(5, 3), [1, 0, 0, 0, 0]))


STACK = np.random.default_rng(0).multinomial(9, np.full(5, 0.2), size=(2, 3, 4, 5))
RECALLS = np.random.default_rng(1).random((2, 3, 4, 6))


@pytest.mark.parametrize(
    ("measure", "stack", "own_axes"),
    [
        (measure_recall, STACK, 2),
        (measure_false_alarms, STACK, 2),
        (measure_memorized, STACK, 2),
        (measure_fewest_hits, STACK, 2),
        (measure_capacity, STACK, 2),
        (measure_primacy, RECALLS, 1),
        (measure_recency, RECALLS, 1),
        (measure_serial_position_curve, RECALLS, 2),
        (measure_forgetting, RECALLS, 2),
        (lambda recall: measure_gross_memory(recall, [0, 2, 5]), RECALLS, 2),
    ],
)
def test_networks_and_trials_are_measured_each_for_itself(measure, stack, own_axes):
    found = measure(stack)
    for place in np.ndindex(stack.shape[:-own_axes]):
        np.testing.assert_array_equal(found[place], measure(stack[place]))


@pytest.mark.parametrize(
    ("n_items", "middle"),
    [(3, [1]), (4, [1, 2]), (5, [1, 2, 3]), (10, [3, 4, 5, 6]), (30, list(range(9, 21)))],
)
def test_primacy_and_recency_compare_the_ends_with_the_middle_40_percent(n_items, middle):
    curve = np.linspace(0, 1, n_items) ** 2
    assert measure_primacy(curve) == pytest.approx(curve[0] - curve[middle].mean())
    assert measure_recency(curve) == pytest.approx(curve[-1] - curve[middle].mean())


@given(RECALL, st.lists(st.integers(0, 5), min_size=3, max_size=3))
def test_forgetting_is_the_best_since_an_item_was_presented_minus_now(recall, sequence):
    forgetting = measure_forgetting(recall, sequence)
    for t, row in enumerate(recall):
        for item in range(6):
            if item not in sequence[:t]:  # what an untrained network loses is not forgotten
                assert np.isnan(forgetting[t, item])
                continue
            best = recall[sequence.index(item) + 1 : t + 1, item].max()
            assert forgetting[t, item] == pytest.approx(best - row[item])


@given(RECALL)
def test_items_are_presented_in_order_where_nothing_else_is_said(recall):
    np.testing.assert_array_equal(measure_forgetting(recall), measure_forgetting(recall, [0, 1, 2]))
    twice = np.concatenate([recall[:, :2], recall[1:, :2]])
    once_more = measure_forgetting(twice, [0, 1, 0, 1, 0, 1])
    np.testing.assert_array_equal(measure_forgetting(twice), once_more)


@given(RECALL, st.lists(st.integers(0, 5), min_size=3, max_size=3))
def test_gross_memory_sums_presented_items(recall, sequence):
    gross = measure_gross_memory(recall, sequence)
    for t in range(4):
        assert gross[t] == pytest.approx(sum(recall[t, item] for item in set(sequence[:t])))


@given(RECALL)
def test_the_serial_position_curve_is_the_last_row(recall):
    np.testing.assert_array_equal(measure_serial_position_curve(recall), recall[-1])


def test_chance():
    assert chance_recall(4) == 0.25


def test_the_interval_is_the_t_interval():
    from scipy.stats import t

    values = np.random.default_rng(0).normal(size=(12, 3))
    low, high = t.interval(
        0.95, 11, loc=values.mean(axis=0), scale=values.std(axis=0, ddof=1) / np.sqrt(12)
    )
    np.testing.assert_allclose(2 * measure_interval(values), high - low)
    assert np.isnan(measure_interval(values[:1])).all()
