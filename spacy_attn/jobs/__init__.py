"""Files in, annotated files out, without loading spaCy before the first text.

In reading order: ``sources`` and ``readers`` (with ``streams lines delimited tables
parquet_pages``) give ``records``; the ``annotator`` finds the ``fields``; ``sinks`` and
``csv_sink`` write them; ``job`` does it all for files, ``run`` keeps them safe, ``resume`` and
``fingerprint`` take up what was interrupted. ``engines`` annotate elsewhere.
"""

from __future__ import annotations

from spacy_attn.jobs.annotator import Annotator
from spacy_attn.jobs.engines.pandas import annotate_frame, senses_frame
from spacy_attn.jobs.fields import TextError
from spacy_attn.jobs.job import JobPlan, annotate_files, plan_job
from spacy_attn.jobs.options import JobOptions
from spacy_attn.jobs.outcome import JobError, JobInterrupted, JobProgress, JobSummary

__all__ = [
    "Annotator",
    "JobError",
    "JobInterrupted",
    "JobOptions",
    "JobPlan",
    "JobProgress",
    "JobSummary",
    "TextError",
    "annotate_files",
    "annotate_frame",
    "plan_job",
    "senses_frame",
]
