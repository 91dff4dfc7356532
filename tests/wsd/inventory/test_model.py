"""Reading inventories and labelled data: what is right is kept, what is broken is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import spacy

from spacy_attn.errors import ConfigError, InventoryError
from spacy_attn.wsd.inventory.forms import word_pieces
from spacy_attn.wsd.inventory.jsonl import Inventory, load_inventory
from spacy_attn.wsd.inventory.labelled import LabelledTarget, read_labelled
from spacy_attn.wsd.sense import Example, Sense
from tests.wsd.given import tagged

GOOD: dict[str, Any] = {
    "lemma": "bat",
    "pos": "NOUN",
    "sense": "bat.animal",
    "definition": "a flying animal",
    "examples": [{"text": "the bat flew", "start": 4, "end": 7}],
}
LABELLED = {
    "text": "the bat flew",
    "start": 4,
    "end": 7,
    "lemma": "bat",
    "pos": "NOUN",
    "sense": "bat.animal",
    "cues": [[8, 12]],
}


@pytest.fixture
def write(tmp_path):
    """Writes lines (objects, text or bytes) to a file and gives its path."""

    def write(*lines: object) -> Path:
        path = tmp_path / "senses.jsonl"
        raw = [
            line
            if isinstance(line, bytes)
            else line.encode()
            if isinstance(line, str)
            else json.dumps(line).encode()
            for line in lines
        ]
        path.write_bytes(b"\n".join(raw) + b"\n")
        return path

    return write


def without(field):
    return {key: value for key, value in GOOD.items() if key != field}


def with_example(**changes):
    return {**GOOD, "examples": [{**GOOD["examples"][0], **changes}]}


def matches(path, line, field, reason):
    """The pattern of a message with file, line, field and reason, all four."""
    return f"^{re.escape(f'{path}, line {line}, field {field!r}: {reason}')}"


def test_a_sense_keeps_all_that_its_line_says(write):
    path = write(
        {
            **GOOD,
            "lemma": " Fruit_Bat ",
            "supersense": "noun.animal",
            "forms": ["Fruit  Batz"],
            "order": "counted",
            "count": 3,
            "wordnet": ["bat%1:05:00::"],
        }
    )
    inventory = load_inventory(path)
    assert inventory.name == "senses.jsonl"
    assert inventory.lang is None
    assert inventory.senses == (
        Sense(
            "bat.animal",
            "fruit bat",
            "NOUN",
            "a flying animal",
            (Example("the bat flew", 4, 7),),
            "noun.animal",
            ("fruit batz",),
            "counted",
            ("bat%1:05:00::",),
        ),
    )


def test_the_order_of_the_lines_is_the_order_of_the_candidates(toy_inventory):
    inventory = load_inventory(toy_inventory)
    assert [s.id for s in inventory.candidates("bank", "NOUN")] == ["bank.money", "bank.river"]
    assert inventory.candidates("bank", "VERB") == ()
    assert inventory.candidates("boat") == ()
    assert inventory.words == (("bat", "NOUN"), ("bank", "NOUN"))


def test_without_part_of_speech_the_senses_of_all_are_candidates(write):
    path = write(
        {**GOOD, "pos": "VERB", "sense": "bat.hit"}, GOOD, {**GOOD, "pos": "ADJ", "sense": "bat.x"}
    )
    inventory = load_inventory(path)
    assert [s.id for s in inventory.candidates("bat")] == ["bat.animal", "bat.hit", "bat.x"]


LONG = "x" * 56
BROKEN = {
    "lemma missing": (without("lemma"), "lemma", "must be a text, got None"),
    "lemma empty": ({**GOOD, "lemma": " "}, "lemma", "must be a text that is not empty, got ' '"),
    "form of no word": ({**GOOD, "forms": ["a", "_"]}, "forms[1]", "'_' holds no word"),
    "long example": (with_example(text="bat " * 5001), "examples[0]", "has 20,004 characters"),
    "long text": ({**GOOD, "examples": ["bat " * 5001]}, "examples[0]", "has 20,004 characters"),
    "long definition": ({**GOOD, "definition": "x" * 20_001}, "definition", "has 20,001 charac"),
    "long sense": (
        {**GOOD, "sense": "x" * 1001},
        "sense",
        "has 1,001 characters; allowed are 1,000:",
    ),
    "long lemma": ({**GOOD, "lemma": "x" * 1001}, "lemma", "has 1,001 characters"),
    "long form": ({**GOOD, "forms": ["x", "y" * 1001]}, "forms[1]", "has 1,001 characters"),
    "long group": ({**GOOD, "supersense": "x" * 1001}, "supersense", "has 1,001 characters"),
    "long key": ({**GOOD, "ids": {"x" * 1001: "1"}}, "ids", "has 1,001 characters"),
    "long id": ({**GOOD, "ids": {"ili": "x" * 1001}}, "ids['ili']", "has 1,001 characters"),
    "lemma of no word": ({**GOOD, "lemma": "_"}, "lemma", "'_' holds no word"),
    "lemma number": ({**GOOD, "lemma": 3}, "lemma", "must be a text, got 3"),
    "pos missing": (without("pos"), "pos", "must be a text, got None"),
    "pos unknown": (
        {**GOOD, "pos": "noun"},
        "pos",
        "'noun'; allowed are NOUN, VERB, ADJ, ADV; did you mean 'NOUN'?",
    ),
    "sense missing": (without("sense"), "sense", "must be a text, got None"),
    "nothing said": (
        {**without("definition"), "examples": []},
        "definition",
        "must be a text, got None",
    ),
    "definition list": ({**GOOD, "definition": ["a"]}, "definition", "must be a text, got ['a']"),
    "field unknown": ({**GOOD, "gloss": "x"}, "gloss", "is unknown; allowed are count, definition"),
    "examples no list": ({**GOOD, "examples": {}}, "examples", "must be a list, got {}"),
    "example no object": (
        {**GOOD, "examples": [["a bat"]]},
        "examples[0]",
        'must be a text, or {"text": ..., "start',
    ),
    "example extra": (with_example(cues=[]), "examples[0]", 'must be a text, or {"text": ...'),
    "example without its word": (
        {**GOOD, "examples": ["a bath"]},
        "examples[0]",
        "the word is not in 'a bath'; mark it as",
    ),
    "example one to the left": (
        with_example(start=3, end=6),
        "examples[0]",
        "start = 3, end = 6 is ' ba', no whole word; 'bat' is start = 4, end = 7",
    ),
    "example of half a word": (
        with_example(end=6),
        "examples[0]",
        "start = 4, end = 6 is 'ba', no whole word; 'bat' is start = 4, end = 7",
    ),
    "example of another word": (
        with_example(start=8, end=12),
        "examples[0]",
        "start = 8, end = 12 is 'flew', while 'bat' is start = 4, end = 7; add 'flew' to forms",
    ),
    "ids no dict": ({**GOOD, "ids": ["i1"]}, "ids", 'must be like {"ili": "i46360"}, got ['),
    "example of number": (with_example(text=3), "examples[0]", "must be a text, got 3"),
    "example too long": (
        with_example(end=13),
        "examples[0]",
        "start = 4, end = 13: must be characters of its text, 0 <= start < end <= 12",
    ),
    "example negative": (with_example(start=-1), "examples[0]", "start = -1, end = 7: must be"),
    "example empty": (with_example(start=7), "examples[0]", "start = 7, end = 7: must be"),
    "example float": (with_example(start=4.0), "examples[0]", "start = 4.0, end = 7: must be"),
    "example boolean": (with_example(start=True), "examples[0]", "start = True, end = 7: must be"),
    "example of blank": (
        with_example(start=3, end=4),
        "examples[0]",
        "start = 3, end = 4: white space alone",
    ),
    "forms no list": ({**GOOD, "forms": "bats"}, "forms", "must be a list of texts, got 'bats'"),
    "forms of number": ({**GOOD, "forms": ["a", 1]}, "forms[1]", "must be a text, got 1"),
    "wordnet of blank": ({**GOOD, "wordnet": [""]}, "wordnet[0]", "must be a text that is not"),
    "order unknown": ({**GOOD, "order": "?"}, "order", "'?'; allowed are counted, judged"),
    "count text": ({**GOOD, "count": "3"}, "count", "must be a whole number from 0, got '3'"),
    "count negative": ({**GOOD, "count": -1}, "count", "must be a whole number from 0, got -1"),
    "lang number": ({**GOOD, "lang": 1}, "lang", "must be a text, got 1"),
    "supersense null": ({**GOOD, "supersense": None}, "supersense", "must be a text, got None"),
    "surrogate in text": (with_example(text="the bat \ud800"), "examples[0]", "holds half of a"),
    "surrogate in lemma": ({**GOOD, "lemma": "b\udc80t"}, "lemma", "holds half of a surrogate"),
    "surrogate in forms": ({**GOOD, "forms": ["\ud800"]}, "forms[0]", "holds half of a surrogate"),
    "surrogate in field": ({**GOOD, "\ud800": 1}, "\ud800", "is unknown; allowed are"),
    "long value": ({**GOOD, "forms": "x" * 99}, "forms", f"must be a list of texts, got '{LONG}."),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_line_is_refused_with_file_line_field_and_reason(write, case):
    record, field, reason = BROKEN[case]
    path = write({**GOOD, "sense": "bat.first"}, "", record)
    with pytest.raises(InventoryError, match=matches(path, 3, field, reason)):
        load_inventory(path)


@pytest.mark.parametrize(
    "change",
    [
        {"definition": "x" * 10**6},
        {"x" * 10**6: 1},
        {"pos": "x" * 999},
        {"ids": {"x" * 10**6: 1}},
        {"examples": [{"text": "bat " + "x" * 19_000 + "y", "start": 0, "end": 19_000}]},
        {"examples": [{"text": "bat " + "x" * 19_000, "start": 4, "end": 19_004}]},
    ],
)
def test_what_is_said_of_a_long_field_is_short(write, change):
    with pytest.raises(InventoryError, match="field") as raised:
        load_inventory(write({**GOOD, **change}))
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize(
    ("word", "forms", "lemma", "pos"),
    [
        ("flew", ["flew"], "bat", "NOUN"),  # listed by the user
        ("flew", [], "fly", "VERB"),  # WordNet knows it
        ("bats", [], "bat", "NOUN"),
        ("Bat's", [], "bat", "NOUN"),  # more than the word
        ("night", [], "dusk", "NOUN"),  # whatever it is: the lemma is not in the text
    ],
)
def test_a_form_of_the_word_is_the_word(write, word, forms, lemma, pos):
    text = "The Bat's bats flew, they fly at night like a bat."
    start = text.index(word)
    example = {"text": text, "start": start, "end": start + len(word)}
    path = write({**GOOD, "lemma": lemma, "pos": pos, "forms": forms, "examples": [example]})
    assert load_inventory(path, "en").senses[0].examples[0] == Example(*example.values())


def test_a_text_alone_shows_irregular_forms(write):
    path = write({**GOOD, "lemma": "go", "pos": "VERB", "examples": ["They went home."]})
    assert load_inventory(path, "en").senses[0].examples == (Example("They went home.", 5, 9),)
    with pytest.raises(InventoryError, match=r"the word is not in 'They went home\.'"):
        load_inventory(path, "de")


def test_a_sense_id_stands_once(write):
    path = write(GOOD, {**GOOD, "lemma": "bank"})
    reason = "'bat.animal' stands already on line 1"
    with pytest.raises(InventoryError, match=matches(path, 2, "sense", reason)):
        load_inventory(path)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{'lemma': 1}", "not JSON (Expecting property name enclosed in double quotes at col"),
        ("[1]", "must be one JSON object, like {...}"),
        ("null", "must be one JSON object, like {...}"),
        (b"\xff\xfe{\x00}\x00", "byte 1 is not UTF-8; save it as UTF-8"),
        ('{"definition": "café"}'.encode("latin-1"), "byte 20 is not UTF-8; save it as UTF-8"),
        ('{"count": ' + "1" * 5000 + "}", "not JSON (Exceeds the limit"),
        ("[" * 200_000, "not JSON (maximum recursion depth exceeded"),
    ],
    ids=["quotes", "list", "null", "utf-16", "latin-1", "huge number", "deep"],
)
def test_a_line_that_is_no_json_object(write, line, reason):
    path = write(GOOD, line)
    with pytest.raises(InventoryError, match=f"^{re.escape(f'{path}, line 2: {reason}')}"):
        load_inventory(path)


@pytest.mark.parametrize("content", [b"", b"\n \r\n"])
def test_a_file_without_senses(tmp_path, content):
    path = tmp_path / "empty.jsonl"
    path.write_bytes(content)
    with pytest.raises(InventoryError, match=r"empty\.jsonl holds no sense; each line must"):
        load_inventory(path)


def test_bom_crlf_and_blank_lines_do_no_harm(tmp_path):
    path = tmp_path / "windows.jsonl"
    second = {**GOOD, "sense": "bat.club"}
    path.write_bytes(
        b"\xef\xbb\xbf" + json.dumps(GOOD).encode() + b"\r\n\r\n" + json.dumps(second).encode()
    )
    assert [sense.id for sense in load_inventory(path).senses] == ["bat.animal", "bat.club"]


def test_other_writing_systems_and_planes_are_kept(write):
    sense = {**GOOD, "lemma": "עטלף", "definition": "🦇 \U00020000"}
    assert load_inventory(write(sense)).senses[0].definition == "🦇 \U00020000"


@pytest.mark.parametrize("name", ["nowhere.jsonl", "homograph", "", "bad\0name"])
def test_an_inventory_that_is_not_there(name):
    pattern = re.escape(
        f"inventory = {name!r}: allowed are homographs, wordnet or the path of a .jsonl file"
    )
    with pytest.raises(ConfigError, match=pattern):
        load_inventory(name)


def test_labelled_data_that_is_not_there(tmp_path):
    with pytest.raises(InventoryError, match=r"none\.jsonl cannot be read: No such file"):
        list(read_labelled(tmp_path / "none.jsonl"))


# -- language ---------------------------------------------------------------------------


def test_the_bundled_inventory_is_english():
    assert load_inventory("homographs", "en").lang == "en"
    sentence = (
        "^the inventory 'homographs' is for language 'en', the pipeline's is 'de'; "
        r"give your own with inventory = 'senses\.jsonl'$"
    )
    with pytest.raises(ConfigError, match=sentence):
        load_inventory("homographs", "de")


def test_homographs_in_a_german_pipeline_are_one_sentence():
    nlp = spacy.blank("de")
    with pytest.raises(ConfigError, match=r"^the inventory 'homographs' is for language 'en'"):
        nlp.add_pipe("sense_disambiguator")


def test_a_users_inventory_takes_the_language_of_the_pipeline(write):
    assert load_inventory(write(GOOD), "en").lang == "en"
    assert load_inventory(write(GOOD), "de").lang == "de"


def test_a_users_inventory_may_name_its_language(write):
    path = write({**GOOD, "lang": "de"}, {**GOOD, "sense": "bat.club"})
    assert load_inventory(path, "de").lang == "de"
    with pytest.raises(ConfigError, match=r"'senses\.jsonl' is for language 'de', the pipeline's"):
        load_inventory(path, "en")


def test_a_file_has_one_language(write):
    path = write({**GOOD, "lang": "de"}, {**GOOD, "sense": "bat.club", "lang": "en"})
    reason = "'en', but lines before say 'de'; a file has one language"
    with pytest.raises(InventoryError, match=matches(path, 2, "lang", reason)):
        load_inventory(path)


# -- forms ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("bat", ("bat",)),
        ("hot spot", ("hot", "spot")),
        ("check-in's", ("check", "-", "in", "'", "s")),
        ("c++", ("c", "+", "+")),
        ("x\n y", ("x", "y")),
        ("straße2", ("straße2",)),
        ("🦇", ("🦇",)),
    ],
)
def test_pieces(text, pieces):
    assert word_pieces(text) == pieces


def test_english_forms_lead_to_their_lemma(toy_inventory):
    inventory = load_inventory(toy_inventory, "en")
    assert inventory.words_of_form(("bats",)) == (("bat", "NOUN"),)
    assert inventory.words_of_form(("banks",)) == (("bank", "NOUN"),)
    assert inventory.words_of_form(("boats",)) == ()


def test_other_languages_have_the_listed_forms_alone(write):
    path = write({**GOOD, "lemma": "Bank", "forms": ["Bänke"]})
    inventory = load_inventory(path, "de")
    assert inventory.words_of_form(("bänke",)) == (("bank", "NOUN"),)
    assert inventory.words_of_form(("banks",)) == ()


def test_the_irregular_forms_of_every_sense_count(write):
    verb = {**GOOD, "lemma": "ring", "pos": "VERB"}
    path = write(
        {**verb, "sense": "ring.circle"}, {**verb, "sense": "ring.bell", "forms": ["rang", "rung"]}
    )
    inventory = load_inventory(path, "en")
    known = [
        f for f in ("ring", "rings", "rang", "rung", "ringed") if inventory.words_of_form((f,))
    ]
    assert known == ["ring", "rings", "rang", "rung"]


def test_the_longest_form_that_begins_with_a_word(write):
    path = write(GOOD, {**GOOD, "lemma": "bat out of hell", "sense": "b"})
    inventory = load_inventory(path)
    assert inventory.longest_from("bat") == 4
    assert inventory.longest_from("hell") == 0


# -- what is computed from an inventory -------------------------------------------------------


def test_the_digest_follows_all_that_methods_see():
    sense = Sense("b", "bat", "NOUN", "an animal", (Example("a bat", 2, 5),), "noun.animal")
    changed = [
        Sense("c", "bat", "NOUN", "an animal", sense.examples, "noun.animal"),
        Sense("b", "bats", "NOUN", "an animal", sense.examples, "noun.animal"),
        Sense("b", "bat", "VERB", "an animal", sense.examples, "noun.animal"),
        Sense("b", "bat", "NOUN", "a club", sense.examples, "noun.animal"),
        Sense("b", "bat", "NOUN", "an animal", (Example("a bat", 0, 5),), "noun.animal"),
        Sense("b", "bat", "NOUN", "an animal", (), "noun.animal"),
        Sense("b", "bat", "NOUN", "an animal", sense.examples, "noun.x"),
        Sense("b", "bat", "NOUN", "an animal", sense.examples, "noun.animal", ("batz",)),
    ]
    digests = {Inventory("x", (one,)).digest for one in [sense, *changed]}
    assert len(digests) == 1 + len(changed)
    assert Inventory("other name", (sense,)).digest == Inventory("x", (sense,), "en").digest


def test_examples_can_be_held_out(toy_inventory):
    inventory = load_inventory(toy_inventory, "en")
    held_out = inventory.senses[0].examples[:1]
    rest = inventory.without_examples(held_out)
    assert rest.senses[0].examples == inventory.senses[0].examples[1:]
    assert rest.senses[1:] == inventory.senses[1:]
    assert (rest.name, rest.lang) == (inventory.name, "en")
    assert len(inventory.senses[0].examples) == 2


# -- labelled data ----------------------------------------------------------------------------


def test_labelled_data(write):
    path = write(LABELLED, {**LABELLED, "lemma": "Hot_Spot", "stratum": "hard", "cues": []})
    first, second = read_labelled(path)
    assert first == LabelledTarget(
        "the bat flew", 4, 7, "bat", "NOUN", "bat.animal", "", ((8, 12),)
    )
    assert (second.lemma, second.stratum, second.cues) == ("hot spot", "hard", ())


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"text": ""}, "text", "must be a text that is not empty, got ''"),
        ({"start": "4"}, "start", "start = '4', end = 7: must be characters of its text"),
        ({"start": 5}, "start", "start = 5, end = 7 is 'at', no whole word; 'bat' is start = 4"),
        ({"sense": None}, "sense", "must be a text, got None"),
        ({"cues": {}}, "cues", "must be a list of [start, end], got {}"),
        ({"cues": [[8, 12], [1]]}, "cues[1]", "must be [start, end], got [1]"),
        ({"cues": [["a", "b"]]}, "cues[0]", "start = 'a', end = 'b': must be characters"),
        ({"cues": [[8, 13]]}, "cues[0]", "start = 8, end = 13: must be characters of its text"),
    ],
)
def test_broken_labelled_data(write, change, field, reason):
    path = write(LABELLED, {**LABELLED, **change})
    with pytest.raises(InventoryError, match=matches(path, 2, field, reason)):
        list(read_labelled(path))


def test_a_word_found_by_form_and_by_lemma_has_each_sense_once(toy_inventory):
    inventory = load_inventory(toy_inventory, "en")
    (target,) = inventory.find(tagged("Bats/NOUN/bat left/VERB/leave"))
    assert [sense.id for sense in target.candidates] == ["bat.animal", "bat.club"]
    assert len(target.readings) == 1
