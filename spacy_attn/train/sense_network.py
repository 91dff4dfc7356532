"""The part of the sense model that is not the encoder: projections, maps and residuals."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spacy_attn.train.sense_table import RELATIONS
from spacy_attn.train.thin import zero_rows

_SCALE = 12.0  # of z . s at the start


class SenseNetwork(nn.Module):
    """The projections and the sense residuals.

    Args:
        glosses: vectors of the rows' texts. *Shape:* (n_rows, hidden)
        above: mean of those of their hypernyms. *Shape:* the same
        composition: see :meth:`~.sense_table.SenseTable.composition`.
        given: fixed vectors that a row starts from, or None. *Shape:* (n_rows, hidden)
        other: the rows' vectors in a model of another encoder, or None; a learnt map takes them
            into this one's space. *Shape:* (n_rows, any width)
    """

    def __init__(
        self,
        glosses: Tensor,
        above: Tensor,
        composition: tuple[Tensor, Tensor],
        given: Tensor | None = None,
        other: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.glosses: Tensor
        self.glosses_above: Tensor
        self.related: Tensor
        self.shares: Tensor
        self.kind: Tensor
        self.given: Tensor
        self.texts: Tensor
        self.other: Tensor
        n_rows, hidden = glosses.shape
        self.target, self.context, self.gloss, self.above = (
            nn.Linear(hidden, hidden, bias=False) for _ in range(4)
        )
        self.residual = nn.Embedding(  # the last stays zero
            n_rows + 1, hidden, sparse=True, _weight=zero_rows(n_rows + 1, hidden)
        )
        self.scale = nn.Parameter(torch.tensor(math.log(_SCALE)))
        self.share = nn.Parameter(torch.tensor([0.5, 0.3, 0.3, 0.3, 0.5]))  # of each relation
        for linear in (self.target, self.context, self.gloss):
            nn.init.eye_(linear.weight)
        nn.init.zeros_(self.above.weight)
        from_other = torch.zeros(n_rows, 1) if other is None else other
        self.has_other = other is not None
        self.other_map = nn.Linear(from_other.shape[1], hidden, bias=False)
        nn.init.zeros_(self.other_map.weight)
        kinds = [i for i, n in enumerate(RELATIONS.values()) for _ in range(n)]
        start = zero_rows(n_rows, hidden) if given is None else given
        self.has_given = given is not None
        for name, tensor in (
            ("glosses", glosses),
            ("glosses_above", above),
            ("given", start),
            ("other", from_other),
            ("related", composition[0]),
            ("shares", composition[1]),
            ("kind", torch.tensor(kinds)),
        ):
            self.register_buffer(name, tensor, persistent=False)
        # What a trained gloss encoder gives (spacy_attn.train.gloss_encoder).
        self.register_buffer("texts", zero_rows(n_rows, hidden, half=True))

    def projections(self) -> list[nn.Parameter]:
        """All parameters but the residuals."""
        return [p for name, p in self.named_parameters() if not name.startswith("residual")]

    def occurrence(self, target: Tensor, context: Tensor) -> Tensor:
        """The vector z of each occurrence.

        *Shape:* two (n, hidden) -> (n, hidden), rows of unit length
        """
        return F.normalize(self.target(target) + self.context(context), dim=-1)

    def senses(self, rows: Tensor) -> Tensor:
        """The vectors of senses, all parts together. *Shape:* (n,) -> (n, hidden)"""
        fixed = self.gloss(self.glosses[rows]) + self.above(self.glosses_above[rows])
        fixed = fixed + self.given[rows] + self.texts[rows].float() + self.from_other(rows)
        vectors: Tensor = fixed + self.neighbours(rows) + self.residual(rows)
        return vectors

    def text_dots(self, z: Tensor, rows: Tensor, owner: Tensor) -> Tensor:
        """What the maps of the texts' untrained vectors give to the scores of some senses.

        ``(G g) . z = g . (G' z)``, and there are fewer occurrences than candidates.

        *Shape:* z (n, hidden), rows and owner (a row of z) (m,) -> (m,)
        """
        dots = (self.glosses[rows] * (z @ self.gloss.weight)[owner]).sum(-1)
        dots = dots + (self.glosses_above[rows] * (z @ self.above.weight)[owner]).sum(-1)
        if self.has_given:
            dots = dots + (self.given[rows] * z[owner]).sum(-1)
        return dots

    def from_other(self, rows: Tensor | slice) -> Tensor:
        """What senses have from the other model. *Shape:* (n,) -> (n, hidden)"""
        out: Tensor = self.other_map(self.other[rows])
        return out

    def neighbours(self, rows: Tensor) -> Tensor:
        """What senses have from their neighbours. *Shape:* (n,) -> (n, hidden)"""
        return F.embedding_bag(
            self.related[rows],
            self.residual.weight,
            per_sample_weights=self.shares[rows] * self.share[self.kind],
            mode="sum",
            sparse=True,
        )


def token_means(hidden: Tensor, owner: Tensor, n_tokens: int) -> Tensor:
    """Mean of the pieces of each token.

    *Shape:* (batch, pieces, hidden), owner (batch, pieces) with ``n_tokens`` for pieces
    of no token -> (batch, n_tokens, hidden)
    """
    batch, _, width = hidden.shape
    sums = hidden.new_zeros(batch, n_tokens + 1, width)
    sums.scatter_add_(1, owner.unsqueeze(-1).expand_as(hidden), hidden)
    counts = hidden.new_zeros(batch, n_tokens + 1)
    counts.scatter_add_(1, owner, torch.ones_like(owner, dtype=hidden.dtype))
    return sums[:, :n_tokens] / counts[:, :n_tokens].clamp(min=1).unsqueeze(-1)


def occurrence_parts(
    tokens: Tensor, where: Tensor, spans: Tensor, bounds: Tensor, radius: int
) -> tuple[Tensor, Tensor]:
    """Mean target vector and mean vector of the tokens of its sentence within ``radius`` of it.

    *Shape:* tokens (batch, n_tokens, hidden), where (n,), spans and bounds (n, 2): first and end
    token of each target and of its sentence -> two (n, hidden); the context of a sentence of one
    token is the target itself.
    """
    sums = F.pad(tokens.cumsum(1), (0, 0, 1, 0))
    starts, ends = spans.T
    inside = sums[where, ends] - sums[where, starts]
    low = torch.maximum(starts - radius, bounds[:, 0])
    high = torch.minimum(ends + radius, bounds[:, 1])
    around = sums[where, high] - sums[where, low] - inside
    n_inside = (ends - starts).unsqueeze(-1)
    n_around = (high - low).unsqueeze(-1) - n_inside
    target = inside / n_inside
    return target, torch.where(n_around > 0, around / n_around.clamp(min=1), target)
