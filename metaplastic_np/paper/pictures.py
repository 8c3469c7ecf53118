"""One picture for each panel of the paper, and the ones that it lacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..experiments import Results
from ..metrics import (
    chance_recall,
    measure_memorized,
    measure_rank_correlation,
    measure_serial_position_curve,
)
from ..plots import BAND_TRIALS, Matrix, Panel, Picture, Series
from ..scenarios import PASSES, measure_positions

__all__ = ["show_serial_position"]

Float = NDArray[np.float64]
Evidence = Mapping[str, Results]

PASSES_SHOWN = (1, 3, 6, 9)


def _each(results: Results, values: Float, x: Any) -> list[Series]:
    """One series a network, of values (n_networks, n_trials, n)."""
    return [
        Series(
            label=network.replace("homogeneous:", "one flexibility, f = "),
            network=network,
            x=x,
            values=trials,
        )
        for network, trials in zip(results.settings.networks, values, strict=True)
    ]


def _of_trials(results: Results, *, has_curves: bool = True) -> str:
    trials, name = results.settings.trials, results.header["dataset"]
    if trials == 1:
        of = "one trial"
    elif has_curves and trials >= BAND_TRIALS:
        of = f"means and 95 % intervals of {trials} trials"
    else:
        of = f"means of {trials} trials" + has_curves * " (thin: each trial)"
    return f"{name}, seed {results.settings.seed}, {of}"


def _recall_panel(
    run: Results, title: str, xlabel: str, series: list[Series], *, ylabel: str = "recall"
) -> Panel:
    """Recall, or another share, beside the level of chance."""
    chance = chance_recall(run.settings.n_items)
    return Panel(title=title, xlabel=xlabel, ylabel=ylabel, series=series, chance=chance)


def _curve_panel(run: Results, *, title: str = "") -> Panel:
    curves = measure_serial_position_curve(run.recall)
    n_items = curves.shape[-1]
    series = _each(run, curves, np.arange(1, n_items + 1))
    when = "serial position: when the item was presented"
    return _recall_panel(run, title, when, series, ylabel="recall after the whole list")


def show_serial_position(run: Results) -> Picture:
    """The serial position curves, and below them how each network's memory filled.

    Parameters
    ----------
    run : Results

    Returns
    -------
    Picture

    Examples
    --------
    See :func:`make_figure`.
    """
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


def show_first_and_last(run: Results) -> Picture:
    """Recall of the first and of the last item, after every epoch."""
    n_items, epochs = run.settings.n_items, run.settings.epochs
    x = np.arange(n_items * epochs + 1) / epochs
    panels: list[Panel | Matrix] = [
        _recall_panel(
            run,
            f"{word} item",
            "items presented so far",
            _each(run, run.recall_by_epoch[..., item], x),
        )
        for word, item in (("first", 0), ("last", -1))
    ]
    return Picture(
        title=f"The first and the last item, epoch by epoch\n{_of_trials(run)}",
        caption="The first item is learned at once by all networks, which are alike then; what "
        "differs is how fast it is lost. The last one comes when the stable network has stiffened.",
        rows=[panels],
    )


def show_long_list(run: Results) -> Picture:
    """How many items are memorized as a list grows, and how well each of them."""
    n_items = run.settings.n_items
    x = np.arange(n_items + 1)
    presented = x[1:, None] > x[:-1]  # (presentations, items)
    recall, memorized = run.recall[:, :, 1:], measure_memorized(run.confusion)[:, :, 1:]
    gross = (recall * presented).sum(axis=-1)
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
                    xlabel="items presented so far",
                ),
            ],
            [
                Panel(
                    title="mean recall of the items presented",
                    ylabel="mean recall",
                    series=_each(run, gross / x[1:], x[1:]),
                    xlabel="items presented so far",
                ),
                Panel(
                    title="gross memory",
                    ylabel="gross memory, in items",
                    series=_each(run, gross, x[1:]),
                    top=None,
                    xlabel="items presented so far",
                ),
            ],
        ],
    )


def show_repetition(run: Results) -> Picture:
    """Curves after passes 1, 3, 6 and 9 over the list, and the worst item after each."""
    n_items = run.settings.n_items
    position = np.arange(1, n_items + 1)
    curves: list[Panel | Matrix] = [
        _recall_panel(
            run,
            f"after {passes} pass" + ("es" if passes > 1 else ""),
            "serial position",
            _each(run, run.recall[:, :, n_items * passes], position),
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


def show_nine_passes(evidence: Evidence) -> Picture:
    """The nine passes before the poison, and the networks that only repeat."""
    runs = [evidence[name] for name in ("data-poisoning", "hebb-repetition") if name in evidence]
    n_trials, n_rows = (min(run.recall.shape[axis] for run in runs) for axis in (1, 2))
    recall: dict[str, Float] = {}
    for run in runs:
        for network, of_network in zip(run.settings.networks, run.recall, strict=True):
            recall.setdefault(network, of_network[:n_trials, :n_rows])
    settings = replace(runs[0].settings, networks=tuple(recall), trials=n_trials)
    return show_repetition(
        replace(runs[0], settings=settings, recall=np.array(list(recall.values())))
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
        _recall_panel(
            run,
            title,
            "serial position",
            _each(run, run.recall[:, :, row], np.arange(1, n_items + 1)),
        )
        for title, row in (("before", trunk), ("after one poisoned pass", poison[1]))
    ]

    def beside(items: Float, new: Float, new_dose: NDArray[np.intp]) -> list[Series]:
        second = [
            replace(one, label=f"{one.label}: new items", is_second=True)
            for one in _each(run, new, new_dose)
        ]
        return [*_each(run, items, dose), *second]

    mean = run.recall.mean(axis=-1)
    recalled = beside(mean[:, :, poison], mean[:, :, new], dose)
    new_uptake = uptake(run.new_confusion, new)[:, :, 1:]
    learned = beside(uptake(run.confusion[..., :n_items, :], poison), new_uptake, dose[1:])
    doses = "passes with false labels"
    return Picture(
        title=f"Poisoned after nine passes: false labels for the items, or for new ones\n"
        f"{_of_trials(run)}",
        caption="Solid: the items' own images carry false labels. Hollow: images never seen "
        "before carry the same labels. Where uptake of both is low, robust to poison and slow to "
        "learn are the same freezing.",
        rows=[
            before_and_after,
            [
                _recall_panel(run, "what is left", doses, recalled, ylabel="mean recall of items"),
                _recall_panel(
                    run, "what was taken up", doses, learned, ylabel="answered as taught"
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

    words = ("how\noften", "first\nshown", "mean\nplace", "last\nshown")
    causes = dict(zip(words, (frequency, first, mean, last), strict=True))
    rho = np.stack([measure_rank_correlation(recall, cause) for cause in causes.values()], axis=-1)
    return Picture(
        title=f"How often against when\n{_of_trials(run)}",
        caption=f"Items shown 1 to {n_items} times, in orders in which frequency is independent of "
        "first, mean and last position (Spearman's rho at most 0.15 in every trial).",
        rows=[
            [
                _recall_panel(run, "by frequency", "times shown", by(frequency)),
                _recall_panel(run, "by position", "rank of the last presentation", by(last)),
                Panel(
                    title="which of them?",
                    xlabel="recall against",
                    ylabel="Spearman's rho",
                    series=_each(run, rho, np.arange(len(causes))),
                    words=words,
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


def show_biased_and_hybrid(evidence: Evidence) -> Picture:
    """The biased networks, with the hybrid of the same trials."""
    biased, hybrid = evidence["biased-flexibility"], evidence["serial-position"]
    picture = show_biased(biased)
    n_trials = biased.settings.trials
    panel, of_hybrid = _curve_panel(biased), _curve_panel(hybrid).series
    there = {series.network for series in panel.series}
    added = [s for s in of_hybrid if s.network == "hybrid" and s.network not in there]
    same_trials = [replace(s, values=s.values[:n_trials]) for s in added]
    both = replace(panel, series=[*same_trials, *panel.series])
    return replace(picture, rows=[[both]])


def show_sweep(evidence: Evidence) -> Picture:
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
    levels = {
        ends.get(name) or float(name.partition(":")[2]): name
        for name in curves
        if name in ends or name.startswith("homogeneous:")
    }
    x = np.array(sorted(levels))
    inside = np.array([curves[levels[f]] for f in x])  # (flexibility, trial, position)
    best = x[inside.mean(axis=(1, 2)).argmax()]

    single = Series(label="one flexibility for all", network="homogeneous:", x=x, values=inside)

    def against(title: str, ylabel: str, measure: Callable[[Float], Float]) -> Panel:
        of_mixed = np.repeat(measure(hybrid)[:, None], 2, axis=1)
        one = replace(single, values=np.array([measure(curve) for curve in inside]).T)
        mixture = Series(label="hybrid", network="hybrid", x=x[[0, -1]], values=of_mixed)
        return Panel(title=title, xlabel="flexibility f", ylabel=ylabel, series=[one, mixture])

    position = np.arange(1, hybrid.shape[-1] + 1)
    at_best = _recall_panel(
        mixed,
        f"best mean of these: f = {best:g}",
        "serial position",
        [
            Series(label="hybrid", network="hybrid", x=position, values=hybrid),
            replace(single, x=position, values=curves[levels[best]]),
        ],
    )
    return Picture(
        title=f"Does mixing matter? One flexibility or a random mixture\n{_of_trials(sweep)}",
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


def show_non_targets(evidence: Evidence) -> Picture:
    """Mean recall by the labels that other items' images carry."""
    runs = ("serial-position", "non-target-none", "non-target-true")
    words = ("permuted\n(paper)", "none\nshown", "true\n(rehearsal)")
    n_trials = min(evidence[run].settings.trials for run in runs)
    series = []
    shared = set.intersection(*(set(evidence[run].settings.networks) for run in runs))
    for network in sorted(shared):
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
                replace(
                    _recall_panel(evidence[runs[0]], "", "labels of the non-targets", series),
                    ylabel="mean recall after the list",
                    words=words,
                )
            ]
        ],
    )


def show_synapses(run: Results) -> Picture:
    """Where in the range of flexibility old and new items are held."""
    index = run.settings.networks.index("hybrid")
    shown = (
        ("moved", "rms step, in units of weight", run.displacement_by_flexibility),
        ("kept", "share of the displacement", run.displacement_share),
    )
    matrices: list[Panel | Matrix] = [
        Matrix(
            title=title,
            network="hybrid",
            xlabel="item, in the order of learning",
            ylabel="tenth of flexibility (1: least flexible)",
            label=label,
            values=values[index].mean(axis=0).T,
            top=None,
        )
        for title, label, values in shown
    ]
    return Picture(
        title=f"Which synapses hold which items?\n{_of_trials(run, has_curves=False)}",
        caption="Left: how far the synapses of the hybrid moved while each item was learned. "
        "Right: the share that this has in where they stand in the end. Stiff synapses stand where "
        "the first item put them, flexible ones where the last items did.",
        rows=[matrices],
    )
