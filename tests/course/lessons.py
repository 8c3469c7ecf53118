"""Run every lesson as its reader would, a plain script in a process of its own, and say how long.

::

    python tests/course/lessons.py                    # all of them, and a table
    python tests/course/lessons.py --without-numba    # as in a browser
    python tests/course/lessons.py --write            # and put the run time into lessons' heads

A lesson that fails or warns makes it fail. Times are printed, not judged: machines differ.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TUTORIALS = Path(__file__).parents[2] / "tutorials"
RUN = (
    "import runpy, sys; sys.modules.update({name: None for name in sys.argv[2:]}); "
    "runpy.run_path(sys.argv[1], run_name='__main__')"
)


def main() -> int:
    """Run, print, and count what failed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--without-numba", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    blocked = ["numba"] if options.without_numba else []
    environment = {**os.environ, "MPLBACKEND": "agg"}
    total, failed = 0.0, []
    lessons = sorted(TUTORIALS.glob("[0-9]*.py"))
    for lesson in [*lessons, *sorted((TUTORIALS / "exercises").glob("ex*.py"))]:
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [sys.executable, "-W", "error::RuntimeWarning", "-c", RUN, lesson, *blocked],
                cwd=folder,
                env=environment,
                stdout=subprocess.DEVNULL,
                check=False,
            )
        seconds = time.perf_counter() - started
        if lesson in lessons:
            total += seconds
        print(f"{seconds:6.1f} s  {lesson.stem}{'  FAILED' if done.returncode else ''}", flush=True)
        if done.returncode:
            failed.append(lesson)
        elif options.write and lesson in lessons:
            text = lesson.read_text("utf-8")
            told = f"# Run time: about {max(1, round(seconds))} s."
            text = re.sub(r"^# Run time: about \d+ s\.", told, text, flags=re.M)
            lesson.write_text(text, "utf-8")
    print(f"{total:6.1f} s  all lessons, without the exercises")
    return len(failed)


if __name__ == "__main__":
    raise SystemExit(main())
