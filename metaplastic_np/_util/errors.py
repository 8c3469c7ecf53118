"""The package's four exceptions, and what many modules refuse: files, folders, missing packages.

A refusal that only one module knows is raised there.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["DivergenceError", "InputError", "OutputError", "WorkerError"]


class InputError(ValueError):
    """An argument, a file or an option is not what the function needs."""


class DivergenceError(ArithmeticError):
    """Learning diverged: a gradient, a weight or an answer is inf or NaN."""


class WorkerError(RuntimeError):
    """A worker process died."""


class OutputError(OSError):
    """Results cannot be written, or the folder holds results of other settings."""


def raise_diverged(what: str, presentation: int | None) -> NoReturn:
    """Every gradient was finite, but a step or a sum was too large for the dtype."""
    when = "" if presentation is None else f" after presentation {presentation + 1}"
    raise DivergenceError(
        f"{what} are not finite{when}. Learning diverged: try a smaller learning rate"
    )


def raise_unreadable_file(path: Path, reason: str) -> NoReturn:
    """Refuse a file that is missing, damaged or of another kind."""
    raise InputError(f"cannot read {path}: {reason}")


def raise_missing_extra(extra: str, error: ImportError) -> NoReturn:
    """Name the extra that installs a missing package."""
    raise InputError(
        f'{error.name} cannot be imported ({error}): pip install "metaplastic-np[{extra}]"'
    ) from error


def check_file_kind(
    path: Path, header: Mapping[str, Any], *, kind: str, schema: tuple[int, ...] = (1,)
) -> None:
    """Require a file of this kind that this version can read."""
    if header.get("kind") != kind:
        raise_unreadable_file(path, f"it holds no {kind}")
    if header.get("schema") not in schema:
        known = " and ".join(map(str, schema))
        raise_unreadable_file(
            path, f"its schema is {header.get('schema')!r}; this version reads {known}"
        )


def check_names(path: Path, arrays: Collection[str], names: Iterable[str]) -> None:
    """Require these names among those of a file's arrays or header."""
    missing = [name for name in names if name not in arrays]
    if missing:
        raise_unreadable_file(path, "it lacks " + ", ".join(missing))


def check_shapes(
    path: Path, arrays: Mapping[str, Any], shapes: Mapping[str, tuple[int | None, ...]]
) -> None:
    """Require arrays of numbers of these shapes; None stands for any length."""
    for name, shape in shapes.items():
        found, dtype = arrays[name].shape, arrays[name].dtype
        if not has_shape(arrays[name], shape) or dtype.kind not in "iuf":
            raise_unreadable_file(path, f"{name} are {found} of {dtype}, not {shape} numbers")


def has_shape(array: Any, shape: tuple[int | None, ...]) -> bool:
    """Whether an array has this shape, in which None stands for any length."""
    return array.ndim == len(shape) and all(
        wanted in (None, length) for wanted, length in zip(shape, array.shape, strict=True)
    )


def raise_unwritable(path: Path, error: OSError) -> NoReturn:
    """Refuse a file or folder that the system does not let us write."""
    reason = error.strerror or str(error)
    raise OutputError(f"cannot write to {path}: {reason}; choose another folder")


def check_output_folder(folder: Path) -> Path:
    """Make the folder if it does not exist; require that a file can be written in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise_unwritable(folder, error)
    return folder
