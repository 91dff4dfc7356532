"""``spacy-attn senses``: which sense each ambiguous word has in a few texts."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from spacy_attn.cli.terminal import SafeConsole, lines_of_stdin, refuse_broken_text, visible
from spacy_attn.errors import ConfigError

_DEFAULT_METHODS = "first_sense,lesk_extended,word2vec,attention"


def senses(
    texts: Annotated[
        list[str],
        typer.Argument(
            metavar="TEXT", help="Texts, each in quotes; - reads lines from standard input."
        ),
    ],
    methods: Annotated[
        str, typer.Option(help="Sense methods, separated by commas.")
    ] = _DEFAULT_METHODS,
    inventory: Annotated[
        str, typer.Option(help="homographs, wordnet, or the path of your own .jsonl file.")
    ] = "homographs",
    pipeline: Annotated[
        str | None, typer.Option(help="Name or path of a spaCy pipeline.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Show the sense of each ambiguous word, by several methods side by side.

    For every word: the sense that each method chooses, with its probability; the similarity of
    the word to the same word in the other texts, by its static vector (the same in every text)
    and by its contextual vector; and the words of the context that decided.
    """
    texts = [line for text in texts for line in _lines(text)]
    names = [name.strip() for name in methods.split(",") if name.strip()]
    from spacy_attn.components.pipeline import load_pipeline
    from spacy_attn.explain.side_by_side import side_by_side
    from spacy_attn.wsd.methods.registry import sense_method, short_names

    if not names:
        raise ConfigError(
            f"--methods {methods!r} names none; allowed are {', '.join(short_names())}"
        )
    for name in names:
        sense_method(name)  # a wrong name is told before models load
    refuse_broken_text(texts)
    console = SafeConsole(stderr=True)
    with console.status("Reading models ..."):
        nlp = load_pipeline(pipeline, inventory=inventory)
        records, failed = side_by_side(nlp, texts, names)
    if as_json:
        typer.echo(json.dumps(records, ensure_ascii=False, indent=1))
    else:
        _print(texts, records)
    for name, reason in failed.items():
        console.print(f"[yellow]{name} was left out:[/] {escape(reason)}", soft_wrap=True)
    if failed:
        raise typer.Exit(1)


def _lines(text: str) -> list[str]:
    return lines_of_stdin() if text == "-" else [text]


def _print(texts: list[str], records: list[dict[str, Any]]) -> None:
    console = SafeConsole(highlight=False)
    for i, text in enumerate(texts):
        mine = [record for record in records if record["text_index"] == i]
        console.print(f"\n[bold]{i + 1}[/]  {_marked(text, mine)}", soft_wrap=True)
        if not mine:
            console.print("   [dim]no word of the inventory in this text[/]")
        for record in mine:
            _print_word(console, record)
    console.print()


def _marked(text: str, records: list[dict[str, Any]]) -> str:
    out, at = "", 0
    for record in records:
        out += visible(text[at : record["start"]])
        out += f"[bold cyan]{visible(record['text'])}[/]"
        at = record["end"]
    return out + visible(text[at:])


def _print_word(console: SafeConsole, record: dict[str, Any]) -> None:
    table = Table(box=None, padding=(0, 1), show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for name, decision in record["methods"].items():
        style = "bold green" if name == "attention" else ""
        table.add_row(
            f"   {name}",
            f"[{style}]{escape(decision['sense'])}[/]" if style else visible(decision["sense"]),
            f"{decision['score']:.2f}",
            visible(decision["definition"]),
        )
    console.print(f"   [bold cyan]{visible(record['text'])}[/]")
    console.print(table)
    if record["static_similarity"] is not None or record["attention_similarity"] is not None:
        parts = [
            f"{label} {record[key]:.3f}"
            for label, key in (
                ("static vector", "static_similarity"),
                ("contextual vector", "attention_similarity"),
            )
            if record[key] is not None
        ]
        line = f"similarity to {escape(record['lemma'])!r} in the other texts: {', '.join(parts)}"
        console.print(Padding.indent(line, 4))
    if record["cues"]:
        words = ", ".join(
            f"{visible(cue['text'])} ({cue['weight']:+.2f})" for cue in record["cues"]
        )
        console.print(Padding.indent(f"decided by: {words}", 4))
