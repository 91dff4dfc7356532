"""What WordNet adds to few examples: the method ``attention`` without and with ``wordnet``.

    python -m benchmarks.few_examples

Sentences of our own for all senses of *homographs*, in three strata: *plain*, *distractor* (a word
of another sense stands near) and *cross* (another sentence decides). They are for choosing: no test
set is read here. The inventory keeps no example, 1, 3, 6 or all of each sense (mean of two draws),
with its definitions and without.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import spacy

from benchmarks.common import ROOT, SEED, Result, publish, run_command
from benchmarks.dictionaries import without_definitions
from spacy_attn.compare.task import tagged_by
from spacy_attn.components.adapter import resources_of
from spacy_attn.wsd.context import Resources, Target, tokens_within
from spacy_attn.wsd.inventory.jsonl import Inventory, load_inventory
from spacy_attn.wsd.methods.registry import SENSE_MODEL, sense_method
from spacy_attn.wsd.vectors import Texts

SENTENCES = ROOT / "benchmarks" / "texts" / "few_examples.jsonl"
SIZES = (0, 1, 3, 6, None)  # examples of each sense; None: all
DRAWS = 2


def accuracies(
    inventory: Inventory, texts: Texts, items: Sequence[Result], resources: Resources, spec: Result
) -> Result:
    """Share of right answers over all and by stratum."""
    fitted = sense_method(spec).prepare(inventory, resources)
    targets = [
        Target(
            i,
            *tokens_within(context, item["start"], item["end"]),
            item["lemma"],
            inventory.candidates(item["lemma"], item["pos"]),
        )
        for i, (context, item) in enumerate(zip(texts, items, strict=True))
    ]
    scores = fitted.score(texts, targets)
    best = [t.candidates[int(s.argmax())].id for t, s in zip(targets, scores, strict=True)]
    right = np.array([one == item["sense"] for one, item in zip(best, items, strict=True)])
    strata = np.array([item["stratum"] for item in items])
    return {
        "all": float(right.mean()),
        **{name: float(right[strata == name].mean()) for name in dict.fromkeys(strata.tolist())},
    }


def run() -> Result:
    """All figures, as plain data."""
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    resources = replace(resources_of(nlp), may_keep=False)
    items = [json.loads(line) for line in SENTENCES.read_text(encoding="utf-8").splitlines()]
    texts = Texts(tagged_by(nlp)([item["text"] for item in items]))  # encoded once for all
    whole = load_inventory("homographs", "en")
    bare = without_definitions(whole)
    rows = []
    for wordnet, inventory, size in product((False, True), (whole, bare), SIZES):
        if inventory is bare and size == 0:
            continue
        # Without it half of the sense model's change suits examples better (benchmarks/README.md).
        strength = 1.0 if wordnet or size == 0 else 0.5
        spec = {
            "@sense_methods": "spacy_attn.attention.v1",
            "wordnet": wordnet,
            "strength": strength,
        }
        parts = [inventory]
        if size is not None:
            draws = range(DRAWS if size else 1)
            parts = [inventory.with_examples(size, seed) for seed in draws]
        found = [accuracies(part, texts, items, resources, spec) for part in parts]
        has = {"wordnet": wordnet, "definitions": inventory is whole, "examples": size}
        rows.append(
            {**has, **{name: float(np.mean([each[name] for each in found])) for name in found[0]}}
        )
        print(rows[-1], flush=True)
    return {"n": len(items), "draws": DRAWS, "rows": rows}


def main() -> None:
    publish("few-examples", run(), ".few_examples", [SENTENCES, SENSE_MODEL], seed=SEED)


if __name__ == "__main__":
    run_command(main, __doc__)
