"""Data on this machine: what the package brings along, the user's WordNet, NLTK's data."""

from __future__ import annotations

import re
import shlex
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from spacy_attn.models.catalogue import INSTALL_WORDNET
from spacy_attn.models.findings import Finding, Need

REINSTALL = "pip install --force-reinstall --no-deps spacy-attn"
INSTALL_NLTK_DATA = "python -m nltk.downloader maxent_ne_chunker_tab words"


def examine_data(wordnet: Path | None) -> Iterator[Finding]:
    """The files of the package, WordNet and NLTK's data.

    Args:
        wordnet: the user's WordNet, as ``find_wordnet`` gives it; None where there is none.
    """
    folder = Path(__file__).parents[1] / "data"
    yield _own_file(folder / "homographs.jsonl", "homographs", "required")
    yield _own_file(folder / "wordnet.npz", "lexicon of WordNet 3.0", "optional")
    lemmatizer = folder / "lemmatizer.safetensors"
    sense_models = sorted(path for path in folder.glob("*.safetensors") if path != lemmatizer)
    for path in sense_models or [folder / "senses_minilm.safetensors"]:
        yield _own_file(path, f"sense model {path.stem}", "recommended")
    yield _own_file(lemmatizer, "lemmatizer", "optional")
    yield _wordnet(wordnet)
    yield _nltk_data()


def _own_file(path: Path, label: str, need: Need) -> Finding:
    """A file that the package brings along."""
    if not path.is_file():
        return Finding("data", label, "missing", need, path=str(path), repair=REINSTALL)
    detail = f"{path.stat().st_size / 1e6:.1f} MB"
    whole = _WHOLE.get(path.suffix)
    if whole is not None and not whole(path):
        detail += f"; not a whole {path.suffix[1:]} file"
        return Finding("data", label, "wrong", need, detail, str(path), "not checked", REINSTALL)
    return Finding("data", label, "found", need, detail, str(path), "not checked")


def _is_whole_archive(path: Path) -> bool:
    """Whether a NumPy archive can be read to its end and its checksums are right."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except Exception:  # zipfile, zlib and lzma have errors of their own
        return False


def _is_whole_safetensors(path: Path) -> bool:
    """Whether the header can be read and the tensors end where the file does."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy"):
            return True
    except (OSError, SafetensorError):
        return False


_WHOLE: dict[str, Callable[[Path], bool]] = {
    ".safetensors": _is_whole_safetensors,
    ".npz": _is_whole_archive,
}

_LEFT_OUT = "definitions are left out; senses work"


def _wordnet(path: Path | None) -> Finding:
    """The user's WordNet, which definitions and example sentences are read from."""
    first, *others = _wordnet_repairs()
    if path is None:
        detail = "; or: ".join([_LEFT_OUT, *others, "set SPACY_ATTN_WORDNET to its folder"])
        return Finding("data", "WordNet", "missing", "optional", detail, repair=first)
    problem = _wordnet_problem(path)
    if problem:
        detail = f"{problem}; {_LEFT_OUT}; or: set SPACY_ATTN_WORDNET to another folder"
        return Finding("data", "WordNet", "wrong", "optional", detail, str(path), repair=first)
    detail = "index.sense and data.* are there"
    return Finding("data", "WordNet", "found", "optional", detail, str(path), "not checked")


def _wordnet_problem(folder: Path) -> str:
    """What keeps a folder's definitions from being read; empty for nothing."""
    names = ["index.sense", *(f"data.{pos}" for pos in ("noun", "verb", "adj", "adv"))]
    missing = [name for name in names if not _holds_something(folder / name)]
    if missing:
        return f"missing or empty: {', '.join(missing)}"
    with (folder / "data.noun").open(encoding="utf-8", errors="replace") as file:
        found = re.search(r"WordNet (\d+\.\d+)", file.read(4000))  # in the licence at its start
    if found and found[1] != "3.0":
        return f"it is WordNet {found[1]}, needed is 3.0"
    return ""


def _holds_something(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size > 0
    except OSError:
        return False


def _wordnet_repairs() -> list[str]:
    """Commands that install WordNet, the one that fits this machine best first."""
    corpora = Path.home() / "nltk_data" / "corpora"
    # NLTK downloads WordNet as a zip file and leaves it packed.
    unpack = f"python -m zipfile -e {{}} {shlex.quote(str(corpora))}"
    for place in _nltk_places():
        zipped = place / "corpora" / "wordnet.zip"
        if zipped.is_file():
            return [unpack.format(shlex.quote(str(zipped)))]
    download = f"python -m nltk.downloader -d {shlex.quote(str(corpora.parent))} wordnet"
    with_nltk = f"{download} && {unpack.format(shlex.quote(str(corpora / 'wordnet.zip')))}"
    return [INSTALL_WORDNET, with_nltk] if shutil.which("apt-get") else [with_nltk]


def _nltk_places() -> list[Path]:
    try:
        import nltk
    except ImportError:
        return []
    return [Path(place) for place in nltk.data.path]


def _nltk_data() -> Finding:
    for place in _nltk_places():
        if place.is_dir() and any(place.glob("*/*")):
            return Finding("data", "NLTK data", "found", "optional", "", str(place), "not checked")
    return Finding("data", "NLTK data", "missing", "optional", repair=INSTALL_NLTK_DATA)
