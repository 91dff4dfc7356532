"""What the attention method makes of an inventory once, kept in a file of the user's cache."""

from __future__ import annotations

import hashlib
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spacy_attn._types import Encoder
from spacy_attn.files import regular_file
from spacy_attn.wsd.inventory.protocol import SenseInventory
from spacy_attn.wsd.methods.known_senses import KnownSenses
from spacy_attn.wsd.methods.sense_head import SenseHead

logger = logging.getLogger("spacy_attn")

_FORMAT = "5"  # of the files with prepared vectors; a change makes old ones be computed anew


def file_name(
    inventory: SenseInventory, encoder: Encoder, head: SenseHead, *, wordnet: bool
) -> str:
    """The name of the file: another inventory, encoder or sense model has another."""
    parts = [_FORMAT, inventory.digest, encoder.identity, head.sha256, *["wordnet"] * wordnet]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    return f"senses-{digest}.safetensors"


class Prepared(NamedTuple):
    """What is made of an inventory, an encoder and a sense model, and kept in a file.

    *Shape:* weights (n_senses, 2 * width), bias (n_senses,), glosses (n_senses, z width),
    known_weights (n_senses, n_features), known_prior, known_rows (n_known,),
    known_bounds (n_senses, 2)
    """

    weights: NDArray[np.float16]
    bias: NDArray[np.float16]
    glosses: NDArray[np.float16]
    known_weights: NDArray[np.float16]
    known_prior: NDArray[np.float16]  # this and what follows: see KnownSenses
    known_rows: NDArray[np.int32]
    known_bounds: NDArray[np.int32]

    @classmethod
    def read(cls, path: Path, n_senses: int) -> Prepared | None:
        """What a file holds; None where it is not there, damaged or of other senses."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            kept = cls(**load_file(regular_file(path)))
        except (OSError, SafetensorError, TypeError):  # TypeError: arrays of other names
            return None  # a damaged cache is computed anew
        of_senses = (kept.weights, kept.bias, kept.glosses, kept.known_weights, kept.known_bounds)
        n_known = len(kept.known_rows)
        fits = (
            all(len(array) == n_senses for array in of_senses)
            and len(kept.known_prior) == n_known
            and bool((kept.known_bounds <= n_known).all())
            and all(bool(np.isfinite(array).all()) for array in kept)
        )
        return kept if fits else None

    def write(self, path: Path) -> None:
        """Keep it in a file; where that fails it is computed again another time."""
        from safetensors import SafetensorError
        from safetensors.numpy import save_file

        # Processes and threads that prepare the same inventory at once write files of their own.
        part = path.with_name(f"{path.name}.{os.getpid()}-{id(self)}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_file(self._asdict(), part)
            part.replace(path)
        except (OSError, SafetensorError) as error:  # a full disk or read-only home only costs time
            logger.info("prepared senses were not kept: %s", error)
            with suppress(OSError):
                part.unlink()

    def known(self, sense_model: Path | None, width: int) -> KnownSenses | None:
        """See :meth:`.KnownSenses.kept`."""
        prior = self.known_prior.astype(np.float32)
        return KnownSenses.kept(sense_model, width, self.known_rows, prior, self.known_bounds)
