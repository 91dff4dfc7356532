"""Rows of piece ids laid one behind another for a forward pass, and how sizes are rounded.

Rows have different lengths. Padded to the longest, every product would also compute what nobody
reads; here each row is filled up to a multiple of a small step, and neighbours of one length are a
group whose attention is computed on the matrix as it lies: nothing is gathered and spread again.

oneDNN compiles and keeps a kernel for each size that it meets, which takes some milliseconds and
some kilobytes. So the number of sizes is bounded: :func:`rounded`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

_LEAST = 16  # pieces; a batch has a multiple of it
_SHARES = 4  # sizes between a power of two and the next
_MASKED = -1e4  # added to the scores of padding; exp() of it is 0 in every precision


def rounded(n: int) -> int:
    """Pieces that a batch of n is filled up to: a multiple of 16, or of a larger power of two.

    From 64 pieces on there are four sizes between a power of two and the next, so that all batches
    of up to 1,024 pieces have 20 sizes, and at most a fifth of one is filling.

    >>> [rounded(n) for n in (1, 14, 65, 130, 1000)]
    [16, 16, 80, 160, 1024]
    """
    step = max(_LEAST, (1 << (max(n, 1) - 1).bit_length() >> 1) // _SHARES)
    return -(-max(n, 1) // step) * step


@dataclass(frozen=True, slots=True)
class Group:
    """Neighbouring rows of one length, padding included.

    *Shape:* mask (n_rows, 1, 1, length), None where nothing is padded
    """

    start: int  # in the matrix of all pieces
    n_rows: int
    length: int
    mask: Tensor | None

    @property
    def pieces(self) -> slice:
        """Where the group stands in the matrix."""
        return slice(self.start, self.start + self.n_rows * self.length)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of piece ids, one behind another.

    *Shape:* ids, positions (n,), n as :func:`rounded` has it; real (n_pieces,): where the pieces
    of the rows stand among them, None where they are the first
    """

    ids: Tensor
    positions: Tensor
    real: Tensor | None
    groups: tuple[Group, ...]
    n_pieces: int

    @classmethod
    def of(
        cls, rows: Sequence[Sequence[int]], step: int, device: torch.device, dtype: torch.dtype
    ) -> Batch:
        """Lay rows behind one another; those of similar length should be neighbours.

        Args:
            rows: piece ids, special tokens included.
            step: pieces; each row is filled up to a multiple of it.
            device: where the tensors are wanted.
            dtype: of the mask.
        """
        lengths = np.array([len(row) for row in rows])
        padded = -(-lengths // step) * step
        starts = np.cumsum(padded) - padded
        n_pieces, n = int(lengths.sum()), int(padded.sum())
        behind = np.arange(n_pieces) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        real = np.repeat(starts, lengths) + behind
        ids = np.zeros(rounded(n), dtype=np.int64)
        positions = np.zeros_like(ids)
        ids[real] = np.fromiter((piece for row in rows for piece in row), np.int64, n_pieces)
        positions[real] = behind
        changes = np.flatnonzero(np.diff(padded)) + 1
        groups = []
        for first, end in pairwise((0, *changes.tolist(), len(rows))):
            length = int(padded[first])
            mask = None
            if (lengths[first:end] < length).any():
                hidden = np.arange(length) >= lengths[first:end, None]
                zeros = torch.zeros(hidden.shape, dtype=dtype)
                mask = zeros.masked_fill_(torch.from_numpy(hidden), _MASKED)[:, None, None]
                mask = mask.to(device)
            groups.append(Group(int(starts[first]), end - first, length, mask))
        return cls(
            torch.from_numpy(ids).to(device),
            torch.from_numpy(positions).to(device),
            None if n == n_pieces else torch.from_numpy(real).to(device),
            tuple(groups),
            n_pieces,
        )
