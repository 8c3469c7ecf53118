"""What the commands of :mod:`metaplastic_np.cli.parser` do."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from .._util import checks, errors
from .._util.storage import write_atomic
from ..experiments import (
    Results,
    Settings,
    balance_steepness,
    check_free,
    check_items,
    describe_machine,
    describe_run,
    init_settings,
    is_calibrated,
    load_results,
    measure_speed,
    measure_work,
    open_cluster,
    open_pool,
    read_trials,
    run_experiments,
    save_results,
)
from ..metrics import (
    CLEAR,
    MEMORIZED_LEVEL,
    chance_recall,
    measure_capacity,
    measure_false_alarms,
    measure_interval,
    measure_primacy,
    measure_recall,
    measure_recency,
    measure_serial_position_curve,
)
from ..paper import (
    judge_run,
    make_report,
    measure_plan,
    plan_runs,
    show_all,
    show_biased,
    show_frequency,
    show_poisoning,
    show_repetition,
    show_serial_position,
)
from ..plots import Panel, Picture, make_figure, measure_table, save_figure
from ..scenarios import Dataset, check_sources, fetch_mnist, load_dataset

PROGRAM = "metaplastic-np"
THREE = ("conventional", "stable", "hybrid")
BIASED = ("hybrid", "biased-up", "biased-down")
# By name: the schedule, the networks, and the picture.
EXPERIMENTS: dict[str, tuple[str, tuple[str, ...], Callable[[Results], Picture]]] = {
    "serial-position": ("single-pass", THREE, show_serial_position),
    "hebb-repetition": ("repetition", THREE, show_repetition),
    "data-poisoning": ("poisoning", THREE, show_poisoning),
    "learning-frequency": ("frequency", THREE, show_frequency),
    "biased-flexibility": ("single-pass", BIASED, show_biased),
}
MISSING = (OSError, ValueError, KeyError, TypeError)  # a file that is not there, or says nothing
SCRIPT_SECONDS = 5.0  # to end after Ctrl-C
BALANCE_TRIALS = 10
PAPER_BALANCE_TRIALS = 2  # of an hour each


def complain(message: str) -> None:
    """One line on stderr."""
    print(f"{PROGRAM}: " + " ".join(message.split()), file=sys.stderr)


# --- run and reproduce ---------------------------------------------------------------


def run(options: argparse.Namespace) -> int:
    """Run one experiment: a table, a figure, and files."""
    schedule, networks, show = EXPERIMENTS[options.experiment]
    if options.networks is not None:
        networks = tuple(name.strip() for name in options.networks.split(","))
    dataset = load_dataset(options.dataset)
    checks.check_item_count(options.items, available=len(dataset.item_classes), minimum=3)
    settings = replace(
        init_settings(dataset, n_items=options.items),
        schedule=schedule,
        networks=networks,
        trials=options.trials,
        seed=options.seed,
        # Testing after each epoch is for the lists of ten that the paper shows by epoch.
        by_epoch=options.experiment == "serial-position" and options.items <= Settings.n_items,
    )
    started = time.perf_counter()
    settings = _with_options(settings, options)
    results, backend = _learn(dataset, {options.experiment: settings}, options)
    results_of_run = results[options.experiment]
    files = save_results(results_of_run, options.out, name=options.experiment)
    _clear(options.out, results)
    picture = show(results_of_run)
    files += save_figure(make_figure(picture), options.out / options.experiment)
    if schedule == "single-pass":
        print(format_table(results_of_run))
    else:
        print(format_picture(picture, results_of_run))
    print(f"\n{time.perf_counter() - started:.1f} s, {backend}; written:")
    for path in files:
        print(f"  {path}")
    return 0


def reproduce(options: argparse.Namespace) -> int:
    """Run every experiment of a preset, judge every claim, write one report."""
    dataset = load_dataset(options.dataset)
    planned = plan_runs(dataset, options.preset, seed=options.seed)
    plan = {name: _with_options(settings, options) for name, settings in planned.items()}
    for name in plan.keys() & {"non-target-true", "non-target-none"}:  # what they are there for
        plan[name] = replace(plan[name], non_target=planned[name].non_target)
    if options.trials is not None:
        plan = {
            name: replace(settings, trials=min(settings.trials, options.trials))
            for name, settings in plan.items()
        }
    if options.preset == "paper":
        _announce(dataset, plan, options)
    started = time.perf_counter()
    results, backend = _learn(dataset, plan, options)
    learned = time.perf_counter() - started
    for name, found in results.items():
        save_results(found, options.out, name=name)
    _clear(options.out, results)
    preset = options.preset if plan == planned else "custom"
    report_path = _write_report(options.out, results, preset=preset)
    print(f"\n{learned:.0f} s of learning, {time.perf_counter() - started:.0f} s in all, {backend}")
    print(f"open {report_path}")
    return 0


def report(options: argparse.Namespace) -> int:
    """Judge and draw again what a folder holds, without learning."""
    try:
        paths = sorted(options.folder.glob("*.npz"))
    except OSError as error:  # a name too long for a path
        errors.raise_unreadable_file(options.folder, error.strerror or str(error))
    results = {path.stem: load_results(path) for path in paths}
    if not results:
        errors.raise_no_results(options.folder)
    preset = "custom"
    with suppress(*MISSING):
        preset = str(json.loads((options.folder / "claims.json").read_text("utf-8"))["preset"])
    print(f"open {_write_report(options.folder, results, preset=preset)}")
    return 0


def _write_report(folder: Path, results: Mapping[str, Results], *, preset: str) -> Path:
    """claims.json, every figure, and the report that has them all; print the claims."""
    judged = judge_run(results, preset=preset)
    text = json.dumps(judged, indent=1, allow_nan=False)
    write_atomic(folder / "claims.json", lambda file: file.write(text.encode()))
    drawn = {}
    figures = errors.check_output_folder(folder / "figures")
    for name, picture in show_all(results).items():
        _, svg = save_figure(make_figure(picture), figures / name)
        drawn[name] = picture, svg.read_bytes()
    page = make_report(results, judged, drawn)
    path = folder / "report.html"
    write_atomic(path, lambda file: file.write(page.encode()))
    print(format_claims(judged))
    return path


def _with_options(settings: Settings, options: argparse.Namespace) -> Settings:
    """The settings, except for what the options say otherwise."""
    changes: dict[str, Any] = {
        "learning_rate": options.learning_rate,
        "epochs": options.epochs,
        "batch_size": options.batch,
        "refresh": options.refresh,
        "non_target": options.non_target,
    }
    if options.hidden is not None:
        changes["hidden"] = checks.parse_widths("--hidden", options.hidden)
    changes = {name: value for name, value in changes.items() if value is not None}
    if options.kappa is not None:
        changes |= {"steepness": None, "kappa": checks.check_positive("kappa", options.kappa)}
    elif options.steepness not in (None, "balance"):
        steepness = checks.parse_number("--steepness", options.steepness)
        changes |= {"steepness": steepness, "kappa": None}
    return replace(settings, **changes)


def _learn(
    dataset: Dataset, plan: dict[str, Settings], options: argparse.Namespace
) -> tuple[dict[str, Results], str]:
    """Run a plan: workers, steepness, checkpoints, progress."""
    for settings in plan.values():
        check_items(dataset, settings)
    backend = checks.check_backend(options.backend)
    if backend == "numba" and options.jobs > 1:
        from .._fast import kernels  # noqa: F401  (says once, for all workers, if none can be cached)
    workers = open_cluster(options.cluster) if options.cluster else open_pool(options.jobs)
    with workers as executor:
        folder = errors.check_output_folder(options.out)
        if _is_to_balance(dataset, options):
            plan = _balance(dataset, plan, options, backend=backend, executor=executor)
        checkpoints = {name: folder / f"{name}.trials" for name in plan}
        for name, settings in plan.items():
            identity = describe_run(dataset, settings)
            check_free(folder / f"{name}.npz", identity)
            _prepare(checkpoints[name], identity, resume=options.resume)
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
        except (KeyboardInterrupt, errors.WorkerError):
            kept = sum(
                len(read_trials(checkpoints[name], describe_run(dataset, settings)))
                for name, settings in plan.items()
            )
            trials = sum(settings.trials for settings in plan.values())
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
    form = "{percentage:3.0f}%|{bar}| {elapsed}<{remaining}, {postfix}"
    with tqdm(total=total, bar_format=form, disable=None, postfix=f"{trials} trials") as bar:

        def on_trial(done: Mapping[str, int]) -> None:
            bar.set_postfix_str(f"{sum(done.values())} of {trials} trials", refresh=False)
            bar.update(sum(work[name] * count for name, count in done.items()) - bar.n)

        yield on_trial


def _is_to_balance(dataset: Dataset, options: argparse.Namespace) -> bool:
    """Whether a steepness is still to be found: asked for, or because nobody has found one."""
    if options.steepness == "balance":
        return True
    is_known = is_calibrated(dataset) and getattr(options, "preset", "quick") != "paper"
    return not is_known and options.steepness is None and options.kappa is None


def _balance(
    dataset: Dataset, plan: dict[str, Settings], options: argparse.Namespace, **where: Any
) -> dict[str, Settings]:
    """One steepness for each length of list; kept in a file, since a resumed run needs the same."""
    path = options.out / "steepness.json"
    trials = PAPER_BALANCE_TRIALS if getattr(options, "preset", "") == "paper" else BALANCE_TRIALS
    found = _read_steepness(path) if options.resume else {}
    balanced = {}
    for name, settings in plan.items():
        key = f"{dataset.name}, {settings.n_items} items"
        if key not in found:
            complain(f"balancing the steepness for lists of {settings.n_items}, {trials} trials")
            plain = replace(settings, non_target="permuted") if len(plan) > 1 else settings
            found[key] = balance_steepness(
                dataset, plain, trials=trials, on_step=_show_step, **where
            )
            _write_steepness(path, found)
        balanced[name] = replace(settings, steepness=float(found[key]), kappa=None)
    return balanced


def _write_steepness(path: Path, found: Mapping[str, float]) -> None:
    text = json.dumps({"steepness": found, "crc32": crc32(json.dumps(found).encode())}, indent=1)
    write_atomic(path, lambda file: file.write(text.encode()))


def _read_steepness(path: Path) -> dict[str, float]:
    """What was found before; nothing, if the file is damaged: then it is found again."""
    with suppress(*MISSING):
        content = json.loads(path.read_text("utf-8"))
        if crc32(json.dumps(content["steepness"]).encode()) == content["crc32"]:
            return dict(content["steepness"])
    return {}


def _show_step(steepness: float, difference: float) -> None:
    if sys.stderr.isatty():
        complain(f"balancing: steepness {steepness:.4g}, first minus last {difference:+.2f}")


def _announce(dataset: Dataset, plan: Mapping[str, Settings], options: argparse.Namespace) -> None:
    """How long a plan will take and how much disk, before it starts."""
    hours = measure_plan(dataset, plan) / measure_speed() / 3600
    n_inputs = 2 * dataset.train_images[0].size
    most = 0  # bytes of the largest state of a trial: every network now, and where it rewinds to
    for settings in plan.values():
        sizes = (n_inputs, *settings.hidden, settings.n_items)
        n_parameters = sum((n_in + 1) * n_out for n_in, n_out in pairwise(sizes))
        most = max(most, 2 * 4 * n_parameters * len(settings.networks))
    complain(
        f"about {hours:.0f} hours on this machine, {most * options.jobs / 1e9:.1f} GB of disk in "
        f"{options.out} while it runs; Ctrl-C and --resume at any time"
    )


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


def _clear(folder: Path, results: Mapping[str, Results]) -> None:
    """Remove checkpoints whose results are saved."""
    for name in results:
        shutil.rmtree(folder / f"{name}.trials", ignore_errors=True)


# --- tables --------------------------------------------------------------------------


def _mean_and_half(values: np.ndarray) -> str:
    half = measure_interval(values)
    return f"{values.mean():.2f}" + (f" ± {half:.2f}" if np.isfinite(half) else "")


def format_table(results: Results) -> str:
    """The serial position curve of each network, with 95 % intervals over trials, as text."""
    settings = results.settings
    curves = measure_serial_position_curve(results.recall)
    confusion = results.confusion[:, :, -1]
    clear = measure_recall(confusion) - measure_false_alarms(confusion)
    chance = chance_recall(settings.n_items)
    rows = [(f"position {item + 1}", curves[:, :, item]) for item in range(settings.n_items)]
    summary = [
        ("mean recall", curves.mean(axis=-1)),
        ("primacy", measure_primacy(curves)),
        ("recency", measure_recency(curves)),
        ("memorized", measure_capacity(confusion).astype(float)),
        (f"hits-alarms>{CLEAR}", (clear > CLEAR).sum(axis=-1).astype(float)),
    ]

    def line(name: str, values: np.ndarray) -> str:
        cells = [_mean_and_half(trials) for trials in values]
        return f"{name:<16}" + "".join(f"{cell:>{width}}" for cell in cells)

    width = max(16, *(len(network) + 2 for network in settings.networks))
    header = f"{'':<16}" + "".join(f"{network:>{width}}" for network in settings.networks)
    rule = "-" * len(header)
    kappa = results.kappa.mean()
    title = (
        f"Recall after {settings.n_items} items, each shown once; chance {chance:.2f}.\n"
        f"{results.header['dataset']}, seed {settings.seed}, {settings.trials} trials "
        f"(mean ± 95 % interval), kappa {kappa:.1f}"
    )
    lines = [title, "", header, rule, *(line(*row) for row in rows), rule]
    notes = (
        "memorized: items with more hits than shuffled labels would give them (exact test, "
        f"P < {MEMORIZED_LEVEL},\n{settings.n_test_images} test images an item). The row below it "
        "asks for clearly more hits than false alarms.\n"
        "primacy, recency: first, last item minus the mean of the middle 40 % of positions.\n"
        "kappa: steepness times the rms displacement of the weights after the first presentation."
    )
    return "\n".join([*lines, *(line(*row) for row in summary), "", notes])


def format_picture(picture: Picture, results: Results) -> str:
    """The numbers of a figure's last row as text."""
    lines = [picture.title, f"kappa {results.kappa.mean():.1f}"]
    for panel in picture.rows[-1]:
        if not isinstance(panel, Panel):
            continue
        labels = [series.label for series in panel.series]
        width = max(10, *(len(label) + 2 for label in labels))
        first = max(18, len(panel.xlabel) + 2)
        lines += ["", f"{panel.title}: {panel.ylabel}"]
        lines += [f"{panel.xlabel:<{first}}" + "".join(f"{label:>{width}}" for label in labels)]
        for row in measure_table(panel)[1]:
            means = ["" if cell == "" else f"{cell:.2f}" for cell in row[1::3]]
            lines.append(f"{row[0]:<{first}}" + "".join(f"{mean:>{width}}" for mean in means))
    return "\n".join(lines)


def format_claims(judged: Mapping[str, Any]) -> str:
    """The claim card as text."""
    lines = [f"{'':<5}{'verdict':<11}{'weakest margin':<28}{'trials':<8}claim"]
    for claim in judged["claims"]:
        if not claim["n"]:
            lines.append(f"{claim['id']:<5}{'not run':<47}{claim['statement']}")
            continue
        low, high = ("?" if end is None else f"{end:+.3f}" for end in claim["interval"])
        margin = f"{claim['estimate']:+.3f} [{low}, {high}]"
        lines.append(
            f"{claim['id']:<5}{claim['verdict']:<11}{margin:<28}{claim['n']:<8}{claim['statement']}"
        )
    return "\n".join(lines)


# --- data and info -------------------------------------------------------------------


def list_data(options: argparse.Namespace) -> int:
    """Which images there are, and where."""
    sources = check_sources()
    for name, status, where in sources:
        print(f"{name:<8} {status:<9} {where}")
    is_damaged = any(status.startswith("damaged") for _, status, _ in sources)
    return int(options.is_check and is_damaged)


def fetch_data(_: argparse.Namespace) -> int:
    """Download MNIST."""
    for path in fetch_mnist(on_file=lambda path: complain(f"{path.name} is here")):
        print(path)
    return 0


def info(_: argparse.Namespace) -> int:
    """Versions, CPU, BLAS and backend."""
    backend = checks.check_backend("auto")
    facts: dict[str, Any] = {**describe_machine(), "backend": backend}
    if backend == "numba":
        from .._fast import kernels

        facts["kernel cache"] = kernels.cache_folder() or "none (set NUMBA_CACHE_DIR)"
    for name, value in facts.items():
        print(f"{name:<15} {', '.join(value) if isinstance(value, list) else value}")
    return 0


def bench(options: argparse.Namespace) -> int:
    """Run the benchmark of the source checkout that this package lies in; its exit status."""
    root = Path(__file__).parents[2]
    script = root / "tests" / "benchmarks" / "bench.py"
    if not script.is_file():
        errors.raise_no_checkout("the benchmark", script)
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
