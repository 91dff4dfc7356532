"""Clauses: reads relations from a dependency parse.

A pattern finds the core, a predicate with some of its roles. What trees say in many ways is
found here, for every pattern alike: conjuncts, subjects that a verb inherits or shares, the
noun behind a relative pronoun, negation, particles, chains such as "want to buy". The labels
are those of spaCy's English pipelines (ClearNLP: dobj, nsubjpass, prep, pobj, relcl ...).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from spacy.tokens import Doc, Token

from spacy_attn.classic.relations import Relation, RelationPattern, TokenSpan

__all__ = ["read_relations"]

# What stands to the left of a noun and belongs to its base phrase.
_LEFT = frozenset("det predet poss amod compound nummod nmod quantmod case".split())
_MODIFIERS = ("compound", "nmod")
_NOMINAL = frozenset("NOUN PROPN PRON NUM SYM X".split())
_PAIRS = frozenset("both either neither".split())  # "both Ann and Bob": no determiner of Ann
_RELATIVE = frozenset("who whom which that".split())
_NEGATIVE = frozenset("no neither nobody nothing none".split())
# Verbs whose object is the one who does what the infinitive says ("asked him to leave").
_OBJECT_CONTROL = frozenset(
    "advise allow ask beg cause challenge convince direct enable encourage expect forbid force "
    "get have help hire instruct invite lead let make motivate need oblige order permit persuade "
    "pressure prompt push remind request require send teach tell train trust urge want "
    "warn".split()
)
# "He came and took the book": the first verb has no object, the next one's is not its own.
_INTRANSITIVE = frozenset(
    "appear arise arrive be become bow come cough cry dance depart die disappear emerge exist fall "
    "faint flee fly go grin happen hesitate jump kneel land laugh leave lie listen live look nod "
    "occur pause rest return rise rush run seem shout sit sleep smile sneeze sob stand stay stop "
    "swim talk travel turn vanish wait wake walk work yawn".split()
)
# "The day he left": the noun says when, how or why, it is not what he left.
_CIRCUMSTANCES = frozenset(
    "day hour moment month morning night place reason time way week year".split()
)
# "chief executive": an adjective that is part of the title.
_OF_TITLES = frozenset(
    "chief co deputy editorial executive financial foreign general managing prime vice".split()
)
# "raised by 5 percent", "sold by Monday", "sent by mail": how, when and by how much, not by whom.
_NO_AGENTS = frozenset("CARDINAL DATE MONEY PERCENT QUANTITY TIME".split())
_MEANS = frozenset(
    "accident air bus car chance coincidence default email hand mail mistake phone plane post rail "
    "sea ship telephone train truck".split()
)
_INSTEAD = {"of": "instead", "than": "rather"}
_NO_NAMES = frozenset("CARDINAL DATE MONEY NORP ORDINAL PERCENT QUANTITY TIME".split())


def read_relations(
    doc: Doc, matches: Iterable[tuple[RelationPattern, Sequence[int]]]
) -> list[Relation]:
    """The relations of a parsed Doc, in the order of their predicates, none twice.

    Where two patterns give the same triple, the one with more nodes wins, and of equally
    large ones that which comes later.

    Args:
        doc: with dependencies, parts of speech and, where there are, lemmas and entities.
        matches: a pattern and the tokens of its nodes.
    """
    tree = _Tree(doc)
    best: dict[tuple[int, int, int], tuple[int, _Triple]] = {}
    for pattern, tokens in matches:
        read = _read_clause if pattern.kind == "clause" else _read_noun
        roles = {role: doc[tokens[i]] for role, i in pattern.roles.items()}
        for triple in read(tree, pattern, roles):
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

    def to_relation(self, tree: _Tree) -> Relation:
        is_title = self.bare and self.predicate.dep_ in _MODIFIERS
        subject = None
        if self.subject is not None:
            subject = tree.name(self.subject) if is_title else tree.phrase(self.subject)
        is_owner = self.bare and self.object.dep_ in _MODIFIERS
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
    tree: _Tree, pattern: RelationPattern, roles: dict[str, Token]
) -> Iterator[_Triple]:
    verb = roles["predicate"]
    if "subject" in roles and tree.is_means(verb, roles["subject"]):
        # A preposition like any other: "The letter | write by | hand".
        roles = {"predicate": verb, "preposition": roles["subject"].head}
    if "preposition" in roles and "object" not in roles:
        for preposition in tree.conjoined_prepositions(roles["preposition"]):
            heads = tree.prepositional_objects(preposition)
            yield from _with_objects(
                tree, pattern, {**roles, "preposition": preposition}, verb, heads
            )
        return
    if "object" in roles:
        heads = [roles["object"]]
    else:
        verb = tree.gap_verb(verb)
        heads = tree.found_objects(verb)
    yield from _with_objects(tree, pattern, roles, verb, heads)
    if "preposition" not in roles and not tree.is_passive(verb):
        for other in tree.verbs_sharing_object(verb):
            yield from _with_objects(tree, pattern, roles, other, heads)


def _with_objects(
    tree: _Tree, pattern: RelationPattern, roles: dict[str, Token], verb: Token, heads: list[Token]
) -> Iterator[_Triple]:
    """Every subject of a verb with every object."""
    if tree.is_rejected(verb):
        return
    preposition = roles.get("preposition")
    words = tree.relation_words(verb, roles.get("particle"), preposition)
    if pattern.word:
        words.append((None, pattern.word))
    elif preposition is None and heads and tree.is_recipient(verb, heads[0]):
        words.append((None, "to"))
    if "subject" in roles:
        subject_heads = [roles["subject"]]
    else:
        subject_heads = tree.subjects(verb) if preposition is not None else tree.doers(verb)
    subjects = [
        each
        for head in subject_heads
        for each in tree.arguments(head)
        if not tree.is_nameless(each)
    ]
    is_negated = tree.is_negated_verb(verb)
    if preposition is not None and tree.follows_but(preposition):
        is_negated = False
    excluded = tree.excluded_subjects(verb)
    for object_ in (each for head in heads for each in tree.arguments(head)):
        for subject in subjects or (None,):
            parts = [object_] if subject is None else [subject, object_]
            if subject is not None and subject.i == object_.i:
                continue
            is_denied = is_negated and not (object_.i > verb.i and tree.follows_but(object_))
            is_denied = is_denied or subject in excluded
            negated = is_denied or any(map(tree.is_negated_argument, parts))
            yield _Triple(subject, verb, object_, words, pattern.name, negated)


def _read_noun(tree: _Tree, pattern: RelationPattern, roles: dict[str, Token]) -> Iterator[_Triple]:
    noun = roles["predicate"]
    if noun.ent_type_ or not (noun.pos_ == "NOUN" or noun.text.isupper()):
        return
    # Of a noun in a predicate ("is the capital") the clause has subject and negation.
    verb = noun.head if noun.dep_ == "attr" else None
    heads = [roles["subject"]] if "subject" in roles else []
    if not heads and verb is not None:
        heads = tree.subjects(verb)
    subjects = [each for head in heads for each in tree.arguments(head)]
    if heads and heads[0].dep_ == "conj" and noun.dep_ == "appos":
        subjects += tree.conjuncts_before(heads[0])  # "Page and Brin, the founders"
    ends = [(roles["object"], roles.get("preposition"))] if "object" in roles else None
    if ends is None:
        ends = list(tree.noun_complements(noun, heads))
    for head, preposition in ends:
        words = tree.noun_words(noun)
        words.append((None, "of") if preposition is None else (preposition, preposition.lower_))
        for object_ in tree.arguments(head):
            for subject in subjects:
                if tree.is_name(subject) and tree.is_name(object_) and subject.i != object_.i:
                    is_denied = verb is not None and tree.is_negated_verb(verb)
                    negated = is_denied and not tree.follows_but(object_)
                    yield _Triple(subject, noun, object_, words, pattern.name, negated, bare=True)


@dataclass(slots=True)
class _Tree:
    """What the parse of one Doc says about verbs and their arguments.

    An argument is named by its head; its conjuncts and its phrase are found from there.
    """

    doc: Doc
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

    # -- verbs

    def is_passive(self, verb: Token) -> bool:
        if self.children(verb, "nsubjpass", "auxpass", "agent"):
            return True
        if verb.tag_ != "VBN" or self.children(verb, "nsubj", "aux", "dobj"):
            return False
        if verb.dep_ == "conj":
            return self.is_passive(verb.head)
        return verb.dep_ in ("acl", "advcl")

    def subjects(self, verb: Token) -> list[Token]:
        """Who the verb agrees with or inherits; empty where the sentence names nobody."""
        own = self.children(verb, "nsubj", "nsubjpass", "csubj", "csubjpass")
        if not own and self.children(verb, "expl"):
            own = self.children(verb, "attr")  # "There is a cat"
        head = verb.head
        if own or head.i == verb.i:
            return own
        if verb.dep_ == "xcomp":
            return self._controllers(verb)
        if verb.dep_ in ("conj", "advcl", "pcomp", "prep", "acomp"):
            return self.subjects(head)
        if verb.dep_ == "relcl" or (verb.dep_ == "acl" and verb.tag_ in ("VBG", "VBN")):
            # In "a house to buy" the noun is the object.
            return [head] if self.children(verb, "dobj") or verb.dep_ == "acl" else []
        return []

    def _controllers(self, verb: Token) -> list[Token]:
        head = verb.head
        if self._is_controlled_by_object(verb):
            return self.children(head, "dobj", "dative")
        return self.subjects(head if head.pos_ in ("VERB", "AUX") else head.head)

    def _is_controlled_by_object(self, verb: Token) -> bool:
        head = verb.head
        return bool(
            verb.dep_ == "xcomp"
            and self.children(head, "dobj", "dative")
            and head.lemma_ in _OBJECT_CONTROL
        )

    def doers(self, verb: Token) -> list[Token]:
        """The logical subjects: of a passive verb the agents."""
        if not self.is_passive(verb):
            return self.subjects(verb)
        for each in [verb, *self._next_verbs(verb)]:
            agents = self._agent_prepositions(each)
            if agents:
                return [object_ for by in agents for object_ in self.children(by, "pobj")]
        return []

    def _agent_prepositions(self, verb: Token) -> list[Token]:
        """The "by" of a passive verb, also where the parser calls it ``prep`` before a name."""
        agents = [
            by
            for by in self.children(verb, "agent")
            if not all(map(self._is_no_agent, self.children(by, "pobj")))
        ]
        return agents or [
            by
            for by in self.children(verb, "prep")
            if by.lower_ == "by"
            and self.is_passive(verb)
            and any(
                object_.pos_ in ("PROPN", "PRON") and not self._is_no_agent(object_)
                for object_ in self.children(by, "pobj")
            )
        ]

    def _is_no_agent(self, noun: Token) -> bool:
        """Whether what follows "by" is an amount, a time or a bare word for a means."""
        if noun.ent_type_ in _NO_AGENTS:
            return True
        return noun.lower_ in _MEANS and not any(child.dep_ in _LEFT for child in noun.lefts)

    def is_means(self, verb: Token, noun: Token) -> bool:
        """Whether a noun stands where the agent of a verb does and is none: "by hand"."""
        is_after_by = noun.dep_ == "pobj" and noun.head in self.children(verb, "agent")
        return is_after_by and self._is_no_agent(noun)

    def found_objects(self, verb: Token) -> list[Token]:
        """The logical objects that are no ``dobj``: of a passive verb, of a relative clause."""
        if self.is_passive(verb):
            return self.subjects(verb)
        clause = self._infinitive_root(verb)
        return [clause.head] if clause.dep_ == "relcl" and self._has_gap(clause, verb) else []

    def is_recipient(self, verb: Token, head: Token) -> bool:
        """Whether a passive verb keeps its object: "He was given a book"."""
        objects = self.children(verb, "dobj")
        return bool(objects) and head.dep_ != "dobj" and self.is_passive(verb)

    def gap_verb(self, verb: Token) -> Token:
        """The verb that lacks its object in "the car that he wants to buy": "buy"."""
        while verb.dep_ in ("relcl", "xcomp"):
            infinitives = self.children(verb, "xcomp")
            if not infinitives or self.children(verb, "dobj"):
                break
            verb = infinitives[0]
        return verb

    def _infinitive_root(self, verb: Token) -> Token:
        while verb.dep_ == "xcomp" and verb.head.i != verb.i:
            verb = verb.head
        return verb

    def _has_gap(self, clause: Token, verb: Token) -> bool:
        """Whether the object of a relative clause is the noun before it, with no pronoun."""
        if self.children(verb, "dobj", "attr", "acomp", "ccomp", "oprd", "xcomp"):
            return False
        subjects = self.children(clause, "nsubj")
        if not subjects or subjects[0].lower_ in _RELATIVE:
            return False
        if any(not self.children(prep, "pobj", "pcomp") for prep in self.children(verb, "prep")):
            return False  # "the man he talked to"
        if any(child.tag_.startswith("W") for child in clause.subtree if child.i < verb.i):
            return False  # "where he lives", "which"
        return verb.lemma_ not in _INTRANSITIVE and clause.head.lemma_ not in _CIRCUMSTANCES

    def verbs_sharing_object(self, verb: Token) -> list[Token]:
        """Conjoined verbs right before this one that have no object but this one's."""
        found: list[Token] = []
        while verb.dep_ == "conj" and self._shares(verb.head, verb):
            verb = verb.head
            found.append(verb)
        return found

    def _next_verbs(self, verb: Token) -> list[Token]:
        return [each for each in self.children(verb, "conj") if self._shares(verb, each)]

    def _shares(self, verb: Token, following: Token) -> bool:
        """Whether nothing but a conjunction parts two verbs, the first without an object."""
        if verb.pos_ != "VERB" or verb.lemma_ in _INTRANSITIVE:
            return False
        own = ("dobj", "prep", "agent", "dative", "attr", "acomp", "xcomp", "ccomp", "prt")
        if self.children(verb, *own) or self.children(following, "nsubj", "nsubjpass", "prt"):
            return False
        between = self.doc[verb.i + 1 : following.i]
        return all(token.dep_ in ("cc", "punct", "aux", "advmod") for token in between)

    def relation_words(
        self, verb: Token, particle: Token | None, preposition: Token | None
    ) -> list[tuple[Token | None, str]]:
        """Lemma, particles, prepositions, after the verbs that govern an infinitive."""
        words = self._governing_words(verb)
        # "enjoys reading": a gerund keeps its form.
        is_gerund = bool(words) and verb.tag_ == "VBG"
        words.append((verb, verb.lower_ if is_gerund else _lemma(verb)))
        particles = [particle] if particle is not None else self._particles(verb)
        chain = [*particles, *self._preposition_chain(verb, preposition)]
        return words + [(token, token.lower_) for token in chain]

    def _particles(self, verb: Token) -> list[Token]:
        adverbs = [child for child in self.children(verb, "advmod") if child.tag_ == "RP"]
        return self.children(verb, "prt") or adverbs

    def _governing_words(self, verb: Token) -> list[tuple[Token | None, str]]:
        """Of "want to buy" the words "want to"; empty where the verb stands for itself."""
        mark = [child for child in self.children(verb, "aux") if child.lower_ == "to"]
        if verb.dep_ == "conj" and not self.children(verb, "nsubj", "nsubjpass"):
            if verb.tag_ != verb.head.tag_:
                return []
            return self._governing_words(verb.head)
        if verb.dep_ != "xcomp" or self.is_passive(verb) or self.children(verb, "nsubj"):
            return []
        head = verb.head
        if self.children(head, "dobj", "dative"):
            return []  # "asked him to leave", "used the key to open the door"
        words: list[tuple[Token | None, str]] = []
        if head.pos_ in ("VERB", "AUX"):
            words = self.relation_words(head, None, None)
        elif head.dep_ == "acomp":  # "is able to buy"
            words = [*self.relation_words(head.head, None, None), (head, head.lower_)]
        return words + [(token, token.lower_) for token in mark]

    def _preposition_chain(self, verb: Token, preposition: Token | None) -> list[Token]:
        """The preposition and those between it and the verb ("out of")."""
        if preposition is None:
            return []
        chain = [preposition]
        while (
            chain[0].dep_ == "prep" and chain[0].head.dep_ == "prep" and chain[0].head.i != verb.i
        ):
            chain.insert(0, chain[0].head)
        inner = self.children(preposition, "prep")
        return chain + (inner[:1] if not self.children(preposition, "pobj") else [])

    def conjoined_prepositions(self, preposition: Token) -> list[Token]:
        """A preposition and those that "and" joins to it: "in Paris and on the coast"."""
        agents = self._agent_prepositions(preposition.head)
        if preposition in agents or self.is_rejected(preposition):
            return []
        others = [
            child
            for child in self.children(preposition, "conj")
            if child.pos_ == "ADP" and not self.is_rejected(child)
        ]
        return [preposition, *others]

    def prepositional_objects(self, preposition: Token) -> list[Token]:
        objects = self.children(preposition, "pobj")
        if objects or preposition.pos_ not in ("ADP", "PART", "SCONJ", "ADV"):
            return objects
        inner = self.children(preposition, "prep")
        if inner:
            return self.prepositional_objects(inner[0])
        clause = preposition.head
        if self.children(preposition, "pcomp") or clause.dep_ != "relcl":
            return []
        return [clause.head]  # "the man he talked to"

    # -- arguments

    def arguments(self, head: Token) -> list[Token]:
        """A head and its conjuncts; for a relative pronoun the noun that it stands for."""
        noun = self._antecedent(head)
        if noun is None:
            return [head, *self._conjuncts(head)]
        # "It was Ann and Bob who sold it": the clause is about what the copula names, all of it.
        is_cleft = noun.dep_ == "attr" and self._is_about_it(noun.head)
        return [noun, *self._conjuncts(noun)] if is_cleft else [noun]

    def _conjuncts(self, token: Token) -> Iterator[Token]:
        for child in self.children(token, "conj"):
            if self.is_rejected(child):
                continue
            if child.pos_ in _NOMINAL or child.pos_ == token.pos_:
                yield child
                yield from self._conjuncts(child)

    def conjuncts_before(self, token: Token) -> list[Token]:
        found = []
        while token.dep_ == "conj":
            token = token.head
            found.append(token)
        return found

    def _antecedent(self, token: Token) -> Token | None:
        if not _is_relative(token):
            return None
        for ancestor in token.ancestors:
            if ancestor.dep_ == "relcl":
                return ancestor.head
            named = self._cleft_noun(ancestor)
            if named is not None:
                return named
        return None

    def _cleft_noun(self, verb: Token) -> Token | None:
        """Of "broke" in "It is Tom who broke it", read as a clause of the copula: "Tom"."""
        if verb.dep_ not in ("ccomp", "advcl"):
            return None
        copula = verb.head
        if copula.pos_ != "AUX" or copula.i > verb.i:
            return None
        named = self.children(copula, "attr")
        return named[0] if named and self._is_about_it(copula) else None

    def _is_about_it(self, copula: Token) -> bool:
        return any(each.lower_ == "it" for each in self.children(copula, "nsubj", "expl"))

    def is_nameless(self, token: Token) -> bool:
        """Whether a subject is a bare relative pronoun; that of a question stands for itself."""
        if not _is_relative(token) or token.head.dep_ == "ROOT":
            return False
        return not any(each.text == "?" for each in token.sent[-2:])  # also before a quotation mark

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

    def label(self, head: Token | None, part: TokenSpan | None) -> str:
        """The entity label of a part, "" where it is no entity."""
        if head is None or part is None:
            return ""
        label = self.doc[part[1] - 1].ent_type_
        return "" if label and self._is_clause(head) else label

    def phrase(self, token: Token) -> TokenSpan:
        """The base phrase of a head, without what follows it; an entity is taken whole."""
        if self._is_clause(token):
            return self._clause(token)
        start, end = token.i, token.i + 1
        has_pair = bool(self.children(token, "conj"))
        for child in token.lefts:
            if child.dep_ in _LEFT and not (has_pair and child.lower_ in _PAIRS):
                start = min(start, child.left_edge.i)
        for child in self.children(token, "appos"):  # "chief executive Jim Rowan"
            if child.left_edge.i == end and child.pos_ == "PROPN":
                end = child.i + 1
        first, last = self._entity(token)
        return min(start, first), max(end, last)

    def name(self, token: Token) -> TokenSpan:
        """A name without title or owner: the entity, else the proper nouns before the head."""
        if token.ent_type_:
            return self._entity(token)
        start = token.i
        while start > 0 and self.doc[start - 1].dep_ == "compound" and self.is_name(token):
            if self.doc[start - 1].pos_ != "PROPN" or self.doc[start - 1].head.i != token.i:
                break
            start -= 1
        return start, token.i + 1

    def _entity(self, token: Token) -> TokenSpan:
        """The entity around a head; the head alone where the entity joins two conjuncts."""
        start, end = self._entities.get(token.i, (token.i, token.i + 1))
        if end - start > 1 and self.doc[end - 1].tag_ == "POS":
            end -= 1  # "Apple's"
        others = [*self.children(token, "conj"), *([token.head] if token.dep_ == "conj" else [])]
        if any(start <= other.i < end for other in others):
            return token.i, token.i + 1
        return start, end

    def is_name(self, token: Token) -> bool:
        """Whether a token is a named entity or, where the recogniser saw none, a proper noun."""
        return token.ent_type_ not in _NO_NAMES if token.ent_type_ else token.pos_ == "PROPN"

    # -- nouns

    def noun_words(self, noun: Token) -> list[tuple[Token | None, str]]:
        """The noun and what makes it a title ("chief executive", "co-founder")."""
        start = noun.i
        while (
            start >= 2 and self.doc[start - 1].text == "-" and not self.doc[start - 2].whitespace_
        ):
            start -= 2  # the tokenizer parts "co-founder"
        words: list[tuple[Token | None, str]] = [
            (child, child.lower_)
            for child in noun.lefts
            if child.i < start
            and not (child.ent_type_ or child.pos_ == "PROPN")
            and (child.dep_ == "compound" or child.lower_ in _OF_TITLES)
        ]
        lemma = noun.text if noun.text.isupper() else _lemma(noun)
        return [*words, (noun, self.doc[start : noun.i].text.lower() + lemma)]

    def noun_complements(
        self, noun: Token, subjects: Sequence[Token]
    ) -> Iterator[tuple[Token, Token | None]]:
        """The other ends of a noun's relation, each with its preposition if it has one."""
        for preposition in self.children(noun, "prep"):
            for object_ in self.children(preposition, "pobj"):
                yield object_, preposition
        owners = self.children(noun, "poss", *_MODIFIERS)
        if noun.dep_ in _MODIFIERS:  # "Germany's capital Berlin": owner of the name
            for subject in subjects:
                owners += self.children(subject, "poss", *_MODIFIERS)
        for owner in owners:
            inside = any(start <= owner.i < end for start, end in map(self._entity, subjects))
            if owner.i < noun.i and not inside:
                yield owner, None

    # -- negation

    def is_negated_verb(self, verb: Token) -> bool:
        pairs = {child.lower_ for child in self.children(verb, "preconj")}
        if self.children(verb, "neg") or "neither" in pairs or self._follows_without(verb):
            return True
        head = verb.head
        if verb.dep_ == "xcomp":
            governor = head.head if head.dep_ == "acomp" else head
            return bool(self._governing_words(verb)) and self.is_negated_verb(governor)
        if verb.dep_ != "conj" or self.children(verb, "nsubj", "nsubjpass", "aux", "auxpass"):
            return False
        # "did not wash or dry", "never drinks or smokes": one negation for both.
        ccs = {token.lower_ for token in self.children(head, "cc", "preconj")}
        has_shared_auxiliary = bool(self.children(head, "aux")) and verb.tag_ == head.tag_
        if "but" in ccs or not (has_shared_auxiliary or ccs & {"or", "nor"}):
            return False
        return self.is_negated_verb(head)

    def is_negated_argument(self, token: Token) -> bool:
        # In "John, not Mary" the negation is Mary's.
        adverbs = self.children(token, "neg")
        if token.lower_ in _NEGATIVE or (adverbs and adverbs[0].i < token.i):
            return True
        if any(child.lower_ in _NEGATIVE for child in self.children(token, "det", "preconj")):
            return True
        if token.dep_ != "conj":
            return False
        ccs = {child.lower_ for child in self.children(token.head, "cc")}  # "no bread or milk"
        return bool(ccs & {"or", "nor"}) and self.is_negated_argument(token.head)

    def _follows_without(self, verb: Token) -> bool:
        """Whether a clause is what was left out: "without paying the bill"."""
        if verb.tag_ != "VBG" and verb.dep_ != "pcomp":  # fast, as most are no gerunds
            return False
        while verb.dep_ == "conj" and verb.tag_ == verb.head.tag_:
            if self.follows_but(verb):
                return False
            verb = verb.head
        return verb.dep_ == "pcomp" and verb.head.lower_ == "without"

    def follows_but(self, token: Token) -> bool:
        """Whether a conjunct is set against a negation: "not a doctor but a nurse"."""
        while token.dep_ == "conj":
            head = token.head
            ccs = [cc for cc in self.children(head, "cc") if head.i < cc.i < token.i]
            if ccs and ccs[-1].lower_ == "but":
                return True
            token = head
        return False

    def is_rejected(self, token: Token) -> bool:
        """Whether a head is named only as what is not so: "instead of a bike"."""
        label = token.dep_
        if label == "prep":
            return self._is_instead(token.i - 1)
        if label in ("conj", "pcomp", "advcl"):
            edge = token.left_edge.i
            if self._is_instead(edge - 2) or self._is_instead(edge):
                return True
        # "instead of trying to park and lock the car"
        return label in ("conj", "xcomp") and self.is_rejected(token.head)

    def _is_instead(self, start: int) -> bool:
        if not 0 <= start < len(self.doc) - 1:
            return False
        first = _INSTEAD.get(self.doc[start + 1].lower_)
        return first is not None and self.doc[start].lower_ == first

    def excluded_subjects(self, verb: Token) -> list[Token]:
        """Whom a negated copula takes out: "It was not Tom who broke it"."""
        while verb.dep_ == "conj":
            verb = verb.head
        named = self._cleft_noun(verb)
        if named is None or not self.is_negated_verb(verb.head):
            return []
        return [each for each in self.arguments(named) if not self.follows_but(each)]


def _is_relative(token: Token) -> bool:
    return token.lower_ in _RELATIVE and token.tag_.startswith("W")


def _lemma(token: Token) -> str:
    """The lemma; of a pipeline without lemmatizer the word."""
    return token.lemma_.lower() or token.lower_
