"""The exercises: solutions pass, mistakes get their own hints, and nothing breaks `check`."""

import _thread
import importlib.util
import re
import signal
import subprocess
import sys
import threading
import time
from functools import cache
from math import comb
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import metaplastic_np as mp
from metaplastic_np.exercises import checker as exercises
from metaplastic_np.exercises.checker import EXERCISES, check

FOLDER = Path(__file__).parents[2] / "tutorials" / "exercises"
SCRIPTS = {path.name[:4]: path for path in sorted(FOLDER.glob("ex*.py"))}
CALL = re.compile(r'^print\(check\("(ex\d\d)", (\w+)\)\)$', re.M)


@cache
def load_build():
    path = FOLDER.parent / "build.py"
    specification = importlib.util.spec_from_file_location("build", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def load_function(name, *, student=False):
    """The function that a script hands to `check`, without what the script does with it."""
    text = SCRIPTS[name].read_text(encoding="utf-8")
    call = CALL.search(text)
    start = text[: call.start()]
    if student:
        start = load_build().make_student(start)
    namespace = {"__name__": name}
    exec(compile(start, SCRIPTS[name], "exec"), namespace)
    return namespace[call[2]]


# --- answers -------------------------------------------------------------------------


def test_every_exercise_has_a_script_and_every_script_an_exercise():
    assert list(SCRIPTS) == list(EXERCISES) == [f"ex{number:02}" for number in range(1, 13)]


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_passes(name, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    feedback = check(name, load_function(name))
    assert feedback, feedback
    assert str(feedback).startswith(f"{name}: passed")


@pytest.mark.parametrize("name", EXERCISES)
def test_what_students_get_is_not_written_yet(name):
    feedback = check(name, load_function(name, student=True))
    assert not feedback
    assert str(feedback) == f"{name}: not written yet"


def sech2(f, d, s):
    return 1 - np.tanh(s * (1 - f) / f * d) ** 2


def overflowing(f, d, s):
    grown = np.exp(2 * s * (1 - f) / f * np.abs(d))
    return np.where(f == 0, 0.0, 4 * grown / (1 + grown) ** 2)


def drift(c, x):
    return x / 2 + np.sinh(2 * c * x) / (4 * c)


def bisect(balance, target, *, halvings=8, upside_down=False):
    low, high = 0.0, 1.0
    for _ in range(halvings):
        middle = (low + high) / 2
        low, high = (middle, high) if (balance(middle) > target) != upside_down else (low, middle)
    return (low + high) / 2


def differences(weights, births):
    return [now - birth for now, birth in zip(weights, births, strict=True)]


def pooled(weights, births):
    return np.concatenate([move.ravel() for move in differences(weights, births)])


def rms(values):
    return np.sqrt(np.mean(values[values != 0] ** 2))


def repaired(n, rng):
    labels = rng.permutation(n)
    while (labels == np.arange(n)).any():
        place = int(np.flatnonzero(labels == np.arange(n))[0])
        other = (place + 1) % n
        labels[[place, other]] = labels[[other, place]]
    return labels


def one_cycle(n, rng):
    order = rng.permutation(n)
    labels = np.empty(n, dtype=int)
    labels[order] = np.roll(order, 1)
    return labels


def spread(n, labels):
    return np.resize(labels, n)


def without(n_items, *excluded):
    return [label for label in range(n_items) if label not in excluded]


# Exercise, distinctive words of the hint, and a wrong answer made from the right one.
WRONG = [
    ("ex01", "sign is the other", lambda right: lambda z, y: -right(z, y)),
    ("ex01", "one-hot", lambda right: lambda z, y: right(z, y) + np.eye(z.shape[1])[y] / len(y)),
    ("ex01", "mean over the batch", lambda right: lambda z, y: right(z, y) * len(y)),
    (
        "ex01",
        "overflows: subtract each row's maximum",
        lambda right: (
            lambda z, y: (
                (np.exp(z) / np.exp(z).sum(axis=1, keepdims=True) - np.eye(z.shape[1])[y]) / len(y)
            )
        ),
    ),
    ("ex02", "d_inputs: .*Transposed", lambda right: lambda *a: [part.T for part in right(*a)]),
    ("ex02", "above 0", lambda right: lambda d, x, w, b: (d @ w.T, x.T @ d, d.sum(axis=0))),
    (
        "ex02",
        "mask is that of the forward pass",
        lambda right: (
            lambda d, x, w, b: (
                np.maximum(d, 0) @ w.T,
                x.T @ np.maximum(d, 0),
                np.maximum(d, 0).sum(axis=0),
            )
        ),
    ),
    (
        "ex02",
        "d_biases: .*Add up over the batch",
        lambda right: lambda d, *a: (*right(d, *a)[:2], right(d, *a)[2] / len(d)),
    ),
    ("ex02", r"got ndarray, expected a tuple", lambda right: lambda *a: right(*a)[1]),
    (
        "ex03",
        "tanh.2: the square is missing",
        lambda right: lambda f, d, s: 1 - np.tanh(s * (1 - f) / f * d),
    ),
    ("ex03", r"not f/\(1 - f\)", lambda right: lambda f, d, s: right(1 - f, d, s)),
    ("ex03", "Where is the steepness", lambda right: lambda f, d, s: right(f, d, 1.0)),
    ("ex03", "is to be squared", lambda right: lambda f, d, s: np.sqrt(right(f, d, s))),
    ("ex03", "Where is the stiffness", lambda right: lambda f, d, s: 1 / np.cosh(s * d) ** 2),
    ("ex03", "f = 0, displacement 0, .*got nan.*rigid", lambda right: sech2),
    (
        "ex03",
        "displacement 9, .*got 0.*cancels",
        lambda right: lambda f, d, s: np.where(f == 0, 0.0, sech2(f, d, s)),
    ),
    ("ex03", r"An exponential overflows: use exp\(-2", lambda right: overflowing),
    ("ex04", "ordinary synapse", lambda right: lambda x, f: x),
    (
        "ex04",
        "integrates sech",
        lambda right: lambda x, f: np.tanh((1 - f) / f * x) / ((1 - f) / f),
    ),
    ("ex04", r"not f/\(1 - f\)", lambda right: lambda x, f: right(x, 1 - f)),
    ("ex04", "whose integral is x/2", lambda right: lambda x, f: right(x, f) - x / 2),
    ("ex04", "f = 1, x = 2: .*limit", lambda right: lambda x, f: drift(np.float64(1 - f) / f, x)),
    ("ex05", "upper end", lambda right: lambda b, t: bisect(b, t, upside_down=True)),
    ("ex05", "lower end", lambda right: lambda b, t: 0.0),
    ("ex05", "what is the target for", lambda right: lambda b, t: right(b, 0.0)),
    ("ex05", "called balance 20 times", lambda right: lambda b, t: bisect(b, t, halvings=20)),
    (
        "ex06",
        "agree with each other",
        lambda right: lambda n: [mp.Step(k % n, label=(k + 1) % n) for k in range(6)],
    ),
    ("ex06", "uses 12 presentations", lambda right: lambda n: 2 * right(n)),
    ("ex06", r"step 0, Step\(item=2.*is no poison", lambda right: lambda n: [mp.Step(2)]),
    ("ex06", "lie in 0..4", lambda right: lambda n: [mp.Step(0, label=n)]),
    ("ex07", "against the gradient", lambda right: lambda g, *rest: right(-g, *rest)),
    (
        "ex07",
        "what refresh = 'presentation' gives",
        lambda right: lambda *a: right(*a[:4], "presentation"),
    ),
    ("ex07", "what refresh = 'update' gives", lambda right: lambda *a: right(*a[:4], "update")),
    (
        "ex07",
        "starts where the last one ended",
        lambda right: lambda g, *rest: np.concatenate([right(row[None], *rest) for row in g]),
    ),
    ("ex08", "twice in a row", lambda right: lambda n: [k for k in range(n) for _ in range(2)]),
    (
        "ex08",
        r"come again after \[3, 4, 2\]",
        lambda right: lambda n: [*range(n), 0, *range(n - 1, 0, -1)],
    ),
    ("ex08", r"got array\(.* list of whole", lambda right: lambda n: np.array(right(n))),
    ("ex08", r"got \[0.0, .* list of whole", lambda right: lambda n: [float(k) for k in right(n)]),
    ("ex08", "expected 0 to 1 twice each", lambda right: lambda n: [*range(n)]),
    (
        "ex09",
        "Pool the weights",
        lambda right: lambda w, b, s: s * np.mean([rms(move) for move in differences(w, b)]),
    ),
    (
        "ex09",
        "never moved do not count",
        lambda right: lambda w, b, s: s * np.sqrt(np.mean(pooled(w, b) ** 2)),
    ),
    ("ex09", "standard deviation", lambda right: lambda w, b, s: s * pooled(w, b).std()),
    ("ex09", "Where is the steepness", lambda right: lambda w, b, s: rms(pooled(w, b))),
    ("ex10", "never answered is memorized", lambda right: lambda h, a, b, t: right(h + 1, a, b, t)),
    (
        "ex10",
        "add what is more extreme",
        lambda right: lambda h, a, b, t: right(h, a, b, t) - right(h + 1, a, b, t),
    ),
    (
        "ex10",
        "binomial",
        lambda right: (
            lambda h, a, b, t: sum(
                comb(a, k) * (b / t) ** k * (1 - b / t) ** (a - k) for k in range(h, a + 1)
            )
        ),
    ),
    ("ex11", "keeps its own label", lambda right: lambda n, rng: rng.permutation(n)),
    (
        "ex11",
        "only [0-9] of the 9",
        lambda right: lambda n, rng: np.roll(np.arange(n), rng.integers(1, n)),
    ),
    ("ex11", "only 6 of the 9", lambda right: one_cycle),
    ("ex11", "Take all random numbers", lambda right: lambda n, rng: right(n, np.random)),
    (
        "ex11",
        "is `rng` used at all",
        lambda right: lambda n, rng: right(n, np.random.default_rng(0)),
    ),
    ("ex11", "Do not repair a draw", lambda right: repaired),
    ("ex11", "expected every item from 0 to 1 once", lambda right: lambda n, rng: n * [0]),
    (
        "ex12",
        "1 is among the labels: the true one",
        lambda right: lambda n, item, shown, n_items, rng: spread(n, without(n_items, item)),
    ),
    (
        "ex12",
        "the item that is presented",
        lambda right: lambda n, item, shown, n_items, rng: spread(n, without(n_items, shown)),
    ),
    (
        "ex12",
        "Spread them evenly",
        lambda right: (
            lambda n, item, shown, n_items, rng: rng.choice(without(n_items, item, shown), n)
        ),
    ),
    (
        "ex12",
        r"always went to \[2, 3\]",
        lambda right: lambda n, item, shown, n_items, rng: spread(n, without(n_items, item, shown)),
    ),
    ("ex12", "expected 4 labels from 0 to 2", lambda right: lambda n, *a: np.full(n, a[2])),
]


@cache
def answer_wrongly(number):
    name, _, make = WRONG[number]
    return check(name, make(load_function(name)))


@pytest.mark.parametrize("number", range(len(WRONG)), ids=lambda n: f"{WRONG[n][0]} {WRONG[n][1]}")
def test_a_typical_mistake_gets_a_hint_of_its_own(number):
    name, words, _ = WRONG[number]
    feedback = answer_wrongly(number)
    assert not feedback.passed
    assert re.search(words, feedback.message), feedback
    assert str(feedback).startswith(f"{name}: fails at ")


def test_no_two_mistakes_get_the_same_hint_and_no_exercise_is_without():
    hints = [answer_wrongly(number).message for number in range(len(WRONG))]
    assert len(set(hints)) == len(hints) >= 24
    assert {name for name, *_ in WRONG} == set(EXERCISES)


def test_feedback_names_the_first_place_and_both_numbers():
    right = load_function("ex01")

    def spoiled(logits, labels):
        result = right(logits, labels)
        if len(result) > 1:
            result[2, 1] = 7
        return result

    message = check("ex01", spoiled).message
    assert re.fullmatch(
        r"ex01: fails at logits up to [\d.]+: got 7, expected -?[\d.]+ at \(2, 1\)", message
    )


def test_a_derangement_that_is_drawn_well_passes_whatever_its_random_numbers_are():
    def shuffled(n_items, rng):
        labels = np.arange(n_items)
        while (labels == np.arange(n_items)).any():
            rng.shuffle(labels)
        return labels

    def sorted_keys(n_items, rng):
        while True:
            labels = np.argsort(rng.random(n_items))
            if (labels != np.arange(n_items)).all():
                return labels

    assert check("ex11", shuffled)
    assert check("ex11", sorted_keys)


@pytest.mark.parametrize("kind", [list, tuple])
@pytest.mark.parametrize("number", [int, np.int64])
def test_a_schedule_of_any_kind_that_settings_take_passes(kind, number):
    assert check("ex08", lambda n: kind(number(k) for k in 2 * [*range(n)]))


def test_scipys_hypergeometric_passes_with_its_arguments_in_either_order():
    from scipy.stats import hypergeom

    assert check("ex10", lambda h, a, b, t: hypergeom.sf(h - 1, t, b, a))
    assert check("ex10", lambda h, a, b, t: hypergeom.sf(h - 1, t, a, b))


# --- behavior ------------------------------------------------------------------------


def wait_for_threads(count):
    """Whether there are soon no more than so many."""
    deadline = time.perf_counter() + 2
    while threading.active_count() > count and time.perf_counter() < deadline:
        time.sleep(0.01)
    return threading.active_count() <= count


def raises(error):
    def answer(flexibility, displacement, steepness):
        raise error

    return answer


def loops(flexibility, displacement, steepness):
    while True:
        pass


def loops_stubbornly(flexibility, displacement, steepness):
    for _ in range(3):
        try:
            loops(flexibility, displacement, steepness)
        except BaseException:
            continue


def recurses(flexibility, displacement, steepness):
    return recurses(flexibility, displacement, steepness)


def mutates(flexibility, displacement, steepness):
    displacement *= 0
    return displacement


def fails_inside_numpy(flexibility, displacement, steepness):
    return np.linalg.inv(np.ones((2, 3)))


class Unreadable:
    def __array__(self, dtype=None, copy=None):
        raise SystemExit("no array")


class MuteError(Exception):
    def __str__(self):
        raise ValueError


def gives(value):
    return lambda flexibility, displacement, steepness: value


BEHAVIOR = {
    "not callable": (3.5, "needs the function itself, not float: no parentheses"),
    "not written": (raises(NotImplementedError()), "ex03: not written yet"),
    "nothing returned": (gives(None), "returned None: is there a return at the end"),
    "wrong shape": (gives(np.ones((2, 2))), r"got shape \(2, 2\), expected \(1,\)"),
    "text": (gives("0.4"), "got str of str96, expected real numbers"),
    "complex": (gives([1j]), "got list of complex128, expected real numbers"),
    "read once": ((lambda f, d, s: (p for p in f)), "returned a generator.* return a list"),
    "endless": ((lambda f, d, s: iter(int, 1)), "returned a callable_iterator.* return a list"),
    "ragged": (gives([[1], [1, 2]]), r"cannot be read \(ValueError"),
    "unreadable": (gives(Unreadable()), r"cannot be read \(SystemExit: no array\)"),
    "nan": (gives([np.nan]), "got nan, expected"),
    "error": (raises(KeyError("f")), r"raised KeyError: 'f' \(line \d+: raise error\)"),
    "error inside": (
        fails_inside_numpy,
        r"raised .*LinAlgError: .*\(line \d+: return np.linalg.inv",
    ),
    "mute error": (raises(MuteError()), "raised .*MuteError"),
    "exit": (raises(SystemExit(1)), r"called exit\(\)"),
    "own interrupt": (raises(KeyboardInterrupt()), "raised KeyboardInterrupt"),
    "generator": (raises(StopIteration()), "raised StopIteration"),
    "parameters": (lambda f, d: f, "must take 3 parameters: flexibility, displacement, steepness"),
    "endless loop": (loops, r"still running after 0.3 s. Is there a loop that never ends"),
    "recursion": (recurses, "calls itself without end"),
    "mutation": (mutates, "changed its argument `displacement` in place"),
}


@pytest.mark.parametrize("kind", BEHAVIOR)
def test_bad_behavior_is_feedback_with_a_sentence_of_its_own(kind):
    answer, words = BEHAVIOR[kind]
    feedback = check("ex03", answer, seconds=0.3)
    assert not feedback
    assert re.search(words, feedback.message), feedback
    others = [other for name, (_, other) in BEHAVIOR.items() if name != kind]
    assert not any(re.search(other, feedback.message) for other in others if other not in words)


def test_the_line_of_an_error_is_the_students():
    message = check("ex03", fails_inside_numpy).message
    line = fails_inside_numpy.__code__.co_firstlineno + 1
    assert f"(line {line}: return np.linalg.inv(" in message


@pytest.mark.parametrize("answer", [loops, loops_stubbornly])
def test_an_endless_loop_is_ended_and_costs_little_more_than_its_limit(answer):
    before, started = threading.active_count(), time.perf_counter()
    assert "still running" in check("ex03", answer, seconds=0.1).message
    assert time.perf_counter() - started < 2
    assert wait_for_threads(before)


def press_ctrl_c():
    """The signal itself, which interrupts what the main thread waits for."""
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


@pytest.mark.parametrize(
    "interrupt",
    [
        _thread.interrupt_main,  # as on systems where waiting is not interrupted
        pytest.param(
            press_ctrl_c,
            marks=pytest.mark.skipif(
                not hasattr(signal, "pthread_kill"), reason="Windows cannot send itself a signal"
            ),
        ),
    ],
)
def test_the_users_interrupt_gets_through_and_ends_the_students_function(interrupt):
    before, started = threading.active_count(), time.perf_counter()
    timer = threading.Timer(0.2, interrupt)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        check("ex03", loops, seconds=10)
    timer.join()
    assert wait_for_threads(before)
    assert time.perf_counter() - started < 3


def test_where_there_are_no_threads_functions_are_called_all_the_same(monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(exercises.Thread, "start", refuse)
    assert check("ex03", load_function("ex03"))
    assert "raised KeyError" in check("ex03", raises(KeyError("f"))).message
    with pytest.raises(KeyboardInterrupt):
        check("ex03", raises(KeyboardInterrupt()))


def test_the_time_limit_is_for_one_call():
    right = load_function("ex03")

    def slow(flexibility, displacement, steepness):
        time.sleep(0.06)
        return right(flexibility, displacement, steepness)

    assert check("ex03", slow, seconds=0.3)  # seven calls take longer together


def test_a_students_overflow_is_no_warning():
    assert "overflows" in check("ex03", overflowing).message  # the suite makes warnings errors


def test_an_unknown_exercise_and_a_limit_of_nothing_are_refused():
    with pytest.raises(mp.InputError, match=r"`exercise` must be one of ex01, .*got 'ex99'"):
        check("ex99", len)
    with pytest.raises(mp.InputError, match="`seconds` must be a finite number above 0; got 0"):
        check("ex01", len, seconds=0)


PLAIN = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers()
    | st.text()
    | st.binary()
    | st.sampled_from(
        [mp.Step(0, label=1), mp.Step(0), np.nan, Unreadable(), MuteError(), len, type]
    )
    | arrays.arrays(arrays.scalar_dtypes(), arrays.array_shapes(min_dims=0, min_side=0))
)
ANYTHING = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner, inner) | st.dictionaries(st.integers(), inner)
    ),
    max_leaves=6,
)


@given(name=st.sampled_from([name for name in EXERCISES if name != "ex06"]), value=ANYTHING)
def test_no_returned_value_breaks_check(name, value):
    feedback = check(name, lambda *arguments: value)
    assert str(feedback).startswith(f"{name}: ")


@given(value=ANYTHING.filter(lambda value: not (isinstance(value, list) and value)))
def test_no_returned_value_is_an_attack_by_accident(value):
    assert not check("ex06", lambda n_items: value)


def test_the_checker_imports_nothing_heavy():
    code = (
        "import sys; from metaplastic_np.exercises import check; check('ex03', len); "
        "print([m for m in ('numba', 'matplotlib', 'scipy', 'jupytext') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


# --- what is built -------------------------------------------------------------------


@pytest.mark.parametrize("name", EXERCISES)
def test_a_script_asks_for_a_prediction_before_the_gap_and_keeps_its_order(name):
    text = SCRIPTS[name].read_text(encoding="utf-8")
    landmarks = [
        "# # Exercise",
        "# ## Predict first",
        'prediction = ""  # your words',
        "### BEGIN SOLUTION",
        "### END SOLUTION",
        f'print(check("{name}"',
        "# ## Use it",
        "# ## Reference",
    ]
    places = [text.find(landmark) for landmark in landmarks]
    assert -1 not in places
    assert places == sorted(places)
    assert text.count("### BEGIN SOLUTION") == text.count("print(check(") == 1
    assert text.count("<details><summary>Hint") == text.count("</details>") == 2
    assert text.count("plt.show()") <= 1


@pytest.mark.parametrize("name", EXERCISES)
def test_a_script_uses_public_names_only(name):
    text = SCRIPTS[name].read_text(encoding="utf-8")
    used = set(re.findall(r"\bmp\.(\w+)", text))
    assert used <= set(mp.__all__)
    assert re.findall(r"metaplastic_np\.(_\w+)", text) == []


def test_a_gap_keeps_its_indentation():
    text = "def f():\n    if 1:\n        ### BEGIN SOLUTION\n        return 1\n"
    text += "        ### END SOLUTION\n    return 2\n"
    assert load_build().make_student(text) == (
        "def f():\n    if 1:\n        # YOUR CODE HERE\n        raise NotImplementedError()\n"
        "    return 2\n"
    )


def test_students_notebooks_are_valid_and_hold_no_solution(tmp_path):
    import nbformat

    build = load_build().build
    files = build(tmp_path / "one")
    for source in SCRIPTS.values():
        text = source.read_text(encoding="utf-8")
        solution = re.search(r"BEGIN SOLUTION\n(.*?) *### END", text, re.S)[1].strip()
        for folder in ("exercises", "solutions"):
            path = tmp_path / "one" / folder / f"{source.stem}.ipynb"
            notebook = nbformat.read(path, as_version=4)
            nbformat.validate(notebook)
            code = "\n".join(cell.source for cell in notebook.cells)
            assert (solution in code) == (folder == "solutions")
            assert ("raise NotImplementedError()" in code) == (folder == "exercises")
    for path, again in zip(files, build(tmp_path / "two"), strict=True):
        assert path.read_bytes() == again.read_bytes()
