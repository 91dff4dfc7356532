"""A Hugging Face encoder that gives spaCy tokens their vectors.

Text goes in with the offsets of its tokens, one array comes out for each text. In between:
wordpieces with offsets, overlapping windows where a text is longer than one, batches of
similar length across texts, a forward pass without gradients, the mean of each token's
pieces. The vector of a token does not depend on which other texts share its batch.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spacy_attn._types import Floats2d, Floats3d, Ints1d, Offsets
from spacy_attn.encoder.align import align, pool
from spacy_attn.encoder.batching import batch_by_length
from spacy_attn.encoder.windows import Window, cut_windows
from spacy_attn.errors import ConfigError, ResourceError, explain_missing_package
from spacy_attn.models import resolve_encoder, weights_sha256
from spacy_attn.sentences import sentence_starts

if TYPE_CHECKING:
    import torch

__all__ = ["DEFAULT_MODEL", "EncoderSettings", "HuggingFaceEncoder", "shared_encoder"]

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
PRECISIONS = ("float32", "bfloat16")
UNITS = ("document", "sentence")
_SHARED_ENCODERS = 4  # models that one process keeps; each is about 90 MB


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """Everything that decides the vectors of an encoder, and how it is run."""

    model: str = DEFAULT_MODEL
    layers: tuple[int, ...] = (-1,)  # averaged; 0 is the embedding layer, -1 the last
    adapter: str | None = None  # path of a sense model whose low-rank weights are merged in
    precision: str = "float32"
    window: int = 256  # pieces of a window, special tokens included
    overlap: int = 64  # pieces that neighbouring windows share at least
    unit: str = "document"  # what is read together: or "sentence"
    batch_pieces: int = 4096  # pieces of a batch, padding included


class HuggingFaceEncoder:
    """See the module. Weights are loaded at the first use, never downloaded.

    Args:
        settings: see :class:`EncoderSettings`.

    Raises:
        ConfigError: a setting has an illegal value; at the first use, when this model does
            not allow it.
        ResourceError: at the first use, when the model is not on this machine or damaged.
    """

    def __init__(self, settings: EncoderSettings) -> None:
        if settings.precision not in PRECISIONS:
            raise ConfigError(
                f"precision = {settings.precision!r}; legal are {', '.join(PRECISIONS)}"
            )
        if settings.unit not in UNITS:
            raise ConfigError(f"unit = {settings.unit!r}; legal are {', '.join(UNITS)}")
        if not settings.layers:
            raise ConfigError("layers = []; give at least one layer, such as [-1] for the last")
        if settings.batch_pieces < 1:
            raise ConfigError(f"batch_pieces = {settings.batch_pieces}; legal is 1 or more")
        cut_windows(0, settings.window, settings.overlap)  # checks both
        self.settings = settings
        self._model: Any = None
        self._tokenizer: Any = None
        self._prefix: list[int] = []
        self._suffix: list[int] = []
        self._layers: tuple[int, ...] = ()
        self._n_layers = 0
        self._identity = ""
        self._prepared_in: int | None = None  # process id
        self._lock = threading.RLock()

    # -- what it is ----------------------------------------------------------------------

    @property
    def identity(self) -> str:
        """Model, hash of the weights, hash of the adapter, layers, precision.

        Equal means equal vectors, for texts that fit into a window; how longer texts are cut
        (``window``, ``overlap``) is no part of it.
        """
        self._load()
        return self._identity

    @property
    def width(self) -> int:
        """Length of a token's vector."""
        self._load()
        return int(self._model.config.hidden_size)

    @property
    def tokenizer(self) -> Any:
        """The fast tokenizer of the model."""
        self._load()
        return self._tokenizer

    # -- use -----------------------------------------------------------------------------

    def encode(self, texts: Sequence[str], offsets: Sequence[Offsets]) -> list[Floats2d]:
        """Vectors of the tokens of each text.

        Args:
            texts: the texts.
            offsets: for each text the (start, end) characters of its tokens, in order.

        *Shape:* for each text (n_tokens, width); zero rows for tokens without a wordpiece
        """
        self._load()
        ids, spans = self._pieces(texts)
        ranges = [align(t, o, s) for t, o, s in zip(texts, offsets, spans, strict=True)]
        jobs: list[tuple[int, Window]] = []
        for i, (first, end) in enumerate(ranges):
            for low, high, tokens in self._units(texts[i], offsets[i], first, len(ids[i])):
                n = high - low
                # A piece that two sentences share ("n't") goes to the later one.
                own_first = np.clip(first[tokens] - low, 0, n)
                windows = self._windows(n, own_first, np.clip(end[tokens] - low, 0, n))
                jobs += [(i, window.moved(low)) for window in windows]
        vectors = [np.zeros((len(pieces), self.width), dtype=np.float32) for pieces in ids]
        special = len(self._prefix) + len(self._suffix)
        lengths = [window.end - window.start + special for _, window in jobs]
        for batch in batch_by_length(lengths, self.settings.batch_pieces):
            rows = [ids[i][w.start : w.end] for i, w in (jobs[k] for k in batch)]
            hidden = self.forward(rows)
            for row, (i, w) in zip(hidden, (jobs[k] for k in batch), strict=True):
                vectors[i][w.take : w.until] = row[w.take - w.start : w.until - w.start]
        return [pool(v, first, end) for v, (first, end) in zip(vectors, ranges, strict=True)]

    def embed(self, texts: Sequence[str]) -> Floats2d:
        """One vector for each text: the mean over all its pieces, special tokens included.

        That is the pooling of sentence-transformers (Reimers and Gurevych 2019); a text
        longer than a window is cut. A text without pieces has a zero vector.

        *Shape:* (len(texts), width)
        """
        self._load()
        special = len(self._prefix) + len(self._suffix)
        ids = [row[: self.settings.window - special] for row in self._pieces(texts)[0]]
        out = np.zeros((len(ids), self.width), dtype=np.float32)
        known = [i for i, row in enumerate(ids) if len(row) + special]
        lengths = [len(ids[i]) + special for i in known]
        for batch in batch_by_length(lengths, self.settings.batch_pieces):
            hidden = self._run([ids[known[k]] for k in batch])
            for row, k in zip(hidden, batch, strict=True):
                out[known[k]] = row[: lengths[k]].mean(axis=0)
        return out

    def forward(self, rows: Sequence[Sequence[int]]) -> Floats3d:
        """One batch of piece ids through the model, special tokens added and taken off.

        *Shape:* (len(rows), longest row, width); what lies behind a shorter row is padding
        """
        self._load()
        before = len(self._prefix)
        return self._run(rows)[:, before : before + max(len(row) for row in rows)]

    def _run(self, rows: Sequence[Sequence[int]]) -> Floats3d:
        """The same with the special tokens in place."""
        import torch

        self._prepare_child()
        full = [[*self._prefix, *row, *self._suffix] for row in rows]
        longest = max(len(row) for row in full)
        pad = self._tokenizer.pad_token_id or 0  # any id will do, the mask hides it
        ids = torch.tensor([row + [pad] * (longest - len(row)) for row in full])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in full])
        with torch.inference_mode():
            array: Floats3d = self._hidden(ids, mask).float().numpy()
        return array

    def _hidden(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Mean of the chosen layers. *Shape:* (batch, pieces, width)"""
        last = len(self._layers) == 1 and self._layers[0] == self._n_layers
        out = self._model(input_ids=ids, attention_mask=mask, output_hidden_states=not last)
        if last:
            hidden: torch.Tensor = out.last_hidden_state
            return hidden
        chosen = [out.hidden_states[layer].float() for layer in self._layers]
        mean: torch.Tensor = sum(chosen[1:], chosen[0]) / len(chosen)
        return mean

    def _pieces(self, texts: Sequence[str]) -> tuple[list[list[int]], list[Offsets]]:
        if not texts:
            return [], []
        encoded = self._tokenizer(
            list(texts), add_special_tokens=False, return_offsets_mapping=True,
            return_attention_mask=False, return_token_type_ids=False, truncation=False,
            padding=False, verbose=False,
        )  # fmt: skip
        return encoded["input_ids"], encoded["offset_mapping"]

    def _units(
        self, text: str, offsets: Offsets, first: Ints1d, n_pieces: int
    ) -> Iterator[tuple[int, int, slice]]:
        """First and end piece of what is read together, and its tokens."""
        if self.settings.unit == "document":
            yield 0, n_pieces, slice(None)
            return
        starts = sentence_starts([text[a:b] for a, b in offsets])
        for start, end in pairwise([*starts, len(offsets)]):
            low = int(first[start]) if start else 0
            high = int(first[end]) if end < len(offsets) else n_pieces
            yield low, max(low, high), slice(start, end)

    def _windows(self, n_pieces: int, first: Any, end: Any) -> list[Window]:
        special = len(self._prefix) + len(self._suffix)
        return cut_windows(
            n_pieces, self.settings.window - special, self.settings.overlap, first, end
        )

    # -- loading -------------------------------------------------------------------------

    def _load(self) -> None:
        if self._identity:
            return
        with self._lock:
            if not self._identity:
                with explain_missing_package(f"the encoder {self.settings.model}"):
                    self._load_once()

    def _load_once(self) -> None:
        import torch

        resolved = resolve_encoder(self.settings.model)
        self._tokenizer, model = _read(self.settings.model, resolved.path)
        self._prefix, self._suffix = _special_tokens(self._tokenizer)
        self._n_layers = int(model.config.num_hidden_layers)
        self._layers = _check_layers(self.settings.layers, self._n_layers)
        self._check_window(model)
        weights = weights_sha256(resolved.path)
        adapter = "none"
        if self.settings.adapter is not None:
            adapter = merge_adapter(model, Path(self.settings.adapter), weights)[:16]
        if self.settings.precision == "bfloat16":
            model = model.to(torch.bfloat16)
        self._model = model.eval()
        layers = ",".join(str(layer) for layer in self._layers)
        self._identity = (
            f"{Path(self.settings.model).name}@{weights[:16]}/adapter@{adapter}"
            f"/layers@{layers}/{self.settings.unit}/{self.settings.precision}"
        )

    def _check_window(self, model: Any) -> None:
        limit = min(_positions(model), int(self._tokenizer.model_max_length))
        special = len(self._prefix) + len(self._suffix)
        window, overlap = self.settings.window, self.settings.overlap
        if not special < window <= limit or overlap >= window - special:
            raise ConfigError(
                f"window = {window} and overlap = {overlap}: {self.settings.model} takes windows "
                f"of {special + 1} to {limit} pieces, {special} of them special tokens, "
                "and the overlap must be smaller than the rest"
            )

    def _prepare_child(self) -> None:
        """One thread in a forked child: OpenMP's threads do not survive a fork."""
        if self._prepared_in == os.getpid():
            return
        import torch

        if multiprocessing.parent_process() is not None:
            torch.set_num_threads(1)
        self._prepared_in = os.getpid()


def _read(name: str, folder: Path) -> tuple[Any, Any]:
    """Tokenizer and model of a folder, float32; nothing is downloaded, none of its code run."""
    import safetensors  # noqa: F401  transformers hides its absence behind another error
    from transformers import AutoModel, AutoTokenizer

    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        with _quiet_loading():
            tokenizer = AutoTokenizer.from_pretrained(folder, **local)
            model, report = AutoModel.from_pretrained(
                folder, use_safetensors=True, output_loading_info=True, **local
            )
    except Exception as error:  # those of transformers, tokenizers and safetensors
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ResourceError(
            f"encoder {name!r} cannot be loaded from {folder} ({reason[:200]}); "
            "give a folder that save_pretrained of a model and its tokenizer wrote"
        ) from error
    if not tokenizer.is_fast:
        raise ConfigError(
            f"model = {name!r} has no fast tokenizer, so its wordpieces have "
            "no offsets; choose a model with a tokenizer.json"
        )
    if model.config.is_encoder_decoder:
        raise ConfigError(
            f"model = {name!r} is an encoder with a decoder; choose one without, "
            f"such as {DEFAULT_MODEL}"
        )
    # transformers fills what a folder lacks with random weights and an empty vocabulary.
    missing = sorted(key for key in report["missing_keys"] if "pooler" not in key)
    if missing or set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):
        lack = f"the weights {missing[0]}" if missing else "the vocabulary of the tokenizer"
        raise ResourceError(
            f"encoder {name!r} in {folder} lacks {lack}; "
            "give a folder that save_pretrained of a model and its tokenizer wrote"
        )
    return tokenizer, model.float()


def _positions(model: Any) -> int:
    """Pieces that a model can take at once, special tokens included."""
    from torch.nn import Embedding

    # RoBERTa and its kin count positions from padding_idx + 1: 512 pieces of 514 positions.
    for name, module in model.named_modules():
        if name.split(".")[-1] == "position_embeddings" and isinstance(module, Embedding):
            unused = 0 if module.padding_idx is None else module.padding_idx + 1
            return module.num_embeddings - unused
    return int(getattr(model.config, "max_position_embeddings", 0) or 10**9)


def merge_adapter(model: Any, path: Path, base_sha256: str) -> str:
    """Add the change that a sense model makes to an encoder, in place.

    ``W += B A`` for each pair of low-rank factors (as in Hu et al. 2021, "LoRA"), and what a
    model holds of biases and layer norms as it is; the changed encoder costs nothing more to run.

    Args:
        model: the encoder, float32.
        path: a sense model (safetensors) made by ``spacy-attn train-senses``.
        base_sha256: hash of the encoder's own weights; the adapter must be made for it.

    Returns:
        The hash of the adapter file.

    Raises:
        ResourceError: the file is missing, is no sense model or was made for other weights.
    """
    import torch
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise ResourceError(
            f"the sense model {path} does not exist; run: spacy-attn doctor, or give adapter = null"
        )
    try:
        with safe_open(path, framework="pt") as file:
            made_for = json.loads((file.metadata() or {}).get("manifest", "{}"))["base_sha256"]
            names = [n for n in file.keys() if ".lora_" in n or n.endswith(".change")]
            changes = {name: file.get_tensor(name).float() for name in names}
    except (SafetensorError, ValueError, KeyError) as error:
        raise ResourceError(
            f"{path} is no sense model; give a file that spacy-attn train-senses wrote, "
            "or adapter = null"
        ) from error
    if made_for != base_sha256:
        raise ResourceError(
            f"the sense model {path.name} was made for an encoder with weights "
            f"{str(made_for)[:12]}, this one has {base_sha256[:12]}; choose its encoder or "
            "adapter = null"
        )
    with torch.no_grad():
        for name in names:
            if name.endswith(".lora_A"):
                module = name.removesuffix(".lora_A")
                product = changes[f"{module}.lora_B"] @ changes[name]
                model.get_submodule(module).weight += product
            elif name.endswith(".change"):
                model.get_parameter(name.removesuffix(".change")).add_(changes[name])
    return weights_sha256(path)


def _special_tokens(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The special tokens that stand before and behind a text."""
    plain = tokenizer("a", add_special_tokens=False)["input_ids"]
    full = tokenizer("a", add_special_tokens=True)["input_ids"]
    for before in range(len(full) - len(plain) + 1):
        if full[before : before + len(plain)] == plain:
            return full[:before], full[before + len(plain) :]
    return [], []


def _check_layers(layers: Sequence[int], n_layers: int) -> tuple[int, ...]:
    for layer in layers:
        if not -n_layers - 1 <= layer <= n_layers:
            raise ConfigError(
                f"layers = {list(layers)}: this encoder has layers 0 (embeddings) to {n_layers}, "
                f"or counted from the end -1 to {-n_layers - 1}"
            )
    return tuple(layer % (n_layers + 1) for layer in layers)


@contextmanager
def _quiet_loading() -> Iterator[None]:
    """Keep the progress bars and reports of transformers away from users' terminals."""
    from transformers.utils import logging

    verbosity, has_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if has_bars:
            logging.enable_progress_bar()


_shared: OrderedDict[EncoderSettings, HuggingFaceEncoder] = OrderedDict()
_shared_lock = threading.Lock()


def shared_encoder(settings: EncoderSettings) -> HuggingFaceEncoder:
    """The encoder of these settings, one for each process; the least used one goes first."""
    with _shared_lock:
        encoder = _shared.pop(settings, None) or HuggingFaceEncoder(settings)
        _shared[settings] = encoder
        while len(_shared) > _SHARED_ENCODERS:
            _shared.popitem(last=False)
    return encoder
