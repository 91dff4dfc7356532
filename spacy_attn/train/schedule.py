"""The learning rate over a training run."""

from __future__ import annotations


def linear_schedule(done: float, warmup: float) -> float:
    """What a learning rate is multiplied by: linear warm-up, then linear decay.

    Args:
        done: share of the steps that are done, 0 to 1.
        warmup: share of the steps in which the rate rises.
    """
    if done < warmup:
        return (done + 1e-4) / warmup
    return max(1e-3, (1 - done) / (1 - warmup))
