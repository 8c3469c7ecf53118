"""The report: one self-contained page with every claim, every figure, and the numbers behind them.

No script, nothing to fetch: it can be mailed, projected, printed, and read on a phone. The same
results give the same bytes.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .experiments import Results
from .panels import Picture, measure_table
from .recall import (
    chance_recall,
    measure_false_alarms,
    measure_memorized,
    measure_recall,
    measure_serial_position_curve,
)
from .statistics import measure_interval

__all__ = ["make_report"]

Evidence = Mapping[str, Results]

CLEAR = 0.25  # hits minus false alarms of an item that is clearly remembered
LEVEL = 0.05
PAPERS = 9  # the claims of the paper come first, then the controls that it lacks
SYMBOLS = {"holds": "✓", "fails": "✗", "undecided": "?", "not run": "-"}
READINGS = {  # what a verdict on a control means for the paper's result
    ("C10", "fails"): (
        "One flexibility everywhere does better after one pass: random mixing is not what makes "
        "the serial position effect."
    ),
    ("C10", "undecided"): (
        "No difference was shown: one flexibility everywhere may do as well after one pass."
    ),
    ("C10", "holds"): "After one pass the mixture does better than the best single flexibility.",
    ("C11", "holds"): (
        "Matched after one pass, the mixture does better after nine: one setting serves more time "
        "scales."
    ),
    ("C11", "fails"): "The mixture has no advantage after nine passes either.",
    ("C12", "holds"): (
        "Much of the forgetting is label noise: with true labels, which is rehearsal, a "
        "conventional network hardly forgets."
    ),
    ("C12", "fails"): "The forgetting is not label noise: true labels do not undo it.",
}

STYLE = "report.css"


def make_report(
    evidence: Evidence,
    judged: Mapping[str, Any],
    drawn: Mapping[str, tuple[Picture, bytes]],
) -> str:
    """Make the page.

    Parameters
    ----------
    evidence : mapping of str to Results
        By the names that :func:`plan_runs` gives; any may be missing.
    judged : mapping
        As :func:`judge_run` returns it.
    drawn : mapping of str to (Picture, bytes)
        Pictures and their SVG files, in the order in which they are shown.

    Returns
    -------
    str
        HTML.

    Examples
    --------
    >>> from metaplastic_np import judge_run
    >>> page = make_report({}, judge_run({}, preset="custom"), {})
    >>> page.startswith("<!doctype html>"), page.count("not run") >= 12
    (True, True)
    """
    title = "Metaplastic synapses: what holds"
    sections = [
        _claims(judged),
        *_figures(drawn),
        _margins(judged),
        _memorized(evidence),
        _differences(evidence),
        _settings(evidence),
        _machine(evidence),
    ]
    links = "".join(
        f'<li><a href="#{name}">{words}</a></li>'
        for name, words in (
            ("claims", "Claims"),
            *((name, _heading(picture)) for name, (picture, _) in drawn.items()),
            ("margins", "Every margin"),
            ("memorized", "Memorized, counted twice"),
            ("settings", "Settings"),
            ("machine", "Machine and time"),
        )
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{_style()}</style></head><body>\n"
        f"<header><h1>{title}</h1>{_introduction(evidence, judged)}</header>\n<main>\n"
        + sections[0]
        + f'\n<nav aria-label="Contents"><ul>{links}</ul></nav>\n'
        + "\n".join(sections[1:])
        + "\n</main></body></html>\n"
    )


# --- small parts ---------------------------------------------------------------------


def _style() -> str:
    return (files(__package__) / "data" / STYLE).read_text("utf-8")


def _number(value: Any) -> str:
    """Three decimals; words and whole numbers as they are."""
    if value is None:
        return "?"
    return f"{value:.3f}" if isinstance(value, float) else escape(str(value))


def _table(names: Iterable[str], rows: Iterable[Sequence[Any]], *, caption: str = "") -> str:
    """A table of numbers that scrolls in its own box where it is too wide."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{_number(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    words = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        f'<div class="scroll"><table class="numbers">{words}<thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _section(name: str, heading: str, body: str) -> str:
    return f'<section id="{name}"><h2>{heading}</h2>{body}</section>'


def _heading(picture: Picture) -> str:
    return escape(picture.title.partition("\n")[0])


def _interval(part: Mapping[str, Any]) -> str:
    low, high = ("?" if end is None else f"{end:+.3f}" for end in part["interval"])
    return f"{part['estimate']:+.3f} [{low}, {high}]"


def _verdict(claim: Mapping[str, Any]) -> str:
    return str(claim["verdict"]) if claim["n"] else "not run"


# --- sections ------------------------------------------------------------------------


def _introduction(evidence: Evidence, judged: Mapping[str, Any]) -> str:
    seconds = sum(sum(run.header["seconds_by_trial"]) for run in evidence.values())
    trials = sum(run.settings.trials for run in evidence.values())
    preset, dataset = escape(str(judged["preset"])), escape(str(judged["dataset"]))
    if preset == "custom":
        again = "The runs were chosen by hand, by no preset."
    else:
        again = (
            f"Made by <code>metaplastic-np reproduce --preset {preset} --dataset {dataset} "
            f"--seed {judged['seed']}</code>; changed options stand under Settings."
        )
    return (
        "<p>A network learns items one after another, each for a short while, none ever shown "
        "again as itself. A <em>conventional</em> network keeps the newest, a <em>stable</em> one "
        "the oldest; a <em>hybrid</em>, whose synapses are each born with a flexibility of their "
        "own and stiffen as they travel, is said to keep both. This page tests that, claim by "
        "claim, on "
        f"{dataset}, seed {judged['seed']}, {trials} trials, {seconds / 60:.1f} minutes of "
        f"computing. {again}</p>"
    )


def _claims(judged: Mapping[str, Any]) -> str:
    claims = judged["claims"]
    parts = (("claims of the paper", claims[:PAPERS]), ("controls that it lacks", claims[PAPERS:]))
    scores, bodies = [], []
    for words, group in parts:
        held = sum(_verdict(claim) == "holds" for claim in group)
        ran = sum(claim["n"] > 0 for claim in group)
        scores.append(f"{held} of {ran} {words} hold")
        bodies.append("<tbody>" + "".join(map(_claim_row, group)) + "</tbody>")
    return _section(
        "claims",
        "The claim card",
        f'<p class="score">{"; ".join(scores)}.</p><table class="card"><thead><tr><th>Claim</th>'
        "<th>Verdict</th><th>What it says</th><th>Weakest margin</th><th>Trials</th></tr></thead>"
        + "".join(bodies)
        + '</table><p class="soft">A claim is a list of margins, positive where it is right. '
        "<strong>Holds</strong>: the one-sided 95 % lower bound of every margin is above 0. "
        "<strong>Fails</strong>: an upper bound is below 0. Else <strong>undecided</strong>. In "
        "brackets: both bounds of the weakest margin. The claims: Cho, Lee, Baek, Paik, "
        "<em>Neuromimetic metaplasticity for adaptive continual learning</em>, arXiv 2407.07133 "
        "(2024).</p>",
    )


def _claim_row(claim: Mapping[str, Any]) -> str:
    verdict = _verdict(claim)
    name = verdict.replace(" ", "-")
    reading = READINGS.get((claim["id"], verdict))
    more = f'<span class="reading">{reading}</span>' if reading else ""
    margin = _interval(claim) if claim["n"] else ""
    return (
        f'<tr><th scope="row">{claim["id"]}</th>'
        f'<td class="verdict {name}">{SYMBOLS[verdict]} {verdict}</td>'
        f"<td>{escape(claim['statement'])}{more}</td>"
        f'<td class="number" data-name="weakest margin">{margin}</td>'
        f'<td class="number" data-name="trials">{claim["n"]}</td></tr>'
    )


def _figures(drawn: Mapping[str, tuple[Picture, bytes]]) -> list[str]:
    sections = []
    for name, (picture, svg) in drawn.items():
        heading, _, rest = picture.title.partition("\n")
        tables = "".join(
            _table(*measure_table(panel), caption=panel.title or panel.ylabel)
            for row in picture.rows
            for panel in row
        )
        alt = escape(f"{heading}. {picture.caption}", quote=True)
        small = ' class="small"' if len(picture.rows[0]) == 1 else ""
        source = f"data:image/svg+xml;base64,{b64encode(svg).decode()}"
        body = (
            f'<figure{small}><figcaption>{escape(picture.caption)} <span class="soft">'
            f'{escape(rest)}.</span></figcaption><div class="scroll">'
            f'<img src="{source}" alt="{alt}"></div></figure>'
            f"<details><summary>The numbers behind it</summary>{tables}</details>"
        )
        sections.append(_section(name, escape(heading), body))
    return sections


def _margins(judged: Mapping[str, Any]) -> str:
    body = (
        "<p>Every margin of every claim, and in how many of 20 control runs the claim held: the "
        "same trials, resampled, with networks exchanged, positions permuted or the hybrid "
        "replaced, where it is false.</p>"
    )
    for claim in judged["claims"]:
        if not claim["n"]:
            continue
        rows = [(part["name"], _interval(part), part["n"]) for part in claim["parts"]]
        head = f"{claim['id']}: {_verdict(claim)}; held in {claim['controls']} of 20 control runs"
        table = _table(("margin", "mean [bounds]", "trials"), rows)
        words = f"{table}<p>{claim['seconds']:.0f} s of computing.</p>"
        body += f"<details><summary>{head}</summary>{words}</details>"
    return _section("margins", "Every margin, and the controls", body)


def count_published(confusion: NDArray[np.int64]) -> NDArray[np.int64]:
    """Memorized items as the authors' code counts them: fewer than 5 % of shuffles hit *more*.

    P(X > hits) where an exact test has P(X >= hits); an item that is never answered has no hits in
    any shuffle either, and counts as memorized. Source: vsnnlab/Metaplasticity at 7993138.
    """
    from scipy.stats import hypergeom

    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    belong = confusion.sum(axis=-1)
    total = belong.sum(axis=-1, keepdims=True)
    return (hypergeom.sf(hits, total, confusion.sum(axis=-2), belong) < LEVEL).sum(axis=-1)


def _memorized(evidence: Evidence) -> str:
    run = evidence.get("serial-position-30") or evidence.get("serial-position")
    if run is None:
        return _section("memorized", "Memorized, counted twice", "<p>not run</p>")
    rows = []
    for network, confusion in zip(run.settings.networks, run.confusion[:, :, -1], strict=True):
        clear = measure_recall(confusion) - measure_false_alarms(confusion) > CLEAR
        counts = (
            measure_memorized(confusion, level=LEVEL).sum(axis=-1),
            count_published(confusion),
            clear.sum(axis=-1),
            measure_recall(confusion).sum(axis=-1),
        )
        rows.append((network, *(float(count.mean()) for count in counts)))
    n_items = run.settings.n_items
    names = (
        "network",
        "P(X ≥ hits) < 0.05",
        "published count",
        f"hits - alarms > {CLEAR}",
        "gross",
    )
    return _section(
        "memorized",
        "Memorized, counted twice",
        f"<p>Items memorized of {n_items}, after the whole list, mean over trials, "
        f"{run.settings.n_test_images} test images an item. Memorized means more hits than "
        "shuffled labels would give (exact hypergeometric test). The authors' code counts the "
        "shuffles with strictly <em>more</em> hits, so an item that is never answered counts as "
        "memorized. The test is lenient, and stricter with fewer test images; clearly more hits "
        "than false alarms asks for more. The last column is gross memory: recall summed over "
        "items.</p>"
        + _table(names, rows)
        + "<p>For comparison only: people who hear a list of words once recall 6.39 of 10 (2 s a "
        "word) and 8.82 of 30 (1 s a word) in free recall (Murdock 1962). Recall of words and "
        "classification accuracy are not the same quantity.</p>",
    )


def _differences(evidence: Evidence) -> str:
    run = evidence.get("serial-position")
    if run is None or len(run.settings.networks) < 2:
        return ""
    means = measure_serial_position_curve(run.recall).mean(axis=-1)
    rows = []
    for one, other in combinations(range(len(means)), 2):
        difference = means[one] - means[other]
        half = float(measure_interval(difference))
        names = [run.settings.networks[index] for index in (one, other)]
        ends = "" if np.isnan(half) else f" ± {half:.3f}"
        rows.append((" - ".join(names), f"{difference.mean():+.3f}{ends}", len(difference)))
    chance = chance_recall(run.settings.n_items)
    return _section(
        "pairs",
        "Networks compared in pairs",
        f"<p>Mean recall after {run.settings.n_items} items (chance {chance:.3f}): differences "
        "between networks that share a trial, with 95 % t intervals.</p>"
        + _table(("difference", "mean", "trials"), rows),
    )


def _settings(evidence: Evidence) -> str:
    if not evidence:
        return _section("settings", "Settings", "<p>not run</p>")
    described = {name: run.header["settings"] for name, run in evidence.items()}
    first = next(iter(described.values()))
    rows = []
    for setting in first:
        cells = [str(settings.get(setting)) for settings in described.values()]
        shown = [cell if len(cell) <= 60 else cell[:57] + "..." for cell in cells]
        rows.append((setting + (" *" if len(set(cells)) > 1 else ""), *shown))
    return _section(
        "settings",
        "Settings",
        "<p>* differs between runs.</p><details><summary>Every setting of every run</summary>"
        + _table(("setting", *described), rows)
        + "</details>",
    )


def _machine(evidence: Evidence) -> str:
    rows = []
    for name, run in evidence.items():
        seconds = run.header["seconds_by_trial"]
        rows.append((name, len(seconds), round(sum(seconds)), f"{np.mean(seconds):.1f}"))
    facts: dict[str, Any] = {}
    for run in list(evidence.values())[:1]:
        machine = {name: str(fact) for name, fact in run.header["machine"].items()}
        facts = {"backend": run.header["backend"], **machine}
        facts["SHA-256 of the images"] = run.header["dataset_sha256"]
    return _section(
        "machine",
        "Machine and time",
        _table(("run", "trials", "seconds, one core", "a trial"), rows)
        + _table(("fact", ""), list(facts.items())),
    )
