"""Trials: the unit of an experiment, of a worker's job, and of what survives an interruption.

A **trial** draws items, images, initial weights and flexibilities from its own child of the seed,
and lets every network learn the same presentations, so that networks are compared in pairs. Trials
are independent: they run in this process or in any ``concurrent.futures.Executor``, with one BLAS
thread each, and give the same bits for any number of workers.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _checks
from .datasets import Dataset, measure_digest
from .flexibility import check_network
from .items import (
    NON_TARGETS,
    Items,
    count_non_targets,
    draw_items,
    draw_presentation,
    freeze_features,
)
from .learning import (
    REFRESHES,
    LearningSettings,
    init_metaplasticity,
    learn_item,
    measure_displacement,
)
from .network import Network, copy_network, init_network
from .plasticity import measure_kappa
from .recall import measure_confusion, measure_recall
from .storage import read_arrays, write_arrays

__all__ = ["Settings", "open_pool"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that a run's numbers depend on, beside the dataset.

    Parameters
    ----------
    n_items : int
        N, items a trial. Paper: 10 and 30.
    trials : int
        Paper: 10 in the shipped settings.
    seed : int
        Seeds from 10,000 on are for calibration, smaller ones for judging.
    networks : tuple of str
        Paper: conventional, stable, hybrid.
    n_train_images, n_test_images : int
        Images an item. Paper: 2,000 and 1,000.
    n_features : int
        Width of the frozen random layer, 0 for none. Paper: AlexNet up to pool5, 9,216.
    input_scale : float
        Factor on the inputs. They are scaled up, and the rate down, so that biases, which are not
        modulated, move little beside the weights.
    hidden : tuple of int
        Units in the hidden layers of the head. Paper: 4096, 4096.
    learning_rate : float
        Paper: 1e-4, for its own features and counts.
    batch_size : int
        Paper: 1024.
    epochs : int
        Epochs a presentation. Paper: 5.
    steepness : float or None
        s, in 1/weight. It does not transfer between networks; give `kappa` instead where it was not
        calibrated.
    kappa : float or None
        Dimensionless steepness: each trial sets s = kappa / rms(w - w0), measured after the first
        presentation of its conventional network.
    non_target : {"permuted", "none", "true"}
        Labels of the non-targets. Paper: permuted.
    refresh : {"presentation", "update"}
        When plasticity is computed. Paper: once a presentation.
    modulate_biases : bool
        Paper: biases are ordinary parameters.
    dtype : {"float32", "float64"}
        Paper: float32.
    by_epoch : bool
        Also test all items after every epoch. Changes nothing but the time a run takes.

    Raises
    ------
    InputError
        If a value cannot work, alone or with the others.

    Examples
    --------
    >>> Settings(n_items=5, trials=2).networks
    ('conventional', 'stable', 'hybrid')
    """

    n_items: int = 10
    trials: int = 10
    seed: int = 0
    networks: tuple[str, ...] = ("conventional", "stable", "hybrid")
    n_train_images: int = 500
    n_test_images: int = 100
    n_features: int = 1024
    input_scale: float = 8.0
    hidden: tuple[int, ...] = (256, 256)
    learning_rate: float = 0.0063
    batch_size: int = 256
    epochs: int = 5
    steepness: float | None = 12_000.0
    kappa: float | None = None
    non_target: str = "permuted"
    refresh: str = "presentation"
    modulate_biases: bool = False
    dtype: str = "float32"
    by_epoch: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot run before anything has started."""
        for name in ("networks", "hidden"):  # lists, where they come from JSON
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("trials", "n_train_images", "n_test_images", "batch_size", "epochs"):
            _checks.check_count(name, getattr(self, name))
        for name in ("seed", "n_features"):
            _checks.check_count(name, getattr(self, name), minimum=0)
        for name in ("input_scale", "learning_rate"):
            _checks.check_positive(name, getattr(self, name))
        _checks.check_steepness(self.steepness, self.kappa)
        _checks.check_choice("non_target", self.non_target, NON_TARGETS)
        _checks.check_choice("refresh", self.refresh, REFRESHES)
        _checks.check_dtype("dtype", self.dtype)
        _checks.check_choices("networks", self.networks, check_network)
        _checks.check_hidden(self.hidden)
        count_non_targets(self.n_items, self.n_train_images, non_target=self.non_target)


# --- one trial -----------------------------------------------------------------------


def run_trial(dataset: Dataset, settings: Settings, trial: int, backend: str) -> dict[str, Any]:
    """Present every item once to every network; return the trial's arrays by name."""
    from threadpoolctl import threadpool_limits

    started = time.perf_counter()
    backend = _checks.check_backend(backend)  # loads the BLAS that is then limited to one thread
    with threadpool_limits(1, user_api="blas"):
        arrays = _learn_sequence(dataset, settings, trial, backend)
    return {**arrays, "seconds": np.array(time.perf_counter() - started)}


def _learn_sequence(
    dataset: Dataset, settings: Settings, trial: int, backend: str
) -> dict[str, NDArray[Any]]:
    child = np.random.SeedSequence(settings.seed, spawn_key=(trial,))
    for_items, for_features, for_weights, for_flexibility, for_order = child.spawn(5)

    items = draw_items(
        dataset,
        n_items=settings.n_items,
        n_train_images=settings.n_train_images,
        n_test_images=settings.n_test_images,
        rng=np.random.default_rng(for_items),
        dtype=settings.dtype,
    )
    if settings.n_features:
        rng = np.random.default_rng(for_features)
        items = freeze_features(items, n_features=settings.n_features, rng=rng)
    scale = np.dtype(settings.dtype).type(settings.input_scale)
    items = Items(
        classes=items.classes,
        train_images=items.train_images * scale,
        test_images=items.test_images * scale,
    )
    n_inputs = items.train_images.shape[-1]
    newborn = init_network(
        (n_inputs, *settings.hidden, settings.n_items),
        rng=np.random.default_rng(for_weights),
        dtype=settings.dtype,
    )
    learning = LearningSettings(
        learning_rate=settings.learning_rate,
        batch_size=settings.batch_size,
        refresh=settings.refresh,
    )
    rng = np.random.default_rng(for_order)
    presentations = (
        draw_presentation(
            items,
            item,
            epochs=settings.epochs,
            non_target=settings.non_target,
            rng=rng,
            number=item,
        )
        for item in range(settings.n_items)
    )
    first = next(presentations)

    # kappa is defined by the first presentation of the conventional network, whatever else runs.
    twin = copy_network(newborn)
    ordinary = init_metaplasticity(
        twin, "conventional", steepness=1.0, rng=np.random.default_rng(0)
    )
    learn_item(twin, ordinary, first, settings=learning, backend=backend)
    rms = measure_kappa(measure_displacement(twin, ordinary), steepness=1.0)
    steepness = settings.steepness if settings.kappa is None else settings.kappa / rms

    networks = [copy_network(newborn) for _ in settings.networks]
    rules = [
        init_metaplasticity(
            newborn,
            kind,
            steepness=steepness,
            rng=np.random.default_rng(for_flexibility),
            modulate_biases=settings.modulate_biases,
        )
        for kind in settings.networks
    ]
    rows = settings.epochs if settings.by_epoch else 1  # measurements a presentation
    shape = (len(networks), settings.n_items * rows + 1, settings.n_items, settings.n_items)
    confusion = np.empty(shape, dtype=np.int64)
    confusion[:, 0] = measure_confusion(newborn, items.test_images)
    for item, presentation in enumerate([first, *presentations]):
        for index, (network, rule) in enumerate(zip(networks, rules, strict=True)):
            into = confusion[index, item * rows + 1 : (item + 1) * rows + 1]
            test = partial(_test_into, into, network, items.test_images)
            learn_item(
                network,
                rule,
                presentation,
                settings=learning,
                backend=backend,
                after_epoch=test if settings.by_epoch else None,
            )
            test(rows - 1)
    recall = measure_recall(confusion)
    return {
        "confusion": confusion[:, ::rows],
        "recall_by_epoch": recall if settings.by_epoch else recall[:, :0],
        "item_classes": np.array(items.classes),
        "kappa": np.array(steepness * rms),
    }


def _test_into(
    confusion: NDArray[np.int64], network: Network, test_images: NDArray[Any], row: int
) -> None:
    confusion[row] = measure_confusion(network, test_images)


# --- workers -------------------------------------------------------------------------


def run_trials(
    dataset: Dataset, settings: Settings, trials: list[int], backend: str, executor: Executor | None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield number and arrays of each trial as soon as it is done, in whatever order that is."""
    if executor is None:
        for trial in trials:
            yield trial, run_trial(dataset, settings, trial, backend)
        return
    futures = {executor.submit(run_trial, dataset, settings, t, backend): t for t in trials}
    try:
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenExecutor as error:
        _checks.raise_dead_worker(error)
    finally:
        for future in futures:
            future.cancel()


@contextmanager
def open_pool(jobs: int) -> Iterator[Executor | None]:
    """Worker processes for the trials of an experiment.

    Parameters
    ----------
    jobs : int
        How many. 1 gives None: trials run in this process.

    Yields
    ------
    concurrent.futures.Executor or None
        Workers are started afresh, never forked, and ended at once if the block is left by an error
        or by Ctrl-C.

    Examples
    --------
    In a script, below ``if __name__ == "__main__":``, since workers import it::

        with open_pool(2) as executor:
            results = run_serial_position(load_digits(), Settings(), executor=executor)
    """
    if _checks.check_count("jobs", jobs) == 1:
        yield None
        return
    others = active_children()
    # Ctrl-C reaches workers too: they end silently, and the parent tells the user.
    pool = ProcessPoolExecutor(
        jobs,
        mp_context=get_context("spawn"),
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield pool
        pool.shutdown()
    except BaseException:
        for worker in active_children():
            if worker not in others:
                worker.terminate()
        pool.shutdown(cancel_futures=True)
        raise


# --- what a run was, and what is kept of it ------------------------------------------


def describe_run(experiment: str, dataset: Dataset, settings: Settings) -> dict[str, Any]:
    """What two runs must share to be the same run, as JSON holds it."""
    described = {
        "kind": experiment,
        "schema": 1,
        "dataset": dataset.name,
        "dataset_sha256": measure_digest(dataset),
        "networks": list(settings.networks),
        "settings": asdict(settings),
    }
    return json.loads(json.dumps(described))  # tuples become lists, as they will when read back


def write_trial(folder: Path, trial: int, arrays: dict[str, Any], identity: dict[str, Any]) -> None:
    """Put a finished trial on disk, whole."""
    write_arrays(_trial_path(folder, trial), arrays, header=identity)


def _trial_path(folder: Path, trial: int) -> Path:
    return folder / f"trial-{trial:04d}.npz"


def read_trials(folder: Path, identity: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """Finished trials in a checkpoint folder, refused if they belong to another run."""
    _checks.check_output_folder(folder)
    trials = {}
    for trial in range(identity["settings"]["trials"]):
        path = _trial_path(folder, trial)
        if path.exists():
            trials[trial], header = read_arrays(path)
            _checks.check_same_run(path, header, identity)
    return trials
