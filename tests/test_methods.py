"""The registry of sense methods: names, options, and what is refused."""

from __future__ import annotations

import inspect
import json
import pickle
import re
import sys
from functools import partial

import catalogue
import numpy as np
import pytest
import spacy
from spacy.util import registry

from spacy_attn.components.adapter import context_of, resources_of
from spacy_attn.errors import ConfigError, ResourceError
from spacy_attn.wsd.context import Target
from spacy_attn.wsd.engine import disambiguate
from spacy_attn.wsd.inventory import wordnet as lexicon
from spacy_attn.wsd.inventory.find import find_targets
from spacy_attn.wsd.inventory.jsonl import load_inventory
from spacy_attn.wsd.inventory.wordnet import WordNetInventory
from spacy_attn.wsd.method import encoder_of
from spacy_attn.wsd.methods import calibration, lesk
from spacy_attn.wsd.methods.attention import attention_v1
from spacy_attn.wsd.methods.first_sense import first_sense_v1
from spacy_attn.wsd.methods.lesk import lesk_v1
from spacy_attn.wsd.methods.random import random_v1
from spacy_attn.wsd.methods.registry import sense_method, short_names
from spacy_attn.wsd.methods.word2vec import word2vec_v1

NLP = spacy.blank("en")
LIGHT = ["random", "first_sense", "lesk", "lesk_extended"]


@pytest.fixture(scope="module")
def inventory(toy_inventory):
    return load_inventory(toy_inventory, "en")


class Last:
    """A user's method: always the last sense."""

    name = "last"
    temperature = 1.0
    encoder = None

    def prepare(self, inventory, resources):
        return self

    def score(self, contexts, targets):
        return [np.arange(len(t.candidates), dtype=np.float32) for t in targets]


@pytest.fixture
def last_v1(monkeypatch):
    # As registry.sense_methods.register does, and forgotten afterwards.
    monkeypatch.setitem(catalogue.REGISTRY, ("spacy_attn", "sense_methods", "toy.last.v1"), Last)
    return "toy.last.v1"


def decide(method, inventory, text):
    fitted = method.prepare(inventory, resources_of(NLP))
    contexts = [context_of(NLP(text))]
    targets = find_targets(contexts[0], inventory)
    return disambiguate(fitted, contexts, targets)


# -- names ------------------------------------------------------------------------------


@pytest.mark.parametrize("short", LIGHT)
def test_the_prepared_method_knows_it_too_and_decides(short, inventory):
    fitted = sense_method(short).prepare(inventory, resources_of(NLP))
    assert fitted.name == short
    assert encoder_of(fitted) is None
    (decision,) = decide(sense_method(short), inventory, "the bat flew at night")
    assert decision.sense.id in ("bat.animal", "bat.club")


def test_static_and_attention_on_the_toy_world(inventory, toy_vectors, toy_model, toy_sense_model):
    word2vec = word2vec_v1(vectors=str(toy_vectors))
    (decision,) = decide(word2vec, inventory, "the bat flew at night")
    assert len(decision.ranked) == 2
    attention = attention_v1(
        model=str(toy_model), sense_model=str(toy_sense_model), window=64, overlap=16
    )
    fitted = attention.prepare(inventory, resources_of(NLP))
    assert fitted.name == "attention"
    assert fitted.encoder.width == 16
    assert "/adapter@none" not in fitted.encoder.identity


def test_an_object_is_given_back_as_it_is():
    method = Last()
    assert sense_method(method) is method


def test_a_users_method_goes_by_its_registered_name(last_v1, inventory):
    (decision,) = decide(sense_method(last_v1), inventory, "the bat flew")
    assert decision.sense.id == "bat.club"
    with pytest.raises(ConfigError, match=r"attention, .*toy\.last\.v1, or \{"):
        sense_method("toy.first.v1")


@pytest.mark.parametrize("wrong", ["Lesk", "", "spacy_attn.lesk.v0", 3, None, object])
def test_what_is_no_method_is_refused(wrong):
    sentence = (
        f"method = {wrong!r}; allowed are random, first_sense, lesk, lesk_extended, tfidf, "
        "word2vec, self_attention, cascade, attention, ensemble, "
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(sentence)}"):
        sense_method(wrong)


@pytest.mark.parametrize(
    ("wrong", "end"),
    [
        ("leks", ", ...}; did you mean 'lesk'?"),
        ("spacy_attn.lesk.v0", ", ...}; did you mean 'spacy_attn.lesk.v1'?"),
        ("zzzzzz", ", ...}"),
        (
            "lesk, tfidf",
            ", ...}; give one of them: several are for --methods A,B of compare and senses",
        ),
    ],
)
def test_a_wrong_method_is_told_the_nearest_name(wrong, end):
    with pytest.raises(ConfigError, match=f"{re.escape(end)}$"):
        sense_method(wrong)


def test_a_block_that_names_no_method_is_told_how_to():
    with pytest.raises(ConfigError, match=r'^backoff = \{"x": 1\} has no "@sense_methods", which'):
        sense_method({"x": 1}, "backoff")


def test_the_error_names_the_setting():
    with pytest.raises(ConfigError, match=r"^backoff = 'x'; allowed are random"):
        sense_method("x", "backoff")


# -- options ----------------------------------------------------------------------------

TEMPERED = ["first_sense", "lesk", "lesk_extended", "word2vec", "self_attention", "attention"]


@pytest.mark.parametrize("short", TEMPERED)
@pytest.mark.parametrize("temperature", [0, -1.5, float("nan")])
def test_a_temperature_is_above_zero(short, temperature):
    sentence = f"^temperature = {temperature}; allowed is null or a number above 0$"
    with pytest.raises(ConfigError, match=sentence):
        registry.sense_methods.get(short_names()[short])(temperature=temperature)


@pytest.mark.parametrize("short", ["lesk", "lesk_extended", "word2vec"])
def test_a_window_holds_a_token(short):
    with pytest.raises(ConfigError, match=r"^window = 0; allowed is 1 or more tokens each side"):
        registry.sense_methods.get(short_names()[short])(window=0)


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ({"precision": "int3"}, "precision = 'int3'; allowed are float32, bfloat16"),
        ({"window": 8, "overlap": 8}, "overlap"),
        ({"batch_pieces": 0}, "batch_pieces = 0; allowed is 1 or more"),
    ],
)
def test_options_of_the_encoder_are_checked_before_a_model_is_loaded(option, sentence):
    with pytest.raises(ConfigError, match=sentence):
        attention_v1(model="nowhere", **option)


def test_the_window_reaches_the_method(inventory):
    text = "cave , , the bat"
    near, far = (decide(lesk_v1(window=w), inventory, text)[0] for w in (2, 4))
    assert near.score == 0.5
    assert far.score > 0.7


def test_the_seed_reaches_the_method(inventory):
    text = " ".join(["bat"] * 20)
    draws = {
        seed: [d.sense.id for d in decide(random_v1(seed), inventory, text)] for seed in (0, 1)
    }
    assert draws[0] != draws[1]


def test_a_given_temperature_is_taken_before_the_fitted_one(tmp_path, monkeypatch, inventory):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "calibration.json").write_text(
        json.dumps({"temperatures": {"lesk": 0.25}})
    )
    monkeypatch.setattr(calibration, "files", lambda package: tmp_path)
    resources = resources_of(NLP)
    assert lesk_v1().prepare(inventory, resources).temperature == 0.25
    assert lesk_v1(temperature=2.0).prepare(inventory, resources).temperature == 2.0
    assert first_sense_v1().prepare(inventory, resources).temperature == 1.0


# -- WordNet ------------------------------------------------------------------------------------


def on_wordnet(method, inventory):
    context = context_of(NLP("a flying bat"))
    target = Target(0, 2, 3, "bat", inventory.candidates("bat", "NOUN"))
    (decision,) = disambiguate(method.prepare(inventory, resources_of(NLP)), [context], [target])
    return decision.sense.id


@pytest.mark.parametrize("short", [*LIGHT, "word2vec"])
def test_classic_methods_decide_the_senses_of_wordnet(short, toy_lexicon, toy_wordnet, toy_vectors):
    method = word2vec_v1(str(toy_vectors)) if short == "word2vec" else sense_method(short)
    inventory = WordNetInventory(toy_lexicon, toy_wordnet)
    legal = ["bat%1:05:00::", "bat%1:06:00::"]
    assert on_wordnet(method, inventory) in (legal if short == "random" else legal[:1])


def test_only_methods_that_read_definitions_need_the_users_wordnet(
    toy_lexicon, toy_vectors, monkeypatch
):
    monkeypatch.setattr(lexicon, "find_wordnet", lambda: None)
    inventory = WordNetInventory(toy_lexicon)
    for short in ("random", "first_sense"):
        assert on_wordnet(sense_method(short), inventory).startswith("bat%1:0")
    word2vec = word2vec_v1(str(toy_vectors))
    for method in (sense_method("lesk"), sense_method("lesk_extended"), word2vec):
        sentence = f"^the method {method.name} reads .* apt-get install wordnet-base"
        with pytest.raises(ResourceError, match=sentence):
            on_wordnet(method, inventory)


# -- missing parts ------------------------------------------------------------------------------


def test_a_missing_package_is_one_sentence(monkeypatch, inventory):
    monkeypatch.setitem(sys.modules, "nltk.stem.porter", None)
    lesk._stemmer.cache_clear()
    with pytest.raises(
        ResourceError, match=r"^the method lesk needs nltk, .*run: pip install nltk$"
    ):
        sense_method("lesk").prepare(inventory, resources_of(NLP))


def test_a_missing_sense_model_is_one_sentence(inventory, toy_model, tmp_path):
    method = attention_v1(model=str(toy_model), sense_model=str(tmp_path / "none"))
    with pytest.raises(ResourceError, match="none"):
        method.prepare(inventory, resources_of(NLP))


def test_a_missing_encoder_is_one_sentence(inventory, toy_sense_model):
    method = attention_v1(model="nowhere/at-all", sense_model=str(toy_sense_model))
    with pytest.raises(ResourceError, match="nowhere/at-all"):
        method.prepare(inventory, resources_of(NLP))


# -- processes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("short", short_names())
def test_a_method_can_be_sent_to_another_process(short):
    method = sense_method(short)
    _same(pickle.loads(pickle.dumps(method)), method)  # noqa: S301 - our own bytes


def _same(received, method):
    assert received.name == method.name
    if not isinstance(method.make, partial):  # of a method without arguments
        assert received.make is method.make
        return
    assert received.make.func is method.make.func
    assert received.make.keywords.keys() == method.make.keywords.keys()
    for key, value in method.make.keywords.items():
        if hasattr(value, "make"):  # the two methods of a cascade
            _same(received.make.keywords[key], value)
        elif isinstance(value, tuple):  # the methods of an ensemble
            for pair in zip(received.make.keywords[key], value, strict=True):
                _same(*pair)
        else:
            assert received.make.keywords[key] == value


@pytest.mark.parametrize("short", short_names())
def test_every_option_has_a_default(short):
    factory = registry.sense_methods.get(short_names()[short])
    parameters = inspect.signature(factory).parameters.values()
    assert all(p.default is not inspect.Parameter.empty for p in parameters)
