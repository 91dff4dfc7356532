"""``spacy-attn train-chunker``: a chunker or a named-entity chunker from one's own data."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress
from rich.table import Table

from spacy_attn.cli.options import check_inputs
from spacy_attn.cli.terminal import messages, visible
from spacy_attn.cli.training import bar_columns
from spacy_attn.errors import ConfigError, ResourceError, allowed_names


def train_chunker(
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA",
            help="Columns word, tag, IOB label (.txt, .conll, also .gz, or ARCHIVE.zip/FILE), or "
            "Docs (.spacy).",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="MODEL", help="File to write.")],
    task: Annotated[
        str,
        typer.Option(
            metavar="chunks|entities", help="chunks for nltk_chunker, entities for nltk_ner."
        ),
    ] = "chunks",
    dev: Annotated[
        Path | None,
        typer.Option(
            metavar="DATA", help="Held-out data to score the result, as DATA (default: none)."
        ),
    ] = None,
    spans_key: Annotated[
        str | None,
        typer.Option(help="Span group of Docs (default: chunks, or doc.ents for entities)."),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the data.")] = 10,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace MODEL if it exists.")
    ] = False,
) -> None:
    """Train the model of nltk_chunker or nltk_ner: about 15 seconds an epoch for 200,000 words.

    The tags in the data must be of the same tag set as those of your pipeline. Labels are IOB2 or
    IOB1. If there are more than three columns, as in CoNLL-2003, chunks are in the third column
    and entities in the last.

    Use the result with [b]nlp.add_pipe("nltk_chunker", config={"model": "MODEL"})[/] or
    [b]nlp.add_pipe("nltk_ner", config={"model": "MODEL"})[/].
    """
    from spacy_attn.classic.sequence import TASKS, train_sequence_tagger
    from spacy_attn.train.chunker import read_labelled_files, score_tagger

    if task not in TASKS:
        raise ConfigError(f"--task {task} is unknown; {allowed_names(task, TASKS)}")
    inputs = [*data, dev] if dev else data
    _check_output(output, inputs, overwrite=overwrite)  # before the work, not after it
    in_archive = {path for path in inputs if any(p.suffix == ".zip" for p in path.parents)}
    check_inputs("", *(path for path in data if path not in in_archive), may_be_pipe=True)
    check_inputs("--dev", None if dev in in_archive else dev, may_be_pipe=True)
    held_out = read_labelled_files([dev], task=task, spans_key=spans_key) if dev else None
    console = messages()
    with Progress(*bar_columns(), console=console, disable=not console.is_terminal) as bar:
        now = bar.add_task("reading", total=None)
        sentences = read_labelled_files(data, task=task, spans_key=spans_key)

        def report(record: dict[str, Any]) -> None:
            done = (record["epoch"] - 1) * record["of"] + record["sentences"]
            description = f"epoch {record['epoch']} of {epochs}"
            bar.update(now, description=description, completed=done, total=epochs * record["of"])
            if "accuracy" in record:
                console.print(f"{description}: {record['accuracy']:.4f} of the labels correct")

        tagger = train_sequence_tagger(
            sentences, task=task, epochs=epochs, seed=seed, report=report
        )
    tagger.save(output)
    if held_out is not None:
        console.print(_table(score_tagger(tagger, held_out), str(dev)))
    typer.echo(str(output))


def _check_output(output: Path, inputs: Iterable[Path], *, overwrite: bool) -> None:
    if output.is_dir():
        raise ConfigError(f"-o {output} is a folder; give the name of a file in it")
    if output.exists() and not output.is_file():
        raise ConfigError(f"-o {output} is a device; give the name of a file")
    for path in inputs:
        if _is_input(output, path):
            raise ConfigError(f"-o {output} is the input {path}; give the model another name")
    if output.exists() and not overwrite:
        raise ConfigError(f"-o {output} exists; give another name, or --overwrite to replace it")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=output.parent) as probe:
            probe.write(b"0")
    except OSError as error:
        raise ResourceError(
            f"cannot write {output} ({error.strerror or error}); name a file in a folder that you "
            "may write to"
        ) from error


def _is_input(output: Path, path: Path) -> bool:
    """Whether a file is the input, or the archive in which the input lies."""
    path = path.expanduser()
    return output.exists() and any(
        each.exists() and output.samefile(each) for each in (path, *path.parents)
    )


def _table(scores: dict[str, Any], title: str) -> Table:
    table = Table("type", title=visible(title))
    for head in ("spans", "precision", "recall", "F1"):
        table.add_column(head, justify="right")
    for kind, row in [*scores["types"].items(), ("all", scores)]:
        fractions = (f"{row[key]:.3f}" for key in ("precision", "recall", "f1"))
        table.add_row(visible(kind), str(row["n"]), *fractions)
    return table
