r"""The equation of the paper: how plastic a synapse still is.

Model
-----
Every synapse has a **flexibility** :math:`f \in [0, 1]`, fixed at birth. It stiffens as it
travels from the weight :math:`w_0` it was born with:

.. math::

    p = 1 - \tanh^2\!\left(s\,\frac{1-f}{f}\,(w - w_0)\right)
      = \operatorname{sech}^2\!\left(s\,\frac{1-f}{f}\,(w - w_0)\right)

    w \leftarrow w - (\eta\,p)\,\frac{\partial L}{\partial w}

The **plasticity** :math:`p` lies in [0, 1]; the **steepness** :math:`s` (unit: 1/weight) says
how soon displacement stiffens; :math:`\eta p` is the **synaptic rate**, the per-synapse
learning-rate matrix. A synapse with :math:`f = 1` is plastic for ever (ordinary gradient
descent), one with :math:`f = 0` is rigid, and in between it has a travel budget of about
:math:`f / ((1 - f) s)`.

Numerics
--------
:math:`1 - \tanh^2 a` cancels when :math:`a` is large, and :math:`f = 0` would give
:math:`\infty \cdot 0`. Therefore :math:`p = 4 e^{-2a} / (1 + e^{-2a})^2` with
:math:`a = (u\,|w - w_0|)\,s`, in this order, :math:`u = (1 - f)/f`, and :math:`p = 0` where
:math:`u` is not finite.

Reference
---------
Cho, Lee, Baek, Paik: *Neuromimetic metaplasticity for adaptive continual learning*,
arXiv:2407.07133 (2024); Neural Networks 190:107762 (2025).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._util import checks, errors

__all__ = ["measure_drift", "measure_kappa", "measure_plasticity", "measure_synaptic_rate"]


def measure_plasticity(
    flexibility: ArrayLike, displacement: ArrayLike, *, steepness: float
) -> NDArray[Any]:
    r"""Plasticity of every synapse, from its flexibility and its displacement.

    .. math:: p = \operatorname{sech}^2(s\,(1 - f)/f\,(w - w_0))

    Parameters
    ----------
    flexibility : array of float32 or float64, any shape
        f in [0, 1]. 1 is fully flexible, 0 rigid.
    displacement : array of the same shape and dtype
        w - w0, in units of weight. Finite.
    steepness : float
        s > 0, in 1/weight.

    Returns
    -------
    array of the same shape and dtype
        p in [0, 1].

    Raises
    ------
    InputError
        If the flexibility leaves [0, 1], shapes or dtypes differ, the displacement is not
        finite, or the steepness is not above 0.

    Examples
    --------
    >>> import numpy as np
    >>> measure_plasticity(np.array([0.0, 0.5, 1.0]), np.array([0.0, 1.0, 9.0]), steepness=1.0)
    array([0.        , 0.41997434, 1.        ])
    """
    flexibility = checks.check_array("flexibility", flexibility)
    checks.check_unit_interval("flexibility", flexibility)
    displacement = checks.check_array(
        "displacement", displacement, shape=flexibility.shape, dtype=flexibility.dtype
    )
    checks.check_finite("displacement", displacement)
    steepness = checks.check_scalar("steepness", steepness, dtype=flexibility.dtype)

    with np.errstate(divide="ignore", over="ignore", under="ignore", invalid="ignore"):
        stiffness = (1 - flexibility) / flexibility
        travelled = (stiffness * np.abs(displacement)) * steepness
        decay = np.exp(-2 * travelled)
        plasticity = np.minimum(4 * decay / ((1 + decay) * (1 + decay)), 1)
    is_rigid = ~np.isfinite(stiffness)
    return np.where(is_rigid, flexibility.dtype.type(0), plasticity)


def measure_synaptic_rate(plasticity: ArrayLike, *, learning_rate: float) -> NDArray[Any]:
    r"""The per-synapse learning-rate matrix, :math:`\eta p`.

    Parameters
    ----------
    plasticity : array of float32 or float64
        p in [0, 1].
    learning_rate : float
        :math:`\eta > 0`.

    Returns
    -------
    array of the same shape and dtype

    Examples
    --------
    >>> import numpy as np
    >>> measure_synaptic_rate(np.array([0.0, 0.5, 1.0]), learning_rate=0.1)
    array([0.  , 0.05, 0.1 ])
    """
    plasticity = checks.check_array("plasticity", plasticity)
    rate = checks.check_scalar("learning_rate", learning_rate, dtype=plasticity.dtype)
    return rate * plasticity


def measure_kappa(displacement: ArrayLike, *, steepness: float) -> float:
    r"""The dimensionless steepness :math:`\kappa = s \cdot \mathrm{rms}(w - w_0)`.

    Steepness has the unit 1/weight and does not transfer between networks. kappa does: it is
    measured after the first presentation, over all weights that moved, layers pooled.

    Parameters
    ----------
    displacement : array
        w - w0 of all weights, without biases, after the first presentation. Zeros (rigid
        synapses, dead inputs) do not count.
    steepness : float
        s > 0, in 1/weight.

    Returns
    -------
    float

    Raises
    ------
    InputError
        If no weight has moved, a displacement is not finite, or kappa is too large or too small
        for a float.

    Examples
    --------
    >>> import numpy as np
    >>> measure_kappa(np.array([0.0, 0.003, -0.004]), steepness=1000.0)
    3.5355339059327378
    """
    steepness = checks.check_positive("steepness", steepness)
    moved = checks.check_finite("displacement", np.asarray(displacement, dtype=np.float64))
    moved = moved[moved != 0]
    if moved.size == 0:
        raise errors.InputError(
            "`displacement` must not be 0 everywhere: nothing has moved since birth"
        )
    # A power of 2 keeps squares in range and changes no digit.
    exponent = np.frexp(np.abs(moved).max())[1]
    rms = np.ldexp(np.sqrt(np.mean(np.square(np.ldexp(moved, -exponent)))), exponent)
    return checks.check_positive("kappa", steepness * float(rms))


def measure_drift(effort: float, *, flexibility: float) -> float:
    r"""How far a constant gradient drags a synapse whose plasticity is refreshed continuously.

    Solves :math:`x/2 + \sinh(2cx)/(4c) = t` for the scaled displacement
    :math:`x = s|w - w_0|`, with :math:`c = (1 - f)/f` and the effort
    :math:`t = s\,\eta \sum |\partial L/\partial w|`: a logarithmic drift without end. Whatever the
    gradients do, x stays below this value plus the largest single step of t; if plasticity is
    refreshed once per presentation, "step" means the net step of one presentation.

    Parameters
    ----------
    effort : float
        t >= 0, dimensionless.
    flexibility : float
        f in [0, 1].

    Returns
    -------
    float
        x >= 0, dimensionless: t itself for f = 1, and 0 for f = 0.

    Examples
    --------
    >>> [round(measure_drift(t, flexibility=0.5), 3) for t in (1, 10, 100)]
    [0.803, 2.135, 3.334]
    """
    flexibility = checks.check_level("flexibility", flexibility)
    if effort == 0:
        return 0.0
    effort = checks.check_positive("effort", effort)
    stiffness = (1 - flexibility) / flexibility if flexibility else np.inf
    if stiffness == np.inf:
        return 0.0
    if stiffness == 0:
        return effort
    # Without its first term asinh(4ct)/(2c) solves the equation, so x lies below that, and below t.
    scaled = stiffness * effort * 4
    if scaled == np.inf:  # asinh(z) is log(2z), and the first term is nothing
        return float(np.log(8) + np.log(stiffness) + np.log(effort)) / 2 / stiffness
    low, high = 0.0, min(effort, float(np.arcsinh(scaled)) / 2 / stiffness)
    with np.errstate(over="ignore"):
        while low < (middle := (low + high) / 2) < high:
            reached = middle / 2 + np.sinh(2 * middle * stiffness) / 4 / stiffness
            low, high = (middle, high) if reached < effort else (low, middle)
    return high
