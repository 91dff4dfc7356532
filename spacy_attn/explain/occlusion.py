"""Which words of the context decided, found by taking them away."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spacy_attn._types import CharSpan
from spacy_attn.wsd.context import Context, Target
from spacy_attn.wsd.decide import log_posterior
from spacy_attn.wsd.method import FittedMethod, as_decided, reading_weight_of
from spacy_attn.wsd.vectors import Texts

RADIUS = 25  # tokens each side of the target that are explained
_AT_ONCE = 2**15  # tokens of the texts that are encoded together: 50 MB of vectors


@dataclass(frozen=True, slots=True)
class Attribution:
    """How much one token speaks for the chosen sense."""

    token: int
    text: str
    span: CharSpan
    weight: float  # log-probability of the sense with the token less that without it


def context_words(context: Context, target: Target, radius: int = RADIUS) -> list[int]:
    """The tokens round a target that can be a reason: not white space, not punctuation."""
    low, high = max(0, target.start - radius), target.end + radius
    return [
        i
        for i in range(low, min(high, len(context.tokens)))
        if not target.start <= i < target.end and any(c.isalnum() for c in context.tokens[i])
    ]


def occlusion(
    fitted: FittedMethod,
    context: Context,
    target: Target,
    chosen: int,
    radius: int = RADIUS,
    against: int | None = None,
) -> list[Attribution]:
    """Blank each word of the context in turn and see how the chosen sense's probability falls.

    Zeiler and Fergus 2014, section 4, for words. A word is replaced by as many blanks as it
    has characters, so that all other offsets stay, and loses its lemma and tag; white space
    and punctuation are left out.

    Args:
        fitted: the method that decided.
        context: the text; needs no vectors.
        target: the word.
        chosen: index of the sense among its candidates.
        radius: tokens each side of the target that are tried.
        against: index of another sense: weights are then of the log-odds of the two.

    Returns:
        One record for each tried token, those that speak most for the sense first.
    """
    tried = context_words(context, target, radius)
    log_p = log_probabilities_without(fitted, context, target, [(), *((i,) for i in tried)])
    value = log_p[:, chosen] - (0.0 if against is None else log_p[:, against])
    found = [
        Attribution(i, context.tokens[i], context.offsets[i], float(value[0] - without))
        for i, without in zip(tried, value[1:], strict=True)
    ]
    return sorted(found, key=lambda a: -a.weight)


def log_probabilities_without(
    fitted: FittedMethod, context: Context, target: Target, blanked: Sequence[Iterable[int]]
) -> NDArray[np.float64]:
    """What a method says of a target where some tokens of its text are blank.

    Args:
        fitted: the method.
        context: the text; needs no vectors.
        target: the word.
        blanked: the tokens to blank, once for each question.

    *Shape:* (len(blanked), n_candidates)
    """
    own = replace(target, context=0)
    if len(target.candidates) > 1:
        fitted = as_decided(fitted, Texts([context]), own)
    rows: list[NDArray[np.float64]] = []
    n = max(1, _AT_ONCE // max(1, len(context.tokens)))
    for first in range(0, len(blanked), n):
        contexts = [_without(context, tokens) for tokens in blanked[first : first + n]]
        targets = [replace(target, context=i) for i in range(len(contexts))]
        scores = fitted.score(Texts(contexts), targets)
        weight = reading_weight_of(fitted)
        rows += [log_posterior(target, score, fitted.temperature, weight) for score in scores]
    return np.stack(rows)


def _without(context: Context, blanked: Iterable[int]) -> Context:
    tokens = list(blanked)
    if not tokens:
        return context
    text = list(context.text)
    columns = {name: list(getattr(context, name)) for name in ("tokens", "lemmas", "tags")}
    for token in tokens:
        start, end = context.offsets[token]
        blank = " " * (end - start)
        text[start:end] = blank
        for name, value in (("tokens", blank), ("lemmas", ""), ("tags", "")):
            columns[name][token] = value
    return replace(context, text="".join(text), **columns)
