"""What all-words senses cost: time beside the pipeline they stand in, and memory.

    python -m benchmarks.all_words_cost

Each repetition runs the same documents through tagger, lemmatizer and an ``attention_encoder``
with the trained weights, without and with ``sense_disambiguator`` behind it, in turns; the median
of the ratios is the result, because single times on a shared machine mean little. Memory is that
of fresh processes above that of en_core_web_sm as it is loaded: after the same documents, 32 at a
time, and the most that was ever held (with a thousand at once, spaCy's own tagger takes 400 MB).
"""

from __future__ import annotations

import json
import statistics
import sys

from spacy.language import Language

from benchmarks.classic_speed import ten_sentences
from benchmarks.common import (
    SEMCOR,
    Result,
    in_child,
    in_turns,
    median_ratio,
    memory_mb,
    precisions,
    publish,
    run_command,
    seconds,
    small_pipeline,
)
from spacy_attn.wsd.methods.registry import SENSE_MODEL

REPETITIONS = 7
_AT_ONCE = 32  # documents, while memory is measured


def pipeline(precision: str) -> Language:
    """Tagger and lemmatizer, encoder, all-words senses."""
    nlp = small_pipeline("parser", "ner", "senter")
    nlp.add_pipe(
        "attention_encoder", config={"adapter": "senses", "strength": 1.0, "precision": precision}
    )
    method = {"@sense_methods": "spacy_attn.attention.v1", "precision": precision}
    nlp.add_pipe("sense_disambiguator", config={"inventory": "wordnet", "method": method})
    return nlp


def child(what: str) -> None:
    """Print the memory of a fresh process."""
    is_bare = what in ("loaded", "tagger")
    nlp = small_pipeline() if is_bare else pipeline(what)
    if what != "loaded":
        unused = [name for name in ("parser", "ner") if nlp.has_pipe(name)]
        with nlp.select_pipes(disable=unused):
            seconds(lambda: nlp.pipe(ten_sentences(), batch_size=_AT_ONCE))
    print(json.dumps({"held": int(memory_mb()), "peak": int(memory_mb("VmHWM"))}))


def measure(precision: str, texts: list[str]) -> Result:
    """The ratio of both pipelines, and words per second."""
    nlp = pipeline(precision)
    n_words = sum(len(nlp.make_doc(text)) for text in texts)
    seconds(lambda: nlp.pipe(texts))  # caches fill, models load

    def without() -> None:
        with nlp.select_pipes(disable=["sense_disambiguator"]):
            seconds(lambda: nlp.pipe(texts))

    times = in_turns(
        {"without_senses": without, "with_senses": lambda: nlp.pipe(texts)}, REPETITIONS
    )
    speeds = {name: round(n_words / statistics.median(own)) for name, own in times.items()}
    ratio = median_ratio(times["with_senses"], times["without_senses"])
    return {"n_words": n_words, **ratio, "words_per_second": speeds}


def main() -> None:
    if len(sys.argv) > 1:
        child(sys.argv[1])
        return
    texts, taken = ten_sentences(), precisions()
    rss = {what: in_child("all_words_cost", what) for what in ("loaded", "tagger", *taken)}
    result: Result = {"n_documents": len(texts), "repetitions": REPETITIONS, "rss_mb": rss}
    result |= {precision: measure(precision, texts) for precision in taken}
    publish("all-words-cost", result, ".all_words_cost", [SENSE_MODEL, SEMCOR])


if __name__ == "__main__":
    run_command(main, __doc__, None)
