"""Texts and damage, generated: the same for the same seed and number, on every machine."""

from __future__ import annotations

import random
import string
import sys
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache

__all__ = ["KINDS", "damaged", "hostile_strings", "text", "texts"]

WORDS = (
    "bat bats bank Bank spring star cell light right match pitch the a of in at night flew swing "
    "well-known T-shirt re-elected don't can't took off gave it up"
).split()
SCRIPTS = {
    "Greek": (0x391, 0x3C9),
    "Cyrillic": (0x410, 0x44F),
    "Hebrew": (0x5D0, 0x5EA),
    "Arabic": (0x621, 0x64A),
    "Devanagari": (0x904, 0x939),
    "Thai": (0xE01, 0xE30),
    "Hangul": (0xAC00, 0xD7A3),
    "Kana": (0x3041, 0x30FE),
    "Han": (0x4E00, 0x9FFF),
    "Math": (0x1D400, 0x1D7FF),
    "Emoji": (0x1F300, 0x1FAFF),
    "Tags": (0xE0020, 0xE007F),
}
JOINERS = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\u180e\u202a\u202e\u2066\u2069\ufe0f\u0640"
SPACES = " \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2003\u2009\u2028\u2029\u202f\u3000"
MARKUP = (
    "<b>",
    "</b>",
    "<script>alert(1)</script>",
    "<!-- ",
    "-->",
    "&amp;",
    "&#0;",
    "<![CDATA[",
    "{{",
    "}}",
    "${",
    "\\begin{bat}",
    "\\x00",
    "[link](http://bat.bank/?q=a&b)",
    "**",
    "| a",
    "%s",
    "%n",
    "{0}",
    "\\u0000",
    "'; DROP TABLE bat;--",
    "[bold red]",
    "\x1b[31m",
    "on=",
)
CODE = (
    "def bat(x):",
    "return x[0]",
    "for(int i=0;i<n;i++){",
    "}",
    "x = {'a': [1, 2]}",
    "SELECT * FROM bank;",
    "a->b",
    "::std",
    "0x7fff",
    "1e309",
    "λx.x",
    "/*",
    "*/",
    "$HOME/*.py",
)


@cache
def by_category() -> dict[str, str]:
    """All characters but surrogates, by their Unicode category."""
    found: dict[str, list[str]] = {}
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        category = unicodedata.category(character)
        if category != "Cs":
            found.setdefault(category, []).append(character)
    return {category: "".join(characters) for category, characters in sorted(found.items())}


def _any_category(rng: random.Random) -> str:
    some = rng.choices(list(by_category().values()), k=rng.randint(1, 60))
    return "".join(rng.choice(characters) for characters in some)


def _one_category(rng: random.Random) -> str:
    characters = rng.choice(list(by_category().values()))
    return "".join(rng.choices(characters, k=rng.randint(1, 40)))


def _controls(rng: random.Random) -> str:
    return "".join(
        rng.choices([*map(chr, range(32)), *map(chr, range(127, 160)), "bat ", "a"], k=30)
    )


def _joiners(rng: random.Random) -> str:
    """Words of the inventory with what is not seen inside them."""
    out = []
    for word in rng.choices(WORDS, k=rng.randint(1, 12)):
        at = rng.randint(0, len(word))
        out.append(word[:at] + "".join(rng.choices(JOINERS, k=rng.randint(0, 3))) + word[at:])
    return rng.choice([" ", "", "\u200b", "\u2060"]).join(out)


def _combining(rng: random.Random) -> str:
    marks = by_category()["Mn"] + by_category()["Me"] + by_category()["Mc"]
    some = (c + "".join(rng.choices(marks, k=rng.randint(0, 8))) for c in _words(rng))
    return "".join(some)


def _long_word(rng: random.Random) -> str:
    word = rng.choice(["a", "ab", "bat", "é", "中", "x1-", "_", "=", "🦇", ".", "'", "/a", "bat-"])
    return f"The {word * rng.randint(50, 3000)} bat"[: rng.randint(10, 6000)]


def _scripts(rng: random.Random) -> str:
    out = []
    for _ in range(rng.randint(1, 10)):
        first, last = rng.choice(list(SCRIPTS.values()))
        out.append("".join(chr(rng.randint(first, last)) for _ in range(rng.randint(1, 8))))
        out += rng.choices(WORDS, k=rng.randint(0, 2))
    return rng.choice([" ", "", ". "]).join(out)


def _markup(rng: random.Random) -> str:
    return rng.choice([" ", ""]).join(rng.choices([*MARKUP, *WORDS], k=rng.randint(1, 20)))


def _code(rng: random.Random) -> str:
    return rng.choice(["\n", " ", "\r\n"]).join(rng.choices([*CODE, *WORDS], k=rng.randint(1, 15)))


def _spaces(rng: random.Random) -> str:
    return "".join(rng.choices(SPACES, k=rng.randint(0, 30)))


def _words(rng: random.Random) -> str:
    ends = [
        " ",
        " ",
        " ",
        "  ",
        ", ",
        ". ",
        "! ",
        "\n",
        "\n\n",
        "\t",
        " - ",
        "'s ",
        "\u2019s ",
        '" ',
    ]
    some = rng.choices(WORDS, k=rng.randint(1, 40))
    return "".join(rng.choice([w, w.upper(), w.title()]) + rng.choice(ends) for w in some)


def _repeated(rng: random.Random) -> str:
    return (rng.choice(WORDS) + rng.choice([" ", "", "\n"])) * rng.randint(1, 400)


def _ascii(rng: random.Random) -> str:
    return "".join(rng.choices(string.printable, k=rng.randint(0, 80)))


KINDS: dict[str, Callable[[random.Random], str]] = {
    "any category": _any_category,
    "one category": _one_category,
    "controls": _controls,
    "joiners": _joiners,
    "combining": _combining,
    "long word": _long_word,
    "scripts": _scripts,
    "markup": _markup,
    "code": _code,
    "white space": _spaces,
    "words": _words,
    "repeated": _repeated,
    "ascii": _ascii,
}


def text(seed: int, number: int) -> str:
    """The generated text of this number; its kind goes round."""
    rng = random.Random(f"{seed}/{number}")  # noqa: S311 - to be made again, not a secret
    return list(KINDS.values())[number % len(KINDS)](rng)


def texts(seed: int, n: int) -> Iterator[str]:
    """The first n generated texts."""
    return (text(seed, number) for number in range(n))


def damaged(data: bytes, rng: random.Random, others: tuple[bytes, ...] = ()) -> bytes:
    """Some bytes after one to three accidents."""
    for _ in range(rng.randint(1, 3)):
        at, end = sorted((rng.randint(0, len(data)), rng.randint(0, len(data))))
        junk = rng.choice([rng.randbytes(rng.randint(1, 40)), b"\0" * 50, b'"', b"\n", b"\xff\xfe"])
        data = rng.choice(
            [
                data[:at],  # cut off
                data[:at] + junk + data[at:],
                data[:at] + data[end:],  # a hole
                data[:at] + junk + data[at + len(junk) :],
                data + junk,
                data + data,
                data[:end] + data[at:],  # a part twice
                data.replace(b"1", b"9" * 400, 1),
                data.replace(b":", b":NaN", 1),
                data.replace(b"{", b"[" * 3000 + b"{", 1),
                data.decode("latin-1").encode("utf-16"),
                data + rng.choice([*others, b""]),
            ]
        )
    return data


def hostile_strings(mark: str) -> list[str]:
    """Strings that would run a script of a page, each setting ``window.MARK``."""
    run = f"window.{mark}=1"
    return [
        f"<script>{run}</script>",
        f"</script><script>{run}</script>",
        f"</title><svg onload={run}>",
        f'"><img src=x onerror="{run}">',
        f"'-{run}-'",
        f"</style><script>{run}</script>",
        f"javascript:{run}",
        f"{{{{constructor.constructor('{run}')()}}}}",
        f"${{{run}}}",
        f"<iframe srcdoc='<script>parent.{mark}=1</script>'>",
        f"\u2028{run}\u2029",
        f"-->{run}<!--",
        f"<a href='javascript:{run}' autofocus onfocus='{run}'>bat</a>",
        "&lt;bat&gt;",
        "\x00\x1b[31m",
    ]
