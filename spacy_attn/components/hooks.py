"""spaCy's user hooks: ``vector``, ``has_vector``, ``vector_norm`` and ``similarity``.

One switch, ``hooks = true``, of the components that give tokens vectors. Hooks belong to
one Doc in one process: bytes, DocBin and ``n_process > 1`` lose them, and ``token.vector``
then falls back to another vector (with en_core_web_sm a row of its tok2vec) without a
word. So the switch is off by default, all hooks are set together, a run with
``n_process > 1`` is refused, and :func:`restore_hooks` sets them again.
"""

from __future__ import annotations

import math
import multiprocessing
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc, Span, Token

from spacy_attn._types import Floats1d, Floats2d
from spacy_attn.errors import ConfigError

TokenVectors: TypeAlias = Callable[[Doc], Floats2d | None]  # (n_tokens, width)
SpanVectors: TypeAlias = Callable[[Doc, int, int], Floats2d | None]  # (end - start, width)


@runtime_checkable
class HookedComponent(Protocol):
    """A component with the switch ``hooks``."""

    hooks: bool

    def set_hooks(self, doc: Doc) -> None:
        """Call :func:`install_hooks` with this component's vectors."""
        ...


def install_hooks(
    doc: Doc, token_vectors: TokenVectors, *, span_vectors: SpanVectors | None = None
) -> None:
    """Make ``vector``, ``has_vector``, ``vector_norm`` and ``similarity`` read these vectors.

    The vector of a Doc or Span is the mean over all its tokens, those with a zero row
    included; ``has_vector`` is true where some row is not zero; similarity is the cosine,
    and 0.0 where one of the two has a zero vector (or none).

    Args:
        doc: the Doc, changed in place.
        token_vectors: gives the rows of all tokens, or None where there are none. A
            module-level function or a partial of one, because spaCy pickles hooks.
        span_vectors: gives the rows of tokens ``start`` to ``end`` alone, for vectors that
            are computed and not stored.
    """
    rows = span_vectors or partial(_slice, token_vectors=token_vectors)
    hooks: dict[str, Callable[..., Any]] = {
        "vector": partial(_vector, rows=rows),
        "has_vector": partial(_has_vector, rows=rows),
        "vector_norm": partial(_vector_norm, rows=rows),
        "similarity": _similarity,
    }
    doc.user_hooks.update(hooks)
    doc.user_token_hooks.update(hooks)
    # Where a Span has a hook for vector_norm, spaCy 3.8 calls the one for vector instead
    # (tokens/span.pyx); without it, it takes the norm of the hooked vector, which is right.
    del hooks["vector_norm"]
    doc.user_span_hooks.update(hooks)
    doc.user_span_hooks.pop("vector_norm", None)


def restore_hooks(doc: Doc, nlp: Language) -> None:
    """Set the hooks again on a Doc that came from bytes, DocBin or another process.

    Args:
        doc: the Doc, changed in place.
        nlp: the pipeline; its enabled components with ``hooks = true`` are asked in order.

    Raises:
        ConfigError: no component of the pipeline has ``hooks = true``.
    """
    components: list[object] = [component for _, component in nlp.pipeline]
    hooked = [each for each in components if isinstance(each, HookedComponent) and each.hooks]
    if not hooked:
        raise ConfigError(
            f"no component of the pipeline {nlp.pipe_names} has hooks = true; add one, for "
            f"example with nlp.add_pipe('word2vec', config={{'hooks': True}})"
        )
    for component in hooked:
        component.set_hooks(doc)


def refuse_worker_process(name: str) -> None:
    """Refuse to set hooks in a worker of ``nlp.pipe(n_process=...)``, which would lose them.

    A child process that the user started, and that runs a whole pipeline of its own, keeps
    its hooks and is left alone: what counts is that spaCy's worker loop is among the callers.

    Args:
        name: the component, for the message.

    Raises:
        ConfigError: this is such a worker; spaCy hands the message to the parent.
    """
    if multiprocessing.parent_process() is None or not _called_by_worker_loop():
        return
    raise ConfigError(
        f"hooks = true of {name!r} cannot be combined with n_process > 1, because hooks do not "
        f"survive the way back from a worker; use n_process=1, or hooks = false and "
        f"token._ attributes"
    )


def _called_by_worker_loop() -> bool:
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        in_spacy = frame.f_globals.get("__name__") == Language.__module__
        if in_spacy and frame.f_code.co_name == "_apply_pipes":
            return True
    return False


# -- the hooks -------------------------------------------------------------------------


def _slice(doc: Doc, start: int, end: int, token_vectors: TokenVectors) -> Floats2d | None:
    vectors = token_vectors(doc)
    return None if vectors is None else vectors[start:end]


def _rows(owner: Doc | Span | Token, rows: SpanVectors) -> Floats2d | None:
    if isinstance(owner, Doc):
        return rows(owner, 0, len(owner))
    if isinstance(owner, Span):
        return rows(owner.doc, owner.start, owner.end)
    return rows(owner.doc, owner.i, owner.i + 1)


def _vector(owner: Doc | Span | Token, rows: SpanVectors) -> Floats1d:
    """*Shape:* (width,), or (0,) where the Doc has no vectors"""
    vectors = _rows(owner, rows)
    if vectors is None:
        return np.zeros(0, dtype=np.float32)
    if not len(vectors):
        return np.zeros(vectors.shape[1], dtype=np.float32)
    return np.asarray(vectors.mean(axis=0), dtype=np.float32)


def _has_vector(owner: Doc | Span | Token, rows: SpanVectors) -> bool:
    vectors = _rows(owner, rows)
    return vectors is not None and bool(vectors.any())


def _vector_norm(owner: Doc | Span | Token, rows: SpanVectors) -> float:
    return _norm(_vector(owner, rows))


def _similarity(owner: Doc | Span | Token, other: Any) -> float:
    """Cosine of two vectors; ``other`` may be a Doc, Span, Token or Lexeme.

    Raises:
        ConfigError: the two have vectors of different length.
    """
    one, two = np.asarray(owner.vector), np.asarray(other.vector)
    norms = _norm(one) * _norm(two)
    if norms == 0.0:
        return 0.0
    if len(one) != len(two):
        raise ConfigError(
            f"the vectors have lengths {len(one)} and {len(two)} and cannot be compared; run both "
            f"texts through the same pipeline, or call restore_hooks(doc, nlp) on what came "
            f"from bytes or another process"
        )
    return float(one @ two) / norms


def _norm(vector: Floats1d) -> float:
    return math.sqrt(float(vector @ vector))
