"""Which tokens of a text can be one word of WordNet: "hot dog", "take off", "well-known".

Runs of tokens that WordNet writes as one lemma, and verbs with a particle that stands further on
("took the jacket off"). Whether such a run is one word here ("slept with" seldom is) has a
probability like that of any reading; see :mod:`.readings`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import log
from typing import NamedTuple, Protocol

from spacy_attn.wsd.context import Context
from spacy_attn.wsd.inventory.forms import word_pieces
from spacy_attn.wsd.inventory.readings import Facts, TaggedText, log_step

_FURTHEST = 6  # tokens between a verb and its particle, where no parse tells
_STOPS = frozenset({"VERB", "AUX", "PUNCT", "SCONJ", "CCONJ", "SPACE"})
_PARTICLE_DEPS = frozenset({"prt", "advmod", "prep"})
_OPEN = frozenset({"NOUN", "PROPN", "VERB", "ADJ", "ADV"})


class Compounds(Protocol):
    """What is asked of WordNet; see :class:`~.wordnet.WordNetInventory`."""

    def compounds_from(self, first: str) -> Mapping[str, int]:
        """The pieces that follow this one at the start of a lemma, and how long lemmas get."""
        ...

    def compound(self, pieces: tuple[str, ...]) -> str | None:
        """The lemma of several pieces, or None."""
        ...

    def words_of(self, form: str, given: str = "") -> tuple[tuple[str, str], ...]:
        """(lemma, part of speech) of each word that a form can be."""
        ...


class Run(NamedTuple):
    """Tokens that can be one word."""

    tokens: tuple[int, ...]
    lemmas: tuple[str, ...]
    is_apart: bool = False  # a verb and its particle, with other words between
    is_hyphenated: bool = False  # written without a blank

    def has_particle(self, facts: Sequence[Facts]) -> bool:
        """Whether it is a verb with words of no meaning of their own."""
        first, *others = (facts[i].pos for i in self.tokens)
        return first in ("VERB", "AUX") and not _OPEN.intersection(others)


def runs_from(text: TaggedText, k: int, inventory: Compounds) -> Iterator[Run]:
    """The runs that begin with a token, the longest first, then those with a particle further on.

    Args:
        text: the text.
        k: index in ``text.solid`` of the token.
        inventory: WordNet.
    """
    facts, solid = text.facts, text.solid
    most = _most_tokens(facts, inventory, solid[k], solid[k + 1]) if k + 1 < len(solid) else 0
    hyphenated = _hyphenated(text, k) if text.has_hyphens else 0
    for size in range(max(most, hyphenated), 1, -1):
        run = tuple(solid[k : k + size])
        is_hyphenated = size == hyphenated
        lemmas = _lemmas(facts, inventory, run) if size <= most else []
        if is_hyphenated:  # "re-elect" is reelect to WordNet
            joined = "".join(facts[i].form for i in run if facts[i].form != "-")
            lemmas += [lemma for lemma, _ in inventory.words_of(joined)]
        if lemmas:
            yield Run(run, tuple(dict.fromkeys(lemmas)), is_hyphenated=is_hyphenated)
    at = solid[k]
    if facts[at].pos == "VERB":
        verbs = dict.fromkeys((facts[at].lemma or facts[at].form, facts[at].form))
        for particle in _particles(text.context, at):
            found = [inventory.compound((verb, facts[particle].form)) for verb in verbs]
            lemmas = [lemma for lemma in found if lemma is not None]
            if lemmas:
                yield Run((at, particle), tuple(lemmas), is_apart=True)


def _hyphenated(text: TaggedText, k: int) -> int:
    """How many tokens from one on are joined by hyphens; 0 for one that is not."""
    offsets, facts, solid = text.context.offsets, text.facts, text.solid
    n = 1
    while (
        k + n + 1 < len(solid)
        and facts[solid[k + n]].form == "-"
        and offsets[solid[k + n - 1]][1] == offsets[solid[k + n]][0]
        and offsets[solid[k + n]][1] == offsets[solid[k + n + 1]][0]
    ):
        n += 2
    return n if n > 1 else 0


def _particles(context: Context, at: int) -> Iterator[int]:
    """What can be the particle of a verb further on: by the parse, else by the tags."""
    n = len(context.tokens)
    if context.deps:
        for i in range(at + 2, min(n, at + 12)):
            if context.heads[i] == at and context.deps[i] in _PARTICLE_DEPS:
                yield i
    elif context.fine_tags:
        for i in range(at + 1, min(n, at + 2 + _FURTHEST)):
            if i > at + 1 and context.fine_tags[i] in ("RP", "RB"):
                yield i
            if context.tags[i] in _STOPS:
                return


def _most_tokens(facts: Sequence[Facts], inventory: Compounds, first: int, second: int) -> int:
    """How many tokens a lemma of several pieces can have that begins with these two.

    Nearly all pairs of words of a text begin none: this is what they cost.
    """
    one, two = facts[first], facts[second]
    most = _most_pieces(inventory, one.form, two.form)
    if one.lemma and one.lemma != one.form:
        most = max(most, _most_pieces(inventory, one.lemma, two.form))
    if two.lemma and two.lemma != two.form:
        most = max(most, _most_pieces(inventory, one.form, two.lemma))
    return most


def _most_pieces(inventory: Compounds, first: str, second: str) -> int:
    """Pieces of the longest lemma that begins with those of two words; 0 for none."""
    if first.isalnum():
        seconds = inventory.compounds_from(first)
        if not seconds:
            return 0
        if second.isalnum():
            return seconds.get(second, 0)
    pieces = word_pieces(f"{first} {second}")
    return inventory.compounds_from(pieces[0]).get(pieces[1], 0) if len(pieces) > 1 else 0


def _lemmas(facts: Sequence[Facts], inventory: Compounds, run: Sequence[int]) -> list[str]:
    """The lemmas of WordNet that some tokens in a row can be."""
    words = [facts[i].form for i in run]
    first, last = facts[run[0]].lemma, facts[run[-1]].lemma
    forms = (words, [first or words[0], *words[1:]], [*words[:-1], last or words[-1]])
    pieces = dict.fromkeys(word_pieces(" ".join(form)) for form in forms)
    found = (inventory.compound(each) for each in pieces)
    return list(dict.fromkeys(lemma for lemma in found if lemma is not None))


def multiword_features(
    context: Context,
    facts: Sequence[Facts],
    run: Run,
    lemma: str,
    pos: str,
    count: int,
    seen: tuple[int, int],
) -> Iterator[str]:
    """The features of the reading that a run is one word.

    Args:
        context: the text.
        facts: of its tokens.
        run: the tokens.
        lemma: of the reading.
        pos: part of speech of the reading.
        count: how often WordNet's corpora hold the lemma with this part of speech.
        seen: how often the run is one word in SemCor and the running texts, and how often it stands
            there at all.
    """
    tokens = run.tokens
    first, last = facts[tokens[0]], facts[tokens[-1]]
    one, all_ = seen
    odds = round(2 * log((one + 0.5) / (all_ - one + 0.5)))
    written = " ".join(facts[i].form for i in tokens)
    yield f"m|{pos}"
    yield f"m={len(tokens)}|{pos}"
    yield f"written={lemma == written}"
    yield f"odds={odds}"
    yield f"odds={odds},{log_step(all_)}"
    yield f"n={log_step(count)}|{pos}"
    yield f"first={first.tag}|{pos}"
    yield f"last={last.tag}|{pos}"
    yield f"both={first.pos},{last.pos}|{pos}"
    yield f"head={first.lemma or first.form}|{pos}"
    yield f"tail={last.form}|{pos}"
    yield f"e={last.entity}"
    yield f"shapes={first.shape},{last.shape}"
    if run.is_apart:
        yield "apart"
        yield f"apart={last.dep},{last.tag}"
    else:
        yield f"hyphenated={run.is_hyphenated}"
    if not any(facts[i].pos in _OPEN for i in tokens):
        yield f"closed|{pos}"
    after = tokens[-1] + 1
    following = facts[after].pos if after < len(facts) else ""
    yield f"after={following}|{pos}"
    if pos == "VERB":
        yield f"particle={last.tag},{following}"
    if context.deps:
        yield f"dep={last.dep}|{pos}"
        yield f"deps={first.dep},{last.dep}|{pos}"
        inside = set(tokens)
        n_out = sum(context.heads[i] not in inside or context.heads[i] == i for i in tokens)
        yield f"out={n_out}|{pos}"
        has_object = any(
            context.heads[i] == tokens[-1] for i in range(after, min(len(facts), after + 8))
        )
        yield f"object={has_object},{last.dep},{context.heads[tokens[-1]] == tokens[0]}|{pos}"
