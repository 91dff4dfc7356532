"""``examples/`` of jobs run and say what they should; Ray's and Spark's in tests/jobs."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
# Where the commands of this Python are: spacy, spacy-attn.
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
SHORT = [
    "config.cfg",
    "project/project.yml",
    "pandas_job.py",
    "multiprocessing_job.py",
    "ray_job.py",
    "spark_job.py",
]


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=840,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PATH": PATH},
    )
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


@pytest.mark.slow
@pytest.mark.timeout(900)  # four programs, each of which imports spaCy and torch
def test_project_trains_and_measures(tmp_path: Path) -> None:
    """``spacy train`` beside a frozen sense_disambiguator, then ``spacy benchmark``."""
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    folder = tmp_path / "examples" / "project"
    run("-m", "spacy", "project", "run", "learn", cwd=folder)
    scores = json.loads((folder / "build" / "scores.json").read_text(encoding="utf-8"))
    assert scores["cats_score"] > 0.5
    assert scores["spans_senses_r"] >= 0.75
    weights = (folder / "build" / "model" / "model-last" / "config.cfg").read_text("utf-8")
    assert "spans_senses_f = 0.0" in weights  # the score of training is that of textcat


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cells of code in their order, as a kernel would."""
    pytest.importorskip("pandas")
    mpl = pytest.importorskip("matplotlib")
    mpl.use("Agg")
    monkeypatch.chdir(tmp_path)
    notebook = json.loads((EXAMPLES / "senses_over_time.ipynb").read_text(encoding="utf-8"))
    names: dict[str, Any] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)  # noqa: S102 - our own
    counts = names["counts"]
    assert list(counts.index) == [1990, 2000, 2010]
    assert counts.to_numpy().sum() == 9
    assert {sense.partition(".")[0] for sense in counts.columns} == {"plant"}
    assert len(names["axes"].patches) == counts.size
    mpl.pyplot.close("all")


@pytest.mark.slow
def test_features_of_scikit_learn(tmp_path: Path) -> None:
    shown = run(EXAMPLES / "features.py", cwd=tmp_path).splitlines()
    assert [line.split()[-1] for line in shown] == ["bat.animal", "bat.club"]


@pytest.fixture
def features(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The transformer class of the example."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module("features").AttentionFeatures


@pytest.fixture
def config(toy_model: Path) -> dict[str, Any]:
    return {"model": str(toy_model), "window": 64, "overlap": 16}


def test_the_transformer_is_one_of_scikit_learn(features: Any, config: dict[str, Any]) -> None:
    from sklearn.base import clone

    given = clone(features(config=config, words=("bat",), batch_size=2))
    made = given.fit_transform(["the bat flew", "no such word", "bat", ""])
    assert not made[3].any()
    assert made.shape == (4, 16) == (4, len(given.get_feature_names_out()))
    assert given.get_feature_names_out()[1] == "attention1"
    doc = given.nlp_("the bat flew")
    np.testing.assert_allclose(made[0], doc._.attn_vectors[1], atol=1e-4)


def test_the_transformer_in_a_search_saved_and_in_a_frame(
    features: Any, config: dict[str, Any]
) -> None:
    pd = pytest.importorskip("pandas")
    from sklearn.compose import make_column_transformer
    from sklearn.exceptions import NotFittedError
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline

    with pytest.raises(NotFittedError, match="not fitted yet"):
        features(config).transform(["bat"])
    texts = ["the bat flew", "swing the bat", "a bat flew", "he swung a bat"] * 2
    search = GridSearchCV(
        make_pipeline(features(config), LogisticRegression()),
        {"attentionfeatures__words": [None, ("bat",)]},
        cv=2,
        error_score="raise",
    ).fit(texts, [0, 1, 0, 1] * 2)
    saved = pickle.loads(pickle.dumps(search.best_estimator_))  # noqa: S301 - our own
    assert (saved.predict(texts) == search.predict(texts)).all()
    frame = pd.DataFrame({"text": texts[:3], "year": [1, 2, 3]})
    columns = make_column_transformer((features(config), "text"), ("passthrough", ["year"]))
    made = columns.set_output(transform="pandas").fit_transform(frame)
    assert made.shape == (3, 17)
    assert [name.partition("__")[2] for name in made.columns][-2:] == ["attention15", "year"]


def test_the_transformer_refuses_one_text_and_follows_its_settings(
    features: Any, config: dict[str, Any]
) -> None:
    given = features(config).fit(["a"])
    assert given.transform([]).shape == (0, 16)
    with pytest.raises(TypeError, match="X is one text; give a list of texts"):
        given.transform("the bat")
    with pytest.raises(TypeError, match=r"words = 'bat'; give a tuple, such as \('bat',\)"):
        features(config, words="bat").fit(["a"])
    before = given.nlp_
    assert given.set_params(config={**config, "window": 32}).fit(["a"]).nlp_ is not before


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of the service, with an annotator that loads nothing."""
    pytest.importorskip("fastapi")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.setenv("SENSE_METHOD", "lesk_extended")
    module = importlib.import_module("service")

    class Recorder:
        def __init__(self) -> None:
            self.calls: list[list[str]] = []

        def annotate(self, texts: list[str]) -> list[list[str]]:
            self.calls.append(texts)
            return [[text] for text in texts]

    monkeypatch.setattr(module, "annotator", Recorder())
    monkeypatch.setattr(module, "waiting", asyncio.Queue(3))
    return module


def test_requests_that_wait_are_annotated_together(service: Any) -> None:
    async def answers() -> list[Any]:
        worker = asyncio.create_task(service.work())
        asked = [service.senses(service.Request(texts=texts)) for texts in (["a"], ["b", "c"])]
        found = await asyncio.gather(*asked)
        worker.cancel()
        return found

    assert asyncio.run(answers()) == [{"senses": [["a"]]}, {"senses": [["b"], ["c"]]}]
    assert service.annotator.calls == [["a", "b", "c"]]


def test_the_service_has_limits(service: Any) -> None:
    from fastapi import HTTPException
    from pydantic import ValidationError

    for texts in ([], ["a"] * 65, ["x" * 20_001]):
        with pytest.raises(ValidationError, match="texts"):
            service.Request(texts=texts)

    async def one_more() -> None:
        for _ in range(3):
            service.waiting.put_nowait((["a"], None))
        assert await service.health() == {"status": "ok", "waiting": 3}
        await service.senses(service.Request(texts=["a"]))

    with pytest.raises(HTTPException, match="503: too many requests wait; try again"):
        asyncio.run(one_more())


def test_a_request_that_waited_too_long_is_refused_and_not_worked_for(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fastapi import HTTPException

    monkeypatch.setattr(service, "SECONDS", 0.01)

    async def late_and_next() -> Any:
        with pytest.raises(HTTPException, match=r"503: no answer in 0\.01 s; try again"):
            await service.senses(service.Request(texts=["late"]))
        worker = asyncio.create_task(service.work())
        monkeypatch.setattr(service, "SECONDS", 10.0)
        found = await service.senses(service.Request(texts=["next"]))
        worker.cancel()
        return found

    assert asyncio.run(late_and_next()) == {"senses": [["next"]]}
    assert service.annotator.calls == [["next"]]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b'{"texts": ["\\ud800"]}', "should be a valid string"),
        (b'{"texts": [1]}', "should be a valid string"),
        (b'{"texts": "bat"}', "should be a valid list"),
        (b'{"text": ["bat"]}', "Field required"),
        (b'{"texts": ["' + b"x" * 20_001 + b'"]}', "at most 20000 characters"),
        (b"{", "JSON decode error"),
    ],
)
def test_a_wrong_request_is_told_without_its_text(service: Any, body: bytes, sentence: str) -> None:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/senses", "query_string": b""}
    scope |= {"headers": [(b"content-type", b"application/json")]}
    asyncio.run(service.app(scope, receive, send))
    assert sent[0]["status"] == 422
    answer = sent[1]["body"].decode()
    assert sentence in answer
    assert len(answer) < 200


@pytest.mark.slow
def test_the_service_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fastapi")
    pytest.importorskip("uvicorn")
    monkeypatch.setenv("SENSE_METHOD", "lesk_extended")
    load = EXAMPLES / "service_load.py"
    shown = run(load, "--requests", "60", "--threads", "6", cwd=tmp_path)
    assert shown.rstrip().endswith("60 of 60 answered")
