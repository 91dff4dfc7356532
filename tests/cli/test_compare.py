"""``spacy-attn compare``: results.json, what people see, and what is refused."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import pytest
import spacy
from confection import Config
from spacy.tokens.underscore import Underscore

from spacy_attn.cli import main
from spacy_attn.cli.compare import _blocks
from spacy_attn.compare import experiment
from spacy_attn.compare.report.tables import Table
from spacy_attn.components import pipeline
from spacy_attn.errors import ConfigError
from spacy_attn.wsd.methods import calibration
from tests.compare.conftest import ROWS, labelled
from tests.compare.test_dataset import KEYS, XML

#: The keys of the contract; more may be there.
TOP = {"dataset": str, "n": int, "systems": list, "manifest": dict}
SYSTEM = {
    "name": str,
    "accuracy": float,
    "macro_f1": float,
    "ci95": list,
    "strata": dict,
    "words_per_second": float,
    "peak_rss_mb": float,
}


@pytest.fixture(autouse=True)
def _own_state(monkeypatch):
    """Extensions and logging are global; temperatures are those of the bundled inventory."""
    for owner in ("doc", "span", "token"):
        monkeypatch.setattr(Underscore, f"{owner}_extensions", {})
    log = logging.getLogger("spacy_attn")
    monkeypatch.setattr(log, "handlers", list(log.handlers))
    monkeypatch.setattr(calibration, "_fitted", lambda folder: {})
    monkeypatch.setattr(pipeline, "resolve_pipeline", lambda name: name)  # no en_core_web_sm


@pytest.fixture
def toy(toy_inventory, tmp_path):
    """A labelled file and the options of the toy world."""
    path = tmp_path / "toy.jsonl"
    path.write_text(labelled(), encoding="utf-8")
    return [str(path), "--inventory", str(toy_inventory), "--in-process"]


@pytest.fixture
def raganato(tmp_path):
    """A set with published predictions beside it."""
    folder = tmp_path / "set"
    (folder / "peers").mkdir(parents=True)
    (folder / "toy.data.xml").write_text(XML, encoding="utf-8")
    (folder / "toy.gold.key.txt").write_text(KEYS, encoding="utf-8")
    (folder / "peers" / "peer.key.txt").write_text("d000.s000.t000 bat%1:06:00::\n")
    return folder / "toy.data.xml"


@pytest.fixture
def run(capsys):
    """Runs the command: exit code, stdout, stderr."""

    def run(*arguments):
        code = main(["compare", *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def read(folder):
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def cells(out, name):
    """The first row of that name in what is printed."""
    line = next(line for line in out.splitlines() if line.strip("│ ").startswith(name))
    return [cell.strip() for cell in line.strip("│").split("│")]


def one_sentence(err):
    """The error line, after checking that there is nothing else on stderr."""
    (line,) = err.strip().splitlines()
    assert line.startswith("error: ")
    return line.removeprefix("error: ")


# -- results --------------------------------------------------------------------------------


def test_results_have_the_keys_of_the_contract(run, toy, tmp_path):
    folder = tmp_path / "new" / "folder"
    code, out, err = run(*toy[:-1], "--methods", "lesk", "-o", folder)  # in its own process
    assert code == 0
    assert sorted(path.name for path in folder.iterdir()) == [
        "figures",
        "report.html",
        "results.json",
    ]
    result = read(folder)
    for key, kind in TOP.items():
        assert isinstance(result[key], kind), key
    assert (result["dataset"], result["n"]) == ("toy", len(ROWS))
    (system,) = result["systems"]
    for key, kind in SYSTEM.items():
        assert isinstance(system[key], kind), key
    assert (system["name"], system["accuracy"]) == ("lesk", 3 / 5)
    assert system["strata"] == {"plain": 1.0, "near": 0.5}
    assert system["peak_rss_mb"] > 50
    manifest = result["manifest"]
    places = {f"{Path(path).parent.name}/toy.jsonl" for path in (toy[0], toy[2])}
    assert set(manifest["corpora"]) == places  # data and inventory have the same name
    assert (
        manifest["command"] == "spacy-attn compare toy.jsonl --inventory toy.jsonl --methods lesk"
    )
    assert cells(out, "lesk")[:2] == ["lesk", "0.600"]
    assert err.splitlines()[-2:] == [
        f"written: {folder / 'results.json'}",
        f"written: {folder / 'report.html'}",
    ]


def test_a_report_that_cannot_be_drawn_leaves_the_results(run, toy, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    code, _, err = run(*toy, "--methods", "lesk", "-o", tmp_path / "out")
    assert code == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["results.json"]
    said = err.splitlines()[0]  # before the work
    assert 'run: pip install "spacy-attn[plots]"' in said
    assert said.endswith("make the report with compare --report results.json")


def test_a_report_is_made_again(run, toy, tmp_path):
    code, out, _ = run(*toy, "--methods", "first_sense,lesk", "-o", tmp_path / "a", "--no-curves")
    assert code == 0
    results = tmp_path / "a" / "results.json"
    code, again, err = run("--report", results, "-o", tmp_path / "b")
    assert (code, again) == (0, out)
    assert err.splitlines()[-1] == f"written: {tmp_path / 'b' / 'report.html'}"
    pages = [(tmp_path / name / "report.html").read_bytes() for name in "ab"]
    assert pages[0] == pages[1]
    code, _, err = run("--report", tmp_path / "none.json")
    assert (code, "none.json: No such file" in err) == (2, True)
    results.write_text('{"n": 1}', encoding="utf-8")
    code, _, err = run("--report", results)
    assert (code, "results.json: is no results.json of compare" in err) == (2, True)


@pytest.mark.parametrize("width", [80, 60, 20])
def test_columns_that_do_not_fit_go_into_a_table_below(width):
    heads = ["system", *(f"a long head {i}" for i in range(9))]
    table = Table("t", heads, [["lesk_extended", *("0.123",) * 9], ["a", *("-",) * 9]])
    blocks = _blocks(table, width)
    assert all(block[0] == 0 and len(block) > 1 for block in blocks)  # names first
    assert [j for block in blocks for j in block[1:]] == list(range(1, 10))
    for block in blocks:
        widest = sum(max(len(heads[j]), len(table.rows[0][j])) + 3 for j in block) + 1
        assert widest <= width or len(block) == 2


def test_curves_and_a_map_where_the_data_allows_them(run, toy, toy_vectors, tmp_path, monkeypatch):
    opened, ask = [], experiment.this_process
    monkeypatch.setattr(
        experiment, "this_process", lambda *given: (opened.append(given[0]), ask(*given))[1]
    )
    rows = [json.loads(line) for line in Path(toy[0]).read_text().splitlines()]
    text = "He saw the bat. It was night in the cave."
    rows += [{**rows[1], "text": text, "start": 11, "end": 14, "cues": [[23, 28]]}]
    Path(toy[0]).write_text("".join(json.dumps(row) + "\n" for row in rows))
    static = {"@sense_methods": "spacy_attn.word2vec.v1", "vectors": str(toy_vectors)}
    arguments = [*toy, "--methods", "lesk", "--system", f"static={json.dumps(static)}"]
    code, _, _ = run(*arguments, "-o", tmp_path / "out")
    assert code == 0
    result = read(tmp_path / "out")
    assert len(opened) == 2  # each system answered everything in one place
    assert set(result["learning_curve"]["systems"]) == {"static"}  # lesk knows no examples
    assert result["distance_curve"]["n"] == 1
    assert set(result["distance_curve"]["systems"]) == {"lesk", "static"}
    assert "vector_map" not in result  # no method with an encoder
    code, _, _ = run(*arguments, "-o", tmp_path / "plain", "--no-curves")
    assert code == 0
    assert not {"learning_curve", "distance_curve"} & set(read(tmp_path / "plain"))
    assert "--no-curves" in read(tmp_path / "plain")["manifest"]["command"]


def test_a_half_of_the_set_and_a_baseline(run, toy, tmp_path):
    rows = [json.loads(line) for line in Path(toy[0]).read_text().splitlines()]
    rows[0]["frozen"] = True
    Path(toy[0]).write_text("".join(json.dumps(row) + "\n" for row in rows))
    methods = ["--methods", "lesk,first_sense", "--baseline", "lesk", "--no-curves"]
    for half, n in (("frozen", 1), ("open", len(rows) - 1)):
        code, _, _ = run(*toy, *methods, "--half", half, "-o", tmp_path / half)
        assert code == 0
        assert read(tmp_path / half)["n"] == n
    result = read(tmp_path / "open")
    assert result["baseline"] == "lesk"
    first, second = result["systems"]
    assert first["comparison"] is None
    # both are right at the bat that flew and at nothing that the other misses
    assert second["comparison"] == {
        "baseline": "lesk",
        "only_this": 0,
        "only_baseline": 0,
        "p": 1.0,
        "p_holm": 1.0,
    }


def test_nothing_is_written_without_a_folder(run, toy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    code, out, err = run(*toy, "--methods", "first_sense")
    assert code == 0
    assert sorted(tmp_path.rglob("*")) == before
    assert cells(out, "first_sense")[1] == "0.400"
    assert err == (
        "note: 1 of 5 instances has a word without candidates in the inventory, or one that the "
        "pipeline does not find: it counts as wrong\n"
    )


def test_the_bundled_set(run, tmp_path):
    code, _, _ = run("--methods", "first_sense", "-o", tmp_path, "--in-process")
    assert code == 0
    result = read(tmp_path)
    assert (result["dataset"], result["inventory"]) == ("homographs", "homographs")
    assert (result["unknown"], result["unreachable"]) == (0, 0)
    assert result["systems"][0]["accuracy"] < 0.6
    assert result["instances"][0]["text"]
    assert set(result["manifest"]["files"]) == {"homographs.jsonl", "homographs.test.jsonl"}


@pytest.mark.slow
def test_the_bundled_set_with_the_senses_of_wordnet(run, tmp_path):
    options = ("--inventory", "wordnet", "--methods", "first_sense", "--in-process")
    code, _, err = run(*options, "-o", tmp_path)
    assert code == 0
    result = read(tmp_path)
    assert result["inventory"] == "wordnet"
    assert 0 < result["unreachable"] < result["n"] / 10  # senses that WordNet does not have
    assert "have a sense that is not among the candidates" in err
    assert 0.2 < result["systems"][0]["accuracy"] < 0.7
    assert "%1:" in result["instances"][0]["gold"][0]


def test_a_raganato_set_takes_wordnet_and_its_peers(run, raganato, tmp_path):
    code, out, err = run(raganato, "--methods", "first_sense", "-o", tmp_path / "r", "--in-process")
    assert code == 0
    result = read(tmp_path / "r")
    assert result["inventory"] == "wordnet"
    assert [s["name"] for s in result["systems"]] == ["first_sense", "peer"]
    assert [s["accuracy"] for s in result["systems"]] == [1.0, 1 / 2]
    assert result["systems"][1]["missing"] == 1
    assert "peer has no prediction for 1 of 2 instances" in err
    assert cells(out, "peer")[0] == "peer (published predictions)"
    assert "took off" not in json.dumps(result)  # ids alone
    assert result["instances"][0] == {
        "id": "d000.s000.t000",
        "predictions": {
            "first_sense": ["bat%1:05:00::", pytest.approx(0.44, abs=0.1), True],
            "peer": ["bat%1:06:00::", None, True],
        },
    }


def test_predictions_of_ones_own(run, raganato, tmp_path):
    path = tmp_path / "mine.key.txt"
    path.write_text(KEYS)
    code, _, _ = run(
        raganato,
        "--methods",
        "first_sense",
        "--predictions",
        f"mine={path}",
        "-o",
        tmp_path / "r",
        "--in-process",
    )
    assert code == 0
    rows = {s["name"]: s["accuracy"] for s in read(tmp_path / "r")["systems"]}
    assert rows == {"first_sense": 1.0, "peer": 1 / 2, "mine": 1.0}


def test_a_method_with_other_settings(run, toy, tmp_path):
    block = '{"@sense_methods": "spacy_attn.lesk.v1", "window": 1}'
    code, _, _ = run(*toy, "--methods", "lesk", "--system", f"near={block}", "-o", tmp_path / "r")
    assert code == 0
    lesk, near = read(tmp_path / "r")["systems"]
    assert (lesk["accuracy"], near["accuracy"]) == (3 / 5, 2 / 5)
    assert near["method"] == json.loads(block)


def test_words_that_the_pipeline_finds(run, toy, tmp_path):
    code, _, _ = run(*toy, "--methods", "lesk", "--end-to-end", "-o", tmp_path / "r")
    assert code == 0
    result = read(tmp_path / "r")
    assert result["end_to_end"] is True
    assert (result["systems"][0]["accuracy"], result["systems"][0]["coverage"]) == (3 / 5, 4 / 5)


def test_methods_that_cannot_take_the_inventory_are_left_out(run, raganato, monkeypatch):
    check = experiment.check_method

    def only_first(nlp, inventory, spec):
        if spec != "first_sense":
            raise ConfigError(f"{spec} cannot")
        check(nlp, inventory, spec)

    monkeypatch.setattr(experiment, "check_method", only_first)
    code, out, err = run(raganato, "--in-process")
    assert code == 0
    assert "without lesk: lesk cannot\n" in err
    assert cells(out, "first_sense")[1] == "1.000"
    assert "lesk" not in out


def test_a_system_that_fails_is_left_out(run, toy, tmp_path):
    block = '{"@sense_methods": "spacy_attn.word2vec.v1", "vectors": "nowhere.txt"}'
    code, out, err = run(*toy, "--methods", "lesk", "--system", f"static={block}")
    assert code == 1  # a part of the work failed
    assert cells(out, "lesk")[1] == "0.600"
    assert "note: static was left out: " in err
    assert "nowhere.txt" in err
    code, out, err = run(*toy, "--system", f"static={block}")
    assert (code, out) == (1, "")
    assert one_sentence(err).startswith("static: ")


# -- tuning ---------------------------------------------------------------------------------


def test_tuning_prints_a_config_that_works(run, toy_inventory, tmp_path):
    path = tmp_path / "many.jsonl"
    rows = [(f"the bat flew at night {i}", "bat", "bat", "bat.animal", "") for i in range(20)]
    rows += [(f"hit the ball with a bat {i}", "bat", "bat", "bat.club", "") for i in range(20)]
    path.write_text(labelled(rows))
    options = ("--inventory", toy_inventory, "--methods", "lesk", "--in-process")
    code, out, _ = run(path, *options, "--tune", "0.9", "-o", tmp_path / "r")
    assert code == 0
    assert "on the other: precision 1.000 (95 %: 1.000 to 1.000), coverage 1.000, n = 20" in out
    _, _, block = out.partition("[components.sense_disambiguator]")
    config = Config().from_str(f"[components]\n\n[components.sense_disambiguator]{block}")
    settings = dict(config["components"]["sense_disambiguator"])
    assert settings.pop("factory") == "sense_disambiguator"
    nlp = spacy.blank("en")
    nlp.add_pipe("sense_disambiguator", config=settings)
    assert nlp("the bat flew at night")[1]._.sense.id == "bat.animal"
    assert read(tmp_path / "r")["tune"]["config"] in out


def test_a_precision_that_is_not_reached(run, toy_inventory, tmp_path):
    path = tmp_path / "many.jsonl"
    path.write_text(
        labelled(
            [
                (f"a bat {i}", "bat", "bat", f"bat.{'animal' if i % 2 else 'club'}", "")
                for i in range(40)
            ]
        )
    )
    options = ("--inventory", toy_inventory, "--methods", "first_sense", "--in-process")
    code, out, err = run(path, *options, "--tune", "0.95")
    assert code == 1
    assert cells(out, "first_sense")[1] == "0.500"
    assert err.startswith("no threshold gives a precision of 0.95 here: the highest is 0.")
    assert "[components" not in out


# -- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nowhere.jsonl"], r"nowhere.jsonl does not exist or is no file; give labelled"),
        (["."], ". does not exist or is no file; give labelled .jsonl"),
        (["--methods", "guess"], "method = 'guess'; allowed are random, first_sense"),
        (["--methods", " , "], "method = ' , '; allowed are random"),
        (["--tune", "0.9"], "--tune 0.9 works on one method, and all were given; name it with"),
        (["--tune", "0.9", "--methods", "lesk,random"], "--tune 0.9 works on one method, and 2"),
        (["--tune", "95", "--methods", "lesk"], "--tune 95.0; allowed is a precision above 0"),
        (["--predictions", "esc.key.txt"], "--predictions 'esc.key.txt': must be a name"),
        (["--predictions", "esc=no.key.txt"], "--predictions esc=no.key.txt: there is no such"),
        (["--system", "near={window: 3}"], "--system near={window: 3}: is no JSON (Expecting"),
        (["--system", 'a={"window": 3}'], 'method = {"window": 3} has no "@sense_methods"'),
        (["--methods", "lesk", "--system", "lesk=random"], "--system lesk=...: a row has this"),
        (["--inventory", "no.jsonl", "--methods", "lesk"], "inventory = 'no.jsonl': allowed are"),
        (["-o", "pyproject.toml"], "-o pyproject.toml is no folder; results.json is written"),
    ],
)
def test_calls_that_are_wrong(run, arguments, reason):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert one_sentence(err).startswith(reason)


def test_a_file_of_another_kind(run, tmp_path):
    path = tmp_path / "words.csv"
    path.write_text("bat,1\n")
    code, _, err = run(path, "--methods", "lesk", "--in-process")
    assert code == 2
    assert "is of no kind that can be compared; allowed are labelled .jsonl" in one_sentence(err)


def test_a_broken_line(run, toy, tmp_path):
    path = tmp_path / "broken.jsonl"
    path.write_text('{"text": "a bat", "start": 2}\n')
    code, _, err = run(path, *toy[1:], "--methods", "lesk")
    assert code == 1
    assert one_sentence(err).startswith(f"{path}, line 1, field 'start': start = 2, end = None")


def test_a_set_without_gold_keys(run, raganato):
    raganato.with_name("toy.gold.key.txt").unlink()
    code, _, err = run(raganato, "--methods", "first_sense", "--in-process")
    assert code == 1
    assert "has no gold keys; put toy.gold.key.txt" in one_sentence(err)


def test_results_are_not_overwritten_unasked(run, toy, tmp_path):
    options = (*toy, "--methods", "lesk", "-o", tmp_path)
    assert run(*options)[0] == 0
    before = (tmp_path / "results.json").read_bytes()
    code, _, err = run(*toy, "--methods", "random", "-o", tmp_path)
    assert code == 2
    assert one_sentence(err).endswith("exists; name another folder, or --overwrite to replace it")
    assert (tmp_path / "results.json").read_bytes() == before
    assert run(*toy, "--methods", "random", "-o", tmp_path, "--overwrite")[0] == 0
    assert read(tmp_path)["systems"][0]["name"] == "random"


def test_a_name_that_a_method_has(run, raganato):
    predictions = f"first_sense={raganato.with_name('toy.gold.key.txt')}"
    options = ("--methods", "first_sense", "--predictions", predictions, "--in-process")
    code, _, err = run(raganato, *options)
    assert code == 2
    assert one_sentence(err).startswith("--predictions first_sense=...: a method has this name")


def test_help_comes_without_spacy(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "spacy_attn.compare.experiment", None)
    code, out, _ = run("--help")
    assert code == 0
    assert "spacy-attn compare mine.jsonl --methods attention --tune 0.95" in out
