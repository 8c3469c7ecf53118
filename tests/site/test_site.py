"""Laws of the built site: whole, offline, small, and usable by everyone."""

import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlparse

import pytest

ROOT = Path(__file__).parents[2]
LESSONS = sorted(path.stem for path in (ROOT / "tutorials").glob("[0-9]*.py"))
MOST_BYTES = 3_000_000
LOADED = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src")}


class Page(HTMLParser):
    """What a page links to, loads and shows."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.links, self.loads, self.images, self.headings = set(), [], [], [], []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids.update(found[name] for name in ("id", "name") if found.get(name))
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if tag == "img":
            self.images.append(found)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        for element, attribute in LOADED:
            if tag == element and found.get(attribute):
                self.loads.append(found[attribute])


@pytest.fixture(scope="module")
def pages(site):
    """Every page, by its path in the site."""
    found = {path: Page(path) for path in site.rglob("*.html") if "_static" not in path.parts}
    assert len(found) > 50
    return found


def target_of(path, link):
    """File and fragment that a link within the site leads to."""
    address, fragment = urldefrag(link)
    return (path.parent / unquote(address) if address else path).resolve(), unquote(fragment)


def test_every_link_within_the_site_leads_somewhere(pages):
    by_place = {path.resolve(): page for path, page in pages.items()}
    broken = []
    for path, page in pages.items():
        for link in page.links:
            if urlparse(link).scheme or link.startswith("//"):
                continue
            target, fragment = target_of(path, link)
            if not target.exists():
                broken.append((path.name, link))
                continue
            known = by_place[target].ids if target in by_place else {fragment}
            if fragment not in known | {""} and "=" not in fragment:  # = is the explorer's state
                broken.append((path.name, link))
    assert not broken


def test_nothing_is_loaded_from_elsewhere(pages):
    for path, page in pages.items():
        assert not [link for link in page.loads if urlparse(link).netloc], path


def test_every_image_says_what_it_shows(pages):
    for path, page in pages.items():
        for image in page.images:
            words = image.get("alt") or ""
            assert len(words) > 10, (path.name, image)
            assert not re.fullmatch(r"[\w./ -]+\.(png|svg)", words), (path.name, words)


def test_headings_skip_no_level(pages):
    """Who listens to a page finds the way by its headings."""
    for path, page in pages.items():
        if path.name in {"search.html", "genindex.html"}:
            continue
        assert page.headings.count(1) == 1, path
        content = page.headings[page.headings.index(1) :]
        steps = [after - before for before, after in pairwise(content)]
        assert max(steps, default=0) <= 1, path


def test_no_page_weighs_over_3_megabytes(pages):
    """With all that it loads."""
    for path, page in pages.items():
        files = {target_of(path, link)[0] for link in page.loads if not link.startswith("data:")}
        weight = path.stat().st_size + sum(file.stat().st_size for file in files if file.exists())
        assert weight < MOST_BYTES, (path, weight)


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_lesson_can_be_downloaded_and_shows_its_figures(lesson, site, pages):
    page = pages[site / "lessons" / f"{lesson}.html"]
    for ending in ("py", "ipynb"):
        assert any(link.endswith(f"/{lesson}.{ending}") for link in page.links), ending
    source = (ROOT / "tutorials" / f"{lesson}.py").read_text("utf-8")
    shown = [image for image in page.images if f"/{lesson}-" in image.get("src", "")]
    assert len(shown) == source.count("plt.show()")
    for image in shown:
        assert any(link.endswith(image["src"]) for link in page.links), "no link to the full size"


def test_the_first_thing_on_a_lesson_is_its_question(site):
    for lesson in LESSONS:
        text = (site / "lessons" / f"{lesson}.html").read_text("utf-8")
        article = text[text.index("<h1>") :]
        assert article.index("?</strong>") < article.index("download")


def test_pictures_for_slides_lead_to_their_full_size(site, pages):
    page = pages[site / "teachers.html"]
    assert len(page.images) >= 8
    for image in page.images:
        if "theme" not in image.get("src", ""):
            assert image["src"] in page.links, image


def test_no_page_complains_or_looks_elsewhere(site, pages, browser):
    complaints = []
    context = browser.new_context()
    page = context.new_page()
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request",
        lambda r: None if r.url.startswith(("file:", "data:")) else complaints.append(r.url),
    )
    for path in sorted(pages):
        page.goto(path.as_uri())
        assert not complaints, (path.relative_to(site), complaints)
    context.close()


def test_search_finds_a_word_offline(site, page):
    page.goto((site / "search.html").as_uri() + "?q=kappa")
    page.wait_for_selector("#search-results li a")
    assert "kappa" in page.inner_text("#search-results").lower()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["index", "model", "lessons/01_one_synapse", "exercises"])
def test_text_can_be_read_in_light_and_dark(scheme, name, site, browser):
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    page.goto((site / f"{name}.html").as_uri())
    ground, ink = page.evaluate(
        """() => [getComputedStyle(document.body).backgroundColor,
                  getComputedStyle(document.querySelector("article p")).color]"""
    )
    light, dark = sorted((luminance(ground), luminance(ink)), reverse=True)
    assert (luminance(ground) > 0.5) == (scheme == "light")
    assert (light + 0.05) / (dark + 0.05) >= 7
    context.close()


def luminance(color):
    """Relative luminance of "rgb(r, g, b)", after the web's accessibility guidelines."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(weight * p for weight, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("name", ["index", "start", "teachers", "lessons/06_does_mixing_matter"])
def test_no_page_is_wider_than_the_screen(width, name, site, browser):
    context = browser.new_context(viewport={"width": width, "height": 800})
    page = context.new_page()
    page.goto((site / f"{name}.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


def test_the_front_page_is_one_tab_from_its_content(site, page):
    page.goto((site / "index.html").as_uri())
    page.keyboard.press("Tab")
    assert "main" in page.evaluate("document.activeElement.getAttribute('href') || ''")


def test_a_formula_is_mathml_with_words_a_reader_can_speak(site, page):
    page.goto((site / "model.html").as_uri())
    assert page.locator("math").count() > 10
    assert page.locator("math mo").count() > 10


def test_a_formula_is_whole_and_in_the_font_that_comes_with_the_site(site, page):
    """Parentheses are as high as the fraction that they hold, and nothing is cut off."""
    page.goto((site / "model.html").as_uri())
    page.evaluate("document.fonts.ready")
    assert page.evaluate("document.fonts.check('16px \"Latin Modern Math\"')")
    status = "[...document.fonts].filter(f => f.family.includes('Latin Modern')).map(f => f.status)"
    assert page.evaluate(status) == ["loaded"]
    boxes = page.evaluate(
        """() => [...document.querySelectorAll('div.math')].map(box => ({
            cut: box.scrollHeight > box.clientHeight,
            font: getComputedStyle(box.querySelector('math')).fontFamily,
            fraction: box.querySelector('mfrac').getBoundingClientRect().height,
            heights: [...box.querySelectorAll('mo')]
                .filter(o => '()'.includes(o.textContent.trim()))
                .map(o => o.getBoundingClientRect().height)}))"""
    )
    assert boxes
    for box in boxes:
        assert not box["cut"]
        assert box["font"].startswith('"Latin Modern Math"')
        assert max(box["heights"]) > 0.8 * box["fraction"], box


def test_no_code_leaves_its_box(site, pages, browser):
    """At 1280 pixels, a small laptop's width."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    wide = {}
    for path in sorted(pages):
        page.goto(path.as_uri(), wait_until="domcontentloaded")
        lines = page.evaluate(
            """() => [...document.querySelectorAll('div.highlight pre')]
                .filter(box => box.scrollWidth > box.clientWidth + 1)
                .map(box => box.textContent.split('\\n').sort((a, b) => b.length - a.length)[0])"""
        )
        if lines:
            wide[str(path.relative_to(site))] = lines
    assert not wide
    context.close()


def test_the_code_of_a_lesson_leads_to_the_api(site, page):
    page.goto((site / "lessons" / "04_serial_position.html").as_uri())
    for name in ("mp.run_experiment", "mp.Settings", "mp.metrics.measure_primacy"):
        link = page.locator("div.highlight a", has_text=name).first
        assert "/api/" in link.get_attribute("href") or "../api/" in link.get_attribute("href")


def test_a_list_of_what_to_read_is_not_colored_as_python(site, page):
    page.goto((site / "api.html").as_uri())
    box = page.locator("div.highlight pre", has_text="the one place where weights move")
    assert box.count() == 1
    assert box.locator("span.k, span.kn, span.n, span.ow").count() == 0


def test_every_lesson_on_the_list_has_its_number_question_time_and_what_to_read_first(site, page):
    page.goto((site / "lessons" / "index.html").as_uri())
    cards = page.locator(".sd-card")
    assert cards.count() == len(LESSONS)
    for number in range(len(LESSONS)):
        words = cards.nth(number).inner_text()
        assert f"{number + 1}. " in words
        assert "?" in words
        assert re.search(r"Runs in \d+ s\. Read first: (nothing|lesson)", words), words
        title = cards.nth(number).locator(".sd-card-title").text_content().strip()
        assert cards.nth(number).get_by_role("link", name=title).count() == 1, title
    sidebar = page.locator(".bd-sidebar-primary").inner_text()
    assert "14. " in sidebar
