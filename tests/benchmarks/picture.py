"""On how many seeds does the picture appear? Run: python tests/benchmarks/picture.py

For each seed, in means over the default 10 trials: the hybrid's first and last items are both
recalled better than the mean of positions 4 to 7 (U), every position of it is above chance, and its
mean is above both other networks'. Calibrate on seeds from 10,000 on, judge on others.
"""

import argparse

import numpy as np

from metaplastic_np import Settings, chance_recall, load_digits, open_pool, run_experiment


def judge(results):
    """Three verdicts on one run, and the hybrid's curve."""
    conventional, stable, hybrid = results.recall[:, :, -1].mean(axis=1)
    middle = hybrid[3:7].mean()
    return (
        hybrid[0] > middle < hybrid[-1],
        hybrid.min() > chance_recall(len(hybrid)),
        hybrid.mean() > max(conventional.mean(), stable.mean()),
    ), hybrid


def main():
    """Print a line a seed, and how many hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--first", type=int, default=10_000, help="first seed")
    parser.add_argument("--seeds", type=int, default=20, help="how many seeds")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=NUMBER", help="change a setting"
    )
    options = parser.parse_args()
    changes = {name: float(value) for name, value in (pair.split("=") for pair in options.set)}
    dataset, held = load_digits(), 0
    with open_pool(options.jobs) as executor:
        for seed in range(options.first, options.first + options.seeds):
            settings = Settings(seed=seed, by_epoch=False, **changes)
            results = run_experiment(dataset, settings, executor=executor)
            verdicts, hybrid = judge(results)
            held += all(verdicts)
            words = [
                word if verdict else f"NOT {word}"
                for word, verdict in zip(("U", "above chance", "best mean"), verdicts, strict=True)
            ]
            print(seed, np.array2string(hybrid, precision=2, floatmode="fixed"), *words, flush=True)
    print(f"the whole picture: {held} of {options.seeds} seeds")


if __name__ == "__main__":
    main()
