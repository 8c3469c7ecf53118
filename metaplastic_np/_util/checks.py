"""What many functions ask of their arguments: each check refuses a wrong one, in words.

A message names the argument, says what was expected, what was seen, and where::

    `flexibility` must lie in [0, 1]; got 1.3 at (2, 0)

A check returns its argument, made safe to compute with. A rule that only one module knows is
checked in that module, which words its refusal with :func:`raise_expected`. A test reads every
message.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from numbers import Integral, Real
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import InputError, has_shape

FLOAT_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
BACKENDS = ("auto", "numba", "numpy")
PIECE = 1_000_000  # how many numbers are tested at once
MOST_COUNTED = 10**9  # of anything: more is a slip of the keyboard, and no array has room for it
LEAST_MEMORY = 600 * 2**20  # bytes; most of them are libraries: Numba, LLVM, SciPy
MOST_SHOWN = 200  # how many letters of a wrong argument a message shows


def raise_expected(name: str, expected: str, seen: object, where: str = "") -> NoReturn:
    """Refuse an argument: its name, what it must do, what was seen instead, and where."""
    place = f" at {where}" if where else ""
    words = str(seen)
    short = words[:MOST_SHOWN] + "..." * (len(words) > MOST_SHOWN)
    raise InputError(f"`{name}` must {expected}; got {short}{place}")


# --- numbers and names ---------------------------------------------------------------


def check_positive(name: str, value: float) -> float:
    """Require a finite number above 0."""
    ok = isinstance(value, Real) and not isinstance(value, bool)
    if not ok or not 0 < value <= sys.float_info.max:
        raise_expected(name, "be a finite number above 0", repr(value))
    return float(value)


def check_scalar(name: str, value: float, *, dtype: np.dtype[Any]) -> Any:
    """Require a number that is finite and above 0 also in the dtype of the arrays."""
    with np.errstate(over="ignore", under="ignore"):
        scalar = dtype.type(check_positive(name, value))
    if not 0 < scalar < np.inf:
        raise_expected(name, f"be finite and above 0 in {dtype}", repr(value))
    return scalar


def check_level(name: str, value: float) -> float:
    """Require a number in [0, 1]: one flexibility for all synapses."""
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 <= value <= 1:
        raise_expected(name, "be a number in [0, 1]", repr(value))
    return float(value)


def check_probability(name: str, value: float) -> float:
    """Require a number strictly between 0 and 1."""
    if not isinstance(value, Real) or not 0 < value < 1:
        raise_expected(name, "be a number between 0 and 1", repr(value))
    return float(value)


def check_count(name: str, value: int, *, minimum: int = 1, maximum: float = MOST_COUNTED) -> int:
    """Require a whole number from `minimum` to `maximum`."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < minimum:
        raise_expected(name, f"be a whole number, at least {minimum}", repr(value))
    if value > maximum:
        raise_expected(name, f"be at most {maximum}", repr(value))
    return int(value)


def check_flag(name: str, value: object) -> bool:
    """Require True or False: a word such as "no" would count as True."""
    if not isinstance(value, bool | np.bool_):
        raise_expected(name, "be True or False", repr(value))
    return bool(value)


def check_counts(
    name: str, values: Iterable[int], *, minimum: int = 1, maximum: float = MOST_COUNTED
) -> tuple[int, ...]:
    """Require a list of whole numbers, which may be empty."""
    if not isinstance(values, Iterable) or isinstance(values, str):
        raise_expected(name, "list whole numbers", repr(values))
    return tuple(check_count(name, value, minimum=minimum, maximum=maximum) for value in values)


def check_choice(name: str, value: str, choices: Collection[str]) -> str:
    """Require one of a few words."""
    if not isinstance(value, str) or value not in choices:
        raise_expected(name, "be one of " + ", ".join(choices), repr(value))
    return value


def check_kind(name: str, value: object, kind: type[Any], words: str) -> None:
    """Require an object of a class, and say how to come by one."""
    if not isinstance(value, kind):
        raise_expected(name, f"be {words}", type(value).__name__)


def check_path(name: str, path: Any) -> Path:
    """Require the path of a file or folder, not what was opened."""
    if not isinstance(path, str | os.PathLike):
        raise_expected(name, "be a path, as text or a pathlib.Path", type(path).__name__)
    return Path(path)


def check_backend(backend: str | None) -> str:
    """Turn "auto", or the choice in the environment, into "numba" or "numpy"."""
    name = "backend"
    if backend is None or backend == "auto":
        backend = os.environ.get("METAPLASTIC_NP_BACKEND") or "auto"
        name = "METAPLASTIC_NP_BACKEND" if backend != "auto" else name
    check_choice(name, backend, BACKENDS)
    _reserve_memory()
    if backend == "numpy":
        return backend
    try:
        import numba
    except ImportError as error:
        if backend == "numba":
            raise InputError(
                f"`backend` is 'numba', but Numba cannot be imported ({error}); "
                "install numba, or use backend='numpy'"
            ) from error
        return "numpy"
    # Without its compiler, Numba's loops are Python's: ten times slower than NumPy.
    is_off = vars(numba.config)["DISABLE_JIT"]
    return "numpy" if backend == "auto" and is_off else "numba"


@lru_cache
def _reserve_memory() -> None:
    """Fail, where a limit (ulimit -v) leaves less than learning takes: OpenBLAS waits for ever."""
    with suppress(ImportError):  # there are no such limits
        import resource

        if resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
            np.empty(LEAST_MEMORY, np.uint8)


def check_rng(rng: object) -> np.random.Generator:
    """Require a NumPy random generator, not a seed and not the global state."""
    if not isinstance(rng, np.random.Generator):
        raise_expected("rng", "be a numpy.random.Generator, as default_rng(seed) makes", repr(rng))
    return rng


# --- arrays --------------------------------------------------------------------------


def check_dtype(name: str, dtype: Any) -> np.dtype[Any]:
    """Require float32 or float64."""
    try:
        found = None if dtype is None else np.dtype(dtype)  # to NumPy, None means float64
    except TypeError:
        found = None
    if found is None or found not in FLOAT_DTYPES:
        raise_expected(name, "be float32 or float64", repr(dtype) if found is None else found)
    return found


def make_array(name: str, values: Any) -> NDArray[Any]:
    """Make an array of what holds one, and refuse what NumPy would misread or lose."""
    if hasattr(values, "toarray"):  # SciPy's sparse matrices
        raise_expected(name, "be dense, as its `toarray()` is", type(values).__name__)
    if np.ma.is_masked(values):
        raise_expected(name, "not be masked; fill what is missing, or leave it out", "a mask")
    try:
        return np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:
        raise_expected(name, "make one array", " ".join(str(error).split()))


def check_array(
    name: str,
    array: ArrayLike,
    *,
    shape: tuple[int | None, ...] | None = None,
    dtype: np.dtype[Any] | None = None,
) -> NDArray[Any]:
    """Require a float array; return it in C order.

    In `shape`, None stands for any length. Without a `dtype`, float32 and float64 are both right.
    """
    found = make_array(name, array)
    if dtype is None and found.dtype not in FLOAT_DTYPES:
        raise_expected(name, "hold float32 or float64 numbers", found.dtype)
    if dtype is not None and found.dtype != dtype:
        raise_expected(name, f"be {dtype} like the arrays it is used with", found.dtype)
    if shape is not None and not has_shape(found, shape):
        words = ", ".join("any" if n is None else str(n) for n in shape)
        raise_expected(name, f"have shape ({words})", found.shape)
    return np.ascontiguousarray(found).reshape(found.shape)


def is_finite(array: NDArray[Any]) -> bool:
    """Whether no number is NaN or infinite."""
    return all(np.isfinite(piece).all() for piece in _cut(array))


def is_whole(array: NDArray[Any]) -> bool:
    """Whether every number is a whole one, whatever its dtype."""
    return array.dtype.kind in "biu" or all((p == np.floor(p)).all() for p in _cut(array))


def _cut(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Pieces of an array: tests of them need less memory."""
    flat = array.reshape(-1)
    return (flat[start : start + PIECE] for start in range(0, flat.size, PIECE))


def check_finite(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """Require an array without NaN and infinity."""
    if not is_finite(array):
        index, where = _find_first(~np.isfinite(array))
        raise_expected(name, "be finite", array[index], where)
    return array


def check_unit_interval(name: str, array: ArrayLike) -> NDArray[Any]:
    """Require an array of numbers in [0, 1]; NaN is not one."""
    found = make_array(name, array)
    bad = ~((found >= 0) & (found <= 1))
    if bad.any():
        index, where = _find_first(bad)
        raise_expected(name, "lie in [0, 1]", found[index], where)
    return found


def check_labels(name: str, labels: ArrayLike, *, n_rows: int, n_classes: int) -> NDArray[np.intp]:
    """Require one whole number in [0, n_classes) for each of n_rows images."""
    found = make_array(name, labels)
    if found.dtype.kind not in "iu":
        raise_expected(name, "hold whole numbers", found.dtype)
    if found.shape != (n_rows,):
        raise_expected(name, f"have shape ({n_rows},), one label an image", found.shape)
    bad = (found < 0) | (found >= n_classes)
    if bad.any():
        index, where = _find_first(bad)
        label = found[index]
        bounds = "not be negative" if label < 0 else f"lie in 0..{n_classes - 1}"
        raise_expected(name, bounds, label, where)
    return np.ascontiguousarray(found, dtype=np.intp)


def _find_first(bad: NDArray[np.bool_]) -> tuple[tuple[int, ...], str]:
    """Index of the first True; the same as a message shows it."""
    index = tuple(int(i) for i in np.argwhere(bad)[0])
    return index, "(" + ", ".join(map(str, index)) + ")" if index else ""


def freeze(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array itself if nobody can write to it, else a read-only copy."""
    if array.flags.writeable or array.base is not None:
        array = array.copy()
        array.flags.writeable = False
    return array
