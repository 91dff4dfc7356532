"""What a job writes for each text, with the real pipeline; the declared schema is what comes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import spacy
from spacy.tokens import Span

from spacy_attn.errors import ConfigError
from spacy_attn.jobs import Annotator
from spacy_attn.jobs.arrow import field_array
from spacy_attn.jobs.fields import FIELDS, parse_fields, read_senses
from tests.jobs.toy import SENSES, TOY, sense

TEXT = "Anna Kovac sold her bat in Lisbon."


@pytest.fixture(scope="module")
def every_field():
    return Annotator(fields=tuple(FIELDS), method="lesk")


@pytest.fixture(scope="module")
def table(every_field):
    return every_field.annotate_table(pa.table({"id": [7, 8], "text": [TEXT, ""]}))


def test_the_schema_is_declared(every_field, table):
    declared = every_field.output_schema(pa.schema([("id", pa.int64()), ("text", pa.string())]))
    assert table.schema.equals(declared)
    assert declared.names == ["id", "text", *FIELDS, "error"]
    vector = declared.field("vectors").type.value_type
    assert pa.types.is_fixed_size_list(vector)
    assert vector.list_size == 384
    assert table.column("error").to_pylist() == [None, None]


def test_places_are_characters_of_the_text(table):
    row, empty = table.to_pylist()
    for name in ("senses", "entities", "stems", "chunks", "tokens"):
        assert row[name], name
        for item in row[name]:
            assert TEXT[item["start"] : item["end"]] == item["text"], name
        assert empty[name] == []
    assert [item["text"] for item in row["senses"]] == ["bat"]
    assert ("Lisbon", "GPE") in [(item["text"], item["label"]) for item in row["entities"]]
    assert "her bat" in [item["text"] for item in row["chunks"]]
    assert row["stems"][2] == {"start": 11, "end": 15, "text": "sold", "stem": "sold"}
    assert row["tokens"][2] == {
        "start": 11,
        "end": 15,
        "text": "sold",
        "lemma": "sell",
        "tag": "VBD",
    }
    sold = next(r for r in row["relations"] if r["relation"].startswith("sell"))
    assert (sold["subject"]["text"], sold["negated"]) == ("Anna Kovac", False)


def test_vectors_are_those_of_the_tokens(every_field, table):
    row = table.column("vectors")[0].as_py()
    doc = every_field.load()(TEXT)
    np.testing.assert_allclose(row, doc._.attn_vectors, atol=1e-5)
    assert len(row) == len(doc)
    assert table.column("vectors")[1].as_py() == []


def test_vectors_with_nulls_between():
    rows = [np.ones((2, 3), np.float32), None, np.zeros((0, 3), np.float32)]
    array = field_array("vectors", rows, 3)
    assert array.to_pylist() == [[[1.0] * 3] * 2, None, []]
    assert field_array("vectors", [], 3).to_pylist() == []


def test_table_keeps_its_columns_and_says_why_a_row_failed():
    table = pa.table({"text": ["bat", "explode", None], "x": [[1], [], None]})
    result = TOY.annotate_table(table)
    assert result.select(["text", "x"]).equals(table)
    assert result.column("senses").to_pylist() == [SENSES, None, None]
    assert result.column("error").to_pylist() == [
        None,
        "the pipeline failed: ValueError: boom",
        "the text is not a string but of type NoneType",
    ]
    assert TOY.annotate_table(table.slice(0, 0)).num_rows == 0


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), "utf8")])
def test_text_columns_of_all_kinds(kind):
    table = pa.table({"body": pa.chunked_array([["bat"], ["a bat"]], pa.string()).cast(kind)})
    result = TOY.annotate_table(table, "body")
    assert result.column("senses").to_pylist() == [SENSES, [sense(2)]]


def test_wrong_tables_are_refused():
    with pytest.raises(ConfigError, match=r"no single column 'text' \(columns: a\)"):
        TOY.annotate_table(pa.table({"a": [1]}))
    with pytest.raises(ConfigError, match="there is a column 'error' already"):
        TOY.annotate_table(pa.table({"text": ["x"], "error": [1]}))


def test_names_of_fields():
    assert parse_fields("senses, stems,senses") == ("senses", "stems")
    with pytest.raises(ConfigError, match="--fields has '': allowed are senses, sense_details, "):
        parse_fields("")
    with pytest.raises(ConfigError, match="--fields has 'sense': allowed are"):
        parse_fields("sense")


def test_fields_that_the_pipeline_cannot_write_are_refused():
    blank = Annotator("blank:en", fields=("entities",))
    with pytest.raises(ConfigError, match=r"the field entities needs a component"):
        blank.load()


def test_stems_need_no_model():
    nlp = Annotator(fields=("stems",)).load()
    assert nlp.pipe_names == ["nltk_stemmer"]


def test_cells_that_are_no_text_are_errors_of_their_rows():
    numbers = TOY.annotate_table(pa.table({"text": [1, None, 3]}))
    assert numbers.column("error").to_pylist() == [
        "the text is not a string but of type int",
        "the text is not a string but of type NoneType",
        "the text is not a string but of type int",
    ]
    raw = pa.array([b"bat", b"\xff", b"bat"])
    text = pa.Array.from_buffers(pa.string(), 3, raw.buffers())
    table = TOY.annotate_table(pa.table({"text": text}))
    assert table.column("senses").to_pylist() == [SENSES, None, SENSES]
    assert "not a string but of type bytes" in table.column("error").to_pylist()[1]


def test_strings_of_other_libraries():
    view = pa.array(["bat", None, "a bat"], pa.string_view())  # as polars gives it
    assert TOY.annotate_table(pa.table({"text": view})).column("senses").to_pylist() == [
        SENSES,
        None,
        [sense(2)],
    ]


def test_senses_of_a_group_that_was_built_anew_have_no_score():
    nlp = spacy.blank("en")
    doc = nlp("the bat flew")
    doc.spans["senses"] = [Span(doc, 1, 2, kb_id="bat.animal")]
    (found,) = read_senses(doc, doc.text, "senses")
    assert (found["sense"], found["text"], found["score"]) == ("bat.animal", "bat", None)


def test_details_are_the_definition_and_the_runners_up(table):
    row, _ = table.to_pylist()
    (plain,), (detailed,) = row["senses"], row["sense_details"]
    definition, others = detailed.pop("definition"), detailed.pop("runners_up")
    assert detailed == plain
    assert len(definition) > 20
    assert plain["sense"] not in [other["sense"] for other in others]
    assert all(0 <= other["score"] <= plain["score"] for other in others)
    assert 0 < plain["score"] + sum(other["score"] for other in others) <= 1
