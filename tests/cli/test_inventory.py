"""``spacy-attn inventory``: import, check, add, show."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import partial

import pytest

from spacy_attn.cli import main
from spacy_attn.cli.inventory import _note_of_encoders
from spacy_attn.models import DEFAULT_ENCODER
from spacy_attn.wsd.inventory.jsonl import load_inventory


@pytest.fixture
def glossary(tmp_path):
    path = tmp_path / "glossary.csv"
    path.write_text(
        "term,definition,examples\nbat,an animal that flies,The bat flew.\n"
        "bat,a club for a ball,Swing the bat!\nbat,,\n"
    )
    return path


@pytest.fixture
def mine(glossary, tmp_path, capsys):
    """The inventory of the glossary."""
    output = tmp_path / "mine.jsonl"
    assert main(["inventory", "import", str(glossary), "-o", str(output), "--lang", "en"]) == 0
    said = capsys.readouterr()
    assert said.out == f"{output}\n"
    assert said.err == (
        "2 senses of 1 word with 2 examples, language en\n"
        "left out: neither definition nor example (1)\n"
    )
    return output


def test_check(mine, capsys):
    assert main(["inventory", "check", str(mine), "--method", "lesk_extended"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:6] == [
        "mine.jsonl, language en",
        "  1 word, 2 senses (2 NOUN)",
        "  2 examples",
        "  senses without an example: 0",
        "  senses without a definition: 0",
        "  words with one sense: 0",
    ]
    assert re.fullmatch(
        "  lesk_extended decides [012] of 2 held-out examples of 1 word correctly", lines[-1]
    )


@pytest.mark.parametrize(
    ("n", "accuracy", "said"),
    [
        (4, 1.0, "4 of 4 held-out examples of 2 words correctly"),
        (99, 0.6667, "66 of 99 held-out examples of 2 words correctly"),
        (100, 0.885, "88 of 100 held-out examples of 2 words correctly (88%)"),
        (312, 0.8814, "275 of 312 held-out examples of 2 words correctly (88%)"),
    ],
)
def test_a_share_is_said_of_a_large_sample_only(mine, capsys, monkeypatch, n, accuracy, said):
    sample = {"method": "lesk", "encoders": [], "n_words": 2, "n": n, "accuracy": accuracy}
    monkeypatch.setattr("spacy_attn.train.sample.decided_sample", lambda *_: sample)
    assert main(["inventory", "check", str(mine), "--method", "lesk"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"  lesk decides {said}"


def test_check_as_json_and_without_a_sample(mine, capsys):
    assert main(["inventory", "check", str(mine), "--method", "none", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["n_senses"], record["sample"], record["one_sense"]) == (2, None, [])


@pytest.mark.parametrize("lang", [None, "en"])
def test_check_says_what_a_language_is_for(tmp_path, capsys, lang):
    line = {"lemma": "bat", "pos": "NOUN", "sense": "bat.n.1", "definition": "An animal."}
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps(line if lang is None else {**line, "lang": lang}))
    assert main(["inventory", "check", str(path), "--method", "none"]) == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first == f"mine.jsonl, language {lang or 'not named'}"
    assert ('add "lang": "en" to the first line' in second) == (lang is None)


def test_check_of_wordnet(capsys):
    assert main(["inventory", "check", "wordnet"]) == 2
    assert "this command is for inventories of your own" in capsys.readouterr().err


def test_add(mine, tmp_path, capsys):
    correction = {"text": "My bat", "start": 3, "end": 6, "lemma": "bat", "sense": "bat.n.2"}
    unknown = {**correction, "text": "A bat", "start": 2, "end": 5, "sense": "bat.n.9"}
    path = tmp_path / "corrections.jsonl"
    elsewhere = {**correction, "text": "A bat flew", "start": 6, "end": 10}
    path.write_text("\n".join(map(json.dumps, (correction, unknown, elsewhere))))
    assert main(["inventory", "add", str(mine), "--from", str(path), "--method", "none"]) == 0
    said = capsys.readouterr()
    assert said.out == f"{mine}\n"
    assert "new example" not in said.err
    assert "added 1 example; there before: 0; without a sense: 0" in said.err
    assert "does not have, left out: bat.n.9" in said.err
    assert "places of another word, left out: 'flew' for bat.n.2; repair start" in said.err
    assert [len(sense.examples) for sense in load_inventory(mine).senses] == [1, 2]


def test_new_examples_with_another_sense_are_told(mine, tmp_path, capsys):
    text = (
        "Long before anybody had thought of it, a bat\nlay in the hall where the boys had left it."
    )
    correction = {"text": text, "start": 41, "end": 44, "lemma": "bat", "sense": "bat.n.2"}
    first = {**correction, "text": "A bat", "start": 2, "end": 5, "sense": "bat.n.1"}
    path = tmp_path / "corrections.jsonl"
    path.write_text("\n".join(map(json.dumps, (correction, first))))
    add = ["inventory", "add", str(mine), "--from", str(path), "--method", "first_sense"]
    assert main([*add, "-o", str(tmp_path / "more.jsonl")]) == 0
    assert capsys.readouterr().err.splitlines()[1:] == [
        "first_sense still gives 1 of 2 new examples another sense:",
        "  ... before anybody had thought of it, a **bat** lay in the hall where the boys had "
        "...: bat.n.1, not bat.n.2",
        "one example does not always outweigh the others of its word: more like it help, and "
        f"spacy-attn annotate --corrections {path} gives these words their senses anyway",
    ]
    mine.write_text(mine.read_text().replace('"lang": "en"', '"lang": "zz"'))
    assert main(add) == 0
    said = capsys.readouterr()
    assert "the new examples were not tried: language 'zz': " in said.err
    assert said.out == f"{mine}\n"
    assert main(["inventory", "add", "no.jsonl", "--from", str(path), "--method", "atention"]) == 2
    assert "did you mean 'attention'?" in capsys.readouterr().err


def test_nothing_added_is_a_failure(mine, tmp_path, capsys):
    line = {"text": "My bat", "start": 3, "end": 6, "lemma": "bat", "sense": "bat.n.9"}
    path = tmp_path / "corrections.jsonl"
    path.write_text(json.dumps(line))
    assert main(["inventory", "add", str(mine), "--from", str(path)]) == 1
    assert "added 0 examples" in capsys.readouterr().err


def test_what_is_no_place_or_no_inventory(glossary, tmp_path, capsys):
    output = tmp_path / "no" / "mine.jsonl"
    assert main(["inventory", "import", str(glossary), "-o", str(output)]) == 2
    assert f"-o {output}: its folder does not exist; make it with: mkdir" in capsys.readouterr().err
    assert main(["inventory", "show", "bat", "--inventory", str(glossary)]) == 2
    assert f"spacy-attn inventory import {glossary} -o glossary.jsonl" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["import", "add"])
def test_an_inventory_is_written_as_jsonl(mine, glossary, tmp_path, capsys, command):
    output = tmp_path / "mine.csv"
    rest = ["import", str(glossary)] if command == "import" else ["add", str(mine), "--from", "c"]
    assert main(["inventory", *rest, "-o", str(output)]) == 2
    said = f"error: -o {output}: allowed are names that end in .jsonl\n"
    assert (capsys.readouterr().err, output.exists()) == (said, False)


def test_a_dictionary_is_not_written_over(tmp_path, capsys):
    source = tmp_path / "kaikki.jsonl"
    line = {"word": "bat", "pos": "noun", "lang_code": "en", "senses": [{"glosses": ["a club"]}]}
    source.write_text(json.dumps(line))
    other = tmp_path / "." / "kaikki.jsonl"
    assert main(["inventory", "import", str(source), "-o", str(other)]) == 2
    assert "is the dictionary itself: name another output" in capsys.readouterr().err
    assert json.loads(source.read_text()) == line


def test_check_with_a_pipeline_or_language_that_is_not_there(mine, tmp_path, capsys):
    assert main(["inventory", "check", str(mine), "--pipeline", "no_such"]) == 1
    assert "pipeline 'no_such' is not on this machine" in capsys.readouterr().err
    other = tmp_path / "other.jsonl"
    other.write_text(mine.read_text().replace('"lang": "en"', '"lang": "zz"'))
    assert main(["inventory", "check", str(other), "--method", "none"]) == 2
    assert (
        "language 'zz': spaCy has no tokenizer for 'zz'; allowed are af, "
        in capsys.readouterr().err
    )
    arguments = ["check", str(other), "--method", "none", "--pipeline", "blank:xx"]
    assert main(["inventory", *arguments]) == 0


def test_add_to_the_bundled_one_needs_another_file(tmp_path, capsys):
    path = tmp_path / "corrections.jsonl"
    path.write_text(
        '{"text": "My bat", "start": 3, "end": 6, "lemma": "bat", "sense": "bat.club"}\n'
    )
    assert main(["inventory", "add", "homographs", "--from", str(path)]) == 2
    assert "homographs is bundled and stays as it is" in capsys.readouterr().err
    output = tmp_path / "more.jsonl"
    more = ["-o", str(output), "--method", "none"]
    assert main(["inventory", "add", "homographs", "--from", str(path), *more]) == 0
    assert sum(len(s.examples) for s in load_inventory(output).senses) == 2824


def test_show_a_word_and_all_words(mine, capsys):
    assert main(["inventory", "show", "Bat", "--inventory", str(mine)]) == 0
    shown = capsys.readouterr().out
    assert "bat.n.1" in shown
    assert "an animal that flies" in shown
    assert "The bat flew." in shown
    assert main(["inventory", "show", "--inventory", str(mine), "--inventory", "homographs"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "bat\tNOUN VERB"
    assert main(["inventory", "show", "bat", "--inventory", "wordnet", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 10


def test_show_a_word_that_is_not_there(capsys):
    assert main(["inventory", "show", "sprng"]) == 2
    assert "'homographs' has no word 'sprng' (did you mean 'spring'?)" in capsys.readouterr().err


def test_without_a_command_the_help_is_shown(capsys):
    assert main(["inventory"]) == 2
    assert "import" in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("lang", "encoder", "is_told"),
    [
        ("de", DEFAULT_ENCODER, True),
        ("en", DEFAULT_ENCODER, False),
        (None, DEFAULT_ENCODER, False),
        ("de", "a-multilingual-one", False),
    ],
)
def test_an_encoder_of_english_for_another_language_is_told(lang, encoder, is_told):
    note = f"{DEFAULT_ENCODER} is an encoder of English: choose one that knows de with --model NAME"
    assert _note_of_encoders(lang, [encoder]) == (note if is_told else None)


def test_a_dictionary_from_standard_input(tmp_path):
    glossary = "term,definition\nbat,an animal\n"
    command = [sys.executable, "-m", "spacy_attn", "inventory", "import", "-", "-o"]
    run = partial(subprocess.run, input=glossary, capture_output=True, text=True)
    output = tmp_path / "mine.jsonl"
    made = run([*command, str(output), "--format", "glossary"])
    assert made.returncode == 0, made.stderr
    assert load_inventory(output).senses[0].definition == "an animal"
    untold = run([*command, str(output)])
    assert untold.returncode == 2
    assert "say which with --format: glossary" in untold.stderr


def test_standard_input_where_it_is_not_read_is_told(mine, capsys):
    assert main(["inventory", "add", str(mine), "--from", "-"]) == 2
    said = capsys.readouterr().err
    assert said == "error: --from -: standard input is not read here; give a file\n"
