"""The page that comes of it all: claims, figures, the numbers behind them, how they were made.

One HTML file that loads nothing and runs no scripts, for a browser, a projector, a phone or a
printer. A section is a function from results to HTML; whatever is text goes through ``escape``.
The same results give the same bytes.
"""

from __future__ import annotations

import shlex
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from html import escape
from itertools import combinations
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .experiments import Results
from .panels import Picture, measure_table
from .recall import (
    MEMORIZED_LEVEL,
    measure_capacity,
    measure_false_alarms,
    measure_recall,
    measure_serial_position_curve,
)
from .settings import Settings
from .sources import DATASETS
from .statistics import measure_interval
from .verdicts import N_CONTROLS

__all__ = ["make_report"]

Evidence = Mapping[str, Results]
Judged = Mapping[str, Any]
Drawn = Mapping[str, tuple[Picture, bytes]]

OUR_CONTROLS = ("C10", "C11", "C12")
CLEAR = 0.25  # hits minus false alarms of an item that is clearly remembered
SYMBOLS = {"holds": "\u2713", "fails": "\u2717", "undecided": "?", "not run": "\u2013"}
# What it means when a control fails: the instructive case.
READINGS = {
    "C10": "One flexibility everywhere does at least as well after one pass: mixing is not what "
    "makes the serial position effect.",
    "C11": "After nine passes, too, one flexibility everywhere does at least as well: mixing is "
    "not what serves more time scales.",
    "C12": "Even with true labels, which is rehearsal, the conventional network recalls less: "
    "label noise alone does not explain its forgetting.",
}
# The runs behind a picture, where they are not the one of its name.
RUNS = {
    "first-and-last-item": ("serial-position",),
    "list-of-30": ("serial-position-30",),
    "hebb-repetition": ("hebb-repetition", "data-poisoning"),
    "biased-flexibility": ("biased-flexibility", "serial-position"),
    "homogeneous-sweep": ("homogeneous-sweep", "serial-position"),
    "non-targets": ("serial-position", "non-target-none", "non-target-true"),
    "which-synapses": ("serial-position",),
}
MURDOCK = {10: ("6.39", "2 s"), 30: ("8.82", "1 s")}  # of so many words, at this pace

PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<link rel="icon" href="data:,">
<style>
$style</style>
</head>
<body>
<a class="skip" href="#the-claims">Skip to the claims</a>
<header>
<h1>Neuromimetic metaplasticity, reproduced</h1>
$introduction
<nav aria-label="Contents">
<ul>
$contents
</ul>
</nav>
</header>
<main>
$sections
</main>
</body>
</html>
""")

STYLE = """\
:root { color-scheme: light dark; --page: #fff; --text: #1b1f24; --soft: #565d66; --line: #d5dae0;
  --tint: #f3f5f7; --link: #00588f; --holds: #00704f; --fails: #b04300; --open: #f0c14b; }
@media screen and (prefers-color-scheme: dark) { :root { --page: #14171b; --text: #e9ecef;
  --soft: #a8b0b9; --line: #3a414a; --tint: #1f242a; --link: #7cc4f5; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 120rem; padding: 0 clamp(1rem, 2.5vw, 3rem) 3rem;
  background: var(--page); color: var(--text); overflow-wrap: break-word;
  font: 1.0625rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
h1 { font-size: clamp(1.6rem, 1.2rem + 1.6vw, 2.6rem); line-height: 1.15; margin: 1.2em 0 .5em; }
h2 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .7em; }
h3 { font-size: 1.25rem; line-height: 1.3; margin: 0 0 .3em; }
p, dl { max-width: 75ch; margin: 0 0 1em; }
a { color: var(--link); }
a:focus-visible, summary:focus-visible, .scroll:focus-visible { outline: 3px solid var(--link);
  outline-offset: 2px; }
code { font: .92em ui-monospace, "Cascadia Mono", Menlo, Consolas, monospace;
  overflow-wrap: anywhere; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: .5rem; padding: .4rem .8rem; background: var(--page); z-index: 1; }
.soft { color: var(--soft); }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .25em 1.2em; }
dt { color: var(--soft); }
dd { margin: 0; }
nav ul { display: flex; flex-wrap: wrap; gap: .3em 1.4em; list-style: none; margin: 0;
  padding: .7em 0; border-block: 1px solid var(--line); }
section { padding-top: 2.2rem; }
article { margin: 0 0 3rem; scroll-margin-top: 1rem; }

#the-claims { font-size: clamp(1rem, min(.55rem + .85vw, 2.25vh), 3.2rem); line-height: 1.3;
  padding-top: 1em; }
#the-claims h2 { font-size: 1.25em; margin: 0 0 .5em; }
#the-claims h3 { font-size: 1.1em; margin: .6em 0 .3em; }
#the-claims ul { list-style: none; margin: 0; padding: 0; }
#the-claims li { display: grid; grid-template-columns: 2.4em 8.4em minmax(0, 1fr) 18em; gap: 0 1em;
  align-items: center; padding: .3em .4em; border-top: 1px solid var(--line); }
#the-claims p { max-width: none; margin: 0; }
#the-claims .id { font-weight: 700; }
#the-claims .reading { font-weight: 600; margin-top: .15em; }
#the-claims .margin { font-variant-numeric: tabular-nums; }
#the-claims .margin span { display: block; font-size: .72em; color: var(--soft); }
#the-claims .legend { font-size: .72em; color: var(--soft); margin-top: .5em; }
.verdict { display: inline-block; width: 8.2em; padding: .12em .6em; border-radius: .3em;
  border: .12em solid transparent; font-weight: 700; white-space: nowrap; }
.verdict b { display: inline-block; width: 1.3em; }
.holds { background: var(--holds); color: #fff; }
.fails { background: var(--fails); color: #fff; }
.undecided { background: var(--open); color: #1b1f24; }
.not-run { border: .12em dashed var(--soft); color: var(--soft); font-weight: 400; }
details .verdict { width: auto; font-size: .85em; padding: 0 .5em; }

figure { margin: 0 0 .8rem; }
figcaption { max-width: 75ch; margin-bottom: .8rem; }
img { display: block; width: 100%; max-width: 80rem; max-height: 94vh; object-fit: contain;
  background: #fff; border: 1px solid var(--line); border-radius: .4rem; padding: .6rem; }
details { margin: 0 0 .5rem; }
summary { cursor: pointer; padding: .2em 0; }
details > :not(summary) { margin-left: 1.1rem; }
.scroll { overflow-x: auto; max-width: 100%; margin-bottom: 1.2rem; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: .4em 0; }
th, td { padding: .25em .8em; border-bottom: 1px solid var(--line); text-align: right;
  vertical-align: top; }
thead th { vertical-align: bottom; background: var(--tint); }
th:first-child, .words td { text-align: left; }
tbody th { font-weight: 400; white-space: nowrap; }
.words th, .words td { max-width: 60ch; }
.end { color: var(--soft); }

@media (max-width: 60rem) {
  #the-claims li { grid-template-columns: 2.4em minmax(0, 1fr); gap: .3em .5em; align-items: baseline;
    padding: .7em .8em; margin: 0 0 .7em; border: 1px solid var(--line); border-radius: .5em; }
  #the-claims li > :nth-child(n+3) { grid-column: 1 / -1; }
  dl { grid-template-columns: minmax(0, 1fr); gap: 0; }
  dd { margin-bottom: .4em; }
  img { padding: .2rem; }
}
@media print {
  body { font-size: 10pt; padding: 0; max-width: none; }
  #the-claims { font-size: 9.5pt; }
  #the-claims li, article, figure, tr { break-inside: avoid; }
  .verdict { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  nav, .skip, details:not([open]) { display: none; }
  .scroll { overflow: visible; }
  img { max-height: 16cm; border: 0; }
}
"""

ABOUT = f"""\
<p>A network learns <em>items</em> one after another: an item is a class of images, shown for a
short while. After every presentation it is tested on all items; <em>recall</em> is the share of an
item&rsquo;s test images that it names right. A conventional network keeps only the newest items.
Here every synapse stiffens, at its own flexibility, as it travels from where it was born (Cho, Lee,
Baek and Paik 2024, arXiv 2407.07133). This page says which of the paper&rsquo;s claims hold in
these runs, and shows every number that the verdicts rest on.</p>
<p>A claim is a list of <em>margins</em>, one number for each trial, positive where the claim is
right. It <strong>holds</strong> if the one-sided 95&nbsp;% lower bound of the mean is above 0 for
every margin, <strong>fails</strong> if the upper bound is below 0 for some margin, and is
<strong>undecided</strong> otherwise. Each claim is also judged on {N_CONTROLS} control runs that
were made so that it is false there.</p>"""

MEMORIZED = """\
<p>An item is memorized if it has more hits than shuffled labels would give it. The exact test asks
how often chance has <em>as many hits or more</em>. The published code counts the shuffles with
strictly <em>more</em> hits, and where an item is never answered no shuffle has any: so it counts
as memorized, and a network that gives one answer to everything is credited with almost the whole
list. The exact test is lenient, too, and depends on the number of test images, here {images} an
item (of {run}, {trials} trials, {items} items); the last column asks for clearly more hits than
false alarms.</p>"""

YARDSTICK = """\
<p>People asked for the words of a list in any order (free recall, Murdock 1962) recalled {people}.
The hybrid network&rsquo;s gross memory, its recall summed over the items of the list, is {network}.
The two are <strong>not the same quantity</strong>: a person finds a word without being shown it;
the network is shown a test image and chooses among the items of the list, which by guessing alone
gives a gross memory of 1. What can be compared is the direction: whether a longer list leaves more
in all, and less of each item.</p>"""

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
        The same from the same arguments.

    Examples
    --------
    >>> from metaplastic_np import judge_run
    >>> page = make_report({}, judge_run({}, preset="custom"), {})
    >>> page.startswith("<!DOCTYPE html>"), page.count("not run") > 12
    (True, True)
    """
    sections = {
        "The claims": _show_card(evidence, judged),
        "Figures": _show_figures(evidence, drawn),
        "All margins": _show_margins(judged),
        "Memorized, counted twice": _show_memorized(evidence),
        "Networks compared in pairs": _show_comparisons(evidence),
        "A human yardstick": _show_yardstick(evidence),
        "Settings, time and machine": _show_settings(evidence),
    }
    links = [f'<li><a href="#{_slug(title)}">{title}</a></li>' for title in sections]
    return PAGE.substitute(
        title=escape(f"Metaplasticity, {_describe(evidence, judged)}"),
        style=STYLE,
        introduction=_introduce(evidence, judged),
        contents="\n".join(links),
        sections="\n".join(_section(title, body) for title, body in sections.items()),
    )


# --- pieces of a page ----------------------------------------------------------------


def _slug(title: str) -> str:
    return "".join(letter for letter in title.lower().replace(" ", "-") if letter not in ",.")


def _section(title: str, body: str) -> str:
    name = _slug(title)
    heading = f'<h2 id="{name}-heading">{title}</h2>'
    return f'<section id="{name}" aria-labelledby="{name}-heading">\n{heading}\n{body}\n</section>'


def _details(summary: str, body: str) -> str:
    return f"<details>\n<summary>{summary}</summary>\n{body}\n</details>"


def _number(value: Any, *, sign: str = "") -> str:
    """Three significant digits; whole numbers and words as they are, nothing for no number."""
    if isinstance(value, str | int):
        return str(value)
    if value is None or not np.isfinite(value):
        return ""
    return f"{value + 0.0:{sign}#.3g}".removesuffix(".")


def _table(
    caption: str, names: Sequence[str], rows: Iterable[Sequence[Any]], *, of_words: bool = False
) -> str:
    """A table in a box that scrolls by itself; the first column names the rows."""
    ends = [' class="end"' if name in ("low", "high") else "" for name in names]
    head = "".join(
        f'<th scope="col"{end}>{escape(name)}</th>' for name, end in zip(names, ends, strict=True)
    )
    lines = []
    for first, *cells in rows:
        line = f'<th scope="row">{escape(_number(first))}</th>'
        for cell, end in zip(cells, ends[1:], strict=True):
            line += f"<td{end}>{escape(_number(cell))}</td>"
        lines.append(f"<tr>{line}</tr>")
    kind = ' class="words"' if of_words else ""
    body = "\n".join(lines)
    return (
        f'<div class="scroll" role="group" aria-label="{escape(caption)}" tabindex="0">\n'
        f"<table{kind}>\n<caption>{escape(caption)}</caption>\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n</div>"
    )


def _mean(values: NDArray[Any]) -> str:
    """Mean over trials and half of its 95 % interval."""
    half = float(measure_interval(values))
    return f"{values.mean():.2f}" + (f" \u00b1 {half:.2f}" if np.isfinite(half) else "")


def _duration(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def _seconds(run: Results) -> float:
    return float(sum(run.header["seconds_by_trial"]))


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


# --- what this is, and the claims ----------------------------------------------------


def _describe(evidence: Evidence, judged: Judged) -> str:
    """Which runs these are, in a line."""
    trials = sum(run.settings.trials for run in evidence.values())
    return (
        f"{judged['dataset'] or 'no dataset'}, preset {judged['preset']}, "
        f"seed {_say(judged['seed'])}, {trials} trials"
    )


def _introduce(evidence: Evidence, judged: Judged) -> str:
    dataset, preset, seed = (judged[name] for name in ("dataset", "preset", "seed"))
    command = "no single command: these runs were chosen by hand (preset \u201ccustom\u201d)"
    if preset != "custom":
        images = dataset if dataset in DATASETS else f"{dataset}.npz"
        words = ("metaplastic-np", "reproduce", "--preset", preset, "--dataset", images)
        command = f"<code>{escape(shlex.join([*words, '--seed', str(seed)]))}</code>"
    trials = sum(run.settings.trials for run in evidence.values())
    seconds = sum(map(_seconds, evidence.values()))
    facts = {
        "Dataset": escape(_say(dataset)),
        "Preset, seed": escape(f"{preset}, {_say(seed)}"),
        "Trials": f"{trials}, in {len(evidence)} runs",
        "Computing time": f"{_duration(seconds)}, summed over all trials",
        "Made again by": command,
    }
    lines = "\n".join(f"<dt>{name}</dt><dd>{fact}</dd>" for name, fact in facts.items())
    return f"{ABOUT}\n<dl>\n{lines}\n</dl>"


def _verdict(claim: Mapping[str, Any]) -> str:
    return claim["verdict"] if claim["n"] else "not run"


def _badge(verdict: str) -> str:
    """The word, a symbol and a color."""
    symbol = f'<b aria-hidden="true">{SYMBOLS[verdict]}</b>'
    return f'<span class="verdict {verdict.replace(" ", "-")}">{symbol}{verdict}</span>'


def _estimate(part: Mapping[str, Any]) -> str:
    low, high = (_number(end, sign="+") or "?" for end in part["interval"])
    return f"{_number(part['estimate'], sign='+')} [{low}, {high}]".replace("-", "\u2212")


def _show_card(evidence: Evidence, judged: Judged) -> str:
    """The claims on one screen: the paper's, and the controls that it lacks."""
    groups: dict[str, list[Mapping[str, Any]]] = {"Of the paper": [], "Controls it lacks": []}
    for claim in judged["claims"]:
        groups["Controls it lacks" if claim["id"] in OUR_CONTROLS else "Of the paper"].append(claim)
    parts = [f'<p class="soft">{escape(_describe(evidence, judged))}</p>']
    for title, claims in groups.items():
        counts = {
            verdict: [_verdict(claim) for claim in claims].count(verdict) for verdict in SYMBOLS
        }
        said = [f"{counts.pop('holds')} of {len(claims)} hold"]
        said += [f"{count} {verdict}" for verdict, count in counts.items() if count]
        rows = "\n".join(map(_show_claim, claims))
        parts.append(f"<h3>{title}: {', '.join(said)}</h3>\n<ul>\n{rows}\n</ul>")
    parts.append(
        '<p class="legend">Right: mean of the weakest margin over trials, and its one-sided 95&nbsp;% '
        "lower and upper bound.</p>"
    )
    return "\n".join(parts)


def _show_claim(claim: Mapping[str, Any]) -> str:
    verdict, margin, reading = _verdict(claim), "", ""
    if claim["n"]:
        weakest = next(
            part["name"]
            for part in claim["parts"]
            if all(part[key] == claim[key] for key in ("estimate", "interval"))
        )
        margin = f"{_estimate(claim)}<span>{escape(weakest)}; {claim['n']} trials</span>"
    if verdict == "fails" and claim["id"] in READINGS:
        reading = f'<p class="reading">{escape(READINGS[claim["id"]])}</p>'
    return (
        f'<li><span class="id">{escape(claim["id"])}</span>{_badge(verdict)}'
        f'<div><p>{escape(claim["statement"])}</p>{reading}</div><p class="margin">{margin}</p></li>'
    )


def _show_margins(judged: Judged) -> str:
    parts = []
    for claim in judged["claims"]:
        summary = f"{escape(claim['id'])} {_badge(_verdict(claim))} {escape(claim['statement'])}"
        body = NOT_RUN
        if claim["n"]:
            rows = [
                [part["name"], part["estimate"], *part["interval"], part["n"]]
                for part in claim["parts"]
            ]
            names = ["margin", "mean", "low", "high", "trials"]
            body = _table(f"{claim['id']}, all margins", names, rows)
            body += f"\n<p>Held in {claim['controls']} of {N_CONTROLS} control runs, where it is false.</p>"
        parts.append(_details(summary, body))
    return "\n".join(parts)


# --- figures, with their numbers -----------------------------------------------------


def _show_figures(evidence: Evidence, drawn: Drawn) -> str:
    shown = [_show_figure(name, *both, evidence) for name, both in drawn.items()]
    return "\n".join(shown) or NOT_RUN


def _show_figure(name: str, picture: Picture, svg: bytes, evidence: Evidence) -> str:
    title, _, about = picture.title.partition("\n")
    source = "data:image/svg+xml;base64," + b64encode(svg).decode()
    alt = ". ".join((title, about, picture.caption))
    runs = []
    for run in RUNS.get(name, (name,)):
        if run in evidence:
            made = evidence[run].settings
            networks = ", ".join(made.networks)
            runs.append(
                f"<code>{escape(run)}.npz</code> ({made.trials} trials, seed {made.seed}, "
                f"{escape(networks)})"
            )
    tables = [
        _table(panel.title or panel.ylabel, *measure_table(panel))
        for row in picture.rows
        for panel in row
    ]
    settings = f'<a href="#{_slug("Settings, time and machine")}">all settings</a>'
    tables.append(f"<p>From {', '.join([*runs, settings])}.</p>")
    return (
        f'<article id="figure-{escape(name)}">\n<h3>{escape(title)}</h3>\n<figure>\n'
        f'<figcaption>{escape(picture.caption)} <span class="soft">{escape(about)}.</span>'
        f'</figcaption>\n<img src="{source}" alt="{escape(alt)}">\n</figure>\n'
        + _details("the numbers behind it", "\n".join(tables))
        + "\n</article>"
    )


# --- what was memorized, pairs, people -----------------------------------------------


def measure_memorized_as_published(confusion: NDArray[Any]) -> NDArray[np.bool_]:
    """Which items count as memorized in the authors' code: P(X > hits) < 0.05, not P(X >= hits).

    Their MATLAB repository (vsnnlab/Metaplasticity) counts shuffles of the labels strictly above
    the hits. The number of hits under shuffling is hypergeometric, so here it is exact.

    Parameters
    ----------
    confusion : int array (..., n_items, n_items)
        ``confusion[item, answer]``.

    Returns
    -------
    bool array (..., n_items)

    Examples
    --------
    >>> measure_memorized_as_published(np.array([[10, 0], [10, 0]]))  # always the same answer
    array([ True,  True])
    """
    from scipy.stats import hypergeom

    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    answered, belong = confusion.sum(axis=-2), confusion.sum(axis=-1)
    total = belong.sum(axis=-1, keepdims=True)
    return hypergeom.sf(hits, total, answered, belong) < MEMORIZED_LEVEL


def _show_memorized(evidence: Evidence) -> str:
    name = next((run for run in ("serial-position-30", "serial-position") if run in evidence), None)
    if name is None:
        return NOT_RUN
    run = evidence[name]
    confusion = run.confusion[:, :, -1]  # (network, trial, item, answer) at the end
    clear = measure_recall(confusion) - measure_false_alarms(confusion) > CLEAR
    columns = {
        f"exact test: P(X \u2265 hits) < {MEMORIZED_LEVEL}": measure_capacity(confusion),
        f"as published: P(X > hits) < {MEMORIZED_LEVEL}": measure_memorized_as_published(
            confusion
        ).sum(axis=-1),
        "never answered": (confusion.sum(axis=-2) == 0).sum(axis=-1),
        f"hits \u2212 false alarms > {CLEAR}": clear.sum(axis=-1),
    }
    settings = run.settings
    rows = [
        [network, *(_mean(counts[index]) for counts in columns.values())]
        for index, network in enumerate(settings.networks)
    ]
    words = MEMORIZED.format(
        images=settings.n_test_images,
        run=f"<code>{name}.npz</code>",
        trials=settings.trials,
        items=settings.n_items,
    )
    caption = f"Items memorized at the end, of {settings.n_items}: mean \u00b1 95 % interval"
    return f"{words}\n{_table(caption, ['network', *columns], rows)}"


def _show_comparisons(evidence: Evidence) -> str:
    run = evidence.get("serial-position")
    if run is None:
        return NOT_RUN
    mean_recall = measure_serial_position_curve(run.recall).mean(axis=-1)  # (network, trial)
    rows = []
    for one, other in combinations(reversed(range(len(mean_recall))), 2):
        difference = mean_recall[one] - mean_recall[other]
        mean, half = float(difference.mean()), float(measure_interval(difference))
        pair = f"{run.settings.networks[one]} \u2212 {run.settings.networks[other]}"
        rows.append([pair, mean, mean - half, mean + half, len(difference)])
    words = (
        "<p>Networks of one trial share initial weights, items, images and their order, so each "
        "trial gives a difference, without the scatter between trials.</p>"
    )
    names = ["pair", "mean difference", "low", "high", "trials"]
    caption = "Difference in mean recall after the whole list, with its 95 % t interval"
    return f"{words}\n{_table(caption, names, rows)}"


def _show_yardstick(evidence: Evidence) -> str:
    people, network = [], []
    for name in ("serial-position", "serial-position-30"):
        run = evidence.get(name)
        if run is None or "hybrid" not in run.settings.networks:
            continue
        n_items = run.settings.n_items
        if n_items in MURDOCK:
            recalled, pace = MURDOCK[n_items]
            people.append(f"{recalled} of {n_items} ({pace} a word)")
            recall = run.recall[run.settings.networks.index("hybrid"), :, -1]
            network.append(f"{_mean(recall.sum(axis=-1))} of {n_items}")
    if not people:
        return NOT_RUN
    return YARDSTICK.format(people=" and ".join(people), network=" and ".join(network))


# --- how it was made -----------------------------------------------------------------


def _show_settings(evidence: Evidence) -> str:
    """What all runs share, what differs, how long they took, and on what machine."""
    if not evidence:
        return NOT_RUN
    runs = evidence.values()
    said = {
        field.name: [_say(getattr(run.settings, field.name)) for run in runs]
        for field in fields(Settings)
    }
    differ = [name for name, values in said.items() if len(set(values)) > 1]
    kappa = [float(run.kappa.mean()) for run in runs]
    rows = [
        [
            f"{name}.npz",
            *(said[setting][index] for setting in differ),
            kappa[index],
            _duration(_seconds(run)),
            _duration(_seconds(run) / run.settings.trials),
        ]
        for index, (name, run) in enumerate(evidence.items())
    ]
    names = ["run", *differ, "kappa as measured", "time", "time a trial"]
    machine: dict[str, list[str]] = {}
    for run in runs:
        facts = {key: run.header.get(key) for key in ("dataset", "dataset_sha256", "backend")}
        for key, value in {**facts, **run.header.get("machine", {})}.items():
            machine.setdefault(key, []).append(_say(value))
    shared = [[name, values[0]] for name, values in said.items() if name not in differ]
    made = [[key, " / ".join(dict.fromkeys(values))] for key, values in machine.items()]
    return "\n".join(
        (
            _table("Settings that differ between the runs, and times", names, rows, of_words=True),
            _table("Settings that all runs share", ["setting", "value"], shared, of_words=True),
            _table("Images, machine and versions", ["what", "which"], made, of_words=True),
        )
    )
