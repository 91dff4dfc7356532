"""Train the sense model: a low-rank adaptation of an encoder and three projections.

One occurrence of a word becomes one vector ``z``, one sense another vector ``s``; the
score of a sense is ``exp(tau) * z . s`` among the candidates of the lemma (a bi-encoder
as in Blevins and Zettlemoyer, "Moving down the long tail of word sense disambiguation
with gloss informed bi-encoders", ACL 2020, with these differences):

* ``z = normalize(T h_target + C h_context)``: the mean vector of the target's tokens
  beside the mean of the tokens within ``context_radius`` of it. In training one of the
  two is dropped at random, so that each learns to decide alone.
* the encoder is adapted with LoRA (Hu et al. 2021) instead of fine-tuned whole, so that
  the result is a few megabytes;
* ``s = G g + r``: a linear map of the frozen encoder's gloss vector and a residual for
  senses that the corpora hold, dropped at random so that unseen senses work too;
* several allowed senses (MASC) are partial labels: the loss is ``-log`` of the sum of
  their probabilities.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spacy_attn.errors import ConfigError
from spacy_attn.models import file_sha256, resolve_encoder, weights_sha256
from spacy_attn.senses.contextual import gloss_text
from spacy_attn.senses.inventory import Inventory, load_inventory
from spacy_attn.senses.wordnet import WordNet
from spacy_attn.train.corpora import (
    TaggedSentence,
    read_masc,
    read_semcor,
    read_wordnet_examples,
    split_corpora,
)

__all__ = [
    "SenseTrainer",
    "TrainConfig",
    "export_sense_model",
    "finish_sense_model",
    "train_sense_model",
]

logger = logging.getLogger("spacy_attn")

CHECKPOINT = "checkpoint.safetensors"
STRENGTHS = (0.3, 0.5, 0.7, 1.0)
ENCODER_WINDOW: dict[str, Any] = {
    "window": 256,
    "overlap": 64,
}  # wordpieces, while settings are chosen


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides the result of a training run, beside the data."""

    epochs: int = 4
    batch_pieces: int = 3072  # wordpieces in one step, padding included
    learning_rate: float = 7e-4  # of the LoRA factors
    projection_rate: float = 1e-3
    residual_rate: float = 3e-3
    warmup: float = 0.05  # share of the steps
    rank: int = 32  # of the LoRA factors; 0 trains the projections alone
    width: int = 384  # of z and s
    context_radius: int = 25  # tokens each side that make h_context
    max_pieces: int = 160  # of a row; longer ones are cut
    drop_target: float = 0.15
    drop_context: float = 0.15
    drop_residual: float = 0.5
    mask_target: float = 0.1  # share of targets whose pieces become [MASK]
    join: float = 0.5  # share of rows that join two or three sentences of a document
    weight_masc: float = 1.0
    weight_wordnet: float = 1.0
    precision: str = "bf16"
    seed: int = 0

    def weight(self, genre: str) -> float:
        """Weight of a corpus in the loss."""
        return {"semcor": 1.0, "wordnet": self.weight_wordnet}.get(genre, self.weight_masc)


@dataclass(slots=True)
class Row:
    """A piece of running text ready for the encoder."""

    ids: list[int]  # wordpieces without special tokens
    owner: list[int]  # token index of each piece
    n_tokens: int
    targets: list[tuple[int, int, list[int], list[bool]]]  # start, end, candidates, allowed
    weight: float = 1.0


class LoraLinear(nn.Module):
    """A frozen linear layer and a trained low-rank addition (Hu et al. 2021).

    The factors are kept in float32 and used in the layer's own precision.

    *Shape:* (..., in) -> (..., out)
    """

    def __init__(self, linear: nn.Linear, rank: int) -> None:
        super().__init__()
        self.linear = linear
        self.lora_A = nn.Parameter(torch.empty(rank, linear.in_features))
        self.lora_B = nn.Parameter(torch.zeros(linear.out_features, rank))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        dtype = x.dtype
        low = F.linear(x, self.lora_A.to(dtype))
        return cast(Tensor, self.linear(x)) + F.linear(low, self.lora_B.to(dtype))


class SenseHead(nn.Module):
    """The three projections and the sense residuals.

    Args:
        n_senses: number of rows of the residual table.
        hidden: width of the encoder.
        width: width of z and s.
    """

    def __init__(self, n_senses: int, hidden: int, width: int) -> None:
        super().__init__()
        self.target = nn.Linear(hidden, width, bias=False)
        self.context = nn.Linear(hidden, width, bias=False)
        self.gloss = nn.Linear(hidden, width, bias=False)
        self.residual = nn.Embedding(n_senses, width, sparse=True)
        self.scale = nn.Parameter(torch.tensor(math.log(12.0)))
        for linear in (self.target, self.context, self.gloss):
            nn.init.eye_(linear.weight)
        nn.init.zeros_(self.residual.weight)

    def occurrence(self, target: Tensor, context: Tensor) -> Tensor:
        """The vector z of each occurrence.

        *Shape:* two (n, hidden) -> (n, width), rows of unit length
        """
        return F.normalize(self.target(target) + self.context(context), dim=-1)


def token_means(hidden: Tensor, owner: Tensor, n_tokens: int) -> Tensor:
    """Mean of the pieces of each token.

    *Shape:* (batch, pieces, hidden), owner (batch, pieces) with ``n_tokens`` for pieces
    of no token -> (batch, n_tokens, hidden)
    """
    batch, _, width = hidden.shape
    sums = hidden.new_zeros(batch, n_tokens + 1, width)
    sums.scatter_add_(1, owner.unsqueeze(-1).expand_as(hidden), hidden)
    counts = torch.zeros(batch, n_tokens + 1, dtype=hidden.dtype)
    counts.scatter_add_(1, owner, torch.ones_like(owner, dtype=hidden.dtype))
    return sums[:, :n_tokens] / counts[:, :n_tokens].clamp(min=1).unsqueeze(-1)


def occurrence_parts(
    tokens: Tensor, lengths: Tensor, where: Tensor, starts: Tensor, ends: Tensor, radius: int
) -> tuple[Tensor, Tensor]:
    """Mean target vector and mean vector of the tokens within ``radius`` of it.

    *Shape:* tokens (batch, n_tokens, hidden), lengths (batch,), where/starts/ends (n,)
    -> two (n, hidden); the context of a one-token text is the target itself.
    """
    sums = F.pad(tokens.cumsum(1), (0, 0, 1, 0))
    inside = sums[where, ends] - sums[where, starts]
    low = (starts - radius).clamp(min=0)
    high = torch.minimum(ends + radius, lengths[where])
    around = sums[where, high] - sums[where, low] - inside
    n_inside = (ends - starts).unsqueeze(-1)
    n_around = (high - low).unsqueeze(-1) - n_inside
    target = inside / n_inside
    return target, torch.where(n_around > 0, around / n_around.clamp(min=1), target)


class SenseTrainer:
    """Seeded, restartable training of the sense model.

    Args:
        encoder: a Hugging Face model (its weights stay frozen; LoRA factors are added).
        tokenizer: its fast tokenizer.
        wordnet: gives candidates and glosses.
        config: see :class:`TrainConfig`.
        folder: checkpoints, ``curve.json`` and the result go here.
    """

    def __init__(
        self, encoder: Any, tokenizer: Any, wordnet: WordNet, config: TrainConfig, folder: Path
    ) -> None:
        torch.manual_seed(config.seed)
        self.tokenizer = tokenizer
        self.wordnet = wordnet
        self.config = config
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.keys = sorted(wordnet.senses)
        self.index = {key: i for i, key in enumerate(self.keys)}
        hidden = encoder.config.hidden_size
        self.head = SenseHead(len(self.keys), hidden, config.width)
        self.base = encoder
        self.glosses = self._gloss_vectors()
        self.encoder = self._adapted(encoder)
        self.mask_id = tokenizer.mask_token_id
        self.special = (tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id)
        self.step = 0
        self.curve: list[dict[str, Any]] = []

    # -- encoder side -----------------------------------------------------------------

    def _adapted(self, encoder: Any) -> Any:
        if self.config.rank == 0:
            for parameter in encoder.parameters():
                parameter.requires_grad_(False)
            return encoder
        if self.config.precision == "bf16":
            encoder = encoder.to(torch.bfloat16)
        for parameter in encoder.parameters():
            parameter.requires_grad_(False)
        for name, module in list(encoder.named_modules()):
            if isinstance(module, nn.Linear) and ".layer." in name:
                parent = encoder.get_submodule(name.rpartition(".")[0])
                setattr(parent, name.rpartition(".")[2], LoraLinear(module, self.config.rank))
        return encoder

    def _gloss_text(self, key: str) -> str:
        sense = self.wordnet.senses[key]
        definition, _ = self.wordnet.gloss(sense)
        return gloss_text(sense.lemma.replace("_", " "), definition)

    def _gloss_vectors(self) -> Tensor:
        """Mean-pooled unit vectors of all glosses by the frozen encoder, cached on disk.

        *Shape:* (n_senses, hidden)
        """
        texts = [self._gloss_text(key) for key in self.keys]
        digest = hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:16]
        path = self.folder / f"glosses-{digest}.npy"
        if path.exists():
            return torch.from_numpy(np.load(path)).float()
        logger.info("encoding %d glosses", len(texts))
        model = self.base
        dtype = torch.bfloat16 if self.config.precision == "bf16" else torch.float32
        model = model.to(dtype).eval()
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        out = torch.zeros(len(texts), model.config.hidden_size)
        with torch.inference_mode():
            for first in range(0, len(order), 128):
                chosen = order[first : first + 128]
                batch = self.tokenizer(
                    [texts[i] for i in chosen],
                    padding=True, truncation=True, max_length=96, return_tensors="pt",
                )  # fmt: skip
                hidden = model(**batch).last_hidden_state.float()
                mask = batch["attention_mask"].unsqueeze(-1)
                out[chosen] = F.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)
        np.save(path, out.half().numpy())
        return out.half().float()  # what a run that goes on will read

    # -- data -------------------------------------------------------------------------

    def rows(self, sentences: Sequence[TaggedSentence], weight: float = 1.0) -> list[Row]:
        """Wordpieces and candidates of each sentence, done once."""
        out = []
        for first in range(0, len(sentences), 1000):
            chunk = sentences[first : first + 1000]
            encoded = self.tokenizer(
                [s.tokens for s in chunk], is_split_into_words=True, add_special_tokens=False,
                return_attention_mask=False,
            )  # fmt: skip
            for i, sentence in enumerate(chunk):
                owner = encoded.word_ids(i)
                targets = []
                for start, end, allowed in sentence.targets:
                    sense = self.wordnet.senses[allowed[0]]
                    candidates = self.wordnet.candidates(sense.lemma, sense.pos)
                    if len(candidates) < 2:
                        continue
                    keep = [c.key in allowed for c in candidates]
                    targets.append((start, end, [self.index[c.key] for c in candidates], keep))
                out.append(
                    Row(encoded["input_ids"][i], owner, len(sentence.tokens), targets, weight)
                )
        return out

    def _epoch_rows(self, documents: list[list[Row]], rng: random.Random) -> list[Row]:
        """Join neighbouring sentences at random, leave out rows without targets."""
        out = []
        for rows in documents:
            i = 0
            while i < len(rows):
                n = 1 if rng.random() >= self.config.join else rng.choice((2, 3))
                row = join(rows[i : i + n], self.config.max_pieces)
                i += n
                if row.targets:
                    out.append(row)
        return out

    def batches(self, rows: list[Row], rng: random.Random | None) -> list[list[Row]]:
        """Rows of similar length together, at most ``batch_pieces`` with padding."""
        noise = rng.random if rng else _half
        order = sorted(rows, key=lambda r: len(r.ids) * (0.9 + 0.2 * noise()))
        out: list[list[Row]] = []
        batch: list[Row] = []
        longest = 0
        for row in order:
            longest = max(longest, len(row.ids) + 2)
            if batch and longest * (len(batch) + 1) > self.config.batch_pieces:
                out.append(batch)
                batch, longest = [], len(row.ids) + 2
            batch.append(row)
        if batch:
            out.append(batch)
        if rng:
            rng.shuffle(out)
        return out

    def forward(self, batch: list[Row], rng: random.Random | None) -> tuple[Tensor, Tensor]:
        """Target and context vectors of all targets of a batch.

        *Shape:* two (n_targets, hidden)
        """
        cls, sep, pad = self.special
        longest = max(len(row.ids) for row in batch) + 2
        n_tokens = max(row.n_tokens for row in batch)
        ids = torch.full((len(batch), longest), pad)
        mask = torch.zeros((len(batch), longest), dtype=torch.long)
        owner = torch.full((len(batch), longest), n_tokens)
        where, starts, ends = [], [], []
        for i, row in enumerate(batch):
            pieces = row.ids
            if rng:
                hidden_tokens = {
                    token
                    for start, end, _, _ in row.targets
                    if rng.random() < self.config.mask_target
                    for token in range(start, end)
                }
                if hidden_tokens:
                    pieces = [
                        self.mask_id if o in hidden_tokens else p
                        for p, o in zip(pieces, row.owner, strict=True)
                    ]
            n = len(pieces)
            ids[i, : n + 2] = torch.tensor([cls, *pieces, sep])
            mask[i, : n + 2] = 1
            owner[i, 1 : n + 1] = torch.tensor(row.owner)
            for start, end, _, _ in row.targets:
                where.append(i)
                starts.append(start)
                ends.append(end)
        hidden = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        tokens = token_means(hidden, owner, n_tokens)
        lengths = torch.tensor([row.n_tokens for row in batch])
        return occurrence_parts(
            tokens, lengths, torch.tensor(where), torch.tensor(starts), torch.tensor(ends),
            self.config.context_radius,
        )  # fmt: skip

    def logits(
        self, z: Tensor, targets: list[tuple[int, int, list[int], list[bool]]], drop: bool
    ) -> tuple[Tensor, Tensor]:
        """Scores of the candidates of each target, padded with -inf.

        *Shape:* z (n, width) -> logits (n, most candidates), allowed (n, most candidates)
        """
        sizes = torch.tensor([len(t[2]) for t in targets])
        flat = torch.tensor([sense for t in targets for sense in t[2]])
        real = torch.arange(int(sizes.max())) < sizes.unsqueeze(-1)
        sense = self.head.gloss(self.glosses[flat])
        if drop:
            kept = torch.rand(len(targets)) >= self.config.drop_residual
            kept = kept.repeat_interleave(sizes)
            sense = sense.index_add(0, kept.nonzero().squeeze(-1), self.head.residual(flat[kept]))
        else:
            sense = sense + self.head.residual(flat)
        dots = (sense * z.repeat_interleave(sizes, 0)).sum(-1) * self.head.scale.exp()
        scores = torch.full(real.shape, float("-inf")).masked_scatter(real, dots)
        allowed = torch.zeros(real.shape, dtype=torch.bool)
        allowed[real] = torch.tensor([keep for t in targets for keep in t[3]])
        return scores, allowed

    # -- training ---------------------------------------------------------------------

    def train(
        self,
        documents: list[list[Row]],
        evaluate: Callable[[], dict[str, float]],
        report: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        """Train for ``epochs``; a run that was stopped goes on from its last epoch."""
        config = self.config
        lora = [p for p in self.encoder.parameters() if p.requires_grad]
        projections = [
            *self.head.target.parameters(), *self.head.context.parameters(),
            *self.head.gloss.parameters(), self.head.scale,
        ]  # fmt: skip
        groups = [{"params": projections, "lr": config.projection_rate}]
        if lora:
            groups.append({"params": lora, "lr": config.learning_rate})
        # The residual table has a row for each WordNet sense and a step touches hundreds.
        sparse = torch.optim.SparseAdam(self.head.residual.parameters(), lr=config.residual_rate)
        optimizer = torch.optim.AdamW(groups, weight_decay=0.01, fused=True)
        rng = random.Random(config.seed)  # noqa: S311 - order and drops, no secret
        first_epoch, total = self._resume(optimizer, sparse, rng)
        for epoch in range(first_epoch, config.epochs):
            batches = self.batches(self._epoch_rows(documents, rng), rng)
            total = total or len(batches) * config.epochs
            torch.manual_seed(config.seed + epoch)
            losses: list[float] = []
            started = time.perf_counter()
            for number, batch in enumerate(batches):
                rate = _schedule(self.step / total, config.warmup)
                for group, base in zip(
                    optimizer.param_groups,
                    (config.projection_rate, config.learning_rate),
                    strict=False,
                ):
                    group["lr"] = base * rate
                sparse.param_groups[0]["lr"] = config.residual_rate * rate
                both = (optimizer, sparse)
                losses.append(self._train_step(batch, rng, both, [*projections, *lora]))
                self.step += 1
                if report and number % 25 == 24:
                    report(
                        {
                            "epoch": epoch, "batch": number + 1, "batches": len(batches),
                            "loss": float(np.mean(losses[-100:])),
                            "seconds": time.perf_counter() - started,
                        }
                    )  # fmt: skip
            record = {
                "epoch": epoch + 1,
                "loss": round(float(np.mean(losses)), 4),
                "seconds": round(time.perf_counter() - started, 1),
                **evaluate(),
            }
            self.curve.append(record)
            self._checkpoint(optimizer, sparse, rng, epoch + 1, total)
            if report:
                report(record)

    def _train_step(
        self,
        batch: list[Row],
        rng: random.Random,
        optimizers: tuple[Any, Any],
        clipped: list[Tensor],
    ) -> float:
        config = self.config
        self.encoder.eval()  # no dropout: LoRA and the drops below regularise enough
        target, context = self.forward(batch, rng)
        draw = torch.rand(len(target), 1)
        keep_target = (draw >= config.drop_target).float()
        keep_context = (draw < 1 - config.drop_context).float()
        z = self.head.occurrence(target * keep_target, context * keep_context)
        targets = [t for row in batch for t in row.targets]
        weights = torch.tensor([row.weight for row in batch for _ in row.targets])
        scores, allowed = self.logits(z, targets, drop=True)
        log_p = scores.log_softmax(-1)
        losses = -log_p.masked_fill(~allowed, float("-inf")).logsumexp(-1)
        loss = (losses * weights).sum() / weights.sum()
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(clipped, 1.0)
        for optimizer in optimizers:
            optimizer.step()
        return float(loss.detach())

    @torch.inference_mode()
    def predict(self, rows: list[Row]) -> Iterator[tuple[Row, list[int], list[int]]]:
        """For each row the chosen and the first candidate of each target, by position."""
        for batch in self.batches([row for row in rows if row.targets], None):
            target, context = self.forward(batch, None)
            targets = [t for row in batch for t in row.targets]
            scores, _ = self.logits(self.head.occurrence(target, context), targets, drop=False)
            best = scores.argmax(-1).tolist()
            n = 0
            for row in batch:
                yield row, best[n : n + len(row.targets)], [0] * len(row.targets)
                n += len(row.targets)

    def accuracy(self, rows: list[Row]) -> tuple[float, float]:
        """Share of targets whose best sense is allowed; the same for the first sense."""
        right = first = n = 0
        for row, best, _ in self.predict(rows):
            for (_, _, _, allowed), choice in zip(row.targets, best, strict=True):
                right += allowed[choice]
                first += allowed[0]
                n += 1
        return right / max(n, 1), first / max(n, 1)

    # -- files ------------------------------------------------------------------------

    def state(self) -> dict[str, Tensor]:
        """LoRA factors and projections under the names that inference reads."""
        out = {
            "head.target": self.head.target.weight.detach(),
            "head.context": self.head.context.weight.detach(),
            "head.gloss": self.head.gloss.weight.detach(),
            "head.scale": self.head.scale.detach().reshape(1),
        }
        for name, parameter in self.encoder.named_parameters():
            if "lora_" in name:
                out[name] = parameter.detach()
        return {name: tensor.float().contiguous() for name, tensor in out.items()}

    def _checkpoint(
        self, optimizer: Any, sparse: Any, rng: random.Random, epoch: int, total: int
    ) -> None:
        from safetensors.torch import save_file

        save_file(
            {name: t.half() for name, t in self.state().items()},
            self.folder / CHECKPOINT,
            metadata={"config": json.dumps(asdict(self.config)), "epoch": str(epoch)},
        )
        temporary = self.folder / "checkpoint.pt.part"
        torch.save(
            {
                "epoch": epoch, "step": self.step, "curve": self.curve,
                "config": asdict(self.config), "optimizer": optimizer.state_dict(),
                "sparse": sparse.state_dict(), "rng": rng.getstate(), "total": total,
                "head": self.head.state_dict(),
                "lora": {n: p for n, p in self.encoder.state_dict().items() if "lora_" in n},
            },
            temporary,
        )  # fmt: skip
        temporary.replace(self.folder / "checkpoint.pt")
        (self.folder / "curve.json").write_text(json.dumps(self.curve, indent=1) + "\n")

    def _resume(self, optimizer: Any, sparse: Any, rng: random.Random) -> tuple[int, int]:
        """Number of finished epochs and of all steps; 0 and 0 for a new run."""
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return 0, 0
        saved = torch.load(path, weights_only=True)
        if saved["config"] != asdict(self.config):
            raise ConfigError(
                f"{path} was made with other options; give another --output or delete it"
            )
        self.head.load_state_dict(saved["head"])
        self.encoder.load_state_dict(saved["lora"], strict=False)
        optimizer.load_state_dict(saved["optimizer"])
        sparse.load_state_dict(saved["sparse"])
        self.step, self.curve = saved["step"], saved["curve"]
        rng.setstate(saved["rng"])
        return int(saved["epoch"]), int(saved["total"])


def train_sense_model(
    model: str,
    semcor: Path,
    masc: Path | None,
    output: Path,
    config: TrainConfig,
    report: Callable[[dict[str, Any]], None] | None = None,
    limit: int | None = None,
) -> Path:
    """Train on SemCor, MASC and WordNet's examples, tune on the homographs' own examples.

    Args:
        model: the encoder, found by the resolver.
        semcor: SemCor as JSONL.
        masc: MASC as JSONL, or None.
        output: folder for checkpoints, ``curve.json`` and the result.
        config: see :class:`TrainConfig`.
        report: called with the state of the run, every 25 batches and after every epoch.
        limit: train on this many documents only.

    Returns:
        The sense model, ``output/senses.safetensors``.

    Raises:
        ResourceError: the encoder or WordNet is missing.
    """
    from transformers import AutoModel, AutoTokenizer

    wordnet = WordNet()
    resolved = resolve_encoder(model)
    # Eager attention: the backward pass of the fused kernel is slow on a CPU.
    encoder = AutoModel.from_pretrained(
        resolved.path, local_files_only=True, attn_implementation="eager", dtype=torch.float32
    )
    tokenizer = AutoTokenizer.from_pretrained(resolved.path, local_files_only=True)
    trainer = SenseTrainer(encoder, tokenizer, wordnet, config, output)
    split = split_corpora(
        list(read_semcor(semcor, wordnet)),
        list(read_masc(masc, wordnet)) if masc else [],
        list(read_wordnet_examples(wordnet)),
    )
    documents = [
        trainer.rows(document, config.weight(document[0].genre)) for document in split.train[:limit]
    ]
    held_out = {name: trainer.rows(sentences) for name, sentences in split.held_out.items()}

    def evaluate() -> dict[str, float]:
        out = {}
        for name, rows in held_out.items():
            right, first = trainer.accuracy(rows)
            out[name] = round(right, 4)
            out[f"{name}:first_sense"] = round(first, 4)
        return out

    trainer.train(documents, evaluate, report)
    notes = {
        "base_model": model,
        "corpora": {file.name: file_sha256(file) for file in (semcor, masc) if file},
        "curve": trainer.curve,
    }
    path = output / "senses.safetensors"
    finish_sense_model(
        model, resolved.path, output / CHECKPOINT, path, load_inventory("homographs"), notes
    )
    return path


def finish_sense_model(
    model: str,
    folder: Path,
    checkpoint: Path,
    path: Path,
    inventory: Inventory,
    notes: dict[str, Any],
) -> dict[str, float]:
    """Choose strength and few-shot settings on held-out examples and write the result.

    The low-rank weights are scaled by ``strength``: between the encoder as it was and as it
    was trained lies one that does better on words that the corpora hardly hold (Wortsman et
    al. 2022, "Robust fine-tuning of zero-shot models").

    Args:
        model: name of the encoder.
        folder: where it lies.
        checkpoint: the ``checkpoint.safetensors`` of a training run.
        path: the file to write.
        inventory: its examples are held out in turn.
        notes: goes into the manifest.

    Returns:
        The chosen settings and the held-out accuracy.
    """
    from spacy_attn.encoder.huggingface import EncoderSettings, HuggingFaceEncoder
    from spacy_attn.senses.contextual import Attention, SenseHead
    from spacy_attn.train.calibrate import (
        FewShot,
        MemoEncoder,
        MemoGlosses,
        blank_resources,
        choose_few_shot,
    )

    base = weights_sha256(folder)
    resources = blank_resources(inventory)
    glosses = MemoGlosses(HuggingFaceEncoder(EncoderSettings(model, **ENCODER_WINDOW)))
    tried: list[tuple[FewShot, float]] = []
    for strength in STRENGTHS:
        export_sense_model(checkpoint, path, base, {"ridge": 1.0, "gloss_weight": 0.1}, strength)
        adapted = EncoderSettings(model, adapter=str(path), **ENCODER_WINDOW)
        memo = MemoEncoder(HuggingFaceEncoder(adapted))
        head = SenseHead.load(path)

        def prepare(
            ridge: float, weight: float, memo: MemoEncoder = memo, head: SenseHead = head
        ) -> Callable[[Inventory], Attention]:
            chosen = replace(head, ridge=ridge, gloss_weight=weight)
            return lambda part: Attention(part, resources, memo, glosses, chosen)

        tried.append((choose_few_shot(prepare, inventory, resources), strength))
        logger.info("strength %.1f: %s", strength, tried[-1][0])
    few, strength = min(tried, key=lambda pair: pair[0].loss)
    settings = {"ridge": few.ridge, "gloss_weight": few.gloss_weight}
    notes = {**notes, "held_out_examples": round(few.accuracy, 4)}
    export_sense_model(checkpoint, path, base, settings, strength, notes)
    return {**settings, "strength": strength, "accuracy": few.accuracy}


def export_sense_model(
    checkpoint: Path,
    path: Path,
    base_sha256: str,
    few_shot: dict[str, float],
    strength: float = 1.0,
    notes: dict[str, Any] | None = None,
) -> None:
    """Write what inference needs of a trained model, half precision, without the residuals.

    Args:
        checkpoint: the ``checkpoint.safetensors`` of a training folder.
        path: the file to write.
        base_sha256: hash of the encoder's weights that the low-rank factors belong to.
        few_shot: ``ridge`` and ``gloss_weight``, chosen on held-out examples.
        strength: the low-rank weights are scaled by it, 0 to 1.
        notes: goes into the manifest: data, their hashes, the training curve.
    """
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    with safe_open(checkpoint, framework="pt") as file:
        config = json.loads(file.metadata()["config"])
    manifest = {
        "base_sha256": base_sha256,
        "config": config,
        "few_shot": few_shot,
        "strength": strength,
        **(notes or {}),
    }
    tensors = {
        name: (tensor * strength if name.endswith("lora_B") else tensor).half()
        for name, tensor in load_file(checkpoint).items()
    }
    save_file(tensors, path, metadata={"manifest": json.dumps(manifest, sort_keys=True)})
    path.chmod(0o644)


def join(rows: list[Row], max_pieces: int) -> Row:
    """One row of several; what does not fit is cut, with its targets."""
    if len(rows) == 1 and len(rows[0].ids) <= max_pieces:
        return rows[0]
    ids: list[int] = []
    owner: list[int] = []
    targets = []
    n_tokens = 0
    for row in rows:
        if ids and len(ids) + len(row.ids) > max_pieces:
            break
        ids += row.ids
        owner += [o + n_tokens for o in row.owner]
        targets += [(s + n_tokens, e + n_tokens, c, a) for s, e, c, a in row.targets]
        n_tokens += row.n_tokens
    if len(ids) > max_pieces:
        ids, owner = ids[:max_pieces], owner[:max_pieces]
        n_tokens = owner[-1]  # the last token may be cut
        targets = [t for t in targets if t[1] <= n_tokens]
        while owner and owner[-1] >= n_tokens:
            ids.pop()
            owner.pop()
    return Row(ids, owner, n_tokens, targets, rows[0].weight)


def _half() -> float:
    return 0.5


def _schedule(done: float, warmup: float) -> float:
    """Linear warm-up, then linear decay to zero."""
    if done < warmup:
        return (done + 1e-4) / warmup
    return max(1e-3, (1 - done) / (1 - warmup))
