"""The arithmetic of the benchmark of explanations, and what it published."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np

from benchmarks.common import RESULTS
from benchmarks.explanations import Tally, choose, cue_tokens, score_of
from spacy_attn.compare.dataset import Instance
from spacy_attn.explain.attribution import DECIDING, Weights
from spacy_attn.explain.explanation import DEFAULT_ATTRIBUTION
from spacy_attn.wsd.context import Context


def weights(*values):
    return Weights("a", tuple(range(len(values))), np.array(values, dtype=np.float32))


def test_pointing_and_precision_by_hand():
    tally = Tally()
    # The heaviest is a cue, and of the two heaviest one is.
    tally.add(score_of(weights(0.1, 0.9, 0.5, 0.2), {1, 3}))
    tally.add(score_of(weights(0.9, 0.1, 0.5, 0.2), {1}))
    assert tally.scores == [[1.0, 0.5], [0.0, 0.0]]
    row = tally.row("a")
    assert (row["pointing"], row["precision_at_k"]) == (0.5, 0.25)
    assert row["comprehensiveness"] is None
    tally.add((1.0, 1.0), 0.4, -0.1)
    assert tally.row("a")["comprehensiveness"] == 0.4


def test_the_best_layer_and_head_are_those_that_point_most_often():
    names = ["attention, 1, mean", "attention, 2, mean", "attention, 1, 1", "attention, 1, 2"]
    kinds = ["norms, 1, mean", "norms, 1, 1", "rollout, 1, mean"]
    points = [[1, 0], [1, 1], [0, 1], [1, 1], [0, 0], [0, 0], [0, 0]]
    found = [
        {"scores": {n: [p[i], 0.0] for n, p in zip(names + kinds, points, strict=True)}}
        for i in range(2)
    ]
    best = choose(found)["best"]
    assert best["attention, best layer"] == {"kind": "attention", "layer": 2, "head": None}
    assert best["attention, best head"] == {"kind": "attention", "layer": 1, "head": 2}
    assert "rollout, best head" not in best


def test_cues_are_all_tokens_that_they_touch():
    text = "the bat flew at night"
    offsets = [(0, 3), (4, 7), (8, 12), (13, 15), (16, 21)]
    context = Context(text, text.split(), offsets, [""] * 5, [""] * 5)
    item = Instance("1", 0, 1, 2, "bat", "NOUN", ("a",), cues=((8, 12), (14, 21)))
    assert cue_tokens(SimpleNamespace(context=context), item) == {2, 3, 4}


def test_no_way_is_shown_to_point_better_than_the_default():
    """Of those that explain the decision; occlusion alone explains every method without captum."""
    result = json.loads((RESULTS / "explanations.json").read_text(encoding="utf-8"))
    ways = {row["name"]: row for row in result["ways"]}
    best = max(DECIDING, key=lambda attribution: ways[attribution]["pointing"])
    low, high = ways[best]["ci95"][0], ways[DEFAULT_ATTRIBUTION]["ci95"][1]
    assert best == DEFAULT_ATTRIBUTION or low < high
    assert result["half"] == "frozen"
    assert {"attention, mean", "norms, mean", "rollout, last layer", "random"} < set(ways)
