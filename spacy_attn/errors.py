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

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches


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


def allowed_names(given: object, names: Iterable[str], more: str = "") -> str:
    """What an error says of a name that is not allowed: those that are, and the nearest one.

    >>> allowed_names("portr", ("porter", "snowball"))
    "allowed are porter, snowball; did you mean 'porter'?"

    Args:
        given: what was given instead.
        names: those that are allowed.
        more: follows them, such as what else is allowed.
    """
    known = list(names)
    return f"allowed are {', '.join(known)}{more}{did_you_mean(given, known)}"


def counted(n: int, noun: str) -> str:
    """A number and what is counted: ``1 sense``, ``2 senses``."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def did_you_mean(given: object, names: Iterable[str]) -> str:
    """The end of an error: the name nearest to what was given, or nothing where none is near."""
    by_lower = {name.lower(): name for name in names}
    if given in by_lower.values():
        return ""
    near = get_close_matches(str(given).lower(), by_lower, 1)
    return f"; did you mean {by_lower[near[0]]!r}?" if near else ""


def first_line(error: BaseException | str) -> str:
    """What a library's error says, short enough for one sentence; without a text, its type."""
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__


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
