from __future__ import annotations

import gzip
import io
import json
import os
import sys
from collections import Counter

import pytest
import spacy

from spacy_attn.errors import ConfigError, ResourceError
from spacy_attn.train import corpus as corpus_module
from spacy_attn.train import text_stream
from spacy_attn.train.corpus import make_tokenizer, tokenise_files
from spacy_attn.train.text_stream import find_text_files


def tokenised(tmp_path, inputs, input_format=None, **options):
    """The lines and facts of a corpus."""
    target = tmp_path / "corpus.out"
    files = find_text_files(inputs, input_format)
    corpus = tokenise_files(files, target, **{"tokens": "whitespace", **options})
    return target.read_text(encoding="utf-8").split("\n")[:-1], corpus


def with_stdin(monkeypatch, data):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


# -- which files ----------------------------------------------------------------------------


def test_files_folders_patterns_and_stdin(tmp_path, monkeypatch):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in ("b.txt", "a.jsonl", "er/c.TXT.gz", "er/d.md", "er/e.jsonl.gz"):
        (tmp_path / "deep" / name).write_bytes(gzip.compress(b"x") if "gz" in name else b"x")
    monkeypatch.chdir(tmp_path)
    found = find_text_files(["-", "deep", "deep/er/*.md"])
    assert [(file.name, file.format) for file in found] == [
        ("-", "txt"),
        ("deep/a.jsonl", "jsonl"),
        ("deep/b.txt", "txt"),
        ("deep/er/c.TXT.gz", "txt"),
        ("deep/er/e.jsonl.gz", "jsonl"),
        ("deep/er/d.md", "txt"),
    ]
    assert {file.format for file in find_text_files(["deep"], "jsonl")} == {"jsonl"}


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ([], "no input: give at least one file"),
        (["none.txt"], r"input none\.txt is not there"),
        (["*.none"], r"no file matches \*\.none: list what is there"),
        (["empty"], r"folder empty holds no file with a suffix of \.txt"),
        (["a.txt", "a.txt"], r"input a\.txt is given 2 times"),
        (["a.txt", "./a.txt"], r"input a\.txt is given 2 times, and would be read as often"),
        (["-", "-"], "input - is given 2 times"),
        (["nul.txt"], r"input nul\.txt is no text in UTF-8 \(it holds NUL bytes\)"),
        (["no.gz"], r"input no\.gz cannot be read: Not a gzipped file"),
        (["cut.gz"], r"input cut\.gz cannot be read: Compressed file ended"),
        (["fifo"], "input fifo is no regular file; pipe it to -"),
    ],
)
def test_inputs_that_are_refused(tmp_path, monkeypatch, inputs, reason):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "nul.txt").write_bytes("a b".encode("utf-16-le"))
    (tmp_path / "no.gz").write_text("no")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"text " * 99)[:-9])
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ConfigError, match=reason):
        find_text_files(inputs)


def test_closed_standard_input_is_one_sentence(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ConfigError, match="standard input is closed: name a file in place of -"):
        find_text_files(["-"])


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="--input-format csv: allowed are txt, jsonl"):
        find_text_files([tmp_path], "csv")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("a")
    path.chmod(0)
    with pytest.raises(ConfigError, match="cannot be read: Permission denied"):
        find_text_files([path])


# -- lines ----------------------------------------------------------------------------------


def test_text_and_jsonl_compressed_or_not(tmp_path):
    (tmp_path / "a.txt").write_bytes("\ufeffThe bat\r\n\n  \nflew Höhle".encode())
    records = [{"text": "two\nlines"}, {"text": ""}, {"text": "x", "more": 1}]
    lines = "\n\n".join(map(json.dumps, records)).encode()
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines))
    found, corpus = tokenised(tmp_path, [tmp_path / "a.txt", tmp_path / "b.jsonl.gz"])
    assert found == ["the bat", "flew höhle", "two lines", "x"]
    assert corpus.counts == Counter("the bat flew höhle two lines x".split())
    assert (corpus.n_tokens, corpus.n_sentences, corpus.n_skipped) == (7, 4, 0)


def test_bad_lines_are_counted_and_skipped(tmp_path):
    lines = [
        b'{"text": "a"}',
        b"nonsense",
        b'["text"]',
        b'{"text": 3}',
        b'{"other": "x"}',
        b'{"text": "\xf6"}',
        b"[" * 100_000,
        b'{"text": "b\\ud800"}',
    ]
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(lines))
    found, corpus = tokenised(tmp_path, [tmp_path / "a.jsonl"])
    assert found == ["a", "b?"]
    assert corpus.n_skipped == 6
    assert corpus.first_skipped.startswith(f"{tmp_path / 'a.jsonl'} line 2: not JSON (")


def test_tokens_that_are_too_long_are_counted_and_skipped(tmp_path):
    long, longest = "x" * 100_000, "y" * corpus_module.MAX_TOKEN
    (tmp_path / "a.txt").write_text(f"the {long} bat\n{long}z\n{longest}\n")
    found, corpus = tokenised(tmp_path, [tmp_path / "a.txt"])
    assert found == ["the bat", longest]
    assert corpus.counts == Counter(["the", "bat", longest])
    assert (corpus.n_tokens, corpus.n_sentences, corpus.n_too_long) == (3, 2, 2)


def test_other_encodings_are_skipped_line_by_line(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"good\nH\xf6hle\nbetter\n")
    found, corpus = tokenised(tmp_path, [tmp_path / "a.txt"])
    assert found == ["good", "better"]
    assert corpus.first_skipped.endswith("line 2: not UTF-8 (byte 0xf6)")


def test_text_key(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"body": "one two"}\n')
    assert tokenised(tmp_path, [tmp_path / "a.jsonl"], text_key="body")[0] == ["one two"]
    _, corpus = tokenised(tmp_path, [tmp_path / "a.jsonl"])
    assert "no text under the key 'text'; name it with --text-key" in corpus.first_skipped


def test_lines_of_any_length(tmp_path, monkeypatch):
    monkeypatch.setattr(text_stream, "_MAX_TEXT", 20)
    monkeypatch.setattr(corpus_module, "_CHUNK", 30)
    words = [f"w{i}" for i in range(500)]
    (tmp_path / "a.txt").write_text("short\n" + " ".join(words) + "\nlast")
    found, corpus = tokenised(tmp_path, [tmp_path / "a.txt"])
    assert " ".join(found).split() == ["short", *words, "last"]
    assert corpus.n_sentences == len(found) > 50


def test_a_long_line_without_blanks_is_cut_between_characters(tmp_path, monkeypatch):
    monkeypatch.setattr(text_stream, "_MAX_TEXT", 50)
    text = "a" + "字" * 100 + "é" * 99 + "𝔸" * 30
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    found, corpus = tokenised(tmp_path, [tmp_path / "a.txt"], lower=False)
    assert "".join(found) == text
    assert corpus.n_skipped == 0


def test_a_record_that_is_too_long_is_skipped(tmp_path, monkeypatch):
    monkeypatch.setattr(text_stream, "_MAX_JSON", 64)
    long = json.dumps({"text": "x " * 200})
    (tmp_path / "a.jsonl").write_text(f'{{"text": "a"}}\n{long}\n{{"text": "b"}}\n')
    found, corpus = tokenised(tmp_path, [tmp_path / "a.jsonl"])
    assert found == ["a", "b"]
    assert corpus.n_skipped == 1


def test_sentences_are_no_longer_than_gensim_reads(tmp_path):
    (tmp_path / "a.txt").write_text("x " * 25_000)
    found, corpus = tokenised(tmp_path, [tmp_path / "a.txt"])
    assert [line.count("x") for line in found] == [10_000, 10_000, 5_000]
    assert corpus.n_tokens == 25_000


def test_a_file_that_breaks_off_is_an_error(tmp_path):
    data = gzip.compress(os.urandom(200_000).hex().encode())
    (tmp_path / "a.txt.gz").write_bytes(data[:-20_000])
    with pytest.raises(ResourceError, match=r"a\.txt\.gz cannot be read to its end: Compressed"):
        tokenised(tmp_path, [tmp_path / "a.txt.gz"])


def test_standard_input(tmp_path, monkeypatch):
    with_stdin(monkeypatch, b"from stdin\nB")
    found, corpus = tokenised(tmp_path, ["-"])
    assert found == ["from stdin", "b"]
    with_stdin(monkeypatch, b"from stdin\nB")
    assert text_stream.stdin_sha256() == corpus.stdin_sha256
    with_stdin(monkeypatch, b'{"text": "json"}\n')
    assert tokenised(tmp_path, ["-"], "jsonl")[0] == ["json"]


def test_rarest_words_are_forgotten_when_there_are_too_many(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus_module, "_CHUNK", 1)
    words = ["the"] * 5 + ["bat"] * 3 + [f"w{i}" for i in range(50)]
    (tmp_path / "a.txt").write_text("\n".join(words))
    _, corpus = tokenised(tmp_path, [tmp_path / "a.txt"], max_types=10)
    assert len(corpus.counts) <= 10
    assert (corpus.counts["the"], corpus.counts["bat"]) == (5, 3)
    assert corpus.n_tokens == 58


def test_a_worker_that_dies_is_no_hang(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus_module, "_start_worker", os._exit)  # it ends at once
    (tmp_path / "a.txt").write_text("text\n")
    with pytest.raises(ResourceError, match=r"a process that tokenises died.*--n-process 1"):
        tokenised(tmp_path, [tmp_path / "a.txt"], processes=2)


def test_progress_counts_the_bytes_of_the_input(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus_module, "_REPORT_EVERY", 0)
    monkeypatch.setattr(corpus_module, "_CHUNK", 1000)
    (tmp_path / "a.txt").write_text("some words\n" * 3000)
    records = []
    tokenised(tmp_path, [tmp_path / "a.txt"], report=records.append)
    done = [record["done"] for record in records]
    assert done == sorted(done)
    assert len(set(done)) > 3
    assert 0 < done[-1] <= records[-1]["total"] == 33_000


# -- tokens ---------------------------------------------------------------------------------


def test_spacy_tokens_equal_spacy(tmp_path):
    texts = ["Don't  swing the bat!", "U.S. prices\trose 5%.", "a\u00a0b\u2028c \U0001f987"]
    nlp = spacy.blank("en")
    expected = [[t.text.lower() for t in nlp(text) if not t.is_space] for text in texts]
    assert make_tokenizer("spacy", "en", True)(texts) == expected
    assert expected[0] == ["do", "n't", "swing", "the", "bat", "!"]
    assert make_tokenizer("spacy", "en", False)(texts)[0][:2] == ["Do", "n't"]


def test_a_token_never_holds_white_space():
    tokenizer = make_tokenizer("spacy", "en", True)
    special = [{"ORTH": "new york"}]
    tokenizer.keywords["nlp"].tokenizer.add_special_case("new york", special)
    (tokens,) = tokenizer(["in new york now"])
    assert not any(any(c.isspace() for c in token) for token in tokens)
    assert "".join(tokens).replace("_", "") == "innewyorknow"


def test_languages():
    assert make_tokenizer("spacy", "de", True)(["Das z.B. ist"]) == [["das", "z.b.", "ist"]]
    with pytest.raises(
        ConfigError, match=r"--lang klingon: spaCy has no tokenizer.*or --tokens whitespace$"
    ):
        make_tokenizer("spacy", "klingon", True)
    with pytest.raises(ConfigError, match="--tokens words: allowed are spacy, whitespace"):
        make_tokenizer("words", "en", True)


def test_several_processes_give_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus_module, "_CHUNK", 100)
    (tmp_path / "a.txt").write_text("".join(f"Line {i} isn't long.\n" for i in range(200)))
    alone = tokenised(tmp_path, [tmp_path / "a.txt"])
    together = tokenised(tmp_path, [tmp_path / "a.txt"], processes=2)
    assert together == alone
