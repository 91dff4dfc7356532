"""The arithmetic of the benchmark of explanations, and what it published."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.explanations import RESULT, Tally, count, cue_tokens
from spacy_attn.compare.datasets import Instance
from spacy_attn.explain.explanation import DEFAULT_WAY
from spacy_attn.explain.weigh import DECIDING, Weights
from spacy_attn.senses.context import Context


def weights(*values):
    return Weights("a", tuple(range(len(values))), np.array(values, dtype=np.float32))


def test_pointing_and_precision_by_hand():
    tally = Tally()
    count(tally, weights(0.1, 0.9, 0.5, 0.2), {1, 3})  # top 1 is a cue; of the top 2 one is
    count(tally, weights(0.9, 0.1, 0.5, 0.2), {1})
    assert tally.pointed == [True, False]
    assert tally.precision == [0.5, 0.0]
    row = tally.row("a")
    assert (row["pointing"], row["precision_at_k"]) == (0.5, 0.25)
    assert row["comprehensiveness"] is None


def test_cues_are_all_tokens_that_they_touch():
    text = "the bat flew at night"
    offsets = [(0, 3), (4, 7), (8, 12), (13, 15), (16, 21)]
    context = Context(text, text.split(), offsets, [""] * 5, [""] * 5)
    item = Instance("1", 0, 1, 2, "bat", "NOUN", ("a",), cues=((8, 12), (14, 21)))
    assert cue_tokens(SimpleNamespace(context=context), item) == {2, 3, 4}


def test_the_default_is_the_one_that_won():
    """Of the ways that explain the decision, by the table of the frozen half."""
    if not RESULT.is_file():
        pytest.skip("not measured yet")
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    rates = {row["name"]: row["pointing"] for row in result["ways"]}
    assert max(DECIDING, key=lambda way: rates[way]) == DEFAULT_WAY
    assert result["half"] == "frozen"
    assert {"attention, mean", "norms, mean", "rollout, last layer", "random"} < set(rates)
