"""The docstring of a room says where things are: it names each of its modules."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "spacy_attn"
ROOMS = (
    "models",
    "components",
    "compare",
    "encoder",
    "explain",
    "train",
    "wsd",
    "wsd/inventory",
    "wsd/methods",
)


@pytest.mark.parametrize("room", ROOMS)
def test_the_map_of_a_room_names_its_modules(room: str) -> None:
    folder = PACKAGE / room
    tree = ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))
    named = set(re.findall(r"``(\w+)``", ast.get_docstring(tree) or ""))
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    folders = {path.parent.name for path in folder.glob("*/__init__.py")}
    if room == "wsd/methods":  # each method is a file of its name
        modules = {
            name for name in modules if (folder / f"{name}.py").read_text().count("_v1(") == 0
        }
    assert modules | folders <= named
