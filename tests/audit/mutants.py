"""Do the tests bite? Mutants of the core, one changed operator or number each, against its laws.

Run: python tests/audit/mutants.py [MODULE ...] [--sample N] [--jobs N] [--json FILE]. Cosmic-ray
makes the mutants; of each module a sample drawn with a fixed seed, or all if they are fewer. Each
is put into a copy of the tree, where the laws of the module run with the JIT off, in five seconds:

* killed: an assertion failed;
* crashed: no assertion failed, but a test, or Python, ended otherwise than well;
* timeout: neither, within ten times the time that the laws take;
* survived: all tests passed. survivors.md has a row for each, which says why: that nothing can tell
  the two programs apart ("equivalent"), or what would have to be tested.

Mutants that change annotations only are no mutants. Ends with 1 if a module's score is below 90 %:
killed, of those that were killed or survived and are not equivalent.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import pytest

ROOT = Path(__file__).parents[2]
SAMPLE, LOWEST_SCORE, SEED = 100, 0.9, 0
HOW = ["-q", "-n", "0", "--hypothesis-profile", "laws", "-p", "no:cacheprovider", "-p", "mutants"]
OUTCOMES = ("killed", "crashed", "timeout", "survived")

# Laws of others among those of learning, and long ones that say what others say.
OTHERS = (
    "distribution setting becomes asks_for hands schedule three drift net_steps permuting goes_on"
)
# Which laws a module must obey: test files, and pytest's -k.
LAWS = {
    "plasticity": (["plasticity", "hardness"], "plasticity or drift or kappa"),
    "flexibility": (["plasticity", "learning"], "flexib or uniform"),
    "layers": (["layers"], ""),
    "network": (["layers", "learning"], "gradient or network or numpy"),
    "learning": (["learning", "options"], f"not ({' or '.join(OTHERS.split())})"),
    "recall": (["recall"], ""),
    "items": (["items", "schedules"], ""),
    "claims": (["claims"], "not json"),
    "_fast/__init__": (["learning"], "numba"),
    "_fast/kernels": (["learning"], "numba"),
}
# What runs only while kernels are compiled: there is no Python body to mutate.
NOT_PYTHON = {"_fast/kernels": {"cache_folder", "compile_loops"}}


def find(folder: Path, name: str) -> Path:
    """The one Python file of this name below a folder."""
    (path,) = folder.rglob(f"{name}.py")
    return path


# --- as a plugin of pytest: what was the end of a mutant -----------------------------


def _is_assertion(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):  # several failures found by Hypothesis
        return any(map(_is_assertion, error.exceptions))
    return isinstance(error, (AssertionError, pytest.fail.Exception))


def _note(outcome: str) -> None:
    Path(os.environ["MUTANT_OUTCOME"]).write_text(outcome)


@pytest.hookimpl
def pytest_collectreport(report):
    """A module that cannot be imported."""
    if report.failed:
        _note("crashed")


@pytest.hookimpl
def pytest_runtest_makereport(item, call):
    """The first failed assertion ends the run; another exception does not."""
    if call.excinfo is not None and not isinstance(call.excinfo.value, pytest.skip.Exception):
        if _is_assertion(call.excinfo.value):
            _note("killed")
            item.session.shouldstop = "killed"
        else:
            _note("crashed")


# --- mutants -------------------------------------------------------------------------


def _program(source: str) -> str | None:
    """What a source does, without annotations; None if it is not Python."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            node.returns = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
    return ast.dump(tree)


def draw_mutants(module: str, sample: int) -> tuple[list[dict], int]:
    """Some mutants of a module, in the order of its lines; and how many changes there are."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.ast.ast_query import ASTQuery
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator, operator_names

    source = find(ROOT / "metaplastic_np", module).read_text("utf-8")
    tree, original = get_ast(source), _program(source)
    operators = [get_operator(name) for name in operator_names()]
    changes = []
    for operator in [each() for each in operators if not each.arguments()]:
        nodes = [node for node in ast_nodes(tree) for _ in operator.mutation_positions(node)]
        for occurrence, node in enumerate(nodes):
            if ASTQuery(node).get_definition_name() not in NOT_PYTHON.get(module, ()):
                changes.append((operator, occurrence))
    random.Random(f"{SEED} {module}").shuffle(changes)
    drawn = []
    for operator, occurrence in changes:
        mutated = mutate_code(source, operator, occurrence)
        if len(drawn) == sample:
            break
        if _program(mutated) in (None, original):
            continue
        pairs = zip(source.splitlines(), mutated.splitlines(), strict=False)
        number, (before, after) = next(
            (i, pair) for i, pair in enumerate(pairs, 1) if len(set(pair)) > 1
        )
        lines = {"line": number, "before": before.strip(), "after": after.strip()}
        drawn.append({**lines, "source": mutated})
    return sorted(drawn, key=lambda mutant: mutant["line"]), len(changes)


def read_explained() -> dict[tuple[str, str, str], str]:
    """The rows of survivors.md: module, line, what becomes of it; and why."""
    text = (ROOT / "tests" / "audit" / "survivors.md").read_text("utf-8").replace("\\|", "|")
    row = r"^\| ([\w/]+) \| (.*?) \| (?:`` (.*?) `` → |a decorator left out: )`` (.*?) `` \|$"
    return {
        (module, before, after): why
        for module, why, before, after in re.findall(row, text, re.MULTILINE)
    }


# --- a run ---------------------------------------------------------------------------


class Copies:
    """Copies of the tree, one for each job."""

    def __init__(self, folder: Path, jobs: int) -> None:
        self.free: SimpleQueue[Path] = SimpleQueue()
        for job in range(jobs):
            copy = folder / str(job)
            for name in ("metaplastic_np", "tests"):
                shutil.copytree(
                    ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__")
                )
            for name in ("pyproject.toml", "setup.cfg"):
                shutil.copy(ROOT / name, copy)
            self.free.put(copy)

    def test(self, module: str, source: str | None, most: float) -> str:
        """Run a module's laws on another source for it, or on the one that is there."""
        copy = self.free.get()
        path = find(copy / "metaplastic_np", module)
        original = path.read_text("utf-8")
        files, words = LAWS[module]
        command = [sys.executable, "-m", "pytest", *HOW, "-k", words]
        command += [str(find(copy / "tests", f"test_{name}")) for name in files]
        outcome = copy / "outcome"
        outcome.write_text("survived")
        places = os.pathsep.join([str(copy), str(copy / "tests" / "audit")])
        environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": places}
        environment |= {"MUTANT_OUTCOME": str(outcome), "OPENBLAS_NUM_THREADS": "1"}
        try:
            path.write_text(original if source is None else source, "utf-8")
            for stale in path.parent.glob(f"__pycache__/{module}.*"):
                stale.unlink()  # of the same second and size, it would be taken for new
            ended = subprocess.run(
                command, cwd=copy, env=environment, timeout=most, capture_output=True, text=True
            )
            found = outcome.read_text()
            return "crashed" if found == "survived" and ended.returncode else found or "crashed"
        except subprocess.TimeoutExpired:
            found = outcome.read_text()
            return "timeout" if found == "survived" else found or "crashed"
        finally:
            path.write_text(original, "utf-8")
            self.free.put(copy)


def test_module(module: str, sample: int, jobs: int, copies: Copies) -> dict:
    """Sample a module's mutants and run its laws on each."""
    drawn, changes = draw_mutants(module, sample)
    started = time.perf_counter()
    if copies.test(module, None, 600) != "survived":
        raise SystemExit(f"the laws of {module} fail without any mutation")
    seconds = time.perf_counter() - started
    most = max(10 * seconds, 20)

    def run(mutant: dict) -> dict:
        outcome = copies.test(module, mutant.pop("source"), most)
        print(outcome[0], end="", flush=True)
        return {**mutant, "outcome": outcome}

    with ThreadPoolExecutor(jobs) as pool:
        tested = list(pool.map(run, drawn))
    print()
    explained = read_explained()
    survivors = []
    for mutant in tested:
        if mutant["outcome"] == "survived":
            key = module, mutant["before"], mutant["after"]
            survivors.append({**mutant, "why": explained.get(key, "not explained")})
    equivalent = sum(each["why"].startswith("equivalent") for each in survivors)
    count = Counter(mutant["outcome"] for mutant in tested)
    return {
        "module": module,
        "changes": changes,
        "tested": len(tested),
        **{outcome: count[outcome] for outcome in OUTCOMES},
        "equivalent": equivalent,
        "score": count["killed"] / max(count["killed"] + count["survived"] - equivalent, 1),
        "seconds_of_laws": round(seconds, 1),
        "minutes": round((time.perf_counter() - started) / 60, 1),
        "survivors": survivors,
    }


def write_json(path: Path, found: dict, sample: int) -> None:
    """Put what was found of a module beside what the file has of others."""
    from metaplastic_np.experiments.machine import describe_machine

    modules = json.loads(path.read_text("utf-8"))["modules"] if path.exists() else []
    kept = {each["module"]: each for each in [*modules, found]}
    content = {
        "command": f"python tests/audit/mutants.py --sample {sample}",
        "machine": describe_machine(),
        "modules": [kept[module] for module in LAWS if module in kept],
    }
    path.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


def main() -> None:
    """Test the modules named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"of {', '.join(LAWS)}")
    parser.add_argument("--sample", type=int, default=SAMPLE, help="mutants a module, at most")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, help="file whose modules are replaced or added")
    given = parser.parse_args()
    names, modules = given.modules or list(LAWS), []
    with tempfile.TemporaryDirectory() as folder:
        copies = Copies(Path(folder), given.jobs)
        for module in names:
            found = test_module(module, given.sample, given.jobs, copies)
            modules.append(found)
            parts = ", ".join(f"{found[outcome]} {outcome}" for outcome in OUTCOMES)
            print(f"{module}: {found['tested']} of {found['changes']} changes, {parts} ", end="")
            print(f"({found['equivalent']} equivalent); score {found['score']:.0%}", flush=True)
            for each in found["survivors"]:
                print(
                    f"  {each['line']}: {each['before']}\n    -> {each['after']}  [{each['why']}]"
                )
            if given.json:
                write_json(given.json, found, given.sample)
    sys.exit(any(found["score"] < LOWEST_SCORE for found in modules))


if __name__ == "__main__":
    main()
