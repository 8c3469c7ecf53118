"""The command line: ``metaplastic-np`` and ``python -m metaplastic_np``.

Exit status 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C. Errors are one line on stderr.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from . import _checks, _errors
from .experiments import (
    Results,
    balance_steepness,
    check_folder,
    check_items,
    run_serial_position,
    save_results,
)
from .items import NON_TARGETS
from .learning import REFRESHES
from .machine import describe_machine
from .recall import (
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
from .sources import DATASETS, load_dataset
from .trials import Settings, describe_run, read_trials
from .workers import open_pool

__all__ = ["main"]

PROGRAM = "metaplastic-np"
EXPERIMENTS = ("serial-position",)
CLEAR = 0.25  # hits minus false alarms of an item that is clearly remembered


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Default: those of the process.

    Returns
    -------
    int
        Exit status.

    Examples
    --------
    >>> main(["run", "serial-position", "--trials", "0"])
    2
    """
    try:
        options = _parser().parse_args(arguments)
    except SystemExit as stop:  # argparse has said why, or has shown the help
        return int(stop.code or 0)
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        return _guarded(options)


def _guarded(options: argparse.Namespace) -> int:
    """Run a command; whatever goes wrong becomes one line and an exit status."""
    try:
        status = int(options.command(options))
        sys.stdout.flush()  # a reader that went away is met here, not at exit
        return status
    except KeyboardInterrupt:
        return _stopped()
    except _errors.InputError as error:
        _complain(str(error))
        return 2
    except (_errors.OutputError, _errors.DivergenceError, _errors.WorkerError) as error:
        _complain(str(error))
        return 1
    except BrokenPipeError:  # `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # a bug is ours, and still one line
        if isinstance(error.__cause__, KeyboardInterrupt):  # Python wraps one inside an import
            return _stopped()
        if os.environ.get("METAPLASTIC_NP_DEBUG"):
            raise
        _complain(
            f"unexpected {type(error).__name__}: {error} "
            "(METAPLASTIC_NP_DEBUG=1 shows where; please report it)"
        )
        return 1


def _stopped() -> int:
    _complain("stopped by Ctrl-C")
    return 130


def _complain(message: str) -> None:
    print(f"{PROGRAM}: " + " ".join(message.split()), file=sys.stderr)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    _complain(f"warning: {message}")


class _Parser(argparse.ArgumentParser):
    """argparse, but wrong usage is one line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where help is."""
        self.exit(2, f"{PROGRAM}: {message} (see {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=PROGRAM, description="Metaplastic synapses for continual learning, from scratch."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    run = commands.add_parser(
        "run",
        help="run an experiment: a table, a figure, and files in --out",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    run.set_defaults(command=_run)
    default = Settings()
    run.add_argument("experiment", choices=EXPERIMENTS, help="which experiment")
    run.add_argument("--dataset", default="digits", help="images: " + ", ".join(DATASETS))
    run.add_argument(
        "--items", type=int, default=default.n_items, help="how many items are learned, 3 to 45"
    )
    run.add_argument("--trials", type=int, default=default.trials, help="independent trials")
    run.add_argument(
        "--networks",
        default=",".join(default.networks),
        help="comma-separated: conventional (flexibility 1), stable (0.3), hybrid (random), "
        "biased-up and biased-down (random, more or less flexible), homogeneous:F (F everywhere)",
    )
    run.add_argument("--seed", type=int, default=default.seed, help="seed of all draws")
    run.add_argument("--jobs", type=int, default=1, help="worker processes")
    run.add_argument("--out", type=Path, default=Path("results"), help="folder for the results")
    run.add_argument(
        "--resume", action="store_true", help="keep the finished trials of a stopped run"
    )
    run.add_argument("--backend", choices=_checks.BACKENDS, default="auto", help="who computes")

    model = run.add_argument_group("model")
    model.add_argument(
        "--learning-rate", type=float, default=default.learning_rate, help="step size"
    )
    model.add_argument(
        "--hidden",
        default=",".join(map(str, default.hidden)),
        help="comma-separated widths of the hidden layers",
    )
    model.add_argument("--epochs", type=int, default=default.epochs, help="epochs a presentation")
    model.add_argument("--batch", type=int, default=default.batch_size, help="images an update")
    model.add_argument(
        "--non-target",
        choices=NON_TARGETS,
        default=default.non_target,
        help="labels of other items' images: wrong ones, no such images, or true ones",
    )
    model.add_argument(
        "--refresh", choices=REFRESHES, default=default.refresh, help="when plasticity is computed"
    )
    stiffening = model.add_mutually_exclusive_group()
    stiffening.add_argument(
        "--steepness",
        metavar="S",
        default=argparse.SUPPRESS,
        help="1/weight, or 'balance' to calibrate it first (default: calibrated on digits for "
        "this many items; with other layers or rates use balance or --kappa)",
    )
    stiffening.add_argument(
        "--kappa", type=float, default=argparse.SUPPRESS, help="dimensionless steepness instead"
    )

    info = commands.add_parser("info", help="show versions, CPU, BLAS and backend")
    info.set_defaults(command=_info)
    return parser


# --- run -----------------------------------------------------------------------------


def _run(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    settings, is_balanced = _settings(options)
    dataset = load_dataset(options.dataset)
    check_items(dataset, settings)
    backend = _checks.check_backend(options.backend)
    if backend == "numba" and options.jobs > 1:
        from . import _kernels  # noqa: F401  (says once, for all workers, if none can be cached)
    started = time.perf_counter()
    with open_pool(options.jobs) as executor:
        folder = _errors.check_output_folder(options.out)
        if is_balanced:
            found = balance_steepness(
                dataset, settings, backend=backend, executor=executor, on_step=_show_step
            )
            settings = _with_steepness(settings, found)
        identity = describe_run(options.experiment, dataset, settings)
        check_folder(folder, identity)
        checkpoint = folder / f"{options.experiment}.trials"
        _prepare(checkpoint, identity, resume=options.resume)
        try:
            with tqdm(total=settings.trials, unit="trial", disable=None) as bar:
                results = run_serial_position(
                    dataset,
                    settings,
                    backend=backend,
                    executor=executor,
                    checkpoint=checkpoint,
                    on_trial=lambda done: bar.update(done - bar.n),
                )
        except (KeyboardInterrupt, _errors.WorkerError):
            finished = len(read_trials(checkpoint, identity))
            _complain(
                f"{finished} of {settings.trials} trials are kept in {checkpoint}; "
                "add --resume to go on"
            )
            raise
    files = save_results(results, folder)
    shutil.rmtree(checkpoint, ignore_errors=True)
    from .figures import make_serial_position_figure, save_figure

    files += save_figure(make_serial_position_figure(results), folder / options.experiment)
    print(format_table(results))
    print(f"\n{time.perf_counter() - started:.1f} s, {backend}; written:")
    for path in files:
        print(f"  {path}")
    return 0


def _prepare(checkpoint: Path, identity: dict[str, Any], *, resume: bool) -> None:
    """Keep the trials of a stopped run to resume it, or clear them; never those of another run."""
    if resume:
        return  # read, and refused if they are another run's, when the experiment starts
    try:
        kept = read_trials(checkpoint, identity)
    except _errors.InputError:  # damaged: nothing to lose
        kept = {}
    if kept or checkpoint.exists():
        shutil.rmtree(checkpoint)


def _settings(options: argparse.Namespace) -> tuple[Settings, bool]:
    """The settings that the options ask for, and whether steepness is still to be balanced."""
    settings = Settings(
        n_items=options.items,
        trials=options.trials,
        seed=options.seed,
        networks=tuple(name.strip() for name in options.networks.split(",")),
        hidden=_checks.parse_widths("--hidden", options.hidden),
        learning_rate=options.learning_rate,
        epochs=options.epochs,
        batch_size=options.batch,
        non_target=options.non_target,
        refresh=options.refresh,
        # Testing after each epoch is for the lists of ten that the paper shows by epoch.
        by_epoch=options.items <= Settings.n_items,
    )
    if "kappa" in options:
        kappa = _checks.check_positive("kappa", options.kappa)
        return replace(settings, steepness=None, kappa=kappa), False
    if "steepness" not in options:
        return settings, False
    if options.steepness == "balance":
        return settings, True
    return _with_steepness(settings, _checks.parse_number("--steepness", options.steepness)), False


def _with_steepness(settings: Settings, steepness: float) -> Settings:
    return replace(settings, steepness=steepness, kappa=None)


def _show_step(steepness: float, difference: float) -> None:
    if sys.stderr.isatty():
        _complain(f"balancing: steepness {steepness:.4g}, first minus last {difference:+.2f}")


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
        halves = [measure_interval(trials) for trials in values]
        cells = [
            f"{trials.mean():.2f}" + (f" ± {half:.2f}" if np.isfinite(half) else "")
            for trials, half in zip(values, halves, strict=True)
        ]
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


# --- info ----------------------------------------------------------------------------


def _info(_: argparse.Namespace) -> int:
    backend = _checks.check_backend("auto")
    facts: dict[str, Any] = {**describe_machine(), "backend": backend}
    if backend == "numba":
        from . import _kernels

        facts["kernel cache"] = _kernels.cache_folder() or "none (set NUMBA_CACHE_DIR)"
    for name, value in facts.items():
        print(f"{name:<15} {', '.join(value) if isinstance(value, list) else value}")
    return 0
