"""A pipeline over the toy world, with attention and with Lesk."""

from __future__ import annotations

import pytest
import spacy

from spacy_attn.wsd.methods.attention import attention_v1


@pytest.fixture(scope="session")
def toy_attention(toy_model, toy_sense_model):
    return attention_v1(
        model=str(toy_model), sense_model=str(toy_sense_model), window=64, overlap=16
    )


@pytest.fixture
def toy_nlp(toy_inventory, toy_attention):
    """Blank English, the toy inventory; ``method`` is the toy attention."""
    nlp = spacy.blank("en")
    nlp.add_pipe("sense_disambiguator", config={"inventory": str(toy_inventory), "method": "lesk"})
    nlp.get_pipe("sense_disambiguator").method = toy_attention
    return nlp
