"""Trials: the unit of an experiment, of a worker's job, and of what survives an interruption.

A **trial** draws items, images, initial weights and flexibilities from its own child of the seed,
and lets every network learn the same presentations, so that networks are compared in pairs. Trials
are independent: they run in this process or in any ``concurrent.futures.Executor``, with one BLAS
thread each, and give the same bits for any number of workers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from .._util import checks, errors
from .._util.blas import one_blas_thread
from .._util.storage import read_arrays, write_arrays
from ..learning import LearningSettings, learn_item
from ..metrics import measure_confusion
from ..nn import Network, copy_network, init_network, predict, split_parameters
from ..rules import (
    Metaplasticity,
    init_metaplasticity,
    measure_displacement,
    measure_kappa,
    measure_plasticity,
)
from ..scenarios import (
    Dataset,
    Items,
    Presentation,
    Step,
    count_new,
    draw_items,
    draw_new_items,
    draw_presentation,
    draw_schedule,
    freeze_features,
)
from .machine import describe_machine
from .settings import Settings, describe_run

STATE_SECONDS = 30.0  # a trial that takes longer keeps its state this often
TENTHS = 10  # ranges of flexibility
MEASURED = (  # arrays of a trial
    "confusion",
    "recall_by_epoch",
    "new_confusion",
    "displacement_by_flexibility",
    "displacement_share",
    "item_classes",
    "schedule",
    "kappa",
)
KEPT = ("parameters", "confusion", "new_confusion", "path", "kept_after", "kept")  # of a state
MOST_FOLLOWED = 500_000  # weights whose way is kept to tell which synapses moved


# --- one trial -----------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, eq=False)
class _Draws:
    """Everything random about a trial, except the images' orders, drawn as they are needed."""

    schedule: list[Step]
    items: Items
    newborn: Network
    for_flexibility: np.random.SeedSequence
    for_order: np.random.SeedSequence


@dataclass(kw_only=True)
class _Progress:
    """What a trial has learned so far: with its draws, all that it needs to go on.

    The first axis of every list is the networks.
    """

    rms: float  # displacement after the conventional network's first presentation, for kappa
    parameters: list[NDArray[Any]]
    confusion: list[list[NDArray[np.int64]]]
    new_confusion: list[list[NDArray[np.int64]]]
    path: list[list[NDArray[Any]]]  # followed weights at birth and after every presentation
    kept: dict[int, list[NDArray[Any]]]  # by presentations learned, to rewind to
    done: int = 0


def run_trial(
    dataset: Dataset,
    settings: Settings,
    trial: int,
    backend: str,
    state: Path | None = None,
    threads: int = 1,
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """One trial: its arrays by name, and where and how long it ran.

    A trial that takes long keeps what it has learned so far in the file `state`. With several
    threads, networks learn at once: each alone, so the bits are the same.
    """
    started = time.perf_counter()
    backend = checks.check_backend(backend)  # loads the BLAS that is then limited to one thread
    with one_blas_thread(), _open_threads(threads) as each:
        arrays = _learn_schedule(dataset, settings, trial, backend, state, each)
        machine = describe_machine()
    seconds = round(time.perf_counter() - started, 3)
    return arrays, {"backend": backend, "machine": machine, "seconds": seconds}


@contextmanager
def _open_threads(threads: int) -> Iterator[Callable[..., Any]]:
    """What calls a function for each of something: in threads, or as Python's `map` does."""
    if threads == 1:
        yield map
        return
    with ThreadPoolExecutor(threads) as pool:
        yield pool.map


def _learn_schedule(
    dataset: Dataset,
    settings: Settings,
    trial: int,
    backend: str,
    state: Path | None,
    each: Callable[..., Any],
) -> dict[str, NDArray[Any]]:
    """One trial: every network learns every presentation, and all items are tested after each."""
    draws = draw_trial(dataset, settings, trial)
    schedule, items = draws.schedule, draws.items
    presentations = draw_presentations(draws, settings)
    learn = partial(_learn_and_test, items=items, settings=settings, backend=backend)
    followed = _choose_followed(draws.newborn) if settings.by_flexibility else slice(0, 0)
    rewound_to = {step.after for number, step in enumerate(schedule) if step.after != number}

    first = next(presentations)
    shared = None
    progress = None if state is None else _read_progress(state, dataset, settings)
    if progress is None:
        progress, shared = _start(draws, first, learn, len(settings.networks))
        _note(progress, followed, rewound_to)
    # Exactly one of the two is set.
    kappa = settings.kappa
    steepness = kappa / progress.rms if kappa else cast("float", settings.steepness)
    rules = init_rules(draws, settings, steepness)
    networks = [
        Network(layer_sizes=draws.newborn.layer_sizes, parameters=parameters)
        for parameters in progress.parameters
    ]

    written = time.perf_counter()
    for number, presentation in enumerate(chain([first], presentations)):
        if number < progress.done:
            continue  # drawn all the same, so that what follows is drawn alike
        _, _, shown, after = cast("tuple[int, int, int, int]", schedule[number])  # all filled in
        if after != number:
            for network, parameters in zip(networks, progress.kept[after], strict=True):
                network.parameters[:] = parameters
        # Born alike, networks part only when plasticities do: learn the first one once.
        is_shared = shared is not None and settings.refresh == "presentation"
        present = partial(_present, presentation, learn, shared if is_shared else None)
        for index, rows in enumerate(each(present, networks, rules)):
            progress.confusion[index].extend(rows)
            new = _test_new(networks[index], items, is_shown=shown >= len(items))
            progress.new_confusion[index].append(new)
        shared = None
        progress.done = number + 1
        _note(progress, followed, rewound_to)
        if state is not None and time.perf_counter() - written > STATE_SECONDS:
            _write_progress(state, progress, dataset, settings)
            written = time.perf_counter()

    counts = np.array(progress.confusion)
    rows_by_epoch = counts if settings.by_epoch else counts[:, :0]
    starts = [cast("int", step.after) for step in schedule]
    flexibility = [rule.flexibility[followed] for rule in rules]
    moved, share = _measure_by_flexibility(progress.path, flexibility, starts)
    return {
        "confusion": counts[:, :: settings.epochs if settings.by_epoch else 1],
        "new_confusion": np.array(progress.new_confusion),
        "recall_by_epoch": np.diagonal(rows_by_epoch, axis1=-2, axis2=-1) / settings.n_test_images,
        "item_classes": np.array(items.classes),
        "schedule": np.array(schedule),
        "kappa": np.array(steepness * progress.rms),
        "displacement_by_flexibility": moved,
        "displacement_share": share,
    }


def _present(
    presentation: Presentation,
    learn: Callable[..., list[NDArray[np.int64]]],
    shared: tuple[NDArray[Any], list[NDArray[np.int64]]] | None,
    network: Network,
    rule: Metaplasticity,
) -> list[NDArray[np.int64]]:
    """What a network learned of a presentation, or what its conventional twin did."""
    if shared is None or not _is_plastic_at_birth(rule):
        return learn(network, rule, presentation)
    network.parameters[:], rows = shared
    return rows


def draw_trial(dataset: Dataset, settings: Settings, trial: int) -> _Draws:
    """Draw from the trial's own child of the seed, each kind of thing from a child of that."""
    seeds = np.random.SeedSequence(settings.seed, spawn_key=(trial,)).spawn(7)
    for_items, for_features, for_weights, for_flexibility, for_order, for_schedule, for_new = seeds
    n_items = settings.n_items
    schedule = draw_schedule(settings.schedule, n_items, rng=np.random.default_rng(for_schedule))
    items = _draw_scaled_items(
        dataset, settings, count_new(schedule, n_items), (for_items, for_features, for_new)
    )
    newborn = init_network(
        (items.train_images.shape[-1], *settings.hidden, n_items),
        rng=np.random.default_rng(for_weights),
        dtype=settings.dtype,
    )
    return _Draws(
        schedule=schedule,
        items=items,
        newborn=newborn,
        for_flexibility=for_flexibility,
        for_order=for_order,
    )


def _start(
    draws: _Draws, first: Presentation, learn: Callable[..., Any], n_networks: int
) -> tuple[_Progress, tuple[NDArray[Any], list[NDArray[np.int64]]]]:
    """Networks as they are born, and what the first presentation makes of a conventional one.

    That defines kappa, whichever networks run.
    """
    newborn, items = draws.newborn, draws.items
    twin = copy_network(newborn)
    ordinary = init_metaplasticity(
        twin, "conventional", steepness=1.0, rng=np.random.default_rng(0)
    )
    rows = learn(twin, ordinary, first)
    weights, _ = split_parameters(measure_displacement(twin, ordinary), twin.layer_sizes)
    untrained = measure_confusion(newborn, items.test_images[: len(items)])
    no_new = _test_new(newborn, items, is_shown=False)
    progress = _Progress(
        rms=measure_kappa(np.concatenate([layer.ravel() for layer in weights]), steepness=1.0),
        parameters=[newborn.parameters.copy() for _ in range(n_networks)],
        confusion=[[untrained] for _ in range(n_networks)],
        new_confusion=[[no_new] for _ in range(n_networks)],
        path=[[] for _ in range(n_networks)],
        kept={},
    )
    return progress, (twin.parameters, rows)


def init_rules(draws: _Draws, settings: Settings, steepness: float) -> list[Metaplasticity]:
    """Flexibility for every network, all from the same uniform numbers."""
    return [
        init_metaplasticity(
            draws.newborn,
            kind,
            steepness=steepness,
            rng=np.random.default_rng(draws.for_flexibility),
            modulate_biases=settings.modulate_biases,
        )
        for kind in settings.networks
    ]


def _note(
    progress: _Progress, followed: NDArray[np.intp] | slice, rewound_to: Collection[int | None]
) -> None:
    """Keep what is measured along the way, and a state that a later step starts from."""
    for path, parameters in zip(progress.path, progress.parameters, strict=True):
        path.append(parameters[followed].copy())
    if progress.done in rewound_to:
        progress.kept[progress.done] = [parameters.copy() for parameters in progress.parameters]


def _draw_scaled_items(
    dataset: Dataset,
    settings: Settings,
    n_new: int,
    seeds: tuple[np.random.SeedSequence, ...],
) -> Items:
    """Items as the head sees them: through the frozen layer, if there is one, and scaled."""
    for_items, for_features, for_new = seeds
    items = draw_items(
        dataset,
        n_items=settings.n_items,
        n_train_images=settings.n_train_images,
        n_test_images=settings.n_test_images,
        rng=np.random.default_rng(for_items),
        dtype=settings.dtype,
    )
    if n_new:
        items = draw_new_items(items, dataset, n_new=n_new, rng=np.random.default_rng(for_new))
    if settings.n_features:
        rng = np.random.default_rng(for_features)
        with np.errstate(over="ignore", invalid="ignore"):
            items = freeze_features(items, n_features=settings.n_features, rng=rng)
    scale = checks.check_scalar("input_scale", settings.input_scale, dtype=items.train_images.dtype)
    with np.errstate(over="ignore"):  # refused below, in words
        scaled = {name: getattr(items, name) * scale for name in ("train_images", "test_images")}
    for name, images in scaled.items():
        checks.check_finite(name, images)
    return replace(items, **scaled)


def draw_presentations(draws: _Draws, settings: Settings) -> Iterator[Presentation]:
    """One presentation a step, drawn only when its turn comes, since images take memory."""
    rng = np.random.default_rng(draws.for_order)
    for number, step in enumerate(draws.schedule):
        yield draw_presentation(
            draws.items,
            step,
            epochs=settings.epochs,
            non_target=settings.non_target,
            rng=rng,
            number=number,
        )


def _is_plastic_at_birth(rule: Metaplasticity) -> bool:
    """Whether no synapse is rigid: then the first presentation is the conventional network's."""
    still = np.zeros_like(rule.flexibility)
    plasticity = measure_plasticity(rule.flexibility, still, steepness=rule.steepness)
    return bool((plasticity == 1).all())


def _learn_and_test(
    network: Network,
    rule: Metaplasticity,
    presentation: Presentation,
    *,
    items: Items,
    settings: Settings,
    backend: str,
) -> list[NDArray[np.int64]]:
    """Learn a presentation; return the confusion after each epoch, or only after the last."""
    confusion: list[NDArray[np.int64]] = []

    def test(_: int = 0) -> None:
        try:
            confusion.append(measure_confusion(network, items.test_images[: len(items)]))
        except errors.DivergenceError:
            errors.raise_diverged("the network's answers", presentation.number)

    learn_item(
        network,
        rule,
        presentation,
        settings=LearningSettings(
            learning_rate=settings.learning_rate,
            batch_size=settings.batch_size,
            refresh=settings.refresh,
        ),
        backend=backend,
        after_epoch=test if settings.by_epoch else None,
    )
    if not settings.by_epoch:
        test()
    return confusion


def _test_new(network: Network, items: Items, *, is_shown: bool) -> NDArray[np.int64]:
    """What is answered to new items, which have no output; 0 if none was shown just now."""
    images = items.test_images[len(items) :]
    if not is_shown:
        return np.zeros((len(images), len(items)), np.int64)
    answers = predict(network, images.reshape(-1, images.shape[-1])).reshape(images.shape[:2])
    return np.array([np.bincount(row, minlength=len(items)) for row in answers])


def _choose_followed(network: Network) -> NDArray[np.intp]:
    """Which weights are followed: all, or an even sample of a large network's. No biases."""
    is_weight = np.zeros(len(network.parameters), dtype=bool)
    for weights in split_parameters(is_weight, network.layer_sizes)[0]:
        weights[:] = True
    indices = np.flatnonzero(is_weight)
    return indices[:: -(-len(indices) // MOST_FOLLOWED)]


def _measure_by_flexibility(
    path: list[list[NDArray[Any]]], flexibility: list[NDArray[Any]], starts: list[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How far the synapses of each tenth of flexibility went in each presentation.

    The rms of a presentation's steps, from the state that it started from; and the share it has in
    where they came in the end: its steps projected on the displacement at the end, which adds up to
    1 where no schedule rewinds. NaN where a tenth has no synapse.
    """
    n_steps = len(path[0]) - 1
    moved = np.full((len(path), n_steps, TENTHS), np.nan)
    share = moved.copy()
    for network, (weights, f) in enumerate(zip(path, flexibility, strict=True)):
        if not len(f):
            return moved[:, :0], share[:, :0]
        tenth = np.minimum((f * TENTHS).astype(np.intp), TENTHS - 1)
        count = np.bincount(tenth, minlength=TENTHS)
        places = np.array(weights, dtype=np.float64)
        # A power of 2 keeps squares in range and changes no digit.
        exponent = np.frexp(np.abs(places).max())[1] + 1
        places = np.ldexp(places, -exponent)
        steps, total = places[1:] - places[starts], places[-1] - places[0]
        whole = np.bincount(tenth, weights=total**2, minlength=TENTHS)
        with np.errstate(invalid="ignore"):  # 0 / 0 is NaN: no synapse, or none that moved
            for number, step in enumerate(steps):
                squares = np.bincount(tenth, weights=step**2, minlength=TENTHS)
                along = np.bincount(tenth, weights=step * total, minlength=TENTHS)
                moved[network, number] = np.ldexp(np.sqrt(squares / count), exponent)
                share[network, number] = along / whole
    return moved, share


# --- the state of a long trial -------------------------------------------------------


def _write_progress(path: Path, progress: _Progress, dataset: Dataset, settings: Settings) -> None:
    """Put what was learned so far on disk, whole; uncompressed, since weights do not compress."""
    if not path.parent.is_dir():
        return  # a worker on another machine, which the folder does not reach
    arrays = {
        "parameters": np.array(progress.parameters),
        "confusion": np.array(progress.confusion),
        "new_confusion": np.array(progress.new_confusion),
        "path": np.array(progress.path),
        "kept_after": np.array(list(progress.kept), dtype=np.intp),
        "kept": np.array(list(progress.kept.values())),
    }
    facts = {"done": progress.done, "rms": progress.rms}
    header = {**describe_run(dataset, settings), **facts}
    write_arrays(path, arrays, header=header, compress=False)


def _read_progress(path: Path, dataset: Dataset, settings: Settings) -> _Progress | None:
    """What a stopped trial had learned, refused if it was another run's."""
    if not path.exists():
        return None
    arrays, header = read_arrays(path)
    errors.check_same_run(path, header, describe_run(dataset, settings))
    errors.check_names(path, arrays, KEPT)
    after = [int(number) for number in arrays["kept_after"]]
    return _Progress(
        rms=float(header["rms"]),
        parameters=list(arrays["parameters"]),
        confusion=[list(rows) for rows in arrays["confusion"]],
        new_confusion=[list(rows) for rows in arrays["new_confusion"]],
        kept={number: list(kept) for number, kept in zip(after, arrays["kept"], strict=True)},
        path=[list(rows) for rows in arrays["path"]],
        done=int(header["done"]),
    )


# --- what is kept of a run -----------------------------------------------------------


def _trial_path(folder: Path, trial: int) -> Path:
    return folder / f"trial-{trial:04d}.npz"


def state_path(folder: Path, trial: int) -> Path:
    """Where a trial that takes long keeps what it has learned so far."""
    return folder / f"trial-{trial:04d}.state.npz"


def write_trial(
    folder: Path,
    trial: int,
    arrays: dict[str, NDArray[Any]],
    header: dict[str, Any],
) -> None:
    """Put a finished trial on disk, whole."""
    errors.check_output_folder(folder)
    write_arrays(_trial_path(folder, trial), arrays, header=header)
    state_path(folder, trial).unlink(missing_ok=True)


def read_trials(
    folder: Path, identity: dict[str, Any]
) -> dict[int, tuple[dict[str, NDArray[Any]], dict[str, Any]]]:
    """Finished trials in a checkpoint folder, refused if they belong to another run."""
    trials = {}
    for trial in range(identity["settings"]["trials"]):
        path = _trial_path(folder, trial)
        if path.exists():
            arrays, header = read_arrays(path)
            errors.check_same_run(path, header, identity)
            errors.check_names(path, arrays, MEASURED)
            trials[trial] = arrays, header
    return trials
