"""What a dependency parse says about phrases and names.

The labels are those of spaCy's English pipelines (ClearNLP: dobj, nsubjpass, prep, pobj ...).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from spacy.tokens import Doc, Token

from spacy_attn.classic.relations.patterns import TokenSpan

# What stands to the left of a noun and belongs to its base phrase.
LEFT = frozenset("det predet poss amod compound nummod nmod quantmod case".split())
MODIFIERS = ("compound", "nmod")
RELATIVE = frozenset("who whom which that".split())
_PAIRS = frozenset("both either neither".split())  # "both Ann and Bob": no determiner of Ann
_NO_NAMES = frozenset("CARDINAL DATE MONEY NORP ORDINAL PERCENT QUANTITY TIME".split())


@dataclass(slots=True)
class Tree:
    """What the parse of one Doc says about verbs and their arguments.

    An argument is named by its head; its conjuncts and its phrase are found from there.
    """

    doc: Doc
    marks: frozenset[int] = frozenset()  # tokens that no part may hold
    _by_label: dict[int, dict[str, list[Token]]] = field(default_factory=dict)
    _entities: dict[int, TokenSpan] = field(init=False)

    def __post_init__(self) -> None:
        self._entities = {
            i: (ent.start, ent.end) for ent in self.doc.ents for i in range(ent.start, ent.end)
        }

    def children(self, token: Token, *labels: str) -> list[Token]:
        """Children with one of the labels, label by label in the order of the text."""
        by_label = self._by_label.get(token.i)
        if by_label is None:
            by_label = self._by_label[token.i] = {}
            for child in token.children:
                by_label.setdefault(child.dep_, []).append(child)
        return [child for label in labels for child in by_label.get(label, ())]

    def label(self, head: Token | None, part: TokenSpan | None) -> str:
        """The entity label of a part, "" where it is no entity."""
        if head is None or part is None:
            return ""
        label = self.doc[part[1] - 1].ent_type_
        return "" if label and self._is_clause(head) else label

    def phrase(self, token: Token) -> TokenSpan:
        """The base phrase of a head, without what follows it; an entity is taken whole."""
        return self._between_marks(token, self._whole_phrase(token))

    def _between_marks(self, token: Token, part: TokenSpan) -> TokenSpan:
        """What is left of a part around its head where a mark ends it."""
        if not self.marks:
            return part
        start, end = token.i, token.i + 1
        while start > part[0] and start - 1 not in self.marks:
            start -= 1
        while end < part[1] and end not in self.marks:
            end += 1
        return start, end

    def _whole_phrase(self, token: Token) -> TokenSpan:
        if self._is_clause(token):
            return self._clause(token)
        start, end = token.i, token.i + 1
        has_pair = bool(self.children(token, "conj"))
        for child in token.lefts:
            if child.dep_ in LEFT and not (has_pair and child.lower_ in _PAIRS):
                start = min(start, child.left_edge.i)
        for child in self.children(token, "appos"):  # "chief executive Jim Rowan"
            if child.left_edge.i == end and child.pos_ == "PROPN":
                end = child.i + 1
        first, last = self.entity(token)
        return min(start, first), max(end, last)

    def name(self, token: Token) -> TokenSpan:
        """A name without title or owner: the entity, else the proper nouns before the head."""
        if token.ent_type_:
            return self.entity(token)
        start = token.i
        while start > 0 and self.doc[start - 1].dep_ == "compound" and self.is_name(token):
            if self.doc[start - 1].pos_ != "PROPN" or self.doc[start - 1].head.i != token.i:
                break
            start -= 1
        return start, token.i + 1

    def entity(self, token: Token) -> TokenSpan:
        """The entity around a head; the head alone where the entity joins two conjuncts."""
        whole = self._entities.get(token.i, (token.i, token.i + 1))
        start, end = self._between_marks(token, whole)
        if end - start > 1 and self.doc[end - 1].tag_ in ("POS", "CC"):
            end -= 1  # "Apple's", "Simon &"
        others = [*self.children(token, "conj"), *([token.head] if token.dep_ == "conj" else [])]
        if any(start <= other.i < end for other in others):
            return token.i, token.i + 1
        return start, end

    def is_name(self, token: Token) -> bool:
        """Whether a token is a named entity or, where the recogniser saw none, a proper noun."""
        return token.ent_type_ not in _NO_NAMES if token.ent_type_ else token.pos_ == "PROPN"

    def _is_clause(self, token: Token) -> bool:
        """Whether an argument is a clause: "Reading books is fun"."""
        while token.dep_ == "conj" and token.pos_ in ("VERB", "AUX"):
            token = token.head
        return token.dep_ in ("csubj", "csubjpass")

    def _clause(self, token: Token) -> TokenSpan:
        """A clause with all that belongs to it but its conjuncts."""
        start, end = token.left_edge.i, token.right_edge.i + 1
        for child in self.children(token, "cc", "conj"):
            if child.i > token.i:
                end = min(end, child.left_edge.i)
        while end - 1 > token.i and self.doc[end - 1].is_punct:
            end -= 1
        return start, end
