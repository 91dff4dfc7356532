"""Lesk: the sense whose definition shares most words with the context.

``lesk`` is the simplified algorithm of Kilgarriff and Rosenzweig (2000) over definitions.
``lesk_extended`` follows Banerjee and Pedersen (2003), with these differences: what extends
a gloss are the sense's own example sentences and the name of its supersense (homograph
inventories have no hypernyms); a phrase counts through its pairs of neighbouring words, so
that two shared words in a row count 4 as with them, but three count 7 and not 9; and words
are weighted by how few senses of the inventory use them (Vasilescu et al. 2004).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np

from spacy_attn._types import Floats1d
from spacy_attn.senses.context import Context, Resources, Target
from spacy_attn.senses.inventory import Inventory, Sense

__all__ = ["Lesk", "LeskExtended", "stems"]


@lru_cache(maxsize=1)
def _stemmer() -> Callable[[str], str]:
    from nltk.stem.porter import PorterStemmer

    stem: Callable[[str], str] = lru_cache(maxsize=50_000)(PorterStemmer().stem)
    return stem


def stems(tokens: Sequence[str], stop_words: frozenset[str]) -> list[str]:
    """Porter stems of the words of a text; "" for stop words, numbers and punctuation."""
    stem = _stemmer()
    out = []
    for token in tokens:
        lower = token.lower()
        keep = lower.isalpha() and len(lower) > 1 and lower not in stop_words
        out.append(stem(lower) if keep else "")
    return out


class Lesk:
    """Number of context words in the definition.

    Args:
        inventory: the senses.
        resources: tokenizer and stop words.
        window: tokens each side of the target that count as context.
        temperature: see :func:`~spacy_attn.senses.decide.decide`.
    """

    name = "lesk"
    encoder = None

    def __init__(
        self, inventory: Inventory, resources: Resources, window: int = 50, temperature: float = 1.0
    ) -> None:
        self.window = window
        self.temperature = temperature
        self.stop_words = resources.stop_words
        self._signatures = {
            sense.id: self._signature(sense, resources) for sense in inventory.senses
        }

    def _signature(self, sense: Sense, resources: Resources) -> frozenset[str]:
        words = stems(resources.tokenize(sense.definition).tokens, self.stop_words)
        return frozenset(words) - {"", *stems(sense.lemma.split(), self.stop_words)}

    def score(self, contexts: Sequence[Context], targets: Sequence[Target]) -> list[Floats1d]:
        """*Shape:* for each target (n_candidates,)"""
        stemmed: dict[int, list[str]] = {}
        out = []
        for target in targets:
            if target.context not in stemmed:
                tokens = contexts[target.context].tokens
                stemmed[target.context] = stems(tokens, self.stop_words)
            words = stemmed[target.context]
            before = words[max(0, target.start - self.window) : target.start]
            after = words[target.end : target.end + self.window]
            scores = [self._overlap(before, after, sense) for sense in target.candidates]
            out.append(np.array(scores, dtype=np.float32))
        return out

    def _overlap(self, before: list[str], after: list[str], sense: Sense) -> float:
        return float(len({*before, *after} & self._signatures[sense.id]))


class LeskExtended(Lesk):
    """Weighted overlap with definition, examples and supersense; pairs of words count double."""

    name = "lesk_extended"

    def __init__(
        self, inventory: Inventory, resources: Resources, window: int = 50, temperature: float = 1.0
    ) -> None:
        self._bigrams: dict[str, frozenset[tuple[str, str]]] = {}
        super().__init__(inventory, resources, window, temperature)
        counts: dict[str, int] = {}
        for signature in self._signatures.values():
            for word in signature:
                counts[word] = counts.get(word, 0) + 1
        n = len(self._signatures)
        self._weights = {word: float(np.log(n / count)) + 1e-3 for word, count in counts.items()}

    def _signature(self, sense: Sense, resources: Resources) -> frozenset[str]:
        texts = [sense.definition, *(e.text for e in sense.examples)]
        texts.append(sense.supersense.partition(".")[2])
        words: set[str] = set()
        pairs: set[tuple[str, str]] = set()
        for text in texts:
            stemmed = stems(resources.tokenize(text).tokens, self.stop_words)
            words |= set(stemmed)
            pairs |= set(pairwise(stemmed))
        own = {"", *stems(sense.lemma.split(), self.stop_words)}
        self._bigrams[sense.id] = frozenset(
            pair for pair in pairs if pair[0] not in own and pair[1] not in own
        )
        return frozenset(words) - own

    def _overlap(self, before: list[str], after: list[str], sense: Sense) -> float:
        shared = {*before, *after} & self._signatures[sense.id]
        score = sum(self._weights[word] for word in shared)
        pairs = {*pairwise(before), *pairwise(after)}
        # Two words in a row count 2 squared: a pair adds 4 - 2 to the 2 of its single words.
        for first, second in pairs & self._bigrams[sense.id]:
            score += self._weights[first] + self._weights[second]
        return score
