"""Backward passes against finite differences, and the checker against a wrong gradient."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import LAYER_SIZES, SEEDS

from metaplastic_np import gradient_check, init_network, loss_and_gradient, predict
from metaplastic_np.nn import (
    dense_backward,
    dense_forward,
    relu_backward,
    relu_forward,
    softmax_cross_entropy_backward,
    softmax_cross_entropy_forward,
)
from metaplastic_np.nn import network as networks
from metaplastic_np.nn.network import Network

TOLERANCE = 1e-5


@given(SEEDS, st.integers(1, 5), st.integers(1, 6), st.integers(1, 6))
def test_dense_backward_equals_finite_differences(seed, n, n_in, n_out):
    rng = np.random.default_rng(seed)
    inputs, weights = rng.standard_normal((n, n_in)), rng.standard_normal((n_in, n_out))
    biases, weighting = rng.standard_normal(n_out), rng.standard_normal((n, n_out))
    _, cache = dense_forward(inputs, weights, biases)
    gradients = dense_backward(weighting, cache)
    for place, gradient in enumerate(gradients):

        def loss(moved, place=place):
            arguments = [inputs, weights, biases]
            arguments[place] = moved
            return np.sum(weighting * dense_forward(*arguments)[0])

        point = (inputs, weights, biases)[place]
        assert gradient_check(loss, gradient, point, rng=rng) < TOLERANCE
    assert dense_backward(weighting, cache, with_inputs=False)[0] is None


@given(SEEDS, st.integers(1, 20))
def test_relu_backward_equals_finite_differences(seed, n):
    rng = np.random.default_rng(seed)
    inputs, weighting = rng.standard_normal(n), rng.standard_normal(n)
    gradient = relu_backward(weighting, relu_forward(inputs)[1])
    found = gradient_check(
        lambda moved: np.sum(weighting * relu_forward(moved)[0]), gradient, inputs, rng=rng
    )
    assert found < TOLERANCE


def test_relu_passes_nothing_back_where_it_is_not_above_0():
    _, cache = relu_forward(np.array([-1.0, 0.0, 1.0]))
    np.testing.assert_array_equal(relu_backward(np.ones(3), cache), [0, 0, 1])


@given(SEEDS, st.integers(1, 6), st.integers(2, 6), st.floats(0.1, 30))
def test_softmax_cross_entropy_backward_equals_finite_differences(seed, n, n_classes, scale):
    rng = np.random.default_rng(seed)
    logits = scale * rng.standard_normal((n, n_classes))
    labels = rng.integers(n_classes, size=n)
    gradient = softmax_cross_entropy_backward(softmax_cross_entropy_forward(logits, labels)[1])
    found = gradient_check(
        lambda moved: softmax_cross_entropy_forward(moved, labels)[0], gradient, logits, rng=rng
    )
    # A loss near 0 is flat: both slopes are then below what differences of h = 1e-6 can resolve.
    assert found < TOLERANCE or np.abs(gradient).max() < 1e-6


@given(SEEDS, LAYER_SIZES, st.integers(1, 7))
def test_network_backward_equals_finite_differences(seed, layer_sizes, n):
    rng = np.random.default_rng(seed)
    network = init_network(layer_sizes, rng=rng, dtype=np.float64)
    network.parameters[:] += 0.1 * rng.standard_normal(network.parameters.shape)
    images = rng.standard_normal((n, layer_sizes[0]))
    labels = rng.integers(layer_sizes[-1], size=n)
    _, gradient = loss_and_gradient(network, images, labels)

    def loss(parameters):
        moved = Network(layer_sizes=layer_sizes, parameters=parameters)
        return loss_and_gradient(moved, images, labels)[0]

    assert gradient_check(loss, gradient, network.parameters, rng=rng) < TOLERANCE


@given(SEEDS, st.sampled_from(["sign", "factor", "transposed", "one component"]))
def test_a_wrong_gradient_is_rejected(seed, mistake):
    rng = np.random.default_rng(seed)
    network = init_network((4, 4, 3), rng=rng, dtype=np.float64)
    images, labels = rng.standard_normal((5, 4)), rng.integers(3, size=5)
    _, gradient = loss_and_gradient(network, images, labels)
    wrong = gradient.copy()
    if mistake == "sign":
        wrong *= -1
    elif mistake == "factor":
        wrong *= 5  # the sum over the batch, where the mean belongs
    elif mistake == "transposed":
        wrong[:16] = gradient[:16].reshape(4, 4).T.ravel()
    else:
        wrong[-1] += 1

    def loss(parameters):
        moved = Network(layer_sizes=(4, 4, 3), parameters=parameters)
        return loss_and_gradient(moved, images, labels)[0]

    assert gradient_check(loss, wrong, network.parameters, rng=rng) > 10 * TOLERANCE


@given(st.floats(-1e4, 1e4))
def test_softmax_is_shift_invariant_and_finite_for_large_logits(shift):
    logits = np.array([[0.0, 1.0, 2.0]])
    loss, (probabilities, _) = softmax_cross_entropy_forward(logits + shift, np.array([0]))
    expected, _ = softmax_cross_entropy_forward(logits, np.array([0]))
    assert loss == pytest.approx(expected, rel=1e-9)
    assert probabilities.sum() == pytest.approx(1)


def test_a_sure_and_wrong_answer_costs_its_margin_and_no_infinity():
    loss, _ = softmax_cross_entropy_forward(np.array([[0.0, 1e4]]), np.array([0]))
    assert loss == pytest.approx(1e4)


@given(SEEDS)
def test_forward_passes_change_nothing(seed):
    rng = np.random.default_rng(seed)
    network = init_network((4, 3, 2), rng=rng, dtype=np.float64)
    images, labels = rng.standard_normal((5, 4)), rng.integers(2, size=5)
    before = network.parameters.copy(), images.copy(), labels.copy()
    loss_and_gradient(network, images, labels)
    for array, copy in zip((network.parameters, images, labels), before, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize(("n_images", "n_limits"), [(4095, 1), (4096, 0)])
def test_a_network_answers_with_one_thread_of_blas_below_2_to_the_32_products(
    n_images, n_limits, monkeypatch
):
    small = init_network((1023, 1024), rng=np.random.default_rng(0))  # 2^20 parameters
    limits, limit = [], networks.one_blas_thread
    monkeypatch.setattr(networks, "one_blas_thread", lambda: limits.append(limit()) or limits[-1])
    monkeypatch.setattr(networks, "network_forward", lambda _, images: (images[:, :2], []))
    predict(small, np.zeros((n_images, 1023), np.float32))
    assert len(limits) == n_limits


def test_a_network_keeps_the_sizes_that_were_checked():
    with pytest.raises(FrozenInstanceError):
        init_network((4, 2), rng=np.random.default_rng(0)).layer_sizes = (2, 4)
