"""Files that are whole or absent: npz with a JSON header, written atomically, never pickled."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from . import checks, errors

__all__ = ["claim", "read_arrays", "write_arrays", "write_atomic"]

HEADER = "header"
AS_WORDS = "(write words as `array.astype(str)`)"
DAMAGED = "it is damaged or not an npz file"
MOST_BYTES = 8 * 2**30  # a file that promises more is refused before it is unpacked
MOST_GROWTH = 1032  # of a byte that deflate unpacks
BOMB_BYTES, BOMB_GROWTH = 2**30, 200  # no images promise more of both; dSprites' growth is 115
MOST_HEADER = 2**14  # bytes; NumPy reads headers of 10,000 letters


def write_atomic(path: Path | str, write: Callable[[BinaryIO], object]) -> None:
    """Write a file so that a reader, or a crash, never meets half of it.

    Parameters
    ----------
    path : path
        Replaced in one step once everything is on disk.
    write : callable
        Takes a binary file open for writing.

    Raises
    ------
    OutputError
        If the system refuses. Nothing is left behind, and an old file stays as it was.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, "note.txt")
    >>> write_atomic(path, lambda file: file.write(b"kept"))
    >>> path.read_text()
    'kept'
    >>> folder.cleanup()
    """
    path = checks.check_path("path", path)
    partial = path.parent / f".{path.name}.{uuid4().hex}.partial"
    try:
        with partial.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        errors.raise_unwritable(path, error)
    finally:
        # A rename leaves nothing to remove; whatever else happened (Ctrl-C too) leaves no litter.
        with suppress(OSError):
            partial.unlink()


def write_arrays(
    path: Path | str,
    arrays: Mapping[str, NDArray[Any]],
    *,
    header: Mapping[str, Any],
    compress: bool = True,
) -> None:
    """Write arrays and a JSON header to one npz file, atomically.

    Parameters
    ----------
    path : path
    arrays : mapping of str to array
        No name may be "header"; no object arrays.
    header : mapping
        What JSON can hold, without NaN.
    compress : bool
        Off for what is large and random.

    Raises
    ------
    OutputError
        If the file cannot be written.

    Examples
    --------
    See :func:`read_arrays`.
    """
    text = json.dumps(header, allow_nan=False, sort_keys=True)

    def write(file: BinaryIO) -> None:
        save = np.savez_compressed if compress else np.savez
        save(file, allow_pickle=False, **{HEADER: np.array(text)}, **arrays)

    write_atomic(path, write)


def read_arrays(path: Path | str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read what :func:`write_arrays` wrote.

    Parameters
    ----------
    path : path

    Returns
    -------
    arrays : dict of str to array
    header : dict
        Empty where the file has none.

    Raises
    ------
    InputError
        If the file is missing, damaged, not an npz file, holds pickled objects, or promises more
        than 8 GB.

    Examples
    --------
    >>> import numpy as np, tempfile, pathlib
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, "run.npz")
    >>> write_arrays(path, {"recall": np.eye(2)}, header={"seed": 0})
    >>> arrays, header = read_arrays(path)
    >>> arrays["recall"].shape, header
    ((2, 2), {'seed': 0})
    >>> folder.cleanup()
    """
    path = checks.check_path("path", path)
    try:
        with path.open("rb") as file, ZipFile(file) as archive:
            members = archive.infolist()
            _check_promises(path, members, os.fstat(file.fileno()).st_size)
            arrays = {
                member.filename.removesuffix(".npy"): _read_array(path, archive, member)
                for member in members
            }
        text = arrays.pop(HEADER, np.array("{}"))
        header = json.loads(text.item()) if text.ndim == 0 else None
    except OSError as error:
        errors.raise_unreadable_file(path, error.strerror or str(error))
    except errors.InputError:
        raise
    except MemoryError:
        errors.raise_unreadable_file(path, "it does not fit into memory")
    except Exception:  # in damaged bytes zip, zlib and NumPy's header parser find nearly any error
        errors.raise_unreadable_file(path, DAMAGED)
    if not isinstance(header, dict):
        errors.raise_unreadable_file(path, "its header is not a JSON object")
    return arrays, header


@contextmanager
def claim(path: Path) -> Iterator[None]:
    """Be the only process that writes what a file stands for; the file says which process that is.

    A process that was killed leaves its file. On the same machine that is noticed, where the system
    can be asked; else the refusal says what to delete.
    """
    try:
        if _is_left(path):
            path.unlink(missing_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(f"process {os.getpid()} on {platform.node()}")
    except FileExistsError:
        raise errors.OutputError(
            f"another run is writing there, says {path}: wait for it, or choose another folder; if "
            "it does not run any more, delete that file"
        ) from None
    except OSError as error:
        errors.raise_unwritable(path, error)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()


def _is_left(path: Path) -> bool:
    """Whether the process that claimed a file is known to have ended."""
    try:
        holder = re.fullmatch(r"process ([1-9]\d*) on (.*)", path.read_text("utf-8"))
    except (OSError, ValueError):
        return False
    if holder is None or holder[2] != platform.node() or os.name == "nt":
        return False  # Windows would end a process that is asked by a signal
    if int(holder[1]) == os.getpid():  # in a container, every program may have number 1
        return True
    try:
        os.kill(int(holder[1]), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:  # it is another user's
        pass
    return False


def _check_promises(path: Path, members: list[ZipInfo], length: int) -> None:
    """Refuse more bytes than anyone means, or than the file can hold, before memory is taken."""
    size = sum(member.file_size for member in members)
    if size > MOST_BYTES:
        errors.raise_unreadable_file(path, f"it promises {size:,} bytes, more than {MOST_BYTES:,}")
    if any(member.compress_type not in (ZIP_STORED, ZIP_DEFLATED) for member in members):
        errors.raise_unreadable_file(path, "it is packed by another method than deflate")
    for member in members:
        growth = 1 if member.compress_type == ZIP_STORED else MOST_GROWTH
        if size > BOMB_BYTES:
            growth = min(growth, BOMB_GROWTH)
        if member.file_size > growth * member.compress_size:
            errors.raise_unreadable_file(
                path, f"it promises {member.file_size:,} bytes out of {member.compress_size:,}"
            )
    if sum(member.compress_size for member in members) > length:
        errors.raise_unreadable_file(path, DAMAGED)


def _read_array(path: Path, archive: ZipFile, member: ZipInfo) -> NDArray[Any]:
    """One array, whose header agrees with the zip's about its size."""
    with archive.open(member) as packed:
        file = BytesIO(packed.read(MOST_HEADER))
        is_1_0 = npy.read_magic(file) == (1, 0)
        read_header = npy.read_array_header_1_0 if is_1_0 else npy.read_array_header_2_0
        shape, _, dtype = read_header(file)
    if dtype.hasobject:
        name = ascii(member.filename)[1:-1]  # one line, whatever is in it
        errors.raise_unreadable_file(path, f"{name} holds objects, not numbers {AS_WORDS}")
    # Of items without bytes there could be any number.
    if not dtype.itemsize or file.tell() + prod(shape) * dtype.itemsize != member.file_size:
        errors.raise_unreadable_file(path, DAMAGED)
    with archive.open(member) as packed:
        return npy.read_array(packed, allow_pickle=False)
