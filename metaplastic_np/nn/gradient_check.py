r"""Is that gradient right? Ask finite differences.

A gradient :math:`g` of a scalar function :math:`L` must satisfy, for every direction :math:`v`,

.. math:: \frac{L(x + h v) - L(x - h v)}{2h} \approx g \cdot v

One random direction tests all components at once: a wrong component escapes only if the direction
happens to be orthogonal to the error. Use float64. At a kink (a ReLU whose input crosses 0 within
:math:`h`) finite differences are wrong, not the gradient; draw another direction there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._util import checks

__all__ = ["gradient_check"]


def gradient_check(
    function: Callable[[NDArray[Any]], float],
    gradient: ArrayLike,
    point: ArrayLike,
    *,
    rng: np.random.Generator,
    step: float = 1e-6,
) -> float:
    """Relative error of a gradient along one random direction.

    Parameters
    ----------
    function : callable
        Takes an array like `point`, returns a float. It must not change its argument.
    gradient : float64 array
        The claimed gradient of `function` at `point`.
    point : float64 array of the same shape
    rng : numpy.random.Generator
        Draws the direction, a unit vector.
    step : float
        h > 0, in units of `point`.

    Returns
    -------
    float
        abs(numeric - claimed) / max(abs(numeric), abs(claimed), 1e-8). Below 1e-5 is right; a
        wrong gradient gives about 1.

    Raises
    ------
    InputError
        If `gradient` and `point` are not float64 arrays of one shape, or hold NaN or inf.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([1.0, 2.0, 3.0])
    >>> gradient_check(lambda x: np.sum(x**2), 2 * x, x, rng=np.random.default_rng(0)) < 1e-8
    True
    >>> gradient_check(lambda x: np.sum(x**2), 3 * x, x, rng=np.random.default_rng(0)) > 0.1
    True
    """
    float64 = np.dtype(np.float64)
    point = checks.check_finite("point", checks.check_array("point", point, dtype=float64))
    gradient = checks.check_array("gradient", gradient, shape=point.shape, dtype=float64)
    checks.check_finite("gradient", gradient)
    step = checks.check_positive("step", step)

    direction = checks.check_rng(rng).standard_normal(point.shape)
    direction /= np.sqrt(np.sum(direction**2))
    numeric = (function(point + step * direction) - function(point - step * direction)) / (2 * step)
    claimed = float(np.sum(gradient * direction))
    return float(abs(numeric - claimed) / max(abs(numeric), abs(claimed), 1e-8))
