"""The reading page in a real browser: headless Chromium, driven by selenium.

apt-get install chromium chromium-driver; pip install selenium axe-core-python
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from spacy_attn.explain.reading import Choice, Mark, ReadText, Word
from spacy_attn.explain.reading_page import reading_page
from spacy_attn.wsd.inventory.corrections import read_corrections
from spacy_attn.wsd.inventory.labelled import read_labelled
from tests.explain.test_page_in_browser import colour, emulate, luminance
from tests.explain.test_reading import HOSTILE, mark

pytest.importorskip("jinja2")

BAT = Word("bat", "NOUN", (Choice("bat.animal", "a flying animal"), Choice("bat.club", "a club")))
BANK = Word("bank", "NOUN", tuple(Choice(f"bank.{i}", f"the definition {i}") for i in range(12)))
TEXT = "🦇 One bat flew.\n\nAnother bat, Al said, is in the bank."


@pytest.fixture
def texts():
    marks = [
        mark(TEXT, BAT, {"bat.animal": 0.97, "bat.club": 0.03}, cues=(("flew", 1.25),)),
        mark(TEXT, BAT, {"bat.club": 0.7, "bat.animal": 0.3}, 16, other=("bat.animal", 0.8)),
        mark(TEXT, BANK, {sense.id: 1 / 12 for sense in BANK.senses}),
    ]
    return [
        ReadText(
            "story <1>",
            TEXT,
            tuple(marks),
            ((30, 32, "PERSON"),),
            ((0, 9, "NP"),),
            ((30, "Al → said"),),
            "word2vec",
            ("entities", "chunks", "relations"),
        )
    ]


@pytest.fixture
def opened(browser, tmp_path):
    def opened(texts, review=False):
        path = tmp_path / "page.html"
        path.write_text(reading_page(texts, review=review), encoding="utf-8")
        for log in ("browser", "performance"):
            browser.get_log(log)
        browser.get(path.as_uri())
        return path.as_uri()

    return opened


def run(browser, script, *arguments):
    return browser.execute_script(script, *arguments)


def press(browser, key):
    run(
        browser,
        "(document.activeElement || document.body).dispatchEvent("
        "new KeyboardEvent('keydown', {key: arguments[0], bubbles: true, cancelable: true}))",
        key,
    )


def card(browser):
    return run(
        browser, "const c = document.getElementById('card'); return c.hidden ? '' : c.innerText"
    )


def urls(browser):
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return {
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    }


@pytest.mark.parametrize("review", [False, True])
@pytest.mark.parametrize("is_hostile", [False, True])
def test_no_error_and_no_request(browser, opened, texts, review, is_hostile):
    if is_hostile:
        word = Word("bat", "NOUN", (Choice("</script><script>", "<b>"), Choice("b", "c")))
        marks = (mark(HOSTILE, word, {"b": 0.5, "</script><script>": 0.5}),)
        texts = [ReadText(HOSTILE, HOSTILE, marks)]
    url = opened(texts, review)
    assert browser.get_log("browser") == []
    assert urls(browser) == {url}
    assert len(browser.find_elements("css selector", "script")) == 2
    assert browser.find_elements("css selector", "img") == []


@pytest.mark.parametrize("review", [False, True])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser, opened, texts, review, scheme):
    axe = pytest.importorskip("axe_core_python")
    opened(texts, review)
    emulate(browser, scheme)
    try:
        run(
            browser,
            "for (const box of document.querySelectorAll('#bar input[type=checkbox]'))"
            " if (!box.checked) box.click();"
            "document.querySelector('#m1').click();"
            "document.querySelector('#words button').click()",
        )
        run(browser, (Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
        found = browser.execute_async_script(
            "const done = arguments[0]; axe.run().then((r) => done(r.violations))"
        )
    finally:
        emulate(browser, "light")
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == []


def test_each_mark_is_seen_and_known_without_colour(browser, opened):
    """Three to one is what WCAG 2.2 asks of signs that are no text (1.4.11)."""
    one = Word("One", "NOUN", (Choice("one.n", "a number"),))
    marks = [mark(TEXT, one, {"one.n": 1.0}), mark(TEXT, BAT, {"bat.animal": 1.0, "bat.club": 0.0})]
    marks += [mark(TEXT, BAT, {"bat.club": 0.7, "bat.animal": 0.3}, 16)]
    marks += [mark(TEXT, BANK, {sense.id: 1 / 12 for sense in BANK.senses})]
    opened([ReadText("", TEXT, tuple(marks))])
    names = [f"#m{i}" for i in range(4)]
    look = "return getComputedStyle(document.querySelector(arguments[0])).textDecorationStyle"
    styles = [run(browser, look, name) for name in names]
    assert styles == ["dotted", "solid", "dashed", "wavy"]
    try:
        for scheme in ("light", "dark"):
            emulate(browser, scheme)
            paper = luminance(colour(browser, "body", "backgroundColor"))
            for name in names:
                ink = luminance(colour(browser, name, "textDecorationColor"))
                ratio = (max(paper, ink) + 0.05) / (min(paper, ink) + 0.05)
                assert ratio > 3, (scheme, name, ratio)
    finally:
        emulate(browser, "light")


def test_a_click_and_the_keyboard_show_the_card(browser, opened, texts):
    opened(texts)
    assert card(browser) == ""
    browser.find_element("css selector", "#m0").click()
    shown = card(browser)
    for part in ("bat", "a flying animal", "97 %", "bat.club", "3 %", "Weighed most: flew (+1.25)"):
        assert part in shown
    run(browser, "document.querySelector('#m0').focus({focusVisible: true})")
    press(browser, "ArrowRight")
    assert run(browser, "return document.activeElement.id") == "m1"
    assert "word2vec: ≠ bat.animal, 80 %" in card(browser)
    assert (
        run(browser, "return [...document.querySelectorAll('b[aria-expanded=true]')].length") == 1
    )
    press(browser, "Escape")
    assert card(browser) == ""
    assert run(browser, "return document.querySelectorAll('main b[tabindex=\"0\"]').length") == 1


def test_the_card_says_how_probable_it_is_that_no_sense_is_meant(browser, opened):
    marks = [mark(TEXT, BAT, {"bat.animal": 0.8, "bat.club": 0.12})]
    marks += [mark(TEXT, BAT, {"bat.club": 0.75, "bat.animal": 0.25}, 16)]
    opened([ReadText("", TEXT, tuple(marks))])
    browser.find_element("css selector", "#m0").click()
    assert card(browser).endswith("none of these\n8 %")
    press(browser, "Escape")
    browser.find_element("css selector", "#m1").click()
    assert "none of these" not in card(browser)


def test_layers_are_switched_on(browser, opened, texts):
    opened(texts)
    shown = "return getComputedStyle(document.querySelector('ul.r')).display"
    assert run(browser, shown) == "none"
    for layer in ("relations", "entities", "chunks", "differences"):
        browser.find_element("id", f"show-{layer}").click()
    assert run(browser, shown) == "block"
    content = "return getComputedStyle(document.querySelector(arguments[0]), arguments[1]).content"
    assert run(browser, content, ".e", "::after") == '"PERSON"'
    assert run(browser, content, "i.k", "::before") == '"[NP "'
    assert run(browser, content, "#m1", "::before") == '"≠"'
    assert run(browser, content, "#m0", "::before") == "none"
    browser.find_element("id", "show-senses").click()
    line = "return getComputedStyle(document.querySelector('#m0')).textDecorationLine"
    assert run(browser, line) == "none"


def test_the_list_filters_the_text(browser, opened, texts):
    opened(texts)
    hits = "return [...document.querySelectorAll('b.hit')].map((e) => e.id)"
    buttons = browser.find_elements("css selector", "#words > li > button")
    assert [each.text.split("\n")[0] for each in buttons] == ["bat noun", "bank noun"]
    buttons[0].click()
    assert run(browser, hits) == ["m0", "m1"]
    assert browser.find_element("id", "filter").text == "bat: 2 in the text"
    browser.find_element("css selector", "#words ul:not([hidden]) li:last-child button").click()
    assert run(browser, hits) == ["m1"]
    buttons[0].click()
    buttons[0].click()
    assert run(browser, hits) == []


def test_a_word_with_other_senses_in_some_places_has_one_entry(browser, opened):
    noun = tuple(Choice(sense.id, sense.definition, "bat", "NOUN") for sense in BAT.senses)
    senses = (*noun, Choice("bat.hit", "to hit", "bat", "VERB"))
    text = "A bat, the bat, the bat."
    marks = (
        mark(text, Word("bat", "NOUN", noun), {"bat.animal": 0.9, "bat.club": 0.1}),
        mark(text, Word("bat", "NOUN", senses), {"bat.animal": 0.6, "bat.hit": 0.4}, 6),
        mark(text, Word("bat", "VERB", senses), {"bat.hit": 0.6, "bat.club": 0.4}, 16),
    )
    opened([ReadText("", text, marks)])
    buttons = browser.find_elements("css selector", "#words > li > button")
    assert [each.text.split() for each in buttons] == [["bat", "noun", "2"], ["bat", "verb", "1"]]
    line = "return JSON.parse(lineOf([arguments[0], arguments[1]]))"
    chosen = [run(browser, line, 2, verdict) for verdict in (0, 2, "none")]
    assert [(each["sense"], each["pos"]) for each in chosen] == [
        ("bat.animal", "NOUN"),
        ("bat.hit", "VERB"),
        ("", "VERB"),
    ]


def test_search_looks_at_words_senses_and_definitions(browser, opened, texts):
    opened(texts)
    box = browser.find_element("id", "search")
    box.send_keys("definition 7")
    assert browser.find_element("id", "hits").text == "1 found"
    assert run(browser, "return [...document.querySelectorAll('b.hit')].map((e) => e.id)") == ["m2"]
    press(browser, "Enter")
    assert "bank" in card(browser)
    box.clear()
    box.send_keys("nothing of it")
    assert browser.find_element("id", "hits").text == "0 found"


def test_corrections_are_chosen_undone_kept_and_saved(browser, opened, texts, tmp_path):
    folder = tmp_path / "saved"
    folder.mkdir()
    browser.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)}
    )
    opened(texts, review=True)
    run(browser, "localStorage.clear()")
    opened(texts, review=True)
    now = "return document.querySelector('b.now')?.id"
    progress = browser.find_element("id", "progress")
    assert (run(browser, now), progress.text) == ("m2", "0 of 3")  # the least certain one
    press(browser, "3")
    assert (run(browser, now), progress.text) == ("m1", "1 of 3")
    press(browser, "0")
    assert run(browser, now) == "m0"
    press(browser, "u")
    assert (run(browser, now), progress.text) == ("m1", "1 of 3")
    press(browser, "-")
    press(browser, "n")
    assert run(browser, now) == "m0"  # the only one that is left
    opened(texts, review=True)  # what was said is kept
    assert browser.find_element("id", "progress").text == "2 of 3"
    press(browser, "2")
    assert (
        browser.find_element("id", "question").text
        == "All words are decided. Save the corrections."
    )
    press(browser, "s")
    path = folder / "corrections.jsonl"
    for _ in range(100):
        if path.exists() and path.read_text():
            break
        time.sleep(0.05)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [(line["verdict"], line["sense"], line["was"]) for line in lines] == [
        ("sense", "bat.club", "bat.animal"),
        ("unclear", "", "bat.club"),
        ("sense", "bank.2", "bank.0"),
    ]
    assert lines[0]["document"] == "story <1>"
    for line in lines:
        assert line["text"][line["start"] : line["end"]] == line["lemma"]
        assert TEXT[line["offset"] : line["offset"] + line["end"] - line["start"]] == line["lemma"]
    assert len(read_corrections(path)) == 3
    assert [label.sense for label in read_labelled(path)] == ["bat.club", "bank.2"]


def test_nothing_is_wider_than_a_telephone(browser, opened, texts):
    for review in (False, True):
        opened(texts, review)
        metrics = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        try:
            browser.find_element("css selector", "#m0").click()
            assert run(browser, "return document.documentElement.scrollWidth") <= 360
            assert run(browser, "return document.getElementById('card').offsetWidth") <= 360
        finally:
            browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_long_page_opens(browser, opened):
    words = [
        Word(f"w{i}", "NOUN", (Choice(f"w{i}.a", "x " * 40), Choice(f"w{i}.b", "y " * 40)))
        for i in range(1000)
    ]
    text = "\n\n".join(
        " ".join(f"w{i % 1000}" for i in range(k, k + 100)) for k in range(0, 20_000, 100)
    )
    marks, at = [], 0
    for i in range(20_000):
        word = words[i % 1000]
        at = text.index(word.lemma, at)
        ranked = ((word.senses[0].id, 0.7), (word.senses[1].id, 0.3))
        marks.append(Mark(at, at + len(word.lemma), word, ranked, (at, at + 9)))
        at += len(word.lemma)
    opened([ReadText("long", text, tuple(marks))])
    assert browser.get_log("browser") == []
    assert run(browser, "return document.querySelectorAll('#words > li').length") == 101
    browser.find_element("css selector", "#words > li:last-child button").click()
    assert run(browser, "return document.querySelectorAll('#words > li').length") == 1000
