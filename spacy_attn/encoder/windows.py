"""Cut a long text into overlapping windows and say which window gives each piece.

A window holds ``size`` pieces, neighbours share at least ``overlap``. In the overlap the
first half of the pieces is taken from the left window, the second half from the right
one, so that every piece is read where it stands more central::

    pieces      0         10        20        30
    window 0    [---------------]
    window 1              [---------------]
    window 2                       [--------------]    (moved left to be full)
    taken from  000000000000011111111111222222222222
                            ^ cuts are moved to the nearest token boundary
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from spacy_attn._types import Ints1d, TokenRange
from spacy_attn.settings import check_window


@dataclass(frozen=True, slots=True)
class Window:
    """Pieces ``start`` to ``end`` go through the encoder, ``take`` to ``until`` are kept."""

    start: int
    end: int
    take: int
    until: int

    def moved(self, by: int) -> Window:
        """The same window that many pieces further on."""
        return Window(self.start + by, self.end + by, self.take + by, self.until + by)


def cut_windows(
    n_pieces: int, size: int, overlap: int, first: Ints1d | None = None, end: Ints1d | None = None
) -> list[Window]:
    """Windows that cover ``n_pieces``; the kept ranges follow one another without a gap.

    Args:
        n_pieces: wordpieces of the text, special tokens not counted.
        size: pieces in a window, at least 1.
        overlap: pieces that neighbours share at least, 0 to size - 1.
        first: first piece of each token, as :func:`~spacy_attn.encoder.align.align` gives it.
        end: end piece of each token. With these no token is cut between two windows,
            unless it is longer than the overlap; tokens that share a piece count as one.

    Raises:
        ConfigError: size or overlap is outside its range.
    """
    check_window(size, overlap)
    if n_pieces == 0:
        return []
    if n_pieces <= size:
        return [Window(0, n_pieces, 0, n_pieces)]
    n_windows = 1 + -(-(n_pieces - size) // (size - overlap))
    starts = [min(i * (size - overlap), n_pieces - size) for i in range(n_windows)]
    inside = _inside_a_token(n_pieces, first, end)
    cuts = [0]
    for left, right in pairwise(starts):
        cuts.append(_cut(right, left + size, inside))
    cuts.append(n_pieces)
    return [
        Window(start, start + size, take, until)
        for start, (take, until) in zip(starts, pairwise(cuts), strict=True)
    ]


def _inside_a_token(n_pieces: int, first: Ints1d | None, end: Ints1d | None) -> Ints1d:
    """For each cut position 0..n_pieces, how many tokens it would cut in two."""
    change = np.zeros(n_pieces + 2, dtype=np.int64)
    if first is not None and end is not None:
        split = end - first > 1
        np.add.at(change, first[split] + 1, 1)
        np.add.at(change, end[split], -1)
    return change.cumsum()


def _cut(low: int, high: int, inside: Ints1d) -> int:
    """The allowed cut in [low, high] nearest to its middle, or the middle if there is none.

    It never lies before the cut of a range further left: what is allowed and near there is
    allowed and nearer here.
    """
    middle = (low + high) // 2
    for distance in range(high - low + 1):
        for cut in (middle - distance, middle + distance):
            if low <= cut <= high and inside[cut] == 0:
                return cut
    return middle


def round_reads(
    reads: Sequence[TokenRange],
    parts: Iterable[TokenRange],
    first: Ints1d,
    end: Ints1d,
    side_pieces: int,
) -> Iterator[TokenRange]:
    """The tokens that have to be encoded where only some are read, never across parts.

    Args:
        reads: ranges of tokens, in order of their starts.
        parts: ranges of tokens that are read together (sentences), one behind the other.
        first: first piece of each token.
        end: end piece of each token.
        side_pieces: each side of a read that are encoded too, whole tokens of them.

    Yields:
        Ranges of tokens, those that meet merged.
    """
    read_starts, read_ends = np.array(reads, dtype=np.int64).T
    read_ends = np.maximum.accumulate(read_ends)
    for start, stop in parts:
        low = int(np.searchsorted(read_ends, start, side="right"))
        high = int(np.searchsorted(read_starts, stop, side="left"))
        begin: int | None = None
        until = start
        for a, b in reads[low:high]:
            if max(a, start) >= min(b, stop):
                continue
            a, b = max(a, start), min(b, stop)
            around = first[start:stop], end[start:stop]
            left = start + int(np.searchsorted(around[0], first[a] - side_pieces, side="left"))
            right = start + int(np.searchsorted(around[1], end[b - 1] + side_pieces, side="right"))
            left, right = min(left, a), max(right, b)
            if begin is None:
                begin = left
            elif left > until:
                yield begin, until
                begin = left
            until = max(until, right)
        if begin is not None:
            yield begin, until
