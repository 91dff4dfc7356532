"""What the comparison of attention computes beside accuracies, and a trial run."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from benchmarks.attention import __main__ as command
from benchmarks.attention import domains, rows, runs
from benchmarks.attention.mixers import make_mixer
from benchmarks.attention.runs import (
    MAIN,
    SYSTEMS,
    bootstrap,
    clipped,
    make_world,
    pointed,
    verdict,
)
from benchmarks.kept import Kept, OutOfTime
from spacy_attn.encoder.static_network import n_parameters
from spacy_attn.errors import ResourceError
from spacy_attn.models import glove_files
from spacy_attn.train.occurrences import Occurrence
from spacy_attn.wsd.inventory.jsonl import load_inventory


def has_glove():
    try:
        return bool(glove_files())
    except ResourceError:
        return False


NEEDS_GLOVE = pytest.mark.skipif(not has_glove(), reason="needs the GloVe wheel of [models]")


def test_systems_are_of_one_size_but_for_static():
    sizes = {
        name: n_parameters(make_mixer(mixer, layers, 64, heads))
        for name, (mixer, layers, heads) in SYSTEMS.items()
    }
    assert sizes.pop("static") == 0
    assert max(sizes.values()) <= 1.1 * min(sizes.values())
    assert {f"attention {n} x {h}" for n in (1, 2, 3, 4) for h in (1, 8)} <= set(sizes)


def test_an_interval_holds_the_mean_and_narrows_with_more_instances():
    rng = np.random.default_rng(0)
    few, many = (rng.random((5, n)) < 0.7 for n in (50, 5000))
    widths = []
    for right in (few, many):
        low, high = bootstrap(right, draws=200)
        assert low < right.mean() < high
        widths.append(high - low)
    # Of one seed and independent instances the width is 2 * 1.96 standard errors.
    assert widths[1] < widths[0] / 4
    assert bootstrap(np.ones((2, 9)), draws=10) == [1.0, 1.0]


def test_seeds_that_differ_widen_the_interval():
    same = np.tile(np.arange(400) % 2 == 0, (4, 1))
    apart = np.stack([np.zeros(400), np.ones(400), np.zeros(400), np.ones(400)])
    widths = [np.diff(bootstrap(right, draws=200))[0] for right in (same, apart)]
    assert widths[1] > 2 * widths[0]


@pytest.mark.parametrize(
    ("interval", "said"),
    [([0.01, 0.2], "holds"), ([-0.2, -0.01], "does not hold"), ([-0.1, 0.1], "not shown")],
)
def test_verdicts(interval, said):
    assert verdict(interval) == said


def test_a_context_is_clipped_around_the_word():
    row = Occurrence(list("abcdefg"), 3, 4, (0, 1), (0,), "own", "g")
    narrow = clipped(row, 1)
    assert (narrow.tokens, narrow.start, narrow.end) == (["c", "d", "e"], 1, 2)
    assert clipped(row, 50) == row


def test_the_pointing_game_by_hand():
    class Points:
        """Looks mostly at the last token, then at the first."""

        def attention(self, tokens):
            weights = np.zeros((1, len(tokens), len(tokens)), dtype=np.float32)
            weights[0, :, -1], weights[0, :, 0] = 0.6, 0.4
            return weights

    row = Occurrence(["cave", "the", "bat", "flew", "!"], 2, 3, (0, 1), (0,), "own", "g")
    # "!" is no word: the largest weight on a word falls on the first of three others.
    assert pointed(Points(), row, {0}) == (1.0, pytest.approx(1 / 3))
    assert pointed(Points(), row, {1, 3}) == (0.0, pytest.approx(2 / 3))


def test_answers_are_kept_and_time_ends(tmp_path):
    calls = []

    def make():
        calls.append(1)
        return {"right": [True, False]}

    kept = Kept(tmp_path / "kept")
    for _ in range(2):
        assert kept.get({"seed": 1}, make) == {"right": [True, False]}
    assert len(calls) == 1
    assert kept.has({"seed": 1})
    assert not kept.has({"seed": 2})
    over = Kept(tmp_path / "kept", seconds=-1)
    assert over.get({"seed": 1}, make) == {"right": [True, False]}
    with pytest.raises(OutOfTime, match="the time is over; what is finished stands in"):
        over.get({"seed": 2}, make)


def test_accuracy_by_distance_of_the_cue():
    test = runs.Test([], [], np.array([-1, 1, 3, 4, 25]), [])
    right = np.array([[True, True, False, True, False]])
    found = rows.by_distance(test, right)
    assert [(each["from"], each["n"], each["mean"]) for each in found] == [
        (1, 2, 0.5),
        (4, 1, 1.0),
        (20, 1, 0.0),
    ]


def test_what_is_lost_on_an_unseen_domain_by_hand():
    unseen = np.array([False, False, True, True])
    rights = {
        "static": np.array([[True, True, False, False]]),
        MAIN: np.array([[True, True, True, True]]),
    }
    row = domains.lost_on_unseen(rights, unseen)
    assert row["systems"]["static"]["mean"] == 1.0
    assert row["systems"][MAIN]["mean"] == 0.0
    assert (row["difference"], row["verdict"]) == ({"mean": 1.0, "ci95": [1.0, 1.0]}, "holds")


@NEEDS_GLOVE
def test_cues_of_the_test_set_are_found():
    world = make_world(load_inventory("homographs").with_examples(2, 0), limit=50)
    assert len(world.train) <= 2 * 219
    test = world.test
    assert len(test.rows) == len(test.strata) == len(test.distance) == len(test.cues) >= 50
    for row, distance, cues in zip(test.rows, test.distance, test.cues, strict=True):
        inside = set(range(row.start, row.end))
        assert not cues & inside
        if cues and distance > 0:
            reached = {row.start - distance, row.end - 1 + distance}
            assert reached & (cues | {i for i in reached if not 0 <= i < len(row.tokens)})


@NEEDS_GLOVE
@pytest.mark.parametrize("what", ["rows", "claims"])
def test_a_trial(what, tmp_path, monkeypatch, capsys):
    systems = ("static", "cnn", "bilstm", "attention 1 x 1", "attention 1 x 4", "attention 1 x 8")
    monkeypatch.setattr(runs, "SYSTEMS", {name: SYSTEMS[name] for name in systems})
    monkeypatch.setattr(rows, "PATTERNS", ("full", "window"))
    monkeypatch.setattr(runs, "EXAMPLES", (1,))
    monkeypatch.setattr(runs, "DRAWS", 20)
    inventory = load_inventory("homographs").with_examples(2, 0)
    monkeypatch.setattr(command, "load_inventory", lambda name: inventory)
    out = tmp_path / "trial.json"
    options = ["--seeds", "2", "--epochs", "1", "--limit", "60", "-o", str(out)]
    options += ["--kept", str(tmp_path / "kept")]
    monkeypatch.setattr(sys, "argv", ["attention", what, *options])
    command.main()
    assert capsys.readouterr().out
    result = json.loads(out.read_text())
    assert result["seeds"] == 2
    monkeypatch.setattr(runs, "train", None)  # finished runs are not made again
    command.main()
    again = json.loads(out.read_text())
    assert {**again, "manifest": 0} == {**result, "manifest": 0}
    assert result["manifest"]["command"] == (
        f"python -m benchmarks.attention {what} --seeds 2 --epochs 1 --limit 60"
    )
    if what == "rows":
        assert [each["name"] for each in result["systems"]] == [*systems, "attention 1 x 4, window"]
        assert all(0 <= each["accuracy"] <= 1 for each in result["systems"])
        assert result["systems"][0]["over_static"]["mean"] == 0
    else:
        said = {row["verdict"] for row in result["claims"]}
        assert said <= {"holds", "does not hold", "not shown"}
        assert len(result["claims"]) >= 7


@NEEDS_GLOVE
def test_one_system_is_tried(monkeypatch, capsys):
    inventory = load_inventory("homographs").with_examples(1, 0)
    monkeypatch.setattr(command, "load_inventory", lambda name: inventory)
    monkeypatch.setattr(runs, "SYSTEMS", dict(SYSTEMS))
    options = ["try", "--mixer", "cnn", "--epochs", "1", "--limit", "40"]
    monkeypatch.setattr(sys, "argv", ["attention", *options])
    command.main()
    assert "cnn 1 x 4, full, seed 0: accuracy 0." in capsys.readouterr().out
