"""A user's own labels, as sentences and as rows to train on."""

from __future__ import annotations

from collections.abc import Sequence

from spacy_attn.train.balance import balanced
from spacy_attn.train.corpora import TaggedSentence
from spacy_attn.train.held_out import blank_resources
from spacy_attn.train.rows import Row, rows_of
from spacy_attn.train.sense_table import SenseTable
from spacy_attn.train.senses import SenseTrainer
from spacy_attn.wsd.context import tokens_within
from spacy_attn.wsd.inventory.jsonl import load_inventory
from spacy_attn.wsd.inventory.labelled import HELD_OUT, LabelledTarget


def labelled_sentences(labels: Sequence[LabelledTarget], table: SenseTable) -> list[TaggedSentence]:
    """The labels as tagged sentences.

    Args:
        labels: what was read.
        table: knows the senses.
    """
    if not labels:
        return []
    resources = blank_resources(table.inventory or load_inventory("homographs"))
    out = []
    for i, item in enumerate(labels):
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
    target = table.own_target if table.inventory is not None else table.word_target
    out = sentences[::HELD_OUT]
    kept = [sentence for i, sentence in enumerate(sentences) if i % HELD_OUT]
    weight = trainer.config.weight("own")
    rows = [("own", [row]) for row in rows_of(kept, trainer.tokenizer, target)]
    documents += balanced(rows, lambda _: weight)
    held_out["own"] = rows_of(out, trainer.tokenizer, target)
