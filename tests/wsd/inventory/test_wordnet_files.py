"""WordNet's files, on seven synsets that a person can read, and on the real ones."""

from __future__ import annotations

import pytest

from spacy_attn.errors import ResourceError
from spacy_attn.wsd.inventory.wordnet_files import SUPERSENSES, WordNet, find_wordnet


def test_candidates_stand_in_wordnets_order(toy_wordnet):
    wordnet = WordNet(toy_wordnet)
    senses = wordnet.candidates("Bat", "NOUN")
    assert [(s.key, s.rank, s.count, s.supersense) for s in senses] == [
        ("bat%1:05:00::", 1, 3, "noun.animal"),
        ("bat%1:06:00::", 2, 1, "noun.artifact"),
    ]
    assert wordnet.candidates("bat", "VERB") == ()
    assert wordnet.candidates("river bank", "NOUN")[0].lemma == "river_bank"


def test_gloss_and_synonyms(toy_wordnet):
    wordnet = WordNet(toy_wordnet)
    bat = wordnet.senses["bat%1:05:00::"]
    assert wordnet.gloss(bat) == ("a flying animal", ["the bat flew at night"])
    assert wordnet.synonyms(bat) == ["bat", "chiropteran"]
    assert wordnet.gloss(wordnet.senses["hit%2:41:00::"]) == ("reach with success", [])


def test_a_missing_wordnet_names_the_command(tmp_path):
    with pytest.raises(ResourceError, match="apt-get install wordnet-base wordnet-sense-index"):
        WordNet(tmp_path)


def test_the_environment_names_the_folder(toy_wordnet, monkeypatch):
    monkeypatch.setenv("SPACY_ATTN_WORDNET", str(toy_wordnet))
    assert find_wordnet() == toy_wordnet


def test_there_are_45_lexicographer_files():
    assert len(SUPERSENSES) == 45
    assert SUPERSENSES[5] == "noun.animal"
    assert SUPERSENSES[44] == "adj.ppl"


@pytest.mark.skipif(find_wordnet() is None, reason="no WordNet 3.0 on this machine")
def test_the_real_wordnet_has_the_published_size():
    wordnet = WordNet()
    # wnstats(7WN) of WordNet 3.0: 206,941 word-sense pairs
    assert len(wordnet.senses) == 206_941
    assert wordnet.candidates("bat", "NOUN")[0].key == "bat%1:05:00::"
