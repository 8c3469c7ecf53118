"""The experiments of the paper, their results, and the steepness they need."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _checks, _errors
from .datasets import Dataset
from .recall import measure_false_alarms, measure_memorized, measure_recall
from .storage import read_arrays, write_arrays, write_atomic
from .trials import Settings, describe_run, read_trials, run_trial, write_trial
from .workers import one_blas_thread, run_jobs

__all__ = [
    "CALIBRATION_SEED",
    "Results",
    "balance_steepness",
    "load_results",
    "run_serial_position",
    "save_results",
]

CALIBRATION_SEED = 10_000
BALANCE_RANGE = (0.5, 64.0)  # kappa; the working range of a network is about a factor of two
ARRAYS = ("recall", "confusion", "recall_by_epoch", "item_classes", "kappa")  # of Results
BALANCE_STEPS = 8  # halvings: s is found to 2 %, far below what trials scatter


@dataclass(frozen=True, kw_only=True, eq=False)
class Results:
    """What an experiment measured, one number for each network, trial, presentation and item.

    Parameters
    ----------
    experiment : str
    settings : Settings
    confusion : int array (n_networks, n_trials, n_presentations + 1, n_items, n_items)
        Answers to the test images, ``[..., item, answer]``; presentation 0 is untrained.
    recall : float array (n_networks, n_trials, n_presentations + 1, n_items)
        Share of each item's test images answered as it.
    recall_by_epoch : float array (n_networks, n_trials, n_presentations * epochs + 1, n_items)
        Of no rows where ``settings.by_epoch`` is off.
    item_classes : int array (n_trials, n_items, classes an item)
        What each item shows.
    kappa : float array (n_trials,)
        Dimensionless steepness of each trial.
    header : dict
        Settings, dataset, machine, versions and times: all that may differ between equal runs.

    Examples
    --------
    See :func:`run_serial_position`.
    """

    experiment: str
    settings: Settings
    confusion: NDArray[np.int64]
    recall: NDArray[np.float64]
    recall_by_epoch: NDArray[np.float64]
    item_classes: NDArray[np.int64]
    kappa: NDArray[np.float64]
    header: dict[str, Any]


def run_serial_position(
    dataset: Dataset,
    settings: Settings,
    *,
    backend: str = "auto",
    executor: Executor | None = None,
    checkpoint: Path | str | None = None,
    on_trial: Callable[[int], None] | None = None,
) -> Results:
    """Present a list of items once, and test all of them after every presentation.

    Parameters
    ----------
    dataset : Dataset
    settings : Settings
    backend : {"auto", "numba", "numpy"}
    executor : concurrent.futures.Executor, optional
        Where trials run, for instance :func:`open_pool`'s; default: one after the other, here.
    checkpoint : path, optional
        A folder: each finished trial is written to it at once, and trials found in it are not
        run again.
    on_trial : callable, optional
        Called with the number of finished trials each time there is one more.

    Returns
    -------
    Results

    Raises
    ------
    InputError
        If the dataset cannot serve the settings.
    OutputError
        If the checkpoint cannot be written or belongs to other settings.
    DivergenceError
        If learning diverged.
    WorkerError
        If a worker process died.

    Examples
    --------
    >>> from metaplastic_np import load_digits
    >>> settings = Settings(n_items=3, trials=2, n_train_images=100, n_features=64, hidden=(32,))
    >>> results = run_serial_position(load_digits(), settings)
    >>> results.recall.shape  # networks, trials, presentations with the untrained row, items
    (3, 2, 4, 3)
    """
    started = time.perf_counter()
    backend = _checks.check_backend(backend)
    check_items(dataset, settings)
    identity = describe_run("serial-position", dataset, settings)
    checkpoint = None if checkpoint is None else Path(checkpoint)
    trials = {} if checkpoint is None else read_trials(checkpoint, identity)
    missing = [
        (dataset, settings, trial, backend)
        for trial in range(settings.trials)
        if trial not in trials
    ]
    # Here too, for an executor of threads: a thread starts with the limit of its process.
    with one_blas_thread():
        for (_, _, trial, _), (arrays, facts) in run_jobs(run_trial, missing, executor):
            header = {**identity, **facts}
            if checkpoint is not None:
                write_trial(checkpoint, trial, arrays, header)
            trials[trial] = arrays, header
            if on_trial is not None:
                on_trial(len(trials))

    in_order = [trials[trial] for trial in range(settings.trials)]
    headers = [header for _, header in in_order]
    _errors.warn_other_machines(headers)
    stacked = {name: np.stack([arrays[name] for arrays, _ in in_order]) for name in in_order[0][0]}
    # Trials come first in a stack; the network axis leads in the results.
    confusion = np.moveaxis(stacked["confusion"], 1, 0)
    return Results(
        experiment="serial-position",
        settings=settings,
        confusion=confusion,
        recall=measure_recall(confusion),
        recall_by_epoch=np.moveaxis(stacked["recall_by_epoch"], 1, 0),
        item_classes=stacked["item_classes"],
        kappa=stacked["kappa"],
        header={
            **headers[0],
            "seconds": round(time.perf_counter() - started, 3),
            "seconds_by_trial": [header["seconds"] for header in headers],
        },
    )


def balance_steepness(
    dataset: Dataset,
    settings: Settings,
    *,
    trials: int = 10,
    backend: str = "auto",
    executor: Executor | None = None,
    on_step: Callable[[float, float], None] | None = None,
) -> float:
    """Steepness at which the hybrid recalls the first item of a list as well as the last.

    Bisects on calibration seeds (from 10,000 on), which no verdict uses. Below it the newest items
    win, above it the oldest.

    Parameters
    ----------
    dataset : Dataset
    settings : Settings
        Its seed, trials, networks, steepness and kappa are not used.
    trials : int
        Calibration trials a step.
    backend : {"auto", "numba", "numpy"}
    executor : concurrent.futures.Executor, optional
    on_step : callable, optional
        Called with each steepness tried and its recall of the first minus the last item.

    Returns
    -------
    float
        s, in 1/weight.

    Raises
    ------
    InputError
        If no kappa from 0.5 to 64 balances the two.

    Examples
    --------
    >>> from metaplastic_np import load_digits
    >>> settings = Settings(n_items=5, n_train_images=100, n_features=64, hidden=(32,),
    ...                     learning_rate=0.05)
    >>> 10 < balance_steepness(load_digits(), settings, trials=3) < 10_000
    True
    """
    settings = replace(
        settings,
        seed=CALIBRATION_SEED,
        trials=_checks.check_count("trials", trials),
        networks=("hybrid",),
        by_epoch=False,
        steepness=1.0,
        kappa=None,
    )

    def run(steepness: float) -> Results:
        tried = replace(settings, steepness=steepness)
        return run_serial_position(dataset, tried, backend=backend, executor=executor)

    rms = run(1.0).kappa.mean()
    low, high = (float(kappa / rms) for kappa in BALANCE_RANGE)
    range_tried, sides = (low, high), set()
    for _ in range(BALANCE_STEPS):
        middle = float(np.sqrt(low * high))
        curve = run(middle).recall[0, :, -1].mean(axis=0)
        difference = float(curve[0] - curve[-1])
        if on_step is not None:
            on_step(middle, difference)
        low, high = (middle, high) if difference < 0 else (low, middle)
        sides.add(difference < 0)
    if len(sides) == 1:
        _errors.raise_unbalanced(*range_tried, difference)
    return float(np.sqrt(low * high))


def save_results(results: Results, folder: Path | str) -> list[Path]:
    """Write ``<experiment>.npz`` and, for spreadsheets, ``<experiment>.csv``, each atomically.

    Parameters
    ----------
    results : Results
    folder : path
        Made if it does not exist.

    Returns
    -------
    list of path
        The files written.

    Raises
    ------
    OutputError
        If the folder cannot be written or holds results of other settings.

    Examples
    --------
    See :func:`load_results`.
    """
    folder = _errors.check_output_folder(Path(folder))
    check_folder(folder, results.header)
    npz, table = (folder / f"{results.experiment}.{ending}" for ending in ("npz", "csv"))
    write_arrays(npz, {name: getattr(results, name) for name in ARRAYS}, header=results.header)

    false_alarms = measure_false_alarms(results.confusion)
    memorized = measure_memorized(results.confusion)
    lines = ["network,trial,presentation,item,recall,false_alarms,memorized"]
    for index in np.ndindex(results.recall.shape):
        network, *place = index
        cells = [results.settings.networks[network], *place, f"{results.recall[index]:.6g}"]
        cells += [f"{false_alarms[index]:.6g}", int(memorized[index])]
        lines.append(",".join(map(str, cells)))
    write_atomic(table, lambda file: file.write(("\n".join(lines) + "\n").encode()))
    return [npz, table]


def load_results(path: Path | str) -> Results:
    """Read the npz that :func:`save_results` wrote.

    Parameters
    ----------
    path : path

    Returns
    -------
    Results

    Raises
    ------
    InputError
        If the file is missing, damaged or not an experiment's results.

    Examples
    --------
    >>> import tempfile
    >>> from metaplastic_np import load_digits
    >>> settings = Settings(n_items=3, trials=1, n_train_images=50, n_features=16, hidden=(8,))
    >>> results = run_serial_position(load_digits(), settings)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     npz, table = save_results(results, folder)
    ...     again = load_results(npz)
    >>> bool((again.recall == results.recall).all()), again.settings == settings
    (True, True)
    """
    arrays, header = read_arrays(path)
    _errors.check_file_kind(Path(path), header, kind="serial-position", schema=1)
    _errors.check_names(Path(path), arrays, ARRAYS)
    try:
        settings = Settings(**header["settings"])
    except (KeyError, TypeError, _errors.InputError) as error:
        _errors.raise_unreadable_file(Path(path), f"its settings cannot be used ({error})")
    return Results(
        experiment=header["kind"],
        settings=settings,
        header=header,
        **{name: arrays[name] for name in ARRAYS},
    )


def check_items(dataset: Dataset, settings: Settings) -> None:
    """Refuse a list that the dataset cannot serve, before anything is written."""
    _checks.check_dataset(dataset, Dataset)
    available = len(dataset.item_classes)
    _checks.check_item_count(settings.n_items, available=available, minimum=2)
    if not dataset.paired:
        for name in ("train", "test"):
            wanted = getattr(settings, f"n_{name}_images")
            counts = np.bincount(getattr(dataset, f"{name}_labels"))
            for item, count in enumerate(counts):
                _checks.check_enough_images(
                    f"n_{name}_images", item, wanted=wanted, available=int(count)
                )


def check_folder(folder: Path, identity: dict[str, Any]) -> None:
    """Refuse a folder in which the same experiment left results of other settings."""
    path = folder / f"{identity['kind']}.npz"
    if path.exists():
        _errors.check_same_run(path, read_arrays(path)[1], identity)
