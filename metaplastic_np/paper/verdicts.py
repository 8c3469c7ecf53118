"""Verdicts on claims, and on controls where they are false.

A claim *holds* if the one-sided 95 % lower t bound is above 0 for every one of its margins, *fails*
if the upper bound is below 0 for some margin, and is *undecided* otherwise.

Each claim's code is run on **controls**, too: the same trials with networks exchanged, positions
permuted, or the hybrid replaced by the conventional network, where the claim is false. A claim that
held there would be a flaw of its code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._util import checks, errors
from ..experiments import Results
from ..metrics import measure_bounds
from .claims import CLAIMS, Claim, find_homogeneous
from .controls import left_out
from .table import EXPERIMENTS

__all__ = ["judge_claim", "judge_claims", "judge_controls"]

Float = NDArray[np.float64]
Evidence = Mapping[str, Results]

N_CONTROLS = 20


def is_measurable(claim: Claim, evidence: Evidence) -> bool:
    """Whether every run that a claim needs is there, with its networks and presentations."""
    for name, networks in claim.needs.items():
        run, row = evidence.get(name), EXPERIMENTS[name]
        if run is None or run.settings.n_items != row.n_items:
            return False
        there = run.settings.networks
        if not all(any(found.startswith(network) for found in there) for network in networks):
            return False
        if run.recall.shape[2] <= row.n_items * row.passes:
            return False
    if "homogeneous-sweep" in claim.needs:
        swept = evidence["homogeneous-sweep"].settings.networks
        return find_homogeneous(evidence["hebb-repetition"]) in swept
    return True


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
        weakest margin, n trials, seconds of computing, and all margins under parts. Where a run is
        missing the verdict is "undecided", n is 0 and parts is empty.

    Raises
    ------
    InputError
        If the claim is unknown or the runs do not share seed and dataset.

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
    if not is_measurable(found, evidence):
        nothing = {"verdict": "undecided", "estimate": None, "interval": [None, None], "n": 0}
        return {**described, **nothing, "seconds": 0.0, "parts": []}
    runs = [evidence[name] for name in found.needs]
    _check_paired([run.header for run in runs])
    seconds = sum(sum(run.header["seconds_by_trial"]) for run in runs)
    judged = judge_margins(found.measure(evidence))
    parts = judged.pop("parts")
    return {**described, **judged, "seconds": round(seconds, 1), "parts": parts}


def _check_paired(headers: Sequence[Mapping[str, Any]]) -> None:
    """Require one seed and one dataset: trials of several runs are compared in pairs."""
    for header in headers:
        for name in ("dataset_sha256", "seed"):
            first, other = ({**run, **run["settings"]}.get(name) for run in (headers[0], header))
            if first != other:
                raise errors.InputError(
                    f"runs that a claim compares must share their {name}; got {first} and {other}"
                )


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
        0 if the claim's code is sound; None where a run is missing.

    Examples
    --------
    >>> judge_controls("C1", {}) is None
    True
    """
    found = CLAIMS[checks.check_choice("claim", claim, CLAIMS)]
    if not is_measurable(found, evidence):
        return None
    needed = {name: evidence[name] for name in found.needs}
    held = 0
    for number in range(N_CONTROLS):
        rng = np.random.default_rng([number, *found.id.encode()])
        control = found.controls[number % len(found.controls)]
        false = control(left_out(needed, number // len(found.controls)), rng)
        held += judge_margins(found.measure(false))["verdict"] == "holds"
    return held
