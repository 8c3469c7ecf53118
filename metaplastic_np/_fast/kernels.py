"""The loops between the products, compiled by Numba: each passes over its arrays once.

The same equations as :mod:`metaplastic_np.nn.layers`, which is the one to read first. Kernels
change arrays in place, take every array from outside, never raise and never draw. NumPy would need
two to eight passes and temporary arrays for each of them; what that buys stands in
:mod:`metaplastic_np._fast`.

Numba's cache sees edits of one file only: kernels that call each other must stay in one.
"""

from __future__ import annotations

import os
import stat
import tempfile
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba import njit

UNCACHED = (
    "Numba found no folder to keep compiled kernels in, so every process compiles them again; "
    "set NUMBA_CACHE_DIR to a folder that can be written"
)
_warned: list[str] = []


def compile_loops(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile without the GIL, with NumPy's division, and keep the machine code if possible."""
    how: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
    config: Any = numba.config
    given = config.CACHE_DIR
    with suppress(RuntimeError):
        return njit(cache=True, **how)(function)
    try:  # neither the package's folder nor the home can be written
        config.CACHE_DIR = _find_temporary_folder()
        return njit(cache=True, **how)(function)
    except (RuntimeError, OSError):
        if UNCACHED not in _warned:
            _warned.append(UNCACHED)
            warnings.warn(UNCACHED, RuntimeWarning, stacklevel=2)
        return njit(**how)(function)
    finally:
        config.CACHE_DIR = given


def _find_temporary_folder() -> str:
    """A temporary folder of the user's own; "" if others may write to it, since it will be run."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir(), f"metaplastic_np-{user}")
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    is_own = stat.S_ISDIR(found.st_mode) and found.st_uid == user and not found.st_mode & 0o022
    return str(folder) if is_own or os.name == "nt" else ""


@compile_loops
def add_bias_and_relu_inplace(units, biases):
    """Y = max(Y + b, 0). Written so that NaN stays NaN."""
    zero = units.dtype.type(0)
    for i in range(units.shape[0]):
        for j in range(units.shape[1]):
            value = units[i, j] + biases[j]
            units[i, j] = zero if value <= zero else value


@compile_loops
def softmax_cross_entropy_inplace(logits, biases, labels):
    """Z becomes (softmax(Z + b) - onehot(label)) / n; return the mean loss in nats."""
    n, n_classes = logits.shape
    one, count, total = logits.dtype.type(1), logits.dtype.type(n), 0.0
    for i in range(n):
        row = logits[i]
        highest = row[0] + biases[0]
        for j in range(n_classes):
            row[j] += biases[j]
            highest = max(highest, row[j])
        # float64, since float32 logits may lie further apart than float32 reaches.
        margin = np.float64(highest) - np.float64(row[labels[i]])
        exponentials = logits.dtype.type(0)
        for j in range(n_classes):
            row[j] = np.exp(row[j] - highest)
            exponentials += row[j]
        for j in range(n_classes):
            row[j] /= exponentials
        row[labels[i]] -= one
        for j in range(n_classes):
            row[j] /= count
        total += np.log(exponentials) + margin
    return total / n


@compile_loops
def mask_inplace(d_units, units):
    """ReLU backward: dY stays where the unit is above 0, and becomes 0 elsewhere."""
    zero = units.dtype.type(0)
    for i in range(units.shape[0]):
        for j in range(units.shape[1]):
            d_units[i, j] = d_units[i, j] if units[i, j] > zero else zero


@compile_loops
def step_inplace(weights, rate, gradient):
    """W -= rate * G, every synapse at its own rate."""
    for i in range(weights.shape[0]):
        for j in range(weights.shape[1]):
            weights[i, j] -= rate[i, j] * gradient[i, j]


def cache_folder() -> str | None:
    """Where Numba keeps the compiled kernels, or None if it finds no folder."""
    return getattr(getattr(step_inplace, "stats", None), "cache_path", None)
