"""Items and presentations: what is shown, in which order, under which labels.

A trial draws N **items**, each with its training and test images. One **presentation** of item k
shows its K training images under label k, and of every other item j

    m = floor(K / (N - 1) + 1/2)

**non-target** images, drawn anew. In the paper their labels are *permuted*: never j, never k,
spread evenly over the N - 2 others. (They teach wrong labels, so part of the forgetting is label
noise; the ablations "none" and "true" tell how much.) All images of a presentation are shown for
some epochs, each in a new order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .._util import checks, errors
from ..nn import dense_forward, relu_forward
from .datasets import Dataset

__all__ = [
    "NON_TARGETS",
    "Items",
    "Presentation",
    "Step",
    "draw_items",
    "draw_new_items",
    "draw_presentation",
    "freeze_features",
]

NON_TARGETS = ("permuted", "none", "true")


class Step(NamedTuple):
    """One presentation of a schedule: whose turn it is, and what is out of the ordinary.

    Parameters
    ----------
    item : int
        Whose turn it is, 0-based: the non-targets are images of the other items.
    label : int or None
        What the item's images are taught as; None: as the item itself. Another one is poison.
    shown : int or None
        Whose images are taught; None: the item's own. N, N + 1, ... are new items, which have no
        output of their own.
    after : int or None
        Learn from the state after so many presentations (0: as born) instead of from the last one.

    Examples
    --------
    >>> Step(3, label=5)
    Step(item=3, label=5, shown=None, after=None)
    """

    item: int
    label: int | None = None
    shown: int | None = None
    after: int | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Items:
    """The items of a trial, in the order in which they are presented; then new ones, if any.

    Parameters
    ----------
    classes : tuple of tuples of int
        The classes that each item shows, left to right.
    train_images : array (n_items + n_new, n_train_images, n_inputs)
    test_images : array (n_items + n_new, n_test_images, n_inputs)
    n_new : int
        How many at the end are not of the list: the network has no output for them.

    Examples
    --------
    See :func:`draw_items` and :func:`draw_new_items`.
    """

    classes: tuple[tuple[int, ...], ...]
    train_images: NDArray[Any] = field(repr=False)
    test_images: NDArray[Any] = field(repr=False)
    n_new: int = 0

    def __len__(self) -> int:
        """How many items the list has, N."""
        return len(self.classes) - self.n_new


@dataclass(frozen=True, kw_only=True, eq=False)
class Presentation:
    """One presentation of one item: images, labels, and the order in which every epoch visits them.

    Parameters
    ----------
    images : array (n_images, n_inputs)
    labels : int array (n_images,)
    order : int array (n_epochs, n_images)
        Each row a permutation of 0..n_images - 1.
    number : int or None
        0-based place in the trial; only for messages.

    Raises
    ------
    InputError
        If an epoch does not visit every image once.

    Examples
    --------
    See :func:`draw_presentation`.
    """

    images: NDArray[Any] = field(repr=False)
    labels: NDArray[np.intp] = field(repr=False)
    order: NDArray[np.intp] = field(repr=False)
    number: int | None = None

    def __post_init__(self) -> None:
        """Check the order; images and labels are checked against the network that learns them."""
        order, n_images = np.asarray(self.order), len(self.images)
        if order.ndim != 2 or 0 in order.shape or order.dtype.kind not in "iu":
            expected = "have shape (epochs, images) and hold whole numbers"
            checks.raise_expected("order", expected, order.shape)
        for epoch, visited in enumerate(order):
            if not np.array_equal(np.sort(visited), np.arange(n_images)):
                expected = f"visit each of {n_images} images once"
                checks.raise_expected("order", expected, f"another in epoch {epoch}")
        object.__setattr__(self, "order", np.ascontiguousarray(order, dtype=np.intp))


def check_step(step: Any, number: int, *, n_items: int, n_new: int | None = None) -> Step:
    """Fill in what a step leaves open; refuse an item, a label or a state that does not exist.

    `number` is the step's place in its schedule. Without `n_new`, as many new items as listed ones
    may be shown. With it, the step stands alone and its `after` is not used.
    """
    parts = (
        step if isinstance(step, Sequence) and not isinstance(step, str) else (step, *[None] * 3)
    )
    if len(parts) != 4:  # fewer are not filled up: (0, 1) could as well be a task of two items
        expected = "hold items or Steps: Step(item=0, label=1) teaches item 0 as 1"
        checks.raise_expected("schedule", expected, f"{step!r} at step {number}")
    item, label, shown, after = parts
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
            checks.raise_expected(name, f"lie in 0..{highest}", f"{value!r} at step {number}")
    return Step(**{name: int(value) for name, (value, _) in filled.items()})


def check_item_count(n_items: int, *, available: int, minimum: int) -> int:
    """Require enough items for the experiment, and no more than the dataset has."""
    checks.check_count("n_items", n_items, minimum=minimum)
    if n_items > available:
        raise errors.InputError(
            f"`n_items` must be at most {available}, the items this dataset has; got {n_items}"
        )
    return int(n_items)


def check_new_items(n_new: int, *, n_items: int, available: int, minimum: int) -> None:
    """Require that a dataset has enough items that are not of the list."""
    checks.check_count("n_new", n_new, minimum=minimum)
    if n_items + n_new > available:
        raise errors.InputError(
            f"`n_items` must leave {n_new} of the {available} items of this dataset to be shown "
            f"as new; got {n_items}, at most {available - n_new} will do"
        )


def check_enough_images(name: str, called: str, *, wanted: int, available: int) -> None:
    """Require that a class has as many images as it is to show as an item."""
    if wanted > available:
        raise errors.InputError(
            f"`{name}` must be at most {available}, the images class {called!r} has; got {wanted}"
        )


def draw_items(
    dataset: Dataset,
    *,
    n_items: int,
    n_train_images: int,
    n_test_images: int,
    rng: np.random.Generator,
    dtype: DTypeLike = np.float32,
) -> Items:
    """Draw the items of a trial, in a random order, and the images of each.

    A paired item joins random images of its two classes side by side (any two may meet more than
    once); an unpaired one takes different images of its class. Training images come from the
    dataset's training images only, test images from its test images only.

    Parameters
    ----------
    dataset : Dataset
    n_items : int
        N.
    n_train_images, n_test_images : int
        Images an item.
    rng : numpy.random.Generator
    dtype : float32 or float64

    Returns
    -------
    Items
        Images flattened to (rows * columns,) each; pixels of 0..255 divided by 255.

    Raises
    ------
    InputError
        If the dataset has fewer items, or an unpaired item fewer images.

    Examples
    --------
    >>> import numpy as np
    >>> from metaplastic_np import load_digits
    >>> items = draw_items(load_digits(), n_items=3, n_train_images=20, n_test_images=10,
    ...                    rng=np.random.default_rng(0))
    >>> items.train_images.shape, items.classes
    ((3, 20, 128), ((0, 3), (4, 9), (0, 5)))
    """
    checks.check_kind("dataset", dataset, Dataset, "a Dataset, as load_dataset makes")
    dtype = checks.check_dtype("dtype", dtype)
    checks.check_rng(rng)
    available = dataset.item_classes
    check_item_count(n_items, available=len(available), minimum=2)
    checks.check_count("n_train_images", n_train_images)
    checks.check_count("n_test_images", n_test_images)

    chosen = rng.permutation(len(available))[:n_items]
    classes = tuple(available[i] for i in chosen)
    train_images, test_images = (
        _draw_images(dataset, part, classes, n_images, dtype=dtype, rng=rng)
        for part, n_images in (("train", n_train_images), ("test", n_test_images))
    )
    return Items(classes=classes, train_images=train_images, test_images=test_images)


def draw_new_items(
    items: Items, dataset: Dataset, *, n_new: int, rng: np.random.Generator
) -> Items:
    """Add items that are not of the list, with as many images each. Returns new items.

    Parameters
    ----------
    items : Items
        As :func:`draw_items` drew them from the same dataset.
    dataset : Dataset
    n_new : int
        How many.
    rng : numpy.random.Generator

    Returns
    -------
    Items
        The list as it was, then the new ones.

    Raises
    ------
    InputError
        If the dataset has no so many others.

    Examples
    --------
    >>> import numpy as np
    >>> from metaplastic_np import load_digits
    >>> rng = np.random.default_rng(0)
    >>> items = draw_items(load_digits(), n_items=3, n_train_images=20, n_test_images=10, rng=rng)
    >>> more = draw_new_items(items, load_digits(), n_new=2, rng=rng)
    >>> len(more), more.train_images.shape
    (3, (5, 20, 128))
    """
    checks.check_rng(rng)
    others = [shown for shown in dataset.item_classes if shown not in items.classes]
    check_new_items(n_new, n_items=len(items), available=len(others) + len(items), minimum=1)
    classes = tuple(others[i] for i in rng.permutation(len(others))[:n_new])
    dtype = items.train_images.dtype
    images = {}
    for part in ("train", "test"):
        listed = getattr(items, f"{part}_images")
        new = _draw_images(dataset, part, classes, listed.shape[1], dtype=dtype, rng=rng)
        images[f"{part}_images"] = np.concatenate([listed, new])
    return replace(items, classes=(*items.classes, *classes), n_new=n_new, **images)


def _draw_images(
    dataset: Dataset,
    part: str,
    classes: tuple[tuple[int, ...], ...],
    n_images: int,
    *,
    dtype: np.dtype[Any],
    rng: np.random.Generator,
) -> NDArray[Any]:
    """Images (item, image, inputs) of some items, from the training or the test images."""
    images, labels = getattr(dataset, f"{part}_images"), getattr(dataset, f"{part}_labels")
    sides = []
    for side in range(len(dataset.item_classes[0])):
        rows = np.empty((len(classes), n_images), dtype=np.intp)
        for item, shown in enumerate(classes):
            candidates = np.flatnonzero(labels == shown[side])
            if not dataset.paired:
                called = dataset.class_names[shown[side]]
                check_enough_images(
                    f"n_{part}_images", called, wanted=n_images, available=len(candidates)
                )
            rows[item] = rng.choice(candidates, n_images, replace=dataset.paired)
        sides.append(images[rows])
    # (item, image, row, column): side by side is along the columns.
    with np.errstate(over="ignore"):  # refused below, in words
        canvas = np.concatenate(sides, axis=-1).astype(dtype, copy=False)
    checks.check_finite(f"{part}_images", canvas)
    if dataset.pixel_scale != 1:
        canvas /= dataset.pixel_scale
    return np.ascontiguousarray(canvas.reshape(len(classes), n_images, -1))


def freeze_features(items: Items, *, n_features: int, rng: np.random.Generator) -> Items:
    """Pass the items through a frozen random layer: ReLU(X W), W ~ N(0, 2 / n_inputs), no bias.

    It stands for the frozen convolutions of the paper: random, the same for all networks of a
    trial, never trained. Returns new items.

    Parameters
    ----------
    items : Items
    n_features : int
        Width of the frozen layer.
    rng : numpy.random.Generator
        Draws W.

    Returns
    -------
    Items
        Images (n_items, n_images, n_features).

    Examples
    --------
    >>> import numpy as np
    >>> from metaplastic_np import load_digits
    >>> rng = np.random.default_rng(0)
    >>> items = draw_items(load_digits(), n_items=3, n_train_images=20, n_test_images=10, rng=rng)
    >>> freeze_features(items, n_features=64, rng=rng).train_images.shape
    (3, 20, 64)
    """
    checks.check_count("n_features", n_features)
    n_inputs = items.train_images.shape[-1]
    dtype = checks.check_dtype("train_images", items.train_images.dtype)
    weights = checks.check_rng(rng).standard_normal((n_inputs, n_features)) * np.sqrt(2 / n_inputs)
    weights, biases = weights.astype(dtype), np.zeros(n_features, dtype)

    def features(images: NDArray[Any]) -> NDArray[Any]:
        hidden, _ = dense_forward(images.reshape(-1, n_inputs), weights, biases)
        return relu_forward(hidden)[0].reshape(*images.shape[:2], n_features)

    return replace(
        items,
        train_images=features(items.train_images),
        test_images=features(items.test_images),
    )


def draw_presentation(
    items: Items,
    step: Step | int,
    *,
    epochs: int,
    rng: np.random.Generator,
    non_target: str = "permuted",
    number: int | None = None,
) -> Presentation:
    """Draw one presentation: the item's images, fresh non-targets, and an order for every epoch.

    Parameters
    ----------
    items : Items
    step : Step or int
        Which item, 0-based; a :class:`Step` may teach it under another label, or show another one.
    epochs : int
        How often every image is visited.
    rng : numpy.random.Generator
    non_target : {"permuted", "none", "true"}
        Labels of the non-targets: wrong ones (the paper), no non-targets at all, or the true ones
        (rehearsal).
    number : int, optional
        Place in the trial, for messages.

    Returns
    -------
    Presentation

    Raises
    ------
    InputError
        If there are fewer than three items for permuted labels, or too few images for one
        non-target of each other item.

    Examples
    --------
    >>> import numpy as np
    >>> from metaplastic_np import load_digits
    >>> rng = np.random.default_rng(0)
    >>> items = draw_items(load_digits(), n_items=4, n_train_images=6, n_test_images=2, rng=rng)
    >>> presentation = draw_presentation(items, 0, epochs=5, rng=rng)
    >>> presentation.labels  # six targets, two non-targets of each other item: never its own label
    array([0, 0, 0, 0, 0, 0, 3, 2, 1, 3, 1, 2])
    """
    n_items, n_images = len(items), items.train_images.shape[1]
    item, label, shown, _ = check_step(step, number or 0, n_items=n_items, n_new=items.n_new)
    checks.check_choice("non_target", non_target, NON_TARGETS)
    checks.check_count("epochs", epochs)
    checks.check_rng(rng)

    images = [items.train_images[shown]]
    labels = [np.full(n_images, label, dtype=np.intp)]
    if non_target != "none":
        n_non_targets = count_non_targets(n_items, n_images, non_target=non_target)
        for other in range(n_items):
            if other == item:
                continue
            drawn = rng.choice(n_images, n_non_targets, replace=False)
            images.append(items.train_images[other, drawn])
            wrong = [label for label in range(n_items) if label not in (item, other)]
            labels.append(
                _draw_evenly(np.array(wrong), n_non_targets, rng=rng)
                if non_target == "permuted"
                else np.full(n_non_targets, other, dtype=np.intp)
            )

    n_shown = sum(map(len, images))
    return Presentation(
        images=np.concatenate(images),
        labels=np.concatenate(labels),
        order=np.array([rng.permutation(n_shown) for _ in range(epochs)], dtype=np.intp),
        number=number,
    )


def count_non_targets(n_items: int, n_train_images: int, *, non_target: str) -> int:
    """M = floor(K / (N - 1) + 1/2), refused below 1; 0 if there are to be none."""
    checks.check_count("n_items", n_items, minimum=2)
    if non_target == "permuted" and n_items == 2:
        expected = "be at least 3: a wrong label is a third item's (two can be learned with "
        checks.raise_expected("n_items", expected + "`non_target` none or true)", 2)
    if non_target == "none":
        return 0
    count = (2 * n_train_images + n_items - 1) // (2 * (n_items - 1))
    if count < 1:
        raise errors.InputError(
            f"`n_train_images` must give each of the {n_items - 1} other items at least one "
            f"non-target image; got {n_train_images}, needs {-(-(n_items - 1) // 2)}"
        )
    return count


def _draw_evenly(labels: NDArray[np.intp], n: int, *, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return each label equally often, the remainder at random among different ones, shuffled."""
    whole = np.repeat(labels, n // len(labels))
    remainder = rng.choice(labels, n % len(labels), replace=False)
    return rng.permutation(np.concatenate([whole, remainder]))
