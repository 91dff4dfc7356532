from __future__ import annotations

import pickle
from functools import partial

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc

from spacy_attn.components.hooks import install_hooks, refuse_worker_process, restore_hooks
from spacy_attn.errors import ConfigError

TABLE = np.array([[3, 4, 0], [0, 0, 0], [1, -2, 2], [-3, -4, 0]], dtype=np.float32)


def read_table(doc, table):
    return None if table is None else np.asarray(table, dtype=np.float32)


@pytest.fixture
def nlp():
    return spacy.blank("en")


@pytest.fixture
def doc(nlp):
    doc = Doc(nlp.vocab, words=["a", "b", "c", "d"])
    install_hooks(doc, partial(read_table, table=TABLE))
    return doc


def cosine(one, two):
    """The oracle: float64 and another order of operations."""
    one, two = np.float64(one), np.float64(two)
    return (one / np.sqrt(np.sum(one**2)) * (two / np.sqrt(np.sum(two**2)))).sum()


def test_vectors_are_means_of_token_rows(doc):
    np.testing.assert_array_equal(doc[2].vector, [1, -2, 2])
    np.testing.assert_allclose(doc[1:3].vector, [0.5, -1, 1])
    np.testing.assert_allclose(doc.vector, [0.25, -0.5, 0.5])
    assert doc.vector.dtype == np.float32


def test_norms(doc):
    assert doc[0].vector_norm == pytest.approx(5.0)
    assert doc[2].vector_norm == pytest.approx(3.0)
    assert doc[1:3].vector_norm == pytest.approx(1.5)  # no hook of ours: see install_hooks
    assert doc.vector_norm == pytest.approx(0.75)


def test_has_vector_is_true_where_a_row_is_not_zero(doc):
    assert [token.has_vector for token in doc] == [True, False, True, True]
    assert doc.has_vector
    assert doc[0:2].has_vector
    assert not doc[1:2].has_vector


def test_similarity_is_the_cosine(doc):
    owners = [doc, doc[0], doc[2], doc[3], doc[1:3], doc[0:2]]
    for one in owners:
        for two in owners:
            expected = cosine(one.vector, two.vector)
            assert one.similarity(two) == pytest.approx(expected, abs=1e-6)
    assert doc[0].similarity(doc[3]) == pytest.approx(-1.0)
    assert doc[0].similarity(doc[0]) == pytest.approx(1.0)


def test_similarity_with_a_zero_vector_is_zero(doc):
    assert doc[1].similarity(doc[0]) == 0.0
    assert doc[0].similarity(doc[1]) == 0.0
    assert doc[1].similarity(doc[1]) == 0.0


def test_similarity_of_two_docs(nlp, doc):
    other = Doc(nlp.vocab, words=["x"])
    install_hooks(other, partial(read_table, table=[[1, 1, 1]]))
    assert doc.similarity(other) == pytest.approx(cosine([1, -2, 2], [1, 1, 1]), abs=1e-6)


def test_similarity_with_vectors_of_another_length_is_refused(nlp, doc):
    other = Doc(nlp.vocab, words=["x"])
    install_hooks(other, partial(read_table, table=[[1, 1]]))
    with pytest.raises(ConfigError, match=r"lengths 3 and 2 and cannot be compared.*restore_hooks"):
        doc.similarity(other)


def test_no_vectors(nlp, doc):
    install_hooks(doc, partial(read_table, table=None))
    assert doc.vector.shape == doc[0].vector.shape == doc[0:2].vector.shape == (0,)
    assert not doc.has_vector
    assert not doc[0].has_vector
    assert doc.vector_norm == doc[0].vector_norm == 0.0
    assert doc.similarity(doc) == 0.0


def test_empty_doc_has_a_zero_vector(nlp):
    doc = Doc(nlp.vocab)
    install_hooks(doc, partial(read_table, table=np.zeros((0, 3))))
    np.testing.assert_array_equal(doc.vector, [0, 0, 0])
    assert not doc.has_vector
    assert doc.similarity(doc) == 0.0


def test_other_hooks_of_the_user_stay(nlp):
    doc = Doc(nlp.vocab, words=["a", "b"])
    doc.user_hooks["sents"] = list
    install_hooks(doc, partial(read_table, table=TABLE[:2]))
    assert list(doc.sents) == list(doc)


def test_a_later_call_replaces_all_hooks(doc):
    doc.user_span_hooks["vector_norm"] = len  # with it, spaCy would call the vector hook
    install_hooks(doc, partial(read_table, table=2 * TABLE))
    assert doc[0].vector_norm == pytest.approx(10.0)
    assert doc[1:3].vector_norm == pytest.approx(3.0)
    np.testing.assert_allclose(doc.vector, [0.5, -1, 1])


def test_span_vectors_are_asked_for_the_tokens_needed_alone(nlp):
    doc = Doc(nlp.vocab, words=["a", "b", "c", "d"])
    asked = []

    def rows(doc, start, end):
        asked.append((start, end))
        return TABLE[start:end]

    install_hooks(doc, partial(read_table, table=None), span_vectors=rows)
    np.testing.assert_array_equal(doc[2].vector, TABLE[2])
    np.testing.assert_allclose(doc[1:3].vector, [0.5, -1, 1])
    assert asked == [(2, 3), (1, 3)]


def test_hooks_live_through_pickle_and_copy(doc):
    again = pickle.loads(pickle.dumps(doc))  # noqa: S301  made one line above
    np.testing.assert_array_equal(again.vector, doc.vector)
    np.testing.assert_array_equal(doc.copy().vector, doc.vector)


class Hooked:
    """What a component of ours looks like to restore_hooks."""

    def __init__(self, hooks, factor=1):
        self.hooks = hooks
        self.factor = factor

    def set_hooks(self, doc):
        install_hooks(doc, partial(read_table, table=self.factor * TABLE))


def pipeline_of(monkeypatch, nlp, **components):
    monkeypatch.setattr(type(nlp), "pipeline", list(components.items()))
    return nlp


def test_restore_hooks_asks_those_with_hooks(monkeypatch, nlp, doc):
    nlp = pipeline_of(
        monkeypatch, nlp, no=len, one=Hooked(True), two=Hooked(True, 3), off=Hooked(False, 9)
    )
    again = Doc(nlp.vocab).from_bytes(doc.to_bytes(exclude=["user_hooks"]))
    assert again.user_hooks == {}
    restore_hooks(again, nlp)
    np.testing.assert_allclose(again.vector, 3 * doc.vector)


def test_restore_hooks_without_any_is_refused(monkeypatch, nlp, doc):
    nlp = pipeline_of(monkeypatch, nlp, off=Hooked(False))
    with pytest.raises(ConfigError, match=r"\['off'\] has hooks = true; add one, .*'hooks': True"):
        restore_hooks(doc, nlp)


@pytest.mark.slow
def test_worker_process_is_none_of_the_users_own_children(monkeypatch):
    """A child that runs a whole pipeline of its own keeps its hooks; see also test_word2vec."""
    monkeypatch.setattr("multiprocessing.parent_process", lambda: object())
    assert refuse_worker_process("word2vec") is None

    def _apply_pipes():
        refuse_worker_process("word2vec")

    _apply_pipes()  # the name alone is not spaCy's loop
    exec("def _apply_pipes(call): call('w2v')", scope := {"__name__": "spacy.language"})  # noqa: S102
    with pytest.raises(ConfigError, match=r"hooks = true of 'w2v' cannot .* n_process > 1"):
        scope["_apply_pipes"](refuse_worker_process)  # type: ignore[operator]
