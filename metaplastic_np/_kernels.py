"""The hot loops, compiled by Numba: all epochs of a presentation in one call, without the GIL.

The same equations as :mod:`layers`, :mod:`network` and :mod:`plasticity`, which are the ones to
read first and the oracle these are tested against. Kernels know nothing of items or networks, take
every array from outside, never raise and never draw. Arrays that are only read arrive read-only,
so that each kernel is compiled once a dtype.

Parameters are one flat vector, layer after layer, weights ``(n_in, n_out)`` in C order and then
biases: one compilation serves every depth. Numba's cache does not see edits in other files, so all
kernels live in this one.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

UNCACHED = (
    "Numba found no folder to keep compiled kernels in, so every process compiles them again; "
    "set NUMBA_CACHE_DIR to a folder that can be written"
)


def _jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile without the GIL, with NumPy's division, and keep the machine code if possible."""
    try:
        return njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # no cache folder can be written
        if UNCACHED not in _warned:
            _warned.append(UNCACHED)
            warnings.warn(UNCACHED, RuntimeWarning, stacklevel=2)
        return njit(nogil=True, error_model="numpy")(function)


_warned: list[str] = []


@_jit
def synaptic_rate_into(rate, parameters, initial_parameters, flexibility, steepness, learning_rate):
    """Rate = learning_rate * sech^2(steepness * (1 - f)/f * (w - w0)), 0 where f is rigid."""
    one = parameters.dtype.type(1)
    two = parameters.dtype.type(2)
    four = parameters.dtype.type(4)
    zero = parameters.dtype.type(0)
    for i in range(rate.size):
        stiffness = (one - flexibility[i]) / flexibility[i]
        if np.isfinite(stiffness):
            displacement = np.abs(parameters[i] - initial_parameters[i])
            decay = np.exp(-two * ((stiffness * displacement) * steepness))
            plasticity = min(four * decay / ((one + decay) * (one + decay)), one)
            rate[i] = learning_rate * plasticity
        else:
            rate[i] = zero


@_jit
def _add_bias(outputs, biases):
    """Y += b, row by row."""
    for row in range(outputs.shape[0]):
        for unit in range(outputs.shape[1]):
            outputs[row, unit] += biases[unit]


@_jit
def _add_bias_relu(outputs, biases):
    """Y = max(Y + b, 0). Written so that NaN stays NaN, as in NumPy's maximum."""
    zero = outputs.dtype.type(0)
    for row in range(outputs.shape[0]):
        for unit in range(outputs.shape[1]):
            value = outputs[row, unit] + biases[unit]
            outputs[row, unit] = zero if value <= zero else value


@_jit
def _softmax_cross_entropy(logits, labels):
    """Replace logits by (softmax - onehot) / n; return the mean loss in nats."""
    n = logits.shape[0]
    count = logits.dtype.type(n)
    one = logits.dtype.type(1)
    total = 0.0
    for row in range(n):
        highest = logits[row].max()
        label_logit = logits[row, labels[row]] - highest
        exponentials = logits.dtype.type(0)
        for unit in range(logits.shape[1]):
            logits[row, unit] = np.exp(logits[row, unit] - highest)
            exponentials += logits[row, unit]
        for unit in range(logits.shape[1]):
            logits[row, unit] /= exponentials
        logits[row, labels[row]] -= one
        for unit in range(logits.shape[1]):
            logits[row, unit] /= count
        total += np.log(exponentials) - label_logit
    return total / n


@_jit
def _sum_rows_into(sums, values):
    """Db = sum of dY over the batch."""
    sums[:] = 0
    for row in range(values.shape[0]):
        for unit in range(values.shape[1]):
            sums[unit] += values[row, unit]


@_jit
def _mask_into(activations, d_activations):
    """ReLU backward: dX = dY where the activation is above 0; overwrites the activation."""
    zero = activations.dtype.type(0)
    for i in range(activations.size):
        activations[i] = d_activations[i] if activations[i] > zero else zero


@_jit
def _all_finite(values):
    """Neither inf nor NaN anywhere."""
    bad = 0
    for i in range(values.size):
        bad += not np.isfinite(values[i])
    return bad == 0


@_jit
def gradient_into(gradient, parameters, layer_sizes, labels, activations, scratch):
    """Forward and backward pass of one batch, whose images stand at the front of `activations`.

    `activations` holds one layer after the other, each (batch, width); `scratch` is as long as
    the widest hidden layer of a batch. Returns the mean loss.
    """
    n = labels.size
    n_layers = layer_sizes.size - 1

    first = 0  # where the layer's inputs start in activations
    start = 0  # where its weights start in parameters
    for layer in range(n_layers):
        n_in, n_out = layer_sizes[layer], layer_sizes[layer + 1]
        inputs = activations[first : first + n * n_in].reshape(n, n_in)
        first += n * n_in
        outputs = activations[first : first + n * n_out].reshape(n, n_out)
        weights = parameters[start : start + n_in * n_out].reshape(n_in, n_out)
        start += n_in * n_out
        biases = parameters[start : start + n_out]
        start += n_out
        np.dot(inputs, weights, outputs)
        if layer < n_layers - 1:
            _add_bias_relu(outputs, biases)
        else:
            _add_bias(outputs, biases)

    logits = activations[first : first + n * layer_sizes[-1]].reshape(n, layer_sizes[-1])
    loss = _softmax_cross_entropy(logits, labels)

    # On the way back a layer's activations are replaced by their gradients: the weight gradient
    # that needs them is taken first.
    for layer in range(n_layers - 1, -1, -1):
        n_in, n_out = layer_sizes[layer], layer_sizes[layer + 1]
        d_outputs = activations[first : first + n * n_out].reshape(n, n_out)
        first -= n * n_in
        inputs = activations[first : first + n * n_in].reshape(n, n_in)
        start -= n_out
        _sum_rows_into(gradient[start : start + n_out], d_outputs)
        start -= n_in * n_out
        d_weights = gradient[start : start + n_in * n_out].reshape(n_in, n_out)
        np.dot(inputs.T, d_outputs, d_weights)
        if layer > 0:
            weights = parameters[start : start + n_in * n_out].reshape(n_in, n_out)
            d_inputs = scratch[: n * n_in]
            np.dot(d_outputs, weights.T, d_inputs.reshape(n, n_in))
            _mask_into(activations[first : first + n * n_in], d_inputs)
    return loss


@_jit
def learn_epochs(
    parameters,
    layer_sizes,
    images,
    labels,
    order,
    batch_size,
    rate,
    gradient,
    initial_parameters,
    flexibility,
    steepness,
    learning_rate,
    refresh_every_update,
    losses,
):
    """Gradient descent over the rows of `order`, one epoch each: w -= rate * gradient.

    `rate` is the synaptic rate; it is recomputed before each update if `refresh_every_update`.
    `losses` takes one loss an update, `gradient` is work space. Returns how many updates were made:
    fewer than asked if a gradient was not finite; that update moved nothing, and `gradient` has it.
    """
    n = order.shape[1]
    rows = min(batch_size, n)
    widest = 1
    for layer in range(1, layer_sizes.size - 1):
        widest = max(widest, layer_sizes[layer])
    activations = np.empty(rows * layer_sizes.sum(), parameters.dtype)
    scratch = np.empty(rows * widest, parameters.dtype)
    batch_labels = np.empty(rows, np.intp)
    n_in = layer_sizes[0]

    update = 0
    for epoch in range(order.shape[0]):
        for start in range(0, n, batch_size):
            n_batch = min(batch_size, n - start)
            for i in range(n_batch):
                row = order[epoch, start + i]
                activations[i * n_in : (i + 1) * n_in] = images[row]
                batch_labels[i] = labels[row]
            losses[update] = gradient_into(
                gradient, parameters, layer_sizes, batch_labels[:n_batch], activations, scratch
            )
            if not _all_finite(gradient):
                return update
            if refresh_every_update:
                synaptic_rate_into(
                    rate, parameters, initial_parameters, flexibility, steepness, learning_rate
                )
            for i in range(parameters.size):
                parameters[i] -= rate[i] * gradient[i]
            update += 1
    return update


def cache_folder() -> str | None:
    """Where Numba keeps the compiled kernels, or None if it finds no folder."""
    cache = getattr(learn_epochs, "stats", None)
    return cache.cache_path if cache is not None else None
