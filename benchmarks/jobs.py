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

from rich.console import Console

from benchmarks.common import ROOT, manifest
from benchmarks.speed.memory import megabytes, texts
from benchmarks.speed.peers import CORPUS

RESULT = ROOT / "benchmarks" / "results" / "jobs.json"
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
STEPS = ("sizes", "long", "workers", "kinds", "apply")
PAIRS = 3  # one worker and two, in turns


# -- in a child ------------------------------------------------------------------------------


def job(source: str, kind: str, n_process: int, n_documents: int) -> dict[str, Any]:
    """One job, timed from the loaded pipeline on, or with workers from the start."""
    import torch

    from spacy_attn.jobs import Annotator, annotate_files

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
        resident.append((now.n_in, megabytes()))

    start, cpu = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        output = f"{folder}/out.jsonl"
        annotate_files([source], output, annotator, n_process=n_process, limit=n_documents,
                       on_progress=note)  # fmt: skip
        seconds = time.perf_counter() - start
        size = Path(output).stat().st_size
    warm = [(n, moment) for n, moment in moments if n >= min(n_documents // 5, 2048)]
    return {
        "documents": n_documents, "processes": n_process, "seconds": seconds,
        "cpu_seconds_of_parent": time.process_time() - cpu,
        # Without the time in which workers start and load.
        "documents_per_second": rate(warm) if len(warm) > 1 else n_documents / seconds,
        "share_of_reading_and_writing":
            1 - spent["annotate"] / seconds if n_process == 1 else None,
        "mb_per_10000_documents": slope(resident), "peak_rss_mb": megabytes("VmHWM"),
        "output_bytes": size,
    }  # fmt: skip


def rate(moments: list[tuple[int, float]]) -> float:
    """Documents per second between the first and the last of these moments."""
    (first, start), (last, end) = moments[0], moments[-1]
    return (last - first) / (end - start)


def count_time(annotator: Any, spent: dict[str, float]) -> None:
    """Add up the time in the pipeline; what is left is reading, converting and writing."""
    own = annotator.annotate_table

    def timed(*args: Any) -> Any:
        start = time.perf_counter()
        result = own(*args)
        spent["annotate"] += time.perf_counter() - start
        return result

    object.__setattr__(annotator, "annotate_table", timed)


def slope(resident: list[tuple[int, float]]) -> float | None:
    """MB for 10,000 documents: the least-squares line after the first tenth."""
    import numpy as np

    late = np.array([row for row in resident if row[0] >= resident[-1][0] / 10])
    if len(late) < 10:
        return None
    return float(np.polyfit(late[:, 0], late[:, 1], 1)[0] * 10_000)


# -- the rows --------------------------------------------------------------------------------


def child(*arguments: object) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.jobs", "--child", *map(str, arguments)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, capture_output=True,
        text=True,
    )  # fmt: skip
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def write_documents(path: Path, n_documents: int) -> int:
    """How many bytes there are."""
    with path.open("w", encoding="utf-8") as file:
        for number, text in enumerate(texts(n_documents, WORDS)):
            file.write(json.dumps({"id": number, "text": text}, ensure_ascii=False) + "\n")
    return path.stat().st_size


def spacy_apply(folder: Path, source: Path, n_process: int) -> float:
    """Seconds that ``spacy apply`` takes with the pipeline of homographs, loading included."""
    from spacy_attn.components.pipeline import load_pipeline

    pipeline = folder / "pipeline"
    if not pipeline.exists():
        load_pipeline().to_disk(pipeline)
    target = folder / f"apply{n_process}.spacy"
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "spacy", "apply", str(pipeline), str(source), str(target),
         "--n-process", str(n_process), "--batch-size", "256", "--force"],
        check=True, capture_output=True,
    )  # fmt: skip
    return time.perf_counter() - start


def annotate_command(folder: Path, source: Path, n_process: int) -> float:
    """Seconds that ``spacy-attn annotate`` takes, loading included."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "spacy_attn", "annotate", str(source), "-o",
         str(folder / "apply.jsonl"), "--n-process", str(n_process), "--overwrite"],
        check=True, capture_output=True,
    )  # fmt: skip
    return time.perf_counter() - start


def pairs(source: Path, n_documents: int, times: int) -> dict[str, Any]:
    """One worker and two, in turns; the ratio of each pair, and the middle one."""
    rows = []
    for _ in range(times):
        one, two = (
            child(source, "homographs", n, n_documents)["documents_per_second"] for n in (1, 2)
        )
        rows.append({"one": one, "two": two, "ratio": two / one})
    return {"pairs": rows, "ratio": median(row["ratio"] for row in rows)}


def measure(step: str, share: int) -> dict[str, Any]:
    """One part of the result; share divides the numbers of documents."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "texts.jsonl"
        if step == "sizes":
            n_bytes = write_documents(source, SIZES[-1] // share)
            rows = [child(source, "homographs", 1, size // share) for size in SIZES]
            return {"sizes": rows, "words_of_a_document": WORDS,
                    "bytes_of_a_document": n_bytes / (SIZES[-1] // share)}  # fmt: skip
        if step == "long":
            write_documents(source, LONG // share)
            return {"long": child(source, "homographs", 1, LONG // share)}
        n = N_DOCUMENTS // share
        write_documents(source, max(N_OF_KIND.values()) // share)
        if step == "workers":
            return {"workers": pairs(source, n, PAIRS if share == 1 else 1)}
        if step == "kinds":
            return {
                "kinds": {kind: child(source, kind, 1, N_OF_KIND[kind] // share) for kind in KINDS}
            }
        head = folder / "head.jsonl"
        write_documents(head, n)
        both = {
            str(n_process): {
                "spacy apply": spacy_apply(folder, head, n_process),
                "spacy-attn annotate": annotate_command(folder, head, n_process),
            }
            for n_process in (1, 2)
        }
        return {"apply": both}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--step", choices=STEPS, help="this one alone; the others stay")
    parser.add_argument("--child", nargs=4, metavar=("FILE", "KIND", "PROCESSES", "DOCUMENTS"))
    arguments = parser.parse_args()
    if arguments.child:
        source, kind, n_process, n_documents = arguments.child
        print(json.dumps(job(source, kind, int(n_process), int(n_documents))))
        return
    result = {}
    if arguments.step and RESULT.is_file():
        result = json.loads(RESULT.read_text(encoding="utf-8"))
    for step in [arguments.step] if arguments.step else STEPS:
        Console(stderr=True).print(step)
        load = os.getloadavg()[0]  # what else the machine was doing
        start = time.perf_counter()
        result |= measure(step, 50 if arguments.quick else 1)
        result["manifest"] = made = manifest("python -m benchmarks.jobs", [CORPUS], seed=0)
        result.setdefault("steps", {})[step] = {
            "load_before": load, "seconds": time.perf_counter() - start,
            "commit": made["commit"], "changed_since_commit": made["changed_since_commit"],
        }  # fmt: skip
        if not arguments.quick:
            RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    Console().print_json(json.dumps(result))


if __name__ == "__main__":
    main()
