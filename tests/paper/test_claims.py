"""Claims on planted effects: each holds where it is true, and each margin can make it fail."""

import json
import re
from dataclasses import asdict, fields, replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from worlds import SEEDS

import metaplastic_np as mp
from metaplastic_np.experiments import ARRAYS
from metaplastic_np.paper import controls, verdicts
from metaplastic_np.paper.calibrated import BEST, MATCHED, name_networks
from metaplastic_np.paper.claims import CLAIMS
from metaplastic_np.paper.reproduce import judge_run

TRIALS, N_TEST = 6, 100
# The networks with one flexibility that the claims name.
ONE = {name: name_networks([name], "digits")[0] for name in (BEST, MATCHED)}
FADED = np.array([0.02, 0.02, 0.02, 0.02, 0.02, 0.05, 0.1, 0.2, 0.4, 0.9])
U_SHAPED = np.array([0.8, 0.6, 0.5, 0.4, 0.35, 0.35, 0.4, 0.5, 0.6, 0.8])
TILTED = np.linspace(0.5, 0.8, 10)
HALF, EVEN = np.arange(30) < 15, np.ones(10)


def count_answers(recall):
    """Confusion with this recall; wrong answers are spread evenly over the other items."""
    hits = np.rint(N_TEST * recall).astype(np.int64)
    n_items = recall.shape[-1]
    share, rest = np.divmod(N_TEST - hits, n_items - 1)
    confusion = np.repeat(share[..., None], n_items, axis=-1)
    for item in range(n_items):
        for step in range(1, n_items):
            confusion[..., item, (item + step) % n_items] += step <= rest[..., item]
    confusion[..., np.arange(n_items), np.arange(n_items)] = hits
    return confusion


def make_run(rows, *, n_items=10, trials=TRIALS, schedule="single-pass", noise=0.01, **changes):
    """Results with planted recall {network: {row: curve}}, scattered a little over trials."""
    networks = tuple(rows)
    rng = np.random.default_rng(0)
    steps = [
        mp.scenarios.draw_schedule(schedule, n_items, rng=np.random.default_rng([1, trial]))
        for trial in range(trials)
    ]
    n_rows = len(steps[0]) + 1
    recall = np.full((len(networks), trials, n_rows, n_items), 1 / n_items)
    for network, planted in enumerate(rows.values()):
        for row, curve in planted.items():
            recall[network, :, row] = curve
    recall = np.clip(recall + rng.uniform(-noise, noise, recall.shape), 0, 1)
    of = {"n_items": n_items, "trials": trials, "networks": networks, "schedule": schedule}
    settings = mp.Settings(n_test_images=N_TEST, **of, **changes)
    header = {
        "dataset": "digits",
        "dataset_sha256": "0" * 64,
        "settings": asdict(settings),
        "seconds_by_trial": [0.5] * trials,
    }
    counts = {"confusion": count_answers(recall), "schedule": np.array(steps)}
    counts["recall"] = mp.measure_recall(counts["confusion"])
    # What no claim reads, in a shape that has trials where resampling may look for them.
    unread = {name: np.zeros((trials, trials)) for name in ARRAYS if name not in counts}
    return mp.Results(settings=settings, header=header, **counts, **unread)


def by_cause(cause):
    """Curves (trial, item) that follow how often, or when last, an item is shown."""
    curves = []
    for trial in range(TRIALS):
        steps = mp.scenarios.draw_schedule("frequency", 10, rng=np.random.default_rng([1, trial]))
        shown = [step.item for step in steps]
        value = shown.count if cause == "frequency" else lambda k, s=shown: s[::-1].index(k) * -1
        curves.append(np.argsort(np.argsort([value(item) for item in range(10)])) / 12 + 0.05)
    return np.array(curves)


@cache
def unchanged():
    return {name: make_run(rows, **OPTIONS.get(name, {})) for name, rows in plant().items()}


def planted(changes=None):
    """Evidence for which every claim is true, with changes {run: {network: {row: curve}}}."""
    rows, evidence = plant(), dict(unchanged())
    for run, networks in (changes or {}).items():
        for network, curves in networks.items():
            rows[run][network] = {**rows[run][network], **curves}
        evidence[run] = make_run(rows[run], **OPTIONS.get(run, {}))
    return evidence


OPTIONS = {
    "serial-position-30": {"n_items": 30},
    "data-poisoning": {"schedule": "poisoning-once"},
    "hebb-repetition": {"schedule": "repetition"},
    "learning-frequency": {"schedule": "frequency"},
    "non-target-true": {"non_target": "true"},
}


def plant():
    """Curves for which every claim is true: {run: {network: {row: curve}}}."""
    return {
        "serial-position": {
            "conventional": {-1: FADED},
            "stable": {-1: FADED[::-1]},
            "hybrid": {-1: U_SHAPED},
        },
        "serial-position-30": {
            "conventional": {15: 0.9 * (np.arange(30) // 3 == 4), 30: 0.9 * (np.arange(30) > 26)},
            "hybrid": {15: 0.8 * HALF, 30: np.full(30, 0.5)},
        },
        "data-poisoning": {
            "conventional": {10: FADED, 90: FADED, 100: 0.02 * EVEN},
            "hybrid": {10: U_SHAPED, 90: 0.7 * EVEN, 100: 0.6 * EVEN},
        },
        "hebb-repetition": {ONE[MATCHED]: {90: 0.4 * EVEN}, "homogeneous:0.5": {90: EVEN}},
        "homogeneous-sweep": {"homogeneous:0.5": {-1: EVEN}, ONE[BEST]: {-1: 0.4 * EVEN}},
        "learning-frequency": {
            "conventional": {-1: by_cause("last")},
            "hybrid": {-1: by_cause("frequency")},
        },
        "biased-flexibility": {"biased-up": {-1: TILTED}, "biased-down": {-1: TILTED[::-1]}},
        "non-target-true": {"conventional": {-1: 0.8 * EVEN}, "hybrid": {-1: EVEN}},
    }


@pytest.fixture(scope="module")
def evidence():
    return planted()


def at(curve, position, recall):
    changed = np.array(curve)
    changed[position - 1] = recall
    return changed


def change(run, network, row, curve):
    return {run: {network: {row: curve}}}


def both(run, conventional, hybrid):
    return {run: {"conventional": conventional, "hybrid": hybrid}}


SERIAL, LONG, POISON = "serial-position", "serial-position-30", "data-poisoning"
FEW, MOST, ALL = np.arange(30) < 3, np.arange(30) < 10, np.ones(30)
# What makes one margin of a claim false and leaves the others true, in the margins' order.
OPPOSITES = {
    "C1": [
        change(SERIAL, "conventional", -1, at(FADED, 10, 0.3)),
        change(SERIAL, "conventional", -1, at(FADED, 5, 0.8)),
    ],
    "C2": [
        change(SERIAL, "stable", -1, at(FADED[::-1], 1, 0.3)),
        change(SERIAL, "stable", -1, at(FADED[::-1], 6, 0.8)),
    ],
    "C3": [
        change(SERIAL, "hybrid", -1, at(U_SHAPED, 1, 0.25)),
        change(SERIAL, "hybrid", -1, at(U_SHAPED, 10, 0.25)),
        *(change(SERIAL, "hybrid", -1, at(U_SHAPED, place, 0.05)) for place in range(1, 11)),
        change(SERIAL, "conventional", -1, 0.7 * EVEN),
        change(SERIAL, "stable", -1, 0.7 * EVEN),
    ],
    "C4": [
        both(LONG, {15: 0.8 * HALF, 30: 0.5 * FEW}, {30: 0.5 * MOST}),  # both lose items
        both(LONG, {15: 0 * ALL, 30: 0.5 * ALL}, {}),
        change(LONG, "hybrid", 30, 0.9 * ALL),
    ],
    "C5": [change(LONG, "conventional", 30, 0.8 * ALL)],
    "C6": [
        both(POISON, {10: 0.5 * EVEN, 90: FADED}, {90: 0.2 * EVEN}),
        change(POISON, "conventional", 90, 0.5 + 0.5 * (np.arange(10) > 7)),
        both(POISON, {10: 0.02 * EVEN, 90: FADED}, {90: np.repeat([0.45, 1], 5)}),
        change(POISON, "conventional", 90, 0.02 * EVEN),
    ],
    "C7": [
        change(POISON, "hybrid", 100, 0.2 * EVEN),
        change(POISON, "conventional", 100, 0.3 * EVEN),
    ],
    "C8": [
        change("learning-frequency", "hybrid", -1, by_cause("last")),
        change("learning-frequency", "conventional", -1, by_cause("frequency")),
    ],
    "C9": [
        change("biased-flexibility", "biased-up", -1, TILTED[::-1]),
        change("biased-flexibility", "biased-down", -1, TILTED),
    ],
    "C10": [change("homogeneous-sweep", ONE[BEST], -1, 0.7 * EVEN)],
    "C11": [change("hebb-repetition", ONE[MATCHED], 90, 0.9 * EVEN)],
    "C12": [change("non-target-true", "conventional", -1, 0.3 * EVEN)],
}
# An end of the list below chance is below the middle, too, whose items are above chance.
IMPLIED = {("C3", 2): {0}, ("C3", 11): {1}}


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_holds_where_it_is_true(evidence, claim):
    judged = mp.paper.judge_claim(claim, evidence)
    assert judged["verdict"] == "holds"
    assert judged["n"] == TRIALS
    assert len(judged["parts"]) == len(OPPOSITES[claim])


@pytest.mark.parametrize(
    ("claim", "part"), [(claim, i) for claim, parts in OPPOSITES.items() for i in range(len(parts))]
)
def test_each_margin_alone_makes_its_claim_fail(claim, part):
    judged = mp.paper.judge_claim(claim, planted(OPPOSITES[claim][part]))
    failing = {i for i, each in enumerate(judged["parts"]) if each["interval"][1] < 0}
    assert failing == {part} | IMPLIED.get((claim, part), set())
    assert judged["verdict"] == "fails"


@pytest.mark.parametrize("claim", CLAIMS)
def test_each_margin_has_one_number_a_trial(evidence, claim):
    margins = CLAIMS[claim].measure(evidence)
    assert {name: margin.shape for name, margin in margins.items()} == dict.fromkeys(
        margins, (TRIALS,)
    )


# --- what is compared ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("claim", "network", "curve"), [("C1", "conventional", FADED), ("C2", "stable", FADED[::-1])]
)
def test_chance_is_one_of_ten_items_however_many_trials(claim, network, curve):
    """Below one of six, which is as many as there are trials, and still above chance."""
    above = np.where(curve < 0.1, 0.13, curve)
    judged = mp.paper.judge_claim(claim, planted(change(SERIAL, network, -1, above)))
    assert judged["verdict"] == "fails"


@pytest.mark.parametrize(("claim", "rows"), [("C7", 91), ("C7", 100), ("C11", 90), ("C1", 10)])
def test_a_run_that_is_too_short_is_not_measured(evidence, claim, rows):
    name = {"C7": POISON, "C11": "hebb-repetition", "C1": SERIAL}[claim]
    run = evidence[name]
    short = replace(run, recall=run.recall[:, :, :rows], confusion=run.confusion[:, :, :rows])
    assert mp.paper.judge_claim(claim, {**evidence, name: short})["verdict"] == "undecided"


@pytest.mark.parametrize(
    ("claim", "changed"),
    [
        ("C1", lambda recall: change(SERIAL, "conventional", -1, at(FADED, 10, recall))),
        ("C2", lambda recall: change(SERIAL, "stable", -1, at(FADED[::-1], 1, recall))),
        ("C7", lambda recall: change(POISON, "hybrid", 100, 0.7 * recall * EVEN)),  # of 0.7
    ],
)
def test_remembered_means_more_than_half(claim, changed):
    """Recall is planted within 0.01."""
    assert mp.paper.judge_claim(claim, planted(changed(0.55)))["verdict"] == "holds"
    assert mp.paper.judge_claim(claim, planted(changed(0.45)))["verdict"] == "fails"


def test_networks_are_compared_trial_by_trial(evidence):
    """A small advantage in every trial holds, however much trials differ."""
    run = evidence["serial-position-30"]
    recall = run.recall.copy()
    recall[0, :, -1] = np.linspace(0.1, 0.8, TRIALS)[:, None]
    recall[1, :, -1] = recall[0, :, -1] + 0.01
    judged = mp.paper.judge_claim("C5", {"serial-position-30": replace(run, recall=recall)})
    assert judged["verdict"] == "holds"
    assert judged["estimate"] == pytest.approx(0.3)


def test_runs_of_different_length_are_compared_in_the_trials_that_both_have(evidence):
    few = make_run({"conventional": {-1: 0.8 * EVEN}}, trials=3, non_target="true")
    judged = mp.paper.judge_claim("C12", {**evidence, "non-target-true": few})
    hybrid = evidence["serial-position"].recall[2, :3, -1].mean(axis=1)
    assert judged["n"] == 3
    assert judged["estimate"] == pytest.approx((few.recall[0, :, -1].mean(axis=1) - hybrid).mean())


def incomplete(evidence, claim):
    """Evidence that lacks one run, network or list of the right length that the claim needs."""
    for name, networks in CLAIMS[claim].needs.items():
        yield {other: evidence[other] for other in evidence if other != name}
        settings = evidence[name].settings
        changes = [{"n_items": 12, "schedule": "single-pass"}]
        for network in networks:
            needed = ONE.get(network, network)
            there = ["homogeneous:0.1" if each == needed else each for each in settings.networks]
            changes.append({"networks": there})
        for change in changes:
            changed = replace(evidence[name], settings=replace(settings, **change))
            yield {**evidence, name: changed}


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_that_cannot_be_measured_is_undecided(evidence, claim):
    for some in incomplete(evidence, claim):
        judged = mp.paper.judge_claim(claim, some)
        assert (judged["verdict"], judged["n"], judged["parts"]) == ("undecided", 0, [])
        assert (judged["estimate"], judged["interval"]) == (None, [None, None])
        assert judged["obstacle"]
        assert mp.paper.judge_controls(claim, some) is None
        json.dumps(judged, allow_nan=False)


# Another value for every setting that a claim must not vary.
OTHERS = {
    "seed": 1,
    "n_train_images": 400,
    "n_test_images": 50,
    "n_features": 512,
    "input_scale": 4.0,
    "hidden": (16,),
    "learning_rate": 1e-6,
    "batch_size": 64,
    "epochs": 4,
    "steepness": 1.0,
    "refresh": "update",
    "modulate_biases": True,
    "dtype": "float64",
}
COMPARING = [claim for claim in CLAIMS if len(CLAIMS[claim].needs) > 1]


@pytest.mark.parametrize("claim", COMPARING)
@pytest.mark.parametrize("setting", OTHERS)
def test_runs_that_differ_in_what_a_claim_does_not_vary_are_not_compared(evidence, claim, setting):
    name = list(CLAIMS[claim].needs)[-1]
    run = evidence[name]
    run = replace(run, settings=replace(run.settings, **{setting: OTHERS[setting]}))
    judged = mp.paper.judge_claim(claim, {**evidence, name: run})
    assert (judged["verdict"], judged["n"]) == ("undecided", 0)
    assert setting in judged["obstacle"]
    assert mp.paper.judge_controls(claim, {**evidence, name: run}) is None


def test_every_setting_is_varied_by_a_claim_or_must_agree():
    of_the_list = {"n_items", "kappa", "non_target"}  # tested as obstacles of their own
    settings = {field.name for field in fields(mp.Settings)}
    assert settings - of_the_list - set(verdicts.VARIED) == set(OTHERS)


@pytest.mark.parametrize("setting", [name for name in OTHERS if name != "seed"])
@pytest.mark.parametrize("claim", ["C10", "C11"])
def test_one_flexibility_is_compared_only_at_settings_that_it_was_calibrated_for(
    evidence, claim, setting
):
    changed = {
        name: replace(run, settings=replace(run.settings, **{setting: OTHERS[setting]}))
        for name, run in evidence.items()
    }
    assert f"calibrated at {setting}" in mp.paper.judge_claim(claim, changed)["obstacle"]


def with_header(run, **changes):
    return replace(run, header={**run.header, **changes})


@pytest.mark.parametrize(
    ("claim", "name", "change", "message"),
    [
        ("C12", "non-target-true", {"dataset_sha256": "1"}, "must share their dataset_sha256"),
        ("C10", "homogeneous-sweep", {"dataset": "mine"}, "no homogeneous .* calibrated for mine"),
    ],
)
def test_runs_of_other_images_are_not_compared(evidence, claim, name, change, message):
    changed = {**evidence, name: with_header(evidence[name], **change)}
    assert re.search(message, mp.paper.judge_claim(claim, changed)["obstacle"])


@pytest.mark.parametrize(
    ("claim", "name", "change", "message"),
    [
        ("C12", "non-target-true", {"non_target": "none"}, "must have non_target true; got none"),
        ("C8", "learning-frequency", {"schedule": "repetition"}, "has a schedule of its own"),
        ("C9", "biased-flexibility", {"kappa": 2.0, "steepness": None}, "must share their steep"),
    ],
)
def test_a_run_that_is_not_its_rows_is_not_judged(evidence, claim, name, change, message):
    run = evidence[name]
    changed = replace(run, settings=replace(run.settings, **change))
    judged = mp.paper.judge_claim(claim, {**evidence, name: changed})
    assert message in judged["obstacle"]


def test_too_few_trials_have_no_controls(evidence):
    for trials, found in ((3, None), (4, 0)):
        run = make_run(plant()["serial-position"], trials=trials)
        assert mp.paper.judge_controls("C1", {"serial-position": run}) == found


def test_unknown_claims_are_refused(evidence):
    for judge in (mp.paper.judge_claim, mp.paper.judge_controls):
        with pytest.raises(mp.InputError, match=r"`claim` must be one of C1, C2, .*; got 'C13'"):
            judge("C13", evidence)


# --- controls ------------------------------------------------------------------------


def bits(evidence):
    return {
        name: (run.settings, *(getattr(run, array).tobytes() for array in ARRAYS))
        for name, run in evidence.items()
    }


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_true_claim_holds_in_none_of_its_controls_which_leave_the_evidence_alone(evidence, claim):
    before = bits(evidence)
    assert mp.paper.judge_controls(claim, evidence) == 0
    assert bits(evidence) == before


def test_controls_are_taken_in_turn_and_those_that_hold_are_counted(evidence, monkeypatch):
    flawed = replace(CLAIMS["C5"], controls=(lambda some, _: some, controls.hybrid_is_conventional))
    monkeypatch.setitem(CLAIMS, "C5", flawed)
    assert mp.paper.judge_controls("C5", evidence) == verdicts.N_CONTROLS / 2


def test_exchanged_networks_have_each_others_results_and_twice_their_own(evidence):
    exchange = controls.exchanged("conventional", "hybrid")
    once = exchange(evidence, None)
    assert once["serial-position"].settings.networks == ("hybrid", "stable", "conventional")
    assert once["biased-flexibility"].settings.networks == ("biased-up", "biased-down")
    assert bits(exchange(once, None)) == bits(evidence)


@given(SEEDS)
def test_permuted_permutes_a_copy_of_each_trials_items_alike_for_all_networks(seed):
    run = make_run({"conventional": {-1: TILTED}, "hybrid": {-1: TILTED}}, noise=0.0)
    before = bits({"run": run})
    found = controls.permuted({"run": run}, np.random.default_rng(seed))["run"]
    assert bits({"run": run}) == before
    np.testing.assert_array_equal(mp.measure_recall(found.confusion), found.recall)
    np.testing.assert_array_equal(np.sort(found.recall), np.sort(run.recall))
    np.testing.assert_array_equal(found.recall[0], found.recall[1])
    assert len({trial.tobytes() for trial in found.recall[0]}) == TRIALS


def test_the_hybrid_becomes_the_conventional_where_both_are_there(evidence):
    found = controls.hybrid_is_conventional(evidence, None)
    run = found["serial-position"]
    for name in ("recall", "confusion"):
        substituted = getattr(evidence["serial-position"], name)[[0, 1, 0]]
        np.testing.assert_array_equal(getattr(run, name), substituted)
    assert found["biased-flexibility"] is evidence["biased-flexibility"]


def test_control_runs_keep_sharing_their_trials_and_leave_another_one_out():
    numbers = np.arange(TRIALS)[:, None] / 10 * np.ones(10)
    runs = {name: make_run({"hybrid": {-1: numbers}}, noise=0.0) for name in ("one", "other")}
    runs["other"] = controls.left_out(runs, TRIALS - 1)["other"]  # shorter by its last trial
    for number in range(2 * TRIALS):
        one, other = controls.left_out(runs, number).values()
        assert one.recall.tobytes() == other.recall.tobytes()
        np.testing.assert_array_equal(mp.measure_recall(one.confusion), one.recall)
        left = np.delete(np.arange(TRIALS - 1), number % (TRIALS - 1)) / 10
        np.testing.assert_allclose(one.recall[0, :, -1, 0], left)


# --- claims.json ---------------------------------------------------------------------


def test_claims_json_has_the_documented_form(evidence):
    judged = json.loads(json.dumps(judge_run(evidence, preset="quick"), allow_nan=False))
    claims = judged.pop("claims")
    assert judged == {"schema": 1, "seed": 0, "preset": "quick", "dataset": "digits"}
    assert [claim["id"] for claim in claims] == [f"C{number}" for number in range(1, 13)]
    judged_by = ["verdict", "estimate", "interval", "n", "seconds", "parts"]
    judged_by += ["obstacle", "controls"]
    for claim in claims:
        assert list(claim) == ["id", "statement", *judged_by]
        assert claim["statement"] == CLAIMS[claim["id"]].statement
        assert claim["obstacle"] == ""
        assert claim["seconds"] == 0.5 * TRIALS * len(CLAIMS[claim["id"]].needs)
        assert all(list(part) == ["name", "estimate", "interval", "n"] for part in claim["parts"])
