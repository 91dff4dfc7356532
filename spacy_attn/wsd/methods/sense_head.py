"""The trained projections of a sense model."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spacy_attn._types import Floats2d
from spacy_attn.errors import ResourceError
from spacy_attn.wsd.methods.occurrence import unit_rows

__all__ = ["SenseHead"]

_RADIUS, _RIDGE = 25, 1.0  # of an untrained head


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
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="numpy") as file:
                manifest = json.loads(file.metadata()["manifest"])
                arrays = {
                    name: file.get_tensor(f"head.{name}").astype(np.float32)
                    for name in ("target", "context", "gloss", "scale")
                }
            return cls(
                arrays["target"],
                arrays["context"],
                arrays["gloss"],
                float(np.exp(arrays["scale"][0])),
                int(manifest["config"]["context_radius"]),
                float(manifest["few_shot"]["ridge"]),
                float(manifest["few_shot"]["gloss_weight"]),
                hashlib.sha256(path.read_bytes()).hexdigest(),
            )
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ResourceError(
                f"{path} is no sense model ({type(error).__name__}: {error}); reinstall with: "
                "pip install --force-reinstall --no-deps spacy-attn"
            ) from error

    @classmethod
    def untrained(cls, width: int) -> SenseHead:
        """No projection at all, and where there are examples no part of the definitions."""
        same = np.eye(width, dtype=np.float32)
        return cls(same, 0 * same, same, 1.0, _RADIUS, _RIDGE, 0.0, "untrained")

    def z(self, parts: Floats2d) -> Floats2d:
        """The trained vectors of occurrences. *Shape:* (n, 2 * width) -> (n, z width)"""
        width = self.target.shape[1]
        z = parts[:, :width] @ self.target.T + parts[:, width:] @ self.context.T
        return unit_rows(z)
