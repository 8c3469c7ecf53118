"""What an experiment measured, and its files."""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from html import escape
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._util import checks, errors
from .._util.storage import read_arrays, write_arrays, write_atomic
from ..metrics import measure_false_alarms, measure_memorized, measure_recall
from .checkpoints import MEASURED, Arrays, check_facts, check_measured, measure_shapes
from .settings import SCHEMA, Settings, check_same_run, name_images

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

    def __repr__(self) -> str:
        """A few lines: what ran, and how much each network recalls in the end."""
        settings, means = self.settings, self.recall[:, :, -1].mean(axis=(1, 2))
        ends = [f"{name} {end:.2f}" for name, end in zip(settings.networks, means, strict=False)]
        return (
            f"Results of {self.header.get('dataset')}, seed {settings.seed}: "
            f"trials {settings.trials}, items {settings.n_items}, "
            f"presentations {self.recall.shape[2] - 1}\n"
            f"mean recall in the end: {', '.join(ends)}\n"
            f"recall[network, trial, presentation, item]: {self.recall.shape}"
        )

    def _repr_html_(self) -> str:
        """A table, for a notebook: recall of each item in the end, means over trials."""
        ends = self.recall[:, :, -1].mean(axis=1)
        names = ["recall in the end", "mean", *(f"item {n + 1}" for n in range(ends.shape[1]))]
        rows = [names] + [
            [network, *(f"{recall:.2f}" for recall in (items.mean(), *items))]
            for network, items in zip(self.settings.networks, ends, strict=False)
        ]
        cells = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows]
        caption = f"<caption>{escape(repr(self).splitlines()[0])}</caption>"
        return f"<table>{caption}{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"

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
        If the folder cannot be written, or has a file of this name that holds something else:
        results of other settings or of more trials, or no results.

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
        If the file is missing, damaged or not an experiment's results, or if its numbers
        contradict its settings or each other.

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
    check_measured(path, measured, settings, _shapes(settings))
    if not np.array_equal(measured["recall"], measure_recall(measured["confusion"])):
        errors.raise_unreadable_file(path, "its recall contradicts its confusion")
    seconds = header["seconds_by_trial"]
    if not isinstance(seconds, list) or len(seconds) != settings.trials:
        errors.raise_unreadable_file(path, "its seconds_by_trial are not one number per trial")
    check_facts(path, header, seconds)
    header["dataset"] = name_images(header["dataset"], header["dataset_sha256"])
    return Results(settings=settings, header=header, **measured)


def _shapes(settings: Settings) -> dict[str, tuple[int | None, ...]]:
    """The shape of every array of results; None where the settings do not say."""
    trials, found = settings.trials, {}
    for name, shape in measure_shapes(settings).items():
        found[name] = (trials, *shape) if name in BY_TRIAL else (shape[0], trials, *shape[1:])
    *tested, _, n_items = found["confusion"]
    return {"recall": (*tested, n_items), **found}


def split_results(results: Results) -> list[tuple[Arrays, dict[str, Any]]]:
    """The trials that results were put together from."""
    of_all = ("plan", "seconds_by_trial")
    header = {name: fact for name, fact in results.header.items() if name not in of_all}
    return [
        (
            {
                name: getattr(results, name)[trial if name in BY_TRIAL else (slice(None), trial)]
                for name in MEASURED
            },
            {**header, "seconds": seconds},
        )
        for trial, seconds in enumerate(results.header["seconds_by_trial"])
    ]


def check_free(
    path: Path, identity: Mapping[str, Any], *, skip: Collection[str] = ("trials",)
) -> None:
    """Refuse to replace anything but results of the same run, with as many trials or fewer."""
    if not path.exists():
        return
    try:
        header = read_arrays(path)[1]
        errors.check_file_kind(path, header, kind="experiment", schema=(1, SCHEMA))
    except errors.InputError as error:
        raise errors.OutputError(f"{error}; it is not replaced: choose another folder") from error
    check_same_run(path, header, identity, skip=skip)
    theirs, ours = header["settings"]["trials"], identity["settings"]["trials"]
    if not isinstance(theirs, int) or theirs > ours:
        check_same_run(path, header, identity, skip=set(skip) - {"trials"})
