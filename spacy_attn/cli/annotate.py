"""``spacy-attn annotate``: files in, annotated files out."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Annotated, Any, get_type_hints

import typer
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

from spacy_attn.cli.options import GRANULARITY, INVENTORY, METHOD, MODEL, PIPELINE
from spacy_attn.cli.terminal import SafeConsole, messages
from spacy_attn.errors import ConfigError, allowed_names, counted
from spacy_attn.jobs.annotator import Annotator
from spacy_attn.jobs.engines import Engine
from spacy_attn.jobs.fields import FIELDS, parse_fields
from spacy_attn.jobs.job import JobPlan, annotate_files, plan_job
from spacy_attn.jobs.options import JobOptions
from spacy_attn.jobs.outcome import JobInterrupted, JobProgress, JobSummary
from spacy_attn.jobs.output_paths import names_folder

FAILED, INTERRUPTED = 1, 130  # exit codes
_ENGINES = ("local", "ray")
_LINE_SECONDS = 30.0  # between two lines of progress where stderr is no terminal
_UNCOUNTED = "corrections that had no effect are not counted"
#: Options of a job that Ray Data has too, where it reads and writes a folder itself.
_OF_RAY_DATA = {"text_key", "unwrap", "n_process", "output_format", "limit"}


def _with_job_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of :class:`JobOptions` in place of its ``**given``."""
    hints = get_type_hints(JobOptions)
    of_job = []
    for option in fields(JobOptions):
        names = [f"--{option.name.replace('_', '-')}", option.metadata["short"]]
        shown = typer.Option(
            *filter(None, names), help=option.metadata["help"], metavar=option.metadata["metavar"]
        )
        kind = str | None if option.name == "errors" else hints[option.name]  # no Path | str
        of_job.append(
            inspect.Parameter(
                option.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=option.default,
                annotation=Annotated[kind, shown],
            )
        )
    signature = inspect.signature(command, eval_str=True)
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    keyword = [p.replace(kind=p.KEYWORD_ONLY) for p in own]
    first, last = keyword[:2], keyword[2:]  # in the order of the help
    signature = signature.replace(parameters=[*first, *of_job, *last])
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    return command


@_with_job_options
def annotate(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="IN",
            help="Files (.jsonl .csv .tsv .txt .parquet .spacy, also .gz .zst), folders, "
            "patterns; - is standard input.",
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help=".jsonl, .csv or .tsv (each also .gz .zst), .parquet or .spacy; - is standard "
            "output.",
        ),
    ],
    pipeline: Annotated[str | None, PIPELINE] = None,
    code: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.py", help="Python file with components of the pipeline, as in spaCy."
        ),
    ] = None,
    inventory: Annotated[str, INVENTORY] = "homographs",
    method: Annotated[str, METHOD] = "attention",
    model: Annotated[str | None, MODEL] = None,
    threshold: Annotated[
        float,
        typer.Option(
            help="Words whose best sense is less probable get no sense, or that of --backoff."
        ),
    ] = 0.0,
    backoff: Annotated[
        str | None,
        typer.Option(help="Sense method that decides below --threshold (default: none)."),
    ] = None,
    names: Annotated[
        bool, typer.Option("--names", help="With wordnet: proper nouns get senses too.")
    ] = False,
    granularity: Annotated[str, GRANULARITY] = "fine",
    corrections: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Corrections, as the reading page saves them: these words get these senses.",
        ),
    ] = None,
    wanted_fields: Annotated[
        str,
        typer.Option("--fields", help=f"What to write, separated by commas: {', '.join(FIELDS)}."),
    ] = "senses",
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Check the options, try the first batch and estimate the time; write nothing.",
        ),
    ] = False,
    engine: Annotated[
        str,
        typer.Option(
            metavar="local|ray",
            help="What runs the job. With ray and a folder as OUT, Ray Data also reads and writes.",
        ),
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            help="Address of a Ray cluster, such as auto (default: start Ray on this machine)."
        ),
    ] = None,
    **given: Any,
) -> None:
    """Annotate files of texts: each output record is the input record with the new fields.

    JSONL: one object on each line; the input is copied unchanged, and blank lines are skipped.

    CSV and TSV: with a header; all columns are text. Parquet: read by row group.

    Plain text: each line is a document (spacy apply reads a whole file as one). An empty line is
    an empty document: line n of OUT belongs to line n of IN.

    Offsets count the characters of the input text.

    A record that cannot be processed goes to OUT.errors.jsonl with file, line, reason and its
    first 2,000 characters. The job continues.

    Until the job ends, the output is in OUT.part. After Ctrl-C, a crash or a full disk, --resume
    continues, and the output has the same bytes as without the interruption. The first Ctrl-C
    waits for the current batch, the second stops at once.

    With --n-process, each process loads its own pipeline.

    With --engine ray, the processes are actors of a cluster. If OUT is a folder or a URI, Ray Data
    reads and writes in parallel, without --resume; the column "error" says why a row failed.

    Exit codes: 0 success, 1 some records failed, 2 wrong options or input, 130 interrupted.
    """
    console = messages()
    field_names = parse_fields(wanted_fields)
    if model is not None:
        from spacy_attn.wsd.methods.registry import with_model

        method, backoff = with_model([method, backoff], model)
    annotator = Annotator(
        pipeline=pipeline,
        inventory=inventory,
        method=method,
        fields=field_names,
        code=code,
        threshold=threshold,
        backoff=backoff,
        names=names,
        granularity=granularity,
        corrections=corrections,
    )
    options = JobOptions(**given)
    if _is_for_ray_data(engine, output, address, options, dry_run):
        annotator = replace(annotator, unwrap=options.unwrap)
        _annotate_with_ray(console, inputs, output, annotator, options, address)
        return
    if dry_run:
        _say(console, _say_plan(plan_job(inputs, output, annotator, options)))
        return
    try:
        with _show_progress(console) as on_progress:
            summary = annotate_files(
                inputs,
                output,
                annotator,
                options,
                engine=_ray_workers(options.n_process, address) if engine == "ray" else None,
                on_progress=on_progress,
            )
    except JobInterrupted as interrupt:
        _say(console, _say_interrupted(interrupt.summary))
        raise typer.Exit(INTERRUPTED) from None
    _say(console, _say_counts(summary))
    if summary.n_unused is None:
        _say(console, f"{_UNCOUNTED}: the job was finished before")
    elif summary.n_unused:
        _say(
            console,
            f"{counted(summary.n_unused, 'correction')} of {corrections} had no effect: the texts "
            "do not hold the same sentence",
        )
    if summary.n_failed:
        raise typer.Exit(FAILED)


def _is_for_ray_data(
    engine: str, output: str, address: str | None, options: JobOptions, dry_run: bool
) -> bool:
    """Whether Ray writes a folder by itself, which has few options.

    Raises:
        ConfigError: something is not allowed there.
    """
    if engine not in _ENGINES:
        raise ConfigError(f"--engine is {engine}: {allowed_names(engine, _ENGINES)}")
    if engine == "local":
        if address is not None:
            raise ConfigError("--address works with --engine ray only: add that, or leave it out")
        return False
    if output == "-":
        raise ConfigError(
            "-o - does not work with --engine ray, which says what it does on standard output: "
            "name a file, such as OUT.jsonl"
        )
    if not names_folder(output) or options.partition_size is not None:
        return False
    changed = [f.name for f in fields(JobOptions) if getattr(options, f.name) != f.default]
    for name in [*changed, *(["dry_run"] if dry_run else [])]:
        if name not in _OF_RAY_DATA:
            raise ConfigError(
                f"--{name.replace('_', '-')} does not work where Ray writes a folder: leave it "
                "out, or name a file as output, such as OUT.jsonl"
            )
    return True


def _ray_workers(n_process: int, address: str | None) -> Engine:
    from spacy_attn.jobs.engines.ray import RayWorkers

    return RayWorkers(n_process, address)


def _annotate_with_ray(
    console: SafeConsole,
    inputs: list[str],
    output: str,
    annotator: Annotator,
    options: JobOptions,
    address: str | None,
) -> None:
    from spacy_attn.jobs.engines.ray import annotate_with_ray

    summary = annotate_with_ray(
        inputs,
        output,
        annotator,
        text_key=options.text_key,
        n_actors=options.n_process,
        address=address,
        output_format=options.output_format or "parquet",
        limit=options.limit,
    )
    if annotator.corrections is not None:
        _say(
            console,
            f"{_UNCOUNTED} where Ray writes a folder; with a file as output, such as OUT.jsonl, "
            "they are",
        )
    counts = f"annotated {summary.n_in - summary.n_failed:,} of {counted(summary.n_in, 'record')}"
    if summary.n_failed:
        _say(console, f"{counts}, {summary.n_failed:,} failed: see the column error in {output}")
        raise typer.Exit(FAILED)
    _say(console, counts)


# -- what is said at the end -----------------------------------------------------------


def _say(console: SafeConsole, message: str) -> None:
    # Printed as it is: file names and reasons are no markup, and long lines stay whole.
    console.print(message, markup=False, soft_wrap=True)


def _say_counts(summary: JobSummary) -> str:
    counts = f"annotated {summary.n_out:,} of {counted(summary.n_in, 'record')}"
    if summary.n_failed:
        counts += f", {summary.n_failed:,} failed: see {summary.errors}"
    return counts


def _rate(rate: float) -> str:
    """A rate with as many digits as it needs: of long texts there is less than one a second."""
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def _say_plan(plan: JobPlan) -> str:
    size = "of unknown size" if plan.bytes_total is None else f"{plan.bytes_total:,} bytes"
    lines = [f"{counted(len(plan.sources), 'input file')}, {size}, to {plan.output}"]
    lines += [f"  {source.name} ({source.format})" for source in plan.sources[:10]]
    if len(plan.sources) > 10:
        lines.append(f"  and {len(plan.sources) - 10:,} more")
    lines.append(f"fields: {', '.join(plan.fields)}")
    rate = plan.n_sample / plan.seconds if plan.seconds else 0.0
    lines.append(
        f"tried {counted(plan.n_sample, 'record')}, {plan.n_failed:,} failed, "
        f"{_rate(rate)} records/s"
    )
    if plan.hours is not None:
        lines.append(f"the whole takes about {plan.hours:,.2f} hours")
    if plan.peak_mb is not None:
        each = f"each of {plan.n_process} processes" if plan.n_process > 1 else "the process"
        lines.append(f"{each} takes about {plan.peak_mb:,.0f} MB of memory with such records")
    return "\n".join([*lines, "nothing was written"])


def _say_interrupted(summary: JobSummary) -> str:
    kept = (
        f"; they are kept in {summary.part}: go on with --resume"
        if summary.part is not None
        else ""
    )
    return f"interrupted: {_say_counts(summary)}{kept}"


# -- progress --------------------------------------------------------------------------


class _RateColumn(ProgressColumn):
    """Records so far and records per second."""

    def render(self, task: Task) -> Text:
        n_in: int = task.fields["n_in"]
        failed: int = task.fields["n_failed"]
        rate = f"{n_in / task.elapsed:,.0f}" if task.elapsed else "-"
        shown = f"{counted(n_in, 'record')}, {rate}/s"
        return Text(f"{shown}, {failed:,} failed" if failed else shown)


@contextmanager
def _show_progress(console: SafeConsole) -> Iterator[Callable[[JobProgress], None]]:
    """A bar on a terminal, elsewhere a line now and then."""
    if console.is_terminal:
        with _progress_bar(console) as show:
            yield show
    else:
        yield _Lines(console, time.monotonic)


class _Lines:
    """A plain line of progress every _LINE_SECONDS, for logs.

    Args:
        console: where it is written.
        clock: tells seconds.
    """

    def __init__(self, console: SafeConsole, clock: Callable[[], float]) -> None:
        self._console, self._clock = console, clock
        self._told = clock()
        self._first: tuple[float, JobProgress] | None = None

    def __call__(self, now: JobProgress) -> None:
        moment = self._clock()
        if self._first is None:  # a resumed job did not do all of it now
            self._first = moment, now
        if moment - self._told < _LINE_SECONDS:
            return
        self._told = moment
        started, first = self._first
        seconds = moment - started
        rate = (now.n_in - first.n_in) / seconds if seconds else 0.0
        line = f"{counted(now.n_in, 'record')}, {now.n_failed:,} failed"
        if rate:  # else the first record is all that is known
            line += f", {_rate(rate)}/s"
        n_bytes = now.bytes_read - first.bytes_read
        if now.bytes_total and n_bytes and seconds:
            left = (now.bytes_total - now.bytes_read) / n_bytes * seconds
            line += f", {now.bytes_read / now.bytes_total:.1%}, {_span(left)} left"
        _say(self._console, line)


def _span(seconds: float) -> str:
    minutes, rest = divmod(max(0, round(seconds)), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


@contextmanager
def _progress_bar(console: SafeConsole) -> Iterator[Callable[[JobProgress], None]]:
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
