"""The whole paper as a plan: which experiments, with which networks, in how many trials.

Three presets. **quick** spends trials where the claims need them, for a laptop and a coffee.
**standard** has more of everything. **paper** has the paper's head, image counts and batch, and
takes days: it says how many before it starts. All runs of a plan share the seed, so that a trial is
the same draw in each of them, and networks can be compared across runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .._util import checks
from ..experiments import Results, Settings, init_settings, measure_work
from ..scenarios import Dataset
from .claims import CLAIMS
from .verdicts import judge_claim, judge_controls

__all__ = ["PRESETS", "judge_run", "plan_runs"]

# Chosen on calibration seeds: the flexibility that, everywhere, gives the best mean recall of ten
# items. docs/settings.md tells how.
BEST_HOMOGENEOUS = {"digits": "homogeneous:0.825", "mnist": "homogeneous:0.8"}
SWEEP = (0.5, 0.75, 0.825, 0.9)  # 0.3 and 1 are stable and conventional
FINE_SWEEP = (0.4, 0.5, 0.6, 0.65, 0.7, 0.725, 0.75, 0.775, 0.8, 0.825, 0.85, 0.9, 0.95)
LONG_LIST = 30
PRESETS = ("quick", "standard", "paper")
# Trials of each run, by preset.
TRIALS = {
    "serial-position": (18, 60, 10),
    "biased-flexibility": (6, 30, 10),
    "homogeneous-sweep": (5, 10, 10),
    "non-target-true": (3, 10, 10),
    "non-target-none": (3, 10, 10),
    "serial-position-30": (3, 20, 10),
    "hebb-repetition": (2, 10, 10),
    "data-poisoning": (7, 10, 10),
    "learning-frequency": (9, 10, 10),
}
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
    ten = replace(init_settings(dataset), seed=seed)
    thirty = replace(init_settings(dataset, n_items=LONG_LIST), seed=seed)
    best = BEST_HOMOGENEOUS.get(dataset.name, "homogeneous:0.8")
    three = ("conventional", "stable", "hybrid")
    pair = ("conventional", "hybrid")
    # Where there is time: the stable network everywhere, and three passes of poison, not one.
    more, other = (pair, ()) if preset == "quick" else (three, ("stable",))
    poisoning = "poisoning-once" if preset == "quick" else "poisoning"
    sweep = tuple(f"homogeneous:{f:g}" for f in (SWEEP if preset == "quick" else FINE_SWEEP))
    runs = {
        "serial-position": replace(ten, networks=three, by_epoch=(0, 9), by_flexibility=True),
        "biased-flexibility": replace(ten, networks=("biased-up", "biased-down")),
        "homogeneous-sweep": replace(ten, networks=sweep),
        "non-target-true": replace(ten, networks=pair, non_target="true"),
        "non-target-none": replace(ten, networks=pair, non_target="none"),
        "serial-position-30": replace(thirty, networks=more),
        "hebb-repetition": replace(ten, networks=(*other, best), schedule="repetition"),
        "data-poisoning": replace(ten, networks=pair, schedule=poisoning),
        "learning-frequency": replace(ten, networks=more, schedule="frequency"),
    }
    runs = {name: replace(run, trials=TRIALS[name][which]) for name, run in runs.items()}
    if preset == "paper":
        runs = {name: replace(run, **PAPER) for name, run in runs.items()}
    n_items = len(dataset.item_classes)
    wanted = {name: run.n_items for name, run in runs.items()}
    wanted["data-poisoning"] = 2 * ten.n_items  # as many new ones
    return {name: run for name, run in runs.items() if wanted[name] <= n_items}


def measure_plan(dataset: Dataset, runs: Mapping[str, Settings]) -> float:
    """Floating-point operations of all runs, roughly."""
    return sum(2 * run.trials * measure_work(dataset, run) for run in runs.values())


def judge_run(evidence: Mapping[str, Results], *, preset: str) -> dict[str, Any]:
    """All claims, judged, and each one's controls: the content of ``claims.json``.

    Parameters
    ----------
    evidence : mapping of str to Results
        By the names that :func:`plan_runs` gives.
    preset : str
        How the evidence came about, "custom" if by no preset.

    Returns
    -------
    dict, as JSON holds it

    Examples
    --------
    >>> judged = judge_run({}, preset="custom")
    >>> [claim["id"] for claim in judged["claims"]][:3], judged["seed"]
    (['C1', 'C2', 'C3'], None)
    """
    first = next(iter(evidence.values()), None)
    return {
        "schema": 1,
        "seed": first.settings.seed if first else None,
        "preset": preset,
        "dataset": first.header["dataset"] if first else None,
        "claims": [
            {**judge_claim(claim, evidence), "controls": judge_controls(claim, evidence)}
            for claim in CLAIMS
        ],
    }
