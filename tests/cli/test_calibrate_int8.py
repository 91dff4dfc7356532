"""``spacy-attn calibrate-int8``: an encoder that computes in 8 bits, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from spacy_attn.cli.app import app
from spacy_attn.cli.calibrate_int8 import _bundled
from spacy_attn.encoder.int8 import Scales, int8_works
from spacy_attn.wsd.methods.registry import DATA
from tests.encoder.test_huggingface import encode_one, make_encoder, random_texts

RUNNER = CliRunner()


def call(*arguments):
    return RUNNER.invoke(app, ["calibrate-int8", *map(str, arguments)])


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """No scales of other tests."""
    monkeypatch.setenv("SPACY_ATTN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("\n\n".join(random_texts(60, 30, seed=1)), "utf-8")
    return path


@pytest.mark.skipif(not int8_works(), reason="no 8-bit products on this processor")
def test_from_texts_to_vectors(toy_model, texts, tmp_path):
    result = call(toy_model, "--text", texts)
    assert result.exit_code == 0, result.output
    path, said = result.output.splitlines()
    scales = Scales.load(Path(path))
    assert said == f"mean cosine to float32: {scales.cosine:.4f}"
    assert encode_one(make_encoder(toy_model, precision="int8"), "the bat").any()
    other = call(toy_model, "--text", texts, "-o", tmp_path / "folder")
    assert [file.name for file in (tmp_path / "folder").iterdir()] == [Path(path).name]
    assert other.exit_code == 0


def test_the_bundled_texts_are_passages():
    texts = _bundled(DATA / "homographs.jsonl")
    assert len(texts) == 400
    assert texts == _bundled(DATA / "homographs.jsonl")
    assert 20 < sum(len(text.split()) for text in texts) / len(texts) < 60


def test_what_is_refused_is_one_sentence(toy_model, texts, tmp_path):
    few = tmp_path / "few.txt"
    few.write_text("a\nb\n", "utf-8")
    latin = tmp_path / "latin.txt"
    latin.write_bytes(b"\xe9\n" * 20)
    for arguments, code, said in (
        (("--strength", 0.5), 2, "--strength 0.5 is of an adapter; give --adapter senses too"),
        ((toy_model, "--text", few), 2, "2 texts: at least 16 are needed"),
        ((toy_model, "--text", latin), 2, "is not UTF-8; save it as UTF-8"),
        ((toy_model, "--text", tmp_path / "no"), 2, f"--text {tmp_path / 'no'} does not exist"),
        ((toy_model, "--text", texts, "--adapter", "no"), 2, "--adapter no does not exist; give"),
    ):
        result = call(*arguments)
        assert result.exit_code == code, result.output
        assert said in result.output
