"""The registry of sense methods.

A method is named in a config by a short name (``"lesk"``: its newest version) or by its
registered one (``{"@sense_methods": "spacy_attn.lesk.v1"}``), which also takes arguments.
Others register theirs under the entry point group ``spacy_attn_sense_methods``, or with
``@registry.sense_methods("NAME")``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from importlib.resources import files
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, TypeAlias

import catalogue
from spacy.util import registry

from spacy_attn.errors import ConfigError, SpacyAttnError, allowed_names, did_you_mean
from spacy_attn.models import (
    glove_files,
    model_files,
    resolve_encoder,
    sense_model_file,
    senses_for,
)
from spacy_attn.wsd.method import BuiltInMethod, SenseMethod

__all__ = [
    "DATA",
    "SELF_ATTENTION_MODEL",
    "SENSE_MODEL",
    "MethodSpec",
    "check_arguments",
    "files_of",
    "registry",
    "sense_method",
    "sense_model_of",
    "short_names",
    "weights_of",
    "with_model",
]

#: A name, or what stands behind ``method =`` in a config.
MethodSpec: TypeAlias = str | dict[str, Any]

_NAMESPACE = ("spacy_attn", "sense_methods")
if not hasattr(registry, "sense_methods"):
    registry.sense_methods = catalogue.create(  # type: ignore[attr-defined]
        *_NAMESPACE, entry_points=True
    )

DATA = Path(str(files("spacy_attn") / "data"))
SENSE_MODEL = DATA / "senses_minilm.safetensors"
SELF_ATTENTION_MODEL = DATA / "self_attention.safetensors"
_OWN = re.compile(r"spacy_attn\.(\w+)\.v(\d+)")
# In tables and messages the cheapest come first, and those that are not named here last.
_CHEAPEST_FIRST = (
    "random",
    "first_sense",
    "lesk",
    "lesk_extended",
    "tfidf",
    "word2vec",
    "self_attention",
    "cascade",
    "attention",
    "ensemble",
)


def short_names() -> dict[str, str]:
    """Short names, cheapest first, and the newest version of each."""
    newest: dict[str, int] = {}
    for registered in _registered():
        if own := _OWN.fullmatch(registered):
            newest[own[1]] = max(int(own[2]), newest.get(own[1], 0))
    known = [name for name in _CHEAPEST_FIRST if name in newest]
    order = known + sorted(set(newest) - set(known))
    return {name: f"spacy_attn.{name}.v{newest[name]}" for name in order}


def _registered() -> set[str]:
    """All registered names; no module is imported for it."""
    points = catalogue.AVAILABLE_ENTRY_POINTS.select(group="_".join(_NAMESPACE))
    own = {key[-1] for key in catalogue.REGISTRY if key[:-1] == _NAMESPACE}
    return own | {point.name for point in points}


def sense_method(
    method: str | dict[str, Any] | SenseMethod, setting: str = "method"
) -> SenseMethod:
    """The method of a short or registered name; an object is given back as it is.

    Args:
        method: the name, ``{"@sense_methods": NAME, ARGUMENT: ...}``, or the object.
        setting: what the name was given as, for the error.

    Raises:
        ConfigError: no such method, or a setting that it does not have.
    """
    known = registry.sense_methods  # type: ignore[attr-defined]
    if isinstance(method, dict) and "@sense_methods" in method:
        return _resolve(method, setting)
    if isinstance(method, str):
        name = short_names().get(method, method)
        if name in known:
            made: SenseMethod = known.get(name)()
            return made
    elif not isinstance(method, dict) and callable(getattr(method, "prepare", None)):
        return method
    short = short_names()
    names = [*short, *sorted(_registered() - set(short.values()))]
    near = did_you_mean(method, names) or did_you_mean(method, short.values())
    parts = re.split(r"[,;\s]+", method) if isinstance(method, str) else []
    if len(parts) > 1 and set(parts) <= {*names, *short.values()}:
        near = "; give one of them: several are for --methods A,B of compare and senses"
    shown = repr(method)
    if isinstance(method, dict):
        shown = (
            f'{json.dumps(method, default=repr)} has no "@sense_methods", which names the method'
        )
    raise ConfigError(
        f"{setting} = {shown}; allowed are {', '.join(names)}, or "
        f'{{"@sense_methods": "NAME", ...}}{near}'
    )


def with_model(methods: Sequence[Any], model: str | None) -> list[Any]:
    """Methods with another encoder, where they have one, as a config writes them.

    >>> with_model(["lesk", "attention"], "accurate")
    ['lesk', {'@sense_methods': 'spacy_attn.attention.v1', 'model': 'accurate'}]

    Args:
        methods: names; what is given in another way is left as it is.
        model: the argument ``model`` of those that need an encoder; None leaves them as they are.

    Raises:
        ConfigError: none of them has an encoder.
    """
    if model is None:
        return list(methods)
    newest = short_names()
    names = [newest.get(method, method) if isinstance(method, str) else "" for method in methods]
    takes = [_needs_encoder(name) for name in names]
    if not any(takes):
        others = sorted(short for short, name in newest.items() if _needs_encoder(name))
        raise ConfigError(
            f"model = {model!r} does not work with {', '.join(map(str, methods))}; leave it out, "
            f"or name a method with an encoder: {', '.join(others)}"
        )
    return [
        {"@sense_methods": name, "model": model} if has_one else method
        for method, name, has_one in zip(methods, names, takes, strict=True)
    ]


def _needs_encoder(registered: str) -> bool:
    """Whether a method of this package reads the vectors of an encoder."""
    if not _OWN.fullmatch(registered) or registered not in _registered():
        return False
    method = sense_method(registered)
    return isinstance(method, BuiltInMethod) and bool(method.needs.encoders)


def _resolve(block: dict[str, Any], setting: str) -> SenseMethod:
    _check_names(block, setting)
    try:
        resolved = registry.resolve({"method": block})
    except SpacyAttnError:
        raise
    except ValueError as error:  # confection's own errors, over several lines
        reason = " ".join(str(error).split())
        raise ConfigError(f"{setting} = {json.dumps(block)} is not allowed: {reason}") from error
    return sense_method(resolved["method"], setting)


def _check_names(block: dict[str, Any], setting: str) -> None:
    """Refuse a method or an argument that is not known; spaCy's error would name no other."""
    name = block["@sense_methods"]
    known = registry.sense_methods  # type: ignore[attr-defined]
    if name not in known:
        sense_method(name, setting)
    parameters = signature(known.get(name)).parameters
    if any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for argument in block:
        if argument != "@sense_methods" and argument not in parameters:
            allowed = allowed_names(argument, parameters) if parameters else "it has none"
            raise ConfigError(f"{setting} = {name!r} has no setting {argument!r}; {allowed}")


# -- for the modules of the methods ---------------------------------------------------------


def check_arguments(temperature: float | None = None, window: int = 1) -> None:
    """Refuse what no method can take.

    Raises:
        ConfigError: says what is allowed.
    """
    if temperature is not None and not temperature > 0:
        raise ConfigError(f"temperature = {temperature}; allowed is null or a number above 0")
    if window < 1:
        raise ConfigError(f"window = {window}; allowed is 1 or more tokens each side of the word")


# -- what a method reads --------------------------------------------------------------------


def sense_model_of(encoder: str) -> str:
    """Name or path of the sense model that is used with an encoder where none is given."""
    return senses_for(encoder) or str(SENSE_MODEL)


def weights_of(method: SenseMethod) -> tuple[tuple[str, ...], tuple[Path, ...]]:
    """The models that a saved pipeline must hold: encoders, by name, and sense models.

    The bundled models are not among them, nor static vectors, nor what a user's own method reads.
    """
    if not isinstance(method, BuiltInMethod):
        return (), ()
    own = (SENSE_MODEL, SELF_ATTENTION_MODEL)
    return method.needs.encoders, tuple(path for path in method.needs.models if path not in own)


def files_of(method: SenseMethod) -> list[Path] | None:
    """The files with weights and vectors that a method reads; None of a user's own method.

    Raises:
        ResourceError: one is not on this machine.
    """
    if not isinstance(method, BuiltInMethod):
        return None
    needs = method.needs
    files = [file for name in needs.encoders for file in model_files(resolve_encoder(name).path)]
    files += map(sense_model_file, needs.models)
    for name in needs.vectors:
        own = [] if name is None else [Path(name)]
        if own and own[0].is_dir():  # vectors of train-word2vec
            own = [file for file in own[0].rglob("*") if file.is_file()]
        files += glove_files() if name is None else own
    return list(dict.fromkeys(files))
