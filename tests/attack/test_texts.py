"""Generated texts through all components: no crash, and no text changes another one's answers."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import spacy
from spacy.tokens import DocBin

from spacy_attn.models import DEFAULT_ENCODER, locate, resolve_pipeline
from tests.attack.conftest import SEED
from tests.attack.generate import KINDS, texts

BATCH = 128
ALONE = 8  # each so many texts goes through alone, too
NEAR = 1e-4


@pytest.fixture(scope="module")
def everything():
    """A pipeline with all that this package can write about a text without a user's files."""
    if resolve_pipeline(None) is None or locate(DEFAULT_ENCODER, "encoder") is None:
        pytest.skip("the extra [models] is not installed")
    nlp = spacy.load(resolve_pipeline(None), exclude=["ner"])
    for name in ("nltk_stemmer", "nltk_chunker", "relation_extractor", "attention_encoder"):
        nlp.add_pipe(name)
    nlp.add_pipe("sense_disambiguator")
    return nlp


@pytest.fixture(scope="module")
def all_words():
    """All words with senses of WordNet."""
    if resolve_pipeline(None) is None or locate(DEFAULT_ENCODER, "encoder") is None:
        pytest.skip("the extra [models] is not installed")
    nlp = spacy.load(resolve_pipeline(None), exclude=["ner", "parser"])
    nlp.add_pipe("sense_disambiguator", config={"inventory": "wordnet"})
    return nlp


def written(doc):
    """All that our components wrote, as plain data; vectors apart."""
    out = {"senses": [], "ids": []}
    for span in doc.spans["senses"]:
        sense = span._.sense
        out["ids"].append((span.start_char, span.end_char, sense.id, sense.lemma, sense.method))
        out["senses"].append((sense.score, sense.margin, *(p for _, p in sense.ranked)))
    if "chunks" in doc.spans:  # of the pipeline with everything
        out["stems"] = [token._.stem for token in doc]
        out["chunks"] = [(s.start_char, s.end_char, s.label_) for s in doc.spans["chunks"]]
        out["relations"] = [
            (r.subject, r.relation, r.object, r.negated, r.pattern) for r in doc._.relations
        ]
    return out


def same(one, other):
    """Whether two readings are one; two senses that are as good as equal may change places."""
    rest = [key for key in one if key not in ("senses", "ids")]
    if any(one[key] != other[key] for key in rest) or len(one["ids"]) != len(other["ids"]):
        return False
    for a, b, x, y in zip(one["ids"], other["ids"], one["senses"], other["senses"], strict=True):
        if not np.allclose(x, y, atol=1e-3) or (a != b and x[1] > 1e-3):
            return False
    return True


def wrong(doc, text):
    """What is wrong with a Doc, or nothing."""
    if doc.text != text:
        return "another text"
    for key in ("senses", "chunks"):
        for span in doc.spans.get(key, ()):
            if text[span.start_char : span.end_char] != span.text:
                return f"{key}: offsets of {span.text!r}"
    for span in doc.spans["senses"]:
        sense = span._.sense
        if sense is None or not span.kb_id_:
            return "a span without a sense"
        if not 0.0 <= sense.score <= 1.0 or not math.isfinite(sense.margin):
            return f"score {sense.score}"
        if any(token._.sense is None for token in span):
            return "a token of a span without a sense"
    if "chunks" in doc.spans:
        vectors = doc._.attn_vectors
        if len(vectors) != len(doc) or not np.isfinite(vectors).all():
            return "vectors"
    return None


def attack(nlp, tally, name, n, first=0):
    kinds = list(KINDS)
    numbered = itertools.islice(enumerate(texts(SEED, n)), first, None)
    while some := list(itertools.islice(numbered, BATCH)):
        given = [text for _, text in some]
        try:
            docs = list(nlp.pipe(given, batch_size=BATCH))
        except Exception as error:
            tally.check(f"{name}: texts", False, f"numbers {some[0][0]} and on: {error!r}")
            continue
        packed = DocBin(docs=docs, store_user_data=True).to_bytes()
        again = list(DocBin().from_bytes(packed).get_docs(nlp.vocab))
        for i, ((number, text), doc) in enumerate(zip(some, docs, strict=True)):
            what = f"number {number} ({kinds[number % len(kinds)]}): {text[:80]!r}"
            fault = wrong(doc, text)
            tally.check(f"{name}: texts", fault is None, f"{fault}, {what}")
            mine = written(doc)
            kept = written(again[i]) == mine and again[i].text == text
            tally.check(f"{name}: DocBin", kept, what)
            if i % ALONE == 0:
                alone = nlp(text)
                tally.check(f"{name}: alone as in a batch", same(written(alone), mine), what)
                if "chunks" in doc.spans:
                    gap = np.abs(alone._.attn_vectors - doc._.attn_vectors).max(initial=0)
                    tally.check(f"{name}: vectors alone", gap < NEAR, f"{gap} {what}")


def test_all_components(everything, size, tally):
    attack(everything, tally, "all components", size)


def test_all_words(all_words, size, tally):
    attack(all_words, tally, "WordNet", max(100, size // 20))


def test_two_processes_are_one(everything, size, tally):
    given = list(texts(SEED + 1, max(100, min(2000, size // 10))))
    docs = list(everything.pipe(given, batch_size=32))
    others = everything.pipe(given, batch_size=32, n_process=2)
    for text, doc, other in zip(given, docs, others, strict=True):
        good = other.text == text and same(written(other), written(doc))
        tally.check("two processes", good, repr(text[:80]))
