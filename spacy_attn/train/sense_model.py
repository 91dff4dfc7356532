"""The whole way from corpora to a sense model: read, split, train, choose settings, write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spacy_attn.encoder.device import training
from spacy_attn.encoder.precision import has_bf16
from spacy_attn.errors import ConfigError, ResourceError
from spacy_attn.models import resolve_encoder
from spacy_attn.train.averaging import average_with
from spacy_attn.train.balance import balanced
from spacy_attn.train.corpora import (
    Split,
    TaggedSentence,
)
from spacy_attn.train.export import (
    base_of,
    choose_few_shot_settings,
    set_few_shot,
    temperature_of,
    write_sense_model,
)
from spacy_attn.train.finished import is_finished, run_of
from spacy_attn.train.own_labels import add_labels, labelled_sentences
from spacy_attn.train.rows import Row, TargetOf, rows_of
from spacy_attn.train.sense_config import TrainConfig
from spacy_attn.train.sense_sources import (
    TRAINED_ON_LAST,
    SenseSources,
    add_everything,
    add_untagged,
    documents_read,
    held_out_that_was_read,
    joined,
    seen_senses,
    sizes,
)
from spacy_attn.train.sense_table import SenseTable
from spacy_attn.train.senses import SenseTrainer
from spacy_attn.train.teacher import ask_teachers
from spacy_attn.wsd.inventory.jsonl import Inventory, load_inventory
from spacy_attn.wsd.inventory.labelled import labels_to_train_on
from spacy_attn.wsd.inventory.wordnet import WordNetInventory
from spacy_attn.wsd.inventory.wordnet_files import WordNet
from spacy_attn.wsd.methods.attention_wordnet import SenseVectors
from spacy_attn.wsd.methods.sense_head import SenseHead, read_arrays

RESULT = "senses.safetensors"
_WINDOW = 256, 64  # wordpieces of a window and of an overlap, while settings are chosen
_RUNNING = frozenset({"semcor", "texts"})  # held-out text that is like what senses are asked of
_FEW_SHOT = {"ridge": 1.0, "gloss_weight": 0.1}  # until they are chosen

Report = Callable[[dict[str, Any]], None]


@training()
def train_sense_model(
    model: str,
    output: Path,
    config: TrainConfig,
    sources: SenseSources,
    *,
    everything: bool = False,
    rank: int = 112,
    width: int = 192,
    untagged: bool = False,
    report: Report | None = None,
    limit: int | None = None,
) -> Path:
    """Train on SemCor, MASC, further tagged text and WordNet's examples, or on your own labels.

    Args:
        model: the encoder, found by the resolver.
        output: folder for checkpoints, ``curve.json`` and the result.
        config: see :class:`~.sense_config.TrainConfig`.
        sources: the files.
        everything: train also on what is held out of SemCor and of the written corpus: for a last
            run, after all was chosen. What the run then measures says nothing.
        rank: of the encoder's change, as it is kept.
        width: of the sense vectors, as they are kept.
        untagged: learn from the teachers also what words without a tag mean.
        report: called with the state of the run: what is done (``stage``), what to know (``note``),
            every 25 batches, and after every epoch.
        limit: train on this many documents only.

    Returns:
        The sense model, ``output/senses.safetensors``.

    Raises:
        ConfigError: labels of other senses or too few of them, or the result of other options
            stands in ``output``.
        ResourceError: the encoder or WordNet is missing.
        InventoryError: a label is broken.
    """
    path = output / RESULT
    run = run_of(
        {
            **asdict(config),
            "model": model,
            "inventory": "file" if sources.inventory_file else str(sources.inventory),
            "rank": rank,
            "width": width,
            "everything": everything,
            "untagged": untagged,
            "limit": limit,
        },
        sources.by_option(),
    )
    if is_finished(path, run, report, packing=("rank", "width")):
        return path
    before = SenseVectors.load(sources.start) if sources.start is not None else None
    if before is not None and sources.semcor is None:
        config = replace(config, prior=before.prior)
    say = _stages(report)
    say("reading WordNet")
    table, sentences = _senses(sources)
    say("loading the encoder")
    _note_emulation(config, report)
    resolved = resolve_encoder(model)
    base, base_sha256 = base_of(resolved.path)
    trainer = open_trainer(
        model,
        resolved.path,
        table,
        config,
        output,
        base,
        base_sha256,
        sources.start,
        with_neighbours=sources.semcor is not None,
        senses_from=sources.senses_from,
        report=report,
    )
    say("reading corpora")
    corpora = sources.corpora(table.wordnet)
    if corpora is not None and everything:
        add_everything(corpora)
    if corpora is not None and untagged:
        add_untagged(corpora, table.wordnet, limit, say)
    documents, held_out = _material(corpora, sources.teachers, trainer, limit, report)
    if sources.data is not None:
        add_labels(sentences, trainer, documents, held_out)
    say("training")
    trainer.train(documents, lambda: _evaluate(trainer, held_out), report)
    averaged = _average(trainer, sources.average, held_out, report)
    if corpora is not None:
        say("fitting the vectors of senses")
        trainer.fit_senses(documents)
        if config.final_prior is not None:
            trainer.config = config = replace(config, prior=config.final_prior)
    read = frozenset(TRAINED_ON_LAST if everything else ())
    if sources.start is not None:
        read |= held_out_that_was_read(read_arrays(sources.start, "head", ())[0])
    temperature = _temperature(trainer, held_out, before, read)
    say("writing the model")
    notes = {
        "base_model": model,
        "corpora": sources.hashes(),
        "held_out_that_was_read": sorted(read),
        "curve": trainer.curve,
        "averaged": averaged,
    }
    seen = seen_senses(table, corpora, config)
    if before is not None:
        seen |= before.seen
    chosen_on = table.inventory or load_inventory("homographs")
    n_labels = len(documents) + len(held_out.get("own", ()))
    kept = _kept_few_shot(sources.start, n_labels, chosen_on) if corpora is None else None
    write_sense_model(
        path,
        trainer,
        base,
        base_sha256,
        rank=rank,
        width=width,
        seen=seen,
        few_shot=kept or _FEW_SHOT,
        temperature=temperature,
        prior=config.prior,
        start=sources.start,
        notes=notes if kept is None else {**notes, "run": run},
    )
    if kept is None:
        say("choosing the settings for examples")
        # A run that is stopped before this has not finished.
        set_few_shot(path, choose_few_shot_settings(model, path, chosen_on, *_WINDOW), run=run)
    return path


def _senses(sources: SenseSources) -> tuple[SenseTable, list[TaggedSentence]]:
    """The senses to train on, and a user's labels as sentences."""
    lexicon, data = WordNetInventory(), sources.data
    is_own = data is not None and str(sources.inventory) != "wordnet"
    own = load_inventory(sources.inventory) if is_own else None
    labels = labels_to_train_on(data, own or lexicon) if data else []
    named = {label.sense for label in labels}
    table = SenseTable(WordNet(), lexicon, own, named, rivals=sources.semcor is not None)
    return table, labelled_sentences(labels, table)


def _note_emulation(config: TrainConfig, report: Report | None) -> None:
    if report and config.precision == "bf16" and not has_bf16():
        report({"note": "this processor emulates bf16: --precision fp32 is several times as fast"})


def _average(
    trainer: SenseTrainer,
    folders: Sequence[Path],
    held_out: dict[str, list[Row]],
    report: Report | None,
) -> dict[str, Any] | None:
    """Average the weights with those of other runs; the accuracy afterwards."""
    if not folders:
        return None
    average_with(trainer, folders)
    averaged = {"runs": 1 + len(folders), **_evaluate(trainer, held_out)}
    if report:
        report(averaged)
    return averaged


def _temperature(
    trainer: SenseTrainer,
    held_out: dict[str, list[Row]],
    before: SenseVectors | None,
    read: frozenset[str],
) -> float:
    """Fitted on what is held out; where all of it was read, that of the model to go on from."""
    unread = {name: rows for name, rows in held_out.items() if name not in read}
    if before is not None and held_out.keys() & _RUNNING and not unread.keys() & _RUNNING:
        return before.temperature
    return temperature_of(trainer, unread)


def _kept_few_shot(
    start: Path | None, n_labels: int, inventory: Inventory
) -> dict[str, float] | None:
    """Those for examples of the model to go on from; None where choosing anew is worth the time."""
    n_examples = sum(len(sense.examples) for sense in inventory.senses)
    if start is None or n_labels >= n_examples > 0:
        return None
    head = SenseHead.load(start)
    return {"ridge": head.ridge, "gloss_weight": head.gloss_weight}


def _stages(report: Report | None) -> Callable[[str], None]:
    """Says what is done next."""

    def say(stage: str) -> None:
        if report:
            report({"stage": stage})

    return say


def open_trainer(
    model: str,
    folder: Path,
    table: SenseTable,
    config: TrainConfig,
    output: Path,
    base: Any,
    base_sha256: str,
    start: Path | None,
    *,
    with_neighbours: bool = False,
    senses_from: Path | None = None,
    report: Report | None = None,
) -> SenseTrainer:
    """A trainer of an encoder, or of one that a sense model changed already.

    Args:
        model: name of the encoder.
        folder: where it lies.
        table: the senses.
        config: of the run.
        output: its folder.
        base: the untrained encoder.
        base_sha256: hash of its weights.
        start: the sense model, or None.
        with_neighbours: whether the senses of a model to go on from learn from neighbours too.
        senses_from: see :func:`train_sense_model`.
        report: see :class:`SenseTrainer`.
    """
    from transformers import AutoModel, AutoTokenizer

    from spacy_attn.encoder.loading import Adapter, merge_adapter, quiet_loading

    # Eager attention: the backward pass of the fused kernel is slow on a CPU.
    eager = None if torch.cuda.is_available() else "eager"
    with quiet_loading():
        encoder = AutoModel.from_pretrained(
            folder, local_files_only=True, attn_implementation=eager, dtype=torch.float32
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    if not tokenizer.is_fast:
        raise ConfigError(f"model = {model!r} has no fast tokenizer; choose one that has")
    given = None
    if start is not None:
        merge_adapter(encoder, Adapter(start, base_sha256))
        given = _given_vectors(start, table)
    other = None if senses_from is None else _low_vectors(senses_from, table)
    trainer = SenseTrainer(encoder, tokenizer, table, config, output, base, given, other, report)
    if start is not None:
        _load_head(trainer, start)
        if with_neighbours:
            trainer.network.shares.copy_(torch.from_numpy(table.composition()[1]))
    return trainer


def _given_vectors(start: Path, table: SenseTable) -> torch.Tensor:
    """The sense vectors of a finished model, back in the space of z. *Shape:* (n_rows, hidden)"""
    return _low_vectors(start, table) @ torch.from_numpy(SenseVectors.load(start).project)


def _low_vectors(path: Path, table: SenseTable) -> torch.Tensor:
    """The sense vectors of a finished model, less their scale. *Shape:* (n_rows, width)"""
    packed = SenseVectors.load(path)
    if packed.lexicon != table.lexicon.digest:
        raise ResourceError(f"{path} was made for another lexicon of WordNet; train from anew")
    low = np.zeros((table.n_rows, packed.vectors.shape[1]), dtype=np.float32)
    rows = np.flatnonzero(packed.rows >= 0)
    at = packed.rows[rows]
    low[rows] = packed.vectors[at] * packed.scales[at, None] / SenseHead.load(path).scale
    return torch.from_numpy(low)


def _load_head(trainer: SenseTrainer, start: Path) -> None:
    """Projections of a finished model; its sense vectors hold what texts and residuals gave."""
    head, network = SenseHead.load(start), trainer.network
    with torch.no_grad():
        network.target.weight.copy_(torch.from_numpy(head.target))
        network.context.weight.copy_(torch.from_numpy(head.context))
        network.gloss.weight.copy_(torch.from_numpy(head.gloss))
        network.scale.fill_(float(np.log(head.scale)))
        # A synset with a given vector takes nothing from its text a second time.
        has_one = network.given.any(dim=1)
        for buffer in (network.glosses, network.glosses_above, network.shares):
            buffer[has_one & buffer.any(dim=1)] = 0.0


def _material(
    corpora: Split | None,
    teachers: Sequence[Path],
    trainer: SenseTrainer,
    limit: int | None,
    report: Report | None,
) -> tuple[list[list[Row]], dict[str, list[Row]]]:
    """Documents to train on, and what is held out, by name; teachers are asked of the former."""
    if corpora is None:
        return [], {}
    read = documents_read(corpora, trainer.config, limit)
    if report:
        report({"stage": f"learning from {sizes(corpora, trainer.config, limit)}"})
    documents, held_out = _rows(corpora, read, trainer)
    if teachers:
        sentences = [sentence for document in read for sentence in document]
        opened = (_teacher(path, trainer, sentences) for path in teachers)
        trainer.soft = ask_teachers(
            opened, len(teachers), documents, trainer.folder / "teachers.npy", report
        )
    return documents, held_out


def _rows(
    corpora: Split, read: Sequence[Sequence[TaggedSentence]], trainer: SenseTrainer
) -> tuple[list[list[Row]], dict[str, list[Row]]]:
    """Documents to train on, as they are read, and what is held out, by name."""
    table, tokenizer, config = trainer.table, trainer.tokenizer, trainer.config

    def rows(sentences: Sequence[TaggedSentence], target: TargetOf) -> list[Row]:
        return rows_of(sentences, tokenizer, target, config.max_pieces)

    made = iter(rows([sentence for d in read for sentence in d], table.target))
    documents = [(d[0].genre, list(islice(made, len(d)))) for d in read]
    weighed = balanced(
        documents,
        config.weight,
        cap=config.cap,
        balance=config.balance,
        shift=config.shift,
        untagged=config.weight_untagged,
    )
    held_out = {
        name: rows(joined(some, config), table.word_target)
        for name, some in corpora.held_out.items()
    }
    return weighed, held_out


def _teacher(
    path: Path, trainer: SenseTrainer, read: list[TaggedSentence]
) -> tuple[SenseTrainer, float, Callable[[], list[Row]]]:
    """A finished model that says what it thinks of the sentences that another learns from."""
    table, config = trainer.table, trainer.config
    vectors, manifest = SenseVectors.load(path), read_arrays(path, "head", ())[0]
    name = str(manifest["base_model"])
    folder = resolve_encoder(name).path
    base, base_sha256 = base_of(folder)
    own = replace(config, prior=vectors.prior, frozen_layers=0)
    teacher = open_trainer(
        name, folder, table, own, trainer.folder / path.stem, base, base_sha256, path
    )
    rows = partial(rows_of, read, teacher.tokenizer, table.target, config.max_pieces)
    return teacher, vectors.temperature, rows


def _evaluate(trainer: SenseTrainer, held_out: dict[str, list[Row]]) -> dict[str, float]:
    return {
        f"{name}:{measure}": value
        for name, rows in held_out.items()
        for measure, value in trainer.accuracy(rows).items()
    }
