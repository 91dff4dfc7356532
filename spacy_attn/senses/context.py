"""What a sense method sees: texts as contexts, words to decide as targets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from spacy_attn._types import CharSpan, Encoder, Floats1d, Floats2d
from spacy_attn.senses.inventory import Inventory, Sense

__all__ = ["Context", "FittedMethod", "Resources", "SenseMethod", "Target", "find_targets"]


@dataclass(frozen=True, slots=True)
class Context:
    """One tokenised text. Lemmas and tags are empty where no component gave them."""

    text: str
    tokens: Sequence[str]
    offsets: Sequence[CharSpan]
    lemmas: Sequence[str]  # lower case or ""
    tags: Sequence[str]  # coarse part of speech (UPOS) or ""
    contextual: Floats2d | None = None  # put there by the caller when the method needs it


@dataclass(frozen=True, slots=True)
class Target:
    """Tokens ``start`` to ``end`` of a context and the senses they can have."""

    context: int  # index among the contexts given with it
    start: int
    end: int
    lemma: str
    candidates: tuple[Sense, ...]  # in frequency order, at least one


@dataclass(frozen=True, slots=True)
class Resources:
    """What a method may use when it is prepared."""

    tokenize: Callable[[str], Context]  # the pipeline's tokenizer, without lemmas and tags
    stop_words: frozenset[str] = frozenset()


class FittedMethod(Protocol):
    """A method made ready for one inventory."""

    @property
    def name(self) -> str:
        """The short name, as it is written into results."""
        ...

    @property
    def temperature(self) -> float:
        """Log-scores are divided by it before the softmax."""
        ...

    @property
    def encoder(self) -> Encoder | None:
        """Makes Context.contextual; None where the method needs none."""
        ...

    def score(self, contexts: Sequence[Context], targets: Sequence[Target]) -> list[Floats1d]:
        """Log-scores of the candidates of each target, up to a constant.

        *Shape:* for each target (n_candidates,)
        """
        ...


class SenseMethod(Protocol):
    """Decides senses once it is prepared for an inventory. Register yours (see README)."""

    @property
    def name(self) -> str:
        """The short name."""
        ...

    def prepare(self, inventory: Inventory, resources: Resources) -> FittedMethod:
        """Compute once what does not depend on the texts."""
        ...


_TAGS = {"PROPN": "NOUN", "AUX": "VERB"}  # a company is still an apple.company


def find_targets(context: Context, inventory: Inventory, index: int = 0) -> list[Target]:
    """The words of a text that have senses in the inventory, longest match first.

    A word is found by its lemma or by its form. Where the token has a part of speech,
    only the senses of that part of speech are candidates (a proper noun counts as noun);
    where it has none, the senses of all.

    Args:
        context: the text.
        inventory: the senses.
        index: goes into :attr:`Target.context`.
    """
    lower = [token.lower() for token in context.tokens]
    targets = []
    at = 0
    while at < len(lower):
        found = next(_matches(context, lower, inventory, at, index), None)
        if found is not None:
            targets.append(found)
        at = found.end if found is not None else at + 1
    return targets


def _matches(
    context: Context, lower: list[str], inventory: Inventory, at: int, index: int
) -> Iterator[Target]:
    firsts = {lower[at], context.lemmas[at]} - {""}
    longest = max(inventory.longest_from(first) for first in firsts) if firsts else 0
    for length in range(min(longest, len(lower) - at), 0, -1):
        end = at + length
        for lemma, pos in _words(context, lower, inventory, at, end):
            head = at if pos == "VERB" else end - 1
            tag = context.tags[head]
            if tag and _TAGS.get(tag, tag) != pos:
                continue
            candidates = inventory.candidates(lemma, pos if tag else None)
            yield Target(index, at, end, lemma, candidates)


def _words(
    context: Context, lower: list[str], inventory: Inventory, at: int, end: int
) -> list[tuple[str, str]]:
    """(lemma, part of speech) of the words whose form or lemma these tokens are."""
    forms = [" ".join(lower[at:end])]
    if context.lemmas[at]:
        forms.append(" ".join([context.lemmas[at], *lower[at + 1 : end]]))
    if context.lemmas[end - 1]:
        forms.append(" ".join([*lower[at : end - 1], context.lemmas[end - 1]]))
    return [word for form in dict.fromkeys(forms) for word in inventory.words_of_form(form)]
