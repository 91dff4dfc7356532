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

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

from benchmarks.common import DATA, Result, progress, publish, run_command, seconds
from benchmarks.spans import by_label, by_text, count, fractions, interval
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
SEEDS = (0, 1, 2)

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


def measure(name: str, find: Find, sentences: Sequence[Sentence]) -> Result:
    """The row of a chunker; its F1 is counted a second time by NLTK."""
    inputs = [tuple(zip(*sentence, strict=True))[:2] for sentence in sentences]
    spans: list[list[LabelledSpan]] = []
    spent = seconds(lambda: spans.extend(find(words, tags) for words, tags in inputs))
    found = [base_chunks(each) for each in spans]
    gold = [iob_spans(label for *_, label in sentence) for sentence in sentences]
    counts = count(gold, found)
    total = by_text(gold, found)
    overall = fractions(total.sum(axis=0))
    check = nltk_f1(sentences, found)
    if abs(check - overall["f1"]) > 1e-4:
        raise SystemExit(f"{name}: F1 is {overall['f1']} here and {check} by NLTK's count")
    return {
        "name": name,
        **overall,
        "ci95": interval(total),
        "words_per_second": round(sum(map(len, sentences)) / spent),
        "types": by_label(counts),
    }


def main() -> None:
    training, test = read("train"), read("test")
    taggers = {
        seed: TrainedChunker(train_sequence_tagger(training, task="chunks", seed=seed), "chunks")
        for seed in progress(SEEDS, "training")
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
    }
    publish("chunking", result, ".chunking", [CORPUS], shown="chunks", seed=SEEDS[0])


if __name__ == "__main__":
    run_command(main, __doc__)
