"""Where sentences begin, by punctuation alone.

The attention method reads a word within its sentence. Encoder and method must cut alike, in
every pipeline and with or without a parser, so the rule is that of spaCy's ``sentencizer``
and not ``doc.sents``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

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


def sentence_of(starts: Sequence[int], token: int, n_tokens: int) -> tuple[int, int]:
    """First and end token of the sentence that holds a token."""
    at = bisect_right(starts, token)
    return starts[at - 1], starts[at] if at < len(starts) else n_tokens
