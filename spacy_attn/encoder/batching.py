"""Put windows of many texts into batches of similar length."""

from __future__ import annotations

from collections.abc import Sequence


def batch_by_length(lengths: Sequence[int], budget: int, most: int = 256) -> list[list[int]]:
    """Indices of ``lengths``, longest first, cut so that no batch exceeds the budget.

    A batch costs its longest item times its number of items, padding included. An item
    longer than the budget gets a batch of its own.

    Args:
        lengths: length of each item, in pieces.
        budget: pieces in a batch, padding included.
        most: items in a batch at most.
    """
    batches: list[list[int]] = []
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        longest = lengths[batch[0]] if batch else lengths[i]
        if batch and (longest * (len(batch) + 1) > budget or len(batch) == most):
            batches.append(batch)
            batch = []
        batch.append(i)
    if batch:
        batches.append(batch)
    return batches
