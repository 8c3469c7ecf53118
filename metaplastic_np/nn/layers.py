"""Layers by hand: every forward pass beside its backward pass.

Each pair is the same stanza. ``*_forward`` returns its output and a cache of what the backward pass
needs; ``*_backward`` takes the gradient of the loss with respect to the output and that cache, and
returns the gradients with respect to the inputs. Nothing is stored between the two and nothing is
changed in place. Samples are rows, weights have shape ``(n_in, n_out)``.

===================== =================================== =======================================
layer                 forward                             backward
===================== =================================== =======================================
dense                 Y = X W + b                         dX = dY W', dW = X' dY, db = 1' dY
ReLU                  Y = max(X, 0)                       dX = dY where X > 0, else 0
softmax cross-entropy L = mean(-log softmax(Z)[n, label]) dZ = (softmax(Z) - onehot(label)) / n
===================== =================================== =======================================

:mod:`metaplastic_np.nn.gradient_check` holds each of them to finite differences.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._util import checks, errors

__all__ = [
    "dense_backward",
    "dense_forward",
    "relu_backward",
    "relu_forward",
    "softmax_cross_entropy_backward",
    "softmax_cross_entropy_forward",
]

Array = NDArray[Any]


def dense_forward(
    inputs: Array, weights: Array, biases: Array
) -> tuple[Array, tuple[Array, Array]]:
    """Y = X W + b.

    Parameters
    ----------
    inputs : array (n, n_in)
    weights : array (n_in, n_out)
    biases : array (n_out,)

    Returns
    -------
    outputs : array (n, n_out)
    cache : what :func:`dense_backward` needs

    Raises
    ------
    InputError
        If shapes do not fit or dtypes differ.

    Examples
    --------
    >>> import numpy as np
    >>> outputs, cache = dense_forward(np.ones((1, 2)), np.eye(2), np.array([0.0, 1.0]))
    >>> outputs
    array([[1., 2.]])
    """
    fits = (
        inputs.ndim == weights.ndim == 2
        and inputs.shape[1] == weights.shape[0]
        and biases.shape == weights.shape[1:]
    )
    if not fits:
        raise errors.InputError(
            "`inputs` (n, n_in), `weights` (n_in, n_out) and `biases` (n_out,) must fit; "
            f"got {inputs.shape}, {weights.shape} and {biases.shape}"
        )
    if not inputs.dtype == weights.dtype == biases.dtype:
        raise errors.InputError(
            "`inputs`, `weights` and `biases` must share one dtype; "
            f"got {inputs.dtype}, {weights.dtype} and {biases.dtype}"
        )
    outputs = inputs @ weights + biases
    return outputs, (inputs, weights)


def dense_backward(
    d_outputs: Array, cache: tuple[Array, Array], *, with_inputs: bool = True
) -> tuple[Any, Array, Array]:
    """DX = dY W', dW = X' dY, db = sum of dY over the batch.

    Parameters
    ----------
    d_outputs : array (n, n_out)
        Gradient of the loss with respect to the outputs.
    cache : as :func:`dense_forward` returned it
    with_inputs : bool
        False in a first layer, whose inputs are data: saves one of the two products.

    Returns
    -------
    d_inputs : array (n, n_in), or None without inputs
    d_weights : array (n_in, n_out)
    d_biases : array (n_out,)

    Examples
    --------
    >>> import numpy as np
    >>> _, cache = dense_forward(np.ones((1, 2)), np.eye(2), np.zeros(2))
    >>> dense_backward(np.array([[1.0, -1.0]]), cache)[1]
    array([[ 1., -1.],
           [ 1., -1.]])
    """
    inputs, weights = cache
    is_asked = checks.check_flag("with_inputs", with_inputs)
    d_inputs = d_outputs @ weights.T if is_asked else None
    d_weights = inputs.T @ d_outputs
    d_biases = d_outputs.sum(axis=0)
    return d_inputs, d_weights, d_biases


def relu_forward(inputs: Array) -> tuple[Array, Array]:
    """Y = max(X, 0).

    Parameters
    ----------
    inputs : array, any shape

    Returns
    -------
    outputs : array of the same shape
    cache : what :func:`relu_backward` needs

    Examples
    --------
    >>> import numpy as np
    >>> relu_forward(np.array([-1.0, 2.0]))[0]
    array([0., 2.])
    """
    outputs = np.maximum(inputs, 0)
    return outputs, inputs > 0


def relu_backward(d_outputs: Array, cache: Array) -> Array:
    """DX = dY where X > 0, else 0 (the subgradient 0 at X = 0).

    Parameters
    ----------
    d_outputs : array, any shape
    cache : as :func:`relu_forward` returned it

    Returns
    -------
    d_inputs : array of the same shape

    Examples
    --------
    >>> import numpy as np
    >>> _, cache = relu_forward(np.array([-1.0, 2.0]))
    >>> relu_backward(np.array([5.0, 5.0]), cache)
    array([0., 5.])
    """
    positive = cache
    return np.where(positive, d_outputs, d_outputs.dtype.type(0))


def softmax_cross_entropy_forward(
    logits: Array, labels: NDArray[np.intp]
) -> tuple[float, tuple[Array, NDArray[np.intp]]]:
    """L = mean over the batch of -log softmax(Z)[label].

    Parameters
    ----------
    logits : array (n, n_classes)
    labels : int array (n,)
        In 0..n_classes - 1.

    Returns
    -------
    loss : float, in nats
        inf where the largest float64 is too small for it.
    cache : what :func:`softmax_cross_entropy_backward` needs

    Raises
    ------
    InputError
        If labels are not whole numbers in range, one a row.

    Examples
    --------
    >>> import numpy as np
    >>> loss, cache = softmax_cross_entropy_forward(np.zeros((1, 10)), np.array([3]))
    >>> round(loss, 4)  # log 10: a network that knows nothing
    2.3026
    """
    if logits.ndim != 2 or logits.size == 0:
        expected = "have shape (n, n_classes) with at least one image"
        checks.raise_expected("logits", expected, logits.shape)
    labels = checks.check_labels("labels", labels, n_rows=len(logits), n_classes=logits.shape[1])
    # softmax(Z) = softmax(Z - c); c = max keeps every exponential in [0, 1].
    highest = logits.max(axis=1, keepdims=True)
    of_label = np.take_along_axis(logits, labels[:, None], axis=1)
    with np.errstate(over="ignore"):  # exp(-inf) is 0, as it should be
        exponentials = np.exp(logits - highest)
        # float64, since float32 logits may lie further apart than float32 reaches.
        margin = np.subtract(highest, of_label, dtype=np.float64)
        sums = exponentials.sum(axis=1, keepdims=True)
        loss = float(np.mean(np.log(sums) + margin))
    return loss, (exponentials / sums, labels)


def softmax_cross_entropy_backward(cache: tuple[Array, NDArray[np.intp]]) -> Array:
    """DZ = (softmax(Z) - onehot(label)) / n.

    Parameters
    ----------
    cache : as :func:`softmax_cross_entropy_forward` returned it

    Returns
    -------
    d_logits : array (n, n_classes)

    Examples
    --------
    >>> import numpy as np
    >>> _, cache = softmax_cross_entropy_forward(np.zeros((1, 4)), np.array([3]))
    >>> softmax_cross_entropy_backward(cache)
    array([[ 0.25,  0.25,  0.25, -0.75]])
    """
    probabilities, labels = cache
    d_logits = probabilities.copy()
    d_logits[np.arange(len(labels)), labels] -= 1
    d_logits /= len(labels)
    return d_logits
