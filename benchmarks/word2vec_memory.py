"""Memory of one and of four processes that use the same static vectors.

    python -m benchmarks.word2vec_memory

Each process loads GloVe 6B 50d (400,000 words), looks up every word and reads every row, and
all of them stay alive while memory is read from /proc/self/smaps_rollup (Linux):

* RSS counts a shared page in every process that has it,
* PSS divides a shared page by the number of processes that have it, so that the sum over
  processes is what the machine really spends.

Growth is against the same processes before they load, so that the interpreter and the
libraries do not count. The dull baseline is gensim, which reads the word2vec file into the
memory of each process.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any, cast

from rich.console import Console
from rich.table import Table

from benchmarks.common import ROOT, manifest, sha256

RESULTS = ROOT / "benchmarks" / "results"
N_PROCESSES = (1, 4)


# -- in a child ----------------------------------------------------------------------------


def memory() -> dict[str, float]:
    """RSS, PSS and private megabytes of this process."""
    found = {}
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]:
        name, kilobytes = line.split()[:2]
        found[name.rstrip(":")] = int(kilobytes) / 1024
    private = found["Private_Clean"] + found["Private_Dirty"]
    return {"rss": found["Rss"], "pss": found["Pss"], "private": private}


def child(system: str, file: str) -> None:
    """Obey the lines of stdin: measure, load, quit."""
    use = {"spacy_attn": use_spacy_attn, "gensim": use_gensim}[system]
    use(None)  # imports alone
    kept: list[Any] = []
    for line in sys.stdin:
        answer: Any = None
        if line.strip() == "measure":
            answer = memory()
        elif line.strip() == "load":
            started = time.perf_counter()
            vectors = use(file)
            answer = time.perf_counter() - started
            kept.append((vectors, read_all(vectors)))
        else:
            return
        print(json.dumps(answer), flush=True)


def use_spacy_attn(file: str | None) -> Any:
    from spacy_attn.classic.vectors import load_vectors

    return None if file is None else load_vectors(None)


def use_gensim(file: str | None) -> Any:
    from gensim.models import KeyedVectors

    return None if file is None else KeyedVectors.load_word2vec_format(file, binary=True)


def read_all(vectors: Any) -> Any:
    """Look up every word and read every row."""
    from spacy_attn.classic.vectors import neighbours

    if hasattr(vectors, "table"):
        total = float(vectors.table.matrix.sum())
        return (
            total,
            all(word in vectors for word in vectors.table.index),
            neighbours(vectors, "bat"),
        )
    total = float(vectors.vectors.sum())
    return total, all(word in vectors for word in vectors.index_to_key), vectors.most_similar("bat")


# -- in the parent -------------------------------------------------------------------------


def ask(children: list[subprocess.Popen[str]], what: str) -> list[Any]:
    """Send a line to all, and wait for the answer of each."""
    for process in children:
        stdin = cast("IO[str]", process.stdin)
        stdin.write(what + "\n")
        stdin.flush()
    return [json.loads(cast("IO[str]", process.stdout).readline()) for process in children]


def measure(system: str, file: Path, n: int) -> dict[str, Any]:
    """One row: n processes of one system."""
    command = [sys.executable, "-m", "benchmarks.word2vec_memory", "child", system, str(file)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    children = [subprocess.Popen(command, cwd=ROOT, **pipes) for _ in range(n)]  # type: ignore[call-overload]
    try:
        before = ask(children, "measure")
        seconds = ask(children, "load")
        after = ask(children, "measure")
    finally:
        for process in children:
            process.communicate("quit\n")
    row: dict[str, Any] = {"name": system, "processes": n, "load_seconds": round(max(seconds), 4)}
    for kind in ("rss", "pss", "private"):
        row[f"{kind}_mb"] = round(sum(each[kind] for each in after), 1)
        grown = row[f"{kind}_mb"] - sum(each[kind] for each in before)
        row[f"{kind}_growth_mb"] = round(grown, 1)
    return row


def export_glove(folder: Path) -> Path:
    """The same vectors as a word2vec file, for gensim."""
    from gensim.models import KeyedVectors

    from spacy_attn.classic.vectors import load_vectors

    table = load_vectors(None).table  # converts them for the cache, too
    vectors = KeyedVectors(table.width)
    vectors.add_vectors(list(table.index), table.matrix)
    path = folder / "glove-6b-50d.bin"
    vectors.save_word2vec_format(str(path), binary=True)
    return path


def main() -> None:
    from spacy_attn.models import glove_files

    with tempfile.TemporaryDirectory() as folder:
        file = export_glove(Path(folder))
        rows = [measure(name, file, n) for name in ("gensim", "spacy_attn") for n in N_PROCESSES]
    result = {
        "dataset": "glove-6b-50d",
        "matrix_mb": round(400_000 * 50 * 4 / 2**20, 1),
        "unit": "MB (2**20 bytes), all processes together",
        "rows": rows,
        "manifest": manifest(
            "python -m benchmarks.word2vec_memory",
            [],
            inputs={path.name: sha256(path) for path in glove_files()},
        ),
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "word2vec-memory.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    table = Table(title="GloVe 6B 50d (76 MB matrix): growth by loading, all processes together")
    for head in ("", "processes", "RSS", "PSS", "private", "seconds"):
        table.add_column(head, justify="left" if not head else "right")
    for row in rows:
        growth = [f"{row[f'{kind}_growth_mb']:,.0f} MB" for kind in ("rss", "pss", "private")]
        table.add_row(row["name"], str(row["processes"]), *growth, str(row["load_seconds"]))
    Console().print(table)


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(*sys.argv[2:4])
    else:
        main()
