"""The tool that runs the documentation: it finds blocks, compares outputs and sees faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.markdown_blocks import (
    Block,
    arguments_of,
    blocks_of,
    commands_of,
    faults_of,
    is_output,
    run_command,
    run_python,
    wrong_comments,
)


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


def test_the_faults_of_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```python\nx = 1\n```\n\n```python\nprint(x)\n```\n\n```text\n1\n```\n\n"
        "```python\nprint(x)\n```\n\n```text\n2\n```\n\n"
        "```bash\nspacy-attn sing\npip install spacy\n```\n",
        encoding="utf-8",
    )
    wrong, command = faults_of(page, tmp_path)
    assert wrong == "line 13: printed:\n1\n"
    assert command.startswith("line 21: ")
    assert "sing" in command


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
