"""``spacy-attn compare``: sense methods beside each other on labelled data."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from spacy_attn.cli.terminal import visible
from spacy_attn.errors import ConfigError, ResourceError, SpacyAttnError

if TYPE_CHECKING:
    from spacy.language import Language

    from spacy_attn.compare.datasets import Dataset
    from spacy_attn.compare.report import Grid
    from spacy_attn.compare.systems import MethodSpec, System, Task

__all__ = ["compare"]

_RESULTS = "results.json"
_ONE_LINE = 10_000  # columns


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
        typer.Option(
            metavar="homographs|wordnet|F.jsonl",
            help="Sense inventory (default: homographs; for .data.xml wordnet).",
            show_default=False,
        ),
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,C",
            help="Sense methods, separated by commas (default: all that take the inventory).",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            help="Folder for results.json, report.html and figures; made if needed.",
        ),
    ] = None,
    system: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=JSON",
            help="One more row: a method with settings, written as in a config. Repeatable.",
            show_default=False,
        ),
    ] = None,
    predictions: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FILE",
            help="One more row: published predictions, an id and a sense key a line (.gz too). "
            "Repeatable. Those in a folder peers/ beside a .data.xml are found.",
            show_default=False,
        ),
    ] = None,
    tune: Annotated[
        float | None,
        typer.Option(
            metavar="PRECISION",
            help="Find temperature and threshold of one method for this precision.",
            show_default=False,
        ),
    ] = None,
    pipeline: Annotated[
        str | None,
        typer.Option(
            help="spaCy pipeline that tokenises and tags, name or path (default: the installed "
            "English one).",
            show_default=False,
        ),
    ] = None,
    end_to_end: Annotated[
        bool,
        typer.Option(
            "--end-to-end",
            help="Let the pipeline find the words in the plain text, as its users meet it.",
        ),
    ] = False,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Row that the others are tested against, by McNemar's test (default: attention "
            "if it runs, else the first).",
            show_default=False,
        ),
    ] = None,
    half: Annotated[
        str | None,
        typer.Option(
            metavar="open|frozen",
            help="One half of a set with frozen instances, such as the bundled one.",
            show_default=False,
        ),
    ] = None,
    curves: Annotated[
        bool,
        typer.Option(
            help="With -o: accuracy against the number of examples and the distance of the cue.",
        ),
    ] = True,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the results in DIR if there are any.")
    ] = False,
    in_process: Annotated[
        bool,
        typer.Option(
            "--in-process", help="No process for each system; for debugging, measures no memory."
        ),
    ] = False,
) -> None:
    """Measure sense methods on labelled data: accuracy, macro-F1, speed and memory.

    All systems get the same tokens and the same candidates. Accuracy is correct / n: nothing is
    dropped from n, and a word that the inventory does not know is wrong. Words per second are
    those of scoring, models loaded; peak memory is that of a process of its own.

    [bold]The bundled test set[/], every method, with results.json, report.html and the figures in
    a folder:

        spacy-attn compare -o results

    [bold]Your own inventory and data[/], one JSON object a line with text, start, end, lemma, pos
    and sense:

        spacy-attn compare mine.jsonl --inventory senses.jsonl --methods lesk,attention

    [bold]All words[/], beside published predictions:

        spacy-attn compare ALLamended.data.xml.gz --predictions esc=esc.key.txt.gz

    [bold]A method with other settings[/] as one more row:

        spacy-attn compare --methods lesk --system
        'near={"@sense_methods": "spacy_attn.lesk.v1", "window": 10}'

    [bold]A threshold[/] above which 95 % of the decisions are right, fitted on one half of the
    texts and measured on the other; prints the config to paste:

        spacy-attn compare mine.jsonl --methods attention --tune 0.95
    """
    specs = _specs(methods, system or [])
    published = dict(_pair(each, "--predictions") for each in predictions or [])
    _check(file, output, specs, published, tune, overwrite=overwrite)
    _check_rows(baseline, half, {*specs, *published})
    from spacy_attn.compare.datasets import is_raganato, peers_of
    from spacy_attn.compare.runner import run_systems, score_systems
    from spacy_attn.compare.systems import MethodSystem, PublishedPredictions

    console = Console(stderr=True, highlight=False)
    source = inventory or ("wordnet" if file is not None and is_raganato(file) else "homographs")
    with _progress(console) as on_progress:
        on_progress("reading", 0, 0)
        nlp = _pipeline(pipeline, source)
        specs = _usable(nlp, source, specs, console)
        task = _task(nlp, file, source, half, end_to_end=end_to_end)
        systems: dict[str, System] = {name: MethodSystem(spec) for name, spec in specs.items()}
        _make_folder(output)
        peers = {**peers_of(task.dataset), **{n: Path(path) for n, path in published.items()}}
        for name, path in peers.items():
            if name in systems:
                raise ConfigError(f"--predictions {name}=...: a method has this name; give another")
            systems[name] = PublishedPredictions(path)
        answers, failed = run_systems(task, systems, in_process=in_process, on_progress=on_progress)
        more = {}
        if output is not None and not end_to_end:
            ran = {name: spec for name, spec in specs.items() if name in answers}
            more = _more(nlp, task, ran, on_progress, curves=curves, in_process=in_process)
    result = score_systems(task, systems, answers, failed, _seen(task), baseline)
    result |= {"end_to_end": end_to_end, **more}
    if tune is not None and not failed:
        from spacy_attn.compare.tune import tune as find_threshold

        (name,) = specs
        result["tune"] = find_threshold(task, answers[name], specs[name], source, tune)
    if output is not None:
        options = ["--baseline", baseline] if baseline else []
        options += ["--half", half] if half else []
        options += [] if curves else ["--no-curves"]
        command = _command(file, source, specs, peers, tune, options, end_to_end=end_to_end)
        files = [*task.dataset.files, _inventory_file(task, source), *peers.values()]
        _write(output / _RESULTS, result, files, command, in_process=in_process)
    _print(result, console)
    if output is not None:
        report = _report(result, output, console)
        for path in [output / _RESULTS, *report]:
            console.print(f"written: {path}", markup=False, soft_wrap=True)
    if failed or not result.get("tune", {"reached": True})["reached"]:
        raise typer.Exit(1)


# -- what was asked for ---------------------------------------------------------------------


def _specs(methods: str | None, systems: Sequence[str]) -> dict[str, MethodSpec]:
    """The methods by the names of their rows; none where all are meant."""
    from spacy_attn.compare.systems import resolve_method
    from spacy_attn.methods import METHODS

    names = [name.strip() for name in (methods or "").split(",") if name.strip()]
    if methods is not None and not names:
        raise ConfigError(f"--methods {methods!r} names none; legal are {', '.join(METHODS)}")
    specs: dict[str, MethodSpec] = {name: name for name in names}
    for each in systems:
        name, text = _pair(each, "--system")
        if name in specs:
            raise ConfigError(f"--system {name}=...: a row has this name; give another")
        specs[name] = _config(name, text)
    for spec in specs.values():
        resolve_method(spec)  # a wrong name is told before anything loads
    return specs


def _pair(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name.strip() and equals and value.strip()):
        raise ConfigError(f"{option} {text!r}: must be a name for the row, =, and what it is")
    return name.strip(), value.strip()


def _config(name: str, text: str) -> MethodSpec:
    if not text.startswith("{"):
        return text
    try:
        block: dict[str, Any] = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"--system {name}={text}: is no JSON ({error.msg} at character {error.pos}); write it "
            'as {"@sense_methods": "spacy_attn.lesk.v1", "window": 10}, in single quotes'
        ) from error
    return block


def _check(
    file: Path | None,
    output: Path | None,
    specs: dict[str, MethodSpec],
    published: dict[str, str],
    tune: float | None,
    *,
    overwrite: bool,
) -> None:
    """Tell what is wrong with a call before anything loads."""
    if file is not None and not file.is_file():
        raise ConfigError(
            f"{file} does not exist or is no file; give labelled .jsonl or NAME.data.xml, or leave "
            "it out for the bundled test set"
        )
    for name, path in published.items():
        if not Path(path).is_file():
            raise ConfigError(f"--predictions {name}={path}: there is no such file")
    if tune is not None and not 0.0 < tune <= 1.0:
        raise ConfigError(f"--tune {tune}; legal is a precision above 0 and at most 1")
    if tune is not None and len(specs) != 1:
        raise ConfigError(
            f"--tune {tune} works on one method, and {len(specs) or 'all'} were given; name it "
            "with --methods, such as --methods attention"
        )
    if output is not None and output.exists() and not output.is_dir():
        raise ConfigError(f"-o {output} is no folder; results.json is written into a folder")
    if output is not None and (output / _RESULTS).exists() and not overwrite:
        raise ConfigError(
            f"{output / _RESULTS} exists; name another folder, or --overwrite to replace it"
        )


def _check_rows(baseline: str | None, half: str | None, named: set[str]) -> None:
    """Tell of a baseline that is no row, where rows were named, and of a half that is none."""
    if baseline is not None and named and baseline not in named:
        raise ConfigError(
            f"--baseline {baseline!r} is no row; legal are {', '.join(sorted(named))}"
        )
    if half not in (None, "open", "frozen"):
        raise ConfigError(f"--half {half!r}; legal are open and frozen")


def _command(
    file: Path | None,
    inventory: str,
    specs: dict[str, MethodSpec],
    peers: dict[str, Path],
    tune: float | None,
    options: Sequence[str] = (),
    *,
    end_to_end: bool,
) -> str:
    """The call that gives the same result, files by their names alone."""
    words = ["spacy-attn", "compare", *([file.name] if file else [])]
    words += ["--inventory", Path(inventory).name]
    named = [name for name, spec in specs.items() if name == spec]
    words += ["--methods", ",".join(named)] if named else []
    for name, spec in specs.items():
        if name != spec:
            words += ["--system", f"{name}={spec if isinstance(spec, str) else json.dumps(spec)}"]
    for name, path in peers.items():
        words += ["--predictions", f"{name}={path.name}"]
    words += ["--tune", str(tune)] if tune is not None else []
    words += ["--end-to-end"] if end_to_end else []
    words += options
    return shlex.join(words)


# -- the work -------------------------------------------------------------------------------


def _pipeline(name: str | None, inventory: str) -> Language:
    """A pipeline that tokenises and tags, without a component for senses."""
    from spacy_attn.components.pipeline import load_pipeline

    nlp = load_pipeline(name, inventory=inventory, method="first_sense")
    for component in list(nlp.pipe_names):
        if nlp.get_pipe_meta(component).factory == "sense_disambiguator":
            nlp.remove_pipe(component)
    return nlp


def _usable(
    nlp: Language, inventory: str, specs: dict[str, MethodSpec], console: Console
) -> dict[str, MethodSpec]:
    """The methods, checked; where none was named all those that take the inventory."""
    from spacy_attn.compare.systems import check_method
    from spacy_attn.methods import METHODS

    for spec in specs.values():
        check_method(nlp, inventory, spec)
    if specs:
        return specs
    found: dict[str, MethodSpec] = {}
    for name in METHODS:
        try:
            check_method(nlp, inventory, name)
        except ConfigError as error:
            console.print(f"[yellow]without {name}:[/] {escape(str(error))}", soft_wrap=True)
        else:
            found[name] = name
    return found


def _task(
    nlp: Language, file: Path | None, source: str, half: str | None, *, end_to_end: bool
) -> Task:
    """The data with the inventory's candidates."""
    from spacy_attn.compare.datasets import half_of, open_dataset
    from spacy_attn.compare.systems import found_task, given_task, tagged_by
    from spacy_attn.components.sense_disambiguator import resources_of
    from spacy_attn.wsd.inventory.model import load_inventory
    from spacy_attn.wsd.inventory.wordnet import open_inventory

    inventory, tag, resources = open_inventory(source, nlp.lang), tagged_by(nlp), resources_of(nlp)
    gold = {}
    if file is None and source == "wordnet":  # the set names senses of homographs
        gold = {sense.id: sense.wordnet for sense in load_inventory("homographs").senses}
    dataset: Dataset = open_dataset(file, tag, gold)
    if half is not None:
        dataset = half_of(dataset, frozen=half == "frozen")
    if end_to_end:
        return found_task(dataset, inventory, resources, tag)
    return given_task(dataset, inventory, resources)


def _more(
    nlp: Language,
    task: Task,
    specs: dict[str, MethodSpec],
    on_progress: Callable[[str, int, int], None],
    *,
    curves: bool,
    in_process: bool,
) -> dict[str, Any]:
    """Curves and the map of a word, where data and machine allow them."""
    import torch

    from spacy_attn.compare.curves import distance_curve, learning_curve, learns
    from spacy_attn.compare.systems import tagged_by
    from spacy_attn.wsd.inventory.model import Inventory

    options: dict[str, Any] = {
        "n_threads": torch.get_num_threads(), "in_process": in_process, "on_progress": on_progress,
    }  # fmt: skip
    out: dict[str, Any] = {}
    learning = {name: spec for name, spec in specs.items() if learns(spec)}
    has_examples = isinstance(task.inventory, Inventory) and task.inventory.has_examples
    if curves and has_examples and learning:
        out["learning_curve"] = learning_curve(task, learning, **options)
    if curves and (found := distance_curve(task, specs, tagged_by(nlp), **options)) is not None:
        out["distance_curve"] = found
    if (found := _map(task, specs)) is not None:
        out["vector_map"] = found
    return out


def _map(task: Task, specs: dict[str, MethodSpec]) -> dict[str, Any] | None:
    """The instances of one word, by the vectors of the first method that has an encoder."""
    from spacy_attn.classic.word2vec import shared_vectors
    from spacy_attn.compare.systems import resolve_method
    from spacy_attn.compare.vector_map import vector_map

    if not task.dataset.may_quote:
        return None
    order = sorted(specs, key=lambda name: name != "attention")
    try:
        static = shared_vectors(None, "zero")
        for name in order:
            fitted = resolve_method(specs[name]).prepare(task.inventory, task.resources)
            if fitted.encoder is not None:
                return vector_map(task, fitted.encoder, static)
    except SpacyAttnError:  # the picture is an extra: what is missing was said by the rows
        return None
    return None


def _report(result: dict[str, Any], folder: Path, console: Console) -> list[Path]:
    """Write report.html and its figures; without their packages a note says what installs them."""
    from spacy_attn.compare.html import write_report

    try:
        return [path for path in write_report(result, folder) if path.suffix == ".html"]
    except ResourceError as error:
        console.print(f"[yellow]no report:[/] {escape(str(error))}", soft_wrap=True)
        return []


def _seen(task: Task) -> Any:
    """Which senses of WordNet the bundled model has met in its training corpora."""
    from spacy_attn.methods import SENSE_MODEL
    from spacy_attn.wsd.inventory.wordnet import WordNetInventory
    from spacy_attn.wsd.methods.attention_wordnet import SenseVectors

    if not isinstance(task.inventory, WordNetInventory):
        return None
    seen = SenseVectors.load(SENSE_MODEL).seen
    return lambda sense: bool(seen[sense.row])


def _make_folder(output: Path | None) -> None:
    if output is None:
        return
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResourceError(f"-o {output} cannot be made: {error.strerror}") from error


def _inventory_file(task: Task, source: str) -> Path:
    from spacy_attn.methods import DATA
    from spacy_attn.wsd.inventory.wordnet import WordNetInventory

    if isinstance(task.inventory, WordNetInventory):
        return task.inventory.path
    bundled = DATA / f"{source}.jsonl"
    return bundled if bundled.is_file() else Path(source)


def _write(
    path: Path, result: dict[str, Any], files: Sequence[Path], command: str, *, in_process: bool
) -> None:
    """Write the results with their manifest; the file has its name only when it is whole."""
    from spacy_attn.compare.manifest import manifest
    from spacy_attn.compare.runner import to_json

    result["manifest"] = manifest(command, files, seed=0, in_process=in_process)
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(to_json(result), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise ResourceError(f"{path} cannot be written: {error.strerror}") from error


# -- what is shown --------------------------------------------------------------------------


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each system; silent where stderr is not a terminal."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    )  # fmt: skip
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks: dict[str, Any] = {}

        def show(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(visible(name), total=None)
            bars.update(tasks[name], completed=done, total=total or None)

        yield show


def _print(result: dict[str, Any], errors: Console) -> None:
    from spacy_attn.compare.report import group_grids, headline_grid, notes

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _ONE_LINE  # a row is a line for programs
    for grid in [headline_grid(result, tests=True), *group_grids(result)]:
        console.print(_table(grid))
    for sentence in notes(result):
        errors.print(f"[yellow]note:[/] {visible(sentence)}", soft_wrap=True)
    if "tune" in result:
        _print_tuning(result["tune"], console, errors)


def _table(grid: Grid) -> Table:
    table = Table(title=visible(grid.title), title_justify="left")
    for i, head in enumerate(grid.heads):
        table.add_column(visible(head), justify="left" if i == 0 else "right", no_wrap=i > 0)
    for row, is_published in zip(grid.rows, grid.published, strict=True):
        table.add_row(*map(visible, row), style="dim" if is_published else "")
    return table


def _print_tuning(tuned: dict[str, Any], console: Console, errors: Console) -> None:
    wished = tuned["wished"]
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
