"""Senses of all words in realistic texts, from plain text, judged strictly.

    python -m benchmarks.real_text

``texts/`` holds 24 texts of twelve kinds (news, chat, recipe, tenancy, medicine, review, manual,
sport, letter, schoolbook, police, business), written for this project by a language model, half of
them for development. Every noun, main verb, adjective and adverb that WordNet knows is marked, a
phrasal verb or compound as one. ``labels.jsonl`` has its senses; of the test half those on which
two labellers agree who did not see each other's (97.7 % of the words), ``null`` where they do not,
and an empty list where no sense of WordNet fits. Two more labellers saw all senses of each word of
the test half, shuffled, and marked every one whose definition is true of the use; ``also`` has the
senses beside the label that both marked. All labellers are language models too.

A word is right if the component gives one of its synsets. What it does not find is wrong.
*accepted* counts the senses of ``also`` as right too.

The held-out texts of the written corpus (``corpus/texts``, a fifth) are a third set: no model that
ships has read them, but temperatures, ``none`` and the weight of readings were chosen on them.

Three more files, by another writer who did not see the code: ``cases.jsonl`` (520 sentences in
which tagger, lemmatizer or word list decide wrongly; what should come out), ``none.jsonl`` (uses
that no sense of an inventory covers, and uses of the same words that one does), ``bats.jsonl``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc

from benchmarks.common import ACCURATE_METHOD, ROOT, SEED, Result, publish, run_command
from spacy_attn import load_pipeline
from spacy_attn.compare.metrics import interval
from spacy_attn.models import resolve_pipeline
from spacy_attn.train.corpora import corpus_files, held_out_texts
from spacy_attn.wsd.inventory.synsets import synset_of
from spacy_attn.wsd.methods.registry import DATA, SENSE_MODEL, MethodSpec

TEXTS = ROOT / "benchmarks" / "texts"
CORPUS = ROOT / "corpus"
SURE = 0.95


#: Texts by name, and their labels.
Labelled = tuple[dict[str, str], list[dict[str, Any]]]


def half_of(half: str) -> Labelled:
    """The texts for development ("dev"), or those that are for measuring alone ("test")."""
    labels = [label for label in lines_of("labels") if label["text"].startswith(half)]
    names = sorted({label["text"] for label in labels})
    return {n: (TEXTS / f"{n}.txt").read_text(encoding="utf-8") for n in names}, labels


def of_corpus() -> Labelled:
    """The texts of the written corpus that no model is trained on."""
    held_out = held_out_texts(CORPUS)
    labels = [
        {"text": name, "start": start, "end": end, "senses": keys}
        for name, record in held_out.items()
        for start, end, keys in record["senses"]
    ]
    return {name: record["text"] for name, record in held_out.items()}, labels


def measured(nlp: Language, texts: dict[str, str], labels: list[dict[str, Any]]) -> Result:
    """What a pipeline says of some texts."""
    docs = dict(zip(texts, nlp.pipe(texts.values()), strict=True))
    counts: Counter[str] = Counter()
    right, accepted = [], []
    for label in labels:
        if label["senses"] is None:
            counts["disputed"] += 1
            continue
        said = sense_at(docs[label["text"]], label["start"], label["end"])
        is_right = is_one_of(said, label["senses"])
        is_sure = said is not None and said[1] > SURE
        counts["sure and wrong"] += is_sure and not is_right
        if label["senses"]:
            right.append(is_right)
            accepted.append(is_right or is_one_of(said, label.get("also", ())))
            counts["not found"] += said is None
        else:
            counts["not covered"] += 1
            counts["not covered and low"] += said is None or said[1] < 0.5
    n = len(right) + counts["not covered"]
    return {
        "n": len(right),
        "accuracy": float(np.mean(right)),
        "ci95": list(interval(np.array(right))),
        "accepted": float(np.mean(accepted)),
        "sure_and_wrong": counts["sure and wrong"] / n,
        "not_found": counts["not found"] / len(right),
        "disputed": counts["disputed"],
        "not_covered": counts["not covered"],
        "not_covered_and_low": counts["not covered and low"],
    }


def sense_at(doc: Doc, start: int, end: int) -> tuple[str, float] | None:
    """Id and score of the first sense that touches some characters."""
    for token in doc:
        if token.idx < end and start < token.idx + len(token) and token._.sense:
            return token._.sense.id, token._.sense.score
    return None


def is_one_of(said: tuple[str, float] | None, keys: Collection[str]) -> bool:
    """Whether a sense belongs to the synset of one of the keys."""
    return said is not None and synset_of(said[0]).offset in {synset_of(k).offset for k in keys}


def lines_of(name: str) -> list[dict[str, Any]]:
    """The records of one of the files."""
    text = (TEXTS / f"{name}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def cases(pipelines: dict[str, Language]) -> dict[str, list[int]]:
    """How many cases of each kind are right, and how many there are."""
    found: dict[str, list[int]] = {}
    for case in lines_of("cases"):
        doc = pipelines[case["inventory"]](case["text"])
        counts = found.setdefault(case["kind"], [0, 0])
        counts[0] += is_right(case["expect"], sense_at(doc, case["start"], case["end"]))
        counts[1] += 1
    return found


def is_right(expect: dict[str, Any], said: tuple[str, float] | None) -> bool:
    """Whether a sense is what a case expects."""
    if expect.get("none"):
        return said is None
    if expect.get("low"):
        return said is None or said[1] < 0.8
    lemma = None if said is None else said[0].partition("%")[0]
    if "notlemma" in expect:
        return lemma is None or lemma not in expect["notlemma"]
    if said is None:
        return False
    if "lemma" in expect:
        return lemma in expect["lemma"]
    return said[0] in expect["key"] if "key" in expect else True


def none_auc(nlp: Language, inventory: str) -> dict[str, Any]:
    """How well ``none`` tells uses that no sense covers from those that one does."""
    from sklearn.metrics import roc_auc_score

    items = [item for item in lines_of("none") if item["inventory"] == inventory]
    none = []
    for item in items:
        doc = nlp(item["text"])
        span = doc.char_span(item["start"], item["end"], alignment_mode="expand")
        sense = next((t._.sense for t in span or () if t._.sense), None)
        none.append(1.0 if sense is None else sense.none)
    uncovered = [not item["covered"] for item in items]
    return {
        "n": len(items),
        "uncovered": sum(uncovered),
        "auc": float(roc_auc_score(uncovered, none)),
    }


def bats(pipelines: dict[str, Language]) -> dict[str, list[int]]:
    """How many sentences with "bat" are right in each inventory, and how many there are."""
    found = {name: [0, 0] for name in pipelines}
    for item in lines_of("bats"):
        for name, nlp in pipelines.items():
            expected = item["key"] if name == "wordnet" else [item["homographs"]]
            if expected != [None]:
                said = sense_at(nlp(item["text"]), item["start"], item["end"])
                found[name][0] += said is not None and said[0] in expected
                found[name][1] += 1
    return found


def run() -> Result:
    """The default method, the accurate model and the first sense, on all sets of texts."""
    rows = []
    sets = {"dev": half_of("dev"), "test": half_of("test"), "held out": of_corpus()}
    methods: dict[str, MethodSpec] = {name: name for name in ("first_sense", "attention")}
    methods["attention, accurate"] = ACCURATE_METHOD
    for name, method in methods.items():
        for pipeline in (None, resolve_pipeline()):
            nlp = load_pipeline(pipeline, inventory="wordnet", method=method)
            for half, labelled in sets.items():
                row = {"method": name, "parser": pipeline is not None, "half": half}
                rows.append({**row, **measured(nlp, *labelled)})
    of_default, of_accurate = (
        {
            name: load_pipeline(resolve_pipeline(), inventory=name, method=method)
            for name in ("wordnet", "homographs")
        }
        for method in ("attention", ACCURATE_METHOD)
    )
    return {
        "systems": rows,
        "cases": cases(of_default),
        "none": {name: none_auc(nlp, name) for name, nlp in of_default.items()},
        "bats": bats(of_default),
        "accurate": {
            "none": {name: none_auc(nlp, name) for name, nlp in of_accurate.items()},
            "bats": bats(of_accurate),
        },
    }


def main() -> None:
    files = [SENSE_MODEL, DATA / "readings.json.gz", TEXTS / "labels.jsonl"]
    files += corpus_files(CORPUS, ".jsonl")
    publish("real-text", run(), ".real_text", files, seed=SEED)


if __name__ == "__main__":
    run_command(main, __doc__)
