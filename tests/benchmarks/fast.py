"""What each trick of the fast body buys. Run: python tests/benchmarks/fast.py [REPEATS]

A presentation is learned with all tricks, and without each in turn, on one thread, REPEATS times
(21), one after the other so that all see the same machine. Printed are medians: seconds of the
processor with all tricks, and how much longer it takes without one; and NumPy's readable body.
"""

import sys
import time
from contextlib import ExitStack
from unittest import mock

import contest
import numpy as np
from threadpoolctl import threadpool_limits

import metaplastic_np as mp
from metaplastic_np import _fast
from metaplastic_np._fast import kernels
from metaplastic_np.experiments import draw_presentations, draw_trial, init_learners


def add_bias_and_relu_inplace(units, biases):
    units += biases
    np.maximum(units, 0, out=units)


def softmax_cross_entropy_inplace(logits, biases, labels):
    logits += biases
    rows = np.arange(len(labels))
    highest = logits.max(axis=1, keepdims=True)
    margin = np.subtract(highest[:, 0], logits[rows, labels], dtype=np.float64)
    logits -= highest
    np.exp(logits, out=logits)
    sums = logits.sum(axis=1, keepdims=True)
    logits /= sums
    logits[rows, labels] -= 1
    logits /= len(labels)
    return np.mean(np.log(sums[:, 0]) + margin)


def mask_inplace(d_units, units):
    d_units *= units > 0


def step_inplace(weights, rate, gradient):
    gradient *= rate
    weights -= gradient


LOOPS = [
    (kernels, loop.__name__, loop)
    for loop in (
        add_bias_and_relu_inplace,
        softmax_cross_entropy_inplace,
        mask_inplace,
        step_inplace,
    )
]
WITHOUT = {
    "all tricks": [],
    "without leaving out dark inputs": [(_fast, "WORTH", -1)],
    "without compiled loops": LOOPS,
    **{f"  of these {name}": [(kernels, name, loop)] for _, name, loop in LOOPS},
    "without blocks of the gradient": [(_fast, "BLOCK", 10**9)],
}


def draw_job():
    """The first presentation of the digits preset."""
    settings = mp.Settings(seed=contest.SEED, steepness=contest.STEEPNESS)
    draws = draw_trial(mp.load_digits(), settings, 0)
    rule = init_learners(draws, settings, contest.STEEPNESS)[-1]
    how = mp.LearningSettings(learning_rate=settings.learning_rate, batch_size=settings.batch_size)
    return draws.newborn, rule, next(draw_presentations(draws, settings)), how


def main():
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 21
    worlds = {"the job, batches of 256": draw_job()}
    for batch in (64, 256, 1024):
        worlds[f"{contest.load_canvas()[1]}, batches of {batch}"] = contest._draw_world(
            (256, 256), batch, "float32"
        )
    for name, (newborn, rule, shown, settings) in worlds.items():
        spent = {trick: [] for trick in [*WITHOUT, "NumPy's body"]}
        for repeat in range(repeats + 1):  # the first compiles
            for trick, times in spent.items():
                network = mp.copy_network(newborn)
                body = "numba" if trick in WITHOUT else "numpy"
                with ExitStack() as stack:
                    for module, attribute, other in WITHOUT.get(trick, []):
                        stack.enter_context(mock.patch.object(module, attribute, other))
                    started = time.process_time()
                    mp.learn_item(network, rule, shown, settings=settings, backend=body)
                    if repeat:
                        times.append(time.process_time() - started)
        all_tricks = np.array(spent["all tricks"])
        print(f"\n{name}, {shown.images.shape[1]} inputs, {shown.order.size} images")
        for trick, times in spent.items():
            longer = np.median(times / all_tricks) - 1
            print(f"{trick:45} {1e3 * np.median(times):7.1f} ms {longer:+7.1%}")


if __name__ == "__main__":
    with threadpool_limits(1, user_api="blas"):
        main()
