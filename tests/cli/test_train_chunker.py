from __future__ import annotations

import tempfile
import zipfile

import pytest

from spacy_attn.classic import sequence
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
    assert "epoch 4 of 4: 1.0000 of the labels correct" in output.err
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
        (
            ["$", "-o", "$.model", "--task", "names"],
            2,
            "--task names is unknown; allowed are chunks",
        ),
        (["$", "-o", "."], 2, "is a folder; give the name of a file in it"),
        (["$", "-o", "$/model"], 1, "cannot write"),
        (["$.nowhere", "-o", "$.model"], 2, "data.txt.nowhere does not exist"),
        (["$", "-o", "$.model", "--dev", "$.nowhere"], 2, "data.txt.nowhere does not exist"),
        (["$", "-o", "$.model", "--epochs", "0"], 2, "--epochs"),
        (["$", "-o", "$"], 2, "is the input"),
        (["$", "-o", "$", "--overwrite"], 2, "is the input"),
        (["$.nowhere", "-o", "$.model", "--dev", "$", "-o", "$"], 2, "is the input"),
        (["$", "-o", "/dev/null", "--overwrite"], 2, "is a device"),
        (["$"], 2, "Missing option"),
    ],
)
def test_wrong_calls(data, capsys, arguments, code, reason):
    filled = [argument.replace("$", str(data)) for argument in arguments]
    assert main(["train-chunker", *filled]) == code
    assert reason in capsys.readouterr().err
    assert not data.with_name("data.txt.model").exists()


@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
def test_an_input_by_another_name_is_no_output(data, tmp_path, capsys, link):
    other = tmp_path / "other"
    getattr(other, link)(data)
    assert main(["train-chunker", str(data), "-o", str(other), "--overwrite"]) == 2
    assert "is the input" in capsys.readouterr().err
    assert data.read_text() == TEXT


def test_the_archive_of_an_input_is_no_output(tmp_path, capsys):
    archive = tmp_path / "corpus.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.txt", TEXT)
    before = archive.read_bytes()
    arguments = ["train-chunker", str(archive / "a.txt"), "-o", str(archive), "--overwrite"]
    assert main(arguments) == 2
    assert "is the input" in capsys.readouterr().err
    assert archive.read_bytes() == before


def test_an_existing_file_is_replaced_only_on_demand(data, tmp_path, capsys):
    model = tmp_path / "model"
    model.write_text("a letter")
    arguments = ["train-chunker", str(data), "-o", str(model), "--epochs", "1"]
    assert main(arguments) == 2
    assert "exists; give another name, or --overwrite" in capsys.readouterr().err
    assert model.read_text() == "a letter"
    assert main([*arguments, "--overwrite"]) == 0
    assert SequenceTagger.load(model).types == ("NP", "VP")
    assert {path.name for path in tmp_path.iterdir()} == {"data.txt", "model"}


def test_an_output_that_cannot_be_written_is_told_before_the_training(
    data, tmp_path, capsys, monkeypatch
):
    def probe(**settings):
        raise PermissionError(13, "Permission denied")

    def train(*arguments, **settings):
        raise AssertionError

    monkeypatch.setattr(tempfile, "TemporaryFile", probe)  # the tests may run as root
    monkeypatch.setattr(sequence, "train_sequence_tagger", train)
    assert main(["train-chunker", str(data), "-o", str(tmp_path / "model")]) == 1
    error = " ".join(capsys.readouterr().err.split())
    assert "(Permission denied); name a file in a folder that you may write to" in error


def test_data_without_sentences_or_spans_are_named(data, tmp_path, capsys):
    empty, plain = tmp_path / "empty.conll", tmp_path / "plain.conll"
    empty.write_text("\n")
    plain.write_text("bat NN O\n")
    for arguments, reason in [
        ([empty], "empty.conll has no sentence; write a line of word, tag and IOB label"),
        ([data, empty], "empty.conll has no sentence"),
        ([data, "--dev", empty], "empty.conll has no sentence"),
        ([plain], "plain.conll is in a span, as all labels are O; write a line"),
    ]:
        given = map(str, arguments)
        assert main(["train-chunker", *given, "-o", str(tmp_path / "model")]) == 1
        assert reason in " ".join(capsys.readouterr().err.split())


def test_bad_line(data, tmp_path, capsys):
    data.write_text(TEXT + "oops\n")
    assert main(["train-chunker", str(data), "-o", str(tmp_path / "model")]) == 1
    error = capsys.readouterr().err
    assert "data.txt, line 8: 'oops' has not the columns word, tag and IOB label" in error
    assert "Traceback" not in error
