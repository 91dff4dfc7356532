"""With another default type of torch, set before loading or after it, everything is the same."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
import torch

from spacy_attn.components.adapter import resources_of
from spacy_attn.encoder.calibrate import calibrate
from spacy_attn.encoder.device import training
from spacy_attn.encoder.huggingface import HuggingFaceEncoder
from spacy_attn.encoder.inspected import InspectedModel
from spacy_attn.encoder.lemmatizer import read_lemmatizer
from spacy_attn.encoder.precision import layer_times
from spacy_attn.encoder.tuning import Shape
from spacy_attn.settings import EncoderSettings
from spacy_attn.wsd.inventory.jsonl import load_inventory
from spacy_attn.wsd.vectors import Texts
from tests.encoder.test_int8 import texts_to_watch
from tests.test_contract import (  # noqa: F401  the fixtures
    FACTORIES,
    METHOD_ARGUMENTS,
    SENSE_METHODS,
    TEXTS,
    _own_extensions,
    _own_module_cache,
    assert_same,
    make_pipeline,
    observe,
    on_world,
    toy_targets,
    world,
)

TYPES = (torch.float16, torch.bfloat16, torch.float64)
SHORT = [text for text in TEXTS if text.strip()]


@contextmanager
def default_type(dtype: torch.dtype) -> Iterator[None]:
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.fixture
def unread(world: dict[str, str], tmp_path: Path) -> dict[str, str]:  # noqa: F811
    """The same world in other files: nothing of it is kept in this process."""
    places = {}
    for number, (name, path) in enumerate(world.items()):
        copied = tmp_path / str(number) / Path(path).name  # what is trained knows the names
        copied.parent.mkdir()
        copy = shutil.copytree if Path(path).is_dir() else shutil.copy
        places[name] = str(copy(path, copied))
    return places


def make(name: str, places: dict[str, str]) -> Any:
    if name in FACTORIES:
        return make_pipeline(name, places)
    method = spacy.registry.sense_methods.get(name)(**on_world(METHOD_ARGUMENTS[name], places))
    inventory = load_inventory(places["$inventory"], "en")
    return method.prepare(inventory, resources_of(spacy.blank("en")))


def answer(name: str, made: Any, places: dict[str, str]) -> Any:
    if name in FACTORIES:
        return [observe(doc, name) for doc in made.pipe(TEXTS)]
    contexts, targets = toy_targets(places)
    return [scores.tolist() for scores in made.score(Texts(contexts), targets)]


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("name", [*FACTORIES, *SENSE_METHODS])
def test_factories_and_methods(
    name: str,
    dtype: torch.dtype,
    world: dict[str, str],  # noqa: F811
    unread: dict[str, str],
) -> None:
    made = make(name, world)
    expected = answer(name, made, world)
    with default_type(dtype):
        set_after_loading = answer(name, made, world)
        read_in_it = make(name, unread)
        set_before_loading = answer(name, read_in_it, unread)
        assert torch.get_default_dtype() == dtype
    used_outside_again = answer(name, read_in_it, unread)
    for found in (set_after_loading, set_before_loading, used_outside_again):
        assert_same(found, expected, 1e-6)


def encoded(model: str, **changes: Any) -> Any:
    settings = EncoderSettings(model, window=64, overlap=16, **changes)
    encoder = HuggingFaceEncoder(settings)
    offsets = [[(0, len(text))] for text in SHORT]
    return np.concatenate([*encoder.encode(SHORT, offsets), encoder.embed(SHORT)])


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_precisions(
    dtype: torch.dtype,
    precision: str,
    world: dict[str, str],  # noqa: F811
    unread: dict[str, str],
) -> None:
    expected = encoded(world["$model"], precision=precision, adapter=world["$sense_model"])
    with default_type(dtype):
        found = encoded(unread["$model"], precision=precision, adapter=unread["$sense_model"])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_what_is_looked_into(
    dtype: torch.dtype,
    world: dict[str, str],  # noqa: F811
    unread: dict[str, str],
) -> None:
    def looked(places: dict[str, str]) -> list[Any]:
        settings = EncoderSettings(
            places["$model"], adapter=places["$sense_model"], window=64, overlap=16
        )
        seen = InspectedModel(settings).look([1, 2, 3, 4], projected=True)
        assert seen.projected is not None
        lemmatizer = read_lemmatizer(Path(places["$lemmatizer"]))
        lemma = lemmatizer.explain("bats", "NOUN")
        scales, *_ = calibrate(settings, texts_to_watch())
        halves = [scales.center.astype(np.float32), scales.spread.astype(np.float32)]
        return [seen.attentions, seen.hidden, seen.projected, lemma.weights, *halves, scales.limit]

    expected = looked(world)
    with default_type(dtype):
        found = looked(unread)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_training_leaves_the_default_type_of_other_threads() -> None:
    """Two that train, one of them in another type, and one that only makes a tensor."""
    seen: dict[str, Any] = {}
    trains, looked = threading.Event(), threading.Event()

    def train() -> None:
        with training():
            trains.set()
            assert looked.wait(60)
            layer = torch.nn.Linear(2, 2)
            made = [
                torch.zeros(2),
                torch.tensor([0.5, 1]),
                torch.full((2,), 0.5),
                torch.arange(0.0, 2.0),
                torch.randn(2),
            ]
            seen["trained"] = {each.dtype for each in [layer.weight, *made]}
            seen["integers"] = {torch.tensor([1]).dtype, torch.arange(3).dtype}

    with default_type(torch.float64):
        thread = threading.Thread(target=train)
        thread.start()
        assert trains.wait(60)
        other = torch.zeros(2)
        with training():
            assert torch.zeros(2).dtype == torch.float32
        looked.set()
        thread.join()
        assert torch.zeros(2).dtype == torch.get_default_dtype() == torch.float64
    assert other.dtype == torch.float64
    assert seen == {"trained": {torch.float32}, "integers": {torch.int64}}


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_layers_are_timed(dtype: torch.dtype) -> None:
    shape = Shape.of(width=48, inner=96, n_heads=2)
    with default_type(dtype):
        times = layer_times.__wrapped__(shape, ("float32", "bfloat16"))
    assert all(time > 0 for time in times.values())
