"""Verdicts on claims, and on controls where they are false.

A claim *holds* if the one-sided 95 % lower bound is above 0 for every one of its margins, *fails*
if the upper bound is below 0 for some margin, and is *undecided* otherwise.
:func:`~metaplastic_np.metrics.measure_bounds` tells how the bounds are made.

Each claim's code is run on **controls**, too: the same trials with networks exchanged, positions
permuted, or the hybrid replaced by the conventional network, where the claim is false. A claim that
held there would be a flaw of its code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._util import checks
from ..experiments import Results, init_known_settings
from ..metrics import measure_bounds
from .calibrated import BEST, CALIBRATED, MATCHED, name_networks
from .claims import CLAIMS, Claim
from .controls import left_out
from .table import EXPERIMENTS

__all__ = ["judge_claim", "judge_claims", "judge_controls"]

Float = NDArray[np.float64]
Evidence = Mapping[str, Results]

N_CONTROLS = 20
FEWEST_TO_CONTROL = 4  # trials: one is left out, and bounds of two reach to nearly anything
# What runs may differ in that a claim compares; all but the schedule and the networks only say how
# much of a run there is.
VARIED = ("networks", "schedule", "trials", "by_epoch", "by_flexibility")


def find_obstacle(claim: Claim, evidence: Evidence) -> str:
    """Why a claim cannot be judged on these runs, in a clause; "" if it can be."""
    for name, networks in claim.needs.items():
        if name not in evidence:
            return f"there is no run {name}"
        run, row = evidence[name], EXPERIMENTS[name]
        if run.settings.n_items != row.n_items:
            return f"{name} has lists of {run.settings.n_items} items, not of {row.n_items}"
        if run.settings.schedule not in (row.schedule, row.quick.get("schedule")):
            return f"{name} has a schedule of its own"
        if run.recall.shape[2] <= row.n_items * row.passes:
            return f"{name} has too few presentations for {row.passes} passes over its list"
        for setting, value in row.changes.items():
            found = getattr(run.settings, setting)
            if setting not in VARIED and found != value:
                return f"{name} must have {setting} {value}; got {found}"
        uncalibrated = _find_uncalibrated(name, networks, run)
        if uncalibrated:
            return uncalibrated
        for network in name_networks(networks, run.header["dataset"]):
            if network not in run.settings.networks:
                return f"{name} has no network {network}"
    return _find_difference({name: evidence[name] for name in claim.needs})


def _find_uncalibrated(name: str, networks: Sequence[str], run: Results) -> str:
    """What stands against comparing with a calibrated network: other images, or other settings."""
    if not {BEST, MATCHED} & set(networks):
        return ""
    dataset = run.header["dataset"]
    if dataset not in CALIBRATED:
        return f"no homogeneous network was calibrated for {dataset}"
    known = asdict(init_known_settings(dataset, n_items=run.settings.n_items))
    for setting, value in _list_fixed(name, run).items():
        if setting != "seed" and value != known[setting]:
            chosen = known[setting]
            return f"its homogeneous network was calibrated at {setting} {chosen}; got {value}"
    return ""


def _find_difference(runs: Evidence) -> str:
    """The first setting in which runs differ, besides what their rows vary."""
    first, *others = (
        (name, {"dataset_sha256": run.header["dataset_sha256"], **_list_fixed(name, run)})
        for name, run in runs.items()
    )
    for other, theirs in others:
        for setting, value in first[1].items():
            if theirs.get(setting, value) != value:
                seen = f"got {value} and {theirs[setting]}"
                return f"{first[0]} and {other} must share their {setting}; {seen}"
    return ""


def _list_fixed(name: str, run: Results) -> dict[str, Any]:
    """The settings that a run must share with others if their trials are compared in pairs."""
    varied = {*VARIED, *EXPERIMENTS[name].changes}
    return {key: value for key, value in asdict(run.settings).items() if key not in varied}


def judge_margins(margins: Mapping[str, Sequence[float] | Float]) -> dict[str, Any]:
    """Verdict over all margins; estimate and interval of the weakest, all under parts."""
    parts: list[dict[str, Any]] = []
    for name, values in margins.items():
        low, high = measure_bounds(values)
        parts.append(
            {
                "name": name,
                "estimate": float(np.clip(np.mean(values), low, high)),  # equal values: no rounding
                "interval": [low, high],
                "n": len(values),
            }
        )
    failing = [part for part in parts if part["interval"][1] < 0]
    weakest = min(failing or parts, key=lambda part: part["interval"][bool(failing)])
    holds = all(part["interval"][0] > 0 for part in parts)
    verdict = "fails" if failing else "holds" if holds else "undecided"
    for part in parts:  # strict JSON knows no infinity
        part["interval"] = [end if np.isfinite(end) else None for end in part["interval"]]
    return {
        "verdict": verdict,
        **{key: weakest[key] for key in ("estimate", "interval", "n")},
        "parts": parts,
    }


def judge_claim(claim: str, evidence: Evidence) -> dict[str, Any]:
    """Judge one claim on the results of experiments.

    Parameters
    ----------
    claim : str
        A name in ``CLAIMS``.
    evidence : mapping of str to Results
        By the names in ``CLAIMS[claim].needs``; all with the same seed.

    Returns
    -------
    dict, as JSON holds it
        id, statement, verdict ("holds", "fails" or "undecided"), estimate and interval of the
        weakest margin, n trials, seconds of computing, all margins under parts, and the obstacle,
        "" if there is none. If a run is missing, or runs differ in more than what the claim varies,
        the obstacle says so, the verdict is "undecided", n is 0 and parts is empty.

    Raises
    ------
    InputError
        If the claim is unknown.

    Examples
    --------
    >>> from metaplastic_np import Settings, load_digits, run_experiment
    >>> settings = Settings(n_items=10, trials=2, n_train_images=50, n_features=32, hidden=(16,))
    >>> evidence = {"serial-position": run_experiment(load_digits(), settings)}
    >>> judge_claim("C1", evidence)["n"]
    2
    """
    found = CLAIMS[checks.check_choice("claim", claim, CLAIMS)]
    described: dict[str, Any] = {"id": found.id, "statement": found.statement}
    obstacle = find_obstacle(found, evidence)
    if obstacle:
        nothing = {"verdict": "undecided", "estimate": None, "interval": [None, None], "n": 0}
        return {**described, **nothing, "seconds": 0.0, "parts": [], "obstacle": obstacle}
    runs = [evidence[name] for name in found.needs]
    seconds = sum(sum(run.header["seconds_by_trial"]) for run in runs)
    judged = judge_margins(found.measure(evidence))
    parts = judged.pop("parts")
    return {**described, **judged, "seconds": round(seconds, 1), "parts": parts, "obstacle": ""}


def judge_claims(evidence: Evidence) -> list[dict[str, Any]]:
    """Judge every claim, C1 to C12.

    Parameters
    ----------
    evidence : mapping of str to Results

    Returns
    -------
    list of dict
        As :func:`judge_claim` gives them.

    Examples
    --------
    >>> [claim["verdict"] for claim in judge_claims({})][:2]
    ['undecided', 'undecided']
    """
    return [judge_claim(claim, evidence) for claim in CLAIMS]


def judge_controls(claim: str, evidence: Evidence) -> int | None:
    """How many of 20 control runs the claim holds in, though it is false there.

    Each leaves out another trial, and takes the next of the claim's controls.

    Parameters
    ----------
    claim : str
    evidence : mapping of str to Results

    Returns
    -------
    int or None
        0 if the claim's code is sound; None if the claim cannot be judged, or has fewer than four
        trials, of which nothing could hold.

    Examples
    --------
    >>> judge_controls("C1", {}) is None
    True
    """
    found = CLAIMS[checks.check_choice("claim", claim, CLAIMS)]
    if find_obstacle(found, evidence):
        return None
    needed = {name: evidence[name] for name in found.needs}
    if min(run.recall.shape[1] for run in needed.values()) < FEWEST_TO_CONTROL:
        return None
    held = 0
    for number in range(N_CONTROLS):
        rng = np.random.default_rng([number, *found.id.encode()])
        control = found.controls[number % len(found.controls)]
        false = control(left_out(needed, number // len(found.controls)), rng)
        held += judge_margins(found.measure(false))["verdict"] == "holds"
    return held
