"""The model cards name the models that ship, with the figures of the committed results."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
CARDS = ROOT / "docs" / "models"
DATA = ROOT / "spacy_attn" / "data"
pytestmark = pytest.mark.release


def card(name: str) -> str:
    return (CARDS / f"{name}.md").read_text(encoding="utf-8")


def result(name: str) -> dict[str, Any]:
    text = (ROOT / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


@pytest.mark.parametrize("name", ["senses_minilm", "self_attention", "lemmatizer"])
def test_the_card_names_the_model_that_ships(name: str) -> None:
    digest = hashlib.sha256((DATA / f"{name}.safetensors").read_bytes()).hexdigest()
    assert f"SHA-256 `{digest}`" in card(name.replace("_", "-"))


def test_the_temperatures_are_those_that_ship() -> None:
    shipped = json.loads((DATA / "calibration.json").read_text(encoding="utf-8"))["temperatures"]
    shown = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|$", card("calibration"), re.MULTILINE))
    assert shown == {name: str(value) for name, value in shipped.items()}


def test_figures_of_self_attention_are_those_of_the_results() -> None:
    rows = re.findall(
        r"^\| `(\w+)`.* \| ([\d.]+) \| ([\d,]+) \|$", card("self-attention"), re.MULTILINE
    )
    systems = {system["name"]: system for system in result("comparison")["systems"]}
    assert [name for name, _, _ in rows] == ["self_attention", "word2vec", "attention"]
    for name, accuracy, speed in rows:
        system = systems[name]
        assert accuracy == f"{system['accuracy'] * 100:.1f}"
        assert speed == f"{system['words_per_second']:,.0f}"


def test_calibration_errors_are_those_of_the_results() -> None:
    shown = dict(re.findall(r"`(\w+)`\s(0\.\d{3})", card("calibration")))
    systems = {system["name"]: system for system in result("comparison")["systems"]}
    assert len(shown) == 6
    assert shown == {name: f"{systems[name]['calibration_error']:.3f}" for name in shown}


def test_accuracy_is_that_of_the_results() -> None:
    accuracy = {system["name"]: system["accuracy"] for system in result("comparison")["systems"]}
    for name, method in [("senses-minilm", "attention"), ("self-attention", "self_attention")]:
        assert f"{accuracy[method] * 100:.1f}" in card(name)
