"""A toy pipeline for jobs: every "bat" is an animal, "explode" fails, "die" kills its process.

At "wait" it makes a file ``waiting`` and waits to be interrupted.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import spacy
from spacy.language import Language
from spacy.tokens import Span, SpanGroup

from spacy_attn.errors import ConfigError
from spacy_attn.jobs import Annotator


@Language.component("jobs_toy")
def toy(doc):
    if "explode" in doc.text:
        raise ValueError("boom")
    if "die" in doc.text:
        os.kill(os.getpid(), signal.SIGKILL)
    if doc.text == "wait":
        Path("waiting").touch()
        time.sleep(120)
    records = [
        {
            "start": t.idx,
            "end": t.idx + 3,
            "lemma": "bat",
            "sense": "bat.animal",
            "score": 0.5,
            "method": "toy",
        }
        for t in doc
        if t.text == "bat"
    ]
    spans = [Span(doc, t.i, t.i + 1, kb_id="bat.animal") for t in doc if t.text == "bat"]
    doc.spans["senses"] = SpanGroup(doc, name="senses", spans=spans, attrs={"records": records})
    return doc


def make_toy(pipeline, *, inventory, method):
    nlp = spacy.blank("en")
    nlp.add_pipe("jobs_toy")
    return nlp


def refuse(pipeline, *, inventory, method):
    raise ConfigError("no such pipeline: name another")


TOY = Annotator(factory=make_toy)


def sense(start):
    return {
        "start": start,
        "end": start + 3,
        "text": "bat",
        "lemma": "bat",
        "sense": "bat.animal",
        "score": 0.5,
    }


SENSES = [sense(0)]
