from __future__ import annotations

import pytest
import spacy
from spacy.tokens import Doc, Token
from spacy.tokens.underscore import Underscore

from spacy_attn.components.attention_lemmatizer import BUNDLED
from spacy_attn.errors import ConfigError, ResourceError


@pytest.fixture(autouse=True)
def own_attributes(monkeypatch):
    """Extensions are global; each test starts without any."""
    for owner in ("doc", "span", "token"):
        monkeypatch.setattr(Underscore, f"{owner}_extensions", {})


def tagged(nlp, *words):
    """A Doc of word/POS."""
    pairs = [word.split("/") for word in words]
    return Doc(nlp.vocab, words=[w for w, _ in pairs], pos=[p for _, p in pairs])


def lemmas(doc, attr="attn_lemma"):
    return [token._.get(attr) for token in doc]


@pytest.fixture
def nlp(toy_lemmatizer):
    nlp = spacy.blank("en")
    nlp.add_pipe("attention_lemmatizer", config={"model": str(toy_lemmatizer)})
    return nlp


def run(nlp, doc):
    return nlp.get_pipe("attention_lemmatizer")(doc)


def test_what_is_read_and_what_is_not(nlp):
    words = "Bats/NOUN FLEW/VERB Banks/PROPN The/DET 3/NUM Of/ADP b2b/NOUN ,/PUNCT".split()
    assert lemmas(run(nlp, tagged(nlp, *words))) == [
        "bat",
        "fly",
        "Banks",
        "the",
        "3",
        "of",
        "b2b",
        ",",
    ]


def test_auxiliaries_are_verbs(nlp):
    assert lemmas(run(nlp, tagged(nlp, "flew/AUX"))) == lemmas(run(nlp, tagged(nlp, "flew/VERB")))


def test_token_lemma_is_left_alone_unless_asked(nlp, toy_lemmatizer):
    doc = run(nlp, tagged(nlp, "bats/NOUN"))
    assert doc[0].lemma_ == ""
    config = {"model": str(toy_lemmatizer), "overwrite": True, "attr": "other"}
    nlp.add_pipe("attention_lemmatizer", name="second", config=config)
    doc = nlp.get_pipe("second")(tagged(nlp, "bats/NOUN", "Banks/PROPN"))
    assert [token.lemma_ for token in doc] == ["bat", "Banks"] == lemmas(doc, "other")


def test_lemmas_of_words_that_are_not_read_are_kept(nlp, toy_lemmatizer):
    config = {"model": str(toy_lemmatizer), "overwrite": True, "attr": "other"}
    nlp.add_pipe("attention_lemmatizer", name="second", config=config)
    doc = tagged(nlp, "me/PRON", "n't/PART", "bats/NOUN", "The/DET")
    for token, lemma in zip(doc, ["I", "not", "wrong", ""], strict=True):
        token.lemma_ = lemma
    doc = nlp.get_pipe("second")(doc)
    assert [token.lemma_ for token in doc] == ["I", "not", "bat", "the"]
    assert lemmas(doc, "other") == ["me", "n't", "bat", "the"]


def test_without_parts_of_speech_all_words_are_read(nlp):
    doc = nlp("bats !")
    assert lemmas(doc)[1] == "!"
    assert isinstance(lemmas(doc)[0], str)


def test_other_languages_bring_a_model(toy_lemmatizer):
    with pytest.raises(ConfigError, match=r"lang = 'de'; give model = the path of a model trained"):
        spacy.blank("de").add_pipe("attention_lemmatizer")
    nlp = spacy.blank("de")
    nlp.add_pipe("attention_lemmatizer", config={"model": str(toy_lemmatizer)})
    assert lemmas(run(nlp, tagged(nlp, "Bats/NOUN"))) == ["bat"]


def test_wrong_settings(tmp_path):
    nlp = spacy.blank("en")
    with pytest.raises(ConfigError, match="model = ' '; give the path of a model, or null"):
        nlp.add_pipe("attention_lemmatizer", config={"model": " "})
    with pytest.raises(ConfigError, match="attr = 'a b' cannot be an attribute name"):
        nlp.add_pipe("attention_lemmatizer", config={"attr": "a b"})
    Token.set_extension("taken", default=1)
    with pytest.raises(ConfigError, match=r"Token\._\.taken already exists"):
        nlp.add_pipe("attention_lemmatizer", config={"attr": "taken"})
    nlp.add_pipe("attention_lemmatizer", config={"model": str(tmp_path / "none")})
    with pytest.raises(
        ResourceError, match=r"none cannot be read .*; train a model with: spacy-att"
    ):
        nlp("bats")
    with pytest.raises(ResourceError, match="none cannot be read"):
        nlp.to_bytes()


def test_the_model_travels_with_the_pipeline(nlp, toy_lemmatizer, tmp_path):
    expected = lemmas(run(nlp, tagged(nlp, "flew/VERB")))
    moved = tmp_path / "own.safetensors"
    moved.write_bytes(toy_lemmatizer.read_bytes())
    nlp = spacy.blank("en")
    nlp.add_pipe("attention_lemmatizer", config={"model": str(moved)})
    nlp.to_disk(tmp_path / "saved")
    moved.unlink()
    loaded = spacy.load(tmp_path / "saved")
    assert lemmas(run(loaded, tagged(loaded, "flew/VERB"))) == expected
    loaded.to_disk(tmp_path / "again")
    (tmp_path / "again" / "attention_lemmatizer" / "lemmatizer.safetensors").unlink()
    with pytest.raises(ResourceError, match=r"there is no lemmatizer\.safetensors of"):
        spacy.load(tmp_path / "again")


@pytest.mark.parametrize(
    ("word", "lemma"),
    [
        ("stared/VERB", "stare"),
        ("scared/VERB", "scare"),
        ("hated/VERB", "hate"),
        ("taxes/NOUN", "tax"),
        ("hoping/VERB", "hope"),
        ("hopping/VERB", "hop"),
        ("went/VERB", "go"),
        ("was/AUX", "be"),
        ("saw/VERB", "see"),
        ("saw/NOUN", "saw"),
        ("children/NOUN", "child"),
        ("wugs/NOUN", "wug"),
        ("cafés/NOUN", "café"),
    ],
)
def test_the_bundled_model(word, lemma):
    nlp = spacy.blank("en")
    nlp.add_pipe("attention_lemmatizer")
    assert lemmas(run(nlp, tagged(nlp, word))) == [lemma]


def test_the_bundled_model_is_small():
    assert BUNDLED.stat().st_size <= 1_000_000
