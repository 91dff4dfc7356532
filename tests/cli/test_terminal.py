"""Text that a terminal shows."""

from __future__ import annotations

from spacy_attn.cli.terminal import visible


def test_control_characters_are_shown_and_not_obeyed():
    shown = visible("a \x1b]0;owned\x07 [red]bat[/] \u202e\tend")
    assert shown == "a \u241b]0;owned\u2407 \\[red]bat\\[/] <U+202E>\tend"
