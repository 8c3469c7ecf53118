"""Trials: the unit of an experiment, of a worker's job, and of what survives an interruption.

A **trial** draws items, images, initial weights and flexibilities from its own child of the seed,
and lets every network learn the same presentations, so that networks are compared in pairs. Trials
are independent: they run in this process or in any ``concurrent.futures.Executor``, with one BLAS
thread each, and give the same bits for any number of workers.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from . import _checks, _errors
from .datasets import Dataset, measure_digest
from .flexibility import check_network
from .items import (
    NON_TARGETS,
    Items,
    Presentation,
    count_non_targets,
    draw_items,
    draw_presentation,
    freeze_features,
)
from .learning import (
    REFRESHES,
    LearningSettings,
    Metaplasticity,
    init_metaplasticity,
    learn_item,
    measure_displacement,
)
from .machine import describe_machine
from .network import Network, copy_network, init_network, split_parameters
from .plasticity import measure_kappa, measure_plasticity
from .recall import measure_confusion
from .storage import read_arrays, write_arrays
from .workers import one_blas_thread

__all__ = ["Settings", "measure_default_steepness"]

# Balanced steepness of the digits for lists of 3 to 30 items: `--steepness balance`, 10 to 20
# trials a step.
STEEPNESS_BY_ITEMS = {3: 18_900.0, 5: 13_900.0, 10: 12_000.0, 20: 6_800.0, 30: 5_500.0}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that a run's numbers depend on, beside the dataset.

    Parameters
    ----------
    n_items : int
        N, items a trial. Paper: 10 and 30.
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
        and this many items, see :func:`measure_default_steepness`; 12,000 at 10 items. It does not
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
    by_epoch : bool
        Also test all items after every epoch. Changes nothing but the time a run takes.

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
    trials: int = 10
    seed: int = 0
    networks: tuple[str, ...] = ("conventional", "stable", "hybrid")
    n_train_images: int = 500
    n_test_images: int = 100
    n_features: int = 1024
    input_scale: float = 8.0
    hidden: tuple[int, ...] = (256, 256)
    learning_rate: float = 0.0063
    batch_size: int = 256
    epochs: int = 5
    steepness: float | None = None
    kappa: float | None = None
    non_target: str = "permuted"
    refresh: str = "presentation"
    modulate_biases: bool = False
    dtype: str = "float32"
    by_epoch: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot run before anything has started; keep plain Python values."""
        dtype = _checks.check_dtype("dtype", self.dtype)
        plain: dict[str, Any] = {
            "dtype": dtype.name,
            "n_items": _checks.check_count("n_items", self.n_items, minimum=3),
            "networks": _checks.check_networks("networks", self.networks, check_network),
            "hidden": _checks.check_widths("hidden", self.hidden),
        }
        for name in ("trials", "n_train_images", "n_test_images", "batch_size", "epochs"):
            plain[name] = _checks.check_count(name, getattr(self, name))
        for name in ("seed", "n_features"):
            plain[name] = _checks.check_count(name, getattr(self, name), minimum=0)
        if self.steepness is None and self.kappa is None:
            plain["steepness"] = measure_default_steepness(plain["n_items"])
        _checks.check_not_both("steepness", self.steepness, "kappa", self.kappa)
        for name in ("input_scale", "learning_rate", "steepness", "kappa"):
            value = plain.get(name, getattr(self, name))
            if value is not None:
                _checks.check_scalar(name, value, dtype=dtype)
                plain[name] = float(value)
        _checks.check_choice("non_target", self.non_target, NON_TARGETS)
        _checks.check_choice("refresh", self.refresh, REFRESHES)
        count_non_targets(plain["n_items"], plain["n_train_images"], non_target=self.non_target)
        for name, value in plain.items():
            object.__setattr__(self, name, value)


def measure_default_steepness(n_items: int) -> float:
    """Steepness that balances lists of this length of the bundled digits.

    Interpolated between calibrated lengths, 3 to 30 items, on logarithmic axes; longer lists take
    that of 30. For other data, layers or rates use :func:`balance_steepness`, or kappa.

    Parameters
    ----------
    n_items : int
        At least 3.

    Returns
    -------
    float
        s, in 1/weight.

    Examples
    --------
    >>> measure_default_steepness(10)
    12000.0
    """
    n_items = _checks.check_count("n_items", n_items, minimum=3)
    lengths, found = (np.log(list(part)) for part in zip(*STEEPNESS_BY_ITEMS.items(), strict=True))
    return round(float(np.exp(np.interp(np.log(n_items), lengths, found))), 1)


# --- one trial -----------------------------------------------------------------------


def run_trial(
    dataset: Dataset, settings: Settings, trial: int, backend: str
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """One trial: its arrays by name, and where and how long it ran."""
    started = time.perf_counter()
    backend = _checks.check_backend(backend)  # loads the BLAS that is then limited to one thread
    with one_blas_thread():
        arrays = _learn_sequence(dataset, settings, trial, backend)
        machine = describe_machine()
    seconds = round(time.perf_counter() - started, 3)
    return arrays, {"backend": backend, "machine": machine, "seconds": seconds}


def _learn_sequence(
    dataset: Dataset, settings: Settings, trial: int, backend: str
) -> dict[str, NDArray[Any]]:
    """One trial: every network learns every presentation, and all items are tested after each."""
    child = np.random.SeedSequence(settings.seed, spawn_key=(trial,))
    for_items, for_features, for_weights, for_flexibility, for_order = child.spawn(5)
    items = _draw_scaled_items(dataset, settings, for_items, for_features)
    newborn = init_network(
        (items.train_images.shape[-1], *settings.hidden, settings.n_items),
        rng=np.random.default_rng(for_weights),
        dtype=settings.dtype,
    )
    presentations = _draw_presentations(items, settings, for_order)
    learn = partial(_learn_and_test, items=items, settings=settings, backend=backend)

    # kappa is defined by the first presentation of the conventional network, whatever else runs.
    first, twin = next(presentations), copy_network(newborn)
    ordinary = init_metaplasticity(
        twin, "conventional", steepness=1.0, rng=np.random.default_rng(0)
    )
    twin_confusion = learn(twin, ordinary, first)
    weights, _ = split_parameters(measure_displacement(twin, ordinary), twin.layer_sizes)
    rms = measure_kappa(np.concatenate([layer.ravel() for layer in weights]), steepness=1.0)
    # Exactly one of the two is set.
    steepness = settings.kappa / rms if settings.kappa else cast("float", settings.steepness)

    networks = [copy_network(newborn) for _ in settings.networks]
    rules = [
        init_metaplasticity(
            newborn,
            kind,
            steepness=steepness,
            rng=np.random.default_rng(for_flexibility),
            modulate_biases=settings.modulate_biases,
        )
        for kind in settings.networks
    ]
    untrained = measure_confusion(newborn, items.test_images)
    confusion = [[untrained] for _ in networks]
    for network, rule, rows in zip(networks, rules, confusion, strict=True):
        # Born alike, networks part only when plasticities do: learn the first presentation once.
        if settings.refresh == "presentation" and _is_plastic_at_birth(rule):
            network.parameters[:] = twin.parameters
            rows.extend(twin_confusion)
        else:
            rows.extend(learn(network, rule, first))
    for presentation in presentations:
        for network, rule, rows in zip(networks, rules, confusion, strict=True):
            rows.extend(learn(network, rule, presentation))

    counts = np.array(confusion)
    rows_by_epoch = counts if settings.by_epoch else counts[:, :0]
    return {
        "confusion": counts[:, :: settings.epochs if settings.by_epoch else 1],
        "recall_by_epoch": np.diagonal(rows_by_epoch, axis1=-2, axis2=-1) / settings.n_test_images,
        "item_classes": np.array(items.classes),
        "kappa": np.array(steepness * rms),
    }


def _draw_scaled_items(
    dataset: Dataset,
    settings: Settings,
    for_items: np.random.SeedSequence,
    for_features: np.random.SeedSequence,
) -> Items:
    """Items as the head sees them: through the frozen layer, if there is one, and scaled."""
    items = draw_items(
        dataset,
        n_items=settings.n_items,
        n_train_images=settings.n_train_images,
        n_test_images=settings.n_test_images,
        rng=np.random.default_rng(for_items),
        dtype=settings.dtype,
    )
    if settings.n_features:
        rng = np.random.default_rng(for_features)
        items = freeze_features(items, n_features=settings.n_features, rng=rng)
    scale = _checks.check_scalar(
        "input_scale", settings.input_scale, dtype=items.train_images.dtype
    )
    with np.errstate(over="ignore"):  # refused here, in words
        scaled = {name: getattr(items, name) * scale for name in ("train_images", "test_images")}
    for name, images in scaled.items():
        _checks.check_finite(name, images)
    return replace(items, **scaled)


def _draw_presentations(
    items: Items, settings: Settings, seed: np.random.SeedSequence
) -> Iterator[Presentation]:
    """Each item once, in order; drawn only when its turn comes, since images take memory."""
    rng = np.random.default_rng(seed)
    for item in range(settings.n_items):
        yield draw_presentation(
            items,
            item,
            epochs=settings.epochs,
            non_target=settings.non_target,
            rng=rng,
            number=item,
        )


def _is_plastic_at_birth(rule: Metaplasticity) -> bool:
    """Whether no synapse is rigid: then the first presentation is the conventional network's."""
    still = np.zeros_like(rule.flexibility)
    plasticity = measure_plasticity(rule.flexibility, still, steepness=rule.steepness)
    return bool((plasticity == 1).all())


def _learn_and_test(
    network: Network,
    rule: Metaplasticity,
    presentation: Presentation,
    *,
    items: Items,
    settings: Settings,
    backend: str,
) -> list[NDArray[np.int64]]:
    """Learn a presentation; return the confusion after each epoch, or only after the last."""
    confusion: list[NDArray[np.int64]] = []

    def test(_: int = 0) -> None:
        confusion.append(measure_confusion(network, items.test_images))

    learn_item(
        network,
        rule,
        presentation,
        settings=LearningSettings(
            learning_rate=settings.learning_rate,
            batch_size=settings.batch_size,
            refresh=settings.refresh,
        ),
        backend=backend,
        after_epoch=test if settings.by_epoch else None,
    )
    if not settings.by_epoch:
        test()
    return confusion


# --- what a run was, and what is kept of it ------------------------------------------


def describe_run(experiment: str, dataset: Dataset, settings: Settings) -> dict[str, Any]:
    """What two runs must share to be the same run, as JSON holds it."""
    described = {
        "kind": experiment,
        "schema": 1,
        "dataset": dataset.name,
        "dataset_sha256": measure_digest(dataset),
        "networks": list(settings.networks),
        "settings": asdict(settings),
    }
    return json.loads(json.dumps(described))  # tuples become lists, as they will when read back


def _trial_path(folder: Path, trial: int) -> Path:
    return folder / f"trial-{trial:04d}.npz"


def write_trial(
    folder: Path,
    trial: int,
    arrays: dict[str, NDArray[Any]],
    header: dict[str, Any],
) -> None:
    """Put a finished trial on disk, whole."""
    _errors.check_output_folder(folder)
    write_arrays(_trial_path(folder, trial), arrays, header=header)


def read_trials(
    folder: Path, identity: dict[str, Any]
) -> dict[int, tuple[dict[str, NDArray[Any]], dict[str, Any]]]:
    """Finished trials in a checkpoint folder, refused if they belong to another run."""
    trials = {}
    for trial in range(identity["settings"]["trials"]):
        path = _trial_path(folder, trial)
        if path.exists():
            arrays, header = read_arrays(path)
            _errors.check_same_run(path, header, identity)
            trials[trial] = arrays, header
    return trials
