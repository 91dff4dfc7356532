from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span, SpanGroup, Token
from spacy.tokens.underscore import Underscore
from spacy.vocab import Vocab

import spacy_attn
from spacy_attn.components import extensions
from spacy_attn.components.extensions import (
    WritesNames,
    filter_senses,
    install_extensions,
    install_sense_extensions,
    install_vector_extensions,
    refuse_shared_names,
    set_vectors,
    token_vectors,
)
from spacy_attn.errors import ConfigError, ResourceError
from spacy_attn.wsd.annotation import SenseAnnotation


@pytest.fixture(autouse=True)
def own_attributes(monkeypatch):
    """Extensions are global; each test starts without any."""
    for owner in ("doc", "span", "token"):
        monkeypatch.setattr(Underscore, f"{owner}_extensions", {})


@pytest.fixture
def doc():
    return Doc(spacy.blank("en").vocab, words=["the", "river", "bank", "flew"])


def rows(n):
    return np.arange(n * 3, dtype=np.float32).reshape(n, 3)


def installed():
    return {
        "doc": set(Underscore.doc_extensions),
        "span": set(Underscore.span_extensions),
        "token": set(Underscore.token_extensions),
    }


# -- names -----------------------------------------------------------------------------------------


def test_the_attributes_by_name():
    install_extensions()
    assert installed() == {
        "doc": {"attn_vectors", "attn_vector", "attn_model", "relations"},
        "span": {"attn_vector", "sense", "parse_tree", "parse_status", "parse_details"},
        "token": {"attn_lemma", "attn_vector", "sense", "stem"},
    }


def test_other_names():
    install_extensions(
        attn_vectors="a",
        attn_vector="b",
        attn_model="c",
        word2vec="d",
        sense="e",
        spans_key="f",
        stem="g",
        parse_tree="h",
        parse_status="i",
        parse_details="j",
        relations="k",
        attn_lemma="l",
    )
    assert installed() == {
        "doc": {"a", "b", "c", "k"},
        "span": {"b", "e", "h", "i", "j"},
        "token": {"b", "e", "g", "l"},
    }


def test_importing_the_package_installs_nothing():
    assert spacy_attn.install_extensions is install_extensions
    assert installed() == {"doc": set(), "span": set(), "token": set()}


def test_any_number_of_times():
    install_extensions()
    before = Underscore.get_state()
    install_extensions()
    assert Underscore.get_state() == before


def test_the_same_name_for_another_array_is_refused():
    install_vector_extensions("a", "vector", "model")
    with pytest.raises(ConfigError, match=r"Token\._\.vector already exists .* token_attr = '\.\."):
        install_vector_extensions("b", "vector", "model")


def test_the_same_name_for_another_span_group_is_refused():
    install_sense_extensions("sense", "one")
    with pytest.raises(ConfigError, match=r"Token\._\.sense already exists and was not made by"):
        install_sense_extensions("sense", "two")


@pytest.mark.parametrize("name", ["", "two words", "1st", "a-b", "has", "get", "set"])
def test_what_cannot_be_an_attribute_is_refused(name):
    with pytest.raises(ConfigError, match=f"model_attr = '{name}' cannot be an attribute name"):
        install_vector_extensions("vectors", "vector", name)
    assert installed() == {"doc": set(), "span": set(), "token": set()}


@pytest.mark.parametrize("owner", [Token, Span])
def test_an_attribute_of_somebody_else_is_kept(owner):
    owner.set_extension("sense", default="common")
    with pytest.raises(ConfigError, match=rf"{owner.__name__}\._\.sense already exists"):
        install_sense_extensions("sense", "senses")
    assert owner.get_extension("sense") == ("common", None, None, None)


def test_attributes_can_be_sent_to_another_process():
    install_extensions()
    state = Underscore.get_state()
    assert len(pickle.loads(pickle.dumps(state))) == len(state)  # noqa: S301  our own bytes


# -- names of several components -------------------------------------------------------------------


class Writer:
    def __init__(self, **written_names):
        self.written_names = written_names

    def __call__(self, doc):
        return doc


@Language.factory("test_writer")
def make_writer(nlp, name):
    return Writer(attr="token._.stem", spans_key="doc.spans['chunks']")


@Language.component("test_silent")
def silent(doc):
    return doc


@pytest.fixture
def nlp():
    nlp = spacy.blank("en")
    nlp.add_pipe("test_silent")
    nlp.add_pipe("test_writer")
    return nlp


def test_components_with_names_of_their_own_are_welcome(nlp):
    assert isinstance(nlp.get_pipe("test_writer"), WritesNames)
    assert not isinstance(nlp.get_pipe("test_silent"), WritesNames)
    assert refuse_shared_names(nlp, "new", {"attr": "doc._.stem", "other": "token._.stems"}) is None
    assert refuse_shared_names(nlp, "new", {}) is None


@pytest.mark.parametrize("is_disabled", [False, True])
def test_a_name_that_another_component_writes_is_refused(nlp, is_disabled):
    if is_disabled:
        nlp.disable_pipe("test_writer")
    message = (
        r"'new' would write token\._\.stem, which 'test_writer' of this pipeline writes; "
        r"give it another name with token_attr = '\.\.\.' in its config"
    )
    with pytest.raises(ConfigError, match=message):
        refuse_shared_names(nlp, "new", {"attr": "doc._.x", "token_attr": "token._.stem"})


# -- vectors ---------------------------------------------------------------------------------------


def test_no_vectors_yet(doc):
    install_extensions()
    assert doc._.attn_vectors is None
    assert doc._.attn_model is None
    assert doc[0]._.attn_vector is None
    assert token_vectors(doc, "attn_vectors") is None


def test_vectors_of_spans_and_docs_are_means(doc):
    install_extensions()
    assert doc._.attn_vector is None
    assert doc[1:3]._.attn_vector is None
    set_vectors(doc, "attn_vectors", rows(4))
    np.testing.assert_allclose(doc[1:3]._.attn_vector, (rows(4)[1] + rows(4)[2]) / 2)
    np.testing.assert_allclose(doc._.attn_vector, sum(rows(4)) / 4)
    assert doc[2:2]._.attn_vector is None


def test_one_name_for_all_vectors_stays_allowed(doc):
    install_vector_extensions("vec", "vec", "model")
    set_vectors(doc, "vec", rows(4))
    np.testing.assert_array_equal(doc._.vec, rows(4))
    np.testing.assert_array_equal(doc[1]._.vec, rows(4)[1])
    np.testing.assert_allclose(doc[0:2]._.vec, (rows(4)[0] + rows(4)[1]) / 2)


def test_a_sense_prints_as_one_line():
    ranked = (("bat.animal", 0.7049), ("bat.club", 0.1), ("c", 0.05), ("d", 0.01))
    sense = SenseAnnotation("bat.animal", "bat", "x" * 500, 0.7049, 0.6, ranked, "attention")
    assert repr(sense) == (
        "SenseAnnotation('bat.animal' 0.70, attention: bat.animal 0.70, bat.club 0.10, c 0.05, ...)"
    )


def test_stored_vectors_are_read_by_token(doc):
    install_extensions()
    set_vectors(doc, "attn_vectors", rows(4))
    np.testing.assert_array_equal(doc._.attn_vectors, rows(4))
    np.testing.assert_array_equal([token._.attn_vector for token in doc], rows(4))


def test_attributes_can_be_set(doc):
    install_extensions()
    doc._.attn_vectors = rows(4)
    doc._.attn_model = "mine"
    np.testing.assert_array_equal(token_vectors(doc, "attn_vectors"), rows(4))
    assert doc._.attn_model == "mine"


@pytest.mark.parametrize("n", [0, 3, 5])
def test_an_array_of_another_length_is_stale(doc, n):
    install_extensions()
    doc._.attn_vectors = rows(n)
    assert doc._.attn_vectors is None
    assert doc[3]._.attn_vector is None


def test_vectors_survive_bytes(doc):
    install_extensions()
    doc._.attn_vectors, doc._.attn_model = rows(4).astype(np.float16), "mine"
    back = Doc(doc.vocab).from_bytes(doc.to_bytes())
    np.testing.assert_array_equal(back._.attn_vectors, rows(4))
    assert back._.attn_vectors.dtype == np.float16
    assert back._.attn_model == "mine"


# -- senses ----------------------------------------------------------------------------------------


def record(doc, start, end, sense):
    return {
        "start": doc[start].idx,
        "end": doc[end - 1].idx + len(doc[end - 1]),
        "sense": sense,
        "lemma": "bank",
        "definition": "d",
        "score": 0.75,
        "margin": 0.5,
        "ranked": [sense, "other"],
        "probabilities": [0.75, 0.25],
        "method": "test",
    }


def annotate(doc, *decisions, key="senses"):
    spans = [Span(doc, start, end, kb_id=sense) for start, end, sense in decisions]
    records = [record(doc, *decision) for decision in decisions]
    doc.spans[key] = SpanGroup(doc, name=key, spans=spans, attrs={"records": records})


def ids(items):
    return [item._.sense and item._.sense.id for item in items]


def test_no_senses_yet(doc):
    install_extensions()
    assert ids(doc) == [None] * 4
    assert doc[1:3]._.sense is None
    doc.spans["senses"] = [doc[1:3]]  # somebody else's group has no records
    assert ids(doc) == [None] * 4


def test_the_longest_sense_at_a_token(doc):
    install_extensions()
    annotate(doc, (1, 3, "river_bank"), (2, 3, "bank.river"), (3, 4, "flew"))
    assert ids(doc) == [None, "river_bank", "river_bank", "flew"]


def test_a_span_has_the_sense_of_its_characters(doc):
    install_extensions()
    annotate(doc, (1, 3, "river_bank"), (2, 3, "bank.river"))
    spans = [doc[1:3], doc[2:3], doc[1:2], doc[0:3], doc[2:4]]
    assert ids(spans) == ["river_bank", "bank.river", None, None, None]
    assert ids(doc.spans["senses"]) == ["river_bank", "bank.river"]


def test_tokens_that_touch_a_sense_do_not_have_it():
    install_extensions()
    doc = Doc(spacy.blank("en").vocab, words=["(", "bank", ")"], spaces=[False] * 3)
    annotate(doc, (1, 2, "bank.river"))
    assert ids(doc) == [None, "bank.river", None]


def test_the_annotation_holds_what_was_decided(doc):
    install_extensions()
    annotate(doc, (2, 3, "bank.river"))
    sense = doc[2]._.sense
    assert (sense.lemma, sense.score, sense.margin) == ("bank", 0.75, 0.5)
    assert [tuple(pair) for pair in sense.ranked] == [("bank.river", 0.75), ("other", 0.25)]


def test_senses_follow_the_characters_of_merged_tokens(doc):
    install_extensions()
    annotate(doc, (2, 3, "bank.river"))
    with doc.retokenize() as retokenizer:
        retokenizer.merge(doc[0:2])
    assert [token.text for token in doc] == ["the river", "bank", "flew"]
    assert ids(doc) == [None, "bank.river", None]


def test_another_span_group(doc):
    install_sense_extensions("sense", "mine")
    annotate(doc, (0, 1, "wrong"))
    annotate(doc, (2, 3, "bank.river"), key="mine")
    assert ids(doc) == [None, None, "bank.river", None]


# -- groups that spaCy or a user has built anew --------------------------------------------------


def test_a_group_of_a_list_keeps_the_ids(doc):
    install_extensions()
    annotate(doc, (1, 3, "river_bank%1:17:00::"), (3, 4, "fly"))
    doc.spans["senses"] = [span for span in doc.spans["senses"] if span.kb_id_ != "fly"]
    assert ids(doc) == [None, "river_bank%1:17:00::", "river_bank%1:17:00::", None]
    sense = doc[1:3]._.sense
    assert (sense.lemma, sense.definition, sense.ranked) == ("river bank", "", ())
    assert math.isnan(sense.score)
    assert ids(doc.spans["senses"]) == ["river_bank%1:17:00::"]


def test_a_span_that_was_added_has_its_own_id_and_the_others_keep_all(doc):
    install_extensions()
    annotate(doc, (2, 3, "bank.river"))
    doc.spans["senses"].append(Span(doc, 0, 1, kb_id="the.article"))
    doc.spans["senses"].append(doc[3:4])  # somebody else's
    assert ids(doc) == ["the.article", None, "bank.river", None]
    assert doc[2]._.sense.score == 0.75
    filter_senses(doc, lambda span: True)
    assert ids(doc) == ["the.article", None, "bank.river", None]
    assert doc[2]._.sense.score == 0.75


def test_joined_docs_have_all_senses(doc):
    install_extensions()
    annotate(doc, (2, 3, "bank.river"))
    other = doc.copy()
    annotate(other, (2, 3, "bank.money"), (3, 4, "fly"))
    joined = Doc.from_docs([doc, other])
    assert ids(joined) == [None, None, "bank.river", None, None, None, "bank.money", "fly"]


def test_json_keeps_the_ids(doc):
    install_extensions()
    annotate(doc, (2, 3, "bank.river"))
    again = Doc(doc.vocab).from_json(doc.to_json())
    assert ids(again) == [None, None, "bank.river", None]


def test_a_group_with_a_span_without_an_id_is_read_once(doc, monkeypatch):
    install_extensions()
    annotate(doc, (2, 3, "bank.river"))
    doc.spans["senses"].append(doc[0:1])
    before = [token._.sense for token in doc]
    monkeypatch.setattr(extensions, "_place", None)  # each look would take the whole group
    assert [token._.sense for token in doc] == before
    assert any(before)


def test_spans_without_an_id_are_no_senses(doc):
    install_extensions()
    annotate(doc, (2, 3, "bank.river"))
    doc.spans["senses"] = [doc[0:1], *doc.spans["senses"]]
    assert ids(doc) == [None, None, "bank.river", None]


def test_filtered_senses_keep_all_that_is_known(doc):
    install_extensions()
    annotate(doc, (1, 3, "river_bank"), (3, 4, "fly"))
    filter_senses(doc, lambda span: span._.sense.id == "fly")
    assert ids(doc) == [None, None, None, "fly"]
    assert doc[3]._.sense.score == 0.75
    again = Doc(doc.vocab).from_bytes(doc.to_bytes())
    assert again[3]._.sense == doc[3]._.sense
    assert again.spans["senses"].attrs["scores"] == [0.75]
    filter_senses(doc, lambda span: False)
    assert ids(doc) == [None] * 4
    filter_senses(doc, lambda span: True, "others")  # nothing is there, nothing is written
    assert "others" not in doc.spans


HOSTILE = (7, "x", b"x", [1], ["a", {}], {"a": 1}, [{"start": "x"}], [{"start": 0, "end": 3}])


@pytest.mark.parametrize("value", HOSTILE, ids=repr)
def test_what_others_wrote_under_our_names_is_one_sentence(value):
    """As in a DocBin that comes from anywhere."""
    spacy_attn.install_extensions()
    doc = Doc(Vocab(), words=["The", "bat"])
    doc.spans["senses"] = SpanGroup(
        doc, spans=[doc[1:2]] * len(value) if isinstance(value, list) else [doc[1:2]]
    )
    doc.spans["senses"].attrs["records"] = value
    for name in ("attn_vectors", "stem", "relations"):
        doc.user_data[extensions._key(name)] = value
    said = []
    for owner, name in (
        (doc[1], "sense"),
        (doc[1:2], "sense"),
        (doc[1], "stem"),
        (doc[1], "attn_vector"),
        (doc[0:1], "attn_vector"),
        (doc, "relations"),
    ):
        try:
            getattr(owner._, name)
        except ResourceError as error:
            said.append(str(error))
    assert said
    for sentence in said:
        assert "this Doc holds something that spacy_attn did not write" in sentence
        assert "\n" not in sentence
