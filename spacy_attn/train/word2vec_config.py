"""The settings of ``train-word2vec``, and what each may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from spacy_attn.errors import ConfigError, allowed_names
from spacy_attn.train.corpus import TOKENS

ALGORITHMS: Final = ("word2vec", "fasttext")
ARCHITECTURES: Final = ("skipgram", "cbow")
_MAX_DIMENSIONS: Final = 10_000


@dataclass(frozen=True)
class Word2VecConfig:
    """Everything that decides the result of a training run, beside the texts."""

    algorithm: str = "word2vec"
    architecture: str = "skipgram"
    dimensions: int = 100
    window: int = 5  # words each side, at most
    min_count: int = 5  # rarer words get no vector
    epochs: int = 5
    negative: int = 5  # noise words drawn for each word
    learning_rate: float = 0.025  # falls linearly to a 250th of it
    sample: float = 1e-3  # words above this share of the corpus are read less often; 0: never
    min_ngram: int = 3  # characters, fastText only
    max_ngram: int = 6
    buckets: int | None = None  # rows for n-grams; None: 10 for each word, at most 2,000,000
    tokens: str = "spacy"
    lang: str = "en"
    lower: bool = True
    seed: int = 0

    def check(self) -> None:
        """Refuse a setting outside its allowed range.

        Raises:
            ConfigError: names the value and the range.
        """
        choices = {"algorithm": ALGORITHMS, "architecture": ARCHITECTURES, "tokens": TOKENS}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                value = getattr(self, name)
                raise ConfigError(f"--{name} {value}: {allowed_names(value, allowed)}")
        if not 1 <= self.dimensions <= _MAX_DIMENSIONS:
            raise ConfigError(f"--dimensions {self.dimensions}: allowed: 1 to {_MAX_DIMENSIONS:,}")
        for name in ("window", "min_count", "epochs", "negative", "min_ngram"):
            if getattr(self, name) < 1:
                option = name.replace("_", "-")
                raise ConfigError(f"--{option} {getattr(self, name)}: allowed: 1 or more")
        if not 0 < self.learning_rate <= 1:
            raise ConfigError(f"--learning-rate {self.learning_rate}: allowed: above 0, at most 1")
        if not 0 <= self.sample < 1:
            raise ConfigError(f"--sample {self.sample}: allowed: 0 to below 1")
        if self.max_ngram < self.min_ngram:
            raise ConfigError(
                f"--max-ngram {self.max_ngram}: allowed: --min-ngram ({self.min_ngram}) or more"
            )
        if self.buckets is not None and self.buckets < 1:
            raise ConfigError(f"--buckets {self.buckets}: allowed: 1 or more")
        if not 0 <= self.seed < 2**32 - 1:
            raise ConfigError(f"--seed {self.seed}: allowed: 0 to {2**32 - 2}")
