"""Bounds, verdicts, intervals and rank correlations against SciPy, and by simulation."""

import json
from importlib.metadata import version

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import bootstrap, rankdata, spearmanr, t, ttest_1samp

import metaplastic_np as mp
from metaplastic_np.metrics import statistics
from metaplastic_np.paper.verdicts import judge_margins


def naive_distances(values):
    """The bootstrap-t, one resample after the other."""
    rng, n, distances = np.random.default_rng(0), len(values), []
    for drawn in rng.integers(n, size=(statistics.RESAMPLES, n)):
        resample = [values[trial] for trial in drawn]
        if len(set(resample)) > 1:
            away = sum(resample) / n - sum(values) / n
            spread = sum((each - sum(resample) / n) ** 2 for each in resample) / (n - 1)
            distances.append(away / np.sqrt(spread / n))
    return sorted(distances)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
@pytest.mark.parametrize("n", [2, 4, 7, 20])
@pytest.mark.parametrize("skewed", [False, True])
def test_each_bound_is_the_more_cautious_of_t_and_bootstrap_t(n, confidence, skewed):
    values = np.random.default_rng(n).normal(size=n)
    values = np.exp(-2 * values) if skewed else values
    low, high = mp.metrics.measure_bounds(values, confidence=confidence)
    one, other = (
        ttest_1samp(values, 0, alternative=tail).confidence_interval(confidence)
        for tail in ("greater", "less")
    )
    distances = naive_distances(values)
    beyond = int((1 - confidence) * len(distances))
    error = values.std(ddof=1) / np.sqrt(n)
    assert low == pytest.approx(min(one.low, values.mean() - distances[-1 - beyond] * error))
    assert high == pytest.approx(max(other.high, values.mean() - distances[beyond] * error))
    if skewed and n > 4:  # to the right: the t bound above is too near
        assert high > other.high


def share_beyond(samples, mean):
    low, high = np.array([mp.metrics.measure_bounds(sample) for sample in samples]).T
    return (low > mean).mean(), (high < mean).mean()


def test_a_bound_is_beyond_the_true_mean_in_at_most_5_percent_of_normal_samples():
    samples = np.random.default_rng(0).normal(loc=0.3, size=(4000, 6))
    scatter = 4 * np.sqrt(0.05 * 0.95 / len(samples))
    for share in share_beyond(samples, 0.3):
        assert 0.02 < share < 0.05 + scatter


def test_a_bound_is_less_often_wrong_than_t_on_skewed_margins():
    samples = 1 - np.random.default_rng(0).exponential(size=(2000, 18))  # mean 0, skewness -2
    of_t = ttest_1samp(samples, 0, axis=1, alternative="greater").pvalue < 0.05
    ours, _ = share_beyond(samples, 0.0)
    assert of_t.mean() > 0.09
    assert ours < 0.07


@given(st.floats(-1, 1), st.integers(2, 40))
def test_constant_values_are_their_own_bounds(value, n):
    assert mp.metrics.measure_bounds(np.full(n, value)) == (value, value)


def test_one_trial_proves_nothing():
    assert mp.metrics.measure_bounds([0.7]) == (-np.inf, np.inf)
    assert np.isnan(mp.metrics.measure_figure_interval([[0.7, 0.1]])).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0.1, np.nan], r"`values` must be finite; got nan at \(1\)"),
        ([np.inf], r"`values` must be finite; got inf at \(0\)"),
        ([], r"`values` must hold one number for each trial; got shape \(0,\)"),
        ([[0.1, 0.2]], r"`values` must hold one number for each trial; got shape \(1, 2\)"),
    ],
)
def test_margins_that_cannot_be_judged_are_refused(values, message):
    with pytest.raises(mp.InputError, match=message):
        mp.metrics.measure_bounds(values)


# --- the rule of verdicts ------------------------------------------------------------------------

SURE, LIKELY, OPEN = [0.4, 0.45, 0.5, 0.6], [0.1, 0.15, 0.2, 0.3], [-0.1, 0.15, 0.2, 0.3]
AGAINST, SAME = [-0.5, -0.45, -0.4, -0.3], 4 * [0.25]


@pytest.mark.parametrize(
    ("margins", "verdict", "weakest"),
    [
        ([SURE, LIKELY], "holds", LIKELY),
        ([SURE, OPEN, LIKELY], "undecided", OPEN),
        ([SURE, AGAINST, OPEN], "fails", AGAINST),
        ([[-0.3, -0.25, -0.2, -0.1], AGAINST, [-9, -1, 1, 9]], "fails", AGAINST),
        ([SURE, [-0.3, 0.1, 0.1, -0.1]], "undecided", [-0.3, 0.1, 0.1, -0.1]),
        ([SAME], "holds", SAME),
        ([4 * [0.0]], "undecided", 4 * [0.0]),
        ([SURE, 4 * [-0.25]], "fails", 4 * [-0.25]),
    ],
)
def test_every_margin_must_hold_one_can_fail_and_the_weakest_is_reported(margins, verdict, weakest):
    judged = judge_margins({str(i): margin for i, margin in enumerate(margins)})
    assert judged["verdict"] == verdict
    assert judged["estimate"] == pytest.approx(np.mean(weakest))
    assert judged["interval"] == pytest.approx(mp.metrics.measure_bounds(weakest))
    assert [part["n"] for part in judged["parts"]] == [len(margin) for margin in margins]
    for part, margin in zip(judged["parts"], margins, strict=True):
        assert part["interval"] == pytest.approx(mp.metrics.measure_bounds(margin))


def test_one_trial_is_undecided_in_strict_json():
    judged = judge_margins({"a": [0.9], "b": [-0.9]})
    assert (judged["verdict"], judged["interval"], judged["n"]) == ("undecided", [None, None], 1)
    json.dumps(judged, allow_nan=False)


# --- intervals of figures ------------------------------------------------------------


def few_successes(n_trials):
    """Recall that is 1 in all trials but one: a t interval goes beyond it."""
    values = np.ones((n_trials, 2))
    values[0] = 0, 0.5
    return values


@pytest.mark.parametrize("n_trials", [2, 9])
def test_below_ten_trials_figures_show_the_t_interval(n_trials):
    values = few_successes(n_trials)
    expected = ttest_1samp(values, 0, axis=0).confidence_interval(0.95)
    found = mp.metrics.measure_figure_interval(values)
    np.testing.assert_allclose(found, [expected.low, expected.high])
    assert found.max() > 1


@pytest.mark.parametrize("n_trials", [10, 25])
def test_from_ten_trials_on_figures_show_an_interval_inside_what_was_observed(n_trials):
    values = few_successes(n_trials)
    low, high = mp.metrics.measure_figure_interval(values)
    assert (low >= values.min(axis=0)).all()
    assert (high <= values.max(axis=0)).all()
    assert (low < values.mean(axis=0)).all()
    assert (high >= values.mean(axis=0)).all()


def test_the_bootstrap_interval_holds_95_percent_of_resampled_means():
    rng = np.random.default_rng(1)
    values = rng.random((20, 3)) ** 2
    means = np.array([values[rng.integers(20, size=20)].mean(axis=0) for _ in range(5000)])
    expected = np.quantile(means, [0.025, 0.975], axis=0)
    np.testing.assert_allclose(mp.metrics.measure_figure_interval(values), expected, atol=0.012)


@pytest.mark.skipif(
    tuple(map(int, version("scipy").split(".")[:2])) < (1, 17),
    reason="older versions interpolate between two resampled means with other rounding",
)
@settings(max_examples=30, deadline=None)
@given(
    st.integers(10, 60),
    st.sampled_from([(), (3,), (2, 5)]),
    st.sampled_from([0.9, 0.95, 0.99]),
    st.integers(0, 2**32 - 1),
)
def test_the_bootstrap_interval_is_scipys_bit_for_bit(n_trials, shape, confidence, seed):
    rng = np.random.default_rng(seed)
    values = np.round(rng.random((n_trials, *shape)), rng.integers(1, 9))
    expected = bootstrap(
        (values,),
        np.mean,
        confidence_level=confidence,
        n_resamples=2000,
        batch=50,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    found = mp.metrics.measure_figure_interval(values, confidence=confidence)
    assert found.tobytes() == np.array([expected.low, expected.high]).tobytes()


@given(st.integers(2, 300), st.floats(0.01, 0.999))
def test_the_half_width_of_an_interval_is_scipys_bit_for_bit(n, confidence):
    values = np.arange(float(n))
    quantile = t.ppf((1 + confidence) / 2, n - 1)
    expected = quantile * np.std(values, ddof=1) / np.sqrt(n)
    assert mp.metrics.measure_interval(values, confidence=confidence) == expected


def test_the_same_results_have_the_same_interval():
    values = np.random.default_rng(2).random((12, 4))
    once, again = (mp.metrics.measure_figure_interval(values) for _ in range(2))
    assert once.tobytes() == again.tobytes()


# --- rank correlation ----------------------------------------------------------------


@given(st.data(), st.integers(3, 12))
def test_rank_correlation_is_spearmans_with_ties_too(data, n):
    numbers = st.lists(st.integers(0, 5), min_size=n, max_size=n).filter(lambda v: len(set(v)) > 1)
    values, others = np.array(data.draw(numbers)), np.array(data.draw(numbers))
    expected = spearmanr(values, others).statistic
    assert mp.metrics.measure_rank_correlation(values, others) == pytest.approx(expected, abs=1e-12)


@given(arrays(np.float64, st.tuples(*3 * [st.integers(1, 7)]), elements=st.integers(-3, 3)))
def test_ranks_are_scipys_bit_for_bit(values):
    for each in (values, values.astype(np.int64), np.sqrt(np.abs(values))):
        assert statistics._rank(each).tobytes() == rankdata(each, axis=-1).tobytes()


def test_rank_correlation_is_taken_along_the_last_axis():
    rng = np.random.default_rng(3)
    values, others = rng.random((2, 4, 7)), rng.random((4, 7))
    found = mp.metrics.measure_rank_correlation(values, others)
    for index in np.ndindex(2, 4):
        expected = spearmanr(values[index], others[index[1]]).statistic
        assert found[index] == pytest.approx(expected, abs=1e-12)


def test_what_is_constant_has_no_order():
    assert mp.metrics.measure_rank_correlation([[1, 1, 1], [1, 2, 3]], [1, 2, 3]).tolist() == [0, 1]
    assert mp.metrics.measure_rank_correlation([1, 2, 3], [0.1, 0.1, 0.1]) == 0
