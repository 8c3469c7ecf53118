"""Laws of the equation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive import naive_plasticity
from scipy.integrate import quad

from metaplastic_np import InputError, measure_kappa, measure_plasticity
from metaplastic_np.rules import measure_drift, measure_synaptic_rate

FLEXIBILITY = st.floats(0, 1)
DISPLACEMENT = st.floats(allow_nan=False, allow_infinity=False)
STEEPNESS = st.floats(1e-30, 1e30)
# Rounding of the closed form, a few units in the last place of values up to 1.
ROUNDING = 1e-14


def plasticity(flexibility, displacement, steepness, dtype=np.float64):
    found = measure_plasticity(
        np.array([flexibility], dtype), np.array([displacement], dtype), steepness=steepness
    )
    assert found.dtype == dtype
    return float(found[0])


@given(FLEXIBILITY, DISPLACEMENT, STEEPNESS)
def test_plasticity_is_finite_and_between_0_and_1(flexibility, displacement, steepness):
    assert 0 <= plasticity(flexibility, displacement, steepness) <= 1


@given(
    st.floats(0, 1, width=32),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    STEEPNESS,
)
def test_plasticity_is_between_0_and_1_in_float32(flexibility, displacement, steepness):
    assert 0 <= plasticity(flexibility, displacement, steepness, np.float32) <= 1


@given(FLEXIBILITY, DISPLACEMENT, STEEPNESS)
def test_plasticity_is_even_in_displacement(flexibility, displacement, steepness):
    forward = plasticity(flexibility, displacement, steepness)
    assert forward == plasticity(flexibility, -displacement, steepness)


@given(FLEXIBILITY, DISPLACEMENT, DISPLACEMENT, STEEPNESS)
def test_plasticity_falls_with_distance(flexibility, one, other, steepness):
    near, far = sorted((abs(one), abs(other)))
    assert plasticity(flexibility, far, steepness) <= (
        plasticity(flexibility, near, steepness) + ROUNDING
    )


@given(FLEXIBILITY, DISPLACEMENT, STEEPNESS, STEEPNESS)
def test_plasticity_falls_with_steepness(flexibility, displacement, one, other):
    low, high = sorted((one, other))
    assert plasticity(flexibility, displacement, high) <= (
        plasticity(flexibility, displacement, low) + ROUNDING
    )


@given(FLEXIBILITY, FLEXIBILITY, DISPLACEMENT, STEEPNESS)
def test_plasticity_rises_with_flexibility(one, other, displacement, steepness):
    low, high = sorted((one, other))
    assert plasticity(low, displacement, steepness) <= (
        plasticity(high, displacement, steepness) + ROUNDING
    )


@given(st.floats(0.2, 0.9), st.floats(0.01, 0.1), st.floats(1, 50))
def test_plasticity_changes_with_each_of_its_arguments(flexibility, displacement, steepness):
    here = plasticity(flexibility, displacement, steepness)
    assert plasticity(flexibility, 1.5 * displacement, steepness) < here
    assert plasticity(flexibility, displacement, 1.5 * steepness) < here
    assert plasticity(flexibility + 0.05, displacement, steepness) > here


@given(st.floats(0.01, 1), st.floats(-3, 3), st.floats(0.01, 3))
def test_plasticity_equals_one_minus_tanh_squared(flexibility, displacement, steepness):
    expected = naive_plasticity(flexibility, displacement, steepness)
    assert plasticity(flexibility, displacement, steepness) == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("argument", [10.0, 30.0, 300.0])
def test_far_plasticity_keeps_its_digits_where_one_minus_tanh_squared_cancels(argument):
    # sech^2 a = 4 e^(-2a) to 4 e^(-4a), far below the rounding of 1 - tanh^2.
    assert plasticity(0.5, argument, 1.0) == pytest.approx(4 * np.exp(-2 * argument), rel=1e-8)


@given(DISPLACEMENT, STEEPNESS)
def test_flexibility_1_is_plastic_for_ever(displacement, steepness):
    assert plasticity(1.0, displacement, steepness) == 1


@given(DISPLACEMENT, STEEPNESS)
def test_flexibility_0_is_rigid(displacement, steepness):
    assert plasticity(0.0, displacement, steepness) == 0


@given(st.floats(1e-300, 1), STEEPNESS)
def test_a_newborn_synapse_is_fully_plastic(flexibility, steepness):
    assert plasticity(flexibility, 0.0, steepness) == 1


def test_a_flexibility_too_small_to_divide_by_is_rigid():
    assert plasticity(5e-324, 0.0, 1.0) == 0


@pytest.mark.parametrize(
    ("x", "expected"),
    [(0.1, 0.872), (1, 0.456), (2, 0.308), (5, 0.159), (10, 0.088), (50, 0.0195)],
)
def test_a_uniform_mixture_freezes_as_a_power_law(x, expected):
    """Mean over f ~ U(0, 1): the integral of sech^2(ux)/(1+u)^2, computed independently."""
    integral, _ = quad(lambda u: 1 / np.cosh(min(u * x, 300)) ** 2 / (1 + u) ** 2, 0, np.inf)
    assert integral == pytest.approx(expected, abs=6e-4)
    flexibility = (np.arange(200_000) + 0.5) / 200_000
    mean = measure_plasticity(flexibility, np.full_like(flexibility, x), steepness=1.0).mean()
    assert mean == pytest.approx(integral, rel=1e-4)


@pytest.mark.parametrize(("x", "expected"), [(1, 0.037), (2, 0.00035)])
def test_a_single_flexibility_freezes_exponentially(x, expected):
    assert plasticity(0.3, x, 1.0) == pytest.approx(expected, rel=0.02)


def test_the_synaptic_rate_is_the_learning_rate_times_plasticity():
    rate = measure_synaptic_rate(np.array([0.0, 0.5, 1.0], np.float32), learning_rate=0.2)
    assert rate.dtype == np.float32
    assert rate.tolist() == [0.0, np.float32(0.2) * np.float32(0.5), np.float32(0.2)]


def test_kappa_is_steepness_times_the_rms_of_what_moved():
    assert measure_kappa([0.0, 3.0, -4.0, 0.0], steepness=2.0) == pytest.approx(2 * np.sqrt(12.5))


@given(st.floats(1e-6, 1e6), st.floats(0.01, 0.99))
def test_the_drift_solves_its_equation(effort, flexibility):
    x = measure_drift(effort, flexibility=flexibility)
    c = (1 - flexibility) / flexibility
    assert x / 2 + np.sinh(2 * c * x) / (4 * c) == pytest.approx(effort, rel=1e-9)


@pytest.mark.parametrize("flexibility", [0.2, 0.5, 0.9])
def test_the_drift_is_what_a_constant_gradient_does(flexibility):
    """Integrate dx/dt = plasticity(x) in small steps."""
    step, x = 1e-3, 0.0
    for _ in range(3000):
        middle = x + step / 2 * plasticity(flexibility, x, 1.0)
        x += step * plasticity(flexibility, middle, 1.0)
    assert x == pytest.approx(measure_drift(3.0, flexibility=flexibility), rel=1e-5)


def test_the_drift_at_the_ends():
    assert measure_drift(7.0, flexibility=1.0) == 7.0
    assert measure_drift(7.0, flexibility=0.0) == 0.0
    assert measure_drift(0.0, flexibility=0.5) == 0.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rounding_never_exceeds_1_near_birth(dtype):
    """4e/(1+e)^2 rounds above 1 for some e just below 1; a dense grid finds them."""
    displacement = np.geomspace(1e-9, 1e-2, 200_001).astype(dtype)
    found = measure_plasticity(np.full_like(displacement, 0.5), displacement, steepness=1.0)
    assert found.max() <= 1


def test_numbers_are_arrays_of_no_axes():
    assert measure_plasticity(np.float64(0.5), np.float64(1.0), steepness=1.0) == pytest.approx(
        0.41997434
    )
    assert measure_plasticity(np.float32(0), np.float32(1), steepness=1.0) == 0


@pytest.mark.parametrize("displacement", [np.zeros(3), np.zeros((0, 2))])
def test_no_kappa_is_measured_of_weights_that_stand_still(displacement):
    with pytest.raises(InputError, match="nothing has moved"):
        measure_kappa(displacement, steepness=1.0)
