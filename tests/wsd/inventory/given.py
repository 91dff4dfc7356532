"""What the tests of importers share."""

from __future__ import annotations

from spacy_attn.wsd.inventory.importers.run import import_inventory
from spacy_attn.wsd.inventory.jsonl import load_inventory


def written(tmp_path, name, text):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def imported(tmp_path, path, **options):
    """The summary and the inventory."""
    output = tmp_path / "out.jsonl"
    summary = import_inventory(path, output, **options)
    return summary, load_inventory(output)
