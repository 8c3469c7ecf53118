"""Build what students and teachers get of the exercises: scripts, notebooks, pages.

    python tutorials/exercises/build.py FOLDER

For every exercise, ``FOLDER`` then holds a student's version without the solution and
one with it, both as script and notebook, and a page for the documentation that links to
the four. Nothing in them depends on when or where they are built.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

SOURCES = Path(__file__).parent
SOLUTION = re.compile(
    r"^(?P<indent> *)### BEGIN SOLUTION\n(?P<solution>.*?)^ *### END SOLUTION\n",
    re.M | re.S,
)
CELL = re.compile(r"^# %%(?P<kind>.*)\n", re.M)
FILES = {
    "for students": ("{name}_student.py", "{name}_student.ipynb"),
    "with the solution": ("{name}_solution.py", "{name}_solution.ipynb"),
}


def make_student(text: str) -> str:
    """Leave gaps where the solutions were, as nbgrader does."""
    return SOLUTION.sub(
        r"\g<indent># YOUR CODE HERE\n\g<indent>raise NotImplementedError()\n", text
    )


def split_cells(text: str) -> list[tuple[bool, str]]:
    """Cells of a percent script, as (is it prose, its text)."""
    _, *parts = CELL.split(text)
    cells = []
    for kind, body in zip(parts[::2], parts[1::2], strict=True):
        is_prose = "[markdown]" in kind
        cell = re.sub(r"^# ?", "", body, flags=re.M) if is_prose else body
        cells.append((is_prose, cell.strip("\n")))
    return cells


def make_page(text: str, name: str) -> str:
    """Write a page of the documentation, in MyST: gaps, and solutions folded below."""
    solved = SOLUTION.sub(r"\g<solution>", text)
    student, whole = split_cells(make_student(text)), split_cells(solved)
    title, *rest = student[0][1].split("\n")
    links = "\n".join(
        f"* {words}: "
        + " and ".join(
            f"{{download}}`{file.rpartition('.')[2]} <{file.format(name=name)}>`"
            for file in files
        )
        for words, files in FILES.items()
    )
    blocks = [title, f"Download\n\n{links}", "\n".join(rest).strip("\n")]
    for (is_prose, shown), (_, source) in zip(student[1:], whole[1:], strict=True):
        blocks.append(shown if is_prose else f"```python\n{shown}\n```")
        if shown != source:
            blocks.append(f"````{{dropdown}} Solution\n```python\n{source}\n```\n````")
    return "\n\n".join(blocks) + "\n"


def make_notebook(text: str, name: str) -> str:
    """Turn a percent script into a notebook; cells have numbers, not random names."""
    import jupytext

    notebook = jupytext.reads(text, fmt="py:percent")
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"{name[:50]}-{number}"
    notebook.metadata = {
        "kernelspec": {
            "display_name": "Python 3",
            "language": "python",
            "name": "python3",
        },
        "language_info": {"name": "python"},
    }
    return jupytext.writes(notebook, fmt="ipynb")


def build(folder: Path | str) -> list[Path]:
    """Write everything into a folder, made if need be; the files written."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for source in sorted(SOURCES.glob("ex*.py")):
        text, name = source.read_text(encoding="utf-8"), source.stem
        versions = {"student": make_student(text), "solution": text}
        contents = {f"{name}.md": make_page(text, name)}
        for version, script in versions.items():
            contents[f"{name}_{version}.py"] = script
            contents[f"{name}_{version}.ipynb"] = make_notebook(script, name)
        for file, content in contents.items():
            (folder / file).write_text(content, encoding="utf-8", newline="\n")
            written.append(folder / file)
    return written


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python tutorials/exercises/build.py FOLDER")
    print(f"{len(build(sys.argv[1]))} files in {sys.argv[1]}")
