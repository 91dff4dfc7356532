"""A result in the folder of a run: the same run is finished, and nothing is replaced."""

from __future__ import annotations

import shlex

import pytest
import torch

from spacy_attn.errors import ConfigError
from spacy_attn.train.finished import is_finished, run_of
from spacy_attn.train.run_folder import CHECKPOINT, write_tensors


@pytest.fixture
def files(tmp_path):
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_text(name)
    return tmp_path


def run(folder, data="a.jsonl", **settings):
    known = {"epochs": 3, "rate": 1 / 3, "layers": (1, 2), "limit": None}
    return run_of({**known, **settings}, {"data": folder / data, "start": None})


def result(folder, **manifest):
    path = folder / "my model.safetensors"
    write_tensors(path, {"x": torch.zeros(1)}, manifest)
    return path


def test_the_same_run_is_finished_and_says_so(files):
    path = result(files, run=run(files))
    said = []
    assert is_finished(path, run(files), said.append)
    assert said == [{"note": f"{path} is finished; nothing is left to do"}]
    (files / "c.jsonl").write_text("a.jsonl")  # what is in it counts, and not its name
    assert is_finished(path, run(files, "c.jsonl"))
    assert not is_finished(files / "other.safetensors", run(files))


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"epochs": 4}, "epochs = 3, not 4"),
        ({"data": "b.jsonl"}, "another --data"),
        ({"layers": (1,), "data": "b.jsonl"}, "layers = [1, 2], not [1]; another --data"),
        ({"data": "missing"}, "another --data"),
    ],
)
def test_other_options_are_refused_with_the_command(files, other, said):
    path = result(files, run=run(files))
    with pytest.raises(ConfigError, match="was made with other options or data") as raised:
        is_finished(path, run(files, **other))
    repair = shlex.join(["rm", str(path)])
    assert str(raised.value) == (
        f"{path} was made with other options or data ({said}); give another --output, or remove it "
        f"first: {repair}"
    )


@pytest.mark.parametrize(("setting", "is_named"), [("rank", False), ("epochs", True)])
def test_a_checkpoint_that_still_serves_is_not_to_be_removed(files, setting, is_named):
    path = result(files, run=run(files, rank=8))
    (files / CHECKPOINT).touch()
    with pytest.raises(ConfigError, match="remove it first: rm ") as raised:
        is_finished(path, run(files, **{"rank": 8, setting: 9}), packing=("rank",))
    assert (CHECKPOINT in str(raised.value)) == is_named


@pytest.mark.parametrize("content", [b"", b"mine", None])
def test_what_no_run_made_is_refused_and_a_stopped_run_goes_on(files, content):
    path = result(files, curve=[])  # as before its last step, or of an earlier version
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="exists, and no finished run made it; move it away or"):
        is_finished(path, run(files))
    (files / CHECKPOINT).touch()
    assert not is_finished(path, run(files))
