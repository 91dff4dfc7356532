"""A package that is not installed costs what needs it, and nothing else.

spaCy imports the factories of all installed distributions whenever it makes a pipeline, so one
ImportError of ours would break ``spacy.blank("en")`` for everybody. Each package is made
unimportable in a process of its own, forked from one that has imported spaCy alone.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import traceback
import warnings
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
TIME_LIMIT = 240  # seconds, for all processes together

#: What needs a package: names in ``USES``. spaCy itself gets on without any of them.
NEEDED_BY = {
    "torch": ["attention_encoder", "attention_lemmatizer", "attention"],
    "transformers": ["attention_encoder", "attention"],
    "safetensors": ["attention_encoder", "attention_lemmatizer", "attention"],
    "sklearn": ["attention"],
    "scipy": ["attention"],
    "platformdirs": ["attention"],
    "nltk": ["lesk", "lesk_extended"],
    "gensim": ["fasttext"],
    "pyarrow": ["glove"],
}
CASES = [(package, use) for package, uses in NEEDED_BY.items() for use in uses]

_WINDOWS = {"window": 64, "overlap": 16}


def settings(use: str, world: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """Factory and config of one use."""
    encoder = {"model": world["model"], **_WINDOWS}
    if use == "attention_encoder":
        return use, encoder
    if use == "attention_lemmatizer":
        return use, {}
    if use in ("glove", "fasttext"):
        return "word2vec", {"vectors": world["fasttext"] if use == "fasttext" else None}
    method: dict[str, Any] = {"@sense_methods": f"spacy_attn.{use}.v1"}
    if use == "attention":
        method |= {"sense_model": world["sense_model"], **encoder}
    return "sense_disambiguator", {"inventory": world["inventory"], "method": method}


# -- in child processes --------------------------------------------------------------------


def run_all(world: dict[str, str], out: Path) -> None:
    """Fork one process for each package but torch, which ``import spacy`` brings."""
    import spacy

    loaded = {name.partition(".")[0] for name in sys.modules}
    (out / "loaded.json").write_text(json.dumps(sorted(loaded)), encoding="utf-8")
    del spacy
    for package in [*NEEDED_BY, "nothing"]:
        if package == "torch":
            continue
        child = os.fork()
        if child == 0:
            run_without(package, world, out)
            os._exit(0)
        os.waitpid(child, 0)


def run_without(package: str, world: dict[str, str], out: Path) -> None:
    """What happens in this process when a package is missing."""
    seen: dict[str, Any] = {}
    try:
        hide(package)
        import spacy

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            seen["tokens"] = [token.text for token in spacy.blank("en")("A text.")]
        seen["sense"] = _outcome("first_sense", world)
        seen["uses"] = {use: _outcome(use, world) for use in NEEDED_BY.get(package, ())}
    except BaseException:
        seen["broken"] = traceback.format_exc()
    (out / f"{package}.json").write_text(json.dumps(seen), encoding="utf-8")


def hide(package: str) -> None:
    """Make a package as absent as one that was never installed."""
    find_spec = PathFinder.find_spec

    def without(name: str, path: Any = None, target: Any = None) -> Any:
        return None if name.partition(".")[0] == package else find_spec(name, path, target)

    PathFinder.find_spec = without  # type: ignore[method-assign,assignment]


def _outcome(use: str, world: dict[str, str]) -> str:
    import spacy

    nlp = spacy.blank("en")
    factory, config = settings(use, world)
    try:
        nlp.add_pipe(factory, config=config)
        token = nlp("the bat")[1]
        return str(token._.sense.id if factory == "sense_disambiguator" else token._.word2vec)
    except Exception as error:
        return f"{type(error).__module__}.{type(error).__name__}: {error}"


# -- here --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(
    toy_model: Path,
    toy_inventory: Path,
    toy_sense_model: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    fasttext = tmp_path_factory.mktemp("toy") / "fasttext.bin"
    fasttext.write_bytes((793712314).to_bytes(4, "little") + bytes(100))  # fastText's magic
    return {
        "model": str(toy_model),
        "inventory": str(toy_inventory),
        "sense_model": str(toy_sense_model),
        "fasttext": str(fasttext),
    }


@pytest.fixture(scope="module")
def outcomes(world: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file for each package."""
    out = tmp_path_factory.mktemp("missing")
    where = f"{world!r}, Path({str(out)!r})"
    start = "from pathlib import Path; import tests.test_missing_packages as t;"
    # Nothing is prepared there yet, so that the attention method has to fit its examples.
    env = {**os.environ, "XDG_CACHE_HOME": str(out / "cache")}
    for script in (f"t.run_all({where})", f"t.run_without('torch', {where})"):
        subprocess.run(
            [sys.executable, "-c", start + script],
            cwd=ROOT,
            env=env,
            timeout=TIME_LIMIT,
            check=True,
        )
    return out


def outcome(outcomes: Path, package: str) -> dict[str, Any]:
    seen: dict[str, Any] = json.loads((outcomes / f"{package}.json").read_text(encoding="utf-8"))
    assert "broken" not in seen, seen["broken"]
    return seen


def test_spacy_alone_imports_none_of_them_but_torch(outcomes: Path) -> None:
    """Else the forked processes would already have what is hidden from them."""
    loaded = set(json.loads((outcomes / "loaded.json").read_text(encoding="utf-8")))
    assert loaded & {*NEEDED_BY, "spacy_attn"} <= {"torch"}


@pytest.mark.parametrize("package", [*NEEDED_BY, "nothing"])
def test_spacy_and_the_other_methods_go_on(package: str, outcomes: Path) -> None:
    """Without a warning, too: they are errors in the child while the pipeline is made."""
    seen = outcome(outcomes, package)
    assert seen["tokens"] == ["A", "text", "."]
    assert seen["sense"] == "bat.animal"


@pytest.mark.parametrize(("package", "use"), CASES)
def test_what_needs_it_says_how_to_get_it(package: str, use: str, outcomes: Path) -> None:
    said = outcome(outcomes, package)["uses"][use]
    assert said.startswith("spacy_attn.ResourceError: "), said
    assert "\n" not in said
    assert package in said
    command = re.search(r"pip install (\S+)$", said)
    assert command, said
    names = {package, "scikit-learn"} if package == "sklearn" else {package}
    assert command[1] in {*names, '"spacy-attn[models]"'}, said


def test_a_fresh_pipeline_gives_no_warning() -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import spacy; spacy.blank('en')"],
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
