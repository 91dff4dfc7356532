"""Trained on SemCor and most genres of MASC, tested on held-out documents and unseen genres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.attention import runs
from benchmarks.attention.claims import Values, against_others
from benchmarks.attention.runs import (
    FOUR,
    MAIN,
    Bench,
    Right,
    Run,
    Spec,
    Test,
    World,
    answers,
    code_digest,
    quantiles,
    train,
    verdict,
)
from benchmarks.common import MASC, SEMCOR, Result, sha256
from spacy_attn.classic.vectors import shared_vectors
from spacy_attn.train.occurrences import Occurrence
from spacy_attn.train.self_attention_model import Material, read_material

CORPORA = (SEMCOR, MASC)


def specs() -> list[Spec]:
    """Systems that are trained on running text."""
    return [Spec(name) for name in FOUR]


class DomainBench(Bench):
    """The same with SemCor and most genres of MASC to learn from."""

    @cached_property
    def material(self) -> Material:
        """Whole documents, spread over the corpora."""
        return read_material(
            shared_vectors(None), None, semcor=SEMCOR, masc=MASC, limit=self.given.limit
        )

    def made_of(self, run: Run) -> dict[str, Any]:
        """All that decides what a run gives."""
        corpora = [sha256(path) for path in CORPORA]
        return {
            "run": asdict(run),
            "limit": self.given.limit,
            "code": code_digest(),
            "corpora": corpora,
        }

    def measure(self, run: Run) -> Result:
        """Which held-out occurrences are right, those of each source after the other."""
        material = self.material
        empty = Test([], [], np.zeros(0, np.int64), [])
        made = train(World(material, material.train, empty), run)
        held_out = material.held_out
        return {
            "right": np.concatenate([answers(made, rows) for rows in held_out.values()]),
            "n": [len(rows) for rows in held_out.values()],
            "sources": list(held_out),
            "first": np.concatenate([_first_is_right(rows) for rows in held_out.values()]),
            "n_train": len(material.train),
        }


def _first_is_right(rows: Sequence[Occurrence]) -> Right:
    """Whether WordNet's first sense is allowed. *Shape:* (len(rows),)"""
    return np.array([row.candidates[0] in row.allowed for row in rows], dtype=bool)


def run(bench: Bench) -> Result:
    """A row for each source; those of MASC are genres that no system has seen."""
    rights = {name: bench.values(Spec(name)) for name in FOUR}
    about = bench.measured(bench.runs([Spec(MAIN)])[0])
    sources, sizes = about["sources"].tolist(), about["n"].tolist()
    of = np.repeat(sources, sizes)
    rows = []
    for source, n in zip(sources, sizes, strict=True):
        where = of == source
        name = source.partition(":")[2] or source
        row = against_others(
            f"Attention is better on {name}" + (" (unseen domain)" if ":" in source else ""),
            f"accuracy over WordNet's senses (n = {n})",
            {system: right[:, where] for system, right in rights.items()},
        )
        row["first_sense"] = round(float(about["first"][where].mean()), 4)
        rows.append(row)
        print(f"{row['claim']}: {row['verdict']} {row['difference']}", flush=True)
    unseen = np.array([":" in source for source in of])
    if unseen.any() and not unseen.all():
        rows.append(lost_on_unseen(rights, unseen))
    return {"n_train": int(about["n_train"]), **asdict(bench.given), "claims": rows}


def lost_on_unseen(rights: Values, unseen: NDArray[np.bool_]) -> Result:
    """How much less is lost from held-out SemCor to the unseen genres, by each system.

    The two are different texts: each is drawn from by itself.
    """

    def lost(of: NDArray[Any]) -> Result:
        rng, out = np.random.default_rng(0), []
        parts = [np.asarray(of[:, where], dtype=float) for where in (~unseen, unseen)]
        for _ in range(runs.DRAWS):
            seeds = rng.integers(len(of), size=len(of))
            seen, new = (
                part[np.ix_(seeds, rng.integers(part.shape[1], size=part.shape[1]))].mean()
                for part in parts
            )
            out.append(seen - new)
        mean = round(float(parts[0].mean() - parts[1].mean()), 4)
        return {"mean": mean, "ci95": quantiles(out)}

    less = lost(rights["static"].astype(float) - rights[MAIN])
    return {
        "claim": "Attention loses less on unseen domains",
        "measure": "accuracy on held-out SemCor less that on the unseen genres; less is better",
        "systems": {name: lost(right) for name, right in rights.items()},
        "difference": less,
        "verdict": verdict(less["ci95"]),
    }
