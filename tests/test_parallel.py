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

from spacy_attn.models import DEFAULT_ENCODER, GLOVE, locate

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
        [sys.executable, str(script), str(toy_model), start_method],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
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


FORK = """
import json, os, signal, sys
import numpy as np, spacy, torch
from tests.test_parallel import TEXTS

component, settings = sys.argv[1], json.loads(sys.argv[2])
torch.set_num_threads(2)
nlp = spacy.blank("en")
nlp.add_pipe(component, config=settings)

def numbers():
    docs = list(nlp.pipe(TEXTS))
    if component == "attention_encoder":
        return np.concatenate([doc._.attn_vectors for doc in docs])
    return np.array([span._.sense.score for doc in docs for span in doc.spans["senses"]])

before = numbers()  # the parent is warm
child = os.fork()  # as servers do, which load first and fork then
if child == 0:
    signal.alarm(60)
    same = np.allclose(numbers(), before, atol=1e-4) and len(before) >= len(TEXTS)
    os._exit(0 if same and torch.get_num_threads() == 1 else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
assert torch.get_num_threads() == 2 and np.allclose(numbers(), before, atol=1e-4)
"""


@pytest.mark.slow
@pytest.mark.parametrize("component", ["attention_encoder", "attention", "self_attention"])
def test_a_server_that_forks_after_use(component, toy_model):
    settings = {"model": str(toy_model), "window": 64, "overlap": 16}
    if component != "attention_encoder":
        if locate(DEFAULT_ENCODER, "encoder") is None or locate(GLOVE, "vectors") is None:
            pytest.skip("the extra [models] is not installed")
        component, settings = "sense_disambiguator", {"method": component}
    process = subprocess.run(
        [sys.executable, "-c", FORK, component, json.dumps(settings)],
        cwd=ROOT,
        timeout=TIME_LIMIT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-2000:]
    assert process.stdout.strip() == "0"  # of the child; -14 where it hung
