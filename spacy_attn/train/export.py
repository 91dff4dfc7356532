"""From a training run to the file that ships: a low-rank change, projections, sense vectors.

* *Encoder*: the change of each linear layer, ``W_trained - W``, is cut to its largest singular
  directions and kept as two factors; biases and layer norms are kept whole.
* *Sense vectors*: only differences between the candidates of a word decide, so the vectors are
  projected on the directions in which those differ most, and rounded to eight bits a number with
  a scale for each vector.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spacy_attn._types import Floats1d, Floats2d
from spacy_attn.models import weights_sha256
from spacy_attn.settings import EncoderSettings
from spacy_attn.train.held_out import blank_resources, choose_few_shot, few_shot_attention
from spacy_attn.train.rows import Row
from spacy_attn.train.run_folder import write_tensors
from spacy_attn.train.sense_network import SenseNetwork
from spacy_attn.train.sense_table import SenseTable
from spacy_attn.train.senses import SenseTrainer
from spacy_attn.wsd.decide import fit_temperature
from spacy_attn.wsd.inventory.jsonl import Inventory
from spacy_attn.wsd.methods.attention_wordnet import SenseVectors, vector_rows
from spacy_attn.wsd.methods.sense_head import SenseHead

_AT_ONCE = 8192  # rows
_MOST_CHANGED = 0.1  # share of the senses, for the others to stay as they are


def low_rank(change: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """The factors B, A of the nearest matrix of a rank (Eckart and Young 1936).

    *Shape:* (out, in) -> (out, rank), (rank, in)
    """
    u, s, vh = torch.linalg.svd(change.float(), full_matrices=False)
    root = s[:rank].sqrt()
    return u[:, :rank] * root, root.unsqueeze(-1) * vh[:rank]


def encoder_change(encoder: nn.Module, base: nn.Module, rank: int) -> dict[str, Tensor]:
    """What turns the base encoder into the trained one, as ``merge_adapter`` reads it.

    ``NAME.lora_A`` and ``NAME.lora_B`` for linear layers, ``PARAMETER.change`` for the rest;
    what did not change is left out.

    Args:
        encoder: as trained.
        base: as it was.
        rank: of the factors.
    """
    before = {name: p.detach().float().cpu() for name, p in base.named_parameters()}
    linear = {name for name, module in encoder.named_modules() if isinstance(module, nn.Linear)}
    out: dict[str, Tensor] = {}
    for name, parameter in encoder.named_parameters():
        if name.startswith("pooler."):  # nobody reads it, and where a file has none it is random
            continue
        change = parameter.detach().float().cpu() - before[name]
        if not change.any():
            continue
        module = name.rpartition(".")[0]
        if module in linear and name.endswith(".weight") and min(change.shape) > rank:
            out[f"{module}.lora_B"], out[f"{module}.lora_A"] = low_rank(change, rank)
        else:
            out[f"{name}.change"] = change
    return out


def main_directions(vectors: Floats2d, words: list[list[int]], width: int) -> Floats2d:
    """The directions in which candidates of the same word differ most.

    Principal components of the vectors less the mean of each word's candidates.

    Args:
        vectors: of the senses. *Shape:* (n, z width)
        words: rows of each word's candidates.
        width: how many directions.

    *Shape:* -> (width, z width), orthonormal rows
    """
    second = np.zeros((vectors.shape[1], vectors.shape[1]))
    for first in range(0, len(words), _AT_ONCE):
        some = words[first : first + _AT_ONCE]
        sizes = np.array([len(rows) for rows in some])
        apart = vectors[np.concatenate(some)].astype(np.float64)
        starts = np.cumsum(sizes) - sizes
        means = np.add.reduceat(apart, starts) / sizes[:, None]
        apart -= np.repeat(means, sizes, axis=0)
        second += apart.T @ apart
    _, directions = np.linalg.eigh(second)
    return np.ascontiguousarray(directions[:, ::-1][:, :width].T, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class PackedSenses:
    """What :class:`~spacy_attn.wsd.methods.attention_wordnet.SenseVectors` reads, as it ships."""

    project: Floats2d
    rows: NDArray[np.int32]
    vectors: NDArray[np.int8]
    scales: Floats1d


@torch.inference_mode()
def sense_vectors(network: SenseNetwork, n_synsets: int) -> Floats2d:
    """The vector of each synset, times the scale of the scores. *Shape:* (n_synsets, hidden)"""
    device = network.scale.device
    parts = []
    for first in range(0, n_synsets, _AT_ONCE):
        rows = torch.arange(first, min(first + _AT_ONCE, n_synsets), device=device)
        parts.append((network.senses(rows) * network.scale.exp()).cpu().numpy())
    vectors: Floats2d = np.concatenate(parts)
    return vectors


def pack_senses(vectors: Floats2d, table: SenseTable, width: int) -> PackedSenses:
    """Project and round the vectors of the synsets between which words choose.

    *Shape:* vectors (n_synsets, z width)
    """
    project = main_directions(vectors, table.choices(), min(width, vectors.shape[1]))
    rounded, scales = _rounded(vectors[table.chosen] @ project.T)
    has_vector = np.zeros(table.n_synsets, dtype=bool)
    has_vector[table.chosen] = True
    return PackedSenses(project, vector_rows(has_vector), rounded, scales)


def _rounded(low: Floats2d) -> tuple[NDArray[np.int8], Floats1d]:
    """Eight bits a number, and a scale for each row. *Shape:* (n, width) -> the same, (n,)"""
    scales = np.maximum(np.abs(low).max(axis=1), 1e-9) / 127
    scales = scales.astype(np.float16).astype(np.float32)
    return np.clip(np.rint(low / scales[:, None]), -127, 127).astype(np.int8), scales


@torch.inference_mode()
def keep_senses(
    before: SenseVectors, scale: float, network: SenseNetwork, width: int
) -> PackedSenses | None:
    """The vectors of the model that training went on from, but for those that it changed.

    They keep their directions and their rounded numbers; the scale of the scores, which is part of
    them, is the new one.

    Args:
        before: the vectors of that model.
        scale: of its scores.
        network: after training.
        width: of the vectors to make.

    Returns:
        None where the width is another, or so many senses have changed that their directions may
        have: all are packed anew then.
    """
    if before.project.shape[0] != min(width, before.project.shape[1]):
        return None
    n_synsets = len(before.rows)
    learnt = (
        network.glosses,
        network.glosses_above,
        network.shares,
        network.texts,
        network.residual.weight,
    )
    has_more = torch.stack([part[:n_synsets].any(dim=1) for part in learnt]).any(dim=0)
    changed = np.flatnonzero(has_more.cpu().numpy() & (before.rows >= 0))
    if len(changed) > _MOST_CHANGED * len(before.vectors):
        return None
    grown = network.scale.exp()
    vectors, scales = before.vectors.copy(), before.scales * (float(grown) / scale)
    if len(changed):
        rows = torch.from_numpy(changed).to(network.scale.device)
        low = (network.senses(rows) * grown).cpu().numpy() @ before.project.T
        at = before.rows[changed]
        vectors[at], scales[at] = _rounded(low)
    return PackedSenses(before.project, before.rows, vectors, scales)


def write_sense_model(
    path: Path,
    trainer: SenseTrainer,
    base: nn.Module,
    base_sha256: str,
    *,
    rank: int,
    width: int,
    seen: NDArray[np.bool_],
    few_shot: Mapping[str, float],
    temperature: float = 1.0,
    prior: float = 0.0,
    start: Path | None = None,
    notes: Mapping[str, Any] | None = None,
) -> None:
    """Write what inference needs of a training run, half precision.

    Args:
        path: the file.
        trainer: after training.
        base: the untrained encoder.
        base_sha256: hash of its weights.
        rank: of the encoder's change.
        width: of the sense vectors.
        seen: which senses of the lexicon the corpora hold. *Shape:* (n_senses,)
        few_shot: ``ridge`` and ``gloss_weight``, chosen on held-out examples.
        temperature: of the sense vectors' scores, fitted on held-out text.
        prior: see :mod:`~spacy_attn.wsd.methods.attention_wordnet`.
        start: the sense model that training went on from; see :func:`keep_senses`.
        notes: goes into the manifest: data, their hashes, the training curve.
    """
    network, table = trainer.network, trainer.table
    packed = None
    before = SenseVectors.load(start) if start is not None else None
    if start is not None and before is not None and (before.rows[table.chosen] >= 0).all():
        packed = keep_senses(before, SenseHead.load(start).scale, network, width)
    if packed is None:
        packed = pack_senses(sense_vectors(network, table.n_synsets), table, width)
    change = encoder_change(trainer.encoder, base, rank)
    tensors = {name: tensor.half() for name, tensor in change.items()}
    tensors |= _head_tensors(network) | _sense_tensors(packed, seen)
    manifest = {
        "base_sha256": base_sha256,
        "config": asdict(trainer.config),
        "rank": rank,
        "few_shot": dict(few_shot),
        "wordnet": {
            "lexicon": table.lexicon.digest,
            "n_senses": table.lexicon.n_senses,
            "n_synsets": table.n_synsets,
            "temperature": temperature,
            "prior": prior,
        },
        **(notes or {}),
    }
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    write_tensors(path, contiguous, manifest)


def _head_tensors(network: SenseNetwork) -> dict[str, Tensor]:
    """What :class:`~spacy_attn.wsd.methods.sense_head.SenseHead` reads."""
    maps = {"target": network.target, "context": network.context, "gloss": network.gloss}
    return {
        **{f"head.{name}": linear.weight.detach().cpu().half() for name, linear in maps.items()},
        "head.scale": network.scale.detach().cpu().reshape(1).float(),
    }


def _sense_tensors(packed: PackedSenses, seen: NDArray[np.bool_]) -> dict[str, Tensor]:
    """What :class:`~spacy_attn.wsd.methods.attention_wordnet.SenseVectors` reads."""
    return {
        "wordnet.project": torch.from_numpy(packed.project).half(),
        "wordnet.rows": torch.from_numpy(np.packbits(packed.rows >= 0)),  # see vector_rows
        "wordnet.vectors": torch.from_numpy(packed.vectors),
        "wordnet.scales": torch.from_numpy(packed.scales).half(),
        "wordnet.seen": torch.from_numpy(np.packbits(seen)),
    }


def set_few_shot(path: Path, few_shot: Mapping[str, float], **notes: Any) -> None:
    """Note other settings for examples in a sense model; all else stays.

    Args:
        path: the sense model.
        few_shot: see :func:`write_sense_model`.
        notes: as there.
    """
    from safetensors import safe_open
    from safetensors.torch import load

    with safe_open(path, "pt") as file:
        manifest: dict[str, Any] = json.loads(file.metadata()["manifest"])
    tensors = load(path.read_bytes())
    write_tensors(path, tensors, {**manifest, **notes, "few_shot": dict(few_shot)})


def choose_few_shot_settings(
    model: str, path: Path, inventory: Inventory, window: int, overlap: int
) -> dict[str, float]:
    """Ridge penalty and definition weight that do best on held-out examples of an inventory.

    Args:
        model: name of the encoder.
        path: the sense model.
        inventory: its examples are held out in turn.
        window: wordpieces of the encoder's windows.
        overlap: wordpieces that neighbours share.

    Returns:
        ``ridge``, ``gloss_weight``, and what they gave: see :class:`~.held_out.FewShot`.
    """
    resources = blank_resources(inventory)
    plain = EncoderSettings(model, window=window, overlap=overlap)
    prepare = few_shot_attention(resources, plain, path)
    few = choose_few_shot(
        lambda ridge, weight: partial(prepare, ridge=ridge, gloss_weight=weight),
        inventory,
        resources,
    )
    return asdict(few)


def base_of(folder: Path) -> tuple[Any, str]:
    """The untrained encoder of a folder and the hash of its weights."""
    from transformers import AutoModel

    from spacy_attn.encoder.loading import quiet_loading

    with quiet_loading():
        model = AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    return model, weights_sha256(folder)


def temperature_of(trainer: SenseTrainer, held_out: Mapping[str, Sequence[Row]]) -> float:
    """Fitted on held-out words of running text with one right sense (Guo et al. 2017).

    Of today's texts where there are some; sentences written for rare senses say little of others.
    """
    others = [name for name in held_out if name != "written"]
    asked = ["texts"] if "texts" in held_out else others or list(held_out)
    scores, gold = [], []
    for name in asked:
        for target, row in trainer.predict(held_out[name]):
            if sum(target.allowed) == 1:
                scores.append(row)
                gold.append(target.allowed.index(True))
    return round(fit_temperature(scores, gold), 4) if scores else 1.0
