"""Where sentences and passages begin, by punctuation alone.

The attention method reads a word within its passage: short sentences that follow one another are
read together. Encoder and method must cut alike, in every pipeline and with or without a parser,
so the rule is that of spaCy's ``sentencizer`` and not ``doc.sents``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

#: Tokens up to which sentences are one passage. Chosen on 742 texts of the written corpus with two
#: sentences: 28.7 % right with sentences alone, 40.4 with passages of 24, 43.5 with 40 and with 64.
PASSAGE: Final = 40

_ENDS = frozenset(".!?…。！？؟।")  # noqa: RUF001 - full stops of other scripts


def sentence_starts(tokens: Sequence[str]) -> list[int]:
    """Index of the first token of each sentence, 0 first; empty for no tokens.

    A sentence ends with a token of ``. ! ? …`` (or their like in other scripts) and what
    follows it without a letter or digit (quotes, brackets), or with a blank line.
    """
    starts = [0] if tokens else []
    ended = False
    for i, token in enumerate(tokens):
        if token.isspace():
            ended = ended or token.count("\n") > 1
        elif _ENDS.issuperset(token):
            ended = True
        elif ended and any(c.isalnum() for c in token):
            starts.append(i)
            ended = False
    return starts


def passage_starts(tokens: Sequence[str], longest: int = PASSAGE) -> list[int]:
    """Index of the first token of each passage, 0 first; empty for no tokens.

    A passage is as many whole sentences as have at most ``longest`` tokens together, at least one.
    """
    sentences = sentence_starts(tokens)
    starts = sentences[:1]
    for start, end in pairwise([*sentences, len(tokens)]):
        if end - starts[-1] > longest and start > starts[-1]:
            starts.append(start)
    return starts


def sentence_of(starts: Sequence[int], token: int, n_tokens: int) -> tuple[int, int]:
    """First and end token of the sentence that holds a token."""
    at = bisect_right(starts, token)
    return starts[at - 1], starts[at] if at < len(starts) else n_tokens
