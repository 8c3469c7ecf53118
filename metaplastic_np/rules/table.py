"""Every rule by the name that it has on the command line. A new rule is its file and a row here.

A row takes a newborn network, the rule's name with its value (``"homogeneous:0.8"``) and a
:class:`~metaplastic_np.rules.rule.Birth`, and returns the network's synapses: a rule, and what it
keeps.
"""

from __future__ import annotations

from collections.abc import Callable

from ..nn import Network
from .flexibility import NETWORKS, check_flexibility, raise_unknown_network
from .metaplasticity import Metaplasticity, init_metaplasticity
from .rule import Birth, HasRule

__all__ = ["RULES", "init_synapses"]


def _init_paper(network: Network, name: str, birth: Birth) -> Metaplasticity:
    """The rule of the paper, with flexibility drawn as the name says."""
    return init_metaplasticity(
        network,
        name,
        steepness=birth.steepness,
        rng=birth.rng,
        modulate_biases=birth.modulate_biases,
    )


RULES: dict[str, Callable[[Network, str, Birth], HasRule]] = {
    **dict.fromkeys(NETWORKS, _init_paper),
    "homogeneous": _init_paper,
}


def check_rule(name: str) -> str:
    """A rule of the table, with a value where it needs one; returns the row's name."""
    row = name.partition(":")[0] if isinstance(name, str) else ""
    if row not in RULES:
        raise_unknown_network(name, (known for known in RULES if known != "homogeneous"))
    if RULES[row] is _init_paper:
        check_flexibility(name)
    return row


def init_synapses(network: Network, name: str, birth: Birth) -> HasRule:
    """Give a newborn network the synapses that a name stands for.

    Parameters
    ----------
    network : Network
        As it was born; it is not changed.
    name : str
        A row of ``RULES``, with a value behind a colon where the rule takes one.
    birth : Birth

    Returns
    -------
    Synapses, or what has a `rule` and a `hidden` state like them

    Raises
    ------
    InputError
        If there is no such rule.

    Examples
    --------
    >>> import numpy as np
    >>> from metaplastic_np import init_network
    >>> rng = np.random.default_rng(0)
    >>> network = init_network((4, 3, 2), rng=rng)
    >>> synapses = init_synapses(network, "hybrid", Birth(7.0, False, rng))
    >>> synapses.rule.name, sorted(synapses.hidden)
    ('metaplasticity', ['flexibility', 'initial_weights', 'steepness'])
    """
    return RULES[check_rule(name)](network, name, birth)
