"""Accuracy of every sense method on CoarseWSD-20, nothing of it trained on.

    python -m benchmarks.senses coarsewsd20

All methods see the same tokens, lemmas and tags and choose among the same candidates: the
targets are given by the data, so nothing is dropped from n. The set is scored a second time
end to end, where a word that the pipeline does not find counts as wrong. It is scored through a
mapping from our senses to its own (``coarsewsd20_mapping.json``); a prediction of a sense that has
no counterpart there is wrong. Nothing is trained or tuned on it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from benchmarks.common import DATA, ROOT, SEED, Result, need, publish, records, rounded, run_command
from spacy_attn import load_pipeline
from spacy_attn.compare.dataset import Dataset, Instance, Tag
from spacy_attn.compare.experiment import run_systems
from spacy_attn.compare.metrics import macro_f1
from spacy_attn.compare.process import Ask, answer
from spacy_attn.compare.results import score
from spacy_attn.compare.systems import MethodSystem
from spacy_attn.compare.task import Answers, Prediction, end_to_end_task, gold_task, tagged_by
from spacy_attn.components.adapter import resources_of
from spacy_attn.wsd.context import tokens_within
from spacy_attn.wsd.inventory.jsonl import load_inventory
from spacy_attn.wsd.methods.registry import DATA as PACKAGE_DATA
from spacy_attn.wsd.methods.registry import SENSE_MODEL, short_names

CORPUS = DATA / "coarsewsd20.jsonl.gz"
MAPPING = ROOT / "benchmarks" / "coarsewsd20_mapping.json"
END_TO_END = "attention"  # the method that is asked end to end too


def read_test_split(tag: Tag, mapping: dict[str, str]) -> Dataset:
    """The test split, tokens joined by blanks as the set gives them (lower case).

    What counts as right are our senses of a sense of the set; its own name where there is none.
    """
    ours: dict[str, list[str]] = defaultdict(list)
    for sense, theirs in mapping.items():
        ours[theirs].append(sense)
    items = [record for record in records(CORPUS) if record["split"] == "test"]
    contexts = tag([" ".join(item["tokens"]) for item in items])
    instances = []
    for i, (item, context) in enumerate(zip(items, contexts, strict=True)):
        before = item["tokens"][: item["index"]]
        at = len(" ".join(before)) + bool(before)
        start, end = tokens_within(context, at, at + len(item["tokens"][item["index"]]))
        gold = tuple(ours[item["sense"]]) or (item["sense"],)
        instances.append(Instance(str(i), i, start, end, item["word"], "NOUN", gold))
    return Dataset("coarsewsd20", tuple(contexts), tuple(instances))


def shown(
    row: Result, dataset: Dataset, said: list[Prediction | None], mapping: dict[str, str]
) -> Result:
    """What is published of a row; macro-F1 is over the senses of the set."""
    words = [item.lemma for item in dataset.instances]
    gold = [mapping.get(item.gold[0], item.gold[0]) for item in dataset.instances]
    chosen = [None if p is None else mapping.get(p.sense, p.sense) for p in said]
    return {
        "name": row["name"],
        "accuracy": round(row["accuracy"], 4),
        "macro_f1": round(macro_f1(words, gold, chosen), 4),
        "ci95": rounded(row["ci95"]),
        "calibration_error": round(row["calibration_error"], 4),
        "words_per_second": round(row["words_per_second"]),
        "by_word": {word: round(share, 4) for word, share in row["by_word"].items()},
    }


def run() -> Result:
    """All methods with the targets given, and one end to end."""
    mapping: dict[str, str] = json.loads(MAPPING.read_text(encoding="utf-8"))["senses"]
    nlp = load_pipeline()
    nlp.disable_pipe("sense_disambiguator")
    inventory, resources, tag = load_inventory("homographs"), resources_of(nlp), tagged_by(nlp)
    dataset = read_test_split(tag, mapping)
    given = gold_task(dataset, inventory, resources)
    plain = end_to_end_task(dataset, inventory, resources, tag)
    ends: dict[str, Answers] = {}

    def plan(name: str, ask: Ask) -> Answers:
        if name == END_TO_END:
            ends[name] = ask(answer, plain)
        return ask(answer, given)

    systems: dict[str, Any] = {name: MethodSystem(name) for name in short_names()}
    answers, failed = run_systems(systems, plan)
    result = score(given, systems, answers, failed)
    (found,) = score(plain, systems, ends, {})["systems"]
    return {
        "dataset": dataset.name,
        "n": result["n"],
        "systems": [
            shown(row, dataset, answers[row["name"]].predictions, mapping)
            for row in result["systems"]
        ],
        "end_to_end": {
            "method": END_TO_END,
            "found": round(found["coverage"], 4),
            "accuracy": round(found["accuracy"], 4),
        },
    }


def main() -> None:
    need(CORPUS, "CoarseWSD-20")
    files = [PACKAGE_DATA / "homographs.jsonl", SENSE_MODEL, MAPPING]
    command = ".senses coarsewsd20"
    publish("senses-coarsewsd20", run(), command, files, shown="results", seed=SEED)


if __name__ == "__main__":
    run_command(main, __doc__, ("coarsewsd20",))
