"""Stems by NLTK's stemmers: Snowball, Porter, Lancaster and regular expressions.

A stem is what is left of a word when its endings are cut off by rule; it need not be a word.
The rules are NLTK's. What is added here: settings that are checked at once, each string is
stemmed once, and a stem depends on its word alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from spacy_attn.errors import ConfigError, allowed_names, explain_missing_package

ALGORITHMS = ("snowball", "porter", "lancaster", "regexp")

#: Porter's modes, NLTK's names in lower case; upper case is understood as well.
PORTER_MODES = ("nltk_extensions", "martin_extensions", "original_algorithm")

#: Language codes of spaCy and the names of Snowball's algorithms. "porter" is one of them too:
#: the original Porter stemmer for English.
LANGUAGES = {
    "ar": "arabic",
    "da": "danish",
    "de": "german",
    "en": "english",
    "es": "spanish",
    "fi": "finnish",
    "fr": "french",
    "hu": "hungarian",
    "it": "italian",
    "nb": "norwegian",
    "nl": "dutch",
    "nn": "norwegian",
    "no": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sv": "swedish",
}

#: Strings whose stems a stemmer remembers. Text of 10 million words has a few hundred thousand
#: different ones, most of them seen once; this many take about 15 MB.
CACHE_SIZE = 65_536

_Stem = Callable[[str], str]


class Stemmer:
    """One of NLTK's stemmers, with its settings checked and its stems remembered.

    Safe to use from several threads, and picklable: the copy has the settings and an empty
    memory.

    Args:
        algorithm: "snowball", "porter", "lancaster" or "regexp".
        language: for Snowball: a name or code of ``LANGUAGES``, or "porter"; in any case.
        mode: for Porter: one of ``PORTER_MODES``.
        pattern: for regexp: whatever matches is cut out of the word, such as ``"ing$|s$"``.
        min_length: for regexp: shorter words are left as they are; in characters.

    Raises:
        ConfigError: a setting is wrong, or the pattern is no regular expression.
        ResourceError: NLTK is not installed.

    Papers: M. F. Porter, An algorithm for suffix stripping, Program 14(3), 1980; M. F. Porter,
    Snowball: A language for stemming algorithms, 2001; C. D. Paice, Another stemmer, SIGIR
    Forum 24(3), 1990 (Lancaster).
    """

    def __init__(
        self,
        algorithm: str = "snowball",
        *,
        language: str = "english",
        mode: str = PORTER_MODES[0],
        pattern: str | None = None,
        min_length: int = 0,
    ) -> None:
        if algorithm not in ALGORITHMS:
            raise ConfigError(
                f"algorithm = {algorithm!r} is no stemmer; {allowed_names(algorithm, ALGORITHMS)}"
            )
        if pattern is not None and algorithm != "regexp":
            raise ConfigError(
                f"pattern = {pattern!r} belongs to algorithm = 'regexp' and this one is "
                f"{algorithm!r}; change the algorithm or take the pattern out"
            )
        if min_length < 0:
            raise ConfigError(f"min_length = {min_length}; allowed: a number of characters from 0")
        self._settings: dict[str, Any] = {
            "language": snowball_language(language) if algorithm == "snowball" else language,
            "mode": _porter_mode(mode),
            "pattern": pattern,
            "min_length": min_length,
        }
        self.algorithm = algorithm
        with explain_missing_package("nltk_stemmer"):
            self._stem = _make_stem(algorithm, **self._settings)
        self.stem = lru_cache(maxsize=CACHE_SIZE)(self._compute)

    def __reduce__(self) -> tuple[Any, ...]:
        """A child process gets the settings and makes the stemmer itself."""
        return _restore, (self.algorithm, self._settings)

    def _compute(self, word: str) -> str:
        try:
            return self._stem(word)
        except (IndexError, RecursionError):
            # NLTK before 3.10.4 fails on some strings that are no words, Hungarian on "" and
            # Porter on a thousand y in a row; they have no ending to cut off.
            return word.lower()
        except TimeoutError as error:
            raise ConfigError(
                f"pattern = {self._settings['pattern']!r} takes seconds on {word[:40]!r}; write "
                "it without a repetition inside a repetition, such as (a*)*"
            ) from error


def snowball_language(language: str) -> str:
    """Snowball's name of a language that is given by name or code.

    >>> snowball_language("de")
    'german'

    Raises:
        ConfigError: Snowball has no algorithm for it.
    """
    name = LANGUAGES.get(language.lower(), language.lower())
    if name not in {*LANGUAGES.values(), "porter"}:
        allowed = sorted({*LANGUAGES.values(), "porter"})
        raise ConfigError(
            f"Snowball has no stemmer for language = {language!r}; "
            + allowed_names(language, allowed, f", or a code of {', '.join(LANGUAGES)}")
        )
    return name


def _porter_mode(mode: str) -> str:
    if mode.lower() not in PORTER_MODES:
        raise ConfigError(
            f"mode = {mode!r} is no mode of the Porter stemmer; {allowed_names(mode, PORTER_MODES)}"
        )
    return mode.lower()


def _make_stem(
    algorithm: str, language: str, mode: str, pattern: str | None, min_length: int
) -> _Stem:
    """NLTK's function from a word to its stem; none of them keeps anything between words."""
    from nltk import stem

    if algorithm == "snowball":
        # A new one for each word: NLTK's Arabic stemmer carries a flag from one word to the
        # next (after some verb, "قالوا" has another stem), and making one takes a microsecond.
        def stem_anew(word: str) -> str:
            return str(stem.SnowballStemmer(language).stem(word))

        return stem_anew
    if algorithm == "porter":
        return _function(stem.PorterStemmer(mode.upper()))
    if algorithm == "lancaster":
        lancaster = stem.LancasterStemmer()
        lancaster.parseRules()  # now, or the first words of several threads would race
        return _function(lancaster)
    return _function(_regexp_stemmer(stem.RegexpStemmer, pattern, min_length))


def _regexp_stemmer(make: Callable[..., Any], pattern: str | None, min_length: int) -> Any:
    if not pattern:
        raise ConfigError(
            f"algorithm = 'regexp' needs a pattern of what to cut off, not {pattern!r}; give "
            "pattern = 'ing$|s$'"
        )
    try:
        return make(pattern, min=min_length)
    except (re.error, ValueError, RecursionError, OverflowError) as error:
        raise ConfigError(
            f"pattern = {pattern!r} is no regular expression ({error}); write for example "
            "pattern = 'ing$|s$|able$'"
        ) from error


def _function(stemmer: Any) -> _Stem:
    function: _Stem = stemmer.stem
    return function


def _restore(algorithm: str, settings: dict[str, Any]) -> Stemmer:
    return Stemmer(algorithm, **settings)
