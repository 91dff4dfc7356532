"""Which wordpieces belong to which spaCy token, by character offsets.

Both sides cut the same text, but not at the same places::

    text      d o n ' t   t o u c h
    tokens    do  n't     touch
    pieces    don ' t     touch
    ranges    do -> [0, 1)   n't -> [0, 3)   touch -> [3, 4)

A token owns every piece that shares a character with it, so a piece may serve two tokens.
Tokens and pieces both stand in the order of the text, so what a token owns is a range.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spacy_attn._types import Floats2d, Ints1d, Offsets

_SPACES = np.array([i for i in range(0x3001) if chr(i).isspace()], dtype=np.uint32)


def align(text: str, tokens: Offsets, pieces: Offsets) -> tuple[Ints1d, Ints1d]:
    """First and end piece of each token; ``first == end`` for a token without a piece.

    White space at the edges of a word piece is not counted as part of it: SentencePiece
    gives the space before a word to the word. A piece of white space alone is left as it
    is, so that a token of line breaks owns the pieces that stand for them.

    A piece without characters (RoBERTa's for a second space) belongs to the token that it
    stands inside. Where the offsets of the pieces are not in the order of the text, a range
    also holds what stands between its pieces.

    Args:
        text: the text.
        tokens: characters of each token, in order.
        pieces: characters of each piece.

    *Shape:* two (n_tokens,)
    """
    starts, ends = _without_outer_spaces(text, *_bounds(pieces))
    # Normalisers can give a piece an offset before its neighbour's; searchsorted needs order.
    starts = np.minimum.accumulate(starts[::-1])[::-1]
    ends = np.maximum.accumulate(ends)
    token_starts, token_ends = _bounds(tokens)
    first = np.searchsorted(ends, token_starts, side="right")
    end = np.searchsorted(starts, token_ends, side="left")
    # The two cross for a token without characters between two pieces.
    return first, np.maximum(first, end)


def add_pieces(out: Floats2d, pieces: Floats2d, at: int, first: Ints1d, end: Ints1d) -> None:
    """Add to the vector of each token its share of some neighbouring pieces.

    When all pieces were added, the vector of a token is the mean of those that it owns.

    Args:
        out: vectors of the tokens of the text, zero at first; changed in place.
        pieces: the vectors.
        at: number of the first of them in the text.
        first: first piece of each token.
        end: end piece of each token.

    *Shape:* out (n_tokens, width), pieces (n, width), first and end (n_tokens,)
    """
    until = at + len(pieces)
    begin, stop = np.searchsorted(end, at, side="right"), np.searchsorted(first, until)
    low, high = first[begin:stop], end[begin:stop]
    n_owned = high - low
    if len(n_owned) == len(pieces) and (n_owned == 1).all():
        out[begin:stop] += pieces[low - at]
        return
    low = np.maximum(low, at) - at
    counts = np.minimum(high, until) - at - low
    here = counts > 0
    counts, low = counts[here], low[here]
    if not len(counts):
        return
    # Ranges may overlap, so they are laid out one behind the other before they are summed.
    begins = np.cumsum(counts) - counts
    flat = np.arange(counts.sum()) + np.repeat(low - begins, counts)
    sums = np.add.reduceat(pieces[flat], begins, axis=0)
    out[begin:stop][here] += sums / n_owned[here, None]


def _without_outer_spaces(text: str, starts: Ints1d, ends: Ints1d) -> tuple[Ints1d, Ints1d]:
    """Bounds of the pieces without white space at their edges; blank pieces as they are."""
    spaces = _is_space(text)
    if not (spaces[starts] | spaces[ends - 1]).any():
        return starts, ends
    places = np.arange(len(spaces))
    word_begins = np.minimum.accumulate(np.where(spaces, len(spaces), places)[::-1])[::-1]
    word_ends = np.maximum.accumulate(np.where(spaces, 0, places + 1))
    words = (starts < ends) & (word_begins[starts] < ends)
    return (
        np.where(words, word_begins[starts], starts),
        np.where(words, word_ends[ends - 1], ends),
    )


def _is_space(text: str) -> NDArray[np.bool_]:
    """Whether each character is white space, and False behind the end of the text."""
    codes = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
    return np.append(np.isin(codes, _SPACES), False)


def _bounds(spans: Offsets) -> tuple[Ints1d, Ints1d]:
    array = np.array(spans, dtype=np.int64).reshape(-1, 2)
    return array[:, 0].copy(), array[:, 1].copy()
