"""A German glossary from its rows to senses in a text, with an encoder that the user names."""

from __future__ import annotations

from pathlib import Path

import pytest
import spacy

from spacy_attn.wsd.inventory.importers.run import import_inventory

GLOSSARY = """Begriff;Bedeutung;Beispiele;Formen
Bank;Ein Unternehmen, das Geld verwahrt und verleiht.;Die Bank verlieh das Geld. | Zwei Banken schlossen.;Banken
Bank;Eine lange Sitzgelegenheit für mehrere Personen.;Wir saßen auf der Bank.;Bänke
Schloss;Ein großes Gebäude, in dem Fürsten wohnten.;;Schlösser
Schloss;Eine Vorrichtung, mit der man Türen absperrt.;;Schlösser
"""  # noqa: E501


@pytest.fixture
def german(tmp_path: Path) -> str:
    source = tmp_path / "glossar.csv"
    source.write_text(GLOSSARY, encoding="utf-8")
    output = tmp_path / "glossar.jsonl"
    summary = import_inventory(
        source, output, lang="de", columns={"definition": "Bedeutung", "forms": "Formen"}
    )
    assert (summary.n_senses, summary.n_examples, dict(summary.left_out)) == (4, 3, {})
    return str(output)


def test_with_definitions_and_no_encoder(german: str) -> None:
    nlp = spacy.blank("de")
    nlp.add_pipe("sense_disambiguator", config={"inventory": german, "method": "lesk_extended"})
    doc = nlp("Die Bänke waren eine Sitzgelegenheit; das Gebäude der Fürsten war ein Schloss.")
    assert [span.kb_id_ for span in doc.spans["senses"]] == ["bank.n.2", "schloss.n.1"]


def test_with_an_encoder_that_the_user_names(german: str, toy_model: Path) -> None:
    nlp = spacy.blank("de")
    method = {
        "@sense_methods": "spacy_attn.attention.v1",
        "model": str(toy_model),
        "sense_model": "none",
        "window": 64,
        "overlap": 16,
    }
    nlp.add_pipe("sense_disambiguator", config={"inventory": german, "method": method})
    doc = nlp("Die Bank verlieh das Geld.")  # one of its examples: even a random encoder knows it
    assert doc[1]._.sense.id == "bank.n.1"
    assert doc[1]._.sense.method == "attention"
