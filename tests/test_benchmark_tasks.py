"""benchmarks/tasks.py: its readers on toy archives, its rows against scikit-learn."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from benchmarks import tasks
from benchmarks.common import file_megabytes as megabytes
from benchmarks.common import load
from benchmarks.tables import external
from benchmarks.tasks import (
    Corpus,
    attention_means,
    dense_search,
    most_frequent,
    predict,
    read_polarity,
    read_questions,
    row,
    sparse_search,
    static_means,
    tfidf,
)

KNOWN = {"good": 1.0, "film": 3.0}


class ToyVectors:
    """One number for each known word."""

    width = 1

    def vectors(self, words):
        return np.array([[KNOWN.get(word, 0.0)] for word in words], dtype=np.float32)


class ToyEncoder:
    """The vector of a token: how long it is."""

    def encode(self, texts, offsets, reads=None):
        return [np.array([[b - a] for a, b in each], dtype=np.float32) for each in offsets]


def toy_corpus(n=60, seed=0):
    """Two classes that words tell apart; every third sentence is tested."""
    rng = np.random.default_rng(seed)
    labels = ["pos" if k else "neg" for k in rng.random(n) < 0.4]
    sentences = [
        [f"w{i}" for i in rng.integers(0, 9, 4)] + (["good"] if label == "pos" else ["dull"])
        for label in labels
    ]
    test = np.arange(n) % 3 == 0
    return Corpus("toy", sentences, labels, [(np.flatnonzero(~test), np.flatnonzero(test))])


def test_read_polarity(tmp_path):
    path = tmp_path / "sentence_polarity.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for label, word in (("neg", "dull"), ("pos", "caf\xe9 \x85 good")):
            lines = "".join(f"a {word} film {i} . \n" for i in range(12))
            archive.writestr(f"sentence_polarity/rt-polarity.{label}", lines.encode("latin-1"))
    corpus = read_polarity(path)
    assert corpus.labels == ["neg"] * 12 + ["pos"] * 12
    assert corpus.sentences[0] == ["a", "dull", "film", "0", "."]
    assert corpus.sentences[12][1] == "caf\xe9"
    assert len(corpus.splits) == 10
    assert sorted(corpus.tested) == list(range(24))
    assert all(not set(train) & set(test) for train, test in corpus.splits)


def test_read_questions(tmp_path):
    path = tmp_path / "qc.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("qc/train.txt", "HUM:desc Who hit it ?\nLOC:city Where is it ?\n")
        archive.writestr("qc/test.txt", "NUM:dist How far is it ?\n")
    corpus = read_questions(path)
    assert corpus.labels == ["HUM", "LOC", "NUM"]
    assert corpus.sentences[2] == ["How", "far", "is", "it", "?"]
    ((train, test),) = corpus.splits
    assert (train.tolist(), test.tolist()) == ([0, 1], [2])


def test_means_by_hand():
    sentences = [["A", "Good", "film"], ["dull"]]
    assert static_means(sentences, ToyVectors()).tolist() == [[2.0], [0.0]]
    assert attention_means(sentences, ToyEncoder()).tolist() == [[pytest.approx(3.0)], [4.0]]


def test_predictions_are_those_of_a_grid_search():
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    corpus = toy_corpus()
    rng = np.random.default_rng(1)
    labels = np.array(corpus.labels)
    rows = rng.normal(size=(60, 4)) + (labels == "pos")[:, None]
    said, chosen, _ = predict(corpus, rows, dense_search)
    ((train, test),) = corpus.splits
    scaler = StandardScaler().fit(rows[train])
    model = LogisticRegression(C=chosen[0]["C"], max_iter=2000)
    model.fit(scaler.transform(rows[train]), labels[train])
    assert said == model.predict(scaler.transform(rows[test])).tolist()
    assert chosen[0]["C"] in tasks.PENALTIES


def test_tfidf_row():
    corpus = toy_corpus()
    said, chosen, features = tfidf(corpus)
    assert said == [corpus.labels[i] for i in corpus.tested]
    assert set(chosen[0]) == {"ngram_range", "C"}
    assert features.share_encoded == 0.0
    model = sparse_search().fit([" ".join(s) for s in corpus.sentences], corpus.labels)
    assert model.n_splits_ == tasks.INNER_FOLDS


def test_most_frequent_is_of_the_training_part():
    splits = [(np.array([0, 1, 2]), np.array([3, 4]))]
    corpus = Corpus("toy", [["x"]] * 5, ["b", "a", "b", "a", "a"], splits)
    assert most_frequent(corpus) == ["b", "b"]


def test_row_is_sklearns():
    from sklearn.metrics import accuracy_score, f1_score

    corpus = toy_corpus()
    rng = np.random.default_rng(2)
    gold = [corpus.labels[i] for i in corpus.tested]
    said = rng.choice(["pos", "neg"], len(gold)).tolist()
    found = row(corpus, "s", "classic", said)
    assert found["accuracy"] == pytest.approx(accuracy_score(gold, said), abs=1e-4)
    assert found["macro_f1"] == pytest.approx(f1_score(gold, said, average="macro"), abs=1e-4)
    assert found["ci95"][0] <= found["accuracy"] <= found["ci95"][1]


def test_megabytes(tmp_path):
    for name in "ab":
        (tmp_path / name).write_bytes(b"x" * 1_500_000)
    assert megabytes([tmp_path / "a", tmp_path / "b"]) == 3.0


def test_without_the_data_it_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(tasks, "CORPORA", {"sentiment": tmp_path / "sentence_polarity.zip"})
    with pytest.raises(SystemExit, match=r"the corpus for sentiment is missing: sentence_polar"):
        tasks.main()


def test_the_table_says_what_the_result_holds():
    result = load("tasks")
    text = external.tasks()
    for system in result["systems"]:
        assert f"| {system['name']} |" in text
        assert f" {100 * system['accuracy']:.1f} |" in text


def test_the_table_says_who_wins():
    result = load("tasks")
    names = {"attention": "MiniLM, mean", "classic": "tf-idf"}
    result["duels"] = {
        "sentiment": {**names, "accuracies": [0.8, 0.9], "p": 0.0},
        "question type": {**names, "accuracies": [0.9, 0.8], "p": 0.01},
    }
    for system in result["systems"]:
        system["ms_per_sentence"] = 2.0 if system["kind"] == "attention" else 0.5
    text = external.tasks(result)
    assert "Sentiment: a classic system is better (80.0 for *MiniLM, mean*, 90.0 for" in text
    assert "Question type: attention is better (90.0 for" in text
    assert "p = 0.010); attention takes 4 times the time" in text
