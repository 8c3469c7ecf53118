"""On how many seeds does each claim hold? Run: python tests/benchmarks/claims.py

Runs a preset on one seed after the other, and prints every claim's verdict, in how many of its 20
control runs it held, and how long it took. Calibrate on seeds from 10,000 on, judge on others.
"""

import argparse
import time
from collections import Counter

import metaplastic_np as mp


def main():
    """Print a line a seed, then a line a claim."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--first", type=int, default=10_000, help="first seed")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds")
    parser.add_argument("--preset", choices=mp.paper.PRESETS, default="quick")
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    dataset = mp.scenarios.load_dataset(options.dataset)
    verdicts = {claim: Counter() for claim in mp.paper.CLAIMS}
    controls = Counter()
    with mp.open_pool(options.jobs) as executor:
        for seed in range(options.first, options.first + options.seeds):
            started = time.perf_counter()
            plan = mp.paper.plan_runs(dataset, options.preset, seed=seed)
            judged = mp.paper.judge_run(
                mp.experiments.run_experiments(dataset, plan, executor=executor),
                preset=options.preset,
            )
            for claim in judged["claims"]:
                verdicts[claim["id"]][claim["verdict"]] += 1
                controls[claim["id"]] += claim["controls"] or 0
            found = " ".join(f"{claim['id']}:{claim['verdict']}" for claim in judged["claims"])
            print(f"{seed} {time.perf_counter() - started:.0f} s {found}", flush=True)
    for claim, counts in verdicts.items():
        print(f"{claim:<4}", dict(counts), f"held in {controls[claim]} control runs")


if __name__ == "__main__":
    main()
