"""Hostile strings in every field of the HTML pages, in a real browser."""

from __future__ import annotations

import json

import pytest
import spacy

from spacy_attn.classic.vectors import shared_vectors
from spacy_attn.compare.report.html import write_report
from spacy_attn.explain.explanation import explain
from spacy_attn.explain.page import page
from spacy_attn.explain.reading import Choice, Mark, ReadText, Word
from spacy_attn.explain.reading_page import reading_page
from tests.attack.generate import hostile_strings
from tests.compare.test_figures import toy_result

pytest.importorskip("jinja2")
pytest.importorskip("captum")

HOSTILE = hostile_strings("attacked")


def check(browser, path, tally, kind):
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get(path.as_uri())
    ran = browser.execute_script("return window.attacked === undefined")
    tally.check(f"{kind}: no script ran", ran, path.name)
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = {
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    }
    asked = {url for url in urls if not url.startswith("data:")} - {path.as_uri()}
    tally.check(f"{kind}: nothing asked for", not asked, asked)
    for element in ("iframe", "object", "embed", "base", "form"):
        found = browser.find_elements("tag name", element)
        tally.check(f"{kind}: no {element}", not found, path.name)


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_explanations(browser, tally, tmp_path, toy_vectors, number):
    hostile = HOSTILE[number]
    senses = [
        {
            "lemma": "bat",
            "pos": "NOUN",
            "sense": f"{i}{hostile}",
            "supersense": hostile,
            "definition": f"{hostile} of {word}",
        }
        for i, word in enumerate(("night", "ball"))
    ]
    path = tmp_path / "senses.jsonl"
    path.write_text("".join(json.dumps(sense) + "\n" for sense in senses))
    nlp = spacy.blank("en")
    settings = {"inventory": str(path), "method": "lesk"}
    nlp.add_pipe("sense_disambiguator", config=settings)
    vectors = shared_vectors(str(toy_vectors), "zero")
    texts = [f"the bat flew at night {hostile}", f"{hostile} swing the bat"]
    html = tmp_path / "why.html"
    html.write_text(page(explain(nlp, texts, "bat", method="lesk", vectors=vectors)), "utf-8")
    check(browser, html, tally, "explanations")


def hostile_reading(hostile):
    """A text to be read of which every field is hostile."""
    text = f"bat {hostile} reed"
    choices = (Choice(f"1{hostile}", f"{hostile} one"), Choice(f"2{hostile}", hostile))
    word = Word(hostile, "NOUN", choices)
    ranked = ((choices[0].id, 0.6), (choices[1].id, 0.4))
    mark = Mark(
        0, 3, word, ranked, (0, len(text)), hostile, (choices[1].id, 0.9), ((hostile, 0.5),)
    )
    end = len(text)
    return ReadText(
        hostile,
        text,
        (mark,),
        ((end - 4, end, hostile),),
        ((0, 3, hostile),),
        ((0, hostile),),
        hostile,
        ("entities", "chunks", "relations"),
    )


@pytest.mark.parametrize("review", [False, True])
def test_reading_pages(browser, tally, tmp_path, review):
    """Each card is opened, and in a review each sense is chosen once."""
    html = tmp_path / "read.html"
    html.write_text(reading_page([hostile_reading(each) for each in HOSTILE], review=review))
    check(browser, html, tally, "reading pages")
    for box in browser.find_elements("css selector", "#bar input[type=checkbox]"):
        browser.execute_script("if (!arguments[0].checked) arguments[0].click()", box)
    for number in range(len(HOSTILE)):
        browser.execute_script(f"document.getElementById('m{number}').click()")
        browser.execute_script(
            "for (const one of document.querySelectorAll('#card button, #card input')) one.click()"
        )
        ran = browser.execute_script("return window.attacked === undefined")
        tally.check("reading pages: cards", ran, HOSTILE[number])
        inside = browser.execute_script(
            "return document.querySelectorAll('#card script, #card img, #card svg[onload], "
            "#card iframe, article script, article img, article iframe').length"
        )
        tally.check("reading pages: no element of theirs", inside == 0, HOSTILE[number])


def hostile_result(number):
    """A comparison whose every name and text is a hostile string, each field another one."""

    def hostile(field, value):
        return f"{HOSTILE[(number + field) % len(HOSTILE)]}{value}"

    result = toy_result()
    names = {
        system["name"]: hostile(i, system["name"]) for i, system in enumerate(result["systems"])
    }
    told_apart = sorted({item["stratum"] for item in result["instances"]})
    strata = {name: hostile(3 + i, name) for i, name in enumerate(told_apart)}
    for system in result["systems"]:
        system["name"] = names[system["name"]]
        system["strata"] = {strata.get(k, k): v for k, v in system["strata"].items()}
    for item in result["instances"]:
        item["text"] = f"{item['text']} {hostile(7, '')}"
        item["gold"] = [hostile(8, sense) for sense in item["gold"]]
        item["lemma"], item["stratum"] = hostile(9, item["lemma"]), strata[item["stratum"]]
        item["predictions"] = {
            names.get(name, name): [hostile(8, sense), *more]
            for name, (sense, *more) in item["predictions"].items()
        }
    result["vector_map"] |= {"lemma": hostile(9, "bat"), "method": hostile(10, "attention")}
    for point in result["vector_map"]["points"]:
        point["sense"] = hostile(8, point["sense"])
    result |= {
        "dataset": hostile(11, ""),
        "inventory": hostile(12, ""),
        "failed": {hostile(13, ""): hostile(14, "")},
    }
    result["manifest"]["command"] = hostile(13, "")
    return result


def test_reports(browser, size, tally, tmp_path):
    for number in range(0, len(HOSTILE), 1 if size >= 100_000 else 5):
        html, *_ = write_report(hostile_result(number), tmp_path / str(number))
        check(browser, html, tally, "reports")
        browser.execute_script(
            "for (const menu of document.querySelectorAll('select')) for (const one of "
            "menu.options) {menu.value = one.value; menu.dispatchEvent(new Event('change'))}"
            "for (const point of document.querySelectorAll('[tabindex]')) point.focus()"
        )
        ran = browser.execute_script("return window.attacked === undefined")
        tally.check("reports: menus and points", ran, number)
