"""Which dictionary word a token is: what is known before a method reads the context.

"glasses" is *glasses* or the plural of *glass*, "involved" an adjective or a verb, "Ladle" at the
start of a heading a noun, a verb or a name. Each possibility is a reading; "no word of the
inventory" is one more. A conditional logit model (McFadden 1974) over what the pipeline says of the
token and its neighbours gives each a probability; the method that reads the sentence decides among
those that remain. The weights are fitted on SemCor and on the project's corpus by
``scripts/fit_readings.py``.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from math import exp
from typing import NamedTuple

from spacy_attn.wsd.context import Context
from spacy_attn.wsd.inventory.forms import plain_form
from spacy_attn.wsd.sense import POS_TAGS

#: The option that a token has no sense in the inventory, beside the four parts of speech.
NONE = "-"

#: The shape of a single letter that touches a sign: of "usb-c", "R/o", "C++".
PART_OF_CODE = "one+glued"

_BREAKS = frozenset("-/\\_@#+")  # signs that glue the parts of a code: usb-c, R/o, C++


class Facts(NamedTuple):
    """What a pipeline and the writing say of one token."""

    form: str  # lower case
    lemma: str  # lower case, or ""
    shape: str
    tag: str  # fine-grained, or the coarse one where there is no other
    pos: str
    dep: str  # "" without a parser
    entity: str  # "" outside entities, "?" without an entity recogniser


def facts_of(context: Context) -> list[Facts]:
    """The facts of each token of a text.

    *Shape:* (n_tokens,)
    """
    shapes = _shapes(context)
    n = len(context.tokens)
    fine, deps = context.fine_tags or context.tags, context.deps or [""] * n
    entities = context.entities or ["?"] * n
    columns = (context.tokens, context.lemmas, shapes, fine, context.tags, deps, entities)
    return [
        Facts(plain_form(token), lemma, shape, tag or pos, pos, dep, entity)
        for token, lemma, shape, tag, pos, dep, entity in zip(*columns, strict=True)
    ]


def _shapes(context: Context) -> list[str]:
    """How each token is written: what a capital says depends on where it stands."""
    starts = set(context.sentence_starts)
    shapes = []
    for line in _lines(context.tokens):
        words = [context.tokens[i] for i in line if context.tokens[i].isalpha()]
        long = [word for word in words if len(word) > 3]
        capital = sum(word[0].isupper() for word in long)
        heading = len(long) > 0 and capital == len(long) and (len(long) > 1 or len(words) < 4)
        shouted = len(words) > 1 and all(word.isupper() for word in words)
        low = not any(word[0].isupper() for word in words)
        first = True
        for i in line:
            token = context.tokens[i]
            begins = first or i in starts
            shapes.append(_shape(token, begins, heading, shouted, low, _is_glued(context, i)))
            first = first and not any(c.isalnum() for c in token)
    return shapes


def _lines(tokens: Sequence[str]) -> Iterator[list[int]]:
    line: list[int] = []
    for i, token in enumerate(tokens):
        line.append(i)
        if "\n" in token:
            yield line
            line = []
    yield line


def _is_glued(context: Context, i: int) -> bool:
    """Whether a token touches a sign that makes it a part of a code or a compound."""
    start, end = context.offsets[i]
    before = i > 0 and context.offsets[i - 1][1] == start and context.tokens[i - 1] in _BREAKS
    after = i + 1 < len(context.tokens) and context.offsets[i + 1][0] == end
    return before or (after and context.tokens[i + 1] in _BREAKS)


def _shape(token: str, begins: bool, heading: bool, shouted: bool, low: bool, glued: bool) -> str:
    if not token.isalpha():
        return "mixed" if any(c.isalpha() for c in token) else "sign"
    tail = "+glued" if glued else ""
    if len(token) == 1:
        return f"one{tail}"
    if shouted:
        return f"shouted{tail}"
    if token.islower():
        return ("low" if low else "lower") + tail
    if heading:
        return f"heading{tail}"
    if token.isupper():
        return f"upper{tail}"
    return ("first" if begins else "title") + tail


class Around(NamedTuple):
    """What stands around a token."""

    begins: bool  # a sentence
    before: str  # part of speech
    after: str
    of_closed: str = ""  # of a closed class: "form>tag" of what follows it, adverbs left out


def log_step(count: int) -> int:
    """The logarithm of a count to base 2 in steps, 8 at most."""
    return min(8, count.bit_length())


def reading_features(
    facts: Facts, lemma: str, pos: str, count: int, is_alone: bool
) -> Iterator[str]:
    """The features of a reading, or with :data:`NONE` as part of speech of its absence.

    Args:
        facts: of the token.
        lemma: of the reading.
        pos: of the reading.
        count: how often WordNet's corpora hold it.
        is_alone: whether no other lemma of this part of speech has the form.
    """
    form, given, shape, tag, coarse, dep, entity = facts
    yield pos
    yield f"t={tag}|{pos}"
    yield f"u={coarse}|{pos}"
    if dep:
        yield f"d={dep}|{pos}"
        yield f"td={tag},{dep}|{pos}"
    yield f"s={shape}|{pos}"
    yield f"su={shape},{coarse}|{pos}"
    yield f"e={entity}|{pos}"
    if entity not in ("", "?"):
        yield f"es={entity},{shape}|{pos}"
    yield f"x={form[-3:]}|{pos}"
    if pos == NONE:
        yield f"f={form}"
        yield f"ft={form},{coarse}"
        return
    yield f"n={log_step(count)}"
    yield f"n={log_step(count)}|{pos}"
    yield f"w={form}|{pos}"
    if not is_alone:
        yield f"w={form},{lemma}|{pos}"
        yield f"l={lemma == given}{lemma == form}|{pos}"
        yield f"lt={lemma == form},{tag}|{pos}"
    elif given and lemma != given:
        yield f"other|{pos}"


def neighbour_features(pos: str, around: Around) -> Iterator[str]:
    """What the tokens around say of a reading: "had" is an auxiliary before a participle."""
    begins, before, after, of_closed = around
    yield f"<{before}|{pos}"
    yield f">{after}|{pos}"
    yield f"<>{before},{after}|{pos}" if not begins else f"^{after}|{pos}"
    if of_closed:
        yield f"c={of_closed}|{pos}"
        yield f"c<{before},{of_closed.partition('>')[0]}|{pos}"


class Weights:
    """The fitted weights of the features of a conditional logit model."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights = dict(weights)

    def knows(self, feature: str) -> bool:
        """Whether a feature has a weight, be it 0."""
        return feature in self._weights

    def score(self, features: Iterable[str]) -> float:
        """The sum of the weights of some features."""
        weights = self._weights
        return sum(weights.get(feature, 0.0) for feature in features)


@dataclass(frozen=True)
class ReadingModel:
    """What decides between the readings of a token, and whether a run of tokens is one word."""

    single: Weights
    multi: Weights
    seen: Mapping[str, tuple[int, int]]  # of a lemma of several words; see multiword_features

    def around(self, pos: str, around: Around) -> float:
        """What the tokens around say of a reading; see :func:`neighbour_features`."""
        return self.single.score(neighbour_features(pos, around))


@lru_cache(maxsize=1)
def _models() -> Mapping[str, ReadingModel]:
    packed = files("spacy_attn").joinpath("data", "readings.json.gz").read_bytes()
    data = json.loads(gzip.decompress(packed))
    seen = {lemma: (int(one), int(all_)) for lemma, (one, all_) in data["seen"].items()}
    return {
        name: ReadingModel(Weights(each["single"]), Weights(each["multi"]), seen)
        for name, each in data["models"].items()
    }


def reading_model(kind: str) -> ReadingModel:
    """One of the package's models: "tagged" for texts without a parse, "parsed" for others."""
    return _models()[kind]


#: Coarse tags of words that are seldom a noun, verb, adjective or adverb of a dictionary.
_CLOSED = frozenset({"AUX", "DET", "PRON", "ADP", "CCONJ", "SCONJ", "PART", "NUM", "PUNCT", "SYM"})

#: Forms that are a main verb or help one.
_VERBS_THAT_HELP = frozenset(
    "be am is are was were been being 'm 're 's "
    "have has had having 've 'd do does did done doing".split()
)


class TaggedText:
    """A tagged text and what its tags and letters say of each token.

    Args:
        context: the text, with tags.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self.facts = facts_of(context)
        self.kind = "parsed" if context.deps else "tagged"  # see :func:`reading_model`
        self.model = reading_model(self.kind)
        self._starts = set(context.sentence_starts)
        # Without white space: a line break inside "hot dog" does not part it.
        self.solid = [i for i, facts in enumerate(self.facts) if facts.form.strip()]
        self.has_hyphens = any(facts.form == "-" for facts in self.facts)
        self._place = {at: k for k, at in enumerate(self.solid)}

    def neighbours(self, at: int) -> Around:
        """What stands around a token."""
        k, facts, solid = self._place[at], self.facts, self.solid
        before = facts[solid[k - 1]].pos if k else ""
        after = facts[solid[k + 1]].pos if k + 1 < len(solid) else ""
        of_closed = ""
        if facts[at].pos in _CLOSED or facts[at].form in _VERBS_THAT_HELP:
            rest = (facts[i] for i in solid[k + 1 : k + 4])
            tag = next((each.tag for each in rest if each.pos not in ("ADV", "PART")), "")
            of_closed = f"{facts[at].form}>{tag}"
        return Around(at in self._starts, before, after, of_closed)

    def parts_of_speech(self, at: int, count: int, held: Collection[str]) -> dict[str, float]:
        """The probability that a token is a noun, verb, adjective or adverb of a dictionary.

        A tagger that does not know a noun ("written in java") takes it for an adjective or adverb.
        These count only where the inventory has the word as one, or the corpora that the model
        was fitted on.

        Args:
            at: the token.
            count: how frequent its words are taken to be.
            held: the parts of speech that the inventory has the word with.
        """
        facts, model, around = self.facts[at], self.model, self.neighbours(at)
        scores = {}
        for pos in (*POS_TAGS, NONE):
            seen = (f"w={facts.form}|{pos}", f"ft={facts.form},{pos}")  # small weights are left out
            is_slip = pos in ("ADJ", "ADV") and not any(map(model.single.knows, seen))
            if is_slip and pos not in held:
                continue
            features = reading_features(facts, facts.lemma, pos, count, True)
            scores[pos] = model.single.score(features) + model.around(pos, around)
        if facts.pos not in _CLOSED:
            # It stands in the inventory, names and all: only what it is else is open.
            del scores[NONE]
        top = max(scores.values())
        powers = {pos: exp(score - top) for pos, score in scores.items()}
        total = sum(powers.values())
        return {pos: power / total for pos, power in powers.items()}
