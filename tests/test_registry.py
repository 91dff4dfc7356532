"""What the distribution registers, read from its metadata."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import EntryPoint, distribution
from pathlib import Path

import pytest
import spacy

from spacy_attn.wsd.methods.registry import sense_method, short_names

ENTRY_POINTS = sorted(distribution("spacy-attn").entry_points)
PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
VERSIONED = re.compile(r"spacy_attn\.([a-z0-9_]+)\.v(\d+)")


def names(group: str) -> set[str]:
    return {point.name for point in ENTRY_POINTS if point.group == group}


def newest_versions() -> dict[str, str]:
    """Short name and registered name of the newest version."""
    newest: dict[str, tuple[int, str]] = {}
    for name in names("spacy_attn_sense_methods"):
        found = VERSIONED.fullmatch(name)
        assert found, f"{name} is not spacy_attn.NAME.vN"
        candidate = (int(found[2]), name)
        newest[found[1]] = max(newest.get(found[1], candidate), candidate)
    return {short: name for short, (_, name) in newest.items()}


def test_the_metadata_are_those_of_the_source() -> None:
    """An editable install keeps the entry points of the day it was made."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    declared = {
        (group, name, value)
        for group, points in project["entry-points"].items()
        for name, value in points.items()
    }
    declared |= {("console_scripts", name, value) for name, value in project["scripts"].items()}
    installed = {(point.group, point.name, point.value) for point in ENTRY_POINTS}
    assert installed == declared, "install it again: pip install -e ."


@pytest.mark.parametrize("point", ENTRY_POINTS, ids=lambda point: f"{point.group}-{point.name}")
def test_entry_point_loads(point: EntryPoint) -> None:
    assert callable(point.load())


@pytest.mark.parametrize("name", sorted(names("spacy_factories")))
def test_factory_is_known_to_spacy(name: str) -> None:
    nlp = spacy.blank("en")
    assert nlp.has_factory(name)
    meta = nlp.get_factory_meta(name)
    assert meta.assigns, f"{name} declares nothing that it assigns"
    # spaCy warns of, or silently ignores, a requirement that it cannot look up.
    assert "token.pos" not in meta.requires


@pytest.mark.parametrize("name", sorted(names("spacy_scorers")))
def test_scorer_is_known_to_spacy(name: str) -> None:
    assert callable(spacy.registry.scorers.get(name)())


def test_short_names_are_the_newest_versions() -> None:
    assert newest_versions() == short_names()


@pytest.mark.parametrize("short", short_names())
def test_short_name_gives_the_method(short: str) -> None:
    assert sense_method(short).name == short
    assert sense_method(short_names()[short]).name == short
    assert callable(spacy.registry.sense_methods.get(short_names()[short]))
