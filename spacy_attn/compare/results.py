"""From answers to the contents of ``results.json``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from spacy_attn._types import PlainData
from spacy_attn.compare.metrics import (
    Bools1d,
    accuracy_by,
    calibration_error,
    groups_of,
    holm,
    interval,
    is_gold,
    macro_f1,
    mcnemar,
    reliability,
    supersense_of,
)
from spacy_attn.compare.systems import PublishedPredictions
from spacy_attn.compare.task import Answers, Prediction, System, Task, right_of
from spacy_attn.wsd.sense import POS_TAGS, Sense

#: The kinds of rows: what was run here, and what was not.
RUN, PUBLISHED = "run", "published predictions"


def score(
    task: Task,
    systems: Mapping[str, System],
    answers: Mapping[str, Answers],
    failed: Mapping[str, str],
    seen: Callable[[Sense], bool] | None = None,
    baseline: str | None = None,
) -> PlainData:
    """The contents of ``results.json``, less its manifest.

    ``n_by`` counts the instances of each group. ``unknown`` counts those whose word has no
    candidate, ``unreachable`` those of which no gold sense is among the candidates; both are
    wrong for every method. Of ``instances``, ``predictions`` holds for each system sense,
    probability and whether it is right.

    Args:
        task: what was asked.
        systems: by name.
        answers: what they said.
        failed: systems that did not run, and why.
        seen: whether a sense was in the training data; for ``unseen_lemma`` and
            ``unseen_sense``.
        baseline: the row that the others are compared with by McNemar's test; None takes
            ``attention`` if it ran, else the first.
    """
    instances = task.dataset.instances
    pairs = list(zip(instances, task.targets, strict=True))
    sorts = {"strata": [i.stratum for i in instances], "pos": [i.pos for i in instances]}
    subsets = groups_of(instances, task.targets, seen)
    rights = {name: right_of(task, each.predictions) for name, each in answers.items()}
    if baseline is None or baseline not in answers:
        baseline = "attention" if "attention" in answers else next(iter(answers))
    tests = comparisons(rights, baseline)
    words = [item.lemma for item in instances]
    rows = [
        {
            "name": name,
            "kind": PUBLISHED if isinstance(systems[name], PublishedPredictions) else RUN,
            **_figures(task, each, rights[name], sorts, subsets),
            **each.details,
            "comparison": tests.get(name),
            "by_word": dict(sorted(accuracy_by(words, rights[name]).items())),
        }
        for name, each in answers.items()
    ]
    return {
        "dataset": task.dataset.name,
        "inventory": task.inventory.name,
        "n": len(instances),
        "n_by": _n_by(sorts, subsets),
        "unknown": sum(target is None for target in task.targets),
        "unreachable": sum(
            target is not None and not any(is_gold(s.id, item, target) for s in target.candidates)
            for item, target in pairs
        ),
        "baseline": baseline,
        "systems": rows,
        "failed": dict(failed),
        "instances": [_instance(task, i, answers, rights) for i in range(len(instances))],
    }


def _n_by(
    sorts: Mapping[str, list[str]], subsets: Mapping[str, Bools1d]
) -> dict[str, dict[str, int]]:
    """The number of instances of each group."""
    n_by = {sort: dict(Counter(filter(None, labels))) for sort, labels in sorts.items()}
    n_by["pos"] = {pos: n_by["pos"][pos] for pos in POS_TAGS if pos in n_by["pos"]}
    n_by["subsets"] = {name: int(members.sum()) for name, members in subsets.items()}
    return n_by


def comparisons(rights: Mapping[str, Bools1d], baseline: str) -> dict[str, PlainData]:
    """McNemar's test of each system against one, with p corrected for their number (Holm).

    Args:
        rights: of each system, what was right. *Shape:* of each (n,)
        baseline: the one that the others are compared with; it has no row.
    """
    others = [name for name in rights if name != baseline]
    found = [mcnemar(rights[name], rights[baseline]) for name in others]
    corrected = holm([p for _, _, p in found])
    return {
        name: {"baseline": baseline, "only_this": only, "only_baseline": other, "p": p, "p_holm": c}
        for name, (only, other, p), c in zip(others, found, corrected, strict=True)
    }


def _figures(
    task: Task,
    answers: Answers,
    right: Bools1d,
    sorts: Mapping[str, list[str]],
    subsets: Mapping[str, Bools1d],
) -> PlainData:
    """The figures of one system."""
    instances, predictions = task.dataset.instances, answers.predictions
    first_gold = [item.gold[0] for item in instances]
    # Any gold sense is right, and all count as the first of them.
    chosen = [
        gold if is_right else (p.sense if p is not None else None)
        for gold, is_right, p in zip(first_gold, right, predictions, strict=True)
    ]
    answered = np.array([p is not None for p in predictions])
    speed, memory = answers.words_per_second, answers.peak_rss_mb
    return {
        "accuracy": float(right.mean()),
        "macro_f1": macro_f1([item.lemma for item in instances], first_gold, chosen),
        "ci95": list(interval(right)),
        **{sort: accuracy_by(labels, right) for sort, labels in sorts.items()},
        "subsets": {name: float(right[members].mean()) for name, members in subsets.items()},
        "supersense_accuracy": _supersense_accuracy(task, predictions),
        "coverage": float(answered.mean()),
        "precision": float(right[answered].mean()) if answered.any() else None,
        **_calibration(predictions, right),
        "words_per_second": None if speed is None else round(speed, 1),
        "peak_rss_mb": None if memory is None else round(memory, 1),
    }


def _calibration(predictions: Sequence[Prediction | None], right: Bools1d) -> PlainData:
    """Over the predictions that have a probability; None where none has."""
    known = [i for i, p in enumerate(predictions) if p is not None and p.score is not None]
    if not known:
        return {"calibration_error": None, "reliability": []}
    scores = np.array([p.score for p in predictions if p is not None and p.score is not None])
    return {
        "calibration_error": calibration_error(scores, right[known]),
        "reliability": reliability(scores, right[known]),
    }


def _supersense_accuracy(task: Task, predictions: Sequence[Prediction | None]) -> float | None:
    """Share of the instances whose predicted supersense is that of a gold sense.

    None where a gold sense has no supersense.
    """
    known: dict[str, str] = {}  # of senses that are not WordNet's keys
    if task.inventory.senses is not None:
        known = {s.id: s.supersense for s in task.inventory.senses if s.supersense}
    gold = [{supersense_of(sense, known) for sense in i.gold} for i in task.dataset.instances]
    if any("" in each for each in gold):
        return None
    right = [
        p is not None and supersense_of(p.sense, known) in each
        for p, each in zip(predictions, gold, strict=True)
    ]
    return float(np.mean(right))


def _instance(
    task: Task, i: int, answers: Mapping[str, Answers], rights: Mapping[str, Bools1d]
) -> PlainData:
    """One instance and what each system said: its text only where it may be shown."""
    item = task.dataset.instances[i]
    said: dict[str, list[Any]] = {}
    for name, each in answers.items():
        p = each.predictions[i]
        sense, score = (None, None) if p is None else (p.sense, p.score)
        said[name] = [sense, None if score is None else round(score, 4), bool(rights[name][i])]
    if not task.dataset.may_quote:
        return {"id": item.id, "predictions": said}
    context = task.dataset.contexts[item.context]
    return {
        "id": item.id,
        "text": context.text,
        "start": context.offsets[item.start][0],
        "end": context.offsets[item.end - 1][1],
        "lemma": item.lemma,
        "pos": item.pos,
        "gold": list(item.gold),
        "stratum": item.stratum,
        "cues": [list(cue) for cue in item.cues],
        "predictions": said,
    }


def to_json(result: PlainData) -> str:
    """A result as JSON, one instance a line."""
    head = {key: value for key, value in result.items() if key != "instances"}
    text = json.dumps(head, ensure_ascii=False, indent=1)
    rows = [json.dumps(row, ensure_ascii=False) for row in result.get("instances", [])]
    listed = ",\n  ".join(rows)
    return f'{text[:-2]},\n "instances": [\n  {listed}\n ]\n}}\n'
