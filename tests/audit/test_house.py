"""The house itself: its size, what importing it costs, and that its pages tell the truth."""

import ast
import importlib
import os
import re
import subprocess
import sys
import tokenize
from itertools import product
from pathlib import Path

import pytest

import metaplastic_np as mp

PACKAGE = Path(mp.__file__).parent
ROOT = PACKAGE.parent
MODULES = {
    path.relative_to(PACKAGE).with_suffix("").as_posix(): path for path in PACKAGE.rglob("*.py")
}
# What one presentation needs, and what is measured of it: to be read in an afternoon. The same once
# more, made fast, is for another day.
CORE = {
    "learning",
    "metrics/recall",
    "nn/gradient_check",
    "nn/layers",
    "nn/network",
    "rules/flexibility",
    "rules/metaplasticity",
    "rehearsal/rehearsal",
    "rules/plasticity",
    "rules/rule",
    "rules/table",
    "scenarios/datasets",
    "scenarios/items",
}


# What a module says is public: of the top level, or of its folder.
PUBLIC = {
    name: getattr(module, name)
    for path in MODULES
    if not path.startswith("_")
    for module in [importlib.import_module(f"metaplastic_np.{path.replace('/', '.')}")]
    for name in getattr(module, "__all__", ())
    if getattr(getattr(module, name), "__module__", None) == module.__name__
}


def count_code(path):
    """Lines with code: no docstrings, comments or blank lines."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(
            node
        ):
            docstrings.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    skip = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    code = set()
    with tokenize.open(path) as file:
        for token in tokenize.generate_tokens(file.readline):
            if token.type not in skip and token.string:
                code.update(range(token.start[0], token.end[0] + 1))
    return len(code - docstrings)


def test_the_house_stays_small_enough_to_read_in_an_afternoon():
    lines = {name: count_code(path) for name, path in MODULES.items()}
    assert sum(lines[name] for name in CORE) < 1500
    assert sum(n for name, n in lines.items() if name.startswith("_fast/")) < 400
    assert sum(lines.values()) <= 7000
    for name, path in MODULES.items():
        assert len(path.read_text(encoding="utf-8").splitlines()) < 500, name


def test_importing_the_package_imports_none_of_its_heavy_friends():
    code = (
        "import sys, metaplastic_np; "
        "print([m for m in ('numba', 'matplotlib', 'scipy', 'tqdm', 'threadpoolctl', 'pooch', "
        "'requests') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


# How a call words a refusal, from the texts of its arguments. HOLE stands for a value.
HOLE = "\0"
WORDED = {
    **dict.fromkeys(("InputError", "OutputError", "DivergenceError", "WorkerError"), "{0}"),
    "raise_expected": "`{0}` must {1}; got ",
    "raise_unreadable_file": "cannot read " + HOLE + ": {1}",
    "raise_diverged": "{0} are not finite",
}
READ = 24  # letters of a message that a test must quote; the first 40 where they name an argument


def list_texts(node, names):
    """Every text that an expression may stand for, with holes."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.FormattedValue):
        return list_texts(node.value, names)
    if isinstance(node, ast.Name) and node.id in names:
        return [text for value in names[node.id] for text in list_texts(value, {})]
    if isinstance(node, ast.IfExp):
        return list_texts(node.body, names) + list_texts(node.orelse, names)
    if isinstance(node, ast.JoinedStr):
        parts = node.values
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts = [node.left, node.right]
    else:
        return [HOLE]
    return ["".join(texts) for texts in product(*(list_texts(part, names) for part in parts))]


def list_messages(source):
    """The messages of a module's refusals, with holes."""
    tree = ast.parse(source)
    for scope in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]:
        names = {}
        for node in (*tree.body, *ast.walk(scope)):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                names.setdefault(node.targets[0].id, []).append(node.value)
        for call in [node for node in ast.walk(scope) if isinstance(node, ast.Call)]:
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            if name in WORDED:
                for texts in product(*(list_texts(argument, names) for argument in call.args)):
                    yield WORDED[name].format(*texts)


def is_read(message, quoted):
    """Whether a test quotes the longest part of a message that has no hole."""
    pieces = message.split(HOLE)
    if re.match("`[^\0]", message):
        return pieces[0].strip()[:40] in quoted
    piece = max((piece.strip(" `:;,.()") for piece in pieces), key=len)
    most = min(READ, len(piece))
    return any(piece[start : start + most] in quoted for start in range(len(piece) - most + 1))


def list_quotes():
    """Every string of the tests, patterns as the text that they match."""
    for path in {*(ROOT / "tests").rglob("test_*.py")} - {Path(__file__)}:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield re.sub(r"\\(.)", r"\1", node.value)


def test_a_test_reads_every_message():
    quoted = "\n".join(list_quotes())
    messages = {
        (name, message)
        for name, path in MODULES.items()
        for message in list_messages(path.read_text(encoding="utf-8"))
    }
    assert len(messages) > 100
    assert not [found for found in sorted(messages) if not is_read(found[1], quoted)]


def test_a_message_that_no_test_reads_is_found():
    source = """
def check(value):
    expected = "be " + ("a zebra" if value else f"an okapi of {value} stripes")
    checks.raise_expected("animal", expected, value)
"""
    zebra, okapi = list_messages(source)
    assert zebra == "`animal` must be a zebra; got "
    assert okapi == f"`animal` must be an okapi of {HOLE} stripes; got "
    assert is_read(zebra, "`animal` must be a zebra; got a horse")
    assert not is_read(zebra, "`animal` must be a donkey")


def test_every_raise_is_worded_where_the_law_above_looks():
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and node.exc:
                function = getattr(node.exc, "func", None)
                raised = getattr(function, "attr", getattr(function, "id", None))
                assert raised in WORDED, (name, node.lineno)


def test_every_public_function_has_a_runnable_example():
    for name, thing in PUBLIC.items():
        if callable(thing) and not (isinstance(thing, type) and issubclass(thing, Exception)):
            documented = thing.__doc__ or ""
            assert "Examples\n" in documented, name
            assert ">>>" in documented or "See :func:" in documented or "::" in documented, name


def test_a_see_also_example_names_the_function():
    for name, thing in PUBLIC.items():
        for other in re.findall(r"Examples\n-+\n+See :func:`(\w+)`", thing.__doc__ or ""):
            assert name in PUBLIC[other].__doc__, (name, other)


def test_all_is_complete():
    assert len(set(mp.__all__)) == len(mp.__all__)
    for name in mp.__all__:
        assert hasattr(mp, name)


def test_the_readmes_example_prints_what_it_says():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    code, printed = re.search(r"```python\n(.*?)```\s+prints\s+```\n(.*?)```", text, re.S).groups()
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # Rounding differs between machines: numbers may differ in their last digit, words may not.
    words = re.compile(r"[-+]?\d+\.\d+")
    assert words.sub("#", found.stdout) == words.sub("#", printed)
    for one, other in zip(words.findall(found.stdout), words.findall(printed), strict=True):
        assert abs(float(one) - float(other)) <= 0.05


@pytest.mark.numba
def test_a_kernel_cache_that_cannot_be_written_is_one_warning():
    code = (
        "import warnings, numba.core.caching as caching; "
        "caching.CacheImpl._locator_classes = []; "
        "warnings.simplefilter('always'); "
        "from metaplastic_np import _fast; import numpy as np; x = np.ones((2, 2)); "
        "_fast.kernels.step_inplace(x, x.copy(), x.copy()); print(_fast.cache_folder(), x.any())"
    )
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "0"}
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert found.stdout.strip() == "None False"
    assert found.stderr.count("RuntimeWarning: Numba found no folder to keep compiled kernels") == 1
