"""The options of a job: each spelled once, for Python and for the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

from spacy_attn.errors import ConfigError, allowed_names
from spacy_attn.jobs.delimited import check_delimiter
from spacy_attn.jobs.sources import Format, line_encoding

OutputFormat: TypeAlias = Literal["jsonl", "parquet", "csv", "tsv", "docbin"]

_MAX_RECORD_BYTES: Final = 16 * 2**20


def option_name(name: str) -> str:
    """How messages name an option: ``text_key / --text-key``."""
    return f"{name} / --{name.replace('_', '-')}"


def _option(default: Any, help: str, *, short: str = "", metavar: str | None = None) -> Any:
    """A field with what the command line says about it."""
    return field(default=default, metadata={"help": help, "short": short, "metavar": metavar})


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """How a job reads, annotates and writes; checked when it is made.

    Raises:
        ConfigError: a value is not allowed.
    """

    text_key: str = _option("text", "Field or column with the text.", short="-tk")
    input_format: str | None = _option(
        None,
        "Format of all inputs: jsonl, txt (a line is a document), txt-file (a file is a document), "
        "csv, tsv, parquet, docbin (default: by suffix; of standard input jsonl).",
        metavar="FORMAT",
    )
    encoding: str = _option("utf-8", "Encoding of the input; the output is UTF-8.")
    delimiter: str | None = _option(
        None, "Separator of CSV columns, such as ';' (default: a comma; for TSV a tab)."
    )
    unwrap: bool = _option(
        False,
        "Join words that were cut at line ends ('exam-' 'ple'), and wrapped lines, as in OCR text "
        "and text from PDF. Offsets are those of the text as given.",
    )
    n_process: int = _option(1, "Number of processes; -1: one per core.", short="-n")
    batch_size: int = _option(
        256, "Records in a batch; fewer if they have more than 1,000,000 characters.", short="-b"
    )
    errors: str | Path | None = _option(
        None,
        "File for bad records, replaced if it exists (default: OUT.errors.jsonl; with -o - "
        "annotate.errors.jsonl).",
        metavar="FILE",
    )
    overwrite: bool = _option(False, "Replace OUT (and OUT.part) if it exists.")
    resume: bool = _option(
        False,
        "Continue an interrupted job, or start it. A finished job is not run again.",
    )
    output_format: str | None = _option(
        None,
        "Format of OUT: jsonl, parquet, csv, tsv or docbin (default: by suffix).",
        metavar="FORMAT",
    )
    rows: str = _option(
        "record",
        "Of CSV and TSV: a row for each record, with JSON in the columns of --fields; or for each "
        "item (sense, entity, token), where --fields is one field.",
        metavar="record|item",
    )
    spreadsheet: bool = _option(
        False,
        "CSV and TSV begin with a byte order mark, and cells that a spreadsheet would take for "
        "formulas get a ' before them.",
    )
    partition_size: int | None = _option(
        None, "OUT is a folder with files of at least N records (default: one file).", metavar="N"
    )
    max_errors: int | None = _option(
        None, "Stop when more than N records have failed (default: never).", metavar="N"
    )
    limit: int | None = _option(None, "Read the first N records only (default: all).", metavar="N")
    max_record_bytes: int = _option(
        _MAX_RECORD_BYTES, "Reject records with more than N bytes, unpacked.", metavar="N"
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "encoding", line_encoding(self.encoding))
        if self.delimiter == "\\t":  # as it comes from a shell
            object.__setattr__(self, "delimiter", "\t")
        check_delimiter(self.delimiter)
        self._check_number("batch_size", 1)
        self._check_number("partition_size", 1)
        self._check_number("limit", 0)
        self._check_number("max_errors", 0)
        self._check_number("max_record_bytes", 1, 2**31 - 1)
        if type(self.n_process) is not int or (self.n_process < 1 and self.n_process != -1):
            raise ConfigError(
                f"{option_name('n_process')} is {self.n_process!r}: allowed are 1 and more, or -1 "
                "for all cores"
            )
        self._check_choice("input_format", get_args(Format))
        self._check_choice("output_format", get_args(OutputFormat))
        self._check_choice("rows", ("record", "item"))
        if self.overwrite and self.resume:
            raise ConfigError("--resume and --overwrite exclude each other: leave one of them out")

    def _check_number(self, name: str, least: int, most: int | None = None) -> None:
        value = getattr(self, name)
        if value is None:
            return
        if type(value) is not int or value < least or (most is not None and value > most):
            allowed = f"{least} and more" if most is None else f"{least} to {most}"
            raise ConfigError(f"{option_name(name)} is {value!r}: allowed are {allowed}")

    def _check_choice(self, name: str, allowed: tuple[str, ...]) -> None:
        value = getattr(self, name)
        if value is not None and value not in allowed:
            raise ConfigError(f"{option_name(name)} is {value}: {allowed_names(value, allowed)}")
