"""``spacy-attn explain``: what is printed, written and refused."""

from __future__ import annotations

import json
import sys

import catalogue
import numpy as np
import pytest
from spacy.tokens.underscore import Underscore

from spacy_attn.cli import main
from spacy_attn.components import pipeline
from spacy_attn.errors import ResourceError
from spacy_attn.explain import explanation
from spacy_attn.models import glove_files, resolve_encoder
from spacy_attn.wsd.methods.attention import attention_v1

TEXTS = ("he hit the ball with a bat", "the bat flew at night")


@pytest.fixture(autouse=True)
def _own_state(monkeypatch):
    """Extensions are global; and the terminal is wide."""
    for owner in ("doc", "span", "token"):
        monkeypatch.setattr(Underscore, f"{owner}_extensions", {})
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def toy(monkeypatch, toy_inventory, toy_model, toy_sense_model):
    """Options of the toy world; its models take the place of the real ones."""

    def attention():
        return attention_v1(
            model=str(toy_model), sense_model=str(toy_sense_model), window=64, overlap=16
        )

    key = ("spacy_attn", "sense_methods", "spacy_attn.attention.v99")
    monkeypatch.setitem(catalogue.REGISTRY, key, attention)
    monkeypatch.setattr(pipeline, "resolve_pipeline", lambda name: name)
    return ["--inventory", str(toy_inventory)]


@pytest.fixture
def run(capsys):
    def run(*arguments):
        code = main(["explain", *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


WITHOUT_VECTORS = ("--by", "occlusion,integrated_gradients,attention")


def test_json(run, toy):
    code, out, err = run(*TEXTS, "--word", "bat", "--json", *WITHOUT_VECTORS, *toy)
    assert (code, err) == (0, "")
    records = json.loads(out)
    assert [record["text_index"] for record in records] == [0, 1]
    for text, record in zip(TEXTS, records, strict=True):
        assert text[record["start"] : record["end"]] == "bat"
        assert {"sense", "score", "definition", "runner_up", "words", "trust"} <= set(record)


def test_what_people_see(run, toy):
    code, out, err = run("the bat flew at [night]", *WITHOUT_VECTORS, *toy)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert "the bat flew at [night]" in lines
    assert any(line.strip().startswith("bat is bat.") for line in lines)
    assert any("█" in line for line in lines)
    for label in ("occlusion", "integrated gradients", "attention"):
        assert any(line.strip().startswith(label) for line in lines)
    assert any("agrees: rank correlation with occlusion" in line for line in lines)
    assert any("of the difference unexplained" in line for line in lines)


def test_syntax(run):
    """With the real encoder: its heads are those that are known."""
    code, out, err = run("The old cat chased a mouse.", "Stop!", "--syntax", "--json")
    assert (code, err) == (0, "")
    first, second = json.loads(out)
    assert [(arc["relation"], arc["text"], arc["head_text"]) for arc in first] == [
        ("det", "The", "cat"),
        ("amod", "old", "cat"),
        ("nsubj", "cat", "chased"),
        ("det", "a", "mouse"),
        ("dobj", "mouse", "chased"),
    ]
    assert all((arc["direction"], arc["looks_at"]) != ("up", arc["text"]) for arc in first)
    assert sum(arc["follows"] for arc in first) >= 3
    assert second == []
    code, out, err = run("The cat sleeps.", "--syntax")
    assert (code, err) == (0, "")
    assert any(line.split()[:3] == ["nsubj", "cat", "sleeps"] for line in out.splitlines())
    code, out, err = run("The [old] cat sleeps.", "Stop!", "--syntax")
    lines = [line.strip() for line in out.splitlines()]
    assert (code, lines[0]) == (0, "The [old] cat sleeps.")
    stop = lines.index("Stop!")
    assert lines[stop + 1] == "no relation with a known head of attention"
    assert lines[stop + 2].startswith("attention: layer and head")
    code, out, err = run("Stop!", "--syntax")
    assert (code, out.strip(), err) == (0, "no relation with a known head of attention", "")
    code, out, err = run("The cat sleeps.", "--syntax", "--pipeline", "blank:en")
    assert (code, out) == (2, "")
    assert err.startswith("error: the Doc has no dependency parse; use a pipeline with a parser")
    code, out, err = run("The cat sleeps.", "--syntax", "--pipeline", "blank:zz")
    assert (code, out) == (2, "")
    assert "pipeline blank:zz: spaCy has no tokenizer for 'zz'; allowed are af, am, " in err


def test_files(run, toy, tmp_path):
    pytest.importorskip("matplotlib")
    page, picture, weights = (tmp_path / name for name in ("a.html", "a.svg", "a.npz"))
    code, _, _ = run(
        TEXTS[0],
        "--word",
        "bat",
        "--html",
        str(page),
        "--plot",
        str(picture),
        "--weights",
        str(weights),
        *WITHOUT_VECTORS,
        *toy,
    )
    assert code == 0
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert "</svg>" in picture.read_text(encoding="utf-8")
    with np.load(weights, allow_pickle=False) as read:
        assert read["weights"].shape == read["norms"].shape == (2, 2, 7, 7)
        assert read["rollout"].shape == (2, 1, 7, 7)
        assert "queries" not in read


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--html", "a.txt"], "--html a.txt: allowed are names that end in .html or .htm"),
        (["--weights", "a.csv"], "--weights a.csv: allowed are names that end in .npz"),
        (["--plot", "no/a.svg"], "--plot no/a.svg: its folder does not exist; make it with: mkdir"),
        (["--head", "1"], "--head 1 needs --layer: a head is one of a layer"),
        (["--by", "lime"], "attributions = 'lime'; allowed are occlusion, integrated_gradients"),
        (["--by", "oclusion"], "attributions = 'oclusion'; allowed are occlusion"),
        (["--by", " , "], "attributions = ''; allowed are occlusion"),
        (["--by", "occlusion", "--layer", "1"], "--layer 1 with --by occlusion: layers are of"),
        (
            ["--syntax", "--model", "accurate"],
            "--syntax shows the parse, without --model, --inventory: leave that out",
        ),
        (
            ["--syntax", "--word", "bat", "--by", "norms"],
            "--syntax shows the parse, without --word",
        ),
        (["--weights", "a.npz"], "--weights is for one word, here are 2; name it with --word"),
        (["--word", "cave"], "word = 'cave': no text has it with two senses or more"),
    ],
)
def test_a_wrong_call(run, toy, options, said):
    code, out, err = run(*TEXTS, *options, *toy)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {said}")


def test_what_cannot_be_done_is_told_before_models_are_read(run, monkeypatch):
    monkeypatch.setattr(pipeline, "load_pipeline", None)
    code, _, err = run(*TEXTS, "--by", "occlusion,atention")
    assert (code, err.endswith("; did you mean 'attention'?\n")) == (2, True)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, _, err = run(*TEXTS, "--word", "bat", "--plot", "a.svg")
    assert (code, "a picture needs" in err) == (1, True)


def test_no_word_of_the_inventory(run, toy):
    code, out, _ = run("nothing here", *WITHOUT_VECTORS, *toy)
    assert (code, out) == (0, "no ambiguous word of the inventory in these texts\n")


def test_the_best_attribution_alone_and_others_on_demand(run, toy):
    for options, expected in (
        ([], ["occlusion"]),
        (["--layer", "1"], ["occlusion", "attention", "norms"]),
        (["--by", "norms,nearness"], ["norms", "nearness"]),
    ):
        code, out, err = run(TEXTS[0], "--word", "bat", "--json", *options, *toy)
        assert (code, err) == (0, "")
        assert json.loads(out)[0]["attributions"] == expected


def test_a_method_without_an_encoder_has_no_weights_to_write(run, toy, tmp_path, monkeypatch):
    monkeypatch.setattr(explanation, "explain", None)  # refused before it is called
    path = tmp_path / "a.npz"
    options = ["--word", "bat", "--weights", str(path), "--method", "lesk"]
    code, _, err = run(TEXTS[0], *options, *toy)
    assert (code, path.exists()) == (2, False)
    assert "lesk" in err


def test_a_picture_is_of_one_word(run, toy, tmp_path, monkeypatch):
    monkeypatch.setattr(explanation, "explain", None)  # refused before it is called
    code, _, err = run(*TEXTS, "--plot", str(tmp_path / "a.svg"), *WITHOUT_VECTORS, *toy)
    assert code == 2
    assert err.startswith("error: --plot is for one word, here are 2; name it with --word")


def test_the_real_model(run, tmp_path):
    try:
        resolve_encoder()
        glove_files()
    except ResourceError as error:
        pytest.skip(f"a model is not installed: {error}")
    text = "The bat flew at night. " + "We walked home through the quiet streets of town. " * 19
    page = tmp_path / "why.html"
    code, out, err = run(text, "--word", "bat", "--html", str(page), "--json", "--by", "all")
    assert (code, err) == (0, f"written: {page}\n")
    (record,) = json.loads(out)
    assert record["sense"] == "bat.animal"
    weights = {word["text"]: word["weights"]["occlusion"] for word in record["words"]}
    assert max(weights, key=lambda word: weights[word]) in ("flew", "at", "night")
    assert record["trust"]["integrated_gradients"]["gap"] < 0.05
    assert page.stat().st_size < 500_000
