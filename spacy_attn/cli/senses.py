"""``spacy-attn senses``: which sense each ambiguous word has in a few texts."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from spacy_attn.cli.options import AS_JSON, INVENTORY, METHODS, MODEL, PIPELINE
from spacy_attn.cli.terminal import (
    SafeConsole,
    given_texts,
    json_text,
    messages,
    print_indented,
    visible,
)
from spacy_attn.errors import ConfigError

_ANSWER = "attention"
_COMPARED = "first_sense,lesk_extended,word2vec,attention"


def senses(
    texts: Annotated[
        list[str],
        typer.Argument(
            metavar="TEXT", help="Texts, each in quotes; - reads lines from standard input."
        ),
    ],
    methods: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,C",
            help=f"Sense methods, separated by commas: {METHODS} (default: {_ANSWER}; with --json "
            "those of --compare).",
            show_default=False,
        ),
    ] = None,
    compare: Annotated[
        bool,
        typer.Option("--compare", help=f"Show {_COMPARED.replace(',', ', ')} side by side."),
    ] = False,
    model: Annotated[str | None, MODEL] = None,
    inventory: Annotated[str, INVENTORY] = "homographs",
    pipeline: Annotated[str | None, PIPELINE] = None,
    as_json: Annotated[bool, AS_JSON] = False,
) -> None:
    """Show the sense of each ambiguous word, and with --compare what other methods say.

    For every word: its sense with definition and probability, and the words of the context that
    decided. With --compare also the sense that each method chooses, and the similarity of the word
    to the same word in the other texts, by its static vector (the same in every text) and by its
    contextual vector.
    """
    if compare and methods is not None:
        raise ConfigError(f"--compare and --methods {methods}: give one of them")
    texts = given_texts(texts)
    if methods is None:
        methods = _COMPARED if compare or as_json else _ANSWER
    names = [name.strip() for name in methods.split(",") if name.strip()]
    from spacy_attn.components.pipeline import load_pipeline
    from spacy_attn.explain.side_by_side import side_by_side
    from spacy_attn.wsd.methods.registry import sense_method, short_names, with_model

    if not names:
        raise ConfigError(
            f"--methods {methods!r} names none; allowed are {', '.join(short_names())}"
        )
    for name in names:
        sense_method(name)  # a wrong name is told before models load
    specs = dict(zip(names, with_model(names, model), strict=True))
    console = messages()
    with console.status("Reading models ..."):
        nlp = load_pipeline(pipeline, inventory=inventory)
        records, failed = side_by_side(nlp, texts, specs)
    if as_json:
        typer.echo(json_text(records, indent=1))
    else:
        _print(texts, records)
    for name, reason in failed.items():
        console.print(f"[yellow]{name} was left out:[/] {escape(reason)}", soft_wrap=True)
    if failed:
        raise typer.Exit(1)


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
    decisions = record["methods"]
    answer = decisions.get(_ANSWER) or next(iter(decisions.values()), None)
    console.print(f"   [bold cyan]{visible(record['text'])}[/]")
    if answer is not None and (len(decisions) == 1 or _ANSWER in decisions):
        said = f"[bold green]{visible(answer['sense'])}[/]  {answer['score']:.2f}"
        print_indented(console, said, 4)
    if len(decisions) > 1:
        table = Table(box=None, padding=(0, 1), show_header=False)
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        table.add_column(justify="right", no_wrap=True)
        for name, decision in decisions.items():
            table.add_row(f"   {name}", visible(decision["sense"]), f"{decision['score']:.2f}")
        console.print(table)
    for sense, definition in _definitions(record).items():
        named = f"[dim]{visible(sense)}[/]  " if len(decisions) > 1 else ""
        print_indented(console, f"{named}{visible(definition)}", 4)
    if record["cues"]:
        words = ", ".join(
            f"{visible(cue['text'])} ({cue['weight']:+.2f})" for cue in record["cues"]
        )
        print_indented(console, f"decided by: {words}", 4)
    parts = [
        f"{label} {record[key]:.2f}"
        for label, key in (
            ("static vector", "static_similarity"),
            ("contextual vector", "attention_similarity"),
        )
        if record[key] is not None
    ]
    if parts and len(decisions) > 1:
        line = f"similarity to {escape(record['lemma'])!r} in the other texts: {', '.join(parts)}"
        print_indented(console, line, 4)


def _definitions(record: dict[str, Any]) -> dict[str, str]:
    """The definition of each sense that a method chose, once, the answer first."""
    decisions = sorted(record["methods"].items(), key=lambda each: each[0] != _ANSWER)
    return {d["sense"]: d["definition"] for _, d in decisions if d["definition"]}
