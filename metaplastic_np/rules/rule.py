"""The joint between a network and a rule: how a synapse moves, as two lines.

Nearly every rule of the field is

.. code-block:: text

    w -= rate * g                   how far a synapse follows its gradient
    w -= hold * (w - anchor)        how strongly something pulls it back

and says only where `rate`, `hold` and `anchor` come from. A :class:`SynapticRule` is a set of plain
functions; each default is gradient descent. What a rule keeps is a dictionary of named arrays, its
**hidden** state, so that saving, resuming and rewinding need no code of the rule's: arrays that can
be written to are state, read-only ones are drawn at birth and never change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["DESCENT", "Birth", "Coefficients", "Synapses", "SynapticRule", "descend"]

Array = NDArray[Any]
Hidden = dict[str, Array]


class Coefficients(NamedTuple):
    """Where a rule's two lines come from: w -= rate * g, then w -= hold * (w - anchor).

    Parameters
    ----------
    rate : array (n_parameters,)
        The learning rate of each parameter.
    hold : array (n_parameters,) or None
        In [0, 1): the share of the way to the anchor that each update goes. None: no pull.
    anchor : array (n_parameters,) or None
        Where a synapse is pulled to.

    Examples
    --------
    See :func:`descend`.
    """

    rate: Array
    hold: Array | None = None
    anchor: Array | None = None


def descend(parameters: Array, hidden: Hidden, *, learning_rate: float) -> Coefficients:
    """Plain gradient descent: one rate for all parameters.

    Parameters
    ----------
    parameters : array (n_parameters,)
    hidden : dict of str to array
        Not used.
    learning_rate : float

    Returns
    -------
    Coefficients

    Examples
    --------
    >>> import numpy as np
    >>> descend(np.zeros(3), {}, learning_rate=0.5).rate
    array([0.5, 0.5, 0.5])
    """
    return Coefficients(np.full_like(parameters, learning_rate))


@dataclass(frozen=True, kw_only=True)
class SynapticRule:
    """How a synapse moves; each default is gradient descent.

    Parameters
    ----------
    name : str
    coefficients : callable
        ``(parameters, hidden, *, learning_rate) -> Coefficients``, called once per presentation,
        or before each update if the settings refresh at every update.
    step_inplace : callable, optional
        ``(parameters, gradient, hidden, *, learning_rate, rng)`` moves the parameters, instead
        of the two lines, for rules that need more than these.
    track : callable, optional
        ``(hidden, gradient, before, after)`` sees each update: the gradient, and the parameters
        before and after it.
    consolidate : callable, optional
        ``(network, hidden, presentation, rng)`` is called when a presentation ends, unless no
        boundary is told (``refresh="update"``). It changes only the hidden state.

    Examples
    --------
    >>> SynapticRule(name="plain").coefficients is descend
    True
    """

    name: str
    coefficients: Callable[..., Coefficients] = descend
    step_inplace: Callable[..., None] | None = None
    track: Callable[..., None] | None = None
    consolidate: Callable[..., None] | None = None


DESCENT = SynapticRule(name="descent")


class HasRule(Protocol):
    """What learning needs of a network's synapses."""

    @property
    def rule(self) -> SynapticRule:
        """How a synapse moves."""

    @property
    def hidden(self) -> Hidden:
        """What the rule keeps."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Synapses:
    """The rule that a network's synapses follow, and what the rule keeps of them.

    Parameters
    ----------
    rule : SynapticRule
    hidden : dict of str to array

    Examples
    --------
    >>> Synapses().rule.name
    'descent'
    """

    rule: SynapticRule = DESCENT
    hidden: Hidden = field(default_factory=dict)


class Birth(NamedTuple):
    """What a rule may ask for when a network is born; see :mod:`metaplastic_np.rules.table`.

    Parameters
    ----------
    steepness : float
        s of the paper's rule, in 1/weight.
    modulate_biases : bool
        Whether biases are synapses, too.
    rng : numpy.random.Generator
        For what a rule draws at birth; every network of a trial gets the same draws.

    Examples
    --------
    >>> import numpy as np
    >>> Birth(7.0, False, np.random.default_rng(0)).steepness
    7.0
    """

    steepness: float
    modulate_biases: bool
    rng: np.random.Generator
