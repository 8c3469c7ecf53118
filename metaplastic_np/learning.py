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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _checks, _errors
from .flexibility import draw_flexibility
from .items import Presentation
from .network import Network, loss_and_gradient, sgd_step_inplace, split_parameters
from .plasticity import measure_plasticity, measure_synaptic_rate
from .storage import read_arrays, write_arrays

__all__ = [
    "LearningSettings",
    "Metaplasticity",
    "init_metaplasticity",
    "learn_item",
    "load_metaplasticity",
    "measure_displacement",
    "save_metaplasticity",
]

REFRESHES = ("presentation", "update")


@dataclass(frozen=True, kw_only=True, eq=False)
class Metaplasticity:
    """What the paper adds to a network: where every synapse was born, and how flexible it is.

    Parameters
    ----------
    initial_weights : array (n_parameters,), read-only
        w0, laid out like ``network.parameters`` (cut it with :func:`split_parameters`).
    flexibility : array (n_parameters,), read-only
        f in [0, 1]. 1 at the biases, unless they are modulated too.
    steepness : float
        s > 0, in 1/weight.

    Raises
    ------
    InputError
        If the shapes or dtypes differ, f leaves [0, 1], or s is not above 0.

    Examples
    --------
    See :func:`init_metaplasticity`.
    """

    initial_weights: NDArray[Any]
    flexibility: NDArray[Any]
    steepness: float

    def __post_init__(self) -> None:
        """Check, and keep private read-only copies of whatever the caller could still write to."""
        birth = _checks.check_finite(
            "initial_weights",
            _checks.check_array("initial_weights", self.initial_weights, shape=(None,)),
        )
        flexibility = _checks.check_array(
            "flexibility", self.flexibility, shape=birth.shape, dtype=birth.dtype
        )
        _checks.check_unit_interval("flexibility", flexibility)
        _checks.check_positive("steepness", self.steepness)
        object.__setattr__(self, "initial_weights", _checks.freeze(birth))
        object.__setattr__(self, "flexibility", _checks.freeze(flexibility))


def init_metaplasticity(
    network: Network,
    kind: str,
    *,
    steepness: float,
    rng: np.random.Generator,
    modulate_biases: bool = False,
) -> Metaplasticity:
    """Make a newborn network metaplastic: remember its weights, draw its flexibility.

    Parameters
    ----------
    network : Network
        As it was born; it is not changed.
    kind : str
        A name that :func:`draw_flexibility` knows: "conventional", "stable", "hybrid", ...
    steepness : float
        s > 0, in 1/weight.
    rng : numpy.random.Generator
    modulate_biases : bool
        Draw a flexibility for biases too; in the paper they stay ordinary.

    Returns
    -------
    Metaplasticity

    Raises
    ------
    InputError
        If the kind is unknown or the steepness is not above 0.

    Examples
    --------
    >>> import numpy as np
    >>> from metaplastic_np import init_network
    >>> rng = np.random.default_rng(0)
    >>> network = init_network((4, 3, 2), rng=rng)
    >>> hybrid = init_metaplasticity(network, "hybrid", steepness=7.0, rng=rng)
    >>> hybrid.flexibility.shape == network.parameters.shape
    True
    """
    parameters = network.parameters
    flexibility = draw_flexibility(kind, parameters.shape, rng=rng, dtype=parameters.dtype).copy()
    if not modulate_biases:
        _, biases = split_parameters(flexibility, network.layer_sizes)
        for bias in biases:
            bias[:] = 1
    birth = parameters.copy()
    birth.flags.writeable = flexibility.flags.writeable = False  # handed over, not copied again
    return Metaplasticity(initial_weights=birth, flexibility=flexibility, steepness=steepness)


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
    >>> from metaplastic_np import draw_items, draw_presentation, init_network, load_digits
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
    is_compiled = _checks.check_backend(backend) == "numba"
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


def measure_displacement(network: Network, metaplasticity: Metaplasticity) -> NDArray[Any]:
    """How far every parameter is from where it was born, w - w0. Changes nothing.

    Parameters
    ----------
    network : Network
    metaplasticity : Metaplasticity

    Returns
    -------
    array (n_parameters,), in units of weight

    Raises
    ------
    InputError
        If the two do not belong together.

    Examples
    --------
    >>> import numpy as np
    >>> from metaplastic_np import init_network
    >>> rng = np.random.default_rng(0)
    >>> network = init_network((4, 2), rng=rng)
    >>> stable = init_metaplasticity(network, "stable", steepness=7.0, rng=rng)
    >>> bool(measure_displacement(network, stable).any())
    False
    """
    birth = _checks.check_array(
        "initial_weights",
        metaplasticity.initial_weights,
        shape=network.parameters.shape,
        dtype=network.parameters.dtype,
    )
    return network.parameters - birth


def save_metaplasticity(path: Path | str, metaplasticity: Metaplasticity) -> None:
    """Write birth weights, flexibility and steepness to an npz file, atomically.

    With :func:`save_network` this is all that is needed to go on learning later.

    Parameters
    ----------
    path : path
    metaplasticity : Metaplasticity

    Raises
    ------
    OutputError
        If the file cannot be written.

    Examples
    --------
    See :func:`load_metaplasticity`.
    """
    arrays = {
        "initial_weights": metaplasticity.initial_weights,
        "flexibility": metaplasticity.flexibility,
        "steepness": np.array(metaplasticity.steepness),
    }
    write_arrays(path, arrays, header={"kind": "metaplasticity", "schema": 1})


def load_metaplasticity(path: Path | str) -> Metaplasticity:
    """Read what :func:`save_metaplasticity` wrote, equal in every bit.

    Parameters
    ----------
    path : path

    Returns
    -------
    Metaplasticity

    Raises
    ------
    InputError
        If the file is missing, damaged or holds something else.

    Examples
    --------
    >>> import numpy as np, tempfile, pathlib
    >>> from metaplastic_np import init_network
    >>> rng = np.random.default_rng(0)
    >>> network = init_network((4, 2), rng=rng)
    >>> hybrid = init_metaplasticity(network, "hybrid", steepness=7.0, rng=rng)
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, "hybrid.npz")
    >>> save_metaplasticity(path, hybrid)
    >>> bool(np.array_equal(load_metaplasticity(path).flexibility, hybrid.flexibility))
    True
    >>> folder.cleanup()
    """
    arrays, header = read_arrays(path)
    _errors.check_file_kind(Path(path), header, kind="metaplasticity", schema=1)
    _errors.check_names(Path(path), arrays, ("initial_weights", "flexibility", "steepness"))
    return Metaplasticity(
        initial_weights=arrays["initial_weights"],
        flexibility=arrays["flexibility"],
        steepness=float(arrays["steepness"]),
    )
