"""Tables of which most rows are zero: in memory and in a checkpoint they take little.

A run on a dozen labels has a row for each synset of WordNet, and learns a few of them.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

_KEYS: Final = {"n_rows", "rows", "values"}


def zero_rows(n_rows: int, width: int, *, half: bool = False) -> Tensor:
    """Zeros, for which the system gives memory where something is written, and no earlier.

    ``torch.zeros`` writes them all.

    *Shape:* (n_rows, width)
    """
    return torch.from_numpy(np.zeros((n_rows, width), np.float16 if half else np.float32))


def thin(state: Any) -> Any:
    """The state of a module or optimizer, of tables with few rows that are not zero only these."""
    if isinstance(state, dict):
        return {name: thin(value) for name, value in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(thin(value) for value in state)
    if not isinstance(state, Tensor) or state.ndim != 2:
        return state
    rows = state.any(dim=1).nonzero().flatten()
    if len(rows) > len(state) / 2:
        return state
    return {"n_rows": len(state), "rows": rows, "values": state[rows]}


def thick(state: Any) -> Any:
    """The state that was made thin; one that was not stays as it is."""
    if isinstance(state, dict) and set(state) == _KEYS:
        rows, values = state["rows"], state["values"]
        out = zero_rows(state["n_rows"], values.shape[1], half=values.dtype == torch.half)
        out = out.to(values)
        out[rows] = values
        return out
    if isinstance(state, dict):
        return {name: thick(value) for name, value in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(thick(value) for value in state)
    return state
