"""``spacy-attn train-lemmatizer``: what it refuses, and a run on a few forms."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from spacy_attn.cli.app import app
from spacy_attn.encoder.lemmatizer import read_lemmatizer
from spacy_attn.train import lemmatizer as module
from tests.conftest import write_semcor

RUNNER = CliRunner()
SIZE = ("--width", 16, "--heads", 2, "--layers", 1, "--epochs", 1)


def call(*arguments):
    return RUNNER.invoke(app, ["train-lemmatizer", *map(str, arguments)])


@pytest.fixture
def semcor(tmp_path):
    return write_semcor(tmp_path / "semcor.jsonl.gz")


def test_from_forms_to_a_model(tmp_path, semcor):
    out = tmp_path / "run"
    result = call("--semcor", semcor, "-o", out, *SIZE)
    assert result.exit_code == 0, result.output
    path = out / "lemmatizer.safetensors"
    assert str(path) in result.output
    assert read_lemmatizer(path).network.config.hidden == 32
    before = path.stat().st_mtime_ns
    same = call("--semcor", semcor, "-o", out, *SIZE)
    assert same.exit_code == 0, same.output
    assert "is finished; nothing is left to do" in " ".join(same.output.split())
    other = call("--semcor", semcor, "-o", out, *SIZE, "--seed", 1)
    assert other.exit_code == 2
    said = " ".join(other.output.split())
    assert "other options or data (seed = 0, not 1); give another --output, or remove it" in said
    assert path.stat().st_mtime_ns == before
    again = call("--semcor", semcor, "-o", tmp_path / "on", "--start", path, "--epochs", 1)
    assert again.exit_code == 0, again.output
    assert read_lemmatizer(tmp_path / "on" / path.name).network.config.width == 16


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--semcor", "none.jsonl"], "none.jsonl does not exist"),
        (["--heads", 3], "heads = 3; allowed are divisors of width 16"),
        (["--epochs", 0], "epochs = 0; allowed is 1 or more"),
        (["--learning-rate", -1], "learning_rate = -1.0; allowed is 0 to 1"),
        (["--learning-rate", "nan"], "learning_rate = nan; allowed is 0 to 1"),
        (["--wordnet", "."], "noun.exc cannot be read (No such file"),
    ],
)
def test_wrong_calls_are_one_sentence(arguments, sentence, tmp_path, semcor):
    result = call("--semcor", semcor, "-o", tmp_path / "run", *SIZE, *arguments)
    assert result.exit_code in (1, 2)
    assert sentence in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_a_folder_that_takes_no_file_is_refused_before_the_training(tmp_path, semcor, monkeypatch):
    monkeypatch.setattr(module, "_epochs", lambda *_: pytest.fail("it was trained"))
    result = call("--semcor", semcor, "-o", semcor, *SIZE)
    assert result.exit_code == 2
    assert "semcor" in result.output


def test_the_help_shows_no_endless_number():
    shown = CliRunner().invoke(app, ["train-lemmatizer", "--help"], env={"NO_COLOR": "1"}).output
    assert "1/3)" in shown
    assert "0.333" not in shown
