"""Options and fixtures of the whole suite."""

import hashlib
import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

# Compilation and slow machines are no failures: no test has a deadline, in any profile.
settings.register_profile(
    "default",
    deadline=None,
    derandomize=True,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
# For tests/audit/mutants.py: a few examples, the same every time, and no search for the smallest.
settings.register_profile(
    "laws",
    settings.get_profile("default"),
    max_examples=10,
    database=None,
    phases=[Phase.explicit, Phase.generate],
)
settings.load_profile("default")


ROOT = Path(__file__).parents[1]
IS_JIT_OFF = os.environ.get("NUMBA_DISABLE_JIT") == "1"


def pytest_addoption(parser):
    parser.addoption(
        "--without-numba",
        action="store_true",
        help="make `import numba` fail, as in a browser; tests that need Numba are not collected",
    )

    parser.addoption(
        "--site",
        metavar="FOLDER",
        help="also test the built documentation in this folder, in Chromium (tests/site)",
    )


def pytest_ignore_collect(collection_path, config):
    is_site = collection_path.name == "site" and not config.getoption("--site")
    needs_numba = collection_path.name == "benchmarks" and config.getoption("--without-numba")
    return True if is_site or needs_numba else None


def pytest_report_header(config):
    return None if config.getoption("--site") else "site: not tested without --site FOLDER"


def pytest_configure(config):
    if config.getoption("--without-numba"):
        sys.modules["numba"] = None
    # Numba's cache does not see that a kernel's callee in another file has changed.
    sources = sorted((ROOT / "metaplastic_np" / "_fast").glob("*.py"))
    version = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    os.environ["NUMBA_CACHE_DIR"] = str(ROOT / ".pytest_cache" / f"numba-{version[:12]}")
    if IS_JIT_OFF:  # interpreted kernels are for small worlds: whole experiments take NumPy
        os.environ["METAPLASTIC_NP_BACKEND"] = "numpy"


def pytest_collection_modifyitems(config, items):
    if config.getoption("--without-numba"):
        kept = [item for item in items if item.get_closest_marker("numba") is None]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept
    for item in items:
        if "made" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("made"))  # one worker makes it for all


BACKENDS = [pytest.param("numpy"), pytest.param("numba", marks=pytest.mark.numba)]


@pytest.fixture(params=BACKENDS)
def backend(request):
    """Each body of the algorithm."""
    return request.param


@pytest.fixture(autouse=True, scope="session")
def _no_backend_from_environment():
    if not IS_JIT_OFF:
        os.environ.pop("METAPLASTIC_NP_BACKEND", None)


@pytest.fixture(scope="session")
def mnist_folder():
    """The real files of MNIST, wherever this machine has them."""
    data = os.environ.get("METAPLASTIC_NP_DATA")
    places = [Path(data), Path(data) / "mnist"] if data else []
    places.append(Path(__file__).parents[2] / "shared" / "data" / "mnist")
    for place in places:
        if (place / "train-images-idx3-ubyte.gz").exists():
            return place
    words = "the files of MNIST are not here: set METAPLASTIC_NP_DATA to their folder"
    if os.environ.get("METAPLASTIC_NP_ALL_DATA"):  # where nothing may be skipped in silence
        pytest.fail(words)
    return pytest.skip(words)


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A folder that a small `reproduce` filled."""
    from worlds import REPRODUCE

    from metaplastic_np import cli

    folder = tmp_path_factory.mktemp("reproduced")
    assert cli.main([*REPRODUCE, "--out", str(folder)]) == 0
    return folder
