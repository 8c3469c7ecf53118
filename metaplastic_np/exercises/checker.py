"""Exercises for students, and a checker that answers with hints.

The exercises are the scripts of ``tutorials/exercises``: a question, a prediction, a function to
write. :func:`check` calls that function, simplest arguments first, and stops at the first wrong
result: with the place, both numbers, and a hint if the result is what a typical mistake gives.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread, current_thread, main_thread
from traceback import extract_tb, format_exception_only
from typing import Any, TypeAlias

import numpy as np

from .._util import checks
from .questions import QUESTIONS, SMALL, Exercise

__all__ = ["EXERCISES", "SMALL", "Feedback", "check"]

EXERCISES: dict[str, str] = {name: title for name, (title, _) in QUESTIONS.items()}


@dataclass(frozen=True, repr=False)
class Feedback:
    """What :func:`check` found: true if the answer passed, and shown as a sentence.

    Parameters
    ----------
    exercise : str
    passed : bool
    message : str
        A sentence that begins with the exercise's name.

    Examples
    --------
    See :func:`check`.
    """

    exercise: str
    passed: bool
    message: str

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        return self.message


def check(exercise: str, answer: Callable[..., Any], *, seconds: float = 10.0) -> Feedback:
    """Call a student's function with small arguments, and say where it first goes wrong.

    It does not fail, whatever the function does: errors, endless loops and calls of ``exit`` are
    feedback, too. Only the user's own Ctrl-C gets through.

    Parameters
    ----------
    exercise : str
        A name in ``EXERCISES``.
    answer : callable
        The function that the exercise asks for.
    seconds : float
        Time limit of one call. Where there are no threads, as in a browser, there is none.

    Returns
    -------
    Feedback

    Raises
    ------
    InputError
        If there is no such exercise, or the time limit is not above 0.

    Examples
    --------
    >>> def effort(displacement, flexibility):
    ...     return displacement
    >>> check("ex04", effort)
    ex04: fails at f = 0.5, x = 1: got 1, expected 1.4067151. That is the ordinary synapse, f = 1
    >>> bool(check("ex04", effort))
    False
    """
    checks.check_choice("exercise", exercise, EXERCISES)
    seconds = checks.check_positive("seconds", seconds)
    _, ask = QUESTIONS[exercise]
    passed, words = _examine(ask(np.random.default_rng(0)), answer, seconds)
    return Feedback(exercise, passed, f"{exercise}: {words}")


_Outcome: TypeAlias = tuple[Any, BaseException | None]


class _TimeIsUp(BaseException):
    """Raised inside a student's function, to end it."""


def _examine(exercise: Exercise, answer: Any, seconds: float) -> tuple[bool, str]:
    """Whether an answer passed, and the words for it."""
    if not callable(answer):
        return False, f"needs the function itself, not {type(answer).__name__}: no parentheses"
    place, result = "", None
    while True:
        said, error = _attempt(exercise.send, [result])
        if isinstance(error, StopIteration):
            return True, f"passed: {error.value}" if error.value else "passed"
        if error is not None:
            said = f"the result cannot be read ({format_exception_only(error)[-1].strip()})"
        if isinstance(said, str):
            return False, place + said
        if said is not None:
            where, arguments = said
            place = f"fails at {where}: "
            result, problem = _ask(answer, arguments, seconds)
            if isinstance(problem, NotImplementedError):
                return False, "not written yet"
            if problem is not None:
                return False, place + _describe(problem, answer, seconds)


def _ask(
    answer: Callable[..., Any], arguments: dict[str, Any], seconds: float
) -> tuple[Any, BaseException | str | None]:
    """What a student's function returns, and what is wrong with the call."""
    signature, hidden = _attempt(inspect.signature, [answer])
    if hidden is None and _attempt(signature.bind, list(arguments))[1] is not None:
        plural = "s" if len(arguments) > 1 else ""
        return None, f"must take {len(arguments)} parameter{plural}: {', '.join(arguments)}"
    given = copy.deepcopy(list(arguments.values()))
    result, error = _call(answer, given, seconds)
    if error is not None:
        return None, error
    if result is None:
        return None, "returned None: is there a return at the end?"
    if isinstance(result, Iterator):  # which may never end
        return None, f"returned a {type(result).__name__}, which is read only once: return a list"
    for (name, before), after in zip(arguments.items(), given, strict=True):
        if not _is_same(before, after):
            return None, f"changed its argument `{name}` in place. Work on a copy of it"
    return result, None


def _call(function: Callable[..., Any], arguments: Sequence[Any], seconds: float) -> _Outcome:
    """Call in a thread of its own, which is ended when time is up."""
    import ctypes

    outcomes: list[_Outcome] = []

    def work() -> None:
        with suppress(_TimeIsUp):  # which may come when the function has just returned
            outcomes.append(_attempt(function, arguments))

    thread = Thread(target=work, daemon=True)
    try:
        thread.start()
    except RuntimeError:  # no threads, as in a browser
        return _attempt(function, arguments)
    try:
        for _ in range(20):  # in slices: only between them Ctrl-C gets through on every system
            thread.join(seconds / 20)
    finally:  # also when the user presses Ctrl-C
        is_late = not outcomes
        for _ in range(10):  # a bare `except:` may swallow the first ones
            if not outcomes:  # after an interrupted join, is_alive may be wrong
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_TimeIsUp)
                )
                thread.join(0.05)
    return (None, _TimeIsUp()) if is_late else outcomes[0]


def _attempt(function: Callable[..., Any], arguments: Sequence[Any]) -> _Outcome:
    """What a call returns, or what it raises; the user's Ctrl-C gets through."""
    try:
        with np.errstate(all="ignore"):  # what overflows is seen in the result
            return function(*arguments), None
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and current_thread() is main_thread():
            raise
        return None, error


def _describe(problem: BaseException | str, function: Callable[..., Any], seconds: float) -> str:
    """What went wrong in a call, and in which of the student's lines."""
    if isinstance(problem, str):
        return problem
    if isinstance(problem, _TimeIsUp):
        return f"still running after {seconds:g} s. Is there a loop that never ends?"
    if isinstance(problem, RecursionError):
        return "calls itself without end"
    if isinstance(problem, SystemExit):
        return "called exit(). A function ends with return"
    file = getattr(getattr(function, "__code__", None), "co_filename", None)
    theirs = [frame for frame in extract_tb(problem.__traceback__) if frame.filename == file]
    line = f" (line {theirs[-1].lineno}: {theirs[-1].line})" if theirs else ""
    return f"raised {format_exception_only(problem)[-1].strip()}{line}"


def _is_same(before: Any, after: Any) -> bool:
    """Whether an argument is as it was; generators of random numbers may change."""
    if isinstance(before, list):
        return len(before) == len(after) and all(map(_is_same, before, after))
    return not isinstance(before, np.ndarray) or np.array_equal(before, after)
