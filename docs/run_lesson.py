"""Run a lesson cell by cell, and keep what each cell printed and drew.

python docs/run_lesson.py LESSON FOLDER
"""

import contextlib
import hashlib
import io
import json
import sys
import time
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt

PIXELS = 200  # per inch: two for each that a page gives them
sys.path.insert(0, str(Path(__file__).parents[1] / "tutorials"))

import build  # noqa: E402


def digest(lesson: Path) -> str:
    """What tells whether a lesson has changed since it was run."""
    return hashlib.sha256(lesson.read_bytes()).hexdigest()


def run(lesson: Path, folder: Path) -> dict[str, Any]:
    """Run a lesson; figures go into the folder, and the rest is returned."""
    drawn: list[dict[str, Any]] = []

    def show() -> None:
        for number in plt.get_fignums():
            figure = plt.figure(number)
            if not list(folder.glob(f"{lesson.stem}-*.png")):
                figure.savefig(folder / f"{lesson.stem}_thumb.png", dpi=PIXELS / 3)
            path = folder / f"{lesson.stem}-{len(list(folder.glob(f'{lesson.stem}-*')))}.png"
            figure.savefig(path, dpi=PIXELS)
            drawn.append({"file": path.name, "alt": _words(figure), "width": _width(figure)})
        plt.close("all")

    mpl.use("agg")
    plt.show = show
    for old in folder.glob(f"{lesson.stem}[-_]*.png"):
        old.unlink()
    cells, namespace = [], {"__name__": "__main__", "__file__": str(lesson)}
    started = time.perf_counter()
    for cell in build.split_cells(lesson.read_text("utf-8")):
        if cell.is_prose:
            continue
        drawn, printed = [], io.StringIO()
        with contextlib.redirect_stdout(printed):
            code = compile("\n" * cell.line + cell.text, str(lesson), "exec")
            exec(code, namespace)
        cells.append({"printed": printed.getvalue(), "figures": drawn})
    seconds = time.perf_counter() - started
    return {"digest": digest(lesson), "seconds": seconds, "cells": cells}


def _words(figure: Any) -> str:
    """What a figure shows, for those who cannot see it: its titles."""
    titles = [figure.get_suptitle(), *(axes.get_title() for axes in figure.axes)]
    return "; ".join(" ".join(title.split()) for title in titles if title)


def _width(figure: Any) -> int:
    return round(figure.get_size_inches()[0] * PIXELS / 2)


if __name__ == "__main__":
    script, target = map(Path, sys.argv[1:])
    found = run(script, target)
    (target / f"{script.stem}.json").write_text(json.dumps(found), "utf-8")
