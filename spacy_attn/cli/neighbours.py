"""``spacy-attn neighbours``: the nearest words of words, as a table, JSON or a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from spacy_attn.cli.options import AS_JSON, check_inputs
from spacy_attn.cli.terminal import SafeConsole, given_texts, json_text, messages, visible
from spacy_attn.models import GLOVE


def neighbours(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="WORD",
            help="Words; - reads lines from standard input.",
            show_default=False,
        ),
    ],
    vectors: Annotated[
        Path | None,
        typer.Option(
            help="Vectors in any format that the component word2vec reads (default: GloVe 6B 50d).",
            show_default=False,
        ),
    ] = None,
    n: Annotated[
        int, typer.Option("-n", "--number", help="Number of neighbours of each word.")
    ] = 10,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Draw the neighbours: a .png or .svg file.", show_default=False
        ),
    ] = None,
    method: Annotated[
        str, typer.Option(metavar="pca|tsne", help="How dimensions are reduced in the picture.")
    ] = "pca",
    as_json: Annotated[bool, AS_JSON] = False,
) -> None:
    """Show the words with the most similar static vectors.

    The similarity is the cosine. With fastText vectors every word has neighbours, even an unknown
    one. The picture shows each word and its neighbours in one colour; its distances are
    approximate, because many dimensions are reduced to two.
    """
    from spacy_attn.classic.vectors import load_vectors
    from spacy_attn.explain.neighbourhood import check_picture, neighbourhoods, plot_neighbourhoods

    words = list(dict.fromkeys(given_texts(words, "word")))
    if plot is not None:
        check_picture(plot, words, method)  # before the vectors are read
    check_inputs("--vectors", None if str(vectors) == GLOVE else vectors, may_be_folder=True)
    console = messages()
    with console.status("Reading vectors ..."):
        loaded = load_vectors(vectors)
        if loaded.table.ngrams is not None:
            loaded = load_vectors(vectors, unknown="subword")
        records = neighbourhoods(loaded, words, n)
    if as_json:
        typer.echo(json_text(records, indent=1))
    else:
        _print(records)
    if plot is not None:
        path = plot_neighbourhoods(loaded, words, plot, n=n, method=method)
        console.print(f"picture: {visible(str(path))}", soft_wrap=True)


def _print(records: list[dict[str, Any]]) -> None:
    console = SafeConsole(highlight=False)
    for record in records:
        table = Table(box=None, show_header=False, padding=(0, 1), pad_edge=False)
        table.add_column(no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        for near in record["neighbours"]:
            table.add_row(f"  {visible(near['word'])}", f"{near['similarity']:.3f}")
        console.print(f"[bold cyan]{visible(record['word'])}[/]")
        console.print(table)
