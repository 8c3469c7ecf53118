"""What computer and which versions a result was made with."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["describe_machine", "measure_bandwidth", "measure_speed"]


def describe_machine() -> dict[str, Any]:
    """Versions, CPU and BLAS: what may change the last bits of a result.

    Returns
    -------
    dict, as JSON holds it

    Examples
    --------
    >>> sorted(describe_machine())
    ['blas', 'cores', 'cpu', 'metaplastic_np', 'numba', 'numpy', 'python', 'scipy', 'system']
    """
    from threadpoolctl import threadpool_info

    cpu = platform.processor() or platform.machine()
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                cpu = line.partition(":")[2].strip()
                break
    blas = {
        f"{lib['internal_api']} {lib['version']} {lib.get('architecture', '')}".strip()
        for lib in threadpool_info()
        if lib["user_api"] == "blas"
    }
    return {
        "system": platform.platform(),
        "cpu": cpu,
        "cores": os.cpu_count(),
        "blas": sorted(blas),
        "python": platform.python_version(),
        **{name: find_version(name) for name in ("metaplastic_np", "numpy", "numba", "scipy")},
    }


def measure_speed(*, size: int = 2048, repeats: int = 5) -> float:
    """Float32 operations a second of this machine's matrix product, as many threads as it takes.

    Parameters
    ----------
    size : int
        Of the square matrices.
    repeats : int
        The median counts.

    Returns
    -------
    float

    Examples
    --------
    >>> measure_speed(size=64, repeats=1) > 1e6
    True
    """
    matrix = np.ones((size, size), np.float32)
    return 2 * size**3 / _time(lambda: matrix @ matrix, repeats)


def measure_bandwidth(*, size: int = 50_000_000, repeats: int = 5) -> float:
    """Bytes a second, read and written, of copying an array that no cache can hold.

    Parameters
    ----------
    size : int
        Numbers of four bytes.
    repeats : int
        The median counts.

    Returns
    -------
    float

    Examples
    --------
    >>> measure_bandwidth(size=1000, repeats=1) > 1e6
    True
    """
    source = np.ones(size, np.float32)
    target = np.empty_like(source)
    return 2 * source.nbytes / _time(lambda: np.copyto(target, source), repeats)


def _time(act: Callable[[], Any], repeats: int) -> float:
    """Median seconds; the first time wakes threads and gets memory, and does not count."""
    times = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        act()
        times.append(time.perf_counter() - started)
    return sorted(times[1:])[repeats // 2]


def find_version(package: str) -> str | None:
    """The version of an installed package; None if there is none."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
