"""The whole paper as a plan: the table's rows as settings, in the trials of a preset.

Three presets. **quick** spends trials where the claims need them, for a laptop and a coffee.
**standard** has more of everything. **paper** has the paper's head, image counts and batch, and
takes days: it says how many before it starts. All runs of a plan share the seed, so that a trial is
the same draw in each of them, and networks can be compared across runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from .._util import checks
from ..experiments import Results, Settings, find_known, init_settings, measure_work
from ..scenarios import Dataset, count_new, draw_schedule
from .calibrated import name_networks
from .claims import CLAIMS
from .table import EXPERIMENTS, PRESETS
from .verdicts import judge_claim, judge_controls

__all__ = ["find_preset", "judge_run", "plan_runs"]

PAPER: dict[str, Any] = {
    "hidden": (4096, 4096),
    "n_train_images": 2000,
    "n_test_images": 1000,
    "batch_size": 1024,
}


def plan_runs(dataset: Dataset, preset: str, *, seed: int = 0) -> dict[str, Settings]:
    """The runs of a preset, by name; without those for which the dataset has too few items.

    Parameters
    ----------
    dataset : Dataset
    preset : {"quick", "standard", "paper"}
    seed : int

    Returns
    -------
    dict of str to Settings

    Raises
    ------
    InputError
        If the preset is unknown, or the dataset has fewer than ten items.

    Examples
    --------
    >>> from metaplastic_np import load_digits
    >>> plan = plan_runs(load_digits(), "quick")
    >>> plan["serial-position-30"].n_items, plan["learning-frequency"].schedule
    (30, 'frequency')
    """
    which = PRESETS.index(checks.check_choice("preset", preset, PRESETS))
    available = len(dataset.item_classes)
    known = find_known(dataset) or ""
    runs = {}
    for name, row in EXPERIMENTS.items():
        changes = {"networks": row.networks, "schedule": row.schedule, **row.changes}
        changes |= row.quick if preset == "quick" else PAPER if preset == "paper" else {}
        changes["networks"] = name_networks(changes["networks"], known)
        steps = draw_schedule(row.schedule, row.n_items, rng=np.random.default_rng(0))
        if row.n_items + count_new(steps, row.n_items) <= available:
            runs[name] = replace(
                init_settings(dataset, n_items=row.n_items),
                seed=seed,
                trials=row.trials[which],
                **changes,
            )
    if not runs:
        fewest = min(row.n_items for row in EXPERIMENTS.values())
        expected = f"have at least {fewest} items to reproduce the paper (`run` takes fewer)"
        checks.raise_expected("dataset", expected, available)
    return runs


def measure_plan(dataset: Dataset, runs: Mapping[str, Settings]) -> float:
    """Floating-point operations of all runs, roughly."""
    return sum(2 * run.trials * measure_work(dataset, run) for run in runs.values())


def find_preset(evidence: Mapping[str, Results]) -> str:
    """The preset that results say they were made by, all of its runs and no others; else "custom".

    Parameters
    ----------
    evidence : mapping of str to Results
        By the names of the runs.

    Returns
    -------
    str

    Examples
    --------
    >>> find_preset({})
    'custom'
    """
    made = [
        (run.header.get("plan"), run.header["dataset_sha256"], run.settings.seed)
        for run in evidence.values()
    ]
    if not made or any(other != made[0] for other in made):
        return "custom"
    for preset in PRESETS:
        if made[0][0] == {"preset": preset, "runs": sorted(evidence)}:
            return preset
    return "custom"


def judge_run(evidence: Mapping[str, Results], *, preset: str) -> dict[str, Any]:
    """All claims, judged, and each one's controls: the content of ``claims.json``.

    Parameters
    ----------
    evidence : mapping of str to Results
        By the names that :func:`plan_runs` gives.
    preset : str
        How the evidence came about, as :func:`find_preset` finds it.

    Returns
    -------
    dict, as JSON holds it

    Examples
    --------
    >>> judged = judge_run({}, preset="custom")
    >>> [claim["id"] for claim in judged["claims"]][:3], judged["seed"]
    (['C1', 'C2', 'C3'], None)
    """
    seeds = {run.settings.seed for run in evidence.values()}
    images = {run.header["dataset"] for run in evidence.values()}
    return {
        "schema": 1,
        "seed": seeds.pop() if len(seeds) == 1 else None,
        "preset": preset,
        "dataset": ", ".join(sorted(images)) or None,
        "claims": [
            {**judge_claim(claim, evidence), "controls": judge_controls(claim, evidence)}
            for claim in CLAIMS
        ],
    }
