"""The command line: ``metaplastic-np`` and ``python -m metaplastic_np``.

Exit status 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C, 143 by SIGTERM. Errors are one
line on stderr.
"""

from __future__ import annotations

import argparse
import os
import signal
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

from .._util import checks, errors
from ..experiments import find_version
from ..learning import REFRESHES
from ..paper import EXPERIMENTS, PRESETS
from ..scenarios import DATASETS, NON_TARGETS
from . import commands
from .options import (
    BenchOptions,
    DataOptions,
    Model,
    ReportOptions,
    ReproduceOptions,
    Running,
    RunOptions,
)
from .words import PROGRAM, complain, say

__all__ = ["main"]

PARTS = {"running": Running, "model": Model}  # fields that are dataclasses themselves


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
    with warnings.catch_warnings(), _stopped_by_sigterm() as stops:
        warnings.showwarning = _show_warning
        warnings.filterwarnings("default", module="metaplastic_np")  # a line, also under -W error
        return _guarded(arguments, stops)


@contextmanager
def _stopped_by_sigterm() -> Iterator[list[int]]:
    """Let SIGTERM do what Ctrl-C does, which ends workers and says what is kept; note that it was.

    As a scheduler sends it, or a machine that shuts down. Not where somebody else handles it.
    """
    stops: list[int] = []
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield stops
        return

    def stop(number: int, frame: Any) -> None:
        stops.append(number)
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGTERM, stop)
    try:
        yield stops
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _make(kind: type[Any], found: argparse.Namespace) -> Any:
    """A command's options, each field by the name of its option."""
    values = {
        field.name: _make(PARTS[field.name], found)
        if field.name in PARTS
        else getattr(found, field.name)
        for field in fields(kind)
    }
    return kind(**values)


def _guarded(arguments: Sequence[str] | None, stops: list[int]) -> int:
    """Run what is asked for; whatever goes wrong becomes one line and an exit status."""
    try:
        try:
            found = _parser().parse_args(arguments)
        except SystemExit as stop:  # argparse has said why, or has shown the help
            return int(stop.code or 0)
        options = () if found.options is None else (_make(found.options, found),)
        return int(found.command(*options))
    except KeyboardInterrupt:
        return _stopped(stops)
    except errors.InputError as error:
        complain(str(error))
        return 2
    except (errors.OutputError, errors.DivergenceError, errors.WorkerError) as error:
        complain(str(error))
        return 1
    except MemoryError as error:
        complain(f"this does not fit into memory: {error}")
        return 1
    except BrokenPipeError:  # nobody reads any more
        return 1
    except Exception as error:  # a bug is ours, and still one line
        if isinstance(error.__cause__, KeyboardInterrupt):  # Python wraps one inside an import
            return _stopped(stops)
        if os.environ.get("METAPLASTIC_NP_DEBUG"):
            raise
        complain(
            f"unexpected {type(error).__name__}: {error} "
            "(METAPLASTIC_NP_DEBUG=1 shows where; please report it)"
        )
        return 1


def _stopped(stops: list[int]) -> int:
    complain(f"stopped by {'SIGTERM' if stops else 'Ctrl-C'}")
    return 128 + (stops[0] if stops else signal.SIGINT)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    complain(f"warning: {message}")


class _Parser(argparse.ArgumentParser):
    """argparse, but wrong usage is one line, and it speaks as all of the program does."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where help is."""
        complain(f"{message} (see {self.prog} --help)")
        self.exit(2)

    def _print_message(self, message: str, file: Any = None) -> None:
        """Help, or the version."""
        say(message.rstrip())


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=PROGRAM,
        description="Metaplastic synapses for continual learning, from scratch.",
    )
    version = f"{PROGRAM} {find_version('metaplastic_np')}"
    parser.add_argument("--version", action="version", version=version)
    chosen = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    shared = [_running_options(), _model_options()]

    run = chosen.add_parser(
        "run", parents=shared, help="run an experiment: a table, a figure, and files in --out"
    )
    run.set_defaults(command=commands.run, options=RunOptions)
    alone = [name for name, row in EXPERIMENTS.items() if row.alone]
    run.add_argument("experiment", choices=alone, help="which experiment")
    run.add_argument("--items", type=int, help="how many items are learned (10, or all of fewer)")
    run.add_argument("--trials", type=int, default=10, help="independent trials (10)")
    run.add_argument(
        "--networks",
        help="comma-separated: conventional (flexibility 1), stable (0.3), hybrid (random), "
        "biased-up and biased-down (random, more or less flexible), homogeneous:F (F everywhere)",
    )
    run.add_argument(
        "--by-epoch",
        action="store_true",
        help="also test all items after every epoch, and keep it in the npz (takes longer)",
    )

    reproduce = chosen.add_parser(
        "reproduce",
        parents=shared,
        help="run every experiment, judge every claim, write one report",
    )
    reproduce.set_defaults(command=commands.reproduce, options=ReproduceOptions)
    reproduce.add_argument(
        "--preset",
        choices=PRESETS,
        default="quick",
        help="quick (minutes; default), standard (more trials), paper (its network: days)",
    )
    reproduce.add_argument("--trials", type=int, help="at most so many trials of each experiment")

    report = chosen.add_parser(
        "report", help="judge and draw again what a folder holds, without learning"
    )
    report.set_defaults(command=commands.report, options=ReportOptions)
    report.add_argument("folder", type=Path, help="where run or reproduce wrote its results")

    data = chosen.add_parser("data", help="list, fetch or check images")
    actions = data.add_subparsers(title="actions", required=True, metavar="ACTION")
    for name, words in (
        ("list", "which images there are, and where"),
        ("check", "the same; exit status 1 if a file is damaged"),
    ):
        action = actions.add_parser(name, help=words)
        action.set_defaults(
            command=commands.list_data, options=DataOptions, is_check=name == "check"
        )
    fetch = actions.add_parser("fetch", help="download images (needs the extra 'mnist')")
    fetch.add_argument("name", choices=["mnist"], help="which")
    fetch.set_defaults(command=commands.fetch_data, options=None)

    bench = chosen.add_parser(
        "bench", help="measure the speed beside PyTorch, JAX and NumPy (the extra 'bench')"
    )
    bench.set_defaults(command=commands.bench, options=BenchOptions)
    bench.add_argument(
        "--sections", help="comma-separated: presentation, job, start, memory (all of them)"
    )
    bench.add_argument("--repeats", type=int, help="rounds of each comparison (5)")
    bench.add_argument("--trials", type=int, help="trials of the job (10)")
    bench.add_argument("--json", type=Path, metavar="FILE", help="also write what was measured")

    info = chosen.add_parser("info", help="show versions, CPU, BLAS and backend")
    info.set_defaults(command=commands.info, options=None)
    return parser


def _running_options() -> _Parser:
    """What every command that learns takes."""
    parent = _Parser(add_help=False)
    parent.add_argument(
        "--dataset",
        default="digits",
        help="images: "
        + ", ".join(DATASETS)
        + ", an npz file of your own, or a folder of IDX files (digits)",
    )
    parent.add_argument("--seed", type=int, default=0, help="seed of all draws (0)")
    parent.add_argument(
        "--jobs",
        type=int,
        default=1,
        help="worker processes; 1: none, but a thread for each network (1)",
    )
    parent.add_argument("--cluster", metavar="ADDRESS", help="a Dask scheduler's workers instead")
    parent.add_argument(
        "--out", type=Path, default=Path("results"), help="folder for the results (results)"
    )
    parent.add_argument(
        "--resume", action="store_true", help="keep the finished trials of a stopped run"
    )
    parent.add_argument(
        "--backend", choices=checks.BACKENDS, default="auto", help="who computes (auto)"
    )
    return parent


def _model_options() -> _Parser:
    """What may differ from the settings that were calibrated for the images."""
    parent = _Parser(add_help=False)
    model = parent.add_argument_group("model (default: calibrated for the images)")
    model.add_argument("--learning-rate", type=float, help="step size")
    model.add_argument("--hidden", help="comma-separated widths of the hidden layers (256,256)")
    model.add_argument("--epochs", type=int, help="epochs a presentation (5)")
    model.add_argument("--batch", type=int, help="images an update (256)")
    model.add_argument(
        "--non-target",
        choices=NON_TARGETS,
        help="labels of other items' images: wrong ones (permuted), no such images, or true ones",
    )
    model.add_argument(
        "--refresh", choices=REFRESHES, help="when plasticity is computed (presentation)"
    )
    stiffening = model.add_mutually_exclusive_group()
    stiffening.add_argument(
        "--steepness",
        metavar="S",
        help="1/weight, or 'balance' to calibrate it first, as is done for images of your own",
    )
    stiffening.add_argument("--kappa", type=float, help="dimensionless steepness instead")
    return parent
