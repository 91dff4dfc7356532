"""What the techniques of the page "Side by side" cost: words a second, classic and by attention.

    python -m benchmarks.technique_speed    # results/technique-speed.json, under a minute
    python -m benchmarks.technique_speed --quick    # one turn, writes nothing

Each tool reads the same texts, from their words to what is measured on the page; models are loaded
before. One thread, in turns; the fastest turn counts. What a trained map adds to the vectors that
it reads (probe, regression) is a product of small matrices and is not in the figures.

* ``chunks``: the tagger and ``nltk_chunker``, against the attention of all heads.
* ``heads``: the vectors that the probe reads. The classic row there is a fixed offset, at no cost.
* ``relations``: tagger, parser and ``relation_extractor``, against tagger, ``nltk_chunker``, and
  vectors and attention.
* ``answers`` and ``summaries``: the texts of :mod:`benchmarks.questions`, with one question each.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import spacy
from spacy.tokens import Doc

from benchmarks import questions, relation_pairs
from benchmarks.common import (
    SEMCOR,
    Result,
    in_turns,
    is_quick,
    need,
    publish,
    run_command,
    small_pipeline,
)
from spacy_attn.components.attention_encoder import offsets_of
from spacy_attn.encoder.attention_map import attention_map
from spacy_attn.encoder.huggingface import shared_encoder
from spacy_attn.settings import EncoderSettings

TURNS = 3
_TAGGING = ("tok2vec", "tagger", "attribute_ruler")


def pipeline(*names: str, added: Sequence[str]) -> Any:
    """Parts of en_core_web_sm, and components of the package."""
    nlp = small_pipeline()
    nlp.select_pipes(enable=list(names))
    for name in added:
        nlp.add_pipe(name)
    return nlp


def work_of() -> tuple[dict[str, Callable[[], Any]], dict[str, int]]:
    """Functions by "technique, side", and the words that a technique reads."""
    encoder = shared_encoder(EncoderSettings())
    blank = spacy.blank("en")
    chunker = pipeline(*_TAGGING, added=["nltk_chunker"])
    extractor = pipeline(*_TAGGING, "parser", added=["relation_extractor"])
    lines = relation_pairs.TEST.read_text(encoding="utf-8").splitlines()
    sentences = [json.loads(line)["text"] for line in lines]
    texts = questions.read(blank)
    systems = questions.systems_of(blank, encoder)

    def attention(docs: Sequence[Doc]) -> None:
        for doc in docs:
            attention_map(encoder, doc.text, offsets_of(doc))

    def vectors(docs: Sequence[Doc]) -> None:
        encoder.encode([doc.text for doc in docs], [offsets_of(doc) for doc in docs])

    def phrases_and_vectors() -> None:
        docs = list(chunker.pipe(sentences))
        vectors(docs)
        attention(docs)

    def answers(name: str) -> None:
        for text in texts:
            systems[name][0](text, text.questions[0][0])

    def summaries(name: str) -> None:
        for text in texts:
            systems[name][1](text)

    work: dict[str, Callable[[], Any]] = {
        "chunks, classic": lambda: list(chunker.pipe(sentences)),
        "chunks, attention": lambda: attention([blank(text) for text in sentences]),
        "heads, attention": lambda: vectors([blank(text) for text in sentences]),
        "relations, classic": lambda: list(extractor.pipe(sentences)),
        "relations, attention": phrases_and_vectors,
        "answers, classic": lambda: answers("static"),
        "answers, attention": lambda: answers("attention"),
        "summaries, classic": lambda: summaries("static"),
        "summaries, attention": lambda: summaries("attention"),
    }
    of_sentences = sum(len(blank.make_doc(text)) for text in sentences)
    of_texts = sum(len(text.doc) for text in texts)
    words = {
        **dict.fromkeys(("chunks", "heads", "relations"), of_sentences),
        **dict.fromkeys(("answers", "summaries"), of_texts),
    }
    return work, words


def main() -> None:
    import torch

    need(SEMCOR, "SemCor")
    torch.set_num_threads(1)
    work, words = work_of()
    for run in work.values():  # first calls load
        run()
    turns = 1 if is_quick() else TURNS
    speeds: Result = {}
    for name, times in in_turns(work, turns).items():
        technique, side = name.split(", ")
        speeds.setdefault(technique, {})[side] = round(words[technique] / min(times))
    result = {"turns": turns, "words": words, "words_per_second": speeds}
    publish("technique-speed", result, ".technique_speed", [questions.QUESTIONS, SEMCOR])


if __name__ == "__main__":
    run_command(main, __doc__)
