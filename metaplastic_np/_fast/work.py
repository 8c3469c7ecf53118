"""Where the numbers of a presentation are, and which thread works on what.

A product with a small batch takes less time than BLAS needs to wake up its threads. So the threads
of a presentation are started once, and make the same calls, each for its own part of the columns,
rows or images; and where one needs what others have made, all :func:`wait` for each other.
"""

from __future__ import annotations

import sys
import time
from ctypes import CDLL, c_void_p, cast
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.extending import intrinsic, overload

from .products import PIECE, TILE, WIDTH, Lists, count_blas_threads, find_blas, jit

BLOCK, FEWEST_ROWS = 131_072, 256  # numbers in a block of the gradient, unless its rows are fewer
AT_ONCE = 8 * TILE  # sparse inputs whose lists are transposed together
# Operations that are worth more than one thread: of an update, of nine meetings, and of an epoch,
# which may be a call of its own, the start of threads, 0.7 ms.
UPDATE_WORTH, EPOCH_WORTH = 2**22, 2**28
APART = 16  # numbers between two threads' own, so that they do not share a line of the cache
PATIENCE = 2_000  # looks at a thread that is late before others may have this core


class Team(NamedTuple):
    """The threads of a presentation, as one of them sees them."""

    size: Any
    member: Any  # which of them this is
    met: Any  # how often each has come to a barrier
    losses: Any  # sum over the images of each
    exponents: Any  # of the weights that each has looked at, layer by layer
    give_way: Any  # address of what lets other threads have this core


class Shape(NamedTuple):
    """Where things are, layer by layer: in the parameters, and in the units of a batch."""

    sizes: Any  # units, the inputs first
    strides: Any  # numbers from one row of units to the next
    units_at: Any  # where the units of a layer begin
    weights_at: Any  # where the weights into the layer after begin, and where all end


class Work(NamedTuple):
    """Work space of one thread of a presentation, the address of BLAS, and who else is at work."""

    team: Team
    blas: Any
    units: Any  # of all threads: activations of a batch, and then their gradients
    taken: Any  # of all threads: dense inputs of a batch, or a piece of them
    columns: Lists  # of all threads: the sparse inputs, those of each thread in a row
    d_units: Any  # gradient of some units, before ReLU
    block: Any  # of the gradient
    tile: Any
    packed: Any  # tiles of a batch, one below the other
    sums: Any
    labels: Any
    positions: Any  # 0, 1, 2, ...


@jit
def part_of(member, size, n, unit):
    """First and end of a thread's part of n things, cut between multiples of a unit."""
    units = (n + unit - 1) // unit
    first, end = units * member // size * unit, units * (member + 1) // size * unit
    return min(first, n), min(end, n)


@jit
def my_part(team, n, unit):
    """The same for the thread that asks."""
    return part_of(team.member, team.size, n, unit)


@jit
def wait(team):
    """Go on when all threads have come here; what they wrote before can be read then."""
    _meet(team)


def _meet(team):
    """The same, in Python."""
    team.met[team.member * APART] += 1
    for other in range(team.size):
        while team.met[other * APART] < team.met[team.member * APART]:
            time.sleep(0)


def _pointer(context, builder, signature, arguments):
    """To a place in an array of whole numbers, the first two arguments."""
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    return builder.gep(array.data, [arguments[1]])


@intrinsic
def _publish(typing, values, place, value):
    """Store a number, and with it all that was written before."""

    def lower(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature, arguments)
        builder.store_atomic(arguments[2], pointer, "release", 8)
        return context.get_dummy_value()

    return types.void(values, types.intp, types.int64), lower


@intrinsic
def _look(typing, values, place):
    """Load a number that another thread stores, and all that it wrote before."""

    def lower(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature, arguments)
        return builder.load_atomic(pointer, "acquire", 8)

    return types.int64(values, types.intp), lower


@intrinsic
def _give_way(typing, address):
    """Let another thread have this core."""

    def lower(context, builder, signature, arguments):
        function = ir.FunctionType(ir.IntType(32), [])
        builder.call(builder.inttoptr(arguments[0], function.as_pointer()), [])
        return context.get_dummy_value()

    return types.void(types.intp), lower


@overload(_meet)
def _compiled_meet(team):
    def call(team):
        now = team.met[team.member * APART] + 1
        _publish(team.met, team.member * APART, now)
        for other in range(team.size):
            looks = 0
            while _look(team.met, other * APART) < now:
                looks += 1
                if looks > PATIENCE:
                    _give_way(team.give_way)

    return call


def count_threads(sizes, batch_size, n_images):
    """How many threads a presentation is worth, of those that BLAS may have."""
    operations = 6 * int(np.sum(sizes[:-1] * sizes[1:]))  # an image
    if operations * batch_size < UPDATE_WORTH or operations * n_images < EPOCH_WORTH:
        return 1
    if config.DISABLE_JIT:  # interpreted, they would only take turns
        return 1
    return min(count_blas_threads(), -(-int(sizes[1]) // WIDTH))


def init_team(size, n_layers):
    """The same team, as each of its threads sees it."""
    met, losses = np.zeros(size * APART, np.int64), np.zeros(size)
    exponents = np.zeros((size, n_layers), np.int64)
    return [Team(size, k, met, losses, exponents, _find_give_way()) for k in range(size)]


def _find_give_way():
    """The address of a function of the system that lets other threads have the core."""
    if sys.platform == "win32":
        return cast(CDLL("kernel32").SwitchToThread, c_void_p).value
    return cast(CDLL(None).sched_yield, c_void_p).value


def init_work(dtype, sizes, inputs, batch_size, threads):
    """Where everything is, and each thread's work space."""
    most = min(batch_size, len(inputs.images))
    strides = (sizes + WIDTH - 1) // WIDTH * WIDTH
    weights_at = np.concatenate([[0], np.cumsum((sizes[:-1] + 1) * sizes[1:])])
    units_at = np.concatenate([[0, 0], np.cumsum(most * strides[1:])])
    rows = np.minimum(sizes[:-1], np.maximum(FEWEST_ROWS, BLOCK // sizes[1:]))
    d_rows = np.minimum(rows, max(FEWEST_ROWS, BLOCK // most))[1:]
    n_sparse, tiles = min(inputs.n_on - inputs.n_dense, AT_ONCE), -(-most // TILE)
    listed = min(-(-n_sparse // TILE // threads) * TILE, n_sparse)  # by each thread
    blas = find_blas("sgemm" if dtype == np.float32 else "dgemm")
    units = np.empty(units_at[-1], dtype)
    taken = np.empty(most * max(min(inputs.n_dense, PIECE // most), 1), dtype)
    columns = Lists(
        np.empty((threads, listed * tiles + 2), np.uint32),
        np.empty((threads, most * listed + 1), np.uint8),
        np.empty((threads, most * listed + 1), dtype),
    )
    return Shape(sizes, strides, units_at, weights_at), [
        Work(
            team,
            blas,
            units,
            taken,
            columns,
            d_units=np.empty(most * max(d_rows, default=0), dtype),
            block=np.empty(max(rows * sizes[1:]), dtype),
            tile=np.empty(TILE * WIDTH, dtype),
            packed=np.empty(tiles * TILE * WIDTH, dtype),
            sums=np.empty(max(sizes), dtype),
            labels=np.empty(most, np.intp),
            positions=np.arange(most),
        )
        for team in init_team(threads, len(sizes) - 1)
    ]
