"""Learning rates."""

from __future__ import annotations

import pytest

from spacy_attn.errors import ConfigError
from spacy_attn.train.lemmatizer import LemmatizerConfig
from spacy_attn.train.schedule import linear_schedule
from spacy_attn.train.self_attention import SelfAttentionConfig
from spacy_attn.train.sense_config import TrainConfig


@pytest.mark.parametrize("config", [LemmatizerConfig, SelfAttentionConfig, TrainConfig])
@pytest.mark.parametrize("rate", [-1.0, 2.0, float("nan"), float("inf")])
def test_every_training_refuses_a_rate_with_which_nothing_is_learnt(config, rate):
    with pytest.raises(ConfigError, match=r"learning_rate = .*; allowed is 0 to 1"):
        config(learning_rate=rate)


def test_the_rate_rises_then_falls():
    rates = [linear_schedule(done, 0.5) for done in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert rates == pytest.approx([2e-4, 0.5, 1.0, 0.5, 1e-3], abs=1e-3)
