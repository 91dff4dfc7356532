"""``examples/`` of jobs run and say what they should; Ray's and Spark's in tests/jobs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
SHORT = ["senses.cfg", "project/project.yml", "pandas_job.py", "multiprocessing_job.py",
         "ray_job.py", "spark_job.py"]  # fmt: skip


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, command)], cwd=cwd, capture_output=True, text=True, timeout=240,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", SHORT)
def test_examples_are_short(name: str) -> None:
    assert len((EXAMPLES / name).read_text(encoding="utf-8").splitlines()) <= 40


def test_pandas(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    assert run(EXAMPLES / "pandas_job.py", cwd=tmp_path) == "1 bat bat.club\n2 bat bat.animal\n"


def test_multiprocessing(tmp_path: Path) -> None:
    shown = run(EXAMPLES / "multiprocessing_job.py", cwd=tmp_path).splitlines()
    assert shown[0].startswith("[['bat.club'], ['bank.")
    assert shown[1] == "[['bat.animal']]"


def test_config_in_a_job(tmp_path: Path) -> None:
    """The commands of project.yml; the project tool itself is spaCy's."""
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    folder = tmp_path / "examples" / "project"
    (folder / "build").mkdir()
    run("-m", "spacy", "assemble", "../senses.cfg", "build/pipeline", cwd=folder)
    run("-m", "spacy_attn", "annotate", "texts", "-o", "build/senses.jsonl", "--pipeline",
        "build/pipeline", "--resume", cwd=folder)  # fmt: skip
    lines = (folder / "build" / "senses.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["senses"][0]["sense"] for line in lines] == ["bat.club", "bat.animal"]
