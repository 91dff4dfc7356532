"""What decides the output of a job: its options, versions, inputs, and every file that is read.

The files are those of the pipeline, of what its configuration names, and what components and
methods read without being told: the encoder, the vectors, WordNet, the package's own data.
"""

from __future__ import annotations

import hashlib
import inspect
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spacy_attn.errors import ConfigError, ResourceError
from spacy_attn.files import sha256_of
from spacy_attn.jobs.sources import Source
from spacy_attn.models import (
    DEFAULT_ENCODER,
    encoder_name,
    file_sha256,
    glove_files,
    known_model,
    resolve_encoder,
    resolve_pipeline,
    sense_model_file,
    senses_for,
)
from spacy_attn.wsd.inventory.wordnet_files import find_wordnet

if TYPE_CHECKING:
    from spacy_attn.jobs.annotator import Annotator

_PACKAGES: Final = ("spacy-attn", "spacy", "torch", "numpy", "transformers")
_DATA: Final = Path(__file__).parent.parent / "data"


def describe_job(
    sources: Sequence[Source], annotator: Annotator, options: Mapping[str, Any]
) -> dict[str, Any]:
    """All that decides the output, as plain data; reads each file once for its hash.

    Raises:
        OSError: a file cannot be read.
    """
    return {
        "inputs": [_describe_source(source) for source in sources],
        "pipeline": _describe_pipeline(annotator),
        "inventory": annotator.inventory,
        "method": annotator.method,
        "fields": list(annotator.added),
        "spans_key": annotator.spans_key,
        "unwrap": annotator.unwrap,
        **annotator.more_settings,
        "files": {name: _hash_of(path) for name, path in _files_read(annotator).items()},
        **options,
        **{package: _version_of(package) for package in _PACKAGES},
    }


def _version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _describe_source(source: Source) -> dict[str, Any]:
    sha256 = sha256_of(source.name) if source.is_file else ""
    described = {"name": source.name, "format": source.format, "sha256": sha256}
    return described | ({"partition": dict(source.partition)} if source.partition else {})


def _describe_pipeline(annotator: Annotator) -> dict[str, Any]:
    factory = annotator.factory
    if factory is not None:
        maker = f"{factory.__module__}.{getattr(factory, '__qualname__', repr(factory))}"
        return {"factory": maker, "name": annotator.pipeline}
    return {"name": resolve_pipeline(annotator.pipeline)}


# -- every file that is read -------------------------------------------------------------


def _files_read(annotator: Annotator) -> dict[str, Path]:
    """Files and folders, by what they are."""
    found: dict[str, Path] = {}
    if annotator.code is not None:
        found[f"the code {annotator.code}"] = Path(annotator.code)
    if annotator.corrections is not None:
        found[f"the corrections {annotator.corrections}"] = Path(annotator.corrections)
    settings: list[object] = [annotator.inventory, annotator.method, annotator.backoff]
    if annotator.factory is not None:
        source = inspect.getsourcefile(inspect.unwrap(annotator.factory))
        if source is not None and os.path.isfile(source):
            found["the module of the factory"] = Path(source)
        settings.append(annotator.pipeline)
    else:
        folder = _pipeline_folder(annotator)
        if folder is not None:
            found["the pipeline"] = folder
            settings.append(_config(folder))
        found |= _default_files()
        found["the package's data"] = _DATA
    for value in _strings(settings):
        if _is_path(value):
            found[value] = Path(value)
        elif value == "wordnet" and (wordnet := find_wordnet()) is not None:
            found["WordNet"] = wordnet
        elif known_model(value) is not None or value.count("/") == 1:
            found |= _encoder(value)
    return found


def _pipeline_folder(annotator: Annotator) -> Path | None:
    name = resolve_pipeline(annotator.pipeline)
    if name is None or name.startswith("blank:"):
        return None
    if Path(name).is_dir():
        return Path(name)
    spec = find_spec(name)
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    return Path(places[0]) if places else None


def _config(folder: Path) -> dict[str, Any]:
    """The settings of the components; an installed package holds its pipeline in a folder."""
    from spacy.util import load_config

    for path in [folder / "config.cfg", *sorted(folder.glob("*/config.cfg"))]:
        if path.is_file():
            settings: dict[str, Any] = load_config(path).get("components", {})
            return settings
    return {}


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)


def _is_path(value: str) -> bool:
    """Whether a setting names a file, or a folder by more than a bare word."""
    return os.path.isfile(value) or (os.sep in value and os.path.isdir(value))


def _encoder(name: str) -> dict[str, Path]:
    """The folder of an encoder, by its name, and that of a sense model that is its own."""
    found: dict[str, Path] = {}
    senses = senses_for(encoder_name(name))
    with suppress(ResourceError, ConfigError):  # a classic method needs none
        found[f"the encoder {name}"] = resolve_encoder(name).path
    if senses is not None:
        with suppress(ResourceError):  # a method that needs it says so when it loads
            found[f"the sense model {senses}"] = sense_model_file(senses).parent
    return found


def _default_files() -> dict[str, Path]:
    """What is read where no setting names another."""
    found = _encoder(DEFAULT_ENCODER)
    try:
        return found | {f"the vectors {path.name}": path for path in glove_files()}
    except ResourceError:
        return found


def _hash_of(path: Path) -> str:
    """Of a file, or of the names and hashes of a folder's files."""
    if path.is_file():
        return file_sha256(path)
    digest = hashlib.sha256()
    for each in sorted(path.rglob("*")):
        if each.is_file() and each.suffix != ".pyc":
            digest.update(f"{each.relative_to(path)} {file_sha256(each)}\n".encode())
    return digest.hexdigest()
