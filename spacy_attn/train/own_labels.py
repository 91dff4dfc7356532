"""A user's own labels, as sentences and as rows to train on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from spacy_attn.errors import ConfigError
from spacy_attn.train.balance import balanced
from spacy_attn.train.corpora import TaggedSentence
from spacy_attn.train.held_out import blank_resources
from spacy_attn.train.rows import Row, rows_of
from spacy_attn.train.sense_table import SenseTable
from spacy_attn.train.senses import SenseTrainer
from spacy_attn.wsd.context import tokens_within
from spacy_attn.wsd.inventory.jsonl import load_inventory
from spacy_attn.wsd.inventory.labelled import LabelledTarget

_HELD_OUT = 10  # one of so many labels tells how the training goes


def labelled_sentences(
    labels: Sequence[LabelledTarget], table: SenseTable, data: Path | None
) -> list[TaggedSentence]:
    """The labels as tagged sentences.

    Args:
        labels: what was read.
        table: knows the senses.
        data: the file, for errors.

    Raises:
        ConfigError: the inventory has no such sense.
    """
    if not labels:
        return []
    resources = blank_resources(table.inventory or load_inventory("homographs"))
    known = (
        table.wordnet.senses
        if table.inventory is None
        else {sense.id for sense in table.inventory.senses}
    )
    out = []
    for i, item in enumerate(labels):
        if item.sense not in known:
            name = table.inventory.name if table.inventory is not None else "wordnet"
            raise ConfigError(
                f"{data}, label {i + 1}: the inventory {name!r} has no sense {item.sense!r}; "
                "name the inventory of the labels with --inventory"
            )
        context = resources.tokenize(item.text)
        first, end = tokens_within(context, item.start, item.end)
        tokens = list(context.tokens)
        out.append(TaggedSentence(f"own-{i}", "own", tokens, [(first, end, [item.sense])]))
    return out


def add_labels(
    sentences: Sequence[TaggedSentence],
    trainer: SenseTrainer,
    documents: list[list[Row]],
    held_out: dict[str, list[Row]],
) -> None:
    """A user's labels as rows: every tenth is held out."""
    table = trainer.table
    target = table.own_target if table.inventory is not None else table.target
    out = sentences[::_HELD_OUT]
    kept = [sentence for i, sentence in enumerate(sentences) if i % _HELD_OUT]
    weight = trainer.config.weight("own")
    rows = [("own", [row]) for row in rows_of(kept, trainer.tokenizer, target)]
    documents += balanced(rows, lambda _: weight)
    held_out["own"] = rows_of(out, trainer.tokenizer, target)
    if not any(row.targets for rows in documents for row in rows):
        raise ConfigError(
            "--data has nothing to train on: needed are two labels or more, of words with several "
            "senses in the inventory; add some with: spacy-attn inventory add --help"
        )
