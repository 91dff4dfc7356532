"""The names that users rely on."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys

import pytest

import spacy_attn

PUBLIC_NAMES = [
    "ConfigError",
    "Inventory",
    "InventoryError",
    "RecordError",
    "ResourceError",
    "SenseAnnotation",
    "SpacyAttnError",
    "Synset",
    "filter_senses",
    "install_extensions",
    "load_inventory",
    "load_pipeline",
    "restore_hooks",
    "synset_of",
]


def test_public_names() -> None:
    assert spacy_attn.__all__ == PUBLIC_NAMES == sorted(PUBLIC_NAMES)


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_a_public_name_is_what_its_module_defines(name: str) -> None:
    value = getattr(spacy_attn, name)
    assert value.__name__ == name
    assert value.__module__.split(".")[0] == "spacy_attn"
    assert value.__doc__


def test_dir_shows_them() -> None:
    assert set(PUBLIC_NAMES) | {"__version__"} <= set(dir(spacy_attn))


def test_star_import() -> None:
    names: dict[str, object] = {}
    exec("from spacy_attn import *", names)  # noqa: S102
    assert set(PUBLIC_NAMES) <= set(names)


def test_version_is_that_of_the_metadata() -> None:
    assert spacy_attn.__version__ == importlib.metadata.version("spacy-attn")


def test_unknown_attribute() -> None:
    with pytest.raises(AttributeError, match="module 'spacy_attn' has no attribute 'nonsense'"):
        spacy_attn.nonsense  # noqa: B018  reading it is the test


def test_errors_are_one_tree() -> None:
    for name in PUBLIC_NAMES:
        if name.endswith("Error"):
            assert issubclass(getattr(spacy_attn, name), spacy_attn.SpacyAttnError)
    assert issubclass(spacy_attn.SpacyAttnError, ValueError)


def test_the_import_is_light() -> None:
    """Neither the package nor its errors and version bring spaCy or torch."""
    script = (
        "import json, sys, spacy_attn; spacy_attn.__version__; spacy_attn.ConfigError;"
        "dir(spacy_attn); print(json.dumps(sorted({n.partition('.')[0] for n in sys.modules})))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=120
    )
    loaded = set(json.loads(run.stdout))
    assert "spacy_attn" in loaded
    assert loaded & {"spacy", "torch", "thinc", "numpy", "transformers", "nltk", "gensim"} == set()
