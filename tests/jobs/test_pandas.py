"""A pandas frame in, the same frame with more columns out."""

from __future__ import annotations

import numpy as np
import pytest

from spacy_attn.errors import ConfigError
from spacy_attn.jobs import Annotator, annotate_frame, senses_frame
from tests.jobs.toy import SENSES, TOY

pd = pytest.importorskip("pandas")


def test_frame_keeps_its_index_and_columns():
    anything = object()
    frame = pd.DataFrame(
        {"text": ["bat", None, "explode", float("nan")], "x": [1, "two", anything, pd.NA]},
        index=["d", "c", "b", "b"],
    )
    result = annotate_frame(frame, TOY)
    pd.testing.assert_frame_equal(result[["text", "x"]], frame)
    assert result["senses"].tolist() == [SENSES, None, None, None]
    assert result["error"].tolist() == [
        None,
        "the text is not a string but of type NoneType",
        "the pipeline failed: ValueError: boom",
        "the text is not a string but of type NoneType",
    ]
    assert list(frame.columns) == ["text", "x"]


def test_other_text_column_and_no_rows():
    frame = pd.DataFrame({"body": pd.Series([], dtype="string")})
    result = annotate_frame(frame, TOY, text_column="body")
    assert list(result.columns) == ["body", "senses", "error"]
    assert len(result) == 0


def test_wrong_frames_are_refused():
    with pytest.raises(ConfigError, match=r"no single column 'text' \(columns: a\)"):
        annotate_frame(pd.DataFrame({"a": [1]}), TOY)
    with pytest.raises(ConfigError, match="the frame has a column 'senses' already"):
        annotate_frame(pd.DataFrame({"text": ["x"], "senses": [1]}), TOY)
    with pytest.raises(ConfigError, match="an annotator or its settings, not both"):
        annotate_frame(pd.DataFrame({"text": ["x"]}), TOY, fields="stems")


@pytest.mark.parametrize("texts", [pd.Series(["bat"]), ["bat"]])
def test_what_is_no_frame_is_refused(texts):
    with pytest.raises(ConfigError, match=r"of type (Series|list): allowed is a DataFrame with a"):
        annotate_frame(texts, TOY)
    with pytest.raises(ConfigError, match=r"such as pd\.DataFrame\(\{'text': texts\}\)$"):
        senses_frame(texts, method="lesk")


def test_fields_by_name():
    frame = annotate_frame(pd.DataFrame({"text": ["flying bats"]}), fields="stems")
    assert [item["stem"] for item in frame["stems"][0]] == ["fli", "bat"]


def test_odd_cells_are_errors_of_their_rows():
    cells = ["bat", pd.NA, pd.NaT, 7, 1.5, "\ud800", ["bat"], np.array([1, 2]), b"bat", "bat"]
    result = annotate_frame(pd.DataFrame({"text": pd.Series(cells, dtype=object)}), TOY)
    assert result["senses"].tolist() == [SENSES, *[None] * 8, SENSES]
    assert result["error"][5] == "lone surrogate U+D800 at character 0: it is no character"
    assert all(isinstance(reason, str) for reason in result["error"][1:9])


def test_a_row_for_each_sense():
    texts = ["a bat and a bat", "nothing", None, "the plant"]
    frame = pd.DataFrame({"year": [1990, 2000, 2010, 2020], "text": texts}, index=list("abcd"))
    found = senses_frame(frame, method="lesk")
    assert list(found.columns) == [
        "year",
        "text",
        "start",
        "end",
        "word",
        "lemma",
        "sense",
        "score",
        "definition",
        "error",
    ]
    assert found.index.tolist() == ["a", "a", "c", "d"]
    assert found["year"].tolist() == [1990, 1990, 2010, 2020]
    assert found["word"].tolist() == ["bat", "bat", None, "plant"]
    assert found["start"].tolist() == [2, 12, pd.NA, 4]
    assert found["error"].notna().tolist() == [False, False, True, False]
    assert found["sense"].str.startswith(("bat.", "plant.")).tolist() == [True, True, None, True]
    assert found["definition"].str.len().dropna().min() > 10
    assert found["score"].dropna().between(0, 1).all()
    assert found["text"].tolist() == [texts[0], texts[0], None, texts[3]]


def test_no_senses_and_wrong_settings():
    found = senses_frame(pd.DataFrame({"text": ["nothing"]}), method="lesk")
    assert (len(found), found["start"].dtype, found["score"].dtype) == (0, "Int64", "float64")
    with pytest.raises(ConfigError, match="an annotator with the field sense_details"):
        senses_frame(pd.DataFrame({"text": ["x"]}), Annotator())
    with pytest.raises(ConfigError, match="the frame has a column 'word' already"):
        senses_frame(pd.DataFrame({"text": ["x"], "word": [1]}), method="lesk")
