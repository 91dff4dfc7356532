"""Lines in, records out: what is read, what is refused and why, what is written back."""

from __future__ import annotations

import gzip
import io
import json
import os
from types import SimpleNamespace

import pytest

from spacy_attn.errors import ConfigError
from spacy_attn.jobs import JobOptions
from spacy_attn.jobs.readers import check_sources, read_records
from spacy_attn.jobs.records import ERROR_RECORD_CHARS, BadRecord, Record
from spacy_attn.jobs.sources import Source, find_sources, line_encoding, total_bytes

SENSES = [{"start": 0, "end": 3, "text": "bat", "lemma": "bat", "sense": "bat.club", "score": 0.5}]


def read(tmp_path, data, suffix="jsonl", **options):
    path = tmp_path / f"in.{suffix}"
    path.write_bytes(data)
    return list(read_records(find_sources([path])[0], JobOptions(**options)))


def reason(tmp_path, data, **options):
    (record,) = read(tmp_path, data, **options)
    assert isinstance(record, BadRecord)
    return record.reason


# -- plain text ------------------------------------------------------------------------


def test_txt_has_one_document_a_line_and_keeps_empty_ones(tmp_path):
    records = read(tmp_path, b"one\n\n  \nfour", "txt")
    assert [(r.line, r.text) for r in records] == [(1, "one"), (2, ""), (3, "  "), (4, "four")]


@pytest.mark.parametrize("suffix", ["txt", "jsonl"])
def test_empty_file_has_no_records(tmp_path, suffix):
    assert read(tmp_path, b"", suffix) == []


def test_txt_line_ends_are_taken_off_and_nothing_else(tmp_path):
    records = read(tmp_path, b" a \r\nb\r\r\n\tc\x0b\n", "txt")
    assert [r.text for r in records] == [" a ", "b\r", "\tc\x0b"]


def test_txt_is_cut_at_newlines_only(tmp_path):
    text = "a\x0bb\x0cc\x1cd\x85e\u2028f\u2029g\rh\x00i"
    assert [r.text for r in read(tmp_path, f"{text}\n".encode(), "txt")] == [text]


def test_txt_control_characters_survive_the_way_out(tmp_path):
    text = "".join(map(chr, [0, 1, 7, 8, 9, 11, 12, 27, 127, 0x85, 0x2028])) + "bat"
    (record,) = read(tmp_path, f"{text}\n".encode(), "txt")
    line = record.to_json({"senses": []})
    assert "\n" not in line
    assert "\r" not in line
    assert json.loads(line) == {"text": text, "senses": []}


# -- JSONL -----------------------------------------------------------------------------


def test_jsonl_is_written_back_as_it_was_read(tmp_path):
    raw = r'{"id": 1e2,"x": 1.10, "x": 123456789012345678901, "text" : "b\u0061t" , "y":"\ud800" }'
    (record,) = read(tmp_path, f"  {raw}\t\r\n".encode())
    assert record.text == "bat"
    added = ', "senses": ' + json.dumps(SENSES) + "}"
    assert record.to_json({"senses": SENSES}) == raw.removesuffix(" }") + added
    assert json.loads(record.to_json({"senses": SENSES}))["senses"] == SENSES


def test_jsonl_number_with_thousands_of_digits_is_carried_through(tmp_path):
    number = "9" * 5000
    (record,) = read(tmp_path, f'{{"n": {number}, "text": ""}}'.encode())
    assert record.to_json({"senses": []}) == f'{{"n": {number}, "text": "", "senses": []}}'


def test_jsonl_white_lines_are_passed_over_but_counted_as_lines_and_bytes(tmp_path):
    data = b'\n{"text": "a"}\n  \r\n\n{"text": "b"}\n'
    records = read(tmp_path, data)
    assert [(r.line, r.text) for r in records] == [(2, "a"), (5, "b")]
    assert sum(r.n_bytes for r in records) == len(data)


def test_jsonl_carriage_return_between_tokens_does_not_cut_the_output(tmp_path):
    (record,) = read(tmp_path, b'{"text":\r"a"}\r\n')
    assert record.to_json({"senses": []}) == '{"text": "a", "senses": []}'


def test_jsonl_right_to_left_and_html_stay_the_same_characters(tmp_path):
    text = "עטלף &amp; <b>bat</b> \u202eabc"
    raw = json.dumps({"text": text}, ensure_ascii=False)
    (record,) = read(tmp_path, raw.encode())
    assert record.text == text
    assert record.to_json({"senses": []}).startswith(raw[:-1])


def test_byte_order_mark_is_no_part_of_the_first_record(tmp_path):
    assert read(tmp_path, b'\xef\xbb\xbf{"text": "a"}\n')[0].text == "a"
    assert read(tmp_path, b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", "txt")[0].text == "a"
    assert read(tmp_path, b"a\n\xef\xbb\xbfb\n", "txt")[1].text == "\ufeffb"


def test_text_key(tmp_path):
    (record,) = read(tmp_path, b'{"text": 1, "body": "a"}', text_key="body")
    assert record.text == "a"


def test_one_megabyte_line(tmp_path):
    text = "the bat " * 131_072
    (record,) = read(tmp_path, json.dumps({"text": text}).encode())
    assert record.text == text


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"text": "a"', "not JSON: Expecting ',' delimiter at character 12"),
        (b"plain words", "not JSON: Expecting value at character 0"),
        (b'{"text": "a"}{"text": "b"}', "not JSON: Extra data at character 13"),
        (b'{"text": "a\x01b"}', "not JSON: Invalid control character at at character 11"),
        (b"[1, 2]", "not a JSON object but a list"),
        (b'"text"', "not a JSON object but a string"),
        (b"null", "not a JSON object but null"),
        (b'{"body": "a"}', 'no field "text" (fields: "body"); name it with --text-key'),
        (b"{}", 'no field "text" (fields: none); name it with --text-key'),
        (b'{"text": null}', 'field "text" is not a string but null'),
        (b'{"text": 5}', 'field "text" is not a string but a number'),
        (b'{"text": true}', 'field "text" is not a string but a boolean'),
        (b'{"text": ["a"]}', 'field "text" is not a string but a list'),
        (b'{"text": {}}', 'field "text" is not a string but an object'),
        (
            b'{"text": "a", "senses": 1}',
            'there is a field "senses" already; rename or drop it first',
        ),
        (
            b'{"text": "caf\xe9"}',
            "not utf-8: byte 0xe9 at position 13; name the right one, such as --encoding latin-1",
        ),
        (
            b'{"text": ' + b"[" * 100_000,
            "not readable as JSON: lists or objects are nested too deeply",
        ),
    ],
)
def test_bad_lines_say_why_and_the_next_line_is_read(tmp_path, line, expected):
    bad, good = read(tmp_path, line + b'\n{"text": "good"}\n')
    assert isinstance(bad, BadRecord)
    assert (bad.line, bad.reason) == (1, expected)
    assert isinstance(good, Record)
    assert good.text == "good"


def test_keys_of_a_record_without_text_are_listed_up_to_ten(tmp_path):
    record = {f"k{i}": i for i in range(12)}
    assert '"k9")' in reason(tmp_path, json.dumps(record).encode())


def test_latin_1_read_as_utf_8_fails_line_by_line_and_as_latin_1_is_read(tmp_path):
    data = "plain\ncafé\n".encode("latin-1")
    good, bad = read(tmp_path, data, "txt")
    assert good.text == "plain"
    assert bad.reason.startswith("not utf-8: byte 0xe9 at position 3")
    assert bad.raw == "caf\\xe9"
    assert [r.text for r in read(tmp_path, data, "txt", encoding="iso8859-1")] == ["plain", "café"]


# -- error records ---------------------------------------------------------------------


def test_error_record_is_ascii_and_cut(tmp_path):
    (bad,) = read(tmp_path, b'["\xff\x00\xc3\xa9' + b"x" * 10_000)
    line = bad.to_json()
    assert line.isascii()
    error = json.loads(line)
    assert list(error) == ["file", "line", "reason", "record"]
    assert error["record"].startswith('["\\xff\x00é')
    assert len(error["record"]) == ERROR_RECORD_CHARS


def test_failed_record_keeps_what_was_read():
    assert Record("f", 3, "a", '{"text": "a"}', 9).failed("why") == BadRecord(
        "f", 3, "why", '{"text": "a"}', 9
    )
    assert Record("f", 3, "a", None, 9).failed("why").raw == "a"


# -- checks before any work ------------------------------------------------------------


def test_sources_take_their_format_from_the_suffix(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.JSONL", "b.txt", "c.log"):
        (tmp_path / name).touch()
    assert find_sources(["a.JSONL", "b.txt", "-"]) == [
        Source("a.JSONL", "jsonl"),
        Source("b.txt", "txt"),
        Source("-", "jsonl"),
    ]
    assert find_sources(["c.log", "-"], "txt") == [Source("c.log", "txt"), Source("-", "txt")]


def test_sources_that_cannot_be_read_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.log").touch()
    with pytest.raises(ConfigError, match="no input: give at least one"):
        find_sources([])
    with pytest.raises(ConfigError, match=r"input missing.txt cannot be read: No such file"):
        find_sources(["missing.txt"])
    with pytest.raises(ConfigError, match=r"holds no file with a suffix of .jsonl"):
        find_sources([tmp_path])
    with pytest.raises(
        ConfigError, match=r"the format of input c.log is unknown: allowed suffixes"
    ):
        find_sources(["c.log"])
    with pytest.raises(ConfigError, match="input - is given 2 times"):
        find_sources(["-", "-"])
    with pytest.raises(ConfigError, match="--input-format is xml: allowed are jsonl, txt, txt-f"):
        find_sources(["-"], "xml")
    with pytest.raises(ConfigError, match="parquet cannot be read from standard input"):
        find_sources(["-"], "parquet")
    with pytest.raises(ConfigError, match=r"no file matches \*.csv: list what is there"):
        find_sources(["*.csv"])


@pytest.mark.parametrize(
    ("given", "name"),
    [("UTF8", "utf-8"), ("utf-8-sig", "utf-8"), ("latin-1", "iso8859-1"), ("gbk", "gbk")],
)
def test_encodings(given, name):
    assert line_encoding(given) == name


@pytest.mark.parametrize("name", ["klingon", "rot13", "base64", "a\0b"])
def test_unknown_encodings_are_refused(name):
    with pytest.raises(ConfigError, match="is unknown: allowed are Python's names"):
        line_encoding(name)


@pytest.mark.parametrize("name", ["utf-16", "utf-16-le", "utf-32", "cp037"])
def test_encodings_with_other_line_ends_are_refused(name):
    with pytest.raises(ConfigError, match=r"does not end lines with the byte 0x0A.*iconv"):
        line_encoding(name)


def test_text_key_that_the_output_needs_is_refused():
    check_sources([], JobOptions(text_key="body"), ("senses",))
    with pytest.raises(ConfigError, match="--text-key is senses: each output line gets"):
        check_sources([], JobOptions(text_key="senses"), ("senses",))


def test_total_bytes(tmp_path):
    one, two = tmp_path / "a.txt", tmp_path / "b.txt"
    one.write_bytes(b"12345")
    two.write_bytes(b"678")
    assert total_bytes(find_sources([one, two])) == 8
    assert total_bytes(find_sources([one, "-"])) is None
    os.mkfifo(tmp_path / "pipe")
    assert total_bytes([Source(str(tmp_path / "pipe"), "txt")]) is None


def test_stdin_is_read_as_bytes_and_left_open(monkeypatch):
    stream = io.BytesIO(b'{"text": "caf\xc3\xa9"}\n')
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=stream))
    (record,) = read_records(Source("-", "jsonl"), JobOptions())
    assert record.text == "café"
    assert not stream.closed


def test_compressed_bytes_without_a_name_that_says_so_are_refused(tmp_path, monkeypatch):
    packed = gzip.compress(b'{"text": "bat"}\n')
    stdin = SimpleNamespace(buffer=io.BufferedReader(io.BytesIO(packed)))
    monkeypatch.setattr("sys.stdin", stdin)
    with pytest.raises(ConfigError, match=r"^standard input is compressed; unpack .*: gunzip -c"):
        list(read_records(Source("-", "jsonl"), JobOptions()))
    path = tmp_path / "a b.jsonl"
    path.write_bytes(packed)
    with pytest.raises(ConfigError, match=r"or unpack it with gunzip -c '.*/a b\.jsonl' > OUT$"):
        check_sources([Source(str(path), "jsonl")], JobOptions(), ["senses"])
