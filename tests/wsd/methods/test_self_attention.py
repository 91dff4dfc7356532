"""PrototypicalSenses against arithmetic written out."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import spacy
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from spacy_attn.components.adapter import context_of, resources_of
from spacy_attn.errors import ResourceError
from spacy_attn.wsd.context import Target
from spacy_attn.wsd.inventory.find import find_targets
from spacy_attn.wsd.inventory.jsonl import Inventory
from spacy_attn.wsd.inventory.wordnet import WordNetInventory
from spacy_attn.wsd.methods.self_attention import (
    GlossVectors,
    PrototypeHead,
    PrototypicalSenses,
    SenseCounts,
)
from spacy_attn.wsd.sense import Example, Sense
from spacy_attn.wsd.vectors import Texts

NLP = spacy.blank("en")
RESOURCES = resources_of(NLP)
TOY = Inventory(
    "toy",
    (
        Sense("bat.animal", "bat", "NOUN", "animal", (Example("cave bat", 5, 8),)),
        Sense("bat.club", "bat", "NOUN", "club", (Example("ball bat", 5, 8),) * 2),
    ),
    "en",
)


class Static:
    """Width 2: words of animals point right, words of games up."""

    width, identity = 2, "toy:0"

    def vectors(self, words):
        known = {"animal": (1, 0), "cave": (1, 0), "club": (0, 1), "ball": (0, 1), "bat": (1, 1)}
        rows = [known.get(word.lower(), (0, 0)) for word in words]
        return np.array(rows, dtype=np.float32).reshape(-1, 2)


class Copies:
    """An encoder without context: a token's vector is its static one."""

    identity, width = "copies", 2

    def __init__(self):
        self.reads = []

    def encode(self, texts, offsets, reads=None):
        self.reads.append(reads)
        return [
            Static().vectors([text[a:b] for a, b in places])
            for text, places in zip(texts, offsets, strict=True)
        ]


def head(**more):
    same = np.eye(2, dtype=np.float32)
    made = PrototypeHead(0 * same, same, same, 2.0, 3.0, 1.0, 0.5, 10, 0.7)
    return replace(made, **more)


def scores(text, inventory=TOY, **more):
    method = PrototypicalSenses(inventory, RESOURCES, Copies(), Static(), head(**more))
    contexts = [context_of(NLP(text))]
    targets = find_targets(contexts[0], inventory)
    return method.score(Texts(contexts), targets)[0]


def test_scores_by_hand():
    # The context "cave" has z = (1, 0). By definition: 2 * (1, 0) and 2 * (0, 1). By examples:
    # one of (1, 0) with weight 3 / (1 + 1), two of (0, 1) with 3 * 2 / (2 + 1).
    np.testing.assert_allclose(scores("cave bat"), [2 + 1.5, 0], atol=1e-6)
    np.testing.assert_allclose(scores("ball bat"), [0, 2 + 2], atol=1e-6)
    both = np.sqrt(0.5)
    np.testing.assert_allclose(scores("ball bat cave"), [3.5 * both, 4 * both], atol=1e-6)


def test_without_examples_the_definitions_decide():
    bare = TOY.without_examples([e for s in TOY.senses for e in s.examples])
    np.testing.assert_allclose(scores("cave bat", bare), [2, 0], atol=1e-6)
    np.testing.assert_allclose(scores("cave bat", bare, gloss_weight=0.0), [0, 0], atol=1e-6)


def test_many_examples_count_more_than_one():
    vector = head().sense(np.zeros(2, np.float32), np.array([4, 0], np.float32), 4)
    np.testing.assert_allclose(vector, [3 * 4 / 5, 0], atol=1e-6)


def test_nothing_to_score():
    method = PrototypicalSenses(TOY, RESOURCES, Copies(), Static(), head())
    assert method.score(Texts([]), []) == []
    assert method.name == "self_attention"
    assert method.temperature == 0.7
    given = PrototypicalSenses(TOY, RESOURCES, Copies(), Static(), head(), temperature=2.0)
    assert given.temperature == 2.0


def test_it_reads_the_words_around():
    method = PrototypicalSenses(TOY, RESOURCES, Copies(), Static(), head(context_radius=1))
    context = context_of(NLP("ball cave bat cave ball"))
    method.score(Texts([context]), [Target(0, 2, 3, "bat", TOY.senses)])
    assert method.encoder.reads[0] == [[(1, 4)]]


def test_a_definition_is_the_weighted_mean_of_its_words():
    inventory = Inventory("toy", (Sense("a", "bat", "NOUN", "the cave ball ball bat"),), "en")
    vector = GlossVectors(inventory, RESOURCES, Static()).vector(inventory.senses[0])
    # "the" is a stop word, "bat" the word itself; among cave, ball, ball, bat a share of f has
    # weight 1e-3 / (1e-3 + f).
    rare, often = 1e-3 / (1e-3 + 1 / 4), 1e-3 / (1e-3 + 2 / 4)
    expected = np.array([rare, 2 * often])
    np.testing.assert_allclose(vector, expected / np.linalg.norm(expected), atol=1e-6)
    unknown = Sense("b", "bat", "NOUN", "zzz the")
    assert not GlossVectors(inventory, RESOURCES, Static()).vector(unknown).any()


def counts(lexicon="x"):
    return SenseCounts(
        np.array([3, 7], np.int32),
        np.array([2, 5], np.int32),
        np.array([[127, 0], [0, -127]], np.int8),
        np.array([2, 5], np.float32) / 127,
        lexicon,
    )


def test_counts_are_found_by_row():
    known = Sense("k", "bat", "NOUN", "", row=7)
    total, n = counts().of(known)
    np.testing.assert_allclose(total, [0, -5], atol=1e-6)
    assert n == 5
    for row in (-1, 5, 8):
        total, n = counts().of(replace(known, row=row))
        assert (total.tolist(), n) == ([0, 0], 0)


def test_wordnet_has_counts_and_a_prior(toy_lexicon, toy_wordnet):
    inventory = WordNetInventory(toy_lexicon, toy_wordnet)
    animal, club = inventory.candidates("bat", "NOUN")
    rows = np.array(sorted([animal.row, club.row]), np.int32)
    assert rows.tolist() == [animal.row, club.row]
    known = replace(counts(inventory.digest), rows=rows)
    method = PrototypicalSenses(
        inventory, RESOURCES, Copies(), Static(), head(gloss_weight=0.0), known
    )
    contexts = [context_of(NLP("cave bat"))]
    target = Target(0, 1, 2, "bat", (animal, club))
    obtained = method.score(Texts(contexts), [target])[0]
    expected = [3 * 2 / 3 + 0.5 * np.log(2.5), 0.5 * np.log(5.5)]
    np.testing.assert_allclose(obtained, expected, atol=1e-5)


def test_counts_of_another_lexicon(toy_lexicon, toy_wordnet):
    inventory = WordNetInventory(toy_lexicon, toy_wordnet)
    with pytest.raises(ResourceError, match=r"trained for a lexicon of WordNet with hash other,"):
        PrototypicalSenses(inventory, RESOURCES, Copies(), Static(), head(), counts("other"))


DAMAGED = [
    ({}, {"gloss_weight": "evil"}),
    ({}, {"example_weight": float("nan")}),
    ({}, {"shrinkage": 0.0}),
    ({}, {"temperature": 0}),
    ({}, {"temperature": float("nan")}),
    ({}, {"prior": float("inf")}),
    ({}, {"context_radius": -1}),
    ({}, {"context_radius": 2.5}),
    ({"target": np.ones((8, 3))}, {}),
    ({"context": np.ones((3, 8))}, {}),
    ({"gloss": np.ones(4)}, {}),
    ({"target": np.full((8, 8), 1e300)}, {}),  # finite as it is stored
    ({"target": np.ones((8, 3)), "context": np.ones((8, 3))}, {}),  # of another encoder
    ({"gloss": np.ones((8, 5))}, {}),  # of other vectors
]


def remade(path, new, maps, numbers):
    """The same model with other maps and numbers."""
    arrays = load_file(path) | {f"head.{name}": array for name, array in maps.items()}
    with safe_open(path, framework="numpy") as file:
        manifest = json.loads(file.metadata()["manifest"])
    manifest["head"] |= numbers
    save_file(arrays, new, metadata={"manifest": json.dumps(manifest)})
    return new


@pytest.mark.parametrize(("maps", "numbers"), DAMAGED, ids=range(len(DAMAGED)))
def test_a_head_that_would_give_no_numbers(
    tmp_path, toy_self_attention, toy_vectors, toy_inventory, maps, numbers
):
    path = remade(toy_self_attention, tmp_path / "m.safetensors", maps, numbers)
    name = "spacy_attn.self_attention.v1"
    method = {"@sense_methods": name, "model": str(path), "vectors": str(toy_vectors)}
    nlp = spacy.blank("en")
    settings = {"inventory": str(toy_inventory), "method": method}
    nlp.add_pipe("sense_disambiguator", config=settings)
    with pytest.raises(ResourceError, match=r"m\.safetensors is no self-attention model"):
        nlp("the bat flew")


def test_counts_that_are_none(tmp_path, toy_self_attention):
    with safe_open(toy_self_attention, framework="numpy") as file:
        manifest = json.loads(file.metadata()["manifest"]) | {"lexicon": "x"}
    made: dict[str, np.ndarray] = {
        "wordnet.rows": np.zeros(2, np.int32),
        "wordnet.counts": np.zeros(2, np.int32),
    }
    made |= {"wordnet.vectors": np.zeros((1, 8), np.int8), "wordnet.scales": np.ones(2)}
    path = tmp_path / "m.safetensors"
    for arrays in (made, {name: made[name] for name in list(made)[:2]}):
        save_file(arrays, path, metadata={"manifest": json.dumps(manifest)})
        with pytest.raises(ResourceError, match=r"m\.safetensors is no self-attention model"):
            SenseCounts.load(path)


def test_a_head_that_is_none(tmp_path):
    with pytest.raises(ResourceError, match=r"none\.safetensors is no self-attention model"):
        PrototypeHead.load(tmp_path / "none.safetensors")
