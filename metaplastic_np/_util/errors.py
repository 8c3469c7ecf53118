"""The package's exceptions, and what is refused while it runs: divergence, files, folders, workers.

With :mod:`_checks`, which refuses wrong arguments, the only place where errors are worded.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["DivergenceError", "InputError", "OutputError", "WorkerError"]

RUN_KEYS = ("kind", "schema", "dataset", "dataset_sha256")  # beside settings, what a run is


class InputError(ValueError):
    """An argument, a file or an option is not what the function needs."""


class DivergenceError(ArithmeticError):
    """Learning diverged: a gradient, a weight or an answer is inf or NaN."""


class WorkerError(RuntimeError):
    """A worker process died."""


class OutputError(OSError):
    """Results cannot be written, or the folder holds results of other settings."""


def raise_non_finite_gradient(layer: int, update: int, presentation: int | None) -> NoReturn:
    """An update would have spread inf or NaN over the weights."""
    when = "" if presentation is None else f" of presentation {presentation + 1}"
    raise DivergenceError(
        f"the gradient of layer {layer + 1} is not finite at update {update + 1}{when}; "
        "that update moved no weight. Learning diverged: try a smaller learning rate"
    )


def raise_diverged(what: str, presentation: int | None) -> NoReturn:
    """Finite gradients, but steps or sums too large for the dtype."""
    when = "" if presentation is None else f" after presentation {presentation + 1}"
    raise DivergenceError(
        f"{what} are not finite{when}. Learning diverged: try a smaller learning rate"
    )


def raise_dead_worker(error: Exception) -> NoReturn:
    """A worker was killed, perhaps for want of memory."""
    raise WorkerError(
        "a worker process died: killed, or out of memory? (fewer workers need less)"
    ) from error


def raise_unbalanced(low: float, high: float, difference: float) -> NoReturn:
    """No steepness in the range makes first and last item equally well recalled."""
    ahead = "the last item stays" if difference < 0 else "the last item never gets"
    raise InputError(
        f"no steepness between {low:.3g} and {high:.3g} balances first and last item: {ahead} "
        "ahead. Is a just-learned item recalled at all (learning rate, epochs)?"
    )


def raise_unreadable_file(path: Path, reason: str) -> NoReturn:
    """A file that is missing, damaged, or not what its name says."""
    raise InputError(f"cannot read {path}: {reason}")


def raise_changed_dataset(name: str) -> NoReturn:
    """What a worker loaded is not what it was asked to learn from."""
    raise InputError(
        f"the images of dataset {name!r} changed since the run started "
        "(or its `reload` loads others); start again"
    )


def raise_missing_mnist(name: str, places: Iterable[Path]) -> NoReturn:
    """A dataset that does not come with the package, and is not on this machine."""
    raise InputError(
        f"cannot find MNIST's {name}.gz in {' or '.join(map(str, places))}: run `metaplastic-np "
        "data fetch mnist`, or set METAPLASTIC_NP_DATA to a folder with the four files"
    )


def raise_no_home() -> NoReturn:
    """An account without a home folder, as some containers have."""
    raise InputError("there is no home folder to keep data in: set METAPLASTIC_NP_DATA to a folder")


def raise_missing_extra(extra: str, error: ImportError) -> NoReturn:
    """A package that only some users need."""
    raise InputError(
        f'{error.name} cannot be imported ({error}): pip install "metaplastic-np[{extra}]"'
    ) from error


def raise_no_results(folder: Path) -> NoReturn:
    """Nothing to report on."""
    raise InputError(f"there are no results (*.npz) in {folder}: run an experiment first")


def raise_no_checkout(what: str, path: Path) -> NoReturn:
    """A part of the sources that an installed package does not bring."""
    raise InputError(
        f"{what} comes with a source checkout, and {path} is not there: "
        'run `pip install -e ".[bench]"` in a clone of the repository'
    )


def raise_no_scheduler(address: str, error: Exception) -> NoReturn:
    """A cluster that is not there."""
    raise InputError(
        f"no Dask scheduler answers at {address} ({type(error).__name__}): start one with "
        "`dask scheduler`, or use --jobs"
    ) from error


def raise_unfetched(name: str, failures: Sequence[str], folder: Path) -> NoReturn:
    """No mirror gave the right file."""
    raise OutputError(
        f"cannot fetch {name} ({'; '.join(failures)}): no network? copy the four files into "
        f"{folder}, or set METAPLASTIC_NP_DATA to a folder with them"
    )


def check_file_kind(
    path: Path, header: Mapping[str, Any], *, kind: str, schema: tuple[int, ...] = (1,)
) -> None:
    """A file of ours, of this kind, written by a version that we can read."""
    if header.get("kind") != kind:
        raise_unreadable_file(path, f"it does not hold a {kind}")
    if header.get("schema") not in schema:
        known = " and ".join(map(str, schema))
        raise_unreadable_file(
            path, f"its schema is {header.get('schema')!r}; this version reads {known}"
        )


def check_names(path: Path, arrays: Collection[str], names: Iterable[str]) -> None:
    """A file with every array that belongs to its kind."""
    missing = [name for name in names if name not in arrays]
    if missing:
        raise_unreadable_file(path, "it lacks " + ", ".join(missing))


def check_shapes(
    path: Path, arrays: Mapping[str, Any], shapes: Mapping[str, tuple[int | None, ...]]
) -> None:
    """Arrays of numbers of these shapes; None takes any length."""
    for name, shape in shapes.items():
        found = arrays[name].shape
        fits = len(found) == len(shape) and all(
            wanted in (None, length) for wanted, length in zip(shape, found, strict=True)
        )
        dtype = arrays[name].dtype
        if not fits or dtype.kind not in "iuf":
            raise_unreadable_file(path, f"{name} are {found} of {dtype}, not {shape} numbers")


def _settings_of(run: Mapping[str, Any]) -> Mapping[str, Any]:
    """A run's settings; none where a file holds something else."""
    found = run.get("settings")
    return found if isinstance(found, Mapping) else {}


def check_same_run(path: Path, header: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    """Results of another run are not mixed with, or overwritten by, this one's."""
    theirs, ours = (
        {**{name: run.get(name) for name in RUN_KEYS}, **_settings_of(run)}
        for run in (header, identity)
    )
    for name, value in ours.items():
        if theirs.get(name) != value:
            raise OutputError(
                f"{path} belongs to a run with other settings ({name} {theirs.get(name)!r}, now "
                f"{value!r}); choose another folder, or delete it"
            )


def check_paired(headers: Sequence[Mapping[str, Any]]) -> None:
    """Trials of several runs are compared in pairs: they must be the same draws."""
    for header in headers:
        for name in ("dataset_sha256", "seed"):
            first, other = ({**run, **run["settings"]}.get(name) for run in (headers[0], header))
            if first != other:
                raise InputError(
                    f"runs that a claim compares must share their {name}; got {first} and {other}"
                )


def warn_other_machines(headers: Sequence[Mapping[str, Any]]) -> None:
    """Trials of one run should share their last bits."""

    def facts(header: Mapping[str, Any]) -> tuple[object, ...]:
        # What a process had loaded when it was asked differs; the kernels of its BLAS do not.
        machine = header.get("machine", {})
        kernels = {str(library).split()[-1] for library in machine.get("blas", ())}
        rest = {name: fact for name, fact in machine.items() if name != "blas"}
        return header.get("backend"), kernels, rest

    if any(facts(header) != facts(headers[0]) for header in headers):
        warnings.warn(
            "some trials were run on another machine, backend or version; "
            "their last bits may differ from those of a run in one piece",
            RuntimeWarning,
            stacklevel=2,
        )


def raise_unwritable(path: Path, error: OSError) -> NoReturn:
    """A file or folder that the system does not let us write."""
    reason = error.strerror or str(error)
    raise OutputError(f"cannot write to {path}: {reason}; choose another folder")


def check_output_folder(folder: Path) -> Path:
    """A folder that exists (made if need be) and takes a file."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise_unwritable(folder, error)
    return folder
