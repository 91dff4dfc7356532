"""Tables of which most rows are zero: little in a file and in memory, and the same afterwards."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from spacy_attn.errors import ConfigError
from spacy_attn.train import senses
from spacy_attn.train.half import load_trained, trained_state
from spacy_attn.train.thin import thick, thin, zero_rows
from tests.memory import LINUX, output_and_peak
from tests.train.test_senses import (  # noqa: F401  the fixtures
    CONFIG,
    documents,
    lexicon,
    table,
    trainer,
)


@pytest.mark.parametrize("dtype", [torch.float32, torch.half, torch.float64])
def test_a_state_comes_back_as_it_was(dtype):
    few, many = torch.zeros(100, 3, dtype=dtype), torch.ones(4, 3, dtype=dtype)
    few[7, 1], few[9] = 2.0, float("nan")
    state = {"a": few, "b": [many, {"c": torch.zeros(5, 2), "step": 3}], "d": torch.zeros(9)}
    small = thin(state)
    assert small["a"]["values"].shape == (2, 3)
    assert small["b"][0] is many
    back = thick(small)
    assert torch.equal(back["a"].nan_to_num(9.0), few.nan_to_num(9.0))
    assert back["a"].dtype == dtype
    assert torch.equal(back["b"][1]["c"], torch.zeros(5, 2))
    assert (back["b"][1]["step"], back["d"].shape) == (3, (9,))
    assert thick(state)["a"] is few  # of an earlier version


IMPORTS = "import torch\nfrom spacy_attn.train.thin import zero_rows"
FILL = """
tables = [zero_rows(200_000, 384) for _ in range(5)]
for table in tables:
    table[torch.tensor([5, 70_000])] = 1.0
    assert table.any(dim=1).sum() == 2
"""


@LINUX
def test_rows_that_nobody_writes_take_no_memory(tmp_path):
    _, megabytes = output_and_peak(IMPORTS, FILL, cwd=tmp_path)
    assert megabytes < 100  # 1,500 where they are written
    assert zero_rows(2, 3).dtype == torch.float32


def test_a_checkpoint_holds_what_the_run_can_change(
    tmp_path,
    toy_model,
    table,  # noqa: F811
    monkeypatch,
):
    """Neither embeddings nor rows that no step touched, and at the end no optimizer."""
    monkeypatch.setattr(senses, "_SAVE_EVERY", 0.0)
    one = trainer(tmp_path, toy_model, table, replace(CONFIG, epochs=2))
    kept = []
    save = senses.write_checkpoint
    monkeypatch.setattr(
        senses, "write_checkpoint", lambda folder, state: kept.append(state) or save(folder, state)
    )
    one.train(documents(one), dict)
    assert set(kept[0]["encoder"]) == {
        name for name, p in one.encoder.named_parameters() if p.requires_grad
    }
    residual = kept[0]["network"]["residual.weight"]
    moments = kept[0]["optimizers"][1]["state"][0]
    assert 0 < len(residual["rows"]) <= residual["n_rows"] / 2
    assert moments["exp_avg"]["values"].shape == residual["values"].shape
    assert not kept[-1]["optimizers"]
    for name, tensor in one.network.state_dict().items():
        assert torch.equal(thick(kept[-1]["network"])[name], tensor), name


def test_a_run_goes_on_from_a_checkpoint_of_an_earlier_version(
    tmp_path,
    toy_model,
    table,  # noqa: F811
):
    one = trainer(tmp_path, toy_model, table)
    one.train(documents(one), dict)
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    old = thick({name: value for name, value in saved.items() if name != "frozen"})
    torch.save(old | {"encoder": one.encoder.state_dict()}, tmp_path / "checkpoint.pt")
    again = trainer(tmp_path, toy_model, table)
    again.train(documents(again), dict)
    for name, tensor in one.network.state_dict().items():
        assert torch.equal(tensor, again.network.state_dict()[name]), name


def test_a_run_does_not_go_on_with_another_encoder_of_the_same_shape(
    tmp_path,
    toy_model,
    table,  # noqa: F811
):
    one = trainer(tmp_path, toy_model, table)
    one.train(documents(one), dict)
    other = trainer(tmp_path, toy_model, table)
    other.encoder.embeddings.word_embeddings.weight.data += 1
    with pytest.raises(ConfigError, match=r"another encoder .*\(its encoder is another\)"):
        other.train(documents(other), dict)


def test_a_weight_that_is_missing_is_an_error(toy_model, table, tmp_path):  # noqa: F811
    encoder = trainer(tmp_path, toy_model, table).encoder
    state = trained_state(encoder)
    name = min(state)
    with pytest.raises(KeyError, match=name):
        load_trained(encoder, {key: value for key, value in state.items() if key != name})
