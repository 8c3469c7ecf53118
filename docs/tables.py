"""Tables of what was found, made from files of results: nothing in them is typed by hand."""

import json
from inspect import ismodule
from itertools import groupby
from pathlib import Path
from typing import Any

import metaplastic_np as mp

RESULTS = Path(__file__).parent / "results"
NO_BREAK = "\N{NO-BREAK SPACE}"
COLUMNS = (("share", "share of product rate", ".0%"), ("ratio", "times the best of ours", ".2f"))
MARKS = {"holds": "✓ holds", "fails": "✗ fails", "undecided": "? undecided"}


def write(folder: Path) -> None:
    """Write every table, one file each, for pages to include."""
    folder.mkdir(exist_ok=True)
    found = {path.stem: json.loads(path.read_text("utf-8")) for path in RESULTS.glob("*.json")}
    tables = {"expected": make_expected(found.pop("expected-digits"))}
    for name in [name for name in found if name.startswith("bench")]:
        tables |= make_bench(found.pop(name))
    tables |= make_mutants(found.pop("mutants"))
    tables["broken"] = make_broken(found.pop("broken"))
    tables["names"] = make_names()
    tables["supply"] = make_supply(found.pop("supply"))
    tables["fuzz"] = make_fuzz(found.pop("fuzz"))
    tables["size"] = make_size(found.pop("size"))
    for dataset in mp.paper.CALIBRATED:
        tables[f"frontier-{dataset}"] = make_frontier(mp.paper.load_frontier(dataset))
    tables["verdicts"] = make_verdicts(found)
    tables["seconds"] = make_seconds(found)
    tables |= {name: make_table(run) for name, run in found.items()}
    for name, table in tables.items():
        (folder / f"{name}.md").write_text(table, "utf-8")


def make_bench(found: dict[str, Any]) -> dict[str, str]:
    """A table for each section that `bench` measured, and the machine that it ran on."""
    machine = ", ".join(
        f"{name} {' '.join(value) if isinstance(value, list) else value}"
        for name, value in found["machine"].items()
    )
    tables = {"bench-machine": f"{machine}.\n"}
    for section in {row["section"] for row in found["rows"]}:
        lines = [f"`{found['command']}`"]
        chosen = [row for row in found["rows"] if row["section"] == section]
        for what, group in groupby(chosen, key=lambda row: row["what"]):
            rows = list(group)
            columns = [column for column in COLUMNS if column[0] in rows[0]]
            head = [what, "median", "range", *(title for _, title, _ in columns)]
            lines += ["", "| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
            for row in rows:
                low, middle, high = (f"{row[name]:.3g}" for name in ("lowest", "median", "highest"))
                numbers = f"{middle} {row['unit']}", f"{low} to {high}"
                cells = [row["who"], *(number.replace(" ", NO_BREAK) for number in numbers)]
                cells += [f"{row[name]:{form}}" for name, _, form in columns]
                lines.append("| " + " | ".join(cells) + " |")
            lines += _tell_best_rival(rows)
        tables[f"bench-{section}"] = "\n".join(lines) + "\n"
    return tables


def _tell_best_rival(rows: list[dict[str, Any]]) -> list[str]:
    """The time of the best rival divided by our best time, if the rows are compared."""
    rivals = [row for row in rows if "ratio" in row and not row["who"].startswith("metaplastic_np")]
    if not rivals:
        return []
    best = min(rivals, key=lambda row: row["ratio"])
    return ["", f"Best rival / ours: **{best['ratio']:.2f}** ({best['who']})."]


CORE = ("plasticity", "flexibility", "layers", "network", "metaplasticity", "learning")
CORE += ("_fast/__init__", "_fast/kernels")


def make_mutants(found: dict[str, Any]) -> dict[str, str]:
    """What became of the mutants of each module, and the totals in a sentence."""
    outcomes = ["tested", "killed", "crashed", "timeout", "survived", "equivalent"]
    minutes = sum(each["minutes"] for each in found["modules"])
    head = ["module", *outcomes, "score", "time of its laws"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for each in found["modules"]:
        cells = [f"`{each['module']}`", *(f"{each[outcome]}" for outcome in outcomes)]
        cells += [f"{each['score']:.0%}", f"{each['seconds_of_laws']:.1f} s"]
        lines.append("| " + " | ".join(cells) + " |")
    total = {name: sum(each[name] for each in found["modules"]) for name in outcomes}
    sentence = (
        f"`{found['command']}`: {total['tested']:,} mutants, {total['killed']} killed by an "
        f"assertion, {total['survived']} survived, {total['equivalent']} of them equivalent; "
        f"{minutes:.0f} minutes.\n"
    )
    return {"mutants": "\n".join(lines) + "\n", "mutants-sum": sentence}


def make_broken(found: dict[str, Any]) -> str:
    """Every line of the algorithm that was broken on purpose, and the test that noticed."""
    rows = [each for each in found["breaks"] if each["file"] in CORE]
    noticed = sum(bool(each["noticed_by"]) for each in found["breaks"])
    lines = [
        f"`{found['command']}`: {noticed} of {len(found['breaks'])} breaks noticed. In the core:",
        "",
        "| module | the law that fails | the code → what it is changed into |",
        "|---|---|---|",
    ]
    for each in rows:
        pieces = [f"`` {_one_line(each[name])} ``" for name in ("old", "new")]
        by = ", ".join(map(_law, each["noticed_by"])) or "**nothing**"
        lines.append("| " + " | ".join([f"`{each['file']}`", by, " → ".join(pieces)]) + " |")
    return "\n".join(lines) + "\n"


def _law(test: str) -> str:
    """A test's name as the law that it states."""
    return test.partition("[")[0].split("::")[0].removeprefix("test_").replace("_", " ")


def _one_line(code: str) -> str:
    return " ".join(code.split()).replace("|", "\\|") or "(nothing)"


def make_names() -> str:
    """Classes and functions that the package itself exports, with a line about each."""
    names = [name for name in mp.__all__ if not ismodule(getattr(mp, name))]
    listed = "\n".join(f"   ~metaplastic_np.{name}" for name in names)
    return f"```{{eval-rst}}\n.. autosummary::\n   :nosignatures:\n\n{listed}\n```\n"


def make_supply(found: dict[str, Any]) -> str:
    """The lowest versions with which the suite passed."""
    versions = found["lowest"]["versions"].items()
    listed = ", ".join(f"{name} {version}" for name, version in versions)
    return f"Lowest versions: {found['lowest']['suite']}, with {listed}.\n"


def make_fuzz(found: dict[str, Any]) -> str:
    """One row per target."""
    words = list(next(iter(found["targets"].values())))
    head = ["target", *(word.replace("_", " ") for word in words)]
    lines = [f"`{found['command']}`, {found['minutes']:.0f} minutes:", ""]
    lines += ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name, row in found["targets"].items():
        lines.append("| " + " | ".join([name, *(f"{row[word]:,}" for word in words)]) + " |")
    return "\n".join(lines) + "\n"


def make_command(run: dict[str, Any]) -> str:
    """The command that reproduces a run."""
    options = {"--preset": run["preset"], "--dataset": run["dataset"], "--seed": run["seed"]}
    words = [f"{name} {value}" for name, value in options.items()]
    return " ".join(["metaplastic-np reproduce", *words, "--jobs 2"])


def make_name(run: dict[str, Any]) -> str:
    """What distinguishes a run from the others."""
    return f"{run['preset']}, {run['dataset']}, seed {run['seed']}"


def make_verdicts(runs: dict[str, Any]) -> str:
    """One row per run: which claims hold, fail, are undecided."""
    lines = ["| run | holds | fails | undecided | command |", "|---|---|---|---|---|"]
    for _, run in sorted(runs.items(), reverse=True):
        found = [
            ", ".join(
                claim["id"]
                for claim in run["claims"]
                if claim["verdict"] == verdict and _is_as_now(claim)
            )
            for verdict in MARKS
        ]
        lines.append("| " + " | ".join([make_name(run), *found, f"`{make_command(run)}`"]) + " |")
    return "\n".join(lines) + "\n"


def make_table(run: dict[str, Any]) -> str:
    """One row per claim, with its weakest margin."""
    lines = [
        f"`{make_command(run)}`",
        "",
        "| claim | verdict | weakest margin | 95 % bounds | trials | controls that held |",
        "|---|---|---|---|---|---|",
    ]
    for claim in run["claims"]:
        statement = mp.paper.CLAIMS[claim["id"]].statement
        cells = [f"**{claim['id']}** {statement}", *_tell_verdict(claim)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _tell_verdict(claim: dict[str, Any]) -> list[str]:
    """Verdict, margin, bounds, trials and controls; or that the claim has changed since the run."""
    if not _is_as_now(claim):
        return ["claim changed since", "", "", "", ""]
    low, high = claim["interval"]
    held = claim["controls"]
    return [
        MARKS[claim["verdict"]],
        f"{claim['estimate']:+.3f}",
        f"{low:+.3f} to {high:+.3f}",
        str(claim["n"]),
        "too few trials" if held is None else f"{held} of 20",
    ]


def _is_as_now(claim: dict[str, Any]) -> bool:
    """Whether a claim that was judged earlier still says the same."""
    return claim["statement"] == mp.paper.CLAIMS[claim["id"]].statement


def make_size(found: dict[str, Any]) -> str:
    """How often a lower bound is above a true mean of 0: one row per margin."""
    lines = [
        f"`{found['command']}`",
        "",
        "| claim | margin | trials in a run | skewness | t bound | ours |",
        "|---|---|---|---|---|---|",
    ]
    for row in found["rows"]:
        shares = (f"{row[name]:.3f}" for name in ("t", "ours"))
        cells = [row["claim"], row["margin"], str(row["n"]), f"{row['skewness']:+.1f}", *shares]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def make_frontier(found: dict[str, Any]) -> str:
    """The hybrid's recall minus that of one flexibility: one row per question and time scale."""
    judged, chosen = found["judged"], found["calibration"]["seed"]
    seeds = f"seed {judged['seed']}; the pairs were chosen on seed {chosen}"
    head = ["how both were chosen", "steepness of the hybrid, times", "one flexibility, f"]
    head += ["after", "difference", "95 % bounds", "who recalls more"]
    lines = [f"`{found['command']}`, {judged['trials']} trials, {seeds}", ""]
    lines += ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for question, rows in found["comparisons"].items():
        hybrid, other = (name.partition(":")[2] for name in found["pairs"][question])
        for row in rows:
            low, high = row["interval"]
            cells = [question, hybrid, other, row["after"]]
            cells += [f"{row['estimate']:+.3f}", f"{low:+.3f} to {high:+.3f}", row["more"]]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def make_seconds(runs: dict[str, Any]) -> str:
    """One row per claim: how long one core worked for its evidence, which claims may share."""
    names = sorted(runs, reverse=True)
    head = [make_name(runs[name]) for name in names]
    lines = ["| claim | " + " | ".join(head) + " |", "|---" * (1 + len(names)) + "|"]
    for claims in zip(*(runs[name]["claims"] for name in names), strict=True):
        cells = [f"{claim['seconds']:.0f} s" for claim in claims]
        lines.append("| " + " | ".join([claims[0]["id"], *cells]) + " |")
    lines += ["", "Seconds on one core; several claims are judged on the same trials.", ""]
    return "\n".join(lines)


def make_expected(found: dict[str, Any]) -> str:
    """What a class should see, and how far a mean over a few trials may be off."""
    lines = [
        f"`{found['command']}`, {found['trials']} trials, seed {found['seed']}",
        "",
        "| network | measure | mean | one trial: 95 % within | mean of 4 | mean of 10 |",
        "|---|---|---|---|---|---|",
    ]
    for network, measures in found["networks"].items():
        for name, number in measures.items():
            within = [f"± {1.96 * number['sd'] / trials**0.5:.2f}" for trials in (1, 4, 10)]
            cells = [network, name, f"{number['mean']:+.2f}", *within]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
