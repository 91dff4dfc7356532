"""Lemmas that fit: what spaCy's lemmatizer gives, and the verb or noun that is meant."""

from __future__ import annotations

import pytest

from spacy_attn.components.lemmas import fitting_lemma, is_verb

# form, lemma of spaCy's rule lemmatizer, right lemma
VERBS = """
stared star stare | scared scar scare | hated hat hate | hoped hop hope | hopes hop hope
dined din dine | rated rat rate | raged rag rage | taping tap tape | scraped scrap scrape
gaping gap gape | wining win wine | filing fil file | bathes bath bathe | pining pin pine
planing plan plane | robing rob robe | baring bar bare | moping mop mope | griped grip gripe
sloped slop slope | sited sit site | biting bit bite | noted not note | waged wag wage
sniped snip snipe | spared spar spare | fined fin fine | riding rid ride | codes cod code
starred star star | hopping hop hop | stopped stop stop | winning win win | dying die die
tied tie tie | went go go | found find find | lay lie lie | fed feed feed | bled bleed bleed
said say say | has have have | was be be | programming program program | does do do
travelling travel travel | visited visit visit | panicked panic panic | stoped stop stop
runing run run | bused bus bus | googled google google
"""
NOUNS = """
taxes taxis tax | axes axis axis | leaves leaf leaf | bases basis basis | lives life life
knives knife knife | mice mouse mouse | analyses analysis analysis | thieves thief thief
dice die die | gases gas gas | lenses lens lens | shoes shoe shoe | heroes hero hero
cats cat cat | blorps blorp blorp
"""


def cases(text, pos):
    for case in text.replace("\n", "|").split("|"):
        if case.strip():
            yield *case.split(), pos


@pytest.mark.parametrize(
    ("form", "given", "lemma", "pos"), [*cases(VERBS, "VERB"), *cases(NOUNS, "NOUN")]
)
def test_the_lemma_fits_the_form(form, given, lemma, pos):
    assert fitting_lemma(form, given, pos) == lemma


def test_other_parts_of_speech_stay():
    assert fitting_lemma("rated", "rat", "ADJ") == "rat"


@pytest.mark.parametrize(("word", "expected"), [("season", True), ("fry", True), ("anna", False)])
def test_verbs(word, expected):
    assert is_verb(word) is expected


@pytest.mark.parametrize(
    ("text", "relation"),
    [
        ("He stared at the wall.", "He | stare at | the wall"),
        ("She scared the cat.", "She | scare | the cat"),
        ("They hated the soup.", "They | hate | the soup"),
        ("He hoped for rain.", "He | hope for | rain"),
        ("They dined at home.", "They | dine at | home"),
        ("The wall was scraped by a car.", "a car | scrape | The wall"),
    ],
)
def test_relations_show_a_lemma_that_fits(spacy_english, text, relation):
    spacy_english.add_pipe("relation_extractor")
    try:
        doc = spacy_english(text)
        assert relation in [each.text(doc) for each in doc._.relations]
    finally:
        spacy_english.remove_pipe("relation_extractor")
