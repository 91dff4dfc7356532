"""What stands in docs/ is executed, like the README: blocks in order, in one namespace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from spacy_attn.errors import ResourceError
from spacy_attn.models import glove_files
from tests.test_readme import blocks_of, is_output, run_python

DOCS = sorted((Path(__file__).parents[1] / "docs").glob("*.md"))


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.stem)
def test_its_blocks_print_what_it_says(path: Path) -> None:
    try:
        glove_files()
    except ResourceError:
        pytest.skip("needs the GloVe wheel of [models]")
    text = path.read_text(encoding="utf-8")
    blocks = [block for block in blocks_of(text) if block.language == "python"]
    if path.stem == "methods":
        return  # a page of tables
    namespace: dict[str, Any] = {}
    for block in blocks:
        run = run_python(block.source, namespace)
        assert not run.failed, f"line {block.line}: {run.failed}"
        assert is_output(block.output or "", run.printed), f"line {block.line}:\n{run.printed}"


def test_attention_is_short() -> None:
    path = next(path for path in DOCS if path.stem == "attention")
    assert len(path.read_text(encoding="utf-8").splitlines()) < 150
