"""Sense-annotated sentences as rows of wordpieces, and rows as batches."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

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


@dataclass(frozen=True, slots=True)
class Row:
    """A piece of running text ready for the encoder."""

    ids: list[int]  # wordpieces without special tokens
    owner: list[int]  # token index of each piece
    n_tokens: int
    targets: list[RowTarget]


def rows_of(
    sentences: Sequence[TaggedSentence],
    tokenizer: Any,
    target: Callable[[int, int, list[str]], RowTarget | None],
) -> list[Row]:
    """Wordpieces and candidates of each sentence.

    Args:
        sentences: what was annotated.
        tokenizer: a fast one.
        target: makes a target of start, end and allowed senses; None leaves it out.
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
            targets = [t for t in (target(*x) for x in sentence.targets) if t is not None]
            owner = encoded.word_ids(i)
            out.append(Row(encoded["input_ids"][i], owner, len(sentence.tokens), targets))
    return out


def join(rows: Sequence[Row], max_pieces: int) -> Row:
    """One row of several; what does not fit is cut, with its targets."""
    if len(rows) == 1 and len(rows[0].ids) <= max_pieces:
        return rows[0]
    ids: list[int] = []
    owner: list[int] = []
    targets: list[RowTarget] = []
    n_tokens = 0
    for row in rows:
        if ids and len(ids) + len(row.ids) > max_pieces:
            break
        ids += row.ids
        owner += [o + n_tokens for o in row.owner]
        targets += [replace(t, start=t.start + n_tokens, end=t.end + n_tokens) for t in row.targets]
        n_tokens += row.n_tokens
    if len(ids) > max_pieces:
        ids, owner = ids[:max_pieces], owner[:max_pieces]
        n_tokens = owner[-1]  # the last token may be cut
        targets = [t for t in targets if t.end <= n_tokens]
        while owner and owner[-1] >= n_tokens:
            ids.pop()
            owner.pop()
    return Row(ids, owner, n_tokens, targets)


def joined_rows(
    documents: Iterable[Sequence[Row]], share: float, max_pieces: int, rng: random.Random
) -> list[Row]:
    """The rows of all documents, neighbours joined at random.

    Args:
        documents: rows of each.
        share: of the rows that join two or three.
        max_pieces: see :func:`join`.
        rng: draws.
    """
    out = []
    for rows in documents:
        i = 0
        while i < len(rows):
            n = 1 if rng.random() >= share else rng.choice((2, 3))
            out.append(join(rows[i : i + n], max_pieces))
            i += n
    return out


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
