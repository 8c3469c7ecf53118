"""Options and fixtures of the whole suite."""

import sys

import pytest
from hypothesis import HealthCheck, settings

# Compilation and slow machines are no failures: no test has a deadline, in any profile.
settings.register_profile(
    "default",
    deadline=None,
    derandomize=True,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("default")


def pytest_addoption(parser):
    parser.addoption(
        "--without-numba",
        action="store_true",
        help="make `import numba` fail, as in a browser; tests that need Numba are not collected",
    )


def pytest_configure(config):
    if config.getoption("--without-numba"):
        sys.modules["numba"] = None


def pytest_collection_modifyitems(config, items):
    if config.getoption("--without-numba"):
        kept = [item for item in items if item.get_closest_marker("numba") is None]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept


BACKENDS = [pytest.param("numpy"), pytest.param("numba", marks=pytest.mark.numba)]


@pytest.fixture(params=BACKENDS)
def backend(request):
    """Each body of the algorithm."""
    return request.param


@pytest.fixture(autouse=True)
def _no_backend_from_environment(monkeypatch):
    monkeypatch.delenv("METAPLASTIC_NP_BACKEND", raising=False)
