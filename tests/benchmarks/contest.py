"""What a worker process of ``bench.py`` does: draw, learn, and look at the clock.

Every process draws the same numbers from the same seed. The clock leaves drawing out where it times
one presentation, and counts it where it times whole trials.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rivals import MODULES, PROGRAMS, Program

import metaplastic_np as mp
from metaplastic_np.experiments import (
    draw_presentations,
    draw_trial,
    init_learners,
    run_trial,
)
from metaplastic_np.scenarios import Dataset, Presentation, freeze_features

PACKAGE = "metaplastic_np"
SEED = 10_000
STEEPNESS = 8_000.0
PAPER_BATCH = 1024
MEMORY_SIZES = (9216, 4096, 4096, 10)  # of the network whose memory is measured
LARGEST = 2048  # of the matrices that measure a product rate

_here: dict[str, Any] = {}


def enter(program: str, threads: int) -> None:
    """Load a program's library, with so many threads. Ctrl-C is left to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if program == "JAX" and threads == 1:  # read when JAX is imported
        os.environ |= {"NPROC": "1", "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}
    from threadpoolctl import threadpool_limits

    if program == "PyTorch":
        import torch

        torch.set_num_threads(threads)
    _here["limits"] = threadpool_limits(threads, user_api="blas")


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def load_canvas() -> tuple[Dataset, str]:
    """MNIST if it is on this machine, else the bundled digits, enlarged to its size."""
    try:
        return mp.load_mnist(), "MNIST"
    except mp.InputError:
        digits = mp.load_digits()

    def enlarge(images: NDArray[Any]) -> NDArray[Any]:
        return np.pad(images.repeat(3, axis=1).repeat(3, axis=2), ((0, 0), (2, 2), (2, 2)))

    return (
        replace(
            digits,
            train_images=enlarge(digits.train_images),
            test_images=enlarge(digits.test_images),
        ),
        "the bundled digits, enlarged",
    )


def _draw_world(
    hidden: tuple[int, ...], batch: int, dtype: str
) -> tuple[Any, Any, Presentation, mp.LearningSettings]:
    """A newborn hybrid network and one presentation: the same numbers in every process."""
    rng = np.random.default_rng(SEED)
    # The paper's batches need the paper's images; one epoch of them is enough to look at.
    n_train_images, epochs = (500, 5) if batch < PAPER_BATCH else (2000, 1)
    items = mp.draw_items(
        load_canvas()[0],
        n_items=10,
        n_train_images=n_train_images,
        n_test_images=1,
        rng=rng,
        dtype=dtype,
    )
    items = replace(items, train_images=items.train_images * items.train_images.dtype.type(8))
    presentation = mp.draw_presentation(items, 0, epochs=epochs, rng=rng)
    network = mp.init_network((items.train_images.shape[-1], *hidden, 10), rng=rng, dtype=dtype)
    rule = mp.init_metaplasticity(network, "hybrid", steepness=STEEPNESS, rng=rng)
    return network, rule, presentation, mp.LearningSettings(learning_rate=0.0125, batch_size=batch)


def learn_afresh(
    program: str, hidden: tuple[int, ...], batch: int, dtype: str, images: int | None
) -> NDArray[Any]:
    """What becomes of the parameters in a presentation, or in one update of so many images."""
    network, rule, shown, settings = _draw_world(hidden, batch, dtype)
    if images is not None:
        shown = Presentation(
            images=shown.images[:images],
            labels=shown.labels[:images],
            order=np.arange(len(shown.images[:images]))[None],
        )
    run = PROGRAMS[program](network, rule, settings)
    run.learn(shown, None)
    return run.read() - rule.initial_weights


def prepare(program: str, hidden: tuple[int, ...], batch: int) -> tuple[int, int, int]:
    """Make ready to learn a presentation over and over.

    Returns how many inputs there are, how many of them are ever on, and how many images are shown.
    """
    network, rule, shown, settings = _draw_world(hidden, batch, "float32")
    run = PROGRAMS[program](network, rule, settings)
    run.learn(shown, None)  # compiles, wakes threads
    _here["learn"] = lambda: run.learn(shown, None)
    return shown.images.shape[1], int(shown.images.any(axis=0).sum()), shown.order.size


def time_learning() -> float:
    """Seconds for the presentation that was made ready."""
    started = time.perf_counter()
    _here["learn"]()
    return time.perf_counter() - started


def time_product(program: str) -> float:
    """Seconds for the library's own product of two large matrices."""
    if "multiply" not in _here:
        a = np.random.default_rng(0).random((LARGEST, LARGEST), np.float32)
        _here["multiply"] = _make_product(program, a)
    _here["multiply"]()  # threads that others' turns let fall asleep wake up
    started = time.perf_counter()
    _here["multiply"]()
    return time.perf_counter() - started


def _make_product(program: str, a: NDArray[np.float32]) -> Callable[[], Any]:
    out = np.empty_like(a)
    if program == "PyTorch":
        import torch

        left, into = torch.from_numpy(a), torch.from_numpy(out)
        return lambda: torch.mm(left, left, out=into)
    if program == "JAX":
        import jax

        multiply, there = jax.jit(lambda a: a @ a), jax.numpy.asarray(a)
        return lambda: jax.block_until_ready(multiply(there))
    return lambda: np.matmul(a, a, out=out)


def run_trials(
    program: str, settings: mp.Settings, trials: list[int]
) -> list[dict[str, NDArray[Any]]]:
    """Whole trials, by the package or by a rival: the arrays of each trial by name."""
    dataset = mp.load_digits()
    if program == PACKAGE:
        return [run_trial(dataset, settings, trial, "auto")[0] for trial in trials]
    return [run_rivals_trial(PROGRAMS[program], dataset, settings, trial) for trial in trials]


def run_rivals_trial(
    start: Callable[..., Program], dataset: Dataset, settings: mp.Settings, trial: int
) -> dict[str, NDArray[Any]]:
    """The package's trial, learned by a rival: the same draws, and every array that holds a number.

    The networks are alike until plasticity has fallen, so a rival learns the first presentation
    with the first network only, and the other networks start from its weights. The package does so.
    """
    draws = draw_trial(dataset, settings, trial)
    rules = [each.synapses for each in init_learners(draws, settings, settings.steepness)]
    how = _how(settings)
    n_items, n_images, n_in = draws.items.test_images.shape
    images = draws.items.test_images.reshape(-1, n_in)
    asked = np.repeat(np.arange(n_items), n_images) * n_items

    def count(program: Program) -> NDArray[Any]:
        answers = np.bincount(asked + program.answer(images), minlength=n_items**2)
        return answers.reshape(n_items, n_items)

    def learn_and_count(program: Program, presentation: Presentation) -> list[NDArray[Any]]:
        found: list[NDArray[Any]] = []
        after_epoch = (lambda: found.append(count(program))) if settings.by_epoch else None
        program.learn(presentation, after_epoch)
        return found or [count(program)]

    presentations = draw_presentations(draws, settings)
    first = start(draws.newborn, rules[0], how)
    rows = [count(first), *learn_and_count(first, next(presentations))]
    learned = mp.copy_network(draws.newborn)
    learned.parameters[:] = first.read()
    weights, _ = mp.split_parameters(
        learned.parameters - draws.newborn.parameters, learned.layer_sizes
    )
    displacement = np.concatenate([layer.ravel() for layer in weights])
    programs = [first, *(start(learned, rule, how) for rule in rules[1:])]
    counts = [list(rows) for _ in programs]
    for presentation in presentations:
        for program, found in zip(programs, counts, strict=True):
            found += learn_and_count(program, presentation)

    confusion = np.array(counts)
    arrays = {
        "confusion": confusion[:, :: settings.epochs if settings.by_epoch else 1],
        "item_classes": np.array(draws.items.classes),
        "schedule": np.array(draws.schedule),
        "kappa": np.array(mp.measure_kappa(displacement, steepness=settings.steepness)),
    }
    if settings.by_epoch:
        arrays["recall_by_epoch"] = np.diagonal(confusion, axis1=-2, axis2=-1) / n_images
    return arrays


def _how(settings: mp.Settings) -> mp.LearningSettings:
    return mp.LearningSettings(learning_rate=settings.learning_rate, batch_size=settings.batch_size)


def learn_first(program: str) -> None:
    """Learn one presentation of the digits preset: what a new process can be timed with."""
    settings = mp.Settings(seed=SEED, steepness=STEEPNESS)
    draws = draw_trial(mp.load_digits(), settings, 0)
    rule = init_learners(draws, settings, STEEPNESS)[-1].synapses
    run = PROGRAMS[program](draws.newborn, rule, _how(settings))
    run.learn(next(draw_presentations(draws, settings)), None)


def print_memory(program: str) -> None:
    """Floats per synapse that learning takes at most, above libraries and images. Linux only."""
    importlib.import_module(MODULES[program])
    rng = np.random.default_rng(SEED)
    items = mp.draw_items(
        mp.load_digits(), n_items=10, n_train_images=2000, n_test_images=1, rng=rng
    )
    items = freeze_features(items, n_features=MEMORY_SIZES[0], rng=rng)
    shown = mp.draw_presentation(items, 0, epochs=1, rng=rng)
    del items
    if program == PACKAGE:  # kernels are libraries too
        learn_first(program)
    before = read_memory("VmRSS")
    network = mp.init_network(MEMORY_SIZES, rng=rng)
    rule = mp.init_metaplasticity(network, "hybrid", steepness=STEEPNESS, rng=rng)
    synapses = network.parameters.size
    how = mp.LearningSettings(learning_rate=1e-4, batch_size=PAPER_BATCH)
    run = PROGRAMS[program](network, rule, how)
    del network, rule
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    run.learn(shown, None)
    print((read_memory("VmHWM") - before) / 4 / synapses)


def read_memory(name: str) -> int:
    """Bytes, from the system's own accounts."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":  # a process of its own: python contest.py learn_first NumPy
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    {"learn_first": learn_first, "print_memory": print_memory}[sys.argv[1]](sys.argv[2])
