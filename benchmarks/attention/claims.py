"""What is said of attention, a row for each claim, and whether it holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.attention import runs
from benchmarks.attention.runs import FOUR, MAIN, Bench, Spec, summary, verdict
from benchmarks.common import Result

NEAR, FAR = 3, 10  # tokens from a word to its nearest cue
SHORT = 8  # tokens of a short text
HEADS = {"one head": "attention 1 x 1", "eight heads": "attention 1 x 8"}
DROPS: dict[str, dict[str, Any]] = {
    "dropout and masking": {},
    "no attention dropout": {"attention_dropout": 0.0},
    "no masking": {"mask_words": 0.0},
    "neither": {"attention_dropout": 0.0, "mask_words": 0.0},
}

Values = Mapping[str, NDArray[Any]]  # of systems, each (n_seeds, n)


def specs() -> list[Spec]:
    """What the rows of the claims are made of."""
    shrunk = [spec for n in runs.EXAMPLES for spec in _dropped(n).values()]
    return [*map(Spec, (*FOUR, *HEADS.values())), *shrunk]


def _dropped(examples: int) -> dict[str, Spec]:
    return {
        kind: Spec(MAIN, tuple(sorted(changes.items())), examples)
        for kind, changes in DROPS.items()
    }


def run(bench: Bench) -> Result:
    """One row for each claim."""
    rights = {name: bench.values(Spec(name)) for name in FOUR}
    narrow = {name: bench.values(Spec(name), "narrow") for name in FOUR}
    gains = {name: rights[name].astype(float) - narrow[name] for name in FOUR}
    rows = [
        against_others("Attention tells senses apart better", "accuracy, all instances", rights)
    ]
    for claim, measure, where in _parts(bench):
        if where.any():
            part = {name: right[:, where] for name, right in rights.items()}
            rows.append(against_others(claim, f"{measure} (n = {where.sum()})", part))
    rows += [
        against_others(
            "Attention needs less context", "accuracy with two tokens each side", narrow
        ),
        against_others(
            "Attention gains more from a wider context",
            "accuracy with the whole text less that with two tokens each side",
            gains,
        ),
        _heads_row(bench),
        _pointing_row(bench),
        *(_overfitting_row(bench, n) for n in runs.EXAMPLES),
    ]
    for row in rows:
        print(f"{row['claim']}: {row['verdict']} {row['difference']}", flush=True)
    return {**bench.described(), "claims": rows}


def _parts(bench: Bench) -> list[tuple[str, str, NDArray[np.bool_]]]:
    """Claims of a part of the test set: near and far cues, short texts."""
    test = bench.test
    lengths = np.array([len(row.tokens) for row in test.rows])
    return [
        (
            "Attention uses a near cue better",
            f"accuracy, nearest cue at most {NEAR} tokens away",
            (test.distance >= 0) & (test.distance <= NEAR),
        ),
        (
            "Attention uses a far cue (long-range dependency) better",
            f"accuracy, nearest cue {FAR} or more tokens away",
            test.distance >= FAR,
        ),
        (
            "Attention reads short texts better",
            f"accuracy, texts of at most {SHORT} tokens",
            lengths <= SHORT,
        ),
    ]


def against_others(claim: str, measure: str, values: Values) -> Result:
    """A claim that attention is above static vectors, and above the better of CNN and BiLSTM."""
    other = max(("cnn", "bilstm"), key=lambda name: values[name].mean())
    row = _row(claim, measure, values, MAIN, "static")
    over_other = summary(values[MAIN].astype(float) - values[other])
    said = verdict(over_other["ci95"])
    return {**row, "over_other": {"than": other, **over_other, "verdict": said}}


def _row(claim: str, measure: str, values: Values, better: str, worse: str) -> Result:
    difference = summary(values[better].astype(float) - values[worse])
    return {
        "claim": claim,
        "measure": measure,
        "systems": {name: summary(value) for name, value in values.items()},
        "difference": difference,
        "verdict": verdict(difference["ci95"]),
    }


def _heads_row(bench: Bench) -> Result:
    values = {name: bench.values(Spec(system)) for name, system in HEADS.items()}
    claim, measure = "Several heads are better than one", "accuracy, eight heads less one head"
    return _row(claim, measure, values, "eight heads", "one head")


def _pointing_row(bench: Bench) -> Result:
    """Against the share of cues among the other words, which is what a blind pointer hits."""
    values = {MAIN: bench.values(Spec(MAIN), "hits"), "blind": bench.values(Spec(MAIN), "blind")}
    measure = "share of texts whose most looked-at word is a cue, less that of a blind choice"
    return _row("Attention weights show what decides", measure, values, MAIN, "blind")


def _overfitting_row(bench: Bench, n: int) -> Result:
    """What dropout and masking give with so many examples of a sense.

    ``gap`` is the accuracy on training data (each left out of its sense's prototype) less that on
    the test set: the overfitting itself. Of one example none is left to compare itself with.
    """
    made = _dropped(n)
    values = {kind: bench.values(spec) for kind, spec in made.items()}
    gaps = {
        kind: round(float(bench.values(spec, "training").mean() - values[kind].mean()), 4)
        for kind, spec in made.items()
    }
    claim = f"Dropout and masking help with {n} example{'s' if n > 1 else ''} of a sense"
    measure = "accuracy with both less that with neither"
    row = _row(claim, measure, values, "dropout and masking", "neither")
    return {**row, "gap": gaps if n > 1 else None}
