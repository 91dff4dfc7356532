"""Sense-annotated sentences as rows of wordpieces, and rows as batches."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from spacy_attn.sentences import PASSAGE, sentence_of, sentence_starts
from spacy_attn.train.corpora import TaggedSentence

_AT_ONCE = 1000  # sentences that go to the tokenizer together


@dataclass(frozen=True, slots=True)
class RowTarget:
    """An annotated word: its tokens, the rows of its candidates, and which of them are right."""

    start: int
    end: int
    candidates: tuple[int, ...]
    allowed: tuple[bool, ...]
    weight: float = 1.0  # in the loss
    shift: tuple[float, ...] = ()  # of the candidates' scores while training; empty: none
    number: int = -1  # among all that are trained on
    first: int = 0  # token of its sentence
    last: int = 2**31  # end token of it, or anything behind it


@dataclass(frozen=True, slots=True)
class Row:
    """A piece of running text ready for the encoder."""

    ids: list[int]  # wordpieces without special tokens
    owner: list[int]  # token index of each piece
    n_tokens: int
    targets: list[RowTarget]


TargetOf = Callable[[Sequence[str], int, int, list[str]], RowTarget | None]


def passages(sentences: Iterable[TaggedSentence], longest: int = PASSAGE) -> list[TaggedSentence]:
    """Sentences of a document that follow one another, joined as the encoder reads them.

    Args:
        sentences: each with its document.
        longest: tokens up to which sentences are one passage.
    """
    out: list[TaggedSentence] = []
    for sentence in sentences:
        before = out[-1] if out else sentence
        n_tokens = len(before.tokens)
        if (
            not out
            or (before.genre, before.doc) != (sentence.genre, sentence.doc)
            or n_tokens + len(sentence.tokens) > longest
        ):
            out.append(sentence)
            continue
        moved = [(start + n_tokens, end + n_tokens, keys) for start, end, keys in sentence.targets]
        tokens, targets = before.tokens + sentence.tokens, before.targets + moved
        out[-1] = replace(before, tokens=tokens, targets=targets)
    return out


def rows_of(
    sentences: Sequence[TaggedSentence],
    tokenizer: Any,
    target: TargetOf,
    max_pieces: int = 192,
) -> list[Row]:
    """Wordpieces and candidates of each sentence.

    Args:
        sentences: what was annotated.
        tokenizer: a fast one.
        target: makes a target of the tokens, start, end and allowed senses; None leaves it out.
        max_pieces: where a long one is cut; targets behind are left out.
    """
    out = []
    for first in range(0, len(sentences), _AT_ONCE):
        chunk = sentences[first : first + _AT_ONCE]
        encoded = tokenizer(
            [list(s.tokens) for s in chunk],
            is_split_into_words=True,
            add_special_tokens=False,
            return_attention_mask=False,
            verbose=False,
        )
        for i, sentence in enumerate(chunk):
            starts, n_tokens = sentence_starts(sentence.tokens), len(sentence.tokens)
            targets = []
            for found in sentence.targets:
                made = target(sentence.tokens, *found)
                if made is not None:
                    low, high = sentence_of(starts, made.start, n_tokens)
                    targets.append(replace(made, first=low, last=high))
            row = Row(encoded["input_ids"][i], encoded.word_ids(i), n_tokens, targets)
            out.append(_cut(row, max_pieces))
    return out


def _cut(row: Row, max_pieces: int) -> Row:
    if len(row.ids) <= max_pieces:
        return row
    n_tokens = row.owner[max_pieces]  # the token that holds the first piece to go is left out
    n_pieces = row.owner.index(n_tokens)
    targets = [replace(t, last=min(t.last, n_tokens)) for t in row.targets if t.end <= n_tokens]
    return Row(row.ids[:n_pieces], row.owner[:n_pieces], n_tokens, targets)


def batches(
    rows: Iterable[Row], batch_pieces: int, rng: random.Random | None = None
) -> list[list[Row]]:
    """Rows of similar length together, at most ``batch_pieces`` with padding.

    Args:
        rows: those without targets are left out.
        batch_pieces: wordpieces of a batch, special tokens and padding included.
        rng: shuffles; None keeps the order of lengths.
    """
    noise = rng.random if rng else _half
    kept = [row for row in rows if row.targets]
    order = sorted(kept, key=lambda r: len(r.ids) * (0.9 + 0.2 * noise()))
    out: list[list[Row]] = []
    batch: list[Row] = []
    longest = 0
    for row in order:
        longest = max(longest, len(row.ids) + 2)
        if batch and longest * (len(batch) + 1) > batch_pieces:
            out.append(batch)
            batch, longest = [], len(row.ids) + 2
        batch.append(row)
    if batch:
        out.append(batch)
    if rng:
        rng.shuffle(out)
    return out


def _half() -> float:
    return 0.5
