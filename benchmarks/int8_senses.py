"""What 8-bit integers cost: senses and vectors of ``precision = "int8"`` beside float32.

    python -m benchmarks.int8_senses              # 3 minutes

The method `attention` on *homographs* and ALLamended in both precisions, everything else the same,
through the code of ``spacy-attn compare``. The mean cosines are those that ``spacy-attn
calibrate-int8`` measured on text that the scales were not made from, and one between this processor
and a process that may use AVX2 alone, without VNNI. Nothing is tuned on the sets.
"""

from __future__ import annotations

import json
import sys

import numpy as np

from benchmarks.all_words import ALLAMENDED
from benchmarks.common import SEED, SEMCOR, Result, documents, in_child, publish, run_command
from spacy_attn.compare.experiment import Options, run
from spacy_attn.encoder.huggingface import shared_encoder
from spacy_attn.encoder.int8 import find_scales
from spacy_attn.models import DEFAULT_ENCODER, known_model, weights_sha256
from spacy_attn.settings import EncoderSettings
from spacy_attn.wsd.methods.attention import FEW_SHOT_STRENGTH
from spacy_attn.wsd.methods.registry import DATA, SENSE_MODEL

PRECISIONS = ("float32", "int8")
SETS = {"homographs": None, "ALLamended": ALLAMENDED}
AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
WORDS = 1_000


def senses(name: str) -> list[Result]:
    """Accuracy of both precisions on a set, tested against each other."""
    methods = {
        precision: {"@sense_methods": "spacy_attn.attention.v1", "precision": precision}
        for precision in PRECISIONS
    }
    options = Options(
        SETS[name], methods=methods, baseline="float32", in_process=True, curves=False
    )
    kept = ("name", "accuracy", "ci95", "comparison")
    result = run(options)
    return [
        {"n": result["n"], **{key: row[key] for key in kept}}
        for row in result["systems"]
        if row["name"] in PRECISIONS
    ]


def cosines() -> dict[str, float]:
    """Of the scales that ship, as they were calibrated."""
    known = known_model(DEFAULT_ENCODER)
    weights, adapter = known.weights_sha256 if known else None, weights_sha256(SENSE_MODEL)[:16]
    names = {
        "the encoder as it is": "none",
        f"with the sense model, strength {FEW_SHOT_STRENGTH:g}": f"{adapter}x{FEW_SHOT_STRENGTH:g}",
        "with the sense model, strength 1": adapter,
    }
    found = {name: find_scales(weights or "", each) for name, each in names.items()}
    return {name: each.cosine for name, each in found.items() if each is not None}


def vectors() -> np.ndarray:
    """Of some documents, in int8. *Shape:* (n_documents, width)"""
    return shared_encoder(EncoderSettings(precision="int8")).embed(documents(WORDS))


def without_vnni() -> float:
    """Mean cosine of the vectors to those of a processor without VNNI."""
    here = vectors()
    there = np.array(in_child("int8_senses", "--child", **AVX2))
    norms = np.linalg.norm(here, axis=1) * np.linalg.norm(there, axis=1)
    return round(float(((here * there).sum(1) / norms).mean()), 7)


def main() -> None:
    if sys.argv[1:] == ["--child"]:
        print(json.dumps(vectors().tolist()))
        return
    result: Result = {
        "senses": {name: senses(name) for name in SETS},
        "cosine": cosines(),
        "cosine_without_vnni": without_vnni(),
    }
    files = [ALLAMENDED, SEMCOR, SENSE_MODEL, DATA / "homographs.test.jsonl"]
    publish("int8-senses", result, ".int8_senses", files, seed=SEED)


if __name__ == "__main__":
    run_command(main, __doc__)
