"""Systems times a data set: from answers to the numbers of ``results.json``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from spacy_attn._types import PlainData
from spacy_attn.compare.datasets import Instance
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
from spacy_attn.compare.systems import (
    Answers,
    OnProgress,
    Prediction,
    PublishedPredictions,
    System,
    Task,
    run_in_own_process,
)
from spacy_attn.errors import ResourceError, SpacyAttnError
from spacy_attn.wsd.inventory.model import POS_TAGS, Inventory, Sense

__all__ = ["PUBLISHED", "RUN", "compare", "run_systems", "score_systems", "to_json"]

#: The kinds of rows: what was run here, and what was not.
RUN, PUBLISHED = "run", "published predictions"


def compare(
    task: Task,
    systems: Mapping[str, System],
    *,
    seen: Callable[[Sense], bool] | None = None,
    in_process: bool = False,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> PlainData:
    """Run systems on a task and measure them; see :func:`run_systems`, :func:`score_systems`."""
    answers, failed = run_systems(task, systems, in_process=in_process, on_progress=on_progress)
    return score_systems(task, systems, answers, failed, seen)


def run_systems(
    task: Task,
    systems: Mapping[str, System],
    *,
    in_process: bool = False,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> tuple[dict[str, Answers], dict[str, str]]:
    """Run systems one after the other, each in its own process with our number of threads.

    Args:
        task: texts and words.
        systems: by the names of their rows.
        in_process: run them here, which measures no memory; for debugging.
        on_progress: called with a system's name, texts done and all texts.

    Returns:
        Answers of the systems that ran, and for the others the reason why they did not.

    Raises:
        ResourceError: none of them ran.
    """
    import torch

    answers: dict[str, Answers] = {}
    failed: dict[str, str] = {}
    for name, system in systems.items():
        report = _reporter(name, on_progress)
        report(0, 0)
        try:
            if in_process or isinstance(system, PublishedPredictions):
                found = system(task, report)
            else:
                found = run_in_own_process(system, task, report, torch.get_num_threads())
            if len(found.predictions) != len(task.targets):
                raise ResourceError(
                    f"it answered {len(found.predictions)} of {len(task.targets)} instances; "
                    "it must give a prediction or None for each"
                )
        except SpacyAttnError as error:
            failed[name] = str(error)
        else:
            answers[name] = found
    if not answers:
        raise ResourceError("; ".join(f"{name}: {reason}" for name, reason in failed.items()))
    return answers, failed


def _reporter(name: str, on_progress: Callable[[str, int, int], None] | None) -> OnProgress:
    def report(done: int, total: int) -> None:
        if on_progress is not None:
            on_progress(name, done, total)

    return report


def score_systems(
    task: Task,
    systems: Mapping[str, System],
    answers: Mapping[str, Answers],
    failed: Mapping[str, str],
    seen: Callable[[Sense], bool] | None = None,
    baseline: str | None = None,
) -> PlainData:
    """The contents of ``results.json``, less its manifest.

    ``n_by`` counts the instances of each group. ``unknown`` counts those whose word has no
    candidate, ``unreachable`` those of which no right sense is among the candidates; both are
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
    sorts = {
        "strata": [item.stratum for item in instances], "pos": [item.pos for item in instances]
    }  # fmt: skip
    subsets = groups_of(instances, task.targets, seen)
    n_by = {sort: dict(Counter(filter(None, labels))) for sort, labels in sorts.items()}
    n_by["pos"] = {pos: n_by["pos"][pos] for pos in POS_TAGS if pos in n_by["pos"]}
    n_by["subsets"] = {name: int(members.sum()) for name, members in subsets.items()}
    known = _supersenses(task)
    rights = {name: _right(task, each.predictions) for name, each in answers.items()}
    if baseline is None or baseline not in answers:
        baseline = "attention" if "attention" in answers else next(iter(answers))
    tests = _comparisons(rights, baseline)
    rows = []
    for name, each in answers.items():
        figures = _row(task, each, rights[name], sorts, subsets, known)
        kind = PUBLISHED if isinstance(systems[name], PublishedPredictions) else RUN
        by_word = dict(
            sorted(accuracy_by([item.lemma for item in instances], rights[name]).items())
        )
        rows.append(
            {
                "name": name, "kind": kind, **figures, **each.details,
                "comparison": tests.get(name), "by_word": by_word,
            }
        )  # fmt: skip
    return {
        "dataset": task.dataset.name,
        "inventory": task.inventory.name,
        "n": len(instances),
        "n_by": n_by,
        "unknown": sum(target is None for target in task.targets),
        "unreachable": sum(
            target is not None and not any(is_gold(s.id, item, target) for s in target.candidates)
            for item, target in zip(instances, task.targets, strict=True)
        ),
        "baseline": baseline,
        "systems": rows,
        "failed": dict(failed),
        "instances": [
            _instance(task, i, item, answers, rights) for i, item in enumerate(instances)
        ],
    }


def _comparisons(rights: Mapping[str, Bools1d], baseline: str) -> dict[str, PlainData]:
    """McNemar's test of each system against one, corrected for their number."""
    others = [name for name in rights if name != baseline]
    found = [mcnemar(rights[name], rights[baseline]) for name in others]
    corrected = holm([p for _, _, p in found])
    return {
        name: {
            "baseline": baseline, "only_this": only, "only_baseline": other, "p": p,
            "p_holm": corrected_p,
        }
        for name, (only, other, p), corrected_p in zip(others, found, corrected, strict=True)
    }  # fmt: skip


def _right(task: Task, predictions: list[Prediction | None]) -> Bools1d:
    """*Shape:* (n_instances,)"""
    trios = zip(predictions, task.dataset.instances, task.targets, strict=True)
    return np.array(
        [p is not None and is_gold(p.sense, item, target) for p, item, target in trios], dtype=bool
    )


def _row(
    task: Task,
    answers: Answers,
    right: Bools1d,
    sorts: Mapping[str, list[str]],
    subsets: Mapping[str, Bools1d],
    known: dict[str, str],
) -> PlainData:
    """The figures of one system."""
    instances, predictions = task.dataset.instances, answers.predictions
    words = [item.lemma for item in instances]
    # Any gold sense is right, and all count as the first of them.
    chosen = [
        item.gold[0] if is_right else (prediction.sense if prediction is not None else None)
        for item, is_right, prediction in zip(instances, right, predictions, strict=True)
    ]
    answered = np.array([prediction is not None for prediction in predictions])
    speed, memory = answers.words_per_second, answers.peak_rss_mb
    return {
        "accuracy": float(right.mean()),
        "macro_f1": macro_f1(words, [item.gold[0] for item in instances], chosen),
        "ci95": list(interval(right)),
        "strata": accuracy_by(sorts["strata"], right),
        "pos": accuracy_by(sorts["pos"], right),
        "subsets": {name: float(right[members].mean()) for name, members in subsets.items()},
        "supersense_accuracy": _supersense_accuracy(instances, predictions, known),
        "coverage": float(answered.mean()),
        "precision": float(right[answered].mean()) if answered.any() else None,
        **_calibration(predictions, right),
        "words_per_second": None if speed is None else round(speed, 1),
        "peak_rss_mb": None if memory is None else round(memory, 1),
    }


def _calibration(predictions: list[Prediction | None], right: Bools1d) -> PlainData:
    """Over the predictions that have a probability; None where none has."""
    pairs = [
        (p.score, is_right)
        for p, is_right in zip(predictions, right, strict=True)
        if p is not None and p.score is not None
    ]
    if not pairs:
        return {"calibration_error": None, "reliability": []}
    scores, correct = (np.array(each) for each in zip(*pairs, strict=True))
    scores = scores.astype(np.float64)
    return {
        "calibration_error": calibration_error(scores, correct),
        "reliability": reliability(scores, correct),
    }


def _supersenses(task: Task) -> dict[str, str]:
    """The supersense of each sense of an inventory that is not WordNet's keys."""
    if not isinstance(task.inventory, Inventory):
        return {}
    return {sense.id: sense.supersense for sense in task.inventory.senses if sense.supersense}


def _supersense_accuracy(
    instances: tuple[Instance, ...], predictions: list[Prediction | None], known: dict[str, str]
) -> float | None:
    """Share of the instances whose predicted supersense is that of a gold sense.

    None where a gold sense has no supersense.
    """
    gold = [{supersense_of(sense, known) for sense in item.gold} for item in instances]
    if any("" in each for each in gold):
        return None
    right = [
        p is not None and supersense_of(p.sense, known) in each
        for p, each in zip(predictions, gold, strict=True)
    ]
    return float(np.mean(right))


def _instance(
    task: Task,
    i: int,
    item: Instance,
    answers: Mapping[str, Answers],
    rights: Mapping[str, Bools1d],
) -> PlainData:
    """One instance and what each system said: its text only where it may be shown."""
    said: dict[str, list[Any]] = {}
    for name, each in answers.items():
        p = each.predictions[i]
        sense, score = (None, None) if p is None else (p.sense, p.score)
        said[name] = [sense, None if score is None else round(score, 4), bool(rights[name][i])]
    shown: PlainData = {"id": item.id}
    if task.dataset.may_quote:
        context = task.dataset.contexts[item.context]
        start, end = context.offsets[item.start][0], context.offsets[item.end - 1][1]
        shown |= {
            "text": context.text, "start": start, "end": end, "lemma": item.lemma,
            "pos": item.pos, "gold": list(item.gold), "stratum": item.stratum,
            "cues": [list(cue) for cue in item.cues],
        }  # fmt: skip
    return {**shown, "predictions": said}


def to_json(result: PlainData) -> str:
    """A result as JSON, one instance a line."""
    head = {key: value for key, value in result.items() if key != "instances"}
    text = json.dumps(head, ensure_ascii=False, indent=1)
    rows = [json.dumps(row, ensure_ascii=False) for row in result.get("instances", [])]
    listed = ",\n  ".join(rows)
    return f'{text[:-2]},\n "instances": [\n  {listed}\n ]\n}}\n'
