"""Fit how the attention method decides between words and tells that no sense is meant.

    python scripts/calibrate_readings.py
    python scripts/calibrate_readings.py --model accurate

Adds to ``calibration.json`` beside the sense model (in ``spacy_attn/data``, or in
``models/accurate/spacy_attn_accurate``), for WordNet and for inventories with examples:

* ``coverage``: whether one of a word's senses is meant at all, from its best score. Uses that no
  sense covers are made from uses that one does: the right sense is taken from the candidates
  (the held-out texts of ``corpus/texts``; the examples of *homographs* without one sense of each
  word). How frequent such uses are the texts say.
* ``reading_weight``: how far scores decide between the readings of a word; of a few values the one
  that finds most of the right senses in the held-out texts, read as plain text.

Run it again after ``calibrate.py`` and after ``fit_readings.py``. A model that was trained on
everything knows the held-out texts: the part for WordNet stays as it was for the model that it
went on from.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from math import log
from pathlib import Path
from typing import Any

import numpy as np
from calibrate import CALIBRATION, MODELS, add_to_calibration  # type: ignore[import-not-found]  # beside

from spacy_attn import load_pipeline
from spacy_attn._types import Floats1d
from spacy_attn.compare.manifest import manifest
from spacy_attn.components.adapter import contexts_of, resources_of
from spacy_attn.models import resolve_pipeline
from spacy_attn.settings import EncoderSettings
from spacy_attn.train.corpora import corpus_files, held_out_texts, text_records
from spacy_attn.train.held_out import blank_resources, few_shot_attention, held_out_scores
from spacy_attn.train.sense_sources import held_out_that_was_read
from spacy_attn.wsd.context import Context, Target, tokens_within
from spacy_attn.wsd.decide import decide_all
from spacy_attn.wsd.inventory.jsonl import Inventory, load_inventory
from spacy_attn.wsd.inventory.wordnet import WordNetInventory, wordnet_inventory
from spacy_attn.wsd.inventory.wordnet_files import word_of
from spacy_attn.wsd.method import FittedMethod
from spacy_attn.wsd.methods.attention import attention_v1
from spacy_attn.wsd.methods.registry import DATA, SENSE_MODEL
from spacy_attn.wsd.methods.sense_head import read_arrays
from spacy_attn.wsd.vectors import Texts

#: Share of uses that no sense of an inventory of some words covers; no count is known.
UNCOVERED = 0.1
CORPUS = Path(__file__).parents[1] / "corpus"
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)


def coverage(
    covered: Iterable[Floats1d], uncovered: Iterable[Floats1d], share: float
) -> dict[str, float]:
    """The logistic regression of :class:`~spacy_attn.wsd.methods.calibration.Coverage`.

    Args:
        covered: scores of candidates with the right one.
        uncovered: the same without it.
        share: of uncovered uses in texts; the examples are as many of each, by weight.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    both = [[scores for scores in each if len(scores) > 1] for each in (uncovered, covered)]
    x = np.array([[scores.max(), log(len(scores))] for each in both for scores in each])
    y = np.repeat([0, 1], [len(each) for each in both])
    model = LogisticRegression(class_weight="balanced").fit(x, y)
    top, size = (float(value) for value in model.coef_[0])
    constant = float(model.intercept_[0]) + log((1 - share) / share)
    print("AUC", round(float(roc_auc_score(y, model.decision_function(x))), 4), flush=True)
    return {"top": round(top, 4), "size": round(size, 4), "constant": round(constant, 4)}


# -- WordNet ---------------------------------------------------------------------------------


def of_wordnet(encoder: str, sense_model: Path) -> dict[str, Any]:
    """Both for WordNet, on the held-out texts."""
    inventory = wordnet_inventory()
    nlp = load_pipeline(resolve_pipeline())
    nlp.disable_pipe("sense_disambiguator")
    records = list(held_out_texts(CORPUS).values())
    contexts = list(contexts_of(nlp.pipe([record["text"] for record in records])))
    targets, gold = given(records, contexts, inventory)
    fitted = attention_v1(encoder, str(sense_model)).prepare(inventory, resources_of(nlp))
    scores = fitted.score(Texts(contexts), targets)
    without = [
        np.delete(each, right)
        for each, right in zip(scores, gold, strict=True)
        if len(each) - len(right) > 1
    ]
    found = coverage(scores, without, share_uncovered())
    weight = reading_weight(fitted, inventory, contexts, targets, gold)
    return {"coverage": found, "reading_weight": weight}


def share_uncovered() -> float:
    """Of the labelled words of the texts those of which no sense of WordNet is true."""
    labels = [keys for _, record in text_records(CORPUS) for *_, keys in record["senses"]]
    return labels.count([]) / len(labels)


def given(
    records: Sequence[dict[str, Any]], contexts: Sequence[Context], inventory: WordNetInventory
) -> tuple[list[Target], list[list[int]]]:
    """Targets with two candidates or more, and the indexes of the right ones."""
    targets, gold = [], []
    for i, (record, context) in enumerate(zip(records, contexts, strict=True)):
        for start, end, keys in record["senses"]:
            if not keys:
                continue
            lemma, pos = word_of(keys[0])
            candidates = inventory.candidates(lemma, pos)
            if len(candidates) > 1:
                targets.append(Target(i, *tokens_within(context, start, end), lemma, candidates))
                gold.append([k for k, sense in enumerate(candidates) if sense.id in keys])
    return targets, gold


def reading_weight(
    fitted: FittedMethod,
    inventory: WordNetInventory,
    contexts: Sequence[Context],
    targets: Sequence[Target],
    gold: Sequence[Sequence[int]],
) -> float:
    """The weight that finds most of the right senses in plain text."""
    found = [each for i, context in enumerate(contexts) for each in inventory.find(context, i)]
    several = [target for target in found if len(target.candidates) > 1]
    scores = fitted.score(Texts(contexts), several)
    place = {(target.context, target.start): k for k, target in enumerate(several)}
    right_at = {
        (target.context, target.start): {target.candidates[i].id for i in right}
        for target, right in zip(targets, gold, strict=True)
    }
    shares = {}
    for weight in WEIGHTS:
        decisions = decide_all(several, scores, fitted.temperature, weight)
        n = sum(decisions[place[at]].sense.id in ids for at, ids in right_at.items() if at in place)
        shares[weight] = n / len(right_at)
    print("share of right senses by weight", shares, flush=True)
    return max(WEIGHTS, key=lambda weight: shares[weight])


# -- inventories with examples ---------------------------------------------------------------


def of_examples(encoder: str, sense_model: Path) -> dict[str, Any]:
    """Both for inventories with examples, on those of *homographs*.

    A word's examples are learnt from together, whatever their part of speech: scores compare.
    """
    inventory = load_inventory("homographs")
    resources = blank_resources(inventory)
    prepare = few_shot_attention(resources, EncoderSettings(encoder), sense_model)
    covered, _ = held_out_scores(prepare, inventory, resources)
    uncovered: list[Floats1d] = []
    words = {lemma: inventory.candidates(lemma) for lemma, _ in inventory.words}
    for i in range(max(map(len, words.values()))):
        out = {senses[i].id for senses in words.values() if len(senses) > max(i, 2)}
        kept = tuple(sense for sense in inventory.senses if sense.id not in out)
        part = Inventory(inventory.name, kept, inventory.lang)
        contexts, targets = [], []
        for sense in inventory.senses:
            candidates = part.candidates(sense.lemma, sense.pos)
            if sense.id in out and len(candidates) > 1:
                for example in sense.examples:
                    context = resources.tokenize(example.text)
                    first, end = tokens_within(context, example.start, example.end)
                    targets.append(Target(len(contexts), first, end, sense.lemma, candidates))
                    contexts.append(context)
        uncovered += prepare(part).score(Texts(contexts), targets)
    return {"coverage": coverage(covered, uncovered, UNCOVERED), "reading_weight": 1.0}


def main() -> None:
    """Fit and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", choices=MODELS, default="default")
    given = parser.parse_args()
    encoder, sense_model = MODELS[given.model]
    command = "python scripts/calibrate_readings.py"
    command += "" if sense_model == SENSE_MODEL else f" --model {given.model}"
    if "texts" in held_out_that_was_read(read_arrays(sense_model, "head", ())[0]):
        kept = json.loads(sense_model.with_name(CALIBRATION).read_text(encoding="utf-8"))
        wordnet = kept["attention"]["wordnet"]
        print("WordNet: kept, for the model was trained on the held-out texts too", flush=True)
    else:
        wordnet = of_wordnet(encoder, sense_model)
    found = {"wordnet": wordnet, "examples": of_examples(encoder, sense_model)}
    files = [*corpus_files(CORPUS, ".jsonl"), sense_model, DATA / "readings.json.gz"]
    noted = {**found, "manifest": manifest(command, files, seed=0)}
    add_to_calibration(sense_model, {"attention": noted})
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
