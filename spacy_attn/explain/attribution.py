"""Attribution methods: weights of the words of a context, all over the same words.

Those that can be checked speak of the decision: ``occlusion``, ``integrated_gradients`` and
``gradient_x_input`` give log-odds for the chosen sense against the runner-up. The others show
what the encoder looked at (``attention``, ``norms``, ``rollout``: the target's row), what is
alike without any context (``static``), what is near (``nearness``), or nothing (``random``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from spacy_attn._types import StaticVectors
from spacy_attn.encoder.attention_map import AttentionMap, attention_map
from spacy_attn.errors import ConfigError, allowed_names
from spacy_attn.explain.decision import Subject
from spacy_attn.explain.gradients import gradient_attribution
from spacy_attn.explain.occlusion import context_words, occlusion

AROUND: Final = 100  # tokens each side of the target whose attention is looked at

#: Methods that explain the decision, and methods that only show something of it.
DECIDING: Final = ("occlusion", "integrated_gradients", "gradient_x_input")
ATTRIBUTIONS: Final = (*DECIDING, "attention", "norms", "rollout", "static", "nearness", "random")
LABELS: Final = {
    "occlusion": "occlusion",
    "integrated_gradients": "integrated gradients",
    "gradient_x_input": "gradient x input",
    "attention": "attention",
    "norms": "attention x value norms",
    "rollout": "attention rollout",
    "static": "static similarity",
    "nearness": "nearness",
    "random": "random",
}


def check_attributions(names: Sequence[str]) -> None:
    """Refuse unknown attribution methods, or none.

    Raises:
        ConfigError: says what is allowed.
    """
    unknown = [name for name in names if name not in ATTRIBUTIONS]
    if unknown or not names:
        shown = ", ".join(unknown)
        raise ConfigError(
            f"attributions = {shown!r}; {allowed_names(shown.split(', ')[0], ATTRIBUTIONS)}"
        )


@dataclass(frozen=True, eq=False)
class Weights:
    """How much each token weighs; 0 for the target and for what is no word of its context.

    *Shape:* values (n_tokens,)
    """

    attribution: str
    words: tuple[int, ...]  # the tokens that are weighed
    values: NDArray[np.float32]
    gap: float | None = None  # of integrated gradients: see Gradients.gap

    def top(self, k: int) -> list[int]:
        """The tokens that weigh most, the first of equals first."""
        return sorted(self.words, key=lambda i: -float(self.values[i]))[:k]


def attribute(
    subject: Subject,
    attribution: str,
    *,
    layer: int | None = None,
    head: int | None = None,
    steps: int = 32,
    vectors: StaticVectors | None = None,
    attention: AttentionMap | None = None,
) -> Weights:
    """Weigh the words round a target.

    Args:
        subject: the decision.
        attribution: one of ``ATTRIBUTIONS``.
        layer: of attention, norms and rollout, 1 the first; None takes the mean over all layers,
            or the last of a rollout.
        head: its number, 1 the first; None takes the mean over the heads.
        steps: of integrated gradients.
        vectors: for "static".
        attention: the map of the text, where it was made before.

    Raises:
        ConfigError: an unknown attribution method, layer or head; a sense method that has no
            attention or gradients; or "static" without vectors.
        ResourceError: a package or a model is missing.
    """
    if attribution not in ATTRIBUTIONS:
        raise ConfigError(
            f"attribution = {attribution!r}; {allowed_names(attribution, ATTRIBUTIONS)}"
        )
    words = tuple(context_words(subject.context, subject.target))
    gap = None
    if attribution in ("attention", "norms", "rollout"):
        values = _attention(subject, attribution, layer, head, attention)
    elif attribution in ("integrated_gradients", "gradient_x_input"):
        found = gradient_attribution(
            subject.fitted,
            subject.context,
            subject.target,
            subject.chosen,
            subject.runner_up,
            kind=attribution,
            steps=steps,
        )
        values, gap = found.weights, found.gap
    elif attribution == "static":
        values = _static(subject, vectors)
    else:
        values = _PLAIN[attribution](subject)
    only = np.zeros(len(subject.context.tokens), dtype=np.float32)
    only[list(words)] = values[list(words)]
    return Weights(attribution, words, only, gap)


def map_around(subject: Subject, kind: str = "attention") -> AttentionMap:
    """The attention of the tokens round a target, so that long texts fit."""
    context, target = subject.context, subject.target
    low, high = max(0, target.start - AROUND), min(len(context.tokens), target.end + AROUND)
    return attention_map(
        subject.encoder, context.text, context.offsets, kind=kind, within=(low, high)
    )


def target_row(
    made: AttentionMap, subject: Subject, layer: int | None = None, head: int | None = None
) -> NDArray[np.float32]:
    """What the target looks at: the mean over its tokens. *Shape:* (n_tokens,) of the text"""
    if layer is None:
        weights = made.of(-1) if made.kind == "rollout" else made.weights.mean(axis=(0, 1))
    else:
        weights = made.of(layer, head)
    own = slice(subject.target.start - made.first, subject.target.end - made.first)
    row = np.zeros(len(subject.context.tokens), dtype=np.float32)
    row[made.first : made.first + len(made.tokens)] = weights[own].mean(axis=0)
    return row


def _attention(
    subject: Subject, kind: str, layer: int | None, head: int | None, made: AttentionMap | None
) -> NDArray[np.float32]:
    if made is None or made.kind != kind:
        made = map_around(subject, kind)
    return target_row(made, subject, layer, head)


def _occlusion(subject: Subject) -> NDArray[np.float32]:
    out = np.zeros(len(subject.context.tokens), dtype=np.float32)
    for each in occlusion(
        subject.fitted, subject.context, subject.target, subject.chosen, against=subject.runner_up
    ):
        out[each.token] = each.weight
    return out


def _static(subject: Subject, vectors: StaticVectors | None) -> NDArray[np.float32]:
    """Cosine of each word's static vector to the target's. *Shape:* (n_tokens,)"""
    if vectors is None:
        raise ConfigError(
            "attribution = 'static' needs vectors; give a gensim file, or install the models"
        )
    rows = vectors.vectors([token.lower() for token in subject.context.tokens])
    target = rows[subject.target.start : subject.target.end].mean(axis=0)
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(target)
    cosines: NDArray[np.float32] = rows @ target / np.maximum(lengths, 1e-9)
    return cosines


def _nearness(subject: Subject) -> NDArray[np.float32]:
    """One over the distance in tokens, the left of two first. *Shape:* (n_tokens,)"""
    places = np.arange(len(subject.context.tokens))
    start, end = subject.target.start, subject.target.end - 1
    distance = np.maximum(np.maximum(start - places, places - end), 1)
    return (1 / distance).astype(np.float32)


def _random(subject: Subject) -> NDArray[np.float32]:
    """The same for the same text and place in every run. *Shape:* (n_tokens,)"""
    key = f"{subject.target.start}\n{subject.context.text}"
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    rng = np.random.default_rng(seed)
    return rng.random(len(subject.context.tokens), dtype=np.float32)


_PLAIN: Final[dict[str, Callable[[Subject], NDArray[np.float32]]]] = {
    "occlusion": _occlusion,
    "nearness": _nearness,
    "random": _random,
}
