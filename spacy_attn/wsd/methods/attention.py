"""The attention method: contextual vectors, few-shot examples and definitions together.

An occurrence is two vectors of one encoder pass over its passage (its sentence, and short ones
around it): the mean vector of the target's tokens and the mean of the tokens of its sentence
within ``context_radius`` of it. (The target alone takes "The bat flew at night." for the sports
sense: the word's own vector is too strong.) Where that leaves a doubt, the tokens of the
sentences around count as context too. They are used twice:

* *examples*: ridge regression of the senses' indicators (+1, -1) on both vectors side by
  side and on what WordNet's trained senses say of the word
  (:mod:`spacy_attn.wsd.methods.known_senses`), one small linear model for each word, fitted on the
  inventory's example sentences;
* *definitions*: a trained bi-encoder (:mod:`spacy_attn.train.senses`) gives ``z`` for the
  occurrence and ``s`` for each definition; their product is a log-score.

``log-score = examples + gloss_weight * definitions``; where fewer than two senses of a word
have examples, nothing can be learned from them and the definitions decide alone. So a user's
inventory works with examples, with definitions only, or with both, and needs no training.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spacy_attn._types import Encoder, Floats1d, Floats2d, TextEncoder
from spacy_attn.errors import ConfigError
from spacy_attn.models import DEFAULT_ENCODER, cache_folder
from spacy_attn.settings import EncoderSettings
from spacy_attn.wsd.context import Resources, Target, tokens_within
from spacy_attn.wsd.decide import log_softmax, margin_between
from spacy_attn.wsd.inventory.protocol import SenseInventory
from spacy_attn.wsd.method import BuiltInMethod, FittedMethod, LogOdds, Needs, SenseMethod
from spacy_attn.wsd.methods.attention_wordnet import AllWordsAttention, SenseVectors
from spacy_attn.wsd.methods.calibration import UNFITTED, Calibration, calibration_of, temperature_of
from spacy_attn.wsd.methods.known_senses import KnownSenses, known_weight
from spacy_attn.wsd.methods.occurrence import (
    bounds_of,
    occurrences,
    product,
    read_occurrences,
    unit_parts,
    unit_rows,
)
from spacy_attn.wsd.methods.prepared import Prepared, file_name
from spacy_attn.wsd.methods.registry import check_arguments, sense_model_of
from spacy_attn.wsd.methods.sense_head import SenseHead
from spacy_attn.wsd.sense import POS_TAGS, Example, Sense
from spacy_attn.wsd.vectors import Texts

logger = logging.getLogger("spacy_attn")

UNIT = "passage"  # what its encoder reads together
# Chosen on development sentences (benchmarks/README.md), never on a test set.
FEW_SHOT_STRENGTH = 0.75  # of the sense model's change, but for WordNet
CONTEXT_RADIUS = 40  # tokens each side that are read, but for WordNet
WIDEN_BELOW = 0.8  # margin under which the sentences around are looked at as well


def attention_v1(
    model: str | None = None,
    sense_model: str | None = None,
    strength: float | None = None,
    wordnet: bool = True,
    precision: str = "float32",
    window: int = 256,
    overlap: int = 64,
    batch_pieces: int = 1024,
    side_pieces: int = 64,
    device: str = "auto",
    temperature: float | None = None,
) -> SenseMethod:
    """Contextual vectors with the trained sense model, examples and definitions.

    Args:
        model: the encoder; None takes all-MiniLM-L6-v2, "accurate" all-mpnet-base-v2.
        sense_model: a file made by ``spacy-attn train-senses``; None takes that of the encoder,
            the bundled one or that of the package spacy-attn-accurate; "accurate" takes the
            latter for a folder of its encoder; "none" takes the encoder as it was published, with
            nothing but the examples to learn from.
        strength: how much of the sense model's change to the encoder is used, 0 to 1; None takes
            all of it for WordNet, three quarters for other inventories.
        wordnet: whether examples are compared also by what the sense model says of WordNet's
            senses of the word, and a definition stands for the examples of a sense without any.
            Without a sense model, and for an inventory in another language than English, they
            are not.
        precision: "float32", "bfloat16", "float16", "int8", or "auto": what this processor does
            fastest.
        window: wordpieces of a window.
        overlap: wordpieces that neighbouring windows share.
        batch_pieces: wordpieces of a batch.
        side_pieces: wordpieces each side of what is read that are encoded with it; the rest is not.
        device: "auto", "cpu", "cuda" or "mps".
        temperature: None takes the fitted one.
    """
    check_arguments(temperature)
    plain = EncoderSettings(
        model or DEFAULT_ENCODER,
        strength=1.0 if strength is None else strength,
        precision=precision,
        window=window,
        overlap=overlap,
        batch_pieces=batch_pieces,
        side_pieces=side_pieces,
        device=device,
    )
    path = None if sense_model == "none" else Path(sense_model or sense_model_of(plain.model))
    make = partial(
        _make,
        plain=plain,
        path=path,
        by_inventory=strength is None,
        wordnet=wordnet,
        temperature=temperature,
    )
    return BuiltInMethod("attention", make, Needs((plain.model,), () if path is None else (path,)))


def _make(
    inventory: SenseInventory,
    resources: Resources,
    *,
    plain: EncoderSettings,
    path: Path | None,
    by_inventory: bool,
    wordnet: bool,
    temperature: float | None,
) -> FittedMethod:
    models = resources.models
    plain = replace(plain, model=resources.stored.get(plain.model, plain.model))
    if path is None:
        encoder = models.encoder(replace(plain, unit=UNIT))
        head = SenseHead.untrained(encoder.width)
    else:
        path = resources.sense_model(path)
        if by_inventory and inventory.synset_of_row is None:
            plain = replace(plain, strength=FEW_SHOT_STRENGTH)
        encoder = models.encoder(replace(plain, adapter=str(path), unit=UNIT))
        head = SenseHead.load(path)
    if inventory.synset_of_row is not None:
        if path is None:
            raise ConfigError(
                'sense_model = "none" knows no sense of WordNet, which has no examples to learn '
                "from; give a trained one, or leave it out for the bundled one"
            )
        vectors = SenseVectors.load(path)
        fitted = calibration_of("wordnet", path)
        return AllWordsAttention(inventory, encoder, head, vectors, temperature, fitted)
    folders = [cache_folder()] if path is None else [path.parent, cache_folder()]
    return Attention(
        inventory,
        resources,
        encoder,
        models.text_encoder(plain),
        replace(head, context_radius=CONTEXT_RADIUS),
        folders if resources.may_keep else (),
        temperature=temperature_of("attention", temperature, path),
        widen_below=WIDEN_BELOW,
        calibration=UNFITTED if path is None else calibration_of("examples", path),
        sense_model=path if wordnet else None,
    )


def gloss_text(lemma: str, definition: str) -> str:
    """The text whose vector stands for a sense: ``bat: a small furry mammal ...``"""
    return f"{lemma}: {definition}"


def with_an_example(sense: Sense) -> Sense:
    """A sense whose definition is its example where it has no other."""
    if sense.examples or not sense.definition:
        return sense
    example = Example(gloss_text(sense.lemma, sense.definition), 0, len(sense.lemma))
    return replace(sense, examples=(example,))


class Attention:
    """See the module.

    Making one encodes the examples and definitions of the inventory, unless a folder of
    ``prepared`` has their vectors.

    Args:
        inventory: the senses.
        resources: the pipeline's tokenizer.
        encoder: makes the contextual vectors.
        glosses: gives definitions their vectors: the same encoder without the adapter.
        head: the trained projections.
        prepared: folders that may hold the vectors of this inventory, made before; the last
            one is written to when none does. They are kept as float16, and rounded to it
            before they are used for the first time, so that every run gives the same.
        temperature: see :func:`~spacy_attn.wsd.decide.log_posterior`.
        widen_below: margin between the best two probabilities below which the sentences around
            the word's own are looked at as well, as far as ``context_radius`` reaches.
        calibration: fitted for the sense model.
        sense_model: its file, whose senses of WordNet are features too, with definitions as the
            examples of senses without any; None for neither, as for another language than English.
    """

    name = "attention"
    has_context = True

    def __init__(
        self,
        inventory: SenseInventory,
        resources: Resources,
        encoder: Encoder,
        glosses: TextEncoder,
        head: SenseHead,
        prepared: Sequence[Path] = (),
        *,
        temperature: float = 1.0,
        widen_below: float = 0.0,
        calibration: Calibration = UNFITTED,
        sense_model: Path | None = None,
    ) -> None:
        senses = inventory.senses
        if senses is None:
            raise ConfigError(
                "the attention method needs an inventory with a list of its senses; write yours "
                "to a .jsonl file and give its path"
            )
        head.check_width(encoder.width)
        if inventory.lang not in (None, "en"):
            sense_model = None
        self.encoder = encoder
        self.head = head
        self.widen_below = widen_below
        self.reading_weight = calibration.reading_weight
        self._coverage = calibration.coverage
        self.temperature = temperature
        file = file_name(inventory, encoder, head, wordnet=sense_model is not None)
        read = (Prepared.read(folder / file, len(senses)) for folder in prepared)
        arrays = next((found for found in read if found is not None), None)
        known = None if arrays is None else arrays.known(sense_model, len(head.target))
        if arrays is None or known is None:
            logger.info("preparing %d senses of %s", len(senses), inventory.name)
            lemmas = [sense.lemma for sense in senses]
            known = KnownSenses.of(lemmas, sense_model, len(head.target))
            shown = senses if sense_model is None else [with_an_example(s) for s in senses]
            arrays = self._prepare(shown, resources, glosses, known)
            if prepared:
                arrays.write(prepared[-1] / file)
        self._index = {sense.id: i for i, sense in enumerate(senses)}
        self._weights = arrays.weights.astype(np.float32)
        self._bias = arrays.bias.astype(np.float32)
        self._glosses = arrays.glosses.astype(np.float32)
        self._known_weights = arrays.known_weights.astype(np.float32)
        self._known = known
        self._has_regression: NDArray[np.bool_] = np.asarray(self._weights.any(axis=1))

    def score(self, texts: Texts, targets: Sequence[Target]) -> list[Floats1d]:
        """*Shape:* for each target (n_candidates,)"""
        if not targets:
            return []
        scores = self._scores(self._parts(texts, targets), targets)
        margins = [margin_between(log_softmax(each, self.temperature)) for each in scores]
        unsure = [i for i, margin in enumerate(margins) if margin < self.widen_below]
        if unsure:
            open_targets = [targets[i] for i in unsure]
            parts = self._parts(texts, open_targets, across=True)
            for i, answer in zip(unsure, self._scores(parts, open_targets), strict=True):
                scores[i] = answer
        return scores

    def covered(self, targets: Sequence[Target], scores: Sequence[Floats1d]) -> Floats1d:
        """See :class:`~.method.CoveringMethod`; 1 for words without examples of two senses."""
        if self._coverage is None:
            return np.ones(len(targets), dtype=np.float32)
        rows = [[self._index[sense.id] for sense in target.candidates] for target in targets]
        has_examples = np.array([self._has_regression[each].sum() > 1 for each in rows])
        return np.where(has_examples, self._coverage.probabilities(scores), np.float32(1.0))

    def _scores(self, parts: Floats2d, targets: Sequence[Target]) -> list[Floats1d]:
        """*Shape:* (n_targets, 2 * width) -> for each target (n_candidates,)"""
        z = self.head.z(parts)
        scaled = unit_parts(parts)
        return [
            self._score(scaled[i], z[i], [self._index[sense.id] for sense in target.candidates])
            for i, target in enumerate(targets)
        ]

    def target_vectors(self, texts: Texts, targets: Sequence[Target]) -> Floats2d:
        """The trained vectors of some occurrences. *Shape:* (n_targets, z width)"""
        return self.head.z(self._parts(texts, targets))

    def log_odds(self, texts: Texts, target: Target, chosen: int, other: int) -> LogOdds:
        """See :class:`~spacy_attn.wsd.method.DifferentiableMethod`."""
        across = self._looks_around(texts, target)
        rows = [self._index[sense.id] for sense in target.candidates]
        one, two = rows[chosen], rows[other]
        gloss = (self._glosses[one] - self._glosses[two]) * self.head.scale
        if self._has_regression[rows].any():
            examples = (self._weights[one] - self._weights[two]) / self.temperature
            known = (self._known_weights[one] - self._known_weights[two]) / self.temperature
            bias = float(self._bias[one] - self._bias[two]) / self.temperature
            gloss = gloss * self.head.gloss_weight / self.temperature
        else:
            examples, bias = np.zeros_like(self._weights[one]), 0.0
            known = np.zeros_like(self._known_weights[one])
        context = texts[target.context]
        bounds = bounds_of(context, target, self.head.context_radius, across=across)
        senses, prior = self._known.vectors_of(one)
        return LogOdds(
            examples,
            bias,
            gloss,
            self.head.target,
            self.head.context,
            known[: len(senses)],
            senses,
            prior,
            bounds,
        )

    def as_decided(self, texts: Texts, target: Target) -> Attention:
        """The same method, always looking as far as it does for one target of a text."""
        fixed = copy.copy(self)
        fixed.widen_below = 2.0 if self._looks_around(texts, target) else 0.0
        return fixed

    def _looks_around(self, texts: Texts, target: Target) -> bool:
        (scores,) = self._scores(self._parts(texts, [target]), [target])
        return margin_between(log_softmax(scores, self.temperature)) < self.widen_below

    def _score(self, parts: Floats1d, z: Floats1d, rows: list[int]) -> Floats1d:
        glosses = product(self._glosses[rows], z) * self.head.scale
        if not self._has_regression[rows].any():
            # The trained scale calibrates these already; the temperature, fitted for examples
            # and definitions together, is taken back.
            return np.asarray(glosses * self.temperature, dtype=np.float32)
        examples = product(self._weights[rows], parts) + self._bias[rows]
        if self._known.most:
            known = self._known.features_of(rows, z)
            examples += (self._known_weights[rows] * known).sum(axis=1)
        return np.asarray(examples + self.head.gloss_weight * glosses, dtype=np.float32)

    def _parts(self, texts: Texts, targets: Sequence[Target], *, across: bool = False) -> Floats2d:
        """Target and context vectors. *Shape:* (n_targets, 2 * width)"""
        radius = self.head.context_radius
        return read_occurrences(texts, self.encoder, targets, radius, across=across)

    # -- preparation ---------------------------------------------------------------------

    def _prepare(
        self,
        senses: Sequence[Sense],
        resources: Resources,
        glosses: TextEncoder,
        known: KnownSenses,
    ) -> Prepared:
        texts = [gloss_text(sense.lemma, sense.gloss) for sense in senses]
        parts = self._example_parts(senses, resources, known)
        width = 2 * self.encoder.width
        weights = np.zeros((len(senses), width + known.most), dtype=np.float32)
        bias = np.zeros(len(senses), dtype=np.float32)
        # A token without a part of speech has the senses of all of them as candidates, so
        # the regression runs over a lemma, whatever the part of speech.
        by_lemma: dict[str, list[int]] = {}
        for i, sense in enumerate(senses):
            by_lemma.setdefault(sense.lemma, []).append(i)
        for rows in by_lemma.values():
            rows.sort(key=lambda i: POS_TAGS.index(senses[i].pos))
            some = [parts[i] for i in rows]
            weight = known_weight([len(each) for each in some])
            scale = np.where(np.arange(weights.shape[1]) < width, np.float32(1.0), weight)
            fitted, bias[rows] = fit_examples([each * scale for each in some], self.head.ridge)
            weights[rows] = fitted * scale
        return Prepared(
            weights=_rounded(weights[:, :width]),
            bias=_rounded(bias),
            glosses=_rounded(unit_rows(glosses.embed(texts)) @ self.head.gloss.T),
            known_weights=_rounded(weights[:, width:]),
            known_prior=_rounded(known.prior),
            known_rows=known.rows,
            known_bounds=known.bounds,
        )

    def _example_parts(
        self, senses: Sequence[Sense], resources: Resources, known: KnownSenses
    ) -> list[Floats2d]:
        """Features of each sense's examples. *Shape:* of each (n_examples, 2 * width + n_known)"""
        flat = [(row, example) for row, sense in enumerate(senses) for example in sense.examples]
        width = 2 * self.encoder.width + known.most
        if not flat:
            return [np.zeros((0, width), dtype=np.float32) for _ in senses]
        contexts = [resources.tokenize(example.text) for _, example in flat]
        vectors = self.encoder.encode([c.text for c in contexts], [c.offsets for c in contexts])
        targets = [
            Target(i, *tokens_within(context, e.start, e.end), senses[row].lemma, (senses[row],))
            for i, ((row, e), context) in enumerate(zip(flat, contexts, strict=True))
        ]
        parts = occurrences(contexts, vectors, targets, self.head.context_radius)
        scaled, z = unit_parts(parts), self.head.z(parts)
        owner = np.array([row for row, _ in flat])
        return [
            np.concatenate([scaled[owner == row], known.features(row, z[owner == row])], axis=1)
            for row in range(len(senses))
        ]


def fit_examples(examples: Sequence[Floats2d], penalty: float) -> tuple[Floats2d, Floats1d]:
    """Ridge regression of +1 (this sense) and -1 (another) on the example vectors.

    Each sense counts the same, however many examples it has (as scikit-learn's
    ``class_weight="balanced"``): how many somebody wrote says nothing of how frequent a sense is.

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
    counts = np.array([len(examples[i]) for i in shown])
    y = np.repeat(2 * np.eye(len(shown)) - 1, counts, axis=0)
    # Of the same sum as without, so that the penalty means the same.
    each = np.repeat(len(x) / (len(shown) * counts), counts)
    model = Ridge(alpha=penalty).fit(x.astype(np.float64), y, sample_weight=each)
    weights[shown] = model.coef_
    bias[shown] = model.intercept_
    return weights, bias


def _rounded(array: Floats1d | Floats2d) -> NDArray[np.float16]:
    return np.ascontiguousarray(array, dtype=np.float16)
