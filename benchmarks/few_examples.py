"""What WordNet adds to few examples: the method ``attention`` without and with ``wordnet``.

    python -m benchmarks.few_examples

Sentences of our own for all senses of *homographs*, in six strata: *plain*, *near*, *far* (the only
cue is twelve or more words away), *cross* (another sentence decides), *distractor* (a word of
another sense stands near) and *shifted* (another register). They are for choosing: no test set is
read here. The inventory keeps no example, 1, 3, 6 or all of each sense (mean of two draws), with
its definitions and without.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import spacy

from benchmarks.common import ROOT, SEED, Result, publish, run_command
from benchmarks.dictionaries import without_definitions
from spacy_attn.compare.curves import right_with
from spacy_attn.compare.dataset import open_dataset
from spacy_attn.compare.metrics import accuracy_by
from spacy_attn.compare.task import Task, gold_task, tagged_by
from spacy_attn.components.adapter import resources_of
from spacy_attn.wsd.inventory.jsonl import load_inventory
from spacy_attn.wsd.methods.registry import SENSE_MODEL, sense_method
from spacy_attn.wsd.vectors import Texts

SENTENCES = ROOT / "benchmarks" / "texts" / "few_examples.jsonl"
SIZES = (0, 1, 3, 6, None)  # examples of each sense; None: all
DRAWS = 2


def accuracies(task: Task, texts: Texts, spec: Result) -> Result:
    """Share of right answers over all and by stratum."""
    fitted = sense_method(spec).prepare(task.inventory, task.resources)
    right = right_with(task, texts, fitted)
    strata = [item.stratum for item in task.dataset.instances]
    return {"all": float(right.mean()), **accuracy_by(strata, right)}


def run() -> Result:
    """All figures, as plain data."""
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    resources = replace(resources_of(nlp), may_keep=False)
    data = open_dataset(SENTENCES, tagged_by(nlp))
    texts = Texts(data.contexts)  # encoded once for all
    whole = load_inventory("homographs", "en")
    bare = without_definitions(whole)
    rows = []
    for wordnet, inventory, size in product((False, True), (whole, bare), SIZES):
        if inventory is bare and size == 0:
            continue
        spec = {"@sense_methods": "spacy_attn.attention.v1", "wordnet": wordnet}
        parts = [inventory]
        if size is not None:
            draws = range(DRAWS if size else 1)
            parts = [inventory.with_examples(size, seed) for seed in draws]
        found = [accuracies(gold_task(data, part, resources), texts, spec) for part in parts]
        has = {"wordnet": wordnet, "definitions": inventory is whole, "examples": size}
        rows.append(
            {**has, **{name: float(np.mean([each[name] for each in found])) for name in found[0]}}
        )
        print(rows[-1], flush=True)
    return {"n": len(data.instances), "draws": DRAWS, "rows": rows}


def main() -> None:
    publish("few-examples", run(), ".few_examples", [SENTENCES, SENSE_MODEL], seed=SEED)


if __name__ == "__main__":
    run_command(main, __doc__)
