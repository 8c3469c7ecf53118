"""The claims of the paper, and three controls that it lacks, as code.

A claim is a list of **margins**, one number for each trial, positive where the claim is right; the
networks of a trial are compared in pairs. A claim *holds* if the one-sided 95 % lower t bound is
above 0 for every margin, *fails* if the upper bound is below 0 for some margin, and is *undecided*
otherwise. What was measured, and every threshold below, was written down before the first run that
was judged.

Each claim's code is run on **controls**, too: the same trials with networks exchanged, positions
permuted, or the hybrid replaced by the conventional network, where the claim is false. A claim that
held there would be a flaw of its code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _checks, _errors
from .experiments import ARRAYS, BY_TRIAL, Results
from .recall import (
    chance_recall,
    measure_memorized,
    measure_primacy,
    measure_recency,
)
from .schedules import measure_positions
from .statistics import measure_bounds, measure_rank_correlation

__all__ = ["CLAIMS", "Claim", "judge_claim", "judge_claims", "judge_controls"]

Float = NDArray[np.float64]
Evidence = Mapping[str, Results]
Margins = dict[str, Float]

REMEMBERED = 0.5  # C1, C2: recall above it is memory; C7: the share of recall that must be kept
EARLY, LATE = slice(0, 5), slice(-5, None)  # C1, C2: the half of a list of ten that is forgotten
MIDDLE = slice(3, 7)  # C3: positions 4 to 7
SHORT_LIST = 15  # C4: from here to the whole list of 30
PASSES = 9  # C6, C7, C11
N_ITEMS = {"serial-position-30": 30}  # of a run; 10 elsewhere
N_CONTROLS = 20


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim: what it says, what it is judged on, and how.

    Parameters
    ----------
    id : str
        "C1" to "C12".
    statement : str
    needs : mapping of str to tuple of str
        The experiments that it is judged on, and the networks in each.
    measure : callable
        Evidence to margins by name, each (n_trials,), positive where the claim is right.
    controls : tuple of callable
        Each makes evidence for which the claim is false, from evidence and an rng.

    Examples
    --------
    >>> CLAIMS["C1"].needs
    {'serial-position': ('conventional',)}
    """

    id: str
    statement: str
    needs: Mapping[str, tuple[str, ...]]
    measure: Callable[[Evidence], Margins]
    controls: tuple[Callable[[Evidence, np.random.Generator], Evidence], ...]


# --- reading results -----------------------------------------------------------------


def _recall(results: Results, network: str, row: int = -1) -> Float:
    """Recall (trial, item) after so many presentations; by default after all."""
    networks = results.settings.networks
    _checks.check_choice("network", network, networks)
    return results.recall[networks.index(network), :, row]


def _paired(*margins: Float) -> list[Float]:
    """The trials that all have: trial by trial the same draws, as runs share a seed."""
    n_trials = min(len(margin) for margin in margins)
    return [margin[:n_trials] for margin in margins]


def _minus(one: Float, other: Float) -> Float:
    one, other = _paired(one, other)
    return one - other


def is_measurable(claim: Claim, evidence: Evidence) -> bool:
    """Whether every run that a claim needs is there, with its networks."""
    for name, networks in claim.needs.items():
        run = evidence.get(name)
        if run is None or run.settings.n_items != N_ITEMS.get(name, 10):
            return False
        there = run.settings.networks
        if not all(any(found.startswith(network) for found in there) for network in networks):
            return False
    return True


def _homogeneous(results: Results) -> str:
    """The homogeneous network that was chosen on calibration seeds."""
    return next(name for name in results.settings.networks if name.startswith("homogeneous:"))


# --- the paper's claims --------------------------------------------------------------


def _recency_only(evidence: Evidence) -> Margins:
    curve = _recall(evidence["serial-position"], "conventional")
    return {
        "last item above 1/2": curve[:, -1] - REMEMBERED,
        "first five below chance": chance_recall(curve.shape[1]) - curve[:, EARLY].mean(axis=1),
    }


def _primacy_only(evidence: Evidence) -> Margins:
    curve = _recall(evidence["serial-position"], "stable")
    return {
        "first item above 1/2": curve[:, 0] - REMEMBERED,
        "last five below chance": chance_recall(curve.shape[1]) - curve[:, LATE].mean(axis=1),
    }


def _serial_position_effect(evidence: Evidence) -> Margins:
    run = evidence["serial-position"]
    curve = _recall(run, "hybrid")
    middle, chance = curve[:, MIDDLE].mean(axis=1), chance_recall(curve.shape[1])
    margins = {
        "first item above the middle": curve[:, 0] - middle,
        "last item above the middle": curve[:, -1] - middle,
    }
    for position, recall in enumerate(curve.T, start=1):
        margins[f"position {position} above chance"] = recall - chance
    for other in ("conventional", "stable"):
        others = _recall(run, other).mean(axis=1)
        margins[f"mean recall above the {other}'s"] = curve.mean(axis=1) - others
    return margins


def _capacity_against_performance(evidence: Evidence) -> Margins:
    run = evidence["serial-position-30"]
    n_items = run.settings.n_items
    growth = {}
    for network in ("hybrid", "conventional"):
        confusion = run.confusion[run.settings.networks.index(network)]
        half, whole = (
            measure_memorized(confusion[:, row])[:, :row].sum(axis=1).astype(np.float64)
            for row in (SHORT_LIST, n_items)
        )
        growth[network] = whole - half
    half_list = _recall(run, "hybrid", SHORT_LIST)[:, :SHORT_LIST].mean(axis=1)
    return {
        "memorized items grow": growth["hybrid"],
        "they grow by more than the conventional's": growth["hybrid"] - growth["conventional"],
        "mean recall falls": half_list - _recall(run, "hybrid").mean(axis=1),
    }


def _gross_memory(evidence: Evidence) -> Margins:
    run = evidence["serial-position-30"]
    hybrid, conventional = (_recall(run, name).sum(axis=1) for name in ("hybrid", "conventional"))
    return {"gross memory above the conventional's": hybrid - conventional}


def _repetition(evidence: Evidence) -> Margins:
    run = evidence["data-poisoning"]
    n_items = run.settings.n_items
    lift, shrink = {}, {}
    for network in ("hybrid", "conventional"):
        once, often = (_recall(run, network, n_items * passes) for passes in (1, PASSES))
        lift[network] = often.min(axis=1) - once.min(axis=1)
        shrink[network] = once.std(axis=1) - often.std(axis=1)
    return {
        "the worst item is lifted": lift["hybrid"],
        "by more than the conventional's": lift["hybrid"] - lift["conventional"],
        "the spread over items shrinks": shrink["hybrid"],
        "more than the conventional's": shrink["hybrid"] - shrink["conventional"],
    }


def _poisoning(evidence: Evidence) -> Margins:
    run = evidence["data-poisoning"]
    n_items = run.settings.n_items
    before, after = n_items * PASSES, n_items * (PASSES + 1)
    hybrid = [_recall(run, "hybrid", row).mean(axis=1) for row in (before, after)]
    conventional = _recall(run, "conventional", after).mean(axis=1)
    return {
        "hybrid keeps more than half": hybrid[1] - REMEMBERED * hybrid[0],
        "conventional falls to chance": chance_recall(n_items) - conventional,
    }


def _frequency(evidence: Evidence) -> Margins:
    run = evidence["learning-frequency"]
    shown = run.schedule[:, :, 0]
    n_items = run.settings.n_items
    frequency = (shown[:, :, None] == np.arange(n_items)).sum(axis=1)
    last = measure_positions(shown, n_items)[2]
    more = {}
    for network in ("hybrid", "conventional"):
        recall = _recall(run, network)
        by_frequency, by_position = (
            measure_rank_correlation(recall, cause) for cause in (frequency, last)
        )
        more[network] = by_frequency - by_position
    return {
        "hybrid: frequency before last position": more["hybrid"],
        "conventional: last position before frequency": -more["conventional"],
    }


def _biased(evidence: Evidence) -> Margins:
    def tilt(run: str, network: str) -> Float:
        curve = _recall(evidence[run], network)
        return measure_recency(curve) - measure_primacy(curve)

    hybrid = tilt("serial-position", "hybrid")
    up, down = (tilt("biased-flexibility", f"biased-{way}") for way in ("up", "down"))
    return {
        "more flexible: more recency": _minus(up, hybrid),
        "less flexible: more primacy": _minus(hybrid, down),
    }


# --- controls that the paper lacks ---------------------------------------------------


def _mixing(evidence: Evidence) -> Margins:
    homogeneous = _homogeneous(evidence["data-poisoning"])
    hybrid, other = (
        _recall(evidence[run], network).mean(axis=1)
        for run, network in (("serial-position", "hybrid"), ("homogeneous-sweep", homogeneous))
    )
    return {"mean recall above the best homogeneous network's": _minus(hybrid, other)}


def _time_scales(evidence: Evidence) -> Margins:
    run = evidence["data-poisoning"]
    row = run.settings.n_items * PASSES
    hybrid, other = (
        _recall(run, network, row).mean(axis=1) for network in ("hybrid", _homogeneous(run))
    )
    return {"mean recall after nine passes above that network's": hybrid - other}


def _label_noise(evidence: Evidence) -> Margins:
    true, permuted = (
        _recall(evidence[run], network).mean(axis=1)
        for run, network in (("non-target-true", "conventional"), ("serial-position", "hybrid"))
    )
    return {"mean recall of the conventional with true labels": _minus(true, permuted)}


# --- evidence for which a claim is false ---------------------------------------------


def _exchanged(*pair: str) -> Callable[[Evidence, np.random.Generator], Evidence]:
    """Give each of two networks the other's name."""
    names = dict(zip(pair, reversed(pair), strict=True))

    def control(evidence: Evidence, _: np.random.Generator) -> Evidence:
        def rename(run: Results) -> Results:
            networks = tuple(names.get(name, name) for name in run.settings.networks)
            return replace(run, settings=replace(run.settings, networks=networks))

        return {name: rename(run) for name, run in evidence.items()}

    return control


def _permuted(evidence: Evidence, rng: np.random.Generator) -> Evidence:
    """Permute the items of every trial after the fact: no position, no frequency is its own."""

    def permute(run: Results) -> Results:
        recall, confusion = run.recall.copy(), run.confusion.copy()
        for trial in range(recall.shape[1]):
            order = rng.permutation(recall.shape[-1])
            recall[:, trial] = recall[:, trial][..., order]
            confusion[:, trial] = confusion[:, trial][..., order, :][..., order]
        return replace(run, recall=recall, confusion=confusion)

    return {name: permute(run) for name, run in evidence.items()}


def _hybrid_is_conventional(evidence: Evidence, _: np.random.Generator) -> Evidence:
    """Put the conventional network's results in the hybrid's place."""

    def substitute(run: Results) -> Results:
        networks = run.settings.networks
        if not {"hybrid", "conventional"} <= set(networks):
            return run
        order = [networks.index("conventional" if name == "hybrid" else name) for name in networks]
        return replace(run, recall=run.recall[order], confusion=run.confusion[order])

    return {name: substitute(run) for name, run in evidence.items()}


def _labels_stay_permuted(evidence: Evidence, _: np.random.Generator) -> Evidence:
    """Put the run with permuted labels in the place of the one with true labels."""
    return {**evidence, "non-target-true": evidence["serial-position"]}


def _resampled(evidence: Evidence, rng: np.random.Generator) -> Evidence:
    """Trials drawn with replacement; runs that share trials keep sharing them."""
    longest = max(run.settings.trials for run in evidence.values())
    drawn = rng.random(longest)

    def resample(run: Results) -> Results:
        n_trials = run.recall.shape[1]
        order = (drawn[:n_trials] * n_trials).astype(np.intp)
        parts = {
            name: getattr(run, name)[order if name in BY_TRIAL else (slice(None), order)]
            for name in ARRAYS
        }
        return replace(run, **parts)

    return {name: resample(run) for name, run in evidence.items()}


_ALIKE = (_exchanged("conventional", "hybrid"), _hybrid_is_conventional)
CLAIMS = {
    claim.id: claim
    for claim in (
        Claim(
            id="C1",
            statement="A conventional network keeps only the newest items (recency).",
            needs={"serial-position": ("conventional",)},
            measure=_recency_only,
            controls=(_exchanged("conventional", "stable"), _permuted),
        ),
        Claim(
            id="C2",
            statement="A stable network keeps only the oldest items (primacy).",
            needs={"serial-position": ("stable",)},
            measure=_primacy_only,
            controls=(_exchanged("conventional", "stable"), _permuted),
        ),
        Claim(
            id="C3",
            statement="A hybrid network shows the serial position effect: it keeps the first and "
            "the last items best, every item above chance, and the most in all.",
            needs={"serial-position": ("conventional", "stable", "hybrid")},
            measure=_serial_position_effect,
            controls=(*_ALIKE, _permuted),
        ),
        Claim(
            id="C4",
            statement="Over a list of 30 the hybrid goes on memorizing, more than the "
            "conventional, while its mean recall falls.",
            needs={"serial-position-30": ("conventional", "hybrid")},
            measure=_capacity_against_performance,
            controls=_ALIKE,
        ),
        Claim(
            id="C5",
            statement="After a list of 30 the hybrid holds more in all (gross memory).",
            needs={"serial-position-30": ("conventional", "hybrid")},
            measure=_gross_memory,
            controls=_ALIKE,
        ),
        Claim(
            id="C6",
            statement="Repeating the list nine times lifts the hybrid's worst item and evens out "
            "its recall, more than the conventional's.",
            needs={"data-poisoning": ("conventional", "hybrid")},
            measure=_repetition,
            controls=_ALIKE,
        ),
        Claim(
            id="C7",
            statement="A poisoned pass leaves the hybrid more than half of its recall, the "
            "conventional no more than chance.",
            needs={"data-poisoning": ("conventional", "hybrid")},
            measure=_poisoning,
            controls=_ALIKE,
        ),
        Claim(
            id="C8",
            statement="The hybrid's recall follows how often an item was shown, the "
            "conventional's when it was shown last.",
            needs={"learning-frequency": ("conventional", "hybrid")},
            measure=_frequency,
            controls=(*_ALIKE, _permuted),
        ),
        Claim(
            id="C9",
            statement="More flexible synapses tilt the curve to recency, less flexible ones to "
            "primacy.",
            needs={
                "serial-position": ("hybrid",),
                "biased-flexibility": ("biased-up", "biased-down"),
            },
            measure=_biased,
            controls=(_exchanged("biased-up", "biased-down"), _permuted),
        ),
        Claim(
            id="C10",
            statement="Mixing matters: the hybrid recalls more than the best network with one "
            "flexibility everywhere.",
            needs={
                "serial-position": ("hybrid",),
                "homogeneous-sweep": (),
                "data-poisoning": ("homogeneous:",),
            },
            measure=_mixing,
            controls=(_hybrid_is_conventional,),
        ),
        Claim(
            id="C11",
            statement="One setting serves more time scales: after nine passes the hybrid recalls "
            "more than that network.",
            needs={"data-poisoning": ("hybrid", "homogeneous:")},
            measure=_time_scales,
            controls=(_hybrid_is_conventional,),
        ),
        Claim(
            id="C12",
            statement="With true labels on the non-targets, the conventional network recalls more "
            "than the hybrid does with permuted ones.",
            needs={
                "serial-position": ("hybrid",),
                "non-target-true": ("conventional",),
            },
            measure=_label_noise,
            controls=(_labels_stay_permuted,),
        ),
    )
}


# --- verdicts ------------------------------------------------------------------------


def judge_margins(margins: Mapping[str, Sequence[float] | Float]) -> dict[str, Any]:
    """Verdict over all margins; estimate and interval of the weakest, all under parts."""
    parts = []
    for name, values in margins.items():
        low, high = measure_bounds(values)
        parts.append(
            {
                "name": name,
                "estimate": float(np.mean(values)),
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
    found = CLAIMS[_checks.check_choice("claim", claim, CLAIMS)]
    described: dict[str, Any] = {"id": found.id, "statement": found.statement}
    if not is_measurable(found, evidence):
        nothing = {"verdict": "undecided", "estimate": None, "interval": [None, None], "n": 0}
        return {**described, **nothing, "seconds": 0.0, "parts": []}
    runs = [evidence[name] for name in found.needs]
    _errors.check_paired([run.header for run in runs])
    seconds = sum(sum(run.header["seconds_by_trial"]) for run in runs)
    judged = judge_margins(found.measure(evidence))
    parts = judged.pop("parts")
    return {**described, **judged, "seconds": round(seconds, 1), "parts": parts}


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

    Each resamples the trials and takes the next of the claim's controls.

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
    found = CLAIMS[_checks.check_choice("claim", claim, CLAIMS)]
    if not is_measurable(found, evidence):
        return None
    needed = {name: evidence[name] for name in found.needs}
    held = 0
    for number in range(N_CONTROLS):
        rng = np.random.default_rng([number, *found.id.encode()])
        control = found.controls[number % len(found.controls)]
        false = control(_resampled(needed, rng), rng)
        held += judge_margins(found.measure(false))["verdict"] == "holds"
    return held
