"""Statistics over trials: bounds for verdicts, intervals for figures, rank correlations.

Trials are independent and few, and the networks of a trial are paired. A **verdict** rests on
one-sided bounds of a mean, the more cautious of t and bootstrap-t. A **figure** shows a percentile
bootstrap interval where there are ten trials or more, which stays inside what was observed, and a t
interval where there are fewer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._util import checks

__all__ = [
    "measure_bounds",
    "measure_figure_interval",
    "measure_interval",
    "measure_rank_correlation",
]

Float = NDArray[np.float64]

CONFIDENCE = 0.95
BOOTSTRAP_TRIALS = 10  # fewer than that, resampling makes intervals that are too short
RESAMPLES, AT_ONCE = 2000, 50


def measure_interval(values: ArrayLike, *, confidence: float = CONFIDENCE) -> Float:
    """Half width of the t interval of a mean over trials, the first axis.

    Parameters
    ----------
    values : array (n_trials, ...)
    confidence : float

    Returns
    -------
    array (...)
        NaN for a single trial, which has no spread.

    Examples
    --------
    >>> import numpy as np
    >>> round(float(measure_interval(np.array([1.0, 2.0, 3.0]))), 2)
    2.48
    """
    from scipy.special import stdtrit  # scipy.stats takes longer to import than this package

    values = np.asarray(values, dtype=np.float64)
    n = len(values)
    if n < 2:
        return np.full(values.shape[1:], np.nan)
    quantile = stdtrit(n - 1, (1 + checks.check_probability("confidence", confidence)) / 2)
    return quantile * np.std(values, axis=0, ddof=1) / np.sqrt(n)


def format_mean(values: Float, reach: float) -> str:
    """Mean and half of its interval over trials; "?" if that is wider than values can reach."""
    half = float(measure_interval(values))
    if np.isnan(half):
        return f"{values.mean():.2f}"
    return f"{values.mean():.2f} \u00b1 " + (f"{half:.2f}" if 2 * half < reach else "?")


def measure_bounds(values: ArrayLike, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Lower and upper bound of a mean over trials, each one-sided.

    Margins are skewed: recall of a last item is nearly 1 in most trials and far less in a few. A
    sample without any of the few has too high a mean and too small a spread, so that a t bound is
    above the true mean too often. The bootstrap-t resamples the trials, and looks how far the mean
    of a resample is from the sample's, in units of the resample's own standard error; the skew
    shows there. Each bound is the more cautious one of the two. How often it is wrong on margins as
    skewed as ours is measured by ``tests/benchmarks/size.py``.

    Parameters
    ----------
    values : array (n_trials,)
    confidence : float
        Of each bound by itself; between them lies the mean with 2 * confidence - 1.

    Returns
    -------
    low, high : float
        Both the mean itself if all values are equal; -inf and inf for a single trial, which
        proves nothing.

    References
    ----------
    Efron and Tibshirani (1993), *An Introduction to the Bootstrap*, section 12.5.

    Examples
    --------
    >>> [round(bound, 2) for bound in measure_bounds([1.0, 2.0, 3.0])]
    [0.31, 3.69]
    >>> measure_bounds([0.25, 0.25])
    (0.25, 0.25)
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        shape = f"shape {values.shape}"
        checks.raise_expected("values", "hold one number for each trial", shape)
    checks.check_finite("values", values)
    if len(values) < 2:
        return -np.inf, np.inf
    if np.ptp(values) == 0:  # without the rounding of a mean
        return float(values[0]), float(values[0])
    half = float(measure_interval(values, confidence=2 * confidence - 1))
    mean, error = values.mean(), values.std(ddof=1) / np.sqrt(len(values))
    away = _resample_distance(values)
    beyond = int((1 - confidence) * len(away))  # that many resamples are further away
    low = mean - max(half, away[-1 - beyond] * error)
    high = mean + max(half, -away[beyond] * error)
    return float(low), float(high)


def _resample_distance(values: Float) -> Float:
    """How far means of resamples are from the sample's, in their own standard errors; sorted.

    Without resamples of equal values, which have no standard error.
    """
    rng = np.random.default_rng(0)  # the same verdict from the same results
    drawn = values[rng.integers(len(values), size=(RESAMPLES, len(values)))]
    drawn = drawn[np.ptp(drawn, axis=1) > 0]
    error = drawn.std(axis=1, ddof=1) / np.sqrt(len(values))
    return np.sort((drawn.mean(axis=1) - values.mean()) / error)


def measure_figure_interval(values: ArrayLike, *, confidence: float = CONFIDENCE) -> Float:
    """Interval of a mean over trials as figures show it.

    Percentile bootstrap with ten trials or more, t interval with fewer.

    Parameters
    ----------
    values : array (n_trials, ...)
    confidence : float

    Returns
    -------
    array (2, ...)
        Lower and upper end; NaN for a single trial.

    Examples
    --------
    >>> import numpy as np
    >>> low, high = measure_figure_interval(np.arange(10.0))
    >>> bool(2.5 < low < 3.0 and 6.0 < high < 6.5)
    True
    """
    values = np.asarray(values, dtype=np.float64)
    if len(values) < BOOTSTRAP_TRIALS:
        half = measure_interval(values, confidence=confidence)
        return values.mean(axis=0) + np.array([-half, half])
    tail = (1 - checks.check_probability("confidence", confidence)) / 2
    means = np.sort(_resample_means(values), axis=-1)
    return np.array([_interpolate(means, tail), _interpolate(means, 1 - tail)])


def _resample_means(values: Float) -> Float:
    """Means of trials drawn with replacement, (..., RESAMPLES)."""
    rng = np.random.default_rng(0)  # the same picture from the same results
    trials, n = np.moveaxis(values, 0, -1), len(values)
    means = [
        trials[..., rng.integers(n, size=(AT_ONCE, n))].mean(axis=-1)
        for _ in range(RESAMPLES // AT_ONCE)
    ]
    return np.concatenate(means, axis=-1)


def _interpolate(ordered: Float, share: float) -> Float:
    """Below which a share of the values lies, along the last axis: linear between two of them."""
    n = ordered.shape[-1]
    place = share * n + (1 - share)  # from 1 to n
    below, part = int(place) - 1, place % 1
    return (1 - part) * ordered[..., below] + part * ordered[..., below + 1]


def measure_rank_correlation(values: ArrayLike, others: ArrayLike) -> Float:
    """Spearman's rho along the last axis; 0 where one side is constant and has no order.

    Parameters
    ----------
    values, others : array (..., n)
        Broadcast against each other.

    Returns
    -------
    array (...), in [-1, 1]

    Examples
    --------
    >>> float(measure_rank_correlation([1, 2, 3, 4], [10, 20, 40, 30]).round(3))
    0.8
    """
    ranks = [_rank(np.asarray(side)) for side in (values, others)]
    one, other = (side - side.mean(axis=-1, keepdims=True) for side in ranks)
    both = np.sqrt((one**2).sum(axis=-1) * (other**2).sum(axis=-1))
    product = (one * other).sum(axis=-1)
    return np.divide(product, both, out=np.zeros(np.shape(product)), where=both > 0)


def _rank(values: NDArray[Any]) -> Float:
    """Ranks along the last axis, from 1; equal values share the mean of theirs."""
    order = np.argsort(values, axis=-1)
    ordered = np.take_along_axis(values, order, axis=-1)
    is_first = np.ones(values.shape, dtype=bool)  # of equal values
    is_first[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    is_last = np.roll(is_first, -1, axis=-1)
    place = np.arange(1, values.shape[-1] + 1)
    first = np.maximum.accumulate(np.where(is_first, place, 1), axis=-1)
    last = np.minimum.accumulate(np.where(is_last, place, len(place))[..., ::-1], axis=-1)
    ranks = np.empty(values.shape)
    np.put_along_axis(ranks, order, (first + last[..., ::-1]) / 2, axis=-1)
    return ranks
