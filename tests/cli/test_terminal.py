"""Text that a terminal shows."""

from __future__ import annotations

import pytest

from spacy_attn.cli.terminal import refuse_broken_text, visible
from spacy_attn.errors import ConfigError


def test_control_characters_are_shown_and_not_obeyed():
    shown = visible("a \x1b]0;owned\x07 [red]bat[/] \u202e\tend")
    assert shown == "a \u241b]0;owned\u2407 \\[red]bat\\[/] <U+202E>\tend"


def test_surrogates_are_refused_and_other_letters_are_not():
    refuse_broken_text(["", "bat", "Höhle", "蝙蝠 🦇"])
    with pytest.raises(ConfigError, match="a word holds bytes that are not UTF-8; save or type"):
        refuse_broken_text(["bat", "ba\udcff"], "word")
