"""The scorer of ``sense_disambiguator``: counts sense ids, which spaCy's own ignores."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from spacy.scorer import PRFScore
from spacy.tokens import Doc
from spacy.training import Example

_Triple: TypeAlias = tuple[int, int, str]  # start and end character, sense id
_Pair: TypeAlias = tuple[set[_Triple], set[_Triple]]  # predicted and gold, of one text


def score_sense_spans(
    examples: Iterable[Example], *, spans_key: str = "senses", **_: Any
) -> dict[str, Any]:
    """Precision, recall, F1 and accuracy over (start, end, sense id) of a span group.

    A predicted span is right when the gold group holds one with the same characters and
    the same ``kb_id_``. A reference without the group is not annotated and does not count, as
    in spaCy's own scorer of spans; an empty group says that nothing there has a sense.

    Accuracy asks for the senses alone: of the gold targets that the pipeline found with the
    same characters, the share with a right sense. What it did not find lowers the recall and
    not the accuracy. Several gold spans on the same characters are one target with several
    right senses.

    The type of a span is its ``label_`` (the supersense), or where it has none, that of a span
    with the same sense id: gold spans need no labels.

    Returns:
        ``spans_{spans_key}_p``, ``_r`` and ``_f``, fractions from 0 to 1;
        ``spans_{spans_key}_per_type``, these three for each type; ``{spans_key}_acc``.
        None where there was nothing to count.
    """
    annotated = [e for e in examples if spans_key in e.reference.spans]
    pairs = [
        (_triples(e.predicted, spans_key), _triples(e.reference, spans_key)) for e in annotated
    ]
    types: dict[str, str] = {}  # of each sense id; the gold has the last word
    for doc in [*(e.predicted for e in annotated), *(e.reference for e in annotated)]:
        types |= {span.kb_id_: span.label_ for span in _spans(doc, spans_key) if span.label_}
    total, per_type = _count(pairs), _count_types(pairs, types)
    name = f"spans_{spans_key}"
    return {
        f"{name}_p": total.precision if len(total) else None,
        f"{name}_r": total.recall if len(total) else None,
        f"{name}_f": total.fscore if len(total) else None,
        f"{name}_per_type": per_type or None,
        f"{spans_key}_acc": _accuracy(pairs),
    }


def _spans(doc: Doc, spans_key: str) -> Iterable[Any]:
    return doc.spans[spans_key] if spans_key in doc.spans else ()


def _triples(doc: Doc, spans_key: str) -> set[_Triple]:
    return {(span.start_char, span.end_char, span.kb_id_) for span in _spans(doc, spans_key)}


def _count(pairs: Iterable[_Pair]) -> PRFScore:
    score = PRFScore()
    for predicted, gold in pairs:
        score.score_set(predicted, gold)
    return score


def _count_types(pairs: Iterable[_Pair], types: dict[str, str]) -> dict[str, dict[str, float]]:
    """Scores of each type, as spaCy shows them."""
    scores: dict[str, PRFScore] = {}
    for predicted, gold in pairs:
        for name in {types.get(sense, "") for _, _, sense in predicted | gold}:
            of_type = [
                {t for t in side if types.get(t[2], "") == name} for side in (predicted, gold)
            ]
            scores.setdefault(name, PRFScore()).score_set(*of_type)
    return {name: scores[name].to_dict() for name in sorted(scores)}


def _accuracy(pairs: Iterable[_Pair]) -> float | None:
    """Share of the gold targets that were found whose sense is right."""
    n_found = n_right = 0
    for predicted, gold in pairs:
        found = {t[:2] for t in predicted} & {t[:2] for t in gold}
        n_found += len(found)
        n_right += len({t[:2] for t in predicted & gold})
    return n_right / n_found if n_found else None


def make_sense_scorer() -> Callable[..., dict[str, Any]]:
    """Registered as ``spacy_attn.sense_scorer.v1``."""
    return score_sense_spans
