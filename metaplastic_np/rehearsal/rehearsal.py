"""What else is shown: images of the past, beside those of the present.

A :class:`Rehearsal` is a set of plain functions, as a synaptic rule is. What it keeps, its
**memory**, is a dictionary of named arrays, which is saved, resumed and rewound with the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from numpy.typing import NDArray

__all__ = ["Memory", "Rehearsal", "Term"]

Array = NDArray[Any]
Memory = dict[str, Array]


class Term(NamedTuple):
    """Images that are shown with a batch, and what the network is taught to answer to them.

    Parameters
    ----------
    images : array (n, n_inputs)
    labels : int array (n,)
    weight : float
        Weight of their mean loss; the batch's own loss has weight 1.

    Examples
    --------
    >>> import numpy as np
    >>> Term(np.zeros((2, 4)), np.array([0, 1])).weight
    1.0
    """

    images: Array
    labels: Array
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """What is shown again, and what is stored for it.

    Parameters
    ----------
    name : str
    terms : callable
        ``(memory, network, rng) -> sequence of Term``: what is shown along with the next batch.
    store : callable
        ``(memory, network, images, labels, rng)`` sees each batch after its update, and changes the
        memory in place.
    weigh : callable, optional
        ``(gradient, memory_gradient) -> float`` gives the weight of a term's gradient, where it
        depends on both. Default: the term's own weight.

    Examples
    --------
    Show the last batch once more:

    >>> def show_again(memory, network, rng):
    ...     return [Term(memory["images"], memory["labels"])] if memory else []
    >>> def keep(memory, network, images, labels, rng):
    ...     memory.update(images=images.copy(), labels=labels.copy())
    >>> Rehearsal(name="again", terms=show_again, store=keep).weigh is None
    True
    """

    name: str
    terms: Callable[..., Any]
    store: Callable[..., None]
    weigh: Callable[[Array, Array], float] | None = None
