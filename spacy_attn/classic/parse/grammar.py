"""Grammars as NLTK reads them, checked for what NLTK takes and can never use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from spacy_attn.errors import ConfigError

#: A grammar to start from; it parses "The bat flew at night." and "Swing the bat!".
EXAMPLE_GRAMMAR = """\
# A statement or a command.
S -> NP VP '.' | VP '!'
NP -> Det N | Det N PP
VP -> V | V NP | VP PP
PP -> P N | P NP
# Words, in lower case.
Det -> 'the' | 'a'
N -> 'bat' | 'ball' | 'cave' | 'night'
V -> 'flew' | 'hit' | 'swing'
P -> 'at' | 'in' | 'with'
"""
MAX_SYMBOLS = 100_000
_MOST_WORDS = 1000  # on a right side; NLTK hashes all of it for each of them
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_SYMBOL = re.compile(r"\"[^\"]*\"|'[^']*'|\||[^\s|'\"]+")


def is_grammar_text(grammar: str) -> bool:
    """Whether a string is a grammar and not the path of one: a grammar has an arrow."""
    return "->" in grammar or "\n" in grammar


def has_probabilities(grammar: str) -> bool:
    """Whether a grammar is a PCFG."""
    return any(re.search(r"\[[\d.]+\]", line) for _, line in _lines(grammar))


def check_size(grammar: str, max_symbols: int) -> None:
    """Refuse a grammar that would take long to read, before NLTK reads it.

    Raises:
        ConfigError: it has more symbols than ``max_symbols``, an arrow and a bar counted as one.
    """
    n = 0
    for line in grammar.split("\n"):
        if not line.lstrip().startswith("#"):
            n += sum(1 for _ in islice(_SYMBOL.finditer(line), max_symbols + 1 - n))
        if n > max_symbols:
            raise ConfigError(
                f"the grammar has more than {max_symbols} symbols, both sides and each | and -> "
                f"counted; give a smaller one, or max_symbols = {10 * max_symbols} (100,000 are "
                "read in some seconds)"
            )


def read_productions(grammar: str, is_probabilistic: bool) -> tuple[Any, list[Any]]:
    """Start symbol and productions by NLTK's reader.

    Raises:
        ConfigError: a line is not one that NLTK understands, or there is none at all; or a
            symbol has no production, or the probabilities of one do not sum to 1.
    """
    from nltk.grammar import read_grammar, standard_nonterm_parser

    try:
        start, productions = read_grammar(
            grammar, standard_nonterm_parser, probabilistic=is_probabilistic
        )
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"the grammar is not well formed: {reason[:200]}; write a production a line, such "
            "as NP -> Det N | 'bats'"
        ) from error
    _check_productions(start, productions, grammar)
    if is_probabilistic:
        _check_probabilities(productions, grammar)
    return start, productions


def _check_productions(start: Any, productions: Sequence[Any], grammar: str) -> None:
    """Refuse what NLTK takes and can never use: mostly a word without quotes."""
    for each in productions:
        if (n := sum(isinstance(symbol, str) for symbol in each.rhs())) > _MOST_WORDS:
            raise ConfigError(
                f"line {_line_of(each.lhs(), grammar, '->')} of the grammar has a production of "
                f"{each.lhs()} with {n} words; allowed: {_MOST_WORDS}; write it as several"
            )
    defined = {each.lhs() for each in productions}
    for symbol in [start, *(symbol for each in productions for symbol in each.rhs())]:
        if symbol == "":
            raise ConfigError(
                "the grammar has the word '', which no token matches; an empty production has "
                "nothing at all after its arrow"
            )
        if not isinstance(symbol, str) and symbol not in defined:
            raise ConfigError(
                f"line {_line_of(symbol, grammar)} of the grammar names {symbol}, which has "
                f"no production; add {symbol} -> ..., or write '{symbol}' if it is a word"
            )


def _check_probabilities(productions: Sequence[Any], grammar: str) -> None:
    sums: dict[Any, float] = {}
    for each in productions:
        if each.prob() <= 0.0:
            raise ConfigError(
                f"line {_line_of(each.lhs(), grammar, '->')} of the grammar has a production of "
                f"{each.lhs()} without a probability above 0 ({_shown(each)}); write one behind "
                "it in brackets, such as [0.5]"
            )
        sums[each.lhs()] = sums.get(each.lhs(), 0.0) + each.prob()
    from nltk.grammar import PCFG

    for symbol, total in sums.items():
        if abs(total - 1.0) >= PCFG.EPSILON:
            raise ConfigError(
                f"the probabilities of {symbol} (line {_line_of(symbol, grammar, '->')} of the "
                f"grammar) sum to {total:.4g}; allowed: 1, up to {PCFG.EPSILON}"
            )


def refuse_empty_productions(productions: Sequence[Any], grammar: str) -> None:
    """Refuse what NLTK's Viterbi parser never uses.

    Raises:
        ConfigError: a production has nothing after its arrow.
    """
    for each in productions:
        if not each.rhs():
            raise ConfigError(
                f"line {_line_of(each.lhs(), grammar, '->')} of the grammar has an empty "
                f"production of {each.lhs()}, which NLTK's Viterbi parser never uses; write the "
                "productions without it, or take method = 'chart'"
            )


def in_lower_case(productions: Iterable[Any]) -> list[Any]:
    """Terminals in lower case; productions that become equal are one, their probabilities added."""
    from nltk.grammar import ProbabilisticProduction, Production

    merged: dict[Any, float | None] = {}
    for each in productions:
        rhs = tuple(symbol.lower() if isinstance(symbol, str) else symbol for symbol in each.rhs())
        key = (each.lhs(), rhs)
        if isinstance(each, ProbabilisticProduction):
            merged[key] = (merged.get(key) or 0.0) + each.prob()
        else:
            merged[key] = None
    return [
        Production(*key) if prob is None else ProbabilisticProduction(*key, prob=prob)
        for key, prob in merged.items()
    ]


def _lines(grammar: str) -> Iterator[tuple[int, str]]:
    """Number and text of the lines with productions, quoted words left out."""
    for number, line in enumerate(grammar.split("\n"), start=1):
        if not line.lstrip().startswith("#"):
            yield number, _QUOTED.sub(" ", line)


def _line_of(symbol: Any, grammar: str, arrow: str = "") -> int:
    """The first line that names a nonterminal; with an arrow, as its left side."""
    word = re.compile(rf"(?<![\w/^<>-]){re.escape(str(symbol))}(?![\w/^<>-])\s*{arrow}")
    return next((number for number, line in _lines(grammar) if word.search(line)), 1)


def _shown(production: Any) -> str:
    return f"{production.lhs()} -> " + " ".join(map(repr, production.rhs()))
