"""What a sense method sees: texts as contexts, words to decide as targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Protocol

from spacy_attn._types import CharSpan, Encoder, StaticVectors, TextEncoder
from spacy_attn.models import sense_model_file
from spacy_attn.sentences import sentence_starts
from spacy_attn.settings import EncoderSettings
from spacy_attn.wsd.sense import Sense


@dataclass(frozen=True)
class Context:
    """One tokenised text. Lemmas and tags are empty where no component gave them."""

    text: str
    tokens: Sequence[str]
    offsets: Sequence[CharSpan]
    lemmas: Sequence[str]  # lower case or ""
    tags: Sequence[str]  # coarse part of speech (UPOS) or ""
    # What more a pipeline can say; empty where no component of it does.
    fine_tags: Sequence[str] = ()
    deps: Sequence[str] = ()  # dependency labels
    heads: Sequence[int] = ()  # token that each depends on
    entities: Sequence[str] = ()  # type of the named entity that holds the token, or ""

    @cached_property
    def sentence_starts(self) -> list[int]:
        """First token of each sentence."""
        return sentence_starts(self.tokens)


class Reading(NamedTuple):
    """A word of the inventory that some tokens can be, before a method reads the text."""

    lemma: str
    pos: str
    n_senses: int
    probability: float
    end: int  # of its tokens: "took" alone is a reading of "took off"


@dataclass(frozen=True, slots=True)
class Target:
    """Tokens ``start`` to ``end`` of a context and the senses they can have.

    What the tokens can be ("glasses": *glasses* or *glass*) are readings, the likeliest first.
    Their probabilities sum to at most 1; what lacks is that no word of the inventory is meant.
    No readings: the word is given, or was found without weighing its part of speech.
    """

    context: int  # index among the contexts given with it
    start: int
    end: int
    lemma: str  # of the first reading
    candidates: tuple[Sense, ...]  # those of each reading in frequency order, at least one
    readings: tuple[Reading, ...] = ()

    def end_of(self, sense: Sense) -> int:
        """End token of the reading that has a sense."""
        ends = (r.end for r in self.readings if (r.lemma, r.pos) == (sense.lemma, sense.pos))
        return next(ends, self.end)


class Models(Protocol):
    """Opens the models that methods read; nothing is loaded before it is used."""

    def encoder(self, settings: EncoderSettings) -> Encoder:
        """An encoder of contextual vectors."""
        ...

    def text_encoder(self, settings: EncoderSettings) -> TextEncoder:
        """The same model for whole texts, such as definitions."""
        ...

    def static_vectors(self, source: str | None) -> StaticVectors:
        """Static vectors of a file or folder; None: the GloVe wheel."""
        ...

    def network(self, path: Path, vectors: StaticVectors) -> Encoder:
        """The small network of a self_attention model, over static vectors."""
        ...


@dataclass(frozen=True, slots=True)
class Resources:
    """What a method may use when it is prepared."""

    tokenize: Callable[[str], Context]  # the pipeline's tokenizer, without lemmas and tags
    models: Models
    stop_words: frozenset[str] = frozenset()
    #: Paths that stand for models named in a config: those that came with a saved pipeline.
    stored: Mapping[str, str] = field(default_factory=dict)
    #: Whether what is computed of an inventory may be kept in the user's cache.
    may_keep: bool = True

    def sense_model(self, path: Path) -> Path:
        """The file of a sense model: that of a saved pipeline, or that of a name or path.

        Raises:
            ResourceError: the package of a sense model is not installed, or damaged.
        """
        stored = self.stored.get(str(path))
        return sense_model_file(path) if stored is None else Path(stored)


def tokens_within(context: Context, start: int, end: int) -> tuple[int, int]:
    """First and end token of those that share a character with ``text[start:end]``."""
    inside = [i for i, (a, b) in enumerate(context.offsets) if a < end and start < b]
    return inside[0], inside[-1] + 1
