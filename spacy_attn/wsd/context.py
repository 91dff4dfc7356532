"""What a sense method sees: texts as contexts, words to decide as targets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Protocol, runtime_checkable

from spacy_attn._types import CharSpan, Encoder, Floats1d, Floats2d, TokenRange
from spacy_attn.wsd.inventory.model import Inventory, Sense, SenseInventory, word_pieces

__all__ = [
    "Context",
    "FittedMethod",
    "Resources",
    "SelectiveMethod",
    "SenseMethod",
    "Target",
    "WaveringMethod",
    "as_decided",
    "find_targets",
    "longest_match",
    "reads_of",
    "tokens_within",
    "with_vectors",
]


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
    #: Paths that stand for models named in a config: those that came with a saved pipeline.
    stored: Mapping[str, str] = field(default_factory=dict)
    #: Whether what is computed of an inventory may be kept in the user's cache.
    may_keep: bool = True


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

        Only targets with two or more candidates are asked about. The contexts of the others
        stand in the list too, without vectors.

        *Shape:* for each target (n_candidates,)
        """
        ...


@runtime_checkable
class SelectiveMethod(Protocol):
    """A fitted method that does not look at the vectors of every token."""

    def reads(
        self, contexts: Sequence[Context], targets: Sequence[Target]
    ) -> list[list[TokenRange]]:
        """The ranges of tokens of each context whose vectors it looks at, in order.

        A context with none needs no vectors at all.
        """
        ...


@runtime_checkable
class WaveringMethod(Protocol):
    """A fitted method that goes about a target in another way where it is in doubt."""

    def steady(self, context: Context, target: Target) -> FittedMethod:
        """What goes about every text as this one does about a target of a context with vectors."""
        ...


class SenseMethod(Protocol):
    """Decides senses once it is prepared for an inventory. Register yours (see README)."""

    @property
    def name(self) -> str:
        """The short name."""
        ...

    def prepare(self, inventory: SenseInventory, resources: Resources) -> FittedMethod:
        """Compute once what does not depend on the texts."""
        ...


def tokens_within(context: Context, start: int, end: int) -> tuple[int, int]:
    """First and end token of those that share a character with ``text[start:end]``."""
    inside = [i for i, (a, b) in enumerate(context.offsets) if a < end and start < b]
    return inside[0], inside[-1] + 1


def with_vectors(
    fitted: FittedMethod, contexts: Sequence[Context], targets: Sequence[Target] | None = None
) -> list[Context]:
    """The contexts with the vectors that the method needs, by its own encoder.

    Args:
        fitted: the method.
        contexts: the texts.
        targets: what it will be asked about. Texts that leave it nothing to choose get no
            vectors, and of the others what it looks at, where it says so
            (:class:`SelectiveMethod`). None: every token of all texts.
    """
    if fitted.encoder is None:
        return list(contexts)
    reads = None
    if targets is None:
        used = list(range(len(contexts)))
    else:
        unsure = [target for target in targets if len(target.candidates) > 1]
        if isinstance(fitted, SelectiveMethod):
            reads = fitted.reads(contexts, unsure)
            used = [i for i, ranges in enumerate(reads) if ranges]
        else:
            used = sorted({target.context for target in unsure})
    out = list(contexts)
    if not used:
        return out
    texts, offsets = [contexts[i].text for i in used], [contexts[i].offsets for i in used]
    if reads is None:
        arrays = fitted.encoder.encode(texts, offsets)
    else:
        arrays = fitted.encoder.encode(texts, offsets, [reads[i] for i in used])
    for i, array in zip(used, arrays, strict=True):
        out[i] = replace(contexts[i], contextual=array)
    return out


def as_decided(fitted: FittedMethod, context: Context, target: Target) -> FittedMethod:
    """The method as it decides one target, to be explained.

    Without the word that decides, a method may be in doubt and look further, or ask another,
    which may say the same; an explanation is of what it did with the text as it is.

    Args:
        fitted: the method.
        context: the text, with the vectors that the method needs.
        target: the word; the number of its context does not count.
    """
    if not isinstance(fitted, WaveringMethod):
        return fitted
    return fitted.steady(context, replace(target, context=0))


def reads_of(
    fitted: FittedMethod, contexts: Sequence[Context], targets: Sequence[Target]
) -> list[list[TokenRange]]:
    """The tokens of each context that a method looks at: all of a text, unless it says less."""
    if isinstance(fitted, SelectiveMethod):
        return fitted.reads(contexts, targets)
    whole: list[list[TokenRange]] = [[] for _ in contexts]
    for target in targets:
        whole[target.context] = [(0, len(contexts[target.context].tokens))]
    return whole


_TAGS = {"PROPN": "NOUN", "AUX": "VERB"}  # a company is still an apple.company
# Tags that a noun cannot be meant by. Others on a noun of the inventory are attributive use
# ("the java language", ADJ) or slips of the tagger ("java" alone is ADV to it).
_NEVER_A_NOUN = ("VERB", "AUX")


def find_targets(
    context: Context, inventory: Inventory, index: int = 0, longest: Sequence[int] | None = None
) -> list[Target]:
    """The words of a text that have senses in the inventory, longest match first.

    A word is found by its lemma or by its form. Where the token has a part of speech,
    only the senses of that part of speech are candidates (a proper noun counts as noun);
    where it has none, the senses of all. A word that is only a noun in the inventory is
    taken for one unless it is tagged as a verb: taggers know few rare nouns.

    Args:
        context: the text.
        inventory: the senses.
        index: goes into :attr:`Target.context`.
        longest: for each token the greater of :func:`longest_match` of it and of its lemma,
            where the caller has them.
    """
    if longest is None:
        pairs = zip(context.tokens, context.lemmas, strict=True)
        longest = [max(longest_match(inventory, form) for form in pair) for pair in pairs]
    targets = []
    behind = 0
    for at, most in enumerate(longest):
        if not most or at < behind:
            continue
        run = list(islice(_solid(context.tokens, at), most))
        tried = (run[:n] for n in range(len(run), 0, -1))
        matches = chain.from_iterable(_matches(context, inventory, part) for part in tried)
        found = next(matches, None)
        if found is not None:
            targets.append(Target(index, *found))
            behind = found[1]
    return targets


def longest_match(inventory: Inventory, form: str) -> int:
    """How many tokens a word of the inventory can have that begins with this one."""
    pieces = word_pieces(form.lower())
    return inventory.longest_from(pieces[0]) if pieces else 0


def _solid(tokens: Sequence[str], at: int) -> Iterator[int]:
    """The tokens from one on, but for white space: a line break does not part "hot spot"."""
    return (i for i in range(at, len(tokens)) if tokens[i].strip())


def _matches(
    context: Context, inventory: Inventory, run: Sequence[int]
) -> Iterator[tuple[int, int, str, tuple[Sense, ...]]]:
    """Start, end, lemma and candidates of each word that these tokens can be."""
    words = _words(context, inventory, run)
    for lemma, pos in words:
        tag = context.tags[run[0] if pos == "VERB" else run[-1]]
        if not tag or _TAGS.get(tag, tag) == pos:
            candidates = inventory.candidates(lemma, pos if tag else None)
            yield run[0], run[-1] + 1, lemma, candidates
    for lemma, pos in words:
        if pos == "NOUN" and context.tags[run[-1]] not in _NEVER_A_NOUN:
            yield run[0], run[-1] + 1, lemma, inventory.candidates(lemma, pos)


def _words(context: Context, inventory: Inventory, run: Sequence[int]) -> list[tuple[str, str]]:
    """(lemma, part of speech) of the words whose form or lemma these tokens are."""
    words = [context.tokens[i].lower() for i in run]
    forms = [words]
    if context.lemmas[run[0]]:
        forms.append([context.lemmas[run[0]], *words[1:]])
    if context.lemmas[run[-1]]:
        forms.append([*words[:-1], context.lemmas[run[-1]]])
    pieces = dict.fromkeys(word_pieces(" ".join(form)) for form in forms)
    return [word for form in pieces for word in inventory.words_of_form(form)]
