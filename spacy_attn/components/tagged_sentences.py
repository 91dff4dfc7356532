"""What NLTK's chunkers find in a Doc, sentence by sentence of tagged words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from spacy.tokens import Doc, Token

from spacy_attn.classic.chunk import Chunker
from spacy_attn.classic.sequence import LabelledSpan
from spacy_attn.components.layout import is_visible, read_layout
from spacy_attn.errors import ConfigError

_ARTICLES = frozenset(("a", "an", "the"))


class _Component(Protocol):
    name: str

    @property
    def chunker(self) -> Chunker:
        """What finds the spans of a sentence; its file is read at the first one."""
        ...


def find_spans(component: _Component, doc: Doc, *, in_parts: bool = False) -> list[LabelledSpan]:
    """The chunks or entities of a Doc, as token spans.

    Args:
        component: finds them in a tagged sentence.
        doc: with tags.
        in_parts: whether none may hold a mark or run over one, see :func:`tagged_parts`.

    Raises:
        ConfigError: the Doc has words and no tags, or as the chunker.
        ResourceError: as the chunker.
    """
    found: list[LabelledSpan] = []
    for tokens, tags in (tagged_parts if in_parts else _with_tags)(doc, component.name):
        words = [token.text for token in tokens]
        for start, end, label in component.chunker.find(words, tags):
            found.append((tokens[start].i, tokens[end - 1].i + 1, label))
    return found


def _with_tags(doc: Doc, name: str) -> Iterator[tuple[list[Token], list[str]]]:
    for tokens in tagged_sentences(doc, name):
        yield tokens, [token.tag_ for token in tokens]


def tagged_sentences(doc: Doc, name: str) -> Iterator[list[Token]]:
    """The tokens of each sentence; no sentence is empty.

    White space and other tokens without a visible character, such as a zero-width space, are
    left out. A Doc without sentence boundaries is one sentence.

    Args:
        doc: with tags.
        name: of the component, for the error.

    Raises:
        ConfigError: the Doc has words and no tags.
    """
    for sentence in doc.sents if doc.has_annotation("SENT_START") else (doc[:],):
        tokens = [token for token in sentence if is_visible(token)]
        if tokens and not doc.has_annotation("TAG"):
            raise ConfigError(
                f"{name!r} reads token.tag, and this Doc has no tags; use a pipeline with a "
                f"trained tagger, such as en_core_web_sm, and put it before {name!r}"
            )
        if tokens:
            yield tokens


def tagged_parts(doc: Doc, name: str) -> Iterator[tuple[list[Token], list[str]]]:
    """The tokens of each run of words within a sentence, and their tags.

    A run ends at a blank line, a list item, a sign or an emoji; these are left out.

    Args:
        doc: with tags.
        name: of the component, for the error.

    Raises:
        ConfigError: the Doc has words and no tags.
    """
    layout = read_layout(doc)
    for sentence in tagged_sentences(doc, name):
        runs: list[list[Token]] = [[]]
        previous = sentence[0].i
        for token in sentence:
            if not layout.marks.isdisjoint(range(previous, token.i + 1)):
                while runs[-1] and runs[-1][-1].lower_ in _ARTICLES:  # of a sign: "a ★"
                    runs[-1].pop()
                runs.append([])
            if token.i not in layout.marks:
                runs[-1].append(token)
            previous = token.i
        for run in filter(None, runs):
            yield run, ["VB" if token.i in layout.imperatives else token.tag_ for token in run]
