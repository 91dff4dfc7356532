"""The attention method: arithmetic by hand, regression against scikit-learn, prepared files."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import spacy
from safetensors.numpy import save_file
from sklearn.linear_model import RidgeClassifier

from spacy_attn.components.adapter import context_of, resources_of
from spacy_attn.encoder.huggingface import HuggingFaceEncoder
from spacy_attn.errors import ResourceError
from spacy_attn.settings import EncoderSettings
from spacy_attn.wsd.context import Context, Target
from spacy_attn.wsd.inventory.find import find_targets
from spacy_attn.wsd.inventory.jsonl import Inventory, load_inventory
from spacy_attn.wsd.methods.attention import Attention, fit_examples, gloss_text
from spacy_attn.wsd.methods.occurrence import occurrences
from spacy_attn.wsd.methods.sense_head import SenseHead
from spacy_attn.wsd.sense import Example, Sense
from spacy_attn.wsd.vectors import Texts

NLP = spacy.blank("en")
RESOURCES = resources_of(NLP)
WORDS = {"cave": [2, 0], "night": [3, 0], "ball": [0, 1], "swing": [0, 2], "bat": [1, 1]}
GLOSSES = {"bat: of caves": [4, 0], "bat: of balls": [0, 3], "bat: of clubs": [1, -1]}


class Words:
    """An encoder whose vectors are looked up, so that everything can be worked out by hand."""

    width = 2

    def __init__(self, identity="words"):
        self.identity = identity
        self.n_encoded = 0
        self.n_embedded = 0

    def encode(self, texts, offsets, reads=None):
        self.n_encoded += len(texts)
        return [
            np.array([WORDS.get(t[a:b].lower(), [0, 0]) for a, b in o], dtype=np.float32)
            for t, o in zip(texts, offsets, strict=True)
        ]

    def embed(self, texts):
        self.n_embedded += len(texts)
        return np.array([GLOSSES[text] for text in texts], dtype=np.float32)


def head(**changes):
    settings = {
        "target": np.eye(2, dtype=np.float32),
        "context": 2 * np.eye(2, dtype=np.float32),
        "gloss": np.eye(2, dtype=np.float32),
        "scale": 10.0,
        "context_radius": 2,
        "ridge": 1.0,
        "gloss_weight": 0.5,
        "sha256": "0" * 64,
    }
    return SenseHead(**{**settings, **changes})


def bats(*examples_of_each):
    """An inventory of bat with as many senses as given, each with examples (word at the end)."""
    definitions = ["of caves", "of balls", "of clubs"]
    senses = [
        Sense(
            f"bat.{i}",
            "bat",
            "NOUN",
            definition,
            tuple(Example(text, len(text) - 3, len(text)) for text in texts),
        )
        for i, (definition, texts) in enumerate(zip(definitions, examples_of_each, strict=False))
    ]
    return Inventory("bats", tuple(senses), "en")


def attention(inventory, encoder=None, prepared=(), **changes):
    encoder = encoder or Words()
    return Attention(inventory, RESOURCES, encoder, encoder, head(**changes), prepared)


def scored(method, inventory, text):
    context = context_of(NLP(text))
    return method.score(Texts([context]), find_targets(context, inventory))[0]


def of_one(vectors, start, end, radius, tokens=None):
    """Target and context mean of one word, tokens named a, b, c ..."""
    tokens = tokens or [chr(97 + i) for i in range(len(vectors))]
    offsets = [(i, i + 1) for i in range(len(tokens))]
    context = Context("".join(tokens), tokens, offsets, tokens, tokens)
    return occurrences([context], [vectors], [Target(0, start, end, "x", ())], radius)[0]


# -- parts ------------------------------------------------------------------------------

VECTORS = np.array([[1, 0], [0, 2], [4, 4], [2, 0], [8, 8]], dtype=np.float32)


@pytest.mark.parametrize(
    ("start", "end", "radius", "expected"),
    [
        (1, 2, 1, [0, 2, 2.5, 2]),  # context: rows 0 and 2
        (1, 3, 1, [2, 3, 1.5, 0]),  # rows 0 and 3
        (0, 1, 2, [1, 0, 2, 3]),  # rows 1 and 2
        (4, 5, 99, [8, 8, 1.75, 1.5]),  # rows 0 to 3
        (1, 2, 0, [0, 2, 0, 2]),  # no context: the target
        (0, 5, 5, [3, 2.8, 3, 2.8]),  # the whole text
    ],
)
def test_an_occurrence_is_target_and_context(start, end, radius, expected):
    np.testing.assert_allclose(of_one(VECTORS, start, end, radius), expected, rtol=1e-6)


def test_z_is_the_sum_of_both_projections_at_unit_length():
    parts = np.array([[1, 0, 0, 1], [0, 0, 0, 0]], dtype=np.float32)
    np.testing.assert_allclose(
        head().z(parts), [[1 / np.sqrt(5), 2 / np.sqrt(5)], [0, 0]], rtol=1e-6
    )


def test_the_text_of_a_definition():
    assert gloss_text("hot spot", "a place") == "hot spot: a place"


# -- regression on examples ------------------------------------------------------------------


@pytest.mark.parametrize("n_senses", [3, 4])
@pytest.mark.parametrize("penalty", [0.3, 10.0])
def test_examples_give_the_decision_function_of_a_ridge_classifier(n_senses, penalty):
    rng = np.random.default_rng(n_senses)
    examples = [rng.normal(size=(n, 6)).astype(np.float32) for n in range(2, 2 + n_senses)]
    weights, bias = fit_examples(examples, penalty)
    labels = np.repeat(np.arange(n_senses), [len(rows) for rows in examples])
    model = RidgeClassifier(alpha=penalty, class_weight="balanced")
    model.fit(np.concatenate(examples), labels)
    new = rng.normal(size=(5, 6))
    np.testing.assert_allclose(
        new @ weights.T + bias, model.decision_function(new), rtol=1e-4, atol=1e-5
    )


def test_two_senses_are_mirror_images():
    rng = np.random.default_rng(0)
    examples = [rng.normal(size=(4, 6)).astype(np.float32) for _ in range(2)]
    weights, bias = fit_examples(examples, 1.0)
    labels = np.repeat([0, 1], 4)
    model = RidgeClassifier(alpha=1.0).fit(np.concatenate(examples), labels)
    new = rng.normal(size=(5, 6))
    obtained = new @ weights.T + bias
    np.testing.assert_allclose(obtained[:, 1], model.decision_function(new), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(obtained[:, 0], -obtained[:, 1], atol=1e-6)


def test_one_number_by_hand():
    # x = 1 and -1, y = 1 and -1: w = x.y / (x.x + 1) = 2 / 3, no bias.
    examples = [np.array([[1.0]], dtype=np.float32), np.array([[-1.0]], dtype=np.float32)]
    weights, bias = fit_examples(examples, 1.0)
    np.testing.assert_allclose(weights, [[2 / 3], [-2 / 3]], rtol=1e-6)
    np.testing.assert_allclose(bias, [0, 0], atol=1e-7)


def test_closed_form():
    rng = np.random.default_rng(1)
    examples = [rng.normal(size=(n, 3)).astype(np.float32) for n in (2, 5, 3)]
    x = np.concatenate(examples).astype(np.float64)
    y = np.where(np.repeat(np.arange(3), [2, 5, 3])[:, None] == np.arange(3), 1.0, -1.0)
    each = np.repeat([10 / (3 * 2), 10 / (3 * 5), 10 / (3 * 3)], [2, 5, 3])
    middle = np.mean([rows.mean(axis=0) for rows in examples], axis=0)
    centred, target = x - middle, y - (2 / 3 - 1)
    square = centred.T @ (each[:, None] * centred) + 2.0 * np.eye(3)
    expected = np.linalg.solve(square, centred.T @ (each[:, None] * target))
    weights, bias = fit_examples(examples, 2.0)
    np.testing.assert_allclose(weights, expected.T, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(bias, 2 / 3 - 1 - middle @ expected, rtol=1e-4, atol=1e-6)


def test_many_examples_do_not_outvote_few():
    """Between the means of both senses no sense is ahead, however many examples each has."""
    rng = np.random.default_rng(3)
    few, many = (rng.normal(m, 1, size=(n, 6)).astype(np.float32) for m, n in ((1, 2), (-1, 40)))
    weights, bias = fit_examples([few, many], 1.0)
    middle = (few.mean(axis=0) + many.mean(axis=0)) / 2
    np.testing.assert_allclose(weights @ middle + bias, [0, 0], atol=1e-5)


def test_a_sense_without_examples_is_neither_for_nor_against():
    rng = np.random.default_rng(2)
    empty = np.zeros((0, 6), dtype=np.float32)
    first, third = (rng.normal(size=(4, 6)).astype(np.float32) for _ in range(2))
    weights, bias = fit_examples([first, empty, third], 1.0)
    assert not weights[1].any()
    assert bias[1] == pytest.approx(2 / 3 - 1)
    alone = fit_examples([first, third], 1.0)
    np.testing.assert_array_equal(weights[[0, 2]], alone[0])
    np.testing.assert_array_equal(bias[[0, 2]], alone[1])


@pytest.mark.parametrize("n_shown", [0, 1])
def test_from_fewer_than_two_senses_nothing_is_learned(n_shown):
    rows = [np.ones((3 if i < n_shown else 0, 4), dtype=np.float32) for i in range(4)]
    weights, bias = fit_examples(rows, 1.0)
    assert not weights.any()
    assert bias.tolist() == [-0.5] * 4


# -- scores by hand ---------------------------------------------------------------------------
# "cave bat": target (1, 1), context (2, 0); z = (1 + 4, 1 + 0) to unit length = (5, 1) / sqrt 26.
# Definitions to unit length: (1, 0), (0, 1), (1, -1) / sqrt 2; their product is scaled by 10.

BY_DEFINITION = 10 * np.array([5, 1, 4 / np.sqrt(2)]) / np.sqrt(26)


@pytest.mark.parametrize("examples", [((), (), ()), (("cave bat",), (), ())], ids=["none", "one"])
def test_definitions_alone(examples):
    inventory = bats(*examples)
    obtained = scored(attention(inventory), inventory, "cave bat")
    np.testing.assert_allclose(obtained, BY_DEFINITION, rtol=2e-3)  # kept as float16


def test_definitions_alone_are_calibrated_by_their_training():
    inventory = bats((), (), ())
    encoder = Words()
    method = Attention(inventory, RESOURCES, encoder, encoder, head(), temperature=0.25)
    obtained = scored(method, inventory, "cave bat") / method.temperature
    np.testing.assert_allclose(obtained, BY_DEFINITION, rtol=2e-3)


def test_examples_and_definitions():
    inventory = bats(("night bat",), ("ball bat", "swing bat"), ())
    obtained = scored(attention(inventory), inventory, "cave bat")
    # Both halves to unit length; the three examples differ in their context alone: (1, 0)
    # once and (0, 1) twice, so u = second less first number decides. Each sense counts the same:
    # weights 3/2, 3/4, 3/4, under which u and y of the second sense, -1, 1, 1, have mean 0.
    # Each row x = u/2 * (-1, 1); x.y / (x.x + 1) along (-1, 1) / sqrt 2: (3 / sqrt 2) / (3/2 + 1).
    slope = (3 / np.sqrt(2)) / (3 / 2 + 1)
    second = slope * -1 / np.sqrt(2)  # of u = -1
    by_examples = np.array([-second, second, 2 / 3 - 1])
    np.testing.assert_allclose(obtained, by_examples + 0.5 * BY_DEFINITION, rtol=2e-3)


def test_examples_alone_where_definitions_have_no_weight():
    inventory = bats(("night bat", "cave bat"), ("ball bat", "swing bat"))
    method = attention(inventory, gloss_weight=0.0)
    caves, balls = (scored(method, inventory, f"{word} bat") for word in ("cave", "ball"))
    np.testing.assert_allclose(caves, -balls, atol=2e-3)
    assert caves[0] > 0.5 > 0 > caves[1]


def test_the_length_of_the_context_vector_does_not_count_for_examples():
    inventory = bats(("night bat",), ("ball bat",))
    method = attention(inventory, gloss_weight=0.0)
    np.testing.assert_allclose(
        scored(method, inventory, "cave bat"), scored(method, inventory, "night bat"), atol=1e-6
    )


def test_parts_of_speech_share_their_regression_and_not_their_candidates():
    verb = Sense("bat.v", "bat", "VERB", "of clubs", (Example("swing bat", 6, 9),))
    inventory = Inventory("x", (*bats(("cave bat",), ("ball bat",)).senses, verb), "en")
    method = attention(inventory)
    context = context_of(NLP("cave bat"))
    noun = Target(0, 1, 2, "bat", inventory.candidates("bat", "NOUN"))
    every = Target(0, 1, 2, "bat", inventory.candidates("bat"))
    of_nouns, of_all = method.score(Texts([context]), [noun, every])
    assert len(of_nouns) == 2
    np.testing.assert_allclose(of_nouns, of_all[:2], rtol=1e-6)


def test_no_targets():
    assert attention(bats(())).score(Texts([]), []) == []


# -- with the toy encoder -----------------------------------------------------------------------


def test_a_batch_equals_its_texts_alone(toy_model, toy_inventory, toy_sense_model):
    inventory = load_inventory(toy_inventory, "en")
    encoder = HuggingFaceEncoder(EncoderSettings(str(toy_model), window=32, overlap=8))
    method = Attention(inventory, RESOURCES, encoder, encoder, SenseHead.load(toy_sense_model))
    texts = ["swing the bat", "the bat flew at night and the bank of the river", "bank"]
    contexts = [context_of(NLP(text)) for text in texts]
    targets = [t for i, c in enumerate(contexts) for t in find_targets(c, inventory, i)]
    assert len(targets) == 4
    together = method.score(Texts(contexts), targets)
    z = method.target_vectors(Texts(contexts), targets)
    assert z.shape == (4, 8)
    for target, scores, row in zip(targets, together, z, strict=True):
        here, alone = replace(target, context=0), Texts([contexts[target.context]])
        np.testing.assert_allclose(method.score(alone, [here])[0], scores, atol=1e-4)
        np.testing.assert_allclose(method.target_vectors(alone, [here])[0], row, atol=1e-4)


# -- prepared files ---------------------------------------------------------------------------

EXAMPLES = (("night bat",), ("ball bat", "swing bat"), ())


def prepare(folders, inventory=None, encoder=None, **changes):
    """What a method made with these folders scores, and what it asked of its encoder."""
    inventory = inventory or bats(*EXAMPLES)
    encoder = encoder or Words()
    method = attention(inventory, encoder, folders, **changes)
    asked = (encoder.n_encoded, encoder.n_embedded)
    return scored(method, inventory, "cave bat").tolist(), asked


def test_prepared_vectors_are_written_and_read_back(tmp_path):
    first = prepare([tmp_path / "new" / "cache"])
    again = prepare([tmp_path / "new" / "cache"])
    assert first[1] == (3, 3)
    assert again[1] == (0, 0)
    assert first[0] == again[0] == prepare([])[0]
    (file,) = (tmp_path / "new" / "cache").iterdir()
    assert file.name.startswith("senses-")


def test_the_first_folder_that_has_the_file_is_read_and_the_last_is_written(tmp_path):
    shipped, cache = tmp_path / "shipped", tmp_path / "cache"
    prepare([shipped])
    assert prepare([shipped, cache])[1] == (0, 0)
    assert not cache.exists()
    prepare([tmp_path / "none", cache])
    assert [f.name for f in cache.iterdir()] == [f.name for f in shipped.iterdir()]
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("content", [b"", b"garbage", None], ids=["empty", "garbage", "other"])
def test_a_damaged_file_is_computed_anew(tmp_path, content):
    expected = prepare([tmp_path])[0]
    (file,) = tmp_path.iterdir()
    if content is None:
        save_file({"weights": np.zeros(3)}, file)
    else:
        file.write_bytes(content)
    assert prepare([tmp_path]) == (expected, (3, 3))
    assert prepare([tmp_path]) == (expected, (0, 0))


def test_behind_a_damaged_file_the_next_folder_is_read(tmp_path):
    shipped, cache = tmp_path / "shipped", tmp_path / "cache"
    prepare([cache])
    shipped.mkdir()
    (shipped / next(cache.iterdir()).name).write_bytes(b"garbage")
    assert prepare([shipped, cache])[1] == (0, 0)


def test_a_folder_that_cannot_be_made_only_costs_time(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    with caplog.at_level(logging.INFO, "spacy_attn"):
        assert prepare([tmp_path / "file" / "cache"]) == prepare([])
    assert "prepared senses were not kept: " in caplog.text


def test_a_full_disk_leaves_nothing_behind(tmp_path, caplog, monkeypatch):
    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with caplog.at_level(logging.INFO, "spacy_attn"):
        assert prepare([tmp_path]) == prepare([])
    assert "prepared senses were not kept: [Errno 28] No space left on device" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_another_inventory_encoder_or_head_has_another_file(tmp_path):
    prepare([tmp_path])
    changes = [
        {"inventory": bats(("night bat",), ("ball bat",), ())},
        {"encoder": Words("other weights")},
        {"sha256": "1" * 64},
    ]
    for n, change in enumerate(changes, 2):
        assert prepare([tmp_path], **change)[1] != (0, 0)
        assert len(list(tmp_path.iterdir())) == n


# -- the trained model's file ------------------------------------------------------------------


def test_a_sense_model_is_read(toy_sense_model):
    loaded = SenseHead.load(toy_sense_model)
    rng = np.random.default_rng(0)
    for name in ("target", "context", "gloss"):
        np.testing.assert_allclose(getattr(loaded, name), rng.normal(size=(8, 16)), rtol=1e-6)
    assert (loaded.scale, loaded.context_radius) == (1.0, 5)
    assert (loaded.ridge, loaded.gloss_weight) == (1.0, 0.1)
    assert len(loaded.sha256) == 64


def broken_model(tmp_path, metadata):
    path = tmp_path / "senses.safetensors"
    arrays = {f"head.{n}": np.zeros((1, 1)) for n in ("target", "context", "gloss")}
    save_file({**arrays, "head.scale": np.zeros(1)}, path, metadata=metadata)
    return path


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        (None, "TypeError"),
        ({"other": "x"}, "KeyError"),
        ({"manifest": "{"}, "JSONDecodeError"),
        ({"manifest": json.dumps({"config": {"context_radius": 5}})}, "KeyError: 'few_shot'"),
        (
            {"manifest": json.dumps({"config": {"context_radius": "x"}, "few_shot": {}})},
            "ValueError: invalid literal",
        ),
    ],
)
def test_a_file_that_is_no_sense_model(tmp_path, metadata, reason):
    path = broken_model(tmp_path, metadata)
    with pytest.raises(ResourceError, match=rf"senses\.safetensors is no sense model \({reason}"):
        SenseHead.load(path)


def test_a_sense_model_that_is_damaged_or_not_there(tmp_path):
    (tmp_path / "damaged").write_bytes(b"garbage")
    for name in ("damaged", "missing"):
        with pytest.raises(ResourceError, match=f"{name} is no sense model .*reinstall with: pip"):
            SenseHead.load(tmp_path / name)


# -- sentences around ---------------------------------------------------------------------------


def test_in_doubt_the_sentences_around_count_too():
    inventory = bats(["cave cave bat", "cave night bat"], ["ball swing bat", "ball ball bat"])
    text = "There is the bat. The night was dark. A ball lay there."
    context = context_of(NLP(text))
    (target,) = find_targets(context, inventory)
    alone = attention(inventory, context_radius=6)
    wide = attention(inventory, context_radius=6)
    wide.widen_below = 1.1  # always
    (array,) = alone.encoder.encode([context.text], [context.offsets])
    (narrow,), (widened,) = (method.score(Texts([context]), [target]) for method in (alone, wide))
    # what follows within six tokens is "night", which is said of the animal
    assert widened[0] - widened[1] > narrow[0] - narrow[1]
    parts = occurrences([context], [array], [target], 6, across=True)
    np.testing.assert_allclose(widened, wide._scores(parts, [target])[0])


def test_a_sure_word_reads_its_own_sentence_alone():
    inventory = bats(["cave cave bat"], ["ball swing bat"])
    context = context_of(NLP("The cave bat. A ball."))
    (target,) = find_targets(context, inventory)
    method = attention(inventory, context_radius=6)
    method.widen_below = 0.0
    (array,) = method.encoder.encode([context.text], [context.offsets])
    before = method.encoder.n_encoded
    (obtained,) = method.score(Texts([context]), [target])
    parts = occurrences([context], [array], [target], 6)
    np.testing.assert_allclose(obtained, method._scores(parts, [target])[0])
    assert method.encoder.n_encoded == before + 1


def test_an_untrained_head_learns_from_examples_alone():
    same = SenseHead.untrained(2)
    inventory = bats(["cave cave bat"], ["ball swing bat"])
    encoder = Words()
    method = Attention(inventory, RESOURCES, encoder, encoder, same)
    assert method.head.gloss_weight == 0.0
    assert scored(method, inventory, "night bat").argmax() == 0
    parts = np.array([[3.0, 4.0, 9.0, 9.0]], dtype=np.float32)
    np.testing.assert_allclose(same.z(parts), [[0.6, 0.8]], rtol=1e-6)
