"""Precision, recall and speed of ``relation_extractor`` on hand-written triples.

    python -m benchmarks.relations [FILE]

A triple is right when subject, relation and object are those of the file, word for word and
in any case; all triples of a sentence count, so one too many costs precision. A class counts
the sentences that have it, with all their triples. Everything that the parser gets wrong is
counted as it comes. The speed is that of running text (MASC), parsed beforehand, eight
sentences a text; beside it the speed of en_core_web_sm on the same texts in the same run.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from spacy.language import Language

from benchmarks.common import (
    MASC,
    ROOT,
    Result,
    joined,
    plain_texts,
    publish,
    run_command,
    seconds,
    small_pipeline,
)
from benchmarks.spans import Counts, fractions
from spacy_attn.classic.relations import BUNDLED

SENTENCES = ROOT / "tests" / "data" / "relations.test.jsonl"
N_SENTENCES, PER_TEXT, ROUNDS = 4000, 8, 3


@dataclass
class Score:
    """The counts of a file of sentences, whole and by class, and what went wrong.

    *Shape:* of each count (3,): right, found, gold
    """

    n_sentences: int = 0
    all: Counts = field(default_factory=lambda: np.zeros(3, dtype=np.int64))
    classes: dict[str, Counts] = field(
        default_factory=lambda: defaultdict(lambda: np.zeros(3, dtype=np.int64))
    )
    errors: list[str] = field(default_factory=list)

    def record(self) -> Result:
        """What the result holds."""
        classes = {name: _record(self.classes[name]) for name in sorted(self.classes)}
        return {"n_sentences": self.n_sentences, **_record(self.all), "classes": classes}


def _record(counts: Counts) -> Result:
    """Precision is 1 where nothing is found, and recall where nothing is wanted."""
    _, found, gold = counts.tolist()
    out = {**fractions(counts), "n": gold}
    nothing = {"precision": found == 0, "recall": gold == 0, "f1": found + gold == 0}
    return out | {name: 1.0 for name, is_nothing in nothing.items() if is_nothing}


def normal(triple: str) -> str:
    return " ".join(triple.lower().split())


def score(nlp: Language, path: Path) -> Score:
    """Compare ``doc._.relations`` with the triples of a file.

    Args:
        nlp: a pipeline with a relation_extractor of default attr.
        path: one sentence a line: text, classes, relations.
    """
    result = Score()
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        doc = nlp(record["text"])
        gold = {normal(triple) for triple in record["relations"]}
        found = {normal(relation.text(doc)) for relation in doc._.relations}
        result.n_sentences += 1
        counts = np.array([len(gold & found), len(found), len(gold)])
        result.all += counts
        for name in record["classes"]:
            result.classes[name] += counts
        if gold != found:
            missed = "".join(f"\n   missed: {triple}" for triple in sorted(gold - found))
            extra = "".join(f"\n   extra:  {triple}" for triple in sorted(found - gold))
            result.errors.append(record["text"] + missed + extra)
    return result


def speed(nlp: Language, texts: list[str]) -> dict[str, float]:
    """Words a second of the pipeline alone and of the component on parsed texts."""
    component = nlp.get_pipe("relation_extractor")
    with nlp.select_pipes(disable="relation_extractor"):
        docs = list(nlp.pipe(texts))
        alone = min(seconds(lambda: nlp.pipe(texts)) for _ in range(ROUNDS))
    own = min(seconds(lambda: iter(map(component, docs))) for _ in range(ROUNDS))
    n_words = sum(map(len, docs))
    return {
        "n_words": n_words,
        "n_relations": sum(len(doc._.relations) for doc in docs),
        "en_core_web_sm": round(n_words / alone),
        "relation_extractor": round(n_words / own),
        "added_time": round(own / alone, 4),
    }


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else SENTENCES
    nlp = small_pipeline()
    nlp.add_pipe("relation_extractor")
    scored = score(nlp, path)
    print("\n".join(scored.errors))
    result: Result = {"dataset": path.name, **scored.record()}
    if path != SENTENCES:
        print(json.dumps(result, indent=1))
        return
    result["words_per_second"] = speed(nlp, joined(plain_texts(MASC, N_SENTENCES), PER_TEXT))
    model = f"{nlp.meta['name']} {nlp.meta['version']}"
    publish("relations", result, ".relations", [path, BUNDLED, MASC], pipeline=model)


if __name__ == "__main__":
    run_command(main, __doc__, None)
