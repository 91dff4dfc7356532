"""What a training run leaves on disk: its model, its checkpoint, its learning curve."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from spacy_attn.files import atomic_write

CHECKPOINT = "checkpoint.pt"


def write_tensors(path: Path, tensors: Mapping[str, Tensor], manifest: Mapping[str, Any]) -> None:
    """A model as one safetensors file; its folder is made where it is not there."""
    from safetensors.torch import save

    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.write(save(dict(tensors), {"manifest": json.dumps(manifest)}))


def write_checkpoint(folder: Path, state: Mapping[str, Any]) -> None:
    """What a run goes on from after an interruption."""
    temporary = folder / f"{CHECKPOINT}.part"
    torch.save(dict(state), temporary)
    temporary.replace(folder / CHECKPOINT)


def write_curve(folder: Path, curve: Sequence[Mapping[str, Any]]) -> None:
    """A record for each epoch."""
    text = json.dumps(curve, indent=1) + "\n"
    (folder / "curve.json").write_text(text, encoding="utf-8")
