"""Compute the map that the explorer page draws, and the recall that the front page plays.

    python docs/explorer/make_map.py

writes ``map.json`` and ``memory.json`` beside this file, in about seven minutes on one core. It
puts the second one into ``memory.html`` too, so that the front page includes one file.

The map: for every uniform distribution of flexibility on a grid, and every kappa on a grid, a list
of ten items is learned as in ``mp.run_experiment``, with the default settings and the same draws:
trial 0 of seed 0 is the same images, initial weights and order here and there.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import metaplastic_np as mp

FOLDER = Path(__file__).parent
COMMAND = "python docs/explorer/make_map.py"
LEVELS = (0.0, 0.2, 0.3, 0.5, 0.8, 1.0)
KAPPAS = (1.75, 3.5, 7.0, 14.0, 28.0, 56.0)
CALIBRATED_KAPPA = 14.0  # what the default steepness comes to on the digits
TRIALS = 3
SEED = 0
EDGES = np.linspace(-3, 1, 33)  # log10 of displacement; what lies outside goes to the end bins


class Draws(NamedTuple):
    """What all networks of a trial share."""

    items: mp.scenarios.Items
    newborn: mp.Network
    presentations: list[mp.scenarios.Presentation]
    quantile: NDArray[Any]  # of every parameter's flexibility, in (0, 1]
    after_first: NDArray[Any]  # parameters after the first presentation, if none is rigid
    rms: float  # displacement after the first presentation


def draw_trial(settings: mp.Settings, trial: int) -> Draws:
    """Draw what a trial of ``mp.run_experiment`` draws, from the same children of the seed."""
    seeds = np.random.SeedSequence(settings.seed, spawn_key=(trial,)).spawn(7)
    for_items, for_features, for_weights, for_flexibility, for_order, _, _ = map(
        np.random.default_rng, seeds
    )
    items = mp.draw_items(
        mp.load_digits(),
        n_items=settings.n_items,
        n_train_images=settings.n_train_images,
        n_test_images=settings.n_test_images,
        rng=for_items,
    )
    items = mp.scenarios.freeze_features(items, n_features=settings.n_features, rng=for_features)
    scale = np.float32(settings.input_scale)
    items = replace(
        items, train_images=items.train_images * scale, test_images=items.test_images * scale
    )
    sizes = (settings.n_features, *settings.hidden, settings.n_items)
    newborn = mp.init_network(sizes, rng=for_weights)
    presentations = [
        mp.draw_presentation(items, item, epochs=settings.epochs, rng=for_order, number=item)
        for item in range(settings.n_items)
    ]
    twin = mp.copy_network(newborn)
    ordinary = mp.init_metaplasticity(newborn, "conventional", steepness=1.0, rng=for_weights)
    learn(twin, ordinary, presentations[0], settings)
    return Draws(
        items=items,
        newborn=newborn,
        presentations=presentations,
        quantile=mp.draw_flexibility("hybrid", newborn.parameters.shape, rng=for_flexibility),
        after_first=twin.parameters,
        rms=mp.measure_kappa(measure_moved(twin, ordinary), steepness=1.0),
    )


def learn(
    network: mp.Network,
    rule: mp.Metaplasticity,
    presentation: mp.scenarios.Presentation,
    settings: mp.Settings,
) -> None:
    """Learn one presentation, in place."""
    learning = mp.LearningSettings(
        learning_rate=settings.learning_rate, batch_size=settings.batch_size
    )
    mp.learn_item(network, rule, presentation, settings=learning)


def measure_moved(network: mp.Network, rule: mp.Metaplasticity) -> NDArray[Any]:
    """Displacement of all weights, without biases."""
    displacement = mp.measure_displacement(network, rule)
    weights, _ = mp.split_parameters(displacement, network.layer_sizes)
    return np.concatenate([layer.ravel() for layer in weights])


def init_rule(draws: Draws, low: float, high: float, kappa: float) -> mp.Metaplasticity:
    """Flexibility uniform between two levels, 1 at the biases."""
    flexibility = np.float32(low) + np.float32(high - low) * draws.quantile
    flexibility = np.minimum(flexibility, np.float32(high))
    _, biases = mp.split_parameters(flexibility, draws.newborn.layer_sizes)
    for bias in biases:
        bias[:] = 1
    return mp.Metaplasticity(
        initial_weights=draws.newborn.parameters,
        flexibility=flexibility,
        steepness=kappa / draws.rms,
    )


def learn_list(
    draws: Draws, settings: mp.Settings, low: float, high: float, kappa: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Recall (presentation, item), row 0 untrained; share of the weights in each bin of EDGES."""
    network, rule = mp.copy_network(draws.newborn), init_rule(draws, low, high, kappa)
    confusion = [mp.measure_confusion(network, draws.items.test_images)]
    for number, presentation in enumerate(draws.presentations):
        # No displacement yet: unless all weights are rigid, all networks learn alike.
        if number == 0 and high > 0:
            network.parameters[:] = draws.after_first
        else:
            learn(network, rule, presentation, settings)
        confusion.append(mp.measure_confusion(network, draws.items.test_images))
    return mp.measure_recall(confusion), measure_spread(measure_moved(network, rule) / draws.rms)


def measure_spread(displacement: NDArray[Any]) -> NDArray[np.float64]:
    """Share of the weights in each bin of log10 displacement; unmoved ones are in the first."""
    smallest, largest = 10.0 ** EDGES[[0, -1]]
    clipped = np.clip(np.abs(displacement.astype(np.float64)), smallest, largest)
    counts, _ = np.histogram(np.log10(clipped), bins=EDGES)
    return counts / counts.sum()


def kappas_of(low: float, high: float) -> tuple[float, ...]:
    """Kappas that make a difference: none if all weights are rigid, or none stiffens."""
    return (CALIBRATED_KAPPA,) if low == high and low in (0, 1) else KAPPAS


def grid() -> list[tuple[float, float]]:
    """Every lowest and highest flexibility."""
    return [(low, high) for low in LEVELS for high in LEVELS if low <= high]


def name_cell(low: float, high: float) -> str:
    """Name of a pair of levels in the map: "0-1", "0.3-0.3"."""
    return f"{low:g}-{high:g}"


def make_map(trials: int) -> dict[str, Any]:
    """Learn every list of the map."""
    settings = mp.Settings(seed=SEED, trials=trials)
    found: dict[str, list[list[Any]]] = {
        name_cell(*pair): [[] for _ in kappas_of(*pair)] for pair in grid()
    }
    rms = []
    for trial in range(trials):
        draws = draw_trial(settings, trial)
        rms.append(float(draws.rms))
        for low, high in grid():
            for place, kappa in enumerate(kappas_of(low, high)):
                learned = learn_list(draws, settings, low, high, kappa)
                found[name_cell(low, high)][place].append(learned)
        print(f"trial {trial + 1} of {trials} learned", flush=True)
    reference = found["0-1"][KAPPAS.index(CALIBRATED_KAPPA)]
    return {
        "about": "Recall and displacement after lists of ten items of the bundled digits; "
        "flexibility uniform between two levels; steepness = kappa / rms, rms the root mean square "
        "displacement of the weights after the first presentation.",
        "command": COMMAND,
        "seed": SEED,
        "trials": trials,
        "levels": LEVELS,
        "kappas": KAPPAS,
        "calibrated_kappa": CALIBRATED_KAPPA,
        "chance": mp.chance_recall(settings.n_items),
        "rms": [float(f"{value:.4g}") for value in rms],
        "log10_edges": EDGES.tolist(),
        "fields": {
            "cells": "lowest-highest flexibility, then kappa; only one where kappa does nothing",
            "recall": "after each presentation (row 0: untrained) of each item, mean over trials",
            "trials": "recall after the last presentation, each trial",
            "spread": "share of the weights by log10 |w - w0| / rms, mean over trials",
        },
        "settings": asdict(settings),
        "cells": {
            name: [describe_cell(trials) for trials in cells] for name, cells in found.items()
        },
        "reference": {
            "low": 0,
            "high": 1,
            "kappa": CALIBRATED_KAPPA,
            "recall": [np.round(recall, 3).tolist() for recall, _ in reference],
        },
    }


def describe_cell(trials: list[tuple[NDArray[Any], NDArray[Any]]]) -> dict[str, Any]:
    """What the page draws of one network, rounded."""
    recall, spread = (np.array(part) for part in zip(*trials, strict=True))
    return {
        "recall": np.round(recall.mean(axis=0), 3).tolist(),
        "trials": np.round(recall[:, -1], 3).tolist(),
        "spread": np.round(spread.mean(axis=0), 4).tolist(),
    }


def make_memory() -> dict[str, Any]:
    """Recall after each presentation of the README's figure."""
    settings = mp.Settings(seed=SEED)
    results = mp.run_experiment(mp.load_digits(), settings)
    return {
        "about": "Recall of ten items after each presentation (row 0: untrained), mean over trials "
        "of mp.run_experiment with the default settings.",
        "command": COMMAND,
        "seed": SEED,
        "trials": settings.trials,
        "chance": mp.chance_recall(settings.n_items),
        "networks": {
            network: np.round(recall.mean(axis=0), 3).tolist()
            for network, recall in zip(settings.networks, results.recall, strict=True)
        },
    }


def write(name: str, content: dict[str, Any]) -> None:
    """Write strict JSON without spaces."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    (FOLDER / name).write_text(text + "\n", encoding="utf-8")
    print(f"{name}: {len(text) / 1000:.0f} kB")


def embed(name: str, page: str) -> None:
    """Put a JSON file between the script tags of a page: from a file, a page may not fetch it."""
    content = (FOLDER / name).read_text(encoding="utf-8")
    text = (FOLDER / page).read_text(encoding="utf-8")
    start = text.index(">", text.index('<script type="application/json"')) + 1
    end = text.index("</script>", start)
    (FOLDER / page).write_text(f"{text[:start]}\n{content}{text[end:]}", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=TRIALS, help="of the map")
    parser.add_argument("--only", choices=("map", "memory"), help="make one of the two files")
    options = parser.parse_args()
    with threadpool_limits(limits=1):
        if options.only != "map":
            write("memory.json", make_memory())
            embed("memory.json", "memory.html")
        if options.only != "memory":
            write("map.json", make_map(options.trials))
