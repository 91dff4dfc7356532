"""Static vectors: the sense whose words lie nearest to the words of the context."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spacy_attn._types import Floats1d, Floats2d, StaticVectors
from spacy_attn.senses.context import Context, Resources, Target
from spacy_attn.senses.inventory import Inventory

__all__ = ["StaticCentroid"]


class StaticCentroid:
    """Cosine between the mean vector of the context and that of each sense's words.

    A sense's words are those of its definition and examples, less the target itself; words
    are weighted by smooth inverse frequency over the inventory's own texts (Arora et al.
    2017, "A simple but tough-to-beat baseline for sentence embeddings", without the
    removal of the first component).

    Args:
        inventory: the senses.
        resources: tokenizer and stop words.
        vectors: a word has the same vector in every text.
        window: tokens each side of the target that count as context.
        temperature: see :func:`~spacy_attn.senses.decide.decide`.
    """

    name = "word2vec"
    encoder = None

    def __init__(
        self,
        inventory: Inventory,
        resources: Resources,
        vectors: StaticVectors,
        window: int = 50,
        temperature: float = 1.0,
    ) -> None:
        self.vectors = vectors
        self.window = window
        self.temperature = temperature
        self.stop_words = resources.stop_words
        counts: dict[str, int] = {}
        bags: dict[str, list[str]] = {}
        for sense in inventory.senses:
            forms = {form for form in (sense.lemma, *sense.forms)}
            bag = self._words(resources.tokenize(sense.definition).tokens)
            for example in sense.examples:
                context = resources.tokenize(example.text)
                outside = [
                    token
                    for token, (start, end) in zip(context.tokens, context.offsets, strict=True)
                    if end <= example.start or start >= example.end
                ]
                bag += self._words(outside)
            bags[sense.id] = [word for word in bag if word not in forms]
            for word in bags[sense.id]:
                counts[word] = counts.get(word, 0) + 1
        total = max(sum(counts.values()), 1)
        self._weights = {word: 1e-3 / (1e-3 + n / total) for word, n in counts.items()}
        self._senses = {
            sense_id: self._mean(bag, self._rows(bag)) for sense_id, bag in bags.items()
        }

    def _words(self, tokens: Sequence[str]) -> list[str]:
        lower = (token.lower() for token in tokens)
        return [w for w in lower if w.isalpha() and w not in self.stop_words]

    def _rows(self, words: Sequence[str]) -> Floats2d:
        return self.vectors.vectors(words)

    def _mean(self, words: Sequence[str], rows: Floats2d) -> NDArray[np.float32]:
        """Weighted mean direction; zero where no word is known. *Shape:* (width,)"""
        if not len(words):
            return np.zeros(self.vectors.width, dtype=np.float32)
        weights = np.array([self._weights.get(word, 1.0) for word in words], dtype=np.float32)
        mean: NDArray[np.float32] = weights @ rows
        norm = float(np.linalg.norm(mean))
        return mean / norm if norm > 0 else mean

    def score(self, contexts: Sequence[Context], targets: Sequence[Target]) -> list[Floats1d]:
        """*Shape:* for each target (n_candidates,)"""
        out = []
        for target in targets:
            tokens = contexts[target.context].tokens
            before = tokens[max(0, target.start - self.window) : target.start]
            around = [*before, *tokens[target.end : target.end + self.window]]
            words = self._words(around)
            mean = self._mean(words, self._rows(words))
            senses = np.stack([self._senses[sense.id] for sense in target.candidates])
            out.append((senses @ mean).astype(np.float32))
        return out
