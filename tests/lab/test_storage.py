"""Files are whole or absent, and nothing is unpickled."""

import pickle
import struct
import zipfile

import numpy as np
import pytest
from fuzz import lie, write_header, write_npz, write_zip

import metaplastic_np as mp
from metaplastic_np._util import storage


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path):
    path = tmp_path / "result.npz"
    mp._util.storage.write_arrays(path, {"a": np.arange(3)}, header={})

    def tear(file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(
        mp.OutputError, match=r"cannot write .*: No space left.*; choose another folder"
    ):
        mp._util.storage.write_atomic(path, tear)
    assert mp._util.storage.read_arrays(path)[0]["a"].tolist() == [0, 1, 2]
    assert [file.name for file in tmp_path.iterdir()] == ["result.npz"]


def test_an_interrupted_write_leaves_no_litter(tmp_path):
    def interrupt(file):
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mp._util.storage.write_atomic(tmp_path / "result", interrupt)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(mp.OutputError, match=r"cannot write to .*gone.*: No such file"):
        mp._util.storage.write_arrays(tmp_path / "gone" / "a.npz", {}, header={})


def test_nan_has_no_place_in_a_header(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        mp._util.storage.write_arrays(tmp_path / "a.npz", {}, header={"mean": float("nan")})


@pytest.mark.parametrize("cut", [0, 1, 10, 100, 300])
def test_truncated_files_are_refused(tmp_path, cut):
    path = tmp_path / "a.npz"
    mp._util.storage.write_arrays(path, {"a": np.arange(100)}, header={"kind": "x"})
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(mp.InputError, match=r"cannot read .*a.npz: it is (damaged|not)"):
        mp._util.storage.read_arrays(path)


def test_a_flipped_bit_is_found(tmp_path):
    path = tmp_path / "a.npz"
    mp._util.storage.write_arrays(path, {"a": np.random.default_rng(0).random(1000)}, header={})
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    with pytest.raises(mp.InputError, match="damaged"):
        mp._util.storage.read_arrays(path)


def test_nothing_is_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return pytest.fail, ("unpickled",)

    path = tmp_path / "bomb.npz"
    np.savez(path, allow_pickle=True, a=np.array([Bomb()], dtype=object))
    with pytest.raises(mp.InputError, match=r"bomb.npz: a.npy holds objects, not numbers"):
        mp._util.storage.read_arrays(path)
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(mp.InputError, match="damaged or not an npz"):
        mp._util.storage.read_arrays(path)
    np.save(tmp_path / "plain.npy", np.arange(3))
    with pytest.raises(mp.InputError, match="damaged or not an npz"):
        mp._util.storage.read_arrays(tmp_path / "plain.npy")


def test_what_is_packed_too_well_to_be_data_is_refused(tmp_path, monkeypatch):
    mp._util.storage.write_arrays(tmp_path / "zeros.npz", {"images": np.zeros(100_000)}, header={})
    mp._util.storage.read_arrays(tmp_path / "zeros.npz")
    monkeypatch.setattr(storage, "BOMB_BYTES", 800_000)
    with pytest.raises(mp.InputError, match=r"it promises 800,128 bytes out of \d+$"):
        mp._util.storage.read_arrays(tmp_path / "zeros.npz")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_unpack_without_bound_are_refused(method, tmp_path):
    (tmp_path / "a.npz").write_bytes(write_npz({"a": np.arange(3)}, method))
    with pytest.raises(mp.InputError, match="packed by another method than deflate"):
        mp._util.storage.read_arrays(tmp_path / "a.npz")


def test_items_of_no_bytes_of_which_there_could_be_any_number_are_refused(tmp_path):
    (tmp_path / "a.npz").write_bytes(write_zip({"a.npy": write_header("|V0", (3,) * 30)}))
    with pytest.raises(mp.InputError, match="damaged or not an npz"):
        mp._util.storage.read_arrays(tmp_path / "a.npz")


def test_headers_that_agree_on_a_lie_take_no_memory(tmp_path):
    (tmp_path / "a.npz").write_bytes(lie(write_npz({"a": np.arange(3)}), 2**32 - 2))
    with pytest.raises(mp.InputError, match=r"it promises 4,294,967,294 bytes out of \d\d$"):
        mp._util.storage.read_arrays(tmp_path / "a.npz")


def test_pieces_of_a_file_that_are_more_than_all_of_it_are_refused(tmp_path):
    """A zip whose directory names the same bytes again and again."""
    whole = write_npz({"a": np.arange(1000)}, zipfile.ZIP_STORED)
    start, end = whole.rindex(b"PK\1\2"), whole.rindex(b"PK\5\6")
    directory = whole[start:end] * 3
    found = bytearray(whole[:start] + directory + whole[end:])
    place = found.rindex(b"PK\5\6")
    found[place + 8 : place + 16] = struct.pack("<HHI", 3, 3, len(directory))
    (tmp_path / "a.npz").write_bytes(found)
    with pytest.raises(mp.InputError, match="damaged or not an npz"):
        mp._util.storage.read_arrays(tmp_path / "a.npz")


def test_names_that_no_file_can_have_are_refused_in_words(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for path in (tmp_path / "file" / "x.npz", tmp_path / ("x" * 300)):
        with pytest.raises(mp.OutputError, match="cannot write to"):
            mp._util.storage.write_arrays(path, {}, header={})


def test_a_header_that_is_no_object_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", header=np.array("[1, 2]"))
    with pytest.raises(mp.InputError, match="its header is not a JSON object"):
        mp._util.storage.read_arrays(tmp_path / "a.npz")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(mp.InputError, match=r"cannot read .*none.npz: No such file"):
        mp.load_network(tmp_path / "none.npz")
