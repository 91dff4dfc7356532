"""The learning rate over a training run."""

from __future__ import annotations

from spacy_attn.errors import ConfigError


def check_rate(name: str, rate: float) -> None:
    """Refuse a learning rate with which nothing is learnt, or everything forgotten.

    Raises:
        ConfigError: it is not from 0 to 1.
    """
    if not 0 <= rate <= 1:
        raise ConfigError(f"{name} = {rate}; allowed is 0 to 1")


def linear_schedule(done: float, warmup: float) -> float:
    """What a learning rate is multiplied by: linear warm-up, then linear decay.

    Args:
        done: share of the steps that are done, 0 to 1.
        warmup: share of the steps in which the rate rises.
    """
    if done < warmup:
        return (done + 1e-4) / warmup
    return max(1e-3, (1 - done) / (1 - warmup))
