"""Classic NLP and attention side by side in one spaCy pipeline.

``import spacy_attn`` is light: spaCy and torch come with the first use of a name.

The parts are ``wsd`` (senses without spaCy), ``encoder``, ``classic``, ``components`` (the spaCy
factories), ``train``, ``explain``, ``compare``, ``jobs``, ``cli`` and ``models`` (where models
are). Modules that several parts use:

| ``backends``   the encoders and static vectors that sense methods ask for
| ``settings``   the settings of an encoder
| ``sentences``  where sentences and passages begin
| ``batches``    streams cut into lists that fit into memory
| ``docbin``     the parts of a DocBin, unpacked in bounded memory
| ``files``      files written whole or not at all, locked, hashed, decompressed in bounds
| ``patterns``   the files that an argument means
| ``errors``     the exceptions, one tree
| ``_types``     type aliases and Protocols
| ``__main__``   ``python -m spacy_attn``
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from spacy_attn.errors import (
    ConfigError,
    InventoryError,
    RecordError,
    ResourceError,
    SpacyAttnError,
)

if TYPE_CHECKING:
    from spacy_attn.components.extensions import filter_senses, install_extensions
    from spacy_attn.components.hooks import restore_hooks
    from spacy_attn.components.pipeline import load_pipeline
    from spacy_attn.wsd.annotation import SenseAnnotation
    from spacy_attn.wsd.inventory.jsonl import Inventory
    from spacy_attn.wsd.inventory.open import load_inventory
    from spacy_attn.wsd.inventory.synsets import Synset, synset_of

    __version__: str

_LAZY = {
    "Inventory": "spacy_attn.wsd.inventory.jsonl",
    "SenseAnnotation": "spacy_attn.wsd.annotation",
    "Synset": "spacy_attn.wsd.inventory.synsets",
    "filter_senses": "spacy_attn.components.extensions",
    "install_extensions": "spacy_attn.components.extensions",
    "load_inventory": "spacy_attn.wsd.inventory.open",
    "load_pipeline": "spacy_attn.components.pipeline",
    "restore_hooks": "spacy_attn.components.hooks",
    "synset_of": "spacy_attn.wsd.inventory.synsets",
}

__all__ = [
    "ConfigError",
    "Inventory",
    "InventoryError",
    "RecordError",
    "ResourceError",
    "SenseAnnotation",
    "SpacyAttnError",
    "Synset",
    "filter_senses",
    "install_extensions",
    "load_inventory",
    "load_pipeline",
    "restore_hooks",
    "synset_of",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("spacy-attn")
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'spacy_attn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
