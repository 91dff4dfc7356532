"""Features of a token for the taggers, in the manner of Sha and Pereira 2003."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

OUTSIDE: Final = "<s>"  # the token before the first and after the last


def _shape(word: str) -> str:
    """Capitals X, other letters x, digits d; of a run two are kept: ``McDonald-99`` XxXxx-dd."""
    shape = ""
    for character in word[:20]:
        if character.isupper():
            kind = "X"
        elif character.isalpha():
            kind = "x"
        else:
            kind = "d" if character.isdigit() else character
        if shape[-2:] != kind * 2:
            shape += kind
    return shape


def token_features(words: Sequence[str], tags: Sequence[str], task: str) -> Iterator[list[str]]:
    """Of each token, the features that do not depend on labels; the same number of each."""
    edge = [OUTSIDE] * 2
    lower = [*edge, *(word.lower() for word in words), *edge]
    tags = [*edge, *tags, *edge]
    shapes = [*edge, *map(_shape, words), *edge]
    for i in range(2, len(lower) - 2):
        w_2, w_1, w, w1, w2 = lower[i - 2 : i + 3]
        t_2, t_1, t, t1, t2 = tags[i - 2 : i + 3]
        features = [
            "bias",
            f"w={w}", f"w-1={w_1}", f"w+1={w1}", f"w-2={w_2}", f"w+2={w2}",
            f"t={t}", f"t-1={t_1}", f"t+1={t1}", f"t-2={t_2}", f"t+2={t2}",
            f"t-1t={t_1} {t}", f"tt+1={t} {t1}", f"t-2t-1={t_2} {t_1}", f"t+1t+2={t1} {t2}",
            f"t-2t-1t={t_2} {t_1} {t}", f"t-1tt+1={t_1} {t} {t1}", f"tt+1t+2={t} {t1} {t2}",
            f"w-1w={w_1} {w}", f"ww+1={w} {w1}",
            f"wt={w} {t}", f"wt+1={w} {t1}", f"w-1t={w_1} {t}", f"w+1t={w1} {t}", f"t-1w={t_1} {w}",
            f"s3={w[-3:]}", f"s={shapes[i]}",
        ]  # fmt: skip
        if task == "entities":  # what a name looks like
            s_1, s, s1 = shapes[i - 1 : i + 2]
            features += [
                f"s-1={s_1}", f"s+1={s1}", f"s-1s={s_1} {s}", f"ss+1={s} {s1}",
                f"s-1ss+1={s_1} {s} {s1}", f"p2={w[:2]}", f"p3={w[:3]}", f"s2={w[-2:]}",
                f"s4={w[-4:]}", f"W={words[i - 2]}", f"ws+1={w} {s1}", f"w-1s={w_1} {s}",
                f"w+1s={w1} {s}",
            ]  # fmt: skip
        yield features


def history_features(l_2: str, l_1: str, t: str, t1: str) -> list[str]:
    """Features of the two labels before a token, alone and with tags."""
    return [
        f"l-1={l_1}",
        f"l-2l-1={l_2} {l_1}",
        f"l-1t={l_1} {t}",
        f"l-2l-1t={l_2} {l_1} {t}",
        f"l-1tt+1={l_1} {t} {t1}",
    ]


def history_word_features(l_1: str, w_1: str, w: str) -> tuple[str, str]:
    """Features of the label before a token with words; too many to be kept in a cache."""
    return f"l-1w={l_1} {w}", f"l-1w-1={l_1} {w_1}"
