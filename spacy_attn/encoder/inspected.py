"""Hugging Face's own model of an encoder, for what the fast forward pass does not keep.

The fast pass (:mod:`spacy_attn.encoder.packed`) throws attention weights away, and has no
gradients. Where somebody asks for them, the same weights, sense model merged in, are opened a
second time by transformers, with eager attention; the fast pass goes on untouched.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from spacy_attn.encoder.device import inference, on_processor, one_thread_in_children
from spacy_attn.encoder.loading import Adapter, merge_adapter, read_encoder
from spacy_attn.errors import ConfigError, explain_missing_package
from spacy_attn.models import (
    FileState,
    absolute_folder,
    model_state,
    resolve_encoder,
    weights_sha256,
)
from spacy_attn.settings import EncoderSettings

if TYPE_CHECKING:
    from torch import Tensor

_SHARED_MODELS = 2  # each is about 90 MB
#: Names of query, key, value and output projection under a layer's "attention".
_PROJECTIONS = (
    ("self.query", "self.key", "self.value", "output.dense"),  # BERT, RoBERTa, ELECTRA
    ("attn.q", "attn.k", "attn.v", "attn.o"),  # MPNet
    ("q_lin", "k_lin", "v_lin", "out_lin"),  # DistilBERT
)


@dataclass(frozen=True, slots=True)
class Pass:
    """What one forward pass of one row of pieces shows.

    *Shape:* attentions (n_layers, n_heads, n_pieces, n_pieces), rows sum to 1; hidden
    (n_layers + 1, n_pieces, width), the embeddings first; projected (3, n_layers, n_heads,
    n_pieces, head width): queries, keys, values; None where they were not asked for
    """

    attentions: Tensor
    hidden: Tensor
    projected: Tensor | None


class InspectedModel:
    """See the module. Runs on the CPU in single precision.

    Args:
        settings: those of the encoder; ``model``, ``adapter`` and ``strength`` are used.

    Raises:
        ResourceError: the model is not on this machine, or damaged.
    """

    @on_processor()
    def __init__(self, settings: EncoderSettings) -> None:
        with explain_missing_package(f"the encoder {settings.model}"):
            folder = resolve_encoder(settings.model).path
            self._tokenizer, self.model = read_encoder(settings.model, folder)
        if settings.adapter is not None:
            sense_model = Path(settings.adapter)
            merge_adapter(
                self.model, Adapter(sense_model, weights_sha256(folder), settings.strength)
            )
        self.model.eval().requires_grad_(False)
        self.model.set_attn_implementation("eager")
        self.n_layers = int(self.model.config.num_hidden_layers)
        self.n_heads = int(self.model.config.num_attention_heads)
        self._name = settings.model

    def look(self, row: Sequence[int], *, projected: bool = False) -> Pass:
        """One row of piece ids, special tokens included.

        Args:
            row: the ids.
            projected: whether queries, keys and values are wanted too.

        Raises:
            ConfigError: they are, and the architecture is not known.
        """
        import torch

        seen: list[Tensor] = []
        modules = self._projection_modules() if projected else []
        one_thread_in_children()
        with inference(), _outputs_of(modules, seen):
            out = self.model(
                input_ids=torch.tensor([list(row)]),
                output_attentions=True,
                output_hidden_states=True,
            )
        stacked = None
        if projected:
            # Hooks fire in the order of the computation: query, key, value of each layer.
            shape = self.n_layers, 3, len(row), self.n_heads, -1
            stacked = torch.stack([each[0] for each in seen]).view(shape).permute(1, 0, 3, 2, 4)
        return Pass(
            torch.stack([each[0] for each in out.attentions]),
            torch.stack([each[0] for each in out.hidden_states]),
            stacked,
        )

    def output_weights(self) -> Tensor:
        """What each head's values are multiplied by on their way out, without the bias.

        *Shape:* (n_layers, n_heads, head width, width)

        Raises:
            ConfigError: the architecture is not known.
        """
        import torch

        weights = [module.weight.T for module in self._projections(3)]
        return torch.stack([each.reshape(self.n_heads, -1, each.shape[1]) for each in weights])

    def embeddings(self) -> Any:
        """The module that gives piece ids their vectors."""
        return self.model.get_input_embeddings()

    def mask_id(self) -> int:
        """The id of the mask, or of the unknown piece where a model has none."""
        for piece in (self._tokenizer.mask_token_id, self._tokenizer.unk_token_id):
            if piece is not None:
                return int(piece)
        return 0

    def hidden_of(self, embedded: Tensor) -> Tensor:
        """The last layer for given word embeddings, differentiable.

        *Shape:* (batch, n_pieces, width), the same
        """
        import torch

        one_thread_in_children()
        with torch.autocast("cpu", enabled=False):
            hidden: Tensor = self.model(inputs_embeds=embedded).last_hidden_state
        return hidden

    def _projection_modules(self) -> list[Any]:
        columns = [self._projections(i) for i in range(3)]
        return [module for layer in zip(*columns, strict=True) for module in layer]

    def _projections(self, which: int) -> list[Any]:
        """Query (0), key (1), value (2) or output (3) modules, one for each layer."""
        named = dict(self.model.named_modules())
        for names in _PROJECTIONS:
            end = f".attention.{names[which]}"
            found = [module for name, module in named.items() if name.endswith(end)]
            if len(found) == self.n_layers:
                return found
        raise ConfigError(
            f"model = {self._name!r} ({type(self.model).__name__}): queries, keys, values and "
            "their norms are known of BERT, RoBERTa, ELECTRA, MPNet and DistilBERT; choose one of "
            "them, or kind = 'attention'"
        )


@contextmanager
def _outputs_of(modules: Sequence[Any], seen: list[Tensor]) -> Iterator[None]:
    """Keep what some modules give out, in the order in which they run."""

    def keep(module: Any, arguments: Any, output: Tensor) -> None:
        seen.append(output)

    hooks = [module.register_forward_hook(keep) for module in modules]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


_Key: TypeAlias = tuple[EncoderSettings, tuple[FileState, ...], tuple[FileState, ...]]
_shared: OrderedDict[_Key, InspectedModel] = OrderedDict()
_shared_lock = threading.Lock()


def inspected_model(settings: EncoderSettings) -> InspectedModel:
    """The model of an encoder, one for each process; the least used one goes first."""
    own = EncoderSettings(
        absolute_folder(settings.model), adapter=settings.adapter, strength=settings.strength
    )  # nothing else changes the weights
    key = own, model_state(own.model), model_state(own.adapter)
    with _shared_lock:
        model = _shared.pop(key, None) or InspectedModel(own)
        _shared[key] = model
        while len(_shared) > _SHARED_MODELS:
            _shared.popitem(last=False)
    return model
