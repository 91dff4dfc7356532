"""Comparisons: systems are asked, each in a process of its own, and measured.

:func:`compare` measures systems on one task. :func:`run` does all that the command
``spacy-attn compare`` does, from a file of labelled data to ``results.json``. Experiments with
several tasks hand a plan of their own to :func:`run_systems`.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from spacy.language import Language

from spacy_attn._types import PlainData
from spacy_attn.compare.curves import (
    DRAWS,
    SIZES,
    distance_curve,
    distance_task,
    learning_points,
    learns,
)
from spacy_attn.compare.dataset import half_of, is_raganato, open_dataset, peers_of
from spacy_attn.compare.manifest import manifest
from spacy_attn.compare.process import Ask, Report, answer, own_process, quiet, this_process
from spacy_attn.compare.results import score, to_json
from spacy_attn.compare.systems import (
    MethodSystem,
    PublishedPredictions,
    check_method,
)
from spacy_attn.compare.task import Answers, System, Task, end_to_end_task, gold_task, tagged_by
from spacy_attn.compare.tune import check_precision, tune
from spacy_attn.compare.vector_map import vector_map
from spacy_attn.components.adapter import resources_of
from spacy_attn.components.pipeline import load_pipeline
from spacy_attn.errors import ConfigError, ResourceError, SpacyAttnError, allowed_names
from spacy_attn.files import atomic_write
from spacy_attn.wsd.inventory.open import load_inventory
from spacy_attn.wsd.inventory.protocol import SenseInventory
from spacy_attn.wsd.methods.attention_wordnet import SenseVectors
from spacy_attn.wsd.methods.registry import DATA, SENSE_MODEL, MethodSpec, sense_method, short_names
from spacy_attn.wsd.sense import Sense

_RESULTS = "results.json"
_HALVES = ("open", "frozen")

T = TypeVar("T")

# -- systems and what they are asked --------------------------------------------------------


def run_systems(
    systems: Mapping[str, System],
    plan: Callable[[str, Ask], T],
    *,
    in_process: bool = False,
    on_progress: Report = quiet,
) -> tuple[dict[str, T], dict[str, str]]:
    """Run a plan with each system, one after the other, each in one process of its own.

    Args:
        systems: by the names of their rows.
        plan: gets a name and what asks its system; its result is kept.
        in_process: ask them here, which measures no memory; for debugging.
        on_progress: called with a system's name and the note, texts done and all texts.

    Returns:
        What the plan gave for each system, and for those that failed the reason.

    Raises:
        ResourceError: all failed.
    """
    done: dict[str, T] = {}
    failed: dict[str, str] = {}
    for name, system in systems.items():
        is_here = in_process or isinstance(system, PublishedPredictions)
        report = partial(_report, on_progress, name)
        try:
            with (this_process if is_here else own_process)(system, report) as ask:
                done[name] = plan(name, ask)
        except SpacyAttnError as error:
            failed[name] = str(error)
    if not done:
        raise ResourceError("; ".join(f"{name}: {reason}" for name, reason in failed.items()))
    return done, failed


def _report(on_progress: Report, name: str, note: str, done: int, total: int) -> None:
    on_progress(f"{name}, {note}" if note else name, done, total)


def compare(
    task: Task,
    systems: Mapping[str, System],
    *,
    seen: Callable[[Sense], bool] | None = None,
    in_process: bool = False,
    on_progress: Report = quiet,
) -> PlainData:
    """Run systems on one task and measure them; see :func:`run_systems`, :func:`score`."""
    answers, failed = run_systems(
        systems,
        lambda name, ask: ask(answer, task),
        in_process=in_process,
        on_progress=on_progress,
    )
    return score(task, systems, answers, failed, seen)


# -- the command ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Options:
    """What ``spacy-attn compare`` can be told; its help says more of each.

    Args:
        file: labelled data; None takes the bundled test set.
        inventory: None takes the bundled one, for Raganato's XML WordNet.
        methods: methods by the names of their rows; none takes all that take the inventory.
        predictions: files of published predictions by the names of their rows.
        output: folder for ``results.json``; only with it curves and vector map are made.
        tune: precision to find a threshold for.
        pipeline: name or path of a spaCy pipeline.
        end_to_end: whether the pipeline finds the targets in plain text.
        baseline: row that the others are tested against.
        half: "open" or "frozen".
        curves: whether curves are made.
        overwrite: whether results in the folder are replaced.
        in_process: whether systems run in this process.
    """

    file: Path | None = None
    inventory: str | None = None
    methods: Mapping[str, MethodSpec] = field(default_factory=dict)
    predictions: Mapping[str, Path] = field(default_factory=dict)
    output: Path | None = None
    tune: float | None = None
    pipeline: str | None = None
    end_to_end: bool = False
    baseline: str | None = None
    half: str | None = None
    curves: bool = True
    overwrite: bool = False
    in_process: bool = False

    @property
    def source(self) -> str:
        """The inventory as it is written in a config."""
        is_xml = self.file is not None and is_raganato(self.file)
        return self.inventory or ("wordnet" if is_xml else "homographs")

    def check(self) -> None:
        """Refuse what is wrong before anything is loaded.

        Raises:
            ConfigError: names the option and its allowed values.
        """
        for spec in self.methods.values():
            sense_method(spec)
        if self.file is not None and not self.file.is_file():
            raise ConfigError(
                f"{self.file} does not exist or is no file; give labelled .jsonl or NAME.data.xml, "
                "or leave it out for the bundled test set"
            )
        for name, path in self.predictions.items():
            if not path.is_file():
                raise ConfigError(f"--predictions {name}={path}: there is no such file")
        if self.tune is not None:
            check_precision(self.tune)
            if len(self.methods) != 1:
                raise ConfigError(
                    f"--tune {self.tune} works on one method, and {len(self.methods) or 'all'} "
                    "were given; name it with --methods, such as --methods attention"
                )
        if self.output is not None and self.output.exists() and not self.output.is_dir():
            raise ConfigError(
                f"-o {self.output} is no folder; results.json is written into a folder"
            )
        if self.output is not None and (self.output / _RESULTS).exists() and not self.overwrite:
            raise ConfigError(
                f"{self.output / _RESULTS} exists; name another folder, or --overwrite to replace "
                "it"
            )
        rows = sorted({*self.methods, *self.predictions})
        if self.baseline is not None and rows and self.baseline not in rows:
            raise ConfigError(
                f"--baseline {self.baseline!r} is no row; {allowed_names(self.baseline, rows)}"
            )
        if self.half not in (None, *_HALVES):
            raise ConfigError(f"--half {self.half!r}; {allowed_names(self.half, _HALVES)}")


def run(
    options: Options,
    *,
    on_progress: Report = quiet,
    on_left_out: Callable[[str, str], None] = lambda name, reason: None,
    on_plan: Callable[[int], None] = lambda n_questions: None,
) -> PlainData:
    """Compare as the command line does, and write ``results.json`` where a folder is named.

    Args:
        options: checked here.
        on_progress: called with what is under way, the steps done and all steps.
        on_left_out: called with a method that cannot take the inventory, where all were meant,
            and the reason.
        on_plan: called once, with the number of questions to all systems.

    Returns:
        The contents of ``results.json``; without a folder it has no manifest.

    Raises:
        ConfigError: the call is wrong.
        RecordError, InventoryError: data or inventory is broken.
        ResourceError: no system ran, or the results cannot be written.
    """
    options.check()
    on_progress("reading", 0, 0)
    nlp = _pipeline(options)
    inventory = load_inventory(options.source, nlp.lang)
    specs = _usable(nlp, options, on_left_out)
    task = _task(nlp, options, inventory)
    peers = {**peers_of(task.dataset), **options.predictions}
    for name in set(peers) & set(specs):
        raise ConfigError(f"--predictions {name}=...: a method has this name; give another")
    if options.output is not None:
        _make(options.output)
    systems: dict[str, System] = {name: MethodSystem(spec) for name, spec in specs.items()}
    systems |= {name: PublishedPredictions(path) for name, path in peers.items()}
    plan = _Plan(task, specs)
    if options.output is not None and not options.end_to_end:
        plan.has_map = task.dataset.may_quote
        if options.curves:
            plan.learners = [n for n in specs if inventory.has_examples and learns(specs[n])]
            plan.far = distance_task(task, tagged_by(nlp))
    on_plan(len(systems) + len(plan.learners) + (len(specs) if plan.far is not None else 0))
    answers, failed = run_systems(
        systems, plan, in_process=options.in_process, on_progress=on_progress
    )
    result = score(task, systems, answers, failed, _seen(inventory), options.baseline)
    result |= {"end_to_end": options.end_to_end, **plan.results()}
    if options.tune is not None and not failed:
        (name,) = specs
        result["tune"] = tune(task, answers[name], specs[name], options.source, options.tune)
    if options.output is not None:
        files = [*task.dataset.files, _inventory_file(options.source), *peers.values()]
        command = _command(options, specs, peers)
        result["manifest"] = manifest(command, files, seed=0, in_process=options.in_process)
        _write(options.output / _RESULTS, to_json(result))
    return result


def _pipeline(options: Options) -> Language:
    """The pipeline that tokenises and tags, without senses of its own."""
    nlp = load_pipeline(options.pipeline, components=())
    for name, factory in nlp.pipe_factories.items():
        if factory == "sense_disambiguator":
            nlp.remove_pipe(name)
    return nlp


@dataclass(slots=True)
class _Plan:
    """What each system is asked: the task, and with a folder for results curves and the map."""

    task: Task
    specs: Mapping[str, MethodSpec]
    learners: Sequence[str] = ()
    far: Task | None = None  # cues pushed away
    has_map: bool = False
    learning: dict[str, list[PlainData]] = field(default_factory=dict)
    distance: dict[str, Answers] = field(default_factory=dict)
    vector_map: PlainData | None = None

    def __call__(self, name: str, ask: Ask) -> Answers:
        """The answers that count. What fails besides is left out."""
        answers = ask(answer, self.task)
        if name in self.learners:
            with suppress(SpacyAttnError):
                self.learning[name] = ask(learning_points, self.task, "few examples")
        if name in self.specs and self.far is not None:
            with suppress(SpacyAttnError):
                self.distance[name] = ask(answer, self.far, "cue far away")
        # Attention's map, or that of another method with an encoder where attention does not run.
        is_wanted = self.has_map and (self.vector_map is None or name == "attention")
        if is_wanted and "encoder" in answers.details:
            with suppress(SpacyAttnError):
                self.vector_map = ask(vector_map, self.task, "map") or self.vector_map
        return answers

    def results(self) -> PlainData:
        """What goes into ``results.json``."""
        out: PlainData = {}
        if self.learning:
            out["learning_curve"] = {"sizes": list(SIZES), "draws": DRAWS, "systems": self.learning}
        if self.far is not None:
            out["distance_curve"] = distance_curve(self.far, self.distance)
        if self.vector_map is not None:
            out["vector_map"] = self.vector_map
        return out


def _usable(
    nlp: Language, options: Options, on_left_out: Callable[[str, str], None]
) -> dict[str, MethodSpec]:
    """The methods, checked; where none was named all those that take the inventory."""
    found: dict[str, MethodSpec] = {}
    for name, spec in (options.methods or {name: name for name in short_names()}).items():
        try:
            check_method(nlp, options.source, spec)
        except ConfigError as error:
            if options.methods:
                raise
            on_left_out(name, str(error))
        else:
            found[name] = spec
    return found


def _task(nlp: Language, options: Options, inventory: SenseInventory) -> Task:
    """The data with the inventory's candidates."""
    tag, gold = tagged_by(nlp), {}
    if options.file is None and options.source == "wordnet":  # the set names senses of homographs
        gold = {sense.id: sense.wordnet for sense in load_inventory("homographs").senses or ()}
    dataset = open_dataset(options.file, tag, gold)
    if options.half is not None:
        dataset = half_of(dataset, frozen=options.half == "frozen")
    if options.end_to_end:
        return end_to_end_task(dataset, inventory, resources_of(nlp), tag)
    return gold_task(dataset, inventory, resources_of(nlp))


def _seen(inventory: SenseInventory) -> Callable[[Sense], bool] | None:
    """Which senses the bundled model has met in its training corpora; None where it has none."""
    if inventory.synset_of_row is None:
        return None
    seen = SenseVectors.load(SENSE_MODEL).seen
    return lambda sense: bool(seen[sense.row])


# -- files ----------------------------------------------------------------------------------


def _inventory_file(source: str) -> Path:
    bundled = (DATA / f"{source}{ending}" for ending in (".jsonl", ".npz"))
    return next(filter(Path.is_file, bundled), Path(source))


def _command(options: Options, specs: Mapping[str, MethodSpec], peers: Mapping[str, Path]) -> str:
    """The call that gives the same result, files by their names alone."""
    words = ["spacy-attn", "compare", *([options.file.name] if options.file else [])]
    words += ["--inventory", Path(options.source).name]
    named = [name for name, spec in specs.items() if name == spec]
    words += ["--methods", ",".join(named)] if named else []
    for name, spec in specs.items():
        if name != spec:
            words += ["--system", f"{name}={spec if isinstance(spec, str) else json.dumps(spec)}"]
    for name, path in peers.items():
        words += ["--predictions", f"{name}={path.name}"]
    words += ["--tune", str(options.tune)] if options.tune is not None else []
    words += ["--end-to-end"] if options.end_to_end else []
    words += ["--baseline", options.baseline] if options.baseline else []
    words += ["--half", options.half] if options.half else []
    words += [] if options.curves else ["--no-curves"]
    return shlex.join(words)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResourceError(f"-o {folder} cannot be made: {error.strerror}") from error


def _write(path: Path, text: str) -> None:
    try:
        with atomic_write(path) as file:
            file.write(text.encode("utf-8"))
    except OSError as error:
        raise ResourceError(f"{path} cannot be written: {error.strerror}") from error
