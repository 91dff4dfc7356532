"""What all importers share: names of parts of speech, sense ids, what is left out and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, TypeAlias

from spacy_attn.wsd.inventory.lines import normal_form

#: One line of an inventory: ``{"lemma": ..., "pos": ..., "sense": ..., "definition": ...}``.
Record: TypeAlias = dict[str, Any]
#: How many senses an importer left out, by the reason.
LeftOut: TypeAlias = Counter[str]

_LETTERS = {"NOUN": "n", "VERB": "v", "ADJ": "a", "ADV": "r"}
#: As dictionaries, wordnets (``n v a s r``), spaCy and the Penn Treebank write them.
_NAMES = {
    "NOUN": "noun n n. name propn proper_noun proper-noun nn nnp substantiv nomen subst nom "
    "sustantivo sostantivo substantivo zelfstandig_naamwoord n.m. n.f. nm nf s.m. s.f. sm sf",
    "VERB": "verb v v. vb verbum verbe verbo werkwoord aux v.t. v.i. vt vi transitive_verb "
    "intransitive_verb phrasal_verb",
    "ADJ": "adjective adj adj. a a. s jj adjektiv adjectif adjetivo aggettivo "
    "bijvoeglijk_naamwoord",
    "ADV": "adverb adv adv. r rb adverbe adverbio avverbio bijwoord",
}
_POS = {name: pos for pos, names in _NAMES.items() for name in names.split(" ")}


def pos_of(name: str) -> str | None:
    """NOUN, VERB, ADJ or ADV for the name of a part of speech; None for any other one."""
    return _POS.get(name.strip().lower().replace(" ", "_"))


class SenseNumbers:
    """Ids for senses that have none: ``bat.n.1``, ``bat.n.2``, ``bat.v.1``, ``hot_spot.n.1``.

    Args:
        taken: ids that other senses have.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._numbers: Counter[tuple[str, str]] = Counter()
        self._taken = set(taken)

    def next(self, lemma: str, pos: str) -> str:
        """The id of the next sense of a word."""
        word = normal_form(lemma).replace(" ", "_"), pos
        self._numbers[word] += 1
        made = f"{word[0]}.{_LETTERS[pos]}.{self._numbers[word]}"
        return self.next(lemma, pos) if made in self._taken else made
