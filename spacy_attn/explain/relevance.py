"""What of a text has to do with a query, by scaled dot products: attention with words for heads.

Weights are ``softmax(q . k / sqrt(width))`` (Vaswani et al. 2017, section 3.2.1) of one query and
the words of a text as keys, with nothing trained in between: the query is the mean vector of its
words read alone. By static vectors, and by every layer of an encoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc, Span

from spacy_attn._types import Floats1d, Floats2d, StaticVectors
from spacy_attn.components.attention_encoder import offsets_of
from spacy_attn.encoder.attention_map import layer_vectors
from spacy_attn.encoder.huggingface import HuggingFaceEncoder, shared_encoder
from spacy_attn.errors import ConfigError, allowed_names
from spacy_attn.sentences import sentence_starts
from spacy_attn.settings import EncoderSettings

_DAMPING: Final = 0.85  # of PageRank, as in Erkan and Radev 2004
_STEPS: Final = 100  # of its power iteration at most


@dataclass(frozen=True, eq=False)
class Relevance:
    """Weights of the words of a text for one query.

    *Shape:* weights: by name ("static", "layer 0", ...) (n_tokens,); each sums to 1 over the
    words, other tokens have 0
    """

    query: str
    tokens: tuple[str, ...]
    weights: Mapping[str, NDArray[np.float32]]

    def top(self, by: str, k: int = 3) -> list[tuple[str, float]]:
        """The words that weigh most, with their weights.

        Raises:
            ConfigError: there are no such weights.
        """
        if by not in self.weights:
            raise ConfigError(f"by = {by!r}; {allowed_names(by, self.weights)}")
        values = self.weights[by]
        order = sorted(np.flatnonzero(values).tolist(), key=lambda i: -float(values[i]))
        return [(self.tokens[i], float(values[i])) for i in order[:k]]


def relevance(
    doc: Doc,
    query: str,
    *,
    encoder: HuggingFaceEncoder | None = None,
    vectors: StaticVectors | None = None,
) -> Relevance:
    """The words of a text that have to do with a query.

    Args:
        doc: the text.
        query: one word or some.
        encoder: None takes all-MiniLM-L6-v2.
        vectors: static ones, for the weights "static"; None leaves them out.

    Raises:
        ConfigError: the query holds no word.
        ResourceError: the encoder is not on this machine.
    """
    encoder = encoder or shared_encoder(EncoderSettings())
    words = _words_of(doc)
    asked = Doc(doc.vocab, query.split())
    if not _words_of(asked).any():
        raise ConfigError(f"query = {query!r}; allowed is a word or some")
    weights: dict[str, NDArray[np.float32]] = {}
    if vectors is not None:
        key = vectors.vectors([token.text.lower() for token in asked]).mean(axis=0)
        rows = vectors.vectors([token.lower_ for token in doc])
        weights["static"] = _softmax_over(words, rows, key)
    queries = layer_vectors(encoder, asked.text, offsets_of(asked)).mean(axis=1)
    for layer, rows in enumerate(layer_vectors(encoder, doc.text, offsets_of(doc))):
        weights[f"layer {layer}"] = _softmax_over(words, rows, queries[layer])
    return Relevance(query, tuple(token.text for token in doc), weights)


def top_sentences(
    doc: Doc, query: str, n: int = 3, *, encoder: HuggingFaceEncoder | None = None
) -> list[tuple[Span, float]]:
    """The sentences of a document that a query looks at most, best first.

    A sentence's weight is the mean over its words of their weights in the last layer, times their
    number in the text: 1 is what it would have by chance.

    Raises:
        ConfigError: the query holds no word, or ``n`` is below 1.
    """
    _check(n)
    found = relevance(doc, query, encoder=encoder)
    values = found.weights[list(found.weights)[-1]]
    words = _words_of(doc)
    sentences = [s for s in _sentences(doc) if words[s.start : s.end].any()]
    scores = [
        float(values[s.start : s.end][words[s.start : s.end]].mean() * words.sum())
        for s in sentences
    ]
    order = sorted(range(len(sentences)), key=lambda i: -scores[i])
    return [(sentences[i], scores[i]) for i in order[:n]]


def summary(doc: Doc, n: int = 3, *, encoder: HuggingFaceEncoder | None = None) -> list[Span]:
    """The most central sentences of a document, in the order of the text.

    LexRank (Erkan and Radev 2004) on attention between sentences: the weights of each sentence's
    mean vector over those of the others are a Markov chain, and its stationary distribution says
    how central each is.

    Raises:
        ConfigError: ``n`` is below 1.
        ResourceError: the encoder is not on this machine.
    """
    _check(n)
    encoder = encoder or shared_encoder(EncoderSettings())
    words = _words_of(doc)
    sentences = [s for s in _sentences(doc) if words[s.start : s.end].any()]
    if len(sentences) <= n:
        return sentences
    (rows,) = encoder.encode([doc.text], [offsets_of(doc)])
    means = np.stack(
        [rows[s.start : s.end][words[s.start : s.end]].mean(axis=0) for s in sentences]
    )
    scores = centrality(means)
    best = sorted(range(len(sentences)), key=lambda i: -float(scores[i]))[:n]
    return [sentences[i] for i in sorted(best)]


def centrality(rows: Floats2d) -> NDArray[np.float64]:
    """The stationary distribution of attention between two vectors or more; sums to 1.

    *Shape:* (n, width) -> (n,)
    """
    scores = rows.astype(np.float64) @ rows.T / np.sqrt(rows.shape[1])
    np.fill_diagonal(scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    n = len(rows)
    at = np.full(n, 1 / n)
    for _ in range(_STEPS):
        following = (1 - _DAMPING) / n + _DAMPING * (at @ weights)
        if np.abs(following - at).max() < 1e-12:
            break
        at = following
    return at


def _softmax_over(words: NDArray[np.bool_], rows: Floats2d, query: Floats1d) -> Floats1d:
    """*Shape:* (n_tokens,), (n_tokens, width), (width,) -> (n_tokens,)"""
    out = np.zeros(len(rows), dtype=np.float32)
    if words.any():
        scores = rows[words] @ query / np.sqrt(len(query))
        weights = np.exp(scores - scores.max())
        out[words] = weights / weights.sum()
    return out


def _words_of(doc: Doc) -> NDArray[np.bool_]:
    """Which tokens hold a letter or a digit. *Shape:* (n_tokens,)"""
    return np.array([any(c.isalnum() for c in token.text) for token in doc], dtype=bool)


def _sentences(doc: Doc) -> list[Span]:
    """By punctuation, as the attention method cuts them."""
    starts = [*sentence_starts([token.text for token in doc]), len(doc)]
    return [doc[a:b] for a, b in pairwise(starts)]


def _check(n: int) -> None:
    if n < 1:
        raise ConfigError(f"n = {n}; allowed is 1 or more sentences")
