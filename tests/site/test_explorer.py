"""The explorer page and the front page's player, in a browser, from the file system.

Fixtures, see conftest.py: `site`, the folder of the built pages, and `page`, a Playwright page.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import metaplastic_np as mp

MAP = json.loads(
    (Path(__file__).parents[2] / "docs" / "explorer" / "map.json").read_text(encoding="utf-8")
)
PANELS = ("plasticity", "spread", "recall")
THEME = "pydata-sphinx-theme"  # logs an error of its own where no default mode is configured


@pytest.fixture
def seen(page):
    """What the page asked for, and what went wrong."""
    found = {"requests": [], "errors": []}
    page.on("request", lambda request: found["requests"].append(request.url))
    page.on("pageerror", lambda error: found["errors"].append(str(error)))
    page.on(
        "console",
        lambda message: (
            found["errors"].append(message.text)
            if message.type == "error" and THEME not in message.location.get("url", "")
            else None
        ),
    )
    return found


def open_explorer(page, site, state=""):
    page.goto("about:blank")  # so that another hash is another visit
    page.goto((site / "explorer.html").as_uri() + state)
    page.wait_for_selector("#explorer-app [data-part=recall] .marker")


def part(page, name, root="#explorer-app"):
    return page.locator(f"{root} [data-part={name}]")


def look(page):
    """The curves and the words of all panels."""
    return {
        name: (
            part(page, name)
            .locator("path:not(.grid, .axis)")
            .evaluate_all("paths => paths.map(path => path.outerHTML).join()"),
            part(page, name).get_attribute("aria-label"),
        )
        for name in PANELS
    }


def move(page, name, value):
    part(page, name).evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }",
        value,
    )


def number(text):
    return float(text.replace("\N{MINUS SIGN}", "-"))


def cell(low, high, kappa):
    cells = MAP["cells"][f"{low:g}-{high:g}"]
    return cells[0] if len(cells) == 1 else cells[MAP["kappas"].index(kappa)]


@pytest.mark.parametrize(
    ("low", "high"), [(0, 0), (1, 1), (0.3, 0.3), (0, 1), (0.2, 0.8), (0.8, 1), (0, 0.2)]
)
def test_the_pages_plasticity_is_the_packages(page, site, low, high):
    """Same f, same sum: only rounding differs, and exp may in its last digit."""
    open_explorer(page, site)
    n = 2000
    flexibility = low + (high - low) * (np.arange(n) + 0.5) / n
    for kappa in (1.75, 14.0, 56.0):
        for x in (0.0, 0.001, 0.1, 1.0, 10.0):
            displacement = np.full(n, x)
            expected = mp.measure_plasticity(flexibility, displacement, steepness=kappa).mean()
            found = page.evaluate(f"explorer.meanPlasticity({low}, {high}, {kappa}, {x}, {n})")
            assert found == pytest.approx(expected, rel=1e-9, abs=1e-300)


def test_2000_parts_are_enough(page, site):
    """The largest kappa and displacement drawn, where only f near 1 counts."""
    open_explorer(page, site)
    for low, kappa, x in [(0, 14, 1), (0, 56, 10), (0.8, 56, 10)]:
        coarse = page.evaluate(f"explorer.meanPlasticity({low}, 1, {kappa}, {x})")
        fine = page.evaluate(f"explorer.meanPlasticity({low}, 1, {kappa}, {x}, 200000)")
        assert coarse == pytest.approx(fine, rel=0.01)


@pytest.mark.parametrize(("slider", "value"), [("low", 3), ("high", 2), ("kappa", 5)])
def test_moving_a_slider_changes_all_three_panels_in_picture_and_words(page, site, slider, value):
    open_explorer(page, site)
    before = look(page)
    move(page, slider, value)
    after = look(page)
    for name in PANELS:
        assert after[name][0] != before[name][0]
        assert after[name][1] != before[name][1]


@pytest.mark.parametrize(
    ("low", "high", "kappa"), [(0, 1, 14), (0.3, 0.3, 14), (1, 1, 28), (0, 0, 7), (0.2, 0.8, 3.5)]
)
def test_the_numbers_shown_are_those_of_the_map(page, site, low, high, kappa):
    open_explorer(page, site, f"#low={low}&high={high}&kappa={kappa}&after=10")
    stored = cell(low, high, kappa)
    curve = np.array(stored["recall"][-1])
    for name, measure in [
        ("mean", np.mean),
        ("primacy", mp.metrics.measure_primacy),
        ("recency", mp.metrics.measure_recency),
    ]:
        assert number(part(page, name).inner_text()) == pytest.approx(measure(curve), abs=0.00501)
        ends = [number(text) for text in part(page, f"{name}-range").inner_text().split(" to ")]
        trials = [measure(np.array(trial)) for trial in stored["trials"]]
        assert ends == pytest.approx([min(trials), max(trials)], abs=0.00501)
    words = part(page, "recall").get_attribute("aria-label").split(": ")[1].split(". ")[0]
    shown = [float(share) for share in words.split(", ")]
    assert shown == pytest.approx(curve.tolist(), abs=0.00501)


def test_a_link_restores_the_state_and_the_state_becomes_a_link(page, site):
    open_explorer(page, site, "#low=0.2&high=0.8&kappa=3.5&after=4&log=1")
    texts = page.locator("#explorer-app .value").all_inner_texts()
    assert texts == ["0.2", "0.8", "3.5", "4 of 10"]
    assert part(page, "log").is_checked()
    picture = look(page)

    move(page, "kappa", 4)
    move(page, "after", 7)
    page.wait_for_function("location.hash === '#low=0.2&high=0.8&kappa=28&after=7&log=1'")
    page.evaluate("location.hash = '#low=0.2&high=0.8&kappa=3.5&after=4&log=1'")
    page.wait_for_function("document.querySelector('[data-part=kappa]').value === '1'")
    assert look(page) == picture


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("#low=0.31&high=9&kappa=13", ["0.3", "1", "14 (about the default)", "10 of 10"]),
        ("#low=0.8&high=0.2", ["0.8", "0.8", "14 (about the default)", "10 of 10"]),
        ("#low=x&kappa=NaN&after=-3&log=yes", ["0", "1", "14 (about the default)", "0 of 10"]),
        ("#what-to-look-for", ["0", "1", "14 (about the default)", "10 of 10"]),
    ],
)
def test_a_link_off_the_grid_goes_to_the_nearest_place_on_it(page, site, seen, asked, shown):
    open_explorer(page, site, asked)
    assert page.locator("#explorer-app .value").all_inner_texts() == shown
    assert seen["errors"] == []


def test_every_guided_observation_sets_the_sliders(page, site):
    open_explorer(page, site)
    links = page.locator("a[href^='#low=']")
    assert links.count() >= 5
    for link in links.all():
        asked = dict(re.findall(r"(\w+)=([\d.]+)", link.get_attribute("href")))
        link.click()
        page.wait_for_function(
            "value => document.querySelector('[data-part=values]').textContent === value",
            arg=f"{asked['low']}, {asked['high']}, {asked['kappa']}",
        )


def test_the_arrow_keys_move_the_sliders_and_one_end_pushes_the_other(page, site):
    open_explorer(page, site, "#low=0.3&high=0.3&kappa=14")
    part(page, "low").focus()
    page.keyboard.press("ArrowRight")
    assert part(page, "low").get_attribute("aria-valuetext") == "0.5"
    assert part(page, "high").get_attribute("aria-valuetext") == "0.5"
    part(page, "high").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert part(page, "low").get_attribute("aria-valuetext") == "0.2"
    part(page, "kappa").focus()
    page.keyboard.press("End")
    assert part(page, "kappa").get_attribute("aria-valuetext") == "56"


def test_presets_are_buttons_that_say_which_is_on(page, site):
    open_explorer(page, site, "#low=0.2&high=0.5")
    pressed = "button[aria-pressed=true]"
    assert page.locator(f"#explorer-app {pressed}").count() == 0
    for name in ("Conventional", "Stable", "Hybrid"):
        page.get_by_role("button", name=name, exact=True).focus()
        page.keyboard.press("Enter")
        assert page.locator(f"#explorer-app {pressed}").all_inner_texts() == [name]


@pytest.mark.parametrize(
    ("file", "root", "panel"),
    [("explorer.html", "#explorer-app", "recall"), ("index.html", "#memory-player", "hybrid")],
)
def test_play_reaches_the_end_and_stops(page, site, seen, file, root, panel):
    page.clock.install()
    page.goto((site / file).as_uri())
    slider, button = part(page, "after", root), part(page, "play", root)
    chart = part(page, panel, root)
    page.clock.run_for(20_000)
    assert slider.input_value() == "10"  # nothing plays unasked
    assert button.inner_text() == "Play"

    button.click()
    words = []
    for step in range(10):
        assert slider.input_value() == str(step)
        assert button.inner_text() == "Pause"
        words.append(chart.get_attribute("aria-label"))
        page.clock.run_for(800)
    assert (slider.input_value(), button.inner_text()) == ("10", "Play")
    assert len(set(words)) == 10
    page.clock.run_for(5_000)
    assert slider.input_value() == "10"

    button.click()
    page.clock.run_for(2_400)
    button.click()  # Pause
    page.clock.run_for(5_000)
    assert (slider.input_value(), button.inner_text()) == ("3", "Play")
    assert seen["errors"] == []


def test_nothing_leaves_the_file_system_and_nothing_goes_wrong(page, site, seen):
    for file in ("explorer.html", "index.html"):
        page.goto((site / file).as_uri())
        page.wait_for_selector(".explorer svg text")
    assert seen["errors"] == []
    assert seen["requests"]
    assert all(url.startswith(("file://", "data:")) for url in seen["requests"])


LUMINANCE = """
color => {
  const context = document.createElement("canvas").getContext("2d");
  context.fillStyle = color;
  context.fillRect(0, 0, 1, 1);
  const [r, g, b] = Array.from(context.getImageData(0, 0, 1, 1).data, value => value / 255)
    .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
"""
COLORS = """
element => {
  const style = getComputedStyle(element);
  let behind = element;
  while (behind && getComputedStyle(behind).backgroundColor.endsWith(", 0)"))
    behind = behind.parentElement;
  return [element.closest("svg") ? style.fill : style.color,
    behind ? getComputedStyle(behind).backgroundColor : "white"];
}
"""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("root", ["#explorer-app", "#memory-player"])
def test_words_can_be_read_in_light_and_dark(page, site, theme, root):
    page.goto((site / ("explorer.html" if "app" in root else "index.html")).as_uri())
    page.wait_for_selector(f"{root} svg text")
    page.evaluate("theme => document.documentElement.dataset.theme = theme", theme)
    words = page.locator(f"{root} :is(svg text, label, button, strong, th, td, .explorer-key)")
    visible = [element for element in words.all() if element.is_visible()]
    assert len(visible) > 30
    for element in visible:
        front, back = (page.evaluate(LUMINANCE, color) for color in element.evaluate(COLORS))
        contrast = (max(front, back) + 0.05) / (min(front, back) + 0.05)
        assert contrast >= 4.5, (theme, element.inner_text(), contrast)


@pytest.mark.parametrize("width", [320, 390, 768])
@pytest.mark.parametrize("root", ["#explorer-app", "#memory-player"])
def test_it_fits_a_phone(page, site, width, root):
    page.set_viewport_size({"width": width, "height": 800})
    page.goto((site / ("explorer.html" if "app" in root else "index.html")).as_uri())
    page.wait_for_selector(f"{root} svg text")
    boxes = page.locator(f"{root} :is(svg text, svg path, button, input)").evaluate_all(
        "elements => elements.map(element => element.getBoundingClientRect())"
        ".map(({ left, right }) => [left, right])"
    )
    assert min(left for left, _ in boxes) >= 0
    assert max(right for _, right in boxes) <= width


def test_every_slider_and_picture_has_a_name(page, site):
    open_explorer(page, site)
    for slider in page.locator("#explorer-app input[type=range]").all():
        assert slider.evaluate("slider => slider.labels.length") == 1
        assert slider.get_attribute("aria-valuetext")
    for picture in page.locator("#explorer-app svg").all():
        assert picture.get_attribute("role") == "img"
        assert len(picture.get_attribute("aria-label")) > 40
    assert part(page, "summary").get_attribute("aria-live") == "polite"


@pytest.mark.parametrize("state", ["#low=0&high=1&kappa=14", "#low=0.2&high=0.8&kappa=56"])
def test_the_python_program_runs_and_prints_ten_shares(page, site, state):
    open_explorer(page, site, state)
    program = part(page, "python").evaluate("code => code.textContent")
    low, high, kappa = re.findall(r"=([\d.]+)", state)
    assert f"low, high, kappa = {low}, {high}, {kappa}\n" in program
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    recall = [float(share) for share in found.stdout.strip(" []\n").split()]
    assert len(recall) == 10
    assert 0.1 < np.mean(recall) <= 1
