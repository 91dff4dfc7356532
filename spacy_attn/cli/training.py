"""What the commands that train show while they do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from spacy_attn.cli.terminal import line_a_minute, messages


def bar_columns() -> tuple[ProgressColumn, ...]:
    """What the bar of a training shows."""
    description = TextColumn("{task.description}")
    return description, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()


@contextmanager
def training_progress(first: str) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A bar of batches with the loss, and a line for every other record, such as an epoch's end.

    Where there is no terminal, a line a minute stands for the bar.

    Args:
        first: what is done before the first batch.

    Yields:
        The function that takes the records: those of a batch have ``batch`` (the number done),
        ``batches``, ``epoch`` and ``loss``, and ``of`` where not all is trained; those of what is
        done beside training ``stage``, and ``done`` and ``total`` where they are known; ``note`` is
        a sentence to read.
    """
    console = messages()
    with Progress(*bar_columns(), console=console, disable=not console.is_terminal) as progress:
        bar, still = progress.add_task(first, total=None), line_a_minute(console)
        last = ""

        def enter(stage: str) -> None:
            """Where there is no bar, such as in a log, a line says what is done next."""
            nonlocal last
            if stage != last and not console.is_terminal:
                console.print(stage, markup=False, soft_wrap=True)
            last = stage

        enter(first)

        def report(record: dict[str, Any]) -> None:
            if "stage" in record:
                enter(record["stage"])
                done, total = record.get("done", 0), record.get("total")
                progress.update(bar, description=record["stage"], completed=done, total=total)
                if total:
                    still(f"{record['stage']}: {done} of {total}")
            elif "note" in record:
                console.print(record["note"], markup=False, soft_wrap=True)
            elif "batch" in record:
                what = f"epoch {record['epoch'] + 1}" + (
                    f", {record['of']}" if "of" in record else ""
                )
                what = f"{what}, loss {record['loss']:.3f}"
                done, total = record["batch"], record["batches"]
                progress.update(bar, description=what, completed=done, total=total)
                still(f"{what}: {done} of {total} batches")
            else:
                line = ", ".join(f"{key} {value}" for key, value in record.items())
                console.print(line, markup=False, soft_wrap=True)

        yield report
