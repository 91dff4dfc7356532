"""``spacy-attn train-attention``: what it refuses, and a run on the toy world."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from spacy_attn.cli.app import app

RUNNER = CliRunner()


def call(*arguments):
    return RUNNER.invoke(app, ["train-attention", *map(str, arguments)])


def test_from_vectors_and_examples_to_a_model(tmp_path, toy_inventory, toy_vectors):
    out = tmp_path / "run"
    options = ("-o", out, "--vectors", toy_vectors, "--inventory", toy_inventory)
    size = ("--width", 8, "--heads", 2, "--epochs", 2)
    result = call(*options, *size)
    assert result.exit_code == 0, result.output
    assert str(out / "self_attention.safetensors") in result.output
    assert [record["epoch"] for record in json.loads((out / "curve.json").read_text())] == [1, 2]
    before = (out / "self_attention.safetensors").stat().st_mtime_ns
    again = call(*options, *size)
    assert again.exit_code == 0, again.output
    assert "is finished; nothing is left to do" in " ".join(again.output.split())
    assert (out / "self_attention.safetensors").stat().st_mtime_ns == before
    other = call(*options, *size, "--seed", 1)
    assert other.exit_code == 2
    assert "other options or data (seed = 0, not 1)" in " ".join(other.output.split())
    (out / "self_attention.safetensors").unlink()
    other = call(*options, *size, "--seed", 1)
    assert "checkpoint.pt was made with other options" in " ".join(other.output.split())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--semcor", "none.jsonl"], "none.jsonl does not exist"),
        (["--data", "none.jsonl"], "none.jsonl does not exist"),
        (["--inventory", "none"], "nothing to train on"),
        (["--heads", 3], "heads = 3; allowed are divisors of width 64"),
        (["--epochs", 0], "epochs = 0; allowed is 1 or more"),
        (["--attention-dropout", 1], "attention_dropout = 1.0; allowed is 0 to below 1"),
    ],
)
def test_wrong_calls_are_one_sentence(arguments, sentence, tmp_path, toy_inventory, toy_vectors):
    given = ["--vectors", toy_vectors, "--inventory", toy_inventory]
    result = call("-o", tmp_path / "run", *given, *arguments)
    assert result.exit_code in (1, 2)
    assert sentence in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_its_help_names_the_method_first():
    assert "Train the model of the method self_attention" in call("--help").output
    other = RUNNER.invoke(app, ["train-senses", "--help"])
    assert "Train the model of the method attention" in other.output
