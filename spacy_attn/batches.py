"""Streams cut into lists that fit into memory, whatever a caller asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

MAX_TOKENS = 32_768  # of a batch of Docs; their vectors take 50 MB


def batches(
    stream: Iterable[T], size: Callable[[T], int], max_size: int, max_items: int | None = None
) -> Iterator[list[T]]:
    """Items in their order, in lists that end with the item that fills them.

    Args:
        stream: the items.
        size: of an item, such as its number of tokens.
        max_size: a list ends with the item that brings it to this size.
        max_items: of a list; None: any number.
    """
    batch: list[T] = []
    total = 0
    for item in stream:
        batch.append(item)
        total += size(item)
        if total >= max_size or (max_items is not None and len(batch) >= max_items):
            yield batch
            batch, total = [], 0
    if batch:
        yield batch
