"""Accuracy of every sense method on CoarseWSD-20, nothing of it trained on.

    python -m benchmarks.senses coarsewsd20

All methods see the same tokens, lemmas and tags and choose among the same candidates: the
targets are given by the data, so nothing is dropped from n. The set is scored a second time
end to end, through the component, where a word that the pipeline does not find counts as
wrong. CoarseWSD-20 is scored through a mapping from our senses to its own
(``coarsewsd20_mapping.json``); a prediction of a sense that has no counterpart there is
wrong. Nothing is trained or tuned on either set.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.common import DATA, ROOT, manifest
from spacy_attn import load_pipeline
from spacy_attn.compare.metrics import calibration_error, interval, macro_f1
from spacy_attn.components.sense_disambiguator import context_of, resources_of, score_senses
from spacy_attn.methods import METHODS, SENSE_MODEL, sense_method
from spacy_attn.wsd.context import Context, Target, tokens_within, with_vectors
from spacy_attn.wsd.inventory.model import read_labelled

RESULTS = ROOT / "benchmarks" / "results"
MAPPING = ROOT / "benchmarks" / "coarsewsd20_mapping.json"
BUNDLED = ROOT / "spacy_attn" / "data"


@dataclass(frozen=True, slots=True)
class Instance:
    """A word in a text and what it is compared with."""

    text: str
    start: int
    end: int
    lemma: str
    pos: str
    gold: str  # what a prediction is compared with, after the mapping
    stratum: str = ""


def homographs() -> Iterator[Instance]:
    for item in read_labelled(BUNDLED / "homographs.test.jsonl"):
        yield Instance(
            item.text, item.start, item.end, item.lemma, item.pos, item.sense, item.stratum
        )


def coarsewsd20() -> Iterator[Instance]:
    """The test split, tokens joined by blanks as the set gives them (lower case)."""
    with gzip.open(DATA / "coarsewsd20.jsonl.gz", "rt", encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            if record["split"] != "test":
                continue
            tokens, index = record["tokens"], record["index"]
            start = len(" ".join(tokens[:index])) + (index > 0)
            end = start + len(tokens[index])
            yield Instance(" ".join(tokens), start, end, record["word"], "NOUN", record["sense"])


def targets_of(
    contexts: Sequence[Context], instances: Sequence[Instance], inventory: Any
) -> list[Target]:
    """The given targets: the tokens that share characters with the span."""
    out = []
    for i, (context, item) in enumerate(zip(contexts, instances, strict=True)):
        first, end = tokens_within(context, item.start, item.end)
        candidates = inventory.candidates(item.lemma, item.pos)
        out.append(Target(i, first, end, item.lemma, candidates))
    return out


def predict(
    method: str, nlp: Any, contexts: list[Context], targets: list[Target]
) -> tuple[list[str], list[float], float]:
    """Sense ids, probabilities and seconds of one method."""
    component = nlp.get_pipe("sense_disambiguator")
    fitted = sense_method(method).prepare(component.inventory, resources_of(nlp))
    if fitted.encoder is not None:  # loading the model is not part of the speed
        fitted.encoder.encode([contexts[0].text], [contexts[0].offsets])
    started = time.perf_counter()
    ids: list[str] = []
    scores: list[float] = []
    step = 256
    for first in track(range(0, len(contexts), step), method, disable=not sys.stderr.isatty()):
        mine = [
            Target(t.context - first, t.start, t.end, t.lemma, t.candidates)
            for t in targets[first : first + step]
        ]
        chunk = with_vectors(fitted, contexts[first : first + step], mine)
        for _, decision in score_senses(fitted, chunk, mine):
            ids.append(decision.sense.id)
            scores.append(decision.score)
    return ids, scores, time.perf_counter() - started


def accuracy_and_macro_f1(
    words: Sequence[str], gold: Sequence[str], predicted: Sequence[str]
) -> tuple[float, float]:
    """Accuracy = correct / n; macro_f1 = mean over words of the mean F1 over its gold senses."""
    right = sum(g == p for g, p in zip(gold, predicted, strict=True))
    return right / len(gold), macro_f1(words, gold, predicted)


def run(dataset: str, methods: Sequence[str]) -> dict[str, Any]:
    instances = list(coarsewsd20())
    mapping: dict[str, str] = json.loads(MAPPING.read_text(encoding="utf-8"))["senses"]
    nlp = load_pipeline()
    component = nlp.get_pipe("sense_disambiguator")
    nlp.disable_pipe("sense_disambiguator")
    docs = nlp.pipe([item.text for item in instances], batch_size=256)
    contexts = [context_of(doc) for doc in docs]
    targets = targets_of(contexts, instances, component.inventory)
    gold = [item.gold for item in instances]
    words = [item.lemma for item in instances]
    n_words = sum(len(context.tokens) for context in contexts)
    systems = []
    for method in methods:
        ids, scores, seconds = predict(method, nlp, contexts, targets)
        predicted = [mapping.get(i, i) for i in ids]
        accuracy, macro_f1 = accuracy_and_macro_f1(words, gold, predicted)
        right = np.array([g == p for g, p in zip(gold, predicted, strict=True)])
        row = {
            "name": method,
            "accuracy": round(accuracy, 4),
            "macro_f1": round(macro_f1, 4),
            "ci95": [round(bound, 4) for bound in interval(right)],
            "calibration_error": round(calibration_error(np.array(scores), right), 4),
            "words_per_second": round(n_words / seconds),
            "by_word": {
                word: round(float(right[[w == word for w in words]].mean()), 4)
                for word in sorted(set(words))
            },
        }
        systems.append(row)
    result = {"dataset": dataset, "n": len(instances), "systems": systems}
    nlp.enable_pipe("sense_disambiguator")
    result["end_to_end"] = end_to_end(nlp, instances, mapping)
    return result


def end_to_end(
    nlp: Any, instances: Sequence[Instance], mapping: dict[str, str]
) -> dict[str, float]:
    """The default pipeline on plain text: a target that it does not find is wrong."""
    right = found = 0
    for doc, item in zip(nlp.pipe(i.text for i in instances), instances, strict=True):
        span = doc.char_span(item.start, item.end, alignment_mode="expand")
        sense = span[0]._.sense
        found += sense is not None
        right += sense is not None and mapping.get(sense.id, sense.id) == item.gold
    return {
        "method": "attention",
        "found": round(found / len(instances), 4),
        "accuracy": round(right / len(instances), 4),
    }


def main() -> None:
    dataset = sys.argv[1] if len(sys.argv) > 1 else "coarsewsd20"
    methods = sys.argv[2].split(",") if len(sys.argv) > 2 else list(METHODS)
    if dataset != "coarsewsd20":
        sys.exit(f"{dataset!r}: legal is coarsewsd20; of homographs, python -m benchmarks run")
    result = run(dataset, methods)
    files = [BUNDLED / "homographs.jsonl", SENSE_MODEL]
    files.append(MAPPING)
    command = f"python -m benchmarks.senses {dataset}"
    result["manifest"] = manifest(command, files, seed=0)
    if len(sys.argv) <= 2:
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"senses-{dataset}.json"
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    table = Table(title=f"{dataset}, n = {result['n']}, end to end {result['end_to_end']}")
    for head in ("method", "accuracy", "95 %", "macro-F1", "ECE", "words/s"):
        table.add_column(head)
    for s in result["systems"]:
        low, high = s["ci95"]
        table.add_row(
            s["name"], f"{s['accuracy']:.3f}", f"{low:.3f} to {high:.3f}",
            f"{s['macro_f1']:.3f}", f"{s['calibration_error']:.3f}", f"{s['words_per_second']:,}",
        )  # fmt: skip
    Console().print(table)


if __name__ == "__main__":
    main()
