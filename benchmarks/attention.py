"""What attention itself adds: the same vectors, examples, head and size, with and without it.

    python -m benchmarks.attention rows      # every system, five seeds: results/attention.json
    python -m benchmarks.attention claims    # a row for each claim: results/attention-claims.json
    python -m benchmarks.attention domains   # trained on SemCor and some genres of MASC, tested
                                             # on the others: results/attention-domains.json
    ... --seeds 1 --epochs 2 --limit 300 -o trial.json    # a look, in a minute
    ... --within 280     # begin no run after so many seconds; the same command again goes on
    ... --part 0 2       # beside --part 1 2: two processes share the runs; then once without

Every system is trained on the examples of *homographs* over GloVe and tested on the bundled test
set (``domains``: on WordNet's senses). All mixers have the same number of parameters, see
:mod:`spacy_attn.encoder.mixers`; ``static`` has none. Intervals are a bootstrap over instances and
seeds together; a difference is taken seed by seed, instance by instance. Finished runs are kept in
``build/attention``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.finished_runs import FinishedRuns, OutOfTime
from benchmarks.manifest import DATA, ROOT, manifest, sha256
from spacy_attn.classic.word2vec import shared_vectors
from spacy_attn.compare.dataset import BUNDLED
from spacy_attn.encoder.static_network import NetworkConfig, StaticContextEncoder
from spacy_attn.methods import DATA as PACKAGE_DATA
from spacy_attn.train.attention import AttentionConfig, AttentionTrainer
from spacy_attn.train.attention_model import Material, read_material
from spacy_attn.train.calibrate import blank_resources
from spacy_attn.train.occurrences import Occurrence, of_labels
from spacy_attn.wsd.context import tokens_within
from spacy_attn.wsd.inventory.model import Inventory, load_inventory, read_labelled

RESULTS = ROOT / "benchmarks" / "results"
KEPT = ROOT / "build" / "attention"
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
PATTERNS = ("full", "window", "chunked", "low_rank")
EXAMPLES = (1, 2, 4)  # of a sense, as training data shrinks
NEAR, FAR = 3, 10  # tokens from a word to its nearest cue
DISTANCES = ((1, 3), (4, 9), (10, 19), (20, None))  # tokens to the nearest cue, of the curve
HEADS = ("attention 1 x 1", "attention 1 x 8")
KINDS: dict[str, dict[str, Any]] = {
    "dropout and masking": {},
    "no attention dropout": {"attention_dropout": 0.0},
    "no masking": {"mask_words": 0.0},
    "neither": {"attention_dropout": 0.0, "mask_words": 0.0},
}
CORPORA = ("semcor.jsonl.gz", "masc.jsonl.gz")
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


@dataclass(frozen=True)
class Settings:
    """What was asked for."""

    seeds: int
    epochs: int
    examples: int | None = None  # of a sense that are trained on, drawn by the seed; None: all
    limit: int | None = None  # test instances, or sentences of a corpus


@dataclass(frozen=True)
class Spec:
    """A system of a table, before its seeds."""

    system: str  # of SYSTEMS
    changes: tuple[tuple[str, Any], ...] = ()  # of NetworkConfig, or mask_words
    examples: int | None = None  # of a sense; None: those of the settings


@dataclass(frozen=True)
class Run:
    """One training, and all that decides it beside data and code."""

    system: str  # of SYSTEMS
    seed: int
    epochs: int
    changes: tuple[tuple[str, Any], ...] = ()  # of NetworkConfig, or mask_words
    examples: int | None = None  # of a sense; None: all


# -- worlds --------------------------------------------------------------------------------------


def make_world(inventory: Inventory, limit: int | None = None, known: World | None = None) -> World:
    """The examples of an inventory, all of them, and the test set.

    Args:
        inventory: the homographs, perhaps with fewer examples.
        limit: take this many instances of the test set, spread over it.
        known: another world; its test set is taken where it numbers the senses in the same way.
    """
    material = read_material(shared_vectors(None), inventory)
    train = [*material.train, *material.held_out.get("examples", [])]
    if known is not None and sense_ids(known.material) == sense_ids(material):
        return World(material, train, known.test)
    return World(material, train, read_test(BUNDLED, inventory, material, limit))


def sense_ids(material: Material) -> list[str]:
    """The senses by number."""
    return [sense.id for sense in material.senses.senses]


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


def train(world: World, run: Run) -> AttentionTrainer:
    """One trained system."""
    mixer, layers, heads = SYSTEMS[run.system]
    changes = dict(run.changes)
    config = AttentionConfig(epochs=run.epochs, seed=run.seed)
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


# -- runs ----------------------------------------------------------------------------------------


class Bench:
    """The runs of one call, made now or read from the disk.

    Args:
        inventory: whose examples are learnt from.
        finished: where runs are kept.
        given: seeds, epochs, examples of a sense, and the limit of the test set.
    """

    def __init__(self, inventory: Inventory, finished: FinishedRuns, given: Settings) -> None:
        self.inventory, self.finished, self.given = inventory, finished, given
        self._key: tuple[int | None, int] | None = None  # of the world that is kept
        self._world: World | None = None

    @cached_property
    def test(self) -> Test:
        """The same instances for all runs."""
        return self.world(self.given.examples, 0).test

    def world(self, examples: int | None, seed: int) -> World:
        """The inventory with fewer examples, drawn by the seed; the last one is kept."""
        key = (examples, 0 if examples is None else seed)
        if self._world is None or self._key != key:
            inventory = self.inventory
            if examples is not None:
                inventory = inventory.with_examples(examples, seed)
            self._world = make_world(inventory, self.given.limit, self._world)
            self._key = key
        return self._world

    def runs(self, specs: Sequence[Spec]) -> list[Run]:
        """Every system with every seed; all systems of a seed before the next seed."""
        return [
            Run(spec.system, seed, self.given.epochs, spec.changes,
                spec.examples or self.given.examples)
            for seed in range(self.given.seeds)
            for spec in specs
        ]  # fmt: skip

    def measured(self, run: Run) -> dict[str, NDArray[Any]]:
        """See :func:`measure`."""
        return self.finished.of(
            self._made_of(run),
            lambda: measure(self.world(run.examples, run.seed), run),
        )

    def values(self, spec: Spec, key: str = "right") -> NDArray[Any]:
        """One measure of a system. *Shape:* (n_seeds, n)"""
        return np.stack([self.measured(run)[key] for run in self.runs([spec])])

    def prepare(self, specs: Sequence[Spec], part: tuple[int, int]) -> None:
        """Make those runs that are the part of one of several processes."""
        mine, n = part
        for run in self.runs(specs)[mine::n]:
            if not self.finished.has(self._made_of(run)):
                found = self.measured(run)
                seconds = float(found["seconds"])
                print(f"{run}: {found['right'].mean():.4f}, {seconds:.1f} s", flush=True)

    def _made_of(self, run: Run) -> dict[str, Any]:
        return {
            "run": asdict(run), "inventory": self.inventory.digest, "limit": self.given.limit,
            "test": sha256(BUNDLED), "code": code_digest(),
        }  # fmt: skip


def measure(world: World, run: Run) -> dict[str, NDArray[Any]]:
    """Train one system and measure all that any table asks of it.

    ``right``: the test set; ``narrow``: with two tokens each side; ``hits`` and ``blind``: the
    pointing game; ``training``: accuracy on the training data, each occurrence left out of its
    sense's prototype.
    """
    started = time.perf_counter()
    made, test = train(world, run), world.test
    out: dict[str, Any] = {"seconds": time.perf_counter() - started}
    out["parameters"] = [made.n_parameters["mixer"], made.n_parameters["all"]]
    out["right"] = answers(made, test.rows)
    if run.examples in EXAMPLES:
        out["training"] = training_accuracy(made)
    elif not run.changes and run.system in FOUR:
        out["narrow"] = answers(made, [clipped(row, 2) for row in test.rows])
    if not run.changes and run.system == MAIN and run.examples not in EXAMPLES:
        out["hits"], out["blind"] = pointing_game(made, test)
    return {name: np.asarray(value) for name, value in out.items()}


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Hash of the code that decides what a run gives."""
    package = ROOT / "spacy_attn"
    paths = [package / "train" / "attention.py", package / "train" / "occurrences.py",
             *(package / "encoder" / f"{name}.py" for name in
               ("attention_patterns", "mixers", "self_attention", "static_network"))]  # fmt: skip
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


# -- rows ----------------------------------------------------------------------------------------


def row_specs() -> list[Spec]:
    """Every system, and every other pattern of attention."""
    out = [Spec(name) for name in SYSTEMS]
    for pattern in PATTERNS[1:]:
        changes: dict[str, Any] = {"pattern": pattern}
        if pattern == "low_rank":
            changes["attention_dropout"] = 0.0
        out.append(Spec(MAIN, tuple(sorted(changes.items()))))
    return out


def run_rows(bench: Bench) -> dict[str, Any]:
    """Every system on the whole test set, by stratum and by distance of the nearest cue."""
    test, systems = bench.test, []
    strata, base = np.array(test.strata), bench.values(Spec("static"))
    for spec in row_specs():
        right, pattern = bench.values(spec), dict(spec.changes).get("pattern")
        runs = [bench.measured(run) for run in bench.runs([spec])]
        mixer, whole = runs[0]["parameters"].tolist()
        systems.append(
            {
                "name": f"{spec.system}, {pattern}" if pattern else spec.system,
                "parameters": {"mixer": mixer, "all": whole},
                "accuracy": round(float(right.mean()), 4),
                "ci95": bootstrap(right), "seeds": right.mean(1).round(4).tolist(),
                "over_static": summary(right.astype(float) - base),
                "strata": {s: round(float(right[:, strata == s].mean()), 4)
                           for s in dict.fromkeys(test.strata)},
                "by_distance": by_distance(test, right),
                "train_seconds": round(float(np.median([run["seconds"] for run in runs])), 1),
            }
        )  # fmt: skip
        print(f"{systems[-1]['name']}: {right.mean():.4f} {systems[-1]['ci95']}", flush=True)
    return {**described(bench), "systems": systems}


def described(bench: Bench) -> dict[str, Any]:
    """What was trained on and tested."""
    return {
        "n": len(bench.test.rows), "n_train": len(bench.world(bench.given.examples, 0).train),
        **asdict(bench.given),
    }  # fmt: skip


def by_distance(test: Test, right: NDArray[Any]) -> list[dict[str, Any]]:
    """Accuracy by the tokens between a word and its nearest cue."""
    out = []
    for low, high in DISTANCES:
        where = (test.distance >= low) & (test.distance <= (high or test.distance.max()))
        if where.any():
            out.append({"from": low, "to": high, "n": int(where.sum()), **summary(right[:, where])})
    return out


# -- claims --------------------------------------------------------------------------------------


def claim_specs() -> list[Spec]:
    """What the rows of the claims are made of."""
    shrunk = [
        Spec(MAIN, tuple(sorted(changes.items())), n)
        for n in EXAMPLES for changes in KINDS.values()
    ]  # fmt: skip
    return [*map(Spec, (*FOUR, *HEADS)), *shrunk]


def run_claims(bench: Bench) -> dict[str, Any]:
    """One row for each claim."""
    rights = {name: bench.values(Spec(name)) for name in FOUR}
    rows = [
        _row("Attention tells senses apart better", "accuracy, all instances", rights),
        *_distance_rows(bench.test, rights),
        *_context_rows(bench, rights),
        _heads_row(bench),
        _pointing_row(bench),
        *_overfitting_rows(bench),
    ]
    for row in rows:
        print(f"{row['claim']}: {row['verdict']} {row['difference']}", flush=True)
    return {**described(bench), "claims": rows}


def _row(claim: str, measure: str, values: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """A claim that attention is above static vectors, and above the better of CNN and BiLSTM.

    *Shape:* of each value (n_seeds, n)
    """
    difference = summary(values[MAIN].astype(float) - values["static"])
    other = max(("cnn", "bilstm"), key=lambda name: values[name].mean())
    over_other = summary(values[MAIN].astype(float) - values[other])
    return {
        "claim": claim, "measure": measure,
        "systems": {name: summary(value) for name, value in values.items()},
        "difference": difference, "verdict": verdict(difference["ci95"]),
        "over_other": {"than": other, **over_other, "verdict": verdict(over_other["ci95"])},
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


def _context_rows(bench: Bench, rights: dict[str, Right]) -> list[dict[str, Any]]:
    """Short texts; a limited context; and what a wider one gives."""
    short = np.array([len(row.tokens) <= SHORT for row in bench.test.rows])
    out = []
    if short.any():
        part = {name: right[:, short] for name, right in rights.items()}
        measure = f"accuracy, texts of at most {SHORT} tokens (n = {short.sum()})"
        out.append(_row("Attention reads short texts better", measure, part))
    narrow = {name: bench.values(Spec(name), "narrow") for name in FOUR}
    measure = "accuracy with two tokens each side"
    out.append(_row("Attention needs less context", measure, narrow))
    gains = {name: rights[name].astype(float) - narrow[name] for name in FOUR}
    measure = "accuracy with the whole text less that with two tokens each side"
    out.append(_row("Attention gains more from a wider context", measure, gains))
    return out


def _heads_row(bench: Bench) -> dict[str, Any]:
    one, many = (bench.values(Spec(name)) for name in HEADS)
    difference = summary(many.astype(float) - one)
    return {
        "claim": "Several heads are better than one",
        "measure": "accuracy, eight heads less one head",
        "systems": {"one head": summary(one), "eight heads": summary(many)},
        "difference": difference, "verdict": verdict(difference["ci95"]),
    }  # fmt: skip


def _pointing_row(bench: Bench) -> dict[str, Any]:
    """Against the share of cues among the other words, which is what a blind pointer hits."""
    hits, blind = (bench.values(Spec(MAIN), key) for key in ("hits", "blind"))
    difference = summary(hits - blind)
    return {
        "claim": "Attention weights show what decides",
        "measure": "share of texts whose most looked-at word is a cue, less that of a blind choice",
        "systems": {MAIN: summary(hits), "blind": summary(blind)},
        "difference": difference, "verdict": verdict(difference["ci95"]),
    }  # fmt: skip


def _overfitting_rows(bench: Bench) -> list[dict[str, Any]]:
    """What dropout and masking give as training data shrinks.

    ``gap`` is the accuracy on training data (each left out of its sense's prototype) less that on
    the test set: the overfitting itself.
    """
    out = []
    for n in EXAMPLES:
        specs = {kind: Spec(MAIN, tuple(sorted(c.items())), n) for kind, c in KINDS.items()}
        values = {kind: bench.values(spec) for kind, spec in specs.items()}
        gaps = {
            kind: float(bench.values(spec, "training").mean() - values[kind].mean())
            for kind, spec in specs.items()
        }
        difference = summary(values["dropout and masking"].astype(float) - values["neither"])
        plural = "s" if n > 1 else ""
        out.append(
            {
                "claim": f"Dropout and masking help with {n} example{plural} of a sense",
                "measure": "accuracy with both less that with neither",
                "systems": {kind: summary(value) for kind, value in values.items()},
                # Of one example none is left to compare itself with.
                "gap": {kind: round(gap, 4) for kind, gap in gaps.items()} if n > 1 else None,
                "difference": difference, "verdict": verdict(difference["ci95"]),
            }
        )  # fmt: skip
    return out


def pointing_game(trainer: AttentionTrainer, test: Test) -> tuple[list[float], list[float]]:
    """Does the word that the target looks at most stand among the cues? (Zhang et al. 2018,
    "Top-down neural attention by excitation backprop", the pointing game.)

    Returns:
        Hits, and the chance of a hit, of each text with cues.
    """
    encoder = StaticContextEncoder(trainer.network.cpu(), trainer.vectors)
    pairs = [pointed(encoder, row, cues) for row, cues in zip(test.rows, test.cues, strict=True)
             if cues and len(row.tokens) <= 64]  # fmt: skip
    return [hit for hit, _ in pairs], [chance for _, chance in pairs]


def clipped(row: Occurrence, radius: int) -> Occurrence:
    """The same with fewer tokens each side."""
    low, high = max(0, row.start - radius), min(len(row.tokens), row.end + radius)
    return replace(
        row, tokens=row.tokens[low:high], start=row.start - low, end=row.end - low
    )  # fmt: skip


def pointed(encoder: StaticContextEncoder, row: Occurrence, cues: set[int]) -> tuple[float, float]:
    """Whether the last layer's largest weight from the target falls on a cue, and the chance."""
    weights = encoder.attention(row.tokens)[-1, row.start : row.end].mean(0)
    others = [
        i for i, token in enumerate(row.tokens)
        if not row.start <= i < row.end and re.search(r"\w", token)
    ]  # fmt: skip
    best = max(others, key=lambda i: weights[i], default=-1)
    return float(best in cues), len(cues & set(others)) / max(len(others), 1)


def training_accuracy(trainer: AttentionTrainer) -> float:
    """On what was trained on, each occurrence left out of its sense's prototype."""
    return float(np.mean([each.is_right for each in trainer.score_training()]))


# -- domains -------------------------------------------------------------------------------------


def domain_specs() -> list[Spec]:
    """Systems that are trained on running text."""
    return [Spec(name) for name in FOUR]


class DomainBench(Bench):
    """The same with SemCor and most genres of MASC to learn from."""

    @cached_property
    def material(self) -> Material:
        """Whole documents, spread over the corpora."""
        semcor, masc = (DATA / name for name in CORPORA)
        return read_material(
            shared_vectors(None), None, semcor=semcor, masc=masc, limit=self.given.limit
        )

    def measured(self, run: Run) -> dict[str, NDArray[Any]]:
        """Which held-out occurrences are right, those of each source after the other."""
        made_of = {"run": asdict(run), "limit": self.given.limit, "code": code_digest(),
                   "corpora": [sha256(DATA / name) for name in CORPORA]}  # fmt: skip
        return self.finished.of(made_of, lambda: self._measure(run))

    def prepare(self, specs: Sequence[Spec], part: tuple[int, int]) -> None:
        """See :meth:`Bench.prepare`."""
        for run in self.runs(specs)[part[0] :: part[1]]:
            print(f"{run}: {self.measured(run)['right'].mean():.4f}", flush=True)

    def _measure(self, run: Run) -> dict[str, NDArray[Any]]:
        material = self.material
        empty = Test([], [], np.zeros(0, np.int64), [])
        made = train(World(material, material.train, empty), run)
        held_out = material.held_out
        return {
            "right": np.concatenate([answers(made, rows) for rows in held_out.values()]),
            "n": np.array([len(rows) for rows in held_out.values()]),
            "sources": np.array(list(held_out)),
            "first": np.concatenate([first_is_right(rows) for rows in held_out.values()]),
            "n_train": np.array(len(material.train)),
        }


def first_is_right(rows: Sequence[Occurrence]) -> Right:
    """Whether WordNet's first sense is allowed. *Shape:* (len(rows),)"""
    return np.array([row.candidates[0] in row.allowed for row in rows], dtype=bool)


def run_domains(bench: Bench) -> dict[str, Any]:
    """Tested on held-out documents of SemCor, and on genres of MASC that no system has seen."""
    rights = {name: bench.values(Spec(name)) for name in FOUR}
    about = bench.measured(bench.runs([Spec(MAIN)])[0])
    ends = np.cumsum(about["n"])
    rows = []
    for source, end, n in zip(about["sources"].tolist(), ends, about["n"].tolist(), strict=True):
        where = slice(int(end) - n, int(end))
        name = source.partition(":")[2] or source
        row = _row(
            f"Attention is better on {name}" + (" (unseen domain)" if ":" in source else ""),
            f"accuracy over WordNet's senses (n = {n})",
            {system: right[:, where] for system, right in rights.items()},
        )
        row["first_sense"] = round(float(about["first"][where].mean()), 4)
        rows.append(row)
        print(f"{row['claim']}: {row['verdict']} {row['difference']}", flush=True)
    unseen = np.concatenate(
        [np.full(n, ":" in s) for s, n in zip(about["sources"].tolist(), about["n"], strict=True)]
    )
    if unseen.any() and not unseen.all():
        rows.append(_drop_row(rights, unseen))
    return {"n_train": int(about["n_train"]), **asdict(bench.given), "claims": rows}


def _drop_row(rights: dict[str, Right], unseen: NDArray[np.bool_]) -> dict[str, Any]:
    """How much less is lost from held-out SemCor to the unseen genres, by each system.

    The two are different texts: each is drawn from by itself.
    """

    def drop(of: NDArray[Any]) -> dict[str, Any]:
        rng, out = np.random.default_rng(0), []
        parts = [np.asarray(of[:, where], dtype=float) for where in (~unseen, unseen)]
        for _ in range(_DRAWS):
            seeds = rng.integers(len(of), size=len(of))
            seen, new = (
                part[np.ix_(seeds, rng.integers(part.shape[1], size=part.shape[1]))].mean()
                for part in parts
            )
            out.append(seen - new)
        low, high = (round(float(each), 4) for each in np.quantile(out, [0.025, 0.975]))
        return {"mean": round(float(parts[0].mean() - parts[1].mean()), 4), "ci95": [low, high]}

    less = drop(rights["static"].astype(float) - rights[MAIN])
    return {
        "claim": "Attention loses less on unseen domains",
        "measure": "accuracy on held-out SemCor less that on the unseen genres; less is better",
        "systems": {name: drop(right) for name, right in rights.items()},
        "difference": less, "verdict": verdict(less["ci95"]),
    }  # fmt: skip


_RUNS: dict[str, tuple[Callable[[Bench], dict[str, Any]], Callable[[], list[Spec]], int]] = {
    "rows": (run_rows, row_specs, 8),
    "claims": (run_claims, claim_specs, 8),
    "domains": (run_domains, domain_specs, 2),
}
_NAMES = {"rows": "attention.json", "claims": "attention-claims.json",
          "domains": "attention-domains.json"}  # fmt: skip


def main() -> None:
    given = _arguments()
    run, specs, epochs = _RUNS[given.what]
    settings = Settings(given.seeds, given.epochs or epochs, given.examples, given.limit)
    finished = FinishedRuns(given.kept, given.within)
    kind = DomainBench if given.what == "domains" else Bench
    bench = kind(load_inventory("homographs"), finished, settings)
    try:
        bench.prepare(specs(), given.part or (0, 1))
    except OutOfTime as error:
        raise SystemExit(str(error)) from error
    if given.part:
        return  # the other processes may still be at theirs
    result = run(bench)
    files = [PACKAGE_DATA / "homographs.jsonl", BUNDLED]
    if given.what == "domains":
        files = [DATA / name for name in CORPORA]
    asked = {key: value for key, value in asdict(settings).items() if value is not None}
    options = " ".join(f"--{key} {value}" for key, value in asked.items())
    command = f"python -m benchmarks.attention {given.what} {options}"
    result["manifest"] = manifest(command, files, seed=0)
    path = given.output or RESULTS / _NAMES[given.what]
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m benchmarks.attention", None, __doc__, formatter_class=formatter
    )
    parser.add_argument("what", choices=list(_RUNS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, help="passes over the training data")
    parser.add_argument("--examples", type=int, help="of a sense that are trained on; else all")
    parser.add_argument("--limit", type=int, help="test instances (domains: sentences of a corpus)")
    parser.add_argument("--within", type=float, help="seconds after which no run is begun")
    parser.add_argument("--part", type=int, nargs=2, help="which of how many processes this is")
    parser.add_argument("--kept", type=Path, default=KEPT, help="folder of the finished runs")
    parser.add_argument("-o", "--output", type=Path, help="where a trial's result goes")
    return parser.parse_args()


if __name__ == "__main__":
    main()
