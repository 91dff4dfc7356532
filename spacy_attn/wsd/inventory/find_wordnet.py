"""The words of a tagged text that WordNet holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from spacy_attn.errors import ConfigError
from spacy_attn.wsd.context import Context, Target
from spacy_attn.wsd.inventory.forms import word_pieces
from spacy_attn.wsd.sense import POS_TAGS, Sense

__all__ = ["Lexicon", "find_words"]


class Lexicon(Protocol):
    """What is asked of WordNet; see :class:`~.wordnet.WordNetInventory`."""

    def candidates(self, lemma: str, pos: str | None = None) -> tuple[Sense, ...]:
        """The senses of a lemma."""
        ...

    def word(self, form: str, lemma: str, pos: str) -> tuple[str, tuple[Sense, ...]] | None:
        """Lemma and candidates of a word of a text."""
        ...

    def compounds_from(self, first: str) -> Mapping[str, int]:
        """The pieces that follow this one at the start of a lemma, and how long lemmas get."""
        ...

    def compound(self, pieces: tuple[str, ...]) -> str | None:
        """The lemma of several pieces, or None."""
        ...


_POS_OF_TAG = {pos: pos for pos in POS_TAGS}
_POS_OF_TAG_WITH_NAMES = {**_POS_OF_TAG, "PROPN": "NOUN"}


def find_words(
    context: Context, inventory: Lexicon, index: int = 0, *, names: bool = False
) -> list[Target]:
    """The content words of a tagged text and their candidates, the longest lemma first.

    A word needs a part of speech. Its lemma is spaCy's where WordNet knows it, else the one
    that :meth:`~.wordnet.WordNetInventory.lemma_of` finds. Of words that WordNet writes together
    ("hot dog", "take off", "in fact") the longest run is taken.

    Args:
        context: the text, with tags.
        inventory: WordNet.
        index: goes into :attr:`Target.context`.
        names: whether proper nouns are looked up too.

    Raises:
        ConfigError: the text has no parts of speech.
    """
    if not any(context.tags) and context.text.strip():
        raise ConfigError(
            "the inventory 'wordnet' needs parts of speech, and this text has none; put "
            "sense_disambiguator behind a tagger and attribute_ruler, as in en_core_web_sm"
        )
    lower = [token.lower() for token in context.tokens]
    # Tokens of white space are left out: a line break inside "hot dog" does not part it.
    solid = [i for i, token in enumerate(lower) if token.strip()]
    pos_of_tag = _POS_OF_TAG_WITH_NAMES if names else _POS_OF_TAG
    targets = []
    end = 0  # of the last word found
    for k, at in enumerate(solid):
        if at < end:
            continue
        found = None
        n = _most_tokens(lower, context.lemmas, inventory, solid[k : k + 2])
        if n:
            found = _compound(context, lower, inventory, solid[k : k + n], names)
        pos = pos_of_tag.get(context.tags[at])
        if found is None and pos is not None:
            word = inventory.word(lower[at], context.lemmas[at], pos)
            found = (at + 1, *word) if word is not None else None
        if found is not None:
            targets.append(Target(index, at, *found))
            end = found[0]
    return targets


def _most_tokens(
    lower: list[str], lemmas: Sequence[str], inventory: Lexicon, pair: list[int]
) -> int:
    """How many tokens a lemma of several pieces can have that begins with these two.

    Nearly all pairs of words of a text begin none: this is what they cost.
    """
    if len(pair) < 2:
        return 0
    form, after = lower[pair[0]], lower[pair[1]]
    most = _most_pieces(inventory, form, after)
    lemma, lemma_after = lemmas[pair[0]], lemmas[pair[1]]
    if lemma and lemma != form:
        most = max(most, _most_pieces(inventory, lemma, after))
    if lemma_after and lemma_after != after:
        most = max(most, _most_pieces(inventory, form, lemma_after))
    return most


def _most_pieces(inventory: Lexicon, first: str, second: str) -> int:
    """Pieces of the longest lemma that begins with those of two words; 0 for none."""
    if first.isalnum():
        seconds = inventory.compounds_from(first)
        if not seconds or second.isalnum():
            return seconds.get(second, 0)
    pieces = word_pieces(f"{first} {second}")
    return inventory.compounds_from(pieces[0]).get(pieces[1], 0) if len(pieces) > 1 else 0


def _compound(
    context: Context, lower: list[str], inventory: Lexicon, run: list[int], names: bool
) -> tuple[int, str, tuple[Sense, ...]] | None:
    """End, lemma and candidates of the longest word that begins this run of tokens."""
    for n in range(len(run), 1, -1):
        tags = [context.tags[i] for i in run[:n]]
        if "PROPN" in tags and not names:
            continue
        words = [lower[i] for i in run[:n]]
        first, last = context.lemmas[run[0]], context.lemmas[run[n - 1]]
        forms = (words, [first or words[0], *words[1:]], [*words[:-1], last or words[-1]])
        for form in forms:
            lemma = inventory.compound(word_pieces(" ".join(form)))
            pos = _compound_pos(inventory, lemma, tags) if lemma is not None else None
            if lemma is not None and pos is not None:
                return run[n - 1] + 1, lemma, inventory.candidates(lemma, pos)
    return None


def _compound_pos(inventory: Lexicon, lemma: str, tags: Sequence[str]) -> str | None:
    """The part of speech of a lemma of several words, as far as its tokens' tags allow it."""
    known = [pos for pos in POS_TAGS if inventory.candidates(lemma, pos)]
    if "VERB" in known and tags[0] == "VERB":
        return "VERB"
    noun_tags = ("NOUN", "PROPN")
    # "a check-in desk": three tokens of spaCy's, the last one of them a preposition.
    if "NOUN" in known and (tags[-1] in noun_tags or ("-" in lemma and tags[0] in noun_tags)):
        return "NOUN"
    other = [pos for pos in known if pos in ("ADJ", "ADV")]
    return other[0] if other and "VERB" not in tags else None
