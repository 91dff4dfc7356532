"""Crafted and damaged encoders: one sentence each, whoever reads them; no number that is none."""

from __future__ import annotations

import json
import shutil
import struct
from contextlib import contextmanager

import numpy as np
import pytest
import spacy
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from spacy_attn.encoder.huggingface import shared_encoder
from spacy_attn.encoder.inspected import InspectedModel, inspected_model
from spacy_attn.encoder.int8 import _with_copies as pieces_more
from spacy_attn.encoder.int8 import int8_works
from spacy_attn.encoder.lemmatizer import lemmatizer_of, read_lemmatizer
from spacy_attn.encoder.packed import PackedBert
from spacy_attn.errors import ConfigError, ResourceError
from spacy_attn.jobs import Annotator, JobOptions, annotate_files
from spacy_attn.models import DEFAULT_ENCODER, GLOVE, locate, weights_sha256
from spacy_attn.settings import EncoderSettings
from spacy_attn.wsd.methods.sense_head import SenseHead
from tests.conftest import make_toy_model
from tests.encoder.test_checkpoint import bert  # noqa: F401  the fixture
from tests.encoder.test_huggingface import encode_one, make_encoder

WORDS = "embeddings.word_embeddings.weight"
TEXT = "the bat flew at night"


@pytest.fixture(params=["direct", "transformers"])
def folder(request, toy_model, tmp_path):
    """A model that is read from its files, and one that transformers reads."""
    if request.param == "direct":
        return request.getfixturevalue("bert")
    return shutil.copytree(toy_model, tmp_path / "model")


def change_weights(folder, name, change):
    weights = load_file(folder / "model.safetensors")
    weights[name] = np.ascontiguousarray(change(weights[name]))
    save_file(weights, folder / "model.safetensors")


def change_json(folder, file, **settings):
    content = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(content | settings))


def a_nan(array):
    array.flat[array.size // 2] = np.nan
    return array


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        (WORDS, a_nan, "embeddings.*are not finite"),
        ("encoder.layer.1.output.dense.bias", a_nan, r"layer\.1\.output\.dense\.bias.*not finite"),
        ("encoder.layer.0.attention.self.key.weight", lambda a: a * np.inf, "are not finite"),
        (WORDS, lambda a: a[:, :8], r"embeddings.*has shape \(80, 8\), config.json wants"),
        (WORDS, lambda a: a[:10], r"embeddings.*has shape \(10, 16\), config.json wants"),
        ("encoder.layer.0.attention.self.query.weight", lambda a: a[:8], "query.*has shape"),
        ("encoder.layer.1.intermediate.dense.weight", lambda a: a[:8], "intermediate.*has shape"),
        ("encoder.layer.1.output.dense.weight", lambda a: a[:, :8], "output.*has shape"),
        ("embeddings.LayerNorm.weight", lambda a: a[:8], "LayerNorm.*has shape"),
        ("embeddings.position_embeddings.weight", lambda a: a[:10], "position.*has shape"),
        ("embeddings.token_type_embeddings.weight", lambda a: a[:0], "token_type.*has shape"),
    ],
)
def test_damaged_weights_are_refused(folder, name, change, reason):
    change_weights(folder, name, change)
    with pytest.raises(ResourceError, match=reason):
        encode_one(make_encoder(folder), TEXT)


@pytest.mark.parametrize(
    ("file", "settings", "reason"),
    [
        ("config.json", {"num_attention_heads": 3}, "not a multiple of the number of attention"),
        ("config.json", {"num_attention_heads": 0}, "cannot be loaded"),
        ("config.json", {"num_hidden_layers": 10**6}, "has 1000000 layers, most 1000"),
        ("config.json", {"num_hidden_layers": "x"}, "num_hidden_layers"),
        ("config.json", {"hidden_size": 32}, "config.json wants"),
        ("config.json", {"vocab_size": 5}, "config.json wants"),
        ("config.json", {"layer_norm_eps": float("nan")}, "layer_norm_eps = nan; allowed: above 0"),
        ("config.json", {"layer_norm_eps": float("inf")}, "layer_norm_eps = inf; allowed: above 0"),
        ("config.json", {"layer_norm_eps": 0.0}, "layer_norm_eps = 0.0; allowed: above 0"),
        ("config.json", {"layer_norm_eps": "a"}, "cannot be loaded"),
        ("config.json", {"max_position_embeddings": 4000}, "config.json wants"),
        ("tokenizer_config.json", {"model_max_length": "many"}, "cannot be loaded"),
    ],
)
def test_damaged_settings_are_refused(folder, file, settings, reason):
    change_json(folder, file, **settings)
    with pytest.raises(ResourceError, match=reason):
        encode_one(make_encoder(folder), TEXT)


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json"])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 100_000,
        b"\xff\xfe\0",
        struct.pack("<Q", 2**60),
        struct.pack("<Q", 200_000) + b"[" * 200_000,
    ],
    ids=["empty", "cut", "list", "deep", "binary", "long header", "deep header"],
)
def test_files_that_are_something_else_are_refused(folder, file, data):
    (folder / file).write_bytes(data)
    with pytest.raises(ResourceError, match=r"encoder '.*' (cannot be loaded|.*lacks) "):
        encode_one(make_encoder(folder), TEXT)


def test_a_vocabulary_beyond_the_weights_is_refused(folder):
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["bat"] = 99_999
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(ResourceError, match=r"a piece 'bat' with number 99999.* for 80 pieces"):
        encode_one(make_encoder(folder), TEXT)


VALUE = "encoder.layer.1.attention.self.value"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"lora_A": np.full((2, 16), np.nan, dtype=np.float32)}, "are not finite"),
        # Two rows of numbers whose product would have 40 GB.
        (
            {"lora_A": np.ones((1, 100_000), np.half), "lora_B": np.ones((100_000, 1), np.half)},
            r"has shape \(100000, 100000\), the encoder's weights \(16, 16\); fetch or train",
        ),
        ({"lora_A": np.ones((2, 8), np.half)}, r"has shape \(16, 8\), the encoder's"),
    ],
)
def test_a_damaged_sense_model_is_refused(toy_model, toy_sense_model, tmp_path, changes, reason):
    path = tmp_path / "senses.safetensors"
    weights = load_file(toy_sense_model)
    weights |= {f"{VALUE}.{name}": array for name, array in changes.items()}
    with safe_open(toy_sense_model, framework="numpy") as file:
        save_file(weights, path, metadata=file.metadata())
    with pytest.raises(ResourceError, match=rf"value\.weight (of|in) a sense model {reason}"):
        encode_one(make_encoder(toy_model, adapter=str(path)), TEXT)


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("few_shot", "ridge", float("nan")),
        ("few_shot", "ridge", -1.0),
        ("few_shot", "gloss_weight", float("inf")),
        ("config", "context_radius", -5),
        ("scale", "", 1000.0),  # its exponential is infinite
    ],
)
def test_numbers_of_a_sense_model_that_are_none(toy_sense_model, tmp_path, part, name, value):
    path = tmp_path / "senses.safetensors"
    arrays = load_file(toy_sense_model)
    with safe_open(toy_sense_model, framework="numpy") as file:
        manifest = json.loads(file.metadata()["manifest"])
    if part == "scale":
        arrays["head.scale"] = np.full_like(arrays["head.scale"], value)
    else:
        manifest[part][name] = value
    save_file(arrays, path, metadata={"manifest": json.dumps(manifest)})
    with pytest.raises(ResourceError, match=r"senses\.safetensors is no sense model"):
        SenseHead.load(path)


def test_a_job_with_a_damaged_model_stops_at_its_start(folder, tmp_path):
    change_weights(folder, WORDS, a_nan)
    nlp = spacy.blank("en")
    nlp.add_pipe("attention_encoder", config={"model": str(folder), "window": 64, "overlap": 16})
    nlp.to_disk(tmp_path / "pipeline")
    (tmp_path / "in.txt").write_text("a bat\n" * 100)
    annotator = Annotator(pipeline=str(tmp_path / "pipeline"), fields=("vectors",))
    with pytest.raises(ResourceError, match="are not finite; fetch or train the model again"):
        annotate_files([tmp_path / "in.txt"], tmp_path / "out.jsonl", annotator, JobOptions())
    assert not list(tmp_path.glob("out*"))


# -- which model it is ----------------------------------------------------------------------------


@pytest.mark.parametrize("shared", [shared_encoder, inspected_model])
def test_weights_written_anew_are_read_anew(toy_model, tmp_path, shared):
    folder = shutil.copytree(toy_model, tmp_path / "model")
    settings = EncoderSettings(str(folder), window=64, overlap=16)
    first = shared(settings)
    assert shared(settings) is first
    change_weights(folder, WORDS, lambda array: array + 1)
    assert shared(settings) is not first


def test_vectors_and_identity_of_retrained_weights_are_new(toy_model, tmp_path):
    folder = shutil.copytree(toy_model, tmp_path / "model")
    settings = EncoderSettings(str(folder), window=64, overlap=16)
    old = shared_encoder(settings)
    before, identity = encode_one(old, TEXT), old.identity
    change_weights(folder, WORDS, lambda array: array * 2)
    new = shared_encoder(settings)
    assert new.identity != identity
    assert not np.allclose(encode_one(new, TEXT), before)
    np.testing.assert_array_equal(encode_one(old, TEXT), before)


def test_a_relative_path_is_another_model_in_another_folder(toy_model, tmp_path, monkeypatch):
    shutil.copytree(toy_model, tmp_path / "a" / "model")
    made = make_toy_model(tmp_path / "b" / "model")
    change_weights(made, WORDS, lambda array: array * 2)
    settings = EncoderSettings("model", window=64, overlap=16)
    monkeypatch.chdir(tmp_path / "a")
    one = shared_encoder(settings)
    monkeypatch.chdir(tmp_path / "b")  # before anything was read
    other = shared_encoder(settings)
    assert one.identity != other.identity
    monkeypatch.chdir(tmp_path / "a")
    assert shared_encoder(settings) is one


# -- the caller's torch ---------------------------------------------------------------------------


def test_autocast_changes_nothing(folder):
    encoder = make_encoder(folder)
    expected = encode_one(encoder, TEXT)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        np.testing.assert_array_equal(encode_one(encoder, TEXT), expected)
        np.testing.assert_array_equal(encode_one(make_encoder(folder), TEXT), expected)


def test_another_default_type_changes_nothing(folder):
    expected = encode_one(make_encoder(folder), TEXT)
    torch.set_default_dtype(torch.float64)
    try:
        vectors = encode_one(make_encoder(folder), TEXT)
    finally:
        torch.set_default_dtype(torch.float32)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, atol=1e-6)


@contextmanager
def default_device(device):
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(None)


@pytest.mark.parametrize("way", [default_device, torch.device])
def test_another_default_device_changes_nothing(folder, toy_lemmatizer, way):
    """What is made on the device "meta" has no numbers, so nothing may be made there."""
    expected = encode_one(make_encoder(folder), TEXT)
    lemmas = read_lemmatizer(toy_lemmatizer).lemmas([("bats", "NOUN")])
    settings = make_encoder(folder).settings
    with way("meta"):
        np.testing.assert_array_equal(encode_one(make_encoder(folder), TEXT), expected)
        seen = InspectedModel(settings).look([1, 2, 3], projected=True)
        assert {seen.hidden.device.type, seen.projected.device.type} == {"cpu"}
        lemmatizer = lemmatizer_of(toy_lemmatizer.read_bytes())
        assert lemmatizer.lemmas([("bats", "NOUN")]) == lemmas
        assert lemmatizer.explain("bats", "NOUN").lemma == lemmas[0]


def test_an_adapter_is_merged_whole_in_autocast(folder, toy_sense_model, tmp_path):
    """The product of its factors was rounded to bfloat16, and stayed so in this process."""
    path = shutil.copy(toy_sense_model, tmp_path / "senses.safetensors")
    with safe_open(path, framework="numpy") as file:
        manifest = json.loads(file.metadata()["manifest"])
    manifest["base_sha256"] = weights_sha256(folder)
    save_file(load_file(path), path, metadata={"manifest": json.dumps(manifest)})
    expected = encode_one(make_encoder(folder, adapter=str(path)), TEXT)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        encoder = make_encoder(folder, adapter=str(path))
        np.testing.assert_array_equal(encode_one(encoder, TEXT), expected)
    np.testing.assert_array_equal(encode_one(encoder, TEXT), expected)


def test_int8_is_tried_in_float32_whatever_the_default_type():
    works = int8_works.__wrapped__()
    torch.set_default_dtype(torch.float64)
    try:
        assert int8_works.__wrapped__() == works
        assert pieces_more(torch.ones(48, 3), torch.full((48,), 2))[1].dtype == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)


def test_what_is_padded_is_made_on_the_processor_too(toy_model, monkeypatch):
    monkeypatch.setattr(PackedBert, "supports", lambda config: False)
    folder, expected = toy_model, encode_one(make_encoder(toy_model), TEXT)
    with torch.device("meta"):
        np.testing.assert_array_equal(encode_one(make_encoder(folder), TEXT), expected)


@pytest.mark.parametrize("method", ["self_attention", "attention", "cascade", "ensemble"])
@pytest.mark.parametrize("way", ["autocast", "default type", "default device"])
def test_methods_in_the_callers_torch(way, method, spacy_english):
    if locate(GLOVE, "vectors") is None or locate(DEFAULT_ENCODER, "encoder") is None:
        pytest.skip("the extra [models] is not installed")
    text = "The bat flew at night. Swing the bat!"

    def senses():
        spacy_english.add_pipe("sense_disambiguator", config={"method": method})
        try:
            doc = spacy_english(text)
            return [span.kb_id_ for span in doc.spans["senses"]]
        finally:
            spacy_english.remove_pipe("sense_disambiguator")

    expected = senses()
    assert len(expected) == 2
    if way == "autocast":
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert senses() == expected
        return
    if way == "default device":
        with torch.device("meta"):
            assert senses() == expected
        return
    torch.set_default_dtype(torch.float64)
    try:
        assert senses() == expected
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_wrong_setting_stays_a_wrong_setting(folder):
    with pytest.raises(ConfigError, match="window = 9000"):
        encode_one(make_encoder(folder, window=9000, overlap=8), TEXT)
