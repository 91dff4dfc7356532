"""The main commands where no socket can be opened, without the variables that say so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import spacy_attn
from spacy_attn.models import DEFAULT_ENCODER, locate, resolve_pipeline

ROOT = Path(spacy_attn.__path__[0]).parent
RUN = """
import os, socket, sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        os.write(2, f"OPENED {event} {arguments!r}\\n".encode())
        raise OSError("no network here")

sys.addaudithook(refuse)
from spacy_attn.cli import main
sys.exit(main(sys.argv[1:]))
"""
COMMANDS = {
    "senses": ["senses", "Swing the bat!", "The bat flew at night.", "--json"],
    "WordNet": ["annotate", "in.txt", "-o", "all.jsonl", "--inventory", "wordnet"],
    "tokens": ["tokens", "The bats were flying."],
    "neighbours": ["neighbours", "bat", "bank"],
    "explain": ["explain", "Swing the bat!", "--word", "bat", "--html", "why.html"],
    "doctor": ["doctor"],
    "annotate": ["annotate", "in.txt", "-o", "out.jsonl", "--fields", "senses,stems,relations"],
    "compare": ["compare", "test.jsonl", "--methods", "first_sense,lesk", "-o", "results"],
}
LABELLED = {"text": "Swing the bat!", "start": 10, "end": 13, "lemma": "bat", "pos": "NOUN"}


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_open_no_socket(name, tally, tmp_path):
    if resolve_pipeline(None) is None or locate(DEFAULT_ENCODER, "encoder") is None:
        pytest.skip("the extra [models] is not installed")
    (tmp_path / "in.txt").write_text("Swing the bat!\n" * 20)
    (tmp_path / "test.jsonl").write_text(
        "".join(json.dumps(LABELLED | {"sense": s}) + "\n" for s in ("bat.club", "bat.animal"))
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"):
        environment.pop(variable, None)
    made = subprocess.run(
        [sys.executable, "-c", RUN, *COMMANDS[name]],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    tally.check("offline: exit code", made.returncode == 0, f"{name}: {made.stderr[-800:]}")
    tally.check("offline: sockets", "OPENED" not in made.stderr, f"{name}: {made.stderr[-800:]}")
