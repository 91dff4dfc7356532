"""Fit what is fitted on an inventory's own examples, each scored while it is held out.

``spacy-attn train-senses`` chooses the ridge penalty and the weight of the definitions of the
attention method with it at its end, ``python scripts/calibrate.py`` a temperature for every
method that ships. No evaluation set is touched.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from spacy_attn._types import Encoder, Floats1d, Floats2d, Offsets, TextEncoder, TokenRange
from spacy_attn.backends import LocalModels
from spacy_attn.settings import EncoderSettings
from spacy_attn.wsd.context import Context, Resources, Target, tokens_within
from spacy_attn.wsd.decide import fit_temperature, log_softmax
from spacy_attn.wsd.inventory.jsonl import Inventory
from spacy_attn.wsd.method import FittedMethod
from spacy_attn.wsd.methods.attention import CONTEXT_RADIUS, FEW_SHOT_STRENGTH, UNIT, Attention
from spacy_attn.wsd.methods.sense_head import SenseHead
from spacy_attn.wsd.sense import Example, Sense
from spacy_attn.wsd.vectors import Texts

RIDGES = (0.3, 1.0, 3.0)
GLOSS_WEIGHTS = (0.02, 0.05, 0.1, 0.15, 0.2)
_SEED = 0  # of what is held out together

Prepare = Callable[[Inventory], FittedMethod]


@dataclass(frozen=True, slots=True)
class FewShot:
    """The chosen settings and what they gave on held-out examples."""

    ridge: float
    gloss_weight: float
    accuracy: float
    loss: float  # mean negative log-likelihood at the best temperature
    loss_of_one: float  # the same where one example of each sense is known


class MemoEncoder:
    """An encoder that remembers: the same examples are encoded once, not once a fold."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._seen: dict[str, Floats2d] = {}

    @property
    def identity(self) -> str:
        """That of the encoder inside."""
        return self._encoder.identity

    @property
    def width(self) -> int:
        """That of the encoder inside."""
        return self._encoder.width

    def encode(
        self,
        texts: Sequence[str],
        offsets: Sequence[Offsets],
        reads: Sequence[Sequence[TokenRange]] | None = None,
    ) -> list[Floats2d]:
        """All tokens, whatever is read. *Shape:* for each text (n_tokens, width)"""
        new = {t: o for t, o in zip(texts, offsets, strict=True) if t not in self._seen}
        if new:
            arrays = self._encoder.encode(list(new), list(new.values()))
            self._seen.update(zip(new, arrays, strict=True))
        return [self._seen[text] for text in texts]


class MemoGlosses:
    """Likewise for definitions."""

    def __init__(self, glosses: TextEncoder) -> None:
        self._glosses = glosses
        self._seen: dict[str, Floats1d] = {}

    def embed(self, texts: Sequence[str]) -> Floats2d:
        """*Shape:* (len(texts), width)"""
        new = [text for text in dict.fromkeys(texts) if text not in self._seen]
        if new:
            self._seen.update(zip(new, self._glosses.embed(new), strict=True))
        return np.stack([self._seen[text] for text in texts])


def few_shot_attention(
    resources: Resources, plain: EncoderSettings, path: Path
) -> Callable[..., Attention]:
    """What prepares the attention method for parts of an inventory; each text is encoded once.

    Args:
        resources: the tokenizer.
        plain: the encoder as it was published.
        path: the sense model.

    Returns:
        A function of an inventory and, by name, of folders for prepared vectors (``prepared``)
        and of settings of the head that differ (``ridge``, ``gloss_weight``).
    """
    from spacy_attn.encoder.huggingface import HuggingFaceEncoder

    adapted = replace(plain, adapter=str(path), strength=FEW_SHOT_STRENGTH, unit=UNIT)
    encoder = MemoEncoder(HuggingFaceEncoder(adapted))
    glosses = MemoGlosses(HuggingFaceEncoder(plain))
    head = replace(SenseHead.load(path), context_radius=CONTEXT_RADIUS)

    def prepare(part: Inventory, prepared: Sequence[Path] = (), **changes: Any) -> Attention:
        changed = replace(head, **changes)
        return Attention(part, resources, encoder, glosses, changed, prepared, sense_model=path)

    return prepare


def blank_resources(inventory: Inventory) -> Resources:
    """Tokenizer and stop words of a blank pipeline in the inventory's language."""
    import spacy

    nlp = spacy.blank(inventory.lang or "xx")

    def tokenize(text: str) -> Context:
        doc = nlp.make_doc(text)
        offsets = [(token.idx, token.idx + len(token)) for token in doc]
        blank = [""] * len(doc)
        return Context(text, [token.text for token in doc], offsets, blank, blank)

    return Resources(tokenize, LocalModels(), frozenset(nlp.Defaults.stop_words))


def folds(inventory: Inventory, n: int, seed: int) -> Iterator[list[tuple[Sense, Example]]]:
    """Split the examples into n parts in which every sense is spread evenly."""
    rng = random.Random(seed)  # noqa: S311 - a split, not a secret
    parts: list[list[tuple[Sense, Example]]] = [[] for _ in range(n)]
    for sense in inventory.senses:
        examples = list(sense.examples)
        rng.shuffle(examples)
        for i, example in enumerate(examples):
            parts[i % n].append((sense, example))
    yield from parts


def held_out_scores(
    prepare: Prepare, inventory: Inventory, resources: Resources, n_folds: int = 8
) -> tuple[list[Floats1d], list[int]]:
    """Log-scores of every example by a method that has not seen it, and the right index.

    *Shape:* for each example (n_candidates,)
    """
    scores: list[Floats1d] = []
    gold: list[int] = []
    for part in folds(inventory, n_folds, _SEED):
        some_scores, some_gold = _scores_of(part, prepare, inventory, resources)
        scores += some_scores
        gold += some_gold
    return scores, gold


def one_shot_scores(
    prepare: Prepare, inventory: Inventory, resources: Resources
) -> tuple[list[Floats1d], list[int]]:
    """The same of all examples but one of each sense, which is all that the method has seen.

    *Shape:* for each example (n_candidates,)
    """
    rng = random.Random(_SEED)  # noqa: S311 - a choice, not a secret
    asked = []
    for sense in inventory.senses:
        examples = list(sense.examples)
        rng.shuffle(examples)
        asked += [(sense, example) for example in examples[1:]]
    return _scores_of(asked, prepare, inventory, resources)


def _scores_of(
    part: Sequence[tuple[Sense, Example]],
    prepare: Prepare,
    inventory: Inventory,
    resources: Resources,
) -> tuple[list[Floats1d], list[int]]:
    rest = inventory.without_examples([example for _, example in part])
    fitted = prepare(rest)
    contexts, targets, gold = [], [], []
    for i, (sense, example) in enumerate(part):
        context = resources.tokenize(example.text)
        first, end = tokens_within(context, example.start, example.end)
        candidates = rest.candidates(sense.lemma, sense.pos)
        contexts.append(context)
        targets.append(Target(i, first, end, sense.lemma, candidates))
        gold.append([c.id for c in candidates].index(sense.id))
    return fitted.score(Texts(contexts), targets), gold


def choose_few_shot(
    prepare: Callable[[float, float], Prepare], inventory: Inventory, resources: Resources
) -> FewShot:
    """The ridge penalty and definition weight with the least held-out loss.

    The loss moves smoothly where accuracy jumps by single sentences. That with all other examples
    and that with one example of each sense count the same, for users have few.

    Args:
        prepare: gives for a penalty and a weight the function that prepares the method.
        inventory: its examples are held out in turn.
        resources: the tokenizer.
    """
    tried = []
    for ridge in RIDGES:
        # The score is linear in the weight, so two runs give it for every weight.
        found = [
            (
                of(prepare(ridge, 0.0), inventory, resources),
                of(prepare(ridge, 1.0), inventory, resources),
            )
            for of in (held_out_scores, one_shot_scores)
        ]
        for weight in GLOSS_WEIGHTS:
            (many, gold), (one, gold_of_one) = (
                ([a + weight * (b - a) for a, b in zip(without, with_all, strict=True)], right)
                for (without, right), (with_all, _) in found
            )
            losses = loss(many, gold), loss(one, gold_of_one)
            tried.append(FewShot(ridge, weight, accuracy(many, gold), *losses))
    return min(tried, key=lambda few: few.loss + few.loss_of_one)


def accuracy(scores: Sequence[Floats1d], gold: Sequence[int]) -> float:
    """Share of targets whose best score is the right one's; 0 of none."""
    return sum(int(s.argmax()) == g for s, g in zip(scores, gold, strict=True)) / max(len(gold), 1)


def loss(scores: Sequence[Floats1d], gold: Sequence[int]) -> float:
    """Mean negative log-likelihood of the right senses at the temperature that suits best."""
    if not gold:  # an inventory without examples, or with one of each sense
        return 0.0
    temperature = fit_temperature(scores, gold)
    pairs = zip(scores, gold, strict=True)
    return -float(sum(log_softmax(s, temperature)[g] for s, g in pairs)) / len(gold)
