"""The manifest that a result carries: what was run, on what, with what."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from spacy_attn.files import sha256_of
from spacy_attn.wsd.inventory.lexicon_file import lexicon_digest

#: The repository, where the package runs from its checkout.
ROOT = Path(__file__).resolve().parents[2]

LEXICON = "wordnet.npz"
_PACKAGES = ("spacy", "torch", "transformers", "numpy", "scikit-learn", "nltk", "gensim")


def sha256(path: Path) -> str:
    """Hash of a file; of the lexicon that of its contents, however they are packed."""
    if path.name == LEXICON:
        return lexicon_digest(path)
    return sha256_of(path)


def manifest(command: str, files: Sequence[Path], **more: Any) -> dict[str, Any]:
    """Commit, versions, machine, threads and hashes of what went into a result.

    Files of the repository stand under ``files``, others under ``corpora``. The commit is ""
    where the package does not run from a git checkout.
    """
    import torch

    files = list(dict.fromkeys(files))
    hashes = {_name(path, files): sha256(path) for path in files}
    ours = {_name(path, files) for path in files if path.resolve().is_relative_to(ROOT)}
    return {
        "command": command,
        "commit": _git("rev-parse", "HEAD"),
        "changed_since_commit": bool(_git("status", "--porcelain", "--", "*.py", "*.jsonl")),
        "python": sys.version.split()[0],
        "versions": _versions(),
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "files": {name: digest for name, digest in hashes.items() if name in ours},
        "corpora": {name: digest for name, digest in hashes.items() if name not in ours},
        **more,
    }


def _name(path: Path, files: Sequence[Path]) -> str:
    """A file's name, with its folder where another file has the same."""
    is_alone = sum(other.name == path.name for other in files) == 1
    return path.name if is_alone else f"{path.resolve().parent.name}/{path.name}"


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # some methods do without it
            continue
    return found


def _git(*arguments: str) -> str:
    """Git's output for our own checkout; "" where we are installed inside another one."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        return ""
    done = subprocess.run(  # noqa: S603 (arguments are those of this file)
        [git, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else ""


def processor() -> str:
    """Name and number of cores of this processor, as in "AMD EPYC x 2"."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return f"{line.split(':')[1].strip()} x {os.cpu_count()}"
    except OSError:
        pass
    return platform.processor()
