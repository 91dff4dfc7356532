"""What the README shows is what happens.

All python blocks run in order in one namespace, as a reader would type them, in a process and
a folder of their own. What a block prints is compared with a ```text block that directly
follows it, and with comments behind or below the statement that prints: ``...`` stands for
anything, spaces do not count, and the last digit of a fraction may be off by one, because
processors round differently. Shell blocks: every ``spacy-attn`` line must be accepted by
the command line, and the cheap commands run.
"""

from __future__ import annotations

import ast
import contextlib
import doctest
import io
import json
import os
import re
import shlex
import subprocess
import sys
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TIME_LIMIT = 240  # seconds, for all blocks together
SHELLS = {"bash", "console", "sh", "shell"}
CHEAP = {"senses", "tokens", "annotate"}  # these commands run; the others are only parsed
_FENCE = re.compile(r"^```[ \t]*(\S*)[^\n]*\n(.*?)^```[ \t]*$", re.DOTALL | re.MULTILINE)
_FRACTION = re.compile(r"\d+\.\d+")
_OUTPUT = doctest.OutputChecker()


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    language: str
    line: int  # of its fence
    source: str
    output: str | None = None  # of the text block that directly follows


@dataclass
class Run:
    """What happened when a block ran."""

    printed: str = ""
    failed: str = ""
    statements: list[tuple[int, str]] = field(default_factory=list)  # last line, what it printed


def blocks_of(markdown: str) -> list[Block]:
    found = list(_FENCE.finditer(markdown))
    blocks = []
    for i, match in enumerate(found):
        behind = found[i + 1] if i + 1 < len(found) else None
        is_shown = behind is not None and behind[1] == "text"
        if behind is None or markdown[match.end() : behind.start()].strip():
            is_shown = False  # something is said in between
        line = markdown.count("\n", 0, match.start()) + 1
        output = behind[2] if behind is not None and is_shown else None
        blocks.append(Block(match[1], line, match[2], output))
    return blocks


BLOCKS = blocks_of(README)
PYTHON = [block for block in BLOCKS if block.language in ("python", "py")]


def commands_of(block: Block) -> list[str]:
    """The commands of a shell block; in a session they stand behind a ``$``."""
    joined = block.source.replace("\\\n", " ")
    lines = [line.strip() for line in joined.splitlines()]
    if any(line.startswith("$ ") for line in lines):
        return [line[2:].strip() for line in lines if line.startswith("$ ")]
    return [line for line in lines if line and not line.startswith("#")]


def arguments_of(command: str) -> list[str] | None:
    """The arguments of a ``spacy-attn`` line, up to a pipe or redirection; None for others."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True  # a comma is part of a word
    words = []
    for word in lexer:
        if set(word) <= set("|<>;&()"):
            break
        words.append(word)
    for start in (["spacy-attn"], ["python", "-m", "spacy_attn"]):
        if words[: len(start)] == start:
            return words[len(start) :]
    return None


COMMANDS = [
    (block, command)
    for block in BLOCKS
    if block.language in SHELLS
    for command in commands_of(block)
    if arguments_of(command) is not None
]


# -- in a child process ----------------------------------------------------------------------


def run_readme(out: Path) -> None:
    """Run all blocks in the current folder and write what happened."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    runs = {}
    for block in PYTHON:
        runs[f"python {block.line}"] = run_python(block.source, namespace)
        _write(out, runs)
    for _, command in COMMANDS:
        runs[command] = run_command(arguments_of(command) or [])
        _write(out, runs)


def _write(out: Path, runs: dict[str, Run]) -> None:
    text = json.dumps({name: asdict(run) for name, run in runs.items()})
    out.write_text(text, encoding="utf-8")


def run_python(source: str, namespace: dict[str, Any]) -> Run:
    """Run a block statement by statement."""
    run = Run()
    try:
        for statement in ast.parse(source).body:
            printed = io.StringIO()
            try:
                with contextlib.redirect_stdout(printed):
                    code = compile(ast.Module([statement], []), "README.md", "exec")
                    exec(code, namespace)  # noqa: S102  our own README
            finally:
                run.printed += printed.getvalue()
            run.statements.append((statement.end_lineno or 0, printed.getvalue()))
    except Exception:
        run.failed = traceback.format_exc()
    return run


def run_command(arguments: list[str]) -> Run:
    """Parse a command line; run it where that is cheap."""
    run = Run()
    printed, said = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(said):
            if CHEAP.intersection(arguments[:1]) and not {"--help", "--engine"} & {*arguments}:
                code = _call(arguments)
            else:
                code = _parse(arguments)
    except Exception:
        run.failed = traceback.format_exc()
    else:
        run.failed = f"exit code {code}: {said.getvalue()}" if code else ""
    run.printed = printed.getvalue()
    return run


def _call(arguments: list[str]) -> int:
    from spacy_attn.cli import main

    for name in arguments[1:]:
        if name.endswith((".jsonl", ".txt")) and "-o" in arguments[arguments.index(name) :]:
            texts = ["Swing the bat!", "The bat flew at night."]
            lines = [json.dumps({"text": text}) if name.endswith("l") else text for text in texts]
            Path(name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return main(arguments)


def _parse(arguments: list[str]) -> int:
    """Exit code of parsing alone: names of commands and options, types and ranges of values."""
    import typer

    from spacy_attn.cli.app import app

    group = typer.main.get_command(app)
    try:
        context = group.make_context("spacy-attn", list(arguments))
        rest = [*getattr(context, "_protected_args", ()), *context.args]
        name, command, rest = group.resolve_command(context, rest)
        if command is None:
            return 2
        command.make_context(name, rest, parent=context)
    except typer.Exit as stop:  # --help and --version
        return stop.exit_code
    return 0


# -- here ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    out = tmp_path_factory.mktemp("readme") / "runs.json"
    folder = tmp_path_factory.mktemp("reader")
    script = (
        f"from pathlib import Path; from tests.test_readme import *; run_readme(Path({str(out)!r}))"
    )
    cache = str(tmp_path_factory.getbasetemp() / "cache")
    env = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": cache, "COLUMNS": "100"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder, env=env, timeout=TIME_LIMIT, capture_output=True, text=True,
    )  # fmt: skip
    assert out.is_file(), f"exit code {done.returncode}\n{done.stderr}"
    return {name: Run(**run) for name, run in json.loads(out.read_text(encoding="utf-8")).items()}


def is_output(shown: str, printed: str) -> bool:
    """Whether a block printed what the README shows."""
    for one, two in zip(_FRACTION.findall(shown), _FRACTION.findall(printed), strict=False):
        digits = len(one.partition(".")[2])
        if abs(round((float(one) - float(two)) * 10**digits)) <= 1:
            printed = printed.replace(two, one, 1)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    return _OUTPUT.check_output(shown.strip() + "\n", printed.strip() + "\n", flags)


def wrong_comments(source: str, statements: list[tuple[int, str]]) -> Iterator[str]:
    """Comments at a statement that prints and that do not say what it printed."""
    lines = source.splitlines()
    comments = {line: text for line, text in _comments(source)}
    for end, printed in statements:
        behind = comments.get(end)
        below = []
        while end + len(below) < len(lines) and lines[end + len(below)].startswith("#"):
            below.append(comments[end + len(below) + 1])
        under = "\n".join(below)
        shown = [text for text in (behind, under, f"{behind or ''}\n{under}") if text]
        if printed and (behind or below) and not any(is_output(s, printed) for s in shown):
            yield f"printed {printed!r}, the comment says {shown[-1]!r}"


def _comments(source: str) -> Iterator[tuple[int, str]]:
    import tokenize

    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string.lstrip("#").strip().removeprefix("->").strip()


def test_there_is_something_to_run() -> None:
    assert PYTHON, "README.md has no python block"
    assert COMMANDS, "README.md shows no spacy-attn command"


@pytest.mark.slow
@pytest.mark.parametrize("block", PYTHON, ids=lambda block: f"line{block.line}")
def test_python_block(block: Block, runs: dict[str, Run]) -> None:
    run = runs[f"python {block.line}"]
    assert not run.failed, run.failed
    if block.output is not None:
        assert is_output(block.output, run.printed), f"printed:\n{run.printed}"
    assert list(wrong_comments(block.source, run.statements)) == []


@pytest.mark.slow
@pytest.mark.parametrize(("block", "command"), COMMANDS, ids=lambda value: str(value)[:60])
def test_command(block: Block, command: str, runs: dict[str, Run]) -> None:
    assert not runs[command].failed, runs[command].failed
    if block.output is not None and len(commands_of(block)) == 1:
        assert is_output(block.output, runs[command].printed), f"printed:\n{runs[command].printed}"


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        command.split()[1]
        for block in BLOCKS
        if block.language in SHELLS
        for command in commands_of(block)
        if command.startswith("make ")
    }
    assert named <= targets


def test_json_blocks_are_json() -> None:
    for block in BLOCKS:
        if block.language == "json":
            for line in block.source.splitlines():
                assert isinstance(json.loads(line), dict), f"line {block.line}"


def test_links_lead_to_files() -> None:
    links = set(re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", README))
    assert {link for link in links if not (ROOT / link).exists()} == set()


# -- the harness itself ------------------------------------------------------------------------


def test_blocks_and_their_output() -> None:
    markdown = (
        "a\n```python\nx\n```\n\n```text\n1\n```\nb\n```bash\ny\n```\nword\n```text\n2\n```\n"
    )
    blocks = blocks_of(markdown)
    assert [block.language for block in blocks] == ["python", "text", "bash", "text"]
    assert [block.output for block in blocks] == ["1\n", None, None, None]
    assert [block.line for block in blocks] == [2, 6, 10, 14]


@pytest.mark.parametrize(
    ("source", "n_wrong"),
    [
        ("print(1)  # 1", 0),
        ("print(1)  # -> 1", 0),
        ("print(1)\n# 1", 0),
        ("print('a\\nb')  # a\n# b", 0),
        ("print('a long line')  # a ... line", 0),
        ("print(1)  # 2", 1),
        ("print(1)\n# 2", 1),
        ("for i in range(2):\n    print(i)  # 0\n# 1", 0),
        ("x = 1  # says nothing of what is printed\nprint(x)\n\n# nor does this", 0),
    ],
)
def test_comments_are_compared(source: str, n_wrong: int) -> None:
    run = run_python(source, {})
    assert not run.failed
    assert len(list(wrong_comments(source, run.statements))) == n_wrong


def test_a_failing_block_says_why() -> None:
    run = run_python("print(1)\nprint(1 / 0)", {})
    assert run.printed == "1\n"
    assert "ZeroDivisionError" in run.failed


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (
            'spacy-attn senses "Swing the bat!" --json | head',
            ["senses", "Swing the bat!", "--json"],
        ),
        ("spacy-attn doctor > report.txt", ["doctor"]),
        ("python -m spacy_attn doctor  # what is there", ["doctor"]),
        ("pip install spacy-attn", None),
        ("make demo", None),
    ],
)
def test_arguments(command: str, arguments: list[str] | None) -> None:
    assert arguments_of(command) == arguments


def test_commands_of_a_session() -> None:
    block = Block("console", 1, "$ spacy-attn doctor\nall good\n$ make \\\n  demo\n")
    assert commands_of(block) == ["spacy-attn doctor", "make    demo"]
    assert commands_of(Block("bash", 1, "# first\nmake demo\n\nmake test\n")) == [
        "make demo",
        "make test",
    ]


@pytest.mark.parametrize(
    "arguments", [["sing", "x"], ["senses", "x", "--loud"], ["annotate"], ["doctor", "--loud"]]
)
def test_a_wrong_command_is_found(arguments: list[str]) -> None:
    assert run_command(arguments).failed


@pytest.mark.parametrize(
    ("shown", "printed", "is_equal"),
    [
        ("a  b\n", "a b", True),
        ("cosine 0.926 (4, 384)", "cosine 0.927 (4, 384)", True),
        ("cosine 0.926", "cosine 0.928", False),
        ("cosine 0.926", "cosine 1.926", False),
        ("4 words", "5 words", False),
        ("a ... z", "a b c z", True),
        ("bat.club", "bat.animal", False),
    ],
)
def test_outputs_are_compared(shown: str, printed: str, is_equal: bool) -> None:
    assert is_output(shown, printed) == is_equal
