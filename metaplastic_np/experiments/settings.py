"""Settings: all that a run's numbers depend on, beside the images.

Each default says what the paper has, and where ours comes from; docs/settings.md tells how they
were found.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import count
from math import comb
from pathlib import Path
from typing import Any

import numpy as np

from .._util import checks, errors
from ..learning import REFRESHES
from ..metrics import MEMORIZED_LEVEL
from ..scenarios import NON_TARGETS, Dataset, Step, count_non_targets, draw_schedule, measure_digest
from .learners import check_learners

__all__ = ["Settings", "init_settings", "measure_default_steepness"]

# What was calibrated for images that are known by name, on seeds from 10,000 on; steepness by the
# length of the list, as `--steepness balance` finds it. Docs/settings.md tells how.
CALIBRATED: dict[str, dict[str, Any]] = {
    "digits": {
        "n_features": 1024,
        "input_scale": 8.0,
        "learning_rate": 0.009,
        "steepness": {3: 16_000.0, 5: 12_700.0, 10: 10_900.0, 20: 6_800.0, 30: 5_700.0},
    },
    "mnist": {
        "n_features": 0,
        "input_scale": 8.0,
        "learning_rate": 0.0125,
        "steepness": {10: 8_000.0, 30: 4_800.0},
    },
}
# Which images these are, by their digest: a name proves nothing.
DIGESTS = {
    "dad3cb2e15905d4301e8084ee4ad056479b39dd11234eae1984efd892d230d41": "digits",
    "8a9018e5ad8955303272a04d7a7014421eca3425c05dd188940a12e648e7f107": "mnist",
}
MOST_ITEMS, MOST_TRIALS = 10_000, 1_000_000
SCHEMA = 2  # of the files of a run; 1 had the answers to new items in an array of their own
RUN_KEYS = ("kind", "schema", "dataset_sha256")  # of a run, besides its settings
KAPPA = 7.5  # where nothing was calibrated
# Rms length of an image as the head sees it: what a learning rate belongs to.
LENGTH, LEARNING_RATE = 105.0, 0.0125


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that a run's numbers depend on, beside the dataset.

    Parameters
    ----------
    n_items : int
        N, items a trial. Paper: 10 and 30.
    schedule : str or sequence of Step or int
        What is presented when: a name in ``SCHEDULES``, or the steps, the same in every trial.
    trials : int
        Paper: 10 in the shipped settings.
    seed : int
        Seeds from 10,000 on are for calibration, smaller ones for judging.
    networks : tuple of str
        Paper: conventional, stable, hybrid.
    n_train_images, n_test_images : int
        Images an item. Paper: 2,000 and 1,000.
    n_features : int
        Width of the frozen random layer, 0 for none. Paper: AlexNet up to pool5, 9,216.
    input_scale : float
        Factor on the inputs. They are scaled up, and the rate down, so that biases, which are not
        modulated, move little beside the weights. Calibrated on the digits, see docs/settings.md.
    hidden : tuple of int
        Units in the hidden layers of the head. Paper: 4096, 4096.
    learning_rate : float
        Paper: 1e-4, for its own features and counts. Calibrated like `input_scale`.
    batch_size : int
        Paper: 1024.
    epochs : int
        Epochs a presentation. Paper: 5.
    steepness : float or None
        s, in 1/weight. Default, if `kappa` is not given either: balanced for the bundled digits
        and this many items, see :func:`measure_default_steepness`; 10,900 at 10 items. It does not
        transfer between networks: elsewhere give `kappa`, or balance it.
    kappa : float or None
        Dimensionless steepness: each trial sets s = kappa / rms(w - w0), measured after the first
        presentation of its conventional network.
    non_target : {"permuted", "none", "true"}
        Labels of the non-targets. Paper: permuted.
    refresh : {"presentation", "update"}
        When plasticity is computed. Paper: once a presentation.
    modulate_biases : bool
        Paper: biases are ordinary parameters.
    dtype : {"float32", "float64"}
        Paper: float32.
    by_epoch : tuple of int, or bool
        Items that are also tested after every epoch: all, none, or those of these numbers. Changes
        nothing but the time a run takes. Kept as a tuple.
    by_flexibility : bool
        Also measure which synapses moved, by tenths of flexibility. Changes nothing else.

    Raises
    ------
    InputError
        If a value cannot work, alone or with the others.

    Examples
    --------
    >>> Settings(n_items=5, trials=2).networks
    ('conventional', 'stable', 'hybrid')
    """

    n_items: int = 10
    schedule: str | tuple[Step, ...] = "single-pass"
    trials: int = 10
    seed: int = 0
    networks: tuple[str, ...] = ("conventional", "stable", "hybrid")
    n_train_images: int = 500
    n_test_images: int = 100
    n_features: int = 1024
    input_scale: float = 8.0
    hidden: tuple[int, ...] = (256, 256)
    learning_rate: float = 0.009
    batch_size: int = 256
    epochs: int = 5
    steepness: float | None = None
    kappa: float | None = None
    non_target: str = "permuted"
    refresh: str = "presentation"
    modulate_biases: bool = False
    dtype: str = "float32"
    by_epoch: tuple[int, ...] = ()
    by_flexibility: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot run before anything has started; keep plain Python values."""
        dtype = checks.check_dtype("dtype", self.dtype)
        plain: dict[str, Any] = {
            "dtype": dtype.name,
            "n_items": checks.check_count("n_items", self.n_items, minimum=2, maximum=MOST_ITEMS),
            "networks": check_learners(self.networks),
            "hidden": checks.check_counts("hidden", self.hidden),
        }
        plain["by_epoch"] = _check_by_epoch(self.by_epoch, plain["n_items"])
        for name in ("n_train_images", "n_test_images", "batch_size", "epochs"):
            plain[name] = checks.check_count(name, getattr(self, name))
        plain["trials"] = checks.check_count("trials", self.trials, maximum=MOST_TRIALS)
        plain["n_features"] = checks.check_count("n_features", self.n_features, minimum=0)
        for name in ("modulate_biases", "by_flexibility"):
            plain[name] = checks.check_flag(name, getattr(self, name))
        plain["seed"] = checks.check_count("seed", self.seed, minimum=0, maximum=np.inf)
        if self.steepness is None and self.kappa is None:
            plain["steepness"] = measure_default_steepness(plain["n_items"])
        if self.steepness is not None and self.kappa is not None:
            raise errors.InputError(
                "give either `steepness` or `kappa`, the other None; "
                f"got {self.steepness} and {self.kappa}"
            )
        for name in ("input_scale", "learning_rate", "steepness", "kappa"):
            value = plain.get(name, getattr(self, name))
            if value is not None:
                checks.check_scalar(name, value, dtype=dtype)
                plain[name] = float(value)
        checks.check_choice("non_target", self.non_target, NON_TARGETS)
        checks.check_choice("refresh", self.refresh, REFRESHES)
        steps = draw_schedule(self.schedule, plain["n_items"], rng=np.random.default_rng(0))
        if not isinstance(self.schedule, str):
            plain["schedule"] = tuple(steps)
        count_non_targets(plain["n_items"], plain["n_train_images"], non_target=self.non_target)
        for name, value in plain.items():
            object.__setattr__(self, name, value)


def _check_by_epoch(by_epoch: bool | Iterable[int], n_items: int) -> tuple[int, ...]:
    """Numbers of items: all for True, none for False."""
    if isinstance(by_epoch, bool | np.bool_):
        return tuple(range(n_items)) if by_epoch else ()
    return checks.check_counts("by_epoch", by_epoch, minimum=0, maximum=n_items - 1)


def measure_default_steepness(n_items: int, *, dataset: str = "digits") -> float:
    """Steepness that balances lists of this length of images that are known by name.

    Interpolated between calibrated lengths on logarithmic axes; shorter and longer lists take that
    of the nearest. For other data, layers or rates use :func:`balance_steepness`, or kappa.

    Parameters
    ----------
    n_items : int
        At least 2.
    dataset : {"digits", "mnist"}

    Returns
    -------
    float
        s, in 1/weight.

    Examples
    --------
    >>> measure_default_steepness(10)
    10900.0
    """
    n_items = checks.check_count("n_items", n_items, minimum=2)
    table = CALIBRATED[checks.check_choice("dataset", dataset, CALIBRATED)]["steepness"]
    lengths, found = (np.log(list(part)) for part in zip(*table.items(), strict=True))
    return round(float(np.exp(np.interp(np.log(n_items), lengths, found))), 1)


def init_settings(dataset: Dataset, *, n_items: int = 10, non_target: str = "permuted") -> Settings:
    """Settings to begin with for a dataset: calibrated for the digits and MNIST.

    Other images go to the head as they are, without a frozen layer, scaled to the rms length that
    MNIST has there; their kappa is a guess until :func:`balance_steepness` has found the steepness.
    Each item shows as many of them as the class with the fewest has; a warning names the class
    where that is less than half of what most classes have.

    Parameters
    ----------
    dataset : Dataset
    n_items : int
    non_target : {"permuted", "none", "true"}

    Returns
    -------
    Settings

    Raises
    ------
    InputError
        If a class has too few images to show non-targets of it, or to tell its recall from chance.

    Examples
    --------
    >>> from metaplastic_np import load_digits
    >>> init_settings(load_digits()) == Settings()
    True
    """
    checks.check_kind("dataset", dataset, Dataset, "a Dataset, as load_dataset makes")
    known = find_known(dataset)
    if known:
        return init_known_settings(known, n_items=n_items, non_target=non_target)
    images = dataset.train_images.reshape(len(dataset.train_images), -1)
    squares = np.einsum("ij,ij->i", images, images, dtype=np.float64) / dataset.pixel_scale**2
    length = np.sqrt((1 + dataset.paired) * squares.mean())
    Settings(n_items=n_items, non_target=non_target)  # refused before images are counted for it
    needed = 1 if non_target == "none" else -(-(n_items - 1) // 2), _count_tests(n_items)
    return Settings(
        n_items=n_items,
        non_target=non_target,
        n_features=0,
        n_train_images=_count_shown(dataset, "train", needed[0]),
        n_test_images=_count_shown(dataset, "test", needed[1]),
        input_scale=LENGTH / length if length > 0 else 1.0,
        learning_rate=LEARNING_RATE,
        kappa=KAPPA,
    )


def _count_tests(n_items: int) -> int:
    """The fewest test images per item of which all right is more than chance gives."""
    return next(n for n in count(1) if comb(n_items * n, n) * MEMORIZED_LEVEL > 1)


def _count_shown(dataset: Dataset, part: str, needed: int) -> int:
    """How many images of each class there are to show; the class with the fewest decides."""
    counts = np.bincount(getattr(dataset, f"{part}_labels"))
    fewest, most = int(counts.min()), int(np.median(counts))
    called = dataset.class_names[int(counts.argmin())]
    shown = min(getattr(Settings, f"n_{part}_images"), fewest)
    word = "training" if part == "train" else part
    if fewest < needed and not dataset.paired:
        raise errors.InputError(
            f"class {called!r} must have at least {needed} {word} images for a list of this "
            f"length; got {fewest}: add some, or leave the class out"
        )
    if 2 * shown < min(getattr(Settings, f"n_{part}_images"), most):
        warnings.warn(
            f"class {called!r} has {fewest} {word} images, so no more are shown of any class "
            f"(half of them have {most} or more)",
            RuntimeWarning,
            stacklevel=3,
        )
    return shown


def init_known_settings(dataset: str, **changes: Any) -> Settings:
    """Settings that were calibrated for images known by name, "digits" or "mnist"."""
    found = {**CALIBRATED[dataset]}
    steepness = measure_default_steepness(changes["n_items"], dataset=dataset)
    return Settings(**{**found, "steepness": steepness, **changes})


def find_known(dataset: Dataset) -> str | None:
    """The name of images that settings were found for, whatever the dataset is called."""
    return DIGESTS.get(measure_digest(dataset))


def name_images(name: str, digest: str) -> str:
    """What to call images: a name that is known stands for the known images only."""
    other = f"{name} (other images)" if name in CALIBRATED else name
    return DIGESTS.get(digest, other)


def describe_run(dataset: Dataset, settings: Settings) -> dict[str, Any]:
    """What two runs must share to be the same run, and what the images are called: as JSON."""
    digest = measure_digest(dataset)
    described = {
        "kind": "experiment",
        "schema": SCHEMA,
        "dataset": name_images(dataset.name, digest),
        "dataset_sha256": digest,
        "class_names": list(dataset.class_names),
        "networks": list(settings.networks),
        "settings": asdict(settings),
    }
    return json.loads(json.dumps(described))  # tuples become lists, as they will when read back


def check_same_run(
    path: Path,
    header: Mapping[str, Any],
    identity: Mapping[str, Any],
    *,
    skip: Collection[str] = ("trials",),
) -> None:
    """Refuse a file of another run: its header differs from what :func:`describe_run` gave.

    How many trials there are changes none of them, so it need not agree.
    """
    settings = header.get("settings")
    theirs = {**header, **(settings if isinstance(settings, Mapping) else {})}
    ours = {**identity, **identity["settings"]}
    for name in (*RUN_KEYS, *identity["settings"]):
        if name not in skip and theirs.get(name) != ours.get(name):
            raise errors.OutputError(
                f"{path} belongs to a run with other settings ({name} {theirs.get(name)!r}, now "
                f"{ours.get(name)!r}); choose another folder"
            )
