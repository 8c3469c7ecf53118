"""What learning costs, as things grow, beside what a simple model predicts. Run: python
tests/benchmarks/scale.py --out docs/figures/scale

The model knows two numbers of the machine, measured in the same run: operations a second of a large
product, and bytes a second of a copy. It counts the products over inputs that are ever on, and 16
bytes a synapse and update (weight read and written, rate read, gradient read).
"""

import argparse
import json
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from contest import read_memory
from matplotlib.figure import Figure
from rivals import count_operations

import metaplastic_np as mp

WIDTHS = (256, 512, 1024, 2048, 4096)
BATCHES = (16, 32, 64, 128, 256, 512, 1024)
ITEMS = (3, 5, 10, 20, 30)
TRIALS = (1, 2, 4, 8)
INPUTS, IMAGES, EPOCHS, REPEATS = 1024, 1024, 5, 3


def time_epoch(width, batch):
    """Seconds for one of five epochs of 1,024 images, all of whose inputs are on."""
    rng = np.random.default_rng(0)
    network = mp.init_network((INPUTS, width, width, 10), rng=rng)
    rule = mp.init_metaplasticity(network, "hybrid", steepness=5_000.0, rng=rng)
    presentation = mp.scenarios.Presentation(
        images=rng.random((IMAGES, INPUTS), np.float32),
        labels=rng.integers(0, 10, IMAGES),
        order=np.array([rng.permutation(IMAGES) for _ in range(EPOCHS)]),
    )
    settings = mp.LearningSettings(learning_rate=1e-4, batch_size=batch)
    times = []
    for _ in range(REPEATS + 1):  # the first one wakes everything
        started = time.perf_counter()
        mp.learn_item(network, rule, presentation, settings=settings)
        times.append(time.perf_counter() - started)
    return min(times[1:]) / EPOCHS


def predict_epoch(width, batch, rate, copy):
    """The model."""
    sizes = (INPUTS, width, width, 10)
    synapses = sum(a * b for a, b in pairwise(sizes))
    updates = -(-IMAGES // batch)
    return count_operations(sizes, INPUTS) * IMAGES / rate + 16 * synapses * updates / copy


def time_run(settings, executor):
    """Seconds for an experiment."""
    started = time.perf_counter()
    mp.run_experiment(mp.load_digits(), settings, executor=executor)
    return time.perf_counter() - started


def measure_memory(width):
    """Peak megabytes of a process that learns, above one whose network is tiny (Linux only)."""
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import scale; "
    peaks = []
    for call in ("scale.print_peak(0)", f"scale.print_peak({width})"):
        printed = subprocess.check_output([sys.executable, "-c", code + call], text=True)
        peaks.append(float(printed))
    return peaks[1] - peaks[0]


def print_peak(width):
    """Learn an epoch of 256 images with this width, or nothing, and print the peak in MB."""
    time_epoch(width or 1, 256)
    print(read_memory("VmHWM") / 1e6)


def measure():
    """Everything that the figure shows."""
    rate, copy = mp.experiments.measure_speed(), mp.experiments.measure_bandwidth()
    found = {"machine": mp.experiments.describe_machine(), "rate": rate, "copy": copy, "panels": {}}
    panels = found["panels"]
    panels["width of two hidden layers (batch 256)"] = {
        "x": WIDTHS,
        "measured": [time_epoch(width, 256) for width in WIDTHS],
        "model": [predict_epoch(width, 256, rate, copy) for width in WIDTHS],
        "unit": "seconds an epoch of 1,024 images",
    }
    panels["images in a batch (width 1,024)"] = {
        "x": BATCHES,
        "measured": [time_epoch(1024, batch) for batch in BATCHES],
        "model": [predict_epoch(1024, batch, rate, copy) for batch in BATCHES],
        "unit": "seconds an epoch of 1,024 images",
    }
    settings = mp.Settings(trials=2)
    base = mp.Settings(trials=1, n_items=3)
    with mp.open_pool(2) as pool:
        time_run(settings, pool)  # starts the workers
        items = [time_run(replace(settings, n_items=n), pool) for n in ITEMS]
        panels["items in the list (2 trials, 2 jobs)"] = {
            "x": ITEMS,
            "measured": items,
            "model": [items[-1] * n / ITEMS[-1] for n in ITEMS],
            "unit": "seconds a run (model: proportional)",
        }
        two = [time_run(replace(base, trials=n), pool) for n in TRIALS]
    one = [time_run(replace(base, trials=n), None) for n in TRIALS]
    panels["trials (3 items)"] = {
        "x": TRIALS,
        "measured": one,
        "two jobs": two,
        "model": [one[-1] * n / TRIALS[-1] for n in TRIALS],
        "unit": "seconds a run (model: proportional)",
    }
    synapses = [INPUTS * width + width * width + 10 * width for width in WIDTHS]
    panels["width of two hidden layers: memory"] = {
        "x": WIDTHS,
        "measured": [measure_memory(width) for width in WIDTHS],
        # Weights, birth weights, flexibility, rate; units of a batch.
        "model": [(4 * n + 256 * 2 * w) * 4 / 1e6 for n, w in zip(synapses, WIDTHS, strict=True)],
        "unit": "MB, peak (model: 4 floats a synapse)",
    }
    return found


def draw(found):
    """One panel each, on logarithmic axes, on which a power is a straight line."""
    figure = Figure(figsize=(13, 7.5), layout="constrained")
    axes = figure.subplots(2, 3).ravel()
    for ax, (name, panel) in zip(axes, found["panels"].items(), strict=False):
        ax.plot(panel["x"], panel["model"], "-", color="0.6", lw=3, label="model")
        ax.plot(panel["x"], panel["measured"], "o", color="#0072B2", ms=8, label="measured")
        if "two jobs" in panel:
            ax.plot(panel["x"], panel["two jobs"], "s", color="#D55E00", ms=8, label="two jobs")
        ax.set(xscale="log", yscale="log", title=name, xlabel=name.split(" (")[0].split(":")[0])
        ax.set_ylabel(panel["unit"], fontsize="small")
        ax.set_xticks(panel["x"], [f"{x:,}" for x in panel["x"]], minor=False)
        ax.minorticks_off()
        ax.grid(alpha=0.3)
        ax.legend(frameon=False)
    machine = found["machine"]
    axes[-1].axis("off")
    axes[-1].text(
        0,
        0.5,
        f"{machine['cpu']}, {machine['cores']} cores\n"
        f"products: {found['rate'] / 1e9:.0f} billion operations a second\n"
        f"copies: {found['copy'] / 1e9:.0f} GB a second\n\n"
        "Of an epoch, the model is a bound: products at the rate\n"
        "of large ones, weights at the rate of copies, no more.",
        va="center",
    )
    figure.suptitle("What learning costs as things grow, and what a model of two numbers predicts")
    return figure


def main():
    """Measure, draw, write both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("scale"))
    options = parser.parse_args()
    found = measure()
    options.out.with_suffix(".json").write_text(json.dumps(found, indent=1), "utf-8")
    mp.plots.save_figure(draw(found), options.out)


if __name__ == "__main__":
    main()
