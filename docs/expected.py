"""What a class should see: the serial position experiment over many trials.

Writes results/expected-digits.json, from which the tables for teachers are made::

    python docs/expected.py            # two minutes
"""

import json
from pathlib import Path

import metaplastic_np as mp

SEED, TRIALS = 1000, 40
OUTPUT = Path(__file__).parent / "results" / "expected-digits.json"


def main() -> None:
    """Run, and write mean and standard deviation over trials of every number in the tables."""
    settings = mp.Settings(trials=TRIALS, seed=SEED)
    with mp.open_pool(2) as executor:
        results = mp.run_experiment(mp.load_digits(), settings, executor=executor)
    networks = {}
    for network, recall in zip(settings.networks, results.recall, strict=True):
        curve = mp.measure_serial_position_curve(recall)
        measures = {
            "first item": curve[:, 0],
            "middle items": curve[:, 3:7].mean(axis=1),
            "last item": curve[:, -1],
            "mean recall": curve.mean(axis=1),
            "primacy": mp.metrics.measure_primacy(curve),
            "recency": mp.metrics.measure_recency(curve),
        }
        networks[network] = {
            name: {"mean": round(values.mean(), 3), "sd": round(values.std(ddof=1), 3)}
            for name, values in measures.items()
        }
    found = {"command": "python docs/expected.py", "seed": SEED, "trials": TRIALS}
    OUTPUT.write_text(json.dumps({**found, "networks": networks}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
