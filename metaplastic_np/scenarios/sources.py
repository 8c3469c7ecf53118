"""Where images come from: MNIST, npz files of your own, and names on the command line.

MNIST, 70,000 handwritten digits, does not come with the package. Its four files are looked for in a
folder of your choice, else in that of the environment variable METAPLASTIC_NP_DATA (or its
subfolder ``mnist``), else in this user's cache, where :func:`fetch_mnist` puts them. A file read
here may be damaged or hostile: sizes are believed only as far as there are bytes, and nothing is
unpickled.
"""

from __future__ import annotations

import gzip
import os
import struct
import sys
import zlib
from collections.abc import Callable, Sequence
from hashlib import file_digest
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._util import checks, errors
from .._util.storage import read_arrays
from .datasets import Dataset, load_digits

__all__ = [
    "DATASETS",
    "check_sources",
    "fetch_mnist",
    "load_dataset",
    "load_mnist",
    "load_npz",
    "read_idx",
]

GZIP = b"\x1f\x8b"
UNSIGNED_BYTES = b"\0\0\x08"  # how an IDX file of bytes begins; the number of axes follows
MOST_BYTES = 2**30
MOST_GROWTH = 1032  # of a byte that gzip unpacks
AGAIN = "copy or fetch it again"

MNIST = {  # SHA-256 of each file as it is fetched, packed
    "train-images-idx3-ubyte": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
SHAPES: dict[str, tuple[int, ...]] = {  # of what is in them, in the same order
    "train_images": (60000, 28, 28),
    "train_labels": (60000,),
    "test_images": (10000, 28, 28),
    "test_labels": (10000,),
}
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
TIMEOUT = 30  # seconds without an answer


def read_idx(path: Path | str) -> NDArray[np.uint8]:
    """Read an IDX file of bytes, the format of MNIST and its relatives, packed by gzip or not.

    Parameters
    ----------
    path : path

    Returns
    -------
    uint8 array of one to three axes
        Read-only.

    Raises
    ------
    InputError
        If the file is missing, damaged, longer or shorter than its header says, not an IDX file
        of bytes, empty or above 1 GB.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, "labels-idx1-ubyte")
    >>> path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))  # bytes, 1 axis, 3 labels
    11
    >>> read_idx(path)
    array([7, 2, 1], dtype=uint8)
    >>> folder.cleanup()
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            length = os.fstat(file.fileno()).st_size
            is_packed = file.read(2) == GZIP
            file.seek(0)
            if not is_packed:
                return _parse_idx(path, file, length)
            with gzip.open(file) as unpacked:
                return _parse_idx(path, unpacked, MOST_GROWTH * length)
    except MemoryError:
        errors.raise_unreadable_file(path, "it does not fit into memory")
    except (OSError, EOFError, zlib.error) as error:
        errors.raise_unreadable_file(path, f"{_reason(error)}; {AGAIN}")


def _parse_idx(path: Path, file: Any, length: int) -> NDArray[np.uint8]:
    """Read an open IDX file of at most so many bytes, and only as far as its header promises."""
    magic = file.read(4)
    if len(magic) < 4 or magic[:3] != UNSIGNED_BYTES or not 1 <= magic[3] <= 3:
        errors.raise_unreadable_file(path, "it is not an IDX file of bytes with 1 to 3 axes")
    axes = file.read(4 * magic[3])
    if len(axes) < 4 * magic[3]:
        errors.raise_unreadable_file(path, f"it ends within its header; {AGAIN}")
    shape = struct.unpack(f">{magic[3]}I", axes)
    size = prod(shape)
    if not 0 < size <= MOST_BYTES:
        errors.raise_unreadable_file(
            path, f"its header promises {size:,} bytes; 1 to {MOST_BYTES:,} are read"
        )
    data = file.read(size + 1) if size <= length else b""
    if len(data) != size:
        amount = "more" if len(data) > size else "fewer"
        errors.raise_unreadable_file(
            path, f"its header promises {size:,} bytes, and there are {amount}; {AGAIN}"
        )
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


# --- MNIST ---------------------------------------------------------------------------


def load_mnist(folder: Path | str | None = None) -> Dataset:
    """Load the 60,000 + 10,000 handwritten 28x28 digits of MNIST, to be shown in pairs.

    Source: LeCun, Bottou, Bengio and Haffner (1998), doi:10.1109/5.726791.

    Parameters
    ----------
    folder : path, optional
        Holds the four files, as fetched (``train-images-idx3-ubyte.gz``, ...; their SHA-256 is
        checked) or unpacked (shapes and labels are checked). Default: METAPLASTIC_NP_DATA or its
        subfolder ``mnist``, else this user's cache.

    Returns
    -------
    Dataset
        45 items, the pairs 0-1, 0-2, ..., 8-9; uint8 images, 55 MB.

    Raises
    ------
    InputError
        If a file is missing, damaged or not MNIST's.

    Examples
    --------
    Once its files are there (see :func:`fetch_mnist`)::

        results = run_experiment(load_mnist(), Settings())
    """
    places = _places(folder)
    place, found = _find_mnist(places)
    arrays: dict[str, Any] = {}
    for name, part in zip(MNIST, SHAPES, strict=True):
        if name not in found:
            raise errors.InputError(
                f"cannot find MNIST's {name}.gz in {' or '.join(map(str, places))}: run "
                "`metaplastic-np data fetch mnist`, or set METAPLASTIC_NP_DATA to a folder with "
                "the four files"
            )
        arrays[part] = _read_mnist(found[name], MNIST[name], SHAPES[part])
    return Dataset(name="mnist", **arrays, paired=True, reload=(load_mnist, (str(place),)))


def fetch_mnist(
    folder: Path | str | None = None,
    *,
    mirrors: Sequence[str] = MIRRORS,
    on_file: Callable[[Path], object] | None = None,
) -> list[Path]:
    """Fetch the four files of MNIST, 12 MB; those that are there and right are kept.

    Parameters
    ----------
    folder : path, optional
        Made if need be. Default: where :func:`load_mnist` looks.
    mirrors : sequence of str
        Where the files are, tried in turn. Their SHA-256 is checked.
    on_file : callable, optional
        Called with the path of each file once it is there.

    Returns
    -------
    list of pathlib.Path
        The four files.

    Raises
    ------
    InputError
        If pooch is not installed.
    OutputError
        If no mirror gives a file, or the folder cannot be written to. No part of a file is left.

    Examples
    --------
    With a network, and ``pip install "metaplastic-np[mnist]"``::

        fetch_mnist()
        dataset = load_mnist()
    """
    place, _ = _find_mnist(_places(folder))
    paths = [place / f"{name}.gz" for name in MNIST]
    for path, digest in zip(paths, MNIST.values(), strict=True):
        _fetch(path, digest, mirrors)
        if on_file is not None:
            on_file(path)
    return paths


def _fetch(path: Path, digest: str, mirrors: Sequence[str]) -> None:
    """Fetch a file from the first mirror that has it, unless it is there and right."""
    try:
        import pooch
        import requests  # which pooch brings
    except ImportError as error:
        errors.raise_missing_extra("mnist", error)

    def share(file: str, action: str, _: object) -> str:
        if action != "fetch":
            path.chmod(0o644)  # pooch lets only its owner read it, not the class it is for
        return file

    download, failures = pooch.HTTPDownloader(timeout=TIMEOUT), []
    logger, level = pooch.get_logger(), pooch.get_logger().level
    logger.setLevel("ERROR")  # its news would stand among the program's lines
    try:
        for mirror in mirrors:
            url, known = mirror + path.name, f"sha256:{digest}"
            try:
                pooch.retrieve(url, known, path.name, path.parent, share, download)
                return
            except requests.RequestException as error:
                status = getattr(error.response, "status_code", type(error).__name__)
                failures.append(f"{mirror}: {status}")
            except ValueError:
                failures.append(f"{mirror}: not the file of this SHA-256")
            except OSError as error:
                errors.raise_unwritable(path.parent, error)
    finally:
        logger.setLevel(level)
    raise errors.OutputError(
        f"cannot fetch {path.name} ({'; '.join(failures)}): no network? copy the four files into "
        f"{path.parent}, or set METAPLASTIC_NP_DATA to a folder with them"
    )


def _places(folder: Path | str | None) -> list[Path]:
    """The folders in which MNIST may be; the last one is where it is fetched to."""
    if folder is not None:
        return [Path(folder).absolute()]
    if data := os.environ.get("METAPLASTIC_NP_DATA"):
        return [Path(data).absolute(), Path(data).absolute() / "mnist"]
    # Where programs keep what they can fetch again.
    variable, custom = {
        "win32": ("LOCALAPPDATA", "AppData/Local"),
        "darwin": ("", "Library/Caches"),
    }.get(sys.platform, ("XDG_CACHE_HOME", ".cache"))
    try:
        cache = Path(os.environ.get(variable) or Path.home() / custom)
    except RuntimeError:
        raise errors.InputError(
            "there is no home folder to keep data in: set METAPLASTIC_NP_DATA to a folder"
        ) from None
    return [cache.absolute() / "metaplastic_np" / "mnist"]


def _find_mnist(places: Sequence[Path]) -> tuple[Path, dict[str, Path]]:
    """The first place with a file of MNIST, else the last; and its files, rather packed ones."""
    for place in places:
        try:
            there = {path.name for path in place.iterdir()}
        except OSError:  # no such folder, or not for us
            there = set()
        files = [(name, name + end) for name in MNIST for end in ("", ".gz") if name + end in there]
        if files:
            break
    return place, {name: place / file for name, file in files}


def _read_mnist(path: Path, digest: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Read a file of MNIST: packed, it is the very file that the world has; unpacked, like it."""
    try:
        with path.open("rb") as file:
            is_packed = file.read(2) == GZIP
            file.seek(0)
            is_right = not is_packed or file_digest(file, "sha256").hexdigest() == digest
    except OSError as error:
        errors.raise_unreadable_file(path, f"{_reason(error)}; {AGAIN}")
    if not is_right:
        errors.raise_unreadable_file(
            path, "it is not MNIST's, by its SHA-256; delete it and fetch again"
        )
    array = read_idx(path)
    if array.shape != shape:
        errors.raise_unreadable_file(path, f"it has shape {array.shape}; MNIST's has {shape}")
    if array.ndim == 1 and np.unique(array).tolist() != list(range(10)):
        errors.raise_unreadable_file(path, "its labels are not the digits 0 to 9")
    return array


# --- your own, and names -------------------------------------------------------------


def load_npz(path: Path | str) -> Dataset:
    """Load your own images from an npz file; its classes are the items.

    Parameters
    ----------
    path : path
        Holds `train_images`, `train_labels`, `test_images` and `test_labels` as :class:`Dataset`
        takes them; what else it holds is read past.

    Returns
    -------
    Dataset
        Unpaired, with the file's name.

    Raises
    ------
    InputError
        If the file is missing or damaged, holds pickled objects or more than 8 GB, lacks an array,
        or its arrays make no :class:`Dataset`.

    Examples
    --------
    >>> import numpy as np, tempfile, pathlib
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, "shapes.npz")
    >>> images, labels = np.random.default_rng(0).random((6, 8)), np.array([0, 1, 2, 0, 1, 2])
    >>> np.savez(path, train_images=images, train_labels=labels,
    ...          test_images=images, test_labels=labels)
    >>> shapes = load_npz(path)
    >>> shapes.name, len(shapes.item_classes)
    ('shapes', 3)
    >>> folder.cleanup()
    """
    path = Path(path).absolute()
    arrays, _ = read_arrays(path)
    errors.check_names(path, arrays, SHAPES)
    own: dict[str, Any] = {part: arrays[part] for part in SHAPES}
    try:
        return Dataset(name=path.stem, **own, reload=(load_npz, (str(path),)))
    except errors.InputError as error:
        errors.raise_unreadable_file(path, str(error))


DATASETS: dict[str, Callable[[], Dataset]] = {"digits": load_digits, "mnist": load_mnist}


def load_dataset(name: str) -> Dataset:
    """Load a dataset by what it is called on the command line.

    Parameters
    ----------
    name : str
        One of ``DATASETS`` ("digits", "mnist"), or the path of a file that ends in ``.npz``.

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If there is no such dataset, or its files cannot be read.

    Examples
    --------
    >>> load_dataset("digits").name
    'digits'
    """
    if name in list(DATASETS):
        return DATASETS[name]()
    if not str(name).lower().endswith(".npz"):
        expected = "be " + ", ".join(DATASETS) + " or the path of an npz file"
        checks.raise_expected("dataset", expected, repr(name))
    return load_npz(name)


def check_sources() -> list[tuple[str, str, str]]:
    """Tell of every dataset that has a name where it is, and whether all of it can be read.

    Returns
    -------
    list of (name, status, where)
        Status is "bundled", "ready", "missing", or "damaged: " and why.

    Raises
    ------
    InputError
        If there is no folder to look in.

    Examples
    --------
    >>> check_sources()[0]
    ('digits', 'bundled', 'in the package')
    """
    place, found = _find_mnist(_places(None))
    status = "ready" if len(found) == len(MNIST) else "missing"
    if status == "ready":
        try:
            load_mnist(place)
        except errors.InputError as error:
            status = f"damaged: {error}"
    return [("digits", "bundled", "in the package"), ("mnist", status, str(place))]
