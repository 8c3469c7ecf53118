"""Numbers at the ends of what floats hold: right, or refused in words; never a silent NaN."""

import warnings
from dataclasses import replace
from decimal import Decimal, localcontext

import naive
import numpy as np
import pytest
from worlds import learn, make_world

import metaplastic_np as mp
from metaplastic_np import learning
from metaplastic_np.experiments import watchers

DTYPES = [np.float32, np.float64]


def learned(world, backend):
    """The parameters after all presentations."""
    learn(world, backend)
    return world.network.parameters


# --- the equation --------------------------------------------------------------------


def exact_plasticity(flexibility, displacement, steepness):
    """sech^2 a by 60 digits, and a."""
    with localcontext(prec=60):
        f, d, s = (Decimal(float(value)) for value in (flexibility, displacement, steepness))
        a = s * (1 - f) / f * abs(d)
        if a > 10_000:
            return Decimal(0), a
        decay = (-2 * a).exp()
        return 4 * decay / (1 + decay) ** 2, a


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("power", range(-30, 31, 5))
def test_plasticity_has_its_digits_for_any_steepness_flexibility_and_distance(dtype, power):
    """The relative error of p is that of a, times 2a: e^(-2a) amplifies it."""
    one, eps, tiny = dtype(1), np.finfo(dtype).eps, np.finfo(dtype).tiny
    nearly = [np.nextafter(one, dtype(0)), 1 - dtype(2) ** -10]
    flexibility = [tiny * 8, *(dtype(10.0) ** -dtype(k) for k in (30, 9, 3)), dtype(0.5), *nearly]
    displacement = [0, np.nextafter(dtype(0), one), tiny, 1e-30, 1e-9, 1e-3, 1, 1e9, 1e30]
    f, d = (each.ravel() for each in np.meshgrid(flexibility, np.array(displacement, dtype)))
    f = f.astype(dtype)
    steepness = 10.0**power
    found = mp.measure_plasticity(f, d, steepness=steepness)
    assert ((found >= 0) & (found <= 1)).all()
    for this_f, this_d, p in zip(f, d, found, strict=True):
        expected, a = exact_plasticity(this_f, this_d, dtype(steepness))
        error = abs(Decimal(float(p)) - expected)
        assert error <= expected * Decimal(float(8 * eps)) * (1 + 2 * a) + Decimal(float(4 * tiny))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_flexibility_next_to_0_is_rigid_and_next_to_1_ordinary(backend, dtype):
    one = dtype(1)
    for near, level in ((np.nextafter(dtype(0), one), 0), (np.nextafter(one, dtype(0)), 1)):
        world = make_world(0, dtype=dtype, kind=f"homogeneous:{level}", presentations=2)
        expected = learned(world, backend).copy()
        beside = make_world(0, dtype=dtype, kind=f"homogeneous:{level}", presentations=2)
        flexibility = np.where(beside.metaplasticity.flexibility == 1, 1, near).astype(dtype)
        if level:
            flexibility[:] = near
        beside.metaplasticity = replace(beside.metaplasticity, flexibility=flexibility)
        error = np.abs(learned(beside, backend) - expected).max()
        assert error <= 100 * np.finfo(dtype).eps * np.abs(expected).max() * level


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_displacement_that_overflows_is_the_largest_there_is(dtype):
    largest = np.finfo(dtype).max
    network = mp.init_network((1, 3), rng=np.random.default_rng(0), dtype=dtype)
    network.parameters[:] = largest
    rule = mp.Metaplasticity(
        initial_weights=np.full(6, -largest),
        flexibility=np.array([1, 0.99, 0.5, 0.01, 0, 1], dtype),
        steepness=1.0,
    )
    found = mp.measure_displacement(network, rule)
    assert (found == largest).all()
    plasticity = mp.measure_plasticity(rule.flexibility, found, steepness=1.0)
    np.testing.assert_array_equal(plasticity, [1, 0, 0, 0, 0, 1])


@pytest.mark.parametrize("power", [-960, -600, 0, 600, 1022])
def test_kappa_and_its_tenths_do_not_depend_on_the_unit_of_weight(power):
    """A unit that is a power of 2 changes no digit, where squares under- or overflow, too."""
    rng = np.random.default_rng(0)
    weights, f = rng.uniform(0.25, 1, (4, 50)), rng.uniform(size=50)
    unit = 2.0**power
    assert mp.measure_kappa(weights * unit, steepness=1 / unit) == mp.measure_kappa(
        weights, steepness=1.0
    )
    (moved, share), (scaled, same_share) = (
        watchers.measure_by_flexibility(list(path), f, [0, 1, 2])
        for path in (weights, weights * unit)
    )
    np.testing.assert_array_equal(scaled, moved * unit)
    np.testing.assert_array_equal(same_share, share)


@pytest.mark.parametrize("effort", [1e-300, 1e-6, 1.0, 1e6, 1e300])
@pytest.mark.parametrize("flexibility", [5e-324, 1e-308, 1e-300, 1e-9, 0.5, 1 - 2**-53])
def test_drift_solves_its_equation_for_any_flexibility_and_effort(flexibility, effort):
    """Beside 60 digits: x / 2 + sinh(2cx) / (4c) is the effort, c = (1 - f) / f."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = mp.rules.measure_drift(effort, flexibility=flexibility)
    assert 0 <= x <= effort
    with localcontext(prec=60):
        f = Decimal(flexibility)
        c = (1 - f) / f

        def reached(x):
            power = 2 * c * x
            if power < Decimal("1e-20"):  # sinh is its argument
                return x / 2 + power / (4 * c)
            return x / 2 + (power.exp() - (-power).exp()) / (8 * c)

        eps = Decimal(2) ** -48
        tiny = Decimal("1e-320")
        low, high = (
            max(Decimal(0), Decimal(x) * (1 + side * eps) + side * tiny) for side in (-1, 1)
        )
        assert reached(low) <= Decimal(effort)
        assert reached(high) >= Decimal(effort)


# --- the network ---------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("logit", [1e4, 1e30, 2e38])
def test_logits_of_any_size_cost_their_margin_and_pull_as_softmax_says(backend, dtype, logit):
    """A sure and wrong answer: the loss is the margin, and the gradient x (softmax - onehot)."""
    network = mp.init_network((1, 3), rng=np.random.default_rng(0), dtype=dtype)
    network.parameters[:] = [1, -1, 0.5, 0, 0, 0]
    rule = mp.init_metaplasticity(
        network, "conventional", steepness=1.0, rng=np.random.default_rng(0)
    )
    shown = mp.scenarios.Presentation(
        images=np.array([[logit]], dtype), labels=np.array([1]), order=np.array([[0]])
    )
    settings = mp.LearningSettings(learning_rate=0.25 / logit, batch_size=1)
    losses = mp.learn_item(network, rule, shown, settings=settings, backend=backend)
    assert losses[0] == pytest.approx(2 * logit, rel=1e-6)
    step = 0.25 * np.array([1, -1, 0])  # softmax is (1, 0, 0)
    np.testing.assert_allclose(network.weights[0][0], [1, -1, 0.5] - step, rtol=1e-6)


def test_a_loss_that_no_float_holds_is_infinite_alone_and_divergence_in_learning(backend):
    network = mp.init_network((1, 3), rng=np.random.default_rng(0), dtype=np.float64)
    network.parameters[:] = [1, -1, 0.5, 0, 0, 0]
    logits = network.weights[0] * 1.5e308
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mp.nn.softmax_cross_entropy_forward(logits, np.array([1]))[0] == np.inf
        rule = mp.init_metaplasticity(
            network, "conventional", steepness=1.0, rng=np.random.default_rng(0)
        )
        shown = mp.scenarios.Presentation(
            images=np.array([[1.5e308]]), labels=np.array([1]), order=np.array([[0]]), number=4
        )
        settings = mp.LearningSettings(learning_rate=1e-308, batch_size=1)
        message = "the losses are not finite after presentation 5"
        with pytest.raises(mp.DivergenceError, match=message):
            mp.learn_item(network, rule, shown, settings=settings, backend=backend)


@pytest.mark.parametrize("kind", ["conventional", "hybrid"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_subnormal_weights_learn_as_any(backend, dtype, kind):
    """Beside a scalar loop in float64, and, for float32, within its rounding."""
    world = make_world(1, dtype=dtype, kind=kind, presentations=2)
    tiny = float(np.finfo(dtype).tiny)
    for weights in world.network.weights[:1]:
        weights[:] *= tiny / 8
        assert (np.abs(weights) < tiny).mean() > 0.9
    world.metaplasticity = replace(
        world.metaplasticity, initial_weights=world.network.parameters.copy()
    )
    born = world.network.parameters.copy()
    expected = naive.learn_world(world)
    tolerance = 1e-9 if dtype is np.float64 else 1e-4
    np.testing.assert_allclose(learned(world, backend), expected, rtol=tolerance, atol=tolerance)
    assert (world.network.weights[0] != mp.split_parameters(born, (6, 5, 4, 3))[0][0]).mean() > 0.3


@pytest.mark.parametrize("n_hidden", range(6))
@pytest.mark.parametrize("batch_size", [1, 9])
def test_one_to_six_layers_learn_as_a_scalar_loop(backend, n_hidden, batch_size):
    layer_sizes = (6, *(5,) * n_hidden, 3)
    world = make_world(2, layer_sizes=layer_sizes, batch_size=batch_size, presentations=2)
    expected = naive.learn_world(world)
    np.testing.assert_allclose(learned(world, backend), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_batch_larger_than_the_data_is_all_of_the_data(backend, dtype):
    whole, larger = (make_world(3, dtype=dtype, batch_size=size) for size in (9, 10**9))
    assert learned(whole, backend).tobytes() == learned(larger, backend).tobytes()


@pytest.mark.parametrize("layer", range(6))
@pytest.mark.parametrize("part", ["weights", "biases"])
@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_the_first_layer_whose_gradient_is_lost_is_found(layer, part, bad):
    network = mp.init_network((4,) * 7, rng=np.random.default_rng(0))
    gradient = mp.copy_network(network)
    getattr(gradient, part)[layer].flat[-1] = bad
    gradient.biases[5][0] = bad
    assert learning._first_bad_layer(network, gradient.parameters) == layer


# --- whole experiments ---------------------------------------------------------------


@pytest.mark.parametrize("n_items", [3, 45])
def test_lists_of_3_items_and_of_all_45_run(n_items, backend):
    settings = mp.Settings(
        n_items=n_items,
        trials=1,
        n_train_images=44,
        n_test_images=2,
        n_features=16,
        hidden=(8,),
        epochs=1,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = mp.run_experiment(mp.load_digits(), settings, backend=backend)
    assert found.confusion.shape[2:] == (n_items + 1, n_items, n_items)
    assert (found.confusion.sum(axis=-1) == 2).all()
    assert np.isfinite(found.recall).all()
    assert np.isfinite(found.kappa).all()


def test_pixels_that_the_dtype_cannot_hold_are_refused_in_words():
    images, labels = 1e39 + np.eye(6, 4) * 1e38, np.array([0, 1, 2, 0, 1, 2])
    dataset = mp.Dataset(
        name="bright",
        train_images=images,
        train_labels=labels,
        test_images=images,
        test_labels=labels,
    )
    settings = mp.Settings(n_items=3, n_train_images=2, n_test_images=1, n_features=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(mp.InputError, match=r"`train_images` must be finite; got inf at"):
            mp.run_experiment(dataset, settings, backend="numpy")


def test_answers_that_overflow_are_told_with_their_presentation(monkeypatch):
    asked = iter(range(100))

    def overflow_at_the_fourth(network, images):
        if next(asked) == 3:
            raise mp.DivergenceError("not finite")
        return mp.measure_confusion(network, images)

    monkeypatch.setattr(watchers, "measure_confusion", overflow_at_the_fourth)
    settings = mp.Settings(
        n_items=3,
        trials=1,
        networks=("stable",),
        n_train_images=9,
        n_features=8,
        hidden=(4,),
        epochs=1,
    )
    # Before learning; after the first presentation, which newborns share; and after two more.
    message = r"answers are not finite after presentation 3\. Learning diverged: try a smaller"
    with pytest.raises(mp.DivergenceError, match=message):
        mp.run_experiment(mp.load_digits(), settings, backend="numpy")


def test_two_items_are_refused_where_labels_are_permuted():
    """No label would be left that is neither the item's nor the target's."""
    with pytest.raises(mp.InputError, match="`n_items` must be at least 3: a wrong label"):
        mp.Settings(n_items=2)
