"""The ``sense_disambiguator`` component: which sense a word has here."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example

from spacy_attn._types import Floats2d, PlainData
from spacy_attn.batches import MAX_TOKENS, batches
from spacy_attn.components.adapter import contexts_of, may_hold_words, resources_of
from spacy_attn.components.extensions import (
    drop_unkept,
    install_sense_extensions,
    refuse_shared_names,
    token_vectors,
)
from spacy_attn.components.stored_weights import read_stored, write_stored
from spacy_attn.errors import ConfigError, ResourceError, counted
from spacy_attn.models import senses_for, weights_sha256
from spacy_attn.settings import differing_settings
from spacy_attn.wsd.decide import Decision, check_threshold
from spacy_attn.wsd.engine import Answer, disambiguate_or_back_off, find_all
from spacy_attn.wsd.granularity import coarsen_for
from spacy_attn.wsd.inventory.open import load_inventory
from spacy_attn.wsd.inventory.protocol import SenseInventory
from spacy_attn.wsd.method import FittedMethod, Needs, SenseMethod
from spacy_attn.wsd.methods.registry import sense_method, sense_model_of, weights_of
from spacy_attn.wsd.vectors import Stored, Texts

logger = logging.getLogger("spacy_attn")

_MOST_RANKED = 100  # senses that are stored with an occurrence; WordNet has 75 of a word at most

DEFAULTS: dict[str, Any] = {
    # or "wordnet", the path of your own .jsonl file, a list of these, or senses themselves
    "inventory": "homographs",
    "method": "attention",  # a short name or {"@sense_methods": "spacy_attn.lesk.v1", ...}
    "threshold": 0.0,  # below this probability the method abstains
    "backoff": None,  # the method that decides then; null leaves the word without a sense
    "attr": "sense",  # Token and Span attribute
    "spans_key": "senses",  # span group
    "granularity": "fine",  # or "coarse" (WordNet) or "supersense": several senses as one
    "names": False,  # with "wordnet": whether proper nouns (PROPN) get senses too
    "vectors_attr": "attn_vectors",  # where an attention_encoder before this one writes
    "model_attr": "attn_model",
    "store_weights": False,  # whether nlp.to_disk copies the method's models into the pipeline
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
        ConfigError: a setting is not allowed, or another component writes the same name.
        InventoryError: a line of the inventory is broken.
    """

    def __init__(
        self,
        nlp: Language,
        name: str,
        settings: dict[str, Any],
        scorer: Callable[..., dict[str, Any]] | None = None,
    ) -> None:
        check_threshold(settings["threshold"])
        self.name = name
        self.config = settings
        refuse_shared_names(nlp, name, self.written_names)
        self.scorer = scorer
        self.inventory: SenseInventory = load_inventory(
            settings["inventory"], nlp.lang, names=settings["names"]
        )
        self.coarsen = coarsen_for(settings["granularity"], self.inventory)
        self.method: SenseMethod = sense_method(settings["method"])
        self.backoff: SenseMethod | None = (
            sense_method(settings["backoff"], "backoff")
            if settings["backoff"] is not None
            else None
        )
        self._resources = resources_of(nlp)
        self._fitted: dict[str, FittedMethod] = {}
        self._reported: set[str] = set()  # identities of encoders
        self._nlp: weakref.ref[Language] | None = weakref.ref(nlp)
        self._reads_last = True
        self._install()

    def __repr__(self) -> str:
        """Inventory and methods, on one line."""
        shown = [self.inventory.name, self.method.name]
        shown += [] if self.backoff is None else [self.backoff.name]
        names = zip(("inventory", "method", "backoff"), shown, strict=False)
        inside = ", ".join(f"{name}={value!r}" for name, value in names)
        return f"SenseDisambiguator({inside})"

    def __getstate__(self) -> dict[str, Any]:
        """For a spawned child, which prepares its methods itself: models are not pickled."""
        return {
            **self.__dict__,
            "_fitted": {},
            "_nlp": None,
            "_reads_last": self.reads_last,
        }

    @property
    def reads_last(self) -> bool:
        """Whether no later ``sense_disambiguator`` of the pipeline looks for the same vectors."""
        nlp = self._nlp() if self._nlp is not None else None
        if nlp is None:
            return self._reads_last
        components = [component for _, component in nlp.pipeline]
        later = components[components.index(self) + 1 :] if self in components else []
        attr = self.config["vectors_attr"]
        return not any(
            isinstance(component, SenseDisambiguator) and component.config["vectors_attr"] == attr
            for component in later
        )

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
        for docs in batches(stream, len, MAX_TOKENS, batch_size):
            self.annotate(docs)
            yield from docs

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        """Precision, recall, F1 and accuracy of the sense ids, for ``nlp.evaluate``."""
        if self.scorer is None:
            return {}
        return self.scorer(examples, spans_key=self.config["spans_key"], **kwargs)

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Copy the models of the methods into a folder, where ``store_weights`` is set.

        Static vectors and an inventory of your own stay where they are.

        Raises:
            ResourceError: a model is not on this machine.
        """
        if not self.config["store_weights"]:
            return
        methods = [method for method in (self.method, self.backoff) if method is not None]
        encoders, files = zip(*map(weights_of, methods), strict=True)
        write_stored(Path(path), sum(encoders, ()), sum(files, ()), self._resources.stored)

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> SenseDisambiguator:
        """Take the models that ``to_disk`` copied, if it did.

        Raises:
            ConfigError: the folder is not complete.
        """
        self._resources = replace(self._resources, stored=read_stored(Path(path)))
        self._fitted.clear()
        return self

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
        """Find the targets of some Docs, decide, and write the span groups.

        The last component that reads an ``attention_encoder`` with ``keep = false`` also drops its
        vectors from the Docs.
        """
        self._install()  # a spawned child starts without extensions
        answers_of_docs = self._answers(docs)  # its vectors are freed before records are made
        reads_last = self.reads_last
        for doc, answers in zip(docs, answers_of_docs, strict=True):
            self._write(doc, answers)
            if reads_last:
                drop_unkept(doc, self.config["vectors_attr"])

    def _answers(self, docs: Sequence[Doc]) -> list[list[Answer]]:
        """What the methods say of the words of each Doc."""
        of_doc: list[list[Answer]] = [[] for _ in docs]
        # Most texts of a small inventory end here: nothing more is read of them.
        numbers = [i for i, may in enumerate(may_hold_words(docs, self.inventory)) if may]
        with_words = [docs[i] for i in numbers]
        texts = Texts(list(contexts_of(with_words)), self._stored_vectors_of(with_words))
        targets = find_all(self.inventory, texts)
        if targets:
            back_off = partial(self.prepared, "backoff") if self.backoff is not None else None
            threshold = self.config["threshold"]
            answers = disambiguate_or_back_off(
                self.prepared(), texts, targets, threshold, back_off, self.coarsen
            )
            for answer in answers:
                of_doc[numbers[answer.target.context]].append(answer)
            self._report(with_words, texts)
        return of_doc

    def _stored_vectors_of(self, docs: Sequence[Doc]) -> Stored:
        """Looks up what an ``attention_encoder`` before this component has left on the Docs."""
        model_attr, attr = self.config["model_attr"], self.config["vectors_attr"]

        def stored(index: int, identity: str) -> Floats2d | None:
            doc = docs[index]
            if not Doc.has_extension(model_attr) or doc._.get(model_attr) != identity:
                return None
            vectors = token_vectors(doc, attr)
            return None if vectors is None else vectors.astype("float32", copy=False)

        return stored

    def _report(self, docs: Sequence[Doc], texts: Texts) -> None:
        """Say once where the vectors of an encoder come from, and each time when debugging."""
        for identity, (n_encoded, n_stored) in texts.counts().items():
            is_first = identity not in self._reported
            self._reported.add(identity)
            level = logging.INFO if is_first else logging.DEBUG
            if n_encoded:
                logger.log(
                    level,
                    "%s: own encoder pass over %s (%s)",
                    self.name,
                    counted(n_encoded, "text"),
                    identity,
                )
                if is_first:
                    self._warn_of_missed_vectors(docs, identity)
            if n_stored:
                attr = self.config["vectors_attr"]
                logger.log(
                    level,
                    "%s: reuses doc._.%s of %d texts (%s)",
                    self.name,
                    attr,
                    n_stored,
                    identity,
                )

    def _warn_of_missed_vectors(self, docs: Sequence[Doc], identity: str) -> None:
        """Say which setting keeps an ``attention_encoder`` and this component from sharing."""
        attr, model_attr = self.config["vectors_attr"], self.config["model_attr"]
        if not Doc.has_extension(model_attr):
            return
        doc = next((doc for doc in docs if doc._.get(model_attr)), None)
        if doc is None:
            return
        other = doc._.get(model_attr)
        if other == identity and not Doc.has_extension(attr):
            logger.warning(
                "%s encodes texts again: no component writes doc._.%s; give %s as vectors_attr "
                "the attr of attention_encoder",
                self.name,
                attr,
                self.name,
            )
        changes = differing_settings(other, identity, self._names_of_models())
        if changes:
            logger.warning(
                "%s encodes texts again: doc._.%s was made with other settings; to encode them "
                "once, give attention_encoder %s",
                self.name,
                attr,
                ", ".join(changes),
            )

    def _names_of_models(self) -> dict[str, str]:
        """What a config calls the models of the methods, by how an identity names them."""
        methods = [method for method in (self.method, self.backoff) if method is not None]
        needs = Needs.of(methods)
        names = {Path(name).name: senses_for(name) or name for name in needs.encoders}
        own = {Path(sense_model_of(name)) for name in needs.encoders}
        for path in needs.models:
            with suppress(ResourceError, OSError):  # that of a back-off may be missing till asked
                file = self._resources.sense_model(path)
                names[weights_sha256(file)[:16]] = "senses" if path in own else str(path)
        return names

    def _write(self, doc: Doc, answers: list[Answer]) -> None:
        answers.sort(key=attrgetter("target.start"))  # those of the back-off came last
        spans, scores, records = [], [], []
        for target, decision, method in answers:
            sense = decision.sense
            end = target.end_of(sense)
            span = Span(doc, target.start, end, sense.supersense, kb_id=sense.id)
            spans.append(span)
            scores.append(decision.score)
            records.append(_record(span, decision, method))
        key = self.config["spans_key"]
        attrs = {"scores": scores, "records": records}
        doc.spans[key] = SpanGroup(doc, name=key, spans=spans, attrs=attrs)


def _record(span: Span, decision: Decision, method: str) -> PlainData:
    """What is stored of a decision; named by characters, so that it survives merged tokens."""
    sense = decision.sense
    return {
        "start": span.start_char,
        "end": span.end_char,
        "sense": sense.id,
        "lemma": sense.lemma,
        "definition": sense.definition,
        "score": decision.score,
        "margin": decision.margin,
        "ranked": list(decision.ids[:_MOST_RANKED]),
        "probabilities": list(decision.probabilities[:_MOST_RANKED]),
        "method": method,
    }


@Language.factory(
    "sense_disambiguator",
    assigns=["doc.spans", "token._.sense", "span._.sense"],
    default_config=DEFAULTS,
    default_score_weights={
        "spans_senses_f": 0.0,  # a user who trains has no gold senses: 1.0 halved the total
        "spans_senses_p": 0.0,
        "spans_senses_r": 0.0,
        "spans_senses_per_type": None,  # shown, not a number to weigh
        "senses_acc": 0.0,
    },
)
def make_sense_disambiguator(
    nlp: Language,
    name: str,
    inventory: Any,
    method: Any,
    threshold: float,
    backoff: Any,
    attr: str,
    spans_key: str,
    granularity: str,
    names: bool,
    vectors_attr: str,
    model_attr: str,
    store_weights: bool,
    scorer: Callable[..., dict[str, Any]] | None,
) -> SenseDisambiguator:
    """Make a :class:`SenseDisambiguator`; no model is loaded before the first target."""
    return SenseDisambiguator(
        nlp,
        name,
        {
            "inventory": inventory,
            "method": method,
            "threshold": threshold,
            "backoff": backoff,
            "attr": attr,
            "spans_key": spans_key,
            "granularity": granularity,
            "names": names,
            "vectors_attr": vectors_attr,
            "model_attr": model_attr,
            "store_weights": store_weights,
        },
        scorer,
    )
