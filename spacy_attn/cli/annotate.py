"""``spacy-attn annotate``: files in, annotated files out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from spacy_attn.errors import ConfigError
from spacy_attn.jobs.annotator import Annotator
from spacy_attn.jobs.local import (
    DEFAULT_BATCH_SIZE,
    JobInterrupted,
    JobProgress,
    JobSummary,
    annotate_files,
)

__all__ = ["annotate"]

FAILED, INTERRUPTED = 1, 130  # exit codes
_LEGAL_FIELDS = ("senses",)


def annotate(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="IN", help=".jsonl and .txt files; - is standard input."),
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="OUT", help="JSONL file; - is stdout.")
    ],
    text_key: Annotated[
        str, typer.Option("--text-key", "-tk", help="Field of a JSONL record with its text.")
    ] = "text",
    input_format: Annotated[
        str | None,
        typer.Option(
            metavar="jsonl|txt",
            help="Format of all inputs, instead of their suffix (stdin: jsonl).",
        ),
    ] = None,
    encoding: Annotated[str, typer.Option(help="Of the input; output is UTF-8.")] = "utf-8",
    n_process: Annotated[
        int, typer.Option("--n-process", "-n", help="Processes; -1 for one per core.")
    ] = 1,
    batch_size: Annotated[
        int,
        typer.Option(
            "--batch-size", "-b", help="Records in a batch (fewer if above 1,000,000 characters)."
        ),
    ] = DEFAULT_BATCH_SIZE,
    pipeline: Annotated[
        str | None,
        typer.Option(help="spaCy pipeline, name or path (default: the installed English one)."),
    ] = None,
    inventory: Annotated[
        str, typer.Option(help="Sense inventory: homographs or a .jsonl file.")
    ] = "homographs",
    method: Annotated[str, typer.Option(help="Sense method.")] = "attention",
    wanted_fields: Annotated[
        str, typer.Option("--fields", help="What is written, comma between: senses.")
    ] = "senses",
    errors: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Where bad records go, replaced "
            "(default: OUT.errors.jsonl; with -o - annotate.errors.jsonl).",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace OUT (and OUT.part) if it exists.")
    ] = False,
) -> None:
    """Find the senses in files of texts: each output line is an input record plus "senses".

    JSONL: one object a line, copied through untouched; lines of white space are skipped.

    Plain text: one document a line (spacy apply takes a whole file as one). An empty line is
    an empty document, so that line n of OUT belongs to line n of IN.

    Offsets count the characters of the text as given.

    A record that cannot be processed goes to OUT.errors.jsonl with file, line, reason and its
    first 2,000 characters, and the others go on.

    Until the end the output is named OUT.part; Ctrl-C leaves there what is finished.

    With --n-process each process is spawned and loads the pipeline for itself.

    Exit codes: 0 good, 1 some records failed, 2 the call was wrong, 130 interrupted.
    """
    console = Console(stderr=True, highlight=False)
    _check_fields(wanted_fields)
    try:
        with _progress_bar(console) as on_progress:
            summary = annotate_files(
                inputs,
                output,
                Annotator(pipeline=pipeline, inventory=inventory, method=method),
                text_key=text_key,
                input_format=input_format,
                encoding=encoding,
                batch_size=batch_size,
                n_process=n_process,
                overwrite=overwrite,
                errors=errors,
                on_progress=on_progress,
            )
    except JobInterrupted as interrupt:
        _say(console, _say_interrupted(interrupt.summary))
        raise typer.Exit(INTERRUPTED) from None
    _say(console, _say_counts(summary))
    if summary.n_failed:
        raise typer.Exit(FAILED)


def _check_fields(wanted: str) -> None:
    for name in (part.strip() for part in wanted.split(",")):
        if name not in _LEGAL_FIELDS:
            raise ConfigError(f"--fields {name!r}: legal in this version is only senses")


# -- what is said at the end -----------------------------------------------------------


def _say(console: Console, message: str) -> None:
    # Printed as it is: file names and reasons are no markup, and long lines stay whole.
    console.print(message, markup=False, soft_wrap=True)


def _say_counts(summary: JobSummary) -> str:
    counts = f"annotated {summary.n_out:,} of {summary.n_in:,} records"
    if summary.n_failed:
        counts += f", {summary.n_failed:,} failed: see {summary.errors}"
    return counts


def _say_interrupted(summary: JobSummary) -> str:
    kept = f"; they are kept in {summary.part}" if summary.part is not None else ""
    return f"interrupted: {_say_counts(summary)}{kept}"


# -- progress --------------------------------------------------------------------------


class _RateColumn(ProgressColumn):
    """Records so far and records per second."""

    def render(self, task: Task) -> Text:
        n_in: int = task.fields["n_in"]
        failed: int = task.fields["n_failed"]
        rate = f"{n_in / task.elapsed:,.0f}" if task.elapsed else "-"
        shown = f"{n_in:,} records, {rate}/s"
        return Text(f"{shown}, {failed:,} failed" if failed else shown)


@contextmanager
def _progress_bar(console: Console) -> Iterator[Callable[[JobProgress], None]]:
    """A bar over the bytes of the input; silent where stderr is not a terminal."""
    columns = (
        TextColumn("annotate"),
        BarColumn(),
        DownloadColumn(),
        _RateColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("annotate", total=None, n_in=0, n_failed=0)

        def show(now: JobProgress) -> None:
            bar.update(
                task,
                completed=now.bytes_read,
                total=now.bytes_total,
                n_in=now.n_in,
                n_failed=now.n_failed,
            )

        yield show
