"""One target alone, as ``decide_all`` decides it among others."""

from __future__ import annotations

from spacy_attn.wsd.decide import decide_all


def decide(target, scores, temperature=1.0, reading_weight=0.0):
    (decision,) = decide_all([target], [scores], temperature, reading_weight)
    return decision
