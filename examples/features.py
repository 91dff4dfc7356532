"""Contextual vectors as features of a scikit-learn pipeline: ``python examples/features.py``.

``AttentionFeatures`` gives each text the mean of its tokens' vectors. With ``words``, it gives the
vectors of these words alone, so that a classifier sees how a word is used.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import spacy
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import check_is_fitted

import spacy_attn


class AttentionFeatures(TransformerMixin, BaseEstimator):
    """Texts to vectors.

    Args:
        config: settings of ``attention_encoder``, such as ``{"model": "..."}``.
        words: lower-case forms whose tokens are averaged; None takes all tokens. A text without
            one of them has the mean of all, and an empty one zeros.
        batch_size: texts that are encoded together.
    """

    def __init__(
        self,
        config: dict[str, object] | None = None,
        words: tuple[str, ...] | None = None,
        batch_size: int = 64,
    ) -> None:
        self.config = config
        self.words = words
        self.batch_size = batch_size

    def fit(self, X: Iterable[str], y: object = None) -> AttentionFeatures:
        """Load the encoder; nothing is learned."""
        if isinstance(self.words, str):
            raise TypeError(f"words = {self.words!r}; give a tuple, such as ({self.words!r},)")
        self.nlp_ = spacy.blank("en")
        self.nlp_.add_pipe("attention_encoder", config=self.config or {})
        self.n_features_out_ = self.nlp_("a")._.attn_vectors.shape[1]
        return self

    def transform(self, X: Iterable[str]) -> np.ndarray:
        """*Shape:* (n_texts, width)"""
        check_is_fitted(self, "nlp_")
        if isinstance(X, str):
            raise TypeError("X is one text; give a list of texts")
        rows = []
        for doc in self.nlp_.pipe(X, batch_size=self.batch_size):
            vectors = doc._.attn_vectors
            chosen = [t.i for t in doc if self.words and t.lower_ in self.words]
            taken = vectors[chosen] if chosen else vectors
            rows.append(taken.sum(axis=0) / max(1, len(taken)))
        return np.stack(rows) if rows else np.zeros((0, self.n_features_out_), np.float32)

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """``attention0``, ``attention1``, ..."""
        check_is_fitted(self, "n_features_out_")
        return np.array([f"attention{i}" for i in range(self.n_features_out_)], dtype=object)


if __name__ == "__main__":
    senses = spacy_attn.load_inventory("homographs").candidates("bat", "NOUN")
    texts = [example.text for sense in senses for example in sense.examples]
    labels = [sense.id for sense in senses for _ in sense.examples]
    pipeline = make_pipeline(AttentionFeatures(words=("bat", "bats")), LogisticRegression())
    pipeline.fit(texts, labels)
    for text in ("The bat flew at night.", "She bought a wooden bat."):
        print(text, pipeline.predict([text])[0])
