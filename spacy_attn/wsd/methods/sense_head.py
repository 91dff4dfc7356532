"""The trained projections of a sense model, and how such files are read."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spacy_attn._types import Floats2d
from spacy_attn.errors import ResourceError
from spacy_attn.files import regular_file
from spacy_attn.wsd.methods.occurrence import product, unit_rows

_RADIUS, _RIDGE = 25, 1.0  # of an untrained head


def read_arrays(
    path: Path, prefix: str, names: Sequence[str]
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The manifest of a safetensors file and some of its arrays, checked.

    Raises:
        Exception: it has no such array, or one with numbers that are not finite; or it is no
            safetensors file with a manifest. Files, safetensors, numpy and JSON have errors of
            their own.
    """
    from safetensors import safe_open

    with safe_open(regular_file(path), framework="numpy") as file:
        manifest = json.loads(file.metadata()["manifest"])
        arrays = {name: file.get_tensor(f"{prefix}.{name}") for name in names}
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"its weights {prefix}.{name} are not finite")
    return manifest, arrays


@dataclass(frozen=True, slots=True)
class SenseHead:
    """The trained projections and how the parts are weighed.

    *Shape:* target, context, gloss: (z width, encoder width)
    """

    target: Floats2d
    context: Floats2d
    gloss: Floats2d
    scale: float  # z . s is multiplied by it
    context_radius: int  # tokens
    ridge: float  # penalty of the regression on examples
    gloss_weight: float
    sha256: str  # of the file

    @classmethod
    def load(cls, path: Path) -> SenseHead:
        """Read a sense model made by ``spacy-attn train-senses``.

        Raises:
            ResourceError: the file is missing or no sense model.
        """
        try:
            manifest, arrays = read_arrays(path, "head", ("target", "context", "gloss", "scale"))
            target, context, gloss = (
                arrays[name].astype(np.float32) for name in ("target", "context", "gloss")
            )
            if not target.ndim == 2 or not target.shape == context.shape == gloss.shape:
                raise ValueError(f"shapes {target.shape}, {context.shape}, {gloss.shape}")
            with np.errstate(over="ignore"):
                scale = float(np.exp(arrays["scale"].astype(np.float32)[0]))
            radius = int(manifest["config"]["context_radius"])
            ridge, gloss_weight = (
                float(manifest["few_shot"][name]) for name in ("ridge", "gloss_weight")
            )
            if not (scale < math.inf and radius >= 0 and 0 <= ridge < math.inf):
                raise ValueError(f"scale {scale}, context_radius {radius}, ridge {ridge}")
            if not math.isfinite(gloss_weight):
                raise ValueError(f"gloss_weight {gloss_weight}")
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            return cls(target, context, gloss, scale, radius, ridge, gloss_weight, digest)
        except ImportError:
            raise
        except Exception as error:
            raise ResourceError(
                f"{path} is no sense model ({type(error).__name__}: {error}); reinstall with: "
                "pip install --force-reinstall --no-deps spacy-attn"
            ) from error

    @classmethod
    def untrained(cls, width: int) -> SenseHead:
        """No projection at all, and where there are examples no part of the definitions."""
        same = np.eye(width, dtype=np.float32)
        return cls(same, 0 * same, same, 1.0, _RADIUS, _RIDGE, 0.0, "untrained")

    def check_width(self, width: int) -> None:
        """Refuse an encoder with vectors of another length.

        Raises:
            ResourceError: it has.
        """
        if self.target.shape[1] != width:
            raise ResourceError(
                f"the sense model was made for vectors of length {self.target.shape[1]}, this "
                f"encoder's have {width}; choose its encoder, or sense_model = null"
            )

    def z(self, parts: Floats2d) -> Floats2d:
        """The trained vectors of occurrences. *Shape:* (n, 2 * width) -> (n, z width)"""
        width = self.target.shape[1]
        z = product(parts[:, :width], self.target.T) + product(parts[:, width:], self.context.T)
        return unit_rows(z)
