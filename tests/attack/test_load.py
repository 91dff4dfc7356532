"""Threads, event loops, many pipelines, odd environments: the answers of a quiet process."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import spacy

import spacy_attn
from spacy_attn.models import DEFAULT_ENCODER, locate, resolve_pipeline
from tests.attack.conftest import SEED
from tests.attack.generate import texts

ROOT = Path(spacy_attn.__path__[0]).parent
ANSWERS = """
import json, os, sys
import spacy, torch
if "float64" in sys.argv:
    torch.set_default_dtype(torch.float64)
from spacy_attn.models import resolve_pipeline
nlp = spacy.load(resolve_pipeline(None))
for name in ("nltk_stemmer", "nltk_chunker", "relation_extractor", "attention_encoder"):
    nlp.add_pipe(name)
nlp.add_pipe("sense_disambiguator", config={"method": "cascade"})
nlp("The bat flew.")  # oneMKL itself ends a process that begins in a folder that is gone
if "gone" in sys.argv:
    os.mkdir("gone")
    os.chdir("gone")
    os.rmdir(os.getcwd())
out = []
texts = ["Swing the bat!", "The bat flew at night.", "He keeps money in the bank. \\u00e9"]
for doc in nlp.pipe(texts):
    out.append([[s.kb_id_, round(s._.sense.score, 3)] for s in doc.spans["senses"]])
    out.append([t._.stem for t in doc] + [s.text for s in doc.spans["chunks"]])
    out.append(round(float(abs(doc._.attn_vectors).sum()), 1))
print(json.dumps(out))
"""


@pytest.fixture(scope="module")
def nlp():
    if resolve_pipeline(None) is None or locate(DEFAULT_ENCODER, "encoder") is None:
        pytest.skip("the extra [models] is not installed")
    nlp = spacy.load(resolve_pipeline(None), exclude=["ner", "parser"])
    nlp.add_pipe("sense_disambiguator")
    return nlp


def senses(doc):
    return [(span.start, span.kb_id_, round(span._.sense.score, 2)) for span in doc.spans["senses"]]


def run(folder, *arguments, flags=(), **changes):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SPACY_ATTN_CACHE": str(folder / "cache")}
    for name, value in changes.items():
        environment.pop(name, None)
        if value is not None:
            environment[name] = value
    made = subprocess.run(
        [sys.executable, *flags, "-c", ANSWERS, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    return made.stdout.strip() or made.stderr[-1500:]


def test_odd_environments(nlp, tally, tmp_path):
    (tmp_path / "a-file").touch()
    quiet = run(tmp_path)
    assert len(json.loads(quiet)) == 9
    none = {"HOME": None, "XDG_CACHE_HOME": None, "SPACY_ATTN_CACHE": None}
    for kind, answer in {
        "one thread": run(tmp_path, OMP_NUM_THREADS="1"),
        "four threads": run(tmp_path, OMP_NUM_THREADS="4"),
        "LANG=C": run(tmp_path, LANG="C", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0"),
        "no HOME": run(tmp_path, **none),
        "cache cannot be made": run(tmp_path, SPACY_ATTN_CACHE=str(tmp_path / "a-file" / "x")),
        "cache is a file": run(tmp_path, SPACY_ATTN_CACHE=str(tmp_path / "a-file")),
        "read-only cache": run(tmp_path, SPACY_ATTN_CACHE="/proc/1/spacy_attn"),
        "working folder gone": run(tmp_path, "gone"),
        "python -O": run(tmp_path, flags=["-O"]),
        "python -OO -I": run(tmp_path, flags=["-OO"]),
        "default type float64": run(tmp_path, "float64"),
        "no offline variables": run(tmp_path, HF_HUB_OFFLINE=None, TOKENIZERS_PARALLELISM=None),
    }.items():
        tally.check(f"environment: {kind}", answer == quiet, answer)


def test_threads_share_a_pipeline(nlp, size, tally):
    given = list(texts(SEED + 2, max(40, min(400, size // 20))))
    expected = [senses(nlp(text)) for text in given]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda text: senses(nlp(text)), given))
    for text, one, other in zip(given, expected, answers, strict=True):
        tally.check("threads", one == other, repr(text[:80]))


def test_an_event_loop(nlp, size, tally):
    given = list(texts(SEED + 3, max(40, min(400, size // 20))))
    expected = [senses(nlp(text)) for text in given]

    def answer(text):
        return senses(nlp(text))

    async def all_of_them():
        return await asyncio.gather(*(asyncio.to_thread(answer, text) for text in given))

    for text, one, other in zip(given, expected, asyncio.run(all_of_them()), strict=True):
        tally.check("event loop", one == other, repr(text[:80]))


def test_pipelines_that_are_dropped_leave_no_memory(nlp, tally):
    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    def load():
        made = spacy.load(resolve_pipeline(None), exclude=["ner", "parser"])
        made.add_pipe("attention_encoder")
        made.add_pipe("sense_disambiguator")
        return senses(made("Swing the bat!"))

    expected = load()
    for _ in range(4):
        load()
    gc.collect()
    before = resident()
    for _ in range(20):
        tally.check("pipelines loaded and dropped", load() == expected)
    gc.collect()
    grown = (resident() - before) / 2**20
    tally.check("memory of 20 dropped pipelines", grown < 250, f"{grown:.0f} MB")
