"""A threshold for a wished precision."""

from __future__ import annotations

import numpy as np
import pytest
import spacy
from confection import Config

from spacy_attn.compare.systems import MethodSystem
from spacy_attn.compare.task import Answers, Prediction
from spacy_attn.compare.tune import config_block, halves, tune
from spacy_attn.errors import ConfigError, RecordError
from tests.compare.conftest import labelled


@pytest.fixture
def wide(make_task, tmp_path):
    """60 bats and 40 banks, each text of its own; two words in 10 of them."""
    rows = [(f"bat number {i}", "bat", "bat", "bat.animal", "") for i in range(60)]
    rows += [(f"bank number {i}", "bank", "bank", "bank.money", "") for i in range(30)]
    both = [(f"bat and bank {i}", w, w, f"{w}.x", "") for i in range(10) for w in ("bat", "bank")]
    path = tmp_path / "wide.jsonl"
    path.write_text(labelled(rows + both))
    return make_task(path)


def answers_of(task, scores, right, temperature=1.0):
    """What a method would say that is right where asked, with these probabilities."""
    said = []
    for target, score, ok in zip(task.targets, scores, right, strict=True):
        best, other = (
            [s.id for s in target.candidates] if ok else [s.id for s in reversed(target.candidates)]
        )
        said.append(Prediction(best, score, ((best, score), (other, 1 - score))))
    return Answers(said, details={"temperature": temperature})


def test_halves_part_texts_and_are_even_for_each_word(wide):
    first = halves(wide)
    items = wide.dataset.instances
    assert first.tolist() == halves(wide).tolist()
    assert first.tolist() != halves(wide, seed=1).tolist()
    for word in ("bat", "bank"):
        mine = [in_first for in_first, item in zip(first, items, strict=True) if item.lemma == word]
        assert abs(2 * sum(mine) - len(mine)) <= 2
    sides = {}
    for in_first, item in zip(first, items, strict=True):
        sides.setdefault(item.context, set()).add(in_first)
    assert all(len(side) == 1 for side in sides.values())


def test_the_lowest_threshold_is_taken_and_measured_on_the_other_half(make_task, tmp_path):
    path = tmp_path / "sure.jsonl"
    path.write_text(
        labelled([(f"bat number {i}", "bat", "bat", "bat.animal", "") for i in range(400)])
    )
    task = make_task(path)
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.5, 1.0, 400)
    right = rng.uniform(size=400) < scores  # as true as probabilities can be
    found = tune(task, answers_of(task, scores, right), "random", "homographs", 0.9)
    assert found["reached"]
    assert found["temperature"] is None  # random has none
    first = halves(task)
    chosen = first & (scores >= found["threshold"])
    assert found["tuned_on"]["precision"] == right[chosen].mean() >= 0.9
    more = [first & (scores >= t) for t in scores[first & (scores < found["threshold"])]]
    assert more
    assert all(right[each].mean() < 0.9 for each in more)
    held_out = found["held_out"]
    assert held_out["n"] == 200
    assert held_out["n_answered"] == (~first & (scores >= found["threshold"])).sum()
    low, high = held_out["ci95"]
    assert low <= held_out["precision"] <= high
    assert held_out["coverage"] == held_out["n_answered"] / 200


def test_the_temperature_is_fitted(wide):
    n = len(wide.targets)
    right = np.arange(n) % 5 > 0  # 80 %, of those that have a right sense
    answers = answers_of(wide, np.full(n, 0.99), right, temperature=2.0)
    found = tune(wide, answers, "lesk", "homographs", 0.1)
    # The temperature that says p and not 0.99; words without a right sense teach nothing.
    taught = halves(wide) & [not item.gold[0].endswith(".x") for item in wide.dataset.instances]
    p = right[taught].mean()
    expected = 2.0 * np.log(0.99 / 0.01) / np.log(p / (1 - p))
    assert found["temperature"] == pytest.approx(expected, rel=1e-3)
    assert found["threshold"] == 0.0  # everything is good enough
    assert found["held_out"]["coverage"] == 1.0
    method = found["config"].splitlines()[3]
    assert f'"temperature":{found["temperature"]}}}' in method


def test_a_precision_that_no_threshold_has(wide):
    n = len(wide.targets)
    answers = answers_of(wide, np.full(n, 0.9), np.arange(n) % 2 == 0)
    found = tune(wide, answers, "random", "homographs", 0.95)
    assert not found["reached"]
    assert found["best"]["precision"] < 0.7
    assert found["best"]["coverage"] == 1.0
    assert "config" not in found


def test_words_without_an_answer_are_not_covered(wide):
    n = len(wide.targets)
    answers = answers_of(wide, np.full(n, 0.9), np.ones(n, dtype=bool))
    answers.predictions[: n // 2] = [None] * (n // 2)
    found = tune(wide, answers, "random", "homographs", 0.1)
    total = found["tuned_on"]["n_answered"] + found["held_out"]["n_answered"]
    assert total == n - n // 2
    assert found["held_out"]["coverage"] < 1


@pytest.mark.parametrize("precision", [0.0, 1.1, -1.0, float("nan")])
def test_a_precision_out_of_range(wide, precision):
    answers = answers_of(wide, [0.9] * len(wide.targets), [True] * len(wide.targets))
    with pytest.raises(
        ConfigError, match=r"--tune .*; allowed is a precision above 0 and at most 1"
    ):
        tune(wide, answers, "lesk", "homographs", precision)


def test_too_little_data(make_task, tmp_path):
    path = tmp_path / "one.jsonl"
    path.write_text(labelled([("a bat", "bat", "bat", "bat.animal", "")]))
    task = make_task(path)
    with pytest.raises(RecordError, match="one is too small to tune on"):
        tune(task, answers_of(task, [0.9], [True]), "lesk", "homographs", 0.9)


def test_the_block_is_a_config(wide, toy_inventory):
    answers = MethodSystem("lesk")(wide, lambda done, total: None)
    found = tune(wide, answers, "lesk", str(toy_inventory), 0.3)
    config = Config().from_str(f"[components]\n\n{found['config']}\n")
    settings = config["components"]["sense_disambiguator"]
    assert settings.pop("factory") == "sense_disambiguator"
    nlp = spacy.blank("en")
    component = nlp.add_pipe("sense_disambiguator", config=settings)
    assert component.config["threshold"] == found["threshold"]
    assert component.prepared().temperature == found["temperature"]
    component = nlp.get_pipe("sense_disambiguator")
    assert [s.id for s in component.inventory.candidates("bat")] == ["bat.animal", "bat.club"]


def test_a_path_with_signs_that_a_config_knows():
    block = config_block('a$b/"ü".jsonl', {"@sense_methods": "m"}, 0.5)
    config = Config().from_str(f"[components]\n\n{block}")
    assert "a$b" in config["components"]["sense_disambiguator"]["inventory"]
