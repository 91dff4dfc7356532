"""Readers of sense-labelled data sets.

``read_raganato`` reads the XML of Raganato et al. 2017 ("Word sense disambiguation: a unified
evaluation framework and empirical comparison", EACL): ``NAME.data.xml`` with
``NAME.gold.key.txt`` beside it, each also compressed (.gz). ``open_dataset`` reads it, or labelled
JSONL, into one :class:`Dataset`, which is all that the comparison knows of either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO, Final

# expat itself stops entity bombs since its version 2.4.1
from xml.etree import ElementTree

from spacy_attn._types import CharSpan
from spacy_attn.errors import ConfigError, RecordError, ResourceError, allowed_names
from spacy_attn.files import open_decompressed, regular_file
from spacy_attn.wsd.context import Context, tokens_within
from spacy_attn.wsd.inventory.labelled import read_labelled
from spacy_attn.wsd.sense import POS_TAGS

#: The test set that the package brings along.
BUNDLED = Path(str(files("spacy_attn") / "data" / "homographs.test.jsonl"))

#: Tokenises and tags texts, as a pipeline does it.
Tag = Callable[[Sequence[str]], list[Context]]

# Raganato's sets have the twelve tags of Petrov et al. 2012, a Context those of Universal
# Dependencies. PRT holds particles of verbs ("take off"), which are adpositions there.
_UNIVERSAL = {".": "PUNCT", "CONJ": "CCONJ", "PRT": "ADP"}

_BLOCK: Final = 2**16  # bytes that are parsed at a time
_LONGEST: Final = 2**20  # characters of a sentence, its attributes counted, or of a tag
_LONGEST_LINE: Final = 10_000  # bytes of the sense keys of a word
_DEEPEST: Final = 100  # elements within elements; the format has four


@dataclass(frozen=True, slots=True)
class Instance:
    """One word of a data set, and the senses that count as right."""

    id: str
    context: int  # index among the contexts of the data set
    start: int  # first token
    end: int
    lemma: str  # lower case, words separated by blanks
    pos: str  # NOUN, VERB, ADJ or ADV
    gold: tuple[str, ...]  # sense ids or WordNet keys, at least one
    stratum: str = ""
    cues: tuple[CharSpan, ...] = ()
    frozen: bool = False  # of the half that nobody looks at before the last run


@dataclass(frozen=True, slots=True)
class Dataset:
    """Texts and the words in them to decide."""

    name: str
    contexts: tuple[Context, ...]
    instances: tuple[Instance, ...]
    files: tuple[Path, ...] = ()  # what it was read from
    may_quote: bool = False  # whether results may hold its texts


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


def open_dataset(
    path: Path | None, tag: Tag, gold: Mapping[str, tuple[str, ...]] | None = None
) -> Dataset:
    """Read a data set: Raganato XML (``*.xml``, ``*.xml.gz``) or labelled JSONL.

    Raganato's tokens, lemmas and parts of speech are the set's own. The texts of JSONL are
    tokenised and tagged, and its instances are numbered from 1.

    Args:
        path: the file; None takes the bundled test set.
        tag: for JSONL.
        gold: what stands for a sense of the JSONL file, where that is not the sense itself.

    Raises:
        ConfigError: there is no such file, or it is of another kind.
        InventoryError, RecordError, ResourceError: it cannot be read.
    """
    path = path or BUNDLED
    if not path.is_file():
        raise ConfigError(
            f"{path} does not exist; give labelled .jsonl, NAME.data.xml or NAME.data.xml.gz"
        )
    if is_raganato(path):
        name = path.name.removesuffix(".gz").removesuffix(".xml").removesuffix(".data")
        data = dataset_of(name, read_raganato(path), files=(path, key_file_of(path)))
    elif path.suffix == ".jsonl":
        data = _read_jsonl(path, tag, gold or {})
    else:
        raise ConfigError(
            f"{path} is of no kind that can be compared; allowed are labelled .jsonl (text, start, "
            "end, lemma, pos, sense), NAME.data.xml and NAME.data.xml.gz"
        )
    if not data.instances:
        raise RecordError(f"{path} holds no labelled word")
    return data


def half_of(dataset: Dataset, *, frozen: bool) -> Dataset:
    """The instances of one half of a set; the numbers stay.

    Raises:
        RecordError: there is none.
    """
    kept = tuple(item for item in dataset.instances if item.frozen == frozen)
    if not kept:
        raise RecordError(f"{dataset.name} has no {'frozen' if frozen else 'open'} half")
    return replace(dataset, instances=kept)


def is_raganato(path: Path) -> bool:
    """Whether the name is that of a set in Raganato's XML."""
    return path.name.endswith((".xml", ".xml.gz"))


def dataset_of(
    name: str,
    sentences: Iterable[LabelledSentence],
    stratum: Callable[[LabelledSentence], str] | None = None,
    files: tuple[Path, ...] = (),
) -> Dataset:
    """The data set of labelled sentences; each is a text of its own.

    A token that holds blanks becomes several ("primary elections"), and a word all of them.

    Args:
        name: of the set.
        sentences: read by :func:`read_raganato`, or made of another corpus.
        stratum: of the words of a sentence; None takes what stands before the first dot of
            the document's name, which in a joined set is the set that it comes from.
        files: what was read.

    Raises:
        RecordError: two instances have the same id.
    """
    contexts: list[Context] = []
    instances: list[Instance] = []
    for sentence in sentences:
        context, bounds = _context(sentence)
        prefix, dot, _ = sentence.doc.partition(".")
        own = stratum(sentence) if stratum else (prefix if dot else "")
        for word in sentence.words:
            start, end = bounds[word.token]
            instances.append(
                Instance(word.id, len(contexts), start, end, word.lemma, word.pos, word.senses, own)
            )
        contexts.append(context)
    seen: set[str] = set()
    for instance in instances:
        if instance.id in seen:
            raise RecordError(f"{name}: the id {instance.id!r} stands at two words")
        seen.add(instance.id)
    return Dataset(name, tuple(contexts), tuple(instances), files)


def _context(sentence: LabelledSentence) -> tuple[Context, list[tuple[int, int]]]:
    """The sentence as a text, and the tokens there of each of its tokens."""
    tokens: list[str] = []
    lemmas: list[str] = []
    tags: list[str] = []
    bounds: list[tuple[int, int]] = []
    for token, lemma, tag in zip(sentence.tokens, sentence.lemmas, sentence.tags, strict=True):
        parts = token.split() or [token]
        own = lemma.split(" ") if len(parts) > 1 else [lemma]
        bounds.append((len(tokens), len(tokens) + len(parts)))
        tokens += parts
        lemmas += own if len(own) == len(parts) else [""] * len(parts)
        tags += [_UNIVERSAL.get(tag, tag)] * len(parts)
    starts = accumulate((len(token) + 1 for token in tokens[:-1]), initial=0)
    offsets = [(at, at + len(token)) for at, token in zip(starts, tokens, strict=False)]
    return Context(" ".join(tokens), tokens, offsets, lemmas, tags), bounds


def _read_jsonl(path: Path, tag: Tag, gold: Mapping[str, tuple[str, ...]]) -> Dataset:
    labelled = list(read_labelled(path))
    rows = {text: row for row, text in enumerate(dict.fromkeys(item.text for item in labelled))}
    contexts = tag(list(rows))
    instances = []
    for number, item in enumerate(labelled, 1):
        row = rows[item.text]
        start, end = tokens_within(contexts[row], item.start, item.end)
        right = gold.get(item.sense) or (item.sense,)
        made = Instance(str(number), row, start, end, item.lemma, item.pos, right)
        instances.append(replace(made, stratum=item.stratum, cues=item.cues, frozen=item.frozen))
    name = path.name.removesuffix(".jsonl").removesuffix(".test")
    return Dataset(name, tuple(contexts), tuple(instances), (path,), may_quote=True)


def peers_of(dataset: Dataset) -> dict[str, Path]:
    """Published predictions of a set, by the systems' names.

    Looked for are ``NAME.key.txt`` and ``NAME.key.txt.gz`` in the folder ``peers`` beside a set in
    Raganato's XML; files that predict none of its instances are those of another set.
    """
    ids = {instance.id for instance in dataset.instances}
    path = next(filter(is_raganato, dataset.files), None)
    files = sorted((path.parent / "peers").glob("*.key.txt*")) if path else []
    found = {}
    for file in files:
        name = file.name.removesuffix(".gz")
        if name.endswith(".key.txt") and not ids.isdisjoint(read_keys(file)):
            found[name.removesuffix(".key.txt")] = file
    return found


def read_keys(path: Path) -> dict[str, tuple[str, ...]]:
    """Sense keys of each instance, from a ``.key.txt`` file or a system's predictions.

    Raises:
        ResourceError: the file does not exist.
        RecordError: a line holds no key.
    """
    keys: dict[str, tuple[str, ...]] = {}
    known: dict[str, str] = {}  # a key stands at many instances, and is held once
    with _open(path) as file:
        try:
            for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE), b""), 1):
                if len(line) == _LONGEST_LINE:
                    raise RecordError(
                        f"{path}, line {number}: longer than {_LONGEST_LINE:,} bytes; must be an "
                        "id and its sense keys"
                    )
                fields = line.decode("utf-8").split()
                if not fields:
                    continue
                if len(fields) < 2:
                    raise RecordError(f"{path}, line {number}: must be an id and its sense keys")
                keys[fields[0]] = tuple(known.setdefault(key, key) for key in fields[1:])
        except (OSError, UnicodeDecodeError) as error:  # no gzip, cut off, no text
            raise RecordError(f"{path} is no file of sense keys: {error}") from error
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
    taker = _Sentences(path, gold)
    parser = ElementTree.XMLParser(target=taker)  # noqa: S314
    with _open(path) as file:
        try:
            while block := file.read(_BLOCK):
                parser.feed(block)
                yield from taker.take(len(block))
            parser.close()
        except RecordError:
            raise
        # The last two are of an encoding that Python does not know, or expat cannot use.
        except (ElementTree.ParseError, OSError, LookupError, ValueError) as error:
            raise RecordError(f"{path} is no XML of sense-labelled text: {error}") from error


class _Sentences:
    """Takes what expat reads, and holds no more than one sentence and those that were not taken.

    A tree of all elements would have thirty times the size of the file.
    """

    def __init__(self, path: Path, gold: dict[str, tuple[str, ...]]) -> None:
        self._path, self._gold = path, gold
        self._whole: list[LabelledSentence] = []
        self._doc = self._id = ""
        self._children: list[_Child] | None = None  # of the sentence that is open
        self._depth = self._at = 0  # of elements; where the sentence is
        self._size = 0  # of the sentence
        self._unread = 0  # bytes since something was read

    def take(self, n_read: int) -> list[LabelledSentence]:
        """The sentences that became whole with so many bytes.

        Raises:
            RecordError: the bytes have been of one tag or comment for long.
        """
        self._unread += n_read
        self._check(self._unread, "a tag or comment")
        whole, self._whole = self._whole, []
        return whole

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        self._unread = 0
        if tag == "text":
            self._doc = attributes.get("id", "")
        self._depth += 1
        if self._depth > _DEEPEST:
            raise RecordError(f"{self._path}: elements are more than {_DEEPEST} deep; allowed: 4")
        if self._children is None and tag == "sentence":
            self._id, self._children = attributes.get("id", ""), []
            self._at, self._size = self._depth, 0
        elif self._children is not None and self._depth == self._at + 1:
            id, lemma, pos = (attributes.get(name, "") for name in ("id", "lemma", "pos"))
            self._children.append(_Child(tag, id, lemma, pos, []))
            self._grow(len(tag) + len(id) + len(lemma) + len(pos) + 8)

    def data(self, text: str) -> None:
        """A piece of text."""
        self._unread = 0
        if self._children and self._depth == self._at + 1:
            self._children[-1].texts.append(text)
            self._grow(len(text))

    def end(self, tag: str) -> None:
        """An element ends."""
        self._unread = 0
        if self._children is not None and self._depth == self._at:
            made = _sentence(self._path, self._doc, self._id, self._children, self._gold)
            self._whole.append(made)
            self._children = None
        self._depth -= 1

    def close(self) -> None:
        """The file ends."""

    def _grow(self, size: int) -> None:
        self._size += size
        self._check(self._size, f"sentence {self._id[:100]!r}")

    def _check(self, size: int, what: str) -> None:
        if size > _LONGEST:
            raise RecordError(
                f"{self._path}: {what} is longer than {_LONGEST:,} characters; cut it"
            )


@dataclass(frozen=True, slots=True)
class _Child:
    """An element of a sentence: one token."""

    tag: str
    id: str
    lemma: str
    pos: str
    texts: list[str]


def _sentence(
    path: Path, doc: str, id: str, children: Sequence[_Child], gold: dict[str, tuple[str, ...]]
) -> LabelledSentence:
    tokens: list[str] = []
    lemmas: list[str] = []
    tags: list[str] = []
    words: list[LabelledWord] = []
    for child in children:
        lemma = child.lemma.replace("_", " ").lower()
        if child.tag == "instance":
            if child.id not in gold:
                raise RecordError(f"{path}, instance {child.id!r} has no gold key")
            if child.pos not in POS_TAGS:
                raise RecordError(
                    f"{path}, instance {child.id!r}: pos {child.pos!r}; "
                    f"{allowed_names(child.pos, POS_TAGS)}"
                )
            words.append(LabelledWord(child.id, len(tokens), lemma, child.pos, gold[child.id]))
        tokens.append("".join(child.texts))
        lemmas.append(lemma)
        tags.append(child.pos)
    return LabelledSentence(id, doc, tuple(tokens), tuple(lemmas), tuple(tags), tuple(words))


def _open(path: Path) -> BinaryIO:
    try:
        return open_decompressed(regular_file(path))
    except OSError as error:
        raise ResourceError(f"{path} cannot be read: {error.strerror}") from error
