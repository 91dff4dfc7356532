"""Text that a terminal shows."""

from __future__ import annotations

import io
import json
import sys

import pytest
from rich.table import Table

from spacy_attn.cli import main
from spacy_attn.cli.terminal import (
    SafeConsole,
    given_texts,
    json_text,
    lines_of_stdin,
    print_indented,
    refuse_broken_text,
    visible,
)
from spacy_attn.errors import ConfigError


def test_control_characters_are_shown_and_not_obeyed():
    shown = visible("a \x1b]0;owned\x07 [red]bat[/] \u202e\tend")
    assert shown == "a \u241b]0;owned\u2407 \\[red]bat\\[/] <U+202E>\tend"


def test_surrogates_are_refused_and_other_letters_are_not():
    refuse_broken_text(["", "bat", "Höhle", "蝙蝠 🦇"])
    with pytest.raises(ConfigError, match="a word holds bytes that are not UTF-8; save or type"):
        refuse_broken_text(["bat", "ba\udcff"], "word")


EVIL = "bat\x1b]0;owned\x07\x1b[31m\u202e"


def test_a_console_obeys_nothing_that_it_shows():
    out = io.StringIO()
    console = SafeConsole(file=out, force_terminal=True, width=80, highlight=False)
    table = Table("sense")
    table.add_row(EVIL)
    console.print(EVIL)
    console.print(EVIL, style="red")
    console.print(table)
    shown = out.getvalue()
    assert "\x07" not in shown
    assert "\x1b]" not in shown
    assert "\u202e" not in shown
    assert shown.count("bat\u241b]0;owned") == 3
    assert "\x1b[31mbat" in shown  # the colour that was asked for


def test_json_holds_nothing_that_a_terminal_obeys():
    value = {"sense": "bat\x9b31m\u202e\u2028\x1b", "says": "H\u00f6hle \U0001f987 \U000e0001"}
    for indent in (None, 1):
        shown = json_text(value, indent)
        assert json.loads(shown) == value
        assert shown.replace("\n", "").isprintable()
        assert "Höhle 🦇" in shown


def test_names_in_errors_are_shown_and_not_obeyed(capsys):
    assert main(["senses", "a bat", "--inventory", f"{EVIL}.jsonl"]) == 2
    shown = capsys.readouterr().err
    assert "\x1b" not in shown
    assert "bat" in shown


def test_closed_standard_input_is_one_sentence(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ConfigError, match="standard input is closed: give the texts in place of"):
        lines_of_stdin()


def test_standard_input_in_place_of_texts(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("one\r\n\ntwo"))
    assert given_texts(["zero", "-", "three"]) == ["zero", "one", "", "two", "three"]
    with pytest.raises(ConfigError, match="a word holds bytes that are not UTF-8"):
        given_texts(["ba\udcff"], "word")


@pytest.mark.parametrize("command", ["senses", "explain", "tokens", "neighbours"])
def test_all_commands_that_take_texts_read_standard_input(command, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", None)
    assert main([command, "-"]) == 2
    assert "standard input is closed" in capsys.readouterr().err


def test_further_lines_of_a_paragraph_stand_to_the_right():
    console = SafeConsole(file=io.StringIO(), width=30)
    print_indented(console, f"[bold]bank[/] 0.99  {visible('[a] long definition of it')}", 3)
    assert console.file.getvalue() == "   bank 0.99  [a] long\n     definition of it\n"
