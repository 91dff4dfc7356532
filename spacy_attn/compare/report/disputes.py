"""Who is right where others are wrong, and the sentences on which they differ."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any, Final

import numpy as np

from spacy_attn._types import PlainData
from spacy_attn.compare.metrics import Bools1d
from spacy_attn.compare.report.findings import attention_and_classics
from spacy_attn.compare.report.tables import Result

MOST_SHOWN: Final = 200  # instances of a pair of systems


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a text."""

    text: str
    is_word: bool = False  # of the word that is decided
    is_cue: bool = False  # of a word that decides


@dataclass(frozen=True, slots=True)
class Disputed:
    """An instance that one system gets right and another wrong."""

    rank: int  # in the random order by which a long list is cut
    right: str  # "1" for each system that is right, "0" for each that is not
    said: tuple[str, ...]  # sense and probability of each system
    parts: tuple[Part, ...]
    labels: tuple[str, ...]  # word, part of speech, stratum
    gold: str
    is_shown: bool  # without the script


@dataclass(frozen=True, slots=True)
class Disputes:
    """Who is right where others are wrong.

    *Shape:* counts (n_systems, n_systems), of the row right and of the column wrong
    """

    names: list[str]
    counts: list[list[int]]
    chosen: tuple[int, int]  # the pair that is shown first: right, wrong
    listed: list[Disputed]  # empty where texts may not be shown
    most: int = MOST_SHOWN


def parts_of(item: PlainData) -> tuple[Part, ...]:
    """A text cut where the word and its cues begin and end."""
    text, cues, (start, end) = item["text"], item.get("cues") or [], (item["start"], item["end"])
    cuts = {0, len(text), start, end, *(edge for cue in cues for edge in cue)}
    return tuple(
        Part(text[a:b], start <= a < end, any(first <= a < last for first, last in cues))
        for a, b in pairwise(sorted(edge for edge in cuts if 0 <= edge <= len(text)))
    )


def _rights(result: Result) -> tuple[list[str], Bools1d]:
    """The systems whose predictions are there, and what they got right.

    *Shape:* (n_instances, n_systems)
    """
    items = result.get("instances") or []
    names = [s["name"] for s in result["systems"] if items and s["name"] in items[0]["predictions"]]
    rows = [[bool(item["predictions"][name][2]) for name in names] for item in items]
    return names, np.array(rows, dtype=bool).reshape(len(items), len(names))


def _counts(right: Bools1d) -> list[list[int]]:
    """How many instances the one gets right and the other wrong.

    *Shape:* (n_instances, n_systems) -> (n_systems, n_systems)
    """
    ones = right.astype(np.int64)
    counts: list[list[int]] = (ones.T @ (1 - ones)).tolist()
    return counts


def disputes_of(result: Result) -> Disputes | None:
    """The instances that one system gets right and another wrong, at most 200 for each pair."""
    names, right = _rights(result)
    if len(names) < 2 or not (right.any(axis=1) & ~right.all(axis=1)).any():
        return None
    items = result["instances"]
    ranks = _random_ranks([str(item["id"]) for item in items])
    chosen = _first_pair(result, names)
    shown = _sample(right, *chosen, ranks)
    pairs = product(range(len(names)), repeat=2)
    kept = set().union(*(_sample(right, one, other, ranks) for one, other in pairs))
    listed = [
        Disputed(
            ranks[i],
            "".join("01"[int(each)] for each in right[i]),
            tuple(_said(items[i]["predictions"][name]) for name in names),
            parts_of(items[i]),
            tuple(filter(None, (items[i][key] for key in ("lemma", "pos", "stratum")))),
            " or ".join(items[i]["gold"]),
            i in shown,
        )
        for i in sorted(kept)
        if "text" in items[i]
    ]
    return Disputes(names, _counts(right), chosen, listed)


def _first_pair(result: Result, names: Sequence[str]) -> tuple[int, int]:
    """Attention and the best classic method; without them the two most accurate systems."""
    attention, classics = attention_and_classics(result)
    pair = [each["name"] for each in (attention, *classics[:1]) if each is not None]
    if len(pair) < 2 or not set(pair) <= set(names):
        known = [system for system in result["systems"] if system["name"] in names]
        by_accuracy = sorted(known, key=lambda system: float(system["accuracy"]))
        pair = [by_accuracy[-1]["name"], by_accuracy[-2]["name"]]
    return names.index(pair[0]), names.index(pair[1])


def _random_ranks(ids: Sequence[str]) -> list[int]:
    """A rank for each id that has nothing to do with where it stands: by its hash."""
    hashes = [hashlib.sha256(each.encode("utf-8", "replace")).digest() for each in ids]
    order = sorted(range(len(ids)), key=hashes.__getitem__)
    ranks: list[int] = np.argsort(order).tolist()
    return ranks


def _sample(right: Bools1d, one: int, other: int, ranks: Sequence[int]) -> set[int]:
    """The instances of a pair that are shown: those of the lowest ranks.

    *Shape:* right (n_instances, n_systems)
    """
    found = np.flatnonzero(right[:, one] & ~right[:, other]).tolist()
    return set(sorted(found, key=ranks.__getitem__)[:MOST_SHOWN])


def _said(prediction: Sequence[Any]) -> str:
    """A prediction in words."""
    sense, probability, _ = prediction
    if sense is None:
        return "no answer"
    return str(sense) if probability is None else f"{sense} ({probability:.2f})"
