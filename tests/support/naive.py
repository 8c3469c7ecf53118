"""Slow, obvious oracles: the paper's learning in plain Python numbers, sharing no code with it."""

import math
from itertools import pairwise


def naive_plasticity(flexibility, displacement, steepness):
    """1 - tanh^2, straight from the paper; 0 for a rigid synapse."""
    if flexibility == 0:
        return 0.0
    stiffness = (1 - flexibility) / flexibility
    return 1 - math.tanh(steepness * stiffness * displacement) ** 2


def naive_forward(weights, biases, image):
    """Activations of every layer for one image; the last are logits."""
    layers = [list(image)]
    for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        outputs = []
        for unit in range(len(bias)):
            total = bias[unit]
            for source, value in enumerate(layers[-1]):
                total += value * weight[source][unit]
            is_last = number == len(weights) - 1
            outputs.append(total if is_last else max(total, 0.0))
        layers.append(outputs)
    return layers


def naive_softmax(logits):
    """Probabilities."""
    exponentials = [math.exp(logit - max(logits)) for logit in logits]
    return [value / sum(exponentials) for value in exponentials]


def naive_gradient(weights, biases, images, labels):
    """Gradient of the mean cross-entropy, in nested lists like weights and biases."""
    d_weights = [[[0.0] * len(row) for row in weight] for weight in weights]
    d_biases = [[0.0] * len(bias) for bias in biases]
    for image, label in zip(images, labels, strict=True):
        layers = naive_forward(weights, biases, image)
        deltas = naive_softmax(layers[-1])
        deltas[label] -= 1
        deltas = [delta / len(images) for delta in deltas]
        for number in reversed(range(len(weights))):
            inputs = layers[number]
            for unit, delta in enumerate(deltas):
                d_biases[number][unit] += delta
                for source, value in enumerate(inputs):
                    d_weights[number][source][unit] += value * delta
            deltas = [
                sum(weights[number][source][unit] * delta for unit, delta in enumerate(deltas))
                if value > 0
                else 0.0
                for source, value in enumerate(inputs)
            ]
    return d_weights, d_biases


def naive_learn(weights, biases, births, flexibilities, presentation, options):
    """Learn one presentation, in place; biases are not modulated."""
    images, labels, order = presentation

    def rates():
        return [
            [
                [
                    options["learning_rate"] * naive_plasticity(f, w - w0, options["steepness"])
                    for w, w0, f in zip(*rows, strict=True)
                ]
                for rows in zip(*layer, strict=True)
            ]
            for layer in zip(weights, births, flexibilities, strict=True)
        ]

    rate = rates()
    for epoch in order:
        for start in range(0, len(epoch), options["batch_size"]):
            rows = epoch[start : start + options["batch_size"]]
            d_weights, d_biases = naive_gradient(
                weights, biases, [images[row] for row in rows], [labels[row] for row in rows]
            )
            if options["refresh"] == "update":
                rate = rates()
            for layer, weight in enumerate(weights):
                for source, row in enumerate(weight):
                    for unit in range(len(row)):
                        row[unit] -= rate[layer][source][unit] * d_weights[layer][source][unit]
                for unit in range(len(biases[layer])):
                    biases[layer][unit] -= options["learning_rate"] * d_biases[layer][unit]


def learn_world(world):
    """The parameters that a world's network has after all presentations, as one list."""

    def cut(vector):
        weights, biases, rest = [], [], vector.tolist()
        for n_in, n_out in pairwise(world.network.layer_sizes):
            rows, rest = rest[: n_in * n_out], rest[n_in * n_out :]
            weights.append([rows[i * n_out : (i + 1) * n_out] for i in range(n_in)])
            biases.append(rest[:n_out])
            rest = rest[n_out:]
        return weights, biases

    weights, biases = cut(world.network.parameters)
    births, _ = cut(world.metaplasticity.initial_weights)
    flexibilities, _ = cut(world.metaplasticity.flexibility)
    options = {
        "learning_rate": world.settings.learning_rate,
        "batch_size": world.settings.batch_size,
        "refresh": world.settings.refresh,
        "steepness": world.metaplasticity.steepness,
    }
    for shown in world.presentations:
        presentation = shown.images.tolist(), shown.labels.tolist(), shown.order.tolist()
        naive_learn(weights, biases, births, flexibilities, presentation, options)
    layers = zip(weights, biases, strict=True)
    return [number for layer in layers for row in (*layer[0], layer[1]) for number in row]
