"""What arguments must be: every wrong argument is refused here, in words.

A message names the argument, says what was expected, what was seen, and where::

    `flexibility` must lie in [0, 1]; got 1.3 at (2, 0)

The other modules call ``check_*`` (returns the value, made safe to compute with) or
``raise_*``. Tests read every message.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from numbers import Integral, Real
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import InputError

FLOAT_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
BACKENDS = ("auto", "numba", "numpy")
PIECE, MOST_SHOWN = 1_000_000, 200  # numbers looked at together, letters shown of what was seen


def _expected(name: str, expected: str, seen: object, where: str = "") -> NoReturn:
    place = f" at {where}" if where else ""
    words = str(seen)
    short = words[:MOST_SHOWN] + "..." * (len(words) > MOST_SHOWN)
    raise InputError(f"`{name}` must {expected}; got {short}{place}")


def _first_index(bad: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argwhere(bad)[0])


def _where(index: tuple[int, ...]) -> str:
    return "(" + ", ".join(map(str, index)) + ")" if index else ""


# --- numbers and names ---------------------------------------------------------------


def check_positive(name: str, value: float) -> float:
    """A finite number above 0."""
    ok = isinstance(value, Real) and not isinstance(value, bool)
    if not ok or not 0 < value <= sys.float_info.max:
        _expected(name, "be a finite number above 0", repr(value))
    return float(value)


def check_scalar(name: str, value: float, *, dtype: np.dtype[Any]) -> Any:
    """A number above 0 that is still finite and above 0 in the arrays' dtype."""
    with np.errstate(over="ignore", under="ignore"):
        scalar = dtype.type(check_positive(name, value))
    if not 0 < scalar < np.inf:
        _expected(name, f"be finite and above 0 in {dtype}", repr(value))
    return scalar


def check_count(name: str, value: int, *, minimum: int = 1, maximum: float = np.inf) -> int:
    """A whole number, at least `minimum`."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < minimum:
        _expected(name, f"be a whole number, at least {minimum}", repr(value))
    if value > maximum:
        _expected(name, f"be at most {maximum}", repr(value))
    return int(value)


def check_choice(name: str, value: str, choices: Collection[str]) -> str:
    """One of a few words."""
    if not isinstance(value, str) or value not in choices:
        _expected(name, "be one of " + ", ".join(choices), repr(value))
    return value


def check_networks(
    name: str, networks: Sequence[str], check: Callable[[str], Any]
) -> tuple[str, ...]:
    """A sequence of names, at least one, each known, none twice."""
    if not isinstance(networks, Iterable) or isinstance(networks, str):
        _expected(name, "be a sequence of names", repr(networks))
    names = tuple(networks)
    if not names:
        _expected(name, "name at least one", "none")
    for network in names:
        check(network)
        if names.count(network) > 1:
            _expected(name, "name each only once", f"{network!r} twice")
    return names


def raise_unknown_network(value: object, known: Iterable[str]) -> NoReturn:
    """The name of a network that does not exist."""
    _expected("networks", "name " + ", ".join(known) + " or homogeneous:F", repr(value))


def raise_unknown_dataset(value: object, known: Iterable[str]) -> NoReturn:
    """Neither a dataset's name nor a file's."""
    _expected("dataset", "be " + ", ".join(known) + " or the path of an npz file", repr(value))


def check_level(name: str, value: float) -> float:
    """One flexibility for every synapse: a number in [0, 1]."""
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 <= value <= 1:
        _expected(name, "be a number in [0, 1]", repr(value))
    return float(value)


def check_backend(backend: str | None) -> str:
    """Resolve "auto" (and the environment's choice) to "numba" or "numpy"."""
    name = "backend"
    if backend is None or backend == "auto":
        backend = os.environ.get("METAPLASTIC_NP_BACKEND") or "auto"
        name = "METAPLASTIC_NP_BACKEND" if backend != "auto" else name
    check_choice(name, backend, BACKENDS)
    if backend == "numpy":
        return backend
    try:
        import numba  # noqa: F401
    except ImportError as error:
        if backend == "numba":
            raise InputError(
                f"`backend` is 'numba', but Numba cannot be imported ({error}); "
                "install numba, or use backend='numpy'"
            ) from error
        return "numpy"
    return "numba"


# --- arrays --------------------------------------------------------------------------


def check_dtype(name: str, dtype: Any) -> np.dtype[Any]:
    """float32 or float64."""
    try:
        found = None if dtype is None else np.dtype(dtype)  # to NumPy, None means float64
    except TypeError:
        found = None
    if found is None or found not in FLOAT_DTYPES:
        _expected(name, "be float32 or float64", repr(dtype) if found is None else found)
    return found


def check_array(
    name: str,
    array: ArrayLike,
    *,
    shape: tuple[int | None, ...] | None = None,
    dtype: np.dtype[Any] | None = None,
) -> NDArray[Any]:
    """A C-ordered float array of this shape (None: any length) and dtype (None: float32/64)."""
    found = np.asarray(array)
    if dtype is None and found.dtype not in FLOAT_DTYPES:
        _expected(name, "hold float32 or float64 numbers", found.dtype)
    if dtype is not None and found.dtype != dtype:
        _expected(name, f"be {dtype} like the arrays it is used with", found.dtype)
    if shape is not None:
        fits = found.ndim == len(shape) and all(
            want is None or want == have for want, have in zip(shape, found.shape, strict=True)
        )
        if not fits:
            words = ", ".join("any" if n is None else str(n) for n in shape)
            _expected(name, f"have shape ({words})", found.shape)
    return np.ascontiguousarray(found).reshape(found.shape)


def check_view(name: str, vector: NDArray[Any], *, size: int) -> NDArray[Any]:
    """A contiguous vector of this length, so that its slices can be seen as matrices."""
    if not isinstance(vector, np.ndarray) or vector.shape != (size,):
        _expected(name, f"be an array of shape ({size},)", np.shape(vector))
    if not vector.flags.c_contiguous:
        _expected(name, "be contiguous", "a strided view")
    return vector


def check_writable(name: str, array: NDArray[Any]) -> None:
    """Learning writes to it."""
    if not array.flags.writeable:
        _expected(name, "be writable", "a read-only array")


def is_finite(array: NDArray[Any]) -> bool:
    """No NaN, no infinity; looked at piece by piece, since an answer for each takes memory."""
    flat = array.reshape(-1)
    pieces = range(0, flat.size, PIECE)
    return all(np.isfinite(flat[start : start + PIECE]).all() for start in pieces)


def check_finite(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """No NaN, no infinity."""
    if not is_finite(array):
        index = _first_index(~np.isfinite(array))
        _expected(name, "be finite", array[index], _where(index))
    return array


def check_unit_interval(name: str, array: ArrayLike) -> NDArray[Any]:
    """Every value in [0, 1]; NaN is not."""
    found = np.asarray(array)
    bad = ~((found >= 0) & (found <= 1))
    if bad.any():
        index = _first_index(bad)
        _expected(name, "lie in [0, 1]", found[index], _where(index))
    return found


def check_labels(name: str, labels: ArrayLike, *, n_rows: int, n_classes: int) -> NDArray[np.intp]:
    """One whole number in [0, n_classes) for each of n_rows images."""
    found = np.asarray(labels)
    if found.dtype.kind not in "iu":
        _expected(name, "hold whole numbers", found.dtype)
    if found.shape != (n_rows,):
        _expected(name, f"have shape ({n_rows},), one label an image", found.shape)
    bad = (found < 0) | (found >= n_classes)
    if bad.any():
        index = _first_index(bad)
        bounds = "not be negative" if found[index] < 0 else f"lie in 0..{n_classes - 1}"
        _expected(name, bounds, found[index], _where(index))
    return np.ascontiguousarray(found, dtype=np.intp)


def check_order(order: ArrayLike, *, n_rows: int) -> NDArray[np.intp]:
    """One permutation of the images for each epoch."""
    found = np.asarray(order)
    if found.ndim != 2 or 0 in found.shape or found.dtype.kind not in "iu":
        _expected("order", "have shape (epochs, images) and hold whole numbers", found.shape)
    wrong = (
        np.any(np.sort(found, axis=1) != np.arange(n_rows), axis=1)
        if (found.shape[1] == n_rows)
        else np.ones(len(found), dtype=bool)
    )
    if wrong.any():
        epoch = _first_index(wrong)[0]
        _expected("order", f"visit each of {n_rows} images once", f"another in epoch {epoch}")
    return np.ascontiguousarray(found, dtype=np.intp)


def check_layer_sizes(layer_sizes: Sequence[int]) -> tuple[int, ...]:
    """At least inputs and outputs, each layer at least one unit wide."""
    try:
        sizes = tuple(layer_sizes)
    except TypeError:
        sizes = ()
    if len(sizes) < 2:
        _expected("layer_sizes", "list inputs, hidden layers and outputs", repr(layer_sizes))
    return tuple(check_count("layer_sizes", size) for size in sizes)


def check_rng(rng: object) -> np.random.Generator:
    """A NumPy random generator, not a seed and not the global state."""
    if not isinstance(rng, np.random.Generator):
        _expected("rng", "be a numpy.random.Generator, as default_rng(seed) makes", repr(rng))
    return rng


def check_dense_shapes(inputs: NDArray[Any], weights: NDArray[Any], biases: NDArray[Any]) -> None:
    """(n, n_in) @ (n_in, n_out) + (n_out,), all of one dtype."""
    fits = (
        inputs.ndim == weights.ndim == 2
        and inputs.shape[1] == weights.shape[0]
        and biases.shape == weights.shape[1:]
    )
    if not fits:
        raise InputError(
            "`inputs` (n, n_in), `weights` (n_in, n_out) and `biases` (n_out,) must fit; "
            f"got {inputs.shape}, {weights.shape} and {biases.shape}"
        )
    if not inputs.dtype == weights.dtype == biases.dtype:
        raise InputError(
            "`inputs`, `weights` and `biases` must share one dtype; "
            f"got {inputs.dtype}, {weights.dtype} and {biases.dtype}"
        )


# --- learning ------------------------------------------------------------------------


def check_probability(name: str, value: float) -> float:
    """A number strictly between 0 and 1."""
    if not isinstance(value, Real) or not 0 < value < 1:
        _expected(name, "be a number between 0 and 1", repr(value))
    return float(value)


def parse_widths(name: str, text: str) -> tuple[int, ...]:
    """Whole numbers between commas; none of them for no hidden layer."""
    try:
        return tuple(int(width) for width in text.split(",") if width.strip())
    except ValueError:
        _expected(name, "be whole numbers between commas, like 256,256", repr(text))


def parse_number(name: str, text: str) -> float:
    """A number, or the word that stands for finding one."""
    try:
        return float(text)
    except ValueError:
        _expected(name, "be a number or 'balance'", repr(text))


def check_not_both(name: str, value: object, other: str, other_value: object) -> None:
    """Two ways to say one thing."""
    if value is not None and other_value is not None:
        raise InputError(
            f"give either `{name}` or `{other}`, the other None; got {value} and {other_value}"
        )


def check_counts(
    name: str, values: Iterable[int], *, minimum: int = 1, maximum: float = np.inf
) -> tuple[int, ...]:
    """Whole numbers, any number of them."""
    if not isinstance(values, Iterable) or isinstance(values, str):
        _expected(name, "list whole numbers", repr(values))
    return tuple(check_count(name, value, minimum=minimum, maximum=maximum) for value in values)


def raise_unmoved() -> NoReturn:
    """Kappa needs a displacement."""
    raise InputError("`displacement` must not be 0 everywhere: nothing has moved since birth")


# --- items and data ------------------------------------------------------------------


def check_item_count(n_items: int, *, available: int, minimum: int) -> int:
    """Enough items for the protocol, and no more than the data hold."""
    check_count("n_items", n_items, minimum=minimum)
    if n_items > available:
        raise InputError(
            f"`n_items` must be at most {available}, the items this dataset has; got {n_items}"
        )
    return int(n_items)


def check_step(
    step: Any, number: int, *, n_items: int, kind: Callable[..., Any], n_new: int | None = None
) -> Any:
    """One presentation of a schedule, with what it leaves open filled in.

    The item, a label and a new item's number must be there, and so must the state it starts from.
    """
    parts = step if isinstance(step, Sequence) and not isinstance(step, str) else (step,)
    if not 1 <= len(parts) <= 4:
        _expected("schedule", "be a sequence of items or Steps", f"{step!r} at step {number}")
    item, label, shown, after = (*parts, None, None, None)[:4]
    most = n_items + (n_items if n_new is None else n_new)
    filled = {
        "item": (item, n_items - 1),
        "label": (item if label is None else label, n_items - 1),
        "shown": (item if shown is None else shown, most - 1),
        "after": (number if after is None else after, number),
    }
    if n_new is not None:
        del filled["after"]
    for name, (value, highest) in filled.items():
        is_whole = isinstance(value, Integral) and not isinstance(value, bool)
        if not is_whole or not 0 <= value <= highest:
            _expected(name, f"lie in 0..{highest}", f"{value!r} at step {number}")
    return kind(**{name: int(value) for name, (value, _) in filled.items()})


def check_steps(name: str, steps: Any) -> Sequence[Any]:
    """A schedule, with at least one presentation."""
    if not isinstance(steps, Sequence) or isinstance(steps, str) or not steps:
        _expected(name, "be a name, or a list of at least one item or Step", repr(steps))
    return steps


def check_new_items(n_new: int, *, n_items: int, available: int, minimum: int) -> int:
    """Enough items beside those of the list."""
    check_count("n_new", n_new, minimum=minimum)
    if n_items + n_new > available:
        raise InputError(
            f"`n_items` must leave {n_new} of the {available} items of this dataset to be shown "
            f"as new; got {n_items}, at most {available - n_new} will do"
        )
    return int(n_new)


def check_balanced(n_items: int, fewest: int, most: int) -> None:
    """Lists in which how often and when can be told apart."""
    if not fewest <= n_items <= most:
        reason = "for orders in which frequency and position are independent"
        _expected("n_items", f"be from {fewest} to {most} {reason}", n_items)


def check_margins(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """One finite number a trial."""
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1 or found.size == 0:
        _expected(name, "hold one number for each trial", f"shape {found.shape}")
    return check_finite(name, found)


def check_non_target_count(count: int, *, n_images: int, n_items: int) -> int:
    """At least one non-target image of each other item."""
    if count < 1:
        raise InputError(
            f"`n_train_images` must give each of the {n_items - 1} other items at least one "
            f"non-target image; got {n_images}, needs {-(-(n_items - 1) // 2)}"
        )
    return count


def check_images(name: str, images: ArrayLike) -> NDArray[Any]:
    """Images as rows (n, ...): real, finite numbers, at least one of each."""
    found = np.asarray(images)
    if found.dtype.kind not in "fiub":
        _expected(name, "hold real numbers", found.dtype)
    if found.ndim < 2 or found.size == 0:
        _expected(name, "have shape (n, ...) with at least one image and pixel", found.shape)
    return check_finite(name, found) if found.dtype.kind == "f" else found


def check_classes(train_labels: NDArray[Any], test_labels: NDArray[Any]) -> None:
    """At least two classes, counted from 0 without a gap, each with images of both parts."""
    owner = "train_labels" if train_labels.max() >= test_labels.max() else "test_labels"
    highest = int(max(train_labels.max(), test_labels.max()))
    if highest == 0:
        raise InputError("`train_labels` must hold at least two classes; got one")
    for name, labels in (("train_labels", train_labels), ("test_labels", test_labels)):
        present = np.unique(labels)
        # Compared without a table as long as the highest label, which a damaged file may make huge.
        gaps = np.flatnonzero(present != np.arange(len(present)))
        missing = int(gaps[0]) if len(gaps) else len(present)
        if missing <= highest:
            raise InputError(
                f"`{name}` must hold every class from 0 to {highest}, the highest of `{owner}`; "
                f"class {missing} has no image"
            )


def check_canvas(name: str, images: NDArray[Any]) -> None:
    """Images that can stand side by side."""
    if images.ndim != 3:
        _expected(name, "have shape (n, rows, columns) to be paired", images.shape)


def check_enough_images(what: str, item: int, *, wanted: int, available: int) -> None:
    """An item of a dataset of its own images cannot show more than it has."""
    if wanted > available:
        raise InputError(
            f"`{what}` must be at most {available}, the images item {item} has; got {wanted}"
        )


def check_same_shape(name: str, array: NDArray[Any], other: str, reference: NDArray[Any]) -> None:
    """Training and test images show the same canvas."""
    if array.shape[1:] != reference.shape[1:]:
        raise InputError(
            f"`{name}` must have images shaped like `{other}`; got {array.shape[1:]} and "
            f"{reference.shape[1:]}"
        )


def check_logits(logits: NDArray[Any]) -> NDArray[Any]:
    """One row an image, at least one."""
    if logits.ndim != 2 or logits.size == 0:
        _expected("logits", "have shape (n, n_classes) with at least one image", logits.shape)
    return logits


def check_dataset(dataset: object, kind: type) -> None:
    """A Dataset, not its name."""
    if not isinstance(dataset, kind):
        _expected("dataset", "be a Dataset, as load_dataset makes", type(dataset).__name__)


def freeze(array: NDArray[Any]) -> NDArray[Any]:
    """The array itself if nobody can write to it, else a read-only copy."""
    if array.flags.writeable or array.base is not None:
        array = array.copy()
        array.flags.writeable = False
    return array


def check_confusion(confusion: ArrayLike) -> NDArray[np.int64]:
    """Counts (..., group, answer); returns those of the items, each tested equally often."""
    found = np.asarray(confusion)
    if found.dtype.kind not in "iu":
        _expected("confusion", "hold whole numbers", found.dtype)
    if found.ndim < 2 or found.shape[-2] < found.shape[-1] or found.size == 0:
        _expected("confusion", "have shape (..., groups, items), a group per item", found.shape)
    found = found[..., : found.shape[-1], :]
    tested = found.sum(axis=-1)
    if np.any(found < 0) or np.any(tested != tested.flat[0]) or tested.flat[0] < 1:
        raise InputError("`confusion` must count every item's test images, equally many an item")
    return found.astype(np.int64)


def check_recall(name: str, recall: ArrayLike, *, ndim: int = 1) -> NDArray[np.float64]:
    """Shares of test images in [0, 1], items on the last axis."""
    found = np.asarray(recall, dtype=np.float64)
    if found.ndim < ndim or found.size == 0:
        _expected(name, f"have at least {ndim} axes, items last", found.shape)
    return check_unit_interval(name, found)
