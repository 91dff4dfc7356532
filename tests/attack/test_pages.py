"""Hostile strings in every field of the HTML pages, in a real browser."""

from __future__ import annotations

import json

import pytest
import spacy

from spacy_attn.classic.vectors import shared_vectors
from spacy_attn.explain.explanation import explain
from spacy_attn.explain.page import page
from tests.attack.generate import hostile_strings

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
            "lemma": "bat", "pos": "NOUN", "sense": f"{i}{hostile}", "supersense": hostile,
            "definition": f"{hostile} of {word}",
        }
        for i, word in enumerate(("night", "ball"))
    ]  # fmt: skip
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
