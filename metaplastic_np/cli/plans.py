"""Learn a plan as the options say: workers, steepness, checkpoints, a bar of progress."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import Any

from .._util import checks, errors
from ..experiments import (
    Results,
    Settings,
    check_free,
    check_items,
    describe_run,
    measure_work,
    open_cluster,
    open_pool,
    read_trials,
    run_experiments,
)
from ..scenarios import Dataset
from .options import Running
from .steepness import balance_plan
from .words import complain


def learn_plan(
    dataset: Dataset, plan: dict[str, Settings], running: Running, *, balance_trials: int = 0
) -> tuple[dict[str, Results], str]:
    """Run a plan: workers, steepness, checkpoints, progress; also say who computed.

    The steepness is found first where there are trials to balance it in.
    """
    for settings in plan.values():
        check_items(dataset, settings)
    backend = checks.check_backend(running.backend)
    if backend == "numba" and running.jobs > 1:
        from .._fast import kernels  # noqa: F401  (says once, for all workers, if none can be cached)
    workers = open_cluster(running.cluster) if running.cluster else open_pool(running.jobs)
    with workers as executor:
        folder = errors.check_output_folder(running.out)
        if balance_trials:
            plan = balance_plan(
                dataset, plan, running, trials=balance_trials, backend=backend, executor=executor
            )
        checkpoints = {name: folder / f"{name}.trials" for name in plan}
        for name, settings in plan.items():
            identity = describe_run(dataset, settings)
            check_free(folder / f"{name}.npz", identity)
            _prepare(checkpoints[name], identity, resume=running.resume)
        try:
            with _progress(dataset, plan) as on_trial:
                results = run_experiments(
                    dataset,
                    plan,
                    backend=backend,
                    executor=executor,
                    checkpoints=checkpoints,
                    on_trial=on_trial,
                )
        except (KeyboardInterrupt, MemoryError, errors.WorkerError):
            kept = sum(
                len(read_trials(checkpoints[name], describe_run(dataset, settings)))
                for name, settings in plan.items()
            )
            trials = sum(settings.trials for settings in plan.values())
            if kept:
                complain(f"{kept} of {trials} trials are kept in {folder}; add --resume to go on")
            raise
        finally:
            for checkpoint in checkpoints.values():
                with suppress(OSError):
                    checkpoint.rmdir()  # if nothing is in it
    return results, backend


@contextmanager
def _progress(
    dataset: Dataset, plan: Mapping[str, Settings]
) -> Iterator[Callable[[Mapping[str, int]], None]]:
    """A bar on a terminal, in work rather than trials, which are not equally long."""
    from tqdm import tqdm

    work = {name: measure_work(dataset, settings) for name, settings in plan.items()}
    trials = sum(settings.trials for settings in plan.values())
    total = sum(work[name] * settings.trials for name, settings in plan.items())
    form = "{percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"  # tqdm puts a comma before it
    tqdm.set_lock(RLock())  # its own is a semaphore of the system, and outlives a killed process
    is_off = None if sys.stderr else True  # None: where nobody watches
    with tqdm(total=total, bar_format=form, disable=is_off, postfix=f"{trials} trials") as bar:

        def on_trial(done: Mapping[str, int]) -> None:
            bar.set_postfix_str(f"{sum(done.values())} of {trials} trials", refresh=False)
            bar.update(sum(work[name] * count for name, count in done.items()) - bar.n)

        yield on_trial


def _prepare(checkpoint: Path, identity: dict[str, Any], *, resume: bool) -> None:
    """Keep the trials of a stopped run to resume it, or clear them; never those of another run."""
    if resume:
        return  # read, and refused if they are another run's, when the experiment starts
    try:
        kept = read_trials(checkpoint, identity)
    except errors.InputError:  # damaged: nothing to lose
        kept = {}
    if kept or checkpoint.exists():
        shutil.rmtree(checkpoint)


def clear_checkpoints(folder: Path, results: Mapping[str, Results]) -> None:
    """Remove checkpoints whose results are saved."""
    for name in results:
        shutil.rmtree(folder / f"{name}.trials", ignore_errors=True)
