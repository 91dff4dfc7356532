"""What was measured on this machine, kept in the user's cache for later processes."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from spacy_attn.files import atomic_write, regular_file
from spacy_attn.models import cache_folder

logger = logging.getLogger("spacy_attn")

_MOST = 64  # entries of a file


def read_measured(name: str) -> dict[str, Any]:
    """What a file of the cache has, by its keys; a broken or missing file counts as empty."""
    try:
        content = json.loads(regular_file(cache_folder() / name).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def write_measured(name: str, key: str, value: Any, known: Mapping[str, Any]) -> None:
    """Write what is known and one more, the oldest left out; no cache to write is no error."""
    older = [(k, v) for k, v in known.items() if k != key]
    text = json.dumps(dict([*older[1 - _MOST :], (key, value)]), indent=1)
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        with atomic_write(cache_folder() / name) as file:
            file.write(text.encode())
    except OSError as error:
        logger.debug("what was measured is not remembered: %s", error)
