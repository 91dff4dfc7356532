"""The ``attention_encoder`` component: contextual vectors of spaCy tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc

from spacy_attn._types import Ints2d
from spacy_attn.batches import MAX_TOKENS, batches
from spacy_attn.components.extensions import (
    install_vector_extensions,
    mark_unkept,
    refuse_shared_names,
    set_vectors,
    token_vectors,
)
from spacy_attn.components.hooks import install_hooks, refuse_worker_process
from spacy_attn.components.stored_weights import read_stored, write_stored
from spacy_attn.errors import ConfigError, allowed_names, did_you_mean
from spacy_attn.models import ACCURATE, encoder_name, sense_model_file
from spacy_attn.settings import EncoderSettings
from spacy_attn.wsd.methods.attention import FEW_SHOT_STRENGTH, UNIT
from spacy_attn.wsd.methods.registry import SENSE_MODEL, sense_model_of

_DTYPES = ("float32", "float16")
_ADAPTERS = (None, "senses", ACCURATE)

DEFAULTS: dict[str, Any] = {
    "model": "sentence-transformers/all-MiniLM-L6-v2",  # "accurate": all-mpnet-base-v2
    "layers": [-1],  # averaged; 0 is the embedding layer, -1 the last
    "adapter": None,  # or "senses": with the trained weights of the attention method; a path
    "strength": FEW_SHOT_STRENGTH,  # of the adapter; 1.0 is what senses of WordNet are read with
    "precision": "float32",  # or "bfloat16", "float16", "int8", "auto": the fastest here
    "device": "auto",  # a GPU where there is one; or "cpu", "cuda", "mps"
    "dtype": "float32",  # of what is kept on the Doc: or "float16"
    "unit": None,  # read together; null: "passage" with an adapter, else "document"
    "window": 256,  # wordpieces of a window, special tokens included
    "overlap": 64,  # wordpieces that neighbouring windows share at least
    "batch_pieces": 1024,  # wordpieces of a batch, padding included
    "attr": "attn_vectors",  # Doc attribute
    "token_attr": "attn_vector",  # Token attribute
    "model_attr": "attn_model",  # Doc attribute: the identity of what ran
    "hooks": False,  # token.vector, doc.similarity and so on
    "keep": True,  # false: emptied by the last sense_disambiguator that can read them
    "store_weights": False,  # whether nlp.to_disk copies the model into the saved pipeline
}


class AttentionEncoder:
    """Writes ``doc._.attn_vectors`` (n_tokens, width) and its identity.

    Args:
        name: of the component.
        settings: see ``DEFAULTS`` for names and meanings.

    Raises:
        ConfigError: a setting is not allowed, or an attribute name is taken.
    """

    def __init__(self, name: str, settings: dict[str, Any]) -> None:
        self.name = name
        self.config = settings
        if settings["dtype"] not in _DTYPES:
            raise ConfigError(
                f"dtype = {settings['dtype']!r}; {allowed_names(settings['dtype'], _DTYPES)}"
            )
        adapter = settings["adapter"]
        # A pipeline that was saved with its weights is made before they are at hand.
        is_here = settings["store_weights"] or Path(str(adapter)).is_file()
        if adapter not in _ADAPTERS and not is_here:
            raise ConfigError(
                f"adapter = {adapter!r}; allowed are null, 'senses', 'accurate' or the path of a "
                f"sense model{did_you_mean(adapter, filter(None, _ADAPTERS))}"
            )
        if adapter == "senses":
            adapter = sense_model_of(encoder_name(settings["model"]))
        self._named = encoder_name(settings["model"]), adapter  # before those of a saved pipeline
        self._settings = EncoderSettings(
            model=settings["model"],
            layers=tuple(settings["layers"]),
            adapter=adapter,
            strength=settings["strength"] if adapter else 1.0,
            precision=settings["precision"],
            unit=settings["unit"] or (UNIT if adapter else "document"),
            window=settings["window"],
            overlap=settings["overlap"],
            batch_pieces=settings["batch_pieces"],
            device=settings["device"],
        )
        self._stored: dict[str, str] = {}  # weights that came with a saved pipeline
        self.hooks = bool(settings["hooks"])
        self._install()

    def _install(self) -> None:
        install_vector_extensions(
            self.config["attr"], self.config["token_attr"], self.config["model_attr"]
        )

    @property
    def written_names(self) -> dict[str, str]:
        """Setting and the attribute that it names."""
        return _written_names(self.config)

    @property
    def encoder(self) -> Any:
        """The encoder of this process, shared by all components with the same settings.

        Raises:
            ResourceError: the package of the adapter is not installed.
        """
        from spacy_attn.encoder.huggingface import shared_encoder

        adapter = self._settings.adapter
        file = None if adapter is None else str(sense_model_file(adapter))
        return shared_encoder(replace(self._settings, adapter=file))

    def __call__(self, doc: Doc) -> Doc:
        """Encode one Doc."""
        self.encode([doc])
        return doc

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Encode a stream of Docs, many in one batch, order kept."""
        for docs in batches(stream, len, MAX_TOKENS, batch_size):
            self.encode(docs)
            yield from docs

    def encode(self, docs: list[Doc]) -> None:
        """Write the vectors of some Docs."""
        self._install()  # a spawned child starts without extensions
        if self.hooks:
            refuse_worker_process(self.name)
        encoder = self.encoder
        arrays = encoder.encode([doc.text for doc in docs], [offsets_of(doc) for doc in docs])
        dtype = np.dtype(self.config["dtype"])
        for doc, array in zip(docs, arrays, strict=True):
            set_vectors(doc, self.config["attr"], array.astype(dtype, copy=False))
            doc._.set(self.config["model_attr"], encoder.identity)
            if not self.config["keep"]:
                mark_unkept(doc, self.config["attr"])
            if self.hooks:
                self.set_hooks(doc)

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Copy the model into a folder, where ``store_weights`` is set; the config has the rest.

        Raises:
            ResourceError: the model is not on this machine.
        """
        if not self.config["store_weights"]:
            return
        model, adapter = self._named
        own = [] if adapter in (None, str(SENSE_MODEL)) else [Path(adapter)]
        write_stored(Path(path), [model], own, self._stored)

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> AttentionEncoder:
        """Take the model that ``to_disk`` copied, if it did.

        Raises:
            ConfigError: the folder is not complete.
        """
        self._stored = stored = read_stored(Path(path))
        model, adapter = self._named
        self._settings = replace(
            self._settings,
            model=stored.get(model, model),
            adapter=None if adapter is None else stored.get(str(Path(adapter)), adapter),
        )
        return self

    def set_hooks(self, doc: Doc) -> None:
        """Let ``token.vector``, ``similarity`` and the like read this component's vectors."""
        install_hooks(doc, partial(token_vectors, attr=self.config["attr"]))


@Language.factory(
    "attention_encoder",
    assigns=["doc._.attn_vectors", "doc._.attn_model", "token._.attn_vector"],
    default_config=DEFAULTS,
)
def make_attention_encoder(
    nlp: Language,
    name: str,
    model: str,
    layers: list[int],
    adapter: str | None,
    strength: float,
    precision: str,
    device: str,
    dtype: str,
    unit: str | None,
    window: int,
    overlap: int,
    batch_pieces: int,
    attr: str,
    token_attr: str,
    model_attr: str,
    hooks: bool,
    keep: bool,
    store_weights: bool,
) -> AttentionEncoder:
    """Make an :class:`AttentionEncoder`; nothing is loaded before the first text.

    Raises:
        ConfigError: a setting is not allowed, or an attribute is taken, also where another
            component of the pipeline writes it.
    """
    settings = {
        "model": model,
        "layers": layers,
        "adapter": adapter,
        "strength": strength,
        "precision": precision,
        "device": device,
        "dtype": dtype,
        "unit": unit,
        "window": window,
        "overlap": overlap,
        "batch_pieces": batch_pieces,
        "attr": attr,
        "token_attr": token_attr,
        "model_attr": model_attr,
        "hooks": hooks,
        "keep": keep,
        "store_weights": store_weights,
    }
    refuse_shared_names(nlp, name, _written_names(settings))
    return AttentionEncoder(name, settings)


def offsets_of(doc: Doc) -> Ints2d:
    """Start and end character of each token. *Shape:* (n_tokens, 2)"""
    rows = doc.to_array(["IDX", "LENGTH"]).astype(np.int64).reshape(-1, 2)
    rows[:, 1] += rows[:, 0]
    return rows


def _written_names(settings: dict[str, Any]) -> dict[str, str]:
    return {
        "attr": f"doc._.{settings['attr']}",
        "token_attr": f"token._.{settings['token_attr']}",
        "model_attr": f"doc._.{settings['model_attr']}",
    }
