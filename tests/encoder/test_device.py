"""Which device "auto" picks, and what is refused."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from spacy_attn.encoder.device import pick_device
from spacy_attn.encoder.huggingface import HuggingFaceEncoder
from spacy_attn.errors import ConfigError
from spacy_attn.settings import EncoderSettings


def test_auto_takes_a_gpu_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device("auto") == "cuda"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_one_sentence():
    with pytest.raises(ConfigError, match=r"device = 'cuda' cannot be used here .* give device"):
        pick_device("cuda")


def test_a_device_that_does_not_exist_is_refused_at_once():
    with pytest.raises(ConfigError, match=r"device = 'gpu'; allowed are auto, cpu, cuda, mps"):
        HuggingFaceEncoder(EncoderSettings(device="gpu"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-3), ("auto", 0.1)])
def test_vectors_of_a_gpu_are_those_of_the_processor(toy_model, precision, tolerance):
    settings = EncoderSettings(str(toy_model), window=64, overlap=16, device="cpu")
    texts = ["the bat flew at night", "he hit the ball " * 20, ""]
    offsets = [[(m.start(), m.end()) for m in re.finditer(r"\S+", text)] for text in texts]
    expected = HuggingFaceEncoder(settings).encode(texts, offsets)
    settings = replace(settings, device="cuda", precision=precision)
    for a, b in zip(HuggingFaceEncoder(settings).encode(texts, offsets), expected, strict=True):
        np.testing.assert_allclose(a, b, atol=tolerance)
