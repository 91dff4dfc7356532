"""IOB labels and the spans that they describe.

Labels are IOB2 (Ramshaw and Marcus 1995; Tjong Kim Sang and Veenstra 1999): ``B-X`` begins a
span of type X, ``I-X`` goes on with it, ``O`` is outside. Where ``I-X`` follows neither ``B-X``
nor ``I-X`` it is read as ``B-X``, as the evaluation of CoNLL-2000 does; so IOB1 is read
correctly too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from spacy_attn.errors import RecordError, counted

LabelledToken: TypeAlias = tuple[str, str, str]  # word, part-of-speech tag, IOB label
LabelledSpan: TypeAlias = tuple[int, int, str]  # first token, token after the last, type


def check_tags(words: Sequence[str], tags: Sequence[str]) -> None:
    """Refuse a sentence that has not one tag for each word.

    Raises:
        RecordError: with the number of both.
    """
    if len(words) != len(tags):
        given = f"{counted(len(words), 'word')} and {counted(len(tags), 'tag')}"
        raise RecordError(f"{given}; give each word one tag")


def repair_iob(labels: Iterable[str]) -> list[str]:
    """Valid IOB2: ``I-X`` that follows neither ``B-X`` nor ``I-X`` becomes ``B-X``.

    Raises:
        RecordError: a label is not ``O``, ``B-X`` or ``I-X``.
    """
    repaired = []
    before = ""
    for label in labels:
        prefix, _, kind = label.partition("-")
        if label != "O" and (prefix not in ("B", "I") or not kind):
            raise RecordError(f"{label!r} is no IOB label; allowed: O, B-TYPE and I-TYPE")
        repaired.append(f"B-{kind}" if prefix == "I" and kind != before else label)
        before = kind
    return repaired


def iob_spans(labels: Iterable[str]) -> list[LabelledSpan]:
    """The spans that IOB labels describe, in their order.

    >>> iob_spans(["B-NP", "I-NP", "O", "B-VP"])
    [(0, 2, 'NP'), (3, 4, 'VP')]

    Raises:
        RecordError: as :func:`repair_iob`, by which wrong sequences are read.
    """
    spans: list[LabelledSpan] = []
    for i, label in enumerate(repair_iob(labels)):
        if label[0] == "B":
            spans.append((i, i + 1, label[2:]))
        elif label[0] == "I":
            start, _, kind = spans[-1]
            spans[-1] = (start, i + 1, kind)
    return spans


def spans_to_iob(n_tokens: int, spans: Iterable[LabelledSpan]) -> list[str]:
    """The labels of some spans, the inverse of :func:`iob_spans`.

    Raises:
        RecordError: two spans share a token, or one leaves the text.
    """
    labels = ["O"] * n_tokens
    for start, end, kind in sorted(spans):
        if not 0 <= start < end <= n_tokens:
            raise RecordError(f"the span ({start}, {end}, {kind!r}) is not within 0 to {n_tokens}")
        if any(label != "O" for label in labels[start:end]):
            raise RecordError(
                f"the span ({start}, {end}, {kind!r}) shares tokens with another one; "
                "IOB labels describe spans that do not overlap"
            )
        labels[start:end] = [f"B-{kind}"] + [f"I-{kind}"] * (end - start - 1)
    return labels


def follows(label: str, before: str) -> bool:
    """Whether a label may stand behind another one (or behind the start)."""
    return label[0] != "I" or before in (f"B-{label[2:]}", label)
