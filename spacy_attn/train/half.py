"""The encoder that learns: which of its weights do, and a copy in bfloat16 that computes.

In half precision the encoder works, and its weights are kept in float32.

Autocast converts weights and activations again and again; an encoder that is bfloat16 throughout
is three times as fast on a processor with AMX. The optimizer changes float32 weights, for
small steps would be lost in eight bits.
"""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Mapping
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


def trained_state(module: Any) -> dict[str, Tensor]:
    """The weights that learn, for a checkpoint; the others are read from the model again."""
    return {name: p.detach() for name, p in module.named_parameters() if p.requires_grad}


def load_trained(module: Any, state: Mapping[str, Tensor]) -> None:
    """Go on with the weights that had learnt.

    Raises:
        KeyError: one is missing.
        RuntimeError: one has another shape, or the module has none of that name.
    """
    if missing := trained_state(module).keys() - state.keys():
        raise KeyError(min(missing))
    module.load_state_dict({**module.state_dict(), **state})


def frozen_sha256(module: Any) -> str:
    """The hash of the weights that do not learn, but for poolers, which nobody reads."""
    digest = hashlib.sha256()
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad and "pooler" not in name:
            digest.update(name.encode())
            digest.update(parameter.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()


def is_trained(name: str, frozen_layers: int) -> bool:
    """Whether a parameter of an encoder learns.

    Embeddings and poolers do not. Where lower layers stay as they are, nothing outside of layers
    learns: what all layers share would make gradients go through all of them.
    """
    layer = re.search(r"\blayers?\.(\d+)\.", name)
    if frozen_layers:
        return layer is not None and int(layer[1]) >= frozen_layers
    return "embeddings" not in name and "pooler" not in name
