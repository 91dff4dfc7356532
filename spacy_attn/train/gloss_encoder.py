"""The other side: an encoder of definitions that is trained against kept vectors of occurrences.

Training both encoders of the bi-encoder (Blevins and Zettlemoyer, ACL 2020) in one step reads the
glosses of all candidates for every word of a text. Here they learn in turns. While contexts are
trained, the vectors of senses are fixed and the vectors z of occurrences are kept; then glosses are
trained word by word against those z, all candidates of a word in one batch; then all senses get
their vectors anew. Nothing of the gloss encoder ships: its vectors do.

It starts as a copy of the untrained encoder and learns to decide alone: the score of a sense is
``scale * z . T normalize(mean)``, without what the corpora taught of that sense. A few occurrences
of each sense take part, so that frequent ones do not drown the others, and what it gives says
little about frequencies.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from spacy_attn.train.half import Worker, is_trained, load_trained, trained_state
from spacy_attn.train.rows import RowTarget
from spacy_attn.train.schedule import linear_schedule
from spacy_attn.train.sense_side import padded_scores

_PIECES = 64  # of a definition
_BATCH = 4096  # pieces of glosses in a step
_FORWARD = 2048  # pieces that go through the encoder together
_A_SENSE, _A_WORD = 6, 64  # occurrences of a sense and of a word in a turn
_CANDIDATES = 20  # of a word: its tagged senses, then others


class GlossEncoder:
    """See the module.

    Args:
        base: the untrained encoder.
        tokenizer: its tokenizer.
        texts: what it reads of each row that it gives a vector.
        map_: the trained map of untrained vectors; that of the trained ones starts as a copy.
        precision: "bf16" or "fp32".
    """

    def __init__(
        self,
        base: Any,
        tokenizer: Any,
        texts: Mapping[int, str],
        map_: Tensor,
        precision: str,
    ) -> None:
        self.encoder = copy.deepcopy(base).eval()  # no dropout in it
        for name, parameter in self.encoder.named_parameters():
            parameter.requires_grad_(is_trained(name, frozen_layers=0))
        self.worker = Worker(self.encoder, precision)
        self.map = nn.Linear(map_.shape[1], map_.shape[0], bias=False).to(map_.device)
        self.map.weight.data.copy_(map_)
        self.device = map_.device
        rows = list(texts)
        encoded = tokenizer(list(texts.values()), truncation=True, max_length=_PIECES)
        self._ids: dict[int, list[int]] = dict(zip(rows, encoded["input_ids"], strict=True))
        self._pad = tokenizer.pad_token_id
        self._width = map_.shape[1]
        self._rows = torch.tensor(sorted(rows))

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"encoder": trained_state(self.encoder), "map": self.map.state_dict()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint."""
        load_trained(self.encoder, state["encoder"])
        self.map.load_state_dict(state["map"])
        self.worker.update()

    def vectors(self, rows: Tensor) -> Tensor:
        """The vectors of senses by their definitions alone. *Shape:* (n,) -> (n, hidden)"""
        out: Tensor = self.map(self._embed(rows.tolist()))
        return out

    @torch.inference_mode()
    def all_vectors(self, into: Tensor) -> None:
        """Write the vectors of all senses that have a definition. *Shape:* into (n_rows, hidden)"""
        embedded = self._embed_all()
        for first in range(0, len(embedded), 8192):
            rows = self._rows[first : first + 8192].to(self.device)
            some = embedded[first : first + 8192].float().to(self.device)
            into[rows] = self.map(some).to(into.dtype)

    def pieces(self, rows: Sequence[int]) -> int:
        """Wordpieces of the texts of some rows."""
        return sum(len(self._ids[row]) for row in rows)

    def learn(
        self,
        words: Mapping[tuple[int, ...], list[RowTarget]],
        z: NDArray[np.float16],
        scale: float,
        rates: tuple[float, float],
        seed: int,
        report: Callable[[dict[str, Any]], None] | None = None,
    ) -> float:
        """One pass over all words that have tagged occurrences; gives the mean loss.

        Args:
            words: the occurrences of each word, by its candidates.
            z: the kept vector of each occurrence, by its number. *Shape:* (n, hidden)
            scale: of the scores.
            rates: learning rates of the encoder and of the map.
            seed: of the order, and of the occurrences that are looked at.
            report: hears of the progress.
        """
        rng = random.Random(seed)  # noqa: S311 - order, no secret
        parameters = [p for p in self.encoder.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(
            [{"params": parameters}, {"params": list(self.map.parameters())}],
            weight_decay=0.01,
            betas=(0.9, 0.98),
            fused=True,
        )
        steps = self._batches(words, rng)
        losses = []
        torch.manual_seed(seed)
        for number, targets in enumerate(steps):
            rate = linear_schedule(number / len(steps), 0.05)
            for group, base in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = base * rate
            loss = self._loss(targets, z, scale)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.worker.hand_over_gradients()
            nn.utils.clip_grad_norm_([*parameters, *self.map.parameters()], 1.0)
            optimizer.step()
            self.worker.update()
            losses.append(float(loss.detach()))
            if report and number % 25 == 24:
                mean = float(np.mean(losses[-100:]))
                report({"batch": number + 1, "batches": len(steps), "loss": mean})
        return float(np.mean(losses)) if losses else 0.0

    def _loss(self, targets: Sequence[RowTarget], z: NDArray[np.float16], scale: float) -> Tensor:
        """Mean of ``-log`` of the probability of the allowed senses, by definitions alone."""
        vectors = torch.from_numpy(z[np.array([t.number for t in targets])].astype(np.float32))
        flat = torch.tensor([row for t in targets for row in t.candidates])
        rows, place = torch.unique(flat, return_inverse=True)
        owner = torch.arange(len(targets)).repeat_interleave(
            torch.tensor([len(t.candidates) for t in targets])
        )
        senses = self.vectors(rows)[place.to(self.device)]
        dots = (senses * vectors.to(self.device)[owner.to(self.device)]).sum(-1) * scale
        scores, allowed = padded_scores(dots, targets, shift=False)
        losses = -scores.log_softmax(-1).masked_fill(~allowed, float("-inf")).logsumexp(-1)
        return losses.mean()

    def _batches(
        self, words: Mapping[tuple[int, ...], list[RowTarget]], rng: random.Random
    ) -> list[list[RowTarget]]:
        order = list(words)
        rng.shuffle(order)
        out: list[list[RowTarget]] = []
        batch: list[RowTarget] = []
        size = 0
        for word in order:
            some = _fewer_candidates(_some(words[word], rng), rng)
            new = self.pieces(some[0].candidates)
            if batch and size + new > _BATCH:
                out.append(batch)
                batch, size = [], 0
            batch += some
            size += new
        return [*out, batch] if batch else out

    def _embed(self, rows: Sequence[int]) -> Tensor:
        """Unit mean vectors, texts of like length together. *Shape:* (len(rows), hidden)"""
        order = sorted(range(len(rows)), key=lambda i: len(self._ids[rows[i]]))
        parts: list[Tensor] = []
        some: list[int] = []
        for i in order:
            if some and len(self._ids[rows[i]]) * (len(some) + 1) > _FORWARD:
                parts.append(self._forward([self._ids[rows[j]] for j in some]))
                some = []
            some.append(i)
        parts.append(self._forward([self._ids[rows[j]] for j in some]))
        back = torch.empty(len(rows), dtype=torch.long)
        back[order] = torch.arange(len(rows))
        return torch.cat(parts)[back.to(self.device)]

    def _forward(self, texts: Sequence[list[int]]) -> Tensor:
        longest = max(len(text) for text in texts)
        ids = torch.tensor([text + [self._pad] * (longest - len(text)) for text in texts])
        mask = torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in texts])
        ids, mask = ids.to(self.device), mask.to(self.device)
        hidden = self.worker.hidden(ids, mask)
        shown = mask.unsqueeze(-1)
        return F.normalize((hidden * shown).sum(1) / shown.sum(1), dim=-1)

    @torch.inference_mode()
    def _embed_all(self) -> Tensor:
        rows = sorted(self._rows.tolist(), key=lambda row: len(self._ids[row]))
        out = torch.empty(len(rows), self._width, dtype=torch.half)
        place = {row: i for i, row in enumerate(self._rows.tolist())}
        for first in range(0, len(rows), 512):
            some = rows[first : first + 512]
            out[[place[row] for row in some]] = self._embed(some).half().cpu()
        return out


def words_of(targets: Sequence[RowTarget]) -> dict[tuple[int, ...], list[RowTarget]]:
    """Occurrences by word: those with the same candidates stand together."""
    out: dict[tuple[int, ...], list[RowTarget]] = {}
    for target in targets:
        out.setdefault(target.candidates, []).append(target)
    return out


def _some(targets: Sequence[RowTarget], rng: random.Random) -> list[RowTarget]:
    """A few occurrences of each sense of a word, chosen at random."""
    by_sense: dict[tuple[bool, ...], list[RowTarget]] = {}
    for target in targets:
        by_sense.setdefault(target.allowed, []).append(target)
    kept = [
        target
        for same in by_sense.values()
        for target in (same if len(same) <= _A_SENSE else rng.sample(same, _A_SENSE))
    ]
    return kept if len(kept) <= _A_WORD else rng.sample(kept, _A_WORD)


def _fewer_candidates(targets: Sequence[RowTarget], rng: random.Random) -> list[RowTarget]:
    """The occurrences of one word between at most 20 senses: the tagged ones, and others."""
    n = len(targets[0].candidates)
    if n <= _CANDIDATES:
        return list(targets)
    tagged = [i for i in range(n) if any(t.allowed[i] for t in targets)]
    others = [i for i in range(n) if i not in tagged]
    kept = sorted(tagged + rng.sample(others, max(_CANDIDATES - len(tagged), 0)))
    return [
        replace(
            t,
            candidates=tuple(t.candidates[i] for i in kept),
            allowed=tuple(t.allowed[i] for i in kept),
            shift=tuple(t.shift[i] for i in kept) if t.shift else (),
        )
        for t in targets
    ]
