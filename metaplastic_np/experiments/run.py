"""The experiments of the paper, their results, and the steepness they need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._util import checks, errors
from .._util.blas import one_blas_thread
from .._util.storage import read_arrays, write_arrays, write_atomic
from ..metrics import measure_false_alarms, measure_memorized, measure_recall
from ..scenarios import Dataset, count_new, draw_schedule
from .settings import Settings, describe_run
from .trials import MEASURED, TENTHS, read_trials, run_trial, state_path, write_trial
from .workers import count_threads, run_jobs

__all__ = [
    "CALIBRATION_SEED",
    "Results",
    "balance_steepness",
    "load_results",
    "run_experiment",
    "run_experiments",
    "save_results",
]

CALIBRATION_SEED = 10_000
BALANCE_RANGE = (0.5, 64.0)  # kappa; the working range of a network is about a factor of two
BY_TRIAL = ("item_classes", "schedule", "kappa")  # arrays of Results, without a network axis
ARRAYS = ("recall", *MEASURED)
FACTS = ("settings", "dataset", "dataset_sha256", "backend", "machine", "seconds_by_trial")
BALANCE_STEPS = 8  # halvings: s is found to 2 %, far below what trials scatter


@dataclass(frozen=True, kw_only=True, eq=False)
class Results:
    """What an experiment measured, one number for each network, trial, presentation and item.

    Parameters
    ----------
    settings : Settings
    confusion : int array (n_networks, n_trials, n_presentations + 1, n_items, n_items)
        Answers to the test images, ``[..., item, answer]``; presentation 0 is untrained.
    recall : float array (n_networks, n_trials, n_presentations + 1, n_items)
        Share of each item's test images answered as it.
    recall_by_epoch : float array (n_networks, n_trials, n_presentations * epochs + 1, n_items)
        Of no rows where ``settings.by_epoch`` is off.
    new_confusion : int array (n_networks, n_trials, n_presentations + 1, n_new, n_items)
        Answers to the test images of new items, after presentations that showed one; else 0.
    displacement_by_flexibility : float array (n_networks, n_trials, n_presentations, 10)
        Rms of what a presentation added to the displacement, in units of weight, for synapses with
        f in [0, 0.1), ..., [0.9, 1]. Of no rows where ``settings.by_flexibility`` is off.
    displacement_share : float array, likewise
        The share that a presentation has in the displacement at the end; adds up to 1 where the
        schedule does not rewind.
    item_classes : int array (n_trials, n_items + n_new, classes an item)
        What each item shows.
    schedule : int array (n_trials, n_presentations, 4)
        Item, label, shown and after of every :class:`Step`.
    kappa : float array (n_trials,)
        Dimensionless steepness of each trial.
    header : dict
        Settings, dataset, machine, versions and times: all that may differ between equal runs.

    Examples
    --------
    See :func:`run_experiment`.
    """

    settings: Settings
    confusion: NDArray[np.int64]
    recall: NDArray[np.float64]
    recall_by_epoch: NDArray[np.float64]
    new_confusion: NDArray[np.int64]
    displacement_by_flexibility: NDArray[np.float64]
    displacement_share: NDArray[np.float64]
    schedule: NDArray[np.int64]
    item_classes: NDArray[np.int64]
    kappa: NDArray[np.float64]
    header: dict[str, Any]


def run_experiment(
    dataset: Dataset,
    settings: Settings,
    *,
    backend: str = "auto",
    executor: Executor | None = None,
    checkpoint: Path | str | None = None,
    on_trial: Callable[[Mapping[str, int]], None] | None = None,
) -> Results:
    """Present items as the settings' schedule says, and test all of them after every presentation.

    Parameters
    ----------
    dataset : Dataset
    settings : Settings
    backend : {"auto", "numba", "numpy"}
    executor : concurrent.futures.Executor, optional
        Where trials run, for instance :func:`open_pool`'s; default: one after the other, here,
        with a thread for each network as far as there are cores.
    checkpoint : path, optional
        A folder: each finished trial is written to it at once, and trials found in it are not
        run again. A trial that takes long keeps its state there, too.
    on_trial : callable, optional
        Called each time there is one more finished trial, with ``{"experiment": how many}``.

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
    >>> results = run_experiment(load_digits(), settings)
    >>> results.recall.shape  # networks, trials, presentations with the untrained row, items
    (3, 2, 4, 3)
    """
    return run_experiments(
        dataset,
        {"experiment": settings},
        backend=backend,
        executor=executor,
        checkpoints=None if checkpoint is None else {"experiment": Path(checkpoint)},
        on_trial=on_trial,
    )["experiment"]


def run_experiments(
    dataset: Dataset,
    runs: Mapping[str, Settings],
    *,
    backend: str = "auto",
    executor: Executor | None = None,
    checkpoints: Mapping[str, Path] | None = None,
    on_trial: Callable[[Mapping[str, int]], None] | None = None,
) -> dict[str, Results]:
    """Run several experiments at once: their trials share the workers, the longest first.

    Runs with the same seed share their trials' draws, so their networks can be compared in pairs.

    Parameters
    ----------
    dataset : Dataset
    runs : mapping of str to Settings
        By names of your own.
    backend, executor
        As for :func:`run_experiment`.
    checkpoints : mapping of str to path, optional
        A folder for each run.
    on_trial : callable, optional
        Called with the number of finished trials of every run each time there is one more.

    Returns
    -------
    dict of str to Results

    Raises
    ------
    InputError, OutputError, DivergenceError, WorkerError
        As :func:`run_experiment`.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from metaplastic_np import load_digits
    >>> settings = Settings(n_items=3, trials=2, n_train_images=100, n_features=64, hidden=(32,))
    >>> runs = {"once": settings, "twice": replace(settings, schedule=[0, 1, 2, 0, 1, 2])}
    >>> [results.recall.shape[2] for results in run_experiments(load_digits(), runs).values()]
    [4, 7]
    """
    backend = checks.check_backend(backend)
    finished: dict[str, dict[int, Any]] = {}
    missing = []
    threads = count_threads() if executor is None else 1
    for name, settings in runs.items():
        check_items(dataset, settings)
        folder = None if checkpoints is None else checkpoints[name]
        identity = describe_run(dataset, settings)
        finished[name] = {} if folder is None else read_trials(folder, identity)
        if folder is not None:
            errors.check_output_folder(folder)
        work = measure_work(dataset, settings)
        for trial in range(settings.trials):
            if trial not in finished[name]:
                state = None if folder is None else state_path(folder, trial)
                missing.append((work, name, (dataset, settings, trial, backend, state, threads)))
    # The longest first, so that no worker is left alone with one at the end.
    missing.sort(key=lambda job: -job[0])
    names = [name for _, name, _ in missing]
    # Here too, for an executor of threads: a thread starts with the limit of its process.
    with one_blas_thread():
        jobs = run_jobs(run_trial, [arguments for *_, arguments in missing], executor)
        for index, (_, settings, trial, _, state, _), (arrays, facts) in jobs:
            name = names[index]
            header = {**describe_run(dataset, settings), **facts}
            if state is not None:
                write_trial(state.parent, trial, arrays, header)
            finished[name][trial] = arrays, header
            if on_trial is not None:
                on_trial({name: len(trials) for name, trials in finished.items()})
    return {name: _collect(settings, finished[name]) for name, settings in runs.items()}


def _collect(settings: Settings, trials: Mapping[int, Any]) -> Results:
    """Results of all trials, whoever ran them, in their order."""
    in_order = [trials[trial] for trial in range(settings.trials)]
    headers = [header for _, header in in_order]
    errors.warn_other_machines(headers)
    stacked = {name: np.stack([arrays[name] for arrays, _ in in_order]) for name in in_order[0][0]}
    # Trials come first in a stack; the network axis leads in the results.
    by_network = {
        name: array if name in BY_TRIAL else np.moveaxis(array, 1, 0)
        for name, array in stacked.items()
    }
    return Results(
        settings=settings,
        recall=measure_recall(by_network["confusion"]),
        header={**headers[0], "seconds_by_trial": [header["seconds"] for header in headers]},
        **by_network,
    )


def measure_work(dataset: Dataset, settings: Settings) -> float:
    """How long a trial takes beside others: multiplications, roughly."""
    n_inputs = settings.n_features or (1 + dataset.paired) * dataset.train_images[0].size
    widths = (n_inputs, *settings.hidden, settings.n_items)
    n_synapses = sum(n_in * n_out for n_in, n_out in pairwise(widths))
    n_presentations = len(
        draw_schedule(settings.schedule, settings.n_items, rng=np.random.default_rng(0))
    )
    shown = 2 * settings.n_train_images * settings.epochs * 3
    tested = settings.n_items * settings.n_test_images
    per_presentation = shown + tested * (settings.epochs if settings.by_epoch else 1)
    return float(n_synapses * len(settings.networks) * n_presentations * per_presentation)


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
        trials=checks.check_count("trials", trials),
        networks=("hybrid",),
        schedule="single-pass",
        by_epoch=False,
        by_flexibility=False,
        steepness=1.0,
        kappa=None,
    )

    def run(steepness: float) -> Results:
        tried = replace(settings, steepness=steepness)
        return run_experiment(dataset, tried, backend=backend, executor=executor)

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
        errors.raise_unbalanced(*range_tried, difference)
    return float(np.sqrt(low * high))


def save_results(results: Results, folder: Path | str, *, name: str) -> list[Path]:
    """Write ``<name>.npz`` and, for spreadsheets, ``<name>.csv``, each atomically.

    Parameters
    ----------
    results : Results
    folder : path
        Made if it does not exist.
    name : str
        For instance "serial-position".

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
    folder = errors.check_output_folder(Path(folder))
    npz, table = (folder / f"{name}.{ending}" for ending in ("npz", "csv"))
    check_free(npz, results.header)
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
    >>> results = run_experiment(load_digits(), settings)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     npz, table = save_results(results, folder, name="mine")
    ...     again = load_results(npz)
    >>> bool((again.recall == results.recall).all()), again.settings == settings
    (True, True)
    """
    path = Path(path)
    arrays, header = read_arrays(path)
    errors.check_file_kind(path, header, kind="experiment", schema=1)
    errors.check_names(path, arrays, ARRAYS)
    errors.check_names(path, header, FACTS)
    try:
        settings = Settings(**header["settings"])
    except (KeyError, TypeError, errors.InputError) as error:
        errors.raise_unreadable_file(path, f"its settings cannot be used ({error})")
    measured = {name: arrays[name] for name in ARRAYS}
    errors.check_shapes(path, measured, _shapes(settings))
    return Results(settings=settings, header=header, **measured)


def _shapes(settings: Settings) -> dict[str, tuple[int | None, ...]]:
    """The shape of every array of results; None where the settings do not say."""
    n_items = settings.n_items
    steps = draw_schedule(settings.schedule, n_items, rng=np.random.default_rng(0))
    n_new = count_new(steps, n_items)
    trials = len(settings.networks), settings.trials
    tested = (*trials, len(steps) + 1)
    rows_by_epoch = len(steps) * settings.epochs + 1 if settings.by_epoch else 0
    moved = (*trials, len(steps) if settings.by_flexibility else 0, TENTHS)
    return {
        "recall": (*tested, n_items),
        "confusion": (*tested, n_items, n_items),
        "recall_by_epoch": (*trials, rows_by_epoch, n_items),
        "new_confusion": (*tested, n_new, n_items),
        "displacement_by_flexibility": moved,
        "displacement_share": moved,
        "item_classes": (settings.trials, n_items + n_new, None),
        "schedule": (settings.trials, len(steps), 4),
        "kappa": (settings.trials,),
    }


def check_items(dataset: Dataset, settings: Settings) -> None:
    """Refuse a list that the dataset cannot serve, before anything is written."""
    checks.check_dataset(dataset, Dataset)
    available = len(dataset.item_classes)
    n_items = checks.check_item_count(settings.n_items, available=available, minimum=2)
    steps = draw_schedule(settings.schedule, n_items, rng=np.random.default_rng(0))
    checks.check_new_items(
        count_new(steps, n_items), n_items=n_items, available=available, minimum=0
    )
    if not dataset.paired:
        for name in ("train", "test"):
            wanted = getattr(settings, f"n_{name}_images")
            counts = np.bincount(getattr(dataset, f"{name}_labels"))
            for item, count in enumerate(counts):
                checks.check_enough_images(
                    f"n_{name}_images", item, wanted=wanted, available=int(count)
                )


def check_free(path: Path, identity: dict[str, Any]) -> None:
    """Refuse to overwrite results of other settings."""
    if path.exists():
        errors.check_same_run(path, read_arrays(path)[1], identity)
