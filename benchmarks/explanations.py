"""Which attribution method points at the word that decides?

    python -m benchmarks.explanations [--limit N]

Every instance of the bundled test set names its cues: the words by which a person decides. Of the
instances that the default method gets right, each method weighs the words of the context; measured
are how often its heaviest word is a cue (the pointing game, Zhang et al. 2018), the share of cues
among as many heaviest words as there are cues, and comprehensiveness and sufficiency. Layers and
heads of attention are chosen on the open half; the tables are of the frozen half.

What was found of an instance is kept in the user's cache, under a hash of code, model and
inventory: a run that was interrupted goes on, and where a sentence of the test set has changed
only that one is looked at again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import spacy_attn
from benchmarks.common import SEED, Result, progress, publish, sha256
from benchmarks.kept import Kept
from spacy_attn.classic.vectors import shared_vectors
from spacy_attn.compare.dataset import BUNDLED, Dataset, Instance, half_of, open_dataset
from spacy_attn.compare.metrics import interval
from spacy_attn.compare.task import tagged_by
from spacy_attn.components.adapter import resources_of
from spacy_attn.components.pipeline import load_pipeline
from spacy_attn.encoder.attention_map import KINDS, AttentionMap
from spacy_attn.explain.attribution import DECIDING, Weights, attribute, map_around, target_row
from spacy_attn.explain.decision import Subject, component_of, decided
from spacy_attn.explain.occlusion import context_words
from spacy_attn.explain.trust import trust
from spacy_attn.models import cache_folder
from spacy_attn.wsd.context import Target, tokens_within
from spacy_attn.wsd.methods.registry import DATA, SENSE_MODEL, sense_method

FILES = (DATA / "homographs.jsonl", BUNDLED, SENSE_MODEL)
STEPS = 16  # of integrated gradients
CHOOSING = 500  # instances of the open half, enough to choose among 72 heads
SIMPLE = ("static", "nearness", "random")
#: What decides and explains: the answers that are kept hold as long as it stays the same.
CODE = ("sentences.py", "wsd/*.py", "wsd/methods/*.py", "encoder/*.py", "explain/*.py")

Found = dict[str, Any]  # of one instance, as it is kept; empty where it was not decided right
Score = list[float]  # whether the heaviest word is a cue, and the share among the k heaviest


@dataclass
class Tally:
    """What was counted of one method: a score of each instance, and two checks where made.

    *Shape:* scores (n, 2), checks (n, 2)
    """

    scores: list[Sequence[float]] = field(default_factory=list)
    checks: list[Sequence[float]] = field(default_factory=list)

    def add(self, score: Sequence[float], *checks: float) -> None:
        """One more instance: see :func:`score_of`; comprehensiveness and sufficiency."""
        self.scores.append(score)
        if checks:
            self.checks.append(checks)

    def row(self, name: str) -> Result:
        """What the table has of it."""
        pointing, precision = np.mean(self.scores, axis=0)
        checked = np.mean(self.checks, axis=0) if self.checks else (None, None)
        names = ("comprehensiveness", "sufficiency")
        return {
            "name": name,
            "pointing": float(pointing),
            "ci95": list(interval(np.array(self.scores)[:, 0] > 0, SEED)),
            "precision_at_k": float(precision),
            **{n: None if c is None else float(c) for n, c in zip(names, checked, strict=True)},
        }


def state() -> str:
    """A hash of all that an answer depends on but the instance."""
    package = Path(spacy_attn.__file__).parent
    code = sorted(path for pattern in CODE for path in package.glob(pattern))
    read = [*code, Path(__file__), DATA / "homographs.jsonl", SENSE_MODEL]
    return hashlib.sha256("\n".join(map(sha256, read)).encode()).hexdigest()[:16]


def cue_tokens(subject: Subject, item: Instance) -> set[int]:
    """The tokens of the cues."""
    found: set[int] = set()
    for start, end in item.cues:
        found.update(range(*tokens_within(subject.context, start, end)))
    return found


def score_of(weights: Weights, cues: set[int]) -> Score:
    """Whether the heaviest word is a cue, and the share of cues among the k heaviest."""
    pointed = bool(cues & set(weights.top(1)))
    return [float(pointed), len(cues & set(weights.top(len(cues)))) / len(cues)]


class Asked:
    """The default method and the instances that it is asked about."""

    def __init__(self, limit: int | None) -> None:
        nlp = load_pipeline()
        self.inventory = component_of(nlp).inventory
        self.fitted = sense_method("attention").prepare(self.inventory, resources_of(nlp))
        nlp.disable_pipe("sense_disambiguator")
        self.dataset = open_dataset(None, tagged_by(nlp))
        self.limit = limit

    def half(self, *, frozen: bool) -> tuple[Dataset, list[Instance]]:
        """Those of one half that name their cues, in an order that is random and fixed.

        By the hash of the text: where one is added or removed the others stay.
        """
        half = half_of(self.dataset, frozen=frozen)

        def place(item: Instance) -> str:
            text = f"{SEED}\n{item.start}\n{half.contexts[item.context].text}"
            return hashlib.sha256(text.encode()).hexdigest()

        items = sorted((item for item in half.instances if item.cues), key=place)
        return half, items[: self.limit if frozen else min(CHOOSING, self.limit or CHOOSING)]

    def decided_right(self, half: Dataset, item: Instance) -> Subject | None:
        """The decision, where it is a person's."""
        candidates = self.inventory.candidates(item.lemma, item.pos)
        if len(candidates) < 2:
            return None
        target = Target(0, item.start, item.end, item.lemma, candidates)
        (subject,) = decided(self.fitted, half.contexts[item.context], [target])
        return subject if subject.decision.sense.id in item.gold else None


def answers(
    asked: Asked, kept: Kept, look: Callable[[Subject, set[int]], Found], *, frozen: bool, more: str
) -> Iterator[Found]:
    """What is found of each instance of a half that is decided right."""
    half, items = asked.half(frozen=frozen)

    def found(item: Instance) -> Found:
        started = time.perf_counter()
        subject = asked.decided_right(half, item)
        out = {} if subject is None else look(subject, cue_tokens(subject, item))
        return {**out, "seconds": round(time.perf_counter() - started, 3)}

    code = state()
    for item in progress(items, "frozen half" if frozen else "open half"):
        text = half.contexts[item.context].text
        about = [item.start, item.end, item.lemma, item.pos, item.gold, item.cues]
        answer = kept.get([code, more, text, *about], partial(found, item))
        if len(answer) > 1:  # more than the seconds that it took
            yield answer


def row_as_weights(subject: Subject, row: np.ndarray) -> Weights:
    words = context_words(subject.context, subject.target)
    only = np.zeros(len(subject.context.tokens), dtype=np.float32)
    only[words] = row[words]
    return Weights("row", tuple(words), only)


def maps_of(subject: Subject) -> dict[str, AttentionMap]:
    return {kind: map_around(subject, kind) for kind in KINDS}


def look_into_heads(subject: Subject, cues: set[int]) -> Found:
    """Scores of every layer and head, by "kind, layer, head"."""
    scores = {}
    for kind, made in maps_of(subject).items():
        heads = [None] if kind == "rollout" else [None, *range(1, made.n_heads + 1)]
        for layer in made.layers:
            for head in heads:
                row = target_row(made, subject, layer, head)
                score = score_of(row_as_weights(subject, row), cues)
                scores[f"{kind}, {layer}, {'mean' if head is None else head}"] = score
    return {"scores": scores}


def choose(found: Sequence[Found]) -> Result:
    """Pointing of every layer and head on the open half, and the best of each kind."""
    names = list(found[0]["scores"])
    rates = {name: float(np.mean([each["scores"][name][0] for each in found])) for name in names}
    cells = []
    for name, rate in rates.items():
        kind, layer, head = name.split(", ")
        number = None if head == "mean" else int(head)
        cells.append({"kind": kind, "layer": int(layer), "head": number, "pointing": rate})
    best = {}
    for kind in KINDS:
        own = [cell for cell in cells if cell["kind"] == kind]
        for label, those in (
            ("layer", [cell for cell in own if cell["head"] is None]),
            ("head", [cell for cell in own if cell["head"] is not None]),
        ):
            if those:
                first = max(those, key=lambda cell: cell["pointing"])
                best[f"{kind}, best {label}"] = {k: first[k] for k in ("kind", "layer", "head")}
    return {"n": len(found), "pointing": cells, "best": best}


def weighed(
    subject: Subject, maps: dict[str, AttentionMap], best: Result, vectors: Any
) -> dict[str, Weights]:
    """Every attribution, by the name that it has in the table."""
    out = {attribution: attribute(subject, attribution, steps=STEPS) for attribution in DECIDING}
    for kind, made in maps.items():
        label = f"{kind}, last layer" if kind == "rollout" else f"{kind}, mean"
        out[label] = attribute(subject, kind, attention=made)
    for name, where in best.items():
        out[name] = attribute(
            subject,
            where["kind"],
            layer=where["layer"],
            head=where["head"],
            attention=maps[where["kind"]],
        )
    out.update(
        {attribution: attribute(subject, attribution, vectors=vectors) for attribution in SIMPLE}
    )
    return out


def look_into_ways(subject: Subject, cues: set[int], *, best: Result, vectors: Any) -> Found:
    """Scores, comprehensiveness and sufficiency of every attribution, and scores of every layer."""
    maps = maps_of(subject)
    attributions = weighed(subject, maps, best, vectors)
    checks = trust(subject, list(attributions.values()), draws=1)
    return {
        "gap": attributions["integrated_gradients"].gap,
        "ways": {
            name: [*score_of(weights, cues), check.comprehensiveness, check.sufficiency]
            for (name, weights), check in zip(attributions.items(), checks, strict=True)
        },
        "layers": {
            f"{kind}, {layer}": score_of(
                row_as_weights(subject, target_row(made, subject, layer)), cues
            )
            for kind, made in maps.items()
            for layer in made.layers
        },
    }


def tables_of(found: Sequence[Found]) -> Result:
    """The rows of the frozen half."""
    attributions: dict[str, Tally] = {}
    layers: dict[str, Tally] = {}
    for each in found:
        for name, (pointed, precision, gone, alone) in each["ways"].items():
            attributions.setdefault(name, Tally()).add((pointed, precision), gone, alone)
        for name, score in each["layers"].items():
            layers.setdefault(name, Tally()).add(score)
    rows = [tally.row(name) for name, tally in attributions.items()]
    by_layer = []
    for name, tally in layers.items():
        kind, layer = name.split(", ")
        pointing, precision = np.mean(tally.scores, axis=0).tolist()
        by_layer.append(
            {"kind": kind, "layer": int(layer), "pointing": pointing, "precision_at_k": precision}
        )
    return {
        "gap_median": float(np.median([each["gap"] for each in found])),
        "ways": sorted(rows, key=lambda row: -row["pointing"]),
        "layers": by_layer,
    }


def run(limit: int | None) -> Result:
    asked = Asked(limit)
    kept = Kept(cache_folder() / "benchmarks" / "explanations")
    opened = list(answers(asked, kept, look_into_heads, frozen=False, more="open"))
    chosen = choose(opened)
    vectors = shared_vectors(None, "zero")

    def look(subject: Subject, cues: set[int]) -> Found:
        return look_into_ways(subject, cues, best=chosen["best"], vectors=vectors)

    more = json.dumps(chosen["best"])
    frozen = list(answers(asked, kept, look, frozen=True, more=more))
    half, items = asked.half(frozen=True)
    return {
        "half": "frozen",
        "n": len(frozen),
        "n_looked_at": len(items),
        "of": len(half.instances),
        "steps": STEPS,
        "seconds": round(sum(each["seconds"] for each in [*opened, *frozen])),
        **tables_of(frozen),
        "open_half": chosen,
    }


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.explanations", description=__doc__)
    parser.add_argument("--limit", type=int, help="instances, drawn at random")
    limit = parser.parse_args().limit
    command = ".explanations" + (f" --limit {limit}" if limit else "")
    publish("explanations", run(limit), command, FILES, seed=SEED)


if __name__ == "__main__":
    main()
