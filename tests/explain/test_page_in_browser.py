"""The page of explanations in a real browser: headless Chromium, driven by selenium.

apt-get install chromium chromium-driver; pip install selenium
"""

from __future__ import annotations

import json

import pytest

from spacy_attn.classic.vectors import shared_vectors
from spacy_attn.explain.explanation import DEFAULT_ATTRIBUTIONS, explain
from spacy_attn.explain.page import page
from tests.explain.test_page import HOSTILE, TEXTS

pytest.importorskip("jinja2")
pytest.importorskip("captum")


@pytest.fixture
def opened(browser, tmp_path, toy_nlp, toy_vectors):
    """Opens the page of some texts; logs of earlier pages are thrown away."""

    def opened(texts=TEXTS):
        vectors = shared_vectors(str(toy_vectors), "zero")
        path = tmp_path / "why.html"
        found = explain(toy_nlp, texts, "bat", vectors=vectors, attributions=DEFAULT_ATTRIBUTIONS)
        path.write_text(page(found), encoding="utf-8")
        for log in ("browser", "performance"):
            browser.get_log(log)
        browser.get(path.as_uri())
        return path.as_uri()

    return opened


def press(browser, key, code):
    for kind in ("rawKeyDown", "keyUp"):
        browser.execute_cdp_cmd(
            "Input.dispatchKeyEvent",
            {"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code},
        )


@pytest.mark.parametrize("texts", [TEXTS, [HOSTILE]])
def test_no_error_no_request_and_text_stays_text(browser, opened, texts):
    url = opened(texts)
    assert browser.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = {
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    }
    assert {each for each in urls if not each.startswith("data:")} == {url}
    for text in texts:
        visible = "".join(c for c in text if c.isprintable())
        shown = browser.execute_script(
            "return [...document.querySelectorAll('.way-attention .text')].map((p) => {"
            "const copy = p.cloneNode(true);"
            "copy.querySelectorAll('rt').forEach((r) => r.remove());"
            "return copy.textContent;})"
        )
        assert any(visible in "".join(c for c in each if c.isprintable()) for each in shown)
    assert browser.find_elements("css selector", "main script:not([type])") == []


def test_the_keyboard_switches_the_way(browser, opened):
    opened()
    shown = "return [...document.querySelectorAll('div.way')].filter((e) => e.offsetHeight > 0)"
    shown += ".map((e) => e.className)"
    assert browser.execute_script(shown) == ["way way-occlusion"] * 2
    press(browser, "Tab", 9)
    assert browser.execute_script("return document.activeElement.id") == "way-occlusion"
    press(browser, "ArrowDown", 40)
    assert browser.execute_script(shown) == ["way way-integrated_gradients"] * 2


def test_a_head_shows_its_row_and_column(browser, opened, toy_nlp):
    from spacy_attn.encoder.attention_map import attention_map
    from spacy_attn.explain.decision import subjects_of

    opened(TEXTS[1:])
    browser.execute_script("document.querySelector('.heads-of').open = true")
    button = browser.find_element("css selector", "[data-layer='1'][data-head='0']")
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    rows = browser.execute_script(
        "return [...document.querySelectorAll('.head-said tr')].slice(1)"
        ".map((r) => [...r.children].map((c) => c.textContent))"
    )
    ((_, subject),) = subjects_of(toy_nlp, TEXTS[1:], "bat")
    assert browser.find_element("css selector", ".head-said caption").text == "Layer 2, head 1"
    whole = attention_map(subject.encoder, TEXTS[1], subject.context.offsets)
    made = whole.of(2, 1)
    assert [row[0] for row in rows] == [*TEXTS[1].split(), "special tokens"]
    assert float(rows.pop()[1]) == pytest.approx(whole.special_of(2, 1)[1], abs=0.0051)
    for i, row in enumerate(rows):
        assert float(row[1]) == pytest.approx(made[1, i], abs=0.0051)
        assert float(row[2]) == pytest.approx(made[i, 1], abs=0.0051)


def emulate(browser, scheme):
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"media": "", "features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )


def colour(browser, selector, name):
    """Red, green, blue, 0 to 1, of the painted colour; of the darkest shade on its ground."""
    found = browser.execute_script(
        "const canvas = document.createElement('canvas')"
        ".getContext('2d', {willReadFrequently: true});"
        "const of = (e, n) => getComputedStyle(e)[n];"
        "canvas.fillStyle = of(document.body, 'backgroundColor'); canvas.fillRect(0, 0, 1, 1);"
        "canvas.fillStyle = of(document.querySelector(arguments[0]), arguments[1]);"
        "canvas.fillRect(0, 0, 1, 1);"
        "return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3)",
        selector,
        name,
    )
    return [c / 255 for c in found]


def luminance(shares):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_dark_and_light_are_legible_on_the_strongest_shade(browser, opened):
    opened()
    grounds = {}
    try:
        for scheme in ("light", "dark"):
            emulate(browser, scheme)
            browser.execute_script(
                "for (const t of document.querySelectorAll('.t')) t.style.setProperty('--w', 1);"
                "document.querySelector('.t').classList.remove('against');"
                "[...document.querySelectorAll('.t')].at(-1).classList.add('against')"
            )
            ink = luminance(colour(browser, "body", "color"))
            grounds[scheme] = luminance(colour(browser, "body", "backgroundColor"))
            for selector in ("body", ".t:not(.against)", ".t.against"):
                ground = luminance(colour(browser, selector, "backgroundColor"))
                ratio = (max(ground, ink) + 0.05) / (min(ground, ink) + 0.05)
                assert ratio > 4.5, (scheme, selector, ratio)
    finally:
        emulate(browser, "light")
    assert grounds["dark"] < 0.05 < 0.9 < grounds["light"]


def test_nothing_is_wider_than_a_telephone(browser, opened):
    opened()
    metrics = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 360
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
