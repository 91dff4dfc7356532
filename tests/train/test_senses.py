"""Training on the toy world: it learns, runs repeat and resume, what ships is what it learned."""

from __future__ import annotations

import gzip
import json
import math
import re
from dataclasses import fields, replace
from functools import partial

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch import nn
from transformers import AutoModel, AutoTokenizer

from spacy_attn.encoder.huggingface import HuggingFaceEncoder
from spacy_attn.errors import ConfigError, ResourceError
from spacy_attn.models import weights_sha256
from spacy_attn.settings import EncoderSettings
from spacy_attn.train import sense_model, senses
from spacy_attn.train.averaging import average_with
from spacy_attn.train.balance import balanced
from spacy_attn.train.corpora import TaggedSentence
from spacy_attn.train.export import (
    encoder_change,
    low_rank,
    main_directions,
    pack_senses,
    sense_vectors,
    write_sense_model,
)
from spacy_attn.train.half import is_trained
from spacy_attn.train.held_out import (
    MemoEncoder,
    accuracy,
    blank_resources,
    folds,
    held_out_scores,
    loss,
    one_shot_scores,
)
from spacy_attn.train.rows import Row, RowTarget, batches, passages, rows_of
from spacy_attn.train.sense_config import TrainConfig
from spacy_attn.train.sense_network import occurrence_parts, token_means
from spacy_attn.train.sense_sources import SenseSources
from spacy_attn.train.sense_table import SenseTable
from spacy_attn.train.senses import SenseTrainer
from spacy_attn.train.teacher import SoftTargets, ask_teachers
from spacy_attn.wsd.context import Context, Target
from spacy_attn.wsd.inventory.build_lexicon import build_lexicon
from spacy_attn.wsd.inventory.jsonl import load_inventory
from spacy_attn.wsd.inventory.wordnet import WordNetInventory
from spacy_attn.wsd.inventory.wordnet_files import WordNet
from spacy_attn.wsd.methods.attention_wordnet import AllWordsAttention, SenseVectors
from spacy_attn.wsd.methods.occurrence import occurrences
from spacy_attn.wsd.methods.sense_head import SenseHead
from spacy_attn.wsd.vectors import Texts
from tests.conftest import write_wordnet

CONFIG = TrainConfig(
    epochs=3,
    batch_pieces=64,
    context_radius=3,
    max_pieces=40,
    dropout=0.0,
    precision="fp32",
    learning_rate=0.01,
    projection_rate=0.05,
    residual_rate=0.05,
)

SENTENCES = [
    ("the bat flew at night".split(), [(1, 2, ["bat%1:05:00::"])]),
    ("swing the bat".split(), [(2, 3, ["bat%1:06:00::"])]),
    ("money in the bank".split(), [(3, 4, ["bank%1:14:00::"])]),
    ("a bat flew to the bank".split(), [(1, 2, ["bat%1:05:00::"]), (5, 6, ["bank%1:17:00::"])]),
]


@pytest.fixture(scope="module")
def lexicon(toy_lexicon, toy_wordnet):
    return WordNetInventory(toy_lexicon, toy_wordnet)


@pytest.fixture(scope="module")
def table(lexicon, toy_wordnet):
    return SenseTable(WordNet(toy_wordnet), lexicon)


def trainer(folder, toy_model, table, config=CONFIG):
    encoder = AutoModel.from_pretrained(toy_model, attn_implementation="eager")
    tokenizer = AutoTokenizer.from_pretrained(toy_model)
    return SenseTrainer(encoder, tokenizer, table, config, folder)


def documents(one):
    sentences = [TaggedSentence("d", "semcor", *item) for item in SENTENCES]
    return [rows_of(sentences, one.tokenizer, one.table.target)]


def write(one, path, toy_model, **changes):
    settings = {
        "rank": 16,
        "width": 16,
        "seen": one.table.seen(["bat%1:05:00::"]),
        "few_shot": {"ridge": 1.0, "gloss_weight": 0.1},
    }
    base = AutoModel.from_pretrained(toy_model)
    write_sense_model(path, one, base, weights_sha256(toy_model), **{**settings, **changes})


def test_the_table_knows_candidates_texts_and_what_was_seen(table):
    tokens = "the bat flew at night".split()
    target = table.target(tokens, 1, 2, ["bat%1:06:00::"])
    assert target == table.word_target(tokens, 1, 2, ["bat%1:06:00::"])
    assert target.allowed == (False, True)
    assert [table.synset[key] for key in ("bat%1:05:00::", "bat%1:06:00::")] == list(
        target.candidates
    )
    river = "river banks".split()
    assert table.target(river, 0, 2, ["river_bank%1:17:00::"]) is None  # one sense alone
    texts = table.texts()
    assert set(texts) == set(table.chosen)
    assert texts[target.candidates[0]] == (
        "bat, chiropteran: a flying animal; the bat flew at night"
    )
    seen = table.seen(["bat%1:06:00::", "no%1:00:00::"])
    assert seen.sum() == 1
    assert seen[table.sense_row["bat%1:06:00::"]]


def test_relations_share_a_weight_of_one(tmp_path, toy_wordnet):
    """A synset with two hypernyms, one of which has a hypernym of its own."""
    lines = (toy_wordnet / "data.noun").read_text().splitlines(keepends=True)[:1]
    offsets, parts = [], []
    for words, pointers in (("dog", "@{1} @{2}"), ("pet", ""), ("canine", "@{3}"), ("animal", "")):
        parts.append((words, pointers))
    at = len(lines[0])
    for word, pointers in parts:
        offsets.append(at)
        at += len(_line(0, word, pointers, [0, 0, 0, 0]))
    folder = tmp_path / "wn"
    folder.mkdir()
    data = lines[0] + "".join(
        _line(offset, word, pointers, offsets)
        for offset, (word, pointers) in zip(offsets, parts, strict=True)
    )
    for name in ("verb", "adj", "adv"):
        (folder / f"data.{name}").write_text("  1 toy\n")
        (folder / f"{name}.exc").write_text(f"{name}s {name}\n")
    (folder / "data.noun").write_text(data)
    (folder / "noun.exc").write_text("dogz dog\n")
    index = [f"{word}%1:05:00:: {o:08d} 1 0" for o, (word, _) in zip(offsets, parts, strict=True)]
    (folder / "index.sense").write_text("\n".join(sorted(index)) + "\n")
    wordnet = WordNet(folder)
    build_lexicon(wordnet, tmp_path / "l.npz")
    table = SenseTable(wordnet, WordNetInventory(tmp_path / "l.npz", folder))
    row = {word: table.synset[f"{word}%1:05:00::"] for word, _ in parts}
    rows, shares = table.composition()
    found = {(int(r), float(w)) for r, w in zip(rows[row["dog"]], shares[row["dog"]], strict=True)}
    supersense = table.n_synsets + 5  # noun.animal is file 5
    assert found == {
        (row["pet"], 0.5),
        (row["canine"], 0.5),
        (row["animal"], 1.0),
        (supersense, 1.0),
        (table.n_rows, 0.0),
    }


def _line(offset, word, pointers, offsets):
    targets = pointers.split()
    text = " ".join(f"@ {offsets[int(p[2])]:08d} n 0000" for p in targets)
    middle = f"{len(targets):03d}" + (f" {text}" if text else "")
    return f"{offset:08d} 05 n 01 {word} 0 {middle} | a thing  \n"


def test_token_means_and_parts_equal_a_loop():
    rng = np.random.default_rng(0)
    hidden = torch.tensor(rng.normal(size=(2, 7, 3)), dtype=torch.float32)
    owner = torch.tensor([[4, 0, 0, 1, 2, 2, 4], [4, 0, 1, 2, 3, 3, 3]])
    tokens = token_means(hidden, owner, 4)
    assert torch.allclose(tokens[0, 0], hidden[0, 1:3].mean(0))
    assert torch.allclose(tokens[0, 3], torch.zeros(3))
    assert torch.allclose(tokens[1, 3], hidden[1, 4:].mean(0))
    where, starts, ends = torch.tensor([0, 1, 1]), torch.tensor([1, 0, 3]), torch.tensor([2, 2, 4])
    spans = torch.stack([starts, ends], dim=1)
    bounds = torch.tensor([[0, 3], [0, 4], [0, 4]])
    target, context = occurrence_parts(tokens, where, spans, bounds, radius=1)
    for i in range(3):
        length = [3, 4][int(where[i])]
        rows = tokens[where[i], :length].numpy()
        words = ["x"] * length
        one = Context(" ".join(words), words, [(j, j) for j in range(length)], words, words)
        word = Target(0, int(starts[i]), int(ends[i]), "x", ())
        expected = occurrences([one], [rows], [word], 1)[0]
        assert np.allclose(np.concatenate([target[i], context[i]]), expected, atol=1e-6)


def test_passages_join_what_follows_in_a_document_as_far_as_it_is_short():
    said = [
        TaggedSentence("a", "semcor", ["It", "flew", "."], [(1, 2, ["fly"])]),
        TaggedSentence("a", "semcor", ["A", "bat", "."], [(1, 2, ["bat"])]),
        TaggedSentence("a", "semcor", ["Look", "!"], []),
        TaggedSentence("b", "semcor", ["So"], []),
    ]
    first, second, third = passages(said, longest=6)
    assert first.tokens == ["It", "flew", ".", "A", "bat", "."]
    assert first.targets == [(1, 2, ["fly"]), (4, 5, ["bat"])]
    assert (second, third) == (said[2], said[3])
    assert said[0].tokens == ["It", "flew", "."]  # nothing is changed in place


def test_a_target_knows_its_sentence_and_a_long_row_is_cut_at_a_token(toy_model):
    tokenizer = AutoTokenizer.from_pretrained(toy_model)
    tokens = ["the", "bat", "flew", ".", "swing", "the", "bat", "!", "money"]
    found = [(1, 2, ["x"]), (6, 7, ["x"]), (8, 9, ["x"])]
    said = TaggedSentence("a", "semcor", tokens, found)

    def target(tokens: list[str], start: int, end: int, keys: list[str]) -> RowTarget:
        return RowTarget(start, end, (0, 1), (True, False))

    (row,) = rows_of([said], tokenizer, target)
    assert [(t.first, t.last) for t in row.targets] == [(0, 4), (4, 8), (8, 9)]
    at = row.owner.index(8)
    (cut,) = rows_of([said], tokenizer, target, max_pieces=at)
    assert (cut.n_tokens, cut.ids, cut.targets) == (8, row.ids[:at], row.targets[:2])


def test_batches_hold_every_row_with_targets_and_at_most_so_many_pieces():
    target = [RowTarget(0, 1, (0, 1), (True, False))]
    rows = [Row([7] * n, list(range(n)), n, target) for n in (3, 9, 1, 5, 30)]
    rows.append(Row([7], [0], 1, []))
    made = batches(rows, 24)
    assert sorted(len(row.ids) for batch in made for row in batch) == [1, 3, 5, 9, 30]
    for batch in made:
        assert len(batch) == 1 or len(batch) * (max(len(r.ids) for r in batch) + 2) <= 24


def test_training_learns_the_toy_corpus_and_leaves_the_embeddings(tmp_path, toy_model, table):
    one = trainer(tmp_path, toy_model, table, replace(CONFIG, epochs=30))
    before = {n: p.clone() for n, p in one.encoder.named_parameters()}
    rows = documents(one)
    one.train(rows, dict)
    measured = one.accuracy(rows[0])
    assert measured["accuracy"] == measured["rest"] == 1.0
    assert measured["first_sense"] == pytest.approx(3 / 5)
    changed = {n for n, p in one.encoder.named_parameters() if not torch.equal(p, before[n])}
    assert changed == {n for n in before if "embeddings" not in n and "pooler" not in n}


def test_frozen_layers_and_what_layers_share_stay_as_they_are(tmp_path, toy_model, table):
    one = trainer(tmp_path, toy_model, table, replace(CONFIG, epochs=1, frozen_layers=1))
    before = {n: p.clone() for n, p in one.encoder.named_parameters()}
    one.train(documents(one), dict)
    changed = {n for n, p in one.encoder.named_parameters() if not torch.equal(p, before[n])}
    assert changed == {n for n in before if n.startswith("encoder.layer.1.")}
    assert not is_trained("encoder.relative_attention_bias.weight", 1)
    assert is_trained("encoder.relative_attention_bias.weight", 0)


def test_a_dropped_residual_takes_no_part(tmp_path, toy_model, table):
    one = trainer(tmp_path, toy_model, table, replace(CONFIG, drop_residual=1.0))
    targets = [t for row in documents(one)[0] for t in row.targets]
    z = torch.nn.functional.normalize(torch.randn(len(targets), 16), dim=-1)
    before, _ = one.logits(z, targets, drop=True)
    one.network.residual.weight.data[: table.n_synsets].normal_()
    one.network.share.data.zero_()
    assert torch.equal(one.logits(z, targets, drop=True)[0], before)
    assert not torch.allclose(one.logits(z, targets, drop=False)[0], before)


def test_definitions_with_an_encoder_of_their_own_decide_alone_now_and_then(
    tmp_path, toy_model, table
):
    one = trainer(tmp_path, toy_model, table, replace(CONFIG, text_alone=1.0, drop_residual=0.0))
    targets = [t for row in documents(one)[0] for t in row.targets]
    z = torch.nn.functional.normalize(torch.randn(len(targets), 16), dim=-1)
    one.network.texts.normal_()
    whole, _ = one.logits(z, targets, drop=False)
    assert torch.allclose(one.logits(z, targets, drop=True)[0], whole)  # no such encoder yet
    one.glosses = one._gloss_encoder()
    alone, _ = one.logits(z, targets, drop=True)
    scale = one.network.scale.exp()
    for scores, vector, target in zip(alone, z, targets, strict=True):
        expected = one.network.texts[list(target.candidates)].float() @ vector * scale
        assert torch.allclose(scores[: len(expected)], expected, atol=1e-4)
    assert torch.allclose(one.logits(z, targets, drop=False)[0], whole)


@pytest.mark.parametrize("drop", [False, True])
def test_the_prior_is_part_of_the_scores_in_training_and_in_use(tmp_path, toy_model, table, drop):
    config = replace(CONFIG, drop_residual=0.0)
    plain = trainer(tmp_path / "plain", toy_model, table, config)
    counted = trainer(tmp_path / "counted", toy_model, table, replace(config, prior=0.5))
    targets = [t for row in documents(plain)[0] for t in row.targets]
    z = torch.nn.functional.normalize(torch.randn(len(targets), 16), dim=-1)
    without, _ = plain.logits(z, targets, drop=drop)
    scores, _ = counted.logits(z, targets, drop=drop)
    senses = {"bat": ("bat", "NOUN"), "bank": ("bank", "NOUN")}
    counts = {
        tuple(table.synset[s.key] for s in found): [s.count for s in found]
        for found in (table.wordnet.candidates(*word) for word in senses.values())
    }
    for row, before, target in zip(scores, without, targets, strict=True):
        added = [0.5 * math.log(1 + n) for n in counts[target.candidates]]
        assert any(added)
        more = (row - before)[: len(added)]
        assert torch.allclose(more, torch.tensor(added, dtype=torch.float32), atol=1e-5)


GLASSES = [
    ("glass%1:06:00::", ["glass"], "a thing to drink from", "", 4),
    ("glass%1:27:00::", ["glass"], "what windows are made of", "", 0),
    ("glasses%1:06:00::", ["glasses"], "they help to see", "", 3),
    ("run%2:38:00::", ["run"], "move fast", "", 9),
    ("run%1:04:00::", ["run"], "a race", "", 1),
    ("zarf%1:06:00::", ["zarf"], "a holder of cups", "", 0),
    ("zarf%2:35:00::", ["zarf"], "put it into one", "", 0),
]


@pytest.fixture(scope="module")
def glasses(tmp_path_factory):
    """A table with words of one sense that share a form with another word."""
    wordnet = write_wordnet(tmp_path_factory.mktemp("glasses"), GLASSES)
    path = tmp_path_factory.mktemp("lexicon") / "glasses.npz"
    build_lexicon(WordNet(wordnet), path)
    return SenseTable(WordNet(wordnet), WordNetInventory(path, wordnet), rivals=True)


def test_a_form_chooses_among_all_words_that_it_can_be(glasses):
    tokens = "she wears glasses".split()
    cup, pane, specs = (glasses.synset[key] for key in [each[0] for each in GLASSES[:3]])
    target = glasses.target(tokens, 2, 3, ["glasses%1:06:00::"])
    assert dict(zip(target.candidates, target.allowed, strict=True)) == {
        cup: False,
        pane: False,
        specs: True,
    }
    assert glasses.word_target(tokens, 2, 3, ["glasses%1:06:00::"]) is None  # one sense
    counts = dict(zip(target.candidates, glasses.log_counts[target.candidates], strict=True))
    assert counts == pytest.approx({cup: math.log(5), pane: 0.0, specs: math.log(4)})
    other = glasses.target("two glasses".split(), 1, 2, ["glass%1:06:00::"])
    assert other.candidates == target.candidates
    assert dict(zip(other.candidates, other.allowed, strict=True))[cup]
    # Of a word without a tag all senses are allowed: other words say nothing of it.
    every = [each[0] for each in GLASSES[:2]]
    assert glasses.target("two glasses".split(), 1, 2, every).candidates == (cup, pane)


def test_words_with_one_sense_have_a_vector_where_a_form_is_another_word_too(glasses):
    run = {glasses.synset["run%2:38:00::"], glasses.synset["run%1:04:00::"]}
    zarf = {glasses.synset["zarf%1:06:00::"], glasses.synset["zarf%2:35:00::"]}
    assert run | {glasses.synset["glasses%1:06:00::"]} <= set(glasses.chosen)
    assert zarf.isdisjoint(glasses.chosen)  # no corpus of WordNet holds the form
    only_words = SenseTable(glasses.wordnet, glasses.lexicon).chosen
    assert only_words == [glasses.synset[each[0]] for each in GLASSES[:2]]


def test_partial_labels_count_together(tmp_path, toy_model, table):
    """A word whose every candidate is allowed has a loss of nothing and no gradient."""
    one = trainer(tmp_path, toy_model, table)
    sentence = TaggedSentence(
        "d", "m", "swing the bat".split(), [(2, 3, ["bat%1:06:00::", "bat%1:05:00::"])]
    )
    rows = rows_of([sentence], one.tokenizer, table.target)
    measured = one.accuracy(rows)
    assert (measured["accuracy"], measured["loss"]) == (1.0, 0.0)


def test_a_run_repeats_and_one_that_was_stopped_ends_the_same(
    tmp_path, toy_model, table, monkeypatch
):
    monkeypatch.setattr(senses, "_SAVE_EVERY", 0.0)
    whole = trainer(tmp_path / "a", toy_model, table)
    whole.train(documents(whole), dict)

    class Stopped(Exception):
        pass

    def stop_in_the_second_epoch(record):
        if record.get("epoch") == 2 and "seconds" in record:
            raise Stopped

    part = trainer(tmp_path / "b", toy_model, table)
    with pytest.raises(Stopped, match=r"^$"):
        part.train(documents(part), dict, stop_in_the_second_epoch)
    rest = trainer(tmp_path / "b", toy_model, table)
    rest.train(documents(rest), dict)
    assert [r["loss"] for r in rest.curve] == [r["loss"] for r in whole.curve]
    for a, b in ((whole.encoder, rest.encoder), (whole.network, rest.network)):
        for name, tensor in a.state_dict().items():
            if "pooler" in name:  # random in each, and nobody reads it
                continue
            assert torch.equal(tensor, b.state_dict()[name]), name


def test_a_run_that_was_stopped_within_an_epoch_goes_on_from_its_last_step(
    tmp_path, toy_model, table, monkeypatch
):
    """With a checkpoint after every step and the gloss encoder's turn behind the first epoch."""
    monkeypatch.setattr(senses, "_SAVE_EVERY", 0.0)
    config = replace(CONFIG, batch_pieces=16, epochs=2, gloss_turns=1, shift=0.5)

    def run(folder):
        one = trainer(folder, toy_model, table, config)
        return one, balanced([("semcor", rows) for rows in documents(one)], config.weight)

    whole, rows = run(tmp_path / "a")
    whole.train(rows, dict)
    assert whole.curve[0]["glosses"]["loss"] > 0
    assert "glosses" not in whole.curve[1]
    n_steps = whole.step
    assert n_steps > 4
    for stop in range(1, n_steps):
        part, _ = run(tmp_path / "b")
        step = part._train_step

        def until(*given, part=part, step=step, stop=stop):
            if part.step == stop:
                raise KeyboardInterrupt
            return step(*given)

        part._train_step = until
        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            part.train(rows, dict)
    part, _ = run(tmp_path / "b")

    def stop_while_measuring():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"^$"):  # all steps of the last epoch are done
        part.train(rows, stop_while_measuring)
    rest, _ = run(tmp_path / "b")
    rest.train(rows, dict)
    assert len(rest.curve) == 2
    assert [r["loss"] for r in rest.curve] == [r["loss"] for r in whole.curve]
    assert torch.equal(rest.network.texts, whole.network.texts)
    assert torch.equal(rest.network.residual.weight, whole.network.residual.weight)


def test_other_options_do_not_resume(tmp_path, toy_model, table):
    one = trainer(tmp_path, toy_model, table)
    one.train(documents(one), dict)
    other = trainer(tmp_path, toy_model, table, replace(CONFIG, seed=1))
    with pytest.raises(ConfigError, match="made with other options; give another --output"):
        other.train(documents(other), dict)


def test_runs_are_averaged_weight_by_weight(tmp_path, toy_model, table):
    runs = [trainer(tmp_path / name, toy_model, table) for name in "ab"]
    for one in runs:
        one.train(documents(one), dict)
    runs[1].network.target.weight.data += 1
    runs[1]._checkpoint(())
    before = [one.network.target.weight.detach().clone() for one in runs]
    average_with(runs[0], [tmp_path / "b"])
    assert torch.allclose(runs[0].network.target.weight, (before[0] + before[1]) / 2)
    with pytest.raises(ConfigError, match=r"holds no run; give a folder of train-senses"):
        average_with(runs[0], [tmp_path / "c"])


def test_low_rank_is_the_nearest_matrix_of_its_rank():
    change = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    b, a = low_rank(change, 2)
    assert (b.shape, a.shape) == ((6, 2), (2, 4))
    left = torch.linalg.svdvals(change)[2:]
    # Eckart and Young: what is lost are the smaller singular values.
    assert torch.linalg.norm(change - b @ a) == pytest.approx(float(left.norm()), rel=1e-5)
    b, a = low_rank(change, 4)
    assert torch.allclose(b @ a, change, atol=1e-5)


def test_main_directions_are_those_in_which_a_words_senses_differ():
    vectors = np.zeros((4, 3), dtype=np.float32)
    vectors[:, 0] = [9, 9, -9, -9]  # words differ here, their senses do not
    vectors[:, 1] = [2, -2, 2, -2]
    vectors[:, 2] = [0, 0, 1, -1]
    directions = main_directions(vectors, [[0, 1], [2, 3]], 2)
    assert np.allclose(np.abs(directions[:, 0]), 0, atol=1e-6)
    assert np.allclose(directions @ directions.T, np.eye(2), atol=1e-6)
    # Uncentred by hand: the leading direction of the differences of the two words.
    second = np.array([[0, 4, 0], [0, 4, 2]]).T @ np.array([[0, 4, 0], [0, 4, 2]])
    leading = np.linalg.eigh(second)[1][:, -1]
    assert abs(leading @ directions[0]) == pytest.approx(1, abs=1e-5)


def test_packed_vectors_are_within_half_a_step(tmp_path, toy_model, table):
    one = trainer(tmp_path, toy_model, table)
    one.train(documents(one), dict)
    vectors = sense_vectors(one.network, table.n_synsets)
    packed = pack_senses(vectors, table, 16)
    low = vectors[table.chosen] @ packed.project.T
    error = np.abs(packed.vectors * packed.scales[:, None] - low)
    assert (error <= packed.scales[:, None] * 0.51 + 1e-6).all()
    assert (packed.rows >= 0).sum() == len(table.chosen)


def test_the_exported_model_scores_as_the_trainer_does(tmp_path, toy_model, table, lexicon):
    one = trainer(tmp_path, toy_model, table, replace(CONFIG))
    rows = documents(one)
    one.train(rows, dict)
    path = tmp_path / "senses.safetensors"
    write(one, path, toy_model)
    encoder = HuggingFaceEncoder(
        EncoderSettings(str(toy_model), adapter=str(path), window=32, overlap=8)
    )
    vectors = SenseVectors.load(path)
    method = AllWordsAttention(lexicon, encoder, SenseHead.load(path), vectors)
    contexts, targets = [], []
    for i, (tokens, labels) in enumerate(SENTENCES):
        starts = np.cumsum([0] + [len(t) + 1 for t in tokens[:-1]])
        offsets = [(int(s), int(s) + len(t)) for s, t in zip(starts, tokens, strict=True)]
        contexts.append(Context(" ".join(tokens), tokens, offsets, tokens, [""] * len(tokens)))
        for start, end, _ in labels:
            word = tokens[start]
            targets.append(Target(i, start, end, word, lexicon.candidates(word, "NOUN")))
    scores = method.score(Texts(contexts), targets)
    by_target = {id(target): row for target, row in one.predict(rows[0])}
    expected = [by_target[id(t)] for row in rows[0] for t in row.targets]
    for got, want in zip(scores, expected, strict=True):
        assert np.allclose(got - got.mean(), want - want.mean(), atol=0.1)  # 8 bits, half precision
        assert got.argmax() == want.argmax()
    assert vectors.seen.sum() == 1


def test_the_low_rank_change_at_full_rank_is_the_trained_encoder(tmp_path, toy_model, table):
    one = trainer(tmp_path, toy_model, table)
    one.train(documents(one), dict)
    base = AutoModel.from_pretrained(toy_model)  # its pooler is random, and nobody reads it
    change = encoder_change(one.encoder, base, 64)
    assert not any("lora" in name for name in change)  # no matrix has so large a rank
    change = encoder_change(one.encoder, base, 8)
    linear = [n for n, m in base.named_modules() if isinstance(m, nn.Linear) and ".layer." in n]
    assert {n.removesuffix(".lora_A") for n in change if n.endswith("lora_A")} == set(linear)
    assert all(
        n.endswith((".bias", ".bias.change", "LayerNorm.weight.change"))
        for n in change
        if "lora" not in n
    )


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


def test_one_shot_scores_show_one_example_of_each_sense(toy_inventory):
    inventory = load_inventory(toy_inventory)
    known = []

    class Spy:
        name, temperature, encoder = "spy", 1.0, None

        def score(self, contexts, targets):
            assert not {context.text for context in contexts} & set(known)
            return [np.zeros(len(t.candidates), dtype=np.float32) for t in targets]

    def prepare(part):
        assert [len(sense.examples) for sense in part.senses] == [1, 1, 1, 1]
        known.extend(e.text for s in part.senses for e in s.examples)
        return Spy()

    scores, gold = one_shot_scores(prepare, inventory, blank_resources(inventory))
    assert len(scores) == len(gold) == 2  # the second of each bat
    assert sorted(gold) == [0, 1]
    assert (accuracy([], []), loss([], [])) == (0.0, 0.0)  # no sense has a second example


def test_memo_encoder_encodes_a_text_once(toy_model):
    inner = HuggingFaceEncoder(EncoderSettings(str(toy_model), window=32, overlap=8))
    memo = MemoEncoder(inner)
    (a, b) = memo.encode(["the bat", "a cave"], [[(0, 3), (4, 7)], [(0, 1), (2, 6)]])
    memo._encoder = None
    assert memo.encode(["the bat"], [[(0, 3), (4, 7)]])[0] is a
    assert b.shape == (2, 16)


def test_curve_and_checkpoint_are_written(tmp_path, toy_model, table):
    one = trainer(tmp_path, toy_model, table)
    one.train(documents(one), lambda: {"held_out": 0.5})
    curve = json.loads((tmp_path / "curve.json").read_text())
    assert [record["epoch"] for record in curve] == [1, 2, 3]
    assert all(record["held_out"] == 0.5 for record in curve)
    assert (tmp_path / "checkpoint.pt").is_file()


def test_a_short_run_saves_once_and_goes_on_from_its_end(tmp_path, toy_model, table, monkeypatch):
    saved = []
    save = SenseTrainer._checkpoint

    def counted(self, *given):
        saved.append((self.epoch, self.batch))
        save(self, *given)

    monkeypatch.setattr(SenseTrainer, "_checkpoint", counted)
    one = trainer(tmp_path, toy_model, table)
    one.train(documents(one), dict)
    assert saved == [(3, 0)]
    again = trainer(tmp_path, toy_model, table)
    again.train(documents(again), dict)
    assert (again.step, again.curve, len(saved)) == (one.step, one.curve, 1)
    monkeypatch.setattr(senses, "_SAVE_EVERY", 0.0)
    long = trainer(tmp_path / "long", toy_model, table, replace(CONFIG, epochs=1))
    long.train(documents(long), dict)
    # After each step, before and after the measurement.
    assert saved[1:] == [(0, 1 + i) for i in range(long.step)] + [(0, long.step), (1, 0)]


@pytest.fixture
def toy_world(monkeypatch, lexicon, toy_wordnet, toy_inventory):
    """What the whole way from files to a model needs, in its toy form."""
    monkeypatch.setenv("SPACY_ATTN_WORDNET", str(toy_wordnet))
    monkeypatch.setattr(sense_model, "_WINDOW", (32, 8))
    monkeypatch.setattr(sense_model, "WordNetInventory", lambda: lexicon)
    load = lambda name: load_inventory(toy_inventory)  # noqa: E731
    monkeypatch.setattr(sense_model, "load_inventory", load)


def semcor_file(folder):
    path = folder / "semcor.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for number in range(12):
            for tokens, targets in SENTENCES:
                senses = [[start, keys] for start, _, keys in targets]
                record = {"doc": f"d{number}", "tokens": tokens, "senses": senses}
                file.write(json.dumps(record) + "\n")
    return path


def train_sense_model(model, output, config, **given):
    """The sense model of some files and settings."""
    files = {f.name: given.pop(f.name) for f in fields(SenseSources) if f.name in given}
    return sense_model.train_sense_model(model, output, config, SenseSources(**files), **given)


def measured(seen):
    """The record of the last epoch."""
    return [record for record in seen if "loss" in record and "batch" not in record][-1]


def test_train_sense_model_from_files(tmp_path, toy_model, toy_world, capfd):
    seen = []
    made = train_sense_model(
        str(toy_model),
        tmp_path / "run",
        replace(CONFIG, epochs=1),
        semcor=semcor_file(tmp_path),
        report=seen.append,
        rank=4,
        width=8,
    )
    assert SenseHead.load(made).target.shape == (16, 16)
    vectors = SenseVectors.load(made)
    assert vectors.project.shape == (8, 16)
    assert vectors.seen.sum() == 5  # four of SemCor's, and "hit" by its example
    stages = [record["stage"] for record in seen if "stage" in record]
    assert stages[:3] == ["reading WordNet", "loading the encoder", "encoding definitions"]
    first = next(record for record in seen if record.get("stage") == "encoding definitions")
    assert first["done"] == 0 < first["total"]  # told before the first text is encoded
    (told,) = [stage for stage in stages if stage.startswith("learning from ")]
    assert re.fullmatch(
        r"learning from semcor: \d+ sentences, \d+ labels; wordnet: .* labels", told
    )
    assert stages[-1] == "choosing the settings for examples"
    assert measured(seen)["semcor:first_sense"] == pytest.approx(3 / 5)
    assert "Loading weights" not in capfd.readouterr().err  # the bar of transformers


def test_the_side_of_the_senses_is_fitted_and_the_prior_is_kept(tmp_path, toy_model, toy_world):
    written = tmp_path / "corpus"
    written.mkdir()
    line = "bat%1:06:00::\tHe hit the ball with the [[bat]].\n"
    (written / "000.tsv").write_text(line * 4 + "bank%1:17:00::\tA [[bank]] of the river.\n" * 4)
    config = replace(CONFIG, epochs=1, text_share=0.3, mean_share=0.6, prior=0.1)
    config = replace(config, final_prior=0.2)
    made = train_sense_model(
        str(toy_model),
        tmp_path / "run",
        config,
        semcor=semcor_file(tmp_path),
        written=written,
        everything=True,
        rank=4,
        width=8,
    )
    assert SenseVectors.load(made).prior == 0.2
    assert SenseVectors.load(made).temperature == 1.0  # nothing is held out to fit it on
    labels = tmp_path / "labels.jsonl"
    with labels.open("w") as file:
        for text, start, sense in (("the bat flew", 4, "bat.animal"), ("a bat", 2, "bat.club")):
            record = {
                "text": text,
                "start": start,
                "end": start + 3,
                "lemma": "bat",
                "pos": "NOUN",
                "sense": sense,
            }
            file.write((json.dumps(record) + "\n") * 20)
    second = train_sense_model(
        str(toy_model),
        tmp_path / "own",
        replace(CONFIG, epochs=1),
        data=labels,
        start=made,
        rank=4,
        width=8,
    )
    assert SenseVectors.load(second).prior == 0.2  # of WordNet, which the labels say nothing of


def test_corpora_go_on_from_a_model_and_its_senses_keep_their_neighbours(
    tmp_path, toy_model, toy_world
):
    config = replace(CONFIG, epochs=1)
    semcor = semcor_file(tmp_path)
    first = train_sense_model(
        str(toy_model), tmp_path / "a", config, semcor=semcor, rank=16, width=16
    )
    seen = []
    second = train_sense_model(
        str(toy_model),
        tmp_path / "b",
        replace(config, prior=0.1),
        semcor=semcor,
        start=first,
        rank=16,
        width=16,
        report=seen.append,
    )
    assert measured(seen)["semcor:accuracy"] >= 3 / 5
    before, after = SenseVectors.load(first), SenseVectors.load(second)
    assert (after.seen == before.seen).all()
    assert (before.prior, after.prior) == (0.0, 0.1)
    assert not np.array_equal(after.vectors, before.vectors)


def test_labels_of_ones_own_go_on_from_a_model(
    tmp_path, toy_model, toy_world, toy_inventory, table
):
    bats = [table.synset[key] for key in ("bat%1:05:00::", "bat%1:06:00::")]
    config = replace(CONFIG, epochs=1)
    first = train_sense_model(
        str(toy_model), tmp_path / "a", config, semcor=semcor_file(tmp_path), rank=4, width=8
    )
    labels = tmp_path / "labels.jsonl"
    texts = [("the bat flew at night", 4, "bat.animal"), ("swing the bat", 10, "bat.club")] * 20
    known = {sense.id for sense in load_inventory(toy_inventory).senses}
    assert {"bat.animal", "bat.club"} <= known
    with labels.open("w") as file:
        for text, start, sense in texts:
            record = {
                "text": text,
                "start": start,
                "end": start + 3,
                "lemma": "bat",
                "pos": "NOUN",
                "sense": sense,
            }
            file.write(json.dumps(record) + "\n")
    seen = []
    second = train_sense_model(
        str(toy_model),
        tmp_path / "b",
        replace(config, epochs=20),
        data=labels,
        inventory=toy_inventory,
        start=first,
        rank=4,
        width=8,
        report=seen.append,
    )
    assert measured(seen)["own:accuracy"] == 1.0
    before, after = SenseVectors.load(first), SenseVectors.load(second)
    # The synsets were not trained on: their vectors pass through, but for rounding.
    new, old = (
        (v.vectors * v.scales[:, None]) @ v.project / SenseHead.load(path).scale
        for v, path in ((after, second), (before, first))
    )
    first_word = [after.rows[r] for r in bats]
    now, then = (rows[first_word[0]] - rows[first_word[1]] for rows in (new, old))
    assert np.allclose(now, then, atol=np.abs(old).max() * 0.03)
    assert (after.seen == before.seen).all()


def test_only_senses_without_a_vector_have_their_texts_encoded(
    tmp_path, toy_model, toy_world, toy_inventory, lexicon, toy_wordnet, monkeypatch
):
    """A few labels of one's own cost no pass over all of WordNet, and the vectors are the same."""
    config, semcor = replace(CONFIG, epochs=1), semcor_file(tmp_path)
    first = train_sense_model(
        str(toy_model), tmp_path / "a", config, semcor=semcor, rank=16, width=16
    )
    own = SenseTable(WordNet(toy_wordnet), lexicon, load_inventory(toy_inventory))
    base, sha256 = AutoModel.from_pretrained(toy_model), weights_sha256(toy_model)

    def opened(name):
        return sense_model.open_trainer(
            "toy", toy_model, own, config, tmp_path / name, base, sha256, first
        )

    few = opened("few")
    encoded = few.network.glosses.any(dim=1).nonzero().flatten().tolist()
    assert encoded == sorted(own._own.values())
    every = SenseTrainer._gloss_vectors
    monkeypatch.setattr(SenseTrainer, "_gloss_vectors", lambda self, *_: every(self, own.chosen))
    rows = torch.tensor([*own.chosen, *own._own.values()])
    all_of_them = opened("all")
    assert torch.equal(few.network.senses(rows), all_of_them.network.senses(rows))


def test_the_tables_of_choices_are_those_of_the_candidates(table, lexicon):
    words = [lexicon.candidates(*word) for word in lexicon.words]
    expected = [
        sorted({table.synset[sense.id] for sense in senses}) for senses in words if len(senses) > 1
    ]
    assert table.choices() == expected
    assert table.chosen == sorted({row for rows in expected for row in rows})
    assert len(expected) > 1


def labels_file(folder, word, pairs):
    path = folder / "labels.jsonl"
    with path.open("w") as file:
        for text, sense in pairs:
            start = text.index(word)
            record = {"text": text, "start": start, "end": start + len(word), "lemma": word}
            file.write(json.dumps({**record, "pos": "NOUN", "sense": sense}) + "\n")
    return path


def test_a_small_run_changes_the_vectors_of_its_senses_and_keeps_all_others(
    tmp_path, toy_model, toy_world, table, monkeypatch
):
    config = replace(CONFIG, epochs=2)
    first = train_sense_model(
        str(toy_model), tmp_path / "a", config, semcor=semcor_file(tmp_path), rank=4, width=16
    )
    pairs = [("the bat flew at night", "bat%1:05:00::"), ("swing the bat", "bat%1:06:00::")]
    run = {"data": labels_file(tmp_path, "bat", pairs * 2), "inventory": "wordnet", "start": first}
    monkeypatch.setattr("spacy_attn.train.export._MOST_CHANGED", 0.6)  # the toy has few senses
    seen = []
    second = train_sense_model(
        str(toy_model), tmp_path / "b", config, **run, rank=4, width=16, report=seen.append
    )
    before, after = SenseVectors.load(first), SenseVectors.load(second)
    assert np.array_equal(after.project, before.project)
    assert np.array_equal(after.rows, before.rows)
    touched = before.rows[[table.synset[key] for _, key in pairs]]
    others = np.setdiff1d(np.arange(len(before.vectors)), touched)
    assert len(others) >= 2
    assert np.array_equal(after.vectors[others], before.vectors[others])
    assert not (after.vectors[touched] == before.vectors[touched]).all(axis=1).any()
    # All have the scale of the new scores as a factor.
    grown = SenseHead.load(second).scale / SenseHead.load(first).scale
    assert np.allclose(after.scales[others], before.scales[others] * grown, rtol=1e-3)
    # Four labels, six examples: the settings for examples are those of the first model.
    assert "choosing the settings for examples" not in [record.get("stage") for record in seen]
    old, new = SenseHead.load(first), SenseHead.load(second)
    assert (new.ridge, new.gloss_weight) == (old.ridge, old.gloss_weight)
    # Packed anew, all senses come out the same but for rounding.
    monkeypatch.setattr("spacy_attn.train.export._MOST_CHANGED", -1.0)
    third = train_sense_model(str(toy_model), tmp_path / "c", config, **run, rank=4, width=16)
    anew = SenseVectors.load(third)
    kept, packed = ((v.vectors * v.scales[:, None]) @ v.project for v in (after, anew))
    assert np.allclose(kept, packed, atol=np.abs(packed).max() * 0.03)


def own_inventory(path, *words):
    """Two senses of each word, without examples."""
    senses = [
        {"lemma": word, "pos": "NOUN", "sense": f"{word}.{n}", "definition": f"meaning {n}"}
        for word in words
        for n in "ab"
    ]
    path.write_text("".join(json.dumps(sense) + "\n" for sense in senses))
    return path


def test_of_an_inventory_the_words_with_labels_are_read_alone(tmp_path, lexicon, toy_wordnet):
    own = load_inventory(own_inventory(tmp_path / "own.jsonl", "bat", "bank"))
    table = SenseTable(WordNet(toy_wordnet), lexicon, own, {"bat.b"})
    every = SenseTable(WordNet(toy_wordnet), lexicon, own)
    assert table.n_rows == every.n_rows
    assert list(table.texts([]).values()) == ["bat: meaning a", "bat: meaning b"]
    assert len(every.texts([])) == 4


def test_nothing_is_chosen_by_an_inventory_without_examples(
    tmp_path, toy_model, toy_world, monkeypatch
):
    first = train_sense_model(
        str(toy_model), tmp_path / "a", CONFIG, semcor=semcor_file(tmp_path), rank=4, width=16
    )
    monkeypatch.setattr(sense_model, "load_inventory", load_inventory)  # of any file
    monkeypatch.setattr(sense_model, "choose_few_shot_settings", None)
    labels = labels_file(tmp_path, "bat", [("the bat flew", "bat.a"), ("a bat", "bat.b")])
    second = train_sense_model(
        str(toy_model),
        tmp_path / "b",
        CONFIG,
        data=labels,
        inventory=own_inventory(tmp_path / "own.jsonl", "bat"),
        start=first,
        rank=4,
        width=16,
    )
    old, new = SenseHead.load(first), SenseHead.load(second)
    assert (new.ridge, new.gloss_weight) == (old.ridge, old.gloss_weight)


def test_a_processor_without_bf16_is_told(tmp_path, toy_model, toy_world, monkeypatch):
    labels = labels_file(tmp_path, "bat", [("the bat flew", "bat%1:05:00::")] * 2)
    monkeypatch.setattr(sense_model, "open_trainer", None)  # as far as this and no further
    for has, precision, n in ((False, "bf16", 1), (True, "bf16", 0), (False, "fp32", 0)):
        monkeypatch.setattr(sense_model, "has_bf16", lambda has=has: has)
        seen = []
        with pytest.raises(TypeError, match="not callable"):
            train_sense_model(
                str(toy_model),
                tmp_path / "run",
                replace(CONFIG, precision=precision),
                data=labels,
                inventory="wordnet",
                report=seen.append,
            )
        notes = [record["note"] for record in seen if "note" in record]
        assert ["--precision fp32" in note for note in notes] == [True] * n


def test_labels_of_another_inventory_are_one_sentence(tmp_path, toy_model, toy_world):
    labels = tmp_path / "labels.jsonl"
    record = {"text": "the bat", "start": 4, "end": 7, "lemma": "bat", "pos": "NOUN", "sense": "x"}
    labels.write_text(json.dumps(record) + "\n")
    with pytest.raises(ConfigError, match=r"label 1: bat \(NOUN\) has no sense 'x' in the"):
        train_sense_model(str(toy_model), tmp_path / "run", CONFIG, data=labels)


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_labels_are_one_sentence(tmp_path, toy_model, toy_world, n):
    """One is held out, and nothing is left."""
    labels = labels_file(tmp_path, "bat", [("the bat flew", "bat%1:05:00::")] * n)
    with pytest.raises(ConfigError, match="--data has nothing to train on: needed are two labels"):
        train_sense_model(
            str(toy_model), tmp_path / "run", CONFIG, data=labels, inventory="wordnet"
        )


def test_a_run_does_not_go_on_with_another_inventory(tmp_path, toy_model, toy_world, monkeypatch):
    monkeypatch.setattr(sense_model, "load_inventory", load_inventory)  # of any file
    labels = labels_file(tmp_path, "bat", [("the bat flew", "bat.a"), ("a bat", "bat.b")])

    def train(*words):
        own = own_inventory(tmp_path / "own.jsonl", *words)
        train_sense_model(
            str(toy_model), tmp_path / "run", CONFIG, data=labels, inventory=own, rank=4, width=8
        )

    train("bat")
    with pytest.raises(ConfigError, match=r"other options or data \(another --inventory\)"):
        train("bat", "bank")
    (tmp_path / "run" / "senses.safetensors").unlink()
    with pytest.raises(ConfigError, match="made with another encoder or inventory, or is damaged"):
        train("bat", "bank")


def test_nothing_to_train_on_is_one_sentence(tmp_path, toy_model):
    with pytest.raises(ConfigError, match="nothing to train on; give --semcor FILE"):
        train_sense_model(str(toy_model), tmp_path, CONFIG)


def test_senses_are_learnt_from_those_of_another_encoder(
    tmp_path, toy_model, toy_world, monkeypatch
):
    semcor = semcor_file(tmp_path)
    config = replace(CONFIG, epochs=4, mean_share=0.5)
    run = partial(train_sense_model, str(toy_model), semcor=semcor, rank=4)
    small = run(tmp_path / "small", config, width=8)
    read = []
    vectors = SenseTrainer._gloss_vectors
    monkeypatch.setattr(
        SenseTrainer,
        "_gloss_vectors",
        lambda self, needed, report=None: read.append(len(needed)) or vectors(self, needed, report),
    )
    made = run(tmp_path / "large", config, width=16, senses_from=small)
    # The texts of the words that were met, for the map of definitions, and none for the vectors.
    assert read == [0, 6]
    assert SenseVectors.load(made).project.shape == (16, 16)
    state = torch.load(tmp_path / "large" / "checkpoint.pt", weights_only=True)["network"]
    assert state["other_map.weight"].shape == (16, 8)
    assert state["other_map.weight"].any()


def test_teachers_probabilities_are_their_mean_and_are_kept(tmp_path, toy_model, table):
    one, two = (trainer(tmp_path / name, toy_model, table) for name in "ab")
    with torch.no_grad():
        two.network.residual.weight.normal_(generator=torch.Generator().manual_seed(0))
    rows = balanced([("semcor", documents(one)[0])], lambda _: 1.0)
    teachers = [(each, 2.0, lambda: documents(one)[0]) for each in (one, two)]
    path = tmp_path / "teachers.npy"
    soft = ask_teachers(teachers, 2, rows, path)
    targets = [t for row in rows[0] for t in row.targets]
    expected = {
        t.number: np.mean([softmax(s / 2.0) for s in scores], axis=0)
        for t in targets
        for scores in [[dict(_numbered(each, rows[0]))[t.number] for each in (one, two)]]
    }
    found = soft.of(targets)
    assert np.allclose(found, np.concatenate([expected[t.number] for t in targets]), atol=1e-6)
    again = ask_teachers([], 2, rows, path)
    assert np.array_equal(again.probabilities, soft.probabilities)
    with pytest.raises(ResourceError, match="answers of other documents; remove it"):
        ask_teachers([], 2, [rows[0][:1]], path)


def _numbered(one, rows):
    return [(target.number, scores) for target, scores in one.predict(rows)]


def test_the_loss_takes_a_share_of_the_teachers(tmp_path, toy_model, table):
    """Against the same arithmetic written out, a word that no teacher was asked of among them."""
    config = replace(CONFIG, teacher_share=0.3, drop_residual=0.0)
    one = trainer(tmp_path / "a", toy_model, table, config)
    shifted = balanced(
        [("semcor", documents(one)[0][:2]), ("written", documents(one)[0][2:])],
        lambda _: 1.0,
        shift=0.5,
    )
    rows = [row for some in shifted for row in some]
    targets = [t for row in rows for t in row.targets]
    z = one.network.occurrence(*one.forward(rows)).detach().requires_grad_(True)
    plain = one.loss(z, targets).detach()
    soft = SoftTargets([rows])
    for target in targets[1:]:
        soft.add(target, np.array([0.9, 0.1], dtype=np.float32), 1.0)
    one.soft = soft
    with torch.no_grad():
        with_shift, _ = one.logits(z, targets, drop=True)
        without, _ = one.logits(z, targets, drop=False)
    hard = [
        -float(with_shift[i].log_softmax(-1)[t.allowed.index(True)]) for i, t in enumerate(targets)
    ]
    learnt = [
        -float(without[i].log_softmax(-1) @ torch.tensor([0.9, 0.1])) for i in range(len(hard))
    ]
    mixed = [hard[0]] + [0.7 * h + 0.3 * s for h, s in zip(hard[1:], learnt[1:], strict=True)]
    assert float(plain) == pytest.approx(np.mean(hard), abs=1e-5)
    found = one.loss(z, targets)
    assert float(found.detach()) == pytest.approx(np.mean(mixed), abs=1e-5)
    found.backward()
    assert z.grad.isfinite().all()


def test_a_word_that_may_be_any_sense_teaches_no_frequency(table):
    def row(allowed):
        return Row([1], [0], 1, [RowTarget(0, 1, (3, 4), allowed)])

    tagged = [("semcor", [row((True, False))]), ("written", [row((False, True))])]
    with_more = [*tagged, ("written", [row((True, True))])]
    settings = {"shift": 0.5, "balance": 0.5, "untagged": 0.25}
    before = balanced(tagged, lambda _: 2.0, **settings)
    after = balanced(with_more, lambda _: 2.0, **settings)
    assert after[:2] == before
    assert (after[2][0].targets[0].weight, after[2][0].targets[0].shift) == (0.5, ())


def test_a_model_learns_from_a_teacher_also_what_has_no_tag(tmp_path, toy_model, toy_world):
    written = tmp_path / "corpus"
    written.mkdir()
    line = "bat%1:06:00::\tHe went to the bank and hit the ball with the [[bat]].\n"
    (written / "000.tsv").write_text(line * 2)
    config, semcor = replace(CONFIG, epochs=1), semcor_file(tmp_path)
    first = train_sense_model(
        str(toy_model), tmp_path / "a", config, semcor=semcor, rank=16, width=16
    )
    stages = []
    train_sense_model(
        str(toy_model),
        tmp_path / "b",
        config,
        semcor=semcor,
        written=written,
        teachers=[first],
        untagged=True,
        report=lambda record: stages.append(record.get("stage")),
        rank=16,
        width=16,
    )
    assert "tagging parts of speech" in stages
    kept = np.load(tmp_path / "b" / "teachers.npy")
    assert np.isfinite(kept).all()
    assert len(kept) > 2 * 5 + 2 * 2  # the words of SemCor, each "bat", and "bank" or "hit"
