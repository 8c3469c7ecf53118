"""Build the files of the course: lessons, exercises and solutions.

    python tutorials/build.py FOLDER

writes three folders into ``FOLDER``: ``lessons``; ``exercises`` with a gap in each,
for students; and ``solutions``, which they need not see. Everything is there as
``.py`` and as ``.ipynb``; nothing in it depends on when or where it was built.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
SOLUTION = re.compile(
    r"^(?P<indent> *)### BEGIN SOLUTION\n(?P<solution>.*?)^ *### END SOLUTION\n",
    re.M | re.S,
)
CELL = re.compile(r"^# %%(?P<kind>.*)\n", re.M)
# A page of the documentation, which a notebook that was downloaded cannot reach.
PAGE = re.compile(r"\[([^\]]+)\]\(\.\./docs/(\w+)\.md\)")


class Cell(NamedTuple):
    """A cell of a script: prose or code, after how many lines, and its text."""

    is_prose: bool
    line: int
    text: str


def make_student(text: str) -> str:
    """Leave gaps where the solutions were, as nbgrader does."""
    gap = r"\g<indent># YOUR CODE HERE\n\g<indent>raise NotImplementedError()\n"
    return SOLUTION.sub(gap, text)


def split_cells(text: str) -> list[Cell]:
    """Cells of a script."""
    cells = []
    heads = list(CELL.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    for head, end in zip(heads, ends, strict=True):
        body = text[head.end() : end]
        is_prose = "[markdown]" in head["kind"]
        found = re.sub(r"^# ?", "", body, flags=re.M) if is_prose else body
        line = text.count("\n", 0, head.end())
        cells.append(Cell(is_prose, line, found.strip("\n")))
    return cells


def make_notebook(text: str, name: str) -> str:
    """Turn a script into a notebook; cells have numbers, not random names."""
    import jupytext

    notebook = jupytext.reads(PAGE.sub(r"\1 (docs/\2.md)", text), fmt="py:percent")
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"{name[:50]}-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return jupytext.writes(notebook, fmt="ipynb")


def build(folder: Path | str) -> list[Path]:
    """Write everything into a folder, made if need be; the files written."""
    scripts = {}
    for source in sorted(HERE.glob("[0-9]*.py")):
        scripts[f"lessons/{source.stem}"] = source.read_text("utf-8")
    for source in sorted(HERE.glob("exercises/ex*.py")):
        text = source.read_text("utf-8")
        scripts[f"exercises/{source.stem}"] = make_student(text)
        scripts[f"solutions/{source.stem}"] = text
    written = []
    for place, text in scripts.items():
        path = Path(folder) / place
        path.parent.mkdir(parents=True, exist_ok=True)
        contents = {".py": text, ".ipynb": make_notebook(text, path.name)}
        for ending, content in contents.items():
            written.append(path.with_suffix(ending))
            written[-1].write_text(content, encoding="utf-8", newline="\n")
    return written


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python tutorials/build.py FOLDER")
    print(f"{len(build(sys.argv[1]))} files in {sys.argv[1]}")
