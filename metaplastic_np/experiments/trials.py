"""Trials: the unit of an experiment, of a worker's job, and of what survives an interruption.

A **trial** draws items, images, initial weights and flexibilities from its own child of the seed,
and lets every network learn the same presentations, so that networks are compared in pairs. After
each presentation, watchers measure every network. Trials are independent: they run in this process
or in any ``concurrent.futures.Executor``, with one BLAS thread each, and give the same bits for any
number of workers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from .._util import checks, errors
from .._util.blas import one_blas_thread
from ..learning import Learner, LearningSettings, learn_item
from ..nn import Network, copy_network, split_parameters
from ..rules import Metaplasticity, measure_displacement, measure_kappa
from ..scenarios import Dataset, Presentation, Step
from .checkpoints import Progress, describe_trial, read_progress, set_aside, write_progress
from .draws import draw_presentations, draw_trial, init_learners, spawn_rng
from .learners import State, copy_state, is_plain_at_birth, restore_state
from .machine import describe_machine
from .settings import Settings, describe_run
from .watchers import Rows, Watcher, choose_watchers, collect, copy_rows

STATE_SECONDS = 30.0  # a trial that takes longer keeps its state this often


@dataclass
class _Subject:
    """One network of a trial, how it learns, and what the watchers noted of it."""

    name: str
    network: Network
    learner: Learner
    rows: Rows
    twin: _Subject | None = None  # learned the first presentation on its behalf


def run_trial(
    dataset: Dataset,
    settings: Settings,
    trial: int,
    backend: str,
    state: Path | None = None,
    threads: int = 1,
    name: str = "experiment",
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """One trial: its arrays by name, and where and how long it ran.

    A trial that takes long keeps what it has learned so far in the file `state`. With several
    threads, networks learn at once: each alone, so the bits are the same. The run's `name` is for
    messages.
    """
    started = time.perf_counter()
    backend = checks.check_backend(backend)  # loads the BLAS that is then limited to one thread
    with one_blas_thread(), _open_threads(threads) as each:
        try:
            arrays = _learn_schedule(dataset, settings, trial, backend, state, each)
        except errors.DivergenceError as error:
            where = f"{name}, trial {trial + 1} of {settings.trials}"
            raise errors.DivergenceError(f"{where}, {error}") from None
        machine = describe_machine()
    seconds = round(time.perf_counter() - started, 3)
    return arrays, {"backend": backend, "machine": machine, "seconds": seconds}


@contextmanager
def _open_threads(threads: int) -> Iterator[Callable[..., Any]]:
    """What calls a function for each of something: in threads, or as Python's `map` does."""
    if threads == 1:
        yield map
        return
    with ThreadPoolExecutor(threads) as pool:
        yield pool.map


def _learn_schedule(
    dataset: Dataset,
    settings: Settings,
    trial: int,
    backend: str,
    state: Path | None,
    each: Callable[..., Any],
) -> dict[str, NDArray[Any]]:
    """One trial: every network learns every presentation, and watchers look at it after each."""
    draws = draw_trial(dataset, settings, trial)
    identity = describe_trial(describe_run(dataset, settings), trial)
    watchers = choose_watchers(draws.items, draws.newborn, settings)
    present = partial(_present, watchers=watchers, settings=settings, backend=backend)
    rows = {watcher.name: [watcher.watch(draws.newborn, False)] for watcher in watchers}
    shown = draw_presentations(draws, settings)
    first, twin = next(shown), None
    starts = [cast("int", step.after) for step in draws.schedule]
    rewound_to = {after for number, after in enumerate(starts) if after != number}
    progress = None
    if state is not None and state.exists():
        try:
            found = read_progress(state, identity, rows)
            rows_by_step = {w.name: settings.epochs if w.by_epoch else 1 for w in watchers}
            _check_fits(state, found, draws.newborn, rows, rows_by_step, starts)
            progress = found
        except errors.InputError as error:
            set_aside(state, error)
    if progress is None:
        twin = _Subject(
            "plain gradient descent", copy_network(draws.newborn), Learner(), copy_rows(rows)
        )
        present(twin, first, draws.schedule[0])
        progress = Progress(rms=_measure_rms(twin.network, draws.newborn))
    # Settings have either a kappa or a steepness.
    kappa = settings.kappa
    steepness = kappa / progress.rms if kappa else cast("float", settings.steepness)
    subjects = [
        _Subject(name, copy_network(draws.newborn), learner, copy_rows(rows))
        for name, learner in zip(
            settings.networks, init_learners(draws, settings, steepness), strict=True
        )
    ]
    if progress.done:
        _restore(subjects, progress.states)
        for subject, noted in zip(subjects, progress.rows, strict=True):
            subject.rows = noted
    elif twin is not None and settings.refresh == "presentation":
        # At birth every plasticity is 1: the first presentation changes all networks alike.
        for subject in subjects:
            if is_plain_at_birth(subject.network, subject.learner, settings.learning_rate):
                subject.twin = twin
    twin, progress.states = None, []  # large, and not needed any more

    written = time.perf_counter()
    for number, presentation in enumerate(chain([first], shown)):
        if number < progress.done:
            continue  # drawn all the same, so that what follows is drawn alike
        if number in rewound_to:
            progress.kept[number] = [copy_state(s.network, s.learner) for s in subjects]
        if starts[number] != number:
            _restore(subjects, progress.kept[starts[number]])
        for subject in subjects:
            subject.learner = replace(subject.learner, rng=spawn_rng(draws.for_learning, number))
        step = draws.schedule[number]
        list(each(partial(present, presentation=presentation, step=step), subjects))
        progress.done = number + 1
        if state is not None and time.perf_counter() - written > STATE_SECONDS:
            progress.states = [copy_state(s.network, s.learner) for s in subjects]
            progress.rows = [subject.rows for subject in subjects]
            write_progress(state, progress, identity)
            progress.states = []
            written = time.perf_counter()
    return {
        **collect([s.rows for s in subjects], [s.learner for s in subjects], draws.newborn, starts),
        "item_classes": np.array(draws.items.classes),
        "schedule": np.array(draws.schedule),
        "kappa": np.array(steepness * progress.rms),
    }


def _present(
    subject: _Subject,
    presentation: Presentation,
    step: Step,
    *,
    watchers: list[Watcher],
    settings: Settings,
    backend: str,
) -> None:
    """Learn, and watch: after every epoch what is asked for by epoch, then the rest."""
    if subject.twin is not None:  # has learned the same
        subject.network.parameters[:] = subject.twin.network.parameters
        subject.rows, subject.twin = copy_rows(subject.twin.rows), None
        return
    is_new_shown = cast("int", step.shown) >= subject.network.layer_sizes[-1]

    def watch(by_epoch: bool) -> None:
        try:
            for watcher in watchers:
                if watcher.by_epoch == by_epoch:
                    row = watcher.watch(subject.network, is_new_shown)
                    subject.rows[watcher.name].append(row)
        except errors.DivergenceError:
            errors.raise_diverged("the network's answers", presentation.number)

    is_by_epoch = any(watcher.by_epoch for watcher in watchers)
    try:
        learn_item(
            subject.network,
            subject.learner,
            presentation,
            settings=LearningSettings(
                learning_rate=settings.learning_rate,
                batch_size=settings.batch_size,
                refresh=settings.refresh,
            ),
            backend=backend,
            after_epoch=(lambda _: watch(True)) if is_by_epoch else None,
        )
        watch(False)
    except errors.DivergenceError as error:
        raise errors.DivergenceError(f"{subject.name}: {error}") from None


def _check_fits(
    path: Path,
    progress: Progress,
    newborn: Network,
    rows: Rows,
    rows_by_step: Mapping[str, int],
    starts: list[int],
) -> None:
    """Refuse a state that the trial cannot have come to; `rows` are those of the newborn."""
    done = progress.done
    needed = {after for number, after in enumerate(starts) if after != number and after < done}
    states = (progress.states, *progress.kept.values())
    shapes = {state.get("parameters", np.empty(0)).shape for each in states for state in each}
    fits = 0 < done <= len(starts) and needed <= set(progress.kept) and 0 < progress.rms < np.inf
    fits &= shapes == {newborn.parameters.shape}
    for noted in progress.rows:
        for name, count in rows_by_step.items():
            found = [row.shape for row in noted[name]]
            fits &= found == (done * count + 1) * [rows[name][0].shape]
    if not fits:
        errors.raise_unreadable_file(path, "it holds no state that this trial can have come to")


def _restore(subjects: list[_Subject], states: list[State]) -> None:
    """Go back to states that were copied."""
    for subject, state in zip(subjects, states, strict=True):
        restore_state(subject.network, subject.learner, state)


def _measure_rms(network: Network, newborn: Network) -> float:
    """Root mean square displacement of the weights that moved: kappa at a steepness of 1."""
    flexibility = np.ones_like(newborn.parameters)
    born = Metaplasticity(
        initial_weights=newborn.parameters, flexibility=flexibility, steepness=1.0
    )
    moved, _ = split_parameters(measure_displacement(network, born), network.layer_sizes)
    return measure_kappa(np.concatenate([layer.ravel() for layer in moved]), steepness=1.0)
