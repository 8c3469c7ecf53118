"""Products with a batch of images, for the kernels: BLAS for dense numbers, lists for sparse ones.

BLAS multiplies at nearly the speed of the processor, zeros too. A number that is listed costs more
than in BLAS, but not twice as much, and most images are mostly 0.

**Lists** hold a matrix's numbers that are not 0, row by row, and cut into tiles of 128 columns:
the list of a row times a matrix W adds up the rows of W that it names. 64 columns of 128 rows of W
are copied into a **tile**, which fits into the first-level cache, and the 64 sums stay in vector
registers while a list goes by. Numba has no words for registers, so that loop, :func:`gather`, is
written once in Python, which says what it does, and once in LLVM's language.

Numba's cache sees edits of one file only: who changes this one deletes ``__pycache__`` (the tests
keep a cache of their own for every version of the three files).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import suppress
from ctypes import CDLL, c_void_p, cast
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import get_cython_function_address, intrinsic, overload
from threadpoolctl import threadpool_info

UNCACHED = (
    "Numba found no folder to keep compiled kernels in, so every process compiles them again; "
    "set NUMBA_CACHE_DIR to a folder that can be written"
)
WIDTH = 64  # columns of a tile: the sums that a list's product keeps in registers
LANES = 8  # of a vector; LLVM cuts it to what the processor has
TILE = 128  # rows of a tile
PIECE = 524_288  # numbers of work space for inputs that need not be there all at once
PLAIN, PLUS, TRANSPOSED_LEFT, TRANSPOSED_RIGHT = range(4)  # forms of a product


def jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile without the GIL, with NumPy's division, and keep the machine code if possible.

    For compiled callers alone: what Python needs to call it, see :func:`entry`, takes a quarter of
    the time that compilation takes.
    """
    return _compile(function, no_cpython_wrapper=True)


def entry(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same, to be called from Python, too."""
    return _compile(function)


def _compile(function: Callable[..., Any], **options: bool) -> Callable[..., Any]:
    how: dict[str, Any] = {
        "nogil": True,
        "error_model": "numpy",
        "no_cfunc_wrapper": True,
        **options,
    }
    try:
        return njit(cache=True, **how)(function)
    except RuntimeError:  # no cache folder can be written
        if UNCACHED not in _warned:
            _warned.append(UNCACHED)
            warnings.warn(UNCACHED, RuntimeWarning, stacklevel=2)
        return njit(**how)(function)


_warned: list[str] = []


# --- products: each in Python, which says what it does, and as it is compiled ---------


def _view(part, shape):
    """A part of a flat array as a matrix; refused by NumPy if it would leave the array."""
    flat, at, stride = part
    strides = stride * flat.itemsize, flat.itemsize
    return np.ndarray(shape, flat.dtype, flat, at * flat.itemsize, strides)


def product(blas, sizes, a, b, c, form):
    """C = A B, or if its form is PLUS C += A B, TRANSPOSED_LEFT C = A' B, ..._RIGHT C = A B'.

    `sizes` are m, n, k: C is (m, n), and k is what is summed over. Each matrix is a part of a flat
    array: the array, where it starts, and numbers from row to row. `blas` is the routine's address.
    """
    m, n, k = sizes
    left = _view(a, (k, m)).T if form == TRANSPOSED_LEFT else _view(a, (m, k))
    right = _view(b, (n, k)).T if form == TRANSPOSED_RIGHT else _view(b, (k, n))
    out = _view(c, (m, n))
    out[:] = left @ right + (out if form == PLUS else 0)


def gather(sums, at, tile, places, values, first, last):
    """Add to 64 sums the rows of a tile that a list names, each times the list's value."""
    for k in range(first, last):
        row = int(places[k]) * WIDTH
        sums[at : at + WIDTH] += values[k] * tile[row : row + WIDTH]


def _data(context, builder, signature, arguments, number):
    """Where the numbers of an array argument are."""
    array = context.make_array(signature.args[number])(context, builder, arguments[number])
    return array.data


def _splat(builder, value, vector):
    """A vector that holds one value in all its lanes."""
    undefined = ir.Constant(vector, ir.Undefined)
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    one = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, undefined, zeros)


@intrinsic
def _vector_gather(typing, sums, at, tile, places, values, first, last):
    """:func:`gather`: eight vectors of sums stay in registers while the list goes by."""

    def lower(context, builder, signature, arguments):
        element = context.get_value_type(signature.args[0].dtype)
        vector, index = ir.VectorType(element, LANES), ir.IntType(64)
        align = context.get_abi_sizeof(element)

        def pointers(array, offset):
            start = builder.gep(_data(context, builder, signature, arguments, array), [offset])
            lanes = range(0, WIDTH, LANES)
            each = [builder.gep(start, [ir.Constant(index, lane)]) for lane in lanes]
            return [builder.bitcast(pointer, vector.as_pointer()) for pointer in each]

        def load(array, k):
            return builder.load(
                builder.gep(_data(context, builder, signature, arguments, array), [k])
            )

        _, at, _, _, _, first, last = arguments
        sums = pointers(0, at)
        before = [builder.load(pointer, align=align) for pointer in sums]
        entry = builder.block
        loop, body, done = (builder.append_basic_block(name) for name in ("loop", "body", "done"))
        builder.branch(loop)

        builder.position_at_end(loop)
        k = builder.phi(index)
        k.add_incoming(first, entry)
        totals = [builder.phi(vector) for _ in sums]
        builder.cbranch(builder.icmp_unsigned("<", k, last), body, done)

        builder.position_at_end(body)
        value = _splat(builder, load(4, k), vector)
        row = builder.mul(builder.zext(load(3, k), index), ir.Constant(index, WIDTH))
        for pointer, total, old in zip(pointers(2, row), totals, before, strict=True):
            product = builder.fmul(value, builder.load(pointer, align=align), flags=("contract",))
            total.add_incoming(old, entry)
            total.add_incoming(builder.fadd(product, total, flags=("contract",)), body)
        k.add_incoming(builder.add(k, ir.Constant(index, 1)), body)
        builder.branch(loop)

        builder.position_at_end(done)
        for pointer, total in zip(sums, totals, strict=True):
            builder.store(total, pointer, align=align)
        return context.get_dummy_value()

    index = types.intp
    return types.void(sums, index, tile, places, values, index, index), lower


@intrinsic
def _call_blas(typing, address, forms, sizes, strides, a, a_at, b, b_at, beta, c, c_at):
    """C = A B + beta C by the Fortran routine at an address; all matrices column by column.

    Whole numbers are given in 64 bits, lowest byte first: who reads 32 finds the same number.
    """
    element = a.dtype

    def lower(context, builder, signature, arguments):
        address, forms, sizes, strides, _, a_at, _, b_at, beta, _, c_at = arguments
        number = context.get_value_type(element)
        integer, byte = ir.IntType(64), ir.IntType(8)

        def put(value):  # Fortran takes everything by reference
            place = cgutils.alloca_once(builder, value.type)
            builder.store(value, place)
            return place

        def part(values, index, kind):
            value = builder.extract_value(values, index)
            return put(value if kind is integer else builder.trunc(value, kind))

        def start(array, at):
            data = _data(context, builder, signature, arguments, array)
            return builder.gep(data, [at])

        m, n, k = (part(sizes, index, integer) for index in range(3))
        lda, ldb, ldc = (part(strides, index, integer) for index in range(3))
        transposed = [part(forms, index, byte) for index in range(2)]
        given = [*transposed, m, n, k, put(ir.Constant(number, 1)), start(4, a_at), lda]
        given += [start(6, b_at), ldb, put(beta), start(9, c_at), ldc]
        routine = ir.FunctionType(ir.VoidType(), [argument.type for argument in given])
        builder.call(builder.inttoptr(address, routine.as_pointer()), given)
        return context.get_dummy_value()

    three, two = types.UniTuple(types.intp, 3), types.UniTuple(types.intp, 2)
    signature = types.void(
        types.intp, two, three, three, a, types.intp, b, types.intp, element, c, types.intp
    )
    return signature, lower


@overload(gather)
def _compiled_gather(sums, at, tile, places, values, first, last):
    return lambda sums, at, tile, places, values, first, last: _vector_gather(
        sums, at, tile, places, values, first, last
    )


@overload(product)
def _compiled_product(blas, sizes, a, b, c, form):
    number = np.float32 if a[0].dtype == types.float32 else np.float64
    yes, no = ord("T"), ord("N")

    def call(blas, sizes, a, b, c, form):
        # Row by row, C = A B; column by column, as Fortran reads it, the same is C' = B' A'.
        m, n, k = sizes
        forms = yes if form == TRANSPOSED_RIGHT else no, yes if form == TRANSPOSED_LEFT else no
        beta = number(1) if form == PLUS else number(0)
        strides = b[2], a[2], c[2]
        _call_blas(blas, forms, (n, m, k), strides, b[0], b[1], a[0], a[1], beta, c[0], c[1])

    return call


def find_blas(name):
    """The address of Fortran's "sgemm" or "dgemm": NumPy's on one thread, else SciPy's.

    The wheels of both bring an OpenBLAS. NumPy's is newer and faster, but while lists are made its
    other threads fall asleep, and take longer to wake up than a small product takes.
    """
    library = _find_numpys_blas()
    if library is not None and count_blas_threads() == 1:
        return cast(getattr(library, f"scipy_{name}_64_"), c_void_p).value
    return get_cython_function_address("scipy.linalg.cython_blas", name)


def count_blas_threads():
    """Of NumPy's library; 1 if it is another than that of the wheel."""
    library = _find_numpys_blas()
    return 1 if library is None else library.scipy_openblas_get_num_threads64_()


@lru_cache
def _find_numpys_blas():
    """The library in NumPy's wheel, or None. Its whole numbers have 64 bits: see `_call_blas`."""
    for library in threadpool_info():
        if library["user_api"] == "blas" and "numpy" in library["filepath"]:
            with suppress(AttributeError, OSError):
                found = CDLL(library["filepath"])
                _ = found.scipy_sgemm_64_, found.scipy_openblas_get_num_threads64_
                return found
    return None


# --- dense numbers -------------------------------------------------------------------


@jit
def take_into(taken, images, batch, inputs):
    """Some inputs of a batch's images, image after image."""
    for i in range(batch.size):
        image = images[batch[i]]
        row = taken[i * inputs.size : (i + 1) * inputs.size]
        for j in range(inputs.size):
            row[j] = image[np.uint64(inputs[j])]


# --- lists ---------------------------------------------------------------------------


class Lists(NamedTuple):
    """The numbers of a matrix's rows that are not 0, tile after tile of what they will meet."""

    starts: Any  # of a tile of a list; what ends a list begins the next
    places: Any  # row within the tile, below 128
    values: Any


@jit
def list_into(lists, number, used, row, inputs):
    """Make list `number`, of a row's inputs that are not 0; returns how much is used now.

    Unsigned, so that no index is looked at for being counted from the end.
    """
    starts = lists.starts[number]
    end = np.uint64(used)
    for tile in range(starts.size - 1):
        starts[tile] = end
        some = inputs[tile * TILE : (tile + 1) * TILE]
        for j in range(some.size):
            value = row[np.uint64(some[j])]
            lists.places[end] = j
            lists.values[end] = value
            end += np.uint64(value != 0)
    starts[starts.size - 1] = end
    return np.intp(end)


@entry
def list_all_into(lists, images, inputs):
    """A list for every image."""
    used = np.intp(0)
    for i in range(images.shape[0]):
        used = list_into(lists, i, used, images[i], inputs)


@jit
def transpose_into(columns, rows, lists, first, width):
    """From some rows' lists to lists of some of their columns, tile after tile of the rows.

    First it is counted how long each will be, then they are filled.
    """
    tiles = np.uint64((rows.size + TILE - 1) // TILE)
    one = np.uint32(1)
    starts = columns.starts
    for i in range(starts.size):
        starts[i] = 0
    # Counted two further on; summed up, a list's start is one further on, where filling moves it to
    # the list's end: the next list's start, where it belongs.
    cursor, count = starts[1:], starts[2:]
    for fill in range(2):
        if fill:
            for i in range(1, starts.size):
                starts[i] += starts[i - 1]
        for number in range((width + TILE - 1) // TILE):
            list_tile = first // TILE + number
            for i in range(rows.size):
                start, end = lists.starts[rows[i], list_tile], lists.starts[rows[i], list_tile + 1]
                top = np.uint64(number * TILE) * tiles + np.uint64(i // TILE)
                for k in range(np.uint64(start), np.uint64(end)):
                    column = top + np.uint64(lists.places[k]) * tiles
                    if fill:
                        to = cursor[column]
                        columns.places[to] = i % TILE
                        columns.values[to] = lists.values[k]
                        cursor[column] = to + one
                    else:
                        count[column] += one


@jit
def pack_into(tile, matrix, at, stride, height, width):
    """Copy a part of a matrix into a tile, whose rows are side by side in the cache."""
    for i in range(height):
        here = tile[i * WIDTH : i * WIDTH + width]
        row = matrix[at + i * stride : at + i * stride + width]
        for j in range(width):
            here[j] = row[j]


@jit
def add_listed_product(outputs, stride, rows, lists, weights, of_weights, tile):
    """Y += S W, some rows of S as lists: one tile of W after the other, for all of them.

    `of_weights` says how many rows and columns W has, and which columns of Y are asked for.
    """
    n_in, n_out, leftmost, right = of_weights
    for number in range(lists.starts.shape[1] - 1):
        top = number * TILE
        height = min(TILE, n_in - top)
        for left in range(leftmost, right, WIDTH):
            width = min(WIDTH, right - left)
            pack_into(tile, weights, top * n_out + left, n_out, height, width)
            for i in range(rows.size):
                start, end = lists.starts[rows[i], number], lists.starts[rows[i], number + 1]
                at = i * stride + left
                gather(outputs, at, tile, lists.places, lists.values, start, end)


# --- the inputs of a presentation ----------------------------------------------------


class Inputs(NamedTuple):
    """What a presentation shows, and how its inputs are sorted."""

    images: Any
    labels: Any
    order: Any  # of the inputs: dense ones, sparse ones, those that are never on
    back: Any  # the order that undoes it
    n_dense: Any
    n_on: Any  # dense and sparse ones
    lists: Lists  # of the sparse ones: of all images, or space for those of a batch
    is_much: Any  # which of the two
    exponent: Any  # of the largest number in the images


@entry
def exponent(values):
    """The e of the smallest 2^e above all absolute values; 129 or 1025 with an inf or a NaN.

    Of float32 seen as int32, or float64 as int64: whole numbers in the same order, which vectors
    can compare. A float's exponent stands behind its sign, 127 or 1023 too high.
    """
    fraction, bias, all_but_sign = 23, 127, 2**31 - 1
    if values.itemsize == 8:
        fraction, bias, all_but_sign = 52, 1023, 2**63 - 1
    mask = values.dtype.type(all_but_sign)
    highest = values.dtype.type(0)
    for i in range(values.size):
        highest = max(highest, values[i] & mask)
    return (highest >> fraction) - bias + 1


@jit
def bit_length(number):
    """The e of the smallest 2^e above a whole number."""
    length = 0
    while number > 0:
        number >>= 1
        length += 1
    return length


@jit
def all_finite(values):
    """Neither inf nor NaN anywhere."""
    bad = 0
    for i in range(values.size):
        bad += not np.isfinite(values[i])
    return bad == 0


@entry
def count_on_into(counts, images):
    """In how many images each input is not 0."""
    for row in range(images.shape[0]):
        image = images[row]
        for i in range(image.size):
            counts[i] += image[i] != 0


@jit
def reorder_rows_inplace(parameters, n_out, left, right, source):
    """Some columns of row i of the first layer's weights become those of row source[i].

    Cycle after cycle.
    """
    is_done = np.zeros(source.size, np.bool_)
    for begin in range(source.size):
        here = begin
        while not is_done[here]:
            is_done[here] = True
            there = source[here]
            if not is_done[there]:
                one = parameters[here * n_out + left : here * n_out + right]
                other = parameters[there * n_out + left : there * n_out + right]
                for j in range(one.size):
                    one[j], other[j] = other[j], one[j]
            here = there


def sort_inputs(images, labels, batch_size, dense):
    """Dense inputs are on in at least a share `dense` of the images, then sparse ones, then dark.

    Sparse inputs are listed once for all images, unless that takes much memory.
    """
    counts, n_images = np.zeros(images.shape[1], np.intp), len(images)
    count_on_into(counts, images)
    is_dense = counts >= max(dense * n_images, 1)
    order = np.argsort(np.where(is_dense, 0, np.where(counts > 0, 1, 2)), kind="stable")
    n_dense, n_on = np.count_nonzero(is_dense), np.count_nonzero(counts)
    most, sparse = min(batch_size, n_images), order[n_dense:n_on]
    size = counts[sparse].sum()
    is_much = size > PIECE
    lists = Lists(
        np.empty((most if is_much else n_images, -(-sparse.size // TILE) + 1), np.intp),
        np.empty((most * sparse.size if is_much else size) + 1, np.uint8),
        np.empty((most * sparse.size if is_much else size) + 1, images.dtype),
    )
    if not is_much:
        list_all_into(lists, images, sparse)
    largest = int(np.frexp(max(images.max(), -images.min()))[1])
    back = np.argsort(order)
    return Inputs(images, labels, order, back, n_dense, n_on, lists, is_much, largest)
