"""What a run was made with, kept in its result: called again it says that it is finished.

The training commands that write a model into a folder share it. A result is never replaced: that
of other options or data is refused, and so is one that no run made.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from spacy_attn.errors import ConfigError
from spacy_attn.files import regular_file
from spacy_attn.models import file_sha256
from spacy_attn.train.run_folder import CHECKPOINT

#: A run as plain data: its settings, and the hashes of the files of each option.
Run = Mapping[str, Any]


def run_of(settings: Mapping[str, Any], files: Mapping[str, Path | Iterable[Path] | None]) -> Run:
    """All that decides the result of a run.

    Args:
        settings: by name, plain values.
        files: what is read, by the option that names it; what is no file is told when it is read.
    """
    hashes = {
        option: [file_sha256(path) for path in _listed(paths) if path.is_file()]
        for option, paths in files.items()
    }
    run: Run = json.loads(json.dumps({"settings": dict(settings), "files": hashes}))
    return run


def _listed(paths: Path | Iterable[Path] | None) -> Iterable[Path]:
    if paths is None or isinstance(paths, Path):
        return [] if paths is None else [paths]
    return paths


def is_finished(
    path: Path,
    run: Run,
    report: Callable[[dict[str, Any]], None] | None = None,
    *,
    packing: Collection[str] = (),
) -> bool:
    """Whether the result of this run is there already, which is reported.

    Args:
        path: of the result.
        run: see :func:`run_of`.
        report: called with a ``note``.
        packing: the settings that decide how a trained model is written; with others its
            checkpoint still serves.

    Raises:
        ConfigError: there is a result, of other options or data, or of no run.
    """
    if not path.exists():
        return False
    checkpoint = path.parent / CHECKPOINT
    made = _run_in(path)
    if made is None:
        if checkpoint.exists():  # stopped while it was written
            return False
        raise ConfigError(
            f"{path} exists, and no finished run made it; move it away or give another --output"
        )
    differ = _differences(made, run)
    if not differ:
        if report:
            report({"note": f"{path} is finished; nothing is left to do"})
        return True
    kept = checkpoint.exists() and not set(differ) <= set(packing)
    remove = shlex.join(["rm", str(path), *([str(checkpoint)] if kept else [])])
    raise ConfigError(
        f"{path} was made with other options or data ({'; '.join(differ.values())}); give another "
        f"--output, or remove it first: {remove}"
    )


def _run_in(path: Path) -> Run | None:
    """The run in the manifest of a result; None where it has none."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(regular_file(path), framework="numpy") as file:
            run: Run = json.loads(file.metadata()["manifest"])["run"]
            return {"settings": dict(run["settings"]), "files": dict(run["files"])}
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        return None


def _differences(made: Run, run: Run) -> dict[str, str]:
    """What another run was made with, by the name of the setting or option."""
    before, now = made["settings"], run["settings"]
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    differ = {name: f"{name} = {before.get(name)!r}, not {now.get(name)!r}" for name in names}
    for option in {**made["files"], **run["files"]}:
        if made["files"].get(option) != run["files"].get(option):
            differ[option] = f"another --{option}"
    return differ
