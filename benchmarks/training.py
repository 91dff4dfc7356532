"""What is lost between the trained sense model and the file that ships.

    python -m benchmarks.training runs/senses [runs/other ...]

Takes the folder of a finished ``spacy-attn train-senses`` run, and those that it was averaged with,
writes the model at several ranks (of the encoder's change) and widths (of the sense vectors, eight
bits a number), and measures each on SemCor's held-out documents through the same code as the
component, beside the trained model as it is. No evaluation set is touched. The result holds the
curve of the training as well.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from benchmarks.all_words import ambiguous, labelled
from benchmarks.common import MASC, SEMCOR, Result, publish, run_command
from spacy_attn.compare.dataset import dataset_of
from spacy_attn.compare.systems import MethodSystem
from spacy_attn.compare.task import Task, gold_task, right_of
from spacy_attn.models import resolve_encoder
from spacy_attn.train.averaging import average_with
from spacy_attn.train.corpora import read_semcor, split_corpora
from spacy_attn.train.export import base_of, write_sense_model
from spacy_attn.train.half import load_trained
from spacy_attn.train.held_out import blank_resources
from spacy_attn.train.rows import rows_of
from spacy_attn.train.sense_config import TrainConfig
from spacy_attn.train.sense_model import RESULT as MODEL
from spacy_attn.train.sense_model import open_trainer
from spacy_attn.train.sense_table import SenseTable
from spacy_attn.train.senses import SenseTrainer
from spacy_attn.train.thin import thick
from spacy_attn.wsd.inventory.jsonl import load_inventory
from spacy_attn.wsd.inventory.wordnet import wordnet_inventory
from spacy_attn.wsd.inventory.wordnet_files import WordNet

SIZES = ((384, 384), (112, 192), (64, 192), (64, 128), (32, 192))  # rank and width; first: whole


def accuracy_of(path: Path, task: Task) -> float:
    """Accuracy of a written model."""
    method = {"@sense_methods": "spacy_attn.attention.v1", "sense_model": str(path)}
    answers = MethodSystem(method)(task, lambda done, total: None)
    return float(right_of(task, answers.predictions).mean())


def trained(
    folder: Path, others: list[Path], model: str, config: TrainConfig
) -> tuple[SenseTrainer, Any, str]:
    """The trainer of a finished run, the untrained encoder and its hash."""
    resolved = resolve_encoder(model)
    base, base_sha256 = base_of(resolved.path)
    table = SenseTable(WordNet(), wordnet_inventory())
    trainer = open_trainer(model, resolved.path, table, config, folder, base, base_sha256, None)
    saved = torch.load(folder / "checkpoint.pt", weights_only=True, map_location=trainer.device)
    load_trained(trainer.encoder, saved["encoder"])
    trainer.network.load_state_dict(thick(saved["network"]))
    average_with(trainer, others)
    return trainer, base, base_sha256


def _run(folder: Path) -> Result:
    """What another run was trained with, and its curve."""
    saved = torch.load(folder / "checkpoint.pt", weights_only=True)
    return {"config": saved["config"], "curve": saved["curve"]}


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit("give the folder of a finished run: python -m benchmarks.training runs/senses")
    folder, *others = map(Path, sys.argv[1:])
    with safe_open(folder / MODEL, framework="numpy") as file:
        notes = json.loads(file.metadata()["manifest"])
        width_shipped = len(file.get_tensor("wordnet.project"))
    config = TrainConfig(**notes["config"])
    trainer, base, base_sha256 = trained(folder, others, notes["base_model"], config)
    wordnet, inventory = trainer.table.wordnet, wordnet_inventory()
    split = split_corpora(list(read_semcor(SEMCOR, wordnet)), [], [])
    rows = rows_of(split.held_out["semcor"], trainer.tokenizer, trainer.table.word_target)
    resources = blank_resources(load_inventory("homographs"))
    sentences = labelled(split.held_out["semcor"], wordnet)
    dataset = ambiguous(dataset_of("semcor, held out", sentences), inventory)
    task = gold_task(dataset, inventory, resources)
    written = []
    with tempfile.TemporaryDirectory() as temporary:
        for rank, width in SIZES:
            path = Path(temporary, f"{rank}-{width}.safetensors")
            write_sense_model(
                path,
                trainer,
                base,
                base_sha256,
                rank=rank,
                width=width,
                seen=trainer.table.seen([]),
                few_shot=notes["few_shot"],
            )
            size, accuracy = round(path.stat().st_size / 1e6, 2), accuracy_of(path, task)
            written.append(
                {"rank": rank, "width": width, "mb": size, "accuracy": round(accuracy, 4)}
            )
            print(written[-1], flush=True)
    result = {
        "what": "training of spacy_attn/data/senses_minilm.safetensors, and what its size costs; "
        "held out: a tenth of SemCor's documents, words with at least two senses",
        "base_model": notes["base_model"],
        "config": asdict(config),
        "curve": notes["curve"],
        "averaged": notes["averaged"],
        "averaged_with": [_run(other) for other in others],
        "few_shot": notes["few_shot"],
        "temperature": notes["wordnet"]["temperature"],
        "as_trained": trainer.accuracy(rows),
        "written": written,
        "shipped": {"rank": notes["rank"], "width": width_shipped},
    }
    publish("train-senses", result, ".training", [SEMCOR, MASC], seed=config.seed)


if __name__ == "__main__":
    run_command(main, __doc__, None)
