"""Words per second on other processors: the same machine with fewer instructions.

    python -m benchmarks.speed.processors         # 8 minutes
    python -m benchmarks.speed.processors --int8  # 5 minutes; no peer, so nothing is installed

A processor that has more shows what one with less would do: oneDNN, MKL and torch are told which
instructions they may use. Each row is a plain loop over Hugging Face's model (32 documents as they
come, padded to the longest), spacy-transformers and our encoder, float32, int8 and "auto", in
turns; with ``--int8`` the loop, float32 and int8 alone, and of the rows those that are named, the
others kept as they were measured. That emulates instructions, not caches and memory.
"""

from __future__ import annotations

import sys

from benchmarks.common import SEED, SEMCOR, Result, documents, load, publish
from benchmarks.speed.peers import PEERS, measure

WORDS, TURNS = 6_000, 3
BASELINE = "plain loop"
SYSTEMS: dict[str, list[str] | None] = {
    BASELINE: None,
    **{name: PEERS[name] for name in ("spacy-transformers", "spacy_attn, float32")},
    "spacy_attn, int8": None,
    "spacy_attn, auto": None,
}
INT8 = (BASELINE, "spacy_attn, float32", "spacy_attn, int8")
#: What limits the libraries; the last one takes what the processor has.
INSTRUCTIONS: dict[str, dict[str, str]] = {
    "AVX2": {
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
    },
    "AVX2 with VNNI": {
        "ONEDNN_MAX_CPU_ISA": "AVX2_VNNI",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
    },
    "AVX-512": {
        "ONEDNN_MAX_CPU_ISA": "AVX512_CORE",
        "MKL_ENABLE_INSTRUCTIONS": "AVX512",
        "ATEN_CPU_CAPABILITY": "avx512",
    },
    "AVX-512 with VNNI": {
        "ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI",
        "MKL_ENABLE_INSTRUCTIONS": "AVX512",
        "ATEN_CPU_CAPABILITY": "avx512",
    },
    "all": {},
}


def main() -> None:
    is_ours, named = sys.argv[1:2] == ["--int8"], sys.argv[2:]
    systems = {name: SYSTEMS[name] for name in INT8} if is_ours else SYSTEMS
    texts = documents(WORDS)
    rows: Result = load("int8-speed")["rows"] if named else {}
    for name in named or INSTRUCTIONS:
        rows[name] = measure(systems, BASELINE, texts, TURNS, INSTRUCTIONS[name])["systems"]
    n_words = measure({}, BASELINE, texts, 0)["n_words"]
    result = {"n_words": n_words, "turns": TURNS, "baseline": BASELINE, "rows": rows}
    if is_ours:
        publish("int8-speed", result, ".speed.processors --int8", [SEMCOR], seed=SEED)
    else:
        publish("processors", result, ".speed.processors", [SEMCOR], seed=SEED)


if __name__ == "__main__":
    main()
