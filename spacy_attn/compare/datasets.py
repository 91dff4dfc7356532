"""Readers of sense-labelled data sets.

``read_raganato`` reads the XML of Raganato et al. 2017 ("Word sense disambiguation: a unified
evaluation framework and empirical comparison", EACL): ``NAME.data.xml`` with
``NAME.gold.key.txt`` beside it, each also compressed (.gz).
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# expat itself stops entity bombs since its version 2.4.1
from xml.etree import ElementTree

from spacy_attn.errors import RecordError, ResourceError

__all__ = ["LabelledSentence", "LabelledWord", "key_file_of", "read_keys", "read_raganato"]

_TAGS = {"NOUN": "NOUN", "VERB": "VERB", "ADJ": "ADJ", "ADV": "ADV"}


@dataclass(frozen=True, slots=True)
class LabelledWord:
    """One instance: its token, and the senses that count as right."""

    id: str
    token: int  # index in the sentence
    lemma: str  # lower case, words separated by blanks
    pos: str  # NOUN, VERB, ADJ or ADV
    senses: tuple[str, ...]  # sense keys


@dataclass(frozen=True, slots=True)
class LabelledSentence:
    """A sentence of a data set. A token may hold blanks ("primary elections")."""

    id: str
    doc: str
    tokens: tuple[str, ...]
    lemmas: tuple[str, ...]
    tags: tuple[str, ...]  # the set's own, universal
    words: tuple[LabelledWord, ...]


def read_keys(path: Path) -> dict[str, tuple[str, ...]]:
    """Sense keys of each instance, from a ``.key.txt`` file or a system's predictions.

    Raises:
        ResourceError: the file does not exist.
        RecordError: a line holds no key.
    """
    keys = {}
    with _open(path) as file:
        for number, line in enumerate(file, 1):
            fields = line.decode("utf-8").split()
            if not fields:
                continue
            if len(fields) < 2:
                raise RecordError(f"{path}, line {number}: must be an id and its sense keys")
            keys[fields[0]] = tuple(fields[1:])
    return keys


def key_file_of(path: Path) -> Path:
    """Where the gold keys of a ``.data.xml`` file lie.

    Raises:
        ResourceError: no such file lies beside it.
    """
    stem = path.name.removesuffix(".gz").removesuffix(".data.xml")
    for ending in (".gold.key.txt", ".gold.key.txt.gz"):
        if (path.parent / f"{stem}{ending}").is_file():
            return path.parent / f"{stem}{ending}"
    raise ResourceError(
        f"{path} has no gold keys; put {stem}.gold.key.txt (one id and its sense keys a line) "
        "beside it"
    )


def read_raganato(path: Path, keys: Path | None = None) -> Iterator[LabelledSentence]:
    """The sentences of a data set in Raganato's XML, in their order.

    Args:
        path: ``NAME.data.xml`` or ``NAME.data.xml.gz``.
        keys: the gold keys; None looks for ``NAME.gold.key.txt`` beside it.

    Raises:
        ResourceError: a file is missing.
        RecordError: the XML is broken, or an instance has no gold key.
    """
    gold = read_keys(keys or key_file_of(path))
    doc = ""
    with _open(path) as file:
        try:
            for event, element in ElementTree.iterparse(file, ("start", "end")):  # noqa: S314
                if event == "start" and element.tag == "text":
                    doc = element.get("id", "")
                elif event == "end" and element.tag == "sentence":
                    yield _sentence(path, doc, element, gold)
                    element.clear()
        except ElementTree.ParseError as error:
            raise RecordError(f"{path} is no XML of sense-labelled text: {error}") from error


def _sentence(
    path: Path, doc: str, element: ElementTree.Element, gold: dict[str, tuple[str, ...]]
) -> LabelledSentence:
    tokens: list[str] = []
    lemmas: list[str] = []
    tags: list[str] = []
    words: list[LabelledWord] = []
    for child in element:
        tag = child.get("pos", "")
        lemma = child.get("lemma", "").replace("_", " ").lower()
        if child.tag == "instance":
            name = child.get("id", "")
            if name not in gold:
                raise RecordError(f"{path}, instance {name!r} has no gold key")
            if tag not in _TAGS:
                raise RecordError(f"{path}, instance {name!r}: pos {tag!r} is none of "
                                  f"{', '.join(_TAGS)}")  # fmt: skip
            words.append(LabelledWord(name, len(tokens), lemma, tag, gold[name]))
        tokens.append(child.text or "")
        lemmas.append(lemma)
        tags.append(tag)
    return LabelledSentence(
        element.get("id", ""), doc, tuple(tokens), tuple(lemmas), tuple(tags), tuple(words)
    )


def _open(path: Path) -> gzip.GzipFile:
    try:
        return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]
    except OSError as error:
        raise ResourceError(f"{path} cannot be read: {error.strerror}") from error
