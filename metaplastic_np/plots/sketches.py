"""A figure in a line: curves, tables and images, drawn with pyplot and shown by ``plt.show()``.

For lessons and notebooks, where the numbers matter and not how they are drawn. A name that begins
with a network's has that network's color, marker and line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._util.checks import raise_expected
from .figures import SECOND, STYLES, plot_matrix, style_of
from .panels import Matrix

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_curves", "plot_images", "plot_tables"]

MARKERS = "ov^sDP*X<>"
MOST_MARKERS, MOST_TICKS, LETTERS_PER_INCH = 20, 12, 11


def plot_curves(
    curves: Mapping[str, Any],
    what: str,
    *,
    x: Any = None,
    axes: Axes | None = None,
    chance: float | None = None,
    joined: bool = True,
) -> Axes:
    """Plot named curves over one axis, with the legend below.

    Parameters
    ----------
    curves : dict of str to array (n,) or to a pair of arrays
        Values by name; a pair brings places of its own, (x, y).
    what : str
        ``"recall against serial position"``: the names of both axes.
    x : array (n,) or None
        Places of the values; None: 1, 2, ..., n.
    axes : matplotlib Axes or None
        Drawn into; None: a new figure of one.
    chance : float or None
        The level of chance. The axis then goes from 0 to 1, as shares do.
    joined : bool
        Lines, or points only.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        If `what` does not name two axes.

    Examples
    --------
    >>> curves = {"hybrid": [0.7, 0.3, 0.8], "one f": [0.2, 0.5, 0.9]}
    >>> axes = plot_curves(curves, "recall against serial position", chance=0.1)
    >>> axes.get_xlabel(), axes.get_xticks().tolist()
    ('serial position', [1, 2, 3])
    """
    import matplotlib.pyplot as plt

    ylabel, xlabel = _names_of_axes(what)
    if axes is None:
        _, axes = plt.subplots(figsize=(7.2, 4.2))
    figure: Any = axes.figure
    figure.set_layout_engine("constrained")
    others = [name for name in curves if _network(name) is None]
    colors = dict(
        zip(others, plt.get_cmap("plasma")(np.linspace(0, 0.85, len(others))), strict=True)
    )
    places: set[float] = set()
    seen: set[str] = set()
    for name, values in curves.items():
        across, up = values if isinstance(values, tuple) else (x, values)
        across = np.arange(1, len(up) + 1) if across is None else np.asarray(across)
        network = _network(name)
        if network is None:
            number = others.index(name)
            style: Any = {"color": colors[name], "marker": MARKERS[number % len(MARKERS)]}
        else:
            style = {"linewidth": 2.5} | style_of(network) | (SECOND if network in seen else {})
            seen.add(network)
        if len(up) > MOST_MARKERS:
            style |= {"marker": ""}
        axes.plot(across, up, label=name, **style | ({} if joined else {"linestyle": ""}))
        places.update(across.tolist())
    if len(places) <= MOST_TICKS and all(place % 1 == 0 for place in places):
        axes.set_xticks(sorted(places))
    if chance is not None:
        axes.axhline(chance, color="0.45", linewidth=1, label="chance", zorder=1)
        axes.set_ylim(0, 1.02)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    names = axes.get_legend_handles_labels()[1]
    if len(names) > 1:
        spec = axes.get_subplotspec()
        inches = figure.get_size_inches()[0] / (spec.get_gridspec().ncols if spec else 1) - 1
        columns = int(np.clip(LETTERS_PER_INCH * inches / (6 + max(map(len, names))), 1, 3))
        below: Any = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.17), "frameon": False}
        axes.legend(ncols=columns, **below)
    return axes


def _names_of_axes(what: str) -> tuple[str, str]:
    ylabel, against, xlabel = what.partition(" against ")
    if not against:
        raise_expected("what", 'name both axes, as in "recall against item"', repr(what))
    return ylabel, xlabel


def _network(name: str) -> str | None:
    """The network that a curve's name begins with."""
    first = re.split(r"[ ,:]", name)[0]
    return first if first in STYLES or first == "homogeneous" else None


def plot_tables(
    tables: Mapping[str, NDArray[Any]], what: str, *, colors: str, top: float | None = 1.0
) -> None:
    """Plot tables side by side, their numbers as colors on one scale.

    Parameters
    ----------
    tables : dict of str to array (n_rows, n_columns)
        By network.
    what : str
        ``"items presented against item"``: what rows and columns are.
    colors : str
        What the colors say.
    top : float or None
        The brightest color; None: the largest value.

    Raises
    ------
    InputError
        If `what` does not name two axes.

    Examples
    --------
    >>> plot_tables({"hybrid": np.eye(3)}, "item against answer", colors="share of images")
    """
    import matplotlib.pyplot as plt

    ylabel, xlabel = _names_of_axes(what)
    figure, axes = plt.subplots(
        1,
        len(tables),
        figsize=(2.2 + 2.6 * len(tables), 3.6),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    highest = top or max(values.max() for values in tables.values())
    for place, (name, values) in zip(axes[0], tables.items(), strict=True):
        words: Any = {"title": name, "network": name, "label": colors}
        panel = Matrix(xlabel=xlabel, ylabel=ylabel, values=values, top=highest, **words)
        image = plot_matrix(place, panel)
        place.label_outer()
    figure.colorbar(image, ax=axes, label=colors)


def plot_images(images: NDArray[Any], names: Sequence[str], *, columns: int = 6) -> None:
    """Plot gray images in a grid, the larger a number the darker.

    Parameters
    ----------
    images : array (n, rows, columns)
    names : sequence of str
        One for each image, above it.
    columns : int
        Images in a row.

    Examples
    --------
    >>> plot_images(np.eye(8).reshape(2, 4, 8), ["first", "second"], columns=2)
    """
    import matplotlib.pyplot as plt

    rows = -(-len(images) // columns)
    size = 1.4 * columns, 0.5 + rows * (0.35 + 1.4 * images.shape[1] / images.shape[2])
    _, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for place in axes.flat:
        place.axis("off")
    pairs = zip(images, names, strict=True)
    for place, (image, name) in zip(axes.flat, pairs, strict=False):
        place.imshow(image, cmap="gray_r", vmin=0, vmax=images.max())
        place.set_title(name, fontsize="small")
