"""An ordinary fully connected network that has never heard of the paper.

ReLU between layers, softmax cross-entropy on top, plain stochastic gradient descent. Its weights
and biases live in one flat vector, layer after layer; ``network.weights[l]`` ``(n_in, n_out)`` and
``network.biases[l]`` are views into it, so a gradient, a learning rate or a flexibility for every
parameter is a vector of the same length, cut by the same :func:`split_parameters`.

What the paper adds is one such vector, the synaptic rate in place of the learning rate; see
:mod:`metaplastic_np.learning`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .._util import checks, errors
from .._util.blas import one_blas_thread
from .._util.storage import read_arrays, write_arrays
from .layers import (
    dense_backward,
    dense_forward,
    relu_backward,
    relu_forward,
    softmax_cross_entropy_backward,
    softmax_cross_entropy_forward,
)

__all__ = [
    "Network",
    "copy_network",
    "init_network",
    "load_network",
    "loss_and_gradient",
    "network_backward",
    "network_forward",
    "predict",
    "save_network",
    "sgd_step_inplace",
    "split_parameters",
]

MANY = 2**32  # products of a pass that takes long enough to wake up threads of BLAS

Array = NDArray[Any]


def split_parameters(vector: Array, layer_sizes: Sequence[int]) -> tuple[list[Array], list[Array]]:
    """Views of a flat vector: one weight matrix and one bias vector a layer.

    Parameters
    ----------
    vector : array (n_parameters,)
        Parameters, or anything with one number for each.
    layer_sizes : sequence of int
        Units in the inputs, each hidden layer, the outputs.

    Returns
    -------
    weights : list of views (n_in, n_out)
    biases : list of views (n_out,)

    Raises
    ------
    InputError
        If the vector's length does not fit the layers.

    Examples
    --------
    >>> import numpy as np
    >>> weights, biases = split_parameters(np.arange(8.0), (3, 2))
    >>> weights[0].shape, biases[0]
    ((3, 2), array([6., 7.]))
    """
    size = sum((n_in + 1) * n_out for n_in, n_out in pairwise(layer_sizes))
    if not isinstance(vector, np.ndarray) or vector.shape != (size,):
        checks.raise_expected("parameters", f"be an array of shape ({size},)", np.shape(vector))
    if not vector.flags.c_contiguous:  # its slices could not be seen as matrices
        checks.raise_expected("parameters", "be contiguous", "a strided view")
    weights, biases, start = [], [], 0
    for n_in, n_out in pairwise(layer_sizes):
        weights.append(vector[start : start + n_in * n_out].reshape(n_in, n_out))
        start += n_in * n_out
        biases.append(vector[start : start + n_out])
        start += n_out
    return weights, biases


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """Layer sizes and one flat vector of parameters, the only array that learning moves.

    Parameters
    ----------
    layer_sizes : tuple of int
        Units in the inputs, each hidden layer, the outputs.
    parameters : array (n_parameters,), float32 or float64
        Contiguous and writable; weights and biases, layer after layer.

    Examples
    --------
    >>> import numpy as np
    >>> network = init_network((4, 3, 2), rng=np.random.default_rng(0))
    >>> [weights.shape for weights in network.weights]
    [(4, 3), (3, 2)]
    """

    layer_sizes: tuple[int, ...]
    parameters: Array

    def __post_init__(self) -> None:
        """Check that sizes and parameters fit."""
        object.__setattr__(self, "layer_sizes", _check_layer_sizes(self.layer_sizes))
        split_parameters(self.parameters, self.layer_sizes)
        checks.check_dtype("parameters", self.parameters.dtype)
        if not self.parameters.flags.writeable:
            checks.raise_expected("parameters", "be writable", "a read-only array")

    @property
    def weights(self) -> list[Array]:
        """Views (n_in, n_out), one a layer."""
        return split_parameters(self.parameters, self.layer_sizes)[0]

    @property
    def biases(self) -> list[Array]:
        """Views (n_out,), one a layer."""
        return split_parameters(self.parameters, self.layer_sizes)[1]


def _check_layer_sizes(layer_sizes: Sequence[int]) -> tuple[int, ...]:
    """Require at least inputs and outputs, and at least one unit in each layer."""
    try:
        sizes = tuple(layer_sizes)
    except TypeError:
        sizes = ()
    if len(sizes) < 2:
        expected = "list inputs, hidden layers and outputs"
        checks.raise_expected("layer_sizes", expected, repr(layer_sizes))
    return tuple(checks.check_count("layer_sizes", size) for size in sizes)


def init_network(
    layer_sizes: Sequence[int], *, rng: np.random.Generator, dtype: DTypeLike = np.float32
) -> Network:
    """Build a network: Glorot-normal weights, std sqrt(2 / (n_in + n_out)), and zero biases.

    Parameters
    ----------
    layer_sizes : sequence of int
        Units in the inputs, each hidden layer, the outputs.
    rng : numpy.random.Generator
    dtype : float32 or float64
        Drawn in float64 either way, so both dtypes start from the same numbers.

    Returns
    -------
    Network

    Raises
    ------
    InputError
        If there are fewer than two sizes or one is not a whole number above 0.

    Examples
    --------
    >>> import numpy as np
    >>> network = init_network((1024, 256, 10), rng=np.random.default_rng(0))
    >>> round(float(network.weights[0].std() * np.sqrt((1024 + 256) / 2)), 2)
    1.0
    """
    layer_sizes = _check_layer_sizes(layer_sizes)
    dtype = checks.check_dtype("dtype", dtype)
    checks.check_rng(rng)
    size = sum((n_in + 1) * n_out for n_in, n_out in pairwise(layer_sizes))
    network = Network(layer_sizes=layer_sizes, parameters=np.zeros(size, dtype))
    for weights in network.weights:
        weights[:] = rng.standard_normal(weights.shape) * np.sqrt(2 / sum(weights.shape))
    return network


def copy_network(network: Network) -> Network:
    """Return an independent copy, equal in every bit.

    Parameters
    ----------
    network : Network

    Returns
    -------
    Network

    Examples
    --------
    >>> import numpy as np
    >>> network = init_network((4, 2), rng=np.random.default_rng(0))
    >>> twin = copy_network(network)
    >>> twin.parameters[:] = 0
    >>> bool(network.parameters.any())
    True
    """
    return Network(layer_sizes=network.layer_sizes, parameters=network.parameters.copy())


def network_forward(network: Network, images: Array) -> tuple[Array, list[Any]]:
    """Logits of a batch: dense, ReLU, dense, ReLU, ..., dense.

    Parameters
    ----------
    network : Network
    images : array (n, n_in) of the network's dtype

    Returns
    -------
    logits : array (n, n_out)
    caches : list, what :func:`network_backward` needs

    Raises
    ------
    InputError
        If the images' shape or dtype does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> network = init_network((4, 3, 2), rng=np.random.default_rng(0), dtype=np.float64)
    >>> network_forward(network, np.ones((5, 4)))[0].shape
    (5, 2)
    """
    values, caches = images, []
    last = len(network.weights) - 1
    for layer, (weights, biases) in enumerate(zip(network.weights, network.biases, strict=True)):
        values, dense_cache = dense_forward(values, weights, biases)
        relu_cache = None
        if layer < last:
            values, relu_cache = relu_forward(values)
        caches.append((dense_cache, relu_cache))
    return values, caches


def network_backward(network: Network, d_logits: Array, caches: list[Any]) -> Array:
    """Gradient of the loss with respect to every parameter, laid out like the parameters.

    Parameters
    ----------
    network : Network
    d_logits : array (n, n_out)
        Gradient of the loss with respect to the logits.
    caches : as :func:`network_forward` returned them

    Returns
    -------
    gradient : array (n_parameters,)

    Examples
    --------
    >>> import numpy as np
    >>> network = init_network((4, 3, 2), rng=np.random.default_rng(0), dtype=np.float64)
    >>> logits, caches = network_forward(network, np.ones((5, 4)))
    >>> network_backward(network, np.zeros_like(logits), caches).shape == network.parameters.shape
    True
    """
    gradient = np.empty_like(network.parameters)
    d_weights, d_biases = split_parameters(gradient, network.layer_sizes)
    d_values = d_logits
    for layer in reversed(range(len(caches))):
        dense_cache, relu_cache = caches[layer]
        if relu_cache is not None:
            d_values = relu_backward(d_values, relu_cache)
        # The first layer's inputs are data: their gradient is not asked for.
        d_values, d_weights[layer][:], d_biases[layer][:] = dense_backward(
            d_values, dense_cache, with_inputs=layer > 0
        )
    return gradient


def loss_and_gradient(network: Network, images: Array, labels: ArrayLike) -> tuple[float, Array]:
    """Mean cross-entropy of a batch, and its gradient. Changes nothing.

    Parameters
    ----------
    network : Network
    images : array (n, n_in) of the network's dtype
    labels : int array (n,)

    Returns
    -------
    loss : float, in nats
    gradient : array (n_parameters,)

    Raises
    ------
    InputError
        If shapes or dtypes do not fit or a label is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> network = init_network((4, 3, 2), rng=np.random.default_rng(0), dtype=np.float64)
    >>> loss, gradient = loss_and_gradient(network, np.zeros((5, 4)), np.zeros(5, int))
    >>> round(loss, 4)  # log 2: zero images say nothing
    0.6931
    """
    logits, caches = network_forward(network, images)
    loss, cache = softmax_cross_entropy_forward(logits, np.asarray(labels))
    return loss, network_backward(network, softmax_cross_entropy_backward(cache), caches)


def sgd_step_inplace(network: Network, gradient: Array, *, learning_rate: float | Array) -> None:
    """Move the parameters against the gradient, in place: w -= learning_rate * gradient.

    Parameters
    ----------
    network : Network
    gradient : array (n_parameters,) of the network's dtype
    learning_rate : float, or array (n_parameters,) of the network's dtype
        One rate for all parameters, or one for each.

    Raises
    ------
    InputError
        If the gradient's shape or dtype does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> network = init_network((4, 2), rng=np.random.default_rng(0))
    >>> before = network.parameters.copy()
    >>> sgd_step_inplace(network, np.ones_like(before), learning_rate=0.5)
    >>> bool(np.allclose(before - network.parameters, 0.5))
    True
    """
    parameters, dtype = network.parameters, network.parameters.dtype
    gradient = checks.check_array("gradient", gradient, shape=parameters.shape, dtype=dtype)
    if isinstance(learning_rate, np.ndarray):
        checks.check_array("learning_rate", learning_rate, shape=parameters.shape, dtype=dtype)
    else:
        learning_rate = checks.check_scalar("learning_rate", learning_rate, dtype=dtype)
    parameters -= learning_rate * gradient


def predict(network: Network, images: ArrayLike) -> NDArray[np.intp]:
    """The answer to each image: the arg max over all outputs.

    Parameters
    ----------
    network : Network
    images : array (n, n_in) of the network's dtype

    Returns
    -------
    int array (n,)

    Raises
    ------
    InputError
        If the images' shape or dtype does not fit, or a pixel is not finite.
    DivergenceError
        If the images are finite and the network's answers are not.

    Examples
    --------
    >>> import numpy as np
    >>> network = init_network((4, 2), rng=np.random.default_rng(0), dtype=np.float64)
    >>> predict(network, np.eye(4)).shape
    (4,)
    """
    images = checks.check_array(
        "images", images, shape=(None, network.layer_sizes[0]), dtype=network.parameters.dtype
    )
    # Threads of BLAS look for more work for a tenth of a second, on cores that learning then wants.
    limit = one_blas_thread if len(images) * network.parameters.size < MANY else nullcontext
    with limit(), np.errstate(over="ignore", invalid="ignore"):  # refused below, in words
        logits, _ = network_forward(network, images)
    if not np.isfinite(logits).all():
        checks.check_finite("images", images)
        errors.raise_diverged("the network's answers", None)
    return logits.argmax(axis=1)


def save_network(path: Path | str, network: Network) -> None:
    """Write a network to an npz file, atomically.

    Parameters
    ----------
    path : path
    network : Network

    Raises
    ------
    OutputError
        If the file cannot be written.

    Examples
    --------
    See :func:`load_network`.
    """
    arrays = {"layer_sizes": np.array(network.layer_sizes), "parameters": network.parameters}
    write_arrays(path, arrays, header={"kind": "network", "schema": 1})


def load_network(path: Path | str) -> Network:
    """Read a network that :func:`save_network` wrote, equal in every bit.

    Parameters
    ----------
    path : path

    Returns
    -------
    Network

    Raises
    ------
    InputError
        If the file is missing, damaged or not a network.

    Examples
    --------
    >>> import numpy as np, tempfile, pathlib
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, "network.npz")
    >>> network = init_network((4, 2), rng=np.random.default_rng(0))
    >>> save_network(path, network)
    >>> bool(np.array_equal(load_network(path).parameters, network.parameters))
    True
    >>> folder.cleanup()
    """
    arrays, header = read_arrays(path)
    errors.check_file_kind(Path(path), header, kind="network")
    errors.check_names(Path(path), arrays, ("layer_sizes", "parameters"))
    try:
        sizes = tuple(int(size) for size in arrays["layer_sizes"])
        return Network(layer_sizes=sizes, parameters=arrays["parameters"])
    except (TypeError, ValueError, OverflowError) as error:
        errors.raise_unreadable_file(Path(path), f"it makes no network ({error})")
