"""On which device an encoder runs, and what of the caller's torch does not reach it."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache, partial

from spacy_attn.errors import ConfigError, first_line


@contextmanager
def on_processor() -> Iterator[None]:
    """New tensors are made on the processor and whole, whatever the caller has set for torch.

    What runs elsewhere is moved there by name. A model that is read in the caller's autocast or
    inference mode is used outside of it too, so neither reaches it.
    """
    import torch

    with ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        if torch.get_default_device().type != "cpu":  # the context costs a call of each function
            stack.enter_context(torch.device("cpu"))
        yield


@contextmanager
def inference(device: str = "cpu") -> Iterator[None]:
    """No gradients, and the arithmetic of the model, whatever the caller has set for torch.

    Args:
        device: type of the model's device.
    """
    import torch

    with on_processor(), torch.inference_mode(), torch.autocast(device, enabled=False):
        yield


@contextmanager
def gradients() -> Iterator[None]:
    """Gradients, and the arithmetic of the model, whatever the caller has set for torch."""
    import torch

    with on_processor(), torch.enable_grad():
        yield


@contextmanager
def training() -> Iterator[None]:
    """As :func:`gradients`, and new weights are float32, in this thread alone.

    torch has one default type for all threads, so it stays as it is.
    """
    import torch

    with ExitStack() as stack:
        stack.enter_context(gradients())
        if torch.get_default_dtype() != torch.float32:  # a mode costs a call of each function
            from spacy_attn.encoder.single_precision import SinglePrecision

            stack.enter_context(SinglePrecision())
        yield


@lru_cache(maxsize=1)
def one_thread_in_children() -> None:
    """See that child processes compute in one thread; to be called before torch computes.

    A forked child has lost the threads of OpenMP and would wait for them for ever, however it
    was forked: by multiprocessing or, as servers do, by ``os.fork``.
    """
    import torch

    if multiprocessing.parent_process() is not None:
        torch.set_num_threads(1)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=partial(torch.set_num_threads, 1))


def pick_device(device: str) -> str:
    """What runs the encoder: "auto" is a CUDA device where there is one, else the processor.

    Raises:
        ConfigError: torch cannot use this device here.
    """
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"device = {device!r} cannot be used here ({first_line(error)}); "
            'give device = "cpu", or "auto"'
        ) from error
    return device
