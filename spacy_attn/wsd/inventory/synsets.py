"""What a sense of WordNet is called elsewhere: its synset, and the same in NLTK and ``wn``.

    synset_of("bat%1:05:00::").name                         "bat.n.01"
    synset_of(token._.sense).offset                         "02139199-n"
    synset_of(token._.sense).nltk().lowest_common_hypernyms(...)

Names and offsets come from the package; what a synset is a kind of is read from the user's
WordNet, and the ids of other wordnets from the data of the user's ``wn`` library.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from spacy_attn.errors import ConfigError, ResourceError, explain_missing_package
from spacy_attn.wsd.inventory.importers.wordnets import ili_of
from spacy_attn.wsd.inventory.wordnet import WordNetInventory, wordnet_inventory
from spacy_attn.wsd.sense import Sense

if TYPE_CHECKING:
    from spacy_attn.wsd.annotation import SenseAnnotation

_LETTERS = {"NOUN": "n", "VERB": "v", "ADJ": "a", "ADV": "r"}
_PRINCETON = "omw-en:1.4"  # WordNet 3.0 as data of wn


@dataclass(frozen=True, slots=True)
class Synset:
    """A synset of WordNet 3.0, as seen from one of its senses."""

    key: str  # sense key of WordNet
    name: str  # as in NLTK 3.10 and later: "bat.n.01"
    offset: str  # "02139199-n"
    pos: str  # NOUN, VERB, ADJ or ADV
    supersense: str  # "noun.animal"
    lemmas: tuple[str, ...]  # of all its senses, blanks between words

    @property
    def hypernyms(self) -> tuple[Synset, ...]:
        """What it is a kind of, one step up.

        Raises:
            ResourceError: there is no WordNet 3.0 on this machine.
        """
        inventory = wordnet_inventory()
        inventory.require_definitions("hypernyms")
        return tuple(_synset(inventory, sense) for sense in inventory.hypernyms(self._sense))

    @property
    def definition(self) -> str:
        """From the user's WordNet; "" where there is none."""
        return self._sense.definition

    @property
    def _sense(self) -> Sense:
        return _sense_of(wordnet_inventory(), self.key)

    def nltk(self) -> Any:
        """The same as a ``Synset`` of NLTK.

        Raises:
            ResourceError: NLTK's data are not installed, or of another version.
        """
        with explain_missing_package("Synset.nltk()"):
            from nltk.corpus import wordnet
        digits, _, letter = self.offset.partition("-")
        try:
            found = wordnet.synset_from_pos_and_offset(letter, int(digits))
        except LookupError as error:
            raise ResourceError(
                "NLTK has no WordNet; get it with: python -m nltk.downloader wordnet"
            ) from error
        except OSError as error:  # such as the dictionary of Debian, which lacks lexnames
            raise ResourceError(
                f"NLTK's WordNet cannot be read ({error}); get it whole with: "
                "python -m nltk.downloader wordnet"
            ) from error
        except Exception as error:  # NLTK's own, where no synset stands at the offset
            raise ResourceError(
                f"NLTK's WordNet has no synset {self.offset}: it is not WordNet 3.0; get it with: "
                "python -m nltk.downloader wordnet"
            ) from error
        return found

    def wn(self, lexicon: str = _PRINCETON) -> Any:
        """The same as a ``Synset`` of ``wn``: of WordNet 3.0, or by the interlingual index.

        Args:
            lexicon: such as "oewn:2024" or "odenet:1.4".

        Raises:
            ResourceError: ``wn`` is not installed, or has no data of WordNet 3.0.
            ConfigError: it has no such lexicon, or that has no synset for this one.
        """
        with explain_missing_package("Synset.wn()"):
            import wn
        digits, _, letter = self.offset.partition("-")
        letters = (letter, "s") if letter == "a" else (letter,)
        try:
            princeton = wn.Wordnet(_PRINCETON)
        except wn.Error as error:
            raise ResourceError(
                f"wn has no data of WordNet 3.0 ({error}); get them with: "
                f"python -m wn download {_PRINCETON}"
            ) from error
        known = (_by_id(princeton, f"omw-en-{digits}-{each}") for each in letters)
        found = next((each for each in known if each is not None), None)
        if found is None:
            raise ResourceError(f"{_PRINCETON} of wn has no synset {self.offset}")
        if lexicon == _PRINCETON:
            return found
        ili = ili_of(found)
        try:
            others = wn.Wordnet(lexicon).synsets(ili=ili)
        except wn.Error as error:
            lexicons = ", ".join(each.specifier() for each in wn.lexicons())
            raise ConfigError(
                f"wn has no lexicon {lexicon!r} ({error}); it has {lexicons}; get one with: "
                f"python -m wn download {lexicon}"
            ) from error
        if not others:
            raise ConfigError(f"{lexicon} has no synset for {self.name} (index {ili})")
        return others[0]


def _by_id(wordnet: Any, name: str) -> Any:
    import wn

    try:
        return wordnet.synset(name)
    except wn.Error:
        return None


def synset_of(sense: str | Sense | SenseAnnotation) -> Synset:
    """The synset of a sense of WordNet 3.0.

    Args:
        sense: a sense key; what ``token._.sense`` gives with the inventory "wordnet"; or a sense of
            an inventory that names its sense of WordNet, such as those of *homographs*.

    Raises:
        ConfigError: it is no sense of WordNet.
    """
    key = sense if isinstance(sense, str) else sense.id
    if isinstance(sense, Sense) and "%" not in key and sense.wordnet:
        key = sense.wordnet[0]
    return _synset(wordnet_inventory(), _sense_of(wordnet_inventory(), key))


def _sense_of(inventory: WordNetInventory, key: str) -> Sense:
    lemma = key.partition("%")[0]
    for sense in inventory.candidates(lemma):
        if sense.id == key:
            return sense
    raise ConfigError(
        f"{key!r} is no sense of WordNet 3.0; allowed are sense keys such as 'bat%1:05:00::'"
    )


@lru_cache(maxsize=20_000)
def _synset(inventory: WordNetInventory, sense: Sense) -> Synset:
    first, letter = inventory.first_lemma(sense), _LETTERS[sense.pos]
    candidates = inventory.candidates(first, sense.pos)
    if _is_satellite(sense):  # NLTK 3.10 counts them alone
        letter, candidates = "s", tuple(filter(_is_satellite, candidates))
    synsets = [inventory.synset_of_row[each.row] for each in candidates]
    rank = synsets.index(inventory.synset_of_row[sense.row]) + 1
    return Synset(
        sense.id,
        f"{first.replace(' ', '_')}.{letter}.{rank:02d}",
        f"{inventory.offset(sense):08d}-{_LETTERS[sense.pos]}",
        sense.pos,
        sense.supersense,
        tuple(sorted([sense.lemma, *inventory.synonyms(sense)], key=lambda lemma: lemma != first)),
    )


def _is_satellite(sense: Sense) -> bool:
    """Whether it is an adjective that stands with another one ("damp" with "wet")."""
    return sense.id.partition("%")[2].startswith("5")
