"""``spacy-attn inventory add``: what a method says of the new examples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from spacy_attn.cli.terminal import SafeConsole
from spacy_attn.errors import ConfigError, ResourceError, counted

if TYPE_CHECKING:
    from spacy_attn.wsd.inventory.corrections import AddedExamples, Correction
    from spacy_attn.wsd.method import SenseMethod

_SHOWN = 10  # examples
_AROUND = 40  # characters each side of a word


def say_what_is_decided_otherwise(
    console: SafeConsole, found: AddedExamples, chosen: SenseMethod, corrections: Path
) -> None:
    """Which new examples the method still gives another sense, and what to do."""
    from dataclasses import replace

    from spacy_attn.components.adapter import resources_of
    from spacy_attn.components.pipeline import blank_pipeline
    from spacy_attn.train.added import decided_otherwise

    inventory = found.inventory
    try:
        resources = replace(resources_of(blank_pipeline(inventory.lang or "xx")), may_keep=False)
        with console.status("Reading the new examples ..."):
            others = decided_otherwise(
                lambda part: chosen.prepare(part, resources), inventory, found.added, resources
            )
    except (ConfigError, ResourceError) as error:
        _print(console, f"the new examples were not tried: {error}")
        return
    if not others:
        return
    _print(
        console,
        f"{chosen.name} still gives {len(others):,} of {counted(len(found.added), 'new example')} "
        "another sense:",
    )
    for each, sense in others[:_SHOWN]:
        _print(console, f"  {_around(each)}: {sense.id}, not {each.sense}")
    if len(others) > _SHOWN:
        _print(console, f"  and {len(others) - _SHOWN:,} more")
    _print(
        console,
        "one example does not always outweigh the others of its word: more like it help, and "
        f"spacy-attn annotate --corrections {corrections} gives these words their senses anyway",
    )


def _around(each: Correction) -> str:
    """A word with what stands around it, on one line."""
    before, after = each.text[: each.start], each.text[each.end :]
    if len(before) > _AROUND:
        before = before[-_AROUND:]
        before = f"... {before.partition(' ')[2] or before}"
    if len(after) > _AROUND:
        after = after[:_AROUND]
        after = f"{after.rpartition(' ')[0] or after} ..."
    return " ".join(f"{before}**{each.text[each.start : each.end]}**{after}".split())


def _print(console: SafeConsole, line: str) -> None:
    console.print(line, markup=False, soft_wrap=True)
