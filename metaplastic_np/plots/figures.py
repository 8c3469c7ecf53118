"""Pictures, drawn. The only module that imports matplotlib.

What it draws are the panels of :mod:`metaplastic_np.plots.panels`.

Each network has one color (Okabe-Ito, safe for color-blind readers), one marker and one line style,
everywhere.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from .._util import checks
from .._util.storage import write_atomic
from .panels import Matrix, Panel, Picture, measure_spread

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
ONE_TRIAL: dict[str, Any] = {"linewidth": 0.8, "alpha": 0.6, "marker": "", "zorder": 1.5}
MOST_MARKERS = 16
DODGE = 0.12
UNKNOWN = "\N{REPLACEMENT CHARACTER}"
WIDTH = 11.0  # inches, of all figures: beside each other, their letters are equally large
OWN: dict[str, Any] = {
    # The same picture from the same results, byte for byte: no dates, no random identifiers.
    "svg.hashsalt": "metaplastic_np",
    "svg.fonttype": "path",
    "text.parse_math": False,  # a dollar in the name of a file is a dollar
}


@contextmanager
def _own_style() -> Iterator[None]:
    """Matplotlib as it was shipped, whatever the reader's backend, matplotlibrc or home are like.

    A letter that its font lacks is drawn as a box, and no warning.
    """
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph ")
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            mpl = _import_matplotlib()
            shipped = mpl.rcParamsDefault.items()
            style = {name: value for name, value in shipped if not name.startswith("backend")}
            with mpl.rc_context(style | OWN):
                yield
    finally:
        logger.setLevel(level)


def _import_matplotlib() -> Any:
    """Matplotlib, which else does not even start where MPLBACKEND names what is not there."""
    if "matplotlib" in sys.modules:
        return sys.modules["matplotlib"]
    backend = os.environ.pop("MPLBACKEND", "")
    try:
        import matplotlib as mpl
    finally:
        if backend:
            os.environ["MPLBACKEND"] = backend
    if backend:
        with suppress(ValueError):
            mpl.rcParams["backend"] = backend  # as it would have done itself
    return mpl


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

    Of fewer than five trials, each is drawn as a thin line instead of an interval.

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
        is_second = checks.check_flag("is_second", series.is_second)
        style = style_of(series.network) | (SECOND if is_second else {})
        x, mean = np.asarray(series.x), series.values.mean(axis=0)
        spread = measure_spread(panel, series)
        highest = max(highest, np.nanmax([mean, *spread.values()]))
        options = {"label": series.label, "linewidth": 2, "markersize": 5.5, **style}
        one_trial = {"color": style["color"], **ONE_TRIAL}
        ends = [spread.pop(end) for end in ("low", "high") if end in spread]
        if panel.words:  # names have no order to be joined along; side by side, not on top
            x = x + DODGE * (number - (len(panel.series) - 1) / 2)
            one_trial |= {"linestyle": "none", "marker": "_"}
            bars = np.abs(ends - mean) if ends else None
            axes.errorbar(x, mean, bars, **{**options, "linestyle": "none"})
        else:
            axes.plot(x, mean, markevery=-(-len(mean) // MOST_MARKERS), **options)
            if ends:
                low, high = ends
                axes.fill_between(x, low, high, color=style["color"], alpha=0.18, linewidth=0)
        for trial in spread.values():
            axes.plot(x, trial, **one_trial)
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
    """Draw a picture: its panels row by row, one legend below. A notebook shows it as it is.

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
    with _own_style():
        figure = _draw(picture)
    figure._repr_png_ = partial(_render, figure, "png", dpi=100)  # type: ignore[attr-defined]
    return figure


def _draw(picture: Picture) -> Figure:
    """Panels, color bars, title and legend."""
    from matplotlib.figure import Figure

    widest = max(len(row) for row in picture.rows)
    heights = [3.9 if len(row) == 1 else 3.0 for row in picture.rows]
    figure = Figure(figsize=(WIDTH, sum(heights) + 1.0), layout="constrained")
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
    # The name of a file may hold anything; letters that SVG cannot say would spoil all of it.
    shown = [c if c.isprintable() or c == "\n" else UNKNOWN for c in picture.title]
    figure.suptitle("".join(shown), fontsize="large")
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
    written = []
    for ending, options in (("png", {"dpi": 160}), ("svg", {"metadata": {"Date": None}})):
        picture = _render(figure, ending, **options)
        written.append(Path(f"{path}.{ending}"))
        write_atomic(written[-1], partial(_write, picture))
    return written


def _render(figure: Figure, ending: str, **options: Any) -> bytes:
    picture = BytesIO()
    with _own_style():
        figure.savefig(picture, format=ending, **options)
    return picture.getvalue()


def _write(data: bytes, file: BinaryIO) -> None:
    file.write(data)
