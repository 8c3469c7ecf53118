r"""Learning with metaplastic synapses: the one place where weights move.

The network of :mod:`metaplastic_np.network` learns by :math:`w \leftarrow w - \eta g`. This module
puts one object between the two, a :class:`Metaplasticity`, and the learning rate becomes a
**synaptic rate** for every synapse, :math:`w \leftarrow w - (\eta p) g`. With flexibility 1 it is
the ordinary network again, bit for bit.

The plasticity p is computed once per **presentation**, before its first epoch, as in the paper.
That refresh is itself a boundary signal; ``refresh="update"`` does without it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _checks, _errors
from .items import Presentation
from .metaplasticity import Metaplasticity, synaptic_rate_into
from .network import Network, loss_and_gradient, sgd_step_inplace, split_parameters

__all__ = [
    "LearningSettings",
    "learn_item",
]

REFRESHES = ("presentation", "update")


@dataclass(frozen=True, kw_only=True)
class LearningSettings:
    """How a presentation is learned.

    Parameters
    ----------
    learning_rate : float
        eta > 0. The default suits the bundled digits.
    batch_size : int
        Images an update; the last, smaller batch of an epoch counts too.
    refresh : {"presentation", "update"}
        When plasticity is computed: once, before the first epoch (the paper), or at every update.

    Examples
    --------
    >>> LearningSettings(batch_size=64)
    LearningSettings(learning_rate=0.009, batch_size=64, refresh='presentation')
    """

    learning_rate: float = 0.009
    batch_size: int = 256
    refresh: str = "presentation"

    def __post_init__(self) -> None:
        """Refuse what cannot be learned with."""
        _checks.check_positive("learning_rate", self.learning_rate)
        _checks.check_count("batch_size", self.batch_size)
        _checks.check_choice("refresh", self.refresh, REFRESHES)


def learn_item(
    network: Network,
    metaplasticity: Metaplasticity,
    presentation: Presentation,
    *,
    settings: LearningSettings,
    backend: str = "auto",
    after_epoch: Callable[[int], None] | None = None,
) -> NDArray[np.float64]:
    """Learn one presentation; moves the network's parameters, in place, and nothing else.

    Parameters
    ----------
    network : Network
    metaplasticity : Metaplasticity
        As :func:`init_metaplasticity` made it when the network was born.
    presentation : Presentation
    settings : LearningSettings
    backend : {"auto", "numba", "numpy"}
        Same equations; "auto" takes Numba where it can be imported.
    after_epoch : callable, optional
        Called with 0, 1, ... after each epoch, for instance to measure. It does not change what is
        learned: plasticity stays that of the presentation's start.

    Returns
    -------
    losses : float64 array (n_updates,)
        Mean cross-entropy of each batch before its update, in nats.

    Raises
    ------
    InputError
        If shapes, dtypes or labels do not fit. Nothing has moved then.
    DivergenceError
        If learning diverged. If a gradient is not finite the message says in which layer and at
        which update, and that update moved no weight.

    Examples
    --------
    >>> import numpy as np
    >>> from metaplastic_np import (
    ...     draw_items, draw_presentation, init_metaplasticity, init_network, load_digits)
    >>> rng = np.random.default_rng(0)
    >>> items = draw_items(load_digits(), n_items=3, n_train_images=100, n_test_images=10, rng=rng)
    >>> network = init_network((128, 32, 3), rng=rng)
    >>> hybrid = init_metaplasticity(network, "hybrid", steepness=50.0, rng=rng)
    >>> losses = learn_item(network, hybrid, draw_presentation(items, 0, epochs=5, rng=rng),
    ...                     settings=LearningSettings(learning_rate=0.2))
    >>> bool(losses[-1] < losses[0])
    True
    """
    parameters = network.parameters
    dtype = parameters.dtype
    for name in ("initial_weights", "flexibility"):
        array = getattr(metaplasticity, name)
        _checks.check_array(name, array, shape=parameters.shape, dtype=dtype)
    images = _checks.check_array(
        "images", presentation.images, shape=(None, network.layer_sizes[0]), dtype=dtype
    )
    _checks.check_finite("images", images)
    _checks.check_finite("parameters", parameters)
    labels = _checks.check_labels(
        "labels", presentation.labels, n_rows=len(images), n_classes=network.layer_sizes[-1]
    )
    backend = _checks.check_backend(backend)
    settings = replace(settings, batch_size=min(settings.batch_size, len(images)))

    start = _start_numba if backend == "numba" else _start_numpy
    learn = start(network, metaplasticity, settings, images, labels)
    n_batches = -(-len(images) // settings.batch_size)
    epochs = presentation.order
    pieces = [epochs] if after_epoch is None else [epochs[i : i + 1] for i in range(len(epochs))]
    losses = np.empty(len(epochs) * n_batches)
    done = 0
    for epoch, order in enumerate(pieces):
        batches = _cut(order, settings.batch_size)
        made = learn(batches, losses[done : done + len(batches)])
        done += made
        if made < len(batches):
            rows = batches[made]  # moved nothing, so that its gradient can be made once more
            with np.errstate(over="ignore", invalid="ignore"):
                _, gradient = loss_and_gradient(network, images[rows], labels[rows])
            layer = _first_bad_layer(network, gradient)
            _errors.raise_non_finite_gradient(layer, done, presentation.number)
        if not _checks.is_finite(parameters):
            _errors.raise_diverged("the weights", presentation.number)
        if not _checks.is_finite(losses[:done]):
            _errors.raise_diverged("the losses", presentation.number)
        if after_epoch is not None:
            after_epoch(epoch)
    return losses


def _cut(order: NDArray[np.intp], batch_size: int) -> list[NDArray[np.intp]]:
    """Which images each update of some epochs sees."""
    starts = range(0, order.shape[1], batch_size)
    return [epoch[start : start + batch_size] for epoch in order for start in starts]


# The two bodies: each is told once what is shown, and gives back what learns some batches of it,
# fills in their losses and returns how many updates it made, all if no gradient was refused.
_Body = Callable[[list[NDArray[np.intp]], NDArray[np.float64]], int]


def _start_numpy(
    network: Network,
    metaplasticity: Metaplasticity,
    settings: LearningSettings,
    images: NDArray[Any],
    labels: NDArray[np.intp],
) -> _Body:
    """The readable body: for each batch a gradient, and a step of its own for each synapse."""
    rate = np.empty_like(network.parameters)

    def refresh() -> None:
        synaptic_rate_into(rate, network, metaplasticity, learning_rate=settings.learning_rate)

    @np.errstate(over="ignore", invalid="ignore")  # what is not finite is refused, in words
    def learn(batches: list[NDArray[np.intp]], losses: NDArray[np.float64]) -> int:
        for update, rows in enumerate(batches):
            losses[update], gradient = loss_and_gradient(network, images[rows], labels[rows])
            if not np.isfinite(gradient).all():
                return update
            if settings.refresh == "update":
                refresh()
            sgd_step_inplace(network, gradient, learning_rate=rate)
        return len(batches)

    refresh()
    return learn


def _start_numba(
    network: Network,
    metaplasticity: Metaplasticity,
    settings: LearningSettings,
    images: NDArray[Any],
    labels: NDArray[np.intp],
) -> _Body:
    """The fast body: the same equations, see :mod:`metaplastic_np._fast`."""
    from . import _fast  # Numba takes a second to import

    rate = np.empty_like(network.parameters)
    learner = _fast.FastLearner(network, images, labels, batch_size=settings.batch_size)

    def refresh() -> None:
        synaptic_rate_into(rate, network, metaplasticity, learning_rate=settings.learning_rate)

    def learn(batches: list[NDArray[np.intp]], losses: NDArray[np.float64]) -> int:
        if settings.refresh == "presentation":
            return learner.learn(rate, batches, losses)
        for update, rows in enumerate(batches):
            refresh()
            if not learner.learn(rate, [rows], losses[update:]):
                return update
        return len(batches)

    refresh()
    return learn


def _first_bad_layer(network: Network, gradient: NDArray[Any]) -> int:
    """The first layer whose gradient is not finite."""
    d_weights, d_biases = split_parameters(gradient, network.layer_sizes)
    bad = [
        not (np.isfinite(dw).all() and np.isfinite(db).all())
        for dw, db in zip(d_weights, d_biases, strict=True)
    ]
    return bad.index(True)
