from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_attn.encoder.windows import Window, cut_windows, round_reads
from spacy_attn.errors import ConfigError


@st.composite
def sizes(draw):
    """Pieces, size of a window, overlap."""
    size = draw(st.integers(1, 24))
    return draw(st.integers(0, 100)), size, draw(st.integers(0, size - 1))


@st.composite
def tokenized(draw):
    """The same with the pieces of tokens: most of few pieces, some long, some sharing a piece."""
    n_pieces, size, overlap = draw(sizes())
    first, end, at = [], [], 0
    while at < n_pieces:
        at += draw(st.sampled_from([0, 0, 0, 1]))  # a piece of no token
        length = draw(st.sampled_from([0, 1, 1, 1, 2, 3, 5, 9, 30]))
        first.append(min(at, n_pieces))
        end.append(min(at + length, n_pieces))
        shares = length > 1 and draw(st.sampled_from([False, False, True]))
        at += length - shares
        if not length:
            at += draw(st.integers(0, 1))
    return n_pieces, size, overlap, np.array(first, np.int64), np.array(end, np.int64)


def owner(windows, piece):
    """The window that gives this piece."""
    (window,) = [w for w in windows if w.take <= piece < w.until]
    return window


def room(window, piece, n_pieces):
    """Pieces that the encoder sees on the poorer side of this one; the text may end there."""
    left = piece - window.start if window.start > 0 else n_pieces
    right = window.end - 1 - piece if window.end < n_pieces else n_pieces
    return min(left, right)


def runs(n_pieces, first, end):
    """Tokens as sets of pieces, those that share a piece joined: [start, end) of each."""
    joined: list[list[int]] = []
    for a, b in sorted((int(a), int(b)) for a, b in zip(first, end, strict=True) if a < b):
        if joined and a < joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], b)
        else:
            joined.append([a, b])
    assert all(b <= n_pieces for _, b in joined)
    return joined


@given(tokenized())
def test_kept_ranges_follow_one_another(case):
    n_pieces, size, overlap, first, end = case
    windows = cut_windows(n_pieces, size, overlap, first, end)
    kept = [piece for w in windows for piece in range(w.take, w.until)]
    assert kept == list(range(n_pieces))
    for window in windows:
        assert 0 <= window.start <= window.take <= window.until <= window.end <= n_pieces
        assert window.end - window.start == min(size, n_pieces)
    for left, right in pairwise(windows):
        assert right.start > left.start
        assert left.end - right.start >= overlap


@given(tokenized())
def test_no_token_is_cut_unless_it_is_longer_than_the_overlap(case):
    n_pieces, size, overlap, first, end = case
    windows = cut_windows(n_pieces, size, overlap, first, end)
    cuts = {window.until for window in windows}
    for start, stop in runs(n_pieces, first, end):
        if any(start < cut < stop for cut in cuts):
            assert stop - start > overlap


@given(sizes())
def test_each_piece_is_kept_where_it_stands_most_central(case):
    n_pieces, size, overlap = case
    windows = cut_windows(n_pieces, size, overlap)
    for piece in range(n_pieces):
        holding = [w for w in windows if w.start <= piece < w.end]
        best = max(room(w, piece, n_pieces) for w in holding)
        assert room(owner(windows, piece), piece, n_pieces) == best


@given(tokenized())
def test_a_cut_moves_to_the_nearest_boundary_of_a_token(case):
    """What lies between the most central cut and the chosen one is inside of tokens."""
    n_pieces, size, overlap, first, end = case
    moved = cut_windows(n_pieces, size, overlap, first, end)
    middles = [w.until for w in cut_windows(n_pieces, size, overlap)][:-1]
    inside = {p for a, b in runs(n_pieces, first, end) for p in range(a + 1, b)}
    for k, middle in enumerate(middles):
        left, right, cut = moved[k], moved[k + 1], moved[k].until
        legal = [place for place in range(right.start, left.end + 1) if place not in inside]
        if legal:
            assert cut in legal
            assert abs(cut - middle) == min(abs(place - middle) for place in legal)
        else:
            assert cut == middle


def test_by_hand():
    """Windows of 16 that share 6: each gives the inner half of what it shares."""
    assert cut_windows(36, 16, 6) == [
        Window(0, 16, 0, 13),
        Window(10, 26, 13, 23),
        Window(20, 36, 23, 36),
    ]


def test_the_last_window_is_moved_left_to_be_full():
    assert cut_windows(12, 8, 2) == [Window(0, 8, 0, 6), Window(4, 12, 6, 12)]


def test_a_cut_in_a_token_is_moved():
    first, end = np.array([0, 4, 7]), np.array([4, 7, 12])  # the middle, 6, is in the second
    windows = cut_windows(12, 8, 2, first, end)
    assert windows == [Window(0, 8, 0, 7), Window(4, 12, 7, 12)]


def test_a_token_longer_than_the_overlap_is_cut_in_the_middle():
    windows = cut_windows(12, 8, 2, np.array([0]), np.array([12]))
    assert windows == [Window(0, 8, 0, 6), Window(4, 12, 6, 12)]


@pytest.mark.parametrize("n_pieces", [1, 7, 8])
def test_a_text_that_fits_is_one_window(n_pieces):
    assert cut_windows(n_pieces, 8, 7) == [Window(0, n_pieces, 0, n_pieces)]


def test_no_pieces_no_windows():
    assert cut_windows(0, 8, 2) == []
    assert cut_windows(0, 8, 2, np.zeros(3, np.int64), np.zeros(3, np.int64)) == []


@pytest.mark.parametrize(("size", "overlap"), [(0, 0), (-1, 0), (8, 8), (8, 9), (8, -1)])
def test_illegal_sizes_are_refused(size, overlap):
    message = rf"window = {size} and overlap = {overlap}: allowed are window >= 1 and 0 <= overlap"
    with pytest.raises(ConfigError, match=message):
        cut_windows(20, size, overlap)


# -- where only some tokens are read ---------------------------------------------------------------


def rounded(reads, parts, n_tokens, side_pieces):
    """With one piece for each token."""
    first = np.arange(n_tokens)
    return list(round_reads(reads, parts, first, first + 1, side_pieces))


def test_reads_are_widened_merged_and_kept_in_their_part():
    parts = [(0, 10), (10, 20), (20, 40)]
    assert rounded([(4, 5)], parts, 40, 2) == [(2, 7)]
    assert rounded([(4, 5), (7, 8)], parts, 40, 1) == [(3, 9)]  # they meet
    assert rounded([(1, 2), (8, 9)], parts, 40, 2) == [(0, 4), (6, 10)]
    assert rounded([(8, 9), (11, 12)], parts, 40, 3) == [(5, 10), (10, 15)]  # not over the border
    assert rounded([(8, 12)], parts, 40, 1) == [(7, 10), (10, 13)]
    assert rounded([(30, 31)], parts, 40, 100) == [(20, 40)]
    assert rounded([(3, 3)], parts, 40, 2) == []


def test_the_sides_count_pieces_and_take_whole_tokens():
    first, end = np.array([0, 1, 6, 7, 8]), np.array([1, 6, 7, 8, 12])
    assert list(round_reads([(2, 3)], [(0, 5)], first, end, 2)) == [(2, 4)]
    assert list(round_reads([(2, 3)], [(0, 5)], first, end, 5)) == [(1, 5)]


@given(
    st.lists(st.tuples(st.integers(0, 29), st.integers(1, 6)), min_size=1, max_size=8),
    st.lists(st.integers(1, 29), max_size=4, unique=True),
    st.integers(0, 8),
)
def test_every_read_is_covered_and_ranges_do_not_meet(starts, cuts, side_pieces):
    reads = sorted((start, min(start + n, 30)) for start, n in starts)
    parts = list(pairwise([0, *sorted(cuts), 30]))
    ranges = rounded(reads, parts, 30, side_pieces)
    covered = {token for a, b in ranges for token in range(a, b)}
    assert {token for a, b in reads for token in range(a, b)} <= covered
    assert all(b <= c for (_, b), (c, _) in pairwise(ranges))
    assert all(any(low <= a and b <= high for low, high in parts) for a, b in ranges)
