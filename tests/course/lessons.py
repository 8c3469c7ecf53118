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
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path

TUTORIALS = Path(__file__).parents[2] / "tutorials"
RUN = (
    "import runpy, sys; sys.modules.update({name: None for name in sys.argv[2:]}); "
    "runpy.run_path(sys.argv[1], run_name='__main__')"
)


def run_script(script: Path, blocked: list[str]) -> tuple[float, bool]:
    """Seconds that a script takes in a folder of its own, and whether it fails."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-W", "error::RuntimeWarning", "-c", RUN, script, *blocked],
            cwd=folder,
            env={**os.environ, "MPLBACKEND": "agg"},
            stdout=subprocess.DEVNULL,
            check=False,
        )
    return time.perf_counter() - started, bool(done.returncode)


def main() -> int:
    """Run, print, and count what failed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--without-numba", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--jobs", type=int, default=1, help="scripts at a time (1, to time them)")
    options = parser.parse_args()
    blocked = ["numba"] if options.without_numba else []
    lessons = sorted(TUTORIALS.glob("[0-9]*.py"))
    scripts = [*lessons, *sorted((TUTORIALS / "exercises").glob("ex*.py"))]
    total, n_failed = 0.0, 0
    with ThreadPoolExecutor(options.jobs) as executor:
        found = executor.map(run_script, scripts, repeat(blocked))
        for script, (seconds, failed) in zip(scripts, found, strict=True):
            print(f"{seconds:6.1f} s  {script.stem}{'  FAILED' if failed else ''}", flush=True)
            total += seconds * (script in lessons)
            n_failed += failed
            if options.write and not failed and script in lessons:
                text = script.read_text("utf-8")
                told = f"# Run time: about {max(1, round(seconds))} s."
                text = re.sub(r"^# Run time: about \d+ s\.", told, text, flags=re.M)
                script.write_text(text, "utf-8")
    print(f"{total:6.1f} s  all lessons, without the exercises")
    return n_failed


if __name__ == "__main__":
    raise SystemExit(main())
