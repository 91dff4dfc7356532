"""All methods beside each other, on the toy world."""

from __future__ import annotations

import catalogue
import numpy as np
import pytest
import spacy
from spacy.tokens.underscore import Underscore

from spacy_attn.classic.vectors import load_vectors
from spacy_attn.errors import ConfigError
from spacy_attn.explain.side_by_side import side_by_side
from spacy_attn.wsd.methods import calibration
from spacy_attn.wsd.methods.attention import attention_v1
from spacy_attn.wsd.methods.registry import sense_method
from spacy_attn.wsd.methods.word2vec import word2vec_v1

TEXTS = ["swing the bat at the bank", "nothing", "the bat flew", "a Bat and a bat"]


@pytest.fixture(autouse=True)
def _own_extensions(monkeypatch):
    for owner in ("doc", "span", "token"):
        monkeypatch.setattr(Underscore, f"{owner}_extensions", {})


@pytest.fixture
def nlp(toy_inventory):
    nlp = spacy.blank("en")
    config = {"inventory": str(toy_inventory), "method": "lesk"}
    nlp.add_pipe("sense_disambiguator", config=config)
    return nlp


@pytest.fixture(autouse=True)
def _toy_methods(monkeypatch, toy_model, toy_sense_model, toy_vectors):
    """``attention`` and ``word2vec`` are those of the toy world."""

    def attention():
        return attention_v1(
            model=str(toy_model), sense_model=str(toy_sense_model), window=64, overlap=16
        )

    def word2vec():
        return word2vec_v1(vectors=str(toy_vectors))

    for short, factory in (("attention", attention), ("word2vec", word2vec)):
        name = f"spacy_attn.{short}.v99"
        monkeypatch.setitem(catalogue.REGISTRY, ("spacy_attn", "sense_methods", name), factory)
    monkeypatch.setattr(calibration, "_fitted", lambda folder: {})  # 1 for each method


def test_a_record_for_each_word(nlp):
    records, failed = side_by_side(nlp, TEXTS, ["lesk", "first_sense"])
    assert failed == {}
    assert [(r["text_index"], r["text"], r["start"], r["end"], r["lemma"]) for r in records] == [
        (0, "bat", 10, 13, "bat"),
        (0, "bank", 21, 25, "bank"),
        (2, "bat", 4, 7, "bat"),
        (3, "Bat", 2, 5, "bat"),
        (3, "bat", 12, 15, "bat"),
    ]
    assert records[0]["methods"] == {
        name: {
            "sense": "bat.animal",
            "score": score,
            "margin": margin,
            "definition": "a flying animal of the night that lives in a cave",
        }
        for name, score, margin in (("lesk", 0.5, 0.0), ("first_sense", 0.6667, 0.3333))
    }
    assert {r["static_similarity"] for r in records} == {None}
    assert {r["attention_similarity"] for r in records} == {None}
    assert [r["cues"] for r in records] == [[]] * 5


def test_the_component_decides_the_same(nlp):
    records, _ = side_by_side(nlp, TEXTS, ["lesk"])
    docs = list(nlp.pipe(TEXTS))
    senses = [span._.sense for doc in docs for span in doc.spans["senses"]]
    assert [r["methods"]["lesk"]["sense"] for r in records] == [s.id for s in senses]
    assert [r["methods"]["lesk"]["score"] for r in records] == [round(s.score, 4) for s in senses]


def test_a_static_vector_is_the_same_twice(nlp):
    records, _ = side_by_side(nlp, TEXTS, ["word2vec"])
    assert [r["static_similarity"] for r in records] == [1.0, None, 1.0, 1.0, 1.0]


def test_similarity_is_the_mean_cosine_to_the_other_texts(nlp, toy_vectors):
    texts = ["the bat", "two bats", "the bat"]
    rows = load_vectors(str(toy_vectors)).vectors(["bat", "bats"])
    assert not rows[1].any()  # the toy vectors do not know the plural: cosine 0 by definition
    records, _ = side_by_side(nlp, texts, ["word2vec"])
    assert [r["static_similarity"] for r in records] == [0.5, 0.0, 0.5]


def test_similarity_with_attention(nlp):
    records, _ = side_by_side(nlp, TEXTS, ["attention"], cues=False)
    fitted = sense_method("attention")
    component = nlp.get_pipe("sense_disambiguator")
    prepared = fitted.prepare(component.inventory, component._resources)
    docs = [nlp.make_doc(text) for text in TEXTS]
    arrays = prepared.encoder.encode(TEXTS, [[(t.idx, t.idx + len(t)) for t in d] for d in docs])
    radius, head = prepared.head.context_radius, prepared.head

    def z(text, token):
        vectors = arrays[text]
        around = [v for i, v in enumerate(vectors) if i != token and abs(i - token) <= radius]
        v = head.target @ vectors[token] + head.context @ np.mean(around, axis=0)
        return v / np.linalg.norm(v)

    first, second, third, fourth = z(0, 2), z(2, 1), z(3, 1), z(3, 4)
    expected = [
        np.mean([first @ second, first @ third, first @ fourth]),
        None,
        np.mean([second @ first, second @ third, second @ fourth]),
        np.mean([third @ first, third @ second]),
        np.mean([fourth @ first, fourth @ second]),
    ]
    obtained = [r["attention_similarity"] for r in records]
    assert obtained[1] is None
    assert obtained[0:1] + obtained[2:] == pytest.approx(expected[0:1] + expected[2:], abs=2e-4)
    assert [r["cues"] for r in records] == [[]] * 5


def test_cues_speak_for_the_sense_and_stand_in_the_text(nlp):
    records, _ = side_by_side(nlp, TEXTS, ["attention"])
    assert any(record["cues"] for record in records)
    for record in records:
        weights = [cue["weight"] for cue in record["cues"]]
        assert len(weights) <= 3
        assert weights == sorted(weights, reverse=True)
        assert all(weight >= 0 for weight in weights)
        text = TEXTS[record["text_index"]]
        for cue in record["cues"]:
            assert text[cue["start"] : cue["end"]] == cue["text"]
            assert cue["end"] <= record["start"] or cue["start"] >= record["end"]


def test_a_method_that_cannot_run_is_told_and_the_others_go_on(nlp, monkeypatch):
    def missing():
        return word2vec_v1(vectors="nowhere.txt")

    name = ("spacy_attn", "sense_methods", "spacy_attn.word2vec.v99")
    monkeypatch.setitem(catalogue.REGISTRY, name, missing)
    records, failed = side_by_side(nlp, TEXTS, ["word2vec", "lesk"])
    assert list(failed) == ["word2vec"]
    assert "nowhere.txt" in failed["word2vec"]
    assert [list(r["methods"]) for r in records] == [["lesk"]] * 5


def test_texts_without_a_word(nlp):
    methods_of_all = ["lesk", "word2vec", "attention"]
    assert side_by_side(nlp, ["nothing", ""], methods_of_all) == ([], {})
    assert side_by_side(nlp, [], methods_of_all) == ([], {})


def test_components_before_it_run_and_those_behind_it_do_not(nlp):
    ruler = nlp.add_pipe("attribute_ruler", before="sense_disambiguator")
    ruler.add([[{"LOWER": "bat"}]], {"POS": "PRON", "TAG": "PRP"})  # no word
    seen = []

    @spacy.Language.component("toy_behind")
    def behind(doc):
        seen.append(doc.text)
        return doc

    nlp.add_pipe("toy_behind")
    records, _ = side_by_side(nlp, TEXTS, ["lesk"])
    assert [r["lemma"] for r in records] == ["bank"]
    assert seen == []
    assert nlp.pipe_names == ["attribute_ruler", "sense_disambiguator", "toy_behind"]


def test_a_pipeline_without_the_component():
    with pytest.raises(ConfigError, match=r"^the pipeline has no sense_disambiguator; add it with"):
        side_by_side(spacy.blank("en"), TEXTS, ["lesk"])


def test_an_unknown_method(nlp):
    with pytest.raises(ConfigError, match=r"^method = 'guess'; allowed are random"):
        side_by_side(nlp, TEXTS, ["lesk", "guess"])
