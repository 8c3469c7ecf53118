"""Where images come from: MNIST, npz files, names; how a dataset travels to a worker."""

import gzip
import io
import pickle
import struct
import sys
import threading
import tracemalloc
import zipfile
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import metaplastic_np as mp
from metaplastic_np._util import storage
from metaplastic_np.experiments import workers
from metaplastic_np.scenarios import datasets, idx, sources

ARRAYS = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=3, max_side=6))
NAMES = list(sources.MNIST)


def write_idx(array, *, pack=False):
    """The bytes of an IDX file."""
    kinds = {np.dtype(dtype).newbyteorder("="): kind for kind, dtype in idx.DTYPES.items()}
    header = bytes([0, 0, kinds[array.dtype], array.ndim])
    header += struct.pack(f">{array.ndim}I", *array.shape)
    data = header + array.astype(array.dtype.newbyteorder(">")).tobytes()
    return gzip.compress(data, mtime=0) if pack else data


def read(tmp_path, data):
    path = tmp_path / "images"
    path.write_bytes(data)
    return mp.scenarios.read_idx(path)


def result_or_message(function, *arguments):
    """What a function returns, or the line in which it refuses."""
    try:
        return function(*arguments), None
    except mp.InputError as error:
        return None, str(error)


@st.composite
def damage(draw, data):
    """A file that was cut short, or in which one to three bits flipped."""
    if draw(st.booleans()):
        return data[: draw(st.integers(0, len(data) - 1))]
    damaged = bytearray(data)
    for _ in range(draw(st.integers(1, 3))):
        damaged[draw(st.integers(0, len(data) - 1))] ^= 1 << draw(st.integers(0, 7))
    return bytes(damaged)


# --- IDX -----------------------------------------------------------------------------


@given(st.sampled_from(["u1", "i1", "i2", "i4", "f4", "f8"]), st.booleans(), st.data())
def test_what_is_written_as_idx_is_read(tmp_path, dtype, pack, data):
    shapes = hnp.array_shapes(min_dims=1, max_dims=5, max_side=4)
    array = data.draw(hnp.arrays(dtype, shapes))
    found = read(tmp_path, write_idx(array, pack=pack))
    assert found.dtype == np.dtype(dtype)
    assert found.dtype.isnative
    assert not found.flags.writeable
    np.testing.assert_array_equal(found, array)


@given(ARRAYS, st.data())
def test_a_damaged_idx_file_that_is_packed_is_refused_or_read_as_it_was(tmp_path, array, data):
    damaged = data.draw(damage(write_idx(array, pack=True)))
    found, message = result_or_message(read, tmp_path, damaged)
    if message:
        assert "cannot read" in message
        assert "\n" not in message
    else:  # the damage was in the name or the time that gzip keeps
        np.testing.assert_array_equal(found, array)


@given(ARRAYS, st.data())
def test_a_damaged_idx_file_is_refused_or_holds_as_many_pixels(tmp_path, array, data):
    damaged = data.draw(damage(write_idx(array, pack=False)))
    found, message = result_or_message(read, tmp_path, damaged)
    if message:
        assert "cannot read" in message
        assert "\n" not in message
    else:  # raw files have no checksum
        assert found.size == len(damaged) - 4 - 4 * found.ndim


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it is not an IDX file with 1 to 8 axes"),
        (b"\0\0\x0a\1" + bytes(8), "it is not an IDX file with 1 to 8 axes"),
        (b"\0\0\x08\x09" + bytes(40), "it is not an IDX file with 1 to 8 axes"),
        (b"\0\0\x0d\1\0\0\0\1" + bytes(3), "its header promises 4 bytes, and there are fewer"),
        (b"\0\0\x08\3" + bytes(11), "it ends within its header; copy or fetch it again"),
        (b"\0\0\x08\1" + bytes(4), "its header promises 0 bytes; 1 to 1,073,741,824 are read"),
        (b"\0\0\x08\1\0\0\0\3ab", "its header promises 3 bytes, and there are fewer; copy"),
        (b"\0\0\x08\1\0\0\0\3abcd", "its header promises 3 bytes, and there are more; copy"),
    ],
    ids=["empty", "kind", "nine axes", "floats", "half a header", "nothing", "shorter", "longer"],
)
def test_a_file_that_is_no_idx_shorter_or_longer_is_refused(tmp_path, pack, data, message):
    with pytest.raises(mp.InputError, match=f"cannot read .*images: {message}"):
        read(tmp_path, gzip.compress(data) if pack else data)


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize(
    ("promise", "message"),
    [
        (2**32 - 1, "4,294,967,295 bytes; 1 to 1,073,741,824 are read"),
        (2**30 - 1, "1,073,741,823 bytes, and there are fewer"),
    ],
)
def test_a_header_that_lies_takes_no_memory(tmp_path, pack, promise, message):
    data = b"\0\0\x08\1" + struct.pack(">I", promise) + bytes(10)
    tracemalloc.start()
    try:
        with pytest.raises(mp.InputError, match=f"its header promises {message}"):
            read(tmp_path, gzip.compress(data) if pack else data)
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()


def test_a_gzip_bomb_is_unpacked_only_as_far_as_promised(tmp_path):
    bomb = gzip.compress(b"\0\0\x08\1\0\0\0\3" + bytes(50_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(mp.InputError, match="there are more"):
            read(tmp_path, bomb)
        assert tracemalloc.get_traced_memory()[1] < 2 * 10**6
    finally:
        tracemalloc.stop()


def test_damaged_idx_and_missing_files_are_named(tmp_path):
    packed = write_idx(np.zeros(1000, np.uint8), pack=True)
    with pytest.raises(mp.InputError, match=r"images: .*(end-of-stream).*; copy or fetch it again"):
        read(tmp_path, packed[:-9])
    with pytest.raises(mp.InputError, match=r"images: CRC check failed .*; copy or fetch it again"):
        read(tmp_path, packed[:-8] + b"ABCD" + packed[-4:])
    with pytest.raises(mp.InputError, match=r"images: Error -3 .*; copy or fetch it again"):
        read(tmp_path, packed[:10] + b"\xff" * 20)
    with pytest.raises(mp.InputError, match=r"cannot read .*none: No such file"):
        mp.scenarios.read_idx(tmp_path / "none")
    with pytest.raises(mp.InputError, match=r"cannot read .*: (Is a directory|Permission denied)"):
        mp.scenarios.read_idx(tmp_path)


# --- MNIST, small and made up --------------------------------------------------------


def write_set(folder, *, seed=0, pack=False, called="{}"):
    """Four small files of a set of ten classes, called like MNIST's or otherwise."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for name, shape in zip(NAMES, [(40, 4, 4), (40,), (20, 4, 4), (20,)], strict=True):
        array = np.arange(shape[0]) % 10 if len(shape) == 1 else rng.integers(0, 256, shape)
        path = folder / (called.format(name) + ".gz" * pack)
        path.write_bytes(write_idx(array.astype(np.uint8), pack=pack))
    return folder


@pytest.fixture
def made_up(tmp_path, monkeypatch):
    """A folder with four small files, and a package that takes them for MNIST."""
    folder = write_set(tmp_path / "made-up", pack=True)
    digests = {name: sha256((folder / f"{name}.gz").read_bytes()).hexdigest() for name in NAMES}
    found = idx.find_idx(folder)[""]
    arrays = {part: sources._measure_digest(idx.read_idx(found[part])) for part in sources.ARRAYS}
    monkeypatch.setattr(sources, "MNIST", digests)
    monkeypatch.setattr(sources, "ARRAYS", arrays)
    return folder


def unpack(folder):
    """Unpack the files of a folder in place."""
    for path in list(folder.iterdir()):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()


def test_packed_and_unpacked_files_make_the_same_dataset(made_up):
    packed = mp.load_mnist(made_up)
    unpack(made_up)
    unpacked = mp.load_mnist(str(made_up))
    assert mp.scenarios.measure_digest(packed) == mp.scenarios.measure_digest(unpacked)
    assert packed.train_images.dtype == np.uint8
    assert packed.paired


def test_a_packed_file_counts_more_than_an_unpacked_one(made_up):
    digest = mp.scenarios.measure_digest(mp.load_mnist(made_up))
    for name in NAMES:
        (made_up / name).write_bytes(b"not checked by SHA-256")
    assert mp.scenarios.measure_digest(mp.load_mnist(made_up)) == digest


def test_the_environment_names_the_folder_or_the_one_above(made_up, tmp_path, monkeypatch):
    monkeypatch.setenv("METAPLASTIC_NP_DATA", str(made_up))
    digest = mp.scenarios.measure_digest(mp.scenarios.load_dataset("mnist"))
    assert mp.scenarios.check_sources()[1] == ("mnist", "ready", str(made_up))
    (tmp_path / "data").mkdir()
    below = made_up.rename(tmp_path / "data" / "mnist")
    monkeypatch.setenv("METAPLASTIC_NP_DATA", str(tmp_path / "data"))
    assert mp.scenarios.measure_digest(mp.scenarios.load_dataset("mnist")) == digest
    assert mp.scenarios.check_sources()[1] == ("mnist", "ready", str(below))


@pytest.mark.parametrize(
    ("system", "variable", "expected"),
    [
        ("linux", "XDG_CACHE_HOME", "cache"),
        ("linux", None, "home/.cache"),
        ("darwin", None, "home/Library/Caches"),
        ("win32", "LOCALAPPDATA", "cache"),
        ("win32", None, "home/AppData/Local"),
    ],
)
def test_without_it_each_system_has_its_cache(tmp_path, monkeypatch, system, variable, expected):
    for name in ("METAPLASTIC_NP_DATA", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    monkeypatch.setattr(sys, "platform", system)
    if variable:
        monkeypatch.setenv(variable, str(tmp_path / "cache"))
    place = tmp_path / expected / "metaplastic_np" / "mnist"
    assert mp.scenarios.check_sources()[1] == ("mnist", "missing", str(place))


def test_an_account_without_a_home_is_told_what_to_set(monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    for name in ("METAPLASTIC_NP_DATA", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(mp.InputError, match=r"no home folder .*: set METAPLASTIC_NP_DATA"):
        mp.load_mnist()


def test_a_missing_file_of_mnist_is_named_with_what_to_do(made_up, tmp_path, monkeypatch):
    (made_up / f"{NAMES[1]}.gz").unlink()
    advice = "run `metaplastic-np data fetch mnist`, or set METAPLASTIC_NP_DATA to a folder with"
    with pytest.raises(
        mp.InputError, match=f"cannot find MNIST's {NAMES[1]}.gz in .*made-up: {advice}"
    ):
        mp.load_mnist(made_up)
    monkeypatch.setenv("METAPLASTIC_NP_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(mp.InputError, match=rf"{NAMES[0]}.gz in .*nowhere or .*nowhere.mnist: run"):
        mp.load_mnist()
    assert mp.scenarios.check_sources()[1][:2] == ("mnist", "missing")


def test_mnist_is_what_its_numbers_say_however_it_is_packed(made_up):
    digest = mp.scenarios.measure_digest(mp.load_mnist(made_up))
    path = made_up / f"{NAMES[2]}.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), 1, mtime=1))
    assert mp.scenarios.measure_digest(mp.load_mnist(made_up)) == digest


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_another_set_under_mnists_name_is_not_mnists(made_up, name, pack, monkeypatch):
    unpack(made_up)
    data = bytearray((made_up / name).read_bytes())
    data[-1] ^= 1
    path = made_up / (name + ".gz" * pack)
    path.write_bytes(gzip.compress(data) if pack else data)
    reason = (
        "it is not MNIST's, by the SHA-256 of its numbers: fetch MNIST again, or open another set "
        f"by its folder, `--dataset {made_up}`"
    )
    with pytest.raises(mp.InputError, match=f"cannot read {path}: {reason}"):
        mp.load_mnist(made_up)
    monkeypatch.setenv("METAPLASTIC_NP_DATA", str(made_up))
    found = mp.scenarios.check_sources()[1]
    assert found == ("mnist", f"damaged: cannot read {path}: {reason}", str(made_up))


def test_the_same_bytes_in_another_shape_are_not_mnists(made_up):
    unpack(made_up)
    array = idx.read_idx(made_up / NAMES[0]).reshape(40, 2, 8)
    (made_up / NAMES[0]).write_bytes(write_idx(array))
    with pytest.raises(mp.InputError, match=f"{NAMES[0]}: it is not MNIST's, by the SHA-256"):
        mp.load_mnist(made_up)


@pytest.mark.parametrize(
    "called",
    [
        lambda name: name.replace("-idx", ".idx"),
        lambda name: name.upper(),
        lambda name: name.replace("-idx", "_idx").title() + ".GZ",
        lambda name: name.replace("t10k", "test"),
        lambda name: name.replace("images", "image").replace("labels", "label"),
        lambda name: name.partition("-idx")[0] + ".GZ",
        lambda name: name.partition("-idx")[0].replace("-", "_") + ".idx",
    ],
)
@pytest.mark.parametrize("below", ["", "mnist", "MNIST/raw", "raw"])
def test_mnist_is_found_by_the_names_that_people_have(
    made_up, tmp_path, monkeypatch, called, below
):
    digest = mp.scenarios.measure_digest(mp.load_mnist(made_up))
    unpack(made_up)
    place = tmp_path / "data" / below
    place.mkdir(parents=True)
    for name in NAMES:
        data = (made_up / name).read_bytes()
        packed = called(name).endswith(".GZ")
        (place / called(name)).write_bytes(gzip.compress(data) if packed else data)
    monkeypatch.setenv("METAPLASTIC_NP_DATA", str(tmp_path / "data"))
    assert mp.scenarios.check_sources()[1][1] == "ready"
    again = mp.load_mnist()
    assert mp.scenarios.measure_digest(again) == digest
    assert mp.scenarios.measure_digest(pickle.loads(pickle.dumps(again))) == digest


def test_a_folder_by_a_files_name_is_no_file_of_mnist(made_up):
    (made_up / f"{NAMES[0]}.gz").unlink()
    (made_up / f"{NAMES[0]}.gz").mkdir()
    with pytest.raises(mp.InputError, match=f"cannot find MNIST's {NAMES[0]}.gz in"):
        mp.load_mnist(made_up)


# --- other sets of IDX files ---------------------------------------------------------


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("called", ["{}", "emnist-letters-{}"])
def test_a_folder_of_another_set_is_a_dataset_of_classes(tmp_path, pack, called):
    folder = write_set(tmp_path / "fashion", pack=pack, called=called)
    own = mp.scenarios.load_dataset(str(folder))
    assert (own.name, own.paired, len(own.item_classes)) == ("fashion", False, 10)
    assert own.train_images.shape == (40, 4, 4)
    assert own.pixel_scale == 255
    again = pickle.loads(pickle.dumps(own))
    assert mp.scenarios.measure_digest(again) == mp.scenarios.measure_digest(own)
    first = sorted(folder.iterdir())[0]
    assert mp.scenarios.load_dataset(str(first)).name == "fashion"


def test_a_folder_as_torchvision_makes_it_has_its_own_name(tmp_path):
    write_set(tmp_path / "KMNIST" / "raw")
    for folder in ("KMNIST", "KMNIST/raw"):
        assert mp.scenarios.load_folder(tmp_path / folder).name == "KMNIST"


def test_a_folder_with_mnist_in_it_is_mnist(made_up):
    found = mp.scenarios.load_dataset(str(made_up))
    assert (found.name, found.paired) == ("mnist", True)


def test_a_folder_without_one_whole_set_says_what_is_missing(tmp_path):
    write_set(tmp_path / "a", called="letters-{}")
    message = r"b: it lacks IDX files like train-images-idx3-ubyte, .*: other images go in an npz"
    (tmp_path / "b").mkdir()
    with pytest.raises(mp.InputError, match=message):
        mp.scenarios.load_dataset(str(tmp_path / "b"))
    (tmp_path / "a" / f"letters-{NAMES[3]}").unlink()
    with pytest.raises(mp.InputError, match=f"a: it lacks IDX files like {NAMES[3]}: other"):
        mp.scenarios.load_folder(tmp_path / "a")
    (tmp_path / "a" / NAMES[3]).touch()
    message = r"a: it holds several sets of IDX files \(.*letters-.*\): give one a folder of its"
    with pytest.raises(mp.InputError, match=message):
        mp.scenarios.load_folder(tmp_path / "a")


def test_a_folder_that_makes_no_dataset_is_named(tmp_path):
    folder = write_set(tmp_path / "odd")
    (folder / NAMES[1]).write_bytes(write_idx(np.zeros((40, 8), np.int32)))
    with pytest.raises(mp.InputError, match=r"cannot read .*odd: `train_labels` must have shape"):
        mp.scenarios.load_folder(folder)


# --- fetching ------------------------------------------------------------------------


@contextmanager
def serve(folder):
    """A mirror on this machine; yields its address, and what it was asked for."""
    asked = []

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def dead_mirror(no_proxy):
    """An address where nobody listens."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)
    server.server_close()
    return f"http://127.0.0.1:{server.server_port}/"


@pytest.mark.usefixtures("no_proxy")
def test_what_is_fetched_is_whole_for_everybody_and_not_fetched_again(made_up, tmp_path, capfd):
    target, seen = tmp_path / "new" / "folder", []
    with serve(made_up) as (mirror, asked):
        paths = mp.scenarios.fetch_mnist(target, mirrors=[mirror], on_file=seen.append)
        assert mp.scenarios.fetch_mnist(target, mirrors=[mirror]) == paths == seen
        assert len(asked) == 4
        paths[0].write_bytes(b"damaged")
        mp.scenarios.fetch_mnist(target, mirrors=[mirror])
        assert asked[4:] == [f"/{NAMES[0]}.gz"]
    assert sorted(target.iterdir()) == sorted(paths)
    assert mp.scenarios.measure_digest(mp.load_mnist(target)) == mp.scenarios.measure_digest(
        mp.load_mnist(made_up)
    )
    if sys.platform != "win32":
        assert {path.stat().st_mode & 0o777 for path in paths} == {0o644}
    assert capfd.readouterr() == ("", "")


def test_files_of_another_set_are_not_overwritten(made_up, tmp_path, dead_mirror):
    other = write_set(tmp_path / "fashion", seed=1, pack=True)
    before = {path: path.read_bytes() for path in other.iterdir()}
    message = f"{NAMES[0]}.gz is of another set: fetch MNIST to another folder"
    with pytest.raises(mp.OutputError, match=message):
        mp.scenarios.fetch_mnist(other, mirrors=[dead_mirror])
    assert {path: path.read_bytes() for path in other.iterdir()} == before
    for path in made_up.iterdir():  # packed by somebody else, MNIST's all the same
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), 1))
    assert len(mp.scenarios.fetch_mnist(made_up, mirrors=[dead_mirror])) == 4


def test_fetched_to_where_the_environment_says(made_up, tmp_path, monkeypatch, no_proxy):
    monkeypatch.setenv("METAPLASTIC_NP_DATA", str(tmp_path / "data"))
    with serve(made_up) as (mirror, _):
        assert mp.scenarios.fetch_mnist(mirrors=[mirror])[0].parent == tmp_path / "data" / "mnist"
    monkeypatch.setenv("METAPLASTIC_NP_DATA", str(made_up))
    assert mp.scenarios.fetch_mnist(mirrors=["nothing to ask for"])[0].parent == made_up


def test_the_second_mirror_serves_where_the_first_is_dead_or_wrong(made_up, tmp_path, dead_mirror):
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    for name in NAMES:
        (wrong / f"{name}.gz").write_bytes(b"a page that says sign in first")
    with serve(made_up) as (mirror, _), serve(wrong) as (other, _):
        for first in (dead_mirror, other, mirror + "no/such/folder/"):
            target = tmp_path / first.rpartition(":")[2].replace("/", "-")
            assert len(mp.scenarios.fetch_mnist(target, mirrors=[first, mirror])) == 4
            assert len(list(target.iterdir())) == 4


def test_no_mirror_no_file_and_one_clear_line(made_up, tmp_path, dead_mirror):
    target = tmp_path / "target"
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    (wrong / f"{NAMES[0]}.gz").write_bytes(b"not it")
    with serve(wrong) as (mirror, _):
        mirrors = [dead_mirror, mirror, mirror + "none/"]
        with pytest.raises(mp.OutputError) as caught:
            mp.scenarios.fetch_mnist(target, mirrors=mirrors)
    assert str(caught.value) == (
        f"cannot fetch {NAMES[0]}.gz ({dead_mirror}: ConnectionError; {mirror}: not the file of "
        f"this SHA-256; {mirror}none/: 404): no network? copy the four files into {target}, or set "
        "METAPLASTIC_NP_DATA to a folder with them"
    )
    assert not list(target.iterdir())


def test_a_mirror_that_hangs_up_leaves_no_part_of_a_file(made_up, tmp_path, no_proxy):
    class HangsUp(SimpleHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(bytes(10))

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), HangsUp)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        with pytest.raises(mp.OutputError, match="cannot fetch"):
            mp.scenarios.fetch_mnist(
                tmp_path / "a", mirrors=[f"http://127.0.0.1:{server.server_port}/"]
            )
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert not list((tmp_path / "a").iterdir())


def test_a_folder_that_cannot_be_made_is_named(made_up, tmp_path, dead_mirror):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(mp.OutputError, match=r"cannot write to .*file.mnist: .*choose another"):
        mp.scenarios.fetch_mnist(tmp_path / "file" / "mnist", mirrors=[dead_mirror])


def test_without_pooch_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    message = r'pooch cannot be imported \(.*\): pip install "metaplastic-np\[mnist\]"'
    with pytest.raises(mp.InputError, match=message):
        mp.scenarios.fetch_mnist(tmp_path)


# --- npz -----------------------------------------------------------------------------


def own_arrays(**changes):
    images, labels = np.arange(24.0).reshape(6, 2, 2), np.array([0, 1, 2, 0, 1, 2])
    arrays = {
        "train_images": images,
        "train_labels": labels,
        "test_images": -images,
        "test_labels": labels[::-1].copy(),
    }
    return {name: array for name, array in {**arrays, **changes}.items() if array is not None}


def save_own(path, *, save=np.savez, **changes):
    save(path, **own_arrays(**changes))
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_npz_file_is_a_dataset_of_classes(tmp_path, save):
    own = mp.scenarios.load_dataset(
        str(save_own(tmp_path / "own.npz", save=save, extra=np.zeros(3)))
    )
    assert own.name == "own"
    assert own.item_classes == ((0,), (1,), (2,))
    for name, array in own_arrays().items():
        np.testing.assert_array_equal(getattr(own, name), array)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"test_labels": None, "train_images": None, "X": np.zeros(3)},
            r"it lacks train_images \(x_train\), test_labels \(y_test\); it holds .*, X",
        ),
        ({"train_images": np.full((6, 2, 2), np.nan)}, "`train_images` must be finite; got nan"),
        ({"train_labels": np.full(6, 0.5)}, "`train_labels` must hold words or whole numbers"),
        (
            {"train_labels": np.array(list("ababab"), object)},
            r"train_labels.npy holds objects, not numbers \(write words as `array.astype\(str\)`\)",
        ),
        ({"test_images": np.zeros((6, 3, 2))}, "`test_images` must have images shaped like"),
        ({"test_images": np.array([None])}, "test_images.npy holds objects, not numbers"),
        ({"extra": np.array([{}])}, "extra.npy holds objects, not numbers"),
    ],
)
def test_an_npz_file_that_makes_no_dataset_is_named(tmp_path, changes, message):
    with pytest.raises(mp.InputError, match=f"cannot read .*own.npz: {message}"):
        mp.load_npz(save_own(tmp_path / "own.npz", **changes))


@given(st.sampled_from([np.savez, np.savez_compressed]), st.data())
def test_a_damaged_npz_file_is_refused_or_still_a_dataset(tmp_path, save, data):
    file = io.BytesIO()
    save_own(file, save=save)
    path = tmp_path / "own.npz"
    path.write_bytes(data.draw(damage(file.getvalue())))
    own, message = result_or_message(mp.load_npz, path)
    if message:
        assert "own.npz" in message
        assert "\n" not in message
    else:
        assert isinstance(own, mp.Dataset)


def write_npy_header(descr, shape):
    file = io.BytesIO()
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue()


def test_a_damaged_npz_file_raises_nothing_else_whatever_its_arrays_begin_with(tmp_path):
    """NumPy's parser of headers raises errors of many kinds."""
    for header in ("{'descr': (", "  x\n y", "(" * 300, "{'descr': '<f8', 'shape': (1,)}", "[]"):
        data = b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode()
        with zipfile.ZipFile(tmp_path / "own.npz", "w") as archive:
            archive.writestr("train_images.npy", data)
        with pytest.raises(mp.InputError, match=r"own.npz: it is damaged or not an npz file"):
            mp.load_npz(tmp_path / "own.npz")


def test_an_npz_header_that_promises_more_than_the_file_has_takes_no_memory(tmp_path):
    with zipfile.ZipFile(tmp_path / "own.npz", "w") as archive:
        for name in own_arrays():
            archive.writestr(f"{name}.npy", write_npy_header("<f8", (10**8, 8)) + bytes(800))
    tracemalloc.start()
    try:
        with pytest.raises(mp.InputError, match=r"own.npz: it is damaged or not an npz file"):
            mp.load_npz(tmp_path / "own.npz")
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()


def test_an_npz_file_that_promises_too_much_is_not_unpacked(tmp_path, monkeypatch):
    path = save_own(tmp_path / "own.npz", save=np.savez_compressed)
    size = sum(info.file_size for info in zipfile.ZipFile(path).infolist())
    monkeypatch.setattr(storage, "MOST_BYTES", size)
    mp.load_npz(path)
    monkeypatch.setattr(storage, "MOST_BYTES", size - 1)
    with pytest.raises(mp.InputError, match=r"own.npz: it promises [\d,]+ bytes, more than"):
        mp.load_npz(path)


def test_an_npz_file_larger_than_memory_is_named(tmp_path, monkeypatch):
    def run_out(*_):
        raise MemoryError

    path = save_own(tmp_path / "own.npz")
    monkeypatch.setattr(storage, "_check_promises", run_out)
    with pytest.raises(mp.InputError, match=r"own.npz: it does not fit into memory"):
        mp.load_npz(path)


# --- datasets on their way to a worker -----------------------------------------------


@pytest.mark.parametrize(
    "names",
    [sources.KERAS, ("X_train", "Y_train", "X_test", "Y_test"), ("Train_Images", *[None] * 3)],
)
def test_arrays_may_have_the_names_that_keras_gives_them(tmp_path, names):
    arrays = {
        name or part: own_arrays()[part] for part, name in zip(sources.ARRAYS, names, strict=True)
    }
    np.savez(tmp_path / "own.npz", **arrays)
    save_own(tmp_path / "plain.npz")
    digests = {mp.scenarios.measure_digest(mp.load_npz(path)) for path in tmp_path.glob("*.npz")}
    assert len(digests) == 1


def test_uint8_pixels_are_shown_between_0_and_1():
    """Dividing in float32 gives what dividing in float64 and rounding would."""
    pixels, labels = np.arange(256, dtype=np.uint8).reshape(256, 1), np.arange(256) % 2
    dataset = mp.Dataset(
        name="own",
        train_images=pixels,
        train_labels=labels,
        test_images=pixels,
        test_labels=labels,
    )
    assert dataset.train_images.dtype == np.uint8
    for dtype in (np.float32, np.float64):
        shown = mp.draw_items(
            dataset,
            n_items=2,
            n_train_images=128,
            n_test_images=128,
            rng=np.random.default_rng(0),
            dtype=dtype,
        )
        for images in (shown.train_images, shown.test_images):
            assert images.dtype == dtype
            expected = (np.arange(256) / 255).astype(dtype)
            np.testing.assert_array_equal(np.sort(images, axis=None), expected)


def test_a_dataset_that_can_be_loaded_again_is_sent_in_few_bytes(tmp_path):
    for dataset in (mp.load_digits(), mp.load_npz(save_own(tmp_path / "own.npz"))):
        sent = pickle.dumps(dataset)
        assert len(sent) < 2000
        assert mp.scenarios.measure_digest(pickle.loads(sent)) == mp.scenarios.measure_digest(
            dataset
        )


def test_a_worker_reads_it_once_for_all_of_its_trials():
    sent = pickle.dumps(mp.load_digits())
    assert pickle.loads(sent) is pickle.loads(sent)


def test_a_dataset_of_arrays_is_sent_whole_and_stays_read_only():
    own = mp.Dataset(name="own", **own_arrays())
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(own, protocol))
        assert mp.scenarios.measure_digest(again) == mp.scenarios.measure_digest(own)
        for name in own_arrays():
            np.testing.assert_array_equal(getattr(again, name), getattr(own, name))
            assert not getattr(again, name).flags.writeable


def test_a_digest_is_computed_once(monkeypatch):
    digits = mp.load_digits()
    digest = mp.scenarios.measure_digest(digits)
    monkeypatch.setattr(datasets, "sha256", None)
    assert mp.scenarios.measure_digest(digits) == digest


def test_a_file_that_changed_since_the_run_started_is_refused(tmp_path):
    path = save_own(tmp_path / "own.npz")
    sent = pickle.dumps(mp.load_npz(path))
    save_own(path, test_images=np.zeros((6, 2, 2)))
    message = "images of dataset 'own' changed since the run started .*; start again"
    with pytest.raises(mp.InputError, match=message):
        pickle.loads(sent)
    save_own(path)  # a mistrusted file is read again
    pickle.loads(sent)


def test_a_refusal_comes_through_a_pool_in_words(tmp_path):
    """Raised while a worker unpickles, it would end the worker, and say nothing."""
    own = mp.load_npz(save_own(tmp_path / "own.npz"))
    gone = mp.load_npz(save_own(tmp_path / "gone.npz", test_images=np.ones((6, 2, 2))))
    whole = mp.Dataset(name="whole", **own_arrays())
    (tmp_path / "gone.npz").unlink()

    def digests(*them):
        found = workers.run_jobs(
            mp.scenarios.measure_digest, [(dataset,) for dataset in them], executor
        )
        return {digest for *_, digest in found}

    with mp.open_pool(2) as executor:
        assert digests(own, whole) == {mp.scenarios.measure_digest(own)}
        with pytest.raises(mp.InputError, match=r"cannot read .*gone.npz: No such file"):
            digests(gone)
        assert digests(own, whole) == {mp.scenarios.measure_digest(own)}  # nobody died


# --- the real MNIST ------------------------------------------------------------------


@pytest.fixture(scope="module")
def mnist(mnist_folder):
    return mp.load_mnist(mnist_folder)


def test_mnist_is_70000_digits_and_45_items(mnist):
    assert mnist.name == "mnist"
    assert mnist.train_images.shape == (60000, 28, 28)
    assert mnist.test_images.shape == (10000, 28, 28)
    assert len(mnist.item_classes) == 45
    assert np.bincount(mnist.train_labels)[:3].tolist() == [5923, 6742, 5958]
    assert sum(getattr(mnist, part).nbytes for part in sources.ARRAYS) < 56e6
    assert mp.scenarios.measure_digest(mnist)[:8] == "8a9018e5"


def test_items_of_mnist_are_pairs_with_pixels_between_0_and_1(mnist):
    items = mp.draw_items(
        mnist, n_items=45, n_train_images=10, n_test_images=10, rng=np.random.default_rng(0)
    )
    assert items.train_images.shape == (45, 10, 2 * 28 * 28)
    assert items.train_images.dtype == np.float32
    assert items.train_images.min() == 0
    assert items.train_images.max() == 1


def test_mnist_is_sent_in_few_bytes_and_loaded_by_a_fresh_process(mnist):
    assert len(pickle.dumps(mnist)) < 2000
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        assert executor.submit(
            mp.scenarios.measure_digest, mnist
        ).result() == mp.scenarios.measure_digest(mnist)


def test_nothing_is_fetched_but_by_https_and_only_there():
    assert all(mirror.startswith("https://") for mirror in sources.MIRRORS)
    package = Path(mp.__file__).parent
    opening = ("urlopen", "requests.get", "HTTPDownloader", "socket.", "HTTPSConnection")
    found = [
        path.name
        for path in package.rglob("*.py")
        if any(word in path.read_text("utf-8") for word in opening)
    ]
    assert found == ["sources.py"]


def test_the_registry_is_that_of_the_real_files(mnist_folder):
    for name, digest in sources.MNIST.items():
        assert sha256((mnist_folder / f"{name}.gz").read_bytes()).hexdigest() == digest


def test_a_changed_file_of_mnist_is_refused(mnist_folder, tmp_path):
    for name in sources.MNIST:
        (tmp_path / f"{name}.gz").write_bytes((mnist_folder / f"{name}.gz").read_bytes())
    path = tmp_path / "t10k-labels-idx1-ubyte.gz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(mp.InputError, match=f"{path.name}: (Error|CRC|it is not MNIST's)"):
        mp.load_mnist(tmp_path)


def test_the_real_files_are_fetched_from_a_mirror(mnist_folder, tmp_path, no_proxy):
    with serve(mnist_folder) as (mirror, _):
        paths = mp.scenarios.fetch_mnist(tmp_path, mirrors=[mirror])
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    mp.load_mnist(tmp_path)
