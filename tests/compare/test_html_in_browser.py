"""The report in a real browser: headless Chromium, driven by selenium.

apt-get install chromium chromium-driver; pip install selenium axe-core-python
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spacy_attn.compare.report.disputes import MOST_SHOWN
from spacy_attn.compare.report.html import write_report
from tests.compare.test_figures import RIGHT, TEXTS
from tests.compare.test_html import HOSTILE, hostile_result, toy_result

pytest.importorskip("matplotlib")


def opened(browser, result, folder):
    """The report in the browser; logs of earlier pages are thrown away."""
    for log in ("browser", "performance"):
        browser.get_log(log)
    url = write_report(result, folder)[0].as_uri()
    browser.get(url)
    return url


@pytest.fixture
def page(browser, tmp_path):
    opened(browser, toy_result(), tmp_path)
    return browser


def shown(browser):
    """The texts of the disagreements that are to be seen."""
    return browser.execute_script(
        "return [...document.querySelectorAll('#disputed > li')]"
        ".filter((item) => item.offsetHeight > 0)"
        ".map((item) => item.firstElementChild.textContent)"
    )


def choose(browser, menu, name):
    browser.execute_script(
        "const menu = document.getElementById(arguments[0]);"
        "menu.value = [...menu.options].findIndex((each) => each.text === arguments[1]);"
        "menu.dispatchEvent(new Event('change', {bubbles: true}));",
        menu,
        name,
    )


def right_alone(one, other):
    pairs = zip(RIGHT[one], RIGHT[other], TEXTS, strict=True)
    return [text for a, b, (text, *_) in pairs if a > b]


def count(browser, key):
    return browser.find_element("id", f"count-{key}").get_attribute("textContent")


def requested(browser):
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]


@pytest.mark.parametrize("make", [toy_result, hostile_result])
def test_no_error_and_no_request_but_the_page(browser, tmp_path, make):
    url = opened(browser, make(), tmp_path)
    assert browser.get_log("browser") == []
    urls = requested(browser)
    assert url in urls
    assert [each for each in urls if each != url and not each.startswith("data:")] == []
    assert browser.execute_script("return document.scripts.length") == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(page, scheme):
    axe = pytest.importorskip("axe_core_python")
    emulate(page, scheme)
    try:
        page.execute_script("for (const d of document.querySelectorAll('details')) d.open = true")
        page.execute_script((Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
        found = page.execute_async_script(
            "const done = arguments[0]; axe.run().then((r) => done(r.violations))"
        )
    finally:
        emulate(page, "light")
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == []


def test_tab_reaches_menus_and_points(page):
    reached = []
    for _ in range(120):
        page.execute_cdp_cmd(
            "Input.dispatchKeyEvent",
            {"type": "rawKeyDown", "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9},
        )
        page.execute_cdp_cmd(
            "Input.dispatchKeyEvent",
            {"type": "keyUp", "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9},
        )
        here = page.execute_script("return document.activeElement.id")
        if here == "swap":
            break
        reached.append(here)
    points = [f"vector-map--map-point-{i}" for i in range(4)]
    wanted = [*points, "right", "wrong"]
    assert [each for each in reached if each in wanted] == wanted
    assert here == "swap"


def test_a_point_shows_its_sentence(page):
    said = page.find_element("id", "map-said")
    for i in (2, 0):
        page.execute_script(f"document.getElementById('vector-map--map-point-{i}').focus()")
        assert TEXTS[i][0] in said.text
        assert TEXTS[i][2] in said.text
    assert (
        page.execute_script("return document.querySelector('#map-said mark').textContent") == "flew"
    )
    page.execute_script("document.getElementById('vector-map--map-place-0').focus()")
    assert said.text.startswith("4 sentences at one place")


def test_pointing_shows_a_sentence_too(page):
    point = page.find_element("id", "vector-map--map-point-1")
    action_chains = pytest.importorskip("selenium.webdriver").ActionChains
    action_chains(page).scroll_to_element(point).move_to_element(point).perform()
    assert TEXTS[1][0] in page.find_element("id", "map-said").text


def test_another_pair_is_another_list(page):
    assert page.find_element("id", "menus").is_displayed()
    assert shown(page) == right_alone("attention", "lesk")
    choose(page, "right", "lesk")
    choose(page, "wrong", "word2vec")
    assert shown(page) == right_alone("lesk", "word2vec")
    assert (count(page, "n"), count(page, "back")) == ("2", "1")
    answers = page.execute_script(
        "return [...document.querySelectorAll('#disputed > li:not([hidden]) .said')]"
        ".map((each) => each.textContent)"
    )
    assert all(a.startswith("lesk: ") and " · word2vec: " in a for a in answers)
    page.find_element("id", "swap").click()
    assert shown(page) == right_alone("word2vec", "lesk")
    choose(page, "wrong", "word2vec")
    assert shown(page) == []
    assert count(page, "n") == "0"


def test_a_long_list_is_cut_in_the_browser(browser, tmp_path):
    result = toy_result()
    first = result["instances"][2]  # lesk is wrong, attention and word2vec are right
    result["instances"] = [{**first, "id": f"long.{i}"} for i in range(MOST_SHOWN + 5)]
    opened(browser, result, tmp_path)
    assert len(shown(browser)) == MOST_SHOWN
    assert browser.find_element("id", "left-out").is_displayed()
    assert count(browser, "left") == "5"
    choose(browser, "right", "word2vec")
    assert len(shown(browser)) == MOST_SHOWN
    choose(browser, "wrong", "attention")
    assert not browser.find_element("id", "left-out").is_displayed()


def test_hostile_names_stay_text_when_chosen(browser, tmp_path):
    opened(browser, hostile_result(), tmp_path)
    choose(browser, "wrong", "word2vec")
    choose(browser, "right", HOSTILE)
    assert browser.find_element("css selector", ".name-right").text == HOSTILE
    browser.execute_script("document.getElementById('vector-map--map-point-0').focus()")
    assert HOSTILE in browser.find_element("id", "map-said").text
    assert browser.find_elements("css selector", "main script, main b, main img") == []
    assert browser.get_log("browser") == []


def emulate(browser, scheme, media=""):
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"media": media, "features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )


def luminance(browser, selector, name):
    """Relative luminance of a colour as the browser computes it (WCAG 2.2)."""
    colour = browser.execute_script(
        "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
        ".match(/[\\d.]+/g).slice(0, 3).map(Number)",
        selector,
        name,
    )
    shares = [c / 255 for c in colour]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_dark_mode_is_dark_and_everything_legible(page):
    grounds = {}
    try:
        for scheme in ("light", "dark"):
            emulate(page, scheme)
            ground = grounds[scheme] = luminance(page, "body", "backgroundColor")
            for selector, name in (
                ("body", "color"),
                ("figcaption", "color"),
                ("nav a", "color"),
                ("figure svg text", "fill"),
            ):
                other = luminance(page, selector, name)
                ratio = (max(ground, other) + 0.05) / (min(ground, other) + 0.05)
                assert ratio > 4.5, (scheme, selector)
        emulate(page, "dark", "print")
        assert luminance(page, "body", "backgroundColor") == grounds["light"] > 0.9
        assert not page.find_element("css selector", "nav").is_displayed()
    finally:
        emulate(page, "light")
    assert grounds["dark"] < 0.05


def test_nothing_but_tables_and_figures_is_wider_than_a_telephone(page):
    metrics = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        wide = page.execute_script("return document.documentElement.scrollWidth")
        boxes = page.execute_script(
            "return [...document.querySelectorAll('.scroll')]"
            ".filter((box) => box.scrollWidth > box.clientWidth).length"
        )
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert wide <= 360
    assert boxes > 3
