"""Named entities on IEER newswire: NLTK's way, spaCy's CNN, a probe over attention vectors.

    python -m benchmarks.entities

IEER (NIST 1999; NLTK's corpus ``ieer``) is 94 newswire documents of 58,000 words. All systems
read the same paragraphs, cut into tokens by spaCy, and are scored on the same held-out
documents, by entities: a prediction is right where its span, and its label too, are exactly
those of the gold annotation.

* ``nltk_trained``: the component ``nltk_ner`` with a tagger trained on the training documents,
  over the tags of en_core_web_sm.
* ``spacy_ner``: the CNN of en_core_web_sm as it comes. It was trained on OntoNotes, by other
  rules of what an entity is; ``entities_labels.json`` maps both label sets onto common labels
  and boundaries, with reasons. What has no common label is left out on both sides.
* ``attention_probe``: logistic regression from the vector of a token (all-MiniLM-L6-v2, not
  fine-tuned) to its IOB label, without any word, tag or neighbouring label.
* ``most_frequent``: the label that a word had most often in training, else O.

Labels of the last two need not be a legal sequence; all are read by one rule, ``iob_spans``:
I-X that continues no X begins one. Stories that the agency sent more than once, with changes,
never stand on both sides of a split, and count as one in the bootstrap. Settings are chosen on
the training documents. Fold 0 of five is the held-out set; in the scores over all five folds,
whose settings are those of fold 0, the other folds' documents took part in that choice.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc

from benchmarks.common import ROOT, SEED, Result, need, publish, run_command, small_pipeline, timed
from benchmarks.ieer import IEER, Sample, align, folds, read_ieer, stories
from benchmarks.spans import by_label, by_text, count, difference, fractions, interval
from spacy_attn._types import Floats2d
from spacy_attn.classic.sequence import (
    LabelledSpan,
    iob_spans,
    spans_to_iob,
    train_sequence_tagger,
)
from spacy_attn.components.nltk_ner import NltkNer
from spacy_attn.encoder.huggingface import shared_encoder
from spacy_attn.settings import EncoderSettings

LABELS = ROOT / "benchmarks" / "entities_labels.json"
N_FOLDS, N_INNER_FOLDS = 5, 3
EPOCHS = (5, 10, 20)
PENALTIES = (0.01, 0.1, 1.0)  # C of the logistic regression

Layers = tuple[int, ...]

LAYERS: tuple[Layers, ...] = ((-1,), (3,), (-4, -3, -2, -1))

Found = list[list[LabelledSpan]]  # of each text


# -- the systems: each learns from some paragraphs, and finds entities in plain text -----------

Predict = Callable[[Sequence[str]], Found]  # tokenising included
Fit = Callable[[Sequence[Sample]], Predict]
Encode = Callable[[Sequence[Doc]], list[Floats2d]]  # of each text (n_tokens, width)


def nltk_trained(nlp: Language, epochs: int, samples: Sequence[Sample]) -> Predict:
    """The component ``nltk_ner`` behind the tagger of en_core_web_sm."""
    sentences = [
        [
            (token.text, token.tag_, label)
            for token, label in zip(s.doc, spans_to_iob(len(s.doc), s.gold), strict=True)
        ]
        for s in samples
    ]
    tagger = train_sequence_tagger(sentences, task="entities", epochs=epochs, seed=SEED)
    component = NltkNer().from_bytes(tagger.to_bytes())

    def predict(texts: Sequence[str]) -> Found:
        with nlp.select_pipes(enable=["tok2vec", "tagger"]):
            return [component.find(doc) for doc in nlp.pipe(texts)]

    return predict


def spacy_ner(nlp: Language, samples: Sequence[Sample]) -> Predict:
    """The ``ner`` of en_core_web_sm in its own labels, as it comes."""
    del samples

    def predict(texts: Sequence[str]) -> Found:
        with nlp.select_pipes(enable=["ner"]):  # it has a tok2vec of its own
            docs = nlp.pipe(texts)
            return [[(e.start, e.end, e.label_) for e in doc.ents] for doc in docs]

    return predict


def attention_probe(
    nlp: Language, encode: Encode, known: Encode, penalty: float, samples: Sequence[Sample]
) -> Predict:
    """Logistic regression over the vectors of an encoder, token by token.

    Args:
        nlp: tokenises.
        encode: gives the vectors of texts.
        known: those of the paragraphs that it learns from.
        penalty: C of the regression.
        samples: the paragraphs.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    labels = [label for s in samples for label in spans_to_iob(len(s.doc), s.gold)]
    regression = LogisticRegression(C=penalty, max_iter=1000)
    model = make_pipeline(StandardScaler(), regression)
    model.fit(np.concatenate(known([s.doc for s in samples])), labels)

    def predict(texts: Sequence[str]) -> Found:
        vectors = encode([nlp.make_doc(text) for text in texts])
        said = model.predict(np.concatenate(vectors))
        ends = np.cumsum([len(rows) for rows in vectors])[:-1]
        return [iob_spans(part.tolist()) for part in np.split(said, ends)]

    return predict


def most_frequent(nlp: Language, samples: Sequence[Sample]) -> Predict:
    """Each word by itself, as it was labelled most often."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for s in samples:
        for token, label in zip(s.doc, spans_to_iob(len(s.doc), s.gold), strict=True):
            counts[token.text][label] += 1
    labels = {word: each.most_common(1)[0][0] for word, each in counts.items()}

    def predict(texts: Sequence[str]) -> Found:
        docs = map(nlp.make_doc, texts)
        return [iob_spans(labels.get(token.text, "O") for token in doc) for doc in docs]

    return predict


def encode(layers: Layers, docs: Sequence[Doc]) -> list[Floats2d]:
    """Vectors of the tokens of some texts. *Shape:* for each text (n_tokens, width)"""
    offsets = [[(token.idx, token.idx + len(token)) for token in doc] for doc in docs]
    encoder = shared_encoder(EncoderSettings(layers=layers))
    return list(encoder.encode([doc.text for doc in docs], offsets))


# -- scores ------------------------------------------------------------------------------


@cache
def label_map() -> Result:
    """The file of common labels; its reasons are for the reader."""
    table: Result = json.loads(LABELS.read_text(encoding="utf-8"))
    return table


def in_common_labels(doc: Doc, spans: Iterable[LabelledSpan], label_set: str) -> list[LabelledSpan]:
    """The spans that have a common label, under it, cut to common boundaries.

    Args:
        doc: the text.
        spans: in its tokens.
        label_set: "ieer" or "ontonotes".
    """
    labels, boundaries = label_map()["labels"][label_set], label_map()["boundaries"]
    out = []
    for start, end, label in spans:
        common = labels[label]["common"]
        if common is None:
            continue
        if start + 1 < end and doc[start].lower_ in boundaries["before"]:
            start += 1
        if start + 1 < end and doc[end - 1].lower_ in boundaries["after"]:
            end -= 1
        out.append((start, end, common))
    return out


def record(
    story_of: Sequence[int], gold: Found, found: Found, other: Found | None = None
) -> Result:
    """Scores of one system on some texts: exact, of spans alone, and by label.

    Args:
        story_of: the story of each text; intervals draw stories.
        gold: the entities of each text.
        found: what a system found in each text.
        other: what the system found to which the difference is taken.
    """

    def by_story(predicted: Found) -> Any:
        totals = np.zeros((max(story_of) + 1, 3), dtype=np.int64)
        np.add.at(totals, np.asarray(story_of), by_text(gold, predicted))
        return totals[sorted(set(story_of))]

    counts, stories_ = count(gold, found), by_story(found)
    names = [counts[label].sum(axis=0) for label in label_map()["names"] if label in counts]
    out = {**fractions(stories_.sum(axis=0)), "ci95": interval(stories_)}
    if other is not None:
        out["ci95_of_difference"] = difference(stories_, by_story(other))
    spans = by_text(*([[(a, b, "") for a, b, _ in each] for each in of] for of in (gold, found)))
    return {
        **out,
        "span_only": fractions(spans.sum(axis=0)),
        "names_only": fractions(np.sum([np.zeros(3, dtype=np.int64), *names], axis=0)),
        "by_label": by_label(counts),
    }


# -- the experiment ----------------------------------------------------------------------


@dataclass
class Experiment:
    """The corpus in tokens, cut into folds."""

    nlp: Language
    samples: list[Sample]
    story_of: dict[int, int]  # document to story
    parts: list[list[int]]  # documents of each fold
    sizes: list[int]  # words of each document
    alignment: Counter[str]
    vectors: dict[tuple[Layers, str], Floats2d]  # of layers and text

    @classmethod
    def load(cls) -> Experiment:
        """Read, tokenise, tag and encode the corpus."""
        documents = read_ieer()
        nlp = small_pipeline()
        alignment: Counter[str] = Counter()
        owned = [(i, p) for i, document in enumerate(documents) for p in document.paragraphs]
        with nlp.select_pipes(enable=["tok2vec", "tagger"]):
            docs = list(nlp.pipe(p.text for _, p in owned))
        samples = [
            Sample(i, doc, align(p, doc, alignment))
            for (i, p), doc in zip(owned, docs, strict=True)
        ]
        vectors = {
            (layers, doc.text): rows
            for layers in LAYERS
            for doc, rows in zip(docs, encode(layers, docs), strict=True)
        }
        sizes = [0] * len(documents)
        for s in samples:
            sizes[s.document] += len(s.doc)
        groups = stories(documents)
        story_of = {i: story for story, group in enumerate(groups) for i in group}
        parts = folds(groups, sizes, N_FOLDS, SEED)
        return cls(nlp, samples, story_of, parts, sizes, alignment, vectors)

    def known(self, layers: Layers, docs: Sequence[Doc]) -> list[Floats2d]:
        """Vectors of texts of the corpus, computed once. *Shape:* as :func:`encode`"""
        return [self.vectors[layers, doc.text] for doc in docs]

    def of(self, documents: Iterable[int]) -> list[Sample]:
        """The paragraphs of some documents."""
        wanted = set(documents)
        return [s for s in self.samples if s.document in wanted]

    def systems(self, settings: Result) -> dict[str, Fit]:
        """The systems by name, not yet trained."""
        layers: Layers = tuple(settings["layers"])
        vectors = partial(encode, layers), partial(self.known, layers)
        return {
            "nltk_trained": partial(nltk_trained, self.nlp, settings["epochs"]),
            "spacy_ner": partial(spacy_ner, self.nlp),
            "attention_probe": partial(attention_probe, self.nlp, *vectors, settings["penalty"]),
            "most_frequent": partial(most_frequent, self.nlp),
        }

    def choose(self, documents: Sequence[int]) -> Result:
        """Settings with the highest F1 in cross-validation over some documents."""
        groups: dict[int, list[int]] = defaultdict(list)
        for i in documents:
            groups[self.story_of[i]].append(i)
        parts = folds(list(groups.values()), self.sizes, N_INNER_FOLDS, SEED)

        def score(fit: Fit) -> float:
            gold: Found = []
            found: Found = []
            for part in parts:
                test = self.of(part)
                gold += [list(s.gold) for s in test]
                predict = fit(self.of(set(documents) - set(part)))
                found += predict([s.doc.text for s in test])
            return fractions(by_text(gold, found).sum(axis=0))["f1"]

        def probe(layers: Layers, penalty: float) -> Fit:
            known = partial(self.known, layers)
            return partial(attention_probe, self.nlp, known, known, penalty)

        by_epochs = {n: score(partial(nltk_trained, self.nlp, n)) for n in EPOCHS}
        by_probe = {(layers, c): score(probe(layers, c)) for layers in LAYERS for c in PENALTIES}
        layers, penalty = max(by_probe, key=by_probe.__getitem__)
        return {
            "epochs": max(by_epochs, key=by_epochs.__getitem__),
            "layers": list(layers),
            "penalty": penalty,
            "tried": [
                *({"epochs": n, "f1": f} for n, f in by_epochs.items()),
                *({"layers": list(x), "penalty": c, "f1": f} for (x, c), f in by_probe.items()),
            ],
        }

    def predict(
        self, part: Sequence[int], settings: Result, *, runs: int
    ) -> tuple[dict[str, Found], dict[str, int]]:
        """What each system finds in a fold after training on the others, and its words/s.

        The speed is that of the fastest of some runs, from text to entities.
        """
        test, train = self.of(part), self.of(set(self.story_of) - set(part))
        texts = [s.doc.text for s in test]
        n_words = sum(len(s.doc) for s in test)
        found, speed = {}, {}
        for name, fit in self.systems(settings).items():
            predict = fit(train)
            said = [timed(partial(predict, texts)) for _ in range(runs)]
            found[name] = said[0][0]
            speed[name] = round(n_words / min(spent for _, spent in said))
        return found, speed

    def score(
        self, samples: Sequence[Sample], found: dict[str, Found], *, own: bool
    ) -> list[Result]:
        """One record for each system, in common labels, or in IEER's own for the trained ones."""
        story_of = [self.story_of[s.document] for s in samples]

        def read(spans: Sequence[Sequence[LabelledSpan]], label_set: str) -> Found:
            pairs = zip(samples, spans, strict=True)
            return [
                list(each) if own else in_common_labels(s.doc, each, label_set) for s, each in pairs
            ]

        sets = {name: "ontonotes" if name == "spacy_ner" else "ieer" for name in found}
        gold = read([s.gold for s in samples], "ieer")
        kept = {
            name: read(spans, sets[name])
            for name, spans in found.items()
            if not own or sets[name] == "ieer"
        }
        reference = kept.get("spacy_ner")
        return [
            {
                "name": name,
                **record(story_of, gold, spans, None if name == "spacy_ner" else reference),
            }
            for name, spans in kept.items()
        ]


def run() -> Result:
    """The whole experiment."""
    experiment = Experiment.load()
    held_out, *rest = experiment.parts
    settings = experiment.choose([i for part in rest for i in part])
    found, speed = experiment.predict(held_out, settings, runs=3)
    test = experiment.of(held_out)
    systems = experiment.score(test, found, own=False)
    for row in systems:
        row["words_per_second"] = speed[row["name"]]
    samples = list(test)
    pooled = {name: list(spans) for name, spans in found.items()}
    for part in rest:
        samples += experiment.of(part)
        for name, spans in experiment.predict(part, settings, runs=1)[0].items():
            pooled[name] += spans
    return {
        "dataset": "ieer",
        "n": sum(len(in_common_labels(s.doc, s.gold, "ieer")) for s in test),
        "n_documents": {"held_out": len(held_out), "train": sum(map(len, rest))},
        "n_words": {
            "held_out": sum(experiment.sizes[i] for i in held_out),
            "all": sum(experiment.sizes),
        },
        "n_stories": len(set(experiment.story_of.values())),
        "alignment": dict(experiment.alignment),
        "settings": settings,
        "systems": systems,
        "own_labels": experiment.score(test, found, own=True),
        "five_folds": experiment.score(samples, pooled, own=False),
    }


def main() -> None:
    need(IEER, "IEER")
    publish("entities", run(), ".entities", [IEER, LABELS], seed=SEED, n_folds=N_FOLDS)


if __name__ == "__main__":
    run_command(main, __doc__)
