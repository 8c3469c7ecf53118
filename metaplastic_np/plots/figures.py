"""Pictures, drawn. The only module that imports matplotlib.

What it draws are the panels of :mod:`metaplastic_np.plots.panels`.

Each network has one color (Okabe-Ito, safe for color-blind readers), one marker and one line style,
everywhere.
"""

from __future__ import annotations

from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from .._util.storage import write_atomic
from ..metrics import measure_figure_interval
from .panels import Matrix, Panel, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["make_figure", "plot_matrix", "plot_panel", "save_figure", "style_of"]

STYLES: dict[str, dict[str, Any]] = {
    "conventional": {"color": "#D55E00", "marker": "s", "linestyle": "--"},
    "stable": {"color": "#0072B2", "marker": "^", "linestyle": "-."},
    "hybrid": {"color": "#009E73", "marker": "o", "linestyle": "-"},
    "biased-up": {"color": "#CC79A7", "marker": "D", "linestyle": (0, (5, 1))},
    "biased-down": {"color": "#56B4E9", "marker": "v", "linestyle": (0, (3, 1, 1, 1))},
}
HOMOGENEOUS_STYLE = {"color": "#E69F00", "marker": "P", "linestyle": ":"}
SECOND = {"markerfacecolor": "white", "linewidth": 1.2, "alpha": 0.9}
MOST_MARKERS = 16
DODGE = 0.12
# The same picture from the same results, byte for byte: no dates, no random identifiers.
REPRODUCIBLE: Any = {"svg.hashsalt": "metaplastic_np", "svg.fonttype": "path"}


def style_of(network: str) -> dict[str, Any]:
    """Color, marker and line style of a network, the same in every figure.

    Parameters
    ----------
    network : str
        A name that :func:`draw_flexibility` knows.

    Returns
    -------
    dict
        Keyword arguments of matplotlib's ``plot``.

    Examples
    --------
    >>> style_of("hybrid")["color"]
    '#009E73'
    """
    return STYLES.get(network, HOMOGENEOUS_STYLE)


def _ticks(n: int) -> list[int]:
    """1 and multiples of a round step up to n: positions are counted from 1."""
    steps = (scale * step for scale in (1, 10, 100, 1000) for step in (1, 2, 5))
    step = next((step for step in steps if n / step <= 12), n)
    return [1, *range(step if step > 1 else 2, n + 1, step)]


def plot_panel(axes: Axes, panel: Panel) -> None:
    """Plot means over trials with their 95 % intervals, and the level of chance.

    Parameters
    ----------
    axes : matplotlib Axes
        Drawn into.
    panel : Panel

    Examples
    --------
    See :func:`make_figure`.
    """
    if panel.chance is not None:
        axes.axhline(panel.chance, color="0.45", linewidth=1, zorder=1)
        axes.annotate(
            "chance",
            (1, panel.chance),
            (-3, 3),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            ha="right",
            color="0.35",
            fontsize="small",
        )
    highest = 0.0
    for number, series in enumerate(panel.series):
        style = style_of(series.network) | (SECOND if series.is_second else {})
        mean, (low, high) = series.values.mean(axis=0), measure_figure_interval(series.values)
        highest = max(highest, np.nanmax([mean, high]))
        options = {"label": series.label, "linewidth": 2, "markersize": 5.5, **style}
        if panel.words:  # names have no order to be joined along; side by side, not on top
            x = np.asarray(series.x) + DODGE * (number - (len(panel.series) - 1) / 2)
            axes.errorbar(x, mean, np.abs([low, high] - mean), **{**options, "linestyle": "none"})
        else:
            every = -(-len(mean) // MOST_MARKERS)
            axes.plot(series.x, mean, markevery=every, **options)
            shade = {"color": style["color"], "alpha": 0.18, "linewidth": 0}
            axes.fill_between(series.x, low, high, **shade)
    axes.set(xlabel=panel.xlabel, ylabel=panel.ylabel)
    axes.set_title(panel.title, fontsize="medium")
    places = np.unique(np.concatenate([np.asarray(series.x, float) for series in panel.series]))
    if panel.words:
        axes.set_xticks(range(len(panel.words)), panel.words)
        axes.set_xlim(-0.5, len(panel.words) - 0.5)
    elif len(places) > 1 and (places % 1 == 0).all():
        n = int(places[-1])
        axes.set_xticks(_ticks(n) if places[0] else [0, *_ticks(n)])
        axes.set_xlim(places[0] - 0.5, n + 0.5)
    top = panel.top or (highest if highest > 0 else 1.0)
    margin = 0.04 * (top - panel.bottom)
    axes.set_ylim(panel.bottom - margin / 2, top + margin)
    axes.spines[["top", "right"]].set_visible(False)


def plot_matrix(axes: Axes, matrix: Matrix) -> Any:
    """Plot a table of numbers as colors, counted from 1 at the top left.

    Parameters
    ----------
    axes : matplotlib Axes
        Drawn into.
    matrix : Matrix

    Returns
    -------
    matplotlib AxesImage
        For a color bar.

    Examples
    --------
    See :func:`make_figure`.
    """
    n_rows, n_columns = matrix.values.shape
    image = axes.imshow(
        matrix.values,
        cmap="cividis",
        vmin=0,
        vmax=matrix.top,
        origin="upper",
        extent=(0.5, n_columns + 0.5, n_rows + 0.5, 0.5),
        aspect="auto",
        interpolation="nearest",
    )
    color = style_of(matrix.network)["color"]
    axes.set_title(matrix.title, color=color, fontsize="medium", fontweight="bold")
    axes.set(xlabel=matrix.xlabel, ylabel=matrix.ylabel)
    axes.set_xticks(sorted({1, (n_columns + 1) // 2, n_columns}))
    axes.set_yticks(sorted({1, (n_rows + 1) // 2, n_rows}))
    return image


def make_figure(picture: Picture) -> Figure:
    """Draw a picture: its panels row by row, one legend on top.

    Parameters
    ----------
    picture : Picture
        For instance one that :func:`show_all` gives.

    Returns
    -------
    matplotlib Figure

    Examples
    --------
    >>> from metaplastic_np import Settings, load_digits, run_experiment, show_serial_position
    >>> settings = Settings(n_items=3, trials=2, n_train_images=50, n_features=16, hidden=(8,))
    >>> figure = make_figure(show_serial_position(run_experiment(load_digits(), settings)))
    >>> figure.axes[0].get_ylabel()
    'recall after the whole list'
    """
    from matplotlib.figure import Figure

    widest = max(len(row) for row in picture.rows)
    heights = [4.1 if len(row) == 1 else 3.1 for row in picture.rows]
    width = {1: 7.2, 2: 8.4}.get(widest, 3.3 * widest)
    figure = Figure(figsize=(width, sum(heights) + 1.0), layout="constrained")
    parts: Any = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    handles: dict[str, Any] = {}
    for part, row in zip(parts, picture.rows, strict=True):
        matrices = [panel for panel in row if isinstance(panel, Matrix)]
        axes = part.subplots(1, len(row), squeeze=False, sharey=bool(matrices))[0]
        shares_scale = all(matrix.top is not None for matrix in matrices)
        for place, panel in zip(axes, row, strict=True):
            if isinstance(panel, Matrix):
                image = plot_matrix(place, panel)
                if not shares_scale:
                    part.colorbar(image, ax=place, label=panel.label)
            else:
                plot_panel(place, panel)
                drawn, labels = place.get_legend_handles_labels()
                handles = {**dict(zip(labels, drawn, strict=True)), **handles}
        if matrices:
            for place in axes[1:]:
                place.set_ylabel("")
        if matrices and shares_scale:
            part.colorbar(image, ax=list(axes), label=matrices[0].label, shrink=0.9)
    figure.suptitle(picture.title, fontsize="large")
    if handles:
        most = min(len(handles), 2 + widest)
        figure.legend(
            handles.values(), handles.keys(), loc="outside lower center", ncols=most, frameon=False
        )
    return figure


def save_figure(figure: Figure, path: Path | str) -> list[Path]:
    """Write a figure as PNG and as SVG, each atomically; the same bytes from the same results.

    Parameters
    ----------
    figure : matplotlib Figure
    path : path
        Without an ending; .png and .svg are added.

    Returns
    -------
    list of path
        The files written.

    Raises
    ------
    OutputError
        If a file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from matplotlib.figure import Figure
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [file.suffix for file in save_figure(Figure(), f"{folder}/empty")]
    ['.png', '.svg']
    """
    import matplotlib as mpl

    written = []
    for ending, options in (("png", {"dpi": 160}), ("svg", {"metadata": {"Date": None}})):
        picture = BytesIO()
        with mpl.rc_context(REPRODUCIBLE):
            figure.savefig(picture, format=ending, **options)
        written.append(Path(f"{path}.{ending}"))
        write_atomic(written[-1], partial(_write, picture.getvalue()))
    return written


def _write(data: bytes, file: BinaryIO) -> None:
    file.write(data)
