"""Arguments that mean files, as the shell hands them on: patterns in quotes, odd names."""

from __future__ import annotations

import os
import re

import pytest

from spacy_attn.errors import ConfigError
from spacy_attn.jobs.sources import find_sources
from spacy_attn.train.text_stream import find_text_files

FILES = (
    "data/a.jsonl",
    "data/b.txt",
    "data/c[1].txt",
    "data/deep/er/d.txt",
    "data/deep/f.jsonl.gz",
    "data/.hidden.txt",
    "data/[x] {y}/g.txt",
    "data1/h.txt",
    "data[1]/i.txt",
    "all/x=1/j.txt",
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("bat\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("data/*.jsonl", ["data/a.jsonl"]),
        ("data/*", ["data/a.jsonl", "data/b.txt", "data/c[1].txt"]),
        ("data//*.jsonl", ["data//a.jsonl"]),
        ("./data/[ab].*", ["./data/a.jsonl", "./data/b.txt"]),
        ("data/[!ab]*.txt", ["data/c[1].txt"]),
        ("data/?.txt", ["data/b.txt"]),
        ("data/c[1].txt", ["data/c[1].txt"]),  # it is there
        ("data/c[[]1].*", ["data/c[1].txt"]),
        ("data[1]/*.txt", ["data[1]/i.txt"]),  # there is such a folder
        ("data[12]/*.txt", ["data1/h.txt"]),
        ("data/[x] {y}/*", ["data/[x] {y}/g.txt"]),
        ("data/*{y}/*", ["data/[x] {y}/g.txt"]),
        ("data/.h*", ["data/.hidden.txt"]),
        ("data/**/d.txt", ["data/deep/er/d.txt"]),
        ("data/*/er/../*.gz", ["data/deep/er/../f.jsonl.gz"]),
        ("data/deep/**", ["data/deep/er/d.txt", "data/deep/f.jsonl.gz"]),
        ("**/d*.txt", ["data/deep/er/d.txt"]),
        ("all/*/*", ["all/x=1/j.txt"]),
        ("~/data1", ["~/data1/h.txt"]),
        ("~/data[1]/*", ["~/data[1]/i.txt"]),
    ],
)
def test_patterns_in_quotes(folder, monkeypatch, given, found):
    monkeypatch.setenv("HOME", str(folder))
    expected = [name.replace("~", str(folder)) for name in found]
    assert [source.name for source in find_sources([given])] == expected
    if not any(name.endswith(".gz") for name in found):  # it is none
        assert [file.name for file in find_text_files([given])] == expected


@pytest.mark.parametrize("find", [find_sources, find_text_files])
@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (
            "data/**.jsonl",
            "beside **, which is for folders of any depth: write it such as texts/",
        ),
        ("all/*", "all/* matches folders alone, such as all/x=1: give all/*/* for the files in"),
        ("all/*/", "all/*/ matches folders alone, such as all/x=1: give all/*/* for the files in"),
        ("data/*.csv", "no file matches data/*.csv: list what is there with ls"),
        ("data/z[1].txt", "with ls; for a [ that is part of a name write [[]"),
        ("data/{a,b}.jsonl", "is not there: list what is there with ls; {a,b} and $NAME are for"),
        ("data/*.{csv,tsv}", "no file matches data/*.{csv,tsv}: list what is there with ls; {a,b}"),
        ("$DATA/a.jsonl", "{a,b} and $NAME are for the shell: give them without quotes"),
        ("", "an input is empty: give a file, a folder or a pattern"),
    ],
)
def test_what_means_no_file_is_told_with_the_repair(folder, find, given, reason):
    with pytest.raises(ConfigError, match=re.escape(reason)):
        find([given])


def test_an_unknown_suffix_that_a_pattern_matched(folder):
    (folder / "data" / "README.md").touch()
    with pytest.raises(ConfigError, match=r"README.md is unknown.* narrower than data/\*"):
        find_sources(["data/*"])
    assert [source.name for source in find_sources(["data1", "data/*.jsonl"])] == [
        "data1/h.txt",
        "data/a.jsonl",
    ]


def test_a_file_that_is_meant_twice_is_told(folder):
    for given in (["data1", "data1/h.txt"], ["data/*.txt", "./data/b*"]):
        with pytest.raises(ConfigError, match=r"txt is given 2 times, .*: give it once"):
            find_sources(given)


def test_a_linked_folder_is_a_part_of_its_folder(folder):
    os.symlink(folder / "data1", folder / "all" / "more")
    os.symlink("..", folder / "all" / "x=1" / "back")
    (folder / "all" / "_tmp").mkdir()
    (folder / "all" / "_tmp" / "k.txt").touch()
    for find in (find_sources, find_text_files):
        assert [file.name for file in find(["all"])] == ["all/more/h.txt", "all/x=1/j.txt"]


def test_training_passes_over_no_text_in_silence_either(folder):
    """A link back is taken once, and what cannot be read is told, as in jobs."""
    os.symlink("..", folder / "data" / "deep" / "back")
    found = [file.name for file in find_text_files(["data/**/*.txt"])]
    assert found == ["data/[x] {y}/g.txt", "data/b.txt", "data/c[1].txt", "data/deep/er/d.txt"]
