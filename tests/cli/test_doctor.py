"""``doctor``: found, missing, wrong, on a small world that is written by the test."""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from spacy_attn import models
from spacy_attn.cli import doctor as module
from spacy_attn.cli.app import app
from spacy_attn.cli.doctor import _show, examine
from spacy_attn.encoder import processor
from spacy_attn.models import KnownModel, Wheel, catalogue, data, findings, hashes, resolve
from spacy_attn.models.findings import Finding
from spacy_attn.wsd.inventory.wordnet_files import find_wordnet

FILES = {"model.safetensors": b"weights", "config.json": b"{}"}


def mirror(site: Path, row: KnownModel, package: str, folder: str) -> KnownModel:
    """The same row of the table, with a small mirror that is installed under ``site``."""
    pins = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    data_folder = site / package / folder
    data_folder.mkdir(parents=True)
    (site / package / "__init__.py").write_bytes(b"")
    for name, content in FILES.items():
        (data_folder / name).write_bytes(content)
    wheel = Wheel(f"{package}==1.0", package, folder, pins)
    return KnownModel(row.name, row.kind, row.license, None, wheel)


@pytest.fixture
def world(tmp_path, monkeypatch) -> Path:
    """All three mirrors are installed, small; nothing else of this machine is seen."""
    monkeypatch.setenv("SPACY_ATTN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(hashes, "_hashes", {})
    monkeypatch.setattr(resolve, "_CLONE", None)
    site = tmp_path / "site"
    places = {
        models.DEFAULT_ENCODER: ("toy_encoder", "model"),
        models.DEFAULT_PIPELINE: ("toy_pipeline", ""),
        models.GLOVE: ("toy_vectors", "data"),
    }
    rows = [
        mirror(site, row, *places[row.name]) if row.name in places else row
        for row in catalogue.KNOWN_MODELS
    ]
    monkeypatch.setattr(catalogue, "KNOWN_MODELS", tuple(rows))
    monkeypatch.setattr(
        resolve,
        "_package_folder",
        lambda package: site / package if (site / package).exists() else None,
    )
    return site


def run_json() -> tuple[int, dict[str, dict], bool]:
    """Exit code, the checks by name, and whether all is good."""
    result = CliRunner().invoke(app, ["doctor", "--json"])
    assert result.stderr == ""
    answer = json.loads(result.stdout)
    return result.exit_code, {check["name"]: check for check in answer["checks"]}, answer["ok"]


@pytest.fixture
def only_models(monkeypatch):
    """Leaves out what depends on this machine: packages, processor, WordNet."""
    for name in ("examine_data", "examine_packages", "examine_processor"):
        monkeypatch.setattr(module, name, lambda *_: [])


@pytest.mark.usefixtures("only_models")
class TestModels:
    def test_all_good(self, world):
        code, checks, ok = run_json()
        assert (code, ok) == (0, True)
        assert checks["encoder"] == {
            "group": "models",
            "name": "encoder",
            "state": "found",
            "need": "required",
            "detail": f"{models.DEFAULT_ENCODER}, from: wheel",
            "path": str(world / "toy_encoder" / "model"),
            "hash": "right",
            "repair": None,
            "fails": False,
        }
        assert checks["accurate encoder"]["state"] == "missing"
        assert checks["accurate encoder"]["repair"].startswith("hf download sentence-transf")

    @pytest.mark.parametrize(
        ("package", "name", "fails"),
        [
            ("toy_encoder", "encoder", True),
            ("toy_pipeline", "spaCy pipeline", True),
            ("toy_vectors", "static vectors", False),  # the default method does not use them
        ],
    )
    def test_a_wrong_hash(self, world, package, name, fails):
        next((world / package).rglob("config.json")).write_bytes(b"[]")
        code, checks, ok = run_json()
        assert (code, ok, checks[name]["fails"]) == (int(fails), not fails, fails)
        assert (checks[name]["state"], checks[name]["hash"]) == ("wrong", "wrong")
        assert checks[name]["detail"].endswith("damaged: config.json")
        repair = f"pip install --force-reinstall --no-deps {package}==1.0"
        assert checks[name]["repair"] == repair

    @pytest.mark.parametrize(
        ("package", "name", "fails"),
        [
            ("toy_encoder", "encoder", True),
            ("toy_pipeline", "spaCy pipeline", False),  # a blank pipeline takes its place
            ("toy_vectors", "static vectors", False),
        ],
    )
    def test_missing(self, world, package, name, fails):
        (world / package).rename(world / "elsewhere")
        code, checks, ok = run_json()
        assert (code, ok, checks[name]["fails"]) == (int(fails), not fails, fails)
        assert (checks[name]["state"], checks[name]["path"]) == ("missing", None)
        assert shlex.split(checks[name]["repair"]) == ["pip", "install", "spacy-attn[models]"]

    def test_the_table_says_the_same(self, world):
        (world / "toy_encoder" / "model" / "model.safetensors").unlink()
        result = CliRunner().invoke(app, ["doctor"])
        assert result.exit_code == 1
        lines = [line.rstrip() for line in result.stdout.splitlines()]
        assert any(line.split()[-1:] == [str(world / "toy_encoder" / "model")] for line in lines)
        assert (
            "  encoder (wrong, required): "
            "pip install --force-reinstall --no-deps toy_encoder==1.0" in lines
        )
        assert lines[-1] == "The default pipeline cannot run correctly: encoder"

    def test_the_table_when_all_is_good(self, world):
        result = CliRunner().invoke(app, ["doctor"])
        assert result.exit_code == 0
        last = result.stdout.splitlines()[-1].strip()
        assert last == "Everything that the default pipeline needs is installed."


def safetensors(header: dict, n_data: int) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(n_data)


class TestData:
    HEADER = {  # noqa: RUF012  (read only)
        "__metadata__": {"format": "np"},
        "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
        "b": {"dtype": "F32", "shape": [1], "data_offsets": [8, 12]},
    }

    @pytest.mark.parametrize(
        ("content", "whole"),
        [
            (safetensors(HEADER, 12), True),
            (safetensors({}, 0), True),
            (safetensors(HEADER, 11), False),  # cut
            (safetensors(HEADER, 13), False),
            (safetensors(HEADER, 12)[:20], False),
            (b"version https://git-lfs.github.com/spec/v1", False),
            (struct.pack("<Q", 2) + b"[]", False),
            (b"", False),
        ],
    )
    def test_a_whole_safetensors_file(self, tmp_path, content, whole):
        path = tmp_path / "senses.safetensors"
        path.write_bytes(content)
        assert data._is_whole_safetensors(path) is whole

    def test_the_oracle_agrees(self, tmp_path):
        """The library that defines the format writes what counts as whole."""
        save_file = pytest.importorskip("safetensors.numpy").save_file
        path = tmp_path / "senses.safetensors"
        save_file({"a": np.zeros((2, 3)), "b": np.ones(5)}, str(path), metadata={"k": "v"})
        assert data._is_whole_safetensors(path)
        path.write_bytes(path.read_bytes()[:-1])
        assert not data._is_whole_safetensors(path)

    def test_the_lexicon(self, monkeypatch, tmp_path):
        np.savez_compressed(tmp_path / "wordnet.npz", lemmas=np.arange(1000))
        found = data._own_file(tmp_path / "wordnet.npz", "lexicon", "optional")
        assert (found.state, found.repair) == ("found", None)
        whole = (tmp_path / "wordnet.npz").read_bytes()
        middle = len(whole) // 2
        flipped = whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]
        for content in (whole[:-30], flipped, b"", b"no archive"):
            (tmp_path / "wordnet.npz").write_bytes(content)
            wrong = data._own_file(tmp_path / "wordnet.npz", "lexicon", "optional")
            assert (wrong.state, wrong.repair) == ("wrong", data.REINSTALL)
            assert wrong.detail.endswith("not a whole npz file")

    def test_the_shipped_lexicon_is_looked_at(self):
        (line,) = [f for f in data.examine_data(None) if f.name == "lexicon of WordNet 3.0"]
        assert (line.state, Path(line.path).name) == ("found", "wordnet.npz")


@pytest.mark.usefixtures("no_nltk_data")
class TestWordNet:
    @pytest.fixture
    def no_nltk_data(self, monkeypatch, tmp_path):
        """A home of our own; NLTK looks there alone."""
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setattr("nltk.data.path", [str(tmp_path / "nltk_data")])

    def test_it_is_optional(self, monkeypatch, tmp_path):
        monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
        finding = data._wordnet(None)
        assert (finding.state, finding.fails) == ("missing", False)
        assert finding.detail.startswith("definitions are left out; senses work; or: python -m nl")
        assert finding.repair == "apt-get install wordnet-base wordnet-sense-index"

    def test_nltk_downloads_and_leaves_it_packed(self, monkeypatch, tmp_path):
        monkeypatch.setattr("shutil.which", lambda name: None)
        folder = tmp_path / "nltk_data"
        assert data._wordnet(None).repair == (
            f"python -m nltk.downloader -d {folder} wordnet && "
            f"python -m zipfile -e {folder}/corpora/wordnet.zip {folder}/corpora"
        )

    def test_a_packed_one_is_unpacked(self, monkeypatch, tmp_path, toy_wordnet):
        """The command that is shown makes a folder that is then found."""
        for variable in ("SPACY_ATTN_WORDNET", "WNSEARCHDIR", "NLTK_DATA"):
            monkeypatch.delenv(variable, raising=False)
        monkeypatch.setattr(Path, "is_file", _without("/usr/"))
        corpora = tmp_path / "nltk_data" / "corpora"
        corpora.mkdir(parents=True)
        with zipfile.ZipFile(corpora / "wordnet.zip", "w") as archive:
            for file in toy_wordnet.iterdir():
                archive.write(file, f"wordnet/{file.name}")
        command = data._wordnet(find_wordnet()).repair
        assert command == f"python -m zipfile -e {corpora / 'wordnet.zip'} {corpora}"
        subprocess.run([sys.executable, *shlex.split(command)[1:]], check=True)
        found = data._wordnet(find_wordnet())
        assert (found.state, found.path) == (
            "found",
            str(corpora / "wordnet"),
        )

    def test_found(self, monkeypatch, toy_wordnet):
        finding = data._wordnet(toy_wordnet)
        assert (finding.state, finding.path) == ("found", str(toy_wordnet))
        assert finding.detail == "index.sense and data.* are there"

    def test_incomplete(self, monkeypatch, toy_wordnet, tmp_path):
        shutil.copytree(toy_wordnet, tmp_path / "dict")
        (tmp_path / "dict" / "data.adj").write_bytes(b"")
        (tmp_path / "dict" / "data.adv").unlink()
        finding = data._wordnet(tmp_path / "dict")
        assert (finding.state, finding.fails) == ("wrong", False)
        assert finding.detail.startswith("missing or empty: data.adj, data.adv; definitions are")

    def test_another_version(self, monkeypatch, toy_wordnet, tmp_path):
        shutil.copytree(toy_wordnet, tmp_path / "dict")
        nouns = tmp_path / "dict" / "data.noun"
        for version, state in (("3.0", "found"), ("3.1", "wrong")):
            nouns.write_text(f"  1 WordNet {version} Copyright 2011\n", encoding="utf-8")
            assert data._wordnet(tmp_path / "dict").state == state
        assert data._wordnet(tmp_path / "dict").detail.startswith(
            "it is WordNet 3.1, needed is 3.0; definitions"
        )


def _without(prefix):
    """``Path.is_file`` that sees nothing under a prefix."""
    is_file = Path.is_file
    return lambda self: not str(self).startswith(prefix) and is_file(self)


class TestNltkData:
    def test_nltk_data(self, monkeypatch, tmp_path):
        monkeypatch.setattr("nltk.data.path", [str(tmp_path / "none"), str(tmp_path)])
        assert data._nltk_data().state == "missing"
        (tmp_path / "corpora" / "words").mkdir(parents=True)
        assert (data._nltk_data().state, data._nltk_data().path) == ("found", str(tmp_path))


class TestPackages:
    @pytest.mark.parametrize(
        ("requirement", "state"),
        [
            ("pytest>=1", "found"),
            ("pytest", "found"),
            ("pytest>=9999", "wrong"),
            ("no-such-distribution-here>=1", "missing"),
        ],
    )
    def test_versions(self, requirement, state):
        from packaging.requirements import Requirement

        finding = findings._package(Requirement(requirement), "required")
        assert (finding.state, finding.fails) == (state, state != "found")
        expected = None if state == "found" else f'pip install "{requirement}"'
        assert finding.repair == expected

    def test_a_version_matters_where_the_rest_of_its_extra_is_installed(self, monkeypatch):
        """Pandas 3 is wrong for Ray and Spark alone."""
        installed = {"pandas": "3.0.1", "pyarrow": "26.0"}
        found = self._packages(monkeypatch, installed)
        assert (found["pandas"].state, found["pandas"].detail) == ("found", "3.0.1")
        assert (found["ray"].state, found["ray"].fails) == ("missing", False)
        found = self._packages(monkeypatch, installed | {"ray": "2.60"})
        assert (found["pandas"].state, found["pandas"].fails) == ("wrong", False)
        assert found["pandas"].detail.startswith("3.0.1; needed is ")

    def _packages(self, monkeypatch, installed):
        monkeypatch.setattr(findings, "_installed", installed.get)
        return {finding.name: finding for finding in findings.examine_packages()}


class TestShown:
    def test_what_is_optional_is_not_among_what_is_to_fix(self, capsys):
        found = [
            Finding("models", "encoder", "wrong", "required", repair="pip install encoder"),
            Finding("packages", "ray", "missing", "optional", repair="pip install ray"),
            Finding("packages", "torch", "found", "required"),
        ]
        _show(found, found[:1])
        lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
        at = lines.index("To fix")
        assert lines[at + 1 :][:4] == [
            "encoder (wrong, required): pip install encoder",
            "",
            "Not installed, and not needed",
            "ray: pip install ray",
        ]


class TestProcessor:
    @pytest.mark.parametrize(
        ("flags", "torch_runs_it", "said"),
        [
            ({"avx512_bf16", "avx2"}, True, "in hardware"),
            ({"avx2", "avx512f"}, True, "emulated"),
            ({"avx2"}, False, "not supported"),
            ({"avx512_bf16"}, False, "not supported"),
        ],
    )
    def test_bfloat16(self, monkeypatch, flags, torch_runs_it, said):
        monkeypatch.setattr(processor, "cpu_flags", lambda: flags)
        monkeypatch.setattr(processor, "_torch_runs_bfloat16", lambda: torch_runs_it)
        found = {finding.name: finding for finding in processor.examine_processor()}
        assert found["bfloat16"].detail.startswith(said)
        assert set(found["features"].detail.split(", ")) == flags

    def test_what_auto_means_is_said(self, monkeypatch):
        from spacy_attn.encoder import device, precision

        monkeypatch.setattr(device, "pick_device", lambda name: "cpu")
        given: list[object] = []
        monkeypatch.setattr(precision, "explain_precision", lambda *each: given.extend(each))
        processor._picked()
        shape, on, scales = given
        assert (shape.width, shape.inner, shape.n_heads, on) == (384, 1536, 12, "cpu")
        assert scales.cosine > 0.99  # those that ship

    def test_how_the_encoder_computes_is_said(self, monkeypatch):
        from spacy_attn.encoder import device, precision

        monkeypatch.setenv("SPACY_ATTN_ENGINE", "linear=plain step=8")
        monkeypatch.setattr(device, "pick_device", lambda name: "cpu")
        monkeypatch.setattr(precision, "precisions_here", lambda scales: ["float32"])
        (finding,) = (f for f in processor.examine_processor() if f.name == "engine")
        said = "float32: linear=plain attention=one_kernel step=8 (set by SPACY_ATTN_ENGINE)"
        assert (finding.state, finding.detail) == ("found", said)

    def test_damaged_scales_are_said(self, monkeypatch, tmp_path):
        from spacy_attn.encoder.int8 import scales_path
        from spacy_attn.models import DEFAULT_ENCODER, known_model

        monkeypatch.setenv("SPACY_ATTN_CACHE", str(tmp_path))
        path = scales_path(known_model(DEFAULT_ENCODER).weights_sha256, "none")
        path.parent.mkdir()
        path.write_bytes(b"PK")
        (finding,) = (f for f in processor.examine_processor() if f.name == "precision")
        assert (finding.state, finding.need) == ("wrong", "optional")
        assert finding.repair == "spacy-attn calibrate-int8"

    def test_a_wrong_setting_of_the_engine_is_said(self, monkeypatch):
        monkeypatch.setenv("SPACY_ATTN_ENGINE", "fast")
        (finding,) = (f for f in processor.examine_processor() if f.name == "engine")
        assert (finding.state, finding.repair) == ("wrong", "unset SPACY_ATTN_ENGINE")

    def test_threads(self):
        import torch

        found = {finding.name: finding for finding in processor.examine_processor()}
        assert found["threads"].detail.startswith(f"{torch.get_num_threads()} for torch, ")


class TestThisMachine:
    def test_every_line_is_complete(self):
        found = examine()
        names = [finding.name for finding in found]
        assert {"encoder", "spaCy pipeline", "homographs", "WordNet", "torch"} <= set(names)
        assert len(names) == len(set(names))
        for finding in found:
            assert (finding.repair is None) is (finding.state == "found"), finding

    @pytest.mark.parametrize(
        ("need", "state", "fails"),
        [
            ("required", "missing", True),
            ("required", "wrong", True),
            ("recommended", "missing", False),
            ("recommended", "wrong", True),
            ("optional", "missing", False),
            ("optional", "wrong", False),
            ("required", "found", False),
        ],
    )
    def test_what_fails(self, need, state, fails):
        assert Finding("models", "x", state, need).fails is fails
