"""What all-words senses cost: time beside the pipeline they stand in, and memory.

    python -m benchmarks.all_words_cost

Each repetition runs the same documents through tagger, lemmatizer and an ``attention_encoder``
with the trained weights, without and with ``sense_disambiguator`` behind it, in turns; the median
of the ratios is the result, because single times on a shared machine mean little. Memory is that
of fresh processes above that of en_core_web_sm as it is loaded: after the same documents, 32 at a
time, and the most that was ever held (with a thousand at once, spaCy's own tagger takes 400 MB).
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from typing import Any

import spacy
from rich.console import Console
from rich.progress import track
from rich.table import Table
from spacy.language import Language

from benchmarks.classic_speed import CORPUS, documents, timed
from benchmarks.common import ROOT, manifest
from spacy_attn.methods import SENSE_MODEL
from spacy_attn.models import resolve_pipeline

RESULT = ROOT / "benchmarks" / "results" / "all-words-cost.json"
REPETITIONS = 7
_AT_ONCE = 32  # documents, while memory is measured
PRECISIONS = ("float32", "bfloat16")


def pipeline(precision: str) -> Language:
    """Tagger and lemmatizer, encoder, all-words senses."""
    nlp = spacy.load(str(resolve_pipeline()), exclude=["parser", "ner", "senter"])
    nlp.add_pipe(
        "attention_encoder", config={"adapter": "senses", "strength": 1.0, "precision": precision}
    )
    method = {"@sense_methods": "spacy_attn.attention.v1", "precision": precision}
    nlp.add_pipe("sense_disambiguator", config={"inventory": "wordnet", "method": method})
    return nlp


def rss_mb(name: str) -> int:
    """Memory of this process: VmRSS, what it holds, or VmHWM, the most that it held."""
    with open("/proc/self/status", encoding="ascii") as file:
        line = next(line for line in file if line.startswith(name))
    return int(line.split()[1]) // 1024


def child(what: str) -> None:
    """Print the memory of a fresh process."""
    nlp = pipeline(what) if what in PRECISIONS else spacy.load(str(resolve_pipeline()))
    if what != "loaded":
        names = ["parser", "ner"]
        with nlp.select_pipes(disable=[name for name in names if nlp.has_pipe(name)]):
            for _ in nlp.pipe(documents(), batch_size=_AT_ONCE):
                pass
    print(json.dumps({"held": rss_mb("VmRSS"), "peak": rss_mb("VmHWM")}))


def memory(what: str) -> dict[str, int]:
    """The memory of a fresh process with en_core_web_sm loaded, or with documents run."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.all_words_cost", what]
    out = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    measured: dict[str, int] = json.loads(out.splitlines()[-1])
    return measured


def measure(precision: str, texts: list[str]) -> dict[str, Any]:
    full = pipeline(precision)
    n_words = sum(len(full.make_doc(text)) for text in texts)
    timed(full, texts)  # caches fill, models load
    rows = []
    for i in track(range(REPETITIONS), precision, console=Console(stderr=True)):
        seconds = {}
        for has_senses in (False, True) if i % 2 == 0 else (True, False):
            with full.select_pipes(disable=[] if has_senses else ["sense_disambiguator"]):
                seconds[has_senses] = timed(full, texts)
        rows.append((seconds[False], seconds[True]))
    ratios = [both / alone for alone, both in rows]
    return {
        "n_words": n_words,
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "words_per_second": {
            "without_senses": round(n_words / statistics.median(alone for alone, _ in rows)),
            "with_senses": round(n_words / statistics.median(both for _, both in rows)),
        },
    }


def main() -> None:
    if len(sys.argv) > 1:
        child(sys.argv[1])
        return
    texts = documents()
    rss = {"loaded": memory("loaded"), "tagger": memory("tagger")}
    result: dict[str, Any] = {"n_documents": len(texts), "repetitions": REPETITIONS, "rss_mb": rss}
    table = Table("precision", "time with senses", "words/s", "MB above en_core_web_sm", "peak")
    for precision in PRECISIONS:
        result[precision] = measure(precision, texts)
        rss[precision] = memory(precision)
        speed = result[precision]["words_per_second"]["with_senses"]
        above = {key: rss[precision][key] - rss["loaded"]["held"] for key in ("held", "peak")}
        table.add_row(
            precision, f"x {result[precision]['ratio']:.3f}", f"{speed:,}",
            str(above["held"]), str(above["peak"]),
        )  # fmt: skip
    result["manifest"] = manifest("python -m benchmarks.all_words_cost", [SENSE_MODEL, CORPUS])
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    Console().print(table)


if __name__ == "__main__":
    main()
