r"""Learning with metaplastic synapses: the one place where weights move.

The network of :mod:`metaplastic_np.nn.network` learns by :math:`w \leftarrow w - \eta g`. Here each
synapse has a rate of its own, the **synaptic rate**: :math:`w \leftarrow w - (\eta p) g`. With
flexibility 1 it is the ordinary network again, bit for bit.

The plasticity p is computed once per **presentation**, before its first epoch, as in the paper.
That refresh is itself a boundary signal; ``refresh="update"`` does without it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._util import checks, errors
from ._util.blas import one_blas_thread
from .experiments.workers import call_together
from .nn import Network, loss_and_gradient, sgd_step_inplace, split_parameters
from .rules import Metaplasticity, measure_displacement, measure_plasticity, measure_synaptic_rate
from .scenarios import Presentation

__all__ = [
    "LearningSettings",
    "learn_item",
]

REFRESHES = ("presentation", "update")
DENSE = 0.5  # share of images; an input that is on in fewer is cheaper as a list than in BLAS


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
        checks.check_positive("learning_rate", self.learning_rate)
        checks.check_count("batch_size", self.batch_size)
        checks.check_choice("refresh", self.refresh, REFRESHES)


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
    >>> from metaplastic_np import draw_items, draw_presentation, init_metaplasticity
    >>> from metaplastic_np import init_network, load_digits
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
        checks.check_array(name, array, shape=parameters.shape, dtype=dtype)
    images = checks.check_array(
        "images", presentation.images, shape=(None, network.layer_sizes[0]), dtype=dtype
    )
    checks.check_finite("images", images)
    checks.check_finite("parameters", parameters)
    labels = checks.check_labels(
        "labels", presentation.labels, n_rows=len(images), n_classes=network.layer_sizes[-1]
    )
    backend = checks.check_backend(backend)
    settings = replace(settings, batch_size=min(settings.batch_size, len(images)))

    start = _start_numba if backend == "numba" else _start_numpy
    learn, gradient = start(network, metaplasticity, settings, images, labels)
    n_batches = -(-len(images) // settings.batch_size)
    epochs = presentation.order
    pieces = [epochs] if after_epoch is None else [epochs[i : i + 1] for i in range(len(epochs))]
    losses = np.empty(len(epochs) * n_batches)
    done = 0
    for epoch, order in enumerate(pieces):
        planned = done + len(order) * n_batches
        done += learn(order, losses[done:planned])
        if done < planned:
            layer = _first_bad_layer(network, gradient)
            errors.raise_non_finite_gradient(layer, done, presentation.number)
        if not checks.is_finite(parameters):
            errors.raise_diverged("the weights", presentation.number)
        if not checks.is_finite(losses[:done]):
            errors.raise_diverged("the losses", presentation.number)
        if after_epoch is not None:
            after_epoch(epoch)
    return losses


# The two bodies: each is told once what is shown, and gives back what learns some epochs of it,
# fills in their losses and returns how many updates it made; and the gradient of the last one.
_Body = tuple[Callable[[NDArray[np.intp], NDArray[np.float64]], int], NDArray[Any]]


def _start_numpy(
    network: Network,
    metaplasticity: Metaplasticity,
    settings: LearningSettings,
    images: NDArray[Any],
    labels: NDArray[np.intp],
) -> _Body:
    """The readable body: for each batch a gradient, and a step of its own for each synapse."""
    rate, gradient = np.empty_like(network.parameters), np.empty_like(network.parameters)

    def refresh() -> None:
        plasticity = measure_plasticity(
            metaplasticity.flexibility,
            measure_displacement(network, metaplasticity),
            steepness=metaplasticity.steepness,
        )
        rate[:] = measure_synaptic_rate(plasticity, learning_rate=settings.learning_rate)

    @np.errstate(over="ignore", invalid="ignore")  # what is not finite is refused, in words
    def learn(order: NDArray[np.intp], losses: NDArray[np.float64]) -> int:
        update = 0
        for epoch in order:
            for start in range(0, len(epoch), settings.batch_size):
                rows = epoch[start : start + settings.batch_size]
                losses[update], gradient[:] = loss_and_gradient(network, images[rows], labels[rows])
                if not np.isfinite(gradient).all():
                    return update
                if settings.refresh == "update":
                    refresh()
                sgd_step_inplace(network, gradient, learning_rate=rate)
                update += 1
        return update

    refresh()
    return learn, gradient


def _start_numba(
    network: Network,
    metaplasticity: Metaplasticity,
    settings: LearningSettings,
    images: NDArray[Any],
    labels: NDArray[np.intp],
) -> _Body:
    """The fast body: the same in one compiled call, without the GIL."""
    from ._fast import kernels, products, work  # Numba takes a second to import

    parameters = network.parameters
    dtype, sizes = parameters.dtype, np.array(network.layer_sizes, dtype=np.intp)
    rate, gradient = np.empty_like(parameters), np.empty_like(parameters)
    rule = (
        metaplasticity.initial_weights,
        metaplasticity.flexibility,
        checks.check_scalar("steepness", metaplasticity.steepness, dtype=dtype),
        checks.check_scalar("learning_rate", settings.learning_rate, dtype=dtype),
    )
    inputs = products.sort_inputs(
        _read_only(images), _read_only(labels), settings.batch_size, DENSE
    )
    threads = work.count_threads(sizes, settings.batch_size, len(images))
    limit = one_blas_thread if threads > 1 else nullcontext
    with limit():
        shape, works = work.init_work(dtype, sizes, inputs, settings.batch_size, threads)
    refresh = kernels.NOW if settings.refresh == "presentation" else kernels.EVERY_UPDATE

    def learn(order: NDArray[np.intp], losses: NDArray[np.float64]) -> int:
        nonlocal refresh
        now = refresh
        if refresh == kernels.NOW:  # once, however many calls there are
            refresh = kernels.LATER
        integers, epochs = parameters.view(f"i{dtype.itemsize}"), _read_only(order)

        @np.errstate(all="ignore")  # interpreted, a kernel would warn where compiled it does not
        def work_on(work: work.Work) -> int:
            done = kernels.learn_epochs(
                parameters,
                integers,
                rate,
                gradient,
                rule,
                now,
                shape,
                inputs,
                epochs,
                settings.batch_size,
                work,
                losses,
            )
            return int(done)

        with limit():
            return call_together(work_on, works)

    return learn, gradient


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
