"""People's own images: labels, pixels, few of them, two classes; and what is said about each."""

import csv
import pickle
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import metaplastic_np as mp
from metaplastic_np import cli
from metaplastic_np.metrics import format_mean
from metaplastic_np.scenarios import measure_digest

N_CLASSES = 4
PLACES = np.tile(np.arange(N_CLASSES), 8)
PIXELS = np.random.default_rng(0).integers(0, 256, (len(PLACES), 3, 3)).astype(np.uint8)


def make(**changes):
    arrays = {"train_images": PIXELS, "test_images": PIXELS}
    arrays |= {"train_labels": PLACES, "test_labels": PLACES}
    return mp.Dataset(**{"name": "own", **arrays, **changes})


def save(path, *, n_train=(12,) * N_CLASSES, n_test=(6,) * N_CLASSES, names=None):
    """A file of easy classes, with so many images of each."""
    rng, arrays = np.random.default_rng(1), {}
    centers = rng.integers(0, 200, (len(n_train), 5, 5))
    for part, counts in (("train", n_train), ("test", n_test)):
        places = np.repeat(np.arange(len(counts)), counts)
        noise = rng.integers(0, 55, (len(places), 5, 5))
        arrays[f"{part}_images"] = (centers[places] + noise).astype(np.uint8)
        arrays[f"{part}_labels"] = places if names is None else np.array(names)[places]
    np.savez(path, **arrays)
    return str(path)


def run(file, *words):
    common = ["--trials", "1", "--kappa", "7", "--hidden", "8", "--epochs", "1"]
    return cli.main(["run", "serial-position", "--dataset", file, *common, *words])


# --- labels --------------------------------------------------------------------------

LABELS = {
    "whole numbers": (lambda v: v, "0 1 2 3"),
    "a list": (lambda v: v.tolist(), "0 1 2 3"),
    "a column": (lambda v: v[:, None].astype(np.uint8), "0 1 2 3"),
    "a row": (lambda v: v[None], "0 1 2 3"),
    "one-hot": (lambda v: np.eye(N_CLASSES)[v], "0 1 2 3"),
    "one-hot, true and false": (lambda v: np.eye(N_CLASSES, dtype=bool)[v], "0 1 2 3"),
    "one-hot with an empty column": (lambda v: np.eye(9, dtype=int)[v + 2], "2 3 4 5"),
    "digits as words": (lambda v: v.astype(str), "0 1 2 3"),
    "digits as objects": (lambda v: v.astype(str).astype(object), "0 1 2 3"),
    "digits as bytes": (lambda v: v.astype("S"), "0 1 2 3"),
    "bytes that are no words": (
        lambda v: np.array([b"\xfb", b"\xfc", b"\xfd", b"\xfe"])[v],
        r"\xfb \xfc \xfd \xfe",
    ),
    "whole numbers as objects": (lambda v: v.astype(object), "0 1 2 3"),
    "whole numbers as floats": (lambda v: v.astype(np.float32), "0 1 2 3"),
    "from 1": (lambda v: v + 1, "1 2 3 4"),
    "with gaps": (lambda v: np.array([3, 7, 9, 100])[v], "3 7 9 100"),
    "below 0": (lambda v: v - 2, "-2 -1 0 1"),
    "names": (lambda v: np.array(["ant", "bee", "cat", "dog"])[v], "ant bee cat dog"),
    "words that are numbers": (lambda v: np.array(["-1", "2", "10", "100"])[v], "-1 2 10 100"),
}


@pytest.mark.parametrize("case", LABELS)
@pytest.mark.parametrize("other", ["whole numbers", None])
def test_labels_that_can_be_told_apart_are_classes_in_sorted_order(case, other):
    """Also where only one part has them so, if their names agree."""
    encode, names = LABELS[case]
    if other and names != "0 1 2 3":
        encode_test, other_names = encode, names
    else:
        encode_test, other_names = LABELS[other or case]
    found = make(train_labels=encode(PLACES), test_labels=encode_test(PLACES))
    assert found.class_names == tuple(names.split()) == tuple(other_names.split())
    assert measure_digest(found) == measure_digest(make())
    assert names.replace(" ", ", ") in found.reading


def test_two_sides_are_two_classes():
    for encode, names in (
        (lambda v: 2 * (v % 2) - 1, ("-1", "1")),
        (lambda v: v > 1, ("False", "True")),
    ):
        found = make(train_labels=encode(PLACES), test_labels=encode(PLACES))
        assert found.class_names == names


def test_tables_of_pandas_are_read_as_what_they_hold():
    pandas = pytest.importorskip("pandas")
    words = pandas.Series(np.array(["b", "a", "d", "c"])[PLACES])
    columns = pandas.DataFrame(PIXELS.reshape(len(PIXELS), -1))
    for labels in (words, words.astype("category"), words.astype("string")):
        found = make(
            train_images=columns,
            test_images=columns.astype(object),
            train_labels=labels,
            test_labels=labels,
        )
        assert found.class_names == ("a", "b", "c", "d")
        assert found.train_labels[:4].tolist() == [1, 0, 3, 2]
        assert found.pixel_scale == 255
    numbers = pandas.Series(PLACES, dtype="Int64")
    assert measure_digest(make(train_labels=numbers)) == measure_digest(make())
    with pytest.raises(mp.InputError, match="`train_labels` must hold only words or only whole"):
        make(train_labels=words.where(words != "a").astype("category"))
    with pytest.raises(
        mp.InputError, match=r"`train_labels` must hold .* whole numbers, none missing"
    ):
        make(train_labels=numbers.replace(0, pandas.NA))


@given(st.data(), st.integers(2, 5))
def test_classes_are_the_same_whatever_their_labels(data, n_classes):
    """Any distinct words or whole numbers: two images share a class if and only if a label."""
    kinds = st.text(max_size=3).filter(lambda word: "\0" not in word), st.integers(-(2**53), 2**53)
    called = data.draw(
        st.sampled_from(kinds).flatmap(
            lambda kind: st.lists(kind, min_size=n_classes, max_size=n_classes, unique=True)
        )
    )
    places = np.arange(2 * n_classes) % n_classes
    labels = np.array(called)[places]
    found = make(
        train_images=PIXELS[: 2 * n_classes],
        train_labels=labels,
        test_images=PIXELS[:n_classes],
        test_labels=labels[:n_classes],
    )
    assert [found.class_names[label] for label in found.train_labels] == [str(c) for c in labels]
    assert sorted(set(found.train_labels)) == list(range(n_classes))


def test_names_of_classes_outlast_a_change_and_a_journey():
    own = make(
        train_labels=np.array(list("dbca"))[PLACES], test_labels=np.array(list("dbca"))[PLACES]
    )
    for again in (replace(own, name="renamed"), pickle.loads(pickle.dumps(own))):
        assert again.class_names == ("a", "b", "c", "d")
        assert measure_digest(again) == measure_digest(own)
        assert again.pixel_scale == own.pixel_scale
    assert make(class_names=("ant", "bee", "cat", "dog", "eel")).class_names[-1] == "dog"


def test_names_of_classes_are_in_the_results_the_table_and_the_refusals(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = save("zoo.npz", names=['a "b"', "bee, wild", "cät\n", "dog\udcff"])
    assert run(file) == 0
    results = mp.load_results("results/serial-position.npz")
    names = results.header["class_names"]
    assert names == ['a "b"', "bee, wild", "cät\n", "dog\udcff"]
    shown = [names[place].replace("\udcff", r"\udcff") for (place,) in results.item_classes[0]]
    with Path("results/serial-position.csv").open(newline="", encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    assert [row["shows"] for row in rows[:4]] == shown
    assert {int(row["item"]): row["shows"] for row in rows} == dict(enumerate(shown))
    settings = replace(results.settings, n_train_images=13)
    with pytest.raises(
        mp.InputError, match="`n_train_images` must be at most 12, the images class 'a"
    ):
        mp.run_experiment(mp.load_npz(file), settings)


def test_results_from_before_classes_had_names_are_saved_with_numbers(tmp_path):
    shape = {"trials": 1, "n_train_images": 4, "n_test_images": 4, "n_features": 0, "hidden": (4,)}
    settings = mp.Settings(n_items=3, **shape)
    for dataset in (make(), mp.load_digits()):
        results = mp.run_experiment(dataset, settings, backend="numpy")
        header = {name: fact for name, fact in results.header.items() if name != "class_names"}
        _, table = mp.save_results(
            replace(results, header=header), tmp_path / dataset.name / "old", name="run"
        )
        _, again = mp.save_results(results, tmp_path / dataset.name, name="run")
        assert table.read_text() == again.read_text()
        shown = "-".join(map(str, results.item_classes[0, 0]))
        assert table.read_text().splitlines()[1].endswith(f",{shown}")


# --- pixels --------------------------------------------------------------------------


@pytest.mark.parametrize("train", ["u1", "i2", "i8", "f4", "f8", ">i4"])
@pytest.mark.parametrize("test", ["u1", "i8", "f4"])
def test_what_is_drawn_does_not_depend_on_the_dtype_of_pixels(train, test):
    """Scaled once for both parts: a test digit is as bright as a training digit."""

    def draw(own):
        rng = np.random.default_rng(0)
        items = mp.draw_items(own, n_items=3, n_train_images=4, n_test_images=4, rng=rng)
        return items.train_images.tobytes(), items.test_images.tobytes()

    found = make(train_images=PIXELS.astype(train), test_images=PIXELS.astype(test))
    assert draw(found) == draw(make())
    assert found.reading.endswith("pixels from 0 to 255, divided by 255")
    init = mp.experiments.init_settings
    assert init(found, n_items=4) == init(make(), n_items=4)


@pytest.mark.parametrize(
    ("images", "scale"),
    [
        (PIXELS, 255),
        (PIXELS > 99, 1),
        ((PIXELS > 99).astype(np.uint8), 1),
        (PIXELS / 255, 1),
        (PIXELS / 100, 1),
        (257 * PIXELS.astype(np.uint16), 1),
        (PIXELS - 128.0, 1),
        (PIXELS // 16, 255),
    ],
)
def test_only_whole_numbers_of_0_to_255_are_divided(images, scale):
    found = make(train_images=images, test_images=images)
    assert found.pixel_scale == scale
    assert found.reading.endswith("divided by 255" if scale == 255 else "as they are")
    np.testing.assert_array_equal(found.train_images, images)


@given(hnp.arrays(np.float64, (8, 2), elements=st.floats(-300, 300)), st.booleans())
def test_both_parts_have_one_scale_or_are_refused(images, is_whole):
    """The other part holds pixels of 0..255."""
    images = np.round(images) if is_whole else images
    labels, pixels = np.arange(8) % 2, PIXELS[:4].reshape(4, 9)[:, :2]
    are_pixels = (images == np.round(images)).all() and 0 <= images.min() <= images.max() <= 255
    parts = {"train_images": images, "test_images": pixels}
    parts |= {"train_labels": labels, "test_labels": labels[:4]}
    if not are_pixels and -1 <= images.min() <= images.max() <= 1:
        with pytest.raises(mp.InputError, match="must be on one scale"):
            make(**parts)
    else:
        assert make(**parts).pixel_scale == (255 if are_pixels else 1)


# --- few images, few classes ---------------------------------------------------------


def test_the_class_with_the_fewest_images_is_named(tmp_path):
    few = mp.load_npz(save(tmp_path / "few.npz", n_train=(12, 5, 12, 12), names=list("abcd")))
    message = (
        "class 'b' has 5 training images, so no more are shown of any class .half of them have 12"
    )
    with pytest.warns(RuntimeWarning, match=message):
        assert mp.experiments.init_settings(few, n_items=4).n_train_images == 5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        enough = mp.load_npz(save(tmp_path / "enough.npz", n_train=(12, 9, 12, 12)))
        assert mp.experiments.init_settings(enough, n_items=4).n_train_images == 9


@pytest.mark.parametrize(
    ("counts", "n_items", "message"),
    [
        (
            {"n_train": (12, 12, 1, 12)},
            4,
            "class '2' must have at least 2 training images .*; got 1",
        ),
        ({"n_test": (6, 1, 6, 6)}, 4, "class '1' must have at least 2 test images .*; got 1"),
        ({"n_test": (6, 2, 6, 6)}, 3, "class '1' must have at least 3 test images .*; got 2"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_it_is_learned(
    tmp_path, capsys, counts, n_items, message, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    file = save("few.npz", **counts)
    with pytest.raises(mp.InputError, match=message):
        mp.experiments.init_settings(mp.load_npz(file), n_items=n_items)
    assert run(file, "--items", str(n_items)) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert not Path("results").exists()


@given(st.integers(2, 40))
def test_as_many_test_images_are_asked_for_as_a_perfect_item_needs(n_items):
    """With one fewer, an item whose every image is right does not count as memorized."""
    fewest = mp.experiments.settings._count_tests(n_items)
    for tested, is_enough in ((fewest, True), (fewest - 1, False)):
        if tested:
            perfect = tested * np.eye(n_items, dtype=int)
            assert mp.metrics.measure_memorized(perfect).all() == is_enough


def test_an_interval_wider_than_all_values_is_not_a_number():
    assert format_mean(np.array([0.0, 1.0]), 1) == "0.50 ± ?"
    assert format_mean(np.array([0.0, 1.0]), 30) == "0.50 ± 6.35"
    assert format_mean(np.array([0.4, 0.5, 0.6]), 1) == "0.50 ± 0.25"
    assert format_mean(np.array([0.5]), 1) == "0.50"


@pytest.mark.parametrize("non_target", ["none", "true"])
def test_two_classes_are_learned_where_no_third_is_needed(
    tmp_path, non_target, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    file = save("two.npz", n_train=(12, 12), n_test=(6, 6))
    assert run(file, "--non-target", non_target) == 0
    out = capsys.readouterr().out
    assert "Recall after 2 items" in out
    assert "primacy" not in out  # there is no middle
    assert mp.load_results("results/serial-position.npz").settings.non_target == non_target
    assert run(file, "--out", "other") == 2
    assert (
        "`n_items` must be at least 3: a wrong label is a third item's" in capsys.readouterr().err
    )


def test_pictures_that_are_all_the_same_are_refused_as_such(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with np.load(save("plain.npz")) as plain:
        for value in (0, 7):
            dark = {**plain, "train_images": np.full_like(plain["train_images"], value)}
            np.savez("dark.npz", **dark)
            assert run("dark.npz") == 2
            err = capsys.readouterr().err
            assert "`train_images` must show more than one picture" in err
            assert err.count("\n") == 1


# --- what the command says -----------------------------------------------------------


def test_one_line_says_how_own_images_were_read(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = save("zoo.npz", names=["ant", "bee", "cat", "dog"])
    assert run(file) == 0
    _, err = capsys.readouterr()
    assert err == (
        "metaplastic-np: zoo: 4 classes: ant, bee, cat, dog; pixels from 5 to 249, divided by 255; "
        "12 training and 6 test images per item\n"
    )
    assert mp.load_results("results/serial-position.npz").settings.n_items == 4


def test_many_names_are_cut_short():
    assert (
        ", 19, ...; pixels"
        in make(
            train_images=np.arange(25.0)[:, None],
            train_labels=np.arange(25),
            test_images=np.arange(25.0)[:, None],
            test_labels=np.arange(25),
        ).reading
    )


@pytest.mark.parametrize("command", ["run", "reproduce"])
def test_too_few_classes_are_refused_with_a_way_out(tmp_path, capsys, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    file = save("zoo.npz")
    words = ["run", "serial-position", "--items", "5"] if command == "run" else ["reproduce"]
    assert cli.main([*words, "--dataset", file]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert {
        "run": "`n_items` must be at most 4, the items this dataset has; got 5",
        "reproduce": "`dataset` must have at least 10 items to reproduce the paper (`run` takes "
        "fewer); got 4",
    }[command] in err
    assert not Path("results").exists()


# --- schedules and what is measured --------------------------------------------------


def test_a_schedule_may_be_an_array_and_is_read_back_from_a_file(tmp_path):
    steps = [0, 1, mp.Step(item=0, label=1), 2]
    shape = {"trials": 1, "n_train_images": 4, "n_test_images": 4, "n_features": 0, "hidden": (4,)}
    settings = mp.Settings(n_items=3, schedule=steps, **shape)
    npz, _ = mp.save_results(
        mp.run_experiment(make(), settings, backend="numpy"), tmp_path, name="mine"
    )
    again = mp.load_results(npz)
    assert again.settings == settings
    assert replace(settings, schedule=again.schedule[0]) == settings
    for schedule in (np.array([0, 1, 2, 1]), (0, 1, 2, 1), [np.int8(0), 1, 2, 1]):
        assert replace(settings, schedule=schedule) == replace(settings, schedule=[0, 1, 2, 1])
