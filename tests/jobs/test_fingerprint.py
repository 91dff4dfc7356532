"""A job is resumed only with the very files that it was begun with."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import spacy

from spacy_attn.errors import ConfigError
from spacy_attn.jobs import Annotator, JobError, JobOptions, annotate_files
from spacy_attn.jobs.fingerprint import describe_job
from tests.jobs.toy import TOY

STEMS = Annotator("pipeline", fields=("stems",))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An interrupted job of a pipeline whose configuration names a file and a folder."""
    monkeypatch.chdir(tmp_path)
    name = f"reader_of_{tmp_path.name}"  # a process registers each name once
    (tmp_path / "in.jsonl").write_text('{"text": "bats"}\n{no\n{"text": "bats"}\n')
    (tmp_path / "code.py").write_text(
        "from spacy.language import Language\n"
        f'@Language.factory("{name}", default_config={{"file": "", "vectors": ""}})\n'
        "def make(nlp, name, file, vectors):\n"
        "    return lambda doc: doc\n"
    )
    (tmp_path / "names.txt").write_text("Anna")
    (tmp_path / "vectors" / "deep").mkdir(parents=True)
    (tmp_path / "vectors" / "deep" / "rows.npy").write_bytes(b"1")
    spacy.blank("en").to_disk("pipeline")
    config = tmp_path / "pipeline" / "config.cfg"
    text = config.read_text().replace("pipeline = []", 'pipeline = ["reader"]')
    config.write_text(
        f'{text}\n[components.reader]\nfactory = "{name}"\n'
        f'file = "names.txt"\nvectors = "{tmp_path / "vectors"}"\n'
    )
    return tmp_path


def run(annotator, **options):
    made = JobOptions(resume=True, batch_size=1, **options)
    return annotate_files(["in.jsonl"], "out.jsonl", annotator, made)


@pytest.mark.parametrize(
    "path", ["code.py", "names.txt", "vectors/deep/rows.npy", "pipeline/meta.json"]
)
def test_changed_file_is_named(folder, path):
    annotator = replace(STEMS, code="code.py")
    with pytest.raises(JobError, match="more than --max-errors 0"):
        run(annotator, max_errors=0)
    data = (folder / path).read_bytes()
    (folder / path).write_bytes(data + b" ")
    name = "pipeline" if path.startswith("pipeline") else path.partition("/")[0]
    with pytest.raises(ConfigError, match=rf"{name}.*, which the pipeline reads, has changed"):
        run(annotator)
    (folder / path).write_bytes(data)
    assert run(annotator).n_out == 2


def test_own_inventory_is_hashed(folder):
    sense = {"lemma": "bat", "pos": "NOUN", "sense": "bat.animal", "definition": "an animal"}
    (folder / "mine.jsonl").write_text(json.dumps(sense) + "\n")
    annotator = replace(TOY, inventory="mine.jsonl")
    with pytest.raises(JobError, match="more than --max-errors 0"):
        run(annotator, max_errors=0)
    (folder / "mine.jsonl").write_text(json.dumps(sense | {"definition": "flies"}) + "\n")
    with pytest.raises(ConfigError, match=r"mine.jsonl, which the pipeline reads, has changed"):
        run(annotator)


def test_what_no_setting_names_is_hashed():
    files = describe_job([], Annotator(inventory="wordnet"), {})["files"]
    assert {"the pipeline", "the package's data"} <= files.keys()
    assert any(name.startswith("the encoder ") for name in files)
    assert sum(name.startswith("the vectors ") for name in files) == 2
    assert all(len(sha256) == 64 for sha256 in files.values())


def test_factory_counts_with_its_module():
    files = describe_job([], TOY, {})["files"]
    assert list(files) == ["the module of the factory"]
