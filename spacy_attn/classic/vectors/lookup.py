"""Vectors of words, and what a word gets that the file lacks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spacy_attn._types import Floats2d
from spacy_attn.classic.vectors.table import Table
from spacy_attn.errors import ConfigError, ResourceError, allowed_names

UNKNOWN_RULES = ("zero", "lemma", "subword")


class WordVectors:
    """Static vectors behind the Protocol ``StaticVectors``.

    A word is looked up as it is written, then in lower case. What happens next is the rule:

    - "zero": its row is zero.
    - "lemma": its lemma is tried, as written and in lower case, then zero.
    - "subword": the mean of its n-grams as fastText learnt them; zero for a word that is
      too short to have any. (Bojanowski et al. 2017, arXiv:1607.04606.)
    """

    def __init__(self, name: str, table: Table, unknown: str = "zero") -> None:
        check_rule(unknown)
        if unknown == "subword" and table.ngrams is None:
            raise no_ngrams(name)
        self.name = name
        self.table = table
        self.unknown = unknown

    def __len__(self) -> int:
        """Number of words in the file."""
        return len(self.table.index)

    def __contains__(self, word: str) -> bool:
        """Whether the file has the word as written or in lower case."""
        return self.row(word) >= 0

    @property
    def width(self) -> int:
        """Length of the vectors."""
        return self.table.width

    @property
    def identity(self) -> str:
        """``name:hash``, the hash over name, size, first and last MiB of each file."""
        return f"{self.name}:{self.table.fingerprint}"

    def vectors(self, words: Sequence[str], lemmas: Sequence[str] | None = None) -> Floats2d:
        """One row for each word; an unknown word has a zero row unless the rule finds one.

        Args:
            words: the words as written.
            lemmas: as many lemmas, "" where there is none; only the rule "lemma" reads them.

        Raises:
            ResourceError: a vector is not finite.

        *Shape:* (len(words), width)
        """
        if lemmas is None or self.unknown != "lemma":
            lemmas = [""] * len(words)
        found = np.fromiter(map(self.row, words, lemmas), dtype=np.int64, count=len(words))
        known = found >= 0
        result = np.zeros((len(words), self.width), dtype=np.float32)
        result[known] = self.table.matrix[found[known]]
        if self.unknown == "subword" and self.table.ngrams is not None:
            for position in np.flatnonzero(~known):
                result[position] = self.table.ngrams.mean(words[int(position)])
        if not np.isfinite(result).all():  # a folder is mapped without reading all of it
            raise self.not_finite()
        return result

    def not_finite(self) -> ResourceError:
        """The error where a vector of the file is not finite."""
        return ResourceError(
            f"the vectors of {self.name} are not finite (NaN or infinity); save them again"
        )

    def row(self, word: str, lemma: str = "") -> int:
        """The row of a word as written or in lower case, else of its lemma; -1 for none."""
        index = self.table.index
        for form in (word, word.lower(), lemma, lemma.lower()):
            row = index.get(form)
            if row is not None and form:
                return row
        return -1


def check_rule(unknown: str) -> None:
    """Refuse an unknown rule.

    Raises:
        ConfigError: ``unknown`` is none of ``UNKNOWN_RULES``.
    """
    if unknown not in UNKNOWN_RULES:
        raise ConfigError(
            f"unknown = {unknown!r} is no rule for unknown words; "
            f"{allowed_names(unknown, UNKNOWN_RULES)}"
        )


def no_ngrams(name: str) -> ConfigError:
    """The error where "subword" meets vectors without n-grams."""
    return ConfigError(
        f"unknown = 'subword' needs a fastText model with n-grams (.bin or .kv), "
        f"and {name} has none; give unknown = 'zero' or 'lemma'"
    )
