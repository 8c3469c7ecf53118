"""The sections of the benchmark: who is timed, over which work, and what is checked before."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, NoReturn

import numpy as np
from contest import (
    LARGEST,
    MEMORY_SIZES,
    PACKAGE,
    PAPER_BATCH,
    SEED,
    STEEPNESS,
    enter,
    learn_afresh,
    prepare,
    run_trials,
    time_learning,
    time_product,
)
from numpy.typing import NDArray
from rivals import count_operations

import metaplastic_np as mp
from metaplastic_np.experiments import draw_presentations, draw_trial

HERE = Path(__file__).parent
CONTEST = str(HERE / "contest.py")
SHAPES = (  # hidden layers and batch of one presentation
    ((256, 256), 64),
    ((256, 256), 256),
    ((1024, 1024), 1024),
    ((4096, 4096), 1024),
)
VARIANTS = {"recall once per presentation": False, "recall after every epoch": True}  # by_epoch
WHOLE_JOBS = 2  # processes of the whole programs
REST = 0.3  # seconds until threads that look for more work, on others' cores too, give up
FLOAT32_ERROR, FLOAT64_ERROR = 1e-4, 1e-9  # relative to the largest displacement
RECALL_ERROR = 0.05  # in mean recall of a job, whose rounding grows for a hundred updates
MOST_COMPARED = 1024  # width whose weights are compared: float64 takes twice the memory


class Arrangement(NamedTuple):
    """A program, in so many processes of so many threads."""

    program: str
    processes: int
    threads: int

    def __str__(self) -> str:
        """As a row of the table names it."""
        processes = "" if self.processes == 1 else f"{self.processes} processes of "
        return f"{self.program}, {processes}{self.threads} thread{'s'[: self.threads - 1]}"


# --- workers -------------------------------------------------------------------------


class _Workers:
    """The worker processes of an arrangement."""

    def __init__(self, arrangement: Arrangement, stack: ExitStack) -> None:
        self.arrangement = arrangement
        self.pools: list[Executor] = [
            stack.enter_context(_open_worker(arrangement)) for _ in range(arrangement.processes)
        ]

    def call(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        """The same call in every process at once."""
        futures = [pool.submit(function, *arguments) for pool in self.pools]
        return [future.result() for future in futures]

    def measure_rate(self) -> float:
        """Operations per second of this arrangement's products."""
        times = self.call(time_product, self.arrangement.program)
        return sum(2 * LARGEST**3 / seconds for seconds in times)

    def time_job(self, settings: mp.Settings) -> tuple[float, list[Any]]:
        """Seconds for all trials, and the arrays of each trial."""
        shares = [
            list(range(first, settings.trials, len(self.pools))) for first in range(len(self.pools))
        ]
        started = time.perf_counter()
        futures = [
            pool.submit(run_trials, self.arrangement.program, settings, share)
            for pool, share in zip(self.pools, shares, strict=True)
        ]
        found = [future.result() for future in futures]
        seconds = time.perf_counter() - started
        return seconds, [trial for share in found for trial in share]


@contextmanager
def _open_worker(arrangement: Arrangement) -> Iterator[Executor]:
    """One worker process, spawned. On Ctrl-C it is ended at once."""
    pool = ProcessPoolExecutor(
        1,
        mp_context=get_context("spawn"),
        initializer=enter,
        initargs=(arrangement.program, arrangement.threads),
    )
    try:
        yield pool
    except KeyboardInterrupt:
        for worker in list(pool._processes.values()):
            worker.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


# --- sections ------------------------------------------------------------------------


def _row(section: str, what: str, who: str, unit: str, values: list[float]) -> dict[str, Any]:
    return {
        "section": section,
        "what": what,
        "who": who,
        "unit": unit,
        "median": median(values),
        "lowest": min(values),
        "highest": max(values),
    }


def check_same_weights(everyone: list[_Workers], hidden: tuple[int, ...], batch: int) -> None:
    """One update in float32, one presentation in float64: all must move every weight alike."""
    for dtype, images, error in (
        ("float32", batch, FLOAT32_ERROR),
        ("float64", None, FLOAT64_ERROR),
    ):
        expected = None
        for workers in everyone:
            program = workers.arrangement.program
            moved = workers.call(learn_afresh, program, hidden, batch, dtype, images)[0]
            if expected is None:
                expected = moved
            difference = np.abs(moved - expected).max() / np.abs(expected).max()
            if not difference < error:
                _refuse(program, dtype, f"{difference:.1e}")


def _refuse(program: str, what: str, difference: object) -> NoReturn:
    """A comparison of times would be of different work."""
    raise mp.DivergenceError(
        f"{program} and {PACKAGE} did not learn the same: they differ by {difference} ({what})"
    )


def measure_presentations(
    programs: list[str], repeats: int, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """One presentation at several sizes, with all cores and with one thread."""
    cores = os.cpu_count() or 1
    arrangements = [Arrangement(program, 1, cores) for program in programs]
    if cores > 1:
        arrangements += [Arrangement(program, 1, 1) for program in programs if program != "JAX"]
    rows = []
    with ExitStack() as stack:
        everyone = [_Workers(arrangement, stack) for arrangement in arrangements]
        for hidden, batch in SHAPES:
            say(f"one presentation, hidden {hidden}, batch {batch}")
            if hidden[0] <= MOST_COMPARED:
                check_same_weights(everyone[: len(programs)], hidden, batch)
            for workers in everyone:
                n_in, n_on, images = workers.call(
                    prepare, workers.arrangement.program, hidden, batch
                )[0]
            sizes = (n_in, *hidden, 10)
            seconds: dict[Arrangement, list[float]] = {each: [] for each in arrangements}
            rates: dict[Arrangement, list[float]] = {each: [] for each in arrangements}
            for _ in range(repeats):
                for workers in everyone:
                    seconds[workers.arrangement] += workers.call(time_learning)
                    rates[workers.arrangement].append(workers.measure_rate())
                    time.sleep(REST)
            what = f"{'-'.join(map(str, sizes))}, batch {batch}: {n_on} of {n_in} inputs ever on"
            operations = count_operations(sizes, n_on) * images
            rows += _compare("presentation", what, seconds, rates, operations)
    return rows


def measure_job(
    programs: list[str], repeats: int, trials: int, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """The serial position experiment of the digits preset: two variants, and as whole programs."""
    cores = os.cpu_count() or 1
    arrangements = [Arrangement(program, 1, cores) for program in programs if program != PACKAGE]
    arrangements += [Arrangement(program, cores, 1) for program in programs]
    arrangements.append(Arrangement(PACKAGE, 1, 1))
    arrangements = sorted(set(arrangements), key=lambda each: (each.program != PACKAGE, each))
    rows = []
    with ExitStack() as stack:
        everyone = [_Workers(arrangement, stack) for arrangement in arrangements]
        for variant, by_epoch in VARIANTS.items():
            settings = mp.Settings(trials=trials, seed=SEED, steepness=STEEPNESS, by_epoch=by_epoch)
            rows += _measure_variant(everyone, settings, repeats, variant, say)
    return rows + measure_whole(repeats, trials, say)


def _measure_variant(
    everyone: list[_Workers],
    settings: mp.Settings,
    repeats: int,
    variant: str,
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """The trials by every arrangement in turn; every round, all must have recalled the same."""
    say(f"the job, {variant}: warming up")
    for workers in everyone:
        workers.call(run_trials, workers.arrangement.program, settings, [settings.trials])
    seconds: dict[Arrangement, list[float]] = {each.arrangement: [] for each in everyone}
    rates: dict[Arrangement, list[float]] = {each.arrangement: [] for each in everyone}
    for repeat in range(repeats):
        expected = None
        for workers in everyone:
            arrangement = workers.arrangement
            say(f"the job, {variant}: {arrangement}, round {repeat + 1} of {repeats}")
            rates[arrangement].append(workers.measure_rate())
            took, found = workers.time_job(settings)
            seconds[arrangement].append(took)
            recall = measure_mean_recall(found, settings)
            expected = recall if expected is None else expected
            check_same_recall(arrangement.program, recall, expected)
    what = f"{_describe_job(settings.trials)}: {variant}"
    return _compare("job", what, seconds, rates, _count_job(settings))


def _describe_job(trials: int) -> str:
    return f"serial position, digits, {trials} trials of 3 networks and 10 presentations"


def _count_job(settings: mp.Settings) -> int:
    """Float operations of the job's products; the networks share their first presentation."""
    draws = draw_trial(mp.load_digits(), settings, 0)
    first = next(draw_presentations(draws, settings))
    n_on, sizes = int(first.images.any(axis=0).sum()), draws.newborn.layer_sizes
    learned = len(settings.networks) * (len(draws.schedule) - 1) + 1
    tests = 1 + learned * (settings.epochs if settings.by_epoch else 1)
    n_tested = tests * settings.n_items * settings.n_test_images
    recall_operations = 2 * sum(a * b for a, b in pairwise((n_on, *sizes[1:])))
    n_shown = learned * first.order.size
    per_trial = count_operations(sizes, n_on) * n_shown + recall_operations * n_tested
    return settings.trials * per_trial


def measure_mean_recall(
    trials: list[dict[str, NDArray[Any]]], settings: mp.Settings
) -> NDArray[np.float64]:
    """Recall at every test, as a mean over trials, networks and items."""
    if settings.by_epoch:
        return np.mean([each["recall_by_epoch"] for each in trials], axis=(0, 1, 3))
    confusion = np.array([each["confusion"] for each in trials])
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    return hits.mean(axis=(0, 1, 3)) / settings.n_test_images


def check_same_recall(
    program: str, recall: NDArray[np.float64], expected: NDArray[np.float64]
) -> None:
    """Rounding grows along a run and moves single answers; the tests and their means must agree."""
    if recall.shape != expected.shape:
        _refuse(program, "tests", f"{recall.shape} instead of {expected.shape}")
    difference = np.abs(recall - expected).max()
    if not difference < RECALL_ERROR:
        _refuse(program, "recall", f"{difference:.1e}")


def measure_whole(repeats: int, trials: int, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """The command against a NumPy program: whole processes, from start to results on disk."""
    say("the job, whole process: warming up")
    ours = ["-m", "metaplastic_np", "run", "serial-position", "--items", "10", "--by-epoch"]
    theirs = [str(HERE / "numpy_program.py"), "--items", "10"]
    jobs = ["--jobs", str(WHOLE_JOBS)]
    seconds: dict[Any, list[float]] = {
        Arrangement(program, WHOLE_JOBS, 1): [] for program in (PACKAGE, "NumPy")
    }
    for repeat in range(-1, repeats):  # the first round compiles, and is not counted
        n_trials = trials if repeat >= 0 else WHOLE_JOBS
        options = ["--trials", str(n_trials), *jobs, "--out"]
        with tempfile.TemporaryDirectory() as folder:
            files = Path(folder, "serial-position.npz"), Path(folder, "numpy.npz")
            commands = [[*ours, *options, folder], [*theirs, *options, str(files[1])]]
            for arrangement, command in zip(seconds, commands, strict=True):
                if repeat >= 0:
                    say(f"the job, whole process: {arrangement}, round {repeat + 1} of {repeats}")
                took = _time_process(command)
                if repeat >= 0:
                    seconds[arrangement].append(took)
            check_same_files(*files)
    what = f"{_describe_job(trials)}: whole process, recall after every epoch, npz written"
    return _compare("job", what, seconds)


def check_same_files(ours: Path, theirs: Path) -> None:
    """The two npz files hold the same draws, the same arrays, and recall that agrees."""
    with np.load(ours) as our, np.load(theirs) as their:
        settings = mp.load_results(ours).settings
        arrays = {name: our[name] for name in our.files if our[name].size}
        if {name: array.shape for name, array in arrays.items()} != {
            name: their[name].shape for name in their.files
        }:
            _refuse("NumPy", "npz", f"{sorted(their.files)} instead of {sorted(arrays)}")
        for name in ("item_classes", "schedule"):
            if not np.array_equal(our[name], their[name]):
                _refuse("NumPy", name, "other draws")
        recall, expected = (
            measure_mean_recall([{"recall_by_epoch": file["recall_by_epoch"]}], settings)
            for file in (their, our)
        )
    check_same_recall("NumPy", recall, expected)


def _compare(
    section: str,
    what: str,
    seconds: dict[Arrangement, list[float]],
    rates: dict[Arrangement, list[float]] | None = None,
    operations: float = 0,
) -> list[dict[str, Any]]:
    """A row for each arrangement: its time divided by our best, its share of the product rate."""
    ours = min(median(times) for each, times in seconds.items() if each.program == PACKAGE)
    rows = []
    for each, times in seconds.items():
        row = _row(section, what, str(each), "s", times)
        row |= {"program": each.program, "ratio": row["median"] / ours}
        if rates is not None:
            rate = median(rates[each])
            row |= {"product_rate": rate, "share": operations / row["median"] / rate}
        rows.append(row)
    return rows


def measure_start(
    programs: list[str], repeats: int, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """From nothing to a presentation learned, and to a whole experiment drawn."""
    say("start-up")
    first: dict[str, list[float]] = {program: [] for program in programs}
    runs: dict[str, list[float]] = {"empty": [], "filled": []}
    for _ in range(repeats):
        for program in programs:
            first[program].append(_time_process([CONTEST, "learn_first", program]))
        with tempfile.TemporaryDirectory() as folder:
            command = ["-m", "metaplastic_np", "run", "serial-position", "--trials", "1"]
            command += ["--out", str(Path(folder, "results"))]
            cache = {"NUMBA_CACHE_DIR": str(Path(folder, "cache"))}
            for state in runs:
                runs[state].append(_time_process(command, cache))
    what = "process start to a first presentation of the digits preset learned"
    rows = [_row("start", what, program, "s", times) for program, times in first.items()]
    what = "run serial-position --trials 1, the whole process with tables and figures"
    for state, times in runs.items():
        rows.append(_row("start", what, f"{PACKAGE}, kernel cache {state}", "s", times))
    return rows


def _time_process(arguments: list[str], environment: dict[str, str] | None = None) -> float:
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
    )
    return time.perf_counter() - started


def measure_memory(programs: list[str], say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Peak memory while the paper's head learns, above what the process holds before."""
    if not Path("/proc/self/clear_refs").exists():
        say("memory: this system does not tell the peak of a process from a moment on")
        return []
    sizes = "-".join(map(str, MEMORY_SIZES))
    what = f"peak memory of learning, {sizes}, batch {PAPER_BATCH}: floats per synapse"
    rows = []
    for program in programs:
        say(f"memory: {program}")
        found = subprocess.run(
            [sys.executable, CONTEST, "print_memory", program],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        rows.append(_row("memory", what, program, "floats", [float(found.stdout)]))
    return rows
