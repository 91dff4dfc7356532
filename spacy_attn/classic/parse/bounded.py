"""NLTK's chart and Viterbi parsers, their work counted and bounded."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from time import perf_counter
from typing import Any


class OverLimit(Exception):
    """A sentence is given up; the message is its status, and nobody sees it."""


class Budget:
    """Edges and seconds of one sentence."""

    def __init__(self, max_edges: int, max_seconds: float) -> None:
        self.n_edges = 0
        self._max_edges = max_edges
        self._deadline = perf_counter() + max_seconds

    def spend(self, n_edges: int) -> None:
        """Count edges.

        Raises:
            OverLimit: there are too many.
        """
        self.n_edges += n_edges
        if self.n_edges > self._max_edges:
            raise OverLimit("over_max_edges")

    def check_time(self) -> None:
        """Look at the clock.

        Raises:
            OverLimit: the time is over.
        """
        if perf_counter() > self._deadline:
            raise OverLimit("over_max_seconds")


@lru_cache(maxsize=1)
def bounded_chart_class() -> Callable[..., Any]:
    """NLTK's Chart that keeps one way to build each edge and stops at a limit."""
    from nltk.parse.chart import Chart

    class BoundedChart(Chart):  # type: ignore[misc]  # NLTK has no types
        def __init__(self, tokens: list[str], budget: Budget) -> None:
            self.budget = budget
            super().__init__(tokens)

        def insert(self, edge: Any, *child_pointer_lists: Any) -> bool:
            self.budget.check_time()
            if self.child_pointer_lists(edge):
                return False  # another way to build it: further trees, no further edges
            self.budget.spend(1)
            return bool(super().insert(edge, *child_pointer_lists[:1]))

    return BoundedChart


class MeteredGrammar:
    """What ViterbiParser asks of a grammar, its work counted on the way.

    The parser asks for the productions once for each pass over a span, for ``rhs`` of each to
    match it, and for ``prob`` of those that match.
    """

    def __init__(self, start: Any, productions: Iterable[Any], budget: Budget) -> None:
        self._start = start
        self._budget = budget
        self._found: set[Any] = set()
        self._productions = [_MeteredProduction(each, budget, self._found) for each in productions]

    def check_coverage(self, tokens: Sequence[str]) -> None:
        """Nothing: ``GrammarParser`` has looked."""

    def start(self) -> Any:
        """The start symbol."""
        return self._start

    def productions(self) -> list[_MeteredProduction]:
        """All of them, for one more pass over a span."""
        self.count()
        return self._productions

    def count(self) -> None:
        """Pay for the constituents of the last pass."""
        self._budget.spend(len(self._found))
        self._found.clear()


class _MeteredProduction:
    def __init__(self, production: Any, budget: Budget, found: set[Any]) -> None:
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


def in_pairs(productions: Iterable[Any]) -> list[Any]:
    """The same PCFG with at most two symbols on each right side.

    ViterbiParser lists every way to cut a span into the symbols of a right side, so long ones
    cost time and memory without bound. ``A -> B C D [p]`` becomes ``A -> B 0 [p]`` and
    ``0 -> C D [1.0]``: the trees and their probabilities are the same once the nodes with a
    number are taken out (see ``expand_tree``).
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


def no_own_limit(parser: Callable[..., Any]) -> dict[str, Any]:
    """NLTK from 3.10.3 on gives up after 5 seconds by itself; max_seconds takes its place."""
    return {"max_time": None} if "max_time" in inspect.signature(parser).parameters else {}
