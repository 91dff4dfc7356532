"""The factory ``nltk_parser``: a tree for each sentence by the user's grammar."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, Span, Token
from thinc.api import Config

from spacy_attn.classic.grammar_file import read_grammar_file
from spacy_attn.classic.parse import (
    MAX_SYMBOLS,
    GrammarParser,
    Parse,
    check_limits,
    escape_leaf,
    is_grammar_text,
)
from spacy_attn.components.extensions import install_parse_extensions, refuse_shared_names
from spacy_attn.components.saving import SavedInOneFile
from spacy_attn.errors import ConfigError, allowed_names
from spacy_attn.sentences import sentence_starts

logger = logging.getLogger("spacy_attn")

DEFAULT_CONFIG = """
[nltk_parser]
# The productions (a text with an arrow), or the path of a file with them; with probabilities in
# brackets a PCFG.
grammar = null
# "chart" (the first tree), "viterbi" (the most probable one), "auto" (viterbi for a PCFG).
method = "auto"
# What the grammar's terminals match: "lower" (words in any case), "text", "lemma", "tag", "pos".
terminals = "lower"
# Whether punctuation that the grammar lacks is left out; else such a sentence is "uncovered".
skip_punct = false
# Limits for one sentence. The first gives the same result on every machine.
max_edges = 10000
max_seconds = 5.0
# The largest grammar that is read; both sides of the productions count.
max_symbols = 100000
# Span attributes: the bracketed tree or null, how parsing ended, and numbers about it.
attr = "parse_tree"
status_attr = "parse_status"
details_attr = "parse_details"
"""

#: What a terminal of the grammar may match, and the annotation that this needs.
TERMINALS = {"text": None, "lower": None, "lemma": "LEMMA", "tag": "TAG", "pos": "POS"}


@Language.factory(
    "nltk_parser",
    assigns=["span._.parse_tree", "span._.parse_status", "span._.parse_details"],
    default_config=Config().from_str(DEFAULT_CONFIG)["nltk_parser"],
)
def make_nltk_parser(
    nlp: Language,
    name: str,
    grammar: str | Path | None,
    method: str,
    terminals: str,
    skip_punct: bool,
    max_edges: int,
    max_seconds: float,
    max_symbols: int,
    attr: str,
    status_attr: str,
    details_attr: str,
) -> NltkParser:
    """Parse each sentence with a grammar, by NLTK's chart or Viterbi parser.

    ``DEFAULT_CONFIG`` describes the settings.

    Raises:
        ConfigError: a setting is wrong, the grammar has a mistake, or an attribute is taken.
        ResourceError: NLTK is not installed. (A file that is not there is an error at the first
            text, because a saved pipeline brings its grammar along.)
    """
    parser = NltkParser(
        grammar,
        method=method,
        terminals=terminals,
        skip_punct=skip_punct,
        max_edges=max_edges,
        max_seconds=max_seconds,
        max_symbols=max_symbols,
        attr=attr,
        status_attr=status_attr,
        details_attr=details_attr,
        name=name,
    )
    refuse_shared_names(nlp, name, parser.written_names)
    return parser


class NltkParser(SavedInOneFile):
    """Writes a bracketed tree, a status and details on each sentence of a Doc.

    ``span._.parse_tree`` is a string such as ``(S (NP (Det The) (N bat)) (VP (V flew)))``, or
    None; ``span._.parse_status`` a key of :data:`spacy_attn.classic.parse.STATUSES`;
    ``span._.parse_details`` a dict with ``n_edges``, ``log_probability`` (None for a CFG) and
    ``uncovered``, the words without a terminal. All three are None for a span that is no
    sentence. :func:`spacy_attn.classic.parse.read_tree` makes an ``nltk.Tree`` of the string.

    Leaves are the tokens' texts; with ``terminals = "tag"`` or ``"pos"`` the tag stands above
    its token, as in a treebank. White space is left out. Sentences are ``doc.sents``; in a
    pipeline that sets no boundaries the whole Doc is one sentence, ``doc[:]``.

    The text of the grammar is saved with the pipeline, so a file may be gone later.
    """

    saved_as = "grammar.txt"

    def __init__(
        self,
        grammar: str | Path | None,
        *,
        method: str = "auto",
        terminals: str = "lower",
        skip_punct: bool = False,
        max_edges: int = 10_000,
        max_seconds: float = 5.0,
        max_symbols: int = MAX_SYMBOLS,
        attr: str = "parse_tree",
        status_attr: str = "parse_status",
        details_attr: str = "parse_details",
        name: str = "nltk_parser",
    ) -> None:
        if not grammar:
            raise ConfigError(
                f"{name!r} needs a grammar; give grammar = the path of a file, or the "
                "productions themselves, such as \"S -> 'hello'\""
            )
        if terminals not in TERMINALS:
            raise ConfigError(
                f"terminals = {terminals!r} is nothing that tokens have here; "
                f"{allowed_names(terminals, TERMINALS)}"
            )
        if len({attr, status_attr, details_attr}) < 3:
            raise ConfigError(
                f"attr = {attr!r}, status_attr = {status_attr!r} and details_attr = "
                f"{details_attr!r} have to differ; rename one"
            )
        check_limits(method, max_edges, max_seconds, max_symbols)
        self.name = name
        self.terminals = terminals
        self.skip_punct = skip_punct
        self.attr, self.status_attr, self.details_attr = attr, status_attr, details_attr
        self._grammar = str(grammar)
        self._settings: dict[str, Any] = {
            "method": method,
            "ignore_case": terminals == "lower",
            "max_edges": max_edges,
            "max_seconds": max_seconds,
            "max_symbols": max_symbols,
        }
        self._parser: GrammarParser | None = None
        self._has_warned = False
        if is_grammar_text(self._grammar) or os.path.exists(os.path.expanduser(self._grammar)):
            self._parser = self._load()
        self._install()

    @property
    def written_names(self) -> dict[str, str]:
        """Setting and the attribute that it names."""
        return {
            "attr": f"span._.{self.attr}",
            "status_attr": f"span._.{self.status_attr}",
            "details_attr": f"span._.{self.details_attr}",
        }

    @property
    def parser(self) -> GrammarParser:
        """The grammar, read on first use if its file was not there before.

        Raises:
            ConfigError: the grammar has a mistake.
            ResourceError: the file cannot be read.
        """
        if self._parser is None:
            self._parser = self._load()
        return self._parser

    def __call__(self, doc: Doc) -> Doc:
        """Parse the sentences of one Doc.

        Raises:
            ConfigError: the terminals are lemmas or tags and nothing set them.
            ResourceError: the grammar's file cannot be read.
        """
        self._install()  # a spawned child starts without extensions
        self._require_annotation(doc)
        for sentence in self._sentences(doc):
            self._write(sentence, self._parse(sentence))
        return doc

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """The text of the grammar; the rest is in the config of the pipeline."""
        return self.parser.grammar.encode()

    def _restore(self, data: bytes, where: str) -> None:
        self._parser = GrammarParser(data.decode(errors="replace"), **self._settings)

    def _load(self) -> GrammarParser:
        text = self._grammar
        if not is_grammar_text(text):
            text = read_grammar_file(text, "productions such as \"S -> 'hello'\"")
        return GrammarParser(text, **self._settings)

    def _install(self) -> None:
        install_parse_extensions(self.attr, self.status_attr, self.details_attr)

    def _require_annotation(self, doc: Doc) -> None:
        needed = TERMINALS[self.terminals]
        if needed and not doc.has_annotation(needed) and any(map(_is_visible, doc)):
            component = "lemmatizer" if needed == "LEMMA" else "tagger"
            raise ConfigError(
                f"terminals = {self.terminals!r} of {self.name!r} needs token.{self.terminals}_, "
                f"which nothing has set; add a {component} before it or take terminals = 'lower'"
            )

    def _sentences(self, doc: Doc) -> Iterator[Span]:
        if doc.has_annotation("SENT_START"):
            yield from doc.sents
        elif len(doc):
            if not self._has_warned and len(sentence_starts([token.text for token in doc])) > 1:
                self._has_warned = True
                logger.warning(
                    "%s: nothing in this pipeline sets sentence boundaries, so each Doc is parsed "
                    "as one sentence; run: nlp.add_pipe('sentencizer', before=%r)",
                    self.name,
                    self.name,
                )
            yield doc[:]

    def _parse(self, sentence: Span) -> Parse:
        parser = self.parser
        terminals, leaves = [], []
        for token in sentence:
            terminal = getattr(token, _ATTRIBUTES[self.terminals])
            if not _is_visible(token):
                continue
            if self.skip_punct and token.is_punct and not parser.covers(terminal):
                continue
            terminals.append(terminal)
            leaf = escape_leaf(token.text)
            if self.terminals in ("tag", "pos"):
                leaf = f"({escape_leaf(terminal)} {leaf})"
            leaves.append(leaf)
        return parser.parse(terminals, leaves)

    def _write(self, sentence: Span, parse: Parse) -> None:
        details = {
            "n_edges": parse.n_edges,
            "log_probability": parse.log_probability,
            "uncovered": list(parse.uncovered),
        }
        sentence._.set(self.attr, parse.tree)
        sentence._.set(self.status_attr, parse.status)
        sentence._.set(self.details_attr, details)


#: The attribute of a Token for each of ``TERMINALS``. "lower" reads the text too: the grammar
#: ignores case, and uncovered words are named as the text has them.
_ATTRIBUTES = {"text": "text", "lower": "text", "lemma": "lemma_", "tag": "tag_", "pos": "pos_"}


def _is_visible(token: Token) -> bool:
    return bool(token.text.strip())
