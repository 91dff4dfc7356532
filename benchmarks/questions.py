"""Sentences that answer a question, and sentences that sum up a text: static against attention.

    python -m benchmarks.questions            # results/questions.json
    python -m benchmarks.questions --quick    # three texts, writes nothing

``questions.jsonl``: ten texts of ten sentences written for this project, each with four questions
that one sentence answers, and its two most central sentences. The author of texts and questions
marked them before any system had read them; a second reader marked them again from texts and
questions alone, blind to the first marks (``answer_second``, ``central_second``). Both are language
models. What either marked counts as right.

Answers: share of the 40 questions whose sentence is first. Summaries: of the two sentences that a
system takes from each text, how many are marked by either; ``summaries_by_both`` counts those that
both marked. The share that is right by chance is in the result.

* ``position``: the first sentences. ``tf-idf``: cosine with the question, or with the whole text
  (scikit-learn's defaults, fitted on the text).
* ``static``: GloVe; cosine of the mean vectors of question and sentence, the words weighted by
  rarity (Arora et al. 2017, "A Simple but Tough-to-Beat Baseline", equation 1); for summaries the
  centrality of ``summary`` over these vectors.
* ``attention``: ``top_sentences`` and ``summary`` as they are; ``embedding``: the sentence vectors
  that the encoder was trained to give.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import spacy
from spacy.tokens import Doc

from benchmarks.common import (
    ROOT,
    SEMCOR,
    Result,
    accuracy,
    is_quick,
    need,
    plain_texts,
    publish,
    run_command,
    unit,
)
from spacy_attn._types import Floats2d
from spacy_attn.classic.vectors import load_vectors
from spacy_attn.encoder.huggingface import HuggingFaceEncoder, shared_encoder
from spacy_attn.explain.relevance import centrality, summary, top_sentences
from spacy_attn.settings import EncoderSettings

QUESTIONS = ROOT / "benchmarks" / "questions.jsonl"
N_CENTRAL = 2
_SMOOTHING = 1e-3  # a of Arora et al.

#: The sentences in the order in which a system would give them, for a question.
Answer = Callable[["Text", str], Sequence[int]]
#: The sentences that sum up a text.
Summarise = Callable[["Text"], Sequence[int]]


@dataclass(frozen=True)
class Text:
    """A text, its questions with the sentences that answer, and its central ones by both readers.

    Sentences are numbers; what either reader marked is an answer.
    """

    sentences: list[str]
    questions: list[tuple[str, set[int]]]
    central: tuple[set[int], set[int]]
    doc: Doc

    def numbers(self, spans: Sequence[Any]) -> list[int]:
        """The numbers of sentences that are given as spans."""
        return [self.sentences.index(span.text.strip()) for span in spans]


def read(nlp: Any) -> list[Text]:
    texts = []
    for line in QUESTIONS.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        sentences = record["sentences"]
        questions = [
            (each["question"], {each["answer"], each["answer_second"]})
            for each in record["questions"]
        ]
        central = set(record["central"]), set(record["central_second"])
        texts.append(Text(sentences, questions, central, nlp(" ".join(sentences))))
    return texts


def agreement(texts: Sequence[Text]) -> Result:
    """Questions on which both readers marked the same sentence, and central sentences likewise."""
    answers = [len(answers) == 1 for text in texts for _, answers in text.questions]
    central = [i in text.central[1] for text in texts for i in sorted(text.central[0])]
    return {
        "answers": {"n": len(answers), "same": sum(answers)},
        "central": {"n": len(central), "same": sum(central)},
    }


def order(scores: Any) -> list[int]:
    """The highest first. *Shape:* (n,)"""
    return [int(i) for i in np.argsort(-np.asarray(scores), kind="stable")]


def tfidf_rows(parts: Sequence[str], fitted_on: Sequence[str]) -> Floats2d:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return np.asarray(TfidfVectorizer().fit(fitted_on).transform(parts).toarray(), np.float32)


class StaticSentences:
    """Sentences as weighted means of static vectors."""

    def __init__(self, nlp: Any) -> None:
        self.nlp, self.vectors = nlp, load_vectors(None)
        words = (w.lower() for text in plain_texts(SEMCOR) for w in text.split())
        self.counts = Counter(words)
        self.total = self.counts.total()

    def rows(self, parts: Sequence[str]) -> Floats2d:
        """*Shape:* (len(parts), width)"""
        out = []
        for part in parts:
            words = [token.lower_ for token in self.nlp.make_doc(part) if token.is_alpha]
            rarity = np.array(
                [_SMOOTHING / (_SMOOTHING + self.counts[word] / self.total) for word in words]
            )
            out.append(rarity @ np.asarray(self.vectors.vectors(words), dtype=np.float32))
        return unit(np.stack(out))


def systems_of(nlp: Any, encoder: HuggingFaceEncoder) -> dict[str, tuple[Answer, Summarise]]:
    static = StaticSentences(nlp)

    def tfidf_answer(text: Text, question: str) -> Sequence[int]:
        rows = tfidf_rows([*text.sentences, question], text.sentences)
        return order(rows[:-1] @ rows[-1])

    def tfidf_summary(text: Text) -> Sequence[int]:
        rows = tfidf_rows([*text.sentences, " ".join(text.sentences)], text.sentences)
        return order(rows[:-1] @ rows[-1])

    def static_answer(text: Text, question: str) -> Sequence[int]:
        rows = static.rows([*text.sentences, question])
        return order(rows[:-1] @ rows[-1])

    def static_summary(text: Text) -> Sequence[int]:
        rows = static.rows(text.sentences)
        return order(centrality(rows * np.sqrt(rows.shape[1])))

    def attention_answer(text: Text, question: str) -> Sequence[int]:
        n = len(text.sentences)
        return text.numbers([s for s, _ in top_sentences(text.doc, question, n, encoder=encoder)])

    def attention_summary(text: Text) -> Sequence[int]:
        return text.numbers(summary(text.doc, N_CENTRAL, encoder=encoder))

    def embedding_answer(text: Text, question: str) -> Sequence[int]:
        rows = unit(encoder.embed([*text.sentences, question]))
        return order(rows[:-1] @ rows[-1])

    def embedding_summary(text: Text) -> Sequence[int]:
        rows = unit(encoder.embed(text.sentences))
        return order(centrality(rows * np.sqrt(rows.shape[1])))

    return {
        "position": (lambda text, _: range(len(text.sentences)), lambda text: range(N_CENTRAL)),
        "tf-idf": (tfidf_answer, tfidf_summary),
        "static": (static_answer, static_summary),
        "attention": (attention_answer, attention_summary),
        "embedding": (embedding_answer, embedding_summary),
    }


def measure(texts: Sequence[Text], answer: Answer, summarise: Summarise) -> Result:
    first, places, by_either, by_both = [], [], [], []
    for text in texts:
        for question, right in text.questions:
            ranked = list(answer(text, question))
            first.append(ranked[0] in right)
            places.append(1 / (min(map(ranked.index, right)) + 1))
        one, other = text.central
        taken = list(summarise(text))[:N_CENTRAL]
        by_either += [i in one | other for i in taken]
        by_both += [i in one & other for i in taken]
    return {
        "answers": {**accuracy(np.array(first)), "mean_reciprocal_rank": round(np.mean(places), 4)},
        "summaries": accuracy(np.array(by_either)),
        "summaries_by_both": accuracy(np.array(by_both)),
    }


def main() -> None:
    need(SEMCOR, "SemCor")
    nlp = spacy.blank("en")
    encoder = shared_encoder(EncoderSettings())
    texts = read(nlp)[: 3 if is_quick() else None]
    rows = [
        {"name": name, **measure(texts, *parts)} for name, parts in systems_of(nlp, encoder).items()
    ]
    n_sentences = sum(len(text.sentences) for text in texts)
    result = {
        "n_texts": len(texts),
        "n_questions": sum(len(text.questions) for text in texts),
        "n_sentences": n_sentences,
        "n_central": N_CENTRAL,
        "agreement": agreement(texts),
        "by_chance": round(sum(len(set.union(*text.central)) for text in texts) / n_sentences, 4),
        "rows": rows,
    }
    publish("questions", result, ".questions", [QUESTIONS, SEMCOR])


if __name__ == "__main__":
    run_command(main, __doc__)
