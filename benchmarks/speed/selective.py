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

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc

from benchmarks.common import (
    SEED,
    SEMCOR,
    Result,
    in_turns,
    median_ratio,
    precisions,
    publish,
    records,
    run_command,
    small_pipeline,
)
from spacy_attn.compare import experiment
from spacy_attn.compare.dataset import BUNDLED
from spacy_attn.compare.experiment import Options
from spacy_attn.settings import EncoderSettings
from spacy_attn.train.held_out import blank_resources, few_shot_attention, held_out_scores
from spacy_attn.wsd.decide import log_softmax
from spacy_attn.wsd.inventory.jsonl import Inventory, load_inventory
from spacy_attn.wsd.methods.cascade import CASCADE_MARGIN
from spacy_attn.wsd.methods.registry import DATA, SENSE_MODEL, sense_method

REPETITIONS, N_SENTENCES, PER_DOCUMENT = 5, 4000, 10
MARGINS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
TOLERANCE = 0.003
CHEAP = ("lesk_extended", "word2vec")


# -- encoding what is read -------------------------------------------------------------------


def tagger() -> Language:
    """en_core_web_sm without what the senses do not need."""
    return small_pipeline("parser", "ner", "senter")


def tagged_documents(nlp: Language) -> tuple[list[Doc], dict[Any, set[str]]]:
    """Tagged documents of ten sentences with SemCor's tokens, and the keys of each token."""
    docs: list[Doc] = []
    keys: dict[Any, set[str]] = {}
    rows = list(records(SEMCOR, N_SENTENCES))
    for first in range(0, len(rows), PER_DOCUMENT):
        words: list[str] = []
        for row in rows[first : first + PER_DOCUMENT]:
            for token, names in row["senses"]:
                keys[len(docs), len(words) + token] = set(names)
            words += [word.replace("_", " ") for word in row["tokens"]]
        docs.append(Doc(nlp.vocab, words=words))
    return list(nlp.pipe(docs)), keys


def accuracy_on(
    docs: Iterable[Doc], keys: dict[Any, set[str]], inventory: Inventory
) -> tuple[float, int]:
    """Accuracy on the words whose gold sense the inventory has, and their number."""
    senses = {sense.id: sense for sense in inventory.senses}
    right = n = 0
    for i, doc in enumerate(docs):
        for span in doc.spans["senses"]:
            gold, sense = keys.get((i, span.start), set()), senses[span.kb_id_]
            if gold & set().union(*(s.wordnet for s in inventory.candidates(sense.lemma))):
                n += 1
                right += bool(gold & set(sense.wordnet))
    return round(right / n, 4), n


def selective() -> Result:
    """The component as it is, beside an encoder that encodes everything."""
    nlp = tagger()
    docs, keys = tagged_documents(nlp)
    whole = [doc.copy() for doc in docs]
    n_words = sum(map(len, docs))
    result: Result = {"n_documents": len(docs), "n_words": n_words}
    for precision in precisions():
        method = {"@sense_methods": "spacy_attn.attention.v1", "precision": precision}
        senses: Any = nlp.create_pipe(
            "sense_disambiguator", config={"inventory": "homographs", "method": method}
        )
        encoder: Any = nlp.create_pipe(
            "attention_encoder", config={"adapter": "senses", "precision": precision}
        )
        work = {"full": lambda e=encoder: e.pipe(whole), "selective": lambda s=senses: s.pipe(docs)}
        in_turns(work, 1)  # loads
        times = in_turns(work, REPETITIONS)
        list(senses.pipe(whole))  # reads the vectors that are there
        accuracies = {}
        for name, annotated in (("selective", docs), ("full", whole)):
            accuracies[name], n = accuracy_on(annotated, keys, senses.inventory)
        result[precision] = {
            **median_ratio(times["selective"], times["full"], digits=4),
            "words_per_second": {
                name: round(n_words / statistics.median(spent)) for name, spent in times.items()
            },
            "accuracy": accuracies,
            "n": n,
        }
    return result


def nothing_to_do() -> Result:
    """What the component costs where it finds no word."""
    nlp = small_pipeline()
    nlp.add_pipe("sense_disambiguator")
    rows = [" ".join(row["tokens"]).replace("_", " ") for row in records(SEMCOR, N_SENTENCES)]
    quiet = [doc.text for doc in nlp.pipe(rows) if not doc.spans["senses"]][:1500]

    def without() -> None:
        with nlp.select_pipes(disable=["sense_disambiguator"]):
            list(nlp.pipe(quiet))

    work = {"without": without, "with": lambda: nlp.pipe(quiet)}
    in_turns(work, 1)
    times = in_turns(work, REPETITIONS)
    return {
        "n_documents": len(quiet),
        "n_words": sum(len(nlp.make_doc(text)) for text in quiet),
        **median_ratio(times["with"], times["without"], digits=4),
    }


# -- the cascade ---------------------------------------------------------------------------


def curves(inventory: Inventory) -> dict[str, list[dict[str, float]]]:
    """Accuracy and share left to attention for each margin, on held-out examples."""
    resources = blank_resources(inventory)
    prepare = few_shot_attention(resources, EncoderSettings(), SENSE_MODEL)
    attention, gold = held_out_scores(prepare, inventory, resources)
    out = {}
    for name in CHEAP:
        method = sense_method(name)
        temperature = method.prepare(inventory, resources).temperature
        scores, _ = held_out_scores(
            lambda part, method=method: method.prepare(part, resources),  # type: ignore[misc]
            inventory,
            resources,
        )
        out[name] = [point(scores, temperature, attention, gold, m) for m in MARGINS]
    return out


def point(
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


def on_test_sentences() -> list[Result]:
    """Attention, and the cascade by each cheap method with the default margin, on the test set."""
    cascades = {
        f"cascade, {name} first": {"@sense_methods": "spacy_attn.cascade.v1", "cheap": name}
        for name in CHEAP
    }
    found = experiment.run(Options(methods={"attention": "attention", **cascades}))
    return [
        {
            "method": row["name"],
            "accuracy": round(row["accuracy"], 4),
            "tokens_encoded": row["share_of_tokens_encoded"],
        }
        for row in found["systems"]
    ]


def main() -> None:
    found = curves(load_inventory("homographs"))
    result = {
        "cascade": {
            "held_out": found,
            "knees": {name: knee(curve) for name, curve in found.items()},
            "default_margin": CASCADE_MARGIN,
            "test_sentences": on_test_sentences(),
        },
        "selective": selective(),
        "nothing_to_do": nothing_to_do(),
    }
    files = [SEMCOR, SENSE_MODEL, DATA / "homographs.jsonl", BUNDLED]
    publish("selective", result, ".speed.selective", files, seed=SEED)


if __name__ == "__main__":
    run_command(main, __doc__)
