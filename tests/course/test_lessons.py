"""Every lesson keeps its form. `python tests/course/lessons.py` runs them all."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import metaplastic_np as mp

ROOT = Path(__file__).parents[2]
LESSONS = sorted((ROOT / "tutorials").glob("[0-9]*.py"))
# Half of the lines drew once, and students met plotting first.
MOST_DRAWING = 0.25


@pytest.fixture(params=LESSONS, ids=lambda path: path.stem)
def lesson(request):
    return request.param


@pytest.fixture
def course(monkeypatch):
    """The builders of notebooks and of pages."""
    monkeypatch.syspath_prepend(ROOT / "tutorials")
    monkeypatch.syspath_prepend(ROOT / "docs")
    import build
    import pages

    yield build, pages
    for name in ("build", "pages", "run_lesson"):
        del sys.modules[name]


def parts_of(lesson):
    """The head of a lesson, all its prose, and its code."""
    text = lesson.read_text("utf-8")
    prose = "\n".join(line for line in text.splitlines() if line.startswith("#"))
    head = re.sub(r"^# ?", "", text.split("# %%")[1].partition("\n")[2], flags=re.M)
    return head, prose, ast.parse(text)


def test_a_lesson_asks_one_question_and_says_what_it_teaches(lesson):
    head, prose, _ = parts_of(lesson)
    questions = re.findall(r"\*\*(?!You)([^*]+\?)\*\*", head)
    assert len(questions) == 1
    for needed in ("*You will learn*", "\n$$\n"):
        assert needed in head, needed
    for needed in ("# ## What to try", "# ## References"):
        assert needed in prose, needed


def test_a_lesson_has_its_number_and_names_earlier_ones_to_read_first(lesson, course):
    _, pages = course
    number = int(lesson.stem[:2])
    head = pages.read_head(lesson.read_text("utf-8"))
    assert head.title.startswith(f"{number}. ")
    assert head.first == "nothing" or head.first.startswith("lesson")
    named = [int(found) for found in re.findall(r"\d+", head.first)]
    assert bool(named) == (head.first != "nothing")
    assert all(found < number for found in named)


def test_a_lesson_without_a_question_is_refused(course):
    _, pages = course
    with pytest.raises(ValueError, match="must begin with title, question, run time"):
        pages.read_head("# %% [markdown]\n# # 1. One synapse\n")


def test_prose_and_code_alternate_and_every_figure_has_a_title(lesson):
    source = lesson.read_text("utf-8")
    assert source.count("\n# %%\n") >= 4
    shown = source.count("plt.show()")
    assert shown >= 1
    titled = len(re.findall(r"title=|plt\.title\(|suptitle\(", source))
    assert titled >= shown
    cells = source.split("\n# %%\n")
    assert all(cell.count("plt.show()") <= 1 for cell in cells)


def test_prose_is_markdown_in_cells_of_its_own(lesson):
    source = lesson.read_text("utf-8")
    assert not re.search(r"``(?!`)|:\w+:`|^# \.\. \w+::|^# (-|=){4,}$", source, re.M)
    for kind, body in re.findall(r"^# %%([^\n]*)\n(.*?)(?=^# %%|\Z)", source, re.M | re.S):
        lines = [line for line in body.splitlines() if line]
        if kind == " [markdown]":
            assert all(line.startswith("#") for line in lines), lines[0]
        else:
            assert kind == ""
            assert not lines[0].startswith("# #"), lines[0]


def test_a_lesson_uses_public_names_only(lesson):
    _, _, tree = parts_of(lesson)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "mp":
            assert node.attr in mp.__all__, node.attr
        if isinstance(node, ast.ImportFrom):
            assert not (node.module or "").startswith("metaplastic_np")


def test_everything_that_a_lesson_proposes_to_try_has_an_answer(lesson):
    _, prose, _ = parts_of(lesson)
    number = int(lesson.stem[:2])
    tried = prose.partition("## What to try")[2].partition("## References")[0]
    answers = (ROOT / "docs" / "answers.md").read_text("utf-8")
    here = answers.partition(f"(lesson-{number})=")[2].partition(f"(lesson-{number + 1})=")[0]
    found = re.findall(r"^:::\{dropdown\} .+\n(.{20,})", here, re.M)
    assert len(found) == len(re.findall(r"^# \* ", tried, re.M)) >= 2


# --- what a lesson's code is about ---------------------------------------------------


class Drawing:
    """Lines of code that draw: those with pyplot, `mp.plots`, or something got from them."""

    def __init__(self, source):
        self.known, self.lines = {"plt"}, set()
        self.visit(ast.parse(source).body)

    def draws(self, node):
        return any(
            (isinstance(part, ast.Name) and part.id in self.known)
            or (isinstance(part, ast.Attribute) and part.attr in {"plots", "make_figure"})
            for part in ast.walk(node)
        )

    def learn_names(self, target):
        if not isinstance(target, ast.Attribute | ast.Subscript):
            self.known |= {part.id for part in ast.walk(target) if isinstance(part, ast.Name)}

    def visit_loop(self, loop):
        if not self.draws(loop.iter):
            return
        self.lines |= set(range(loop.lineno, loop.body[0].lineno))
        is_zip = getattr(getattr(loop.iter, "func", None), "id", "") == "zip"
        pairs = zip(loop.target.elts, loop.iter.args, strict=True) if is_zip else ()
        for target, source in pairs or [(loop.target, loop.iter)]:
            if self.draws(source):
                self.learn_names(target)

    def visit(self, body):
        for node in body:
            if isinstance(node, ast.For):
                self.visit_loop(node)
            if hasattr(node, "body"):
                for part in ("body", "orelse", "handlers", "finalbody"):
                    self.visit(getattr(node, part, []))
            elif self.draws(node):
                self.lines |= set(range(node.lineno, node.end_lineno + 1))
                for target in getattr(node, "targets", []):
                    self.learn_names(target)


def share_of_drawing(source):
    """Share of the lines of code, without comments, that draw."""
    lines = enumerate(source.splitlines(), start=1)
    code = {number for number, line in lines if line.strip() and not line.strip().startswith("#")}
    return len(Drawing(source).lines & code) / len(code)


def test_a_line_draws_if_it_uses_pyplot_or_what_came_from_it():
    source = """
import matplotlib.pyplot as plt
numbers = [1, 2]
figure, panels = plt.subplots(1, 2)
for axes, number in zip(panels, numbers):
    square = number**2
    axes.plot(
        square
    )
print(square)
"""
    assert Drawing(source).lines == {4, 5, 7, 8, 9}
    assert share_of_drawing(source) == 5 / 9


def test_a_lesson_is_about_learning_and_not_about_drawing(lesson):
    assert share_of_drawing(lesson.read_text("utf-8")) < MOST_DRAWING


# --- what students and teachers get ---------------------------------------------------


def test_every_script_of_the_course_is_a_notebook_in_the_folder_of_its_readers(course, tmp_path):
    build, _ = course
    written = {path.relative_to(tmp_path).as_posix() for path in build.build(tmp_path)}
    exercises = [path.stem for path in (ROOT / "tutorials" / "exercises").glob("ex*.py")]
    names = [f"lessons/{path.stem}" for path in LESSONS]
    names += [f"{folder}/{name}" for folder in ("exercises", "solutions") for name in exercises]
    assert written == {f"{name}.{ending}" for name in names for ending in ("py", "ipynb")}
    for path in tmp_path.glob("exercises/*"):
        assert "SOLUTION" not in path.read_text("utf-8"), path
        assert "YOUR CODE HERE" in path.read_text("utf-8"), path


def test_a_notebook_has_prose_as_markdown_and_no_link_that_leads_nowhere(course, lesson):
    build, _ = course
    cells = json.loads(build.make_notebook(lesson.read_text("utf-8"), lesson.stem))["cells"]
    assert cells[0]["cell_type"] == "markdown"
    assert "".join(cells[0]["source"]).startswith(f"# {int(lesson.stem[:2])}. ")
    kinds = [cell["cell_type"] for cell in cells]
    assert kinds.count("code") >= 4
    assert kinds.count("markdown") >= 5
    for cell in cells:
        assert "](../" not in "".join(cell["source"])


def test_a_solution_is_on_its_own_page_and_not_on_the_exercises(course):
    build, pages = course
    for path in (ROOT / "tutorials" / "exercises").glob("ex*.py"):
        text = path.read_text("utf-8")
        (solution,) = [found["solution"] for found in build.SOLUTION.finditer(text)]
        exercise = pages.make_exercise(text, path.stem)
        assert exercise.startswith("# Exercise")
        assert solution.strip() not in exercise
        assert exercise.count("# YOUR CODE HERE") == 1
        assert exercise.count("<details>") == 2
        solved = pages.make_solution(text, path.stem)
        assert solution.strip() in solved
        for page in (exercise, solved):
            assert page.count("{download}") == 2
            assert "# %%" not in page
            assert "SOLUTION" not in page


def test_a_page_shows_what_code_printed_and_drew_at_twice_its_size(course, tmp_path, monkeypatch):
    _, pages = course
    monkeypatch.setenv("MPLBACKEND", "agg")
    script = tmp_path / "01_toy.py"
    script.write_text(
        "# %% [markdown]\n# # 1. Toy\n# [claims](../docs/claims.md)\n\n# %%\n"
        "import matplotlib.pyplot as plt\n\nplt.figure(figsize=(3, 2))\n"
        "plt.title('a toy')\nplt.show()\nprint('drawn')\n",
        "utf-8",
    )
    found = pages._results(script, tmp_path / "figures", run=True)
    page = pages.make_lesson(script, found, in_browser=False)
    for needed in ("(../claims.md)", ":alt: a toy", ":width: 300px", "\n\ndrawn\n```"):
        assert needed in page, needed
    header = (tmp_path / "figures" / "01_toy-0.png").read_bytes()[16:24]
    assert (int.from_bytes(header[:4]), int.from_bytes(header[4:])) == (600, 400)
    assert pages._results(script, tmp_path / "figures", run=False) == found
    script.write_text(script.read_text("utf-8") + "print('more')\n", "utf-8")
    assert pages._results(script, tmp_path / "figures", run=False) == {}


@pytest.mark.parametrize("lesson", LESSONS[:2], ids=lambda path: path.stem)
def test_a_quick_lesson_runs_without_a_warning(lesson, monkeypatch, tmp_path):
    monkeypatch.setenv("MPLBACKEND", "agg")
    subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", lesson], check=True, cwd=tmp_path
    )
