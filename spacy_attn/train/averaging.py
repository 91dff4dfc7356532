"""One model with the accuracy of several: the mean of the weights of runs from the same start.

As in Wortsman et al., "Model soups", ICML 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from spacy_attn.errors import ConfigError
from spacy_attn.train.run_folder import CHECKPOINT, read_checkpoint
from spacy_attn.train.senses import SenseTrainer
from spacy_attn.train.thin import thick


def average_with(trainer: SenseTrainer, folders: Sequence[Path]) -> None:
    """Average the weights of a trained model with those of other finished runs.

    Args:
        trainer: its weights change.
        folders: of the runs; each was trained from the same start on the same table.

    Raises:
        ConfigError: a folder holds no finished run, or one of another shape.
    """
    modules = (trainer.network, trainer.encoder)
    states = [tuple(module.state_dict() for module in modules)]
    for folder in folders:
        path = folder / CHECKPOINT
        if not path.is_file():
            raise ConfigError(f"{folder} holds no run; give a folder of train-senses")
        saved = read_checkpoint(path, trainer.device)
        if not {"network", "encoder"} <= set(saved):
            raise ConfigError(f"{path} is of another command; give a folder of train-senses")
        states.append((thick(saved["network"]), {**states[0][1], **saved["encoder"]}))
    for module, parts in zip(modules, zip(*states, strict=True), strict=True):
        try:
            module.load_state_dict(_mean(parts))
        except (KeyError, RuntimeError) as error:
            raise ConfigError(
                f"the runs in {', '.join(map(str, folders))} are of another encoder or table "
                "than this one; average runs of the same command"
            ) from error


def _mean(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Mean of each tensor of some states; whole numbers are those of the first."""
    return {
        name: torch.stack([state[name] for state in states]).mean(0)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in states[0].items()
    }
