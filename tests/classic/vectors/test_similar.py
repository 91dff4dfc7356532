from __future__ import annotations

import numpy as np
import pytest

from spacy_attn.classic.vectors import load_vectors, many_neighbours, neighbours
from spacy_attn.errors import ConfigError


@pytest.fixture(scope="module")
def fasttext_model():
    fasttext = pytest.importorskip("gensim.models.fasttext")
    texts = [["the", "cat", "sat"], ["the", "catfish", "swam"]]
    return fasttext.FastText(
        texts, vector_size=6, min_count=1, bucket=40, min_n=2, max_n=4, epochs=2, seed=1, workers=1
    )


@pytest.fixture(scope="module")
def random_vectors(tmp_path_factory):
    """Random vectors as gensim and we see them."""
    gensim = pytest.importorskip("gensim.models")
    path = tmp_path_factory.mktemp("random") / "random.bin"
    oracle = gensim.KeyedVectors(8)
    rows = np.random.default_rng(3).normal(size=(500, 8)).astype(np.float32)
    oracle.add_vectors([f"w{i}" for i in range(500)], rows)
    oracle.save_word2vec_format(str(path), binary=True)
    return oracle, load_vectors(path)


def test_neighbours_equal_gensim(random_vectors):
    oracle, vectors = random_vectors
    for word in ("w0", "w251", "w499"):
        expected = oracle.most_similar(word, topn=12)
        obtained = neighbours(vectors, word, 12)
        assert [w for w, _ in obtained] == [w for w, _ in expected]
        np.testing.assert_allclose([s for _, s in obtained], [s for _, s in expected], atol=1e-5)


def test_neighbours_of_a_vector_equal_gensim(random_vectors):
    oracle, vectors = random_vectors
    query = oracle["w3"] - oracle["w4"]
    expected = oracle.most_similar(positive=[query], topn=10)
    obtained = neighbours(vectors, query)
    assert [w for w, _ in obtained] == [w for w, _ in expected]
    np.testing.assert_allclose([s for _, s in obtained], [s for _, s in expected], atol=1e-5)
    assert neighbours(vectors, oracle["w3"], 1)[0] == ("w3", pytest.approx(1.0, abs=1e-6))


def test_many_neighbours_equal_each_alone(random_vectors):
    oracle, vectors = random_vectors
    queries = ["w1", oracle["w2"], "w1", *(f"w{i}" for i in range(40))]
    together = many_neighbours(vectors, queries, 5)
    for one, query in zip(together, queries, strict=True):
        alone = neighbours(vectors, query, 5)
        assert [w for w, _ in one] == [w for w, _ in alone]
    assert many_neighbours(vectors, []) == []


def test_neighbours_by_hand(tmp_path):
    (tmp_path / "v.txt").write_text("a 1 0\nb 1 1\nzero 0 0\nc -2 0\nd 0 5\n")
    vectors = load_vectors(tmp_path / "v.txt")
    expected = [("b", 0.5**0.5), ("zero", 0.0), ("d", 0.0), ("c", -1.0)]
    assert neighbours(vectors, "a", 99) == [(w, pytest.approx(s, abs=1e-6)) for w, s in expected]
    assert neighbours(vectors, "A", 1) == neighbours(vectors, "a", 1)


def test_more_neighbours_than_words_are_all_words(random_vectors):
    vectors = random_vectors[1]
    found = neighbours(vectors, "w0", 10**15)  # as many places would be petabytes
    assert found == neighbours(vectors, "w0", len(vectors))
    assert {word for word, _ in found} == set(vectors.table.index) - {"w0"}


def test_a_word_unknown_to_fasttext_has_neighbours(tmp_path, fasttext_model):
    path = tmp_path / "ft.kv"
    fasttext_model.wv.save(str(path))
    expected = fasttext_model.wv.most_similar("catfishes", topn=3)
    obtained = neighbours(load_vectors(path, unknown="subword"), "catfishes", 3)
    assert [w for w, _ in obtained] == [w for w, _ in expected]
    np.testing.assert_allclose([s for _, s in obtained], [s for _, s in expected], atol=1e-5)


def test_a_word_without_a_vector_is_told_with_similar_ones(tmp_path):
    (tmp_path / "v.txt").write_text("spring 1 0\nsprint 1 1\nautumn 0 1\nnothing 0 0\n")
    vectors = load_vectors(tmp_path / "v.txt")
    with pytest.raises(
        ConfigError, match=r"'Sprinng' has no vector in v\.txt; .*: spring, sprint$"
    ):
        neighbours(vectors, "Sprinng")
    with pytest.raises(ConfigError, match=r"'qqq' has no vector in .*; give another word or file"):
        neighbours(vectors, "qqq")
    with pytest.raises(ConfigError, match="'' has no vector"):
        neighbours(vectors, "")
    with pytest.raises(ConfigError, match=r"the vector of 'nothing' in .* is zero"):
        neighbours(vectors, "nothing")


@pytest.mark.parametrize(
    ("query", "n", "reason"),
    [
        ("w0", 0, "n = 0 neighbours; allowed: 1 or more"),
        (np.ones(3), 5, r"shape \(3,\) has no neighbours in random\.bin; allowed: \(8,\)"),
        (np.zeros(8), 5, "zero or not finite has no direction"),
        (np.full(8, np.nan), 5, "zero or not finite has no direction"),
    ],
)
def test_illegal_queries(random_vectors, query, n, reason):
    with pytest.raises(ConfigError, match=reason):
        neighbours(random_vectors[1], query, n)
