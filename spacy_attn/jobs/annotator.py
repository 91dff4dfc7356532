"""The core that every engine calls: texts in, for each a row of plain data or why there is none.

A job and pandas call :meth:`Annotator.annotate_rows`; what speaks Arrow (Ray, Spark) calls
:meth:`Annotator.annotate_table`: the table as it came, one column more for each field, and a
column ``error`` that is null where all is well.

An Annotator is a few settings. It can be pickled, sent to another process and used there;
each process loads the pipeline when the first text arrives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, cast

from spacy_attn.batches import batches
from spacy_attn.errors import ConfigError
from spacy_attn.jobs.fields import (
    DISAMBIGUATOR,
    DOC_FIELD,
    ERROR_FIELD,
    FIELDS,
    Row,
    TextError,
    parse_fields,
    read_doc,
)
from spacy_attn.jobs.options import option_name
from spacy_attn.jobs.pieces import cut, join, may_cut
from spacy_attn.jobs.pipelines import (
    FIRST_TEXT,
    NOT_THE_TEXT,
    check_order,
    correction_of,
    describe,
    import_code,
    lift_length_limit,
    run_first_text,
)
from spacy_attn.jobs.records import find_surrogate
from spacy_attn.jobs.unwrap import unwrap_all

if TYPE_CHECKING:
    import pyarrow as pa
    from spacy.language import Language
    from spacy.tokens import Doc

    from spacy_attn._types import PlainData
    from spacy_attn.wsd.methods.registry import MethodSpec

_BATCH_TEXTS: Final = 256  # that share a memory zone; fewer where they are long
_BATCH_CHARS: Final = 200_000  # a tagger takes about a gigabyte for them
_PIECE_CHARS: Final = 100_000  # of a longer text, where it may be cut
_MORE_SETTINGS: Final = ("threshold", "backoff", "names", "granularity")
_METHODS: Final = "spacy_attn_sense_methods"  # group of entry points
_OF_PROCESS: Final = ("_nlp", "_found_width", "_correct")  # made anew in each process


class PipelineFactory(Protocol):
    """Makes the spaCy pipeline; a module-level function, so that it can be pickled."""

    def __call__(self, pipeline: str | None, *, inventory: str, method: MethodSpec) -> Language:
        """A pipeline whose Docs carry the records of ``sense_disambiguator``."""
        ...


Reader: TypeAlias = "Callable[[Doc, str], Any]"  # plain data from a Doc and its text
Result: TypeAlias = "list[PlainData] | TextError"  # the senses of a text, or why there are none


@dataclass(frozen=True)
class Annotator:
    """Finds the senses in texts; loads its pipeline once in each process.

    Args:
        pipeline: name or path of a spaCy pipeline; None takes the installed English one.
        inventory: "homographs", "wordnet" or the path of a .jsonl file.
        method: name of a sense method, or what stands behind ``method =`` in a config.
        spans_key: span group that the pipeline writes senses into.
        factory: makes the pipeline from the first three; by default
            :func:`spacy_attn.components.pipeline.load_pipeline`.
        fields: what is read of each Doc, of :data:`spacy_attn.jobs.fields.FIELDS`. The default
            factory gives the pipeline what they need; another one has to.
        with_doc: add ``doc`` with ``doc.to_bytes()`` too.
        code: Python file that registers components of the pipeline, as spaCy's ``--code``.
        corrections: file of corrections, as the reading page saves them; a word about which it
            says something gets that sense, with the score 1.
        threshold, backoff, names, granularity: settings of ``sense_disambiguator``.
        unwrap: join words that were cut at line ends, and wrapped lines, before the pipeline reads
            a text (:mod:`spacy_attn.jobs.unwrap`); all places are those of the text as given.

    Raises:
        ConfigError: a setting is not allowed. What the pipeline alone can tell is told when it is
            loaded.
    """

    pipeline: str | None = None
    inventory: str = "homographs"
    method: MethodSpec = "attention"
    spans_key: str = "senses"
    factory: PipelineFactory | None = None
    fields: tuple[str, ...] = ("senses",)
    with_doc: bool = False
    code: str | None = None
    corrections: str | None = None
    threshold: float = 0.0
    backoff: MethodSpec | None = None
    names: bool = False
    granularity: str = "fine"
    unwrap: bool = False
    _nlp: Language | None = field(default=None, init=False, repr=False, compare=False)
    _found_width: int | None = field(default=None, init=False, repr=False, compare=False)
    _correct: Callable[[Doc], object] | None = field(
        default=None, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        if self.pipeline is not None and not isinstance(self.pipeline, str):
            raise ConfigError(
                f"pipeline is of type {type(self.pipeline).__name__}: allowed is the name or path "
                "of one, since each process loads its own; save yours with nlp.to_disk(FOLDER), or "
                "give a factory"
            )
        object.__setattr__(self, "fields", parse_fields(self.fields))
        self._check_corrections()
        if self.factory is None:
            self._check_settings()
        elif self.more_settings:
            raise ConfigError(
                f"{', '.join(self.more_settings)}: a factory makes the pipeline; set them there"
            )

    def _check_corrections(self) -> None:
        if self.corrections is not None and not Path(self.corrections).is_file():
            raise ConfigError(
                f"{option_name('corrections')} {self.corrections} does not exist or is no file"
            )

    def _check_settings(self) -> None:
        """Refuse now what the pipeline would refuse when it is loaded, perhaps in a worker."""
        # They bring numpy, which the help of the command line does without.
        from spacy_attn.wsd.decide import check_threshold
        from spacy_attn.wsd.granularity import check_granularity
        from spacy_attn.wsd.inventory.open import check_names
        from spacy_attn.wsd.inventory.sources import check_source

        check_threshold(self.threshold)
        check_granularity(self.granularity, self.inventory)
        check_names(self.names, self.inventory)
        check_source(self.inventory)
        if self.code is None:  # it may register methods
            for setting in ("method", "backoff"):
                _check_method(getattr(self, setting), setting)

    @property
    def more_settings(self) -> dict[str, Any]:
        """Settings of ``sense_disambiguator`` that differ from its own."""
        defaults = {f.name: f.default for f in fields(self)}
        given = {name: getattr(self, name) for name in _MORE_SETTINGS}
        return {name: value for name, value in given.items() if value != defaults[name]}

    def __getstate__(self) -> dict[str, Any]:
        """The settings alone: a loaded pipeline stays in its process."""
        return {item.name: getattr(self, item.name) for item in fields(self) if item.init}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the settings; the pipeline is loaded on first use."""
        for name, value in {**state, **dict.fromkeys(_OF_PROCESS)}.items():
            object.__setattr__(self, name, value)

    def load(self) -> Language:
        """The pipeline of this process, loaded on the first call.

        Raises:
            ConfigError: a setting is wrong.
            InventoryError: the inventory has a broken line.
            ResourceError: the pipeline or a model is missing.
        """
        if self._nlp is None:
            nlp = self._make_pipeline()
            if not self.with_doc:  # the whole Doc is one record
                lift_length_limit(nlp)
            run_first_text(nlp)
            if self.corrections is not None:
                correct = correction_of(nlp, self.corrections, self.spans_key)
                object.__setattr__(self, "_correct", correct)
            object.__setattr__(self, "_nlp", nlp)
            return nlp
        return self._nlp

    def _make_pipeline(self) -> Language:
        if self.code is not None:
            import_code(self.code)
        settings: dict[str, Any] = {"inventory": self.inventory, "method": self.method}
        if self.factory is not None:
            return self.factory(self.pipeline, **settings)
        from spacy_attn.components.pipeline import load_pipeline

        wanted = [FIELDS[name] for name in self.fields]
        # Vectors come first, so that senses read them instead of encoding again.
        in_order = sorted(wanted, key=lambda f: (f.component == DISAMBIGUATOR, not f.is_array))
        components = [each.component for each in in_order if each.component is not None]
        nlp = load_pipeline(
            self.pipeline,
            components=list(dict.fromkeys(components)),
            needs=[name for each in wanted for name in each.needs],
            **settings,
            **self.more_settings,
        )
        check_order(nlp, wanted)
        return nlp

    @property
    def added(self) -> tuple[str, ...]:
        """The names in each row."""
        return (*self.fields, DOC_FIELD) if self.with_doc else self.fields

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        """What :meth:`annotate_table` makes of a table with this schema.

        Loads the pipeline where vectors are wanted, to know their width.

        Raises:
            ConfigError: the table has a column of a name that would be added.
        """
        from spacy_attn.jobs.arrow import add_fields

        return add_fields(schema, (*self.added, ERROR_FIELD), self.vector_width())

    def annotate_table(self, table: pa.Table, text_column: str = "text") -> pa.Table:
        """The table with a column for each field, and ``error``.

        Args:
            table: any table; its columns are carried through as they are.
            text_column: a column of strings.

        *Shape:* as many rows as the table, in their order

        Raises:
            ConfigError: there is no such column, or one of a name that is added.
            ConfigError, InventoryError, ResourceError: as :meth:`load`.
        """
        from spacy_attn.jobs.arrow import annotate_table

        return annotate_table(self, table, text_column)

    def vector_width(self) -> int | None:
        """Of the vectors, where they are wanted.

        Raises:
            ConfigError, InventoryError, ResourceError: as :meth:`load`.
        """
        if "vectors" in self.fields and self._found_width is None:
            nlp = self.load()
            with _memory_zone(nlp):
                width = FIELDS["vectors"].read(nlp(FIRST_TEXT), FIRST_TEXT).shape[1]
            object.__setattr__(self, "_found_width", int(width))
        return self._found_width

    def annotate_rows(self, texts: Sequence[Any]) -> list[Row | TextError]:
        """What the fields say of each text, in order, as plain data.

        A row has the names of :attr:`added`; vectors are an array, the others lists of dicts. When
        the pipeline fails on a batch, its texts are tried one by one. What is no string is an
        error of its own.

        *Shape:* one result for each text

        Raises:
            ConfigError, InventoryError, ResourceError: as :meth:`load`; no text is at fault.
        """
        read = {name: self._reader(name) for name in self.fields}
        if self.with_doc:
            read[DOC_FIELD] = read_doc
        return self._annotate_all(texts, read)

    def annotate(self, texts: Sequence[str]) -> list[Result]:
        """The senses of each text, whatever :attr:`fields` says, in order, as plain data.

        Each sense is ``{"start", "end", "text", "lemma", "sense", "score"}``: character
        offsets into the text as given (end exclusive), and a probability rounded to six
        digits. When the pipeline fails on a batch, its texts are tried one by one.

        *Shape:* one result for each text

        Raises:
            ConfigError, InventoryError, ResourceError: as :meth:`load`; no text is at fault.
        """
        rows = self._annotate_all(texts, {"senses": self._reader("senses")})
        return [row if isinstance(row, TextError) else row["senses"] for row in rows]

    def _reader(self, name: str) -> Reader:
        of = FIELDS[name]
        is_of_senses = of.component == DISAMBIGUATOR
        return partial(of.read, spans_key=self.spans_key) if is_of_senses else of.read

    def _annotate_all(
        self, texts: Sequence[Any], readers: Mapping[str, Reader]
    ) -> list[Row | TextError]:
        """A row for each text, with its places, whatever of it the pipeline reads."""
        if not self.unwrap:
            return self._annotate_pieces(texts, readers)
        from spacy_attn.jobs.wrapped_docs import row_as_given

        nlp = self.load()
        unwrapped = unwrap_all(texts, nlp)
        read = [
            text if each is None else each.text for text, each in zip(texts, unwrapped, strict=True)
        ]
        rows = self._annotate_pieces(read, readers)
        with _memory_zone(nlp):
            return [
                row if each is None or isinstance(row, TextError) else row_as_given(row, each, nlp)
                for row, each in zip(rows, unwrapped, strict=True)
            ]

    def _annotate_pieces(
        self, texts: Sequence[Any], readers: Mapping[str, Reader]
    ) -> list[Row | TextError]:
        """A row for each text; long ones go through the pipeline in pieces, where it allows it."""
        is_cut = not self.with_doc and may_cut(self.load())
        pieces = [
            list(cut(text, _PIECE_CHARS)) if is_cut and isinstance(text, str) else [(0, text)]
            for text in texts
        ]

        def read(doc: Doc, text: str) -> Row:
            return {name: reader(doc, text) for name, reader in readers.items()}

        all_pieces = (piece for each in pieces for _, piece in each)
        runs = batches(all_pieces, _n_chars, _BATCH_CHARS, _BATCH_TEXTS)
        found = iter([row for run in runs for row in self._annotate(run, read)])
        rows: list[Row | TextError] = []
        for each in pieces:
            of_text = [next(found) for _ in each]
            errors = [row for row in of_text if isinstance(row, TextError)]
            rows.append(errors[0] if errors else join(of_text, [start for start, _ in each]))
        return rows

    def _annotate(self, texts: Sequence[str], read: Reader) -> list[Any]:
        nlp = self.load()
        results: dict[int, Any] = {}
        good: list[int] = []
        for index, text in enumerate(texts):
            reason = _check_text(text, nlp.max_length)
            if reason is None:
                good.append(index)
            else:
                results[index] = TextError(reason)
        found = self._annotate_batch(nlp, [texts[index] for index in good], read)
        results.update(zip(good, found, strict=True))
        return [results[index] for index in range(len(texts))]

    def _annotate_batch(self, nlp: Language, texts: list[str], read: Reader) -> list[Any]:
        if not texts:
            return []
        try:
            with _memory_zone(nlp):
                return self._run(nlp, texts, read)
        except NOT_THE_TEXT:
            raise
        except Exception as error:
            if len(texts) == 1:
                # Only words are kept: the exception's frames hold Docs of the closed zone.
                return [TextError(f"the pipeline failed: {describe(error)}")]
        # Whatever it was, one by one shows whose it is.
        return [self._annotate_batch(nlp, [text], read)[0] for text in texts]

    def _run(self, nlp: Language, texts: list[str], read: Reader) -> list[Any]:
        """Results are built inside the memory zone and hold nothing that lives in it."""
        results: list[Any] = []
        for doc in nlp.pipe(texts, batch_size=len(texts)):
            if len(results) == len(texts):
                raise ValueError("the pipeline gave more documents than it was given texts")
            text = texts[len(results)]
            if doc.text != text:
                raise ValueError("a component changed the text, so that offsets would be wrong")
            if self._correct is not None:
                self._correct(doc)
            results.append(read(doc, text))
        if len(results) != len(texts):
            # An error handler set on the pipeline dropped a document in silence.
            raise ValueError("the pipeline dropped the document")
        return results


def _check_method(method: MethodSpec | None, setting: str) -> None:
    """Refuse a method that does not exist; spaCy is imported for those of a user only."""
    if method is None and setting == "backoff":
        return
    points = [point.name for point in entry_points(group=_METHODS)]
    if not any(name == method or name.startswith(f"spacy_attn.{method}.v") for name in points):
        from spacy_attn.wsd.methods.registry import sense_method

        sense_method(cast("MethodSpec", method), setting)


def _n_chars(text: object) -> int:
    return len(text) if isinstance(text, str) else 0


@contextmanager
def _memory_zone(nlp: Language) -> Iterator[None]:
    """Free the strings and lexemes of these texts at the end; zones do not nest."""
    if getattr(nlp.vocab, "in_memory_zone", False):
        yield
        return
    with nlp.memory_zone():
        yield


def _check_text(text: object, max_length: int) -> str | None:
    """Why spaCy cannot take this text, or None if it can."""
    if not isinstance(text, str):
        return f"the text is not a string but of type {type(text).__name__}"
    if len(text) > max_length:
        return (
            f"the text has {len(text):,} characters and the pipeline's parser or NER, or a whole "
            f"Doc, takes at most {max_length:,}; split it, or use a --pipeline without them"
        )
    return find_surrogate(text)
