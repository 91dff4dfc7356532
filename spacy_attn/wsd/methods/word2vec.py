"""Static vectors: the sense whose words lie nearest to the words of the context."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from spacy_attn._types import Floats1d, Floats2d, StaticVectors
from spacy_attn.wsd.context import Resources, Target
from spacy_attn.wsd.inventory.protocol import SenseInventory
from spacy_attn.wsd.method import BuiltInMethod, FittedMethod, Needs, SenseMethod
from spacy_attn.wsd.methods.calibration import temperature_of
from spacy_attn.wsd.methods.glosses import (
    PreparedSenses,
    content_words,
    gloss_words,
    words_around,
    words_outside,
)
from spacy_attn.wsd.methods.registry import check_arguments
from spacy_attn.wsd.sense import Sense
from spacy_attn.wsd.vectors import Texts


def word2vec_v1(
    vectors: str | None = None, window: int = 50, temperature: float | None = None
) -> SenseMethod:
    """Static vectors of the context against those of each sense.

    Args:
        vectors: a gensim file; None takes the GloVe wheel.
        window: tokens each side of the target.
        temperature: None takes the fitted one.
    """
    check_arguments(temperature, window)
    make = partial(_make, vectors=vectors, window=window, temperature=temperature)
    return BuiltInMethod("word2vec", make, Needs(vectors=(vectors,)))


def _make(
    inventory: SenseInventory,
    resources: Resources,
    *,
    vectors: str | None,
    window: int,
    temperature: float | None,
) -> FittedMethod:
    static = resources.models.static_vectors(vectors)
    fitted = temperature_of("word2vec", temperature)
    return StaticCentroid(inventory, resources, static, window, fitted)


class StaticCentroid:
    """Cosine between the mean vector of the context and that of each sense's words.

    A sense's words are those of its definition, its examples and, in WordNet, the definitions
    of its hypernyms, less the target itself; words are weighted by smooth inverse frequency
    over the inventory's own texts (Arora et al. 2017, "A simple but tough-to-beat baseline for
    sentence embeddings", without the removal of the first component). A sense is prepared when
    a text first holds its word.

    Args:
        inventory: the senses.
        resources: tokenizer and stop words.
        vectors: a word has the same vector in every text.
        window: tokens each side of the target that count as context.
        temperature: see :func:`~spacy_attn.wsd.decide.log_posterior`.

    Raises:
        ResourceError: the definitions of the inventory are not on this machine.
    """

    name = "word2vec"
    has_context = False

    def __init__(
        self,
        inventory: SenseInventory,
        resources: Resources,
        vectors: StaticVectors,
        window: int = 50,
        temperature: float = 1.0,
    ) -> None:
        inventory.require_definitions(f"the method {self.name}")
        self.inventory = inventory
        self.resources = resources
        self.vectors = vectors
        self.window = window
        self.temperature = temperature
        if inventory.senses is not None:
            self._weights = _weights(chain.from_iterable(map(self._bag, inventory.senses)))
        else:
            self._weights = gloss_weights(inventory, resources.stop_words)
        self._senses = PreparedSenses(self._direction)

    def _bag(self, sense: Sense) -> list[str]:
        """The words that stand for a sense."""
        texts = [sense.definition, *self.inventory.hypernym_definitions(sense)]
        bag = [word for text in texts for word in self._words(text)]
        for example in sense.examples:
            bag += words_outside(example, self.resources)
        forms = {sense.lemma, *sense.forms}
        return [word for word in bag if word not in forms]

    def _words(self, text: str) -> list[str]:
        return content_words(self.resources.tokenize(text).tokens, self.resources.stop_words)

    def _direction(self, sense: Sense) -> NDArray[np.float32]:
        bag = self._bag(sense)
        return self._mean(bag, self._rows(bag))

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

    def target_vectors(self, texts: Texts, targets: Sequence[Target]) -> Floats2d:
        """The mean vector of each target's words. *Shape:* (n_targets, width)"""
        words = ([w.lower() for w in texts[t.context].tokens[t.start : t.end]] for t in targets)
        return np.stack([self._rows(each).mean(axis=0) for each in words])

    def score(self, texts: Texts, targets: Sequence[Target]) -> list[Floats1d]:
        """*Shape:* for each target (n_candidates,)"""
        out = []
        for target in targets:
            tokens = texts[target.context].tokens
            words = words_around(tokens, target, self.window, self.resources.stop_words)
            mean = self._mean(words, self._rows(words))
            senses = np.stack([self._senses[sense] for sense in target.candidates])
            out.append((senses @ mean).astype(np.float32))
        return out


def _weights(words: Iterable[str]) -> dict[str, float]:
    """Smooth inverse frequency of each word."""
    counts = Counter(words)
    total = max(counts.total(), 1)
    return {word: 1e-3 / (1e-3 + n / total) for word, n in counts.items()}


def gloss_weights(inventory: SenseInventory, stop_words: frozenset[str]) -> dict[str, float]:
    """Smooth inverse frequency of each word of the glosses (and examples) of an inventory."""
    if inventory.senses is not None:
        return _count_glosses(inventory, stop_words)
    return _shared_count(inventory, stop_words)


def _count_glosses(inventory: SenseInventory, stop_words: frozenset[str]) -> dict[str, float]:
    return _weights(
        word for _, words in gloss_words(inventory) for word in words if word not in stop_words
    )


_shared_count = lru_cache(maxsize=2)(_count_glosses)  # WordNet's takes a second
