"""The factory ``relation_extractor``: who does what to whom, on ``doc._.relations``.

A pattern file has one JSON object a line::

    {"name": "object", "kind": "clause",
     "pattern": [{"RIGHT_ID": "verb", "RIGHT_ATTRS": {"POS": "VERB"}},
                 {"LEFT_ID": "verb", "REL_OP": ">", "RIGHT_ID": "object",
                  "RIGHT_ATTRS": {"DEP": "dobj"}}],
     "roles": {"predicate": "verb", "object": "object"}}

``pattern`` is a pattern of spaCy's ``DependencyMatcher``. ``roles`` says which of its nodes is
``predicate`` (needed), ``subject``, ``object``, ``particle`` and ``preposition``. A role that
is not named is found in the tree: the subject of the verb (inherited or shared; of a passive
verb the agent), the object of the preposition, of a passive verb its grammatical subject, of a
relative clause the noun before it. ``kind`` is ``"clause"`` (the default) or ``"noun"``, where
the predicate is a noun between two names ("Tim Cook, the CEO of Apple"). ``word`` is put after
the relation where the sentence has no word for it ("gave him a book": give *to* him).

The ``DependencyMatcher`` tries all combinations of a sentence's tokens that fit the nodes one
by one: patterns of two or three nodes with narrow ``RIGHT_ATTRS`` are fast, and "POS": "VERB"
is faster than a list of values. A sentence of more than ``MAX_SENTENCE`` tokens is passed over.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

from spacy.language import Language
from spacy.matcher import DependencyMatcher
from spacy.tokens import Doc
from spacy.vocab import Vocab
from thinc.api import Config

from spacy_attn.classic.relations import (
    BUNDLED,
    RelationPattern,
    load_patterns,
    parse_patterns,
    read_relations,
)
from spacy_attn.components.extensions import (
    install_relation_extension,
    refuse_shared_names,
    set_relations,
)
from spacy_attn.components.relation_view import relation_view
from spacy_attn.components.saving import SavedInOneFile
from spacy_attn.errors import ConfigError, ResourceError

logger = logging.getLogger("spacy_attn")

DEFAULT_CONFIG = """
[relation_extractor]
# A pattern file of yours (JSONL); null: the bundled patterns alone.
patterns = null
# Whether yours are added to the bundled ones (the same name replaces one) or stand alone.
extend = true
# The Doc attribute: doc._.relations
attr = "relations"
# Whether names are related by nouns too ("the CEO of Apple"), by patterns of kind "noun".
entities = true
"""

#: Tokens. Time grows with a power of the sentence's length, as the matcher tries combinations.
MAX_SENTENCE = 300

# What the patterns may ask of a token, and which pipe writes it.
_PIPES = {
    "DEP": ("a dependency parse", '"parser"'),
    "POS": ("parts of speech", '"tagger" and "attribute_ruler" (or "morphologizer")'),
    "TAG": ("tags", '"tagger"'),
    "LEMMA": ("lemmas", '"lemmatizer"'),
}


@Language.factory(
    "relation_extractor",
    requires=["token.dep", "token.head"],
    assigns=["doc._.relations"],
    default_config=Config().from_str(DEFAULT_CONFIG)["relation_extractor"],
)
def make_relation_extractor(
    nlp: Language, name: str, patterns: str | Path | None, extend: bool, attr: str, entities: bool
) -> RelationExtractor:
    """Read subject-verb-object and entity-relation-entity triples from the parse.

    ``DEFAULT_CONFIG`` describes the settings.

    Raises:
        ConfigError: the attribute is taken, ``patterns`` is an empty text, or
            ``extend = false`` without a file.
        ResourceError: a line of the file is broken.
    """
    refuse_shared_names(nlp, name, {"attr": f"doc._.{attr}"})
    return RelationExtractor(
        nlp.vocab, patterns=patterns, extend=extend, attr=attr, entities=entities, name=name
    )


class RelationExtractor(SavedInOneFile):
    """Writes ``doc._.relations``, a list of :class:`~spacy_attn.classic.relations.Relation`.

    The patterns are read at construction and travel with the pipeline: a saved one needs the
    pattern file no more. A Doc without tokens but white space has no relations.
    """

    saved_as = "relations.jsonl"

    def __init__(
        self,
        vocab: Vocab,
        *,
        patterns: str | Path | None = None,
        extend: bool = True,
        attr: str = "relations",
        entities: bool = True,
        name: str = "relation_extractor",
    ) -> None:
        if patterns is None and not extend:
            raise ConfigError(
                "extend = false without patterns leaves no pattern; give patterns = the path of "
                "a .jsonl file or extend = true"
            )
        if patterns is not None and not str(patterns).strip():
            raise ConfigError(
                f"patterns = {str(patterns)!r} names no file; give the path of a .jsonl file, or "
                "null for the bundled patterns alone"
            )
        self.name, self.attr, self.entities = name, attr, entities
        self._vocab = vocab
        self._missing = ""  # what is wrong as long as there are no patterns
        install_relation_extension(attr)
        own: list[RelationPattern] = []
        try:
            own = load_patterns(patterns) if patterns is not None else []
        except ResourceError as error:
            if Path(patterns or "").expanduser().is_file():
                raise
            # Not yet an error: a saved pipeline brings its patterns in from_disk, after this.
            self._missing = str(error)
        self._use([*(load_patterns(BUNDLED) if extend else []), *own])

    @property
    def written_names(self) -> dict[str, str]:
        """Setting and the attribute that it names."""
        return {"attr": f"doc._.{self.attr}"}

    @property
    def patterns(self) -> list[RelationPattern]:
        """The patterns in use, the bundled ones first."""
        return list(self._patterns.values())

    def __call__(self, doc: Doc) -> Doc:
        """Write the relations of one Doc.

        Raises:
            ConfigError: the Doc lacks the parse or another annotation that the patterns read.
            ResourceError: the pattern file of the config is not there.
        """
        install_relation_extension(self.attr)  # a spawned child starts without extensions
        if self._missing:
            raise ResourceError(self._missing)
        if len(doc) == 0 or doc.text.isspace():
            set_relations(doc, self.attr, [])
            return doc
        self._check(doc)
        view, marks = relation_view(doc)
        set_relations(doc, self.attr, read_relations(view, self._matches(view), marks))
        return doc

    def _matches(self, doc: Doc) -> Iterator[tuple[RelationPattern, list[int]]]:
        """What the patterns find, sentence for sentence where one of them is too long."""
        parts: list[tuple[int, Doc]] = [(0, doc)]
        if len(doc) > MAX_SENTENCE and any(len(sent) > MAX_SENTENCE for sent in doc.sents):
            sentences = [sent for sent in doc.sents if len(sent) <= MAX_SENTENCE]
            parts = [(sent.start, sent.as_doc()) for sent in sentences]
            logger.warning(
                "%s: a sentence of more than %d tokens is passed over; is its text prose, and "
                "does the pipeline set sentences?",
                self.name,
                MAX_SENTENCE,
            )
        for start, part in parts:
            for key, tokens in self._matcher(part):
                # By the matcher's own strings: the Doc may come from another pipeline's vocab.
                name = self._matcher.vocab.strings[key]
                yield self._patterns[name], [start + i for i in tokens]

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """The patterns in use, as a pattern file."""
        return "".join(pattern.to_line() + "\n" for pattern in self.patterns).encode()

    def _restore(self, data: bytes, where: str) -> None:
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise ResourceError(
                f"no patterns of relation_extractor in {where}; save the pipeline again"
            ) from error
        self._use(parse_patterns(text, where))
        self._missing = ""

    def _use(self, patterns: Iterable[RelationPattern]) -> None:
        by_name = {pattern.name: pattern for pattern in patterns}
        self._patterns = by_name
        self._matcher = DependencyMatcher(self._vocab)
        asked = {"DEP"}
        for pattern in by_name.values():
            if pattern.kind == "clause" or self.entities:
                self._matcher.add(pattern.name, [pattern.nodes])
                asked.update(key for node in pattern.nodes for key in node["RIGHT_ATTRS"])
        self._asked = [name for name in _PIPES if name in asked]

    def _check(self, doc: Doc) -> None:
        """Refuse a Doc whose missing annotation would mean no result without a word."""
        for attribute in self._asked:
            if not doc.has_annotation(attribute):
                what, pipe = _PIPES[attribute]
                raise ConfigError(
                    f"{self.name!r} reads {what}, which this Doc lacks; add {pipe} before it, for "
                    'example with nlp = spacy.load("en_core_web_sm")'
                )
