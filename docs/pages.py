"""Pages of the course, made from its scripts: lessons, exercises, and their solutions."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
TUTORIALS = HERE.parent / "tutorials"
sys.path[:0] = [str(HERE), str(TUTORIALS)]

import build  # noqa: E402
import run_lesson  # noqa: E402

HEAD = re.compile(
    r"^# (?P<title>.+?)\n.*?^\*\*(?P<question>[^*]+\?)\*\*\n.*"
    r"^Run time: about (?P<seconds>\d+) s\. Read first: (?P<first>.+)\.$",
    re.M | re.S,
)


class Head(NamedTuple):
    """What the first cell of a lesson says about it."""

    title: str
    question: str
    seconds: str
    first: str


def read_head(text: str) -> Head:
    """The head of a lesson's script."""
    found = HEAD.search(build.split_cells(text)[0].text)
    if found is None:
        raise ValueError("a lesson must begin with title, question, run time, what to read first")
    return Head(*(" ".join(part.split()) for part in found.groups()))


def write(folder: Path, *, run: bool, in_browser: bool) -> None:
    """Write all pages and files to download below a folder; `run` the lessons that changed."""
    if in_browser:
        write_notebooks_for_browser(folder / "jupyterlite_contents")
    handout = folder / "handout"
    build.build(handout)
    for kind in ("lessons", "exercises"):
        shutil.make_archive(str(handout / kind), "zip", handout, kind)
    lessons = {
        path: read_head(path.read_text("utf-8")) for path in sorted(TUTORIALS.glob("[0-9]*.py"))
    }
    place = folder / "lessons"
    place.mkdir(exist_ok=True)
    found = {path: _results(path, place / "figures", run=run) for path in lessons}
    for path in lessons:
        page = make_lesson(path, found[path], in_browser=in_browser)
        (place / f"{path.stem}.md").write_text(page, "utf-8")
    (place / "index.md").write_text(make_index(lessons, found), "utf-8")
    for name, make in (("exercises", make_exercise), ("solutions", make_solution)):
        (folder / name).mkdir(exist_ok=True)
        for path in sorted(TUTORIALS.glob("exercises/ex*.py")):
            page = make(path.read_text("utf-8"), path.stem)
            (folder / name / f"{path.stem}.md").write_text(page, "utf-8")


def _results(lesson: Path, folder: Path, *, run: bool) -> dict[str, Any]:
    """What a lesson printed and drew when it was run last; nothing where it was not."""
    folder.mkdir(exist_ok=True)
    kept = folder / f"{lesson.stem}.json"
    found = json.loads(kept.read_text("utf-8")) if kept.exists() else {}
    if found.get("digest") == run_lesson.digest(lesson):
        return found
    if not run:
        return {}
    strict = [sys.executable, "-W", "error::RuntimeWarning"]
    subprocess.run([*strict, HERE / "run_lesson.py", lesson, folder], check=True)
    return json.loads(kept.read_text("utf-8"))


def _link(prose: str) -> str:
    """Links of a script to pages, as they are from a page of the site."""
    return prose.replace("](../docs/", "](../")


def _downloads(kind: str, name: str) -> str:
    script, notebook = (f"../handout/{kind}/{name}.{ending}" for ending in ("py", "ipynb"))
    files = f"{{download}}`Notebook <{notebook}>`, {{download}}`script <{script}>`"
    return f"{files}, and [how to open them](../notebooks.md)"


def make_lesson(lesson: Path, found: dict[str, Any], *, in_browser: bool) -> str:
    """A page: prose, code, and what the code printed and drew."""
    text, name = lesson.read_text("utf-8"), lesson.stem
    results = iter(found.get("cells", ()))
    blocks = []
    for cell in build.split_cells(text):
        if cell.is_prose:
            blocks.append(_link(cell.text))
            continue
        blocks.append(f"```python\n{cell.text}\n```")
        result = next(results, {"printed": "", "figures": []})
        for figure in result["figures"]:
            lines = [f"```{{image}} figures/{figure['file']}", f":alt: {figure['alt']}"]
            blocks.append("\n".join([*lines, f":width: {figure['width']}px", "```"]))
        if result["printed"]:
            blocks.append(f"```{{code-block}} text\n:class: printed\n\n{result['printed']}```")
    took = f" It ran in {found['seconds']:.0f} s when this site was built." if found else ""
    last = [f"* {_downloads('lessons', name)}.{took}"]
    last += [f"* Tried it? [What comes out](../answers.md#lesson-{int(name[:2])})."]
    if in_browser:
        last.append(f"* <a href='../lite/notebooks/index.html?path={name}.ipynb'>Run it here</a>.")
    return "\n\n".join([*blocks, "## Take it with you", "\n".join(last)]) + "\n"


def write_notebooks_for_browser(folder: Path) -> None:
    """Notebooks with a first cell that installs the package."""
    folder.mkdir(exist_ok=True)
    install = "# %%\n%pip install -q metaplastic_np\n\n"
    for lesson in TUTORIALS.glob("[0-9]*.py"):
        notebook = build.make_notebook(install + lesson.read_text("utf-8"), lesson.stem)
        (folder / f"{lesson.stem}.ipynb").write_text(notebook, "utf-8")


def make_index(lessons: dict[Path, Head], found: dict[Path, Any]) -> str:
    """The list of lessons, a card each."""
    lines = [_link((TUTORIALS / "README.md").read_text("utf-8"))]
    lines += ["All of them: {download}`lessons.zip <../handout/lessons.zip>`.", ""]
    lines += ["::::{grid} 1 2 2 3", ":gutter: 3", ""]
    for path, head in lessons.items():
        lines += [f":::{{grid-item-card}} {head.title}", f":link: {path.stem}", ":link-type: doc"]
        lines += [f":link-alt: {head.title}"]
        figures = [figure for cell in found[path].get("cells", ()) for figure in cell["figures"]]
        if figures:
            lines += [f":img-top: figures/{path.stem}_thumb.png", f":img-alt: {figures[0]['alt']}"]
        lines += ["", head.question, ""]
        lines += [f"*Runs in {head.seconds} s. Read first: {head.first}.*", ":::", ""]
    lines += ["::::", "", "```{toctree}", ":hidden:", ""]
    return "\n".join([*lines, *(path.stem for path in lessons), "```", ""])


def make_exercise(text: str, name: str) -> str:
    """A page with the gap, as students get it."""
    cells = build.split_cells(build.make_student(text))
    blocks = [cell.text if cell.is_prose else f"```python\n{cell.text}\n```" for cell in cells]
    solution = f"* [Solution](../solutions/{name}.md)."
    last = f"## Take it with you\n\n* {_downloads('exercises', name)}.\n{solution}"
    return "\n\n".join([*blocks, last]) + "\n"


def make_solution(text: str, name: str) -> str:
    """A page with what belongs into the gap."""
    whole = build.split_cells(text)
    title = whole[0].text.partition("\n")[0]
    blocks = [title.replace("# Exercise", "# Solution of exercise", 1)]
    blocks.append(f"[The exercise](../exercises/{name}.md). {_downloads('solutions', name)}.")
    gaps = build.split_cells(build.make_student(text))
    for cell, gap in zip(whole, gaps, strict=True):
        if cell.text != gap.text:
            solved = build.SOLUTION.sub(r"\g<solution>", cell.text + "\n").strip("\n")
            blocks.append(f"```python\n{solved}\n```")
    return "\n\n".join(blocks) + "\n"
