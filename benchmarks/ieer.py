"""The IEER corpus: documents with entities at characters, stories sent twice, folds, tokens.

IEER (NIST 1999; NLTK's corpus ``ieer``) is 94 newswire documents of 58,000 words.
"""

from __future__ import annotations

import random
import re
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spacy.tokens import Doc

from benchmarks.common import DATA
from spacy_attn.classic.sequence import LabelledSpan

IEER = DATA / "nltk" / "ieer.zip"
SAME_STORY = 20  # 8-word sequences that two documents share


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph or headline, white space made single blanks."""

    text: str
    entities: tuple[LabelledSpan, ...]  # in characters


@dataclass(frozen=True, slots=True)
class Document:
    """A news item."""

    name: str
    paragraphs: tuple[Paragraph, ...]


def read_ieer(path: Path = IEER) -> list[Document]:
    """The documents of the corpus, with entities at characters.

    NLTK opens corpora below its own data folders only, and its trees keep no characters. So
    each document's text goes to the function that NLTK's reader calls, and the words of its
    tree are found again in that text.
    """
    from nltk.chunk import ieerstr2tree

    documents = []
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            text = archive.read(name).decode("ascii") if not name.endswith("/") else ""
            for match in re.finditer(r"<DOC>.*?</DOC>", text, re.DOTALL):
                raw = match.group()
                record = ieerstr2tree(raw, root_label="DOCUMENT")
                trees = [("<HEADLINE>", record["headline"]), ("<TEXT>", record["text"])]
                paragraphs = [
                    paragraph
                    for mark, tree in trees
                    if tree
                    for paragraph in _paragraphs(tree, raw[raw.index(mark) :])
                ]
                documents.append(Document(record["docno"], tuple(paragraphs)))
    return documents


def _paragraphs(tree: Iterable[Any], raw: str) -> Iterator[Paragraph]:
    """Cut a tree of NLTK's where a line of the raw text is indented."""
    masked = re.sub(r"<[^<>]*>", lambda mark: "\0" * len(mark.group()), raw)
    entities: list[LabelledSpan] = []
    text, position = "", 0
    for words, label in _chunks(tree):
        for i, word in enumerate(words):
            start = masked.index(word, position)
            gap = masked[position:start].replace("\0", "")
            position = start + len(word)
            if text and i == 0 and "\n\t" in gap:
                yield Paragraph(text, tuple(entities))
                text, entities = "", []
            text += " " if text and gap else ""
            if label and i == 0:
                entities.append((len(text), len(text), label))
            text += word.replace("&AMP;", "&")
        if label:
            entities[-1] = (entities[-1][0], len(text), label)
    if text:
        yield Paragraph(text, tuple(entities))


def _chunks(tree: Iterable[Any]) -> Iterator[tuple[list[str], str | None]]:
    """Words with the label of their entity; editors' notes and marks are left out."""
    in_note = False
    for child in tree:
        if not isinstance(child, str):
            yield list(child.leaves()), child.label()
        elif child.startswith("<"):
            in_note = child == "<ANNOTATION>"
        elif not in_note:
            yield [child], None


def stories(documents: Sequence[Document]) -> list[list[int]]:
    """Documents, as indices, grouped by what looks like one story sent more than once."""
    owners: dict[tuple[str, ...], set[int]] = defaultdict(set)
    for i, document in enumerate(documents):
        words = " ".join(p.text for p in document.paragraphs).split()
        for j in range(len(words) - 7):
            owners[tuple(words[j : j + 8])].add(i)
    shared = Counter((a, b) for who in owners.values() for a in who for b in who if a < b)
    group = list(range(len(documents)))
    for (a, b), n in shared.items():
        if n >= SAME_STORY:
            group = [group[a] if g == group[b] else g for g in group]
    return [[i for i, g in enumerate(group) if g == name] for name in dict.fromkeys(group)]


def folds(
    groups: Sequence[Sequence[int]], sizes: Sequence[int], n: int, seed: int
) -> list[list[int]]:
    """Cut documents into n parts of like size, groups kept together.

    Args:
        groups: of documents, as indices.
        sizes: words of each document.
        n: number of parts.
        seed: decides the order of the groups.
    """
    order = list(groups)
    random.Random(seed).shuffle(order)  # noqa: S311  an order, no secret
    parts: list[list[int]] = [[] for _ in range(n)]
    for group in order:
        smallest = min(parts, key=lambda part: sum(sizes[i] for i in part))
        smallest += group
    return [sorted(part) for part in parts]


@dataclass(frozen=True, slots=True)
class Sample:
    """A paragraph in tokens."""

    document: int
    doc: Doc  # with tags
    gold: tuple[LabelledSpan, ...]  # in tokens, IEER's labels


def align(paragraph: Paragraph, doc: Doc, seen: Counter[str]) -> tuple[LabelledSpan, ...]:
    """The entities in tokens; one that begins or ends within a token takes it whole.

    Args:
        paragraph: gives the entities.
        doc: its tokens.
        seen: counts entities: all, widened, and those dropped for sharing a token.
    """
    spans: list[LabelledSpan] = []
    for start, end, label in paragraph.entities:
        span: Any = doc.char_span(start, end, alignment_mode="expand")
        seen["entities"] += 1
        if spans and span.start < spans[-1][1]:
            seen["dropped"] += 1
            continue
        seen["widened"] += (span.start_char, span.end_char) != (start, end)
        spans.append((span.start, span.end, label))
    return tuple(spans)
