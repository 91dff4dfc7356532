"""A reader's corrections, applied to the occurrences that they are about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

from spacy.tokens import Doc, Span, SpanGroup

from spacy_attn.components.extensions import record_of, sense_records
from spacy_attn.wsd.inventory.corrections import (
    Correction,
    CorrectionIndex,
    letters,
    sense_named,
)
from spacy_attn.wsd.inventory.protocol import SenseInventory

CORRECTED = "correction"  # the method of a sense that a reader chose


def apply_corrections(
    doc: Doc,
    corrections: CorrectionIndex,
    inventory: SenseInventory | None = None,
    spans_key: str = "senses",
) -> int:
    """Give words of a Doc the senses that a reader has chosen.

    A correction is about a word in a text. It is applied where the same text stands around the
    same word, in any Doc. A word to which no sense fits loses its sense; one to which the method
    gave none, because it was not sure enough, gets the reader's.

    Args:
        doc: with a span group of ``sense_disambiguator``.
        corrections: of this Doc and of others.
        inventory: gives the definitions of the chosen senses.
        spans_key: name of the group.

    Returns:
        The number of words that were decided by a reader.
    """
    text, kept, n = doc.text, [], 0
    about = corrections.within(text)
    for record in sense_records(doc, spans_key):
        found = _correction(record, text, about)
        if found is None:
            kept.append(record)
            continue
        n += 1
        if found.verdict == "sense":
            kept.append(_corrected(record, found, inventory))
    left_out = list(_left_out(doc, sense_records(doc, spans_key), about, inventory))
    if n := n + len(left_out):
        kept = sorted([*kept, *left_out], key=itemgetter("start"))
        spans = [_span(doc, record, inventory) for record in kept]
        attrs = {"scores": [record["score"] for record in kept], "records": kept}
        doc.spans[spans_key] = SpanGroup(doc, name=spans_key, spans=spans, attrs=attrs)
    return n


def _left_out(
    doc: Doc,
    records: Sequence[Mapping[str, Any]],
    corrections: Sequence[Correction],
    inventory: SenseInventory | None,
) -> Iterator[dict[str, Any]]:
    """The occurrences to which a reader gave a sense, and the method none."""
    text = doc.text
    taken = [(record["start"], record["end"]) for record in records]
    for each in corrections:
        at = text.find(each.text) if each.verdict == "sense" else -1
        while at >= 0:
            first, last = at + each.start, at + each.end
            span = doc.char_span(first, last)
            if span is not None and all(end <= first or last <= start for start, end in taken):
                taken.append((first, last))
                yield _corrected(record_of(span), each, inventory)
            at = text.find(each.text, at + 1)


def _correction(
    record: Mapping[str, Any], text: str, corrections: Sequence[Correction]
) -> Correction | None:
    """The correction that is about a record's occurrence."""
    return next((each for each in corrections if _is_about(each, record, text)), None)


def _is_about(each: Correction, record: Mapping[str, Any], text: str) -> bool:
    """Whether the same text stands around the same word; wrapped lines may have been joined."""
    first, last = record["start"], record["end"]
    start = first - each.start
    is_same = last - first == each.end - each.start
    if is_same and start >= 0 and text.startswith(each.text, start):
        return True
    if "\n" not in each.text:
        return False
    room = 2 * len(each.text)
    before, word, after = (
        letters(part)
        for part in (text[max(0, first - room) : first], text[first:last], text[last : last + room])
    )
    return (
        word == letters(each.text[each.start : each.end])
        and before.endswith(letters(each.text[: each.start]))
        and after.startswith(letters(each.text[each.end :]))
    )


def _corrected(
    record: Mapping[str, Any], chosen: Correction, inventory: SenseInventory | None
) -> dict[str, Any]:
    sense = chosen.sense
    known = sense_named(inventory, sense, chosen.lemma) if inventory is not None else None
    was_said = record["definition"] if sense == record["sense"] else ""
    others = [each for each in record["ranked"] if each != sense]
    return {
        **record,
        "sense": sense,
        "lemma": known.lemma if known is not None else chosen.lemma,
        "definition": known.definition if known is not None else was_said,
        "score": 1.0,
        "margin": 1.0,
        "ranked": [sense, *others],
        "probabilities": [1.0, *(0.0 for _ in others)],
        "method": CORRECTED,
    }


def _span(doc: Doc, record: Mapping[str, Any], inventory: SenseInventory | None) -> Span:
    sense = None
    if inventory is not None:
        sense = sense_named(inventory, record["sense"], record["lemma"])
    label = sense.supersense if sense is not None else ""
    span = doc.char_span(record["start"], record["end"], label, kb_id=record["sense"])
    if span is None:  # tokens were merged since
        span = doc.char_span(
            record["start"], record["end"], label, kb_id=record["sense"], alignment_mode="expand"
        )
    assert span is not None  # noqa: S101 - expanding finds one
    return span
