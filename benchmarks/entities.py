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
import random
import re
import time
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import spacy
from rich.console import Console
from rich.table import Table
from spacy.language import Language
from spacy.tokens import Doc

from benchmarks.common import DATA, ROOT, manifest
from spacy_attn.classic.sequence import (
    LabelledSpan,
    iob_spans,
    spans_to_iob,
    train_sequence_tagger,
)
from spacy_attn.components.nltk_ner import NltkNer
from spacy_attn.encoder.huggingface import EncoderSettings, shared_encoder
from spacy_attn.models import resolve_pipeline

IEER = DATA / "nltk" / "ieer.zip"
LABELS = ROOT / "benchmarks" / "entities_labels.json"
RESULTS = ROOT / "benchmarks" / "results"
SEED, N_FOLDS, N_INNER_FOLDS = 0, 5, 3
SAME_STORY = 20  # 8-word sequences that two documents share
EPOCHS = (5, 10, 20)
PENALTIES = (0.01, 0.1, 1.0)  # C of the logistic regression
LAYERS = ((-1,), (3,), (-4, -3, -2, -1))

Counts = np.ndarray  # (right, predicted, gold)


# -- the corpus --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph or headline, white space made single blanks."""

    text: str
    entities: tuple[LabelledSpan, ...]  # in characters


@dataclass(frozen=True, slots=True)
class Document:
    """A news item."""

    name: str
    paragraphs: tuple[Paragraph, ...]


def read_ieer(path: Path = IEER) -> list[Document]:
    """The documents of the corpus, with entities at characters.

    NLTK opens corpora below its own data folders only, and its trees keep no characters. So
    each document's text goes to the function that NLTK's reader calls, and the words of its
    tree are found again in that text.
    """
    from nltk.chunk import ieerstr2tree

    documents = []
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            text = archive.read(name).decode("ascii") if not name.endswith("/") else ""
            for match in re.finditer(r"<DOC>.*?</DOC>", text, re.DOTALL):
                raw = match.group()
                record = ieerstr2tree(raw, root_label="DOCUMENT")
                trees = [("<HEADLINE>", record["headline"]), ("<TEXT>", record["text"])]
                paragraphs = [
                    paragraph
                    for mark, tree in trees
                    if tree
                    for paragraph in _paragraphs(tree, raw[raw.index(mark) :])
                ]
                documents.append(Document(record["docno"], tuple(paragraphs)))
    return documents


def _paragraphs(tree: Iterable[Any], raw: str) -> Iterator[Paragraph]:
    """Cut a tree of NLTK's where a line of the raw text is indented."""
    masked = re.sub(r"<[^<>]*>", lambda mark: "\0" * len(mark.group()), raw)
    text, entities, position = "", [], 0
    for words, label in _chunks(tree):
        for i, word in enumerate(words):
            start = masked.index(word, position)
            gap = masked[position:start].replace("\0", "")
            position = start + len(word)
            if text and i == 0 and "\n\t" in gap:
                yield Paragraph(text, tuple(entities))
                text, entities = "", []
            text += " " if text and gap else ""
            if label and i == 0:
                entities.append((len(text), len(text), label))
            text += word.replace("&AMP;", "&")
        if label:
            entities[-1] = (entities[-1][0], len(text), label)
    if text:
        yield Paragraph(text, tuple(entities))


def _chunks(tree: Iterable[Any]) -> Iterator[tuple[list[str], str | None]]:
    """Words with the label of their entity; editors' notes and marks are left out."""
    in_note = False
    for child in tree:
        if not isinstance(child, str):
            yield list(child.leaves()), child.label()
        elif child.startswith("<"):
            in_note = child == "<ANNOTATION>"
        elif not in_note:
            yield [child], None


def stories(documents: Sequence[Document]) -> list[list[int]]:
    """Documents, as indices, grouped by what looks like one story sent more than once."""
    owners: dict[tuple[str, ...], set[int]] = defaultdict(set)
    for i, document in enumerate(documents):
        words = " ".join(p.text for p in document.paragraphs).split()
        for j in range(len(words) - 7):
            owners[tuple(words[j : j + 8])].add(i)
    shared = Counter((a, b) for who in owners.values() for a in who for b in who if a < b)
    group = list(range(len(documents)))
    for (a, b), n in shared.items():
        if n >= SAME_STORY:
            group = [group[a] if g == group[b] else g for g in group]
    return [[i for i, g in enumerate(group) if g == name] for name in dict.fromkeys(group)]


def folds(
    groups: Sequence[Sequence[int]], sizes: Sequence[int], n: int, seed: int
) -> list[list[int]]:
    """Cut documents into n parts of like size, groups kept together.

    Args:
        groups: of documents, as indices.
        sizes: words of each document.
        n: number of parts.
        seed: decides the order of the groups.
    """
    order = list(groups)
    random.Random(seed).shuffle(order)  # noqa: S311  an order, no secret
    parts: list[list[int]] = [[] for _ in range(n)]
    for group in order:
        smallest = min(parts, key=lambda part: sum(sizes[i] for i in part))
        smallest += group
    return [sorted(part) for part in parts]


@dataclass(frozen=True, slots=True)
class Sample:
    """A paragraph in tokens."""

    document: int
    doc: Doc  # with tags
    gold: tuple[LabelledSpan, ...]  # in tokens, IEER's labels


def align(paragraph: Paragraph, doc: Doc, seen: Counter[str]) -> tuple[LabelledSpan, ...]:
    """The entities in tokens; one that begins or ends within a token takes it whole.

    Args:
        paragraph: gives the entities.
        doc: its tokens.
        seen: counts entities: all, widened, and those dropped for sharing a token.
    """
    spans: list[LabelledSpan] = []
    for start, end, label in paragraph.entities:
        span = doc.char_span(start, end, alignment_mode="expand")
        seen["entities"] += 1
        if spans and span.start < spans[-1][1]:
            seen["dropped"] += 1
            continue
        seen["widened"] += (span.start_char, span.end_char) != (start, end)
        spans.append((span.start, span.end, label))
    return tuple(spans)


# -- the systems -------------------------------------------------------------------------


class System(Protocol):
    """Finds entities in plain text, tokenising included."""

    def fit(self, samples: Sequence[Sample]) -> None:
        """Train on some paragraphs."""
        ...

    def predict(self, texts: Sequence[str]) -> list[list[LabelledSpan]]:
        """The entities of each text, in tokens."""
        ...


class NltkTrained:
    """The component ``nltk_ner`` behind the tagger of en_core_web_sm."""

    def __init__(self, nlp: Language, epochs: int) -> None:
        self.nlp, self.epochs = nlp, epochs

    def fit(self, samples: Sequence[Sample]) -> None:  # noqa: D102  see System
        sentences = [
            list(
                zip(
                    (token.text for token in s.doc),
                    (token.tag_ for token in s.doc),
                    spans_to_iob(len(s.doc), s.gold),
                    strict=True,
                )
            )
            for s in samples
        ]
        tagger = train_sequence_tagger(sentences, task="entities", epochs=self.epochs, seed=SEED)
        self.component = NltkNer().from_bytes(tagger.to_bytes())

    def predict(self, texts: Sequence[str]) -> list[list[LabelledSpan]]:  # noqa: D102
        with self.nlp.select_pipes(enable=["tok2vec", "tagger"]):
            return [self.component.find(doc) for doc in self.nlp.pipe(texts)]


class SpacyNer:
    """The ``ner`` of en_core_web_sm, in its own labels."""

    def __init__(self, nlp: Language) -> None:
        self.nlp = nlp

    def fit(self, samples: Sequence[Sample]) -> None:
        """Nothing: it is used as it comes."""

    def predict(self, texts: Sequence[str]) -> list[list[LabelledSpan]]:  # noqa: D102
        with self.nlp.select_pipes(enable=["ner"]):  # it has a tok2vec of its own
            docs = self.nlp.pipe(texts)
            return [[(e.start, e.end, e.label_) for e in doc.ents] for doc in docs]


class AttentionProbe:
    """Logistic regression over the vectors of an encoder, token by token."""

    def __init__(self, nlp: Language, layers: tuple[int, ...], penalty: float) -> None:
        self.nlp, self.layers, self.penalty = nlp, layers, penalty

    def fit(self, samples: Sequence[Sample]) -> None:  # noqa: D102
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        vectors = np.concatenate([stored_vectors(s.doc, self.layers) for s in samples])
        labels = [label for s in samples for label in spans_to_iob(len(s.doc), s.gold)]
        regression = LogisticRegression(C=self.penalty, max_iter=1000)
        self.model = make_pipeline(StandardScaler(), regression).fit(vectors, labels)

    def predict(self, texts: Sequence[str]) -> list[list[LabelledSpan]]:  # noqa: D102
        docs = [self.nlp.make_doc(text) for text in texts]
        return self.read(encode(docs, self.layers))

    def read(self, vectors: Sequence[np.ndarray]) -> list[list[LabelledSpan]]:
        """The entities of texts that are already vectors."""
        labels = self.model.predict(np.concatenate(vectors))
        ends = np.cumsum([len(rows) for rows in vectors])[:-1]
        return [iob_spans(part.tolist()) for part in np.split(labels, ends)]


class MostFrequent:
    """Each word by itself, as it was labelled most often."""

    def __init__(self, nlp: Language) -> None:
        self.nlp = nlp

    def fit(self, samples: Sequence[Sample]) -> None:  # noqa: D102
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for s in samples:
            for token, label in zip(s.doc, spans_to_iob(len(s.doc), s.gold), strict=True):
                counts[token.text][label] += 1
        self.labels = {word: c.most_common(1)[0][0] for word, c in counts.items()}

    def predict(self, texts: Sequence[str]) -> list[list[LabelledSpan]]:  # noqa: D102
        docs = map(self.nlp.make_doc, texts)
        return [iob_spans(self.labels.get(token.text, "O") for token in doc) for doc in docs]


def encode(docs: Sequence[Doc], layers: tuple[int, ...]) -> list[np.ndarray]:
    """Vectors of the tokens of some texts.

    *Shape:* for each text (n_tokens, width)
    """
    offsets = [[(token.idx, token.idx + len(token)) for token in doc] for doc in docs]
    encoder = shared_encoder(EncoderSettings(layers=layers))
    return list(encoder.encode([doc.text for doc in docs], offsets))


def stored_vectors(doc: Doc, layers: tuple[int, ...]) -> np.ndarray:
    """Vectors of a text of the corpus, computed once.

    *Shape:* (n_tokens, width)
    """
    vectors: np.ndarray = doc.user_data[str(layers)]
    return vectors


# -- scores ------------------------------------------------------------------------------


@cache
def label_map() -> dict[str, Any]:
    """The file of common labels; its reasons are for the reader."""
    table: dict[str, Any] = json.loads(LABELS.read_text(encoding="utf-8"))
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


def _nothing() -> Counts:
    return np.zeros(3, dtype=int)


def count(gold: Sequence[LabelledSpan], predicted: Sequence[LabelledSpan]) -> Counts:
    """Right, predicted and gold entities of one text."""
    return np.array([len(set(gold) & set(predicted)), len(predicted), len(gold)])


def f1(right: Any, predicted: Any, gold: Any, axis: int = -1) -> Any:
    """F1 of counts that are summed along an axis; 0 where there is nothing at all."""
    total = np.sum(predicted, axis=axis) + np.sum(gold, axis=axis)
    return 2 * np.sum(right, axis=axis) / np.maximum(total, 1)


def measures(counts: Counts) -> dict[str, float]:
    """Precision, recall and F1 of (right, predicted, gold)."""
    right, predicted, gold = (int(n) for n in counts)
    return {
        "precision": round(right / max(predicted, 1), 4),
        "recall": round(right / max(gold, 1), 4),
        "f1": round(float(f1([right], [predicted], [gold])), 4),
    }


def intervals(counts: np.ndarray, other: np.ndarray | None) -> dict[str, list[float]]:
    """95 % bootstrap intervals of F1, and of its difference from another system's.

    Args:
        counts: *Shape:* (n_stories, 3)
        other: of the other system, on the same stories; None for no difference.
    """
    from scipy.stats import bootstrap

    def interval(columns: np.ndarray, statistic: Callable[..., Any]) -> list[float]:
        found = bootstrap(
            tuple(columns.T), statistic, paired=True, vectorized=True, n_resamples=5000,
            method="percentile", rng=np.random.default_rng(SEED),
        )  # fmt: skip
        return [round(float(x), 4) for x in found.confidence_interval]

    def difference(*columns: Any, axis: int = -1) -> Any:
        return f1(*columns[:3], axis=axis) - f1(*columns[3:], axis=axis)

    out = {"ci95": interval(counts, f1)}
    if other is not None:
        out["ci95_of_difference"] = interval(np.hstack([counts, other]), difference)
    return out


class Scores:
    """Counts of one system on some texts: exact, of spans alone, and by label."""

    def __init__(
        self,
        story_of: Sequence[int],
        gold: Sequence[Sequence[LabelledSpan]],
        predicted: Sequence[Sequence[LabelledSpan]],
    ) -> None:
        """Count.

        Args:
            story_of: the story of each text.
            gold: the entities of each text.
            predicted: what a system found in each text.
        """
        by_story: dict[int, Counts] = defaultdict(_nothing)
        by_label: dict[str, Counts] = defaultdict(_nothing)
        self.spans = _nothing()
        for story, g, p in zip(story_of, gold, predicted, strict=True):
            by_story[story] += count(g, p)
            self.spans += count(
                *([(start, end, "") for start, end, _ in spans] for spans in (g, p))
            )
            for label in {span[2] for span in (*g, *p)}:
                by_label[label] += count(*([s for s in spans if s[2] == label] for spans in (g, p)))
        self.stories = np.array([by_story[story] for story in sorted(by_story)])
        self.labels = {label: by_label[label] for label in sorted(by_label)}

    def record(self, other: Scores | None = None) -> dict[str, Any]:
        """What results hold; ``other`` is the system to which the difference is taken."""
        return {
            **measures(self.stories.sum(axis=0)),
            **intervals(self.stories, None if other is None else other.stories),
            "span_only": measures(self.spans),
            "names_only": measures(
                sum((self.labels[x] for x in label_map()["names"] if x in self.labels), _nothing())
            ),
            "by_label": {
                label: {**measures(counts), "n": int(counts[2])}
                for label, counts in self.labels.items()
            },
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

    @classmethod
    def load(cls, path: Path = IEER) -> Experiment:
        """Read, tokenise, tag and encode the corpus."""
        documents = read_ieer(path)
        pipeline = resolve_pipeline()
        if pipeline is None:
            raise SystemExit('en_core_web_sm is not installed: pip install "spacy-attn[models]"')
        nlp = spacy.load(pipeline)
        alignment: Counter[str] = Counter()
        owners = [i for i, d in enumerate(documents) for _ in d.paragraphs]
        paragraphs = [p for d in documents for p in d.paragraphs]
        with nlp.select_pipes(enable=["tok2vec", "tagger"]):
            docs = list(nlp.pipe(p.text for p in paragraphs))
        samples = [
            Sample(i, doc, align(p, doc, alignment))
            for i, p, doc in zip(owners, paragraphs, docs, strict=True)
        ]
        for layers in LAYERS:
            for doc, vectors in zip(docs, encode(docs, layers), strict=True):
                doc.user_data[str(layers)] = vectors
        sizes = [0] * len(documents)
        for s in samples:
            sizes[s.document] += len(s.doc)
        groups = stories(documents)
        story_of = {i: story for story, group in enumerate(groups) for i in group}
        return cls(nlp, samples, story_of, folds(groups, sizes, N_FOLDS, SEED), sizes, alignment)

    def of(self, documents: Iterable[int]) -> list[Sample]:
        """The paragraphs of some documents."""
        wanted = set(documents)
        return [s for s in self.samples if s.document in wanted]

    def systems(self, settings: dict[str, Any]) -> dict[str, System]:
        """The systems by name, not yet trained."""
        return {
            "nltk_trained": NltkTrained(self.nlp, settings["epochs"]),
            "spacy_ner": SpacyNer(self.nlp),
            "attention_probe": AttentionProbe(
                self.nlp, tuple(settings["layers"]), settings["penalty"]
            ),
            "most_frequent": MostFrequent(self.nlp),
        }

    def choose(self, documents: Sequence[int]) -> dict[str, Any]:
        """Settings with the highest F1 in cross-validation over some documents."""
        groups: dict[int, list[int]] = defaultdict(list)
        for i in documents:
            groups[self.story_of[i]].append(i)
        parts = folds(list(groups.values()), self.sizes, N_INNER_FOLDS, SEED)

        def score(make: Callable[[], System]) -> float:
            total = _nothing()
            for part in parts:
                system, test = make(), self.of(part)
                system.fit(self.of(set(documents) - set(part)))
                if isinstance(system, AttentionProbe):
                    found = system.read([stored_vectors(s.doc, system.layers) for s in test])
                else:
                    found = system.predict([s.doc.text for s in test])
                total += sum(count(s.gold, p) for s, p in zip(test, found, strict=True))
            return measures(total)["f1"]

        by_epochs = {n: score(lambda n=n: NltkTrained(self.nlp, n)) for n in EPOCHS}
        by_probe = {
            (layers, c): score(lambda layers=layers, c=c: AttentionProbe(self.nlp, layers, c))
            for layers in LAYERS
            for c in PENALTIES
        }
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
        self, part: Sequence[int], settings: dict[str, Any], *, runs: int
    ) -> tuple[dict[str, list[list[LabelledSpan]]], dict[str, int]]:
        """What each system finds in a fold after training on the others, and its words/s.

        The speed is that of the fastest of some runs, from text to entities.
        """
        test, train = self.of(part), self.of(set(self.story_of) - set(part))
        texts = [s.doc.text for s in test]
        n_words = sum(len(s.doc) for s in test)
        found, speed = {}, {}
        for name, system in self.systems(settings).items():
            system.fit(train)
            seconds = []
            for _ in range(runs):
                started = time.perf_counter()
                found[name] = system.predict(texts)
                seconds.append(time.perf_counter() - started)
            speed[name] = round(n_words / min(seconds))
        return found, speed

    def score(
        self, samples: Sequence[Sample], found: dict[str, list[list[LabelledSpan]]], *, own: bool
    ) -> list[dict[str, Any]]:
        """One record for each system, in common labels, or in IEER's own for the trained ones."""
        story_of = [self.story_of[s.document] for s in samples]
        scores = {}
        for name, predicted in found.items():
            label_set = "ontonotes" if name == "spacy_ner" else "ieer"
            if own and label_set != "ieer":
                continue
            gold: list[Any] = [s.gold for s in samples]
            if not own:
                gold = [in_common_labels(s.doc, s.gold, "ieer") for s in samples]
                predicted = [
                    in_common_labels(s.doc, p, label_set)
                    for s, p in zip(samples, predicted, strict=True)
                ]
            scores[name] = Scores(story_of, gold, predicted)
        reference = scores.get("spacy_ner")
        return [
            {"name": name, **each.record(None if name == "spacy_ner" else reference)}
            for name, each in scores.items()
        ]


def run(path: Path = IEER) -> dict[str, Any]:
    """The whole experiment."""
    experiment = Experiment.load(path)
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
    result = run()
    result["manifest"] = manifest(
        "python -m benchmarks.entities", [IEER, LABELS], seed=SEED, n_folds=N_FOLDS
    )
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "entities.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for title, key in (("held-out documents", "systems"), ("five folds", "five_folds")):
        table = Table(title=f"ieer, {title}")
        for head in ("system", "P", "R", "F1", "95 %", "F1 of spans", "F1 of names", "words/s"):
            table.add_column(head)
        for s in result[key]:
            low, high = s["ci95"]
            table.add_row(
                s["name"], f"{s['precision']:.3f}", f"{s['recall']:.3f}", f"{s['f1']:.3f}",
                f"{low:.3f} to {high:.3f}", f"{s['span_only']['f1']:.3f}",
                f"{s['names_only']['f1']:.3f}",
                f"{s.get('words_per_second', ''):,}" if key == "systems" else "",
            )  # fmt: skip
        Console().print(table)


if __name__ == "__main__":
    main()
