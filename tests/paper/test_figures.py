"""Pictures say what the results say, figures draw exactly that, and tables print it."""

import os
import subprocess
import sys
from dataclasses import replace
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest

import metaplastic_np as mp
from metaplastic_np.experiments import ARRAYS, BY_TRIAL
from metaplastic_np.plots import Matrix, Panel, Picture, Series
from metaplastic_np.plots.figures import HOMOGENEOUS_STYLE, STYLES, style_of

N = 4
THREE, PAIR = ("conventional", "stable", "hybrid"), ("conventional", "hybrid")
TINY = mp.Settings(
    n_items=N,
    trials=3,
    n_train_images=24,
    n_test_images=10,
    n_features=16,
    hidden=(8,),
    batch_size=48,
    epochs=2,
    learning_rate=0.03,
    kappa=8.0,
)
RUNS = {
    "serial-position": {"networks": THREE, "by_epoch": True, "by_flexibility": True},
    "biased-flexibility": {"networks": ("biased-up", "biased-down"), "trials": 2},
    "homogeneous-sweep": {"networks": ("homogeneous:0.8", "homogeneous:0.5"), "trials": 2},
    "non-target-true": {"networks": PAIR, "non_target": "true", "trials": 2},
    "non-target-none": {"networks": PAIR, "non_target": "none"},
    "serial-position-30": {"networks": PAIR, "n_items": 6},
    "hebb-repetition": {"networks": ("homogeneous:0.8",), "schedule": "repetition", "trials": 2},
    "data-poisoning": {"networks": PAIR, "schedule": "poisoning"},
    "learning-frequency": {"networks": PAIR, "schedule": "frequency", "n_items": 8},
}


@pytest.fixture(scope="module")
def evidence():
    runs = {name: replace(TINY, **changes) for name, changes in RUNS.items()}
    return mp.experiments.run_experiments(mp.load_digits(), runs, backend="numpy")


@pytest.fixture(scope="module")
def pictures(evidence):
    return mp.paper.show_all(evidence)


def make_panel(*series, **options):
    return Panel(title="", xlabel="place", ylabel="", series=list(series), **options)


def draw_axes(panel):
    return mp.make_figure(Picture(title="", caption="", rows=[[panel]])).axes[0]


def make_series(network="hybrid", n_trials=3, x=(1, 2, 3, 4), **options):
    values = np.random.default_rng(0).random((n_trials, len(x)))
    options = {"label": network, **options}
    return Series(network=network, x=np.array(x), values=values, **options)


# --- what is drawn -------------------------------------------------------------------


def read_curve(axes, label):
    """Places, means, and what is drawn around them, off the axes: an interval's ends, or trials."""
    groups = []  # the line of each curve's mean, and after it the lines of its trials
    for line in axes.get_lines():
        if not line.get_label().startswith("_child"):
            groups.append([line])
        elif groups:
            groups[-1].append(line)
    number = axes.get_legend_handles_labels()[1].index(label)
    mean, *trials = groups[number]
    x, means = mean.get_data()
    if trials:
        return x, means, *(trial.get_ydata() for trial in trials)
    if axes.containers:
        bars = axes.containers[number].lines[2]
        if not bars:
            return x, means
        return x, means, *np.transpose([bar[:, 1] for bar in bars[0].get_segments()])
    if not axes.collections:
        return x, means
    (shade,) = axes.collections[number].get_paths()
    ends = [[y for at, y in shade.vertices if np.isclose(at, place)] for place in x]
    return x, means, [min(end) for end in ends], [max(end) for end in ends]


def assert_drawn_as_printed(axes, panel):
    names, rows = mp.plots.measure_table(panel)
    if isinstance(panel, Matrix):
        printed = np.array([row[1:] for row in rows])
        np.testing.assert_array_equal(axes.get_images()[0].get_array().filled(np.nan), printed)
        assert axes.get_images()[0].get_extent() == [0.5, len(names) - 0.5, len(rows) + 0.5, 0.5]
        return
    assert names[0] == panel.xlabel
    labels = [series.label for series in panel.series]
    starts = [names.index(label) for label in labels]
    assert [name for name in names[1:] if name in labels] == labels
    for series, start, end in zip(panel.series, starts, [*starts[1:], None], strict=True):
        printed = [(row[0], *row[start:end]) for row in rows]
        places, *numbers = zip(*(row for row in printed if row[1] != ""), strict=True)
        x, *drawn = read_curve(axes, series.label)
        if panel.words:
            assert list(places) == [panel.words[round(at)].replace("\n", " ") for at in x]
        else:
            assert [float(place) for place in places] == pytest.approx(x)
        np.testing.assert_allclose(drawn, numbers, atol=1e-12)


@pytest.mark.parametrize("n_trials", [3, 1])
@pytest.mark.parametrize("name", mp.paper.list_pictures())
def test_every_picture_is_drawn_as_it_is_printed(evidence, name, n_trials):
    some = {run: first_trials(results, n_trials) for run, results in evidence.items()}
    picture = mp.paper.show_all(some)[name]
    assert ("one trial" in picture.title) == (n_trials == 1)
    assert ("(thin: each trial)" in picture.title) == (n_trials == 3 and name != "which-synapses")
    figure = mp.make_figure(picture)
    figure.draw_without_rendering()  # a warning is an error
    for part, row in zip(figure.subfigs, picture.rows, strict=True):
        for axes, panel in zip(part.axes, row, strict=False):  # then color bars
            assert_drawn_as_printed(axes, panel)
    labels = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    panels = [panel for row in picture.rows for panel in row if isinstance(panel, Panel)]
    assert sorted(labels) == sorted({one.label for panel in panels for one in panel.series})


def first_trials(results, n_trials):
    n_trials = min(n_trials, results.settings.trials)
    trials = {
        name: (slice(n_trials),) if name in BY_TRIAL else np.s_[:, :n_trials] for name in ARRAYS
    }
    arrays = {name: getattr(results, name)[index] for name, index in trials.items()}
    return replace(results, settings=replace(results.settings, trials=n_trials), **arrays)


@pytest.mark.parametrize("n_trials", [5, 12])
@pytest.mark.parametrize("words", [(), ("a", "b", "c\nd")])
def test_curves_are_means_over_trials_with_their_intervals(n_trials, words):
    series = make_series(x=(0, 1, 2), n_trials=n_trials)
    panel = make_panel(series, words=words, bottom=-1.0, top=2.0)
    x, mean, low, high = read_curve(draw_axes(panel), "hybrid")
    np.testing.assert_array_equal(x, series.x)
    np.testing.assert_allclose(mean, series.values.mean(axis=0))
    np.testing.assert_allclose([low, high], mp.metrics.measure_figure_interval(series.values))
    assert mp.plots.measure_table(panel)[0] == ["place", "hybrid", "low", "high"]


@pytest.mark.parametrize("n_trials", [2, 3, 4])
@pytest.mark.parametrize("words", [(), ("a", "b", "c\nd")])
def test_fewer_than_five_trials_are_shown_one_by_one(n_trials, words):
    series = make_series(x=(0, 1, 2), n_trials=n_trials)
    panel = make_panel(series, words=words)
    x, mean, *trials = read_curve(draw_axes(panel), "hybrid")
    np.testing.assert_array_equal(x, series.x)
    np.testing.assert_allclose(mean, series.values.mean(axis=0))
    np.testing.assert_array_equal(trials, series.values)
    names = [f"trial {number + 1}" for number in range(n_trials)]
    assert mp.plots.measure_table(panel)[0] == ["place", "hybrid", *names]


@pytest.mark.parametrize("words", [(), ("a", "b", "c", "d")])
def test_no_interval_of_a_share_leaves_0_to_1(words):
    values = np.repeat([[0.0], [0.0], [0.0], [0.0], [1.0]], 4, axis=1)
    series = make_series(x=(0, 1, 2, 3))
    for changed, most in ((values, (0, None)), (1 - values, (None, 1))):
        panel = make_panel(replace(series, values=changed), words=words)
        free = mp.metrics.measure_figure_interval(changed)
        assert free.min() < 0 or free.max() > 1
        _, _, *ends = read_curve(draw_axes(panel), "hybrid")
        np.testing.assert_allclose(ends, np.clip(free, *most))


def test_chance_is_drawn_where_it_is_given():
    for chance, expected in ((0.25, [[0.25, 0.25]]), (None, [])):
        axes = draw_axes(make_panel(make_series(n_trials=5), chance=chance))
        levels = [line.get_ydata() for line in axes.get_lines() if line.get_label()[0] == "_"]
        assert [list(level) for level in levels] == expected
        assert [text.get_text() for text in axes.texts] == ["chance"] * len(expected)


def test_each_network_has_its_own_color_marker_and_line():
    styles = [*STYLES.values(), HOMOGENEOUS_STYLE]
    for part in ("color", "marker", "linestyle"):
        assert len({str(style[part]) for style in styles}) == len(styles)
    for network in (*STYLES, "homogeneous:0.8"):
        line = draw_axes(make_panel(make_series(network))).get_lines()[0]
        assert line.get_color() == style_of(network)["color"]
        assert line.get_marker() == style_of(network)["marker"]


def test_second_curves_are_hollow_and_of_their_networks_color():
    second = make_series(label="new", is_second=True, n_trials=5)
    first, hollow = draw_axes(make_panel(make_series(n_trials=5), second)).get_lines()
    assert hollow.get_markerfacecolor() == "white"
    assert first.get_markerfacecolor() == first.get_color() == hollow.get_color()
    assert hollow.get_linewidth() < first.get_linewidth()


def test_the_axis_ends_at_1_or_where_the_values_do():
    series = make_series(n_trials=5)
    high = mp.metrics.measure_figure_interval(5 * series.values).max()
    tall = replace(series, values=5 * series.values)
    for panel, top in ((make_panel(series), 1), (make_panel(tall, top=None), high)):
        assert draw_axes(panel).get_ylim()[1] == pytest.approx(1.04 * top)


def test_curves_at_other_places_leave_cells_empty():
    one, other = make_series(x=(0, 1), n_trials=5), make_series("stable", x=(1, 2), n_trials=5)
    names, rows = mp.plots.measure_table(make_panel(one, other))
    assert names == ["place", "hybrid", "low", "high", "stable", "low", "high"]
    assert [row[0] for row in rows] == ["0", "1", "2"]
    assert [row.count("") for row in rows] == [3, 0, 3]
    assert rows[2][4] == other.values[:, 1].mean()


def test_pictures_are_the_same_bytes_each_time(pictures, tmp_path):
    for name in ("one", "two"):
        files = mp.plots.save_figure(
            mp.make_figure(pictures["biased-flexibility"]), tmp_path / name
        )
        assert [file.name for file in files] == [f"{name}.png", f"{name}.svg"]
    for ending in ("png", "svg"):
        one, two = ((tmp_path / f"{name}.{ending}").read_bytes() for name in ("one", "two"))
        assert one == two


# --- whatever Matplotlib is told ----------------------------------------------------

TINY_PICTURE = Picture(title="tiny", caption="", rows=[[make_panel(make_series())]])


def render(picture, folder):
    return [file.read_bytes() for file in mp.plots.save_figure(mp.make_figure(picture), folder)]


def test_a_figure_does_not_depend_on_the_readers_matplotlib(tmp_path):
    plain = render(TINY_PICTURE, tmp_path / "plain")
    theirs = {
        "text.usetex": True,  # there may be no LaTeX
        "font.size": 30,
        "font.family": "a font that is not there",
        "figure.facecolor": "red",
        "savefig.bbox": "tight",
        "svg.fonttype": "none",
        "axes.prop_cycle": matplotlib.cycler(color=["red"]),
    }
    with matplotlib.rc_context(theirs):
        assert render(TINY_PICTURE, tmp_path / "theirs") == plain
        assert matplotlib.rcParams["font.size"] == 30  # and theirs are left alone


@pytest.mark.parametrize("backend", ["gone", "module://matplotlib_inline.backend_inline", "pdf"])
def test_a_figure_is_drawn_whatever_the_backend(backend, tmp_path):
    program = (
        "import sys, numpy as np; from metaplastic_np.plots import *; "
        "series = Series(label='hybrid', network='hybrid', x=[1, 2], values=np.eye(2)); "
        "panel = Panel(title='', xlabel='', ylabel='', series=[series]); "
        "save_figure(make_figure(Picture(title='', caption='', rows=[[panel]])), 'figure'); "
        "import os, matplotlib; print(os.environ['MPLBACKEND'], matplotlib.get_backend())"
    )
    environment = {**os.environ, "MPLBACKEND": backend}
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nno such: setting\n")
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (found.returncode, found.stderr) == (0, "")
    assert (tmp_path / "figure.svg").stat().st_size > 1000
    given, kept = found.stdout.split()
    assert given == backend  # of later programs, too
    assert kept == backend or backend != "pdf"  # as Matplotlib takes it by itself


@pytest.mark.parametrize(
    "name",
    ["cost$^$x", "$\\frac", "\u732b", "\udce9t\udce9", "bell\x07 -- \x1b[0m", "a\u0301\u202f"],
)
def test_any_name_can_stand_in_a_figure(name, tmp_path):
    """Dollars are dollars; letters that no font or file format has are no error, nor a warning."""
    figure = mp.make_figure(replace(TINY_PICTURE, title=f"{name}, seed 0\nsecond line"))
    for text in figure.findobj(lambda part: hasattr(part, "get_usetex") and part.get_text()):
        assert not text.get_parse_math()
        assert not text.get_usetex()
    _, svg = mp.plots.save_figure(figure, tmp_path / "named")
    ElementTree.parse(svg)


def test_a_notebook_shows_a_figure_as_a_picture():
    figure = mp.make_figure(TINY_PICTURE)
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_all_figures_are_equally_wide_so_that_their_letters_are_equally_large(pictures):
    widths = {mp.make_figure(picture).get_figwidth() for picture in pictures.values()}
    assert len(widths) == 1


# --- what pictures say ---------------------------------------------------------------

LACKING = {
    "serial-position": set(mp.paper.list_pictures())
    - {"list-of-30", "hebb-repetition", "data-poisoning", "learning-frequency"},
    "serial-position-30": {"list-of-30"},
    "data-poisoning": {"data-poisoning"},  # the nine passes may come from either run
    "hebb-repetition": set(),
    "non-target-none": {"non-targets"},
    "non-target-true": {"non-targets"},
    **{name: {name} for name in ("learning-frequency", "biased-flexibility", "homogeneous-sweep")},
}


@pytest.mark.parametrize("missing", LACKING)
def test_pictures_whose_runs_are_missing_are_left_out(evidence, missing):
    some = {name: run for name, run in evidence.items() if name != missing}
    assert set(mp.paper.show_all(some)) == set(mp.paper.list_pictures()) - LACKING[missing]


def test_pictures_of_what_was_not_measured_are_left_out(evidence):
    run = evidence["serial-position"]
    for change, lost in (
        ({"by_epoch": False}, {"first-and-last-item"}),
        ({"by_flexibility": False}, {"which-synapses"}),
        ({"networks": ("conventional", "stable", "homogeneous:0.7")}, LACKING["serial-position"]),
    ):
        changed = replace(run, settings=replace(run.settings, **change))
        left = mp.paper.show_all({**evidence, "serial-position": changed})
        assert set(left) == set(mp.paper.list_pictures()) - lost | ({"serial-position"} & {*left})


def curves(panel):
    return {series.label: series.values for series in panel.series}


def check_panel(panel, labels, x, values):
    """Each network's curve (trial, place) is what was said, at these places."""
    assert tuple(curves(panel)) == labels
    for series, expected in zip(panel.series, values, strict=True):
        np.testing.assert_allclose(series.values, expected, atol=1e-12)
        np.testing.assert_allclose(series.x, x)


def test_serial_position_shows_final_recall_and_how_memory_filled(evidence, pictures):
    run = evidence["serial-position"]
    (panel,), matrices = pictures["serial-position"].rows
    check_panel(panel, THREE, range(1, N + 1), run.recall[:, :, -1])
    assert panel.chance == 1 / N
    for matrix, recall in zip(matrices, run.recall, strict=True):
        np.testing.assert_allclose(matrix.values, recall[:, 1:].mean(axis=0))
    x = np.arange(9) / 2  # in items, of two epochs each
    for panel, item in zip(*pictures["first-and-last-item"].rows, (0, -1), strict=True):
        check_panel(panel, THREE, x, run.recall_by_epoch[..., item])


def test_the_long_list_shows_memorized_and_gross_memory_of_presented_items(evidence, pictures):
    run = evidence["serial-position-30"]
    (_, memorized), (mean, gross) = pictures["list-of-30"].rows
    held = np.tril(np.ones((6, 6)))  # after t presentations, t items
    count = held * mp.metrics.measure_memorized(run.confusion)[:, :, 1:]
    total = mp.metrics.measure_gross_memory(run.recall, range(6))[..., 1:]
    x = np.arange(1, 7)
    check_panel(memorized, PAIR, x, count.sum(axis=-1))
    check_panel(mean, PAIR, x, total / x)
    check_panel(gross, PAIR, x, total)


def test_repetition_shows_the_ends_of_passes_of_the_trials_that_both_runs_have(evidence, pictures):
    runs = evidence["data-poisoning"], evidence["hebb-repetition"]
    recall = np.concatenate([run.recall[:, :2, : 9 * N + 1] for run in runs])
    labels = (*PAIR, "one flexibility, f = 0.8")
    after, (mean, worst, spread) = pictures["hebb-repetition"].rows
    for panel, passes in zip(after, (1, 3, 6, 9), strict=True):
        check_panel(panel, labels, range(1, N + 1), recall[:, :, N * passes])
    for panel, measure in ((mean, np.mean), (worst, np.min), (spread, np.std)):
        check_panel(panel, labels, range(1, 10), measure(recall[:, :, N::N], axis=-1))


def test_poisoning_shows_what_is_left_and_what_was_taken_up_by_dose(evidence, pictures):
    run = evidence["data-poisoning"]
    (before, after), (left, taken) = pictures["data-poisoning"].rows
    trunk, x = 9 * N, range(1, N + 1)
    check_panel(before, PAIR, x, run.recall[:, :, trunk])
    check_panel(after, PAIR, x, run.recall[:, :, trunk + N])
    for network, trial, dose in np.ndindex(2, 3, 4):
        poison = trunk + dose * N
        new = poison + 3 * N if dose else trunk
        false = run.schedule[trial, trunk : trunk + N, 1]
        for is_new, row, tests in ((0, poison, run.confusion), (1, new, run.new_confusion)):
            label = PAIR[network] + is_new * ": new items"
            recall = run.recall[network, trial, row].mean()
            assert curves(left)[label][trial, dose] == pytest.approx(recall)
            if dose or not is_new:  # new items are not tested before they are shown
                answers = tests[network, trial, row]
                share = np.mean([answers[item, false[item]] / 10 for item in range(N)])
                assert curves(taken)[label][trial, dose - is_new] == pytest.approx(share)
    assert [series.is_second for series in taken.series] == [False, False, True, True]


def test_frequency_sorts_recall_by_how_often_and_by_when_last(evidence, pictures):
    run = evidence["learning-frequency"]
    by_count, by_last, against = pictures["learning-frequency"].rows[0]
    for network, trial in np.ndindex(2, 3):
        shown = run.schedule[trial, :, 0].tolist()
        recall = run.recall[network, trial, -1]
        count = [shown.count(item) for item in range(8)]
        last = [-shown[::-1].index(item) for item in range(8)]
        for number, panel, cause in ((0, by_count, count), (3, by_last, last)):
            found, rho = (curves(each)[PAIR[network]][trial] for each in (panel, against))
            np.testing.assert_array_equal(found, recall[np.argsort(cause)])
            assert rho[number] == pytest.approx(mp.metrics.measure_rank_correlation(recall, cause))


def test_biased_networks_stand_beside_the_hybrid_of_their_trials(evidence, pictures):
    hybrid, biased = evidence["serial-position"], evidence["biased-flexibility"]
    expected = [hybrid.recall[2, :2, -1], *biased.recall[:, :, -1]]
    ((panel,),) = pictures["biased-flexibility"].rows
    check_panel(panel, ("hybrid", "biased-up", "biased-down"), range(1, N + 1), expected)


def test_the_sweep_runs_from_stable_to_conventional_beside_the_hybrid(evidence, pictures):
    runs = evidence["serial-position"], evidence["homogeneous-sweep"]
    mixed, swept = (run.recall[:, :2, -1] for run in runs)
    inside = np.stack([mixed[1], swept[1], swept[0], mixed[0]])
    mean, worst, best = pictures["homogeneous-sweep"].rows[0]
    for panel, measure in ((mean, np.mean), (worst, np.min)):
        one, mixture = panel.series
        np.testing.assert_allclose(one.x, [0.3, 0.5, 0.8, 1])
        np.testing.assert_allclose(one.values, measure(inside, axis=-1).T)
        np.testing.assert_allclose(mixture.values, measure(mixed[2], axis=-1)[:, None] * [1, 1])
    expected = inside[inside.mean(axis=(1, 2)).argmax()]
    np.testing.assert_allclose(best.series[1].values, expected)


def test_non_targets_are_compared_by_mean_recall_over_the_same_trials(evidence, pictures):
    (panel,) = pictures["non-targets"].rows[0]
    for network, indices in (("conventional", (0, 0, 0)), ("hybrid", (2, 1, 1))):
        runs = ("serial-position", "non-target-none", "non-target-true")
        recall = [evidence[run].recall[i, :2, -1] for run, i in zip(runs, indices, strict=True)]
        np.testing.assert_allclose(curves(panel)[network], np.mean(recall, axis=-1).T)


def test_synapses_are_shown_by_tenth_of_flexibility_and_item(evidence, pictures):
    run = evidence["serial-position"]
    moved, share = pictures["which-synapses"].rows[0]
    np.testing.assert_allclose(moved.values, run.displacement_by_flexibility[2].mean(axis=0).T)
    np.testing.assert_allclose(share.values, run.displacement_share[2].mean(axis=0).T)
    assert moved.values.shape == (10, N)
