"""The page that shows it all: claims, figures, the numbers behind them, how they were made.

One HTML file that loads nothing and runs no scripts, for a browser, a projector, a phone or a
printer. A section is a function from results to HTML; whatever is text goes through ``escape``.
The same results give the same bytes.
"""

from __future__ import annotations

import shlex
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import timedelta
from html import escape
from importlib.resources import files
from itertools import combinations
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..experiments import Results
from ..metrics import (
    CLEAR,
    MEMORIZED_LEVEL,
    format_mean,
    measure_false_alarms,
    measure_fewest_hits,
    measure_interval,
    measure_memorized,
    measure_recall,
)
from ..plots import Picture, measure_table
from ..scenarios import DATASETS
from .claims import CLAIMS
from .table import list_pictures
from .verdicts import FEWEST_TO_CONTROL, N_CONTROLS

__all__ = ["make_report"]

Evidence = Mapping[str, Results]
Judged = Mapping[str, Any]
Drawn = Mapping[str, tuple[Picture, bytes]]

SYMBOLS = {"holds": "\u2713", "fails": "\u2717", "undecided": "?", "not run": "\u2013"}
MURDOCK = {10: ("6.39", 10, "2 s"), 30: ("8.82", 30, "1 s")}  # recalled, of so many, at what pace


ABOUT = f"""\
<p>A network learns <em>items</em> one after another; an item is a class of images, shown for a
short while. After every presentation the network is tested on all items. <em>Recall</em> is the
share of an item&rsquo;s test images that it classifies correctly. A conventional network keeps
only the newest items. Here each synapse becomes harder to change the further its weight moves from
its initial value; how quickly depends on its own flexibility (Cho, Lee, Baek and Paik 2024,
arXiv 2407.07133). This page says which of the paper&rsquo;s claims hold in these runs, and shows
every number behind the verdicts.</p>
<p>A claim is a list of <em>margins</em>: one number per trial, positive if the trial supports the
claim. A claim <strong>holds</strong> if the one-sided 95&nbsp;% lower bound of the mean is above 0
for every margin, <strong>fails</strong> if the upper bound is below 0 for some margin, and is
<strong>undecided</strong> otherwise. Each claim is also judged on {N_CONTROLS} control runs, which
are made so that it is false there.</p>"""

MEMORIZED = """\
<p>An item is memorized if it has more hits than shuffled labels would give it. The exact test asks
how often chance has <em>as many hits or more</em>. The published code counts the shuffles with
strictly <em>more</em> hits. If no image is classified as an item, no shuffle gives that item more
than 0 hits, so it counts as memorized; a network that gives one answer to everything is credited
with almost the whole list. The exact test is lenient, too, and depends on the number of test
images, here {images} per item; the last column asks for clearly more hits than false alarms.</p>"""

YARDSTICK = """\
<p>People asked for the words of a list in any order (free recall, Murdock 1962) recalled {people}.
The hybrid network&rsquo;s gross memory, its recall summed over the items of the list, is {network}.
The two are <strong>not the same quantity</strong>: a person finds a word without being shown it;
the network is shown a test image and chooses among the items of the list. Guessing alone gives a
gross memory of 1. Only the direction can be compared: whether a longer list leaves more in total,
and less of each item.</p>"""

NOT_RUN = '<p class="soft">not run</p>'


def make_report(evidence: Evidence, judged: Judged, drawn: Drawn) -> str:
    """Write results, verdicts and figures as one HTML page that needs nothing else.

    Parameters
    ----------
    evidence : mapping of str to Results
        By the names of the runs; any may be missing.
    judged : mapping
        As :func:`judge_run` gives it: the content of ``claims.json``.
    drawn : mapping of str to (Picture, bytes)
        Each picture and its SVG, by name, in the order to be shown.

    Returns
    -------
    str
        The same from the same arguments, in whatever order the runs come.

    Examples
    --------
    >>> from metaplastic_np.paper import judge_run
    >>> page = make_report({}, judge_run({}, preset="custom"), {})
    >>> page.startswith("<!DOCTYPE html>"), page.count("not run") > 12
    (True, True)
    """
    evidence = dict(sorted(evidence.items()))
    figures = [_show_figure(name, *both, evidence) for name, both in drawn.items()]
    sections = {
        "claims": ("The claims", _show_card(evidence, judged)),
        "figures": ("Figures", "\n".join(figures) or NOT_RUN),
        "margins": ("All margins", _show_margins(judged)),
        "memorized": ("Memorized, counted twice", _show_memorized(evidence)),
        "pairs": ("Networks compared in pairs", _show_pairs(evidence)),
        "people": ("A human yardstick", _show_people(evidence)),
        "settings": ("Settings, time and machine", _show_settings(evidence)),
    }
    links = [f'<li><a href="#{name}">{title}</a></li>' for name, (title, _) in sections.items()]
    bodies = [
        f'<section id="{name}">\n<h2>{title}</h2>\n{body}\n</section>'
        for name, (title, body) in sections.items()
    ]
    data = files("metaplastic_np") / "data"
    return Template((data / "report.html").read_text("utf-8")).substitute(
        title=escape(f"Metaplasticity: {_say(judged['dataset'])}, {judged['preset']}"),
        style=(data / "report.css").read_text("utf-8"),
        introduction=_introduce(evidence, judged),
        contents="\n".join(links),
        sections="\n".join(bodies),
    )


def _number(value: Any) -> str:
    """Three significant digits; whole numbers and words as they are, nothing for no number."""
    if isinstance(value, str | int):
        return str(value)
    if value is None or not np.isfinite(value):
        return ""
    return f"{value:.0f}" if abs(value) >= 99.95 else f"{value + 0.0:#.3g}"


def _table(caption: str, names: Sequence[str], rows: Iterable[Any], *, kind: str = "") -> str:
    """A table in a box that scrolls by itself; the first column names the rows."""
    columns = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    lines = []
    for row in rows:
        first, *cells = (escape(_number(cell)) for cell in row)
        others = "".join(f"<td>{cell}</td>" for cell in cells)
        lines.append(f'<tr><th scope="row">{first}</th>{others}</tr>\n')
    kind = "ends" if "low" in names else kind
    return (
        f'<div class="scroll" role="group" aria-label="{escape(caption)}" tabindex="0">\n'
        f'<table class="{kind}">\n<caption>{escape(caption)}</caption>\n'
        f"<thead><tr>{columns}</tr></thead>\n"
        f"<tbody>\n{''.join(lines)}</tbody>\n</table>\n</div>"
    )


def _say(value: Any) -> str:
    """A setting, as words."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list):
        if value and not isinstance(value[0], str | int):
            return f"{len(value)} steps of its own"
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _describe(evidence: Evidence, judged: Judged) -> dict[str, str]:
    """What these runs are, in a few facts."""
    return {
        **{name: _say(judged[name]) for name in ("dataset", "preset", "seed")},
        "trials": str(sum(run.settings.trials for run in evidence.values())),
    }


def _introduce(evidence: Evidence, judged: Judged) -> str:
    facts = _describe(evidence, judged)
    dataset, preset, seed, _ = facts.values()
    seconds = sum(sum(run.header["seconds_by_trial"]) for run in evidence.values())
    time = timedelta(seconds=round(seconds))
    facts["computing time"] = f"{time} (h:min:s), all trials summed"
    lines = [f"<dt>{name}</dt><dd>{escape(fact)}</dd>" for name, fact in facts.items()]
    command = "no single command: these runs were chosen by hand"
    if preset != "custom":
        command = "no single command: the images are a file of your own"
        if dataset in DATASETS:  # named by their digest
            words = ["reproduce", "--preset", preset, "--dataset", dataset, "--seed", seed]
            command = f"<code>{escape(shlex.join(['metaplastic-np', *words]))}</code>"
    lines.append(f"<dt>to reproduce</dt><dd>{command}</dd>")
    return "\n".join(["<div>", ABOUT, "</div>", "<dl>", *lines, "</dl>"])


def _verdict(claim: Mapping[str, Any]) -> str:
    return claim["verdict"] if claim["n"] else "not run"


def _read(claim: Mapping[str, Any]) -> str:
    """What it means if a claim fails, of the controls that the paper lacks; else nothing."""
    return CLAIMS[claim["id"]].reading if claim["id"] in CLAIMS else ""


def _badge(verdict: str) -> str:
    """The word, a symbol and a color."""
    symbol = f'<b aria-hidden="true">{SYMBOLS[verdict]}</b>'
    return f'<span class="verdict {verdict.replace(" ", "-")}">{symbol}{verdict}</span>'


def _show_card(evidence: Evidence, judged: Judged) -> str:
    """The claims on one screen: the paper's, and the controls that it lacks."""
    about = ", ".join(" ".join(fact) for fact in _describe(evidence, judged).items())
    legend = "At the right: mean of the weakest margin, one-sided 95&nbsp;% bounds, n trials."
    parts = [f'<p class="soft">{escape(about)}. {legend}</p>']
    for title, is_ours in (("Claims of the paper", False), ("Controls that it lacks", True)):
        claims = [claim for claim in judged["claims"] if bool(_read(claim)) == is_ours]
        found = [_verdict(claim) for claim in claims]
        counts = f"{found.count('holds')} of {len(claims)} hold"
        for verdict, word in (("fails", "failing"), ("undecided",) * 2, ("not run",) * 2):
            counts += f", {found.count(verdict)} {word}" if verdict in found else ""
        rows = "\n".join(map(_show_claim, claims))
        parts.append(f"<h3>{title}: {counts}</h3>\n<ul>\n{rows}\n</ul>")
    return "\n".join(parts)


def _show_claim(claim: Mapping[str, Any]) -> str:
    verdict, margin, reading = _verdict(claim), "", ""
    if claim["n"]:
        mean, *ends = (
            "?" if number is None else f"{number:+.3f}".replace("-", "\u2212")
            for number in (claim["estimate"], *claim["interval"])
        )
        shown = ("estimate", "interval")
        weakest = next(part for part in claim["parts"] if all(part[k] == claim[k] for k in shown))
        trials = f"<small>n = {claim['n']}</small>"
        margin = f"{mean} [{', '.join(ends)}] {trials}<span>{escape(weakest['name'])}</span>"
    if verdict == "fails" and _read(claim):
        reading = f'<p class="reading">{_read(claim)}</p>'
    if claim["obstacle"]:
        reading = f'<p class="reading">Not run: {escape(claim["obstacle"])}.</p>'
    return (
        f'<li><span class="id">{escape(claim["id"])}</span>{_badge(verdict)}\n'
        f"<div><p>{escape(claim['statement'])}</p>{reading}</div>\n"
        f'<p class="margin">{margin}</p></li>'
    )


def _show_margins(judged: Judged) -> str:
    parts = []
    for claim in judged["claims"]:
        body = NOT_RUN
        if claim["n"]:
            rows = [
                [part["name"], part["estimate"], *part["interval"], part["n"]]
                for part in claim["parts"]
            ]
            names = ["margin", "mean", "low", "high", "trials"]
            body = _table(f"{claim['id']}: margins, one-sided 95 % bounds", names, rows)
            body += f"\n<p>{_say_controls(claim['controls'])}</p>"
        summary = f"{escape(claim['id'])} {_badge(_verdict(claim))} {escape(claim['statement'])}"
        parts.append(f"<details>\n<summary>{summary}</summary>\n{body}\n</details>")
    return "\n".join(parts)


def _say_controls(held: int | None) -> str:
    if held is None:
        return f"Fewer than {FEWEST_TO_CONTROL} trials: too few for controls to mean anything."
    return f"Held in {held} of {N_CONTROLS} control runs, where it is false."


def _show_figure(name: str, picture: Picture, svg: bytes, evidence: Evidence) -> str:
    title, _, about = picture.title.partition("\n")
    source = "data:image/svg+xml;base64," + b64encode(svg).decode()
    alt = escape(". ".join((title, about, picture.caption)))
    panels = [panel for row in picture.rows for panel in row]
    tables = [_table(panel.title or panel.ylabel, *measure_table(panel)) for panel in panels]
    shown, runs = list_pictures().get(name), []
    for run in shown.needs if shown else (name,):
        if run in evidence:
            made = evidence[run].settings
            networks = escape(", ".join(made.networks))
            words = f"trials {made.trials}, seed {made.seed}; {networks}"
            runs.append(f"<code>{escape(run)}.npz</code> ({words})")
    runs.append('<a href="#settings">all settings</a>')
    numbers = "\n".join([*tables, f"<p>From {', '.join(runs)}.</p>"])
    return (
        f'<article id="figure-{escape(name)}">\n<h3>{escape(title)}</h3>\n<figure>\n'
        f'<figcaption>{escape(picture.caption)} <span class="soft">({escape(about)})</span>'
        f'</figcaption>\n<img src="{source}" alt="{alt}">\n</figure>\n'
        f"<details>\n<summary>the numbers behind it</summary>\n{numbers}\n</details>\n</article>"
    )


def _memorized_as_published(confusion: NDArray[Any]) -> NDArray[np.bool_]:
    """Which items the authors' code counts: P(X > hits) < 0.05, where the test has X >= hits.

    Their repository (vsnnlab/Metaplasticity, MATLAB) counts shuffles of the labels strictly above
    the hits. Hits of shuffled labels are hypergeometric, so this is what many shuffles tend to.
    """
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    return hits + 1 >= measure_fewest_hits(confusion)  # P(X > hits) is P(X >= hits + 1)


def _show_memorized(evidence: Evidence) -> str:
    name = next((run for run in ("serial-position-30", "serial-position") if run in evidence), "")
    if not name:
        return NOT_RUN
    run = evidence[name]
    confusion = run.confusion[:, :, -1]  # (network, trial, item, answer) at the end
    clear = measure_recall(confusion) - measure_false_alarms(confusion) > CLEAR
    columns = {
        f"exact test: P(X \u2265 hits) < {MEMORIZED_LEVEL}": measure_memorized(confusion),
        f"as published: P(X > hits) < {MEMORIZED_LEVEL}": _memorized_as_published(confusion),
        "never given as an answer": confusion.sum(axis=-2) == 0,
        f"hits \u2212 false alarms > {CLEAR}": clear,
    }
    n_items, trials = run.settings.n_items, run.settings.trials
    rows = [
        [network, *(format_mean(items[index].sum(axis=-1), n_items) for items in columns.values())]
        for index, network in enumerate(run.settings.networks)
    ]
    caption = f"{name}.npz, trials {trials}: items memorized of {n_items}, \u00b1 95 % interval"
    words = MEMORIZED.format(images=run.settings.n_test_images)
    return f"{words}\n{_table(caption, ['network', *columns], rows)}"


def _show_pairs(evidence: Evidence) -> str:
    run = evidence.get("serial-position")
    if run is None:
        return NOT_RUN
    by_network = zip(run.settings.networks, run.recall[:, :, -1].mean(axis=-1), strict=True)
    rows = []
    for (other, others), (network, ours) in combinations(by_network, 2):
        mean, half = (ours - others).mean(), measure_interval(ours - others)
        rows.append([f"{network} \u2212 {other}", mean, mean - half, mean + half, len(ours)])
    caption = "Difference in mean recall after the whole list, with its 95 % t interval"
    names = ["pair", "mean difference", "low", "high", "trials"]
    words = "The networks of a trial share its draws, so each trial gives one difference per pair."
    return f"<p>{words}</p>\n{_table(caption, names, rows)}"


def _show_people(evidence: Evidence) -> str:
    people, network = [], []
    for name in ("serial-position", "serial-position-30"):
        run = evidence.get(name)
        if run and "hybrid" in run.settings.networks and run.settings.n_items in MURDOCK:
            n_items = run.settings.n_items
            people.append("{} of {} ({} a word)".format(*MURDOCK[n_items]))
            recall = run.recall[run.settings.networks.index("hybrid"), :, -1]
            network.append(f"{format_mean(recall.sum(axis=-1), n_items)} of {n_items}")
    if not people:
        return NOT_RUN
    return YARDSTICK.format(people=" and ".join(people), network=" and ".join(network))


def _show_settings(evidence: Evidence) -> str:
    """What differs between the runs and how long they took, what they share, and where."""
    if not evidence:
        return NOT_RUN
    said: dict[str, list[str]] = {}
    made: dict[str, list[str]] = {}
    for run in evidence.values():
        for field in fields(run.settings):
            said.setdefault(field.name, []).append(_say(getattr(run.settings, field.name)))
        about = {name: run.header[name] for name in ("dataset", "dataset_sha256", "backend")}
        for name, value in (about | dict(sorted(run.header["machine"].items()))).items():
            made.setdefault(name, []).append(_say(value))
    differ = [name for name, values in said.items() if len(set(values)) > 1]
    rows = []
    for index, (name, run) in enumerate(evidence.items()):
        seconds = run.header["seconds_by_trial"]
        numbers = [float(sum(seconds)), float(np.mean(seconds)), float(run.kappa.mean())]
        rows.append([f"{name}.npz", *numbers, *(said[setting][index] for setting in differ)])
    names = ["run", "seconds", "seconds per trial", "measured kappa", *differ]
    shared = [[name, values[0]] for name, values in said.items() if name not in differ]
    machine = [[name, " / ".join(dict.fromkeys(values))] for name, values in made.items()]
    tables = [
        _table("What differs between the runs, and how long they took", names, rows, kind="words"),
        _table("Settings that all runs share", ["setting", "value"], shared, kind="words"),
        _table("Images, machine and versions", ["what", "which"], machine, kind="words"),
    ]
    return "\n".join(tables)
