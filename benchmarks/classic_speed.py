"""What the classic components cost beside en_core_web_sm, in the same run.

    python -m benchmarks.classic_speed

Each repetition runs the same documents through en_core_web_sm alone and through
en_core_web_sm with the classic components, in turns, and takes the ratio; the median of the
ratios is the result, because single times on a shared machine mean little. What each
component takes by itself is measured in the same repetition, on Docs that carry what the
components before it wrote. The grammar parser is left out: its cost is set by its grammar.
``nltk_ner`` needs a model; one is trained first on ``examples/entities.conll``.
"""

from __future__ import annotations

import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from spacy.language import Language

from benchmarks.common import (
    ROOT,
    SEMCOR,
    in_turns,
    joined,
    median_ratio,
    plain_texts,
    publish,
    run_command,
    seconds,
    small_pipeline,
)
from spacy_attn.cli import main as command_line

EXAMPLES = ROOT / "examples" / "entities.conll"
N_DOCUMENTS, N_SENTENCES, REPETITIONS = 100, 10, 7
COMPONENTS = ("nltk_stemmer", "nltk_chunker", "nltk_ner", "relation_extractor", "word2vec")


def ten_sentences() -> list[str]:
    """Ten sentences of SemCor make a document."""
    return joined(plain_texts(SEMCOR, N_DOCUMENTS * N_SENTENCES), N_SENTENCES)


def with_classic() -> Language:
    """en_core_web_sm and the classic components with their default settings."""
    nlp = small_pipeline()
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "entities.tagger")
        command_line(["train-chunker", str(EXAMPLES), "--task", "entities", "-o", str(model)])
        for name in COMPONENTS:
            config: dict[str, Any] = {"model": str(model)} if name == "nltk_ner" else {}
            nlp.add_pipe(name, config=config)
        nlp("Bats fly at night.")  # reads the model while it is there
    return nlp


def component_times(nlp: Language, texts: list[str]) -> dict[str, float]:
    """Seconds of each component over the same Docs."""
    with nlp.select_pipes(disable=list(COMPONENTS)):
        docs = list(nlp.pipe(texts))

    def work(pipe: Any) -> None:
        for i, doc in enumerate(pipe.pipe(docs) if hasattr(pipe, "pipe") else map(pipe, docs)):
            docs[i] = doc

    return {name: seconds(partial(work, nlp.get_pipe(name))) for name in COMPONENTS}


def main() -> None:
    texts = ten_sentences()
    base, full = small_pipeline(), with_classic()
    n_words = sum(len(base.make_doc(text)) for text in texts)
    seconds(lambda: full.pipe(texts))  # caches fill, vectors load
    parts: list[dict[str, float]] = []
    work = {
        "en_core_web_sm": lambda: base.pipe(texts),
        "with_classic": lambda: full.pipe(texts),
        "parts": lambda: parts.append(component_times(full, texts)),
    }
    times = in_turns(work, REPETITIONS)
    alone, both = times["en_core_web_sm"], times["with_classic"]
    result = {
        "n_documents": len(texts),
        "n_words": n_words,
        "repetitions": REPETITIONS,
        **median_ratio(both, alone),
        "words_per_second": {
            name: round(n_words / statistics.median(times[name]))
            for name in ("en_core_web_sm", "with_classic")
        },
        "share_of_en_core_web_sm": {
            name: median_ratio([part[name] for part in parts], alone)["ratio"]
            for name in COMPONENTS
        },
    }
    publish("classic-speed", result, ".classic_speed", [SEMCOR, EXAMPLES], shown="classic-cost")


if __name__ == "__main__":
    run_command(main, __doc__)
