"""What a dictionary must hold, and what coarser answers are worth.

    python -m benchmarks.dictionaries

* *definitions and examples*: the test set of *homographs* with its inventory cut down: definitions
  alone, definitions with 1, 3 and 6 examples of each sense (mean of three draws), and as many
  examples without definitions.
* *granularity*: ALLamended with words and lemmas given, answered fine, coarse and as supersenses.
  A group is right where it holds a gold sense. With larger groups every system is right more
  often, so the first sense stands beside the method, and the mean number of groups of a word.

Nothing is tuned on either set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import spacy

from benchmarks.all_words import ALLAMENDED
from benchmarks.common import ROOT, SEED, Result, need, publish, run_command
from spacy_attn.compare.curves import learning_points
from spacy_attn.compare.dataset import BUNDLED, open_dataset
from spacy_attn.compare.metrics import interval
from spacy_attn.compare.systems import MethodSystem
from spacy_attn.compare.task import Prediction, Task, gold_task, tagged_by
from spacy_attn.components.adapter import resources_of
from spacy_attn.wsd.inventory.jsonl import Inventory, load_inventory
from spacy_attn.wsd.inventory.wordnet import wordnet_inventory
from spacy_attn.wsd.methods.registry import SENSE_MODEL
from spacy_attn.wsd.sense import Sense

METHODS = ("lesk_extended", "word2vec", "attention", "ensemble")
SIZES = (1, 3, 6)


def without_definitions(inventory: Inventory) -> Inventory:
    """The same senses with their examples alone."""
    senses = tuple(replace(sense, definition="") for sense in inventory.senses)
    return Inventory(inventory.name, senses, inventory.lang)


def run() -> Result:
    """All figures, as plain data."""
    nlp = spacy.blank("en")
    resources = replace(resources_of(nlp), may_keep=False)
    data = open_dataset(BUNDLED, tagged_by(nlp))
    whole = load_inventory("homographs", "en")
    bare = without_definitions(whole)
    rows = []
    for method in METHODS:
        system = MethodSystem(method)
        with_definitions = learning_points(
            system, gold_task(data, whole, resources), _silent, (0, *SIZES)
        )
        without = learning_points(system, gold_task(data, bare, resources), _silent, SIZES)
        rows.append({"method": method, "definitions": with_definitions, "examples": without})
    return {"n": len(data.instances), "dictionaries": rows, "granularity": granularity(nlp)}


def granularity(nlp: Any) -> Result:
    """Accuracy on ALLamended of fine, coarse and supersense answers."""
    inventory = wordnet_inventory()
    data = open_dataset(ALLAMENDED, tagged_by(nlp))
    task = gold_task(data, inventory, resources_of(nlp))
    names: dict[str, Callable[[Sense], str]] = {
        "fine": lambda sense: sense.id,
        "coarse": inventory.group_of,
        "supersense": lambda sense: sense.supersense,
    }
    rows = []
    for method in ("first_sense", "attention"):
        answers = MethodSystem(method)(task, _silent)
        for granularity, name_of in names.items():
            right = np.array(_right(task, answers.predictions, name_of))
            rows.append(
                {
                    "method": method,
                    "granularity": granularity,
                    "groups": _mean_groups(task, name_of),
                    "accuracy": float(right.mean()),
                    "ci95": list(interval(right)),
                }
            )
    return {"n": len(data.instances), "rows": rows}


def _right(
    task: Task, predictions: list[Prediction | None], name_of: Callable[[Sense], str]
) -> list[bool]:
    out = []
    for prediction, item, target in zip(
        predictions, task.dataset.instances, task.targets, strict=True
    ):
        if prediction is None or target is None:
            out.append(False)
            continue
        group = {sense.id: name_of(sense) for sense in target.candidates}
        sums: dict[str, float] = {}
        for sense, probability in prediction.ranked:
            sums[group[sense]] = sums.get(group[sense], 0.0) + probability
        best = max(sums, key=lambda name: sums[name])
        out.append(best in {group[key] for key in item.gold if key in group})
    return out


def _mean_groups(task: Task, name_of: Callable[[Sense], str]) -> float:
    counts = [len(set(map(name_of, t.candidates))) for t in task.targets if t is not None]
    return float(np.mean(counts))


def _silent(done: int, total: int) -> None:
    del done, total


def main() -> None:
    need(ALLAMENDED, "ALLamended")
    files = [SENSE_MODEL, ROOT / "spacy_attn" / "data" / "wordnet_more.npz", ALLAMENDED]
    publish("dictionaries", run(), ".dictionaries", files, seed=SEED)


if __name__ == "__main__":
    run_command(main, __doc__)
