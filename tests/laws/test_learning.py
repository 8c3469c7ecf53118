"""Laws of learning: what rigid, ordinary and metaplastic synapses may and must do."""

import re
import tracemalloc
from contextlib import suppress
from dataclasses import FrozenInstanceError, replace
from unittest import mock

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import (
    DTYPES,
    KINDS,
    REFRESHES,
    SEEDS,
    batches,
    learn,
    learn_plainly,
    make_world,
    worlds,
)

from metaplastic_np import (
    DivergenceError,
    InputError,
    LearningSettings,
    Metaplasticity,
    Network,
    Settings,
    copy_network,
    draw_flexibility,
    init_metaplasticity,
    init_network,
    learn_item,
    learning,
    load_network,
    loss_and_gradient,
    measure_confusion,
    measure_displacement,
    measure_kappa,
    measure_plasticity,
    predict,
    save_network,
    split_parameters,
)
from metaplastic_np._util.storage import write_arrays
from metaplastic_np.nn import sgd_step_inplace
from metaplastic_np.rules import (
    load_metaplasticity,
    measure_drift,
    measure_synaptic_rate,
    metaplasticity,
    save_metaplasticity,
)
from metaplastic_np.scenarios import Presentation

# --- off equals plain gradient descent, on differs -----------------------------------


@given(data=st.data())
def test_flexibility_1_is_plain_gradient_descent_bit_for_bit(backend, data):
    world = data.draw(worlds(kind="conventional", dtype=data.draw(DTYPES)))
    plain = replace(world, network=world.twin())
    learn(world, backend)
    learn_plainly(plain, backend)
    assert world.network.parameters.tobytes() == plain.network.parameters.tobytes()


@given(SEEDS, DTYPES)
def test_biases_are_ordinary_unless_modulated(seed, dtype):
    world = make_world(seed, dtype=dtype)
    weights, biases = split_parameters(world.metaplasticity.flexibility, world.network.layer_sizes)
    assert all((bias == 1).all() for bias in biases)
    assert all((weight < 1).any() for weight in weights)
    modulated = make_world(seed, dtype=dtype, modulate_biases=True)
    _, biases = split_parameters(modulated.metaplasticity.flexibility, world.network.layer_sizes)
    assert any((bias < 1).any() for bias in biases)


# --- rigid and nearly rigid synapses -------------------------------------------------


@given(
    seed=SEEDS,
    dtype=DTYPES,
    refresh=REFRESHES,
    power=st.floats(-3, 30),
    learning_rate=st.floats(1e-6, 1e6),
    presentations=st.integers(1, 4),
)
def test_flexibility_0_never_moves_a_weight(
    backend, seed, dtype, refresh, power, learning_rate, presentations
):
    """Inputs up to 1e30 make gradients of that size; biases, which are ordinary, do move."""
    world = make_world(
        seed,
        layer_sizes=(6, 3),
        kind="homogeneous:0",
        image_scale=10.0**power,
        dtype=dtype,
        refresh=refresh,
        learning_rate=learning_rate,
        presentations=presentations,
    )
    weights, biases = (
        [a.copy() for a in part] for part in (world.network.weights, world.network.biases)
    )
    learn(world, backend)
    for now, birth in zip(world.network.weights, weights, strict=True):
        np.testing.assert_array_equal(now, birth)
    if learning_rate > 1e-3:  # below, a step may round away
        assert any((now != b).any() for now, b in zip(world.network.biases, biases, strict=True))


@given(data=st.data())
def test_only_rigid_synapses_of_a_mixed_network_stand_still(backend, data):
    world = data.draw(worlds(kind="hybrid", dtype=data.draw(DTYPES)))
    flexibility = world.metaplasticity.flexibility.copy()
    rigid = np.random.default_rng(0).random(flexibility.shape) < 0.3
    flexibility[rigid] = 0
    world.metaplasticity = replace(world.metaplasticity, flexibility=flexibility)
    learn(world, backend)
    moved = world.network.parameters != world.metaplasticity.initial_weights
    assert not moved[rigid].any()


@given(
    seed=SEEDS,
    flexibility=st.floats(0.001, 0.5),
    steepness=st.floats(1, 200),
    learning_rate=st.floats(0.01, 2),
)
def test_a_refreshed_synapse_obeys_the_drift_bound(
    backend, seed, flexibility, steepness, learning_rate
):
    """s |w - w0| <= X(t) + the largest step, X the drift under a constant gradient."""
    world = make_world(
        seed,
        layer_sizes=(4, 3, 3),
        kind=f"homogeneous:{flexibility}",
        modulate_biases=True,
        steepness=steepness,
        learning_rate=learning_rate,
        refresh="update",
        epochs=6,
    )
    effort = np.zeros_like(world.network.parameters)
    largest = np.zeros_like(effort)
    for images, labels in batches(world):
        step = np.abs(loss_and_gradient(world.network, images, labels)[1])
        step *= steepness * learning_rate
        effort += step
        largest = np.maximum(largest, step)
        one = Presentation(images=images, labels=labels, order=np.arange(len(labels))[None])
        learn_item(
            world.network, world.metaplasticity, one, settings=world.settings, backend=backend
        )
        travelled = steepness * np.abs(measure_displacement(world.network, world.metaplasticity))
        bound = [measure_drift(t, flexibility=flexibility) for t in effort] + largest
        assert (travelled <= bound * (1 + 1e-9) + 1e-12).all()


@given(seed=SEEDS, flexibility=st.floats(0.001, 0.5), steepness=st.floats(1, 200))
def test_refreshed_once_a_presentation_it_obeys_the_bound_of_net_steps(
    backend, seed, flexibility, steepness
):
    world = make_world(
        seed,
        layer_sizes=(4, 3, 3),
        kind=f"homogeneous:{flexibility}",
        modulate_biases=True,
        steepness=steepness,
        presentations=5,
    )
    effort = np.zeros_like(world.network.parameters)
    largest = np.zeros_like(effort)
    for presentation in world.presentations:
        plasticity = measure_plasticity(
            world.metaplasticity.flexibility,
            measure_displacement(world.network, world.metaplasticity),
            steepness=steepness,
        )
        rate = measure_synaptic_rate(plasticity, learning_rate=world.settings.learning_rate)
        probe, net = world.twin(), np.zeros_like(effort)
        for images, labels in batches(replace(world, presentations=[presentation])):
            gradient = loss_and_gradient(probe, images, labels)[1]
            net += gradient
            sgd_step_inplace(probe, gradient, learning_rate=rate)
        step = steepness * world.settings.learning_rate * np.abs(net)
        effort += step
        largest = np.maximum(largest, step)
        learn_item(
            world.network,
            world.metaplasticity,
            presentation,
            settings=world.settings,
            backend=backend,
        )
        np.testing.assert_allclose(world.network.parameters, probe.parameters, atol=1e-12)
        travelled = steepness * np.abs(measure_displacement(world.network, world.metaplasticity))
        bound = [measure_drift(t, flexibility=flexibility) for t in effort] + largest
        assert (travelled <= bound * (1 + 1e-9) + 1e-9).all()


# --- what learning leaves alone ------------------------------------------------------


@given(data=st.data())
def test_birth_and_flexibility_stay_bitwise_the_same(backend, data):
    world = data.draw(worlds(presentations=2))
    rule = world.metaplasticity
    before = rule.initial_weights.tobytes(), rule.flexibility.tobytes()
    images = [presentation.images.tobytes() for presentation in world.presentations]
    learn(world, backend)
    assert before == (rule.initial_weights.tobytes(), rule.flexibility.tobytes())
    assert images == [presentation.images.tobytes() for presentation in world.presentations]


def test_reference_arrays_cannot_be_written():
    world = make_world(0)
    for array in (world.metaplasticity.initial_weights, world.metaplasticity.flexibility):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_metaplasticity_keeps_its_own_copy_of_arrays_that_can_be_written():
    birth, flexibility = np.zeros(3), np.ones(3)
    view = birth.view()
    view.flags.writeable = False  # read-only, and yet it changes with its base
    rule = Metaplasticity(initial_weights=view, flexibility=flexibility, steepness=1.0)
    birth[:] = 5
    flexibility[:] = 0.5
    assert not rule.initial_weights.any()
    assert (rule.flexibility == 1).all()


@given(data=st.data())
def test_measuring_after_every_epoch_changes_no_bit(backend, data):
    world = data.draw(worlds(presentations=2, dtype=data.draw(DTYPES)))
    silent = world.twin()
    images = world.presentations[0].images
    n_items = world.network.layer_sizes[-1]
    tests = np.broadcast_to(images, (n_items, *images.shape))
    epochs = []

    def measure(epoch):
        epochs.append(epoch)
        before = world.network.parameters.tobytes()
        measure_confusion(world.network, tests)
        predict(world.network, images)
        measure_displacement(world.network, world.metaplasticity)
        assert world.network.parameters.tobytes() == before

    losses = learn(world, backend, after_epoch=measure)
    world.network, measured = silent, world.network
    np.testing.assert_array_equal(learn(world, backend), losses)
    assert measured.parameters.tobytes() == silent.parameters.tobytes()
    assert epochs == 2 * list(range(len(world.presentations[0].order)))


# --- one algorithm, two bodies and an oracle -----------------------------------------


@pytest.mark.numba
@pytest.mark.parametrize("body", ["numpy", "numba"])
def test_the_body_that_is_asked_for_is_the_one_that_learns(body, monkeypatch):
    def refuse(*_):
        pytest.fail("the other body was started")

    other = {"numpy": "_open_fast", "numba": "_learn_batches"}[body]
    monkeypatch.setattr(learning, other, refuse)
    assert learn(make_world(0), body).size


@given(world=worlds(presentations=2))
@settings(max_examples=25)
def test_both_bodies_equal_a_scalar_loop(backend, world):
    expected = naive.learn_world(world)
    learn(world, backend)
    np.testing.assert_allclose(world.network.parameters, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.numba
@given(data=st.data())
def test_numba_equals_numpy_over_a_presentation_in_float64(data):
    world = data.draw(worlds())
    other = world.twin()
    fast = learn(world, "numba")
    fast_parameters = world.network.parameters
    world.network = other
    np.testing.assert_allclose(fast, learn(world, "numpy"), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(fast_parameters, other.parameters, rtol=1e-9, atol=1e-11)


@pytest.mark.numba
@given(data=st.data())
def test_numba_equals_numpy_over_an_update_in_float32(data):
    world = data.draw(worlds(dtype=np.float32, epochs=1, batch_size=12))
    other = world.twin()
    learn(world, "numba")
    fast = world.network.parameters
    world.network = other
    learn(world, "numpy")
    np.testing.assert_allclose(fast, other.parameters, rtol=2e-5, atol=2e-6)


@given(data=st.data())
def test_memory_layout_changes_nothing(backend, data):
    world = data.draw(worlds(n_images=6, dtype=data.draw(DTYPES)))
    shown = world.presentations[0]
    results = []
    for arrange in (
        np.ascontiguousarray,
        np.asfortranarray,
        lambda array: np.repeat(array, 2, axis=0)[::2],
        lambda array: array[::-1].copy()[::-1],
    ):
        world.presentations = [
            Presentation(
                images=arrange(shown.images),
                labels=arrange(shown.labels),
                order=arrange(shown.order.astype(np.int32)),
            )
        ]
        start = world.twin()
        learn(world, backend)
        results.append(world.network.parameters.tobytes())
        world.network = start
    assert len(set(results)) == 1


@given(seed=SEEDS, dtype=DTYPES, refresh=REFRESHES)
def test_permuting_hidden_units_permutes_everything(backend, seed, dtype, refresh):
    world = make_world(seed, layer_sizes=(6, 5, 3), dtype=dtype, refresh=refresh, presentations=2)
    order = np.random.default_rng(seed).permutation(5)

    def permuted(vector):
        (first, last), (bias, out) = split_parameters(vector, (6, 5, 3))
        return np.concatenate([first[:, order].ravel(), bias[order], last[order].ravel(), out])

    rule = world.metaplasticity
    twin = make_world(seed, layer_sizes=(6, 5, 3), dtype=dtype, refresh=refresh, presentations=2)
    twin.network = Network(
        layer_sizes=(6, 5, 3), parameters=permuted(world.network.parameters).copy()
    )
    twin.metaplasticity = Metaplasticity(
        initial_weights=permuted(rule.initial_weights),
        flexibility=permuted(rule.flexibility),
        steepness=rule.steepness,
    )
    learn(world, backend)
    learn(twin, backend)
    tolerance = 1e-11 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose(
        twin.network.parameters, permuted(world.network.parameters), rtol=tolerance, atol=tolerance
    )


@given(seed=SEEDS, dtype=DTYPES)
def test_the_same_world_learned_twice_gives_the_same_bits(backend, seed, dtype):
    first, second = (make_world(seed, dtype=dtype, presentations=2) for _ in range(2))
    learn(first, backend)
    learn(second, backend)
    assert first.network.parameters.tobytes() == second.network.parameters.tobytes()


# --- what learning is told -----------------------------------------------------------


def test_without_a_word_a_network_learns_as_in_an_experiment():
    told, of_experiments = LearningSettings(), Settings()
    for name in ("learning_rate", "batch_size", "refresh"):
        assert getattr(told, name) == getattr(of_experiments, name)


def test_how_to_learn_stays_as_it_was_checked():
    with pytest.raises(FrozenInstanceError):
        LearningSettings().learning_rate = -1.0


@pytest.mark.parametrize("other", [{"layer_sizes": (6, 5, 3)}, {"dtype": np.float32}])
def test_a_rule_of_another_network_is_refused(backend, other):
    world = make_world(0)
    world.metaplasticity = make_world(0, **other).metaplasticity
    with pytest.raises(InputError, match=r"`initial_weights` must (have|be)"):
        learn(world, backend)


def test_hundreds_of_updates_are_one_call(backend):
    world = make_world(0, epochs=200)
    losses = learn(world, backend)
    assert losses.shape == (600,)
    assert losses[-30:].mean() < losses[:30].mean()


# --- what makes the fast body fast changes nothing -----------------------------------


def assert_fast_learns_what_numpy_learns(world):
    twin = world.twin()
    losses = learn(world, "numpy")
    world.network, numpy_network = twin, world.network
    np.testing.assert_allclose(learn(world, "numba"), losses, rtol=1e-9)
    moved = np.abs(numpy_network.parameters - world.metaplasticity.initial_weights).max()
    difference = np.abs(twin.parameters - numpy_network.parameters).max()
    assert difference < 1e-10 * moved


@pytest.fixture
def calls(monkeypatch):
    """How often the fast body copied its inputs, and how often it was careful."""
    from metaplastic_np import _fast

    counts = {"without dark inputs": 0, "careful": 0}
    find, careful = _fast._find_inputs_to_keep, _fast.FastLearner._update_carefully

    def found(*told):
        kept = find(*told)
        counts["without dark inputs"] += kept is not None
        return kept

    def noted(*told):
        counts["careful"] += 1
        return careful(*told)

    monkeypatch.setattr(_fast, "_find_inputs_to_keep", found)
    monkeypatch.setattr(_fast.FastLearner, "_update_carefully", noted)
    return counts


@pytest.mark.numba
@pytest.mark.parametrize("block", [1, 7, 12, 100], ids=["less than a row", "one", "two", "all"])
def test_a_gradient_of_several_blocks_is_the_same_gradient(block, monkeypatch):
    from metaplastic_np import _fast

    monkeypatch.setattr(_fast, "BLOCK", block)
    assert_fast_learns_what_numpy_learns(make_world(0, layer_sizes=(9, 6, 5, 3), presentations=2))


@pytest.mark.numba
@pytest.mark.parametrize("refresh", learning.REFRESHES)
@pytest.mark.parametrize(("most", "is_copied"), [(10**6, 1), (10, 0)], ids=["copied", "not"])
def test_dark_inputs_are_left_out_or_not_and_the_same_is_learned(
    most, is_copied, refresh, calls, monkeypatch
):
    from metaplastic_np import _fast

    monkeypatch.setattr(_fast, "MOST_COPIED", most)
    world, shown, _ = with_dark_inputs(3, refresh=refresh)
    world.presentations = [shown]
    assert_fast_learns_what_numpy_learns(world)
    assert calls == {"without dark inputs": is_copied, "careful": 0}


@pytest.mark.numba
def test_inputs_are_copied_if_many_are_dark_and_the_copies_are_small(monkeypatch):
    from metaplastic_np import _fast

    images = np.ones((3, 10))
    assert _fast._find_inputs_to_keep(images, 2) is None
    images[:, 4] = [0, 0, -1]  # on in one image is on
    assert _fast._find_inputs_to_keep(images, 2) is None
    images[:, 4] = 0
    assert _fast._find_inputs_to_keep(images, 2).tolist() == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    monkeypatch.setattr(_fast, "MOST_COPIED", 9 * (3 + 2 + 2))  # images, weights and their rates
    assert _fast._find_inputs_to_keep(images, 2) is not None
    monkeypatch.setattr(_fast, "MOST_COPIED", 9 * (3 + 2 + 2) - 1)
    assert _fast._find_inputs_to_keep(images, 2) is None


@pytest.mark.numba
def test_weights_that_were_copied_come_back_where_learning_is_interrupted(monkeypatch):
    from metaplastic_np import _fast

    world, shown, is_dark = with_dark_inputs(4)
    born, seen = world.network.weights[0].copy(), []

    def interrupt(*told):
        seen.append(told)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return take_labels(*told)

    take_labels = _fast.kernels.softmax_cross_entropy_inplace
    monkeypatch.setattr(_fast.kernels, "softmax_cross_entropy_inplace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        learn_item(
            world.network, world.metaplasticity, shown, settings=world.settings, backend="numba"
        )
    moved = np.asarray(world.network.weights[0] != born).any(axis=1)
    np.testing.assert_array_equal(moved, ~is_dark)


@pytest.mark.numba
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("refresh", learning.REFRESHES)
def test_a_gradient_without_a_bound_is_looked_at_and_the_same_is_learned(dtype, refresh, calls):
    """The squares of the inputs overflow, their gradients do not."""
    largest = 1000 * float(np.sqrt(np.finfo(dtype).max))
    world, shown, _ = with_dark_inputs(5, dtype=dtype, image_scale=largest, refresh=refresh)
    world.presentations = [shown]
    for weights in world.network.weights[:1]:
        weights[:] /= largest
    world.settings = replace(world.settings, learning_rate=0.1 / largest)
    twin = world.twin()
    losses = learn(world, "numpy")
    world.network, numpy_network = twin, world.network
    np.testing.assert_array_equal(learn(world, "numba"), losses)
    assert twin.parameters.tobytes() == numpy_network.parameters.tobytes()
    assert calls == {"without dark inputs": 1, "careful": len(losses)}


@pytest.mark.numba
def test_one_careful_update_among_bounded_ones_learns_as_numpy_does(calls):
    """One image has an input whose square overflows, of which rigid synapses of 0 know nothing."""
    world = make_world(6, n_images=9, batch_size=2)
    images, flexibility = world.presentations[0].images, world.metaplasticity.flexibility.copy()
    images[:, 0] = 0
    images[4, 0] = 1e160
    flexibility[:5] = world.network.weights[0][0] = 0
    world.metaplasticity = replace(
        world.metaplasticity,
        flexibility=flexibility,
        initial_weights=world.network.parameters.copy(),
    )
    assert_fast_learns_what_numpy_learns(world)
    assert calls["careful"] == 2  # epochs


@pytest.mark.numba
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("layer", [0, 1, 2])
@pytest.mark.parametrize("of", ["weights", "biases"])
def test_what_is_not_finite_anywhere_has_no_bound(bad, layer, of, calls):
    """Nothing moves: neither the first batch nor, after it, the one that is refused."""
    from metaplastic_np import _fast

    world = make_world(7)
    (shown,) = world.presentations
    getattr(world.network, of)[layer].flat[-1] = bad
    before = world.network.parameters.tobytes()
    learner = _fast.FastLearner(world.network, shown.images, shown.labels, batch_size=4)
    rate = np.ones_like(world.network.parameters)
    with np.errstate(all="ignore"):
        gradient = loss_and_gradient(world.network, shown.images[:4], shown.labels[:4])[1]
    done = learner.learn(rate, [np.arange(4)], np.empty(1))
    assert done == np.isfinite(gradient).all()  # a ReLU may hide -inf
    if not done:
        assert calls["careful"] == 1
        assert world.network.parameters.tobytes() == before


@pytest.mark.numba
@pytest.mark.parametrize(
    ("refresh", "rate"), [("presentation", 1e100), ("presentation", 1e300), ("update", 1e300)]
)
def test_the_fast_body_refuses_what_numpy_refuses(refresh, rate):
    world, shown, _ = with_dark_inputs(8, refresh=refresh)
    world.presentations = [shown]
    world.settings = replace(world.settings, learning_rate=rate)
    twin = world.twin()
    with pytest.raises(DivergenceError) as expected:
        learn(world, "numpy")
    world.network, numpy_network = twin, world.network
    with pytest.raises(DivergenceError, match=re.escape(str(expected.value))):
        learn(world, "numba")
    np.testing.assert_allclose(twin.parameters, numpy_network.parameters, rtol=1e-7)


@pytest.mark.numba
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 2e38, None])
def test_kernels_say_what_layers_say_of_what_is_not_finite_too(dtype, bad):
    from metaplastic_np._fast import kernels
    from metaplastic_np.nn import layers

    rng = np.random.default_rng(0)
    units, d_units = rng.standard_normal((2, 5, 4)).astype(dtype)
    biases, labels = rng.standard_normal(4).astype(dtype), np.array([3, 0, 1, 2, 0])
    if bad is not None:
        units[1, 2] = d_units[2, 1] = bad
        units[1, 0] = -bad  # the label's: no float32 holds twice 2e38
    with np.errstate(all="ignore"):
        expected, positive = layers.relu_forward(units + biases)
        loss, cache = layers.softmax_cross_entropy_forward(units + biases, labels)
        found, logits, d_found = units.copy(), units.copy(), d_units.copy()
        kernels.add_bias_and_relu_inplace(found, biases)
        kernels.mask_inplace(d_found, found)
        loss_found = kernels.softmax_cross_entropy_inplace(logits, biases, labels)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(d_found, layers.relu_backward(d_units, positive))
    tolerance = 100 * float(np.finfo(dtype).eps)
    assert loss_found == pytest.approx(loss, rel=tolerance, nan_ok=True)
    np.testing.assert_allclose(
        logits, layers.softmax_cross_entropy_backward(cache), rtol=tolerance, atol=tolerance
    )


@pytest.mark.numba
def test_the_fast_body_has_no_array_as_large_as_the_gradient(monkeypatch):
    """Beside the rate there are a block of it, the units of a batch, and pieces."""
    from metaplastic_np import _fast

    monkeypatch.setattr(_fast, "BLOCK", 8192)
    monkeypatch.setattr(metaplasticity, "PIECE", 4096)
    world = make_world(0, layer_sizes=(500, 300, 3), n_images=4, epochs=1, dtype=np.float32)
    learn(world, "numba")  # compiles
    tracemalloc.start()
    try:
        learn(world, "numba")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 1 < peak / world.network.parameters.nbytes < 1.6


@given(data=st.data())
def test_the_rate_in_pieces_has_the_bits_of_the_whole(data):
    world = data.draw(worlds(dtype=data.draw(DTYPES)))
    rule = world.metaplasticity
    shift = np.random.default_rng(0).standard_normal(rule.flexibility.shape)
    world.network.parameters[:] += 0.1 * shift.astype(rule.flexibility.dtype)
    plasticity = measure_plasticity(
        rule.flexibility, measure_displacement(world.network, rule), steepness=rule.steepness
    )
    expected = measure_synaptic_rate(plasticity, learning_rate=0.3)
    with mock.patch.object(metaplasticity, "PIECE", data.draw(st.integers(1, 40))):
        found = rule.rule.coefficients(world.network.parameters, rule.hidden, learning_rate=0.3)
    assert found.rate.tobytes() == expected.tobytes()


# --- divergence ----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_gradient_that_is_not_finite_is_refused_before_any_weight_moves(backend, dtype):
    world = make_world(0, layer_sizes=(3, 4, 4, 2), dtype=dtype, kind="conventional")
    world.network.weights[1][:] = np.finfo(dtype).max  # the second hidden layer overflows
    before = world.network.parameters.tobytes()
    message = "gradient of layer 1 is not finite at update 1 of presentation 1; that update moved"
    with pytest.raises(DivergenceError, match=message):
        learn(world, backend)
    assert world.network.parameters.tobytes() == before


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("of", ["weights", "biases"])
@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_one_bad_number_of_a_gradient_names_its_layer(layer, of, bad):
    network = make_world(0).network
    gradient = np.zeros_like(network.parameters)
    parts = split_parameters(gradient, network.layer_sizes)[of == "biases"]
    parts[layer].flat[-1] = bad
    assert learning._first_bad_layer(network, gradient) == layer
    parts[-1].flat[0] = bad
    assert learning._first_bad_layer(network, gradient) == layer


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_largest_inputs_are_refused_too(backend, dtype, sign):
    """Weights are small; three of the largest floats add up to no float."""
    world = make_world(0, layer_sizes=(3, 2), dtype=dtype, kind="conventional")
    world.network.weights[0][:] = 1
    world.presentations[0].images[:] = sign * np.finfo(dtype).max
    before = world.network.parameters.tobytes()
    with pytest.raises(DivergenceError, match="gradient of layer 1 is not finite at update 1 "):
        learn(world, backend)
    assert world.network.parameters.tobytes() == before


def test_finite_gradients_whose_steps_overflow_are_divergence_too(backend):
    world = make_world(0, dtype=np.float32, kind="conventional", learning_rate=1e38, epochs=1)
    world.presentations[0].images[:] *= 100
    with pytest.raises(DivergenceError, match=r"not finite .*(update 2|after presentation 1)"):
        learn(world, backend)


def test_the_refusal_names_the_update_and_the_presentation(backend):
    world = make_world(3, kind="conventional", presentations=4, learning_rate=1e200, epochs=1)
    world.presentations = world.presentations[2:]
    with pytest.raises(DivergenceError, match=r"at update [23] of presentation 3;"):
        learn(world, backend)
    assert np.isfinite(world.network.parameters).all()


# --- kappa, files --------------------------------------------------------------------


def test_the_first_presentation_is_the_conventional_one_whatever_the_flexibility(backend):
    """Why kappa needs no twin: at birth every synapse that is not rigid has plasticity 1."""
    worlds_by_kind = {kind: make_world(5, kind=kind, dtype=np.float32) for kind in KINDS}
    for world in worlds_by_kind.values():
        learn(world, backend)
    learned = {world.network.parameters.tobytes() for world in worlds_by_kind.values()}
    assert len(learned) == 1
    world = worlds_by_kind["hybrid"]
    displacement = measure_displacement(world.network, world.metaplasticity)
    rms = np.sqrt(np.mean(displacement[displacement != 0].astype(float) ** 2))
    assert measure_kappa(displacement, steepness=20.0) == pytest.approx(20 * rms, rel=1e-6)


def test_padding_an_image_changes_no_kappa(backend):
    narrow = make_world(6, layer_sizes=(6, 4, 3))
    shown = narrow.presentations[0]
    wide = init_network((10, 4, 3), rng=np.random.default_rng(0), dtype=np.float64)
    wide.weights[0][:6] = narrow.network.weights[0]
    wide.weights[1][:] = narrow.network.weights[1]
    for mine, theirs in zip(wide.biases, narrow.network.biases, strict=True):
        mine[:] = theirs
    rule = init_metaplasticity(wide, "hybrid", steepness=20.0, rng=np.random.default_rng(0))
    padded = Presentation(
        images=np.pad(shown.images, ((0, 0), (0, 4))), labels=shown.labels, order=shown.order
    )
    learn(narrow, backend)
    learn_item(wide, rule, padded, settings=narrow.settings, backend=backend)
    kappas = [
        measure_kappa(measure_displacement(network, birth), steepness=20.0)
        for network, birth in ((narrow.network, narrow.metaplasticity), (wide, rule))
    ]
    assert kappas[0] == pytest.approx(kappas[1], rel=1e-9)


@given(seed=SEEDS, dtype=DTYPES)
@settings(max_examples=10)
def test_learning_goes_on_after_save_and_load_with_the_same_bits(
    backend, seed, dtype, tmp_path_factory
):
    folder = tmp_path_factory.mktemp("saved")
    world = make_world(seed, dtype=dtype, presentations=3)
    halfway = make_world(seed, dtype=dtype, presentations=3)
    learn(world, backend)
    first, *rest = halfway.presentations
    halfway.presentations = [first]
    learn(halfway, backend)
    save_network(folder / "network.npz", halfway.network)
    save_metaplasticity(folder / "rule.npz", halfway.metaplasticity)
    halfway.network = load_network(folder / "network.npz")
    halfway.metaplasticity = load_metaplasticity(folder / "rule.npz")
    halfway.presentations = rest
    learn(halfway, backend)
    assert halfway.network.parameters.tobytes() == world.network.parameters.tobytes()


def test_a_rule_is_no_network(tmp_path):
    rule = Metaplasticity(initial_weights=np.zeros(3), flexibility=np.ones(3), steepness=1.0)
    save_metaplasticity(tmp_path / "a.npz", rule)
    with pytest.raises(InputError, match="it holds no network"):
        load_network(tmp_path / "a.npz")
    write_arrays(tmp_path / "b.npz", {}, header={"kind": "network", "schema": 1})
    with pytest.raises(InputError, match="it lacks layer_sizes, parameters"):
        load_network(tmp_path / "b.npz")


@pytest.mark.parametrize("sizes", [3, [np.nan, 2], [np.inf, 2], [3, 2]])
def test_a_network_of_impossible_sizes_is_refused_with_its_file(sizes, tmp_path):
    arrays = {"layer_sizes": np.array(sizes), "parameters": np.zeros(5)}
    write_arrays(tmp_path / "n.npz", arrays, header={"kind": "network", "schema": 1})
    with pytest.raises(InputError, match=r"n\.npz: it makes no network"):
        load_network(tmp_path / "n.npz")


# --- draws of flexibility ------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "mean", "distribution"),
    [
        ("hybrid", 1 / 2, lambda f: f),
        ("biased-up", 7 / 12, lambda f: f**2 / 2 + f / 2),
        ("biased-down", 5 / 12, lambda f: 3 * f / 2 - f**2 / 2),
    ],
)
def test_flexibility_has_the_papers_distribution(kind, mean, distribution):
    from scipy.stats import kstest

    drawn = draw_flexibility(kind, 200_000, rng=np.random.default_rng(1), dtype=np.float64)
    assert drawn.mean() == pytest.approx(mean, abs=0.003)
    assert kstest(drawn, distribution).pvalue > 0.001
    assert drawn.min() > 0
    assert drawn.max() <= 1


@pytest.mark.parametrize(
    ("kind", "level"), [("conventional", 1), ("stable", 0.3), ("homogeneous:0.75", 0.75)]
)
def test_constant_flexibility(kind, level):
    drawn = draw_flexibility(kind, (2, 3), rng=np.random.default_rng(1))
    assert drawn.dtype == np.float32
    np.testing.assert_array_equal(drawn, np.full((2, 3), level, np.float32))


def test_networks_of_a_trial_share_their_uniform_numbers():
    drawn = {
        kind: draw_flexibility(kind, 1000, rng=np.random.default_rng(4), dtype=np.float64)
        for kind in KINDS
    }
    order = np.argsort(drawn["hybrid"])
    for kind in ("biased-up", "biased-down"):
        assert (np.diff(drawn[kind][order]) >= 0).all()
    assert (drawn["biased-down"] <= drawn["hybrid"]).all()
    assert (drawn["hybrid"] <= drawn["biased-up"]).all()


@pytest.mark.parametrize("uniform", [0.0, 1 - 2.0**-53])
def test_the_smallest_and_largest_uniform_numbers_are_not_drawn_as_rigid(uniform):
    class Extreme(np.random.Generator):
        def random(self, size=None):
            return np.full(size, uniform)

    rng = Extreme(np.random.PCG64(0))
    for kind in ("hybrid", "biased-up", "biased-down"):
        assert draw_flexibility(kind, 3, rng=rng).min() > 0


def test_learning_settings_have_the_defaults_that_are_documented():
    assert LearningSettings() == LearningSettings(
        learning_rate=0.009, batch_size=256, refresh="presentation"
    )
    with suppress(AttributeError):
        LearningSettings().batch_size = 1
        pytest.fail("settings are frozen")


def test_a_copied_network_is_independent():
    world = make_world(0)
    twin = copy_network(world.network)
    twin.parameters[:] = 0
    assert world.network.parameters.any()


def test_a_newborn_network_has_glorots_spread_and_no_biases():
    network = init_network((200, 100, 50), rng=np.random.default_rng(0), dtype=np.float64)
    for weights, biases in zip(network.weights, network.biases, strict=True):
        spread = np.sqrt(2 / sum(weights.shape))
        assert weights.std() == pytest.approx(spread, rel=0.03)
        assert abs(weights.mean()) < 4 * spread / np.sqrt(weights.size)
        assert not biases.any()


def test_two_networks_are_equal_only_if_they_are_one():
    network = make_world(0).network
    assert network == network
    assert network != copy_network(network)


# --- inputs that are never on --------------------------------------------------------


def with_dark_inputs(seed, **options):
    """A world in which half of the inputs are 0 in every image."""
    world = make_world(seed, layer_sizes=(8, 5, 3), epochs=3, **options)
    (shown,) = world.presentations
    is_dark = np.arange(8) % 2 == 0
    images = np.where(is_dark, 0, shown.images)
    return world, replace(shown, images=images.astype(shown.images.dtype)), is_dark


@given(SEEDS, REFRESHES)
def test_weights_of_dark_inputs_stand_still_and_no_others(backend, seed, refresh):
    world, shown, is_dark = with_dark_inputs(seed, refresh=refresh)
    born = world.network.weights[0].copy()
    learn_item(world.network, world.metaplasticity, shown, settings=world.settings, backend=backend)
    is_still = np.asarray(world.network.weights[0] == born).all(axis=1)
    np.testing.assert_array_equal(is_still, is_dark)


def test_what_is_measured_after_an_epoch_has_learned_it_with_dark_inputs_too(backend):
    world, shown, _ = with_dark_inputs(1)
    seen = []
    learn_item(
        world.network,
        world.metaplasticity,
        shown,
        settings=world.settings,
        backend=backend,
        after_epoch=lambda _: seen.append(world.network.parameters.copy()),
    )
    assert len({parameters.tobytes() for parameters in seen}) == 3
    np.testing.assert_array_equal(seen[-1], world.network.parameters)


def test_a_blank_presentation_is_learned_by_biases_alone(backend):
    world, shown, _ = with_dark_inputs(2)
    born = world.network.weights[0].copy()
    blank = replace(shown, images=np.zeros_like(shown.images))
    learn_item(world.network, world.metaplasticity, blank, settings=world.settings, backend=backend)
    np.testing.assert_array_equal(world.network.weights[0], born)
    assert np.isfinite(world.network.parameters).all()
