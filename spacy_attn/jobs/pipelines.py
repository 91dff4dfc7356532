"""A pipeline made ready for jobs: the user's code, the order of components, limits, first use."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spacy_attn.errors import ConfigError, InventoryError, ResourceError
from spacy_attn.jobs.fields import Field

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

# These say that the call or the installation is wrong: no text can succeed, the job stops.
NOT_THE_TEXT: Final = (ConfigError, InventoryError, ResourceError)
# spaCy's limit of 1,000,000 characters guards the memory of these components only.
_HUNGRY_FACTORIES: Final = frozenset({"parser", "ner", "beam_parser", "beam_ner"})
# Components of spaCy after which spans and arrays of earlier ones are stale.
_JOINING_FACTORIES: Final = frozenset(
    {"merge_noun_chunks", "merge_entities", "merge_subtokens", "token_splitter"}
)
_REASON_CHARS: Final = 500
# Holds a word of the bundled inventory, so that every component has something to do.
FIRST_TEXT: Final = "The bat flew at night."

_imported: set[str] = set()  # files of users that this process has run


def import_code(path: str) -> None:
    """Run a file of the user, once in each process.

    Raises:
        ConfigError: it is not there, or fails.
    """
    from spacy.util import import_file

    place = str(Path(path).resolve())
    if place in _imported:
        return
    if not os.path.isfile(place):
        raise ConfigError(f"code / --code {path} is no file: name the Python file to import")
    try:
        import_file("python_code", place)
    except Exception as error:
        raise ConfigError(f"code / --code {path} cannot be imported: {describe(error)}") from error
    _imported.add(place)


def check_order(nlp: Language, wanted: Sequence[Field]) -> None:
    """Refuse a pipeline that cannot write the fields.

    Raises:
        ConfigError: it lacks a component, or joins tokens behind what was written for them.
    """
    factories = [nlp.get_pipe_meta(name).factory for name in nlp.pipe_names]
    for each in wanted:
        if each.written_by and not set(each.written_by) & set(factories):
            *others, last = each.written_by
            raise ConfigError(
                f"the field {each.name} needs a component that finds them ({', '.join(others)} "
                f"or {last}): name such a --pipeline"
            )
    writers = {each.component for each in wanted if each.component is not None}
    first = next((i for i, factory in enumerate(factories) if factory in writers), None)
    for name, factory in list(zip(nlp.pipe_names, factories, strict=True))[first or 0 :]:
        if first is not None and factory in _JOINING_FACTORIES:
            raise ConfigError(
                f"the pipeline joins or splits tokens ({name}) after {nlp.pipe_names[first]} has "
                f"written about them, so that its places would be wrong: put {name} before it"
            )


def correction_of(nlp: Language, path: str, spans_key: str) -> Callable[[Doc], object]:
    """What gives the words of a Doc the senses that a reader has chosen.

    Args:
        nlp: its ``sense_disambiguator`` has the inventory of the senses.
        path: the file of corrections.
        spans_key: span group of the senses.

    Raises:
        InventoryError: the file cannot be read, or a line is broken.
        ConfigError: a sense is not in the inventory.
    """
    from spacy_attn.components.corrections import apply_corrections
    from spacy_attn.wsd.granularity import group_names
    from spacy_attn.wsd.inventory.corrections import (
        CorrectionIndex,
        of_inventory,
        read_corrections,
    )

    corrections = read_corrections(Path(path))
    with_senses = (each for _, each in nlp.pipeline if hasattr(each, "inventory"))
    component: Any = next(with_senses, None)
    inventory = component.inventory if component is not None else None
    if component is not None and inventory is not None:
        group_of = group_names(component.config.get("granularity", "fine"), inventory)
        corrections = of_inventory(corrections, inventory, Path(path), group_of)
    return partial(
        apply_corrections,
        corrections=CorrectionIndex(corrections),
        inventory=inventory,
        spans_key=spans_key,
    )


def lift_length_limit(nlp: Language) -> None:
    """Take texts of any length, where no component needs the limit."""
    names = nlp.pipe_names
    if not any(nlp.get_pipe_meta(name).factory in _HUNGRY_FACTORIES for name in names):
        nlp.max_length = sys.maxsize


def run_first_text(nlp: Language) -> None:
    """Let components load what they load late, before the first memory zone opens.

    What is built inside a zone must not outlive it, and a missing model is told here.
    """
    for _name, component in nlp.pipeline:
        prepare = getattr(component, "prepared", None)
        if prepare is not None:
            prepare()
    try:
        for _doc in nlp.pipe([FIRST_TEXT]):
            pass
    except NOT_THE_TEXT:
        raise
    except Exception:  # noqa: S110  # the records will tell, each with its own reason
        pass


def describe(error: Exception) -> str:
    """The kind of an error and the first line of what it says."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"[:_REASON_CHARS]
