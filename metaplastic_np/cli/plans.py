"""Learn a plan as the options say, and save it: workers, steepness, checkpoints, a progress bar.

A folder is looked at before anything is learned or written. What belongs to another run is refused,
and what this run has finished is kept: it is gone on with (``--resume``), or the refusal says how.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import RLock
from typing import Any

from .._util import checks, errors
from .._util.storage import claim
from ..experiments import (
    Results,
    Settings,
    check_free,
    check_items,
    check_version,
    clear_trials,
    describe_run,
    find_known,
    load_results,
    measure_work,
    open_cluster,
    open_pool,
    recover_trials,
    run_experiments,
    save_results,
    split_results,
    write_trial,
)
from ..scenarios import Dataset
from .options import Running
from .steepness import balance_plan
from .words import complain

FOUND_LATER = ("trials", "steepness", "kappa")  # settings that a balance, or more trials, change


def learn_plan(
    dataset: Dataset,
    plan: dict[str, Settings],
    running: Running,
    *,
    balance_trials: int = 0,
    preset: str = "custom",
) -> tuple[dict[str, Results], str]:
    """Run a plan and save its results; return them, and who computed.

    The steepness is found first where there are trials to balance it in. Results of a preset say
    so, and what else belongs to it.
    """
    for settings in plan.values():
        check_items(dataset, settings)
    if not find_known(dataset):
        shown = f"{settings.n_train_images} training and {settings.n_test_images} test images"
        complain(f"{dataset.name}: {dataset.reading}; {shown} per item")
    backend = checks.check_backend(running.backend)
    if backend == "numba" and running.jobs > 1:
        from .._fast import kernels  # noqa: F401  (says once, for all workers, if none can be cached)
    workers = open_cluster(running.cluster) if running.cluster else open_pool(running.jobs)
    with workers as executor, _claim(running.out, plan) as folder:
        if balance_trials:
            for name, settings in plan.items():
                identity = describe_run(dataset, settings)
                check_free(folder / f"{name}.npz", identity, skip=FOUND_LATER)
            plan = balance_plan(
                dataset, plan, running, trials=balance_trials, backend=backend, executor=executor
            )
        identities = {name: describe_run(dataset, settings) for name, settings in plan.items()}
        results = _settle(folder, identities, resume=running.resume)
        missing = {name: plan[name] for name in plan if name not in results}
        checkpoints = {name: _checkpoint(folder, name) for name in missing}
        try:
            with _progress(dataset, missing) as on_trial:
                results |= run_experiments(
                    dataset,
                    missing,
                    backend=backend,
                    executor=executor,
                    checkpoints=checkpoints,
                    on_trial=on_trial,
                )
        except BaseException as error:
            kept = [path.name for c in checkpoints.values() for path in c.glob("trial-*.npz")]
            n_kept = sum(".state." not in name for name in kept)
            trials = sum(settings.trials for settings in missing.values())
            # What diverged would diverge again.
            advice = "" if isinstance(error, errors.DivergenceError) else "; add --resume to go on"
            if kept:
                complain(f"{n_kept} of {trials} trials are kept in {folder}{advice}")
            raise
        finally:
            for checkpoint in checkpoints.values():
                with suppress(OSError):
                    checkpoint.rmdir()  # if nothing is in it
        if preset != "custom":
            facts = {"plan": {"preset": preset, "runs": sorted(plan)}}
            for name, found in results.items():
                results[name] = replace(found, header={**found.header, **facts})
        for name in plan:
            save_results(results[name], folder, name=name)
        clear_checkpoints(folder, results)
    return {name: results[name] for name in plan}, backend


def _checkpoint(folder: Path, name: str) -> Path:
    return folder / f"{name}.trials"


@contextmanager
def _claim(folder: Path, names: Iterable[str]) -> Iterator[Path]:
    """Make the folder, and be the only process that writes these runs in it."""
    errors.check_output_folder(folder)
    with ExitStack() as claims:
        for name in names:
            claims.enter_context(claim(folder / f".{name}.lock"))
        yield folder


def _settle(
    folder: Path, identities: Mapping[str, dict[str, Any]], *, resume: bool
) -> dict[str, Results]:
    """The runs of a plan that are finished; trials of the others are where they are looked for.

    Everything is looked at before anything is written. Without `resume`, kept trials are refused.
    """
    finished, shorter, kept = {}, {}, []
    for name, identity in identities.items():
        path = folder / f"{name}.npz"
        check_free(path, identity)
        found, begun = recover_trials(_checkpoint(folder, name), identity)
        kept += [len(found)] * bool(found or begun)
        if path.exists():
            results = load_results(path)
            n_trials = results.settings.trials
            if n_trials == identity["settings"]["trials"]:
                finished[name] = results
            else:
                check_version(path, results.header["machine"].get("metaplastic_np"))
                shorter[name] = results
                kept.append(n_trials)
    if kept and not resume:
        raise errors.OutputError(
            f"{sum(kept)} finished trials of this run are kept in {folder}: add --resume to go on, "
            "or choose another folder to start again"
        )
    if not resume:
        return {}
    for name, results in shorter.items():
        for trial, (arrays, header) in enumerate(split_results(results)):
            write_trial(_checkpoint(folder, name), trial, arrays, header)
    if len(finished) == len(identities):
        complain(f"this run is finished: nothing is left to learn in {folder}")
    elif finished:
        complain(f"{len(finished)} of {len(identities)} runs are finished, and not learned again")
    return finished


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


def clear_checkpoints(folder: Path, results: Mapping[str, Results]) -> None:
    """Remove the trials whose results are saved."""
    for name, found in results.items():
        clear_trials(_checkpoint(folder, name), found.settings.trials)
