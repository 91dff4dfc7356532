"""How long until the first annotated document, in a process that starts cold.

    python -m benchmarks.speed.loading

Every time is that of a new process and the files are in the system's cache. The processes take
turns; the ratio of a turn compares it with en_core_web_sm in the same turn, and the median counts.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.common import ROOT, manifest
from spacy_attn.models import resolve_pipeline

RESULT = ROOT / "benchmarks" / "results" / "loading.json"
TURNS = 7
TEXT = "The bat flew at night."
BASELINE = "en_core_web_sm"
#: What a process does, up to its first annotated document.
FIRST_DOCUMENT = {
    BASELINE: "import spacy; spacy.load({sm!r})({text!r})",
    "en_core_web_sm and sense_disambiguator": (
        "import spacy; nlp = spacy.load({sm!r}); nlp.add_pipe('sense_disambiguator'); nlp({text!r})"
    ),
    "load_pipeline()": "import spacy_attn; spacy_attn.load_pipeline()({text!r})",
    "blank and attention_encoder": (
        "import spacy; nlp = spacy.blank('en'); nlp.add_pipe('attention_encoder'); nlp({text!r})"
    ),
}
#: What a process does before the clock, and what is timed.
WITHIN = {
    "import spacy_attn": ("import time", "import spacy_attn"),
    "making an attention_encoder": (
        "import time, spacy, torch; nlp = spacy.blank('en')",
        "nlp.add_pipe('attention_encoder')",
    ),
    "its first vectors": (
        "import time, spacy, torch; nlp = spacy.blank('en'); nlp.add_pipe('attention_encoder')",
        "nlp({text!r})",
    ),
    "making a sense_disambiguator": (
        "import time, spacy, torch; nlp = spacy.blank('en')",
        "nlp.add_pipe('sense_disambiguator')",
    ),
    "its first senses": (
        "import time, spacy, torch; nlp = spacy.blank('en'); nlp.add_pipe('sense_disambiguator')",
        "nlp({text!r})",
    ),
}


def fill(code: str) -> str:
    return code.format(sm=resolve_pipeline(), text=TEXT)


def whole(code: str) -> float:
    """Seconds of a process."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", fill(code)], check=True, cwd=ROOT, capture_output=True)
    return time.perf_counter() - started


def within(before: str, timed: str) -> float:
    """Seconds of one step in a new process."""
    lines = [before, "started = time.perf_counter()", timed, "print(time.perf_counter() - started)"]
    code = fill("\n".join(lines))
    done = subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True,
                          text=True)  # fmt: skip
    return float(done.stdout.splitlines()[-1])


def main() -> None:
    names = list(FIRST_DOCUMENT)
    seconds: dict[str, list[float]] = {name: [] for name in [*names, *WITHIN]}
    for name in names:
        whole(FIRST_DOCUMENT[name])  # files into the cache
    for turn in track(range(TURNS), console=Console(stderr=True)):
        for name in names[:: -1 if turn % 2 else 1]:
            seconds[name].append(whole(FIRST_DOCUMENT[name]))
        for name, step in WITHIN.items():
            seconds[name].append(within(*step))
    rows: dict[str, dict[str, Any]] = {}
    table = Table("", "seconds", f"times {BASELINE}")
    for name, times in seconds.items():
        rows[name] = {"seconds": round(statistics.median(times), 3)}
        if name in FIRST_DOCUMENT:
            ratios = [own / base for own, base in zip(times, seconds[BASELINE], strict=True)]
            rows[name]["ratio"] = round(statistics.median(ratios), 3)
        table.add_row(name, str(rows[name]["seconds"]), str(rows[name].get("ratio", "")))
    Console().print(table)
    result = {
        "turns": TURNS, "baseline": BASELINE, "rows": rows,
        "manifest": manifest("python -m benchmarks.speed.loading", []),
    }  # fmt: skip
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
