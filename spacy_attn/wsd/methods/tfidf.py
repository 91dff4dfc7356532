"""Tf-idf with logistic regression: the classic text classifier, one for each word.

The training texts of a word are the definitions and the examples of its senses, the target left
out; the features are the context's words, weighted by tf-idf (Spärck Jones 1972, "A statistical
interpretation of term specificity") over all texts of the inventory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from spacy_attn._types import Floats1d, Floats2d, Ints1d
from spacy_attn.errors import ConfigError
from spacy_attn.wsd.context import Resources, Target
from spacy_attn.wsd.inventory.protocol import SenseInventory
from spacy_attn.wsd.method import BuiltInMethod, SenseMethod
from spacy_attn.wsd.methods.calibration import temperature_of
from spacy_attn.wsd.methods.glosses import content_words, gloss_words, words_around, words_outside
from spacy_attn.wsd.methods.registry import check_arguments
from spacy_attn.wsd.sense import Sense
from spacy_attn.wsd.vectors import Texts

_WORDS = 4096  # whose classifiers are kept


def tfidf_v1(window: int = 50, c: float = 3.0, temperature: float | None = None) -> SenseMethod:
    """Tf-idf and logistic regression on the definitions and examples of each word."""
    check_arguments(temperature, window)
    if not c > 0:
        raise ConfigError(f"c = {c}; allowed is a number above 0, the inverse of the penalty")
    fitted = temperature_of("tfidf", temperature)
    return BuiltInMethod("tfidf", partial(Tfidf, window=window, c=c, temperature=fitted))


class Tfidf:
    """See the module. A word's classifier is fitted when a text first holds it.

    Args:
        inventory: the senses.
        resources: tokenizer and stop words.
        window: tokens each side of the target that count as context.
        c: inverse strength of the regression's penalty.
        temperature: see :func:`~spacy_attn.wsd.decide.log_posterior`.

    Raises:
        ResourceError: the definitions of the inventory are not on this machine.
    """

    name = "tfidf"

    def __init__(
        self,
        inventory: SenseInventory,
        resources: Resources,
        window: int = 50,
        c: float = 3.0,
        temperature: float = 1.0,
    ) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        inventory.require_definitions(f"the method {self.name}")
        self.resources = resources
        self.window = window
        self.c = c
        self.temperature = temperature
        self._vectorizer = TfidfVectorizer(analyzer=_identity, sublinear_tf=True)
        stop_words = resources.stop_words
        self._vectorizer.fit(content_words(w, stop_words) for _, w in gloss_words(inventory))
        self._fitted = lru_cache(_WORDS)(self._fit)

    def score(self, texts: Texts, targets: Sequence[Target]) -> list[Floats1d]:
        """Log-probabilities. *Shape:* for each target (n_candidates,)"""
        if not targets:
            return []
        stop_words = self.resources.stop_words
        bags = (words_around(texts[t.context].tokens, t, self.window, stop_words) for t in targets)
        rows = self._vectorizer.transform(bags)
        out = []
        for row, target in zip(rows, targets, strict=True):
            columns, weights, bias = self._fitted(target.candidates)
            _, known, here = np.intersect1d(
                columns, row.indices, assume_unique=True, return_indices=True
            )
            out.append(np.asarray(weights[:, known] @ row.data[here] + bias, dtype=np.float32))
        return out

    def _fit(self, senses: tuple[Sense, ...]) -> tuple[Ints1d, Floats2d, Floats1d]:
        """The classifier of a word: the features that its texts have, weights and bias.

        *Shape:* (n_features,), (n_senses, n_features), (n_senses,)
        """
        from sklearn.linear_model import LogisticRegression

        pairs = [(bag, i) for i, sense in enumerate(senses) for bag in self._bags(sense)]
        x = self._vectorizer.transform(bag for bag, _ in pairs)
        columns = np.unique(x.indices)
        model: Any = LogisticRegression(C=self.c, max_iter=1000)
        model.fit(x[:, columns], [i for _, i in pairs])
        weights, bias = model.coef_.astype(np.float32), model.intercept_.astype(np.float32)
        if len(senses) == 2:  # one row of weights, for the second sense
            weights, bias = np.vstack([0 * weights, weights]), np.append(0 * bias, bias)
        return columns, weights, bias

    def _bags(self, sense: Sense) -> Iterator[list[str]]:
        """The words of each training text of a sense."""
        definition = self.resources.tokenize(sense.definition).tokens
        yield content_words(definition, self.resources.stop_words)
        for example in sense.examples:
            yield words_outside(example, self.resources)


def _identity(words: list[str]) -> list[str]:
    return words
