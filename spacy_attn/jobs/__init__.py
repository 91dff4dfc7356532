"""Files in, annotated files out, without loading spaCy before the first text."""

from __future__ import annotations

from spacy_attn.jobs.annotator import Annotator, TextError
from spacy_attn.jobs.local import (
    JobError,
    JobInterrupted,
    JobProgress,
    JobSummary,
    annotate_files,
)

__all__ = [
    "Annotator",
    "JobError",
    "JobInterrupted",
    "JobProgress",
    "JobSummary",
    "TextError",
    "annotate_files",
]
