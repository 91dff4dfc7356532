"""What unequal numbers of examples do: a sense with two beside one with nine.

    python -m benchmarks.unequal_examples

The test set of *homographs* with its inventory cut down. Of the senses of each word one, drawn at
random, keeps 9 examples and each other 2 (mean of three draws). The method ``attention`` learns
from them once as it does, each sense counting the same, and once with each example counting the
same. Accuracy is shown for all instances, and for those whose sense has few examples.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import spacy
from numpy.typing import NDArray

from benchmarks.common import SEED, Result, publish, run_command
from spacy_attn._types import Floats1d, Floats2d
from spacy_attn.compare.dataset import BUNDLED, open_dataset
from spacy_attn.compare.task import gold_task, tagged_by
from spacy_attn.components.adapter import resources_of
from spacy_attn.wsd.engine import disambiguate
from spacy_attn.wsd.inventory.jsonl import Inventory, load_inventory
from spacy_attn.wsd.methods import attention
from spacy_attn.wsd.methods.registry import SENSE_MODEL, sense_method
from spacy_attn.wsd.vectors import Texts

MANY, FEW, DRAWS = 9, 2, 3

Bools2d = NDArray[np.bool_]
Fit = Callable[[Sequence[Floats2d], float], tuple[Floats2d, Floats1d]]


def each_example_alike(examples: Sequence[Floats2d], penalty: float) -> tuple[Floats2d, Floats1d]:
    """:func:`.attention.fit_examples` without weights of the examples.

    *Shape:* for each sense (n_examples, 2 * width) -> (n_senses, 2 * width), (n_senses,)
    """
    from sklearn.linear_model import Ridge

    y = np.repeat(2 * np.eye(len(examples)) - 1, [len(rows) for rows in examples], axis=0)
    model = Ridge(alpha=penalty).fit(np.concatenate(examples).astype(np.float64), y)
    return model.coef_.astype(np.float32), model.intercept_.astype(np.float32)


def cut_down(inventory: Inventory, seed: int) -> Inventory:
    """One sense of each word keeps many examples, the others few."""
    rng = random.Random(seed)  # noqa: S311 - a draw
    lemmas = dict.fromkeys(lemma for lemma, _ in inventory.words)
    rich = {rng.choice(inventory.candidates(lemma)).id for lemma in lemmas}
    senses = (
        replace(s, examples=s.examples[: MANY if s.id in rich else FEW]) for s in inventory.senses
    )
    return Inventory(inventory.name, tuple(senses), inventory.lang)


def run() -> Result:
    """All figures, as plain data."""
    nlp = spacy.blank("en")
    resources = replace(resources_of(nlp), may_keep=False)
    task = gold_task(
        open_dataset(BUNDLED, tagged_by(nlp)), load_inventory("homographs", "en"), resources
    )
    texts = Texts(task.contexts)  # encoded once for all
    targets = [target for target in task.targets if target is not None]
    golds = [
        item.gold
        for item, target in zip(task.dataset.instances, task.targets, strict=True)
        if target is not None
    ]
    fits: dict[str, Fit] = {"senses": attention.fit_examples, "examples": each_example_alike}
    right: dict[str, list[list[bool]]] = {name: [] for name in fits}
    few: list[list[bool]] = []
    for seed in range(DRAWS):
        part = cut_down(load_inventory("homographs", "en"), seed)
        size = {sense.id: len(sense.examples) for sense in part.senses}
        few.append([max(size[name] for name in gold) <= FEW for gold in golds])
        for name, fit in fits.items():
            with patch.object(attention, "fit_examples", fit):
                fitted = sense_method("attention").prepare(part, resources)
            decided = disambiguate(fitted, texts, targets)
            right[name].append([d.sense.id in gold for d, gold in zip(decided, golds, strict=True)])
    n = len(task.dataset.instances)
    return {
        "n": n,
        "many": MANY,
        "few": FEW,
        "draws": DRAWS,
        "rows": [_row(name, np.array(right[name]), np.array(few), n) for name in fits],
    }


def _row(name: str, right: Bools2d, few: Bools2d, n: int) -> Result:
    """Means of the draws. *Shape:* (n_draws, n_targets) twice"""
    accuracies = right.sum(axis=1) / n
    return {
        "counts_the_same": name,
        "accuracy": float(accuracies.mean()),
        "low": float(accuracies.min()),  # of the draws
        "high": float(accuracies.max()),
        "of_senses_with_few": float(right[few].mean()),
        "of_senses_with_many": float(right[~few].mean()),
    }


def main() -> None:
    publish("unequal-examples", run(), ".unequal_examples", [BUNDLED, SENSE_MODEL], seed=SEED)


if __name__ == "__main__":
    run_command(main, __doc__)
