"""How each output format is written.

Chunks are appended to ``OUT.part``: lines of JSONL, one Arrow stream after the other for Parquet,
Docs as bytes for DocBin. At the end the part becomes the output: by its name, if its bytes are
those of the output already, else converted.
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from spacy_attn.jobs.arrow import add_fields, bytes_of, field_array
from spacy_attn.jobs.columns import carry
from spacy_attn.jobs.docbin import quick_packing
from spacy_attn.jobs.fields import DOC_FIELD, Row
from spacy_attn.jobs.records import Record

if TYPE_CHECKING:
    import pyarrow as pa

RECORD_KEY: Final = "record"  # of doc.user_data: the input record as JSON
_GROUP_ROWS: Final = 10_000  # of a Parquet row group, or fewer when they are large
_GROUP_BYTES: Final = 64 * 2**20
_LENGTHS: Final = struct.Struct(">QQ")  # of a Doc and of its record, in the part of a DocBin

Item: TypeAlias = tuple[Record, Row]


class Sink(Protocol):
    """Writes one format."""

    @property
    def is_plain(self) -> bool:
        """Whether the part has the bytes of the output: a single file then only takes its name."""
        ...

    def encode(self, items: Sequence[Item]) -> bytes:
        """What a chunk adds to the part.

        Raises:
            Exception: an item cannot be written in this format, whichever it is.
        """
        ...

    def convert(self, part: Path, output: IO[bytes]) -> None:
        """Write a whole file of the format; a partition of a plain format too.

        Raises:
            OSError: it cannot be written.
        """
        ...


class JsonlSink:
    """A line for each record, as it was read, with the fields added.

    Args:
        compression: "gzip" or "zstd"; None for none.
    """

    def __init__(self, compression: str | None) -> None:
        self._compression = compression

    @property
    def is_plain(self) -> bool:
        """Whether nothing is to be compressed."""
        return self._compression is None

    def encode(self, items: Sequence[Item]) -> bytes:
        """Lines."""
        lines = [
            record.to_json({name: to_lists(value) for name, value in row.items()})
            for record, row in items
        ]
        return "".join(f"{line}\n" for line in lines).encode()

    def convert(self, part: Path, output: IO[bytes]) -> None:
        """Compress the lines."""
        with open(part, "rb") as lines, packed(output, self._compression) as stream:
            shutil.copyfileobj(lines, stream, 2**20)


@contextmanager
def packed(output: IO[bytes], compression: str | None) -> Iterator[Any]:
    """A stream that compresses what is written into the output, or the output itself.

    Raises:
        OSError: it cannot be written.
    """
    if compression is None:
        yield output
        return
    import pyarrow as pa

    with pa.CompressedOutputStream(output, compression) as stream:
        yield stream


def to_lists(value: Any) -> Any:
    """Vectors as lists; other fields are so."""
    return value.tolist() if hasattr(value, "tolist") else value


class ParquetSink:
    """The declared columns, and a column for each field.

    Args:
        columns: that are carried through from the input.
        names: of the fields.
        width: of the vectors, where they are wanted.
    """

    is_plain = False

    def __init__(self, columns: pa.Schema, names: Sequence[str], width: int | None) -> None:
        self._columns, self._names, self._width = columns, tuple(names), width
        self._schema = add_fields(columns, names, width)

    def encode(self, items: Sequence[Item]) -> bytes:
        """One Arrow stream."""
        import pyarrow as pa

        if not items:
            return b""
        carried = carry([record for record, _ in items], self._columns)
        added = [
            field_array(name, [row[name] for _, row in items], self._width) for name in self._names
        ]
        table = pa.Table.from_arrays([*carried.columns, *added], schema=self._schema)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        data: bytes = sink.getvalue().to_pybytes()
        return data

    def convert(self, part: Path, output: IO[bytes]) -> None:
        """Row groups of some thousand rows."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        waiting: list[Any] = []
        with pq.ParquetWriter(output, self._schema, compression="zstd") as writer:
            for table in _tables(part):
                waiting.append(table)
                if (
                    sum(each.num_rows for each in waiting) >= _GROUP_ROWS
                    or sum(bytes_of(each) for each in waiting) >= _GROUP_BYTES
                ):
                    writer.write_table(pa.concat_tables(waiting))
                    waiting = []
            if waiting:
                writer.write_table(pa.concat_tables(waiting))


def _tables(part: Path) -> Iterator[pa.Table]:
    """The Arrow streams of a part, one at a time."""
    import pyarrow as pa

    size = part.stat().st_size
    with open(part, "rb") as file:
        while file.tell() < size:
            yield pa.ipc.open_stream(file).read_all()


class DocBinSink:
    """Whole Docs, the input record in ``doc.user_data``."""

    is_plain = False

    def encode(self, items: Sequence[Item]) -> bytes:
        """Each Doc and its record, their lengths before them."""
        pieces: list[bytes] = []
        for record, row in items:
            doc, read = row[DOC_FIELD], record.as_json().encode()
            pieces += [_LENGTHS.pack(len(doc), len(read)), doc, read]
        return b"".join(pieces)

    def convert(self, part: Path, output: IO[bytes]) -> None:
        """One DocBin, which spaCy makes in memory."""
        import spacy
        from spacy.tokens import Doc, DocBin

        vocab = spacy.blank("xx").vocab
        docs = DocBin(store_user_data=True)
        with open(part, "rb") as file, quick_packing():
            while lengths := file.read(_LENGTHS.size):
                of_doc, of_record = _LENGTHS.unpack(lengths)
                doc = Doc(vocab).from_bytes(file.read(of_doc))
                doc.user_data[RECORD_KEY] = file.read(of_record).decode()
                docs.add(doc)
        output.write(docs.to_bytes())
