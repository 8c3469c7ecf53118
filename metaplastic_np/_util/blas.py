"""How many threads BLAS may take: one for each of many trials, all of them for a single job."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any


@lru_cache
def _find_blas(with_scipy: bool) -> Any:
    """The BLAS libraries that are loaded: looking for them takes as long as learning an epoch."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


class _BlasLimit:
    """Who is inside :func:`one_blas_thread`, and what the first to enter found."""

    lock = threading.Lock()
    users = 0
    original: Any = None


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread while anybody is inside.

    The limit belongs to the process, so only the last to leave restores what the first one found.
    """
    with _BlasLimit.lock:
        limit = _find_blas("scipy.linalg.cython_blas" in sys.modules).limit(limits=1)
        if _BlasLimit.users == 0:
            _BlasLimit.original = limit
        _BlasLimit.users += 1
    try:
        yield
    finally:
        with _BlasLimit.lock:
            _BlasLimit.users -= 1
            if _BlasLimit.users == 0:
                _BlasLimit.original.restore_original_limits()
