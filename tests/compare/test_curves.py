"""Curves: what is drawn of examples, what is put between target and cue."""

from __future__ import annotations

import json

import pytest
import spacy

from spacy_attn.compare.curves import distance_curve, learning_curve, learns, pushed
from spacy_attn.compare.systems import tagged_by
from spacy_attn.wsd.inventory.model import load_inventory

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
            {"text": text, "start": start, "end": start + len(word), "lemma": word, "pos": "NOUN",
             "sense": sense, "stratum": "cross" if "." in text[:-1] else "plain", "cues": spans}
        )  # fmt: skip
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
    curve = distance_curve(
        task, {"lesk": "lesk", "first": "first_sense"}, TAG, [0, 12], in_process=True
    )
    assert curve["strata"] == ["cross"]
    assert (curve["n"], curve["distances"]) == (2, [0, 12])
    assert [point["distance"] for point in curve["systems"]["lesk"]] == [0, 12]
    assert {point["accuracy"] for point in curve["systems"]["first"]} == {0.5}


def test_no_curve_without_cues_elsewhere(make_task, labelled_file):
    assert distance_curve(make_task(labelled_file), {"lesk": "lesk"}, TAG) is None


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
        "@sense_methods": "spacy_attn.attention.v1", "model": str(toy_model),
        "sense_model": str(toy_sense_model), "window": 64, "overlap": 16,
    }  # fmt: skip
    steps = []
    curve = learning_curve(
        task, {"lesk_extended": "lesk_extended", "attention": attention}, [1, 2], 2,
        in_process=True, on_progress=lambda *step: steps.append(step),
    )  # fmt: skip
    assert (curve["sizes"], curve["draws"]) == ([1, 2], 2)
    for points in curve["systems"].values():
        assert [point["size"] for point in points] == [1, 2]
        assert all(0 <= p["low"] <= p["accuracy"] <= p["high"] <= 1 for p in points)
        assert points[-1]["short"] == sum(len(s.examples) < 2 for s in task.inventory.senses)
    assert steps[-1] == ("attention, few examples", 4, 4)
    assert [learns(name) for name in ("lesk", "first_sense", "tfidf")] == [False, False, True]
