"""Training over static vectors: the loss by hand, seeds, resuming, and what is written."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
import spacy
import torch
from safetensors import safe_open

from benchmarks.attention.mixers import MIXERS, mixer_of
from spacy_attn.components.adapter import context_of, resources_of
from spacy_attn.encoder.static_network import NetworkConfig, read_model
from spacy_attn.errors import ConfigError
from spacy_attn.train import self_attention_model
from spacy_attn.train.corpora import TaggedSentence
from spacy_attn.train.occurrences import (
    Occurrence,
    SenseTexts,
    accuracy_of,
    hold_out,
    temperature_of,
)
from spacy_attn.train.self_attention import (
    SelfAttentionConfig,
    SelfAttentionTrainer,
)
from spacy_attn.train.self_attention_model import (
    RESULT,
    read_material,
    round_weights,
    spread,
    train_self_attention,
    write_model,
)
from spacy_attn.wsd.context import Target
from spacy_attn.wsd.inventory.jsonl import Inventory, load_inventory
from spacy_attn.wsd.methods.self_attention import PrototypeHead, self_attention_v1
from spacy_attn.wsd.sense import Example, Sense
from spacy_attn.wsd.vectors import Texts

RIGHT, LEFT = ["cave", "wing", "night", "dark"], ["ball", "game", "club", "team"]
WORDS = ["bat", "bank", "the", "a", *RIGHT, *LEFT]


class Static:
    """Random vectors of width 6 for twelve words."""

    width, identity = 6, "toy:0"

    def vectors(self, words):
        table = np.random.default_rng(0).normal(size=(len(WORDS), 6)).astype(np.float32)
        return np.stack([table[WORDS.index(w)] if w in WORDS else 0 * table[0] for w in words])


def occurrence(tokens, at=0, candidates=(0, 1), allowed=(0,), source="examples"):
    return Occurrence(tokens, at, at + 1, candidates, allowed, source, " ".join(tokens))


def rows(n=24):
    """Sense 0 of "bat" stands with animals' words, sense 1 with those of games."""
    rng = np.random.default_rng(1)
    out = []
    for i in range(n):
        words = (RIGHT, LEFT)[i % 2]
        tokens = ["the", *rng.choice(words, 2).tolist(), "bat", "a", str(rng.choice(words))]
        out.append(dataclasses.replace(occurrence(tokens, 3, allowed=(i % 2,)), group=str(i)))
    return out


def texts(n=2, *, counted=False):
    glosses = np.random.default_rng(2).normal(size=(n, 6)).astype(np.float32)
    return SenseTexts(glosses, np.full(n, counted))


def trainer(train, mixer="attention", folder=None, n=2, counted=False, **more):
    network = NetworkConfig(6, 8, heads=2, hidden=8, dropout=0.0, attention_dropout=0.0)
    config = SelfAttentionConfig(**{"mask_words": 0.0, "epochs": 3, **more})
    return SelfAttentionTrainer(
        network, config, Static(), train, texts(n, counted=counted), folder, mixer_of(mixer)
    )


# -- the loss --------------------------------------------------------------------------------


def by_hand(made, train):
    """Mean loss, each occurrence against prototypes of the others, one after the other."""
    head, z = made.head_for_use(), made.encode(train).numpy()
    losses = []
    for i, row in enumerate(train):
        scores = []
        for sense in row.candidates:
            others = [z[j] for j, other in enumerate(train) if j != i and other.allowed == (sense,)]
            total = np.sum(others, axis=0) if others else np.zeros(8)
            vector = head.sense(texts(3).glosses[sense], total, len(others))
            count = sum(o.allowed == (sense,) for j, o in enumerate(train) if j != i)
            prior = head.prior * math.log(count + 0.5) if made.is_counted.any() else 0.0
            scores.append(z[i] @ vector + prior)
        p = np.exp(scores) / np.exp(scores).sum()
        losses.append(-math.log(sum(p[row.candidates.index(a)] for a in row.allowed)))
    return np.mean(losses)


@pytest.mark.parametrize("counted", [False, True])
def test_each_is_scored_against_the_others(counted):
    train = [
        *rows(5),
        occurrence(["bank", "cave"], candidates=(1, 2), allowed=(2,)),
        occurrence(["bank", "ball", "game"], candidates=(0, 1, 2), allowed=(0, 2)),
        occurrence(["bat"], allowed=(1,)),
    ]
    made = trainer(train, n=3, counted=counted)
    made._set_training(True)
    assert float(made._loss(train).detach()) == pytest.approx(by_hand(made, train), abs=1e-5)


def test_held_out_words_meet_the_prototypes_of_the_training():
    train, held_out = rows(8), rows(12)[8:]
    made = trainer(train)
    head, z = made.head_for_use(), made.encode(train).numpy()
    for row, found in zip(held_out, made.score(held_out), strict=True):
        here = made.encode([row]).numpy()[0]
        expected = [here @ head.sense(texts().glosses[s], z[s::2].sum(axis=0), 4) for s in (0, 1)]
        np.testing.assert_allclose(found.scores, expected, atol=1e-5)
    assert made.score([]) == []


def test_training_occurrences_meet_the_prototypes_of_the_others():
    """As in the loss: where nothing is dropped, its mean is that of these scores."""
    train = rows(7)
    made = trainer(train)
    losses = []
    for each in made.score_training():
        p = np.exp(each.scores) / np.exp(each.scores).sum()
        losses.append(-math.log(p[each.occurrence.allowed[0]]))
    assert np.mean(losses) == pytest.approx(by_hand(made, train), abs=1e-5)


# -- training --------------------------------------------------------------------------------


@pytest.mark.parametrize("mixer", MIXERS)
def test_it_learns_what_the_context_says(mixer):
    train, held_out = hold_out(rows(60), 0.2, seed=0)
    made = trainer(train, mixer, epochs=15, learning_rate=0.01)
    made.train()
    losses = [record["loss"] for record in made.curve]
    assert losses[-1] < 0.5 * losses[0]
    assert accuracy_of(made.score(held_out)) > 0.9
    assert 0 < temperature_of(made.score(held_out))


def test_the_same_seed_gives_the_same_weights_and_another_others():
    made = [trainer(rows(), mask_words=0.2, seed=seed) for seed in (4, 4, 5)]
    for each in made:
        each.train()
    one, two, other = (each.network.input.weight for each in made)
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_a_stopped_run_goes_on_as_if_it_had_not_been_stopped(tmp_path):
    whole = trainer(rows(), folder=tmp_path / "whole", mask_words=0.2)
    whole.train()

    def stop():
        if len(stopped.curve) == 1:
            raise KeyboardInterrupt("after the first epoch")
        return {}

    stopped = trainer(rows(), folder=tmp_path / "stopped", mask_words=0.2)
    with pytest.raises(KeyboardInterrupt, match="after the first epoch"):
        stopped.train(stop)
    resumed = trainer(rows(), folder=tmp_path / "stopped", mask_words=0.2)
    seen = []
    resumed.train(report=seen.append)
    assert [record["epoch"] for record in seen if "seconds" in record] == [2, 3]
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, resumed.network.state_dict()[name]), name
    with pytest.raises(ConfigError, match=r"checkpoint\.pt was made with other options or data"):
        trainer(rows(), folder=tmp_path / "whole", epochs=4).train()


def test_runs_of_one_seed_see_the_same_batches_whatever_mixes():
    one, two = trainer(rows(), "cnn"), trainer(rows(), "attention")
    order = [[[row.group for row in batch] for batch in each._episodes(1)] for each in (one, two)]
    assert order[0] == order[1]


def test_no_batch_and_no_word_in_it_is_too_large():
    train = [*rows(40), *(occurrence(["bank"], candidates=(1, 2), allowed=(1,)) for _ in range(9))]
    made = trainer(train, n=3, batch_rows=20, word_rows=8)
    batches = made._episodes(0)
    assert sum(map(len, batches)) == 49
    assert max(map(len, batches)) <= 20


def test_hold_out_keeps_groups_together():
    many = [dataclasses.replace(row, group=str(i // 3)) for i, row in enumerate(rows(30))]
    kept, out = hold_out(many, 0.2, seed=1)
    assert (len(kept), len(out)) == (24, 6)
    assert not {row.group for row in kept} & {row.group for row in out}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": 0}, r"epochs = 0; allowed is 1 or more"),
        ({"batch_rows": -1}, r"batch_rows = -1; allowed is 1 or more"),
        ({"mask_words": 1.0}, r"mask_words = 1\.0; allowed is 0 to below 1"),
    ],
)
def test_settings_that_cannot_be(arguments, message):
    with pytest.raises(ConfigError, match=message):
        SelfAttentionConfig(**arguments)


def test_nothing_to_train_on():
    with pytest.raises(ConfigError, match=r"nothing to train on: no word has two senses and an"):
        trainer([])


# -- from files to a method --------------------------------------------------------------------

NLP = spacy.blank("en")


def test_the_method_says_what_the_training_said(toy_inventory, toy_vectors, toy_self_attention):
    """The whole way, from texts through the file: the same scores as in the trainer."""
    inventory = load_inventory(toy_inventory, "en")
    unfitted = self_attention_v1(str(toy_self_attention), str(toy_vectors))
    method = unfitted.prepare(inventory, resources_of(NLP))
    from spacy_attn.classic.vectors import shared_vectors

    static = shared_vectors(str(toy_vectors))
    material = read_material(static, inventory)
    assert material.held_out["examples"]
    everything = [*material.train, *material.held_out["examples"]]
    made = SelfAttentionTrainer(
        NetworkConfig(4, width=8, heads=2),
        SelfAttentionConfig(epochs=2),
        static,
        everything,
        material.texts,
    )
    with safe_open(toy_self_attention, "pt") as file:
        manifest = json.loads(file.metadata()["manifest"])
        state = {n[8:]: file.get_tensor(n) for n in file.keys() if n.startswith("network.")}
        for name in ("target", "context", "gloss"):
            getattr(made.head, name).weight.data = file.get_tensor(f"head.{name}").float()
    made.network.load_state_dict(state)
    for name in ("gloss_weight", "example_weight", "shrinkage"):
        getattr(made.head, name).data.fill_(math.log(manifest["head"][name]))
    for text, at in (
        ("the bat flew in a cave", 1),
        ("money at the river bank", 4),
        ("he hit a ball . the bat flew ! money .", 6),
    ):
        lemma = text.split()[at]
        context = context_of(NLP(text))
        target = Target(0, at, at + 1, lemma, inventory.candidates(lemma, "NOUN"))
        (obtained,) = method.score(Texts([context]), [target])
        numbers = material.senses.numbers(inventory, target.candidates)
        row = Occurrence(text.split(), at, at + 1, numbers, numbers[:1], "own", "x")
        np.testing.assert_allclose(obtained, made.score([row])[0].scores, atol=1e-4)


def test_what_is_written(toy_self_attention):
    with safe_open(toy_self_attention, "numpy") as file:
        manifest = json.loads(file.metadata()["manifest"])
    assert manifest["network"]["static_width"] == 4
    assert manifest["network"]["width"] == 8
    assert len(manifest["curve"]) == 2
    assert manifest["parameters"]["mixer"] == pytest.approx(20 * 64, rel=0.1)
    assert 0 < manifest["head"]["temperature"]
    assert "lexicon" not in manifest
    assert toy_self_attention.name == RESULT


def test_sixteen_bits_hold_what_was_scored(toy_vectors, tmp_path):
    from spacy_attn.classic.vectors import shared_vectors

    material = read_material(shared_vectors(str(toy_vectors)), load_inventory("homographs"))
    made = SelfAttentionTrainer(
        NetworkConfig(4, width=8, heads=2),
        SelfAttentionConfig(epochs=1),
        shared_vectors(str(toy_vectors)),
        material.train,
        material.texts,
    )
    rows = material.held_out["examples"][:20]
    before = made.score(rows)
    round_weights(made)
    after = made.score(rows)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_allclose(one.scores, other.scores, atol=0.02)
    write_model(tmp_path / RESULT, made, material, after, {})
    network, _, _ = read_model(tmp_path / RESULT)
    for name, tensor in made.network.state_dict().items():
        assert network.state_dict()[name].dtype == tensor.dtype
        assert network.state_dict()[name].equal(tensor), name
    head, written = made.head_for_use(), PrototypeHead.load(tmp_path / RESULT)
    assert np.array_equal(head.target, written.target)
    assert written.gloss.dtype == np.float32


def test_a_part_of_a_corpus_is_spread_over_its_documents():
    corpus = [TaggedSentence(f"d{i // 3}", "g", ["a"], []) for i in range(30)]
    assert spread(corpus, None) == spread(corpus, 30) == corpus
    part = spread(corpus, 9)  # a third, or a little less: every fourth document, whole
    assert [sentence.doc for sentence in part] == ["d0"] * 3 + ["d4"] * 3 + ["d8"] * 3


def test_other_vectors_are_refused(toy_inventory, toy_self_attention, tmp_path):
    path = tmp_path / "other.txt"
    path.write_text("1 4\nbat 1 2 3 4\n", encoding="utf-8")
    method = self_attention_v1(str(toy_self_attention), str(path))
    with pytest.raises(
        ConfigError, match=r"are other\.txt:.* was trained on vectors\.txt:.*; give"
    ):
        method.prepare(load_inventory(toy_inventory, "en"), resources_of(NLP))


def test_labels_need_an_inventory(tmp_path):
    with pytest.raises(ConfigError, match=r"labels need an inventory; give --inventory FILE"):
        read_material(Static(), None, data=tmp_path / "labels.jsonl")


def test_words_with_one_sense_teach_nothing(tmp_path, toy_vectors):
    one = Inventory("one", (Sense("a", "bat", "NOUN", "a", (Example("a bat", 2, 5),)),), "en")
    assert read_material(Static(), one).train == []
    path = tmp_path / "one.jsonl"
    path.write_text('{"lemma": "bat", "pos": "NOUN", "sense": "a", "definition": "a"}\n')
    with pytest.raises(ConfigError, match=r"^nothing to train on"):
        train_self_attention(tmp_path / "out", vectors=str(toy_vectors), inventory=path)


@pytest.fixture
def toy_semcor(tmp_path):
    """Twenty documents in which bats fly and are swung."""
    import gzip

    lines = []
    for doc in range(20):
        for tokens, at, key in (
            ("the bat flew at night", 1, "bat%1:05:00::"),
            ("he hit the ball with the bat", 6, "bat%1:06:00::"),
            ("money in the bank", 3, "bank%1:14:00::"),
        ):
            n = len(tokens.split())
            lines.append(
                {
                    "doc": f"d{doc}",
                    "tokens": tokens.split(),
                    "pos": ["x"] * n,
                    "lemmas": tokens.split(),
                    "senses": [[at, [key]]],
                }
            )
    path = tmp_path / "semcor.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    return path


def test_running_text_teaches_wordnet(
    toy_semcor, toy_wordnet, toy_lexicon, toy_vectors, tmp_path, monkeypatch
):
    from spacy_attn.wsd.inventory.wordnet import WordNetInventory
    from spacy_attn.wsd.inventory.wordnet_files import WordNet
    from spacy_attn.wsd.methods.self_attention import SenseCounts

    inventory = WordNetInventory(toy_lexicon, toy_wordnet)
    monkeypatch.setattr(self_attention_model, "WordNet", lambda: WordNet(toy_wordnet))
    monkeypatch.setattr(self_attention_model, "WordNetInventory", lambda: inventory)
    path = train_self_attention(
        tmp_path / "run",
        NetworkConfig(0, 8, heads=2),
        SelfAttentionConfig(epochs=6),
        vectors=str(toy_vectors),
        inventory=None,
        semcor=toy_semcor,
    )
    known = SenseCounts.load(path)
    animal, club = inventory.candidates("bat", "NOUN")
    assert known.lexicon == inventory.digest
    assert [known.of(sense)[1] for sense in (animal, club)] == [18, 18]  # two held out
    fitted = self_attention_v1(str(path), str(toy_vectors)).prepare(inventory, resources_of(NLP))
    for text, right in (("the bat flew at night", 0), ("he hit the ball with the bat", 1)):
        at = text.split().index("bat")
        target = Target(0, at, at + 1, "bat", (animal, club))
        contexts = Texts([context_of(NLP(text))])
        assert int(fitted.score(contexts, [target])[0].argmax()) == right


def test_eight_bits_lose_little(tmp_path, toy_lexicon, toy_wordnet, toy_vectors):
    from spacy_attn.classic.vectors import shared_vectors
    from spacy_attn.train.occurrences import SenseList
    from spacy_attn.train.self_attention_model import Material, texts_of
    from spacy_attn.wsd.inventory.wordnet import WordNetInventory
    from spacy_attn.wsd.methods.self_attention import SenseCounts

    inventory, senses = WordNetInventory(toy_lexicon, toy_wordnet), SenseList()
    numbers = senses.numbers(inventory, inventory.candidates("bat", "NOUN"))
    train = [
        occurrence("the bat flew at night".split(), 1, numbers, numbers[:1], "semcor"),
        occurrence("swing the bat".split(), 2, numbers, numbers[1:], "semcor"),
    ]
    static = shared_vectors(str(toy_vectors))
    material = Material(train, {}, texts_of(senses, static), senses, inventory)
    made = SelfAttentionTrainer(
        NetworkConfig(4, 8, heads=2), SelfAttentionConfig(), static, train, material.texts
    )
    write_model(tmp_path / RESULT, made, material, [], {})
    totals, _ = made.sums(train)
    known = SenseCounts.load(tmp_path / RESULT)
    for sense, total in zip(inventory.candidates("bat", "NOUN"), totals.numpy(), strict=True):
        np.testing.assert_allclose(known.of(sense)[0], total, atol=np.abs(total).max() / 250)
