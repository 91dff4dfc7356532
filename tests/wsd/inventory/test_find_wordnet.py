"""Words of tagged texts: what each can be, how probably, and which tokens are one word."""

from __future__ import annotations

from itertools import combinations
from math import isclose
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from spacy_attn.errors import ConfigError
from spacy_attn.wsd.context import Context
from spacy_attn.wsd.inventory import readings
from spacy_attn.wsd.inventory.build_lexicon import build_lexicon
from spacy_attn.wsd.inventory.multiwords import runs_from
from spacy_attn.wsd.inventory.readings import (
    Around,
    ReadingModel,
    TaggedText,
    Weights,
    facts_of,
    neighbour_features,
)
from spacy_attn.wsd.inventory.wordnet import WordNetInventory
from spacy_attn.wsd.inventory.wordnet_files import WordNet
from tests.wsd.given import tagged

#: Only the coarse tag counts: a noun is a noun with probability e³ / (e³ + 1).
TAGS = {f"u={tag}|{tag}": 3.0 for tag in ("NOUN", "VERB", "ADJ", "ADV")}


@pytest.fixture
def toy(toy_wordnet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WordNetInventory:
    """Seven synsets, and weights by which probabilities can be told by hand."""
    model = ReadingModel(Weights(TAGS), Weights({"m|NOUN": 2.0}), {})
    monkeypatch.setattr(readings, "_models", lambda: {"tagged": model, "parsed": model})
    build_lexicon(WordNet(toy_wordnet), tmp_path / "toy.npz")
    return WordNetInventory(tmp_path / "toy.npz", toy_wordnet)


def found(text: str, inventory: WordNetInventory) -> list[tuple[str, str, str, int]]:
    context = tagged(text)
    return [
        (" ".join(context.tokens[t.start : t.end]), t.lemma, t.readings[0].pos, len(t.candidates))
        for t in inventory.find(context)
    ]


def test_words_are_found_by_their_forms(toy):
    assert found("the/DET bats/NOUN hit/VERB the/DET bank/NOUN", toy) == [
        ("bats", "bat", "NOUN", 2),
        ("hit", "hit", "VERB", 2),
        ("bank", "bank", "NOUN", 2),
    ]


def test_probabilities_are_a_softmax_over_readings_and_none(toy):
    (target,) = toy.find(tagged("bats/NOUN"))
    (reading,) = target.readings
    assert isclose(reading.probability, float(softmax([0.0, 3.0])[1]))
    assert sum(r.n_senses for r in target.readings) == len(target.candidates)
    (target,) = toy.find(tagged("bats/VERB"))  # the tagger may be wrong: one in two, by these
    assert isclose(target.readings[0].probability, 0.5)


def test_a_run_of_tokens_is_one_word_where_it_rather_is(toy, monkeypatch):
    text = "the/DET river/NOUN banks/NOUN/bank"
    (target,) = toy.find(tagged(text))
    assert (target.start, target.end, target.lemma) == (1, 3, "river bank")
    assert isclose(target.readings[0].probability, float(softmax([0.0, 2.0])[1]))
    rather_not = ReadingModel(Weights(TAGS), Weights({"m|NOUN": -2.0}), {})
    monkeypatch.setattr(readings, "_models", lambda: {"tagged": rather_not})
    (target,) = toy.find(tagged(text))  # the toy has no river
    alone = float(softmax([0.0, 3.0])[1])
    assert (target.start, target.lemma) == (2, "bank")
    assert isclose(target.readings[0].probability, alone * float(softmax([0.0, -2.0])[0]))


def test_white_space_does_not_part_a_word(toy):
    context = Context(
        "river\n bank \n",
        ["river", "\n ", "bank", " \n"],
        [(0, 5), (5, 7), (7, 11), (11, 13)],
        ["river", "\n ", "bank", " \n"],
        ["NOUN", "SPACE", "NOUN", "SPACE"],
    )
    (target,) = toy.find(context)
    assert (target.start, target.end, target.lemma) == (0, 3, "river bank")


@pytest.mark.parametrize(
    ("text", "at", "of_closed"),
    [
        ("he/PRON had/AUX bills/NOUN", 1, "had>NOUN"),
        ("he/PRON had/VERB never/ADV seen/VERB bats/NOUN", 1, "had>VERB"),
        ("put/VERB it/PRON down/ADP", 2, "down>"),
        ("he/PRON had/AUX bills/NOUN", 2, ""),
    ],
)
def test_what_follows_a_closed_word_is_known(toy, text, at, of_closed):
    around = TaggedText(tagged(text)).neighbours(at)
    assert around.of_closed == of_closed
    features = list(neighbour_features("VERB", around))
    assert (f"c={of_closed}|VERB" in features) == bool(of_closed)


def test_what_stands_around_a_token_is_a_feature_for_each_part_of_speech():
    assert list(neighbour_features("VERB", Around(False, "PRON", "NOUN", "had>NNS"))) == [
        "<PRON|VERB",
        ">NOUN|VERB",
        "<>PRON,NOUN|VERB",
        "c=had>NNS|VERB",
        "c<PRON,had|VERB",
    ]
    assert list(neighbour_features("-", Around(True, "", "ADJ"))) == ["<|-", ">ADJ|-", "^ADJ|-"]


def test_no_tags_no_words(toy):
    assert found("", toy) == []
    with pytest.raises(ConfigError, match=r"^the inventory 'wordnet' needs parts of speech, and"):
        found("bat", toy)


WORDS = ["river", "bank", "banks", "bats", "the", "-", "hit"]
TOKENS = st.tuples(st.sampled_from(WORDS), st.sampled_from(["", "river", "bank", "bat"]))


@given(tokens=st.lists(TOKENS, min_size=1, max_size=7))
def test_runs_are_what_looking_everything_up_finds(tokens):
    """The toy's one lemma of several words, in the form or by the lemma of its first or last."""

    class OneCompound:
        def compounds_from(self, first):
            return {"bank": 2} if first == "river" else {}

        def compound(self, pieces):
            return "river bank" if pieces == ("river", "bank") else None

        def words_of(self, form, given=""):
            return ()

    forms, lemmas = [form for form, _ in tokens], [lemma for _, lemma in tokens]
    context = Context(" ".join(forms), forms, [(0, 0)] * len(forms), lemmas, ["NOUN"] * len(forms))
    text = TaggedText(context)
    got = {run.tokens for k in range(len(forms)) for run in runs_from(text, k, OneCompound())}
    expected = set()
    for start, end in combinations(range(len(forms) + 1), 2):
        if end - start == 2:
            written = forms[start:end]
            variants = [written]
            variants += [[lemmas[start], written[1]]] if lemmas[start] else []
            variants += [[written[0], lemmas[start + 1]]] if lemmas[start + 1] else []
            if ["river", "bank"] in variants:
                expected.add((start, start + 1))
    assert got == expected


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("Bats flew away today", ["first", "lower", "lower", "lower"]),
        ("they watched Bats again", ["lower", "lower", "title", "lower"]),
        ("Landlord and Tenant", ["heading", "lower", "heading"]),
        ("NO BATS HERE", ["shouted"] * 3),
        ("no bats here", ["low"] * 3),
        ("the USB port", ["lower", "upper", "lower"]),
        ("u know 3", ["one", "low", "sign"]),
    ],
)
def test_how_a_token_is_written(text, shapes):
    assert [facts.shape for facts in facts_of(tagged(text))] == shapes


def test_a_letter_that_touches_a_sign_is_part_of_a_code():
    context = Context(
        "usb-c cable",
        ["usb", "-", "c", "cable"],
        [(0, 3), (3, 4), (4, 5), (6, 11)],
        [""] * 4,
        ["NOUN", "PUNCT", "NOUN", "NOUN"],
    )
    assert [facts.shape for facts in facts_of(context)] == [
        "low+glued",
        "sign",
        readings.PART_OF_CODE,
        "low",
    ]


def test_the_shipped_weights_are_finite_and_of_both_kinds():
    for kind in ("tagged", "parsed"):
        model = readings.reading_model(kind)
        values = [*model.single._weights.values(), *model.multi._weights.values()]
        assert len(values) > 1000
        assert np.isfinite(values).all()
        assert all(0 <= one <= n for one, n in model.seen.values())
