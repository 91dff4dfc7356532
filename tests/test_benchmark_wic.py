"""benchmarks/wic.py: its reader on toy files, thresholds by brute force, decisions by hand."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from benchmarks import wic
from benchmarks.common import load
from benchmarks.tables import external
from benchmarks.wic import (
    Fitted,
    Pair,
    answers_of,
    answers_unseen,
    balanced_unseen,
    by_regression,
    by_threshold,
    compare_with,
    cosines,
    dataset,
    duels,
    fit_threshold,
    plain,
    read,
    row,
    same_sense,
    seen_by,
    static_similarities,
)

PAIR = Pair(
    "dev.0",
    "bat",
    "NOUN",
    (1, 2),
    (("A", "bat", "flew", "."), ("Swing", "the", "bats", "!")),
    False,
    False,
)


KNOWN = {"bat": [1.0, 0.0], "flew": [1.0, 1.0], "swing": [0.0, 2.0], "a": [1.0, 0.0]}


class ToyVectors:
    """A direction for each known word."""

    width = 2

    def vectors(self, words):
        rows = [KNOWN.get(word, [0.0, 0.0]) for word in words]
        return np.array(rows, dtype=np.float32).reshape(-1, 2)


def test_read(tmp_path):
    with gzip.open(tmp_path / "dev.data.txt.gz", "wt", encoding="utf-8") as file:
        file.write("bat\tN\t1-2\tA bat flew .\tSwing the bats !\n")
        file.write("fly\tV\t2-1\tThe bat flew .\tBats fly .\n")
    with gzip.open(tmp_path / "dev.gold.txt.gz", "wt", encoding="utf-8") as file:
        file.write("F\nT\n")
    pairs = read(tmp_path, "dev")
    assert pairs[0] == PAIR
    assert (pairs[1].id, pairs[1].pos, pairs[1].is_same) == ("dev.1", "VERB", True)
    assert [s[i] for s, i in zip(pairs[1].sentences, pairs[1].indices, strict=True)] == [
        "flew",
        "fly",
    ]


def test_seen_is_told_by_letters_and_digits():
    assert plain("  Swing the Bats !") == plain("swing the bats")
    assert seen_by([PAIR], {plain("swing -- the bats")}).tolist() == [True]
    assert seen_by([PAIR], {plain("swing the bat")}).tolist() == [False]


def test_cosines_are_sklearns():
    from sklearn.metrics.pairwise import cosine_similarity

    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 7, 5))
    assert np.allclose(cosines(a, b), np.diag(cosine_similarity(a, b)), atol=1e-6)
    assert cosines(np.zeros((1, 5)), b[:1]).tolist() == [0.0]


def test_static_similarities_by_hand():
    found = static_similarities([PAIR], ToyVectors())
    assert found["static word"].tolist() == [pytest.approx(1.0)]
    # mean of a and flew is (1, 0.5), of swing (0, 2): cosine 0.5 / sqrt(1.25)
    assert found["static context"].tolist() == [pytest.approx(0.5 / 1.25**0.5)]
    assert found["shared words"].tolist() == [0.0]
    assert found["same form"].tolist() == [0.0]


@pytest.mark.parametrize("seed", range(20))
def test_no_threshold_is_better(seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 6, 25) / 5.0
    same = rng.random(25) < 0.5
    threshold = fit_threshold(values, same)
    cuts = [-1.0, *(np.arange(5) / 5.0 + 0.1), 2.0]
    best = max(((values >= cut) == same).sum() for cut in cuts)
    assert ((values >= threshold) == same).sum() == best


def test_a_constant_leaves_the_commoner_answer():
    values = np.ones(5)
    assert fit_threshold(values, np.array([True, True, True, False, False])) == float("-inf")
    assert fit_threshold(values, np.array([True, False, False, False, False])) == float("inf")
    assert fit_threshold(np.array([0.2, 0.6]), np.array([False, True])) == pytest.approx(0.4)


def test_regression_is_sklearns():
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 3)) * [1, 10, 100]
    same = x[:, 1] + rng.normal(size=80) > 0
    scaler = StandardScaler().fit(x[:50])
    model = LogisticRegression().fit(scaler.transform(x[:50]), same[:50])
    expected = model.predict(scaler.transform(x[50:]))
    assert by_regression(x[:50], same[:50], x[50:]).tolist() == expected.tolist()


def test_answers_are_fitted_on_the_training_part():
    values = {"v": np.array([0.1, 0.9, 0.3, 0.6])}
    same, train = np.array([False, True, True, True]), np.array([True, True, False, False])
    system = Fitted("s", "classic", ("v",), by_threshold)  # fitted: 0.5
    assert answers_of(system, values, same, train).tolist() == [False, True]


def test_no_unseen_pair_is_fitted_on_itself_or_on_seen_ones():
    n = 60
    same, train = np.arange(n) % 4 < 2, np.arange(n) < 50
    unseen = np.arange(n) % 2 == 1
    asked: list[float] = []

    def spy(x, answers, wanted):
        assert not set(x[:, 0]) & set(wanted[:, 0])
        assert all(int(i) % 2 == 1 and i < 50 for i in x[:, 0])
        assert (answers == same[x[:, 0].astype(int)]).all()
        asked.extend(wanted[:, 0])
        return same[wanted[:, 0].astype(int)]

    system = Fitted("s", "classic", ("i",), spy)
    found = answers_unseen(system, {"i": np.arange(n, dtype=float)}, same, train, unseen)
    assert sorted(asked) == list(range(1, n, 2))
    assert found.tolist() == same[unseen].tolist()


def test_unseen_pairs_are_balanced():
    rng = np.random.default_rng(0)
    seen, same = rng.random(200) < 0.5, rng.random(200) < 0.7
    chosen = balanced_unseen(seen, same)
    assert not (chosen & seen).any()
    assert (chosen & ~same).sum() == (~seen & ~same).sum() == (chosen & same).sum()


def test_dataset_holds_both_sentences():
    data = dataset([PAIR])
    assert [c.text for c in data.contexts] == ["A bat flew .", "Swing the bats !"]
    assert [(i.id, i.start, i.end, i.lemma, i.pos) for i in data.instances] == [
        ("dev.0.0", 1, 2, "bat", "NOUN"),
        ("dev.0.1", 2, 3, "bat", "NOUN"),
    ]


def test_same_sense():
    said, known = same_sense(["a", "a", "a", "b", None, None, "a", None])
    assert said.tolist() == [True, False, False, False]
    assert known.tolist() == [True, True, False, False]


def test_rows_are_compared_with_the_baseline():
    right = np.array([True] * 6 + [False] * 4)
    rows = [
        row("a", "classic", False, right, right[:5]),
        row("b", "attention", True, ~right, ~right[:5]),
    ]
    compare_with("a", rows)
    assert rows[0]["comparison"] is None
    assert rows[0]["unseen"]["accuracy"] == 1.0
    assert rows[1]["accuracy"] == 0.4
    assert (rows[1]["comparison"]["only_this"], rows[1]["comparison"]["only_baseline"]) == (4, 6)
    assert rows[1]["unseen"]["comparison"]["p"] == pytest.approx(2 / 2**5)
    assert "right" not in rows[1]


def test_without_the_data_it_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(wic, "FOLDER", tmp_path)
    with pytest.raises(SystemExit, match=r"WiC is missing: train\.data\.txt\.gz is looked for in"):
        wic.main()


def test_the_table_says_what_the_result_holds():
    result = load("wic")
    text = external.wic()
    for system in result["systems"]:
        mark = " †" if system["has_read"] else ""
        assert f"| {system['name']}{mark} | {100 * system['accuracy']:.1f} |" in text


def test_duels_leave_out_what_was_read():
    right = np.array([True] * 12 + [False] * 4)
    rows = [
        row("a", "classic", False, ~right, right),
        row("b", "classic", True, right, ~right),
        row("c", "attention", False, right, ~right),
    ]
    found = duels(rows)
    assert (found["dev"]["attention"], found["dev"]["classic"]) == ("c", "a")
    assert (found["dev"]["only_attention"], found["dev"]["only_classic"]) == (12, 4)
    assert found["unseen"]["accuracies"] == [0.25, 0.75]


def test_the_table_says_who_wins():
    result = load("wic")
    result["duels"] = {
        "dev": {"attention": "a", "classic": "c", "accuracies": [0.6, 0.7], "p": 0.01},
        "unseen": {"attention": "a", "classic": "c", "accuracies": [0.7, 0.6], "p": 0.05},
    }
    text = external.wic(result)
    assert (
        "systems without †, a classic system is better (60.0 for *a*, 70.0 for *c*, p = 0.010)"
        in text
    )
    assert "unseen pairs the best attention and classic systems do not differ" in text
