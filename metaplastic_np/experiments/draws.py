"""Everything random about a trial, each kind of thing from a stream of its own.

So that a rule's or a memory's draws never shift the order of the images, and networks that share a
seed share items, images, initial weights and uniform numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from .._util import checks
from ..learning import Learner
from ..nn import Network, init_network
from ..rules import Birth
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
from .learners import init_learner
from .settings import Settings


@dataclass(frozen=True, kw_only=True, eq=False)
class Draws:
    """Everything random about a trial, except the images' orders, drawn as they are needed."""

    schedule: list[Step]
    items: Items
    newborn: Network
    for_flexibility: np.random.SeedSequence
    for_order: np.random.SeedSequence
    for_learning: np.random.SeedSequence


def draw_trial(dataset: Dataset, settings: Settings, trial: int) -> Draws:
    """Draw from the trial's own child of the seed, each kind of thing from a child of that."""
    seeds = np.random.SeedSequence(settings.seed, spawn_key=(trial,)).spawn(8)
    for_items, for_features, for_weights, for_flexibility, for_order, for_schedule = seeds[:6]
    for_new, for_learning = seeds[6:]
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
    return Draws(
        schedule=schedule,
        items=items,
        newborn=newborn,
        for_flexibility=for_flexibility,
        for_order=for_order,
        for_learning=for_learning,
    )


def spawn_rng(seeds: np.random.SeedSequence, number: int) -> np.random.Generator:
    """The draws of rules and rehearsals in one presentation, wherever a trial was resumed."""
    child = np.random.SeedSequence(seeds.entropy, spawn_key=(*seeds.spawn_key, number))
    return np.random.default_rng(child)


def init_learners(draws: Draws, settings: Settings, steepness: float) -> list[Learner]:
    """How every network learns; flexibilities are drawn from the same uniform numbers."""
    return [
        init_learner(
            draws.newborn,
            name,
            Birth(
                steepness, settings.modulate_biases, np.random.default_rng(draws.for_flexibility)
            ),
        )
        for name in settings.networks
    ]


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


def draw_presentations(draws: Draws, settings: Settings) -> Iterator[Presentation]:
    """One presentation per step, drawn only when its turn comes, since images take memory."""
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
