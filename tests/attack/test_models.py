"""Crafted models, inventories, grammars, vectors and XML: a sentence, or numbers that are some."""

from __future__ import annotations

import gzip
import json
import pickle
import random
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import spacy

from spacy_attn.classic.parse import GrammarParser
from spacy_attn.classic.vectors import load_vectors, save_vectors
from spacy_attn.compare.dataset import read_keys, read_raganato
from spacy_attn.encoder.huggingface import HuggingFaceEncoder
from spacy_attn.encoder.lemmatizer import read_lemmatizer
from spacy_attn.encoder.static_network import read_model
from spacy_attn.errors import SpacyAttnError
from spacy_attn.settings import EncoderSettings
from spacy_attn.wsd.inventory.jsonl import load_inventory
from spacy_attn.wsd.methods.self_attention import PrototypeHead
from spacy_attn.wsd.methods.sense_head import SenseHead
from tests.attack.conftest import SEED
from tests.attack.generate import damaged
from tests.conftest import TOY_SENSES, WORDS


def tried(tally, kind, number, use):
    """Count whether a use ends well, or with an error of ours."""
    try:
        good = use()
    except SpacyAttnError as error:
        good = bool(str(error)) and "\n" not in str(error)
    except BaseException as error:
        tally.check(kind, False, f"number {number}: {type(error).__name__}: {error}")
        return
    tally.check(kind, good is not False, f"number {number}")


def shared(size, least):
    """How many models of a kind are tried at this size."""
    return min(10_000, max(least, size // 10))


def test_damaged_models(
    size, tally, tmp_path, toy_model, toy_sense_model, toy_self_attention, toy_lemmatizer
):
    """Each file of a model after an accident, headers more often than weights."""

    def encode(folder):
        encoder = HuggingFaceEncoder(EncoderSettings(str(folder), window=64, overlap=16))
        (vectors,) = encoder.encode(["the bat flew"], [[(0, 3), (4, 7), (8, 12)]])
        return np.isfinite(vectors).all()

    names = ("model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json")
    for number in range(shared(size, 40)):
        rng = random.Random(f"{SEED}/{number}")  # noqa: S311
        folder = shutil.copytree(toy_model, tmp_path / "model")
        path = folder / names[number % len(names)]
        path.write_bytes(changed(path.read_bytes(), rng))
        tried(tally, f"encoder, {path.name}", number, lambda: encode(folder))  # noqa: B023
        shutil.rmtree(folder)
        for kind, whole, read in (
            ("sense model", toy_sense_model, SenseHead.load),
            ("self-attention model", toy_self_attention, lambda path: read_model(path)[0]),
            ("self-attention head", toy_self_attention, PrototypeHead.load),
            ("lemmatizer", toy_lemmatizer, read_lemmatizer),
        ):
            path = tmp_path / f"{number}.safetensors"
            path.write_bytes(changed(whole.read_bytes(), rng))
            tried(tally, kind, number, lambda: read(path) is not None)  # noqa: B023
            path.unlink()


def changed(data, rng):
    """Bytes after an accident; of a long file mostly near its beginning."""
    if len(data) > 3000 and rng.random() < 0.7:
        return damaged(data[:2000], rng) + data[2000:]
    return damaged(data, rng)


def test_damaged_vectors(size, tally, tmp_path):
    rows = np.random.default_rng(SEED).normal(size=(len(WORDS), 4)).astype(np.float32)
    folder = save_vectors(tmp_path / "vectors", WORDS, rows)
    text = "".join(f"{w} {' '.join(map(str, row))}\n" for w, row in zip(WORDS, rows, strict=True))
    for number in range(shared(size, 40)):
        rng = random.Random(f"{SEED}/{number}")  # noqa: S311
        copy = shutil.copytree(folder, tmp_path / "copy")
        path = rng.choice(sorted(copy.iterdir()))
        path.write_bytes(damaged(path.read_bytes(), rng))
        tried(tally, f"vectors, {path.name}", number, lambda: looked_up(copy))  # noqa: B023
        shutil.rmtree(copy)
        path = tmp_path / f"v.{rng.choice(['txt', 'vec', 'bin', 'kv', 'txt.gz'])}"
        path.write_bytes(damaged(text.encode(), rng))
        tried(tally, f"vectors, {path.suffix}", number, lambda: looked_up(path))  # noqa: B023
        path.unlink()


def looked_up(path):
    found = load_vectors(path).vectors([*WORDS, "", "no such word", "\0"])
    return bool(np.isfinite(found).all())


class Runs:
    """A pickle of it makes a file when it is loaded."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def test_pickles_are_not_run(tally, tmp_path):
    trace = tmp_path / "it ran"
    arrays = np.array([Runs(trace)], dtype=object)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        data = pickle.dumps(Runs(trace), protocol=protocol)
        for name in ("v.kv", "v.bin", "v.txt", "v.model", "v.kv.gz"):
            (tmp_path / name).write_bytes(data)
            tried(tally, "pickles", f"{protocol} {name}", lambda: load_vectors(tmp_path / name))  # noqa: B023
            tally.check("pickles that ran", not trace.exists(), f"{protocol} {name}")
    np.save(tmp_path / "o.npy", arrays, allow_pickle=True)
    folder = save_vectors(tmp_path / "vectors", ["a"], np.ones((1, 2)))
    for path in sorted(folder.glob("*.npy")):
        kept = path.read_bytes()
        path.write_bytes((tmp_path / "o.npy").read_bytes())
        tried(tally, "pickles", path.name, lambda: looked_up(folder))
        path.write_bytes(kept)
        tally.check("pickles that ran", not trace.exists(), path.name)


# -- inventories ----------------------------------------------------------------------------------


def write(path, senses):
    path.write_text("".join(json.dumps(sense) + "\n" for sense in senses), encoding="utf-8")
    return path


def pipeline(path, method="lesk"):
    nlp = spacy.blank("en")
    nlp.add_pipe("sense_disambiguator", config={"inventory": str(path), "method": method})
    return nlp


def sense(lemma, number, **more):
    return {
        "lemma": lemma,
        "pos": "NOUN",
        "sense": f"s.{number}",
        "definition": f"number {number}",
    } | more


def test_many_senses(size, tally, tmp_path):
    """100,000 senses of 50,000 words are read in seconds, and each word is found."""
    n = 100_000 if size >= 100_000 else 20_000
    path = write(tmp_path / "many.jsonl", (sense(f"word{i // 2}", i) for i in range(n)))
    nlp = pipeline(path, "first_sense")
    for i in range(0, n, n // 100):
        doc = nlp(f"a word{i // 2} here")
        (span,) = doc.spans["senses"]
        tally.check("a word of many", span.kb_id_ == f"s.{i // 2 * 2}", i)


@pytest.mark.parametrize("method", ["first_sense", "lesk"])
def test_many_senses_of_one_word(tally, tmp_path, method):
    nlp = pipeline(write(tmp_path / "many.jsonl", (sense("bat", i) for i in range(5000))), method)
    doc = nlp("a bat with number 77 and a bat with number 78 " * 20)
    for span in doc.spans["senses"]:
        tally.check("ranked senses", len(span._.sense.ranked) == 100)
    stored = len(doc.to_bytes()) / len(doc.spans["senses"])
    tally.check("bytes of an occurrence", stored < 5000, stored)


SPECIAL = (
    "a.*b",
    "(",
    "[bat]",
    "\\d+",
    "%s",
    "{0}",
    "../../etc",
    "__proto__",
    "$1",
    "^",
    "c++",
    "a|b",
    "'",
    '"',
    "<b>",
    "&amp;",
    "-",
    "_",
    "*",
    "?",
    "a\tb",
    "\u200d",
    "İ",
    "ß",
    "ﬁ",
    "𝐛𝐚𝐭",
    "🦇",
    "👩‍🚀",
    "e\u0301",
    "中文",
    "\u202e",
)


def test_special_characters_in_lemmas_and_forms(size, tally, tmp_path):
    path = tmp_path / "special.jsonl"
    for number in range(shared(size, 100)):
        rng = random.Random(f"{SEED}/{number}")  # noqa: S311
        lemma = rng.choice(["", " "]).join(rng.choices(SPECIAL, k=rng.randint(1, 4)))
        forms = rng.choices(SPECIAL, k=rng.randint(0, 3))
        senses = [sense(lemma, 1, forms=forms), sense(lemma, 2), sense(rng.choice(SPECIAL), 3)]

        def use(senses=senses, texts=(lemma, *forms, "a bat")):
            nlp = pipeline(write(path, senses))
            docs = list(nlp.pipe([f"see {text} and {text}." for text in texts]))
            return all(
                doc.text[s.start_char : s.end_char] == s.text
                for doc in docs
                for s in doc.spans["senses"]
            )

        tried(tally, "special characters", number, use)


def test_damaged_inventories(size, tally, tmp_path):
    path, good = tmp_path / "senses.jsonl", "".join(json.dumps(s) + "\n" for s in TOY_SENSES)
    for number in range(shared(size, 200)):
        rng = random.Random(f"{SEED}/{number}")  # noqa: S311
        path.write_bytes(damaged(good.encode(), rng))
        tried(tally, "damaged inventories", number, lambda: load_inventory(path, "en").digest)


# -- grammars and XML -----------------------------------------------------------------------------

GRAMMARS = (
    "S -> S S | 'a'",
    "S -> S S S S | 'a' | S",
    "S -> A S B | 'a'\nA -> S | \nB -> S | ",
    "S -> S S [0.4] | S S S [0.2] | 'a' [0.4]",
    "S -> A A A A A A A A\nA -> A A | 'a' | ",
)


@pytest.mark.parametrize("n", [20, 200, 2000])
def test_exponential_grammars_end_in_time(tally, n):
    for grammar in GRAMMARS:
        parser = GrammarParser(grammar, max_seconds=1.0, max_edges=10**9)
        start = time.perf_counter()
        status = parser.parse(["a"] * n).status
        seconds = time.perf_counter() - start
        # Generous: the machine may be busy. Without limits they would take years.
        tally.check("exponential grammars", seconds < 30, f"{grammar!r} {n} {status} {seconds:.1f}")


ENTITIES = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10 if i else "x" * 1000}">' for i in range(12))
SENTENCE = '<sentence id="s"><wf lemma="the" pos="DET">the</wf>\
<instance id="d.t0" lemma="bat" pos="NOUN">bat</instance>{0}</sentence>'
HOSTILE_XML = (
    f"<!DOCTYPE c [{ENTITIES}]><corpus><text id='d'>{SENTENCE.format('&a11;')}</text></corpus>",
    "<!DOCTYPE c [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><corpus>&e;</corpus>",
    "<!DOCTYPE c [<!ENTITY % e SYSTEM 'http://127.0.0.1:9/x'> %e;]><corpus/>",
    '<?xml version="1.0" encoding="evil"?><corpus/>',
    '<?xml version="1.0" encoding="utf-7"?><corpus/>',
    "<corpus>" * 100_000,
    "",
    "\0",
    "<",
)


def test_hostile_and_damaged_xml(size, tally, tmp_path):
    path, packed = tmp_path / "x.data.xml", tmp_path / "x.data.xml.gz"
    keys = tmp_path / "y.gold.key.txt.gz"
    (tmp_path / "x.gold.key.txt").write_text("d.t0 bat%1:05:00::\n")
    good = f"<corpus><text id='d'>{SENTENCE.format('') * 3}</text></corpus>"
    for number, text in enumerate(HOSTILE_XML):
        path.write_text(text)
        tried(tally, "hostile XML", number, lambda: [*read_raganato(path)] == [])
    for number in range(shared(size, 100)):
        rng = random.Random(f"{SEED}/{number}")  # noqa: S311
        path.write_bytes(damaged(good.encode(), rng))
        tried(tally, "damaged XML", number, lambda: len([*read_raganato(path)]) >= 0)
        packed.write_bytes(damaged(gzip.compress(good.encode()), rng))
        tried(tally, "damaged XML, .gz", number, lambda: len([*read_raganato(packed)]) >= 0)
        keys.write_bytes(damaged(gzip.compress(b"d.t0 bat%1:05:00::\n" * 20), rng))
        tried(tally, "damaged keys, .gz", number, lambda: len(read_keys(keys)) >= 0)
