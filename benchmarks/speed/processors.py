"""Words per second on other processors: the same machine with fewer instructions.

    python -m benchmarks.speed.processors                     # all rows, 10 minutes
    python -m benchmarks.speed.processors "AVX2" "AVX-512"    # these alone

A processor that has more shows what one with less would do: oneDNN, MKL and torch are told which
instructions they may use. That emulates instructions, not caches and memory, so each row names its
processor. Each is a plain loop over Hugging Face's model (32 documents as they come, padded to the
longest), spacy-transformers and our encoder, float32, int8 and "auto", in turns. Rows that are not
named stay as they were measured.
"""

from __future__ import annotations

import sys

from benchmarks.common import (
    SEED,
    SEMCOR,
    Result,
    documents,
    load,
    publish,
    run_command,
)
from benchmarks.speed.peers import PEERS, measure
from spacy_attn.compare.manifest import processor
from spacy_attn.encoder.processor import cpu_flags

WORDS, TURNS = 6_000, 3
BASELINE = "plain loop"
SYSTEMS: dict[str, list[str] | None] = {
    BASELINE: None,
    **{name: PEERS[name] for name in ("spacy-transformers", "spacy_attn, float32")},
    "spacy_attn, int8": None,
    "spacy_attn, auto": None,
}


def _limits(onednn: str, mkl: str, aten: str) -> dict[str, str]:
    return {
        "ONEDNN_MAX_CPU_ISA": onednn,
        "MKL_ENABLE_INSTRUCTIONS": mkl,
        "ATEN_CPU_CAPABILITY": aten,
    }


#: What a processor must have for a row, and what limits the libraries to it.
INSTRUCTIONS: dict[str, tuple[str, dict[str, str]]] = {
    "AVX2": ("avx2", _limits("AVX2", "AVX2", "avx2")),
    "AVX2 with VNNI": ("avx_vnni", _limits("AVX2_VNNI", "AVX2", "avx2")),
    "AVX-512": ("avx512f", _limits("AVX512_CORE", "AVX512", "avx512")),
    "AVX-512 with VNNI": ("avx512_vnni", _limits("AVX512_CORE_VNNI", "AVX512", "avx512")),
    "AMX": ("amx_bf16", {}),
}


def main() -> None:
    texts = documents(WORDS)
    rows: Result = load("processors")["rows"]
    flags = cpu_flags()
    for name in sys.argv[1:] or INSTRUCTIONS:
        needed, limits = INSTRUCTIONS[name]
        if needed not in flags:
            print(f"{name}: this processor has no {needed}; the row stays as it was measured")
            continue
        found = measure(SYSTEMS, BASELINE, texts, TURNS, limits)
        rows[name] = {"processor": processor(), "systems": found["systems"]}
    n_words = measure({}, BASELINE, texts, 0)["n_words"]
    result = {"n_words": n_words, "turns": TURNS, "baseline": BASELINE, "rows": rows}
    publish("processors", result, ".speed.processors", [SEMCOR], seed=SEED)


if __name__ == "__main__":
    run_command(main, __doc__, None)
