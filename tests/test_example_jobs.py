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
# Where the commands of this Python are: spacy, spacy-attn.
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
SHORT = ["config.cfg", "project/project.yml", "pandas_job.py", "multiprocessing_job.py",
         "ray_job.py", "spark_job.py"]  # fmt: skip


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, command)], cwd=cwd, capture_output=True, text=True, timeout=240,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PATH": PATH},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", SHORT)
def test_examples_are_short(name: str) -> None:
    assert len((EXAMPLES / name).read_text(encoding="utf-8").splitlines()) <= 40


@pytest.mark.slow
def test_pandas(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    assert run(EXAMPLES / "pandas_job.py", cwd=tmp_path) == "1 bat bat.club\n2 bat bat.animal\n"


@pytest.mark.slow
def test_multiprocessing(tmp_path: Path) -> None:
    shown = run(EXAMPLES / "multiprocessing_job.py", cwd=tmp_path).splitlines()
    assert shown[0].startswith("[['bat.club'], ['bank.")
    assert shown[1] == "[['bat.animal']]"


@pytest.mark.slow
def test_project_with_config(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    folder = tmp_path / "examples" / "project"
    run("-m", "spacy", "project", "run", "all", cwd=folder)
    lines = (folder / "build" / "senses.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["senses"][0]["sense"] for line in lines] == ["bat.club", "bat.animal"]
