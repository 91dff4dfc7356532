"""The forms of a word: English inflection, and the pieces by which forms are compared."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_VOWELS = "aeiou"
_PIECE = re.compile(r"\w+|[^\w\s]")


def plain_form(token: str) -> str:
    """A token in lower case, without characters that only steer how text is shown.

    Soft hyphens, zero-width spaces and joiners hide no word; a typographic apostrophe is one.
    """
    if token.isascii():
        return token.lower()
    shown = "".join(c for c in token if unicodedata.category(c) != "Cf")
    return shown.replace("\u2019", "'").lower()


def word_pieces(text: str) -> tuple[str, ...]:
    """Runs of letters and digits, and single signs: ``check-in's`` -> check - in ' s.

    Forms and tokens are compared by their pieces, because tokenizers differ in what they
    split: spaCy's English one makes three tokens of ``check-in``, others one.
    """
    return (text,) if text.isalnum() else tuple(_PIECE.findall(text))


def english_forms(lemma: str, pos: str, irregular: Sequence[str] = ()) -> set[str]:
    """The inflected forms of a lemma, lower case, the lemma itself among them.

    ``bat NOUN -> bat, bats``; ``bat VERB -> bat, bats, batted, batting``. Nouns and
    adjectives inflect the last word of a multi-word lemma, verbs the first. Any
    ``irregular`` form of a verb (``draw``: drew, drawn) takes the place of the regular past.
    Where spelling does not tell (``photos`` but ``potatoes``, ``visited`` but ``admitted``)
    both forms are given: the wrong one is no English word and is never met.

    Args:
        lemma: lower case, words separated by one space.
        pos: NOUN, VERB, ADJ or ADV.
        irregular: forms that the rules do not give.
    """
    words = lemma.split(" ")
    at = 0 if pos == "VERB" else len(words) - 1
    forms = {lemma, *irregular}
    if pos == "NOUN":
        endings = _with_s(words[at])
    elif pos == "VERB":
        endings = _with_s(words[at]) | _add(words[at], "ing")
        if not irregular:
            endings |= _add(words[at], "ed")
    elif pos == "ADJ":
        endings = _add(words[at], "er") | _add(words[at], "est")
    else:
        endings = set()
    for ending in endings:
        forms.add(" ".join([*words[:at], ending, *words[at + 1 :]]))
    return forms


def _with_s(word: str) -> set[str]:
    """Plural of a noun, third person of a verb: both take -s by the same rules."""
    if word.endswith("z") and word[:-1].endswith(tuple(_VOWELS)):
        return {word + "zes"}  # quizzes
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return {word + "es"}
    if _ends_in_consonant_and(word, "y"):
        return {word[:-1] + "ies"}
    if _ends_in_consonant_and(word, "o"):
        return {word + "s", word + "es"}
    return {word + "s"}


def _add(word: str, ending: str) -> set[str]:
    """Add -ed, -ing, -er or -est: drop e, turn y to i, double a consonant (bat, batted)."""
    if ending == "ing" and word.endswith("ie"):
        return {word[:-2] + "ying"}
    if len(word) < 3 or (ending == "ing" and word.endswith(("ee", "oe", "ye"))):
        return {word + ending}  # being, seeing, hoeing, dyeing
    if word.endswith("e"):
        return {word[:-1] + ending}
    if ending != "ing" and _ends_in_consonant_and(word, "y"):
        return {word[:-1] + "i" + ending}
    if ending in ("ed", "ing") and word.endswith("ic"):
        return {word + "k" + ending}  # panicked
    if not _is_closed(word):
        return {word + ending}
    doubled = word + word[-1] + ending
    return {doubled} if _n_vowels(word) == 1 else {doubled, word + ending}


def _ends_in_consonant_and(word: str, letter: str) -> bool:
    return word.endswith(letter) and len(word) > 1 and word[-2] not in _VOWELS


def _is_closed(word: str) -> bool:
    """Whether it ends in consonant, one vowel, consonant: bat, visit, quit; not beat, bow."""
    word = word.replace("qu", "qw")
    return (
        len(word) >= 3
        and word[-1] not in _VOWELS + "wxy"
        and word[-2] in _VOWELS
        and word[-3] not in _VOWELS
    )


def _n_vowels(word: str) -> int:
    return sum(letter in _VOWELS for letter in word.replace("qu", "qw"))
