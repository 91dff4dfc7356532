"""Jobs from files to files: speed with one and two workers, memory, what reading and writing cost.

    python -m benchmarks.jobs                # all, 15 minutes
    python -m benchmarks.jobs --step long    # one part, each below 5 minutes; the others stay
    python -m benchmarks.jobs --quick        # a fiftieth of the documents; writes nothing

Each row is a process of its own. Documents are runs of 25 words of SemCor's text, no two alike;
words are counted by spaces. ``spacy apply`` runs the same pipeline on the same documents, to a
DocBin, which is all that it can write.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.common import (
    RESULTS,
    SEED,
    SEMCOR,
    Result,
    in_child,
    load,
    manifest,
    memory_mb,
    publish,
    seconds,
)
from benchmarks.speed.memory import texts

WORDS = 25  # of a document
SIZES = (1_000, 10_000)
LONG = 100_000
N_DOCUMENTS = 10_000  # of the other steps
KINDS: dict[str, dict[str, Any]] = {
    "stems": {"fields": ("stems",)},
    "homographs": {},
    "all words": {"inventory": "wordnet"},
}
# Enough for each to be at work for half a minute.
N_OF_KIND = {"stems": 50_000, "homographs": 10_000, "all words": 5_000}
PAIRS = 3  # one worker and two, in turns


# -- in a child ------------------------------------------------------------------------------


def job(source: str, kind: str, n_process: int, n_documents: int) -> Result:
    """One job, timed from the loaded pipeline on, or with workers from the start."""
    import torch

    from spacy_attn.jobs import Annotator, JobOptions, annotate_files

    torch.set_num_threads(1)
    annotator = Annotator(**KINDS[kind])
    spent = {"annotate": 0.0}
    if n_process == 1:
        annotator.load()
        count_time(annotator, spent)
    resident: list[tuple[int, float]] = []
    moments: list[tuple[int, float]] = []

    def note(now: Any) -> None:
        moments.append((now.n_in, time.perf_counter()))
        resident.append((now.n_in, memory_mb()))

    start, cpu = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        output = f"{folder}/out.jsonl"
        options = JobOptions(n_process=n_process, limit=n_documents)
        annotate_files([source], output, annotator, options, on_progress=note)
        seconds = time.perf_counter() - start
        size = Path(output).stat().st_size
    warm = [(n, moment) for n, moment in moments if n >= min(n_documents // 5, 2048)]
    return {
        "documents": n_documents,
        "processes": n_process,
        "seconds": seconds,
        "cpu_seconds_of_parent": time.process_time() - cpu,
        # Without the time in which workers start and load.
        "documents_per_second": rate(warm) if len(warm) > 1 else n_documents / seconds,
        "share_of_reading_and_writing": 1 - spent["annotate"] / seconds if n_process == 1 else None,
        "mb_per_10000_documents": slope(resident),
        "peak_rss_mb": memory_mb("VmHWM"),
        "output_bytes": size,
    }


def rate(moments: list[tuple[int, float]]) -> float:
    """Documents per second between the first and the last of these moments."""
    (first, start), (last, end) = moments[0], moments[-1]
    return (last - first) / (end - start)


def count_time(annotator: Any, spent: dict[str, float]) -> None:
    """Add up the time in the pipeline; what is left is reading, converting and writing."""
    own = annotator.annotate_rows

    def timed(*args: Any) -> Any:
        start = time.perf_counter()
        result = own(*args)
        spent["annotate"] += time.perf_counter() - start
        return result

    object.__setattr__(annotator, "annotate_rows", timed)


def slope(resident: list[tuple[int, float]]) -> float | None:
    """MB for 10,000 documents: the least-squares line after the first tenth."""
    import numpy as np

    late = np.array([row for row in resident if row[0] >= resident[-1][0] / 10])
    if len(late) < 10:
        return None
    return float(np.polyfit(late[:, 0], late[:, 1], 1)[0] * 10_000)


# -- the rows --------------------------------------------------------------------------------


def child(source: Path, kind: str, n_process: int, n_documents: int) -> Result:
    """What :func:`job` gives in a process of its own."""
    row: Result = in_child("jobs", "--child", source, kind, n_process, n_documents)
    return row


def write_documents(path: Path, n_documents: int) -> int:
    """How many bytes there are."""
    with path.open("w", encoding="utf-8") as file:
        for number, text in enumerate(texts(n_documents, WORDS)):
            file.write(json.dumps({"id": number, "text": text}, ensure_ascii=False) + "\n")
    return path.stat().st_size


def sizes(folder: Path, share: int) -> Result:
    """Jobs of two sizes."""
    source = folder / "texts.jsonl"
    n_bytes = write_documents(source, SIZES[-1] // share)
    rows = [child(source, "homographs", 1, size // share) for size in SIZES]
    per_document = n_bytes / (SIZES[-1] // share)
    return {"sizes": rows, "words_of_a_document": WORDS, "bytes_of_a_document": per_document}


def long(folder: Path, share: int) -> Result:
    """One long job."""
    source = folder / "texts.jsonl"
    write_documents(source, LONG // share)
    return {"long": child(source, "homographs", 1, LONG // share)}


def workers(folder: Path, share: int) -> Result:
    """One worker and two, in turns; the ratio of each pair, and the middle one."""
    source, n = folder / "texts.jsonl", N_DOCUMENTS // share
    write_documents(source, n)
    rows = []
    for _ in range(PAIRS if share == 1 else 1):
        one, two = (child(source, "homographs", k, n)["documents_per_second"] for k in (1, 2))
        rows.append({"one": one, "two": two, "ratio": two / one})
    return {"workers": {"pairs": rows, "ratio": median(row["ratio"] for row in rows)}}


def kinds(folder: Path, share: int) -> Result:
    """Each kind of field."""
    source = folder / "texts.jsonl"
    write_documents(source, max(N_OF_KIND.values()) // share)
    rows = {kind: child(source, kind, 1, N_OF_KIND[kind] // share) for kind in KINDS}
    return {"kinds": rows}


def apply(folder: Path, share: int) -> Result:
    """Our command and ``spacy apply`` with the same pipeline, loading included."""
    from spacy_attn.components.pipeline import load_pipeline

    source, pipeline = folder / "head.jsonl", folder / "pipeline"
    write_documents(source, N_DOCUMENTS // share)
    load_pipeline().to_disk(pipeline)

    def timed(*arguments: object) -> float:
        command = [sys.executable, "-m", *map(str, arguments)]
        return seconds(lambda: subprocess.run(command, check=True, capture_output=True))

    rows = {
        str(n): {
            "spacy apply": timed(
                "spacy",
                "apply",
                pipeline,
                source,
                folder / f"apply{n}.spacy",
                "--n-process",
                n,
                "--batch-size",
                256,
                "--force",
            ),
            "spacy-attn annotate": timed(
                "spacy_attn",
                "annotate",
                source,
                "-o",
                folder / "apply.jsonl",
                "--n-process",
                n,
                "--overwrite",
            ),
        }
        for n in (1, 2)
    }
    return {"apply": rows}


STEPS = {step.__name__: step for step in (sizes, long, workers, kinds, apply)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--step", choices=list(STEPS), help="this one alone; the others stay")
    parser.add_argument("--child", nargs=4, metavar=("FILE", "KIND", "PROCESSES", "DOCUMENTS"))
    given = parser.parse_args()
    if given.child:
        source, kind, n_process, n_documents = given.child
        print(json.dumps(job(source, kind, int(n_process), int(n_documents))))
        return
    result = load("jobs") if given.step and (RESULTS / "jobs.json").is_file() else {}
    for name in [given.step] if given.step else STEPS:
        made = manifest("", [])
        about = {key: made[key] for key in ("commit", "changed_since_commit")}
        about["load_before"] = os.getloadavg()[0]  # what else the machine was doing
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            result |= STEPS[name](Path(folder), 50 if given.quick else 1)
        about["seconds"] = time.perf_counter() - started
        result.setdefault("steps", {})[name] = about
    if given.quick:
        print(json.dumps(result, indent=1))
    else:
        publish("jobs", result, ".jobs", [SEMCOR], seed=SEED)


if __name__ == "__main__":
    main()
