"""Soft targets: what finished sense models say of each word that is trained on.

Distillation (Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network", 2015): the
model learns the probabilities that larger ones give to all candidates, beside the tagged sense. So
words without a tag teach too, and their part of speech and lemma come from a spaCy pipeline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spacy_attn.errors import ResourceError
from spacy_attn.files import atomic_write
from spacy_attn.models import resolve_pipeline
from spacy_attn.train.corpora import TaggedSentence
from spacy_attn.train.rows import Row, RowTarget
from spacy_attn.train.run_folder import read_array
from spacy_attn.wsd.decide import log_softmax
from spacy_attn.wsd.sense import POS_TAGS

if TYPE_CHECKING:
    from spacy_attn.train.senses import SenseTrainer
    from spacy_attn.wsd.inventory.wordnet_files import WordNet

_REPORT_EVERY = 20_000  # words

Report = Callable[[dict[str, Any]], None]


class SoftTargets:
    """Probabilities of the candidates of each word, by its number; NaN where nobody was asked.

    *Shape:* probabilities (sum of all words' candidates,), starts (n_words + 1,)
    """

    def __init__(self, documents: Sequence[Sequence[Row]]) -> None:
        targets = [t for rows in documents for row in rows for t in row.targets]
        sizes = np.zeros(1 + max(t.number for t in targets), dtype=np.int64)
        for target in targets:
            sizes[target.number] = len(target.candidates)
        self.starts = np.concatenate([[0], np.cumsum(sizes)])
        self.probabilities = np.full(int(self.starts[-1]), np.nan, dtype=np.float32)

    def of(self, targets: Sequence[RowTarget]) -> NDArray[np.float32]:
        """Those of some words, one after the other. *Shape:* -> (sum of candidates,)"""
        bounds = [(self.starts[t.number], self.starts[t.number + 1]) for t in targets]
        return np.concatenate([self.probabilities[first:end] for first, end in bounds])

    def add(self, target: RowTarget, probabilities: NDArray[Any], share: float) -> None:
        """Add a share of a teacher's probabilities. *Shape:* (n_candidates,)"""
        first, end = self.starts[target.number], self.starts[target.number + 1]
        before = np.nan_to_num(self.probabilities[first:end])
        self.probabilities[first:end] = before + share * probabilities


def ask_teachers(
    teachers: Iterable[tuple[SenseTrainer, float, Callable[[], list[Row]]]],
    n_teachers: int,
    documents: Sequence[Sequence[Row]],
    path: Path,
    report: Report | None = None,
) -> SoftTargets:
    """The mean of the teachers' probabilities.

    Args:
        teachers: each a finished model, the temperature of its scores, and what makes the rows of
            all documents for its tokenizer; one is held in memory at a time.
        n_teachers: how many there are.
        documents: numbered rows to train on.
        path: the answers are kept here; a run that goes on reads them.
        report: called with the number of words that were asked.

    Raises:
        ResourceError: the file is of other documents.
    """
    soft = SoftTargets(documents)
    if path.is_file():
        kept = read_array(path)
        if kept.shape != soft.probabilities.shape:
            raise ResourceError(
                f"{path} has the answers of other documents; remove it, or choose another --output"
            )
        soft.probabilities = kept
        return soft
    flat = [row for rows in documents for row in rows]
    for number, (teacher, temperature, rows_of_teacher) in enumerate(teachers, 1):
        rows = [_numbered(a, b) for a, b in zip(rows_of_teacher(), flat, strict=True)]
        for i, (target, scores) in enumerate(teacher.predict(rows), 1):
            soft.add(target, np.exp(log_softmax(scores, temperature)), 1 / n_teachers)
            if report and i % _REPORT_EVERY == 0:
                stage = f"asking teacher {number} of {n_teachers}"
                report({"stage": stage, "done": i, "total": len(soft.starts) - 1})
    with atomic_write(path) as file:
        np.save(file, soft.probabilities)
    return soft


def _numbered(row: Row, like: Row) -> Row:
    """A teacher's row with the numbers of the same words; words that it alone has are left out."""
    numbers = {(t.start, t.end, t.candidates): t.number for t in like.targets}
    found = [(t, numbers.get((t.start, t.end, t.candidates))) for t in row.targets]
    return replace(row, targets=[replace(t, number=n) for t, n in found if n is not None])


def with_untagged(
    sentences: Sequence[TaggedSentence], wordnet: WordNet
) -> Iterator[TaggedSentence]:
    """The sentences with all their ambiguous words; of one without a tag all senses are allowed.

    Raises:
        ResourceError: no spaCy pipeline is installed.
    """
    import spacy
    from spacy.tokens import Doc

    name = resolve_pipeline("en_core_web_sm")
    assert name is not None  # noqa: S101 - a named one is there, or is refused
    nlp = spacy.load(name, exclude=["parser", "ner"])
    docs = ((Doc(nlp.vocab, words=s.tokens), s) for s in sentences)
    for doc, sentence in nlp.pipe(docs, as_tuples=True, batch_size=512):
        taken = {i for start, end, _ in sentence.targets for i in range(start, end)}
        more: list[tuple[int, int, list[str]]] = []
        for token in doc:
            if token.pos_ not in POS_TAGS or token.i in taken:
                continue
            candidates = wordnet.candidates(token.lemma_, token.pos_)
            if len(candidates) > 1:
                more.append((token.i, token.i + 1, [each.key for each in candidates]))
        yield replace(sentence, targets=[*sentence.targets, *more])
