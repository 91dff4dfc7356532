"""Options that several commands have."""

from __future__ import annotations

import typer

MODEL = typer.Option(
    help="Model of attention, cascade and ensemble: accurate (109 million parameters, a package "
    "of its own), or the name or folder of an encoder.",
    show_default=False,
)
