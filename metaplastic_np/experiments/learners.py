"""How each network of a trial learns, by its name: ``"hybrid"``, or ``"hybrid+replay:1000"``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

import numpy as np

from .._util import checks
from ..learning import Learner
from ..nn import Network
from ..rehearsal import REHEARSALS
from ..rules import Birth, check_rule, descend, init_synapses

State = dict[str, np.ndarray]


def check_learners(networks: Sequence[str]) -> tuple[str, ...]:
    """Require at least one name, each known to the tables of rules and rehearsals, none twice."""
    if not isinstance(networks, Iterable) or isinstance(networks, str):
        checks.raise_expected("networks", "be a sequence of names", repr(networks))
    names = tuple(networks)
    if not names:
        checks.raise_expected("networks", "name at least one", "none")
    for name in names:
        rule, plus, rehearsal = name.partition("+") if isinstance(name, str) else (name, "", "")
        check_rule(rule)
        if plus:
            checks.check_choice("networks", rehearsal.partition(":")[0], REHEARSALS)
    for name in names:
        same = [other for other in names if _read_name(other) == _read_name(name)]
        if len(same) > 1:
            checks.raise_expected("networks", "name each only once", " and ".join(map(repr, same)))
    return names


def _read_name(name: str) -> list[str | float]:
    """A name's words and values: the same for 0.5 and .50."""
    read: list[str | float] = [*name.replace("+", ":").split(":")]
    for place, word in enumerate(read):
        with suppress(ValueError):
            read[place] = float(word)
    return read


def init_learner(network: Network, name: str, birth: Birth) -> Learner:
    """The learner that a name stands for, of a newborn network."""
    rule, plus, rehearsal = name.partition("+")
    synapses = init_synapses(network, rule, birth)
    if not plus:
        return Learner(synapses=synapses)
    init = REHEARSALS[rehearsal.partition(":")[0]]
    # A child of the rule's generator: the same draws, whatever the rule has drawn.
    shown_again, memory = init(network, rehearsal, birth.rng.spawn(1)[0])
    return Learner(synapses=synapses, rehearsal=shown_again, memory=memory)


def is_plain_at_birth(network: Network, learner: Learner, learning_rate: float) -> bool:
    """Whether a newborn network first learns as by plain gradient descent, bit for bit."""
    rule, rehearsal = learner.synapses.rule, learner.rehearsal
    more = rule.step_inplace, rule.track, rule.consolidate, rehearsal
    if any(asked_for is not None for asked_for in more):
        return False
    w, hidden = network.parameters, learner.synapses.hidden
    found = rule.coefficients(w, hidden, learning_rate=learning_rate)
    plain = descend(w, {}, learning_rate=learning_rate)
    return found.hold is None and found.rate.tobytes() == plain.rate.tobytes()


def copy_state(network: Network, learner: Learner) -> State:
    """All that learning changes, by name: parameters, what the rule writes to, the memory."""
    hidden = learner.synapses.hidden.items()
    return {
        "parameters": network.parameters.copy(),
        **{f"hidden.{name}": np.array(held) for name, held in hidden if not _is_fixed(held)},
        **{f"memory.{name}": np.array(held) for name, held in learner.memory.items()},
    }


def restore_state(network: Network, learner: Learner, state: State) -> None:
    """Go back to a copied state, also where names or shapes have changed since."""
    network.parameters[:] = state["parameters"]
    hidden, memory = learner.synapses.hidden, learner.memory
    for name in [name for name, held in hidden.items() if not _is_fixed(held)]:
        del hidden[name]
    memory.clear()
    for name, array in state.items():
        kind, _, part = name.partition(".")
        if kind != "parameters":
            (hidden if kind == "hidden" else memory)[part] = array.copy()


def _is_fixed(held: object) -> bool:
    """Whether a rule drew an array at birth and can never write to it."""
    return isinstance(held, np.ndarray) and not held.flags.writeable
