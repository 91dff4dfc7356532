"""Lesk: the sense whose definition shares most words with the context.

The simplified algorithm of Kilgarriff and Rosenzweig (2000) over definitions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from spacy_attn._types import Floats1d
from spacy_attn.wsd.context import Resources, Target
from spacy_attn.wsd.inventory.protocol import SenseInventory
from spacy_attn.wsd.method import BuiltInMethod, SenseMethod
from spacy_attn.wsd.methods.calibration import temperature_of
from spacy_attn.wsd.methods.glosses import PreparedSenses
from spacy_attn.wsd.methods.registry import check_arguments
from spacy_attn.wsd.sense import Sense
from spacy_attn.wsd.vectors import Texts


def lesk_v1(window: int = 50, temperature: float | None = None) -> SenseMethod:
    """Overlap of the context with the definition."""
    check_arguments(temperature, window)
    fitted = temperature_of("lesk", temperature)
    return BuiltInMethod("lesk", partial(Lesk, window=window, temperature=fitted), learns=False)


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


@dataclass(frozen=True, slots=True)
class Signature:
    """The stems that stand for a sense, and the pairs of them that are neighbours."""

    words: frozenset[str]
    pairs: frozenset[tuple[str, str]] = frozenset()


class Lesk:
    """Number of context words in the definition.

    A sense is prepared when a text first holds its word.

    Args:
        inventory: the senses.
        resources: tokenizer and stop words.
        window: tokens each side of the target that count as context.
        temperature: see :func:`~spacy_attn.wsd.decide.log_posterior`.

    Raises:
        ResourceError: the definitions of the inventory are not on this machine.
    """

    name = "lesk"

    def __init__(
        self,
        inventory: SenseInventory,
        resources: Resources,
        window: int = 50,
        temperature: float = 1.0,
    ) -> None:
        inventory.require_definitions(f"the method {self.name}")
        _stemmer()  # a missing NLTK is found now
        self.resources = resources
        self.window = window
        self.temperature = temperature
        self._signatures = PreparedSenses(self._signature)

    def _signature(self, sense: Sense) -> Signature:
        return Signature(frozenset(self._stems(sense.definition)) - self._own(sense))

    def _stems(self, text: str) -> list[str]:
        return stems(self.resources.tokenize(text).tokens, self.resources.stop_words)

    def _own(self, sense: Sense) -> set[str]:
        """What is no evidence for a sense: its own lemma, and the place of a stop word."""
        return {"", *stems(sense.lemma.split(), self.resources.stop_words)}

    def score(self, texts: Texts, targets: Sequence[Target]) -> list[Floats1d]:
        """*Shape:* for each target (n_candidates,)"""
        stemmed: dict[int, list[str]] = {}
        out = []
        for target in targets:
            if target.context not in stemmed:
                tokens = texts[target.context].tokens
                stemmed[target.context] = stems(tokens, self.resources.stop_words)
            words = stemmed[target.context]
            before = words[max(0, target.start - self.window) : target.start]
            after = words[target.end : target.end + self.window]
            signatures = [self._signatures[sense] for sense in target.candidates]
            out.append(np.array(self._overlaps(before, after, signatures), dtype=np.float32))
        return out

    def _overlaps(
        self, before: list[str], after: list[str], signatures: list[Signature]
    ) -> list[float]:
        words = {*before, *after}
        return [len(words & signature.words) for signature in signatures]
