"""Evidence for which a claim is false, made from evidence: a claim that holds there is no claim.

Each control takes evidence and an rng, and gives evidence of the same form. The results it is made
from are not changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from ..experiments import ARRAYS, BY_TRIAL, Results

Evidence = Mapping[str, Results]
Control = Callable[[Evidence, np.random.Generator], Evidence]


def exchanged(*pair: str) -> Control:
    """Give each of two networks the other's name."""
    names = dict(zip(pair, reversed(pair), strict=True))

    def control(evidence: Evidence, _: np.random.Generator) -> Evidence:
        def rename(run: Results) -> Results:
            networks = tuple(names.get(name, name) for name in run.settings.networks)
            return replace(run, settings=replace(run.settings, networks=networks))

        return {name: rename(run) for name, run in evidence.items()}

    return control


def permuted(evidence: Evidence, rng: np.random.Generator) -> Evidence:
    """Permute the items of every trial after the fact: no position, no frequency is its own."""

    def permute(run: Results) -> Results:
        recall, confusion = run.recall.copy(), run.confusion.copy()
        for trial in range(recall.shape[1]):
            order = rng.permutation(recall.shape[-1])
            recall[:, trial] = recall[:, trial][..., order]
            groups = np.append(order, np.arange(len(order), confusion.shape[-2]))
            confusion[:, trial] = confusion[:, trial][..., groups, :][..., order]
        return replace(run, recall=recall, confusion=confusion)

    return {name: permute(run) for name, run in evidence.items()}


def hybrid_is_conventional(evidence: Evidence, _: np.random.Generator) -> Evidence:
    """Put the conventional network's results in the hybrid's place."""

    def substitute(run: Results) -> Results:
        networks = run.settings.networks
        if not {"hybrid", "conventional"} <= set(networks):
            return run
        order = [networks.index("conventional" if name == "hybrid" else name) for name in networks]
        return replace(run, recall=run.recall[order], confusion=run.confusion[order])

    return {name: substitute(run) for name, run in evidence.items()}


def labels_stay_permuted(evidence: Evidence, _: np.random.Generator) -> Evidence:
    """Put the run with permuted labels in the place of the one with true labels."""
    return {**evidence, "non-target-true": evidence["serial-position"]}


def left_out(evidence: Evidence, number: int) -> Evidence:
    """The trials that all runs have, but for one: another one for each control run.

    Not drawn with replacement: a handful of trials would now and then be one trial several times,
    which has no spread and proves anything.
    """
    n_trials = min(run.recall.shape[1] for run in evidence.values())
    order = np.delete(np.arange(n_trials), number % n_trials)

    def leave_out(run: Results) -> Results:
        parts = {
            name: getattr(run, name)[order if name in BY_TRIAL else (slice(None), order)]
            for name in ARRAYS
        }
        return replace(run, **parts)

    return {name: leave_out(run) for name, run in evidence.items()} if len(order) else evidence
