"""Products of 8-bit integers: against the same in NumPy, on every processor, in every batch."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel

from spacy_attn.encoder import int8
from spacy_attn.encoder.calibrate import calibrate, mean_cosine
from spacy_attn.encoder.checkpoint import open_checkpoint
from spacy_attn.encoder.huggingface import HuggingFaceEncoder
from spacy_attn.encoder.int8 import (
    LEAST_COSINE,
    ROUNDED,
    Scales,
    find_scales,
    int8_works,
    scales_path,
    split_units,
    whole_weights,
)
from spacy_attn.encoder.loading import Adapter
from spacy_attn.encoder.packed import PackedBert
from spacy_attn.encoder.tuning import Choice
from spacy_attn.errors import ConfigError, ResourceError
from spacy_attn.models import DEFAULT_ENCODER, locate, resolve_encoder, weights_sha256
from spacy_attn.settings import EncoderSettings, differing_settings
from spacy_attn.wsd.methods.attention import FEW_SHOT_STRENGTH
from spacy_attn.wsd.methods.registry import SENSE_MODEL
from tests.encoder.test_huggingface import (
    encode_one,
    make_encoder,
    make_other,
    random_texts,
    words_of,
)

pytestmark = pytest.mark.skipif(not int8_works(), reason="no 8-bit products on this processor")
needs_model = pytest.mark.skipif(
    locate(DEFAULT_ENCODER, "encoder") is None, reason=f"{DEFAULT_ENCODER} is not installed"
)
ROWS = [[2, 5, 6, 7, 3], [2, 8, 3], [2, 9, 10, 11, 12, 13, 3], [2, 3]]
CHOICE = Choice("plain", step=8)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """No scales of other tests."""
    monkeypatch.setenv("SPACY_ATTN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def texts_to_watch() -> list[str]:
    return [text for text in random_texts(80, 40, seed=11) if text.strip()]


@pytest.fixture
def scales(toy_model) -> Scales:
    """Those of the toy, where its encoders find them."""
    made, weights, adapter = calibrate(EncoderSettings(str(toy_model)), texts_to_watch())
    made.save(scales_path(weights, adapter))
    return made


# -- the arithmetic, written a second time -------------------------------------------------------


def whole_by_hand(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A scale for each row, so that no weight and no pair of one sign is too large."""
    scales = []
    for row in weight:
        pairs = [abs(a + b) for a, b in zip(row[::2], row[1::2], strict=False) if a * b > 0]
        scales.append(max(np.abs(row).max(), *pairs) / 127)
    return np.rint(weight / np.array(scales)[:, None]), np.array(scales)


def gelu(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def norm(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-12) * weight + bias


def softmax(x: np.ndarray) -> np.ndarray:
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def forward_by_hand(model, row: list[int], scales: Scales) -> np.ndarray:
    """BERT in double precision, all products in whole numbers."""
    w = {name: each.double().numpy() for name, each in model.state_dict().items()}
    n_heads = model.config.num_attention_heads

    def pair(name):
        return w[f"{name}.weight"], w[f"{name}.bias"]

    def rounded(x, layer, part):
        at = layer, ROUNDED.index(part)
        center, spread = scales.center[at].astype(float), scales.spread[at].astype(float)
        root = np.sqrt(spread)
        step = root * root.max() / 127
        return np.clip(np.floor((x - center) / step + 128.5), 0, 255), center, step

    def product(x, layer, part, weight, bias):
        whole, center, step = rounded(x, layer, part)
        integers, scale = whole_by_hand(weight * step)
        return (whole - 128) @ integers.T * scale + weight @ center + bias

    def joined(name):
        parts = [pair(f"{name}.attention.self.{each}") for each in ("query", "key", "value")]
        return np.concatenate([a for a, _ in parts]), np.concatenate([b for _, b in parts])

    x = w["embeddings.word_embeddings.weight"][row]
    x = x + w["embeddings.position_embeddings.weight"][: len(row)]
    x = norm(x + w["embeddings.token_type_embeddings.weight"][0], *pair("embeddings.LayerNorm"))
    for layer in range(model.config.num_hidden_layers):
        name = f"encoder.layer.{layer}"
        projected = product(x, layer, "query_key_value", *joined(name))
        query, key, value = (
            each.reshape(len(row), n_heads, -1).swapaxes(0, 1)
            for each in np.split(projected, 3, axis=1)
        )
        scores = softmax(query @ key.swapaxes(1, 2) / math.sqrt(query.shape[-1]))
        attended = (scores @ value).swapaxes(0, 1).reshape(len(row), -1)
        out = product(attended, layer, "attention_out", *pair(f"{name}.attention.output.dense"))
        x = norm(out + x, *pair(f"{name}.attention.output.LayerNorm"))
        weight, bias = pair(f"{name}.intermediate.dense")
        limit = float(scales.limit[layer])
        copies = [(i, k) for i, n in enumerate(scales.units[layer]) for k in range(1, n)]
        index = [*range(len(weight)), *(i for i, _ in copies)]
        lower = np.array([0] * len(weight) + [k for _, k in copies])
        between = product(x, layer, "intermediate", weight[index], bias[index] - lower * limit)
        step = (limit + 0.17) / 255
        zero = round(0.17 / step)
        whole = np.clip(np.rint(gelu(between) / step) + zero, 0, 255)
        weight, bias = pair(f"{name}.output.dense")
        integers, scale = whole_by_hand(weight[:, index] * step)
        x = norm((whole - zero) @ integers.T * scale + bias + x, *pair(f"{name}.output.LayerNorm"))
    return x


def test_the_forward_pass_is_that_of_numpy(toy_model, scales):
    model = AutoModel.from_pretrained(toy_model).eval()
    weights = model.state_dict().__getitem__
    config = model.config.to_dict()
    obtained = PackedBert(config, weights, torch.float32, [2], "cpu", CHOICE, scales.ops())(ROWS)
    expected = np.concatenate([forward_by_hand(model, row, scales) for row in ROWS])
    exact = PackedBert(config, weights, torch.float32, [2], "cpu", CHOICE)(ROWS)
    # A value between two steps may be rounded either way; what both do to float32 is larger.
    assert np.abs(obtained - expected).mean() < 0.2 * np.abs(obtained - exact).mean()
    np.testing.assert_allclose(obtained, expected, atol=0.05)


def test_weights_keep_to_what_16_bits_hold():
    rng = np.random.default_rng(0)
    for width in (1, 2, 7, 64):
        weight = rng.standard_t(2, size=(40, width)) * rng.uniform(1e-6, 10, size=(40, 1))
        whole, scale = (each.numpy() for each in whole_weights(torch.from_numpy(weight).float()))
        assert np.abs(whole).max() <= 127
        even, odd = whole[:, : width // 2 * 2 : 2], whole[:, 1::2]
        assert (255 * np.maximum(np.abs(even + odd), 0)).max(initial=0) <= 2**15 - 1
        assert (np.abs(whole * scale[:, None] - weight) <= 0.5001 * scale[:, None]).all()


def test_a_row_of_zeros_has_a_scale():
    whole, scale = whole_weights(torch.zeros(2, 4))
    assert not whole.any()
    assert (scale > 0).all()


def test_units_are_split_as_far_as_there_is_room():
    highest = np.ones(48, dtype=np.float32)
    highest[5] = 10.0
    units, limit = split_units(highest)  # room for two more
    assert units.sum() == 48 + 2
    assert units[5] == 3
    assert 10 / 3 <= limit < 10 / 3 * 1.03


def test_the_copies_of_a_unit_add_up_to_it():
    u, limit = np.linspace(-5, 11.9, 500), 4.0
    parts = [np.clip(gelu(u - k * limit), None, limit) for k in range(3)]
    assert np.abs(sum(parts) - gelu(u)).max() < 2 * 0.18
    far = (np.abs(u - limit) > 3) & (np.abs(u - 2 * limit) > 3)
    assert np.abs(sum(parts) - gelu(u))[far].max() < 0.01


# -- the encoder -----------------------------------------------------------------------------------


def test_vectors_are_near_to_those_of_float32(toy_model, scales):
    text = random_texts(1, 150, seed=6)[0]
    exact = encode_one(make_encoder(toy_model), text)
    encoder = make_encoder(toy_model, precision="int8")
    near = encode_one(encoder, text)
    assert near.dtype == np.float32
    assert not np.array_equal(near, exact)
    kept = exact.any(1)
    cosines = (near * exact).sum(1)[kept] / (
        np.linalg.norm(near, axis=1) * np.linalg.norm(exact, axis=1)
    )[kept]
    assert cosines.mean() > LEAST_COSINE
    assert scales.cosine > LEAST_COSINE
    assert encoder.identity.endswith(f"/document/int8x{scales.identity[:8]}")


def test_alone_equals_in_a_batch(toy_model, scales):
    texts = random_texts(64, 150, seed=4)
    encoder = make_encoder(toy_model, batch_pieces=512, precision="int8")
    batch = encoder.encode(texts, [words_of(text) for text in texts])
    for text, vectors in zip(texts, batch, strict=True):
        np.testing.assert_allclose(vectors, encode_one(encoder, text), atol=1e-4)


@needs_model
def test_alone_equals_in_a_batch_of_the_default_encoder():
    texts = ["Swing the bat!", "Bats fly at night, and owls do too.", "He sat on the bank. " * 9]
    encoder = HuggingFaceEncoder(EncoderSettings(precision="int8"))
    batch = encoder.encode(texts, [words_of(text) for text in texts])
    for text, vectors in zip(texts, batch, strict=True):
        np.testing.assert_allclose(vectors, encode_one(encoder, text), atol=1e-4)


def test_layers_are_averaged(toy_model, scales):
    text = "the bat flew at night"
    single = [
        encode_one(make_encoder(toy_model, layers=(layer,), precision="int8"), text)
        for layer in (0, 1, 2)
    ]
    together = encode_one(make_encoder(toy_model, layers=(0, 1, 2), precision="int8"), text)
    np.testing.assert_allclose(together, np.mean(single, axis=0), atol=1e-6)


def test_texts_beyond_what_was_calibrated_stay_finite(toy_model, scales):
    narrow = replace(scales, spread=scales.spread / 8, limit=scales.limit / 8)
    weights = weights_sha256(toy_model)
    narrow.save(scales_path(weights, "none"))
    vectors = encode_one(make_encoder(toy_model, precision="int8"), "the bat flew at night")
    assert np.isfinite(vectors).all()


_CHILD = """
import sys
import numpy as np
from tests.encoder.test_int8 import product_of_extremes
from tests.encoder.test_huggingface import encode_one, make_encoder, random_texts
np.save(sys.argv[2], product_of_extremes())
np.save(sys.argv[3], encode_one(make_encoder(sys.argv[1], precision="int8"),
                                random_texts(1, 150, seed=6)[0]))
"""


def product_of_extremes() -> np.ndarray:
    """The largest inputs times the largest weights that there are."""
    weight = torch.ones(64, 256)
    weight[32:] = torch.where(torch.arange(256) % 2 == 0, 1.0, -1.0)
    ones = int8.example_scales(256, 64).ops()
    product, bias = ones.arranged(0, "query_key_value", weight, torch.zeros(64))
    with torch.inference_mode():
        return ones.linear(torch.ones(32, 256), product, bias).numpy()


@pytest.mark.slow
def test_processors_without_vnni_compute_the_same(toy_model, scales, cache, tmp_path):
    files = [str(tmp_path / name) for name in ("product.npy", "vectors.npy")]
    environment = {
        **os.environ,
        "SPACY_ATTN_CACHE": str(cache),
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
    }
    command = [sys.executable, "-c", _CHILD, str(toy_model), *files]
    subprocess.run(command, env=environment, check=True, cwd=Path(__file__).parents[2])
    product, vectors = (np.load(file) for file in files)
    np.testing.assert_allclose(product[:, :32], 256, rtol=0.01)
    np.testing.assert_allclose(product, product_of_extremes(), atol=1e-3)
    here = encode_one(make_encoder(toy_model, precision="int8"), random_texts(1, 150, seed=6)[0])
    np.testing.assert_allclose(vectors, here, atol=0.05)
    assert np.abs(vectors - here).mean() < 1e-3


# -- the scales that ship --------------------------------------------------------------------------


@needs_model
@pytest.mark.parametrize("strength", [0.0, FEW_SHOT_STRENGTH, 1.0])
def test_those_that_ship_fit_the_shipped_models(strength):
    folder = resolve_encoder(DEFAULT_ENCODER).path
    weights = weights_sha256(folder)
    adapter = Adapter(SENSE_MODEL, weights, strength) if strength else None
    found = find_scales(weights, "none" if adapter is None else adapter.identity)
    assert found is not None, "run: spacy-attn calibrate-int8 -o spacy_attn/data/int8"
    assert found.cosine >= 0.997
    checkpoint = open_checkpoint(DEFAULT_ENCODER, folder)
    texts = ["Swing the bat! He hit the ball over the fence.", "Bats fly at night, owls too."]
    rows = [each.ids for each in checkpoint.tokenizer.encode_batch(texts)]
    exact, near = (
        checkpoint.forward("float32", [6], "cpu", adapter, ops, CHOICE)
        for ops in (None, found.ops())
    )
    assert mean_cosine(exact, near, rows) > LEAST_COSINE


def test_those_that_ship_are_small():
    files = list(int8._FOLDER.glob("*.npz"))
    assert len(files) == 3
    assert sum(file.stat().st_size for file in files) < 100_000


# -- what is refused -------------------------------------------------------------------------------


def test_a_model_without_scales_names_the_command(toy_model):
    encoder = make_encoder(toy_model, precision="int8")
    with pytest.raises(ResourceError, match=r"has no scales .*; run: spacy-attn calibrate-int8 /"):
        encoder.width  # noqa: B018


def test_another_architecture_is_refused(toy_model, tmp_path):
    folder = make_other(tmp_path / "mpnet", toy_model, "mpnet")
    with pytest.raises(ConfigError, match=r"mpnet is no BERT, RoBERTa .* give precision = \"auto"):
        make_encoder(folder, precision="int8").width  # noqa: B018
    with pytest.raises(ConfigError, match="is no BERT"):
        calibrate(EncoderSettings(str(folder)), texts_to_watch())


def test_a_processor_without_integers_is_refused(toy_model, scales, monkeypatch):
    monkeypatch.setattr("spacy_attn.encoder.precision.int8_works", lambda: False)
    with pytest.raises(ConfigError, match=r"no products of 8-bit integers .* precision = \"auto"):
        make_encoder(toy_model, precision="int8").width  # noqa: B018


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"{}"])
def test_a_damaged_file_names_the_command(toy_model, scales, content):
    path = scales_path(weights_sha256(toy_model), "none")
    path.write_bytes(content)
    with pytest.raises(ResourceError, match=r"no scales of int8; delete it and run: spacy-attn"):
        make_encoder(toy_model, precision="int8").width  # noqa: B018


@pytest.mark.parametrize(
    "change",
    [
        {"spread": np.zeros((2, 3, 16), np.float16)},
        {"limit": np.full(2, np.nan, np.float32)},
        {"units": np.ones((1, 32), np.uint8)},
        {"manifest": {}},
        {"manifest": {"cosine": 2.0}},
    ],
)
def test_scales_that_cannot_be_are_refused(scales, tmp_path, change):
    replace(scales, **change).save(tmp_path / "scales.npz")
    with pytest.raises(ResourceError, match="holds no scales of int8"):
        Scales.load(tmp_path / "scales.npz")


def test_scales_go_to_a_file_and_back(scales, tmp_path):
    scales.save(tmp_path / "scales.npz")
    again = Scales.load(tmp_path / "scales.npz")
    assert again.identity == scales.identity
    assert again.manifest == scales.manifest


def test_few_texts_are_refused(toy_model):
    with pytest.raises(ConfigError, match=r"2 texts: at least 16 are needed; give files"):
        calibrate(EncoderSettings(str(toy_model)), ["a", "b"])


def test_other_scales_are_no_other_setting():
    one, other = (f"M@1f/adapter@none/layers@6/document/{p}" for p in ("float32", "int8x0123abcd"))
    assert differing_settings(one, other, {}) == ["precision = 'int8'"]
