r"""Learning: the one place where weights move.

A presentation shows images in batches. For each batch the network has a gradient, and the rule of
its synapses says how far each synapse follows it:

.. math:: w \leftarrow w - \text{rate} \cdot g

In plain gradient descent the rate is the learning rate :math:`\eta` everywhere. In the paper's rule
it is the **synaptic rate** :math:`\eta p`, computed once per **presentation**, before its first
epoch. That refresh is itself a boundary signal; ``refresh="update"`` does without it. A **learner**
joins the rule with a rehearsal, which shows images of the past along with each batch.

``_learn_batches`` is the loop. With Numba the same updates run faster
(:mod:`metaplastic_np._fast`), where a rule needs no more than a rate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._util import checks, errors
from .nn import Network, loss_and_gradient, split_parameters
from .rehearsal import Memory, Rehearsal
from .rules import Coefficients, HasRule, Synapses
from .scenarios import Presentation

__all__ = ["Learner", "LearningSettings", "learn_item"]

REFRESHES = ("presentation", "update")
Array = NDArray[Any]
Batches = list[NDArray[np.intp]]
_Outcome = tuple[int, Array | None]  # updates made, and a gradient that was refused


@dataclass(frozen=True, kw_only=True)
class LearningSettings:
    """How a presentation is learned.

    Parameters
    ----------
    learning_rate : float
        eta > 0. The default suits the bundled digits.
    batch_size : int
        Images per update; the last, smaller batch of an epoch counts too.
    refresh : {"presentation", "update"}
        When a rule's coefficients are computed: once, before the first epoch (the paper), or before
        every update, without being told where a presentation begins or ends.

    Examples
    --------
    >>> LearningSettings(batch_size=64)
    LearningSettings(learning_rate=0.009, batch_size=64, refresh='presentation')
    """

    learning_rate: float = 0.009
    batch_size: int = 256
    refresh: str = "presentation"

    def __post_init__(self) -> None:
        """Refuse what cannot be learned with."""
        checks.check_positive("learning_rate", self.learning_rate)
        checks.check_count("batch_size", self.batch_size)
        checks.check_choice("refresh", self.refresh, REFRESHES)


@dataclass(frozen=True, kw_only=True, eq=False)
class Learner:
    """How a network learns: a rule for its synapses, and what else is shown. Default: neither.

    Parameters
    ----------
    synapses : Synapses, Metaplasticity, or what has a `rule` and a `hidden` state like them
        Default: plain gradient descent.
    rehearsal : Rehearsal, optional
    memory : dict of str to array
        What the rehearsal keeps.
    rng : numpy.random.Generator, optional
        For rules and rehearsals that draw. It is theirs alone, so that their draws never change
        which images are shown when.

    Examples
    --------
    >>> Learner().synapses.rule.name
    'descent'
    """

    synapses: HasRule = field(default_factory=Synapses)
    rehearsal: Rehearsal | None = None
    memory: Memory = field(default_factory=dict)
    rng: np.random.Generator | None = None


class _Session(NamedTuple):
    """Everything that the updates of one presentation share."""

    network: Network
    learner: Learner
    images: Array
    labels: NDArray[np.intp]
    settings: LearningSettings
    coefficients: Coefficients  # as the presentation began


def _learn_batches(here: _Session, batches: Batches, losses: NDArray[np.float64]) -> _Outcome:
    """THE loop: for each batch a gradient, and for each synapse a step of its own.

    Returns how many updates were made, and a gradient that was refused since it is not finite; that
    update moved nothing.
    """
    network, learner, images, labels, settings, (rate, hold, anchor) = here
    w, rehearsal = network.parameters, learner.rehearsal
    rule, hidden = learner.synapses.rule, learner.synapses.hidden
    for update, batch in enumerate(batches):
        losses[update], g = loss_and_gradient(network, images[batch], labels[batch])
        if rehearsal is not None:
            _add_rehearsed(g, network, learner, rehearsal)
        if not np.isfinite(g).all():
            return update, g
        if settings.refresh == "update":
            rate, hold, anchor = _measure_coefficients(network, learner, settings)
        before = w if rule.track is None else w.copy()
        if rule.step_inplace is not None:
            rule.step_inplace(w, g, hidden, learning_rate=settings.learning_rate, rng=learner.rng)
        else:
            w -= rate * g
            if hold is not None:
                w -= hold * (w - anchor)
        if rule.track is not None:
            rule.track(hidden, g, before, w)
        if rehearsal is not None:
            rehearsal.store(learner.memory, network, images[batch], labels[batch], learner.rng)
    return len(batches), None


def _add_rehearsed(g: Array, network: Network, learner: Learner, rehearsal: Rehearsal) -> None:
    """Add the gradient of what is shown again, each term with its weight."""
    for term in rehearsal.terms(learner.memory, network, learner.rng):
        _, again = loss_and_gradient(network, term.images, term.labels)
        weight = term.weight if rehearsal.weigh is None else rehearsal.weigh(g, again)
        g += g.dtype.type(weight) * again


def _measure_coefficients(
    network: Network, learner: Learner, settings: LearningSettings
) -> Coefficients:
    """Ask the rule how far each synapse follows its gradient now."""
    rule, hidden = learner.synapses.rule, learner.synapses.hidden
    return rule.coefficients(network.parameters, hidden, learning_rate=settings.learning_rate)


def learn_item(
    network: Network,
    learner: Learner | HasRule,
    presentation: Presentation,
    *,
    settings: LearningSettings,
    backend: str = "auto",
    after_epoch: Callable[[int], None] | None = None,
) -> NDArray[np.float64]:
    """Learn one presentation; moves the network's parameters, in place.

    What the learner keeps, its rule's hidden state and its memory, changes along with them. The
    paper's rule keeps nothing that changes.

    Parameters
    ----------
    network : Network
    learner : Learner, or the synapses alone
        For instance a :class:`Metaplasticity`, as :func:`init_metaplasticity` made it when the
        network was born, or ``Learner()`` for plain gradient descent.
    presentation : Presentation
    settings : LearningSettings
    backend : {"auto", "numba", "numpy"}
        Same equations; "auto" takes Numba where it can be imported. A rule that needs more than a
        rate, and a rehearsal, learn in NumPy either way.
    after_epoch : callable, optional
        Called with 0, 1, ... after each epoch, for instance to measure. It does not change what is
        learned: plasticity stays that of the presentation's start.

    Returns
    -------
    losses : float64 array (n_updates,)
        Mean cross-entropy of each batch before its update, in nats.

    Raises
    ------
    InputError
        If shapes, dtypes or labels do not fit. Nothing has moved then.
    DivergenceError
        If learning diverged. If a gradient is not finite the message says in which layer and at
        which update, and that update moved no weight.

    Examples
    --------
    >>> import numpy as np
    >>> from metaplastic_np import draw_items, draw_presentation, init_metaplasticity
    >>> from metaplastic_np import init_network, load_digits
    >>> rng = np.random.default_rng(0)
    >>> items = draw_items(load_digits(), n_items=3, n_train_images=100, n_test_images=10, rng=rng)
    >>> network = init_network((128, 32, 3), rng=rng)
    >>> hybrid = init_metaplasticity(network, "hybrid", steepness=50.0, rng=rng)
    >>> losses = learn_item(network, hybrid, draw_presentation(items, 0, epochs=5, rng=rng),
    ...                     settings=LearningSettings(learning_rate=0.2))
    >>> bool(losses[-1] < losses[0])
    True
    """
    if not isinstance(learner, Learner):
        learner = Learner(synapses=learner)
    backend = checks.check_backend(backend)
    images, labels = _check(network, presentation, settings)
    coefficients = _measure_coefficients(network, learner, settings)
    here = _Session(network, learner, images, labels, settings, coefficients)
    is_fast = backend == "numba" and _needs_only_a_rate(here)
    learn = _open_fast(here) if is_fast else partial(_learn_batches, here)

    epochs, losses, done = presentation.order, [], 0
    pieces = [epochs] if after_epoch is None else [epochs[i : i + 1] for i in range(len(epochs))]
    for epoch, order in enumerate(pieces):
        batches = _cut(order, settings.batch_size)
        losses.append(np.empty(len(batches)))
        with np.errstate(over="ignore", invalid="ignore"):  # refused below, in words
            made, refused = learn(batches, losses[-1])
        done += made
        if refused is not None and not checks.is_finite(refused):
            layer, number = _first_bad_layer(network, refused), presentation.number
            place = "" if number is None else f" of presentation {number + 1}"
            raise errors.DivergenceError(
                f"the gradient of layer {layer + 1} is not finite at update {done + 1}{place}; "
                "that update moved no weight. Learning diverged: try a smaller learning rate"
            )
        if not checks.is_finite(network.parameters):
            errors.raise_diverged("the weights", presentation.number)
        if not checks.is_finite(losses[-1]):
            errors.raise_diverged("the losses", presentation.number)
        if after_epoch is not None:
            after_epoch(epoch)
    consolidate = learner.synapses.rule.consolidate
    if consolidate is not None and settings.refresh == "presentation":
        consolidate(network, learner.synapses.hidden, presentation, learner.rng)
    return np.concatenate(losses)


def _check(
    network: Network, presentation: Presentation, settings: LearningSettings
) -> tuple[Array, NDArray[np.intp]]:
    """Refuse what does not fit before anything moves; return images and labels."""
    checks.check_kind("settings", settings, LearningSettings, "LearningSettings")
    dtype, sizes = network.parameters.dtype, network.layer_sizes
    images = checks.check_array("images", presentation.images, shape=(None, sizes[0]), dtype=dtype)
    checks.check_finite("images", images)
    checks.check_finite("parameters", network.parameters)
    checks.check_scalar("learning_rate", settings.learning_rate, dtype=dtype)
    labels = checks.check_labels(
        "labels", presentation.labels, n_rows=len(images), n_classes=sizes[-1]
    )
    return images, labels


def _cut(order: NDArray[np.intp], batch_size: int) -> Batches:
    """Which images each update of some epochs sees."""
    starts = range(0, order.shape[1], batch_size)
    return [epoch[start : start + batch_size] for epoch in order for start in starts]


def _needs_only_a_rate(here: _Session) -> bool:
    """Whether the learner is a synaptic rate and nothing else, which the fast body can do."""
    rule = here.learner.synapses.rule
    more = rule.step_inplace, rule.track, here.learner.rehearsal, here.coefficients.hold
    return all(asked_for is None for asked_for in more)


def _open_fast(here: _Session) -> Callable[[Batches, NDArray[np.float64]], _Outcome]:
    """The same as :func:`_learn_batches`, by the fast body."""
    from . import _fast  # Numba takes a second to import

    network, learner, images, labels, settings, coefficients = here
    batch_size = min(settings.batch_size, len(images))
    fast = _fast.FastLearner(network, images, labels, batch_size=batch_size)

    def refuse(batch: NDArray[np.intp]) -> Array:  # its update moved nothing: the same gradient
        return loss_and_gradient(network, images[batch], labels[batch])[1]

    def learn(batches: Batches, losses: NDArray[np.float64]) -> _Outcome:
        if settings.refresh == "presentation":
            made = fast.learn(coefficients.rate, batches, losses)
            return made, None if made == len(batches) else refuse(batches[made])
        for update, batch in enumerate(batches):
            if not checks.is_finite(network.parameters):
                return update, refuse(batch)
            rate, hold, _ = _measure_coefficients(network, learner, settings)
            if hold is not None:  # a pull that was not there when the presentation began
                made, refused = _learn_batches(here, batches[update:], losses[update:])
                return update + made, refused
            if not fast.learn(rate, [batch], losses[update:]):
                return update, refuse(batch)
        return len(batches), None

    return learn


def _first_bad_layer(network: Network, gradient: Array) -> int:
    """The first layer whose gradient is not finite."""
    d_weights, d_biases = split_parameters(gradient, network.layer_sizes)
    bad = [
        not (np.isfinite(dw).all() and np.isfinite(db).all())
        for dw, db in zip(d_weights, d_biases, strict=True)
    ]
    return bad.index(True)
