"""How often would a bound say "holds" if the true mean of a margin were 0? Run:

    python tests/benchmarks/size.py --json docs/results/size.json

A bound at 95 % should say so in 5 of 100 runs. Margins of real trials are skewed, so that is
measured: the margins of many trials, moved to a mean of 0, are the world; runs with as many trials
as the quick preset has are drawn from it. Calibration seeds only.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

import metaplastic_np as mp
from metaplastic_np.metrics import measure_bounds, measure_interval

SEED = 10900
TRIALS = {"serial-position": 60, "data-poisoning": 16}
CLAIMS = {"C1": "serial-position", "C2": "serial-position", "C3": "serial-position"}
CLAIMS |= {"C6": "data-poisoning", "C7": "data-poisoning"}
RUNS = 2000


def measure_t_bound(values):
    """The lower t bound of a mean."""
    return values.mean() - float(measure_interval(values, confidence=0.9))


def measure_size(margins, n_trials, rng):
    """Share of runs that hold at a true mean of 0: of the t bound, and of ours."""
    world = margins - margins.mean()
    runs = world[rng.integers(len(world), size=(RUNS, n_trials))]
    of_t = np.mean([measure_t_bound(run) > 0 for run in runs])
    return float(of_t), float(np.mean([measure_bounds(run)[0] > 0 for run in runs]))


def main():
    """Learn the trials, resample their margins, print and write a row per margin."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    dataset = mp.load_digits()
    plan = mp.paper.plan_runs(dataset, "quick", seed=SEED)
    quick = {name: plan[name].trials for name in TRIALS}
    runs = {name: replace(plan[name], trials=trials) for name, trials in TRIALS.items()}
    with mp.open_pool(options.jobs) as executor:
        evidence = mp.experiments.run_experiments(dataset, runs, executor=executor)
    rng, rows = np.random.default_rng(SEED), []
    for claim, run in CLAIMS.items():
        for name, margins in mp.paper.CLAIMS[claim].measure(evidence).items():
            spread = margins - margins.mean()
            skewness = float((spread**3).mean() / (spread**2).mean() ** 1.5)
            of_t, ours = measure_size(margins, quick[run], rng)
            row = {"claim": claim, "margin": name, "n": quick[run], "skewness": skewness}
            rows.append({**row, "t": of_t, "ours": ours})
            print(f"{claim} {name:<45} {quick[run]:>2} {skewness:+.1f} {of_t:.3f} {ours:.3f}")
    if options.json:
        command = f"python tests/benchmarks/size.py --json {options.json}"
        found = {"command": command, "seed": SEED, "trials": TRIALS, "runs": RUNS, "rows": rows}
        options.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
