"""The attention method: contextual vectors, few-shot examples and definitions together.

An occurrence is two vectors of one encoder pass over its sentence: the mean vector of the
target's tokens and the mean of the tokens within ``context_radius`` of it. (The target alone
takes "The bat flew at night." for the sports sense: the word's own vector is too strong.)
Where that leaves a doubt, the sentences around, each read for itself, count as context too.
They are used twice:

* *examples*: ridge regression of the senses' indicators (+1, -1) on both vectors side by
  side, one small linear model for each word, fitted on the inventory's example sentences;
* *definitions*: a trained bi-encoder (:mod:`spacy_attn.train.senses`) gives ``z`` for the
  occurrence and ``s`` for each definition; their product is a log-score.

``log-score = examples + gloss_weight * definitions``; where fewer than two senses of a word
have examples, nothing can be learned from them and the definitions decide alone. So a user's
inventory works with examples, with definitions only, or with both, and needs no training.
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from spacy_attn._types import Encoder, Floats1d, Floats2d, Offsets, TokenRange
from spacy_attn.errors import ResourceError
from spacy_attn.sentences import sentence_of, sentence_starts
from spacy_attn.wsd.context import Context, Resources, Target, tokens_within
from spacy_attn.wsd.decide import log_softmax, margin_between
from spacy_attn.wsd.inventory.model import Inventory

__all__ = [
    "Attention",
    "MarginForm",
    "SenseHead",
    "TextEncoder",
    "bounds_of",
    "gloss_text",
    "occurrences",
    "ranges_read",
    "unit_parts",
]

logger = logging.getLogger("spacy_attn")

_RADIUS, _RIDGE = 25, 1.0  # of an untrained head
_FORMAT = "1"  # of the files with prepared vectors; a change makes old ones be computed anew


class TextEncoder(Protocol):
    """Gives a whole text one vector."""

    def embed(self, texts: Sequence[str]) -> Floats2d:
        """*Shape:* (len(texts), width)"""
        ...


@dataclass(frozen=True, slots=True)
class SenseHead:
    """The trained projections and how the parts are weighed.

    *Shape:* target, context, gloss: (z width, encoder width)
    """

    target: Floats2d
    context: Floats2d
    gloss: Floats2d
    scale: float  # z . s is multiplied by it
    context_radius: int  # tokens
    ridge: float  # penalty of the regression on examples
    gloss_weight: float
    sha256: str  # of the file

    @classmethod
    def load(cls, path: Path) -> SenseHead:
        """Read a sense model made by ``spacy-attn train-senses``.

        Raises:
            ResourceError: the file is missing or no sense model.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="numpy") as file:
                manifest = json.loads(file.metadata()["manifest"])
                arrays = {
                    name: file.get_tensor(f"head.{name}").astype(np.float32)
                    for name in ("target", "context", "gloss", "scale")
                }
            return cls(
                arrays["target"],
                arrays["context"],
                arrays["gloss"],
                float(np.exp(arrays["scale"][0])),
                int(manifest["config"]["context_radius"]),
                float(manifest["few_shot"]["ridge"]),
                float(manifest["few_shot"]["gloss_weight"]),
                hashlib.sha256(path.read_bytes()).hexdigest(),
            )
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ResourceError(
                f"{path} is no sense model ({type(error).__name__}: {error}); reinstall with: "
                "pip install --force-reinstall --no-deps spacy-attn"
            ) from error

    @classmethod
    def untrained(cls, width: int) -> SenseHead:
        """No projection at all, and where there are examples no part of the definitions."""
        same = np.eye(width, dtype=np.float32)
        return cls(same, 0 * same, same, 1.0, _RADIUS, _RIDGE, 0.0, "untrained")

    def z(self, parts: Floats2d) -> Floats2d:
        """The trained vectors of occurrences. *Shape:* (n, 2 * width) -> (n, z width)"""
        width = self.target.shape[1]
        z = parts[:, :width] @ self.target.T + parts[:, width:] @ self.context.T
        return _unit(z)


@dataclass(frozen=True, slots=True)
class MarginForm:
    """How far one sense is ahead of another, as a formula of the tokens' vectors.

    With ``t`` the mean vector of the target's tokens and ``c`` that of its context, ``|`` for side
    by side and ``u(x)`` for x at unit length, the log-odds of the two senses are
    ``examples . (u(t) | u(c)) + bias + gloss . u(head.target t + head.context c)``.

    *Shape:* examples (2 * width,), gloss (z width,)
    """

    examples: Floats1d
    bias: float
    gloss: Floats1d
    head: SenseHead
    bounds: tuple[int, int, int, int]  # start and end of the target, first and end of the context

    def of(self, parts: Floats1d) -> float:
        """The log-odds. *Shape:* (2 * width,)"""
        row = parts[None]
        ahead = self.examples @ unit_parts(row)[0] + self.bias + self.gloss @ self.head.z(row)[0]
        return float(ahead)

    @property
    def context_tokens(self) -> list[int]:
        """Those whose mean is the context vector: the target's where there are no others."""
        start, end, low, high = self.bounds
        around = [i for i in range(low, high) if not start <= i < end]
        return around or list(range(start, end))


def bounds_of(
    context: Context, target: Target, radius: int, *, across: bool
) -> tuple[int, int, int, int]:
    """Start and end of a target, first and end token of its context."""
    _, _, bounds = next(_bounds([context], [replace(target, context=0)], radius, across))
    start, end, low, high = bounds[0].tolist()
    return start, end, low, high


def gloss_text(lemma: str, definition: str) -> str:
    """The text whose vector stands for a sense: ``bat: a small furry mammal ...``"""
    return f"{lemma}: {definition}"


def occurrences(
    contexts: Sequence[Context], targets: Sequence[Target], radius: int, *, across: bool = False
) -> Floats2d:
    """Mean target vector and mean context vector of each target, side by side.

    The context are the tokens within ``radius`` of the target, of its sentence or, with
    ``across``, of the sentences around it too; without any it is the target.

    *Shape:* (n_targets, 2 * width)
    """
    blocks = []
    order: list[int] = []
    for c, rows, bounds in _bounds(contexts, targets, radius, across):
        vectors = contexts[c].contextual
        if vectors is None:
            raise ValueError("the attention method needs Context.contextual")
        blocks.append(_means(vectors, bounds))
        order += rows
    out: Floats2d = np.concatenate(blocks)[np.argsort(order)]
    return out


def ranges_read(
    contexts: Sequence[Context], targets: Sequence[Target], radius: int, *, across: bool = False
) -> list[list[TokenRange]]:
    """The tokens of each context whose vectors :func:`occurrences` looks at, in order."""
    out: list[list[TokenRange]] = [[] for _ in contexts]
    for c, _, bounds in _bounds(contexts, targets, radius, across):
        out[c] = sorted(zip(bounds[:, 2].tolist(), bounds[:, 3].tolist(), strict=True))
    return out


def _bounds(
    contexts: Sequence[Context], targets: Sequence[Target], radius: int, across: bool
) -> Iterator[tuple[int, list[int], NDArray[np.int64]]]:
    """For each context with targets: its number, theirs, and where they and their words stand.

    *Shape:* of the last (n, 4): start and end of the target, first and end token of its context
    """
    by_context: dict[int, list[int]] = {}
    for i, target in enumerate(targets):
        by_context.setdefault(target.context, []).append(i)
    for c, rows in by_context.items():
        tokens = contexts[c].tokens
        starts = [0] if across else sentence_starts(tokens)
        bounds = []
        for t in (targets[i] for i in rows):
            first, last = sentence_of(starts, t.start, len(tokens))
            low, high = max(first, t.start - radius), min(last, t.end + radius)
            bounds.append((t.start, t.end, low, high))
        yield c, rows, np.array(bounds)


def _means(vectors: Floats2d, bounds: NDArray[np.int64]) -> Floats2d:
    """The two means of targets of one text.

    *Shape:* (n_tokens, width), (n, 4) as :func:`_bounds` gives them -> (n, 2 * width)
    """
    out = np.empty((len(bounds), 2 * vectors.shape[1]), dtype=np.float32)
    for first in range(0, len(bounds), _BLOCK):
        part = bounds[first : first + _BLOCK]
        # Of a long text with few targets only the rows that are read take part.
        low = int(part[:, 2].min())
        is_read = np.zeros(int(part[:, 3].max()) - low + 1, dtype=np.int64)
        np.add.at(is_read, part[:, 2] - low, 1)
        np.add.at(is_read, part[:, 3] - low, -1)
        rows = low + np.flatnonzero(is_read.cumsum()[:-1])
        means = _weights(rows, part) @ vectors[rows]
        out[first : first + _BLOCK] = (
            means.reshape(2, len(part), -1).swapaxes(0, 1).reshape(len(part), -1)
        )
    return out


_BLOCK = 48  # targets at once: more would multiply with more zeros


def _weights(rows: NDArray[np.int64], bounds: NDArray[np.int64]) -> Floats2d:
    """What makes means of rows: of the target's, then of those of its context without it.

    *Shape:* (n_rows,), (n, 4) -> (2 * n, n_rows)
    """
    start, end, low, high = bounds[:, :, None].transpose(1, 0, 2)
    target = (rows >= start) & (rows < end)
    context = (rows >= low) & (rows < high) & ~target
    alone = ~context.any(axis=1, keepdims=True)
    both = np.concatenate([target, np.where(alone, target, context)]).astype(np.float32)
    weights: Floats2d = both / both.sum(axis=1, keepdims=True)
    return weights


class Attention:
    """See the module.

    Args:
        inventory: the senses.
        resources: the pipeline's tokenizer.
        encoder: makes the contextual vectors.
        glosses: gives definitions their vectors: the same encoder without the adapter.
        head: the trained projections.
        prepared: folders that may hold the vectors of this inventory, made before; the last
            one is written to when none does. They are kept as float16, and rounded to it
            before they are used for the first time, so that every run gives the same.
        temperature: see :func:`~spacy_attn.wsd.decide.decide`.
        widen_below: margin between the best two probabilities below which the sentences around
            the word's own are looked at as well, as far as ``context_radius`` reaches.
    """

    name = "attention"

    def __init__(
        self,
        inventory: Inventory,
        resources: Resources,
        encoder: Encoder,
        glosses: TextEncoder,
        head: SenseHead,
        prepared: Sequence[Path] = (),
        temperature: float = 1.0,
        widen_below: float = 0.0,
    ) -> None:
        self.encoder = encoder
        self.head = head
        self.widen_below = widen_below
        self.temperature = temperature
        name = _file_name(inventory, encoder, head)
        read = (_read(folder / name) for folder in prepared)
        arrays = next((found for found in read if found is not None), None)
        if arrays is None:
            logger.info("preparing %d senses of %s", len(inventory.senses), inventory.name)
            arrays = self._prepare(inventory, resources, glosses)
            if prepared:
                _write(prepared[-1] / name, arrays)
        self._index = {sense.id: i for i, sense in enumerate(inventory.senses)}
        self._weights = arrays["weights"].astype(np.float32)
        self._bias = arrays["bias"].astype(np.float32)
        self._glosses = arrays["glosses"].astype(np.float32)
        self._has_regression: NDArray[np.bool_] = np.asarray(self._weights.any(axis=1))

    def score(self, contexts: Sequence[Context], targets: Sequence[Target]) -> list[Floats1d]:
        """*Shape:* for each target (n_candidates,)"""
        if not targets:
            return []
        scores = self._scores(self._parts(contexts, targets), targets)
        margins = [margin_between(log_softmax(each, self.temperature)) for each in scores]
        unsure = [i for i, margin in enumerate(margins) if margin < self.widen_below]
        open_targets = [targets[i] for i in unsure]
        if unsure:
            around = self._with_neighbours(contexts, open_targets)
            parts = occurrences(around, open_targets, self.head.context_radius, across=True)
            for i, answer in zip(unsure, self._scores(parts, open_targets), strict=True):
                scores[i] = answer
        return scores

    def _with_neighbours(
        self, contexts: Sequence[Context], targets: Sequence[Target]
    ) -> list[Context]:
        """The contexts with vectors of the sentences around the targets' own, too."""
        out = list(contexts)
        wanted = ranges_read(contexts, targets, self.head.context_radius, across=True)
        # Their own sentences have been read already.
        lacking = {i: _lacking(contexts[i], ranges) for i, ranges in enumerate(wanted)}
        missing = {i: [(at, at + 1) for at in tokens] for i, tokens in lacking.items() if tokens}
        if missing:
            texts, offsets = zip(*((out[i].text, out[i].offsets) for i in missing), strict=True)
            arrays = self.encoder.encode(texts, offsets, list(missing.values()))
            for i, array in zip(missing, arrays, strict=True):
                before = contexts[i].contextual
                assert before is not None  # noqa: S101 - occurrences() has looked
                # Of a long text only the rows that will be read are touched.
                known = sorted(_tokens_in(wanted[i]) - set(lacking[i]))
                array[known] = before[known]
                out[i] = replace(out[i], contextual=array)
        return out

    def _scores(self, parts: Floats2d, targets: Sequence[Target]) -> list[Floats1d]:
        """*Shape:* (n_targets, 2 * width) -> for each target (n_candidates,)"""
        z = self.head.z(parts)
        scaled = unit_parts(parts)
        return [
            self._score(scaled[i], z[i], [self._index[sense.id] for sense in target.candidates])
            for i, target in enumerate(targets)
        ]

    def reads(
        self, contexts: Sequence[Context], targets: Sequence[Target]
    ) -> list[list[TokenRange]]:
        """The tokens of each context whose vectors it looks at."""
        return ranges_read(contexts, targets, self.head.context_radius)

    def z(self, contexts: Sequence[Context], targets: Sequence[Target]) -> Floats2d:
        """The trained vectors of some occurrences. *Shape:* (n_targets, z width)"""
        return self.head.z(self._parts(contexts, targets))

    def margin_form(self, context: Context, target: Target, chosen: int, other: int) -> MarginForm:
        """What makes the log-odds of two candidates, for gradients.

        Args:
            context: the text, with vectors.
            target: the word.
            chosen: index of a sense among its candidates.
            other: index of another one.
        """
        across = self._looks_around(context, target)
        rows = [self._index[sense.id] for sense in target.candidates]
        one, two = rows[chosen], rows[other]
        gloss = (self._glosses[one] - self._glosses[two]) * self.head.scale
        if self._has_regression[rows].any():
            examples = (self._weights[one] - self._weights[two]) / self.temperature
            bias = float(self._bias[one] - self._bias[two]) / self.temperature
            gloss = gloss * self.head.gloss_weight / self.temperature
        else:
            examples, bias = np.zeros_like(self._weights[one]), 0.0
        bounds = bounds_of(context, target, self.head.context_radius, across=across)
        return MarginForm(examples, bias, gloss, self.head, bounds)

    def steady(self, context: Context, target: Target) -> Attention:
        """The same method, always looking as far as it does for one target of a text."""
        fixed = copy.copy(self)
        fixed.widen_below = 2.0 if self._looks_around(context, target) else 0.0
        return fixed

    def _looks_around(self, context: Context, target: Target) -> bool:
        own = [replace(target, context=0)]
        (scores,) = self._scores(self._parts([context], own), own)
        return margin_between(log_softmax(scores, self.temperature)) < self.widen_below

    def _score(self, parts: Floats1d, z: Floats1d, rows: list[int]) -> Floats1d:
        glosses = self._glosses[rows] @ z * self.head.scale
        if not self._has_regression[rows].any():
            # The trained scale calibrates these already; the temperature, fitted for examples
            # and definitions together, is taken back.
            return np.asarray(glosses * self.temperature, dtype=np.float32)
        examples = self._weights[rows] @ parts + self._bias[rows]
        return np.asarray(examples + self.head.gloss_weight * glosses, dtype=np.float32)

    def _parts(self, contexts: Sequence[Context], targets: Sequence[Target]) -> Floats2d:
        """Target and context vectors. *Shape:* (n_targets, 2 * width)"""
        return occurrences(contexts, targets, self.head.context_radius)

    # -- preparation ---------------------------------------------------------------------

    def _prepare(
        self, inventory: Inventory, resources: Resources, glosses: TextEncoder
    ) -> dict[str, Floats2d]:
        texts = [gloss_text(sense.lemma, sense.definition) for sense in inventory.senses]
        parts = self._example_parts(inventory, resources)
        width = self.encoder.width
        weights = np.zeros((len(inventory.senses), 2 * width), dtype=np.float32)
        bias = np.zeros(len(inventory.senses), dtype=np.float32)
        row = {sense.id: i for i, sense in enumerate(inventory.senses)}
        # A token without a part of speech has the senses of all of them as candidates, so
        # the regression runs over a lemma, whatever the part of speech.
        for lemma in dict.fromkeys(lemma for lemma, _ in inventory.words):
            senses = inventory.candidates(lemma)
            rows = [row[sense.id] for sense in senses]
            weights[rows], bias[rows] = fit_examples(
                [parts[sense.id] for sense in senses], self.head.ridge
            )
        arrays = {
            "weights": weights,
            "bias": bias,
            "glosses": _unit(glosses.embed(texts)) @ self.head.gloss.T,
        }
        return {name: array.astype(np.float16) for name, array in arrays.items()}

    def _example_parts(self, inventory: Inventory, resources: Resources) -> dict[str, Floats2d]:
        """Vectors of each sense's examples. *Shape:* of each (n_examples, 2 * width)"""
        flat = [(sense, example) for sense in inventory.senses for example in sense.examples]
        contexts = [resources.tokenize(example.text) for _, example in flat]
        offsets: list[Offsets] = [context.offsets for context in contexts]
        vectors = self.encoder.encode([context.text for context in contexts], offsets)
        encoded = [replace(c, contextual=v) for c, v in zip(contexts, vectors, strict=True)]
        targets = [
            Target(i, *tokens_within(context, example.start, example.end), sense.lemma, (sense,))
            for i, ((sense, example), context) in enumerate(zip(flat, contexts, strict=True))
        ]
        out: dict[str, list[Floats1d]] = {sense.id: [] for sense in inventory.senses}
        if targets:
            for (sense, _), row in zip(flat, self._parts(encoded, targets), strict=True):
                out[sense.id].append(row)
        empty = np.zeros((0, 2 * self.encoder.width), dtype=np.float32)
        return {sense: unit_parts(np.stack(rows)) if rows else empty for sense, rows in out.items()}


def _tokens_in(ranges: Sequence[TokenRange]) -> set[int]:
    return {i for start, end in ranges for i in range(start, end)}


def _lacking(context: Context, ranges: Sequence[TokenRange]) -> list[int]:
    """The tokens of some ranges that have no vector, in order; white space never has one."""
    vectors = context.contextual
    return [
        i
        for i in sorted(_tokens_in(ranges))
        if not context.tokens[i].isspace() and (vectors is None or not vectors[i].any())
    ]


def fit_examples(examples: Sequence[Floats2d], penalty: float) -> tuple[Floats2d, Floats1d]:
    """Ridge regression of +1 (this sense) and -1 (another) on the example vectors.

    A sense without examples among others that have some gets the mean of what the targets
    are, ``2 / n - 1`` for n senses: neither for nor against it.

    *Shape:* for each sense (n_examples, 2 * width) -> (n_senses, 2 * width), (n_senses,)
    """
    n = len(examples)
    width = examples[0].shape[1]
    weights = np.zeros((n, width), dtype=np.float32)
    bias = np.full(n, 2 / n - 1, dtype=np.float32)
    shown = [i for i, rows in enumerate(examples) if len(rows)]
    if len(shown) < 2:
        return weights, bias
    from sklearn.linear_model import Ridge

    x = np.concatenate([examples[i] for i in shown])
    y = np.full((len(x), len(shown)), -1.0)
    at = 0
    for column, i in enumerate(shown):
        y[at : at + len(examples[i]), column] = 1.0
        at += len(examples[i])
    model = Ridge(alpha=penalty).fit(x.astype(np.float64), y)
    weights[shown] = model.coef_
    bias[shown] = model.intercept_
    return weights, bias


def unit_parts(parts: Floats2d) -> Floats2d:
    """Target and context vector to unit length each. *Shape:* (n, 2 * width), the same"""
    half = parts.shape[1] // 2
    return np.concatenate([_unit(parts[:, :half]), _unit(parts[:, half:])], axis=1)


def _unit(rows: Floats2d) -> Floats2d:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(norms, 1e-9), dtype=np.float32)


# -- files with prepared vectors -----------------------------------------------------------


def _file_name(inventory: Inventory, encoder: Encoder, head: SenseHead) -> str:
    key = "\n".join([_FORMAT, inventory.digest, encoder.identity, head.sha256])
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    return f"senses-{digest}.safetensors"


def _read(path: Path) -> dict[str, Floats2d] | None:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        arrays: dict[str, Floats2d] = load_file(path)
    except (OSError, SafetensorError):
        return None  # a damaged cache is computed anew
    return arrays if {"weights", "bias", "glosses"} <= set(arrays) else None


def _write(path: Path, arrays: dict[str, Floats2d]) -> None:
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    # Processes and threads that prepare the same inventory at once write files of their own.
    part = path.with_name(f"{path.name}.{os.getpid()}-{id(arrays)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(arrays, part)
        part.replace(path)
    except (OSError, SafetensorError) as error:  # a full disk or read-only home only costs time
        logger.info("prepared senses were not kept: %s", error)
        with suppress(OSError):
            part.unlink()
