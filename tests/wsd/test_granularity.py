"""Several senses answered as one: probabilities add up, names are stable."""

from __future__ import annotations

import pytest
import spacy

from spacy_attn.errors import ConfigError
from spacy_attn.wsd.context import Target
from spacy_attn.wsd.decide import Decision
from spacy_attn.wsd.granularity import coarsen_for, coarsened
from spacy_attn.wsd.inventory.jsonl import load_inventory
from spacy_attn.wsd.inventory.wordnet import wordnet_inventory
from spacy_attn.wsd.sense import Sense

SENSES = (
    Sense("a", "bat", "NOUN", "first", supersense="noun.animal"),
    Sense("b", "bat", "NOUN", "second", supersense="noun.artifact"),
    Sense("c", "bat", "NOUN", "third", supersense="noun.artifact"),
    Sense("d", "bat", "NOUN", "fourth"),
)
TARGET = Target(0, 0, 1, "bat", SENSES)
DECISION = Decision(SENSES[0], 0.4, 0.05, ("a", "c", "b", "d"), (0.4, 0.35, 0.2, 0.05))


def test_supersenses_add_up():
    found = coarsen_for("supersense", load_inventory("homographs"))(TARGET, DECISION)
    assert found.ids == ("noun.artifact", "noun.animal", "d")
    assert found.probabilities == pytest.approx((0.55, 0.4, 0.05))
    assert found.score == pytest.approx(0.55)
    assert found.margin == pytest.approx(0.15)
    assert (found.sense.id, found.sense.definition) == ("noun.artifact", "third")


def test_a_group_is_named_by_a_candidate():
    names = {"a": "a", "b": "b", "c": "b", "d": "d"}
    found = coarsened(TARGET, DECISION, lambda sense: names[sense.id])
    assert found.sense is SENSES[1]
    assert found.ids == ("b", "a", "d")
    alone = coarsened(TARGET, DECISION, lambda sense: "a")
    assert (alone.sense, alone.score, alone.margin) == (SENSES[0], pytest.approx(1.0), 1.0)


def test_fine_is_left_as_it_is():
    assert coarsen_for("fine", wordnet_inventory()) is None


def test_coarse_senses_of_wordnet():
    inventory = wordnet_inventory()
    groups = [inventory.group_of(sense) for sense in inventory.candidates("bat", "NOUN")]
    assert "bat%1:05:00::" in groups
    assert groups[0] != groups[4]  # the animal and the club
    for lemma, pos in inventory.words[::997]:
        senses = inventory.candidates(lemma, pos)
        names = [inventory.group_of(sense) for sense in senses]
        assert set(names) <= {sense.id for sense in senses}
        assert [inventory.group_of(s) for s in senses if s.id in names] == [
            s.id for s in senses if s.id in names
        ]


@pytest.mark.parametrize(
    ("granularity", "reason"),
    [
        ("rough", "^granularity = 'rough'; allowed are fine, coarse, supersense$"),
        ("coarse", "^granularity = 'coarse' with the inventory 'homographs': allowed is 'super"),
    ],
)
def test_what_is_not_allowed(granularity, reason):
    nlp = spacy.blank("en")
    with pytest.raises(ConfigError, match=reason):
        nlp.add_pipe("sense_disambiguator", config={"granularity": granularity})


def test_the_component_answers_in_supersenses_and_thresholds_them():
    nlp = spacy.blank("en")
    nlp.add_pipe(
        "sense_disambiguator", config={"granularity": "supersense", "method": "first_sense"}
    )
    doc = nlp("The bat flew.")
    sense = doc[1]._.sense
    assert sense.id == doc.spans["senses"][0].label_ == "noun.animal"
    assert sense.ranked[0] == ("noun.animal", sense.score)
