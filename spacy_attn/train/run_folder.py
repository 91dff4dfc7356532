"""The folder of a training run: held by one run, and nothing in it replaced that no run made.

The models, checkpoints and learning curves that a run leaves there are written here too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from spacy_attn.errors import ConfigError, ResourceError, first_line
from spacy_attn.files import atomic_write, locked, regular_file

if TYPE_CHECKING:
    from torch import Tensor

CHECKPOINT: Final = "checkpoint.pt"
_LOCK: Final = "checkpoint.lock"
#: What the training commands write beside their results.
_OTHERS: Final = (
    CHECKPOINT,
    f"{CHECKPOINT}.part",
    _LOCK,
    "curve.json",
    "occurrences.npy",
    "teachers.npy",
    "glosses-*.npy",
)


@contextmanager
def held_folder(folder: Path, *results: str) -> Iterator[None]:
    """Make a folder, and hold it while a run writes there.

    Args:
        folder: its name.
        results: the files that the run makes at its end; see :mod:`~.finished`.

    Raises:
        ConfigError: another run has it, or what is there is not from a run.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _no_folder(folder, error) from None
    with os.scandir(folder) as found:
        entries = list(found)
    for entry in entries:
        is_ours = any(fnmatchcase(entry.name, pattern) for pattern in (*_OTHERS, *results))
        if is_ours and not entry.is_file(follow_symlinks=False):
            raise ConfigError(
                f"{entry.path} is a link, pipe, device or folder, and the run writes a file of "
                "that name; move it away or give another --output"
            )
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(folder / _LOCK, wait=False, remove=True))
        except TimeoutError:
            raise ConfigError(
                f"another run is using {folder}; wait for its end or give another --output"
            ) from None
        except OSError as error:
            raise _no_folder(folder, error) from None
        yield


def _no_folder(folder: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"--output {folder} cannot be written ({error.strerror}); give a folder that can"
    )


def read_checkpoint(path: Path, device: Any) -> dict[str, Any]:
    """What a run kept.

    Raises:
        ResourceError: it is damaged, or something else.
    """
    import torch

    try:
        found = torch.load(regular_file(path), weights_only=True, map_location=device)
        return dict(found)
    except Exception as error:  # those of torch, pickle and zipfile
        raise ResourceError(
            f"{path} is damaged or no checkpoint ({first_line(error)}); delete it to begin anew, "
            "or give another --output"
        ) from error


def write_checkpoint(folder: Path, state: Mapping[str, Any]) -> None:
    """What a run goes on from after an interruption."""
    import torch

    temporary = folder / f"{CHECKPOINT}.part"
    torch.save(dict(state), temporary)
    temporary.replace(folder / CHECKPOINT)


def write_curve(folder: Path, curve: Sequence[Mapping[str, Any]]) -> None:
    """A record for each epoch."""
    text = json.dumps(curve, indent=1) + "\n"
    (folder / "curve.json").write_text(text, encoding="utf-8")


def write_tensors(path: Path, tensors: Mapping[str, Tensor], manifest: Mapping[str, Any]) -> None:
    """A model as one safetensors file; its folder is made where it is not there."""
    from safetensors.torch import save

    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.write(save(dict(tensors), {"manifest": json.dumps(manifest)}))


@contextmanager
def refused_state(path: Path) -> Iterator[None]:
    """Say in a sentence that what a checkpoint holds does not fit the run.

    Raises:
        ConfigError: something is missing, or has another shape.
    """
    try:
        yield
    except (KeyError, RuntimeError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(
            f"{path} was made with another encoder or inventory, or is damaged "
            f"({first_line(error)}); give another --output or delete it"
        ) from error


def read_array(path: Path) -> NDArray[Any]:
    """An ``.npy`` file that a run kept; its header is believed no further than the file is long.

    Raises:
        ResourceError: it is damaged, or something else.
    """
    try:
        return np.array(np.load(regular_file(path), mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, TypeError, EOFError, OverflowError) as error:
        raise ResourceError(
            f"{path} is damaged ({first_line(error)}); delete it, and run again"
        ) from error
