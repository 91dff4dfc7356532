"""``spacy-attn explain --syntax``: the parse of a text, and heads of attention that follow it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table

from spacy_attn.cli.terminal import SafeConsole, json_text, messages, visible
from spacy_attn.errors import ResourceError

if TYPE_CHECKING:
    from spacy.tokens import Doc

    from spacy_attn.explain.syntax import SeenArc


def show_syntax(texts: list[str], pipeline: str | None, *, as_json: bool) -> None:
    """Print a table for each text, or JSON.

    Raises:
        ConfigError: the pipeline has no parser.
        ResourceError: the pipeline or the encoder is not on this machine.
    """
    with messages().status("Reading models ..."):
        from spacy_attn.components.pipeline import load_pipeline
        from spacy_attn.explain.syntax import syntax_of
        from spacy_attn.models import DEFAULT_PIPELINE, repair_command, resolve_pipeline

        name = resolve_pipeline(pipeline)
        if name is None:
            raise ResourceError(
                "--syntax needs a pipeline with a parser; run: "
                f"{repair_command(DEFAULT_PIPELINE, 'pipeline')}"
            )
        nlp = load_pipeline(name, components=())
        found = [(doc, syntax_of(doc)) for doc in nlp.pipe(texts)]
    if as_json:
        records = [[_record(doc, arc) for arc in arcs] for doc, arcs in found]
        typer.echo(json_text(records, indent=1))
        return
    console = SafeConsole(highlight=False)
    for doc, arcs in found:
        if len(found) > 1:
            console.print(visible(doc.text))
        if not arcs:
            console.print("   no relation with a known head of attention", style="dim")
            continue
        table = Table("relation", "word", "its head", "attention", "looks at", "weight", "follows",
                      box=None, padding=(0, 1))  # fmt: skip
        for record in (_record(doc, arc) for arc in arcs):
            table.add_row(
                record["relation"],
                visible(record["text"]),
                visible(record["head_text"]),
                f"{record['layer']}-{record['attention_head']} {record['direction']}",
                visible(record["looks_at"]),
                f"{record['weight']:.2f}",
                "[green]yes[/]" if record["follows"] else "no",
            )
        console.print(table)
    if not any(arcs for _, arcs in found):
        return
    console.print(
        "   attention: layer and head that follow the relation most often; up: from the word to "
        "its head, down: from the head to the word; looks at: the word with most weight, itself "
        "left out.",
        style="dim",
    )


def _record(doc: Doc, seen: SeenArc) -> dict[str, Any]:
    arc, head = seen.arc, seen.head
    return {
        "relation": arc.label,
        "text": doc[arc.dependent].text,
        "start": doc[arc.dependent].idx,
        "head_text": doc[arc.head].text,
        "head_start": doc[arc.head].idx,
        "layer": head.layer,
        "attention_head": head.head,
        "direction": "up" if head.upwards else "down",
        "looks_at": doc[seen.looks_at].text,
        "weight": round(seen.weight, 4),
        "follows": seen.follows,
        "accuracy": head.accuracy,
    }
