"""Weights that travel with a saved pipeline, so that it loads where its models are not installed.

``nlp.to_disk`` writes them where a component is told to (``store_weights``): model folders and
sense models, safetensors all of them; static vectors are not copied. In a loaded pipeline they
stand in the place of what the config names; the config itself stays as it was.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from spacy_attn.errors import ResourceError
from spacy_attn.models import model_files, resolve_encoder, sense_model_file
from spacy_attn.wsd.methods.calibration import CALIBRATION

_FILE = "weights.json"  # what the config names, and the file or folder beside it
_FOLDER = "weights"
_SAVE_AGAIN = "save the pipeline again with nlp.to_disk"


def write_stored(
    folder: Path, encoders: Iterable[str], files: Iterable[Path], stored: Mapping[str, str]
) -> None:
    """Copy models into the folder of a component.

    Args:
        folder: the component's own, made if need be.
        encoders: names or folders of encoders, as in the config.
        files: further weights, such as a sense model, likewise; a calibration comes with it.
        stored: what :func:`read_stored` gave, where the pipeline itself was loaded with weights.

    Raises:
        ResourceError: an encoder or a sense model is not on this machine.
    """
    index: dict[str, str] = {}
    for name in dict.fromkeys(encoders):
        # The last part of a model's name is part of its vectors' identity.
        place = Path(_FOLDER, str(len(index)), Path(name).name)
        (folder / place).mkdir(parents=True, exist_ok=True)
        for file in model_files(resolve_encoder(stored.get(name, name)).path):
            shutil.copyfile(file, folder / place / file.name)
        index[name] = place.as_posix()
    for file in dict.fromkeys(files):
        source = Path(stored.get(str(file)) or sense_model_file(file))
        place = Path(_FOLDER, str(len(index)), source.name)
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / place)
        calibration = source.with_name(CALIBRATION)
        if calibration.is_file():
            shutil.copyfile(calibration, (folder / place).with_name(CALIBRATION))
        index[str(file)] = place.as_posix()
    (folder / _FILE).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")


def read_stored(folder: Path) -> dict[str, str]:
    """What the config names and the path that stands for it; empty where nothing was stored.

    Raises:
        ResourceError: the list is damaged, or names something that is not beside it.
    """
    if not (folder / _FILE).is_file():
        return {}
    root = folder.resolve()
    try:
        index = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        out = {name: (root / place).resolve() for name, place in index.items()}
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ResourceError(f"{folder / _FILE} is damaged; {_SAVE_AGAIN}") from error
    for path in out.values():
        if not (path.is_relative_to(root) and path.exists()):
            raise ResourceError(
                f"{folder / _FILE} names {path}, which is not beside it; {_SAVE_AGAIN}"
            )
    return {name: str(path) for name, path in out.items()}
