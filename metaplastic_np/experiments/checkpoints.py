"""What survives an interruption: finished trials, and the state of a long one.

A trial's folder holds ``trial-0000.npz`` for each finished trial and, for one that takes long,
``trial-0000.state.npz``: what learning changes in every network, what the watchers noted, and the
states that a later step rewinds to. All of it is named arrays, whatever the rules are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._util import errors
from .._util.storage import read_arrays, write_arrays
from .learners import State
from .settings import check_same_run
from .watchers import Rows

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


@dataclass(kw_only=True)
class Progress:
    """What a trial has learned so far: with its draws, all that it needs to go on."""

    rms: float  # displacement after the first presentation of plain gradient descent, for kappa
    states: list[State] = field(default_factory=list)  # of every network
    rows: list[Rows] = field(default_factory=list)  # of every network
    kept: dict[int, list[State]] = field(default_factory=dict)  # by presentations learned
    done: int = 0


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


def read_progress(path: Path, identity: Mapping[str, Any], names: Rows) -> Progress | None:
    """What a stopped trial had learned, refused if it was another run's.

    `names` are the rows that each network must have.
    """
    if not path.exists():
        return None
    arrays, header = read_arrays(path)
    check_same_run(path, header, identity)
    errors.check_names(path, header, ("done", "rms", "arrays"))
    n_networks = len(identity["networks"])
    wanted = ["state/{}/parameters", *(f"rows/{{}}/{name}" for name in names)]
    every = [name.format(index) for index in range(n_networks) for name in wanted]
    errors.check_names(path, arrays, every)
    try:
        errors.check_names(path, arrays, header["arrays"])
        return _sort(arrays, header, n_networks)
    except (TypeError, ValueError, IndexError) as error:
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


def _trial_path(folder: Path, trial: int) -> Path:
    return folder / f"trial-{trial:04d}.npz"


def write_trial(folder: Path, trial: int, arrays: Arrays, header: dict[str, Any]) -> None:
    """Put a finished trial on disk, whole."""
    errors.check_output_folder(folder)
    write_arrays(_trial_path(folder, trial), arrays, header=header)
    state_path(folder, trial).unlink(missing_ok=True)


def read_trials(folder: Path, identity: dict[str, Any]) -> dict[int, tuple[Arrays, dict[str, Any]]]:
    """Finished trials in a checkpoint folder, refused if they belong to another run."""
    trials = {}
    for trial in range(identity["settings"]["trials"]):
        path = _trial_path(folder, trial)
        if path.exists():
            arrays, header = read_arrays(path)
            check_same_run(path, header, identity)
            errors.check_names(path, arrays, MEASURED)
            trials[trial] = arrays, header
    return trials
