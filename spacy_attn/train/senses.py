"""Train the sense model: an encoder fine-tuned to tell senses apart, and a vector for each sense.

One occurrence of a word becomes one vector ``z``, one sense another vector ``s``; the
score of a sense is ``exp(tau) * z . s`` among the candidates of the lemma (a bi-encoder
as in Blevins and Zettlemoyer, "Moving down the long tail of word sense disambiguation
with gloss informed bi-encoders", ACL 2020, with these differences):

* ``z = normalize(T h_target + C h_context)``: the mean vector of the target's tokens
  beside the mean of the tokens within ``context_radius`` of it;
* ``s = G g + H g' + r + sum of r of its neighbours``: linear maps of the untrained encoder's
  vectors of the sense's text and of its hypernyms' texts, a residual that the corpora teach, and
  the residuals of hypernyms, similar and derived synsets and of the supersense, so that a sense
  that no corpus holds still learns from its neighbours. Residuals are dropped at random, so that
  the rest learns to decide without them;
* several allowed senses (MASC) are partial labels: the loss is ``-log`` of the sum of
  their probabilities.

The encoder is trained whole; what ships of it is a low-rank part of the change
(:mod:`spacy_attn.train.export`).
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spacy_attn._types import Floats1d
from spacy_attn.errors import ConfigError
from spacy_attn.train.rows import Row, RowTarget, batches, join
from spacy_attn.train.schedule import linear_schedule
from spacy_attn.train.sense_network import SenseNetwork, occurrence_parts, token_means
from spacy_attn.train.sense_table import SenseTable

__all__ = ["SenseTrainer", "TrainConfig"]

logger = logging.getLogger("spacy_attn")

_GLOSS_PIECES = 64  # of a sense's text


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides the result of a training run, beside the data."""

    epochs: int = 3
    batch_pieces: int = 512  # wordpieces in one step, padding included
    learning_rate: float = 1e-4  # of the encoder
    projection_rate: float = 1e-3
    residual_rate: float = 3e-4
    warmup: float = 0.05  # share of the steps
    dropout: float = 0.1  # of the encoder's hidden layers
    context_radius: int = 25  # tokens each side that make h_context
    max_pieces: int = 192  # of a row; longer ones are cut
    drop_target: float = 0.05  # share of occurrences that are judged by their context alone
    drop_context: float = 0.1
    drop_residual: float = 0.5  # a sense's own, and apart from it those of its neighbours
    mask_pieces: float = 0.1  # share of wordpieces that become [MASK]
    join: float = 0.0  # share of rows that join two or three sentences of a document
    # MASC's senses are mapped from another dictionary: with weight 1 held-out SemCor fell from
    # 72.0 to 70.1 after one epoch. Its held-out genres are measured all the same.
    weight_masc: float = 0.0
    weight_wordnet: float = 1.0
    weight_own: float = 1.0  # of a user's own labels
    precision: str = "bf16"
    seed: int = 0

    def weight(self, genre: str) -> float:
        """Weight of a corpus in the loss."""
        weights = {"semcor": 1.0, "wordnet": self.weight_wordnet, "own": self.weight_own}
        return weights.get(genre, self.weight_masc)


class SenseTrainer:
    """Seeded, restartable training of the sense model.

    Args:
        encoder: a Hugging Face model; it is trained in place, but for its embeddings.
        tokenizer: its fast tokenizer.
        table: the senses.
        config: see :class:`TrainConfig`.
        folder: checkpoints and ``curve.json`` go here.
        base: the untrained encoder, which gives texts their vectors; None takes ``encoder``.
        given: see :class:`SenseNetwork`.
    """

    def __init__(
        self,
        encoder: Any,
        tokenizer: Any,
        table: SenseTable,
        config: TrainConfig,
        folder: Path,
        base: Any = None,
        given: Tensor | None = None,
    ) -> None:
        torch.manual_seed(config.seed)
        folder.mkdir(parents=True, exist_ok=True)
        self.tokenizer, self.table, self.config, self.folder = tokenizer, table, config, folder
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.encoder = encoder.to(self.device)
        glosses = self._gloss_vectors((base or encoder).to(self.device))
        related, shares = (torch.from_numpy(array) for array in table.composition())
        above = torch.zeros_like(glosses)
        for row in table.chosen:
            kinds = table.related(row)
            if over := kinds["hypernym"][:3] or kinds["similar"][:3]:
                above[row] = glosses[over].mean(0)
        self.network = SenseNetwork(glosses, above, (related, shares), given).to(self.device)
        for name, parameter in encoder.named_parameters():
            parameter.requires_grad_("embeddings" not in name and "pooler" not in name)
        for module in encoder.modules():
            if isinstance(module, nn.Dropout):
                module.p = config.dropout
        special = (tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id)
        self.cls, self.sep, self.pad = special
        self.step = 0
        self.curve: list[dict[str, Any]] = []

    def _gloss_vectors(self, model: Any) -> Tensor:
        """Mean-pooled unit vectors of the senses' texts by the untrained encoder, cached on disk.

        *Shape:* (n_rows, hidden)
        """
        texts = self.table.texts()
        digest = hashlib.sha256(json.dumps(sorted(texts.items())).encode()).hexdigest()[:16]
        path = self.folder / f"glosses-{digest}.npy"
        if not path.exists():
            logger.info("encoding the texts of %d senses", len(texts))
            out = np.zeros((self.table.n_rows, model.config.hidden_size), dtype=np.float16)
            order = sorted(texts, key=lambda row: len(texts[row]))
            for first in range(0, len(order), 128):
                rows = order[first : first + 128]
                out[rows] = self._embed(model, [texts[row] for row in rows])
            np.save(path, out)
        return torch.from_numpy(np.load(path)).float()

    @torch.inference_mode()
    def _embed(self, model: Any, texts: list[str]) -> np.ndarray[Any, Any]:
        batch = self.tokenizer(
            texts, padding=True, truncation=True, max_length=_GLOSS_PIECES, return_tensors="pt"
        ).to(self.device)
        with self._autocast():
            hidden = model.eval()(**batch).last_hidden_state.float()
        mask = batch["attention_mask"].unsqueeze(-1)
        mean = F.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)
        array: np.ndarray[Any, Any] = mean.cpu().numpy()
        return array

    def _autocast(self) -> Any:
        bf16 = self.config.precision == "bf16"
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=bf16)

    # -- one batch -----------------------------------------------------------------------

    def forward(self, batch: Sequence[Row], mask_pieces: float = 0.0) -> tuple[Tensor, Tensor]:
        """Target and context vectors of all targets of a batch, some pieces masked.

        *Shape:* two (n_targets, hidden)
        """
        longest = max(len(row.ids) for row in batch) + 2
        n_tokens = max(row.n_tokens for row in batch)
        ids = torch.full((len(batch), longest), self.pad)
        mask = torch.zeros((len(batch), longest), dtype=torch.long)
        owner = torch.full((len(batch), longest), n_tokens)
        for i, row in enumerate(batch):
            n = len(row.ids)
            ids[i, : n + 2] = torch.tensor([self.cls, *row.ids, self.sep])
            mask[i, : n + 2] = 1
            owner[i, 1 : n + 1] = torch.tensor(row.owner)
        if mask_pieces:
            hidden = (torch.rand(ids.shape) < mask_pieces) & (owner < n_tokens)
            ids[hidden] = self.tokenizer.mask_token_id
        places = [(i, t.start, t.end) for i, row in enumerate(batch) for t in row.targets]
        where, starts, ends = torch.tensor(places).T.to(self.device)
        with self._autocast():
            out = self.encoder(input_ids=ids.to(self.device), attention_mask=mask.to(self.device))
        tokens = token_means(out.last_hidden_state.float(), owner.to(self.device), n_tokens)
        lengths = torch.tensor([row.n_tokens for row in batch], device=self.device)
        return occurrence_parts(tokens, lengths, where, starts, ends, self.config.context_radius)

    def logits(
        self, z: Tensor, targets: Sequence[RowTarget], *, drop: bool
    ) -> tuple[Tensor, Tensor]:
        """Scores of the candidates of each target, padded with -inf.

        *Shape:* z (n, hidden) -> logits (n, most candidates), allowed (n, most candidates)
        """
        sizes = torch.tensor([len(t.candidates) for t in targets])
        flat = torch.tensor([row for t in targets for row in t.candidates], device=self.device)
        real = (torch.arange(int(sizes.max())) < sizes.unsqueeze(-1)).to(self.device)
        rows, place = torch.unique(flat, return_inverse=True)
        shared, *residuals = self.network.senses(rows)
        sizes = sizes.to(self.device)
        repeated = z.repeat_interleave(sizes, 0)
        dots = (shared[place] * repeated).sum(-1)
        for part in residuals:
            kept = torch.rand(len(targets), device=self.device) >= self.config.drop_residual * drop
            dots = dots + (part[place] * repeated).sum(-1) * kept.float().repeat_interleave(sizes)
        scaled = dots * self.network.scale.exp()
        scores = torch.full(real.shape, float("-inf"), device=self.device)
        scores = scores.masked_scatter(real, scaled)
        allowed = torch.zeros(real.shape, dtype=torch.bool, device=self.device)
        allowed[real] = torch.tensor([k for t in targets for k in t.allowed], device=self.device)
        return scores, allowed

    # -- training ------------------------------------------------------------------------

    def train(
        self,
        documents: list[list[Row]],
        evaluate: Callable[[], dict[str, float]],
        report: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        """Train for ``epochs``; a run that was stopped goes on from its last epoch."""
        config = self.config
        encoder = [p for p in self.encoder.parameters() if p.requires_grad]
        projections = self.network.projections()
        dense = torch.optim.AdamW(
            [{"params": projections}, {"params": encoder}],
            weight_decay=0.01,
            betas=(0.9, 0.98),
            fused=True,
        )
        # The residual table has a row for each synset, and a step touches hundreds.
        sparse = torch.optim.SparseAdam(self.network.residual.parameters())
        rates = (config.projection_rate, config.learning_rate, config.residual_rate)
        rng = random.Random(config.seed)  # noqa: S311 - order and drops, no secret
        first_epoch, total = self._resume((dense, sparse), rng)
        groups = [*dense.param_groups, *sparse.param_groups]
        for epoch in range(first_epoch, config.epochs):
            these = batches(self._epoch_rows(documents, rng), config.batch_pieces, rng)
            total = total or len(these) * config.epochs
            torch.manual_seed(config.seed + epoch)
            losses: list[float] = []
            started = time.perf_counter()
            for number, batch in enumerate(these):
                rate = linear_schedule(self.step / total, config.warmup)
                for group, base in zip(groups, rates, strict=True):
                    group["lr"] = base * rate
                losses.append(self._train_step(batch, (dense, sparse), [*projections, *encoder]))
                self.step += 1
                if report and number % 25 == 24:
                    report(
                        {
                            "epoch": epoch,
                            "batch": number + 1,
                            "batches": len(these),
                            "loss": float(np.mean(losses[-100:])),
                            "seconds": time.perf_counter() - started,
                        }
                    )
            record = {
                "epoch": epoch + 1,
                "loss": round(float(np.mean(losses)), 4),
                "seconds": round(time.perf_counter() - started, 1),
                **evaluate(),
            }
            self.curve.append(record)
            self._checkpoint((dense, sparse), rng, epoch + 1, total)
            if report:
                report(record)

    def _epoch_rows(self, documents: list[list[Row]], rng: random.Random) -> list[Row]:
        """Join neighbouring sentences at random."""
        out = []
        for rows in documents:
            i = 0
            while i < len(rows):
                n = 1 if rng.random() >= self.config.join else rng.choice((2, 3))
                out.append(join(rows[i : i + n], self.config.max_pieces))
                i += n
        return out

    def _train_step(
        self, batch: list[Row], optimizers: tuple[Any, Any], clipped: list[Tensor]
    ) -> float:
        self.encoder.train()
        target, context = self.forward(batch, self.config.mask_pieces)
        draw = torch.rand(len(target), 1, device=self.device)
        keep_target = (draw >= self.config.drop_target).float()
        keep_context = (draw < 1 - self.config.drop_context).float()
        z = self.network.occurrence(target * keep_target, context * keep_context)
        targets = [t for row in batch for t in row.targets]
        weights = torch.tensor(
            [row.weight for row in batch for _ in row.targets], device=self.device
        )
        scores, allowed = self.logits(z, targets, drop=True)
        losses = -scores.log_softmax(-1).masked_fill(~allowed, float("-inf")).logsumexp(-1)
        loss = (losses * weights).sum() / weights.sum()
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(clipped, 1.0)
        for optimizer in optimizers:
            optimizer.step()
        return float(loss.detach())

    @torch.inference_mode()
    def predict(self, rows: Sequence[Row]) -> Iterator[tuple[RowTarget, Floats1d]]:
        """Each target with the scores of its candidates. *Shape:* of each (n_candidates,)"""
        self.encoder.eval()
        for batch in batches(rows, self.config.batch_pieces * 4):
            targets = [t for row in batch for t in row.targets]
            z = self.network.occurrence(*self.forward(batch))
            scores, _ = self.logits(z, targets, drop=False)
            for target, row in zip(targets, scores.cpu().numpy(), strict=True):
                yield target, row[: len(target.candidates)]

    def accuracy(self, rows: Sequence[Row]) -> dict[str, float]:
        """Share of targets whose best sense is allowed, and the mean loss.

        Also where the first sense is not allowed (``rest``), and the first sense's own share.
        """
        right = first = rest = 0
        n = 0
        loss = 0.0
        for target, scores in self.predict(rows):
            allowed = np.array(target.allowed)
            hit = bool(allowed[int(scores.argmax())])
            right += hit
            first += target.allowed[0]
            rest += hit and not target.allowed[0]
            shifted = np.exp(scores.astype(np.float64) - scores.max())
            loss -= math.log(max(shifted[allowed].sum() / shifted.sum(), 1e-12))
            n += 1
        n = max(n, 1)
        values = (right / n, rest / max(n - first, 1), first / n, loss / n)
        names = ("accuracy", "rest", "first_sense", "loss")
        return {name: round(value, 4) for name, value in zip(names, values, strict=True)}

    # -- files ---------------------------------------------------------------------------

    def _checkpoint(
        self, optimizers: tuple[Any, Any], rng: random.Random, epoch: int, total: int
    ) -> None:
        temporary = self.folder / "checkpoint.pt.part"
        torch.save(
            {
                "epoch": epoch,
                "step": self.step,
                "total": total,
                "curve": self.curve,
                "config": asdict(self.config),
                "rng": rng.getstate(),
                "optimizers": [optimizer.state_dict() for optimizer in optimizers],
                "network": self.network.state_dict(),
                "encoder": self.encoder.state_dict(),
            },
            temporary,
        )
        temporary.replace(self.folder / "checkpoint.pt")
        (self.folder / "curve.json").write_text(json.dumps(self.curve, indent=1) + "\n")

    def average_with(self, folders: Sequence[Path]) -> None:
        """Average the weights with those of other finished runs from the same encoder.

        One model with the accuracy of several (Wortsman et al., "Model soups", ICML 2022).

        Args:
            folders: of the runs; each was trained from the same start on the same table.

        Raises:
            ConfigError: a folder holds no finished run, or one of another shape.
        """
        states = [(self.network.state_dict(), self.encoder.state_dict())]
        for folder in folders:
            path = folder / "checkpoint.pt"
            if not path.is_file():
                raise ConfigError(f"{folder} holds no run; give a folder of train-senses")
            saved = torch.load(path, weights_only=True, map_location=self.device)
            states.append((saved["network"], saved["encoder"]))
        for module, parts in zip(
            (self.network, self.encoder), zip(*states, strict=True), strict=True
        ):
            try:
                module.load_state_dict(_mean_state(parts))
            except (KeyError, RuntimeError) as error:
                raise ConfigError(
                    f"the runs in {', '.join(map(str, folders))} are of another encoder or table "
                    "than this one; average runs of the same command"
                ) from error

    def _resume(self, optimizers: tuple[Any, Any], rng: random.Random) -> tuple[int, int]:
        """Number of finished epochs and of all steps; 0 and 0 for a new run."""
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return 0, 0
        saved = torch.load(path, weights_only=True, map_location=self.device)
        if saved["config"] != asdict(self.config):
            raise ConfigError(
                f"{path} was made with other options; give another --output or delete it"
            )
        self.network.load_state_dict(saved["network"])
        self.encoder.load_state_dict(saved["encoder"])
        for optimizer, state in zip(optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self.step, self.curve = saved["step"], saved["curve"]
        rng.setstate(saved["rng"])
        return int(saved["epoch"]), int(saved["total"])


def _mean_state(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Mean of each tensor of some states; whole numbers are those of the first."""
    return {
        name: torch.stack([state[name] for state in states]).mean(0)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in states[0].items()
    }
