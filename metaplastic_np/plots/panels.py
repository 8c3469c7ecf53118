"""What a figure shows, as numbers: the same numbers are drawn, and printed below the figure.

A **picture** has panels; a panel has one series of trials for each curve, or a matrix. Nothing here
draws (that is :mod:`metaplastic_np.plots.figures`), and nothing there computes. Which pictures
there are is in :mod:`metaplastic_np.paper.pictures`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..metrics import measure_figure_interval

__all__ = [
    "Matrix",
    "Panel",
    "Picture",
    "Series",
    "measure_table",
]

Float = NDArray[np.float64]

BAND_TRIALS = 5  # of fewer, an interval says nothing: they are drawn, and printed, one by one


@dataclass(frozen=True, kw_only=True, eq=False)
class Series:
    """One curve: a value for each trial and place.

    Parameters
    ----------
    label : str
    network : str
        Gives the color.
    x : array (n,)
    values : array (n_trials, n)
    is_second : bool
        Drawn thin and hollow, beside a first one of the same network.

    Examples
    --------
    >>> import numpy as np
    >>> Series(label="hybrid", network="hybrid", x=np.arange(2), values=np.eye(2)).values.shape
    (2, 2)
    """

    label: str
    network: str
    x: Any
    values: Float
    is_second: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Panel:
    """Curves over one axis, with the level of chance if there is one.

    Parameters
    ----------
    title, xlabel, ylabel : str
    series : list of Series
    chance : float or None
    words : sequence of str
        Names of the places, where they are not numbers.
    bottom, top : float or None
        Ends of the axis: recall lies in 0..1. None: as the values have it.

    Examples
    --------
    >>> Panel(title="", xlabel="item", ylabel="recall", series=[]).top
    1.0
    """

    title: str
    xlabel: str
    ylabel: str
    series: list[Series]
    chance: float | None = None
    words: tuple[str, ...] = ()
    bottom: float = 0.0
    top: float | None = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Matrix:
    """A table of numbers as colors.

    Parameters
    ----------
    title, xlabel, ylabel, label : str
        `label` says what the colors mean.
    network : str
    values : array (n_rows, n_columns)
    top : float or None
        The brightest color; None: the largest value.

    Examples
    --------
    >>> import numpy as np
    >>> Matrix(title="", xlabel="", ylabel="", label="", network="hybrid", values=np.eye(2)).top
    1.0
    """

    title: str
    xlabel: str
    ylabel: str
    label: str
    network: str
    values: Float
    top: float | None = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """A figure: what it asks, what to see, and its panels, row by row.

    Parameters
    ----------
    title : str
    caption : str
        What to see, in a sentence or two.
    rows : list of list of Panel or Matrix

    Examples
    --------
    >>> Picture(title="", caption="", rows=[]).rows
    []
    """

    title: str
    caption: str
    rows: list[list[Panel | Matrix]]


def measure_spread(panel: Panel, series: Series) -> dict[str, Float]:
    """What is shown around a curve's mean, by name: ends of its 95 % interval, or the few trials.

    An interval ends where the axis does, since no share lies outside 0..1.
    """
    trials = series.values
    if len(trials) < BAND_TRIALS:
        return {f"trial {n}": trial for n, trial in enumerate(trials, 1) if len(trials) > 1}
    low, high = np.clip(measure_figure_interval(trials), panel.bottom, panel.top)
    return {"low": low, "high": high}


def measure_table(panel: Panel | Matrix) -> tuple[list[str], list[list[Any]]]:
    """The numbers that a panel shows.

    Parameters
    ----------
    panel : Panel or Matrix

    Returns
    -------
    names : list of str
        Of the columns.
    rows : list of list

    Examples
    --------
    >>> import numpy as np
    >>> series = Series(label="hybrid", network="hybrid", x=[1], values=np.array([[0.2], [0.4]]))
    >>> names, rows = measure_table(Panel(title="", xlabel="item", ylabel="", series=[series]))
    >>> names, [round(float(cell), 2) for cell in rows[0][1:]]
    (['item', 'hybrid', 'trial 1', 'trial 2'], [0.3, 0.2, 0.4])
    """
    if isinstance(panel, Matrix):
        names = [f"{panel.ylabel} \\ {panel.xlabel}"]
        names += [str(column + 1) for column in range(panel.values.shape[1])]
        return names, [[row + 1, *values] for row, values in enumerate(panel.values.tolist())]
    places = sorted({float(x) for series in panel.series for x in series.x})
    names = [panel.xlabel]
    rows: list[list[Any]] = [
        [panel.words[int(place)].replace("\n", " ") if panel.words else f"{place:g}"]
        for place in places
    ]
    for series in panel.series:
        spread = measure_spread(panel, series)
        names += [series.label, *spread]
        columns = series.values.mean(axis=0), *spread.values()
        found = dict(zip(map(float, series.x), range(len(series.x)), strict=True))
        for place, row in zip(places, rows, strict=True):
            at = found.get(place)
            row += ["" if at is None else column[at] for column in columns]
    return names, rows
