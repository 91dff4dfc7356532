"""What a result says about how it was made."""

from __future__ import annotations

import hashlib
import subprocess

import pytest

from benchmarks.common import manifest as benchmarks_manifest
from spacy_attn.compare import manifest as module
from spacy_attn.compare.manifest import ROOT, manifest


def test_files_of_ours_and_of_others(tmp_path):
    other = tmp_path / "corpus.jsonl"
    other.write_text("{}")
    own = ROOT / "pyproject.toml"
    made = manifest("a command", [own, other], seed=7)
    assert made["files"] == {"pyproject.toml": hashlib.sha256(own.read_bytes()).hexdigest()}
    assert made["corpora"] == {"corpus.jsonl": hashlib.sha256(b"{}").hexdigest()}
    assert (made["command"], made["seed"]) == ("a command", 7)
    assert made["threads"] >= 1
    assert benchmarks_manifest is manifest


def test_the_commit_is_that_of_the_checkout():
    if not (ROOT / ".git").exists():
        pytest.skip("the package does not run from a git checkout")
    listed = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    assert manifest("", [])["commit"] == listed.stdout.strip()


def test_no_commit_outside_a_checkout(tmp_path, monkeypatch):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / "site-packages").mkdir()  # installed inside somebody's repository
    monkeypatch.setattr(module, "ROOT", tmp_path / "site-packages")
    made = manifest("", [])
    assert (made["commit"], made["changed_since_commit"]) == ("", False)


def test_no_git_and_no_package(monkeypatch):
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    monkeypatch.setattr(module, "_PACKAGES", ("spacy", "no-such-package"))
    made = manifest("", [])
    assert made["commit"] == ""
    assert list(made["versions"]) == ["spacy"]
