"""What was asked for on the command line, as plain data: one dataclass for each command.

:mod:`metaplastic_np.cli.parser` makes them, each field by the name of its option. Defaults are the
parser's; None means that the option was not given.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .._util import checks
from ..experiments import Settings


@dataclass(frozen=True, kw_only=True)
class Running:
    """Which images, where, and how: what every command that learns takes."""

    dataset: str
    seed: int
    jobs: int
    cluster: str | None
    out: Path
    resume: bool
    backend: str


@dataclass(frozen=True, kw_only=True)
class Model:
    """What differs from the settings that were calibrated for the images."""

    learning_rate: float | None
    hidden: str | None
    epochs: int | None
    batch: int | None
    non_target: str | None
    refresh: str | None
    steepness: str | None
    kappa: float | None


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Of ``run``."""

    experiment: str
    items: int | None
    trials: int
    networks: str | None
    by_epoch: bool
    running: Running
    model: Model


@dataclass(frozen=True, kw_only=True)
class ReproduceOptions:
    """Of ``reproduce``."""

    preset: str
    trials: int | None
    running: Running
    model: Model


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """Of ``report``."""

    folder: Path


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Of ``data list`` and ``data check``."""

    is_check: bool


@dataclass(frozen=True, kw_only=True)
class BenchOptions:
    """Of ``bench``; what is None is left to the benchmark."""

    sections: str | None
    repeats: int | None
    trials: int | None
    json: Path | None


def change_settings(settings: Settings, model: Model) -> Settings:
    """The settings, except for what the options say otherwise."""
    changes: dict[str, Any] = {
        "learning_rate": model.learning_rate,
        "epochs": model.epochs,
        "batch_size": model.batch,
        "refresh": model.refresh,
        "non_target": model.non_target,
    }
    if model.hidden is not None:
        changes["hidden"] = _parse_widths(model.hidden)
    changes = {name: value for name, value in changes.items() if value is not None}
    if model.kappa is not None:
        changes |= {"steepness": None, "kappa": checks.check_positive("kappa", model.kappa)}
    elif model.steepness is not None and model.steepness != "balance":
        changes |= {"steepness": _parse_steepness(model.steepness), "kappa": None}
    return replace(settings, **changes)


def _parse_widths(text: str) -> tuple[int, ...]:
    """Whole numbers between commas; an empty text means no hidden layer."""
    try:
        return tuple(int(width) for width in text.split(",") if width.strip())
    except ValueError:
        expected = "be whole numbers between commas, like 256,256"
        checks.raise_expected("--hidden", expected, repr(text))


def _parse_steepness(text: str) -> float:
    """A number; "balance" has been dealt with."""
    try:
        return float(text)
    except ValueError:
        checks.raise_expected("--steepness", "be a number or 'balance'", repr(text))
