"""The steepness that balances a plan's lists, kept in a file of the results' folder."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from zlib import crc32

from .._util.storage import write_atomic
from ..experiments import Settings, balance_steepness, is_calibrated
from ..scenarios import Dataset
from .options import Model, Running
from .words import complain

BALANCE_TRIALS = 10
PAPER_BALANCE_TRIALS = 2  # of an hour each


def count_balance_trials(dataset: Dataset, model: Model, *, preset: str = "quick") -> int:
    """In how many trials a steepness is to be found: asked for, or because nobody has; else 0."""
    is_known = is_calibrated(dataset) and preset != "paper"
    is_given = model.steepness is not None or model.kappa is not None
    if model.steepness != "balance" and (is_known or is_given):
        return 0
    return PAPER_BALANCE_TRIALS if preset == "paper" else BALANCE_TRIALS


def balance_plan(
    dataset: Dataset,
    plan: Mapping[str, Settings],
    running: Running,
    *,
    trials: int,
    backend: str,
    executor: Executor | None,
) -> dict[str, Settings]:
    """One steepness for each length of list; kept in a file, since a resumed run needs the same."""
    path = running.out / "steepness.json"
    found = _read_steepness(path) if running.resume else {}
    balanced = {}
    for name, settings in plan.items():
        key = f"{dataset.name}, {settings.n_items} items"
        if key not in found:
            complain(f"balancing the steepness for lists of {settings.n_items}, {trials} trials")
            plain = replace(settings, non_target="permuted") if len(plan) > 1 else settings
            found[key] = balance_steepness(
                dataset,
                plain,
                trials=trials,
                backend=backend,
                executor=executor,
                on_step=_show_step,
            )
            _write_steepness(path, found)
        balanced[name] = replace(settings, steepness=float(found[key]), kappa=None)
    return balanced


def _write_steepness(path: Path, found: Mapping[str, float]) -> None:
    text = json.dumps({"steepness": found, "crc32": crc32(json.dumps(found).encode())}, indent=1)
    write_atomic(path, lambda file: file.write(text.encode()))


def _read_steepness(path: Path) -> dict[str, float]:
    """What was found before; nothing, if the file is damaged: then it is found again."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        content = json.loads(path.read_text("utf-8"))
        if crc32(json.dumps(content["steepness"]).encode()) == content["crc32"]:
            return dict(content["steepness"])
    return {}


def _show_step(steepness: float, difference: float) -> None:
    if sys.stderr.isatty():
        complain(f"balancing: steepness {steepness:.4g}, first minus last {difference:+.2f}")
