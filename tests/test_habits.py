"""What CONTRIBUTING.md says of every file: short modules, formatted code, errors that are read."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "spacy_attn").rglob("*.py"))
OTHERS = [path for part in ("benchmarks", "scripts") for path in (ROOT / part).rglob("*.py")]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
MOST_LINES = 500  # of a module
MOST_SKIPS = 20  # places that are formatted by hand, in the whole package


def raises_without_match(source: str) -> Iterator[int]:
    """The lines that expect an error or a warning, whatever it says."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in (
            "pytest.raises",
            "pytest.warns",
        ):
            if not any(keyword.arg == "match" for keyword in node.keywords):
                yield node.lineno


def test_modules_are_short() -> None:
    lines = {
        str(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES + OTHERS
    }
    assert len(lines) > 270
    assert {path: n for path, n in lines.items() if n > MOST_LINES} == {}


def test_little_is_formatted_by_hand() -> None:
    mark = "# fmt:"
    assert sum(path.read_text(encoding="utf-8").count(mark) for path in MODULES) <= MOST_SKIPS


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_errors_are_read(path: Path) -> None:
    assert list(raises_without_match(path.read_text(encoding="utf-8"))) == []


def test_an_error_that_is_not_read_is_found() -> None:
    read = "with pytest.raises(ValueError, match='no'):\n    f()\n"
    assert list(raises_without_match(read + "with pytest.raises(ValueError):\n    f()")) == [3]
