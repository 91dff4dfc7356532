"""What the classic components cost beside en_core_web_sm, in the same run.

    python -m benchmarks.classic_speed

Each repetition runs the same documents through en_core_web_sm alone and through
en_core_web_sm with the classic components, in turns, and takes the ratio; the median of the
ratios is the result, because single times on a shared machine mean little. What each
component takes by itself is measured in the same repetition, on Docs that carry what the
components before it wrote. The grammar parser is left out: its cost is set by its grammar.
``nltk_ner`` needs a model; one is trained first on ``examples/entities.conll``.
"""

from __future__ import annotations

import gzip
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import spacy
from rich.console import Console
from rich.progress import track
from rich.table import Table
from spacy.language import Language

from benchmarks.common import DATA, ROOT, manifest
from spacy_attn.models import resolve_pipeline

RESULT = ROOT / "benchmarks" / "results" / "classic-speed.json"
EXAMPLES = ROOT / "examples" / "entities.conll"
CORPUS = DATA / "semcor.jsonl.gz"
N_DOCUMENTS, N_SENTENCES, REPETITIONS = 100, 10, 7
COMPONENTS = ("nltk_stemmer", "nltk_chunker", "nltk_ner", "relation_extractor", "word2vec")


def documents() -> list[str]:
    """Ten sentences of SemCor make a document."""
    sentences = []
    with gzip.open(CORPUS, "rt", encoding="utf-8") as file:
        for line in file:
            sentences.append(" ".join(json.loads(line)["tokens"]).replace("_", " "))
            if len(sentences) == N_DOCUMENTS * N_SENTENCES:
                break
    return [" ".join(sentences[i : i + N_SENTENCES]) for i in range(0, len(sentences), N_SENTENCES)]


def with_classic(model: Path) -> Language:
    """en_core_web_sm and the classic components with their default settings."""
    nlp = spacy.load(str(resolve_pipeline()))
    for name in COMPONENTS:
        config: dict[str, Any] = {"model": str(model)} if name == "nltk_ner" else {}
        nlp.add_pipe(name, config=config)
    return nlp


def timed(nlp: Language, texts: list[str]) -> float:
    started = time.perf_counter()
    for _ in nlp.pipe(texts):
        pass
    return time.perf_counter() - started


def component_times(nlp: Language, texts: list[str]) -> dict[str, float]:
    """Seconds of each component over the same Docs."""
    with nlp.select_pipes(disable=list(COMPONENTS)):
        docs = list(nlp.pipe(texts))
    times = {}
    for name in COMPONENTS:
        pipe = nlp.get_pipe(name)
        started = time.perf_counter()
        docs = list(pipe.pipe(docs)) if hasattr(pipe, "pipe") else [pipe(doc) for doc in docs]
        times[name] = time.perf_counter() - started
    return times


def main() -> None:
    texts = documents()
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "entities.tagger")
        command = [sys.executable, "-m", "spacy_attn", "train-chunker", str(EXAMPLES)]
        subprocess.run(
            [*command, "--task", "entities", "-o", str(model)], check=True, capture_output=True
        )
        base, full = spacy.load(str(resolve_pipeline())), with_classic(model)
        n_words = sum(len(base.make_doc(text)) for text in texts)
        timed(full, texts)  # caches fill, vectors load
        rows = []
        for i in track(range(REPETITIONS), "timing", console=Console(stderr=True)):
            order = [base, full] if i % 2 == 0 else [full, base]
            seconds = {id(nlp): timed(nlp, texts) for nlp in order}
            alone, both = seconds[id(base)], seconds[id(full)]
            parts = component_times(full, texts)
            rows.append({"alone": alone, "with_classic": both, "components": parts})
    result = {
        "n_documents": len(texts),
        "n_words": n_words,
        "repetitions": REPETITIONS,
        "ratio": round(statistics.median(row["with_classic"] / row["alone"] for row in rows), 3),
        "ratios": [round(row["with_classic"] / row["alone"], 3) for row in rows],
        "words_per_second": {
            "en_core_web_sm": round(n_words / statistics.median(row["alone"] for row in rows)),
            "with_classic": round(n_words / statistics.median(row["with_classic"] for row in rows)),
        },
        "share_of_en_core_web_sm": {
            name: round(statistics.median(r["components"][name] / r["alone"] for r in rows), 3)
            for name in COMPONENTS
        },
        "manifest": manifest("python -m benchmarks.classic_speed", [CORPUS, EXAMPLES]),
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    table = Table("component", "time, en_core_web_sm = 1")
    for name, share in result["share_of_en_core_web_sm"].items():
        table.add_row(name, f"{share:.3f}")
    table.add_row("all, in one pipeline", f"{result['ratio'] - 1:.3f}")
    Console().print(table, result["words_per_second"])


if __name__ == "__main__":
    main()
