"""The encoder that learns: which of its weights do, and a copy in bfloat16 that computes.

In half precision the encoder works, and its weights are kept in float32.

Autocast converts weights and activations again and again; an encoder that is bfloat16 throughout
is three times as fast on a processor with AMX. The optimizer changes float32 weights, for
small steps would be lost in eight bits.
"""

from __future__ import annotations

import copy
import re
from typing import Any

import torch
from torch import Tensor


class Worker:
    """The encoder that computes, beside the one that is kept.

    Args:
        kept: the encoder in float32, which the optimizer changes.
        precision: "bf16" computes on a copy in bfloat16, "fp32" on the encoder itself.
    """

    def __init__(self, kept: Any, precision: str) -> None:
        self.kept = kept
        self.model = kept
        if precision == "bf16":
            self.model = copy.deepcopy(kept).to(torch.bfloat16)
        self._pairs = [
            (a, b)
            for a, b in zip(kept.parameters(), self.model.parameters(), strict=True)
            if a is not b
        ]

    def hidden(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Hidden states of the last layer, float32. *Shape:* (batch, pieces) -> (.., hidden)"""
        out: Tensor = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
        return out.float()

    def hand_over_gradients(self) -> None:
        """Move the gradients of the copy to the kept weights."""
        for kept, working in self._pairs:
            if working.grad is not None:
                kept.grad = working.grad.float()
                working.grad = None

    @torch.no_grad()
    def update(self) -> None:
        """Take over the kept weights."""
        for kept, working in self._pairs:
            working.copy_(kept)


def is_trained(name: str, frozen_layers: int) -> bool:
    """Whether a parameter of an encoder learns.

    Embeddings and poolers do not. Where lower layers stay as they are, nothing outside of layers
    learns: what all layers share would make gradients go through all of them.
    """
    layer = re.search(r"\blayers?\.(\d+)\.", name)
    if frozen_layers:
        return layer is not None and int(layer[1]) >= frozen_layers
    return "embeddings" not in name and "pooler" not in name
