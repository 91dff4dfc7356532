"""``spacy-attn doctor``: what is here, whether it is whole, and what mends the rest."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spacy_attn import models
from spacy_attn.models import Kind

__all__ = ["Finding", "doctor", "examine"]

Need: TypeAlias = Literal["required", "recommended", "optional"]
State: TypeAlias = Literal["found", "missing", "wrong"]
Hash: TypeAlias = Literal["right", "wrong", "not checked"]

REINSTALL = "pip install --force-reinstall --no-deps spacy-attn"
INSTALL_WORDNET = "apt-get install wordnet-base wordnet-sense-index"
INSTALL_NLTK_DATA = "python -m nltk.downloader maxent_ne_chunker_tab words"

# Shown where the package is not installed and so has no metadata to read them from.
PACKAGES = (
    "spacy",
    "numpy",
    "torch",
    "transformers",
    "safetensors",
    "gensim",
    "nltk",
    "scikit-learn",
    "scipy",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the examination."""

    group: str  # models, data, packages or processor
    name: str
    state: State
    need: Need
    detail: str = ""  # where it comes from, or its version
    path: str | None = None
    hash: Hash | None = None  # None where there is nothing to hash
    repair: str | None = None  # the command that mends it

    @property
    def fails(self) -> bool:
        """Whether the default pipeline suffers.

        It needs what is required, and uses what is recommended where that is installed;
        a damaged file of either stops it.
        """
        if self.need == "required":
            return self.state != "found"
        return self.need == "recommended" and self.state == "wrong"


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Show which models and data are here, and the command that mends what is missing.

    Exit code 0 when everything that the default pipeline needs is here and whole, else 1.
    """
    findings = examine()
    failing = [finding for finding in findings if finding.fails]
    if as_json:
        checks = [asdict(finding) | {"fails": finding.fails} for finding in findings]
        typer.echo(json.dumps({"ok": not failing, "checks": checks}, indent=2))
    else:
        _show(findings, failing)
    if failing:
        raise typer.Exit(1)


def examine() -> list[Finding]:
    """Look at everything; nothing is downloaded or repaired."""
    return [*_models(), *_data(), *_packages(), *_processor()]


# -- what is looked at ---------------------------------------------------------------------


def _models() -> Iterator[Finding]:
    yield _model("encoder", models.DEFAULT_ENCODER, "encoder", "required")
    yield _model("accurate encoder", models.ACCURATE_ENCODER, "encoder", "optional")
    yield _model("spaCy pipeline", models.DEFAULT_PIPELINE, "pipeline", "recommended")
    yield _model("static vectors", models.GLOVE, "vectors", "optional")


def _model(label: str, name: str, kind: Kind, need: Need) -> Finding:
    label = f"{label} {name}"
    found = models.locate(name, kind)
    if found is None:
        repair = models.repair_command(name, kind)
        return Finding("models", label, "missing", need, repair=repair)
    repair = models.repair_command(name, kind, found.source)
    path = str(found.path)
    try:
        wrong = models.wrong_files(found)
    except OSError as error:
        detail = f"cannot be read: {error.strerror}"
        return Finding("models", label, "wrong", need, detail, path, "not checked", repair)
    if wrong:
        detail = f"{found.source}; damaged: {', '.join(file.name for file in wrong)}"
        return Finding("models", label, "wrong", need, detail, path, "wrong", repair)
    checked: Hash = "right" if models.pinned_files(found) else "not checked"
    return Finding("models", label, "found", need, found.source, path, checked)


def _data() -> Iterator[Finding]:
    folder = Path(models.__file__).parent / "data"
    yield _own_file(folder / "homographs.jsonl", "inventory homographs", "required")
    sense_models = sorted(folder.glob("*.safetensors"))
    for path in sense_models or [folder / "sense_model.safetensors"]:
        yield _own_file(path, f"sense model {path.stem}", "recommended")
    yield _wordnet()
    yield _nltk_data()


def _own_file(path: Path, label: str, need: Need) -> Finding:
    """A file that the package brings along."""
    if not path.is_file():
        return Finding("data", label, "missing", need, path=str(path), repair=REINSTALL)
    detail = f"{path.stat().st_size / 1e6:.1f} MB"
    if path.suffix == ".safetensors" and not _is_whole(path):
        detail += "; not a whole safetensors file"
        return Finding("data", label, "wrong", need, detail, str(path), "not checked", REINSTALL)
    return Finding("data", label, "found", need, detail, str(path), "not checked")


def _is_whole(path: Path) -> bool:
    """Whether a safetensors file has the length that its header tells.

    The format: 8 bytes with the length of the header, little endian; the header in JSON,
    with the byte range of each tensor; the tensors without gaps.
    """
    try:
        with path.open("rb") as file:
            n_header = int.from_bytes(file.read(8), "little")
            if n_header > path.stat().st_size:
                return False
            header = json.loads(file.read(n_header))
        tensors = [entry for name, entry in header.items() if name != "__metadata__"]
        end = max((int(entry["data_offsets"][1]) for entry in tensors), default=0)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return path.stat().st_size == 8 + n_header + end


def _wordnet() -> Finding:
    from spacy_attn.senses.wordnet import find_wordnet

    path = find_wordnet()
    if path is None:
        detail = "or set SPACY_ATTN_WORDNET to a folder with index.sense and data.*"
        return Finding("data", "WordNet", "missing", "optional", detail, repair=INSTALL_WORDNET)
    return Finding("data", "WordNet", "found", "optional", "", str(path), "not checked")


def _nltk_data() -> Finding:
    try:
        import nltk

        places = [Path(place) for place in nltk.data.path]
    except ImportError:
        places = []
    for place in places:
        if place.is_dir() and any(place.glob("*/*")):
            return Finding("data", "NLTK data", "found", "optional", "", str(place), "not checked")
    return Finding("data", "NLTK data", "missing", "optional", repair=INSTALL_NLTK_DATA)


def _packages() -> Iterator[Finding]:
    """What the metadata of this package asks for, and which versions are installed."""
    from importlib.metadata import PackageNotFoundError, distribution
    from importlib.metadata import version as version_of

    from packaging.requirements import Requirement

    try:
        own = distribution("spacy-attn")
        lines = own.requires or []
        detail, path = own.version, str(own.locate_file(""))
        yield Finding("packages", "spacy-attn", "found", "required", detail, path)
    except PackageNotFoundError:
        lines = list(PACKAGES)
        path = str(Path(models.__file__).parent)
        yield Finding("packages", "spacy-attn", "found", "required", "not installed", path)
    seen = set()
    for requirement in map(Requirement, lines):
        marker = requirement.marker
        needed = marker is None or marker.evaluate({"extra": ""})
        if requirement.name in seen or (not needed and "extra" not in str(marker)):
            continue
        seen.add(requirement.name)
        need: Need = "required" if needed else "optional"
        repair = f'pip install "{requirement.name}{requirement.specifier}"'
        try:
            version = version_of(requirement.name)
        except PackageNotFoundError:
            yield Finding("packages", requirement.name, "missing", need, repair=repair)
            continue
        if requirement.specifier.contains(version, prereleases=True):
            yield Finding("packages", requirement.name, "found", need, version)
        else:
            detail = f"{version}; needed is {requirement.specifier}"
            yield Finding("packages", requirement.name, "wrong", need, detail, repair=repair)


# Flags of /proc/cpuinfo that decide how fast a precision runs; the first two multiply bfloat16.
_CPU_FLAGS = ("amx_bf16", "avx512_bf16", "avx512_vnni", "avx_vnni", "avx512f", "avx2")
_ARM_FLAGS = ("bf16", "i8mm", "asimddp", "sve")


def _processor() -> Iterator[Finding]:
    flags = _cpu_flags()
    features = [flag for flag in (*_CPU_FLAGS, *_ARM_FLAGS) if flag in flags]
    detail = ", ".join(features) or "unknown"
    yield Finding("processor", "features", "found", "optional", detail)
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: a shared library of it is missing
        detail = f"torch cannot be loaded: {error}"
        repair = "pip install --force-reinstall torch"
        yield Finding("processor", "torch", "wrong", "required", detail, repair=repair)
        return
    native = any(flag in flags for flag in ("amx_bf16", "avx512_bf16", "bf16"))
    if native and _torch_runs_bfloat16():
        detail = "in hardware: precision = 'bfloat16' is the fast setting here"
    elif _torch_runs_bfloat16():
        detail = "emulated: keep precision = 'float32'"
    else:
        detail = "not supported: keep precision = 'float32'"
    yield Finding("processor", "bfloat16", "found", "optional", detail)
    detail = f"{torch.get_num_threads()} for torch, {_n_cores()} cores usable"
    yield Finding("processor", "threads", "found", "optional", detail)


def _cpu_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        return set()
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return set(value.split())
    return set()


def _torch_runs_bfloat16() -> bool:
    import torch

    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):  # a build without oneDNN
        return False


def _n_cores() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# -- how it is shown -----------------------------------------------------------------------

_STYLES: dict[str, str] = {"found": "green", "missing": "yellow", "wrong": "red"}


def _show(findings: list[Finding], failing: list[Finding]) -> None:
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "state", "detail", "hash", "path"):
        table.add_column(heading, overflow="fold")
    group = ""
    for finding in findings:
        if finding.group != group:
            group = finding.group
            table.add_row(f"[bold cyan]{group}[/]")
        table.add_row(*_row(finding))
    if not console.is_terminal:
        # A file or a pipe has no width; a path broken in two could not be copied.
        console.width = max(console.width, console.measure(table).maximum)
    console.print(table)
    for finding in findings:
        if finding.repair is not None and (finding.need != "optional" or finding.state == "wrong"):
            _print_repair(console, finding)
    optional = [f for f in findings if f.repair and f.need == "optional" and f.state == "missing"]
    for finding in optional:
        _print_repair(console, finding)
    console.print()
    if failing:
        names = ", ".join(finding.name for finding in failing)
        console.print(f"[bold red]The default pipeline cannot run:[/] {escape(names)}", soft_wrap=True)
    else:
        console.print("[bold green]Everything that the default pipeline needs is here.[/]")


def _row(finding: Finding) -> tuple[str, ...]:
    style = _STYLES[finding.state]
    if finding.state == "missing" and finding.fails:
        style = "red"
    state = f"[{style}]{finding.state}[/]"
    if finding.state == "missing":
        state += f" ({finding.need})"
    hash_style = {"right": "green", "wrong": "red"}.get(finding.hash or "", "dim")
    return (
        f"  {escape(finding.name)}",
        state,
        escape(finding.detail),
        f"[{hash_style}]{finding.hash or ''}[/]",
        escape(finding.path or ""),
    )


def _print_repair(console: Console, finding: Finding) -> None:
    line = f"[bold]{escape(finding.name)}[/] ({finding.state}): {escape(finding.repair or '')}"
    console.print(line, soft_wrap=True)
