"""Many trials of one experiment, or of several at once: in this process, or on any executor."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from .._util import checks, errors
from .._util.blas import one_blas_thread
from ..metrics import measure_recall
from ..scenarios import (
    Dataset,
    check_enough_images,
    check_item_count,
    check_new_items,
    count_new,
    draw_schedule,
)
from .checkpoints import recover_trials, state_path, write_trial
from .results import BY_TRIAL, Results
from .settings import Settings, describe_run
from .trials import run_trial
from .workers import count_threads, run_jobs

__all__ = ["run_experiment", "run_experiments"]


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
        run again, also those of a run with fewer trials. A trial that takes long keeps its state
        there, too. A file that cannot be used is set aside, with a warning.
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
        If the checkpoint cannot be written, or belongs to other settings or another version.
    DivergenceError
        If learning diverged; names the trial, the network and the presentation.
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
        checkpoints=None
        if checkpoint is None
        else {"experiment": checks.check_path("checkpoint", checkpoint)},
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
    if executor is not None:
        checks.check_kind("executor", executor, Executor, "an executor, as open_pool(2) gives")
    finished: dict[str, dict[int, Any]] = {}
    missing = []
    threads = count_threads() if executor is None else 1
    for name, settings in runs.items():
        check_items(dataset, settings)
        folder = None if checkpoints is None else checkpoints[name]
        identity = describe_run(dataset, settings)
        finished[name] = {} if folder is None else recover_trials(folder, identity)[0]
        if folder is not None:
            errors.check_output_folder(folder)
        work = measure_work(dataset, settings)
        for trial in range(settings.trials):
            if trial not in finished[name]:
                state = None if folder is None else state_path(folder, trial)
                job = dataset, settings, trial, backend, state, threads, name
                missing.append((work, name, job))
    # The longest first, so that no worker is left alone with one at the end.
    missing.sort(key=lambda job: -job[0])
    # Here too, for an executor of threads: a thread starts with the limit of its process.
    with one_blas_thread():
        jobs = run_jobs(run_trial, [job for *_, job in missing], executor)
        for _, (_, settings, trial, _, state, _, name), (arrays, facts) in jobs:
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
    _warn_other_machines(headers)
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


def _warn_other_machines(headers: Sequence[Mapping[str, Any]]) -> None:
    """Warn if trials ran on unlike machines: their last bits may differ."""

    def facts(header: Mapping[str, Any]) -> tuple[object, ...]:
        # The list of loaded BLAS libraries differs between processes; their kernels do not.
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
    per_epoch = settings.epochs * len(settings.by_epoch) * settings.n_test_images
    per_presentation = shown + tested + per_epoch
    return float(n_synapses * len(settings.networks) * n_presentations * per_presentation)


def check_items(dataset: Dataset, settings: Settings) -> None:
    """Refuse a list that the dataset cannot serve, before anything is written."""
    checks.check_kind("dataset", dataset, Dataset, "a Dataset, as load_dataset makes")
    checks.check_kind("settings", settings, Settings, "Settings, as init_settings makes")
    available = len(dataset.item_classes)
    n_items = check_item_count(settings.n_items, available=available, minimum=2)
    steps = draw_schedule(settings.schedule, n_items, rng=np.random.default_rng(0))
    n_new = count_new(steps, n_items)
    check_new_items(n_new, n_items=n_items, available=available, minimum=0)
    if not dataset.paired:
        for name in ("train", "test"):
            wanted = getattr(settings, f"n_{name}_images")
            counts = np.bincount(getattr(dataset, f"{name}_labels"))
            for called, count in zip(dataset.class_names, counts, strict=True):
                check_enough_images(f"n_{name}_images", called, wanted=wanted, available=int(count))
    for name in ("train_images", "test_images"):
        images = getattr(dataset, name)
        if all(np.array_equal(image, images[0]) for image in images):  # ends at the second
            expected = "show more than one picture: nothing can be learned from these"
            checks.raise_expected(name, expected, f"{len(images)} that are all the same")
