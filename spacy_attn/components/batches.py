"""Streams of Docs cut into batches that fit into memory, whatever ``nlp.pipe`` was told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from spacy.tokens import Doc

MAX_TOKENS = 32_768  # of a batch; their vectors take 50 MB


def batches(
    stream: Iterable[Doc], batch_size: int, max_tokens: int = MAX_TOKENS
) -> Iterator[list[Doc]]:
    """Docs in their order, in lists that end with the Doc that fills them.

    Args:
        stream: the Docs.
        batch_size: the most Docs of a list.
        max_tokens: a list ends with the Doc that brings it to this many tokens.
    """
    docs: list[Doc] = []
    n_tokens = 0
    for doc in stream:
        docs.append(doc)
        n_tokens += len(doc)
        if len(docs) >= batch_size or n_tokens >= max_tokens:
            yield docs
            docs, n_tokens = [], 0
    if docs:
        yield docs
