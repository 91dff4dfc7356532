"""Wordnets: the data of the user's ``wn`` library, and what a WN-LMF file has in common with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeVar

from spacy_attn.errors import ConfigError, did_you_mean, explain_missing_package
from spacy_attn.wsd.inventory.importers.records import LeftOut, Record, pos_of


class Lexicon(Protocol):
    """One of the wordnets of a file or of ``wn``."""

    @property
    def label(self) -> str:
        """Its title."""

    @property
    def language(self) -> str:
        """Code of its language."""

    def specifier(self) -> str:
        """``ID:VERSION``."""


L = TypeVar("L", bound=Lexicon)


def read_wn(
    lexicon: str, lang: str | None, left_out: LeftOut, notes: list[str]
) -> Iterator[Record]:
    """The records of lexicons of the user's ``wn`` library.

    Args:
        lexicon: such as "oewn:2024"; several have blanks between them, and * is every one.
        lang: code of the language, where the lexicon does not say enough.
        left_out: counts the senses that are left out.
        notes: says which lexicons are taken, where there are several.

    Raises:
        ResourceError: ``wn`` is not installed.
        ConfigError: it has no such lexicon, or they have several languages, or two of them have a
            sense of the same id.
    """
    place = f"wn:{lexicon}"
    with explain_missing_package(place):
        import wn
    try:
        each = [wn.Wordnet(lexicon=name, lang=lang).lexicons() for name in lexicon.split()]
    except wn.Error as error:
        known = ", ".join(each.specifier() for each in wn.lexicons()) or "none"
        raise ConfigError(
            f"wn has no lexicon {lexicon!r} ({error}); it has {known}; get one with: "
            f"python -m wn download {lexicon}"
        ) from error
    found = {one.specifier(): one for lexicons in each for one in lexicons}
    for extension in list(found.values()):
        if (base := extension.extends()) is not None:  # without it there are words of no lexicon
            found.setdefault(base.specifier(), base)
    of_one_language(list(found.values()), place, lang)
    if len(found) > 1:
        notes.append(f"lexicons taken: {names_of(list(found.values()))}; wn:ID:VERSION takes one")
    seen: dict[str, str] = {}
    for word in wn.Wordnet(lexicon=" ".join(found), expand="").words():
        lemma, *forms = map(str, word.forms())
        of = word.lexicon()
        for sense in word.senses():
            synset = sense.synset()
            yield from record_of(
                lemma,
                word.pos,
                sense.id,
                definition=_definition(synset, of.language),
                examples=[*sense.examples(), *synset.examples()],
                forms=forms,
                supersense=synset.lexfile() or "",
                ids={"synset": synset.id, "ili": ili_of(synset)},
                lexicon=of,
                seen=seen,
                left_out=left_out,
            )


def _definition(synset: Any, language: str) -> str:
    """Of a synset of ``wn``: the first one in the language of its lexicon, else the first."""
    found: list[tuple[str, str | None]]
    try:
        found = [(each.text, each.language) for each in synset.definitions(data=True)]
    except TypeError:  # of an older wn, which gives texts alone
        return str(synset.definition() or "")
    own = [text for text, named in found if not named or named == language]
    return (own or [text for text, _ in found] or [""])[0]


def of_one_language(lexicons: Sequence[L], place: str, lang: str | None) -> list[L]:
    """The lexicons of a language.

    Args:
        lexicons: one or more.
        place: where they are, for messages.
        lang: code of the language; None where all have the same.

    Raises:
        ConfigError: they have several languages and none was chosen, or not the one that was.
    """
    langs = dict.fromkeys(lexicon.language for lexicon in lexicons)
    if lang is None and len(langs) > 1:
        raise ConfigError(
            f"{place} has lexicons of {', '.join(langs)}; choose a language with --lang"
        )
    taken = [lexicon for lexicon in lexicons if lang in (None, lexicon.language)]
    if not taken:
        near = did_you_mean(lang, langs)
        raise ConfigError(f"--lang {lang}: {place} has lexicons of {', '.join(langs)}{near}")
    return taken


def names_of(lexicons: Sequence[Lexicon]) -> str:
    """What a user reads of lexicons."""
    return ", ".join(
        f"{each.specifier()} ({each.label and each.label + ', '}{each.language})"
        for each in lexicons
    )


def ili_of(synset: Any) -> str:
    """The interlingual index of a synset of ``wn``, or ""."""
    ili = synset.ili  # a string since wn 0.12, an object before
    return str(getattr(ili, "id", ili) or "")


def record_of(
    lemma: str,
    pos: str,
    sense: str,
    *,
    definition: str,
    examples: list[str],
    forms: list[str],
    supersense: str,
    ids: dict[str, str],
    lexicon: Lexicon,
    seen: dict[str, str],
    left_out: LeftOut,
) -> Iterator[Record]:
    """A sense as a record, or none where it is left out.

    Args:
        lemma: the word.
        pos: its part of speech, as wordnets name it.
        sense: id of the sense, or "".
        definition: its definition, or "".
        examples: its examples.
        forms: of the word, without the lemma.
        supersense: its broad class, or "".
        ids: its other ids; empty ones are left out.
        lexicon: the one that it is of.
        seen: gets the id of the sense with the lexicon that it is of.
        left_out: counts the senses that are left out.

    Raises:
        ConfigError: another lexicon has a sense of this id.
    """
    tag = pos_of(pos)
    if tag is None or not (definition or examples):
        left_out[f"part of speech {pos}" if tag is None else "no definition or example"] += 1
        return
    other = seen.setdefault(sense, lexicon.specifier()) if sense else lexicon.specifier()
    if other != lexicon.specifier():
        raise ConfigError(
            f"{other} and {lexicon.specifier()} have a sense {sense!r} each; choose one of these "
            "lexicons with --lexicon ID:VERSION, of the wn library with wn:ID:VERSION"
        )
    record = {
        "lemma": lemma,
        "pos": tag,
        "sense": sense,
        "definition": definition,
        "examples": list(dict.fromkeys(examples)),
        "forms": forms,
        "supersense": supersense,
        "ids": {name: value for name, value in ids.items() if value},
        "lang": lexicon.language,
    }
    yield {name: value for name, value in record.items() if value}
