"""``spacy-attn train-senses``: what it refuses; labels alone start from the bundled model."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from dataclasses import asdict

import pytest
from typer.testing import CliRunner

from spacy_attn.cli.app import app
from spacy_attn.train import sense_model
from spacy_attn.wsd.methods.registry import SENSE_MODEL

RUNNER = CliRunner()


def labels_file(folder, senses):
    path = folder / "labels.jsonl"
    label = {"text": "The bat flew.", "start": 4, "end": 7, "lemma": "bat", "pos": "NOUN"}
    path.write_text("".join(json.dumps({**label, "sense": sense}) + "\n" for sense in senses))
    return path


def call(*arguments):
    return RUNNER.invoke(app, ["train-senses", *map(str, arguments)])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--semcor", "none.jsonl"], "none.jsonl does not exist"),
        (["--data", "none.jsonl"], "none.jsonl does not exist"),
        ([], "nothing to train on; give --semcor FILE, or your labels with --data FILE"),
        (["--semcor", __file__, "--tagged", "none.jsonl"], "none.jsonl does not exist"),
        (
            ["--semcor", __file__, "--written", "none"],
            "none holds no *.tsv; give the folder corpus",
        ),
        (["--precision", "int8"], "--precision int8; allowed are bf16, fp32"),
    ],
)
def test_wrong_calls_are_one_sentence(arguments, sentence, tmp_path):
    result = call("-o", tmp_path / "run", *arguments)
    assert result.exit_code in (1, 2)
    assert sentence in " ".join(result.output.split())
    assert "Traceback" not in result.output


TRAINING = {
    "train-senses": ("data", "start", "semcor", "masc", "tagged", "senses-from", "teacher"),
    "train-attention": ("data", "semcor", "masc", "vectors"),
    "train-lemmatizer": ("semcor", "start", "wordnet"),
}


@pytest.mark.parametrize(
    ("command", "option"), [(c, option) for c, options in TRAINING.items() for option in options]
)
def test_a_pipe_as_input_is_one_sentence(tmp_path, command, option):
    """It is read twice, for its content and for its hash; nothing opens it, and it stays."""
    os.mkfifo(tmp_path / "pipe")
    given = [f"--{option}", str(tmp_path / "pipe")]
    if command == "train-lemmatizer" and option != "semcor":
        given += ["--semcor", __file__]
    result = RUNNER.invoke(app, [command, "-o", str(tmp_path / "run"), *given])
    assert result.exit_code == 2, result.output
    shown = " ".join(result.output.split())
    assert f"--{option} {tmp_path / 'pipe'} is a pipe or device; save it in a file" in shown
    assert os.listdir(tmp_path) == ["pipe"]


@pytest.mark.parametrize("command", TRAINING)
def test_an_output_that_is_a_pipe_is_one_sentence(tmp_path, command):
    os.mkfifo(tmp_path / "run")
    given = ["--semcor", __file__]
    if command == "train-senses":
        given = ["--data", str(labels_file(tmp_path, ["bat.animal", "bat.club"]))]
    result = RUNNER.invoke(app, [command, "-o", str(tmp_path / "run"), *given])
    assert result.exit_code == 2, result.output
    assert "cannot be written (File exists); give a folder" in " ".join(result.output.split())
    assert stat.S_ISFIFO(os.stat(tmp_path / "run").st_mode)


def test_a_wrong_inventory_is_told_before_the_work(monkeypatch, tmp_path):
    monkeypatch.setattr(sense_model, "train_sense_model", None)
    result = call("-o", tmp_path / "run", "--data", __file__, "--inventory", "homograf")
    assert result.exit_code == 2
    assert "did you mean 'homographs'?" in result.output


@pytest.mark.parametrize(
    ("command", "senses", "sentence"),
    [
        ("train-senses", ["bat.animal", "bat.anmal"], "label 2: bat (NOUN) has no sense 'bat.anm"),
        ("train-attention", ["bat.anmal"], "label 1: bat (NOUN) has no sense 'bat.anmal' in the"),
        ("train-senses", ["bat.animal"], "--data has nothing to train on: needed are two labels"),
        ("train-senses", [], "--data has nothing to train on: needed are two labels"),
    ],
)
def test_wrong_labels_are_told_before_pytorch_is_loaded(tmp_path, command, senses, sentence):
    script = (
        "import runpy, sys\n"
        "sys.modules['torch'] = None\n"
        "sys.argv[0] = 'spacy-attn'\n"
        "runpy.run_module('spacy_attn', run_name='__main__')\n"
    )
    given = ["-o", str(tmp_path / "run"), "--data", str(labels_file(tmp_path, senses))]
    run = subprocess.run(
        [sys.executable, "-c", script, command, *given],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 2, run.stderr
    assert sentence in " ".join(run.stderr.split())
    assert "reading" not in run.stderr
    assert os.listdir(tmp_path) == ["labels.jsonl"]


def test_options_reach_the_training_and_labels_alone_go_on_from_the_bundled_model(
    tmp_path, monkeypatch
):
    seen = {}

    def train(model, output, config, sources, **more):
        seen.update(asdict(sources), **more, model=model, config=config)
        more["report"]({"epoch": 0, "batch": 25, "batches": 50, "loss": 1.0, "seconds": 1.0})
        more["report"]({"epoch": 1, "loss": 0.5})
        more["report"]({"note": "a sentence to read"})
        return output / "senses.safetensors"

    monkeypatch.setattr(sense_model, "train_sense_model", train)
    labels = labels_file(tmp_path, ["bat.animal", "bat.club"])
    mine = tmp_path / "mine.jsonl"
    mine.write_text(
        "".join(
            json.dumps({"lemma": "bat", "pos": "NOUN", "sense": sense, "definition": sense}) + "\n"
            for sense in ("bat.animal", "bat.club")
        )
    )
    result = call("-o", tmp_path, "--data", labels, "--inventory", mine, "--epochs", 2)
    assert result.exit_code == 0, result.output
    assert str(tmp_path / "senses.safetensors") in result.output
    assert "\na sentence to read\n" in result.output
    assert seen["start"] == SENSE_MODEL
    assert (seen["data"], seen["inventory"], seen["semcor"]) == (labels, str(mine), None)
    assert seen["config"].epochs == 2
    (tmp_path / "000.tsv").write_text("")
    options = ["--everything", "--gloss-turns", 1, "--shift", 0.25, "--cap", 9]
    options += ["--tagged", labels, "--tagged", labels]
    call("-o", tmp_path, "--semcor", labels, "--written", tmp_path, *options)
    assert seen["start"] is None
    assert (seen["written"], seen["tagged"]) == (tmp_path, [labels, labels])
    assert seen["everything"] is True
    config = seen["config"]
    assert (config.gloss_turns, config.shift, config.cap) == (1, 0.25, 9)
