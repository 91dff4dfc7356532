"""Scaled dot-product attention of a group of rows, by torch's one kernel or in three steps."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from spacy_attn.encoder.rows import Group

#: The first one is the default where nothing is measured.
ATTENTION_WAYS = ("one_kernel", "three_steps")


def attend(projected: Tensor, group: Group, n_heads: int, way: str) -> Tensor:
    """The attention of the rows of a group, each to itself.

    Args:
        projected: queries, keys and values of the group's pieces.
        group: how many rows of which length.
        n_heads: heads of the layer.
        way: one of :data:`ATTENTION_WAYS`.

    *Shape:* (n_rows * length, 3 * width) -> (n_rows * length, width)
    """
    spread = projected.view(group.n_rows, group.length, 3, n_heads, -1).permute(2, 0, 3, 1, 4)
    query, key, value = spread
    if way == "three_steps":
        out = _in_three_steps(query, key, value, group.mask)
    else:
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=group.mask)
    return out.transpose(1, 2).reshape(len(projected), -1)


def _in_three_steps(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """As Vaswani et al. 2017 write it, with all scores in memory.

    *Shape:* three (n_rows, n_heads, length, head width) -> the same
    """
    scores = torch.matmul(query * query.shape[-1] ** -0.5, key.transpose(-1, -2))
    if mask is not None:
        scores += mask
    return torch.matmul(torch.softmax(scores, -1), value)
