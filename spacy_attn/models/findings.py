"""What is on this machine, what is missing, and the command that fixes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from spacy_attn.models.catalogue import (
    ACCURATE,
    ACCURATE_ENCODER,
    DEFAULT_ENCODER,
    DEFAULT_PIPELINE,
    GLOVE,
    Kind,
)
from spacy_attn.models.resolve import locate, pinned_files, repair_command, wrong_files

if TYPE_CHECKING:
    from packaging.requirements import Requirement

Need: TypeAlias = Literal["required", "recommended", "optional"]
State: TypeAlias = Literal["found", "missing", "wrong"]
Hash: TypeAlias = Literal["right", "wrong", "not checked"]

_FOLDER = Path(__file__).parents[1]  # of the package

# Listed where the package is not installed and so has no metadata to read them from.
_PACKAGES = "spacy numpy torch transformers safetensors gensim nltk scikit-learn scipy".split()


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
    repair: str | None = None  # the command that fixes it

    @property
    def fails(self) -> bool:
        """Whether the default pipeline suffers.

        It needs what is required, and uses what is recommended where that is installed;
        a damaged file of either stops it.
        """
        if self.need == "required":
            return self.state != "found"
        return self.need == "recommended" and self.state == "wrong"


def examine_models() -> Iterator[Finding]:
    """The models of the default pipeline and those beside it, their hashes checked."""
    yield _model("encoder", DEFAULT_ENCODER, "encoder", "required")
    accurate = _model("accurate sense model", ACCURATE, "senses", "optional")
    encoder = _model("accurate encoder", ACCURATE_ENCODER, "encoder", "optional")
    if (accurate.state, encoder.state) == ("found", "missing"):  # who installed one wants both
        encoder = replace(encoder, need="recommended")
    yield accurate
    yield encoder
    yield _model("spaCy pipeline", DEFAULT_PIPELINE, "pipeline", "recommended")
    yield _model("static vectors", GLOVE, "vectors", "optional")


def _model(label: str, name: str, kind: Kind, need: Need) -> Finding:
    found = locate(name, kind)
    if found is None:
        repair = repair_command(name, kind)
        return Finding("models", label, "missing", need, name, repair=repair)
    path, detail = str(found.path), f"{name}, from: {found.source}"
    repair = repair_command(name, kind, found.source)
    try:
        wrong = wrong_files(found)
    except OSError as error:
        detail += f"; cannot be read: {error.strerror}"
        return Finding("models", label, "wrong", need, detail, path, "not checked", repair)
    if wrong:
        detail += f"; damaged: {', '.join(file.name for file in wrong)}"
        return Finding("models", label, "wrong", need, detail, path, "wrong", repair)
    checked: Hash = "right" if pinned_files(found) else "not checked"
    return Finding("models", label, "found", need, detail, path, checked)


def examine_packages() -> Iterator[Finding]:
    """What the metadata of this package asks for, and which versions are installed."""
    from packaging.requirements import Requirement

    try:
        own = distribution("spacy-attn")
    except PackageNotFoundError:
        path = str(_FOLDER)
        detail = "runs from its source; spaCy does not know its factories"
        repair = "pip install -e ."
        yield Finding(
            "packages", "spacy-attn", "missing", "recommended", detail, path, repair=repair
        )
        yield from (_package(Requirement(name), "required") for name in _PACKAGES)
        return
    path = str(own.locate_file(""))
    yield Finding("packages", "spacy-attn", "found", "required", own.version, path)
    requirements = [Requirement(text) for text in own.requires or []]
    extras = [e for e in own.metadata.get_all("Provides-Extra") or [] if e != "dev"]
    seen = set()
    for requirement in requirements:
        wanted_by = [extra for extra in extras if _is_of(requirement, extra)]
        needed = _is_of(requirement, "")
        if (needed or wanted_by) and requirement.name not in seen:
            seen.add(requirement.name)
            in_use = needed or any(_is_in_use(requirements, e, requirement) for e in wanted_by)
            yield _package(requirement, "required" if needed else "optional", in_use=in_use)


def _is_of(requirement: Requirement, extra: str) -> bool:
    """Whether an extra asks for it; "" is the package itself."""
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _is_in_use(requirements: Sequence[Requirement], extra: str, but: Requirement) -> bool:
    """Whether all other packages of an extra are installed: else its versions do not matter."""
    others = {
        each.name
        for each in requirements
        if _is_of(each, extra) and not _is_of(each, "") and each.name != but.name
    }
    return all(_installed(name) is not None for name in others)


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _package(requirement: Requirement, need: Need, *, in_use: bool = True) -> Finding:
    name, specifier = requirement.name, requirement.specifier
    repair = f'pip install "{name}{specifier}"'
    installed = _installed(name)
    if installed is None:
        return Finding("packages", name, "missing", need, repair=repair)
    if specifier.contains(installed, prereleases=True):
        return Finding("packages", name, "found", need, installed)
    if not in_use:  # pandas 3 without Ray and Spark
        return Finding("packages", name, "found", need, installed)
    detail = f"{installed}; needed is {specifier}"
    return Finding("packages", name, "wrong", need, detail, repair=repair)
