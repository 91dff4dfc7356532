"""Find the scales with which a model computes in 8 bits: what its channels reach on some text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from spacy_attn.encoder.batching import batch_by_length
from spacy_attn.encoder.checkpoint import Checkpoint, Forward, open_checkpoint
from spacy_attn.encoder.device import on_processor
from spacy_attn.encoder.int8 import ROUNDED, Arrays, Scales, split_units
from spacy_attn.encoder.linear import Ops
from spacy_attn.encoder.loading import Adapter, special_tokens
from spacy_attn.encoder.precision import check_int8
from spacy_attn.encoder.tuning import Choice
from spacy_attn.errors import ConfigError, counted
from spacy_attn.models import resolve_encoder, weights_sha256
from spacy_attn.settings import EncoderSettings

_CHECKED = 4  # one text of so many only shows how near the vectors are
_LEAST = 16  # texts
_PIECES = 1024  # of a batch
_NARROWEST = 0.01  # spread of a channel, in parts of the widest of its input


@on_processor()
def calibrate(settings: EncoderSettings, texts: Sequence[str]) -> tuple[Scales, str, str]:
    """Scales of a model, made from three quarters of the texts and tried on the others.

    Args:
        settings: model, adapter and strength; the rest is not read.
        texts: sentences or passages such as those that the model is to read; a few hundred do.

    Returns:
        The scales; the hash of the weights, and the identity of the adapter or "none", which
        name their file (:func:`spacy_attn.encoder.int8.scales_path`).

    Raises:
        ConfigError: there are too few texts, or int8 is not for this model or machine.
        ResourceError: the model is not on this machine or damaged.
    """
    if len(texts) < _LEAST:
        raise ConfigError(
            f"{counted(len(texts), 'text')}: at least {_LEAST} are needed; give files of running "
            "text, or none for the sentences of this package"
        )
    folder = resolve_encoder(settings.model).path
    checkpoint = open_checkpoint(settings.model, folder)
    weights = weights_sha256(folder)
    adapter = None
    if settings.adapter is not None:
        adapter = Adapter(Path(settings.adapter), weights, settings.strength)
    check_int8(settings.model, "cpu", checkpoint.is_packed)
    rows = _rows(checkpoint, texts, settings.window)
    checked = rows[::_CHECKED]
    watched = [row for i, row in enumerate(rows) if i % _CHECKED]
    watcher = _Watcher()

    def forward(ops: Ops | None) -> Forward:
        exact = Choice("plain", step=1)  # no filling within a batch
        return checkpoint.forward("float32", [checkpoint.n_layers], "cpu", adapter, ops, exact)

    arrays = watcher.watch(forward(watcher.ops()), watched, checkpoint.n_layers)
    identity = "none" if adapter is None else adapter.identity
    model = {"model": Path(settings.model).name, "weights": weights, "adapter": identity}
    scales = Scales(*arrays, {**model, "texts": len(watched), "cosine": 1.0})
    cosine = mean_cosine(forward(None), forward(scales.ops()), checked)
    return Scales(*arrays, {**scales.manifest, "cosine": round(cosine, 5)}), weights, identity


def mean_cosine(exact: Forward, near: Forward, rows: Sequence[Sequence[int]]) -> float:
    """Mean cosine of the vectors of all pieces of some rows, by two forward passes."""
    cosines = []
    for batch in batch_by_length([len(row) for row in rows], _PIECES):
        one, two = (forward([rows[k] for k in batch]) for forward in (exact, near))
        norms = np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1)
        cosines.append((one * two).sum(1) / np.maximum(norms, 1e-12))
    return float(np.concatenate(cosines).mean())


def _rows(checkpoint: Checkpoint, texts: Sequence[str], longest: int) -> list[list[int]]:
    """Piece ids of each text, cut to a window, special tokens included."""
    before, behind = special_tokens(checkpoint.tokenizer)
    room = min(longest, checkpoint.limit) - len(before) - len(behind)
    encoded = checkpoint.tokenizer.encode_batch(list(texts), add_special_tokens=False)
    return [[*before, *each.ids[:room], *behind] for each in encoded]


class _Watcher:
    """The products of a model in float32, and the lowest and highest inputs of each so far."""

    def __init__(self) -> None:
        self._n = 0  # pieces of the batch; what fills it up is not looked at
        self._found: dict[tuple[int, str], tuple[Tensor, Tensor]] = {}

    def ops(self) -> Ops:
        """The layers that are watched."""
        return Ops(self._linear, self._linear_gelu, self._linear_add, self._arranged)

    def watch(self, forward: Forward, rows: Sequence[Sequence[int]], n_layers: int) -> Arrays:
        """Run some rows; see :class:`Scales` for what comes out."""
        for batch in batch_by_length([len(row) for row in rows], _PIECES):
            self._n = sum(len(rows[k]) for k in batch)
            forward([rows[k] for k in batch])
        ranges = [[self._found[i, part] for part in ROUNDED] for i in range(n_layers)]
        low, high = (
            np.array([[each[end].numpy() for each in layer] for layer in ranges]) for end in (0, 1)
        )
        spread = (high - low) / 2
        spread = np.maximum(spread, spread.max(-1, keepdims=True) * _NARROWEST)
        split = [split_units(self._found[i, "out"][1].numpy()) for i in range(n_layers)]
        return (
            ((low + high) / 2).astype(np.float16),
            np.maximum(spread, 1e-4).astype(np.float16),
            np.array([units for units, _ in split], dtype=np.uint8),
            np.array([limit for _, limit in split], dtype=np.float32),
        )

    def _arranged(
        self, layer: int, part: str, weight: Tensor, bias: Tensor
    ) -> tuple[tuple[int, str, Tensor], Tensor]:
        return (layer, part, weight), bias

    def _linear(self, x: Tensor, named: tuple[int, str, Tensor], bias: Tensor) -> Tensor:
        layer, part, weight = named
        low, high = torch.aminmax(x[: self._n], dim=0)
        known = self._found.get((layer, part), (low, high))
        self._found[layer, part] = torch.minimum(known[0], low), torch.maximum(known[1], high)
        return F.linear(x, weight, bias)

    def _linear_gelu(self, x: Tensor, named: tuple[int, str, Tensor], bias: Tensor) -> Tensor:
        return F.gelu(self._linear(x, named, bias))

    def _linear_add(
        self, x: Tensor, named: tuple[int, str, Tensor], bias: Tensor, residual: Tensor
    ) -> Tensor:
        return self._linear(x, named, bias) + residual
