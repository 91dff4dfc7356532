r"""Chunking: by a grammar over tags, through NLTK's RegexpParser, or by a trained tagger.

A chunk grammar is written as NLTK reads it: a stage is a label and its rules, each rule on its
own line, and each stage sees the chunks of the earlier ones as single tokens::

    NP: {<DT>?<JJ>*<NN.*>+}       # chunk
        }<VB.*>{                  # take out of a chunk
        <NN>}{<DT>                # split between the two
    PP: <VP>{<IN><NP>}            # chunk what is in braces, in this context

A colon ends the label of a stage, so no rule and no comment may have one (write ``.`` for the
tag of colons). S. Abney, Parsing by Chunks, 1991; L. Ramshaw and M. Marcus, Text Chunking using
Transformation-Based Learning, 1995.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Protocol

from spacy_attn.classic.sequence import LabelledSpan, check_tags
from spacy_attn.errors import ConfigError, explain_missing_package

#: For Penn Treebank tags, written by the definitions of CoNLL-2000 (Tjong Kim Sang and Buchholz,
#: 2000): a noun phrase ends at its head, a possessive ending begins a new one, a verb phrase has
#: verbs and the adverbs among them. Beyond CoNLL-2000 a PP holds its NP, and a CLAUSE is a subject
#: with its verb phrase and what follows. Conjunctions and words known by their form alone (such
#: as "including") are not found: the rules see tags only.
DEFAULT_GRAMMAR = r"""
SBAR:
    {<IN>}<PRP|EX><RB|MD|VB.*>              # that she sleeps
NP:
    {<JJR|RBR|IN><IN|JJS><\$|\#>?<CD>+<JJ.*>?<NN.*>*}  # more than 5 years, at least $ 5
    {<NNP>+<CD>+}                           # Oct. 13
    {<RBR>?<PDT>?<DT|PRP\$|WP\$|POS><RB.*|JJ.*|CD|VBN|VBG|NN.*|\$|\#>*(<CC|,><JJ.*|VBN|CD>+(<CC><JJ>*)?)?<NN.*|CD|JJR>(<CC><NN.*>+)?}  # the very big, red house
    {<RB>?(<\$|\#><CD>+|<CD>+)(<JJ.*>|<VBN>|<CC><CD>)*<NN.*>*}  # nearly $ 5 million
    <IN>{<VBN><JJ.*>*<NN.*>+}               # with improved results
    {<RBR|RBS>?<RB>?(<JJ.*>(<CC><JJ.*>)?)*((<VBN|VBG><NNS>|<CD>)<JJ.*|CD>*)?<NN.*>+(<CC><NN.*>+)?<CD>*}  # rather old cars and trucks
    {<PDT>?<DT|PRP\$|POS><RB.*>?<JJ.*|VBN|VBG>?}  # this, the poor
    {<PRP|EX|WP|WDT>}                       # she, there, who, which
    {<RBS>}<IN>                             # most of
VP:
    {(<MD>|<TO><RB.*>*<VB>|<VB.*>)(<RB.*>*(<MD>|<VB.*>|<TO><RB.*>*<VB>|<CC><VB>))*}  # is widely expected to take
    <VB|VBN|VBG|VBD|VBZ|VBP>}{<VBD|VBZ|VBP|MD>  # a finite verb begins a new one
    <VBD|VBZ|VBP>}{<CC><VB>
PRT:
    {<RP>}                                  # gave up
    <VP>{<IN>}<IN>                          # caught up with
PP:
    {<IN|TO><NP>}                           # in the house
    {<IN|TO>}                               # in, without a noun phrase
ADJP:
    {<RB.*>?<JJ.*>(<CC><JJ.*>)?}            # very likely
ADVP:
    {<RB.*|WRB>+}                           # not yet, when
CLAUSE:
    {<NP><ADVP>*<VP>(<NP>(?!<ADVP>*<VP>)|<PP|PRT|ADJP|ADVP>)*}  # the bat flew at night
"""  # noqa: E501  NLTK has no way to break a rule

#: Tokens to which a grammar is applied at once. Time grows with a power of their number, as the
#: rules try each token as a beginning.
MAX_SENTENCE = 300

logger = logging.getLogger("spacy_attn")

_TAG = re.compile(r"[^{}<>]+")
_FULL_STOP = "."
_NO_TAG = "XX"  # the Penn tag of what cannot be tagged


class Chunker(Protocol):
    """Finds the chunks of one tagged sentence."""

    def find(self, words: Sequence[str], tags: Sequence[str]) -> list[LabelledSpan]:
        """Spans by their start; of nested ones the outer one first."""
        ...


def is_grammar_text(text: str) -> bool:
    """Whether a setting is a grammar and not the path of a file: it has rules or lines."""
    return any(character in text for character in "{}<>\n")


class GrammarChunker:
    """Chunks by the rules of a grammar. Chunks of a later stage hold those of earlier ones.

    Args:
        grammar: rules as NLTK reads them.

    Raises:
        ConfigError: the grammar has a mistake; the message names its line.
        ResourceError: NLTK is missing.
    """

    def __init__(self, grammar: str = DEFAULT_GRAMMAR) -> None:
        self.grammar = grammar
        self._parser = _read_grammar(grammar)

    def __reduce__(self) -> tuple[Any, ...]:
        """A child process reads the text itself."""
        return GrammarChunker, (self.grammar,)

    def find(self, words: Sequence[str], tags: Sequence[str]) -> list[LabelledSpan]:
        """The chunks of one sentence, nested ones too: by their start, then the longer first.

        A tag that is empty or has one of ``<>{}``, which the rules are written with, is taken
        for XX. A sentence of more than ``MAX_SENTENCE`` tokens is cut, behind a full stop where
        it has one, and no chunk runs over a cut.

        Raises:
            RecordError: there is not one tag for each word.
            ConfigError: a grammar of the user takes too long, or NLTK cannot use its rules.
        """
        check_tags(words, tags)
        readable = [tag if _TAG.fullmatch(tag) else _NO_TAG for tag in tags]
        return [
            (start + first, start + end, label)
            for start, part in _parts(readable)
            for first, end, label in self._apply(part)
        ]

    def _apply(self, tags: Sequence[str]) -> list[LabelledSpan]:
        """The chunks of one part of a sentence."""
        from nltk.tree import Tree

        try:
            tree = self._parser.parse(Tree("S", list(enumerate(tags))))
        except TimeoutError as error:  # NLTK bounds each application of a rule, in seconds
            if self.grammar == DEFAULT_GRAMMAR:  # a matter of the machine, not of the rules
                logger.warning(
                    "chunks of %d tokens are left out, as a rule took too long; is the machine "
                    "overloaded?",
                    len(tags),
                )
                return []
            raise ConfigError(
                f"a rule of the chunk grammar takes too long on a sentence of {len(tags)} tokens; "
                "look for alternatives that are the same, such as <NN|NN>*, and for a repetition "
                "in a repetition, such as (<NN>*)*"
            ) from error
        except ValueError as error:
            raise ConfigError(
                f"NLTK cannot apply the chunk grammar ({' '.join(str(error).split())}); look for "
                "a label with one of <>{}"
            ) from error
        spans = [
            (leaves[0][0], leaves[-1][0] + 1, str(chunk.label()))
            for chunk in islice(tree.subtrees(), 1, None)  # the first one is the whole
            if (leaves := chunk.leaves())
        ]
        return sorted(spans, key=_outer_first)


def _parts(tags: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    """Parts of at most ``MAX_SENTENCE`` tags, each with its start; none of them is empty."""
    start = 0
    while start < len(tags):
        end = min(start + MAX_SENTENCE, len(tags))
        if end < len(tags):
            stops = (i for i in range(end, start, -1) if tags[i - 1] == _FULL_STOP)
            end = next(stops, end)
        yield start, tags[start:end]
        start = end


def _outer_first(span: LabelledSpan) -> tuple[int, int]:
    return span[0], -span[1]


def _read_grammar(grammar: str) -> Any:
    with explain_missing_package("a chunk grammar"):
        from nltk.chunk import RegexpParser
    try:
        parser = RegexpParser(grammar)
    except (ValueError, IndexError, re.error) as error:
        raise ConfigError(_explain(grammar, RegexpParser)) from error
    if not str(parser).count("\n"):  # a headline, then a line for each stage and rule
        raise ConfigError(
            "the chunk grammar has no rule; write rules such as 'NP: {<DT>?<NN.*>+}', or "
            "grammar = null for the default one"
        )
    return parser


def _explain(grammar: str, read: type) -> str:
    """One sentence that names the first line with which the grammar cannot be read."""
    lines = grammar.split("\n")

    def error_of(number: int) -> Exception | None:
        try:
            read("\n".join(lines[:number]))
        except (ValueError, IndexError, re.error) as error:
            return error
        return None

    good, bad = 0, len(lines)  # by halves: a grammar may have many lines
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (good, middle) if error_of(middle) else (middle, bad)
    return (
        f"line {bad} of the chunk grammar cannot be read: {lines[bad - 1].strip()!r} "
        f"({error_of(bad)}); a line is LABEL: {{<TAG>...}} or one rule, and has no other colon"
    )
