"""What is fitted on the side of the senses, beside arithmetic written out."""

from __future__ import annotations

import numpy as np
import torch

from spacy_attn.train.rows import Row, RowTarget
from spacy_attn.train.sense_network import SenseNetwork
from spacy_attn.train.sense_side import (
    fit_map,
    fit_senses,
    met_targets,
    occurrence_means,
    padded_scores,
)

RNG = np.random.default_rng(0)
N_ROWS, HIDDEN = 6, 4


def target(candidates, right, **more):
    return RowTarget(0, 1, candidates, tuple(c in right for c in candidates), **more)


def test_scores_stand_in_rows_that_end_with_minus_infinity():
    targets = [target((0, 1, 2), {1}, shift=(1.0, 2.0, 3.0)), target((3, 4), {3, 4})]
    scores, allowed = padded_scores(torch.arange(5.0), targets, shift=False)
    assert scores.tolist() == [[0, 1, 2], [3, 4, -np.inf]]
    assert allowed.tolist() == [[False, True, False], [True, True, False]]
    shifted, _ = padded_scores(torch.arange(5.0), targets, shift=True)
    assert shifted.tolist() == [[1, 3, 5], [3, 4, -np.inf]]


def test_means_are_of_the_occurrences_of_a_sense_and_smaller_for_few():
    z = RNG.normal(size=(4, HIDDEN)).astype(np.float16)
    targets = [
        target((0, 1), {0}, number=0),
        target((0, 1), {0}, number=1),
        target((2, 1), {1}, number=2),
        target((0, 1), {0, 1}, number=3),
    ]
    means = occurrence_means(targets, z, N_ROWS)
    assert np.allclose(means[0], (z[0].astype(float) + z[1]) / 3, atol=1e-3)
    assert np.allclose(means[1], z[2].astype(float) / 2, atol=1e-3)
    assert not means[2:].any()


def world(n=400):
    """Occurrences decided by a map that is not the one at the start."""
    glosses = torch.nn.functional.normalize(torch.from_numpy(RNG.normal(size=(N_ROWS, HIDDEN))))
    true = torch.from_numpy(RNG.normal(size=(HIDDEN, HIDDEN)))
    z = RNG.normal(size=(n, HIDDEN)).astype(np.float16)
    targets = []
    for i in range(n):
        word = (0, 1, 2) if i % 2 else (3, 4, 5)
        scores = glosses[list(word)] @ true.T @ torch.from_numpy(z[i].astype(float))
        targets.append(target(word, {word[int(scores.argmax())]}, number=i))
    return glosses.float(), z, targets


def accuracy(matrix, glosses, z, targets):
    right = 0
    for t in targets:
        scores = glosses[list(t.candidates)] @ matrix.T @ torch.from_numpy(z[t.number]).float()
        right += t.allowed[int(scores.argmax())]
    return right / len(targets)


def test_the_map_learns_what_decides():
    glosses, z, targets = world()
    start = torch.eye(HIDDEN)
    fitted = fit_map(start, glosses, 3.0, targets, z, epochs=150, rate=0.05)
    assert accuracy(fitted, glosses, z, targets) > 0.95
    assert accuracy(start, glosses, z, targets) < 0.7
    again = fit_map(start, glosses, 3.0, targets, z, epochs=150, rate=0.05)
    assert torch.equal(fitted, again)


def test_shares_are_added_and_what_a_sense_has_stays():
    glosses, z, targets = world()
    empty = torch.full((N_ROWS, 14), N_ROWS), torch.zeros(N_ROWS, 14)
    network = SenseNetwork(glosses, torch.zeros_like(glosses), empty)
    network.residual.weight.data[:N_ROWS].normal_()
    rows = torch.arange(N_ROWS)
    before = network.senses(rows).detach()
    fit_senses(network, glosses, targets, z, text_share=0.5, mean_share=2.0)
    with torch.no_grad():
        after = network.senses(rows)
        expected = before + 0.5 * network.gloss(glosses)
    expected += 2.0 * torch.from_numpy(occurrence_means(targets, z, N_ROWS))
    assert torch.allclose(after, expected, atol=1e-2)  # half precision
    assert not torch.allclose(network.gloss.weight, torch.eye(HIDDEN), atol=1e-4)


def test_a_sense_with_few_occurrences_takes_more_of_its_definition():
    glosses, z, targets = world()
    empty = torch.full((N_ROWS, 14), N_ROWS), torch.zeros(N_ROWS, 14)
    network = SenseNetwork(glosses, torch.zeros_like(glosses), empty)
    network.texts.normal_()  # as a gloss encoder that has learnt gives them
    rows, texts = torch.arange(N_ROWS), network.texts.float()
    few = [t for t in targets if t.allowed[0]][:3] + [t for t in targets if t.allowed[1]][:9]
    before = network.senses(rows).detach()
    fit_senses(network, glosses, few, z, text_share=0.5, mean_share=0.0, rare_share=1.0)
    n = np.zeros(N_ROWS)
    for t in few:
        n[t.candidates[t.allowed.index(True)]] += 1
    assert n.sum() == 12
    shares = torch.tensor(0.5 + 3 / (n + 3), dtype=torch.float32).unsqueeze(-1)
    expected = before + shares * texts
    assert torch.allclose(network.senses(rows).detach(), expected, atol=2e-2)  # half precision


def test_targets_that_a_short_run_has_not_met_are_left_out():
    rows = [Row([1], [0], 1, [target((0, 1), {0}, number=n)]) for n in range(3)]
    z = np.ones((3, HIDDEN), dtype=np.float16)
    z[1] = 0
    assert [t.number for t in met_targets([rows], z)] == [0, 2]


def test_kept_vectors_are_read_from_a_file(tmp_path):
    """The trainer keeps them in a memory-mapped file."""
    z = np.lib.format.open_memmap(tmp_path / "z.npy", "w+", np.float16, (2, HIDDEN))
    z[:] = 1
    means = occurrence_means([target((0, 1), {0}, number=1)], z, 2)
    assert np.allclose(means[0], 0.5)
