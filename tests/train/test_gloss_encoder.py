"""The gloss encoder on the toy world: it starts from the untrained one, learns, and is kept."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from spacy_attn.train.gloss_encoder import GlossEncoder, _fewer_candidates, words_of
from spacy_attn.train.half import Worker
from spacy_attn.train.rows import RowTarget

TEXTS = {0: "a flying animal", 2: "a club to hit the ball with", 3: "money", 5: "the river"}


@pytest.fixture
def made(toy_model):
    torch.manual_seed(0)
    base = AutoModel.from_pretrained(toy_model)
    tokenizer = AutoTokenizer.from_pretrained(toy_model)
    return GlossEncoder(base, tokenizer, TEXTS, torch.eye(16), "fp32"), base, tokenizer


def occurrences(n):
    """The first of two words always means its first sense, the second its second one."""
    words = [((0, 2), (True, False)), ((3, 5), (False, True))]
    return [RowTarget(0, 1, *words[i % 2], number=i) for i in range(n)]


def test_it_starts_with_the_untrained_vectors(made):
    encoder, base, tokenizer = made
    rows = torch.tensor([5, 0, 3])
    # Its vectors are unit means over all pieces, as a padded batch of the model gives them.
    batch = tokenizer([TEXTS[int(r)] for r in rows], padding=True, return_tensors="pt")
    hidden = base.eval()(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1)
    mean = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)
    assert torch.allclose(encoder.vectors(rows), mean, atol=1e-5)


def test_it_learns_what_tells_senses_apart_and_gives_all_of_them(made):
    encoder, _, _ = made
    targets = occurrences(8)
    rng = np.random.default_rng(0)
    z = (rng.normal(size=16) + 0.1 * rng.normal(size=(8, 16))).astype(np.float16)

    # Each pass is one step, and the first of a warm-up: its rate is 0.002 of the given one.
    losses = [encoder.learn(words_of(targets), z, 1.0, (5.0, 5.0), seed) for seed in range(30)]
    assert losses[0] == pytest.approx(np.log(2), abs=0.05)
    assert losses[-1] < losses[0] / 2
    into = torch.ones(7, 16)
    encoder.all_vectors(into)
    rows = torch.tensor(sorted(TEXTS))
    assert torch.allclose(into[rows], encoder.vectors(rows), atol=2e-2)
    assert torch.equal(into[[1, 4, 6]], torch.ones(3, 16))


def test_a_checkpoint_brings_it_back(made):
    encoder, base, tokenizer = made
    encoder.map.weight.data += 1
    next(iter(encoder.encoder.encoder.parameters())).data += 0.5
    other = GlossEncoder(base, tokenizer, TEXTS, torch.eye(16), "fp32")
    other.load(encoder.state())
    rows = torch.tensor([0, 2])
    assert torch.equal(other.vectors(rows), encoder.vectors(rows))


def test_of_a_frequent_sense_a_few_occurrences_take_part(made):
    encoder, _, _ = made
    frequent = [RowTarget(0, 1, (0, 2), (True, False), number=i) for i in range(50)]
    (batch,) = encoder._batches(words_of(frequent + occurrences(2)[1:]), random.Random(0))  # noqa: S311
    assert sum(t.candidates == (0, 2) for t in batch) == 6
    assert sum(t.candidates == (3, 5) for t in batch) == 1


def test_a_word_of_many_senses_is_decided_between_the_tagged_ones_and_some_others():
    right = [3, 29, 3]
    targets = [
        RowTarget(0, 1, tuple(range(100, 130)), tuple(i == r for i in range(30)), number=n)
        for n, r in enumerate(right)
    ]
    fewer = _fewer_candidates(targets, random.Random(0))  # noqa: S311
    assert {t.candidates for t in fewer} == {fewer[0].candidates}
    assert len(fewer[0].candidates) == 20
    assert {103, 129} <= set(fewer[0].candidates) <= set(range(100, 130))
    assert [t.candidates[t.allowed.index(True)] for t in fewer] == [100 + r for r in right]
    assert [sum(t.allowed) for t in fewer] == [1, 1, 1]
    assert _fewer_candidates(targets[:1], random.Random(0))[0].number == 0  # noqa: S311


def test_a_worker_in_half_precision_moves_weights_that_are_kept_whole(toy_model):
    kept = AutoModel.from_pretrained(toy_model)
    worker = Worker(kept, "bf16")
    ids = torch.tensor([[3, 4, 5]])
    direction = torch.randn(1, 3, 16, generator=torch.Generator().manual_seed(0))
    (worker.hidden(ids, torch.ones_like(ids)) * direction).sum().backward()
    name = "encoder.layer.0.output.dense.weight"
    weight = kept.get_parameter(name)
    assert weight.grad is None
    worker.hand_over_gradients()
    whole = AutoModel.from_pretrained(toy_model)
    (whole(input_ids=ids).last_hidden_state * direction).sum().backward()
    expected = whole.get_parameter(name).grad
    assert weight.grad.dtype == torch.float32
    assert torch.linalg.norm(weight.grad - expected) < 0.1 * torch.linalg.norm(expected)
    with torch.no_grad():
        weight += 1e-4  # less than bfloat16 can add to a weight near 1
    worker.update()
    assert torch.equal(worker.model.get_parameter(name), weight.to(torch.bfloat16))
    assert Worker(kept, "fp32").model is kept
