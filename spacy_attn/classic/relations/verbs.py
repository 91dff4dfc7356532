"""Verbs: their logical subjects and objects, inherited, shared or passive."""

from __future__ import annotations

from spacy.tokens import Token

from spacy_attn.classic.relations.tree import LEFT, RELATIVE, Tree

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
# "raised by 5 percent", "sold by Monday", "sent by mail": how, when and by how much, not by whom.
_NO_AGENTS = frozenset("CARDINAL DATE MONEY PERCENT QUANTITY TIME".split())
_MEANS = frozenset(
    "accident air bus car chance coincidence default email hand mail mistake phone plane post rail "
    "sea ship telephone train truck".split()
)


def is_passive(tree: Tree, verb: Token) -> bool:
    """Whether a verb is passive, also one that shares the auxiliary of another."""
    if tree.children(verb, "nsubjpass", "auxpass", "agent"):
        return True
    if verb.tag_ != "VBN" or tree.children(verb, "nsubj", "aux", "dobj"):
        return False
    if verb.dep_ == "conj":
        return is_passive(tree, verb.head)
    return verb.dep_ in ("acl", "advcl")


def subjects_of(tree: Tree, verb: Token) -> list[Token]:
    """Who the verb agrees with or inherits; empty where the sentence names nobody."""
    own = tree.children(verb, "nsubj", "nsubjpass", "csubj", "csubjpass")
    if not own and tree.children(verb, "expl"):
        own = tree.children(verb, "attr")  # "There is a cat"
    head = verb.head
    if own or head.i == verb.i:
        return own
    if verb.dep_ == "xcomp":
        return _controllers(tree, verb)
    if verb.dep_ in ("conj", "advcl", "pcomp", "prep", "acomp"):
        return subjects_of(tree, head)
    if verb.dep_ == "relcl" or (verb.dep_ == "acl" and verb.tag_ in ("VBG", "VBN")):
        # In "a house to buy" the noun is the object.
        return [head] if tree.children(verb, "dobj") or verb.dep_ == "acl" else []
    return []


def _controllers(tree: Tree, verb: Token) -> list[Token]:
    head = verb.head
    if _is_controlled_by_object(tree, verb):
        return tree.children(head, "dobj", "dative")
    return subjects_of(tree, head if head.pos_ in ("VERB", "AUX") else head.head)


def _is_controlled_by_object(tree: Tree, verb: Token) -> bool:
    head = verb.head
    return bool(
        verb.dep_ == "xcomp"
        and tree.children(head, "dobj", "dative")
        and head.lemma_ in _OBJECT_CONTROL
    )


def doers(tree: Tree, verb: Token) -> list[Token]:
    """The logical subjects: of a passive verb the agents."""
    if not is_passive(tree, verb):
        return subjects_of(tree, verb)
    for each in [verb, *_next_verbs(tree, verb)]:
        agents = agent_prepositions(tree, each)
        if agents:
            return [object_ for by in agents for object_ in tree.children(by, "pobj")]
    return []


def agent_prepositions(tree: Tree, verb: Token) -> list[Token]:
    """The "by" of a passive verb, also where the parser calls it ``prep`` before a name."""
    agents = [
        by
        for by in tree.children(verb, "agent")
        if not all(map(_is_no_agent, tree.children(by, "pobj")))
    ]
    return agents or [
        by
        for by in tree.children(verb, "prep")
        if by.lower_ == "by"
        and is_passive(tree, verb)
        and any(
            object_.pos_ in ("PROPN", "PRON") and not _is_no_agent(object_)
            for object_ in tree.children(by, "pobj")
        )
    ]


def _is_no_agent(noun: Token) -> bool:
    """Whether what follows "by" is an amount, a time or a bare word for a means."""
    if noun.ent_type_ in _NO_AGENTS:
        return True
    return noun.lower_ in _MEANS and not any(child.dep_ in LEFT for child in noun.lefts)


def is_means(tree: Tree, verb: Token, noun: Token) -> bool:
    """Whether a noun follows the "by" of a passive but is not the agent: "by hand"."""
    is_after_by = noun.dep_ == "pobj" and noun.head in tree.children(verb, "agent")
    return is_after_by and _is_no_agent(noun)


def found_objects(tree: Tree, verb: Token) -> list[Token]:
    """The logical objects that are no ``dobj``: of a passive verb, of a relative clause."""
    if is_passive(tree, verb):
        return subjects_of(tree, verb)
    clause = _infinitive_root(verb)
    return [clause.head] if clause.dep_ == "relcl" and _has_gap(tree, clause, verb) else []


def is_recipient(tree: Tree, verb: Token, head: Token) -> bool:
    """Whether a passive verb keeps its object: "He was given a book"."""
    objects = tree.children(verb, "dobj")
    return bool(objects) and head.dep_ != "dobj" and is_passive(tree, verb)


def gap_verb(tree: Tree, verb: Token) -> Token:
    """The verb that lacks its object in "the car that he wants to buy": "buy"."""
    while verb.dep_ in ("relcl", "xcomp"):
        infinitives = tree.children(verb, "xcomp")
        if not infinitives or tree.children(verb, "dobj"):
            break
        verb = infinitives[0]
    return verb


def _infinitive_root(verb: Token) -> Token:
    while verb.dep_ == "xcomp" and verb.head.i != verb.i:
        verb = verb.head
    return verb


def _has_gap(tree: Tree, clause: Token, verb: Token) -> bool:
    """Whether the object of a relative clause is the noun before it, with no pronoun."""
    if tree.children(verb, "dobj", "attr", "acomp", "ccomp", "oprd", "xcomp"):
        return False
    subjects = tree.children(clause, "nsubj")
    if not subjects or subjects[0].lower_ in RELATIVE:
        return False
    if any(not tree.children(prep, "pobj", "pcomp") for prep in tree.children(verb, "prep")):
        return False  # "the man he talked to"
    if any(child.tag_.startswith("W") for child in clause.subtree if child.i < verb.i):
        return False  # "where he lives", "which"
    return verb.lemma_ not in _INTRANSITIVE and clause.head.lemma_ not in _CIRCUMSTANCES


def verbs_sharing_object(tree: Tree, verb: Token) -> list[Token]:
    """Conjoined verbs right before this one that have no object but this one's."""
    found: list[Token] = []
    while verb.dep_ == "conj" and _shares(tree, verb.head, verb):
        verb = verb.head
        found.append(verb)
    return found


def _next_verbs(tree: Tree, verb: Token) -> list[Token]:
    return [each for each in tree.children(verb, "conj") if _shares(tree, verb, each)]


def _shares(tree: Tree, verb: Token, following: Token) -> bool:
    """Whether nothing but a conjunction parts two verbs, the first without an object."""
    if verb.pos_ != "VERB" or verb.lemma_ in _INTRANSITIVE:
        return False
    own = ("dobj", "prep", "agent", "dative", "attr", "acomp", "xcomp", "ccomp", "prt")
    if tree.children(verb, *own) or tree.children(following, "nsubj", "nsubjpass", "prt"):
        return False
    between = tree.doc[verb.i + 1 : following.i]
    return all(token.dep_ in ("cc", "punct", "aux", "advmod") for token in between)
