"""Labelled data: which sense a word of a sentence has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spacy_attn.errors import ConfigError
from spacy_attn.wsd.inventory.lines import read_lines
from spacy_attn.wsd.inventory.protocol import SenseInventory
from spacy_attn.wsd.sense import POS_TAGS, Sense

#: One of so many labels tells how a training goes; the first is one.
HELD_OUT = 10


@dataclass(frozen=True, slots=True)
class LabelledTarget:
    """One instance of labelled data: which sense ``text[start:end]`` has."""

    text: str
    start: int
    end: int
    lemma: str
    pos: str
    sense: str
    stratum: str = ""
    cues: tuple[tuple[int, int], ...] = ()
    frozen: bool = False  # of the half that nobody looks at before the last run


def read_labelled(path: Path) -> Iterator[LabelledTarget]:
    """Labelled data, JSONL: text, start, end, lemma, pos, sense; and stratum, cues, frozen.

    Of corrections (:mod:`~.corrections`) those that name a sense.

    Raises:
        InventoryError: a line is broken.
    """
    for line in read_lines(path):
        record, text = line.record, line.text("text", most=None)
        if record.get("verdict", "sense") != "sense":
            continue
        start, end = line.span(record.get("start"), record.get("end"), "start", text)
        line.whole_words(start, end, "start", text)
        yield LabelledTarget(
            text,
            start,
            end,
            line.lemma(),
            line.one_of("pos", POS_TAGS),
            line.text("sense"),
            line.text("stratum", default=""),
            tuple(line.cues(text)),
            record.get("frozen") is True,
        )


def read_labels_of(
    path: Path, inventory: SenseInventory
) -> Iterator[tuple[LabelledTarget, tuple[Sense, ...]]]:
    """Labels, each with the senses of its word.

    Raises:
        ConfigError: one names a sense that the inventory does not have for its word.
        InventoryError: a line is broken.
    """
    for number, label in enumerate(read_labelled(path), 1):
        candidates = inventory.candidates(label.lemma, label.pos)
        if all(label.sense != candidate.id for candidate in candidates):
            raise ConfigError(
                f"{path}, label {number}: {label.lemma} ({label.pos}) has no sense {label.sense!r} "
                f"in the inventory {inventory.name!r}; name the labels' inventory with --inventory"
            )
        yield label, candidates


def labels_to_train_on(path: Path, inventory: SenseInventory) -> list[LabelledTarget]:
    """The labels of a file, where they are enough to learn from.

    Raises:
        ConfigError: none is left to train on beside those that are held out; or as
            :func:`read_labels_of`.
        InventoryError: a line is broken.
    """
    labels = list(read_labels_of(path, inventory))
    if all(i % HELD_OUT == 0 or len(senses) < 2 for i, (_, senses) in enumerate(labels)):
        raise ConfigError(
            "--data has nothing to train on: needed are two labels or more, of words with several "
            "senses in the inventory; add some with: spacy-attn inventory add --help"
        )
    return [label for label, _ in labels]
