"""Lemmas that fit their words: of "stared" not "star", whose past is "starred"."""

from __future__ import annotations

from functools import lru_cache

from spacy_attn.wsd.inventory.forms import english_forms
from spacy_attn.wsd.inventory.wordnet import wordnet_inventory


@lru_cache(20_000)
def fitting_lemma(form: str, lemma: str, pos: str) -> str:
    """The lemma of an English word that gives its form when it is inflected.

    ``stared star VERB -> stare``, ``taxes taxis NOUN -> tax``, ``went go VERB -> go``. The lemma
    of the pipeline stays where the rules of spelling give the form (``starred star``), where it
    is irregular and in use (``axes axis``), and where WordNet knows no other word of that form.

    Args:
        form: lower case.
        lemma: as a lemmatizer gave it, lower case.
        pos: NOUN or VERB; lemmas of others are returned as they are.
    """
    if form == lemma or pos not in ("NOUN", "VERB") or form in english_forms(lemma, pos):
        return lemma
    inventory = wordnet_inventory()
    others = [
        other
        for other, its_pos in inventory.words_of(form)
        if its_pos == pos and other != form and form in english_forms(other, pos)
    ]
    is_misspelt = form in {lemma + ending for ending in ("s", "es", "ed", "ing")}
    if others and (is_misspelt or not inventory.count_of(lemma, pos)):
        return max(others, key=lambda other: inventory.count_of(other, pos))
    return lemma


def is_verb(form: str) -> bool:
    """Whether WordNet has a verb of this form, uninflected."""
    return bool(wordnet_inventory().candidates(form, "VERB"))
