"""What an experiment measured, and its files."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._util import checks, errors
from .._util.storage import read_arrays, write_arrays, write_atomic
from ..metrics import measure_false_alarms, measure_memorized
from ..scenarios import count_new, draw_schedule
from .checkpoints import MEASURED
from .settings import SCHEMA, Settings, check_same_run
from .watchers import TENTHS

__all__ = ["Results", "load_results", "save_results"]

BY_TRIAL = ("item_classes", "schedule", "kappa")  # arrays of Results, without a network axis
ARRAYS = ("recall", *MEASURED)
FACTS = ("settings", "dataset", "dataset_sha256", "backend", "machine", "seconds_by_trial")


@dataclass(frozen=True, kw_only=True, eq=False)
class Results:
    """What an experiment measured, one number for each network, trial, presentation and item.

    Parameters
    ----------
    settings : Settings
    confusion : int array (n_networks, n_trials, n_presentations + 1, n_items + n_new, n_items)
        Answers to each group of test images, ``[..., group, answer]``: the items, then new items,
        which are tested after presentations that showed one; else their counts are 0. Presentation
        0 is untrained.
    recall : float array (n_networks, n_trials, n_presentations + 1, n_items)
        Share of each item's test images answered as it.
    recall_by_epoch : float array (n_networks, n_trials, n_presentations * epochs + 1, n)
        Of the n items in ``settings.by_epoch``; of no rows where there are none.
    displacement_by_flexibility : float array (n_networks, n_trials, n_presentations, 10)
        Rms of what a presentation added to the displacement, in units of weight, for synapses with
        f in [0, 0.1), ..., [0.9, 1]. Of no rows where ``settings.by_flexibility`` is off.
    displacement_share : float array, likewise
        The share that a presentation has in the displacement at the end; adds up to 1 where the
        schedule does not rewind.
    item_classes : int array (n_trials, n_items + n_new, classes per item)
        The classes that each item shows; the header's ``class_names`` says what they are called.
    schedule : int array (n_trials, n_presentations, 4)
        Item, label, shown and after of every :class:`Step`.
    kappa : float array (n_trials,)
        Dimensionless steepness of each trial.
    header : dict
        Settings, dataset, machine, versions and times: all that may differ between equal runs.

    Examples
    --------
    See :func:`run_experiment`.
    """

    settings: Settings
    confusion: NDArray[np.int64]
    recall: NDArray[np.float64]
    recall_by_epoch: NDArray[np.float64]
    displacement_by_flexibility: NDArray[np.float64]
    displacement_share: NDArray[np.float64]
    schedule: NDArray[np.int64]
    item_classes: NDArray[np.int64]
    kappa: NDArray[np.float64]
    header: dict[str, Any]

    @property
    def new_confusion(self) -> NDArray[np.int64]:
        """Answers to the test images of new items, ``[..., new item, answer]``."""
        return self.confusion[..., self.confusion.shape[-1] :, :]


def save_results(results: Results, folder: Path | str, *, name: str) -> list[Path]:
    """Write ``<name>.npz`` and, for spreadsheets, ``<name>.csv``, each atomically.

    Parameters
    ----------
    results : Results
    folder : path
        Made if it does not exist.
    name : str
        For instance "serial-position".

    Returns
    -------
    list of path
        The files written.

    Raises
    ------
    OutputError
        If the folder cannot be written or holds results of other settings.

    Examples
    --------
    See :func:`load_results`.
    """
    folder = errors.check_output_folder(checks.check_path("folder", folder))
    npz, table = (folder / f"{name}.{ending}" for ending in ("npz", "csv"))
    check_free(npz, results.header)
    write_arrays(npz, {name: getattr(results, name) for name in ARRAYS}, header=results.header)

    false_alarms = measure_false_alarms(results.confusion)
    memorized = measure_memorized(results.confusion)
    names = name_items(results)
    text = StringIO()
    write_row = csv.writer(text, lineterminator="\n").writerow
    measured = "recall", "false_alarms", "memorized"
    write_row(("network", "trial", "presentation", "item", *measured, "shows"))
    for index in np.ndindex(results.recall.shape):
        network, trial, _, item = index
        cells = [results.settings.networks[network], *index[1:], f"{results.recall[index]:.6g}"]
        cells += [f"{false_alarms[index]:.6g}", int(memorized[index]), names[trial][item]]
        write_row(cells)
    encoded = text.getvalue().encode("utf-8", "backslashreplace")  # whatever labels hold
    write_atomic(table, lambda file: file.write(encoded))
    return [npz, table]


def name_items(results: Results) -> list[list[str]]:
    """What each item of each trial shows, by the names of its classes."""
    names = results.header.get("class_names", range(1 + int(results.item_classes.max())))
    return [
        ["-".join(str(names[shown]) for shown in classes) for classes in trial]
        for trial in results.item_classes
    ]


def load_results(path: Path | str) -> Results:
    """Read the npz that :func:`save_results` wrote.

    Parameters
    ----------
    path : path

    Returns
    -------
    Results

    Raises
    ------
    InputError
        If the file is missing, damaged or not an experiment's results.

    Examples
    --------
    >>> import tempfile
    >>> from metaplastic_np import load_digits, run_experiment
    >>> settings = Settings(n_items=3, trials=1, n_train_images=50, n_features=16, hidden=(8,))
    >>> results = run_experiment(load_digits(), settings)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     npz, table = save_results(results, folder, name="mine")
    ...     again = load_results(npz)
    >>> bool((again.recall == results.recall).all()), again.settings == settings
    (True, True)
    """
    path = checks.check_path("path", path)
    arrays, header = read_arrays(path)
    errors.check_file_kind(path, header, kind="experiment", schema=(1, SCHEMA))
    if header["schema"] == 1:
        errors.check_names(path, arrays, ("confusion", "new_confusion"))
        header = {**header, "schema": SCHEMA}
        try:
            groups = arrays["confusion"], arrays["new_confusion"]
            arrays["confusion"] = np.concatenate(groups, axis=-2)
        except ValueError as error:
            errors.raise_unreadable_file(path, f"its answers to new items do not fit ({error})")
    errors.check_names(path, arrays, ARRAYS)
    errors.check_names(path, header, FACTS)
    try:
        settings = Settings(**header["settings"])
    except (KeyError, TypeError, errors.InputError) as error:
        errors.raise_unreadable_file(path, f"its settings cannot be used ({error})")
    measured = {name: arrays[name] for name in ARRAYS}
    errors.check_shapes(path, measured, _shapes(settings))
    return Results(settings=settings, header=header, **measured)


def _shapes(settings: Settings) -> dict[str, tuple[int | None, ...]]:
    """The shape of every array of results; None where the settings do not say."""
    n_items = settings.n_items
    steps = draw_schedule(settings.schedule, n_items, rng=np.random.default_rng(0))
    n_new = count_new(steps, n_items)
    trials = len(settings.networks), settings.trials
    tested = (*trials, len(steps) + 1)
    n_by_epoch = len(settings.by_epoch)
    rows_by_epoch = len(steps) * settings.epochs + 1 if n_by_epoch else 0
    moved = (*trials, len(steps) if settings.by_flexibility else 0, TENTHS)
    return {
        "recall": (*tested, n_items),
        "confusion": (*tested, n_items + n_new, n_items),
        "recall_by_epoch": (*trials, rows_by_epoch, n_by_epoch),
        "displacement_by_flexibility": moved,
        "displacement_share": moved,
        "item_classes": (settings.trials, n_items + n_new, None),
        "schedule": (settings.trials, len(steps), 4),
        "kappa": (settings.trials,),
    }


def check_free(path: Path, identity: dict[str, Any]) -> None:
    """Refuse to overwrite results of other settings."""
    if path.exists():
        check_same_run(path, read_arrays(path)[1], identity)
