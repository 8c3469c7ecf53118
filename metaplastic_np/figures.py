"""Pictures of what was remembered. The only module that imports matplotlib.

Each network has one color (Okabe-Ito, safe for color-blind readers), one marker and one line style,
everywhere.
"""

from __future__ import annotations

from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from . import _checks
from .experiments import Results
from .recall import chance_recall, measure_interval, measure_serial_position_curve
from .storage import write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "make_serial_position_figure",
    "plot_recall_matrix",
    "plot_serial_position",
    "save_figure",
]

STYLES: dict[str, dict[str, Any]] = {
    "conventional": {"color": "#D55E00", "marker": "s", "linestyle": "--"},
    "stable": {"color": "#0072B2", "marker": "^", "linestyle": "-."},
    "hybrid": {"color": "#009E73", "marker": "o", "linestyle": "-"},
    "biased-up": {"color": "#CC79A7", "marker": "D", "linestyle": (0, (5, 1))},
    "biased-down": {"color": "#56B4E9", "marker": "v", "linestyle": (0, (3, 1, 1, 1))},
}
HOMOGENEOUS_STYLE = {"color": "#E69F00", "marker": "P", "linestyle": ":"}
# The same picture from the same results, byte for byte: no dates, no random identifiers.
REPRODUCIBLE: Any = {"svg.hashsalt": "metaplastic_np", "svg.fonttype": "path"}


def style_of(network: str) -> dict[str, Any]:
    """Color, marker and line style of a network, the same in every figure."""
    return STYLES.get(network, HOMOGENEOUS_STYLE)


def _ticks(n: int) -> list[int]:
    """1 and multiples of a round step up to n: positions are counted from 1."""
    steps = (scale * step for scale in (1, 10, 100, 1000) for step in (1, 2, 5))
    step = next((step for step in steps if n / step <= 12), n)
    return [1, *range(step if step > 1 else 2, n + 1, step)]


def plot_serial_position(axes: Axes, results: Results) -> None:
    """Plot recall of each item after the last presentation, one curve a network.

    Means over trials with 95 % t intervals, and the level of chance.

    Parameters
    ----------
    axes : matplotlib Axes
        Drawn into.
    results : Results

    Examples
    --------
    See :func:`make_serial_position_figure`.
    """
    curves = measure_serial_position_curve(results.recall)
    n_items = curves.shape[-1]
    position = np.arange(1, n_items + 1)
    chance = chance_recall(n_items)
    axes.axhline(chance, color="0.45", linewidth=1, zorder=1)
    axes.annotate(
        f"chance, 1/{n_items}",
        (0.5, chance),
        (3, 3),
        textcoords="offset points",
        color="0.35",
        fontsize="small",
    )
    for network, trials in zip(results.settings.networks, curves, strict=True):
        style = style_of(network)
        mean, half = trials.mean(axis=0), measure_interval(trials)
        axes.plot(position, mean, label=network, linewidth=2, markersize=6, **style)
        axes.fill_between(
            position, mean - half, mean + half, color=style["color"], alpha=0.18, linewidth=0
        )
    axes.set(
        xlabel="serial position: when the item was presented",
        ylabel="recall after the whole list",
        xlim=(0.5, n_items + 0.5),
        ylim=(-0.02, 1.04),
    )
    axes.set_xticks(_ticks(n_items))
    axes.spines[["top", "right"]].set_visible(False)


def plot_recall_matrix(axes: Axes, results: Results, network: str) -> Any:
    """Plot how memory fills: recall of every item after every presentation, mean over trials.

    Parameters
    ----------
    axes : matplotlib Axes
        Drawn into.
    results : Results
    network : str
        One of the networks of these results.

    Returns
    -------
    matplotlib AxesImage
        For a color bar.

    Raises
    ------
    InputError
        If the results have no such network.

    Examples
    --------
    See :func:`make_serial_position_figure`.
    """
    networks = results.settings.networks
    _checks.check_choice("network", network, networks)
    recall = results.recall[networks.index(network)].mean(axis=0)[1:]
    n_presentations, n_items = recall.shape
    image = axes.imshow(
        recall,
        cmap="cividis",
        vmin=0,
        vmax=1,
        origin="upper",
        extent=(0.5, n_items + 0.5, n_presentations + 0.5, 0.5),
        aspect="auto",
        interpolation="nearest",
    )
    axes.set_title(network, color=style_of(network)["color"], fontsize="medium", fontweight="bold")
    axes.set_xlabel("item")
    axes.set_xticks(sorted({1, (n_items + 1) // 2, n_items}))
    axes.set_yticks(sorted({1, (n_presentations + 1) // 2, n_presentations}))
    return image


def make_serial_position_figure(results: Results) -> Figure:
    """Draw the serial position curves, and below them how each network's memory filled.

    Parameters
    ----------
    results : Results

    Returns
    -------
    matplotlib Figure

    Examples
    --------
    >>> from metaplastic_np import Settings, load_digits, run_serial_position
    >>> settings = Settings(n_items=3, trials=2, n_train_images=50, n_features=16, hidden=(8,))
    >>> figure = make_serial_position_figure(run_serial_position(load_digits(), settings))
    >>> figure.axes[0].get_ylabel()
    'recall after the whole list'
    """
    from matplotlib.figure import Figure

    settings = results.settings
    figure = Figure(figsize=(7.2, 7.4), layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=(1.35, 1), hspace=0.03)
    top, bottom = parts

    curves = top.subplots()
    plot_serial_position(curves, results)
    curves.legend(
        loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(settings.networks), frameon=False
    )
    trials = settings.trials
    of_trials = f"mean and 95 % interval of {trials} trials" if trials > 1 else "one trial"
    top.suptitle(
        f"{settings.n_items} items, one after the other, none shown again\n"
        f"{of_trials}, {results.header['dataset']}, seed {settings.seed}",
        fontsize="large",
    )

    panels = bottom.subplots(1, len(settings.networks), sharey=True, squeeze=False)[0]
    for axes, network in zip(panels, settings.networks, strict=True):
        image = plot_recall_matrix(axes, results, network)
    panels[0].set_ylabel("items presented so far")
    bottom.colorbar(image, ax=list(panels), label="recall", shrink=0.9)
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
