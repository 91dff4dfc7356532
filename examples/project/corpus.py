"""topics.jsonl as DocBins: topics in ``doc.cats``, gold senses in ``doc.spans``."""

import json
import sys
from pathlib import Path

import spacy
from spacy.tokens import DocBin

nlp = spacy.blank("en")
lines = Path("topics.jsonl").read_text(encoding="utf-8").splitlines()
for name, chosen in (("train", lines[:8]), ("test", lines[8:])):
    docs = DocBin()
    for record in map(json.loads, chosen):
        doc = nlp.make_doc(record["text"])
        doc.cats = {topic: float(topic == record["topic"]) for topic in ("nature", "sport")}
        start = record["text"].index(record["word"])
        end = start + len(record["word"])
        doc.spans["senses"] = [doc.char_span(start, end, kb_id=record["sense"])]
        docs.add(doc)
    docs.to_disk(Path(sys.argv[1]) / f"{name}.spacy")
