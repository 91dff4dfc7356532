"""Arguments: conjuncts, the noun behind a relative pronoun, objects of prepositions and nouns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from spacy.tokens import Token

from spacy_attn.classic.relations.negation import follows_but, is_negated_verb, is_rejected
from spacy_attn.classic.relations.tree import MODIFIERS, RELATIVE, Tree
from spacy_attn.classic.relations.verbs import agent_prepositions

_NOMINAL = frozenset("NOUN PROPN PRON NUM SYM X".split())


def conjoined_prepositions(tree: Tree, preposition: Token) -> list[Token]:
    """A preposition and those that "and" joins to it: "in Paris and on the coast"."""
    agents = agent_prepositions(tree, preposition.head)
    if preposition in agents or is_rejected(tree, preposition):
        return []
    others = [
        child
        for child in tree.children(preposition, "conj")
        if child.pos_ == "ADP" and not is_rejected(tree, child)
    ]
    return [preposition, *others]


def prepositional_objects(tree: Tree, preposition: Token) -> list[Token]:
    """What a preposition governs, also across a second one ("out of") or a relative clause."""
    objects = tree.children(preposition, "pobj")
    if objects or preposition.pos_ not in ("ADP", "PART", "SCONJ", "ADV"):
        return objects
    inner = tree.children(preposition, "prep")
    if inner:
        return prepositional_objects(tree, inner[0])
    clause = preposition.head
    if tree.children(preposition, "pcomp") or clause.dep_ != "relcl":
        return []
    return [clause.head]  # "the man he talked to"


def arguments(tree: Tree, head: Token) -> list[Token]:
    """A head and its conjuncts; for a relative pronoun the noun that it stands for."""
    noun = _antecedent(tree, head)
    if noun is None:
        return [head, *_conjuncts(tree, head)]
    # "It was Ann and Bob who sold it": the clause is about what the copula names, all of it.
    is_cleft = noun.dep_ == "attr" and _is_about_it(tree, noun.head)
    return [noun, *_conjuncts(tree, noun)] if is_cleft else [noun]


def _conjuncts(tree: Tree, token: Token) -> Iterator[Token]:
    for child in tree.children(token, "conj"):
        if is_rejected(tree, child):
            continue
        if child.pos_ in _NOMINAL or child.pos_ == token.pos_:
            yield child
            yield from _conjuncts(tree, child)


def conjuncts_before(token: Token) -> list[Token]:
    """The conjuncts that a token is joined to, the nearest first."""
    found = []
    while token.dep_ == "conj":
        token = token.head
        found.append(token)
    return found


def _antecedent(tree: Tree, token: Token) -> Token | None:
    if not _is_relative(token):
        return None
    for ancestor in token.ancestors:
        if ancestor.dep_ == "relcl":
            return ancestor.head
        named = _cleft_noun(tree, ancestor)
        if named is not None:
            return named
    return None


def _cleft_noun(tree: Tree, verb: Token) -> Token | None:
    """Of "broke" in "It is Tom who broke it", read as a clause of the copula: "Tom"."""
    if verb.dep_ not in ("ccomp", "advcl"):
        return None
    copula = verb.head
    if copula.pos_ != "AUX" or copula.i > verb.i:
        return None
    named = tree.children(copula, "attr")
    return named[0] if named and _is_about_it(tree, copula) else None


def _is_about_it(tree: Tree, copula: Token) -> bool:
    return any(each.lower_ == "it" for each in tree.children(copula, "nsubj", "expl"))


def is_nameless(token: Token) -> bool:
    """Whether a subject is a bare relative pronoun; that of a question stands for itself."""
    if not _is_relative(token) or token.head.dep_ == "ROOT":
        return False
    return not any(each.text == "?" for each in token.sent[-2:])  # also before a quotation mark


def noun_complements(
    tree: Tree, noun: Token, subjects: Sequence[Token]
) -> Iterator[tuple[Token, Token | None]]:
    """The other ends of a noun's relation, each with its preposition if it has one."""
    for preposition in tree.children(noun, "prep"):
        for object_ in tree.children(preposition, "pobj"):
            yield object_, preposition
    owners = tree.children(noun, "poss", *MODIFIERS)
    if noun.dep_ in MODIFIERS:  # "Germany's capital Berlin": owner of the name
        for subject in subjects:
            owners += tree.children(subject, "poss", *MODIFIERS)
    for owner in owners:
        inside = any(start <= owner.i < end for start, end in map(tree.entity, subjects))
        if owner.i < noun.i and not inside:
            yield owner, None


def excluded_subjects(tree: Tree, verb: Token) -> list[Token]:
    """Whom a negated copula takes out: "It was not Tom who broke it"."""
    while verb.dep_ == "conj":
        verb = verb.head
    named = _cleft_noun(tree, verb)
    if named is None or not is_negated_verb(tree, verb.head):
        return []
    return [each for each in arguments(tree, named) if not follows_but(tree, each)]


def _is_relative(token: Token) -> bool:
    return token.lower_ in RELATIVE and token.tag_.startswith("W")
