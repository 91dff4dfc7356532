"""Contextual vectors out of static ones: the smallest encoder that has context::

    static vectors (n_tokens, static width)
      -- linear map to ``width``, a learnt vector where a word is unknown, layer norm
      -- positions
      -- layers of attention (:mod:`spacy_attn.encoder.self_attention`)
    (n_tokens, width)

The static vectors are not trained and not part of the model: a few hundred kilobytes are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spacy_attn._types import Floats2d, Floats3d, Offsets, StaticVectors, TokenRange
from spacy_attn.encoder.batching import batch_by_length
from spacy_attn.encoder.device import inference, on_processor, one_thread_in_children
from spacy_attn.encoder.loading import check_finite
from spacy_attn.encoder.self_attention import SelfAttention, sinusoidal_positions
from spacy_attn.errors import ConfigError, ResourceError, first_line
from spacy_attn.files import regular_file
from spacy_attn.models import FileState, model_state
from spacy_attn.sentences import sentence_starts

_BATCH_TOKENS = 8192
_LONGEST = 512  # tokens; a longer sentence is cut into parts that do not see each other
_POSITIONS = 0.3  # of their length at the start, beside vectors of layer norm
_SIZE = 20  # times width squared: parameters of all layers, room for four of 4 width^2 each


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """What the network is made of; stored with its weights."""

    static_width: int
    width: int = 64
    layers: int = 1
    heads: int = 4
    hidden: int | None = None  # None: see :func:`inner_width`
    dropout: float = 0.1
    attention_dropout: float = 0.1


# Makes the module of (x, present) -> x in the network. *Shape:* (batch, n_tokens, width),
# (batch, n_tokens) -> (batch, n_tokens, width)
MakeMixer = Callable[[NetworkConfig], nn.Module]


def self_attention(config: NetworkConfig) -> SelfAttention:
    """The layers of attention of a network.

    Raises:
        ConfigError: a number of layers or heads, or a dropout, that is not allowed.
    """
    hidden = config.hidden or inner_width(config.layers, config.width)
    return SelfAttention(
        config.layers, config.width, config.heads, hidden, config.dropout, config.attention_dropout
    )


def inner_width(layers: int, width: int) -> int:
    """The width inside the feed-forward layers that gives all layers ``20 width^2`` parameters.

    Raises:
        ConfigError: no layers, or so many that they have more with any.
    """
    if layers < 1:
        raise ConfigError(f"layers = {layers}; allowed is 1 or more")
    budget = _SIZE * width**2
    fixed, by_unit = layers * (4 * width**2 + 9 * width), layers * (2 * width + 1)
    hidden = max(1, round((budget - fixed) / by_unit))
    if abs(fixed + hidden * by_unit - budget) > budget / 10:
        raise ConfigError(
            f"layers = {layers} at width {width} cannot be brought within 10 % of {budget} "
            "parameters; take fewer layers or a greater width"
        )
    return hidden


def n_parameters(module: nn.Module) -> int:
    """How many numbers of a module are trained."""
    return sum(parameter.numel() for parameter in module.parameters())


class StaticContextNetwork(nn.Module):
    """See the module.

    Args:
        config: see :class:`NetworkConfig`.
        make_mixer: what mixes the tokens in place of attention.
    """

    def __init__(self, config: NetworkConfig, make_mixer: MakeMixer = self_attention) -> None:
        super().__init__()
        self.config = config
        self.input = nn.Linear(config.static_width, config.width)
        self.unknown = nn.Parameter(torch.zeros(config.width))
        self.input_norm = nn.LayerNorm(config.width)
        self.position = nn.Parameter(torch.tensor(_POSITIONS))
        self.drop = nn.Dropout(config.dropout)
        self.mixer = make_mixer(config)
        # What knows the order by itself, or knows none, gets no positions.
        self.position.requires_grad = isinstance(self.mixer, SelfAttention)

    def embedded(self, static: Tensor, present: Tensor) -> Tensor:
        """What goes into the mixer. A zero row is an unknown word.

        *Shape:* (batch, n_tokens, static width), (batch, n_tokens) -> (batch, n_tokens, width)
        """
        is_known = static.any(-1, keepdim=True)
        x = self.input_norm(torch.where(is_known, self.input(static), self.unknown))
        if isinstance(self.mixer, SelfAttention):
            places = sinusoidal_positions(x.shape[1], x.shape[2]).to(x)
            x = x + self.position * places
        out: Tensor = self.drop(x) * present.unsqueeze(-1)
        return out

    def forward(self, static: Tensor, present: Tensor) -> Tensor:
        """*Shape:* as :meth:`embedded`"""
        out: Tensor = self.mixer(self.embedded(static, present), present)
        return out

    def weights(self, static: Tensor, present: Tensor) -> Tensor:
        """Its own attention weights.

        *Shape:* (layers, batch, heads, n_tokens, n_tokens), from token, to token

        Raises:
            ConfigError: the mixer has none.
        """
        if not isinstance(self.mixer, SelfAttention):
            raise ConfigError(f"{type(self.mixer).__name__} has no attention weights")
        return self.mixer.weights(self.embedded(static, present), present)


class StaticContextEncoder:
    """The network behind the Protocol ``Encoder``: it reads sentence by sentence.

    Args:
        network: the trained network; it is put into evaluation mode.
        vectors: those it was trained on.
        sha256: of its file, for :attr:`identity`.

    Raises:
        ConfigError: the vectors have another width than those of the training.
    """

    def __init__(
        self, network: StaticContextNetwork, vectors: StaticVectors, sha256: str = "untrained"
    ) -> None:
        expected = network.config.static_width
        if vectors.width != expected:
            raise ConfigError(
                f"the vectors have width {vectors.width}, those of the self-attention model's "
                f"training {expected}; give the same vectors, or train a model on yours with: "
                "spacy-attn train-attention --vectors FILE"
            )
        self.network = network.eval()
        self.vectors = vectors
        self._sha256 = sha256

    @property
    def identity(self) -> str:
        """Hash of the weights, and the vectors."""
        return f"static_network/{self._sha256[:16]}/{self.vectors.identity}"

    @property
    def width(self) -> int:
        """Length of the vectors."""
        return self.network.config.width

    def encode(
        self,
        texts: Sequence[str],
        offsets: Sequence[Offsets],
        reads: Sequence[Sequence[TokenRange]] | None = None,
    ) -> list[Floats2d]:
        """Vectors of all tokens of the sentences in which something is read; others are zero.

        *Shape:* for each text (n_tokens, width)
        """
        out, parts = [], []
        for i, (text, places) in enumerate(zip(texts, offsets, strict=True)):
            tokens = [text[int(start) : int(end)] for start, end in places]
            out.append(np.zeros((len(tokens), self.width), dtype=np.float32))
            for start, end in _pieces(tokens):
                ranges = None if reads is None else reads[i]
                if ranges is None or any(a < end and start < b for a, b in ranges):
                    parts.append((i, start, tokens[start:end]))
        if not parts:
            return out
        one_thread_in_children()
        for batch in batch_by_length([len(tokens) for _, _, tokens in parts], _BATCH_TOKENS):
            rows = self._rows([parts[j][2] for j in batch])
            for row, (i, start, tokens) in zip(rows, (parts[j] for j in batch), strict=True):
                out[i][start : start + len(tokens)] = row[: len(tokens)]
        return out

    def attention(self, tokens: Sequence[str]) -> Floats3d:
        """How much each token of one sentence looks at each, mean over the heads.

        *Shape:* (layers, n_tokens, n_tokens), from token, to token

        Raises:
            ConfigError: the model is one without attention.
        """
        with inference():
            static, present = self._static([list(tokens)])
            found: Floats3d = self.network.weights(static, present)[:, 0].mean(1).numpy()
        return found

    def _rows(self, texts: Sequence[Sequence[str]]) -> Floats3d:
        """*Shape:* (len(texts), longest, width)"""
        with inference():
            rows: Floats3d = self.network(*self._static(texts)).numpy()
        return rows

    def _static(self, texts: Sequence[Sequence[str]]) -> tuple[Tensor, Tensor]:
        """*Shape:* (len(texts), longest, static width), (len(texts), longest)"""
        lengths = torch.tensor([len(tokens) for tokens in texts])
        present = torch.arange(int(lengths.max()))[None, :] < lengths[:, None]
        found = self.vectors.vectors([token for tokens in texts for token in tokens])
        static = torch.zeros(*present.shape, self.vectors.width, dtype=torch.float32)
        static[present] = torch.from_numpy(np.asarray(found, dtype=np.float32))
        return static, present


def _pieces(tokens: Sequence[str]) -> list[TokenRange]:
    """Sentences, long ones cut."""
    starts = [*sentence_starts(tokens), len(tokens)]
    return [
        (first, min(first + _LONGEST, end))
        for start, end in pairwise(starts)
        for first in range(start, end, _LONGEST)
    ]


def read_model(path: Path) -> tuple[StaticContextNetwork, dict[str, Any], str]:
    """Network, manifest and SHA-256 of a file that ``spacy-attn train-attention`` wrote.

    A file is read once in each process, and again when it has changed.

    Raises:
        ResourceError: the file is missing, is no such model, or its weights are not finite.
    """
    return _read_model(path, model_state(path))


@lru_cache(maxsize=4)
@on_processor()
def _read_model(
    path: Path,
    state: tuple[FileState, ...],  # of the file: another one is read anew
) -> tuple[StaticContextNetwork, dict[str, Any], str]:
    from safetensors import safe_open

    try:
        with safe_open(regular_file(path), framework="pt") as file:
            manifest = json.loads(file.metadata()["manifest"])
            names = [name for name in file.keys() if name.startswith("network.")]
            weights = {
                name.removeprefix("network."): file.get_tensor(name).float() for name in names
            }
        with torch.device("meta"):  # nothing is made that the file does not hold
            network = StaticContextNetwork(_config_of(manifest["network"]))
        network.load_state_dict(weights, assign=True)
        for name, tensor in weights.items():
            check_finite(tensor, name)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except Exception as error:  # those of torch and safetensors
        raise ResourceError(
            f"{path} is no self-attention model ({type(error).__name__}: {first_line(error)}); "
            "train one with: spacy-attn train-attention -o FOLDER"
        ) from error
    return network.eval(), manifest, digest


def _config_of(recorded: dict[str, Any]) -> NetworkConfig:
    """The settings of a file. Older files also name mixer and pattern: those of full attention.

    Raises:
        ValueError: another mixer or pattern.
    """
    kind = recorded.get("mixer", "attention"), recorded.get("pattern", "full")
    if kind != ("attention", "full"):
        raise ValueError(f"it has mixer {kind[0]!r} and pattern {kind[1]!r}, not full attention")
    known = {field.name for field in fields(NetworkConfig)}
    return NetworkConfig(**{key: value for key, value in recorded.items() if key in known})
