"""Memory of the encoder: long jobs, a very long document, and the peak for each token budget.

    python -m benchmarks.speed.memory            # all, 15 minutes
    python -m benchmarks.speed.memory --quick    # a hundredth of the documents; writes nothing

Each row is a process of its own that reads /proc/self/status (Linux):

* *long job*: documents stream through, 1,000 to a ``memory_zone``; resident memory is read after
  each of these, and the slope is that of the least-squares line after a tenth of the documents;
* *one document* of 1,000,000 characters;
* *budget*: the peak above the loaded pipeline against ``batch_pieces``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.common import ROOT, manifest
from benchmarks.speed.peers import CORPUS, documents

RESULT = ROOT / "benchmarks" / "results" / "memory.json"
ENCODER = "attention_encoder"
SENSES = "sense_disambiguator"
BUDGETS = (256, 1024, 4096, 16384)
LONG = 1_000_000  # characters
JOBS = ((100_000, 25), (10_000, 500))  # documents and words of each


# -- in a child ------------------------------------------------------------------------------


def megabytes(field: str = "VmRSS") -> float:
    """Resident memory of this process, or with "VmHWM" the most it was."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no {field}")


def forget_peak() -> None:
    """Set the peak back to what is resident now."""
    Path("/proc/self/clear_refs").write_text("5")


def pipeline(component: str, **settings: Any) -> Any:
    import spacy

    nlp = spacy.blank("en")
    nlp.add_pipe(component, config=settings)
    for _ in nlp.pipe([*documents(400), "the bat flew at night"]):
        pass
    return nlp


def texts(n_documents: int, n_words: int) -> Iterator[str]:
    """Runs of SemCor's words, each from another place, so that no two are alike."""
    words = " ".join(documents(200_000)).split()
    rng = random.Random(0)  # noqa: S311 - places to begin
    for _ in range(n_documents):
        start = rng.randrange(len(words) - n_words)
        yield " ".join(words[start : start + n_words])


def long_job(component: str, n_documents: int, n_words: int) -> dict[str, Any]:
    nlp = pipeline(component, precision="auto") if component == ENCODER else pipeline(component)
    stream = texts(n_documents, n_words)
    resident = []
    chunk = max(1, min(1000, n_documents // 20))
    for _ in range(n_documents // chunk):
        with nlp.memory_zone():
            for _ in nlp.pipe(next(stream) for _ in range(chunk)):
                pass
        resident.append(megabytes())
    from scipy.stats import linregress

    late = resident[len(resident) // 10 :]
    slope = float(linregress(range(len(late)), late).slope)
    return {
        "slope_mb_per_10000_documents": round(slope * 10_000 / chunk, 2),
        "slope_mb_per_million_words": round(slope * 1e6 / (chunk * n_words), 2),
        "rss_mb": [round(each) for each in resident], "peak_mb": round(megabytes("VmHWM")),
    }  # fmt: skip


def one_document(component: str) -> dict[str, Any]:
    nlp = pipeline(component)
    text = " ".join(documents(LONG // 5))[:LONG]
    before = megabytes()
    forget_peak()
    doc = nlp(text)
    peak = megabytes("VmHWM")
    vectors = getattr(doc._, "attn_vectors", None) if component == ENCODER else None
    return {
        "characters": len(text), "tokens": len(doc), "loaded_mb": round(before),
        "peak_mb": round(peak), "peak_growth_mb": round(peak - before),
        "vectors_mb": 0 if vectors is None else round(vectors.nbytes / 2**20),
    }  # fmt: skip


def budget(batch_pieces: int) -> dict[str, Any]:
    nlp = pipeline(ENCODER, batch_pieces=batch_pieces)
    before = megabytes()
    forget_peak()
    for _ in nlp.pipe(texts(300, 200), batch_size=50):
        pass
    peak = megabytes("VmHWM")
    return {"loaded_mb": round(before), "peak_growth_mb": round(peak - before)}


# -- in the parent ---------------------------------------------------------------------------


def rows(share: int) -> list[tuple[str, str]]:
    """Name of each row and what its process evaluates."""
    out = []
    for component in (ENCODER, SENSES):
        for n_documents, n_words in JOBS:
            name = f"{component}: {n_documents:,} documents of {n_words} words"
            out.append((name, f"long_job({component!r}, {n_documents // share}, {n_words})"))
        out.append((f"{component}: one document of {LONG:,} characters",
                    f"one_document({component!r})"))  # fmt: skip
    out += [(f"{ENCODER}: batch_pieces {n:,}", f"budget({n})") for n in BUDGETS]
    return out


def run(call: str) -> dict[str, Any]:
    code = f"import json; from benchmarks.speed.memory import *; print(json.dumps({call}))"
    threads = str(os.cpu_count() or 1)
    environ = {**os.environ, "OMP_NUM_THREADS": threads, "RAYON_NUM_THREADS": threads}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, check=True,
                          stdout=subprocess.PIPE, text=True)  # fmt: skip
    out: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="a hundredth of the documents")
    quick = parser.parse_args().quick
    found = {}
    for name, call in track(rows(100 if quick else 1), console=Console(stderr=True)):
        found[name] = run(call)
    table = Table("", "slope, MB per 10,000 documents", "peak MB", "of it growth")
    for name, row in found.items():
        slope = row.get("slope_mb_per_10000_documents", "")
        growth = row.get("peak_growth_mb", "")
        table.add_row(name, str(slope), str(row.get("peak_mb", "")), str(growth))
    Console().print(table)
    if not quick:
        result = {
            "rows": found, "unit": "MB (2**20 bytes) resident",
            "manifest": manifest("python -m benchmarks.speed.memory", [CORPUS], seed=0),
        }  # fmt: skip
        RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
