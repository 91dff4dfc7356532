"""Readers of the sense-annotated corpora that the sense model is trained on.

SemCor, MASC and further tagged files come as JSONL, one sentence a line (see
``benchmarks/README.md`` for sources and licences); WordNet's example sentences come from the
user's own WordNet; the written corpus and its running texts are the project's own
(``corpus/README.md``). All become :class:`TaggedSentence`.
"""

from __future__ import annotations

import json
import os
import random
import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

from spacy_attn.errors import RecordError
from spacy_attn.files import open_decompressed, regular_file
from spacy_attn.sentences import sentence_starts
from spacy_attn.wsd.inventory.wordnet_files import WordNet

#: How a word of a tagged file got its sense, where a person or the file's own entry said so.
SURE: Final = ("man", "gold", "ex", "silver")
#: Of the files that are known by name; another file is "tagged".
_GENRES = {
    "wngt_verb_adv": "wngt",
    "silver_noun_adj_gloss": "silver",
    "pmb4_gold_en": "pmb",
    "oewn_new_examples": "oewn",
}
_WRITTEN_HELD_OUT = 5  # one of so many written words, and of the running texts
_N_GENRES = 3  # of MASC that are held out
_SEED = 1  # decides which


@dataclass(frozen=True, slots=True)
class TaggedSentence:
    """A sentence whose ``targets`` are (first token, end token, allowed sense keys)."""

    doc: str
    genre: str
    tokens: list[str]
    targets: list[tuple[int, int, list[str]]]


def _split_collocations(
    tokens: list[str], senses: list[tuple[int, list[str]]]
) -> tuple[list[str], list[tuple[int, int, list[str]]]]:
    """``primary_election`` becomes two tokens; a sense then covers both."""
    out: list[str] = []
    bounds: list[tuple[int, int]] = []
    for token in tokens:
        parts = [part for part in token.split("_") if part] or [token]
        bounds.append((len(out), len(out) + len(parts)))
        out += parts
    return out, [(*bounds[index], keys) for index, keys in senses]


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a JSONL file, plain or ``.gz``.

    Raises:
        RecordError: the file is damaged, or a line is no JSON.
    """
    number = 0
    with open_decompressed(path) as file:
        try:
            for number, line in enumerate(file, 1):  # noqa: B007
                yield json.loads(line)
        except OSError as error:
            raise RecordError(f"{path} cannot be read: {error}") from error
        except (ValueError, RecursionError) as error:
            raise RecordError(f"{path}, line {number}: not JSON ({error})") from error


def read_semcor(path: Path, wordnet: WordNet) -> Iterator[TaggedSentence]:
    """SemCor 3.0. Keys that are not in WordNet 3.0 (about 4 %) are left out."""
    for record in read_records(path):
        senses = []
        for index, keys in record["senses"]:
            known = [key for key in keys if key in wordnet.senses]
            if known:
                senses.append((index, known))
        tokens, targets = _split_collocations(record["tokens"], senses)
        yield TaggedSentence(str(record["doc"]), "semcor", tokens, targets)


def read_masc(path: Path, wordnet: WordNet) -> Iterator[TaggedSentence]:
    """MASC; the first line of each document is a file name and is dropped."""
    seen: set[str] = set()
    for record in read_records(path):
        doc = str(record["doc"])
        if doc not in seen:
            seen.add(doc)
            continue
        senses = []
        for index, _lemma, _pos, keys in record["senses"]:
            known = [key for key in keys if key in wordnet.senses]
            if known:
                senses.append((index, known))
        tokens, targets = _split_collocations(record["tokens"], senses)
        yield TaggedSentence(doc, str(record["genre"]), tokens, targets)


def read_tagged(
    path: Path, wordnet: WordNet, ways: Collection[str] = SURE
) -> Iterator[TaggedSentence]:
    """A file of tagged sentences: glosses, examples, the Parallel Meaning Bank.

    A line has ``of``, ``tokens`` and ``senses`` as ``[start, end, lemma, pos, keys, way]``. Keys
    that are not in WordNet 3.0 are left out, and so are sentences without any.

    Args:
        path: the file; its name says the genre ("wngt", "silver", "pmb", "oewn", else "tagged").
        wordnet: the senses.
        ways: which tags are read, by how the word got its sense ("auto" is a program's guess).
    """
    genre = _GENRES.get(path.name.partition(".")[0], "tagged")
    for record in read_records(path):
        targets = []
        for start, end, _lemma, _pos, keys, way in record["senses"]:
            known = [key for key in keys if key in wordnet.senses]
            if known and way in ways:
                targets.append((start, end, known))
        if targets:
            yield TaggedSentence(str(record["of"]), genre, record["tokens"], targets)


def read_wordnet_examples(wordnet: WordNet) -> Iterator[TaggedSentence]:
    """WordNet's example sentences in which a word of the synset is found by its form.

    A token counts as a form of the lemma when it starts with the lemma less its last
    letter and is at most three letters longer: right for regular inflections.
    """
    for sense in wordnet.senses.values():
        if len(wordnet.candidates(sense.lemma, sense.pos)) < 2:
            continue
        _, examples = wordnet.gloss(sense)
        lemma = sense.lemma.split("_")
        for number, example in enumerate(examples):
            tokens = example.replace(",", " ,").replace(";", " ;").replace("!", " !").split()
            lower = [token.lower() for token in tokens]
            for start in range(len(lower) - len(lemma) + 1):
                if all(_is_form(lower[start + i], part) for i, part in enumerate(lemma)):
                    yield TaggedSentence(
                        f"wn-{sense.offset}-{number}",
                        "wordnet",
                        tokens,
                        [(start, start + len(lemma), [sense.key])],
                    )
                    break


def corpus_files(folder: Path, suffix: str) -> list[Path]:
    """The files of a folder and of those inside, in order; links to folders are followed."""
    found, seen = list[Path](), set[Path]()
    for root, folders, names in os.walk(folder, followlinks=True):
        if (real := Path(root).resolve()) in seen:  # a link back
            folders.clear()
            continue
        seen.add(real)
        found += [Path(root, name) for name in names if name.endswith(suffix)]
    return sorted(found)


class WrittenRecord(NamedTuple):
    """A sentence that was written for one sense of a word; where the word stands, in characters."""

    name: str
    key: str
    text: str
    start: int
    end: int


def written_records(folder: Path) -> Iterator[WrittenRecord]:
    """The written corpus: ``*.tsv``, a line each: sense key, tab, ``The [[bat]] flew.``

    Files of folders inside are read too: the name begins with the folder.

    Raises:
        RecordError: a line has no key, or not one word in double brackets.
    """
    for file in corpus_files(folder, ".tsv"):
        name = file.relative_to(folder).with_suffix("").as_posix()
        for number, line in enumerate(regular_file(file).read_text("utf-8").splitlines(), 1):
            key, _, marked = line.partition("\t")
            before, opened, rest = marked.partition("[[")
            word, closed, after = rest.partition("]]")
            if not (key and opened and closed and word) or "[[" in after:
                raise RecordError(
                    f"{file}, line {number}: must be a sense key, a tab and a sentence with one "
                    "word in double brackets, such as The [[bat]] flew at night."
                )
            start, end = len(before), len(before) + len(word)
            yield WrittenRecord(f"{name}-{number}", key, before + word + after, start, end)


def read_written(folder: Path) -> Iterator[TaggedSentence]:
    """The written corpus (:func:`written_records`), in tokens of spaCy's English tokenizer.

    Raises:
        RecordError: a line has no key, or not one word in double brackets.
    """
    import spacy

    make_doc = spacy.blank("en").make_doc
    for name, key, text, start, end in written_records(folder):
        doc = make_doc(text)
        span = doc.char_span(start, end, alignment_mode="expand")
        assert span is not None  # noqa: S101 - expanded to whole tokens
        target = (span.start, span.end, [key])
        yield TaggedSentence(name, "written", [token.text for token in doc], [target])


def text_records(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and record of each running text: a line of a ``*.jsonl`` in the folder or its folders.

    A record is ``{"text": "...", "senses": [[start, end, [key, ...]], ...]}``, in characters and in
    order. Every noun, main verb, adjective and adverb that WordNet knows is there, without keys
    where no sense fits.

    Raises:
        RecordError: a line is no JSON, or no such record.
    """
    for file in corpus_files(folder, ".jsonl"):
        for number, record in enumerate(read_records(file), 1):
            if not _is_text(record):
                raise RecordError(
                    f"{file}, line {number}: must have a text and senses in order, each as "
                    "[start, end, [key, ...]]"
                )
            yield f"texts/{file.stem}-{number}", record


def held_out_texts(folder: Path) -> dict[str, dict[str, Any]]:
    """The running texts that :func:`split_corpora` holds out, by name."""
    return {name: record for name, record in text_records(folder) if _is_drawn(name)}


def _is_text(record: Any) -> bool:
    try:
        text, at = record["text"], 0
        for start, end, keys in record["senses"]:
            if not (at <= start < end <= len(text) and isinstance(keys, list)):
                return False
            if not all(isinstance(key, str) for key in keys):
                return False
            at = end
    except (KeyError, TypeError, ValueError):
        return False
    return isinstance(text, str)


def read_texts(folder: Path, wordnet: WordNet) -> Iterator[TaggedSentence]:
    """The running texts, cut by :func:`~spacy_attn.sentences.sentence_starts`.

    Each is a document, with spaCy's tokens; a blank line stays one, for it ends a sentence. Keys
    that are not in WordNet 3.0 are left out.

    Raises:
        RecordError: a line is no JSON, no such record, or has a sense that cuts a token.
    """
    import spacy

    make_doc = spacy.blank("en").make_doc
    for name, record in text_records(folder):
        doc = make_doc(record["text"])
        spans = []
        for start, end, keys in record["senses"]:
            span = doc.char_span(start, end)
            if span is None:
                raise RecordError(f"{name}: the sense {start} to {end} does not stand on tokens")
            spans.append((span, [key for key in keys if key in wordnet.senses]))
        inside = {i for span, _ in spans for i in range(span.start + 1, span.end)}
        starts = [i for i in sentence_starts([t.text for t in doc]) if i not in inside]
        for first, end in pairwise([*starts, len(doc)]):
            targets = [
                (span.start - first, span.end - first, keys)
                for span, keys in spans
                if keys and first <= span.start < end
            ]
            yield TaggedSentence(name, "texts", [t.text for t in doc[first:end]], targets)


def _is_form(token: str, lemma: str) -> bool:
    stem = lemma if len(lemma) <= 3 else lemma[:-1]
    return token.startswith(stem) and len(token) <= len(lemma) + 3


@dataclass(frozen=True, slots=True)
class Split:
    """What is trained on, by document, and what is held out for tuning."""

    train: list[list[TaggedSentence]]
    held_out: dict[str, list[TaggedSentence]]


def split_corpora(
    semcor: list[TaggedSentence],
    masc: list[TaggedSentence],
    examples: list[TaggedSentence],
    written: Sequence[TaggedSentence] = (),
) -> Split:
    """Hold out a tenth of SemCor's documents, some genres of MASC, a fifth of what was written.

    Args:
        semcor: sentences of SemCor.
        masc: sentences of MASC; may be empty.
        examples: WordNet's example sentences and other tagged ones; all are trained on.
        written: the written corpus. A word is held out with all its written sentences, by a hash
            of its lemma, and a running text by a hash of file and line, so that the split stays
            when words and lines are added.
    """
    docs = sorted({s.doc for s in semcor})
    random.Random(_SEED).shuffle(docs)  # noqa: S311 - a split, not a secret
    out_docs = set(docs[: len(docs) // 10])
    genres = sorted({s.genre for s in masc})
    out_genres = set(random.Random(_SEED).sample(genres, min(_N_GENRES, len(genres))))  # noqa: S311
    kept = [
        *(s for s in semcor if s.doc not in out_docs),
        *(s for s in masc if s.genre not in out_genres),
        *examples,
        *(s for s in written if not _is_held_out(s)),
    ]
    documents: dict[tuple[str, str], list[TaggedSentence]] = {}
    for sentence in kept:
        documents.setdefault((sentence.genre, sentence.doc), []).append(sentence)
    held_out = {"semcor": [s for s in semcor if s.doc in out_docs]}
    for genre in sorted(out_genres):
        held_out[f"masc:{genre}"] = [s for s in masc if s.genre == genre]
    for genre in ("written", "texts"):
        some = [s for s in written if s.genre == genre and _is_held_out(s)]
        if some:
            held_out[genre] = some
    return Split(list(documents.values()), held_out)


def _is_held_out(sentence: TaggedSentence) -> bool:
    if sentence.genre == "written":
        return _is_drawn(sentence.targets[0][2][0].partition("%")[0])
    return _is_drawn(sentence.doc)


def _is_drawn(name: str) -> bool:
    return zlib.crc32(name.encode()) % _WRITTEN_HELD_OUT == 0
