"""The report: it needs nothing else, and says what was found and what was not run."""

import base64
import json
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest

import metaplastic_np as mp
from metaplastic_np.paper.report import _memorized_as_published, _number

SMALL = mp.Settings(
    n_items=10,
    trials=2,
    n_train_images=20,
    n_test_images=10,
    n_features=16,
    hidden=(8,),
    batch_size=64,
    epochs=1,
    steepness=200.0,
)
VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """Tags, attributes, tables and texts of a page; complains of what does not match."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.text, self.tables = [], [], "", []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_decl(self, decl):
        assert decl == "DOCTYPE html"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append({"caption": "", "rows": []})
        elif tag == "tr":
            self.tables[-1]["rows"].append([])
        elif tag in {"th", "td"}:
            self.tables[-1]["rows"][-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.text += data
        if self.open and self.open[-1] in {"th", "td"}:
            self.tables[-1]["rows"][-1][-1] += data
        elif self.open and self.open[-1] == "caption":
            self.tables[-1]["caption"] += data

    def find(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]

    def table(self, *columns):
        """The table whose head begins so."""
        return next(t for t in self.tables if tuple(t["rows"][0][: len(columns)]) == columns)


@pytest.fixture(scope="module")
def evidence():
    runs = {
        "serial-position": SMALL,
        "biased-flexibility": replace(SMALL, networks=("biased-up", "biased-down")),
    }
    return mp.experiments.run_experiments(mp.load_digits(), runs, backend="numpy")


@pytest.fixture(scope="module")
def drawn(evidence):
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
    return {name: (picture, svg) for name, picture in mp.paper.show_all(evidence).items()}


@pytest.fixture(scope="module")
def judged(evidence):
    return mp.paper.judge_run(evidence, preset="quick")


@pytest.fixture(scope="module")
def page(evidence, judged, drawn):
    return mp.paper.make_report(evidence, judged, drawn)


def with_verdicts(judged, verdicts):
    """The same claims with made-up verdicts; the others were not run."""
    claims = []
    for claim in judged["claims"]:
        found = {"n": 0}
        if claim["id"] in verdicts:
            weakest = {"estimate": 0.5, "interval": [-0.25, 1.5], "n": 4}
            parts = [{"name": "other", **weakest, "estimate": 0.75}, {"name": "weakest", **weakest}]
            found = {"verdict": verdicts[claim["id"]], **weakest, "parts": parts}
            found |= {"controls": 3, "obstacle": ""}
        claims.append({**claim, **found})
    return {**judged, "claims": claims}


def test_it_loads_nothing_and_runs_nothing(page):
    found = Page(page)
    ids = {attributes["id"] for _, attributes in found.tags if "id" in attributes}
    for tag, attributes in found.tags:
        assert tag not in {"script", "iframe", "object", "embed", "base"}
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in {"src", "href", "srcset", "data", "action", "poster"}:
                assert value.startswith("data:") or value.removeprefix("#") in ids, value
    style = page.partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def test_tags_are_balanced_and_the_head_is_complete(page):
    found = Page(page)
    assert page.startswith("<!DOCTYPE html>\n<html lang")
    assert found.find("html") == [{"lang": "en"}]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in found.find(
        "meta"
    )
    assert len(found.find("h1")) == len(found.find("main")) == 1
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    levels = [int(tag[1]) for tag, _ in found.tags if tag in {"h1", "h2", "h3", "h4"}]
    assert all(after - before <= 1 for before, after in pairwise(levels))


CLAIM = re.compile(
    r'<li><span class="id">(C\d+)</span><span class="verdict ([\w-]+)">'
    r"<b[^>]*>(.)</b>([\w ]+)</span>\s*<div><p>(.*?)</p>"
)


def test_every_claim_shows_its_statement_and_its_verdict_as_word_symbol_and_color(judged):
    words = ("holds", "fails", "undecided", "not run")
    verdicts = {f"C{n + 1}": words[n % 4] for n in range(12)}
    made = with_verdicts(
        judged, {name: word for name, word in verdicts.items() if word in words[:3]}
    )
    found = CLAIM.findall(mp.paper.make_report({}, made, {}))
    assert [claim[0] for claim in found] == list(mp.paper.CLAIMS)
    for name, color, symbol, word, statement in found:
        assert word == verdicts[name]
        assert color == word.replace(" ", "-")
        assert symbol == dict(zip(words, "\u2713\u2717?\u2013", strict=True))[word]
        assert unescape(statement) == mp.paper.CLAIMS[name].statement


def test_each_verdict_has_a_color(page):
    for word in ("holds", "fails", "undecided", "not-run"):
        assert f"\n.{word} {{" in page


def test_the_headline_counts_what_holds(judged):
    verdicts = {f"C{n}": "holds" for n in range(1, 11)} | {"C4": "undecided", "C12": "fails"}
    text = Page(mp.paper.make_report({}, with_verdicts(judged, verdicts), {})).text
    assert "Claims of the paper: 8 of 9 hold, 1 undecided\n" in text
    assert "Controls that it lacks: 1 of 3 hold, 1 failing, 1 not run\n" in text


@pytest.mark.parametrize(
    ("claim", "reading"),
    [
        ("C10", "mixing is not what makes the serial position effect"),
        ("C11", "mixing buys nothing that one well-chosen flexibility does not"),
        ("C12", "label noise alone does not explain its forgetting"),
    ],
)
def test_a_control_that_fails_says_what_it_means_and_only_then(judged, claim, reading):
    for verdict in ("holds", "undecided", "fails"):
        made = with_verdicts(judged, {claim: verdict})
        assert (reading in mp.paper.make_report({}, made, {})) == (verdict == "fails")


def test_the_card_shows_the_weakest_margin(judged):
    text = Page(mp.paper.make_report({}, with_verdicts(judged, {"C1": "undecided"}), {})).text
    assert "+0.500 [\u22120.250, +1.500] n = 4weakest" in text
    assert "Held in 3 of 20 control runs" in text


def test_the_card_says_why_a_claim_was_not_run(page):
    assert "Not run: there is no run data-poisoning." in Page(page).text


def test_all_margins_are_in_tables_and_the_controls_are_counted(page, judged):
    found = Page(page)
    tables = {t["caption"].split(":")[0]: t["rows"][1:] for t in found.tables}
    for claim in judged["claims"]:
        if claim["n"]:
            assert tables[claim["id"]] == [
                [
                    *map(_number, [part["name"], part["estimate"], *part["interval"]]),
                    str(part["n"]),
                ]
                for part in claim["parts"]
            ]
        else:
            assert claim["id"] not in tables
    n_judged = sum(claim["n"] > 0 for claim in judged["claims"])
    assert found.text.count("Fewer than 4 trials: too few for controls") == n_judged > 0


def test_every_number_of_every_panel_is_in_a_table(page, drawn):
    found = [table["rows"] for table in Page(page).tables]
    panels = [panel for picture, _ in drawn.values() for row in picture.rows for panel in row]
    assert len(panels) == 5
    for panel in panels:
        names, rows = mp.plots.measure_table(panel)
        table = next(table for table in found if table[0] == names and len(table) == len(rows) + 1)
        found.remove(table)
        for shown, expected in zip(table[1:], rows, strict=True):
            for cell, value in zip(shown, expected, strict=True):
                if isinstance(value, float):
                    assert float(cell) == pytest.approx(value, rel=0.0051)
                else:
                    assert cell == str(value)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.12345, "0.123"),
        (0.5, "0.500"),
        (-0.0, "0.00"),
        (8.824, "8.82"),
        (99.97, "100"),
        (12345.6, "12346"),
        (0.0000171, "1.71e-05"),
        (float("nan"), ""),
        (None, ""),
        (7, "7"),
        ("last\nshown", "last\nshown"),
    ],
)
def test_numbers_have_three_significant_digits(value, shown):
    assert _number(value) == shown


def test_every_image_is_the_svg_and_is_described(page, drawn):
    images = Page(page).find("img")
    assert len(images) == len(drawn) == 2
    for image, (picture, svg) in zip(images, drawn.values(), strict=True):
        kind, _, data = image["src"].partition(",")
        assert kind == "data:image/svg+xml;base64"
        assert base64.b64decode(data) == svg
        assert image["alt"].startswith(picture.title.partition("\n")[0] + ". ")
        assert image["alt"].endswith(picture.caption)


def test_a_figure_names_the_files_behind_it(page):
    article = page.partition('<article id="figure-biased-flexibility">')[2]
    article = article.partition("</article>")[0]
    assert "<code>biased-flexibility.npz</code> (trials 2, seed 0; biased-up" in article
    assert "<code>serial-position.npz</code>" in article


def test_what_was_not_run_says_so_in_every_section(judged):
    nothing = mp.paper.judge_run({}, preset="custom")
    page = mp.paper.make_report({}, nothing, {})
    text = Page(page).text
    assert "0 of 9 hold, 9 not run" in text
    for section in page.split("<section ")[1:]:
        assert "not run" in section
    assert "metaplastic-np reproduce" not in text
    assert "no single command" in text


def test_one_run_of_another_name_and_length_is_enough():
    settings = replace(SMALL, n_items=4, trials=1, schedule=(0, 1, 2, 3, 0))
    results = mp.run_experiment(mp.load_digits(), settings, backend="numpy")
    evidence = {"serial-position": results, "mine": results}
    page = mp.paper.make_report(evidence, mp.paper.judge_run(evidence, preset="custom"), {})
    found = Page(page)
    assert "5 steps of its own" in found.text
    assert "mine.npz" in found.text
    pairs = found.table("pair", "mean difference")
    assert [row[2:4] for row in pairs["rows"][1:]] == [["", ""]] * 3
    assert "Murdock" not in found.text


def test_one_trial_has_no_interval():
    results = mp.run_experiment(mp.load_digits(), replace(SMALL, trials=1), backend="numpy")
    evidence = {"serial-position": results}
    judged = json.loads(json.dumps(mp.paper.judge_run(evidence, preset="custom"), allow_nan=False))
    assert "[?, ?] n = 1" in Page(mp.paper.make_report(evidence, judged, {})).text


@pytest.mark.parametrize("name", ['<b>&"', "'><script>alert(1)</script>", "$style"])
def test_text_of_users_stays_text(evidence, judged, drawn, name):
    headers = {run: {**found.header, "dataset": name} for run, found in evidence.items()}
    renamed = {run: replace(found, header=headers[run]) for run, found in evidence.items()}
    pictures = {
        key: (replace(picture, title=f"{name}\n{name}", caption=name), svg)
        for key, (picture, svg) in drawn.items()
    }
    page = mp.paper.make_report(
        renamed | {name: renamed["serial-position"]}, {**judged, "dataset": name}, pictures
    )
    found = Page(page)
    assert {tag for tag, _ in found.tags} <= {tag for tag, _ in Page(plain(evidence)).tags}
    assert found.text.count(name) >= 7
    assert {image["alt"] for image in found.find("img")} == {f"{name}. {name}. {name}"}


def plain(evidence):
    picture = mp.plots.Picture(title="", caption="", rows=[])
    return mp.paper.make_report(
        evidence, mp.paper.judge_run(evidence, preset="quick"), {"": (picture, b"")}
    )


@pytest.mark.parametrize("dataset", ["digits", "mnist"])
def test_the_command_can_be_pasted(judged, dataset):
    text = Page(mp.paper.make_report({}, {**judged, "dataset": dataset, "seed": 7}, {})).text
    assert f"metaplastic-np reproduce --preset quick --dataset {dataset} --seed 7\n" in text


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"dataset": "own"}, "the images are a file of your own"),
        ({"dataset": "digits (other images)"}, "the images are a file of your own"),
        ({"dataset": "digits, mnist"}, "the images are a file of your own"),
        ({"preset": "custom"}, "these runs were chosen by hand"),
    ],
)
def test_a_command_that_would_not_reproduce_is_not_printed(judged, change, why):
    text = Page(mp.paper.make_report({}, {**judged, **change}, {})).text
    assert f"to reproduceno single command: {why}" in text.replace("\n", "")
    assert "metaplastic-np reproduce" not in text


def test_the_published_count_credits_an_item_that_is_never_answered():
    confusion = np.array([[9, 1, 0], [5, 5, 0], [5, 5, 0]])
    assert mp.metrics.measure_memorized(confusion).tolist() == [True, False, False]
    assert _memorized_as_published(confusion).tolist() == [True, False, True]


def test_the_published_count_is_what_counting_shuffles_strictly_above_gives():
    confusion = np.array([[7, 3, 0], [4, 6, 0], [2, 7, 1]])
    rng = np.random.default_rng(0)
    asked = np.repeat(np.arange(3), 10)
    answers = np.concatenate([np.repeat(np.arange(3), row) for row in confusion])
    shuffled = np.array([rng.permutation(asked) for _ in range(4000)])
    hits = np.stack([((shuffled == k) & (answers == k)).sum(axis=1) for k in range(3)], axis=1)
    above = (hits > np.diagonal(confusion)).mean(axis=0)
    assert np.abs(above - 0.05).min() > 0.02
    assert (_memorized_as_published(confusion) == (above < 0.05)).all()


def test_memorized_is_counted_twice_on_the_longest_list_there_is(evidence, judged):
    run = evidence["serial-position"]
    confusion = np.zeros_like(run.confusion)
    confusion[..., 0] = SMALL.n_test_images  # everything is answered with the first item
    both = {"serial-position": run, "serial-position-30": replace(run, confusion=confusion)}
    found = Page(mp.paper.make_report(both, judged, {}))
    table = found.table("network", "exact test: P(X \u2265 hits) < 0.05")
    for network, row in zip(SMALL.networks, table["rows"][1:], strict=True):
        assert row == [network, *(f"{n}.00 \u00b1 0.00" for n in (0, 10, 9, 0))]
    assert table["caption"].startswith("serial-position-30.npz, trials 2: items memorized of 10,")
    assert "here 10 per item" in found.text


def test_networks_are_compared_in_pairs(page, evidence):
    run = evidence["serial-position"]
    mean = dict(zip(SMALL.networks, run.recall[:, :, -1].mean(axis=-1), strict=True))
    rows = Page(page).table("pair", "mean difference")["rows"][1:]
    assert len(rows) == 3
    for pair, *cells, n in rows:
        one, other = pair.split(" \u2212 ")
        difference = mean[one] - mean[other]
        half = mp.metrics.measure_interval(difference)
        expected = [difference.mean(), difference.mean() - half, difference.mean() + half]
        assert cells == [_number(float(value)) for value in expected]
        assert n == "2"


def test_people_are_no_accuracy(page, evidence):
    text = Page(page).text.replace("\n", " ")
    assert "6.39 of 10 (2 s a word)" in text
    assert "8.82" not in text  # the list of 30 was not run
    gross = evidence["serial-position"].recall[2, :, -1].sum(axis=-1).mean()
    assert f"is {gross:.2f} \u00b1" in text
    assert "not the same quantity" in text


def test_settings_that_differ_stand_apart_from_those_that_are_shared(page, evidence):
    found = Page(page)
    differ = found.table("run", "seconds")["rows"]
    assert differ[0][4:] == ["networks"]
    assert [row[0] for row in differ[1:]] == [f"{name}.npz" for name in sorted(evidence)]
    for row, (_, run) in zip(differ[1:], sorted(evidence.items()), strict=True):
        seconds = run.header["seconds_by_trial"]
        assert row[1:3] == [_number(float(sum(seconds))), _number(float(np.mean(seconds)))]
        assert row[4] == ", ".join(run.settings.networks)
    shared = dict(found.table("setting", "value")["rows"])
    assert shared["steepness"] == "200"
    assert shared["hidden"] == "8"
    assert "networks" not in shared
    machine = dict(found.table("what", "which")["rows"])
    assert machine["dataset_sha256"] == evidence["serial-position"].header["dataset_sha256"]
    assert machine["backend"] == "numpy"
    assert {"cpu", "python", "numpy"} <= set(machine)


def test_the_same_results_give_the_same_bytes(page, evidence, drawn):
    again = mp.paper.judge_run(evidence, preset="quick")
    assert mp.paper.make_report(evidence, again, drawn) == page
    other_way = dict(reversed(evidence.items()))
    assert mp.paper.make_report(other_way, again, drawn) == page


def test_results_read_back_from_files_give_the_same_bytes(page, evidence, drawn, tmp_path):
    for name, results in evidence.items():
        mp.save_results(results, tmp_path, name=name)
    loaded = {name: mp.load_results(tmp_path / f"{name}.npz") for name in evidence}
    assert mp.paper.make_report(loaded, mp.paper.judge_run(loaded, preset="quick"), drawn) == page
