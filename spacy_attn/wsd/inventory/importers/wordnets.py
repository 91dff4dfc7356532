"""Wordnets of all languages: WN-LMF files, and the data of the user's ``wn`` library.

The format: https://globalwordnet.github.io/schemas/. Both ways give the same records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

from spacy_attn.errors import ConfigError, InventoryError, did_you_mean, explain_missing_package
from spacy_attn.wsd.inventory.importers.records import LeftOut, Record, pos_of

_LEXICONS = ("Lexicon", "LexiconExtension")


@dataclass(slots=True)
class _Synset:
    """What the file says of a synset, after the words that point to it."""

    definition: str = ""
    examples: list[str] = field(default_factory=list)
    ili: str = ""
    lexfile: str = ""


@dataclass(slots=True)
class _Sense:
    lemma: str
    pos: str
    forms: list[str]
    id: str
    synset: str
    examples: list[str]


@dataclass(slots=True)
class _Lexicon:
    id: str
    lang: str
    senses: list[_Sense] = field(default_factory=list)
    synsets: dict[str, _Synset] = field(default_factory=dict)


def read_lmf(file: IO[bytes], place: str, lang: str | None, left_out: LeftOut) -> Iterator[Record]:
    """The records of a WN-LMF file.

    Args:
        file: its bytes.
        place: its name, for messages.
        lang: code of the language whose lexicons are taken; None where the file has one.
        left_out: counts the senses that are left out.

    Raises:
        InventoryError: it is no WN-LMF.
        ConfigError: it has several languages and none was chosen, or not the one that was.
    """
    lexicons = list(_lexicons(file, place))
    if not lexicons:
        raise InventoryError(f"{place} holds no <Lexicon>; a wordnet of WN-LMF has one or more")
    langs = dict.fromkeys(lexicon.lang for lexicon in lexicons)
    if lang is None and len(langs) > 1:
        raise ConfigError(
            f"{place} has lexicons of {', '.join(langs)}; choose a language with --lang"
        )
    taken = [lexicon for lexicon in lexicons if lang in (None, lexicon.lang)]
    if not taken:
        near = did_you_mean(lang, langs)
        raise ConfigError(f"--lang {lang}: {place} has lexicons of {', '.join(langs)}{near}")
    for lexicon in taken:
        for sense in lexicon.senses:
            synset = lexicon.synsets.get(sense.synset, _Synset())
            yield from _record(
                sense.lemma,
                sense.pos,
                sense.id,
                definition=synset.definition,
                examples=[*sense.examples, *synset.examples],
                forms=sense.forms,
                supersense=synset.lexfile,
                ids={"synset": sense.synset, "ili": synset.ili},
                lang=lexicon.lang,
                left_out=left_out,
            )


def read_wn(lexicon: str, lang: str | None, left_out: LeftOut) -> Iterator[Record]:
    """The records of a lexicon of the user's ``wn`` library.

    Args:
        lexicon: such as "oewn:2024".
        lang: code of the language, where the lexicon does not say enough.
        left_out: counts the senses that are left out.

    Raises:
        ResourceError: ``wn`` is not installed.
        ConfigError: it has no such lexicon.
    """
    with explain_missing_package(f"wn:{lexicon}"):
        import wn
    try:
        wordnet = wn.Wordnet(lexicon=lexicon, lang=lang, expand="")
        found = wordnet.lexicons()
    except wn.Error as error:
        known = ", ".join(each.specifier() for each in wn.lexicons()) or "none"
        raise ConfigError(
            f"wn has no lexicon {lexicon!r} ({error}); it has {known}; get one with: "
            f"python -m wn download {lexicon}"
        ) from error
    for word in wordnet.words():
        lemma, *forms = map(str, word.forms())
        for sense in word.senses():
            synset = sense.synset()
            yield from _record(
                lemma,
                word.pos,
                sense.id,
                definition=synset.definition() or "",
                examples=[*sense.examples(), *synset.examples()],
                forms=forms,
                supersense=synset.lexfile() or "",
                ids={"synset": synset.id, "ili": ili_of(synset)},
                lang=found[0].language,
                left_out=left_out,
            )


def ili_of(synset: Any) -> str:
    """The interlingual index of a synset of ``wn``, or ""."""
    ili = synset.ili  # a string since wn 0.12, an object before
    return str(getattr(ili, "id", ili) or "")


def _record(
    lemma: str,
    pos: str,
    sense: str,
    *,
    definition: str,
    examples: list[str],
    forms: list[str],
    supersense: str,
    ids: dict[str, str],
    lang: str,
    left_out: LeftOut,
) -> Iterator[Record]:
    tag = pos_of(pos)
    if tag is None or not (definition or examples):
        left_out[f"part of speech {pos}" if tag is None else "no definition or example"] += 1
        return
    record = {
        "lemma": lemma,
        "pos": tag,
        "sense": sense,
        "definition": definition,
        "examples": list(dict.fromkeys(examples)),
        "forms": forms,
        "supersense": supersense,
        "ids": {name: value for name, value in ids.items() if value},
        "lang": lang,
    }
    yield {name: value for name, value in record.items() if value}


def _lexicons(file: IO[bytes], place: str) -> Iterator[_Lexicon]:
    """Each lexicon of a file; elements are dropped as soon as they are read."""
    from xml.etree import ElementTree

    lexicon: _Lexicon | None = None
    try:
        for event, element in ElementTree.iterparse(file, ("start", "end")):  # noqa: S314
            if event == "start":
                if element.tag in _LEXICONS:
                    lexicon = _Lexicon(element.get("id", ""), element.get("language", ""))
                continue
            if lexicon is None:
                continue
            if element.tag == "LexicalEntry":
                lexicon.senses += _senses(element)
                element.clear()
            elif element.tag == "Synset":
                lexicon.synsets[element.get("id", "")] = _synset(element)
                element.clear()
            elif element.tag in _LEXICONS:
                yield lexicon
                lexicon = None
                element.clear()
    except ElementTree.ParseError as error:
        raise InventoryError(f"{place} is no XML ({error}); a wordnet is in WN-LMF") from error


def _senses(entry: Any) -> Iterable[_Sense]:
    lemma = entry.find("Lemma")
    if lemma is None:
        return
    forms = [form.get("writtenForm", "") for form in entry.iter("Form")]
    for sense in entry.iter("Sense"):
        yield _Sense(
            lemma.get("writtenForm", ""),
            lemma.get("partOfSpeech", ""),
            [form for form in forms if form],
            sense.get("id", ""),
            sense.get("synset", ""),
            _texts(sense, "Example"),
        )


def _synset(element: Any) -> _Synset:
    definitions = _texts(element, "Definition") or _texts(element, "ILIDefinition")
    ili = element.get("ili", "")
    return _Synset(
        definitions[0] if definitions else "",
        _texts(element, "Example"),
        "" if ili == "in" else ili,  # "in": to be added to the index
        element.get("lexfile", ""),
    )


def _texts(element: Any, tag: str) -> list[str]:
    texts = (" ".join("".join(child.itertext()).split()) for child in element.iter(tag))
    return [text for text in texts if text]
