"""Many trials at once: jobs in any executor, worker processes, one BLAS thread for each."""

from __future__ import annotations

import logging
import math
import os
import pickle
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    ProcessPoolExecutor,
)
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import current_process, get_context, parent_process
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NoReturn

from .._util import checks, errors

__all__ = ["open_cluster", "open_pool"]

CLUSTER_SECONDS = 10.0  # to wait for a scheduler
NO_WORKER_SECONDS = 30.0  # to wait for a worker of a cluster that has none
WINDOWS_MOST = 61  # handles that Windows lets one process wait for
UNGUARDED = 99  # exit status of a worker that would start workers, since it runs the script again
CGROUP, CGROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


@contextmanager
def open_pool(jobs: int) -> Iterator[Executor | None]:
    """Worker processes for the trials of an experiment.

    Parameters
    ----------
    jobs : int
        How many, at most one for each core that can be used. 1 gives None: trials run in this
        process; so they do in a worker of another pool, which may start none.

    Yields
    ------
    concurrent.futures.Executor or None
        Workers are started afresh, never forked. On Ctrl-C they are ended at once.

    Warns
    -----
    RuntimeWarning
        If there are fewer workers than asked for.

    Raises
    ------
    InputError
        If `jobs` is not a whole number above 0.

    Examples
    --------
    In a script, below ``if __name__ == "__main__":``, since workers import it::

        with open_pool(2) as executor:
            results = run_experiment(load_digits(), Settings(), executor=executor)
    """
    if getattr(current_process(), "_inheriting", False):
        os._exit(UNGUARDED)  # silently: the process that started this one says why
    jobs = _limit_jobs(checks.check_count("jobs", jobs))
    if jobs == 1:
        yield None
        return
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_start_worker)
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


def _limit_jobs(jobs: int) -> int:
    """How many workers to start; say so if they are fewer than asked for."""
    most = count_cores() if sys.platform != "win32" else min(count_cores(), WINDOWS_MOST)
    reason = f"cores that can be used: {most}"
    if getattr(sys.modules["__main__"], "__file__", "") == "<stdin>":
        most, reason = 1, "workers cannot read again a script that came from standard input"
    if current_process().daemon:
        most, reason = 1, "this process is a worker itself, and may start none"
    if jobs > most:
        what = "trials run one after the other" if most == 1 else f"{most} workers will run trials"
        message = f"{what}, instead of {jobs} workers ({reason})"
        warnings.warn(message, RuntimeWarning, stacklevel=4)
    return min(jobs, most)


@contextmanager
def open_cluster(address: str) -> Iterator[Executor]:
    """The workers of a Dask scheduler, for the trials of an experiment.

    Parameters
    ----------
    address : str
        Of the scheduler, for instance "tcp://192.168.0.1:8786".

    Yields
    ------
    concurrent.futures.Executor

    Raises
    ------
    InputError
        If Dask is not installed, or no scheduler answers.

    Examples
    --------
    Where ``dask scheduler`` and some ``dask worker`` are running::

        with open_cluster("tcp://127.0.0.1:8786") as executor:
            results = run_experiment(load_digits(), Settings(), executor=executor)
    """
    try:
        from distributed import Client
    except ImportError as error:
        errors.raise_missing_extra("cluster", error)
    with _quiet("distributed"):
        try:
            client = Client(address, timeout=CLUSTER_SECONDS)
        except (OSError, ValueError, TypeError) as error:
            raise errors.InputError(
                f"no Dask scheduler answers at {address} ({type(error).__name__}): start one with "
                "`dask scheduler`, or use --jobs"
            ) from error
        with client:
            yield client.get_executor(retries=0)


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Keep a library's log to itself: what matters of it becomes one line of ours."""
    handlers = [(handler, handler.level) for handler in logging.getLogger(name).handlers]
    for handler, _ in handlers:
        handler.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for handler, level in handlers:
            handler.setLevel(level)


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, which ends the workers; and its warnings, which it gives once."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.filterwarnings("ignore", message="Numba found no folder")
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed ends nobody: its workers would wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _deferred_interrupt() -> Iterator[None]:
    """Put off a Ctrl-C, or SIGTERM, until the block is left.

    Ctrl-C is also kept from processes started inside; SIGTERM ends them.

    Raised in the middle of a submit it would leave locks that the pool waits for. A started process
    inherits the signal mask for good; :func:`_start_worker` comes half a second too late.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python raises KeyboardInterrupt in the main thread only
        return
    received: list[int] = []
    handlers = {
        number: signal.signal(number, lambda number, _: received.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    has_masks = hasattr(signal, "pthread_sigmask")  # not on Windows
    if has_masks:
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        if has_masks:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if received:
            signal.raise_signal(received[0])


def run_jobs(
    function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]], executor: Executor | None
) -> Iterator[tuple[int, tuple[Any, ...], Any]]:
    """Call a function for each tuple of arguments; yield which, and each result as it comes."""
    if executor is None:
        for index, these in enumerate(arguments):
            yield index, these, function(*these)
        return
    futures: dict[Any, tuple[int, tuple[Any, ...]]] = {}
    # Not as_completed, which a Ctrl-C may leave with the lock of a future that a pool waits for.
    done: SimpleQueue[Any] = SimpleQueue()
    try:
        with _deferred_interrupt():
            for index, these in enumerate(arguments):
                future = executor.submit(_Job(function, these))
                futures[future] = index, these
                future.add_done_callback(done.put)
        for _ in range(len(futures)):
            future = _get(done, executor)
            yield *futures[future], future.result()
    except (BrokenExecutor, CancelledError) as error:
        _check_guard(executor)
        _raise_dead_worker(error)
    except Exception as error:
        # Not on Ctrl-C: a pool whose workers are ended must find its futures as it left them.
        for future in futures:
            future.cancel()
        if type(error).__name__ == "KilledWorker":  # Dask's: a trial that took several with it
            _raise_dead_worker(error)
        raise


def _raise_dead_worker(error: Exception) -> NoReturn:
    raise errors.WorkerError(
        "a worker process died: killed, or out of memory? (fewer workers need less)"
    ) from error


def _check_guard(executor: Executor) -> None:
    """Tell apart a worker that died since it ran the whole script again, as a spawned one does."""
    workers = list((getattr(executor, "_processes", None) or {}).values())
    for worker in workers:
        worker.join(1.0)
    if any(worker.exitcode == UNGUARDED for worker in workers):
        raise errors.InputError(
            "workers import the script that starts them, and this one starts workers again: put "
            'all that it does below `if __name__ == "__main__":`'
        ) from None


class _Job:
    """A call that unpickles its arguments as a part of it, so that what goes wrong is its answer.

    Else a worker of a pool that cannot load a dataset dies, and nobody is told why.
    """

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.function, self.arguments = function, arguments

    def __call__(self) -> Any:
        """Where nothing was pickled: in a thread."""
        return self.function(*self.arguments)

    def __reduce__(self) -> Any:
        try:
            return partial, (_unpickle_and_call, self.function, pickle.dumps(self.arguments))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            _raise_unsendable(error)


def _unpickle_and_call(function: Callable[..., Any], arguments: bytes) -> Any:
    try:
        found = pickle.loads(arguments)
    except (AttributeError, ImportError) as error:
        _raise_unsendable(error)
    return function(*found)


def _raise_unsendable(error: Exception) -> NoReturn:
    raise errors.InputError(
        f"what the trials need cannot be sent to a worker ({error}): write the function that loads "
        "the dataset into a module, a .py file that workers can import, or leave out `reload`, or "
        "use no workers"
    ) from error


def _get(queue: SimpleQueue[Any], executor: Executor) -> Any:
    """Wait for an item; in short waits, since Windows lets no Ctrl-C through a long one.

    A cluster without any worker is given some time to get one.
    """
    client = getattr(executor, "_client", None)  # of a Dask executor
    seen = time.monotonic()
    while True:
        with suppress(Empty):
            return queue.get(timeout=0.5)
        if client is None or client.scheduler_info().get("workers"):
            seen = time.monotonic()
        elif time.monotonic() - seen > NO_WORKER_SECONDS:
            _raise_dead_worker(TimeoutError("the cluster has no worker left"))


def count_threads() -> int:
    """Threads worth starting: 1 on a single core, or where there are none, as in a browser.

    Else one more than cores: three networks on two cores take turns, and no core waits.
    """
    cores = 1 if sys.platform == "emscripten" else count_cores()
    return cores + (cores > 1)


def count_cores() -> int:
    """Cores that this process may use: as a scheduler or a container allows, not the machine's."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        cores = os.cpu_count() or 1
    return max(1, min([cores, *_list_quotas()]))


def _list_quotas() -> list[int]:
    """How many cores control groups allow: this process's, and all groups that they are in."""
    folders = {CGROUPS, CGROUPS / "cpu"}
    with suppress(OSError):  # not on Linux
        for line in CGROUP.read_text().splitlines():
            _, kinds, place = line.split(":", 2)
            if not kinds or "cpu" in kinds.split(","):
                own = CGROUPS / ("cpu" if kinds else "") / place.lstrip("/")
                folders |= {own, *own.parents}
    quotas = []
    for folder in folders:
        for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
            with suppress(OSError, ValueError):  # not there, or "max"
                words = " ".join((folder / name).read_text() for name in names)
                allowed, period = map(int, words.split())
                quotas += [math.ceil(allowed / period)] if allowed > 0 else []
    return quotas
