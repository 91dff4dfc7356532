"""``spacy-attn senses``: JSON contract, what people see, and what is refused."""

from __future__ import annotations

import gzip
import io
import json
import logging
import sys

import catalogue
import pytest
import spacy
from spacy.tokens.underscore import Underscore

from spacy_attn.cli import main
from spacy_attn.components import pipeline
from spacy_attn.errors import ResourceError
from spacy_attn.models import glove_files, resolve_encoder, resolve_pipeline
from spacy_attn.wsd.methods import calibration
from spacy_attn.wsd.methods.attention import attention_v1
from spacy_attn.wsd.methods.word2vec import word2vec_v1

#: The keys of the contract; more may be there.
KEYS = {
    "text_index": int,
    "text": str,
    "start": int,
    "end": int,
    "lemma": str,
    "static_similarity": (float, type(None)),
    "attention_similarity": (float, type(None)),
    "methods": dict,
}
METHOD_KEYS = {"sense": str, "score": float, "definition": str}
ALL = "first_sense,lesk,word2vec,attention"


@pytest.fixture(autouse=True)
def _own_state(monkeypatch):
    """Extensions and logging are global; and the terminal is wide."""
    for owner in ("doc", "span", "token"):
        monkeypatch.setattr(Underscore, f"{owner}_extensions", {})
    log = logging.getLogger("spacy_attn")
    monkeypatch.setattr(log, "handlers", list(log.handlers))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def toy(monkeypatch, toy_inventory, toy_model, toy_sense_model, toy_vectors):
    """Options of the toy world; its models take the place of the real ones."""

    def attention():
        return attention_v1(
            model=str(toy_model), sense_model=str(toy_sense_model), window=64, overlap=16
        )

    def word2vec():
        return word2vec_v1(vectors=str(toy_vectors))

    for short, factory in (("attention", attention), ("word2vec", word2vec)):
        name = f"spacy_attn.{short}.v99"
        monkeypatch.setitem(catalogue.REGISTRY, ("spacy_attn", "sense_methods", name), factory)
    monkeypatch.setattr(calibration, "_fitted", lambda folder: {})  # 1 for each method
    monkeypatch.setattr(pipeline, "resolve_pipeline", lambda name: name)  # no en_core_web_sm
    return ["--inventory", str(toy_inventory)]


@pytest.fixture
def run(capsys):
    """Runs the command: exit code, stdout, stderr."""

    def run(*arguments):
        code = main(["senses", *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def one_sentence(err):
    """The error line, after checking that there is nothing else on stderr."""
    (line,) = err.strip().splitlines()
    assert line.startswith("error: ")
    return line.removeprefix("error: ")


# -- JSON -----------------------------------------------------------------------------------------


def test_json_has_the_keys_of_the_contract(run, toy):
    texts = ["swing the bat", "nothing here", "the bat flew to the bank"]
    code, out, err = run(*texts, "--json", "--methods", ALL, *toy)
    assert (code, err) == (0, "")
    records = json.loads(out)
    assert [(r["text_index"], r["text"], r["lemma"]) for r in records] == [
        (0, "bat", "bat"),
        (2, "bat", "bat"),
        (2, "bank", "bank"),
    ]
    for record in records:
        assert texts[record["text_index"]][record["start"] : record["end"]] == record["text"]
        for key, kind in KEYS.items():
            assert isinstance(record[key], kind), key
        assert list(record["methods"]) == ALL.split(",")
        for decision in record["methods"].values():
            for key, kind in METHOD_KEYS.items():
                assert isinstance(decision[key], kind), key
            assert 0 <= decision["score"] <= 1
    assert [r["static_similarity"] for r in records] == [1.0, 1.0, None]
    assert records[0]["attention_similarity"] == records[1]["attention_similarity"]
    assert records[0]["attention_similarity"] < 1
    assert records[2]["attention_similarity"] is None
    assert records[0]["methods"]["first_sense"] == {
        "sense": "bat.animal",
        "score": 0.6667,
        "margin": 0.3333,
        "definition": "a flying animal of the night that lives in a cave",
    }


def test_json_of_a_text_without_a_word(run, toy):
    for text in ("nothing", "", " \n"):
        assert run(text, "--json", "--methods", "lesk", *toy) == (0, "[]\n", "")


def test_json_keeps_other_letters(run, toy):
    code, out, _ = run("été 🦇 the bat", "--json", "--methods", "lesk", *toy)
    assert code == 0
    assert json.loads(out)[0]["start"] == 10


# -- what people see -------------------------------------------------------------------------------


def test_the_output_shows_word_sense_definition_and_similarity(run, toy):
    code, out, err = run("swing the bat", "the bat flew", "--methods", ALL, *toy)
    assert (code, err) == (0, "")
    lines = [line.rstrip() for line in out.splitlines()]
    assert "1  swing the bat" in lines
    assert "2  the bat flew" in lines
    shown = [line.split() for line in lines if line.strip().startswith("lesk")]
    assert shown[0] == ["lesk", "bat.animal", "0.50"]
    definition = "    bat.animal  a flying animal of the night that lives in a cave"
    assert lines.count(definition) == 2  # once for each word, whatever number of methods chose it
    assert (
        sum("similarity to 'bat' in the other texts: static vector 1.00" in x for x in lines) == 2
    )
    assert sum("contextual vector" in line for line in lines) == 2


def test_the_answer_alone_and_beside_other_methods(run, toy):
    code, out, err = run("the bat flew", *toy)
    assert (code, err) == (0, "")
    lines = [line.strip() for line in out.splitlines() if line.strip()]
    assert lines[:2] == ["1  the bat flew", "bat"]
    answer = next(line for line in lines if line.startswith("bat."))
    assert answer == lines[2]
    assert not any(line.startswith(("first_sense", "attention")) for line in lines)
    code, out, err = run("the bat flew", "--compare", *toy)
    assert (code, err) == (0, "")
    lines = [line.strip() for line in out.splitlines() if line.strip()]
    assert lines[2] == answer
    names = [line.split()[0] for line in lines[3:7]]
    assert names == ["first_sense", "lesk_extended", "word2vec", "attention"]


def test_compare_and_methods_exclude_each_other(run):
    code, _, err = run("the bat", "--compare", "--methods", "lesk")
    assert code == 2
    assert one_sentence(err) == "--compare and --methods lesk: give one of them"


def test_a_missing_pipeline_is_told(run, toy, caplog):
    assert run("the bat", "--methods", "lesk", *toy)[0] == 0
    assert "no spaCy pipeline is installed: words are found by their forms" in caplog.text


def test_a_text_without_a_word_says_so(run, toy):
    code, out, _ = run("nothing", "--methods", "lesk", *toy)
    assert code == 0
    assert "no word of the inventory in this text" in out


def test_square_brackets_are_shown_as_they_are(run, toy):
    text = "[bold]the bat[/] [/x] \\[red]"
    code, out, _ = run(text, "--methods", "lesk", *toy)
    assert code == 0
    assert text in out


def test_texts_from_standard_input(run, toy, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("the bat\r\n\nthe bank"))
    code, out, _ = run("a bat", "-", "--json", "--methods", "lesk", *toy)
    assert code == 0
    assert [(r["text_index"], r["text"]) for r in json.loads(out)] == [
        (0, "bat"),
        (1, "bat"),
        (3, "bank"),
    ]


def test_empty_standard_input(run, toy, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert run("-", "--json", "--methods", "lesk", *toy) == (0, "[]\n", "")


# -- what goes wrong -------------------------------------------------------------------------------


def test_a_wrong_method_is_told_before_models_are_read(run, monkeypatch):
    monkeypatch.setattr(pipeline, "load_pipeline", None)
    code, out, err = run("the bat", "--methods", "lesk,guess")
    assert (code, out) == (2, "")
    assert one_sentence(err).startswith("method = 'guess'; allowed are random, first_sense, lesk, ")


@pytest.mark.parametrize("names", ["", " , "])
def test_no_method(run, names):
    code, _, err = run("the bat", "--methods", names)
    assert code == 2
    assert one_sentence(err).startswith(f"--methods {names!r} names none; allowed are random, ")


def test_no_text(run):
    code, _, err = run()
    assert code == 2
    assert "'TEXT'" in one_sentence(err)


def test_bytes_that_are_no_text(run, monkeypatch):
    code, _, err = run("the bat \udcff", "--methods", "lesk")
    assert code == 2
    assert one_sentence(err).startswith("a text holds bytes that are not UTF-8")
    stdin = io.TextIOWrapper(io.BytesIO("café".encode("latin-1")), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", stdin)
    code, _, err = run("-", "--methods", "lesk")
    assert code == 2
    assert one_sentence(err).startswith("stdin holds bytes that are not UTF-8")


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])  # the locale decides
def test_compressed_bytes(run, monkeypatch, errors):
    stdin = io.TextIOWrapper(io.BytesIO(gzip.compress(b"the bat")), "utf-8", errors)
    monkeypatch.setattr(sys, "stdin", stdin)
    code, _, err = run("-", "--methods", "lesk")
    assert code == 2
    unpacked = "standard input is compressed; unpack it first: gunzip -c FILE | spacy-attn ..."
    assert one_sentence(err) == unpacked


def test_a_missing_and_a_broken_inventory(run, toy, tmp_path):
    code, _, err = run("the bat", "--methods", "lesk", "--inventory", "none.jsonl")
    assert code == 2
    assert one_sentence(err).startswith("inventory = 'none.jsonl': allowed are homographs")
    path = tmp_path / "broken.jsonl"
    path.write_text('{"lemma": "bat"}\n')
    code, _, err = run("the bat", "--methods", "lesk", "--inventory", str(path))
    assert code == 1
    assert one_sentence(err).startswith(f"{path}, line 1, field 'sense': must be a text")


def test_a_pipeline_of_another_language(run, toy, tmp_path):
    spacy.blank("de").to_disk(tmp_path / "de")
    code, _, err = run("die Bank", "--methods", "lesk", "--pipeline", str(tmp_path / "de"))
    assert code == 2
    assert one_sentence(err).startswith("the inventory 'homographs' is for language 'en', the")


def test_a_pipeline_with_a_component_of_its_own(run, toy, tmp_path):
    nlp = spacy.blank("en")
    config = {"inventory": toy[1], "method": "lesk", "attr": "mine", "spans_key": "mine"}
    nlp.add_pipe("sense_disambiguator", config=config)
    nlp.to_disk(tmp_path / "own")
    options = ["--json", "--methods", "lesk", "--pipeline", str(tmp_path / "own")]
    for same in ([], toy):
        code, out, _ = run("the bat", *options, *same)
        assert code == 0
        assert json.loads(out)[0]["methods"]["lesk"]["sense"] == "bat.animal"
    code, _, err = run("the bat", *options, "--inventory", "other.jsonl")
    assert code == 2
    assert one_sentence(err).startswith(
        "inventory = 'other.jsonl', but the pipeline has a component 'sense_disambiguator' of its "
    )


def test_a_method_that_cannot_run_is_left_out_with_its_reason(run, toy, monkeypatch):
    name = ("spacy_attn", "sense_methods", "spacy_attn.word2vec.v99")
    monkeypatch.setitem(catalogue.REGISTRY, name, lambda: word2vec_v1("nowhere.txt"))
    code, out, err = run("the bat", "--json", "--methods", "word2vec,lesk", *toy)
    assert code == 1  # a part of the work failed
    assert list(json.loads(out)[0]["methods"]) == ["lesk"]
    assert err.startswith("word2vec was left out: ")
    assert "nowhere.txt" in err


# -- the real models ---------------------------------------------------------------------------


def test_the_demo(run):
    try:
        resolve_encoder()
        glove_files()
    except ResourceError as error:
        pytest.skip(f"a model is not installed: {error}")
    code, out, err = run("Swing the bat!", "The bat flew at night.", "--json")
    assert (code, err) == (0, "")
    swing, flew = json.loads(out)
    assert list(swing["methods"]) == ["first_sense", "lesk_extended", "word2vec", "attention"]
    assert swing["methods"]["attention"]["sense"] == "bat.club"
    assert flew["methods"]["attention"]["sense"] == "bat.animal"
    assert swing["static_similarity"] == flew["static_similarity"] == 1.0
    assert swing["attention_similarity"] < 0.9


def test_senses_of_wordnet(run):
    try:
        resolve_pipeline()
    except ResourceError as error:
        pytest.skip(f"a model is not installed: {error}")
    code, out, err = run("The bat flew.", "--inventory", "wordnet", "--methods", "first_sense")
    assert (code, err) == (0, "")
    assert "bat%1:05:00::" in out
