"""What is fitted on the side of the senses when the encoder is ready, and how good they are.

The encoder's last epoch keeps the vector z of every occurrence. Against them, in a minute,

* the map of the texts' untrained vectors is fitted anew, for z has moved since it was learnt;
* a share of what its definition gives (by the gloss encoder if that has learnt, by the other model
  that the senses are learnt from, else by the map) is added to each sense, and more of it to senses
  with few occurrences: in words that no corpus holds it is right more often than the whole vector;
* each sense takes a share of the mean of its own occurrences (as in LMMS, Loureiro and Jorge,
  ACL 2019), less where there are few.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spacy_attn._types import Floats1d
from spacy_attn.train.rows import Row, RowTarget
from spacy_attn.train.sense_network import SenseNetwork

SHARES = "text_share", "mean_share", "rare_share"  # of fit_senses, in the settings too
_BATCH = 2048  # occurrences in a step
_AT_ONCE = 8192  # senses
_FEW = 3  # a sense with so many occurrences takes half of the share of rare ones


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


def accuracy_of(predictions: Iterable[tuple[RowTarget, Floats1d]]) -> dict[str, float]:
    """Share of targets whose best sense is allowed, and the mean loss.

    Also where the first sense is not allowed (``rest``), and the first sense's own share.

    *Shape:* of each of predictions (n_candidates,)
    """
    right = first = rest = 0
    n = 0
    loss = 0.0
    for target, scores in predictions:
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


def counted(
    targets: Sequence[RowTarget], log_counts: Mapping[tuple[int, ...], NDArray[np.float32]]
) -> Tensor:
    """The logarithms of the counts of all candidates, 0 for words that are not WordNet's.

    *Shape:* -> (sum of candidates,)
    """
    words = [t.candidates for t in targets]
    none = np.zeros(max(map(len, words)), dtype=np.float32)
    return torch.from_numpy(np.concatenate([log_counts.get(w, none[: len(w)]) for w in words]))


def fit_map(
    start: Tensor,
    glosses: Tensor,
    scale: float,
    targets: Sequence[RowTarget],
    z: NDArray[np.float16],
    *,
    epochs: int = 2,
    rate: float = 1e-3,
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

    *Shape:* start (hidden, hidden), glosses (n_rows, hidden), z (n, hidden) -> (hidden, hidden)
    """
    by_size = sorted(targets, key=lambda t: len(t.candidates))  # little padding
    steps = [by_size[i : i + _BATCH] for i in range(0, len(by_size), _BATCH)] * epochs
    random.Random(0).shuffle(steps)  # noqa: S311 - an order, no secret
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
    one, rows = _certain(targets)
    np.add.at(sums, rows, z[np.array([t.number for t in one], dtype=np.int64)].astype(np.float32))
    means: NDArray[np.float32] = sums / (occurrence_counts(targets, n_rows)[:, None] + 1)
    return means


def occurrence_counts(targets: Sequence[RowTarget], n_rows: int) -> NDArray[np.float32]:
    """The number of each sense's occurrences, words with several allowed senses left out.

    *Shape:* -> (n_rows,)
    """
    _, rows = _certain(targets)
    return np.bincount(rows, minlength=n_rows).astype(np.float32)


def _certain(targets: Sequence[RowTarget]) -> tuple[list[RowTarget], NDArray[np.int64]]:
    """Targets with one right sense, and the rows of these."""
    one = [t for t in targets if sum(t.allowed) == 1]
    return one, np.array([t.candidates[t.allowed.index(True)] for t in one], dtype=np.int64)


def rows_of_some_words(targets: Sequence[RowTarget], n_rows: int, seed: int) -> list[int]:
    """The candidates of words drawn from those of the targets, until they are so many."""
    words = sorted({t.candidates for t in targets})
    random.Random(seed).shuffle(words)  # noqa: S311 - a draw, no secret
    rows: set[int] = set()
    for word in words:
        if len(rows) >= n_rows:
            break
        rows.update(word)
    return sorted(rows)


def fit_senses(
    network: SenseNetwork,
    glosses: Tensor,
    targets: Sequence[RowTarget],
    z: NDArray[np.float16],
    *,
    text_share: float,
    mean_share: float,
    rare_share: float = 0.0,
) -> None:
    """All of it: see the module. What a sense has already stays; the shares are added.

    Where ``glosses`` has a row of zeros the text was not read, and its words are not fitted on.

    *Shape:* glosses (n_rows, hidden), z (n, hidden)
    """
    glosses = glosses.to(network.texts.device)
    start, scale = network.gloss.weight, float(network.scale.detach().exp())
    was_read = glosses.any(dim=1).tolist()
    read = [t for t in targets if all(was_read[row] for row in t.candidates)]
    fitted = fit_map(start, glosses, scale, read, z)
    means = torch.from_numpy(occurrence_means(targets, z, len(glosses))).to(glosses.device)
    counts = torch.from_numpy(occurrence_counts(targets, len(glosses))).to(glosses.device)
    shares = (text_share + rare_share * _FEW / (counts + _FEW)).unsqueeze(-1)
    has_encoder = bool(network.texts.any())
    with torch.no_grad():
        change = fitted - start
        for first in range(0, len(glosses), _AT_ONCE):
            rows = slice(first, first + _AT_ONCE)
            # Where the map makes a part of the vector, that part stays as it was learnt.
            if has_encoder:
                texts = network.texts[rows].float()
            elif network.has_other:
                texts = network.from_other(rows)
            else:
                texts = glosses[rows] @ fitted.T
            more = shares[rows] * texts + mean_share * means[rows]
            more -= network.glosses[rows] @ change.T
            network.texts[rows] += more.to(network.texts.dtype)
        start.copy_(fitted)


def met_targets(documents: Sequence[Sequence[Row]], z: NDArray[np.float16]) -> list[RowTarget]:
    """The targets whose vectors are kept: a run of a few steps has not met all.

    *Shape:* z (n, hidden), a row of zeros for what was not met
    """
    met = np.count_nonzero(z, axis=1) > 0
    return [t for rows in documents for row in rows for t in row.targets if met[t.number]]
