"""Wordnets of all languages as WN-LMF files: https://globalwordnet.github.io/schemas/."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

from spacy_attn.errors import ConfigError, InventoryError, SpacyAttnError, did_you_mean
from spacy_attn.wsd.inventory.importers.records import LeftOut, Record
from spacy_attn.wsd.inventory.importers.wordnets import names_of, of_one_language, record_of

_LEXICONS = ("Lexicon", "LexiconExtension")
_ENTRIES = ("LexicalEntry", "ExternalLexicalEntry")
_SYNSETS = ("Synset", "ExternalSynset")


@dataclass(slots=True)
class _Synset:
    """What the file says of a synset, after the words that point to it."""

    definition: str = ""
    examples: list[str] = field(default_factory=list)
    ili: str = ""
    lexfile: str = ""


@dataclass(slots=True)
class _Sense:
    id: str
    synset: str
    examples: list[str]
    is_external: bool


@dataclass(slots=True)
class _Entry:
    """A word; without a lemma where the word is one of the lexicon that is extended."""

    id: str
    lemma: str
    pos: str
    forms: list[str]
    senses: list[_Sense]


@dataclass(slots=True)
class _Lexicon:
    id: str
    version: str
    label: str
    language: str
    #: The lexicon that this one adds to, or "".
    extends: str = ""
    entries: list[_Entry] = field(default_factory=list)
    synsets: dict[str, _Synset] = field(default_factory=dict)

    def specifier(self) -> str:
        """The name by which ``wn`` knows it."""
        return f"{self.id}:{self.version}"


def read_lmf(
    file: IO[bytes],
    place: str,
    lang: str | None,
    lexicon: str | None,
    left_out: LeftOut,
    notes: list[str],
) -> Iterator[Record]:
    """The records of a WN-LMF file.

    Args:
        file: its bytes.
        place: its name, for messages.
        lang: code of the language whose lexicons are taken; None where the file has one.
        lexicon: the lexicons that are taken, ``ID`` or ``ID:VERSION`` with blanks between; None
            takes all.
        left_out: counts the senses that are left out.
        notes: says which lexicons there are, where there are several.

    Raises:
        InventoryError: it is no WN-LMF.
        ConfigError: it has several languages and none was chosen, or not the language or the
            lexicons that were; or two of its lexicons have a sense of the same id.
    """
    lexicons = list(_lexicons(file, place))
    if not lexicons:
        raise InventoryError(f"{place} holds no <Lexicon>; a wordnet of WN-LMF has one or more")
    chosen = lexicons if lexicon is None else _chosen(lexicons, lexicon, place)
    taken = of_one_language(chosen, place, lang)
    if left := [each for each in lexicons if each not in taken]:
        notes.append(f"lexicons left out: {names_of(left)}")
    if len(taken) > 1:
        notes.append(f"lexicons taken: {names_of(taken)}; --lexicon ID takes one")
    seen: dict[str, str] = {}
    for each in _merged(taken):
        for entry in each.entries:
            if not entry.lemma and each.extends:
                left_out[f"word of {each.extends}, which is not here"] += len(entry.senses)
                continue
            for sense in entry.senses:
                synset = each.synsets.get(sense.synset, _Synset())
                yield from record_of(
                    entry.lemma,
                    entry.pos,
                    sense.id,
                    definition=synset.definition,
                    examples=[*sense.examples, *synset.examples],
                    forms=entry.forms,
                    supersense=synset.lexfile,
                    ids={"synset": sense.synset, "ili": synset.ili},
                    lexicon=each,
                    seen=seen,
                    left_out=left_out,
                )


def _chosen(lexicons: list[_Lexicon], wanted: str, place: str) -> list[_Lexicon]:
    """The lexicons that are asked for, and those that they extend."""
    taken: set[str] = set()
    for name in wanted.split():
        found = [each for each in lexicons if name in (each.id, each.specifier())]
        if not found:
            near = did_you_mean(name, (each.id for each in lexicons))
            raise ConfigError(f"--lexicon {name}: {place} has {names_of(lexicons)}{near}")
        taken |= {specifier for each in found for specifier in (each.specifier(), each.extends)}
    return [each for each in lexicons if each.specifier() in taken]


def _merged(lexicons: list[_Lexicon]) -> list[_Lexicon]:
    """The lexicons, with what extensions add to one of them as a part of it."""
    whole: dict[str, _Lexicon] = {}
    for each in sorted(lexicons, key=lambda each: bool(each.extends)):
        if each.extends not in whole:
            whole[each.specifier()] = each
            continue
        base = whole[each.extends]
        entries = {entry.id: entry for entry in base.entries}
        for entry in each.entries:
            if entry.lemma or entry.id not in entries:
                base.entries.append(entry)
            else:
                _add_to(entries[entry.id], entry)
        for name, synset in each.synsets.items():
            there = base.synsets.setdefault(name, synset)
            if there is not synset:
                there.definition = there.definition or synset.definition
                there.examples += synset.examples
    return list(whole.values())


def _add_to(entry: _Entry, more: _Entry) -> None:
    entry.forms += more.forms
    senses = {sense.id: sense for sense in entry.senses}
    for sense in more.senses:
        if not sense.is_external:
            entry.senses.append(sense)
        elif sense.id in senses:
            senses[sense.id].examples += sense.examples


def _lexicons(file: IO[bytes], place: str) -> Iterator[_Lexicon]:
    """Each lexicon of a file; elements are dropped as soon as they are read."""
    from xml.etree import ElementTree

    lexicon: _Lexicon | None = None
    try:
        for event, element in ElementTree.iterparse(file, ("start", "end")):  # noqa: S314
            if event == "start":
                if element.tag in _LEXICONS:
                    names = ("id", "version", "label", "language")
                    lexicon = _Lexicon(*(element.get(name, "") for name in names))
                elif element.tag == "Extends" and lexicon is not None:
                    lexicon.extends = f"{element.get('id', '')}:{element.get('version', '')}"
                continue
            if lexicon is None:
                continue
            if element.tag in _ENTRIES:
                lexicon.entries.append(_entry(element))
                element.clear()
            elif element.tag in _SYNSETS:
                lexicon.synsets[element.get("id", "")] = _synset(element, lexicon.language)
                element.clear()
            elif element.tag in _LEXICONS:
                yield lexicon
                lexicon = None
                element.clear()
    except SpacyAttnError:
        raise
    # The last two are of an encoding that Python does not know, or expat cannot use.
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise InventoryError(f"{place} is no XML ({error}); a wordnet is in WN-LMF") from error


def _entry(element: Any) -> _Entry:
    lemma = element.find("Lemma")
    forms = [form.get("writtenForm", "") for form in element.iter("Form")]
    return _Entry(
        element.get("id", ""),
        "" if lemma is None else lemma.get("writtenForm", ""),
        "" if lemma is None else lemma.get("partOfSpeech", ""),
        [form for form in forms if form],
        [
            _Sense(
                sense.get("id", ""),
                sense.get("synset", ""),
                _texts(sense, "Example"),
                sense.tag == "ExternalSense",
            )
            for sense in element
            if sense.tag in ("Sense", "ExternalSense")
        ],
    )


def _synset(element: Any, language: str) -> _Synset:
    definitions = _texts(element, "Definition") or _texts(element, "ILIDefinition")
    own = _texts(element, "Definition", ("", language))  # others may stand beside it
    ili = element.get("ili", "")
    return _Synset(
        (own or definitions or [""])[0],
        _texts(element, "Example"),
        "" if ili == "in" else ili,  # "in": to be added to the index
        element.get("lexfile", ""),
    )


def _texts(element: Any, tag: str, languages: Collection[str] = ()) -> list[str]:
    found = [e for e in element.iter(tag) if not languages or e.get("language", "") in languages]
    texts = (" ".join("".join(child.itertext()).split()) for child in found)
    return [text for text in texts if text]
