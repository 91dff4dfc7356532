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

import json
import os
import random
import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any

from benchmarks.common import (
    SEED,
    SEMCOR,
    Result,
    documents,
    forget_peak,
    in_child,
    memory_mb,
    progress,
    publish,
    run_command,
)

ENCODER = "attention_encoder"
SENSES = "sense_disambiguator"
BUDGETS = (256, 1024, 4096, 16384)
LONG = 1_000_000  # characters
JOBS = ((100_000, 25), (10_000, 500))  # documents and words of each


# -- in a child ------------------------------------------------------------------------------


def pipeline(component: str, **settings: Any) -> Any:
    """A blank pipeline with a component, warm."""
    import spacy

    nlp = spacy.blank("en")
    nlp.add_pipe(component, config=settings)
    for _ in nlp.pipe([*documents(400), "the bat flew at night"]):
        pass
    return nlp


def texts(n_documents: int, n_words: int) -> Iterator[str]:
    """Runs of SemCor's words, each from another place, so that no two are alike."""
    words = " ".join(documents(200_000)).split()
    rng = random.Random(SEED)  # noqa: S311 - places to begin
    for _ in range(n_documents):
        start = rng.randrange(len(words) - n_words)
        yield " ".join(words[start : start + n_words])


def long_job(component: str, n_documents: int, n_words: int) -> Result:
    """Resident memory while documents stream through."""
    from scipy.stats import linregress

    nlp = pipeline(component, precision="auto") if component == ENCODER else pipeline(component)
    stream = texts(n_documents, n_words)
    resident = []
    chunk = max(1, min(1000, n_documents // 20))
    for _ in range(n_documents // chunk):
        with nlp.memory_zone():
            for _ in nlp.pipe(islice(stream, chunk)):
                pass
        resident.append(memory_mb())
    late = resident[len(resident) // 10 :]
    slope = float(linregress(range(len(late)), late).slope)
    return {
        "slope_mb_per_10000_documents": round(slope * 10_000 / chunk, 2),
        "slope_mb_per_million_words": round(slope * 1e6 / (chunk * n_words), 2),
        "rss_mb": [round(each) for each in resident],
        "peak_mb": round(memory_mb("VmHWM")),
    }


def one_document(component: str) -> Result:
    """The peak of a very long text."""
    nlp = pipeline(component)
    text = " ".join(documents(LONG // 5))[:LONG]
    before = memory_mb()
    forget_peak()
    doc = nlp(text)
    peak = memory_mb("VmHWM")
    vectors = getattr(doc._, "attn_vectors", None) if component == ENCODER else None
    return {
        "characters": len(text),
        "tokens": len(doc),
        "loaded_mb": round(before),
        "peak_mb": round(peak),
        "peak_growth_mb": round(peak - before),
        "vectors_mb": 0 if vectors is None else round(vectors.nbytes / 2**20),
    }


def budget(batch_pieces: int) -> Result:
    """The peak of a batch of so many pieces."""
    nlp = pipeline(ENCODER, batch_pieces=batch_pieces)
    before = memory_mb()
    forget_peak()
    for _ in nlp.pipe(texts(300, 200), batch_size=50):
        pass
    return {"loaded_mb": round(before), "peak_growth_mb": round(memory_mb("VmHWM") - before)}


# -- in the parent ---------------------------------------------------------------------------


def rows(share: int) -> dict[str, tuple[Any, ...]]:
    """What the process of each row calls."""
    out: dict[str, tuple[Any, ...]] = {}
    for component in (ENCODER, SENSES):
        for n, words in JOBS:
            name = f"{component}: {n:,} documents of {words} words"
            out[name] = ("long_job", component, n // share, words)
        out[f"{component}: one document of {LONG:,} characters"] = ("one_document", component)
    return out | {f"{ENCODER}: batch_pieces {n:,}": ("budget", n) for n in BUDGETS}


def main() -> None:
    if sys.argv[1:2] == ["--row"]:
        name, *arguments = json.loads(sys.argv[2])
        print(json.dumps(globals()[name](*arguments)))
        return
    is_quick = "--quick" in sys.argv
    threads = str(os.cpu_count() or 1)
    found = {
        name: in_child(
            "speed.memory",
            "--row",
            json.dumps(call),
            OMP_NUM_THREADS=threads,
            RAYON_NUM_THREADS=threads,
        )
        for name, call in progress(rows(100 if is_quick else 1).items(), "rows")
    }
    if is_quick:
        print(json.dumps(found, indent=1))
        return
    result = {"rows": found, "unit": "MB (2**20 bytes) resident"}
    publish("memory", result, ".speed.memory", [SEMCOR], seed=SEED)


if __name__ == "__main__":
    run_command(main, __doc__)
