"""Texts and targets in, decisions out. Component, comparison, explanations and jobs call it.

targets = find_all(inventory, texts)                       which words have senses here
decisions = disambiguate(fitted, texts, targets)           which sense each has
answers = disambiguate_or_back_off(...)                    and another method where unsure
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from spacy_attn._types import Floats1d
from spacy_attn.errors import ConfigError
from spacy_attn.wsd.context import Context, Target
from spacy_attn.wsd.decide import Decision, decide_all
from spacy_attn.wsd.granularity import Coarsen
from spacy_attn.wsd.inventory.protocol import SenseInventory
from spacy_attn.wsd.method import CoveringMethod, FittedMethod, reading_weight_of
from spacy_attn.wsd.vectors import Texts


class Answer(NamedTuple):
    """What a method says of a target."""

    target: Target
    decision: Decision
    method: str


def find_all(inventory: SenseInventory, contexts: Sequence[Context]) -> list[Target]:
    """The words of some texts that have senses in an inventory."""
    return [target for i, context in enumerate(contexts) for target in inventory.find(context, i)]


def disambiguate(
    fitted: FittedMethod, texts: Texts | Sequence[Context], targets: Sequence[Target]
) -> list[Decision]:
    """Decide some targets with a method.

    The method is asked about the targets with several candidates alone: a word with one sense
    has it whatever the text says, and its text needs no vectors. Of words that were found, not
    given, the method may say that none of the candidates is meant.

    Raises:
        ConfigError: the method's answer does not fit the targets.
    """
    if not isinstance(texts, Texts):
        texts = Texts(texts)
    places = [i for i, target in enumerate(targets) if len(target.candidates) > 1]
    ambiguous = [targets[i] for i in places]
    scores = _scores(fitted, texts, ambiguous) if ambiguous else []
    covered = np.ones(len(targets), dtype=np.float32)
    if isinstance(fitted, CoveringMethod) and ambiguous:
        is_found = np.array([bool(target.readings) for target in ambiguous])
        covered[places] = np.where(is_found, fitted.covered(ambiguous, scores), 1.0)
    answers = iter(scores)
    arrays = [next(answers) if len(t.candidates) > 1 else _CERTAIN for t in targets]
    return decide_all(targets, arrays, fitted.temperature, reading_weight_of(fitted), covered)


def disambiguate_or_back_off(
    fitted: FittedMethod,
    texts: Texts,
    targets: Sequence[Target],
    threshold: float,
    back_off: Callable[[], FittedMethod] | None,
    coarsen: Coarsen | None = None,
) -> Iterator[Answer]:
    """Decide some targets; another method decides where the first is not sure enough.

    Args:
        fitted: asked first.
        texts: the texts.
        targets: the words.
        threshold: the least probability of the best sense with which the first decides.
        back_off: gives the method that decides the others; None leaves them without an answer.
        coarsen: makes of each decision one among groups of senses; the threshold is of these.

    Yields:
        The answers of the first method, then those of the other.
    """
    unsure = []
    for target, fine in zip(targets, disambiguate(fitted, texts, targets), strict=True):
        decision = coarsen(target, fine) if coarsen is not None else fine
        if decision.score < threshold:
            unsure.append(target)
        else:
            yield Answer(target, decision, fitted.name)
    if unsure and back_off is not None:
        other = back_off()
        for target, fine in zip(unsure, disambiguate(other, texts, unsure), strict=True):
            decision = coarsen(target, fine) if coarsen is not None else fine
            yield Answer(target, decision, other.name)


_CERTAIN = np.zeros(1, dtype=np.float32)


def _scores(fitted: FittedMethod, texts: Texts, targets: Sequence[Target]) -> list[Floats1d]:
    """What a method says of some targets; refuses what is not a number for each sense."""
    scores = [np.asarray(each) for each in fitted.score(texts, targets)]
    if len(scores) != len(targets):
        raise ConfigError(
            f"the method {fitted.name!r} scored {len(scores)} of {len(targets)} targets; "
            "it must give one array for each"
        )
    pairs = list(zip(targets, scores, strict=True))
    wrong = [(t, each) for t, each in pairs if each.shape != (len(t.candidates),)]
    wrong += [(t, each) for t, each in pairs if each.dtype.kind not in "fiu"]
    if not wrong and not np.isfinite(np.concatenate(scores)).all():
        # Minus infinity rules a sense out, but not all of them.
        wrong = [(t, each) for t, each in pairs if not np.isfinite(each.max())]
    if wrong:
        target, array = wrong[0]
        raise ConfigError(
            f"the method {fitted.name!r} gave {array!r} for {target.lemma!r}; it must give "
            f"one number for each of {len(target.candidates)} senses"
        )
    return scores
