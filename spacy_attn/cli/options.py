"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import typer

from spacy_attn.errors import ConfigError

METHODS: Final = (
    "attention, cascade, ensemble, self_attention, word2vec, tfidf, lesk_extended, lesk, "
    "first_sense, random, or your own"
)
METHOD = typer.Option(help=f"Sense method: {METHODS}.")
MODEL = typer.Option(
    help="Model of attention, cascade and ensemble: accurate (109 million parameters, a package "
    "of its own), or the name or folder of an encoder (default: all-MiniLM-L6-v2).",
    show_default=False,
)
INVENTORY = typer.Option(help="Sense inventory: homographs, wordnet or the path of a .jsonl file.")
PIPELINE = typer.Option(
    help="spaCy pipeline, name or path (default: the installed English one).", show_default=False
)
GRANULARITY = typer.Option(
    metavar="LEVEL",
    help="fine, coarse or supersense; the last two answer several fine senses as one.",
)
AS_JSON = typer.Option("--json", help="Print JSON for programs.")


def check_folder(option: str, path: Path) -> None:
    """Refuse a file in a folder that is not there, before the work and not after it.

    Raises:
        ConfigError: with the command that makes the folder.
    """
    if not path.resolve().parent.is_dir():
        raise ConfigError(
            f"{option} {path}: its folder does not exist; make it with: mkdir -p {path.parent}"
        )


def check_inputs(
    option: str,
    *paths: Path | None,
    source: str = "",
    may_be_folder: bool = False,
    may_be_pipe: bool = False,
) -> None:
    """Refuse files to read that are not there, before models load.

    Args:
        option: what they were given as; "" for arguments.
        paths: None is left out.
        source: where to get such a file.
        may_be_folder: whether a folder is one too.
        may_be_pipe: whether a pipe or device is one, which can be read once, from its start.

    Raises:
        ConfigError: one is missing, a folder, a pipe or a device.
    """
    for path in (path.expanduser() for path in paths if path is not None):
        given = f"{option} {path}".lstrip()
        if str(path) == "-" and not path.exists():
            raise ConfigError(f"{given}: standard input is not read here; give a file")
        if not path.exists():
            raise ConfigError(f"{given} does not exist{source and f'; {source}'}")
        if path.is_dir() and not may_be_folder:
            raise ConfigError(f"{given} is a folder; give a file")
        if not (may_be_pipe or path.is_dir() or path.is_file()):
            raise ConfigError(f"{given} is a pipe or device; save it in a file, and give that")


#: What is said where a corpus is missing.
CORPUS_SOURCE = "see benchmarks/README.md for its source"
