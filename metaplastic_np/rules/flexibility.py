"""Draws of flexibility: what tells one network of the paper from another.

==============  ======================================  ==================
network         flexibility f of a synapse              mean f
==============  ======================================  ==================
conventional    1: ordinary gradient descent            1
stable          0.3                                     0.3
hybrid          uniform on (0, 1], independent          1/2
biased-up       density f + 1/2                         7/12
biased-down     density 3/2 - f                         5/12
homogeneous:F   F for every synapse                     F
==============  ======================================  ==================

All networks of a trial draw from the same uniform numbers v, each through the inverse of its own
distribution function, so that they differ in nothing but the distribution.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .._util import checks

__all__ = ["NETWORKS", "draw_flexibility"]

STABLE_FLEXIBILITY = 0.3

# Inverse distribution functions, v in (0, 1] -> f in (0, 1]. Written without the cancellation of
# the textbook root, so that no tiny v becomes f = 0: a rigid synapse is never drawn by accident.
NETWORKS = {
    "conventional": lambda v: np.ones_like(v),
    "stable": lambda v: np.full_like(v, STABLE_FLEXIBILITY),
    "hybrid": lambda v: v,
    "biased-up": lambda v: 4 * v / (1 + np.sqrt(1 + 8 * v)),
    "biased-down": lambda v: 4 * v / (3 + np.sqrt(9 - 8 * v)),
}
HOMOGENEOUS = "homogeneous:"


def draw_flexibility(
    network: str,
    shape: int | tuple[int, ...],
    *,
    rng: np.random.Generator,
    dtype: DTypeLike = np.float32,
) -> NDArray[Any]:
    """Draw the flexibility of every synapse of one network.

    Parameters
    ----------
    network : str
        "conventional", "stable", "hybrid", "biased-up", "biased-down" or "homogeneous:F" with
        F in [0, 1], for instance "homogeneous:0.8".
    shape : int or tuple of int
        Shape of the result.
    rng : numpy.random.Generator
        Source of the draws. Every network takes the same number of them.
    dtype : float32 or float64

    Returns
    -------
    read-only array of this shape and dtype
        f in [0, 1].

    Raises
    ------
    InputError
        If the network is unknown or F is not in [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> draw_flexibility("stable", (2, 2), rng=np.random.default_rng(0))
    array([[0.3, 0.3],
           [0.3, 0.3]], dtype=float32)
    >>> draw_flexibility("hybrid", 3, rng=np.random.default_rng(0)).round(2)
    array([0.36, 0.73, 0.96], dtype=float32)
    """
    dtype = checks.check_dtype("dtype", dtype)
    uniform = np.asarray(1.0 - checks.check_rng(rng).random(shape))  # (0, 1]
    level = check_flexibility(network)
    drawn = NETWORKS[network](uniform) if level is None else np.full_like(uniform, level)
    flexibility = np.asarray(drawn, dtype=dtype)
    flexibility.flags.writeable = False
    return flexibility


def check_flexibility(network: str) -> float | None:
    """Refuse an unknown network; return F of "homogeneous:F", None for the others."""
    if isinstance(network, str) and network in NETWORKS:
        return None
    if not isinstance(network, str) or not network.startswith(HOMOGENEOUS):
        raise_unknown_network(network, NETWORKS)
    try:
        level = float(network.removeprefix(HOMOGENEOUS))
    except ValueError:
        raise_unknown_network(network, NETWORKS)
    return checks.check_level("homogeneous:F", level)


def raise_unknown_network(name: object, known: Iterable[str]) -> NoReturn:
    """Refuse the name of a network that does not exist."""
    expected = "name " + ", ".join(known) + " or homogeneous:F"
    checks.raise_expected("networks", expected, repr(name))
