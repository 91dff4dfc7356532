"""One text at a time, as a service gets them: milliseconds of a request.

    python -m benchmarks.speed.latency            # 4 minutes

Runs of 10, 25 and 100 words of SemCor, each from another place; each system in a process of its
own, one after another, warm, with one thread and with two. p50 and p99 are
quantiles over the requests.
"""

from __future__ import annotations

import json
import random
import statistics
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from benchmarks.common import (
    SEED,
    SEMCOR,
    Result,
    documents,
    for_this_processor,
    publish,
    run_command,
)
from benchmarks.speed.peers import PEERS, start

WORDS = (10, 25, 100)
THREADS = (1, 2)
REQUESTS = 150  # of each length
WARM = 20  # that do not count
SYSTEMS: dict[str, list[str] | None] = {
    "tagger and lemmatizer alone": None,
    "spacy_attn, auto": None,
    "spacy_attn, float32": None,
    "spacy_attn, homographs": None,
    "spacy_attn, all words": None,
    **{name: PEERS[name] for name in ("spacy-transformers", "sentence-transformers")},
}


def requests(n_words: int) -> list[str]:
    """Runs of so many words, each from another place."""
    words = " ".join(documents(60_000)).split()
    rng = random.Random(SEED + n_words)  # noqa: S311 - places to begin
    starts = [rng.randrange(len(words) - n_words) for _ in range(REQUESTS + WARM)]
    return [" ".join(words[start : start + n_words]) for start in starts]


def quantiles(seconds: Sequence[float]) -> Result:
    """Milliseconds that half and that 99 of 100 requests need at most.

    >>> quantiles([0.001] * 99 + [0.1, 0.1])
    {'p50': 1.0, 'p99': 100.0}
    """
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {"p50": round(1000 * cuts[49], 2), "p99": round(1000 * cuts[98], 2)}


def measure(name: str, threads: int, texts: Path) -> Result:
    """One system with so many threads: the quantiles of each length, or why there are none."""
    requirements = SYSTEMS[name]
    if find_spec(name.replace("-", "_").partition(",")[0]):  # a peer that is here too
        requirements = None
    peer = start(name, requirements, texts, "each", threads=threads)
    if isinstance(peer, str):
        return {"error": peer}
    seconds = peer.run()["seconds"]
    peer.close()
    n = len(seconds) // len(WORDS)
    parts = {words: seconds[i * n : (i + 1) * n] for i, words in enumerate(WORDS)}
    return {str(words): quantiles(part[WARM:]) for words, part in parts.items()}


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        texts = Path(temporary, "texts.json")
        texts.write_text(json.dumps([text for n in WORDS for text in requests(n)]), "utf-8")
        found = {
            str(threads): {name: measure(name, threads, texts) for name in SYSTEMS}
            for threads in THREADS
        }
    result = {"requests": REQUESTS, "words": WORDS, "threads": found}
    publish(
        for_this_processor("latency"),
        result,
        ".speed.latency",
        [SEMCOR],
        seed=SEED,
        shown="latency",
    )


if __name__ == "__main__":
    run_command(main, __doc__)
