"""What is to be known of an inventory before it is used: counts, and what will not work well."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import combinations

from spacy_attn.wsd.context import Context
from spacy_attn.wsd.inventory.examples import example_of
from spacy_attn.wsd.inventory.jsonl import Inventory
from spacy_attn.wsd.sense import Sense

ALIKE = 0.75  # share of common words from which two definitions say nearly the same
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class InventoryReport:
    """What :func:`check_inventory` found; senses by their ids."""

    name: str
    lang: str | None
    n_words: int
    n_senses: int
    n_examples: int
    n_of_pos: dict[str, int]  # senses
    without_definition: list[str]
    without_examples: list[str]
    one_sense: list[str]  # lemmas about which no method is asked
    says_nothing: list[str]  # definitions of nothing but the word itself and stop words
    alike: list[tuple[str, str, float]]  # senses of one word, and the share of common words
    not_found: list[tuple[str, str]]  # lemmas, and how the tokenizer cuts them
    other_words: list[tuple[str, str]]  # senses, and the word of an example that is no known form


def check_inventory(
    inventory: Inventory,
    tokenize: Callable[[str], Context],
    stop_words: Collection[str] = frozenset(),
) -> InventoryReport:
    """Count the senses of an inventory, and find what will not work well.

    Args:
        inventory: the senses.
        tokenize: of the pipeline that will use it.
        stop_words: words of the language that say nothing.
    """
    words = list(inventory.words)
    return InventoryReport(
        inventory.name,
        inventory.lang,
        n_words=len(words),
        n_senses=len(inventory.senses),
        n_examples=sum(len(sense.examples) for sense in inventory.senses),
        n_of_pos=dict(Counter(sense.pos for sense in inventory.senses)),
        without_definition=[s.id for s in inventory.senses if not s.definition],
        without_examples=[s.id for s in inventory.senses if not s.examples],
        one_sense=[lemma for lemma, pos in words if len(inventory.candidates(lemma, pos)) == 1],
        says_nothing=[s.id for s in inventory.senses if _says_nothing(s, stop_words)],
        alike=[pair for word in words for pair in _alike(inventory.candidates(*word))],
        not_found=list(_not_found(inventory, tokenize)),
        other_words=list(dict.fromkeys(_other_words(inventory))),
    )


def _words_of(sense: Sense) -> frozenset[str]:
    return frozenset(_WORD.findall(sense.definition.lower()))


def _says_nothing(sense: Sense, stop_words: Collection[str]) -> bool:
    own = set(_WORD.findall(sense.lemma)) | set(stop_words)
    return bool(sense.definition) and not _words_of(sense) - own


def _alike(senses: tuple[Sense, ...]) -> Iterator[tuple[str, str, float]]:
    words = {sense.id: _words_of(sense) for sense in senses if sense.definition}
    for one, two in combinations(words, 2):
        both = len(words[one] | words[two])
        share = len(words[one] & words[two]) / both if both else 1.0
        if share >= ALIKE:
            yield one, two, share


def _other_words(inventory: Inventory) -> Iterator[tuple[str, str]]:
    """Words in examples that are no form of the lemma: a slip, or a form to be listed."""
    for sense in inventory.senses:
        for each in sense.examples:
            word = each.text[each.start : each.end]
            if example_of(word, sense.lemma, sense.pos, sense.forms, inventory.lang) is None:
                yield sense.id, word


def _not_found(
    inventory: Inventory, tokenize: Callable[[str], Context]
) -> Iterator[tuple[str, str]]:
    """Words that the inventory does not find where they stand alone in a text."""
    for lemma in dict.fromkeys(lemma for lemma, _ in inventory.words):
        context = tokenize(lemma)
        found = inventory.find(context)
        if not any(target.lemma == lemma for target in found):
            yield lemma, " | ".join(context.tokens)
