"""NLTK's grammar beside attention heads: who is the head of each word in short sentences?

    python -m benchmarks.grammar    # results/grammar.json, five minutes
    python -m benchmarks.grammar --quick    # a tenth of the sentences, writes nothing

The PCFG is read off spaCy's parse of the first half of :mod:`benchmarks.heads`: a word takes its
dependents on the right from the nearest outwards, then those on the left, each word by its tag::

    S -> L_h        L_h -> R_h | L_x L_h        R_h -> 'h' | R_h L_x

Productions are counted, those that are seen once left out. ``nltk_parser`` finds the most probable
tree of each sentence of the second half with at most LONGEST tokens; a sentence without a tree has
all its arcs wrong. On the same arcs: the best fixed offset, the probe of :mod:`benchmarks.heads`
(trained on all of the first half, in the layer that was chosen there), and for each relation the
head of attention that is known for it. Grammar and probe are not told the relation; heads are.

Words a second are of processor time, of which a busy machine takes none away: from the tags to the
trees, and from the words to the heads of the probe.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import spacy
from nltk import Tree
from spacy.tokens import Doc

from benchmarks.common import (
    SEMCOR,
    Result,
    is_quick,
    load,
    need,
    progress,
    publish,
    run_command,
    small_pipeline,
)
from benchmarks.heads import (
    OFFSETS,
    Half,
    accuracy,
    encoded,
    probe_right,
    sentences,
    train_probe,
)
from spacy_attn.encoder.huggingface import shared_encoder
from spacy_attn.explain.syntax import Arc, arcs_of, known_heads, syntax_of
from spacy_attn.settings import EncoderSettings

LONGEST = 12  # tokens of a sentence: NLTK's parser takes the cube of it
LEAST = 2  # times that a production is seen
SECONDS = 120.0  # for a sentence; most need less than one


# -- the grammar ---------------------------------------------------------------------------------


def productions(doc: Doc) -> Iterator[tuple[str, str]]:
    """Left and right side of the productions of a parsed Doc; crossing arcs are passed over."""
    for token in doc:
        tag = token.tag_
        if token.head.i == token.i:
            yield "S", f"L:{tag}"
        yield f"R:{tag}", f"'{tag}"
        for child in token.rights:
            yield f"R:{tag}", f"R:{tag} L:{child.tag_}"
        yield f"L:{tag}", f"R:{tag}"
        for child in token.lefts:
            yield f"L:{tag}", f"L:{child.tag_} L:{tag}"


def grammar_of(docs: Sequence[Doc]) -> str:
    """A PCFG as NLTK reads it."""
    seen = Counter(each for doc in docs for each in productions(doc))
    kept = {each: n for each, n in seen.items() if n >= LEAST}
    total: Counter[str] = Counter()
    for (left, _), n in kept.items():
        total[left] += n
    names = {left: f"N{i}" for i, left in enumerate(sorted(total))} | {"S": "S"}
    lines = []
    for (left, right), n in sorted(kept.items(), key=lambda item: item[0][0] != "S"):
        if right.startswith("'"):
            sides = [f'"{right[1:]}"']
        else:
            sides = [names.get(each, "") for each in right.split(" ")]
        if all(sides):
            lines.append((names[left], " ".join(sides), n))
    sums: Counter[str] = Counter()
    for left, _, n in lines:
        sums[left] += n
    return "\n".join(f"{left} -> {right} [{n / sums[left]:.12f}]" for left, right, n in lines)


def heads_of(tree: Tree) -> dict[int, int]:
    """Dependent and head, by the number of the leaf."""
    heads: dict[int, int] = {}
    leaves = iter(range(len(tree.leaves())))

    def head(node: Any) -> int:
        if not isinstance(node, Tree):
            return next(leaves)
        parts = [head(child) for child in node]
        if len(parts) == 1:
            return parts[0]
        # The child of the same name goes on; the other one depends on it.
        goes_on = 0 if node[0].label() == node.label() else 1
        heads[parts[1 - goes_on]] = parts[goes_on]
        return parts[goes_on]

    head(tree)
    return heads


# -- who is right --------------------------------------------------------------------------------


def parsed_right(doc: Doc, arcs: Sequence[Arc]) -> list[bool]:
    """By the trees of a Doc's sentences."""
    heads: dict[int, int] = {}
    for sent in doc.sents:
        if sent._.parse_tree is not None:
            found = heads_of(Tree.fromstring(sent._.parse_tree))
            heads |= {sent.start + one: sent.start + other for one, other in found.items()}
    return [heads.get(arc.dependent) == arc.head for arc in arcs]


def attended_right(doc: Doc) -> list[bool]:
    """By the known heads of attention; a relation without one is wrong."""
    followed = {seen.arc: seen.follows for seen in syntax_of(doc, encoder=_encoder())}
    return [followed.get(arc, False) for arc in arcs_of(doc)]


def half_of(docs: Sequence[Doc], layer: int) -> Half:
    """Arcs, and the vectors of one layer."""
    encoder = shared_encoder(EncoderSettings(layers=(layer,)))
    nothing = np.zeros((0, 2, 0, 0), dtype=bool)
    return Half(
        list(docs), [arcs_of(doc) for doc in docs], nothing, {layer: encoded(docs, encoder)}
    )


def probed(train: Sequence[Doc], test: Sequence[Doc], layer: int) -> tuple[list[bool], float]:
    """What the probe finds, and the seconds of processor time of reading and finding."""
    probe = train_probe(half_of(train, layer), layer, range(len(train)))
    started = time.process_time()
    right = probe_right(probe, half_of(test, layer), layer, range(len(test)))
    return right.tolist(), time.process_time() - started


def _encoder() -> Any:
    return shared_encoder(EncoderSettings())


def main() -> None:
    import torch

    need(SEMCOR, "SemCor")
    torch.set_num_threads(1)
    nlp = small_pipeline("ner", "lemmatizer")
    first, second = sentences()
    short = [tokens for tokens in second if len(tokens) <= LONGEST]
    train, test = (
        [doc for doc in nlp.pipe(Doc(nlp.vocab, words=list(tokens)) for tokens in half)]
        for half in (
            first[::10] if is_quick() else first,
            short[::10] if is_quick() else short,
        )
    )
    grammar = grammar_of(train)
    offset = Counter(arc.head - arc.dependent for doc in train for arc in arcs_of(doc))
    best = max(OFFSETS, key=lambda each: offset[each])
    blank = spacy.blank("en", vocab=nlp.vocab)
    parser = blank.add_pipe(
        "nltk_parser",
        config={
            "grammar": grammar, "terminals": "tag", "max_seconds": SECONDS,
        },
    )  # fmt: skip
    right: dict[str, list[bool]] = {"grammar": [], "offset": [], "heads": []}
    known: list[bool] = []
    status: Counter[str] = Counter()
    parsing = 0.0
    for doc in progress(test, "sentences"):
        arcs = arcs_of(doc)
        started = time.process_time()
        parser(doc)
        parsing += time.process_time() - started
        status.update(sent._.parse_status for sent in doc.sents)
        right["grammar"] += parsed_right(doc, arcs)
        right["offset"] += [arc.head - arc.dependent == best for arc in arcs]
        right["heads"] += attended_right(doc)
        known += [arc.label in known_heads() for arc in arcs]
    right["probe"], probing = probed(train, test, load("heads")["all"]["probe"]["layer"])
    sentence = np.repeat(np.arange(len(test)), [len(arcs_of(doc)) for doc in test])
    rows = {name: accuracy(np.array(values), sentence) for name, values in right.items()}
    rows["offset"]["offset"] = best
    words = sum(map(len, test))
    result: Result = {
        "n": len(known),
        "n_sentences": len(test),
        "longest": LONGEST,
        "n_productions": len(grammar.splitlines()),
        "status": dict(status),
        "known_relations": round(float(np.mean(known)), 4),
        "words_per_second": {
            "grammar": round(words / parsing),
            "probe": round(words / probing),
        },
        "rows": rows,
    }
    model = f"{nlp.meta['name']} {nlp.meta['version']}"
    publish("grammar", result, ".grammar", [SEMCOR], pipeline=model)


if __name__ == "__main__":
    run_command(main, __doc__)
