"""What a sentence denies: negated verbs and arguments, and what stands "instead"."""

from __future__ import annotations

from spacy.tokens import Token

from spacy_attn.classic.relations.tree import Tree
from spacy_attn.classic.relations.words import governing_words

_NEGATIVE = frozenset("no neither nobody nothing none".split())
_INSTEAD = {"of": "instead", "than": "rather"}


def is_negated_verb(tree: Tree, verb: Token) -> bool:
    """Whether a verb is denied, itself or by the verb that governs it."""
    pairs = {child.lower_ for child in tree.children(verb, "preconj")}
    if tree.children(verb, "neg") or "neither" in pairs or _follows_without(tree, verb):
        return True
    head = verb.head
    if verb.dep_ == "xcomp":
        governor = head.head if head.dep_ == "acomp" else head
        return bool(governing_words(tree, verb)) and is_negated_verb(tree, governor)
    if verb.dep_ != "conj" or tree.children(verb, "nsubj", "nsubjpass", "aux", "auxpass"):
        return False
    # "did not wash or dry", "never drinks or smokes": one negation for both.
    ccs = {token.lower_ for token in tree.children(head, "cc", "preconj")}
    has_shared_auxiliary = bool(tree.children(head, "aux")) and verb.tag_ == head.tag_
    if "but" in ccs or not (has_shared_auxiliary or ccs & {"or", "nor"}):
        return False
    return is_negated_verb(tree, head)


def is_negated_argument(tree: Tree, token: Token) -> bool:
    """Whether an argument is denied: "no bread", "neither Ann nor Bob"."""
    # In "John, not Mary" the negation is Mary's.
    adverbs = tree.children(token, "neg")
    if token.lower_ in _NEGATIVE or (adverbs and adverbs[0].i < token.i):
        return True
    if any(child.lower_ in _NEGATIVE for child in tree.children(token, "det", "preconj")):
        return True
    if token.dep_ != "conj":
        return False
    ccs = {child.lower_ for child in tree.children(token.head, "cc")}  # "no bread or milk"
    return bool(ccs & {"or", "nor"}) and is_negated_argument(tree, token.head)


def _follows_without(tree: Tree, verb: Token) -> bool:
    """Whether a clause is what was left out: "without paying the bill"."""
    if verb.tag_ != "VBG" and verb.dep_ != "pcomp":  # fast, as most are no gerunds
        return False
    while verb.dep_ == "conj" and verb.tag_ == verb.head.tag_:
        if follows_but(tree, verb):
            return False
        verb = verb.head
    return verb.dep_ == "pcomp" and verb.head.lower_ == "without"


def follows_but(tree: Tree, token: Token) -> bool:
    """Whether a conjunct is set against a negation: "not a doctor but a nurse"."""
    while token.dep_ == "conj":
        head = token.head
        ccs = [cc for cc in tree.children(head, "cc") if head.i < cc.i < token.i]
        if ccs and ccs[-1].lower_ == "but":
            return True
        token = head
    return False


def is_rejected(tree: Tree, token: Token) -> bool:
    """Whether a head is named only as what is not so: "instead of a bike"."""
    label = token.dep_
    if label == "prep":
        return _is_instead(tree, token.i - 1)
    if label in ("conj", "pcomp", "advcl"):
        edge = token.left_edge.i
        if _is_instead(tree, edge - 2) or _is_instead(tree, edge):
            return True
    # "instead of trying to park and lock the car"
    return label in ("conj", "xcomp") and is_rejected(tree, token.head)


def _is_instead(tree: Tree, start: int) -> bool:
    if not 0 <= start < len(tree.doc) - 1:
        return False
    first = _INSTEAD.get(tree.doc[start + 1].lower_)
    return first is not None and tree.doc[start].lower_ == first
