"""The claims of the paper, and three controls that it lacks, as code.

A claim is a list of **margins**, one number for each trial, positive where the claim is right; the
networks of a trial are compared in pairs. :mod:`metaplastic_np.paper.verdicts` judges them. What is
measured, and every threshold below, was written down before the first run that was judged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._util import checks
from ..experiments import Results
from ..metrics import (
    chance_recall,
    measure_memorized,
    measure_primacy,
    measure_rank_correlation,
    measure_recency,
)
from ..scenarios import PASSES, measure_positions
from .calibrated import BEST, MATCHED, name_networks
from .controls import Control, exchanged, hybrid_is_conventional, labels_stay_permuted, permuted

__all__ = ["CLAIMS", "Claim"]

Float = NDArray[np.float64]
Evidence = Mapping[str, Results]
Margins = dict[str, Float]

REMEMBERED = 0.5  # C1, C2: recall above it is memory; C7: the share of recall that must be kept
EARLY, LATE = slice(0, 5), slice(-5, None)  # C1, C2: the half of a list of ten that is forgotten
MIDDLE = slice(3, 7)  # C3: positions 4 to 7
SHORT_LIST = 15  # C4: from here to the whole list of 30


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim: what it says, what it is judged on, and how.

    Parameters
    ----------
    id : str
        "C1" to "C12".
    statement : str
    needs : mapping of str to tuple of str
        The rows of the table that it is judged on, and the networks in each.
    measure : callable
        Evidence to margins by name, each (n_trials,), positive where the claim is right.
    controls : tuple of callable
        Each makes evidence for which the claim is false, from evidence and an rng.
    reading : str
        Of a control that the paper lacks: what it means if it fails, which is instructive.

    Examples
    --------
    >>> CLAIMS["C1"].needs
    {'serial-position': ('conventional',)}
    """

    id: str
    statement: str
    needs: Mapping[str, tuple[str, ...]]
    measure: Callable[[Evidence], Margins]
    controls: tuple[Control, ...]
    reading: str = ""


# --- reading results -----------------------------------------------------------------


def _recall(results: Results, network: str, row: int = -1) -> Float:
    """Recall (trial, item) after so many presentations; by default after all."""
    (name,) = name_networks([network], results.header["dataset"])
    networks = results.settings.networks
    checks.check_choice("network", name, networks)
    return results.recall[networks.index(name), :, row]


def _paired(*margins: Float) -> list[Float]:
    """The trials that all have: trial by trial the same draws, as runs share a seed."""
    n_trials = min(len(margin) for margin in margins)
    return [margin[:n_trials] for margin in margins]


def _minus(one: Float, other: Float) -> Float:
    one, other = _paired(one, other)
    return one - other


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
    hybrid, other = (
        _recall(evidence[run], network).mean(axis=1)
        for run, network in (("serial-position", "hybrid"), ("homogeneous-sweep", BEST))
    )
    return {"mean recall above the best homogeneous network's": _minus(hybrid, other)}


def _time_scales(evidence: Evidence) -> Margins:
    row = evidence["hebb-repetition"].settings.n_items * PASSES
    hybrid, other = (
        _recall(evidence[run], network, row).mean(axis=1)
        for run, network in (("data-poisoning", "hybrid"), ("hebb-repetition", MATCHED))
    )
    return {"mean recall after nine passes above that network's": _minus(hybrid, other)}


def _label_noise(evidence: Evidence) -> Margins:
    true, permuted = (
        _recall(evidence[run], network).mean(axis=1)
        for run, network in (("non-target-true", "conventional"), ("serial-position", "hybrid"))
    )
    return {"mean recall of the conventional with true labels": _minus(true, permuted)}


# --- all of them ----------------------------------------------------------------------

_ALIKE = (exchanged("conventional", "hybrid"), hybrid_is_conventional)
CLAIMS = {
    claim.id: claim
    for claim in (
        Claim(
            id="C1",
            statement="A conventional network keeps only the newest items (recency).",
            needs={"serial-position": ("conventional",)},
            measure=_recency_only,
            controls=(exchanged("conventional", "stable"), permuted),
        ),
        Claim(
            id="C2",
            statement="A stable network keeps only the oldest items (primacy).",
            needs={"serial-position": ("stable",)},
            measure=_primacy_only,
            controls=(exchanged("conventional", "stable"), permuted),
        ),
        Claim(
            id="C3",
            statement="A hybrid network shows the serial position effect: it keeps the first and "
            "the last items best, every item above chance, and the most in all.",
            needs={"serial-position": ("conventional", "stable", "hybrid")},
            measure=_serial_position_effect,
            controls=(*_ALIKE, permuted),
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
            controls=(*_ALIKE, permuted),
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
            controls=(exchanged("biased-up", "biased-down"), permuted),
        ),
        Claim(
            id="C10",
            statement="Mixing matters: the hybrid recalls more than the best network with one "
            "flexibility everywhere.",
            needs={"serial-position": ("hybrid",), "homogeneous-sweep": (BEST,)},
            measure=_mixing,
            controls=(hybrid_is_conventional,),
            reading="One flexibility everywhere does at least as well after one pass: mixing is "
            "not what makes the serial position effect.",
        ),
        Claim(
            id="C11",
            statement="Mixing serves more time scales: after nine passes the hybrid recalls more "
            "than the network with one flexibility that recalls as much after one pass.",
            needs={"data-poisoning": ("hybrid",), "hebb-repetition": (MATCHED,)},
            measure=_time_scales,
            controls=(hybrid_is_conventional,),
            reading="One flexibility everywhere, chosen to recall as much after one pass, recalls "
            "more after nine: mixing buys nothing that one well-chosen flexibility does not.",
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
            controls=(labels_stay_permuted,),
            reading="Even with true labels, which is rehearsal, the conventional network recalls "
            "less: label noise alone does not explain its forgetting.",
        ),
    )
}
