"""Parsing with the user's grammar by NLTK, in bounded work.

A context-free grammar (CFG) goes through NLTK's chart parser and gives the first tree that it
finds; one with probabilities (PCFG) goes through NLTK's Viterbi parser and gives the most
probable tree. NLTK lists all trees of a chart before it hands out the first one, and there may
be exponentially many; here the chart keeps one way to build each edge, so that the first tree
is read off in time linear in its size.

Grammars are written as NLTK reads them: a production a line, words in quotes, ``|`` between
alternatives, ``#`` before a comment, ``%start X`` for another start symbol than the first left
side. Papers: M. Kay, Algorithm schemata and data structures in syntactic processing, Xerox
PARC, 1980 (charts); C. D. Manning and H. Schütze, Foundations of Statistical NLP, 1999, ch. 11
(Viterbi for PCFGs).
"""

from __future__ import annotations

import inspect
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from time import perf_counter
from typing import Any

from spacy_attn.errors import ConfigError, RecordError, ResourceError, explain_missing_package

__all__ = [
    "EXAMPLE_GRAMMAR",
    "METHODS",
    "STATUSES",
    "GrammarParser",
    "Parse",
    "escape_leaf",
    "is_grammar_text",
    "read_grammar_file",
    "read_tree",
]

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

_ROUND = {"(": "-LRB-", ")": "-RRB-"}  # as in the treebanks, where brackets build the tree
_SPACE = "\u2423"  # the sign for a space; a merged token such as "New York" stays one leaf
_CLOSE = object()  # on the stack of a tree being written


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
        max_edges: of one sentence; legal from 1. The result does not depend on the machine.
        max_seconds: for one sentence; legal above 0. A safety net behind ``max_edges``.

    Raises:
        ConfigError: a setting is illegal, or the grammar has a mistake.
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
    ) -> None:
        check_limits(method, max_edges, max_seconds)
        self.grammar = grammar
        self._settings: dict[str, Any] = {
            "method": method,
            "ignore_case": ignore_case,
            "max_edges": max_edges,
            "max_seconds": max_seconds,
        }
        is_probabilistic = _has_probabilities(grammar)
        if method == "viterbi" and not is_probabilistic:
            raise ConfigError(
                "method = 'viterbi' needs a probability at each production of the grammar, such "
                "as N -> 'bat' [1.0]; write them, or take method = 'chart'"
            )
        self.method = method
        if method == "auto":
            self.method = "viterbi" if is_probabilistic else "chart"
        with explain_missing_package("nltk_parser"):
            start, productions = _read_productions(grammar, is_probabilistic)
        _check_productions(start, productions, grammar)
        if is_probabilistic:
            _check_probabilities(productions, grammar)
        if self.method == "viterbi":
            _refuse_empty_productions(productions, grammar)
        if ignore_case:
            productions = _in_lower_case(productions)
        self._terminals = frozenset(
            symbol for each in productions for symbol in each.rhs() if isinstance(symbol, str)
        )
        self._start = start
        self._productions = _in_pairs(productions) if self.method == "viterbi" else productions
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
        budget = _Budget(self._settings["max_edges"], self._settings["max_seconds"])
        try:
            if self.method == "chart":
                return self._parse_by_chart(tokens, shown, budget)
            return self._parse_by_viterbi(tokens, shown, budget)
        except _OverLimit as limit:
            return Parse(str(limit), n_edges=budget.n_edges)

    def _normal(self, terminal: str) -> str:
        return terminal.lower() if self._settings["ignore_case"] else terminal

    def _parse_by_chart(self, tokens: list[str], leaves: Iterator[str], budget: _Budget) -> Parse:
        from nltk.parse import ChartParser

        chart_class = partial(_bounded_chart_class(), budget=budget)
        parser = ChartParser(self._cfg, chart_class=chart_class, **_no_own_limit(ChartParser))
        chart = parser.chart_parse(tokens)
        root = next(chart.select(start=0, end=len(tokens), lhs=self._start, is_complete=True), None)
        if root is None:
            return Parse("no_parse", n_edges=budget.n_edges)
        tree = _bracketed(root, partial(_expand_edge, chart), leaves)
        return Parse("parsed", tree, budget.n_edges)

    def _parse_by_viterbi(self, tokens: list[str], leaves: Iterator[str], budget: _Budget) -> Parse:
        from nltk.parse import ViterbiParser

        grammar = _MeteredGrammar(self._start, self._productions, budget)
        parser = ViterbiParser(grammar, **_no_own_limit(ViterbiParser))
        root = next(parser.parse(tokens), None)
        grammar.count()
        if root is None:
            return Parse("no_parse", n_edges=budget.n_edges)
        if root.prob() < sys.float_info.min:
            return Parse("underflow", n_edges=budget.n_edges)
        tree = _bracketed(root, _expand_tree, leaves)
        return Parse("parsed", tree, budget.n_edges, math.log(root.prob()))


def read_tree(bracketed: str) -> Any:
    """The bracketed string as an ``nltk.Tree``, brackets and spaces in its leaves restored.

    >>> read_tree("(S (NP (Det The) (N bat)) (VP (V flew)))").leaves()
    ['The', 'bat', 'flew']

    Raises:
        RecordError: the string is no tree, or one deeper than NLTK reads.
        ResourceError: NLTK is not installed.
    """
    with explain_missing_package("read_tree"):
        from nltk.tree import Tree
    # NLTK's own patterns take a backslash before a bracket for an escape, and text has both.
    pattern = r"[^\s()]+"
    try:
        return Tree.fromstring(
            bracketed, node_pattern=pattern, leaf_pattern=pattern, read_leaf=_unescape
        )
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise RecordError(
            f"{bracketed[:60]!r} is no bracketed tree ({reason}); give what parse_tree of a "
            "sentence holds, such as '(S (NP bats) (VP fly))'"
        ) from error


def escape_leaf(text: str) -> str:
    """A token's text as a leaf: ``-LRB-`` and ``-RRB-`` for round brackets, ``␣`` for a space.

    >>> escape_leaf("(")
    '-LRB-'
    """
    for bracket, name in _ROUND.items():
        text = text.replace(bracket, name)
    return re.sub(r"\s", _SPACE, text)


def _unescape(leaf: str) -> str:
    for bracket, name in _ROUND.items():
        leaf = leaf.replace(name, bracket)
    return leaf.replace(_SPACE, " ")


def is_grammar_text(grammar: str) -> bool:
    """Whether a string is a grammar and not the path of one: a grammar has an arrow."""
    return "->" in grammar or "\n" in grammar


def read_grammar_file(path: str | Path) -> str:
    """The text of a grammar file.

    Raises:
        ResourceError: there is no such file, or it is not UTF-8.
    """
    try:
        return Path(path).expanduser().read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ResourceError(
            f"the grammar {path} is not UTF-8 ({error.reason} at byte {error.start}); save it as "
            "UTF-8"
        ) from error
    except (OSError, ValueError) as error:  # a path with a null byte is a ValueError
        reason = error.strerror if isinstance(error, OSError) else error
        raise ResourceError(
            f"the grammar {str(path)[:200]!r} cannot be read ({reason}); give grammar = the path "
            "of a file, or the productions themselves, such as \"S -> 'hello'\""
        ) from error


def check_limits(method: str, max_edges: int, max_seconds: float) -> None:
    """Refuse settings outside their range.

    Raises:
        ConfigError: one of them is.
    """
    if method not in METHODS:
        raise ConfigError(f"method = {method!r} is no method; legal are {', '.join(METHODS)}")
    if max_edges < 1:
        raise ConfigError(f"max_edges = {max_edges}; legal is a whole number from 1")
    if not max_seconds > 0:
        raise ConfigError(f"max_seconds = {max_seconds}; legal is a number above 0")


# -- reading a grammar ------------------------------------------------------------------

_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")


def _lines(grammar: str) -> Iterator[tuple[int, str]]:
    """Number and text of the lines with productions, quoted words left out."""
    for number, line in enumerate(grammar.split("\n"), start=1):
        if not line.lstrip().startswith("#"):
            yield number, _QUOTED.sub(" ", line)


def _has_probabilities(grammar: str) -> bool:
    return any(re.search(r"\[[\d.]+\]", line) for _, line in _lines(grammar))


def _line_of(symbol: Any, grammar: str, arrow: str = "") -> int:
    """The first line that names a nonterminal; with an arrow, as its left side."""
    word = re.compile(rf"(?<![\w/^<>-]){re.escape(str(symbol))}(?![\w/^<>-])\s*{arrow}")
    return next((number for number, line in _lines(grammar) if word.search(line)), 1)


def _read_productions(grammar: str, is_probabilistic: bool) -> tuple[Any, list[Any]]:
    """Start symbol and productions by NLTK's reader.

    Raises:
        ConfigError: a line is not one that NLTK understands, or there is none at all.
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
    return start, productions


def _check_productions(start: Any, productions: Sequence[Any], grammar: str) -> None:
    """Refuse what NLTK takes and can never use: mostly a word without quotes."""
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
                f"grammar) sum to {total:.4g}; legal is 1, up to {PCFG.EPSILON}"
            )


def _refuse_empty_productions(productions: Sequence[Any], grammar: str) -> None:
    for each in productions:
        if not each.rhs():
            raise ConfigError(
                f"line {_line_of(each.lhs(), grammar, '->')} of the grammar has an empty "
                f"production of {each.lhs()}, which NLTK's Viterbi parser never uses; write the "
                "productions without it, or take method = 'chart'"
            )


def _make_cfg(start: Any, productions: list[Any]) -> Any:
    from nltk.grammar import CFG

    # Left corners are for other chart strategies than NLTK's default one.
    return CFG(start, productions, calculate_leftcorners=False)


def _shown(production: Any) -> str:
    return f"{production.lhs()} -> " + " ".join(map(repr, production.rhs()))


def _in_lower_case(productions: Iterable[Any]) -> list[Any]:
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


def _in_pairs(productions: Iterable[Any]) -> list[Any]:
    """The same PCFG with at most two symbols on each right side.

    ViterbiParser lists every way to cut a span into the symbols of a right side, so long ones
    cost time and memory without bound. ``A -> B C D [p]`` becomes ``A -> B 0 [p]`` and
    ``0 -> C D [1.0]``: the trees and their probabilities are the same once the nodes with a
    number are taken out (see ``_expand_tree``).
    """
    from nltk.grammar import Nonterminal, ProbabilisticProduction

    pairs: list[Any] = []
    rests: dict[tuple[Any, Any], Any] = {}  # what a right side ends in, and the symbol for it
    for each in productions:
        rhs = each.rhs()
        new = []
        if len(rhs) > 2:
            rest = rhs[-1]
            for symbol in reversed(rhs[1:-1]):
                end = (symbol, rest)
                if end not in rests:
                    rests[end] = Nonterminal(len(rests))
                    new.append(ProbabilisticProduction(rests[end], end, prob=1.0))
                rest = rests[end]
            rhs = (rhs[0], rest)
        pairs.append(ProbabilisticProduction(each.lhs(), rhs, prob=each.prob()))
        pairs.extend(reversed(new))
    return pairs


# -- bounded work -------------------------------------------------------------------------


class _OverLimit(Exception):
    """A sentence is given up; the message is its status, and nobody sees it."""


class _Budget:
    """Edges and seconds of one sentence."""

    def __init__(self, max_edges: int, max_seconds: float) -> None:
        self.n_edges = 0
        self._max_edges = max_edges
        self._deadline = perf_counter() + max_seconds

    def spend(self, n_edges: int) -> None:
        self.n_edges += n_edges
        if self.n_edges > self._max_edges:
            raise _OverLimit("over_max_edges")

    def check_time(self) -> None:
        if perf_counter() > self._deadline:
            raise _OverLimit("over_max_seconds")


@lru_cache(maxsize=1)
def _bounded_chart_class() -> Callable[..., Any]:
    """NLTK's Chart that keeps one way to build each edge and stops at a limit."""
    from nltk.parse.chart import Chart

    class BoundedChart(Chart):  # type: ignore[misc]  # NLTK has no types
        def __init__(self, tokens: list[str], budget: _Budget) -> None:
            self.budget = budget
            super().__init__(tokens)

        def insert(self, edge: Any, *child_pointer_lists: Any) -> bool:
            self.budget.check_time()
            if self.child_pointer_lists(edge):
                return False  # another way to build it: further trees, no further edges
            self.budget.spend(1)
            return bool(super().insert(edge, *child_pointer_lists[:1]))

    return BoundedChart


class _MeteredGrammar:
    """What ViterbiParser asks of a grammar, its work counted on the way.

    The parser asks for the productions once for each pass over a span, for ``rhs`` of each to
    match it, and for ``prob`` of those that match.
    """

    def __init__(self, start: Any, productions: Iterable[Any], budget: _Budget) -> None:
        self._start = start
        self._budget = budget
        self._found: set[Any] = set()
        self._productions = [_MeteredProduction(each, budget, self._found) for each in productions]

    def check_coverage(self, tokens: Sequence[str]) -> None:
        """Nothing: ``GrammarParser`` has looked."""

    def start(self) -> Any:
        return self._start

    def productions(self) -> list[_MeteredProduction]:
        self.count()
        return self._productions

    def count(self) -> None:
        """Pay for the constituents of the last pass."""
        self._budget.spend(len(self._found))
        self._found.clear()


class _MeteredProduction:
    def __init__(self, production: Any, budget: _Budget, found: set[Any]) -> None:
        self._lhs, self._rhs, self._prob = production.lhs(), production.rhs(), production.prob()
        self._budget = budget
        self._found = found

    def lhs(self) -> Any:
        return self._lhs

    def rhs(self) -> Any:
        self._budget.check_time()
        return self._rhs

    def prob(self) -> float:
        self._found.add(self._lhs)
        return float(self._prob)


def _no_own_limit(parser: Callable[..., Any]) -> dict[str, Any]:
    """NLTK from 3.10.3 on gives up after 5 seconds by itself; max_seconds takes its place."""
    return {"max_time": None} if "max_time" in inspect.signature(parser).parameters else {}


# -- writing a tree -----------------------------------------------------------------------

_Expanded = tuple[str, list[Any]] | None  # label and children; None for a leaf


def _bracketed(root: Any, expand: Callable[[Any], _Expanded], leaves: Iterator[str]) -> str:
    """A tree on one line, as ``nltk.Tree`` writes it; without recursion, so of any depth."""
    pieces: list[str] = []
    stack = [root]
    while stack:
        node = stack.pop()
        if node is _CLOSE:
            pieces.append(")")
            continue
        expanded = expand(node)
        if expanded is None:
            pieces.append(f" {next(leaves)}")
            continue
        label, children = expanded
        pieces.append(f" ({label}" if children else f" ({label} ")
        stack.append(_CLOSE)
        stack.extend(reversed(children))
    return "".join(pieces)[1:]


def _expand_edge(chart: Any, edge: Any) -> _Expanded:
    if isinstance(edge.lhs(), str):
        return None
    (children,) = chart.child_pointer_lists(edge)
    return edge.lhs().symbol(), list(children)


def _expand_tree(node: Any) -> _Expanded:
    if isinstance(node, str):
        return None
    children = list(node)
    while not isinstance(children[-1], str) and isinstance(children[-1].label(), int):
        children[-1:] = children[-1]
    return node.label(), children


def _restore(grammar: str, settings: dict[str, Any]) -> GrammarParser:
    return GrammarParser(grammar, **settings)
