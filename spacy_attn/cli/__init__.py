"""The command line: the only part of the package that prints."""

from spacy_attn.cli.app import main

__all__ = ["main"]
