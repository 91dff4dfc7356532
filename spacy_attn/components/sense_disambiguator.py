"""The ``sense_disambiguator`` component: which sense a word has here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example
from spacy.util import minibatch

from spacy_attn._types import Floats2d, PlainData
from spacy_attn.components.extensions import install_sense_extensions, token_vectors
from spacy_attn.errors import ConfigError
from spacy_attn.methods import sense_method
from spacy_attn.senses.context import (
    Context,
    FittedMethod,
    Resources,
    SenseMethod,
    Target,
    find_targets,
)
from spacy_attn.senses.decide import Decision, decide
from spacy_attn.senses.inventory import Inventory, load_inventory

__all__ = [
    "SenseDisambiguator",
    "context_of",
    "make_sense_disambiguator",
    "resources_of",
    "score_senses",
]

logger = logging.getLogger("spacy_attn")

DEFAULTS: dict[str, Any] = {
    "inventory": "homographs",  # or the path of your own .jsonl file
    "method": "attention",  # a short name or {"@sense_methods": "spacy_attn.lesk.v1", ...}
    "threshold": 0.0,  # below this probability the method abstains
    "backoff": None,  # the method that decides then; null leaves the word without a sense
    "attr": "sense",  # Token and Span attribute
    "spans_key": "senses",  # span group
    "vectors_attr": "attn_vectors",  # where an attention_encoder before this one writes
    "model_attr": "attn_model",
    "scorer": {"@scorers": "spacy_attn.sense_scorer.v1"},
}


class SenseDisambiguator:
    """Writes ``doc.spans["senses"]`` and serves ``token._.sense`` and ``span._.sense``.

    Inventory and method are read at construction, models at the first text that holds a
    word of the inventory. A text without one costs a dictionary look-up for each token.

    Args:
        nlp: gives tokenizer, stop words and language.
        name: of the component.
        settings: see ``DEFAULTS`` for names and meanings.
        scorer: gives ``nlp.evaluate`` its numbers.

    Raises:
        ConfigError: a setting is illegal, or an attribute name is taken.
        InventoryError: a line of the inventory is broken.
    """

    def __init__(
        self,
        nlp: Language,
        name: str,
        settings: dict[str, Any],
        scorer: Callable[..., dict[str, Any]] | None = None,
    ) -> None:
        threshold = settings["threshold"]
        if not 0.0 <= threshold <= 1.0:
            raise ConfigError(f"threshold = {threshold}; legal is a probability from 0 to 1")
        self.name = name
        self.config = settings
        self.scorer = scorer
        self.inventory: Inventory = load_inventory(settings["inventory"], nlp.lang)
        self.method: SenseMethod = sense_method(settings["method"])
        self.backoff: SenseMethod | None = (
            sense_method(settings["backoff"]) if settings["backoff"] is not None else None
        )
        self._resources = resources_of(nlp)
        self._fitted: dict[str, FittedMethod] = {}
        self._has_reported = False
        self._install()

    def __getstate__(self) -> dict[str, Any]:
        """For a spawned child, which prepares its methods itself: models are not pickled."""
        return {**self.__dict__, "_fitted": {}}

    def _install(self) -> None:
        install_sense_extensions(self.config["attr"], self.config["spans_key"])

    def __call__(self, doc: Doc) -> Doc:
        """Annotate one Doc."""
        self.annotate([doc])
        return doc

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Annotate a stream of Docs, many in one batch, order kept."""
        for docs in minibatch(stream, batch_size):
            self.annotate(docs)
            yield from docs

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        """Precision, recall and F1 of the sense ids, for ``nlp.evaluate``."""
        if self.scorer is None:
            return {}
        return self.scorer(examples, spans_key=self.config["spans_key"], **kwargs)

    def prepared(self, role: str = "method") -> FittedMethod:
        """The method, or with role "backoff" the back-off, made ready for the inventory.

        Raises:
            ResourceError: a model or an extra that it needs is missing.
        """
        if role not in self._fitted:
            method = self.method if role == "method" else self.backoff
            if method is None:
                raise ConfigError("this component has no backoff")
            self._fitted[role] = method.prepare(self.inventory, self._resources)
        return self._fitted[role]

    def annotate(self, docs: list[Doc]) -> None:
        """Find the targets of some Docs, decide, and write the span groups."""
        self._install()  # a spawned child starts without extensions
        contexts, targets, holders = [], [], []
        found: dict[int, list[tuple[Target, PlainData]]] = {}
        for i, doc in enumerate(docs):
            found[i] = []
            context = context_of(doc)
            hits = find_targets(context, self.inventory, index=len(contexts))
            if hits:
                contexts.append(context)
                targets += hits
                holders.append(i)
        if targets:
            fitted = self.prepared()
            contexts = self._with_vectors([docs[i] for i in holders], contexts, fitted)
            for target, record in self._decide(contexts, targets, fitted):
                found[holders[target.context]].append((target, record))
        for i, doc in enumerate(docs):
            self._write(doc, found[i])

    def _with_vectors(
        self, docs: Sequence[Doc], contexts: list[Context], fitted: FittedMethod
    ) -> list[Context]:
        """Put contextual vectors into the contexts, those on the Doc where they are ours."""
        encoder = fitted.encoder
        if encoder is None:
            return contexts
        stored = [self._stored_vectors(doc, encoder.identity) for doc in docs]
        missing = [i for i, vectors in enumerate(stored) if vectors is None]
        self._report(len(docs), len(missing), encoder.identity)
        arrays = encoder.encode(
            [contexts[i].text for i in missing], [contexts[i].offsets for i in missing]
        )
        for i, array in zip(missing, arrays, strict=True):
            stored[i] = array
        return [
            replace(context, contextual=vectors)
            for context, vectors in zip(contexts, stored, strict=True)
        ]

    def _stored_vectors(self, doc: Doc, identity: str) -> Floats2d | None:
        model_attr = self.config["model_attr"]
        if not Doc.has_extension(model_attr) or doc._.get(model_attr) != identity:
            return None
        vectors = token_vectors(doc, self.config["vectors_attr"])
        return None if vectors is None else vectors.astype("float32", copy=False)

    def _report(self, n: int, n_missing: int, identity: str) -> None:
        """Say once where the vectors come from, and each time when debugging."""
        level = logging.DEBUG if self._has_reported else logging.INFO
        self._has_reported = True
        if n_missing:
            logger.log(level, "%s: own encoder pass over %d texts (%s)", self.name, n_missing, identity)
        if n > n_missing:
            logger.log(
                level, "%s: reuses doc._.%s of %d texts (%s)",
                self.name, self.config["vectors_attr"], n - n_missing, identity,
            )  # fmt: skip

    def _decide(
        self, contexts: Sequence[Context], targets: Sequence[Target], fitted: FittedMethod
    ) -> Iterator[tuple[Target, PlainData]]:
        unsure = []
        for target, decision in score_senses(fitted, contexts, targets):
            if decision.score < self.config["threshold"]:
                unsure.append(target)
            else:
                yield target, _record(contexts[target.context], target, decision, fitted.name)
        if unsure and self.backoff is not None:
            backoff = self.prepared("backoff")
            for target, decision in score_senses(backoff, contexts, unsure):
                yield target, _record(contexts[target.context], target, decision, backoff.name)

    def _write(self, doc: Doc, found: list[tuple[Target, PlainData]]) -> None:
        found = sorted(found, key=lambda pair: pair[0].start)
        spans, scores, records = [], [], []
        for target, record in found:
            label = record.pop("label")
            spans.append(Span(doc, target.start, target.end, label, kb_id=record["sense"]))
            scores.append(record["score"])
            records.append(record)
        key = self.config["spans_key"]
        attrs = {"scores": scores, "records": records}
        doc.spans[key] = SpanGroup(doc, name=key, spans=spans, attrs=attrs)


def _record(context: Context, target: Target, decision: Decision, method: str) -> PlainData:
    """What is stored of a decision; named by characters, so that it survives merged tokens."""
    sense = decision.sense
    return {
        "start": context.offsets[target.start][0],
        "end": context.offsets[target.end - 1][1],
        "sense": sense.id,
        "lemma": sense.lemma,
        "definition": sense.definition,
        "score": decision.score,
        "margin": decision.margin,
        "ranked": [[sense_id, score] for sense_id, score in decision.ranked],
        "method": method,
        "label": sense.supersense,
    }


def context_of(doc: Doc) -> Context:
    """What methods see of a Doc."""
    return Context(
        text=doc.text,
        tokens=[token.text for token in doc],
        offsets=[(token.idx, token.idx + len(token)) for token in doc],
        lemmas=[token.lemma_.lower() for token in doc],
        tags=[token.pos_ for token in doc],
    )


def resources_of(nlp: Language) -> Resources:
    """Tokenizer and stop words of a pipeline."""
    return Resources(partial(_tokenize, nlp), frozenset(nlp.Defaults.stop_words))


def _tokenize(nlp: Language, text: str) -> Context:
    return context_of(nlp.make_doc(text))


def score_senses(
    fitted: FittedMethod, contexts: Sequence[Context], targets: Sequence[Target]
) -> Iterator[tuple[Target, Decision]]:
    """Decide some targets with a method. Used by the component, the comparison and the jobs."""
    scores = fitted.score(contexts, targets)
    for target, array in zip(targets, scores, strict=True):
        yield target, decide(target, array, fitted.temperature)


@Language.factory(
    "sense_disambiguator",
    assigns=["doc.spans", "token._.sense", "span._.sense"],
    default_config=DEFAULTS,
    default_score_weights={"spans_senses_f": 1.0, "spans_senses_p": 0.0, "spans_senses_r": 0.0},
)
def make_sense_disambiguator(
    nlp: Language,
    name: str,
    inventory: str,
    method: Any,
    threshold: float,
    backoff: Any,
    attr: str,
    spans_key: str,
    vectors_attr: str,
    model_attr: str,
    scorer: Callable[..., dict[str, Any]] | None,
) -> SenseDisambiguator:
    """Make a :class:`SenseDisambiguator`; no model is loaded before the first target."""
    return SenseDisambiguator(
        nlp,
        name,
        {
            "inventory": inventory, "method": method, "threshold": threshold,
            "backoff": backoff, "attr": attr, "spans_key": spans_key,
            "vectors_attr": vectors_attr, "model_attr": model_attr,
        },
        scorer,
    )  # fmt: skip
