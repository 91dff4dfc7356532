"""What ships in the package: how much, and which model."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from spacy_attn.components.attention_lemmatizer import BUNDLED as LEMMATIZER
from spacy_attn.wsd.methods.registry import DATA, SELF_ATTENTION_MODEL, SENSE_MODEL

CHANGELOG = Path(__file__).parents[1] / "CHANGELOG.md"


def test_package_data_is_at_most_25_megabytes():
    files = [path for path in DATA.rglob("*") if path.is_file()]
    assert SENSE_MODEL in files
    assert SELF_ATTENTION_MODEL.stat().st_size < 3_000_000
    assert LEMMATIZER.stat().st_size < 1_000_000
    assert sum(path.stat().st_size for path in files) <= 25 * 2**20


@pytest.mark.release
@pytest.mark.parametrize(
    "model", [SENSE_MODEL, SELF_ATTENTION_MODEL, LEMMATIZER], ids=lambda path: path.stem
)
def test_the_changelog_names_the_model_that_ships(model):
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    assert digest in CHANGELOG.read_text(encoding="utf-8")
