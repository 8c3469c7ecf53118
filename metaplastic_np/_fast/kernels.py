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
  inputs, sparse ones, dark ones (:func:`products.sort_inputs`).
* There is no gradient matrix. A block of the gradient is used while it is in the cache,
  w -= rate * g. A gradient that is not finite must be refused before any weight moves: a bound
  tells nearly always that it is finite (:func:`_is_bounded`), and where it does not, a whole
  gradient is made and looked at.

Several threads may run the same kernels at once, each for its part (:mod:`_work`): of the columns
of a layer's outputs, of the rows of a hidden layer's weights, of the images where an image needs
all its outputs. Between two steps of which one needs what the other makes, they wait.
"""

from __future__ import annotations

import numpy as np

from .products import (
    PLAIN,
    PLUS,
    TILE,
    TRANSPOSED_LEFT,
    TRANSPOSED_RIGHT,
    WIDTH,
    Lists,
    add_listed_product,
    all_finite,
    bit_length,
    entry,
    exponent,
    gather,
    jit,
    list_into,
    pack_into,
    product,
    reorder_rows_inplace,
    take_into,
    transpose_into,
)
from .work import AT_ONCE, BLOCK, FEWEST_ROWS, my_part, part_of, wait

NOW, EVERY_UPDATE, LATER = range(3)  # when the synaptic rate is refreshed
SAFE = 100  # a gradient bounded by 2^100 is not looked at; the largest float32 is 2^128


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
def synaptic_rate_into(rate, parameters, rule, order, sizes, team):
    """The synaptic rate of a thread's parameters; the first layer's inputs stand in this order.

    `rule` is the initial parameters, flexibility, steepness and the learning rate.
    """
    n_out, rest = sizes[1], sizes[0] * sizes[1]
    left, right = my_part(team, n_out, WIDTH)
    first, end = my_part(team, rate.size - rest, WIDTH)
    for place in range(order.size + 1):  # last, all that comes after the first layer's weights
        low, high, born = rest + first, rest + end, rest + first
        if place < order.size:
            low, high = place * n_out + left, place * n_out + right
            born = order[place] * n_out + left
        _rate_row_into(rate[low:high], parameters[low:high], rule, born)


# --- forward -------------------------------------------------------------------------


@jit
def _take(inputs, batch, some, work):
    """Some inputs of a batch: each thread takes them of its own images."""
    top, bottom = my_part(work.team, batch.size, 1)
    take_into(work.taken[top * some.size :], inputs.images, batch[top:bottom], some)
    wait(work.team)


@jit
def _forward_first_layer(parameters, shape, inputs, batch, rows, work):
    """Y = X W: dense inputs by BLAS, piece by piece, and sparse ones by lists."""
    n_dense, n_out, stride = inputs.n_dense, shape.sizes[1], shape.strides[1]
    left, right = my_part(work.team, n_out, WIDTH)
    if n_dense == 0:
        for i in range(batch.size):
            for j in range(left, right):
                work.units[i * stride + j] = 0
        wait(work.team)
    piece = work.taken.size // work.labels.size
    for first in range(0, n_dense, piece):
        if first > 0:
            wait(work.team)
        some = inputs.order[first : min(first + piece, n_dense)]
        _take(inputs, batch, some, work)
        product(
            work.blas,
            (batch.size, right - left, some.size),
            (work.taken, 0, some.size),
            (parameters, first * n_out + left, n_out),
            (work.units, left, stride),
            PLUS if first else PLAIN,
        )
    weights, n_sparse = parameters[n_dense * n_out :], inputs.n_on - n_dense
    of_weights = n_sparse, n_out, left, right
    add_listed_product(work.units, stride, rows, inputs.lists, weights, of_weights, work.tile)


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
    """All that comes after the first layer's product; the last layer becomes its gradient.

    A thread makes some columns of each layer, and of the last one all columns of some images, whose
    loss it returns.
    """
    last = shape.sizes.size - 1
    top, bottom = 0, n
    for layer in range(1, last + 1):
        n_in, n_out, stride = shape.sizes[layer - 1], shape.sizes[layer], shape.strides[layer]
        left, right = my_part(work.team, n_out, WIDTH)
        if layer == last:
            top, bottom = my_part(work.team, n, 1)
            left, right = 0, n_out
        at, end = shape.units_at[layer] + top * stride + left, shape.weights_at[layer]
        wait(work.team)  # for the layer before
        if layer > 1:
            before = shape.units_at[layer - 1] + top * shape.strides[layer - 1]
            product(
                work.blas,
                (bottom - top, right - left, n_in),
                (work.units, before, shape.strides[layer - 1]),
                (parameters, shape.weights_at[layer - 1] + left, n_out),
                (work.units, at, stride),
                PLAIN,
            )
        biases = parameters[end - n_out + left : end - n_out + right]
        lowest = biases.dtype.type(0 if layer < last else -np.inf)
        _add_bias(work.units[at:], bottom - top, stride, biases, lowest)
    logits = work.units[shape.units_at[last] + top * shape.strides[last] :]
    labels = work.labels[top:bottom]
    return _softmax_cross_entropy(logits, shape.strides[last], shape.sizes[last], labels, n)


@jit
def _softmax_cross_entropy(logits, stride, n_classes, labels, n):
    """Replace logits by (softmax - onehot) / n; return the sum of the losses in nats."""
    count = logits.dtype.type(n)
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
    return total


# --- backward, and the step ----------------------------------------------------------


@jit
def _look_at_weights(parameters, shape, n_on, team):
    """Note how large the thread's part of each layer is; as whole numbers, see :func:`exponent`."""
    n_out, rest = shape.sizes[1], shape.sizes[0] * shape.sizes[1]
    left, right = my_part(team, n_out, WIDTH)
    noted = team.exponents[team.member]
    for layer in range(noted.size):
        noted[layer] = -SAFE
    for place in range(n_on + noted.size):  # rows of the first layer, its biases, other layers
        layer = max(place - n_on, 0)
        low, high = place * n_out + left, place * n_out + right
        if place >= n_on:
            start = max(shape.weights_at[layer], rest)
            first, end = my_part(team, shape.weights_at[layer + 1] - start, WIDTH)
            low, high = start + first, start + end
        noted[layer] = max(noted[layer], exponent(parameters[low:high]))


@jit
def _is_bounded(team, shape, input_exponent, n):
    """Whether the largest number of each layer leaves no room for an overflow anywhere.

    A unit is at most the largest input, times the width and the largest weight of each layer before
    it. A gradient is at most such a unit, times softmax - onehot, which is at most 1, times width
    and weight of each layer after it, times the images: no layer counts twice. In powers of 2.
    """
    bound = max(input_exponent, 0) + 1 + bit_length(n)
    for layer in range(shape.sizes.size - 1):
        width = max(shape.sizes[layer] + 1, shape.sizes[layer + 1])
        weights = team.exponents[0, layer]
        for member in range(1, team.size):
            weights = max(weights, team.exponents[member, layer])
        bound += max(weights + bit_length(width), 0)
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
def _transpose(rows, inputs, first, end, work):
    """Lists of some sparse inputs, from those of the images: each thread makes a part of them."""
    member, columns = work.team.member, work.columns
    first, end = _some_of(first, end, member, work.team.size)
    starts = columns.starts[member, : (end - first) * ((rows.size + TILE - 1) // TILE) + 2]
    mine = Lists(starts, columns.places[member], columns.values[member])
    transpose_into(mine, rows, inputs.lists, first, end - first)
    wait(work.team)


@jit
def _some_of(first, end, member, size):
    """Which of some sparse inputs are listed by a thread."""
    low, high = part_of(member, size, end - first, TILE)
    return first + low, first + high


@jit
def _use_listed_gradient(first, end, n, left, width, shape, work, target, at):
    """G = S' D, the columns of S as lists: for 64 columns of D tile after tile, used at once."""
    tiles, n_out = (n + TILE - 1) // TILE, shape.sizes[1]
    pack_into(work.packed, work.units, left, shape.strides[1], n, width)
    for member in range(work.team.size):
        low, high = _some_of(first, end, member, work.team.size)
        starts = work.columns.starts[member]
        places, values = work.columns.places[member], work.columns.values[member]
        for top in range(low, high, TILE):
            height = min(TILE, high - top)
            for i in range(height * WIDTH):
                work.tile[i] = 0
            for number in range(tiles):
                d_tile = work.packed[number * TILE * WIDTH :]
                for i in range(height):
                    k = (top - low + i) * tiles + number
                    start, stop = np.intp(starts[k]), np.intp(starts[k + 1])
                    gather(work.tile, i * WIDTH, d_tile, places, values, start, stop)
            _use(work.tile, np.intp(WIDTH), height, width, target, at + top * n_out + left, n_out)


@jit
def _step_biases(layer, shape, n, work, target):
    """Db = sum of dY over the batch, and step."""
    n_out, end = shape.sizes[layer + 1], shape.weights_at[layer + 1]
    left, right = my_part(work.team, n_out, WIDTH)
    sums, stride = work.sums[: right - left], shape.strides[layer + 1]
    for unit in range(sums.size):
        sums[unit] = 0
    for i in range(n):
        at = shape.units_at[layer + 1] + i * stride + left
        row = work.units[at : at + sums.size]
        for unit in range(sums.size):
            sums[unit] += row[unit]
    _use(sums, n_out, np.intp(1), sums.size, target, end - n_out + left, n_out)


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
    n, n_out = batch.size, shape.sizes[1]
    left, right = my_part(work.team, n_out, WIDTH)
    piece = work.taken.size // work.labels.size
    most_rows = max(FEWEST_ROWS, BLOCK // n_out)
    for first in range(0, n_dense, piece):
        some = inputs.order[first : min(first + piece, n_dense)]
        if piece < n_dense:  # else they are there from the forward pass
            wait(work.team)
            _take(inputs, batch, some, work)
        for top in range(0, some.size, most_rows):
            height, width = min(most_rows, some.size - top), right - left
            product(
                work.blas,
                (height, width, n),
                (work.taken, top, some.size),
                (work.units, left, shape.strides[1]),
                (work.block, 0, width),
                TRANSPOSED_LEFT,
            )
            _use(work.block, width, height, width, target, (first + top) * n_out + left, n_out)
    for first in range(0, n_sparse, AT_ONCE):
        end = min(first + AT_ONCE, n_sparse)
        if first > 0:
            wait(work.team)
        _transpose(rows, inputs, first, end, work)
        for some in range(left, right, WIDTH):
            width = min(WIDTH, right - some)
            _use_listed_gradient(first, end, n, some, width, shape, work, target, n_dense * n_out)


@jit
def _step_hidden_layer(layer, parameters, shape, n, work, target):
    """G = H' D, and step; and H becomes its gradient, D W' where H is above 0.

    Block by block of the rows of W: what goes back needs them as they were.
    """
    n_in, n_out = shape.sizes[layer], shape.sizes[layer + 1]
    at, stride = shape.units_at[layer], shape.strides[layer]
    d_at, d_stride = shape.units_at[layer + 1], shape.strides[layer + 1]
    most_rows = max(FEWEST_ROWS, BLOCK // max(n_out, n))
    first, end = my_part(work.team, n_in, WIDTH)
    for top in range(first, end, most_rows):
        height = min(most_rows, end - top)
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


# --- a presentation ------------------------------------------------------------------


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
    Every thread calls it with a `work` of its own, and else the same; all must, or none returns.
    """
    team, sizes = work.team, shape.sizes
    left, right = my_part(team, sizes[1], WIDTH)
    moving = inputs.n_on * sizes[1]  # weights of the first layer; the rest stand still
    still = sizes[0] * sizes[1]
    n, is_careful, done = order.shape[1], False, 0
    batches = (n + batch_size - 1) // batch_size
    # From here on the first layer's weights, and rates, stand in the order of the inputs. In one
    # call with the rest, so that no Ctrl-C comes between.
    reorder_rows_inplace(parameters, sizes[1], left, right, inputs.order)
    wait(team)
    for update in range(losses.size):
        epoch = update // batches
        begin = (update - epoch * batches) * batch_size
        batch = order[epoch, begin : min(begin + batch_size, n)]
        rows = _begin_update(batch, as_integers, shape, inputs, work)
        _forward_first_layer(parameters, shape, inputs, batch, rows, work)
        team.losses[team.member] = _forward_and_loss(parameters, shape, batch.size, work)
        if refresh == EVERY_UPDATE or (refresh == NOW and update == 0):
            synaptic_rate_into(rate, parameters, rule, inputs.order[: inputs.n_on], sizes, team)
        wait(team)
        loss = 0.0
        for member in range(team.size):
            loss += team.losses[member]
        losses[update] = loss / batch.size  # the same number from every thread
        # Once careful, careful to the end: what is not bounded now may be NaN later.
        is_careful = is_careful or not _is_bounded(team, shape, inputs.exponent, batch.size)
        if is_careful:
            for i in range(moving, still):
                gradient[i] = 0

        moved = parameters, rate, gradient, is_careful
        for layer in range(sizes.size - 2, -1, -1):
            _step_biases(layer, shape, batch.size, work, moved)
            if layer > 0:
                _step_hidden_layer(layer, parameters, shape, batch.size, work, moved)
            else:
                _step_first_layer(shape, inputs, batch, rows, work, moved)
            wait(team)
        if is_careful:
            if not all_finite(gradient):
                break
            for low, high in ((0, moving), (still, parameters.size)):
                first, end = my_part(team, high - low, WIDTH)
                here = slice(low + first, low + end)
                _step(parameters[here], rate[here], gradient[here])
            wait(team)
        done += 1
    reorder_rows_inplace(parameters, sizes[1], left, right, inputs.back)
    return done


@jit
def _begin_update(batch, as_integers, shape, inputs, work):
    """Labels, lists where there are none yet, and a look at the weights; returns rows of lists."""
    for i in range(batch.size):
        work.labels[i] = inputs.labels[batch[i]]
    _look_at_weights(as_integers, shape, inputs.n_on, work.team)
    if not inputs.is_much:
        return batch
    sparse = inputs.order[inputs.n_dense : inputs.n_on]
    first, end = my_part(work.team, batch.size, 1)
    used = first * sparse.size
    for i in range(first, end):
        used = list_into(inputs.lists, i, used, inputs.images[batch[i]], sparse)
    return work.positions[: batch.size]


def cache_folder() -> str | None:
    """Where Numba keeps the compiled kernels, or None if it finds no folder."""
    return getattr(getattr(learn_epochs, "stats", None), "cache_path", None)
