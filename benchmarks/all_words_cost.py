"""What all-words senses cost: time beside the pipeline they stand in, and memory.

    python -m benchmarks.all_words_cost

Each repetition runs the same documents through tagger, lemmatizer and an ``attention_encoder``
with the trained weights, without and with ``sense_disambiguator`` behind it, in turns; the median
of the ratios is the result, because single times on a shared machine mean little. Memory is that of
fresh processes: en_core_web_sm as it is loaded, and the most that the whole pipeline ever held over
the same documents, 32 at a time (with a thousand, spaCy's own tagger takes 400 MB by itself).
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
from benchmarks.manifest import ROOT, manifest
from spacy_attn.methods import SENSE_MODEL
from spacy_attn.models import resolve_pipeline

RESULT = ROOT / "benchmarks" / "results" / "all-words-cost.json"
REPETITIONS = 7
_AT_ONCE = 32  # documents, while memory is measured
PRECISIONS = ("float32", "bfloat16")


def pipeline(precision: str) -> Language:
    """Tagger and lemmatizer, encoder, all-words senses."""
    nlp = spacy.load(str(resolve_pipeline()), exclude=["parser", "ner", "senter"])
    nlp.add_pipe("attention_encoder", config={"adapter": "senses", "precision": precision})
    method = {"@sense_methods": "spacy_attn.attention.v1", "precision": precision}
    nlp.add_pipe("sense_disambiguator", config={"inventory": "wordnet", "method": method})
    return nlp


def peak_rss_mb() -> float:
    """The most memory that this process held."""
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def child(precision: str) -> None:
    """Print the memory of a fresh process: en_core_web_sm alone for "none"."""
    if precision == "none":
        spacy.load(str(resolve_pipeline()))
    else:
        for _ in pipeline(precision).pipe(documents(), batch_size=_AT_ONCE):
            pass
    print(peak_rss_mb())


def memory(precision: str) -> float:
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.all_words_cost", precision]
    out = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return float(out.split()[-1])


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
    spacy_alone = memory("none")
    result: dict[str, Any] = {"n_documents": len(texts), "repetitions": REPETITIONS}
    result["peak_rss_mb"] = {"en_core_web_sm": round(spacy_alone)}
    table = Table("precision", "time with senses", "words/s", "MB above en_core_web_sm")
    for precision in PRECISIONS:
        result[precision] = measure(precision, texts)
        peak = memory(precision)
        result["peak_rss_mb"][precision] = round(peak)
        speed = result[precision]["words_per_second"]["with_senses"]
        ratio = result[precision]["ratio"]
        table.add_row(precision, f"x {ratio:.3f}", f"{speed:,}", f"{peak - spacy_alone:.0f}")
    result["manifest"] = manifest("python -m benchmarks.all_words_cost", [SENSE_MODEL, CORPUS])
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    Console().print(table)


if __name__ == "__main__":
    main()
