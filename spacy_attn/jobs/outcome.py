"""What a job says of itself: how far it is, what it did, why it stopped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spacy_attn.errors import SpacyAttnError


@dataclass(frozen=True, slots=True)
class JobSummary:
    """What a job did."""

    n_in: int  # records read
    n_out: int  # records written
    n_failed: int  # records in the error file
    output: str  # as the caller gave it
    errors: Path | None  # the error file; None where nothing failed
    part: Path | None  # what an unfinished job left; None where it finished
    # Corrections about texts that are not in the input; None where they were not counted, because
    # the job was resumed and had been finished before.
    n_unused: int | None = 0


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job is, told after each chunk."""

    n_in: int
    n_failed: int
    bytes_read: int  # input bytes of the records so far
    bytes_total: int | None  # None where an input is a stream


class JobError(SpacyAttnError):
    """A job could not go on; ``summary`` says what it had finished."""

    __module__ = "spacy_attn.jobs"

    def __init__(self, message: str, summary: JobSummary) -> None:
        super().__init__(message)
        self.summary = summary


class JobInterrupted(KeyboardInterrupt):
    """Ctrl-C stopped a job; ``summary`` says what it had finished."""

    __module__ = "spacy_attn.jobs"

    def __init__(self, summary: JobSummary) -> None:
        super().__init__("interrupted")
        self.summary = summary
