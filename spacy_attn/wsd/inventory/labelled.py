"""Labelled data: which sense a word of a sentence has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spacy_attn.wsd.inventory.lines import read_lines
from spacy_attn.wsd.sense import POS_TAGS


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
