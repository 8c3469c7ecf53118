"""What does mixing flexibilities buy, if both sides may choose? Run, in this order:

    python tests/benchmarks/frontier.py choose --dataset digits
    python tests/benchmarks/frontier.py judge --dataset digits

A hybrid network has one number to choose, its steepness s. So has a network with one flexibility f
everywhere: only s (1 - f)/f enters its plasticity, so f alone covers every pair of f and s. In the
plane of recall after one pass over a list and recall after nine, each side is a curve: a frontier.

`choose` measures both frontiers on a calibration seed and picks the networks to compare. `judge`
learns these on a fresh seed and compares them trial by trial. Both write
``metaplastic_np/data/frontier-DATASET.json``, which :func:`metaplastic_np.paper.load_frontier`
reads. `judge` and `draw` draw ``docs/figures/frontier-DATASET.png``.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

import metaplastic_np as mp

ROOT = Path(__file__).parents[2]
# "hybrid:FACTOR" multiplies the calibrated steepness.
HYBRIDS = tuple(f"hybrid:{factor:g}" for factor in (0.25, 0.5, 0.7, 1, 1.4, 2))
DEFAULT = "hybrid:1"
FLEXIBILITIES = (0.8, 0.825, 0.85, 0.875, 0.9, 0.925)
HOMOGENEOUS = tuple(f"homogeneous:{f:g}" for f in FLEXIBILITIES)
PASSES = (1, 3, 5, 9)  # the time scales that are compared
CHOOSE = {"seed": 10800, "trials": 4}
JUDGE = {"seed": 400, "trials": 10}


def learn_networks(dataset, names, *, seed, trials, executor):
    """Recall after 1 to 9 passes over a list of ten items, averaged over items, by network.

    Parameters
    ----------
    dataset : Dataset
    names : sequence of str
        Of ``HYBRIDS`` and ``HOMOGENEOUS``.
    seed, trials : int
    executor : Executor

    Returns
    -------
    dict of str to list
        Each (n_trials, 9).
    """
    base = mp.experiments.init_settings(dataset, n_items=10)
    found = {}
    for name in tqdm(names):
        kind, _, value = name.partition(":")
        changes = {"networks": (name,)}
        if kind == "hybrid":
            changes = {"networks": (kind,), "steepness": base.steepness * float(value)}
        run = replace(base, seed=seed, trials=trials, schedule="repetition", **changes)
        recall = mp.run_experiment(dataset, run, executor=executor).recall[0]
        by_pass = recall[:, run.n_items :: run.n_items].mean(axis=-1)
        found[name] = by_pass.round(5).tolist()
    return found


def choose_pairs(recall):
    """Pick the pairs to judge, from recall on a calibration seed.

    * best after one pass: of each side, the network that then recalls most;
    * matched after one pass: the default hybrid, and the most flexible homogeneous network that
      then recalls at most 0.01 less, one test image of a hundred;
    * best over 1, 3, 5 and 9 passes: of each side, the network with the greatest mean.
    """
    mean = {name: np.mean(trials, axis=0) for name, trials in recall.items()}

    def once(name):
        return mean[name][0]

    def over_all(name):
        return np.mean([mean[name][passes - 1] for passes in PASSES])

    best = max(HOMOGENEOUS, key=once)
    matching = [name for name in HOMOGENEOUS if once(name) >= once(DEFAULT) - 0.01]
    return {
        "best after one pass": (max(HYBRIDS, key=once), best),
        "matched after one pass": (DEFAULT, matching[-1] if matching else best),
        "best over 1, 3, 5 and 9 passes": (
            max(HYBRIDS, key=over_all),
            max(HOMOGENEOUS, key=over_all),
        ),
    }


def compare_pair(hybrid, homogeneous):
    """The hybrid's recall minus the other's, trial by trial, with one-sided 95 % bounds."""
    difference = np.array(hybrid) - np.array(homogeneous)
    rows = {f"{n} passes" if n > 1 else "1 pass": difference[:, n - 1] for n in PASSES}
    rows["mean of these"] = np.mean(list(rows.values()), axis=0)
    judged = []
    for what, margin in rows.items():
        low, high = mp.metrics.measure_bounds(margin)
        who = "hybrid" if low > 0 else "one flexibility" if high < 0 else "undecided"
        judged.append(
            {"after": what, "estimate": margin.mean(), "interval": [low, high], "more": who}
        )
    return judged


def draw_frontiers(found, title):
    """Recall after one pass against recall after nine: both frontiers, and the judged pairs."""
    figure = Figure(figsize=(6.5, 5), layout="constrained")
    axes = figure.add_subplot()
    for kind, what, label in (
        ("hybrid", "s \N{MULTIPLICATION SIGN}", "hybrid, by steepness"),
        ("homogeneous", "f =", "one flexibility, by f"),
    ):
        names = [name for name in found["calibration"]["recall"] if name.startswith(kind)]
        means = np.array([np.mean(found["calibration"]["recall"][n], axis=0) for n in names])
        style = mp.style_of("hybrid" if kind == "hybrid" else "homogeneous:0.8")
        axes.plot(means[:, 0], means[:, -1], **style, label=label)
        for name, mean in zip(names, means, strict=True):
            value = f"{what} {name.partition(':')[2]}"
            side = (-6, -10, "right") if kind == "hybrid" else (6, 4, "left")
            axes.annotate(
                value, mean[[0, -1]], side[:2], ha=side[2], textcoords="offset points", fontsize=8
            )
        judged = {n: np.array(r) for n, r in found["judged"]["recall"].items() if n in names}
        for number, recall in enumerate(judged.values()):
            mean, half = recall.mean(axis=0), mp.metrics.measure_interval(recall)
            axes.errorbar(
                mean[0], mean[-1], half[-1], half[0],
                color=style["color"], marker="*", markersize=11, linestyle="", alpha=0.6,
                label=f"{kind}, judged on a fresh seed" if number == 0 else None,
            )  # fmt: skip
    axes.set(
        xlabel="mean recall after one pass", ylabel="mean recall after nine passes", title=title
    )
    axes.legend(fontsize="small")
    return figure


def main():
    """Choose, judge or draw; print and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("choose", "judge", "draw"))
    parser.add_argument("--dataset", choices=("digits", "mnist"), default="digits")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    dataset = mp.scenarios.load_dataset(options.dataset)
    file = ROOT / "metaplastic_np" / "data" / f"frontier-{options.dataset}.json"
    found = {} if options.what == "choose" else json.loads(file.read_text("utf-8"))
    with mp.open_pool(options.jobs) as executor:
        if options.what == "choose":
            recall = learn_networks(dataset, (*HYBRIDS, *HOMOGENEOUS), executor=executor, **CHOOSE)
            found = {"calibration": {**CHOOSE, "recall": recall}, "pairs": choose_pairs(recall)}
        if options.what == "judge":
            names = dict.fromkeys(name for pair in found["pairs"].values() for name in pair)
            recall = learn_networks(dataset, names, executor=executor, **JUDGE)
            command = f"python tests/benchmarks/frontier.py judge --dataset {options.dataset}"
            found |= {"command": command, "judged": {**JUDGE, "recall": recall}}
            found["comparisons"] = {
                question: compare_pair(recall[hybrid], recall[other])
                for question, (hybrid, other) in found["pairs"].items()
            }
    file.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    print(json.dumps({key: found.get(key) for key in ("pairs", "comparisons")}, indent=1))
    if "judged" in found:
        figure = draw_frontiers(found, f"Does mixing serve two time scales? ({options.dataset})")
        name = f"frontier-{options.dataset}.png"
        figure.savefig(ROOT / "docs" / "figures" / name, dpi=150)


if __name__ == "__main__":
    main()
