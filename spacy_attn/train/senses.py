"""Train the sense model: an encoder fine-tuned to tell senses apart, and a vector for each sense.

One occurrence of a word becomes one vector ``z``, one sense another vector ``s``; the
score of a sense is ``exp(tau) * z . s`` among the candidates of the lemma (a bi-encoder
as in Blevins and Zettlemoyer, "Moving down the long tail of word sense disambiguation
with gloss informed bi-encoders", ACL 2020, with these differences):

* ``z = normalize(T h_target + C h_context)``: the mean vector of the target's tokens
  beside the mean of the tokens within ``context_radius`` of it;
* ``s = G g + H g' + t + r + sum of r of its neighbours``: linear maps of the untrained encoder's
  vectors of the sense's text and of its hypernyms' texts, what a trained gloss encoder gives
  (:mod:`spacy_attn.train.gloss_encoder`), a residual that the corpora teach, and the residuals of
  hypernyms, similar and derived synsets and of the supersense, so that a sense that no corpus
  holds still learns from its neighbours. All but the maps are dropped at random, so that the rest
  learns to decide without them;
* several allowed senses (MASC) are partial labels: the loss is ``-log`` of the sum of
  their probabilities.

The encoder is trained whole; what ships of it is a low-rank part of the change
(:mod:`spacy_attn.train.export`).
"""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spacy_attn._types import Floats1d
from spacy_attn.errors import ConfigError
from spacy_attn.train.gloss_encoder import GlossEncoder, words_of
from spacy_attn.train.half import (
    Worker,
    frozen_sha256,
    is_trained,
    load_trained,
    trained_state,
)
from spacy_attn.train.rows import Row, RowTarget, batches
from spacy_attn.train.run_folder import (
    CHECKPOINT,
    read_checkpoint,
    refused_state,
    write_checkpoint,
    write_curve,
)
from spacy_attn.train.schedule import linear_schedule
from spacy_attn.train.sense_config import TrainConfig
from spacy_attn.train.sense_network import SenseNetwork, occurrence_parts, token_means
from spacy_attn.train.sense_side import (
    SHARES,
    accuracy_of,
    counted,
    fit_senses,
    met_targets,
    padded_scores,
    rows_of_some_words,
)
from spacy_attn.train.sense_table import SenseTable
from spacy_attn.train.teacher import SoftTargets
from spacy_attn.train.text_vectors import text_vectors
from spacy_attn.train.thin import thick, thin, zero_rows

_FOR_THE_MAP = 12_000  # senses whose texts are read to fit the map where no sense has it
_SAVE_EVERY = 240.0  # seconds between checkpoints; a shorter run has one, at its end


class SenseTrainer:
    """Seeded, restartable training of the sense model.

    Args:
        encoder: a Hugging Face model; it is trained in place, but for its embeddings.
        tokenizer: its fast tokenizer.
        table: the senses.
        config: see :class:`TrainConfig`.
        folder: checkpoints and ``curve.json`` go here.
        base: the untrained encoder, which gives texts their vectors; None takes ``encoder``.
        given: see :class:`SenseNetwork`. Synsets with such a vector need none of their text.
        other: see :class:`SenseNetwork`.
        report: called with how many texts have their vectors.
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
        other: Tensor | None = None,
        report: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        torch.manual_seed(config.seed)
        folder.mkdir(parents=True, exist_ok=True)
        self.tokenizer, self.table, self.config, self.folder = tokenizer, table, config, folder
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.base = (base or copy.deepcopy(encoder)).to(self.device)
        self.encoder = encoder.to(self.device)
        for name, parameter in encoder.named_parameters():
            parameter.requires_grad_(is_trained(name, config.frozen_layers))
        for module in encoder.modules():
            if isinstance(module, nn.Dropout):
                module.p = config.dropout
        self.worker = Worker(self.encoder, config.precision)
        self.glosses: GlossEncoder | None = None
        self.soft: SoftTargets | None = None  # what teachers say, where there are any
        needed = table.chosen
        if given is not None:
            has_one = given.any(dim=1).tolist()
            needed = [row for row in table.chosen if not has_one[row]]
        elif other is not None:  # the other model has read the texts
            needed = []
        glosses = self._gloss_vectors(needed, report)
        related, shares = (
            torch.from_numpy(array)
            for array in table.composition(None if given is None else needed)
        )
        above = zero_rows(*glosses.shape)
        for row in needed:
            kinds = table.related(row)
            if over := kinds["hypernym"][:3] or kinds["similar"][:3]:
                above[row] = glosses[over].mean(0)
        counts = config.prior and table.inventory is None
        self.log_counts = table.log_counts if counts else {}
        self.network = SenseNetwork(glosses, above, (related, shares), given, other)
        self.network.to(self.device)
        special = (tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id)
        self.cls, self.sep, self.pad = special
        self.epoch = self.step = self.batch = 0
        self.total = config.steps  # 0 until it is known how many batches there are
        self.losses: list[float] = []
        self.curve: list[dict[str, Any]] = []

    def _gloss_vectors(
        self, needed: Sequence[int], report: Callable[[dict[str, Any]], None] | None = None
    ) -> Tensor:
        """The untrained encoder's vectors of the texts of some synsets, and of what is above them.

        *Shape:* (n_rows, hidden); zeros where a text is not needed
        """
        return text_vectors(
            self.base,
            self.tokenizer,
            self.table.texts(needed),
            self.table.n_rows,
            self.folder,
            self.config.precision,
            report,
        )

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
        places = [
            (i, t.start, t.end, t.first, min(t.last, row.n_tokens))
            for i, row in enumerate(batch)
            for t in row.targets
        ]
        found = torch.tensor(places, device=self.device)
        hidden_states = self.worker.hidden(ids.to(self.device), mask.to(self.device))
        tokens = token_means(hidden_states, owner.to(self.device), n_tokens)
        where, spans, bounds = found[:, 0], found[:, 1:3], found[:, 3:]
        return occurrence_parts(tokens, where, spans, bounds, self.config.context_radius)

    def logits(
        self, z: Tensor, targets: Sequence[RowTarget], *, drop: bool
    ) -> tuple[Tensor, Tensor]:
        """Scores of the candidates of each target, padded with -inf.

        Args:
            z: vectors of the occurrences.
            targets: what they are of.
            drop: whether this is training: parts are dropped, corpora shift scores.

        The prior is part of them in training too: the vectors need not say how frequent a sense is.

        *Shape:* z (n, hidden) -> logits (n, most candidates), allowed (n, most candidates)
        """
        sizes = torch.tensor([len(t.candidates) for t in targets], device=self.device)
        flat = torch.tensor([row for t in targets for row in t.candidates], device=self.device)
        rows, place = torch.unique(flat, return_inverse=True)
        owner = torch.arange(len(targets), device=self.device).repeat_interleave(sizes)
        network, config = self.network, self.config
        # Once definitions have an encoder of their own, they decide alone now and then.
        alone = config.text_alone * drop if self.glosses is not None else 0.0
        whole = torch.rand(len(targets), device=self.device) >= alone
        dots = network.text_dots(z, flat, owner) * whole.float()[owner]
        dots = dots + (network.texts[rows].float()[place] * z[owner]).sum(-1)
        parts = [network.neighbours(rows), network.residual(rows)]
        if network.has_other:
            parts.append(network.from_other(rows))
        for part in parts:
            kept = torch.rand(len(targets), device=self.device) >= config.drop_residual * drop
            dots = dots + (part[place] * z[owner]).sum(-1) * (kept & whole).float()[owner]
        dots = dots * network.scale.exp()
        if self.log_counts:
            dots = dots + config.prior * counted(targets, self.log_counts).to(self.device)
        return padded_scores(dots, targets, shift=drop)

    def loss(self, z: Tensor, targets: Sequence[RowTarget]) -> Tensor:
        """Weighted mean of ``-log`` of the probability of the allowed senses; see :meth:`logits`.

        Where teachers say what they think, a share of it is the cross-entropy to that.

        *Shape:* z (n, hidden) -> ()
        """
        weights = torch.tensor([t.weight for t in targets], device=self.device)
        scores, allowed = self.logits(z, targets, drop=True)
        losses = -scores.log_softmax(-1).masked_fill(~allowed, float("-inf")).logsumexp(-1)
        if self.soft is not None:
            soft = torch.from_numpy(self.soft.of(targets)).to(self.device)
            real = scores != float("-inf")
            shifts, _ = padded_scores(torch.zeros_like(soft), targets, shift=True)
            plain = (scores - shifts.masked_fill(~real, 0.0)).log_softmax(-1)
            # Where nobody was asked there is no share, and nothing that is no number.
            teacher, _ = padded_scores(soft, targets, shift=False)
            teacher = teacher.masked_fill(~real, 0.0)
            is_known = ~teacher.isnan().any(-1)
            learnt = -(teacher.nan_to_num() * plain.masked_fill(~real, 0.0)).sum(-1)
            share = self.config.teacher_share * is_known
            losses = (1 - share) * losses + share * learnt
        return (losses * weights).sum() / weights.sum()

    # -- training ------------------------------------------------------------------------

    @property
    def has_ended(self) -> bool:
        """Whether all steps are done; what was learnt may still have to be measured."""
        return self.epoch >= self.config.epochs or 0 < self.total <= self.step

    def train(
        self,
        documents: list[list[Row]],
        evaluate: Callable[[], dict[str, float]],
        report: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        """Train for ``epochs``; a run that was stopped goes on from its last checkpoint."""
        config = self.config
        optimizers = dense, sparse = self._optimizers()
        self._resume(optimizers)
        kept = self._kept_occurrences(documents)
        groups = [*dense.param_groups, *sparse.param_groups]
        clipped = [p for group in dense.param_groups for p in group["params"]]
        rates = (config.projection_rate, config.learning_rate, config.residual_rate)
        self._saved_at = time.perf_counter()
        while self.batch or not self.has_ended:
            rng = random.Random(config.seed * 1000 + self.epoch)  # noqa: S311 - order, no secret
            every = [row for rows in documents for row in rows]
            these = batches(every, config.batch_pieces, rng)
            self.total = self.total or len(these) * config.epochs
            these = these[: self.batch + self.total - self.step]
            started, first = time.perf_counter(), self.batch
            for batch in these[first:]:
                rate = linear_schedule(self.step / self.total, config.warmup)
                for group, base in zip(groups, rates, strict=True):
                    group["lr"] = base * rate
                torch.manual_seed(config.seed * 1_000_003 + self.step)
                loss = self._train_step(batch, optimizers, clipped, kept)
                self.losses.append(loss)
                self.step += 1
                self.batch += 1
                if report and (self.batch % 25 == 0 or self.batch in (1, len(these))):
                    report(
                        {
                            "epoch": self.epoch,
                            "batch": self.batch,
                            "batches": len(these),
                            "loss": float(np.mean(self.losses[-100:])),
                            "seconds": time.perf_counter() - started,
                        }
                    )
                self._checkpoint_if_due(optimizers)
            record: dict[str, Any] = {
                "epoch": self.epoch + 1,
                "loss": round(float(np.mean(self.losses)), 4),
                "seconds": round(time.perf_counter() - started, 1),
            }
            self._checkpoint_if_due(optimizers)
            record |= evaluate()
            if report:
                report(record)
            if kept is not None and self.epoch < config.gloss_turns:
                turn = self._gloss_turn(documents, kept, report)
                record["glosses"] = turn | evaluate()
            self.curve.append(record)
            self.epoch, self.batch, self.losses = self.epoch + 1, 0, []
            self._checkpoint_if_due(optimizers, at_once=self.has_ended)
            write_curve(self.folder, self.curve)

    def _optimizers(self) -> tuple[torch.optim.AdamW, torch.optim.SparseAdam]:
        """Of projections and encoder, and of what is learnt for single senses."""
        encoder = [p for p in self.encoder.parameters() if p.requires_grad]
        dense = torch.optim.AdamW(
            [{"params": self.network.projections()}, {"params": encoder}],
            weight_decay=0.01,
            betas=(0.9, 0.98),
            fused=True,
        )
        # The residual table has a row for each synset, and a step touches hundreds.
        table = self.network.residual.weight
        sparse = torch.optim.SparseAdam([table])
        state = {name: zero_rows(*table.shape).to(table) for name in ("exp_avg", "exp_avg_sq")}
        sparse.state[table] = {"step": 0, **state}
        return dense, sparse

    def _kept_occurrences(self, documents: list[list[Row]]) -> NDArray[np.float16] | None:
        """Where the vectors z of occurrences are kept for the gloss encoder, on disk."""
        if not (self.config.gloss_turns or self.config.fits_senses):
            return None
        path = self.folder / "occurrences.npy"
        n = 1 + max(t.number for rows in documents for row in rows for t in row.targets)
        new = None if path.exists() else (n, self.encoder.config.hidden_size)
        kept: NDArray[np.float16] = np.lib.format.open_memmap(
            path, "r+" if path.exists() else "w+", np.float16, new
        )
        return kept

    def fit_senses(self, documents: list[list[Row]]) -> None:
        """Fit the side of the senses against the last epoch: :mod:`~.sense_side`."""
        config, kept = self.config, self._kept_occurrences(documents)
        if kept is not None and config.fits_senses:
            targets, needed = met_targets(documents, kept), self.table.chosen
            # Where senses have vectors from elsewhere, a user's definitions alone need the map.
            if self.network.has_other or self.network.has_given:
                needed = rows_of_some_words(targets, _FOR_THE_MAP, config.seed)
            glosses = self._gloss_vectors(needed)
            shares = {name: getattr(config, name) for name in SHARES}
            fit_senses(self.network, glosses, targets, kept, **shares)

    def _gloss_turn(
        self,
        documents: list[list[Row]],
        kept: NDArray[np.float16],
        report: Callable[[dict[str, Any]], None] | None,
    ) -> dict[str, float]:
        """The gloss encoder learns, then all senses get their vectors anew."""
        config, network = self.config, self.network
        started = time.perf_counter()
        if self.glosses is None:
            self.glosses = self._gloss_encoder()
        words, seed = words_of(met_targets(documents, kept)), config.seed * 1000 + self.epoch
        rates = config.learning_rate, config.projection_rate / 2
        scale = float(network.scale.detach().exp())

        def say(record: dict[str, Any]) -> None:
            if report:
                report({"epoch": self.epoch, "of": "glosses", **record})

        loss = self.glosses.learn(words, kept, scale, rates, seed, say)
        self.glosses.all_vectors(network.texts)
        seconds = round(time.perf_counter() - started, 1)
        return {"loss": round(loss, 4), "seconds": seconds}

    def _gloss_encoder(self) -> GlossEncoder:
        return GlossEncoder(
            self.base,
            self.tokenizer,
            self.table.definitions(),
            self.network.gloss.weight.detach(),
            self.config.precision,
        )

    def _train_step(
        self,
        batch: list[Row],
        optimizers: tuple[Any, Any],
        clipped: list[Tensor],
        kept: NDArray[np.float16] | None = None,
    ) -> float:
        self.worker.model.train()
        target, context = self.forward(batch, self.config.mask_pieces)
        draw = torch.rand(len(target), 1, device=self.device)
        keep_target = (draw >= self.config.drop_target).float()
        keep_context = (draw < 1 - self.config.drop_context).float()
        z = self.network.occurrence(target * keep_target, context * keep_context)
        targets = [t for row in batch for t in row.targets]
        loss = self.loss(z, targets)
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.worker.hand_over_gradients()
        torch.nn.utils.clip_grad_norm_(clipped, 1.0)
        for optimizer in optimizers:
            optimizer.step()
        self.worker.update()
        if kept is not None:
            with torch.no_grad():
                whole = self.network.occurrence(target, context)
            kept[[t.number for t in targets]] = whole.cpu().numpy()
        return float(loss.detach())

    @torch.inference_mode()
    def predict(self, rows: Sequence[Row]) -> Iterator[tuple[RowTarget, Floats1d]]:
        """Each target with the scores of its candidates. *Shape:* of each (n_candidates,)"""
        self.worker.model.eval()
        self.worker.update()
        for batch in batches(rows, self.config.batch_pieces * 4):
            targets = [t for row in batch for t in row.targets]
            z = self.network.occurrence(*self.forward(batch))
            scores, _ = self.logits(z, targets, drop=False)
            for target, row in zip(targets, scores.cpu().numpy(), strict=True):
                yield target, row[: len(target.candidates)]

    def accuracy(self, rows: Sequence[Row]) -> dict[str, float]:
        """See :func:`~.sense_side.accuracy_of`."""
        return accuracy_of(self.predict(rows))

    # -- files ---------------------------------------------------------------------------

    def _checkpoint_if_due(self, optimizers: tuple[Any, ...], *, at_once: bool = False) -> None:
        if at_once or time.perf_counter() - self._saved_at > _SAVE_EVERY:
            self._checkpoint(optimizers)
            self._saved_at = time.perf_counter()

    def _checkpoint(self, optimizers: tuple[Any, ...]) -> None:
        """What the run has changed; nothing steps any more once it has ended."""
        stepping = () if self.has_ended else optimizers
        state = {
            "epoch": self.epoch,
            "step": self.step,
            "batch": self.batch,
            "losses": self.losses,
            "total": self.total,
            "curve": self.curve,
            "config": asdict(self.config),
            "optimizers": [thin(optimizer.state_dict()) for optimizer in stepping],
            "network": thin(self.network.state_dict()),
            "encoder": trained_state(self.encoder),
            "frozen": frozen_sha256(self.encoder),
            "glosses": self.glosses.state() if self.glosses is not None else None,
        }
        write_checkpoint(self.folder, state)

    def _resume(self, optimizers: tuple[Any, Any]) -> None:
        """Take over the last checkpoint, where there is one."""
        path = self.folder / CHECKPOINT
        if not path.exists():
            return
        saved = read_checkpoint(path, self.device)
        if saved.get("config") != asdict(self.config):
            raise ConfigError(
                f"{path} was made with other options; give another --output or delete it"
            )
        with refused_state(path):
            if saved.get("frozen") not in (None, frozen_sha256(self.encoder)):
                raise ValueError("its encoder is another")
            self.network.load_state_dict(thick(saved["network"]))
            load_trained(self.encoder, saved["encoder"])
            self.worker.update()
            for name in ("epoch", "step", "batch", "total", "losses", "curve"):
                setattr(self, name, saved[name])
            if not self.has_ended:
                for optimizer, state in zip(optimizers, saved["optimizers"], strict=True):
                    optimizer.load_state_dict(thick(state))
            if saved["glosses"] is not None:
                self.glosses = self._gloss_encoder()
                self.glosses.load(saved["glosses"])
