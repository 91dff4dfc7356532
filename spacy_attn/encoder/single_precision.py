"""New tensors of one thread are float32, whatever the default type of torch is."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch.overrides import TorchFunctionMode

# What makes tensors of the default type.
_ALWAYS: Final = frozenset(
    (torch.empty, torch.zeros, torch.ones, torch.eye, torch.linspace, torch.rand, torch.randn)
)
# What does so where it is given Python's floats.
_OF_FLOATS: Final = frozenset((torch.tensor, torch.full, torch.arange))


class SinglePrecision(TorchFunctionMode):
    """See the module. ``torch.set_default_dtype`` would change it in all threads."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """What torch makes, in float32 where it would be of the default type."""
        kwargs = kwargs or {}
        if kwargs.get("dtype") is None and (
            func in _ALWAYS or (func in _OF_FLOATS and _has_float([*args, *kwargs.values()]))
        ):
            kwargs = {**kwargs, "dtype": torch.float32}
        return func(*args, **kwargs)


def _has_float(values: Any) -> bool:
    """Whether Python's floats are among values and what lists and tuples of them hold."""
    return any(
        _has_float(each) if isinstance(each, list | tuple) else type(each) is float
        for each in values
    )
