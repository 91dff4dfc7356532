"""Files in, annotated files out, without loading spaCy before the first text.

In reading order:

| ``options``        the options of a job
| ``sources``        which files are inputs, of which format
| ``readers``        reads a source, whatever its format
| ``streams``, ``lines``, ``delimited``   bytes; JSONL and text; CSV and TSV
| ``tables``, ``parquet_pages``, ``docbin``   Parquet; the size of its pages; DocBin
| ``records``        what is read, and what is written back
| ``annotator``      finds the fields in texts
| ``fields``         what can be written for each text
| ``pipelines``      a pipeline made ready for jobs
| ``pieces``         long texts in pieces
| ``unwrap``, ``wrapped_docs``   wrapped lines joined; Docs of the text as given
| ``arrow``          the same for Arrow tables

| ``job``            the whole job for files
| ``run``            its files, kept safe
| ``outcome``        what a job says of itself
| ``sinks``, ``csv_sink``   how each format is written
| ``columns``        the columns that are carried through
| ``output_paths``, ``partfile``   where a job writes; files that grow by chunks
| ``resume``, ``fingerprint``   how far a job is; what decides its output
| ``locks``, ``interrupts``   one job for each output; Ctrl-C
| ``engines``        annotate in other processes, on Ray, on Spark, in pandas
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
