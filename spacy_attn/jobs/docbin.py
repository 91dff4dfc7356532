"""The texts of a DocBin, read in bounded memory, and how fast one is written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import catalogue

from spacy_attn.docbin import read_parts
from spacy_attn.jobs.records import ERROR_RECORD_CHARS, BadRecord, Record, refuse_long
from spacy_attn.jobs.sources import Source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SMALL_BYTES: Final = 2**26  # up to which it may be packed as well as it likes
_MOST_DOCS: Final = 2**18  # empty ones too are annotated; more in a file of a byte for each
_TOKENS: Final = 2**16  # of a Doc that are put together at a time
_ORTH: Final = 65  # spacy.attrs.ORTH


def read_docbin(source: Source, limit: int) -> Iterator[Record | BadRecord]:
    """The texts of a DocBin.

    Args:
        source: the file.
        limit: bytes of a text; a longer one is refused before it is put together.

    Raises:
        OSError: the file cannot be read.
    """
    n_bytes = Path(source.name).stat().st_size
    number = 0
    try:
        parts = read_parts(Path(source.name), small=_SMALL_BYTES, most_docs=_MOST_DOCS)
        for number, text in enumerate(_texts(parts, limit), start=1):
            if text is None or len(text.encode()) > limit:
                shown = (text or "")[:ERROR_RECORD_CHARS]
                yield BadRecord(source.name, number, refuse_long(limit), shown, n_bytes)
            else:
                yield Record(source.name, number, text, None, n_bytes)
            n_bytes = 0
    except OSError:
        raise
    except Exception as error:
        # zlib, msgpack and numpy each have errors of their own for bytes that are no DocBin.
        reason = f"the rest of the file is no DocBin: {type(error).__name__}: {error}"
        yield BadRecord(source.name, number + 1, reason[:500], "", n_bytes)


def _texts(parts: dict[str, Any], limit: int) -> Iterator[str | None]:
    """The text of each Doc, as spaCy puts it together; None where it is above the limit."""
    import numpy as np

    attrs = parts["attrs"]
    lengths = np.frombuffer(parts["lengths"], dtype=np.int32)
    spaces = np.frombuffer(parts["spaces"], dtype=bool)
    orths = np.frombuffer(parts["tokens"], dtype=np.uint64).reshape(-1, len(attrs))
    words: NDArray[np.uint64] = orths[:, attrs.index(_ORTH)]
    if (lengths < 0).any() or not lengths.sum() == len(words) == len(spaces):
        raise ValueError(f"it has {len(words)} tokens and {lengths.sum()} in its Docs")
    if len(parts["flags"]) != len(lengths):
        raise ValueError(f"it has {len(lengths)} Docs and {len(parts['flags'])} flags")
    strings: dict[int, str] = parts["strings"]
    end = 0
    for length, are_unknown in zip(lengths, parts["flags"], strict=True):
        start, end = end, end + int(length)
        pieces, size = [], 0
        for at in range(start, end, _TOKENS):
            cut = slice(at, min(at + _TOKENS, end))
            tokens = [_word(strings, key) for key in words[cut].tolist()]
            after = [True] * len(tokens) if are_unknown else spaces[cut].tolist()
            size += sum(map(len, tokens)) + len(tokens)
            if size > limit + 1:
                yield None
                break
            pieces.append("".join(t + " " if s else t for t, s in zip(tokens, after, strict=True)))
        else:
            yield "".join(pieces)


def _word(strings: dict[int, str], key: int) -> str:
    word = strings.get(key)
    if word is None:
        raise ValueError(f"it lacks the string with hash {key}")
    return word


@contextmanager
def quick_packing() -> Iterator[None]:
    """Let srsly look up what packs and unpacks once, not for each value.

    It reads all entry points of the environment and all that is registered each time, which
    takes a millisecond, and a Doc is packed in six or more parts.
    """
    found = _packers(len(catalogue.REGISTRY))
    for registry, functions in found:
        registry.get_all = functions.copy
    try:
        yield
    finally:
        for registry, _ in found:
            vars(registry).pop("get_all", None)


@lru_cache(maxsize=1)
def _packers(n_registered: int) -> list[tuple[Any, dict[str, Any]]]:
    """The two registries of srsly and what they hold while so many functions are registered."""
    from srsly.msgpack import msgpack_decoders, msgpack_encoders

    return [(registry, registry.get_all()) for registry in (msgpack_encoders, msgpack_decoders)]
