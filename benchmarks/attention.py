"""What attention itself adds: the same vectors, examples, head and size, with and without it.

    python -m benchmarks.attention rows      # every system, five seeds: results/attention.json
    python -m benchmarks.attention claims    # a row for each claim: results/attention-claims.json
    python -m benchmarks.attention domains   # trained on SemCor and some genres of MASC, tested
                                             # on the others: results/attention-domains.json
    ... --seeds 1 --epochs 2 --limit 300 -o /tmp/trial.json    # a look, in a minute

Every system is trained on the examples of *homographs* over GloVe and tested on the bundled test
set (``domains``: on WordNet's senses). All mixers have the same number of parameters, see
:mod:`spacy_attn.encoder.mixers`; ``static`` has none. Intervals are a bootstrap over instances and
seeds together; a difference is taken seed by seed, instance by instance.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.manifest import DATA, ROOT, manifest
from spacy_attn.classic.word2vec import shared_vectors
from spacy_attn.compare.datasets import BUNDLED
from spacy_attn.encoder.static_network import NetworkConfig, StaticContextEncoder
from spacy_attn.methods import DATA as PACKAGE_DATA
from spacy_attn.senses.context import tokens_within
from spacy_attn.senses.inventory import Inventory, load_inventory, read_labelled
from spacy_attn.train.attention import AttentionConfig, AttentionTrainer
from spacy_attn.train.attention_model import Material, read_material
from spacy_attn.train.calibrate import blank_resources
from spacy_attn.train.occurrences import Occurrence, of_labels

RESULTS = ROOT / "benchmarks" / "results"
#: Mixer, layers, heads.
SYSTEMS = {
    "static": ("none", 1, 1),
    "feed_forward": ("feed_forward", 1, 1),
    "cnn": ("cnn", 1, 1),
    "bilstm": ("bilstm", 1, 1),
    **{f"attention {n} x {h}": ("attention", n, h) for n in (1, 2, 3, 4) for h in (1, 2, 4, 8)},
}
MAIN = "attention 1 x 4"
FOUR = ("static", "cnn", "bilstm", MAIN)  # what each claim compares
DOMAIN_SYSTEMS = ("static", "feed_forward", "cnn", "bilstm", MAIN, "attention 2 x 4")
PATTERNS = ("full", "window", "chunked", "low_rank")
EXAMPLES = (1, 2, 4, 8)  # of a sense, as training data shrinks
NEAR, FAR = 3, 10  # tokens from a word to its nearest cue
SHORT = 8  # tokens of a short text
_DRAWS = 1000

Right = NDArray[np.bool_]  # (n_seeds, n_instances)


@dataclass(frozen=True)
class Test:
    """The test set as occurrences, with what strata and cues say.

    *Shape:* distance (n,): tokens to the nearest cue, -1 without cues
    """

    rows: list[Occurrence]
    strata: list[str]
    distance: NDArray[np.int64]
    cues: list[set[int]]  # tokens, of each row


@dataclass(frozen=True)
class World:
    """What is trained on and what is tested, over the same senses."""

    material: Material
    train: list[Occurrence]
    test: Test


# -- worlds --------------------------------------------------------------------------------------


def make_world(inventory: Inventory, limit: int | None = None) -> World:
    """The examples of an inventory, all of them, and the test set.

    Args:
        inventory: the homographs, perhaps with fewer examples.
        limit: take this many instances of the test set, spread over it.
    """
    material = read_material(shared_vectors(None), inventory)
    train = [*material.train, *material.held_out.get("examples", [])]
    return World(material, train, read_test(BUNDLED, inventory, material, limit))


def read_test(path: Path, inventory: Inventory, material: Material, limit: int | None) -> Test:
    """Labelled data as occurrences; words with one sense are nobody's question."""
    resources = blank_resources(inventory)
    items = [i for i in read_labelled(path) if len(inventory.candidates(i.lemma, i.pos)) > 1]
    rows = list(of_labels(path, inventory, resources, material.senses))
    distance, cues = [], []
    for item, row in zip(items, rows, strict=True):
        context = resources.tokenize(item.text)
        first, _ = tokens_within(context, item.start, item.end)
        shift = first - row.start
        spans = (tokens_within(context, *cue) for cue in item.cues)
        here = {token - shift for low, high in spans for token in range(low, high)}
        here -= set(range(row.start, row.end))
        gaps = [row.start - c if c < row.start else c - (row.end - 1) for c in here]
        distance.append(min(gaps, default=-1))
        cues.append({c for c in here if 0 <= c < len(row.tokens)})
    step = max(1, len(rows) // limit) if limit else 1
    kept = slice(None, None, step)
    strata = [item.stratum for item in items]
    return Test(rows[kept], strata[kept], np.array(distance)[kept], cues[kept])


def train(world: World, system: str, seed: int, epochs: int, **changes: Any) -> AttentionTrainer:
    """One trained system.

    Args:
        world: its training part is used.
        system: one of ``SYSTEMS``.
        seed: of everything that is drawn.
        epochs: passes.
        changes: of :class:`NetworkConfig`, or ``mask_words``.
    """
    mixer, layers, heads = SYSTEMS[system]
    config = AttentionConfig(epochs=epochs, seed=seed)
    if "mask_words" in changes:
        config = replace(config, mask_words=changes.pop("mask_words"))
    vectors = shared_vectors(None)
    network = NetworkConfig(vectors.width, mixer=mixer, layers=layers, heads=heads)
    trainer = AttentionTrainer(
        replace(network, **changes), config, vectors, world.train, world.material.texts
    )
    trainer.train()
    return trainer


def answers(trainer: AttentionTrainer, rows: Sequence[Occurrence]) -> Right:
    """Which occurrences get a right sense. *Shape:* (len(rows),)"""
    return np.array([each.is_right for each in trainer.score(rows)], dtype=bool)


# -- intervals -----------------------------------------------------------------------------------


def bootstrap(right: NDArray[Any], draws: int = _DRAWS) -> list[float]:
    """95 % interval of a mean, seeds and instances both drawn with replacement.

    *Shape:* (n_seeds, n_instances)
    """
    rng = np.random.default_rng(0)
    n_seeds, n = right.shape
    values = np.asarray(right, dtype=np.float64)
    means = [
        values[np.ix_(rng.integers(n_seeds, size=n_seeds), rng.integers(n, size=n))].mean()
        for _ in range(draws)
    ]
    return [round(float(each), 4) for each in np.quantile(means, [0.025, 0.975])]


def summary(right: NDArray[Any]) -> dict[str, Any]:
    """Mean and interval."""
    return {"mean": round(float(right.mean()), 4), "ci95": bootstrap(right)}


def verdict(interval: Sequence[float]) -> str:
    """Whether a difference that a claim says is above zero is so."""
    low, high = interval
    return "holds" if low > 0 else "does not hold" if high < 0 else "not shown"


# -- rows ----------------------------------------------------------------------------------------


def run_rows(seeds: int, epochs: int, limit: int | None) -> dict[str, Any]:
    """Every system on the whole test set, and every pattern of attention."""
    world = make_world(load_inventory("homographs"), limit)
    test, systems, base = world.test, [], None
    strata = np.array(test.strata)
    specs: list[tuple[str, str, dict[str, Any]]] = [(name, name, {}) for name in SYSTEMS]
    for pattern in PATTERNS[1:]:
        changes = {"pattern": pattern}
        if pattern == "low_rank":
            changes |= {"attention_dropout": 0.0}
        specs.append((f"{MAIN}, {pattern}", MAIN, changes))
    for name, system, changes in specs:
        rights, seconds, size = [], [], {}
        for seed in range(seeds):
            started = time.perf_counter()
            made = train(world, system, seed, epochs, **changes)
            seconds.append(time.perf_counter() - started)
            size = made.n_parameters
            rights.append(answers(made, test.rows))
        right = np.stack(rights)
        base = right if base is None else base
        systems.append(
            {
                "name": name, "parameters": size, "accuracy": round(float(right.mean()), 4),
                "ci95": bootstrap(right), "seeds": right.mean(1).round(4).tolist(),
                "over_static": summary(right.astype(float) - base),
                "strata": {s: round(float(right[:, strata == s].mean()), 4)
                           for s in dict.fromkeys(test.strata)},
                "train_seconds": round(float(np.median(seconds)), 1),
            }
        )  # fmt: skip
        print(f"{name}: {right.mean():.4f} {systems[-1]['ci95']}", flush=True)
    return {"n": len(test.rows), "seeds": seeds, "epochs": epochs, "systems": systems}


# -- claims --------------------------------------------------------------------------------------


def run_claims(seeds: int, epochs: int, limit: int | None) -> dict[str, Any]:
    """One row for each claim, of all four systems."""
    inventory = load_inventory("homographs")
    world = make_world(inventory, limit)
    made = {name: [train(world, name, s, epochs) for s in range(seeds)] for name in FOUR}
    rights = {name: _stacked(trainers, world.test.rows) for name, trainers in made.items()}
    rows = [
        _row("Attention tells senses apart better", "accuracy, all instances", rights),
        *_distance_rows(world.test, rights),
        *_context_rows(made, world.test, rights),
        _heads_row(world, seeds, epochs),
        _pointing_row(made[MAIN], world.test),
        *_overfitting_rows(inventory, seeds, epochs, limit),
    ]
    for row in rows:
        print(f"{row['claim']}: {row['verdict']} {row['difference']}", flush=True)
    return {"n": len(world.test.rows), "seeds": seeds, "epochs": epochs, "claims": rows}


def _stacked(trainers: Sequence[AttentionTrainer], rows: Sequence[Occurrence]) -> Right:
    return np.stack([answers(trainer, rows) for trainer in trainers])


def _row(claim: str, measure: str, values: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """A claim that attention is above static vectors in what is measured.

    *Shape:* of each value (n_seeds, n)
    """
    difference = summary(values[MAIN].astype(float) - values["static"])
    return {
        "claim": claim, "measure": measure,
        "systems": {name: summary(value) for name, value in values.items()},
        "difference": difference, "verdict": verdict(difference["ci95"]),
    }  # fmt: skip


def _distance_rows(test: Test, rights: dict[str, Right]) -> list[dict[str, Any]]:
    """Accuracy where the nearest cue is near and where it is far."""
    out = []
    places = (
        ("a near cue", (test.distance >= 0) & (test.distance <= NEAR), f"at most {NEAR}"),
        ("a far cue (long-range dependency)", test.distance >= FAR, f"{FAR} or more"),
    )
    for name, where, words in places:
        if where.any():
            part = {system: right[:, where] for system, right in rights.items()}
            measure = f"accuracy, nearest cue {words} tokens away (n = {where.sum()})"
            out.append(_row(f"Attention uses {name} better", measure, part))
    return out


def _context_rows(
    made: dict[str, list[AttentionTrainer]], test: Test, rights: dict[str, Right]
) -> list[dict[str, Any]]:
    """Short texts; and what two tokens each side lose against all of the sentence."""
    short = np.array([len(row.tokens) <= SHORT for row in test.rows])
    out = []
    if short.any():
        part = {name: right[:, short] for name, right in rights.items()}
        measure = f"accuracy, texts of at most {SHORT} tokens (n = {short.sum()})"
        out.append(_row("Attention needs less context", measure, part))
    narrow = [clipped(row, 2) for row in test.rows]
    gains = {
        name: rights[name].astype(float) - _stacked(trainers, narrow)
        for name, trainers in made.items()
    }
    measure = "accuracy with the whole sentence less that with two tokens each side"
    out.append(_row("Attention gains more from a wider context", measure, gains))
    return out


def clipped(row: Occurrence, radius: int) -> Occurrence:
    """The same with fewer tokens each side."""
    low, high = max(0, row.start - radius), min(len(row.tokens), row.end + radius)
    return replace(
        row, tokens=row.tokens[low:high], start=row.start - low, end=row.end - low
    )  # fmt: skip


def _heads_row(world: World, seeds: int, epochs: int) -> dict[str, Any]:
    one, many = (
        np.stack([answers(train(world, f"attention 1 x {h}", s, epochs), world.test.rows)
                  for s in range(seeds)])
        for h in (1, 8)
    )  # fmt: skip
    difference = summary(many.astype(float) - one)
    return {
        "claim": "Several heads are better than one",
        "measure": "accuracy, eight heads less one head",
        "systems": {"one head": summary(one), "eight heads": summary(many)},
        "difference": difference, "verdict": verdict(difference["ci95"]),
    }  # fmt: skip


def _pointing_row(trainers: Sequence[AttentionTrainer], test: Test) -> dict[str, Any]:
    """Does the word that the target looks at most stand among the cues? (Zhang et al. 2018,
    "Top-down neural attention by excitation backprop", the pointing game.) Against the share of
    cues among the other words of the sentence, which is what a blind pointer hits.
    """
    hits: list[list[float]] = []
    blind: list[list[float]] = []
    for trainer in trainers:
        encoder = StaticContextEncoder(trainer.network.cpu(), trainer.vectors)
        pairs = [pointed(encoder, row, cues) for row, cues in zip(test.rows, test.cues, strict=True)
                 if cues and len(row.tokens) <= 64]  # fmt: skip
        hits.append([hit for hit, _ in pairs])
        blind.append([chance for _, chance in pairs])
    difference = summary(np.array(hits) - np.array(blind))
    return {
        "claim": "Attention weights show what decides",
        "measure": "share of texts whose most looked-at word is a cue, less that of a blind choice",
        "systems": {MAIN: summary(np.array(hits)), "blind": summary(np.array(blind))},
        "difference": difference, "verdict": verdict(difference["ci95"]),
    }  # fmt: skip


def pointed(encoder: StaticContextEncoder, row: Occurrence, cues: set[int]) -> tuple[float, float]:
    """Whether the last layer's largest weight from the target falls on a cue, and the chance."""
    weights = encoder.attention(row.tokens)[-1, row.start : row.end].mean(0)
    others = [
        i for i, token in enumerate(row.tokens)
        if not row.start <= i < row.end and re.search(r"\w", token)
    ]  # fmt: skip
    best = max(others, key=lambda i: weights[i], default=-1)
    return float(best in cues), len(cues & set(others)) / max(len(others), 1)


def _overfitting_rows(
    inventory: Inventory, seeds: int, epochs: int, limit: int | None
) -> list[dict[str, Any]]:
    """What dropout and masking give as training data shrinks.

    ``gap`` is the accuracy on training data (each left out of its sense's prototype) less that on
    the test set: the overfitting itself.
    """
    out = []
    kinds: dict[str, dict[str, Any]] = {
        "dropout and masking": {},
        "no attention dropout": {"attention_dropout": 0.0},
        "no masking": {"mask_words": 0.0},
        "neither": {"attention_dropout": 0.0, "mask_words": 0.0},
    }
    for n in EXAMPLES:
        gaps: dict[str, list[float]] = {}
        accuracies: dict[str, list[Right]] = {}
        for seed in range(seeds):
            world = make_world(inventory.with_examples(n, seed), limit)
            for name, changes in kinds.items():
                made = train(world, MAIN, seed, epochs, **changes)
                right = answers(made, world.test.rows)
                accuracies.setdefault(name, []).append(right)
                gaps.setdefault(name, []).append(training_accuracy(made) - right.mean())
        values = {name: np.stack(each) for name, each in accuracies.items()}
        difference = summary(values["dropout and masking"].astype(float) - values["neither"])
        out.append(
            {
                "claim": f"Dropout and masking help with {n} examples of a sense",
                "measure": "accuracy with both less that with neither",
                "systems": {name: summary(value) for name, value in values.items()},
                # Of one example none is left to compare itself with.
                "gap": {name: round(float(np.mean(each)), 4) for name, each in gaps.items()}
                if n > 1
                else None,
                "difference": difference, "verdict": verdict(difference["ci95"]),
            }
        )  # fmt: skip
    return out


def training_accuracy(trainer: AttentionTrainer) -> float:
    """On what was trained on, each occurrence left out of its sense's prototype."""
    return float(np.mean([each.is_right for each in trainer.score_training()]))


# -- domains -------------------------------------------------------------------------------------


def run_domains(seeds: int, epochs: int, limit: int | None) -> dict[str, Any]:
    """Trained on SemCor and most genres of MASC, tested on the others and on held-out SemCor."""
    files = [DATA / name for name in ("semcor.jsonl.gz", "masc.jsonl.gz")]
    material = read_material(
        shared_vectors(None), None, semcor=files[0], masc=files[1], limit=limit
    )
    empty = Test([], [], np.zeros(0, np.int64), [])
    world = World(material, material.train, empty)
    rights: dict[str, dict[str, list[Right]]] = {}
    for system in DOMAIN_SYSTEMS:
        for seed in range(seeds):
            made = train(world, system, seed, epochs)
            for name, rows in material.held_out.items():
                rights.setdefault(name, {}).setdefault(system, []).append(answers(made, rows))
            print(f"{system}, seed {seed}: " + ", ".join(
                f"{name} {each[system][-1].mean():.4f}" for name, each in rights.items()
            ), flush=True)  # fmt: skip
    rows = [
        _row(
            f"Attention is better on {name.partition(':')[2] or name}"
            + (" (unseen domain)" if ":" in name else ""),
            f"accuracy over WordNet's senses (n = {len(material.held_out[name])})",
            {system: np.stack(each) for system, each in by_system.items()},
        )
        for name, by_system in rights.items()
    ]
    return {"train": len(material.train), "seeds": seeds, "epochs": epochs, "claims": rows}


_RUNS: dict[str, tuple[Callable[[int, int, int | None], dict[str, Any]], str, int]] = {
    "rows": (run_rows, "attention.json", 8),
    "claims": (run_claims, "attention-claims.json", 8),
    "domains": (run_domains, "attention-domains.json", 2),
}


def main() -> None:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m benchmarks.attention", None, __doc__, formatter_class=formatter
    )
    parser.add_argument("what", choices=list(_RUNS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, help="passes over the training data")
    parser.add_argument("--limit", type=int, help="test instances (domains: sentences of a corpus)")
    parser.add_argument("-o", "--output", type=Path, help="where a trial's result goes")
    given = parser.parse_args()
    run, name, epochs = _RUNS[given.what]
    result = run(given.seeds, given.epochs or epochs, given.limit)
    files = [PACKAGE_DATA / "homographs.jsonl", BUNDLED]
    result["manifest"] = manifest(f"python -m benchmarks.attention {given.what}", files, seed=0)
    path = given.output or RESULTS / name
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
