"""What is measured of a network while it learns; measuring changes nothing.

A **watcher** looks at a network at birth, after every presentation, or after every epoch, and
returns one row each time. Its rows become the arrays of a trial.

=============================  =========================================================
watcher                        row
=============================  =========================================================
``confusion``                  answers to the test images of every item, and of new items
``recall_by_epoch``            recall of some items, after every epoch
``path``                       where the weights are, to tell which synapses moved
=============================  =========================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..learning import Learner
from ..metrics import measure_confusion
from ..nn import Network, split_parameters
from ..scenarios import Items
from .settings import Settings

Array = NDArray[Any]
Rows = dict[str, list[Array]]

TENTHS = 10  # ranges of flexibility
MOST_FOLLOWED = 500_000  # weights whose way is kept to tell which synapses moved


class Watcher(NamedTuple):
    """Something to measure of a network, by a name."""

    name: str
    watch: Callable[[Network, bool], Array]  # the network, and whether a new item was just shown
    by_epoch: bool = False  # after every epoch, and not only after the last


def choose_watchers(items: Items, newborn: Network, settings: Settings) -> list[Watcher]:
    """What a run's settings ask to be measured."""
    watchers = [Watcher("confusion", lambda network, is_new: count_answers(network, items, is_new))]
    if settings.by_epoch:
        watchers.append(
            Watcher(
                "recall_by_epoch",
                _watch_items(items, settings.by_epoch),
                True,
            )
        )
    if settings.by_flexibility:
        followed = choose_followed(newborn)
        watchers.append(Watcher("path", lambda network, _: network.parameters[followed].copy()))
    return watchers


def _watch_items(items: Items, chosen: tuple[int, ...]) -> Callable[[Network, bool], Array]:
    """Recall of some items."""
    images = items.test_images[list(chosen)]

    def watch(network: Network, _: bool) -> Array:
        answers = measure_confusion(network, images)
        return answers[np.arange(len(chosen)), chosen] / images.shape[1]

    return watch


def copy_rows(rows: Rows) -> Rows:
    """Lists of their own, to be continued."""
    return {name: list(found) for name, found in rows.items()}


def collect(
    rows: Sequence[Rows], learners: Sequence[Learner], newborn: Network, starts: Sequence[int]
) -> dict[str, Array]:
    """What was noted of every network, as arrays; of no rows where nothing was asked for."""
    by_epoch = [each.get("recall_by_epoch", np.empty((0, 0))) for each in rows]
    is_followed = "path" in rows[0]
    moved, share = np.full((2, len(rows), len(starts) * is_followed, TENTHS), np.nan)
    for index, (each, learner) in enumerate(zip(rows, learners, strict=True)):
        flexibility = learner.synapses.hidden.get("flexibility")
        if is_followed and flexibility is not None:
            f = flexibility[choose_followed(newborn)]
            moved[index], share[index] = measure_by_flexibility(each["path"], f, starts)
    return {
        "confusion": np.array([each["confusion"] for each in rows]),
        "recall_by_epoch": np.array(by_epoch),
        "displacement_by_flexibility": moved,
        "displacement_share": share,
    }


def count_answers(network: Network, items: Items, is_new_shown: bool) -> NDArray[np.int64]:
    """Answers to each group of test images: the items, then new ones, which have no output.

    New items are tested only when one of them was just shown; else their counts are 0.
    """
    n_items = len(items)
    listed = measure_confusion(network, items.test_images[:n_items])
    new = np.zeros((items.n_new, n_items), np.int64)
    if items.n_new and is_new_shown:
        new = measure_confusion(network, items.test_images[n_items:])
    return np.concatenate([listed, new])


def choose_followed(network: Network) -> NDArray[np.intp]:
    """Which weights are followed: all, or an even sample of a large network's. No biases."""
    is_weight = np.zeros(len(network.parameters), dtype=bool)
    for weights in split_parameters(is_weight, network.layer_sizes)[0]:
        weights[:] = True
    indices = np.flatnonzero(is_weight)
    return indices[:: -(-len(indices) // MOST_FOLLOWED)]


def measure_by_flexibility(
    path: Sequence[Array], flexibility: Array, starts: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How far the synapses of each tenth of flexibility went in each presentation.

    The rms of a presentation's steps, from the state that it started from; and the share it has in
    where they came in the end: its steps projected on the displacement at the end, which adds up to
    1 where no schedule rewinds. NaN where a tenth has no synapse.
    """
    tenth = np.minimum((flexibility * TENTHS).astype(np.intp), TENTHS - 1)
    count = np.bincount(tenth, minlength=TENTHS)
    places = np.array(path, dtype=np.float64)
    moved, share = np.full((2, len(places) - 1, TENTHS), np.nan)
    # A power of 2 keeps squares in range and changes no digit.
    exponent = np.frexp(np.abs(places).max())[1] + 1
    places = np.ldexp(places, -exponent)
    steps, total = places[1:] - places[starts], places[-1] - places[0]
    whole = np.bincount(tenth, weights=total**2, minlength=TENTHS)
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN: no synapse, or none that moved
        for number, step in enumerate(steps):
            squares = np.bincount(tenth, weights=step**2, minlength=TENTHS)
            along = np.bincount(tenth, weights=step * total, minlength=TENTHS)
            moved[number] = np.ldexp(np.sqrt(squares / count), exponent)
            share[number] = along / whole
    return moved, share
