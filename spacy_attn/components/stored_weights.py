"""Weights that travel with a saved pipeline, so that it loads on a machine with nothing else.

``nlp.to_disk`` writes them where a component is told to (``store_weights``): model folders and
sense models, safetensors all of them. In a loaded pipeline they stand in the place of what the
config names; the config itself stays as it was.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from spacy_attn.errors import ConfigError
from spacy_attn.models import model_files, resolve_encoder

__all__ = ["read_stored", "write_stored"]

_FILE = "weights.json"  # what the config names, and the file or folder beside it
_FOLDER = "weights"


def write_stored(folder: Path, encoders: Iterable[str], files: Iterable[Path]) -> None:
    """Copy models into the folder of a component.

    Args:
        folder: the component's own, made if need be.
        encoders: names or folders of encoders, as in the config.
        files: further weights, such as a sense model.

    Raises:
        ResourceError: an encoder is not on this machine.
    """
    index = {}
    sources: dict[str, list[Path]] = {
        name: model_files(resolve_encoder(name).path) for name in encoders
    }
    sources |= {str(file): [file] for file in files}
    for number, (name, copied) in enumerate(sources.items()):
        # The last part of a model's name is part of its vectors' identity.
        place = Path(_FOLDER, str(number), Path(name).name)
        target = folder / place
        if copied == [Path(name)]:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(copied[0], target)
        else:
            target.mkdir(parents=True, exist_ok=True)
            for file in copied:
                shutil.copyfile(file, target / file.name)
        index[name] = place.as_posix()
    (folder / _FILE).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")


def read_stored(folder: Path) -> dict[str, str]:
    """What the config names and the path that stands for it; empty where nothing was stored.

    Raises:
        ConfigError: the list names something that is not beside it.
    """
    if not (folder / _FILE).is_file():
        return {}
    index: dict[str, str] = json.loads((folder / _FILE).read_text(encoding="utf-8"))
    root = folder.resolve()
    out = {name: (root / place).resolve() for name, place in index.items()}
    for path in out.values():
        if not (path.is_relative_to(root) and path.exists()):
            raise ConfigError(
                f"{folder / _FILE} names {path}, which is not beside it; save the pipeline again "
                "with nlp.to_disk"
            )
    return {name: str(path) for name, path in out.items()}
