"""The words nearest to a word or a vector."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from itertools import islice

import numpy as np

from spacy_attn._types import Floats1d
from spacy_attn.classic.vectors.lookup import WordVectors
from spacy_attn.classic.vectors.table import Table
from spacy_attn.errors import ConfigError

_SPELLING_CANDIDATES = 20_000
_QUERIES_AT_ONCE = 16


def neighbours(vectors: WordVectors, word: str | Floats1d, n: int = 10) -> list[tuple[str, float]]:
    """The words nearest to a word or a vector, by cosine, the nearest first.

    Exact: every word of the file is compared. The word itself is left out.

    Args:
        vectors: as ``load_vectors`` gives them.
        word: a word of the file, any word with the rule "subword", or a vector (width,).
        n: how many; more than the file has words gives them all.

    Raises:
        ConfigError: ``n`` is below 1, the word has no vector, or the vector has another
            width, no direction or is not finite.
        ResourceError: a vector of the file is not finite.
    """
    return many_neighbours(vectors, [word], n)[0]


def many_neighbours(
    vectors: WordVectors, words: Sequence[str | Floats1d], n: int = 10
) -> list[list[tuple[str, float]]]:
    """The same for several words or vectors.

    Raises:
        ConfigError: as :func:`neighbours`.
        ResourceError: as :func:`neighbours`.
    """
    if n < 1:
        raise ConfigError(f"n = {n} neighbours; allowed: 1 or more")
    queries = [_direction(vectors, word) for word in words]
    own = [vectors.row(word) if isinstance(word, str) else -1 for word in words]
    table = vectors.table
    if not np.isfinite(table.norms).all():
        raise vectors.not_finite()
    # A word whose vector is zero has no direction; its cosine counts as 0.
    lengths = np.where(table.norms > 0, table.norms, 1)
    found = []
    for start in range(0, len(words), _QUERIES_AT_ONCE):
        some = np.stack(queries[start : start + _QUERIES_AT_ONCE])
        for i, scores in enumerate((some @ table.matrix.T) / lengths, start):
            found.append(_best(table, scores, n, own[i]))
    return found


def _best(table: Table, scores: Floats1d, n: int, own: int) -> list[tuple[str, float]]:
    """The words with the highest scores; of equal ones the earlier row.

    *Shape:* scores (n_words,)
    """
    if own >= 0:
        scores[own] = -np.inf
    n = min(n, len(scores) - (own >= 0))
    if n < 1:
        return []
    lowest = np.partition(scores, len(scores) - n)[len(scores) - n]
    rows = np.flatnonzero(scores >= lowest)
    best = rows[np.lexsort((rows, -scores[rows]))][:n]
    return [(table.word_at(int(row)), float(scores[row])) for row in best]


def _direction(vectors: WordVectors, word: str | Floats1d) -> Floats1d:
    """The vector of a query, of length 1. *Shape:* (width,)"""
    if isinstance(word, str):
        vector = vectors.vectors([word])[0]
        if not vector.any():
            raise ConfigError(_no_vector(vectors, word))
    else:
        vector = np.asarray(word, dtype=np.float32)
        if vector.shape != (vectors.width,):
            raise ConfigError(
                f"a vector of shape {vector.shape} has no neighbours in {vectors.name}; "
                f"allowed: ({vectors.width},)"
            )
        if not np.isfinite(vector).all() or not vector.any():
            raise ConfigError(
                "a vector that is zero or not finite has no direction and so no neighbours; "
                "give another"
            )
    unit: Floats1d = vector / np.linalg.norm(vector)
    return unit


def _no_vector(vectors: WordVectors, word: str) -> str:
    if word in vectors:
        return f"the vector of {word!r} in {vectors.name} is zero, so it has no neighbours"
    close = _similar_spelling(vectors.table, word)
    hint = f"words spelled like it: {', '.join(close)}" if close else "give another word or file"
    return f"{word!r} has no vector in {vectors.name}; {hint}"


def _similar_spelling(table: Table, word: str) -> list[str]:
    """Up to three words with the same first letter and nearly the same length.

    Files have frequent words first, so the first candidates are enough.
    """
    lower = word.lower()
    candidates = (
        known
        for known in table.index
        if known[:1].lower() == lower[:1] and abs(len(known) - len(word)) <= 2
    )
    return difflib.get_close_matches(lower, islice(candidates, _SPELLING_CANDIDATES), 3, 0.7)
