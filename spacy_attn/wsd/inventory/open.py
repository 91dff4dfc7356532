"""From what a user names as an inventory to the inventory."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from spacy_attn.errors import ConfigError
from spacy_attn.wsd.inventory import jsonl
from spacy_attn.wsd.inventory.protocol import SenseInventory
from spacy_attn.wsd.inventory.sources import MADE, InventorySource
from spacy_attn.wsd.inventory.wordnet import wordnet_inventory

#: What makes each of :data:`~.sources.MADE`, once for each process.
_MAKERS: Mapping[str, Callable[[], SenseInventory]] = {"wordnet": wordnet_inventory}


def load_inventory(
    source: InventorySource, lang: str | None = None, *, names: bool = False
) -> SenseInventory:
    """The inventory of a name (``homographs``, ``wordnet``), a file, or senses given in Python.

    Args:
        source: the name, the path of a JSONL file, a list of both, a list of dicts,
            ``{word: {sense: definition or examples}}`` or a DataFrame;
            see :mod:`spacy_attn.wsd.inventory.sources`.
        lang: the pipeline's language, checked against the inventory's.
        names: whether "wordnet" gives senses to proper nouns too.

    Raises:
        ConfigError: no such inventory, or one of another language.
        InventoryError: a line of a file is broken.
        ResourceError: the package's lexicon is damaged.
    """
    check_names(names, source)
    if str(source) in MADE:
        inventory = wordnet_inventory().with_names if names else _MAKERS[str(source)]()
        jsonl.check_language(inventory, lang)
        return inventory
    for name in MADE:
        if isinstance(source, list | tuple) and name in source:
            raise ConfigError(
                f"inventory = {source!r}: {name!r} stands alone; give it to a second "
                "sense_disambiguator with a spans_key of its own"
            )
    return jsonl.load_inventory(source, lang)


def check_names(names: bool, source: InventorySource) -> None:
    """Refuse the setting ``names`` where it would say nothing.

    Raises:
        ConfigError: the inventory is not "wordnet".
    """
    if names and str(source) != "wordnet":
        raise ConfigError(
            f"names = True with inventory = {str(source)!r}: allowed is false; only 'wordnet' "
            "leaves names out, in other inventories they have senses like nouns"
        )
