"""The benchmark's own arithmetic, and that published tables are what was measured."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from benchmarks.common import DATA, sha256
from benchmarks.senses import accuracy_and_macro_f1, calibration_error, interval
from benchmarks.tables import PAGES, SECTIONS, replace_between, sections_of

ROOT = Path(__file__).resolve().parent.parent
RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*.json"))


def test_accuracy_and_macro_f1_by_hand():
    words = ["bat", "bat", "bat", "bank"]
    gold = ["a", "a", "b", "x"]
    predicted = ["a", "b", "b", "y"]
    # bat: F1(a) = 2*1/(2*1+0+1) = 2/3, F1(b) = 2*1/(2*1+1+0) = 2/3; bank: F1(x) = 0
    accuracy, macro_f1 = accuracy_and_macro_f1(words, gold, predicted)
    assert accuracy == 2 / 4
    assert macro_f1 == pytest.approx((2 / 3 + 0) / 2)


def test_interval_contains_the_mean_and_is_the_binomials():
    right = np.array([True] * 80 + [False] * 20)
    low, high = interval(right)
    # normal approximation: 0.8 +- 1.96 * sqrt(0.8 * 0.2 / 100)
    assert low == pytest.approx(0.7216, abs=0.02)
    assert high == pytest.approx(0.8784, abs=0.02)


def test_calibration_error_by_hand():
    scores = np.array([0.95, 0.95, 0.55, 0.55])
    right = np.array([True, True, True, False])
    # bin 0.9..1: |0.95 - 1| * 1/2; bin 0.5..0.6: |0.55 - 0.5| * 1/2
    assert calibration_error(scores, right) == pytest.approx(0.05)


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_results_carry_a_manifest(path):
    result = json.loads(path.read_text(encoding="utf-8"))
    manifest = result["manifest"]
    assert len(manifest["commit"]) == 40
    assert manifest["threads"] >= 1
    assert all(len(digest) == 64 for digest in manifest["files"].values())
    systems = result.get("systems", [])
    accuracies = [*systems, *result.get("chunkers", [])] if isinstance(systems, list) else []
    for system in accuracies:  # those of the speeds are a dict, and have none
        low, high = system["ci95"]
        assert 0 <= low <= system["accuracy" if "accuracy" in system else "f1"] <= high <= 1


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_tables_are_those_of_the_results(path):
    text = path.read_text(encoding="utf-8")
    for name in sections_of(text):
        assert replace_between(text, name, SECTIONS[name]()) == text, name


def test_every_table_is_on_a_page():
    shown = {name for path in PAGES for name in sections_of(path.read_text(encoding="utf-8"))}
    assert shown == set(SECTIONS)


def test_a_missing_marker_is_an_error():
    with pytest.raises(ValueError, match=r"no <!-- chunks --> \.\.\. <!-- /chunks -->"):
        replace_between("<!-- chunks --> and no end", "chunks", "new")


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_results_are_of_the_shipped_files(path):
    shipped = {
        file.name: sha256(file)
        for folder in (
            ROOT / "spacy_attn" / "data", ROOT / "benchmarks", ROOT / "tests" / "data",
            ROOT / "examples",
        )
        for file in folder.iterdir()
        if file.is_file()
    }  # fmt: skip
    files = json.loads(path.read_text(encoding="utf-8"))["manifest"]["files"]
    assert files == {name: shipped[name] for name in files}


# Sets under CC BY-NC: for measuring only, no sentence of theirs may be committed.
NOT_OURS = ["coarsewsd20.jsonl.gz", "wsd/ALLamended.data.xml.gz", "wic/train.data.txt.gz",
            "wic/dev.data.txt.gz"]  # fmt: skip


def eight_grams(text):
    words = re.findall(r"\w+", text.lower())
    return {" ".join(words[i : i + 8]) for i in range(len(words) - 7)}


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no corpora in {DATA.name}/ beside the clone")
def test_no_committed_file_holds_a_sentence_of_an_evaluation_set():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    texts = [
        (ROOT / name).read_text(encoding="utf-8")
        for name in listed.stdout.splitlines()
        if name.endswith((".json", ".jsonl", ".md", ".py", ".txt")) and "LICENSE" not in name
    ]
    assert texts
    ours = set().union(*(eight_grams(text) for text in texts))
    assert "the bat flew at night swing the bat" in eight_grams(
        "The bat flew at night. Swing the bat"
    )
    for name in NOT_OURS:
        with gzip.open(DATA / name, "rt", encoding="utf-8") as file:
            for line in file:
                if name.startswith("coarse"):
                    line = " ".join(json.loads(line)["tokens"])
                shared = eight_grams(re.sub(r"<[^>]*>", " ", line)) & ours
                assert not shared, f"{name}: {sorted(shared)[:3]}"
