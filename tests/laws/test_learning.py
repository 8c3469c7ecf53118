"""Laws of learning: what rigid, ordinary and metaplastic synapses may and must do."""

import re
from contextlib import suppress
from dataclasses import FrozenInstanceError, replace

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

    other = {"numpy": "_start_numba", "numba": "_start_numpy"}[body]
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


# --- what makes the compiled body fast changes nothing -------------------------------


@pytest.fixture(params=[1, 3], ids=["alone", "three"])
def scale(request, monkeypatch):
    """A tile's rows and columns in units of 16 and 8: 8, or 1 where kernels are interpreted.

    Compiled kernels have the sizes that they were compiled with. One thread learns, or three do, of
    which one finds no columns of its own.
    """
    from numba import config

    from metaplastic_np._fast import kernels as _kernels
    from metaplastic_np._fast import products as _products
    from metaplastic_np._fast import work as _work

    monkeypatch.setattr(_work, "count_threads", lambda *_: request.param)
    if not config.DISABLE_JIT:
        return 8

    for module in _kernels, _products, _work:
        monkeypatch.setattr(module, "TILE", 16)
        monkeypatch.setattr(module, "WIDTH", 8)
    for module in _kernels, _work:
        monkeypatch.setattr(module, "FEWEST_ROWS", 32)
        monkeypatch.setattr(module, "BLOCK", 256)
        monkeypatch.setattr(module, "AT_ONCE", 32)
    return 1


def make_sparse_world(scale, *, n_in=38, hidden=(9,), n_images=33, image_scale=1.0):
    """Inputs of every kind: dense ones, sparse ones and dark ones, in more than one tile."""
    layer_sizes = (scale * n_in, *(scale * size for size in hidden), 10)
    world = make_world(
        0,
        layer_sizes=layer_sizes,
        n_images=scale * n_images,
        batch_size=scale * 17,
        learning_rate=0.05,
    )
    (shown,) = world.presentations
    rng = np.random.default_rng(0)
    share = rng.random(layer_sizes[0])
    share[::7] = 0
    images = image_scale * shown.images * (rng.random(shown.images.shape) < share)
    world.presentations = [replace(shown, images=images)]
    return world


def assert_numba_learns_what_numpy_learns(world):
    twin = world.twin()
    losses = learn(world, "numpy")
    world.network, numpy_network = twin, world.network
    np.testing.assert_allclose(learn(world, "numba"), losses, rtol=1e-9)
    moved = np.abs(numpy_network.parameters - world.metaplasticity.initial_weights).max()
    difference = np.abs(twin.parameters - numpy_network.parameters).max()
    assert difference < 1e-10 * moved


@pytest.mark.numba
@pytest.mark.parametrize("dense", [0.0, learning.DENSE, 2.0], ids=["BLAS", "both", "lists"])
@pytest.mark.parametrize("piece", [1, 87, 65_536], ids=["each", "some", "all"])
def test_however_inputs_are_sorted_and_cut_the_same_is_learned(dense, piece, scale, monkeypatch):
    from metaplastic_np._fast import products as _products
    from metaplastic_np._fast import work as _work

    monkeypatch.setattr(learning, "DENSE", dense)
    monkeypatch.setattr(_work, "PIECE", scale * piece)  # of dense inputs
    monkeypatch.setattr(_products, "PIECE", scale * piece)  # of lists
    assert_numba_learns_what_numpy_learns(make_sparse_world(scale))


@pytest.mark.numba
def test_lists_may_be_as_long_as_there_are_images(scale, monkeypatch):
    monkeypatch.setattr(learning, "DENSE", 2.0)
    world = make_sparse_world(scale)
    (shown,) = world.presentations
    world.presentations = [replace(shown, images=1 + np.abs(shown.images))]
    world.settings = replace(world.settings, batch_size=scale * 20)
    assert_numba_learns_what_numpy_learns(world)


@pytest.mark.numba
def test_more_sparse_inputs_than_are_transposed_at_once_learn_as_few(scale, monkeypatch):
    monkeypatch.setattr(learning, "DENSE", 2.0)
    assert_numba_learns_what_numpy_learns(make_sparse_world(scale, n_in=160, n_images=5))


@pytest.mark.numba
def test_a_gradient_of_several_blocks_is_the_same_gradient(scale, monkeypatch):
    monkeypatch.setattr(learning, "DENSE", 0.0)
    world = make_sparse_world(scale, n_in=60, hidden=(75, 38), n_images=3)
    assert_numba_learns_what_numpy_learns(world)


@pytest.mark.numba
def test_more_classes_than_a_tile_has_columns_are_learned():
    assert_numba_learns_what_numpy_learns(make_world(0, layer_sizes=(4, 5, 150)))


@pytest.mark.numba
def test_where_no_bound_is_low_enough_the_whole_gradient_is_looked_at(scale):
    world = make_sparse_world(scale, image_scale=2.0**90)
    world.settings = replace(world.settings, learning_rate=1e-30)
    assert_numba_learns_what_numpy_learns(world)


@pytest.mark.numba
@pytest.mark.parametrize("refresh", learning.REFRESHES)
def test_threads_refresh_what_one_thread_refreshes(scale, refresh):
    world = make_sparse_world(scale, hidden=(17, 9))
    world.settings = replace(world.settings, refresh=refresh)
    assert_numba_learns_what_numpy_learns(world)


@pytest.mark.numba
@pytest.mark.parametrize("rate", [1e100, 1e300])
def test_all_threads_refuse_what_numpy_refuses(scale, rate):
    world = make_sparse_world(scale)
    world.settings = replace(world.settings, learning_rate=rate)
    twin = world.twin()
    with pytest.raises(DivergenceError) as expected:
        learn(world, "numpy")
    world.network, numpy_network = twin, world.network
    with pytest.raises(DivergenceError, match=re.escape(str(expected.value))):
        learn(world, "numba")
    np.testing.assert_allclose(twin.parameters, numpy_network.parameters, rtol=1e-7)


@pytest.mark.numba
def test_a_weight_that_one_thread_finds_too_large_is_too_large_for_all(scale):
    world = make_sparse_world(scale)
    for weights in world.network.weights:
        weights[-1, -1] = 1e300
    world.network.weights[0][:, -1] = 1e300
    before = world.network.parameters.copy()
    with pytest.raises(DivergenceError, match="not finite at update 1 "):
        learn(world, "numba")
    np.testing.assert_array_equal(world.network.parameters, before)


@pytest.mark.numba
def test_threads_are_started_for_much_work_and_as_many_as_find_columns(monkeypatch):
    from numba import config

    from metaplastic_np._fast import work as _work
    from metaplastic_np._util.blas import one_blas_thread

    def count(*sizes, batch_size=64, n_images=1000):
        return _work.count_threads(np.array(sizes), batch_size, n_images)

    monkeypatch.setattr(config, "DISABLE_JIT", 0)
    monkeypatch.setattr(_work, "count_blas_threads", lambda: 8)
    assert count(1568, 256, 256, 10) == 4
    assert count(1568, 65, 10) == 2
    assert count(1568, 64, 10) == 1
    assert count(128, 1000, 10) == 8
    assert count(1568, 256, 256, 10, batch_size=1) == 1
    assert count(1568, 256, 256, 10, n_images=64) == 1
    monkeypatch.setattr(config, "DISABLE_JIT", 1)
    assert count(1568, 256, 256, 10) == 1
    monkeypatch.undo()
    with one_blas_thread():
        assert count(1568, 256, 256, 10) == 1


@pytest.mark.numba
def test_inputs_that_are_on_in_half_the_images_go_by_blas_and_others_by_lists(monkeypatch):
    from metaplastic_np._fast import products as _products

    world = make_world(0, layer_sizes=(4, 5, 3), n_images=8)
    (shown,) = world.presentations
    images = np.arange(8)[:, None] < [4, 7, 2, 8]  # how many images each input is on in
    world.presentations = [replace(shown, images=images.astype(shown.images.dtype))]
    found, sort = [], _products.sort_inputs
    monkeypatch.setattr(
        _products, "sort_inputs", lambda *told: found.append(sort(*told)) or found[0]
    )
    learn(world, "numba")
    (inputs,) = found
    assert inputs.order.tolist() == [0, 1, 3, 2]
    assert (inputs.n_dense, inputs.n_on) == (3, 4)


@pytest.mark.numba
@pytest.mark.parametrize(("threads", "has_limit"), [(1, False), (2, True)])
def test_threads_of_our_own_are_alone_and_one_thread_may_have_those_of_blas(
    threads, has_limit, monkeypatch
):
    from metaplastic_np._fast import work as _work

    limits, limit = [], learning.one_blas_thread
    monkeypatch.setattr(_work, "count_threads", lambda *_: threads)
    monkeypatch.setattr(learning, "one_blas_thread", lambda: limits.append(limit()) or limits[-1])
    learn(make_world(0), "numba")
    assert len(limits) == 2 * has_limit  # to find BLAS, and to learn


@pytest.mark.numba
@given(st.integers(1, 9), st.integers(0, 1000), st.integers(1, 64))
def test_parts_follow_each_other_and_are_cut_between_units(size, n, unit):
    from metaplastic_np._fast import work as _work

    parts = [
        getattr(_work.part_of, "py_func", _work.part_of)(k, size, n, unit) for k in range(size)
    ]
    assert [first for first, _ in parts] == [0, *(end for _, end in parts[:-1])]
    assert parts[-1][1] == n
    assert all(first % unit == 0 for first, _ in parts if first < n)
    units = [-(-(end - first) // unit) for first, end in parts]
    assert max(units) - min(units) <= 1


@pytest.mark.numba
def test_work_space_is_as_large_as_it_must_be():
    """For two threads, batches of 301 images, 1,900 dense inputs and 91 sparse ones."""
    from types import SimpleNamespace

    from metaplastic_np._fast import work as _work

    sizes = np.array((2000, 200, 512, 10))
    inputs = SimpleNamespace(images=np.zeros((1000, 0)), n_dense=1900, n_on=1991)
    shape, works = _work.init_work(np.float32, sizes, inputs, 301, threads=2)
    assert shape.strides.tolist() == [2048, 256, 512, 64]
    assert shape.weights_at.tolist() == [0, 2001 * 200, 2001 * 200 + 201 * 512, 508_242]
    assert shape.units_at.tolist() == [0, 0, 301 * 256, 301 * 768, 301 * 832]
    assert len(works) == 2
    for member, work in enumerate(works):
        assert (work.team.member, work.team.met.size) == (member, 2 * 16)
        assert work.units.size == 301 * 832
        assert work.taken.size == 301 * 1741  # the most that a piece of 2^19 numbers holds
        assert work.columns.starts.shape == (2, 3 * 91 + 2)
        assert work.columns.places.shape == work.columns.values.shape == (2, 301 * 91 + 1)
        assert work.d_units.size == 301 * 435  # units that a block of 2^17 numbers holds
        assert work.block.size == 655 * 200
        assert work.packed.size == 3 * 128 * 64
        assert (work.sums.size, work.labels.size, work.positions.size) == (2000, 301, 301)
    assert works[0].units is works[1].units
    assert works[0].block is not works[1].block
    assert _work.AT_ONCE % _work.TILE == 0


@pytest.mark.numba
@given(st.permutations(range(6)), st.integers(1, 4))
def test_rows_are_sorted_where_they_are_whoever_sorts_which_columns(source, n_out):
    from metaplastic_np._fast import products as _products

    reorder = getattr(_products.reorder_rows_inplace, "py_func", _products.reorder_rows_inplace)
    rows = np.arange(6.0 * n_out).reshape(6, n_out)
    expected, flat, cut = rows[source], rows.ravel(), n_out // 2
    reorder(flat, n_out, 0, cut, np.array(source))
    reorder(flat, n_out, cut, n_out, np.array(source))
    np.testing.assert_array_equal(rows, expected)


@pytest.mark.numba
@given(st.integers(0, 2**40))
def test_the_bit_length_of_a_whole_number(number):
    from metaplastic_np._fast import products as _products

    assert getattr(_products.bit_length, "py_func", _products.bit_length)(number) == (
        number.bit_length()
    )


@pytest.mark.numba
@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1), DTYPES)
def test_the_exponent_bounds_every_number(values, dtype):
    from metaplastic_np._fast import products as _products

    values = np.array(values, dtype)
    e = int(_products.exponent(values.view(f"i{values.itemsize}")))
    largest = float(np.abs(values).max())
    assert largest < 2.0**e
    if largest >= np.finfo(dtype).tiny:
        assert largest >= 2.0 ** (e - 1)


@pytest.mark.numba
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_no_bound_holds_what_is_not_finite(dtype, bad):
    from metaplastic_np._fast import products as _products

    values = np.array([1, bad, 2], dtype)
    e = int(_products.exponent(values.view(f"i{values.itemsize}")))
    assert e > np.finfo(dtype).maxexp


# --- divergence ----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_gradient_that_is_not_finite_is_refused_before_any_weight_moves(backend, dtype):
    world = make_world(0, layer_sizes=(3, 4, 4, 2), dtype=dtype, kind="conventional")
    world.network.weights[1][:] = np.finfo(dtype).max  # the second hidden layer overflows
    before = world.network.parameters.tobytes()
    message = "gradient of layer 1 is not finite at update 1 of presentation 1; .* moved no weight"
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
    with pytest.raises(InputError, match="it does not hold a network"):
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
