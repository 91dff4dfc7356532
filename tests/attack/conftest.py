"""The size of the attacks, and their counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

SEED = 20_261_128
_tried: Counter[str] = Counter()
_failed: Counter[str] = Counter()


class Tally:
    """Counts what was tried and what failed; keeps the first failures."""

    def __init__(self) -> None:
        self.failures: list[str] = []

    def check(self, kind: str, good: bool, what: object = "") -> None:
        """Count one attempt."""
        _tried[kind] += 1
        if not good:
            _failed[kind] += 1
            if len(self.failures) < 20:
                self.failures.append(f"{kind}: {what}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of this folder is slow, and runs only when it is asked for."""
    for item in items:
        if "attack" in item.path.parts:
            item.add_marker(pytest.mark.attack)
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(0))  # a full run takes hours


@pytest.fixture
def size(pytestconfig: pytest.Config) -> int:
    """How many texts are generated; other attacks take a share of it."""
    return int(pytestconfig.getoption("--attack-size"))


@pytest.fixture
def tally() -> Iterator[Tally]:
    """A test with failed attempts fails at its end, with the first of them."""
    counts = Tally()
    yield counts
    assert not counts.failures, "\n".join(counts.failures)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What was tried, and how much of it failed."""
    if _tried:
        terminalreporter.section("attacks")
        for kind in _tried:
            terminalreporter.line(f"{kind:45} {_tried[kind]:>10,} tried {_failed[kind]:>6,} failed")
