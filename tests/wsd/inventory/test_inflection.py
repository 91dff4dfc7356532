"""English inflection against a table written by hand."""

from __future__ import annotations

import pytest

from spacy_attn.wsd.inventory.forms import english_forms

# The forms beside the lemma, all of them.
TABLE = {
    ("bat", "NOUN"): "bats",
    ("bat", "VERB"): "bats batted batting",
    ("plan", "VERB"): "plans planned planning",
    ("seal", "VERB"): "seals sealed sealing",
    ("bow", "VERB"): "bows bowed bowing",
    ("play", "VERB"): "plays played playing",
    ("dry", "VERB"): "dries dried drying",
    ("dry", "ADJ"): "drier driest",
    ("big", "ADJ"): "bigger biggest",
    ("light", "ADJ"): "lighter lightest",
    ("fine", "ADJ"): "finer finest",
    ("free", "ADJ"): "freer freest",
    ("gray", "ADJ"): "grayer grayest",
    ("lie", "VERB"): "lies lied lying",
    ("charge", "VERB"): "charges charged charging",
    ("agree", "VERB"): "agrees agreed agreeing",
    ("dye", "VERB"): "dyes dyed dyeing",
    ("address", "VERB"): "addresses addressed addressing",
    ("address", "NOUN"): "addresses",
    ("match", "NOUN"): "matches",
    ("wish", "VERB"): "wishes wished wishing",
    ("box", "VERB"): "boxes boxed boxing",
    ("quit", "VERB"): "quits quitted quitting",
    ("quiz", "NOUN"): "quizzes",
    ("waltz", "NOUN"): "waltzes",
    ("panic", "VERB"): "panics panicked panicking",
    ("party", "NOUN"): "parties",
    ("key", "NOUN"): "keys",
    ("radio", "NOUN"): "radios",
    ("x", "NOUN"): "xes",
    ("well", "ADV"): "",
}


@pytest.mark.parametrize(("lemma", "pos"), TABLE)
def test_regular_forms(lemma, pos):
    assert english_forms(lemma, pos) == {lemma, *TABLE[lemma, pos].split()}


@pytest.mark.parametrize(
    ("lemma", "pos", "met"),
    [
        ("photo", "NOUN", {"photos"}),
        ("potato", "NOUN", {"potatoes"}),
        ("echo", "VERB", {"echoes", "echoed", "echoing"}),
        ("visit", "VERB", {"visits", "visited", "visiting"}),
        ("admit", "VERB", {"admits", "admitted", "admitting"}),
        ("travel", "VERB", {"traveled", "travelled", "traveling", "travelling"}),
        ("be", "VERB", {"being"}),
        ("go", "VERB", {"goes", "going"}),
    ],
)
def test_where_spelling_does_not_tell_the_met_forms_are_among_them(lemma, pos, met):
    assert met <= english_forms(lemma, pos)


def test_a_short_verb_gets_no_form_of_another_word():
    assert "bed" not in english_forms("be", "VERB")
    assert not {"bated", "bating"} & english_forms("bat", "VERB")
    assert not {"planed", "planing"} & english_forms("plan", "VERB")


def test_an_irregular_past_takes_the_place_of_the_regular_one():
    assert english_forms("draw", "VERB", ("drew", "drawn")) == {
        "draw",
        "draws",
        "drawing",
        "drew",
        "drawn",
    }


def test_an_irregular_plural_is_added():
    assert {"mouse", "mice"} <= english_forms("mouse", "NOUN", ("mice",))


def test_nouns_and_adjectives_inflect_the_last_word_verbs_the_first():
    assert english_forms("hot spot", "NOUN") == {"hot spot", "hot spots"}
    assert english_forms("break down", "VERB", ("broke down", "broken down")) == {
        "break down",
        "breaks down",
        "breaking down",
        "broke down",
        "broken down",
    }
    assert "very heavier" in english_forms("very heavy", "ADJ")
