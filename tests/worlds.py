"""Small random worlds for the laws: a network, its metaplasticity, and presentations to learn."""

from dataclasses import dataclass
from unittest import mock

import numpy as np
from hypothesis import strategies as st

from metaplastic_np import (
    LearningSettings,
    Metaplasticity,
    Network,
    Presentation,
    copy_network,
    init_metaplasticity,
    init_network,
    learn_item,
    learning,
    loss_and_gradient,
)

REPRODUCE = ["reproduce", "--trials", "2", "--hidden", "6", "--epochs", "1", "--batch", "600"]
REPRODUCE += ["--backend", "numpy"]  # the whole paper in seconds, and no claim of it
KINDS = ("conventional", "stable", "hybrid", "biased-up", "biased-down", "homogeneous:0.8")


@dataclass
class World:
    """Everything that one call of learn_item needs, and more presentations for later."""

    network: Network
    metaplasticity: Metaplasticity
    presentations: list
    settings: LearningSettings

    def twin(self):
        """An equal network to learn the same with."""
        return copy_network(self.network)


def make_world(
    seed,
    *,
    layer_sizes=(6, 5, 4, 3),
    kind="hybrid",
    n_images=9,
    epochs=2,
    dtype=np.float64,
    steepness=20.0,
    image_scale=1.0,
    presentations=1,
    modulate_biases=False,
    **options,
):
    """Draw a world: biases are not zero, so that nothing sits on the kink of a ReLU."""
    rng = np.random.default_rng(seed)
    network = init_network(layer_sizes, rng=rng, dtype=dtype)
    for bias in network.biases:
        bias[:] = 0.1 * rng.standard_normal(bias.shape)
    metaplasticity = init_metaplasticity(
        network, kind, steepness=steepness, rng=rng, modulate_biases=modulate_biases
    )
    shown = []
    for number in range(presentations):
        images = image_scale * rng.standard_normal((n_images, layer_sizes[0]))
        shown.append(
            Presentation(
                images=images.astype(dtype),
                labels=rng.integers(layer_sizes[-1], size=n_images),
                order=np.array([rng.permutation(n_images) for _ in range(epochs)]),
                number=number,
            )
        )
    settings = LearningSettings(**{"learning_rate": 0.3, "batch_size": 4, **options})
    return World(network, metaplasticity, shown, settings)


def learn(world, backend, **options):
    """Learn all presentations of a world; return the losses."""
    return np.concatenate(
        [
            learn_item(
                world.network,
                world.metaplasticity,
                presentation,
                settings=world.settings,
                backend=backend,
                **options,
            )
            for presentation in world.presentations
        ]
    )


def batches(world):
    """Images and labels of every update, in order."""
    for presentation in world.presentations:
        for epoch in presentation.order:
            for start in range(0, len(epoch), world.settings.batch_size):
                rows = epoch[start : start + world.settings.batch_size]
                yield presentation.images[rows], presentation.labels[rows]


def learn_plainly(world, backend):
    """Plain gradient descent; in the fast body, with rates that no plasticity has touched."""
    if backend == "numpy":
        rate = world.network.parameters.dtype.type(world.settings.learning_rate)
        for images, labels in batches(world):
            gradient = loss_and_gradient(world.network, images, labels)[1]
            world.network.parameters[:] -= rate * gradient
        return

    def without_rule(rate, *_, learning_rate):
        rate[:] = learning_rate

    with mock.patch.object(learning, "synaptic_rate_into", without_rule):
        learn(world, backend)


SEEDS = st.integers(0, 2**32 - 1)
DTYPES = st.sampled_from([np.float32, np.float64])
REFRESHES = st.sampled_from(["presentation", "update"])
LAYER_SIZES = st.lists(st.integers(1, 7), min_size=1, max_size=5).flatmap(
    lambda hidden: st.integers(2, 5).map(lambda n_out: (*hidden, n_out))
)


@st.composite
def worlds(draw, **fixed):
    """Worlds of random depth, width, batch size, labels and rule."""
    drawn = {
        "layer_sizes": draw(LAYER_SIZES),
        "kind": draw(st.sampled_from(KINDS)),
        "n_images": draw(st.integers(1, 9)),
        "epochs": draw(st.integers(1, 3)),
        "batch_size": draw(st.integers(1, 12)),
        "learning_rate": draw(st.floats(1e-3, 0.5)),
        "steepness": draw(st.floats(0.1, 100.0)),
        "refresh": draw(REFRESHES),
    }
    return make_world(draw(SEEDS), **{**drawn, **fixed})
