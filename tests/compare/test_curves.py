"""Curves: what is drawn of examples, what is put between target and cue."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import spacy

from spacy_attn.compare.curves import (
    distance_curve,
    distance_task,
    learning_points,
    learns,
    pushed,
)
from spacy_attn.compare.systems import MethodSystem
from spacy_attn.compare.task import tagged_by
from spacy_attn.errors import ConfigError
from spacy_attn.wsd.inventory.jsonl import load_inventory
from spacy_attn.wsd.inventory.wordnet import wordnet_inventory


def quiet(done, total):
    pass


TAG = tagged_by(spacy.blank("en"))
#: Cue after the target's sentence, before it, on both sides, in it; and what can be put between.
ROWS = [
    ("He saw the bat. It slept in a cave.", "bat", "bat.animal", ["cave"]),
    ("A ball flew. Then came the bat.", "bat", "bat.club", ["ball"]),
    ("The cave was dark. He saw the bat. It slept.", "bat", "bat.animal", ["cave", "slept"]),
    ("He hit the ball with the bat.", "bat", "bat.club", ["ball"]),
    ("Money lies in the bank.", "bank", "bank.money", ["Money"]),
    ("She sat on the bank of a river.", "bank", "bank.river", ["river"]),
]


@pytest.fixture
def task(make_task, tmp_path):
    lines = []
    for text, word, sense, cues in ROWS:
        start = text.index(word)
        spans = [[text.index(cue), text.index(cue) + len(cue)] for cue in cues]
        lines.append(
            {
                "text": text,
                "start": start,
                "end": start + len(word),
                "lemma": word,
                "pos": "NOUN",
                "sense": sense,
                "stratum": "cross" if "." in text[:-1] else "plain",
                "cues": spans,
            }
        )
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return make_task(path)


def test_sentences_of_other_words_stand_between_target_and_cue(task):
    first, second = pushed(task.dataset, 5)
    for (text, start, item), (plain, *_) in zip((first, second), ROWS, strict=False):
        head, tail = plain.split(". ")
        between = text.removeprefix(f"{head}. ").removesuffix(f" {tail}")
        assert between in {ROWS[4][0], ROWS[5][0]}  # the other texts of one sentence are of bats
        assert text[start : start + 3] == "bat"
        assert item.lemma == "bat"


def test_without_distance_the_texts_are_as_they_were(task):
    assert [text for text, _, _ in pushed(task.dataset, 0)] == [ROWS[0][0], ROWS[1][0]]


def test_a_longer_distance_begins_with_a_shorter_one(task):
    (short, *_), (long, *_) = (next(iter(pushed(task.dataset, n))) for n in (5, 8))
    head = "He saw the bat. "
    assert len(long) > len(short)
    between = short.removeprefix(head).removesuffix("It slept in a cave.")
    assert long.startswith(head + between)


def test_distance_by_hand(task):
    # lesk counts words within 50 tokens, wherever they stand, until they are too far away
    far = distance_task(task, TAG, [0, 12])
    assert [item.id for item in far.dataset.instances] == ["1", "2", "1", "2"]
    answers = {name: MethodSystem(name)(far, quiet) for name in ("lesk", "first_sense")}
    curve = distance_curve(far, answers, [0, 12])
    assert curve["strata"] == ["cross"]
    assert (curve["n"], curve["distances"]) == (2, [0, 12])
    assert [point["distance"] for point in curve["systems"]["lesk"]] == [0, 12]
    assert {point["accuracy"] for point in curve["systems"]["first_sense"]} == {0.5}


def test_no_task_without_cues_elsewhere(make_task, labelled_file):
    assert distance_task(make_task(labelled_file), TAG) is None


def test_examples_are_drawn_and_those_of_a_sense_with_few_are_all_used(toy_inventory):
    whole = load_inventory(toy_inventory)
    part = whole.with_examples(1, seed=3)
    for sense, kept in zip(whole.senses, part.senses, strict=True):
        assert len(kept.examples) == min(1, len(sense.examples))
        assert set(kept.examples) <= set(sense.examples)
    assert whole.with_examples(1, seed=3) == part
    assert whole.with_examples(99, seed=0).candidates("bat")[0].id == whole.candidates("bat")[0].id


def test_a_learning_curve(task, toy_model, toy_sense_model):
    attention = {
        "@sense_methods": "spacy_attn.attention.v1",
        "model": str(toy_model),
        "sense_model": str(toy_sense_model),
        "window": 64,
        "overlap": 16,
    }
    steps = []
    for method in ("lesk_extended", attention):
        points = learning_points(
            MethodSystem(method), task, lambda *step: steps.append(step), [1, 2], 2
        )
        assert [point["size"] for point in points] == [1, 2]
        assert all(0 <= p["low"] <= p["accuracy"] <= p["high"] <= 1 for p in points)
        assert points[-1]["short"] == sum(len(s.examples) < 2 for s in task.inventory.senses)
    assert steps == 2 * [(n, 4) for n in (1, 2, 3, 4)]
    assert [learns(name) for name in ("random", "first_sense", "lesk")] == [False] * 3
    assert [learns(name) for name in ("lesk_extended", "tfidf")] == [True] * 2


def test_no_learning_curve_without_examples(task):
    lexicon = replace(task, inventory=wordnet_inventory())
    with pytest.raises(ConfigError, match="needs an inventory with examples"):
        learning_points(MethodSystem("lesk"), lexicon, quiet)
