"""Any order of presenting, measuring, saving, loading, rewinding and changing how: the laws hold.

For longer: METAPLASTIC_NP_TEST_EXAMPLES=1000 python -m pytest tests/lab/test_stateful.py
"""

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from worlds import DTYPES, SEEDS, batches, learn, make_world

import metaplastic_np as mp

SIZES = (6, 5, 4, 3)
# Of two bodies that add in another order, relative to the largest displacement; rounding grows by
# a factor of some ten in a dozen presentations.
APART = {np.float32: 1e-3, np.float64: 1e-9}


class Learner(RuleBasedStateMachine):
    """A network, a twin in the other body, and an ordinary pair that must stay equal."""

    other_backend = "numpy"

    @initialize(
        seed=SEEDS,
        dtype=DTYPES,
        kind=st.sampled_from(["hybrid", "biased-up", "biased-down", "stable"]),
        modulate_biases=st.booleans(),
    )
    def be_born(self, seed, dtype, kind, modulate_biases):
        self.folder = tempfile.TemporaryDirectory()
        world = make_world(seed, kind=kind, dtype=dtype, modulate_biases=modulate_biases)
        flexibility = world.metaplasticity.flexibility.copy()
        flexibility[::4], flexibility[1::4] = 0, 1  # rigid ones, ordinary ones, and the others
        self.rule = replace(world.metaplasticity, flexibility=flexibility)
        self.reference = self.rule.initial_weights.copy(), flexibility
        self.dtype, self.networks = dtype, [world.network, mp.copy_network(world.network)]
        self.backends = ["numpy", self.other_backend]
        self.options = {"learning_rate": 0.1, "batch_size": 4, "refresh": "presentation"}
        self.ordinary, self.plain = (mp.copy_network(world.network) for _ in range(2))
        self.conventional = mp.init_metaplasticity(
            self.plain, "conventional", steepness=9.0, rng=np.random.default_rng(0)
        )
        self.kept = None

    def teardown(self):
        if hasattr(self, "folder"):
            self.folder.cleanup()

    def worlds(self, seed, scale=1.0):
        """The same presentation for everybody."""
        shown = make_world(
            seed, layer_sizes=SIZES, dtype=self.dtype, image_scale=scale, **self.options
        )
        for network, backend in zip(self.networks, self.backends, strict=True):
            yield replace(shown, network=network, metaplasticity=self.rule), backend
        yield replace(shown, network=self.ordinary, metaplasticity=self.conventional), "numpy"

    @rule(seed=SEEDS, scale=st.sampled_from([0.0, 0.3, 1.0]))
    def present(self, seed, scale):
        for world, backend in self.worlds(seed, scale):
            learn(world, backend)
        rate = self.dtype(self.options["learning_rate"])
        for images, labels in batches(world):
            gradient = mp.loss_and_gradient(self.plain, images, labels)[1]
            self.plain.parameters[:] -= rate * gradient

    @rule(seed=SEEDS)
    def present_and_look_after_each_epoch(self, seed):
        found = []
        for world, backend in list(self.worlds(seed))[:2]:
            unseen = replace(world, network=mp.copy_network(world.network))
            images = world.presentations[0].images
            learn(
                world,
                backend,
                after_epoch=lambda _, world=world, images=images: mp.predict(world.network, images),
            )
            learn(unseen, backend)
            found.append(unseen.network.parameters.tobytes() == world.network.parameters.tobytes())
        assert all(found)

    @rule(seed=SEEDS)
    def measure(self, seed):
        for network in self.networks:
            before = network.parameters.tobytes()
            images = np.random.default_rng(seed).random((3, 4, 6)).astype(self.dtype)
            mp.measure_recall(mp.measure_confusion(network, images))
            displacement = mp.measure_displacement(network, self.rule)
            mp.measure_plasticity(self.rule.flexibility, displacement, steepness=20.0)
            if displacement.any():
                mp.measure_kappa(displacement, steepness=20.0)
            assert network.parameters.tobytes() == before

    @rule()
    def save_and_load(self):
        path = Path(self.folder.name) / "saved.npz"
        for index, network in enumerate(self.networks):
            mp.save_network(path, network)
            self.networks[index] = mp.load_network(path)
            assert self.networks[index].parameters.tobytes() == network.parameters.tobytes()
        mp.rules.save_metaplasticity(path, self.rule)
        self.rule = mp.rules.load_metaplasticity(path)

    @rule()
    def keep(self):
        self.kept = [mp.copy_network(network) for network in self.networks]

    @precondition(lambda self: self.kept is not None)
    @rule()
    def rewind(self):
        self.networks = [mp.copy_network(network) for network in self.kept]

    @rule()
    def exchange_the_bodies(self):
        self.backends.reverse()

    @rule(
        refresh=st.sampled_from(["presentation", "update"]),
        batch_size=st.sampled_from([1, 4, 20]),
        learning_rate=st.sampled_from([0.01, 0.1]),
    )
    def learn_otherwise(self, **options):
        self.options = options

    @invariant()
    def rigid_synapses_stand_where_they_were_born(self):
        birth, flexibility = self.reference
        for network in self.networks:
            still = network.parameters[flexibility == 0]
            assert still.tobytes() == birth[flexibility == 0].tobytes()

    @invariant()
    def birth_and_flexibility_are_what_they_were(self):
        for array, reference in zip(
            (self.rule.initial_weights, self.rule.flexibility), self.reference, strict=True
        ):
            assert not array.flags.writeable
            assert array.tobytes() == reference.tobytes()

    @invariant()
    def both_bodies_agree(self):
        one, other = (network.parameters for network in self.networks)
        assert np.isfinite(one).all()
        moved = np.abs(one - self.reference[0]).max()
        assert np.abs(one - other).max() <= APART[self.dtype] * moved

    @invariant()
    def flexibility_1_is_plain_gradient_descent(self):
        assert self.ordinary.parameters.tobytes() == self.plain.parameters.tobytes()


class Compiled(Learner):
    """A network in NumPy, its twin compiled."""

    other_backend = "numba"


TestNumPy, TestCompiled = Learner.TestCase, pytest.mark.numba(Compiled.TestCase)
TestNumPy.settings = TestCompiled.settings = settings(
    max_examples=int(os.environ.get("METAPLASTIC_NP_TEST_EXAMPLES", "25")), stateful_step_count=12
)
