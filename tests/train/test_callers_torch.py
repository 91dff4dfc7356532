"""Training in the caller's autocast, default type, default device or inference mode: the same."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from functools import partial

import pytest
import torch
from safetensors.numpy import load_file

from spacy_attn.encoder.encoder_decoder import EncoderDecoderConfig
from spacy_attn.encoder.lemmatizer import N_SYMBOLS
from spacy_attn.encoder.static_network import NetworkConfig
from spacy_attn.train import sense_model
from spacy_attn.train.lemmatizer import LemmatizerConfig, train_lemmatizer
from spacy_attn.train.self_attention import SelfAttentionConfig
from spacy_attn.train.self_attention_model import train_self_attention
from spacy_attn.train.sense_sources import SenseSources
from tests.conftest import write_semcor
from tests.train.test_senses import (  # noqa: F401  the fixtures
    CONFIG,
    lexicon,
    semcor_file,
    toy_world,
)


@contextmanager
def default_type(dtype):
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


WAYS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "autocast": partial(torch.autocast, "cpu", torch.bfloat16),
    "float64": partial(default_type, torch.float64),
    "bfloat16": partial(default_type, torch.bfloat16),
    "device": partial(torch.device, "meta"),
    "inference": torch.inference_mode,
    "no gradients": torch.no_grad,
}


def assert_same(one, other):
    arrays = load_file(one)
    found = load_file(other)
    assert arrays.keys() == found.keys()
    for name, array in arrays.items():
        assert (array == found[name]).all(), name


@pytest.mark.parametrize("way", WAYS)
def test_a_lemmatizer(tmp_path, way):
    network = EncoderDecoderConfig(N_SYMBOLS, width=16, layers=1, heads=2, hidden=16)
    semcor, config = write_semcor(tmp_path / "forms.jsonl.gz"), LemmatizerConfig(epochs=2, batch=4)
    expected = train_lemmatizer(semcor, tmp_path / "a", network, config)
    before = torch.get_default_dtype()
    with WAYS[way]():
        assert_same(train_lemmatizer(semcor, tmp_path / "b", network, config), expected)
    assert torch.get_default_dtype() == before


@pytest.mark.parametrize("way", WAYS)
def test_self_attention(tmp_path, way, toy_inventory, toy_vectors):
    def run(name):
        return train_self_attention(
            tmp_path / name,
            NetworkConfig(4, width=8, heads=2),
            SelfAttentionConfig(epochs=2),
            vectors=str(toy_vectors),
            inventory=toy_inventory,
        )

    expected = run("a")
    with WAYS[way]():
        assert_same(run("b"), expected)


def test_a_sense_model_in_all_of_them(tmp_path, toy_model, toy_world):  # noqa: F811
    def run(name):
        return sense_model.train_sense_model(
            str(toy_model),
            tmp_path / name,
            replace(CONFIG, epochs=1),
            SenseSources(semcor=semcor_file(tmp_path)),
            rank=4,
            width=8,
        )

    expected = run("a")
    with ExitStack() as stack:
        for way in ("inference", "autocast", "float64"):
            stack.enter_context(WAYS[way]())
        assert_same(run("b"), expected)
