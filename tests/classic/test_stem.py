from __future__ import annotations

import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.stem import LancasterStemmer, PorterStemmer, RegexpStemmer, SnowballStemmer

from spacy_attn.classic.stem import (
    ALGORITHMS,
    CACHE_SIZE,
    LANGUAGES,
    PORTER_MODES,
    Stemmer,
    snowball_language,
)
from spacy_attn.errors import ConfigError, ResourceError

#: A few words of each language that have endings, and strings that are no words.
WORDS = [
    *"running flies dying presumably generalizations organization skies news 's don't".split(),
    *"løberne autobahnen häuser fiskarna talossansa continuellement abandonné gatos".split(),
    *"nações andavamo fiúknak copiilor книгами читающий الكتاب يكتبون قالوا lopende".split(),
    *["", " ", "\n", "'", "\u200b", "\U0001f987", "漢字", "İSTANBUL", "e\u0301", "123", "a" * 99],
]


def all_stemmers():
    """Name, ours, and what makes NLTK's."""
    for language in SnowballStemmer.languages:
        ours = Stemmer("snowball", language=language)
        yield language, ours, lambda language=language: SnowballStemmer(language)
    for mode in PORTER_MODES:
        yield mode, Stemmer("porter", mode=mode), lambda mode=mode: PorterStemmer(mode.upper())
    yield "lancaster", Stemmer("lancaster"), LancasterStemmer
    regexp = Stemmer("regexp", pattern="ing$|s$|^un", min_length=4)
    yield "regexp", regexp, lambda: RegexpStemmer("ing$|s$|^un", min=4)


def stem_of_nltk(make, word):
    """By a stemmer of its own; NLTK before 3.10.4 fails on some strings that are no words."""
    try:
        return make().stem(word)
    except (IndexError, RecursionError):
        return word.lower()


STEMMERS = list(all_stemmers())
IDS = [name for name, _, _ in STEMMERS]


@pytest.mark.parametrize(("name", "ours", "make"), STEMMERS, ids=IDS)
def test_stems_are_those_of_nltk(name, ours, make):
    assert [ours.stem(word) for word in WORDS] == [stem_of_nltk(make, word) for word in WORDS]


@given(st.text(max_size=12))
def test_any_string_has_the_stem_of_nltk(word):
    for name, ours, make in STEMMERS:
        assert ours.stem(word) == stem_of_nltk(make, word), name


def test_stems_by_hand():
    words = ["flies", "dying", "generalizations", "fairly"]
    by_algorithm = {
        "snowball": ["fli", "die", "general", "fair"],
        "porter": ["fli", "die", "gener", "fairli"],
        "lancaster": ["fli", "dying", "gen", "fair"],
    }
    for algorithm, stems in by_algorithm.items():
        assert [Stemmer(algorithm).stem(word) for word in words] == stems


def test_porter_modes_differ_and_may_be_upper_case():
    stems = [Stemmer("porter", mode=mode).stem("skies") for mode in PORTER_MODES]
    assert stems == ["sky", "ski", "ski"]
    assert Stemmer("porter", mode="MARTIN_EXTENSIONS").stem("skies") == "ski"


def test_languages_are_all_of_nltk():
    assert {*LANGUAGES.values(), "porter"} == set(SnowballStemmer.languages)


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("de", "german"),
        ("nb", "norwegian"),
        ("Swedish", "swedish"),
        ("DE", "german"),
        ("porter", "porter"),
    ],
)
def test_language_by_name_or_code(given_name, name):
    assert snowball_language(given_name) == name


@pytest.mark.parametrize(
    ("algorithm", "config", "reason"),
    [
        ("wordnet", {}, "algorithm = 'wordnet' .* snowball, porter, lancaster, regexp$"),
        (
            "snowball",
            {"language": "ja"},
            "language = 'ja'; allowed are arabic, .*swedish, or a code",
        ),
        ("porter", {"mode": "new"}, "mode = 'new' .* nltk_extensions, martin_extensions, original"),
        ("regexp", {}, r"needs a pattern.*pattern = 'ing\$\|s\$'"),
        ("regexp", {"pattern": "(ing"}, r"pattern = '\(ing' is no regular expression"),
        ("regexp", {"pattern": "s$", "min_length": -1}, "min_length = -1; allowed: .* from 0"),
        ("regexp", {"pattern": ""}, "needs a pattern of what to cut off, not ''; give"),
        ("snowball", {"min_length": -3}, "min_length = -3; allowed: .* from 0"),
        ("snowball", {"pattern": ""}, "pattern = '' belongs to algorithm = 'regexp'"),
        ("snowball", {"pattern": "s$"}, "pattern = 's.' belongs to algorithm = 'regexp'"),
    ],
)
def test_illegal_settings(algorithm, config, reason):
    with pytest.raises(ConfigError, match=reason):
        Stemmer(algorithm, **config)


def test_arabic_stem_does_not_depend_on_the_word_before():
    """One NLTK stemmer gives another stem after the first of these words than before it."""
    words = ["يكتبون", "قالوا", "ذهبوا", "قالوا"]
    assert [Stemmer(language="ar").stem(word) for word in words] == [
        SnowballStemmer("arabic").stem(word) for word in words
    ]


def test_each_string_is_stemmed_once():
    stemmer = Stemmer()
    seen = []
    stem = stemmer._stem
    stemmer._stem = lambda word: seen.append(word) or stem(word)
    assert [stemmer.stem(word) for word in ["bats", "flew", "bats", "bats"]] == [
        "bat",
        "flew",
        "bat",
        "bat",
    ]
    assert seen == ["bats", "flew"]
    assert stemmer.stem.cache_info().maxsize == CACHE_SIZE


def test_two_stemmers_have_two_memories():
    one, two = Stemmer(), Stemmer("lancaster")
    assert (one.stem("presumably"), two.stem("presumably")) == ("presum", "presum")
    assert (one.stem("saying"), two.stem("maximum")) == ("say", "maxim")
    assert one.stem.cache_info().currsize == two.stem.cache_info().currsize == 2


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_pickled_copy_is_the_same_stemmer(algorithm):
    config = {"pattern": "s$", "min_length": 3} if algorithm == "regexp" else {}
    stemmer = Stemmer(algorithm, mode="original_algorithm", **config)
    before = [stemmer.stem(word) for word in WORDS]
    copy = pickle.loads(pickle.dumps(stemmer))  # noqa: S301  our own bytes
    assert copy.stem.cache_info().currsize == 0
    assert [copy.stem(word) for word in WORDS] == before


def test_threads_share_a_stemmer():
    words = [word + ending for word in WORDS for ending in ("", "s", "ون")] * 2
    for name, ours, make in STEMMERS:
        expected = [stem_of_nltk(make, word) for word in words]
        fresh = pickle.loads(pickle.dumps(ours))  # noqa: S301  our own bytes
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(fresh.stem, words)) == expected, name


@pytest.mark.parametrize("error", [IndexError, RecursionError])
def test_a_word_on_which_nltk_fails_stays_as_it_is(monkeypatch, error):
    def fail(word):
        raise error

    stemmer = Stemmer()
    monkeypatch.setattr(stemmer, "_stem", fail)
    assert stemmer.stem("YYY") == "yyy"


def test_a_pattern_that_takes_for_ever_is_named(monkeypatch):
    def fail(word):
        raise TimeoutError

    stemmer = Stemmer("regexp", pattern="(a|a)*$")
    monkeypatch.setattr(stemmer, "_stem", fail)
    with pytest.raises(ConfigError, match=r"pattern = '\(a\|a\)\*\$' takes seconds on 'aaa'"):
        stemmer.stem("aaa")


def test_without_nltk(monkeypatch):
    monkeypatch.setitem(sys.modules, "nltk", None)
    with pytest.raises(ResourceError, match=r"nltk_stemmer needs nltk.*pip install nltk"):
        Stemmer()
