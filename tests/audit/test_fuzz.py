"""A few hundred hostile inputs, and a fuzzer that bites; `tests/audit/fuzz.py` tries many."""

import gc
import signal
from dataclasses import replace

import fuzz
import numpy as np
import pytest

from metaplastic_np import cli
from metaplastic_np._util import storage
from metaplastic_np.cli import commands, plans
from metaplastic_np.experiments import results

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "setitimer"), reason="the fuzzer stops what hangs by a signal"
)


@pytest.fixture
def patched(monkeypatch, tmp_path):
    """Whatever the fuzzer patches is whole again after the test."""
    monkeypatch.setenv("METAPLASTIC_NP_DATA", str(tmp_path))
    for name in (*fuzz.STOPPED, "load_dataset"):
        monkeypatch.setattr(commands, name, getattr(commands, name))
    fuzz.patch_commands()
    return tmp_path


@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_hostile_input_is_refused_in_words(target, patched):
    said, inputs = [], 8 if fuzz.is_far(target) else 300
    found = fuzz.fuzz(target, inputs, 1, patched, said.append)
    assert (found["failures"], said) == (0, [])
    assert found["inputs"] == found["accepted"] + found["refused"] == inputs
    assert found["accepted"] > 0
    assert found["refused"] > inputs / 3 or fuzz.is_far(target)  # a damaged trial is learned again


def unpickle(path):
    with np.load(path, allow_pickle=True) as found:
        return [found[name] for name in found.files]


def no_promises(path):
    """Without the look at what a file holds, before it is unpacked."""
    with np.load(path) as found:
        np.empty(max((info.file_size for info in found.zip.infolist()), default=0), np.uint8)


def forget(path):
    storage.read_arrays(path)[0]["train_images"]


def hang(path):
    while True:
        pass


def hang_in_callback(path):
    def callback(phase, info):
        if phase == "start":
            gc.callbacks.remove(callback)
            hang(path)

    gc.callbacks.append(callback)
    gc.collect()
    hang(path)


# Readers as they should not be, and how the fuzzer must find each.
BROKEN = {
    "unpickles": (unpickle, "it was unpickled"),
    "believes": (no_promises, " MB"),
    "forgets": (forget, "KeyError"),
    "hangs": (hang, "it took more than 0.1 s"),
    "hangs on": (hang_in_callback, "it took more than 0.1 s"),
}


# Interruptions are lost in callbacks, as in Hypothesis's of the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("reader", BROKEN)
def test_a_broken_reader_is_found(reader, monkeypatch, tmp_path):
    function, words = BROKEN[reader]
    seeds, mutate, _ = fuzz.TARGETS["own npz"]
    target = seeds, mutate, lambda path, data: fuzz.read_file(function, path, data)
    monkeypatch.setitem(fuzz.TARGETS, "own npz", target)
    monkeypatch.setattr(fuzz, "MOST_MEMORY", 20 * 2**20)
    inputs = len(seeds)
    if reader.startswith("hangs"):
        inputs = 1
        monkeypatch.setattr(fuzz, "MOST_SECONDS", 0.1)
    said = []
    found = fuzz.fuzz("own npz", inputs, 1, tmp_path, said.append)
    assert found["failures"] > 0
    assert any(words in line for line in said), said
    assert len(list(tmp_path.iterdir())) == found["failures"]


@pytest.mark.parametrize("kind", fuzz.BELIEVED)
def test_a_header_that_is_believed_is_found_in_the_report(kind, patched, monkeypatch):
    name = "serial-position.npz"
    data = fuzz.say_otherwise(fuzz.make_run_files()[name], fuzz.BELIEVED[kind])
    assert not fuzz.go_on(name, patched, data)
    read = results.load_results

    def believe(path):
        """Read it as it was, and believe what it says."""
        header = storage.read_arrays(path)[1]
        path.write_bytes(fuzz.make_run_files()[name])
        return replace(read(path), header=header)

    monkeypatch.setattr(commands, "load_results", believe)
    monkeypatch.setattr(plans, "load_results", believe)
    with pytest.raises(AssertionError, match="please report it"):
        fuzz.go_on(name, patched, data)


def test_a_list_longer_than_the_data_is_refused_before_it_is_drawn(capsys):
    """Found by the fuzzer: a list that long took all memory."""
    assert cli.main(["run", "serial-position", "--items", "100000000"]) == 2
    assert "`n_items` must be at most 45" in capsys.readouterr().err


def test_what_does_not_fit_into_memory_is_one_line(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    arguments = ["--trials", "1", "--hidden", "100000000,100000000", "--backend", "numpy"]
    assert cli.main(["run", "serial-position", *arguments]) == 1
    complaint = capsys.readouterr().err
    assert "does not fit into memory" in complaint
    assert complaint.count("\n") == 1
