"""Every lesson keeps its form. `python tests/course/lessons.py` runs them all."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import metaplastic_np as mp

LESSONS = sorted((Path(__file__).parents[2] / "tutorials").glob("[0-9]*.py"))


@pytest.fixture(params=LESSONS, ids=lambda path: path.stem)
def lesson(request):
    return request.param


def parts_of(lesson):
    """The head of a lesson, all its prose, and its code."""
    text = lesson.read_text("utf-8")
    tree = ast.parse(text)
    prose = "\n".join(line for line in text.splitlines() if line.startswith("#"))
    return ast.get_docstring(tree), prose, tree


def test_a_lesson_asks_one_question_and_says_what_it_teaches(lesson):
    head, prose, _ = parts_of(lesson)
    questions = re.findall(r"\*\*(?!You)([^*]+\?)\*\*", head)
    assert len(questions) == 1
    for needed in ("*You will learn*", ".. math::"):
        assert needed in head, needed
    assert re.search(r"^Run time: about \d+ s\.$", head, re.M)
    for needed in ("# What to try", "# References"):
        assert needed in prose, needed


def test_prose_and_code_alternate_and_every_figure_has_a_title(lesson):
    source = lesson.read_text("utf-8")
    assert source.count("\n# %%\n") >= 5
    shown = source.count("plt.show()")
    assert shown >= 1
    titled = len(re.findall(r"title=|set_title\(|suptitle\(", source))
    assert titled >= shown
    cells = source.split("\n# %%\n")
    assert all(cell.count("plt.show()") <= 1 for cell in cells)


def test_a_lesson_uses_public_names_only(lesson):
    _, _, tree = parts_of(lesson)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "mp":
            assert node.attr in mp.__all__, node.attr
        if isinstance(node, ast.ImportFrom):
            assert not (node.module or "").startswith("metaplastic_np")


@pytest.mark.parametrize("lesson", LESSONS[:2], ids=lambda path: path.stem)
def test_a_quick_lesson_runs_without_a_warning(lesson, monkeypatch, tmp_path):
    monkeypatch.setenv("MPLBACKEND", "agg")
    subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", lesson], check=True, cwd=tmp_path
    )
