"""How fast is it? The same learning by the package and by others, in turn, in one run. Run:
metaplastic-np bench, or python tests/benchmarks/bench.py

Every program of ``rivals.py`` lives in worker processes of its own, so that no library's waiting
threads disturb another. Before any clock runs, all programs must have learned the same weights.
Then they take turns, A B C A B C, and the table gives each median with its range, and the time of
the best rival divided by ours.

A time says little by itself. So every round also measures the **product rate** of each library on
this machine: 2048 x 2048 matrices of float32, with the same threads and processes. The **share** is
the number of operations that learning must multiply (``count_operations`` of ``rivals.py``),
divided by the time and by that rate.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor
from importlib.metadata import version
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any

from contest import PACKAGE, load_canvas
from rivals import MODULES
from sections import measure_job, measure_memory, measure_presentations, measure_start

import metaplastic_np as mp
from metaplastic_np._util import checks, errors
from metaplastic_np._util.storage import write_atomic
from metaplastic_np.experiments import describe_machine, measure_bandwidth

PROGRAM = "metaplastic-np bench"
SECTIONS = ("presentation", "job", "start", "memory")


def run_bench(
    *,
    sections: tuple[str, ...] = SECTIONS,
    repeats: int = 5,
    trials: int = 10,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Measure the package against the rivals that are installed; what JSON holds.

    Raises InputError if an argument is wrong, and DivergenceError if two programs did not learn the
    same.
    """
    for section in sections:
        checks.check_choice("sections", section, SECTIONS)
    checks.check_count("repeats", repeats)
    checks.check_count("trials", trials)
    programs, skipped = _find_programs()
    machine = describe_machine()
    others = [MODULES[program] for program in programs]
    machine |= {module: version(module) for module in others if module not in machine}
    machine["memory"] = f"{measure_bandwidth() / 1e9:.0f} GB copied a second"
    rows: list[dict[str, Any]] = []
    measure = {
        "presentation": lambda: measure_presentations(programs, repeats, say),
        "job": lambda: measure_job(programs, repeats, trials, say),
        "start": lambda: measure_start(programs, repeats, say),
        "memory": lambda: measure_memory(programs, say),
    }
    for section in sections:
        rows += measure[section]()
    return {
        "schema": 1,
        "command": f"metaplastic-np bench --sections {','.join(sections)} --repeats {repeats} "
        f"--trials {trials}",
        "machine": machine,
        "images": load_canvas()[1],
        "skipped": skipped,
        "rows": rows,
    }


def _find_programs() -> tuple[list[str], dict[str, str]]:
    """Which programs can run here, and why others cannot."""
    found, skipped = [], {}
    for program, module in MODULES.items():
        if find_spec(module) is None:
            skipped[program] = f"{module} is not installed (the extra 'bench' brings it)"
        else:
            found.append(program)
    return found, skipped


# --- the table -----------------------------------------------------------------------


def format_bench(found: dict[str, Any]) -> str:
    """The table as text."""
    lines = [f"{name:<16} {_plain(value)}" for name, value in found["machine"].items()]
    lines += [f"{program} skipped: {reason}" for program, reason in found["skipped"].items()]
    for what, group in groupby(found["rows"], key=lambda row: row["what"]):
        rows = list(group)
        lines += ["", what]
        for row in rows:
            low, middle, high = (f"{row[name]:.3g}" for name in ("lowest", "median", "highest"))
            line = f"  {row['who']:<40} {middle} [{low}, {high}] {row['unit']}"
            if "share" in row:
                line = f"{line:<70}{row['share']:>6.0%} of products"
            lines.append(line)
        lines += [f"  {words}" for words in describe_best_rival(rows)]
    return "\n".join(lines)


def describe_best_rival(rows: list[dict[str, Any]]) -> list[str]:
    """One line: the time of the best rival divided by our best. No line where there is no rival."""
    rivals = [row for row in rows if row.get("program", PACKAGE) != PACKAGE]
    if not rivals:
        return []
    best = min(rivals, key=lambda row: row["ratio"])
    return [f"best rival / ours: {best['ratio']:.2f} ({best['who']})"]


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


# --- the command ---------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the file. Exit status as of ``metaplastic-np``."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description=__doc__.partition("\n\n")[0])
    parser.add_argument("--sections", default=",".join(SECTIONS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    try:
        if options.json is not None:
            errors.check_output_folder(options.json.parent)  # before minutes are spent
        found = run_bench(
            sections=tuple(name.strip() for name in options.sections.split(",")),
            repeats=options.repeats,
            trials=options.trials,
            say=lambda words: print(words, file=sys.stderr, flush=True),
        )
        print(format_bench(found))
        if options.json is not None:
            text = json.dumps(found, indent=1)
            write_atomic(options.json, lambda file: file.write(text.encode()))
    except KeyboardInterrupt:
        return 130
    except mp.InputError as error:
        return _complain(error, 2)
    except (
        mp.OutputError,
        mp.DivergenceError,
        BrokenExecutor,
        subprocess.CalledProcessError,
    ) as error:
        return _complain(error, 1)
    return 0


def _complain(error: Exception, status: int) -> int:
    """One line on stderr."""
    print(f"{PROGRAM}: " + " ".join(str(error).split()), file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
