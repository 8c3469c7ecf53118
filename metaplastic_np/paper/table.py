"""The experiments of the paper, and those that it lacks, as one table: a row for each run.

A row says what is presented to which networks, what a run changes in the settings, how many trials
each preset spends on it, and which pictures show it. All else reads the table: ``metaplastic-np
run`` offers the rows that have networks to run alone with; :func:`plan_runs` makes settings of the
rows; :func:`show_all` draws their pictures; a claim of :mod:`metaplastic_np.paper.claims` names the
rows that it is judged on, and is judged where their lists and passes are there. A new experiment is
one row beside what it measures: a schedule, a picture, the margins of a claim.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..experiments import Results
from ..plots import Picture
from ..scenarios import PASSES
from . import pictures
from .calibrated import BEST, MATCHED

__all__ = ["EXPERIMENTS", "PRESETS", "Experiment", "Shown", "list_pictures", "show_all"]

Evidence = Mapping[str, Results]

PRESETS = ("quick", "standard", "paper")
THREE = ("conventional", "stable", "hybrid")
PAIR = ("conventional", "hybrid")
# The flexibilities of the sweep; 0.3 is the stable network's, 1 the conventional's.
FLEXIBILITIES = (0.4, 0.5, 0.6, 0.65, 0.7, 0.725, 0.75, 0.775, 0.8, 0.825, 0.85, 0.9, 0.95)
FEW_FLEXIBILITIES = (0.5, 0.75, 0.825, 0.9)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A picture, and which results it needs.

    Parameters
    ----------
    name : str
        Of the figure's files.
    needs : mapping of str to str
        The runs, and how the name of a network in each begins; "" for any network.
    show : callable
        Evidence to :class:`Picture`.
    measured : str
        A setting that is on in every run; "" for none.
    any_run : bool
        One of the runs is enough.
    is_last : bool
        Shown after the pictures of all other rows.

    Examples
    --------
    >>> list_pictures()["data-poisoning"].needs
    {'data-poisoning': ''}
    """

    name: str
    needs: Mapping[str, str]
    show: Callable[[Evidence], Picture]
    measured: str = ""
    any_run: bool = False
    is_last: bool = False

    def suffices(self, evidence: Evidence) -> bool:
        """Whether the evidence has the runs, with the networks, and what was to be measured."""

        def has(name: str, network: str) -> bool:
            if name not in evidence:
                return False
            settings = evidence[name].settings
            is_measured = not self.measured or getattr(settings, self.measured)
            return is_measured and any(found.startswith(network) for found in settings.networks)

        return (any if self.any_run else all)(has(*need) for need in self.needs.items())


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A row of the table: one run.

    Parameters
    ----------
    name : str
        Of the run and of its files.
    trials : tuple of int
        By preset: quick, standard, paper.
    networks : tuple of str
    schedule : str
        A name in ``SCHEDULES``.
    n_items : int
        The length of the list.
    changes : mapping of str to Any
        What the run changes in the settings; it is there for that, so no option undoes it.
    quick : mapping of str to Any
        Settings that are others in the quick preset.
    passes : int
        Passes over the list, at least, that claims need.
    alone : tuple of str
        The networks of ``metaplastic-np run``; empty if a user cannot run it by itself.
    show : callable
        Results of a run that can be alone to :class:`Picture`.
    pictures : tuple of Shown
        Others in which the run is seen; one of the run's name stands in place of `show`'s.

    Examples
    --------
    >>> EXPERIMENTS["learning-frequency"].schedule
    'frequency'
    """

    name: str
    trials: tuple[int, int, int]
    networks: tuple[str, ...]
    schedule: str = "single-pass"
    n_items: int = 10
    changes: Mapping[str, Any] = field(default_factory=dict)
    quick: Mapping[str, Any] = field(default_factory=dict)
    passes: int = 1
    alone: tuple[str, ...] = ()
    show: Callable[[Results], Picture] = pictures.show_serial_position
    pictures: tuple[Shown, ...] = ()


def _only(name: str, show: Callable[[Results], Picture]) -> Callable[[Evidence], Picture]:
    """A picture of one run, as a picture of evidence."""
    return lambda evidence: show(evidence[name])


def _homogeneous(flexibilities: tuple[float, ...]) -> tuple[str, ...]:
    return tuple(f"homogeneous:{f:g}" for f in flexibilities)


EXPERIMENTS = {
    row.name: row
    for row in (
        Experiment(
            name="serial-position",
            trials=(18, 60, 10),
            networks=THREE,
            changes={"by_epoch": (0, 9), "by_flexibility": True},
            alone=THREE,
            show=pictures.show_serial_position,
            pictures=(
                Shown(
                    name="first-and-last-item",
                    needs={"serial-position": "hybrid"},
                    show=_only("serial-position", pictures.show_first_and_last),
                    measured="by_epoch",
                ),
                Shown(
                    name="which-synapses",
                    needs={"serial-position": "hybrid"},
                    show=_only("serial-position", pictures.show_synapses),
                    measured="by_flexibility",
                    is_last=True,
                ),
            ),
        ),
        Experiment(
            name="serial-position-30",
            trials=(6, 20, 10),
            networks=THREE,
            n_items=30,
            quick={"networks": PAIR},
            pictures=(
                Shown(
                    name="list-of-30",
                    needs={"serial-position-30": ""},
                    show=_only("serial-position-30", pictures.show_long_list),
                ),
            ),
        ),
        Experiment(
            name="hebb-repetition",
            trials=(4, 10, 10),
            networks=("stable", BEST, MATCHED),
            schedule="repetition",
            quick={"networks": (MATCHED,)},
            passes=PASSES,
            alone=THREE,
            show=pictures.show_repetition,
            pictures=(
                Shown(
                    name="hebb-repetition",
                    needs={"hebb-repetition": "", "data-poisoning": ""},
                    show=pictures.show_nine_passes,
                    any_run=True,
                ),
            ),
        ),
        Experiment(
            name="data-poisoning",
            trials=(7, 10, 10),
            networks=PAIR,
            schedule="poisoning",
            quick={"schedule": "poisoning-once"},
            passes=PASSES + 1,
            alone=THREE,
            show=pictures.show_poisoning,
        ),
        Experiment(
            name="learning-frequency",
            trials=(9, 10, 10),
            networks=THREE,
            schedule="frequency",
            quick={"networks": PAIR},
            alone=THREE,
            show=pictures.show_frequency,
        ),
        Experiment(
            name="biased-flexibility",
            trials=(6, 30, 10),
            networks=("biased-up", "biased-down"),
            alone=("hybrid", "biased-up", "biased-down"),
            show=pictures.show_biased,
            pictures=(
                Shown(
                    name="biased-flexibility",
                    needs={"biased-flexibility": "", "serial-position": "hybrid"},
                    show=pictures.show_biased_and_hybrid,
                ),
            ),
        ),
        Experiment(
            name="homogeneous-sweep",
            trials=(5, 10, 10),
            networks=(*_homogeneous(FLEXIBILITIES), BEST),
            quick={"networks": (*_homogeneous(FEW_FLEXIBILITIES), BEST)},
            pictures=(
                Shown(
                    name="homogeneous-sweep",
                    needs={"homogeneous-sweep": "homogeneous:", "serial-position": "hybrid"},
                    show=pictures.show_sweep,
                ),
            ),
        ),
        Experiment(
            name="non-target-true",
            trials=(3, 10, 10),
            networks=PAIR,
            changes={"non_target": "true"},
        ),
        Experiment(
            name="non-target-none",
            trials=(3, 10, 10),
            networks=PAIR,
            changes={"non_target": "none"},
            pictures=(
                Shown(
                    name="non-targets",
                    needs={
                        "serial-position": "hybrid",
                        "non-target-none": "hybrid",
                        "non-target-true": "hybrid",
                    },
                    show=pictures.show_non_targets,
                ),
            ),
        ),
    )
}


def list_pictures() -> dict[str, Shown]:
    """Every picture of the table, by name, in the order of a report.

    Returns
    -------
    dict of str to Shown

    Examples
    --------
    >>> list(list_pictures())[:3]
    ['serial-position', 'first-and-last-item', 'list-of-30']
    """
    found: dict[str, Shown] = {}
    for row in EXPERIMENTS.values():
        if row.alone:
            own = Shown(name=row.name, needs={row.name: ""}, show=_only(row.name, row.show))
            found[row.name] = own
        found |= {shown.name: shown for shown in row.pictures}
    return dict(sorted(found.items(), key=lambda item: item[1].is_last))


def show_all(evidence: Evidence) -> dict[str, Picture]:
    """Every picture that the evidence suffices for.

    Parameters
    ----------
    evidence : mapping of str to Results
        By the names that ``reproduce`` gives its runs.

    Returns
    -------
    dict of str to Picture

    Examples
    --------
    >>> show_all({})
    {}
    """
    return {
        name: shown.show(evidence)
        for name, shown in list_pictures().items()
        if shown.suffices(evidence)
    }
