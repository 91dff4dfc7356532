"""The docstring of a folder says where things are: it names each of its modules."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "spacy_attn"
FOLDERS = sorted(str(path.parent.relative_to(PACKAGE)) for path in PACKAGE.rglob("__init__.py"))


@pytest.mark.parametrize("name", FOLDERS)
def test_the_map_of_a_folder_names_its_modules(name: str) -> None:
    folder = PACKAGE / name
    tree = ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))
    named = set(re.findall(r"``(\w+)``", ast.get_docstring(tree) or ""))
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    folders = {path.parent.name for path in folder.glob("*/__init__.py")}
    if name == "wsd/methods":  # each method is a file of its name
        modules = {
            name for name in modules if (folder / f"{name}.py").read_text().count("_v1(") == 0
        }
    assert modules | folders <= named


def test_all_folders_have_a_map() -> None:
    assert {".", "jobs/engines", "wsd/inventory/importers"} <= set(FOLDERS)
