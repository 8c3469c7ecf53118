"""IDX files, the format of MNIST and its relatives: four to a set of images, each one array.

A file read here may be damaged or hostile: sizes are believed only as far as there are bytes.
"""

from __future__ import annotations

import gzip
import os
import re
import struct
import zlib
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._util import checks, errors

__all__ = ["find_idx", "read_idx"]

GZIP = b"\x1f\x8b"
DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MOST_AXES = 8
MOST_BYTES = 2**30
MOST_GROWTH = 1032  # of a byte that gzip unpacks
AGAIN = "copy or fetch it again"
# How the four files of a set are called, a set's own name in front; in small letters.
NAME = re.compile(
    r"(.*)(train|t10k|test)[-_.]?(image|label)s?([-_.]idx\d*)?([-_.](ubyte|byte|int))?(\.gz)?"
)
FOLDERS = ("", "raw", "MNIST/raw")  # where below a folder torchvision keeps them


def read_idx(path: Path | str) -> NDArray[Any]:
    """Read an IDX file, packed by gzip or not.

    Parameters
    ----------
    path : path

    Returns
    -------
    array of one to eight axes
        Of bytes, whole numbers of 8, 16 or 32 bits, or floats of 32 or 64. Read-only.

    Raises
    ------
    InputError
        If the file is missing, damaged, longer or shorter than its header says, not an IDX file,
        empty or above 1 GB.

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
    path = checks.check_path("path", path)
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
        reason = getattr(error, "strerror", None) or error
        errors.raise_unreadable_file(path, f"{reason}; {AGAIN}")


def _parse_idx(path: Path, file: Any, length: int) -> NDArray[Any]:
    """Read an open IDX file of at most so many bytes, and only as far as its header promises."""
    magic = file.read(4)
    is_idx = len(magic) == 4 and magic[:2] == b"\0\0" and magic[2] in DTYPES
    if not is_idx or not 1 <= magic[3] <= MOST_AXES:
        errors.raise_unreadable_file(path, f"it is not an IDX file with 1 to {MOST_AXES} axes")
    axes = file.read(4 * magic[3])
    if len(axes) < 4 * magic[3]:
        errors.raise_unreadable_file(path, f"it ends within its header; {AGAIN}")
    shape = struct.unpack(f">{magic[3]}I", axes)
    dtype = np.dtype(DTYPES[magic[2]])
    size = prod(shape) * dtype.itemsize
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
    array = np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)
    array.flags.writeable = False
    return array


def find_idx(folder: Path) -> dict[str, dict[str, Path]]:
    """The sets of IDX files in a folder or where torchvision keeps them below it.

    Parameters
    ----------
    folder : path

    Returns
    -------
    dict of dict of path
        By the name in front of a set's files ("" for MNIST's), then by part: "train_images",
        "train_labels", "test_images", "test_labels". A packed file counts more than another.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pathlib.Path(folder, "T10K-labels.idx1-ubyte").touch()
    ...     [(name, list(parts)) for name, parts in find_idx(pathlib.Path(folder)).items()]
    [('', ['test_labels'])]
    """
    for place in (folder / below for below in FOLDERS):
        try:
            paths = sorted(path for path in place.iterdir() if path.is_file())
        except OSError:  # no such folder, or not for us
            continue
        sets: dict[str, dict[str, Path]] = {}
        for path in sorted(paths, key=lambda path: path.suffix.lower() == ".gz"):
            if named := NAME.fullmatch(path.name.lower()):
                part = "train" if named[2] == "train" else "test"
                sets.setdefault(named[1], {})[f"{part}_{named[3]}s"] = path
        if sets:
            return sets
    return {}
