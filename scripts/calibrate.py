"""Make what ships beside the sense model: temperatures and prepared senses.

    python scripts/calibrate.py

Writes ``spacy_attn/data/calibration.json`` (a temperature for each method, fitted on the
homographs' own examples, each held out in turn) and ``spacy_attn/data/senses-*.safetensors``
(the homographs prepared for the default encoder, so that first use needs no preparation).
Run it again whenever the inventory or the sense model changes, then ``calibrate_readings.py``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial

from spacy_attn.compare.manifest import manifest
from spacy_attn.settings import EncoderSettings
from spacy_attn.train.held_out import (
    Prepare,
    blank_resources,
    few_shot_attention,
    held_out_scores,
)
from spacy_attn.wsd.context import Resources
from spacy_attn.wsd.decide import fit_temperature
from spacy_attn.wsd.inventory.jsonl import Inventory, load_inventory
from spacy_attn.wsd.method import FittedMethod
from spacy_attn.wsd.methods.ensemble import MEMBERS, Ensemble
from spacy_attn.wsd.methods.registry import DATA, SENSE_MODEL, sense_method, short_names


def main() -> None:
    """Fit and write."""
    inventory = load_inventory("homographs")
    resources = blank_resources(inventory)
    attention = few_shot_attention(resources, EncoderSettings(), SENSE_MODEL)

    def prepare(name: str, part: Inventory) -> FittedMethod:
        return sense_method(name).prepare(part, resources)

    prepares: dict[str, Prepare] = {
        name: partial(prepare, name)
        for name in short_names()
        # Examples are written evenly over the senses: they say nothing of frequencies. What a
        # cascade says is calibrated by its two methods; self_attention brings its temperature.
        if name
        not in ("random", "first_sense", "cascade", "ensemble", "attention", "self_attention")
    }
    prepares["attention"] = attention
    temperatures = temperatures_of(prepares, inventory, resources)
    together = {"ensemble": _ensemble(prepares, temperatures)}
    temperatures |= temperatures_of(together, inventory, resources)
    result = {
        "temperatures": temperatures,
        "manifest": manifest(
            "python scripts/calibrate.py", [DATA / "homographs.jsonl", SENSE_MODEL], seed=0
        ),
    }
    file = DATA / "calibration.json"
    result = {**json.loads(file.read_text(encoding="utf-8")), **result}  # and calibrate_readings.py
    file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for old in DATA.glob("senses-*.safetensors"):
        old.unlink()
    attention(inventory, [DATA])
    for path in DATA.glob("senses-*.safetensors"):
        path.chmod(0o644)
    print(json.dumps(temperatures, indent=1))


def temperatures_of(
    methods: Mapping[str, Prepare], inventory: Inventory, resources: Resources
) -> dict[str, float]:
    """The temperature of each method, fitted on the examples, each held out in turn."""
    found = {
        name: held_out_scores(prepare, inventory, resources) for name, prepare in methods.items()
    }
    return {name: round(fit_temperature(*scores), 4) for name, scores in found.items()}


def _ensemble(prepares: dict[str, Prepare], temperatures: dict[str, float]) -> Prepare:
    """The default ensemble, its methods calibrated as just fitted."""

    def prepare(part: Inventory) -> FittedMethod:
        fitted = [prepares[name](part) for name in MEMBERS]
        for name, method in zip(MEMBERS, fitted, strict=True):
            method.temperature = temperatures[name]  # type: ignore[misc]
        return Ensemble(fitted)

    return prepare


if __name__ == "__main__":
    main()
