"""Reads relations from a dependency parse.

A pattern finds the core, a predicate with some of its roles. What trees say in many ways is
found here, for every pattern alike: conjuncts, subjects that a verb inherits or shares, the
noun behind a relative pronoun, negation, particles, chains such as "want to buy".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from spacy.tokens import Doc, Token

from spacy_attn.classic.relations.arguments import (
    arguments,
    conjoined_prepositions,
    conjuncts_before,
    excluded_subjects,
    is_nameless,
    noun_complements,
    prepositional_objects,
)
from spacy_attn.classic.relations.negation import (
    follows_but,
    is_negated_argument,
    is_negated_verb,
    is_rejected,
)
from spacy_attn.classic.relations.patterns import Relation, RelationPattern
from spacy_attn.classic.relations.tree import MODIFIERS, Tree
from spacy_attn.classic.relations.verbs import (
    doers,
    found_objects,
    gap_verb,
    is_means,
    is_passive,
    is_recipient,
    subjects_of,
    verbs_sharing_object,
)
from spacy_attn.classic.relations.words import noun_words, relation_words


def read_relations(
    doc: Doc,
    matches: Iterable[tuple[RelationPattern, Sequence[int]]],
    marks: Collection[int] = (),
) -> list[Relation]:
    """The relations of a parsed Doc, in the order of their predicates, none twice.

    Where two patterns give the same triple, the one with more nodes wins, and of equally
    large ones that which comes later.

    Args:
        doc: with dependencies, parts of speech and, where there are, lemmas and entities.
        matches: a pattern and the tokens of its nodes.
        marks: tokens that are no words, such as list markers and emoji; no part of a relation is
            one or runs over one.
    """
    tree = Tree(doc, frozenset(marks))
    best: dict[tuple[int, int, int], tuple[int, _Triple]] = {}
    for pattern, tokens in matches:
        read = _read_clause if pattern.kind == "clause" else _read_noun
        roles = {role: doc[tokens[i]] for role, i in pattern.roles.items()}
        for triple in read(tree, pattern, roles):
            if triple.has_any(tree.marks):
                continue
            size = len(pattern.nodes)
            if size >= best.get(triple.key, (0, None))[0]:
                best[triple.key] = (size, triple)
    agents = {(verb, object_) for subject, verb, object_ in best if subject >= 0}
    kept = [
        triple
        for (subject, verb, object_), (_, triple) in best.items()
        if subject >= 0 or (verb, object_) not in agents
    ]
    kept.sort(key=lambda triple: (triple.predicate.i, triple.key))
    return [triple.to_relation(tree) for triple in kept]


@dataclass(slots=True)
class _Triple:
    """A relation by the heads of its parts."""

    subject: Token | None
    predicate: Token
    object: Token
    words: list[tuple[Token | None, str]]  # of the relation, in their order
    pattern: str
    negated: bool
    bare: bool = False  # the ends are without what stands before a name ("CEO Tim Cook")

    @property
    def key(self) -> tuple[int, int, int]:
        subject = -1 if self.subject is None else self.subject.i
        return subject, self.predicate.i, self.object.i

    def has_any(self, marks: Collection[int]) -> bool:
        """Whether the predicate or an argument is one of the tokens."""
        return any(i in marks for i in self.key)

    def to_relation(self, tree: Tree) -> Relation:
        is_title = self.bare and self.predicate.dep_ in MODIFIERS
        subject = None
        if self.subject is not None:
            subject = tree.name(self.subject) if is_title else tree.phrase(self.subject)
        is_owner = self.bare and self.object.dep_ in MODIFIERS
        object_ = tree.name(self.object) if is_owner else tree.phrase(self.object)
        tokens = sorted({token.i for token, _ in self.words if token is not None})
        return Relation(
            subject=subject,
            predicate=(self.predicate.i, self.predicate.i + 1),
            object=object_,
            relation=" ".join(word for _, word in self.words),
            pattern=self.pattern,
            negated=self.negated,
            subject_label=tree.label(self.subject, subject),
            object_label=tree.label(self.object, object_),
            parts=tuple((i, i + 1) for i in tokens),
        )


def _read_clause(
    tree: Tree, pattern: RelationPattern, roles: dict[str, Token]
) -> Iterator[_Triple]:
    verb = roles["predicate"]
    if "subject" in roles and is_means(tree, verb, roles["subject"]):
        # A preposition like any other: "The letter | write by | hand".
        roles = {"predicate": verb, "preposition": roles["subject"].head}
    if "preposition" in roles and "object" not in roles:
        for preposition in conjoined_prepositions(tree, roles["preposition"]):
            heads = prepositional_objects(tree, preposition)
            yield from _with_objects(
                tree, pattern, {**roles, "preposition": preposition}, verb, heads
            )
        return
    if "object" in roles:
        heads = [roles["object"]]
    else:
        verb = gap_verb(tree, verb)
        heads = found_objects(tree, verb)
    yield from _with_objects(tree, pattern, roles, verb, heads)
    if "preposition" not in roles and not is_passive(tree, verb):
        for other in verbs_sharing_object(tree, verb):
            yield from _with_objects(tree, pattern, roles, other, heads)


def _with_objects(
    tree: Tree, pattern: RelationPattern, roles: dict[str, Token], verb: Token, heads: list[Token]
) -> Iterator[_Triple]:
    """Every subject of a verb with every object."""
    if is_rejected(tree, verb):
        return
    preposition = roles.get("preposition")
    words = relation_words(tree, verb, roles.get("particle"), preposition)
    if pattern.word:
        words.append((None, pattern.word))
    elif preposition is None and heads and is_recipient(tree, verb, heads[0]):
        words.append((None, "to"))
    if "subject" in roles:
        subject_heads = [roles["subject"]]
    else:
        subject_heads = subjects_of(tree, verb) if preposition is not None else doers(tree, verb)
    subjects = [
        each for head in subject_heads for each in arguments(tree, head) if not is_nameless(each)
    ]
    is_negated = is_negated_verb(tree, verb)
    if preposition is not None and follows_but(tree, preposition):
        is_negated = False
    excluded = excluded_subjects(tree, verb)
    for object_ in (each for head in heads for each in arguments(tree, head)):
        for subject in subjects or (None,):
            parts = [object_] if subject is None else [subject, object_]
            if subject is not None and subject.i == object_.i:
                continue
            is_denied = is_negated and not (object_.i > verb.i and follows_but(tree, object_))
            is_denied = is_denied or subject in excluded
            negated = is_denied or any(is_negated_argument(tree, part) for part in parts)
            yield _Triple(subject, verb, object_, words, pattern.name, negated)


def _read_noun(tree: Tree, pattern: RelationPattern, roles: dict[str, Token]) -> Iterator[_Triple]:
    noun = roles["predicate"]
    if noun.ent_type_ or not (noun.pos_ == "NOUN" or noun.text.isupper()):
        return
    # Of a noun in a predicate ("is the capital") the clause has subject and negation.
    verb = noun.head if noun.dep_ == "attr" else None
    heads = [roles["subject"]] if "subject" in roles else []
    if not heads and verb is not None:
        heads = subjects_of(tree, verb)
    subjects = [each for head in heads for each in arguments(tree, head)]
    if heads and heads[0].dep_ == "conj" and noun.dep_ == "appos":
        subjects += conjuncts_before(heads[0])  # "Page and Brin, the founders"
    ends = [(roles["object"], roles.get("preposition"))] if "object" in roles else None
    if ends is None:
        ends = list(noun_complements(tree, noun, heads))
    for head, preposition in ends:
        words = noun_words(tree, noun)
        words.append((None, "of") if preposition is None else (preposition, preposition.lower_))
        for object_ in arguments(tree, head):
            for subject in subjects:
                if tree.is_name(subject) and tree.is_name(object_) and subject.i != object_.i:
                    is_denied = verb is not None and is_negated_verb(tree, verb)
                    negated = is_denied and not follows_but(tree, object_)
                    yield _Triple(subject, noun, object_, words, pattern.name, negated, bare=True)
