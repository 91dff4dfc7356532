"""The command ``spacy-attn``: its commands, its exit codes, what an error looks like.

Exit codes: 0 success, 1 the work failed or some records failed, 2 the call was wrong, 130
interrupted.
An error is one sentence on stderr; its traceback is shown only with ``--debug``.

A command is a function of its own module, and the module imports typer, rich and the
standard library at its top; spaCy and torch come inside the function, so that ``--help``
answers at once.
"""

from __future__ import annotations

import inspect
import logging
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Annotated, Any

import typer
from rich.text import Text
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from spacy_attn.cli.annotate import annotate
from spacy_attn.cli.calibrate_int8 import calibrate_int8
from spacy_attn.cli.compare import compare
from spacy_attn.cli.doctor import doctor
from spacy_attn.cli.explain import explain
from spacy_attn.cli.inventory import app as inventory
from spacy_attn.cli.neighbours import neighbours
from spacy_attn.cli.read import read
from spacy_attn.cli.senses import senses
from spacy_attn.cli.terminal import IS_QUIET, SafeConsole
from spacy_attn.cli.tokens import tokens
from spacy_attn.cli.train_attention import train_attention
from spacy_attn.cli.train_chunker import train_chunker
from spacy_attn.cli.train_lemmatizer import train_lemmatizer
from spacy_attn.cli.train_senses import train_senses
from spacy_attn.cli.train_word2vec import train_word2vec
from spacy_attn.errors import ConfigError, SpacyAttnError

FAILED, WRONG_CALL, INTERRUPTED = 1, 2, 130
_OF_ALL = frozenset(("--debug", "--verbose", "-v", "--quiet", "-q"))  # commands


def _no_type(ctx: Any) -> None:
    """What is shown of the type of a flag or of an argument that says it by its name."""


def _without_types(parameters: list[Any]) -> list[Any]:
    """Parameters whose help shows no ``<bool>`` and ``<list[str]>``."""
    for parameter in parameters:
        if isinstance(parameter, TyperArgument) or (
            isinstance(parameter, TyperOption) and parameter.is_flag
        ):
            parameter.display_type_rich = _no_type  # type: ignore[method-assign]
    return parameters


class _Command(TyperCommand):
    """A command whose help shows no types that people do not type."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Arguments and options, ``--help`` the last."""
        return _without_types(super().get_params(ctx))


class _Commands(TyperGroup):
    """A group of commands whose help shows no types either."""

    def get_params(self, ctx: Any) -> list[Any]:
        """As :meth:`_Command.get_params`."""
        return _without_types(super().get_params(ctx))


class _Group(_Commands):
    """Turns what a command raises into one sentence and an exit code."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Accept the options of all commands behind the command too."""
        end = args.index("--") if "--" in args else len(args)
        of_all = [a for a in args[:end] if a in _OF_ALL]
        args = [*of_all, *(a for a in args[:end] if a not in _OF_ALL), *args[end:]]
        with _one_sentence("--debug" in of_all):
            rest: list[str] = super().parse_args(ctx, args)
            return rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        with _one_sentence(bool(ctx.params.get("debug"))):
            return super().invoke(ctx)


app = typer.Typer(
    name="spacy-attn",
    cls=_Group,
    invoke_without_command=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: spacy-attn doctor",
)

app.command(
    epilog='Example: spacy-attn senses "Swing the bat!" "The bat flew at night."',
)(senses)
app.command(
    epilog='Example: spacy-attn explain "The bat flew at night." --word bat',
)(explain)
app.command(epilog="Example: spacy-attn read story.txt -o story.html --against word2vec")(read)
app.command(epilog='Example: spacy-attn tokens "The bats were flying at night."')(tokens)
app.command(epilog="Example: spacy-attn neighbours bat bank spring --plot words.png")(neighbours)
app.command(epilog="Example: spacy-attn annotate texts.jsonl -o annotated.jsonl")(annotate)
app.command(epilog="Example: spacy-attn compare -o results")(compare)
app.command(epilog="Example: spacy-attn doctor --json")(doctor)
app.command("train-word2vec", epilog="Example: spacy-attn train-word2vec texts/*.txt -o vectors")(
    train_word2vec
)
app.command(
    "train-chunker",
    epilog="Example: spacy-attn train-chunker train.conll --dev dev.conll -o chunks.tagger",
)(train_chunker)
app.command(
    "train-senses",
    epilog="Example: spacy-attn train-senses --semcor semcor.jsonl.gz -o runs/senses",
)(train_senses)
app.command(
    "train-attention",
    epilog="Example: spacy-attn train-attention --vectors vectors -o runs/attention",
)(train_attention)
app.command(
    "train-lemmatizer",
    epilog="Example: spacy-attn train-lemmatizer --semcor semcor.jsonl.gz -o lemmatizer",
)(train_lemmatizer)
app.command(
    "calibrate-int8",
    epilog="Example: spacy-attn calibrate-int8 my-encoder --text texts.txt",
)(calibrate_int8)
app.add_typer(inventory, name="inventory", cls=_Commands)


def _joined_lines(text: str) -> str:
    """The paragraphs of a docstring on one line each, so that a terminal of any width wraps them.

    Commands, which are indented, keep their lines.
    """
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(p if p.startswith(" ") else p.replace("\n", " ") for p in paragraphs)


for _command in (*app.registered_commands, *inventory.registered_commands):
    _command.cls = _Command
    _command.help = _joined_lines((_command.callback and _command.callback.__doc__) or "")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: what follows the program's name; None takes ``sys.argv``.
    """
    try:
        app(args=None if arguments is None else list(arguments))
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except KeyboardInterrupt:  # before or after the command itself
        code = INTERRUPTED
    try:
        if sys.stdout is not None:  # closed before the start
            sys.stdout.flush()
    except BrokenPipeError:
        _close_stdout()
        code = FAILED
    return code


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            typer.echo(f"spacy-attn {version('spacy-attn')}")
        except PackageNotFoundError:
            typer.echo("spacy-attn (not installed)")
        raise typer.Exit


@app.callback()
def _options(
    ctx: typer.Context,
    debug: Annotated[
        bool, typer.Option("--debug", help="Log what happens, and show the traceback of an error.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say more of what happens.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress and no notes, only errors.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Find out which sense a word has in its sentence, and why."""
    if quiet and (verbose or debug):
        raise ConfigError("--quiet and --verbose exclude each other: leave one of them out")
    IS_QUIET.set(quiet)
    if debug or verbose or quiet:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
        log = logging.getLogger("spacy_attn")
        log.handlers = [handler]
        level = logging.ERROR if quiet else logging.INFO
        log.setLevel(logging.DEBUG if debug else level)
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help(), nl=False)
        raise typer.Exit(WRONG_CALL)


# -- errors --------------------------------------------------------------------------------


@contextmanager
def _one_sentence(debug: bool) -> Iterator[None]:
    """Say on stderr what went wrong, and exit with its code."""
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except KeyboardInterrupt:
        _say("interrupted", style="yellow")
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:  # the reader, such as head, has seen enough
        _close_stdout()
        raise typer.Exit(FAILED) from None
    except Exception as error:
        if debug:
            traceback.print_exc()
        _say(_sentence(error))
        raise typer.Exit(_exit_code(error)) from None


def _exit_code(error: Exception) -> int:
    if isinstance(error, ConfigError):
        return WRONG_CALL
    # Usage errors of typer carry their own code; their base class moved between versions.
    return int(getattr(error, "exit_code", FAILED))


def _sentence(error: Exception) -> str:
    if isinstance(error, SpacyAttnError):
        return str(error)
    if hasattr(error, "format_message"):
        context = getattr(error, "ctx", None)
        hint = f"; see: {context.command_path} --help" if context is not None else ""
        return f"{error.format_message().rstrip('.')}{hint}"
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return f"{type(error).__name__}: {error} (--debug shows where)"


def _say(sentence: str, style: str = "red") -> None:
    """Print to stderr; a long line is left whole, so that paths and commands can be copied."""
    line = Text.assemble(("error: ", f"bold {style}"), sentence)
    with suppress(BrokenPipeError):
        SafeConsole(stderr=True, highlight=False).print(line, soft_wrap=True)


def _close_stdout() -> None:
    """Let Python's own flush at exit go nowhere instead of failing a second time."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
