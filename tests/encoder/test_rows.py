"""Rows laid one behind another, and sizes that are few."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spacy_attn.encoder.rows import Batch, rounded

CPU = torch.device("cpu")


def test_sizes_are_few_and_little_is_filled_up():
    sizes = [rounded(n) for n in range(1, 1025)]
    assert sorted(set(sizes)) == [
        *range(16, 129, 16),
        *range(160, 257, 32),
        *range(320, 513, 64),
        *range(640, 1025, 128),
    ]
    assert all(n <= size < n + max(16, n / 4) for n, size in enumerate(sizes, start=1))
    assert rounded(0) == 16


@given(
    st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=40), min_size=1, max_size=12),
    st.sampled_from([1, 3, 8]),
)
def test_every_piece_is_where_it_is_said_to_be(rows, step):
    batch = Batch.of(rows, step, CPU, torch.float32)
    flat = [piece for row in rows for piece in row]
    where = np.arange(len(flat)) if batch.real is None else batch.real.numpy()
    assert batch.n_pieces == len(flat)
    assert batch.ids.numpy()[where].tolist() == flat
    assert batch.positions.numpy()[where].tolist() == [i for row in rows for i in range(len(row))]
    assert len(batch.ids) == rounded(sum(-(-len(row) // step) * step for row in rows))
    # The groups follow one another, and the mask of each hides what is no piece of a row.
    at, seen = 0, []
    for group in batch.groups:
        assert group.start == at
        assert group.length % step == 0
        at = group.pieces.stop
        places = np.arange(group.start, at).reshape(group.n_rows, group.length)
        shown = np.ones(places.shape, dtype=bool)
        if group.mask is not None:
            assert group.mask.shape == (group.n_rows, 1, 1, group.length)
            shown = group.mask[:, 0, 0].numpy() == 0
            assert not shown.all()
        seen.extend(places[shown].tolist())
    assert seen == where.tolist()


def test_neighbours_of_one_length_are_one_group():
    rows = [[1] * n for n in (9, 9, 8, 5, 9)]
    groups = Batch.of(rows, 1, CPU, torch.float32).groups
    assert [(g.n_rows, g.length) for g in groups] == [(2, 9), (1, 8), (1, 5), (1, 9)]
    assert all(group.mask is None for group in groups)
    groups = Batch.of(rows, 8, CPU, torch.float32).groups
    assert [(g.n_rows, g.length) for g in groups] == [(2, 16), (2, 8), (1, 16)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_mask_has_the_type_of_the_scores(dtype):
    (group,) = Batch.of([[1, 2, 3]], 8, CPU, dtype).groups
    assert group.mask is not None
    assert group.mask.dtype == dtype
