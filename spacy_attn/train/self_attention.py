"""Train a small network over static vectors to tell senses apart: the method ``self_attention``.

The network mixes the vectors of a sentence (:mod:`spacy_attn.encoder.static_network`), the head
compares an occurrence with definitions and with the mean of other occurrences of the same word
(:mod:`spacy_attn.wsd.methods.self_attention`). A batch holds many occurrences of a few words; each
is scored against prototypes of the others, itself left out (episodes as in Snell et al. 2017,
"Prototypical Networks for Few-shot Learning"). So what is learnt is how to read a context, not
the senses of single words. Several allowed senses (MASC) are partial labels: the loss is ``-log``
of the sum of their probabilities.

Static vectors are never trained. Runs with the same seed have the same examples in the same order
of batches, whatever mixes the tokens.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spacy_attn._types import StaticVectors
from spacy_attn.encoder.static_network import (
    MakeMixer,
    NetworkConfig,
    StaticContextNetwork,
    n_parameters,
    self_attention,
)
from spacy_attn.errors import ConfigError
from spacy_attn.sentences import sentence_starts
from spacy_attn.train.occurrences import Occurrence, Scored, SenseTexts
from spacy_attn.train.run_folder import (
    CHECKPOINT,
    read_checkpoint,
    refused_state,
    write_checkpoint,
    write_curve,
)
from spacy_attn.train.schedule import check_rate, linear_schedule
from spacy_attn.wsd.methods.self_attention import PrototypeHead

_ROWS_AT_ONCE = 512  # when nothing is trained
_MOST_EXAMPLES = 256  # of a sense that make its prototype when held-out words are scored

Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class SelfAttentionConfig:
    """Everything that decides the result of a run, beside data and network."""

    epochs: int = 8
    batch_rows: int = 256  # occurrences in a step
    word_rows: int = 32  # of one word in a step, at most
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    warmup: float = 0.05  # share of the steps
    mask_words: float = 0.1  # share of tokens that become unknown words
    context_radius: int = 25  # tokens each side
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_rows", "word_rows", "context_radius"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} = {getattr(self, name)}; allowed is 1 or more")
        if not 0.0 <= self.mask_words < 1.0:
            raise ConfigError(f"mask_words = {self.mask_words}; allowed is 0 to below 1")
        check_rate("learning_rate", self.learning_rate)


class _Head(nn.Module):
    """Trains :class:`~spacy_attn.wsd.methods.self_attention.PrototypeHead`: maps and weights."""

    def __init__(self, width: int, static_width: int) -> None:
        super().__init__()
        self.target, self.context = (nn.Linear(width, width, bias=False) for _ in range(2))
        self.gloss = nn.Linear(static_width, width, bias=False)
        nn.init.eye_(self.target.weight)
        nn.init.eye_(self.context.weight)
        # Logarithms: the three stay above zero.
        self.gloss_weight = nn.Parameter(torch.tensor(math.log(3.0)))
        self.example_weight = nn.Parameter(torch.tensor(math.log(10.0)))
        self.shrinkage = nn.Parameter(torch.tensor(0.0))
        self.prior = nn.Parameter(torch.tensor(0.5))

    def z(self, target: Tensor, context: Tensor) -> Tensor:
        """*Shape:* two (n, width) -> (n, width), rows of length 1"""
        return F.normalize(self.target(target) + self.context(context), dim=-1)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Tokens by occurrence, and by sentence: they are mixed within their sentence alone.

    The tokens of all sentences, one after the other, are those of all occurrences.

    *Shape:* present (n, longest), ids and in_sentence (n_sentences, longest sentence), the others
    (n,) or (n, most candidates)
    """

    present: Tensor
    ids: Tensor  # rows of the vocabulary
    in_sentence: Tensor
    starts: Tensor
    ends: Tensor
    candidates: Tensor  # -1 beyond the last
    allowed: Tensor  # bool
    gold: Tensor  # the one right sense, or -1 where several are allowed


class SelfAttentionTrainer:
    """Seeded, restartable training.

    Args:
        network: its sizes.
        config: see :class:`SelfAttentionConfig`.
        vectors: static ones.
        train: occurrences to learn from.
        texts: what stands for each sense.
        folder: checkpoints and ``curve.json`` go here; None keeps nothing.
        make_mixer: what mixes the tokens in place of attention.
    """

    def __init__(
        self,
        network: NetworkConfig,
        config: SelfAttentionConfig,
        vectors: StaticVectors,
        train: Sequence[Occurrence],
        texts: SenseTexts,
        folder: Path | None = None,
        make_mixer: MakeMixer = self_attention,
    ) -> None:
        if not train:
            raise ConfigError(
                "nothing to train on: no word has two senses and an example; give an inventory "
                "with examples, labels with --data FILE, or --semcor FILE"
            )
        torch.manual_seed(config.seed)
        self.config, self.vectors, self.train_rows, self.folder = config, vectors, train, folder
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = StaticContextNetwork(network, make_mixer).to(self.device)
        self.head = _Head(network.width, network.static_width).to(self.device)
        self.glosses = torch.from_numpy(texts.glosses).to(self.device)
        self.is_counted = torch.from_numpy(texts.is_counted).to(self.device)
        self._vocabulary: dict[str, int] = {}
        self._matrix = torch.zeros(1, vectors.width, device=self.device)
        self._learn_words(train)
        self.counts = torch.zeros(len(texts.glosses), device=self.device)
        for row in train:
            if len(row.allowed) == 1:
                self.counts[row.allowed[0]] += 1
        self.step, self.curve = 0, []  # type: int, list[dict[str, Any]]

    @property
    def n_parameters(self) -> dict[str, int]:
        """Of the mixer alone, and of all that is trained."""
        mixer = n_parameters(self.network.mixer)
        return {"mixer": mixer, "all": n_parameters(self.network) + n_parameters(self.head)}

    # -- training ------------------------------------------------------------------------

    def train(
        self,
        evaluate: Callable[[], dict[str, Any]] = dict,
        report: Report | None = None,
    ) -> None:
        """Train, or go on where a stopped run ended.

        Args:
            evaluate: called after every epoch; what it gives stands in the curve.
            report: called with the state, every 10 batches and after every epoch.
        """
        parameters = [*self.network.parameters(), *self.head.parameters()]
        optimizer = torch.optim.AdamW(
            parameters, lr=self.config.learning_rate, weight_decay=self.config.weight_decay
        )
        n_batches = len(self._episodes(0))
        for epoch in range(self._resume(optimizer), self.config.epochs):
            torch.manual_seed(self.config.seed * 1000 + epoch)
            losses: list[float] = []
            started = time.perf_counter()
            self._set_training(True)
            for number, rows in enumerate(self._episodes(epoch)):
                done = self.step / (n_batches * self.config.epochs)
                for group in optimizer.param_groups:
                    group["lr"] = self.config.learning_rate * linear_schedule(
                        done, self.config.warmup
                    )
                loss = self._loss(rows)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(parameters, 1.0)
                optimizer.step()
                losses.append(float(loss.detach()))
                self.step += 1
                if report and number % 10 == 9:
                    report(
                        {
                            "epoch": epoch,
                            "batch": number + 1,
                            "batches": n_batches,
                            "loss": float(np.mean(losses[-50:])),
                        }
                    )
            record = {
                "epoch": epoch + 1,
                "loss": round(float(np.mean(losses)), 4),
                "seconds": round(time.perf_counter() - started, 1),
                **evaluate(),
            }
            self.curve.append(record)
            self._checkpoint(optimizer, epoch + 1)
            if report:
                report(record)

    def _episodes(self, epoch: int) -> list[list[Occurrence]]:
        """All occurrences in batches; those of one word together, in random parts."""
        rng = random.Random(self.config.seed * 1000 + epoch)  # noqa: S311 - order, no secret
        words: dict[tuple[int, ...], list[Occurrence]] = {}
        for row in self.train_rows:
            words.setdefault(row.candidates, []).append(row)
        parts = []
        for rows in words.values():
            rng.shuffle(rows)
            size = self.config.word_rows
            parts += [rows[i : i + size] for i in range(0, len(rows), size)]
        rng.shuffle(parts)
        out: list[list[Occurrence]] = []
        for part in parts:
            if not out or len(out[-1]) + len(part) > self.config.batch_rows:
                out.append([])
            out[-1] += part
        return out

    def _loss(self, rows: Sequence[Occurrence]) -> Tensor:
        batch = self._batch(rows)
        z = self._z(batch, self.config.mask_words)
        # Prototypes of the others: sums over the batch, less what the occurrence itself gave.
        is_single = batch.gold >= 0
        senses, places = torch.unique(batch.candidates, return_inverse=True)
        sums = z.new_zeros(len(senses), z.shape[1])
        gold_places = torch.searchsorted(senses, batch.gold[is_single])
        sums = sums.index_add(0, gold_places, z[is_single])
        n = z.new_zeros(len(senses)).index_add(0, gold_places, z.new_ones(len(gold_places)))
        own = (batch.candidates == batch.gold[:, None]) & is_single[:, None]
        dots = (z @ sums.T).gather(1, places) - own.float()  # z . z is 1
        scores = self._scores(z, batch.candidates, dots, n[places] - own.float(), own)
        right = scores.log_softmax(-1).masked_fill(~batch.allowed, float("-inf")).logsumexp(-1)
        return -right.mean()

    def _scores(
        self, z: Tensor, candidates: Tensor, dots: Tensor, n: Tensor, own: Tensor
    ) -> Tensor:
        """Log-scores; -inf where there is no candidate.

        *Shape:* z (rows, width), the others (rows, most candidates) -> (rows, most candidates)
        """
        head, known = self.head, candidates.clamp(min=0)
        used, places = torch.unique(known, return_inverse=True)
        glosses = F.normalize(head.gloss(self.glosses[used]), dim=-1)
        by_gloss = (z @ glosses.T).gather(1, places) * head.gloss_weight.exp()
        by_examples = dots * head.example_weight.exp() / (n + head.shrinkage.exp())
        prior = head.prior * (self.counts[known] - own.float() + 0.5).log()
        scores = by_gloss + by_examples + prior * self.is_counted[known]
        return scores.masked_fill(candidates < 0, float("-inf"))

    # -- forward -------------------------------------------------------------------------

    def _batch(self, rows: Sequence[Occurrence]) -> _Batch:
        n, longest = len(rows), max(len(row.tokens) for row in rows)
        most = max(len(row.candidates) for row in rows)
        sentences = [part for row in rows for part in _sentences(row.tokens)]
        sizes = np.array([len(part) for part in sentences])
        in_sentence = np.arange(sizes.max()) < sizes[:, None]
        ids = np.zeros(in_sentence.shape, dtype=np.int64)
        ids[in_sentence] = [self._vocabulary[token] for part in sentences for token in part]
        candidates = np.full((n, most), -1, dtype=np.int64)
        allowed = np.zeros((n, most), dtype=bool)
        for i, row in enumerate(rows):
            candidates[i, : len(row.candidates)] = row.candidates
            allowed[i, : len(row.candidates)] = [c in row.allowed for c in row.candidates]
        lengths = np.array([len(row.tokens) for row in rows])
        golds = [row.allowed[0] if len(row.allowed) == 1 else -1 for row in rows]
        arrays = (
            np.arange(longest) < lengths[:, None],
            ids,
            in_sentence,
            np.array([row.start for row in rows]),
            np.array([row.end for row in rows]),
            candidates,
            allowed,
            np.array(golds),
        )
        return _Batch(*(torch.from_numpy(array).to(self.device) for array in arrays))

    def _z(self, batch: _Batch, mask_words: float = 0.0) -> Tensor:
        """*Shape:* (n, width), rows of length 1"""
        static = self._matrix[batch.ids]
        if mask_words:
            is_kept = torch.rand(batch.ids.shape, device=self.device) >= mask_words
            static = static * is_kept.unsqueeze(-1)
        by_sentence = self.network(static, batch.in_sentence)
        mixed = static.new_zeros(*batch.present.shape, by_sentence.shape[-1])
        mixed = mixed.masked_scatter(batch.present.unsqueeze(-1), by_sentence[batch.in_sentence])
        return self.head.z(*self._parts(mixed, batch))

    def _parts(self, mixed: Tensor, batch: _Batch) -> tuple[Tensor, Tensor]:
        """Mean vector of the target's tokens, and of those around; the target's where none are.

        *Shape:* (n, longest, width) -> two (n, width)
        """
        place = torch.arange(mixed.shape[1], device=self.device)[None, :]
        starts, ends = batch.starts[:, None], batch.ends[:, None]
        inside = (place >= starts) & (place < ends)
        radius = self.config.context_radius
        around = (place >= starts - radius) & (place < ends + radius) & ~inside & batch.present
        is_alone = ~around.any(1, keepdim=True)
        weights = torch.stack([inside, torch.where(is_alone, inside, around)], 1).float()
        means = (weights / weights.sum(-1, keepdim=True)) @ mixed
        return means[:, 0], means[:, 1]

    def _learn_words(self, rows: Sequence[Occurrence]) -> None:
        """Look up the static vectors of words that were not met before."""
        new = dict.fromkeys(t for row in rows for t in row.tokens if t not in self._vocabulary)
        if new:
            found = np.asarray(self.vectors.vectors(list(new)), dtype=np.float32)
            first = len(self._matrix)
            self._vocabulary |= {token: first + i for i, token in enumerate(new)}
            self._matrix = torch.cat([self._matrix, torch.from_numpy(found).to(self.device)])

    # -- use -----------------------------------------------------------------------------

    @torch.inference_mode()
    def encode(self, rows: Sequence[Occurrence]) -> Tensor:
        """The vectors of occurrences. *Shape:* (len(rows), width), on the processor"""
        self._learn_words(rows)
        self._set_training(False)
        order = sorted(range(len(rows)), key=lambda i: len(rows[i].tokens))
        out = torch.zeros(len(rows), self.network.config.width)
        for first in range(0, len(order), _ROWS_AT_ONCE):
            part = order[first : first + _ROWS_AT_ONCE]
            out[part] = self._z(self._batch([rows[i] for i in part])).cpu()
        return out

    @torch.inference_mode()
    def score(self, rows: Sequence[Occurrence]) -> list[Scored]:
        """Held-out occurrences against prototypes of what was trained on."""
        if not rows:
            return []
        totals, counts = self.sums(self.train_rows, rows)
        return self._scored(rows, totals, counts, is_left_out=False)

    @torch.inference_mode()
    def score_training(self) -> list[Scored]:
        """What was trained on, each occurrence left out of its own sense's prototype."""
        totals, counts = self.sums(self.train_rows)
        return self._scored(self.train_rows, totals, counts, is_left_out=True)

    def _scored(
        self, rows: Sequence[Occurrence], totals: Tensor, counts: Tensor, *, is_left_out: bool
    ) -> list[Scored]:
        """*Shape:* totals (n_senses, width), counts (n_senses,)"""
        z, out = self.encode(rows).to(self.device), []
        for first in range(0, len(rows), _ROWS_AT_ONCE):
            part = rows[first : first + _ROWS_AT_ONCE]
            batch, here = self._batch(part), z[first : first + len(part)]
            known = batch.candidates.clamp(min=0)
            own = (batch.candidates == batch.gold[:, None]) & (batch.gold >= 0)[:, None]
            own &= is_left_out
            dots = torch.einsum("nw,ncw->nc", here, totals[known]) - own.float()
            n = counts[known] - own.float()
            scores = self._scores(here, batch.candidates, dots, n, own)
            for row, values in zip(part, scores.cpu().numpy(), strict=True):
                out.append(Scored(row, values[: len(row.candidates)]))
        return out

    def sums(
        self, support: Sequence[Occurrence], rows: Sequence[Occurrence] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Sum of z and number of the examples of each sense.

        Args:
            support: the examples; several allowed senses teach none of them.
            rows: whose candidates are needed; None: all senses, and all examples.

        *Shape:* (n_senses, width), (n_senses,)
        """
        needed = None if rows is None else {c for row in rows for c in row.candidates}
        seen: dict[int, int] = {}
        used = []
        for row in support:
            if len(row.allowed) == 1 and (needed is None or row.allowed[0] in needed):
                seen[row.allowed[0]] = seen.get(row.allowed[0], 0) + 1
                if needed is None or seen[row.allowed[0]] <= _MOST_EXAMPLES:
                    used.append(row)
        totals = torch.zeros(len(self.glosses), self.network.config.width, device=self.device)
        counts = torch.zeros(len(self.glosses), device=self.device)
        if used:
            golds = torch.tensor([row.allowed[0] for row in used], device=self.device)
            totals.index_add_(0, golds, self.encode(used).to(self.device))
            counts.index_add_(0, golds, torch.ones(len(used), device=self.device))
        return totals, counts

    def head_for_use(self, temperature: float = 1.0) -> PrototypeHead:
        """The head as the method uses it."""
        head = self.head
        target, context, gloss = (
            linear.weight.detach().cpu().numpy().copy()
            for linear in (head.target, head.context, head.gloss)
        )
        return PrototypeHead(
            target,
            context,
            gloss,
            gloss_weight=math.exp(head.gloss_weight.item()),
            example_weight=math.exp(head.example_weight.item()),
            shrinkage=math.exp(head.shrinkage.item()),
            prior=head.prior.item(),
            context_radius=self.config.context_radius,
            temperature=temperature,
        )

    def _set_training(self, is_training: bool) -> None:
        self.network.train(is_training)
        self.head.train(is_training)

    # -- files ---------------------------------------------------------------------------

    @cached_property
    def _fingerprint(self) -> str:
        """Of all that a checkpoint has to share with a run that goes on from it."""
        settings = [asdict(self.config), asdict(self.network.config), self.vectors.identity]
        data = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        for row in sorted(
            (r.group, r.start, r.allowed, " ".join(r.tokens)) for r in self.train_rows
        ):
            data.update(repr(row).encode())
        return data.hexdigest()

    def _checkpoint(self, optimizer: torch.optim.Optimizer, epoch: int) -> None:
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        state = {
            "fingerprint": self._fingerprint,
            "epoch": epoch,
            "step": self.step,
            "curve": self.curve,
            "network": self.network.state_dict(),
            "head": self.head.state_dict(),
            "optimizer": optimizer.state_dict(),
        }
        write_checkpoint(self.folder, state)
        write_curve(self.folder, self.curve)

    def _resume(self, optimizer: torch.optim.Optimizer) -> int:
        """The number of finished epochs; 0 for a new run."""
        path = None if self.folder is None else self.folder / CHECKPOINT
        if path is None or not path.exists():
            return 0
        saved = read_checkpoint(path, self.device)
        if saved.get("fingerprint") != self._fingerprint:
            raise ConfigError(
                f"{path} was made with other options or data; give another --output or delete it"
            )
        with refused_state(path):
            self.network.load_state_dict(saved["network"])
            self.head.load_state_dict(saved["head"])
            optimizer.load_state_dict(saved["optimizer"])
            self.step, self.curve = saved["step"], saved["curve"]
            return int(saved["epoch"])


def _sentences(tokens: list[str]) -> list[list[str]]:
    starts = [*sentence_starts(tokens), len(tokens)]
    return [tokens[start:end] for start, end in pairwise(starts)]
