"""What is explained: one word in a text, the sense it got, and the sense that came second."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from spacy.language import Language

from spacy_attn.components.adapter import context_of, resources_of
from spacy_attn.components.sense_disambiguator import SenseDisambiguator
from spacy_attn.encoder.huggingface import HuggingFaceEncoder
from spacy_attn.errors import ConfigError, did_you_mean
from spacy_attn.wsd.context import Context, Target
from spacy_attn.wsd.decide import Decision
from spacy_attn.wsd.engine import disambiguate
from spacy_attn.wsd.method import FittedMethod, as_decided, encoder_of
from spacy_attn.wsd.methods.cascade import Cascade
from spacy_attn.wsd.methods.registry import sense_method
from spacy_attn.wsd.vectors import Texts


@dataclass(frozen=True, eq=False)
class Subject:
    """A decision; ``target.context`` is 0."""

    fitted: FittedMethod  # that decided: of a cascade the one of its two methods
    context: Context  # without vectors
    target: Target
    decision: Decision
    chosen: int  # index of the sense among the candidates
    runner_up: int

    @property
    def encoder(self) -> HuggingFaceEncoder:
        """The encoder of the method.

        Raises:
            ConfigError: it has none that can be looked into.
        """
        encoder = encoder_of(self.fitted)
        if not isinstance(encoder, HuggingFaceEncoder):
            raise ConfigError(
                f"the method {self.fitted.name!r} looks through no encoder, so there is no "
                "attention to show; take method = 'attention', or weigh by occlusion"
            )
        return encoder


def subjects_of(
    nlp: Language, texts: Sequence[str], word: str | None = None, method: str | None = None
) -> list[tuple[int, Subject]]:
    """The ambiguous words of some texts, decided, with the number of their text.

    Args:
        nlp: a pipeline with a ``sense_disambiguator``; its inventory is used.
        texts: the texts.
        word: as it is written in the text, or its lemma; None takes every word that has a choice.
        method: name of a sense method; None takes that of the pipeline.

    Raises:
        ConfigError: no ``sense_disambiguator``, or no text has the word with two senses.
    """
    component = component_of(nlp)
    if method is None:
        fitted = component.prepared()
    else:
        fitted = sense_method(method).prepare(component.inventory, resources_of(nlp))
    names = nlp.pipe_names
    at = next(i for i, (_, pipe) in enumerate(nlp.pipeline) if pipe is component)
    with nlp.select_pipes(disable=names[at:]):
        contexts = [context_of(doc) for doc in nlp.pipe(texts)]
    found = []
    for i, context in enumerate(contexts):
        targets = [t for t in _targets(component, context) if len(t.candidates) > 1]
        wanted = [t for t in targets if word is None or _is_word(context, t, word)]
        found += [(i, subject) for subject in decided(fitted, context, wanted)]
    if word is not None and not found:
        known = _known(component, contexts)
        raise ConfigError(
            f"word = {word!r}: no text has it with two senses or more; words of the inventory in "
            f"them: {', '.join(known[:10]) or 'none'}{did_you_mean(word, known)}"
        )
    return found


def decided(fitted: FittedMethod, context: Context, targets: Sequence[Target]) -> Iterator[Subject]:
    """What a method says of some targets of one text, each with two candidates or more."""
    own = [replace(target, context=0) for target in targets]
    texts = Texts([context])
    for target, decision in zip(own, disambiguate(fitted, texts, own), strict=True):
        ids = [sense.id for sense in target.candidates]
        first, second = ids.index(decision.ids[0]), ids.index(decision.ids[1])
        by = as_decided(fitted, texts, target) if isinstance(fitted, Cascade) else fitted
        yield Subject(by, context, target, decision, first, second)


def component_of(nlp: Language) -> SenseDisambiguator:
    """The first ``sense_disambiguator`` of a pipeline.

    Raises:
        ConfigError: there is none.
    """
    for _, component in nlp.pipeline:
        if isinstance(component, SenseDisambiguator):
            return component
    raise ConfigError(
        "the pipeline has no sense_disambiguator; add it with nlp.add_pipe('sense_disambiguator')"
    )


def _targets(component: SenseDisambiguator, context: Context) -> list[Target]:
    return component.inventory.find(context)


def _is_word(context: Context, target: Target, word: str) -> bool:
    written = context.text[context.offsets[target.start][0] : context.offsets[target.end - 1][1]]
    return word.casefold() in (written.casefold(), target.lemma.replace("_", " ").casefold())


def _known(component: SenseDisambiguator, contexts: Sequence[Context]) -> list[str]:
    return sorted(
        {t.lemma for c in contexts for t in _targets(component, c) if len(t.candidates) > 1}
    )
