"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path

import typer

from spacy_attn.errors import ConfigError

MODEL = typer.Option(
    help="Model of attention, cascade and ensemble: accurate (109 million parameters, a package "
    "of its own), or the name or folder of an encoder.",
    show_default=False,
)


def check_folder(option: str, path: Path) -> None:
    """Refuse a file in a folder that is not there, before the work and not after it.

    Raises:
        ConfigError: with the command that makes the folder.
    """
    if not path.resolve().parent.is_dir():
        raise ConfigError(
            f"{option} {path}: its folder does not exist; make it with: mkdir -p {path.parent}"
        )
