"""Products of occurrences and senses."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
import torch

from spacy_attn.wsd.methods import attention, attention_wordnet, occurrence, sense_head
from spacy_attn.wsd.methods.occurrence import product


@pytest.mark.parametrize("shape", [(6, 4), (6,)])
def test_a_product_is_that_of_numpy_also_under_autocast(shape):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(5, 6)).astype("f4"), rng.normal(size=shape).astype("f4")
    with torch.autocast("cpu"):
        found = product(a[:, ::-1].copy(), b)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, a[:, ::-1] @ b, rtol=1e-5, atol=1e-6)
    assert product(a[:0], b).shape == (0, *shape[1:])


@pytest.mark.parametrize(
    ("module", "functions"),
    [
        (occurrence, ["_means"]),
        (sense_head, ["z"]),
        (attention_wordnet, ["_score"]),
        (attention, ["_score"]),
    ],
)
def test_what_decides_wakes_no_threads_of_numpy(module, functions):
    """They would keep the encoder's threads waiting; see :func:`product`."""
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    found = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name in functions
    ]
    assert found
    assert not [node for each in found for node in ast.walk(each) if isinstance(node, ast.MatMult)]
