"""Datasets, items and presentations: what is shown, and under which labels."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import SEEDS

from metaplastic_np import Dataset, InputError, draw_items, draw_presentation, load_digits
from metaplastic_np.scenarios import draw_new_items, freeze_features, load_dataset, measure_digest
from metaplastic_np.scenarios.items import count_non_targets


@pytest.fixture(scope="module")
def digits():
    return load_digits()


def make_items(digits, *, n_items=5, n_train_images=20, seed=0, dtype=np.float32):
    return draw_items(
        digits,
        n_items=n_items,
        n_train_images=n_train_images,
        n_test_images=7,
        rng=np.random.default_rng(seed),
        dtype=dtype,
    )


# --- the bundled digits --------------------------------------------------------------


def test_the_bundled_digits_equal_scikit_learns_copy(digits):
    from sklearn.datasets import load_digits as theirs

    reference = theirs()
    for digit in range(10):
        ours = np.concatenate(
            [
                digits.train_images[digits.train_labels == digit],
                digits.test_images[digits.test_labels == digit],
            ]
        )
        np.testing.assert_array_equal(ours * 16, reference.images[reference.target == digit])


def test_each_digit_is_split_70_to_30_in_the_files_order_of_writers(digits):
    train, test = (np.bincount(labels) for labels in (digits.train_labels, digits.test_labels))
    np.testing.assert_allclose(train / (train + test), 0.7, atol=0.004)
    assert train.sum() + test.sum() == 1797


def test_pixels_lie_between_0_and_1(digits):
    for images in (digits.train_images, digits.test_images):
        assert images.min() == 0
        assert images.max() == 1


def test_a_dataset_keeps_its_own_copy_of_arrays_that_can_be_written():
    images, labels = np.zeros((2, 3)), np.arange(2)
    own = Dataset(
        name="own", train_images=images, train_labels=labels, test_images=images, test_labels=labels
    )
    images[:] = np.nan
    assert not own.train_images.any()


def test_items_are_the_45_pairs_of_different_digits(digits):
    pairs = digits.item_classes
    assert len(set(pairs)) == len(pairs) == 45
    assert all(0 <= left < right <= 9 for left, right in pairs)


def test_the_digest_tells_datasets_apart(digits):
    changed = np.array(digits.train_images)
    changed[0, 0, 0] += 0.5
    other = Dataset(
        name="digits",
        train_images=changed,
        train_labels=digits.train_labels,
        test_images=digits.test_images,
        test_labels=digits.test_labels,
        paired=True,
    )
    assert measure_digest(digits) == measure_digest(load_dataset("digits"))
    assert measure_digest(other) != measure_digest(digits)


# --- items ---------------------------------------------------------------------------


@given(SEEDS)
def test_training_and_test_digits_are_never_shared(digits, seed):
    items = make_items(digits, seed=seed)
    pools = {
        part: {image.tobytes() for image in images.astype(np.float32)}
        for part, images in (("train", digits.train_images), ("test", digits.test_images))
    }
    assert not pools["train"] & pools["test"]
    for part, images in (("train", items.train_images), ("test", items.test_images)):
        canvas = images.reshape(-1, 8, 16)
        for half in (canvas[:, :, :8], canvas[:, :, 8:]):
            assert {np.ascontiguousarray(image).tobytes() for image in half} <= pools[part]


@given(SEEDS)
def test_each_half_shows_its_own_digit(digits, seed):
    items = make_items(digits, seed=seed)
    label_of = {
        image.tobytes(): label
        for image, label in zip(digits.train_images, digits.train_labels, strict=True)
    }
    for (left, right), images in zip(items.classes, items.train_images, strict=True):
        canvas = images.reshape(-1, 8, 16)
        for half, digit in ((canvas[:, :, :8], left), (canvas[:, :, 8:], right)):
            assert {label_of[np.ascontiguousarray(image).tobytes()] for image in half} == {digit}


@given(SEEDS, st.integers(2, 45))
def test_items_of_a_trial_are_different(digits, seed, n_items):
    items = make_items(digits, n_items=n_items, n_train_images=1, seed=seed)
    assert len(set(items.classes)) == len(items) == n_items


def test_every_pair_of_digits_and_every_order_is_drawn(digits):
    firsts = Counter(make_items(digits, seed=seed).classes[0] for seed in range(400))
    assert len(firsts) == 45


def test_unpaired_items_are_classes_with_different_images():
    labels = np.repeat(np.arange(4), 10)
    images = np.arange(40.0).reshape(40, 1)
    dataset = Dataset(
        name="own",
        train_images=images,
        train_labels=labels,
        test_images=-images,
        test_labels=labels,
    )
    items = draw_items(
        dataset, n_items=3, n_train_images=10, n_test_images=4, rng=np.random.default_rng(0)
    )
    for (shown,), train, test in zip(
        items.classes, items.train_images, items.test_images, strict=True
    ):
        assert sorted(train.ravel()) == list(range(10 * shown, 10 * shown + 10))
        assert (test <= 0).all()
        assert set((-test.ravel()) // 10) == {shown}


def test_the_frozen_layer_is_he_scaled_and_shared_by_training_and_test(digits):
    items = make_items(digits, n_train_images=50, dtype=np.float64)
    frozen = freeze_features(items, n_features=2000, rng=np.random.default_rng(3))
    assert frozen.train_images.min() == 0
    # He scaling keeps the mean square: E[relu(x.w)^2] = |x|^2 / n_inputs.
    before = np.mean(items.train_images**2, axis=-1)
    after = np.mean(frozen.train_images**2, axis=-1)
    np.testing.assert_allclose(after, before, rtol=0.2)
    weights = np.random.default_rng(3).standard_normal((128, 2000)) * np.sqrt(2 / 128)
    np.testing.assert_allclose(
        frozen.test_images, np.maximum(items.test_images @ weights, 0), atol=1e-12
    )


# --- presentations -------------------------------------------------------------------


@given(SEEDS, st.integers(3, 12), st.integers(6, 40), st.data())
def test_no_non_target_label_is_true_or_the_targets(digits, seed, n_items, n_train_images, data):
    items = make_items(digits, n_items=n_items, n_train_images=n_train_images, seed=seed)
    item = data.draw(st.integers(0, n_items - 1))
    presentation = draw_presentation(items, item, epochs=2, rng=np.random.default_rng(seed))
    count = int(n_train_images / (n_items - 1) + 0.5)
    assert len(presentation.labels) == n_train_images + (n_items - 1) * count
    np.testing.assert_array_equal(presentation.labels[:n_train_images], item)
    np.testing.assert_array_equal(presentation.images[:n_train_images], items.train_images[item])

    others = [other for other in range(n_items) if other != item]
    start = n_train_images
    for other in others:
        labels = presentation.labels[start : start + count]
        shown = presentation.images[start : start + count]
        start += count
        own = {image.tobytes() for image in items.train_images[other]}
        assert {image.tobytes() for image in shown} <= own
        assert not set(labels) & {other, item}
        tally = [np.count_nonzero(labels == wrong) for wrong in others if wrong != other]
        assert max(tally) - min(tally) <= 1  # spread evenly


@given(SEEDS)
def test_each_epoch_visits_every_image_once_in_a_new_order(digits, seed):
    items = make_items(digits, seed=seed)
    order = draw_presentation(items, 0, epochs=4, rng=np.random.default_rng(seed)).order
    for epoch in order:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(order.shape[1]))
    assert len({epoch.tobytes() for epoch in order}) == 4


def test_non_targets_are_drawn_anew(digits):
    items, rng = make_items(digits), np.random.default_rng(0)
    first, second = (draw_presentation(items, 0, epochs=1, rng=rng) for _ in range(2))
    assert not np.array_equal(first.images[20:], second.images[20:])
    assert not np.array_equal(first.labels[20:], second.labels[20:])


def test_ablations_show_no_non_targets_or_true_ones(digits):
    items = make_items(digits)
    none = draw_presentation(items, 2, epochs=1, non_target="none", rng=np.random.default_rng(0))
    np.testing.assert_array_equal(none.labels, np.full(20, 2))
    true = draw_presentation(items, 2, epochs=1, non_target="true", rng=np.random.default_rng(0))
    np.testing.assert_array_equal(true.labels[20:], np.repeat([0, 1, 3, 4], 5))
    for image, label in zip(true.images, true.labels, strict=True):
        assert (items.train_images[label] == image).all(axis=1).any()


def test_two_items_are_enough_where_labels_are_not_permuted(digits):
    items = make_items(digits, n_items=2)
    for non_target in ("none", "true"):
        draw_presentation(items, 0, epochs=1, non_target=non_target, rng=np.random.default_rng(0))


@pytest.mark.parametrize(("non_target", "fewest"), [("permuted", 3), ("true", 2), ("none", 2)])
def test_permuted_labels_need_a_third_item(non_target, fewest):
    count_non_targets(fewest, 20, non_target=non_target)
    with pytest.raises(InputError, match=f"at least {fewest}"):
        count_non_targets(fewest - 1, 20, non_target=non_target)


def test_new_items_are_of_no_list_and_have_as_many_images(digits):
    items = make_items(digits)
    more = draw_new_items(items, digits, n_new=2, rng=np.random.default_rng(0))
    assert len(more) == len(items) == len(more.classes) - 2
    assert not set(more.classes[-2:]) & set(items.classes)
    assert more.train_images.shape[1:] == items.train_images.shape[1:]
    assert more.test_images.shape[1:] == items.test_images.shape[1:]
    with pytest.raises(InputError, match="leave 41 of the 45 items"):
        draw_new_items(items, digits, n_new=41, rng=np.random.default_rng(0))


def test_equal_seeds_draw_equal_items_in_both_dtypes(digits):
    single, double = (make_items(digits, dtype=dtype) for dtype in (np.float32, np.float64))
    np.testing.assert_array_equal(single.train_images, double.train_images.astype(np.float32))
    assert single.classes == double.classes
