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
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from . import _checks, _errors
from .datasets import Dataset, measure_digest
from .flexibility import check_network
from .items import (
    NON_TARGETS,
    Items,
    Presentation,
    count_non_targets,
    draw_items,
    draw_presentation,
    freeze_features,
)
from .learning import (
    REFRESHES,
    LearningSettings,
    Metaplasticity,
    init_metaplasticity,
    learn_item,
    measure_displacement,
)
from .machine import describe_machine
from .network import Network, copy_network, init_network
from .plasticity import measure_kappa, measure_plasticity
from .recall import measure_confusion
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
    """One trial: every network learns every presentation, and all items are tested after each."""
    child = np.random.SeedSequence(settings.seed, spawn_key=(trial,))
    for_items, for_features, for_weights, for_flexibility, for_order = child.spawn(5)
    items = _draw_scaled_items(dataset, settings, for_items, for_features)
    newborn = init_network(
        (items.train_images.shape[-1], *settings.hidden, settings.n_items),
        rng=np.random.default_rng(for_weights),
        dtype=settings.dtype,
    )
    presentations = _draw_presentations(items, settings, for_order)
    learn = partial(_learn_and_test, items=items, settings=settings, backend=backend)

    # kappa is defined by the first presentation of the conventional network, whatever else runs.
    first, twin = next(presentations), copy_network(newborn)
    ordinary = init_metaplasticity(
        twin, "conventional", steepness=1.0, rng=np.random.default_rng(0)
    )
    twin_confusion = learn(twin, ordinary, first)
    rms = measure_kappa(measure_displacement(twin, ordinary), steepness=1.0)
    # Exactly one of the two is set.
    steepness = settings.kappa / rms if settings.kappa else cast("float", settings.steepness)

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
    untrained = measure_confusion(newborn, items.test_images)
    confusion = [[untrained] for _ in networks]
    for network, rule, rows in zip(networks, rules, confusion, strict=True):
        # Born alike, networks part only when plasticities do: learn the first presentation once.
        if settings.refresh == "presentation" and _is_plastic_at_birth(rule):
            network.parameters[:] = twin.parameters
            rows.extend(twin_confusion)
        else:
            rows.extend(learn(network, rule, first))
    for presentation in presentations:
        for network, rule, rows in zip(networks, rules, confusion, strict=True):
            rows.extend(learn(network, rule, presentation))

    counts = np.array(confusion)
    rows_by_epoch = counts if settings.by_epoch else counts[:, :0]
    return {
        "confusion": counts[:, :: settings.epochs if settings.by_epoch else 1],
        "recall_by_epoch": np.diagonal(rows_by_epoch, axis1=-2, axis2=-1) / settings.n_test_images,
        "item_classes": np.array(items.classes),
        "kappa": np.array(steepness * rms),
    }


def _draw_scaled_items(
    dataset: Dataset,
    settings: Settings,
    for_items: np.random.SeedSequence,
    for_features: np.random.SeedSequence,
) -> Items:
    """Items as the head sees them: through the frozen layer, if there is one, and scaled."""
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
    scale = _checks.check_scalar(
        "input_scale", settings.input_scale, dtype=items.train_images.dtype
    )
    return replace(
        items, train_images=items.train_images * scale, test_images=items.test_images * scale
    )


def _draw_presentations(
    items: Items, settings: Settings, seed: np.random.SeedSequence
) -> Iterator[Presentation]:
    """Each item once, in order; drawn only when its turn comes, since images take memory."""
    rng = np.random.default_rng(seed)
    for item in range(settings.n_items):
        yield draw_presentation(
            items,
            item,
            epochs=settings.epochs,
            non_target=settings.non_target,
            rng=rng,
            number=item,
        )


def _is_plastic_at_birth(rule: Metaplasticity) -> bool:
    """Whether no synapse is rigid: then the first presentation is the conventional network's."""
    still = np.zeros_like(rule.flexibility)
    plasticity = measure_plasticity(rule.flexibility, still, steepness=rule.steepness)
    return bool((plasticity == 1).all())


def _learn_and_test(
    network: Network,
    rule: Metaplasticity,
    presentation: Presentation,
    *,
    items: Items,
    settings: Settings,
    backend: str,
) -> list[NDArray[np.int64]]:
    """Learn a presentation; return the confusion after each epoch, or only after the last."""
    confusion: list[NDArray[np.int64]] = []

    def test(_: int = 0) -> None:
        confusion.append(measure_confusion(network, items.test_images))

    learn_item(
        network,
        rule,
        presentation,
        settings=LearningSettings(
            learning_rate=settings.learning_rate,
            batch_size=settings.batch_size,
            refresh=settings.refresh,
        ),
        backend=backend,
        after_epoch=test if settings.by_epoch else None,
    )
    if not settings.by_epoch:
        test()
    return confusion


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
        _errors.raise_dead_worker(error)
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
    header = {**identity, "machine": describe_machine()}
    write_arrays(_trial_path(folder, trial), arrays, header=header)


def _trial_path(folder: Path, trial: int) -> Path:
    return folder / f"trial-{trial:04d}.npz"


def read_trials(folder: Path, identity: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """Finished trials in a checkpoint folder, refused if they belong to another run."""
    trials: dict[int, dict[str, Any]] = {}
    machines: list[dict[str, Any]] = [describe_machine()]
    for trial in range(identity["settings"]["trials"]):
        path = _trial_path(folder, trial)
        if path.exists():
            trials[trial], header = read_arrays(path)
            _errors.check_same_run(path, header, identity)
            machines.append(header.get("machine", {}))
    _errors.warn_other_machines(folder, machines)
    return trials
