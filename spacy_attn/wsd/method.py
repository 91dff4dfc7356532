"""What a sense method is, and what some methods can do besides.

    SenseMethod   named in a config; ``prepare(inventory, resources)`` gives a
    FittedMethod  ``score(texts, targets)`` gives log-scores of the candidates

That is all a method needs. What only some can do is a Protocol of its own: read the vectors of an
encoder (:class:`EncodingMethod`), decide between words (:class:`ReadingMethod`), tell that no
sense fits (:class:`CoveringMethod`), fix the choices it made on a text (:class:`StepwiseMethod`),
give its log-odds as a formula (:class:`DifferentiableMethod`), give a target a vector
(:class:`VectorMethod`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from spacy_attn._types import Encoder, Floats1d, Floats2d
from spacy_attn.errors import explain_missing_package
from spacy_attn.wsd.context import Resources, Target
from spacy_attn.wsd.inventory.protocol import SenseInventory
from spacy_attn.wsd.vectors import Texts


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

    def score(self, texts: Texts, targets: Sequence[Target]) -> list[Floats1d]:
        """Log-scores of the candidates of each target, up to a constant.

        Only targets with two or more candidates are asked about.

        *Shape:* for each target (n_candidates,)
        """
        ...


class SenseMethod(Protocol):
    """Decides senses once it is prepared for an inventory; docs/compare.md shows your own."""

    @property
    def name(self) -> str:
        """The short name."""
        ...

    def prepare(self, inventory: SenseInventory, resources: Resources) -> FittedMethod:
        """Compute once what does not depend on the texts."""
        ...


# -- what some methods can do ---------------------------------------------------------------


@runtime_checkable
class EncodingMethod(Protocol):
    """A fitted method that reads contextual vectors."""

    @property
    def encoder(self) -> Encoder | None:
        """What makes them; None where this one needs none after all."""
        ...


@runtime_checkable
class StepwiseMethod(Protocol):
    """A fitted method that looks further, or asks another method, where it is in doubt."""

    def as_decided(self, texts: Texts, target: Target) -> FittedMethod:
        """What decides every text in the way in which this one decides a target."""
        ...


@runtime_checkable
class ReadingMethod(Protocol):
    """A fitted method whose scores compare between words, so that it decides between readings."""

    @property
    def reading_weight(self) -> float:
        """How far; see :func:`~.decide.log_posterior`."""
        ...


@runtime_checkable
class CoveringMethod(Protocol):
    """A fitted method that tells from its scores that none of the candidates is meant."""

    def covered(self, targets: Sequence[Target], scores: Sequence[Floats1d]) -> Floats1d:
        """The probability of each target that one of its candidates is meant.

        *Shape:* of each of scores (n_candidates,) -> (n_targets,)
        """
        ...


@runtime_checkable
class DifferentiableMethod(Protocol):
    """A fitted method whose log-odds are a formula of the tokens' vectors."""

    def log_odds(self, texts: Texts, target: Target, chosen: int, other: int) -> LogOdds:
        """The formula of two candidates of a target, by their index."""
        ...


@runtime_checkable
class VectorMethod(Protocol):
    """A fitted method that compares vectors."""

    @property
    def has_context(self) -> bool:
        """Whether the vector of a word depends on its text."""
        ...

    def target_vectors(self, texts: Texts, targets: Sequence[Target]) -> Floats2d:
        """The vectors that it compares with those of senses. *Shape:* (n_targets, width)"""
        ...


@dataclass(frozen=True, slots=True)
class LogOdds:
    """How far one sense is ahead of another, as a formula of the tokens' vectors.

    With ``t`` the mean vector of the target's tokens and ``c`` that of its context, ``|`` for side
    by side and ``u(x)`` for x at unit length, the log-odds of the two senses are
    ``examples . (u(t) | u(c)) + bias + gloss . z + known . sqrt(softmax(senses z + prior))`` with
    ``z = u(to_target t + to_context c)``.

    *Shape:* examples (2 * width,), gloss (z width,), to_target and to_context (z width, width),
    known and prior (n_known,), senses (n_known, z width)
    """

    examples: Floats1d
    bias: float
    gloss: Floats1d
    to_target: Floats2d
    to_context: Floats2d
    known: Floats1d  # of WordNet's senses of the lemma, where examples are learnt from
    senses: Floats2d
    prior: Floats1d
    bounds: tuple[int, int, int, int]  # start and end of the target, first and end of the context

    @property
    def context_tokens(self) -> list[int]:
        """Those whose mean is the context vector: the target's where there are no others."""
        start, end, low, high = self.bounds
        around = [i for i in range(low, high) if not start <= i < end]
        return around or list(range(start, end))


def encoder_of(fitted: FittedMethod) -> Encoder | None:
    """The encoder whose vectors a method reads, or None."""
    return fitted.encoder if isinstance(fitted, EncodingMethod) else None


def reading_weight_of(fitted: FittedMethod) -> float:
    """How far a method decides between the readings of a word; 0 for one that does not."""
    return fitted.reading_weight if isinstance(fitted, ReadingMethod) else 0.0


def as_decided(fitted: FittedMethod, texts: Texts, target: Target) -> FittedMethod:
    """The method as it decides one target, to be explained.

    Without the word that decides, a method may be in doubt and look further, or ask another,
    which may say the same; an explanation is of what it did with the text as it is.
    """
    return fitted.as_decided(texts, target) if isinstance(fitted, StepwiseMethod) else fitted


# -- how the package's own methods are put together -----------------------------------------


@dataclass(frozen=True, slots=True)
class Needs:
    """What a method reads besides the inventory."""

    encoders: tuple[str, ...] = ()  # by name
    models: tuple[Path, ...] = ()  # sense models
    vectors: tuple[str | None, ...] = ()  # files of static ones; None is the GloVe wheel

    @classmethod
    def of(cls, methods: Iterable[SenseMethod]) -> Needs:
        """What several methods need together."""
        needs = [method.needs for method in methods if isinstance(method, BuiltInMethod)]
        return cls(
            tuple(name for each in needs for name in each.encoders),
            tuple(path for each in needs for path in each.models),
            tuple(name for each in needs for name in each.vectors),
        )


@dataclass(frozen=True)
class BuiltInMethod:
    """A sense method of this package: its name, what prepares it, what it needs and learns from.

    The function is one of a module or a partial of one: a spawned child gets it pickled.
    """

    name: str
    make: Callable[[SenseInventory, Resources], FittedMethod]
    needs: Needs = Needs()
    learns: bool = True  # whether more examples of a sense may make it better

    def prepare(self, inventory: SenseInventory, resources: Resources) -> FittedMethod:
        """See :class:`SenseMethod`.

        Raises:
            ResourceError: a package or a model is not on this machine.
        """
        with explain_missing_package(f"the method {self.name}"):
            return self.make(inventory, resources)
