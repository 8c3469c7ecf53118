"""The hot loops, compiled by Numba: all epochs of a presentation in one call, without the GIL.

The same equations as :mod:`layers`, :mod:`network` and :mod:`plasticity`, which are the ones to
read first and the oracle these are tested against. Kernels know nothing of items or networks, take
every array from outside, never raise and never draw. Arrays that are only read arrive read-only,
so that each kernel is compiled once a dtype. Numba's cache does not see edits in other files, so
loops live here or in :mod:`_products`.

Parameters are one flat vector, layer after layer, weights ``(n_in, n_out)`` in C order and then
biases: one compilation serves every depth. The units of a batch are flat too, and their rows are
padded to a multiple of 64 numbers, so that vector code needs no tails.

Nearly all time goes to products with a batch, and what pays is not to make them:

* An input that is on in no image is left out, and one that is on in few goes by lists, not by BLAS
  (:mod:`_products`). So the rows of the first layer's weights are sorted for a presentation: dense
  inputs, sparse ones, dark ones (:func:`_products.sort_inputs`).
* There is no gradient matrix. A block of the gradient is used while it is in the cache,
  w -= rate * g. A gradient that is not finite must be refused before any weight moves: a bound
  tells nearly always that it is finite (:func:`_is_bounded`), and where it does not, a whole
  gradient is made and looked at.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._products import (
    PIECE,
    PLAIN,
    PLUS,
    TILE,
    TRANSPOSED_LEFT,
    TRANSPOSED_RIGHT,
    WIDTH,
    Lists,
    add_listed_product,
    entry,
    exponent,
    find_blas,
    gather,
    jit,
    list_into,
    pack_into,
    product,
    take_into,
    transpose_into,
)

BLOCK, FEWEST_ROWS = 131_072, 256  # numbers in a block of the gradient, unless its rows are fewer
AT_ONCE = 8 * TILE  # sparse inputs whose lists are transposed together
NOW, EVERY_UPDATE, LATER = range(3)  # when the synaptic rate is refreshed
SAFE = 100  # a gradient bounded by 2^100 is not looked at; the largest float32 is 2^128


class Shape(NamedTuple):
    """Where things are, layer by layer: in the parameters, and in the units of a batch."""

    sizes: Any  # units, the inputs first
    strides: Any  # numbers from one row of units to the next
    units_at: Any  # where the units of a layer begin
    weights_at: Any  # where the weights into the layer after begin, and where all end


class Work(NamedTuple):
    """Work space of a presentation, and the address of BLAS."""

    blas: Any
    units: Any  # activations of a batch, and then their gradients
    d_units: Any  # gradient of some units, before ReLU
    taken: Any  # dense inputs of a batch, or a piece of them
    block: Any  # of the gradient
    tile: Any
    packed: Any  # tiles of a batch, one below the other
    sums: Any
    labels: Any
    positions: Any  # 0, 1, 2, ...
    columns: Lists  # of the sparse inputs


# --- plasticity ----------------------------------------------------------------------


@jit
def _rate_row_into(rate, parameters, rule, born):
    """Rate = learning_rate * sech^2(steepness * (1 - f)/f * (w - w0)), 0 where f is rigid."""
    initial_parameters, flexibility, steepness, learning_rate = rule
    initial_parameters = initial_parameters[born : born + rate.size]
    flexibility = flexibility[born : born + rate.size]
    one = parameters.dtype.type(1)
    two = parameters.dtype.type(2)
    four = parameters.dtype.type(4)
    zero = parameters.dtype.type(0)
    for i in range(rate.size):
        stiffness = (one - flexibility[i]) / flexibility[i]
        if np.isfinite(stiffness):
            displacement = np.abs(parameters[i] - initial_parameters[i])
            decay = np.exp(-two * ((stiffness * displacement) * steepness))
            plasticity = four * decay / ((one + decay) * (one + decay))
            rate[i] = learning_rate * (plasticity if plasticity < one else one)  # NaN: f is 1
        else:
            rate[i] = zero


@jit
def synaptic_rate_into(rate, parameters, rule, order, sizes):
    """The synaptic rate of every parameter; the first layer's inputs stand in this order.

    `rule` is the initial parameters, flexibility, steepness and the learning rate.
    """
    n_out, rest = sizes[1], sizes[0] * sizes[1]
    for place in range(order.size):
        here = slice(place * n_out, (place + 1) * n_out)
        _rate_row_into(rate[here], parameters[here], rule, order[place] * n_out)
    _rate_row_into(rate[rest:], parameters[rest:], rule, rest)


# --- forward -------------------------------------------------------------------------


@jit
def _forward_first_layer(parameters, shape, inputs, batch, rows, work):
    """Y = X W: dense inputs by BLAS, piece by piece, and sparse ones by lists."""
    n_dense, n_out, stride = inputs.n_dense, shape.sizes[1], shape.strides[1]
    if n_dense == 0:
        for i in range(batch.size * stride):
            work.units[i] = 0
    piece = work.taken.size // work.labels.size
    for first in range(0, n_dense, piece):
        some = inputs.order[first : min(first + piece, n_dense)]
        take_into(work.taken, inputs.images, batch, some)
        product(
            work.blas,
            (batch.size, n_out, some.size),
            (work.taken, 0, some.size),
            (parameters, first * n_out, n_out),
            (work.units, 0, stride),
            PLUS if first else PLAIN,
        )
    weights, n_sparse = parameters[n_dense * n_out :], inputs.n_on - n_dense
    add_listed_product(work.units, stride, rows, inputs.lists, weights, n_sparse, n_out, work.tile)


@jit
def _add_bias(outputs, n, stride, biases, lowest):
    """Y = max(Y + b, lowest): 0 for ReLU, else -inf. Written so that NaN stays NaN."""
    for i in range(n):
        row = outputs[i * stride : i * stride + biases.size]
        for unit in range(biases.size):
            value = row[unit] + biases[unit]
            row[unit] = lowest if value <= lowest else value


@jit
def _forward_and_loss(parameters, shape, n, work):
    """All that comes after the first layer's product; the last layer becomes its gradient."""
    last = shape.sizes.size - 1
    for layer in range(1, last + 1):
        n_out, at, stride = shape.sizes[layer], shape.units_at[layer], shape.strides[layer]
        if layer > 1:
            product(
                work.blas,
                (n, n_out, shape.sizes[layer - 1]),
                (work.units, shape.units_at[layer - 1], shape.strides[layer - 1]),
                (parameters, shape.weights_at[layer - 1], n_out),
                (work.units, at, stride),
                PLAIN,
            )
        biases = parameters[shape.weights_at[layer] - n_out : shape.weights_at[layer]]
        lowest = biases.dtype.type(0 if layer < last else -np.inf)
        _add_bias(work.units[at:], n, stride, biases, lowest)
    logits = work.units[shape.units_at[last] :]
    return _softmax_cross_entropy(logits, shape.strides[last], shape.sizes[last], work.labels[:n])


@jit
def _softmax_cross_entropy(logits, stride, n_classes, labels):
    """Replace logits by (softmax - onehot) / n; return the mean loss in nats."""
    count = logits.dtype.type(labels.size)
    one = logits.dtype.type(1)
    total = 0.0
    for i in range(labels.size):
        row = logits[i * stride : i * stride + n_classes]
        highest = row[0]
        for unit in range(n_classes):
            highest = max(highest, row[unit])
        margin = np.float64(highest) - np.float64(row[labels[i]])
        exponentials = logits.dtype.type(0)
        for unit in range(n_classes):
            row[unit] = np.exp(row[unit] - highest)
            exponentials += row[unit]
        for unit in range(n_classes):
            row[unit] /= exponentials
        row[labels[i]] -= one
        for unit in range(n_classes):
            row[unit] /= count
        total += np.log(exponentials) + margin
    return total / labels.size


# --- backward, and the step ----------------------------------------------------------


@jit
def _bit_length(number):
    """The e of the smallest 2^e above a whole number."""
    length = 0
    while number > 0:
        number >>= 1
        length += 1
    return length


@jit
def _is_bounded(parameters, shape, input_exponent, n):
    """Whether the largest number of each layer leaves no room for an overflow anywhere.

    A unit is at most the largest input, times the width and the largest weight of each layer before
    it. A gradient is at most such a unit, times softmax - onehot, which is at most 1, times width
    and weight of each layer after it, times the images: no layer counts twice. In powers of 2;
    `parameters` as whole numbers, see :func:`exponent`.
    """
    bound = max(input_exponent, 0) + 1 + _bit_length(n)
    for layer in range(shape.sizes.size - 1):
        width = max(shape.sizes[layer] + 1, shape.sizes[layer + 1])
        weights = exponent(parameters[shape.weights_at[layer] : shape.weights_at[layer + 1]])
        bound += max(weights + _bit_length(width), 0)
    return bound < SAFE


@jit
def _step(parameters, rate, gradient):
    """W -= rate * g."""
    for i in range(parameters.size):
        parameters[i] -= rate[i] * gradient[i]


@jit
def _use(block, stride, height, width, target, at, n_out):
    """Step with a block of the gradient, or keep it until all of the gradient has been seen."""
    parameters, rate, gradient, is_careful = target
    for i in range(height):
        values = block[i * stride : i * stride + width]
        here = slice(at + i * n_out, at + i * n_out + width)
        if is_careful:
            kept = gradient[here]
            for j in range(width):
                kept[j] = values[j]
        else:
            _step(parameters[here], rate[here], values)


@jit
def _use_listed_gradient(columns, n, n_in, n_out, d_units, d_stride, work, target, at):
    """G = S' D, the columns of S as lists: for 64 columns of D tile after tile, used at once."""
    tiles = (n + TILE - 1) // TILE
    for left in range(0, n_out, WIDTH):
        width = min(WIDTH, n_out - left)
        pack_into(work.packed, d_units, left, d_stride, n, width)
        for top in range(0, n_in, TILE):
            height = min(TILE, n_in - top)
            for i in range(height * WIDTH):
                work.tile[i] = 0
            for number in range(tiles):
                d_tile = work.packed[number * TILE * WIDTH :]
                for i in range(height):
                    k = (top + i) * tiles + number
                    start, end = columns.starts[k], columns.starts[k + 1]
                    gather(work.tile, i * WIDTH, d_tile, columns.places, columns.values, start, end)
            _use(work.tile, WIDTH, height, width, target, at + top * n_out + left, n_out)


@jit
def _sum_rows_into(sums, values, n, stride):
    """Db = sum of dY over the batch."""
    for unit in range(sums.size):
        sums[unit] = 0
    for i in range(n):
        row = values[i * stride : i * stride + sums.size]
        for unit in range(sums.size):
            sums[unit] += row[unit]


@jit
def _mask_into(units, stride, n, width, d_units):
    """ReLU backward: dX = dY where the unit is above 0; overwrites the units."""
    zero = units.dtype.type(0)
    for i in range(n):
        row = units[i * stride : i * stride + width]
        d_row = d_units[i * width : (i + 1) * width]
        for unit in range(width):
            row[unit] = d_row[unit] if row[unit] > zero else zero


@jit
def _step_first_layer(shape, inputs, batch, rows, work, target):
    """G = X' D, and step: dense inputs by BLAS, block by block, and sparse ones by lists."""
    n_dense, n_sparse = inputs.n_dense, inputs.n_on - inputs.n_dense
    n, n_out, d_stride = batch.size, shape.sizes[1], shape.strides[1]
    piece = work.taken.size // work.labels.size
    most_rows = max(FEWEST_ROWS, BLOCK // n_out)
    for first in range(0, n_dense, piece):
        some = inputs.order[first : min(first + piece, n_dense)]
        if piece < n_dense:  # else they are there from the forward pass
            take_into(work.taken, inputs.images, batch, some)
        for top in range(0, some.size, most_rows):
            height = min(most_rows, some.size - top)
            product(
                work.blas,
                (height, n_out, n),
                (work.taken, top, some.size),
                (work.units, 0, d_stride),
                (work.block, 0, n_out),
                TRANSPOSED_LEFT,
            )
            _use(work.block, n_out, height, n_out, target, (first + top) * n_out, n_out)
    for first in range(0, n_sparse, AT_ONCE):
        height, at = min(AT_ONCE, n_sparse - first), (n_dense + first) * n_out
        starts = work.columns.starts[: height * ((n + TILE - 1) // TILE) + 2]
        used = Lists(starts, work.columns.places, work.columns.values)
        transpose_into(used, rows, inputs.lists, first, height)
        _use_listed_gradient(used, n, height, n_out, work.units, d_stride, work, target, at)


@jit
def _step_hidden_layer(layer, parameters, shape, n, work, target):
    """G = H' D, and step; and H becomes its gradient, D W' where H is above 0.

    Block by block of the rows of W: what goes back needs them as they were.
    """
    n_in, n_out = shape.sizes[layer], shape.sizes[layer + 1]
    at, stride = shape.units_at[layer], shape.strides[layer]
    d_at, d_stride = shape.units_at[layer + 1], shape.strides[layer + 1]
    most_rows = max(FEWEST_ROWS, BLOCK // max(n_out, n))
    for top in range(0, n_in, most_rows):
        height = min(most_rows, n_in - top)
        here = shape.weights_at[layer] + top * n_out
        product(
            work.blas,
            (n, height, n_out),
            (work.units, d_at, d_stride),
            (parameters, here, n_out),
            (work.d_units, 0, height),
            TRANSPOSED_RIGHT,
        )
        product(
            work.blas,
            (height, n_out, n),
            (work.units, at + top, stride),
            (work.units, d_at, d_stride),
            (work.block, 0, n_out),
            TRANSPOSED_LEFT,
        )
        _use(work.block, n_out, height, n_out, target, here, n_out)
        _mask_into(work.units[at + top :], stride, n, height, work.d_units)


@jit
def _all_finite(values):
    """Neither inf nor NaN anywhere."""
    bad = 0
    for i in range(values.size):
        bad += not np.isfinite(values[i])
    return bad == 0


# --- a presentation ------------------------------------------------------------------


def init_work(dtype, sizes, inputs, batch_size):
    """Where everything is, and work space."""
    most = min(batch_size, len(inputs.images))
    strides = (sizes + WIDTH - 1) // WIDTH * WIDTH
    weights_at = np.concatenate([[0], np.cumsum((sizes[:-1] + 1) * sizes[1:])])
    units_at = np.concatenate([[0, 0], np.cumsum(most * strides[1:])])
    rows = np.minimum(sizes[:-1], np.maximum(FEWEST_ROWS, BLOCK // sizes[1:]))
    d_rows = np.minimum(rows, max(FEWEST_ROWS, BLOCK // most))[1:]
    n_sparse, tiles = min(inputs.n_on - inputs.n_dense, AT_ONCE), -(-most // TILE)
    work = Work(
        blas=find_blas("sgemm" if dtype == np.float32 else "dgemm"),
        units=np.empty(units_at[-1], dtype),
        d_units=np.empty(most * max(d_rows, default=0), dtype),
        taken=np.empty(most * max(min(inputs.n_dense, PIECE // most), 1), dtype),
        block=np.empty(max(rows * sizes[1:]), dtype),
        tile=np.empty(TILE * WIDTH, dtype),
        packed=np.empty(tiles * TILE * WIDTH, dtype),
        sums=np.empty(max(sizes), dtype),
        labels=np.empty(most, np.intp),
        positions=np.arange(most),
        columns=Lists(
            np.empty(n_sparse * tiles + 2, np.uint32),
            np.empty(most * n_sparse + 1, np.uint8),
            np.empty(most * n_sparse + 1, dtype),
        ),
    )
    return Shape(sizes, strides, units_at, weights_at), work


@jit
def _reorder_rows_inplace(parameters, n_out, source):
    """Row i of the first layer's weights becomes what row source[i] was: cycle after cycle."""
    is_done = np.zeros(source.size, np.bool_)
    for begin in range(source.size):
        here = begin
        while not is_done[here]:
            is_done[here] = True
            there = source[here]
            if not is_done[there]:
                one = parameters[here * n_out : (here + 1) * n_out]
                other = parameters[there * n_out : (there + 1) * n_out]
                for j in range(n_out):
                    one[j], other[j] = other[j], one[j]
            here = there


@entry
def learn_epochs(
    parameters, as_integers, rate, gradient, rule, refresh, shape, inputs, order, batch_size, work,
    losses
):  # fmt: skip
    """Gradient descent over the rows of `order`, one epoch each: w -= rate * gradient.

    `as_integers` is another view of the parameters, see :func:`exponent`. `rate`, the synaptic
    rate, is made by the `rule` if `refresh` says so. `losses` takes one loss an update. Returns how
    many updates were made: fewer than asked if a gradient was not finite; that update moved
    nothing, and `gradient`, else unused, has it, with the first layer in the order of the inputs.
    """
    # In one call with all that follows, so that no Ctrl-C comes between.
    _reorder_rows_inplace(parameters, shape.sizes[1], inputs.order)
    if refresh == NOW:
        synaptic_rate_into(rate, parameters, rule, inputs.order[: inputs.n_on], shape.sizes)
    target = parameters, as_integers, rate, gradient
    done = _learn_sorted(target, rule, refresh, shape, inputs, order, batch_size, work, losses)
    _reorder_rows_inplace(parameters, shape.sizes[1], inputs.back)
    return done


@jit
def _learn_sorted(target, rule, refresh, shape, inputs, order, batch_size, work, losses):
    """The same, while the first layer's weights, and rates, stand in the order of the inputs.

    Rows of inputs that are never on are left alone.
    """
    parameters, as_integers, rate, gradient = target
    n, n_layers = order.shape[1], shape.sizes.size - 1
    moving = inputs.n_on * shape.sizes[1]  # weights of the first layer; the rest stand still
    still = shape.sizes[0] * shape.sizes[1]
    is_careful, update = False, 0

    for epoch in range(order.shape[0]):
        for begin in range(0, n, batch_size):
            batch = order[epoch, begin : min(begin + batch_size, n)]
            for i in range(batch.size):
                work.labels[i] = inputs.labels[batch[i]]
            rows = batch
            if inputs.is_much:
                rows, used = work.positions[: batch.size], 0
                for i in range(batch.size):
                    image, sparse = (
                        inputs.images[batch[i]],
                        inputs.order[inputs.n_dense : inputs.n_on],
                    )
                    used = list_into(inputs.lists, i, used, image, sparse)
            # Once careful, careful to the end: what is not bounded now may be NaN later.
            is_careful = is_careful or not _is_bounded(
                as_integers, shape, inputs.exponent, batch.size
            )

            _forward_first_layer(parameters, shape, inputs, batch, rows, work)
            losses[update] = _forward_and_loss(parameters, shape, batch.size, work)
            if refresh == EVERY_UPDATE:
                synaptic_rate_into(rate, parameters, rule, inputs.order[: inputs.n_on], shape.sizes)

            moved = parameters, rate, gradient, is_careful
            for layer in range(n_layers - 1, -1, -1):
                n_out, end = shape.sizes[layer + 1], shape.weights_at[layer + 1]
                d_units, sums = work.units[shape.units_at[layer + 1] :], work.sums[:n_out]
                _sum_rows_into(sums, d_units, batch.size, shape.strides[layer + 1])
                if layer > 0:
                    _step_hidden_layer(layer, parameters, shape, batch.size, work, moved)
                else:
                    _step_first_layer(shape, inputs, batch, rows, work, moved)
                _use(sums, n_out, 1, n_out, moved, end - n_out, n_out)
            if is_careful:
                for i in range(moving, still):
                    gradient[i] = 0
                if not _all_finite(gradient):
                    return update
                _step(parameters[:moving], rate[:moving], gradient[:moving])
                _step(parameters[still:], rate[still:], gradient[still:])
            update += 1
    return update


def cache_folder() -> str | None:
    """Where Numba keeps the compiled kernels, or None if it finds no folder."""
    return getattr(getattr(learn_epochs, "stats", None), "cache_path", None)
