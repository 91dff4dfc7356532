"""The factory ``nltk_chunker``: phrases as a span group, by a grammar or a trained tagger."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example
from thinc.api import Config

from spacy_attn.classic.chunk import (
    DEFAULT_GRAMMAR,
    Chunker,
    GrammarChunker,
    is_grammar_text,
)
from spacy_attn.classic.grammar_file import read_grammar_file
from spacy_attn.classic.sequence import LabelledSpan, SequenceTagger, TrainedChunker
from spacy_attn.components.extensions import refuse_shared_names
from spacy_attn.components.saving import SavedInOneFile
from spacy_attn.components.tagged_sentences import find_spans
from spacy_attn.errors import ConfigError

DEFAULT_CONFIG = """
[nltk_chunker]
# Rules for NLTK's RegexpParser over Penn tags (a text with one of <>{} or several lines), or the
# path of a file with them; null: the default grammar (NP, VP, PP, CLAUSE; ADJP, ADVP, PRT, SBAR).
grammar = null
# A tagger trained by spacy-attn train-chunker, in place of a grammar.
model = null
# The span group: doc.spans["chunks"]
spans_key = "chunks"

[nltk_chunker.scorer]
@scorers = "spacy.spancat_scorer.v1"
"""


@Language.factory(
    "nltk_chunker",
    assigns=["doc.spans"],
    requires=["token.tag"],
    default_config=Config().from_str(DEFAULT_CONFIG)["nltk_chunker"],
    # No weight in the score of a training: a user who trains something else has no gold chunks.
    default_score_weights={"spans_chunks_f": 0.0, "spans_chunks_p": 0.0, "spans_chunks_r": 0.0},
)
def make_nltk_chunker(
    nlp: Language,
    name: str,
    grammar: str | Path | None,
    model: str | Path | None,
    spans_key: str,
    scorer: Callable[..., dict[str, Any]] | None,
) -> NltkChunker:
    """Find the phrases of each sentence from the tags of the pipeline.

    ``DEFAULT_CONFIG`` describes the settings.

    Raises:
        ConfigError: a setting is wrong, both a grammar and a model are given, the grammar
            has a mistake, or the span group is written by somebody else.
        ResourceError: NLTK is missing. (A file that is not there is an error at the first text,
            because a saved pipeline brings its grammar or tagger along.)
    """
    chunker = NltkChunker(
        grammar=grammar, model=model, spans_key=spans_key, scorer=scorer, name=name
    )
    refuse_shared_names(nlp, name, chunker.written_names)
    return chunker


class NltkChunker(SavedInOneFile):
    """Writes the chunks of a Doc as a span group, ``label_`` being the type of the phrase.

    Spans are sorted by their start; of two that start together the longer comes first. With a
    grammar they may be nested: the default grammar's PP holds its NP, and a CLAUSE the phrases
    that it is made of. A trained tagger finds what its training data has; by CoNLL-2000 the
    chunks do not overlap, and a PP is the preposition alone.

    Sentences are ``doc.sents``; in a pipeline that sets no boundaries the whole Doc is one
    sentence. A grammar reads at most ``MAX_SENTENCE`` tokens at once
    (:mod:`spacy_attn.classic.chunk`): a longer sentence is cut, behind a full stop where it has
    one. Tokens of white space are left out; a chunk may run over them, but begins and ends with
    a word. The grammar or tagger is saved with the pipeline, so its file may be gone later.
    """

    def __init__(
        self,
        *,
        grammar: str | Path | None = None,
        model: str | Path | None = None,
        spans_key: str = "chunks",
        scorer: Callable[..., dict[str, Any]] | None = None,
        name: str = "nltk_chunker",
    ) -> None:
        if grammar is not None and model is not None:
            raise ConfigError(
                f"{name!r} has both a grammar and model = {str(model)!r}; remove one of them"
            )
        for setting, value in (("grammar", grammar), ("model", model)):
            if value is not None and not str(value).strip(" \t"):
                raise ConfigError(
                    f"{setting} = {str(value)!r}; give the path of a file, or null for the "
                    "default grammar"
                )
        if not spans_key:
            raise ConfigError("spans_key = ''; give the name of a span group, such as 'chunks'")
        self.name = name
        self.model = None if model is None else Path(model).expanduser().absolute()
        self.saved_as = "grammar.txt" if model is None else "tagger"
        self.spans_key = spans_key
        self.scorer = scorer
        self._grammar = DEFAULT_GRAMMAR if grammar is None else str(grammar)
        self._chunker: Chunker | None = None
        if grammar is not None and is_grammar_text(self._grammar):
            self._chunker = GrammarChunker(self._grammar)
        elif grammar is not None:
            self._grammar = str(Path(self._grammar).expanduser().absolute())

    @property
    def written_names(self) -> dict[str, str]:
        """Setting and the span group that it names."""
        return {"spans_key": f"doc.spans[{self.spans_key!r}]"}

    @property
    def chunker(self) -> Chunker:
        """What finds the chunks, read from its file if that was not done yet.

        Raises:
            ConfigError: the grammar has a mistake, or the tagger was trained for another task.
            ResourceError: NLTK or the file is missing, or the file is damaged.
        """
        if self._chunker is None:
            if self.model is not None:
                self._chunker = TrainedChunker(SequenceTagger.load(self.model), "chunks")
            elif is_grammar_text(self._grammar):
                self._chunker = GrammarChunker(self._grammar)
            else:
                instead = "rules such as 'NP: {<DT>?<NN.*>+}'"
                self._chunker = GrammarChunker(read_grammar_file(self._grammar, instead))
        return self._chunker

    def __call__(self, doc: Doc) -> Doc:
        """Write the chunks of one Doc.

        Raises:
            ConfigError: the Doc has words and no tags, or as :attr:`chunker`.
            ResourceError: as :attr:`chunker`.
        """
        spans = [Span(doc, *span) for span in self.find(doc)]
        doc.spans[self.spans_key] = SpanGroup(doc, name=self.spans_key, spans=spans)
        return doc

    def find(self, doc: Doc) -> list[LabelledSpan]:
        """The chunks of a Doc, as token spans, without writing them.

        Raises:
            ConfigError, ResourceError: as ``__call__``.
        """
        return find_spans(self, doc, in_parts=True)

    def score(self, examples: Iterable[Example], **settings: Any) -> dict[str, Any]:
        """Precision, recall and F1 of the span group, for ``nlp.evaluate``."""
        if self.scorer is None:
            return {}
        return self.scorer(examples, **{"spans_key": self.spans_key, **settings})

    # -- saving --------------------------------------------------------------------------

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """The tagger, or the text of the grammar; the rest is in the config of the pipeline.

        Raises:
            ConfigError, ResourceError: as :attr:`chunker`.
        """
        chunker = self.chunker
        if isinstance(chunker, TrainedChunker):
            return chunker.tagger.to_bytes()
        return chunker.grammar.encode() if isinstance(chunker, GrammarChunker) else b""

    def _restore(self, data: bytes, where: str) -> None:
        if self.model is not None:
            self._chunker = TrainedChunker(SequenceTagger.from_bytes(data, where=where), "chunks")
        else:
            self._chunker = GrammarChunker(data.decode(errors="replace"))
