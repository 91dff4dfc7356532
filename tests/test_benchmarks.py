"""The benchmark's own arithmetic, and that published tables are what was measured."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from benchmarks import technique_speed
from benchmarks.common import (
    DATA,
    duel,
    in_turns,
    median_ratio,
    memory_mb,
    run_command,
    sha256,
    small_pipeline,
)
from benchmarks.tables import PAGES, SECTIONS, replace_between, section_of, sections_of
from benchmarks.tables.markdown import Column, between, p_value, page, percent, table, wide_table

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = ROOT / "benchmarks"
RESULTS = sorted((BENCHMARKS / "results").glob("*.json"))


def test_a_table_is_its_columns():
    rows = [
        {"name": "a", "accuracy": 0.5, "ci95": [0.4, 0.6], "at": {"near": 0.25}},
        {"name": "b", "accuracy": 0.75, "ci95": [0.7, 0.8], "at": {"near": None}},
        {"name": "c", "accuracy": 0.75, "ci95": [0.7, 0.8]},
    ]
    text = table(
        rows,
        Column("system", "name"),
        Column("accuracy", "accuracy", percent, is_best=True),
        Column("95 %", "ci95", between),
        Column("near", "at.near", percent),
        Column("half", lambda row: row["accuracy"] / 2),
    )
    assert text.splitlines() == [
        "| system | accuracy | 95 % | near | half |",
        "|---|---|---|---|---|",
        "| a | 50.0 | 40.0 to 60.0 | 25.0 | 0.25 |",
        "| b | **75.0** | 70.0 to 80.0 |  | 0.375 |",
        "| c | **75.0** | 70.0 to 80.0 |  | 0.375 |",
    ]
    wide = wide_table("n", [1, 2], {"x": ["3", "4"]})
    assert wide.splitlines() == ["| n | 1 | 2 |", "|---|---|---|", "| x | 3 | 4 |"]
    assert page("two\n   lines", "", wide) == f"two lines\n\n{wide}"


def test_p_values_are_corrected_where_they_can_be():
    assert p_value({"p": 0.02, "p_holm": 0.04}) == "0.040"
    assert p_value({"p": 0.0004}) == "< 0.001"


def test_the_best_of_both_kinds_meet():
    rights = [np.array(row, dtype=bool) for row in ([1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0])]
    found = duel(["a", "b", "c"], ["classic", "classic", "attention"], rights)
    assert (found["classic"], found["attention"]) == ("a", "c")
    assert found["accuracies"] == [0.75, 0.5]
    assert (found["only_attention"], found["only_classic"], found["p"]) == (1, 0, 1.0)


def test_help_is_the_docstring_and_nothing_is_run(monkeypatch, capsys):
    monkeypatch.setattr(technique_speed, "need", lambda path, what: None)  # no corpora needed here
    monkeypatch.setattr(technique_speed, "work_of", lambda: pytest.fail("it ran"))
    monkeypatch.setattr("sys.argv", ["technique_speed", "--help"])
    run_command(technique_speed.main, technique_speed.__doc__)
    shown = capsys.readouterr().out
    assert shown.startswith("What the techniques")
    assert "--quick" in shown
    monkeypatch.setattr("sys.argv", ["technique_speed", "--quick"])
    with pytest.raises(pytest.fail.Exception, match="it ran"):
        run_command(technique_speed.main, technique_speed.__doc__)


def test_a_missing_pipeline_is_told_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr("spacy_attn.models.resolve.locate", lambda *_: None)
    monkeypatch.setattr("sys.argv", ["technique_speed"])
    with pytest.raises(SystemExit, match=r"en_core_web_sm.*pip install"):
        run_command(small_pipeline, technique_speed.__doc__)


@pytest.mark.parametrize(
    ("given", "words", "refused"),
    [
        (["--quik"], (), "--quik"),
        (["speeed", "--quick"], ("speed",), "speeed"),
        (["a.jsonl", "-q"], None, "-q"),
        (["--quick"], (), None),
        (["speed"], ("speed",), None),
        (["a.jsonl"], None, None),
        (["--row", '["one"]'], (), None),
    ],
)
def test_what_a_benchmark_does_not_know_is_refused_before_it_runs(
    given, words, refused, monkeypatch
):
    ran = []
    monkeypatch.setattr("sys.argv", ["technique_speed", *given])
    text = technique_speed.__doc__
    if refused is None:
        run_command(lambda: ran.append(True), text, words)
        assert ran
        return
    sentence = f"{refused} is not known here; see: python -m benchmarks.technique_speed --help"
    with pytest.raises(SystemExit, match=f"^{re.escape(sentence)}$"):
        run_command(lambda: ran.append(True), text, words)
    assert not ran


def test_every_benchmark_answers_help():
    commands = [p for p in BENCHMARKS.rglob("*.py") if 'if __name__ == "__main__"' in p.read_text()]
    assert len(commands) > 30
    silent = [
        path.name
        for path in commands
        if not any(way in path.read_text() for way in ("run_command(main, __doc__", "ArgumentP"))
    ]
    assert silent == ["worker.py"], "a child of other benchmarks is no command of its own"


def test_turns_alternate_and_consume_what_is_yielded():
    seen = []
    times = in_turns({"a": lambda: seen.append("a"), "b": lambda: iter([seen.append("b")])}, 2)
    assert seen == ["a", "b", "b", "a"]
    assert [len(each) for each in times.values()] == [2, 2]
    assert median_ratio([1.0, 3.0, 4.0], [2.0, 2.0, 2.0]) == {
        "ratio": 1.5,
        "ratios": [0.5, 1.5, 2.0],
    }
    assert 1 < memory_mb() <= memory_mb("VmHWM") + 1


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


@pytest.mark.release
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_tables_are_those_of_the_results(path):
    text = path.read_text(encoding="utf-8")
    for name in sections_of(text):
        assert replace_between(text, name, section_of(name)) == text, name


@pytest.mark.release
def test_every_table_is_on_a_page():
    shown = {name for path in PAGES for name in sections_of(path.read_text(encoding="utf-8"))}
    assert shown == set(SECTIONS)


@pytest.mark.release
def test_a_long_reading_page_is_small_and_opens_at_once():
    result = json.loads((ROOT / "benchmarks" / "results" / "reading.json").read_text("utf-8"))
    assert result["words"] >= 20_000
    assert result["megabytes"] < 5
    assert result["seconds_to_open"] < 1


def test_a_missing_marker_is_an_error():
    with pytest.raises(ValueError, match=r"no <!-- chunks --> \.\.\. <!-- /chunks -->"):
        replace_between("<!-- chunks --> and no end", "chunks", "new")


@pytest.mark.release
@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_results_are_of_the_shipped_files(path):
    shipped = {
        file.name: sha256(file)
        for folder in (
            ROOT / "spacy_attn" / "data",
            ROOT / "benchmarks",
            ROOT / "benchmarks" / "texts",
            ROOT / "corpus",
            ROOT / "corpus" / "texts",
            ROOT / "tests" / "data",
            ROOT / "examples",
        )
        for file in folder.iterdir()
        if file.is_file()
    }
    files = json.loads(path.read_text(encoding="utf-8"))["manifest"]["files"]
    for name, digest in files.items():
        assert digest == shipped[name], name


# Sets under CC BY-NC: for measuring only, no sentence of theirs may be committed.
NOT_OURS = [
    "coarsewsd20.jsonl.gz",
    "wsd/ALLamended.data.xml.gz",
    "wic/train.data.txt.gz",
    "wic/dev.data.txt.gz",
]


def eight_grams(text):
    words = re.findall(r"\w+", text.lower())
    return {" ".join(words[i : i + 8]) for i in range(len(words) - 7)}


@pytest.mark.slow
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
