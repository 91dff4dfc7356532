from __future__ import annotations

import pytest

from spacy_attn.classic.sequence import SequenceTagger
from spacy_attn.cli import main

TEXT = "The DT B-NP\nbat NN I-NP\nflew VBD B-VP\n. . O\n\nIt PRP B-NP\nfell VBD B-VP\n"


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "data.txt"
    path.write_text(TEXT)
    return path


def test_trains_saves_and_scores(data, tmp_path, capsys):
    model = tmp_path / "new" / "model"
    code = main(["train-chunker", str(data), "-o", str(model), "--dev", str(data), "--epochs", "4"])
    assert code == 0
    output = capsys.readouterr()
    assert output.out == f"{model}\n"
    assert "epoch 4 of 4: 1.0000 of the labels right" in output.err
    assert "precision" in output.err
    assert "NP" in output.err
    tagger = SequenceTagger.load(model)
    assert tagger.task == "chunks"
    assert tagger.tag(["The", "bat"], ["DT", "NN"]) == ["B-NP", "I-NP"]


def test_several_files_and_task(data, tmp_path):
    model = tmp_path / "model"
    (tmp_path / "more.txt").write_text("Ann NNP B-PER\n")
    arguments = ["train-chunker", str(data), str(tmp_path / "more.txt"), "-o", str(model)]
    assert main([*arguments, "--task", "entities", "--epochs", "1"]) == 0
    tagger = SequenceTagger.load(model)
    assert tagger.task == "entities"
    assert tagger.types == ("NP", "PER", "VP")


def test_the_same_seed_makes_the_same_file(data, tmp_path):
    arguments = ["train-chunker", str(data), "--epochs", "2", "--seed", "7", "-o"]
    assert main([*arguments, str(tmp_path / "a")]) == main([*arguments, str(tmp_path / "b")]) == 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["$", "-o", "$.model", "--task", "names"], 2, "--task names is unknown; legal are chunks"),
        (["$", "-o", "."], 2, "is a folder; give the name of a file in it"),
        (["$", "-o", "$/model"], 1, "cannot write"),
        (["$.nowhere", "-o", "$.model"], 1, "cannot read"),
        (["$", "-o", "$.model", "--dev", "$.nowhere"], 1, "cannot read"),
        (["$", "-o", "$.model", "--epochs", "0"], 2, "greater than or equal to 1"),
        (["$"], 2, "Missing option"),
    ],
)
def test_wrong_calls(data, capsys, arguments, code, reason):
    filled = [argument.replace("$", str(data)) for argument in arguments]
    assert main(["train-chunker", *filled]) == code
    assert reason in capsys.readouterr().err
    assert not data.with_name("data.txt.model").exists()


def test_bad_line(data, tmp_path, capsys):
    data.write_text(TEXT + "oops\n")
    assert main(["train-chunker", str(data), "-o", str(tmp_path / "model")]) == 1
    error = capsys.readouterr().err
    assert "data.txt, line 8: 'oops' has not the columns word, tag and IOB label" in error
    assert "Traceback" not in error
