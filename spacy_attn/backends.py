"""Where sense methods get their models: encoders and static vectors of this package.

The only place that knows ``wsd`` and ``encoder`` and ``classic``: a method asks for what it needs
through :class:`~spacy_attn.wsd.context.Models`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spacy_attn._types import Encoder, Floats2d, StaticVectors, TextEncoder
from spacy_attn.errors import ConfigError
from spacy_attn.settings import EncoderSettings


@dataclass(frozen=True)
class LocalModels:
    """Models on this machine, each opened once per process. It is stateless, so it is pickled."""

    def encoder(self, settings: EncoderSettings) -> Encoder:
        """See :class:`~spacy_attn.wsd.context.Models`."""
        from spacy_attn.encoder.huggingface import shared_encoder

        return shared_encoder(settings)

    def text_encoder(self, settings: EncoderSettings) -> TextEncoder:
        """See :class:`~spacy_attn.wsd.context.Models`."""
        return _LazyTextEncoder(settings)

    def static_vectors(self, source: str | None) -> StaticVectors:
        """See :class:`~spacy_attn.wsd.context.Models`."""
        from spacy_attn.classic.vectors import shared_vectors

        return shared_vectors(source, "zero")

    def network(self, path: Path, vectors: StaticVectors) -> Encoder:
        """See :class:`~spacy_attn.wsd.context.Models`.

        Raises:
            ConfigError: the network was trained on other vectors.
            ResourceError: the file is missing or is no such model.
        """
        from spacy_attn.encoder.static_network import StaticContextEncoder, read_model

        network, manifest, sha256 = read_model(path)
        trained_on = str(manifest.get("vectors"))
        # What stands before the colon is the name of the file, which may change.
        if trained_on.rpartition(":")[2] != vectors.identity.rpartition(":")[2]:
            raise ConfigError(
                f"vectors are {vectors.identity}, the model {path.name} was trained on "
                f"{trained_on}; give those, or train a model on yours with: "
                "spacy-attn train-attention --vectors FILE -o FOLDER"
            )
        return StaticContextEncoder(network, vectors, sha256)


@dataclass(frozen=True)
class _LazyTextEncoder:
    """The encoder for definitions, opened only where an inventory is not prepared yet."""

    settings: EncoderSettings

    def embed(self, texts: Sequence[str]) -> Floats2d:
        """*Shape:* (len(texts), width)"""
        from spacy_attn.encoder.huggingface import shared_encoder

        return shared_encoder(self.settings).embed(texts)
