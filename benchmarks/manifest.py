"""The manifest that every committed result carries."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

__all__ = ["DATA", "ROOT", "manifest", "sha256"]

ROOT = Path(__file__).resolve().parent.parent
#: Corpora that are not part of the repository; see benchmarks/README.md.
DATA = Path(os.environ.get("SPACY_ATTN_DATA", ROOT.parent / "shared" / "data"))
_PACKAGES = ("spacy", "torch", "transformers", "numpy", "scikit-learn", "nltk", "gensim")


def sha256(path: Path) -> str:
    """Hash of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def manifest(command: str, files: list[Path], **more: Any) -> dict[str, Any]:
    """Commit, versions, machine, threads and hashes of what went into a result.

    Files of the repository stand under ``files``, others under ``corpora``.
    """
    import torch

    hashes = {path.name: sha256(path) for path in files}
    ours = {path.name for path in files if path.resolve().is_relative_to(ROOT)}

    return {
        "command": command,
        "commit": _git("rev-parse", "HEAD"),
        "changed_since_commit": bool(_git("status", "--porcelain", "--", "*.py", "*.jsonl")),
        "python": sys.version.split()[0],
        "versions": {name: version(name) for name in _PACKAGES},
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "files": {name: digest for name, digest in hashes.items() if name in ours},
        "corpora": {name: digest for name, digest in hashes.items() if name not in ours},
        **more,
    }


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return f"{line.split(':')[1].strip()} x {os.cpu_count()}"
    except OSError:
        pass
    return platform.processor()
