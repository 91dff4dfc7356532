"""How long until the first annotated document, in a process that starts cold.

    python -m benchmarks.speed.loading

Every time is that of a new process and the files are in the system's cache. The processes take
turns; the ratio of a turn compares it with en_core_web_sm in the same turn, and the median counts.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from functools import partial

from benchmarks.common import ROOT, Result, in_turns, median_ratio, progress, publish, run_command
from spacy_attn.models import resolve_pipeline

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
_BLANK = "import time, spacy, torch; nlp = spacy.blank('en')"
#: What a process does before the clock, and what is timed.
WITHIN = {
    "import spacy_attn": ("import time", "import spacy_attn"),
    "making an attention_encoder": (_BLANK, "nlp.add_pipe('attention_encoder')"),
    "its first vectors": (f"{_BLANK}; nlp.add_pipe('attention_encoder')", "nlp({text!r})"),
    "making a sense_disambiguator": (_BLANK, "nlp.add_pipe('sense_disambiguator')"),
    "its first senses": (f"{_BLANK}; nlp.add_pipe('sense_disambiguator')", "nlp({text!r})"),
}


def run(code: str) -> str:
    """What a new process prints."""
    filled = code.format(sm=resolve_pipeline(), text=TEXT)
    command = [sys.executable, "-c", filled]
    return subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True).stdout


def within(before: str, timed: str) -> float:
    """Seconds of one step in a new process."""
    end = "print(time.perf_counter() - started)"
    printed = run("\n".join([before, "started = time.perf_counter()", timed, end]))
    return float(printed.splitlines()[-1])


def main() -> None:
    for code in FIRST_DOCUMENT.values():
        run(code)  # files into the cache
    rows: dict[str, Result] = {}
    times = in_turns({name: partial(run, code) for name, code in FIRST_DOCUMENT.items()}, TURNS)
    for name, own in times.items():
        ratio = median_ratio(own, times[BASELINE])["ratio"]
        rows[name] = {"seconds": round(statistics.median(own), 3), "ratio": ratio}
    for name, step in WITHIN.items():
        own = [within(*step) for _ in progress(range(TURNS), name)]
        rows[name] = {"seconds": round(statistics.median(own), 3)}
    result = {"turns": TURNS, "baseline": BASELINE, "rows": rows}
    publish("loading", result, ".speed.loading", shown="limits-of-speed")


if __name__ == "__main__":
    run_command(main, __doc__)
