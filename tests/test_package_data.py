"""What ships in the package: how much, and which model."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from spacy_attn.components.attention_lemmatizer import BUNDLED as LEMMATIZER
from spacy_attn.wsd.methods.registry import DATA, SELF_ATTENTION_MODEL, SENSE_MODEL

ROOT = Path(__file__).parents[1]
CHANGELOG = ROOT / "CHANGELOG.md"


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


@pytest.fixture
def build():
    pytest.importorskip("hatchling")
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    return build


@pytest.mark.parametrize(
    ("version", "name"), [("standard", "force_include"), ("editable", "force_include_editable")]
)
def test_spacy_package_finds_of_which_package_a_factory_is(build, version, name):
    """Spacy reads ``top_level.txt`` of each distribution, and hatchling writes none."""
    builder = SimpleNamespace(artifact_project_id="spacy_attn-0.1.0")
    given = SimpleNamespace(builder=builder)
    hook = build.TopLevel(str(ROOT), {}, given, None, "", "wheel")
    data = {"force_include": {}, "force_include_editable": {}}
    hook.initialize(version, data)
    ((path, target),) = data[name].items()
    assert target == "spacy_attn-0.1.0.dist-info/top_level.txt"
    assert Path(path).read_text() == "spacy_attn\n"
    hook.finalize(version, data, "")
    assert not Path(path).exists()


def test_links_of_the_description_are_absolute_and_lead_to_files(build):
    text = build.absolute((ROOT / "README.md").read_text(encoding="utf-8"), "https://example.org/a")
    links = re.findall(r"\]\(([^)#]+)", text)
    assert len(links) > 30
    for link in links:
        assert link.startswith("https://"), link
        kind, _, path = link.removeprefix("https://example.org/a/").partition("/main/")
        assert link.startswith("https://example.org/a/") is (kind in ("raw", "blob")), link
        assert not path or (ROOT / path).exists(), link
    assert "![" in text.partition("/raw/main/docs/explain.png")[0]
    assert build.absolute("[a](#b) [c](https://d)", "x") == "[a](#b) [c](https://d)"
