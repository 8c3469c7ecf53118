"""What survives an interruption: finished trials, and the state of a long one.

A run's folder holds ``trial-0000.npz`` for each finished trial and, for one that takes long,
``trial-0000.state.npz``: what learning changes in every network, what the watchers noted, and the
states that a later step rewinds to. All of it is named arrays, whatever the rules are.

A file is used only if it says that it is this trial of this run, made by this version, and if its
numbers can be right. One of another run or version is refused. One that is damaged is set aside
under another name, and its trial is learned again.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._util import checks, errors
from .._util.storage import read_arrays, write_arrays
from ..scenarios import count_new, draw_schedule
from .learners import State
from .machine import find_version
from .settings import Settings, check_same_run
from .watchers import TENTHS, Rows

Arrays = dict[str, NDArray[Any]]

MEASURED = (  # arrays of a trial
    "confusion",
    "recall_by_epoch",
    "displacement_by_flexibility",
    "displacement_share",
    "item_classes",
    "schedule",
    "kappa",
)
FILE = re.compile(r"trial-(\d{4,})(\.state)?\.npz")
MOST_SECONDS = 1e9  # that a trial can have taken: thirty years


@dataclass(kw_only=True)
class Progress:
    """What a trial has learned so far: with its draws, all that it needs to go on."""

    rms: float  # displacement after the first presentation of plain gradient descent, for kappa
    states: list[State] = field(default_factory=list)  # of every network
    rows: list[Rows] = field(default_factory=list)  # of every network
    kept: dict[int, list[State]] = field(default_factory=dict)  # by presentations learned
    done: int = 0


def trial_path(folder: Path, trial: int) -> Path:
    """Where a finished trial is."""
    return folder / f"trial-{trial:04d}.npz"


def state_path(folder: Path, trial: int) -> Path:
    """Where a trial that takes long keeps what it has learned so far."""
    return folder / f"trial-{trial:04d}.state.npz"


def write_progress(path: Path, progress: Progress, identity: Mapping[str, Any]) -> None:
    """Put what was learned so far on disk, whole; uncompressed, since weights do not compress."""
    if not path.parent.is_dir():
        return  # a worker on another machine, which the folder does not reach
    arrays: Arrays = {}
    for index, (state, rows) in enumerate(zip(progress.states, progress.rows, strict=True)):
        arrays |= {f"state/{index}/{name}": array for name, array in state.items()}
        arrays |= {f"rows/{index}/{name}": np.array(found) for name, found in rows.items()}
    for after, states in progress.kept.items():
        for index, state in enumerate(states):
            arrays |= {f"kept/{after}/{index}/{name}": array for name, array in state.items()}
    facts = {"done": progress.done, "rms": progress.rms, "arrays": sorted(arrays)}
    write_arrays(path, arrays, header={**identity, **facts}, compress=False)


def read_progress(path: Path, identity: Mapping[str, Any], names: Iterable[str]) -> Progress:
    """What a stopped trial had learned, refused if it was another run's or another trial's.

    `names` are the rows that each network must have.
    """
    arrays, header = read_arrays(path)
    _check_trial(path, header, identity)
    errors.check_names(path, header, ("done", "rms", "arrays"))
    n_networks = len(identity["networks"])
    wanted = ["state/{}/parameters", *(f"rows/{{}}/{name}" for name in names)]
    every = [name.format(index) for index in range(n_networks) for name in wanted]
    errors.check_names(path, arrays, every)
    try:
        errors.check_names(path, arrays, header["arrays"])
        return _sort(arrays, header, n_networks)
    except (TypeError, ValueError, IndexError, OverflowError) as error:
        errors.raise_unreadable_file(path, f"it holds no state of a trial ({error})")


def _sort(arrays: Arrays, header: Mapping[str, Any], n_networks: int) -> Progress:
    """Put a file's arrays where they belong, by their names."""
    progress = Progress(rms=float(header["rms"]), done=int(header["done"]))
    progress.states = [{} for _ in range(n_networks)]
    progress.rows = [{} for _ in range(n_networks)]
    for name, array in arrays.items():
        kind, place, part = name.split("/", 2)
        if kind == "state":
            progress.states[int(place)][part] = array
        elif kind == "rows":
            progress.rows[int(place)][part] = list(array)
        else:
            index, part = part.split("/", 1)
            kept = progress.kept.setdefault(int(place), [{} for _ in range(n_networks)])
            kept[int(index)][part] = array
    return progress


# --- finished trials -----------------------------------------------------------------


def describe_trial(identity: Mapping[str, Any], trial: int) -> dict[str, Any]:
    """What a trial's files must say: of which run, which trial, and made by which version."""
    return {**identity, "trial": trial, "version": find_version("metaplastic_np")}


def _check_trial(path: Path, header: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    """Refuse a file that is not of the run, the trial and the version of an identity."""
    check_same_run(path, header, identity)
    errors.check_names(path, header, ("trial", "version"))
    if header["trial"] != identity["trial"]:
        errors.raise_unreadable_file(
            path, f"it holds trial {header['trial']!r}, not {identity['trial']}"
        )
    check_version(path, header["version"])


def check_version(path: Path, version: object) -> None:
    """Refuse to go on with what another version of the package has learned."""
    ours = find_version("metaplastic_np")
    if version != ours:
        raise errors.OutputError(
            f"{path} was made by version {version} of metaplastic_np, and this is {ours}: "
            "go on with that version, or choose another folder"
        )


def clear_trials(folder: Path, trials: int) -> None:
    """Remove the files of so many trials, whose results are saved; and the folder, once empty."""
    with suppress(OSError):
        for path in folder.glob(".trial-*.partial"):  # a kill leaves these
            path.unlink()
        for trial in range(trials):
            trial_path(folder, trial).unlink(missing_ok=True)
            state_path(folder, trial).unlink(missing_ok=True)
        folder.rmdir()


def write_trial(folder: Path, trial: int, arrays: Arrays, header: dict[str, Any]) -> None:
    """Put a finished trial on disk, whole."""
    errors.check_output_folder(folder)
    write_arrays(trial_path(folder, trial), arrays, header=describe_trial(header, trial))
    state_path(folder, trial).unlink(missing_ok=True)


def read_trial(path: Path, identity: Mapping[str, Any]) -> tuple[Arrays, dict[str, Any]]:
    """A finished trial, refused if it is not the one that :func:`describe_trial` describes."""
    arrays, header = read_arrays(path)
    _check_trial(path, header, identity)
    errors.check_names(path, arrays, MEASURED)
    errors.check_names(path, header, ("backend", "machine", "seconds"))
    check_facts(path, header, [header["seconds"]])
    settings = Settings(**identity["settings"])
    measured = {name: arrays[name] for name in MEASURED}
    check_measured(path, measured, settings, measure_shapes(settings))
    known = {**header, **identity}  # as this run says it, which may have more trials
    return measured, {name: known[name] for name in known if name not in ("trial", "version")}


def recover_trials(
    folder: Path, identity: Mapping[str, Any]
) -> tuple[dict[int, tuple[Arrays, dict[str, Any]]], int]:
    """Finished trials in a run's folder, and how many others have begun.

    Refused if a file belongs to another run or version. A file that cannot be used is set aside,
    with a warning.
    """
    finished, begun = {}, 0
    for path in sorted(folder.glob("trial-*.npz")):
        named = FILE.fullmatch(path.name)
        if named is None:
            continue
        trial = int(named[1])
        try:
            if named[2]:
                read_progress(path, describe_trial(identity, trial), ())
                begun += 1
            else:
                finished[trial] = read_trial(path, describe_trial(identity, trial))
        except errors.InputError as error:
            set_aside(path, error)
    return {n: finished[n] for n in finished if n < identity["settings"]["trials"]}, begun


def set_aside(path: Path, error: errors.InputError) -> None:
    """Give a file that cannot be used another name, and say so."""
    names = (path.with_name(f"{path.name}.aside-{number}") for number in count(1))
    aside = next(other for other in names if not other.exists())
    try:
        path.replace(aside)
    except OSError as refused:
        errors.raise_unwritable(path, refused)
    words = f"{error}; it is now called {aside.name}, and its trial is learned again"
    warnings.warn(words, RuntimeWarning, stacklevel=2)


# --- can it be right? ----------------------------------------------------------------


def measure_shapes(settings: Settings) -> dict[str, tuple[int | None, ...]]:
    """The shape of every array of a trial; None where the settings do not say."""
    n_items, n_networks = settings.n_items, len(settings.networks)
    steps = draw_schedule(settings.schedule, n_items, rng=np.random.default_rng(0))
    n_groups = n_items + count_new(steps, n_items)
    n_by_epoch = len(settings.by_epoch)
    rows_by_epoch = len(steps) * settings.epochs + 1 if n_by_epoch else 0
    moved = (n_networks, len(steps) if settings.by_flexibility else 0, TENTHS)
    return {
        "confusion": (n_networks, len(steps) + 1, n_groups, n_items),
        "recall_by_epoch": (n_networks, rows_by_epoch, n_by_epoch),
        "displacement_by_flexibility": moved,
        "displacement_share": moved,
        "item_classes": (n_groups, None),
        "schedule": (len(steps), 4),
        "kappa": (),
    }


def check_measured(
    path: Path,
    arrays: Mapping[str, NDArray[Any]],
    settings: Settings,
    shapes: Mapping[str, tuple[int | None, ...]],
) -> None:
    """Refuse arrays of a trial, or of many, that cannot be what a run of the settings measured."""
    errors.check_shapes(path, arrays, shapes)
    n_items, n_tested = settings.n_items, settings.n_test_images
    counts, by_epoch, kappa = arrays["confusion"], arrays["recall_by_epoch"], arrays["kappa"]
    schedule, n_steps = arrays["schedule"], arrays["schedule"].shape[-2]
    asked, most = counts.sum(axis=-1), [n_items - 1, n_items - 1, counts.shape[-2] - 1]
    is_right = {
        "confusion": _is_whole(counts)
        and (asked[..., :n_items] == n_tested).all()
        and np.isin(asked[..., n_items:], (0, n_tested)).all(),
        "recall_by_epoch": ((by_epoch >= 0) & (by_epoch <= 1)).all(),
        "item_classes": _is_whole(arrays["item_classes"]),
        "schedule": _is_whole(schedule)
        and (schedule[..., :3] <= most).all()
        and (schedule[..., 3] <= np.arange(n_steps)).all(),
        "kappa": (np.isfinite(kappa) & (kappa > 0)).all(),
    }
    _refuse_first(path, is_right)


def check_facts(path: Path, header: Mapping[str, Any], seconds: Iterable[Any]) -> None:
    """Refuse a header that does not say in words where, on what and for how long a run ran."""
    machine = header["machine"]
    blas = machine.get("blas", []) if isinstance(machine, dict) else None
    is_right = {
        "dataset": isinstance(header["dataset"], str),
        "dataset_sha256": isinstance(header["dataset_sha256"], str),
        "backend": header["backend"] in checks.BACKENDS,
        "machine": isinstance(blas, list) and all(isinstance(w, str) and w.strip() for w in blas),
        "seconds": all(type(s) in (int, float) and 0 <= s <= MOST_SECONDS for s in seconds),
    }
    _refuse_first(path, is_right)


def _refuse_first(path: Path, is_right: Mapping[str, Any]) -> None:
    """Refuse a file for the first thing in it that cannot be right."""
    for name, right in is_right.items():
        if not right:
            errors.raise_unreadable_file(path, f"its {name} cannot be right")


def _is_whole(array: NDArray[Any]) -> bool:
    return array.dtype.kind in "iu" and bool((array >= 0).all())
