"""Files in, annotated files out, without loading spaCy before the first text."""

from __future__ import annotations

from spacy_attn.jobs.annotator import Annotator, TextError
from spacy_attn.jobs.frame import annotate_frame
from spacy_attn.jobs.local import (
    JobError,
    JobInterrupted,
    JobPlan,
    JobProgress,
    JobSummary,
    annotate_files,
    plan_job,
)

__all__ = [
    "Annotator",
    "JobError",
    "JobInterrupted",
    "JobPlan",
    "JobProgress",
    "JobSummary",
    "TextError",
    "annotate_files",
    "annotate_frame",
    "plan_job",
]
