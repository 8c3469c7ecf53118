"""What each figure shows, as numbers: the same numbers are drawn, and printed below the figure.

A **picture** has panels; a panel has one series of trials for each curve, or a matrix. Nothing here
draws (that is :mod:`metaplastic_np.figures`), and nothing there computes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .experiments import Results
from .recall import (
    chance_recall,
    measure_memorized,
    measure_serial_position_curve,
)
from .schedules import measure_positions
from .statistics import measure_figure_interval, measure_rank_correlation

__all__ = [
    "PICTURES",
    "Matrix",
    "Panel",
    "Picture",
    "Series",
    "measure_table",
    "show_all",
    "show_biased",
    "show_frequency",
    "show_poisoning",
    "show_repetition",
    "show_serial_position",
]

Float = NDArray[np.float64]
Evidence = Mapping[str, Results]

PASSES_SHOWN = (1, 3, 6, 9)
PASSES = 9


@dataclass(frozen=True, kw_only=True, eq=False)
class Series:
    """One curve: a value for each trial and place.

    Parameters
    ----------
    label : str
    network : str
        Gives the color.
    x : array (n,)
    values : array (n_trials, n)
    is_second : bool
        Drawn thin and hollow, beside a first one of the same network.

    Examples
    --------
    >>> import numpy as np
    >>> Series(label="hybrid", network="hybrid", x=np.arange(2), values=np.eye(2)).values.shape
    (2, 2)
    """

    label: str
    network: str
    x: Any
    values: Float
    is_second: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Panel:
    """Curves over one axis, with the level of chance if there is one.

    Parameters
    ----------
    title, xlabel, ylabel : str
    series : list of Series
    chance : float or None
    words : sequence of str
        Names of the places, where they are not numbers.
    bottom, top : float or None
        Ends of the axis: recall lies in 0..1. None: as the values have it.

    Examples
    --------
    >>> Panel(title="", xlabel="item", ylabel="recall", series=[]).top
    1.0
    """

    title: str
    xlabel: str
    ylabel: str
    series: list[Series]
    chance: float | None = None
    words: tuple[str, ...] = ()
    bottom: float = 0.0
    top: float | None = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Matrix:
    """A table of numbers as colors.

    Parameters
    ----------
    title, xlabel, ylabel, label : str
        `label` says what the colors mean.
    network : str
    values : array (n_rows, n_columns)
    top : float or None
        The brightest color; None: the largest value.

    Examples
    --------
    >>> import numpy as np
    >>> Matrix(title="", xlabel="", ylabel="", label="", network="hybrid", values=np.eye(2)).top
    1.0
    """

    title: str
    xlabel: str
    ylabel: str
    label: str
    network: str
    values: Float
    top: float | None = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """A figure: what it asks, what to see, and its panels, row by row.

    Parameters
    ----------
    title : str
    caption : str
        What to see, in a sentence or two.
    rows : list of list of Panel or Matrix

    Examples
    --------
    >>> Picture(title="", caption="", rows=[]).rows
    []
    """

    title: str
    caption: str
    rows: list[list[Panel | Matrix]]


def measure_table(panel: Panel | Matrix) -> tuple[list[str], list[list[Any]]]:
    """The numbers that a panel shows.

    Parameters
    ----------
    panel : Panel or Matrix

    Returns
    -------
    names : list of str
        Of the columns.
    rows : list of list

    Examples
    --------
    >>> import numpy as np
    >>> series = Series(label="hybrid", network="hybrid", x=[1], values=np.array([[0.2], [0.4]]))
    >>> names, rows = measure_table(Panel(title="", xlabel="item", ylabel="", series=[series]))
    >>> names, [round(cell, 2) for cell in rows[0]]
    (['item', 'hybrid', 'low', 'high'], [1, 0.3, -0.97, 1.57])
    """
    if isinstance(panel, Matrix):
        names = [f"{panel.ylabel} \\\\ {panel.xlabel}"]
        names += [str(column + 1) for column in range(panel.values.shape[1])]
        return names, [[row + 1, *values] for row, values in enumerate(panel.values.tolist())]
    places = sorted({float(x) for series in panel.series for x in series.x})
    names = [panel.xlabel]
    rows: list[list[Any]] = [
        [panel.words[int(place)].replace("\n", " ") if panel.words else f"{place:g}"]
        for place in places
    ]
    for series in panel.series:
        names += [series.label, "low", "high"]
        low, high = measure_figure_interval(series.values)
        found = dict(zip(map(float, series.x), range(len(series.x)), strict=True))
        for place, row in zip(places, rows, strict=True):
            at = found.get(place)
            row += ["", "", ""] if at is None else [series.values[:, at].mean(), low[at], high[at]]
    return names, rows


# --- the pictures --------------------------------------------------------------------


def _label(network: str) -> str:
    """The name of a network in a legend."""
    return network.replace("homogeneous:", "one flexibility, f = ")


def _each(results: Results, values: Float, x: Any, **options: Any) -> list[Series]:
    """One series a network, of values (n_networks, n_trials, n)."""
    return [
        Series(label=_label(network), network=network, x=x, values=trials, **options)
        for network, trials in zip(results.settings.networks, values, strict=True)
    ]


def _of_trials(results: Results) -> str:
    trials, name = results.settings.trials, results.header["dataset"]
    of = f"means and 95 % intervals of {trials} trials" if trials > 1 else "one trial"
    return f"{name}, seed {results.settings.seed}, {of}"


def _curve_panel(run: Results, *, title: str = "") -> Panel:
    curves = measure_serial_position_curve(run.recall)
    n_items = curves.shape[-1]
    return Panel(
        title=title,
        xlabel="serial position: when the item was presented",
        ylabel="recall after the whole list",
        series=_each(run, curves, np.arange(1, n_items + 1)),
        chance=chance_recall(n_items),
    )


def show_serial_position(run: Results) -> Picture:
    """The serial position curves, and below them how each network's memory filled."""
    n_items = run.settings.n_items
    matrices: list[Panel | Matrix] = [
        Matrix(
            title=network,
            network=network,
            xlabel="item",
            ylabel="items presented so far",
            label="recall",
            values=recall.mean(axis=0)[1:],
        )
        for network, recall in zip(run.settings.networks, run.recall, strict=True)
    ]
    return Picture(
        title=f"{n_items} items, one after the other, none shown again\n{_of_trials(run)}",
        caption="Recall of each item after the whole list, by when it was presented, and below "
        "how memory filled: a row is a test of all items after one more was presented.",
        rows=[[_curve_panel(run)], matrices],
    )


def _first_and_last(run: Results) -> Picture:
    n_items, epochs = run.settings.n_items, run.settings.epochs
    x = np.arange(n_items * epochs + 1) / epochs
    panels: list[Panel | Matrix] = [
        Panel(
            title=f"{word} item",
            xlabel="items presented so far",
            ylabel="recall",
            series=_each(run, run.recall_by_epoch[..., item], x),
            chance=chance_recall(n_items),
        )
        for word, item in (("first", 0), ("last", -1))
    ]
    return Picture(
        title=f"The first and the last item, epoch by epoch\n{_of_trials(run)}",
        caption="The first item is learned at once by all networks, which are alike then; what "
        "differs is how fast it is lost. The last one comes when the stable network has stiffened.",
        rows=[panels],
    )


def _long_list(run: Results) -> Picture:
    n_items = run.settings.n_items
    x = np.arange(n_items + 1)
    presented = x[1:, None] > x[:-1]  # (presentations, items)
    recall, memorized = run.recall[:, :, 1:], measure_memorized(run.confusion)[:, :, 1:]
    gross = (recall * presented).sum(axis=-1)
    shown = {"xlabel": "items presented so far", "chance": None}
    return Picture(
        title=f"Capacity against performance: a list of {n_items}\n{_of_trials(run)}",
        caption="As the list grows the hybrid memorizes more items, each of them less well. "
        "Memorized: more hits than chance gives (exact test). Gross memory: recall summed over "
        "the items presented so far.",
        rows=[
            [
                _curve_panel(run, title="recall by position"),
                Panel(
                    title="memorized items",
                    ylabel="memorized items",
                    series=_each(run, (memorized & presented).sum(axis=-1).astype(float), x[1:]),
                    top=None,
                    **shown,
                ),
            ],
            [
                Panel(
                    title="mean recall of the items presented",
                    ylabel="mean recall",
                    series=_each(run, gross / x[1:], x[1:]),
                    **shown,
                ),
                Panel(
                    title="gross memory",
                    ylabel="gross memory, in items",
                    series=_each(run, gross, x[1:]),
                    top=None,
                    **shown,
                ),
            ],
        ],
    )


def show_repetition(run: Results) -> Picture:
    """Curves after passes 1, 3, 6 and 9 over the list, and the worst item after each."""
    n_items = run.settings.n_items
    position = np.arange(1, n_items + 1)
    curves: list[Panel | Matrix] = [
        Panel(
            title=f"after {passes} pass" + ("es" if passes > 1 else ""),
            xlabel="serial position",
            ylabel="recall",
            series=_each(run, run.recall[:, :, n_items * passes], position),
            chance=chance_recall(n_items),
        )
        for passes in PASSES_SHOWN
    ]
    ends = run.recall[:, :, n_items : n_items * PASSES + 1 : n_items]
    x = np.arange(1, PASSES + 1)
    summaries: list[Panel | Matrix] = [
        Panel(
            title=title,
            xlabel="passes over the list",
            ylabel=ylabel,
            series=_each(run, values, x),
            top=top,
        )
        for title, ylabel, values, top in (
            ("mean", "mean recall", ends.mean(axis=-1), 1.0),
            ("worst item", "recall of the worst item", ends.min(axis=-1), 1.0),
            ("spread over items", "SD of recall over items", ends.std(axis=-1), None),
        )
    ]
    return Picture(
        title=f"Hebb repetition: the list of {n_items} nine times over\n{_of_trials(run)}",
        caption="Repetition lifts the hybrid's worst item and evens out its recall. A "
        "conventional network starts from the newest items again on every pass.",
        rows=[curves, summaries],
    )


def show_poisoning(run: Results) -> Picture:
    """Recall and uptake of false labels, for poisoned items and for new ones, by dose."""
    n_items = run.settings.n_items
    trunk = n_items * PASSES
    n_doses = (run.recall.shape[2] - 1 - trunk) // (2 * n_items)
    dose = np.arange(n_doses + 1)
    poison = [trunk + n_items * passes for passes in dose]
    new = [trunk, *(row + n_doses * n_items for row in poison[1:])]
    taught = run.schedule[:, trunk : trunk + n_items, 1]  # the false label of every item

    def uptake(confusion: NDArray[np.int64], rows: list[int]) -> Float:
        shares = confusion[:, :, rows] / run.settings.n_test_images
        index = np.broadcast_to(taught[None, :, None, :, None], (*shares.shape[:-1], 1))
        return np.take_along_axis(shares, index, axis=-1)[..., 0].mean(axis=-1)

    before_and_after: list[Panel | Matrix] = [
        Panel(
            title=title,
            xlabel="serial position",
            ylabel="recall",
            series=_each(run, run.recall[:, :, row], np.arange(1, n_items + 1)),
            chance=chance_recall(n_items),
        )
        for title, row in (("before", trunk), ("after one poisoned pass", poison[1]))
    ]
    recalled = [
        *_each(run, run.recall[:, :, poison].mean(axis=-1), dose),
        *(
            Series(**{**vars(one), "label": f"{one.label}: new items", "is_second": True})
            for one in _each(run, run.recall[:, :, new].mean(axis=-1), dose)
        ),
    ]
    learned = [
        *_each(run, uptake(run.confusion, poison), dose),
        *(
            Series(**{**vars(one), "label": f"{one.label}: new items", "is_second": True})
            for one in _each(run, uptake(run.new_confusion, new)[:, :, 1:], dose[1:])
        ),
    ]
    return Picture(
        title=f"Poisoned after nine passes: false labels for the items, or for new ones\n"
        f"{_of_trials(run)}",
        caption="Solid: the items' own images carry false labels. Hollow: images never seen "
        "before carry the same labels. Where uptake of both is low, robust to poison and slow to "
        "learn are the same freezing.",
        rows=[
            before_and_after,
            [
                Panel(
                    title="what is left",
                    xlabel="passes with false labels",
                    ylabel="mean recall of the items",
                    series=recalled,
                    chance=chance_recall(n_items),
                ),
                Panel(
                    title="what was taken up",
                    xlabel="passes with false labels",
                    ylabel="uptake: answered as taught",
                    series=learned,
                    chance=chance_recall(n_items),
                ),
            ],
        ],
    )


def show_frequency(run: Results) -> Picture:
    """Recall by how often an item was shown, and by when it was shown last."""
    shown = run.schedule[:, :, 0]
    n_items = run.settings.n_items
    recall = measure_serial_position_curve(run.recall)
    frequency = (shown[:, :, None] == np.arange(n_items)).sum(axis=1)
    first, mean, last = measure_positions(shown, n_items)
    x = np.arange(1, n_items + 1)

    def by(cause: Float) -> list[Series]:
        order = np.broadcast_to(np.argsort(cause, axis=-1), recall.shape)
        return _each(run, np.take_along_axis(recall, order, axis=-1), x)

    causes = {
        "how\noften": frequency,
        "first\nshown": first,
        "mean\nplace": mean,
        "last\nshown": last,
    }
    rho = np.stack([measure_rank_correlation(recall, cause) for cause in causes.values()], axis=-1)
    return Picture(
        title=f"How often against when\n{_of_trials(run)}",
        caption="Items shown 1 to 10 times, in orders in which frequency is independent of first, "
        "mean and last position (Spearman's rho at most 0.15 in every trial).",
        rows=[
            [
                Panel(
                    title="by frequency",
                    xlabel="times shown",
                    ylabel="recall",
                    series=by(frequency),
                    chance=chance_recall(n_items),
                ),
                Panel(
                    title="by position",
                    xlabel="rank of the last presentation",
                    ylabel="recall",
                    series=by(last),
                    chance=chance_recall(n_items),
                ),
                Panel(
                    title="which of them?",
                    xlabel="recall against",
                    ylabel="Spearman's rho",
                    series=_each(run, rho, np.arange(len(causes))),
                    words=tuple(causes),
                    bottom=-1.0,
                ),
            ]
        ],
    )


def show_biased(run: Results) -> Picture:
    """Serial position curves of networks with more and with less flexible synapses."""
    return Picture(
        title=f"More flexible, less flexible\n{_of_trials(run)}",
        caption="Biased-up networks have more flexible synapses than the hybrid and forget old "
        "items; biased-down ones have fewer, and learn new items less.",
        rows=[[_curve_panel(run)]],
    )


def _biased(evidence: Evidence) -> Picture:
    """The biased networks, with the hybrid of the same trials."""
    biased, hybrid = evidence["biased-flexibility"], evidence["serial-position"]
    picture = show_biased(biased)
    (panel,) = picture.rows[0]
    n_trials = biased.settings.trials
    series = [s for s in _curve_panel(hybrid).series if s.network == "hybrid"]
    same_trials = [Series(**{**vars(s), "values": s.values[:n_trials]}) for s in series]
    both = Panel(**{**vars(panel), "series": [*same_trials, *panel.series]})
    return Picture(title=picture.title, caption=picture.caption, rows=[[both]])


def _sweep(evidence: Evidence) -> Picture:
    """One flexibility everywhere, from stable to conventional, and the hybrid beside it."""
    sweep, mixed = evidence["homogeneous-sweep"], evidence["serial-position"]
    n_trials = min(sweep.settings.trials, mixed.settings.trials)
    curves = {
        network: recall[:n_trials, -1]
        for run in (mixed, sweep)
        for network, recall in zip(run.settings.networks, run.recall, strict=True)
    }
    hybrid = curves.pop("hybrid")
    ends = {"stable": 0.3, "conventional": 1.0}  # what the two are, with this flexibility
    levels = {ends.get(name) or float(name.partition(":")[2]): name for name in curves}
    x = np.array(sorted(levels))
    inside = np.array([curves[levels[f]] for f in x])  # (flexibility, trial, position)
    best = x[inside.mean(axis=(1, 2)).argmax()]
    span = np.array([x[0], x[-1]])

    def against(title: str, ylabel: str, measure: Callable[[Float], Float]) -> Panel:
        of_mixed = np.repeat(measure(hybrid)[:, None], 2, axis=1)
        one = Series(
            label="one flexibility for all",
            network="homogeneous:",
            x=x,
            values=np.array([measure(curve) for curve in inside]).T,
        )
        mixture = Series(label="hybrid (random mixture)", network="hybrid", x=span, values=of_mixed)
        return Panel(title=title, xlabel="flexibility f", ylabel=ylabel, series=[one, mixture])

    position = np.arange(1, hybrid.shape[-1] + 1)
    at_best = Panel(
        title=f"best mean of these: f = {best:g}",
        xlabel="serial position",
        ylabel="recall",
        series=[
            Series(label="hybrid", network="hybrid", x=position, values=hybrid),
            Series(
                label=f"f = {best:g}",
                network="homogeneous:",
                x=position,
                values=curves[levels[best]],
            ),
        ],
        chance=chance_recall(len(position)),
    )
    return Picture(
        title="Does mixing matter? One flexibility for all synapses, against the random mixture\n"
        + _of_trials(sweep),
        caption="If a single flexibility recalls as much as the mixture, after one pass mixing is "
        "not what makes the serial position effect.",
        rows=[
            [
                against("mean recall", "mean recall", lambda curve: curve.mean(axis=-1)),
                against("worst position", "recall", lambda curve: curve.min(axis=-1)),
                at_best,
            ]
        ],
    )


def _non_targets(evidence: Evidence) -> Picture:
    """Mean recall by the labels that other items' images carry."""
    runs = ("serial-position", "non-target-none", "non-target-true")
    words = ("permuted\n(paper)", "none\nshown", "true\n(rehearsal)")
    n_trials = min(evidence[run].settings.trials for run in runs)
    series = []
    for network in evidence["non-target-true"].settings.networks:
        columns = [
            evidence[run].recall[evidence[run].settings.networks.index(network), :n_trials, -1]
            for run in runs
        ]
        values = np.stack([recall.mean(axis=-1) for recall in columns], axis=-1)
        series.append(Series(label=network, network=network, x=np.arange(3), values=values))
    return Picture(
        title=f"How much of the forgetting is label noise?\n{_of_trials(evidence[runs[-1]])}",
        caption="In the paper every presentation shows images of all other items under wrong "
        "labels. The same list without them, and with their true labels, which is rehearsal.",
        rows=[
            [
                Panel(
                    title="",
                    xlabel="labels of the non-targets",
                    ylabel="mean recall after the list",
                    series=series,
                    words=words,
                    chance=chance_recall(evidence[runs[0]].settings.n_items),
                )
            ]
        ],
    )


def _which_synapses(run: Results) -> Picture:
    """Where in the range of flexibility old and new items are held."""
    index = run.settings.networks.index("hybrid")
    common = {
        "network": "hybrid",
        "xlabel": "item, in the order of learning",
        "ylabel": "tenth of flexibility (1: least flexible)",
    }
    moved = run.displacement_by_flexibility[index].mean(axis=0).T
    share = run.displacement_share[index].mean(axis=0).T
    return Picture(
        title=f"Which synapses hold which items?\n{_of_trials(run)}",
        caption="Left: how far the synapses of the hybrid moved while each item was learned. "
        "Right: the share that this has in where they stand in the end. Stiff synapses stand where "
        "the first item put them, flexible ones where the last items did.",
        rows=[
            [
                Matrix(
                    title="moved",
                    label="rms step, in units of weight",
                    values=moved,
                    top=None,
                    **common,
                ),
                Matrix(
                    title="kept",
                    label="share of the displacement",
                    values=share,
                    top=None,
                    **common,
                ),
            ]
        ],
    )


def _of(name: str, show: Callable[[Results], Picture]) -> Callable[[Evidence], Picture]:
    return lambda evidence: show(evidence[name])


def has_network(*needed: tuple[str, str]) -> Callable[[Evidence], bool]:
    """Whether runs are there, each with a network."""
    return lambda evidence: all(
        run in evidence and any(name.startswith(network) for name in evidence[run].settings.networks)
        for run, network in needed
    )


def _has_epochs(evidence: Evidence) -> bool:
    run = evidence.get("serial-position")
    return run is not None and run.settings.by_epoch


def _has_deciles(evidence: Evidence) -> bool:
    run = evidence.get("serial-position")
    return run is not None and run.settings.by_flexibility and "hybrid" in run.settings.networks


_HYBRID = ("serial-position", "hybrid")
# By name: whether the evidence suffices, and the picture.
PICTURES: dict[str, tuple[Callable[[Evidence], bool], Callable[[Evidence], Picture]]] = {
    "serial-position": (
        has_network(("serial-position", "")),
        _of("serial-position", show_serial_position),
    ),
    "first-and-last-item": (_has_epochs, _of("serial-position", _first_and_last)),
    "list-of-30": (
        has_network(("serial-position-30", "")),
        _of("serial-position-30", _long_list),
    ),
    "hebb-repetition": (
        has_network(("data-poisoning", "")),
        _of("data-poisoning", show_repetition),
    ),
    "data-poisoning": (
        has_network(("data-poisoning", "")),
        _of("data-poisoning", show_poisoning),
    ),
    "learning-frequency": (
        has_network(("learning-frequency", "")),
        _of("learning-frequency", show_frequency),
    ),
    "biased-flexibility": (has_network(_HYBRID, ("biased-flexibility", "")), _biased),
    "homogeneous-sweep": (has_network(_HYBRID, ("homogeneous-sweep", "homogeneous:")), _sweep),
    "non-targets": (
        has_network(_HYBRID, ("non-target-none", "hybrid"), ("non-target-true", "hybrid")),
        _non_targets,
    ),
    "which-synapses": (_has_deciles, _of("serial-position", _which_synapses)),
}


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
    return {name: show(evidence) for name, (suffices, show) in PICTURES.items() if suffices(evidence)}
