"""Statistics over trials: bounds for verdicts, intervals for figures, rank correlations.

Trials are independent and few, and the networks of a trial are paired. A **verdict** rests on the
one-sided t bounds of a mean. A **figure** shows a percentile bootstrap interval where there are ten
trials or more, which stays inside what was observed, and a t interval where there are fewer.
"""

from __future__ import annotations

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
RESAMPLES = 2000


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
    from scipy.stats import t

    values = np.asarray(values, dtype=np.float64)
    n = len(values)
    if n < 2:
        return np.full(values.shape[1:], np.nan)
    quantile = t.ppf((1 + checks.check_probability("confidence", confidence)) / 2, n - 1)
    return quantile * np.std(values, axis=0, ddof=1) / np.sqrt(n)


def measure_bounds(values: ArrayLike, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Lower and upper t bound of a mean over trials, each one-sided.

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

    Examples
    --------
    >>> [round(bound, 2) for bound in measure_bounds([1.0, 2.0, 3.0])]
    [0.31, 3.69]
    >>> measure_bounds([0.25, 0.25])
    (0.25, 0.25)
    """
    values = checks.check_margins("values", values)
    if len(values) < 2:
        return -np.inf, np.inf
    if np.ptp(values) == 0:  # without the rounding of a mean
        return float(values[0]), float(values[0])
    half = float(measure_interval(values, confidence=2 * confidence - 1))
    return float(values.mean()) - half, float(values.mean()) + half


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
    from scipy.stats import bootstrap

    found = bootstrap(
        (values,),
        np.mean,
        confidence_level=checks.check_probability("confidence", confidence),
        n_resamples=RESAMPLES,
        batch=50,
        method="percentile",
        rng=np.random.default_rng(0),  # the same picture from the same results
    ).confidence_interval
    return np.array([found.low, found.high])


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
    from scipy.stats import rankdata

    ranks = [rankdata(side, axis=-1) for side in (values, others)]
    one, other = (side - side.mean(axis=-1, keepdims=True) for side in ranks)
    both = np.sqrt((one**2).sum(axis=-1) * (other**2).sum(axis=-1))
    product = (one * other).sum(axis=-1)
    return np.divide(product, both, out=np.zeros(np.shape(product)), where=both > 0)
