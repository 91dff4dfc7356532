"""``spacy-attn compare``: sense methods beside each other on labelled data."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.cells import cell_len
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from spacy_attn.cli.options import METHODS
from spacy_attn.cli.terminal import SafeConsole, line_a_minute, messages, visible
from spacy_attn.errors import ConfigError, ResourceError, did_you_mean
from spacy_attn.files import regular_file
from spacy_attn.models import ACCURATE

if TYPE_CHECKING:
    from spacy_attn.compare.report.tables import Table as TextTable

_ONE_LINE = 10_000  # columns
_ACCURATE = json.dumps({"@sense_methods": "spacy_attn.attention.v1", "model": ACCURATE})
_LONG = "All methods, with curves: about 8 minutes of one core; --no-curves is much shorter."


_option = partial(typer.Option, show_default=False)


def compare(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="Labelled .jsonl, or NAME.data.xml(.gz) with NAME.gold.key.txt(.gz) beside it; "
            "without it the bundled test set.",
            show_default=False,
        ),
    ] = None,
    inventory: Annotated[
        str | None,
        _option(
            metavar="NAME",
            help="Sense inventory: homographs, wordnet or the path of a .jsonl file (default: "
            "homographs, or wordnet for .data.xml).",
        ),
    ] = None,
    methods: Annotated[
        str | None,
        _option(
            metavar="A,B,C",
            help=f"Sense methods, separated by commas: {METHODS} (default: all of these that "
            "take the inventory, but your own).",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        _option(
            "-o",
            "--output",
            metavar="DIR",
            help="Folder for results.json, report.html and figures, made if needed (default: print "
            "a table only).",
        ),
    ] = None,
    system: Annotated[
        list[str] | None,
        _option(
            metavar="N=JSON",
            help="One more row: a method with settings, written as in a config; accurate alone is "
            "attention with the accurate model. Repeatable.",
        ),
    ] = None,
    predictions: Annotated[
        list[str] | None,
        _option(
            metavar="N=FILE",
            help="One more row: published predictions, an id and a sense key on each line (.gz "
            "too). Repeatable. Files in a folder peers/ beside a .data.xml become rows anyway.",
        ),
    ] = None,
    tune: Annotated[
        float | None,
        _option(
            metavar="PRECISION",
            help="Find temperature and threshold of one method for this precision, such as 0.95.",
        ),
    ] = None,
    pipeline: Annotated[
        str | None,
        _option(
            help="spaCy pipeline that tokenizes and tags, name or path (default: the installed "
            "English one).",
        ),
    ] = None,
    end_to_end: Annotated[
        bool,
        _option(
            "--end-to-end",
            help="Let the pipeline find the words in the plain text; a word that it misses counts "
            "as wrong.",
        ),
    ] = False,
    baseline: Annotated[
        str | None,
        _option(
            metavar="NAME",
            help="Row with which McNemar's test compares the others (default: attention if it "
            "runs, else the first).",
        ),
    ] = None,
    half: Annotated[
        str | None,
        _option(
            metavar="open|frozen",
            help="Only one half of a test set with frozen instances, such as the bundled set "
            "(default: both).",
        ),
    ] = None,
    curves: Annotated[
        bool,
        typer.Option(
            help="With -o: accuracy against the number of examples and the distance of the cue.",
        ),
    ] = True,
    report: Annotated[
        Path | None,
        _option(
            metavar="RESULTS.json",
            help="Measure nothing: make the report of a results.json again, beside it or in DIR.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, _option("--overwrite", help="Replace the results in DIR if there are any.")
    ] = False,
    in_process: Annotated[
        bool,
        _option(
            "--in-process",
            help="Run all systems in this process, for debugging; memory is not measured.",
        ),
    ] = False,
) -> None:
    r"""Measure sense methods on labelled data: accuracy, macro-F1, speed and memory.

    All systems get the same tokens and the same candidate senses. Accuracy is correct / n: no
    instance is dropped, and a word that is not in the inventory counts as wrong. Words per second
    are measured with models loaded; each system runs in its own process to measure its memory.

    [bold]The bundled test set[/] with all methods. It writes results.json, report.html and figures:

        spacy-attn compare -o results

    [bold]Your own inventory and data[/], with text, start, end, lemma, pos and sense on each line:

        spacy-attn compare mine.jsonl --inventory senses.jsonl \
        --methods lesk,attention

    [bold]All words[/], next to published predictions:

        spacy-attn compare ALLamended.data.xml.gz --predictions esc=esc.key.txt.gz

    [bold]A method with other arguments[/] as one more row:

        spacy-attn compare --methods lesk --system \
        'near={"@sense_methods": "spacy_attn.lesk.v1", "window": 10}'

    [bold]A threshold[/] at which 95 % of the decisions are correct, fitted on one half of the texts
    and measured on the other half; the config is printed:

        spacy-attn compare mine.jsonl --methods attention --tune 0.95
    """
    console = messages()
    if report is not None:
        _report_again(report, output, console)
        return
    from spacy_attn.compare.experiment import Options, run  # here: --help answers without spaCy

    published = {n: Path(path) for n, path in _pairs(predictions or [], "--predictions")}
    options = Options(
        file=file,
        inventory=inventory,
        methods=_methods(methods, system or []),
        predictions=published,
        output=output,
        tune=tune,
        pipeline=pipeline,
        end_to_end=end_to_end,
        baseline=baseline,
        half=half,
        curves=curves,
        overwrite=overwrite,
        in_process=in_process,
    )

    def left_out(name: str, reason: str) -> None:
        console.print(f"[yellow]without {name}:[/] {escape(reason)}", soft_wrap=True)

    options.check()
    is_drawn = output is not None and _can_report(console)
    if output is not None and file is None and methods is None and curves:
        console.print(_LONG, soft_wrap=True)
    with _progress(console) as (on_progress, on_plan):
        result = run(options, on_progress=on_progress, on_left_out=left_out, on_plan=on_plan)
    _show(result, console)
    if "tune" in result:
        _print_tuning(result["tune"], console)
    if output is not None:
        console.print(f"written: {output / 'results.json'}", markup=False, soft_wrap=True)
    if output is not None and is_drawn:
        _write_report(result, output, console)
    if result["failed"] or not result.get("tune", {"reached": True})["reached"]:
        raise typer.Exit(1)


def _report_again(results: Path, output: Path | None, console: SafeConsole) -> None:
    """Tables and report of a ``results.json``."""
    try:
        result = json.loads(regular_file(results).read_text(encoding="utf-8"))
        _show(result, console)
        _write_report(result, output or results.parent, console)
    except OSError as error:
        raise ConfigError(f"--report {results}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"--report {results}: is no results.json of compare ({type(error).__name__}: {error})"
        ) from error


def _can_report(console: SafeConsole) -> bool:
    """Whether a report can be drawn; told before the work, which is done all the same."""
    from spacy_attn.compare.report.figures import can_be_drawn

    try:
        can_be_drawn("the report")
    except ResourceError as error:
        later = "results.json will be written; make the report with compare --report results.json"
        console.print(f"[yellow]no report:[/] {escape(str(error))}; {later}", soft_wrap=True)
        return False
    return True


def _write_report(result: dict[str, Any], folder: Path, console: SafeConsole) -> None:
    from spacy_attn.compare.report.html import write_report

    path = write_report(result, folder)[0]
    console.print(f"written: {path}", markup=False, soft_wrap=True)


def _show(result: dict[str, Any], console: SafeConsole) -> None:
    from spacy_attn.compare.report.tables import group_tables, headline, notes

    _print([headline(result), *group_tables(result).values()])
    for sentence in notes(result):
        console.print(f"[yellow]note:[/] {visible(sentence)}", soft_wrap=True)


# -- what was asked for ---------------------------------------------------------------------


def _methods(names: str | None, systems: list[str]) -> dict[str, str | dict[str, Any]]:
    """The methods by the names of their rows; none where all are meant."""
    listed = [name.strip() for name in (names or "").split(",") if name.strip()]
    if names is not None and not listed:
        listed = [names]  # refused, with the names that there are
    found: dict[str, str | dict[str, Any]] = {name: name for name in listed}
    written = [f"{ACCURATE}={_ACCURATE}" if s.strip() == ACCURATE else s for s in systems]
    for system in written:
        if "=" not in system:
            raise ConfigError(
                f"--system {system!r}: write NAME=METHOD, such as mine={system.strip() or 'lesk'}, "
                f"or {ACCURATE} alone{did_you_mean(system.strip(), [ACCURATE])}"
            )
    for name, text in _pairs(written, "--system"):
        if name in found:
            raise ConfigError(f"--system {name}=...: a row has this name; give another")
        found[name] = _config(name, text) if text.startswith("{") else text
    return found


def _pairs(texts: list[str], option: str) -> Iterator[tuple[str, str]]:
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name.strip() and equals and value.strip()):
            raise ConfigError(f"{option} {text!r}: must be a name for the row, =, and what it is")
        yield name.strip(), value.strip()


def _config(name: str, text: str) -> dict[str, Any]:
    try:
        block: dict[str, Any] = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"--system {name}={text}: is no JSON ({error.msg} at character {error.pos}); write it "
            'as {"@sense_methods": "spacy_attn.lesk.v1", "window": 10}, in single quotes'
        ) from error
    return block


# -- what is shown --------------------------------------------------------------------------


@contextmanager
def _progress(
    console: SafeConsole,
) -> Iterator[tuple[Callable[[str, int, int], None], Callable[[int], None]]]:
    """One bar over all questions to all systems; a line a minute where there is no terminal."""
    columns = [BarColumn(20), TaskProgressColumn(), TimeElapsedColumn()]
    columns += [TextColumn("{task.description}")]
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        bar = bars.add_task("reading", total=None)
        asked: list[str] = []
        still = line_a_minute(console)

        def show(name: str, done: int, total: int) -> None:
            if bars.tasks[0].total is None:
                return  # still reading
            still(f"{name}: {done} of {total}")
            if name not in asked:
                asked.append(name)
            part = done / total if total else 0.0
            bars.update(bar, completed=len(asked) - 1 + part, description=visible(name))

        def plan(n_questions: int) -> None:
            bars.update(bar, total=n_questions)

        yield show, plan


def _print(tables: list[TextTable]) -> None:
    console = SafeConsole(highlight=False)
    if not console.is_terminal:
        console.width = _ONE_LINE  # a row is a line for programs
    for table in tables:
        for k, columns in enumerate(_blocks(table, console.width)):
            title = "" if k else visible(table.title)
            shown = Table(title=title, title_justify="left", show_header=True)
            for j in columns:
                shown.add_column(
                    visible(table.heads[j]), justify="right" if j else "left", no_wrap=True
                )
            for i, row in enumerate(table.rows):
                cells = (visible(row[j]) for j in columns)
                shown.add_row(*cells, style="dim" if i in table.dim else "")
            console.print(shown)


def _blocks(table: TextTable, width: int) -> list[list[int]]:
    """The columns in blocks that fit, one below the other, each with the names first."""
    widths = [
        max(cell_len(visible(cell)) for cell in cells) + 3  # a line and two blanks
        for cells in zip(table.heads, *table.rows, strict=True)
    ]
    blocks, left = [[0]], width - 1 - widths[0]
    for j, needed in enumerate(widths[1:], 1):
        if needed > left and len(blocks[-1]) > 1:
            blocks.append([0])
            left = width - 1 - widths[0]
        blocks[-1].append(j)
        left -= needed
    return blocks


def _print_tuning(tuned: dict[str, Any], errors: SafeConsole) -> None:
    console, wished = SafeConsole(highlight=False), tuned["wished"]
    if not tuned["reached"]:
        best = tuned["best"]
        errors.print(
            f"[yellow]no threshold gives a precision of {wished} here:[/] the highest is "
            f"{best['precision']:.3f}, on {best['coverage']:.0%} of the words; ask for less, or "
            "choose another method",
            soft_wrap=True,
        )
        return
    for half, title in (("tuned_on", "on the half it was tuned on"), ("held_out", "on the other")):
        part = tuned[half]
        if part["ci95"] is None:
            said = "no decision is sure enough"
        else:
            low, high = part["ci95"]
            said = f"precision {part['precision']:.3f} (95 %: {low:.3f} to {high:.3f})"
        console.print(
            f"{title}: {said}, coverage {part['coverage']:.3f}, n = {part['n']:,}", soft_wrap=True
        )
    console.print(f"\n{tuned['config']}", markup=False, soft_wrap=True)
