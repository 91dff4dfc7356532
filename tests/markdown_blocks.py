"""Run the code blocks of a Markdown page, as a reader would type them.

The blocks of a page run in order, in one namespace, in a process and a folder of their own. What a
Python block prints is compared with the ```text block that directly follows it, and with comments
behind or below the statement that prints: ``...`` stands for anything, spaces do not count, and
the last digit of a fraction may differ by one, because processors round differently. In shell
blocks every ``spacy-attn`` line must be accepted by the command line; fast commands also run.
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
import tokenize
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TIME_LIMIT = 240  # seconds for all blocks of a page
SHELLS = {"bash", "console", "sh", "shell"}
FAST = {"senses", "tokens", "annotate", "explain", "neighbours"}  # run; the others are only parsed
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
    """What happened when a block or a command ran."""

    printed: str = ""
    failed: str = ""
    statements: list[tuple[int, str]] = field(default_factory=list)  # last line, what it printed


def blocks_of(markdown: str) -> list[Block]:
    """All fenced blocks, in order."""
    found = list(_FENCE.finditer(markdown))
    blocks = []
    for i, match in enumerate(found):
        behind = found[i + 1] if i + 1 < len(found) else None
        is_shown = behind is not None and behind[1] == "text"
        if behind is None or markdown[match.end() : behind.start()].strip():
            is_shown = False  # there is text in between
        line = markdown.count("\n", 0, match.start()) + 1
        output = behind[2] if behind is not None and is_shown else None
        blocks.append(Block(match[1], line, match[2], output))
    return blocks


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


# -- a page ------------------------------------------------------------------------------------


def faults_of(page: Path, folder: Path) -> list[str]:
    """What is wrong with the blocks of a page, each with its line.

    Args:
        page: the Markdown file.
        folder: an empty folder, in which the blocks run and write.
    """
    out = folder / "runs.json"
    (folder / "work").mkdir()
    script = (
        "from pathlib import Path; from tests.markdown_blocks import run_page; "
        f"run_page(Path({str(page)!r}), Path({str(out)!r}))"
    )
    cache = str(folder.parent / "cache")
    env = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": cache, "COLUMNS": "100"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder / "work",
        env=env,
        timeout=TIME_LIMIT,
        capture_output=True,
        text=True,
    )
    if not out.is_file():
        return [f"exit code {done.returncode}\n{done.stderr}"]
    runs = [
        (Block(**block), Run(**run)) for block, run in json.loads(out.read_text(encoding="utf-8"))
    ]
    return [f"line {block.line}: {fault}" for block, run in runs for fault in _faults(block, run)]


def _faults(block: Block, run: Run) -> Iterator[str]:
    if run.failed:
        yield run.failed
        return
    if block.output is not None and not is_output(block.output, run.printed):
        yield f"printed:\n{run.printed}"
    if block.language not in SHELLS:
        yield from wrong_comments(block.source, run.statements)


def run_page(page: Path, out: Path) -> None:
    """Run all blocks in the current folder, and write what happened."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    runs: list[tuple[Block, Run]] = []
    for block in blocks_of(page.read_text(encoding="utf-8")):
        if block.language == "python":
            runs.append((block, run_python(block.source, namespace)))
        elif block.language in SHELLS:
            runs += [(block, run) for run in _run_shell(block)]
    out.write_text(json.dumps([[asdict(x) for x in pair] for pair in runs]), encoding="utf-8")


def _run_shell(block: Block) -> Iterator[Run]:
    """The ``spacy-attn`` commands of a block; what follows a block is the output of its last."""
    commands = [x for x in map(arguments_of, commands_of(block)) if x is not None]
    for arguments in commands:
        yield run_command(arguments)


def run_python(source: str, namespace: dict[str, Any]) -> Run:
    """Run a block statement by statement."""
    run = Run()
    try:
        for statement in ast.parse(source).body:
            printed = io.StringIO()
            try:
                with contextlib.redirect_stdout(printed):
                    code = compile(ast.Module([statement], []), "page", "exec")
                    exec(code, namespace)  # noqa: S102  our own documentation
            finally:
                run.printed += printed.getvalue()
            run.statements.append((statement.end_lineno or 0, printed.getvalue()))
    except Exception:
        run.failed = traceback.format_exc()
    return run


def run_command(arguments: list[str]) -> Run:
    """Parse a command line; run it if it is a fast one."""
    run = Run()
    printed, said = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(said):
            if FAST.intersection(arguments[:1]) and not {"--help", "--engine"} & {*arguments}:
                code = _call(arguments)
            else:
                code = _parse(arguments)
    except Exception:
        run.failed = traceback.format_exc()
    else:
        run.failed = f"{shlex.join(arguments)}: exit code {code}: {said.getvalue()}" if code else ""
    run.printed = printed.getvalue()
    return run


def _call(arguments: list[str]) -> int:
    from spacy_attn.cli import main

    if arguments[0] == "annotate":
        _write_input(arguments[1])
    if "--vectors" in arguments:  # of the reader's own
        return _parse(arguments)
    return main(arguments)


def _write_input(name: str) -> None:
    """The file, or one that fits the pattern, with two texts."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(name.replace("**", "one").replace("*", "texts"))
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = ["Swing the bat!", "The bat flew at night."]
    if path.suffix == ".parquet":
        pq.write_table(pa.table({"text": texts}), path)
    elif path.suffix == ".jsonl":
        lines = [json.dumps({"text": text}) + "\n" for text in texts]
        path.write_text("".join(lines), encoding="utf-8")
    elif path.suffix == ".csv":
        rows = [f"{number},{text}\n" for number, text in enumerate(texts, 1)]
        path.write_text("".join(["id,text\n", *rows]), encoding="utf-8")
    else:
        raise ValueError(f"{name}: no input of this kind is known")


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


# -- what was printed ----------------------------------------------------------------------------


def is_output(shown: str, printed: str) -> bool:
    """Whether a block printed what the page shows."""
    for one, two in zip(_FRACTION.findall(shown), _FRACTION.findall(printed), strict=False):
        digits = len(one.partition(".")[2])
        if abs(round((float(one) - float(two)) * 10**digits)) <= 1:
            printed = printed.replace(two, one, 1)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    return _OUTPUT.check_output(shown.strip() + "\n", printed.strip() + "\n", flags)


def wrong_comments(source: str, statements: list[tuple[int, str]]) -> Iterator[str]:
    """Comments at a statement that prints and that do not say what it printed."""
    lines = source.splitlines()
    comments = dict(_comments(source))
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
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string.lstrip("#").strip().removeprefix("->").strip()
