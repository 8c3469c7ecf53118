"""What was remembered: recall, false alarms, and when an item counts as memorized.

Everything is read off one table of counts, the **confusion** ``confusion[..., group, answer]``: how
many test images of a group got which answer. The first groups are the items, one for each output;
groups beyond them have no right answer, and the measures below leave them out. Leading axes
(network, trial, presentation) stay.

* recall (hits) of item k: share of its test images answered k.
* false alarms of item k: share of all other items' test images answered k.
* memorized: hits too many for chance. With labels shuffled, the hits of item k are hypergeometric
  (all test images, those answered k, those that belong to k); memorized means
  P(X >= hits) < 0.05. A network that gives one answer to everything has memorized nothing, but the
  test is lenient and depends on the number of test images: read it beside hits minus false alarms.
"""

from __future__ import annotations

from math import comb
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._util import checks, errors
from ..nn import Network, predict

__all__ = [
    "chance_recall",
    "measure_capacity",
    "measure_confusion",
    "measure_false_alarms",
    "measure_fewest_hits",
    "measure_forgetting",
    "measure_gross_memory",
    "measure_memorized",
    "measure_primacy",
    "measure_recall",
    "measure_recency",
    "measure_serial_position_curve",
]

Float = NDArray[np.float64]

MEMORIZED_LEVEL = 0.05
ROUNDING = 1e-7  # of a sum of probabilities: nearer to the level, it is counted in whole numbers
CLEAR = 0.25  # hits minus false alarms of an item that is clearly remembered


def chance_recall(n_items: int) -> float:
    """Recall of a network that guesses: 1 / N.

    Parameters
    ----------
    n_items : int

    Returns
    -------
    float

    Examples
    --------
    >>> chance_recall(10)
    0.1
    """
    return 1 / checks.check_count("n_items", n_items)


def measure_confusion(network: Network, test_images: NDArray[Any]) -> NDArray[np.int64]:
    """Test groups of images, and count the answers to each group. Changes nothing.

    Parameters
    ----------
    network : Network
    test_images : array (n_groups, n_test_images, n_inputs) of the network's dtype
        A group is what is counted together: the images of an item, of a class, or of a task.

    Returns
    -------
    int array (n_groups, n_outputs)
        ``confusion[group, answer]``.

    Raises
    ------
    InputError
        If shapes or dtypes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from metaplastic_np import init_network
    >>> network = init_network((4, 3), rng=np.random.default_rng(0), dtype=np.float64)
    >>> measure_confusion(network, np.ones((3, 5, 4))).sum(axis=1)
    array([5, 5, 5])
    """
    n_inputs, n_outputs = network.layer_sizes[0], network.layer_sizes[-1]
    test_images = checks.check_array(
        "test_images",
        test_images,
        shape=(None, None, n_inputs),
        dtype=network.parameters.dtype,
    )
    n_groups, n_images = test_images.shape[:2]
    answers = predict(network, test_images.reshape(-1, n_inputs))
    asked = np.repeat(np.arange(n_groups), n_images)
    counts = np.bincount(asked * n_outputs + answers, minlength=n_groups * n_outputs)
    return counts.reshape(n_groups, n_outputs)


def measure_recall(confusion: ArrayLike) -> Float:
    """Share of each item's test images that were answered as it.

    Parameters
    ----------
    confusion : int array (..., n_groups, n_items), at least as many groups as items

    Returns
    -------
    float array (..., n_items), in [0, 1]

    Raises
    ------
    InputError
        If the counts are not whole, or items were not tested equally often.

    Examples
    --------
    >>> measure_recall([[8, 2], [5, 5]])
    array([0.8, 0.5])
    """
    counts = _check_confusion(confusion)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    return hits / counts.sum(axis=-1)


def measure_false_alarms(confusion: ArrayLike) -> Float:
    """Share of all other items' test images that were answered as this item.

    Parameters
    ----------
    confusion : int array (..., n_groups, n_items), at least as many groups as items

    Returns
    -------
    float array (..., n_items), in [0, 1]

    Examples
    --------
    >>> measure_false_alarms([[8, 2], [5, 5]])
    array([0.5, 0.2])
    """
    counts = _check_confusion(confusion)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    answered = counts.sum(axis=-2)
    belong_to_others = counts.sum(axis=-1) * (counts.shape[-1] - 1)
    return (answered - hits) / belong_to_others


def measure_memorized(confusion: ArrayLike, *, level: float = MEMORIZED_LEVEL) -> NDArray[np.bool_]:
    """Which items have more hits than shuffled labels would give them.

    The hypergeometric test of the module's introduction, exact, without shuffling.

    Parameters
    ----------
    confusion : int array (..., n_groups, n_items), at least as many groups as items
    level : float
        Memorized means P(X >= hits) < level.

    Returns
    -------
    bool array (..., n_items)

    Examples
    --------
    >>> measure_memorized([[10, 0], [9, 1]])  # 1 of 1 right is no proof, nor are 10 of 19
    array([False, False])
    >>> measure_memorized([[9, 1], [1, 9]])
    array([ True,  True])
    """
    hits = np.diagonal(_check_confusion(confusion), axis1=-2, axis2=-1)
    return hits >= measure_fewest_hits(confusion, level=level)


def measure_fewest_hits(
    confusion: ArrayLike, *, level: float = MEMORIZED_LEVEL
) -> NDArray[np.int64]:
    """How many hits an item needs to be memorized, given how often it was answered.

    Parameters
    ----------
    confusion : int array (..., n_items, n_items)
    level : float
        Memorized means P(X >= hits) < level.

    Returns
    -------
    int array (..., n_items)
        Above the number of its test images where no number of hits is enough.

    Examples
    --------
    >>> measure_fewest_hits([[9, 1], [1, 9]])  # 10 of 20 images were answered as each item
    array([8, 8])
    """
    counts = _check_confusion(confusion)
    level = checks.check_probability("level", level)
    belong = int(counts.sum(axis=-1).flat[0])  # the same for all items
    total = belong * counts.shape[-1]
    answered, place = np.unique(counts.sum(axis=-2), return_inverse=True)
    fewest = [_find_fewest_hits(total, int(number), belong, level) for number in answered]
    return np.array(fewest)[place].reshape(*counts.shape[:-1])


def _find_fewest_hits(total: int, answered: int, belong: int, level: float) -> int:
    """Fewest hits h with P(X >= h) < level: sum the probabilities, the rarest first."""
    from scipy.special import gammaln  # scipy.stats takes longer to import than this package

    def log_ways(n: int, k: NDArray[np.int64] | int) -> Any:
        return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - np.asarray(k) + 1)

    others = total - belong
    hits = np.arange(max(0, answered - others), min(answered, belong) + 1)
    ways = log_ways(belong, hits) + log_ways(others, answered - hits)
    tail = np.exp(ways - log_ways(total, answered))[::-1].cumsum()[::-1]
    for index in np.flatnonzero(abs(tail / level - 1) < ROUNDING):  # whole numbers do not round
        all_ways = (comb(belong, h) * comb(others, answered - h) for h in hits[index:].tolist())
        tail[index] = sum(all_ways) / comb(total, answered)
    return int(hits[0] + np.count_nonzero(tail >= level))


def measure_capacity(confusion: ArrayLike) -> NDArray[np.int64]:
    """How many items are memorized.

    Parameters
    ----------
    confusion : int array (..., n_groups, n_items), at least as many groups as items

    Returns
    -------
    int array (...)

    Examples
    --------
    >>> int(measure_capacity([[9, 1], [1, 9]]))
    2
    """
    return measure_memorized(confusion).sum(axis=-1)


def measure_serial_position_curve(recall: ArrayLike) -> Float:
    """Recall of each item after the last presentation.

    Parameters
    ----------
    recall : array (..., n_presentations + 1, n_items)
        ``recall[..., t, k]``: item k after t presentations; row 0 is untrained.

    Returns
    -------
    float array (..., n_items)

    Examples
    --------
    >>> measure_serial_position_curve([[0.5, 0.5], [1.0, 0.0], [0.2, 0.9]])
    array([0.2, 0.9])
    """
    return _check_recall("recall", recall, ndim=2)[..., -1, :]


def measure_primacy(curve: ArrayLike) -> Float:
    """Recall of the first item minus the mean of the middle 40 % of positions.

    Parameters
    ----------
    curve : array (..., n_items)
        A serial position curve.

    Returns
    -------
    float array (...), in [-1, 1]

    Examples
    --------
    >>> round(float(measure_primacy([0.9, 0.5, 0.3, 0.3, 0.7])), 2)
    0.53
    """
    curve = _check_recall("curve", curve)
    return curve[..., 0] - _middle(curve)


def measure_recency(curve: ArrayLike) -> Float:
    """Recall of the last item minus the mean of the middle 40 % of positions.

    Parameters
    ----------
    curve : array (..., n_items)
        A serial position curve.

    Returns
    -------
    float array (...), in [-1, 1]

    Examples
    --------
    >>> round(float(measure_recency([0.9, 0.5, 0.3, 0.3, 0.7])), 2)
    0.33
    """
    curve = _check_recall("curve", curve)
    return curve[..., -1] - _middle(curve)


def _middle(curve: Float) -> Float:
    """Mean over the positions whose center lies in the middle 40 %: 4 to 7 of 10."""
    n_items = checks.check_count("items of the curve", curve.shape[-1], minimum=3)
    centers = np.arange(n_items) + 0.5
    # In tenths of an item, so that 0.3 * 10 is not 3.0000000000000004.
    inside = (3 * n_items <= 10 * centers) & (10 * centers <= 7 * n_items)
    return curve[..., inside].mean(axis=-1)


def measure_forgetting(recall: ArrayLike, sequence: ArrayLike | None = None) -> Float:
    """Best recall of each item since it was first presented, minus its present one.

    Parameters
    ----------
    recall : array (..., n_presentations + 1, n_items)
    sequence : int array (n_presentations,), optional
        Which item each presentation showed. Default: item k was first shown by presentation k, as
        in all named schedules but "frequency".

    Returns
    -------
    float array of the same shape, in [0, 1]
        NaN before an item's first presentation: what an untrained network loses by chance is not
        forgotten.

    Raises
    ------
    InputError
        If the sequence is not as long as the recall, or names an item that is not there.

    Examples
    --------
    >>> measure_forgetting([[0.5, 0.5], [1.0, 0.0], [0.2, 0.9]])
    array([[nan, nan],
           [0. , nan],
           [0.8, 0. ]])
    """
    recall = _check_recall("recall", recall, ndim=2)
    if sequence is None:
        sequence = np.arange(recall.shape[-2] - 1) % recall.shape[-1]
    presented = _find_presented(recall, sequence)
    best = np.maximum.accumulate(np.where(presented, recall, 0), axis=-2)
    return np.where(presented, best - recall, np.nan)


def measure_gross_memory(recall: ArrayLike, sequence: ArrayLike) -> Float:
    """Sum of recall over the items presented so far.

    Parameters
    ----------
    recall : array (..., n_presentations + 1, n_items)
    sequence : int array (n_presentations,)
        Which item each presentation showed.

    Returns
    -------
    float array (..., n_presentations + 1), in items

    Raises
    ------
    InputError
        If the sequence is not as long as the recall, or names an item that is not there.

    Examples
    --------
    >>> measure_gross_memory([[0.5, 0.5], [1.0, 0.0], [0.2, 0.9]], [0, 1])
    array([0. , 1. , 1.1])
    """
    recall = _check_recall("recall", recall, ndim=2)
    return np.where(_find_presented(recall, sequence), recall, 0).sum(axis=-1)


def _find_presented(recall: Float, sequence: ArrayLike) -> NDArray[np.bool_]:
    """Which items were presented before each test, (n_presentations + 1, n_items)."""
    n_rows, n_items = recall.shape[-2:]
    sequence = checks.check_labels("sequence", sequence, n_rows=n_rows - 1, n_classes=n_items)
    presented = np.zeros((n_rows, n_items), dtype=bool)
    for presentation, item in enumerate(sequence):
        presented[presentation + 1 :, item] = True
    return presented


def _check_confusion(confusion: ArrayLike) -> NDArray[np.int64]:
    """Require counts (..., group, answer), each item tested equally often; keep only items."""
    found = checks.make_array("confusion", confusion)
    if found.dtype.kind not in "iu":
        checks.raise_expected("confusion", "hold whole numbers", found.dtype)
    if found.ndim < 2 or found.shape[-2] < found.shape[-1] or found.size == 0:
        expected = "have shape (..., groups, items), a group per item"
        checks.raise_expected("confusion", expected, found.shape)
    found = found[..., : found.shape[-1], :]
    tested = found.sum(axis=-1)
    if np.any(found < 0) or np.any(tested != tested.flat[0]) or tested.flat[0] < 1:
        raise errors.InputError(
            "`confusion` must count every item's test images, equally many an item"
        )
    return found.astype(np.int64)


def _check_recall(name: str, recall: ArrayLike, *, ndim: int = 1) -> Float:
    """Require shares of test images in [0, 1], with items on the last axis."""
    found = checks.make_array(name, recall).astype(np.float64)
    if found.ndim < ndim or found.size == 0:
        checks.raise_expected(name, f"have at least {ndim} axes, items last", found.shape)
    return checks.check_unit_interval(name, found)
