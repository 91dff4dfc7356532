"""The words of a text that an inventory of known forms holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Protocol

from spacy_attn.wsd.context import Context, Target
from spacy_attn.wsd.inventory.forms import plain_form, word_pieces
from spacy_attn.wsd.inventory.found import Found, Senses, target_of
from spacy_attn.wsd.inventory.readings import TaggedText


class Forms(Senses, Protocol):
    """An inventory that knows the forms of its words."""

    @property
    def lang(self) -> str | None:
        """Language of the words, or None for any."""
        ...

    def words_of_form(self, pieces: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
        """(lemma, part of speech) of each word whose lower-case form has these pieces."""
        ...

    def longest_from(self, first: str) -> int:
        """Number of pieces of the longest form that begins with this piece; 0 for none."""
        ...


_TAGS = {"PROPN": "NOUN", "AUX": "VERB"}  # a company is still an apple.company
# Tags that a noun cannot be meant by. Others on a noun of the inventory are attributive use
# ("the java language", ADJ) or slips of the tagger ("java" alone is ADV to it).
_NEVER_A_NOUN = ("VERB", "AUX")
_LEAST = 0.02  # probability of a part of speech below which its senses are no candidates
_LEAST_OF_ALL = 0.15  # of those that the inventory has together: below it there is no target
_COMMON = 255  # how often a word of an inventory of its own is taken to occur


def find_targets(context: Context, inventory: Forms, index: int = 0) -> list[Target]:
    """The words of a text that have senses in the inventory, longest match first.

    A word is found by its lemma or by its form. Where the text has no parts of speech, the senses
    of all are candidates. Where an English text has them, what the tagger says is evidence
    (:mod:`.readings`): a word of the inventory that it takes for something else is a candidate
    with the probability that the tagger is wrong. In other languages, only the senses of the
    part of speech are candidates (a proper noun counts as noun), and a word that is only a noun
    in the inventory is taken for one unless it is tagged as a verb: taggers know few rare nouns.

    Args:
        context: the text.
        inventory: the senses.
        index: goes into :attr:`Target.context`.
    """
    targets = []
    behind = 0
    weighs = inventory.lang == "en" and any(context.tags)
    tagged = TaggedText(context) if weighs else None
    for at, pair in enumerate(zip(context.tokens, context.lemmas, strict=True)):
        if at < behind:
            continue
        most = max(longest_match(inventory, form) for form in pair)
        if not most:
            continue
        run = list(islice(_solid(context.tokens, at), most))
        for n in range(len(run), 0, -1):
            if tagged is not None and n == 1:
                found = _weighed(tagged, inventory, index, at)
            else:
                found = _matched(context, inventory, index, run[:n])
            if found is not None:
                targets.append(found)
                behind = found.end
                break
    return targets


def _weighed(tagged: TaggedText, inventory: Forms, index: int, at: int) -> Target | None:
    """The target that one token is, with a reading for each word that it can be."""
    words = _words(tagged.context, inventory, [at])
    if not words:
        return None
    probable = tagged.parts_of_speech(at, _COMMON, {pos for _, pos in words})
    kept = [(lemma, pos) for lemma, pos in words if probable[pos] >= _LEAST]
    share = Counter(pos for _, pos in kept)
    kept.sort(key=lambda word: -probable[word[1]])
    found = [Found(lemma, pos, probable[pos] / share[pos], at + 1) for lemma, pos in kept]
    if sum(word.probability for word in found) < _LEAST_OF_ALL:
        return None
    return target_of(inventory, index, at, found)


def longest_match(inventory: Forms, form: str) -> int:
    """How many tokens a word of the inventory can have that begins with this one."""
    pieces = word_pieces(plain_form(form))
    return inventory.longest_from(pieces[0]) if pieces else 0


def _solid(tokens: Sequence[str], at: int) -> Iterator[int]:
    """The tokens from one on, but for white space: a line break does not part "hot spot"."""
    return (i for i in range(at, len(tokens)) if tokens[i].strip())


def _matched(context: Context, inventory: Forms, index: int, run: Sequence[int]) -> Target | None:
    """The target that these tokens are, by their tags alone."""
    words = _words(context, inventory, run)
    for lemma, pos in words:
        tag = context.tags[run[0] if pos == "VERB" else run[-1]]
        if not tag or _TAGS.get(tag, tag) == pos:
            candidates = inventory.candidates(lemma, pos if tag else None)
            return Target(index, run[0], run[-1] + 1, lemma, candidates)
    for lemma, pos in words:
        if pos == "NOUN" and context.tags[run[-1]] not in _NEVER_A_NOUN:
            candidates = inventory.candidates(lemma, pos)
            return Target(index, run[0], run[-1] + 1, lemma, candidates)
    return None


def _words(context: Context, inventory: Forms, run: Sequence[int]) -> list[tuple[str, str]]:
    """(lemma, part of speech) of the words whose form or lemma these tokens are, each once."""
    words = [plain_form(context.tokens[i]) for i in run]
    forms = [words]
    if context.lemmas[run[0]]:
        forms.append([context.lemmas[run[0]], *words[1:]])
    if context.lemmas[run[-1]]:
        forms.append([*words[:-1], context.lemmas[run[-1]]])
    pieces = dict.fromkeys(word_pieces(" ".join(form)) for form in forms)
    return list(dict.fromkeys(w for form in pieces for w in inventory.words_of_form(form)))
