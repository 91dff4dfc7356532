"""What the cost benchmark makes of its measurements, and a trial run."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from benchmarks.attention import cost
from benchmarks.attention.cost import analysed, crossover, exponent

LENGTHS = [128, 256, 512, 1024]


def test_exponents_of_powers():
    for power in (1.0, 1.5, 2.0):
        fit = exponent(LENGTHS, [3e-9 * n**power for n in LENGTHS])
        assert fit["exponent"] == pytest.approx(power, abs=1e-3)
        assert fit["ci95"] == pytest.approx([power, power], abs=1e-3)


def test_an_exponents_interval_is_that_of_the_slope():
    # Logarithms to base 2 of the values: 0, 1, 4, 3. By hand: slope 1.2, residuals -0.2, -0.4,
    # 1.4, -0.8, squares sum to 2.8, standard error sqrt(2.8 / 2 / 5), t(0.975, 2) = 4.3027.
    fit = exponent([1, 2, 4, 8], [1, 2, 16, 8])
    assert fit["exponent"] == pytest.approx(1.2, abs=1e-3)
    half = 4.3027 * (2.8 / 2 / 5) ** 0.5
    assert fit["ci95"] == pytest.approx([1.2 - half, 1.2 + half], abs=1e-3)


def test_too_few_values_have_no_exponent():
    assert exponent(LENGTHS, [0, 0, 1, 2]) == {"exponent": None, "ci95": None}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([9, 9, 1, 1], 512),
        ([1, 1, 1, 1], 128),
        ([1, 9, 1, 1], 512),
        ([9, 9, 9, 9], None),
        ([1, 1, 1, 9], None),
    ],
)
def test_where_full_attention_is_overtaken(values, expected):
    assert crossover(LENGTHS, values, [2, 2, 2, 2]) == expected


def test_the_median_of_repeats_counts():
    def points(seconds):
        return [{"tokens": n, "seconds": s, "mib": n / 100} for n, s in zip(LENGTHS, seconds)]  # noqa: B905

    full = points([[1, 9, 1], [2, 2, 2], [4, 4, 40], [8, 8, 8]])
    window = points([[2, 2, 2], [2.5, 2.5, 2.5], [3, 3, 3], [4, 4, 4]])
    one, two = analysed({"full": full, "window": window})
    assert one["seconds"] == [1, 2, 4, 8]
    assert one["time"]["exponent"] == pytest.approx(1.0, abs=1e-3)
    assert one["faster_than_full_from"] is None
    assert two["faster_than_full_from"] == 512


@pytest.mark.parametrize("name", cost.MODELS)
def test_models_of_hugging_face_run(name):
    import torch

    torch.manual_seed(0)
    model = cost.model_of(name, longest=256).eval()
    ids = torch.randint(5, 90, (1, 256))
    with torch.no_grad():
        out = model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
    assert out.shape[:2] == (1, 256)
    assert torch.isfinite(out).all()


def test_models_keep_their_pattern():
    import torch

    bird = cost.model_of("big_bird", longest=512).eval()
    nystrom = cost.model_of("nystromformer", longest=512).eval()
    for n in (128, 512):
        for name, model in (("big_bird", bird), ("nystromformer", nystrom)):
            cost.hold_pattern(model, name, n)
            with torch.no_grad():
                model(input_ids=torch.randint(5, 90, (1, n)))
    assert bird.attention_type == "block_sparse"  # after a short text before it
    assert nystrom.encoder.layer[0].attention.self.seq_len == 512


@pytest.mark.parametrize("name", cost.MODELS)
def test_they_run_through_the_attention_encoder(name, toy_model, tmp_path):
    import spacy
    import torch
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(toy_model, model_max_length=512)
    torch.manual_seed(0)
    model = cost.model_of(name, longest=512, layers=2, vocabulary=len(tokenizer))
    model.save_pretrained(tmp_path / name)
    tokenizer.save_pretrained(tmp_path / name)
    nlp = spacy.blank("en")
    config = {"model": str(tmp_path / name), "adapter": None, "window": 512, "overlap": 64}
    nlp.add_pipe("attention_encoder", config=config)
    # Long enough that BigBird does not fall back to full attention.
    texts = ["the bat flew at night . " * 70, "swing the bat ! " * 110]
    alone = [nlp(text)._.attn_vectors for text in texts]
    for doc, vectors in zip(nlp.pipe(texts), alone, strict=True):
        width = cost.WIDTH * (2 if name == "reformer" else 1)
        assert vectors.shape == (len(doc), width)
        # Nystromformer's convolution over the values reads the padding of a batch.
        tolerance = 0.05 if name == "nystromformer" else 1e-4
        np.testing.assert_allclose(doc._.attn_vectors, vectors, atol=tolerance)
        assert np.ptp(vectors[:, 0]) > 0.01
    assert name in nlp(texts[0])._.attn_model


def test_a_trial(tmp_path, monkeypatch, capsys):
    out = tmp_path / "trial.json"
    options = ["--longest", "512", "--repeats", "1", "--systems", "full", "window", "-o", str(out)]
    options += ["--kept", str(tmp_path / "kept")]
    monkeypatch.setattr(sys, "argv", ["cost", *options])
    cost.main()
    assert "did not run" not in capsys.readouterr().out
    result = json.loads(out.read_text())
    for phase in ("forward", "training"):
        assert [system["name"] for system in result["phases"][phase]] == ["full", "window"]
        assert all(system["tokens"] == [128, 256, 512] for system in result["phases"][phase])
    assert out.with_suffix(".svg").read_text().startswith("<?xml")
