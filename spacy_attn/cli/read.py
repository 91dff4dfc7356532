"""``spacy-attn read``: texts with their senses as a page to read, or to correct."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from spacy_attn.cli.options import GRANULARITY, INVENTORY, METHOD, MODEL, PIPELINE, check_folder
from spacy_attn.cli.terminal import messages, refuse_packed
from spacy_attn.errors import ConfigError, allowed_names
from spacy_attn.files import atomic_write, unpacking
from spacy_attn.jobs.fields import FIELDS

_LAYERS = ("entities", "chunks", "relations")  # of the fields of a job


def read(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="Text files, in UTF-8; - is standard input."),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="PAGE.html", help="The page to write.")
    ],
    review: Annotated[
        bool,
        typer.Option(
            "--review",
            help="Let the reader correct senses with number keys, the least certain words first.",
        ),
    ] = False,
    inventory: Annotated[str, INVENTORY] = "homographs",
    method: Annotated[str, METHOD] = "attention",
    model: Annotated[str | None, MODEL] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="METHOD",
            help="A second sense method, such as word2vec; words with another sense are marked "
            "(default: none).",
            show_default=False,
        ),
    ] = None,
    granularity: Annotated[str, GRANULARITY] = "fine",
    why: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            help="Show for N words, the least certain ones, which words of the context decided.",
        ),
    ] = 20,
    layers: Annotated[
        str,
        typer.Option(
            help="Other annotations that the reader can switch on, separated by commas, or none."
        ),
    ] = "entities,chunks,relations",
    pipeline: Annotated[str | None, PIPELINE] = None,
) -> None:
    """Write texts with their senses as one HTML page, which works without a network.

    Words are underlined by certainty. Pointer, tap or keyboard shows definition, probability,
    the other senses and the words of the context that decided. A list of the ambiguous words
    filters the text.

    With --review the page asks about each word and saves corrections.jsonl. Use it with
    [b]spacy-attn annotate --corrections[/], [b]spacy-attn inventory add --from[/] and
    [b]spacy-attn train-senses --data[/].
    """
    if output.suffix not in (".html", ".htm"):
        raise ConfigError(f"-o {output}: allowed are names that end in .html or .htm")
    check_folder("-o", output)
    wanted = [name.strip() for name in layers.split(",") if name.strip() not in ("", "none")]
    for name in wanted:
        if name not in _LAYERS:
            raise ConfigError(f"--layers has {name!r}: {allowed_names(name, [*_LAYERS, 'none'])}")
    texts = _texts(files)
    from spacy_attn.components.pipeline import load_pipeline
    from spacy_attn.explain.reading import read_texts
    from spacy_attn.explain.reading_page import reading_page
    from spacy_attn.wsd.methods.registry import sense_method, with_model

    if against is not None:
        sense_method(against, "--against")  # a wrong name is told before models load
    shown = [FIELDS[name] for name in ("senses", *wanted)]
    components = [each.component for each in shown if each.component is not None]
    needs = {need for each in shown for need in each.needs}
    console = messages()
    with console.status("Reading ..."):
        config = {} if granularity == "fine" else {"granularity": granularity}
        nlp = load_pipeline(
            pipeline,
            inventory=inventory,
            method=with_model([method], model)[0],
            components=components,
            needs=needs,
            **config,
        )
        page = reading_page(read_texts(nlp, texts, against=against, why=why), review=review)
    with atomic_write(output) as file:
        file.write(page.encode("utf-8"))
    typer.echo(str(output))


def _texts(files: list[str]) -> dict[str, str]:
    """The texts by what they are called; equal names get a number."""
    texts: dict[str, str] = {}
    if "-" in files and sys.stdin is None:
        raise ConfigError("standard input is closed: give the file in place of -")
    for name in files:
        try:
            raw = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        except OSError as error:
            raise ConfigError(f"{name} cannot be read: {error.strerror}") from error
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            if name == "-":
                refuse_packed(raw)
            elif (command := unpacking(raw)) is not None:
                raise ConfigError(
                    f"{name} is compressed; unpack it first: {command} {shlex.quote(name)} > "
                    "TEXT.txt"
                ) from error
            raise ConfigError(
                f"{name}: byte {error.start + 1} is not UTF-8; save it as UTF-8"
            ) from error
        title = "standard input" if name == "-" else Path(name).name
        if title in texts:
            title = f"{title} ({len(texts) + 1})"
        texts[title] = text.replace("\r\n", "\n").replace("\r", "\n")
    return texts
