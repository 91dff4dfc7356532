"""Extended Lesk: overlaps weighted by rarity, with the examples of a sense beside its definition.

Follows Banerjee and Pedersen (2003), with these differences: what extends
a gloss are the sense's own example sentences and the name of its supersense; a phrase counts
through its pairs of neighbouring words, so that two shared words in a row count 4 as with
them, but three count 7 and not 9; and words are weighted by how few senses of the inventory
use them (Vasilescu et al. 2004). Homograph inventories have no hypernyms, and WordNet's did
harm: of the ambiguous words in SemCor's first 2,000 sentences 61.2 % were right with the
definitions of hypernyms, 62.9 % without.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from functools import lru_cache, partial
from itertools import pairwise

import numpy as np

from spacy_attn.wsd.context import Resources
from spacy_attn.wsd.inventory.protocol import SenseInventory
from spacy_attn.wsd.method import BuiltInMethod, SenseMethod
from spacy_attn.wsd.methods.calibration import temperature_of
from spacy_attn.wsd.methods.glosses import gloss_words
from spacy_attn.wsd.methods.lesk import Lesk, Signature, stems
from spacy_attn.wsd.methods.registry import check_arguments
from spacy_attn.wsd.sense import Sense


def lesk_extended_v1(window: int = 50, temperature: float | None = None) -> SenseMethod:
    """Weighted overlap of the context with definition, examples and supersense."""
    check_arguments(temperature, window)
    fitted = temperature_of("lesk_extended", temperature)
    return BuiltInMethod("lesk_extended", partial(LeskExtended, window=window, temperature=fitted))


class LeskExtended(Lesk):
    """Weighted overlap with definition, examples and supersense; pairs of words count double.

    For a word's weight its use is counted: over the senses of an :class:`.Inventory`, or over
    the glosses of the user's WordNet, which takes about two seconds, once per process.
    """

    name = "lesk_extended"

    def __init__(
        self,
        inventory: SenseInventory,
        resources: Resources,
        window: int = 50,
        temperature: float = 1.0,
    ) -> None:
        super().__init__(inventory, resources, window, temperature)
        if inventory.senses is not None:
            signatures = (self._signatures[sense].words for sense in inventory.senses)
            self._weights = _weights(signatures)
        else:
            self._weights = _gloss_weights(inventory, resources.stop_words)
        self._rarest = max(self._weights.values(), default=0.0)

    def _signature(self, sense: Sense) -> Signature:
        texts = [sense.definition, *(e.text for e in sense.examples)]
        texts.append(sense.supersense.partition(".")[2])
        words: set[str] = set()
        pairs: set[tuple[str, str]] = set()
        for text in texts:
            stemmed = self._stems(text)
            words |= set(stemmed)
            pairs |= set(pairwise(stemmed))
        own = self._own(sense)
        return Signature(
            frozenset(words) - own,
            frozenset(pair for pair in pairs if pair[0] not in own and pair[1] not in own),
        )

    def _overlaps(
        self, before: list[str], after: list[str], signatures: list[Signature]
    ) -> list[float]:
        words = {*before, *after}
        pairs = {*pairwise(before), *pairwise(after)}
        return [self._overlap(words, pairs, signature) for signature in signatures]

    def _overlap(self, words: set[str], pairs: set[tuple[str, str]], signature: Signature) -> float:
        score = sum(self._weight(word) for word in words & signature.words)
        # Two words in a row count 2 squared: a pair adds 4 - 2 to the 2 of its single words.
        for first, second in pairs & signature.pairs:
            score += self._weight(first) + self._weight(second)
        return score

    def _weight(self, word: str) -> float:
        """A word that only the pipeline's tokenizer makes of a gloss weighs as a rare one."""
        return self._weights.get(word, self._rarest)


def _weights(documents: Iterable[Collection[str]]) -> dict[str, float]:
    """Inverse document frequency of each stem, log(n / count), and a little for all."""
    counts: Counter[str] = Counter()
    n = 0
    for document in documents:
        counts.update(document)
        n += 1
    return {word: float(np.log(n / count)) + 1e-3 for word, count in counts.items()}


@lru_cache(maxsize=2)
def _gloss_weights(inventory: SenseInventory, stop_words: frozenset[str]) -> dict[str, float]:
    """The same over the glosses of an inventory and the names of their supersenses."""
    return _weights(
        set(stems([*words, supersense.partition(".")[2]], stop_words))
        for supersense, words in gloss_words(inventory)
    )
