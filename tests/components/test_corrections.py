"""A reader's corrections are applied to the occurrences that they are about."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
import spacy

from spacy_attn.components.corrections import apply_corrections
from spacy_attn.errors import ConfigError
from spacy_attn.jobs.annotator import Annotator
from spacy_attn.jobs.fingerprint import describe_job
from spacy_attn.wsd.inventory.corrections import Correction, CorrectionIndex

TEXT = "The bat flew. A bat! Money in the bank."
CORRECTIONS = [
    Correction("The bat flew.", 4, 7, "bat", "bat.club"),
    Correction("A bat!", 2, 5, "bat", "", "none"),
    Correction("Money in the bank.", 13, 17, "bank", "", "unclear"),
    Correction("Another bat flew.", 8, 11, "bat", "bat.club"),
]


@pytest.fixture
def nlp(toy_inventory):
    nlp = spacy.blank("en")
    config = {"inventory": str(toy_inventory), "method": "first_sense"}
    nlp.add_pipe("sense_disambiguator", config=config)
    return nlp


def test_words_get_lose_and_keep_their_senses(nlp):
    doc = nlp(TEXT)
    inventory = nlp.get_pipe("sense_disambiguator").inventory
    assert [s.kb_id_ for s in doc.spans["senses"]] == ["bat.animal", "bat.animal", "bank.money"]
    assert apply_corrections(doc, CorrectionIndex(CORRECTIONS), inventory) == 2
    assert [s.kb_id_ for s in doc.spans["senses"]] == ["bat.club", "bank.money"]
    sense = doc[1]._.sense
    assert (sense.id, sense.score, sense.method) == ("bat.club", 1.0, "correction")
    assert sense.definition == inventory.candidates("bat")[1].definition
    assert sense.ranked == (("bat.club", 1.0), ("bat.animal", 0.0))
    assert doc[5]._.sense is None


def test_a_word_gets_the_sense_that_the_method_was_not_sure_of(toy_inventory):
    nlp = spacy.blank("en")
    config = {"inventory": str(toy_inventory), "method": "first_sense", "threshold": 1.0}
    nlp.add_pipe("sense_disambiguator", config=config)
    doc = nlp(f"{TEXT} The bat flew.")
    assert not doc.spans["senses"]
    inventory = nlp.get_pipe("sense_disambiguator").inventory
    assert apply_corrections(doc, CorrectionIndex(CORRECTIONS), inventory) == 2
    found = [(s.kb_id_, s.start_char, s._.sense.score) for s in doc.spans["senses"]]
    assert found == [("bat.club", 4, 1.0), ("bat.club", 44, 1.0)]
    assert doc[1]._.sense.definition == inventory.candidates("bat")[1].definition
    assert apply_corrections(doc, CorrectionIndex(CORRECTIONS), inventory) == 2  # as before


def test_other_texts_stay_as_they_are(nlp):
    doc = nlp("His bat flew. No such word.")
    assert apply_corrections(doc, CorrectionIndex(CORRECTIONS)) == 0
    assert doc.spans["senses"][0].kb_id_ == "bat.animal"
    assert apply_corrections(nlp("nothing"), CorrectionIndex(CORRECTIONS)) == 0


def test_a_job_applies_them_and_knows_that_its_output_depends_on_them(toy_inventory, tmp_path):
    path = tmp_path / "corrections.jsonl"
    line = {"text": "The bat flew.", "start": 4, "end": 7, "lemma": "bat", "sense": "bat.club"}
    path.write_text(json.dumps(line))
    annotator = Annotator(
        pipeline="blank:en",
        inventory=str(toy_inventory),
        method="first_sense",
        factory=blank,
        corrections=str(path),
    )
    rows: Any = annotator.annotate([TEXT, "nothing"])
    first = rows[0][0]
    assert (first["sense"], first["score"]) == ("bat.club", 1.0)
    files = describe_job([], annotator, {})["files"]
    assert f"the corrections {path}" in files


def test_a_job_refuses_senses_that_the_inventory_does_not_have(toy_inventory, tmp_path):
    path = tmp_path / "corrections.jsonl"
    line = {"text": "The bat flew.", "start": 4, "end": 7, "lemma": "bat", "sense": "bat.old"}
    path.write_text(json.dumps(line))
    annotator = Annotator(
        "blank:en", str(toy_inventory), "first_sense", factory=blank, corrections=str(path)
    )
    reason = (
        r"'bat\.old' is no sense of the inventory 'toy\.jsonl'; 'bat' has bat\.animal, bat\.club"
        r"; correct the line, .*; did you mean 'bat\.club'\?$"
    )
    with pytest.raises(ConfigError, match=reason):
        annotator.annotate(["The bat flew."])


@pytest.mark.parametrize(
    ("sense", "found"),
    [("bat.club", "noun.artifact"), ("noun.artifact", "noun.artifact"), ("noun.artefact", None)],
)
def test_where_senses_are_answered_as_one_a_correction_names_the_group(tmp_path, sense, found):
    inventory = [
        {"lemma": "bat", "pos": "NOUN", "sense": f"bat.{name}", "definition": name, "supersense": s}
        for name, s in (("animal", "noun.animal"), ("club", "noun.artifact"))
    ]
    (tmp_path / "toy.jsonl").write_text("".join(json.dumps(line) + "\n" for line in inventory))
    path = tmp_path / "corrections.jsonl"
    line = {"text": "The bat flew.", "start": 4, "end": 7, "lemma": "bat", "sense": sense}
    path.write_text(json.dumps(line))
    annotator = Annotator(
        "blank:en",
        str(tmp_path / "toy.jsonl"),
        "first_sense",
        factory=partial(blank, granularity="supersense"),
        corrections=str(path),
    )
    if found is None:
        with pytest.raises(ConfigError, match=r"'bat' has noun\.animal, noun\.artifact; correct"):
            annotator.annotate(["The bat flew."])
    else:
        rows: Any = annotator.annotate(["The bat flew."])
        assert [(each["sense"], each["score"]) for each in rows[0]] == [(found, 1.0)]


def test_a_reader_may_choose_a_sense_of_another_lemma():
    leaf = {"lemma": "leaf", "pos": "NOUN", "sense": "leaf.plant", "definition": "of a plant"}
    leave = {"lemma": "leave", "pos": "VERB", "sense": "leave.go", "definition": "to go away"}
    inventory = [{**leaf, "forms": ["leaves"]}, {**leave, "forms": ["leaves"]}]
    nlp = spacy.blank("en")
    nlp.add_pipe("sense_disambiguator", config={"inventory": inventory, "method": "first_sense"})
    doc = nlp("The leaves fell.")
    (sense,) = [span._.sense for span in doc.spans["senses"]]
    other = {"leaf": leave, "leave": leaf}[sense.lemma]
    chosen = Correction("The leaves fell.", 4, 10, sense.lemma, other["sense"])
    found = nlp.get_pipe("sense_disambiguator").inventory
    assert apply_corrections(doc, CorrectionIndex([chosen]), found) == 1
    sense = doc[1]._.sense
    assert (sense.id, sense.lemma) == (other["sense"], other["lemma"])
    assert sense.definition == other["definition"]


def blank(pipeline, *, inventory, method, **more):
    nlp = spacy.blank("en")
    config = {"inventory": inventory, "method": method, **more}
    nlp.add_pipe("sense_disambiguator", config=config)
    return nlp


def test_a_correction_of_wrapped_lines_finds_the_joined_text(nlp):
    wrapped = Correction("The grey bat fl-\new to its\ncave.", 9, 12, "bat", "bat.club")
    doc = nlp("Before. The grey bat flew to its cave. The grey bat slept.")
    assert apply_corrections(doc, CorrectionIndex([wrapped])) == 1
    assert [s.kb_id_ for s in doc.spans["senses"]] == ["bat.club", "bat.animal"]


def test_a_job_applies_corrections_to_text_that_it_unwraps(toy_inventory, tmp_path):
    text = "The grey bat fl-\new to its cave."
    line = {"text": text, "start": 9, "end": 12, "lemma": "bat", "sense": "bat.club"}
    (tmp_path / "corrections.jsonl").write_text(json.dumps(line))
    annotator = Annotator(
        pipeline="blank:en",
        inventory=str(toy_inventory),
        method="first_sense",
        factory=blank,
        corrections=str(tmp_path / "corrections.jsonl"),
        unwrap=True,
    )
    rows: Any = annotator.annotate([text])
    ((found,),) = rows
    assert (found["sense"], text[found["start"] : found["end"]]) == ("bat.club", "bat")
