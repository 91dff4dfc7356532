"""Tasks, and the systems that answer them: sense methods and published predictions."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest
import spacy

from spacy_attn.compare import systems
from spacy_attn.compare.dataset import open_dataset
from spacy_attn.compare.systems import (
    MethodSystem,
    PublishedPredictions,
    check_method,
    method_config,
)
from spacy_attn.compare.task import end_to_end_task, tagged_by
from spacy_attn.components.adapter import resources_of
from spacy_attn.errors import ConfigError, RecordError
from spacy_attn.wsd.inventory.jsonl import load_inventory
from spacy_attn.wsd.inventory.wordnet import WordNetInventory
from spacy_attn.wsd.methods.registry import sense_method
from tests.compare.conftest import labelled

LESK = {"@sense_methods": "spacy_attn.lesk.v1"}


def quiet(done, total):
    assert 0 <= done <= total


def test_words_are_given_by_the_data(task):
    assert [t and t.lemma for t in task.targets] == ["bat", "bat", "bank", "bank", None]
    assert [s.id for s in task.targets[2].candidates] == ["bank.money", "bank.river"]
    assert task.contexts == task.dataset.contexts


def test_a_method(task):
    answers = MethodSystem("lesk")(task, quiet)
    chosen = [p and p.sense for p in answers.predictions]
    assert chosen == ["bat.club", "bat.animal", "bank.money", "bank.money", None]
    assert answers.predictions[2].score == pytest.approx(0.5)
    assert dict(answers.predictions[2].ranked) == pytest.approx(
        {"bank.money": 0.5, "bank.river": 0.5}
    )
    assert answers.words_per_second > 0
    assert answers.details["method"] == "lesk"
    assert answers.details["temperature"] == 1.0
    same = MethodSystem({**LESK, "temperature": 1.0})(task, quiet)
    assert same.predictions == answers.predictions


def test_batches_change_nothing(task, monkeypatch):
    whole = MethodSystem("lesk")(task, quiet).predictions
    seen = []
    for size in (1, 3):
        monkeypatch.setattr(systems, "_BATCH", size)
        monkeypatch.setattr(systems, "_WARM_UP", 1)
        run = MethodSystem("lesk")(task, lambda done, total: seen.append((done, total)))
        assert run.predictions == whole
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4), (3, 4), (4, 4)]


def test_a_set_of_unknown_words(make_task, tmp_path):
    path = tmp_path / "unknown.jsonl"
    path.write_text(labelled([("the club", "club", "club", "club.golf", "")]))
    answers = MethodSystem("lesk")(make_task(path), quiet)
    assert (answers.predictions, answers.words_per_second) == ([None], None)


def test_words_are_found_by_the_pipeline(toy_inventory, tmp_path):
    rows = [
        ("the bats flew at night", "bats", "bat", "bat.animal", ""),
        ("a banker", "banker", "bank", "bank.money", ""),  # no word of the inventory
    ]
    path = tmp_path / "plain.jsonl"
    path.write_text(labelled(rows))
    nlp = spacy.blank("en")
    tag, resources = tagged_by(nlp), resources_of(nlp)
    task = end_to_end_task(
        open_dataset(path, tag), load_inventory(toy_inventory, "en"), resources, tag
    )
    assert [t and (t.context, t.start, t.end, t.lemma) for t in task.targets] == [
        (0, 1, 2, "bat"),
        None,
    ]
    answers = MethodSystem("first_sense")(task, quiet)
    assert [p and p.sense for p in answers.predictions] == ["bat.animal", None]


# -- methods by name and by config ------------------------------------------------------------


def test_methods_by_config():
    assert sense_method("lesk").name == sense_method({**LESK, "window": 2}).name == "lesk"


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("guess", "method = 'guess'; allowed are random"),
        ({"@sense_methods": "guess.v1"}, r"method = 'guess\.v1'; allowed are random"),
        ({"window": 2}, r'method = \{"window": 2\} has no "@sense_methods"'),
        (
            {**LESK, "windows": 2},
            r"'spacy_attn.lesk.v1' has no setting 'windows'; allowed are window, .*'window'\?$",
        ),
        ({**LESK, "window": 0}, "window = 0; allowed is 1 or more"),
        ({**LESK, "window": "wide"}, "method = .* is not allowed: .*window"),
    ],
)
def test_methods_that_are_refused(spec, reason):
    with pytest.raises(ConfigError, match=reason) as caught:
        sense_method(spec)
    assert "\n" not in str(caught.value)


def test_a_config_gets_the_settings_that_its_method_has():
    assert method_config("lesk", temperature=2.0) == {**LESK, "temperature": 2.0}
    assert method_config({**LESK, "window": 3, "temperature": 1.0}, temperature=2.0) == {
        **LESK,
        "window": 3,
        "temperature": 2.0,
    }
    assert method_config("random", temperature=2.0) == {"@sense_methods": "spacy_attn.random.v1"}


def test_a_method_is_checked_with_its_inventory(toy_inventory):
    nlp = spacy.blank("en")
    check_method(nlp, str(toy_inventory), {**LESK, "window": 2})
    with pytest.raises(ConfigError, match="is for language 'en', the pipeline's is 'de'"):
        check_method(spacy.blank("de"), "homographs", "lesk")
    assert nlp.pipe_names == []


# -- published predictions --------------------------------------------------------------------


def test_published_predictions(task, tmp_path):
    path = tmp_path / "system.key.txt"
    path.write_text("1 bat.club bat.animal\n3 bank.river\n99 bat.club\n")
    answers = PublishedPredictions(path)(task, quiet)
    assert [p and p.sense for p in answers.predictions] == [
        "bat.club",
        None,
        "bank.river",
        None,
        None,
    ]
    assert answers.details == {"missing": 3, "extra": 1}
    assert answers.words_per_second is None


def test_predictions_of_another_set(task, tmp_path):
    path = tmp_path / "system.key.txt"
    path.write_text("d000.s000.t000 bat.club\n")
    with pytest.raises(RecordError, match=r"predicts no instance of toy; its ids are like 'd000\."):
        PublishedPredictions(path)(task, quiet)


def test_a_task_travels(task):
    assert pickle.loads(pickle.dumps(task)).targets == task.targets  # noqa: S301
    inventory = pickle.loads(pickle.dumps(WordNetInventory()))  # noqa: S301
    assert inventory.candidates("bat", "NOUN")


def test_a_method_is_prepared_once_for_all_tasks_of_an_inventory(task):
    system = MethodSystem("lesk")
    again = pickle.loads(pickle.dumps(task))  # noqa: S301
    assert system.prepared(again) is system.prepared(task)
    part = replace(task, inventory=task.inventory.with_examples(1, seed=0))
    assert system.prepared(part) is not system.prepared(task)
    other = pickle.loads(pickle.dumps(system))  # noqa: S301
    assert other == system
    assert other._prepared == {}  # models are not sent
