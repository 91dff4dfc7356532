"""Tf-idf with logistic regression against scikit-learn's own pipeline."""

from __future__ import annotations

import numpy as np
import pytest
import spacy
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from spacy_attn.components.adapter import context_of, resources_of
from spacy_attn.errors import ConfigError
from spacy_attn.wsd.context import Target
from spacy_attn.wsd.decide import log_softmax
from spacy_attn.wsd.inventory.find import find_targets
from spacy_attn.wsd.inventory.jsonl import Inventory
from spacy_attn.wsd.methods.registry import sense_method
from spacy_attn.wsd.methods.tfidf import Tfidf
from spacy_attn.wsd.sense import Example, Sense

NLP = spacy.blank("en")
RESOURCES = resources_of(NLP)


def inventory(n_senses):
    senses = (
        Sense("bat.animal", "bat", "NOUN", "a flying animal", (Example("A bat in a cave", 2, 5),)),
        Sense("bat.club", "bat", "NOUN", "the club for a ball", (Example("Ball, bat", 6, 9),)),
        Sense("bat.shot", "bat", "NOUN", "a shot with a club"),
    )
    return Inventory("toy", senses[:n_senses], "en")


TEXTS = ["The bat slept in its cave.", "bat and ball, club and ball", "no animal is a bat", "bat"]


@pytest.mark.parametrize("n_senses", [2, 3])
def test_it_is_scikit_learns_classifier(n_senses):
    toy = inventory(n_senses)
    method = Tfidf(toy, RESOURCES, c=2.0)
    contexts = [context_of(NLP(text)) for text in TEXTS]
    targets = [t for i, c in enumerate(contexts) for t in find_targets(c, toy, i)]
    obtained = [log_softmax(each, 1.0) for each in method.score(contexts, targets)]

    def bag(text):
        tokens = (token.lower_ for token in NLP(text) if not token.is_stop)
        return [word for word in tokens if word.isalpha()]

    texts, labels = [], []
    for i, sense in enumerate(toy.senses):
        parts = [sense.definition, *(e.text.replace("bat", "") for e in sense.examples)]
        texts += parts
        labels += [i] * len(parts)
    vectorizer = TfidfVectorizer(analyzer=bag, sublinear_tf=True)
    vectorizer.fit(gloss for _, gloss in toy.glosses())
    oracle = make_pipeline(vectorizer, LogisticRegression(C=2.0, max_iter=1000))
    oracle[-1].fit(vectorizer.transform(texts), labels)
    expected = oracle.predict_log_proba([text.replace("bat", "") for text in TEXTS])
    np.testing.assert_allclose(np.stack(obtained), expected, atol=1e-5)
    assert [int(each.argmax()) for each in obtained[:2]] == [0, 1]


def test_words_outside_the_window_do_not_count():
    toy = inventory(2)
    context = context_of(NLP("cave one two three bat"))
    target = Target(0, 4, 5, "bat", toy.senses)
    near, far = (Tfidf(toy, RESOURCES, window=n).score([context], [target])[0] for n in (3, 4))
    bias = Tfidf(toy, RESOURCES).score(
        [context_of(NLP("bat"))], [Target(0, 0, 1, "bat", toy.senses)]
    )
    np.testing.assert_allclose(near, bias[0])
    assert far[0] - far[1] > near[0] - near[1]


def test_a_penalty_that_is_none():
    with pytest.raises(ConfigError, match=r"c = 0; allowed is a number above 0"):
        sense_method({"@sense_methods": "spacy_attn.tfidf.v1", "c": 0})
