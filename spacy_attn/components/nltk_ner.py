"""The factory ``nltk_ner``: NLTK's named entities in ``doc.ents`` or in a span group."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc, Span, SpanGroup
from thinc.api import Config

from spacy_attn.classic.entities import (
    EntityChunker,
    NltkEntityChunker,
    check_merge_rule,
    free_entities,
)
from spacy_attn.classic.sequence import LabelledSpan, SequenceTagger, TrainedChunker
from spacy_attn.components.extensions import refuse_shared_names
from spacy_attn.components.saving import SavedInOneFile
from spacy_attn.components.tagged_sentences import find_spans
from spacy_attn.errors import ConfigError

DEFAULT_CONFIG = """
[nltk_ner]
# A tagger trained by spacy-attn train-chunker --task entities; null: NLTK's own chunker, which
# needs NLTK's data maxent_ne_chunker_tab and words.
model = null
# Whether NLTK's own chunker finds names without telling their kinds apart (label NE).
binary = false
# How entities join those in doc.ents: "fill" (existing ones stay, ours go where all tokens are
# free), "keep" (a Doc with entities stays as it is) or "replace".
merge = "fill"
# A span group to write instead; doc.ents then stays as it is, and merge has no effect.
spans_key = null
"""
TASK = "entities"
_BLOCKED = ("B", "")  # spaCy's state of a token that is said to be in no entity


@Language.factory(
    "nltk_ner",
    assigns=["doc.ents", "token.ent_iob", "token.ent_type"],
    requires=["token.tag"],
    default_config=Config().from_str(DEFAULT_CONFIG)["nltk_ner"],
)
def make_nltk_ner(
    nlp: Language,
    name: str,
    model: str | Path | None,
    binary: bool,
    merge: str,
    spans_key: str | None,
) -> NltkNer:
    """Find named entities with an NLTK chunker over the tags of the pipeline.

    ``DEFAULT_CONFIG`` describes the settings.

    Raises:
        ConfigError: a setting is wrong, the span group is written by somebody else, or
            NLTK's own chunker is asked for in another language than English.
    """
    if model is None and nlp.lang not in {"en", "xx"}:
        raise ConfigError(
            f"NLTK's own chunker is English and this pipeline has lang = {nlp.lang!r}; give "
            f"model = the path of a tagger trained with: spacy-attn train-chunker --task {TASK}"
        )
    component = NltkNer(model=model, binary=binary, merge=merge, spans_key=spans_key, name=name)
    refuse_shared_names(nlp, name, component.written_names)
    return component


class NltkNer(SavedInOneFile):
    """NLTK's named entities in a pipeline.

    Words are tagged sentence by sentence where the Doc has sentences, else all at once. Tokens
    without a visible character are left out; an entity may run over them, but begins and ends
    with a word. A model is read at the first text.

    What becomes of the states of ``Doc.set_ents``: a token that is blocked stays blocked, by
    every rule; a token whose state is missing and that no entity takes is outside afterwards,
    as after spaCy's own ``ner``. With ``keep`` a Doc that has entities is not touched at all.
    Two components may write to ``doc.ents``: the rule of the later one decides.
    """

    saved_as = "tagger"

    def __init__(
        self,
        *,
        model: str | Path | None = None,
        binary: bool = False,
        merge: str = "fill",
        spans_key: str | None = None,
        name: str = "nltk_ner",
    ) -> None:
        check_merge_rule(merge)
        if model is not None and binary:
            raise ConfigError(
                f"binary = true is for NLTK's own chunker, and model = {str(model)!r} names a "
                "trained one; remove one of them"
            )
        if model is not None and not str(model).strip():
            raise ConfigError(
                f"model = {str(model)!r}; give the path of a tagger, or null for NLTK's own chunker"
            )
        if spans_key == "":
            raise ConfigError(
                "spans_key = ''; allowed: the name of a span group, and null for doc.ents"
            )
        self.name = name
        self.model = None if model is None else Path(model).expanduser().absolute()
        self.may_lack_file = model is None
        self.merge, self.spans_key = merge, spans_key
        self._chunker: EntityChunker | None = (
            NltkEntityChunker(binary=binary) if model is None else None
        )

    @property
    def written_names(self) -> dict[str, str]:
        """Setting and the span group that it names; entities of ``doc.ents`` are merged."""
        return {} if self.spans_key is None else {"spans_key": f"doc.spans[{self.spans_key!r}]"}

    def __call__(self, doc: Doc) -> Doc:
        """Write the entities of one Doc.

        Raises:
            ConfigError: the Doc has words and no tags.
            ResourceError: the model or NLTK's data is missing or damaged.
        """
        if self.spans_key is not None:
            spans = [Span(doc, *span) for span in self.find(doc)]
            doc.spans[self.spans_key] = SpanGroup(doc, name=self.spans_key, spans=spans)
        elif not (self.merge == "keep" and doc.ents):  # else not even the states change
            self._write_ents(doc)
        return doc

    def find(self, doc: Doc) -> list[LabelledSpan]:
        """The entities of a Doc, as token spans, without writing them.

        Raises:
            ConfigError, ResourceError: as ``__call__``.
        """
        return find_spans(self, doc)

    def _write_ents(self, doc: Doc) -> None:
        blocked = [t.i for t in doc if (t.ent_iob_, t.ent_type_) == _BLOCKED]
        existing = list(doc.ents)
        taken = free_entities(
            self.find(doc),
            [(span.start, span.end) for span in existing],
            rule=self.merge,
            blocked=blocked,
        )
        if self.merge == "replace":
            _forget(existing)
            existing = []
        doc.set_ents(
            [*existing, *(Span(doc, *span) for span in taken)],
            blocked=[doc[i : i + 1] for i in blocked],
            default="outside",
        )

    @property
    def chunker(self) -> EntityChunker:
        """What finds the entities, read from its file if that was not done yet.

        Raises:
            ResourceError: the file is missing or damaged.
        """
        if self._chunker is None:
            self._chunker = TrainedChunker(SequenceTagger.load(str(self.model)), TASK)
        return self._chunker

    # -- saving --------------------------------------------------------------------------

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """The trained model; nothing for NLTK's own chunker, whose data stays with NLTK.

        Raises:
            ResourceError: the file of the model is missing or damaged.
        """
        chunker = self.chunker
        return chunker.tagger.to_bytes() if isinstance(chunker, TrainedChunker) else b""

    def _restore(self, data: bytes, where: str) -> None:
        if data or self.model is not None:
            self._chunker = TrainedChunker(SequenceTagger.from_bytes(data, where=where), TASK)


def _forget(entities: Iterable[Span]) -> None:
    """Clear what ``Doc.set_ents`` leaves on the tokens of entities that go: their ids."""
    for token in (token for span in entities for token in span):
        token.ent_id_ = token.ent_kb_id_ = ""
