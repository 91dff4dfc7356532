"""What may stand between static vectors and a sense head: nothing, or one way to mix tokens.

============  ===================================================================
mixer         a token's new vector comes from
============  ===================================================================
none          itself: the average of static vectors stays what it is
feed_forward  itself, through hidden layers: the parameters of attention without it
cnn           its neighbours within two tokens (Kim 2014, "Convolutional Neural
              Networks for Sentence Classification", with residuals)
bilstm        everything before and after it, in order (Hochreiter and Schmidhuber
              1997; Melamud et al. 2016, "context2vec")
attention     everything, by the layers of the package, in one of the patterns of
              :mod:`benchmarks.attention.patterns`
============  ===================================================================

All have residuals and layer norm alike, and :func:`matched_hidden` gives them the same number of
parameters, so that what differs between two of them is the way in which they mix.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from benchmarks.attention.patterns import Pattern, patterned
from spacy_attn.encoder.self_attention import SelfAttention
from spacy_attn.encoder.static_network import MakeMixer, NetworkConfig, n_parameters
from spacy_attn.errors import ConfigError

MIXERS = ("none", "feed_forward", "cnn", "bilstm", "attention")

_KERNEL = 5  # tokens that a convolution sees
_BUDGET = 20  # times width squared: room for four layers of attention, each with 4 width^2


def mixer_of(kind: str, pattern: Pattern | None = None) -> MakeMixer:
    """What the network of the package takes in place of its own attention."""

    def make(config: NetworkConfig) -> nn.Module:
        return make_mixer(
            kind,
            config.layers,
            config.width,
            config.heads,
            config.dropout,
            config.attention_dropout,
            pattern,
            config.hidden,
        )

    return make


def make_mixer(
    kind: str,
    layers: int,
    width: int,
    heads: int = 1,
    dropout: float = 0.0,
    attention_dropout: float = 0.0,
    pattern: Pattern | None = None,
    hidden: int | None = None,
) -> nn.Module:
    """A module of (x, present) -> x; see the table above.

    Args:
        kind: one of ``MIXERS``.
        layers: one after the other.
        width: of the vectors.
        heads: of attention.
        dropout: of what each part adds, in training.
        attention_dropout: of attention weights, in training.
        pattern: of attention.
        hidden: width inside; None takes :func:`matched_hidden`.

    Raises:
        ConfigError: no such mixer, or a number of layers or heads that cannot be.
    """
    _check(kind, layers)
    size = hidden or matched_hidden(kind, layers, width)
    if kind == "attention":
        attention = patterned(pattern or Pattern())
        return SelfAttention(layers, width, heads, size, dropout, attention_dropout, attention)
    return _Stack([_LAYERS[kind](width, size) for _ in range(layers)], width, dropout)


def matched_hidden(kind: str, layers: int, width: int) -> int:
    """The inner width that brings a mixer nearest to ``20 width^2`` parameters.

    Raises:
        ConfigError: so many layers have more than that with any.
    """
    _check(kind, layers)
    if kind == "none":
        return 1
    budget, low, high = _BUDGET * width**2, 1, _BUDGET * width
    while low < high:  # parameters grow with the inner width: bisection
        middle = (low + high) // 2
        low, high = (
            (middle + 1, high)
            if _count(kind, layers, width, middle) < budget
            else (
                low,
                middle,
            )
        )
    best = min(
        (n for n in (low - 1, low) if n > 0),
        key=lambda n: abs(_count(kind, layers, width, n) - budget),
    )
    if abs(_count(kind, layers, width, best) / budget - 1) > 0.1:
        raise ConfigError(
            f"layers = {layers} of {kind} at width {width} cannot be brought within 10 % of "
            f"{budget} parameters; take fewer layers, a greater width, or give hidden"
        )
    return best


def _check(kind: str, layers: int) -> None:
    if kind not in MIXERS:
        raise ConfigError(f"mixer = {kind!r}; allowed are {', '.join(MIXERS)}")
    if layers < 1:
        raise ConfigError(f"layers = {layers}; allowed is 1 or more")


def _count(kind: str, layers: int, width: int, hidden: int) -> int:
    with torch.device("meta"):  # shapes alone
        return n_parameters(make_mixer(kind, layers, width, hidden=hidden))


class _Stack(nn.Module):
    """Layers with a residual and a layer norm each; none at all is allowed."""

    def __init__(self, layers: list[nn.Module], width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layer for layer in layers if not isinstance(layer, nn.Identity))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in self.layers)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """*Shape:* x (batch, n_tokens, width), present (batch, n_tokens) -> as x"""
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = norm(x + self.drop(layer(x, present)))
        return x


class _FeedForward(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """*Shape:* as :class:`_Stack`"""
        out: Tensor = self.outer(self.inner(x).relu())
        return out


class _Convolution(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.inner = nn.Conv1d(width, hidden, _KERNEL, padding=_KERNEL // 2)
        self.outer = nn.Linear(hidden, width)

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """Padding is zero, like what lies beyond the ends. *Shape:* as :class:`_Stack`"""
        solid = (x * present.unsqueeze(-1)).transpose(1, 2)
        out: Tensor = self.outer(self.inner(solid).relu().transpose(1, 2))
        return out


class _BiLSTM(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.inner = nn.LSTM(width, hidden, batch_first=True, bidirectional=True)
        self.outer = nn.Linear(2 * hidden, width)

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """The second direction begins at each text's last token. *Shape:* as :class:`_Stack`"""
        lengths = present.sum(1).cpu()
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        states, _ = self.inner(packed)
        padded, _ = pad_packed_sequence(states, batch_first=True, total_length=x.shape[1])
        out: Tensor = self.outer(padded)
        return out


def _nothing(width: int, hidden: int) -> nn.Module:
    return nn.Identity()


_LAYERS = {"none": _nothing, "feed_forward": _FeedForward, "cnn": _Convolution, "bilstm": _BiLSTM}
