"""A grammar and the limits for its use."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from spacy_attn.classic.parse.bounded import (
    Budget,
    MeteredGrammar,
    OverLimit,
    bounded_chart_class,
    in_pairs,
    no_own_limit,
)
from spacy_attn.classic.parse.grammar import (
    MAX_SYMBOLS,
    check_size,
    has_probabilities,
    in_lower_case,
    read_productions,
    refuse_empty_productions,
)
from spacy_attn.classic.parse.trees import bracketed, escape_leaf, expand_edge, expand_tree
from spacy_attn.errors import ConfigError, allowed_names, explain_missing_package

METHODS = ("auto", "chart", "viterbi")
#: How the parsing of a sentence ends.
STATUSES = {
    "parsed": "there is a tree",
    "no_parse": "the grammar covers the words and not their order",
    "uncovered": "the grammar has no terminal for some words; they are in the details",
    "over_max_edges": "given up: more edges than max_edges",
    "over_max_seconds": "given up: more time than max_seconds",
    "underflow": "its probability is too small for a float, so trees cannot be compared",
    "empty": "no token to parse",
}


@dataclass(frozen=True, slots=True)
class Parse:
    """What became of one sentence."""

    status: str  # a key of STATUSES
    tree: str | None = None  # bracketed, on one line
    n_edges: int = 0  # of the chart; constituents tried, for Viterbi
    log_probability: float | None = None  # of the tree, natural logarithm; None for a CFG
    uncovered: tuple[str, ...] = ()  # terminals that the grammar lacks, each once


class GrammarParser:
    """A grammar and the limits for its use. Picklable, and safe to use from several threads.

    Args:
        grammar: productions as NLTK reads them; with probabilities in brackets it is a PCFG.
        method: "chart" (any tree) or "viterbi" (the most probable one); "auto" takes viterbi
            where the grammar has probabilities.
        ignore_case: whether "The" matches the terminal 'the', and "john" the terminal 'John'.
        max_edges: of one sentence; from 1. The result does not depend on the machine.
        max_seconds: for one sentence; above 0. A safety net behind ``max_edges``.
        max_symbols: of the grammar; from 1. It is read once, and the limits for a sentence do not
            count that.

    Raises:
        ConfigError: a setting is wrong, or the grammar has a mistake.
        ResourceError: NLTK is not installed.
    """

    def __init__(
        self,
        grammar: str,
        *,
        method: str = "auto",
        ignore_case: bool = False,
        max_edges: int = 10_000,
        max_seconds: float = 5.0,
        max_symbols: int = MAX_SYMBOLS,
    ) -> None:
        check_limits(method, max_edges, max_seconds, max_symbols)
        check_size(grammar, max_symbols)
        self.grammar = grammar
        self._settings: dict[str, Any] = {
            "method": method,
            "ignore_case": ignore_case,
            "max_edges": max_edges,
            "max_seconds": max_seconds,
            "max_symbols": max_symbols,
        }
        is_probabilistic = has_probabilities(grammar)
        if method == "viterbi" and not is_probabilistic:
            raise ConfigError(
                "method = 'viterbi' needs a probability at each production of the grammar, such "
                "as N -> 'bat' [1.0]; write them, or take method = 'chart'"
            )
        self.method = method
        if method == "auto":
            self.method = "viterbi" if is_probabilistic else "chart"
        with explain_missing_package("nltk_parser"):
            start, productions = read_productions(grammar, is_probabilistic)
        if self.method == "viterbi":
            refuse_empty_productions(productions, grammar)
        if ignore_case:
            productions = in_lower_case(productions)
        self._terminals = frozenset(
            symbol for each in productions for symbol in each.rhs() if isinstance(symbol, str)
        )
        self._start = start
        self._productions = in_pairs(productions) if self.method == "viterbi" else productions
        self._cfg = _make_cfg(start, productions)

    def __reduce__(self) -> tuple[Any, ...]:
        """A child process gets text and settings and reads the grammar itself."""
        return _restore, (self.grammar, self._settings)

    def covers(self, terminal: str) -> bool:
        """Whether the grammar has this terminal."""
        return self._normal(terminal) in self._terminals

    def parse(self, terminals: Sequence[str], leaves: Sequence[str] | None = None) -> Parse:
        """Parse one sentence.

        Args:
            terminals: what the grammar is to match: words, or tags.
            leaves: what the tree shows for each of them, already escaped; None: the terminals.
        """
        if not terminals:
            return Parse("empty")
        uncovered = tuple(dict.fromkeys(each for each in terminals if not self.covers(each)))
        if uncovered:
            return Parse("uncovered", uncovered=uncovered)
        shown = iter(map(escape_leaf, terminals) if leaves is None else leaves)
        tokens = [self._normal(each) for each in terminals]
        budget = Budget(self._settings["max_edges"], self._settings["max_seconds"])
        try:
            if self.method == "chart":
                return self._parse_by_chart(tokens, shown, budget)
            return self._parse_by_viterbi(tokens, shown, budget)
        except OverLimit as limit:
            return Parse(str(limit), n_edges=budget.n_edges)

    def _normal(self, terminal: str) -> str:
        return terminal.lower() if self._settings["ignore_case"] else terminal

    def _parse_by_chart(self, tokens: list[str], leaves: Iterator[str], budget: Budget) -> Parse:
        from nltk.parse import ChartParser

        chart_class = partial(bounded_chart_class(), budget=budget)
        parser = ChartParser(self._cfg, chart_class=chart_class, **no_own_limit(ChartParser))
        chart = parser.chart_parse(tokens)
        root = next(chart.select(start=0, end=len(tokens), lhs=self._start, is_complete=True), None)
        if root is None:
            return Parse("no_parse", n_edges=budget.n_edges)
        tree = bracketed(root, partial(expand_edge, chart), leaves)
        return Parse("parsed", tree, budget.n_edges)

    def _parse_by_viterbi(self, tokens: list[str], leaves: Iterator[str], budget: Budget) -> Parse:
        from nltk.parse import ViterbiParser

        grammar = MeteredGrammar(self._start, self._productions, budget)
        parser = ViterbiParser(grammar, **no_own_limit(ViterbiParser))
        root = next(parser.parse(tokens), None)
        grammar.count()
        if root is None:
            return Parse("no_parse", n_edges=budget.n_edges)
        if root.prob() < sys.float_info.min:
            return Parse("underflow", n_edges=budget.n_edges)
        tree = bracketed(root, expand_tree, leaves)
        return Parse("parsed", tree, budget.n_edges, math.log(root.prob()))


def check_limits(method: str, max_edges: int, max_seconds: float, max_symbols: int) -> None:
    """Refuse settings outside their range.

    Raises:
        ConfigError: one of them is.
    """
    if method not in METHODS:
        raise ConfigError(f"method = {method!r} is no method; {allowed_names(method, METHODS)}")
    if max_edges < 1:
        raise ConfigError(f"max_edges = {max_edges}; allowed: a whole number from 1")
    if not max_seconds > 0:
        raise ConfigError(f"max_seconds = {max_seconds}; allowed: a number above 0")
    if max_symbols < 1:
        raise ConfigError(f"max_symbols = {max_symbols}; allowed: a whole number from 1")


def _make_cfg(start: Any, productions: list[Any]) -> Any:
    from nltk.grammar import CFG

    # Left corners are for other chart strategies than NLTK's default one.
    return CFG(start, productions, calculate_leftcorners=False)


def _restore(grammar: str, settings: dict[str, Any]) -> GrammarParser:
    return GrammarParser(grammar, **settings)
