"""Hostile files and command lines, many of them: no crash, no hang, no memory, no unpickling.

Run: python tests/audit/fuzz.py [--inputs 100000] [--seed 0] [--json FILE] [--keep FOLDER]. Inputs
are mutated from seeds, which are made below; one that reaches a line of the readers that none has
reached becomes a seed, too. A failure is anything but what the package documents: another
exception, a refusal of several lines, 5 seconds of CPU (and no more: it is interrupted), 60 MB at
once, an object unpickled. Failing inputs are kept; the one that is tried is the file "input".

Most inputs are only read. Those of the targets "... to the report", of which there are fewer, lie
in the folder of a small run that is gone on with, saved, drawn and reported.
"""

from __future__ import annotations

import argparse
import faulthandler
import gzip
import io
import json
import os
import pickle
import random
import re
import signal
import struct
import sys
import tempfile
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout, suppress
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import scipy.special  # noqa: F401  (the package imports it when it needs it, which takes a while)

import metaplastic_np as mp
from metaplastic_np import cli
from metaplastic_np._util import checks, errors, storage
from metaplastic_np.cli import commands, plans, steepness
from metaplastic_np.experiments import trials
from metaplastic_np.scenarios import idx, labels, sources

INPUTS, SEED = 100_000, 0
MOST_SECONDS, MOST_MEMORY = 5.0, 60 * 2**20
TO_THE_REPORT = ", to the report"  # how a target's name ends whose inputs are gone on with
FEWER = 250  # there is one of these for so many others; nobody looks at its memory and lines
FAR_SECONDS = 6 * MOST_SECONDS
GIVEN_UP = 60  # seconds after which even what cannot be interrupted ends, and the fuzzer with it
EXTREMES = [0, 1, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1]


class Payload:
    """What leaves a mark if anybody unpickles it."""

    def __reduce__(self):
        """To the mark."""
        return exec, ("import sys; sys.unpickled = True",)


# --- seeds ---------------------------------------------------------------------------


def write_idx(shape: tuple[int, ...], kind: int = 8) -> bytes:
    """An IDX file."""
    header = bytes([0, 0, kind, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
    return header + bytes(int(np.prod(shape)) % 256 for _ in range(int(np.prod(shape))))


def write_npz(arrays: dict[str, np.ndarray], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An npz file; objects are pickled, which no reader may undo."""
    members = {}
    for name, array in arrays.items():
        member = io.BytesIO()
        np.lib.format.write_array(member, np.asarray(array), allow_pickle=True)
        members[f"{name}.npy"] = member.getvalue()
    return write_zip(members, method)


def write_zip(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of anything."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return file.getvalue()


def write_header(dtype: str, shape: tuple[int, ...]) -> bytes:
    """What an array in a file begins with."""
    file = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue()


def lie(data: bytes, size: int) -> bytes:
    """A zip with one array of so many bytes, of which all headers agree and none is there."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        name = archive.namelist()[0]
    header = write_header("|u1", (10**9,))
    header = header.replace(b"1000000000", b"%10d" % (size - len(header)))
    found = bytearray(write_zip({name: header}))
    directory = found.rindex(b"PK\1\2")
    for place in (22, directory + 24):
        found[place : place + 4] = struct.pack("<I", size)
    return bytes(found)


def change_header(draw: random.Random, member: bytes) -> bytes:
    """A value of a JSON header is something else."""
    file = io.BytesIO(member)
    header = json.loads(np.lib.format.read_array(file).item())
    inner = draw.choice([header, *(part for part in header.values() if isinstance(part, dict))])
    if inner:
        inner[draw.choice(list(inner))] = draw.choice(VALUES)
    text = io.BytesIO()
    np.lib.format.write_array(text, np.array(json.dumps(header)))
    return text.getvalue()


@cache
def make_npz_seeds() -> list[bytes]:
    """Datasets, our own files, objects, and an array within an array's file."""
    labels = np.repeat(np.arange(3), 4)
    images = np.arange(12 * 6, dtype=np.uint8).reshape(12, 2, 3)
    dataset = {"train_images": images, "train_labels": labels}
    dataset |= {"test_images": images.astype(np.float32), "test_labels": labels.astype(np.uint8)}
    network = mp.init_network((3, 2), rng=np.random.default_rng(0))
    rule = mp.init_metaplasticity(network, "hybrid", steepness=2.0, rng=np.random.default_rng(0))
    tiny = mp.Settings(n_items=3, trials=1, n_train_images=9, n_features=8, hidden=(4,))
    header = np.array(json.dumps({"kind": "network", "schema": 1}))
    objects = np.array([Payload()], dtype=object)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "saved.npz")
        saved = []
        for save, what in ((mp.save_network, network), (mp.rules.save_metaplasticity, rule)):
            save(path, what)
            saved.append(path.read_bytes())
        results = mp.run_experiment(mp.load_digits(), tiny, backend="numpy")
        saved.append(mp.save_results(results, folder, name="tiny")[0].read_bytes())
    found_before = [  # files that once got through to an exception
        {"header": header, "layer_sizes": np.array(3), "parameters": network.parameters},
        {"header": header, "layer_sizes": np.array([np.inf, 2]), "parameters": network.parameters},
    ]
    found_before = [write_npz(arrays) for arrays in found_before]
    found_before += [
        write_header("|u1", (8 * 2**30,)) + bytes(8),  # not in a zip
        lie(write_npz({"header": np.array("{}")}), 2**32 - 2),
        write_zip({"a\nb.npy": write_header("|O", (1,))}),
        write_zip({"header.npy": write_header("|V0", (3,) * 30)}),
        write_zip({"header.npy": b"\x93NUMPY\2\0\0\0\0\4" + bytes(2**26)}),
        *(
            write_npz({"x": np.zeros(2**23)}, method)
            for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
        ),
    ]
    return [
        write_npz(dataset),
        write_npz(dataset, zipfile.ZIP_STORED),
        *saved,
        *found_before,
        write_npz({**dataset, "train_images": objects}),
        write_npz({"header": objects}),
        write_npz({**dataset, "test_images": np.frombuffer(saved[0], np.uint8)}),
        write_npz({**dataset, "train_images": np.zeros(30_000_000, np.uint8)}),
        pickle.dumps(Payload()),
        b"",
    ]


def make_idx_seeds() -> list[bytes]:
    """Plain and packed, of every number of axes and kind, and a bomb."""
    plain = [write_idx(shape) for shape in ((7,), (3, 4), (2, 3, 4), (1, 1, 1))]
    plain += [write_idx((2, 2), kind) for kind in (9, 13, 14)]
    plain.append(b"\0\0\x08\1\x3f\xff\xff\xff" + bytes(10))
    bomb = gzip.compress(b"\0\0\x08\1\0\0\0\3" + bytes(30_000_000))
    return [*plain, *(gzip.compress(data, mtime=0) for data in plain), bomb]


WORDS = """\
run reproduce report data bench info serial-position hebb-repetition data-poisoning
learning-frequency biased-flexibility list fetch check mnist digits --items --trials --networks
--dataset --seed --jobs --out --resume --backend --learning-rate --hidden --epochs --batch
--non-target --refresh --steepness --kappa --preset --cluster --sections --repeats --json --help
conventional,stable hybrid homogeneous:0.5 homogeneous: homogeneous:nan homogeneous:2 permuted none
true presentation update numpy numba auto quick standard paper balance 256,256 , 8, 0,8 1 2 3 10 45
46 0 -1 -0 1e3 1e400 nan inf -inf 0.5 1_0 99999999999999999999 1000000000 ~ /dev/null . .. *
--trials=3 --items=1000000000 --seed=-1 --hidden= --= -- - é 🧠 \\x00 %s {} ../../x
"""
ARGUMENTS = [*WORDS.split(), "two\nlines", "", " ", "x" * 300, "x/" * 3000]


VALUES = [
    None,
    True,
    -1,
    0,
    4,
    45,
    10**9,
    10**400,
    1e308,
    1e-400,
    "",
    "frequency",
    "poisoning",
    "x\ny",
]
VALUES += [
    [],
    {},
    [3],
    [0] * 1000,
    [[0, 0, 0, 0]],
    ["hybrid"],
    [10**9, 10**9],
    {"x": []},
    "x" * 9999,
]


# --- mutations -----------------------------------------------------------------------


def mutate_bytes(draw: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """A few changes: bits, bytes, numbers, pieces left out, doubled or from elsewhere."""
    found = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        place = draw.randrange(len(found) + 1)
        size = draw.choice([1, 2, 4, 8, draw.randint(1, 64)])
        change = draw.randrange(7)
        if change == 0 and place < len(found):
            found[place] ^= 1 << draw.randrange(8)
        elif change == 1 and place < len(found):
            found[place] = draw.choice([0, 1, 127, 128, 255, draw.randrange(256)])
        elif change == 2:
            number = draw.choice(EXTREMES) & (1 << 32) - 1
            order = draw.choice([">I", "<I"])
            found[place : place + 4] = struct.pack(order, number)
        elif change == 3:
            del found[place : place + size]
        elif change == 4:
            found[place:place] = found[place : place + size]
        elif change == 5:
            other = draw.choice(others)
            start = draw.randrange(len(other) + 1)
            found[place : place + size] = other[start : start + size]
        elif change == 6:
            del found[place:]
    return bytes(found)


def mutate_idx(draw: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """What is packed is changed within, too."""
    if data[:2] == b"\x1f\x8b" and len(data) < 1000 and draw.random() < 0.5:
        try:
            inside = gzip.decompress(data)
        except (OSError, EOFError, ValueError, zlib.error):
            inside = data
        return gzip.compress(mutate_bytes(draw, inside, others), mtime=0)
    return mutate_bytes(draw, data, others)


def mutate_npz(draw: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """Headers of arrays are changed within a whole zip: shapes, types, names, lying sizes."""
    if draw.random() < 0.4 or len(data) > 10_000:
        return mutate_bytes(draw, data, others)
    members = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(member.file_size for member in archive.infolist()) < 1_000_000:  # else a bomb
                members = {name: archive.read(name) for name in archive.namelist()}
    except Exception:  # not a zip any more
        return mutate_bytes(draw, data, others)
    if not members:
        return mutate_bytes(draw, data, others)
    name = draw.choice(list(members))
    change, member = draw.randrange(8), members[name]
    if change == 0:  # a shape that promises what is not there
        number = str(draw.choice(EXTREMES)).encode()
        member = re.sub(rb"\d+(?=[,)])", number, member, count=draw.randint(1, 2))
    elif change == 1:
        kind = draw.choice([b"|O", b"<f8", b">f4", b"|V9", b"<U9", b"|b1", b"<c16", b"<M8[s]"])
        member = re.sub(rb"'descr': '[^']*'", b"'descr': '" + kind + b"'", member)
    elif change == 2:
        member = mutate_bytes(draw, member, others)
    elif change == 3:
        del members[name]
    elif change == 4:
        members[draw.choice(["header.npy", "train_labels.npy", "x", "../x.npy", "x/"])] = member
    elif change == 5:
        member = draw.choice(list(members.values()))
    elif change == 6:
        return lie(data, draw.randint(200, 2**32 - 2))
    else:
        try:
            name, member = "header.npy", change_header(draw, members["header.npy"])
        except (KeyError, ValueError, AttributeError, TypeError):  # none, or damaged before
            return mutate_bytes(draw, data, others)
    if name in members:
        members[name] = member
    methods = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA]
    return write_zip(members, draw.choice(methods))


def mutate_words(draw: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """Other words, at other places."""
    words = data.decode().split("\0") if data else []
    for _ in range(draw.randint(1, 3)):
        place = draw.randrange(len(words) + 1)
        words[place : place + draw.randint(0, 1)] = draw.choices(ARGUMENTS, k=draw.randint(0, 3))
    return "\0".join(words).encode()


NAMES = ["$x^{", "$$", "<b>&", "\0", "a\nb", "\u00e9\U0001f9e0", "x" * 300, "%s{}", "\\frac", ""]


def change_run(
    draw: random.Random, arrays: dict[str, np.ndarray], header: dict[str, object]
) -> None:
    """One thing in a run's file is not as it was."""
    change, name = draw.randrange(6), draw.choice(sorted(set(arrays) - {"header"}))
    array = arrays[name].copy()
    if change == 0:
        inner = [header, *(part for part in header.values() if isinstance(part, dict))]
        part = draw.choice(inner)
        part[draw.choice(["new", *part])] = draw.choice([*VALUES, *NAMES])
    elif change == 1:
        header[draw.choice(["dataset", "backend"])] = draw.choice(NAMES)
    elif change == 2:  # other answers to the same questions
        counts = arrays["confusion" if "confusion" in arrays else name]
        counts = counts[..., draw.sample(range(counts.shape[-1]), counts.shape[-1])]
        arrays["confusion" if "confusion" in arrays else name] = counts
        if "recall" in arrays:
            hits = np.diagonal(counts, axis1=-2, axis2=-1)
            arrays["recall"] = hits / counts.sum(axis=-1)
    elif change == 3:
        array.flat[draw.randrange(array.size)] = draw.choice([-1, 0, 7, 1e300, np.nan])
        arrays[name] = array
    elif change == 4:
        arrays[name] = array.astype(draw.choice(["f4", "i1", "u8", "M8[s]", "c16", "?", "U3"]))
    elif change == 5:
        arrays[name] = draw.choice([array[None], array[:1], array.T, array[..., :0]])


def mutate_run(draw: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """Files of a run that are whole and say something else; or as :func:`mutate_npz` does it."""
    try:
        with np.load(io.BytesIO(data)) as found:
            arrays = {name: found[name] for name in found.files}
        header = json.loads(arrays["header"].item())
    except Exception:  # damaged before
        return mutate_npz(draw, data, others)
    if draw.random() < 0.2:
        return mutate_npz(draw, data, others)
    for _ in range(draw.randint(1, 2)):
        # What an array cannot become, it does not.
        with suppress(ValueError, TypeError, OverflowError, IndexError), np.errstate(all="ignore"):
            change_run(draw, arrays, header)
    arrays["header"] = np.array(json.dumps(header))
    return write_npz(arrays)


def mutate_json(draw: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """A value of a file of steepnesses is something else, and the sum agrees."""
    try:
        content = json.loads(data)
        entry = draw.choice(content["steepness"])
        inner = [entry, *(part for part in entry.values() if isinstance(part, dict))]
        part = draw.choice(inner)
        part[draw.choice(list(part))] = draw.choice([*VALUES, *NAMES])
    except (ValueError, KeyError, IndexError, AttributeError, TypeError):
        return mutate_bytes(draw, data, others)
    if draw.random() < 0.3:
        content["steepness"] = draw.choice([entry, [entry], [draw.choice(VALUES)], None])
    crc = zlib.crc32(json.dumps(content["steepness"]).encode())
    return json.dumps({**content, "crc32": crc}).encode()


# --- targets -------------------------------------------------------------------------


class Hanging(BaseException):
    """An input took too long."""


def give_up(*_: object) -> None:
    """When time is up."""
    raise Hanging


class Reached(BaseException):
    """The command line is understood; what follows would learn."""


def stop(*_: object, **__: object) -> int:
    """Instead of what learns, measures or fetches."""
    raise Reached


def read_file(reader: Callable[[Path], object], path: Path, data: bytes) -> bool:
    """Whether a reader takes a file."""
    path.write_bytes(data)
    try:
        reader(path)
    except (mp.InputError, mp.OutputError) as error:
        if "\n" in str(error):
            raise ValueError("a refusal of several lines") from error
        return False
    return True


def read_ours(path: Path) -> None:
    """As whatever its header says it is."""
    kind = str(storage.read_arrays(path)[1].get("kind", "experiment"))
    readers = {"network": mp.load_network, "metaplasticity": mp.rules.load_metaplasticity}
    readers.get(kind, mp.load_results)(path)


def call(words: list[str], most_lines: int) -> int:
    """The status of a command, if it is one of 0, 1 and 2 and the command said why, in lines."""
    said = io.StringIO()
    with redirect_stdout(io.StringIO()), redirect_stderr(said):
        status = cli.main(words)
    lines = said.getvalue().splitlines()
    assert status in (0, 1, 2)
    assert len(lines) <= most_lines, said.getvalue()
    for line in lines:
        assert line.startswith("metaplastic-np: "), said.getvalue()
        assert "please report it" not in line, said.getvalue()
    return status


def parse_words(path: Path, data: bytes) -> bool:
    """Whether the command line is understood; any other end than status 0, 1 or 2 is a failure."""
    del path
    try:
        return call(data.decode().split("\0"), 1) == 0
    except Reached:
        return True


STOPPED = ("learn_plan", "_announce", "_write_report", "_run_script", "fetch_mnist", "info")


def patch_commands() -> None:
    """Nothing is learned, fetched or written by a command line that is understood."""
    real, digits = commands.load_dataset, mp.load_digits()
    commands.load_dataset = lambda name: digits if name in ("digits", "mnist") else real(name)
    for name in STOPPED:
        setattr(commands, name, stop)


# --- on to the report ----------------------------------------------------------------

RUN = ["run", "serial-position", "--items", "3", "--trials", "2", "--backend", "numpy"]
BALANCE = ["--steepness", "balance"]
REAL = {name: getattr(commands, name) for name in ("learn_plan", "_write_report", "info")}
MOST_LINES = 12


def shrink(settings: mp.Settings) -> mp.Settings:
    """As little as can be learned of what was asked for."""
    images = {"n_train_images": max(9, settings.n_items), "n_test_images": 3}
    return replace(
        settings,
        trials=min(settings.trials, 2),
        n_features=min(settings.n_features, 8),
        hidden=tuple(min(width, 4) for width in settings.hidden[:3]),
        epochs=min(settings.epochs, 2),
        **images,
    )


def draw_nothing(figure: object, stem: Path) -> list[Path]:
    """Files where a figure's would be, which take long to draw."""
    del figure
    paths = [stem.with_name(f"{stem.name}.{ending}") for ending in ("png", "svg")]
    for path in paths:
        path.write_bytes(b"<svg/>")
    return paths


@contextmanager
def learn_little() -> Iterator[None]:
    """Commands do all that they do, of two runs at most, and without other processes.

    They draw only if the fuzzer is a program, and not a test.
    """

    def learn(dataset, plan, running, **options):
        small = {name: shrink(settings) for name, settings in list(plan.items())[:2]}
        return REAL["learn_plan"](dataset, small, running, **options)

    def open_pool(jobs):
        checks.check_count("jobs", jobs)
        return nullcontext()

    def open_cluster(address):
        raise errors.InputError(f"no Dask scheduler answers at {address}")

    changed = {**REAL, "learn_plan": learn, "_announce": lambda *_: None}
    if __name__ != "__main__":
        changed["save_figure"] = draw_nothing
    with (
        patch.multiple(commands, **changed),
        patch.multiple(plans, open_pool=open_pool, open_cluster=open_cluster),
        patch.object(steepness, "balance_steepness", lambda *_, **__: 1234.5),
    ):
        yield


@cache
def make_run_files() -> dict[str, bytes]:
    """The files of a small run, by their names in its folder."""
    with tempfile.TemporaryDirectory() as folder, learn_little():
        assert call([*RUN, *BALANCE, "--out", folder], MOST_LINES) == 0
        path = Path(folder, "steepness.json")
        found = {path.name: path.read_bytes()}
    with tempfile.TemporaryDirectory() as folder, learn_little():
        assert call([*RUN, "--out", folder], MOST_LINES) == 0
        path = Path(folder, "serial-position.npz")
        found[path.name] = path.read_bytes()
        settings, kept = mp.load_results(path).settings, Path(folder, "serial-position.trials")
        mp.run_experiment(mp.load_digits(), settings, backend="numpy", checkpoint=kept)
        write, state = trials.write_progress, kept / "trial-0001.state.npz"

        def write_second(path, progress, identity):
            if progress.done == 2:
                write(path, progress, identity)

        with patch.multiple(trials, STATE_SECONDS=0.0, write_progress=write_second):
            trials.run_trial(mp.load_digits(), settings, 1, "numpy", state)
        for path in (kept / "trial-0000.npz", state):
            found[f"{kept.name}/{path.name}"] = path.read_bytes()
    return found


def make_file_seeds(name: str) -> list[bytes]:
    """A file of a run, and another one in its place."""
    files = make_run_files()
    found_before = []
    if name == "serial-position.npz":
        found_before = [say_otherwise(files[name], facts) for facts in BELIEVED.values()]
    return [files[name], files["serial-position.npz"], b"", b"PK", *found_before]


BELIEVED = {  # headers of results that once got through to an exception in the report
    "no machine": {"machine": None},
    "seconds of words": {"seconds_by_trial": ["1", "2"]},
    "seconds without end": {"seconds_by_trial": [1e308, 1e308]},
    "one time for all": {"seconds_by_trial": 3.0},
}


def say_otherwise(data: bytes, facts: dict[str, object]) -> bytes:
    """A file of a run whose header says something else."""
    with np.load(io.BytesIO(data)) as found:
        arrays = {name: found[name] for name in found.files}
    header = {**json.loads(arrays.pop("header").item()), **facts}
    return write_npz({"header": np.array(json.dumps(header)), **arrays})


def go_on(name: str, path: Path, data: bytes) -> bool:
    """Whether a run with this file in its folder is gone on with and reported."""
    del path
    with tempfile.TemporaryDirectory() as folder, learn_little():
        file = Path(folder, name)
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(data)
        words = BALANCE if name == "steepness.json" else []
        ran = call([*RUN, *words, "--resume", "--out", folder], MOST_LINES)
        reported = call(["report", folder], MOST_LINES)
        assert reported or Path(folder, "report.html").stat().st_size > 1000
        return ran == reported == 0


def go_on_words(path: Path, data: bytes) -> bool:
    """Whether a command line leads to a report."""
    del path
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder, learn_little():
        inner = Path(folder, "a", "b", "c")  # some words are folders further up
        inner.mkdir(parents=True)
        os.chdir(inner)
        try:
            if call(data.decode().split("\0"), MOST_LINES):
                return False
            made = sorted(Path(folder).rglob("*.npz"))
            return bool(made) and call(["report", str(made[0].parent)], MOST_LINES) == 0
        except Reached:
            return False
        finally:
            os.chdir(here)


Mutate = Callable[[random.Random, bytes, list[bytes]], bytes]
TARGETS: dict[str, tuple[list[bytes], Mutate, Callable[[Path, bytes], bool]]] = {
    "IDX": (make_idx_seeds(), mutate_idx, lambda p, d: read_file(idx.read_idx, p, d)),
    "npz dataset": (make_npz_seeds(), mutate_npz, lambda p, d: read_file(mp.load_npz, p, d)),
    "own npz": (make_npz_seeds(), mutate_npz, lambda p, d: read_file(read_ours, p, d)),
    "command line": (
        [b"run\0serial-position", b"reproduce\0--preset\0quick", b"report\0x", b"data\0list", b""],
        mutate_words,
        parse_words,
    ),
    **{
        what + TO_THE_REPORT: (make_file_seeds(name), mutate, partial(go_on, name))
        for what, name, mutate in (
            ("results", "serial-position.npz", mutate_run),
            ("trial", "serial-position.trials/trial-0000.npz", mutate_run),
            ("state", "serial-position.trials/trial-0001.state.npz", mutate_run),
            ("steepness", "steepness.json", mutate_json),
        )
    },
    "command line" + TO_THE_REPORT: (
        [
            b"run\0serial-position\0--items\0003",
            b"run\0learning-frequency\0--items\0005\0--trials\0001",
            b"run\0biased-flexibility\0--networks\0hybrid,homogeneous:0.5",
            b"reproduce\0--trials\0001",
        ],
        mutate_words,
        go_on_words,
    ),
}


def is_far(name: str) -> bool:
    """Whether a target's inputs are gone on with."""
    return name.endswith(TO_THE_REPORT)


# --- fuzzing -------------------------------------------------------------------------


def follow(lines: set[tuple[str, int]]) -> Callable[..., object]:
    """A tracer that notes the lines of the readers."""
    files = tuple(str(module.__file__) for module in (idx, labels, sources, storage))

    def trace(frame: object, event: str, _: object) -> object:
        if frame.f_code.co_filename not in files:  # type: ignore[attr-defined]
            return None
        if event == "line":
            lines.add((frame.f_code.co_filename, frame.f_lineno))  # type: ignore[attr-defined]
        return trace

    return trace


def try_one(
    target: Callable[[Path, bytes], bool], path: Path, data: bytes, most_seconds: float
) -> tuple[bool, str, float, int]:
    """Whether an input is accepted; what is wrong, if anything; seconds and bytes at most."""
    sys.unpickled = False
    if tracemalloc.is_tracing():
        tracemalloc.reset_peak()
    before, started = tracemalloc.get_traced_memory()[0], time.process_time()
    accepted, wrong = False, ""
    # Again and again: what is raised in a callback of C, Python prints and forgets.
    signal.setitimer(signal.ITIMER_PROF, most_seconds, 0.5)
    faulthandler.dump_traceback_later(GIVEN_UP, exit=True)
    try:
        accepted = target(path, data)
    except Exception as error:
        wrong = f"{type(error).__name__}: {error}"
    except Hanging:
        wrong = f"it took more than {most_seconds} s"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        faulthandler.cancel_dump_traceback_later()
    seconds = time.process_time() - started
    memory = tracemalloc.get_traced_memory()[1] - before
    if sys.unpickled:
        wrong = "it was unpickled"
    elif not wrong and memory > MOST_MEMORY:
        wrong = f"it took {memory / 2**20:.0f} MB"
    return accepted, wrong, seconds, memory


def fuzz(name: str, inputs: int, seed: int, keep: Path, say: Callable[[str], None]) -> dict:
    """Try so many inputs on a target."""
    seeds, mutate, target = TARGETS[name]
    draw, corpus, lines, seen = random.Random(f"{seed} {name}"), list(seeds), set(), set()
    count = {"inputs": 0, "accepted": 0, "refused": 0, "failures": 0}
    slowest, largest, path = 0.0, 0, keep / "input"
    signal.signal(signal.SIGPROF, give_up)
    most_seconds = FAR_SECONDS if is_far(name) else MOST_SECONDS
    if not is_far(name):
        tracemalloc.start()
    for number in range(inputs):
        data = seeds[number] if number < len(seeds) else mutate(draw, draw.choice(corpus), corpus)
        lines.clear()
        is_followed = mutate is not mutate_words and not is_far(name)
        is_followed &= sys.gettrace() is None  # else it is coverage's
        if is_followed:
            sys.settrace(follow(lines))
        try:
            accepted, wrong, seconds, memory = try_one(target, path, data, most_seconds)
        finally:
            if is_followed:
                sys.settrace(None)
        slowest, largest = max(slowest, seconds), max(largest, memory)
        count["inputs"] += 1
        count["accepted" if accepted else "refused"] += 1
        if wrong:
            count["failures"] += 1
            kept = keep / f"{name}-{number}"
            kept.write_bytes(data)
            say(f"{name}: {wrong}; kept as {kept}")
        if lines - seen and len(data) < 10_000:
            seen |= lines
            corpus.append(data)
        if (number + 1) % 5000 == 0:
            say(f"{name}: {number + 1} of {inputs}, {len(corpus)} seeds")
    tracemalloc.stop()
    path.unlink(missing_ok=True)
    most = {"slowest_seconds": round(slowest, 2), "most_megabytes": round(largest / 2**20, 1)}
    return {**count, "seeds": len(corpus), **most}


def main() -> None:
    """Fuzz all targets and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=INPUTS, help=f"of all targets ({INPUTS})")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--keep", type=Path, help="folder for inputs that fail")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    keep = given.keep or Path(tempfile.mkdtemp())
    keep.mkdir(parents=True, exist_ok=True)
    patch_commands()
    os.environ["METAPLASTIC_NP_DATA"] = str(keep)  # MNIST is nowhere
    started, found = time.perf_counter(), {}
    for name in TARGETS:
        inputs = given.inputs // sum(not is_far(name) for name in TARGETS)
        inputs = inputs // FEWER if is_far(name) else inputs
        found[name] = fuzz(name, inputs, given.seed, keep, print)
    for name, row in found.items():
        print(f"{name:<29}", ", ".join(f"{what} {value}" for what, value in row.items()))
    seconds = time.perf_counter() - started
    print(f"{seconds:.0f} s")
    if given.json:
        content = {
            "command": f"python tests/audit/fuzz.py --inputs {given.inputs}",
            "minutes": round(seconds / 60, 1),
            "targets": found,
        }
        given.json.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    sys.exit(any(row["failures"] for row in found.values()))


if __name__ == "__main__":
    main()
