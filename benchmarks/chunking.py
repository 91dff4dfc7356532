"""Chunk F1 and speed of the default grammar and of the trained chunker on CoNLL-2000.

    python -m benchmarks.chunking

CoNLL-2000 (Tjong Kim Sang and Buchholz 2000): Wall Street Journal, 8,936 sentences to train on
and 2,012 to test on, with the corpus' own tags (en_core_web_sm was trained on that newspaper). A
chunk is right where its tokens and its type are exactly those of the corpus.

* ``trained``: the tagger of ``spacy-attn train-chunker`` with its defaults, on the training
  part. Features and epochs were chosen on its last 894 sentences (trained on the others).
* ``grammar``: the default grammar of ``nltk_chunker``, written and chosen on the training part.
  Its PP holds the NP and its CLAUSE has no counterpart in the corpus, so what is compared are
  the base chunks: CLAUSE is left out, and a PP counts with what stands before its first nested
  chunk, the preposition.
* ``most_frequent``: the label that a tag had most often in training, the corpus' own baseline.

Labels need not be a legal sequence for the last one; I-X that continues no X begins one, as in
the official evaluation. All counts are made a second time by ``nltk.chunk.ChunkScore``. Words
per second are for tagged words in memory, one process and one thread, all in one run.
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.common import DATA, ROOT, manifest
from spacy_attn.classic.chunk import GrammarChunker
from spacy_attn.classic.sequence import (
    LabelledSpan,
    LabelledToken,
    TrainedChunker,
    iob_spans,
    spans_to_iob,
    train_sequence_tagger,
)
from spacy_attn.train.chunker import read_labelled_sentences

CORPUS = DATA / "nltk" / "conll2000.zip"
RESULT = ROOT / "benchmarks" / "results" / "chunking.json"
SEEDS = (0, 1, 2)
DRAWS = 2000

Sentence = Sequence[LabelledToken]
Find = Callable[[Sequence[str], Sequence[str]], list[LabelledSpan]]


def read(part: str) -> list[list[LabelledToken]]:
    path = CORPUS / "conll2000" / f"{part}.txt"
    return list(read_labelled_sentences(path, task="chunks"))


def base_chunks(spans: Iterable[LabelledSpan]) -> list[LabelledSpan]:
    """Chunks that do not overlap: no CLAUSE, and of a chunk what is before its first nested one."""
    spans = [span for span in spans if span[2] != "CLAUSE"]
    base = []
    for start, end, kind in spans:
        inner = [
            s for s, e, k in spans if start <= s < e <= end and (s, e, k) != (start, end, kind)
        ]
        cut = min(inner, default=end)
        if cut > start:
            base.append((start, cut, kind))
    return base


def most_frequent(sentences: Iterable[Sentence]) -> Find:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for sentence in sentences:
        for _, tag, label in sentence:
            counts[tag][label] += 1
    label_of = {tag: labels.most_common(1)[0][0] for tag, labels in counts.items()}
    return lambda words, tags: iob_spans(label_of.get(tag, "O") for tag in tags)


def count(
    gold: Sequence[Iterable[LabelledSpan]], found: Sequence[Iterable[LabelledSpan]]
) -> dict[str, np.ndarray]:
    """For each type (right, found, gold) of each sentence. *Shape:* (n_sentences, 3)"""
    kinds = sorted({kind for spans in (*gold, *found) for *_, kind in spans})
    counts = {kind: np.zeros((len(gold), 3), dtype=int) for kind in kinds}
    for i, (wanted, got) in enumerate(zip(map(set, gold), map(set, found), strict=True)):
        for column, spans in enumerate((wanted & got, got, wanted)):
            for *_, kind in spans:
                counts[kind][i, column] += 1
    return counts


def fractions(counts: np.ndarray) -> dict[str, float]:
    """Precision, recall and F1 of (right, found, gold)."""
    right, found, gold = counts.tolist()
    return {
        "precision": round(right / max(found, 1), 4),
        "recall": round(right / max(gold, 1), 4),
        "f1": round(2 * right / max(found + gold, 1), 4),
    }


def interval(counts: np.ndarray, seed: int = 0) -> list[float]:
    """95 % bootstrap interval of F1 over sentences. *Shape:* (n_sentences, 3)"""
    rng = np.random.default_rng(seed)
    f1 = []
    for _ in range(DRAWS):
        right, found, gold = counts[rng.integers(0, len(counts), len(counts))].sum(axis=0)
        f1.append(2 * right / max(found + gold, 1))
    return [round(float(each), 4) for each in np.quantile(f1, [0.025, 0.975])]


def nltk_f1(sentences: Sequence[Sentence], found: Sequence[Iterable[LabelledSpan]]) -> float:
    """The same F1 by NLTK's own count."""
    from nltk.chunk.util import ChunkScore, conlltags2tree

    score = ChunkScore()
    for sentence, spans in zip(sentences, found, strict=True):
        labels = spans_to_iob(len(sentence), spans)
        tokens = [(word, tag) for word, tag, _ in sentence]
        guess = [(*token, label) for token, label in zip(tokens, labels, strict=True)]
        score.score(conlltags2tree(list(sentence)), conlltags2tree(guess))
    return float(score.f_measure())


def measure(name: str, find: Find, sentences: Sequence[Sentence]) -> dict[str, Any]:
    inputs = [tuple(zip(*sentence, strict=True))[:2] for sentence in sentences]
    started = time.perf_counter()
    spans = [find(words, tags) for words, tags in inputs]
    seconds = time.perf_counter() - started
    found = [base_chunks(each) for each in spans]
    gold = [iob_spans(label for *_, label in sentence) for sentence in sentences]
    counts = count(gold, found)
    total = sum(counts.values())
    overall = fractions(total.sum(axis=0))
    check = nltk_f1(sentences, found)
    if abs(check - overall["f1"]) > 1e-4:
        raise SystemExit(f"{name}: F1 is {overall['f1']} here and {check} by NLTK's count")
    return {
        "name": name,
        **overall,
        "ci95": interval(total),
        "words_per_second": round(sum(map(len, sentences)) / seconds),
        "types": {
            kind: {"n": int(each[:, 2].sum()), **fractions(each.sum(axis=0))}
            for kind, each in counts.items()
        },
    }


def main() -> None:
    training, test = read("train"), read("test")
    taggers = {
        seed: TrainedChunker(train_sequence_tagger(training, task="chunks", seed=seed), "chunks")
        for seed in track(SEEDS, "training")
    }
    finders: dict[str, Find] = {
        "most_frequent": most_frequent(training),
        "grammar": GrammarChunker().find,
        "trained": taggers[SEEDS[0]].find,
    }
    chunkers = [measure(name, find, test) for name, find in finders.items()]
    result = {
        "dataset": "CoNLL-2000, test part, its own tags",
        "n_sentences": len(test),
        "n_words": sum(map(len, test)),
        "n_chunks": sum(row["n"] for row in chunkers[0]["types"].values()),
        "chunkers": chunkers,
        "trained_f1_by_seed": {
            seed: measure("trained", tagger.find, test)["f1"] for seed, tagger in taggers.items()
        },
        "manifest": manifest("python -m benchmarks.chunking", [CORPUS], seed=SEEDS[0]),
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    table = Table(title=f"{result['dataset']}: {result['n_chunks']:,} chunks")
    for head in ("chunker", "precision", "recall", "F1", "95 %", "NP", "VP", "PP", "words/s"):
        table.add_column(head)
    for row in chunkers:
        by_type = [f"{row['types'][kind]['f1']:.3f}" for kind in ("NP", "VP", "PP")]
        low, high = row["ci95"]
        table.add_row(
            row["name"], f"{row['precision']:.3f}", f"{row['recall']:.3f}", f"{row['f1']:.3f}",
            f"{low:.3f} to {high:.3f}", *by_type, f"{row['words_per_second']:,}",
        )  # fmt: skip
    Console().print(table)


if __name__ == "__main__":
    main()
