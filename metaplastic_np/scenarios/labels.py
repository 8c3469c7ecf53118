"""Which class each image is of, whatever the classes are called.

Any labels that can be told apart are classes, in sorted order: words, whole numbers (from 1, with
gaps, below 0, kept as floats), one-hot rows, a column. In this package a class is then its place
in that order; what it was called is kept for tables and messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._util import checks, errors

MOST = 2**53  # whole numbers beyond it are not told apart as floats


def read_labels(name: str, labels: ArrayLike, images: NDArray[Any]) -> NDArray[Any]:
    """One label for each image: whole numbers, truth values or words."""
    found, n_rows = checks.make_array(name, labels), len(images)
    if found.dtype.kind in "OS":
        found = _plain(name, found)
    if found.ndim == 2 and found.shape[0] == n_rows and found.shape[1] > 1:
        return _read_one_hot(name, found)
    if found.size != n_rows or n_rows not in found.shape:
        by_column = " (if images are columns, move that axis first)"
        seen = f"{found.shape}{by_column if found.size == images.shape[-1] else ''}"
        checks.raise_expected(name, f"have shape ({n_rows},), one label an image", seen)
    found = found.reshape(-1)
    if found.dtype.kind in ("b", "U"):
        return found
    if found.dtype.kind not in "iuf":
        checks.raise_expected(name, "hold words or whole numbers", found.dtype)
    with np.errstate(invalid="ignore"):
        bad = ~((found == np.floor(found)) & (abs(found) <= MOST))
    if bad.any():
        expected = "hold words or whole numbers, none missing (write other numbers as words)"
        checks.raise_expected(name, expected, found[bad][0], f"({int(bad.argmax())})")
    return found.astype(np.int64)


def _plain(name: str, found: NDArray[Any]) -> NDArray[Any]:
    """Objects and bytes as words, or as numbers; what pandas has for missing is neither."""
    values = [
        value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
        for value in found.reshape(-1).tolist()
    ]
    if not any(all(isinstance(value, kind) for value in values) for kind in (str, Real)):
        kinds = " and ".join(sorted({type(value).__name__ for value in values}))
        checks.raise_expected(name, "hold only words or only whole numbers, none missing", kinds)
    return np.array(values).reshape(found.shape)


def _read_one_hot(name: str, found: NDArray[Any]) -> NDArray[Any]:
    """The column of the only 1 in each row."""
    is_hot = found == 1
    if not np.all(is_hot | (found == 0)) or not np.all(is_hot.sum(axis=1) == 1):
        expected = f"have shape ({len(found)},), one label an image, or be one-hot"
        checks.raise_expected(name, expected, f"{found.shape} with other rows")
    return is_hot.argmax(axis=1)


def number_classes(
    train: NDArray[Any], test: NDArray[Any]
) -> tuple[NDArray[np.intp], NDArray[np.intp], tuple[str, ...]]:
    """Labels of both parts as places among the sorted classes; and the classes' names."""
    names, places = np.unique(np.concatenate([train, test]), return_inverse=True)
    if names.dtype.kind == "U":
        order = _sort_numbers(names)
        names, places = names[order], np.argsort(order)[places]
    if len(names) == 1:
        raise errors.InputError(
            f"`train_labels` must hold at least two classes; got one, {str(names[0])!r}"
        )
    parts = places[: len(train)].astype(np.intp), places[len(train) :].astype(np.intp)
    for part, other, found in (("train", "test", parts[0]), ("test", "train", parts[1])):
        missing = np.flatnonzero(np.bincount(found, minlength=len(names)) == 0)
        if len(missing):
            raise errors.InputError(
                f"`{part}_labels` must hold every class of `{other}_labels`; class "
                f"{str(names[missing[0]])!r} has no image: add some, or leave it out of both"
            )
    return *parts, tuple(map(str, names))


def name_classes(labels: tuple[str, ...], names: Sequence[str]) -> tuple[str, ...]:
    """The names of labels that are places in a list of names."""
    known = {str(label): str(name) for label, name in enumerate(names)}
    for label in labels:
        if label not in known:
            expected = "name labels 0, 1, 2, ... in this order"
            checks.raise_expected("class_names", expected, f"no name for label {label}")
    return tuple(known[label] for label in labels)


def _sort_numbers(words: NDArray[np.str_]) -> NDArray[np.intp]:
    """The order of words: by size where all are numbers, "2" before "10"; else as they are."""
    try:
        return np.argsort(words.astype(np.float64), kind="stable")
    except ValueError:
        return np.arange(len(words))
