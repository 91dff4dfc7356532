"""The exceptions of spacy_attn, one tree.

    SpacyAttnError (ValueError)
    |-- ConfigError       a factory option, method or attribute name is wrong
    |-- InventoryError    a sense inventory (or labelled data) has a broken line
    |-- ResourceError     a model, extra or data set is missing or has the wrong hash
    `-- RecordError       one input record of a job cannot be processed

Every message is one sentence or two: the value, the legal range, and, where
something can be repaired, the command that repairs it.
"""

from __future__ import annotations


class SpacyAttnError(ValueError):
    """Base of every error that spacy_attn raises on purpose."""

    __module__ = "spacy_attn"


class ConfigError(SpacyAttnError):
    """A setting has a value outside its legal range."""

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
