"""What the written corpus is worth: a learning curve over 0 to 64,000 sentences.

    python -m benchmarks.written_corpus

Each point trains the published encoder for the same number of steps on every fourth training
document of SemCor and so many sentences of ``corpus/``. Measured are SemCor's held-out documents,
three genres of MASC, and a fifth of the written words, of which no written sentence was trained on
(SemCor may hold the words). A run that was stopped goes on; no evaluation set is touched.
The picture is ``docs/figures/written-corpus.svg``.
"""

from __future__ import annotations

import random
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.common import MASC, ROOT, SEMCOR, Result, need, publish, run_command
from benchmarks.tables.corpus import scores_of
from spacy_attn.compare.report.figures import Picture, as_svg
from spacy_attn.encoder.precision import has_bf16
from spacy_attn.models import DEFAULT_ENCODER, resolve_encoder
from spacy_attn.train.balance import Corpus, balanced
from spacy_attn.train.corpora import (
    Split,
    TaggedSentence,
    read_masc,
    read_semcor,
    read_written,
    split_corpora,
)
from spacy_attn.train.export import base_of
from spacy_attn.train.rows import Row, passages, rows_of
from spacy_attn.train.sense_config import TrainConfig
from spacy_attn.train.sense_model import open_trainer
from spacy_attn.train.sense_table import SenseTable
from spacy_attn.wsd.inventory.wordnet import wordnet_inventory
from spacy_attn.wsd.inventory.wordnet_files import WordNet

SIZES = (0, 8_000, 16_000, 32_000, 64_000)
CONFIG = TrainConfig(
    epochs=20,
    steps=200,
    batch_pieces=2048,
    learning_rate=2e-4,
    residual_rate=6e-4,
    shift=0.5,
    precision="bf16" if has_bf16() else "fp32",
)
CORPUS = ROOT / "corpus"
PICTURE = ROOT / "docs" / "figures" / "written-corpus.svg"
RUNS = ROOT / "build" / "written-corpus"
#: Of the held-out sentences of each set so many are measured, one in so many.
_MOST, _EVERY = {"masc": 600}, {"written": 4}


def corpora(wordnet: WordNet) -> Split:
    """SemCor, MASC for measuring, and the written corpus, split."""
    need(SEMCOR, "SemCor")
    need(MASC, "MASC")
    return split_corpora(
        list(read_semcor(SEMCOR, wordnet)),
        list(read_masc(MASC, wordnet)),
        [],
        written=list(read_written(CORPUS)),
    )


def measured(split: Split) -> dict[str, list[TaggedSentence]]:
    """The held-out sentences that are measured."""
    out = {}
    for name, sentences in split.held_out.items():
        kind = name.partition(":")[0]
        out[name] = sentences[:: _EVERY.get(kind, 1)][: _MOST.get(kind)]
    return out


def point(
    n: int, semcor: list[Corpus], written: list[Row], held_out: dict[str, list[Row]], trainer: Any
) -> Result:
    """Train with n written sentences and measure."""
    documents = [*semcor, ("written", written[:n])] if n else semcor
    rows = balanced(documents, CONFIG.weight, shift=CONFIG.shift)

    def evaluate() -> dict[str, float]:
        if trainer.step < CONFIG.steps:  # the end of an epoch, not of the run
            return {}
        found = {name: trainer.accuracy(each) for name, each in held_out.items()}
        return {f"{name}:{key}": value for name, of in found.items() for key, value in of.items()}

    def report(record: dict[str, Any]) -> None:
        if record.get("batch", 0) % 100 == 0:
            print(n, record, flush=True)

    trainer.train(rows, evaluate, report)
    last = trainer.curve[-1]
    seconds = round(sum(record["seconds"] for record in trainer.curve), 1)
    scores = {key: value for key, value in last.items() if ":" in key}
    return {"written": n, "seconds": seconds, **scores}


def draw(result: Result, path: Path = PICTURE) -> None:
    """Accuracy against the number of written sentences."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    sizes = [point["written"] for point in result["points"]]
    for (name, values), marker in zip(scores_of(result).items(), "os^D", strict=True):
        axes.plot(sizes, [100 * value for value in values], marker=marker, label=name)
    axes.set_xlabel("written sentences")
    axes.set_ylabel("accuracy, %")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.grid(axis="y", alpha=0.3)
    figure.legend(loc="outside right upper", frameon=False)
    title = "Accuracy by written sentences"
    picture = Picture(path.stem, title, f"{title}; the table has the values.", figure)
    path.write_text(as_svg(picture), encoding="utf-8")


def main() -> None:
    wordnet = WordNet()
    table = SenseTable(wordnet, wordnet_inventory())
    resolved = resolve_encoder(DEFAULT_ENCODER)
    base, base_sha256 = base_of(resolved.path)
    split = corpora(wordnet)

    def trainer_of(n: int) -> Any:
        folder = RUNS / str(n)
        folder.mkdir(parents=True, exist_ok=True)
        for made in (RUNS / "0").glob("glosses-*.npy"):  # the same for all
            if not (folder / made.name).exists():
                (folder / made.name).hardlink_to(made)
        return open_trainer(
            DEFAULT_ENCODER, resolved.path, table, CONFIG, folder, base, base_sha256, None
        )

    tokenizer = trainer_of(0).tokenizer

    def rows(sentences: list[TaggedSentence]) -> list[Row]:
        return rows_of(passages(sentences), tokenizer, table.word_target)

    documents = [d for d in split.train if d[0].genre == "semcor"]
    semcor = [("semcor", rows(document)) for document in documents[::4]]
    written = rows([s for d in split.train for s in d if s.genre == "written"])
    random.Random(0).shuffle(written)  # noqa: S311 - an order, no secret
    held_out = {name: rows(sentences) for name, sentences in measured(split).items()}
    points = []
    for n in SIZES:
        points.append(point(n, semcor, written, held_out, trainer_of(n)))
        print(points[-1], flush=True)
    result = {
        "what": "the sense model after the same number of steps on every fourth training document "
        "of SemCor and so many written sentences",
        "config": asdict(CONFIG),
        "n_held_out": {k: sum(len(r.targets) for r in rows_) for k, rows_ in held_out.items()},
        "points": points,
    }
    files: list[Path] = [SEMCOR, MASC, *sorted(CORPUS.glob("*.tsv"))]
    publish("written-corpus", result, ".written_corpus", files, seed=CONFIG.seed)
    draw(result)


if __name__ == "__main__":
    run_command(main, __doc__)
