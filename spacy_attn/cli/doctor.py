"""``spacy-attn doctor``: what is here, whether it is whole, and what mends the rest."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer
from packaging.requirements import Requirement
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spacy_attn import models
from spacy_attn.models import Kind
from spacy_attn.wsd.inventory import wordnet_files

__all__ = ["Finding", "doctor", "examine"]

Need: TypeAlias = Literal["required", "recommended", "optional"]
State: TypeAlias = Literal["found", "missing", "wrong"]
Hash: TypeAlias = Literal["right", "wrong", "not checked"]

REINSTALL = "pip install --force-reinstall --no-deps spacy-attn"
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
    found = models.locate(name, kind)
    if found is None:
        repair = models.repair_command(name, kind)
        return Finding("models", label, "missing", need, name, repair=repair)
    path, detail = str(found.path), f"{name}, from: {found.source}"
    repair = models.repair_command(name, kind, found.source)
    try:
        wrong = models.wrong_files(found)
    except OSError as error:
        detail += f"; cannot be read: {error.strerror}"
        return Finding("models", label, "wrong", need, detail, path, "not checked", repair)
    if wrong:
        detail += f"; damaged: {', '.join(file.name for file in wrong)}"
        return Finding("models", label, "wrong", need, detail, path, "wrong", repair)
    checked: Hash = "right" if models.pinned_files(found) else "not checked"
    return Finding("models", label, "found", need, detail, path, checked)


def _data() -> Iterator[Finding]:
    folder = Path(models.__file__).parent / "data"
    yield _own_file(folder / "homographs.jsonl", "homographs", "required")
    yield _own_file(folder / "wordnet.npz", "lexicon of WordNet 3.0", "optional")
    sense_models = sorted(folder.glob("*.safetensors"))
    for path in sense_models or [folder / "senses_minilm.safetensors"]:
        yield _own_file(path, f"sense model {path.stem}", "recommended")
    yield _wordnet()
    yield _nltk_data()


def _own_file(path: Path, label: str, need: Need) -> Finding:
    """A file that the package brings along."""
    if not path.is_file():
        return Finding("data", label, "missing", need, path=str(path), repair=REINSTALL)
    detail = f"{path.stat().st_size / 1e6:.1f} MB"
    whole = _WHOLE.get(path.suffix)
    if whole is not None and not whole(path):
        detail += f"; not a whole {path.suffix[1:]} file"
        return Finding("data", label, "wrong", need, detail, str(path), "not checked", REINSTALL)
    return Finding("data", label, "found", need, detail, str(path), "not checked")


def _is_whole_archive(path: Path) -> bool:
    """Whether a NumPy archive can be read to its end and its checksums are right."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, ValueError, EOFError, zlib.error, zipfile.BadZipFile):
        return False


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


_WHOLE: dict[str, Callable[[Path], bool]] = {
    ".safetensors": _is_whole,
    ".npz": _is_whole_archive,
}

_LEFT_OUT = "definitions are left out; senses work"


def _wordnet() -> Finding:
    """The user's WordNet, which definitions and example sentences are read from."""
    path = wordnet_files.find_wordnet()
    first, *others = _wordnet_repairs()
    if path is None:
        detail = "; or: ".join([_LEFT_OUT, *others, "set SPACY_ATTN_WORDNET to its folder"])
        return Finding("data", "WordNet", "missing", "optional", detail, repair=first)
    problem = _wordnet_problem(path)
    if problem:
        detail = f"{problem}; {_LEFT_OUT}; or: set SPACY_ATTN_WORDNET to another folder"
        return Finding("data", "WordNet", "wrong", "optional", detail, str(path), repair=first)
    detail = "index.sense and data.* are there"
    return Finding("data", "WordNet", "found", "optional", detail, str(path), "not checked")


def _wordnet_problem(folder: Path) -> str:
    """What keeps a folder's definitions from being read; empty for nothing."""
    names = ["index.sense", *(f"data.{pos}" for pos in ("noun", "verb", "adj", "adv"))]
    missing = [name for name in names if not _holds_something(folder / name)]
    if missing:
        return f"missing or empty: {', '.join(missing)}"
    with (folder / "data.noun").open(encoding="utf-8", errors="replace") as file:
        found = re.search(r"WordNet (\d+\.\d+)", file.read(4000))  # in the licence at its start
    if found and found[1] != "3.0":
        return f"it is WordNet {found[1]}, needed is 3.0"
    return ""


def _holds_something(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def _wordnet_repairs() -> list[str]:
    """Commands that install WordNet, the one that fits this machine best first."""
    corpora = Path.home() / "nltk_data" / "corpora"
    # NLTK downloads WordNet as a zip file and leaves it packed.
    unpack = f"python -m zipfile -e {{}} {shlex.quote(str(corpora))}"
    for place in _nltk_places():
        zipped = place / "corpora" / "wordnet.zip"
        if zipped.is_file():
            return [unpack.format(shlex.quote(str(zipped)))]
    download = f"python -m nltk.downloader -d {shlex.quote(str(corpora.parent))} wordnet"
    with_nltk = f"{download} && {unpack.format(shlex.quote(str(corpora / 'wordnet.zip')))}"
    return [wordnet_files.INSTALL_WORDNET, with_nltk] if shutil.which("apt-get") else [with_nltk]


def _nltk_places() -> list[Path]:
    try:
        import nltk
    except ImportError:
        return []
    return [Path(place) for place in nltk.data.path]


def _nltk_data() -> Finding:
    for place in _nltk_places():
        if place.is_dir() and any(place.glob("*/*")):
            return Finding("data", "NLTK data", "found", "optional", "", str(place), "not checked")
    return Finding("data", "NLTK data", "missing", "optional", repair=INSTALL_NLTK_DATA)


def _packages() -> Iterator[Finding]:
    """What the metadata of this package asks for, and which versions are installed."""
    try:
        own = distribution("spacy-attn")
    except PackageNotFoundError:
        path = str(Path(models.__file__).parent)
        detail = "runs from its source; spaCy does not know its factories"
        repair = "pip install -e ."
        yield Finding(
            "packages", "spacy-attn", "missing", "recommended", detail, path, repair=repair
        )
        yield from (_package(Requirement(name), "required") for name in PACKAGES)
        return
    path = str(own.locate_file(""))
    yield Finding("packages", "spacy-attn", "found", "required", own.version, path)
    seen = set()
    extras = [e for e in own.metadata.get_all("Provides-Extra") or [] if e != "dev"]
    for requirement in map(Requirement, own.requires or []):
        marker = requirement.marker
        needed = marker is None or marker.evaluate({"extra": ""})
        wanted = needed or (marker and any(marker.evaluate({"extra": e}) for e in extras))
        if wanted and requirement.name not in seen:
            seen.add(requirement.name)
            yield _package(requirement, "required" if needed else "optional")


def _package(requirement: Requirement, need: Need) -> Finding:
    name, specifier = requirement.name, requirement.specifier
    repair = f'pip install "{name}{specifier}"'
    try:
        installed = version(name)
    except PackageNotFoundError:
        return Finding("packages", name, "missing", need, repair=repair)
    if specifier.contains(installed, prereleases=True):
        return Finding("packages", name, "found", need, installed)
    detail = f"{installed}; needed is {specifier}"
    return Finding("packages", name, "wrong", need, detail, repair=repair)


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
    yield Finding("processor", "precision", "found", "optional", _picked())
    detail = f"{torch.get_num_threads()} for torch, {_n_cores()} cores usable"
    yield Finding("processor", "threads", "found", "optional", detail)


def _picked() -> str:
    """What "auto" means on this machine, and whether the fast layers are there."""
    import torch

    from spacy_attn.encoder.device import pick_device, pick_precision
    from spacy_attn.encoder.packed import fused_linear_works

    device = pick_device("auto")
    precision = pick_precision("auto", device)
    layers = ""
    if device == "cpu":
        fused = fused_linear_works(getattr(torch, precision))
        layers = ", fused linear layers of oneDNN" if fused else ", no fused linear layers"
    return f"'auto' is {precision} on {device}{layers}"


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
    """Cores that this process may use, which in a container are fewer than the machine has."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    return os.cpu_count() or 1 if affinity is None else len(affinity(0))


# -- how it is shown -----------------------------------------------------------------------

_ONE_LINE = 10_000  # columns
_STYLES: dict[State, str] = {"found": "green", "missing": "yellow", "wrong": "red"}
_HASH_STYLES: dict[Hash, str] = {"right": "green", "wrong": "red", "not checked": "dim"}


def _show(findings: list[Finding], failing: list[Finding]) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _ONE_LINE  # a path broken in two could not be copied
    table = Table(box=None, show_header=False, pad_edge=False)
    for _ in range(3):
        table.add_column(overflow="fold")
    group = ""
    for finding in findings:
        if finding.group != group:
            group = finding.group
            table.add_row(f"[bold cyan]{group}[/]")
        table.add_row(*_row(finding))
    console.print(table)
    to_mend = [finding for finding in findings if finding.state != "found"]
    if to_mend:
        console.print("\n[bold]What mends the rest[/]")
    for finding in to_mend:
        line = f"  {finding.name} ({finding.state}, {finding.need}): {finding.repair}"
        console.print(line, markup=False, soft_wrap=True)
    if failing:
        names = ", ".join(finding.name for finding in failing)
        line = f"\n[bold red]The default pipeline cannot run as it should:[/] {escape(names)}"
        console.print(line, soft_wrap=True)
    else:
        console.print("\n[bold green]Everything that the default pipeline needs is here.[/]")


def _row(finding: Finding) -> tuple[str, str, str]:
    """What it is; its state and hash; details and, on a line of its own, the path."""
    state = f"[{'red' if finding.fails else _STYLES[finding.state]}]{finding.state}[/]"
    if finding.state == "missing":
        state += f", {finding.need}"
    if finding.hash is not None:
        state += f"\n[{_HASH_STYLES[finding.hash]}]hash {finding.hash}[/]"
    lines = [escape(text) for text in (finding.detail, finding.path) if text]
    return f"  {escape(finding.name)}", state, "\n".join(lines)
