"""The exceptions of spacy_attn, one tree::

    SpacyAttnError (ValueError)
    |-- ConfigError       a factory option, method or attribute name is wrong
    |-- InventoryError    a sense inventory (or labelled data) has a broken line
    |-- ResourceError     a model, extra or data set is missing or has the wrong hash
    `-- RecordError       one input record of a job cannot be processed

Every message is one sentence or two: the value, the allowed values and, where there is one, the
command that fixes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class SpacyAttnError(ValueError):
    """Base of every error that spacy_attn raises on purpose."""

    __module__ = "spacy_attn"


class ConfigError(SpacyAttnError):
    """A setting has a value that is not allowed."""

    __module__ = "spacy_attn"


class InventoryError(SpacyAttnError):
    """A sense inventory or a file of labelled data is not well formed."""

    __module__ = "spacy_attn"


class ResourceError(SpacyAttnError):
    """A model, an optional package or a data set is missing or damaged."""

    __module__ = "spacy_attn"


class RecordError(SpacyAttnError):
    """One record of a job cannot be processed; the job goes on without it."""

    __module__ = "spacy_attn"


_DISTRIBUTIONS = {"sklearn": "scikit-learn"}  # where pip knows a package by another name


@contextmanager
def explain_missing_package(user: str) -> Iterator[None]:
    """Turn a failed import of a dependency into one sentence with the command that fixes it.

    Args:
        user: what needs the package, such as "the method lesk".

    Raises:
        ResourceError: in place of the ImportError.
    """
    try:
        yield
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "spacy_attn"):
            raise
        raise ResourceError(
            f"{user} needs {package}, which cannot be imported ({error}); "
            f"run: pip install {_DISTRIBUTIONS.get(package, package)}"
        ) from error
