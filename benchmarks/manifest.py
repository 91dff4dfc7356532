"""The manifest that every committed result carries, and where the corpora lie."""

from __future__ import annotations

import os
from pathlib import Path

from spacy_attn.compare.manifest import ROOT, manifest, sha256

__all__ = ["DATA", "ROOT", "manifest", "sha256"]

#: Corpora that are not part of the repository; see benchmarks/README.md.
DATA = Path(os.environ.get("SPACY_ATTN_DATA", ROOT.parent / "shared" / "data"))
