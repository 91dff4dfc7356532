"""Finding the words of an inventory in a tokenised text."""

from __future__ import annotations

import pytest
import spacy

from spacy_attn.components.adapter import context_of
from spacy_attn.wsd.context import Context
from spacy_attn.wsd.inventory.find import find_targets
from spacy_attn.wsd.inventory.jsonl import Inventory
from spacy_attn.wsd.sense import Sense


def sense(sense_id, lemma, pos="NOUN", forms=()):
    return Sense(sense_id, lemma, pos, "a definition", forms=forms)


INVENTORY = Inventory(
    "toy",
    (
        sense("bat.animal", "bat"),
        sense("bat.club", "bat"),
        sense("bat.hit", "bat", "VERB"),
        sense("spot.stain", "spot"),
        sense("hot.warm", "hot", "ADJ"),
        sense("hot_spot.network", "hot spot"),
        sense("break_down.weep", "break down", "VERB", ("broke down", "broken down")),
        sense("check-in.hotel", "check-in"),
        sense("bank.money", "bank"),
    ),
    "en",
)


def context(tokens, lemmas="", tags=""):
    """A context of tokens written with one blank between them; "." stands for an empty value."""
    words = tokens.split(" ")
    starts = [len(" ".join(words[:i])) + bool(i) for i in range(len(words))]

    def column(text):
        values = text.split() or ["."] * len(words)
        return ["" if value == "." else value for value in values]

    return Context(
        tokens,
        words,
        [(start, start + len(word)) for start, word in zip(starts, words, strict=True)],
        column(lemmas),
        column(tags),
    )


def found(text_context, inventory=INVENTORY):
    """(word as written, ids of the candidates) of each target."""
    return [
        (" ".join(text_context.tokens[t.start : t.end]), [s.id for s in t.candidates])
        for t in find_targets(text_context, inventory)
    ]


BATS = ["bat.animal", "bat.club"]


def test_by_form_where_there_are_no_lemmas_and_tags():
    assert found(context("the bats flew")) == [("bats", [*BATS, "bat.hit"])]
    assert found(context("he batted well")) == [("batted", [*BATS, "bat.hit"])]


def test_by_lemma():
    tagged = context("the flittermice flew", "the bat fly", "DET NOUN VERB")
    assert found(tagged) == [("flittermice", BATS)]


@pytest.mark.parametrize(
    ("tag", "first"),
    [("NOUN", BATS), ("PROPN", BATS), ("VERB", ["bat.hit"]), ("AUX", BATS)],  # behind "the"
)
def test_the_part_of_speech_is_evidence_for_its_senses(tag, first):
    (target,) = find_targets(context("the bat", "the bat", f"DET {tag}"), INVENTORY)
    n = target.readings[0].n_senses
    assert [sense.id for sense in target.candidates[:n]] == first
    probabilities = [reading.probability for reading in target.readings]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) <= 1.0 + 1e-9
    assert sum(reading.n_senses for reading in target.readings) == len(target.candidates)


@pytest.mark.parametrize("tag", ["VERB", "X", "DET"])
def test_a_tag_that_speaks_against_a_word_leaves_it_little(tag):
    """Where the tagger may be wrong, the senses stay, with the probability that it is."""
    odd = context("the hot dog ran", "the hot dog run", f"DET {tag} NOUN VERB")
    usual = context("the hot dog ran", "the hot dog run", "DET ADJ NOUN VERB")
    (one,), (other,) = find_targets(odd, INVENTORY), find_targets(usual, INVENTORY)
    assert one.candidates == other.candidates
    assert one.readings[0].probability < other.readings[0].probability


def test_what_is_surely_another_part_of_speech_is_no_target():
    assert found(context("it is on the bank", "it be on the bank", "PRON AUX ADP DET NOUN")) == [
        ("bank", ["bank.money"])
    ]


@pytest.mark.parametrize(
    ("tag", "senses"),
    [("NOUN", BATS), ("PROPN", BATS), ("VERB", ["bat.hit"]), ("AUX", ["bat.hit"])],
)
def test_in_other_languages_the_part_of_speech_chooses_the_candidates(tag, senses):
    german = Inventory("toy", INVENTORY.senses, "de")
    assert found(context("the bat", "the bat", f"DET {tag}"), german) == [("bat", senses)]


def test_capital_letters():
    assert found(context("BATS and Bat and bAt")) == [
        ("BATS", [*BATS, "bat.hit"]),
        ("Bat", [*BATS, "bat.hit"]),
        ("bAt", [*BATS, "bat.hit"]),
    ]


def test_the_longest_match_wins():
    assert found(context("a hot spot on a hot bat")) == [
        ("hot spot", ["hot_spot.network"]),
        ("hot", ["hot.warm"]),
        ("bat", [*BATS, "bat.hit"]),
    ]


def test_multi_word_lemmas_inflect():
    assert found(context("two hot spots")) == [("hot spots", ["hot_spot.network"])]
    assert found(context("she broke down")) == [("broke down", ["break_down.weep"])]
    assert found(context("breaking down slowly")) == [("breaking down", ["break_down.weep"])]
    by_lemma = context("she brake down", "she break down", "PRON VERB ADP")
    assert found(by_lemma) == [("brake down", ["break_down.weep"])]


def test_the_head_of_a_multi_word_lemma_gives_its_part_of_speech():
    verb = context("they broke down", "they break down", "PRON VERB ADP")
    assert found(verb) == [("broke down", ["break_down.weep"])]
    noun = context("the break down", "the break down", "DET NOUN ADP")
    assert found(noun) == []
    assert found(context("a hot spot", "a hot spot", "DET ADJ NOUN")) == [
        ("hot spot", ["hot_spot.network"])
    ]
    split = found(context("a hot spot", "a hot spot", "DET ADJ VERB"))
    assert split[0] == ("hot", ["hot.warm"])


def test_overlapping_words_are_read_from_the_left():
    inventory = Inventory("x", (sense("1", "a b"), sense("2", "b c"), sense("3", "c")))
    assert found(context("a b c"), inventory) == [("a b", ["1"]), ("c", ["3"])]


def test_adjacent_and_repeated_words():
    assert [word for word, _ in found(context("bat bat hot spot bat"))] == [
        "bat",
        "bat",
        "hot spot",
        "bat",
    ]


def test_a_word_at_the_end_of_the_text_is_not_read_beyond_it():
    assert found(context("very hot")) == [("hot", ["hot.warm"])]


@pytest.mark.parametrize("text", ["check-in", "Check - in", "check-ins"])
def test_what_a_tokenizer_splits_is_still_one_word(text):
    doc = spacy.blank("en")(f"The {text} was slow")
    (target,) = find_targets(context_of(doc), INVENTORY)
    assert doc[target.start : target.end].text == text
    assert [s.id for s in target.candidates] == ["check-in.hotel"]


def test_white_space_does_not_part_a_word():
    doc = spacy.blank("en")("the hot\n  spot, the hot  spots and a\n\nbat")
    targets = find_targets(context_of(doc), INVENTORY)
    assert [doc[t.start : t.end].text for t in targets] == ["hot\n  spot", "hot  spots", "bat"]


def test_part_of_a_token_is_no_word():
    assert found(context("bat.com bat's batman x-bat")) == []


def test_a_merged_token_can_be_a_multi_word_lemma():
    merged = Context("hot spot", ["hot spot"], [(0, 8)], [""], [""])
    assert found(merged) == [("hot spot", ["hot_spot.network"])]


@pytest.mark.parametrize("text", ["", " \n", "nothing here", "‏ \u200b …"])
def test_texts_without_a_word(text):
    assert find_targets(context_of(spacy.blank("en")(text)), INVENTORY) == []


def test_the_index_goes_into_the_target():
    (target,) = find_targets(context("a bat"), INVENTORY, index=7)
    assert (target.context, target.start, target.end, target.lemma) == (7, 1, 2, "bat")


@pytest.mark.parametrize("tag", ["ADJ", "ADV", "X", "PROPN", "NOUN"])
def test_a_noun_is_found_under_the_tags_that_taggers_give_rare_nouns(tag):
    inventory = Inventory("toy", (sense("java.island", "java"), sense("java.code", "java")))
    (target,) = find_targets(context("in java", tags=f"ADP {tag}"), inventory)
    assert [s.id for s in target.candidates] == ["java.island", "java.code"]


@pytest.mark.parametrize("tag", ["ADJ", "ADV", "PROPN", "NOUN"])
def test_a_noun_that_english_has_as_nothing_else_is_surely_a_noun(tag):
    senses = (sense("java.island", "java"), sense("java.code", "java"))
    written = context("it is written in java", tags=f"PRON AUX VERB ADP {tag}")
    (target,) = find_targets(written, Inventory("toy", senses, "en"))
    assert [(reading.pos, reading.n_senses) for reading in target.readings] == [("NOUN", 2)]
    assert target.readings[0].probability > 0.6


def test_a_noun_that_english_has_as_an_adverb_too_is_not_found_under_that_tag():
    well = Inventory("toy", (sense("well.water", "well"), sense("well.oil", "well")), "en")
    sung = context("they sang well", tags="PRON VERB ADV")
    assert find_targets(sung, well) == []


@pytest.mark.parametrize("tag", ["VERB", "AUX"])
def test_a_verb_is_no_noun(tag):
    inventory = Inventory("toy", (sense("bank.money", "bank"),))
    assert find_targets(context("they bank", tags=f"PRON {tag}"), inventory) == []


def test_an_adjective_of_the_inventory_comes_before_a_slip_of_the_tagger():
    inventory = Inventory(
        "toy", (sense("square.shape", "square"), sense("square.adj", "square", "ADJ"))
    )
    (target,) = find_targets(context("square", tags="ADJ"), inventory)
    assert [s.id for s in target.candidates] == ["square.adj"]
