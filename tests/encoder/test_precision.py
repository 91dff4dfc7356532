"""Which precision "auto" takes: the fastest of those that are allowed. No test reads a clock."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from spacy_attn.encoder import precision
from spacy_attn.encoder.int8 import LEAST_COSINE, example_scales
from spacy_attn.encoder.precision import (
    explain_precision,
    layer_times,
    pick_precision,
    precisions_here,
)
from spacy_attn.encoder.tuning import Shape

SHAPE = Shape(32, 64, 2, torch.float32)
SCALES = replace(example_scales(32, 64), manifest={"cosine": LEAST_COSINE})
ALL = ["float32", "bfloat16", "int8"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, nothing set, nothing remembered; a processor that has everything."""
    monkeypatch.setenv("SPACY_ATTN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SPACY_ATTN_ENGINE", raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    monkeypatch.setattr(precision, "int8_works", lambda: True)
    layer_times.cache_clear()
    yield tmp_path / "cache"
    layer_times.cache_clear()


@pytest.fixture
def timings(monkeypatch):
    """Seconds of each precision that a test sets."""
    seconds: dict[str, float] = {}
    asked: list[tuple[str, ...]] = []

    def fake(ways):
        asked.append(tuple(ways))
        return {way: seconds.get(way, 1.0) for way in ways}

    monkeypatch.setattr(precision, "measure", fake)
    monkeypatch.setattr(precision, "_one_layer", lambda shape, name: name)
    return seconds, asked


@pytest.mark.parametrize("name", ALL)
def test_it_is_the_fastest_of_the_measured(timings, name):
    seconds, asked = timings
    seconds[name] = 0.5
    assert pick_precision("auto", "cpu", SHAPE, SCALES) == name
    assert asked == [tuple(ALL)]


def test_what_is_asked_for_is_done(timings):
    assert pick_precision("float16", "cpu", SHAPE, SCALES) == "float16"
    assert timings[1] == []


@pytest.mark.parametrize(
    ("bf16", "amx", "here"),
    [
        (True, False, ["float32", "bfloat16"]),
        (False, True, ["float32", "bfloat16"]),
        (False, False, ["float32"]),
    ],
)
def test_bfloat16_needs_its_instructions(monkeypatch, bf16, amx, here):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert precisions_here(None) == here
    assert pick_precision("auto", "cpu") == here[-1]  # nothing is known of the layers


def test_int8_needs_scales_that_are_near_enough_and_its_products(monkeypatch):
    assert precisions_here(SCALES) == ALL
    far = replace(SCALES, manifest={"cosine": LEAST_COSINE - 1e-4})
    assert precisions_here(far) == precisions_here(None) == ALL[:2]
    monkeypatch.setattr(precision, "int8_works", lambda: False)
    assert precisions_here(SCALES) == ALL[:2]


def test_one_precision_needs_no_measurement(timings, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    assert pick_precision("auto", "cpu", SHAPE) == "float32"
    assert timings[1] == []


def test_where_nothing_may_be_measured_the_instructions_decide(timings, monkeypatch):
    monkeypatch.setenv("SPACY_ATTN_ENGINE", "default")
    timings[0]["int8"] = 0.1
    assert pick_precision("auto", "cpu", SHAPE, SCALES) == "bfloat16"
    assert timings[1] == []


@pytest.mark.parametrize(("bf16", "picked"), [(True, "bfloat16"), (False, "float16")])
def test_auto_on_a_gpu(monkeypatch, bf16, picked):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
    assert pick_precision("auto", "cuda:0", SHAPE, SCALES) == picked


def test_it_is_measured_once(timings, cache):
    seconds, asked = timings
    seconds["int8"] = 0.5
    assert pick_precision("auto", "cpu", SHAPE, SCALES) == "int8"
    layer_times.cache_clear()  # as in another process
    seconds.clear()
    assert pick_precision("auto", "cpu", SHAPE, SCALES) == "int8"
    assert len(asked) == 1
    (key,) = json.loads((cache / "precision.json").read_text("utf-8"))
    assert "float32 bfloat16 int8" in key


@pytest.mark.parametrize("value", [1, {}, {"float32": "fast"}, {"float32": 0.0, "bfloat16": 1.0}])
def test_a_broken_entry_is_measured_anew(timings, cache, value):
    names = ("float32", "bfloat16")
    layer_times(SHAPE, names)
    (key,) = json.loads((cache / "precision.json").read_text("utf-8"))
    (cache / "precision.json").write_text(json.dumps({key: value}), "utf-8")
    layer_times.cache_clear()
    assert layer_times(SHAPE, names) == {"float32": 1.0, "bfloat16": 1.0}
    assert len(timings[1]) == 2


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        ((0.002, 0.003, 0.001), "float32 2, bfloat16 3, int8 1 ms a layer"),
        ((1.234, 0.4764, 0.0042), "float32 1,234, bfloat16 476, int8 4.2 ms a layer"),
    ],
)
def test_the_report_has_the_times(timings, seconds, said):
    timings[0].update(zip(("float32", "bfloat16", "int8"), seconds, strict=True))
    assert explain_precision(SHAPE, "cpu", SCALES) == f"'auto' is int8 on cpu ({said})"
    assert explain_precision(SHAPE, "mps", SCALES) == "'auto' is float32 on mps"


def test_a_real_measurement_has_a_time_for_each():
    times = layer_times(SHAPE, ("float32", "int8"))
    assert list(times) == ["float32", "int8"]
    assert min(times.values()) > 0
