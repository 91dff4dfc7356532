"""Occurrences of ambiguous words from all that can teach senses, in one form.

Sources: an inventory's examples, labels of a user's own, SemCor and MASC. Each occurrence is the
tokens around one word; those of one word stand together, because they are each other's examples.
Beside them what is held out, and how well it was answered.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spacy_attn._types import Floats1d, Floats2d
from spacy_attn.train.corpora import TaggedSentence
from spacy_attn.wsd.context import Resources, tokens_within
from spacy_attn.wsd.decide import fit_temperature
from spacy_attn.wsd.inventory.jsonl import Inventory
from spacy_attn.wsd.inventory.labelled import read_labels_of
from spacy_attn.wsd.inventory.protocol import SenseInventory
from spacy_attn.wsd.inventory.wordnet import WordNetInventory
from spacy_attn.wsd.inventory.wordnet_files import WordNet
from spacy_attn.wsd.sense import Sense

_MOST_TOKENS = 64  # around a target


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One ambiguous word in its sentence."""

    tokens: list[str]
    start: int
    end: int
    candidates: tuple[int, ...]  # numbers of a SenseList, at least two
    allowed: tuple[int, ...]  # those of them that are right
    source: str  # "examples", "own", "semcor" or a genre of MASC
    group: str  # what is held out together: document or genre


@dataclass
class SenseList:
    """The senses that occurrences are about, each with a number."""

    senses: list[Sense] = field(default_factory=list)
    owners: list[SenseInventory] = field(default_factory=list)  # of each sense
    _numbers: dict[tuple[int, str], int] = field(default_factory=dict)

    def numbers(self, inventory: SenseInventory, senses: Sequence[Sense]) -> tuple[int, ...]:
        """The numbers of senses, given now where need be."""
        out = []
        for sense in senses:
            key = id(inventory), sense.id
            if key not in self._numbers:
                self._numbers[key] = len(self.senses)
                self.senses.append(sense)
                self.owners.append(inventory)
            out.append(self._numbers[key])
        return tuple(out)


@dataclass(frozen=True, slots=True)
class SenseTexts:
    """The mean static vectors of the senses' definitions, and which senses follow frequencies.

    *Shape:* glosses (n_senses, static width), is_counted (n_senses,)
    """

    glosses: Floats2d
    is_counted: NDArray[np.bool_]


def of_examples(
    inventory: Inventory, resources: Resources, senses: SenseList
) -> Iterator[Occurrence]:
    """The examples of an inventory, those of words with one sense left out."""
    for sense in inventory.senses:
        candidates = inventory.candidates(sense.lemma, sense.pos)
        if len(candidates) < 2:
            continue
        numbers = senses.numbers(inventory, candidates)
        right = (numbers[candidates.index(sense)],)
        for i, example in enumerate(sense.examples):
            context = resources.tokenize(example.text)
            first, end = tokens_within(context, example.start, example.end)
            yield cut(context.tokens, first, end, numbers, right, "examples", f"{sense.id}/{i}")


def of_labels(
    path: Path, inventory: Inventory, resources: Resources, senses: SenseList
) -> Iterator[Occurrence]:
    """A user's labels.

    Raises:
        ConfigError: one names a sense that the inventory does not have.
        InventoryError: a line is broken.
    """
    for i, (item, candidates) in enumerate(read_labels_of(path, inventory)):
        if len(candidates) < 2:
            continue
        numbers = senses.numbers(inventory, candidates)
        right = (numbers[[sense.id for sense in candidates].index(item.sense)],)
        context = resources.tokenize(item.text)
        first, end = tokens_within(context, item.start, item.end)
        yield cut(context.tokens, first, end, numbers, right, "own", f"own/{i}")


def of_sentences(
    sentences: Iterable[TaggedSentence],
    wordnet: WordNet,
    lexicon: WordNetInventory,
    senses: SenseList,
) -> Iterator[Occurrence]:
    """Words of SemCor or MASC, with all their senses in WordNet as candidates."""
    for sentence in sentences:
        for start, end, keys in sentence.targets:
            first = wordnet.senses[keys[0]]
            candidates = lexicon.candidates(first.lemma, first.pos)
            known = [c for c in candidates if c.id in keys]
            if len(candidates) < 2 or not known:
                continue
            numbers = senses.numbers(lexicon, candidates)
            right = senses.numbers(lexicon, known)
            source = sentence.genre
            group = sentence.doc if source == "semcor" else source
            yield cut(sentence.tokens, start, end, numbers, right, source, group)


def cut(
    tokens: Sequence[str],
    start: int,
    end: int,
    candidates: tuple[int, ...],
    allowed: tuple[int, ...],
    source: str,
    group: str,
) -> Occurrence:
    """An occurrence with at most 64 tokens around its word."""
    spare = max(_MOST_TOKENS - (end - start), 0)
    low = max(0, min(start - spare // 2, len(tokens) - _MOST_TOKENS))
    high = max(end, min(len(tokens), low + _MOST_TOKENS))
    kept = list(tokens[low:high])
    return Occurrence(kept, start - low, end - low, candidates, allowed, source, group)


@dataclass(frozen=True, slots=True)
class Scored:
    """A held-out occurrence with the log-scores of its candidates. *Shape:* (n_candidates,)"""

    occurrence: Occurrence
    scores: Floats1d

    @property
    def is_right(self) -> bool:
        """Whether the best candidate is an allowed one."""
        best = self.occurrence.candidates[int(self.scores.argmax())]
        return best in self.occurrence.allowed


def accuracy_of(scored: Sequence[Scored]) -> float:
    """How many of the occurrences have an allowed sense as their best; 0 for none."""
    return sum(each.is_right for each in scored) / max(len(scored), 1)


def temperature_of(scored: Sequence[Scored]) -> float:
    """Fitted on occurrences with one right sense (Guo et al. 2017); 1 where there are none."""
    pairs = [
        (each.scores, each.occurrence.candidates.index(each.occurrence.allowed[0]))
        for each in scored
        if len(each.occurrence.allowed) == 1
    ]
    if not pairs:
        return 1.0
    return round(fit_temperature([s for s, _ in pairs], [g for _, g in pairs]), 4)


def hold_out(
    rows: Sequence[Occurrence], share: float, seed: int
) -> tuple[list[Occurrence], list[Occurrence]]:
    """Those to train on, and a share of the groups that is kept aside."""
    groups = sorted({row.group for row in rows})
    random.Random(seed).shuffle(groups)  # noqa: S311 - a split, no secret
    out = set(groups[: round(len(groups) * share)])
    return [r for r in rows if r.group not in out], [r for r in rows if r.group in out]
