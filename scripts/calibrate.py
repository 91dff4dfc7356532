"""Make what ships beside the sense model: temperatures and prepared senses.

    python scripts/calibrate.py
    python scripts/calibrate.py --model accurate

Writes ``spacy_attn/data/calibration.json`` (a temperature for each method, fitted on the
homographs' own examples, each held out in turn) and ``spacy_attn/data/senses-*.safetensors``
(the homographs prepared for the default encoder, so that first use needs no preparation).
With ``--model accurate`` it writes ``calibration.json`` beside that sense model, in
``models/accurate/spacy_attn_accurate``: the temperatures of ``attention`` and ``ensemble``, and
prepared senses.
Run it again whenever the inventory or the sense model changes, then ``calibrate_readings.py``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from spacy_attn.compare.manifest import manifest
from spacy_attn.models import ACCURATE, ACCURATE_ENCODER, DEFAULT_ENCODER
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
from spacy_attn.wsd.methods.calibration import CALIBRATION, temperature_of
from spacy_attn.wsd.methods.ensemble import MEMBERS, Ensemble
from spacy_attn.wsd.methods.registry import DATA, SENSE_MODEL, sense_method, short_names

ROOT = Path(__file__).parents[1]
#: Encoder and sense model by what ``--model`` says. The accurate one is that of the clone, whether
#: its package is installed or not.
MODELS = {
    "default": (DEFAULT_ENCODER, SENSE_MODEL),
    ACCURATE: (
        ACCURATE_ENCODER,
        ROOT / "models" / "accurate" / "spacy_attn_accurate" / "senses_mpnet.safetensors",
    ),
}


def main() -> None:
    """Fit and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", choices=MODELS, default="default")
    name = parser.parse_args().model
    calibrate(name, *MODELS[name])


def calibrate(model: str, encoder: str, path: Path) -> None:
    """Fit the temperatures of a sense model and write them beside it."""
    is_default = path == SENSE_MODEL
    inventory = load_inventory("homographs")
    resources = blank_resources(inventory)
    attention = few_shot_attention(resources, EncoderSettings(encoder), path)

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
    of_model = prepares if is_default else {"attention": attention}  # the rest reads no encoder
    temperatures = temperatures_of(of_model, inventory, resources)
    members = {name: temperatures.get(name, temperature_of(name, None)) for name in MEMBERS}
    together = {"ensemble": _ensemble(prepares, members)}
    temperatures |= temperatures_of(together, inventory, resources)
    command = "python scripts/calibrate.py" + ("" if is_default else f" --model {model}")
    add_to_calibration(
        path,
        {
            "temperatures": temperatures,
            "manifest": manifest(command, [DATA / "homographs.jsonl", path], seed=0),
        },
    )
    for old in path.parent.glob("senses-*.safetensors"):
        old.unlink()
    attention(inventory, [path.parent])
    for made in path.parent.glob("senses-*.safetensors"):
        made.chmod(0o644)
    print(json.dumps(temperatures, indent=1))


def add_to_calibration(sense_model: Path, values: Mapping[str, Any]) -> None:
    """Replace some parts of the calibration beside a sense model; the others stay."""
    file = sense_model.with_name(CALIBRATION)
    before = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    file.write_text(json.dumps({**before, **values}, indent=1) + "\n", encoding="utf-8")


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
