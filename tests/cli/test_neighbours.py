from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from spacy_attn.cli.app import _Group
from spacy_attn.cli.neighbours import neighbours


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The command in the frame of the real command line, four words beside it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "v.txt").write_text("bat 1 0\ncave 2 1\nnight 1 1\n\x1b[31m 0 1\n")
    app = typer.Typer(cls=_Group, pretty_exceptions_enable=False)
    app.callback()(lambda: None)
    app.command()(neighbours)
    return lambda *arguments: CliRunner().invoke(app, ["neighbours", *arguments])


def test_a_table(run):
    done = run("bat", "cave", "--vectors", "v.txt", "-n", "2")
    assert done.exit_code == 0, done.output
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["bat"],
        ["cave", "0.894"],
        ["night", "0.707"],
        ["cave"],
        ["night", "0.949"],
        ["bat", "0.894"],
    ]


def test_control_characters_are_shown_not_obeyed(run):
    done = run("night", "--vectors", "v.txt")
    assert "\x1b" not in done.stdout
    assert "␛[31m" in done.stdout


def test_json(run):
    done = run("bat", "--vectors", "v.txt", "-n", "1", "--json")
    (record,) = json.loads(done.stdout)
    assert record["word"] == "bat"
    assert record["neighbours"] == [{"word": "cave", "similarity": pytest.approx(0.894, abs=1e-3)}]


def test_fasttext_knows_every_word(run, tmp_path):
    fasttext = pytest.importorskip("gensim.models.fasttext")
    model = fasttext.FastText(
        [["cat", "sat"]], vector_size=4, min_count=1, bucket=20, min_n=2, max_n=3, workers=1
    )
    model.wv.save("ft.kv")
    done = run("cats", "--vectors", "ft.kv", "--json")
    obtained = [near["word"] for near in json.loads(done.stdout)[0]["neighbours"]]
    assert obtained == [word for word, _ in model.wv.most_similar("cats")]


@pytest.mark.parametrize("name", ["a.png", "a.svg"])
def test_a_picture(run, tmp_path, name):
    pytest.importorskip("matplotlib")
    done = run("bat", "cave", "--vectors", "v.txt", "--plot", name, "--json")
    assert done.exit_code == 0, done.output
    assert (tmp_path / name).stat().st_size > 1000
    assert f"picture: {name}" in done.stderr
    assert len(json.loads(done.stdout)) == 2


def test_a_picture_without_a_folder_is_told_before_vectors_are_read(run):
    pytest.importorskip("matplotlib")
    done = run("bat", "--vectors", "none.txt", "--plot", "nodir/x.png")
    assert done.exit_code == 1
    assert "the picture nodir/x.png cannot be written: No such file" in done.stderr
    assert done.stderr.rstrip("\n").count("\n") == 0


def test_more_neighbours_than_words(run):
    done = run("bat", "--vectors", "v.txt", "-n", str(10**15), "--json")
    assert done.exit_code == 0, done.output
    assert len(json.loads(done.stdout)[0]["neighbours"]) == 3


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["batt", "--vectors", "v.txt"], 2, "'batt' has no vector in v.txt"),
        (["bat", "--vectors", "v.txt", "-n", "0"], 2, "n = 0 neighbours; allowed: 1 or more"),
        (["bat", "--vectors", "none.txt"], 2, "--vectors none.txt does not exist"),
        (["bat", "--vectors", "none.txt", "--plot", "a.pdf"], 2, "a.pdf: allowed are files that"),
        (["bat", "ba\udcff"], 2, "a word holds bytes that are not UTF-8; save or type it as"),
        ([], 2, "Missing argument 'WORD'"),
    ],
)
def test_errors_are_one_sentence(run, arguments, code, reason):
    done = run(*arguments)
    assert done.exit_code == code
    assert reason in done.stderr
    assert done.stderr.rstrip("\n").count("\n") == 0
