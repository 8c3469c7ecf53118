"""How fast is it? The same learning by this package and by others, in turn, in one run.

Every program, see ``rivals.py``, lives in worker processes of its own, so that no library's waiting
threads disturb another. Before any clock runs, all must have learned the same weights. Then they
take turns, A B C A B C, and a median is given with its range.

A time says little by itself, so every round also measures the **product rate** of each library on
this machine, 2048 x 2048 matrices of float32 with the same threads and processes. What learning
*must* multiply, ``count_operations`` there, divided by the time it took, is given as a **share** of
that rate.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack
from importlib.metadata import version
from importlib.util import find_spec
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from .._util import checks, errors
from .._util.storage import write_atomic
from ..experiments import (
    Settings,
    describe_machine,
    draw_presentations,
    draw_trial,
    measure_bandwidth,
)
from ..scenarios import load_digits
from .contest import (
    LARGEST,
    MEMORY_SIZES,
    PACKAGE,
    PAPER_BATCH,
    SEED,
    STEEPNESS,
    enter,
    learn_afresh,
    load_canvas,
    prepare,
    run_trials,
    time_learning,
    time_product,
)
from .rivals import MODULES, count_operations

__all__ = ["format_bench", "run_bench", "save_bench"]

SECTIONS = ("presentation", "job", "start", "memory")
SHAPES = (  # hidden layers and batch of one presentation
    ((256, 256), 64),
    ((256, 256), 256),
    ((1024, 1024), 1024),
    ((4096, 4096), 1024),
)
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
            stack.enter_context(
                ProcessPoolExecutor(
                    1,
                    mp_context=get_context("spawn"),
                    initializer=enter,
                    initargs=(arrangement.program, arrangement.threads),
                )
            )
            for _ in range(arrangement.processes)
        ]

    def call(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        """The same call in every process at once."""
        futures = [pool.submit(function, *arguments) for pool in self.pools]
        return [future.result() for future in futures]

    def measure_rate(self) -> float:
        """Operations a second of this arrangement's products."""
        times = self.call(time_product, self.arrangement.program)
        return sum(2 * LARGEST**3 / seconds for seconds in times)

    def time_job(self, settings: Settings) -> tuple[float, list[Any]]:
        """Seconds for all trials, and what they found."""
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


# --- sections ------------------------------------------------------------------------


def run_bench(
    *,
    sections: tuple[str, ...] = SECTIONS,
    repeats: int = 5,
    trials: int = 10,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Measure this package against the rivals that are installed.

    Parameters
    ----------
    sections : tuple of str
        Of "presentation", "job", "start", "memory".
    repeats : int
        Rounds of each comparison.
    trials : int
        Of the serial-position job.
    say : callable
        Told what is being measured.

    Returns
    -------
    dict, as JSON holds it
        The machine, which programs were skipped and why, and a row for everything measured.

    Raises
    ------
    DivergenceError
        If two programs did not learn the same weights.

    Examples
    --------
    >>> found = run_bench(sections=())  # or ("presentation",): four minutes
    >>> found["rows"]
    []
    """
    for section in sections:
        checks.check_choice("sections", section, SECTIONS)
    checks.check_count("repeats", repeats)
    checks.check_count("trials", trials)
    programs, skipped = _find_programs()
    machine = describe_machine()
    others = [MODULES[program] for program in programs]
    machine |= {module: version(module) for module in others if module not in machine}
    machine["memory"] = f"{measure_bandwidth() / 1e9:.0f} GB copied a second"
    rows: list[dict[str, Any]] = []
    measure = {
        "presentation": lambda: _measure_presentations(programs, repeats, say),
        "job": lambda: _measure_job(programs, repeats, trials, say),
        "start": lambda: _measure_start(programs, repeats, say),
        "memory": lambda: _measure_memory(programs, say),
    }
    for section in sections:
        rows += measure[section]()
    return {
        "schema": 1,
        "command": f"metaplastic-np bench --sections {','.join(sections)} --repeats {repeats} "
        f"--trials {trials}",
        "machine": machine,
        "images": load_canvas()[1],
        "skipped": skipped,
        "rows": rows,
    }


def _find_programs() -> tuple[list[str], dict[str, str]]:
    """Which programs can run here, and why others cannot."""
    found, skipped = [], {}
    for program, module in MODULES.items():
        if find_spec(module) is None:
            skipped[program] = f"{module} is not installed (the extra 'bench' brings it)"
        else:
            found.append(program)
    return found, skipped


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


def _check_same_weights(everyone: list[_Workers], hidden: tuple[int, ...], batch: int) -> None:
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
                errors.raise_not_the_same(program, PACKAGE, dtype, difference)


def _measure_presentations(
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
                _check_same_weights(everyone[: len(programs)], hidden, batch)
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


def _measure_job(
    programs: list[str], repeats: int, trials: int, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """The serial position experiment of the digits preset, recall after each presentation."""
    cores = os.cpu_count() or 1
    settings = Settings(trials=trials, seed=SEED, steepness=STEEPNESS)
    arrangements = [Arrangement(program, 1, cores) for program in programs if program != PACKAGE]
    arrangements += [Arrangement(program, cores, 1) for program in programs if program != "JAX"]
    arrangements.append(Arrangement(PACKAGE, 1, 1))
    arrangements = sorted(set(arrangements), key=lambda each: (each.program != PACKAGE, each))
    what = f"serial position, digits, {trials} trials of 3 networks and 10 presentations"
    with ExitStack() as stack:
        everyone = [_Workers(arrangement, stack) for arrangement in arrangements]
        say("the job: warming up")
        for workers in everyone:
            workers.call(run_trials, workers.arrangement.program, settings, [trials])
        seconds: dict[Arrangement, list[float]] = {each: [] for each in arrangements}
        rates: dict[Arrangement, list[float]] = {each: [] for each in arrangements}
        for repeat in range(repeats):
            expected = None
            for workers in everyone:
                say(f"the job: {workers.arrangement}, round {repeat + 1} of {repeats}")
                rates[workers.arrangement].append(workers.measure_rate())
                took, found = workers.time_job(settings)
                seconds[workers.arrangement].append(took)
                # Rounding grows along a run, and moves single answers; the work must be the same.
                recall = np.mean([np.diagonal(each, axis1=-2, axis2=-1)[:, -1] for each in found])
                expected = recall if expected is None else expected
                if not abs(recall - expected) < RECALL_ERROR * settings.n_test_images:
                    errors.raise_not_the_same(
                        workers.arrangement.program, PACKAGE, "recall", abs(recall - expected)
                    )
    draws = draw_trial(load_digits(), settings, 0)
    first = next(draw_presentations(draws, settings))
    n_on, sizes = int(first.images.any(axis=0).sum()), draws.newborn.layer_sizes
    networks = trials * len(settings.networks)
    shown = networks * len(draws.schedule) * first.order.size
    tested = networks * (len(draws.schedule) + 1) * settings.n_items * settings.n_test_images
    recall_operations = 2 * sum(a * b for a, b in pairwise((n_on, *sizes[1:])))
    operations = count_operations(sizes, n_on) * shown + recall_operations * tested
    return _compare("job", what, seconds, rates, operations)


def _compare(
    section: str,
    what: str,
    seconds: dict[Arrangement, list[float]],
    rates: dict[Arrangement, list[float]],
    operations: float,
) -> list[dict[str, Any]]:
    """A row for each arrangement, with its share of the product rate and its ratio to the best."""
    ours = min(median(times) for each, times in seconds.items() if each.program == PACKAGE)
    rows = []
    for each, times in seconds.items():
        row = _row(section, what, str(each), "s", times)
        rate = median(rates[each])
        row |= {
            "product_rate": rate,
            "share": operations / row["median"] / rate,
            "ratio": row["median"] / ours,
        }
        rows.append(row)
    return rows


def _measure_start(
    programs: list[str], repeats: int, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """From nothing to a presentation learned, and to a whole experiment drawn."""
    say("start-up")
    first: dict[str, list[float]] = {program: [] for program in programs}
    runs: dict[str, list[float]] = {"empty": [], "filled": []}
    code = "import sys; from metaplastic_np import contest; contest.learn_first(sys.argv[1])"
    for _ in range(repeats):
        for program in programs:
            first[program].append(_time_process(["-c", code, program]))
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


def _measure_memory(programs: list[str], say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Peak memory while the paper's head learns, above what the process holds before."""
    if not Path("/proc/self/clear_refs").exists():
        say("memory: this system does not tell the peak of a process from a moment on")
        return []
    code = "import sys; from metaplastic_np import contest; contest.print_memory(sys.argv[1])"
    sizes = "-".join(map(str, MEMORY_SIZES))
    what = f"peak memory of learning, {sizes}, batch {PAPER_BATCH}: floats a synapse"
    rows = []
    for program in programs:
        say(f"memory: {program}")
        found = subprocess.run(
            [sys.executable, "-c", code, program], check=True, stdout=subprocess.PIPE, text=True
        )
        rows.append(_row("memory", what, program, "floats", [float(found.stdout)]))
    return rows


# --- the table -----------------------------------------------------------------------


def format_bench(found: dict[str, Any]) -> str:
    """The table as text.

    Parameters
    ----------
    found : dict
        As :func:`run_bench` returned it.

    Returns
    -------
    str

    Examples
    --------
    >>> row = {"section": "start", "what": "import", "who": "NumPy", "unit": "s"}
    >>> row |= {"median": 0.1, "lowest": 0.09, "highest": 0.2}
    >>> found = {"machine": {"cpu": "a CPU"}, "skipped": {}, "rows": [row]}
    >>> print(format_bench(found))
    cpu              a CPU
    <BLANKLINE>
    import
      NumPy                                    0.1 [0.09, 0.2] s
    """
    lines = [f"{name:<16} {_plain(value)}" for name, value in found["machine"].items()]
    lines += [f"{program} skipped: {reason}" for program, reason in found["skipped"].items()]
    what = None
    for row in found["rows"]:
        if row["what"] != what:
            what = row["what"]
            lines += ["", what]
        low, middle, high = (f"{row[name]:.3g}" for name in ("lowest", "median", "highest"))
        line = f"  {row['who']:<40} {middle} [{low}, {high}] {row['unit']}"
        if "share" in row:
            line = f"{line:<70}{row['share']:>6.0%} of products, {row['ratio']:.2f} times the best"
        lines.append(line)
    return "\n".join(lines)


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def save_bench(path: Path | str, found: dict[str, Any]) -> None:
    """Write what was measured as JSON, atomically.

    Parameters
    ----------
    path : path
    found : dict
        As :func:`run_bench` returned it.

    Raises
    ------
    OutputError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_bench(f"{folder}/bench.json", {"rows": []})
    """
    write_atomic(path, lambda file: file.write(json.dumps(found, indent=1).encode()))
