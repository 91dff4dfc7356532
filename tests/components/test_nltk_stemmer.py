from __future__ import annotations

import pickle

import pytest
import spacy
from nltk.stem import SnowballStemmer
from spacy.tokens import Doc, DocBin, Token
from spacy.tokens.underscore import Underscore

from spacy_attn.components import nltk_stemmer  # noqa: F401  the import registers the factory
from spacy_attn.components.extensions import install_extensions
from spacy_attn.errors import ConfigError

TEXT = "The bats were flying (at night)…\n Bats! 漢字 \U0001f987 it's"
CODES = {"ar": "arabic", "de": "german", "hu": "hungarian", "nb": "norwegian", "ru": "russian"}


@pytest.fixture(autouse=True)
def own_attributes(monkeypatch):
    """Extensions are global; each test starts without any."""
    for owner in ("doc", "span", "token"):
        monkeypatch.setattr(Underscore, f"{owner}_extensions", {})


def pipeline(lang="en", **config):
    nlp = spacy.blank(lang)
    nlp.add_pipe("nltk_stemmer", config=config)
    return nlp


def stems(doc, attr="stem"):
    return [token._.get(attr) for token in doc]


def test_tokens_have_stems():
    doc = pipeline()("The bats were flying at night.")
    assert stems(doc) == ["the", "bat", "were", "fli", "at", "night", "."]


@pytest.mark.parametrize(("code", "language"), CODES.items())
def test_language_is_that_of_the_pipeline(code, language):
    doc = pipeline(code)("Häuser! النهارات gatinhos книгами \n nations fiúknak løberne.")
    assert stems(doc) == [SnowballStemmer(language).stem(token.text) for token in doc]


def test_language_of_the_config_wins():
    assert stems(pipeline("en", language="german")("Häusern")) == ["haus"]
    assert stems(pipeline("xx", language="de")("Häusern")) == ["haus"]
    assert stems(pipeline("xx", language="German")("Häusern")) == ["haus"]
    english = pipeline("de", algorithm="lancaster", language="English")
    assert stems(english("bats")) == ["bat"]


def test_a_language_without_a_stemmer():
    with pytest.raises(ConfigError, match="no stemmer for language = 'is'; allowed are arabic"):
        pipeline("is")
    with pytest.raises(ConfigError, match=r"lang = 'xx'\) .*; set language = 'english' or"):
        pipeline("xx")
    with pytest.raises(ConfigError, match="no stemmer for language = 'xx'; allowed are arabic"):
        pipeline("en", language="xx")


@pytest.mark.parametrize("algorithm", ["porter", "lancaster"])
def test_english_algorithms_stay_with_english(algorithm):
    with pytest.raises(ConfigError, match=f"'{algorithm}' knows English alone .* is 'de'; take"):
        pipeline("de", algorithm=algorithm)
    assert stems(pipeline("de", algorithm=algorithm, language="english")("bats")) == ["bat"]
    assert stems(pipeline("xx", algorithm=algorithm)("bats")) == ["bat"]


def test_other_algorithms():
    assert stems(pipeline(algorithm="porter", mode="original_algorithm")("skies")) == ["ski"]
    assert stems(pipeline(algorithm="lancaster")("maximum")) == ["maxim"]
    regexp = pipeline("is", algorithm="regexp", pattern="um$|s$", min_length=4)
    assert stems(regexp("hestum was")) == ["hest", "was"]


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"algorithm": "Snowball"}, "allowed are snowball, porter, lancaster, regexp"),
        ({"algorithm": "regexp", "pattern": "*"}, r"pattern = '\*' is no regular expression"),
        ({"language": ""}, "language = ''; give a language, or null"),
        ({"attr": "no name"}, "attr = 'no name' cannot be an attribute name"),
    ],
)
def test_illegal_settings(config, reason):
    with pytest.raises(ConfigError, match=reason):
        pipeline(**config)


def test_stem_is_none_where_the_component_never_ran():
    nlp = pipeline()
    assert stems(nlp.make_doc("bats fly")) == [None, None]


@pytest.mark.parametrize("words", [[], ["\n"], [" ", "\u200b", "bats"]])
def test_docs_without_words(words):
    nlp = pipeline()
    doc = nlp(Doc(nlp.vocab, words=words))
    assert stems(doc) == [{"bats": "bat"}.get(word, word) for word in words]


def test_two_in_one_pipeline():
    nlp = pipeline()
    with pytest.raises(ConfigError, match=r"would write token\._\.stem.*attr = "):
        nlp.add_pipe("nltk_stemmer", name="second")
    nlp.add_pipe("nltk_stemmer", name="second", config={"algorithm": "lancaster", "attr": "short"})
    doc = nlp("maximum generalizations")
    assert stems(doc) == ["maximum", "general"]
    assert stems(doc, "short") == ["maxim", "gen"]


def test_attribute_of_somebody_else_is_refused():
    Token.set_extension("stem", default="")
    with pytest.raises(ConfigError, match=r"Token\._\.stem already exists.*attr = "):
        pipeline()


def test_stems_travel_with_docs_and_docbin():
    nlp = pipeline()
    doc = nlp(TEXT)
    assert stems(Doc(nlp.vocab).from_bytes(doc.to_bytes())) == stems(doc)
    data = DocBin(docs=[doc], store_user_data=True).to_bytes()
    Underscore.token_extensions.clear()
    install_extensions()
    (read,) = DocBin().from_bytes(data).get_docs(spacy.blank("en").vocab)
    assert stems(read) == stems(doc)


def test_pipeline_travels(tmp_path):
    nlp = pipeline("xx", algorithm="regexp", pattern="s$|ing$", min_length=5)
    expected = stems(nlp(TEXT))
    nlp.to_disk(tmp_path)
    for copy in (
        spacy.load(tmp_path),
        type(nlp).from_config(nlp.config).from_bytes(nlp.to_bytes()),
        pickle.loads(pickle.dumps(nlp)),  # noqa: S301  our own bytes
    ):
        assert stems(copy(TEXT)) == expected


@pytest.mark.slow
def test_worker_processes():
    nlp = pipeline()
    docs = list(nlp.pipe([TEXT, "", "flying bats"], n_process=2, batch_size=1))
    assert stems(docs[0]) == stems(nlp(TEXT))
    assert [stems(doc) for doc in docs[1:]] == [[], ["fli", "bat"]]


def test_component_is_declared_to_analyze_pipes():
    analysis = pipeline().analyze_pipes()
    assert analysis["summary"]["nltk_stemmer"]["assigns"] == ["token._.stem"]
    assert analysis["problems"]["nltk_stemmer"] == []


def test_tokens_that_are_merged_later_lose_their_stem_and_no_other():
    nlp = spacy.blank("en")
    nlp.add_pipe("nltk_stemmer")
    doc = nlp("Running dogs chased flying bats")
    with doc.retokenize() as retokenizer:
        retokenizer.merge(doc[1:3])
    assert [token._.stem for token in doc] == ["run", None, "fli", "bat"]
    with doc.retokenize() as retokenizer:
        retokenizer.split(doc[1], ["dogs", " chased"], heads=[doc[0], doc[0]])
    assert [token._.stem for token in doc] == ["run", "dog", None, "fli", "bat"]
