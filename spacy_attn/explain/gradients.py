"""Which words of the context decided, by the gradient of the log-odds of two senses.

Integrated gradients (Sundararajan et al. 2017, "Axiomatic Attribution for Deep Networks") and
gradient x input (Shrikumar et al. 2016), both by captum, over the word embeddings of the pieces.
The baseline of the former is the same text with [MASK] for every piece but the target's: what is
explained is what the context adds to the word. That the weights sum to the difference between
text and baseline is checked with every explanation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from spacy_attn.encoder.attention_map import token_shares
from spacy_attn.encoder.device import gradients
from spacy_attn.encoder.huggingface import HuggingFaceEncoder, Wordpieces
from spacy_attn.encoder.inspected import InspectedModel, inspected_model
from spacy_attn.encoder.windows import Window
from spacy_attn.errors import ConfigError, allowed_names, explain_missing_package
from spacy_attn.wsd.context import Context, Target
from spacy_attn.wsd.method import DifferentiableMethod, FittedMethod, LogOdds, encoder_of
from spacy_attn.wsd.vectors import Texts

if TYPE_CHECKING:
    from torch import Tensor

GRADIENTS: Final = ("integrated_gradients", "gradient_x_input")
_MOST_PIECES: Final = 4096  # that go forth and back together: about 400 MB in MiniLM


@dataclass(frozen=True, eq=False)
class Gradients:
    """Weights of the tokens of one text.

    *Shape:* weights (n_tokens,): share of each token in the log-odds of two senses
    """

    weights: NDArray[np.float32]
    log_odds: float  # by the differentiated model; the method's own, but for rounding
    gap: float | None  # |sum of weights - (log-odds - those of the baseline)| / their greater; None
    # where the weights need not sum to anything


@gradients()
def gradient_attribution(
    fitted: FittedMethod,
    context: Context,
    target: Target,
    chosen: int,
    against: int,
    *,
    kind: str = "integrated_gradients",
    steps: int = 32,
) -> Gradients:
    """How much each token adds to the log-odds of the chosen sense against another.

    Args:
        fitted: the method ``attention``.
        context: the text; needs no vectors.
        target: the word.
        chosen: index of a sense among its candidates.
        against: index of another one.
        kind: one of ``GRADIENTS``.
        steps: of integrated gradients, 2 or more: points between baseline and text.

    Raises:
        ConfigError: an unknown kind, too few steps, or a method without gradients.
        ResourceError: captum is not installed.
    """
    if kind not in GRADIENTS:
        raise ConfigError(f"kind = {kind!r}; {allowed_names(kind, GRADIENTS)}")
    if steps < 2:
        raise ConfigError(f"steps = {steps}; allowed is 2 or more")
    encoder = encoder_of(fitted)
    if not isinstance(fitted, DifferentiableMethod) or not isinstance(encoder, HuggingFaceEncoder):
        raise ConfigError(
            f"the method {fitted.name!r} has no gradients; explain 'attention', or take occlusion"
        )
    own = replace(target, context=0)
    form = fitted.log_odds(Texts([context]), own, chosen, against)
    low, high = form.bounds[2:]
    read = [(min(low, target.start), max(high, target.end))]
    wordpieces = encoder.wordpieces(context.text, context.offsets, read)
    work = _Differentiated(inspected_model(encoder.settings), wordpieces, form)
    with explain_missing_package("explaining by gradients"):
        pieces, gap = _attribute(work, kind, steps)
    weights = token_shares(wordpieces).T.astype(np.float64)
    out = np.zeros(len(context.tokens), dtype=np.float32)
    for window, values in zip(work.windows, work.split(pieces), strict=True):
        inside = slice(work.n_prefix, work.n_prefix + window.end - window.start)
        out += values[inside] @ weights[window.start : window.end]
    return Gradients(out, work.log_odds(), gap)


def _attribute(
    work: _Differentiated, kind: str, steps: int
) -> tuple[NDArray[np.float32], float | None]:
    """Weights of the pieces of all windows, and the gap. *Shape:* (n_pieces of all windows,)"""
    from captum.attr import InputXGradient, IntegratedGradients

    if kind == "gradient_x_input":
        found = InputXGradient(work.log_odds_of).attribute(work.embedded.requires_grad_())
        work.embedded.requires_grad_(False)
        return found.detach()[0].sum(-1).numpy(), None
    found = IntegratedGradients(work.log_odds_of).attribute(
        work.embedded,
        work.baseline(),
        n_steps=steps,
        method="gausslegendre",
        internal_batch_size=max(1, _MOST_PIECES // work.embedded.shape[1]),
    )
    pieces = found.detach()[0].sum(-1).numpy()
    with_text, without = work.log_odds(), float(work.log_odds_of(work.baseline()))
    gap = abs(float(pieces.sum()) - (with_text - without))
    return pieces, gap / max(abs(with_text), abs(without), 1e-9)


class _Differentiated:
    """The log-odds of two senses as a function of the embeddings of the pieces.

    *Shape:* embedded (1, n_pieces of all windows, width), special tokens included
    """

    def __init__(self, model: InspectedModel, wordpieces: Wordpieces, form: LogOdds) -> None:
        import torch

        self._model, self._wordpieces = model, wordpieces
        self.n_prefix = len(wordpieces.prefix)
        self.windows = wordpieces.windows
        rows = [wordpieces.row(window) for window in wordpieces.windows]
        self._lengths = [len(row) for row in rows]
        self._ids = torch.tensor([[piece for row in rows for piece in row]])
        with torch.no_grad():
            self.embedded: Tensor = model.embeddings()(self._ids).detach()
        self._target = self._mean_of(range(form.bounds[0], form.bounds[1]))
        self._context = self._mean_of(form.context_tokens)
        self._own = self._pieces_of(range(form.bounds[0], form.bounds[1]))
        self._formula = _formula(form)

    def log_odds_of(self, embedded: Tensor) -> Tensor:
        """*Shape:* (batch, n_pieces of all windows, width) -> (batch,)"""
        import torch

        parts = [self._model.hidden_of(part) for part in torch.split(embedded, self._lengths, 1)]
        hidden = torch.cat(parts, dim=1)
        log_odds: Tensor = self._formula(self._target @ hidden, self._context @ hidden)
        return log_odds

    def log_odds(self) -> float:
        """Of the text as it is."""
        import torch

        with torch.no_grad():
            return float(self.log_odds_of(self.embedded))

    def baseline(self) -> Tensor:
        """The embeddings with a mask for every piece but the target's and special tokens."""
        import torch

        masked = self._ids.clone()
        mask = self._model.mask_id()
        for window, at in zip(self.windows, self._starts(), strict=True):
            for piece in range(window.start, window.end):
                if piece not in self._own:
                    masked[0, at + self.n_prefix + piece - window.start] = mask
        with torch.no_grad():
            embedded: Tensor = self._model.embeddings()(masked)
        return embedded

    def split(self, pieces: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Values of the pieces, window by window."""
        return np.split(pieces, np.cumsum(self._lengths)[:-1])

    def _starts(self) -> list[int]:
        return [int(at) for at in np.cumsum([0, *self._lengths[:-1]])]

    def _pieces_of(self, tokens: Sequence[int]) -> set[int]:
        first, end = self._wordpieces.first, self._wordpieces.end
        return {piece for token in tokens for piece in range(first[token], end[token])}

    def _mean_of(self, tokens: Sequence[int]) -> Tensor:
        """What makes the mean of tokens, each the mean of its pieces. *Shape:* (n_pieces,)"""
        import torch

        weights = np.zeros(sum(self._lengths), dtype=np.float32)
        for token in tokens:
            first, end = int(self._wordpieces.first[token]), int(self._wordpieces.end[token])
            for piece in range(first, end):
                weights[self._place_of(piece)] += 1 / (end - first) / len(tokens)
        return torch.from_numpy(weights)

    def _place_of(self, piece: int) -> int:
        """Where the vector of a piece is taken from, among the pieces of all windows."""
        for window, at in zip(self.windows, self._starts(), strict=True):
            if _takes(window, piece):
                return at + self.n_prefix + piece - window.start
        raise AssertionError(f"no window gives piece {piece} its vector")


def _takes(window: Window, piece: int) -> bool:
    return window.take <= piece < window.until


def _formula(form: LogOdds) -> Callable[[Any, Any], Any]:
    """The formula of :class:`LogOdds` in torch. *Shape:* two (batch, width) -> (batch,)"""
    import torch
    from torch.nn.functional import normalize

    examples, gloss = torch.from_numpy(form.examples), torch.from_numpy(form.gloss)
    target, around = torch.from_numpy(form.to_target), torch.from_numpy(form.to_context)
    known, prior = torch.from_numpy(form.known), torch.from_numpy(form.prior)
    senses = torch.from_numpy(form.senses)

    def log_odds(t: Tensor, c: Tensor) -> Tensor:
        both = torch.cat([normalize(t, dim=-1), normalize(c, dim=-1)], dim=-1)
        z = normalize(t @ target.T + c @ around.T, dim=-1)
        roots = (z @ senses.T + prior).log_softmax(-1).div(2).exp()
        return both @ examples + form.bias + z @ gloss + roots @ known

    return log_odds
