"""Regular English inflection, so that words are found without a tagger or lemmatizer."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["english_forms"]

_VOWELS = "aeiou"


def english_forms(lemma: str, pos: str, irregular: Sequence[str] = ()) -> set[str]:
    """The inflected forms of a lemma, lower case, the lemma itself among them.

    ``bat NOUN -> bat, bats``; ``bat VERB -> bat, bats, batted, batting``. Nouns and
    adjectives inflect the last word of a multi-word lemma, verbs the first. A past form
    among ``irregular`` (``draw``: drew, drawn) takes the place of the regular one.

    Args:
        lemma: lower case, words separated by one space.
        pos: NOUN, VERB, ADJ or ADV.
        irregular: forms that the rules do not give.
    """
    words = lemma.split(" ")
    at = 0 if pos == "VERB" else len(words) - 1
    forms = {lemma, *irregular}
    if pos == "NOUN":
        endings = {_plural(words[at])}
    elif pos == "VERB":
        endings = {_plural(words[at]), _add(words[at], "ing")}
        if not irregular:
            endings.add(_add(words[at], "ed"))
    elif pos == "ADJ":
        endings = {_add(words[at], "er"), _add(words[at], "est")}
    else:
        endings = set()
    for ending in endings:
        forms.add(" ".join([*words[:at], ending, *words[at + 1 :]]))
    return forms


def _plural(word: str) -> str:
    """Plural of a noun, third person of a verb: both take -s by the same rules."""
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and len(word) > 1 and word[-2] not in _VOWELS:
        return word[:-1] + "ies"
    return word + "s"


def _add(word: str, ending: str) -> str:
    """Add -ed, -ing, -er or -est: drop e, turn y to i, double a consonant (bat, batted)."""
    if word.endswith("ie") and ending == "ing":
        return word[:-2] + "ying"
    if word.endswith("e"):
        return word[:-1] + ending
    if word.endswith("y") and len(word) > 1 and word[-2] not in _VOWELS and ending != "ing":
        return word[:-1] + "i" + ending
    short = len(word) >= 3 and word[-1] not in _VOWELS + "wxy" and word[-2] in _VOWELS
    if short and word[-3] not in _VOWELS and sum(c in _VOWELS for c in word) == 1:
        return word + word[-1] + ending
    return word + ending
