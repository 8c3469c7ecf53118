"""Images to make items of: one small type, and the handwritten digits that come with the package.

An experiment takes a :class:`Dataset`, whoever made it: the bundled digits, a file that
:mod:`metaplastic_np.scenarios.sources` reads, or your own arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from hashlib import sha256
from importlib.resources import as_file, files
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._util import checks, errors
from .._util.storage import read_arrays
from .labels import name_classes, number_classes, read_labels

__all__ = ["Dataset", "load_digits", "measure_digest"]

TRAIN_SHARE = 0.7
MOST_NAMES = 20  # of classes, in a line


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Training and test images by class, and what an item is.

    Parameters
    ----------
    name : str
    train_images, test_images : array (n, ...)
        Real, finite numbers, of one canvas; (n, rows, columns) if `paired`. If both parts hold
        whole numbers of 0..255 (and not only 0 and 1), whatever their dtypes, they are pixels and
        are shown as [0, 1]; all others are shown as they are.
    train_labels, test_labels : array (n,)
        Words or whole numbers, or one-hot rows (n, n_classes). They are kept as the places 0, 1,
        2, ... of the classes in sorted order.
    class_names : sequence of str, optional
        What label 0, 1, 2, ... is called. Default: the labels themselves, in sorted order.
    paired : bool
        True: an item is a pair i < j of different classes, their images side by side (the paper's
        two-digit numbers). False: an item is a class.
    reload : tuple of a function and a tuple, optional
        A function of a module and its arguments, which load the same dataset again. Then a worker
        process is sent these instead of all the images, loads once, and refuses images that
        differ.

    Raises
    ------
    InputError
        If shapes do not fit, a pixel is not finite, the two parts are on unlike scales, labels
        are no classes, or a class has no images in one part.

    Examples
    --------
    >>> import numpy as np
    >>> images, labels = np.random.default_rng(0).random((6, 8)), np.array([0, 1, 2, 0, 1, 2])
    >>> own = Dataset(name="own", train_images=images, train_labels=labels,
    ...               test_images=images, test_labels=labels)
    >>> own.item_classes, own.class_names
    (((0,), (1,), (2,)), ('0', '1', '2'))
    """

    name: str
    train_images: NDArray[Any] = field(repr=False)
    train_labels: NDArray[Any] = field(repr=False)
    test_images: NDArray[Any] = field(repr=False)
    test_labels: NDArray[Any] = field(repr=False)
    class_names: Sequence[str] = ()
    paired: bool = False
    reload: tuple[Callable[..., Dataset], tuple[Any, ...]] | None = None
    pixel_scale: int = field(init=False)  # what the numbers of both parts are divided by

    def __new__(cls, *arrays: Any, **_: Any) -> Dataset:
        """Refuse arrays without their names, which are easily given in another order."""
        if arrays:
            raise errors.InputError(
                "`Dataset` takes its arrays by name: Dataset(name='own', train_images=..., "
                "train_labels=..., test_images=..., test_labels=...)"
            )
        return super().__new__(cls)

    def __post_init__(self) -> None:
        """Check every array once, here, so that nothing later has to."""
        fixed = {}
        for part in ("train", "test"):
            images = _check_images(f"{part}_images", getattr(self, f"{part}_images"))
            labels = read_labels(f"{part}_labels", getattr(self, f"{part}_labels"), images)
            fixed[f"{part}_images"], fixed[f"{part}_labels"] = images, labels
        shape, other = fixed["train_images"].shape, fixed["test_images"].shape
        if other[1:] != shape[1:]:
            raise errors.InputError(
                "`test_images` must have images shaped like `train_images`; "
                f"got {other[1:]} and {shape[1:]}"
            )
        is_paired = checks.check_flag("paired", self.paired)
        if is_paired and len(shape) != 3:
            expected = "have shape (n, rows, columns) to be paired"
            checks.raise_expected("train_images", expected, shape)
        *numbered, names = number_classes(fixed["train_labels"], fixed["test_labels"])
        fixed["train_labels"], fixed["test_labels"] = numbered
        names = name_classes(names, self.class_names) if len(self.class_names) else names
        scale = _find_scale(fixed["train_images"], fixed["test_images"])
        object.__setattr__(self, "paired", is_paired)
        for name, array in fixed.items():
            object.__setattr__(self, name, checks.freeze(array))
        object.__setattr__(self, "class_names", names)
        object.__setattr__(self, "pixel_scale", scale)

    @property
    def item_classes(self) -> tuple[tuple[int, ...], ...]:
        """The classes that each item of this dataset shows, left to right."""
        classes = range(int(self.train_labels.max()) + 1)
        return tuple(combinations(classes, 2 if self.paired else 1))

    @property
    def reading(self) -> str:
        """How labels and pixels were read, in words."""
        names, parts = self.class_names, (self.train_images, self.test_images)
        listed = ", ".join(names[:MOST_NAMES]) + ", ..." * (len(names) > MOST_NAMES)
        low, high = min(part.min() for part in parts), max(part.max() for part in parts)
        scaled = "divided by 255" if self.pixel_scale == 255 else "as they are"
        return f"{len(names)} classes: {listed}; pixels from {low:g} to {high:g}, {scaled}"

    @cached_property
    def _digest(self) -> str:
        """See :func:`measure_digest`; once for each dataset, since MNIST has 55 MB."""
        digest = sha256(str(self.paired).encode())
        # As many bytes for a label on every machine.
        train, test = self.train_labels.astype(np.int64), self.test_labels.astype(np.int64)
        for array in (self.train_images, train, self.test_images, test):
            digest.update(f"{array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle how to load the images again, if that is known, else the images."""
        if self.reload is None:
            return super().__reduce_ex__(protocol)
        return _load_again, (*self.reload, measure_digest(self))

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make unpickled arrays read-only again."""
        self.__dict__.update(state)
        for array in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            array.flags.writeable = False


def _check_images(name: str, images: NDArray[Any]) -> NDArray[Any]:
    """Require images (n, ...) of real, finite numbers, at least one image and one pixel."""
    found = checks.make_array(name, images)
    if found.dtype.kind == "O":  # tables and lists of mixed numbers
        with suppress(TypeError, ValueError):
            found = found.astype(np.float64)
    if found.dtype.kind not in "fiub":
        checks.raise_expected(name, "hold real numbers", found.dtype)
    if found.ndim < 2 or found.size == 0:
        expected = "have shape (n, ...) with at least one image and pixel"
        checks.raise_expected(name, expected, found.shape)
    return checks.check_finite(name, found) if found.dtype.kind == "f" else found


def _find_scale(train: NDArray[Any], test: NDArray[Any]) -> int:
    """What both parts are divided by: 255 if both hold pixels of 0..255, else 1."""
    low, high = (np.array([pick(train), pick(test)], float) for pick in (np.min, np.max))
    parts = zip((train, test), low >= 0, high <= 255, strict=True)
    whole = [bool(above and below and checks.is_whole(part)) for part, above, below in parts]
    if all(whole):
        return 255 if high.max() > 1 else 1
    pixels, other = (0, 1) if whole[0] else (1, 0)
    if whole[pixels] and high[pixels] > 1 and low[other] >= -1 and high[other] <= 1:
        raise errors.InputError(
            "`train_images` and `test_images` must be on one scale; got numbers up to "
            f"{high[0]:g} and up to {high[1]:g}: scale them alike"
        )
    return 1


@lru_cache(maxsize=2)
def _load_again(load: Callable[..., Dataset], arguments: tuple[Any, ...], digest: str) -> Dataset:
    """In a worker: the dataset of that digest, read once for all of its trials."""
    dataset = load(*arguments)
    if measure_digest(dataset) != digest:
        raise errors.InputError(
            f"the images of dataset {dataset.name!r} changed since the run started "
            "(or its `reload` loads others); start again"
        )
    return dataset


def load_digits() -> Dataset:
    """Load 1,797 handwritten 8x8 digits of the UCI repository, to be shown in pairs.

    Pixels are scaled to [0, 1]. In each class the first 70 % are for training and the rest for
    testing; the file is ordered by writer, so most test digits are by hands never trained on. No
    digit is in both. Source: Alpaydin and Kaynak (1998), doi:10.24432/C50P49, CC BY 4.0.

    Returns
    -------
    Dataset
        45 items, the pairs 0-1, 0-2, ..., 8-9.

    Examples
    --------
    >>> digits = load_digits()
    >>> digits.train_images.shape, digits.test_images.shape, len(digits.item_classes)
    ((1258, 8, 8), (539, 8, 8), 45)
    """
    with as_file(files("metaplastic_np") / "data" / "digits.npz") as path:
        arrays, _ = read_arrays(path)
    images = arrays["images"].astype(np.float32) / 16
    labels = arrays["labels"].astype(np.intp)
    is_train = np.zeros(len(labels), dtype=bool)
    for digit in range(10):
        rows = np.flatnonzero(labels == digit)
        is_train[rows[: round(TRAIN_SHARE * len(rows))]] = True
    return Dataset(
        name="digits",
        train_images=images[is_train],
        train_labels=labels[is_train],
        test_images=images[~is_train],
        test_labels=labels[~is_train],
        paired=True,
        reload=(load_digits, ()),
    )


def measure_digest(dataset: Dataset) -> str:
    """SHA-256 of a dataset's arrays: tells whether two runs saw the same images.

    Parameters
    ----------
    dataset : Dataset

    Returns
    -------
    str of 64 hexadecimal digits

    Examples
    --------
    >>> measure_digest(load_digits())[:8]
    'dad3cb2e'
    """
    return dataset._digest
