"""Attention maps: which token of a text looks at which, merged from wordpieces.

A wordpiece matrix becomes one of spaCy tokens as in Clark et al. 2019 ("What Does BERT Look At?",
section 4.1): the weight *on* a token is the sum over its pieces, the weight *from* a token the
mean over its pieces, so that rows still sum to 1. A piece that two tokens share gives each half.
What falls on special tokens, and on pieces of no token, stands in a column apart::

    pieces        [CLS] swing the b ##at [SEP]         tokens      special  swing  the  bat
      b            .1    .4   .1  .2  .1   .1    ->      bat          .3      .3   .1   .3
      ##at         .2    .2   .1  .1  .2   .2

A long text is read in windows; each piece's row comes from the window that gives it its vector,
and what stands in no window with it has weight 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from spacy_attn._types import Floats2d, Floats3d, Offsets, TokenRange
from spacy_attn.encoder.huggingface import HuggingFaceEncoder, Wordpieces
from spacy_attn.encoder.inspected import InspectedModel, inspected_model
from spacy_attn.encoder.windows import Window
from spacy_attn.errors import ConfigError, allowed_names

if TYPE_CHECKING:
    from torch import Tensor

Floats4d: TypeAlias = NDArray[np.float32]  # (n_layers, n_heads, n_tokens, n_tokens)
Merge: TypeAlias = NDArray[np.float32]  # (n_tokens, n_pieces)

KINDS: Final = ("attention", "rollout", "norms")
_MOST_BYTES: Final = 2**31  # of a map; a text of 5,000 tokens has 7 GB of weights in MiniLM
_RESIDUAL: Final = 0.5  # share of a layer's input that passes by its attention, in rollout


@dataclass(frozen=True, eq=False)
class AttentionMap:
    """Weights of some layers and heads. Row: the token that looks; column: what it looks at.

    *Shape:* weights (n_layers, n_heads, n_tokens, n_tokens); special (n_layers, n_heads,
    n_tokens): what falls on special tokens, and on tokens that the map leaves out.
    ``weights.sum(-1) + special`` is 1, and 0 for a token without a wordpiece.
    """

    kind: str  # one of KINDS; a rollout has one "head"
    tokens: tuple[str, ...]
    layers: tuple[int, ...]  # their numbers, 1 the first
    weights: Floats4d
    special: NDArray[np.float32]
    first: int = 0  # number of the first of the tokens in the text

    @property
    def n_heads(self) -> int:
        """Heads of each layer."""
        return int(self.weights.shape[1])

    def of(self, layer: int = -1, head: int | None = None) -> Floats2d:
        """The weights of one layer.

        Args:
            layer: its number, 1 the first; or counted from the end, -1 the last of the map.
            head: its number, 1 the first; None takes the mean over the heads.

        *Shape:* (n_tokens, n_tokens)

        Raises:
            ConfigError: the map has no such layer or head.
        """
        weights = self.weights[self._row(layer)]
        mean: Floats2d = weights.mean(axis=0) if head is None else weights[self._head(head)]
        return mean

    def special_of(self, layer: int = -1, head: int | None = None) -> NDArray[np.float32]:
        """What falls on special tokens; arguments as of :meth:`of`. *Shape:* (n_tokens,)"""
        special = self.special[self._row(layer)]
        if head is None:
            mean: NDArray[np.float32] = special.mean(axis=0)
            return mean
        return np.asarray(special[self._head(head)], dtype=np.float32)

    def save(self, path: str | Path) -> None:
        """All of it as ``.npz``: weights, special, layers, tokens, kind, number of the first token.

        Raises:
            ConfigError: the name does not end in .npz.
        """
        if Path(path).suffix != ".npz":
            raise ConfigError(f"{path}: allowed is a name that ends in .npz")
        arrays = self.arrays() | {"kind": np.array(self.kind)}
        np.savez_compressed(path, **arrays)  # type: ignore[arg-type]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What :meth:`save` writes, by name, without the kind."""
        return {
            "weights": self.weights,
            "special": self.special,
            "layers": np.array(self.layers),
            "tokens": np.array(self.tokens, dtype=np.str_),
            "first": np.array(self.first),
        }

    def _row(self, layer: int) -> int:
        if layer in self.layers:
            return self.layers.index(layer)
        if -len(self.layers) <= layer < 0:
            return len(self.layers) + layer
        raise ConfigError(
            f"layer = {layer}; this map has {', '.join(map(str, self.layers))}, or -1 for the last"
        )

    def _head(self, head: int) -> int:
        if not 1 <= head <= self.n_heads:
            raise ConfigError(f"head = {head}; this map has heads 1 to {self.n_heads}")
        return head - 1


@dataclass(frozen=True, eq=False)
class HeadVectors:
    """Queries, keys and values of one head in one window: what its attention is made of.

    ``softmax(queries @ keys.T / sqrt(head width)) @ values`` is the head's output (Vaswani et al.
    2017, section 3.2.1; MPNet adds a bias for the distance to the scores).

    *Shape:* each (n_pieces, head width), special tokens included
    """

    pieces: tuple[str, ...]
    queries: Floats2d
    keys: Floats2d
    values: Floats2d


def attention_map(
    encoder: HuggingFaceEncoder,
    text: str,
    offsets: Offsets,
    *,
    kind: str = "attention",
    layers: Sequence[int] | None = None,
    within: TokenRange | None = None,
) -> AttentionMap:
    """The map of one text, by a forward pass of its own with eager attention.

    Args:
        encoder: its model, sense model, windows and unit are used.
        text: the text.
        offsets: (start, end) characters of its tokens, in order.
        kind: "attention": the weights of each head. "norms": each weight times the length of what
            it carries, ``||alpha f(x)||`` (Kobayashi et al. 2020, "Attention is Not Only a Weight",
            section 2.2), made to sum to 1. "rollout": attention through all layers below, the
            residual connection counted half (Abnar and Zuidema 2020, "Quantifying Attention Flow
            in Transformers", section 3); it has no heads.
        layers: the numbers of those to keep, 1 the first; None keeps all.
        within: first and end token of those to keep; None keeps all. Windows without any of them
            are not read.

    Raises:
        ConfigError: an unknown kind or layer; no such tokens; the map would take more than 2 GB;
            or "norms" of an architecture that is not known.
        ResourceError: the model is not on this machine.
    """
    if kind not in KINDS:
        raise ConfigError(f"kind = {kind!r}; {allowed_names(kind, KINDS)}")
    model = inspected_model(encoder.settings)
    chosen = tuple(range(1, model.n_layers + 1)) if layers is None else tuple(layers)
    if not chosen or not all(1 <= layer <= model.n_layers for layer in chosen):
        raise ConfigError(
            f"layers = {list(chosen)}; allowed are numbers from 1 to {model.n_layers}, at least one"
        )
    first, end = within or (0, len(offsets))
    if not 0 <= first <= end <= len(offsets):
        raise ConfigError(f"within = {within}; allowed is from 0 to {len(offsets)}, end exclusive")
    n_tokens, n_heads = end - first, 1 if kind == "rollout" else model.n_heads
    _refuse_too_large(len(chosen) * n_heads * n_tokens**2 * 4, n_tokens, len(chosen))
    wordpieces = encoder.wordpieces(text, offsets)
    weights = np.zeros((len(chosen), n_heads, n_tokens, n_tokens), dtype=np.float32)
    special = np.zeros((len(chosen), n_heads, n_tokens), dtype=np.float32)
    queries, keys = _merges(wordpieces, slice(first, end))
    rows = [layer - 1 for layer in chosen]
    for window in wordpieces.windows:
        if not queries[:, window.take : window.until].any():
            continue
        whole = _piece_weights(model, wordpieces.row(window), kind)[rows]
        _add_window(weights, special, whole, window, len(wordpieces.prefix), queries, keys)
    tokens = tuple(text[slice(*span)] for span in offsets[first:end])
    return AttentionMap(kind, tokens, chosen, weights, special, first)


def layer_vectors(encoder: HuggingFaceEncoder, text: str, offsets: Offsets) -> Floats3d:
    """The vectors of the tokens of one text in every layer, the embeddings first.

    *Shape:* (n_layers + 1, n_tokens, width); zero rows for tokens without a wordpiece
    """
    model = inspected_model(encoder.settings)
    wordpieces = encoder.wordpieces(text, offsets)
    mean, _ = _merges(wordpieces)
    out = np.zeros((model.n_layers + 1, len(offsets), encoder.width), dtype=np.float32)
    n_prefix = len(wordpieces.prefix)
    for window in wordpieces.windows:
        hidden = model.look(wordpieces.row(window)).hidden.numpy()
        take = slice(window.take - window.start + n_prefix, window.until - window.start + n_prefix)
        out += mean[:, window.take : window.until] @ hidden[:, take]
    return out


def head_vectors(
    encoder: HuggingFaceEncoder, text: str, offsets: Offsets, *, layer: int, head: int, token: int
) -> HeadVectors:
    """Queries, keys and values of a head, in the window that gives a token its vector.

    Args:
        encoder: see :func:`attention_map`.
        text: the text.
        offsets: (start, end) characters of its tokens, in order.
        layer: its number, 1 the first.
        head: its number, 1 the first.
        token: the token.

    Raises:
        ConfigError: no such layer, head or token, or an architecture that is not known.
    """
    model = inspected_model(encoder.settings)
    for name, value, low, high in (
        ("layer", layer, 1, model.n_layers),
        ("head", head, 1, model.n_heads),
        ("token", token, 0, len(offsets) - 1),
    ):
        if not low <= value <= high:
            raise ConfigError(f"{name} = {value}; allowed is {low} to {high}")
    wordpieces = encoder.wordpieces(text, offsets)
    at = int(wordpieces.first[token])
    holding = [window for window in wordpieces.windows if window.take <= at < window.until]
    if not holding or wordpieces.end[token] == at:
        raise ConfigError(f"token = {token} ({text[slice(*offsets[token])]!r}) has no wordpiece")
    row = wordpieces.row(holding[0])
    projected = model.look(row, projected=True).projected
    if projected is None:
        raise AssertionError("queries, keys and values were asked for")
    queries, keys, values = projected[:, layer - 1, head - 1].numpy()
    pieces = tuple(encoder.tokenizer.id_to_token(piece) for piece in row)
    return HeadVectors(pieces, queries, keys, values)


def token_shares(wordpieces: Wordpieces) -> Merge:
    """Which part of each piece belongs to each token: all of it, or what tokens share.

    *Shape:* (n_tokens, n_pieces)
    """
    return _merges(wordpieces)[1]


def _refuse_too_large(n_bytes: int, n_tokens: int, n_layers: int) -> None:
    if n_bytes > _MOST_BYTES:
        raise ConfigError(
            f"the map of {n_tokens:,} tokens and {n_layers} layers would take "
            f"{n_bytes / 2**30:.1f} GB; allowed is up to {_MOST_BYTES / 2**30:.0f} GB: name fewer "
            "layers, such as layers = [6], or a part of the text"
        )


def _merges(wordpieces: Wordpieces, tokens: slice = slice(None)) -> tuple[Merge, Merge]:
    """What makes means over the pieces of a token, and shares of a piece among its tokens.

    *Shape:* two (n_tokens, n_pieces), of the tokens that are asked for
    """
    n = len(wordpieces.ids)
    places = np.arange(n)
    first, end = wordpieces.first[tokens, None], wordpieces.end[tokens, None]
    owned = ((places >= first) & (places < end)).astype(np.float32)
    # Owners of each piece among all tokens, without a matrix of all of them.
    change = np.zeros(n + 1, dtype=np.int64)
    np.add.at(change, wordpieces.first, 1)
    np.add.at(change, wordpieces.end, -1)
    owners = change.cumsum()[:-1]
    means: Merge = np.asarray(
        owned / np.maximum(owned.sum(axis=1, keepdims=True), 1), dtype=np.float32
    )
    shares: Merge = np.asarray(owned / np.maximum(owners, 1), dtype=np.float32)
    return means, shares


def _add_window(
    weights: Floats4d,
    special: NDArray[np.float32],
    whole: Floats4d,
    window: Window,
    n_prefix: int,
    queries: Merge,
    keys: Merge,
) -> None:
    """Add what the tokens of a window get from it, in place.

    *Shape:* whole (n_layers, n_heads, n_pieces, n_pieces) with special tokens
    """
    take = slice(window.take - window.start + n_prefix, window.until - window.start + n_prefix)
    inside = slice(n_prefix, n_prefix + window.end - window.start)
    looking = whole[:, :, take]
    mean = queries[:, window.take : window.until]
    share = keys[:, window.start : window.end]
    # Only the tokens of the window take part: a long text is not multiplied with its zeros.
    rows, columns = np.flatnonzero(mean.any(axis=1)), np.flatnonzero(share.any(axis=1))
    merged = np.asarray(mean[rows] @ looking[:, :, :, inside] @ share[columns].T, dtype=np.float32)
    weights[:, :, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] += _filled(
        merged, rows, columns
    )
    everything = mean[rows] @ looking.sum(axis=-1)[..., None]
    special[:, :, rows] += everything[..., 0] - merged.sum(axis=-1)


def _filled(merged: Floats4d, rows: NDArray[Any], columns: NDArray[Any]) -> Floats4d:
    """With zeros for the tokens in between that have no piece."""
    full = np.zeros(
        (*merged.shape[:2], rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1), dtype=np.float32
    )
    full[:, :, (rows - rows[0])[:, None], columns - columns[0]] = merged
    return full


def _piece_weights(model: InspectedModel, row: Sequence[int], kind: str) -> Floats4d:
    """Weights between pieces, rows sum to 1. *Shape:* (n_layers, n_heads, n_pieces, n_pieces)"""
    seen = model.look(row, projected=kind == "norms")
    if kind == "attention":
        out: Floats4d = seen.attentions.numpy()
        return out
    if kind == "rollout":
        return np.stack(list(_rollout(seen.attentions)))[:, None]
    if seen.projected is None:
        raise AssertionError("values were asked for")
    # f(x) of head h is (x V_h + b_h) O_h; the weight multiplies it, so the norm does, too.
    carried = (seen.projected[2] @ model.output_weights()).norm(dim=-1)
    norms = seen.attentions * carried[:, :, None, :]
    weights: Floats4d = (norms / norms.sum(dim=-1, keepdim=True)).numpy()
    return weights


def _rollout(attentions: Tensor) -> Iterator[Floats2d]:
    """For each layer what reaches it of the pieces. *Shape:* each (n_pieces, n_pieces)"""
    mean = attentions.mean(dim=1).numpy().astype(np.float64)
    reached = np.eye(mean.shape[-1])
    for layer in mean:
        reached = (_RESIDUAL * layer + (1 - _RESIDUAL) * np.eye(len(layer))) @ reached
        yield reached.astype(np.float32)
