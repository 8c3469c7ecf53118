"""Results, pictures and claims as text: what ``run`` and ``reproduce`` print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..experiments import Results
from ..metrics import (
    CLEAR,
    MEMORIZED_LEVEL,
    chance_recall,
    format_mean,
    measure_capacity,
    measure_false_alarms,
    measure_primacy,
    measure_recall,
    measure_recency,
    measure_serial_position_curve,
)
from ..plots import Panel, Picture, measure_table


def format_table(results: Results) -> str:
    """The serial position curve of each network, with 95 % intervals over trials, as text."""
    settings = results.settings
    curves = measure_serial_position_curve(results.recall)
    confusion = results.confusion[:, :, -1]
    clear = measure_recall(confusion) - measure_false_alarms(confusion)
    chance = chance_recall(settings.n_items)
    n_items = settings.n_items
    rows = [(f"position {item + 1}", curves[:, :, item], 1) for item in range(n_items)]
    ends = "primacy, recency: first, last item minus the mean of the middle 40 % of positions.\n"
    summary = [
        ("mean recall", curves.mean(axis=-1), 1),
        ("memorized", measure_capacity(confusion).astype(float), n_items),
        (f"hits-alarms>{CLEAR}", (clear > CLEAR).sum(axis=-1).astype(float), n_items),
    ]
    if n_items > 2:  # there is a middle
        summary.insert(1, ("primacy", measure_primacy(curves), 2))
        summary.insert(2, ("recency", measure_recency(curves), 2))

    def line(name: str, values: np.ndarray, reach: float) -> str:
        cells = [format_mean(trials, reach) for trials in values]
        return f"{name:<16}" + "".join(f"{cell:>{width}}" for cell in cells)

    width = max(16, *(len(network) + 2 for network in settings.networks))
    header = f"{'':<16}" + "".join(f"{network:>{width}}" for network in settings.networks)
    rule = "-" * len(header)
    kappa = results.kappa.mean()
    title = (
        f"Recall after {n_items} items, each shown once; chance {chance:.2f}.\n"
        f"{results.header['dataset']}, seed {settings.seed}, {settings.trials} trials "
        f"(mean ± 95 % interval), kappa {kappa:.1f}"
    )
    lines = [title, "", header, rule, *(line(*row) for row in rows), rule]
    notes = (
        "memorized: items with more hits than shuffled labels would give them (exact test, "
        f"P < {MEMORIZED_LEVEL},\n{settings.n_test_images} test images an item). The row below it "
        f"asks for clearly more hits than false alarms.\n{ends * (n_items > 2)}"
        "kappa: steepness times the rms displacement of the weights after the first presentation."
    )
    table = "\n".join([*lines, *(line(*row) for row in summary), "", notes])
    unknown = "\n\u00b1 ?: these trials' interval is wider than all that there can be; run more."
    return table + unknown * ("\u00b1 ?" in table)


def format_picture(picture: Picture, results: Results) -> str:
    """The numbers of a figure's last row as text."""
    lines = [picture.title, f"kappa {results.kappa.mean():.1f}"]
    for panel in picture.rows[-1]:
        if not isinstance(panel, Panel):
            continue
        labels = [series.label for series in panel.series]
        width = max(10, *(len(label) + 2 for label in labels))
        first = max(18, len(panel.xlabel) + 2)
        lines += ["", f"{panel.title}: {panel.ylabel}"]
        lines += [f"{panel.xlabel:<{first}}" + "".join(f"{label:>{width}}" for label in labels)]
        names, rows = measure_table(panel)
        for row in rows:
            cells = [row[names.index(label)] for label in labels]
            means = ["" if cell == "" else f"{cell:.2f}" for cell in cells]
            lines.append(f"{row[0]:<{first}}" + "".join(f"{mean:>{width}}" for mean in means))
    return "\n".join(lines)


def format_claims(judged: Mapping[str, Any]) -> str:
    """The claim card as text."""
    lines = [f"{'':<5}{'verdict':<11}{'weakest margin':<28}{'trials':<8}claim"]
    for claim in judged["claims"]:
        if not claim["n"]:
            lines.append(f"{claim['id']:<5}{'not run':<11}{claim['obstacle']}")
            continue
        low, high = ("?" if end is None else f"{end:+.3f}" for end in claim["interval"])
        margin = f"{claim['estimate']:+.3f} [{low}, {high}]"
        lines.append(
            f"{claim['id']:<5}{claim['verdict']:<11}{margin:<28}{claim['n']:<8}{claim['statement']}"
        )
    return "\n".join(lines)
