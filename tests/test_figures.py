"""Figures say what the results say, and are the same bytes from the same results."""

import numpy as np
import pytest

import metaplastic_np as mp
from metaplastic_np.figures import HOMOGENEOUS_STYLE, STYLES, style_of


@pytest.fixture(scope="module")
def results():
    settings = mp.Settings(
        n_items=4,
        trials=3,
        n_train_images=40,
        n_features=32,
        hidden=(16,),
        epochs=1,
        networks=("conventional", "hybrid", "homogeneous:0.8"),
    )
    return mp.run_experiment(mp.load_digits(), settings, backend="numpy")


def test_curves_are_the_means_over_trials_counted_from_1(results):
    axes = mp.make_serial_position_figure(results).axes[0]
    lines = {line.get_label(): line for line in axes.get_lines()}
    for network, trials in zip(results.settings.networks, results.recall, strict=True):
        line = lines[network]
        np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3, 4])
        np.testing.assert_allclose(line.get_ydata(), trials[:, -1].mean(axis=0))
        assert line.get_color() == style_of(network)["color"]


def test_the_matrix_shows_every_presentation(results):
    figure = mp.make_serial_position_figure(results)
    panel = figure.axes[1]
    np.testing.assert_allclose(
        panel.get_images()[0].get_array(), results.recall[0].mean(axis=0)[1:]
    )


def test_one_trial_is_drawn_without_an_interval():
    settings = mp.Settings(n_items=3, trials=1, n_train_images=20, n_features=8, hidden=(4,))
    one = mp.run_experiment(mp.load_digits(), settings, backend="numpy")
    assert "one trial" in mp.make_serial_position_figure(one).subfigs[0].get_suptitle()


def test_each_network_has_its_own_color_marker_and_line():
    styles = [*STYLES.values(), HOMOGENEOUS_STYLE]
    for part in ("color", "marker", "linestyle"):
        assert len({str(style[part]) for style in styles}) == len(styles)


def test_pictures_are_the_same_bytes_each_time(results, tmp_path):
    for name in ("one", "two"):
        files = mp.save_figure(mp.make_serial_position_figure(results), tmp_path / name)
        assert [file.suffix for file in files] == [".png", ".svg"]
    for ending in ("png", "svg"):
        one, two = ((tmp_path / f"{name}.{ending}").read_bytes() for name in ("one", "two"))
        assert one == two


def test_an_unknown_network_has_no_matrix(results):
    from matplotlib.figure import Figure

    with pytest.raises(mp.InputError, match="`network` must be one of conventional, hybrid"):
        mp.plot_recall_matrix(Figure().subplots(), results, "stable")
