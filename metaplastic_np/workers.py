"""Many trials at once: jobs in any executor, worker processes, one BLAS thread for each."""

from __future__ import annotations

import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

from . import _checks, _errors

__all__ = ["open_pool"]

WINDOWS_MOST = 61  # handles that Windows lets one process wait for


@contextmanager
def open_pool(jobs: int) -> Iterator[Executor | None]:
    """Worker processes for the trials of an experiment.

    Parameters
    ----------
    jobs : int
        How many. 1 gives None: trials run in this process.

    Yields
    ------
    concurrent.futures.Executor or None
        Workers are started afresh, never forked. On Ctrl-C they are ended at once.

    Raises
    ------
    InputError
        If `jobs` is not a whole number above 0.

    Examples
    --------
    In a script, below ``if __name__ == "__main__":``, since workers import it::

        with open_pool(2) as executor:
            results = run_serial_position(load_digits(), Settings(), executor=executor)
    """
    if _checks.check_count("jobs", jobs) == 1:
        yield None
        return
    most = WINDOWS_MOST if sys.platform == "win32" else jobs
    pool = ProcessPoolExecutor(
        min(jobs, most), mp_context=get_context("spawn"), initializer=_start_worker
    )
    try:
        yield pool
    except Exception:
        pool.shutdown(cancel_futures=True)
        raise
    except BaseException:  # Ctrl-C: nobody waits for the trials in progress
        for worker in list(pool._processes.values()):
            worker.terminate()
        pool.shutdown(cancel_futures=True)
        raise
    pool.shutdown()


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, which ends the workers; and its warnings, which it gives once."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.filterwarnings("ignore", message="Numba found no folder")


@contextmanager
def _blocked_interrupt() -> Iterator[None]:
    """Hold Ctrl-C back, here and in processes started meanwhile, which inherit the mask for good.

    A worker ignores Ctrl-C once :func:`_start_worker` has run, half a second after its start.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run_jobs(
    function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]], executor: Executor | None
) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Call a function for each tuple of arguments; yield both as soon as a result is there."""
    if executor is None:
        for these in arguments:
            yield these, function(*these)
        return
    futures: dict[Any, tuple[Any, ...]] = {}
    try:
        with _blocked_interrupt():
            for these in arguments:
                futures[executor.submit(function, *these)] = these
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenExecutor as error:
        _errors.raise_dead_worker(error)
    except Exception:
        # Not on Ctrl-C: a pool whose workers are ended must find its futures as it left them.
        for future in futures:
            future.cancel()
        raise


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
    from threadpoolctl import threadpool_limits

    with _BlasLimit.lock:
        limit = threadpool_limits(1, user_api="blas")
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
