"""Training on the toy world: gradients reach what they should, runs repeat and resume."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from transformers import AutoModel, AutoTokenizer

from spacy_attn.encoder.huggingface import EncoderSettings, HuggingFaceEncoder
from spacy_attn.errors import ConfigError
from spacy_attn.models import weights_sha256
from spacy_attn.senses.contextual import SenseHead, occurrence
from spacy_attn.senses.inventory import load_inventory
from spacy_attn.senses.wordnet import WordNet
from spacy_attn.train import senses as training
from spacy_attn.train.calibrate import (
    MemoEncoder,
    accuracy,
    blank_resources,
    folds,
    held_out_scores,
)
from spacy_attn.train.senses import (
    LoraLinear,
    Row,
    SenseTrainer,
    TrainConfig,
    finish_sense_model,
    join,
    occurrence_parts,
    token_means,
)

CONFIG = TrainConfig(
    epochs=3, batch_pieces=64, rank=2, width=8, context_radius=3, max_pieces=40,
    precision="fp32", learning_rate=0.05, projection_rate=0.05,
)  # fmt: skip

SENTENCES = [
    ("the bat flew at night".split(), [(1, 2, ["bat%1:05:00::"])]),
    ("swing the bat".split(), [(2, 3, ["bat%1:06:00::"])]),
    ("money in the bank".split(), [(3, 4, ["bank%1:14:00::"])]),
    ("a bat flew to the bank".split(), [(1, 2, ["bat%1:05:00::"]), (5, 6, ["bank%1:17:00::"])]),
]


def trainer(folder, toy_model, toy_wordnet, config=CONFIG):
    encoder = AutoModel.from_pretrained(toy_model, attn_implementation="eager")
    tokenizer = AutoTokenizer.from_pretrained(toy_model)
    return SenseTrainer(encoder, tokenizer, WordNet(toy_wordnet), config, folder)


def documents(one):
    from spacy_attn.train.corpora import TaggedSentence

    sentences = [TaggedSentence("d", "semcor", *item) for item in SENTENCES]
    return [one.rows(sentences)]


def test_lora_linear_starts_as_the_layer_and_is_w_plus_ba():
    layer = nn.Linear(6, 4)
    lora = LoraLinear(layer, rank=2)
    x = torch.randn(3, 6)
    assert torch.equal(lora(x), layer(x))
    lora.lora_B.data.normal_()
    expected = x @ (layer.weight + lora.lora_B @ lora.lora_A).T + layer.bias
    assert torch.allclose(lora(x), expected, atol=1e-6)


def test_token_means_and_parts_equal_a_loop():
    rng = np.random.default_rng(0)
    hidden = torch.tensor(rng.normal(size=(2, 7, 3)), dtype=torch.float32)
    owner = torch.tensor([[4, 0, 0, 1, 2, 2, 4], [4, 0, 1, 2, 3, 3, 3]])
    tokens = token_means(hidden, owner, 4)
    assert torch.allclose(tokens[0, 0], hidden[0, 1:3].mean(0))
    assert torch.allclose(tokens[0, 3], torch.zeros(3))
    assert torch.allclose(tokens[1, 3], hidden[1, 4:].mean(0))
    where, starts, ends = torch.tensor([0, 1, 1]), torch.tensor([1, 0, 3]), torch.tensor([2, 2, 4])
    target, context = occurrence_parts(tokens, torch.tensor([3, 4]), where, starts, ends, radius=1)
    for i in range(3):
        length = [3, 4][int(where[i])]
        rows = tokens[where[i], :length].numpy()
        expected = occurrence(rows, int(starts[i]), int(ends[i]), 1)
        assert np.allclose(np.concatenate([target[i], context[i]]), expected, atol=1e-6)


def test_joining_rows_moves_targets_and_cuts_at_a_token():
    one = Row([5, 6, 7], [0, 0, 1], 2, [(1, 2, [0], [True])])
    two = Row([8, 9], [0, 1], 2, [(0, 1, [1], [True]), (1, 2, [2], [True])])
    assert join([one, two], 10) == Row(
        [5, 6, 7, 8, 9], [0, 0, 1, 2, 3], 4,
        [(1, 2, [0], [True]), (2, 3, [1], [True]), (3, 4, [2], [True])],
    )  # fmt: skip
    # The second does not fit beside the first; alone, a row is cut before a broken token.
    assert join([one, two], 4) == Row(one.ids, one.owner, 2, one.targets)
    assert join([one], 2).n_tokens == 0


def test_training_learns_the_toy_corpus_and_leaves_the_encoder_frozen(
    tmp_path, toy_model, toy_wordnet
):
    one = trainer(tmp_path, toy_model, toy_wordnet, replace(CONFIG, epochs=30, join=0.0))
    before = {n: p.clone() for n, p in one.encoder.named_parameters() if "lora" not in n}
    rows = documents(one)
    one.train(rows, dict)
    right, first = one.accuracy(rows[0])
    assert right == 1.0
    assert first == pytest.approx(3 / 5)
    after = dict(one.encoder.named_parameters())
    assert all(torch.equal(p, after[n]) for n, p in before.items())
    assert all(p.abs().sum() > 0 for n, p in after.items() if n.endswith("lora_B"))


def test_a_run_repeats_and_one_that_was_stopped_ends_the_same(tmp_path, toy_model, toy_wordnet):
    whole = trainer(tmp_path / "a", toy_model, toy_wordnet)
    whole.train(documents(whole), dict)

    class Stopped(Exception):
        pass

    def stop_in_the_second_epoch(record):
        if record.get("epoch") == 2 and "seconds" in record:
            raise Stopped

    part = trainer(tmp_path / "b", toy_model, toy_wordnet)
    with pytest.raises(Stopped, match=r"^$"):
        part.train(documents(part), dict, stop_in_the_second_epoch)
    rest = trainer(tmp_path / "b", toy_model, toy_wordnet)
    rest.train(documents(rest), dict)
    assert [r["loss"] for r in rest.curve] == [r["loss"] for r in whole.curve]
    for name, tensor in whole.state().items():
        assert torch.equal(tensor, rest.state()[name]), name


def test_other_options_do_not_resume(tmp_path, toy_model, toy_wordnet):
    one = trainer(tmp_path, toy_model, toy_wordnet)
    one.train(documents(one), dict)
    other = trainer(tmp_path, toy_model, toy_wordnet, replace(CONFIG, seed=1))
    with pytest.raises(ConfigError, match="made with other options; give another --output"):
        other.train(documents(other), dict)


def test_the_exported_model_gives_the_trainers_own_vectors(
    tmp_path, toy_model, toy_wordnet, toy_inventory, monkeypatch
):
    monkeypatch.setattr(training, "STRENGTHS", (1.0,))
    monkeypatch.setattr(training, "ENCODER_WINDOW", {"window": 32, "overlap": 8})
    one = trainer(tmp_path, toy_model, toy_wordnet)
    rows = documents(one)
    one.train(rows, dict)
    path = tmp_path / "senses.safetensors"
    inventory = load_inventory(toy_inventory)
    chosen = finish_sense_model(
        str(toy_model), toy_model, tmp_path / training.CHECKPOINT, path, inventory, {"note": 1}
    )
    assert set(chosen) == {"ridge", "gloss_weight", "strength", "accuracy"}
    head = SenseHead.load(path)
    encoder = HuggingFaceEncoder(
        EncoderSettings(str(toy_model), adapter=str(path), window=32, overlap=8)
    )
    text = "the bat flew at night"
    offsets = [(0, 3), (4, 7), (8, 12), (13, 15), (16, 21)]
    (vectors,) = encoder.encode([text], [offsets])
    z = head.z(occurrence(vectors, 1, 2, head.context_radius)[None])
    with torch.inference_mode():
        expected = one.head.occurrence(*one.forward([rows[0][0]], None))
    assert np.allclose(z, expected.numpy(), atol=5e-3)  # the file is half precision


def test_folds_hold_every_example_once(toy_inventory):
    inventory = load_inventory(toy_inventory)
    parts = list(folds(inventory, 3, seed=0))
    seen = [example for part in parts for _, example in part]
    assert sorted(e.text for e in seen) == sorted(
        e.text for s in inventory.senses for e in s.examples
    )


def test_held_out_scores_never_show_an_example_to_the_method(toy_inventory):
    inventory = load_inventory(toy_inventory)
    resources = blank_resources(inventory)
    known = []

    class Spy:
        name, temperature, encoder = "spy", 1.0, None

        def score(self, contexts, targets):
            for context in contexts:
                assert context.text not in known[-1]
            return [np.zeros(len(t.candidates), dtype=np.float32) for t in targets]

    def prepare(part):
        known.append({e.text for s in part.senses for e in s.examples})
        return Spy()

    scores, gold = held_out_scores(prepare, inventory, resources, n_folds=2)
    assert len(scores) == len(gold) == 6
    # zeros choose the first candidate: bat.animal (2 of 6) and bank.money (1 of 6)
    assert accuracy(scores, gold) == pytest.approx(3 / 6)


def test_memo_encoder_encodes_a_text_once(toy_model):
    inner = HuggingFaceEncoder(EncoderSettings(str(toy_model), window=32, overlap=8))
    memo = MemoEncoder(inner)
    (a, b) = memo.encode(["the bat", "a cave"], [[(0, 3), (4, 7)], [(0, 1), (2, 6)]])
    memo._encoder = None
    assert memo.encode(["the bat"], [[(0, 3), (4, 7)]])[0] is a
    assert b.shape == (2, 16)


def test_curve_and_checkpoint_are_written(tmp_path, toy_model, toy_wordnet):
    one = trainer(tmp_path, toy_model, toy_wordnet)
    one.train(documents(one), lambda: {"held_out": 0.5})
    curve = json.loads((tmp_path / "curve.json").read_text())
    assert [record["epoch"] for record in curve] == [1, 2, 3]
    assert all(record["held_out"] == 0.5 for record in curve)
    assert weights_sha256(tmp_path / training.CHECKPOINT)


def test_train_sense_model_from_files(tmp_path, toy_model, toy_wordnet, toy_inventory, monkeypatch):
    monkeypatch.setenv("SPACY_ATTN_WORDNET", str(toy_wordnet))
    monkeypatch.setattr(training, "STRENGTHS", (0.5,))
    monkeypatch.setattr(training, "ENCODER_WINDOW", {"window": 32, "overlap": 8})
    monkeypatch.setattr(training, "load_inventory", lambda name: load_inventory(toy_inventory))
    path = tmp_path / "semcor.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for number in range(12):
            for tokens, targets in SENTENCES:
                senses = [[start, keys] for start, _, keys in targets]
                record = {"doc": f"d{number}", "tokens": tokens, "senses": senses}
                file.write(json.dumps(record) + "\n")
    seen = []
    config = replace(CONFIG, epochs=1)
    made = training.train_sense_model(
        str(toy_model), path, None, tmp_path / "run", config, report=seen.append
    )
    head = SenseHead.load(made)
    assert head.target.shape == (8, 16)
    assert 0 <= seen[-1]["semcor"] <= 1
    assert seen[-1]["semcor:first_sense"] == pytest.approx(3 / 5)
