"""What a sense model is made from: corpora, labels of one's own, and models that are there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spacy_attn.models import file_sha256
from spacy_attn.train.balance import NATURAL
from spacy_attn.train.corpora import (
    Split,
    TaggedSentence,
    corpus_files,
    read_masc,
    read_semcor,
    read_tagged,
    read_texts,
    read_wordnet_examples,
    read_written,
    split_corpora,
)
from spacy_attn.train.rows import passages
from spacy_attn.train.run_folder import CHECKPOINT
from spacy_attn.train.sense_config import TrainConfig, check_material
from spacy_attn.train.sense_table import SenseTable
from spacy_attn.train.teacher import with_untagged
from spacy_attn.wsd.inventory.wordnet_files import WordNet

#: Of what is held out, these are trained on with ``everything``.
TRAINED_ON_LAST = ("semcor", "written", "texts")


@dataclass(frozen=True, slots=True, kw_only=True)
class SenseSources:
    """The files of a run.

    Args:
        semcor: SemCor as JSONL, or None.
        masc: MASC as JSONL, or None.
        written: folder of the written corpus, or None.
        tagged: further files, see :func:`~.corpora.read_tagged`.
        data: labels of your own (JSONL, see the README), or None.
        inventory: the senses that they name: "homographs", "wordnet" or a file.
        start: a sense model to go on from; None starts from the plain encoder.
        senses_from: a sense model of another encoder, whose sense vectors, mapped, are part of the
            new ones: what a small encoder learnt of rare senses need not be learnt again.
        average: folders of finished runs whose weights are averaged with this one's.
        teachers: finished sense models whose probabilities are learnt too: :mod:`~.teacher`.

    Raises:
        ConfigError: neither SemCor nor labels are given.
    """

    semcor: Path | None = None
    masc: Path | None = None
    written: Path | None = None
    tagged: Sequence[Path] = ()
    data: Path | None = None
    inventory: str | Path = "homographs"
    start: Path | None = None
    senses_from: Path | None = None
    average: Sequence[Path] = ()
    teachers: Sequence[Path] = ()

    def __post_init__(self) -> None:
        check_material(self.semcor, self.data)

    @property
    def inventory_file(self) -> Path | None:
        """That of an inventory which is not bundled."""
        path = Path(self.inventory)
        return path if path.is_file() else None

    def by_option(self) -> dict[str, Path | Iterable[Path] | None]:
        """All that decides what is learnt; see :func:`~.finished.run_of`."""
        return {
            "semcor": self.semcor,
            "masc": self.masc,
            "written": self._written_files(),
            "tagged": self.tagged,
            "data": self.data,
            "inventory": self.inventory_file,
            "start": self.start,
            "senses-from": self.senses_from,
            "average": [folder / CHECKPOINT for folder in self.average],
            "teacher": self.teachers,
        }

    def hashes(self) -> dict[str, str]:
        """SHA-256 of the files that are read, by their names."""
        files = [self.semcor, self.masc, self.data, *self.tagged]
        files += [*self._written_files(), *self.teachers]
        return {file.name: file_sha256(file) for file in files if file}

    def corpora(self, wordnet: WordNet) -> Split | None:
        """The corpora that are read beside SemCor, and what is held out of them."""
        if self.semcor is None:
            return None
        return split_corpora(
            list(read_semcor(self.semcor, wordnet)),
            list(read_masc(self.masc, wordnet)) if self.masc else [],
            [
                *read_wordnet_examples(wordnet),
                *(sentence for path in self.tagged for sentence in read_tagged(path, wordnet)),
            ],
            written=self._written(wordnet),
        )

    def _written(self, wordnet: WordNet) -> list[TaggedSentence]:
        if self.written is None:
            return []
        return [*read_written(self.written), *read_texts(self.written, wordnet)]

    def _written_files(self) -> list[Path]:
        if self.written is None:
            return []
        suffixes = (".tsv", ".jsonl")
        return sorted(file for each in suffixes for file in corpus_files(self.written, each))


def joined(sentences: Sequence[TaggedSentence], config: TrainConfig) -> list[TaggedSentence]:
    """Sentences as they are read: as passages, where the training asks for it."""
    return passages(sentences) if config.passages else list(sentences)


def documents_read(
    corpora: Split, config: TrainConfig, limit: int | None
) -> list[list[TaggedSentence]]:
    """What is read of each document to train on."""
    return [joined(d, config) for d in _with_weight(corpora, config, limit)]


def _with_weight(
    corpora: Split, config: TrainConfig, limit: int | None = None
) -> list[list[TaggedSentence]]:
    """The documents that count in the loss."""
    return [d for d in corpora.train[:limit] if config.weight(d[0].genre)]


def held_out_that_was_read(manifest: Mapping[str, Any]) -> frozenset[str]:
    """What a finished model, or the one that it went on from, read of what is held out."""
    # Manifests of models from before the running texts only say whether it was everything.
    whole = ("semcor", "written") if manifest.get("everything") else ()
    return frozenset(manifest.get("held_out_that_was_read", whole))


def add_everything(corpora: Split) -> None:
    """In place: what is held out is trained on too."""
    corpora.train.extend(
        corpora.held_out[name] for name in TRAINED_ON_LAST if name in corpora.held_out
    )


def add_untagged(
    corpora: Split, wordnet: WordNet, limit: int | None, say: Callable[[str], None]
) -> None:
    """In place: the words without a tag too. SemCor and running texts have a tag for all."""
    say("tagging parts of speech")
    some = [d for d in corpora.train[:limit] if d[0].genre not in NATURAL]
    tagged = with_untagged([sentence for d in some for sentence in d], wordnet)
    for document in some:
        document[:] = islice(tagged, len(document))


def sizes(corpora: Split, config: TrainConfig, limit: int | None) -> str:
    """What there is to learn from: "semcor: 2,000 sentences, 9,000 labels; texts: ..."."""
    sentences, labels = Counter[str](), Counter[str]()
    for document in _with_weight(corpora, config, limit):
        for sentence in document:
            sentences[sentence.genre] += 1
            labels[sentence.genre] += len(sentence.targets)
    return "; ".join(
        f"{genre}: {n:,} sentences, {labels[genre]:,} labels" for genre, n in sentences.items()
    )


def seen_senses(table: SenseTable, corpora: Split | None, config: TrainConfig) -> NDArray[np.bool_]:
    """The senses with a tag in what is trained on. *Shape:* (n_senses,)"""
    trained = _with_weight(corpora, config) if corpora else []
    tags = [allowed for d in trained for sentence in d for _, _, allowed in sentence.targets]
    return table.seen([allowed[0] for allowed in tags if len(allowed) == 1])
