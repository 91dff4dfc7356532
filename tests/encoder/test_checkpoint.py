"""BERT read from its files is the BERT that transformers reads."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from spacy_attn.encoder import checkpoint
from spacy_attn.encoder.checkpoint import open_checkpoint
from spacy_attn.encoder.huggingface import HuggingFaceEncoder
from spacy_attn.models import DEFAULT_ENCODER, locate, resolve_encoder
from spacy_attn.settings import EncoderSettings
from tests.encoder.test_huggingface import TEXTS, make_encoder, words_of

needs_model = pytest.mark.skipif(
    locate(DEFAULT_ENCODER, "encoder") is None, reason=f"{DEFAULT_ENCODER} is not installed"
)
STRANGE = [
    *TEXTS,
    "İstanbul'da ŞİŞLİ Ünïcödé naïve café",
    "a\u00adb zero\u200dwidth \ufeff bom \x00 \x1f \u2028",
    "[CLS] [SEP] [MASK] [PAD] [UNK]",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 ㍿ ½ ① ﷽ 한국어 ไทย हिन्दी",
    "http://a.b/c?d=e#f @user #tag 3.14e-10 --- ... 'tis",
]


@pytest.fixture
def bert(toy_model, tmp_path):
    """The toy with the settings file that a BERT comes with."""
    folder = shutil.copytree(toy_model, tmp_path / "bert")
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["normalizer"] = {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": True,
        "strip_accents": None,
        "lowercase": True,
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config |= {"tokenizer_class": "BertTokenizer", "do_lower_case": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def encode_both(folder, monkeypatch, texts, **settings):
    """By the files themselves, and by transformers."""
    offsets = [words_of(text) for text in texts]
    out = [make_encoder(folder, **settings).encode(texts, offsets)]
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "_is_bert", lambda config: False)
        out.append(make_encoder(folder, **settings).encode(texts, offsets))
    return out


@pytest.mark.parametrize("layers", [(-1,), (0, 1)])
def test_both_ways_give_the_same(bert, monkeypatch, layers):
    assert type(open_checkpoint("bert", bert)).__name__ == "_DirectBert"
    direct, other = encode_both(bert, monkeypatch, STRANGE, layers=layers)
    for a, b in zip(direct, other, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_merged_adapter_too(toy_model, toy_sense_model, bert, monkeypatch):
    direct, other = encode_both(bert, monkeypatch, TEXTS, adapter=str(toy_sense_model))
    for a, b in zip(direct, other, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@needs_model
def test_both_ways_give_the_same_for_the_default_model(monkeypatch):
    folder = resolve_encoder(DEFAULT_ENCODER).path
    assert type(open_checkpoint("default", folder)).__name__ == "_DirectBert"
    direct, other = encode_both(folder, monkeypatch, STRANGE)
    for a, b in zip(direct, other, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)  # of values up to about 3


@pytest.mark.slow
@needs_model
def test_the_default_model_needs_no_transformers():
    code = (
        "import sys\n"
        "from spacy_attn.encoder.huggingface import HuggingFaceEncoder\n"
        "from spacy_attn.settings import EncoderSettings\n"
        "HuggingFaceEncoder(EncoderSettings()).encode(['bat'], [[(0, 3)]])\n"
        "print('transformers' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["False"]


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("tokenizer_config.json", {"tokenizer_class": "RobertaTokenizer"}),
        ("tokenizer_config.json", {"do_lower_case": False}),
        ("tokenizer_config.json", {"strip_accents": True}),
        ("config.json", {"model_type": "roberta"}),
        ("config.json", {"hidden_act": "relu"}),
        ("config.json", {"num_hidden_layers": 3}),
    ],
)
def test_what_only_transformers_reads_is_left_to_it(bert, monkeypatch, file, change):
    content = json.loads((bert / file).read_text())
    (bert / file).write_text(json.dumps(content | change))
    read = []
    monkeypatch.setattr(checkpoint, "_HuggingFaceModel", lambda name, folder: read.append(folder))
    open_checkpoint("bert", bert)
    assert read == [bert]


def test_cuts_saved_with_the_tokenizer_are_not_obeyed(bert):
    from tokenizers import Tokenizer

    text = "the bat " * 30
    expected = HuggingFaceEncoder(EncoderSettings(str(bert), window=64, overlap=16)).encode(
        [text], [words_of(text)]
    )
    tokenizer = Tokenizer.from_file(str(bert / "tokenizer.json"))
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=9)
    tokenizer.save(str(bert / "tokenizer.json"))
    obtained = make_encoder(bert).encode([text], [words_of(text)])
    np.testing.assert_array_equal(obtained[0], expected[0])
