"""The frame of the command line: exit codes, errors as one sentence, help."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.rich_utils  # before a test sets TERMINAL_WIDTH, which it reads once
from typer.testing import CliRunner

from spacy_attn.cli import terminal
from spacy_attn.cli.app import _Group, _options, app, main
from spacy_attn.cli.options import METHODS
from spacy_attn.cli.terminal import IS_QUIET, line_a_minute, messages
from spacy_attn.cli.training import training_progress
from spacy_attn.errors import ConfigError, RecordError, ResourceError

LONG_PATH = "/" + "a_long_folder_name/" * 12 + "model.safetensors"


@pytest.fixture
def toy() -> typer.Typer:
    """A command line with the same frame and commands that fail in every way."""
    toy = typer.Typer(cls=_Group, invoke_without_command=True, pretty_exceptions_enable=False)
    toy.callback()(_options)

    @toy.command()
    def fail(how: str) -> None:
        failures: dict[str, BaseException] = {
            "resource": ResourceError(f"{LONG_PATH} is [broken]; repair it"),
            "record": RecordError("one record failed"),
            "config": ConfigError("method = 'x'; allowed are a, b"),
            "bad-parameter": typer.BadParameter("not a number"),
            "file": FileNotFoundError(2, "No such file or directory", LONG_PATH),
            "bug": KeyError("surprise"),
            "interrupt": KeyboardInterrupt(),
            "exit": typer.Exit(1),
            "pipe": BrokenPipeError(32, "Broken pipe"),
        }
        raise failures[how]

    @toy.command()
    def succeed() -> None:
        typer.echo("done")

    return toy


@pytest.fixture(autouse=True)
def own_logging():
    """``--debug`` sets up a handler; it must not outlive a test."""
    log = logging.getLogger("spacy_attn")
    before = log.handlers, log.level
    yield
    log.handlers, level = before
    log.setLevel(level)


class TestExitCodes:
    @pytest.mark.parametrize(
        ("how", "code", "said"),
        [
            ("resource", 1, f"error: {LONG_PATH} is [broken]; repair it\n"),
            ("record", 1, "error: one record failed\n"),
            ("config", 2, "error: method = 'x'; allowed are a, b\n"),
            ("file", 1, f"error: {LONG_PATH}: No such file or directory\n"),
            ("bug", 1, "error: KeyError: 'surprise' (--debug shows where)\n"),
            ("interrupt", 130, "error: interrupted\n"),
            ("exit", 1, ""),
            ("pipe", 1, ""),
        ],
    )
    def test_exceptions(self, toy, how, code, said):
        result = CliRunner().invoke(toy, ["fail", how])
        assert (result.exit_code, result.stderr, result.stdout) == (code, said, "")

    def test_success(self, toy):
        result = CliRunner().invoke(toy, ["succeed"])
        assert (result.exit_code, result.stdout, result.stderr) == (0, "done\n", "")

    @pytest.mark.parametrize(
        "arguments",
        [["fail"], ["fail", "exit", "more"], ["succeed", "--nope"], ["nope"], ["--nope"]],
    )
    def test_a_wrong_call_is_one_line(self, toy, arguments):
        result = CliRunner().invoke(toy, arguments)
        assert result.exit_code == 2
        assert result.stderr.startswith("error: ")
        assert result.stderr.endswith(" --help\n")
        assert result.stderr.count("\n") == 1

    def test_a_parameter_that_a_command_refuses(self, toy):
        result = CliRunner().invoke(toy, ["fail", "bad-parameter"])
        assert result.exit_code == 2
        assert "not a number" in result.stderr

    def test_no_command_shows_the_help(self, toy):
        result = CliRunner().invoke(toy, [])
        assert result.exit_code == 2
        assert "succeed" in result.stdout


class TestDebug:
    @pytest.mark.parametrize("where", ["before", "behind"])
    def test_shows_the_traceback_and_keeps_the_code(self, toy, where):
        arguments = ["fail", "config"]
        arguments.insert(0 if where == "before" else 2, "--debug")
        result = CliRunner().invoke(toy, arguments)
        assert result.exit_code == 2
        assert "Traceback (most recent call last)" in result.stderr
        assert result.stderr.endswith("error: method = 'x'; allowed are a, b\n")

    def test_without_it_there_is_none(self, toy):
        assert "Traceback" not in CliRunner().invoke(toy, ["fail", "bug"]).stderr

    def test_it_is_text_behind_two_dashes(self, toy):
        result = CliRunner().invoke(toy, ["fail", "--", "--debug"])
        assert result.stderr == "error: KeyError: '--debug' (--debug shows where)\n"

    def test_it_logs(self, toy):
        CliRunner().invoke(toy, ["--debug", "succeed"])
        assert logging.getLogger("spacy_attn").level == logging.DEBUG


class TestMain:
    @pytest.mark.parametrize(("arguments", "code"), [(["--version"], 0), (["--nope"], 2)])
    def test_returns_the_exit_code(self, arguments, code, capsys):
        assert main(arguments) == code
        captured = capsys.readouterr()
        assert bool(captured.out) is (code == 0)
        assert bool(captured.err) is (code == 2)

    def test_version(self):
        result = CliRunner().invoke(app, ["--version"])
        assert result.exit_code == 0
        assert result.stdout.startswith("spacy-attn ")

    def test_every_command_has_an_example_in_its_help(self):
        # At this width no example is broken into two lines.
        runner = CliRunner(env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"})
        names = [c.name or c.callback.__name__ for c in app.registered_commands]
        assert set(names) >= {"senses", "annotate", "doctor", "train-senses"}
        for name in names:
            result = runner.invoke(app, [name, "--help"])
            assert result.exit_code == 0
            assert f"Example: spacy-attn {name}" in result.stdout

    def test_a_default_in_the_help_is_no_markup(self):
        runner = CliRunner(env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"})
        shown = runner.invoke(app, ["explain", "--help"]).stdout
        assert shown.count("default: their mean") == 2

    def test_a_paragraph_of_the_help_fills_the_lines_and_a_command_keeps_its_own(self):
        runner = CliRunner(env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"})
        lines = runner.invoke(app, ["compare", "--help"]).stdout.splitlines()
        assert " correct / n: no instance is dropped, and a word that is not in the inventory" in [
            line.rstrip() for line in lines
        ]
        assert any(line.rstrip().endswith("--methods lesk --system \\") for line in lines)


def run_python(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, **options)


class TestProcess:
    def test_the_module_is_the_command(self):
        run = run_python("-m", "spacy_attn", "--nope")
        assert run.returncode == 2
        assert run.stderr.startswith("error: No such option: --nope")
        assert run.stdout == ""

    def test_help_needs_neither_spacy_nor_torch(self):
        code = """
            import sys
            from spacy_attn.cli import main
            code = main(["--help"])
            print(code, [m for m in ("spacy", "torch", "transformers") if m in sys.modules])
        """
        run = run_python("-c", textwrap.dedent(code))
        assert run.stdout.splitlines()[-1] == "0 []"
        assert run.stderr == ""

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no broken pipe of this kind")
    @pytest.mark.parametrize("unbuffered", ["", "1"])
    def test_a_reader_that_leaves_is_no_noise(self, unbuffered):
        read_end, write_end = os.pipe()
        os.close(read_end)  # head has seen enough before the first line
        try:
            run = subprocess.run(
                [sys.executable, "-m", "spacy_attn", "--help"],
                stdout=write_end,
                stderr=subprocess.PIPE,
                text=True,
                env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
            )
        finally:
            os.close(write_end)
        assert run.stderr == ""
        assert run.returncode == 1

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for a child")
    def test_interrupted(self, tmp_path: Path):
        """Ctrl-C while a command runs: the command itself sends it, so nothing is timed."""
        code = f"""
            import os, signal, sys, typer
            from spacy_attn.cli import app as frame
            signal.signal(signal.SIGINT, signal.default_int_handler)
            def wait() -> None:
                os.kill(os.getpid(), {int(signal.SIGINT)})
                while True:
                    pass
            frame.app.command()(wait)
            sys.exit(frame.main(["wait"]))
        """
        run = run_python("-c", textwrap.dedent(code), timeout=60)
        assert run.returncode == 130
        assert run.stderr == "error: interrupted\n"


@pytest.mark.parametrize("option", ["--verbose", "-v", "--quiet", "-q"])
@pytest.mark.parametrize("where", ["before", "behind"])
def test_how_much_is_said_is_an_option_of_all_commands(toy, option, where):
    arguments = [option, "succeed"] if where == "before" else ["succeed", option]
    result = CliRunner().invoke(toy, arguments)
    assert (result.exit_code, result.stdout) == (0, "done\n")
    is_quiet = "q" in option
    assert logging.getLogger("spacy_attn").level == (logging.ERROR if is_quiet else logging.INFO)
    assert messages().quiet == is_quiet
    IS_QUIET.set(False)


def test_errors_are_said_even_when_quiet(toy):
    result = CliRunner().invoke(toy, ["-q", "fail", "record"])
    assert (result.exit_code, result.stderr) == (1, "error: one record failed\n")
    result = CliRunner().invoke(toy, ["-q", "-v", "succeed"])
    assert result.exit_code == 2
    assert "--quiet and --verbose exclude each other" in result.stderr
    IS_QUIET.set(False)


def commands_of(group: Any, *names: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """A group, and each command in it with the words that name it."""
    yield names, group
    for name, command in getattr(group, "commands", {}).items():
        yield from commands_of(command, *names, name)


COMMANDS = list(commands_of(typer.main.get_command(app)))

#: Options without a default to speak of: without them something is not done.
LEFT_OUT = {
    *("--code", "--corrections", "--data", "--html", "--masc", "--plot", "--predictions"),
    *("--report", "--semcor", "--system", "--tagged", "--teacher", "--tune", "--average"),
    *("--weights", "--written"),
}


@pytest.mark.parametrize("width", ["80", "120"])
def test_help_shows_no_type_of_a_flag_and_breaks_no_example(width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", width)
    for words, command in COMMANDS:
        assert main([*words, "--help"]) == 0
        shown = capsys.readouterr().out
        assert "<bool>" not in shown, words
        assert "<list" not in shown, words
        assert "[default: (" not in shown, words
        lines = [line.strip() for line in shown.splitlines()]
        assert max(map(len, shown.splitlines())) <= int(width), words
        if command.epilog:
            assert command.epilog in lines, words


def test_every_option_says_what_holds_without_it():
    silent = [
        (*words, option.opts[0])
        for words, command in COMMANDS
        for option in command.params
        if option.param_type_name == "option"
        and not (option.required or option.is_flag)
        and option.default is None
        and "default" not in (option.help or "")
        and not LEFT_OUT & set(option.opts)
    ]
    assert silent == []


def test_the_readme_names_every_command():
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    named = text.partition("## Command line")[2].partition("\n## ")[0]
    for names in {names[:1] for names, _ in COMMANDS if names}:
        assert re.search(rf"(?<![\w-]){names[0]}(?![\w-])", named), names


def test_the_help_names_the_sense_methods():
    from spacy_attn.wsd.methods.registry import short_names

    assert set(METHODS.removesuffix(", or your own").split(", ")) == set(short_names())


@pytest.mark.slow
def test_completion_for_a_shell():
    environment = {
        **os.environ,
        "_SPACY_ATTN_COMPLETE": "complete_bash",
        "COMP_WORDS": "spacy-attn comp",
        "COMP_CWORD": "1",
    }
    command = "import sys; from spacy_attn.cli import main; sys.argv = ['spacy-attn']; main()"
    done = subprocess.run([sys.executable, "-c", command], env=environment, capture_output=True)
    assert done.stdout.split() == [b"compare"]


def test_a_line_of_a_training_is_one_line_in_a_log(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "40")
    with training_progress("reading") as report:
        report(
            {"epoch": 1, "loss": 0.118, "own:accuracy": 1.0, "own:first_sense": 1.0, "to": "[a]"}
        )
    assert capsys.readouterr().err.splitlines() == [
        "reading",
        "epoch 1, loss 0.118, own:accuracy 1.0, own:first_sense 1.0, to [a]",
    ]


def test_a_log_has_a_line_a_minute(capsys):
    now = [0.0]
    say = line_a_minute(messages(), lambda: now[0])
    for second in (10, 59, 60, 70, 119, 120, 121):
        now[0] = float(second)
        say(f"after {second} [s]")
    assert capsys.readouterr().err.splitlines() == ["after 60 [s]", "after 120 [s]"]


def test_a_training_says_in_a_log_how_far_it_is(monkeypatch, capsys):
    monkeypatch.setattr(terminal, "_MINUTE", 0.0)
    with training_progress("training") as report:
        report({"epoch": 0, "batch": 25, "batches": 1648, "loss": 0.5344, "seconds": 1.0})
        report({"stage": "asking teacher 1 of 2", "done": 20_000, "total": 40_000})
    assert capsys.readouterr().err.splitlines() == [
        "training",
        "epoch 1, loss 0.534: 25 of 1648 batches",
        "asking teacher 1 of 2",
        "asking teacher 1 of 2: 20000 of 40000",
    ]
