"""Which way of the encoder is taken, and how that is remembered. No test depends on real time."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
import torch

from spacy_attn.encoder import tuning
from spacy_attn.encoder.attention import ATTENTION_WAYS
from spacy_attn.encoder.linear import LINEAR_WAYS
from spacy_attn.encoder.tuning import Choice, Shape, fastest, measure, pick_choice
from spacy_attn.errors import ConfigError

SHAPE = Shape(32, 64, 2, torch.float32)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, nothing set, nothing remembered."""
    monkeypatch.setenv("SPACY_ATTN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SPACY_ATTN_ENGINE", raising=False)
    tuning._remembered_or_measured.cache_clear()
    yield tmp_path / "cache"
    tuning._remembered_or_measured.cache_clear()


@pytest.fixture
def timings(monkeypatch):
    """Seconds of each way that a test sets; all ways are still computed once."""
    seconds: dict[object, float] = {}
    asked: list[tuple[object, ...]] = []

    def fake(ways, clock=None):
        asked.append(tuple(ways))
        for run in ways.values():
            run()
        return {way: seconds.get(way, 1.0) for way in ways}

    monkeypatch.setattr(tuning, "measure", fake)
    return seconds, asked


class TestMeasure:
    @staticmethod
    def measured(**costs):
        now, left = [0.0], {name: iter(each) for name, each in costs.items()}

        def run(name):
            now[0] += next(left[name])

        ways = {name: lambda name=name: run(name) for name in costs}
        return measure(ways, clock=lambda: now[0]), {
            name: list(each) for name, each in left.items()
        }

    def test_the_fastest_turn_counts_and_the_first_run_does_not(self):
        second = 2.0**-10
        a, b = (50, 4, 2, 3, 9), (1, 5, 5, 5, 5)
        found, left = self.measured(a=[n * second for n in a], b=[n * second for n in b])
        assert found == {"a": 2 * second, "b": 5 * second}
        assert left == {"a": [], "b": []}

    def test_on_a_busy_machine_there_is_one_turn(self):
        found, left = self.measured(a=[9.0, 2.0, 1.0], b=[9.0, 4.0, 1.0])
        assert found == {"a": 2.0, "b": 4.0}
        assert left == {"a": [1.0], "b": [1.0]}

    def test_the_fastest_is_taken(self):
        assert fastest({"a": 2.0, "b": 1.0, "c": 1.5}) == "b"
        assert fastest({"a": 1.02, "b": 1.0}) == "a"  # as good as the same
        assert fastest({"a": 1.04, "b": 1.0}) == "b"


class TestChoice:
    @pytest.mark.parametrize("linear", LINEAR_WAYS)
    @pytest.mark.parametrize("attention", ATTENTION_WAYS)
    @pytest.mark.parametrize("step", [1, 8])
    def test_it_is_the_fastest_of_the_measured(self, timings, linear, attention, step):
        seconds, asked = timings
        seconds.update(dict.fromkeys((linear, attention, step), 0.5))
        assert pick_choice(SHAPE) == Choice(linear, attention, step)
        assert asked == [LINEAR_WAYS, ATTENTION_WAYS, (1, 8)]

    def test_a_real_measurement_gives_one_of_the_ways(self):
        choice = pick_choice(SHAPE)
        assert choice.linear in LINEAR_WAYS
        assert choice.attention in ATTENTION_WAYS
        assert choice.step in (1, 8)

    def test_half_precision_keeps_few_kernels(self, timings):
        timings[0]["three_steps"] = 0.1
        choice = pick_choice(Shape(32, 64, 2, torch.bfloat16))
        assert (choice.attention, choice.step) == ("one_kernel", 8)
        assert timings[1][1:] == [("one_kernel",), (8, 16)]

    def test_without_fused_layers_the_plain_ones_are_all_there_is(self, timings, monkeypatch):
        monkeypatch.setattr(tuning, "fused_linear_works", lambda dtype: False)
        assert pick_choice(SHAPE).linear == "plain"
        assert timings[1][0] == ("plain",)
        monkeypatch.setenv("SPACY_ATTN_ENGINE", "linear=fused step=3")
        assert pick_choice(SHAPE) == Choice("plain", step=3)

    def test_other_devices_measure_nothing(self, timings):
        assert pick_choice(SHAPE, "cuda:0") == Choice("plain")
        assert timings[1] == []


class TestMemory:
    def test_it_is_measured_once(self, timings, cache):
        seconds, asked = timings
        seconds["plain"] = 0.1
        first = pick_choice(SHAPE)
        tuning._remembered_or_measured.cache_clear()  # as in another process
        seconds.clear()
        assert pick_choice(SHAPE) == first
        assert len(asked) == 3
        (key,) = json.loads((cache / "engine.json").read_text("utf-8"))
        assert f"torch {torch.__version__}" in key
        assert f"{torch.get_num_threads()} threads" in key

    @pytest.mark.parametrize(
        "content", ["", "[]", "{", '{"key": 1}', '{"key": {"linear": "cuda"}}', "[" * 100_000]
    )
    def test_a_broken_file_is_measured_anew(self, timings, cache, content):
        cache.mkdir()
        (cache / "engine.json").write_text(content, "utf-8")
        assert pick_choice(SHAPE) == Choice(step=1)
        assert len(timings[1]) == 3
        assert len(json.loads((cache / "engine.json").read_text("utf-8"))) == 1

    def test_a_value_that_is_not_allowed_is_measured_anew(self, timings, cache):
        cache.mkdir()
        wrong = {**asdict(Choice()), "step": 10**9}
        (cache / "engine.json").write_text(json.dumps({tuning.key_of(SHAPE): wrong}), "utf-8")
        assert pick_choice(SHAPE) == Choice(step=1)

    def test_a_cache_that_cannot_be_written_is_no_error(self, timings, cache, monkeypatch):
        cache.write_text("a file where the folder should be", "utf-8")
        assert pick_choice(SHAPE) == Choice(step=1)

    def test_the_file_stays_small(self, timings, cache):
        for width in range(70):
            tuning._write(f"processor {width}", Choice())
        assert list(json.loads((cache / "engine.json").read_text("utf-8"))) == [
            f"processor {width}" for width in range(6, 70)
        ]

    @pytest.mark.parametrize(
        "other", [Shape(48, 64, 2, torch.float32), Shape(32, 64, 2, torch.bfloat16)]
    )
    def test_another_shape_is_another_measurement(self, other):
        assert tuning.key_of(other) != tuning.key_of(SHAPE)

    def test_other_instructions_are_another_measurement(self, monkeypatch):
        before = tuning.key_of(SHAPE)
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
        assert tuning.key_of(SHAPE) != before


class TestSetting:
    def test_nothing_is_measured_where_it_is_set(self, timings, cache, monkeypatch):
        monkeypatch.setenv("SPACY_ATTN_ENGINE", "default")
        assert pick_choice(SHAPE) == Choice(step=1)
        monkeypatch.setenv("SPACY_ATTN_ENGINE", "attention=three_steps linear=plain")
        assert pick_choice(SHAPE) == Choice("plain", "three_steps", 1)
        assert timings[1] == []
        assert not cache.exists()

    @pytest.mark.parametrize(
        "value", ["fast", "linear=cuda", "step=0", "step=x", "step", "threads=2", "linear=plain,"]
    )
    def test_what_is_not_allowed_is_one_sentence(self, monkeypatch, value):
        monkeypatch.setenv("SPACY_ATTN_ENGINE", value)
        with pytest.raises(ConfigError, match=r"SPACY_ATTN_ENGINE = '.*'; allowed are auto, def"):
            pick_choice(SHAPE)

    @pytest.mark.parametrize(
        ("value", "meant"),
        [
            ("defalt", "default"),
            ("linear=fusd", "linear=fused"),
            ("linear=plain attention=three_step", "attention=three_steps"),
        ],
    )
    def test_what_was_meant_is_said(self, monkeypatch, value, meant):
        monkeypatch.setenv("SPACY_ATTN_ENGINE", value)
        with pytest.raises(ConfigError, match=rf"unset \w+; did you mean '{meant}'\?$"):
            pick_choice(SHAPE)
