"""Read an encoder from its folder, and merge the change that a sense model makes to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacy_attn.errors import ConfigError, ResourceError, did_you_mean, first_line
from spacy_attn.models import ACCURATE, DEFAULT_ENCODER, weights_sha256

if TYPE_CHECKING:
    import torch

# Settings of models that say how many layers they have.
_LAYERS = frozenset(
    ("num_hidden_layers", "num_layers", "n_layers", "n_layer", "encoder_layers", "depth")
)
MOST_LAYERS = 1000  # transformers makes each layer before it looks for its weights


def damaged(name: str, folder: Path, reason: Exception | str) -> ResourceError:
    """The error of an encoder whose files are not what they should be."""
    return ResourceError(
        f"encoder {name!r} cannot be loaded from {folder} ({first_line(reason)}); "
        "give a folder that save_pretrained of a model and its tokenizer wrote"
    )


def check_finite(tensor: torch.Tensor, name: str) -> None:
    """Refuse damaged weights, which would spread into all vectors.

    Raises:
        ResourceError: a number is infinite or not a number.
    """
    if tensor.is_floating_point() and not tensor.float().sum().isfinite():
        raise ResourceError(f"the weights {name} are not finite; fetch or train the model again")


def check_vocabulary(tokenizer: Any, n_rows: int) -> None:
    """Refuse a tokenizer that belongs to another model.

    Args:
        tokenizer: of the tokenizers package.
        n_rows: pieces that have a vector.

    Raises:
        ResourceError: it has a piece without a vector.
    """
    piece, number = max(tokenizer.get_vocab().items(), key=itemgetter(1), default=("", 0))
    if number >= n_rows:
        raise ResourceError(
            f"the tokenizer has a piece {piece!r} with number {number}, and the weights have "
            f"vectors for {n_rows} pieces; give the tokenizer that belongs to them"
        )


def read_encoder(name: str, folder: Path) -> tuple[Any, Any]:
    """Tokenizer and model of a folder, float32; nothing is downloaded, none of its code run.

    Raises:
        ResourceError: it is damaged, or weights are missing or not finite.
        ConfigError: it is no encoder, or has no fast tokenizer.
    """
    import safetensors  # noqa: F401  transformers hides its absence behind another error
    from transformers import AutoModel, AutoTokenizer

    _refuse_many_layers(name, folder)
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        with quiet_loading():
            tokenizer = AutoTokenizer.from_pretrained(folder, **local)
            model, report = AutoModel.from_pretrained(
                folder,
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                **local,
            )
    except Exception as error:  # those of transformers, tokenizers and safetensors
        raise damaged(name, folder, error) from error
    if not tokenizer.is_fast:
        raise ConfigError(
            f"model = {name!r} has no fast tokenizer, so its wordpieces have "
            "no offsets; choose a model with a tokenizer.json"
        )
    if model.config.is_encoder_decoder:
        raise ConfigError(
            f"model = {name!r} is an encoder with a decoder; choose one without, "
            f"such as {DEFAULT_ENCODER}"
        )
    # transformers fills what a folder lacks with random weights and an empty vocabulary.
    for key, *shapes in report["mismatched_keys"]:
        in_file, wanted = (tuple(shape) for shape in shapes)
        raise damaged(name, folder, f"{key} has shape {in_file}, config.json wants {wanted}")
    missing = sorted(key for key in report["missing_keys"] if "pooler" not in key)
    if missing or set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):
        lack = f"the weights {missing[0]}" if missing else "the vocabulary of the tokenizer"
        raise ResourceError(
            f"encoder {name!r} in {folder} lacks {lack}; "
            "give a folder that save_pretrained of a model and its tokenizer wrote"
        )
    check_vocabulary(tokenizer.backend_tokenizer, model.get_input_embeddings().num_embeddings)
    for key, tensor in model.state_dict().items():
        check_finite(tensor, f"{key} of encoder {name!r}")
    return tokenizer, model.float()


def _refuse_many_layers(name: str, folder: Path) -> None:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        named = [int(value) for key, value in config.items() if key in _LAYERS]
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return  # transformers says what is wrong
    if max(named, default=0) > MOST_LAYERS:
        raise damaged(name, folder, f"config.json has {max(named)} layers, most {MOST_LAYERS}")


def positions_of(model: Any) -> int:
    """Pieces that a model can take at once, special tokens included."""
    from torch.nn import Embedding

    # RoBERTa and its kin count positions from padding_idx + 1: 512 pieces of 514 positions.
    for name, module in model.named_modules():
        if name.split(".")[-1] == "position_embeddings" and isinstance(module, Embedding):
            unused = 0 if module.padding_idx is None else module.padding_idx + 1
            return module.num_embeddings - unused
    return int(getattr(model.config, "max_position_embeddings", 0) or 10**9)


class Adapter:
    """The change that a sense model makes to an encoder.

    ``W += B A`` for each pair of low-rank factors (as in Hu et al. 2021, "LoRA"), and what a
    model holds of biases and layer norms as it is; the changed encoder costs nothing more to run.

    Args:
        path: a sense model (safetensors) made by ``spacy-attn train-senses``.
        base_sha256: hash of the encoder's own weights; the adapter must be made for it.
        strength: what the change is multiplied by: 0 is the encoder as it was, 1 the trained one
            (weight interpolation as in Wortsman et al. 2022, "Robust fine-tuning of zero-shot
            models").

    Raises:
        ResourceError: the file is missing, is no sense model or was made for other weights.
    """

    def __init__(self, path: Path, base_sha256: str, strength: float = 1.0) -> None:
        from safetensors import SafetensorError, safe_open

        if not path.is_file():
            raise ResourceError(
                f"the sense model {path} does not exist; run: spacy-attn doctor, or give "
                f"adapter = null{did_you_mean(path.name, ('senses', ACCURATE))}"
            )
        open_file: Any = safe_open
        try:
            self._file = open_file(path, framework="pt")
            manifest = json.loads((self._file.metadata() or {}).get("manifest", "{}"))
            made_for = manifest["base_sha256"]
        except (SafetensorError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
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
        self._names: frozenset[str] = frozenset(self._file.keys())
        self.sha256 = weights_sha256(path)
        self.strength = strength

    @property
    def identity(self) -> str:
        """Hash of the file, and the strength where it is not 1."""
        return self.sha256[:16] + ("" if self.strength == 1.0 else f"x{self.strength:g}")

    def change(self, name: str, shape: Sequence[int]) -> torch.Tensor | None:
        """What is added to a parameter of the encoder. *Shape:* ``shape``, the parameter's

        Raises:
            ResourceError: the file's has another shape, or is not finite.
        """
        module = name.removesuffix(".weight")
        if f"{module}.lora_A" in self._names and module != name:
            up, down = (self._file.get_tensor(f"{module}.lora_{part}").float() for part in "BA")
            made = (*up.shape[:-1], *down.shape[1:])  # before the product, which may be of any size
        elif f"{name}.change" in self._names:
            up, down = self._file.get_tensor(f"{name}.change").float(), None
            made = tuple(up.shape)
        else:
            return None
        if made != tuple(shape):
            raise ResourceError(
                f"the change of {name} in a sense model has shape {made}, the encoder's weights "
                f"{tuple(shape)}; fetch or train the sense model again"
            )
        change: torch.Tensor = (up if down is None else up @ down) * self.strength
        check_finite(change, f"{name} of a sense model")
        return change


def merge_adapter(model: Any, adapter: Adapter) -> None:
    """Change the weights of an encoder, float32, in place."""
    import torch

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if (change := adapter.change(name, parameter.shape)) is not None:
                parameter += change


def special_tokens(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The special tokens that stand before and behind a text.

    Args:
        tokenizer: of the tokenizers package.
    """
    plain = tokenizer.encode("a", add_special_tokens=False).ids
    full = tokenizer.encode("a", add_special_tokens=True).ids
    for before in range(len(full) - len(plain) + 1):
        if full[before : before + len(plain)] == plain:
            return full[:before], full[before + len(plain) :]
    return [], []


def check_layers(layers: Sequence[int], n_layers: int) -> tuple[int, ...]:
    """Layers counted from the embeddings, 0, whichever way they were counted.

    Raises:
        ConfigError: there is no such layer.
    """
    for layer in layers:
        if not -n_layers - 1 <= layer <= n_layers:
            raise ConfigError(
                f"layers = {list(layers)}: this encoder has layers 0 (embeddings) to {n_layers}, "
                f"or counted from the end -1 to {-n_layers - 1}"
            )
    return tuple(layer % (n_layers + 1) for layer in layers)


@contextmanager
def quiet_loading() -> Iterator[None]:
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
