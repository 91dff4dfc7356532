"""The ``sense_disambiguator`` component on the toy world."""

from __future__ import annotations

import json
import logging
import pickle
import shutil
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import catalogue
import numpy as np
import pytest
import spacy
from spacy.cli.evaluate import evaluate
from spacy.tokens import Doc, DocBin, Span, SpanGroup
from spacy.tokens.underscore import Underscore
from spacy.training import Example

from spacy_attn import install_extensions
from spacy_attn.components.adapter import context_of, contexts_of
from spacy_attn.components.sense_disambiguator import DEFAULTS, SenseDisambiguator
from spacy_attn.encoder import huggingface
from spacy_attn.encoder.huggingface import HuggingFaceEncoder
from spacy_attn.errors import ConfigError, InventoryError, ResourceError
from spacy_attn.wsd.annotation import SenseAnnotation
from spacy_attn.wsd.context import Context
from spacy_attn.wsd.inventory.find import find_targets
from spacy_attn.wsd.inventory.wordnet import wordnet_inventory
from spacy_attn.wsd.methods import calibration
from spacy_attn.wsd.methods.lesk import lesk_v1
from spacy_attn.wsd.sense import Sense
from tests.wsd.decided import decide

TEXTS = [
    "he hit the ball with the bat",  # lesk: club 2, animal 0
    "the bat flew at night",  # lesk: animal 1, club 0
    "nothing of it here",
    "",
    "money in the bank of the river",  # lesk: 1 and 1, so the first: money
]
LESK = ["bat.club", "bat.animal", None, None, "bank.money"]


@pytest.fixture(autouse=True)
def _own_extensions(monkeypatch):
    """Extension attributes are global; each test starts without any."""
    for owner in ("doc", "span", "token"):
        monkeypatch.setattr(Underscore, f"{owner}_extensions", {})


@pytest.fixture(autouse=True)
def _temperature_of_one(monkeypatch):
    """The fitted temperatures are those of the bundled inventory."""
    monkeypatch.setattr(calibration, "_fitted", lambda folder: {})


@pytest.fixture
def make(toy_inventory):
    """A blank English pipeline with the component, lesk on the toy inventory by default."""

    def make(nlp=None, name="sense_disambiguator", **config):
        nlp = nlp or spacy.blank("en")
        config = {"inventory": str(toy_inventory), "method": "lesk", **config}
        nlp.add_pipe("sense_disambiguator", name=name, config=config)
        return nlp

    return make


@pytest.fixture
def attention(toy_model, toy_sense_model):
    """The attention method on the toy encoder, as it stands in a config."""
    return {
        "@sense_methods": "spacy_attn.attention.v1",
        "model": str(toy_model),
        "sense_model": str(toy_sense_model),
        "window": 64,
        "overlap": 16,
    }


@pytest.fixture
def encoder_config(toy_model, toy_sense_model):
    """An ``attention_encoder`` whose vectors are those of ``attention``."""
    return {
        "model": str(toy_model),
        "adapter": str(toy_sense_model),
        "window": 64,
        "overlap": 16,
    }


@pytest.fixture
def passes(monkeypatch):
    """The texts of each call of an encoder."""
    calls = []
    encode = HuggingFaceEncoder.encode

    def spy(self, texts, offsets, reads=None):
        calls.append(list(texts))
        return encode(self, texts, offsets, reads)

    monkeypatch.setattr(HuggingFaceEncoder, "encode", spy)
    return calls


def ids(doc, attr="sense"):
    """The sense of the one word of a text, or None."""
    found = {t._.get(attr).id for t in doc if t._.get(attr) is not None}
    assert len(found) <= 1
    return found.pop() if found else None


def write_inventory(path, *senses):
    path.write_text("".join(json.dumps(sense) + "\n" for sense in senses), encoding="utf-8")
    return str(path)


# -- what is written ---------------------------------------------------------------------------


def test_tokens_and_spans_carry_their_sense(make):
    doc = make()(TEXTS[0])
    (span,) = doc.spans["senses"]
    assert (span.text, span.label_, span.kb_id_) == ("bat", "noun.artifact", "bat.club")
    p = 1 / (1 + np.exp(-2.0))
    sense = doc[6]._.sense
    assert sense == span._.sense
    assert sense == SenseAnnotation(
        id="bat.club",
        lemma="bat",
        definition="a club to hit the ball with",
        score=pytest.approx(p),
        margin=pytest.approx(2 * p - 1),
        ranked=(("bat.club", pytest.approx(p)), ("bat.animal", pytest.approx(1 - p))),
        method="lesk",
    )
    assert doc.spans["senses"].attrs["scores"] == [pytest.approx(p)]
    assert doc[0]._.sense is None
    assert doc[0:2]._.sense is None


def test_several_words_stand_in_the_order_of_the_text(make):
    doc = make()("the bank, the bat and the bats: BANK")
    assert [span.text for span in doc.spans["senses"]] == ["bank", "bat", "bats", "BANK"]
    assert len(doc.spans["senses"].attrs["scores"]) == 4
    assert [token.text for token in doc if token._.sense] == ["bank", "bat", "bats", "BANK"]


def test_a_text_without_a_word_has_an_empty_group(make):
    for text in ("", " \n", "nothing of it here"):
        doc = make()(text)
        assert list(doc.spans["senses"]) == []
        assert all(token._.sense is None for token in doc)


def test_running_again_does_not_write_twice(make):
    nlp = make()
    doc = nlp(nlp(TEXTS[0]))
    assert len(doc.spans["senses"]) == 1


def test_a_batch_equals_its_texts_alone(make):
    nlp = make()
    assert [ids(doc) for doc in nlp.pipe(TEXTS)] == LESK
    assert [ids(nlp(text)) for text in TEXTS] == LESK
    assert [ids(doc) for doc in nlp.pipe(TEXTS, batch_size=2)] == LESK
    assert list(nlp.pipe([])) == []


def test_the_same_doc_twice_in_a_batch_has_its_senses_once(make):
    nlp = make()
    doc, other = nlp.make_doc(TEXTS[0]), nlp.make_doc(TEXTS[1])
    list(nlp.get_pipe("sense_disambiguator").pipe([doc, doc, other, doc]))
    assert [span.text for span in doc.spans["senses"]] == ["bat"]
    assert (ids(doc), ids(other)) == ("bat.club", "bat.animal")


def test_all_tokens_of_a_multi_word_lemma_have_its_sense(make, tmp_path):
    word = {"pos": "NOUN", "definition": "x"}
    inventory = write_inventory(
        tmp_path / "spots.jsonl",
        {**word, "lemma": "hot spot", "sense": "hot_spot.1"},
        {**word, "lemma": "spot", "sense": "spot.1"},
    )
    doc = make(inventory=inventory, method="first_sense")("Two hot spots and a spot")
    assert [token._.sense and token._.sense.id for token in doc] == [
        None,
        "hot_spot.1",
        "hot_spot.1",
        None,
        None,
        "spot.1",
    ]
    assert doc[1:3]._.sense.id == "hot_spot.1"
    assert doc[2:3]._.sense is None
    assert doc.spans["senses"][0].label_ == ""  # no supersense in this inventory


def test_of_overlapping_spans_the_longest_wins(make):
    doc = make(method="first_sense")("the bat")
    (short,) = doc.spans["senses"].attrs["records"]
    longer = {**short, "start": 0, "sense": "the_bat"}
    doc.spans["senses"].append(Span(doc, 0, 2, kb_id="the_bat"))
    for order in ([short, longer], [longer, short]):
        doc.spans["senses"].attrs["records"] = order
        assert doc[1]._.sense.id == "the_bat"
    assert doc[1:2]._.sense.id == "bat.animal"


def test_nothing_but_the_group_is_written(make):
    doc = make()(TEXTS[0])
    assert doc.user_data == {}
    assert doc.tensor.size == 0
    assert list(doc.spans) == ["senses"]


def test_the_part_of_speech_of_the_pipeline_is_used(make, tmp_path):
    word = {"lemma": "bat", "definition": "x"}
    inventory = write_inventory(
        tmp_path / "bat.jsonl",
        {**word, "pos": "NOUN", "sense": "noun"},
        {**word, "pos": "VERB", "sense": "verb"},
    )
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("attribute_ruler")
    ruler.add([[{"LOWER": "bat"}]], {"POS": "VERB", "LEMMA": "bat"})
    make(nlp, inventory=inventory, method="first_sense")
    assert ids(nlp("they bat")) == "verb"
    nlp.disable_pipe("attribute_ruler")
    assert ids(nlp("they bat")) == "noun"


@pytest.mark.parametrize("method", ["lesk", "first_sense", "random"])
def test_batches_hold_what_is_computed_word_by_word(make, method):
    nlp = make(method=method)
    texts = [*TEXTS, "the bank, the bat\nand the bats: BANK", "Bänke und bats", " ", TEXTS[0]]
    component = nlp.get_pipe("sense_disambiguator")
    fitted = component.prepared()
    for doc in nlp.pipe(texts):
        context = context_token_by_token(doc)
        expected = []
        for target in find_targets(context, component.inventory):
            (scores,) = fitted.score([context], [target])
            decision = decide(target, scores, fitted.temperature)
            expected.append(
                {
                    "start": context.offsets[target.start][0],
                    "end": context.offsets[target.end - 1][1],
                    "sense": decision.sense.id,
                    "lemma": decision.sense.lemma,
                    "definition": decision.sense.definition,
                    "score": decision.score,
                    "margin": decision.margin,
                    "ranked": list(decision.ids),
                    "probabilities": list(decision.probabilities),
                    "method": method,
                }
            )
        group = doc.spans["senses"]
        assert group.attrs["records"] == expected
        assert group.attrs["scores"] == [record["score"] for record in expected]
        assert [(s.start_char, s.end_char, s.kb_id_) for s in group] == [
            (record["start"], record["end"], record["sense"]) for record in expected
        ]


def context_token_by_token(doc):
    return Context(
        text=doc.text,
        tokens=[token.text for token in doc],
        offsets=[(token.idx, token.idx + len(token)) for token in doc],
        lemmas=[token.lemma_.lower() for token in doc],
        tags=[token.pos_ for token in doc],
        fine_tags=[token.tag_ for token in doc] if any(token.tag_ for token in doc) else (),
        deps=[token.dep_ for token in doc] if doc.has_annotation("DEP") else (),
        heads=[token.head.i for token in doc] if doc.has_annotation("DEP") else (),
        entities=[token.ent_type_ for token in doc] if doc.has_annotation("ENT_IOB") else (),
    )


def test_contexts_are_those_of_the_tokens():
    nlp = spacy.blank("en")
    texts = ["", " ", "One ONE one", "naïve\n\ncafés 東京 👩‍🚀!", "a b c"]
    docs = [nlp.make_doc(text) for text in texts]
    for token in docs[2]:
        token.lemma_, token.pos_ = "One", "PROPN"
    with docs[4].retokenize() as retokenizer:
        retokenizer.merge(docs[4][0:2])
    other = spacy.blank("en").make_doc("another vocabulary's words")
    docs[2:2] = [other, Doc(nlp.vocab), Doc(nlp.vocab, words=["X"], pos=["X"], lemmas=["Y"])]
    assert list(contexts_of(docs)) == [context_token_by_token(doc) for doc in docs]
    assert context_of(other) == context_token_by_token(other)


# -- threshold and back-off ----------------------------------------------------------------------


def test_below_the_threshold_a_word_has_no_sense(make):
    nlp = make(threshold=0.8)  # lesk: 0.88, 0.73, tie
    assert [ids(doc) for doc in nlp.pipe(TEXTS)] == ["bat.club", None, None, None, None]
    assert len(nlp(TEXTS[1]).spans["senses"]) == 0


def test_a_component_prints_as_one_line(make, toy_inventory):
    shown = repr(make().get_pipe("sense_disambiguator"))
    assert shown == f"SenseDisambiguator(inventory={toy_inventory.name!r}, method='lesk')"
    shown = repr(make(threshold=0.8, backoff="random").get_pipe("sense_disambiguator"))
    assert shown.endswith("method='lesk', backoff='random')")


def test_the_backoff_decides_then(make):
    nlp = make(threshold=0.8, backoff="first_sense")
    docs = list(nlp.pipe([*TEXTS, "swing the bat by the bank"]))
    assert [ids(doc) for doc in docs[:5]] == LESK
    decided_by = [[s._.sense.method for s in doc.spans["senses"]] for doc in docs]
    assert decided_by == [
        ["lesk"],
        ["first_sense"],
        [],
        [],
        ["first_sense"],
        ["first_sense", "first_sense"],
    ]
    assert [span.text for span in docs[5].spans["senses"]] == ["bat", "bank"]


def test_a_backoff_that_needs_vectors_gets_them_for_the_unsure_texts_alone(make, attention, passes):
    nlp = make(threshold=0.8, backoff=attention)
    nlp.get_pipe("sense_disambiguator").prepared("backoff")
    passes.clear()
    docs = list(nlp.pipe(TEXTS))
    assert passes == [[TEXTS[1], TEXTS[4]]]
    alone = make(method=attention, attr="other", spans_key="others")
    for doc, text in zip(docs, TEXTS, strict=True):
        sense = next((t._.sense for t in doc if t._.sense), None)
        assert sense is None or sense.method == ("lesk" if text == TEXTS[0] else "attention")
        if text in (TEXTS[1], TEXTS[4]):
            assert ids(doc) == ids(alone(text), "other")


def test_vectors_of_the_backoff_are_reported_too(make, attention, caplog):
    with caplog.at_level(logging.INFO, "spacy_attn"):
        list(make(threshold=0.8, backoff=attention).pipe(TEXTS))
    assert "sense_disambiguator: own encoder pass over 2 texts (" in caplog.text


def test_a_threshold_of_one_is_legal(make):
    assert [ids(doc) for doc in make(threshold=1.0).pipe(TEXTS)] == [None] * 5


# -- the encoder ---------------------------------------------------------------------------------


def test_texts_without_a_word_never_touch_the_encoder(make, attention, passes):
    nlp = make(method=attention)
    list(nlp.pipe([TEXTS[2], TEXTS[3]]))
    assert passes == []
    nlp.get_pipe("sense_disambiguator").prepared()
    passes.clear()
    list(nlp.pipe(TEXTS))
    assert passes == [[TEXTS[0], TEXTS[1], TEXTS[4]]]


@pytest.fixture
def with_a_cave(tmp_path, toy_inventory):
    """The toy inventory and a word with one sense."""
    cave = {"lemma": "cave", "pos": "NOUN", "sense": "cave.1", "definition": "a hole in a hill"}
    own = Path(toy_inventory).read_text(encoding="utf-8")
    (tmp_path / "cave.jsonl").write_text(own + json.dumps(cave) + "\n", encoding="utf-8")
    return str(tmp_path / "cave.jsonl")


def test_texts_whose_words_have_one_sense_never_touch_the_encoder(
    make, attention, passes, with_a_cave, caplog
):
    nlp = make(method=attention, inventory=with_a_cave)
    nlp.get_pipe("sense_disambiguator").prepared()
    passes.clear()
    with caplog.at_level(logging.DEBUG, "spacy_attn"):
        doc = nlp("in the cave")
    assert (passes, caplog.text) == ([], "")
    sense = doc[2]._.sense
    assert (sense.id, sense.score, sense.margin, sense.ranked, sense.method) == (
        "cave.1",
        1.0,
        1.0,
        (("cave.1", 1.0),),
        "attention",
    )
    docs = list(nlp.pipe(["a cave of the river", "the bat in a cave", "nothing"]))
    assert passes == [["the bat in a cave"]]
    assert [[span.text for span in doc.spans["senses"]] for doc in docs] == [
        ["cave"],
        ["bat", "cave"],
        [],
    ]
    alone = make(method=attention, attr="x", spans_key="x")("the bat in a cave")
    assert docs[1][1]._.sense.ranked == alone[1]._.x.ranked


def test_a_missing_model_matters_at_the_first_word(make, toy_sense_model):
    method = {
        "@sense_methods": "spacy_attn.attention.v1",
        "model": "nowhere/at-all",
        "sense_model": str(toy_sense_model),
    }
    nlp = make(method=method)
    assert ids(nlp("nothing of it here")) is None
    with pytest.raises(ResourceError, match="nowhere/at-all"):
        nlp("the bat")


def test_vectors_of_the_same_identity_are_used_again(
    make, attention, encoder_config, passes, caplog
):
    nlp = spacy.blank("en")
    nlp.add_pipe("attention_encoder", config=encoder_config)
    make(nlp, method=attention)
    nlp.get_pipe("sense_disambiguator").prepared()
    passes.clear()
    with caplog.at_level(logging.INFO, "spacy_attn"):
        docs = list(nlp.pipe(TEXTS))
    assert passes == [TEXTS]  # the encoder's own pass and no other
    identity = docs[0]._.attn_model
    assert f"sense_disambiguator: reuses doc._.attn_vectors of 3 texts ({identity})" in caplog.text
    assert "own encoder pass" not in caplog.text
    alone = make(method=attention, attr="other", spans_key="others")
    for doc, text in zip(docs, TEXTS, strict=True):
        expected = [(t._.other.id, t._.other.score) for t in alone(text) if t._.other]
        obtained = [(t._.sense.id, t._.sense.score) for t in doc if t._.sense]
        assert [i for i, _ in obtained] == [i for i, _ in expected]
        np.testing.assert_allclose([s for _, s in obtained], [s for _, s in expected], atol=1e-4)


@pytest.mark.parametrize("change", [{"adapter": None}, {"layers": [1]}])
def test_vectors_of_another_identity_are_not(
    make, attention, encoder_config, passes, caplog, change
):
    nlp = spacy.blank("en")
    nlp.add_pipe("attention_encoder", config={**encoder_config, **change})
    make(nlp, method=attention)
    nlp.get_pipe("sense_disambiguator").prepared()
    passes.clear()
    with caplog.at_level(logging.INFO, "spacy_attn"):
        (doc,) = nlp.pipe(TEXTS[:1])
    assert passes == [TEXTS[:1], TEXTS[:1]]
    assert "sense_disambiguator: own encoder pass over 1 text (" in caplog.text
    assert "reuses" not in caplog.text
    assert ids(doc) == ids(make(method=attention)(TEXTS[0]))


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({"adapter": None}, ["adapter = '{path}'", "strength = 0.75", "unit = 'passage'"]),
        ({"strength": 0.5}, ["strength = 0.75"]),
        ({"layers": [1], "unit": "document"}, ["layers = [2]", "unit = 'passage'"]),
    ],
)
@pytest.mark.parametrize("role", ["method", "backoff"])
def test_a_warning_says_which_settings_would_share_the_vectors(
    make, attention, encoder_config, toy_sense_model, caplog, passes, change, advice, role
):
    def run(**settings):
        nlp = spacy.blank("en")
        nlp.add_pipe("attention_encoder", config={**encoder_config, **settings})
        make(nlp, threshold=0.9, **{role: attention})
        caplog.clear()
        for text in (TEXTS[1], TEXTS[4], TEXTS[1]):
            nlp(text)
        return [r.message for r in caplog.records if r.levelno == logging.WARNING]

    (message,) = run(**change)  # once, not for each text
    changes = ", ".join(advice).format(path=toy_sense_model)
    assert message == (
        "sense_disambiguator encodes texts again: doc._.attn_vectors was made with other "
        f"settings; to encode them once, give attention_encoder {changes}"
    )
    assert run() == []  # with its advice all is well


def test_a_warning_needs_no_model_of_a_backoff_that_is_not_asked(
    make, attention, encoder_config, caplog
):
    nlp = spacy.blank("en")
    nlp.add_pipe("attention_encoder", config={**encoder_config, "strength": 0.5})
    make(nlp, method=attention, backoff={**attention, "sense_model": "nowhere.safetensors"})
    nlp(TEXTS[0])
    assert "give attention_encoder strength = 0.75" in caplog.text


def test_a_warning_says_which_name_is_wrong(make, attention, encoder_config, caplog):
    nlp = spacy.blank("en")
    nlp.add_pipe("attention_encoder", config={**encoder_config, "attr": "v", "token_attr": "tv"})
    make(nlp, method=attention)
    nlp(TEXTS[0])
    assert (
        "sense_disambiguator encodes texts again: no component writes doc._.attn_vectors; give "
        "sense_disambiguator as vectors_attr the attr of attention_encoder"
    ) in caplog.text


def test_no_warning_where_no_attention_encoder_could_help(make, encoder_config, caplog):
    nlp = spacy.blank("en")
    nlp.add_pipe("attention_encoder", config=encoder_config)
    make(nlp, method="self_attention")
    nlp(TEXTS[0])
    assert "encodes texts again" not in caplog.text


def test_vectors_under_another_name_are_found_by_config(make, attention, encoder_config, passes):
    names = {"attr": "v", "token_attr": "tv", "model_attr": "m"}
    nlp = spacy.blank("en")
    nlp.add_pipe("attention_encoder", config={**encoder_config, **names})
    make(nlp, method=attention, vectors_attr="v", model_attr="m")
    nlp.get_pipe("sense_disambiguator").prepared()
    passes.clear()
    nlp(TEXTS[0])
    assert passes == [TEXTS[:1]]


def test_vectors_of_other_tokens_are_not_used(make, attention, encoder_config, passes):
    nlp = spacy.blank("en")
    nlp.add_pipe("attention_encoder", config=encoder_config)
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "X", "pattern": "the ball"}])
    nlp.add_pipe("merge_entities")
    make(nlp, method=attention)
    nlp.get_pipe("sense_disambiguator").prepared()
    passes.clear()
    assert ids(nlp(TEXTS[0])) is not None
    assert passes == [TEXTS[:1], TEXTS[:1]]


def test_after_the_first_line_the_log_is_for_debugging(make, attention, caplog):
    nlp = make(method=attention)
    with caplog.at_level(logging.DEBUG, "spacy_attn"):
        nlp(TEXTS[0])
        nlp(TEXTS[1])
    levels = [r.levelno for r in caplog.records if "own encoder pass" in r.message]
    assert levels == [logging.INFO, logging.DEBUG]


def test_a_german_inventory(tmp_path, attention):
    word = {"lemma": "Bank", "pos": "NOUN", "forms": ["Banken", "Bänke", "Bänken"]}

    def example(text):
        return {"text": text, "start": text.index("Bank"), "end": text.index("Bank") + 4}

    inventory = write_inventory(
        tmp_path / "de.jsonl",
        {
            **word,
            "sense": "bank.geld",
            "definition": "ein Haus, das Geld verleiht",
            "examples": [example("Die Bank verleiht Geld."), example("Geld liegt auf der Bank.")],
        },
        {
            **word,
            "sense": "bank.sitz",
            "definition": "ein Möbel für mehrere Menschen",
            "examples": [example("Sie sitzen auf einer Bank."), example("Die Bank ist aus Holz.")],
        },
    )
    nlp = spacy.blank("de")
    nlp.add_pipe("sense_disambiguator", config={"inventory": inventory, "method": attention})
    doc = nlp("Im Park standen grüne Bänke, und die Bank war zu.")
    assert [span.text for span in doc.spans["senses"]] == ["Bänke", "Bank"]
    senses = [span._.sense for span in doc.spans["senses"]]
    assert {sense.lemma for sense in senses} == {"bank"}
    assert {len(sense.ranked) for sense in senses} == {2}
    # Few-shot from random weights: at least the examples themselves come out right.
    assert ids(nlp("Die Bank verleiht Geld.")) == "bank.geld"
    assert ids(nlp("Sie sitzen auf einer Bank.")) == "bank.sitz"


# -- methods of users ------------------------------------------------------------------------------


class ByLength:
    """Log-score: length of the definition, up to a limit."""

    name = "by_length"
    temperature = 1.0
    encoder = None

    def __init__(self, limit=1000):
        self.limit = limit

    def prepare(self, inventory, resources):
        assert all(isinstance(sense, Sense) for sense in inventory.senses)
        assert resources.tokenize("two words").tokens == ["two", "words"]
        return self

    def score(self, contexts, targets):
        return [
            np.array([min(len(s.definition), self.limit) for s in t.candidates], dtype=np.float32)
            for t in targets
        ]


def by_length_v1(limit: int = 1000) -> ByLength:
    return ByLength(limit)


@pytest.fixture
def by_length(monkeypatch):
    # As registry.sense_methods.register does, and forgotten afterwards.
    name = "toy.by_length.v1"
    monkeypatch.setitem(catalogue.REGISTRY, ("spacy_attn", "sense_methods", name), by_length_v1)
    return name


def test_a_registered_method_by_name_and_with_arguments(make, by_length):
    doc = make(method=by_length)(TEXTS[0])
    assert (doc[6]._.sense.id, doc[6]._.sense.method) == ("bat.animal", "by_length")
    nlp = make(method={"@sense_methods": by_length, "limit": 3}, attr="b", spans_key="bs")
    assert nlp(TEXTS[0])[6]._.b.score == 0.5
    with pytest.raises(Exception, match="unexpected argument: 'limits'"):
        make(method={"@sense_methods": by_length, "limits": 3}, attr="c", spans_key="cs")


def test_a_method_is_asked_about_ambiguous_words_alone(make, monkeypatch, with_a_cave):
    asked = []

    class Spy(ByLength):
        def score(self, contexts, targets):
            asked.extend(target.lemma for target in targets)
            return super().score(contexts, targets)

    name = ("spacy_attn", "sense_methods", "toy.spy.v1")
    monkeypatch.setitem(catalogue.REGISTRY, name, Spy)
    nlp = make(method="toy.spy.v1", inventory=with_a_cave)
    doc = nlp("the bat in the cave")
    assert asked == ["bat"]
    assert [span.kb_id_ for span in doc.spans["senses"]] == ["bat.animal", "cave.1"]


class Wrong(ByLength):
    name = "wrong"

    def __init__(self, answer):
        self.answer = answer

    def score(self, contexts, targets):
        return self.answer


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ([], "the method 'wrong' scored 0 of 1 targets"),
        ([np.zeros(3)], r"the method 'wrong' gave array\(.*\) for 'bat'; it must give one number"),
        ([np.array([0, np.nan])], r"the method 'wrong' gave array\(\[ 0., nan\]\) for 'bat'"),
        ([np.array([0, np.inf])], r"the method 'wrong' gave array\(\[ 0., inf\]\) for 'bat'"),
        ([np.full(2, -np.inf)], r"the method 'wrong' gave array\(\[-inf, -inf\]\) for 'bat'"),
        ([["a", "b"]], r"the method 'wrong' gave array\(\['a', 'b'\], .*\) for 'bat'"),
    ],
)
def test_an_answer_that_does_not_fit_is_refused(make, monkeypatch, answer, sentence):
    name = ("spacy_attn", "sense_methods", "toy.wrong.v1")
    monkeypatch.setitem(catalogue.REGISTRY, name, lambda: Wrong(answer))
    nlp = make(method="toy.wrong.v1")
    with pytest.raises(ConfigError, match=sentence):
        nlp(TEXTS[0])


@pytest.mark.parametrize("answer", [[[1, 2]], [(1.0, 2.0)], [np.arange(1, 3)], [[-np.inf, 0]]])
def test_an_answer_may_be_a_list_and_rule_a_sense_out(make, monkeypatch, answer):
    name = ("spacy_attn", "sense_methods", "toy.wrong.v1")
    monkeypatch.setitem(catalogue.REGISTRY, name, lambda: Wrong(answer))
    p = 1 / (1 + np.exp(answer[0][0] - answer[0][1]))
    sense = make(method="toy.wrong.v1")(TEXTS[0])[6]._.sense
    assert (sense.id, sense.score) == ("bat.club", pytest.approx(p))


# -- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", [-0.1, 1.5])
def test_the_threshold_is_a_probability(make, threshold):
    with pytest.raises(ConfigError, match=f"^threshold = {threshold}; allowed is a probability"):
        make(threshold=threshold)


@pytest.mark.parametrize("setting", ["method", "backoff"])
@pytest.mark.parametrize("value", ["no_method", 3, {"x": 1}])
def test_an_unknown_method(make, setting, value):
    with pytest.raises(
        ConfigError, match=rf"^{setting} = .*; allowed are random, first_sense, lesk"
    ):
        make(**{setting: value})


def test_an_unknown_option(make):
    with pytest.raises(Exception, match="unexpected argument: 'treshold'"):
        make(treshold=0.5)


def test_a_missing_or_broken_inventory(make, tmp_path):
    with pytest.raises(ConfigError, match=r"^inventory = 'none\.jsonl': allowed are homographs"):
        make(inventory="none.jsonl")
    path = write_inventory(tmp_path / "broken.jsonl", {"lemma": "bat"})
    with pytest.raises(InventoryError, match=r"broken\.jsonl, line 1, field 'sense': must be"):
        make(inventory=path)


def test_a_name_that_is_no_attribute(make):
    with pytest.raises(ConfigError, match=r"^attr = 'my sense' cannot be an attribute name"):
        make(attr="my sense")


def test_a_name_that_others_use(make):
    Doc.set_extension("unrelated", default=1)
    spacy.tokens.Token.set_extension("sense", default=1)
    with pytest.raises(ConfigError, match=r"^Token\._\.sense already exists .*attr = '\.\.\.'"):
        make()


# -- two instances -------------------------------------------------------------------------------


def test_two_instances_side_by_side(make):
    nlp = make()
    make(nlp, "second", method="first_sense", attr="first", spans_key="firsts")
    doc = nlp(TEXTS[0])
    assert (ids(doc), ids(doc, "first")) == ("bat.club", "bat.animal")
    assert doc.spans["senses"][0]._.sense.method == "lesk"
    assert doc.spans["firsts"][0]._.first.method == "first_sense"
    assert doc.spans["senses"][0]._.first.id == "bat.animal"  # the same characters


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (
            {},
            r"'second' would write doc\.spans\['senses'\], which 'sense_disambiguator' of .*"
            r"spans_key = '\.\.\.'",
        ),
        ({"attr": "other"}, r"'second' would write doc\.spans\['senses'\], which 'sense_dis"),
        (
            {"spans_key": "other"},
            r"'second' would write token\._\.sense, which 'sense_disambiguator"
            r"' of this pipeline writes; .*attr = '\.\.\.' in its config$",
        ),
    ],
)
def test_two_instances_cannot_write_one_name(make, config, sentence):
    nlp = make()
    with pytest.raises(ConfigError, match=f"^{sentence}"):
        make(nlp, "second", **config)
    assert nlp.pipe_names == ["sense_disambiguator"]


def test_a_disabled_component_keeps_its_names(make):
    nlp = make()
    nlp.disable_pipe("sense_disambiguator")
    with pytest.raises(ConfigError, match=r"^'second' would write doc\.spans\['senses'\]"):
        make(nlp, "second")


def test_a_removed_or_replaced_component_gives_its_names_back(make):
    nlp = make()
    nlp.remove_pipe("sense_disambiguator")
    make(nlp, "second")
    config = {**nlp.get_pipe("second").config, "method": "first_sense"}
    nlp.replace_pipe("second", "sense_disambiguator", config=config)
    assert ids(nlp(TEXTS[0])) == "bat.animal"


def test_a_span_group_of_another_factory_is_refused(make):
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("span_ruler", config={"spans_key": "senses"})
    ruler.add_patterns([{"label": "X", "pattern": "the ball"}])
    with pytest.raises(ConfigError, match=r"doc\.spans\['senses'\], which 'span_ruler' of this"):
        make(nlp)
    make(nlp, spans_key="word_senses")
    assert ids(nlp(TEXTS[0])) == "bat.club"


# -- storage -------------------------------------------------------------------------------------


def everything(doc):
    """All that is to be read of a Doc's senses."""
    return [
        (s.text, s.label_, s.kb_id_, s._.sense, [t._.sense for t in s]) for s in doc.spans["senses"]
    ]


def test_bytes_and_docbin(make):
    nlp = make()
    docs = list(nlp.pipe(TEXTS))
    expected = [everything(doc) for doc in docs]
    scores = [doc.spans["senses"].attrs["scores"] for doc in docs]
    packed = DocBin(docs=docs, store_user_data=True).to_bytes()
    for owner in (Doc, Span, spacy.tokens.Token):
        for name in list(Underscore.token_extensions):
            if owner.has_extension(name):
                owner.remove_extension(name)
    install_extensions()  # all that a reader needs
    vocab = spacy.blank("en").vocab
    read = [
        [Doc(vocab).from_bytes(doc.to_bytes()) for doc in docs],
        list(DocBin().from_bytes(packed).get_docs(vocab)),
    ]
    for copies in read:
        assert [everything(doc) for doc in copies] == expected
        assert [doc.spans["senses"].attrs["scores"] for doc in copies] == scores


def test_what_is_stored_is_plain(make):
    doc = make()(TEXTS[0])

    def kinds(value):
        yield type(value)
        items = value.values() if isinstance(value, dict) else value
        if isinstance(value, dict | list):
            for item in items:
                yield from kinds(item)

    assert set(kinds(dict(doc.spans["senses"].attrs))) <= {dict, list, str, int, float}


def test_pipeline_to_disk_and_back(make, tmp_path, by_length):
    method = {"@sense_methods": by_length, "limit": 1000}
    nlp = make(method=method, threshold=0.25, attr="by", spans_key="bys")
    nlp.to_disk(tmp_path / "pipeline")
    loaded = spacy.load(tmp_path / "pipeline")
    assert [ids(doc, "by") for doc in loaded.pipe(TEXTS)] == [
        ids(doc, "by") for doc in nlp.pipe(TEXTS)
    ]
    assert loaded.get_pipe("sense_disambiguator").config["threshold"] == 0.25


def test_the_component_can_be_sent_to_a_spawned_child(make, attention):
    nlp = make(method=attention)
    nlp.add_pipe("sentencizer").unpicklable = lambda: None
    expected = everything(nlp(TEXTS[0]))
    component = nlp.get_pipe("sense_disambiguator")
    received = pickle.loads(pickle.dumps(component))  # noqa: S301 - our own bytes
    assert isinstance(received, SenseDisambiguator)
    assert everything(received(nlp.make_doc(TEXTS[0]))) == expected


# -- other components -----------------------------------------------------------------------------


def test_senses_are_found_by_their_characters_after_tokens_are_merged(make):
    nlp = make()
    ruler = nlp.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "X", "pattern": p} for p in ("he hit the", "the bat")])
    nlp.add_pipe("merge_entities")
    doc = nlp(TEXTS[0])
    assert [t.text for t in doc] == ["he hit the", "ball", "with", "the bat"]
    assert [t._.sense and t._.sense.id for t in doc] == [None, None, None, "bat.club"]


def test_as_doc_and_from_docs_give_no_wrong_sense(make):
    nlp = make()
    first, second = nlp(TEXTS[0]), nlp(TEXTS[1])
    assert {ids(first[5:].as_doc()), ids(second[1:2].as_doc())} <= {"bat.club", "bat.animal", None}
    both = Doc.from_docs([first, second])
    # spaCy keeps the spans and drops their attrs: no record, so no sense, and never a wrong one.
    assert [span.kb_id_ for span in both.spans["senses"]] == ["bat.club", "bat.animal"]
    assert [t._.sense and t._.sense.id for t in both if t.text == "bat"] in (
        [None, None],
        ["bat.club", "bat.animal"],
    )


def test_analyze_pipes_has_nothing_to_complain_of(make):
    analysis = make().analyze_pipes()
    assert analysis["problems"] == {"sense_disambiguator": []}
    assert analysis["summary"]["sense_disambiguator"]["assigns"] == [
        "doc.spans",
        "token._.sense",
        "span._.sense",
    ]


# -- scores ----------------------------------------------------------------------------------


def gold(nlp, text, *senses):
    """An Example whose reference has (start, end, sense id) spans."""
    reference = nlp.make_doc(text)
    spans = [Span(reference, start, end, kb_id=sense) for start, end, sense in senses]
    reference.spans["senses"] = SpanGroup(reference, name="senses", spans=spans)
    return Example(nlp.make_doc(text), reference)


def test_evaluate(make):
    nlp = make()
    examples = [
        gold(nlp, TEXTS[0], (6, 7, "bat.club")),
        gold(nlp, TEXTS[1], (1, 2, "bat.club")),  # lesk says animal
        gold(nlp, TEXTS[2], (0, 1, "nothing.1")),
    ]
    scores = nlp.evaluate(examples)
    assert scores["spans_senses_p"] == pytest.approx(1 / 2)
    assert scores["spans_senses_r"] == pytest.approx(1 / 3)
    assert scores["spans_senses_f"] == pytest.approx(2 / 5)
    assert scores["senses_acc"] == pytest.approx(1 / 2)  # of the two that were found


def pipeline_with_gold(make, folder):
    """A saved pipeline, and gold senses for it: 1 of 2 predicted is right, 1 of 3 gold found."""
    nlp = make()
    examples = [
        gold(nlp, TEXTS[0], (6, 7, "bat.club")),
        gold(nlp, TEXTS[1], (1, 2, "bat.club")),  # lesk says animal
        gold(nlp, TEXTS[2], (0, 1, "nothing.1")),
    ]
    nlp.to_disk(folder / "pipeline")
    DocBin(docs=[e.reference for e in examples]).to_disk(folder / "gold.spacy")
    DocBin(docs=[nlp.make_doc(text) for text in TEXTS]).to_disk(folder / "plain.spacy")
    return folder


@pytest.mark.slow
def test_spacy_benchmark_accuracy_prints_them(make, tmp_path):
    folder = pipeline_with_gold(make, tmp_path)
    command = [
        sys.executable,
        "-m",
        "spacy",
        "benchmark",
        "accuracy",
        folder / "pipeline",
        folder / "gold.spacy",
        "--spans-key",
        "senses",
        "--output",
        folder / "scores.json",
    ]
    run = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert run.returncode == 0, run.stderr
    rows = [line.split() for line in run.stdout.splitlines()]
    for row in (
        ["SPAN", "P", "50.00"],
        ["SPAN", "R", "33.33"],
        ["SPAN", "F", "40.00"],
        # The club: right once, missed once. The animal: predicted once, wrong.
        ["noun.artifact", "100.00", "50.00", "66.67"],
        ["noun.animal", "0.00", "0.00", "0.00"],
    ):
        assert row in rows
    written = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    assert written["spans_senses_f"] == pytest.approx(2 / 5)
    assert set(written["spans_senses_per_type"]) == {"", "noun.animal", "noun.artifact"}


def test_spacy_benchmark_accuracy_without_gold(make, tmp_path, capsys):
    folder = pipeline_with_gold(make, tmp_path)
    evaluate(str(folder / "pipeline"), folder / "plain.spacy", spans_key="senses", silent=False)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["SPAN", "F", "-"] in rows
    scores = spacy.load(folder / "pipeline").evaluate(
        [Example(doc, doc) for doc in map(spacy.blank("en").make_doc, TEXTS)]
    )
    assert (scores["spans_senses_f"], scores["senses_acc"]) == (None, None)


def test_the_weights_of_the_scores(make):
    weights = make().config["training"]["score_weights"]
    assert weights["spans_senses_f"] == 0.0  # without gold senses nothing is taken off the total
    assert (weights["senses_acc"], weights["spans_senses_per_type"]) == (0.0, None)


def test_evaluate_under_another_key_and_without_a_scorer(make):
    nlp = make(spans_key="other")
    example = gold(nlp, TEXTS[0], (6, 7, "bat.club"))
    example.reference.spans["other"] = example.reference.spans["senses"].copy()
    assert nlp.evaluate([example])["spans_other_f"] == 1.0
    silent = make(scorer=None, attr="x", spans_key="x")
    assert "spans_x_f" not in silent.evaluate([gold(silent, TEXTS[0])])


def test_the_method_can_be_given_as_an_object(toy_inventory):
    settings = {**DEFAULTS, "inventory": Path(toy_inventory), "method": lesk_v1()}
    nlp = spacy.blank("en")
    component = SenseDisambiguator(nlp, "mine", settings)
    assert ids(component(nlp.make_doc(TEXTS[0]))) == "bat.club"
    assert component.score([]) == {}
    with pytest.raises(ConfigError, match=r"^this component has no backoff$"):
        component.prepared("backoff")


def test_a_stale_span_has_no_sense_of_another_word(make):
    nlp = make(spacy.blank("en"), method="first_sense")
    doc = nlp("in the cave the bat flew at night")
    with doc.retokenize() as retokenizer:
        retokenizer.merge(doc[0:2])
    stale = doc.spans["senses"][0]
    assert stale.text != "bat"
    assert stale._.sense is None
    assert [t._.sense.id for t in doc if t.text == "bat"] == ["bat.animal"]


# -- the inventory wordnet -----------------------------------------------------------------


def wordnet_pipeline(**config):
    nlp = spacy.blank("en")
    nlp.add_pipe("sense_disambiguator", config={"inventory": "wordnet", **config})
    return nlp


def test_first_senses_of_wordnet():
    nlp = wordnet_pipeline(method="first_sense")
    doc = Doc(
        nlp.vocab,
        words=["Bats", "flew", "home", "."],
        pos=["NOUN", "VERB", "ADV", "PUNCT"],
        lemmas=["bat", "fly", "home", "."],
    )
    doc = nlp.get_pipe("sense_disambiguator")(doc)
    assert [(span.text, span.kb_id_, span.label_) for span in doc.spans["senses"]] == [
        ("Bats", "bat%1:05:00::", "noun.animal"),
        ("flew", "fly%2:38:00::", "verb.motion"),
        ("home", "home%4:02:01::", "adv.all"),
    ]
    assert doc[0]._.sense.id == "bat%1:05:00::"


@pytest.mark.parametrize("names", [False, True])
def test_names_in_wordnet(names, tmp_path):
    wordnet_pipeline(method="first_sense", names=names).to_disk(tmp_path)
    nlp = spacy.load(tmp_path)
    doc = Doc(
        nlp.vocab,
        words=["New", "York", "fascinates", "Austin"],
        pos=["PROPN", "PROPN", "VERB", "PROPN"],
        lemmas=["New", "York", "fascinate", "Austin"],
    )
    doc = nlp.get_pipe("sense_disambiguator")(doc)
    found = [(span.text, span._.sense.lemma, span.label_) for span in doc.spans["senses"]]
    verb = ("fascinates", "fascinate", "verb.stative")
    austin = ("Austin", "austin", "noun.location")
    assert found == [("New York", "new york", "noun.location"), verb, *([austin] if names else [])]


def test_names_are_for_wordnet(make):
    with pytest.raises(
        ConfigError, match=r"^names = True with inventory = 'homographs': allowed is"
    ):
        make(inventory="homographs", names=True)
    with pytest.raises(Exception, match="names"):
        make(names="perhaps")
    assert make(names=False)


def test_wordnet_needs_parts_of_speech():
    nlp = wordnet_pipeline(method="first_sense")
    with pytest.raises(ConfigError, match=r"needs parts of speech, and this text has none; put"):
        nlp("bats")
    assert len(nlp(" ").spans["senses"]) == 0


@pytest.mark.parametrize("method", ["lesk", "lesk_extended", "word2vec"])
def test_without_wordnet_the_first_text_says_what_is_missing(method, monkeypatch):
    monkeypatch.setattr("spacy_attn.wsd.inventory.wordnet.find_wordnet", lambda: None)
    wordnet_inventory.cache_clear()
    try:
        nlp = wordnet_pipeline(method=method)
        doc = Doc(nlp.vocab, words=["bats"], pos=["NOUN"], lemmas=["bat"])
        with pytest.raises(ResourceError, match=r"apt-get install wordnet-base"):
            nlp.get_pipe("sense_disambiguator")(doc)
    finally:
        wordnet_inventory.cache_clear()


# -- vectors of a component before this one, and stored weights ---------------------------------


def test_unkept_vectors_go_when_the_last_component_has_read_them(
    make, attention, encoder_config, passes
):
    nlp = spacy.blank("en")
    nlp.add_pipe("attention_encoder", config={**encoder_config, "keep": False})
    make(nlp, method=attention)
    make(nlp, "second", method=attention, attr="second", spans_key="second")
    for name in ("sense_disambiguator", "second"):
        nlp.get_pipe(name).prepared()
    passes.clear()
    docs = list(nlp.pipe(TEXTS))
    assert passes == [TEXTS]  # one pass serves all
    assert [doc._.attn_vectors for doc in docs] == [None] * len(TEXTS)
    assert [key for doc in docs for key in doc.user_data if "unkept" in str(key)] == []
    assert ids(docs[0]) == ids(docs[0], "second") is not None


def test_a_spawned_child_knows_which_component_reads_last(make, attention):
    nlp = make(method=attention)
    make(nlp, "second", method=attention, attr="second", spans_key="second")
    pipes = [pickle.loads(pickle.dumps(pipe)) for _, pipe in nlp.pipeline]  # noqa: S301
    assert [pipe.reads_last for pipe in pipes] == [False, True]
    nlp.remove_pipe("second")
    assert nlp.get_pipe("sense_disambiguator").reads_last


def test_kept_vectors_stay(make, attention, encoder_config):
    nlp = spacy.blank("en")
    nlp.add_pipe("attention_encoder", config=encoder_config)
    make(nlp, method=attention)
    assert nlp(TEXTS[0])._.attn_vectors is not None


@pytest.mark.parametrize("as_backoff", [False, True])
def test_a_pipeline_saved_with_its_weights(
    make, attention, toy_model, toy_sense_model, tmp_path, as_backoff, monkeypatch
):
    monkeypatch.setattr(huggingface, "_shared", OrderedDict())
    model = shutil.copytree(toy_model, tmp_path / "toy-bert")
    head = shutil.copy(toy_sense_model, tmp_path / "senses.safetensors")
    method = {**attention, "model": str(model), "sense_model": str(head)}
    cascade = {"@sense_methods": "spacy_attn.cascade.v1", "cheap": "lesk", "second": method}
    config = (
        {"method": cascade, "threshold": 1.0, "backoff": method}
        if as_backoff
        else {"method": method}
    )
    nlp = make(store_weights=True, **config)
    expected = nlp(TEXTS[0]).spans["senses"].attrs["records"]
    nlp.to_disk(tmp_path / "saved")
    shutil.rmtree(model)
    head.unlink()
    huggingface._shared.clear()
    spacy.load(tmp_path / "saved").to_disk(tmp_path / "again")
    shutil.rmtree(tmp_path / "saved")
    loaded = spacy.load(tmp_path / "again")
    assert loaded(TEXTS[0]).spans["senses"].attrs["records"] == expected
    assert expected[0]["method"] == "attention"


def test_no_weights_are_stored_unless_asked_for(make, attention, tmp_path):
    make(method=attention).to_disk(tmp_path)
    assert not list(tmp_path.rglob("*.safetensors"))
