"""The questions of the exercises: arguments, simplest first, and what is wrong with an answer.

An exercise is a generator. It yields a **question**, where in words and the arguments by name, is
sent what the student's function returned, and yields what is wrong with it, or None. Hints are
found by computing what a typical mistake would give. :mod:`metaplastic_np.exercises.checker` asks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import replace
from functools import partial
from itertools import product
from math import comb
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..experiments import CALIBRATION_SEED, Settings, run_experiment
from ..nn import layers
from ..rules import measure_kappa, measure_plasticity
from ..scenarios import Step, draw_repetition, load_digits

MOST_CALLS, PRECISION = 12, 0.005  # ex05
# ex06: on calibration seeds one label for all leaves 52 to 68 % after six presentations, a
# derangement, which contradicts itself, 81 to 86 %: solution of tutorials/exercises/ex06.
MOST_LIES, MOST_KEPT = 6, 0.7
# A world that learns twenty lists in seconds. Its steepness was balanced on calibration seeds, so
# that the hybrid recalls the first and the last of five items alike.
SMALL = Settings(
    n_items=5,
    seed=CALIBRATION_SEED,
    n_train_images=200,
    n_features=256,
    input_scale=16.0,
    hidden=(64, 64),
    steepness=1700.0,
)
# ex11: chi square of uniform draws exceeds it once in 10^6 times (8 degrees of freedom).
DRAWS, MOST_UNEVEN = 900, 43.0

# May return a few words about an answer that passed.
Exercise: TypeAlias = Generator[tuple[str, dict[str, Any]] | str | None, Any, Any]


def _compare(result: Any, right: Any, mistakes: dict[str, Any], least: float = 1e-9) -> str | None:
    """Name the first place where a result differs, and the mistake that gives this result."""
    found, expected = np.asarray(result), np.asarray(right)
    if found.dtype.kind not in "biuf":
        return f"got {type(result).__name__} of {found.dtype.name}, expected real numbers"
    is_close = partial(np.isclose, found, rtol=1e-6, atol=least, equal_nan=True)
    why = ""
    for hint, wrong in reversed(mistakes.items()):
        if np.shape(wrong) == found.shape and is_close(wrong).all():
            why = f". {hint}"
    if found.shape != expected.shape:
        return f"got shape {found.shape}, expected {expected.shape}{why}"
    differs = ~is_close(expected)
    if not differs.any():
        return None
    place = tuple(int(i) for i in np.argwhere(differs)[0])
    where = f" at {place}" if found.size > 1 else ""
    return f"got {found[place]:.8g}, expected {expected[place]:.8g}{where}{why}"


def _softmax_gradient(rng: np.random.Generator) -> Exercise:
    for logits in (np.zeros((1, 2)), rng.standard_normal((4, 3)), np.array([[1000.0, 999, 0]])):
        n, n_classes = logits.shape
        labels = np.array(rng.integers(n_classes, size=n))
        result = yield f"logits up to {logits.max():.3g}", {"logits": logits, "labels": labels}
        _, cache = layers.softmax_cross_entropy_forward(logits, labels)
        right = layers.softmax_cross_entropy_backward(cache)
        onehot, powers = np.eye(n_classes)[labels], np.exp(logits)
        unshifted = powers / powers.sum(axis=1, keepdims=True)
        mistakes = {
            "Its sign is the other one: softmax minus one-hot": -right,
            "Subtract the one-hot label from the softmax": right + onehot / n,
            "The loss is the mean over the batch: divide by the number of images": n * right,
            "exp(1000) overflows: subtract each row's maximum first": (unshifted - onehot) / n,
        }
        yield _compare(result, right, mistakes)


def _layer_backward(rng: np.random.Generator) -> Exercise:
    for n, bias in ((1, 9.0), (1, 0.0), (4, 0.0)):
        inputs, weights = rng.standard_normal((n, 3)), rng.standard_normal((3, 5))
        arguments = {"inputs": inputs, "weights": weights, "biases": np.full(5, bias)}
        d_outputs = rng.standard_normal((n, 5))
        result = yield f"{n} images, biases {bias:g}", {"d_outputs": d_outputs, **arguments}
        names = ("d_inputs", "d_weights", "d_biases")
        if not isinstance(result, tuple | list) or len(result) != len(names):
            yield f"got {type(result).__name__}, expected a tuple ({', '.join(names)})"
        hidden, cache = layers.dense_forward(**arguments)
        masks = (hidden > 0, 1, d_outputs > 0)
        right, unmasked, wrong = (layers.dense_backward(d_outputs * on, cache) for on in masks)
        for i, name in enumerate(names):
            mistakes = {
                "Transposed: a gradient has the shape of what it belongs to": right[i].T,
                "The ReLU lets through only where its input was above 0": unmasked[i],
                "The ReLU's mask is that of the forward pass": wrong[i],
                "Add up over the batch: its mean is already in d_outputs": right[i] / n,
            }
            problem = _compare(result[i], right[i], mistakes)
            yield problem and f"{name}: {problem}"


def _plasticity(rng: np.random.Generator) -> Exercise:
    for f, x in ((0.5, 1), (0.6, -0.5), (1, 50), (0, 0), (0.5, 9), (0.5, 400), (0.5, -400)):
        flexibility, displacement, s = np.array([float(f)]), np.array([float(x)]), 3.0
        arguments = {"flexibility": flexibility, "displacement": displacement, "steepness": s}
        result = yield f"f = {f}, displacement {x}, steepness {s:g}", arguments
        stiffness = (1 - flexibility) / flexibility
        a = s * stiffness * displacement
        rigid = "0 times infinity is nan: a synapse with f = 0 is rigid, its plasticity is 0"
        overflow = "An exponential overflows: use exp(-2|a|), which is at most 1"
        mistakes = {
            overflow if f else rigid: [np.nan],
            "1 - tanh^2 cancels: write sech^2 with exponentials": 1 - np.tanh(a) ** 2,
            "It is 1 - tanh^2: the square is missing": 1 - np.tanh(a),
            "The stiffness is (1 - f)/f, not f/(1 - f)": 1 / np.cosh(a / stiffness**2) ** 2,
            "Where is the steepness?": 1 / np.cosh(a / s) ** 2,
            "Where is the stiffness, (1 - f)/f?": 1 / np.cosh(s * displacement) ** 2,
            "sech is to be squared": 1 / np.cosh(a),
        }
        right = measure_plasticity(flexibility, displacement, steepness=s)
        yield _compare(result, right, mistakes, least=0.0)


def _drift(rng: np.random.Generator) -> Exercise:
    for f, x in ((0.5, 0.0), (0.5, 1.0), (0.8, 3.0), (0.2, 0.5), (0.999, 2.0), (1.0, 2.0)):
        result = yield f"f = {f:g}, x = {x:g}", {"displacement": x, "flexibility": f}
        c = np.float64((1 - f) / f)
        growing = np.sinh(2 * c * x)
        mistakes = {
            "c is 0 there, and 0/0 is nan. What is the limit of sinh(2cx)/(4c)?": np.nan,
            "That is the ordinary synapse, f = 1": x,
            "That integrates sech^2. Separate: dt = cosh^2(cx) dx": np.tanh(c * x) / c,
            "c is (1 - f)/f, not f/(1 - f)": x / 2 + np.sinh(2 * x / c) * c / 4,
            "cosh^2 contains a constant, whose integral is x/2": growing / (4 * c),
        }
        yield _compare(result, x / 2 + growing / (4 * c) if c else x, mistakes)


def _match(rng: np.random.Generator) -> Exercise:
    calls: list[float] = []
    for root, slope, target in ((0.5, 2.0, 0.0), (0.8, 3.0, 0.0), (0.2, 4.0, 0.0), (0.7, 2.0, 0.4)):

        def balance(f: float, root: float = root, slope: float = slope) -> float:
            calls.append(f)
            return slope * (root - f)

        calls.clear()
        where = f"balance(f) = {slope:g} ({root:g} - f), target {target:g}"
        result = yield where, {"balance": balance, "target": target}
        if len(calls) > MOST_CALLS:
            yield f"called balance {len(calls)} times, allowed are {MOST_CALLS}. Halve the range"
        mistakes = {
            "That is where balance is 0: what is the target for?": root,
            "The search ran to the upper end: balance falls as f grows": 1.0,
            "The search ran to the lower end: balance falls as f grows": 0.0,
        }
        yield _compare(result, root - target / slope, mistakes, least=PRECISION)


def _poison(rng: np.random.Generator) -> Exercise:
    n_items = SMALL.n_items
    steps = yield f"n_items = {n_items}", {"n_items": n_items}
    if not 1 <= len(steps) <= MOST_LIES:
        yield f"uses {len(steps)} presentations, expected 1 to {MOST_LIES}"
    for number, step in enumerate(steps):
        is_plain = isinstance(step, Step) and step.shown is None and step.after is None
        if not is_plain or step.label in (None, step.item):
            yield f"step {number}, {step!r}, is no poison: an mp.Step of an item and a wrong label"
    learned = draw_repetition(n_items, rng)
    settings = replace(SMALL, schedule=(*learned, *steps), trials=4, networks=("hybrid",))
    recall = run_experiment(load_digits(), settings).recall[0].mean(axis=0)
    before, after = recall[len(learned)].mean(), recall[-1].mean()
    above = (recall[-1] > 1 / n_items).sum()
    words = f"{len(steps)} presentations left {after / before:.0%} of a recall of {before:.2f}, "
    words += f"and {above} of {n_items} items above chance"
    if after > MOST_KEPT * before:
        yield f"{words}. At most {MOST_KEPT:.0%} may be left: do your lies agree with each other?"
    return words


def _refresh(rng: np.random.Generator) -> Exercise:
    gradients = rng.standard_normal((2, 3))
    for f, n, refresh in product((1.0, 0.5), (1, 2), ("presentation", "update")):
        arguments = {"flexibility": f, "steepness": 4.0, "learning_rate": 0.1, "refresh": refresh}
        where = f"f = {f}, {n} presentations, refresh = {refresh!r}"
        result = yield where, {"gradients": gradients[:n], **arguments}
        learn = partial(_learn_synapse, gradients[:n], f)
        right = learn(refresh)
        homeless = [_learn_synapse(row[None], f, refresh) for row in gradients[:n]]
        mistakes = {
            "A synapse moves against the gradient": -right,
            "That is what refresh = 'presentation' gives": learn("presentation"),
            "That is what refresh = 'update' gives": learn("update"),
            "A presentation starts where the last one ended": np.concatenate(homeless),
        }
        yield _compare(result, right, mistakes)


def _learn_synapse(gradients: NDArray[Any], f: float, refresh: str) -> NDArray[np.float64]:
    """Displacement of one synapse after each update, at steepness 4 and learning rate 0.1."""
    displacement, here, plasticity = np.empty(gradients.shape), np.zeros(1), np.ones(1)
    for place in np.ndindex(gradients.shape):
        if refresh == "update" or place[1] == 0:
            plasticity = measure_plasticity(np.array([f]), here, steepness=4.0)
        here = here - 0.1 * plasticity * gradients[place]
        displacement[place] = here[0]
    return displacement


def _spacing(rng: np.random.Generator) -> Exercise:
    for n_items in (2, 3, 5, 8):
        shown = yield f"n_items = {n_items}", {"n_items": n_items}
        is_list = isinstance(shown, list | tuple)
        if not is_list or not all(isinstance(item, int | np.integer) for item in shown):
            yield f"got {shown!r}, expected a list of whole numbers, as a schedule is"
        sequence = np.array(shown)
        counts = Counter(sequence.tolist())
        if counts != Counter(2 * [*range(n_items)]):
            yield f"items come so often: {dict(counts)}, expected 0 to {n_items - 1} twice each"
        waits = [int(np.diff(np.flatnonzero(sequence == item))[0]) for item in range(n_items)]
        if 1 in waits:
            yield f"item {waits.index(1)} is shown twice in a row: that is massed"
        if len(set(waits)) > 1:
            yield f"items come again after {waits} presentations, expected the same for each"


def _kappa(rng: np.random.Generator) -> Exercise:
    for n_layers, n_dead in ((1, 0), (2, 0), (2, 2)):
        births = [rng.standard_normal(shape) for shape in ((6, 4), (4, 2))[:n_layers]]
        moves = [0.3 + rng.standard_normal(birth.shape) for birth in births]
        moves[0][:n_dead] = 0
        weights = [birth + move for birth, move in zip(births, moves, strict=True)]
        where = f"{n_layers} layers, {n_dead} dead inputs"
        result = yield where, {"weights": weights, "initial_weights": births, "steepness": 5.0}
        whole = np.concatenate([move.ravel() for move in moves])
        moved = whole[whole != 0]
        right, *by_layer = (measure_kappa(move, steepness=5.0) for move in (whole, *moves))
        mistakes = {
            "Weights that never moved do not count": 5 * np.sqrt(np.mean(whole**2)),
            "Pool the weights of all layers first: layers differ in size": np.mean(by_layer),
            "That is the standard deviation: do not subtract the mean": 5 * moved.std(),
            "Where is the steepness? kappa = s rms(w - w0)": right / 5,
        }
        yield _compare(result, right, mistakes)


def _p_value(rng: np.random.Generator) -> Exercise:
    for hits, answered, belong, total in ((0, 0, 10, 50), (2, 3, 10, 50), (5, 12, 10, 40)):
        arguments = {"hits": hits, "answered": answered, "belong": belong, "total": total}
        result = yield f"{hits} hits of {answered} answers", arguments
        ways, share, counts = comb(total, answered), belong / total, range(answered + 1)
        drawn = [comb(belong, k) * comb(total - belong, answered - k) / ways for k in counts]
        put_back = [comb(answered, k) * share**k * (1 - share) ** (answered - k) for k in counts]
        mistakes = {
            "That is P(X > hits): an item never answered is memorized": sum(drawn[hits + 1 :]),
            "That is P(X = hits): add what is more extreme": drawn[hits],
            "That is the binomial: draw without putting back": sum(put_back[hits:]),
        }
        yield _compare(result, sum(drawn[hits:]), mistakes)


def _derangement(rng: np.random.Generator) -> Exercise:
    seen: list[list[int]] = []
    for n_items, seed in ((2, 0), (10, 0), (10, 0), (10, 1), *((4, i) for i in range(DRAWS))):
        arguments = {"n_items": n_items, "rng": np.random.default_rng(seed)}
        drawn = np.asarray((yield f"n_items = {n_items}, seed {seed}", arguments))
        if not np.array_equal(np.sort(drawn, axis=None), np.arange(n_items)):
            yield f"got {drawn.tolist()}, expected every item from 0 to {n_items - 1} once"
        if (drawn == np.arange(n_items)).any():
            yield f"got {drawn.tolist()}. An item that keeps its own label is not poisoned"
        seen.append(drawn.tolist())
        if len(seen) == 3 and seen[2] != seen[1]:
            yield "got another one with an equal rng. Take all random numbers from `rng`"
        if len(seen) == 4 and seen[3] == seen[2]:
            yield "got the same one with another rng: is `rng` used at all?"
    counts = Counter(tuple(drawn) for drawn in seen if len(drawn) == 4)
    if len(counts) < 9:
        yield f"only {len(counts)} of the 9 came in {DRAWS} draws. One cycle or shift is not all"
    if sum((count - DRAWS / 9) ** 2 for count in counts.values()) / (DRAWS / 9) > MOST_UNEVEN:
        most, least = max(counts.values()), min(counts.values())
        yield f"one came {most} times, another {least} times. Do not repair a draw: draw again"


def _labels(rng: np.random.Generator) -> Exercise:
    favored: set[int] = set()
    cases = ((4, 0, 1, 3), (6, 1, 3, 5), *60 * [(5, 0, 1, 5)])
    for seed, (n, item, shown, n_items) in enumerate(cases):
        arguments = {"n": n, "item": item, "shown": shown, "n_items": n_items}
        where = ", ".join(f"{name} = {value}" for name, value in arguments.items())
        labels = np.asarray((yield where, {**arguments, "rng": np.random.default_rng(seed)}))
        counts = {label: int(np.sum(labels == label)) for label in range(n_items)}
        if labels.shape != (n,) or sum(counts.values()) != n:
            yield f"got {labels.tolist()}, expected {n} labels from 0 to {n_items - 1}"
        for label, why in ((shown, "the true one"), (item, "the item that is presented")):
            if counts.pop(label):
                yield f"{label} is among the labels: {why}"
        if max(counts.values()) - min(counts.values()) > 1:
            yield f"labels came so often: {counts}. Spread them evenly, the remainder too"
        favored |= {label for label, count in counts.items() if count > n // len(counts)}
    if len(favored) < 3:
        yield f"the remainder always went to {sorted(favored)}. Draw it at random"


QUESTIONS: dict[str, tuple[str, Callable[[np.random.Generator], Exercise]]] = {
    "ex01": ("The gradient of softmax cross-entropy", _softmax_gradient),
    "ex02": ("The backward pass of a dense layer with ReLU", _layer_backward),
    "ex03": ("The plasticity of a synapse, at its limits too", _plasticity),
    "ex04": ("The law of drift", _drift),
    "ex05": ("The one flexibility that matches a mixture", _match),
    "ex06": ("Poison that agrees with itself", _poison),
    "ex07": ("Refresh at every update, and what fails", _refresh),
    "ex08": ("Massed or spaced", _spacing),
    "ex09": ("Pad the canvas and keep kappa", _kappa),
    "ex10": ("When is an item memorized?", _p_value),
    "ex11": ("Poison is a derangement", _derangement),
    "ex12": ("Wrong labels, spread evenly", _labels),
}
