"""Times of the parts. Run: pytest tests/benchmarks/kernels.py (the extra "bench")

Not run with the tests. In each group stand NumPy's body and the compiled one.
"""

import numpy as np
import pytest

import metaplastic_np as mp

SHAPES = {"1024-256-256-10": (1024, 256, 256, 10), "1568-1024-1024-10": (1568, 1024, 1024, 10)}


def make_world(sizes, density=1.0, n_images=512):
    rng = np.random.default_rng(0)
    network = mp.init_network(sizes, rng=rng)
    rule = mp.init_metaplasticity(network, "hybrid", steepness=5_000.0, rng=rng)
    images = rng.random((n_images, sizes[0]), np.float32)
    images *= rng.random(images.shape) < density
    presentation = mp.scenarios.Presentation(
        images=images,
        labels=rng.integers(0, sizes[-1], n_images),
        order=rng.permutation(n_images)[None],
    )
    return network, rule, presentation


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("density", [1.0, 0.2])
@pytest.mark.parametrize("shape", SHAPES)
def test_an_epoch(benchmark, shape, density, backend):
    benchmark.group = f"an epoch of 512 images, {shape}, {density:.0%} of the inputs on"
    network, rule, presentation = make_world(SHAPES[shape], density)
    settings = mp.LearningSettings(learning_rate=1e-3)
    benchmark(mp.learn_item, network, rule, presentation, settings=settings, backend=backend)


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_plasticity(benchmark, backend):
    benchmark.group = "the synaptic rate of a million synapses, and an update by one dark image"
    network, rule, presentation = make_world((1000, 1000), density=0, n_images=1)
    settings = mp.LearningSettings(learning_rate=0.01)
    benchmark(mp.learn_item, network, rule, presentation, settings=settings, backend=backend)
