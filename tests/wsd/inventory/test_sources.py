"""Inventories given in Python, several at once, and examples that are texts alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

import spacy_attn
from spacy_attn.errors import ConfigError, InventoryError
from spacy_attn.wsd.inventory.examples import example_of
from spacy_attn.wsd.inventory.jsonl import Inventory, load_inventory
from spacy_attn.wsd.sense import Example, Sense

JAGUAR = {
    "jaguar": {
        "cat": "A large spotted wild cat.",
        "jaguar.car": ["She parked her jaguar.", "Two **Jaguars** for sale."],
        "run": {"pos": "VERB", "definition": "To move like the cat."},
    }
}


def test_words_with_senses_of_definitions_or_examples():
    inventory = load_inventory(JAGUAR, "en")
    assert inventory.senses == (
        Sense("jaguar.cat", "jaguar", "NOUN", "A large spotted wild cat."),
        Sense(
            "jaguar.car",
            "jaguar",
            "NOUN",
            "",
            (Example("She parked her jaguar.", 15, 21), Example("Two Jaguars for sale.", 4, 11)),
        ),
        Sense("jaguar.run", "jaguar", "VERB", "To move like the cat."),
    )
    assert inventory.lang == "en"
    assert repr(inventory) == "Inventory('own', 3 senses of 1 word)"
    assert inventory.senses[1].gloss == "She parked her jaguar.; Two Jaguars for sale."


def test_a_list_of_records_is_what_the_lines_of_a_file_are(tmp_path):
    records: list[dict[str, Any]] = [
        {"lemma": "bat", "pos": "NOUN", "sense": "b.1", "definition": "x", "ids": {"ili": "i1"}},
        {"lemma": "bat", "pos": "NOUN", "sense": "b.2", "examples": ["a bat", "bats fly"]},
    ]
    path = tmp_path / "bats.jsonl"
    path.write_text("\n".join(map(json.dumps, records)))
    assert load_inventory(records).senses == load_inventory(path).senses
    assert load_inventory(path).senses[0].ids == (("ili", "i1"),)
    with pytest.raises(
        InventoryError,
        match=r"^the senses given, record 1, field 'pos': 'x'; allowed are",
    ):
        load_inventory([{**records[0], "pos": "x"}])


def test_a_frame_has_the_columns_of_a_glossary():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(
        {
            "Word": ["bat", "bat", "to run"],
            "definition": ["an animal", None, "to go fast"],
            "examples": [float("nan"), "He swung the bat. | Bats of ash.", ""],
        }
    )
    assert load_inventory(frame).senses == (
        Sense("bat.n.1", "bat", "NOUN", "an animal"),
        Sense(
            "bat.n.2",
            "bat",
            "NOUN",
            "",
            (Example("He swung the bat.", 13, 16), Example("Bats of ash.", 0, 4)),
        ),
        Sense("run.v.1", "run", "VERB", "to go fast"),
    )


def test_a_frame_without_terms():
    pd = pytest.importorskip("pandas")
    with pytest.raises(InventoryError, match=r"^the rows of the frame have the columns name, text"):
        load_inventory(pd.DataFrame({"name": ["bat"], "text": ["an animal"]}))
    with pytest.raises(InventoryError, match=r"^the frame holds no row$"):
        load_inventory(pd.DataFrame({"term": [], "definition": []}))
    with pytest.raises(InventoryError, match=r"hold no sense; left out: 1 neither definition nor"):
        load_inventory(pd.DataFrame({"term": ["bat"], "definition": [None]}))


def test_rows_of_a_glossary_as_dicts():
    rows = [{"term": "bat", "definition": "an animal"}, {"term": "bat", "gloss": "", "pos": "v"}]
    assert load_inventory(rows).senses == (Sense("bat.n.1", "bat", "NOUN", "an animal"),)


def test_words_that_are_no_texts_or_have_no_senses():
    number: Any = {3: {"a": "b"}}
    with pytest.raises(InventoryError, match=r"record 1, field 'lemma': must be a text, got 3$"):
        load_inventory(number)
    with pytest.raises(InventoryError, match=r"^the senses given hold no sense$"):
        load_inventory({})


def test_inventories_combine(tmp_path, toy_inventory):
    both = load_inventory([str(toy_inventory), JAGUAR], "en")
    assert both.name == "toy.jsonl+own"
    assert {lemma for lemma, _ in both.words} == {"bat", "bank", "jaguar"}
    with pytest.raises(InventoryError, match=r"^the sense 'bat\.animal' is in 'toy\.jsonl' and in"):
        load_inventory([str(toy_inventory), toy_inventory])
    german = [{"lemma": "bank", "pos": "NOUN", "sense": "b", "definition": "x", "lang": "de"}]
    with pytest.raises(ConfigError, match="they are for the languages de, en; those of one"):
        load_inventory(["homographs", german])
    with pytest.raises(ConfigError, match=r"'wordnet' stands alone; give it to a second"):
        spacy_attn.load_inventory(["homographs", "wordnet"])


def test_the_public_function_knows_wordnet_and_inventories():
    found = spacy_attn.load_inventory("wordnet")
    assert (found.name, repr(found)) == ("wordnet", "WordNetInventory(names=False)")
    inventory = spacy_attn.load_inventory("homographs")
    assert isinstance(inventory, Inventory)
    assert load_inventory(inventory) is inventory
    assert repr(inventory) == "Inventory('homographs', 219 senses of 89 words)"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("homograph", r"does not exist; did you mean 'homographs'\?$"),
        ([], r"^inventory = \[\]: allowed are a name, the path of a \.jsonl file, a list of these"),
        (3, r"^inventory = 3: allowed are a name"),
    ],
)
def test_what_is_no_inventory(source, reason):
    with pytest.raises(ConfigError, match=reason):
        load_inventory(source)


def test_senses_that_are_no_mapping():
    with pytest.raises(InventoryError, match=r"^the senses given for 'bat' must be \{name: def"):
        load_inventory({"bat": ["an animal"]})


@pytest.mark.parametrize(
    ("text", "lemma", "pos", "lang", "word"),
    [
        ("the bats flew", "bat", "NOUN", "en", "bats"),
        ("she took a bath", "bat", "NOUN", None, None),
        ("Batteries and a BAT", "bat", "NOUN", "en", "BAT"),
        ("hot  spots here", "hot spot", "NOUN", "en", "hot  spots"),
        ("he __drew__ a line", "draw", "VERB", "en", "drew"),
        ("die Banken schließen", "bank", "NOUN", "de", "Banken"),
        ("the bandage", "bank", "NOUN", "en", None),
        ("我去银行取钱", "银行", "NOUN", "zh", "银行"),
    ],
)
def test_the_place_of_a_word_in_an_example(text, lemma, pos, lang, word):
    found = example_of(text, lemma, pos, (), lang)
    assert (found and found.text[found.start : found.end]) == word
