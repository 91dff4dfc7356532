"""The settings of an encoder, checked when they are made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from spacy_attn.errors import ConfigError, allowed_names
from spacy_attn.models import DEFAULT_ENCODER, encoder_name

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("float32", "bfloat16", "float16", "int8", "auto")
UNITS = ("document", "passage", "sentence")


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """Everything that decides the vectors of an encoder, and how it is run.

    Raises:
        ConfigError: a value is not allowed.
    """

    model: str = DEFAULT_ENCODER  # "accurate" stands for the encoder of that sense model
    layers: tuple[int, ...] = (-1,)  # averaged; 0 is the embedding layer, -1 the last
    adapter: str | None = None  # path of a sense model whose low-rank weights are merged in
    strength: float = 1.0  # what the adapter's change is multiplied by
    precision: str = "float32"
    window: int = 256  # pieces of a window, special tokens included
    overlap: int = 64  # pieces that neighbouring windows share at least
    unit: str = "document"  # what is read together: or "passage", "sentence"
    batch_pieces: int = 1024  # pieces of a batch, padding included
    side_pieces: int = 64  # each side of what is read, where not everything is
    device: str = "auto"

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", encoder_name(self.model))
        if self.precision not in PRECISIONS:
            raise ConfigError(
                f"precision = {self.precision!r}; {allowed_names(self.precision, PRECISIONS)}"
            )
        if not self.device.startswith(DEVICES):
            raise ConfigError(f"device = {self.device!r}; {allowed_names(self.device, DEVICES)}")
        if self.unit not in UNITS:
            raise ConfigError(f"unit = {self.unit!r}; {allowed_names(self.unit, UNITS)}")
        if not self.layers:
            raise ConfigError("layers = []; give at least one layer, such as [-1] for the last")
        if self.batch_pieces < 1:
            raise ConfigError(f"batch_pieces = {self.batch_pieces}; allowed is 1 or more")
        if not 0.0 <= self.strength <= 1.0:
            raise ConfigError(f"strength = {self.strength}; allowed is 0 (none) to 1 (all of it)")
        if self.side_pieces < 0:
            raise ConfigError(f"side_pieces = {self.side_pieces}; allowed is 0 or more wordpieces")
        check_window(self.window, self.overlap)


def check_window(window: int, overlap: int) -> None:
    """Refuse windows that cannot be cut.

    Raises:
        ConfigError: window or overlap is outside its range.
    """
    if window < 1 or not 0 <= overlap < window:
        raise ConfigError(
            f"window = {window} and overlap = {overlap}: allowed are window >= 1 "
            "and 0 <= overlap < window"
        )


def differing_settings(one: str, other: str, names: Mapping[str, str]) -> list[str]:
    """What to set so that the encoder of one identity gives the vectors of another.

    Args:
        one: such as ``MiniLM@1f3a/adapter@none/layers@6/document/float32``.
        other: the same of another encoder, or the identity of something else.
        names: what a config calls models, by their name or hash in an identity.

    Returns:
        Such as ``["adapter = 'senses'", "strength = 0.5"]``; nothing where no setting helps.
    """
    ours, theirs = _settings_in(one, names), _settings_in(other, names)
    changed = {name for name, value in theirs.items() if ours.get(name) != value}
    if "adapter" in changed:
        changed.add("unit")  # whose default depends on it
    return [f"{name} = {value}" for name, value in theirs.items() if name in changed]


_IDENTITY = re.compile(
    r"(.+)@\w+/adapter@([^/x]+)(?:x([^/]+))?/layers@([\d,]+)/(\w+)/(\w+)"  # as encoders write it
)


def _settings_in(identity: str, names: Mapping[str, str]) -> dict[str, str]:
    """The settings of the encoder with an identity; nothing of what is no encoder."""
    found = _IDENTITY.fullmatch(identity)
    if found is None:
        return {}
    model, adapter, strength, layers, unit, precision = found.groups()
    precision = precision.partition("x")[0]  # int8 and the hash of its scales
    settings = {"model": repr(names.get(model, model)), "adapter": "null"}
    if adapter != "none":
        settings["adapter"] = repr(names.get(adapter, adapter))
        settings["strength"] = strength or "1"
    return {
        **settings,
        "layers": f"[{layers}]",
        "unit": repr(unit),
        "precision": repr(precision),
    }
