"""benchmarks/coarsewsd20.py: its reader on a toy file, its arithmetic against scikit-learn."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
from scipy.stats import binom

from benchmarks import coarsewsd20, word_experts
from benchmarks.coarsewsd20 import (
    CrossValidation,
    answers,
    capped,
    classic_wins,
    draw,
    macro_interval,
    scores,
    short,
    spread,
)
from benchmarks.common import context_of_tokens, load
from benchmarks.tables import external
from benchmarks.word_experts import (
    Occurrence,
    Recipe,
    Word,
    encode,
    mixed,
    most_frequent,
    nearest_mean,
    probabilities,
    read,
    regression,
    static_blocks,
    words_of,
)
from spacy_attn.compare.results import comparisons

LINES = [
    {
        "word": "bat",
        "split": "train",
        "index": 1,
        "tokens": ["the", "bat", "flew"],
        "sense": "bat_animal",
    },
    {
        "word": "bat",
        "split": "test",
        "index": 2,
        "tokens": ["swing", "the", "bat"],
        "sense": "bat_club",
    },
    {
        "word": "bank",
        "split": "train",
        "index": 0,
        "tokens": ["bank", "of", "money"],
        "sense": "bank_money",
    },
]


KNOWN = {"the": 1.0, "flew": 3.0, "swing": 2.0}


class ToyVectors:
    """One number and its square for each known word, zeros for others."""

    width = 2

    def vectors(self, words):
        return np.array(
            [[KNOWN.get(w, 0.0), KNOWN.get(w, 0.0) ** 2] for w in words], dtype=np.float32
        ).reshape(-1, 2)


class ToyEncoder:
    """The vector of a token: its place in the text, and one."""

    width = 2

    def encode(self, texts, offsets, reads=None):
        return [np.array([[i, 1.0] for i in range(len(o))], dtype=np.float32) for o in offsets]


def toy_word(seed=0, n=60):
    """Two overlapping clouds, the second sense rarer; the last third is the test split."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.3).astype(int)
    y[:6] = y[-6:] = [0, 1, 0, 1, 0, 1]
    rows = rng.normal(size=(n, 5)) + y[:, None]
    texts = tuple(
        f"w{a} bat {'night' if k else 'ball'} w{b}"
        for a, k, b in zip(rng.integers(0, 9, n), y, rng.integers(0, 9, n), strict=True)
    )
    return Word("bat", ("a", "b"), y, np.arange(n) >= 2 * n // 3, texts, {"x": rows, "z": rows**2})


def test_read_and_words(tmp_path):
    path = tmp_path / "toy.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in LINES)
    items = read(path)
    assert items[1] == Occurrence("bat", "bat_club", True, ("swing", "the", "bat"), 2)
    bat, bank = words_of(items, {"x": np.array([[0.0], [1.0], [2.0]])})
    assert (bat.name, bat.senses, bank.senses) == (
        "bat",
        ("bat_animal", "bat_club"),
        ("bank_money",),
    )
    assert bat.train.tolist() == [0]
    assert bat.test.tolist() == [1]
    assert bank.blocks["x"].tolist() == [[2.0]]
    assert bat.texts == ("the bat flew", "swing the bat")


def test_offsets_are_those_of_the_text():
    context = context_of_tokens(["swing", "the", "", "bat"])
    assert [context.text[a:b] for a, b in context.offsets] == ["swing", "the", "", "bat"]


def test_static_blocks_by_hand(monkeypatch):
    monkeypatch.setattr(word_experts, "NEAR", 1)
    item = Occurrence("bat", "a", False, ("Swing", "unknown", "the", "bat", "flew"), 3)
    blocks = static_blocks([item], ToyVectors())
    assert blocks["static near"].tolist() == [[2.0, 5.0]]  # the, flew
    assert blocks["static text"].tolist() == [[2.0, pytest.approx(14 / 3)]]  # and swing


def test_encode_by_hand():
    items = [Occurrence("b", "", False, ("a", "b", "c", "d", "e"), 1)]
    row = encode(items, ToyEncoder(), 2)[0]
    # target 1; context 0, 2 and 3; whole text 0 to 4
    assert row[[0, 2, 4]].tolist() == [1.0, pytest.approx(5 / 3), 2.0]


@pytest.mark.parametrize("seed", range(3))
def test_logistic_regression_is_sklearns(seed):
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import normalize

    word = toy_word(seed)
    x = np.hstack([normalize(word.blocks["x"]), normalize(word.blocks["z"])])
    model = LogisticRegression(C=5.0, max_iter=3000, class_weight="balanced")
    model.fit(x[word.train], word.y[word.train])
    got = probabilities(Recipe(("x", "z"), 5.0, True), word, word.train, word.test)
    assert np.allclose(got, model.predict_proba(x[word.test]), atol=1e-2)


def test_tfidf_knows_the_training_rows_alone():
    word = toy_word()
    got = probabilities(Recipe(("tf-idf 1",), 125.0), word, word.train, word.test)
    assert (got.argmax(axis=1) == word.y[word.test]).all()  # the words night and ball decide
    model = word_experts.model_of(Recipe(("tf-idf 1",), 125.0))
    model.fit([word.texts[i] for i in word.train], word.y[word.train])
    known = set(model[0].vocabulary_)
    assert known == set(" ".join(word.texts[i] for i in word.train).split())


def test_nearest_mean_is_sklearns():
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.preprocessing import normalize

    word = toy_word()
    x = normalize(word.blocks["x"])
    means = [x[word.train][word.y[word.train] == k].mean(axis=0) for k in (0, 1)]
    model = KNeighborsClassifier(1, metric="cosine").fit(means, [0, 1])
    got = nearest_mean(("x",), word, word.train, word.test).argmax(axis=1)
    assert got.tolist() == model.predict(x[word.test]).tolist()


def test_regression_is_sklearns_ridge():
    from sklearn.linear_model import RidgeClassifier
    from sklearn.preprocessing import normalize

    word = toy_word()
    x = normalize(word.blocks["x"])
    model = RidgeClassifier(alpha=1.0, class_weight="balanced")
    model.fit(x[word.train], word.y[word.train])
    got = regression(("x",), 1.0, word, word.train, word.test)
    assert np.allclose(got[:, 1], model.decision_function(x[word.test]), atol=1e-4)
    assert np.allclose(got[:, 0], -got[:, 1], atol=1e-4)


def test_mixed_and_most_frequent():
    word = toy_word()
    recipes = Recipe(("x",), 1.0), Recipe(("z",), 1.0)
    one, two = (probabilities(recipe, word, word.train, word.test) for recipe in recipes)
    assert np.allclose(mixed(recipes, word, word.train, word.test), (one + two) / 2)
    assert (most_frequent(word, word.train, word.test).argmax(axis=1) == 0).all()


def test_cross_validation_is_sklearns_and_leaves_the_test_split_alone():
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.preprocessing import normalize

    word = toy_word()
    cv = CrossValidation([word])
    assert not word.is_test[cv.rows[0]].any()
    x, y = normalize(word.blocks["x"])[word.train], word.y[word.train]
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    model = LogisticRegression(C=25.0, max_iter=3000)
    expected = cross_val_predict(model, x, y, cv=folds, method="predict_proba")
    assert np.allclose(cv.held_out(Recipe(("x",), 25.0))[0], expected, atol=1e-2)


def test_the_best_recipe_is_that_of_the_highest_scores():
    word = toy_word()
    noise = np.random.default_rng(1).normal(size=(60, 5))
    word.blocks["noise"] = noise
    cv = CrossValidation([word])
    recipe = cv.best_penalty([("noise",), ("x",)])
    assert recipe.blocks == ("x",)
    tried = {name: sum(each.values()) for name, each in cv.tried.items()}
    assert len(tried) == 2 * len(coarsewsd20.PENALTIES)
    assert tried[str(recipe)] == max(tried.values())


def test_capped_takes_some_of_each_sense():
    word = toy_word()
    rows = capped(word, 4)
    assert np.bincount(word.y[rows]).tolist() == [4, 4]
    assert set(rows) <= set(word.train)
    assert capped(word, 1000).tolist() == word.train.tolist()


def test_answers_and_scores_by_hand():
    word = Word("bat", ("a", "b"), np.array([0, 0, 1]), np.array([False, True, True]), ("",) * 3)
    decided = np.array([[0.1, 0.9], [0.2, 0.8]])
    names, gold, chosen = answers([word], [decided], [word.test])
    assert (names, gold, chosen) == (["bat", "bat"], ["a", "b"], ["b", "b"])
    # F1(a) = 0, F1(b) = 2 / 3
    assert scores(names, gold, chosen) == (0.5, pytest.approx(1 / 3))


def test_macro_f1_is_sklearns_mean_over_words():
    from sklearn.metrics import f1_score

    rng = np.random.default_rng(3)
    names, gold, chosen = (rng.choice(list(each), 200).tolist() for each in ("xy", "abc", "abc"))
    expected = np.mean(
        [
            f1_score(
                [g for n, g in zip(names, gold, strict=True) if n == word],
                [c for n, c in zip(names, chosen, strict=True) if n == word],
                average="macro",
            )
            for word in "xy"
        ]
    )
    assert scores(names, gold, chosen)[1] == pytest.approx(expected)


def test_macro_interval_is_that_of_drawing_row_by_row():
    rng = np.random.default_rng(0)
    names = rng.choice(["x", "y"], 300)
    gold = rng.choice(["a", "b"], 300, p=[0.7, 0.3])
    chosen = np.where(rng.random(300) < 0.8, gold, "a")
    low, high = macro_interval(names.tolist(), gold.tolist(), chosen.tolist())
    drawn = []
    for _ in range(600):
        rows = np.concatenate(
            [rng.choice(np.flatnonzero(names == w), (names == w).sum()) for w in "xy"]
        )
        drawn.append(scores(names[rows].tolist(), gold[rows].tolist(), chosen[rows].tolist())[1])
    assert (low, high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.02)


def test_comparisons_are_exact_binomials_corrected():
    ours = np.array([True] * 12 + [False] * 3 + [True] * 5)
    theirs = np.array([False] * 12 + [True] * 3 + [True] * 5)
    found = comparisons({"a": ours, "b": theirs, "c": theirs}, "b")
    assert list(found) == ["a", "c"]
    assert (found["a"]["only_this"], found["a"]["only_baseline"]) == (12, 3)
    assert found["a"]["p"] == pytest.approx(2 * binom.cdf(3, 15, 0.5))
    assert found["a"]["p_holm"] == pytest.approx(2 * found["a"]["p"])
    assert found["c"]["p"] == found["c"]["p_holm"] == 1.0


def test_few_shot_draws():
    word = toy_word()
    n_rare = int(word.y[word.train].sum())
    rows = draw(word, 3, np.random.default_rng(0))
    assert np.bincount(word.y[rows]).tolist() == [3, 3]
    assert len(set(rows)) == 6
    assert set(rows) <= set(word.train)
    assert draw(word, 1000, np.random.default_rng(0)).size == word.train.size
    assert short([word], n_rare) == 0
    assert short([word], n_rare + 1) == 1


def test_spread_by_hand():
    found = spread([(0.5, 0.4), (0.7, 0.4)])
    assert found == {"accuracy": 0.6, "macro_f1": 0.4, "accuracy_sd": 0.1414, "macro_f1_sd": 0.0}


def test_classic_wins_names_the_best_classic_row():
    systems = [
        {"name": "mean", "kind": "classic", "by_word": {"bat": 0.7, "bank": 0.9}},
        {"name": "tf-idf", "kind": "classic", "by_word": {"bat": 0.8, "bank": 0.9}},
        {
            "name": "attention, chosen on training data",
            "kind": "attention",
            "by_word": {"bat": 0.75, "bank": 0.9},
        },
    ]
    assert list(classic_wins(systems)) == [
        {"word": "bat", "system": "tf-idf", "accuracy": 0.8, "attention": 0.75}
    ]


def test_without_the_data_it_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(coarsewsd20, "CORPUS", tmp_path / "coarsewsd20.jsonl.gz")
    with pytest.raises(
        SystemExit,
        match=r"CoarseWSD-20 is missing: coarsewsd20\.jsonl\.gz .*"
        r"SPACY_ATTN_DATA",
    ) as ended:
        coarsewsd20.main()
    assert isinstance(ended.value.code, str)  # exit code 1


def test_the_table_says_what_the_result_holds():
    result = load("coarsewsd20")
    text = external.coarsewsd20()
    for system in result["systems"]:
        assert f"| {system['name']} | {100 * system['accuracy']:.1f} |" in text
    assert all(f"*{won['word']}*" in text for won in result["classic_wins"])


def test_the_table_says_that_a_goal_was_missed_and_that_classic_wins():
    result = load("coarsewsd20")
    for system in result["systems"]:
        system["accuracy"] = system["macro_f1"] = 0.96
    result["classic_wins"] = [{"word": "bat", "system": "s", "accuracy": 1.0, "attention": 0.5}]
    text = external.coarsewsd20(result)
    assert "target was 97.1 / 93.5 (1.1 points of accuracy more than the result)" in text
    assert (
        f"A classic system is more accurate on 1 of {result['n_words']} words: *bat* (s 100.0,"
        in text
    )
    result["classic_wins"] = []
    assert "No classic system is more accurate" in external.coarsewsd20(result)
