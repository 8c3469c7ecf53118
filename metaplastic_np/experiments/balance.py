"""The steepness at which a network recalls old and new items alike."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace

import numpy as np

from .._util import checks, errors
from ..scenarios import Dataset
from .results import Results
from .run import run_experiment
from .settings import Settings

__all__ = ["CALIBRATION_SEED", "balance_steepness"]

CALIBRATION_SEED = 10_000
BALANCE_RANGE = (0.5, 64.0)  # kappa; the working range of a network is about a factor of two
BALANCE_STEPS = 8  # halvings: s is found to 2 %, far below what trials scatter


def balance_steepness(
    dataset: Dataset,
    settings: Settings,
    *,
    trials: int = 10,
    backend: str = "auto",
    executor: Executor | None = None,
    on_step: Callable[[float, float], None] | None = None,
) -> float:
    """Steepness at which the hybrid recalls the first item of a list as well as the last.

    Bisects on calibration seeds (from 10,000 on), which no verdict uses. Below it the newest items
    win, above it the oldest.

    Parameters
    ----------
    dataset : Dataset
    settings : Settings
        Its seed, trials, networks, steepness and kappa are not used.
    trials : int
        Calibration trials a step.
    backend : {"auto", "numba", "numpy"}
    executor : concurrent.futures.Executor, optional
    on_step : callable, optional
        Called with each steepness tried and its recall of the first minus the last item.

    Returns
    -------
    float
        s, in 1/weight.

    Raises
    ------
    InputError
        If no kappa from 0.5 to 64 balances the two.

    Examples
    --------
    >>> from metaplastic_np import load_digits
    >>> settings = Settings(n_items=5, n_train_images=100, n_features=64, hidden=(32,),
    ...                     learning_rate=0.05)
    >>> 10 < balance_steepness(load_digits(), settings, trials=3) < 10_000
    True
    """
    checks.check_kind("settings", settings, Settings, "Settings, as init_settings makes")
    settings = plan_balance(settings, trials=trials)

    def run(steepness: float) -> Results:
        tried = replace(settings, steepness=steepness)
        return run_experiment(dataset, tried, backend=backend, executor=executor)

    rms = run(1.0).kappa.mean()
    low, high = (float(kappa / rms) for kappa in BALANCE_RANGE)
    range_tried, sides = (low, high), set()
    for _ in range(BALANCE_STEPS):
        middle = float(np.sqrt(low * high))
        curve = run(middle).recall[0, :, -1].mean(axis=0)
        difference = float(curve[0] - curve[-1])
        if on_step is not None:
            on_step(middle, difference)
        low, high = (middle, high) if difference < 0 else (low, middle)
        sides.add(difference < 0)
    if len(sides) == 1 and difference != 0:
        low, high = range_tried
        ahead = "the last item stays" if difference < 0 else "the last item never gets"
        raise errors.InputError(
            f"no steepness between {low:.3g} and {high:.3g} balances first and last item: {ahead} "
            "ahead. Is a new item recalled at all (learning rate, epochs)? If it is, give a kappa"
        )
    return float(np.sqrt(low * high))


def plan_balance(settings: Settings, *, trials: int) -> Settings:
    """Settings of the runs that find a steepness: with the images, all that it depends on."""
    return replace(
        settings,
        seed=CALIBRATION_SEED,
        trials=checks.check_count("trials", trials),
        networks=("hybrid",),
        schedule="single-pass",
        by_epoch=(),
        by_flexibility=False,
        steepness=1.0,
        kappa=None,
    )
