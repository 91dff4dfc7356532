from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from spacy_attn.classic.vectors import load_vectors
from spacy_attn.cli import train_word2vec as module
from spacy_attn.cli.app import _Group
from spacy_attn.cli.train_word2vec import train_word2vec

pytest.importorskip("gensim")

ROOT = Path(module.__file__).parents[2]
FAST = ["--dimensions", "8", "--min-count", "2", "--tokens", "whitespace"]


@pytest.fixture
def run():
    """The command in the frame of the real command line."""
    app = typer.Typer(cls=_Group, pretty_exceptions_enable=False)
    app.callback()(lambda: None)
    app.command("train-word2vec")(train_word2vec)

    def invoke(*arguments, stdin=None):
        given = ["train-word2vec", *map(str, arguments)]
        return CliRunner().invoke(app, given, input=stdin)

    return invoke


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("The bat flew at night .\nSwing the bat !\n" * 100)
    return path


def test_texts_in_vectors_out(run, texts, tmp_path):
    done = run(texts, "-o", tmp_path / "v", "--epochs", 2, *FAST)
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{tmp_path / 'v'}\n"
    assert "1,000 tokens in 200 lines; 8 words get a vector" in done.stderr
    assert "epoch 2 of 2, " in done.stderr
    vectors = load_vectors(tmp_path / "v")
    assert vectors.width == 8
    assert "bat" in vectors
    assert [path.name for path in tmp_path.iterdir() if path.name != "texts.txt"] == ["v"]


def test_every_option_arrives(run, texts, tmp_path, monkeypatch):
    given = {}

    def train(inputs, output, config, **options):
        given.update(inputs=inputs, output=output, config=config, **options)
        return output

    monkeypatch.setattr("spacy_attn.train.word2vec.train_word2vec", train)
    done = run(
        "a.txt",
        "b",
        "-o",
        "v",
        "--algorithm",
        "fasttext",
        "--architecture",
        "cbow",
        "--dimensions",
        7,
        "--window",
        2,
        "--min-count",
        3,
        "--epochs",
        4,
        "--negative",
        6,
        "--learning-rate",
        0.1,
        "--sample",
        0.2,
        "--min-ngram",
        1,
        "--max-ngram",
        2,
        "--buckets",
        9,
        "--tokens",
        "whitespace",
        "--lang",
        "de",
        "--no-lower",
        "--text-key",
        "body",
        "--input-format",
        "jsonl",
        "--seed",
        11,
        "--threads",
        2,
        "--n-process",
        3,
        "--overwrite",
    )
    assert done.exit_code == 0, done.output
    report = given.pop("report")
    config = given.pop("config")
    assert callable(report)
    assert given == {
        "inputs": ["a.txt", "b"],
        "output": Path("v"),
        "text_key": "body",
        "input_format": "jsonl",
        "threads": 2,
        "processes": 3,
        "overwrite": True,
    }
    assert (config.algorithm, config.architecture, config.dimensions) == ("fasttext", "cbow", 7)
    assert (config.window, config.min_count, config.epochs, config.negative) == (2, 3, 4, 6)
    assert (config.learning_rate, config.sample, config.seed) == (0.1, 0.2, 11)
    assert (config.min_ngram, config.max_ngram, config.buckets) == (1, 2, 9)
    assert (config.tokens, config.lang, config.lower) == ("whitespace", "de", False)


def test_jsonl_from_stdin_with_bad_lines(run, tmp_path):
    lines = [json.dumps({"body": "the bat flew"})] * 50 + ["nonsense"]
    arguments = ["--input-format", "jsonl", "--text-key", "body", *FAST]
    done = run("-", "-o", tmp_path / "v", *arguments, stdin="\n".join(lines))
    assert done.exit_code == 0, done.output
    assert "1 line skipped, the first: - line 51: not JSON (" in done.stderr


def test_tokens_that_are_no_words_are_told(run, texts, tmp_path):
    with texts.open("a") as file:
        file.write("x" * 100_000)
    done = run(texts, "-o", tmp_path / "v", *FAST)
    assert done.exit_code == 0, done.output
    assert "1 token above 1,000 characters skipped" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["none.txt", "-o", "v"], "input none.txt is not there"),
        (["texts.txt", "-o", "v", "--dimensions", "0"], "--dimensions 0: allowed: 1 to 10,000"),
        (["texts.txt", "-o", "."], "-o . cannot be written: it is no name for a new folder; give"),
        (["texts.txt", "-o", "v", "--min-count", "999"], "no usable token"),
        (["texts.txt", "-o", "texts.txt"], "cannot be written: something else is there"),
        (["texts.txt"], "Missing option '-o'"),
    ],
)
def test_a_wrong_call_is_one_sentence_and_code_2(run, texts, monkeypatch, arguments, reason):
    monkeypatch.chdir(texts.parent)
    done = run(*arguments)
    assert done.exit_code == 2
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1
    assert [path.name for path in texts.parent.iterdir()] == ["texts.txt"]


INTERRUPTED = """
    import sys
    from spacy_attn.cli.app import app, main
    from spacy_attn.cli.train_word2vec import train_word2vec

    if not any(command.name == "train-word2vec" for command in app.registered_commands):
        app.command("train-word2vec")(train_word2vec)
    sys.exit(main())
"""


@pytest.mark.slow
def test_ctrl_c_is_resumed(run, texts, tmp_path):
    """Ctrl-C while gensim's threads train: code 130, and the same command goes on."""
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(INTERRUPTED))
    arguments = [texts, "-o", tmp_path / "v", *FAST, "--epochs"]
    command = [sys.executable, script, "train-word2vec", *arguments, 20_000]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    child = subprocess.Popen(
        list(map(str, command)), env=environment, stderr=subprocess.PIPE, text=True
    )
    while not (tmp_path / "v.training" / "checkpoint.npz").exists() and child.poll() is None:
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 130, said
    assert "give the same command again to go on" in said
    assert "Traceback" not in said
    done = run(*arguments, 19_999)
    assert done.exit_code == 2
    assert "unfinished run with epochs = 20000, not 19999" in done.stderr
