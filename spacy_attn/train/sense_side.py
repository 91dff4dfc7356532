"""What is fitted on the side of the senses when the encoder is ready: a minute's work.

The encoder's last epoch keeps the vector z of every occurrence. Against them

* the map of the texts' untrained vectors is fitted anew, for z has moved since it was learnt, and
  a share of what it gives is added to each sense: in words that no corpus holds it is
  right more often than the whole vector;
* each sense takes a share of the mean of its own occurrences (as in LMMS, Loureiro and Jorge,
  ACL 2019), less where there are few.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spacy_attn.train.rows import Row, RowTarget
from spacy_attn.train.sense_network import SenseNetwork

_BATCH = 2048  # occurrences in a step
_AT_ONCE = 8192  # senses


def padded_scores(
    dots: Tensor, targets: Sequence[RowTarget], *, shift: bool
) -> tuple[Tensor, Tensor]:
    """Scores of all candidates, one after the other, as rows that end with -inf.

    Args:
        dots: of the candidates of each target.
        targets: what they are of.
        shift: whether corpora shift scores, see :mod:`~.balance`.

    *Shape:* dots (sum of candidates,) -> scores and allowed (n, most candidates)
    """
    device = dots.device
    sizes = torch.tensor([len(t.candidates) for t in targets])
    real = (torch.arange(int(sizes.max())) < sizes.unsqueeze(-1)).to(device)
    if shift and any(t.shift for t in targets):
        shifts = [x for t in targets for x in t.shift or (0.0,) * len(t.candidates)]
        dots = dots + torch.tensor(shifts, device=device)
    scores = torch.full(real.shape, float("-inf"), device=device).masked_scatter(real, dots)
    allowed = torch.zeros(real.shape, dtype=torch.bool, device=device)
    allowed[real] = torch.tensor([k for t in targets for k in t.allowed], device=device)
    return scores, allowed


def fit_map(
    start: Tensor,
    glosses: Tensor,
    scale: float,
    targets: Sequence[RowTarget],
    z: NDArray[np.float16],
    *,
    epochs: int = 2,
    rate: float = 1e-3,
    seed: int = 0,
) -> Tensor:
    """The map G under which ``scale * (G g) . z`` decides best, from an earlier one.

    Args:
        start: the earlier one.
        glosses: untrained vectors of the senses' texts.
        scale: of the scores.
        targets: occurrences.
        z: their kept vectors, by number.
        epochs: passes.
        rate: the first learning rate; it falls to nothing.
        seed: of the order.

    *Shape:* start (hidden, hidden), glosses (n_rows, hidden), z (n, hidden) -> (hidden, hidden)
    """
    by_size = sorted(targets, key=lambda t: len(t.candidates))  # little padding
    steps = [by_size[i : i + _BATCH] for i in range(0, len(by_size), _BATCH)] * epochs
    random.Random(seed).shuffle(steps)  # noqa: S311 - an order, no secret
    weight = start.detach().clone().requires_grad_(True)
    optimizer = torch.optim.Adam([weight], lr=rate)
    for number, some in enumerate(steps):
        optimizer.param_groups[0]["lr"] = rate * (1 - number / len(steps))
        vectors = z[np.array([t.number for t in some])].astype(np.float32)
        mapped = torch.from_numpy(vectors).to(weight.device) @ weight
        sizes = torch.tensor([len(t.candidates) for t in some])
        owner = torch.arange(len(some)).repeat_interleave(sizes).to(weight.device)
        rows = torch.tensor([r for t in some for r in t.candidates], device=weight.device)
        dots = (glosses[rows] * mapped[owner]).sum(-1) * scale
        scores, allowed = padded_scores(dots, some, shift=True)
        losses = -scores.log_softmax(-1).masked_fill(~allowed, float("-inf")).logsumexp(-1)
        weights = torch.tensor([t.weight for t in some], device=weight.device)
        optimizer.zero_grad()
        ((losses * weights).sum() / weights.sum()).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return weight.detach()


def occurrence_means(
    targets: Sequence[RowTarget], z: NDArray[np.float16], n_rows: int
) -> NDArray[np.float32]:
    """The sum of the vectors of each sense's occurrences over their number and one.

    Words with several allowed senses are left out.

    *Shape:* z (n, hidden) -> (n_rows, hidden)
    """
    sums = np.zeros((n_rows, z.shape[1]), dtype=np.float32)
    counts = np.ones((n_rows, 1), dtype=np.float32)
    one = [t for t in targets if sum(t.allowed) == 1]
    rows = np.array([t.candidates[t.allowed.index(True)] for t in one], dtype=np.int64)
    np.add.at(sums, rows, z[np.array([t.number for t in one], dtype=np.int64)].astype(np.float32))
    np.add.at(counts, rows, 1)
    return sums / counts


def fit_senses(
    network: SenseNetwork,
    glosses: Tensor,
    targets: Sequence[RowTarget],
    z: NDArray[np.float16],
    *,
    text_share: float,
    mean_share: float,
) -> None:
    """All of it: see the module. What a sense has already stays; the shares are added.

    *Shape:* glosses (n_rows, hidden), z (n, hidden)
    """
    glosses = glosses.to(network.texts.device)
    start, scale = network.gloss.weight, float(network.scale.detach().exp())
    fitted = fit_map(start, glosses, scale, targets, z)
    means = torch.from_numpy(occurrence_means(targets, z, len(glosses))).to(glosses.device)
    with torch.no_grad():
        change = fitted - start
        for first in range(0, len(glosses), _AT_ONCE):
            rows = slice(first, first + _AT_ONCE)
            # Where the map makes a part of the vector, that part stays as it was learnt.
            more = text_share * glosses[rows] @ fitted.T + mean_share * means[rows]
            more -= network.glosses[rows] @ change.T
            network.texts[rows] += more.to(network.texts.dtype)
        start.copy_(fitted)


def met_targets(documents: Sequence[Sequence[Row]], z: NDArray[np.float16]) -> list[RowTarget]:
    """The targets whose vectors are kept: a run of a few steps has not met all.

    *Shape:* z (n, hidden), a row of zeros for what was not met
    """
    met = np.count_nonzero(z, axis=1) > 0
    return [t for rows in documents for row in rows for t in row.targets if met[t.number]]
