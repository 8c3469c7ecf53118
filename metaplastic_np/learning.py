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
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from . import _checks, _errors
from .items import Presentation
from .metaplasticity import Metaplasticity
from .network import Network, loss_and_gradient, sgd_step_inplace, split_parameters
from .plasticity import measure_plasticity, measure_synaptic_rate

__all__ = [
    "LearningSettings",
    "learn_item",
]

REFRESHES = ("presentation", "update")
MOST_ON = 0.95  # share of inputs; above it, leaving out the others costs what it saves


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
    is_on = np.asarray(images.any(axis=0))
    if is_on.any() and is_on.mean() < MOST_ON:
        small = partial(learn_item, settings=settings, backend=backend)
        return _learn_inputs_that_are_on(
            small, network, metaplasticity, presentation, is_on, after_epoch
        )

    is_compiled = backend == "numba"
    learn = _learn_numba if is_compiled else _learn_numpy
    rate_into = _rate_into_numba if is_compiled else _rate_into_numpy

    # Both bodies get the same arguments, fill the same arrays and return the updates they made.
    rate, gradient = np.empty_like(parameters), np.empty_like(parameters)
    n_batches = -(-len(images) // settings.batch_size)
    epochs = presentation.order
    pieces = [epochs] if after_epoch is None else [epochs[i : i + 1] for i in range(len(epochs))]
    losses = np.empty(len(epochs) * n_batches)
    done = 0
    rate_into(rate, network, metaplasticity, settings)
    for epoch, order in enumerate(pieces):
        planned = done + len(order) * n_batches
        arguments = (network, metaplasticity, settings, images, labels, order, rate, gradient)
        done += learn(*arguments, losses[done:planned])
        if done < planned:
            layer = _first_bad_layer(network, gradient)
            _errors.raise_non_finite_gradient(layer, done, presentation.number)
        if not np.isfinite(parameters).all():
            _errors.raise_diverged("the weights", presentation.number)
        if after_epoch is not None:
            after_epoch(epoch)
    return losses


def _learn_inputs_that_are_on(
    learn: Callable[..., NDArray[np.float64]],
    network: Network,
    metaplasticity: Metaplasticity,
    presentation: Presentation,
    is_on: NDArray[np.bool_],
    after_epoch: Callable[[int], None] | None,
) -> NDArray[np.float64]:
    """Learn without the inputs that are 0 in every image: their synapses get no gradient.

    A third of a canvas of MNIST is never written on, and needs no arithmetic. Exact but for
    the rounding of shorter sums.
    """
    n_in, n_out = network.layer_sizes[:2]
    first = n_in * n_out  # weights of the first layer; all others stay as they are
    rows = np.flatnonzero(is_on)

    def narrow(vector: NDArray[Any]) -> NDArray[Any]:
        weights = vector[:first].reshape(n_in, n_out)
        return np.concatenate([weights[rows].ravel(), vector[first:]])

    small = Network(
        layer_sizes=(len(rows), *network.layer_sizes[1:]), parameters=narrow(network.parameters)
    )
    rule = Metaplasticity(
        initial_weights=narrow(metaplasticity.initial_weights),
        flexibility=narrow(metaplasticity.flexibility),
        steepness=metaplasticity.steepness,
    )

    def write_back() -> None:
        network.weights[0][rows] = small.weights[0]
        network.parameters[first:] = small.parameters[small.weights[0].size :]

    def test(epoch: int) -> None:
        write_back()
        cast("Callable[[int], None]", after_epoch)(epoch)

    try:
        return learn(
            small,
            rule,
            replace(presentation, images=presentation.images[:, rows]),
            after_epoch=None if after_epoch is None else test,
        )
    finally:
        write_back()


@np.errstate(over="ignore", invalid="ignore")  # what is not finite is refused, in words
def _learn_numpy(
    network: Network,
    metaplasticity: Metaplasticity,
    settings: LearningSettings,
    images: NDArray[Any],
    labels: NDArray[np.intp],
    order: NDArray[np.intp],
    rate: NDArray[Any],
    gradient: NDArray[Any],
    losses: NDArray[np.float64],
) -> int:
    """The readable body: for each batch a gradient, and a step of its own for each synapse."""
    update = 0
    for epoch in order:
        for start in range(0, len(epoch), settings.batch_size):
            rows = epoch[start : start + settings.batch_size]
            losses[update], gradient[:] = loss_and_gradient(network, images[rows], labels[rows])
            if not np.isfinite(gradient).all():
                return update
            if settings.refresh == "update":
                _rate_into_numpy(rate, network, metaplasticity, settings)
            sgd_step_inplace(network, gradient, learning_rate=rate)
            update += 1
    return update


@np.errstate(all="ignore")  # interpreted, a kernel would warn where compiled it does not
def _learn_numba(
    network: Network,
    metaplasticity: Metaplasticity,
    settings: LearningSettings,
    images: NDArray[Any],
    labels: NDArray[np.intp],
    order: NDArray[np.intp],
    rate: NDArray[Any],
    gradient: NDArray[Any],
    losses: NDArray[np.float64],
) -> int:
    """The fast body: the same in one compiled call, without the GIL."""
    from . import _kernels  # Numba takes a second to import

    dtype = network.parameters.dtype
    return int(
        _kernels.learn_epochs(
            network.parameters,
            np.array(network.layer_sizes, dtype=np.intp),
            _read_only(images),
            _read_only(labels),
            _read_only(order),
            settings.batch_size,
            rate,
            gradient,
            metaplasticity.initial_weights,
            metaplasticity.flexibility,
            _checks.check_scalar("steepness", metaplasticity.steepness, dtype=dtype),
            _checks.check_scalar("learning_rate", settings.learning_rate, dtype=dtype),
            settings.refresh == "update",
            losses,
        )
    )


def _rate_into_numpy(
    rate: NDArray[Any], network: Network, metaplasticity: Metaplasticity, settings: LearningSettings
) -> None:
    """Learning rate times plasticity, for every parameter as it stands now."""
    plasticity = measure_plasticity(
        metaplasticity.flexibility,
        network.parameters - metaplasticity.initial_weights,
        steepness=metaplasticity.steepness,
    )
    rate[:] = measure_synaptic_rate(plasticity, learning_rate=settings.learning_rate)


@np.errstate(all="ignore")
def _rate_into_numba(
    rate: NDArray[Any], network: Network, metaplasticity: Metaplasticity, settings: LearningSettings
) -> None:
    """The same, compiled."""
    from . import _kernels

    dtype = network.parameters.dtype
    _kernels.synaptic_rate_into(
        rate,
        network.parameters,
        metaplasticity.initial_weights,
        metaplasticity.flexibility,
        _checks.check_scalar("steepness", metaplasticity.steepness, dtype=dtype),
        _checks.check_scalar("learning_rate", settings.learning_rate, dtype=dtype),
    )


def _first_bad_layer(network: Network, gradient: NDArray[Any]) -> int:
    """The first layer whose gradient is not finite."""
    d_weights, d_biases = split_parameters(gradient, network.layer_sizes)
    bad = [
        not (np.isfinite(dw).all() and np.isfinite(db).all())
        for dw, db in zip(d_weights, d_biases, strict=True)
    ]
    return bad.index(True)


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    """A view that cannot be written: to Numba a type of its own, so every caller shares one."""
    view = array.view()
    view.flags.writeable = False
    return view
