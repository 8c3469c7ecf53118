"""What the pages say in words agrees with the results that their tables are made from."""

import json
import re
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import metaplastic_np as mp

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
RESULTS = {path.stem: json.loads(path.read_text("utf-8")) for path in DOCS.glob("results/*.json")}
RUNS = {name: found for name, found in RESULTS.items() if "claims" in found}


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.syspath_prepend(DOCS)
    import tables

    yield tables
    del sys.modules["tables"]


def test_what_the_page_says_did_not_reproduce_did_not():
    text = (DOCS / "claims.md").read_text("utf-8")
    assert "**What did not reproduce as stated: C10.**" in text
    verdicts = {c["id"]: c["verdict"] for c in RUNS["standard-mnist-0"]["claims"]}
    assert [claim for claim, verdict in verdicts.items() if verdict != "holds"] == ["C10"]


def test_what_the_page_and_lesson_7_say_of_mixing_is_what_was_measured():
    def compared(dataset, question, after):
        rows = mp.paper.load_frontier(dataset)["comparisons"][question]
        (row,) = [row for row in rows if row["after"] == after]
        return round(row["estimate"], 2), row["more"]

    matched, scales = "matched after one pass", "best over 1, 3, 5 and 9 passes"
    assert compared("digits", matched, "9 passes") == (0.02, "hybrid")
    assert compared("mnist", matched, "9 passes")[1] == "undecided"
    assert compared("digits", scales, "mean of these")[1] == "undecided"
    assert compared("mnist", scales, "mean of these") == (-0.05, "one flexibility")
    for dataset in mp.paper.CALIBRATED:
        assert compared(dataset, matched, "1 pass")[1] == "undecided"


@pytest.mark.parametrize("name", RUNS)
def test_results_have_the_name_of_the_run_that_made_them(name):
    run = RUNS[name]
    assert name == f"{run['preset']}-{run['dataset']}-{run['seed']}"
    assert [claim["id"] for claim in run["claims"]] == list(mp.paper.CLAIMS)


@pytest.mark.parametrize("name", RUNS)
def test_a_table_has_every_claim_with_its_verdict_and_numbers(name, tables):
    lines = tables.make_table(RUNS[name]).splitlines()
    for claim in RUNS[name]["claims"]:
        (line,) = [line for line in lines if f"**{claim['id']}**" in line]
        if claim["statement"] != mp.paper.CLAIMS[claim["id"]].statement:
            assert line.endswith("| claim changed since |  |  |  |  |")
            continue
        assert claim["verdict"] in line
        assert f"{claim['estimate']:+.3f}" in line
        assert f"| {claim['n']} |" in line


def test_every_table_that_a_page_includes_is_made(tables, tmp_path):
    tables.write(tmp_path)
    for page in DOCS.glob("*.md"):
        for name in re.findall(r"\{include\} generated/(\S+)", page.read_text("utf-8")):
            assert (tmp_path / name).stat().st_size > 100, name


def test_the_numbers_for_teachers_are_those_of_the_bundled_digits():
    """A list of another seed is as near as the table's spread allows."""
    settings = mp.Settings(trials=1, seed=1001)
    run = mp.run_experiment(mp.load_digits(), settings)
    for network, recall in zip(settings.networks, run.recall, strict=True):
        told = RESULTS["expected-digits"]["networks"][network]["mean recall"]
        mean = mp.measure_serial_position_curve(recall).mean()
        assert abs(mean - told["mean"]) < 4 * told["sd"], network


def test_the_example_of_the_start_page_is_the_readmes():
    readme = (ROOT / "README.md").read_text("utf-8")
    code = (DOCS / "examples" / "mine.py").read_text("utf-8").split('"""\n\n')[1]
    assert f"```python\n{code}```" in readme


def test_a_description_of_a_picture_is_one_line():
    """A second line would become its caption; a caption comes after an empty line."""
    for page in DOCS.glob("*.md"):
        lines = page.read_text("utf-8").splitlines()
        for line, following in pairwise(lines):
            if line.startswith(":alt:"):
                assert not following or following.startswith((":", "```")), (page.name, following)


def test_the_worked_number_of_the_model_is_right():
    text = (DOCS / "model.md").read_text("utf-8")
    for flexibility, distance, told in (
        (0.5, 1e-4, "0.36"),
        (0.5, 2e-4, "0.050"),
        (0.3, 1e-4, "0.024"),
    ):
        f, d = np.array([flexibility]), np.array([distance])
        found = mp.measure_plasticity(f, d, steepness=10_900.0)[0]
        assert f"{found:.{len(told) - 2}f}" == told
        assert f"= {told}" in text
    settings = mp.experiments.init_settings(mp.load_digits(), n_items=10)
    assert mp.experiments.measure_default_steepness(10) == 10_900
    assert settings.learning_rate == 0.009


def test_no_fence_of_backticks_has_one_in_its_title():
    """It would be no fence, and what ends it would begin one."""
    for page in DOCS.glob("*.md"):
        assert not re.findall(r"^```\{\w+\}.*`.*$", page.read_text("utf-8"), re.M), page.name
