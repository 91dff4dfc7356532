"""The core that every runner of jobs calls: texts in, plain data out.

An Annotator is a few settings. It can be pickled, sent to another process and used there;
each process loads the pipeline when the first text arrives.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from spacy_attn.errors import ConfigError, InventoryError, ResourceError

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

    from spacy_attn._types import PlainData

__all__ = ["Annotator", "PipelineFactory", "Result", "TextError"]

# These say that the call or the installation is wrong: no text can succeed, the job stops.
_NOT_THE_TEXT: Final = (ConfigError, InventoryError, ResourceError)
# spaCy's limit of 1,000,000 characters guards the memory of these components only.
_HUNGRY_FACTORIES: Final = frozenset({"parser", "ner", "beam_parser", "beam_ner"})
_REASON_CHARS: Final = 500
_SCORE_DIGITS: Final = 6
# Holds a word of the bundled inventory, so that every component has something to do.
_FIRST_TEXT: Final = "The bat flew at night."


class PipelineFactory(Protocol):
    """Makes the spaCy pipeline; a module-level function, so that it can be pickled."""

    def __call__(self, pipeline: str | None, *, inventory: str, method: str) -> Language:
        """A pipeline whose Docs carry the records of ``sense_disambiguator``."""
        ...


@dataclass(frozen=True, slots=True)
class TextError:
    """Why one text could not be annotated: a value, so that the others go on."""

    reason: str


Result: TypeAlias = "list[PlainData] | TextError"  # the senses of a text, or why there are none


@dataclass(frozen=True)
class Annotator:
    """Finds the senses in texts; loads its pipeline once in each process.

    Args:
        pipeline: name or path of a spaCy pipeline; None takes the installed English one.
        inventory: "homographs" or the path of a .jsonl file.
        method: sense method.
        spans_key: span group that the pipeline writes senses into.
        factory: makes the pipeline from the first three; by default
            :func:`spacy_attn.components.pipeline.load_pipeline`.
    """

    pipeline: str | None = None
    inventory: str = "homographs"
    method: str = "attention"
    spans_key: str = "senses"
    factory: PipelineFactory | None = None
    _nlp: Language | None = field(default=None, init=False, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        """The settings alone: a loaded pipeline stays in its process."""
        return {item.name: getattr(self, item.name) for item in fields(self) if item.init}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the settings; the pipeline is loaded on first use."""
        for name, value in {**state, "_nlp": None}.items():
            object.__setattr__(self, name, value)

    def load(self) -> Language:
        """The pipeline of this process, loaded on the first call.

        Raises:
            ConfigError: a setting is wrong.
            InventoryError: the inventory has a broken line.
            ResourceError: the pipeline or a model is missing.
        """
        if self._nlp is None:
            factory = self.factory or _default_factory()
            nlp = factory(self.pipeline, inventory=self.inventory, method=self.method)
            _lift_length_limit(nlp)
            _run_first_text(nlp)
            object.__setattr__(self, "_nlp", nlp)
            return nlp
        return self._nlp

    def annotate(self, texts: Sequence[str]) -> list[Result]:
        """The senses of each text, in order, as plain data.

        Each sense is ``{"start", "end", "text", "lemma", "sense", "score"}``: character
        offsets into the text as given (end exclusive), and a probability rounded to six
        digits. When the pipeline fails on a batch, its texts are tried one by one.

        *Shape:* one result for each text

        Raises:
            ConfigError, InventoryError, ResourceError: as :meth:`load`; no text is at fault.
        """
        nlp = self.load()
        results: dict[int, Result] = {}
        good: list[int] = []
        for index, text in enumerate(texts):
            reason = _check_text(text, nlp.max_length)
            if reason is None:
                good.append(index)
            else:
                results[index] = TextError(reason)
        found = self._annotate_batch(nlp, [texts[index] for index in good])
        results.update(zip(good, found, strict=True))
        return [results[index] for index in range(len(texts))]

    def _annotate_batch(self, nlp: Language, texts: list[str]) -> list[Result]:
        if not texts:
            return []
        if len(texts) > 1:
            try:
                with _memory_zone(nlp):
                    return self._run(nlp, texts)
            except _NOT_THE_TEXT:
                raise
            except Exception:  # noqa: S110  # whatever it was, one by one shows whose it is
                pass
        return [self._annotate_one(nlp, text) for text in texts]

    def _annotate_one(self, nlp: Language, text: str) -> Result:
        try:
            with _memory_zone(nlp):
                return self._run(nlp, [text])[0]
        except _NOT_THE_TEXT:
            raise
        except Exception as error:
            # Only words are kept: the exception's frames hold Docs of the closed zone.
            return TextError(f"the pipeline failed: {_describe(error)}")

    def _run(self, nlp: Language, texts: list[str]) -> list[Result]:
        """Results are built inside the memory zone and hold nothing that lives in it."""
        results: list[Result] = []
        for doc in nlp.pipe(texts, batch_size=len(texts)):
            if len(results) == len(texts):
                raise ValueError("the pipeline gave more documents than it was given texts")
            results.append(_read_senses(doc, texts[len(results)], self.spans_key))
        if len(results) != len(texts):
            # An error handler set on the pipeline dropped a document in silence.
            raise ValueError("the pipeline dropped the document")
        return results


def _default_factory() -> PipelineFactory:
    from spacy_attn.components.pipeline import load_pipeline

    return load_pipeline


def _lift_length_limit(nlp: Language) -> None:
    names = nlp.pipe_names
    if not any(nlp.get_pipe_meta(name).factory in _HUNGRY_FACTORIES for name in names):
        nlp.max_length = sys.maxsize


def _run_first_text(nlp: Language) -> None:
    """Let components load what they load late, before the first memory zone opens.

    What is built inside a zone must not outlive it, and a missing model is told here.
    """
    for _name, component in nlp.pipeline:
        prepare = getattr(component, "prepared", None)
        if prepare is not None:
            prepare()
    try:
        for _doc in nlp.pipe([_FIRST_TEXT]):
            pass
    except _NOT_THE_TEXT:
        raise
    except Exception:  # noqa: S110  # the records will tell, each with its own reason
        pass


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
            f"the text has {len(text):,} characters and the pipeline's parser or NER takes at "
            f"most {max_length:,}; split it, or use a --pipeline without them"
        )
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        return f"lone surrogate U+{code:04X} at character {error.start}: it is no character"
    return None


def _read_senses(doc: Doc, text: str, spans_key: str) -> list[PlainData]:
    from spacy_attn.components.extensions import sense_records

    if doc.text != text:
        raise ValueError("a component changed the text, so that offsets would be wrong")
    if spans_key not in doc.spans:
        # A pipeline of the user's own may write elsewhere; that must not look like no senses.
        groups = ", ".join(map(repr, doc.spans)) or "none"
        raise ConfigError(
            f"the pipeline writes no span group {spans_key!r} (its groups: {groups}); "
            f"set spans_key = {spans_key!r} in the config of its sense_disambiguator"
        )
    return [_read_sense(record, text) for record in sense_records(doc, spans_key)]


def _read_sense(record: PlainData, text: str) -> PlainData:
    start, end, score = int(record["start"]), int(record["end"]), float(record["score"])
    if not math.isfinite(score):
        raise ValueError(f"the score at characters {start} to {end} is {score}")
    return {
        "start": start,
        "end": end,
        "text": text[start:end],
        "lemma": record["lemma"],
        "sense": record["sense"],
        "score": round(score, _SCORE_DIGITS),
    }


def _describe(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"[:_REASON_CHARS]
