"""Which attention heads follow syntax, beside fixed offsets, a chunker, and a linear probe.

    python -m benchmarks.heads          # results/heads.json, and what explain --syntax reads
    python -m benchmarks.heads MODEL    # results/heads-NAME.json and build/heads-NAME.json
    python -m benchmarks.heads --quick  # a twentieth of the sentences, writes nothing

Sentences of SemCor, parsed by en_core_web_sm; its parse is what is followed, errors included. For
each relation the best head, and its direction, are chosen on one half (by document) and measured on
the other: :mod:`spacy_attn.explain.syntax` says when a head follows an arc. Rows beside it:

* ``offset``: the word so many places away, the best for the relation on the first half.
* ``chunks``: phrases of ``nltk_chunker``'s grammar. Inside a noun phrase the head of a word is the
  last one, and the head of the last one the preposition before the phrase. Relations that it says
  nothing of have no figure. NLTK's parser: see :mod:`.grammar`.
* ``probe``: a bilinear map of the contextual vectors of two words, trained on the first half to
  choose the head among all words of the sentence (as Dozat and Manning 2017, "Deep Biaffine
  Attention for Neural Dependency Parsing", section 3.2, without its layers). It reads the layer
  that is best on the last quarter of the first half, trained on the rest. Labels are a logistic
  regression over the vectors of a dependent and its right head in that layer.

Head, offset and chunks are told the relation, and only say where; the probe says where without it.
Intervals draw sentences, whose arcs are right or wrong together.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from spacy.tokens import Doc

from benchmarks.common import (
    ROOT,
    SEED,
    SEMCOR,
    Bools1d,
    Result,
    is_quick,
    need,
    progress,
    publish,
    records,
    run_command,
    small_pipeline,
)
from benchmarks.spans import interval
from spacy_attn._types import Floats2d
from spacy_attn.components.attention_encoder import offsets_of
from spacy_attn.encoder.attention_map import attention_map
from spacy_attn.encoder.huggingface import HuggingFaceEncoder, shared_encoder
from spacy_attn.explain.syntax import KNOWN_HEADS, Arc, arcs_of, followed, most_attended
from spacy_attn.settings import EncoderSettings

N_DOCUMENTS, PER_DOCUMENT = 80, 40  # half of the documents to choose on, half to measure
LONGEST = 60  # tokens of a sentence
LEAST = 50  # arcs of a relation that is shown
OFFSETS = tuple(i for i in range(-6, 7) if i)
WIDTH, EPOCHS, BATCH = 128, 12, 32  # of the probe
DIRECTIONS = ("dependent to head", "head to dependent")


@dataclass(frozen=True)
class Half:
    """Sentences, their arcs one after the other, and what the heads do with these.

    *Shape:* follows (n_arcs, 2, n_layers, n_heads), vectors by layer (n_tokens, width) each
    """

    docs: list[Doc]
    arcs: list[list[Arc]]
    follows: NDArray[np.bool_]
    vectors: dict[int, list[Floats2d]]

    @property
    def labels(self) -> NDArray[np.str_]:
        """Of each arc. *Shape:* (n_arcs,)"""
        return np.array([arc.label for arcs in self.arcs for arc in arcs])

    @property
    def sentences(self) -> NDArray[np.int64]:
        """The sentence of each arc. *Shape:* (n_arcs,)"""
        return np.repeat(np.arange(len(self.arcs)), [len(arcs) for arcs in self.arcs])


def accuracy(right: Bools1d, sentence: NDArray[np.int64]) -> Result:
    """Accuracy and its 95 % bootstrap interval, sentences drawn. *Shape:* both (n_arcs,)"""
    _, groups = np.unique(sentence, return_inverse=True)
    counts = np.stack([np.bincount(groups, right), np.bincount(groups)], axis=1)
    bounds = interval(counts, lambda sums: sums[..., 0] / sums[..., 1])
    return {"accuracy": round(float(right.mean()), 4), "ci95": bounds}


def sentences() -> tuple[list[list[str]], list[list[str]]]:
    """Of every k-th document the first sentences, by turns for the two halves."""
    documents = [
        [[part for token in r["tokens"] for part in token.split("_") if part] for r in rows]
        for _, rows in groupby(records(SEMCOR), key=lambda record: record["doc"])
    ]
    chosen = documents[:: len(documents) // N_DOCUMENTS][:N_DOCUMENTS]
    halves: tuple[list[list[str]], list[list[str]]] = [], []
    for number, document in enumerate(chosen):
        fitting = [tokens for tokens in document if 3 < len(tokens) <= LONGEST]
        halves[number % 2].extend(fitting[:PER_DOCUMENT])
    return halves


def read(texts: Sequence[Sequence[str]], nlp: Any, settings: EncoderSettings) -> Half:
    """Parse, and look at attention and at the vectors of every layer."""
    encoder = shared_encoder(settings)
    docs = list(nlp.pipe(Doc(nlp.vocab, words=list(tokens)) for tokens in texts))
    arcs, follows = [], []
    for doc in progress(docs, "attention"):
        arcs.append(arcs_of(doc))
        most = most_attended(attention_map(encoder, doc.text, offsets_of(doc)))
        follows.append(followed(most, arcs[-1]))
    vectors = {
        layer: encoded(docs, shared_encoder(replace(settings, layers=(layer,))))
        for layer in progress(range(1, follows[0].shape[2] + 1), "layers")
    }
    return Half(docs, arcs, np.concatenate(follows), vectors)


def encoded(docs: Sequence[Doc], encoder: HuggingFaceEncoder) -> list[Floats2d]:
    """*Shape:* of each Doc (n_tokens, width)"""
    out: list[Floats2d] = []
    for first in range(0, len(docs), 128):
        part = docs[first : first + 128]
        out += encoder.encode([doc.text for doc in part], [offsets_of(doc) for doc in part])
    return out


# -- heads and offsets ---------------------------------------------------------------------------


def best_heads(half: Half, label: str) -> list[Result]:
    """The three heads that follow a relation best, with direction."""
    shares = half.follows[half.labels == label].mean(axis=0)
    best = np.argsort(-shares, axis=None, kind="stable")[:3]
    places = zip(*np.unravel_index(best, shares.shape), strict=True)
    return [
        {"direction": DIRECTIONS[int(d)], "layer": int(layer) + 1, "head": int(head) + 1}
        for d, layer, head in places
    ]


def head_right(half: Half, label: str, head: Result) -> Bools1d:
    """*Shape:* (n_arcs of the label,)"""
    direction = DIRECTIONS.index(head["direction"])
    layer, number = head["layer"] - 1, head["head"] - 1
    right: Bools1d = half.follows[half.labels == label, direction, layer, number]
    return right


def distances(half: Half, label: str | None) -> NDArray[np.int64]:
    """From dependent to head, in tokens. *Shape:* (n_arcs of the label,)"""
    return np.array(
        [
            arc.head - arc.dependent
            for arcs in half.arcs
            for arc in arcs
            if label in (None, arc.label)
        ]
    )


def best_offset(half: Half, label: str | None) -> int:
    counts = Counter(distances(half, label).tolist())
    return max(OFFSETS, key=lambda offset: counts[offset])


# -- chunks --------------------------------------------------------------------------------------


def chunk_heads(doc: Doc) -> dict[int, int]:
    """The heads that the noun phrases of a Doc tell."""
    heads: dict[int, int] = {}
    for span in sorted((s for s in doc.spans["chunks"] if s.label_ == "NP"), key=len):
        last = span.end - 1
        for token in span[:-1]:
            heads.setdefault(token.i, last)
        if span.start > 0 and doc[span.start - 1].tag_ in ("IN", "TO"):
            heads.setdefault(last, span.start - 1)
    return heads


def chunks_right(half: Half, label: str) -> Bools1d:
    """*Shape:* (n_arcs of the label,)"""
    out = []
    for doc, arcs in zip(half.docs, half.arcs, strict=True):
        heads = chunk_heads(doc)
        out += [heads.get(arc.dependent) == arc.head for arc in arcs if arc.label == label]
    return np.array(out, dtype=bool)


# -- the probe -----------------------------------------------------------------------------------


class Probe(torch.nn.Module):
    """How well a word goes with each other one as its head; see the module."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dependent = torch.nn.Linear(width, WIDTH)
        self.head = torch.nn.Linear(width, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """*Shape:* (n_tokens, width) -> (n_tokens, n_tokens), from dependent, to head"""
        scores: torch.Tensor = self.dependent(x) @ self.head(x).T
        return scores.fill_diagonal_(float("-inf"))


def train_probe(half: Half, layer: int, places: Iterable[int]) -> Probe:
    """Train on the sentences at these places."""
    torch.manual_seed(SEED)
    vectors = half.vectors[layer]
    probe = Probe(vectors[0].shape[1])
    optimizer = torch.optim.AdamW(probe.parameters(), lr=2e-3, weight_decay=0.01)
    rows = [i for i in places if half.arcs[i]]
    order = np.random.default_rng(SEED)
    for _ in progress(range(EPOCHS), "probe"):
        for part in np.array_split(order.permutation(rows), len(rows) // BATCH):
            losses = []
            for i in part:
                scores = probe(torch.from_numpy(vectors[i]))
                dependents = [arc.dependent for arc in half.arcs[i]]
                heads = torch.tensor([arc.head for arc in half.arcs[i]])
                losses.append(torch.nn.functional.cross_entropy(scores[dependents], heads))
            optimizer.zero_grad()
            torch.stack(losses).mean().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return probe


@torch.inference_mode()
def probe_right(probe: Probe, half: Half, layer: int, places: Iterable[int]) -> Bools1d:
    """*Shape:* (n_arcs of the sentences at these places,)"""
    out = []
    for i in places:
        best = probe(torch.from_numpy(half.vectors[layer][i])).argmax(-1)
        out += [int(best[arc.dependent]) == arc.head for arc in half.arcs[i]]
    return np.array(out, dtype=bool)


def best_layer(half: Half) -> tuple[int, dict[int, float]]:
    """The layer whose probe is best on the last quarter, and how good each one is there."""
    n = len(half.docs)
    train, check = range(3 * n // 4), range(3 * n // 4, n)
    shares = {}
    for layer in half.vectors:
        probe = train_probe(half, layer, train)
        shares[layer] = round(float(probe_right(probe, half, layer, check).mean()), 4)
    return max(shares, key=shares.__getitem__), shares


def pairs(half: Half, layer: int) -> Floats2d:
    """*Shape:* (n_arcs, 2 width)"""
    return np.concatenate(
        [
            np.hstack([v[[a.dependent for a in arcs]], v[[a.head for a in arcs]]])
            for v, arcs in zip(half.vectors[layer], half.arcs, strict=True)
        ]
    )


def labels_right(first: Half, second: Half, layer: int) -> Bools1d:
    """Labels by logistic regression. *Shape:* (n_arcs of the second half,)"""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1.0, max_iter=60, tol=1e-3)
    model.fit(pairs(first, layer), first.labels)
    return np.asarray(model.predict(pairs(second, layer)) == second.labels)


# -- all together --------------------------------------------------------------------------------


def measure(first: Half, second: Half) -> Result:
    """Everything by relation, the most frequent first, and over all."""
    read_layer, by_layer = best_layer(first)
    trained = train_probe(first, read_layer, range(len(first.docs)))
    probe = probe_right(trained, second, read_layer, range(len(second.docs)))
    named = labels_right(first, second, read_layer)
    labels, sentence = second.labels, second.sentences
    rows = []
    inside = [np.zeros(len(labels), dtype=bool) for _ in range(3)]  # of phrases: where, by whom
    for label, n in Counter(labels.tolist()).most_common():
        if n < LEAST or (first.labels == label).sum() < LEAST:
            continue
        of_label = labels == label
        told = partial(accuracy, sentence=sentence[of_label])
        offset = best_offset(first, label)
        heads = best_heads(first, label)
        by_heads = [head_right(second, label, head) for head in heads]
        chunks = chunks_right(second, label)
        is_inside = chunks.mean() > 0.05
        if is_inside:
            for all_arcs, found in zip(inside, (True, chunks, by_heads[0]), strict=True):
                all_arcs[of_label] = found
        rows.append(
            {
                "relation": label,
                "n": n,
                "best": {**heads[0], **told(by_heads[0])},
                "next": [
                    {**head, **told(right)}
                    for head, right in zip(heads[1:], by_heads[1:], strict=True)
                ],
                "offset": {"offset": offset, **told(distances(second, label) == offset)},
                "chunks": told(chunks) if is_inside else None,
                "probe": told(probe[of_label]),
                "label": told(named[of_label]),
            }
        )
    there, by_chunks, by_best = inside
    told = partial(accuracy, sentence=sentence)
    return {
        "relations": rows,
        "inside_phrases": {
            "n": int(there.sum()),
            "chunks": accuracy(by_chunks[there], sentence[there]),
            "best": accuracy(by_best[there], sentence[there]),
        },
        "all": {
            **baselines(first, second),
            "probe": {"layer": read_layer, "chosen_by": by_layer, **told(probe)},
            "probe_and_label": told(probe & named),
            "label": told(named),
        },
    }


def baselines(first: Half, second: Half) -> Result:
    """Of all arcs: one head, one distance, one label for all, chosen on the first half."""
    told = partial(accuracy, sentence=second.sentences)
    offset = best_offset(first, None)
    up = first.follows[:, 0].mean(axis=0)
    layer, head = np.unravel_index(up.argmax(), up.shape)
    right = second.follows[:, 0, layer, head]
    most_frequent = Counter(first.labels.tolist()).most_common(1)[0][0]
    return {
        "n": len(second.labels),
        "head": {"layer": int(layer) + 1, "head": int(head) + 1, **told(right)},
        "offset": {"offset": offset, **told(distances(second, None) == offset)},
        "most_frequent_label": told(second.labels == most_frequent),
    }


def write_known(relations: Sequence[Result], path: Path) -> None:
    """What :func:`spacy_attn.explain.syntax.known_heads` reads."""
    rows = {
        row["relation"]: [
            row["best"]["layer"],
            row["best"]["head"],
            row["best"]["direction"] == DIRECTIONS[0],
            row["best"]["accuracy"],
        ]
        for row in relations
    }
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


def main() -> None:
    need(SEMCOR, "SemCor")
    given = [each for each in sys.argv[1:] if each != "--quick"]
    if len(given) > 1:
        raise SystemExit(f"{' '.join(given)}: give one MODEL at a time")
    settings = EncoderSettings(given[0]) if given else EncoderSettings()
    nlp = small_pipeline("ner", "lemmatizer")
    nlp.add_pipe("nltk_chunker")
    part = slice(None, None, 20 if is_quick() else 1)
    first, second = (read(half[part], nlp, settings) for half in sentences())
    result = {
        "encoder": settings.model,
        "n_sentences": [len(first.docs), len(second.docs)],
        "n_heads": list(first.follows.shape[2:]),
        **measure(first, second),
    }
    name = f"heads-{Path(settings.model).name}" if given else "heads"
    if not is_quick():
        known = ROOT / "build" / f"{name}.json" if given else KNOWN_HEADS
        write_known(result["relations"], known)
        print(known)
    model = f"{nlp.meta['name']} {nlp.meta['version']}"
    publish(name, result, f".heads {' '.join(given)}".rstrip(), [SEMCOR], pipeline=model)


if __name__ == "__main__":
    run_command(main, __doc__, None)
