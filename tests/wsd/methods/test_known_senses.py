"""What WordNet says beside a user's examples: features by hand, the regression, kept files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import spacy
from scipy.special import softmax
from sklearn.linear_model import Ridge

from spacy_attn.components.adapter import context_of, resources_of
from spacy_attn.wsd.context import Target, tokens_within
from spacy_attn.wsd.inventory.jsonl import Inventory, load_inventory
from spacy_attn.wsd.inventory.wordnet import wordnet_inventory
from spacy_attn.wsd.methods.attention import Attention, with_an_example
from spacy_attn.wsd.methods.attention_wordnet import SenseVectors
from spacy_attn.wsd.methods.known_senses import KnownSenses, known_weight
from spacy_attn.wsd.methods.registry import SENSE_MODEL, sense_method
from spacy_attn.wsd.sense import Example, Sense
from spacy_attn.wsd.vectors import Texts
from tests.wsd.methods.test_attention import bats, head

NLP = spacy.blank("en")
RESOURCES = replace(resources_of(NLP), may_keep=False)
WIDTH = 384
LEMMAS = ["bat", "bat", "xyzzy", "rose"]


@pytest.fixture(scope="module")
def known():
    return KnownSenses.of(LEMMAS, SENSE_MODEL, WIDTH)


def test_features_are_the_roots_of_what_attention_says_of_wordnets_senses(known):
    lexicon, vectors = wordnet_inventory(), SenseVectors.load(SENSE_MODEL)
    z = np.random.default_rng(0).normal(size=(3, WIDTH)).astype(np.float32)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    rows = np.array([sense.row for sense in lexicon.candidates("bat")])
    of_rows = vectors.rows[lexicon.synset_of_row[rows]]
    rows, of_rows = rows[of_rows >= 0], of_rows[of_rows >= 0]
    senses = vectors.scales[of_rows][:, None] * vectors.vectors[of_rows]
    scores = z @ vectors.project.T @ senses.T + vectors.prior * np.log1p(lexicon.counts[rows])
    features = known.features(0, z)
    assert features.shape == (3, known.most)
    np.testing.assert_allclose(
        features[:, : len(rows)], np.sqrt(softmax(scores, axis=1)), atol=2e-3
    )
    assert not features[:, len(rows) :].any()
    np.testing.assert_allclose((features**2).sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(features, known.features(1, z))


def test_of_a_word_that_wordnet_has_not_it_says_nothing(known):
    z = np.ones((2, WIDTH), dtype=np.float32)
    assert not known.features(2, z).any()
    assert [len(known.vectors_of(row)[0]) for row in (0, 2, 3)] == [10, 0, 4]


def test_a_sense_model_that_knows_no_wordnet_says_nothing(toy_sense_model):
    nothing = KnownSenses.of(LEMMAS, toy_sense_model, 8)
    assert (nothing.most, len(nothing.vectors)) == (0, 0)
    assert nothing.features(0, np.ones((2, 8), dtype=np.float32)).shape == (2, 0)


def test_another_lexicon_says_nothing(monkeypatch, caplog):
    monkeypatch.setattr(wordnet_inventory(), "digest", "another")
    with caplog.at_level("INFO", "spacy_attn"):
        assert KnownSenses.of(LEMMAS, SENSE_MODEL, WIDTH).most == 0
    assert "made for another lexicon" in caplog.text


def test_what_was_kept_is_the_same_again(known):
    again = KnownSenses.kept(SENSE_MODEL, WIDTH, known.rows, known.prior, known.bounds)
    np.testing.assert_array_equal(again.vectors, known.vectors)
    for rows in (known.rows + 2**30, known.rows - 2**30):
        assert KnownSenses.kept(SENSE_MODEL, WIDTH, rows, known.prior, known.bounds) is None


def test_what_was_kept_of_another_model_is_not_taken(known, toy_sense_model):
    kept = known.rows, known.prior, known.bounds
    assert KnownSenses.kept(None, WIDTH, *kept) is None
    assert KnownSenses.kept(toy_sense_model, WIDTH, *kept) is None


# -- in the method -------------------------------------------------------------------------------


class Words:
    """An encoder whose vectors are random, and those of a word always the same."""

    width, identity = 4, "words"

    def encode(self, texts, offsets, reads=None):
        return [
            np.array([self._vector(t[a:b]) for a, b in o])
            for t, o in zip(texts, offsets, strict=True)
        ]

    def embed(self, texts):
        return np.array([self._vector(text) for text in texts])

    def _vector(self, word):
        return np.random.default_rng(sum(map(ord, word))).normal(size=4).astype(np.float32)


TEXTS = ["cave bat", "night bat", "ball bat", "swing bat"]


@pytest.fixture
def method(monkeypatch):
    """What makes a method for two bats with two examples each, and what it knows: three senses."""
    rng = np.random.default_rng(5)
    vectors, prior = rng.normal(size=(3, 4)).astype(np.float16), np.array([0.5, 0, 0.25])
    known = KnownSenses(
        np.arange(3, dtype=np.int32),
        vectors.astype(np.float32),
        prior.astype(np.float32),
        np.array([[0, 3]] * 2, np.int32),
    )

    def of(lemmas, sense_model, width):
        return KnownSenses.none(len(lemmas), width) if sense_model is None else known

    def kept(sense_model, width, rows, *rest):
        np.testing.assert_array_equal(rows, [] if sense_model is None else known.rows)
        return of([None] * 2, sense_model, width)

    monkeypatch.setattr(KnownSenses, "of", of)
    monkeypatch.setattr(KnownSenses, "kept", kept)
    eye = np.eye(4, dtype=np.float32)
    settings = head(target=eye, context=eye, gloss=eye, gloss_weight=0.0)

    def make(folders=(), sense_model=SENSE_MODEL, examples=(TEXTS[:2], TEXTS[2:]), lang="en"):
        inventory = replace(bats(*examples), lang=lang)
        made = Attention(
            inventory, RESOURCES, Words(), Words(), settings, folders, sense_model=sense_model
        )
        target = Target(0, 1, 2, "bat", inventory.candidates("bat"))
        return made, lambda text: made.score(Texts([context_of(NLP(text))]), [target])[0]

    return make, known


def features(known, text, n_examples=2):
    """Of a text with two words, the roots weighed as where each sense has so many examples."""
    encoder = Words()
    context, target = (encoder._vector(word) for word in text.split())
    z = (target + context) / np.linalg.norm(target + context)
    roots = np.sqrt(softmax(known.vectors @ z + known.prior))
    units = [each / np.linalg.norm(each) for each in (target, context)]
    return np.concatenate([*units, roots * n_examples**-0.25])


def test_scores_are_those_of_a_ridge_over_vectors_and_roots(method):
    make, known = method
    model = Ridge(alpha=1.0).fit(
        [features(known, text) for text in TEXTS], [[1, -1], [1, -1], [-1, 1], [-1, 1]]
    )
    _, score = make()
    for text in ("river bat", "cave bat"):
        expected = model.predict([features(known, text)])[0]
        np.testing.assert_allclose(score(text), expected, atol=3e-3)  # kept as float16


def test_the_log_odds_are_the_difference_of_the_scores(method):
    make, known = method
    made, score = make()
    context = context_of(NLP("river bat"))
    target = Target(0, 1, 2, "bat", bats(TEXTS[:2], TEXTS[2:]).candidates("bat"))
    form = made.log_odds(Texts([context]), target, 0, 1)
    x = features(known, "river bat", n_examples=1)
    by_hand = form.examples @ x[:8] + form.bias + form.known @ x[8:]
    scores = score("river bat")
    assert by_hand == pytest.approx((scores[0] - scores[1]) / made.temperature, abs=1e-5)
    np.testing.assert_array_equal(form.senses, known.vectors)


def test_a_definition_stands_for_the_examples_of_a_sense_without_any(method):
    make, known = method
    definition = "bat : of balls"  # bats() defines the second sense so; the tokenizer cuts ":" off
    encoder = Words()
    vectors = [encoder._vector(word) for word in definition.split()]
    target, context = vectors[0], np.mean(vectors[1:3], axis=0)  # two words around it are read
    z = (target + context) / np.linalg.norm(target + context)
    units = [each / np.linalg.norm(each) for each in (target, context)]
    roots = np.sqrt(softmax(known.vectors @ z + known.prior))
    row = np.concatenate([*units, roots * 1.5**-0.25])  # two examples and one
    shown = [features(known, text, 1.5) for text in TEXTS[:2]]
    weights = [3 / 4, 3 / 4, 3 / 2]  # each sense counts the same
    model = Ridge(alpha=1.0).fit([*shown, row], [[1, -1], [1, -1], [-1, 1]], weights)
    _, score = make(examples=(TEXTS[:2], ()))
    expected = model.predict([features(known, "river bat", 1.5)])[0]
    np.testing.assert_allclose(score("river bat"), expected, atol=3e-3)


@pytest.mark.parametrize(("lang", "most"), [(None, 3), ("en", 3), ("de", 0)])
def test_wordnet_says_nothing_of_words_in_another_language(method, lang, most):
    make, _ = method
    assert make(lang=lang)[0]._known.most == most


@pytest.mark.parametrize(
    ("n_examples", "weight"),
    [([], 1), ([0, 0], 1), ([1, 1], 1), ([16, 0, 16], 0.5), ([6, 10], 8**-0.25)],
)
def test_with_more_examples_wordnet_says_less(n_examples, weight):
    assert known_weight(n_examples) == pytest.approx(weight)


@pytest.mark.parametrize(
    ("examples", "definition", "wanted"),
    [
        ((), "of caves", [("bat: of caves", 0, 3)]),
        ((Example("a bat", 2, 5),), "of caves", [("a bat", 2, 5)]),
        ((), "", []),
    ],
)
def test_an_example_by_definition(examples, definition, wanted):
    made = with_an_example(Sense("bat.0", "bat", "NOUN", definition, examples))
    assert [(e.text, e.start, e.end) for e in made.examples] == wanted


def test_a_kept_file_gives_the_same_and_is_not_that_of_the_method_without(method, tmp_path):
    make, _ = method
    first, again = (make([tmp_path])[1]("river bat") for _ in range(2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, make()[1]("river bat"))
    without = make([tmp_path], None)[1]("river bat")
    assert not np.array_equal(first, without)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "lang", "same"),
    [
        ({}, "en", False),
        ({}, None, False),
        ({}, "de", True),
        ({"sense_model": "none"}, "en", True),
    ],
)
def test_wordnet_says_something_of_english_words_to_a_sense_model(settings, lang, same):
    inventory = replace(bats(TEXTS[:2], TEXTS[2:]), lang=lang)
    context = RESOURCES.tokenize("river bat")
    target = Target(0, 1, 2, "bat", inventory.candidates("bat"))
    by_default, without = (
        sense_method({"@sense_methods": "spacy_attn.attention.v1", **settings, **more})
        .prepare(inventory, RESOURCES)
        .score(Texts([context]), [target])[0]
        for more in ({}, {"wordnet": False})
    )
    assert np.array_equal(by_default, without) == same


@pytest.mark.slow
def test_with_one_example_of_each_sense_more_is_right():
    """Of the examples that were kept back, 87 % in place of 82."""
    whole = load_inventory("homographs", "en")
    senses = whole.with_examples(1, 0).senses
    bare = Inventory("bare", tuple(replace(s, definition="") for s in senses), "en")
    asked = [(s, e) for s in whole.senses for e in s.examples[1::6]]
    contexts = [RESOURCES.tokenize(example.text) for _, example in asked]
    right = {}
    for wordnet in (False, True):
        spec = {"@sense_methods": "spacy_attn.attention.v1", "wordnet": wordnet}
        fitted = sense_method(spec).prepare(bare, RESOURCES)
        targets = [
            Target(i, *tokens_within(c, e.start, e.end), s.lemma, bare.candidates(s.lemma, s.pos))
            for i, (c, (s, e)) in enumerate(zip(contexts, asked, strict=True))
        ]
        scores = fitted.score(Texts(contexts), targets)
        best = [
            t.candidates[int(each.argmax())].id for t, each in zip(targets, scores, strict=True)
        ]
        right[wordnet] = np.mean([b == s.id for b, (s, _) in zip(best, asked, strict=True)])
    assert right[True] > right[False] + 0.03
