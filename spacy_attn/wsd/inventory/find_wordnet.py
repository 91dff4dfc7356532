"""The words of a tagged text that WordNet holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from math import exp
from typing import NamedTuple, Protocol

from spacy_attn.errors import ConfigError
from spacy_attn.wsd.context import Context, Target
from spacy_attn.wsd.inventory.found import Found, Senses, target_of
from spacy_attn.wsd.inventory.multiwords import Compounds, Run, multiword_features, runs_from
from spacy_attn.wsd.inventory.readings import (
    NONE,
    PART_OF_CODE,
    Around,
    Facts,
    TaggedText,
    reading_features,
    reading_model,
)
from spacy_attn.wsd.sense import POS_TAGS

_CACHED = 40_000  # tokens with all that is known of them
_LEAST = 0.02  # of the probability of a token's readings, below which one is dropped
# Probability of "no word of the inventory" at which a token gets no sense.
_MOST_NONE = 0.85
_MOST_NONE_OF_NAMES = 0.5  # of proper nouns: Mr Baker is no baker
_MOST_NONE_OF_RUNS = 0.4  # of several tokens, which otherwise are words of their own
_SURE_NONE = 0.95  # the same of a verb and a particle at which they are not taken for one word
_SURE_WHOLE_NONE = 0.1  # the most of it where a hyphen joins the run, or the parse a particle


class Lexicon(Compounds, Senses, Protocol):
    """What is asked of WordNet; see :class:`~.wordnet.WordNetInventory`."""

    def count_of(self, lemma: str, pos: str) -> int:
        """How often WordNet's own corpora hold a word."""
        ...


class _Word(NamedTuple):
    """A reading and the sum of the weights of its features."""

    lemma: str
    pos: str
    score: float


class WordFinder:
    """Finds the content words of tagged texts and what each can be.

    A token's readings are all words of WordNet that its form can be; their probabilities come from
    a :class:`~.readings.ReadingModel`. Of words that WordNet writes together ("hot dog", "take
    off") the longest run is taken that is rather one word than not.

    Args:
        inventory: WordNet.
        names: whether proper nouns are looked up whatever the model says.
    """

    def __init__(self, inventory: Lexicon, *, names: bool = False) -> None:
        self._inventory, self._names = inventory, names
        self._words = lru_cache(_CACHED)(self._score_words)
        self._readings = lru_cache(_CACHED)(self._read)

    def find(self, context: Context, index: int = 0) -> list[Target]:
        """The words of a text, in order.

        Args:
            context: the text, with tags.
            index: goes into :attr:`.Target.context`.

        Raises:
            ConfigError: the text has no parts of speech.
        """
        if not any(context.tags) and context.text.strip():
            raise ConfigError(
                "the inventory 'wordnet' needs parts of speech, and this text has none; put "
                "sense_disambiguator behind a tagger and attribute_ruler, as in en_core_web_sm"
            )
        text = TaggedText(context)
        taken: set[int] = set()
        alone: dict[int, float] = {}  # tokens of runs that are rather no word, how probably
        targets = []
        for k, at in enumerate(text.solid):
            if at in taken:
                continue
            readings: list[Found] = []
            for run in runs_from(text, k, self._inventory):
                if taken.isdisjoint(run.tokens):
                    readings = self._whole(text, run, alone)
                    if readings:
                        taken.update(run.tokens)
                        break
            if not readings:
                readings = self._single(text, at, alone.get(at, 1.0))
            if readings:
                targets.append(target_of(self._inventory, index, at, readings))
        return targets

    def _whole(self, text: TaggedText, run: Run, alone: dict[int, float]) -> list[Found]:
        """The readings of a run that is rather one word, or may be a verb with a particle."""
        words = []
        for lemma in run.lemmas:
            seen = text.model.seen.get(lemma, (0, 0))
            for pos in POS_TAGS:
                if self._inventory.candidates(lemma, pos):
                    count = self._inventory.count_of(lemma, pos)
                    features = multiword_features(
                        text.context, text.facts, run, lemma, pos, count, seen
                    )
                    words.append(_Word(lemma, pos, text.model.multi.score(features)))
        chosen, none = _probable(words, 0.0)
        is_sure = run.is_hyphenated or text.facts[run.tokens[-1]].dep == "prt"
        if is_sure and none > _SURE_WHOLE_NONE:
            scale = (1.0 - _SURE_WHOLE_NONE) / (1.0 - none)
            chosen, none = [(word, p * scale) for word, p in chosen], _SURE_WHOLE_NONE
        at = run.tokens[0]
        end = at + 1 if run.is_apart else run.tokens[-1] + 1
        readings = [Found(word.lemma, word.pos, p, end) for word, p in chosen]
        if none < _SURE_NONE and run.has_particle(text.facts):
            # The method that reads the sentence decides between "turn in" and "turn".
            verbs = [r for r in self._single(text, at, 1.0) if r.pos == "VERB"]
            if verbs:
                share = none / sum(verb.probability for verb in verbs)
                readings += [v._replace(probability=v.probability * share) for v in verbs]
                return sorted(readings, key=lambda reading: -reading.probability)
        if none > _MOST_NONE_OF_RUNS:
            for i in run.tokens:
                alone[i] = min(alone.get(i, 1.0), none)
            return []
        return readings

    def _single(self, text: TaggedText, at: int, share: float) -> list[Found]:
        """The readings of a token, unless it rather is no word of WordNet."""
        readings = self._readings(text.facts[at], text.kind, text.neighbours(at))
        return [Found(lemma, pos, p * share, at + 1) for lemma, pos, p in readings]

    def _read(self, facts: Facts, kind: str, around: Around) -> tuple[tuple[str, str, float], ...]:
        """Lemma, part of speech and probability of each reading between such neighbours."""
        scored = self._words(facts, kind)
        if scored is None:
            return ()
        model = reading_model(kind)
        words = [_Word(lemma, pos, s + model.around(pos, around)) for lemma, pos, s in scored]
        chosen, none = _probable(words[1:], words[0].score)
        is_name = facts.pos == "PROPN"
        most = _MOST_NONE_OF_NAMES if is_name else _MOST_NONE
        if none > most and not (is_name and self._names):
            return ()
        return tuple((word.lemma, word.pos, p) for word, p in chosen)

    def _score_words(self, facts: Facts, kind: str) -> tuple[_Word, ...] | None:
        """What a token can be, that it is no word first; None where WordNet does not know it."""
        words = self._inventory.words_of(facts.form, facts.lemma)
        if not words or facts.shape == PART_OF_CODE:
            return None
        model = reading_model(kind).single
        n_lemmas = Counter(pos for _, pos in words)
        none = _Word("", NONE, model.score(reading_features(facts, "", NONE, 0, True)))
        scored = [none]
        for lemma, pos in words:
            count = self._inventory.count_of(lemma, pos)
            features = reading_features(facts, lemma, pos, count, n_lemmas[pos] == 1)
            scored.append(_Word(lemma, pos, model.score(features)))
        return tuple(scored)


def _probable(words: Sequence[_Word], none: float) -> tuple[list[tuple[_Word, float]], float]:
    """The readings worth asking for with their probabilities, the likeliest first; that of none."""
    top = max(none, *(word.score for word in words))
    powers = [exp(word.score - top) for word in words]
    nothing = exp(none - top)
    total, whole = sum(powers), sum(powers) + nothing
    kept = [(word, p) for word, p in zip(words, powers, strict=True) if p > _LEAST * total]
    scale = total / sum(p for _, p in kept) / whole
    ordered = sorted(((word, p * scale) for word, p in kept), key=lambda pair: -pair[1])
    return ordered, nothing / whole
