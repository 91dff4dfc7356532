"""``spacy-attn doctor``: what is here, whether it is whole, and what fixes the rest."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from spacy_attn.cli.options import AS_JSON
from spacy_attn.cli.terminal import SafeConsole
from spacy_attn.encoder.processor import examine_processor
from spacy_attn.models.data import examine_data
from spacy_attn.models.findings import Finding, Hash, State, examine_models, examine_packages
from spacy_attn.wsd.inventory.wordnet_files import find_wordnet


def doctor(
    as_json: Annotated[bool, AS_JSON] = False,
) -> None:
    """Check the installation: models, data, packages, processor.

    For everything that is missing or damaged, it shows the command that fixes it. The exit code is
    0 if the default pipeline can run, else 1.
    """
    findings = examine()
    failing = [finding for finding in findings if finding.fails]
    if as_json:
        checks = [asdict(finding) | {"fails": finding.fails} for finding in findings]
        typer.echo(json.dumps({"ok": not failing, "checks": checks}, indent=2))
    else:
        _show(findings, failing)
    if failing:
        raise typer.Exit(1)


def examine() -> list[Finding]:
    """Look at everything; nothing is downloaded or repaired."""
    return [
        *examine_models(),
        *examine_data(find_wordnet()),
        *examine_packages(),
        *examine_processor(),
    ]


_ONE_LINE = 10_000  # columns
_STYLES: dict[State, str] = {"found": "green", "missing": "yellow", "wrong": "red"}
_HASH_STYLES: dict[Hash, str] = {"right": "green", "wrong": "red", "not checked": "dim"}


def _show(findings: list[Finding], failing: list[Finding]) -> None:
    console = SafeConsole(highlight=False)
    if not console.is_terminal:
        console.width = _ONE_LINE  # a path broken in two could not be copied
    table = Table(box=None, show_header=False, pad_edge=False)
    for _ in range(3):
        table.add_column(overflow="fold")
    group = ""
    for finding in findings:
        if finding.group != group:
            group = finding.group
            table.add_row(f"[bold cyan]{group}[/]")
        table.add_row(*_row(finding))
    console.print(table)
    unmet = [finding for finding in findings if finding.state != "found"]
    unused = [f for f in unmet if (f.need, f.state) == ("optional", "missing")]
    to_fix = [finding for finding in unmet if finding not in unused]
    for title, group_of in (("To fix", to_fix), ("Not installed, and not needed", unused)):
        if group_of:
            console.print(f"\n[bold]{title}[/]")
        for finding in group_of:
            what = f" ({finding.state}, {finding.need})" if group_of is to_fix else ""
            line = f"  {finding.name}{what}: {finding.repair}"
            console.print(line, markup=False, soft_wrap=True)
    if failing:
        names = ", ".join(finding.name for finding in failing)
        line = f"\n[bold red]The default pipeline cannot run correctly:[/] {escape(names)}"
        console.print(line, soft_wrap=True)
    else:
        console.print("\n[bold green]Everything that the default pipeline needs is installed.[/]")


def _row(finding: Finding) -> tuple[str, str, str]:
    """What it is; its state and hash; details and, on a line of its own, the path."""
    state = f"[{'red' if finding.fails else _STYLES[finding.state]}]{finding.state}[/]"
    if finding.state == "missing":
        state += f", {finding.need}"
    if finding.hash is not None:
        state += f"\n[{_HASH_STYLES[finding.hash]}]hash {finding.hash}[/]"
    lines = [escape(text) for text in (finding.detail, finding.path) if text]
    return f"  {escape(finding.name)}", state, "\n".join(lines)
