"""Attention only where it is needed: what selective encoding and the cascade save, and lose.

    python -m benchmarks.speed.selective

* *Selective*: the homographs in SemCor, decided by the component as it is (only what is read goes
  through the encoder), and after an ``attention_encoder`` that encodes everything. The ratio is
  the component's own time, all of it, to that of the encoder alone, in turns; the right senses are
  SemCor's, through the WordNet keys of the inventory.
* *Nothing to do*: documents without a word of the inventory, through en_core_web_sm with and
  without the component.
* *Cascade*: accuracy against the share of words that are left to attention, for each margin, on the
  inventory's own examples held out in turn. The default is the smallest margin whose accuracy is
  within 0.3 points of attention everywhere. What it then gives on the test sentences is reported,
  and nothing is chosen there.
"""

from __future__ import annotations

import gzip
import json
import statistics
import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import spacy
from rich.console import Console
from rich.table import Table
from spacy.language import Language
from spacy.tokens import Doc

from benchmarks.common import DATA, ROOT, manifest
from benchmarks.senses import BUNDLED, homographs, targets_of
from spacy_attn.components.attention_encoder import DEFAULTS as ENCODER
from spacy_attn.components.attention_encoder import AttentionEncoder
from spacy_attn.components.sense_disambiguator import (
    SenseDisambiguator,
    contexts_of,
    resources_of,
    score_senses,
)
from spacy_attn.encoder.huggingface import EncoderSettings, shared_encoder
from spacy_attn.methods import CASCADE_MARGIN, FEW_SHOT_STRENGTH, SENSE_MODEL, sense_method
from spacy_attn.models import resolve_pipeline
from spacy_attn.train.calibrate import (
    MemoEncoder,
    MemoGlosses,
    blank_resources,
    held_out_scores,
)
from spacy_attn.wsd.context import FittedMethod, with_vectors
from spacy_attn.wsd.decide import log_softmax
from spacy_attn.wsd.inventory.model import Inventory, load_inventory
from spacy_attn.wsd.methods.attention import Attention, SenseHead
from spacy_attn.wsd.methods.cascade import Cascade

RESULT = ROOT / "benchmarks" / "results" / "selective.json"
CORPUS = DATA / "semcor.jsonl.gz"
REPETITIONS, N_SENTENCES, PER_DOCUMENT = 5, 4000, 10
MARGINS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
TOLERANCE = 0.003
CHEAP = ("lesk_extended", "word2vec")


def semcor() -> list[dict[str, Any]]:
    """The first sentences of SemCor."""
    with gzip.open(CORPUS, "rt", encoding="utf-8") as file:
        return [json.loads(line) for _, line in zip(range(N_SENTENCES), file, strict=False)]


def documents(nlp: Language, rows: list[dict[str, Any]]) -> tuple[list[Doc], dict[Any, set[str]]]:
    """Tagged documents of ten sentences with SemCor's tokens, and the keys of each token."""
    docs: list[Doc] = []
    keys: dict[Any, set[str]] = {}
    for first in range(0, len(rows), PER_DOCUMENT):
        words: list[str] = []
        for row in rows[first : first + PER_DOCUMENT]:
            for token, names in row["senses"]:
                keys[len(docs), len(words) + token] = set(names)
            words += [word.replace("_", " ") for word in row["tokens"]]
        docs.append(Doc(nlp.vocab, words=words))
    return list(nlp.pipe(docs)), keys


def seconds(component: Any, docs: list[Doc]) -> float:
    """Of a component alone."""
    started = time.perf_counter()
    for _ in component.pipe(docs):
        pass
    return time.perf_counter() - started


def accuracy_on(docs: Iterable[Doc], keys: dict[Any, set[str]], inventory: Inventory) -> Any:
    """Share of right senses among the words whose right sense the inventory has."""
    names = {sense.id: set(sense.wordnet) for sense in inventory.senses}
    right = n = 0
    for i, doc in enumerate(docs):
        for span in doc.spans["senses"]:
            gold = keys.get((i, span.start), set())
            lemma = next(s.lemma for s in inventory.senses if s.id == span.kb_id_)
            if gold & set().union(*(s.wordnet for s in inventory.candidates(lemma))):
                n += 1
                right += bool(gold & names[span.kb_id_])
    return round(right / n, 4), n


def selective(console: Console) -> dict[str, Any]:
    nlp = spacy.load(str(resolve_pipeline()), exclude=["parser", "ner", "senter"])
    docs, keys = documents(nlp, semcor())
    whole = [doc.copy() for doc in docs]
    n_words = sum(map(len, docs))
    result: dict[str, Any] = {"n_documents": len(docs), "n_words": n_words}
    for precision in ("float32", "bfloat16"):
        method = {"@sense_methods": "spacy_attn.attention.v1", "precision": precision}
        settings = {**_SETTINGS, "method": sense_method(method)}
        senses = SenseDisambiguator(nlp, "senses", settings)
        encoder = AttentionEncoder(
            "vectors", {**ENCODER, "adapter": "senses", "precision": precision}
        )
        times: dict[str, list[float]] = {"selective": [], "full": []}
        accuracies = {}
        for turn in range(REPETITIONS + 1):  # the first loads
            spent = {"full": seconds(encoder, whole), "selective": seconds(senses, docs)}
            if turn:
                for name, value in spent.items():
                    times[name].append(value)
        seconds(senses, whole)  # reads the vectors that are there
        for name, annotated in (("selective", docs), ("full", whole)):
            accuracies[name], n = accuracy_on(annotated, keys, senses.inventory)  # type: ignore[arg-type]
        ratios = [a / b for a, b in zip(times["selective"], times["full"], strict=True)]
        result[precision] = {
            "ratio": round(statistics.median(ratios), 4),
            "ratios": [round(ratio, 4) for ratio in ratios],
            "words_per_second": {
                name: round(n_words / statistics.median(spent)) for name, spent in times.items()
            },
            "accuracy": accuracies, "n": n,
        }  # fmt: skip
        console.print(precision, result[precision])
    return result


_SETTINGS: dict[str, Any] = {
    "inventory": "homographs", "threshold": 0.0, "backoff": None, "attr": "sense",
    "spans_key": "senses", "names": False, "vectors_attr": "attn_vectors",
    "model_attr": "attn_model",
}  # fmt: skip


def nothing_to_do(console: Console) -> dict[str, Any]:
    """What the component costs where it finds no word."""
    nlp = spacy.load(str(resolve_pipeline()))
    nlp.add_pipe("sense_disambiguator")
    rows = [" ".join(row["tokens"]).replace("_", " ") for row in semcor()]
    quiet = [doc.text for doc in nlp.pipe(rows) if not doc.spans["senses"]][:1500]
    n_words = sum(len(nlp.make_doc(text)) for text in quiet)
    ratios = []
    for turn in range(REPETITIONS + 1):
        spent = {}
        for has_senses in (False, True) if turn % 2 else (True, False):
            with nlp.select_pipes(disable=[] if has_senses else ["sense_disambiguator"]):
                started = time.perf_counter()
                for _ in nlp.pipe(quiet):
                    pass
                spent[has_senses] = time.perf_counter() - started
        if turn:
            ratios.append(spent[True] / spent[False])
    result = {"n_documents": len(quiet), "n_words": n_words,
              "ratio": round(statistics.median(ratios), 4),
              "ratios": [round(ratio, 4) for ratio in ratios]}  # fmt: skip
    console.print(result)
    return result


# -- the cascade ---------------------------------------------------------------------------


def curves(inventory: Inventory) -> dict[str, list[dict[str, float]]]:
    """Accuracy and share left to attention for each margin, on held-out examples."""
    resources = blank_resources(inventory)
    encoder = MemoEncoder(
        shared_encoder(
            EncoderSettings(adapter=str(SENSE_MODEL), strength=FEW_SHOT_STRENGTH, unit="sentence")
        )
    )
    glosses = MemoGlosses(shared_encoder(EncoderSettings()))
    head = SenseHead.load(SENSE_MODEL)
    attention, gold = held_out_scores(
        lambda part: Attention(part, resources, encoder, glosses, head), inventory, resources
    )
    out = {}
    for name in CHEAP:
        method = sense_method(name)
        temperature = method.prepare(inventory, resources).temperature
        scores, _ = held_out_scores(
            lambda part, method=method: method.prepare(part, resources),  # type: ignore[misc]
            inventory, resources,
        )  # fmt: skip
        out[name] = [_point(scores, temperature, attention, gold, m) for m in MARGINS]
    return out


def _point(
    cheap: Sequence[Any], temperature: float, attention: Sequence[Any], gold: list[int], at: float
) -> dict[str, float]:
    right = left = 0
    for a, b, index in zip(cheap, attention, gold, strict=True):
        p = np.sort(np.exp(log_softmax(a, temperature)))
        unsure = len(p) > 1 and p[-1] - p[-2] < at
        left += bool(unsure)
        right += int((b if unsure else a).argmax()) == index
    return {
        "margin": at,
        "accuracy": round(right / len(gold), 4),
        "left": round(left / len(gold), 4),
    }


def knee(curve: list[dict[str, float]]) -> dict[str, float]:
    """The least that is left to attention without losing more than the tolerance."""
    everywhere = max(curve, key=lambda point: point["left"])["accuracy"]
    good = [point for point in curve if point["accuracy"] >= everywhere - TOLERANCE]
    return min(good, key=lambda point: point["left"])


def on_test_sentences(nlp: Language) -> list[dict[str, Any]]:
    """Attention, and the cascade by each cheap method with the default margin, on the test set."""
    instances = list(homographs())
    inventory = load_inventory("homographs")
    contexts = list(contexts_of(nlp.pipe([item.text for item in instances])))
    targets = targets_of(contexts, instances, inventory)
    attention = sense_method("attention").prepare(inventory, resources_of(nlp))
    encoder: Any = attention.encoder
    n_tokens = sum(len(context.tokens) for context in contexts)
    rows = []
    for name in ("attention", *CHEAP):
        fitted: FittedMethod = attention
        if name != "attention":
            cheap = sense_method(name).prepare(inventory, resources_of(nlp))
            fitted = Cascade(cheap, attention, CASCADE_MARGIN)
        before = encoder.n_tokens_encoded
        decided = score_senses(fitted, with_vectors(fitted, contexts, targets), targets)
        pairs = zip(decided, instances, strict=True)
        right = sum(decision.sense.id == item.gold for (_, decision), item in pairs)
        rows.append({
            "method": name if name == "attention" else f"cascade, {name} first",
            "accuracy": round(right / len(instances), 4),
            "tokens_encoded": round((encoder.n_tokens_encoded - before) / n_tokens, 4),
        })  # fmt: skip
    return rows


def main() -> None:
    console = Console(stderr=True)
    inventory = load_inventory("homographs")
    found = curves(inventory)
    knees = {name: knee(curve) for name, curve in found.items()}
    console.print(knees)
    nlp = spacy.load(str(resolve_pipeline()), exclude=["parser", "ner", "senter"])
    result = {
        "cascade": {"held_out": found, "knees": knees, "default_margin": CASCADE_MARGIN,
                    "test_sentences": on_test_sentences(nlp)},
        "selective": selective(console),
        "nothing_to_do": nothing_to_do(console),
        "manifest": manifest(
            "python -m benchmarks.speed.selective",
            [CORPUS, SENSE_MODEL, BUNDLED / "homographs.jsonl", BUNDLED / "homographs.test.jsonl"],
            seed=0,
        ),
    }  # fmt: skip
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    table = Table("cheap", "margin", "left to attention", "accuracy, held out")
    for name, curve in found.items():
        for point in curve:
            shown = f"{point['margin']}", f"{point['left']:.3f}", f"{point['accuracy']:.4f}"
            table.add_row(name, *shown)
    Console().print(table, result["cascade"]["test_sentences"])


if __name__ == "__main__":
    main()
