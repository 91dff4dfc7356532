"""The former name of :mod:`spacy_attn.classic.vectors`, for a moment."""

from spacy_attn.classic.vectors import *  # noqa: F403
