"""The tables of README.md and of the pages in docs/, from the committed results.

    python -m benchmarks report

A table stands between ``<!-- NAME -->`` and ``<!-- /NAME -->``, NAME one of ``SECTIONS``, on any
page; its figures are never typed, and a test fails where a page and ``benchmarks/results/*.json``
disagree. What explains a table stands on the page, by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.common import ROOT, earlier_models
from benchmarks.tables import (
    attention,
    classic,
    corpus,
    dictionaries,
    external,
    senses,
    side_by_side,
    speed,
    texts,
)

__all__ = ["PAGES", "SECTIONS", "replace_between", "sections_of", "tables", "write_pages"]

#: The pages with generated tables.
PAGES = (
    ROOT / "README.md",
    ROOT / "docs" / "methods.md",
    *sorted((ROOT / "docs" / "results").glob("*.md")),
)

#: The text between the markers of each name.
SECTIONS: dict[str, Callable[[], str]] = {
    "summary": senses.summary,
    "which-method": senses.which_method,
    "accurate": senses.accurate,
    "classic-and-attention": senses.classic_and_attention,
    "comparison": senses.comparison,
    "results": senses.without_training,
    "all-words": senses.all_words,
    "real-text": texts.real_text,
    "written-corpus": corpus.written,
    "dictionaries": dictionaries.dictionaries,
    "few-examples": dictionaries.few_examples,
    "granularity": dictionaries.granularity,
    "corrections": dictionaries.corrections,
    "reading": dictionaries.reading,
    "coarsewsd20": external.coarsewsd20,
    "wic": external.wic,
    "tasks": external.tasks,
    "attention": attention.rows,
    "attention-claims": attention.claims,
    "attention-cost": attention.cost,
    "explanations": attention.explanations,
    "chunks": classic.chunks,
    "entities": classic.entities,
    "relations": classic.relations,
    "classic-cost": classic.cost,
    "side-by-side": side_by_side.overview,
    "lemmas": side_by_side.lemmas,
    "heads": side_by_side.heads,
    "grammar": side_by_side.grammar,
    "relation-pairs": side_by_side.pairs,
    "questions": side_by_side.questions,
    "speed": speed.peers,
    "latency": speed.latency,
    "processors": speed.processors,
    "int8": speed.int8,
    "int8-senses": speed.int8_senses,
    "limits-of-speed": speed.limits,
    "memory": speed.memory,
    "selective": speed.selective,
    "all-words-cost": speed.all_words,
    "jobs": speed.jobs,
}


def tables() -> dict[str, str]:
    """The markdown of every table by its name."""
    return {name: section_of(name) for name in SECTIONS}


def section_of(name: str) -> str:
    """The markdown of one table, and whether it is of an earlier sense model."""
    try:
        text, models = earlier_models(SECTIONS[name])
    except FileNotFoundError as error:
        return f"Not measured yet: there is no `{Path(error.filename).name}` among the results."
    if not models:
        return text
    names = " and ".join(f"`{model[:12]}`" for model in models)
    note = f"At least in part measured with the sense model before the present one ({names}…)."
    return f"{note}\n\n{text}"  # above the figures that it is about


def replace_between(text: str, name: str, new: str) -> str:
    """The text with what stands between the markers of a name replaced.

    Raises:
        ValueError: the text has no such markers.
    """
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, found, rest = text.partition(start)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"no {start} ... {end}")
    return f"{before}{start}\n{new}\n{end}{after}"


def sections_of(text: str) -> list[str]:
    """The names of the sections that a page has markers for."""
    return [name for name in SECTIONS if f"<!-- {name} -->" in text]


def write_pages() -> None:
    """Write all tables into the pages."""
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        for name in sections_of(text):
            text = replace_between(text, name, section_of(name))
        path.write_text(text, encoding="utf-8")
