"""Static vectors against a computation of its own in numpy."""

from __future__ import annotations

import pickle
import threading
from collections import Counter

import numpy as np
import pytest
import spacy

from spacy_attn.components.adapter import context_of, resources_of
from spacy_attn.errors import ResourceError
from spacy_attn.wsd.context import Target
from spacy_attn.wsd.inventory import wordnet as lexicon
from spacy_attn.wsd.inventory.build_lexicon import build_lexicon
from spacy_attn.wsd.inventory.find import find_targets
from spacy_attn.wsd.inventory.jsonl import Inventory
from spacy_attn.wsd.inventory.wordnet import WordNetInventory
from spacy_attn.wsd.inventory.wordnet_files import WordNet, find_wordnet
from spacy_attn.wsd.methods import glosses as prepared
from spacy_attn.wsd.methods.word2vec import StaticCentroid
from spacy_attn.wsd.sense import Example, Sense

NLP = spacy.blank("en")
RESOURCES = resources_of(NLP)
INVENTORY = Inventory(
    "toy",
    (
        Sense("bat.animal", "bat", "NOUN", "a flying animal", (Example("A bat in a cave", 2, 5),)),
        Sense("bat.club", "bat", "NOUN", "the club for a ball", (Example("Ball, bat", 6, 9),)),
        Sense("bat.zero", "bat", "NOUN", "zzz"),
    ),
    "en",
)
# What stands for each sense: no stop words, no punctuation, without the word itself.
BAGS = {
    "bat.animal": ["flying", "animal", "cave"],
    "bat.club": ["club", "ball", "ball"],
    "bat.zero": ["zzz"],
}


class Rows:
    """Random vectors of a few words, zero for the others."""

    width = 4
    identity = "rows"

    def __init__(self):
        words = ["flying", "animal", "cave", "club", "ball", "night", "red"]
        self.rows = dict(zip(words, np.random.default_rng(0).normal(size=(7, 4)), strict=True))

    def vectors(self, words):
        rows = [self.rows.get(word, np.zeros(4)) for word in words]
        return np.array(rows, dtype=np.float32).reshape(-1, 4)


def direction(words, rows, counts):
    """Mean direction with weights a / (a + p), a = 0.001; weight 1 where p = 0."""
    total = sum(counts.values())
    mean = sum(
        (0.001 / (0.001 + counts[w] / total)) * rows.get(w, np.zeros(4)) for w in words
    ) + np.zeros(4)
    norm = np.linalg.norm(mean)
    return mean / norm if norm else mean


def obtained(method, text):
    context = context_of(NLP(text))
    (target,) = find_targets(context, INVENTORY)
    (array,) = method.score([context], [target])
    return array


@pytest.fixture
def method():
    return StaticCentroid(INVENTORY, RESOURCES, Rows())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("the bat of a red cave at night", ["red", "cave", "night"]),
        ("Red ball, RED bat!", ["red", "ball", "red"]),
        ("bat flying", ["flying"]),
        ("an unknown bat of the night", ["unknown", "night"]),
        ("42 bat of the ball-club", ["ball", "club"]),
    ],
)
def test_the_score_is_a_cosine_of_weighted_means(method, text, words):
    rows = Rows().rows
    counts = Counter(word for bag in BAGS.values() for word in bag)
    context = direction(words, rows, counts)
    expected = [direction(bag, rows, counts) @ context for bag in BAGS.values()]
    np.testing.assert_allclose(obtained(method, text), expected, atol=1e-6)


@pytest.mark.parametrize("text", ["bat", "the bat!", "an unknown bat"])
def test_a_context_without_known_words_leaves_the_senses_level(method, text):
    np.testing.assert_array_equal(obtained(method, text), np.zeros(3, dtype=np.float32))


def test_a_sense_without_known_words_scores_zero(method):
    assert obtained(method, "a red bat")[2] == 0


def test_the_window_is_counted_in_tokens():
    near = StaticCentroid(INVENTORY, RESOURCES, Rows(), window=1)
    np.testing.assert_allclose(
        obtained(near, "night red bat ball cave"), obtained(near, "red bat ball"), atol=1e-6
    )
    far = StaticCentroid(INVENTORY, RESOURCES, Rows(), window=2)
    assert np.abs(
        obtained(far, "night red bat ball cave") - obtained(far, "red bat ball")
    ).max() > (0.01)


def test_a_batch_equals_its_texts_alone(method):
    texts = ["a red bat", "bat in a cave of the night", "the bat"]
    contexts = [context_of(NLP(text)) for text in texts]
    targets = [t for i, c in enumerate(contexts) for t in find_targets(c, INVENTORY, i)]
    together = method.score(contexts, targets)
    np.testing.assert_array_equal(together, [obtained(method, text) for text in texts])
    assert method.score([], []) == []


# -- WordNet: senses are prepared when a text asks for them ----------------------------------

WORDNET_BAGS = {
    "bat": [["flying", "animal", "flew", "night"], ["club", "ball", "swing"]],
    "bank": [["house", "money", "money"], ["river", "bats", "flew"]],
}
# Words of all seven glosses that are no stop words ("side" is one of spaCy's).
GLOSSES = """flying animal bat flew night club ball swing bat house money money bank river bats
flew bank touch hard hits ball reach success river banks""".split()


@pytest.fixture
def wordnet(toy_lexicon, toy_wordnet):
    return WordNetInventory(toy_lexicon, toy_wordnet)


def wordnet_scores(method, inventory, text, lemma):
    context = context_of(NLP(text))
    at = context.tokens.index(lemma)
    target = Target(0, at, at + 1, lemma, inventory.candidates(lemma, "NOUN"))
    return method.score([context], [target])[0].tolist()


@pytest.mark.parametrize(
    ("text", "lemma", "words"),
    [
        ("the bat of a red cave at night", "bat", ["red", "cave", "night"]),
        ("a ball and a bat of the animal", "bat", ["ball", "animal"]),
        ("flying to a bank at night", "bank", ["flying", "night"]),
    ],
)
def test_words_are_weighted_by_wordnets_glosses(wordnet, text, lemma, words):
    rows = Rows().rows
    counts = Counter(GLOSSES)
    context = direction(words, rows, counts)
    expected = [direction(bag, rows, counts) @ context for bag in WORDNET_BAGS[lemma]]
    obtained = wordnet_scores(StaticCentroid(wordnet, RESOURCES, Rows()), wordnet, text, lemma)
    np.testing.assert_allclose(obtained, expected, atol=1e-6)


def test_a_sense_is_prepared_when_a_text_holds_its_word(wordnet):
    method = StaticCentroid(wordnet, RESOURCES, Rows())
    assert len(method._senses) == 0
    first = wordnet_scores(method, wordnet, "a red bat", "bat")
    assert len(method._senses) == 2
    assert wordnet_scores(method, wordnet, "a red bat", "bat") == first
    received = pickle.loads(pickle.dumps(method))  # noqa: S301 - our own bytes
    assert len(received._senses) == 0
    assert wordnet_scores(received, wordnet, "a red bat", "bat") == first


def test_threads_share_a_method_whose_memory_is_bounded(wordnet, monkeypatch):
    texts = {"bat": "a red bat and a ball", "bank": "night at the bank , flying"}
    alone = StaticCentroid(wordnet, RESOURCES, Rows())
    expected = {word: wordnet_scores(alone, wordnet, text, word) for word, text in texts.items()}
    monkeypatch.setattr(prepared, "_CACHED_SENSES", 2)
    shared = StaticCentroid(wordnet, RESOURCES, Rows())
    seen = []

    def work():
        for _ in range(20):
            seen.append({w: wordnet_scores(shared, wordnet, t, w) for w, t in texts.items()})

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [expected] * 80
    assert len(shared._senses) <= 2


def test_without_the_users_wordnet_the_error_names_the_command(toy_lexicon, monkeypatch):
    monkeypatch.setattr(lexicon, "find_wordnet", lambda: None)
    sentence = (
        "^the method word2vec reads the definitions of inventory = 'wordnet', .*"
        "apt-get install wordnet-base wordnet-sense-index"
    )
    with pytest.raises(ResourceError, match=sentence):
        StaticCentroid(WordNetInventory(toy_lexicon), RESOURCES, Rows())


# -- hypernyms --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    """Two synsets of one kind each: a red bat is a flying animal, and Dracula an instance of it."""
    folder = tmp_path_factory.mktemp("family")
    animal, club = "zzz of a flying animal", "zzz of the club for a ball"
    lines = ["  1 toy\n"]

    def add(word, gloss, *pointers):
        offset = sum(map(len, lines))
        marks = " ".join(f"{sign} {target:08d} n 0000" for sign, target in pointers)
        marks = f" {marks}" if marks else ""
        lines.append(
            f'{offset:08d} 05 n 01 {word} 0 {len(pointers):03d}{marks} | {gloss}; "zzz"  \n'
        )
        return offset

    kind = add("beast", animal)
    thing = add("stick", club)
    offsets = {
        "beast%1:05:00::": (kind, 1),
        "stick%1:05:00::": (thing, 1),
        # "~" (hyponym) and "#p" (part of) are no hypernyms
        "bat%1:05:00::": (add("bat", "zzz", ("@", kind), ("~", thing)), 1),
        "bat%1:05:01::": (add("bat", "zzz", ("#p", kind), ("@i", thing)), 2),
    }
    for name in ("noun", "verb", "adj", "adv"):
        data = "".join(lines) if name == "noun" else "  1 toy\n"
        (folder / f"data.{name}").write_text(data, encoding="utf-8")
        (folder / f"{name}.exc").write_text("beasties beast\n", encoding="utf-8")
    index = (f"{key} {offset:08d} {rank} 0\n" for key, (offset, rank) in sorted(offsets.items()))
    (folder / "index.sense").write_text("".join(index), encoding="utf-8")
    build_lexicon(WordNet(folder), folder / "lexicon.npz")
    return WordNetInventory(folder / "lexicon.npz", folder)


def test_definitions_of_hypernyms_count_among_a_senses_words(family):
    assert [family.hypernym_definitions(s) for s in family.candidates("bat", "NOUN")] == [
        ("zzz of a flying animal",),
        ("zzz of the club for a ball",),
    ]
    assert family.hypernym_definitions(family.candidates("beast", "NOUN")[0]) == ()
    rows = Rows().rows
    counts = Counter(["flying", "animal", "club", "ball", *["zzz"] * 8])
    context = direction(["red", "night"], rows, counts)
    bags = [["flying", "animal"], ["club", "ball"]]
    expected = [direction(bag, rows, counts) @ context for bag in bags]
    method = StaticCentroid(family, RESOURCES, Rows())
    obtained = wordnet_scores(method, family, "a red bat at night", "bat")
    np.testing.assert_allclose(obtained, expected, atol=1e-6)


@pytest.mark.skipif(find_wordnet() is None, reason="no WordNet 3.0 on this machine")
def test_the_hypernym_of_the_real_bat():
    inventory = lexicon.wordnet_inventory()
    bat = inventory.candidates("bat", "NOUN")[0]
    (definition,) = inventory.hypernym_definitions(bat)
    assert "placenta" in definition  # bat is a placental mammal
