"""Workers of ``nlp.pipe``: they end, give what one process gives, and take one thread each."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from spacy.language import Language

ROOT = Path(__file__).resolve().parent.parent
TIME_LIMIT = 120  # seconds until a run counts as hanging; an ordinary one takes ten
SCRIPT = """
import json, multiprocessing, sys
import numpy as np, spacy, torch
from tests.test_parallel import TEXTS  # and its component

model, start_method = sys.argv[1:]
if __name__ == "__main__":
    torch.set_num_threads(2)
    nlp = spacy.blank("en")
    settings = {"model": model, "window": 64, "overlap": 16}
    nlp.add_pipe("attention_encoder", config=settings)
    nlp.add_pipe("record_threads")
    single = [doc._.attn_vectors for doc in nlp.pipe(TEXTS)]  # the parent is warm
    multiprocessing.set_start_method(start_method, force=True)
    docs = list(nlp.pipe(TEXTS, n_process=2, batch_size=4))
    gap = max(
        float(np.abs(a - doc._.attn_vectors).max(initial=0)) for a, doc in zip(single, docs)
    )
    print(json.dumps({
        "gap": gap, "threads": sorted({doc.user_data["threads"] for doc in docs}),
        "processes": len({doc.user_data["process"] for doc in docs}),
        "order": [doc.text for doc in docs] == TEXTS,
    }))
"""
TEXTS = [f"the bat flew at night {'and he hit the ball ' * (n % 7)}" for n in range(24)]


@Language.component("record_threads")
def record_threads(doc):
    """Write down what runs this component."""
    import torch

    doc.user_data["threads"] = torch.get_num_threads()
    doc.user_data["process"] = os.getpid()
    return doc


@pytest.mark.slow
@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_two_workers_of_a_warm_parent(start_method, toy_model, tmp_path):
    script = tmp_path / "run.py"
    script.write_text(SCRIPT, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, str(script), str(toy_model), start_method], cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        out, err = process.communicate(timeout=TIME_LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # its own group: the hanging workers too
        pytest.fail(f"hung for {TIME_LIMIT} s: {process.communicate()[1][-2000:]}")
    assert out.strip(), err[-2000:]
    result = json.loads(out.strip().splitlines()[-1])
    assert result["gap"] < 1e-4
    assert result["order"]
    assert result["threads"] == [1]  # two workers on two cores, not two threads each
    assert result["processes"] == 2
