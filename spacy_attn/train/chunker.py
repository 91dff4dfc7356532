"""Reads labelled sentences for the trained chunker and NER, and scores a tagger on them."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from spacy_attn._types import PlainData
from spacy_attn.classic.sequence import (
    LabelledToken,
    SequenceTagger,
    iob_spans,
    repair_iob,
    spans_to_iob,
)
from spacy_attn.docbin import read_parts
from spacy_attn.errors import ConfigError, RecordError, ResourceError, SpacyAttnError, first_line
from spacy_attn.files import MOST_TIMES, most_bytes, open_decompressed

if TYPE_CHECKING:
    from spacy.tokens import Doc, DocBin

_WRITE = "write a line of word, tag and IOB label for each token, for example: bat NN I-NP"
_SMALL_DOCBIN = 2**22  # bytes that any may unpack to
_MOST_DOCS = 2**16  # empty ones too take memory; more in a file of a byte for each
_DOCUMENT = "-DOCSTART-"  # CoNLL-2003's line between documents


def read_labelled_sentences(
    path: str | Path, *, task: str, spans_key: str | None = None
) -> Iterator[list[LabelledToken]]:
    """The sentences of a file as (word, tag, IOB label) tokens.

    * ``.spacy``, a DocBin with tags: the spans of ``doc.spans[spans_key]``; without a key
      ``doc.spans["chunks"]`` for chunks and ``doc.ents`` for entities.
    * everything else, columns as in the CoNLL shared tasks: word, tag, label, split at tabs
      where a line has one and else at blanks; an empty line ends a sentence. With more columns
      (CoNLL-2003) chunks are the third and entities the last one.

    Columns may be packed: ``.gz``, or a file within a zip, ``conll2000.zip/conll2000/train.txt``.

    Args:
        path: of the file.
        task: "chunks" or "entities".
        spans_key: span group of a DocBin.

    Raises:
        ResourceError: the file is missing, damaged or not what its name says.
        RecordError: a line or Doc cannot be used; the message names it.
    """
    path = Path(path).expanduser()
    if path.suffix == ".spacy":
        yield from _read_docs(path, task, spans_key)
        return
    column = 2 if task == "chunks" else -1
    with (
        _explain_damage(path),
        _opened(path) as file,
        io.TextIOWrapper(file, "utf-8-sig") as lines,
    ):
        yield from _read_columns(lines, path, column)


def read_labelled_files(
    paths: Iterable[str | Path], *, task: str, spans_key: str | None = None
) -> list[list[LabelledToken]]:
    """The sentences of several files, as :func:`read_labelled_sentences` reads each.

    Raises:
        ResourceError: as there.
        RecordError: as there, a file has no sentence, or no token of any file is in a span.
    """
    sentences: list[list[LabelledToken]] = []
    paths = list(paths)
    for path in paths:
        n_before = len(sentences)
        sentences += read_labelled_sentences(path, task=task, spans_key=spans_key)
        if len(sentences) == n_before:
            raise RecordError(f"{path} has no sentence; {_WRITE}, or leave this file out")
    if all(label == "O" for sentence in sentences for *_, label in sentence):
        raise RecordError(
            f"no token of {', '.join(map(str, paths))} is in a span, as all labels are O; {_WRITE}"
        )
    return sentences


def score_tagger(tagger: SequenceTagger, sentences: Iterable[Sequence[LabelledToken]]) -> PlainData:
    """Precision, recall and F1 of spans: right is one with the same tokens and type.

    Returns:
        ``n`` (spans of the data), ``precision``, ``recall``, ``f1``, fractions from 0 to 1 and 0
        where nothing is predicted or to be found; the same for each type in ``types``.
    """
    right: Counter[str] = Counter()
    predicted: Counter[str] = Counter()
    gold: Counter[str] = Counter()
    for sentence in sentences:
        words, tags, labels = zip(*sentence, strict=True)
        wanted = set(iob_spans(labels))
        found = set(iob_spans(tagger.tag(words, tags)))
        right.update(kind for *_, kind in wanted & found)
        predicted.update(kind for *_, kind in found)
        gold.update(kind for *_, kind in wanted)
    types = {
        kind: _fractions(right[kind], predicted[kind], gold[kind])
        for kind in sorted({*gold, *predicted})
    }
    return {**_fractions(right.total(), predicted.total(), gold.total()), "types": types}


def _fractions(right: int, predicted: int, gold: int) -> PlainData:
    return {
        "n": gold,
        "precision": right / predicted if predicted else 0.0,
        "recall": right / gold if gold else 0.0,
        "f1": 2 * right / (predicted + gold) if right else 0.0,
    }


# -- columns -----------------------------------------------------------------------------


def _read_columns(lines: Iterable[str], path: Path, column: int) -> Iterator[list[LabelledToken]]:
    sentence: list[LabelledToken] = []
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith(_DOCUMENT):
            sentence.append(_token(line.rstrip("\r\n"), f"{path}, line {number}", column))
        elif sentence:
            yield sentence
            sentence = []
    if sentence:
        yield sentence


def _token(line: str, where: str, column: int) -> LabelledToken:
    columns = [each.strip() for each in line.split("\t")] if "\t" in line else line.split()
    if len(columns) < 3 or not all(columns[:2]):
        raise RecordError(
            f"{where}: {_shortened(line)!r} has not the columns word, tag and IOB label; write "
            "for example: bat NN I-NP"
        )
    try:
        repair_iob([columns[column]])
    except RecordError as error:
        raise RecordError(f"{where}: {error}") from None
    return columns[0], columns[1], columns[column]


def _shortened(line: str) -> str:
    return line if len(line) <= 60 else line[:57] + "..."


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """A file, plain or packed, as bytes."""
    archive = next((p for p in (path, *path.parents) if p.suffix == ".zip" and p.is_file()), None)
    if archive is not None:
        with zipfile.ZipFile(archive) as content:
            member = path.relative_to(archive).as_posix()
            if member not in content.namelist():
                files = [name for name in content.namelist() if not name.endswith("/")]
                raise ResourceError(
                    f"name a file within {archive}, such as {archive / files[0]}; it has "
                    f"{', '.join(files[:8])}"
                    if files
                    else f"{archive} is empty"
                )
            if content.getinfo(member).file_size > most_bytes(archive):
                raise ResourceError(
                    f"{path} grows more than {MOST_TIMES} times when it is unpacked"
                )
            with content.open(member) as file:
                yield file
    else:
        with open_decompressed(path) as file:
            yield file


@contextmanager
def _explain_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:  # BadGzipFile too
        raise ResourceError(f"cannot read {path} ({error.strerror or error})") from error
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ResourceError(f"{path} is damaged ({error}); copy it again") from error
    except UnicodeDecodeError as error:
        raise ResourceError(
            f"{path} is not UTF-8 text ({error.reason}); columns are read from .txt, .conll, .gz "
            "and .zip/FILE, and Docs from .spacy"
        ) from error


# -- Docs --------------------------------------------------------------------------------


def _read_docs(path: Path, task: str, spans_key: str | None) -> Iterator[list[LabelledToken]]:
    import spacy

    try:
        store = _open_docs(path, spans_key or "chunks")
    except OSError as error:
        raise ResourceError(f"cannot read {path} ({error.strerror or error})") from error
    except Exception as error:  # zlib's, msgpack's or a KeyError
        raise _no_docbin(str(path), error) from error
    number = 0
    try:
        for number, doc in enumerate(store.get_docs(spacy.blank("xx").vocab), 1):
            yield from _sentences(doc, task, spans_key, f"{path}, Doc {number}")
    except RecordError as error:
        raise RecordError(f"{path}, Doc {number}: {error}") from None
    except SpacyAttnError:
        raise
    except Exception as error:  # of numpy, msgpack and spaCy, each its own
        raise _no_docbin(f"{path}, after Doc {number},", error) from error


def _no_docbin(what: str, error: Exception) -> ResourceError:
    reason = f"{type(error).__name__}: {first_line(error)}"
    return ResourceError(f"{what} is no DocBin ({reason}); write it again with to_disk")


def _open_docs(path: Path, key: str) -> DocBin:
    """A DocBin with the parts that are read, none of which can grow beyond bounds.

    Raises:
        OSError: it cannot be read.
        Exception: it is no DocBin; zlib and msgpack have errors of their own.
    """
    import srsly
    from spacy.tokens import DocBin

    parts = read_parts(path, small=_SMALL_DOCBIN, most_docs=_MOST_DOCS, spans_key=key)
    flags = [{"has_unknown_spaces": True} if each else {} for each in parts["flags"]]
    parts |= {"flags": flags, "strings": list(parts["strings"].values()), "cats": [{}] * len(flags)}
    return DocBin().from_bytes(zlib.compress(srsly.msgpack_dumps(parts), 0))


def _sentences(
    doc: Doc, task: str, spans_key: str | None, where: str
) -> Iterator[list[LabelledToken]]:
    if not any(not token.is_space for token in doc):
        return
    if not doc.has_annotation("TAG"):
        raise RecordError("it has no tags; run a pipeline with a tagger over the texts first")
    if spans_key is None and task == "entities":
        spans = list(doc.ents)
    else:
        key = spans_key or "chunks"
        if key not in doc.spans:
            raise ConfigError(
                f"{where} has no doc.spans[{key!r}], but {sorted(doc.spans) or 'no span groups'}; "
                "name one with --spans-key"
            )
        spans = list(doc.spans[key])
    labels = spans_to_iob(len(doc), [(span.start, span.end, span.label_) for span in spans])
    for sentence in doc.sents if doc.has_annotation("SENT_START") else (doc[:],):
        tokens = [token for token in sentence if not token.is_space]
        if tokens:
            yield [(token.text, token.tag_, labels[token.i]) for token in tokens]
