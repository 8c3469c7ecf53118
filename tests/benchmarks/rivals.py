"""The same learning, written as a good user of another library would: what ``bench.py`` measures.

A function ``start_...`` makes a program from a network and its rule. A program has three parts:

* ``learn(presentation, after_epoch)`` computes the plasticity once, then makes every update of
  every epoch. It calls ``after_epoch()`` after each epoch, or never where ``after_epoch`` is None;
* ``answer(images)`` gives the arg max over the outputs for each image;
* ``read()`` gives the parameters as one vector, in the order of ``metaplastic_np.Network``.

Every program writes the backward pass by hand, as the package does, reuses the arrays that its
library lets it reuse, and moves the weights in place. No rival skips inputs that are 0; only the
package does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from metaplastic_np import (
    LearningSettings,
    Metaplasticity,
    Network,
    copy_network,
    learn_item,
    predict,
    split_parameters,
)
from metaplastic_np.scenarios import Presentation

Array = NDArray[Any]
AfterEpoch = Callable[[], Any] | None


class Program(NamedTuple):
    """What a rival can do."""

    learn: Callable[[Presentation, AfterEpoch], Any]
    answer: Callable[[Array], Array]
    read: Callable[[], Array]


def start_package(network: Network, rule: Metaplasticity, settings: LearningSettings) -> Program:
    """The package itself."""
    network = copy_network(network)

    def learn(presentation: Presentation, after_epoch: AfterEpoch = None) -> None:
        learn_item(
            network,
            rule,
            presentation,
            settings=settings,
            after_epoch=None if after_epoch is None else lambda _: after_epoch(),
        )

    return Program(
        learn=learn,
        answer=lambda images: predict(network, images),
        read=lambda: network.parameters,
    )


def start_numpy(network: Network, rule: Metaplasticity, settings: LearningSettings) -> Program:
    """Plain NumPy: arrays made once, products and steps into them."""
    network = copy_network(network)
    weights, biases = network.weights, network.biases
    births, _ = split_parameters(rule.initial_weights, network.layer_sizes)
    flexibility, _ = split_parameters(rule.flexibility, network.layer_sizes)
    steepness, eta = (
        np.asarray(value, network.parameters.dtype)
        for value in (rule.steepness, settings.learning_rate)
    )
    gradients, rates = [np.empty_like(w) for w in weights], [np.empty_like(w) for w in weights]
    space = [
        np.empty((settings.batch_size, size), weights[0].dtype) for size in network.layer_sizes
    ]
    back = [np.empty_like(units) for units in space]

    def learn(presentation: Presentation, after_epoch: AfterEpoch = None) -> None:
        for w, birth, f, rate in zip(weights, births, flexibility, rates, strict=True):
            with np.errstate(divide="ignore", under="ignore"):
                decay = np.exp((1 - f) / f * np.abs(w - birth) * steepness * -2)
            np.divide(4 * eta * decay, np.square(1 + decay), out=rate)
        for epoch in presentation.order:
            for start in range(0, len(epoch), settings.batch_size):
                rows = epoch[start : start + settings.batch_size]
                update(presentation.images, presentation.labels[rows], rows)
            if after_epoch is not None:
                after_epoch()

    def update(images: Array, labels: Array, rows: Array) -> None:
        n, last = len(rows), len(weights) - 1
        units = [values[:n] for values in space]
        np.take(images, rows, axis=0, out=units[0], mode="clip")  # "raise" would buffer `out`
        for layer, (w, b) in enumerate(zip(weights, biases, strict=True)):
            outputs = np.matmul(units[layer], w, out=units[layer + 1])
            outputs += b
            if layer < last:
                np.maximum(outputs, 0, out=outputs)
        logits = units[-1]
        logits -= logits.max(axis=1, keepdims=True)
        np.exp(logits, out=logits)
        logits /= logits.sum(axis=1, keepdims=True)
        logits[np.arange(n), labels] -= 1
        logits /= n
        d_units = logits
        for layer in range(last, -1, -1):
            w, gradient = weights[layer], gradients[layer]
            np.matmul(units[layer].T, d_units, out=gradient)
            d_bias = d_units.sum(axis=0)
            if layer:
                d_inputs = np.matmul(d_units, w.T, out=back[layer][:n])
                d_inputs *= units[layer] > 0
                d_units = d_inputs
            gradient *= rates[layer]
            w -= gradient
            biases[layer][:] -= eta * d_bias

    def answer(images: Array) -> Array:
        values = images
        for layer, (w, b) in enumerate(zip(weights, biases, strict=True)):
            values = values @ w
            values += b
            if layer < len(weights) - 1:
                np.maximum(values, 0, out=values)
        return values.argmax(axis=1)

    return Program(learn, answer, lambda: network.parameters)


def start_torch(network: Network, rule: Metaplasticity, settings: LearningSettings) -> Program:
    """PyTorch on the CPU, without autograd, with in-place operations and `addcmul_` steps."""
    import torch

    network = copy_network(network)
    # Tensors that share the network's memory.
    weights = [torch.from_numpy(w) for w in network.weights]
    biases = [torch.from_numpy(b) for b in network.biases]
    births, _ = split_parameters(rule.initial_weights.copy(), network.layer_sizes)
    flexibility, _ = split_parameters(rule.flexibility.copy(), network.layer_sizes)
    births = [torch.from_numpy(birth) for birth in births]
    # -2 s (1 - f) / f never changes.
    stiffness = [torch.from_numpy((1 - f) / f).mul_(-2 * rule.steepness) for f in flexibility]
    eta, last = settings.learning_rate, len(weights) - 1

    @torch.inference_mode()
    def learn(presentation: Presentation, after_epoch: AfterEpoch = None) -> None:
        images = torch.from_numpy(presentation.images)
        labels = torch.from_numpy(presentation.labels)
        minus_rates = []
        for w, birth, c in zip(weights, births, stiffness, strict=True):
            decay = torch.sub(w, birth).abs_().mul_(c).exp_()
            minus_rates.append(decay.div_(torch.add(decay, 1).square_()).mul_(-4 * eta))
        for epoch in torch.from_numpy(presentation.order):
            for rows in epoch.split(settings.batch_size):
                update(images.index_select(0, rows), labels.index_select(0, rows), minus_rates)
            if after_epoch is not None:
                after_epoch()

    def update(images: Any, labels: Any, minus_rates: list[Any]) -> None:
        units = [images]
        for layer, (w, b) in enumerate(zip(weights, biases, strict=True)):
            outputs = torch.addmm(b, units[-1], w)
            units.append(outputs.relu_() if layer < last else outputs)
        d_units = torch.softmax(units.pop(), dim=1)
        d_units[torch.arange(len(labels)), labels] -= 1
        d_units /= len(labels)
        for layer in range(last, -1, -1):
            gradient = units[layer].T @ d_units
            d_bias = d_units.sum(dim=0)
            if layer:
                d_units = (d_units @ weights[layer].T).mul_(units[layer] > 0)
            weights[layer].addcmul_(minus_rates[layer], gradient)
            biases[layer].sub_(d_bias, alpha=eta)

    @torch.inference_mode()
    def answer(images: Array) -> Array:
        values = torch.from_numpy(images)
        for layer, (w, b) in enumerate(zip(weights, biases, strict=True)):
            values = torch.addmm(b, values, w)
            if layer < last:
                values.relu_()
        return values.argmax(dim=1).numpy()

    return Program(learn, answer, lambda: network.parameters)


@lru_cache
def _compile_jax(batch_size: int, eta: float) -> tuple[Any, Any, Any]:
    """The rates, some epochs as one scan, and the answers; kept, since compiling takes seconds."""
    import jax
    import jax.numpy as jnp

    def forward(layers: Any, images: Any) -> list[Any]:
        units = [images]
        for layer, (w, b) in enumerate(layers):
            outputs = units[-1] @ w + b
            units.append(jnp.maximum(outputs, 0) if layer < len(layers) - 1 else outputs)
        return units

    def update(layers: Any, rates: Any, images: Any, labels: Any) -> Any:
        units = forward(layers, images)
        right = jax.nn.one_hot(labels, units[-1].shape[1], dtype=images.dtype)
        d_units = (jax.nn.softmax(units[-1]) - right) / len(images)
        moved = []
        for layer in range(len(layers) - 1, -1, -1):
            w, b = layers[layer]
            step = rates[layer] * (units[layer].T @ d_units)
            moved.append((w - step, b - eta * d_units.sum(axis=0)))
            if layer:
                d_units = (d_units @ w.T) * (units[layer] > 0)
        return moved[::-1]

    def measure_rates(layers: Any, births: Any, stiffness: Any) -> Any:
        rates = []
        for (w, _), birth, c in zip(layers, births, stiffness, strict=True):
            decay = jnp.exp(c * jnp.abs(w - birth))
            rates.append(4 * eta * decay / jnp.square(1 + decay))
        return rates

    def learn(layers: Any, rates: Any, images: Any, labels: Any, order: Any) -> Any:
        def batch(layers: Any, rows: Any) -> tuple[Any, None]:
            return update(layers, rates, images[rows], labels[rows]), None

        def epoch(layers: Any, rows: Any) -> tuple[Any, None]:
            whole = len(rows) // batch_size * batch_size
            if whole:
                layers, _ = jax.lax.scan(batch, layers, rows[:whole].reshape(-1, batch_size))
            if whole < len(rows):
                layers, _ = batch(layers, rows[whole:])
            return layers, None

        return jax.lax.scan(epoch, layers, order)[0]

    def answer(layers: Any, images: Any) -> Any:
        return forward(layers, images)[-1].argmax(axis=1)

    return jax.jit(measure_rates), jax.jit(learn, donate_argnums=0), jax.jit(answer)


def start_jax(network: Network, rule: Metaplasticity, settings: LearningSettings) -> Program:
    """JAX on the CPU: all epochs that nobody interrupts are one scan, with donated buffers."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", network.parameters.dtype == np.float64)
    births, _ = split_parameters(rule.initial_weights, network.layer_sizes)
    flexibility, _ = split_parameters(rule.flexibility, network.layer_sizes)
    births = [jnp.asarray(birth) for birth in births]
    stiffness = [jnp.asarray((1 - f) / f * (-2 * rule.steepness)) for f in flexibility]
    layers = zip(network.weights, network.biases, strict=True)
    state = [(jnp.array(w), jnp.array(b)) for w, b in layers]
    measure_rates, learn_epochs, answer = _compile_jax(settings.batch_size, settings.learning_rate)

    def learn(presentation: Presentation, after_epoch: AfterEpoch = None) -> None:
        nonlocal state
        images, labels = jnp.asarray(presentation.images), jnp.asarray(presentation.labels)
        rates = measure_rates(state, births, stiffness)
        order = presentation.order
        for epochs in [order] if after_epoch is None else order[:, None]:
            state = learn_epochs(state, rates, images, labels, jnp.asarray(epochs))
            if after_epoch is not None:
                after_epoch()
        jax.block_until_ready(state)

    def read() -> Array:
        return np.concatenate([np.asarray(part).ravel() for layer in state for part in layer])

    return Program(learn, lambda images: np.asarray(answer(state, images)), read)


PROGRAMS = {
    "metaplastic_np": start_package,
    "PyTorch": start_torch,
    "JAX": start_jax,
    "NumPy": start_numpy,
}
MODULES = {"metaplastic_np": "metaplastic_np", "PyTorch": "torch", "JAX": "jax", "NumPy": "numpy"}


def count_operations(layer_sizes: tuple[int, ...], n_on: int) -> int:
    """Float operations per image that learning needs: products over inputs that are ever on.

    Forward, weight gradient, and input gradient except in the first layer; 2 for each weight.
    """
    sizes = (n_on, *layer_sizes[1:])
    return sum(
        (4 if layer == 0 else 6) * n_in * n_out
        for layer, (n_in, n_out) in enumerate(pairwise(sizes))
    )
