"""Named entities by NLTK's chunkers, and the rule by which they join other entities.

NLTK finds names the way it finds noun phrases: a classifier gives each tagged word an IOB
label, from left to right, and neighbouring labels make a chunk. Two such chunkers are here:
NLTK's own, with the model that NLTK distributes apart from its code, and one that the user
has trained (:mod:`spacy_attn.classic.sequence`). Both take one sentence, as words and
Penn Treebank tags, and give token spans.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from spacy_attn.classic.sequence import LabelledSpan
from spacy_attn.errors import ConfigError, ResourceError, allowed_names, explain_missing_package

#: How found entities join those that a text has already; see :func:`free_entities`.
MERGE_RULES = ("fill", "keep", "replace")

NLTK_DATA = ("maxent_ne_chunker_tab", "words")
DOWNLOAD = f"python -m nltk.downloader {' '.join(NLTK_DATA)}"


class EntityChunker(Protocol):
    """Finds the entities of one tagged sentence."""

    def find(self, words: Sequence[str], tags: Sequence[str]) -> list[LabelledSpan]:
        """Spans in the order of the text; no two share a token."""
        ...


class NltkEntityChunker:
    """NLTK's recommended named-entity chunker, what ``nltk.ne_chunk`` runs.

    A maximum-entropy classifier trained on ACE news (Bird, Klein and Loper 2009, section
    7.5). Labels: ORGANIZATION, PERSON, GPE, LOCATION, FACILITY, GSP; with ``binary`` only NE.
    ``nltk.ne_chunk`` reads its model anew for each sentence; here it is read once, at the
    first sentence. Nothing is downloaded.

    Args:
        binary: whether to find names without telling their kinds apart.
    """

    def __init__(self, *, binary: bool = False) -> None:
        self.binary = binary
        self._chunker: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """For a spawned child, which reads the model itself."""
        return {**self.__dict__, "_chunker": None}

    def find(self, words: Sequence[str], tags: Sequence[str]) -> list[LabelledSpan]:
        """The entities of one sentence.

        Raises:
            ResourceError: NLTK or its data is not on this machine.
        """
        if not words:
            return []
        with _explain_missing_data():
            if self._chunker is None:
                self._chunker = self._load()
            tree = self._chunker.parse(list(zip(words, tags, strict=True)))
        return entities_of_tree(tree)

    def _load(self) -> Any:
        with explain_missing_package("nltk_ner"):
            from nltk import chunk
        return chunk.ne_chunker(fmt="binary" if self.binary else "multiclass")


def entities_of_tree(tree: Iterable[Any]) -> list[LabelledSpan]:
    """Spans of the chunks of an NLTK tree, counted in leaves.

    >>> from nltk import Tree
    >>> entities_of_tree(Tree.fromstring("(S (PERSON Ann Lee) left (GPE Paris))"))
    [(0, 2, 'PERSON'), (3, 4, 'GPE')]
    """
    spans: list[LabelledSpan] = []
    position = 0
    for child in tree:
        leaves = getattr(child, "leaves", None)  # a word is a tuple or a string, a chunk a Tree
        length = 1 if leaves is None else len(leaves())
        if leaves is not None and length:
            spans.append((position, position + length, str(child.label())))
        position += length
    return spans


def check_merge_rule(rule: str) -> None:
    """Refuse an unknown rule.

    Raises:
        ConfigError: it is not in :data:`MERGE_RULES`.
    """
    if rule not in MERGE_RULES:
        raise ConfigError(f"merge = {rule!r} is no rule; {allowed_names(rule, MERGE_RULES)}")


def free_entities(
    found: Iterable[LabelledSpan],
    existing: Sequence[tuple[int, int]],
    *,
    rule: str,
    blocked: Collection[int] = (),
) -> list[LabelledSpan]:
    """Those of the found entities that a text takes over.

    ============  ==========================================================================
    ``fill``      existing entities stay; a found one is taken where all its tokens are
                  free, and dropped whole where it shares one with an existing entity
    ``keep``      a text that has an entity already stays as it is, one that has none is
                  treated as by ``fill``
    ``replace``   existing entities go, the found ones take their place
    ============  ==========================================================================

    By every rule a found entity that touches a blocked token is dropped.

    Args:
        found: entities, no two of which share a token.
        existing: token spans of the entities that the text has.
        rule: one of :data:`MERGE_RULES`.
        blocked: tokens that somebody said are in no entity.

    Raises:
        ConfigError: the rule is unknown.
    """
    check_merge_rule(rule)
    if rule == "keep" and existing:
        return []
    taken = set(blocked)
    if rule != "replace":
        taken.update(token for start, end in existing for token in range(start, end))
    return [span for span in found if taken.isdisjoint(range(span[0], span[1]))]


@contextmanager
def _explain_missing_data() -> Iterator[None]:
    """Turn NLTK's page of text about missing data into one sentence."""
    try:
        yield
    except LookupError as error:
        if type(error) is not LookupError:  # NLTK raises the base class itself
            raise
        raise ResourceError(
            f"NLTK's named-entity chunker needs NLTK's data {' and '.join(NLTK_DATA)}, which is "
            f"not on this machine; run: {DOWNLOAD} (or give model = the path of a tagger that "
            "you trained with spacy-attn train-chunker --task entities)"
        ) from error
