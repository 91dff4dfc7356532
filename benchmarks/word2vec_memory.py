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

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.common import Result, publish, run_command, seconds, sha256
from spacy_attn.models import glove_files

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


def with_spacy_attn(file: str) -> Callable[[], Any]:
    """Imports, and a function that loads the vectors and reads all of them."""
    from spacy_attn.classic.vectors import load_vectors, neighbours

    del file  # it knows its own

    def load() -> Any:
        vectors = load_vectors(None)
        total = float(vectors.table.matrix.sum())
        has_all = all(word in vectors for word in vectors.table.index)
        return vectors, total, has_all, neighbours(vectors, "bat")

    return load


def with_gensim(file: str) -> Callable[[], Any]:
    """The same with gensim."""
    from gensim.models import KeyedVectors

    def load() -> Any:
        vectors = KeyedVectors.load_word2vec_format(file, binary=True)
        has_all = all(word in vectors for word in vectors.index_to_key)
        return vectors, float(vectors.vectors.sum()), has_all, vectors.most_similar("bat")

    return load


SYSTEMS = {"gensim": with_gensim, "spacy_attn": with_spacy_attn}


def child(pipe: Connection, system: str, file: str) -> None:
    """Tell the memory before, the seconds, and the memory after, each when it is asked."""
    load, kept = SYSTEMS[system](file), []
    for answer in (memory, lambda: seconds(lambda: kept.append(load())), memory):
        pipe.recv()
        pipe.send(answer())
    pipe.recv()  # stay alive till all are measured


# -- in the parent -------------------------------------------------------------------------


def measure(system: str, file: Path, n: int) -> Result:
    """One row: n processes of one system."""
    context, pipes = get_context("spawn"), []
    with ExitStack() as stack:
        for _ in range(n):
            ours, theirs = context.Pipe()
            process = context.Process(target=child, args=(theirs, system, str(file)), daemon=True)
            process.start()
            stack.callback(process.terminate)
            pipes.append(ours)

        def ask() -> list[Any]:
            for pipe in pipes:
                pipe.send("go on")
            return [pipe.recv() for pipe in pipes]

        before, times, after = ask(), ask(), ask()
    row: Result = {"name": system, "processes": n, "load_seconds": round(max(times), 4)}
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
    with tempfile.TemporaryDirectory() as folder:
        file = export_glove(Path(folder))
        rows = [measure(name, file, n) for name in SYSTEMS for n in N_PROCESSES]
    result = {
        "dataset": "glove-6b-50d",
        "matrix_mb": round(400_000 * 50 * 4 / 2**20, 1),
        "unit": "MB (2**20 bytes), all processes together",
        "rows": rows,
    }
    inputs = {path.name: sha256(path) for path in glove_files()}
    publish("word2vec-memory", result, ".word2vec_memory", shown="classic-cost", inputs=inputs)


if __name__ == "__main__":
    run_command(main, __doc__)
