"""Schedules: which item is presented when, under which label, as plain data.

A schedule is a sequence of :class:`Step`, one a presentation. An item's number is a step too, so
``[0, 1, 2, 0, 1, 2]`` shows three items twice. The experiments of the paper are a few lines each:

==============  ============================================================================
single-pass     every item once
repetition      Hebb repetition: the whole list nine times over
poisoning       after those nine, three passes in which every item's images carry the label
                of another one; and, from the same state, three passes in which new items
                are shown under the same false labels
poisoning-once  the same with one pass of each
frequency       items shown 1, 2, ..., N times, in an order in which how often is independent
                of when
==============  ============================================================================

Write your own the same way, and give it to ``Settings(schedule=...)``::

    massed = [item for item in range(10) for _ in range(3)]        # three times in a row
    relearned = [*range(10), *range(10), Step(0, label=5), 0]      # ..., poisoned, and mended
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

import numpy as np
from numpy.typing import NDArray

from .._util import checks
from ..metrics import measure_rank_correlation
from .items import Step, check_step

__all__ = ["SCHEDULES", "draw_schedule", "measure_positions"]

PASSES = 9
DOSES = 3
MOST_CORRELATED = 0.15  # |rho| of frequency with first, mean and last position
ORDERS_AT_ONCE = 1024
BALANCED = (4, 20)  # items of which one order in 100 to 3,000 is balanced; of more, hardly any


def draw_single_pass(n_items: int, rng: np.random.Generator) -> list[Step]:
    """Every item once, in order (which is random: items are drawn)."""
    return [Step(item) for item in range(n_items)]


def draw_repetition(n_items: int, rng: np.random.Generator) -> list[Step]:
    """The whole list nine times over."""
    return PASSES * draw_single_pass(n_items, rng)


def draw_poisoning(n_items: int, rng: np.random.Generator, *, doses: int = DOSES) -> list[Step]:
    """After nine passes: false labels on the items, or, from the same state, on new ones."""
    learned = draw_repetition(n_items, rng)
    false = draw_derangement(n_items, rng)
    poison = [Step(item, label=false[item]) for item in range(n_items)]
    new = [Step(item, label=false[item], shown=n_items + item) for item in range(n_items)]
    rewound = new[0]._replace(after=len(learned))
    return [*learned, *doses * poison, rewound, *new[1:], *(doses - 1) * new]


def draw_frequency(n_items: int, rng: np.random.Generator) -> list[Step]:
    """Item k shown f_k times, f a permutation of 1..N, in a balanced order.

    A random order confounds frequency with position: what is shown often is likely to come first
    early and last late. Orders are drawn until Spearman's rho of frequency with the first, the mean
    and the last position are all at most 0.15 in size.
    """
    fewest, most = BALANCED
    if not fewest <= n_items <= most:
        expected = (
            f"be from {fewest} to {most} for orders in which frequency and position are independent"
        )
        checks.raise_expected("n_items", expected, n_items)
    while True:
        frequency = 1 + rng.permutation(n_items)
        shown = np.repeat(np.arange(n_items), frequency)
        orders = rng.permuted(np.tile(shown, (ORDERS_AT_ONCE, 1)), axis=1)
        positions = measure_positions(orders, n_items)
        rho = np.abs(measure_rank_correlation(positions, frequency))
        balanced = np.flatnonzero((rho <= MOST_CORRELATED).all(axis=0))
        if len(balanced):
            return [Step(int(item)) for item in orders[balanced[0]]]


def draw_derangement(n_items: int, rng: np.random.Generator) -> list[int]:
    """A uniformly drawn permutation that leaves nothing in its place."""
    while True:  # succeeds with probability 1/e
        permutation = rng.permutation(n_items)
        if (permutation != np.arange(n_items)).all():
            return [int(item) for item in permutation]


SCHEDULES: dict[str, Callable[[int, np.random.Generator], list[Step]]] = {
    "single-pass": draw_single_pass,
    "repetition": draw_repetition,
    "poisoning": draw_poisoning,
    "poisoning-once": partial(draw_poisoning, doses=1),
    "frequency": draw_frequency,
}


def draw_schedule(
    schedule: str | Sequence[Step | int], n_items: int, *, rng: np.random.Generator
) -> list[Step]:
    """The steps of one trial, nothing left open.

    Parameters
    ----------
    schedule : str, or a list or array of Step or int
        A name in ``SCHEDULES``, drawn anew for every trial, or the steps themselves.
    n_items : int
        N.
    rng : numpy.random.Generator

    Returns
    -------
    list of Step
        With `label`, `shown` and `after` filled in.

    Raises
    ------
    InputError
        If the schedule is unknown or empty, or a step names an item, label or state that is not
        there.

    Examples
    --------
    >>> import numpy as np
    >>> steps = draw_schedule([0, 1, Step(0, label=1)], 2, rng=np.random.default_rng(0))
    >>> steps[-1]  # item 0, taught as 1, its own images, after 2 presentations
    Step(item=0, label=1, shown=0, after=2)
    >>> len(draw_schedule("frequency", 10, rng=np.random.default_rng(0)))
    55
    """
    checks.check_rng(rng)
    if isinstance(schedule, str):
        checks.check_choice("schedule", schedule, SCHEDULES)
        schedule = SCHEDULES[schedule](n_items, rng)
    if isinstance(schedule, np.ndarray):
        schedule = schedule.tolist()
    if not isinstance(schedule, Sequence) or not schedule:
        expected = "be a name, or a list or array of at least one item or Step"
        checks.raise_expected("schedule", expected, repr(schedule))
    return [check_step(step, number, n_items=n_items) for number, step in enumerate(schedule)]


def count_new(schedule: Sequence[Step], n_items: int) -> int:
    """How many new items the steps of a trial show."""
    return max(0, max(cast("int", step.shown) + 1 for step in schedule) - n_items)


def measure_positions(sequence: NDArray[np.intp], n_items: int) -> NDArray[np.float64]:
    """First, mean and last place of every item in a sequence of presentations, from 0.

    Parameters
    ----------
    sequence : int array (..., n_presentations)
        Which item each presentation showed; every item at least once.
    n_items : int

    Returns
    -------
    array (3, ..., n_items)

    Examples
    --------
    >>> import numpy as np
    >>> measure_positions(np.array([0, 1, 1, 0, 1]), 2)
    array([[0.        , 1.        ],
           [1.5       , 2.33333333],
           [3.        , 4.        ]])
    """
    lists = sequence.shape[:-1]
    n_lists = int(np.prod(lists))
    # Where each presentation counts: its list's row, its item's column.
    cell = (sequence.reshape(n_lists, -1) + n_items * np.arange(n_lists)[:, None]).ravel()
    place = np.tile(np.arange(sequence.shape[-1]), n_lists)
    found = np.empty((3, n_lists * n_items))
    found[0, cell[::-1]] = place[::-1]  # the first place overwrites those after it
    found[2, cell] = place
    found[1] = np.bincount(cell, weights=place, minlength=found.shape[1])
    found[1] /= np.bincount(cell, minlength=found.shape[1])
    return found.reshape(3, *lists, n_items)
