"""Which way of weighing words points at the word that decides?

    python -m benchmarks.explanations [--limit N]

Every instance of the bundled test set names its cues: the words by which a person decides. Of the
instances that the default method gets right, each way weighs the words of the context; measured
are how often its heaviest word is a cue (the pointing game, Zhang et al. 2018), the share of cues
among as many heaviest words as there are cues, and comprehensiveness and sufficiency. Layers and
heads of attention are chosen on the open half; the table is of the frozen half.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from benchmarks.manifest import ROOT, manifest
from spacy_attn.classic.word2vec import shared_vectors
from spacy_attn.compare.datasets import BUNDLED, Dataset, Instance, half_of, open_dataset
from spacy_attn.compare.metrics import interval
from spacy_attn.compare.systems import tagged_by
from spacy_attn.components.pipeline import load_pipeline
from spacy_attn.components.sense_disambiguator import resources_of
from spacy_attn.encoder.attention_map import KINDS, AttentionMap, attention_map
from spacy_attn.explain.faithfulness import trust
from spacy_attn.explain.subject import Subject, component_of, decided
from spacy_attn.explain.weigh import DECIDING, Weights, target_row, weigh
from spacy_attn.methods import DATA, SENSE_MODEL, sense_method
from spacy_attn.senses.context import Target, tokens_within

RESULT = ROOT / "benchmarks" / "results" / "explanations.json"
SEED = 0
STEPS = 16  # of integrated gradients
DRAWS = 5  # of random words
SIMPLE = ("static", "nearness", "random")


@dataclass
class Tally:
    """What was counted of one way."""

    pointed: list[bool] = field(default_factory=list)
    precision: list[float] = field(default_factory=list)
    comprehensiveness: list[float] = field(default_factory=list)
    sufficiency: list[float] = field(default_factory=list)

    def row(self, name: str) -> dict[str, Any]:
        """What the table has of it."""
        right = np.array(self.pointed)
        return {
            "name": name,
            "pointing": float(right.mean()),
            "ci95": list(interval(right, SEED)),
            "precision_at_k": float(np.mean(self.precision)),
            **{
                key: float(np.mean(values)) if values else None
                for key, values in (
                    ("comprehensiveness", self.comprehensiveness),
                    ("sufficiency", self.sufficiency),
                )
            },
        }


def cue_tokens(subject: Subject, item: Instance) -> set[int]:
    """The tokens of the cues."""
    found: set[int] = set()
    for start, end in item.cues:
        found.update(range(*tokens_within(subject.context, start, end)))
    return found


def count(tally: Tally, weights: Weights, cues: set[int]) -> None:
    """Whether the heaviest word is a cue, and how many of the k heaviest are."""
    tally.pointed.append(bool(cues & set(weights.top(1))))
    tally.precision.append(len(cues & set(weights.top(len(cues)))) / len(cues))


def right_ones(half: Dataset, limit: int | None) -> Iterator[tuple[Subject, Instance]]:
    """The instances that the default method decides as a person does, in a fixed random order."""
    nlp = load_pipeline()
    inventory = component_of(nlp).inventory
    fitted = sense_method("attention").prepare(inventory, resources_of(nlp))
    order = np.random.default_rng(SEED).permutation(len(half.instances))
    for at in track(order[:limit].tolist(), description=half.name):
        item = half.instances[at]
        candidates = inventory.candidates(item.lemma, item.pos)
        if len(candidates) < 2 or not item.cues:
            continue
        target = Target(0, item.start, item.end, item.lemma, candidates)
        (subject,) = decided(fitted, half.contexts[item.context], [target])
        if subject.decision.sense.id in item.gold:
            yield subject, item


def maps_of(subject: Subject) -> dict[str, AttentionMap]:
    return {
        kind: attention_map(
            subject.encoder, subject.context.text, subject.context.offsets, kind=kind
        )
        for kind in KINDS
    }


def row_as_weights(subject: Subject, way: str, row: np.ndarray, words: Sequence[int]) -> Weights:
    only = np.zeros(len(subject.context.tokens), dtype=np.float32)
    only[list(words)] = row[list(words)]
    return Weights(way, tuple(words), only)


def choose(half: Dataset, limit: int | None) -> dict[str, Any]:
    """Pointing of every layer and head on the open half, and the best of each kind."""
    tallies: dict[tuple[str, int, int | None], Tally] = {}
    n = 0
    for subject, item in right_ones(half, limit):
        n += 1
        cues = cue_tokens(subject, item)
        words = weigh(subject, "nearness").words
        for kind, made in maps_of(subject).items():
            heads = [None] if kind == "rollout" else [None, *range(made.n_heads)]
            for layer in made.layers:
                for head in heads:
                    row = target_row(made, subject, layer, head)
                    tally = tallies.setdefault((kind, layer, head), Tally())
                    count(tally, row_as_weights(subject, kind, row, words), cues)
    rates = {key: float(np.mean(tally.pointed)) for key, tally in tallies.items()}
    best = {}
    for kind in KINDS:
        layers = {key: rate for key, rate in rates.items() if key[0] == kind and key[2] is None}
        best[f"{kind}, best layer"] = max(layers, key=lambda key: layers[key])
        heads = {key: rate for key, rate in rates.items() if key[0] == kind and key[2] is not None}
        if heads:
            best[f"{kind}, best head"] = max(heads, key=lambda key: heads[key])
    return {
        "n": n,
        "pointing": [
            {"kind": kind, "layer": layer, "head": head, "pointing": rate}
            for (kind, layer, head), rate in rates.items()
        ],
        "best": {
            name: {"kind": kind, "layer": layer, "head": head}
            for name, (kind, layer, head) in best.items()
        },
    }


def weighed(subject: Subject, best: dict[str, Any], vectors: Any) -> dict[str, Weights]:
    """Every way, by the name that it has in the table."""
    maps = maps_of(subject)
    out = {way: weigh(subject, way, steps=STEPS) for way in DECIDING}
    for kind, made in maps.items():
        label = f"{kind}, last layer" if kind == "rollout" else f"{kind}, mean"
        out[label] = weigh(subject, kind, attention=made)
    for name, where in best.items():
        out[name] = weigh(
            subject, where["kind"], layer=where["layer"], head=where["head"],
            attention=maps[where["kind"]],
        )  # fmt: skip
    out.update({way: weigh(subject, way, vectors=vectors) for way in SIMPLE})
    return out


def run(limit: int | None) -> dict[str, Any]:
    dataset = open_dataset(None, tagged_by(load_pipeline()))
    chosen = choose(half_of(dataset, frozen=False), limit)
    vectors = shared_vectors(None, "zero")
    tallies: dict[str, Tally] = {}
    gaps, seen = [], 0
    frozen = half_of(dataset, frozen=True)
    for subject, item in right_ones(frozen, limit):
        seen += 1
        cues = cue_tokens(subject, item)
        ways = weighed(subject, chosen["best"], vectors)
        gaps.append(ways["integrated_gradients"].gap)
        checks = trust(subject, list(ways.values()), draws=DRAWS)
        for (name, weights), check in zip(ways.items(), checks, strict=True):
            tally = tallies.setdefault(name, Tally())
            count(tally, weights, cues)
            tally.comprehensiveness.append(check.comprehensiveness)
            tally.sufficiency.append(check.sufficiency)
    rows = [tally.row(name) for name, tally in tallies.items()]
    return {
        "half": "frozen",
        "n": seen,
        "n_looked_at": min(limit or len(frozen.instances), len(frozen.instances)),
        "of": len(frozen.instances),
        "steps": STEPS,
        "gap_median": float(np.median(gaps)),
        "ways": sorted(rows, key=lambda row: -row["pointing"]),
        "open_half": chosen,
    }


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.explanations", description=__doc__)
    parser.add_argument("--limit", type=int, help="instances of each half, drawn at random")
    limit = parser.parse_args().limit
    result = run(limit)
    files = [DATA / "homographs.jsonl", BUNDLED, SENSE_MODEL]
    command = "python -m benchmarks.explanations" + (f" --limit {limit}" if limit else "")
    result["manifest"] = manifest(command, files, seed=SEED)
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for row in result["ways"]:
        Console().print(f"{row['name']:28} {row['pointing']:.3f} {row['precision_at_k']:.3f}")


if __name__ == "__main__":
    main()
