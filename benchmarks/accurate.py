"""The accurate model beside the default one on the bundled test set.

    python -m benchmarks.accurate

Needs the package of ``models/accurate`` and its encoder (``python -m benchmarks.mpnet``). Its rows
on running text are those of ``benchmarks.all_words``.
"""

from __future__ import annotations

from benchmarks.common import ACCURATE_METHOD, SEED, publish, run_command
from spacy_attn.compare import experiment
from spacy_attn.compare.dataset import BUNDLED
from spacy_attn.compare.experiment import Options
from spacy_attn.models import ACCURATE, sense_model_file
from spacy_attn.wsd.methods.registry import DATA, SENSE_MODEL, MethodSpec


def main() -> None:
    methods: dict[str, MethodSpec] = {
        "attention": "attention",
        "attention, accurate": ACCURATE_METHOD,
    }
    result = experiment.run(Options(methods=methods, curves=False))
    kept = {key: value for key, value in result.items() if key not in ("instances", "manifest")}
    files = [DATA / "homographs.jsonl", BUNDLED, SENSE_MODEL, sense_model_file(ACCURATE)]
    publish("accurate", kept, ".accurate", files, seed=SEED)


if __name__ == "__main__":
    run_command(main, __doc__)
