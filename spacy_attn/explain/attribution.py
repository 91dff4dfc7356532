"""Which words of the context decided, found by taking them away."""

from __future__ import annotations

from dataclasses import dataclass, replace

from spacy_attn._types import CharSpan
from spacy_attn.senses.context import Context, FittedMethod, Target, with_vectors
from spacy_attn.senses.decide import log_softmax

__all__ = ["Attribution", "occlusion"]


@dataclass(frozen=True, slots=True)
class Attribution:
    """How much one token speaks for the chosen sense."""

    token: int
    text: str
    span: CharSpan
    weight: float  # log-probability of the sense with the token less that without it


def occlusion(
    fitted: FittedMethod, context: Context, target: Target, chosen: int, radius: int = 25
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

    Returns:
        One record for each tried token, those that speak most for the sense first.
    """
    low, high = max(0, target.start - radius), target.end + radius
    tried = [
        i
        for i in range(low, min(high, len(context.tokens)))
        if not target.start <= i < target.end and any(c.isalnum() for c in context.tokens[i])
    ]
    contexts = [context, *(_without(context, i) for i in tried)]
    targets = [replace(target, context=i) for i in range(len(contexts))]
    contexts = with_vectors(fitted, contexts, targets)
    scores = fitted.score(contexts, targets)
    log_p = [float(log_softmax(s, fitted.temperature)[chosen]) for s in scores]
    found = [
        Attribution(i, context.tokens[i], context.offsets[i], log_p[0] - without)
        for i, without in zip(tried, log_p[1:], strict=True)
    ]
    return sorted(found, key=lambda a: -a.weight)


def _without(context: Context, token: int) -> Context:
    start, end = context.offsets[token]
    text = context.text[:start] + " " * (end - start) + context.text[end:]
    columns = {}
    blank = {"tokens": " " * (end - start), "lemmas": "", "tags": ""}
    for name, value in blank.items():
        column = list(getattr(context, name))
        column[token] = value
        columns[name] = column
    return replace(context, text=text, contextual=None, **columns)
