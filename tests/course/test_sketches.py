"""Figures in a line: each network looks as everywhere, and a legend covers nothing."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import metaplastic_np as mp


@pytest.fixture(autouse=True)
def _without_windows(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    plt.switch_backend("agg")
    yield
    plt.close("all")


def lines_of(axes):
    return {line.get_label(): line for line in axes.get_lines()}


def test_a_network_has_its_style_and_its_second_curve_is_hollow():
    curves = {"hybrid, mean": [0.1, 0.2], "stable": [0.3, 0.4], "hybrid, worst": [0.0, 0.1]}
    lines = lines_of(mp.plots.plot_curves(curves, "recall against item"))
    for name, network in (("hybrid, mean", "hybrid"), ("stable", "stable")):
        style = mp.style_of(network)
        assert lines[name].get_color() == style["color"]
        assert lines[name].get_marker() == style["marker"]
    assert lines["hybrid, worst"].get_color() == mp.style_of("hybrid")["color"]
    assert lines["hybrid, worst"].get_markerfacecolor() == "white"
    assert lines["hybrid, mean"].get_markerfacecolor() != "white"


def test_what_is_no_network_has_a_color_and_a_marker_of_its_own():
    curves = {f"f = {f}": [f, f] for f in range(8)}
    lines = lines_of(mp.plots.plot_curves(curves, "recall against item"))
    looks = {(tuple(line.get_color()), line.get_marker()) for line in lines.values()}
    assert len({color for color, _ in looks}) == len({marker for _, marker in looks}) == 8


@pytest.mark.parametrize("n", [1, 2, 9])
def test_a_legend_stands_below_and_covers_no_curve(n):
    curves = {f"curve number {k}": np.arange(10) + k for k in range(n)}
    axes = mp.plots.plot_curves(curves, "recall against item")
    axes.figure.canvas.draw()
    legend = axes.get_legend()
    assert (legend is None) == (n == 1)
    if legend is not None:
        words = axes.xaxis.label.get_window_extent()
        assert legend.get_window_extent().y1 <= words.y0 + 1
        assert legend.get_window_extent().y0 >= 0


def test_long_names_do_not_squeeze_the_panels():
    _, panels = plt.subplots(1, 2, figsize=(9, 4.4))
    curves = {f"a network with a long name, number {k}": np.arange(10) + k for k in range(4)}
    for panel in panels:
        mp.plots.plot_curves(curves, "recall against item", axes=panel)
    panels[0].figure.canvas.draw()
    wide = panels[0].figure.bbox.width
    for panel in panels:
        box = panel.get_legend().get_window_extent()
        assert 0 <= box.x0 < box.x1 <= wide
        assert panel.bbox.width > 0.35 * wide


def test_every_position_has_a_tick_and_a_pair_brings_its_own():
    axes = mp.plots.plot_curves({"hybrid": np.zeros(10)}, "recall against item", chance=0.1)
    assert axes.get_xticks().tolist() == list(range(1, 11))
    assert axes.get_ylim() == (0, 1.02)
    assert lines_of(axes)["chance"].get_ydata() == [0.1, 0.1]
    axes = mp.plots.plot_curves({"a": [1, 2], "b": ([5, 7], [3, 4])}, "y against x", x=[0, 2])
    assert axes.get_xticks().tolist() == [0, 2, 5, 7]
    assert lines_of(axes)["b"].get_xdata().tolist() == [5, 7]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("y", "x")


def test_points_are_not_joined_unless_they_are_a_curve():
    for joined in (True, False):
        axes = mp.plots.plot_curves({"hybrid": [1, 2]}, "y against x", joined=joined)
        assert (lines_of(axes)["hybrid"].get_linestyle() != "None") == joined


def test_tables_share_one_scale_and_show_their_numbers():
    tables = {"conventional": np.eye(3), "hybrid": 2 * np.eye(3)}
    mp.plots.plot_tables(tables, "item against answer", colors="images", top=None)
    *panels, bar = plt.gcf().axes
    assert [panel.get_title() for panel in panels] == list(tables)
    for panel, values in zip(panels, tables.values(), strict=True):
        (image,) = panel.get_images()
        np.testing.assert_array_equal(image.get_array(), values)
        assert image.get_clim() == (0, 2)
    assert bar.get_ylabel() == "images"


def test_images_have_a_name_each_and_what_is_left_of_the_grid_is_empty():
    images = np.arange(5 * 6.0).reshape(5, 2, 3)
    mp.plots.plot_images(images, list("abcde"), columns=3)
    panels = plt.gcf().axes
    assert [panel.get_title() for panel in panels] == [*"abcde", ""]
    for panel, image in zip(panels, images, strict=False):
        np.testing.assert_array_equal(panel.get_images()[0].get_array(), image)
    assert not panels[-1].get_images()
    assert not any(panel.axison for panel in panels)
