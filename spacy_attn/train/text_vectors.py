"""The vectors that an encoder gives to the texts of senses, before it has learnt any."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from spacy_attn._types import Floats2d
from spacy_attn.errors import ResourceError
from spacy_attn.files import atomic_write
from spacy_attn.train.run_folder import read_array
from spacy_attn.train.thin import zero_rows

logger = logging.getLogger("spacy_attn")

_PIECES = 64  # of a sense's text
_AT_ONCE = 128  # texts


def text_vectors(
    model: Any,
    tokenizer: Any,
    texts: Mapping[int, str],
    n_rows: int,
    folder: Path,
    precision: str,
    report: Callable[[dict[str, Any]], None] | None = None,
) -> Tensor:
    """Mean-pooled unit vectors, kept in a file of the folder.

    Args:
        model: the encoder.
        tokenizer: its tokenizer.
        texts: by row.
        n_rows: of the result.
        folder: of the training run.
        precision: "bf16" or "fp32".
        report: called with how many texts have their vectors, before each batch.

    *Shape:* (n_rows, hidden); zeros in rows without a text
    """
    key = json.dumps([n_rows, sorted(texts.items())])
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    path = folder / f"glosses-{digest}.npy"
    if not path.exists():
        logger.info("encoding the texts of %d senses", len(texts))
        order = sorted(texts, key=lambda row: len(texts[row]))
        place = {row: at for at, row in enumerate(sorted(texts))}
        made = np.zeros((len(texts), model.config.hidden_size), dtype=np.float16)
        for first in range(0, len(order), _AT_ONCE):
            if report:
                report({"stage": "encoding definitions", "done": first, "total": len(order)})
            rows = order[first : first + _AT_ONCE]
            at = [place[row] for row in rows]
            made[at] = _embed(model, tokenizer, [texts[row] for row in rows], precision)
        with atomic_write(path) as file:
            np.save(file, made)
    kept = read_array(path)
    width = model.config.hidden_size
    if kept.shape == (n_rows, width):  # as earlier versions kept it
        return torch.from_numpy(kept).float()
    if kept.shape != (len(texts), width):
        raise ResourceError(f"{path} is damaged (its shape is {kept.shape}); delete it")
    out = zero_rows(n_rows, width)
    out[sorted(texts)] = torch.from_numpy(kept).float()
    return out


@torch.inference_mode()
def _embed(model: Any, tokenizer: Any, texts: list[str], precision: str) -> Floats2d:
    device = model.device
    batch = tokenizer(
        texts, padding=True, truncation=True, max_length=_PIECES, return_tensors="pt"
    ).to(device)
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16"):
        hidden = model.eval()(**batch).last_hidden_state.float()
    mask = batch["attention_mask"].unsqueeze(-1)
    mean = F.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)
    array: Floats2d = mean.cpu().numpy()
    return array
