"""From the name of an inventory to the inventory."""

from __future__ import annotations

from pathlib import Path

from spacy_attn.errors import ConfigError
from spacy_attn.wsd.inventory.jsonl import load_inventory
from spacy_attn.wsd.inventory.protocol import SenseInventory
from spacy_attn.wsd.inventory.wordnet import wordnet_inventory

__all__ = ["open_inventory"]


def open_inventory(
    source: str | Path, lang: str | None = None, *, names: bool = False
) -> SenseInventory:
    """The inventory of a name (``homographs``, ``wordnet``) or of a JSONL file.

    Args:
        source: the name or the path.
        lang: the pipeline's language, checked against the inventory's.
        names: whether "wordnet" gives senses to proper nouns too.

    Raises:
        ConfigError: no such inventory, or one of another language.
        InventoryError: a line of a file is broken.
        ResourceError: the package's lexicon is damaged.
    """
    if str(source) != "wordnet":
        if names:
            raise ConfigError(
                f"names = True with inventory = {str(source)!r}: allowed is false; only 'wordnet' "
                "leaves names out, in other inventories they have senses like nouns"
            )
        return load_inventory(source, lang)
    if lang not in (None, "en"):
        raise ConfigError(
            f"the inventory 'wordnet' is for language 'en', the pipeline's is {lang!r}; give "
            "your own with inventory = 'senses.jsonl'"
        )
    return wordnet_inventory().with_names if names else wordnet_inventory()
