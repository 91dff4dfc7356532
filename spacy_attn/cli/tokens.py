"""``spacy-attn tokens``: how tokenizer, stemmer, chunker and encoder cut one text."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from spacy_attn.cli.options import AS_JSON, PIPELINE
from spacy_attn.cli.terminal import SafeConsole, given_texts, json_text, messages, visible
from spacy_attn.errors import ConfigError, allowed_names

_STEMMERS = ("porter", "snowball", "lancaster")
_COLUMNS = ("text", "wordpieces", "lemma", "stem", "tag", "chunk", "entity")


def tokens(
    texts: Annotated[
        list[str],
        typer.Argument(
            metavar="TEXT", help="Texts, each in quotes; - reads lines from standard input."
        ),
    ],
    stemmer: Annotated[
        str, typer.Option(help="Stemmer: porter, snowball or lancaster.")
    ] = "snowball",
    pipeline: Annotated[str | None, PIPELINE] = None,
    as_json: Annotated[bool, AS_JSON] = False,
) -> None:
    """Show spaCy's tokens, the encoder's wordpieces, lemmas, stems and chunks in one table.

    Chunks and entities have IOB tags: B- starts one, I- continues it.
    """
    if stemmer not in _STEMMERS:
        raise ConfigError(f"--stemmer {stemmer}: {allowed_names(stemmer, _STEMMERS)}")
    texts = given_texts(texts)
    console = messages()
    with console.status("Reading models ..."):
        import spacy

        from spacy_attn.components.pipeline import load_named
        from spacy_attn.encoder.huggingface import shared_encoder
        from spacy_attn.explain.tokens import token_table
        from spacy_attn.models import resolve_pipeline
        from spacy_attn.settings import EncoderSettings

        name = resolve_pipeline(pipeline)
        nlp = spacy.blank("en") if name is None else load_named(name)
        if not nlp.has_pipe("nltk_stemmer"):
            nlp.add_pipe("nltk_stemmer", config={"algorithm": stemmer})
        if nlp.has_pipe("tagger") and not nlp.has_pipe("nltk_chunker"):
            nlp.add_pipe("nltk_chunker")
        tokenizer = shared_encoder(EncoderSettings()).tokenizer
        tables = [token_table(doc, tokenizer) for doc in nlp.pipe(texts)]
    if as_json:
        typer.echo(json_text([[asdict(row) for row in rows] for rows in tables]))
        return
    out = SafeConsole(highlight=False)
    for rows in tables:
        table = Table(*_COLUMNS, box=None, padding=(0, 1))
        for row in rows:
            cells = {**asdict(row), "wordpieces": " ".join(row.wordpieces)}
            table.add_row(*(visible(cells[column]) for column in _COLUMNS))
        out.print(table)
