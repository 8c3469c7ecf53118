r"""The fast body of learning: the readable one's equations, in less time and memory.

One update of a batch X with labels, for a network of layers W, b
(:mod:`metaplastic_np.nn.network`):

.. code-block:: text

    forward    H_0 = X,  H_l+1 = max(H_l W_l + b_l, 0),  the last one without max: Z
    loss       D_L = (softmax(Z) - onehot) / n
    backward   D_l = D_l+1 W_l' where H_l > 0            all of them before any weight moves
    step       W_l -= rate_l * (H_l' D_l+1)              block of rows by block of rows

Products are NumPy's, into arrays that live as long as a presentation; the loops between them are
compiled (:mod:`metaplastic_np._fast.kernels`). Python only calls: a call takes a millionth of a
second, a product a thousandth, and neither holds the GIL.

What each trick buys, by ``tests/benchmarks/fast.py``: how much longer a presentation takes without
it, on one thread with AVX2 (AVX-512: not measured). The job is the digits preset, in batches of
256, whose inputs are nearly all on; the others show images of MNIST's size.

========================== ========================================= ======= ======== =========
trick                      lines                                     the job batch 64 batch 256
========================== ========================================= ======= ======== =========
dark inputs are left out   ``_find_inputs_to_keep``, a copy in       0 %     35 %     33 %
                           ``_open_layers``, and back
loops are compiled         ``kernels.py``                            5 %     13 %     6 %
blocks of the gradient     ``_step``, ``_is_bounded``                0 %     0 %      0 %
========================== ========================================= ======= ======== =========

Blocks buy memory: they save one float per synapse, a whole gradient.

Tried, and left out: multiplying only the inputs that are on, by lists of those that are rarely on.
In two designs it bought 8 to 11 % of the job, for a hundred lines and 2.4 s more of compiling.
Nine tenths of the job's time is NumPy's products at the rate of a large product.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..nn import Network, loss_and_gradient, sgd_step_inplace, split_parameters
from . import kernels
from .kernels import cache_folder as cache_folder

Array = NDArray[Any]

BLOCK = 131_072  # numbers of the gradient that are made, and used, at once
WORTH = 0.9  # of the inputs; if more are on, copying takes as long as leaving dark ones out saves
MOST_COPIED = 2**24  # numbers that may be copied to leave dark inputs out


class _Layer(NamedTuple):
    """What a layer's products need; arrays are views of the network's, or of a copy."""

    weights: Array
    biases: Array
    rate: Array
    bias_rate: Array


class _Space(NamedTuple):
    """Work space for a batch of n images."""

    units: list[Array]  # H_0 (the images), H_1, ..., H_L
    d_units: list[Array]  # D_1, ..., D_L; the last is H_L, whose place it takes


class FastLearner:
    """All that one presentation needs.

    Parameters
    ----------
    network : Network
        Its parameters move, in place, and nothing else.
    images : array (n_images, n_in) of the network's dtype, finite
    labels : intp array (n_images,)
    batch_size : int
        The largest batch that will be learned.
    """

    def __init__(self, network: Network, images: Array, labels: Array, *, batch_size: int) -> None:
        self.network, self.all_images, self.labels = network, images, labels
        dtype, sizes = network.parameters.dtype, network.layer_sizes
        self.on = _find_inputs_to_keep(images, sizes[1])
        self.images = images if self.on is None else np.take(images, self.on, axis=1)
        n_on = self.images.shape[1]
        self.first_weights, self.first_rate = np.empty(
            (2, 0 if self.on is None else n_on, sizes[1]), dtype
        )
        widths = (n_on, *sizes[1:])
        self.units = [np.empty((batch_size, width), dtype) for width in widths]
        self.d_units = [np.empty((batch_size, width), dtype) for width in widths[1:-1]]
        self.block = np.empty(
            max(min(n_in, _rows_at_once(n_out)) * n_out for n_in, n_out in pairwise(widths)), dtype
        )

    @np.errstate(all="ignore")  # what is not finite is refused, in words
    def learn(self, rate: Array, batches: Sequence[Array], losses: NDArray[np.float64]) -> int:
        """Make one update for each batch: W -= rate * gradient.

        Parameters
        ----------
        rate : array (n_parameters,)
            The learning rate of each parameter.
        batches : sequence of intp arrays
            Which images, one array an update.
        losses : float64 array, one number a batch
            Takes the mean loss of each batch before its update.

        Returns
        -------
        int
            Updates made: fewer than asked if a gradient was not finite. That one moved nothing.
        """
        done = 0
        while done < len(batches):
            done += self._learn_while_bounded(rate, batches[done:], losses[done:])
            if done < len(batches):
                if not self._update_carefully(rate, batches[done], losses[done:]):
                    break
                done += 1
        return done

    def _learn_while_bounded(
        self, rate: Array, batches: Sequence[Array], losses: NDArray[np.float64]
    ) -> int:
        """Make updates until a gradient cannot be bounded; return how many."""
        layers = self._open_layers(rate)
        try:
            for update, rows in enumerate(batches):
                space = self._space_for(len(rows))
                losses[update] = self._forward_and_loss(layers, space, rows)
                _backward(layers, space)
                if not self._is_bounded(space):
                    return update
                self._step(layers, space)
            return len(batches)
        finally:
            if self.on is not None:
                self.network.weights[0][self.on] = self.first_weights

    def _update_carefully(self, rate: Array, rows: Array, losses: NDArray[np.float64]) -> bool:
        """One update as the readable body makes it, or none if the gradient is not finite."""
        losses[0], gradient = loss_and_gradient(
            self.network, self.all_images[rows], self.labels[rows]
        )
        if not np.isfinite(gradient).all():
            return False
        sgd_step_inplace(self.network, gradient, learning_rate=rate)
        return True

    def _open_layers(self, rate: Array) -> list[_Layer]:
        """Weights and rates layer by layer; of the first, a copy without the dark inputs' rows."""
        weights, biases = self.network.weights, self.network.biases
        rates, bias_rates = split_parameters(rate, self.network.layer_sizes)
        if self.on is not None:
            weights[0] = np.take(weights[0], self.on, axis=0, out=self.first_weights, mode="clip")
            rates[0] = np.take(rates[0], self.on, axis=0, out=self.first_rate, mode="clip")
        return [_Layer(*parts) for parts in zip(weights, biases, rates, bias_rates, strict=True)]

    def _space_for(self, n: int) -> _Space:
        """The first n rows of all arrays."""
        units = [array[:n] for array in self.units]
        return _Space(units, [*(array[:n] for array in self.d_units), units[-1]])

    def _forward_and_loss(self, layers: list[_Layer], space: _Space, rows: Array) -> float:
        """Fill in all units; the last ones become the loss's gradient. Return the mean loss."""
        np.take(self.images, rows, axis=0, out=space.units[0], mode="clip")
        for layer, before, after in zip(layers, space.units, space.units[1:], strict=False):
            np.matmul(before, layer.weights, out=after)
            if layer is not layers[-1]:
                kernels.add_bias_and_relu_inplace(after, layer.biases)
        return float(
            kernels.softmax_cross_entropy_inplace(
                space.units[-1], layers[-1].biases, self.labels[rows]
            )
        )

    def _is_bounded(self, space: _Space) -> bool:
        """Whether no gradient can overflow: |H' D| <= |H| |D| in every layer, by Cauchy-Schwarz.

        |.| is the root of the sum of all squares. Where |D| is finite, its square was, which leaves
        room for the biases' sums. What is not bounded, NaN included, is looked at number by number,
        in :meth:`_update_carefully`.
        """
        most = float(np.finfo(self.block.dtype).max) / 2
        bounds = [
            sqrt(np.vdot(units, units)) * sqrt(np.vdot(d_units, d_units))
            for units, d_units in zip(space.units, space.d_units, strict=False)
        ]
        return all(bound < most for bound in bounds)

    def _step(self, layers: list[_Layer], space: _Space) -> None:
        """W -= rate * (H' D), a block of rows at once, while it is in the cache."""
        for layer, units, d_units in zip(layers, space.units, space.d_units, strict=False):
            n_in, n_out = layer.weights.shape
            at_once = _rows_at_once(n_out)
            for first in range(0, n_in, at_once):
                rows = slice(first, min(first + at_once, n_in))
                block = self.block[: (rows.stop - first) * n_out].reshape(-1, n_out)
                np.matmul(units[:, rows].T, d_units, out=block)
                kernels.step_inplace(layer.weights[rows], layer.rate[rows], block)
            layer.biases[:] -= layer.bias_rate * d_units.sum(axis=0)


def _backward(layers: list[_Layer], space: _Space) -> None:
    """D_l = D_l+1 W_l' where H_l > 0, from the last layer to the first hidden one."""
    for number in range(len(layers) - 1, 0, -1):
        d_after, d_before = space.d_units[number], space.d_units[number - 1]
        np.matmul(d_after, layers[number].weights.T, out=d_before)
        kernels.mask_inplace(d_before, space.units[number])


def _find_inputs_to_keep(images: Array, n_out: int) -> NDArray[np.intp] | None:
    """Inputs that are not 0 in every image; None for all, or if a copy of the rest were large."""
    on = np.flatnonzero((images != 0).any(axis=0))
    is_small = on.size * (len(images) + 2 * n_out) <= MOST_COPIED
    return on if on.size <= WORTH * images.shape[1] and is_small else None


def _rows_at_once(n_out: int) -> int:
    return max(1, BLOCK // n_out)
