"""Read the user's own WordNet 3.0 (the ``dict`` files); nothing of it is copied.

The training of the sense model needs definitions and example sentences. They are
read at run time from a folder in the format of WordNet's ``wndb(5WN)`` manual
page: Debian's packages ``wordnet-base`` and ``wordnet-sense-index`` put it under
``/usr/share/wordnet``; NLTK's ``corpora/wordnet`` has the same files.
"""

from __future__ import annotations

import mmap
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from spacy_attn.errors import ResourceError
from spacy_attn.files import regular_file
from spacy_attn.models import INSTALL_WORDNET
from spacy_attn.wsd.sense import Example

# lexnames(5WN): the lexicographer file of a sense key is an index into this list.
SUPERSENSES = (
    "adj.all adj.pert adv.all noun.Tops noun.act noun.animal noun.artifact noun.attribute "
    "noun.body noun.cognition noun.communication noun.event noun.feeling noun.food noun.group "
    "noun.location noun.motive noun.object noun.person noun.phenomenon noun.plant "
    "noun.possession noun.process noun.quantity noun.relation noun.shape noun.state "
    "noun.substance noun.time verb.body verb.change verb.cognition verb.communication "
    "verb.competition verb.consumption verb.contact verb.creation verb.emotion verb.motion "
    "verb.perception verb.possession verb.social verb.stative verb.weather adj.ppl"
).split()

#: The part of speech of the type that a sense key has behind its lemma.
POS_OF_TYPE = {"1": "NOUN", "2": "VERB", "3": "ADJ", "4": "ADV", "5": "ADJ"}


def word_of(key: str) -> tuple[str, str]:
    """Lemma, with blanks, and part of speech of a sense key: ("hot dog", "NOUN")."""
    lemma, _, rest = key.partition("%")
    return lemma.replace("_", " "), POS_OF_TYPE[rest[0]]


_POS_OF_LETTER = {"n": "NOUN", "v": "VERB", "a": "ADJ", "s": "ADJ", "r": "ADV"}
_FILES = {"NOUN": "noun", "VERB": "verb", "ADJ": "adj", "ADV": "adv"}
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class WordNetSense:
    """One line of ``index.sense``."""

    key: str
    lemma: str  # lower case, underscores between words
    pos: str  # NOUN, VERB, ADJ or ADV
    supersense: str
    offset: int
    rank: int  # WordNet's order among the senses of this lemma and part of speech, from 1
    count: int  # occurrences in WordNet's own tagged corpora


def find_wordnet() -> Path | None:
    """The first folder that holds WordNet's files, or None.

    Looked for in ``$SPACY_ATTN_WORDNET``, ``$WNSEARCHDIR``, Debian's folder and the
    usual places of NLTK's data.
    """
    places = [os.environ.get("SPACY_ATTN_WORDNET"), os.environ.get("WNSEARCHDIR")]
    places.append("/usr/share/wordnet")
    nltk_roots = os.environ.get("NLTK_DATA", "").split(os.pathsep)
    nltk_roots += [str(Path.home() / "nltk_data")]
    nltk_roots += ["/usr/share/nltk_data", "/usr/local/share/nltk_data"]
    places += [str(Path(root) / "corpora" / "wordnet") for root in nltk_roots if root]
    for place in places:
        if place and all((Path(place) / name).is_file() for name in ("index.sense", "data.noun")):
            return Path(place)
    return None


class WordNet:
    """WordNet 3.0 opened from a folder: candidates, order, counts, glosses.

    Args:
        path: the folder with ``index.sense`` and ``data.*``; None looks in the usual places.

    Raises:
        ResourceError: there is no such folder.
    """

    def __init__(self, path: Path | None = None) -> None:
        found = path if path is not None else find_wordnet()
        if found is None or not (found / "index.sense").is_file():
            raise ResourceError(
                f"WordNet was not found{f' in {path}' if path else ''}; install it with: "
                f"{INSTALL_WORDNET}"
            )
        self.path = found
        self.synsets = SynsetFiles(found)

    @cached_property
    def senses(self) -> dict[str, WordNetSense]:
        """All senses by their keys; they are read when they are first asked for."""
        senses = {}
        for line in regular_file(self.path / "index.sense").read_text("utf-8").splitlines():
            key, offset, rank, count = line.split()
            lemma, _, rest = key.partition("%")
            pos = POS_OF_TYPE[rest[0]]
            supersense = SUPERSENSES[int(rest.split(":")[1])]
            senses[key] = WordNetSense(
                key, lemma, pos, supersense, int(offset), int(rank), int(count)
            )
        return senses

    @cached_property
    def _by_word(self) -> dict[tuple[str, str], tuple[WordNetSense, ...]]:
        by_word: dict[tuple[str, str], list[WordNetSense]] = defaultdict(list)
        for sense in self.senses.values():
            by_word[sense.lemma, sense.pos].append(sense)
        return {
            word: tuple(sorted(senses, key=lambda s: s.rank)) for word, senses in by_word.items()
        }

    def candidates(self, lemma: str, pos: str) -> tuple[WordNetSense, ...]:
        """The senses of a lemma in WordNet's order; empty when it is unknown."""
        return self._by_word.get((lemma.lower().replace(" ", "_"), pos), ())

    def gloss(self, sense: WordNetSense) -> tuple[str, list[str]]:
        """Definition and example sentences of a sense's synset."""
        return self.synsets.gloss(sense.pos, sense.offset)

    def synonyms(self, sense: WordNetSense) -> list[str]:
        """The lemmas of a sense's synset, as written in WordNet, underscores kept."""
        return self.synsets.words(sense.pos, sense.offset)


class SynsetFiles:
    """WordNet's four ``data`` files, mapped into memory; safe to read from several threads.

    Args:
        path: their folder.

    Raises:
        ResourceError: one of them is missing or empty.
    """

    def __init__(self, path: Path) -> None:
        self._maps = {}
        for pos, name in _FILES.items():
            try:
                with regular_file(path / f"data.{name}").open("rb") as file:
                    self._maps[pos] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except (OSError, ValueError) as error:
                raise ResourceError(
                    f"{path / f'data.{name}'} cannot be read ({error}); install WordNet with: "
                    f"{INSTALL_WORDNET}"
                ) from error

    def line(self, pos: str, offset: int) -> str:
        """The line of one synset."""
        data = self._maps[pos]
        return data[offset : data.find(b"\n", offset)].decode("utf-8")

    def gloss(self, pos: str, offset: int) -> tuple[str, list[str]]:
        """Definition and example sentences."""
        gloss = self.line(pos, offset).split("| ", 1)[1].strip()
        definition = gloss.split('; "')[0].strip().strip('"')
        return definition, re.findall(r'"([^"]+)"', gloss)

    def glosses(self) -> Iterator[tuple[str, str]]:
        """Supersense and gloss (definition and examples, as written) of every synset."""
        for data in self._maps.values():
            at = 0
            while (end := data.find(b"\n", at)) >= 0:
                line = data[at:end]
                at = end + 1
                if not line.startswith(b" "):  # the licence
                    gloss = line.partition(b"| ")[2].decode("utf-8")
                    yield SUPERSENSES[int(line[9:11])], gloss

    def words(self, pos: str, offset: int) -> list[str]:
        """The lemmas, as written in WordNet, underscores kept."""
        fields = self.line(pos, offset).split(" ")
        n = int(fields[3], 16)
        return [re.sub(r"\(\w+\)$", "", fields[4 + 2 * i]) for i in range(n)]

    def pointers(self, pos: str, offset: int) -> list[tuple[str, str, int]]:
        """Relation sign, part of speech and offset of each synset that this one points to."""
        fields = self.line(pos, offset).split(" | ")[0].split(" ")
        at = 4 + 2 * int(fields[3], 16)
        rest = fields[at + 1 : at + 1 + 4 * int(fields[at])]
        return [
            (sign, _POS_OF_LETTER[letter], int(target))
            for sign, target, letter in zip(rest[::4], rest[1::4], rest[2::4], strict=True)
        ]


def find_example(text: str, lemma: str) -> Example | None:
    """The place of a lemma, each word of it with an ending of up to four letters."""
    stems = [word if len(word) <= 3 else word[:-1] for word in lemma.split(" ")]
    if stems[0] not in text.lower():
        return None
    if len(stems) == 1 and stems[0].isalnum():  # most are; compiling a pattern takes far longer
        places = (m.span() for m in _WORD.finditer(text) if _is_form(m.group().lower(), stems[0]))
        place = next(places, None)
    else:
        pattern = r"\b" + r"\w{0,4}\W+".join(map(re.escape, stems)) + r"\w{0,4}\b"
        found = re.search(pattern, text, re.IGNORECASE)
        place = found.span() if found else None
    return None if place is None else Example(text, *place)


def _is_form(word: str, stem: str) -> bool:
    """Whether a word is a stem with an ending of up to four letters."""
    return word.startswith(stem) and len(word) <= len(stem) + 4
