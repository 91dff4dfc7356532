"""From answers to results, by hand."""

from __future__ import annotations

import json
from contextlib import contextmanager

import pytest

from benchmarks.common import DATA
from spacy_attn.backends import LocalModels
from spacy_attn.compare import experiment
from spacy_attn.compare.dataset import open_dataset, peers_of
from spacy_attn.compare.experiment import compare, run_systems
from spacy_attn.compare.process import answer, this_process
from spacy_attn.compare.report.tables import group_tables, headline, notes
from spacy_attn.compare.results import to_json
from spacy_attn.compare.systems import MethodSystem, PublishedPredictions
from spacy_attn.compare.task import Answers, gold_task
from spacy_attn.errors import ConfigError, ResourceError
from spacy_attn.wsd.context import Resources
from spacy_attn.wsd.inventory.wordnet import WordNetInventory

ROW = {"name", "accuracy", "macro_f1", "ci95", "strata", "words_per_second", "peak_rss_mb"}


@pytest.fixture
def published(tmp_path):
    path = tmp_path / "peer.key.txt"
    path.write_text("1 bat.club\n3 bank.river\n4 bank.river\n")
    return PublishedPredictions(path)


def test_results_by_hand(task, published):
    result = compare(task, {"lesk": MethodSystem("lesk"), "peer": published}, in_process=True)
    assert (result["dataset"], result["inventory"], result["n"]) == ("toy", "toy.jsonl", 5)
    assert result["n_by"] == {
        "strata": {"plain": 2, "near": 2},
        "pos": {"NOUN": 5},
        "subsets": {"ambiguous": 4, "first": 2, "not_first": 2},
    }
    assert (result["unknown"], result["unreachable"], result["failed"]) == (1, 0, {})
    lesk, peer = result["systems"]
    assert lesk.keys() >= ROW <= peer.keys()
    assert lesk["accuracy"] == 3 / 5
    # bat: 1 and 1; bank: F1(river) = 0, F1(money) = 2*1/(1+2); club: 0
    assert lesk["macro_f1"] == pytest.approx((1 + (0 + 2 / 3) / 2 + 0) / 3)
    assert lesk["strata"] == {"plain": 1.0, "near": 0.5}
    assert lesk["pos"] == {"NOUN": 3 / 5}
    assert lesk["subsets"] == {"ambiguous": 3 / 4, "first": 1.0, "not_first": 0.5}
    assert (lesk["coverage"], lesk["precision"]) == (4 / 5, 3 / 4)
    assert lesk["by_word"] == {"bank": 0.5, "bat": 1.0, "club": 0.0}
    assert lesk["supersense_accuracy"] is None  # nobody knows that of club.golf
    low, high = lesk["ci95"]
    assert 0 <= low <= 3 / 5 <= high <= 1
    assert 0 <= lesk["calibration_error"] <= 1
    assert lesk["words_per_second"] > 0
    assert lesk["peak_rss_mb"] is None  # not its own process
    assert (peer["kind"], peer["missing"], peer["accuracy"]) == ("published predictions", 2, 2 / 5)
    assert (peer["words_per_second"], peer["calibration_error"]) == (None, None)


def test_instances_show_who_was_right(task, published):
    result = compare(task, {"lesk": MethodSystem("lesk"), "peer": published}, in_process=True)
    third = result["instances"][2]
    assert third["text"][third["start"] : third["end"]] == "bank"
    assert (third["gold"], third["stratum"]) == (["bank.river"], "near")
    assert third["predictions"] == {
        "lesk": ["bank.money", 0.5, False],
        "peer": ["bank.river", None, True],
    }
    assert result["instances"][4]["predictions"]["peer"] == [None, None, False]


def test_json_is_the_result_one_instance_a_line(task):
    result = compare(task, {"lesk": MethodSystem("lesk")}, in_process=True)
    text = to_json(result)
    assert json.loads(text) == json.loads(json.dumps(result))
    assert sum(line.startswith('  {"id": ') for line in text.splitlines()) == 5


def few(task, on_progress):
    return Answers([])


def test_a_system_that_fails_is_left_out_with_its_reason(task, tmp_path):
    missing = PublishedPredictions(tmp_path / "no.key.txt")
    chosen = {"few": few, "gone": missing, "first": MethodSystem("first_sense")}
    told = []
    result = compare(task, chosen, in_process=True, on_progress=lambda *now: told.append(now))
    assert [system["name"] for system in result["systems"]] == ["first"]
    assert result["failed"]["few"].startswith("it answered 0 of 5 instances")
    assert "cannot be read" in result["failed"]["gone"]
    assert told == [("few", 0, 0), ("gone", 0, 0), ("first", 0, 0), ("first", 4, 4)]
    with pytest.raises(ResourceError, match="few: it answered 0 of 5 instances"):
        compare(task, {"few": few}, in_process=True)


def test_each_system_has_one_process_for_its_whole_plan(task, monkeypatch):
    opened, told = [], []

    @contextmanager
    def own(system, on_progress):
        opened.append(system)
        with this_process(system, on_progress) as ask:
            yield ask

    monkeypatch.setattr(experiment, "own_process", own)
    systems = {name: MethodSystem(name) for name in ("first_sense", "lesk")}

    def plan(name, ask):
        return [ask(answer, task, note).predictions for note in ("", "again")]

    done, failed = run_systems(systems, plan, on_progress=lambda *now: told.append(now))
    assert opened == list(systems.values())
    assert list(done) == list(systems)
    assert failed == {}
    assert done["lesk"][0] == done["lesk"][1]
    assert told[:4] == [
        ("first_sense", 0, 0),
        ("first_sense", 4, 4),
        ("first_sense, again", 0, 0),
        ("first_sense, again", 4, 4),
    ]


# -- tables ---------------------------------------------------------------------------------


def test_tables_and_notes(task, published, tmp_path):
    gone = PublishedPredictions(tmp_path / "no.key.txt")
    chosen = {"lesk": MethodSystem("lesk"), "peer": published, "gone": gone}
    result = compare(task, chosen, in_process=True)
    table = headline(result)
    assert table.title == (
        "toy, inventory toy.jsonl, n = 5; p: McNemar's test against lesk, Holm-corrected"
    )
    assert table.heads == [
        "system",
        "accuracy",
        "95 %",
        "p",
        "macro-F1",
        "ECE",
        "coverage",
        "words/s",
    ]  # nobody has a supersense here, or a process of its own
    assert [row[:2] for row in table.rows] == [
        ["lesk", "0.600"],
        ["peer (published predictions)", "0.400"],
    ]
    assert [row[3] for row in table.rows] == ["-", "1.000"]
    assert table.dim == {1}
    tables = group_tables(result)
    assert list(tables) == ["strata", "subsets"]
    assert tables["strata"].heads == ["system", "plain (2)", "near (2)"]
    assert tables["strata"].rows[0] == ["lesk", "1.000", "0.500"]
    heads = ["system", "ambiguous (4)", "first (2)", "not_first (2)"]
    assert tables["subsets"].heads == heads
    said = notes(result)
    assert said[0].startswith("1 of 5 instances has a word without candidates")
    assert said[1].startswith("peer has no prediction for 2 of 5 instances")
    assert said[2].startswith("gone was left out: ")


def test_a_gold_sense_that_the_inventory_does_not_have(make_task, tmp_path):
    row = {"text": "a bat", "start": 2, "end": 5, "lemma": "bat", "pos": "NOUN", "sense": "bat.x"}
    (tmp_path / "wrong.jsonl").write_text(json.dumps(row))
    result = compare(
        make_task(tmp_path / "wrong.jsonl"),
        {"first": MethodSystem("first_sense")},
        in_process=True,
    )
    assert (result["unreachable"], result["unknown"]) == (1, 0)
    assert notes(result) == [
        "the only instance has a sense that is not among the candidates of its word: it counts as "
        "wrong"
    ]


@pytest.mark.parametrize(
    ("unknown", "n", "begins", "ends"),
    [
        (1, 1, "the only instance has a word", "it counts as wrong"),
        (1, 3, "1 of 3 instances has a word", "it counts as wrong"),
        (2, 3, "2 of 3 instances have a word", "they count as wrong"),
        (3, 3, "all 3 instances have a word", "they count as wrong"),
    ],
)
def test_numbers_are_said_as_people_say_them(unknown, n, begins, ends):
    said = notes({"n": n, "unknown": unknown, "unreachable": 0, "systems": [], "failed": {}})
    assert (len(said), said[0].startswith(begins), said[0].endswith(ends)) == (1, True, True)


# -- the published set ------------------------------------------------------------------------


def test_allamended():
    """First sense 0.609 and ESC 0.816, as published; only the first sense is computed."""
    path = DATA / "wsd" / "ALLamended.data.xml.gz"
    if not path.is_file():
        pytest.skip(f"no {path.name} in {DATA.name}/wsd beside the clone; see benchmarks/README.md")

    def no_texts(texts):
        raise ConfigError("a Raganato set has its own tokens")

    data = open_dataset(path, no_texts)
    inventory = WordNetInventory(wordnet=None)
    task = gold_task(data, inventory, Resources(no_texts, LocalModels()))
    published = PublishedPredictions(peers_of(data)["esc"])
    chosen = {"first_sense": MethodSystem("first_sense"), "esc": published}
    result = compare(task, chosen, seen=lambda s: inventory.count(s) > 0, in_process=True)
    assert (result["n"], result["unknown"], result["unreachable"]) == (4917, 0, 0)
    first, esc = result["systems"]
    assert round(first["accuracy"], 3) == 0.609
    assert round(esc["accuracy"], 3) == 0.816
    assert result["n_by"]["subsets"]["not_first"] == 1922
    assert round(esc["subsets"]["not_first"], 3) == 0.622
    assert list(result["n_by"]["strata"]) == [
        "senseval2",
        "senseval3",
        "semeval2013",
        "semeval2015",
    ]
    assert set(result["instances"][0]) == {"id", "predictions"}  # no text of the set
