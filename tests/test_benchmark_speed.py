"""What the speed benchmarks compute beside times."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.common import SEMCOR, documents
from benchmarks.speed import latency, processors
from benchmarks.speed.peers import PEERS, SENSE_PEERS
from benchmarks.speed.scaling import flops
from benchmarks.speed.selective import knee, point
from benchmarks.speed.worker import SYSTEMS
from benchmarks.tables.speed import more_or_less


def test_every_peer_has_a_worker():
    named = {*PEERS, *SENSE_PEERS, *latency.SYSTEMS, *processors.SYSTEMS}
    assert named == set(SYSTEMS)


def test_quantiles_are_milliseconds():
    assert latency.quantiles([n / 1000 for n in range(1, 102)]) == {"p50": 51.0, "p99": 100.0}


@pytest.mark.skipif(not SEMCOR.is_file(), reason="needs SemCor in $SPACY_ATTN_DATA")
def test_requests_have_so_many_words_and_differ():
    texts = latency.requests(25)
    assert {len(text.split()) for text in texts} == {25}
    assert len(set(texts)) == len(texts) == latency.REQUESTS + latency.WARM


def test_operations_of_a_forward_pass_by_hand():
    # Width 2, one layer: 48 weights, two operations each, and 4 * 2 for each pair of pieces.
    assert flops([3], width=2, layers=1) == 2 * 3 * 48 + 4 * 9 * 2
    assert flops([3, 1], width=2, layers=2) == 2 * (2 * 4 * 48 + 4 * 10 * 2)


def test_a_point_of_the_curve_by_hand():
    cheap = [np.array([2.0, 0.0]), np.array([0.1, 0.0]), np.array([0.0, 3.0]), np.array([0.0])]
    attention = [np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.array([1.0, 0.0]), np.array([0.0])]
    gold = [0, 1, 1, 0]
    # Margins of the cheap one: 0.76, 0.05, 0.91; the last word has one sense.
    assert point(cheap, 1.0, attention, gold, 0.0) == {"margin": 0.0, "accuracy": 0.75, "left": 0}
    assert point(cheap, 1.0, attention, gold, 0.1) == {
        "margin": 0.1,
        "accuracy": 1.0,
        "left": 0.25,
    }
    assert point(cheap, 1.0, attention, gold, 1.0)["accuracy"] == 0.5


def test_the_knee_leaves_the_least_within_the_tolerance():
    curve = [
        {"margin": 0.0, "accuracy": 0.9, "left": 0.0},
        {"margin": 0.5, "accuracy": 0.948, "left": 0.3},
        {"margin": 0.8, "accuracy": 0.951, "left": 0.5},
        {"margin": 1.0, "accuracy": 0.95, "left": 1.0},
    ]
    assert knee(curve)["margin"] == 0.5
    curve[1]["accuracy"] = 0.946
    assert knee(curve)["margin"] == 0.8


@pytest.mark.parametrize(
    ("ratio", "said"), [(0.996, "0.4 % less"), (1.004, "0.4 % more"), (1.0, "0.0 % more")]
)
def test_a_cost_is_more_or_less_and_never_negative(ratio, said):
    assert more_or_less(ratio) == said


@pytest.mark.skipif(not SEMCOR.is_file(), reason="needs SemCor in $SPACY_ATTN_DATA")
def test_documents_repeat_and_hold_so_many_words():
    texts = documents(2000)
    assert texts == documents(2000)
    assert 2000 <= sum(len(text.split()) for text in texts) < 2100
    assert len(texts) == len(set(texts))
