"""The scorer of ``sense_disambiguator``: counts sense ids, which spaCy's own ignores."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from spacy.training import Example

__all__ = ["make_sense_scorer", "score_sense_spans"]


def score_sense_spans(
    examples: Iterable[Example], *, spans_key: str = "senses", **_: Any
) -> dict[str, float | None]:
    """Precision, recall and F1 over (start, end, sense id) of a span group.

    A predicted span is right when the gold group holds one with the same characters and
    the same ``kb_id_``. Where neither side has a span the three are None, as in spaCy.

    Returns:
        ``spans_{spans_key}_p``, ``_r`` and ``_f``, fractions from 0 to 1.
    """
    right = n_predicted = n_gold = 0
    for example in examples:
        predicted = _triples(example.predicted, spans_key)
        gold = _triples(example.reference, spans_key)
        right += len(predicted & gold)
        n_predicted += len(predicted)
        n_gold += len(gold)
    names = [f"spans_{spans_key}_{letter}" for letter in "prf"]
    if not n_predicted and not n_gold:
        return dict.fromkeys(names)
    p = right / n_predicted if n_predicted else 0.0
    r = right / n_gold if n_gold else 0.0
    f = 2 * p * r / (p + r) if right else 0.0
    return dict(zip(names, (p, r, f), strict=True))


def _triples(doc: Any, spans_key: str) -> set[tuple[int, int, str]]:
    if spans_key not in doc.spans:
        return set()
    return {(span.start_char, span.end_char, span.kb_id_) for span in doc.spans[spans_key]}


def make_sense_scorer() -> Callable[..., dict[str, float | None]]:
    """Registered as ``spacy_attn.sense_scorer.v1``."""
    return score_sense_spans
