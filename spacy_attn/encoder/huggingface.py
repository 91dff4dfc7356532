"""A Hugging Face encoder that gives spaCy tokens their vectors.

Text goes in with the offsets of its tokens, one array comes out for each text. In between:
wordpieces with offsets, overlapping windows where a text is longer than one, batches of
similar length across texts, a forward pass without gradients, the mean of each token's
pieces. The vector of a token does not depend on which other texts share its batch.

Where the caller says which tokens it reads, only windows round them are encoded.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from spacy_attn._types import Floats2d, Ints1d, Ints2d, Offsets, TokenRange
from spacy_attn.encoder.align import add_pieces, align
from spacy_attn.encoder.batching import batch_by_length
from spacy_attn.encoder.checkpoint import Checkpoint, Forward, open_checkpoint
from spacy_attn.encoder.device import on_processor, one_thread_in_children, pick_device
from spacy_attn.encoder.loading import Adapter, check_layers, damaged, special_tokens
from spacy_attn.encoder.memory import release_freed_memory
from spacy_attn.encoder.windows import Window, cut_windows, round_reads
from spacy_attn.errors import ConfigError, ResourceError, SpacyAttnError, explain_missing_package
from spacy_attn.models import (
    FileState,
    absolute_folder,
    model_state,
    resolve_encoder,
    weights_sha256,
)
from spacy_attn.sentences import passage_starts, sentence_starts
from spacy_attn.settings import EncoderSettings

if TYPE_CHECKING:
    from spacy_attn.encoder.int8 import Scales

_RELEASE_AFTER = 4096  # pieces; a few times a second
_CUTS = {"passage": passage_starts, "sentence": sentence_starts}  # where a unit begins
_SHARED_ENCODERS = 4  # models that one process keeps; each is about 90 MB


@dataclass(frozen=True, slots=True)
class Wordpieces:
    """The wordpieces of a text, and how they go through the encoder.

    *Shape:* first, end (n_tokens,): the pieces of each token
    """

    ids: tuple[int, ...]  # of the pieces, without special tokens
    pieces: tuple[str, ...]  # as the vocabulary writes them
    first: Ints1d
    end: Ints1d
    windows: tuple[Window, ...]
    prefix: tuple[int, ...]  # special tokens before a window
    suffix: tuple[int, ...]  # and behind it

    def row(self, window: Window) -> list[int]:
        """What goes through the encoder together."""
        return [*self.prefix, *self.ids[window.start : window.end], *self.suffix]


@dataclass(frozen=True, slots=True)
class _Row:
    """What goes through the encoder together: a window of a text."""

    text: int
    window: Window


class HuggingFaceEncoder:
    """See the module. Weights are loaded at the first use, never downloaded.

    Args:
        settings: see :class:`EncoderSettings`.

    Raises:
        ConfigError: at the first use, when this model does not allow a setting.
        ResourceError: at the first use, when the model is not on this machine or damaged.
    """

    def __init__(self, settings: EncoderSettings) -> None:
        self.settings = settings
        self._forward: Forward  # made by _load_once
        self._tokenizer: Any = None
        self._prefix: list[int] = []
        self._suffix: list[int] = []
        self._width = 0
        self._identity = ""
        self._since_release = 0  # pieces
        #: Tokens that it has read since it was made; two looks at a token count twice.
        self.n_tokens_encoded = 0
        self._lock = threading.RLock()

    # -- what it is ----------------------------------------------------------------------

    @property
    def identity(self) -> str:
        """Model, hash of the weights, hash of the adapter, layers, precision; loads the model.

        Equal means equal vectors, for texts that fit into a window; how longer texts are cut
        (``window``, ``overlap``) is no part of it.
        """
        self._load()
        return self._identity

    @property
    def width(self) -> int:
        """Length of a token's vector."""
        self._load()
        return self._width

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of the model, an object of the tokenizers package."""
        self._load()
        return self._tokenizer

    # -- use -----------------------------------------------------------------------------

    def encode(
        self,
        texts: Sequence[str],
        offsets: Sequence[Offsets],
        reads: Sequence[Sequence[TokenRange]] | None = None,
    ) -> list[Floats2d]:
        """Vectors of the tokens of each text.

        Args:
            texts: the texts.
            offsets: for each text the (start, end) characters of its tokens, in order.
            reads: for each text the ranges of tokens whose vectors are wanted. What stands
                further than ``side_pieces`` wordpieces from all of them is not encoded, and its
                rows are zero. None: all tokens.

        *Shape:* for each text (n_tokens, width); zero rows for tokens without a wordpiece
        """
        self._load()
        ids, spans = self._pieces(texts)
        ranges = [align(t, o, s) for t, o, s in zip(texts, offsets, spans, strict=True)]
        out = [np.zeros((len(first), self._width), dtype=np.float32) for first, _ in ranges]
        # What stands there twice is encoded once.
        rows: dict[tuple[int, ...], list[_Row]] = {}
        for i, (first, end) in enumerate(ranges):
            wanted = None if reads is None else reads[i]
            units = list(self._units(texts[i], offsets[i], first, end, len(ids[i]), wanted))
            self.n_tokens_encoded += sum(tokens.stop - tokens.start for _, _, tokens in units)
            for window in self._windows(units, first, end):
                pieces = tuple(ids[i][window.start : window.end])
                rows.setdefault(pieces, []).append(_Row(i, window))
        distinct = list(rows)
        special = len(self._prefix) + len(self._suffix)
        lengths = [len(pieces) + special for pieces in distinct]
        for batch in batch_by_length(lengths, self.settings.batch_pieces):
            hidden = self._run([distinct[k] for k in batch])
            at = len(self._prefix)
            for k in batch:
                for row in rows[distinct[k]]:
                    window = row.window
                    kept = hidden[
                        at + window.take - window.start : at + window.until - window.start
                    ]
                    add_pieces(out[row.text], kept, window.take, *ranges[row.text])
                at += lengths[k]
        self._since_release += sum(lengths)
        if self._since_release >= _RELEASE_AFTER:
            self._since_release = 0
            release_freed_memory()
        return out

    def wordpieces(
        self, text: str, offsets: Offsets, reads: Sequence[TokenRange] | None = None
    ) -> Wordpieces:
        """The pieces and windows of a text, without a forward pass; see :meth:`encode`."""
        self._load()
        encoded = self._tokenizer.encode(text, add_special_tokens=False)
        first, end = align(text, offsets, np.array(encoded.offsets, dtype=np.int64).reshape(-1, 2))
        units = self._units(text, offsets, first, end, len(encoded.ids), reads)
        windows = tuple(self._windows(units, first, end)) if len(offsets) else ()
        return Wordpieces(
            tuple(encoded.ids),
            tuple(encoded.tokens),
            first,
            end,
            windows,
            tuple(self._prefix),
            tuple(self._suffix),
        )

    def embed(self, texts: Sequence[str]) -> Floats2d:
        """One vector for each text: the mean over all its pieces, special tokens included.

        That is the pooling of sentence-transformers (Reimers and Gurevych 2019); a text
        longer than a window is cut. A text without pieces has a zero vector.

        *Shape:* (len(texts), width)
        """
        self._load()
        special = len(self._prefix) + len(self._suffix)
        ids = [row[: self.settings.window - special] for row in self._pieces(texts)[0]]
        out = np.zeros((len(ids), self._width), dtype=np.float32)
        known = [i for i, row in enumerate(ids) if len(row) + special]
        lengths = [len(ids[i]) + special for i in known]
        for batch in batch_by_length(lengths, self.settings.batch_pieces):
            hidden = self._run([ids[known[k]] for k in batch])
            starts = np.cumsum([0, *(lengths[k] for k in batch)])
            for k, (start, end) in zip(batch, pairwise(starts), strict=True):
                out[known[k]] = hidden[start:end].mean(axis=0)
        return out

    def _run(self, rows: Sequence[Sequence[int]]) -> Floats2d:
        """One batch of piece ids through the model, special tokens added.

        *Shape:* (sum of the lengths with special tokens, width)
        """
        one_thread_in_children()
        hidden = self._forward([[*self._prefix, *row, *self._suffix] for row in rows])
        if not np.isfinite(hidden.sum()):
            raise ResourceError(
                f"encoder {self.settings.model!r} gives vectors that are not finite with precision "
                f"= {self.settings.precision!r}; take 'float32', or fetch the model again"
            )
        return hidden

    def _pieces(self, texts: Sequence[str]) -> tuple[list[list[int]], list[Ints2d]]:
        if not texts:
            return [], []
        encoded = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        # As arrays at once: thousands of tuples would set the garbage collector to work.
        spans = [np.array(each.offsets, dtype=np.int64).reshape(-1, 2) for each in encoded]
        return [each.ids for each in encoded], spans

    def _units(
        self,
        text: str,
        offsets: Offsets,
        first: Ints1d,
        end: Ints1d,
        n_pieces: int,
        reads: Sequence[TokenRange] | None,
    ) -> Iterator[tuple[int, int, slice]]:
        """First and end piece of what is read together, and its tokens."""
        n_tokens = len(offsets)
        if reads is not None and not reads:
            return
        cut = _CUTS.get(self.settings.unit)
        starts = [0] if cut is None else cut([text[a:b] for a, b in offsets])
        parts: Iterator[TokenRange] = pairwise([*starts, n_tokens])
        if reads is not None:
            parts = round_reads(reads, parts, first, end, self.settings.side_pieces)
        for start, stop in parts:
            low = int(first[start]) if start else 0
            high = int(first[stop]) if stop < n_tokens else n_pieces
            yield low, max(low, high), slice(start, stop)

    def _windows(
        self, units: Iterable[tuple[int, int, slice]], first: Ints1d, end: Ints1d
    ) -> Iterator[Window]:
        """The windows of some units; those of one that is short enough are one."""
        size = self.settings.window - len(self._prefix) - len(self._suffix)
        for low, high, tokens in units:
            n = high - low
            if n <= size:
                if n:
                    yield Window(low, high, low, high)
                continue
            # A piece that two sentences share ("n't") goes to the later one.
            own_first = np.clip(first[tokens] - low, 0, n)
            own_end = np.clip(end[tokens] - low, 0, n)
            for window in cut_windows(n, size, self.settings.overlap, own_first, own_end):
                yield window.moved(low)

    # -- loading -------------------------------------------------------------------------

    def _load(self) -> None:
        if self._identity:
            return
        with self._lock:
            if not self._identity:
                with explain_missing_package(f"the encoder {self.settings.model}"):
                    self._load_once()

    def _load_once(self) -> None:
        folder = resolve_encoder(self.settings.model).path
        try:
            self._load_from(folder)
        except (SpacyAttnError, ImportError):
            raise
        except Exception as error:  # those of torch, tokenizers and safetensors
            raise damaged(self.settings.model, folder, error) from error

    @on_processor()
    def _load_from(self, folder: Path) -> None:
        checkpoint = open_checkpoint(self.settings.model, folder)
        self._tokenizer = checkpoint.tokenizer
        self._prefix, self._suffix = special_tokens(self._tokenizer)
        layers = check_layers(self.settings.layers, checkpoint.n_layers)
        self._check_window(checkpoint.limit)
        weights = weights_sha256(folder)
        path = self.settings.adapter
        adapter = None if path is None else Adapter(Path(path), weights, self.settings.strength)
        device = pick_device(self.settings.device)
        changed_by = "none" if adapter is None else adapter.identity
        precision, scales = self._precision(checkpoint, device, weights, changed_by)
        self._width = checkpoint.width
        if scales is None:
            self._forward = checkpoint.forward(precision, layers, device, adapter)
        else:
            self._forward = checkpoint.forward("float32", layers, device, adapter, scales.ops())
            precision = f"int8x{scales.identity[:8]}"
        release_freed_memory()
        self._identity = (
            f"{Path(self.settings.model).name}@{weights[:16]}"
            f"/adapter@{changed_by}"
            f"/layers@{','.join(map(str, layers))}/{self.settings.unit}/{precision}"
        )

    def _precision(
        self, checkpoint: Checkpoint, device: str, weights: str, adapter: str
    ) -> tuple[str, Scales | None]:
        """The arithmetic, and the scales where it is int8."""
        from spacy_attn.encoder.int8 import find_scales
        from spacy_attn.encoder.precision import check_int8, needed, pick_precision
        from spacy_attn.encoder.tuning import Shape

        wanted, scales = self.settings.precision, None
        if wanted in ("auto", "int8") and device == "cpu" and checkpoint.is_packed:
            scales = find_scales(weights, adapter)
        shape = Shape.of(checkpoint.width, checkpoint.inner, checkpoint.n_heads)
        precision = pick_precision(wanted, device, shape, scales)
        if precision != "int8":
            return precision, None
        check_int8(self.settings.model, device, checkpoint.is_packed)
        return precision, needed(self.settings, scales)

    def _check_window(self, limit: int) -> None:
        special = len(self._prefix) + len(self._suffix)
        window, overlap = self.settings.window, self.settings.overlap
        if not special < window <= limit or overlap >= window - special:
            raise ConfigError(
                f"window = {window} and overlap = {overlap}: {self.settings.model} takes windows "
                f"of {special + 1} to {limit} pieces, {special} of them special tokens, "
                "and the overlap must be smaller than the rest"
            )


_Key: TypeAlias = tuple[EncoderSettings, tuple[FileState, ...], tuple[FileState, ...]]
_shared: OrderedDict[_Key, HuggingFaceEncoder] = OrderedDict()
_shared_lock = threading.Lock()


def shared_encoder(settings: EncoderSettings) -> HuggingFaceEncoder:
    """The encoder of these settings, one for each process; the least used one goes first.

    A folder that was written anew since, or another one of the same relative path, is read.
    """
    settings = replace(settings, model=absolute_folder(settings.model))
    key = settings, model_state(settings.model), model_state(settings.adapter)
    with _shared_lock:
        encoder = _shared.pop(key, None) or HuggingFaceEncoder(settings)
        _shared[key] = encoder
        while len(_shared) > _SHARED_ENCODERS:
            _shared.popitem(last=False)
    return encoder
