"""The ``sense_disambiguator`` component: which sense a word has here."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from spacy.language import Language
from spacy.strings import StringStore
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example

from spacy_attn._types import Floats1d, Floats2d, PlainData
from spacy_attn.components.batches import batches
from spacy_attn.components.extensions import (
    drop_unkept,
    install_sense_extensions,
    refuse_shared_names,
    token_vectors,
)
from spacy_attn.components.stored_weights import read_stored, write_stored
from spacy_attn.errors import ConfigError
from spacy_attn.methods import sense_method, weights_of
from spacy_attn.wsd.context import (
    Context,
    FittedMethod,
    Resources,
    SenseMethod,
    Target,
    find_targets,
    longest_match,
    with_vectors,
)
from spacy_attn.wsd.decide import Decision, decide_all
from spacy_attn.wsd.inventory.model import Inventory
from spacy_attn.wsd.inventory.wordnet import WordNetInventory, find_words, open_inventory

__all__ = [
    "SenseDisambiguator",
    "context_of",
    "contexts_of",
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
        if settings["names"] and isinstance(self.inventory, Inventory):
            raise ConfigError(
                f"names = True with inventory = {settings['inventory']!r}: legal is false; only "
                "'wordnet' leaves names out, in other inventories they have senses like nouns"
            )
        self.method: SenseMethod = sense_method(settings["method"])
        self.backoff: SenseMethod | None = (
            sense_method(settings["backoff"], "backoff")
            if settings["backoff"] is not None
            else None
        )
        self._resources = resources_of(nlp)
        self._fitted: dict[str, FittedMethod] = {}
        self._has_reported = False
        self._nlp: weakref.ref[Language] | None = weakref.ref(nlp)
        self._reads_last = True
        self._install()

    def __getstate__(self) -> dict[str, Any]:
        """For a spawned child, which prepares its methods itself: models are not pickled."""
        return {
            **self.__dict__, "_fitted": {}, "_nlp": None, "_reads_last": self.reads_last,
        }  # fmt: skip

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
        for docs in batches(stream, batch_size):
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
        del exclude
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
        del exclude
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
        """Find the targets of some Docs, decide, and write the span groups."""
        self._install()  # a spawned child starts without extensions
        contexts: list[Context] = []
        targets: list[Target] = []
        holders: list[int] = []  # the Doc of each context
        longest = self._longest_matches(docs)
        # Most texts of a small inventory end here: nothing more is read of them.
        likely = [i for i, matches in enumerate(longest) if matches is None or any(matches)]
        for i, context in zip(likely, contexts_of(docs[i] for i in likely), strict=True):
            hits = self._find(docs[i], context, len(contexts), longest[i])
            if hits:
                contexts.append(context)
                targets += hits
                holders.append(i)
        found: list[list[_Answer]] = [[] for _ in docs]
        if targets:
            for answer in self._decide([docs[i] for i in holders], contexts, targets):
                found[holders[answer.target.context]].append(answer)
        reads_last = self.reads_last
        for doc, answers in zip(docs, found, strict=True):
            self._write(doc, answers)
            if reads_last:
                drop_unkept(doc, self.config["vectors_attr"])

    def _longest_matches(self, docs: Sequence[Doc]) -> list[list[int] | None]:
        """For each token how long a word of the inventory can be there; None: not known."""
        if not isinstance(self.inventory, Inventory):
            return [None] * len(docs)
        store = None
        out: list[list[int] | None] = []
        for doc in docs:
            if doc.vocab.strings is not store:
                store = doc.vocab.strings
                longest = _Longest(store, self.inventory)
            rows = doc.to_array(["ORTH", "LEMMA"]).reshape(len(doc), 2)
            words, lemmas = cast(list[list[int]], rows.T.tolist())
            pairs = zip(words, lemmas, strict=True)
            out.append([max(longest[word], longest[lemma]) for word, lemma in pairs])
        return out

    def _find(
        self, doc: Doc, context: Context, index: int, longest: list[int] | None
    ) -> list[Target]:
        """The words of a Doc that have senses in the inventory."""
        if isinstance(self.inventory, Inventory):
            return find_targets(context, self.inventory, index, longest)
        if not doc.has_annotation("POS") and context.text.strip():
            raise ConfigError(
                f"{self.name!r} with the inventory 'wordnet' needs parts of speech, and this Doc "
                "has none; put it behind a tagger and attribute_ruler, as in en_core_web_sm"
            )
        return find_words(context, self.inventory, index, names=self.config["names"])

    def _decide(
        self, docs: Sequence[Doc], contexts: Sequence[Context], targets: Sequence[Target]
    ) -> Iterator[_Answer]:
        unsure = []
        fitted = self.prepared()
        for target, decision in self._decisions(fitted, docs, contexts, targets):
            if decision.score < self.config["threshold"]:
                unsure.append(target)
            else:
                yield _Answer(target, decision, fitted.name)
        if unsure and self.backoff is not None:
            backoff = self.prepared("backoff")
            for target, decision in self._decisions(backoff, docs, contexts, unsure):
                yield _Answer(target, decision, backoff.name)

    def _decisions(
        self,
        fitted: FittedMethod,
        docs: Sequence[Doc],
        contexts: Sequence[Context],
        targets: Sequence[Target],
    ) -> Iterator[tuple[Target, Decision]]:
        """Decide the targets; a text gets vectors if the method needs them to choose in it.

        A word with one sense has it whatever the text says.
        """
        if fitted.encoder is None:
            return score_senses(fitted, contexts, targets)
        encoded = list(contexts)
        used = list(dict.fromkeys(t.context for t in targets if len(t.candidates) > 1))
        missing = set()
        for i in used:
            vectors = self._stored_vectors(docs[i], fitted.encoder.identity)
            encoded[i] = replace(contexts[i], contextual=vectors)
            if vectors is None:
                missing.add(i)
        if used:
            self._report(len(used), len(missing), fitted.encoder.identity)
        if missing:
            fresh = with_vectors(fitted, contexts, [t for t in targets if t.context in missing])
            for i in missing:
                encoded[i] = fresh[i]
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

    def _write(self, doc: Doc, answers: list[_Answer]) -> None:
        answers.sort(key=attrgetter("target.start"))  # those of the back-off came last
        spans, scores, records = [], [], []
        for target, decision, method in answers:
            sense = decision.sense
            span = Span(doc, target.start, target.end, sense.supersense, kb_id=sense.id)
            spans.append(span)
            scores.append(decision.score)
            records.append(_record(span, decision, method))
        key = self.config["spans_key"]
        attrs = {"scores": scores, "records": records}
        doc.spans[key] = SpanGroup(doc, name=key, spans=spans, attrs=attrs)


class _Answer(NamedTuple):
    """What a method says of a target."""

    target: Target
    decision: Decision
    method: str


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
        "ranked": list(decision.ids),
        "probabilities": list(decision.probabilities),
        "method": method,
    }


def context_of(doc: Doc) -> Context:
    """What methods see of a Doc."""
    (context,) = contexts_of([doc])
    return context


def contexts_of(docs: Iterable[Doc]) -> Iterator[Context]:
    """What methods see of some Docs. Each string of a vocabulary is read once."""
    store = None
    for doc in docs:
        if doc.vocab.strings is not store:
            store = doc.vocab.strings
            plain, lower = _Strings(store), _LowerStrings(store)
        rows = doc.to_array(_TOKEN_ATTRS).reshape(len(doc), len(_TOKEN_ATTRS))
        rows[:, -1] += rows[:, -2]  # where the tokens end
        words, lemmas, tags, spaces, starts, ends = cast(list[list[int]], rows.T.tolist())
        tokens = [plain[word] for word in words]
        pairs = zip(tokens, spaces, strict=True)
        yield Context(
            text="".join([f"{token} " if space else token for token, space in pairs]),
            tokens=tokens,
            offsets=list(zip(starts, ends, strict=True)),
            lemmas=[lower[lemma] for lemma in lemmas],
            tags=[plain[tag] for tag in tags],
        )


_TOKEN_ATTRS: list[int | str] = ["ORTH", "LEMMA", "POS", "SPACY", "IDX", "LENGTH"]


class _Longest(dict[int, int]):
    """:func:`~spacy_attn.wsd.context.longest_match` by the hash of a string."""

    def __init__(self, store: StringStore, inventory: Inventory) -> None:
        self.store, self.inventory = store, inventory

    def __missing__(self, key: int) -> int:
        longest = self[key] = longest_match(self.inventory, self.store[key])
        return longest


class _Strings(dict[int, str]):
    """The strings of a vocabulary by their hash, each read when it is first asked for."""

    def __init__(self, store: StringStore) -> None:
        self.store = store

    def __missing__(self, key: int) -> str:
        text = self[key] = self.store[key]
        return text


class _LowerStrings(_Strings):
    """The same in lower case."""

    def __missing__(self, key: int) -> str:
        text = self[key] = self.store[key].lower()
        return text


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

    The method is asked about the targets with several candidates alone; the contexts of the
    others need no vectors.

    Raises:
        ConfigError: the method's answer does not fit the targets.
    """
    ambiguous = [target for target in targets if len(target.candidates) > 1]
    scores = fitted.score(contexts, ambiguous) if ambiguous else []
    _check(fitted.name, ambiguous, scores)
    answers = iter(scores)
    arrays = [next(answers) if len(t.candidates) > 1 else _CERTAIN for t in targets]
    return zip(targets, decide_all(targets, arrays, fitted.temperature), strict=True)


_CERTAIN = np.zeros(1, dtype=np.float32)


def _check(method: str, targets: Sequence[Target], scores: Sequence[Floats1d]) -> None:
    """Whether a method gave each target a number for each of its senses."""
    if len(scores) != len(targets):
        raise ConfigError(
            f"the method {method!r} scored {len(scores)} of {len(targets)} targets; "
            "it must give one array for each"
        )
    pairs = list(zip(targets, scores, strict=True))
    wrong = [(t, array) for t, array in pairs if array.shape != (len(t.candidates),)]
    if not wrong and scores and np.isnan(np.concatenate(scores)).any():
        wrong = [(t, array) for t, array in pairs if np.isnan(array).any()]
    if wrong:
        target, array = wrong[0]
        raise ConfigError(
            f"the method {method!r} gave {array!r} for {target.lemma!r}; it must give "
            f"one number for each of {len(target.candidates)} senses"
        )


@Language.factory(
    "sense_disambiguator",
    assigns=["doc.spans", "token._.sense", "span._.sense"],
    default_config=DEFAULTS,
    default_score_weights={
        "spans_senses_f": 1.0,
        "spans_senses_p": 0.0,
        "spans_senses_r": 0.0,
        "spans_senses_per_type": None,  # shown, not a number to weigh
        "senses_acc": 0.0,
    },
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
            "inventory": inventory, "method": method, "threshold": threshold,
            "backoff": backoff, "attr": attr, "spans_key": spans_key, "names": names,
            "vectors_attr": vectors_attr, "model_attr": model_attr,
            "store_weights": store_weights,
        },
        scorer,
    )  # fmt: skip
