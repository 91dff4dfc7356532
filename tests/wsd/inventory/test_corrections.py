"""Corrections become examples of their senses."""

from __future__ import annotations

import json

import pytest

from spacy_attn.errors import InventoryError
from spacy_attn.wsd.inventory.corrections import (
    Correction,
    CorrectionIndex,
    UnusedCorrections,
    add_examples,
    read_corrections,
    write_with_examples,
)
from spacy_attn.wsd.inventory.jsonl import load_inventory
from spacy_attn.wsd.sense import Example

TEXT = "My bat is here."
LINE = {"text": TEXT, "start": 3, "end": 6, "lemma": "Bat", "pos": "NOUN", "sense": "bat.club"}


@pytest.fixture
def write(tmp_path):
    def write(*lines):
        path = tmp_path / "corrections.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path

    return write


def test_the_last_line_about_an_occurrence_counts(write):
    other = {**LINE, "text": "The bat!", "start": 4, "end": 7, "sense": "", "verdict": "none"}
    unsure = {**other, "text": "A bat!", "start": 2, "end": 5, "verdict": "unclear"}
    path = write({**LINE, "sense": "bat.animal"}, other, unsure, {**LINE, "verdict": "sense"})
    found = read_corrections(path)
    assert found == [
        Correction(TEXT, 3, 6, "bat", "bat.club"),
        Correction("The bat!", 4, 7, "bat", "", "none"),
        Correction("A bat!", 2, 5, "bat", "", "unclear"),
    ]
    assert list(CorrectionIndex(found)) == found[:2]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({**LINE, "sense": ""}, "field 'sense': must be a text that is not empty, got ''"),
        ({**LINE, "verdict": "no"}, "field 'verdict': 'no'; allowed are sense, none, unclear"),
        ({**LINE, "start": 2}, "field 'start': start = 2, end = 6 is ' bat', no whole word; 'bat'"),
        (
            {**LINE, "text": "My (bat).", "start": 5, "end": 8},
            r"field 'start': .* is 'at\)', no whole word; 'bat' is start = 4, end = 7",
        ),
        ({**LINE, "end": 99}, "field 'start': start = 3, end = 99: must be characters"),
    ],
)
def test_a_broken_line_is_refused(write, line, reason):
    with pytest.raises(InventoryError, match=f"line 1, {reason}"):
        read_corrections(write(line))


def test_corrections_are_found_by_the_texts_that_hold_them():
    """As a search for each of them finds it, whatever the length of its text."""
    texts = ["A bat!", "The old bat flew\nfar away.", "&", "The old bat", "Bat."]
    known = [Correction(text, 0, 1, "bat", "bat.club") for text in texts]
    index = CorrectionIndex(known)
    assert index.within("So it is. The old bat flew far away. The old bat flew.") == known[1:4]
    assert index.within("A bat! A bat! Batman.") == [known[0], known[2], known[4]]
    assert index.within("") == [known[2]]  # it has no letters: who asks looks at the text itself
    assert CorrectionIndex([]).within("A bat!") == []
    left = UnusedCorrections(known)
    assert len(left) == 5
    left.read("Batman. The old bat flew far away.")  # the line of a correction may be joined
    assert len(left) == 3
    left.read("Bat. A bat! R & D")
    assert len(left) == 0


def test_of_a_long_text_the_example_is_what_stands_around():
    text = "x " * 20_000 + "a bat " + "y " * 20_000
    example = Correction(text, 40_002, 40_005, "bat", "bat.club").example
    assert len(example.text) == 4003
    assert example.text[example.start : example.end] == "bat"


def test_corrections_become_examples(toy_inventory, tmp_path):
    inventory = load_inventory(toy_inventory, "en")
    (known, *_), club = inventory.senses[0].examples, Example(TEXT, 3, 6)
    added = add_examples(
        inventory,
        [
            Correction(TEXT, 3, 6, "bat", "bat.club"),
            Correction(known.text, known.start, known.end, "bat", inventory.senses[0].id),
            Correction(TEXT, 3, 6, "bat", "bat.unknown"),
            Correction("A bat", 2, 5, "bat", "", "none"),
            elsewhere := Correction(TEXT, 7, 9, "bat", "bat.club"),
        ],
    )
    assert added.elsewhere == (elsewhere,)
    assert (len(added.added), added.n_known, added.n_no_sense) == (1, 1, 1)
    assert added.unknown == ("bat.unknown",)
    changed = {s.id: s.examples for s in added.inventory.senses}
    assert changed["bat.club"][-1] == club
    assert changed["bat.animal"] == inventory.senses[0].examples
    output = tmp_path / "better.jsonl"
    write_with_examples(toy_inventory, changed, output)
    assert load_inventory(output, "en").senses == added.inventory.senses
