"""What the commands of :mod:`metaplastic_np.cli.parser` do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from .._util import checks, errors
from .._util.storage import write_atomic
from ..experiments import (
    Results,
    Settings,
    describe_machine,
    init_settings,
    load_results,
    measure_speed,
)
from ..paper import (
    EXPERIMENTS,
    find_preset,
    judge_run,
    make_report,
    measure_plan,
    plan_runs,
    show_all,
)
from ..plots import Picture, make_figure, save_figure
from ..scenarios import Dataset, check_item_count, check_sources, fetch_mnist, load_dataset
from .options import (
    BenchOptions,
    DataOptions,
    ReportOptions,
    ReproduceOptions,
    Running,
    RunOptions,
    change_settings,
)
from .plans import learn_plan
from .steepness import count_balance_trials
from .tables import format_claims, format_picture, format_table
from .words import complain, say

SCRIPT_SECONDS = 5.0  # to end after Ctrl-C

# --- run and reproduce ---------------------------------------------------------------


def run(options: RunOptions) -> int:
    """Run one experiment: a table, a figure, and files."""
    row, running = EXPERIMENTS[options.experiment], options.running
    networks = row.alone
    if options.networks is not None:
        networks = tuple(name.strip() for name in options.networks.split(","))
    dataset = load_dataset(running.dataset)
    available = len(dataset.item_classes)
    n_items = min(10, available) if options.items is None else options.items
    check_item_count(n_items, available=available, minimum=2)
    non_target = options.model.non_target or Settings.non_target
    settings = replace(
        init_settings(dataset, n_items=n_items, non_target=non_target),
        schedule=row.schedule,
        networks=networks,
        trials=options.trials,
        seed=running.seed,
        by_epoch=tuple(range(n_items)) if options.by_epoch else (),
    )
    # Two items without wrong labels have, as a rule, no balance: they keep the kappa of settings.
    is_balanced = n_items > 2 or options.model.steepness == "balance"
    started = time.perf_counter()
    results, backend = learn_plan(
        dataset,
        {row.name: change_settings(settings, options.model)},
        running,
        balance_trials=is_balanced * count_balance_trials(dataset, options.model),
    )
    found = results[row.name]
    files = [running.out / f"{row.name}.{ending}" for ending in ("npz", "csv")]
    picture = row.show(found)
    figures = _draw(picture, running.out / row.name)
    is_one_pass = row.schedule == "single-pass"
    say(format_table(found) if is_one_pass else format_picture(picture, found))
    say(f"\n{time.perf_counter() - started:.1f} s, {backend}; written:")
    say("\n".join(f"  {path}" for path in files + figures))
    return 0 if figures else 1


def _draw(picture: Picture, path: Path) -> list[Path]:
    """Write a figure; if that fails, say so and go on: results are on disk already."""
    try:
        return save_figure(make_figure(picture), path)
    except errors.OutputError:
        raise
    except Exception as error:  # of Matplotlib, its fonts, or for want of memory
        kind = type(error).__name__
        complain(f"the figure {path.name} could not be drawn ({kind}: {error}); results are kept")
        return []


def reproduce(options: ReproduceOptions) -> int:
    """Run every experiment of a preset, judge every claim, write one report."""
    running, preset = options.running, options.preset
    dataset = load_dataset(running.dataset)
    planned = plan_runs(dataset, preset, seed=running.seed)
    if left := [name for name in EXPERIMENTS if name not in planned]:
        complain(f"left out, for want of items in {dataset.name}: {', '.join(left)}")
    plan = {
        name: replace(change_settings(settings, options.model), **EXPERIMENTS[name].changes)
        for name, settings in planned.items()
    }
    if options.trials is not None:
        plan = {
            name: replace(settings, trials=min(settings.trials, options.trials))
            for name, settings in plan.items()
        }
    if preset == "paper":
        _announce(dataset, plan, running)
    started = time.perf_counter()
    is_preset = plan == planned and options.model.steepness is None
    results, backend = learn_plan(
        dataset,
        plan,
        running,
        balance_trials=count_balance_trials(dataset, options.model, preset=preset),
        preset=preset if is_preset else "custom",
    )
    learned = time.perf_counter() - started
    path, status = _write_report(running.out, results)
    say(f"\n{learned:.0f} s of learning, {time.perf_counter() - started:.0f} s in all, {backend}")
    say(f"open {path}")
    return status


def report(options: ReportOptions) -> int:
    """Judge and draw again what a folder holds, without learning."""
    try:
        paths = sorted(options.folder.glob("*.npz"))
    except OSError as error:  # a name too long for a path
        errors.raise_unreadable_file(options.folder, error.strerror or str(error))
    results = {}
    for path in paths:
        try:
            results[path.stem] = load_results(path)
        except errors.InputError as error:
            complain(f"passed over: {error}")
    if not results:
        raise errors.InputError(
            f"there are no results (*.npz) in {options.folder}: run an experiment first"
        )
    path, status = _write_report(options.folder, results)
    say(f"open {path}")
    return status


def _write_report(folder: Path, results: Mapping[str, Results]) -> tuple[Path, int]:
    """claims.json, every figure, and the report that has them all; print the claims.

    The status is 1 if a figure could not be drawn.
    """
    judged = judge_run(results, preset=find_preset(results))
    text = json.dumps(judged, indent=1, allow_nan=False)
    write_atomic(folder / "claims.json", lambda file: file.write(text.encode()))
    drawn = {}
    figures = errors.check_output_folder(folder / "figures")
    pictures = show_all(results)
    for name, picture in pictures.items():
        if written := _draw(picture, figures / name):
            drawn[name] = picture, written[-1].read_bytes()
    page = make_report(results, judged, drawn)
    path = folder / "report.html"
    # A name of bytes that are no text, of a dataset or a folder, is shown with question marks.
    write_atomic(path, lambda file: file.write(page.encode("utf-8", "replace")))
    say(format_claims(judged))
    return path, int(len(drawn) < len(pictures))


def _announce(dataset: Dataset, plan: Mapping[str, Settings], running: Running) -> None:
    """How long a plan will take and how much disk, before it starts."""
    hours = measure_plan(dataset, plan) / measure_speed() / 3600
    n_inputs = 2 * dataset.train_images[0].size
    most = 0  # bytes of the largest state of a trial: every network now, and where it rewinds to
    for settings in plan.values():
        sizes = (n_inputs, *settings.hidden, settings.n_items)
        n_parameters = sum((n_in + 1) * n_out for n_in, n_out in pairwise(sizes))
        most = max(most, 2 * 4 * n_parameters * len(settings.networks))
    complain(
        f"about {hours:.0f} hours on this machine, {most * running.jobs / 1e9:.1f} GB of disk in "
        f"{running.out} while it runs; Ctrl-C and --resume at any time"
    )


# --- data and info -------------------------------------------------------------------


def list_data(options: DataOptions) -> int:
    """Which images there are, and where."""
    sources = check_sources()
    for name, status, where in sources:
        say(f"{name:<8} {status:<9} {where}")
    is_damaged = any(status.startswith("damaged") for _, status, _ in sources)
    return int(options.is_check and is_damaged)


def fetch_data() -> int:
    """Download MNIST."""
    for path in fetch_mnist(on_file=lambda path: complain(f"{path.name} is here")):
        say(str(path))
    return 0


def info() -> int:
    """Versions, CPU, BLAS and backend."""
    backend = checks.check_backend("auto")
    facts: dict[str, Any] = {**describe_machine(), "backend": backend}
    if backend == "numba":
        from .. import _fast

        facts["kernel cache"] = _fast.cache_folder() or "none (set NUMBA_CACHE_DIR)"
    for name, value in facts.items():
        say(f"{name:<15} {', '.join(value) if isinstance(value, list) else value}")
    return 0


def bench(options: BenchOptions) -> int:
    """Run the benchmark of the source checkout that this package lies in; its exit status."""
    root = Path(__file__).parents[2]
    script = root / "tests" / "benchmarks" / "bench.py"
    if not script.is_file():
        raise errors.InputError(
            f"the benchmark comes with a source checkout, and {script} is not there: "
            'run `pip install -e ".[bench]"` in a clone of the repository'
        )
    given = {name: getattr(options, name) for name in ("sections", "repeats", "trials", "json")}
    arguments = [f"--{name}={value}" for name, value in given.items() if value is not None]
    return _run_script(script, arguments, root)


def _run_script(script: Path, arguments: list[str], root: Path) -> int:
    """Run a Python file with this Python and this package. Ctrl-C reaches it, too."""
    paths = [str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    with subprocess.Popen([sys.executable, script, *arguments], env=environment) as process:
        try:
            status = process.wait()
            return status if status >= 0 else 1  # below 0: a signal ended it
        except KeyboardInterrupt:
            with suppress(subprocess.TimeoutExpired):
                process.wait(SCRIPT_SECONDS)
            process.kill()
            raise
