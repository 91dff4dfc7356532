"""Each ambiguous word of some texts, decided by several methods beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from spacy.language import Language

from spacy_attn._types import Floats1d, PlainData
from spacy_attn.components.adapter import context_of, resources_of
from spacy_attn.components.sense_disambiguator import SenseDisambiguator
from spacy_attn.errors import ResourceError
from spacy_attn.explain.decision import component_of
from spacy_attn.explain.occlusion import occlusion
from spacy_attn.wsd.context import Context, Target
from spacy_attn.wsd.decide import Decision
from spacy_attn.wsd.engine import disambiguate, find_all
from spacy_attn.wsd.method import FittedMethod, VectorMethod
from spacy_attn.wsd.methods.registry import MethodSpec, sense_method
from spacy_attn.wsd.vectors import Texts

_SHOWN_CUES = 3


def side_by_side(
    nlp: Language,
    texts: Sequence[str],
    methods: Sequence[str] | Mapping[str, MethodSpec],
    cues: bool = True,
) -> tuple[list[PlainData], dict[str, str]]:
    """Decide every word of the inventory in every text with every method.

    Args:
        nlp: a pipeline with a ``sense_disambiguator``; its inventory is used.
        texts: the texts.
        methods: names of sense methods; or what a config has for each of them, by its name.
        cues: whether to find the context words that weighed most (costs a pass a word).

    Returns:
        For each word a record: ``text_index``, ``text`` (the word as written), ``start``,
        ``end``, ``lemma``, ``static_similarity`` and ``attention_similarity`` (mean cosine
        to the same lemma in the other texts; None without one, or without the vectors),
        ``cues`` and ``methods`` (name to sense, score, margin and definition). And the
        methods that could not run, with the reason.

    Raises:
        ConfigError: no ``sense_disambiguator`` in the pipeline, no such method, or one that does
            not take the inventory.
    """
    component = component_of(nlp)
    inventory = component.inventory
    with nlp.select_pipes(disable=_after(nlp, component)):
        contexts = [context_of(doc) for doc in nlp.pipe(texts)]
    source = Texts(contexts)
    targets = find_all(inventory, contexts)
    records: list[PlainData] = [_record(contexts, target) for target in targets]
    failed: dict[str, str] = {}
    specs = methods if isinstance(methods, Mapping) else {name: name for name in methods}
    for name, spec in specs.items():
        try:
            fitted = sense_method(spec).prepare(inventory, resources_of(nlp))
            decisions = _decide(name, fitted, source, targets, records)
        except ResourceError as error:
            failed[name] = str(error)
            continue
        if name in ("attention", "word2vec") and isinstance(fitted, VectorMethod) and targets:
            kind = "attention_similarity" if fitted.has_context else "static_similarity"
            _similarities(records, kind, fitted.target_vectors(source, targets))
        if name == "attention" and cues:
            _cues(fitted, contexts, targets, decisions, records)
    return records, failed


def _after(nlp: Language, component: SenseDisambiguator) -> list[str]:
    """The component and what comes behind it: texts are only prepared for it here."""
    names = [name for name, pipe in nlp.pipeline if pipe is component]
    return nlp.pipe_names[nlp.pipe_names.index(names[0]) :]


def _record(contexts: Sequence[Context], target: Target) -> PlainData:
    context = contexts[target.context]
    start, end = context.offsets[target.start][0], context.offsets[target.end - 1][1]
    return {
        "text_index": target.context,
        "text": context.text[start:end],
        "start": start,
        "end": end,
        "lemma": target.lemma,
        "static_similarity": None,
        "attention_similarity": None,
        "cues": [],
        "methods": {},
    }


def _decide(
    name: str,
    fitted: FittedMethod,
    texts: Texts,
    targets: Sequence[Target],
    records: list[PlainData],
) -> list[Decision]:
    decisions = disambiguate(fitted, texts, targets) if targets else []
    for record, decision in zip(records, decisions, strict=True):
        record["methods"][name] = {
            "sense": decision.sense.id,
            "score": round(decision.score, 4),
            "margin": round(decision.margin, 4),
            "definition": decision.sense.definition,
        }
    return decisions


def _similarities(records: list[PlainData], key: str, rows: Any) -> None:
    """Mean cosine of each occurrence to those of its lemma in other texts."""
    for i, record in enumerate(records):
        others = [
            _cosine(rows[i], rows[j])
            for j, other in enumerate(records)
            if other["lemma"] == record["lemma"] and other["text_index"] != record["text_index"]
        ]
        if others:
            record[key] = round(float(np.mean(others)), 4)


def _cosine(a: Floats1d, b: Floats1d) -> float:
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norms if norms else 0.0


def _cues(
    fitted: FittedMethod,
    contexts: Sequence[Context],
    targets: Sequence[Target],
    decisions: Sequence[Decision],
    records: list[PlainData],
) -> None:
    """The words without which the chosen sense is least ahead of the runner-up.

    The same weights as those of ``spacy-attn explain``, whose default they are.
    """
    for record, target, decision in zip(records, targets, decisions, strict=True):
        ids = [sense.id for sense in target.candidates]
        best, *others = (ids.index(each) for each in decision.ids)
        against = others[0] if others else None
        found = occlusion(fitted, contexts[target.context], target, best, against=against)
        record["cues"] = [
            {"text": a.text, "start": a.span[0], "end": a.span[1], "weight": round(a.weight, 4)}
            for a in found[:_SHOWN_CUES]
            if a.weight > 0
        ]
