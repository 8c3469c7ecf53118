"""The joint: a rule that needs a boundary, a rehearsal that needs a memory, one row each.

Both are toys, written here as a student would write them, outside the package. Whole experiments
run, stop, resume and rewind with them: so a new method touches its own file and its row.
"""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from worlds import learn, learn_plainly, make_world

import metaplastic_np as mp
from metaplastic_np.experiments import run as experiments
from metaplastic_np.experiments import trials
from metaplastic_np.learning import Learner
from metaplastic_np.rehearsal import REHEARSALS, Rehearsal, Term
from metaplastic_np.rules import RULES, Coefficients, Synapses, SynapticRule, descend

# --- a rule that needs a boundary: synapses are pulled to where the last presentation left them


def pull(parameters, hidden, *, learning_rate):
    rate = descend(parameters, hidden, learning_rate=learning_rate).rate
    return Coefficients(rate, np.full_like(parameters, hidden["strength"]), hidden["anchor"])


def remember(network, hidden, presentation, rng):
    hidden["anchor"][:] = network.parameters
    hidden["seen"] += 1
    # What comes later than birth, and grows, is state, too.
    hidden["path"] = np.append(hidden.get("path", []), network.parameters[0])
    hidden["last"] = network.parameters.sum()


PULLED = SynapticRule(name="pulled", coefficients=pull, consolidate=remember)


def init_pulled(network, name, birth):
    strength = float(name.partition(":")[2] or 0.1)
    anchor, seen = network.parameters.copy(), np.zeros(1, int)
    hidden = {"anchor": anchor, "seen": seen, "strength": np.array(strength)}
    hidden["strength"].flags.writeable = False
    return Synapses(rule=PULLED, hidden=hidden)


# --- a rehearsal that needs a memory: some images of the past are shown with every batch


def show_some(memory, network, rng):
    if not len(memory["labels"]):
        return []
    rows = rng.integers(len(memory["labels"]), size=3)
    return [Term(memory["images"][rows], memory["labels"][rows], weight=0.5)]


def keep_some(memory, network, images, labels, rng):
    size = int(memory["size"])
    for name, new in (("images", images), ("labels", labels)):
        memory[name] = np.concatenate([memory[name], new])[-size:]


SOME = Rehearsal(name="some", terms=show_some, store=keep_some)


def init_some(network, name, rng):
    images = np.empty((0, network.layer_sizes[0]), network.parameters.dtype)
    size = np.array(int(name.partition(":")[2]))
    return SOME, {"images": images, "labels": np.empty(0, int), "size": size}


@pytest.fixture(autouse=True)
def _rows_in_the_tables(monkeypatch):
    monkeypatch.setitem(RULES, "pulled", init_pulled)
    monkeypatch.setitem(REHEARSALS, "some", init_some)


def make_learner(network, *, strength=0.1, size=0, rule=PULLED):
    hidden = init_pulled(network, f"pulled:{strength}", None).hidden
    memory = init_some(network, f"some:{size}", None)[1] if size else {}
    return Learner(
        synapses=Synapses(rule=rule, hidden=hidden),
        rehearsal=SOME if size else None,
        memory=memory,
        rng=np.random.default_rng(0),
    )


def learned(backend="numpy", **options):
    world = make_world(0, presentations=3)
    world.metaplasticity = make_learner(world.network, **options)
    losses = learn(world, backend)
    return world, losses


def learned_plainly(backend="numpy"):
    world = make_world(0, presentations=3)
    learn_plainly(world, backend)
    return world.network.parameters


# --- off is gradient descent bit for bit, on is not ----------------------------------


def test_without_strength_and_memory_it_is_gradient_descent_bit_for_bit(backend):
    """In NumPy's body either way: the fast body does rates alone."""
    world, _ = learned(backend, strength=0)
    assert world.network.parameters.tobytes() == learned_plainly("numpy").tobytes()


@pytest.mark.parametrize("options", [{"strength": 0.1}, {"strength": 0, "size": 4}])
def test_a_pull_and_a_memory_change_what_is_learned(backend, options):
    world, _ = learned(backend, **options)
    assert np.abs(world.network.parameters - learned_plainly()).max() > 1e-3


def test_a_rule_is_told_of_each_boundary_but_where_no_boundary_is_told():
    world, _ = learned()
    hidden = world.metaplasticity.synapses.hidden
    assert hidden["seen"].tolist() == [3]
    assert hidden["anchor"].tobytes() == world.network.parameters.tobytes()
    free = make_world(0, presentations=3, refresh="update")
    free.metaplasticity = make_learner(free.network)
    learn(free, "numpy")
    assert free.metaplasticity.synapses.hidden["seen"].tolist() == [0]


def test_the_pull_is_the_one_that_the_two_lines_say():
    world = make_world(0, epochs=1, batch_size=9)
    before = world.network.parameters.copy()
    anchor = before + 1
    learner = make_learner(world.network, strength=0.25)
    learner.synapses.hidden["anchor"][:] = anchor
    plain = world.twin()
    (shown,) = world.presentations
    mp.learn_item(plain, Learner(), shown, settings=world.settings, backend="numpy")
    mp.learn_item(world.network, learner, shown, settings=world.settings, backend="numpy")
    expected = plain.parameters - 0.25 * (plain.parameters - anchor)
    np.testing.assert_allclose(world.network.parameters, expected, rtol=1e-14)


def test_a_step_of_a_rules_own_takes_the_place_of_the_two_lines():
    def step(parameters, gradient, hidden, *, learning_rate, rng):
        parameters -= learning_rate * gradient

    world, _ = learned(rule=SynapticRule(name="own", step_inplace=step))
    assert world.network.parameters.tobytes() == learned_plainly().tobytes()


def test_a_rule_may_follow_every_update():
    seen = []

    def track(hidden, gradient, before, after):
        seen.append((gradient.copy(), before.copy(), after.copy()))

    world, losses = learned(rule=SynapticRule(name="tracked", track=track))
    assert len(seen) == len(losses)
    for gradient, before, after in seen:
        np.testing.assert_array_equal(after, before - world.settings.learning_rate * gradient)
    for (_, _, after), (_, before, _) in pairwise(seen):
        assert after.tobytes() == before.tobytes()
    assert seen[-1][2].tobytes() == world.network.parameters.tobytes()


def test_what_is_rehearsed_adds_its_gradient_with_its_weight():
    world = make_world(0, epochs=1, batch_size=9)
    (shown,) = world.presentations
    again = Rehearsal(
        name="same",
        terms=lambda *_: [Term(shown.images, shown.labels, weight=0.5)],
        store=lambda *_: None,
    )
    twice = world.twin()
    faster = replace(world.settings, learning_rate=1.5 * world.settings.learning_rate)
    mp.learn_item(twice, Learner(), shown, settings=faster, backend="numpy")
    learner = Learner(rehearsal=again)
    mp.learn_item(world.network, learner, shown, settings=world.settings, backend="numpy")
    np.testing.assert_allclose(world.network.parameters, twice.parameters, rtol=1e-12)


def test_a_weight_may_depend_on_both_gradients():
    world = make_world(0, epochs=1, batch_size=9)
    (shown,) = world.presentations
    asked = []

    def weigh(gradient, memory_gradient):
        asked.append((gradient.copy(), memory_gradient))
        return -1.0

    cancelled = Rehearsal(
        name="cancelled",
        terms=lambda *_: [Term(shown.images, shown.labels)],
        store=lambda *_: None,
        weigh=weigh,
    )
    before = world.network.parameters.copy()
    learner = Learner(rehearsal=cancelled)
    mp.learn_item(world.network, learner, shown, settings=world.settings, backend="numpy")
    ((one, other),) = asked
    np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(world.network.parameters, before, atol=1e-15)


def test_a_rehearsals_gradient_that_is_not_finite_is_refused_with_its_layer():
    world = make_world(0, image_scale=1.0)
    (shown,) = world.presentations
    huge = Rehearsal(
        name="huge",
        terms=lambda *_: [Term(shown.images * 1e308, shown.labels)],
        store=lambda *_: None,
    )
    before = world.network.parameters.tobytes()
    learner = Learner(rehearsal=huge)
    with pytest.raises(mp.DivergenceError, match="gradient of layer 1 is not finite at update 1 "):
        mp.learn_item(world.network, learner, shown, settings=world.settings, backend="numpy")
    assert world.network.parameters.tobytes() == before


def test_a_rehearsal_that_draws_is_refused_with_the_layer_that_was_bad_then():
    world = make_world(0)
    (shown,) = world.presentations
    sizes = iter([1e308, 1.0])  # another draw would have been fine
    huge = Rehearsal(
        name="huge at first",
        terms=lambda *_: [Term(shown.images * next(sizes), shown.labels)],
        store=lambda *_: None,
    )
    learner = Learner(rehearsal=huge)
    with pytest.raises(mp.DivergenceError, match="gradient of layer 1 is not finite at update 1 "):
        mp.learn_item(world.network, learner, shown, settings=world.settings, backend="numpy")


def test_a_pull_that_comes_later_pulls_in_both_bodies(backend):
    """Refreshed at every update, a rule may begin to pull when a weight has moved."""

    def late(parameters, hidden, *, learning_rate):
        plain = descend(parameters, hidden, learning_rate=learning_rate)
        if np.abs(parameters - hidden["anchor"]).max() < 0.01:
            return plain
        return plain._replace(hold=np.full_like(parameters, 0.5), anchor=hidden["anchor"])

    def moved(body):
        world = make_world(0, epochs=3, refresh="update")
        rule = SynapticRule(name="late", coefficients=late)
        world.metaplasticity = make_learner(world.network, rule=rule)
        learn(world, body)
        return world.network.parameters

    np.testing.assert_allclose(moved(backend), moved("numpy"), rtol=1e-9, atol=1e-12)
    world = make_world(0, epochs=3, refresh="update")
    learn_plainly(world, "numpy")
    assert np.abs(moved(backend) - world.network.parameters).max() > 1e-3


# --- whole experiments ---------------------------------------------------------------

SMALL = mp.Settings(
    n_items=4,
    trials=1,
    n_train_images=40,
    n_test_images=10,
    n_features=32,
    hidden=(16,),
    batch_size=32,
    epochs=2,
    steepness=200.0,
    schedule=[0, 1, 2, 3, 0, mp.Step(1, label=2), mp.Step(2, after=3), 3],
)
NAMES = ("conventional", "pulled:0.02", "hybrid+some:50", "pulled:0.02+some:50")


@pytest.fixture(scope="module")
def digits():
    return mp.load_digits()


def run(digits, monkeypatch, **options):
    monkeypatch.setattr(experiments, "count_threads", lambda: 1)
    return mp.run_experiment(digits, replace(SMALL, networks=NAMES), backend="numpy", **options)


def test_an_experiment_takes_a_row_by_its_name_and_joins_two_by_a_plus(digits, monkeypatch):
    found = run(digits, monkeypatch)
    recalls = [recall.tobytes() for recall in found.recall]
    assert len(set(recalls)) == len(NAMES)
    without = replace(SMALL, networks=("conventional",))
    alone = mp.run_experiment(digits, without, backend="numpy")
    # Draws of a rule or a memory do not shift the data.
    np.testing.assert_array_equal(alone.confusion[0], found.confusion[0])


@pytest.mark.parametrize("learned", [1, 5, 17, 27])
def test_a_trial_stopped_within_goes_on_with_the_same_bits(digits, tmp_path, monkeypatch, learned):
    """Hidden state and memory are saved and read, and so are those that a step rewinds to."""
    whole = run(digits, monkeypatch)
    monkeypatch.setattr(trials, "STATE_SECONDS", 0.0)
    real, calls = trials.learn_item, []

    def stop(*arguments, **options):
        if len(calls) == learned:
            raise KeyboardInterrupt
        calls.append(1)
        return real(*arguments, **options)

    monkeypatch.setattr(trials, "learn_item", stop)
    with pytest.raises(KeyboardInterrupt):
        run(digits, monkeypatch, checkpoint=tmp_path)
    monkeypatch.setattr(trials, "learn_item", real)
    resumed = run(digits, monkeypatch, checkpoint=tmp_path)
    for name in mp.experiments.ARRAYS:
        assert getattr(resumed, name).tobytes() == getattr(whole, name).tobytes(), name


def test_a_step_that_rewinds_takes_hidden_state_and_memory_back(digits, monkeypatch):
    kept, real = [], trials.restore_state

    def note(network, learner, state):
        real(network, learner, state)
        seen, labels = learner.synapses.hidden.get("seen"), learner.memory.get("labels")
        kept.append(
            (None if seen is None else int(seen[0]), None if labels is None else len(labels))
        )
        assert len(learner.synapses.hidden.get("path", ())) == (kept[-1][0] or 0)

    monkeypatch.setattr(trials, "restore_state", note)
    run(digits, monkeypatch)
    assert kept == [(None, None), (3, None), (None, 50), (3, 50)]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nothing", "`networks` must name .*'nothing'"),
        ("hybrid+nothing", "`networks` must be one of some; got 'nothing'"),
    ],
)
def test_a_name_that_no_row_has_is_refused(name, words):
    with pytest.raises(mp.InputError, match=words):
        replace(SMALL, networks=(name,))
