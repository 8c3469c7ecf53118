"""The steepness that balances a plan's lists, kept in a file of the results' folder."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from zlib import crc32

from .._util import checks
from .._util.storage import write_atomic
from ..experiments import (
    Settings,
    balance_steepness,
    describe_run,
    find_known,
    find_version,
    plan_balance,
)
from ..scenarios import Dataset
from .options import Model, Running
from .words import complain

BALANCE_TRIALS = 10
PAPER_BALANCE_TRIALS = 2  # of an hour each


def count_balance_trials(dataset: Dataset, model: Model, *, preset: str = "quick") -> int:
    """In how many trials a steepness is to be found: asked for, or because nobody has; else 0."""
    is_known = find_known(dataset) and preset != "paper"
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
    """One steepness for each length of list.

    Kept in a file, each with all that it depends on: the images, by their digest, the settings and
    the version. So a run that goes on, or is made again, has the same.
    """
    path = running.out / "steepness.json"
    entries, balanced = _read_entries(path), {}
    for name, settings in plan.items():
        plain = replace(settings, non_target="permuted") if len(plan) > 1 else settings
        depends_on = describe_run(dataset, plan_balance(plain, trials=trials))
        images = depends_on.pop("dataset")
        depends_on["version"] = find_version("metaplastic_np")
        known = (entry for entry in entries if entry["depends_on"] == depends_on)
        found = next((entry["steepness"] for entry in known), None)
        if found is None:
            complain(f"balancing the steepness for lists of {settings.n_items}, {trials} trials")
            found = balance_steepness(
                dataset,
                plain,
                trials=trials,
                backend=backend,
                executor=executor,
                on_step=_show_step,
            )
            entries.append({"dataset": images, "steepness": found, "depends_on": depends_on})
            _write_entries(path, entries)
        balanced[name] = replace(settings, steepness=found, kappa=None)
    return balanced


def _write_entries(path: Path, entries: list[Any]) -> None:
    content = {"steepness": entries, "crc32": crc32(json.dumps(entries).encode())}
    text = json.dumps(content, indent=1)
    write_atomic(path, lambda file: file.write(text.encode()))


def _read_entries(path: Path) -> list[Any]:
    """What was found before; nothing, if the file is damaged: then it is found again."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        content = json.loads(path.read_text("utf-8"))
        if crc32(json.dumps(content["steepness"]).encode()) == content["crc32"]:
            for entry in content["steepness"]:
                checks.check_positive("steepness", entry["steepness"])
                dict(entry["depends_on"])
            return list(content["steepness"])
    return []


def _show_step(steepness: float, difference: float) -> None:
    if sys.stderr.isatty():
        complain(f"balancing: steepness {steepness:.4g}, first minus last {difference:+.2f}")
