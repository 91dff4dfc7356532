"""Every system and every pattern on the whole test set, by stratum and distance of the cue."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.attention import runs
from benchmarks.attention.patterns import PATTERNS
from benchmarks.attention.runs import MAIN, Bench, Spec, Test, bootstrap, summary
from benchmarks.common import Result

DISTANCES = ((1, 3), (4, 9), (10, 19), (20, None))  # tokens to the nearest cue, of the curve


def specs() -> list[Spec]:
    """Every system, and every other pattern of attention."""
    out = [Spec(name) for name in runs.SYSTEMS]
    for pattern in PATTERNS[1:]:
        changes: dict[str, Any] = {"pattern": pattern}
        if pattern == "low_rank":  # which forms no weights to drop
            changes["attention_dropout"] = 0.0
        out.append(Spec(MAIN, tuple(sorted(changes.items()))))
    return out


def run(bench: Bench) -> Result:
    """The rows of the table."""
    test, systems = bench.test, []
    strata, base = np.array(test.strata), bench.values(Spec("static"))
    for spec in specs():
        right, pattern = bench.values(spec), dict(spec.changes).get("pattern")
        made = [bench.measured(each) for each in bench.runs([spec])]
        mixer, whole = made[0]["parameters"].tolist()
        row = {
            "name": f"{spec.system}, {pattern}" if pattern else spec.system,
            "parameters": {"mixer": mixer, "all": whole},
            "accuracy": round(float(right.mean()), 4),
            "ci95": bootstrap(right),
            "seeds": right.mean(1).round(4).tolist(),
            "over_static": summary(right.astype(float) - base),
            "strata": {
                s: round(float(right[:, strata == s].mean()), 4) for s in dict.fromkeys(test.strata)
            },
            "by_distance": by_distance(test, right),
            "train_seconds": round(float(np.median([each["seconds"] for each in made])), 1),
        }
        systems.append(row)
        print(f"{row['name']}: {right.mean():.4f} {row['ci95']}", flush=True)
    return {**bench.described(), "systems": systems}


def by_distance(test: Test, right: NDArray[Any]) -> list[Result]:
    """Accuracy by the tokens between a word and its nearest cue."""
    out = []
    for low, high in DISTANCES:
        where = (test.distance >= low) & (test.distance <= (high or test.distance.max()))
        if where.any():
            out.append({"from": low, "to": high, "n": int(where.sum()), **summary(right[:, where])})
    return out
