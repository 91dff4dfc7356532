"""How near the limit: time by stage, share of the matrix peak, and cost against size.

    python -m benchmarks.speed.scaling

* *Stages*: tokenisation by spaCy, wordpieces, alignment, forward pass, pooling, annotation: each
  alone on the same documents, the least of five runs, microseconds a word.
* *Peak*: the most that a product of two large matrices reaches here, by the same fused layers; the
  forward pass is counted as two operations for each weight of the layers and for each score.
* *Size*: words per second against the length of a document, the batch and the number of documents;
  every point runs about as many words, in turns, median of three.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import spacy
import torch
from spacy.tokens import Doc

from benchmarks.common import SEED, SEMCOR, Result, documents, publish, run_command, seconds
from spacy_attn.components.attention_encoder import DEFAULTS, AttentionEncoder, offsets_of
from spacy_attn.encoder.align import align
from spacy_attn.encoder.huggingface import HuggingFaceEncoder
from spacy_attn.encoder.linear import fused_linear, reordered

PRECISIONS = ("float32", "bfloat16")
N_WORDS = 16_384
LENGTHS = tuple(2**n for n in range(5, 16))
BATCHES = (128, 256, 512, 1024, 2048, 4096, 8192)
N_DOCUMENTS = (1, 10, 100, 1000)
RUNS = 3


def least(run: Callable[[], Any], times: int = 5) -> float:
    """Seconds of the fastest of some runs, after one that does not count."""
    run()
    return min(seconds(run) for _ in range(times))


def peak(precision: str) -> float:
    """GFLOP/s of a large product."""
    dtype = getattr(torch, precision)
    with torch.inference_mode():
        x, bias = torch.randn(4096, 1536).to(dtype), torch.zeros(1536, dtype=dtype)
        weight = reordered(torch.randn(1536, 1536).to(dtype))
        return 2 * 4096 * 1536 * 1536 / least(lambda: fused_linear(x, weight, bias), 20) / 1e9


def flops(lengths: list[int], width: int = 384, layers: int = 6) -> float:
    """Operations of a forward pass over rows of these lengths: weights, and scores both ways."""
    weights = layers * 12 * width * width
    return float(sum(2 * n * weights + layers * 4 * n * n * width for n in lengths))


def encoder(precision: str, **settings: Any) -> AttentionEncoder:
    """The component with its defaults and what is given."""
    return AttentionEncoder("encoder", {**DEFAULTS, "precision": precision, **settings})


def stages(precision: str, texts: list[str]) -> Result:
    """Microseconds a word of each stage."""
    nlp = spacy.blank("en")
    docs = [nlp.make_doc(text) for text in texts]
    n_words = sum(map(len, docs))
    component = encoder(precision)
    inner: HuggingFaceEncoder = component.encoder
    offsets = [offsets_of(doc) for doc in docs]
    inner.encode(texts[:5], offsets[:5])
    ids, spans = inner._pieces(texts)
    forward = inner._forward
    lengths: list[int] = []
    spent: list[float] = []

    def timed(rows: Sequence[Sequence[int]]) -> Any:
        started = time.perf_counter()
        out = forward(rows)
        spent.append(time.perf_counter() - started)
        lengths.extend(len(row) for row in rows)
        return out

    runs = []  # all of encode, and the forward pass in it
    inner._forward = timed
    for _ in range(5):
        spent.clear()
        lengths.clear()
        started = time.perf_counter()
        inner.encode(texts, offsets)
        runs.append((time.perf_counter() - started, sum(spent)))
    inner._forward = forward
    encode, in_forward = min(runs)
    pieces = least(lambda: inner._pieces(texts))
    aligned = least(lambda: [align(*each) for each in zip(texts, offsets, spans, strict=True)])
    made = inner.encode(texts, offsets)
    inner.encode = lambda *_: made  # type: ignore[method-assign]
    annotated = least(lambda: component.encode(docs))
    del inner.encode
    spent_on = {
        "spaCy's tokeniser": least(lambda: [nlp.make_doc(text) for text in texts]),
        "wordpieces": pieces,
        "alignment": aligned,
        "forward pass": in_forward,
        "windows, batches, pooling": max(encode - pieces - aligned - in_forward, 0.0),
        "annotation": annotated,
    }
    reached, most = flops(lengths) / in_forward / 1e9, peak(precision)
    return {
        "n_words": n_words,
        "n_pieces": sum(map(len, ids)),
        "microseconds_a_word": {k: round(v / n_words * 1e6, 2) for k, v in spent_on.items()},
        "gflops": round(reached),
        "peak_gflops": round(most),
        "share": round(reached / most, 3),
    }


def words_per_second(component: AttentionEncoder, docs: list[Doc]) -> float:
    """Median of some runs."""
    times = [seconds(lambda: component.pipe(docs)) for _ in range(RUNS)]
    return round(sum(map(len, docs)) / statistics.median(times))


def sizes(precision: str, words: list[str]) -> dict[str, dict[int, float]]:
    """Words per second against length, batch and number of documents."""
    vocab = spacy.blank("en").vocab

    def cut(n_tokens: int, n_documents: int) -> list[Doc]:
        starts = [i * n_tokens % (len(words) - n_tokens) for i in range(n_documents)]
        return [Doc(vocab, words=words[start : start + n_tokens]) for start in starts]

    component = encoder(precision)
    words_per_second(component, cut(64, 20))
    mixed = cut(200, N_WORDS // 200)
    return {
        "length": {n: words_per_second(component, cut(n, max(1, N_WORDS // n))) for n in LENGTHS},
        "batch_pieces": {
            n: words_per_second(encoder(precision, batch_pieces=n), mixed) for n in BATCHES
        },
        "documents": {n: words_per_second(component, cut(25, n)) for n in N_DOCUMENTS},
    }


def main() -> None:
    texts = documents()
    nlp = spacy.blank("en")
    words = [token.text for text in documents(4 * max(LENGTHS)) for token in nlp.make_doc(text)]
    result: Result = {}
    for precision in PRECISIONS:
        speeds = sizes(precision, words)
        result[precision] = {**stages(precision, texts), "words_per_second": speeds}
    publish("scaling", result, ".speed.scaling", [SEMCOR], shown="limits-of-speed", seed=SEED)


if __name__ == "__main__":
    run_command(main, __doc__)
