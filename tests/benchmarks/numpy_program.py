"""The serial position experiment in plain NumPy, as a program: what ``metaplastic-np run`` is timed
against. Run: python tests/benchmarks/numpy_program.py --trials 10 --jobs 2 --out FILE.npz

It draws with the package, learns with ``start_numpy`` of ``rivals.py``, tests after every epoch,
and writes the arrays that ``metaplastic-np run serial-position`` writes. It imports neither Numba
nor SciPy nor matplotlib, and its worker processes take one BLAS thread each.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from contest import run_rivals_trial
from rivals import start_numpy

import metaplastic_np as mp

# Of whatever BLAS NumPy has; read when a worker imports it.
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
BY_TRIAL = ("item_classes", "schedule", "kappa")  # arrays without a network axis


def main(arguments: Sequence[str] | None = None) -> None:
    """Run every trial in worker processes, and write one npz."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--items", type=int, default=10)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    settings = mp.Settings(n_items=options.items, trials=options.trials, by_epoch=True)
    os.environ |= dict.fromkeys(THREADS, "1")
    with ProcessPoolExecutor(
        options.jobs,
        mp_context=get_context("spawn"),
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_DFL),
    ) as pool:
        run = partial(run_rivals_trial, start_numpy, mp.load_digits(), settings)
        trials = list(pool.map(run, range(options.trials)))
    stacked = {name: np.stack([trial[name] for trial in trials]) for name in trials[0]}
    arrays = {
        name: array if name in BY_TRIAL else array.swapaxes(0, 1) for name, array in stacked.items()
    }
    confusion = arrays["confusion"]
    arrays["recall"] = np.diagonal(confusion, axis1=-2, axis2=-1) / settings.n_test_images
    header = json.dumps({"settings": asdict(settings), "networks": settings.networks})
    np.savez_compressed(options.out, header=np.array(header), **arrays)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    main()
