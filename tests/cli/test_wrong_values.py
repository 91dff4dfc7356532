"""A wrong value of any option is told at once, with the name that was probably meant."""

from __future__ import annotations

import pytest
import typer

from spacy_attn.cli import main
from spacy_attn.cli.app import app
from spacy_attn.errors import allowed_names, counted, did_you_mean

# command, options before the wrong one, the option, its value, what was meant
TYPOS = [
    ("senses bat", "--methods", "lesc", "lesk"),
    ("senses bat", "--inventory", "homograph", "homographs"),
    ("explain bat", "--by", "occlusoin", "occlusion"),
    ("explain bat", "--method", "atention", "attention"),
    ("read ok.txt -o x.html", "--granularity", "coars", "coarse"),
    ("read ok.txt -o x.html", "--layers", "entites", "entities"),
    ("read ok.txt -o x.html", "--against", "word2vek", "word2vec"),
    ("tokens bat", "--stemmer", "portr", "porter"),
    ("neighbours bat --plot x.png", "--method", "tnse", "tsne"),
    ("annotate ok.txt -o x.jsonl", "--input-format", "jsnl", "jsonl"),
    ("annotate ok.txt -o x.jsonl", "--output-format", "parket", "parquet"),
    ("annotate ok.txt -o x.csv", "--rows", "itm", "item"),
    ("annotate ok.txt -o x.jsonl", "--granularity", "Fin", "fine"),
    ("annotate ok.txt -o x.jsonl", "--fields", "sense", "senses"),
    ("annotate ok.txt -o x.jsonl", "--backoff", "first_sens", "first_sense"),
    ("annotate ok.txt -o x.jsonl", "--engine", "rya", "ray"),
    ("compare --methods lesk,tfidf", "--baseline", "tfdf", "tfidf"),
    ("compare", "--half", "frosen", "frozen"),
    ("train-word2vec ok.txt -o v", "--algorithm", "fastext", "fasttext"),
    ("train-word2vec ok.txt -o v", "--architecture", "skip-gram", "skipgram"),
    ("train-word2vec ok.txt -o v", "--tokens", "spcy", "spacy"),
    ("train-word2vec ok.txt -o v", "--input-format", "json", "jsonl"),
    ("train-chunker ok.txt -o v", "--task", "entites", "entities"),
    ("train-senses -o v", "--precision", "fp23", "fp32"),
    ("inventory import ok.csv -o x.jsonl", "--format", "glosary", "glossary"),
    ("inventory import ok.csv -o x.jsonl", "--pos", "NUON", "NOUN"),
    ("inventory import ok.csv -o x.jsonl", "--columns", "trem=word", "term"),
    ("inventory import ok.csv -o x.jsonl", "--columns", "term=wrod", "word"),
    ("inventory check x.jsonl", "--method", "atention", "attention"),
    ("inventory show bat", "--inventory", "wordnt", "wordnet"),
    ("calibrate-int8", "--adapter", "sense", "senses"),
    ("annotate ok.txt -o x.jsonl", "--encoding", "uft-8", "utf-8"),
    ("annotate ok.txt -o x.jsonl", "--encoding", "latn-1", "latin-1"),
    ("train-word2vec ok.txt -o v", "--lang", "German", "de"),
    ("inventory import ok.csv -o x.jsonl", "--lang", "English", "en"),
    ("compare", "--system", "accurat", "accurate"),
    ("compare", "--system", "mine=atention", "attention"),
    ("compare", "--system", 'm={"@sense_methods": "spacy_attn.lesc.v1"}', "spacy_attn.lesk.v1"),
    ("compare", "--system", 'm={"@sense_methods": "spacy_attn.lesk.v1", "windw": 9}', "window"),
]

# command, option, missing file
MISSING = [
    ("read none.txt -o x.html", "none.txt"),
    ("neighbours bat --vectors none", "--vectors none"),
    ("annotate ok.txt -o x.jsonl --corrections none", "corrections / --corrections none"),
    ("annotate none.txt -o x.jsonl", "input none.txt"),
    ("compare none.jsonl", "none.jsonl"),
    ("compare --predictions n=none", "--predictions n=none"),
    ("compare --report none", "--report none"),
    ("inventory import none.csv -o x.jsonl", "none.csv"),
    ("inventory check none.jsonl", "inventory = 'none.jsonl'"),
    ("inventory add homographs --from none -o x.jsonl", "--from none"),
    ("calibrate-int8 --text none", "--text none"),
    ("calibrate-int8 --adapter none", "--adapter none"),
    ("train-word2vec none.txt -o v", "input none.txt"),
    ("train-chunker none.txt -o v", "none.txt"),
    ("train-chunker ok.txt -o v --dev none", "--dev none"),
    ("train-lemmatizer -o v --semcor none", "--semcor none"),
    ("train-lemmatizer -o v --semcor ok.txt --wordnet none", "--wordnet none"),
    ("train-lemmatizer -o v --semcor ok.txt --start none", "--start none"),
    ("train-attention -o v --vectors none", "--vectors none"),
    ("train-attention -o v --data none", "--data none"),
    ("train-attention -o v --masc none", "--masc none"),
    ("train-senses -o v --semcor none", "--semcor none"),
    ("train-senses -o v --masc none", "--masc none"),
    ("train-senses -o v --written none", "none"),
    ("train-senses -o v --tagged none", "--tagged none"),
    ("train-senses -o v --data none", "--data none"),
    ("train-senses -o v --start none", "--start none"),
    ("train-senses -o v --senses-from none", "--senses-from none"),
    ("train-senses -o v --average none", "--average none"),
    ("train-senses -o v --teacher none", "--teacher none"),
]


@pytest.fixture(autouse=True)
def no_models(tmp_path, monkeypatch):
    """A folder of its own, where no pipeline is loaded."""

    def load(*_args, **_options):
        raise AssertionError("a pipeline was loaded first")

    monkeypatch.setattr("spacy.load", load)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ok.txt").write_text("The bat flew.\n")
    (tmp_path / "ok.csv").write_text("word,definition\nbat,An animal.\n")


@pytest.mark.parametrize(("command", "option", "value", "meant"), TYPOS)
def test_a_typo(command, option, value, meant, capsys):
    assert main([*command.split(), option, value]) == 2
    err = capsys.readouterr().err
    assert (err.count("\n"), err.endswith(f"; did you mean {meant!r}?\n")) == (1, True), err


@pytest.mark.parametrize(("command", "named"), MISSING)
def test_a_missing_file(command, named, capsys, tmp_path):
    assert main(command.split()) == 2
    err = capsys.readouterr().err
    assert (err.count("\n"), err.startswith(f"error: {named}")) == (1, True), err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ok.csv", "ok.txt"]


def test_every_option_with_a_list_of_values_is_tried():
    listed = {
        (name, option)
        for name, command in _commands(typer.main.get_command(app))
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--") and "|" in (parameter.metavar or "")
    }
    tried = {(command.split()[0], option) for command, option, _, _ in TYPOS}
    tried |= {(" ".join(command.split()[:2]), option) for command, option, _, _ in TYPOS}
    assert ("annotate", "--rows") in listed
    assert listed <= tried


def _commands(group, name=""):
    for child, command in getattr(group, "commands", {}).items():
        yield from _commands(command, f"{name} {child}".strip())
    if not hasattr(group, "commands"):
        yield name, group


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("portr", "; did you mean 'Porter'?"),
        ("PORTER", "; did you mean 'Porter'?"),
        ("xyz", ""),
        ("Porter", ""),
    ],
)
def test_the_nearest_name(given, meant):
    assert did_you_mean(given, ["Porter", "snowball"]) == meant
    assert allowed_names(given, iter(["Porter", "snowball"]), ", or a file") == (
        f"allowed are Porter, snowball, or a file{meant}"
    )


@pytest.mark.parametrize(
    ("n", "said"), [(0, "0 texts"), (1, "1 text"), (2, "2 texts"), (1234, "1,234 texts")]
)
def test_plurals(n, said):
    assert counted(n, "text") == said
