"""Imports go in one direction, without cycles: who may import whom, what is heavy, who prints.

    errors _types batches docbin files models patterns settings <- classic | encoder | wsd
        <- backends, train <- components <- explain | compare | jobs <- spacy_attn itself <- cli

Parts divided by ``|`` never import each other. Imports inside functions count like any other.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "spacy_attn"

#: Lower floors first. Parts of one floor may import each other where the floor says so.
FLOORS: list[tuple[set[str], bool]] = [
    (
        {
            "errors",
            "_types",
            "batches",
            "docbin",
            "files",
            "models",
            "patterns",
            "sentences",
            "settings",
        },
        True,
    ),
    ({"classic", "encoder", "wsd"}, False),
    ({"backends", "train"}, True),
    ({"components"}, True),
    ({"explain", "compare", "jobs"}, False),
    ({"__init__"}, True),  # the public names
    ({"cli", "__main__"}, True),
]
FLOOR = {part: i for i, (parts, _) in enumerate(FLOORS) for part in parts}

#: What a module may import when it is itself imported. Every ``spacy.blank`` imports our
#: components, so what they reach without a call has to be there and light.
LIGHT = {"spacy", "numpy", "thinc", "catalogue", "spacy_attn", *sys.stdlib_module_names}
#: Made of torch, like all of train: what loads them does so in a function.
OF_TORCH = {
    f"spacy_attn.encoder.{name}"
    for name in (
        "attention",
        "calibrate",
        "encoder_decoder",
        "int8",
        "lemmatizer",
        "linear",
        "packed",
        "padded",
        "precision",
        "rows",
        "self_attention",
        "single_precision",
        "static_network",
        "tuning",
    )
}
TERMINAL = {"typer", "rich", "packaging"}  # the command line is only imported as a command


def violations(module: str, source: str) -> list[str]:
    """What one module does against the order.

    Args:
        module: its dotted name, ``spacy_attn.wsd.methods.lesk``; a package ends in ``.__init__``.
        source: its code.
    """
    tree = ast.parse(source)
    part = module.split(".")[1]
    if part not in FLOOR:
        return [f"{module}: {part} has no floor; add it to FLOORS"]
    found = []
    for name, line, is_at_import in imported(module, tree):
        for reason in (
            _direction(part, name),
            _weight(module, part, name) if is_at_import else None,
        ):
            if reason:
                found.append(f"{module}:{line}: {reason}")
    if part != "cli":
        found += [f"{module}:{line}: prints" for line in printing(tree)]
    return found


def _direction(part: str, name: str) -> str | None:
    root, _, rest = name.partition(".")
    if root in ("benchmarks", "tests"):
        return f"imports {root}"
    if root in ("typer", "rich") and part != "cli":
        return f"imports {root}, which is for the command line"
    if root != "spacy_attn":
        return None
    other = rest.partition(".")[0] or "__init__"
    if other not in FLOOR:
        other = "__init__"  # a public name
    if other == part:
        return None
    _, may_mix = FLOORS[FLOOR[part]]
    is_below = FLOOR[other] < FLOOR[part]
    if is_below or (may_mix and FLOOR[other] == FLOOR[part]):
        return None
    return f"{part} imports {other}"


def _weight(module: str, part: str, name: str) -> str | None:
    root = name.partition(".")[0]
    if part == "train" or module in OF_TORCH:
        return None
    if name in OF_TORCH:
        return f"imports {name} outside a function"
    if name.startswith("spacy_attn.train") or (name.startswith("spacy_attn.cli") and part != "cli"):
        return None if part == "__main__" else f"imports {name} outside a function"
    if root in LIGHT or (part == "cli" and root in TERMINAL):
        return None
    return f"imports {root} outside a function"


def imported(module: str, tree: ast.Module) -> Iterator[tuple[str, int, bool]]:
    """(dotted name, line, whether importing the module is enough) of each import."""
    at_import = {id(node) for node in _run_at_import(tree)}
    for node in ast.walk(tree):
        for name in _names(module, node):
            yield name, node.lineno, id(node) in at_import  # type: ignore[attr-defined]


def _names(module: str, node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            package = module.split(".")[: -node.level]
            base = ".".join([*package, *([base] if base else [])])
        if base == "spacy_attn":  # "from spacy_attn import models" imports a part
            return [f"{base}.{alias.name}" for alias in node.names]
        return [base]
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        called = node.func.id if isinstance(node.func, ast.Name) else called
        if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
            return [node.args[0].value]
    return []


def _run_at_import(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes outside functions and outside ``if TYPE_CHECKING``."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for other in child.orelse:
                yield other
                yield from _run_at_import(other)
            continue
        yield child
        yield from _run_at_import(child)


def printing(tree: ast.Module) -> Iterator[int]:
    """Lines that write to the terminal."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            *owner, called = ast.unparse(node.func).split(".")
            to_stream = owner in (["sys", "stdout"], ["sys", "stderr"]) and "write" in called
            if to_stream or called in ("print", "pprint"):
                yield node.lineno


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts)] = path
    return found


def cycles(imports: dict[str, set[str]]) -> list[set[str]]:
    """The groups of modules that import one another, directly or through others."""
    reached = {name: {name} for name in imports}
    for _ in imports:
        before = sum(map(len, reached.values()))
        for name, others in imports.items():
            reached[name] = reached[name].union(*(reached[other] for other in others))
        if sum(map(len, reached.values())) == before:
            break
    groups = {
        frozenset(other for other in reached[name] if name in reached[other]) for name in imports
    }
    return [set(group) for group in groups if len(group) > 1]


def imports_of(found: dict[str, Path]) -> dict[str, set[str]]:
    """The modules that each module imports, in functions too; not those for types alone."""
    by_name = {module.removesuffix(".__init__"): module for module in found}
    return {
        module: {
            by_name[name]
            for name in _run(module, ast.parse(path.read_text(encoding="utf-8")))
            if by_name.get(name, module) != module
        }
        for module, path in found.items()
    }


def _run(module: str, tree: ast.Module) -> Iterator[str]:
    """The names that a module imports when it is loaded or when its functions run."""
    for_types = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test).endswith("TYPE_CHECKING")
        for part in block.body
        for node in ast.walk(part)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        names = _names(module, node)
        yield from names
        if isinstance(node, ast.ImportFrom):
            yield from (f"{name}.{alias.name}" for name in names for alias in node.names)


def test_no_module_imports_itself_through_others() -> None:
    assert cycles(imports_of(modules())) == []


def test_a_cycle_is_found() -> None:
    imports = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}
    assert cycles(imports) == [{"b", "c"}]


def test_the_package_is_seen() -> None:
    seen = {name.split(".")[1] for name in modules()}
    assert {"classic", "encoder", "wsd", "components", "jobs", "cli", "backends"} <= seen


@pytest.mark.parametrize("module", modules())
def test_module(module: str) -> None:
    assert violations(module, modules()[module].read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("module", "source", "reason"),
    [
        ("wsd.lesk", "from spacy_attn.encoder import align", "wsd imports encoder"),
        ("wsd.lesk", "from ..classic.vectors import x", "wsd imports classic"),
        ("encoder.__init__", "from ..wsd import x", "encoder imports wsd"),
        ("models", "import spacy_attn.wsd.methods.lesk", "models imports wsd"),
        ("classic.stem", "def f():\n    import spacy_attn.backends", "classic imports backends"),
        ("backends", "from spacy_attn import components", "backends imports components"),
        ("jobs.job", "from spacy_attn.explain import x", "jobs imports explain"),
        ("jobs.job", "from spacy_attn import install_extensions", "jobs imports __init__"),
        ("jobs.job", "import spacy_attn", "jobs imports __init__"),
        ("components.x", "from spacy_attn.cli import main", "components imports cli"),
        ("wsd.x", "import_module('spacy_attn.jobs')", "wsd imports jobs"),
        ("cli.app", "def f():\n    import benchmarks.senses", "imports benchmarks"),
        ("jobs.job", "import rich.table", "imports rich, which is for the command line"),
        ("components.x", "import torch", "imports torch outside a function"),
        ("components.x", "import nltk.stem", "imports nltk outside a function"),
        ("classic.x", "try:\n    import gensim\nexcept ImportError:\n    pass", "imports gensim"),
        ("wsd.x", "class A:\n    from sklearn import svm", "imports sklearn outside"),
        ("wsd.x", "if True:\n    import pyarrow", "imports pyarrow outside"),
        ("cli.app", "import torch", "imports torch outside a function"),
        ("encoder.x", "from spacy_attn.encoder.packed import y", "packed outside a function"),
        ("cli.app", "from spacy_attn.train import senses", "imports spacy_attn.train"),
        ("jobs.job", "def f():\n    print(1)", "prints"),
        ("wsd.x", "import sys\nsys.stdout.write('a')", "prints"),
        ("utils.x", "", "utils has no floor"),
    ],
)
def test_a_violation_is_found(module: str, source: str, reason: str) -> None:
    found = violations(f"spacy_attn.{module}", source)
    assert any(reason in each for each in found), found


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("wsd.x", "import numpy, json\nfrom spacy_attn.errors import ConfigError"),
        ("wsd.x", "def f():\n    import sklearn"),
        ("encoder.x", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch"),
        ("train.x", "import torch\nfrom spacy_attn.wsd.methods.lesk import Lesk"),
        ("backends", "def f():\n    from spacy_attn.train.held_out import x"),
        ("components.x", "from spacy_attn.backends import LocalModels\nfrom . import extensions"),
        ("models", "from spacy_attn.errors import ResourceError"),
        ("explain.x", "from spacy_attn.components.scorer import x"),
        ("cli.x", "import typer\nfrom spacy_attn import models\nprint(1)"),
        ("__main__", "from spacy_attn.cli import main"),
    ],
)
def test_what_is_allowed_is_not_found(module: str, source: str) -> None:
    assert violations(f"spacy_attn.{module}", source) == []
