"""One training of the study and all that is measured of it, made now or read from the disk.

All mixers have the same number of parameters, see :mod:`benchmarks.attention.mixers`; ``static``
has none. Intervals are a bootstrap over instances and seeds together; a difference is taken seed by
seed, instance by instance.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.attention.mixers import mixer_of
from benchmarks.attention.patterns import Pattern
from benchmarks.common import ROOT, Result, rounded, sha256
from benchmarks.kept import Kept
from spacy_attn.classic.vectors import shared_vectors
from spacy_attn.compare.dataset import BUNDLED
from spacy_attn.encoder.static_network import NetworkConfig, StaticContextEncoder
from spacy_attn.train.held_out import blank_resources
from spacy_attn.train.occurrences import Occurrence, of_labels
from spacy_attn.train.self_attention import SelfAttentionConfig, SelfAttentionTrainer
from spacy_attn.train.self_attention_model import Material, read_material
from spacy_attn.wsd.context import tokens_within
from spacy_attn.wsd.inventory.jsonl import Inventory
from spacy_attn.wsd.inventory.labelled import read_labelled

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
EXAMPLES = (1, 2, 4)  # of a sense, as training data shrinks
DRAWS = 1000
_WINDOW = 8  # tokens each side, of the pattern "window"

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
    changes: tuple[tuple[str, Any], ...] = ()  # of NetworkConfig, "pattern" or "mask_words"
    examples: int | None = None  # of a sense; None: those of the settings


@dataclass(frozen=True)
class Run:
    """One training, and all that decides it beside data and code."""

    system: str
    seed: int
    epochs: int
    changes: tuple[tuple[str, Any], ...] = ()
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
    if known is not None and _sense_ids(known.material) == _sense_ids(material):
        return World(material, train, known.test)
    return World(material, train, _read_test(inventory, material, limit))


def _sense_ids(material: Material) -> list[str]:
    return [sense.id for sense in material.senses.senses]


def _read_test(inventory: Inventory, material: Material, limit: int | None) -> Test:
    """The bundled test set as occurrences; words with one sense are nobody's question."""
    resources = blank_resources(inventory)
    items = [i for i in read_labelled(BUNDLED) if len(inventory.candidates(i.lemma, i.pos)) > 1]
    rows = list(of_labels(BUNDLED, inventory, resources, material.senses))
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


def train(world: World, run: Run) -> SelfAttentionTrainer:
    """One trained system."""
    mixer, layers, heads = SYSTEMS[run.system]
    changes = dict(run.changes)
    pattern = Pattern(changes.pop("pattern", "full"), window=_WINDOW)
    config = SelfAttentionConfig(
        epochs=run.epochs, seed=run.seed, mask_words=changes.pop("mask_words", 0.1)
    )
    vectors = shared_vectors(None)
    trainer = SelfAttentionTrainer(
        NetworkConfig(vectors.width, layers=layers, heads=heads, **changes),
        config,
        vectors,
        world.train,
        world.material.texts,
        make_mixer=mixer_of(mixer, pattern),
    )
    trainer.train()
    return trainer


def answers(trainer: SelfAttentionTrainer, rows: Sequence[Occurrence]) -> Right:
    """Which occurrences get a right sense. *Shape:* (len(rows),)"""
    return np.array([each.is_right for each in trainer.score(rows)], dtype=bool)


# -- intervals -----------------------------------------------------------------------------------


def bootstrap(right: NDArray[Any], draws: int | None = None) -> list[float]:
    """95 % interval of a mean, seeds and instances both drawn with replacement.

    *Shape:* (n_seeds, n_instances)
    """
    rng = np.random.default_rng(0)
    n_seeds, n = right.shape
    values = np.asarray(right, dtype=np.float64)
    return quantiles(
        [
            values[np.ix_(rng.integers(n_seeds, size=n_seeds), rng.integers(n, size=n))].mean()
            for _ in range(draws or DRAWS)
        ]
    )


def quantiles(drawn: Sequence[float]) -> list[float]:
    """The middle 95 %."""
    return rounded(np.quantile(drawn, [0.025, 0.975]))


def summary(right: NDArray[Any]) -> Result:
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
        kept: runs that are finished.
        given: seeds, epochs, examples of a sense, and the limit of the test set.
    """

    def __init__(self, inventory: Inventory, kept: Kept, given: Settings) -> None:
        self.inventory, self.kept, self.given = inventory, kept, given
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
        epochs, examples = self.given.epochs, self.given.examples
        return [
            Run(spec.system, seed, epochs, spec.changes, spec.examples or examples)
            for seed in range(self.given.seeds)
            for spec in specs
        ]

    def measured(self, run: Run) -> dict[str, NDArray[Any]]:
        """See :meth:`measure`."""

        def make() -> Result:
            return {name: np.asarray(each).tolist() for name, each in self.measure(run).items()}

        found = self.kept.get(self.made_of(run), make)
        return {name: np.array(each) for name, each in found.items()}

    def measure(self, run: Run) -> Result:
        """See :func:`measure`."""
        return measure(self.world(run.examples, run.seed), run)

    def values(self, spec: Spec, key: str = "right") -> NDArray[Any]:
        """One measure of a system. *Shape:* (n_seeds, n)"""
        return np.stack([self.measured(run)[key] for run in self.runs([spec])])

    def prepare(self, specs: Sequence[Spec], part: tuple[int, int]) -> None:
        """Make those runs that are the part of one of several processes."""
        for run in self.runs(specs)[part[0] :: part[1]]:
            if not self.kept.has(self.made_of(run)):
                print(f"{run}: {self.measured(run)['right'].mean():.4f}", flush=True)

    def made_of(self, run: Run) -> dict[str, Any]:
        """All that decides what a run gives."""
        return {
            "run": asdict(run),
            "inventory": self.inventory.digest,
            "limit": self.given.limit,
            "test": sha256(BUNDLED),
            "code": code_digest(),
        }

    def described(self) -> Result:
        """What was trained on and tested."""
        n_train = len(self.world(self.given.examples, 0).train)
        return {"n": len(self.test.rows), "n_train": n_train, **asdict(self.given)}


def measure(world: World, run: Run) -> Result:
    """Train one system and measure all that any table asks of it.

    ``right``: the test set; ``narrow``: with two tokens each side; ``hits`` and ``blind``: the
    pointing game; ``training``: accuracy on the training data, each occurrence left out of its
    sense's prototype.
    """
    started = time.perf_counter()
    made, test = train(world, run), world.test
    out: Result = {"seconds": time.perf_counter() - started}
    out["parameters"] = [made.n_parameters["mixer"], made.n_parameters["all"]]
    out["right"] = answers(made, test.rows)
    if run.examples in EXAMPLES:
        out["training"] = np.mean([each.is_right for each in made.score_training()])
    elif not run.changes and run.system in FOUR:
        out["narrow"] = answers(made, [clipped(row, 2) for row in test.rows])
    if not run.changes and run.system == MAIN and run.examples not in EXAMPLES:
        out["hits"], out["blind"] = pointing_game(made, test)
    return out


def clipped(row: Occurrence, radius: int) -> Occurrence:
    """The same with fewer tokens each side."""
    low, high = max(0, row.start - radius), min(len(row.tokens), row.end + radius)
    return replace(row, tokens=row.tokens[low:high], start=row.start - low, end=row.end - low)


def pointing_game(trainer: SelfAttentionTrainer, test: Test) -> tuple[list[float], list[float]]:
    """Does the word that the target looks at most stand among the cues? (Zhang et al. 2018,
    "Top-down neural attention by excitation backprop", the pointing game.)

    Returns:
        Hits, and the chance of a hit, of each text with cues.
    """
    encoder = StaticContextEncoder(trainer.network.cpu(), trainer.vectors)
    pairs = [
        pointed(encoder, row, cues)
        for row, cues in zip(test.rows, test.cues, strict=True)
        if cues and len(row.tokens) <= 64
    ]
    return [hit for hit, _ in pairs], [chance for _, chance in pairs]


def pointed(encoder: StaticContextEncoder, row: Occurrence, cues: set[int]) -> tuple[float, float]:
    """Whether the last layer's largest weight from the target falls on a cue, and the chance."""
    weights = encoder.attention(row.tokens)[-1, row.start : row.end].mean(0)
    others = [
        i
        for i, token in enumerate(row.tokens)
        if not row.start <= i < row.end and re.search(r"\w", token)
    ]
    best = max(others, key=lambda i: weights[i], default=-1)
    return float(best in cues), len(cues & set(others)) / max(len(others), 1)


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Hash of the code that decides what a run gives."""
    package, here = ROOT / "spacy_attn", Path(__file__).parent
    paths = [
        *(package / "train" / f"{name}.py" for name in ("self_attention", "occurrences")),
        *(package / "encoder" / f"{name}.py" for name in ("self_attention", "static_network")),
        *(here / f"{name}.py" for name in ("mixers", "patterns")),
    ]
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()
