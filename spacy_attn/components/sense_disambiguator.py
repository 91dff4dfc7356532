"""The ``sense_disambiguator`` component: which sense a word has here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example
from spacy.util import minibatch

from spacy_attn._types import Floats2d, PlainData
from spacy_attn.components.extensions import (
    install_sense_extensions,
    refuse_shared_names,
    token_vectors,
)
from spacy_attn.errors import ConfigError
from spacy_attn.methods import METHODS, sense_method
from spacy_attn.senses.context import (
    Context,
    FittedMethod,
    Resources,
    SenseMethod,
    Target,
    find_targets,
    with_vectors,
)
from spacy_attn.senses.decide import Decision, decide
from spacy_attn.senses.inventory import Inventory
from spacy_attn.senses.lexicon import WordNetInventory, find_words, open_inventory

__all__ = [
    "SenseDisambiguator",
    "context_of",
    "make_sense_disambiguator",
    "resources_of",
    "score_senses",
]

logger = logging.getLogger("spacy_attn")

DEFAULTS: dict[str, Any] = {
    "inventory": "homographs",  # or "wordnet", or the path of your own .jsonl file
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
        ConfigError: a setting is illegal, or another component writes the same name.
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
        refuse_shared_names(nlp, name, self.written_names)
        self.scorer = scorer
        self.inventory: Inventory | WordNetInventory = open_inventory(
            settings["inventory"], nlp.lang
        )
        self.method: SenseMethod = sense_method(settings["method"])
        self.backoff: SenseMethod | None = (
            sense_method(settings["backoff"], "backoff")
            if settings["backoff"] is not None
            else None
        )
        for method in (self.method, self.backoff):
            _refuse_method(method, self.inventory)
        self._resources = resources_of(nlp)
        self._fitted: dict[str, FittedMethod] = {}
        self._has_reported = False
        self._install()

    def __getstate__(self) -> dict[str, Any]:
        """For a spawned child, which prepares its methods itself: models are not pickled."""
        return {**self.__dict__, "_fitted": {}}

    @property
    def written_names(self) -> dict[str, str]:
        """Setting and what it names."""
        attr, key = self.config["attr"], self.config["spans_key"]
        return {"spans_key": f"doc.spans[{key!r}]", "attr": f"token._.{attr}"}

    def _install(self) -> None:
        install_sense_extensions(self.config["attr"], self.config["spans_key"])

    def __call__(self, doc: Doc) -> Doc:
        """Annotate one Doc."""
        self.annotate([doc])
        return doc

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Annotate a stream of Docs, many in one batch, order kept."""
        for docs in minibatch(stream, batch_size):  # type: ignore[no-untyped-call]
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
            # The methods that need the senses of all words are refused at construction.
            self._fitted[role] = method.prepare(cast(Inventory, self.inventory), self._resources)
        return self._fitted[role]

    def annotate(self, docs: list[Doc]) -> None:
        """Find the targets of some Docs, decide, and write the span groups."""
        self._install()  # a spawned child starts without extensions
        contexts: list[Context] = []
        targets: list[Target] = []
        holders: list[int] = []  # the Doc of each context
        found: list[list[tuple[Target, PlainData]]] = [[] for _ in docs]
        for i, doc in enumerate(docs):
            context = context_of(doc)
            hits = self._find(doc, context, len(contexts))
            if hits:
                contexts.append(context)
                targets += hits
                holders.append(i)
        if targets:
            for target, record in self._decide([docs[i] for i in holders], contexts, targets):
                found[holders[target.context]].append((target, record))
        for doc, pairs in zip(docs, found, strict=True):
            self._write(doc, pairs)

    def _find(self, doc: Doc, context: Context, index: int) -> list[Target]:
        """The words of a Doc that have senses in the inventory."""
        if isinstance(self.inventory, Inventory):
            return find_targets(context, self.inventory, index)
        if doc.text.strip() and not doc.has_annotation("POS"):
            raise ConfigError(
                f"{self.name!r} with the inventory 'wordnet' needs parts of speech, and this Doc "
                "has none; put it behind a tagger and attribute_ruler, as in en_core_web_sm"
            )
        return find_words(context, self.inventory, index)

    def _decide(
        self, docs: Sequence[Doc], contexts: Sequence[Context], targets: Sequence[Target]
    ) -> Iterator[tuple[Target, PlainData]]:
        unsure = []
        fitted = self.prepared()
        for target, decision in self._decisions(fitted, docs, contexts, targets):
            if decision.score < self.config["threshold"]:
                unsure.append(target)
            else:
                yield target, _record(contexts[target.context], target, decision, fitted.name)
        if unsure and self.backoff is not None:
            backoff = self.prepared("backoff")
            for target, decision in self._decisions(backoff, docs, contexts, unsure):
                yield target, _record(contexts[target.context], target, decision, backoff.name)

    def _decisions(
        self,
        fitted: FittedMethod,
        docs: Sequence[Doc],
        contexts: Sequence[Context],
        targets: Sequence[Target],
    ) -> Iterator[tuple[Target, Decision]]:
        """Decide the targets; the texts that hold one get vectors if the method needs them."""
        if fitted.encoder is None:
            return score_senses(fitted, contexts, targets)
        used = list(dict.fromkeys(target.context for target in targets))
        encoded = list(contexts)
        missing = []
        for i in used:
            vectors = self._stored_vectors(docs[i], fitted.encoder.identity)
            encoded[i] = replace(contexts[i], contextual=vectors)
            if vectors is None:
                missing.append(i)
        self._report(len(used), len(missing), fitted.encoder.identity)
        if missing:
            fresh = with_vectors(fitted, [contexts[i] for i in missing])
            for i, context in zip(missing, fresh, strict=True):
                encoded[i] = context
        return score_senses(fitted, encoded, targets)

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
            logger.log(
                level, "%s: own encoder pass over %d texts (%s)", self.name, n_missing, identity
            )
        if n > n_missing:
            logger.log(
                level, "%s: reuses doc._.%s of %d texts (%s)",
                self.name, self.config["vectors_attr"], n - n_missing, identity,
            )  # fmt: skip

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


#: Methods that look at the candidates of a word alone, so that WordNet's 206,941 senses need no
#: preparation.
_WORDNET_METHODS = ("first_sense", "random")


def _refuse_method(method: SenseMethod | None, inventory: Inventory | WordNetInventory) -> None:
    """A method of ours that would prepare every sense of WordNet, and those of others not."""
    if method is None or isinstance(inventory, Inventory):
        return
    if method.name in METHODS and method.name not in _WORDNET_METHODS:
        raise ConfigError(
            f"method = {method.name!r} cannot be used with inventory = 'wordnet' yet; legal are "
            f"{', '.join(_WORDNET_METHODS)} and methods of your own"
        )


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
    return Resources(_Tokenize(nlp.make_doc), frozenset(nlp.Defaults.stop_words))


@dataclass(frozen=True)
class _Tokenize:
    """A pipeline's tokenizer, also one that is put there later."""

    make_doc: Callable[[str], Doc]

    def __call__(self, text: str) -> Context:
        return context_of(self.make_doc(text))

    def __reduce__(self) -> tuple[Any, ...]:
        """A spawned child gets the tokenizer, not the whole pipeline with its weights."""
        nlp = getattr(self.make_doc, "__self__", None)
        return _Tokenize, (nlp.tokenizer if isinstance(nlp, Language) else self.make_doc,)


def score_senses(
    fitted: FittedMethod, contexts: Sequence[Context], targets: Sequence[Target]
) -> Iterator[tuple[Target, Decision]]:
    """Decide some targets with a method. Used by the component, the comparison and the jobs.

    Raises:
        ConfigError: the method's answer does not fit the targets.
    """
    scores = fitted.score(contexts, targets)
    if len(scores) != len(targets):
        raise ConfigError(
            f"the method {fitted.name!r} scored {len(scores)} of {len(targets)} targets; "
            "it must give one array for each"
        )
    for target, array in zip(targets, scores, strict=True):
        if array.shape != (len(target.candidates),) or np.isnan(array).any():
            raise ConfigError(
                f"the method {fitted.name!r} gave {array!r} for {target.lemma!r}; it must give "
                f"one number for each of {len(target.candidates)} senses"
            )
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
