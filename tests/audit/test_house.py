"""The house itself: its size, what importing it costs, and that its pages tell the truth."""

import ast
import importlib
import os
import re
import subprocess
import sys
import tokenize
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
    "rules/plasticity",
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
    assert sum(lines.values()) <= 6000
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


def test_only_two_modules_word_errors():
    """A bare `raise` passes an error on; anything else is worded in checks or errors."""
    for name, path in MODULES.items():
        if name in {"_util/checks", "_util/errors"}:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.Raise) and node.exc), (name, node.lineno)


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
