"""An encoder on disk, in two ways: read directly, or by Hugging Face's own classes.

BERT with its own tokenizer, as the default model is, is read directly: tokenizer.json and
model.safetensors are all that it needs, and not importing transformers saves seconds and memory.
Everything else goes through transformers, which also says what is wrong with a folder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from spacy_attn._types import Floats2d
from spacy_attn.encoder.loading import (
    MOST_LAYERS,
    Adapter,
    check_finite,
    check_vocabulary,
    damaged,
    merge_adapter,
    positions_of,
    read_encoder,
)
from spacy_attn.errors import SpacyAttnError

if TYPE_CHECKING:
    from spacy_attn.encoder.linear import Ops
    from spacy_attn.encoder.tuning import Choice


class Forward(Protocol):
    """The forward pass: rows of piece ids, special tokens included, to vectors."""

    def __call__(self, rows: Sequence[Sequence[int]]) -> Floats2d:
        """One row's vectors after another. *Shape:* (sum of the rows' lengths, width)"""
        ...


class Checkpoint(Protocol):
    """What the encoder needs to know of a model."""

    tokenizer: Any  # of the tokenizers package
    width: int
    n_layers: int
    limit: int  # pieces that it takes at once, special tokens included
    inner: int  # width between the two products of a layer
    n_heads: int
    is_packed: bool  # whether PackedBert computes it

    def forward(
        self,
        precision: str,
        layers: Sequence[int],
        device: str,
        adapter: Adapter | None,
        ops: Ops | None = None,
        choice: Choice | None = None,
    ) -> Forward:
        """The fastest forward pass that there is for it; ``ops`` where it is packed alone."""
        ...


def open_checkpoint(name: str, folder: Path) -> Checkpoint:
    """The model of a folder; nothing is downloaded, none of its code run.

    Raises:
        ResourceError: it is damaged or lacks something.
        ConfigError: it is no encoder, or has no fast tokenizer.
    """
    from safetensors import SafetensorError

    for path in folder.iterdir():
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise damaged(name, folder, f"{path.name} is not a regular file")
    try:
        return _DirectBert(name, folder)
    except SpacyAttnError:
        raise
    except (OSError, KeyError, ValueError, TypeError, RecursionError, SafetensorError, _NotDirect):
        return _HuggingFaceModel(name, folder)


class _NotDirect(Exception):
    """The folder holds something that only transformers reads."""


class _DirectBert:
    """BERT read from its files."""

    def __init__(self, name: str, folder: Path) -> None:
        from safetensors import safe_open
        from tokenizers import Tokenizer

        self._config = _read_json(folder / "config.json")
        tokenizer = _read_json(folder / "tokenizer_config.json")
        file = folder / "tokenizer.json"
        if not (_is_sound(self._config) and _is_bert(self._config)):
            raise _NotDirect
        if not _is_bert_tokenizer(tokenizer, _read_json(file)):
            raise _NotDirect
        self.tokenizer = Tokenizer.from_file(str(file))
        _uncut(self.tokenizer)
        self._path = folder / "model.safetensors"
        with safe_open(self._path, framework="numpy") as weights:
            names = _names_of(self._config)
            if not names <= set(weights.keys()):
                raise _NotDirect
            shapes = {name: tuple(weights.get_slice(name).get_shape()) for name in names}
        if shapes != {name: _shape_of(name, self._config) for name in names}:
            raise _NotDirect  # transformers says of which
        self._name = name
        check_vocabulary(self.tokenizer, int(self._config["vocab_size"]))
        self.width = int(self._config["hidden_size"])
        self.n_layers = int(self._config["num_hidden_layers"])
        self.inner = int(self._config["intermediate_size"])
        self.n_heads = int(self._config["num_attention_heads"])
        self.is_packed = True
        longest = tokenizer.get("model_max_length") or 10**9
        self.limit = min(int(self._config["max_position_embeddings"]), int(longest))

    def forward(
        self,
        precision: str,
        layers: Sequence[int],
        device: str,
        adapter: Adapter | None,
        ops: Ops | None = None,
        choice: Choice | None = None,
    ) -> Forward:
        """See :class:`Checkpoint`."""
        import torch
        from safetensors import safe_open

        from spacy_attn.encoder.packed import PackedBert

        def weights(name: str) -> torch.Tensor:
            # Opened anew: what was read of a mapped file counts as memory until it is closed.
            with safe_open(self._path, framework="pt") as file:
                tensor: torch.Tensor = file.get_tensor(name).float()
            check_finite(tensor, f"{name} of encoder {self._name!r}")
            change = None if adapter is None else adapter.change(name, tensor.shape)
            return tensor if change is None else tensor + change

        dtype = getattr(torch, precision)
        return PackedBert(self._config, weights, dtype, layers, device, choice, ops)


class _HuggingFaceModel:
    """Any encoder, by transformers."""

    def __init__(self, name: str, folder: Path) -> None:
        tokenizer, self._model = read_encoder(name, folder)
        self.tokenizer = tokenizer.backend_tokenizer
        _uncut(self.tokenizer)
        config = self._model.config
        self.width, self.n_layers = int(config.hidden_size), int(config.num_hidden_layers)
        if config.model_type == "reformer":  # its two reversible streams stand side by side
            self.width *= 2
        inner = getattr(config, "intermediate_size", None)
        self.inner = inner if isinstance(inner, int) else 4 * self.width
        self.n_heads = int(getattr(config, "num_attention_heads", 1) or 1)
        self.is_packed = self._is_packed()
        self.limit = min(positions_of(self._model), int(tokenizer.model_max_length))
        self._pad = int(tokenizer.pad_token_id or 0)  # any id will do, a mask hides it

    def forward(
        self,
        precision: str,
        layers: Sequence[int],
        device: str,
        adapter: Adapter | None,
        ops: Ops | None = None,
        choice: Choice | None = None,
    ) -> Forward:
        """See :class:`Checkpoint`."""
        import torch

        from spacy_attn.encoder.packed import PackedBert
        from spacy_attn.encoder.padded import PaddedModel

        model, dtype = self._model, getattr(torch, precision)
        if adapter is not None:
            merge_adapter(model, adapter)
        if self.is_packed:
            weights = model.state_dict().__getitem__
            return PackedBert(model.config.to_dict(), weights, dtype, layers, device, choice, ops)
        return PaddedModel(model.to(device), dtype, layers, self._pad)

    def _is_packed(self) -> bool:
        from spacy_attn.encoder.packed import PackedBert

        config = self._model.config.to_dict()
        return PackedBert.supports(config) and _names_of(config) <= set(self._model.state_dict())


def _read_json(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise _NotDirect
    return content


def _is_sound(config: dict[str, Any]) -> bool:
    """Whether its heads share its width, and its layers can be counted; transformers says why."""
    n_heads = int(config["num_attention_heads"])
    is_shared = n_heads > 0 and int(config["hidden_size"]) % n_heads == 0
    return is_shared and 0 < int(config["num_hidden_layers"]) <= MOST_LAYERS


def _is_bert(config: dict[str, Any]) -> bool:
    from spacy_attn.encoder.packed import PackedBert

    return config.get("model_type") == "bert" and PackedBert.supports(config)


def _is_bert_tokenizer(config: dict[str, Any], tokenizer: dict[str, Any]) -> bool:
    """Whether tokenizer.json alone says how texts are cut.

    transformers lets tokenizer_config.json overrule the normaliser; where they differ, it reads.
    """
    normalizer = tokenizer.get("normalizer") or {}
    return (
        str(config.get("tokenizer_class")).removesuffix("Fast") == "BertTokenizer"
        and tokenizer.get("model", {}).get("type") == "WordPiece"
        and len(tokenizer["model"]["vocab"]) > len(tokenizer.get("added_tokens", []))
        and normalizer.get("type") == "BertNormalizer"
        and normalizer.get("lowercase") == config.get("do_lower_case", True)
        and normalizer.get("strip_accents") == config.get("strip_accents")
        and normalizer.get("handle_chinese_chars") == config.get("tokenize_chinese_chars", True)
    )


def _names_of(config: dict[str, Any]) -> set[str]:
    """Names of the weights that BERT must have at least, by transformers' present names."""
    layers = range(int(config["num_hidden_layers"]))
    parts = (
        "attention.self.query",
        "attention.output.dense",
        "attention.output.LayerNorm",
        "intermediate.dense",
        "output.dense",
        "output.LayerNorm",
    )
    modules = {f"encoder.layer.{i}.{part}" for i in layers for part in parts}
    modules.add("embeddings.LayerNorm")
    embeddings = {
        f"embeddings.{kind}_embeddings.weight" for kind in ("word", "position", "token_type")
    }
    return embeddings | {f"{m}.{part}" for m in modules for part in ("weight", "bias")}


def _shape_of(name: str, config: dict[str, Any]) -> tuple[int, ...]:
    """What a weight of BERT must have. *Shape:* of a matrix (out, in)"""
    width, inner = int(config["hidden_size"]), int(config["intermediate_size"])
    rows = {
        "word": "vocab_size",
        "position": "max_position_embeddings",
        "token_type": "type_vocab_size",
    }
    for kind, setting in rows.items():
        if name == f"embeddings.{kind}_embeddings.weight":
            return int(config[setting]), width
    if "LayerNorm" in name:
        return (width,)
    is_inner, is_last = ".intermediate.dense." in name, re.search(r"\d\.output\.dense\.", name)
    if name.endswith(".bias"):
        return (inner if is_inner else width,)
    return inner if is_inner else width, inner if is_last else width


def _uncut(tokenizer: Any) -> None:
    """Cuts and padding that were saved with a tokenizer are not ours."""
    tokenizer.no_truncation()
    tokenizer.no_padding()
